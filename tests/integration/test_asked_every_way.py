"""What backfill, reconciliation and comparison ask of a source, on every engine, natively and through its ODBC driver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import connectors.source
from connectors import Source
from connectors.finding.acknowledging import Acknowledgement
from connectors.finding.search import Search
from frontend_agent.model import Watermark
from tests.integration.test_sources import KINDS, TABLES, WAYS, Hospital, Mapped, _hospital, report

DAY = datetime(2026, 9, 30)
NEXT = datetime(2026, 10, 1)
BY_TIME = Mapped(
    changed='SELECT changed_at AS "cursor", report_no AS "key" FROM report WHERE xm LIKE \'%\'',
    parent='SELECT report_no AS "report_number", xm AS "patient.name" FROM report',
    details={},
    day='SELECT changed_at AS "day", report_no AS "key" FROM report -- by day',
)
BY_NUMBER = Mapped(changed='SELECT report_no AS "cursor", report_no AS "key" FROM report', details={})
BY_TEXT_KEY = Mapped(changed='SELECT changed_at AS "cursor", xm AS "key" FROM report', details={})


@pytest.fixture(params=WAYS)
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Hospital:
    engine, _, odbc = request.param.partition("-")
    made = _hospital(engine, bool(odbc), request, tmp_path)
    made.write(*(statement.format(**KINDS[engine]) for statement in TABLES))
    return made


@pytest.fixture
def source(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """Eleven reports of one moment, twelve of others, one without a time; windows of four rows."""
    monkeypatch.setattr(connectors.source, "WINDOW", 4)
    hospital.write(*(s for n in range(1, 12) for s in report(n, "2026-09-30 08:00:00", f"甲{n:02}")))
    hospital.write(*(s for n in range(12, 24) for s in report(n, f"2026-09-30 {n - 2:02}:00:00.5", f"乙{n:02}")))
    hospital.write(*report(24, None, "丙"), *report(25, "2026-10-01 00:00:00", "丁"))
    made = hospital.source()
    yield made
    made.close()


def keys(pages: Any) -> list[str]:
    return [key for page in pages for key in getattr(page, "keys", page)]


@pytest.mark.parametrize("mapped", [BY_TIME, BY_NUMBER, BY_TEXT_KEY], ids=["time", "number", "text key"])
def test_a_walk_goes_on_behind_any_page(source: Source, mapped: Mapped) -> None:
    low, high = (DAY, NEXT) if mapped is not BY_NUMBER else ("int:1", "int:24")
    whole = keys(source.walk(mapped, low, high, None, 3))
    found: list[str] = []
    after = None
    while page := next(iter(source.walk(mapped, low, high, after, 3)), None):  # the agent dies after each page
        found += page.keys
        after = page.watermark
        assert len(found) <= 23

    assert len(set(whole)) == 23
    assert found == whole


def test_a_walk_goes_on_where_keys_are_of_another_type_by_now(source: Source) -> None:
    """The vendor exchanged the table: what shares the last cursor is read once more."""
    page = next(iter(source.walk(BY_TIME, DAY, NEXT, None, 500)))
    assert page.watermark is not None
    left = keys(source.walk(BY_TIME, DAY, NEXT, Watermark(page.watermark.cursor, "MZ-11"), 500))
    assert sorted(map(int, left)) == list(range(1, 24))


@pytest.mark.parametrize("most", [1, 22, 23, 1000])
def test_a_count_is_bounded(source: Source, most: int) -> None:
    assert source.count(BY_TIME, DAY, NEXT, most) == min(most, 23)
    assert source.count(BY_NUMBER, "int:1", "int:24", most) == min(most, 23)
    assert source.count(BY_TIME, NEXT + timedelta(days=9), NEXT + timedelta(days=10), most) == 0


def test_the_keys_of_a_day_are_those_of_the_day(source: Source) -> None:
    assert sorted(map(int, keys(source.of_days(BY_TIME, DAY, NEXT, 3)))) == list(range(1, 24))
    assert sorted(map(int, keys(source.since(BY_TIME, DAY + timedelta(hours=12), 3)))) == [*range(14, 24), 25]


def test_marks_name_every_key_once_and_go_on_behind_any_of_them(source: Source, hospital: Hospital) -> None:
    mapped = Mapped(changed='SELECT xm AS "cursor", report_no AS "key" FROM report', details={})
    first = dict(pair for page in source.marks(mapped) for pair in page.marks)
    page = next(iter(source.marks(mapped)))
    rest = dict(pair for more in source.marks(mapped, page.last) for pair in more.marks)
    hospital.write("UPDATE report SET xm = '改' WHERE report_no = 7")
    second = dict(pair for page in source.marks(mapped) for pair in page.marks)

    assert sorted(map(int, first)) == list(range(1, 26))
    assert dict(page.marks) | rest == first
    assert [key for key in first if first[key] != second[key]] == ["7"]


def test_what_a_run_would_not_come_by_is_passed_over(source: Source, hospital: Hospital) -> None:
    search = Search(overlap=timedelta(hours=1))
    mark, left = None, None
    for page in source.found(BY_TIME, search, None, None):
        mark, left = page.watermark or mark, page.bearings or left
    hospital.write(*report(30, "2026-09-29 08:00:00", "迟"), *report(31, "2026-10-01 00:30:00", "晚"))

    assert mark is not None
    assert source.passed_over(BY_TIME, search, mark, left, ["24", "30", "31"]) == ["30"]
    assert source.cursors(BY_TIME, ["24", "99"]) == {"24": None}


def test_numbers_that_are_awaited_are_not_passed_over(source: Source, hospital: Hospital) -> None:
    """Whatever type the engine's numbers have."""
    decimal = "decimal(20,0)" if hospital.name == "mariadb" else "numeric(20,0)"
    hospital.write(f"CREATE TABLE counted (n {decimal} PRIMARY KEY)", "INSERT INTO counted VALUES (1), (2), (5)")
    mapped = Mapped(changed='SELECT n AS "cursor", n AS "key" FROM counted', details={})
    search = Search(how="key", overlap=timedelta())
    mark, left = None, None
    for _ in range(2):
        for page in source.found(mapped, search, mark, left):
            mark, left = page.watermark or mark, page.bearings or left
    hospital.write("INSERT INTO counted VALUES (4)")

    again = keys(source.found(mapped, search, mark, left))
    assert [Decimal(key) for key in again if Decimal(key) == 4]
    assert source.passed_over(mapped, search, mark, left, again) == []


def test_change_rows_are_marked_and_the_next_question_is_read_only(source: Source, hospital: Hospital) -> None:
    hospital.write("CREATE TABLE changes (id int PRIMARY KEY, done int)")
    hospital.write("INSERT INTO changes VALUES " + ", ".join(f"({n}, 0)" for n in range(1, 301)))
    numbers = [n for n in range(1, 301) if n != 7]

    assert source.acknowledge(Acknowledgement("changes", "done", "1", "id"), numbers) == ""
    with source.session() as ask:
        assert ask("SELECT id FROM changes WHERE done = 0", (), "x").rows == [(7,)]
