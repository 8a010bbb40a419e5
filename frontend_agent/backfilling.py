"""Backfills at work: one thread per source, behind everything that is new.

    turn     between the runs of the source's feeds, a few pages at a time; a feed that comes has the next turn
    session  not while the source rests (paused, protected, out of reach): tried again a little later
    spool    not beyond its share of the quota
    queue    not while a destination has a backlog; what is made is sent after all that is new

How far each is stands in the spool, in the commit of what was read. So a thread that ends, however it ends, leaves nothing to
do: the next one reads on from there. A row that is met twice is known by its content.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connectors.source import ChangedPage
from frontend_agent.accounts import sources_of
from frontend_agent.app import App, Page
from frontend_agent.backfill import Axis, asked, first_width, is_before, moved, next_width, opens_at
from frontend_agent.errors import FrontendAgentError
from frontend_agent.feeds import Feed
from frontend_agent.logs import event, failed, log
from frontend_agent.message_feeds import must_ask_a_source
from frontend_agent.model import Watermark
from frontend_agent.pulse import Pulse
from frontend_agent.spool import Backfill, Walked
from frontend_agent.turns import Turn
from frontend_agent.windows import window

STINT = 10.0  # seconds of one turn: then everything that it depends on is looked at again
IDLE = 5.0  # seconds between looks for a backfill
SOON = 1.0  # seconds until something that passes by itself is looked at again
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 120.0  # seconds after a failure


class Standing(NamedTuple):
    """What a backfill does at this moment, for who looks."""

    waiting: str = ""  # what for; empty: it works
    rate: float = 0.0  # rows a second, lately


class Backfilling:
    """The threads of one agent."""

    def __init__(
        self,
        app: App,
        turns: dict[str, Turn],
        stopping: threading.Event,
        arrived: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        pulse: Callable[[str], Pulse] = lambda source: Pulse(float("inf")),
    ) -> None:
        self._app = app
        self._turns = turns
        self._pulse = pulse
        self._stopping = stopping
        self._arrived = arrived
        self._clock = clock
        self._zone = ZoneInfo(app.config.institution.timezone)
        self._wake = {source: threading.Event() for source in turns}
        self._walks: dict[int, _Walk] = {}
        self._standing: dict[int, Standing] = {}
        self._threads = [
            threading.Thread(target=self._work, args=(source,), name=f"backfill-{source}", daemon=True)
            for source in turns
        ]

    def start(self) -> None:
        """Go on with all that are not done."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There may be a new one, or one may be stopped."""
        for event_ in self._wake.values():
            event_.set()

    def join(self, seconds: float) -> None:
        """Wait until what was being read is committed or dropped."""
        self.wake()
        until = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(until - time.monotonic(), 0.0))

    def standing(self, number: int) -> Standing:
        """What one does at this moment."""
        return self._standing.get(number, Standing())

    # -- one source --

    def _work(self, source: str) -> None:
        failures, pulse = 0, self._pulse(source)
        while not self._stopping.is_set():
            pulse.beat()
            job = self._next(source)
            if job is None:
                self._rest(source, IDLE)
                continue
            try:
                pause = self._stint(source, job)
                failures = 0
            except FrontendAgentError as problem:
                failures += 1
                pause = self._failed(job, problem, str(problem), failures)
            except Exception as error:  # noqa: BLE001 - a fault of ours in a backfill must not end it: it is tried again
                failures += 1
                pause = self._failed(job, error, failed("backfill.failed", error), failures)
            if pause:
                self._rest(source, pause)

    def _next(self, source: str) -> Backfill | None:
        """The oldest that runs at this source: one at a time, so that each is done some day."""
        running = self._app.spool.backfills.running()
        for number in self._walks.keys() - {job.id for job in running}:
            self._walks.pop(number, None)
            self._standing.pop(number, None)
        feeds = self._app.feeds
        return next((job for job in running if job.feed in feeds and feeds[job.feed].config.source == source), None)

    def _stint(self, source: str, job: Backfill) -> float:
        """A few pages, if its time has come; seconds until it should be looked at again."""
        if waiting := self._waits_for(job):
            self._stands(job, waiting)
            return SOON
        walk = self._walks.setdefault(job.id, _Walk(self._app, job, self._clock))
        if (wait := walk.owed()) > 0:
            return min(wait, SOON)
        turn = self._turns[source]
        with turn.behind() as mine:
            if not mine:
                self._stands(job, "the feeds of its source")
                return 0.0
            began, rows = self._clock(), 0
            go_on = self._while_wanted(job, turn, began)
            for taken in self._app.take_backfill(walk.feed, walk.pages(go_on)):
                rows += taken.walked.keys if taken.walked else 0
                self._arrived()
            seconds = self._clock() - began
        if rows:
            self._standing[job.id] = Standing("", rows / max(seconds, 0.001))
        if job.problem:
            self._app.spool.backfills.note(job.id, "")
        if walk.done:
            log.info(event("backfill.done", backfill=job.id, feed=job.feed))
            self._walks.pop(job.id, None)
        return 0.0

    def _while_wanted(self, job: Backfill, turn: Turn, began: float) -> Callable[[], bool]:
        def go_on() -> bool:
            if self._stopping.is_set() or turn.wanted() or self._clock() - began > STINT:
                return False
            now = self._app.spool.backfills.one(job.id)
            return now is not None and now.state == "running" and not self._waits_for(job)

        return go_on

    def _waits_for(self, job: Backfill) -> str:
        """What it waits for, besides its turn; empty for nothing."""
        app, rules = self._app, self._app.config.backfill
        local = app.clock().astimezone(self._zone).replace(tzinfo=None)
        if opens := opens_at([window(text) for text in job.windows], local):
            return f"its hours: {opens:%Y-%m-%d %H:%M}"
        quota = int(app.config.spool.quota)
        if quota and app.spool.size() >= quota * rules.share // 100:
            return f"room: the spool holds {rules.share} % of its quota; retention and deliveries make room"
        for name in app.feeds[job.feed].config.destinations:
            if (backlog := app.waiting(name)) >= rules.backlog:
                return f"destination {name}: {backlog:,} documents wait for it"
        return ""

    def _stands(self, job: Backfill, waiting: str) -> None:
        self._standing[job.id] = self.standing(job.id)._replace(waiting=waiting)

    def _failed(self, job: Backfill, error: Exception, problem: str, failures: int) -> float:
        """It goes on by itself, from where the last commit left it."""
        self._walks.pop(job.id, None)
        self._stands(job, problem)
        if problem != job.problem:
            log.warning(event("backfill.waits", backfill=job.id, feed=job.feed, kind=type(error).__name__))
            with suppress(FrontendAgentError):
                self._app.spool.backfills.note(job.id, problem)
        return float(min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE))

    def _rest(self, source: str, seconds: float) -> None:
        if not self._stopping.is_set():
            self._wake[source].wait(seconds)
            self._wake[source].clear()


class _Walk:
    """Where one backfill is in its stretch, between turns. Nothing is held open at the source meanwhile."""

    def __init__(self, app: App, job: Backfill, clock: Callable[[], float]) -> None:
        self._app = app
        self._job = job
        self._clock = clock
        self.feed: Feed = app.feeds[job.feed]
        self._axis: Axis = job.axis  # type: ignore[assignment]  # as it was written
        self._reached = job.reached
        self._at = job.at
        self._slice_end = job.reached
        self._width = first_width(self._axis, job.low, job.high, job.expected)
        self._found: Iterator[ChangedPage] | None = None
        self._rows = 0  # of this slice
        self._free_at = clock()
        self._ahead: tuple[tuple[str, ...], Watermark | None] | None = None  # keys that were found and not read yet
        self.done = False

    def owed(self) -> float:
        """Seconds until its rate, and its share of the source's time, allow the next page."""
        rate = self._free_at - self._clock() if self._job.rate else 0.0
        sources = (self._app.sources[name] for name in sources_of(self.feed))
        return max([rate, *(source.guest.owed_behind() for source in sources)])

    def pages(self, go_on: Callable[[], bool]) -> Iterator[Page]:
        """The next pages, as long as it may go on. What was given was read, and will be committed in this order."""
        must_ask_a_source(self._app.config, self._job.feed)  # it may have been another when the backfill began
        self.feed = self._app.feeds[self._job.feed]
        closed = frozenset() if self._job.closed else self._app.spool.closing.months
        began = self._clock()
        while not self.done and go_on() and self.owed() <= 0:
            keys, at = self._ahead or self._next_keys()
            self._ahead = None
            if keys and self.owed() > 0:  # finding them took its time: they are read after the rest, in another turn
                self._ahead = keys, at
                return
            now = self._clock()
            walked = Walked(
                backfill=self._job.id, reached=self._reached, at=at, keys=len(keys), seconds=now - began, done=self.done
            )
            began = now
            if keys and self._job.rate:
                self._free_at = max(self._free_at, now) + len(keys) / self._job.rate
            yield self._app.backfill_page(self.feed, keys, walked, closed)

    def _next_keys(self) -> tuple[tuple[str, ...], Watermark | None]:
        """The next page of this slice; nothing at its end, which is then the place that is reached."""
        job, axis = self._job, self._axis
        if self._found is None:
            self._slice_end = moved(axis, self._reached, self._width, job.high)
            self._rows = 0
            source = self._app.sources[self.feed.config.source].behind()
            self._found = source.walk(
                self.feed.mapping.queries, asked(axis, self._reached), asked(axis, self._slice_end), self._at,
                self.feed.config.batch,
            )  # fmt: skip
        page = next(self._found, None)
        if page is not None:
            self._rows += len(page.keys)
            self._at = page.watermark
            return page.keys, page.watermark
        self._found, self._at = None, None
        self._width = next_width(axis, self._width, self._rows)
        self._reached = self._slice_end
        self.done = not is_before(axis, self._reached, job.high)
        return (), None
