"""What takes too long is ended, and nobody stays to watch nothing."""

import threading
import time

from connectors.deadline import Cut


def watchers() -> int:
    return sum(thread.name == "deadlines" for thread in threading.enumerate())


def eventually_nobody_watches() -> None:
    until = time.monotonic() + 30
    while watchers():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_takes_too_long_is_cut_and_what_ends_in_time_is_not() -> None:
    cuts: list[str] = []
    with Cut(30, lambda: cuts.append("long")), Cut(0.05, lambda: cuts.append("short")) as cut:
        until = time.monotonic() + 30
        while not cut.passed and time.monotonic() < until:
            time.sleep(0.01)
    assert cuts == ["short"]


def test_the_thread_ends_when_there_is_nothing_to_watch_and_the_next_begins_another() -> None:
    with Cut(0.2, lambda: None):
        assert watchers() == 1
    eventually_nobody_watches()
    with Cut(0.05, lambda: None) as cut:
        until = time.monotonic() + 30
        while not cut.passed and time.monotonic() < until:
            time.sleep(0.01)
    assert cut.passed
    eventually_nobody_watches()
