"""The words of the pipe, as types. Nothing here does anything.

    extract ─▶ normalise ─▶ check ─▶ render ─▶ spool ─▶ push ─▶ acknowledge
    Row        Record       Finding  Document  Delivery         Receipt

A Record's values are text in the national format (`D8` = 20260930, `DT15` in CDA's 14 digits = 20260930081500,
decimals without exponent, booleans `true`/`false`, codes of the standard table). A value that is absent is a key that is
absent: never None, never an empty string. A repeated group is a list of such dictionaries.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

Row = tuple[Any, ...]
Group = list[dict[str, str]]
Record = dict[str, Any]  # field name -> str, group name -> Group; names starting with "fact." are never rendered

FACT = "fact."
AS_IS = "form=as-is"  # among the digests of a document that passed through as the hospital made it


class NotFetched(str):
    """In a row, in place of a file's bytes: why they could not be had. Quotes nothing of the path."""

    __slots__ = ()


class RowSet(msgspec.Struct, frozen=True):
    """What one query answered: the column aliases once, the rows as the driver gave them."""

    columns: tuple[str, ...]
    rows: Sequence[Row]


class SourceRows(msgspec.Struct, frozen=True):
    """The rows of some business keys: the parent query, every detail and every partner query, untouched."""

    parent: RowSet
    details: Mapping[str, RowSet]
    partners: Mapping[str, RowSet] = {}


class Watermark(msgspec.Struct, frozen=True):
    """How far a feed has been read: the cursor and the key of the last changed row taken, as text. Ties are broken by key."""

    cursor: str
    key: str


class Severity(StrEnum):
    """What a finding does. The region profile decides, never the table's cardinality (law 4)."""

    HOLD = "hold"
    WARN = "warn"
    NOTE = "note"


class Blame(StrEnum):
    """Law 7: every failure is exactly one of these."""

    SOURCE = "source data"
    MAPPING = "mapping"
    AGENT = "agent"
    NETWORK = "network"
    PLATFORM = "platform"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one rule has to say about one value. The sentence is made from the rule's texts when somebody reads it.

    `value` is masked before it is put here: a finding may be logged. `field` is the record's name for it
    (`items[3].unit` in a group, 0-based), `column` the source's.
    """

    rule: str
    severity: Severity
    blame: Blame = Blame.SOURCE
    field: str = ""
    data_element: str = ""
    column: str = ""
    value: str = ""
    arguments: tuple[str, ...] = ()


class Unmapped(msgspec.Struct, frozen=True):
    """A local code that its map does not have: what the worklist of the terminology counts. Never logged.

    `name` is what the hospital calls it, where the mapping knows a column for that.
    """

    table: str  # `demo_his/sex`
    field: str
    value_set: str
    code: str
    name: str = ""


class Awaited(msgspec.Struct, frozen=True):
    """A partner that has no row for a record yet: how long to wait for it, and what is said when that was in vain."""

    partner: str
    seconds: float
    finding: Finding


class SourceRecord(msgspec.Struct):
    """One final business record as the mapping made it, before checks.

    `source_hash` is over the source's own values (parent and details), so neither a touched timestamp nor a new code
    table makes a version (law 13). `findings` are what the conversion itself had to say (unmapped code, not a date).
    """

    key: str
    record: Record
    source_hash: str
    final: bool = True
    void: bool = False
    findings: list[Finding] = []
    columns: Mapping[str, str] = {}  # field name -> source column
    unmapped: Sequence[Unmapped] = ()
    awaited: list[Awaited] = []  # partners without a row
    unsaid: frozenset[str] = frozenset()  # missing for a reason that is told: nobody is told that they are missing


class Envelope(msgspec.Struct, frozen=True):
    """What the agent, not the hospital, says in a document's header."""

    document_id: str
    set_id: str
    version: int
    effective_time: str  # 14 digits: when the machine made the document
    replaces_id: str = ""  # the version before; empty for the first


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """The exact bytes we will send, and what identifies them. `frame` is their zstd frame (law 2)."""

    document_id: str
    set_id: str
    version: int
    kind: str
    institution: str
    feed: str
    key: str
    source_hash: str
    sha256: str  # hex, of the uncompressed bytes
    size: int  # uncompressed bytes
    frame: bytes
    dictionary: str  # hex sha256 of the zstd dictionary, "" for none
    made_at: str  # ISO 8601 UTC
    digests: str = ""  # digest of mapping, template, rules, profile and code tables together
    replaces_id: str = ""
    void: bool = False
    order_key: str = ""  # deliveries that share it are sent in order
    day: int = 0  # of the event, local, yyyymmdd: what it counts for; 0 when that is not known (yet)
    department: str = ""

    @property
    def as_is(self) -> bool:
        """The hospital's own finished document: checked and indexed, never rendered by us."""
        return AS_IS in self.digests.split()


class Held(msgspec.Struct, frozen=True):
    """A record that waits for a person, with every finding. Its body is the record (canonical JSON, zstd), not a document."""

    set_id: str
    kind: str
    institution: str
    feed: str
    key: str
    source_hash: str
    body: bytes
    findings: tuple[Finding, ...]
    digests: str
    held_at: str


class Withheld(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that is kept back by rule. Nothing of its content is kept: it is read again once the rule is lifted."""

    set_id: str
    kind: str
    institution: str
    feed: str
    key: str
    source_hash: str
    rule: str
    rule_digest: str
    field: str  # what told
    decided_by: str
    reason: str
    digests: str
    withheld_at: str
    others: tuple[str, ...] = ()  # the sets of its other editions: nothing of them may go on either


class SeriesHead(msgspec.Struct, frozen=True):
    """The newest we know of one set: version 0 means it has only ever been held.

    `source_hash` is of what was seen last; while that is held, `document_hash` is still that of the newest document.
    """

    set_id: str
    version: int
    source_hash: str
    document_id: str = ""
    held: bool = False
    void: bool = False
    digests: str = ""
    document_hash: str = ""  # empty: the same as source_hash


class Outcome(StrEnum):
    """How one document fared in one exchange. A value, not an exception."""

    STORED = "stored"  # proven: same SHA-256, stored before the answer
    DUPLICATE = "duplicate"  # proven: was there already
    ACCEPTED = "accepted"  # a foreign platform said yes, which proves no storage (law 5)
    REFUSED = "refused"  # the same bytes would be refused again: a person must look
    RETRY = "retry"  # the platform could not, and says so
    UNREACHABLE = "unreachable"  # nothing arrived
    UNANSWERED = "unanswered"  # it may have arrived


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the platform answered for one document, kept as it came."""

    document_id: str
    outcome: Outcome
    sha256: str = ""
    reasons: tuple[str, ...] = ()
    reply: str = ""  # id of the signed reply this receipt is a leaf of
    position: int = -1  # its leaf


class Destination(Protocol):
    """An edge to a system that takes documents."""

    name: str

    def send(self, documents: Sequence[Document]) -> Sequence[Receipt]: ...

    def probe(self) -> None:
        """Raise what would go wrong if we sent something now. Sends nothing."""
