"""Sending out: every way a destination can fail, and who is to blame for it (law 7)."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from pipe import NOW, FakePlatform, document, fill, id_of, later, taken

from frontend_agent.app import App
from frontend_agent.delivery import AFTER, OPEN, STUCK, Event, State, after, back_off
from frontend_agent.errors import DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.model import Blame, Document, Outcome
from frontend_agent.sending import LONGEST_PAUSE, send_out
from frontend_agent.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state", random=Random(1)).open() as opened:
        yield opened


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


def send(platform: FakePlatform, spool: Spool, now: datetime = NOW, limit: int = 100) -> int:
    return send_out(platform, spool, now, limit=limit, random=Random(1))


def drain(platform: FakePlatform, spool: Spool, start: datetime = NOW, rounds: int = 200) -> datetime:
    """Go on sending, a pause apart, until nothing is on its way any more."""
    now = start
    for _ in range(rounds):
        if not spool.pending(platform.name):
            return now
        send(platform, spool, now)
        now += LONGEST_PAUSE
    return now


def states(spool: Spool, *ids: str) -> list[str]:
    return [trace.deliveries[0].state for name in ids if (trace := spool.trace(name))]


def keys(count: int) -> list[str]:
    return [f"k{n:03d}" for n in range(count)]


# --- the plain way ----------------------------------------------------------------------------------------------------


def test_many_documents_travel_in_one_request_and_are_settled_by_their_receipts(
    platform: FakePlatform, spool: Spool
) -> None:
    ids = fill(spool, keys(250))
    assert [send(platform, spool) for _ in range(4)] == [100, 100, 50, 0]
    assert [len(request) for request in platform.requests] == [100, 100, 50]
    assert platform.received == ids
    assert spool.pending("platform") == 0


def test_a_refused_document_is_not_sent_again_and_its_neighbours_are_stored(
    platform: FakePlatform, spool: Spool
) -> None:
    a, b, c = fill(spool, "abc")
    platform.refused[b] = "duplicate id"
    assert send(platform, spool) == 3
    assert send(platform, spool, later(days=1)) == 0
    assert platform.received == [a, c]
    assert spool.quarantine_list()[0].reasons == ("duplicate id",)


def test_versions_arrive_in_order(platform: FakePlatform, spool: Spool) -> None:
    spool.commit(taken(*[document("a", version) for version in range(1, 6)]))
    drain(platform, spool)
    assert platform.received == [id_of("a", version) for version in range(1, 6)]


def test_the_countersigned_head_of_our_log_is_kept(platform: FakePlatform, spool: Spool) -> None:
    fill(spool, "a")
    platform.countersigns = spool.log_head()
    send(platform, spool)
    verdict = spool.verify_log(lambda head: head.evidence == b"evidence")
    assert (verdict.ok, verdict.proven, verdict.not_yet_proven) == (True, 1, 1)


# --- network ----------------------------------------------------------------------------------------------------------


def test_a_platform_that_is_down_is_left_alone_longer_and_longer(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(5))
    platform.goes_down()
    now, waits = NOW, []
    for _ in range(12):
        assert send(platform, spool, now) == 0
        pause = spool.pause("platform")
        assert pause.due_at
        waits.append(pause.due_at - now)
        assert send(platform, spool, pause.due_at - timedelta(milliseconds=1)) == 0
        now = pause.due_at
    assert len(platform.requests) == 12  # one per pause, never more
    assert waits == sorted(waits)
    assert waits[-1] <= LONGEST_PAUSE
    assert (spool.pause("platform").blame, spool.pause("platform").failures) == ("network", 12)
    assert states(spool, *ids) == ["ready"] * 5
    assert spool.quarantine_list() == []

    platform.comes_back()
    send(platform, spool, now)
    assert platform.received == ids
    assert spool.pause("platform").failures == 0
    trace = spool.trace(ids[0])
    assert trace
    assert trace.deliveries[0].attempts == 1  # nothing of it counted against the document


def test_a_cut_after_the_platform_committed_has_no_second_effect(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(3))
    platform.cuts_after_commit = 2
    drain(platform, spool)
    assert platform.received == ids
    assert platform.second_effects == []
    assert states(spool, *ids) == ["delivered"] * 3


def test_a_document_without_a_word_in_the_answer_goes_again(platform: FakePlatform, spool: Spool) -> None:
    a, b = fill(spool, "ab")
    platform.forgets = 1
    assert send(platform, spool) == 1
    assert states(spool, a, b) == ["uncertain", "delivered"]
    drain(platform, spool, later(minutes=10))
    assert states(spool, a) == ["delivered"]
    assert platform.received == [a, b]


def test_receipts_for_other_bytes_settle_nothing(platform: FakePlatform, spool: Spool) -> None:
    fill(spool, "ab")
    platform.lies_about_hashes = True
    assert send(platform, spool) == 0
    assert spool.pending("platform") == 2
    platform.lies_about_hashes = False
    drain(platform, spool, later(minutes=10))
    assert spool.pending("platform") == 0
    assert spool.quarantine_list() == []


def test_going_down_in_the_middle_of_halving_blames_nobody(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(8))

    def refuse_then_vanish(_: Sequence[Document]) -> None:
        raise RefusedWhole("500") if len(platform.requests) < 4 else DestinationUnreachable("gone")

    platform.trouble = refuse_then_vanish
    assert send(platform, spool) == 0
    assert states(spool, *ids) == ["ready"] * 8
    platform.comes_back()
    drain(platform, spool, later(minutes=5))
    assert platform.received == ids


# --- the platform -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["500 Internal Server Error", "413 Payload Too Large", "an answer that is no JSON"])
def test_a_platform_that_refuses_everything_marks_no_document_bad(
    platform: FakePlatform, spool: Spool, answer: str
) -> None:
    ids = fill(spool, keys(120))
    platform.goes_down(RefusedWhole(answer))
    now = NOW
    for _ in range(30):
        send(platform, spool, now)
        now += LONGEST_PAUSE
    assert spool.quarantine_list() == []
    assert spool.pending("platform") == 120
    assert len(platform.requests) < 30 * 10  # and it is not hammered while it is ill
    pause = spool.pause("platform")
    assert (pause.blame, pause.problem, pause.since) == ("platform", answer, NOW)

    platform.comes_back()
    drain(platform, spool, now)
    assert sorted(platform.received) == sorted(ids)
    assert spool.quarantine_list() == []


def test_not_being_let_in_is_nobodys_fault_and_is_asked_again_slowly(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(3))
    platform.goes_down(NotAllowed("401: the certificate is not known"))
    send(platform, spool)
    pause = spool.pause("platform")
    assert pause.due_at
    assert pause.due_at >= later(minutes=1)
    assert pause.problem.startswith("401")
    assert states(spool, *ids) == ["ready"] * 3


def test_a_platform_that_asks_for_time_gets_it(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(4))
    platform.asks_for_time = set(ids)
    assert send(platform, spool) == 0
    assert spool.pause("platform").failures == 1
    assert states(spool, *ids) == ["waiting"] * 4
    platform.asks_for_time = set()
    drain(platform, spool, later(minutes=10))
    assert platform.received == ids


# --- one poisonous document -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 49, 50, 98, 99])
def test_the_one_that_has_a_request_refused_is_found_and_stands_alone(
    platform: FakePlatform, spool: Spool, place: int
) -> None:
    ids = fill(spool, keys(100))
    platform.poison = {ids[place]}
    send(platform, spool)
    assert states(spool, ids[place]) == ["blocked"]
    assert sorted(platform.received) == sorted(set(ids) - platform.poison)
    (case,) = spool.quarantine_list()
    assert (case.document_id, case.state) == (ids[place], "blocked")
    assert "500" in case.reasons[0]
    assert len(platform.requests) < 25
    assert spool.pause("platform").failures == 0


@pytest.mark.parametrize("step", [1, 2, 3, 7, 30])
def test_any_number_of_poisonous_documents_ends_with_the_others_stored(
    platform: FakePlatform, spool: Spool, step: int
) -> None:
    """step 1: all but the last are poisonous."""
    ids = fill(spool, keys(60))
    platform.poison = set(ids[:-1:step])
    drain(platform, spool)
    assert sorted(platform.received) == sorted(set(ids) - platform.poison)
    assert {case.document_id for case in spool.quarantine_list()} == platform.poison
    assert {case.state for case in spool.quarantine_list()} == {"blocked"}


def test_a_poisonous_document_by_itself_waits_for_something_to_compare_it_with(
    platform: FakePlatform, spool: Spool
) -> None:
    (bad,) = fill(spool, ["bad"])
    platform.poison = {bad}
    for n in range(5):
        send(platform, spool, later(minutes=10 * n))
    assert states(spool, bad) == ["ready"]
    (good,) = fill(spool, ["good"])
    send(platform, spool, later(hours=1))
    assert states(spool, bad, good) == ["blocked", "delivered"]


def test_it_is_compared_with_what_was_stored_before(platform: FakePlatform, spool: Spool) -> None:
    (good,) = fill(spool, ["good"])
    send(platform, spool)
    (bad,) = fill(spool, ["bad"])
    platform.poison = {bad}
    assert send(platform, spool) == 1
    assert states(spool, bad) == ["blocked"]
    assert platform.received == [good]
    assert platform.second_effects == []


def test_a_whole_batch_of_poison_does_not_stop_the_good_ones_behind_it(platform: FakePlatform, spool: Spool) -> None:
    bad = fill(spool, [f"bad{n}" for n in range(100)])
    good = fill(spool, [f"good{n}" for n in range(10)])
    platform.poison = set(bad)
    drain(platform, spool)
    assert sorted(platform.received) == sorted(good)
    assert {case.document_id for case in spool.quarantine_list()} == set(bad)


def test_a_platform_that_falls_ill_in_the_middle_of_a_round_marks_no_document_bad(
    platform: FakePlatform, spool: Spool
) -> None:
    ids = fill(spool, keys(64))
    platform.poison = {ids[5]}

    def ill_after_the_first_success(_: Sequence[Document]) -> None:
        if platform.received:
            raise RefusedWhole("500: out of disk")

    platform.trouble = ill_after_the_first_success
    send(platform, spool)
    assert 0 < len(platform.received) < 63
    assert spool.quarantine_list() == []
    platform.comes_back()
    drain(platform, spool, later(minutes=10))
    assert [case.document_id for case in spool.quarantine_list()] == [ids[5]]
    assert sorted(platform.received) == sorted(set(ids) - platform.poison)


def test_a_short_illness_while_documents_stand_alone_marks_none_bad(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(4))

    def hiccup(_: Sequence[Document]) -> None:
        if 3 <= len(platform.requests) <= 5 or len(platform.requests) == 1:
            raise RefusedWhole("500")

    platform.trouble = hiccup
    send(platform, spool)
    assert spool.quarantine_list() == []
    platform.comes_back()
    drain(platform, spool, later(minutes=10))
    assert sorted(platform.received) == sorted(ids)


def test_a_blocked_document_can_be_sent_again_when_the_platform_is_mended(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(10))
    platform.poison = {ids[3]}
    send(platform, spool)
    platform.poison = set()
    spool.quarantine_release([spool.quarantine_list()[0].id], "wang", NOW)
    drain(platform, spool)
    assert sorted(platform.received) == sorted(ids)


# --- dying ------------------------------------------------------------------------------------------------------------


def test_an_error_that_nobody_expected_loses_nothing(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(5))
    platform.goes_down(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        send(platform, spool)
    platform.comes_back()
    drain(platform, spool, later(minutes=11))  # the lease
    assert platform.received == ids


def test_dying_between_the_answer_and_the_settling_has_no_second_effect(platform: FakePlatform, spool: Spool) -> None:
    ids = fill(spool, keys(5))
    platform.send([delivery.document for delivery in spool.claim("platform", now=NOW)])
    spool.close()
    with Spool(spool.path).open() as opened:
        drain(platform, opened)
        assert platform.received == ids
        assert platform.second_effects == []
        assert states(opened, *ids) == ["delivered"] * 5


# --- the tables -------------------------------------------------------------------------------------------------------


def test_every_step_starts_and_ends_in_a_known_state() -> None:
    assert {state for state, _ in AFTER} | set(AFTER.values()) <= set(State)
    assert set(OPEN) | set(STUCK) | {State.DELIVERED, State.ACCEPTED, State.DISCARDED} == set(State)


@pytest.mark.parametrize("event", [*Outcome, *Event])
def test_what_is_delivered_or_discarded_stays_so(event: Outcome | Event) -> None:
    """Unless the destination itself says that it has lost it."""
    assert after(State.DELIVERED, event) is (State.READY if event is Event.LOST else State.DELIVERED)
    assert after(State.DISCARDED, event) is State.DISCARDED


@pytest.mark.parametrize("state", OPEN)
def test_only_an_answer_about_the_document_itself_ends_its_journey(state: State) -> None:
    for event in (Outcome.RETRY, Outcome.UNREACHABLE, Outcome.UNANSWERED, Event.NOT_SENT, Event.LAPSED, Event.DUE):
        assert after(state, event) in OPEN


def test_pauses_double_are_bounded_and_spread() -> None:
    first, longest = timedelta(seconds=1), timedelta(minutes=5)
    assert [back_off(n, 0, first, longest).total_seconds() for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert back_off(10_000, 0, first, longest) == longest
    assert back_off(3, 1, first, longest) == timedelta(seconds=2)
    spread = {back_off(5, Random(n).random(), first, longest) for n in range(50)}
    assert len(spread) == 50


def test_a_fault_of_ours_is_told_as_ours_and_the_destination_left_alone_for_a_while(spool: Spool) -> None:
    app: Any = SimpleNamespace(clock=lambda: NOW, spool=spool)
    App.send_failed(app, "region", "TypeError (reference 0f1e2d3c)")
    pause = spool.pause("region")
    assert (pause.blame, pause.failures) == (Blame.AGENT, 1)
    assert "TypeError (reference 0f1e2d3c)" in pause.problem
    assert pause.due_at is not None
    assert pause.due_at > NOW
