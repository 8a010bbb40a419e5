"""The inbox: each message once, in order, in one commit; duplicates, conflicts, what is refused; terms and room."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pipe import NOW, later

from connectors.arrivals import Arrived, Kept
from frontend_agent.errors import SpoolFull
from frontend_agent.spool import Spool
from frontend_agent.spool.inbox import LARGE, parcel

ORU = b"MSH|^~\\&|LIS|H|AGENT|H|20260701||ORU^R01|%d|P|2.5\rPID|||1\r"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def message(body: bytes = b"one", control_id: str = "1", **more: object) -> Arrived:
    return Arrived(**{"inlet": "lis", "body": body, "received_at": NOW, "control_id": control_id, **more})  # type: ignore[arg-type]


def keep(spool: Spool, *arrived: Arrived, unwanted: bool = False) -> list[Kept]:
    return spool.inbox.keep([parcel(one, unwanted) for one in arrived])


def bodies(spool: Spool, inlet: str = "lis") -> list[bytes]:
    return [one.body for one in spool.inbox.next(inlet, 0, 1 << 62, 100)]


def test_a_message_is_kept_as_it_came(spool: Spool) -> None:
    assert keep(spool, message(b"\x0b\x1c\xb0\xa1 whatever", sender="10.0.0.5", about="ORU^R01")) == [Kept.KEPT]

    (kept,) = spool.inbox.listed("lis")
    assert bodies(spool) == [b"\x0b\x1c\xb0\xa1 whatever"]
    assert (kept.state, kept.sender, kept.about, kept.size) == ("new", "10.0.0.5", "ORU^R01", 13)
    assert spool.inbox.counts() == {"lis": {"new": 1}}


def test_the_same_message_again_has_no_second_effect(spool: Spool) -> None:
    keep(spool, message())

    assert keep(spool, message()) == [Kept.DUPLICATE]
    assert keep(spool, message(control_id="2"), message(control_id="2")) == [Kept.KEPT, Kept.DUPLICATE]
    assert len(bodies(spool)) == 2


def test_without_an_id_the_bytes_decide(spool: Spool) -> None:
    assert keep(spool, message(b"a", ""), message(b"b", ""), message(b"a", "")) == [
        Kept.KEPT,
        Kept.KEPT,
        Kept.DUPLICATE,
    ]
    assert keep(spool, message(b"b", "")) == [Kept.DUPLICATE]


def test_the_same_id_with_other_bytes_waits_for_a_person_and_no_feed_gets_it(spool: Spool) -> None:
    keep(spool, message(b"one"))

    assert keep(spool, message(b"two")) == [Kept.CONFLICT]
    assert keep(spool, message(b"two"), message(b"one")) == [Kept.CONFLICT, Kept.DUPLICATE]  # and not once more
    assert bodies(spool) == [b"one"]
    (conflict,) = spool.inbox.listed("lis", "conflict")
    assert conflict.refused


def test_an_id_is_one_of_its_inlet(spool: Spool) -> None:
    assert keep(spool, message(b"one"), message(b"two", inlet="ris")) == [Kept.KEPT, Kept.KEPT]


def test_an_id_comes_again_when_it_is_not_remembered_any_more(spool: Spool) -> None:
    keep(spool, message(b"one"))

    assert keep(spool, message(b"two", received_at=NOW + timedelta(days=89))) == [Kept.CONFLICT]
    assert keep(spool, message(b"three", received_at=NOW + timedelta(days=91))) == [Kept.KEPT]
    days = {"lis": timedelta(days=1)}
    assert spool.inbox.keep([parcel(message(b"four", received_at=NOW + timedelta(days=93)))], days) == [Kept.KEPT]


def test_what_its_edge_could_not_read_is_kept_for_a_person_and_taken_when_it_comes_again_readable(spool: Spool) -> None:
    assert keep(spool, message(b"\xff", unreadable=("no MSH", "charset"))) == [Kept.KEPT]
    assert keep(spool, message(b"\xff", unreadable=("no MSH", "charset"))) == [
        Kept.KEPT
    ]  # it was refused: no duplicate
    (kept,) = spool.inbox.listed("lis")
    assert (kept.state, kept.problem, kept.refused) == ("unreadable", ("no MSH", "charset"), True)
    assert bodies(spool) == []

    assert keep(spool, message(b"\xff")) == [Kept.KEPT]  # its charset is configured by now
    assert bodies(spool) == [b"\xff"]
    assert spool.inbox.counts() == {"lis": {"discarded": 1, "new": 1}}


def test_a_corrected_message_under_the_id_of_one_that_was_refused_is_no_conflict(spool: Spool) -> None:
    keep(spool, message(b"\xff", unreadable=("no MSH",)))

    assert keep(spool, message(b"better")) == [Kept.KEPT]


def test_what_nobody_wants_is_refused_as_often_as_it_comes_and_kept_once(spool: Spool) -> None:
    assert keep(spool, message(), unwanted=True) == [Kept.UNWANTED]
    assert keep(spool, message(), unwanted=True) == [Kept.UNWANTED]
    assert spool.inbox.counts() == {"lis": {"unwanted": 1}}
    assert keep(spool, message()) == [Kept.KEPT]  # a feed wants it now


def test_long_bodies_are_files_beside_the_spool(spool: Spool, tmp_path: Path) -> None:
    body = os.urandom(LARGE + 10)
    keep(spool, message(b"small"), message(body, "2"), message(b"other", "3"))

    assert bodies(spool) == [b"small", body, b"other"]
    assert [path.name for path in (tmp_path / "state" / "messages").iterdir()] == ["2.zst"]
    spool.close()
    (tmp_path / "state" / "messages" / "77.zst").write_bytes(b"of a commit that never happened")
    with Spool(tmp_path / "state").open() as again:
        assert bodies(again) == [b"small", body, b"other"]
        assert [path.name for path in (tmp_path / "state" / "messages").iterdir()] == ["2.zst"]


def test_how_far_a_fetcher_has_got_is_kept_with_its_message(spool: Spool) -> None:
    assert spool.inbox.mark("lis") == ""
    keep(spool, message(mark="a"), message(b"two", "2", mark="b"))
    assert spool.inbox.mark("lis") == "b"
    keep(spool, message(mark="c"))  # a duplicate: it has got further all the same
    assert spool.inbox.mark("lis") == "c"


def test_what_a_sender_says_of_itself_cannot_break_a_commit(spool: Spool) -> None:
    odd = message(control_id="a\ud800\x00b" + "x" * 10_000, sender="\x1b[2J", about="\n")

    assert keep(spool, odd, message()) == [Kept.KEPT, Kept.KEPT]
    assert keep(spool, odd) == [Kept.DUPLICATE]
    kept = spool.inbox.listed("lis")[1]
    assert len(kept.control_id) < 300
    assert kept.sender.isprintable()


def test_numbers_are_never_used_twice(spool: Spool, tmp_path: Path) -> None:
    keep(spool, message(), message(b"two", "2"))
    spool.inbox.discard([1, 2], "me", "a test", NOW)
    spool.inbox.retire("lis", timedelta(days=1), timedelta(days=1), lambda pairs: set(), later(days=2))
    assert spool.inbox.listed("lis") == []
    spool.close()
    with Spool(tmp_path / "state").open() as again:
        keep(again, message())
        assert [one.id for one in again.inbox.listed("lis")] == [3]


def test_a_full_spool_keeps_no_message_and_says_so(tmp_path: Path) -> None:
    with Spool(tmp_path / "state", quota=4_000_000).open() as spool:
        full, n = False, 0
        while not full:
            n += 1
            try:
                keep(spool, message(os.urandom(20_000), str(n)))
            except SpoolFull:
                full = True
        assert spool.inbox.counts()["lis"]["new"] == n - 1 == len(spool.inbox.listed("lis", limit=2000))
        spool.room()  # what becomes of messages still has room


def test_messages_are_dropped_when_their_term_is_over_and_remembered_longer(spool: Spool) -> None:
    keep(spool, message(), message(b"two", "2"), message(b"\xff", "3", unreadable=("no MSH",)))
    spool.inbox.discard([1], "me", "a test", NOW)

    def retire(days: int) -> int:
        return spool.inbox.retire("lis", timedelta(days=30), timedelta(days=90), lambda pairs: set(), later(days=days))

    assert retire(29) == 0
    assert retire(31) == 1  # the new one and the one for a person stay
    assert [one.is_here for one in spool.inbox.listed("lis")] == [True, True, False]
    assert keep(spool, message(received_at=later(days=32))) == [Kept.DUPLICATE]
    retire(91)
    assert [one.id for one in spool.inbox.listed("lis")] == [3, 2]
    assert spool.inbox.counts() == {"lis": {"new": 1, "unreadable": 1}}
