"""Carry one batch of rows into the spool.

    normalise ─▶ compare with what we know ─▶ check ─▶ complete ─▶ render ─▶ compress ─▶ commit

Everything before the commit takes values and returns values; the commit is all or nothing. One record's fault is that
record's alone: it is held with its findings, and its neighbours go on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum, auto
from functools import partial
from hashlib import sha256
from typing import NamedTuple, Protocol
from zlib import crc32

import msgspec
import zstandard

from frontend_agent.closing import month_of
from frontend_agent.errors import NoSigner
from frontend_agent.identity import document_id, set_id
from frontend_agent.measuring import Event, Measures, Tally
from frontend_agent.model import (
    Blame,
    Document,
    Envelope,
    Finding,
    Held,
    Record,
    RowSet,
    SeriesHead,
    Severity,
    SourceRecord,
    SourceRows,
    Unmapped,
    Watermark,
    Withheld,
)
from frontend_agent.packs.shadow import compared
from frontend_agent.registrations import Names, are_registrations, names
from frontend_agent.spool import Awaiting, Beside, Heard, Met, Progress, Shadowed, Skipped, Spool, Taken, Walked
from frontend_agent.unmade import unmade
from frontend_agent.visits import HELD, MADE, VOID, WITHHELD, Observer, Seen
from frontend_agent.withholding import Decision, Withhold

# Findings of the machine itself. Texts for operators are in the catalogue of the checks.
UNREADABLE_ROWS = "AGT001"  # the mapping could not read these rows
SAME_KEY = "AGT003"  # two different records of one batch claim the same key
NO_SIGNER = "AGT005"  # its author has no certificate to sign with
VANISHED_KEY = "AGT004"  # it was reported, and is not at its source any more
UNDECIDED = "POL002"  # a withholding rule asks for a value that could not be read

# Told of what somebody else is the reason for: a field that a partner or a column would have said (`SourceRecord.unsaid`).
_MISSING = ("DE-MISSING", "DE-ONE-OF")

VANISHED = "vanished"  # in the place of a hash: there is no content

# A record that waits for its partner is looked for again: after a minute, two, four … at most an hour.
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)

BACKFILL = 1  # the urgency of what a backfill makes: after all that is new

_AT_ONCE = 50  # documents rendered before they are compressed

Complete = Callable[[Record], tuple[Record, Sequence[Finding]]]
Sign = Callable[[bytes, Record, datetime], bytes]  # document, the record it was made of, now -> the same, signed
Heads = Callable[..., Mapping[str, SeriesHead]]  # set ids [, the destinations to ask: by default those of the feed]


@dataclass(frozen=True, kw_only=True)
class EditionPlan:
    """The same records with other content, for destinations that may not have all of it: documents of their own."""

    name: str
    set_of: Callable[[str], str]  # business key -> set id
    hash_of: Callable[[str], str]  # hash of the source's values -> what these documents carry of it
    leave_out: Complete
    render: Callable[[Record, Envelope], bytes]
    destinations: tuple[str, ...]
    sign: Sign | None = None


@dataclass(frozen=True, kw_only=True)
class FeedPlan:
    """One configured flow, compiled: everything take_in needs to know of it. Used by one thread at a time."""

    name: str
    institution: str
    epoch: str
    kind: str
    key: str  # the alias of the business key in parent and detail queries
    timezone: tzinfo  # of the institution: the effective time is written in it
    normalise: Callable[[SourceRows], list[SourceRecord]]
    check: Callable[
        [Record, Mapping[str, str], Sequence[Finding]], list[Finding]
    ]  # the last: what the mapping has said
    complete: Complete  # lawful absence, and the notes about it (law 3)
    render: Callable[[Record, Envelope], bytes]
    compress: Callable[[bytes], bytes]  # with the kind's dictionary
    dictionary: str  # hex SHA-256 of that dictionary, "" for none
    digests: str  # of mapping, template, rules, profile and code tables together
    destinations: tuple[str, ...]
    # What else is delivered in order (a patient); None: each set by itself. The same for all versions of a record.
    order: Callable[[Record], str] | None = None
    urgency: int = 0  # 1: backfill
    terms: int = 0  # the newest decision about local codes that it was compiled with
    measures: Measures = field(default_factory=Measures)  # what can be counted of the kind
    shadow: Callable[[SourceRecord], Sequence[Finding]] | None = None  # what would hold it under another pack
    shadow_pack: str = ""
    shadow_one_of: int = 1  # so many records are judged once that way
    withhold: Withhold | None = None  # which records are kept back by rule
    leave_out: Complete | None = None  # what may not leave for the destinations
    editions: tuple[EditionPlan, ...] = ()  # for destinations that get something else
    observe: Observer | None = None  # what a record says of its visit
    sign: Sign | None = None  # puts a signature into what was rendered
    # Destinations where registrations go first: the classes of those that are waited for there, () for all.
    register_first: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    joins: bool = False  # its records may have to wait: for partners that are missing, or until they have settled
    settle: timedelta = timedelta()  # reads are dirty: a record is taken when it reads the same so much later


class Spooling(Protocol):
    """What taking in needs of the spool."""

    def series(self, set_ids: Iterable[str], /) -> Mapping[str, SeriesHead]: ...
    def unsure(self, set_ids: Sequence[str], /) -> Sequence[str]: ...
    def waiting(self, set_ids: Iterable[str], /) -> Mapping[str, Awaiting]: ...
    def commit(self, taken: Taken, /) -> None: ...


def _no_lap(_: str) -> None:
    pass


def take_in(
    feed: FeedPlan,
    rows: SourceRows,
    watermark: Watermark | None,
    spool: Spool | Spooling,
    heads: Heads | None,
    now: datetime,
    *,
    asked: Sequence[str] = (),
    walked: Walked | None = None,
    closed: Set[int] = frozenset(),
    expected: Sequence[str] = (),
    heard: Heard | None = None,
    lap: Callable[[str], None] = _no_lap,
) -> Taken:
    """Carry one batch of rows into the spool. Either all of it is kept and the watermark moves, or neither.

    `heads` asks the platform for version heads that a lost state does not know; without it what we have is taken as it is.
    `asked` are the keys that were to be read again: those that the source no longer has are put back before a person.
    `walked` says how far a backfill is with this batch; nothing new is made of the months in `closed` (yyyymm).
    `expected` are those that should be there: of those that are not, what we have of them is doubted.
    `heard` are the messages that the rows come from. `lap` is told the name of each step as it ends. Returns what was committed.
    """
    read = read_rows(feed, rows)
    lap("normalise")
    known = what_is_known(spool, heads, feed, dict.fromkeys([*read.keys(), *asked, *expected]))
    taken = prepare(feed, read, watermark, known, now, asked=asked, expected=expected, closed=closed, lap=lap)
    if walked:
        taken = behind_real_time(taken, walked)
    if heard:
        taken = with_messages(taken, heard)
    spool.commit(taken)
    lap("commit")
    return taken


def behind_real_time(taken: Taken, walked: Walked) -> Taken:
    """What a backfill has prepared: it is sent after everything that is new, and says how far the backfill is."""
    return msgspec.structs.replace(taken, walked=walked, urgency=BACKFILL, watermark=None)


def with_messages(taken: Taken, heard: Heard) -> Taken:
    """What comes of messages marks them. A key that no message speaks of any more is not missed: its time was over."""
    return msgspec.structs.replace(taken, heard=heard, doubted=())


def prepare(
    feed: FeedPlan,
    read: "Read",
    watermark: Watermark | None,
    known: "Known",
    now: datetime,
    *,
    asked: Sequence[str] = (),
    closed: Set[int] = frozenset(),
    expected: Sequence[str] = (),
    lap: Callable[[str], None] = _no_lap,
) -> Taken:
    """Everything between reading and the commit, without touching anything: it may as well happen in another process."""
    sets = {key: set_id(feed.institution, feed.epoch, feed.kind, key) for key in (*read.keys(), *asked)}
    batch = _Batch(feed, now, known.heads, known.waiting, closed)
    for record in _one_per_key(read.records, batch, sets):
        batch.decide(record, sets[record.key], record.key in asked)
    for key in read.unreadable:
        batch.hold_unreadable(key, sets[key])
    lap("compare")
    batch.check()
    lap("check")
    if feed.shadow:
        batch.judge_in_shadow()
        lap("shadow")
    for few in batch.in_parts():
        made = batch.render(few)
        lap("render")
        if batch.signs:
            made = batch.sign(made)
            lap("sign")
        batch.compress(made)
        lap("compress")
    present = read.keys()
    missed = [key for key in dict.fromkeys((*asked, *expected)) if key.strip() not in present]
    return batch.taken(
        watermark,
        known.learned,
        [sets[key] for key in asked if key not in present],
        {sets[key] for key in asked},
        [key for key in missed if set_id(feed.institution, feed.epoch, feed.kind, key) in known.heads],
    )


def take_vanished(feed: FeedPlan, keys: Sequence[str], spool: Spool | Spooling, now: datetime) -> Taken:
    """Hold the keys that are nowhere at their source any more, if the region has a document of them.

    That they are gone is no content and makes no version: whether it means a void, a person has to say (law 3).
    """
    known = what_is_known(spool, None, feed, keys)
    batch = _Batch(feed, now, known.heads, known.waiting)
    for key in keys:
        batch.hold_vanished(key, set_id(feed.institution, feed.epoch, feed.kind, key))
    taken = batch.taken(None, [], [], frozenset(), [])
    taken = msgspec.structs.replace(taken, progress=Progress(settled=list(keys)))
    spool.commit(taken)
    return taken


# --- reading the rows -------------------------------------------------------------------------------------------------


class Read(NamedTuple):
    """The records of one batch, and the keys of those that the mapping could not read at all."""

    records: list[SourceRecord]
    unreadable: list[str]

    def keys(self) -> set[str]:
        return {record.key for record in self.records}.union(self.unreadable)


def read_rows(feed: FeedPlan, rows: SourceRows) -> Read:
    """Normalise: what the rows mean, in our words."""
    try:
        return Read(feed.normalise(rows), [])
    except Exception:  # noqa: BLE001  whatever one row provoked must not stop its neighbours
        return _normalise_one_by_one(feed, rows)


def _normalise_one_by_one(feed: FeedPlan, rows: SourceRows) -> Read:
    """Slow, and only when the batch as a whole failed: it finds the key whose rows cannot be read."""
    records: list[SourceRecord] = []
    unreadable: list[str] = []
    parents = _by_key(rows.parent, feed.key)
    details = {name: _by_key(group, feed.key) for name, group in rows.details.items()}
    for key, parent in parents.items():
        alone = {name: RowSet(rows.details[name].columns, found.get(key, ())) for name, found in details.items()}
        try:
            records += feed.normalise(SourceRows(RowSet(rows.parent.columns, parent), alone, rows.partners))
        except Exception:  # noqa: BLE001  this is the one: it is held, and says so
            unreadable.append(key)
    return Read(records, unreadable)


def _by_key(rows: RowSet, key: str) -> dict[str, list[tuple[object, ...]]]:
    place = rows.columns.index(key)
    found: dict[str, list[tuple[object, ...]]] = {}
    for row in rows.rows:
        found.setdefault(str(row[place]).strip(), []).append(row)
    return found


class Known(NamedTuple):
    """What we know of each set, and what the platform had to tell us about it (law 14), by business key."""

    heads: dict[str, SeriesHead]
    learned: list[tuple[str, SeriesHead]]
    waiting: dict[str, Awaiting] = {}  # noqa: RUF012  those that wait for a partner; never changed, and workers get it


def what_is_known(spool: Spool | Spooling, heads: Heads | None, feed: FeedPlan, keys: Iterable[str]) -> Known:
    """The version heads of these keys: ours, and the platform's where a lost state does not know.

    A destination is asked for the sets of its own edition only: it must not learn the name of another.
    """
    keys = list(keys)
    key_of = {set_id(feed.institution, feed.epoch, feed.kind, key): key for key in keys}
    found = _known(spool, heads if feed.destinations else None, key_of)
    for edition in feed.editions:
        ask = partial(heads, destinations=edition.destinations) if heads else None
        more = _known(spool, ask, {edition.set_of(key): key for key in keys})
        found.heads.update(more.heads)
        found.learned.extend(more.learned)
    return found._replace(waiting=dict(spool.waiting(key_of))) if feed.joins else found


def _known(spool: Spool | Spooling, heads: Heads | None, key_of: Mapping[str, str]) -> Known:
    wanted = list(key_of)
    known = dict(spool.series(wanted))
    learned: list[tuple[str, SeriesHead]] = []
    unsure = spool.unsure(wanted) if heads else ()
    if heads and unsure:
        for named, head in heads(unsure).items():
            ours = known.get(named)
            if named in key_of and (ours is None or head.version >= ours.version):
                learned.append((key_of[named], head))
                if ours is None or head.version > ours.version:
                    known[named] = head
    return Known(known, learned, {})  # a dictionary of its own: it travels to the workers


def _one_per_key(records: list[SourceRecord], batch: "_Batch", sets: Mapping[str, str]) -> Iterable[SourceRecord]:
    """The same record twice is taken once. Two different ones under one key are held: either could be the true one."""
    first: dict[str, SourceRecord] = {}
    differing: dict[str, list[SourceRecord]] = {}
    for record in records:
        other = first.setdefault(record.key, record)
        if other is not record and other.source_hash != record.source_hash:
            differing.setdefault(record.key, [other]).append(record)
    for key, claimants in differing.items():
        batch.hold_same_key(key, sets[key], claimants)
    return [record for key, record in first.items() if key not in differing]


# --- what to do with a record -----------------------------------------------------------------------------------------


class Step(Enum):
    """What a record's turn comes to."""

    MAKE = auto()  # a document, or a held record: checking decides
    UNCHANGED = auto()
    NOT_FINAL = auto()
    WITHDRAWN = auto()  # void, and nothing of it was ever sent
    RETURNED = auto()  # what was held is again what was delivered
    WAITING = auto()  # for a partner's row, which may still come
    CLOSED = auto()  # of a month of which nothing is sent again


def next_step(head: SeriesHead | None, record: SourceRecord, digests: str) -> Step:
    """The hash of the source's values decides (law 13); new rules make a held record worth another look, never a version."""
    if not record.final and not record.void:
        return Step.NOT_FINAL
    if record.void and (head is None or not head.version):
        return Step.WITHDRAWN
    if head is None:
        return Step.MAKE
    if record.void and head.void and not head.held:
        return Step.UNCHANGED
    document_hash = head.document_hash or ("" if head.held else head.source_hash)
    same_as_document = bool(document_hash) and record.source_hash == document_hash and record.void == head.void
    if same_as_document:
        return Step.RETURNED if head.held else Step.UNCHANGED
    if head.held and record.source_hash == head.source_hash and digests == head.digests:
        return Step.UNCHANGED
    return Step.MAKE


def patience(record: SourceRecord) -> timedelta:
    """How long this record waits for its partners: the most patient of those that are missing decides."""
    return timedelta(seconds=max((awaited.seconds for awaited in record.awaited), default=0.0))


def may_wait(record: SourceRecord, head: SeriesHead | None) -> bool:
    """A withdrawal never waits; what waits for a person already does not wait for a partner besides."""
    held = head is not None and head.held
    return bool(record.awaited) and not record.void and not held and patience(record) > timedelta()


SETTLING = "settles "  # in the place of a partner's name: since when the record has read the same


def settling(source: SourceRecord, since: datetime) -> str:
    """What is remembered of a dirty read: its content, and since when that has not changed."""
    return f"{SETTLING}{source.source_hash} {since.isoformat()}"


def settling_since(before: Awaiting | None, source: SourceRecord) -> datetime | None:
    """Since when the record has read the same. None: it has not."""
    for partner in before.partners if before else ():
        content, _, since = partner.removeprefix(SETTLING).partition(" ")
        if partner.startswith(SETTLING) and content == source.source_hash:
            return datetime.fromisoformat(since)
    return None


def judged(check: Callable[..., list[Finding]], source: SourceRecord) -> list[Finding]:
    """What the mapping and all the rules have to say. A field that is missing for a known reason is told once."""
    found = check(source.record, source.columns, source.findings)
    if source.unsaid and any(one.severity is Severity.HOLD for one in source.findings):
        found = [one for one in found if one.field not in source.unsaid or one.rule not in _MISSING]
    return [*source.findings, *found]


@dataclass
class _Making:
    """A record on its way to become a document, or one for each edition of it."""

    source: SourceRecord
    set_id: str
    head: SeriesHead | None
    event: Event
    editions: list["_Making"] = field(default_factory=list)  # those that are wanted beside it, or instead
    wanted: bool = True  # False: only its editions are
    plan: EditionPlan | None = None
    base: "_Making | None" = None  # of an edition: the record as the feed knows it
    record: Record = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def version(self) -> int:
        return self.head.version + 1 if self.head else 1

    @property
    def replaces_id(self) -> str:
        return document_id(self.set_id, self.head.version) if self.head and self.head.version else ""


class _Batch:
    """One batch on its way through the steps."""

    def __init__(
        self,
        feed: FeedPlan,
        now: datetime,
        known: Mapping[str, SeriesHead],
        waiting: Mapping[str, Awaiting],
        closed: Set[int] = frozenset(),
    ) -> None:
        self._feed = feed
        self._closed_months = closed
        self._was_waiting = waiting
        self._seen: dict[str, Seen] = {}
        self._waiting: list[Awaiting] = []
        self._now = now
        self._made_at = now.astimezone(UTC).isoformat(timespec="milliseconds")
        self._known = known
        self._making: list[_Making] = []
        self._documents: dict[str, list[Document]] = {}  # by edition; "" is the feed's own
        self._findings: dict[str, tuple[Finding, ...]] = {}
        self._names: dict[str, Names] = {}
        self._held: list[Held] = []
        self._held_sets: set[str] = set()
        self._closed: list[str] = []
        self._unheld: list[str] = []
        self._withheld: list[Withheld] = []
        self._looked: list[str] = []
        self._today = now.astimezone(feed.timezone).date()
        self._not_final: list[str] = []  # held, and not final (any more)
        self._steps = dict.fromkeys(Step, 0)
        self._unmapped: dict[tuple[str, str, str], tuple[Unmapped, list[str]]] = {}
        self._judged: list[tuple[SourceRecord, list[Finding]]] = []  # and what holds it
        self._shadow: dict[tuple[str, str, str], tuple[int, str]] = {}
        self._tally = Tally(feed.measures, now, feed.timezone)

    def decide(self, source: SourceRecord, named: str, asked: bool = False) -> None:
        """`asked`: it was to be looked at again, whatever is known of it."""
        head = self._known.get(named)
        step = next_step(head, source, self._feed.digests)
        if step is Step.MAKE and self._feed.settle and not self._has_settled(source, named):
            step = Step.WAITING
        elif step is Step.MAKE and source.awaited:
            step = self._wait_or_go(source, named, head)
        if step is Step.WAITING:
            self._steps[step] += 1
            return
        event = self._tally.read(source.record)
        decision = self._withheld_by(source, step)
        self._observe(source, named, head, step, bool(decision and not decision.undecided))
        if decision and not decision.undecided:
            self._withhold(source, named, head, decision, event)
            return
        editions = self._editions_wanted(source, head, step, event)
        if step is Step.MAKE and not editions and not self._feed.destinations:
            step = Step.RETURNED if head and head.held else Step.UNCHANGED  # every edition has it
        if self._closed_months and month_of(event.day) in self._closed_months and (step is Step.MAKE or editions):
            self._steps[Step.CLOSED] += 1
            return
        self._steps[Step.MAKE if editions else step] += 1
        if step is Step.MAKE or editions:
            wanted = step is Step.MAKE and bool(self._feed.destinations)
            making = _Making(source, named, head, event, editions, wanted)
            if decision:
                making.findings.append(_undecided(decision))
            self._making.append(making)
            self._count_unmapped(source)
        elif step is Step.UNCHANGED and asked and head and not head.held:
            self._looked.append(named)
        elif head and head.held and step is Step.NOT_FINAL:
            self._not_final.append(named)
        elif head and head.held and step in (Step.RETURNED, Step.WITHDRAWN):
            self._closed.append(named)
            self._unheld.append(named)

    def _observe(self, source: SourceRecord, named: str, head: SeriesHead | None, step: Step, withheld: bool) -> None:
        """What the record says of its visit. Unchanged ones, too: a lost state learns of its visits by reading again."""
        if self._feed.observe is None or step is Step.NOT_FINAL:
            return
        held = step is Step.UNCHANGED and head is not None and head.held
        state = VOID if source.void else WITHHELD if withheld else HELD if held else MADE
        if self._feed.editions and not self._feed.destinations:
            named = self._feed.editions[0].set_of(source.key)
        seen = self._feed.observe(source.record, named, state, self._now)
        if seen is not None:
            self._seen[named] = seen

    def _editions_wanted(
        self, source: SourceRecord, head: SeriesHead | None, step: Step, event: Event
    ) -> list[_Making]:
        """The editions of which there is no such version yet. A record that is held, and unchanged, makes none."""
        if not self._feed.editions or (step is Step.UNCHANGED and head and head.held):
            return []
        wanted = []
        for plan in self._feed.editions:
            named = plan.set_of(source.key)
            mine = msgspec.structs.replace(source, source_hash=plan.hash_of(source.source_hash))
            known = self._known.get(named)
            if next_step(known, mine, self._feed.digests) is Step.MAKE:
                wanted.append(_Making(mine, named, known, event, plan=plan))
        return wanted

    def _withheld_by(self, source: SourceRecord, step: Step) -> Decision | None:
        """The rule that keeps a record back. Asked of unchanged ones, too: a new rule may mean what was sent long ago."""
        if self._feed.withhold is None or step in (Step.NOT_FINAL, Step.WITHDRAWN):
            return None
        return self._feed.withhold(source.record, source.findings, self._today, source.unsaid)

    def _withhold(
        self, source: SourceRecord, named: str, head: SeriesHead | None, decision: Decision, event: Event
    ) -> None:
        feed, rule = self._feed, decision.rule
        if head and head.held and head.source_hash == source.source_hash and head.digests == feed.digests:
            self._steps[Step.UNCHANGED] += 1  # kept back already, by these very rules
            return
        self._tally.withheld(named, event, source.record, source.findings, first=head is None)
        self._withheld.append(
            Withheld(
                set_id=named,
                kind=feed.kind,
                institution=feed.institution,
                feed=feed.name,
                key=source.key,
                source_hash=source.source_hash,
                rule=rule.name,
                rule_digest=rule.digest,
                field=decision.field,
                decided_by=rule.decided_by,
                reason=rule.reason,
                digests=feed.digests,
                withheld_at=self._made_at,
                others=tuple(edition.set_of(source.key) for edition in feed.editions),
            )
        )

    def _has_settled(self, source: SourceRecord, named: str) -> bool:
        """Whether it read the same so long ago. What is read dirty may be rolled back, or be half of a correction."""
        before = self._was_waiting.get(named)
        since = settling_since(before, source) or self._now
        if since + self._feed.settle <= self._now:
            return True
        due = since + self._feed.settle
        attempts = before.attempts + 1 if before else 1
        self._waiting.append(
            Awaiting(
                named, source.key, before.since if before else self._now, due, due, attempts, (settling(source, since),)
            )
        )
        return False

    def _wait_or_go(self, source: SourceRecord, named: str, head: SeriesHead | None) -> Step:
        """A missing partner is waited for, so long and no longer. Then the record says so, and its rule decides."""
        before = self._was_waiting.get(named)
        since = before.since if before else self._now
        until = since + patience(source)
        if not may_wait(source, head) or self._now >= until:
            source.findings += [awaited.finding for awaited in source.awaited]
            return Step.MAKE
        attempts = before.attempts + 1 if before else 1
        due = self._now + min(FIRST_WAIT * 2 ** min(attempts - 1, 16), LONGEST_WAIT)
        partners = tuple(awaited.partner for awaited in source.awaited)
        if settled := settling_since(before, source):
            partners = (*partners, settling(source, settled))
        self._waiting.append(Awaiting(named, source.key, since, until, min(due, until), attempts, partners))
        return Step.WAITING

    def check(self) -> None:
        """Every rule, to the end (law 4); then what may lawfully be absent is written the lawful way."""
        going_on = []
        check, complete = self._feed.check, self._feed.complete
        for making in self._making:
            source = making.source
            try:
                making.findings += judged(check, source)
                making.record, notes = complete(source.record)
                making.findings += notes
                parts = self._parts(making)
            except Exception as error:  # noqa: BLE001  one record's fault is its own
                making.findings = unmade(error, source.findings)
                self._judged.append((source, making.findings))
                self._hold(making)
                continue
            self._judged.append((source, making.findings))
            # A void version tells the region that something it has is not so. That must not wait for a better record:
            # what can be rendered is sent, its findings with it.
            if not source.void and any(finding.severity is Severity.HOLD for finding in making.findings):
                self._hold(making)
            else:
                going_on += parts
        self._making = going_on

    def judge_in_shadow(self) -> None:
        """How the records of this batch would have fared under another pack. Nothing is decided by it."""
        shadow = self._feed.shadow
        assert shadow is not None
        for source, findings in self._judged:
            if source.void or crc32(source.key.encode()) % self._feed.shadow_one_of:
                continue
            for verdict, rule, place in compared(findings, shadow(source)):
                n, example = self._shadow.get((verdict, rule, place), (0, source.key))
                self._shadow[verdict, rule, place] = n + 1, example

    def _parts(self, making: _Making) -> list[_Making]:
        """One for each document that is wanted of the record, each without what may not leave for its destinations."""
        if not making.wanted and making.head and making.head.held:  # what was held becomes documents of editions alone
            self._closed.append(making.set_id)
            self._unheld.append(making.set_id)
        for part in making.editions:
            assert part.plan is not None
            part.record, notes = part.plan.leave_out(making.record)
            part.findings, part.base = [*making.findings, *notes], making
        if making.wanted and self._feed.leave_out:
            making.record, notes = self._feed.leave_out(making.record)
            making.findings += notes
        return [making, *making.editions] if making.wanted else making.editions

    def in_parts(self) -> Iterator[list[_Making]]:
        """A few at a time: the bytes of a whole page are never there at once."""
        for start in range(0, len(self._making), _AT_ONCE):
            yield self._making[start : start + _AT_ONCE]

    def render(self, few: list[_Making]) -> list[tuple[_Making, bytes]]:
        made = []
        effective = self._now.astimezone(self._feed.timezone).strftime("%Y%m%d%H%M%S")
        for making in few:
            envelope = Envelope(
                document_id=document_id(making.set_id, making.version),
                set_id=making.set_id,
                version=making.version,
                effective_time=effective,
                replaces_id=making.replaces_id,
            )
            try:
                content = (making.plan or self._feed).render(making.record, envelope)
            except Exception as error:  # noqa: BLE001  as above: it is held with what is known, its neighbours go on
                making.findings = unmade(error, making.findings)
                self._hold(making)
                continue
            made.append((making, content))
        return made

    @property
    def signs(self) -> bool:
        """Whether any document of this batch may have to be signed."""
        return self._feed.sign is not None

    def sign(self, made: list[tuple[_Making, bytes]]) -> list[tuple[_Making, bytes]]:
        """The same with their signatures in them; a record whose author has no signer is held.

        A key that cannot be used now (SigningUnavailable) ends the page: it is no record's fault, and it is read again.
        """
        signed = []
        for making, content in made:
            sign = (making.plan or self._feed).sign
            if sign is None:
                signed.append((making, content))
                continue
            try:
                signed.append((making, sign(content, making.source.record, self._now)))
            except NoSigner:
                making.findings = [*making.findings, Finding(NO_SIGNER, Severity.HOLD, Blame.AGENT, field="author.id")]
                self._hold(making)
        return signed

    def compress(self, made: list[tuple[_Making, bytes]]) -> None:
        """Fix the bytes: from here on they are never made again (law 2)."""
        feed = self._feed
        for making, content in made:
            document = Document(
                document_id=document_id(making.set_id, making.version),
                set_id=making.set_id,
                version=making.version,
                kind=feed.kind,
                institution=feed.institution,
                feed=feed.name,
                key=making.source.key,
                source_hash=making.source.source_hash,
                sha256=sha256(content).hexdigest(),
                size=len(content),
                frame=feed.compress(content),
                dictionary=feed.dictionary,
                made_at=self._made_at,
                digests=feed.digests,
                replaces_id=making.replaces_id,
                void=making.source.void,
                order_key=feed.order(making.record) if feed.order else making.set_id,
            )
            self._documents.setdefault(making.plan.name if making.plan else "", []).append(document)
            if feed.register_first or are_registrations(feed.kind):
                self._names[document.document_id] = names(feed.kind, making.source.record)
            if making.findings:
                self._findings[document.document_id] = tuple(making.findings)
            before = bool(making.head and making.head.held)
            if before:
                self._closed.append(making.set_id)
            self._count(document.document_id, making, before)

    def _count(self, document_id: str, making: _Making, before: bool) -> None:
        """A record counts once, whatever editions of it there are; `before`: it had been held."""
        counts_for = next(iter(self._feed.editions), None) if not self._feed.destinations else None
        if making.plan is not counts_for:
            self._tally.also(document_id, making.event)
            return
        self._tally.document(
            document_id,
            making.event,
            making.source.record,
            making.findings,
            version=making.version,
            void=making.source.void,
            held=before,
        )

    def taken(
        self,
        watermark: Watermark | None,
        learned: list[tuple[str, SeriesHead]],
        not_found: list[str],
        asked: Set[str],
        doubted: Sequence[str],
    ) -> Taken:
        waiting = {one.set_id for one in self._waiting}
        return Taken(
            feed=self._feed.name,
            kind=self._feed.kind,
            institution=self._feed.institution,
            digests=self._feed.digests,
            at=self._now,
            destinations=self._feed.destinations,
            documents=self._documents.get("", ()),
            beside=[
                Beside(plan.destinations, self._documents[plan.name])
                for plan in self._feed.editions
                if plan.name in self._documents
            ],
            findings=self._findings,
            held=self._held,
            withheld=self._withheld,
            shadow=[
                Shadowed(verdict, rule, place, n, example)
                for (verdict, rule, place), (n, example) in self._shadow.items()
            ],
            shadow_pack=self._feed.shadow_pack,
            looked=self._looked,
            closed=self._closed,
            unheld=self._unheld,
            learned=learned,
            not_found=not_found,
            doubted=doubted,
            doubted_by="asked",
            not_final=[named for named in self._not_final if named in asked],
            skipped=Skipped(
                unchanged=self._steps[Step.UNCHANGED],
                not_final=self._steps[Step.NOT_FINAL],
                withdrawn=self._steps[Step.WITHDRAWN],
                returned=self._steps[Step.RETURNED],
                waiting=self._steps[Step.WAITING],
                closed=self._steps[Step.CLOSED],
            ),
            waiting=self._waiting,
            visits=list(self._seen.values()),
            arrived=[named for named in self._was_waiting if named not in waiting],
            watermark=watermark,
            urgency=self._feed.urgency,
            unmapped=[_met(*found) for found in self._unmapped.values()],
            terms=self._feed.terms,
            figures=self._tally.figures(),
            asked=list(asked),
            names=self._names,
            register_first=self._feed.register_first,
        )

    def _count_unmapped(self, source: SourceRecord) -> None:
        """A record counts once for a code, however many of its rows have it."""
        for what, one in {(one.table, one.field, one.code): one for one in source.unmapped}.items():
            self._unmapped.setdefault(what, (one, []))[1].append(source.key)

    # --- holding ------------------------------------------------------------------------------------------------------

    def _hold(self, making: _Making) -> None:
        """One case for a record, whatever edition of it failed."""
        base = making.base or making
        source = base.source
        if seen := self._seen.get(base.set_id):
            self._seen[base.set_id] = msgspec.structs.replace(seen, state=HELD)
        if base.set_id not in self._held_sets:
            self._keep(base.set_id, source.key, source.source_hash, source.record, making.findings, base.event)

    def hold_unreadable(self, key: str, named: str) -> None:
        """No record, so no hash of its values either. Held once, until the mapping changes or the rows can be read."""
        event = self._tally.unreadable()
        if self._is_held(named, UNREADABLE_ROWS):
            self._steps[Step.UNCHANGED] += 1
        else:
            finding = Finding(UNREADABLE_ROWS, Severity.HOLD, Blame.MAPPING)
            self._keep(named, key, UNREADABLE_ROWS, {}, [finding], event)

    def hold_same_key(self, key: str, named: str, claimants: Sequence[SourceRecord]) -> None:
        hashes = sorted({claimant.source_hash for claimant in claimants})
        together = sha256("".join(hashes).encode()).hexdigest()
        events = [self._tally.read(claimant.record) for claimant in claimants]
        if self._is_held(named, together):
            self._steps[Step.UNCHANGED] += 1
            return
        finding = Finding(SAME_KEY, Severity.HOLD, Blame.SOURCE, field=self._feed.key, arguments=(str(len(hashes)),))
        self._keep(named, key, together, {"records": [claimant.record for claimant in claimants]}, [finding], events[0])

    def hold_vanished(self, key: str, named: str) -> None:
        """Only what the region has as a living document; what never left, or is void there, leaves nothing to say."""
        head = self._known.get(named)
        if head is None or not head.version or head.void or self._is_held(named, VANISHED):
            self._steps[Step.UNCHANGED] += 1
            return
        finding = Finding(VANISHED_KEY, Severity.HOLD, Blame.SOURCE, field=self._feed.key)
        self._keep(named, key, VANISHED, {}, [finding], self._tally.unreadable())

    def _is_held(self, named: str, source_hash: str) -> bool:
        """Already, with this very content, under these very rules."""
        head = self._known.get(named)
        return bool(head and head.held and head.source_hash == source_hash and head.digests == self._feed.digests)

    def _keep(
        self, named: str, key: str, source_hash: str, record: Record, findings: Sequence[Finding], event: Event
    ) -> None:
        self._tally.held(named, event, record, findings, first=named not in self._known)
        self._held_sets.add(named)
        self._held.append(
            Held(
                set_id=named,
                kind=self._feed.kind,
                institution=self._feed.institution,
                feed=self._feed.name,
                key=key,
                source_hash=source_hash,
                body=zstandard.ZstdCompressor(level=3).compress(_canonical(record)),
                findings=tuple(findings),
                digests=self._feed.digests,
                held_at=self._made_at,
            )
        )


def _met(one: Unmapped, keys: list[str]) -> Met:
    return Met(one.table, one.field, one.value_set, one.code, one.name, len(keys), tuple(keys[:3]))


def _undecided(decision: Decision) -> Finding:
    """Whether the record may leave cannot be told: a person has to look, whatever else is right with it."""
    return Finding(UNDECIDED, Severity.HOLD, Blame.MAPPING, field=decision.field, arguments=(decision.rule.name,))


def _canonical(record: Record) -> bytes:
    return msgspec.json.encode(record, order="sorted")
