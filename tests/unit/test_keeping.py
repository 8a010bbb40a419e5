"""Group commit: what is acknowledged is on disk; senders share commits, and share the one writer with extraction."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from pipe import NOW

from connectors.arrivals import Arrived, InboxFull, Kept
from frontend_agent.errors import SpoolFull
from frontend_agent.spool import Spool
from frontend_agent.spool.fair import FairLock
from frontend_agent.spool.keeping import Keeper


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


@pytest.fixture
def keeper(spool: Spool) -> Iterator[Keeper]:
    keeper = Keeper(spool.inbox).start()
    yield keeper
    keeper.stop()


def message(control_id: str, body: bytes = b"one", inlet: str = "lis") -> Arrived:
    return Arrived(inlet=inlet, body=body, received_at=NOW, control_id=control_id)


def test_what_is_acknowledged_is_committed(spool: Spool, keeper: Keeper) -> None:
    assert keeper([message("1"), message("2")]).result(10) == [Kept.KEPT, Kept.KEPT]
    assert not spool._database._connection.in_transaction
    assert [one.id for one in spool.inbox.listed("lis")] == [2, 1]


def test_what_waits_shares_one_commit(spool: Spool, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    keep = spool.inbox.keep
    monkeypatch.setattr(spool.inbox, "keep", lambda parcels, remember: (sizes.append(len(parcels)), keep(parcels))[1])
    with spool._database.held():  # nobody can write now
        first = keeper([message("0")])
        while keeper._waiting:
            time.sleep(0.001)
        others = [keeper([message(str(n))]) for n in range(1, 101)]
    assert [one.result(10) for one in [first, *others]] == [[Kept.KEPT]] * 101
    assert sizes == [1, 100]


def test_who_is_told_that_something_came(spool: Spool) -> None:
    told: list[set[str]] = []
    keeper = Keeper(spool.inbox, arrived=told.append).start()
    keeper([message("1"), message("2", inlet="ris")]).result(10)
    keeper([message("1")]).result(10)  # a duplicate is no news
    keeper.stop()
    assert told == [{"lis", "ris"}]


def test_a_full_spool_asks_all_senders_to_come_again(
    spool: Spool, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise SpoolFull("the spool is full")

    monkeypatch.setattr(spool.inbox, "_room", full)
    with pytest.raises(InboxFull, match="the spool is full"):
        keeper([message("1")]).result(10)
    monkeypatch.setattr(spool.inbox, "_room", lambda: None)
    assert keeper([message("1")]).result(10) == [Kept.KEPT]


def test_more_than_memory_may_hold_is_asked_to_come_again(spool: Spool, keeper: Keeper) -> None:
    with spool._database.held():
        waiting = [keeper([message(str(n), bytes(30 << 20))]) for n in range(4)]
        assert isinstance(waiting[-1].exception(10), InboxFull)
    assert waiting[0].result(60) == [Kept.KEPT]


def test_one_message_that_cannot_be_kept_does_not_keep_out_the_others(
    spool: Spool, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = spool.inbox.keep

    def sometimes(parcels, remember):  # type: ignore[no-untyped-def]
        if any(one.arrived.body == b"poison" for one in parcels):
            raise ValueError("a fault of ours")
        return keep(parcels, remember)

    monkeypatch.setattr(spool.inbox, "keep", sometimes)
    with spool._database.held():
        futures = [keeper([message(str(n), b"poison" if n == 3 else b"one")]) for n in range(6)]
    answers: list[Future[list[Kept]]] = futures
    assert isinstance(answers[3].exception(10), InboxFull)
    assert [one.result(10) for n, one in enumerate(answers) if n != 3] == [[Kept.KEPT]] * 5
    assert keeper.is_alive()


def test_it_keeps_what_it_was_given_before_it_ends(spool: Spool) -> None:
    keeper = Keeper(spool.inbox).start()
    futures = [keeper([message(str(n))]) for n in range(50)]
    keeper.stop()
    assert all(one.result(0) == [Kept.KEPT] for one in futures)
    with pytest.raises(InboxFull, match="stops"):
        keeper([message("late")]).result(0)


def test_what_no_feed_wants_is_refused_where_the_inlet_says_so(spool: Spool) -> None:
    keeper = Keeper(spool.inbox, wanted={"lis": lambda body: body == b"ORU"}).start()
    assert keeper([message("1", b"ORU"), message("2", b"ADT"), message("3", b"ADT", "ris")]).result(10) == [
        Kept.KEPT, Kept.UNWANTED, Kept.KEPT,
    ]  # fmt: skip
    keeper.stop()


# --- the one writer ---------------------------------------------------------------------------------------------------


def test_the_lock_is_given_in_the_order_of_asking_and_its_holder_may_take_it_again() -> None:
    lock, order, asked = FairLock(), [], threading.Semaphore(0)

    def ask(n: int) -> None:
        asked.release()
        with lock, lock:
            order.append(n)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    with lock, lock:
        for n, thread in enumerate(threads):
            thread.start()
            asked.acquire()
            while len(lock._queue) <= n:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert order == list(range(8))
    with lock:
        pass


def test_extraction_has_its_turn_while_messages_pour_in(spool: Spool, keeper: Keeper) -> None:
    stopping = threading.Event()

    def pour(who: int) -> None:
        n = 0
        while not stopping.is_set():
            n += 1
            keeper([message(f"{who}-{n}")]).result(30)

    senders = [threading.Thread(target=pour, args=(who,)) for who in range(8)]
    for sender in senders:
        sender.start()
    try:
        waits = []
        for n in range(20):
            began = time.monotonic()
            spool.meta.put("turn", str(n))
            waits.append(time.monotonic() - began)
    finally:
        stopping.set()
        for sender in senders:
            sender.join(30)
    assert sorted(waits)[10] < 1.0  # a commit or two, however many senders there are
    assert spool.inbox.counts()["lis"]["new"] > 20
