"""What goes into the spool and what comes out, as values."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from frontend_agent.delivery import State
from frontend_agent.measuring import Figures
from frontend_agent.model import Document, Finding, Held, SeriesHead, Watermark, Withheld
from frontend_agent.registrations import Names
from frontend_agent.visits import Seen


class Skipped(msgspec.Struct, frozen=True):
    """Records of a batch that made neither a document nor a held record, and why."""

    unchanged: int = 0  # the same content was taken before
    not_final: int = 0  # its turn comes when it is
    withdrawn: int = 0  # void, and nothing of it was ever sent
    returned: int = 0  # was held, and is again what was delivered
    waiting: int = 0  # for a partner's row
    closed: int = 0  # new or changed, but of a closed month: not sent again


class Awaiting(msgspec.Struct, frozen=True):
    """A record whose partner has no row yet. Neither sent nor held: it is looked for again at `due_at`, at last at `until`."""

    set_id: str
    key: str
    since: datetime
    until: datetime
    due_at: datetime
    attempts: int
    partners: tuple[str, ...]


class Met(msgspec.Struct, frozen=True):
    """A local code that a batch met and its map does not have: how many records, and up to three of their keys."""

    table: str
    field: str
    value_set: str
    code: str
    name: str
    count: int
    keys: tuple[str, ...]


class Shadowed(msgspec.Struct, frozen=True):
    """How many records of a batch would fare so under the pack in shadow; with a rule and field: for this reason."""

    verdict: str
    rule: str
    field: str
    n: int
    example: str  # a business key


class Beside(msgspec.Struct, frozen=True):
    """Documents of another edition of the same records, for destinations of their own."""

    destinations: tuple[str, ...]
    documents: Sequence[Document]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a feed has been found, beside its watermark."""

    bearings: str = ""  # what the last whole run leaves for the next: of the source's making, kept as it is
    seen: Sequence[tuple[str, bytes]] = ()  # keys that were met, each with the mark of its content
    walk: int = 0  # in which walk over all keys
    walked: bool = False  # that walk is over
    complete: bool = False  # it meets every key there is: what it did not meet is gone
    settled: Sequence[str] = ()  # keys that were missed, and are not any more: they are there, or held


class Doubt(msgspec.Struct, frozen=True):
    """A key that should be at the source and was not met there."""

    key: str
    why: str  # compare, changes, asked …
    since: datetime


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """A feed that stands still because too many keys are gone at once; `accepted_by` says that they are gone indeed."""

    count: int
    at: datetime
    accepted_by: str = ""


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """How far a backfill is once a page is taken. `reached`: all before it is done; `at`: the last row taken beyond that."""

    backfill: int
    reached: str
    at: Watermark | None = None
    keys: int = 0
    seconds: float = 0.0  # of work
    done: bool = False


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed has made of messages, beside its watermark, which is the number of the last one."""

    inlet: str
    feeds: tuple[str, ...]  # all that read that inlet: what none of them wanted is unwanted
    keys: Sequence[tuple[str, int]] = ()  # business keys, each with the message that speaks of it
    unreadable: Sequence[tuple[int, tuple[str, ...]]] = ()  # messages that it could not read, with all reasons
    again: Sequence[int] = ()  # those of all that had been read before, and had their turn once more


class Message(msgspec.Struct, frozen=True):
    """One message of the inbox, as it came."""

    id: int
    body: bytes
    received_at: datetime


class KeptMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one message. `problem`: why it waits for a person."""

    id: int
    inlet: str
    control_id: str
    sha256: str
    size: int
    received_at: datetime
    sender: str
    about: str
    state: str  # new, taken, unwanted, unreadable, conflict, discarded
    refused: bool  # it was not acknowledged
    problem: tuple[str, ...]
    is_here: bool  # its bytes are kept yet


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """All that one batch comes to. It is committed whole, or not at all (law 1)."""

    feed: str
    kind: str
    institution: str
    digests: str
    at: datetime
    destinations: tuple[str, ...]
    documents: Sequence[Document] = ()
    beside: Sequence[Beside] = ()
    findings: Mapping[str, tuple[Finding, ...]] = {}  # document id -> what was noted and not held
    held: Sequence[Held] = ()
    withheld: Sequence[Withheld] = ()
    closed: Sequence[str] = ()  # sets whose held record is overtaken
    unheld: Sequence[str] = ()  # those of them whose newest document is the newest content again
    learned: Sequence[tuple[str, SeriesHead]] = ()  # (key, head) as the platform knows it
    shadow: Sequence[Shadowed] = ()
    shadow_pack: str = ""
    looked: Sequence[str] = ()  # sets that were to be looked at again, and have not changed
    not_found: Sequence[str] = ()  # sets that were to be read again and are not at the source
    doubted: Sequence[str] = ()  # keys of ours that should be at the source and are not
    doubted_by: str = ""
    not_final: Sequence[str] = ()  # sets that were to be read again and are not final there (any more)
    skipped: Skipped = Skipped()
    waiting: Sequence[Awaiting] = ()  # records without their partner's row
    visits: Sequence[Seen] = ()  # what final records say of their visits
    arrived: Sequence[str] = ()  # sets that wait no longer: their partner came, or their time is over
    watermark: Watermark | None = None
    progress: Progress | None = None
    mark: str = ""  # whose watermark it is, where that is not the feed's own (a partner's)
    walked: Walked | None = None  # of a backfill's page
    urgency: int = 0
    unmapped: Sequence[Met] = ()
    terms: int = 0  # the newest decision about local codes that the batch was made with
    figures: Figures | None = None  # what it adds to the statistics
    asked: Sequence[str] = ()  # sets that were asked for by key: they have had their turn
    heard: Heard | None = None  # the messages that it comes from
    names: Mapping[str, Names] = {}  # document id -> the registrations that it names, or is
    register_first: Mapping[str, tuple[str, ...]] = {}  # destinations where these go first: their classes, () for all


class Delivery(msgspec.Struct, frozen=True):
    """One claimed document."""

    document: Document
    attempts: int
    suspect: bool = False  # a request that carried it, with nothing proven beside it, was refused whole


class Pause(msgspec.Struct, frozen=True):
    """How a destination fares."""

    name: str
    failures: int = 0
    due_at: datetime | None = None  # left alone until then
    problem: str = ""
    blame: str = ""
    since: datetime | None = None
    stored_at: datetime | None = None  # when it last proved that it stored something


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """What waits for a person: a held record, or a document that a destination did not take.

    `id` is `Q…` for a record and `D…@destination` for a delivery.
    """

    id: str
    state: str  # open, released; refused, blocked, damaged
    set_id: str
    kind: str
    institution: str
    feed: str
    key: str
    source_hash: str
    digests: str
    since: datetime
    log: int
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
    document_id: str = ""
    destination: str = ""
    note: str = ""


class KeptBack(msgspec.Struct, frozen=True):
    """A record that is withheld by rule, as the spool keeps it.

    `reached` is the newest version that a destination has, or may have (it was on its way): a region that keeps what
    would now be withheld must be told by a person, who says so with `acknowledged_by`.
    """

    id: str
    state: str  # open, lifted, superseded
    set_id: str
    kind: str
    institution: str
    feed: str
    key: str
    source_hash: str
    rule: str
    field: str
    decided_by: str
    reason: str
    since: datetime
    reached: int
    log: int
    digests: str
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    note: str = ""

    @property
    def is_alarm(self) -> bool:
        """Whether a person has to tell the region."""
        return self.reached > 0 and not self.acknowledged_by


class Group(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that waits for a person for one cause: records held by a rule (`G…`), or documents refused alike (`S…`)."""

    id: str
    feed: str
    kind: str
    count: int
    example: str  # its oldest case
    since: datetime
    rule: str = ""
    field: str = ""
    column: str = ""
    value: str = ""  # of a finding about a code: the local code, masked
    released: int = 0  # of them, being read again
    finding: Finding | None = None  # the example's
    destination: str = ""
    state: str = ""
    reasons: tuple[str, ...] = ()


class Release(msgspec.Struct, frozen=True):
    """A person let held records be read again. `asked`: the groups or cases that were named."""

    id: int
    at: datetime
    who: str
    asked: tuple[str, ...]
    cases: int


class Became(msgspec.Struct, frozen=True):
    """What became of a release's records: each is counted once."""

    release: Release
    waiting: int  # still to be read again
    documents: int
    delivered: int  # of the documents
    accepted: int  # of the documents: by foreign platforms, which proves nothing
    stuck: int  # of the documents: a destination did not take them
    held: int  # held again
    unchanged: int  # back to what was delivered before, or withdrawn at the source
    discarded: int
    returned: Mapping[str, int]  # put back before a person, by reason: not at the source any more, not final
    held_by: Mapping[str, int]  # group -> how many of the held again wait for it; one record may wait for several


class AwaitedRegistration(msgspec.Struct, frozen=True):
    """A registration that one document waits for at one destination."""

    registration: str  # `patient:0012345`
    since: datetime


class TracedDelivery(msgspec.Struct, frozen=True):
    """One document's journey to one destination, and the signed reply that proves its end."""

    destination: str
    state: State
    attempts: int
    due_at: datetime | None
    claimed_at: datetime | None
    settled_at: datetime | None
    outcome: str
    reasons: tuple[str, ...]
    reply: str
    position: int
    reply_body: bytes = b""
    waits_for: tuple[AwaitedRegistration, ...] = ()


class Trace(msgspec.Struct, frozen=True):
    """One document, from its source row to its receipts."""

    document_id: str
    set_id: str
    version: int
    newest_version: int
    feed: str
    kind: str
    institution: str
    key: str
    source_hash: str
    sha256: str
    size: int
    length: int
    dictionary: str
    digests: str
    made_at: datetime
    replaces_id: str
    void: bool
    findings: tuple[Finding, ...]
    log: int
    kept: bool  # its bytes are still here
    deliveries: tuple[TracedDelivery, ...]
    withheld: tuple[KeptBack, ...] = ()  # newer content of the record that was kept back


class KeptReceipt(msgspec.Struct, frozen=True):
    """A receipt as the spool keeps it."""

    row: int  # its place: ask on from here
    document_id: str
    destination: str
    outcome: str
    sha256: str
    reasons: tuple[str, ...]
    reply: str
    position: int
    settled_at: datetime
    state: State


class Run(msgspec.Struct, frozen=True):
    """One run of a feed."""

    feed: str
    started_at: datetime
    ended_at: datetime
    counts: dict[str, int]
    problem: str = ""


class Counts(msgspec.Struct, frozen=True):
    """What is in the spool, without a scan."""

    documents: int
    held: int
    withheld: int  # records kept back by rule
    alarms: int  # those of them of which a destination has a version, until a person says that it was told
    deliveries: Mapping[str, Mapping[str, int]]  # destination -> state -> number
    feeds: Mapping[str, Mapping[str, int]]  # feed -> records, documents, held, unchanged, …
    visits_with_findings: int
    waiting: Mapping[str, int]  # feed -> records that wait for a partner now
    bytes_used: int


class UnmappedCode(msgspec.Struct, frozen=True):
    """One line of the worklist: a local code that no map has. Examples are `feed:key`."""

    table: str
    code: str
    name: str
    value_set: str
    count: int
    feeds: tuple[str, ...]
    fields: tuple[str, ...]
    examples: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    rejected_by: str = ""
    reason: str = ""


class Decision(msgspec.Struct, frozen=True):
    """What a person says of one local code: its standard code, or that it has none (`target` empty)."""

    table: str
    code: str
    target: str
    reason: str
    who: str = ""  # where it is not who enters it


class Standing(msgspec.Struct, frozen=True):
    """What stands for one local code: approved with a target, or rejected."""

    state: str
    target: str
    who: str
    reason: str
    at: datetime


class Decided(msgspec.Struct, frozen=True):
    """One line of the history. `action`: approved, rejected, undone; `log` is its entry in the chained log."""

    id: int
    table: str
    code: str
    action: str
    target: str
    who: str
    reason: str
    at: datetime
    log: int
    undone: bool


class Released(msgspec.Struct, frozen=True):
    """What decisions came to: the revision of the maps, how many held records go back in line, of which feeds."""

    revision: int
    cases: int
    feeds: tuple[str, ...]


class JudgedVisit(msgspec.Struct, frozen=True):
    """A visit as it stands: open until it has been judged. Documents are (kind, state, set)."""

    institution: str
    name: str
    opened_at: datetime
    due_at: datetime | None
    judged_at: datetime | None
    documents: tuple[tuple[str, str, str], ...]
    findings: tuple[Finding, ...]


class ClosedMonth(msgspec.Struct, frozen=True):
    """One act about a month (`2026-10`): closed or opened, by whom and why; and how the month stands now."""

    month: str
    action: str  # closed, opened
    who: str
    reason: str
    at: datetime
    log: int
    closed: bool  # as it stands now, whatever this act was
    late: int  # documents that were made of it while it was closed
    last_late_at: datetime | None


class Silent(msgspec.Struct, frozen=True):
    """An alarm about a feed: nothing new came since `since`, told at `at`, over at `ended_at`."""

    feed: str
    since: datetime
    at: datetime
    ended_at: datetime | None


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """One backfill: what was asked for, how far it is, what came of it. Bounds are texts on its axis: time, number, text."""

    id: int
    feed: str
    axis: str
    low: str
    high: str
    rate: float  # rows a second; 0: as fast as it goes
    windows: tuple[str, ...]  # local hours in which it works; none: always
    state: str  # running, stopped, done
    who: str
    closed: str  # why documents of closed months may be sent again; empty: they may not
    expected: int  # rows, as it was planned; 0: nobody knows
    begun_at: datetime
    ended_at: datetime | None
    reached: str
    at: Watermark | None
    keys: int
    documents: int
    unchanged: int
    held: int
    refused: int  # of closed months
    others: int  # not final, withheld, waiting for a partner …
    bytes: int  # of frames
    worked: float  # seconds
    problem: str


class SourcePause(msgspec.Struct, frozen=True):
    """A source was to be left alone: by whose word, and until when. `until` None: until somebody resumes it."""

    source: str
    since: datetime
    until: datetime | None
    who: str
    reason: str
    ended_at: datetime | None = None
    ended_by: str = ""
