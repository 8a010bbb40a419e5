"""When each feed is read: APScheduler, and a watchdog over the clocks.

One worker per source, so that a hospital's system never serves two of our queries at once. Runs that were missed are made
up by one; a run never overlaps itself. Nothing is kept in a job store: what a feed has read is the spool's watermark.

APScheduler plans by the wall clock. When that is set back by an hour, every feed would be silent for an hour; so the
watchdog compares it with the monotonic clock, and when they part by more than five seconds it plans all jobs anew.
(A machine that was suspended looks the same: its wall clock went on, its monotonic clock stood still.)
"""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from frontend_agent.schedules import Schedule, Trigger

DRIFT = 5.0  # seconds
LOOK_EVERY = 1.0
PULSE = "besides:pulse"


class ClockWatch:
    """Notices that the wall clock jumped. Pure: it is told both clocks' readings."""

    def __init__(self, wall: float, monotonic: float, limit: float = DRIFT) -> None:
        self._offset = wall - monotonic
        self._limit = limit

    def jumped(self, wall: float, monotonic: float) -> float:
        """By how many seconds it jumped since the last time, 0.0 for not at all. Slow drift is followed."""
        drift = (wall - monotonic) - self._offset
        self._offset = wall - monotonic
        return drift if abs(drift) > self._limit else 0.0


class Scheduler:
    """Calls `run(name)` for each feed when its schedule says so, from the worker of its source."""

    def __init__(
        self,
        feeds: Iterable[tuple[str, str, Schedule]],  # name, source
        run: Callable[[str], None],
        jumped: Callable[[float], None] = lambda seconds: None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        besides: Iterable[tuple[str, timedelta, Callable[[], None]]] = (),  # name, every: what asks no source
        pulse: tuple[timedelta, Callable[[], None]] | None = None,  # how often it shows that it begins what is due
        random: Random | None = None,
        scheduler: Callable[..., Any] = BackgroundScheduler,
        executor: Callable[[], Any] = lambda: ThreadPoolExecutor(1),
    ) -> None:
        self._jumped = jumped
        self._wall = wall
        self._monotonic = monotonic
        self._random = random or Random()  # noqa: S311 - spreads runs, guards nothing
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watch_clocks, name="clock-watch", daemon=True)
        feeds = list(feeds)
        sources = {source for _, source, _ in feeds}
        self._scheduler: Any = scheduler(
            timezone=UTC,
            executors={name: executor() for name in {*sources, "default", *([PULSE] if pulse else [])}},
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )
        self._schedules: dict[str, Schedule] = {}
        for name, source, schedule in feeds:
            self._add(name, schedule, run, not schedule.cron, args=(name,), executor=source)
        for name, every, work in besides:
            self._add(f"besides:{name}", Schedule(every=every), work, False)
        if pulse is not None:
            self._add(PULSE, Schedule(every=pulse[0]), pulse[1], False, executor=PULSE)

    def start(self) -> None:
        self._scheduler.start()
        self._watch.start()

    def now(self, name: str) -> None:
        """Run that feed as soon as its source is free."""
        self._scheduler.modify_job(name, next_run_time=self._time())

    def next_runs(self) -> dict[str, str]:
        """When each feed runs next, ISO 8601."""
        return {
            job.id: job.next_run_time.isoformat(timespec="seconds")
            for job in self._scheduler.get_jobs()
            if job.next_run_time is not None
        }

    def is_alive(self) -> bool:
        return bool(self._scheduler.running) and self._watch.is_alive()

    def stop(self) -> None:
        """Start nothing more. Runs under way are the caller's to end."""
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def look(self, watch: ClockWatch) -> None:
        """One look at the clocks; after a jump every feed that is read at such times is due at once."""
        seconds = watch.jumped(self._wall(), self._monotonic())
        if seconds:
            self._jumped(seconds)
            now = self._time()
            for job, schedule in self._schedules.items():
                at = now if schedule.is_active(now) else schedule.next_after(now, self._random)
                self._scheduler.modify_job(job, next_run_time=at)

    def _add(self, job: str, schedule: Schedule, work: Callable[..., None], at_once: bool, **more: Any) -> None:
        self._schedules[job] = schedule
        now = self._time()
        at = now if at_once and schedule.is_active(now) else schedule.next_after(now, self._random)
        self._scheduler.add_job(work, Trigger(schedule, self._random), id=job, next_run_time=at, **more)

    def _time(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)

    def _watch_clocks(self) -> None:
        watch = ClockWatch(self._wall(), self._monotonic())
        while not self._stopping.wait(LOOK_EVERY):
            self.look(watch)
