"""Carry one batch of rows into the spool.

    normalise ─▶ compare with what we know ─▶ check ─▶ complete ─▶ render ─▶ compress ─▶ commit

Everything before the commit takes values and returns values; the commit is all or nothing. One record's fault is that
record's alone: it is held with its findings, and its neighbours go on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import Enum, auto
from hashlib import sha256
from typing import NamedTuple, Protocol

import msgspec
import zstandard

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
)
from frontend_agent.spool import Met, Skipped, Spool, Taken

# Findings of the machine itself. Texts for operators are in the catalogue of the checks.
UNREADABLE_ROWS = "AGT001"  # the mapping could not read these rows
FAILED_ON_RECORD = "AGT002"  # checking or rendering this record failed
SAME_KEY = "AGT003"  # two different records of one batch claim the same key

_AT_ONCE = 50  # documents rendered before they are compressed

Heads = Callable[[Sequence[str]], Mapping[str, SeriesHead]]


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
    complete: Callable[[Record], tuple[Record, Sequence[Finding]]]  # lawful absence, and the notes about it (law 3)
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


class Spooling(Protocol):
    """What taking in needs of the spool."""

    def series(self, set_ids: Iterable[str], /) -> Mapping[str, SeriesHead]: ...
    def unsure(self, set_ids: Sequence[str], /) -> Sequence[str]: ...
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
    lap: Callable[[str], None] = _no_lap,
) -> Taken:
    """Carry one batch of rows into the spool. Either all of it is kept and the watermark moves, or neither.

    `heads` asks the platform for version heads that a lost state does not know; without it what we have is taken as it is.
    `asked` are the keys that were to be read again: those that the source no longer has are put back before a person.
    `lap` is told the name of each step as it ends. Returns what was committed.
    """
    read = read_rows(feed, rows)
    lap("normalise")
    known = what_is_known(spool, heads, feed, [*read.keys(), *asked])
    taken = prepare(feed, read, watermark, known, now, asked=asked, lap=lap)
    spool.commit(taken)
    lap("commit")
    return taken


def prepare(
    feed: FeedPlan,
    read: "Read",
    watermark: Watermark | None,
    known: "Known",
    now: datetime,
    *,
    asked: Sequence[str] = (),
    lap: Callable[[str], None] = _no_lap,
) -> Taken:
    """Everything between reading and the commit, without touching anything: it may as well happen in another process."""
    sets = {key: set_id(feed.institution, feed.epoch, feed.kind, key) for key in (*read.keys(), *asked)}
    batch = _Batch(feed, now, known.heads)
    for record in _one_per_key(read.records, batch, sets):
        batch.decide(record, sets[record.key])
    for key in read.unreadable:
        batch.hold_unreadable(key, sets[key])
    lap("compare")
    batch.check()
    lap("check")
    for few in batch.in_parts():
        made = batch.render(few)
        lap("render")
        batch.compress(made)
        lap("compress")
    present = read.keys()
    return batch.taken(watermark, known.learned, [sets[key] for key in asked if key not in present])


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
            records += feed.normalise(SourceRows(RowSet(rows.parent.columns, parent), alone))
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


def what_is_known(spool: Spool | Spooling, heads: Heads | None, feed: FeedPlan, keys: Iterable[str]) -> Known:
    """The version heads of these keys: ours, and the platform's where a lost state does not know."""
    key_of = {set_id(feed.institution, feed.epoch, feed.kind, key): key for key in keys}
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
    return Known(known, learned)


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


@dataclass
class _Making:
    """A record on its way to become a document."""

    source: SourceRecord
    set_id: str
    head: SeriesHead | None
    event: Event
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

    def __init__(self, feed: FeedPlan, now: datetime, known: Mapping[str, SeriesHead]) -> None:
        self._feed = feed
        self._now = now
        self._made_at = now.astimezone(UTC).isoformat(timespec="milliseconds")
        self._known = known
        self._making: list[_Making] = []
        self._documents: list[Document] = []
        self._findings: dict[str, tuple[Finding, ...]] = {}
        self._held: list[Held] = []
        self._closed: list[str] = []
        self._unheld: list[str] = []
        self._steps = dict.fromkeys(Step, 0)
        self._unmapped: dict[tuple[str, str, str], tuple[Unmapped, list[str]]] = {}
        self._tally = Tally(feed.measures, now, feed.timezone)

    def decide(self, source: SourceRecord, named: str) -> None:
        head = self._known.get(named)
        step = next_step(head, source, self._feed.digests)
        self._steps[step] += 1
        event = self._tally.read(source.record)
        if step is Step.MAKE:
            self._making.append(_Making(source, named, head, event))
            self._count_unmapped(source)
        elif head and head.held and step in (Step.RETURNED, Step.WITHDRAWN):
            self._closed.append(named)
            self._unheld.append(named)

    def check(self) -> None:
        """Every rule, to the end (law 4); then what may lawfully be absent is written the lawful way."""
        going_on = []
        check, complete = self._feed.check, self._feed.complete
        for making in self._making:
            source = making.source
            try:
                making.findings = [*source.findings, *check(source.record, source.columns, source.findings)]
                making.record, notes = complete(source.record)
                making.findings += notes
            except Exception as error:  # noqa: BLE001  one record's fault is its own
                making.findings = [*source.findings, _failed(error)]
                self._hold(making)
                continue
            # A void version tells the region that something it has is not so. That must not wait for a better record:
            # what can be rendered is sent, its findings with it.
            if not source.void and any(finding.severity is Severity.HOLD for finding in making.findings):
                self._hold(making)
            else:
                going_on.append(making)
        self._making = going_on

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
                content = self._feed.render(making.record, envelope)
            except Exception as error:  # noqa: BLE001  as above: it is held with what is known, its neighbours go on
                making.findings.append(_failed(error))
                self._hold(making)
                continue
            made.append((making, content))
        return made

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
            self._documents.append(document)
            if making.findings:
                self._findings[document.document_id] = tuple(making.findings)
            before = bool(making.head and making.head.held)
            if before:
                self._closed.append(making.set_id)
            self._tally.document(
                document.document_id,
                making.event,
                making.source.record,
                making.findings,
                version=making.version,
                void=making.source.void,
                held=before,
            )

    def taken(self, watermark: Watermark | None, learned: list[tuple[str, SeriesHead]], not_found: list[str]) -> Taken:
        return Taken(
            feed=self._feed.name,
            kind=self._feed.kind,
            institution=self._feed.institution,
            digests=self._feed.digests,
            at=self._now,
            destinations=self._feed.destinations,
            documents=self._documents,
            findings=self._findings,
            held=self._held,
            closed=self._closed,
            unheld=self._unheld,
            learned=learned,
            not_found=not_found,
            skipped=Skipped(
                unchanged=self._steps[Step.UNCHANGED],
                not_final=self._steps[Step.NOT_FINAL],
                withdrawn=self._steps[Step.WITHDRAWN],
                returned=self._steps[Step.RETURNED],
            ),
            watermark=watermark,
            urgency=self._feed.urgency,
            unmapped=[_met(*found) for found in self._unmapped.values()],
            terms=self._feed.terms,
            figures=self._tally.figures(),
        )

    def _count_unmapped(self, source: SourceRecord) -> None:
        """A record counts once for a code, however many of its rows have it."""
        for what, one in {(one.table, one.field, one.code): one for one in source.unmapped}.items():
            self._unmapped.setdefault(what, (one, []))[1].append(source.key)

    # --- holding ------------------------------------------------------------------------------------------------------

    def _hold(self, making: _Making) -> None:
        source = making.source
        self._keep(making.set_id, source.key, source.source_hash, source.record, making.findings, making.event)

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

    def _is_held(self, named: str, source_hash: str) -> bool:
        """Already, with this very content, under these very rules."""
        head = self._known.get(named)
        return bool(head and head.held and head.source_hash == source_hash and head.digests == self._feed.digests)

    def _keep(
        self, named: str, key: str, source_hash: str, record: Record, findings: Sequence[Finding], event: Event
    ) -> None:
        self._tally.held(named, event, record, findings, first=named not in self._known)
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


def _failed(error: Exception) -> Finding:
    """What is known of a failure without its text, which may quote the patient: the kind of error, and the field."""
    place = getattr(error, "field", "")
    return Finding(
        FAILED_ON_RECORD,
        Severity.HOLD,
        Blame.AGENT,
        field=place if isinstance(place, str) else "",
        arguments=(type(error).__name__,),
    )


def _canonical(record: Record) -> bytes:
    return msgspec.json.encode(record, order="sorted")
