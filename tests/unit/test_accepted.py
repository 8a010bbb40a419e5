"""Accepted is not delivered (law 5): kept apart, kept for its own term, later confirmed or reopened, and nothing overtakes."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest
from pipe import NOW, document, fill, id_of, later, taken

from connectors.outlets import Feedback
from frontend_agent.delivery import AFTER, Event, State, after
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, RefusedWhole
from frontend_agent.hearing import Asking, hear
from frontend_agent.model import Document, Outcome, Receipt
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool

TO = ("region",)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state", reserve=0).open() as opened:
        yield opened


class Foreign:
    """Takes one document per request, says yes, proves nothing; what it is sent twice it has twice."""

    name = "region"
    at_once = 1

    def __init__(self) -> None:
        self.has: list[str] = []
        self.tried: list[str] = []
        self.refuses: dict[str, str] = {}
        self.poison: set[str] = set()
        self.mute: set[str] = set()
        self.down: Exception | None = None

    def send(self, documents: Sequence[Document]) -> Sequence[Receipt]:
        (one,) = documents
        if self.down:
            raise self.down
        self.tried.append(one.document_id)
        if one.document_id in self.poison:
            raise RefusedWhole("500")
        if one.document_id in self.mute:
            return []
        if one.document_id in self.refuses:
            return [Receipt(one.document_id, Outcome.REFUSED, reasons=(self.refuses[one.document_id],))]
        self.has.append(one.document_id)
        return [Receipt(one.document_id, Outcome.ACCEPTED)]

    def take_replies(self) -> Sequence[object]:
        return []


def carry(region: Foreign, spool: Spool, rounds: int = 30, **more: object) -> None:
    now = NOW
    for _ in range(rounds):
        if not spool.moving("region"):
            return
        send_out(region, spool, now, random=Random(1), at_once=1, foreign=True, **more)  # type: ignore[arg-type]
        now += timedelta(minutes=11)


def states(spool: Spool) -> dict[str, int]:
    return {state: n for state, n in spool.counts().deliveries.get("region", {}).items() if n}


def state_of(spool: Spool, document_id: str) -> State:
    trace = spool.trace(document_id)
    assert trace is not None
    return trace.deliveries[0].state


def logged(spool: Spool, what: str) -> list[dict[str, object]]:
    entries = [msgspec.json.decode(entry.body) for entry in spool.log_entries()]
    return [entry for entry in entries if entry["event"] == what]


# --- states -----------------------------------------------------------------------------------------------------------


def test_a_yes_without_a_proof_is_accepted_and_nothing_more(spool: Spool) -> None:
    fill(spool, "ab", TO)

    carry(Foreign(), spool)

    assert states(spool) == {"accepted": 2}
    assert spool.pending("region") == 0
    assert [(one.outcome, one.state) for one in spool.receipts()] == [("accepted", State.ACCEPTED)] * 2
    assert spool.pause("region").stored_at is None
    assert spool.last_stored("region") is None


def test_only_a_later_word_makes_it_delivered() -> None:
    assert {event for (state, event), then in AFTER.items() if (state, then) == (State.ACCEPTED, State.DELIVERED)} == {
        Event.CONFIRMED,
        Outcome.STORED,
        Outcome.DUPLICATE,
    }
    assert after(State.DELIVERED, Outcome.ACCEPTED) is State.DELIVERED
    assert after(State.REFUSED, Outcome.ACCEPTED) is State.REFUSED


def test_confirmed_is_delivered_with_what_said_so(spool: Spool) -> None:
    a, b = fill(spool, "ab", TO)
    carry(Foreign(), spool)

    assert spool.accepted.confirm("region", [a, "nobody-1", a], "feedback-1.csv 4f2a", later(hours=1)) == 1
    assert spool.accepted.confirm("region", [a], "again", later(hours=2)) == 0

    assert states(spool) == {"accepted": 1, "delivered": 1}
    kept = {one.document_id: one for one in spool.receipts()}
    assert (kept[a].outcome, kept[a].reasons) == ("confirmed", ("feedback-1.csv 4f2a",))
    assert kept[b].outcome == "accepted"
    (entry,) = logged(spool, "confirmed")
    assert (entry["documents"], entry["told_by"]) == ([a], "feedback-1.csv 4f2a")
    assert spool.verify_log().ok


def test_reopened_goes_again_or_waits_for_a_person_with_the_reasons(spool: Spool) -> None:
    a, b = fill(spool, "ab", TO)
    region = Foreign()
    carry(region, spool)

    assert spool.accepted.reopen("region", [a], ["lost there"], True, later(hours=1)) == (1, 0, 0)
    assert spool.accepted.reopen("region", [b], ["no such patient", "no such ward"], False, later(hours=1)) == (0, 1, 0)

    assert states(spool) == {"ready": 1, "refused": 1}
    (case,) = spool.quarantine_list()
    assert (case.document_id, case.reasons) == (b, ("no such patient", "no such ward"))
    carry(region, spool)
    assert region.has == [a, b, a]
    assert state_of(spool, a) is State.ACCEPTED
    assert [entry.get("again") or entry.get("refused") for entry in logged(spool, "reopened")] == [[a], [b]]


def test_what_is_proven_is_not_reopened_by_hearsay(spool: Spool) -> None:
    (a,) = fill(spool, "a", TO)
    (claimed,) = spool.claim("region", now=NOW)
    spool.settle("region", [Receipt(a, Outcome.STORED, claimed.document.sha256)], now=NOW)

    assert spool.accepted.reopen("region", [a], ["no"], True, NOW) == (0, 0, 0)
    assert states(spool) == {"delivered": 1}


def test_what_was_only_confirmed_can_be_reopened(spool: Spool) -> None:
    (a,) = fill(spool, "a", TO)
    carry(Foreign(), spool)
    spool.accepted.confirm("region", [a], "a file", NOW)

    assert spool.accepted.reopen("region", [a], ["the file was wrong"], False, NOW, who="li") == (0, 1, 0)
    assert states(spool) == {"refused": 1}


@pytest.mark.parametrize("word", ["confirm", "reopen"])
def test_a_word_about_what_was_never_answered_counts(spool: Spool, word: str) -> None:
    (a,) = fill(spool, "a", TO)
    spool.claim("region", now=NOW)
    spool.settle("region", [Receipt(a, Outcome.UNANSWERED)], now=NOW)

    if word == "confirm":
        assert spool.accepted.confirm("region", [a], "asked", NOW) == 1
        assert states(spool) == {"delivered": 1}
    else:
        assert spool.accepted.reopen("region", [a], [], True, NOW) == (1, 0, 0)
        assert states(spool) == {"ready": 1}


# --- order ------------------------------------------------------------------------------------------------------------


def two_versions(spool: Spool) -> tuple[str, str]:
    spool.commit(taken(document("a"), destinations=TO))
    spool.commit(taken(document("a", 2), destinations=TO))
    return id_of("a", 1), id_of("a", 2)


def test_the_next_version_goes_once_the_one_before_was_accepted(spool: Spool) -> None:
    first, second = two_versions(spool)
    region = Foreign()
    assert states(spool) == {"ready": 1, "behind": 1}

    carry(region, spool)

    assert region.has == [first, second]
    assert states(spool) == {"accepted": 2}


def test_an_older_version_is_not_sent_after_a_newer_one(spool: Spool) -> None:
    first, _ = two_versions(spool)
    carry(Foreign(), spool)

    assert spool.accepted.reopen("region", [first], ["lost"], True, NOW) == (0, 1, 0)
    (case,) = spool.quarantine_list()
    assert case.document_id == first
    assert any("newer version" in reason for reason in case.reasons)


@pytest.mark.parametrize("order_key", ["", "patient-7"])
def test_what_goes_again_takes_its_old_place_in_its_order(spool: Spool, order_key: str) -> None:
    first = document("a", order_key=order_key)
    spool.commit(taken(first, destinations=TO))
    region = Foreign()
    carry(region, spool)
    later_one = document("b", order_key=order_key) if order_key else document("a", 2)
    spool.commit(taken(later_one, destinations=TO))
    assert states(spool) == {"accepted": 1, "ready": 1}

    assert spool.accepted.reopen("region", [first.document_id], ["lost"], True, NOW) == (1, 0, 0)

    assert states(spool) == {"ready": 1, "behind": 1}
    carry(region, spool)
    assert region.has == [first.document_id, first.document_id, later_one.document_id]


def test_what_is_under_way_is_not_overtaken_by_what_goes_again(spool: Spool) -> None:
    first, other = document("a", order_key="patient-7"), document("b", order_key="patient-7")
    spool.commit(taken(first, destinations=TO))
    carry(Foreign(), spool)
    spool.commit(taken(other, destinations=TO))
    spool.claim("region", now=NOW)

    spool.accepted.reopen("region", [first.document_id], ["lost"], True, NOW)

    assert states(spool) == {"sending": 1, "behind": 1}
    spool.settle("region", [Receipt(other.document_id, Outcome.ACCEPTED)], now=NOW)
    assert states(spool) == {"accepted": 1, "ready": 1}


def refused_then_newer(spool: Spool, outcome: Outcome | None) -> tuple[str, str]:
    """The first version was refused; of the second came this answer (None: it still stands ready)."""
    first, second = two_versions(spool)
    spool.claim("region", now=NOW)
    spool.settle("region", [Receipt(first, Outcome.REFUSED, reasons=("no such patient",))], now=NOW)
    if outcome is not None:
        spool.claim("region", now=NOW)
        spool.settle("region", [Receipt(second, outcome, document("a", 2).sha256)], now=NOW)
    return first, second


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.UNANSWERED, Outcome.STORED])
def test_a_refused_older_version_is_not_released_after_a_newer_one(spool: Spool, outcome: Outcome) -> None:
    first, _ = refused_then_newer(spool, outcome)
    before = states(spool)
    (case,) = spool.quarantine_list()

    for _ in range(2):
        assert spool.quarantine_release([case.id], "wang", NOW, ["region"]) == ([], [case.id])

    assert states(spool) == before
    assert state_of(spool, first) is State.REFUSED
    (case,) = spool.quarantine_list()
    assert case.reasons[0] == "no such patient"
    assert len(case.reasons) == 2
    assert "newer version" in case.reasons[1]
    assert not logged(spool, "released")


def test_at_our_own_platform_an_older_version_may_come_later(spool: Spool) -> None:
    """It keeps every version under its own number: law 6."""
    first, _ = refused_then_newer(spool, Outcome.STORED)
    (case,) = spool.quarantine_list()

    assert spool.quarantine_release([case.id], "wang", NOW) == ([], [])
    assert state_of(spool, first) is State.READY


def test_released_before_the_newer_one_went_it_goes_first(spool: Spool) -> None:
    first, second = refused_then_newer(spool, None)
    (case,) = spool.quarantine_list()

    assert spool.quarantine_release([case.id], "wang", NOW, ["region"]) == ([], [])

    assert states(spool) == {"ready": 1, "behind": 1}
    region = Foreign()
    carry(region, spool)
    assert region.has == [first, second]
    assert spool.quarantine_release([case.id], "wang", NOW, ["region"]) == ([], [])
    assert states(spool) == {"accepted": 2}
    assert len(logged(spool, "released")) == 2


def test_what_stood_alone_is_released_like_any_other(spool: Spool) -> None:
    a, *others = fill(spool, "abc", TO)
    region = Foreign()
    region.poison = {a}
    carry(region, spool)
    assert states(spool) == {"blocked": 1, "accepted": 2}
    region.poison = set()
    (case,) = spool.quarantine_list()

    spool.quarantine_release([case.id], "wang", NOW, ["region"])

    assert states(spool) == {"ready": 1, "accepted": 2}
    carry(region, spool)
    assert region.has == [*others, a]


# --- retention --------------------------------------------------------------------------------------------------------


def test_what_is_accepted_is_kept_for_its_own_term(spool: Spool) -> None:
    (a,) = fill(spool, "a", TO)
    carry(Foreign(), spool)
    day = timedelta(days=1)

    assert spool.retire(timedelta(0), later(days=3650)) == 0  # no term of its own: for ever
    assert spool.retire(timedelta(0), later(days=89), accepted={"region": 90 * day}) == 0
    assert spool.retire(timedelta(0), later(days=91), accepted={"region": 90 * day}) == 1
    assert states(spool) == {"accepted": 1}
    assert spool.frame(a) is None


def test_once_confirmed_the_usual_term_counts(spool: Spool) -> None:
    (a,) = fill(spool, "a", TO)
    carry(Foreign(), spool)
    spool.accepted.confirm("region", [a], "asked", later(days=1))

    assert spool.retire(timedelta(days=2), later(days=2), accepted={"region": timedelta(days=90)}) == 0
    assert spool.retire(timedelta(days=2), later(days=4), accepted={"region": timedelta(days=90)}) == 1


def test_what_is_to_go_again_and_is_no_longer_kept_becomes_the_next_version(spool: Spool) -> None:
    (a,) = fill(spool, "a", TO)
    carry(Foreign(), spool)
    spool.retire(timedelta(0), later(days=91), accepted={"region": timedelta(days=90)})

    assert spool.accepted.reopen("region", [a], ["lost"], True, later(days=92)) == (0, 0, 1)
    assert states(spool) == {"discarded": 1}
    assert spool.again("lab_report") == ["a"]


def test_a_secret_that_is_gone_is_told_and_leaves_nothing_on_its_way(spool: Spool) -> None:
    fill(spool, "ab", TO)
    region = Foreign()
    region.down = ConfigurationError("secret 'region': not found")
    carry(region, spool, rounds=1)
    assert states(spool) == {"ready": 2}
    assert spool.pause("region").problem == "secret 'region': not found"
    region.down = None
    carry(region, spool)
    assert states(spool) == {"accepted": 2}


# --- asking -----------------------------------------------------------------------------------------------------------


class Telling(Foreign):
    """It can be asked."""

    asks_every = timedelta(minutes=10)
    asks_first = timedelta(minutes=1)
    asks_until = timedelta(days=7)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.says: list[Feedback] = []
        self.knows: list[str] = []
        self.not_asked: frozenset[str] = frozenset()

    def ask(self, documents: Sequence[Document]) -> Sequence[Feedback]:
        if self.down:
            raise self.down
        self.asked.append([one.document_id for one in documents])
        return self.says

    def heard(self, told_by: str) -> None:
        self.knows.append(told_by)


def test_it_is_asked_for_what_it_accepted_and_what_it_says_is_kept(spool: Spool) -> None:
    a, b, c = fill(spool, "abc", TO)
    region = Telling()
    carry(region, spool)
    assert hear(region, spool, NOW + timedelta(seconds=30)) == Asking()  # it is given a minute first
    region.says = [Feedback(a, True, told_by="query"), Feedback(b, False, ("no",), told_by="query")]
    assert hear(region, spool, later(minutes=2)) == Asking(3, 1, 1)

    assert region.asked == [[], [a, b, c]]
    assert states(spool) == {"accepted": 1, "delivered": 1, "refused": 1}
    region.says = []
    assert hear(region, spool, later(minutes=5)) == Asking()
    assert hear(region, spool, later(minutes=13)) == Asking(1)
    assert hear(region, spool, later(days=30)) == Asking()  # it has had its time
    assert region.asked[2:] == [[], [c], []]


def test_nobody_is_asked_for_ever_however_often_he_said_nothing(spool: Spool) -> None:
    (a,) = fill(spool, "a", TO)
    region = Telling()
    carry(region, spool)
    for day in (1, 2, 3, 4, 5, 6, 7, 8, 9):
        hear(region, spool, later(days=day, minutes=-5))
    assert region.asked == [[a]] * 7 + [[], []]
    assert states(spool) == {"accepted": 1}


def test_who_was_not_asked_for_want_of_time_is_asked_first_next_time(spool: Spool) -> None:
    a, b = fill(spool, "ab", TO)
    region = Telling()
    carry(region, spool)
    region.not_asked = frozenset({b})
    assert hear(region, spool, later(minutes=2)) == Asking(1)
    region.not_asked = frozenset()
    assert hear(region, spool, later(minutes=3)) == Asking(1)
    assert region.asked == [[a, b], [b]]


def test_it_is_told_that_it_was_heard_only_when_that_is_kept(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    (a,) = fill(spool, "a", TO)
    region = Telling()
    carry(region, spool)
    region.says = [Feedback(a, True, told_by="file 1")]

    def dies(*_: object, **__: object) -> int:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(spool.accepted, "confirm", dies)
        with pytest.raises(RuntimeError):
            hear(region, spool, later(minutes=2))
    assert region.knows == []

    assert hear(region, spool, later(minutes=20)).confirmed == 1
    assert region.knows == ["file 1"]


def test_a_destination_that_does_not_answer_the_question_changes_nothing(spool: Spool) -> None:
    fill(spool, "a", TO)
    region = Telling()
    carry(region, spool)
    region.down = DestinationUnreachable("gone")
    with pytest.raises(DestinationUnreachable):
        hear(region, spool, later(minutes=2))
    assert states(spool) == {"accepted": 1}


# --- who is to blame, where one document goes per request ---------------------------------------------------------------


def test_one_that_is_refused_whole_is_found_without_sending_anything_twice_that_was_taken(spool: Spool) -> None:
    ids = fill(spool, "abcdefgh", TO)
    region = Foreign()
    region.poison = {ids[3]}

    carry(region, spool)

    assert sorted(region.has) == sorted(set(ids) - {ids[3]})  # each once
    assert states(spool) == {"accepted": 7, "blocked": 1}


def test_nobody_is_blocked_while_nothing_gets_through(spool: Spool) -> None:
    ids = fill(spool, "abcdefghijkl", TO)
    region = Foreign()
    region.poison = set(ids)

    carry(region, spool, rounds=12)

    assert set(states(spool)) <= {"ready", "waiting", "uncertain"}
    assert spool.pause("region").failures > 0
    region.poison = set()
    carry(region, spool)
    assert sorted(region.has) == sorted(ids)


def test_one_alone_is_not_found_guilty_until_others_come(spool: Spool) -> None:
    (bad,) = fill(spool, "a", TO)
    region = Foreign()
    region.poison = {bad}
    carry(region, spool, rounds=8)
    assert states(spool) == {"ready": 1}

    good = fill(spool, "bcdefg", TO)
    carry(region, spool)

    assert states(spool) == {"blocked": 1, "accepted": 6}
    assert sorted(region.has) == sorted(good)


def test_a_destination_that_goes_down_in_the_midst_keeps_what_it_took(spool: Spool) -> None:
    fill(spool, "abcd", TO)
    region = Foreign()

    class Dies(Foreign):
        def send(self, documents: Sequence[Document]) -> Sequence[Receipt]:
            if len(self.has) == 2:
                raise DestinationUnreachable("gone")
            return super().send(documents)

    dying = Dies()
    send_out(dying, spool, NOW, random=Random(1), at_once=1, foreign=True)
    assert states(spool) == {"accepted": 2, "ready": 2}
    assert spool.pause("region").blame == "network"

    carry(region, spool)
    assert sorted(dying.has + region.has) == sorted(id_of(key) for key in "abcd")


def test_one_that_never_answers_holds_nobody_for_long(spool: Spool) -> None:
    ids = fill(spool, [f"k{n}" for n in range(12)], TO)
    region = Foreign()
    region.mute = set(ids[:4])

    send_out(region, spool, NOW, random=Random(1), at_once=1, foreign=True)
    assert len(region.tried) == 3  # three in a row are enough to wait for
    assert states(spool) == {"uncertain": 3, "ready": 9}
    assert spool.pause("region").problem.startswith("unanswered")

    carry(region, spool, rounds=20)
    assert states(spool)["accepted"] == 8
    assert sorted(region.has) == sorted(ids[4:])


def test_answers_that_nobody_can_read_become_an_alarm(spool: Spool) -> None:
    (a,) = fill(spool, "a", TO)
    region = Foreign()
    region.mute = {a}
    carry(region, spool, rounds=4)
    assert spool.unread("region") == 0
    carry(region, spool, rounds=20)
    assert spool.unread("region") == 1
    region.mute = set()
    carry(region, spool)
    assert spool.unread("region") == 0


def test_a_round_ends_when_it_has_lasted_long_enough_and_nobody_failed(spool: Spool) -> None:
    fill(spool, "abcdef", TO)
    region = Foreign()

    send_out(region, spool, NOW, random=Random(1), at_once=1, foreign=True, enough=lambda: len(region.has) >= 2)

    assert states(spool) == {"accepted": 2, "ready": 4}
    assert spool.pause("region").failures == 0
