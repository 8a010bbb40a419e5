"""对账: the days of a feed at the source, in the state and at the platforms; what differs is named by key, and mended.

    walk ─▶ keys that we do not have ─┐
    our keys of these days ───────────┴▶ rows ─▶ records ─▶ gap_of_record ─▶ looked at once more ─▶ differences
    what is proven delivered ─▶ counts and digests ─▶ sets where they differ ─▶ the platform's signed word ─┘

For which day a record counts is decided once, by what it says of its event (`measuring.Event`), and is the same on all three
sides: read from the record at the source, kept with the document here, said to the platform beside it.

The source is asked for the keys of these days by the mapping's own query of days (`[queries] day`). Without one, the keys
whose cursor is no older than a day before the first of them are walked: (cursor, key) pairs of an index, 10,000 at a time;
rows are read of those that we do not know and of ours of these days, never of all that was walked. Nothing is rendered.

Everything that looks like a difference is looked at once more: while we compare, the feed goes on reading.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any, Protocol

import msgspec

from connectors import Source
from frontend_agent.accounts import sources_of
from frontend_agent.app import App
from frontend_agent.closing import MonthClosed
from frontend_agent.delivery import OPEN, State
from frontend_agent.errors import ConfigurationError, DestinationError, FrontendAgentError
from frontend_agent.feeds import Feed
from frontend_agent.finding import Finder
from frontend_agent.identity import set_id
from frontend_agent.intake import Read, read_rows
from frontend_agent.logs import event, log
from frontend_agent.measuring import Event, Tally
from frontend_agent.model import SourceRecord
from frontend_agent.reconciling import (
    Difference,
    Gap,
    Place,
    Sheet,
    differing_places,
    gap_of_absent,
    gap_of_journey,
    gap_of_record,
    gap_of_set,
    gap_of_unreadable,
    lost_among,
)
from frontend_agent.spool.reconciliations import Kept, Sent
from frontend_agent.wire.reconciliation import Count, Digest, set_line

EARLIER = timedelta(days=1)  # a cursor may lie so long before the event that it speaks of
TICK = 0.2  # seconds between two looks at what is being mended
QUIET = 30.0  # seconds without any progress: what is left is mended by the runs that follow
MOST_DAYS = 366
SETS_AT_ONCE = 500
DOUBTED = "reconciliation"  # why a key is doubted
_SUSPECT = (Gap.MISSED, Gap.STALE, Gap.VANISHED)


class Reading(Protocol):
    """What mending wants of a daemon."""

    def wake(self, feeds: Sequence[str] = (), /) -> None: ...


def day_number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


@dataclass
class _Line:
    """One key as it was found: the word that is true of it, and for which day it counts."""

    key: str
    gap: Gap | None
    place: Place
    record: SourceRecord | None = None
    kept: Kept | None = None


@dataclass
class _Cost:
    """What was asked of the source (law 8): ours, and what a feed read over the same connection meanwhile."""

    walked: int = 0  # keys
    read: int = 0  # records
    statements: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass
class _Asked:
    """How it went with one destination."""

    asked: bool = True
    why: str = ""
    sets: int = 0  # that were asked for one by one
    by_id: int = 0  # documents that it holds without their day, proven by their ids
    lost: list[Sent] = field(default_factory=list)


class Reconciler:
    """One feed, some days."""

    def __init__(self, app: App, feed: Feed, first: date, last: date, department: str | None = None) -> None:
        """`feed` is compiled for us alone: a plan is used by one thread at a time."""
        self._app, self._feed, self._plan = app, feed, feed.plan
        self._first, self._last = first, last
        self._spool = app.spool.reconciliations
        self._source: Source = app.sources[feed.config.source].behind()
        self._queries = feed.mapping.queries
        self._finder = Finder(app.config, feed.config, feed.mapping, app.sources, app.spool, self._source)
        self.sheet = Sheet(day_number(first), day_number(last), department)
        self.cost = _Cost()
        self.walked_by = ""
        self.asked: dict[str, _Asked] = {}
        self.missed: list[tuple[str, int, str]] = []

    # --- source and agent ---------------------------------------------------------------------------------------------

    def compare(self) -> Iterator[dict[str, Any]]:
        """All three sides. Rows of progress."""
        self._app.accounts.must_only_read(self._app.sources, sources_of(self._feed))
        began, before = time.perf_counter(), self._source.spent()
        suspects: list[str] = []
        for keys in self._pages():
            for line in self._lines(keys):
                if line.gap in _SUSPECT:
                    suspects.append(line.key)
                else:
                    self._count(line)
            yield {"read": self.cost.read, "walked": self.cost.walked}
        gone = []
        for line in self._again(suspects):
            self._count(line)
            if line.gap is Gap.VANISHED:
                gone.append(line.key)
        # A few the feed's next run looks for itself, and holds what is nowhere (AGT004). Many are an alarm, and stop nothing
        # from here: what was compared is days old.
        if len(gone) <= self._feed.config.vanished_at_most:
            self._finder.doubt(gone, self._app.clock())
        self.cost.seconds = time.perf_counter() - began
        after = self._source.spent()
        self.cost.statements = after.statements - before.statements
        self.cost.rows = after.rows - before.rows
        for name in self._destinations():
            yield {"asking": name}
            self._ask(name)

    def _pages(self) -> Iterator[list[str]]:
        """Every key that is looked at, in pages: ours of these days, then those of the source that we do not know."""
        first, last = day_number(self._first), day_number(self._last)
        mine = dict.fromkeys(chain.from_iterable(self._spool.days(self._feed.config.name, first, last)))
        page: list[str] = []
        for key in chain(mine, self._unknown(mine)):
            page.append(key)
            if len(page) == self._feed.config.batch:
                yield page
                page = []
        if page:
            yield page

    def _unknown(self, mine: Mapping[str, None]) -> Iterator[str]:
        """Keys of the source that may count for these days, and that we do not have there."""
        for keys in self._walk():
            self.cost.walked += len(keys)
            fresh = [key for key in keys if key not in mine]
            kept = self._spool.kept(map(self._primary, fresh))
            for key in fresh:
                known = kept.get(self._primary(key))
                if known is None or not known.day:
                    yield key

    def _walk(self) -> Iterator[tuple[str, ...]]:
        low, high = _midnight(self._first), _midnight(self._last + timedelta(days=1))
        batch = self._feed.config.batch
        if self._queries.day:
            self.walked_by = "day"
            return self._source.of_days(self._queries, low, high, batch)
        if not self._source.is_dated(self._queries):
            self.walked_by = ""
            return iter(())
        self.walked_by = "cursor"
        until = self._app.clock().astimezone(self._plan.timezone).replace(tzinfo=None) + EARLIER
        return self._source.range(self._queries, low - EARLIER, until, batch)

    def _lines(self, keys: Sequence[str]) -> list[_Line]:
        """These keys as the source has them now, against what we know of them right after."""
        read = self._read(keys)
        kept = self._spool.kept([name for key in keys for name in (self._own(key), self._primary(key))])
        waiting = self._app.spool.waiting(map(self._own, keys)) if self._plan.joins else {}
        tally = Tally(self._plan.measures, self._app.clock(), self._plan.timezone)
        records: dict[str, list[SourceRecord]] = {}
        for record in read.records:
            records.setdefault(record.key, []).append(record)
        lines = []
        for key in dict.fromkeys(keys):
            known = self._known(key, kept)
            found = records.get(key, [])
            if not found and key not in read.unreadable:
                lines.append(_Line(key, gap_of_absent(known), self._place(None, known), kept=known))
            elif len({record.source_hash for record in found}) != 1:
                lines.append(_Line(key, gap_of_unreadable(known), self._place(None, known), kept=known))
            else:
                record = self._as_primary(found[0], known)
                gap = gap_of_record(record, known, self._own(key) in waiting)
                place = self._place(tally.read(found[0].record), known, changed=gap in _SUSPECT)
                lines.append(_Line(key, gap, place, record, known))
        return lines

    def _read(self, keys: Sequence[str]) -> Read:
        """By key; a row that is not at its place may have moved to the history."""
        self.cost.read += len(keys)
        read = read_rows(self._plan, self._source.rows(self._queries, keys, self._app.sources))
        for moved in self._queries.history:
            met = read.keys()
            if missing := [key for key in keys if key not in met]:
                more = read_rows(self._plan, self._source.rows(moved, missing, self._app.sources))
                read = Read([*read.records, *more.records], [*read.unreadable, *more.unreadable])
        return read

    def _again(self, keys: Sequence[str]) -> Iterator[_Line]:
        """What looked like a difference, once more, with where it stands before the watermark."""
        batch = self._feed.config.batch
        for start in range(0, len(keys), batch):
            some = keys[start : start + batch]
            lines = self._lines(some)
            doubtful = [line.key for line in lines if line.gap in (Gap.MISSED, Gap.STALE)]
            passed = set(self._finder.passed_over(doubtful)) if doubtful else set()
            for line in lines:
                if line.gap in (Gap.MISSED, Gap.STALE) and line.key not in passed:
                    line.gap = Gap.UNREAD  # the feed's next run comes by
                yield line

    def _count(self, line: _Line) -> None:
        record, kept, place = line.record, line.kept, line.place
        explained = line.gap is not None and line.gap not in _SUSPECT
        if record is not None and line.gap not in (Gap.NOT_FINAL, Gap.WITHDRAWN):
            self.sheet.at_source(place, record, explained)
        if kept is not None and kept.version:
            where = Place(kept.day, kept.department) if kept.day else place
            self.sheet.at_agent(where, line.key, kept.document_hash, kept.void, explained)
        if line.gap in _SUSPECT:
            named = kept.set_id if kept else self._primary(line.key)
            document = kept.head.document_id if kept else ""
            name = self._feed.config.name
            self.sheet.differs(
                Difference(gap=line.gap, place=place, key=line.key, set_id=named, document=document, feed=name)
            )
            if line.gap is Gap.MISSED and self.sheet.wants(place):
                self.missed.append((line.key, *place))
        elif line.gap is not None:
            self.sheet.gap(place, line.gap)
        if kept is not None and kept.version and line.gap is None:
            for (_, _), state in self._spool.journeys([kept.set_id]).items():
                if gap := gap_of_journey(state):
                    self.sheet.gap(place, gap)

    # --- names and places ---------------------------------------------------------------------------------------------

    def _own(self, key: str) -> str:
        plan = self._plan
        return set_id(plan.institution, plan.epoch, plan.kind, key)

    def _primary(self, key: str) -> str:
        """The set that stands for a record: the feed's own, or where every destination has an edition the first of those."""
        plan = self._plan
        return self._own(key) if plan.destinations or not plan.editions else plan.editions[0].set_of(key)

    def _known(self, key: str, kept: Mapping[str, Kept]) -> Kept | None:
        """What is held or withheld is so for all editions; else the one that stands for the record."""
        own = kept.get(self._own(key))
        if own is not None and (own.withheld or own.held_hash is not None):
            return own
        return kept.get(self._primary(key))

    def _as_primary(self, record: SourceRecord, known: Kept | None) -> SourceRecord:
        """With the hash that its documents carry."""
        plan = self._plan
        if plan.destinations or not plan.editions or (known is not None and known.set_id == self._own(record.key)):
            return record
        return msgspec.structs.replace(record, source_hash=plan.editions[0].hash_of(record.source_hash))

    def _place(self, said: Event | None, known: Kept | None, changed: bool = False) -> Place:
        """By what we keep, where it is unchanged; by the record's own words else. Where nobody knows, for the last day."""
        if known is not None and known.day and not (changed and said is not None and said.at is not None):
            return Place(known.day, known.department)
        if said is None:
            return Place(day_number(self._last), "")
        return Place(said.day if said.at is not None else day_number(self._last), said.department)

    # --- the platforms ------------------------------------------------------------------------------------------------

    def _destinations(self) -> list[str]:
        plan = self._plan
        names = {*plan.destinations, *(name for edition in plan.editions for name in edition.destinations)}
        return sorted(names & self._app.platforms.keys())

    def _ask(self, name: str) -> None:
        """Everything of this kind that the destination is proven to have: a kind may come of several feeds."""
        asked = self.asked[name] = _Asked()
        edge, plan = self._app.platforms[name], self._plan
        first, last = self.sheet.first, self.sheet.last
        try:
            ours = self._digests(name)
            theirs = edge.counted(plan.kind, first, last, plan.institution)
            if theirs is None:
                self.sheet.platform(name, ours, ())
                asked.asked, asked.why = False, "it does not know the question: an earlier version"
                return
            proven = self._differing(name, asked, differing_places(ours, theirs))
        except DestinationError as error:
            self.sheet.platform(name, self._digests(name), ())
            asked.asked, asked.why = False, str(error)
            return
        self.sheet.platform(name, ours, _with(theirs, proven))

    def _digests(self, name: str) -> dict[Place, Digest]:
        found: dict[Place, Digest] = {}
        for sent in self._delivered(name):
            place = Place(sent.day, sent.department)
            if place not in found:
                found[place] = Digest()
            found[place].add(set_line(sent.set_id, sent.version, sent.sha256))
        return found

    def _delivered(self, name: str) -> Iterator[Sent]:
        plan = self._plan
        return self._spool.delivered(name, plan.institution, plan.kind, self.sheet.first, self.sheet.last)

    def _differing(self, name: str, asked: _Asked, places: Sequence[Place]) -> Counter[Place]:
        """Set by set where the digests differ. How many of each place are there without their day, proven by their ids."""
        wanted = {place for place in places if self.sheet.wants(place)}
        ours: dict[Place, dict[str, Sent]] = {place: {} for place in wanted}
        for sent in self._delivered(name) if wanted else ():
            if (place := Place(sent.day, sent.department)) in wanted:
                ours[place][sent.set_id] = sent
        by_id: Counter[Place] = Counter()
        for place in sorted(wanted):
            edge, plan = self._app.platforms[name], self._plan
            theirs = {one.set_id: one for one in edge.kept_sets(plan.kind, *place, plan.institution)}
            asked.sets += len(theirs)
            self._unexpected(name, place, {one.set_id: (one.version, one.sha256) for one in theirs.values()})
            absent = [
                sent
                for sent in ours[place].values()
                if (at := theirs.get(sent.set_id)) is None or at.version < sent.version
            ]
            by_id[place] += self._proven(name, asked, absent)
        asked.by_id = sum(by_id.values())
        return by_id

    def _unexpected(self, name: str, place: Place, theirs: Mapping[str, tuple[int, str]]) -> None:
        """Sets whose newest version there is not one that we made with these bytes."""
        sets = list(theirs)
        for start in range(0, len(sets), SETS_AT_ONCE):
            some = sets[start : start + SETS_AT_ONCE]
            versions, kept = self._spool.versions(name, some), self._spool.kept(some)
            for one in some:
                version, sha256 = theirs[one]
                gap = gap_of_set(versions.get(one, {}), version, sha256)
                known = kept.get(one)
                if gap is Gap.UNKNOWN_HERE and known is not None and known.version >= version:
                    continue  # the platform itself told us of it, after our state was lost (law 14)
                if gap is not None:
                    mine = next(iter(versions.get(one, {}).values()), None)
                    self.sheet.differs(
                        Difference(
                            gap=gap,
                            place=place,
                            key=mine.key if mine else "",
                            feed=mine.feed if mine else "",
                            set_id=one,
                            document=f"{one}-{version}",
                            destination=name,
                        )
                    )

    def _proven(self, name: str, asked: _Asked, absent: Sequence[Sent]) -> int:
        """Asked by their ids, with a signed answer: how many are there all the same."""
        edge = self._app.platforms[name]
        expected = {sent.document_id: sent.sha256 for sent in absent}
        proofs = edge.proofs(list(expected), self._plan.institution)
        gaps = lost_among(expected, proofs)
        for sent in absent:
            gap = gaps.get(sent.document_id)
            if gap is None:
                continue
            if gap is Gap.LOST:
                asked.lost.append(sent)
            self.sheet.differs(
                Difference(
                    gap=gap,
                    place=Place(sent.day, sent.department),
                    key=sent.key,
                    feed=sent.feed,
                    set_id=sent.set_id,
                    document=sent.document_id,
                    destination=name,
                )
            )
        return sum(proofs.get(document) == sha256 for document, sha256 in expected.items())

    # --- mending ------------------------------------------------------------------------------------------------------

    def mendable(self) -> list[Difference]:
        return [one for one in self.sheet.differences if one.mendable]

    def mend(self, daemon: Reading | None, closed: frozenset[int]) -> Iterator[dict[str, Any]]:
        """Read again what was missed or changed, send again what was lost, wait for it, and look once more.

        `closed`: months (yyyymm) of which nothing is sent again.
        """
        wanted = [one for one in self.mendable() if one.place.day // 100 not in closed]
        now = self._app.clock()
        keys = {one.key for one in wanted if one.gap in (Gap.MISSED, Gap.STALE)}
        self._spool.ask(self._feed.config.name, [(self._own(key), key) for key in sorted(keys)], now)
        feeds = {self._feed.config.name} if keys or self._doubt(now) else set()
        lost = [one for one in wanted if one.gap is Gap.LOST]
        for name in sorted({one.destination for one in lost}):
            self._spool.reopen(name, [one.document for one in lost if one.destination == name], now)
            feeds |= {one.feed for one in lost}  # some may have to be made again
        feeds &= self._app.feeds.keys()
        if feeds:
            yield from self._mending(daemon, sorted(feeds), wanted)
        self._look_again([*wanted, *(one for one in self.sheet.differences if one.gap is Gap.VANISHED)])

    def _doubt(self, now: datetime) -> bool:
        """Keys that are gone are looked for by the feed's next run, and held if they are nowhere; whether there are any.

        More than the feed lets pass at once would stop it: those are only told, for a person to look at.
        """
        gone = sorted({one.key for one in self.sheet.differences if one.gap is Gap.VANISHED})
        if not gone or len(gone) > self._feed.config.vanished_at_most:
            return False
        self._app.spool.finding.doubt(self._feed.config.name, gone, DOUBTED, now)
        return True

    def _mending(
        self, daemon: Reading | None, feeds: Sequence[str], wanted: Sequence[Difference]
    ) -> Iterator[dict[str, Any]]:
        ended = threading.Event()
        if daemon is not None:
            daemon.wake(feeds)
        else:
            threading.Thread(target=self._mend_here, args=(feeds, ended), name="resend", daemon=True).start()
        before, moved = -1, time.monotonic()
        while True:
            to_read = self._spool.left(self._feed.config.name)
            to_send = 0 if to_read else self._to_send(wanted)
            yield {"to_read": to_read, "to_send": to_send}
            left = to_read + to_send
            if ended.is_set() or (daemon is not None and not left):
                return
            if left != before:
                before, moved = left, time.monotonic()
            if daemon is not None and time.monotonic() - moved > QUIET:
                return
            ended.wait(TICK)

    def _mend_here(self, feeds: Sequence[str], ended: threading.Event) -> None:
        """No daemon: read and send in this process."""
        try:
            for name in feeds:
                self._app.read_again(name)
            for name in self._destinations():
                while self._app.moving(name) and self._app.greet(name) and self._app.send(name):
                    pass
        finally:
            ended.set()

    def _to_send(self, wanted: Sequence[Difference]) -> int:
        found = self._spool.journeys([one.set_id for one in wanted])
        return sum(state in OPEN for state in found.values())

    def _look_again(self, wanted: Sequence[Difference]) -> None:
        """What is mended now: known and unchanged (or held, withheld …: explained), and again proven at the platform."""
        keys = sorted({one.key for one in wanted if one.gap in _SUSPECT})
        still = {line.key for line in self._again(keys) if line.gap in (*_SUSPECT, Gap.UNREAD)}
        there: set[tuple[str, str]] = set()
        for name in sorted({one.destination for one in wanted if one.gap is Gap.LOST}):
            there |= {
                (name, set_id) for set_id in self._there(name, [o.set_id for o in wanted if o.destination == name])
            }
        self.sheet.differences = [
            msgspec.structs.replace(one, mended=True)
            if one in wanted
            and ((one.destination, one.set_id) in there if one.gap is Gap.LOST else one.key not in still)
            else one
            for one in self.sheet.differences
        ]

    def _there(self, name: str, set_ids: Sequence[str]) -> list[str]:
        """The sets of which the newest version is proven to be there, asked once more."""
        versions = self._spool.versions(name, set_ids)
        newest = {found[max(found)].document_id: found[max(found)] for found in versions.values()}
        delivered = {name: sent.sha256 for name, sent in newest.items() if sent.state is State.DELIVERED}
        try:
            proofs = self._app.platforms[name].proofs(list(delivered), self._plan.institution)
        except DestinationError:
            return []
        return [newest[document].set_id for document, sha256 in delivered.items() if proofs.get(document) == sha256]


# -- one reconciliation -------------------------------------------------------------------------------------------------


def reconcile(
    app: App,
    daemon: Reading | None,
    name: str,
    first: date,
    last: date,
    *,
    department: str | None = None,
    resend: bool = False,
    who: str = "",
    closed: bool = False,
    reason: str = "",
) -> Iterator[dict[str, Any]]:
    """Rows of progress, then one with the `result`. `who` is empty for one that runs by itself.

    Closed months: by itself nothing of them is sent again; a person has to say so (`closed`) and why.
    """
    if last < first:
        raise ConfigurationError(f"{first} to {last}: it ends before it begins")
    if (last - first).days >= MOST_DAYS:
        raise ConfigurationError(f"{first} to {last}: more than {MOST_DAYS} days; reconcile them in parts")
    if resend and who and not closed:
        shut = app.spool.closing.closed_among(first + timedelta(days=n) for n in range((last - first).days + 1))
        if shut:
            raise MonthClosed(shut)
    feed = app.compiled(app.config.feed(name))
    started = app.clock()
    work = Reconciler(app, feed, first, last, department)
    yield from work.compare()
    months: frozenset[int] = frozenset()
    if resend and work.sheet.differences:
        months = _closed_months(app, work, f"reconcile {name} {first} {last}", who, closed, reason)
        yield from work.mend(daemon, months)
    told = told_result(work, name, feed.plan.kind, resend, months)
    told["id"] = app.spool.reconciliations.keep(
        told, institution=feed.plan.institution, missed=work.missed, who=who, started_at=started, now=app.clock()
    )
    _say(app, work, told)
    yield {"result": told}


def _closed_months(app: App, work: Reconciler, what: str, who: str, closed: bool, reason: str) -> frozenset[int]:
    """The months of which nothing is sent again; MonthClosed where a person asks for it and does not say why."""
    days = [one.place.day for one in work.mendable() if one.place.day]
    if not closed:
        return frozenset(app.spool.closing.closed_among(days))
    app.spool.closing.allow(days, what, who, reason, app.clock())
    return frozenset()


def told_result(work: Reconciler, feed: str, kind: str, resend: bool, closed: Iterable[int] = ()) -> dict[str, Any]:
    """All of it in plain values."""
    differences = work.sheet.differences
    mended = sum(one.mended for one in differences)
    return {
        "feed": feed,
        "kind": kind,
        "first": work.sheet.first,
        "last": work.sheet.last,
        "walked_by": work.walked_by,
        "resend": resend,
        "totals": work.sheet.totals(),
        "days": work.sheet.told(),
        "differences": [one.told() for one in differences],
        "differing": len(differences),
        "missed": len(work.missed),
        "mended": mended,
        "closed": sorted(closed),
        "destinations": {
            name: {"asked": one.asked, "why": one.why, "sets": one.sets, "by_id": one.by_id, "lost": len(one.lost)}
            for name, one in work.asked.items()
        },
        "cost": msgspec.to_builtins(work.cost),
        "problem": "",
    }


def _say(app: App, work: Reconciler, told: dict[str, Any]) -> None:
    """In the log, and to the platforms that were asked."""
    say = log.warning if told["differing"] else log.info
    say(
        event(
            "reconciliation.done", feed=told["feed"], first=told["first"], last=told["last"], missed=told["missed"],
            differing=told["differing"], mended=told["mended"], seconds=work.cost.seconds,
        )
    )  # fmt: skip
    for name, one in work.asked.items():
        if one.asked:
            try:
                app.platforms[name].say_reconciled(
                    app.clock().isoformat(timespec="seconds"), work.sheet.said(told["feed"], told["kind"])
                )
            except DestinationError as error:
                log.warning(event("reconciliation.not_told", destination=name, problem=str(error)))


def failed_result(feed: str, kind: str, first: date, last: date, error: FrontendAgentError) -> dict[str, Any]:
    """One that could not be done, for keeping: that it was not done is an alarm of its own."""
    return {
        "feed": feed, "kind": kind, "first": day_number(first), "last": day_number(last), "walked_by": "", "resend": False,
        "totals": {}, "days": [], "differences": [], "differing": 0, "missed": 0, "mended": 0, "closed": [],
        "destinations": {}, "cost": msgspec.to_builtins(_Cost()), "problem": str(error),
    }  # fmt: skip


def _with(theirs: Iterable[Count], by_id: Mapping[Place, int]) -> list[Count]:
    """The platform's counts, and those that it holds without their day."""
    found = {Place(one.day, one.department): one for one in theirs}
    for place, n in by_id.items():
        if n:
            before = found.get(place) or Count(place.day, place.department, 0, Digest().hex)
            found[place] = msgspec.structs.replace(before, documents=before.documents + n)
    return list(found.values())


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
