"""The agent at work: one extraction worker per source, one send thread per destination, a control socket.

`run` goes on until SIGTERM, then drains and stops within ten seconds. `once` reads each feed once, empties the spool and
ends; it is the same machine without a schedule. Both can be asked (status, quarantine, preview …) while they work.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from frontend_agent.alarming import Alarming
from frontend_agent.app import App, Outcome
from frontend_agent.backfilling import Backfilling
from frontend_agent.consoling import Consoling
from frontend_agent.control import ROOT, SOCKET, ControlServer, Question
from frontend_agent.door import Asker
from frontend_agent.errors import DestinationUnreachable, FrontendAgentError, StateError
from frontend_agent.heartbeat import Heartbeats
from frontend_agent.housekeeping import Housekeeping, schedules
from frontend_agent.logs import event, failed, log
from frontend_agent.nights import Nights
from frontend_agent.notify import Notifier
from frontend_agent.operations import door
from frontend_agent.pulse import Pulses
from frontend_agent.receiving import Receiving
from frontend_agent.reporting import Reporting
from frontend_agent.scheduler import Scheduler
from frontend_agent.schedules import Schedule
from frontend_agent.turns import Turn
from frontend_agent.upgrade_offers import Offers

if TYPE_CHECKING:
    from frontend_agent.alarm_tellers import Tellers
    from frontend_agent.imaging.running import Imaging

ACKNOWLEDGE = 2.0  # seconds that messages under way have after SIGTERM to be kept and acknowledged
DRAIN = 6.0  # seconds that deliveries have after SIGTERM; what is left is sent at the next start
DRAIN_IMAGES = 4.0  # seconds that images under way have to be looked at or sent, once nothing more comes in
ANSWER = 7.0  # seconds that sources have to answer what was asked before
GIVE_UP = 9.5  # then we end, whatever still hangs: every state on our disk is one that we can start from
IDLE = 1.0  # seconds between looks for what is due again
SLOW_EXCHANGE = 600.0  # a send thread silent for longer than this no longer makes progress
SLOW_PAGE = (
    1800.0  # nor does a run of a feed without a page; what is asked of a source ends sooner by its own time-outs
)
SLOW_STINT = 1800.0  # nor a backfill: its turns take seconds, its pages as long as those of a feed
SLOW_LOOK = (
    3600.0  # nor the scheduler's own looks, which ask no source: after a backfill many visits are judged at once
)
SLOW_NIGHT = 4 * 3600.0  # one feed's reconciliation; its statements end by their own time-outs
SLOW_REPORT = 3600.0
SLOW_ALARMS = 600.0  # one look at what is wrong asks nobody outside of this machine
SLOW_RETIREMENT = 3600.0
PULSE_EVERY = timedelta(seconds=10)  # the scheduler shows that it still begins what is due
SLOW_SCHEDULE = 60.0
RETIRE_EVERY = 3600.0
REPORTS_EVERY = 60.0  # seconds between looks for reports that are due
JUDGE_EVERY = timedelta(minutes=5)  # visits that have closed meanwhile
FAILURES_ONCE = 3  # in a row, before `once` says that a destination cannot be reached
PATIENCE_ONCE = timedelta(seconds=10)  # it does not wait longer than this for the next try


@dataclass
class Sender:
    """One destination's thread."""

    name: str
    thread: threading.Thread
    wake: threading.Event = field(default_factory=threading.Event)


class Daemon:
    """The threads around an open App."""

    def __init__(
        self,
        app: App,
        notifier: Notifier | None = None,
        reporting: Reporting | None = None,
        consoling: Consoling | None = None,
    ) -> None:
        self.app = app
        self._reporting = reporting
        self._consoling = consoling
        self.started = app.clock()
        self.stopping = threading.Event()  # nothing new is read
        self._closing = threading.Event()  # nothing new is sent
        self._notifier = notifier or Notifier()
        self.pulses = Pulses()
        timeouts = [source.statement_timeout.total_seconds() for source in app.config.sources.values()]
        self._slowest_question = 4 * max(timeouts, default=0.0)  # a page asks for keys, rows and details
        self._unwell: list[str] = []  # who kept the watchdog from being fed, when it was last to be
        self._senders = {name: self._sender(name) for name in app.destinations}
        self._scheduler: Scheduler | None = None
        self._last: dict[str, Outcome] = {}
        self._running: set[str] = set()
        self._runs = threading.Condition()
        self._turns = {name: Turn() for name in (*app.config.sources, *app.config.inlets)}
        self.backfilling = Backfilling(
            app,
            self._turns,
            self.stopping,
            self._wake,
            pulse=lambda source: self.pulses.of(f"backfill-{source}", SLOW_STINT + self._slowest_question),
        )
        self.receiving = Receiving(app, self._run_feed)
        self.imaging = imaging_of(app)
        self.alarming: Alarming | None = None
        self.offers: Offers | None = None
        self.tellers = tellers_of(app, self.stopping)
        self._door = door(app, self)
        self._controls = [ControlServer(app.state / SOCKET, self._asked, _control_failed)]
        people = app.config.people
        if people.is_configured:
            self._controls.append(ControlServer(Path(people.socket), self._asked, _control_failed, group=True))

    # --- the two ways to work -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Go on until told to stop."""
        times = schedules(self.app)
        asking = [feed for feed in self.app.config.feeds if feed.name not in self.receiving.hearers]
        feeds = [(feed.name, feed.source, times[feed.name]) for feed in asking]
        house = Housekeeping(self.app, times)
        house.tell_years()
        house.keep_morning()  # before anything is read
        besides = [("visits", JUDGE_EVERY, self._judge_visits), *house.looks()]
        pulse = self.pulses.of("schedule", SLOW_SCHEDULE)
        self._scheduler = Scheduler(
            feeds,
            self._run_scheduled,
            self._jumped,
            besides=[(name, every, self._watched(name, look)) for name, every, look in besides],
            pulse=(PULSE_EVERY, pulse.beat),
        )
        pulse.beat()
        with self._working():
            self._scheduler.start()
            self.receiving.start()
            if self.imaging is not None:
                self.imaging.start()
            self.backfilling.start()
            if self._reporting is not None:
                threading.Thread(target=self._report, args=(self._reporting,), name="reports", daemon=True).start()
            if self._consoling is not None:
                self._consoling.start()
            nights = Nights(self.app, self, self.stopping, pulse=self.pulses.of("nights", SLOW_NIGHT))
            threading.Thread(target=nights.work, name="nights", daemon=True).start()
            threading.Thread(target=self._retire, name="retirement", daemon=True).start()
            self.alarming = self._start_alarms(times)
            count = len(self.app.config.feeds)
            self._notifier.say("READY=1", f"STATUS={count} feeds")
            log.info(event("daemon.ready", feeds=count, destinations=len(self._senders), pid=os.getpid()))
            self._watch()
            self._stop()
            self.alarming.end()
        log.info(event("daemon.stopped"))

    def once(self, tick: Callable[[], None] = lambda: None) -> list[Outcome]:
        """Read each feed once, the sources side by side, and send until nothing is due. `tick` is called meanwhile."""
        for name in self._senders:
            self.app.spool.recovered(name)  # a person asks: try now, however it went before
        self.app.try_sources_now()
        with self._working():
            fetched = self._fetch()
            by_source: dict[str, list[str]] = {}
            for feed in self.app.config.feeds:
                by_source.setdefault(feed.source, []).append(feed.name)
            workers = [
                threading.Thread(target=self._run_feeds, args=(names,), name=f"source-{source}", daemon=True)
                for source, names in by_source.items()
            ]
            for worker in workers:
                worker.start()
            while any(worker.is_alive() for worker in workers) and not self.stopping.is_set():
                tick()
                self.stopping.wait(0.1)
            self._judge_visits()
            imaged = self._images_once(tick)
            self.empty(tick)
            self._stop()
        return [
            *fetched,
            *imaged,
            *(self._last[feed.name] for feed in self.app.config.feeds if feed.name in self._last),
        ]

    def backfill(self, number: int, tick: Callable[[], None] = lambda: None) -> None:
        """Work on one backfill until it is done or stopped, with nothing beside it, and send what it makes."""
        backfills = self.app.spool.backfills
        with self._working():
            self.backfilling.start()
            while (job := backfills.one(number)) and job.state == "running" and not self.stopping.is_set():
                tick()
                self.stopping.wait(0.2)
            self.empty(tick)
            self._stop()

    def backfill_images(self, inlet: str, tick: Callable[[], None] = lambda: None) -> None:
        """Work on the backfill of one inlet of images, with nothing beside it."""
        assert self.imaging is not None  # it was begun
        with self._working():
            self.imaging.backfill(inlet, tick, self.stopping)
            self._stop()

    def turn(self, source: str) -> Turn:
        """Whose turn it is at a source."""
        return self._turns[source]

    def empty(self, tick: Callable[[], None] = lambda: None) -> None:
        """Wait until everything that can be delivered is, or a destination has failed too often in a row."""
        for name in self._senders:
            self._senders[name].wake.set()
            while self.app.moving(name) and not self.stopping.is_set() and not self._has_failed(name):
                tick()
                self.stopping.wait(0.05)

    def _fetch(self) -> list[Outcome]:
        """What can be fetched is in the inbox before its feeds read. What could not be is an outcome of its own."""
        return [Outcome(f"inlet {name}", {}, 0.0, error) for name, error in self.receiving.fetch()]

    def _images_once(self, tick: Callable[[], None]) -> list[Outcome]:
        """Images fetched, looked at, sent and proven, as far as it goes now."""
        if self.imaging is None or self.stopping.is_set():
            return []
        began = time.perf_counter()
        done = self.imaging.once(tick, self.stopping)
        seconds = time.perf_counter() - began
        return [Outcome(one.what, {"images": one.images}, seconds, one.error) for one in done]

    def _has_failed(self, name: str) -> bool:
        pause = self.app.spool.pause(name)
        far_away = pause.due_at is not None and pause.due_at - self.app.clock() > PATIENCE_ONCE
        return pause.failures >= FAILURES_ONCE or (pause.failures > 0 and far_away)

    # --- what the control socket asks ---------------------------------------------------------------------------------

    def _asked(self, account: str, question: Question) -> Any:
        return self._door.ask(asker_of(account, question), question.ask, question.arguments)

    def wake(self, feeds: Iterable[str] = ()) -> None:
        """Run these feeds as soon as their sources are free, and look for deliveries that are due."""
        for name in feeds:
            self._now(name)
        self._wake()
        if self.imaging is not None:
            self.imaging.wake()

    def _now(self, name: str) -> None:
        if name in self.receiving.hearers:
            self.receiving.hearers[name].ask()
        elif self._scheduler is not None and name in self.app.feeds:
            self._scheduler.now(name)

    def run_now(self) -> list[Outcome]:
        """What `once` means while a daemon runs: every feed now, then wait until all of it is sent."""
        if self._scheduler is None:
            raise FrontendAgentError("the agent is running once already")
        for name in self._senders:
            self.app.spool.recovered(name)
        self.app.try_sources_now()
        with self._runs:
            self._runs.wait_for(lambda: not self._running or self.stopping.is_set())
            self._last.clear()
            for feed in self.app.config.feeds:
                self._now(feed.name)
            self._runs.wait_for(lambda: len(self._last) == len(self.app.feeds) or self.stopping.is_set())
            outcomes = [self._last[feed.name] for feed in self.app.config.feeds if feed.name in self._last]
        self.empty()
        return outcomes

    def next_runs(self) -> Mapping[str, str]:
        return self._scheduler.next_runs() if self._scheduler else {}

    # --- threads ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _working(self) -> Iterator[None]:
        for control in self._controls:
            control.start()
        if self.app.crossing is not None:
            self.app.crossing.settled = self._wake
            self.app.crossing.start(self.pulses.of("gap", SLOW_EXCHANGE))
        for sender in self._senders.values():
            sender.thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            self._closing.set()
            if self.app.crossing is not None:
                self.app.crossing.stop()
            self.receiving.stop(0.0)
            if self.imaging is not None:
                self.imaging.stop(0.0)
            for control in self._controls:
                control.close()

    def _run_feeds(self, names: list[str]) -> None:
        for name in names:
            if not self.stopping.is_set():
                self._run_feed(name)

    def _run_scheduled(self, name: str) -> None:
        self._run_feed(name)

    def _run_feed(self, name: str, more: Callable[[], bool] = lambda: False) -> Outcome:
        """One run; whatever goes wrong in it is that feed's, and the next run tries again."""
        with self._runs:
            self._running.add(name)
        pulse = self.pulses.of(f"feed {name}", SLOW_PAGE + self._slowest_question)

        def arrived() -> None:
            pulse.beat()
            self._wake()

        try:
            with self._turns[self.app.config.feed(name).source].first(), pulse.at_work():
                outcome = self.app.run_feed(name, self.stopping, arrived, more=more)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one feed must not end the others
            outcome = Outcome(name, {}, 0.0, FrontendAgentError(failed("feed.failed", error)))
        with self._runs:
            self._running.discard(name)
            self._last[name] = outcome
            self._runs.notify_all()
        return outcome

    def _judge_visits(self) -> None:
        try:
            if not self.stopping.is_set():
                self.app.judge_visits()
        except Exception as error:  # noqa: BLE001 - the next turn tries again; reading and sending go on
            failed("visits.failed", error)

    def _wake(self) -> None:
        for sender in self._senders.values():
            sender.wake.set()

    def _sender(self, name: str) -> Sender:
        return Sender(name, threading.Thread(target=self._send, args=(name,), name=f"send-{name}", daemon=True))

    def _send(self, name: str) -> None:
        sender, welcome = self._senders[name], False
        pulse = self.pulses.of(f"send-{name}", SLOW_EXCHANGE)
        while not self._closing.is_set():
            pulse.beat()
            sender.wake.clear()
            try:
                welcome = welcome or self.app.greet(name)
                settled = self.app.send(name) if welcome else 0
                self.app.hear(name)
                if welcome:
                    self.app.anchor(name)
            except Exception as error:  # noqa: BLE001 - tried again after a while; the watchdog's business if it stays
                self.app.send_failed(name, failed("delivery.failed", error))
                settled = 0
            if not settled:
                sender.wake.wait(IDLE)

    def _start_alarms(self, times: Mapping[str, Schedule]) -> Alarming:
        """Who judges what is wrong, who is told of it, and who tells our platforms."""
        skews: dict[str, timedelta] = {}
        pulses = (self.pulses.of(name, SLOW_ALARMS) for name in ("alarms", "heartbeat"))
        alarming = Alarming(self.app, self, times, self.stopping, skews, next(pulses))
        alarming.begin()
        self.offers = Offers(self.app, self.stopping)
        beats = Heartbeats(self.app, alarming, skews, self.stopping, next(pulses), offers=self.offers)
        besides = [("upgrades", self.offers.work)] if self.offers.machine and self.app.platforms else []
        for name, work in (("alarms", alarming.work), ("heartbeat", beats.work), *besides):
            threading.Thread(target=work, name=name, daemon=True).start()
        if self.tellers is not None:
            self.tellers.start()
        return alarming

    def _report(self, reporting: Reporting) -> None:
        pulse = self.pulses.of("reports", SLOW_REPORT)
        while not self.stopping.wait(REPORTS_EVERY):
            with pulse.at_work():
                reporting.work(self.app.clock())

    def _jumped(self, seconds: float) -> None:
        log.warning(event("clock.jumped", seconds=seconds))

    # --- the main thread ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Tell systemd that we make progress, as long as every thread that matters does."""
        while not self.stopping.wait(min(self._notifier.interval or 5.0, 5.0)):
            unwell = list(self._not_well())
            if not unwell:
                self._notifier.say("WATCHDOG=1")
            if unwell != self._unwell:
                self._say_unwell(unwell)

    def _not_well(self) -> Iterator[str]:
        """The threads that ended, or show no progress. Asking the state proves that it can be asked."""
        assert self._scheduler is not None
        if not self._scheduler.is_alive():
            yield "scheduler"
        if not all(control.is_alive() for control in self._controls):
            yield "control"
        if not self.receiving.is_well():
            yield "inlets"
        if self.imaging is not None and not self.imaging.is_well():
            yield "images"
        if self.app.crossing is not None and not self.app.crossing.is_well():
            yield "gap"
        yield from (f"send-{name}" for name, sender in self._senders.items() if not sender.thread.is_alive())
        yield from self.pulses.late()
        with suppress(StateError):  # damaged is not hanging: beginning again would mend nothing
            self.app.spool.log_head()  # waits for whoever has the state: one that holds it for ever keeps us here

    def _say_unwell(self, unwell: list[str]) -> None:
        """Into the journal, before systemd ends us: who it was."""
        self._unwell = unwell
        if unwell:
            log.error(event("watchdog.withheld", threads=",".join(unwell)))
            self._notifier.say(f"STATUS=no progress: {', '.join(unwell)}")
        else:
            log.info(event("watchdog.fed_again"))
            self._notifier.say(f"STATUS={len(self.app.config.feeds)} feeds")

    def _retire(self) -> None:
        """Drop once an hour what was proven long ago."""
        pulse = self.pulses.of("retirement", SLOW_RETIREMENT)
        while not self.stopping.wait(RETIRE_EVERY):
            try:
                with pulse.at_work():
                    self.app.retire()
                    if self.alarming is not None:
                        self.alarming.tidy()
                    if self.imaging is not None:
                        self.imaging.retire()
            except Exception as error:  # noqa: BLE001 - said, and tried again in an hour; reading and sending go on
                failed("retirement.failed", error)

    def _watched(self, name: str, look: Callable[[], None]) -> Callable[[], None]:
        """A look of the scheduler that has to end."""
        pulse = self.pulses.of(f"look {name}", SLOW_LOOK)

        def watched() -> None:
            with pulse.at_work():
                look()

        return watched

    def _stop(self) -> None:
        """End in order: pages being read are taken or dropped whole, deliveries under way are settled."""
        self._notifier.say("STOPPING=1")
        if self.offers is not None:
            self.offers.stop()
        if self._reporting is not None:
            self._reporting.stop()
        if self._consoling is not None:
            self._consoling.stop()
        began = time.monotonic()
        images = threading.Thread(target=self._stop_images, name="stop-images", daemon=True)
        images.start()
        self.receiving.stop(ACKNOWLEDGE)
        self.stopping.set()
        with self._runs:
            self._runs.notify_all()
        if self._scheduler is not None:
            self._scheduler.stop()
            while any(self.app.moving(name) and not self._paused(name) for name in self._senders):
                if time.monotonic() - began > DRAIN:
                    break
                time.sleep(0.05)
        self.backfilling.join(max(GIVE_UP - (time.monotonic() - began), 0.1))
        with self._runs:
            ended = self._runs.wait_for(lambda: not self._running, max(ANSWER - (time.monotonic() - began), 0.1))
        if not ended:  # a source that has not answered by now is not waited for
            self.app.interrupt_sources()
            with self._runs:
                self._runs.wait_for(lambda: not self._running, max(GIVE_UP - (time.monotonic() - began), 0.1))
        self._closing.set()
        self._wake()
        for sender in self._senders.values():
            sender.thread.join(max(GIVE_UP - (time.monotonic() - began), 0.1))
        images.join(max(GIVE_UP - (time.monotonic() - began), 0.1))

    def _stop_images(self) -> None:
        if self.imaging is not None:
            self.imaging.stop(ACKNOWLEDGE, DRAIN_IMAGES)

    def _paused(self, name: str) -> bool:
        return self.app.spool.pause(name).failures > 0


def asker_of(account: str, question: Question) -> Asker:
    """Who asks by a socket. Root alone says who is behind him: he could become that person anyway."""
    if account == ROOT and question.behind:
        return Asker(question.behind, question.session, question.why, through=ROOT)
    return Asker(account, question.session, question.why)


def _control_failed(error: Exception) -> str:
    return failed("control.failed", error)


def imaging_of(app: App) -> "Imaging | None":
    """Images beside it, where there is [images]: who has none loads nothing of them."""
    if not app.config.has_images:
        return None
    from frontend_agent.imaging.running import Imaging

    orders = app.config.images.orders
    asked = [orders.source] if orders is not None else []
    return Imaging(
        app.config,
        app.spool,
        app.state,
        app.clock,
        app.sources,
        partial(app.accounts.must_only_read, app.sources, asked),
        app.record_of,
    )


def tellers_of(app: App, stopping: threading.Event) -> "Tellers | None":
    """Who is told of alarms; None where nobody is: then neither mail nor webhooks are loaded."""
    if not app.config.alarms.mail and not app.config.alarms.webhooks:
        return None
    from frontend_agent.alarm_tellers import Tellers

    return Tellers(app, stopping)


def problem_of(app: App, outcomes: list[Outcome]) -> FrontendAgentError | None:
    """What `once` has to say at its end: a feed's error first, then a destination that did not take everything."""
    for outcome in outcomes:
        if outcome.error is not None:
            return outcome.error
    for pause in app.spool.pauses():
        if pause.failures and pause.name in app.destinations:
            return DestinationUnreachable(
                f"destination {pause.name}: {pause.problem} ({app.waiting(pause.name)} documents wait for it)"
            )
    return None


def on_signals(stop: Callable[[], Any]) -> list[str]:
    """SIGTERM and SIGINT ask to stop; asked again, or not done in time, we end at once: that is safe at any moment.

    The list fills with the names of the signals that came.
    """
    heard: list[str] = []

    end = ends_in_time(stop)

    def asked(number: int, frame: FrameType | None) -> None:
        heard.append(signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)
        end()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)
    return heard


def ends_in_time(stop: Callable[[], Any]) -> Callable[[], None]:
    """Asks to stop, and sees to it that we do."""

    def asked() -> None:
        threading.Thread(target=_end_in_time, name="end-in-time", daemon=True).start()
        stop()

    return asked


def _end_in_time() -> None:
    time.sleep(GIVE_UP)
    log.warning(event("daemon.ended", reason="something did not stop in time; nothing is lost by it"))
    os._exit(0)
