"""Every kind of connection, against a real server, asked in all three ways: what changed, by key, by range."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import connectors.source
from connectors import Source, SourceOptions, open_source
from connectors.statements import Own
from frontend_agent.errors import ConfigurationError, SourceError, SourceRefused, SourceUnreachable
from frontend_agent.model import Watermark
from tests.ports import free_port
from tests.servers import PASSWORD, READER_PASSWORD, mariadb_server, postgres_server

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 9, 30, 12, tzinfo=UTC)
ONE_HOUR = timedelta(hours=1)
SECRET = "机密王小明"  # stands for patient content: must never be seen in an error


@dataclass
class Detail:
    sql: str
    source: str = ""


@dataclass
class Mapped:
    """What a mapping gives a source: the texts of its queries."""

    changed: str = (
        'SELECT changed_at AS "cursor", report_no AS "key" FROM report'
        ' UNION ALL SELECT changed_at AS "cursor", report_no AS "key" FROM item'
    )
    parent: str = 'SELECT report_no AS "report_number", xm AS "patient.name", amount AS "amount" FROM report -- 报告'
    key: str = "report_number"
    details: Mapping[str, Detail] = field(
        default_factory=lambda: {
            "items": Detail('SELECT report_no AS "report_number", name AS "items.name" FROM item;')
        }
    )
    partners: Mapping[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    day: str = ""


@dataclass
class Hospital:
    """One way to reach one database: how to write to it (as the hospital does) and how to read it (as we do)."""

    name: str
    options: SourceOptions
    password: str
    write: Callable[..., None]

    def source(self, **changes: Any) -> Source:
        options = SourceOptions(**{**{f: getattr(self.options, f) for f in self.options.__struct_fields__}, **changes})
        source = open_source("lis", options, self.password)
        source._now = lambda: NOW
        return source


TABLES = (
    "CREATE TABLE report (report_no {key} PRIMARY KEY, xm {text}, amount {decimal}, changed_at {time})",
    "CREATE TABLE item (report_no {key}, name {text}, changed_at {time})",
)
KINDS = {
    "sqlite": {"key": "INTEGER", "text": "TEXT", "decimal": "NUMERIC", "time": "TEXT"},
    "postgres": {"key": "bigint", "text": "text", "decimal": "numeric(20,6)", "time": "timestamptz"},
    "mariadb": {"key": "bigint", "text": "varchar(6000)", "decimal": "decimal(20,6)", "time": "datetime(6)"},
}
WAYS = [
    "sqlite",
    "postgres",
    *(pytest.param(way, marks=pytest.mark.slow) for way in ("sqlite-odbc", "postgres-odbc", "mariadb", "mariadb-odbc")),
]


@pytest.fixture(params=WAYS)
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Hospital:
    engine, _, odbc = request.param.partition("-")
    made = _hospital(engine, bool(odbc), request, tmp_path)
    made.write(*(statement.format(**KINDS[engine]) for statement in TABLES))
    return made


def _hospital(engine: str, odbc: bool, request: pytest.FixtureRequest, tmp_path: Path) -> Hospital:
    if odbc:
        _needs_driver({"sqlite": "SQLite3", "postgres": "PostgreSQL Unicode", "mariadb": "MariaDB Unicode"}[engine])
    if engine == "sqlite":
        file = tmp_path / "lis.db"

        def write(*statements: str) -> None:
            with contextlib.closing(sqlite3.connect(file)) as connection:
                for statement in statements:
                    connection.execute(statement)
                connection.commit()

        options = (
            SourceOptions(odbc=f"Driver=SQLite3;Database={file}") if odbc else SourceOptions(url=f"sqlite:///{file}")
        )
        return Hospital("sqlite", options, "", write)
    server = request.getfixturevalue(engine)
    database = f"t{abs(hash(request.node.name)) % 10**9}"
    server.create(database)
    options = SourceOptions(odbc=server.odbc(database)) if odbc else SourceOptions(url=server.url(database))
    return Hospital(engine, options, PASSWORD, lambda *statements: server.execute(*statements, database=database))


def _needs_driver(name: str) -> None:
    import pyodbc

    if name not in pyodbc.drivers():
        pytest.skip(f"the ODBC driver {name!r} is not installed")


def report(
    number: int, time: str | None, name: str = "王小明", items: int = 0, item_time: str | None = None
) -> list[str]:
    """Statements of a hospital that writes a report. Times are local, without a zone, as a HIS writes them."""
    at = f"'{time}'" if time else "NULL"
    name = name.replace("'", "''")
    item_at = f"'{item_time}'" if item_time else at
    return [
        f"INSERT INTO report (report_no, xm, amount, changed_at) VALUES ({number}, '{name}', 12.5, {at})",
        *(
            f"INSERT INTO item (report_no, name, changed_at) VALUES ({number}, '项目{i}', {item_at})"
            for i in range(items)
        ),
    ]


def keys(source: Source, after: Watermark | None = None, overlap: timedelta = ONE_HOUR, limit: int = 500) -> list[str]:
    return [key for page in source.changed(Mapped(), after, overlap, limit) for key in page.keys]


def last_mark(source: Source, after: Watermark | None = None) -> Watermark | None:
    mark = after
    for page in source.changed(Mapped(), after, ONE_HOUR):
        mark = page.watermark
    return mark


# -- what changed --


def test_each_changed_report_is_named_once_and_in_order(hospital: Hospital) -> None:
    hospital.write(*report(2, "2026-09-30 08:00:00", items=3), *report(1, "2026-09-30 09:00:00", items=2))

    assert keys(hospital.source()) == ["2", "1"]


def test_a_later_detail_moves_the_report(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00"), *report(2, "2026-09-30 09:00:00"))
    source = hospital.source()
    mark = last_mark(source)
    hospital.write("INSERT INTO item (report_no, name, changed_at) VALUES (1, '补', '2026-09-30 11:00:00')")

    assert keys(source, mark, overlap=timedelta(0)) == ["1"]


def test_nothing_new_is_nothing_to_read(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00", items=2))
    source = hospital.source()

    assert keys(source, last_mark(source), overlap=timedelta(0)) == []


def test_equal_timestamps_are_told_apart_by_their_keys(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors.source, "WINDOW", 4)  # a window's edge falls among them, again and again
    hospital.write(*(s for n in range(1, 24) for s in report(n, "2026-09-30 08:00:00")))

    for limit in (1, 3, 500):
        assert sorted(map(int, keys(hospital.source(), limit=limit))) == list(range(1, 24))


def test_a_run_resumes_at_its_watermark_page_by_page(hospital: Hospital) -> None:
    hospital.write(*(s for n in range(1, 8) for s in report(n, "2026-09-30 08:00:00")))
    hospital.write(*(s for n in range(8, 11) for s in report(n, "2026-09-30 08:00:00.250000")))
    source = hospital.source()
    mark: Watermark | None = None
    found: list[str] = []
    for _ in range(10):  # the agent dies after each page
        page = next(iter(source.changed(Mapped(), mark, timedelta(0), 3)), None)
        if page is None:
            break
        found += page.keys
        mark = page.watermark

    assert found == [str(n) for n in range(1, 11)]


def test_a_late_commit_inside_the_overlap_is_found(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00"))
    source = hospital.source()
    mark = last_mark(source)
    hospital.write(*report(2, "2026-09-30 07:30:00"), *report(3, "2026-09-30 06:30:00"))

    assert keys(source, mark) == ["2", "1"]  # and 3, older than the overlap, is not: that is what an overlap is


def test_the_watermark_does_not_go_back_into_the_overlap(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00"))
    source = hospital.source()
    mark = last_mark(source)
    hospital.write(*report(2, "2026-09-30 07:30:00"))

    assert last_mark(source, mark) == mark


def test_a_row_without_a_cursor_is_read_in_every_run(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00"), *report(2, None, items=2))
    source = hospital.source()

    assert keys(source) == ["1", "2"]
    assert keys(source, last_mark(source), overlap=timedelta(0)) == ["2"]


def test_only_rows_without_a_cursor_leave_no_watermark(hospital: Hospital) -> None:
    hospital.write(*report(1, None))

    assert last_mark(hospital.source()) is None


def test_many_rows_without_a_cursor_are_paged(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors.source, "WINDOW", 4)
    hospital.write(*(s for n in range(1, 12) for s in report(n, None, items=2)))

    assert sorted(map(int, keys(hospital.source(), limit=3))) == list(range(1, 12))


def test_a_mistyped_year_hides_nothing_written_after_it(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00"), *report(2, "2062-09-30 08:00:00"))
    source = hospital.source()
    assert keys(source) == ["1", "2"]
    mark = last_mark(source)
    hospital.write(*report(3, "2026-09-30 09:00:00"))

    assert mark is not None
    assert "2026" in mark.cursor
    assert keys(source, mark, overlap=timedelta(0)) == ["3", "2"]


def test_what_is_written_during_a_run_is_not_lost(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors.source, "WINDOW", 3)
    hospital.write(*(s for n in range(1, 7) for s in report(n, f"2026-09-30 0{n}:00:00")))
    found: list[str] = []
    for page in hospital.source().changed(Mapped(), None, ONE_HOUR, 3):
        found += page.keys
        if len(found) == 3:
            hospital.write("UPDATE report SET changed_at = '2026-09-30 11:00:00' WHERE report_no = 1")

    assert sorted(set(found)) == [str(n) for n in range(1, 7)]
    assert found.count("1") == 2  # read, then changed, then read again


def test_a_range_gives_the_keys_between_two_times(hospital: Hospital) -> None:
    hospital.write(*(s for n in range(1, 10) for s in report(n, f"2026-09-30 0{n}:00:00", items=2)))
    low, high = datetime(2026, 9, 30, 3), datetime(2026, 9, 30, 6)

    pages = list(hospital.source().range(Mapped(), low, high, limit=2))

    assert pages == [("3", "4"), ("5",)]


# -- by key --


def test_rows_come_with_their_details_by_key(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00", items=3), *report(2, "2026-09-30 09:00:00", "李四", items=1))

    rows = hospital.source().rows(Mapped(), ["2", "1", "7"])

    assert rows.parent.columns == ("report_number", "patient.name", "amount")
    assert sorted((r[0], r[1], Decimal(r[2])) for r in rows.parent.rows) == [(1, "王小明", 12.5), (2, "李四", 12.5)]
    assert rows.details["items"].columns == ("report_number", "items.name")
    assert sorted(r[0] for r in rows.details["items"].rows) == [1, 1, 1, 2]


def test_no_keys_are_no_rows_but_the_columns_are_known(hospital: Hospital) -> None:
    rows = hospital.source().rows(Mapped(), [])

    assert rows.parent.columns == ("report_number", "patient.name", "amount")
    assert list(rows.parent.rows) == list(rows.details["items"].rows) == []


def test_more_keys_than_one_statement_takes(hospital: Hospital) -> None:
    hospital.write("INSERT INTO report (report_no) VALUES " + ", ".join(f"({n})" for n in range(1, 1301)))
    wanted = [str(n) for n in range(1, 1201)]

    rows = hospital.source().rows(Mapped(), wanted).parent.rows

    assert sorted(r[0] for r in rows) == list(range(1, 1201))


def test_a_nineteen_digit_key_stays_whole(hospital: Hospital) -> None:
    near = [1985612312345678901, 1985612312345678902]  # one double for both
    hospital.write(*(s for n in near for s in report(n, "2026-09-30 08:00:00", items=1)))
    source = hospital.source()

    assert sorted(keys(source)) == [str(n) for n in near]
    assert [r[0] for r in source.rows(Mapped(), [str(near[1])]).parent.rows] == [near[1]]
    assert [r[0] for r in source.rows(Mapped(), [str(near[1])]).details["items"].rows] == [near[1]]


def test_a_key_that_cannot_be_one_is_simply_not_there(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00"))

    assert list(hospital.source().rows(Mapped(), ["no such number", "1; DROP TABLE report"]).parent.rows) == []


def test_text_keys_with_blanks_quotes_and_rare_characters(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00", "A'1 %s ?"), *report(2, "2026-09-30 08:00:00", "𠮷-😀-王"))
    mapped = Mapped(
        changed="SELECT changed_at AS \"cursor\", xm AS \"key\" FROM report WHERE xm LIKE '%%' OR xm LIKE '%s'",
        parent='SELECT xm AS "report_number", report_no AS "n" FROM report',
        details={},
    )
    source = hospital.source()

    found = [k for page in source.changed(mapped, None, ONE_HOUR) for k in page.keys]
    rows = source.rows(mapped, found).parent.rows

    assert sorted(found) == ["A'1 %s ?", "𠮷-😀-王"]
    assert sorted(r[1] for r in rows) == [1, 2]


def test_details_can_come_from_another_source(hospital: Hospital, tmp_path: Path) -> None:
    other = tmp_path / "his.db"
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE diagnosis (bgh TEXT, mc TEXT)")
        connection.execute("INSERT INTO diagnosis VALUES ('1', '肺炎'), ('2', '感冒')")
        connection.commit()
    his = open_source("his", SourceOptions(url=f"sqlite:///{other}"))
    hospital.write(*report(1, "2026-09-30 08:00:00"))
    mapped = Mapped(details={"diagnoses": Detail('SELECT bgh AS "report_number", mc AS "name" FROM diagnosis', "his")})

    rows = hospital.source().rows(mapped, ["1"], {"his": his})

    assert list(rows.details["diagnoses"].rows) == [("1", "肺炎")]
    with pytest.raises(ConfigurationError, match=r"'his'.*not configured"):
        hospital.source().rows(mapped, ["1"])


def test_parent_and_details_are_of_one_moment(hospital: Hospital) -> None:
    if hospital.options.odbc and hospital.name == "sqlite":
        return  # its driver begins no transaction for a SELECT: there is no one moment to hold it to
    hospital.write(*report(1, "2026-09-30 08:00:00", items=1))
    if hospital.name == "sqlite":
        hospital.write("PRAGMA journal_mode = WAL")
    source = hospital.source()
    with source.session() as ask:
        before = ask("SELECT COUNT(*) FROM report", (), "parent").rows[0][0]
        hospital.write(*report(2, "2026-09-30 08:00:00", items=1))
        after = ask("SELECT COUNT(*) FROM item", (), "items").rows[0][0]

    assert (before, after) == (1, 1)


# -- values --


def test_values_arrive_as_what_they_are(hospital: Hospital) -> None:
    long = "长" * 5000
    hospital.write(*report(1, "2026-09-30 08:00:00.123456", "𠮷野家😀 \u00a0é"), *report(2, None, long))
    hospital.write("UPDATE report SET amount = 12345678901234.000001 WHERE report_no = 1")
    mapped = Mapped(parent='SELECT report_no AS "report_number", xm, amount, changed_at FROM report', details={})

    first, second = sorted(hospital.source().rows(mapped, ["1", "2"]).parent.rows)

    assert first[1] == "𠮷野家😀 \u00a0é"
    assert second[1] == long
    assert second[3] is None
    if hospital.name != "sqlite":  # which has no decimals and no times of its own
        assert first[2] == Decimal("12345678901234.000001")
        assert first[3].replace(tzinfo=None) == datetime(2026, 9, 30, 8, 0, 0, 123456)


def test_times_with_and_without_a_zone(postgres: Any, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for odbc in (False, True):
        hospital = _hospital("postgres", odbc, request, tmp_path)
        hospital.write(
            "CREATE TABLE t (k bigint, plain timestamp, zoned timestamptz, day date)",
            "INSERT INTO t VALUES (1, '2026-09-30 08:00', '1989-12-31 16:00+00', '1990-01-01')",
        )
        mapped = Mapped(parent='SELECT k AS "report_number", plain, zoned, day FROM t', details={})

        row = hospital.source().rows(mapped, ["1"]).parent.rows[0]

        # Over ODBC a time with a zone comes without one, in the session's zone: which is the institution's.
        assert row[1] == datetime(2026, 9, 30, 8)
        assert (row[2].astimezone(SHANGHAI) if row[2].tzinfo else row[2]).date() == date(1990, 1, 1)
        assert row[3] == date(1990, 1, 1)


def test_a_cursor_with_a_zone_goes_through_text_and_back(
    postgres: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    hospital = _hospital("postgres", False, request, tmp_path)
    hospital.write(*(s.format(**KINDS["postgres"]) for s in TABLES), *report(1, "2026-09-30 08:00:00+08:00"))
    source = hospital.source()

    mark = last_mark(source)

    assert mark == Watermark("time:2026-09-30T08:00:00+08:00", "1")
    assert keys(source, mark, overlap=timedelta(0)) == []
    assert keys(source, mark) == ["1"]


@pytest.mark.parametrize("column", ["integer", "numeric(12,0)", "double precision", "date", "varchar(14)"])
def test_cursors_of_other_types(column: str, postgres: Any, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    values = {"date": ["'2026-09-28'", "'2026-09-29'"], "varchar(14)": ["'20260930080000'", "'20260930090000'"]}
    for odbc in (False, True):
        hospital = _hospital("postgres", odbc, request, tmp_path)
        low, high = values.get(column, ["7", "9"])
        hospital.write(
            f"CREATE TABLE report (report_no bigint, changed_at {column})",
            f"INSERT INTO report VALUES (1, {low}), (2, {low}), (3, {high})",
        )
        mapped = Mapped(changed='SELECT changed_at AS "cursor", report_no AS "key" FROM report', details={})
        source = hospital.source()
        first = next(iter(source.changed(mapped, None, ONE_HOUR, 2)))

        rest = [p.keys for p in source.changed(mapped, first.watermark, timedelta(0))]

        assert (first.keys, rest) == (("1", "2"), [("3",)])


def test_a_year_beyond_the_calendar_stops_nobody(postgres: Any, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    hospital = _hospital("postgres", False, request, tmp_path)
    hospital.write(
        "CREATE TABLE t (k bigint, born date, seen timestamp)",
        "INSERT INTO t VALUES (1, '20260-01-01', 'infinity'), (2, '2026-01-01', '2026-01-01')",
    )
    mapped = Mapped(parent='SELECT k AS "report_number", born, seen FROM t', details={})

    rows = hospital.source().rows(mapped, ["1", "2"]).parent.rows

    assert [r[1] for r in sorted(rows)] == ["20260-01-01", "2026-01-01"]


@pytest.mark.parametrize("odbc", [False, True])
def test_text_that_is_not_utf8_stops_nobody(odbc: bool, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    hospital = _hospital("sqlite", odbc, request, tmp_path)
    hospital.write(
        "CREATE TABLE t (k INTEGER, xm TEXT)",
        "INSERT INTO t VALUES (1, CAST(x'cdf5d0a1c3f7' AS TEXT)), (2, '李四')",  # 王小明 in GBK
    )
    mapped = Mapped(parent='SELECT k AS "report_number", xm FROM t', details={})
    source = hospital.source()

    one, two = sorted(source.rows(mapped, ["1", "2"]).parent.rows)

    assert "\ufffd" in one[1]
    assert two[1] == "李四"
    assert source.rows(mapped, ["2"]).parent.rows == [(2, "李四")]


# -- a guest's manners --


def test_nothing_can_be_written_through_our_session(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00"))
    source = hospital.source()

    with pytest.raises(SourceRefused, match="read-only"), source.session() as ask:
        ask(Own("INSERT INTO report (report_no) VALUES (2)"), (), "changed")  # past the allow-list

    assert keys(source) == ["1"]


ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT COUNT(*) AS c FROM n"
)
SLOW = {"sqlite": ENDLESS, "postgres": "SELECT pg_sleep(60)", "mariadb": "SELECT SLEEP(60) FROM report"}


def test_a_statement_that_takes_too_long_is_ended(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00"))
    source = hospital.source(statement_timeout=timedelta(seconds=1))
    started = time.monotonic()

    with pytest.raises(SourceUnreachable, match="time-out"), source.session() as ask:
        ask(Own(SLOW[hospital.name]), (), "changed")

    assert time.monotonic() - started < 10
    assert keys(source) == ["1"]  # and the source goes on


def test_a_join_without_a_condition_is_stopped(hospital: Hospital) -> None:
    hospital.write(*(s for n in range(1, 21) for s in report(n, "2026-09-30 08:00:00", items=1)))
    mapped = Mapped(details={"items": Detail('SELECT a.report_no AS "report_number", b.name FROM item a, item b')})

    with pytest.raises(SourceRefused, match=r"more than 50 rows.*join"):
        hospital.source(max_rows=50).rows(mapped, [str(n) for n in range(1, 21)])


# -- errors --


def test_an_unknown_column_is_named(hospital: Hospital) -> None:
    source = hospital.source()

    with pytest.raises(SourceRefused, match=r"unknown column .*xming") as caught:
        source.rows(Mapped(parent='SELECT report_no AS "report_number", xming FROM report'), ["1"])

    assert "source lis: query 'parent'" in str(caught.value)
    assert caught.value.exit_code == 78
    assert keys(source) == []


def test_an_unknown_table_is_named(hospital: Hospital) -> None:
    with pytest.raises(SourceRefused, match=r"query 'changed': unknown table .*lab_reports"):
        list(
            hospital.source().changed(
                Mapped(changed='SELECT 1 AS "cursor", 2 AS "key" FROM lab_reports'), None, ONE_HOUR
            )
        )


def test_a_missing_alias_is_named(hospital: Hospital) -> None:
    with pytest.raises(SourceRefused, match=r"unknown column .*report_number"):
        hospital.source().rows(Mapped(parent="SELECT report_no FROM report"), ["1"])


def test_bad_sql_is_said_to_be_that(hospital: Hospital) -> None:
    with pytest.raises(SourceRefused, match="syntax"):
        hospital.source().rows(Mapped(parent='SELECT report_no AS "report_number" FORM report'), ["1"])


def test_a_probe_finds_mistakes_in_any_query(hospital: Hospital) -> None:
    source = hospital.source()
    source.probe(Mapped())

    with pytest.raises(SourceRefused, match=r"'items': unknown column .*nmae"):
        source.probe(Mapped(details={"items": Detail('SELECT report_no AS "report_number", nmae FROM item')}))


def test_no_error_carries_a_value(hospital: Hospital) -> None:
    hospital.write(*report(1, "2026-09-30 08:00:00", SECRET))
    source = hospital.source(allow_functions=("extractvalue",))
    cast = {"sqlite": "abs(json(xm))", "postgres": "CAST(xm AS bigint)", "mariadb": "EXTRACTVALUE(xm, CONCAT('/', xm))"}
    mapped = Mapped(parent=f'SELECT report_no AS "report_number", {cast[hospital.name]} AS n FROM report')

    with pytest.raises(SourceError) as caught:
        source.rows(mapped, ["1"])

    error: BaseException | None = caught.value
    assert error is not None
    assert error.__suppress_context__
    assert SECRET not in str(error)
    assert "王小明" not in str(error)


@pytest.mark.parametrize("odbc", [False, True])
@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_a_wrong_password_is_refused(engine: str, odbc: bool, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    hospital = _hospital(engine, odbc, request, tmp_path)
    hospital.password = "错的密码 wrong"

    with pytest.raises(SourceRefused, match="user or password is wrong") as caught:
        hospital.source().probe()

    assert "wrong" not in str(caught.value).replace("is wrong", "")
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("odbc", [False, True])
@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_an_account_that_may_not_read_is_told_so(
    engine: str, odbc: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    hospital = _hospital(engine, odbc, request, tmp_path)
    hospital.write(*(s.format(**KINDS[engine]) for s in TABLES))
    options = {
        "odbc": hospital.options.odbc.replace("UID=admin", "UID=reader"),
        "url": hospital.options.url.replace("//admin@", "//reader@"),
    }
    if engine == "mariadb":  # let in, but nothing granted on the tables
        hospital.write("CREATE TABLE open_to_all (a int)", "GRANT SELECT ON open_to_all TO reader@'127.0.0.1'")
    hospital.password = READER_PASSWORD

    with pytest.raises(SourceRefused, match=r"may not read this.*SELECT"):
        hospital.source(**options).rows(Mapped(), ["1"])


@pytest.mark.parametrize("odbc", [False, True])
@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_a_server_that_is_not_there_is_unreachable(engine: str, odbc: bool) -> None:
    port = free_port()
    if odbc:
        driver = {"postgres": "PostgreSQL Unicode", "mariadb": "MariaDB Unicode"}[engine]
        _needs_driver(driver)
        options = SourceOptions(odbc=f"Driver={{{driver}}};Server=127.0.0.1;Port={port};Database=x;UID=admin")
    else:
        scheme = {"postgres": "postgresql", "mariadb": "mariadb"}[engine]
        options = SourceOptions(url=f"{scheme}://admin@127.0.0.1:{port}/x")

    with pytest.raises(SourceUnreachable) as caught:
        open_source("his", options, PASSWORD).probe()

    assert caught.value.exit_code == 1
    assert PASSWORD not in str(caught.value)


def test_a_missing_sqlite_file_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable):
        open_source("his", SourceOptions(url=f"sqlite:///{tmp_path}/none.db")).probe()
    assert not (tmp_path / "none.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("odbc", [False, True])
@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_a_server_that_goes_and_comes_back(engine: str, odbc: bool) -> None:
    """Killed between two pages: unreachable, not refused; and the same source object works again once it is back."""
    started = postgres_server() if engine == "postgres" else mariadb_server()
    with started as server:
        server.create("lis")
        server.execute(*(s.format(**KINDS[engine]) for s in TABLES), *report(1, "2026-09-30 08:00:00"), database="lis")
        options = SourceOptions(odbc=server.odbc("lis")) if odbc else SourceOptions(url=server.url("lis"))
        source = open_source("lis", options, PASSWORD)
        assert keys(source) == ["1"]
        with _frozen(server.process.pid), pytest.raises(SourceUnreachable):
            _impatient(source)
        _drop_sessions(engine, server)
        with contextlib.suppress(SourceUnreachable):  # a dropped session is noticed by the first statement
            keys(source)
        assert keys(source) == ["1"]
        server.stop()
        with pytest.raises(SourceUnreachable):
            keys(source)


def _impatient(source: Source) -> None:
    import connectors.odbc
    import connectors.sql

    connectors.sql.GRACE = connectors.odbc.GRACE = 0.5
    try:
        short = open_source(
            "lis",
            SourceOptions(
                **{
                    **_fields(source.options),
                    "statement_timeout": timedelta(seconds=1),
                    "connect_timeout": timedelta(seconds=2),
                }
            ),
            PASSWORD,
        )
        short.probe()
    finally:
        connectors.sql.GRACE = connectors.odbc.GRACE = 5.0


def _fields(options: SourceOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__struct_fields__}


def _drop_sessions(engine: str, server: Any) -> None:
    if engine == "postgres":
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'lis'")
        return
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = 'lis'")
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {number}")


@contextlib.contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
