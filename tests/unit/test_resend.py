"""What reconciliation writes into the state: keys that are asked for once more, deliveries that a platform lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pipe import FEED, NOW, document, fill, held, id_of, taken

from frontend_agent.errors import StateError
from frontend_agent.model import Outcome, Receipt
from frontend_agent.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def delivered(spool: Spool, *keys: str) -> None:
    for claimed in spool.claim("platform", now=NOW):
        one = claimed.document
        spool.settle("platform", [Receipt(one.document_id, Outcome.STORED, one.sha256)], now=NOW)
    assert spool.counts().deliveries["platform"].get("delivered") == len(keys)


def set_of(key: str) -> str:
    return id_of(key).rpartition("-")[0]


def test_what_is_asked_for_is_forgotten_in_the_commit_that_takes_it(spool: Spool) -> None:
    spool.reconciliations.ask(FEED, [(set_of("A"), "A"), (set_of("B"), "B")], NOW)
    spool.reconciliations.ask(FEED, [(set_of("A"), "A")], NOW)  # twice is once
    assert sorted(key for _, key in spool.reconciliations.asked(FEED, 10)) == ["A", "B"]
    assert spool.reconciliations.asked("another", 10) == []
    spool.commit(taken(document("A"), asked=[set_of("A")]))
    assert [key for _, key in spool.reconciliations.asked(FEED, 10)] == ["B"]
    assert spool.reconciliations.left(FEED) == 1


def test_a_commit_that_fails_forgets_nothing(spool: Spool) -> None:
    fill(spool, ["A"])
    spool.reconciliations.ask(FEED, [(set_of("A"), "A")], NOW)
    with pytest.raises(StateError):
        spool.commit(taken(document("A"), asked=[set_of("A")]))  # that version is there already
    assert spool.reconciliations.left(FEED) == 1


def test_it_is_asked_in_pages(spool: Spool) -> None:
    spool.reconciliations.ask(FEED, [(set_of(f"K{n}"), f"K{n}") for n in range(7)], NOW)
    first = spool.reconciliations.asked(FEED, 4)
    rest = spool.reconciliations.asked(FEED, 4, first[-1][0])
    assert len({key for _, key in (*first, *rest)}) == 7


def test_what_a_platform_lost_goes_again_with_the_same_bytes_and_the_log_says_so(spool: Spool) -> None:
    ids = fill(spool, ["A", "B"])
    before = {one.document.document_id: one.document.frame for one in spool.claim("platform", now=NOW)}
    for name in ids:
        spool.settle("platform", [Receipt(name, Outcome.STORED, document(_key(name)).sha256)], now=NOW)
    assert spool.reconciliations.reopen("platform", [ids[0], "nobody-1", "not an id"], NOW) == 1
    states = spool.counts().deliveries["platform"]
    assert (states["ready"], states["delivered"]) == (1, 1)
    (again,) = spool.claim("platform", now=NOW)
    assert (again.document.document_id, again.document.frame) == (ids[0], before[ids[0]])
    (entry,) = spool.log_newest(1)
    assert b'"lost"' in entry.body
    assert spool.verify_log().ok


def _key(document_id: str) -> str:
    return "A" if document_id == id_of("A") else "B"


def test_it_is_reopened_once_only(spool: Spool) -> None:
    (one,) = fill(spool, ["A"])
    delivered(spool, "A")
    assert spool.reconciliations.reopen("platform", [one], NOW) == 1
    assert spool.reconciliations.reopen("platform", [one], NOW) == 0  # it is on its way already


def test_without_its_bytes_the_record_becomes_the_next_version(spool: Spool) -> None:
    (one,) = fill(spool, ["A"])
    delivered(spool, "A")
    assert spool.retire(timedelta(0), NOW + timedelta(days=1)) == 1
    assert spool.reconciliations.reopen("platform", [one], NOW) == 1
    states = spool.counts().deliveries["platform"]
    assert (states["delivered"], states["discarded"]) == (0, 1)
    assert spool.again(FEED) == ["A"]
    head = spool.series([set_of("A")])[set_of("A")]
    assert head.version == 1
    assert head.document_hash == ""  # so the same content is a new version


def test_held_and_documents_of_a_day_are_found_by_their_day(spool: Spool) -> None:
    from frontend_agent.measuring import Event, Figures

    waits, made, other = held("H"), document("A"), document("B")
    events = {
        made.document_id: Event(20260929, None, "内科"),
        other.document_id: Event(20260930, None, "内科"),
        waits.set_id: Event(20260929, None, "外科"),
    }
    spool.commit(taken(made, other, held=[waits], figures=Figures(events=events)))
    keys = [key for page in spool.reconciliations.days(FEED, 20260929, 20260929) for key in page]
    assert sorted(keys) == ["A", "H"]
    kept = spool.reconciliations.kept([waits.set_id, made.set_id, "unknown"])
    assert {name: (one.day, one.department, one.version) for name, one in kept.items()} == {
        waits.set_id: (20260929, "外科", 0),
        made.set_id: (20260929, "内科", 1),
    }


def test_past_ones_are_bounded(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontend_agent.spool.reconciliations.KEPT", 3)
    told = {
        "feed": FEED, "kind": "C0007", "first": 20260929, "last": 20260929, "totals": {}, "differences": [], "differing": 0,
        "mended": 0, "problem": "",
    }  # fmt: skip
    for night in range(6):
        spool.reconciliations.keep(
            told, institution="H", missed=[("K", 20260929, "")], who="", started_at=NOW, now=NOW + timedelta(days=night)
        )
    assert len(spool.reconciliations.listed(FEED)) == 3
    assert spool.statistics.missed(20260929, 20260929) == [(20260929, FEED, "C0007", "H", "", 1)]
