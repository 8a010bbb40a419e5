"""The one module that knows all the parts: it makes of a configuration the feeds and destinations that run.

    Feed       a source, a mapping and a kind, compiled to what take_in needs
    App        all of them over one state directory

Who calls them, and when, is the daemon's business.
"""

import base64
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import cache
from itertools import chain
from pathlib import Path
from random import random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import msgspec

from connectors import RemoteSource, Source
from connectors.fetched import Fetched
from connectors.outlets import Outlet
from connectors.outlets.http import Tls
from connectors.platform import PlatformDestination, PlatformOptions
from frontend_agent import __version__
from frontend_agent.accounts import Accounts, account_problem, refused_statements, sources_of
from frontend_agent.anchoring import Anchoring
from frontend_agent.calendar import load_calendar
from frontend_agent.checks import rules_digest
from frontend_agent.checks.visits import Visit, judge
from frontend_agent.codes import Approvals, CodeTable, must_differ
from frontend_agent.config import (
    Config,
    FeedConfig,
)
from frontend_agent.config_outlets import DestinationConfig, ForeignConfig, OutletConfig
from frontend_agent.control import is_running
from frontend_agent.delivery import back_off
from frontend_agent.errors import (
    ConfigurationError,
    DestinationError,
    FrontendAgentError,
    NotAllowed,
    SourceResting,
    SpoolFull,
    StateError,
)
from frontend_agent.examining import advice_on_plans
from frontend_agent.feeds import NO_PACKS, Feed, compile_feed, meaningless, pack_names, under_approvals
from frontend_agent.finding import Finder, Found, TooManyVanished
from frontend_agent.guest_book import GuestBook
from frontend_agent.hearing import Telling, hear
from frontend_agent.identity import set_id
from frontend_agent.inlets import checked_inlets
from frontend_agent.intake import (
    Heads,
    behind_real_time,
    take_in,
    take_vanished,
    what_is_known,
    with_messages,
)
from frontend_agent.keeping_sealed import at_rest_of, sealing_problem
from frontend_agent.logs import event, log
from frontend_agent.mapping import Mapping as FieldMapping
from frontend_agent.message_feeds import Hearing
from frontend_agent.model import Blame, Finding, Record, SeriesHead, SourceRows, Watermark
from frontend_agent.outlets import PLATFORM, open_outlet
from frontend_agent.packs import NATIONAL, Pack, PackRefused, Packs, Skew, compared, names, open_pack
from frontend_agent.packs.content import content_of, name_of
from frontend_agent.people_checked import checked_people
from frontend_agent.prefetch import Prefetch
from frontend_agent.preparing import Order, Prepared, Worker
from frontend_agent.processes import settle_memory
from frontend_agent.proving import genuine_by
from frontend_agent.renewing import Belonging
from frontend_agent.sending import FIRST_PAUSE, LONGEST_PAUSE, NOT_ALLOWED_PAUSE, send_out
from frontend_agent.sources import Opened, open_sources, remote_sources
from frontend_agent.spool import Heard, Progress, Run, Spool, Taken, Walked, this_machine
from frontend_agent.spool.database import FILE
from frontend_agent.spool.image_words import rules_of as images_rules
from frontend_agent.spool.packs import PackFolder
from frontend_agent.spool.visits import DueVisit
from frontend_agent.terms.checking import doubtful
from frontend_agent.terms.loading import load_catalogues
from frontend_agent.times import StepTimes
from frontend_agent.wire.frames import decompressor, open_frame
from frontend_agent.workers import Workers

if TYPE_CHECKING:
    from frontend_agent.crossing.inner import AcrossPlatform, Inner

VISITS_AT_ONCE = 200  # judged in one commit
TOLD = "told"
LINKS_AT_ONCE = 500  # partner rows that changed, whose records are looked for together
RELEASED_AT_ONCE = 50_000  # keys held in memory
BYTES_AT_ONCE = 4 << 20
MOST_BETWEEN_ASKING = 60.0  # seconds between looks for what is to be asked for: each document has its own time
LONGEST_ROUND = 60.0  # seconds of one exchange with a destination: then its thread shows that it lives
OWN_PACKS = "packs"  # what this agent judges by, for who looks at the state alone
PACK_UNTIL = "pack:until"  # the last day of the pack in force, if it has one
RUNS_TOLD = 200  # the newest runs, of all feeds: how each stands


Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@cache
def hl7_profiles(folder: str) -> dict[str, Any]:
    """A region's HL7 message profiles by message structure: every XML file of the folder; none without a folder."""
    from frontend_agent.formats.hl7v2 import profile_of

    found: dict[str, Any] = {}
    files = sorted(Path(folder).glob("*.xml")) if folder else []
    if folder and not files:
        raise ConfigurationError(f"[hl7] profiles: {folder} holds no message profile (*.xml)")
    for file in files:
        found |= profile_of(file.read_bytes(), str(file))
    return found


class Page(NamedTuple):
    """Some keys of a feed: the watermark after them, those of them that are asked for by key, their rows if read ahead.

    `mark` is whose watermark it is, where not the feed's own: a partner's.
    """

    keys: Sequence[str]
    watermark: Watermark | None
    asked: Sequence[str]
    rows: Fetched | None
    mark: str = ""
    progress: Progress | None = None  # of a page without keys: how far the feed has been found
    walked: Walked | None = None  # of a backfill's page
    closed: frozenset[int] = frozenset()  # months of which nothing new is made
    expected: bool = False  # its keys should be there: those that are not are doubted
    numbers: Sequence[Any] = ()  # of a page without keys: change rows that are done with
    vanished: Sequence[str] = ()  # of a page without keys: those that are nowhere at the source
    heard: Heard | None = None  # the messages that it comes from


ALL_FOR_NOW = Page((), None, (), None)  # what is under way is committed before more is waited for


# -- All of it --------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """How one run of a feed ended. `error` is None when it went through."""

    feed: str
    counts: dict[str, int]
    seconds: float
    error: FrontendAgentError | None = None


class App:
    """Everything one agent has, over one state directory. `open` it, or use it as a context."""

    def __init__(self, config: Config, state: Path, clock: Clock = utc_now, alone: bool = False) -> None:
        """`alone`: without processes beside this one, for who asks for one record."""
        self.config = config
        self.state = state
        self.clock = clock
        self.looked: dict[str, datetime] = {}  # feed -> when it was last asked for, also where nothing was new
        self._alone = alone
        self.times = StepTimes()
        self.spool = Spool(state, quota=config.spool.quota, at_rest=at_rest_of(config))
        self.sources: dict[str, Source] = {}
        self.remotes: dict[str, RemoteSource] = {}  # the same, where each has a process of its own
        self.guest_book = GuestBook(self.spool, self.sources)
        self.platforms: dict[str, PlatformDestination] = {}
        self._asks_at: dict[str, float] = {}
        self._anchoring: dict[str, Anchoring] = {}  # by our platforms
        self.crossing: Inner | None = None  # how our platforms are reached across a gap; None: they are not
        self.outlets: dict[str, Outlet] = {}  # destinations that are not our platform: they prove nothing (law 5)
        self.feeds: dict[str, Feed] = {}
        self.accounts = Accounts(config, self._today, lambda name, told: self.spool.account_seen(name, told, clock()))
        self.approvals = Approvals()
        self.packs_used = NO_PACKS
        self._dictionaries: dict[str, bytes] = {}
        self._workers: Workers[Order, Prepared] | None = None

    def open(self) -> "App":
        """Compile what is configured, open the state, connect to nothing."""
        self.packs_used = packs_in(self.state, self.config)
        self.feeds = {
            feed.name: compile_feed(self.config, feed, self._today, self.packs_used) for feed in self.config.feeds
        }
        for problem in chain(meaningless(self.config, self.feeds), refused_statements(self.config, self.feeds)):
            raise problem
        must_differ(table for feed in self.feeds.values() for table in feed.mapping.codes.values())
        self._dictionaries = {feed.kind.dictionary_sha256: feed.kind.dictionary for feed in self.feeds.values()}
        try:
            self._open_processes()  # before the state is open: what a fork inherits it may not touch
            self.open_state()
        except BaseException:
            self._end_processes()
            raise
        try:
            self.spool.keep_dictionaries(self._dictionaries)
            self.learn_approvals()
            self._say_which_packs()
            if not self._alone:
                self._tell_doubts()
            self.guest_book = GuestBook(self.spool, self.sources)
            self.guest_book.recall(self.clock())
            self._open_destinations()
        except BaseException:
            self.close()
            raise
        return self

    def _open_processes(self) -> None:
        """An extractor for each source, which alone connects to it, and the workers."""
        if self._alone:
            self.sources = open_sources(self.config)
            return
        settle_memory()
        self.remotes = remote_sources(self.config)
        self.sources = dict(self.remotes)
        if self.config.workers:
            self._workers = Workers(self.config.workers, Worker(self.config, self.packs_used, self.feeds))

    def _tell_doubts(self) -> None:
        """What only a person can settle about the code maps is said once, at the start; what is wrong has stopped us by now."""
        catalogues, day = load_catalogues(self.config.catalogues), f"{self._today():%Y%m%d}"
        told: set[str] = set()
        for feed in self.feeds.values():
            with feed.content.compiling():
                for table, one in doubtful([(feed.mapping, feed.kind)], catalogues, day):
                    if table.id not in told:
                        log.warning(event("terms.doubt", table=table.id, rule=one.rule, code=one.value))
            told |= {table.id for table in feed.mapping.codes.values()}

    def learn_approvals(self) -> None:
        """Take up what people decided about local codes: from the next page on it is at work, in every process."""
        self.approvals = self.spool.terms.approvals()
        if self.approvals.revision:
            self.feeds = {name: under_approvals(self.config, feed, self.approvals) for name, feed in self.feeds.items()}

    def open_state(self) -> "App":
        """The state alone, for who only wants to look."""
        self.spool.open()
        if self.spool.sealed_anew:
            self.spool.record_sealing(self.spool.sealed_anew, "agent.toml", self.clock())
        self.spool.images.rules = images_rules(self.config)
        self.spool.take_early(self.clock())
        try:
            self.spool.bind(this_machine())
        except BaseException:
            self.spool.close()
            raise
        return self

    def close(self) -> None:
        if self.crossing is not None:
            self.crossing.stop()
        self._end_processes()
        self._keep_guests()
        self.spool.close()

    def _keep_guests(self) -> None:
        """What was counted since the last minute. A full disk is no reason not to end."""
        with suppress(SpoolFull):
            self.guest_book.keep()

    def try_sources_now(self) -> None:
        """A person asks: sources that could not be reached are tried without waiting for their turn."""
        for remote in self.remotes.values():
            remote.try_now()

    def interrupt_sources(self) -> None:
        """End what is asked of the sources now: what was not taken is read again."""
        for remote in self.remotes.values():
            remote.interrupt("the agent stops")

    def _end_processes(self) -> None:
        for source in self.sources.values():
            source.close()
        if self._workers:
            self._workers.close()

    def __enter__(self) -> "App":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _today(self) -> date:
        return self.clock().astimezone(ZoneInfo(self.config.institution.timezone)).date()

    @property
    def destinations(self) -> Mapping[str, PlatformDestination | Outlet]:
        """All of them by their names."""
        return {**self.platforms, **self.outlets}

    def _open_destinations(self) -> None:
        content = content_of(self.packs_used.active)
        if self.config.gap.is_inner:
            self.crossing = self._open_crossing()
        for name, options in self.config.destinations.items():
            if options.type == PLATFORM and self.config.gap.is_inner:
                if self.crossing is not None:
                    self.platforms[name] = self._across(self.crossing, name, options)
            elif options.type == PLATFORM:
                self.platforms[name] = self._platform(name, options)
            else:
                self.outlets[name] = open_outlet(
                    self.config,
                    name,
                    content,
                    self._find_dictionary,
                    self.clock,
                    self.spool.meta,
                    self._code_maps,
                    lambda destination: self.spool.picked(f"feedback:{destination}"),
                    self.spool.patient_of,
                )

    def _code_maps(self, feed: str) -> Mapping[str, CodeTable]:
        return self.feeds[feed].mapping.codes if feed in self.feeds else {}

    def _platform(self, name: str, options: OutletConfig) -> PlatformDestination:
        return PlatformDestination(
            _platform_options(self.config, name, options),
            self.spool.meta,
            log_head=self.spool.log_head,
            dictionary=self._find_dictionary,
            packs=self.packs(),
            places=lambda document: self._leaves_whole(document.feed, name),
            member=_member(self.state, options, self.clock),
        )

    def _open_crossing(self) -> "Inner | None":
        """Our half of the line. None for who asks for one record, while the two halves are not paired yet."""
        from frontend_agent.crossing.halves import paired  # who has no gap loads none of it
        from frontend_agent.crossing.inner import Inner

        try:
            own, other = paired(self.config, self.state)
        except ConfigurationError:
            if self._alone:
                return None
            raise
        self.spool.patience = self.config.gap.answer_within
        return Inner(self.config.gap, self.spool, own, other, self.clock)

    def _across(self, crossing: "Inner", name: str, options: OutletConfig) -> "AcrossPlatform":
        from frontend_agent.crossing.inner import AcrossPlatform

        return crossing.platform(
            name,
            lambda edge: AcrossPlatform(
                _platform_options(self.config, name, options),
                self.spool.meta,
                log_head=self.spool.log_head,
                dictionary=self._find_dictionary,
                packs=self.packs(),
                places=lambda document: self._leaves_whole(document.feed, name),
                edge=edge,
            ),
        )

    def _leaves_whole(self, feed: str, destination: str) -> bool:
        """Whether nothing of a feed's documents is left out for a destination: then it may know their day and department."""
        plan = self.feeds[feed].plan if feed in self.feeds else None
        return plan is not None and plan.leave_out is None and destination in plan.destinations

    def packs(self) -> dict[str, str]:
        """What this agent judges and renders with, so that skew between both sides is visible (architecture §8)."""
        profiles = {feed.profile.name: feed.profile.digest for feed in self.feeds.values()}
        kinds = {feed.kind.code: feed.kind.digest for feed in self.feeds.values()}
        return names(*name_of(self.packs_used.active), rules_digest(), profiles, kinds)

    def which_packs(self) -> dict[str, str]:
        """What judges, and what judges beside it: as it stands since the last start. `expired`: its last day, once that is over."""
        return {
            "active": self.spool.meta.get("pack:active") or " ".join(map(_short, name_of(None))),
            "shadow": self.spool.meta.get("pack:shadow") or "",
            "expired": until
            if (until := self.spool.meta.get(PACK_UNTIL)) and until < self._today().isoformat()
            else "",
        }

    def skew(self, destination: str) -> list[Skew]:
        """Where a platform judges by other versions than we do, as far as it has told us."""
        ours, theirs = (self.spool.meta.get(name) or "{}" for name in (OWN_PACKS, f"packs:{destination}"))
        return compared(*(msgspec.json.decode(told, type=dict[str, str]) for told in (ours, theirs)))

    def _say_which_packs(self) -> None:
        """In the log, when others judge than before; and where one has expired in the meantime."""
        used, chosen = self.packs_used, PackFolder(self.state).chosen()
        active, shadow = pack_names(used.active), pack_names(used.shadow)
        if self.spool.in_force(active, shadow, chosen.who or "agent.toml", self.clock()):
            log.info(event("packs.in_force", active=active or "national", shadow=shadow))
        self.spool.meta.put(OWN_PACKS, msgspec.json.encode(self.packs(), order="sorted").decode())
        for name, feed in self.feeds.items():
            if feed.not_for:
                log.info(event("feed.not_for", feed=name, kind=feed.kind.code, destinations=",".join(feed.not_for)))
        until = used.active.manifest.until if used.active else None
        self.spool.meta.put(PACK_UNTIL, until.isoformat() if until else "")
        if used.active and used.active.expired(self._today()):
            log.warning(event("packs.expired", active=active))

    def uncovered_years(self) -> list[int]:
        """Years that the calendar of holidays does not cover, though it should by now."""
        return load_calendar(self.config.calendar.file).uncovered(self._today())

    # --- extract … spool ----------------------------------------------------------------------------------------------

    def run_feed(
        self,
        name: str,
        stopping: threading.Event,
        arrived: Callable[[], None] = lambda: None,
        released_only: bool = False,
        more: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Read what changed and what a person released, page by page. A page is taken whole or not at all.

        `arrived` is told after each page that documents may be due; `more` is asked by a feed of messages that has taken all there
        are whether it goes on.
        """
        feed = self.feeds[name]
        started, began = time.perf_counter(), self.clock()
        counts: Counter[str] = Counter()
        error: FrontendAgentError | None = None
        try:
            self._run_pages(feed, stopping, arrived, counts, released_only, more)
        except FrontendAgentError as problem:
            error = problem
        seconds = time.perf_counter() - started
        if error or any(counts.values()) or (not released_only and self._had_failed(name)):
            self.spool.record_run(Run(name, began, self.clock(), dict(counts), str(error or "")))
        if not released_only:
            self.looked[name] = self.clock()
        alarms = self.spool.counts().alarms if counts["withheld"] else 0
        if alarms:
            log.warning(event("withheld.alarm", feed=name, records=alarms))  # the region keeps what is withheld now
        say = log.warning if error and not isinstance(error, SourceResting) else log.info
        say(event("feed.run", feed=name, **counts, seconds=seconds, problem=str(error or "")))
        return Outcome(name, dict(counts), seconds, error)

    def _had_failed(self, name: str) -> bool:
        """Whether what is known of the feed is a run that failed: then one that finds nothing new is news."""
        newest = next((run for run in self.spool.runs(RUNS_TOLD) if run.feed == name), None)
        return newest is not None and bool(newest.problem)

    def _run_pages(
        self,
        feed: Feed,
        stopping: threading.Event,
        arrived: Callable[[], None],
        counts: Counter[str],
        released_only: bool,
        more: Callable[[], bool],
    ) -> None:
        self.spool.room()
        self.accounts.must_only_read(self.sources, sources_of(feed))
        if feed.hear is None:
            self._finder(feed).must_not_stand_still()
        self._judge_by_rules_of_today(feed)
        heads = self._heads(feed)
        wanted = chain(self._released(feed), self._resent(feed))
        if not released_only:
            wanted = chain(wanted, self._awaited(feed), self._visits_again(feed))
            wanted = chain(wanted, self._partners_changed(feed), self._changed(feed, more))
        # Keys that are missed are looked for when everything that speaks of them has been committed.
        for these in (wanted, self._doubted(feed)):
            with Prefetch(these, name=f"extract-{feed.config.source}") as pages:
                for taken in self._taken(feed, pages, heads):
                    counts.update(_counted(taken))
                    arrived()
                    if stopping.is_set():
                        return
        self.spool.finding.go_on(feed.config.name)
        if not released_only:
            self.spool.meta.put(_visits_mark(feed.config.name), TOLD)
        read_whole = not released_only and not feed.config.start and feed.hear is None
        if heads is not None and read_whole:  # otherwise what is older may be there already
            self._heads_are_known(feed)

    def reader(self, feed: Feed) -> "Source | Hearing":
        """Whom to ask for the rows of a feed: its source, or the messages that are kept."""
        if feed.hear is None:
            return self.sources[feed.config.source]
        readers = [one.name for one in self.config.feeds if one.source == feed.config.source]
        return Hearing(self.spool.inbox, feed, tuple(readers))

    def backfill_page(self, feed: Feed, keys: Sequence[str], walked: Walked, closed: frozenset[int]) -> Page:
        """A page of a backfill, read behind the real-time feeds."""
        self.accounts.must_only_read(self.sources, sources_of(feed))
        source = self.sources[feed.config.source].behind()
        with self.times.measured("extract", len(keys)):
            rows = source.fetch(feed.mapping.queries, keys, self.sources) if keys else None
        return Page(keys, None, (), rows, walked=walked, closed=closed)

    def take_backfill(self, feed: Feed, pages: Iterator[Page]) -> Iterator[Taken]:
        """Read and commit the pages of a backfill, each in its turn, as far as they are asked for."""
        self.spool.room()
        self.accounts.must_only_read(self.sources, sources_of(feed))
        self._finder(feed).must_not_stand_still()
        self._judge_by_rules_of_today(feed)
        with Prefetch(pages, name=f"backfill-{feed.config.source}") as read:
            yield from self._taken(feed, read, self._heads(feed))

    def _judge_by_rules_of_today(self, feed: Feed) -> None:
        """Rules of withholding that were lifted let go what they kept; new ones are asked of what is still to go."""
        name, known = feed.config.name, f"withhold:{feed.config.name}"
        today = self._today()
        in_force = [f"{rule.name} {rule.digest}" for rule in feed.rules if rule.applies(name, feed.kind.code, today)]
        before = msgspec.json.decode(self.spool.meta.get(known) or "[]")
        if in_force == before:
            return
        lifted = self.spool.lift(name, in_force, self.clock())
        if lifted:
            log.info(event("withheld.lifted", feed=name, records=lifted))
        if set(in_force) - set(before):
            self.spool.look_at_unsent(name)
        self.spool.meta.put(known, msgspec.json.encode(in_force).decode())

    def _released(self, feed: Feed) -> Iterator[Page]:
        """The keys that a person released, however many: those released meanwhile have their turn in the next run."""
        place = (0, 0)
        while released := self.spool.again_from(feed.config.name, RELEASED_AT_ONCE, place):
            place = released[-1][1]
            for start in range(0, len(released), feed.config.batch):
                keys = list(dict.fromkeys(key for key, _ in released[start : start + feed.config.batch]))
                self.spool.room()
                yield Page(keys, None, keys, self._read(feed, keys))

    def _resent(self, feed: Feed) -> Iterator[Page]:
        """The keys that a reconciliation found to be missing or changed."""
        place = ""
        while asked := self.spool.reconciliations.asked(feed.config.name, feed.config.batch, place):
            place = asked[-1][0]
            keys = [key for _, key in asked]
            self.spool.room()
            yield Page(keys, None, keys, self._read(feed, keys))

    def _awaited(self, feed: Feed) -> Iterator[Page]:
        """The keys that wait for a partner's row, and whose turn it is."""
        if not feed.plan.joins:
            return
        due = self.spool.waiting_due(feed.config.name, self.clock(), RELEASED_AT_ONCE)
        for start in range(0, len(due), feed.config.batch):
            keys = due[start : start + feed.config.batch]
            yield Page(keys, None, keys, self._read(feed, keys))

    def _partners_changed(self, feed: Feed) -> Iterator[Page]:
        """The keys of records whose partner changed: a new name in the HIS makes a new version of the LIS's report."""
        queries = feed.mapping.queries
        for name, partner in queries.partners.items():
            own = self.sources[feed.config.source]
            if not partner.changed:
                continue
            source = self.sources[partner.source or feed.config.source]
            mark = f"{feed.config.name}/{name}"
            known = self.spool.watermark(mark)
            if known is None:  # everything is read with its partner as it is now: changes count from here on
                if newest := source.newest(partner.changed):
                    yield Page((), newest, (), None, mark)
                continue
            for page in self._finder(feed).partner(mark, partner.changed, source, LINKS_AT_ONCE):
                keys = own.keys_by(queries, partner.by, page.keys) if page.keys else []
                for start in range(0, len(keys), feed.config.batch):
                    some = keys[start : start + feed.config.batch]
                    yield Page(some, None, (), self._read(feed, some))
                yield Page((), page.watermark, (), None, mark, page.progress)

    def _changed(self, feed: Feed, more: Callable[[], bool]) -> Iterator[Page]:
        """The keys that are new since the last run, found the way the feed says, or heard."""
        reader = self.reader(feed)
        if isinstance(reader, Hearing):
            return self._heard(feed, reader, more)
        return self._found(feed, self._finder(feed).pages())

    def _heard(self, feed: Feed, hearing: Hearing, more: Callable[[], bool]) -> Iterator[Page]:
        """What people want to be read once more, and what has come since the last run and comes while there is `more`."""
        mark = self.spool.watermark(feed.config.name)
        for page in chain(hearing.again(mark), hearing.pages(mark, self.clock(), more)):
            if page is None:
                yield ALL_FOR_NOW
                continue
            self.spool.room()
            rows = Fetched(page.rows, {}, {}) if page.rows is not None else None
            yield Page(page.keys, page.watermark, (), rows, heard=page.heard)

    def _doubted(self, feed: Feed) -> Iterator[Page]:
        """The keys that were missed, as far as they are there, or in the history; the others are held, or stop the feed."""
        if feed.hear is not None:
            return
        try:
            yield from self._found(feed, self._finder(feed).doubts())
        except TooManyVanished as error:
            self.spool.finding.stop(feed.config.name, error.count, self.clock())
            log.warning(event("feed.stands_still", feed=feed.config.name, vanished=error.count))
            raise

    def _finder(self, feed: Feed) -> Finder:
        return Finder(self.config, feed.config, feed.mapping, self.sources, self.spool)

    def _found(self, feed: Feed, found: Iterator[Found]) -> Iterator[Page]:
        while True:
            self.spool.room()
            with self.times.measured("extract"):
                page = next(found, None)
            if page is None:
                return
            rows = self._read(feed, page.keys) if page.keys and page.rows is None else page.rows
            yield Page(
                page.keys, page.watermark, (), rows, page.mark, page.progress,
                expected=page.expected, numbers=page.numbers, vanished=page.vanished,
            )  # fmt: skip

    def _read(self, feed: Feed, keys: Sequence[str]) -> Fetched:
        """The rows of a page, read ahead of their turn; who prepares them opens them."""
        with self.times.measured("extract", len(keys)):
            return self.reader(feed).fetch(feed.mapping.queries, keys, self.sources)

    def _taken(self, feed: Feed, pages: Iterator[Page], heads: Heads | None) -> Iterator[Taken]:
        """Every page, committed in its turn. The next is prepared only when the caller is done with the last."""
        if self._workers:
            yield from self._taken_by_workers(self._workers, feed, pages, heads)
            return
        for page in pages:
            if page is not ALL_FOR_NOW:
                yield self._take_in(feed, page, heads) if page.keys else self._mark(feed, page)

    def _take_in(self, feed: Feed, page: Page, heads: Heads | None) -> Taken:
        rows = self.rows_of(feed, page.keys) if page.rows is None else page.rows.opened()
        lap = _in_our_words(self.times.laps())
        plan = self.feeds[feed.config.name].plan  # the code maps of now, not of when the run began
        return take_in(
            plan, rows, page.watermark, self.spool, heads, self.clock(),
            asked=page.asked, expected=page.keys if page.expected else (), walked=page.walked, closed=page.closed,
            heard=page.heard or self._no_message(feed), lap=lap,
        )  # fmt: skip

    def _mark(self, feed: Feed, page: Page) -> Taken:
        """Keep how far a feed or a partner was read, once all that belongs to it is taken; what is gone is held."""
        plan = feed.plan
        if page.vanished:
            return take_vanished(self.feeds[feed.config.name].plan, page.vanished, self.spool, self.clock())
        taken = Taken(
            feed=plan.name, kind=plan.kind, institution=plan.institution, digests=plan.digests, at=self.clock(),
            destinations=plan.destinations, watermark=page.watermark, mark=page.mark, progress=page.progress,
            heard=page.heard,
        )  # fmt: skip
        if page.walked:
            taken = behind_real_time(taken, page.walked)
        self.spool.commit(taken)
        if page.numbers:
            self._finder(feed).acknowledge(page.numbers)
        return taken

    def _taken_by_workers(
        self, workers: "Workers[Order, Prepared]", feed: Feed, pages: Iterator[Page], heads: Heads | None
    ) -> Iterator[Taken]:
        """Some pages are under way at once; each is committed in its turn, on what was known when it was ordered.

        A key that is under way already is not ordered again before its page is committed: its version would be a guess.
        """
        under_way: deque[tuple[Page, Future[Prepared]]] = deque()
        ordered: set[str] = set()
        for page in pages:
            # A page without keys keeps a mark that speaks of all pages before it: they are committed first.
            while under_way and (not page.keys or len(under_way) > workers.count or not ordered.isdisjoint(page.keys)):
                yield self._commit_next(feed, under_way, ordered, heads)
            if not page.keys:
                if page is not ALL_FOR_NOW:
                    yield self._mark(feed, page)
                continue
            known = what_is_known(self.spool, heads, feed.plan, page.keys)
            order = Order(
                feed.config.name,
                feed.plan.digests,
                page.keys,
                page.watermark,
                page.asked,
                page.rows or self._read(feed, page.keys),
                page.keys if page.expected else (),
                known,
                self.clock(),
                self.approvals,
                page.closed,
            )
            under_way.append((page, workers.submit(order)))
            ordered.update(page.keys)
        while under_way:
            yield self._commit_next(feed, under_way, ordered, heads)

    def _commit_next(
        self, feed: Feed, under_way: "deque[tuple[Page, Future[Prepared]]]", ordered: set[str], heads: Heads | None
    ) -> Taken:
        page, future = under_way.popleft()
        prepared = future.result()
        ordered.difference_update(page.keys)
        self.times.merge(prepared.steps)
        if prepared.taken is None:
            return self._take_in(feed, page, heads)
        taken = behind_real_time(prepared.taken, page.walked) if page.walked else prepared.taken
        if heard := page.heard or self._no_message(feed):
            taken = with_messages(taken, heard)
        with self.times.measured("spool"):
            self.spool.commit(taken)
        return taken

    @staticmethod
    def _no_message(feed: Feed) -> Heard | None:
        """Of a feed of messages: that a page comes from none that is new."""
        return Heard(inlet=feed.config.source, feeds=()) if feed.hear is not None else None

    # --- visits --------------------------------------------------------------------------------------------------------

    def _visits_again(self, feed: Feed) -> Iterator[Page]:
        """The keys of the last while, where this state has read the feed and knows nothing of its visits."""
        name = feed.config.name
        if self.spool.meta.get(_visits_mark(name)) == TOLD or self.spool.watermark(name) is None:
            return
        log.info(event("visits.rebuild", feed=name))
        zone = ZoneInfo(self.config.institution.timezone)
        low = (self.clock() - self.config.visits.rebuild).astimezone(zone).replace(tzinfo=None)
        for keys in self.reader(feed).since(feed.mapping.queries, low, feed.config.batch):
            yield Page(keys, None, (), self._read(feed, keys))

    def rebuild_visits(self, who: str) -> None:
        """Forget what is known of visits; the next run of each feed tells it anew."""
        self.spool.forget_visits(who, self.clock())
        self.spool.meta.put_all({_visits_mark(name): "" for name in self.feeds})

    def visits_are_told(self) -> bool:
        """Whether every feed has been read at least once: before that a document may only seem to be missing."""
        return all(self.spool.meta.get(_visits_mark(name)) == TOLD for name in self.feeds)

    def judge_visits(self) -> int:
        """Judge the visits that have closed; how many."""
        if not self.visits_are_told():
            return 0
        content = content_of(self.packs_used.active)
        profile = content.profile(self.config.visits.profile)
        fed = frozenset(feed.kind.code for feed in self.feeds.values())

        def judged(due: DueVisit) -> list[Finding]:
            name, _, documents, same_patient, same_number = due
            required = profile.visits.required[name.partition(":")[0]]
            found = judge(Visit(name, documents, required, fed, same_patient, same_number), profile.severity_of)
            return [finding for finding in found if finding.rule not in content.off]

        total = 0
        while count := self.spool.judge_visits(self.clock(), judged, VISITS_AT_ONCE):
            total += count
        if total:
            log.info(event("visits.judged", visits=total))
        return total

    # --- version heads after a lost state (law 14) ----------------------------------------------------------------------

    def _heads(self, feed: Feed) -> Heads | None:
        """Whom to ask for heads that we do not know. None once this feed was read whole by this state."""
        if self.spool.meta.heads_known or self._known_mark(feed) == self.spool.meta.get(self._known_name(feed)):
            return None

        def ask(
            set_ids: Sequence[str], destinations: Sequence[str] = feed.plan.destinations
        ) -> Mapping[str, SeriesHead]:
            newest: dict[str, SeriesHead] = {}
            for platform in [self.platforms[name] for name in destinations if name in self.platforms]:
                for named, head in platform.heads(set_ids).items():
                    if named not in newest or head.version > newest[named].version:
                        newest[named] = head
            return newest

        return ask

    def _heads_are_known(self, feed: Feed) -> None:
        """Everything the source has was compared with the platform: what is new from now on is new there, too."""
        self.spool.meta.put(self._known_name(feed), self._known_mark(feed))

    def _known_name(self, feed: Feed) -> str:
        return f"heads_known:{feed.config.name}"

    def _known_mark(self, feed: Feed) -> str:
        """Another adoption, epoch or kind, and the platform is asked anew."""
        return f"{self.spool.meta.generation}:{feed.plan.kind}:{feed.plan.epoch}:{feed.plan.institution}"

    # --- push ---------------------------------------------------------------------------------------------------------

    def greet(self, name: str) -> bool:
        """Say hello to a platform before anything else: a copied or overtaken state is noticed at the start.

        Whether it let us in; if not, it is left alone for a while like after any other failure. What is no platform of
        ours knows no greeting.
        """
        if name in self.outlets:
            return True
        now, pause = self.clock(), self.spool.pause(name)
        if pause.due_at and pause.due_at > now:
            return False
        try:
            self.platforms[name].hello()
        except NotAllowed as error:
            self.spool.failed(name, now + NOT_ALLOWED_PAUSE, str(error), Blame.PLATFORM, now=now)
        except DestinationError as error:
            wait = back_off(pause.failures + 1, random(), FIRST_PAUSE, LONGEST_PAUSE)  # noqa: S311 - spreads retries
            self.spool.failed(name, now + wait, str(error), Blame.NETWORK, now=now)
        else:
            self._say_skew(name)
            return True
        log.warning(event("destination.failed", destination=name, problem=self.spool.pause(name).problem))
        return False

    def _say_skew(self, name: str) -> None:
        differing = self.skew(name)
        if differing:
            log.warning(event("packs.skew", destination=name, differ=",".join(one.what for one in differing)))

    def send(self, name: str) -> int:
        """One exchange with a destination, if anything is due. Returns how many documents were settled.

        Across a gap: how many are on their way now; they are settled when their answers come."""
        if self.crossing is not None and name in self.platforms:
            return self._carry(self.crossing, name)
        started = time.perf_counter()
        outlet = self.outlets.get(name)
        with self.times.measured("push"):
            settled = send_out(
                outlet or self.platforms[name],
                self.spool,
                self.clock(),
                limit=self.config.destinations[name].batch,
                max_bytes=BYTES_AT_ONCE,
                at_once=outlet.at_once if outlet else 0,
                foreign=outlet is not None,
                enough=lambda: time.perf_counter() - started > LONGEST_ROUND,
            )
        if settled:
            self.times.add("push", 0.0, 0.0, settled)
            log.info(
                event("delivery.settled", destination=name, documents=settled, seconds=time.perf_counter() - started)
            )
        return settled

    def _carry(self, crossing: "Inner", name: str) -> int:
        from frontend_agent.crossing.inner import room_for_parcels

        with self.times.measured("push"):
            most = min(BYTES_AT_ONCE, room_for_parcels(self.config.gap))
            return crossing.carry(name, self.config.destinations[name].batch, most)

    def hear(self, name: str) -> None:
        """Ask a foreign destination what became of what it accepted, when it is time to; where it is asked at all."""
        outlet = self.outlets.get(name)
        every = getattr(outlet, "asks_every", None)
        if every is None or time.monotonic() < self._asks_at.get(name, 0.0):
            return
        self._asks_at[name] = time.monotonic() + min(every.total_seconds(), MOST_BETWEEN_ASKING)
        try:
            heard = hear(cast(Telling, outlet), self.spool, self.clock())
        except DestinationError as error:
            log.warning(event("destination.not_asked", destination=name, problem=str(error)))
            return
        if heard.confirmed or heard.reopened:
            log.info(event("delivery.heard", destination=name, **heard._asdict()))

    def anchor(self, name: str) -> None:
        """Have our platform countersign the log, when no parcel went for a while that carried its head."""
        platform = self.platforms.get(name)
        if platform is None or not platform.takes_heads or self.spool.pause(name).failures:
            return
        anchoring = self._anchoring.setdefault(name, Anchoring(time.monotonic))
        newest, _ = self.spool.log_head()
        if not anchoring.is_due(newest, self.spool.anchored(name)):
            return
        if self.crossing is not None:
            platform.anchor()  # its countersignature comes with a later bundle
            anchoring.tried(anchored=False)
            return
        try:
            signed = platform.anchor()
        except DestinationError as error:
            anchoring.tried(anchored=False)
            log.warning(event("log.not_countersigned", destination=name, entry=newest, problem=str(error)))
            return
        anchoring.tried(anchored=signed is not None)
        if signed is None:
            log.warning(
                event("log.not_countersigned", destination=name, entry=newest, problem="the platform knows another log")
            )
            return
        self.spool.keep_head(name, signed)
        log.debug(event("log.countersigned", destination=name, entry=signed.log_seq))

    def send_failed(self, name: str, told: str) -> None:
        """A fault of ours on the way to a destination: it is left alone for a while, and `status` says why."""
        now = self.clock()
        self.spool.failed(
            name, now + NOT_ALLOWED_PAUSE, f"a fault of the agent: {told}; see its log", Blame.AGENT, now=now
        )

    def waiting(self, name: str) -> int:
        """Documents that still have to reach a destination (those that wait for a person do not count)."""
        return self.spool.pending(name)

    def moving(self, name: str) -> int:
        """Those of them that go by themselves: a document that waits for a registration, or that a ferry has, does not."""
        carried = self.spool.gap.on_the_way(name).documents if self.crossing is not None else 0
        return max(self.spool.moving(name) - carried, 0)

    def retire(self) -> int:
        """Drop what was proven longer ago than its term."""
        accepted = {
            name: options.retention
            for name, options in self.config.destinations.items()
            if isinstance(options, ForeignConfig)
        }
        dropped = self.spool.retire(self.config.spool.retention, self.clock(), self.config.backfill.retention, accepted)
        if dropped:
            log.info(event("spool.retired", documents=dropped))
        entries = self.spool.drop_log(self.config.qc_log.retention, genuine_by(self.platform_keys()), self.clock())
        if entries:
            log.info(event("log.dropped", entries=entries))
        self.guest_book.drop(self.clock())
        self._retire_messages()
        return dropped

    def _retire_messages(self) -> None:
        """Drop the bytes of messages whose term is over; of a record that is held the newest word stays."""
        for name, inlet in self.config.inlets.items():
            feeds = [feed.name for feed in self.config.feeds if feed.source == name]
            gone = self.spool.inbox.retire(name, inlet.retention, inlet.remember, self._held_among, self.clock(), feeds)
            if gone:
                log.info(event("inbox.retired", inlet=name, messages=gone))

    def _held_among(self, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of these (feed, key) that are held."""
        plans = {feed: self.feeds[feed].plan for feed, _ in pairs if feed in self.feeds}
        named = {
            set_id(plan.institution, plan.epoch, plan.kind, key): (feed, key)
            for feed, key in pairs
            if (plan := plans.get(feed)) is not None
        }
        return {named[head.set_id] for head in self.spool.series(named).values() if head.held}

    def platform_keys(self) -> list[bytes]:
        """The platforms' keys that were pinned at the first hello."""
        texts = [self.spool.meta.get(f"key:{name}") for name in self.config.destinations]
        return [base64.b64decode(text) for text in texts if text]

    def compiled(self, config: FeedConfig, pack: str | None = None) -> Feed:
        """A feed from its files as they are now, and what people approved about local codes; under another `pack`, if named."""
        packs = self.packs_used if pack is None else Packs(pack_named(self.state, self.config, pack))
        feed = compile_feed(self.config, config, self._today, packs)
        return under_approvals(self.config, feed, self.approvals) if self.approvals.revision else feed

    def refresh(self, name: str) -> bool:
        """Compile a feed anew, if its mapping, code tables or profile changed since: whether they did.

        A run that is under way ends with what it began with. A mistake in a file is raised, and changes nothing.
        """
        feed = self.compiled(self.config.feed(name))
        if feed.plan.digests == self.feeds[name].plan.digests:
            return False
        self.feeds[name] = feed
        log.info(event("feed.refreshed", feed=name, digests=feed.plan.digests))
        return True

    # --- for one key ---------------------------------------------------------------------------------------------------

    def read_again(self, name: str) -> Outcome:
        """Only what a person released, now: how a release goes when no daemon runs."""
        return self.run_feed(name, threading.Event(), released_only=True)

    def dictionary(self, name: str) -> bytes:
        """The content of a zstd dictionary by its SHA-256: of today's templates, or of those that were in force before."""
        found = self._find_dictionary(name) if name else b""
        if found is None:
            raise StateError(f"the dictionary {name[:16]}… is of another version of the templates, and was not kept")
        return found

    def _find_dictionary(self, name: str) -> bytes | None:
        return self._dictionaries.get(name) or self.spool.dictionary(name)

    def record_of(self, document_id: str) -> Record | None:
        """What a document of ours says, read back from its bytes; None where they are not here any more."""
        trace, frame = self.spool.trace(document_id), self.spool.frame(document_id)
        if trace is None or frame is None:
            return None
        body = open_frame(frame, trace.size, decompressor(self.dictionary(trace.dictionary)))
        return content_of(self.packs_used.active).kind(trace.kind).reader(body)

    def rows_of(self, feed: Feed, keys: Sequence[str]) -> SourceRows:
        return self.reader(feed).rows(feed.mapping.queries, keys, self.sources)


def _short(name: str) -> str:
    return name[:16] if len(name) == 64 else name


def _visits_mark(feed: str) -> str:
    return f"visits:told:{feed}"


def _in_our_words(lap: Callable[..., None]) -> Callable[[str], None]:
    return lambda step: lap("spool" if step == "commit" else step)


def _counted(taken: Taken) -> dict[str, int]:
    skipped = taken.skipped
    return {
        "documents": len(taken.documents),
        "held": len(taken.held),
        "withheld": len(taken.withheld),
        "unchanged": skipped.unchanged,
        "not_final": skipped.not_final,
        "withdrawn": skipped.withdrawn + skipped.returned,
        "waiting": skipped.waiting,
        "closed": skipped.closed,
    }


def _platform_options(config: Config, name: str, options: OutletConfig) -> PlatformOptions:
    return PlatformOptions(name=name, url=options.url, institution=config.institution.id, timeout=options.timeout)


def _member(state: Path, options: OutletConfig, clock: Clock) -> Belonging:
    named = Tls(options.certificate, options.key, options.ca) if isinstance(options, DestinationConfig) else Tls()
    return Belonging(state, options.url, named, clock)


# -- Packs ------------------------------------------------------------------------------------------------------------


def trusted_keys(config: Config) -> dict[str, bytes]:
    """Who may sign packs for this agent."""
    return {trust.name: base64.b64decode(trust.key) for trust in config.packs.trust}


def packs_in(state: Path, config: Config) -> Packs:
    """The packs that judge: those that agent.toml names, or a person chose. Proven again at every start.

    One that has expired since goes on judging: a hospital must not fall silent on a day in the calendar.
    """
    chosen = PackFolder(state).chosen()

    def found(pinned: str, choice: str) -> Pack | None:
        return pack_named(state, config, pinned or choice)

    return Packs(found(config.packs.active, chosen.active), found(config.packs.shadow, chosen.shadow))


def pack_named(state: Path, config: Config, name: str) -> Pack | None:
    """An installed pack (`gd-2026.2`), or one in a file, proven; None for `national`."""
    if name in ("", NATIONAL):
        return None
    try:
        body = Path(name).read_bytes() if name.endswith(".pack") else PackFolder(state).read(name)
        return open_pack(body, trusted_keys(config), None, __version__)
    except PackRefused as error:
        raise ConfigurationError(f"pack {name}: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"pack {name}: {error.strerror}") from None


# -- Beside a running app ---------------------------------------------------------------------------------------------


def _orders_problem(config: Config, sources: Mapping[str, Source]) -> FrontendAgentError | None:
    from frontend_agent.imaging.orders import probe_orders  # who has no images loads none of it

    assert config.images.orders is not None
    try:
        probe_orders(config.images.orders, config.institution, sources)
    except FrontendAgentError as error:
        return error
    return None


def checked(
    config: Config, state: Path | None = None, opened: Opened = open_sources
) -> Iterator[tuple[str, FrontendAgentError | None]]:
    """Try everything that is configured, without the spool: (what, what is wrong with it or None), to the end."""
    packs = NO_PACKS
    if state is not None:
        try:
            packs = packs_in(state, config)
        except FrontendAgentError as error:
            yield "packs", error
    if state is not None and config.at_rest.key:
        yield "at rest", sealing_problem(config, state)
    if config.calendar.file:
        try:
            load_calendar(config.calendar.file)
        except FrontendAgentError as error:
            yield "calendar", error
        else:
            yield "calendar", None
    yield from checked_people(config.people)
    feeds: dict[str, FieldMapping] = {}
    compiled: dict[str, Feed] = {}
    for feed in config.feeds:
        what = f"feed {feed.name}: {feed.mapping}, {feed.profile}"
        try:
            compiled[feed.name] = compile_feed(config, feed, date.today, packs)
            feeds[feed.name] = compiled[feed.name].mapping
        except FrontendAgentError as error:
            yield what, error
        else:
            yield what, None
    if len(compiled) == len(config.feeds):
        for said in meaningless(config, compiled):
            yield "withhold", said
    for refused in refused_statements(config, compiled):
        yield "statements", refused
    sources: dict[str, Source] = {}
    for name in config.sources:
        problem: FrontendAgentError | None = None
        try:
            sources |= opened(config, [name])
            sources[name].probe()
        except FrontendAgentError as error:
            problem = error
            sources.pop(name, None)
        yield f"source {name}", problem
        if problem is None:
            yield f"source {name}: account", account_problem(name, config, sources[name], compiled)
    for feed in config.feeds:
        if feed.name in feeds and feed.source in sources:
            try:
                sources[feed.source].probe(feeds[feed.name].queries, sources)
            except FrontendAgentError as error:
                yield f"feed {feed.name}: queries", error
            else:
                yield f"feed {feed.name}: queries", None
    if config.images.orders is not None and config.images.orders.source in sources:
        yield "images: orders", _orders_problem(config, sources)
    for name, source in sources.items():
        for advice in advice_on_plans(compiled, name, source):
            yield f"source {name}: plans", advice
    for source in sources.values():
        source.close()
    yield from checked_inlets(config, state is not None and is_running(state))
    if config.has_images:
        from frontend_agent.imaging.running import checked_images  # who has no images loads none of it

        with TemporaryDirectory(prefix="frontend-agent-") as folder:
            yield from checked_images(config, state is not None and is_running(state), Path(folder))
    if config.gap.role and state is not None:
        from frontend_agent.crossing.halves import checked_gap  # who has no gap loads none of it

        yield from checked_gap(config, state)
    for name, options in config.destinations.items():
        if options.type == PLATFORM and config.gap.is_inner:
            continue  # the outer half reaches it, and says how it fares
        try:
            if options.type == PLATFORM:
                member = _member(state, options, utc_now) if state is not None else None
                PlatformDestination(_platform_options(config, name, options), _Nothing(), member=member).probe()
            else:
                open_outlet(config, name, content_of(packs.active)).probe()
        except FrontendAgentError as error:
            yield f"destination {name}", error
        else:
            yield f"destination {name}", None
    if config.alarms.mail or config.alarms.webhooks:
        from frontend_agent.alarm_tellers import checked_channels  # who tells nobody loads neither mail nor webhooks

        yield from checked_channels(config)


class _Nothing:
    """A memory without a state: whoever is probed is not known yet."""

    def get(self, name: str) -> str | None:
        return None

    def put(self, name: str, value: str) -> None:
        raise AssertionError("a probe keeps nothing")


def has_state(state: Path) -> bool:
    """Whether an agent has ever run with this state directory."""
    return (state / FILE).exists()


def adopt(config: Config, state: Path, who: str) -> str:
    """A person says that this restored or moved state lives on. Returns its new instance."""
    if not has_state(state):
        raise StateError(f"{state}: no agent has run with this state directory yet")
    with Spool(state, quota=config.spool.quota, at_rest=at_rest_of(config)).open() as spool:
        return spool.adopt(this_machine(), who, utc_now())
