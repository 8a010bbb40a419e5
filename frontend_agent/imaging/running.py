"""Images beside the daemon: who takes instances in, who looks at studies, who sends and proves them.

    inlets ─▶ desk ─▶ book ─▶ watcher ─▶ book ─▶ senders ─▶ retire

An agent without [images] has none of it: nothing here is imported then, and no folder is made.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from connectors import Source
from frontend_agent.calendar import load_calendar
from frontend_agent.config import Config
from frontend_agent.config_listener import ListenerConfig
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, FrontendAgentError
from frontend_agent.imaging import inlets as making_inlets
from frontend_agent.imaging import outlets as making_outlets
from frontend_agent.imaging.backfilling import BackfillBook
from frontend_agent.imaging.fetching import StudyFetcher
from frontend_agent.imaging.inlets import ImageHands
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.letting import LOOKED
from frontend_agent.imaging.looking import Looking
from frontend_agent.imaging.outlets import OutletHands
from frontend_agent.imaging.pausing import pause_name
from frontend_agent.imaging.reported import RecordOf, ReportWatcher
from frontend_agent.imaging.reports import CommitmentReports
from frontend_agent.imaging.sending import StudySender
from frontend_agent.imaging.variants import drop_others, variants
from frontend_agent.imaging.wanting import asking
from frontend_agent.imaging.watching import Watcher
from frontend_agent.inlets import Inlets, Standing
from frontend_agent.logs import event, failed, log
from frontend_agent.secrets import secrets_of
from frontend_agent.spool import Spool
from frontend_agent.spool.image_desk import Desk
from frontend_agent.spool.image_words import rules_of

FAILURES_ONCE = 3  # in a row, before `once` says that a destination cannot be reached
LAST_STUDY = 10.0  # seconds for an inlet to end that has nothing more to fetch
PROOF_ONCE = 15.0  # seconds that `once` waits for proof of what was accepted


class Fetched(NamedTuple):
    """How one part of `once` ended."""

    what: str
    images: int
    error: FrontendAgentError | None = None


class Imaging:
    """All of it, over one open spool."""

    def __init__(
        self,
        config: Config,
        spool: Spool,
        state: Path,
        clock: Callable[[], datetime],
        sources: Mapping[str, Source] | None = None,
        may_read: Callable[[], object] = lambda: None,
        record_of: RecordOf = lambda document_id: None,
    ) -> None:
        """Makes everything that is configured, and starts nothing. ConfigurationError for what cannot be made.

        `sources`: the hospital's systems, for orders; `may_read` raises where the account of theirs may do more.
        `record_of`: what a document of ours says.
        """
        self.config, self.spool, self.clock = config, spool, clock
        self.book = spool.images.open(rules_of(config), clock())
        self.reports = CommitmentReports()
        self.desk = Desk(self.book, clock, failed=lambda error: failed("images.keep.failed", error))
        hands = outlet_hands(config, spool, state, clock, self.desk, self.reports)
        drop_others(
            state, [name for name, one in config.images.destinations.items() if one.deidentified or one.compress]
        )
        self.senders = {name: self._sender(name, hands) for name in config.images.destinations}
        self.watcher = Watcher(self.book, Looking(config.images, config.institution, clock), clock, self.wake_senders)
        self.inlets = Inlets(
            {
                name: Standing(
                    making_inlets.make(name, options, inlet_hands(config, spool, name, clock, self.desk, self.reports)),
                    options.type,
                )
                for name, options in config.images.inlets.items()
            }
            | self._orders(sources or {}, may_read)
        )
        self.reported = (
            ReportWatcher(self.book, record_of, config.images, clock, self.wake_inlets)
            if asking(config.images, "reports")
            else None
        )
        self._started = self._stopped = False

    def _orders(self, sources: Mapping[str, Source], may_read: Callable[[], object]) -> dict[str, Standing]:
        """RIS and HIS are asked as an inlet is: beside the others, begun again when it ends, in `once` as well."""
        images = self.config.images
        if images.orders is None:
            return {}
        from frontend_agent.imaging.orders import Orders

        orders = Orders(images, images.orders, self.config.institution, sources, self.book, self.clock, may_read)
        return {"images.orders": Standing(orders, "orders")}

    def _sender(self, name: str, hands: OutletHands) -> StudySender:
        options = self.config.images.destinations[name]
        outlet = making_outlets.make(name, options, hands)
        instead = variants(
            name, options, hands.state, hands.secret, self._is_looked_at, self.book.room, self.book.files.keys
        )
        timezone = self.config.institution.timezone
        return StudySender(name, options, outlet, self.book, self.spool, self.clock, timezone, instead)

    def _is_looked_at(self, study_instance_uid: str) -> bool:
        """Whether a person has seen that a study's pixels show nobody."""
        return bool(self.book.mark(LOOKED + study_instance_uid))

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Whoever sends first: what waits goes while the inlets begin."""
        self._start_inner()
        self.watcher.start()
        self.inlets.start()
        if self.reported is not None:
            self.reported.start()
        log.info(event("images.ready", inlets=len(self.inlets.standings), destinations=len(self.senders)))

    def _start_inner(self) -> None:
        self._started = True
        self.desk.start()
        for sender in self.senders.values():
            sender.start()

    def stop(self, patience: float, drain: float = 0.0) -> None:
        """Take no more first: what is under way is kept and acknowledged. Then nothing more is sent. Once is enough."""
        if self._stopped:
            return
        self._stopped = True
        if self.reported is not None:
            self.reported.stop(patience)
        self.inlets.stop(patience)
        if self._started:
            self.desk.stop()
        self.watcher.stop(drain)
        threads = [
            threading.Thread(target=sender.stop, args=(drain,), name=f"stop-{name}", daemon=True)
            for name, sender in self.senders.items()
            if self._started
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(drain + 3.0)

    def is_well(self) -> bool:
        """Whether all its threads live: the watchdog's question."""
        return not self._started or (
            self.desk.is_alive()
            and self.watcher.is_alive()
            and self.inlets.is_well()
            and all(sender.is_well() for sender in self.senders.values())
        )

    def wake(self) -> None:
        """Somebody decided something: look, and send."""
        self.watcher.wake()
        self.wake_senders()
        self.wake_inlets()

    def wake_inlets(self) -> None:
        """Studies are wanted: whoever asks a PACS looks at once."""
        for standing in self.inlets.standings.values():
            if isinstance(standing.inlet, StudyFetcher):
                standing.inlet.now()

    def wake_senders(self) -> None:
        for sender in self.senders.values():
            sender.wake()

    def retire(self) -> None:
        """Drop what every destination has proven for so long."""
        images = self.config.images
        dropped = self.book.retire(images.retention, images.remember, self.clock())
        if dropped:
            log.info(event("images.retired", studies=dropped))

    # --- once ---------------------------------------------------------------------------------------------------------

    def once(self, tick: Callable[[], None], stopping: threading.Event) -> list[Fetched]:
        """Fetch, look, send and prove until nothing is due; what came now is not waited for to settle."""
        for name in self.senders:
            self.spool.recovered(pause_name(name))  # a person asks: try now, however it went before
        self._start_inner()
        if self.reported is not None:
            self.reported.look()
        done = [Fetched(f"images: inlet {name}", count, error) for name, count, error in self.inlets.fetch()]
        judged = self.watcher.work(self.config.images.settle, stopping.is_set)
        done.append(Fetched("images: studies", judged))
        self.wake_senders()
        self.empty(tick, stopping)
        return [*done, *self._unsent()]

    def backfill(self, name: str, tick: Callable[[], None], stopping: threading.Event) -> None:
        """Work on the backfill of one inlet until it is done or stopped and what it wants was tried; look at what came, and send it."""
        self._start_inner()
        self.watcher.start()
        working = {name, getattr(self.config.images.inlets[name], "move_to", "")} & set(self.inlets.standings)
        inlets = [self.inlets.standings[one].inlet for one in working]
        fetcher = self.inlets.standings[name].inlet
        for inlet in inlets:
            inlet.start()
        try:
            while not stopping.is_set() and backfill_goes_on(self.book, name, fetcher):
                tick()
                stopping.wait(0.2)
        finally:
            for inlet in inlets:
                inlet.stop(0.0 if stopping.is_set() else LAST_STUDY)
        self.watcher.work(self.config.images.settle, stopping.is_set)
        self.wake_senders()
        self.empty(tick, stopping)

    def empty(self, tick: Callable[[], None], stopping: threading.Event) -> None:
        """Wait until all that can be sent is, or a destination has failed too often; and a while for its proof."""
        for name in self.senders:
            while self.book.waiting(name) and not stopping.is_set() and not self.has_failed(name):
                tick()
                stopping.wait(0.05)
        ends = time.monotonic() + PROOF_ONCE
        for name in self.senders:
            while self._is_asked(name) and time.monotonic() < ends and not stopping.is_set():
                tick()
                stopping.wait(0.05)

    def _is_asked(self, name: str) -> bool:
        options = self.config.images.destinations[name]
        proves = getattr(options, "proof", "none") != "none"
        return proves and bool(self.book.unproven(name)) and not self.has_failed(name)

    def has_failed(self, name: str) -> bool:
        pause = self.spool.pause(pause_name(name))
        far = pause.due_at is not None and pause.due_at - self.clock() > timedelta(seconds=10)
        return pause.failures >= FAILURES_ONCE or (pause.failures > 0 and far)

    def _unsent(self) -> Iterator[Fetched]:
        for name in self.senders:
            pause, waiting = self.spool.pause(pause_name(name)), self.book.waiting(name)
            error = None
            if pause.failures:
                error = DestinationUnreachable(f"destination {name}: {pause.problem} ({waiting} instances wait for it)")
            yield Fetched(f"images: destination {name}", self.book.tallies().get(name, {}).get("delivered", 0), error)

    # --- how it stands ------------------------------------------------------------------------------------------------

    def told_inlets(self) -> dict[str, dict[str, Any]]:
        return self.inlets.told()

    def told_sender(self, name: str) -> dict[str, Any]:
        try:
            return self.senders[name].told()
        except Exception as error:  # noqa: BLE001  a status is answered whatever one of its parts says
            return {"problem": f"unexpected {type(error).__name__}"}


def backfill_goes_on(book: StudyBook, name: str, inlet: object) -> bool:
    """Whether it is walked, or what it wants is not fetched yet."""
    standing = BackfillBook(book).standing(name)
    if standing is None or standing.state == "stopped":
        return False
    is_fetching = isinstance(inlet, StudyFetcher) and inlet.is_fetching()
    return standing.state == "running" or standing.waiting > 0 or is_fetching


def inlet_hands(
    config: Config, spool: Spool, name: str, clock: Callable[[], datetime], desk: Desk, reports: CommitmentReports
) -> ImageHands:
    """What the inlet of that name is given."""
    return ImageHands(
        desk=desk, book=spool.images, clock=clock, secret=secrets_of(config), timezone=config.institution.timezone,
        has_day=load_calendar(config.calendar.file).has, picked=spool.picked(f"images:{name}"),
        institution=config.institution, images=config.images, reports=reports,
    )  # fmt: skip


def outlet_hands(
    config: Config, spool: Spool, state: Path, clock: Callable[[], datetime], desk: Desk, reports: CommitmentReports
) -> OutletHands:
    """What destinations are given."""
    return OutletHands(
        config=config, book=spool.images, desk=desk, clock=clock, secret=secrets_of(config),
        has_day=load_calendar(config.calendar.file).has, reports=reports, memory=spool.meta, state=state,
    )  # fmt: skip


def checked_images(config: Config, is_running: bool, folder: Path) -> Iterator[tuple[str, FrontendAgentError | None]]:
    """Try every inlet and destination of images without starting it: (what, what is wrong with it or None). `folder`: an empty one, for
    what they are made over. A running daemon has our ports already."""
    if not config.images.destinations:
        yield (
            "images",
            ConfigurationError(
                "no destination takes studies: what comes is kept until [images] quota is used up; add [images.destinations.NAME]"
            ),
        )
    with Spool(folder).open() as spool:
        reports = CommitmentReports()
        desk = Desk(spool.images, _now)
        for name, options in config.images.inlets.items():
            hands = inlet_hands(config, spool, name, _now, desk, reports)
            skip = is_running and isinstance(options, ListenerConfig)
            yield f"images: inlet {name}", _problem(partial(making_inlets.make, name, options, hands), skip)
        for name, outlet in config.images.destinations.items():
            out = outlet_hands(config, spool, folder, _now, desk, reports)
            yield f"images: destination {name}", _problem(partial(making_outlets.make, name, outlet, out), False)


def _problem(make: Callable[[], Any], skip: bool) -> FrontendAgentError | None:
    try:
        made = make()
        if not skip:
            made.probe()
    except FrontendAgentError as error:
        return error
    except OSError as error:
        return FrontendAgentError(error.strerror or type(error).__name__)
    except Exception as error:  # noqa: BLE001  told by its type; the others are tried all the same
        return FrontendAgentError(failed("images.probe.failed", error))
    return None


def _now() -> datetime:
    return datetime.now(UTC)
