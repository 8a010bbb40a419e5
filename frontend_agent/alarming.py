"""The alarms of a running agent: every so often its facts are gathered and judged, and what begins or ends is kept and said.

    app, daemon ─▶ Facts ─▶ judge ─▶ turns ─▶ spool ─▶ log, and whoever is told (telling_alarms)

Gathering asks nobody outside of this machine: how sources and platforms fare is known from the work itself.
"""

import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from frontend_agent.alarms import tell
from frontend_agent.alarms.model import (
    Change,
    DestinationFacts,
    Facts,
    FeedFacts,
    LogFacts,
    RoomFacts,
    SourceFacts,
    UpgradeFacts,
)
from frontend_agent.alarms.rules import HELD_WINDOW, RESTARTS_WINDOW, judge
from frontend_agent.alarms.turns import turns
from frontend_agent.alarms.usual import KEPT, usually
from frontend_agent.app import RUNS_TOLD, App
from frontend_agent.certificate_terms import certificates_of
from frontend_agent.config import FeedConfig
from frontend_agent.imaging.pausing import pause_name
from frontend_agent.logs import event, failed, log
from frontend_agent.outlets import PLATFORM
from frontend_agent.pulse import Pulse
from frontend_agent.schedules import Schedule
from frontend_agent.spool import Run
from frontend_agent.windows import open_until

LOOK_EVERY = 30.0  # seconds
SETTLING = timedelta(minutes=10)  # after a start, before silence is judged: what waited at the source is read first
STARTED, KILLED = "alarms:started", "alarms:killed"  # this state is being worked on; starts after an unasked end
MOST_KILLED = 50
STUCK = ("refused", "blocked")


class Watched(Protocol):
    """What is wanted of the daemon: when it started, and how its inlets stand."""

    @property
    def started(self) -> datetime: ...

    @property
    def receiving(self) -> Any: ...

    @property
    def imaging(self) -> Any: ...


class Stopping(Protocol):
    def wait(self, timeout: float, /) -> bool: ...


class Alarming:
    """The looks of one running agent."""

    def __init__(
        self,
        app: App,
        daemon: Watched,
        times: Mapping[str, Schedule],
        stopping: Stopping | None = None,
        skews: Mapping[str, timedelta] | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        """`skews`: how far the clocks of platforms are from ours, as the heartbeat learns it."""
        self._app, self._daemon, self._times = app, daemon, times
        self._stopping: Stopping = stopping or threading.Event()
        self._pulse = pulse or Pulse(float("inf"))
        self._skews = skews if skews is not None else {}
        self._since: dict[tuple[str, str], datetime] = {}  # inlets that are not well, since when we see it
        self._zone = ZoneInfo(app.config.institution.timezone)
        self._calendar = next((one.calendar for one in times.values()), None)
        self._looking = threading.Lock()
        self.looked_at: datetime | None = None
        self.known: Facts | None = None  # of the last look

    # --- life ---------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """This agent starts: was it asked to end the last time?"""
        meta, now = self._app.spool.meta, self._app.clock()
        if meta.get(STARTED):
            killed = [*self._killed(), now][-MOST_KILLED:]
            meta.put(KILLED, " ".join(at.isoformat() for at in killed))
            log.warning(event("agent.was_killed", started=meta.get(STARTED)))
        meta.put(STARTED, now.isoformat())

    def end(self) -> None:
        """It ends because it was asked to."""
        self._app.spool.meta.put(STARTED, "")

    def work(self) -> None:
        """Look every so often until the agent stops. Never raises."""
        while not self._stopping.wait(LOOK_EVERY):
            try:
                with self._pulse.at_work():
                    self.look()
            except Exception as error:  # noqa: BLE001 - said, and tried again with the next look; the feeds go on
                failed("alarms.failed", error)

    def look(self) -> list[Change]:
        """Judge what is known now; what begins and ends is kept, and said in the log."""
        with self._looking:
            return self._look()

    def _look(self) -> list[Change]:
        alarms, limits, facts = self._app.spool.alarms, self._app.config.alarms, self.facts()
        standing, now = alarms.standing(), facts.now
        raised = judge(facts, limits, {one.name for one in standing})
        changes = alarms.keep(turns(standing, raised, now, limits.settle), now)
        for turn, alarm in changes:
            say = log.info if turn == "ends" else log.warning
            said = tell(alarm, limits.language)
            say(
                event(
                    f"alarm.{turn}",
                    alarm=alarm.id,
                    kind=alarm.kind,
                    subject=alarm.subject,
                    level=str(alarm.level),
                    since=alarm.since.isoformat(timespec="seconds"),
                    said=said.title,
                )
            )
        self.looked_at, self.known = now, facts
        return changes

    def tidy(self) -> None:
        """What ended long ago, and hours that are compared no more, are dropped."""
        self._app.spool.alarms.drop(self._app.config.alarms.keep, KEPT, self._app.clock())

    # --- facts --------------------------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        """Everything that is known now."""
        app, now = self._app, self._app.clock()
        counts, sources = app.spool.counts(), tuple(self._sources(now))
        codes, codes_since = app.spool.alarms.unmapped()
        studies, studies_since = app.spool.alarms.stuck_studies() if app.config.has_images else (0, None)
        return Facts(
            now=now,
            started=self._daemon.started,
            feeds=tuple(self._feeds(now, sources)),
            sources=sources,
            inlets=tuple(self._inlets(now)),
            destinations=tuple(self._destinations(counts.deliveries)),
            certificates=tuple(certificates_of(app.config, app.state)),
            rooms=tuple(self._rooms()),
            log=self._log(),
            quarantine=counts.held,
            images=app.config.has_images,
            damaged=sum(states.get("damaged", 0) for states in counts.deliveries.values()),
            unmapped=codes,
            unmapped_since=codes_since,
            killed=tuple(at for at in self._killed() if now - at < RESTARTS_WINDOW),
            stuck_studies=studies,
            stuck_studies_since=studies_since,
            withheld=counts.alarms,
            pack_expired=app.which_packs()["expired"],
            upgrade=self._upgrade(),
            gap=app.crossing.facts() if app.crossing is not None else None,
        )

    def _upgrade(self) -> UpgradeFacts | None:
        """What is offered and needs somebody."""
        offers = getattr(self._daemon, "offers", None)
        return upgrade_facts(offers.standing()) if offers is not None else None

    def _killed(self) -> list[datetime]:
        return [datetime.fromisoformat(text) for text in (self._app.spool.meta.get(KILLED) or "").split()]

    def _sources(self, now: datetime) -> Iterator[SourceFacts]:
        paused = self._app.spool.guests.paused(now)
        for name, config in self._app.config.sources.items():
            remote = self._app.remotes.get(name)
            reached = remote.reached() if remote is not None else None
            known = reached is not None and (reached.since is not None or reached.logins > 0)
            yield SourceFacts(
                name=name,
                well=reached.since is None if reached is not None and known else None,
                since=reached.since if reached is not None else None,
                problem=reached.problem if reached is not None else "",
                paused=name in paused or open_until(config.protected, now.astimezone(self._zone)) is not None,
            )

    def _inlets(self, now: datetime) -> Iterator[SourceFacts]:
        standing: dict[str, Mapping[str, Any]] = dict(self._daemon.receiving.told())
        if self._daemon.imaging is not None:
            standing |= self._daemon.imaging.told_inlets()
        for name, told in standing.items():
            well = bool(told.get("running")) and not told.get("problem")
            since = None if well else self._since.setdefault(("inlet", name), now)
            if well:
                self._since.pop(("inlet", name), None)
            yield SourceFacts(name=name, well=well, since=since, problem=str(told.get("problem", "")))

    def _destinations(self, deliveries: Mapping[str, Mapping[str, int]]) -> Iterator[DestinationFacts]:
        spool, config = self._app.spool, self._app.config
        pauses = {pause.name: pause for pause in spool.pauses()}
        names = [(name, name, False) for name in config.destinations]
        names += [(name, pause_name(name), True) for name in config.images.destinations]
        for name, pause_of, images in names:
            pause, states = pauses.get(pause_of), deliveries.get(name, {})
            waiting = spool.images.waiting(name) if images else spool.pending(name)
            yield DestinationFacts(
                name=name,
                images=images,
                waiting=waiting,
                oldest=spool.oldest(name, images) if waiting else None,
                failures=pause.failures if pause else 0,
                since=pause.since if pause and pause.failures else None,
                problem=pause.problem if pause and pause.failures else "",
                stuck=0 if images else sum(states.get(state, 0) for state in STUCK),
                skew=self._skews.get(name),
            )

    def _rooms(self) -> Iterator[RoomFacts]:
        config, spool = self._app.config, self._app.spool
        yield RoomFacts(of="spool", used=spool.size(), total=int(config.spool.quota))
        if config.has_images:
            yield RoomFacts(of="images", used=spool.images.used(), total=int(config.images.quota))
        disk = shutil.disk_usage(self._app.state)
        yield RoomFacts(of="disk", used=disk.total - disk.free, total=disk.total)

    def _log(self) -> LogFacts:
        """What no platform of ours has countersigned; nothing where there is none that could."""
        spool = self._app.spool
        if all(options.type != PLATFORM for options in self._app.config.destinations.values()):
            return LogFacts()
        head, _ = spool.log_head()
        known = spool.head_before(head)
        first = (known.seq if known else 0) + 1
        if head < first:
            return LogFacts()
        oldest = next(iter(spool.log_entries(first)), None)
        since = msgspec.json.decode(oldest.body).get("at") if oldest is not None else None
        return LogFacts(entries=head - first + 1, since=datetime.fromisoformat(since) if since else None)

    # --- feeds --------------------------------------------------------------------------------------------------------

    def _feeds(self, now: datetime, sources: Iterable[SourceFacts]) -> Iterator[FeedFacts]:
        spool = self._app.spool
        well = {one.name: one.well is not False and not one.paused for one in sources}
        runs = spool.runs(RUNS_TOLD)
        silent = spool.silence.now()
        for feed in self._app.config.feeds:
            asked = well.get(feed.source, True)
            failing_since, problem = failing(run for run in runs if run.feed == feed.name)
            stopped, night = spool.finding.stopped(feed.name), spool.reconciliations.last_night(feed.name)
            lately = spool.alarms.came(feed.name, now - HELD_WINDOW)
            silent_since, usual = silent.get(feed.name), 0.0
            if silent_since is None and asked and failing_since is None:
                silent_since, usual = self._unusual(feed, now)
            yield FeedFacts(
                name=feed.name,
                failing_since=failing_since if asked else None,  # a source that is away is its own alarm
                problem=problem,
                stopped_since=stopped.at if stopped is not None and not stopped.accepted_by else None,
                vanished=stopped.count if stopped is not None else 0,
                silent_since=silent_since,
                usual=usual,
                taken=sum(hour.taken for hour in lately.values()),
                held=sum(hour.held for hour in lately.values()),
                reconciliation=_said(night) if night is not None and night.is_alarm else "",
            )

    def _unusual(self, feed: FeedConfig, now: datetime) -> tuple[datetime | None, float]:
        """Since when nothing came at hours that usually bring so much; None: nothing unusual, or not known yet."""
        least = int(self._app.config.alarms.usual_silence)
        looked = self._app.looked.get(feed.name)
        hears = self._app.config.hears(feed.name)
        if not least or feed.silence or now - self._daemon.started < SETTLING or (looked is None and not hears):
            return None, 0.0
        schedule = self._times.get(feed.name)
        if schedule is None or not schedule.is_active(now) or self._calendar is None:
            return None, 0.0
        new_at = self._app.spool.silence.standing(feed.name, now).new_at
        came = {hour: one.taken for hour, one in self._app.spool.alarms.came(feed.name, now - KEPT).items()}
        usual = usually(came, new_at, now, self._zone, self._calendar)
        return (new_at, usual) if usual >= least else (None, 0.0)


def upgrade_facts(standing: Any) -> UpgradeFacts | None:
    """An upgrade that a platform offers and that goes no further by itself. None: nobody has to act."""
    if standing is None or not standing.size or standing.actor not in ("hospital", "platform"):
        return None
    at = datetime.fromisoformat(standing.since)
    return UpgradeFacts(version=standing.version, state=standing.state, since=at, problem=standing.reason)


def failing(runs: Iterable[Run]) -> tuple[datetime | None, str]:
    """Since when the newest runs of a feed (newest first) fail, and why; (None, "") where the newest went through."""
    since: datetime | None = None
    problem = ""
    for run in runs:
        if not run.problem:
            break
        since, problem = run.started_at, problem or run.problem
    return since, problem


def _said(night: Any) -> str:
    """What a night's reconciliation says, in figures."""
    if night.problem:
        return str(night.problem)
    return f"{night.missed} missed, {night.differing} differing, {night.mended} mended"
