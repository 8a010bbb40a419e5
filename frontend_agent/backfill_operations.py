"""What can be asked about backfills: see operations.py."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from frontend_agent.app import App
from frontend_agent.backfill import fraction, open_minutes
from frontend_agent.backfill_planning import Planner
from frontend_agent.backfilling import Standing
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.message_feeds import must_ask_a_source
from frontend_agent.spool import Backfill, Spool
from frontend_agent.telling import plain
from frontend_agent.windows import Window, window

TICK = 0.5  # seconds between two words about how far it is


class NoBackfill(FrontendAgentError):
    """There is none of that number, or it does not stand so that this could be done."""


class BadRate(ConfigurationError):
    """What --rate or --window says is not understood."""

    exit_code = 2


class BackfillOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: App
    _spool: Spool
    _daemon: Any  # the daemon that works on them, where there is one

    def backfill_plan(
        self, feed: str, low: str, high: str, rate: float = 0.0, windows: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """What it will take; rows of progress, then the `result`. Nothing is begun."""
        return self._planner(feed).plan(low, high, rate, windows_of(windows))

    def backfill_start(
        self,
        feed: str,
        low: str,
        high: str,
        who: str,
        rate: float = 0.0,
        windows: Sequence[str] = (),
        expected: int = 0,
        reason: str = "",
    ) -> dict[str, Any]:
        """Begin; `reason`: why documents of closed months may be sent again. The daemon works on it at once."""
        if rate < 0:
            raise BadRate("--rate must be a number of rows a second")
        windows = [str(one) for one in windows_of(windows)]
        backfills, now = self._spool.backfills, self._app.clock()
        for job in backfills.running():
            if job.feed == feed:
                raise NoBackfill(f"backfill {job.id} of {feed} still runs (frontend-agent backfill stop {job.id})")
        axis, begin, end = self._planner(feed).stretch(low, high)
        number = backfills.begin(
            feed, axis, begin, end, rate=rate, windows=windows, expected=expected, who=who, closed=reason, now=now
        )
        if reason and (closed := self._spool.closing.months):
            self._spool.closing.passed_over(closed, f"backfill {number} of {feed}", who, reason, now)
        self._woken()
        return {"id": number}

    def backfill_list(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest first."""
        return [self._told(job) for job in self._spool.backfills.listed(limit)]

    def backfill_show(self, number: int) -> dict[str, Any]:
        """How far one is, and what came of it."""
        return self._told(self._backfill(number))

    def backfill_watch(self, number: int) -> Iterator[dict[str, Any]]:
        """The same again and again, until it does not run any more."""
        while True:
            told = self.backfill_show(number)
            yield told
            if told["state"] != "running":
                return
            time.sleep(TICK)

    def backfill_stop(self, number: int, who: str) -> dict[str, Any]:
        """No more of it, until it is resumed. What was read is sent."""
        self._backfill(number)
        changed = self._spool.backfills.stop(number, who, self._app.clock())
        self._woken()
        return {"id": number, "changed": changed}

    def backfill_resume(self, number: int, who: str) -> dict[str, Any]:
        """Go on where it was stopped."""
        job = self._backfill(number)
        for other in self._spool.backfills.running():
            if other.feed == job.feed and other.id != number:
                raise NoBackfill(f"backfill {other.id} of {job.feed} runs; one at a time")
        changed = self._spool.backfills.resume(number, who, self._app.clock())
        self._woken()
        return {"id": number, "changed": changed}

    # -- the parts of it --

    def _planner(self, feed: str) -> Planner:
        must_ask_a_source(self._app.config, feed)
        source = self._app.config.feed(feed).source
        return Planner(self._app, feed, self._daemon.turn(source) if self._daemon else None)

    def _woken(self) -> None:
        if self._daemon:
            self._daemon.backfilling.wake()

    def _backfill(self, number: int) -> Backfill:
        job = self._spool.backfills.one(number)
        if job is None:
            raise NoBackfill(f"there is no backfill {number} (frontend-agent backfill list)")
        return job

    def _told(self, job: Backfill) -> dict[str, Any]:
        standing = self._daemon.backfilling.standing(job.id) if self._daemon else Standing()
        part, seconds = progress(job, standing.rate)
        source = next((feed.source for feed in self._app.config.feeds if feed.name == job.feed), "")
        read = self._app.config.sources.get(source)
        protected = read.protected if read else ()
        minutes = max(open_minutes(windows_of(job.windows), protected), 1)
        return {
            **plain(job),
            "fraction": part,
            "rows_per_second": standing.rate or (job.keys / job.worked if job.worked else 0.0),
            "seconds_left": seconds,
            "days_left": None if seconds is None else seconds / (minutes * 60),
            "waiting": standing.waiting or job.problem if job.state == "running" else "",
        }


def progress(job: Backfill, rate: float = 0.0) -> tuple[float, float | None]:
    """How much of it is done, 0…1, and how many seconds of work are left, where that can be told."""
    if job.state == "done":
        return 1.0, 0.0
    by_place = fraction(job.axis, job.low, job.high, job.reached)  # type: ignore[arg-type]
    by_rows = min(job.keys / job.expected, 1.0) if job.expected else 0.0
    part = min(max(by_place, by_rows), 0.999)
    pace = rate or (job.keys / job.worked if job.worked else 0.0)
    rows = max(job.expected - job.keys, 0) if job.expected else job.keys / part - job.keys if part else 0
    return part, rows / pace if pace and rows else None


def windows_of(texts: Sequence[str]) -> list[Window]:
    """`22:00-06:00` as a window of the day. Raises BadRate with what would be right."""
    try:
        return [window(text) for text in texts]
    except ValueError as error:
        raise BadRate(f"--window: expected {error}") from None
