"""No clock that is set, and no machine that was asleep, keeps a feed from being read; and a year leaves nothing behind."""

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler

from frontend_agent.scheduler import ClockWatch, Scheduler
from frontend_agent.schedules import Schedule

HOUR, DAY = 3600.0, 86400.0
EVERY = timedelta(minutes=5)
BEGIN = datetime(2026, 11, 21, 7, 0, 3, tzinfo=UTC).timestamp()


@dataclass
class Clock:
    """Two clocks of a machine: `wall` can be set, `monotonic` cannot."""

    wall: float = BEGIN
    monotonic: float = 0.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


class Simulated(BaseScheduler):
    """APScheduler without a thread: its turns are taken by the test."""

    def wakeup(self) -> None:
        self.woken = True

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)

    def turn(self) -> float:
        """Run what is due; seconds until something is again."""
        wait = self._process_jobs()
        return DAY if wait is None else float(wait)


@dataclass
class Machine:
    """A scheduler whose hours pass as fast as they can be simulated."""

    clock: Clock
    schedules: dict[str, Schedule]
    ran: list[tuple[float, str]] = field(default_factory=list)  # by the monotonic clock
    kept: int = 100_000  # of the newest runs
    beside: timedelta = EVERY

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(
            [(name, "his", schedule) for name, schedule in self.schedules.items()],
            self.run,
            wall=lambda: self.clock.wall,
            monotonic=lambda: self.clock.monotonic,
            besides=[("visits", self.beside, lambda: self.run("visits"))],
            scheduler=Simulated,
            executor=DebugExecutor,
        )
        self.scheduler._scheduler.start()
        self.watch = ClockWatch(self.clock.wall, self.clock.monotonic)

    def run(self, name: str) -> None:
        self.ran.append((self.clock.monotonic, name))
        if len(self.ran) > self.kept:
            del self.ran[0]

    def lives(self, seconds: float) -> None:
        """The scheduler sleeps by the monotonic clock until what is due next; the watchdog looks every second."""
        end = self.clock.monotonic + seconds
        while self.clock.monotonic < end:
            wait = self.scheduler._scheduler.turn()
            self.clock.passes(min(max(wait, 0.001), end - self.clock.monotonic))
            self.scheduler.look(self.watch)

    def set_by(self, seconds: float) -> None:
        """The wall clock jumps. The scheduler sleeps on for the second that the watchdog takes to notice."""
        self.clock.wall += seconds
        self.clock.passes(1.0)
        self.scheduler.look(self.watch)

    def longest_gap(self, name: str) -> float:
        return max(later - sooner for sooner, later in pairwise(at for at, run in self.ran if run == name))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", told_by(clock))
    return clock


def told_by(clock: Clock) -> type[datetime]:
    class Told(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(clock.wall, tz)

    return Told


def to_year(clock: Clock, year: int) -> float:
    return datetime(year, 6, 1, 9, tzinfo=UTC).timestamp() - clock.wall


SHIFTS = {
    "an hour back": lambda clock: -HOUR,
    "a day back": lambda clock: -DAY,
    "an hour forward": lambda clock: HOUR,
    "a machine asleep for a weekend": lambda clock: 2.5 * DAY,
    "to 2000": lambda clock: to_year(clock, 2000),
    "to 2200": lambda clock: to_year(clock, 2200),
}


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(every=EVERY),
        Schedule(cron="*/5 * * * *", zone=ZoneInfo("Asia/Shanghai")),
        Schedule(every=EVERY, zone=ZoneInfo("America/New_York"), days="all", jitter=timedelta(seconds=20)),
    ],
    ids=["every", "cron", "jitter"],
)
def test_a_clock_that_is_set_costs_at_most_an_interval_and_a_minute(
    clock: Clock, schedule: Schedule, shift: str
) -> None:
    machine = Machine(clock, {"lab": schedule})
    machine.lives(2 * HOUR + 77)
    machine.set_by(SHIFTS[shift](clock))
    machine.lives(2 * HOUR)
    machine.set_by(BEGIN + 5 * HOUR - clock.wall)  # and it is put right again
    machine.lives(2 * HOUR)
    limit = EVERY.total_seconds() + 60
    assert machine.longest_gap("lab") <= limit
    assert machine.longest_gap("visits") <= limit
    assert 60 <= sum(name == "lab" for _, name in machine.ran) <= 6 * 12 + 8


def test_hours_stay_hours_when_the_clock_is_set(clock: Clock) -> None:
    """A feed of the day is not read at night because somebody set the clock."""
    office = Schedule(cron="*/5 7-18 * * *")
    machine = Machine(clock, {"lab": office})
    machine.lives(HOUR)
    machine.set_by(-8 * HOUR)  # midnight
    before = len([1 for _, name in machine.ran if name == "lab"])
    machine.lives(6 * HOUR)
    assert len([1 for _, name in machine.ran if name == "lab"]) == before
    machine.lives(3 * HOUR)
    assert len([1 for _, name in machine.ran if name == "lab"]) > before + 20


def test_a_year_of_runs_leaves_nothing_behind(clock: Clock) -> None:
    hourly = timedelta(hours=1)
    machine = Machine(clock, {name: Schedule(every=hourly) for name in ("his", "lis")}, kept=10, beside=hourly)
    machine.lives(3 * DAY)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        machine.lives(40 * DAY)
        for shift in SHIFTS.values():
            machine.set_by(shift(clock))
            machine.lives(10 * DAY)
            machine.set_by(BEGIN + 50 * DAY - clock.wall)
        machine.lives(222 * DAY)
        gc.collect()
        grown = sum(one.size_diff for one in tracemalloc.take_snapshot().compare_to(before, "lineno"))
    finally:
        tracemalloc.stop()
    assert len(machine.scheduler._scheduler.get_jobs()) == 3
    assert grown < 256 * 1024


# --- the real thing: its own thread, its own waiting ----------------------------------------------------------------------


@pytest.fixture
def running() -> Iterator[list[Scheduler]]:
    schedulers: list[Scheduler] = []
    yield schedulers
    for one in schedulers:
        one.stop()


@pytest.mark.parametrize("shift", [-HOUR, -DAY, DAY, -26 * 365 * DAY, 174 * 365 * DAY])
def test_the_running_scheduler_goes_on_whatever_the_clock_is_set_to(
    monkeypatch: pytest.MonkeyPatch, running: list[Scheduler], shift: float
) -> None:
    offset = [0.0]
    clock = Clock()
    told = told_by(clock)
    monkeypatch.setattr(told, "now", lambda tz=None: datetime.fromtimestamp(time.time() + offset[0], tz))
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", told)
    ran = threading.Semaphore(0)
    scheduler = Scheduler(
        [("lab", "lis", Schedule(every=timedelta(hours=1)))],
        lambda name: ran.release(),
        wall=lambda: time.time() + offset[0],
    )
    running.append(scheduler)
    scheduler.start()
    assert ran.acquire(timeout=5)
    assert not ran.acquire(timeout=0.2)
    offset[0] = shift
    began = time.monotonic()
    assert ran.acquire(timeout=10)
    assert time.monotonic() - began < 5
    due = datetime.fromisoformat(scheduler.next_runs()["lab"]).timestamp()
    assert 0 <= due - (time.time() + shift) <= HOUR
