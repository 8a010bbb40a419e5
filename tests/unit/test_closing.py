"""Closed months: what is sent again of them is refused unless somebody says so; what the source corrects goes on, counted."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import pytest
from pipe import NOW, document, held, taken

from frontend_agent.closing import MonthClosed, NotAMonth, due, months_between, parse_month
from frontend_agent.measuring import Event, Figures
from frontend_agent.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def test_a_closed_month_is_closed_until_it_is_opened(spool: Spool) -> None:
    assert spool.closing.close(202609, "li", "月报已上报", NOW)
    assert not spool.closing.close(202609, "li", "again", NOW)
    assert spool.closing.is_closed(20260930)
    assert spool.closing.is_closed(date(2026, 9, 1))
    assert not spool.closing.is_closed(20261001)
    assert spool.closing.open(202609, "wang", "漏报补传", NOW)
    assert not spool.closing.is_closed(20260930)
    assert [(act.action, act.who, act.closed) for act in spool.closing.listed()] == [
        ("opened", "wang", False),
        ("closed", "li", False),
    ]


def test_it_is_remembered(tmp_path: Path) -> None:
    with Spool(tmp_path / "state").open() as spool:
        spool.closing.close(202609, "li", "", NOW)
    with Spool(tmp_path / "state").open() as spool:
        assert spool.closing.months == {202609}


def test_who_closed_and_opened_is_in_the_chained_log(spool: Spool) -> None:
    spool.closing.close(202609, "li", "why", NOW)
    spool.closing.open(202609, "wang", "because", NOW)
    told = [msgspec.json.decode(entry.body) for entry in spool.log_entries()]
    assert [(one["event"], one["action"], one["who"], one["reason"]) for one in told] == [
        ("closing", "closed", "li", "why"),
        ("closing", "opened", "wang", "because"),
    ]
    assert spool.verify_log().ok


def test_sending_again_is_refused_unless_somebody_says_why(spool: Spool) -> None:
    spool.closing.close(202609, "li", "", NOW)
    spool.closing.allow([20261001, 20260831], "resend", "li", "", NOW)
    with pytest.raises(MonthClosed, match=r"2026-09.*--closed --reason"):
        spool.closing.allow([20260915, 20261001], "resend", "li", " ", NOW)
    before = spool.log_head()[0]
    spool.closing.allow([20260915], "resend lab 2026-09-15", "wang", "漏报", NOW)
    (entry,) = list(spool.log_entries(before + 1))
    said = msgspec.json.decode(entry.body)
    assert (said["event"], said["months"], said["who"]) == ("closing passed over", ["2026-09"], "wang")


def test_what_real_time_makes_of_a_closed_month_is_kept_and_counted(spool: Spool) -> None:
    spool.closing.close(202609, "li", "", NOW)
    old, new, waits = document("old"), document("new"), held("waits")
    events = {
        old.document_id: Event(20260912, None, ""),
        new.document_id: Event(20261001, None, ""),
        waits.set_id: Event(20260912, None, ""),
    }
    spool.commit(taken(old, new, held=[waits], figures=Figures(events=events)))
    (act,) = spool.closing.listed()
    assert act.late == 1
    assert act.last_late_at == NOW
    assert spool.pending("platform") == 2


def test_held_records_and_refused_documents_of_closed_months_are_known(spool: Spool) -> None:
    sent = document("sent")
    events = {sent.document_id: Event(20260912, None, "")}
    for key, day in (("closed", 20260912), ("open", 20261001), ("none", 0)):
        waits = held(key)
        if day:
            events[waits.set_id] = Event(day, None, "")
        spool.commit(taken(held=[waits], figures=Figures(events=events)))
    spool.commit(taken(sent, figures=Figures(events=events)))
    assert spool.closing.cases_among(["Q1", "Q2", "D1@platform"]) == set()
    spool.closing.close(202609, "li", "", NOW)
    assert spool.closing.cases_among(["Q1", "Q2", "Q3", "Q99", "D1@platform", "nonsense"]) == {"Q1", "D1@platform"}
    assert spool.closing.of_causes(["G1"]) == 1
    release = spool.begin_release(["G1"], "li", NOW)
    assert sum(spool.release_groups(release, ["G1"], "li", NOW, closed=spool.closing.months)) == 2
    assert [case.state for case in spool.quarantine_list()] == ["open", "released", "released"]
    again = spool.begin_release(["G1"], "li", NOW)
    assert sum(spool.release_groups(again, ["G1"], "li", NOW)) == 3


@pytest.mark.parametrize(
    ("today", "known", "wanted"),
    [
        (date(2026, 11, 4), set(), []),
        (date(2026, 11, 5), set(), [202610]),
        (date(2026, 11, 30), {202610}, []),
        (date(2027, 1, 5), {202611}, [202612]),
        (date(2027, 3, 1), {202610}, [202611, 202612, 202701]),  # it was off: made up for
        (date(2027, 1, 6), {202610, 202612}, [202611]),
        (date(2200, 1, 5), {202610}, [219910, 219911, 219912]),  # a wrong clock closes nothing that is of this world
    ],
)
def test_months_close_by_themselves(today: date, known: set[int], wanted: list[int]) -> None:
    assert due(5, today, known) == wanted
    assert due(0, today, known) == []


def test_months_are_written_as_a_person_does() -> None:
    assert parse_month("2026-10") == 202610
    for wrong in ("2026-13", "2026-1", "202610", ""):
        with pytest.raises(NotAMonth):
            parse_month(wrong)
    assert months_between(date(2025, 11, 30), date(2026, 2, 1)) == [202511, 202512, 202601]
