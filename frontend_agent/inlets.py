"""The inlets of an agent: which class each type is, and their life beside the daemon.

    hands ─▶ class(name, options, keep, tap, clock …) ─▶ start, tried again while it cannot ─▶ stop

A new type is one function here and its line in MAKERS. Classes are imported only where a table of that type is configured.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, cast

from connectors.arrivals import Arrived, Fetcher, Inlet, Keep, Kept, Tap
from connectors.folders.collecting import InMemory, Memory
from frontend_agent.calendar import Days, load_calendar
from frontend_agent.config import Config
from frontend_agent.config_fetchers import FETCHERS, FetcherConfig
from frontend_agent.config_files import INLETS as FILES
from frontend_agent.config_files import FilesInlet
from frontend_agent.config_inlets import InletConfig, ListenerConfig, MllpInlet
from frontend_agent.config_web import LISTENERS, WebConfig
from frontend_agent.config_wsn import WsnInlet
from frontend_agent.er7 import why_unreadable
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.logs import event, failed, log
from frontend_agent.secrets import secrets_of

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds until an inlet that could not start is tried again
LOOK_EVERY = 0.2


def _forget(mark: str) -> None:
    pass


class Hands(NamedTuple):
    """What an inlet is given, beside its name and its table."""

    keep: Keep
    tap: Tap
    clock: Callable[[], datetime]
    recall: Callable[[], str]  # how far it has got: the newest mark that it handed over
    secret: Callable[[str], str]  # the value of a secret by its name
    timezone: str  # of the institution
    has_day: Callable[[date, Days], bool]  # whether a day is a working day, or a holiday, by [calendar]
    picked: Memory  # which files it has picked up
    remember: Callable[[str], None] = _forget  # a mark that no message carries: where it began, or quiet times


Maker = Callable[[str, Any, Hands], Inlet]  # name, its table, what it is given


# One function for each type: it imports its class and gives it what it asks for.


def _fetcher(name: str, options: FetcherConfig, hands: Hands) -> Inlet:
    from connectors.fetching.making import make_fetcher

    return make_fetcher(name, options, hands)


def _mllp(name: str, options: MllpInlet, hands: Hands) -> Inlet:
    from connectors.mllp.listener import MllpListener

    def judge(body: bytes) -> Sequence[str]:
        return why_unreadable(body, options.charset)

    return MllpListener(name, options, hands.keep, hands.tap, hands.clock, judge)


def _files(name: str, options: FilesInlet, hands: Hands) -> Inlet:
    from connectors.folders.making import inlet

    return inlet(name, options, hands)


def _web(name: str, options: WebConfig, hands: Hands) -> Inlet:
    from frontend_agent.web_inlets import inlet

    return inlet(name, options, hands)


def _wsn(name: str, options: WsnInlet, hands: Hands) -> Inlet:
    from frontend_agent.wsn_inlets import inlet

    return inlet(name, options, hands)


MAKERS: dict[str, Maker] = {
    "mllp": _mllp,
    **dict.fromkeys(LISTENERS, _web),
    **dict.fromkeys(FETCHERS, _fetcher),
    **dict.fromkeys(FILES, _files),
    "wsn": _wsn,
}


def make(name: str, options: InletConfig, hands: Hands) -> Inlet:
    """The inlet of a table; it is not started. ConfigurationError for what is wrong with it."""
    maker = MAKERS.get(options.type)
    if maker is None:
        raise ConfigurationError(f"[inlets.{name}] type {options.type!r} is not built into this version")
    return maker(name, options, hands)


@dataclass
class Standing:
    """One inlet, and how it stands. `problem` is why it does not run, or what went wrong last."""

    inlet: Inlet
    type: str
    started: bool = False
    problem: str = ""
    failures: int = 0
    ended: int = 0  # how often its thread has ended by itself
    again_at: float = 0.0  # monotonic: when it is tried again


@dataclass
class Inlets:
    """All inlets of one agent."""

    standings: dict[str, Standing] = field(default_factory=dict)
    _wake: threading.Event = field(default_factory=threading.Event)
    _stopping: bool = False
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start them all, each by itself: one that cannot says so, and is tried again while the others run."""
        self._thread = threading.Thread(target=self._work, name="inlets", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Take no more anywhere; answer what is under way for at most so many seconds, all of them side by side."""
        with self._lock:
            self._stopping = True
        self._wake.set()
        running = [(name, one) for name, one in self.standings.items() if one.started]
        threads = [
            threading.Thread(target=self._stop_one, args=(name, one, patience), name=f"stop-{name}", daemon=True)
            for name, one in running
        ]
        for thread in threads:
            thread.start()
        until = time.monotonic() + patience + 1.0
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0.1))

    def is_well(self) -> bool:
        """Whether whoever starts them lives: the watchdog's question."""
        return self._thread is None or self._thread.is_alive()

    def fetch(self) -> Iterator[tuple[str, int, FrontendAgentError | None]]:
        """Let each fetcher ask once: name, how many messages it handed over, what went wrong."""
        for name, one in self.standings.items():
            if not is_fetcher(one.inlet):
                continue
            try:
                yield name, cast(Fetcher, one.inlet).fetch(), None
            except FrontendAgentError as error:
                yield name, 0, error
            except Exception as error:  # noqa: BLE001  one inlet's fault is its own; the log says which kind it is
                yield name, 0, FrontendAgentError(failed("inlet.failed", error))

    def told(self) -> dict[str, dict[str, Any]]:
        """How each stands, in plain values."""
        return {name: _told(one) for name, one in self.standings.items()}

    def _work(self) -> None:
        while not self._stopping:
            now = time.monotonic()
            for name, one in self.standings.items():
                if one.started and not one.inlet.is_alive():
                    self._ended(name, one)
                if not one.started and one.again_at <= now:
                    self._start_one(name, one)
            self._wake.wait(1.0 if all(one.started for one in self.standings.values()) else LOOK_EVERY)

    def _ended(self, name: str, one: Standing) -> None:
        """Its thread ended by what nobody expected: it is said, and begun again."""
        with self._lock:  # not while it is being stopped
            if self._stopping:
                return
            one.ended += 1
            one.problem = "its thread ended unexpectedly; it is begun again"
            log.error(event("inlet.ended", inlet=name, times=one.ended))
            with suppress(Exception):  # only to give back what it holds
                one.inlet.stop(0.0)
            one.started, one.again_at = False, time.monotonic() + FIRST_WAIT

    def _start_one(self, name: str, one: Standing) -> None:
        with self._lock:  # not while it is being stopped
            if self._stopping:
                return
            try:
                one.inlet.start()
            except Exception as error:  # noqa: BLE001  a port that is taken, a file that is missing: said, and tried again
                problem = _said(error)
                if problem != one.problem:
                    log.warning(event("inlet.not_started", inlet=name, problem=problem))
                one.problem, one.failures = problem, one.failures + 1
                one.again_at = time.monotonic() + min(FIRST_WAIT * 2 ** min(one.failures - 1, 16), LONGEST_WAIT)
                return
            one.started, one.problem, one.failures = True, "", 0
        log.info(event("inlet.started", inlet=name, type=one.type))

    def _stop_one(self, name: str, one: Standing, patience: float) -> None:
        try:
            one.inlet.stop(patience)
        except Exception as error:  # noqa: BLE001  we end all the same: what was not kept was not acknowledged
            log.warning(event("inlet.not_stopped", inlet=name, problem=failed("inlet.failed", error)))
        else:
            log.info(event("inlet.stopped", inlet=name))


def open_inlets(
    config: Config,
    keep: Keep,
    tap: Tap,
    clock: Callable[[], datetime],
    recall: Callable[[str], str],
    picked: Callable[[str], Memory] = lambda name: InMemory(),
    remember: Callable[[str, str], None] = lambda name, mark: None,
) -> Inlets:
    """All configured inlets, none of them started."""
    return Inlets(
        {
            name: Standing(
                make(name, options, hands_for(config, name, keep, tap, clock, recall, picked, remember)), options.type
            )
            for name, options in config.inlets.items()
        }
    )


def hands_for(
    config: Config,
    name: str,
    keep: Keep,
    tap: Tap,
    clock: Callable[[], datetime],
    recall: Callable[[str], str],
    picked: Callable[[str], Memory] = lambda name: InMemory(),
    remember: Callable[[str, str], None] = lambda name, mark: None,
) -> Hands:
    """What the inlet of that name is given."""
    return Hands(
        keep,
        tap,
        clock,
        lambda: recall(name),
        secrets_of(config),
        config.institution.timezone,
        load_calendar(config.calendar.file).has,
        picked(name),
        lambda mark: remember(name, mark),
    )


def checked_inlets(config: Config, is_running: bool) -> Iterator[tuple[str, FrontendAgentError | None]]:
    """Try every inlet without starting it: (what, what is wrong with it or None). A running daemon has our ports already."""
    for name, options in config.inlets.items():
        if name not in [feed.source for feed in config.feeds]:
            yield (
                f"inlet {name}: feeds",
                ConfigurationError(
                    f"no feed reads [inlets.{name}]: what comes is kept until the disk's quota is used up; add a [[feeds]] with"
                    f' source = "{name}"'
                ),
            )
        problem: FrontendAgentError | None = None
        try:
            inlet = make(name, options, hands_for(config, name, _keep_nothing, _tap_nothing, _now, lambda _: ""))
            if not (is_running and isinstance(options, ListenerConfig)):
                inlet.probe()
        except Exception as error:  # noqa: BLE001  told by what it says, or by its type; the others are tried all the same
            problem = error if isinstance(error, FrontendAgentError) else FrontendAgentError(_said(error))
        yield f"inlet {name}", problem


def _keep_nothing(arrived: Sequence[Arrived]) -> "Future[list[Kept]]":
    raise AssertionError("a probe hands nothing over")


def _tap_nothing(inlet: str, sender: str, data: bytes, what: str) -> None:
    pass


def _now() -> datetime:
    return datetime.now(UTC)


def is_fetcher(inlet: Inlet) -> bool:
    """Whether it asks, and is not only listening."""
    return callable(getattr(inlet, "fetch", None))


def _told(one: Standing) -> dict[str, Any]:
    try:
        told: Mapping[str, Any] = one.inlet.told()
    except Exception as error:  # noqa: BLE001  a status is answered whatever one of its parts says
        told = {"problem": f"unexpected {type(error).__name__}"}
    return {"type": one.type, "running": one.started, "problem": one.problem, **told, **_own(one)}


def _own(one: Standing) -> dict[str, Any]:
    """What stands above what the inlet says of itself."""
    ended = {"ended": one.ended} if one.ended else {}
    return {**ended, "problem": one.problem} if one.problem else ended


def _said(error: Exception) -> str:
    if isinstance(error, FrontendAgentError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return failed("inlet.failed", error)
