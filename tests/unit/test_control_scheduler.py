"""Feeds run when they are due, one at a time per source, whatever the wall clock does."""

import threading
import time
from datetime import UTC, datetime, timedelta

from frontend_agent.scheduler import ClockWatch, Scheduler
from frontend_agent.schedules import Schedule


def test_a_jump_is_noticed_and_slow_drift_is_followed() -> None:
    watch = ClockWatch(wall=1000.0, monotonic=10.0)
    assert watch.jumped(1001.0, 11.0) == 0.0
    assert watch.jumped(1005.0, 12.0) == 0.0  # three seconds: followed
    assert watch.jumped(1006.0, 13.0) == 0.0
    assert watch.jumped(1006.0 - 3600, 13.0) == -3600
    assert watch.jumped(1007.0 - 3600, 14.0) == 0.0
    assert watch.jumped(5007.0, 15.0) > 5


def test_feeds_of_one_source_never_run_at_once() -> None:
    running: list[str] = []
    most = 0
    runs: list[str] = []

    def run(name: str) -> None:
        nonlocal most
        running.append(name)
        most = max(most, len(running))
        time.sleep(0.05)
        running.remove(name)
        runs.append(name)

    every = Schedule(every=timedelta(seconds=60))
    scheduler = Scheduler([("a", "his", every), ("b", "his", every)], run)
    scheduler.start()
    deadline = time.monotonic() + 5
    while len(runs) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    scheduler.stop()
    assert sorted(runs) == ["a", "b"]
    assert most == 1


def test_after_the_clock_was_set_back_every_feed_is_due_at_once() -> None:
    ran = threading.Semaphore(0)
    wall, monotonic = [time.time()], [10.0]
    jumps: list[float] = []
    scheduler = Scheduler(
        [("a", "his", Schedule(every=timedelta(hours=1)))],
        lambda name: ran.release(),
        jumps.append,
        wall=lambda: wall[0],
        monotonic=lambda: monotonic[0],
    )
    scheduler.start()
    assert ran.acquire(timeout=5)
    due = datetime.fromisoformat(scheduler.next_runs()["a"])
    assert datetime.now(UTC) < due <= datetime.now(UTC) + timedelta(hours=1)

    watch = ClockWatch(wall[0], monotonic[0])
    wall[0] -= 3600
    scheduler.look(watch)

    assert ran.acquire(timeout=5)
    assert jumps == [-3600.0]
    scheduler.stop()
    assert not scheduler.is_alive()


def test_work_that_asks_no_source_has_its_turn_beside_the_feeds():
    had_its_turn = threading.Event()
    scheduler = Scheduler([], lambda name: None, besides=[("visits", timedelta(milliseconds=50), had_its_turn.set)])
    scheduler.start()
    try:
        assert had_its_turn.wait(10)
    finally:
        scheduler.stop()
