"""The heartbeat: every minute our own platforms are told that we live and how we stand, and tell us what time they have.

    the facts of the last look ─▶ Beat ─▶ POST /v1/heartbeat ─▶ their time ─▶ how far the clocks differ, an alarm of its own

A platform of a version that knows no heartbeat is asked again every hour. One that is away is the sending thread's business.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from frontend_agent import __version__
from frontend_agent.alarming import Alarming
from frontend_agent.alarms.model import Facts
from frontend_agent.alarms.monitoring import figures_of
from frontend_agent.alarms.muting import muted
from frontend_agent.alarms.texts import only_numbers
from frontend_agent.app import App
from frontend_agent.calendar import load_calendar
from frontend_agent.errors import FrontendAgentError
from frontend_agent.logs import event, failed, log
from frontend_agent.pulse import Pulse
from frontend_agent.upgrade_offers import Offers
from frontend_agent.upgrade_offers import told as told_upgrade
from frontend_agent.wire.heartbeat import MOST_ALARMS, MOST_FEEDS, AlarmBeat, FeedBeat

ASK_AGAIN = 3600.0  # seconds, where it knows no heartbeat


class Stopping(Protocol):
    def wait(self, timeout: float, /) -> bool: ...


class Heartbeats:
    """The beats of one running agent."""

    def __init__(
        self,
        app: App,
        alarming: Alarming,
        skews: dict[str, timedelta],
        stopping: Stopping | None = None,
        pulse: Pulse | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        offers: Offers | None = None,
    ) -> None:
        """`skews`: what is learnt of clocks goes there; the alarms look at it. `offers`: who hears of upgrades."""
        self._offers = offers
        self._app, self._alarming, self._skews = app, alarming, skews
        self._stopping: Stopping = stopping or threading.Event()
        self._pulse = pulse or Pulse(float("inf"))
        self._monotonic = monotonic
        self._not_before: dict[str, float] = {}
        self._problems: dict[str, str] = {}
        self._calendar = load_calendar(app.config.calendar.file)

    def work(self) -> None:
        """Every so often until the agent stops. Never raises."""
        every = self._app.config.alarms.heartbeat.total_seconds()
        while every and not self._stopping.wait(every):
            try:
                with self._pulse.at_work():
                    self.beat()
            except Exception as error:  # noqa: BLE001 - said, and tried again with the next beat
                failed("heartbeat.failed", error)

    def beat(self) -> int:
        """Tell each of our platforms once. How many heard it."""
        if self._alarming.known is None:
            self._alarming.look()
        facts, heard = self._alarming.known, 0
        assert facts is not None
        told = {**told_beat(facts, self._app, self._muted(facts.now)), **self._upgrade()}
        for name, platform in self._app.platforms.items():
            if self._monotonic() < self._not_before.get(name, 0.0):
                continue
            try:
                answered = platform.beat(told, self._app.clock)
            except FrontendAgentError as error:
                self._say(name, str(error))
                continue
            self._say(name, "")
            if answered is None:
                self._not_before[name] = self._monotonic() + ASK_AGAIN
                continue
            self._skews[name] = answered.skew
            if self._offers is not None:
                self._offers.heard(name, answered.offer)
            heard += 1
        return heard

    def _say(self, name: str, problem: str) -> None:
        """Once, when it changes."""
        if problem != self._problems.get(name, ""):
            log.warning(event("heartbeat.not_heard", destination=name, problem=problem)) if problem else log.info(
                event("heartbeat.heard", destination=name)
            )
        self._problems[name] = problem

    def _upgrade(self) -> dict[str, Any]:
        """What could be installed on this machine, and how far the newest upgrade has come."""
        if self._offers is None:
            return {}
        standing = self._offers.standing()
        return {"machine": self._offers.machine, "upgrade": told_upgrade(standing) if standing is not None else None}

    def _muted(self, now: datetime) -> Callable[[Any], bool]:
        config, mutes = self._app.config, self._app.spool.alarms.mutes(now)
        local = now.astimezone(ZoneInfo(config.institution.timezone))
        return lambda alarm: bool(muted(alarm, mutes, config.alarms.mute, local, self._calendar))


def told_beat(facts: Facts, app: App, is_muted: Callable[[Any], bool]) -> Mapping[str, Any]:
    """What leaves: names from agent.toml, times and numbers. Who speaks is added by whoever sends it."""
    silent = {one.name for one in facts.feeds if one.silent_since is not None}
    failing = {one.name for one in facts.feeds if one.failing_since is not None}
    return {
        "at": app.clock().isoformat(),
        "version": __version__,
        "started": facts.started.isoformat() if facts.started else "",
        "figures": {name: float(one.value) for name, one in figures_of(facts, app.config.alarms).items()},
        "feeds": [
            FeedBeat(
                name=feed.name,
                asked=_seconds(facts.now, app.looked.get(feed.name)),
                new=_seconds(facts.now, app.spool.silence.new_at(feed.name)),
                silent=feed.name in silent,
                failing=feed.name in failing,
            )
            for feed in app.config.feeds[:MOST_FEEDS]
        ],
        "alarms": [
            AlarmBeat(
                id=one.id,
                kind=one.kind,
                subject=one.subject[:200],
                level=str(one.level),
                since=one.since.isoformat(),
                began_at=one.began_at.isoformat(),
                figures={name: float(value) for name, value in only_numbers(one.figures).items()},
                muted=is_muted(one),
            )
            for one in app.spool.alarms.standing()[:MOST_ALARMS]
        ],
    }


def _seconds(now: datetime, at: datetime | None) -> float | None:
    return max((now - at).total_seconds(), 0.0) if at is not None else None
