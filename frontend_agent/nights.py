"""Reconciliation by itself, once a night: every feed, the last few days, and what differs is mended.

It begins at `[reconciliation] at` and may begin for so long after it (`WINDOW`): an agent that was off then leaves it to the
next night, whose days overlap with this one's, rather than read in the middle of the morning. A source that rests or cannot be
reached is tried again; what could not be done by the end of the window is kept as that, and is an alarm like a difference.
"""

import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from frontend_agent.app import App
from frontend_agent.errors import FrontendAgentError
from frontend_agent.logs import event, failed, log
from frontend_agent.pulse import Pulse
from frontend_agent.reconciliation import Reading, failed_result, reconcile

LOOK_EVERY = 60.0  # seconds
TRY_AGAIN = timedelta(minutes=10)
WINDOW = timedelta(hours=3)
MARK = "reconciliation:night"  # the last night on which one was begun, and the feeds that are through with it


class Stopping(Protocol):
    def wait(self, timeout: float, /) -> bool: ...
    def is_set(self) -> bool: ...


def night_of(local: datetime, at: str) -> date | None:
    """The day on whose night it is time to reconcile. None: not now, or never (`at` empty)."""
    if not at:
        return None
    hour, _, minute = at.partition(":")
    for day in (local.date(), local.date() - timedelta(days=1)):
        begins = datetime(day.year, day.month, day.day, int(hour), int(minute))
        if begins <= local < begins + WINDOW:
            return day
    return None


class Nights:
    """The nights of one agent."""

    def __init__(self, app: App, daemon: Reading, stopping: Stopping | None = None, pulse: Pulse | None = None) -> None:
        self._app, self._daemon = app, daemon
        self._pulse = pulse or Pulse(float("inf"))
        self._stopping: Stopping = stopping or threading.Event()
        self._tried: dict[str, datetime] = {}
        self._problems: dict[str, FrontendAgentError] = {}
        self._night: date | None = None

    def work(self) -> None:
        """Look every so often until the agent stops. Never raises."""
        while not self._stopping.wait(LOOK_EVERY):
            try:
                with self._pulse.at_work():
                    self.look()
            except Exception as error:  # noqa: BLE001 - said, and tried again with the next look; the feeds go on
                failed("reconciliation.failed", error)

    def look(self) -> list[str]:
        """Do what is due now. The feeds that were reconciled."""
        settings, now = self._app.config.reconciliation, self._app.clock()
        local = now.astimezone(ZoneInfo(self._app.config.institution.timezone)).replace(tzinfo=None)
        night = night_of(local, settings.at)
        if night != self._night:
            self._end_night()
            self._night = night
        if night is None:
            return []
        done = []
        for name in self._due(night, now):
            self._tried[name] = now
            try:
                self._reconcile(name, night)
            except FrontendAgentError as error:
                self._problems[name] = error
                log.warning(event("reconciliation.put_off", feed=name, problem=str(error)))
            else:
                self._through(name, night)
                done.append(name)
        return done

    def _due(self, night: date, now: datetime) -> Iterator[str]:
        through = self._through_with(night)
        wanted = self._app.config.reconciliation.feeds or tuple(feed.name for feed in self._app.config.feeds)
        for name in wanted:
            if self._app.config.hears(name):  # nothing to compare with
                continue
            tried = self._tried.get(name)
            if name not in through and (tried is None or not timedelta() <= now - tried < TRY_AGAIN):
                if self._stopping.is_set():
                    return
                yield name

    def _reconcile(self, name: str, night: date) -> None:
        first, last = self._days(night)
        self._pulse.beat()
        for _ in reconcile(self._app, self._daemon, name, first, last, resend=self._app.config.reconciliation.resend):
            self._pulse.beat()
            if self._stopping.is_set():
                raise FrontendAgentError("the agent stops; it is done again when it starts in time")

    def _days(self, night: date) -> tuple[date, date]:
        return night - timedelta(days=self._app.config.reconciliation.days), night - timedelta(days=1)

    def _end_night(self) -> None:
        """What could not be done in the whole window is kept as that."""
        if self._night is not None:
            first, last = self._days(self._night)
            for name, error in self._problems.items():
                kind = self._app.feeds[name].kind.code if name in self._app.feeds else ""
                told = failed_result(name, kind, first, last, error)
                now = self._app.clock()
                institution = self._app.config.institution.id
                self._app.spool.reconciliations.keep(
                    told, institution=institution, missed=(), who="", started_at=self._tried.get(name, now), now=now
                )
        self._tried.clear()
        self._problems.clear()

    # A restart in the middle of the night goes on with the feeds that are left.

    def _through_with(self, night: date) -> set[str]:
        day, _, names = (self._app.spool.meta.get(MARK) or "").partition(" ")
        return set(names.split(" ")) if day == night.isoformat() else set()

    def _through(self, name: str, night: date) -> None:
        self._problems.pop(name, None)
        names = sorted(self._through_with(night) | {name})
        self._app.spool.meta.put(MARK, f"{night.isoformat()} {' '.join(names)}")
