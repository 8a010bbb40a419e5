"""Small real parts for the tests of the pipe: documents, feeds, and a platform that can be made to misbehave."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import msgspec
import zstandard

from frontend_agent.errors import DestinationUnreachable, RefusedWhole
from frontend_agent.identity import document_id, set_id
from frontend_agent.intake import FeedPlan
from frontend_agent.model import (
    Document,
    Envelope,
    Finding,
    Held,
    Outcome,
    Receipt,
    Record,
    RowSet,
    Severity,
    SourceRecord,
    SourceRows,
)
from frontend_agent.spool import Spool, Taken

NOW = datetime(2026, 9, 30, 8, 15, tzinfo=UTC)
INSTITUTION = "330100-H1"
KIND = "C0007"
FEED = "lab_report"


def later(**span: float) -> datetime:
    return NOW + timedelta(**span)


def content(key: str, version: int = 1, size: int = 400) -> bytes:
    return f"<document key='{key}' version='{version}'>".encode().ljust(size, b".")


def document(
    key: str, version: int = 1, *, size: int = 400, frame: bytes | None = None, order_key: str = ""
) -> Document:
    whole = content(key, version, size)
    named = set_id(INSTITUTION, "1", KIND, key)
    return Document(
        document_id=document_id(named, version),
        set_id=named,
        version=version,
        kind=KIND,
        institution=INSTITUTION,
        feed=FEED,
        key=key,
        source_hash=sha256(f"{key}/{version}".encode()).hexdigest(),
        sha256=sha256(whole).hexdigest(),
        size=len(whole),
        frame=frame if frame is not None else zstandard.compress(whole, 1),
        dictionary="",
        made_at=NOW.isoformat(),
        digests="digests-1",
        replaces_id=document_id(named, version - 1) if version > 1 else "",
        order_key=order_key or named,
    )


def id_of(key: str, version: int = 1) -> str:
    return document_id(set_id(INSTITUTION, "1", KIND, key), version)


def held(key: str, *findings: Finding, source_hash: str = "") -> Held:
    return Held(
        set_id=set_id(INSTITUTION, "1", KIND, key),
        kind=KIND,
        institution=INSTITUTION,
        feed=FEED,
        key=key,
        source_hash=source_hash or sha256(key.encode()).hexdigest(),
        body=zstandard.compress(b'{"patient.name":"x"}'),
        findings=findings or (Finding("TST001", Severity.HOLD, field="patient.name"),),
        digests="digests-1",
        held_at=NOW.isoformat(),
    )


def taken(*documents: Document, destinations: tuple[str, ...] = ("platform",), **more: object) -> Taken:
    return Taken(
        feed=FEED,
        kind=KIND,
        institution=INSTITUTION,
        digests="digests-1",
        at=NOW,
        destinations=destinations,
        documents=documents,
        **more,  # type: ignore[arg-type]
    )


def fill(spool: Spool, keys: Iterable[str], destinations: tuple[str, ...] = ("platform",)) -> list[str]:
    documents = [document(key) for key in keys]
    spool.commit(taken(*documents, destinations=destinations))
    return [made.document_id for made in documents]


# --- a feed over rows of (key, value, flags) --------------------------------------------------------------------------

COLUMNS = ("report_number", "value", "flags")


def rows(*given: tuple[str, str] | tuple[str, str, str]) -> SourceRows:
    return SourceRows(RowSet(COLUMNS, [row if len(row) == 3 else (*row, "") for row in given]), {})


def normalise(source: SourceRows) -> list[SourceRecord]:
    records = []
    for key, value, flags in source.parent.rows:
        if value == "unreadable":
            raise ValueError(f"the mapping quotes patient {value}")
        records.append(
            SourceRecord(
                key=key,
                record={"report_number": key, "value": value},
                source_hash=sha256(f"{key}={value}".encode()).hexdigest(),
                final="open" not in flags,
                void="void" in flags,
                columns={"value": "lab.value"},
            )
        )
    return records


def check(record: Record, columns: object, told: object = ()) -> list[Finding]:
    value = record["value"]
    if value == "check fails":
        raise KeyError("张三")
    if value.startswith("bad"):
        return [Finding("TST001", Severity.HOLD, field="value", column="lab.value")]
    if value.startswith("odd"):
        return [Finding("TST002", Severity.WARN, field="value", column="lab.value")]
    return []


def complete(record: Record) -> tuple[Record, list[Finding]]:
    if record["value"] == "nothing":
        return {**record, "history": "无"}, [Finding("TST003", Severity.NOTE, field="history")]
    return record, []


def render(record: Record, envelope: Envelope) -> bytes:
    if record["value"] == "render fails":
        raise RuntimeError("张三 cannot be rendered")
    return f"<d id='{envelope.document_id}' at='{envelope.effective_time}'>{record}</d>".encode()


def feed(**changes: object) -> FeedPlan:
    plan: dict[str, object] = {
        "name": FEED,
        "institution": INSTITUTION,
        "epoch": "1",
        "kind": KIND,
        "key": "report_number",
        "timezone": ZoneInfo("Asia/Shanghai"),
        "normalise": normalise,
        "check": check,
        "complete": complete,
        "render": render,
        "compress": zstandard.ZstdCompressor(level=1).compress,
        "dictionary": "",
        "digests": "digests-1",
        "destinations": ("platform",),
    }
    return FeedPlan(**(plan | changes))  # type: ignore[arg-type]


# --- a platform -------------------------------------------------------------------------------------------------------


class SignedReply(msgspec.Struct, frozen=True):
    """A signed answer, as a destination hands it over."""

    id: str
    body: bytes
    log_seq: int = 0
    log_hash: str = ""
    evidence: bytes = b""


class FakePlatform:
    """Stores by (set, version, hash), as law 6 says; and refuses, hangs, answers nonsense or cuts off when told to."""

    def __init__(self, name: str = "platform") -> None:
        self.name = name
        self.stored: dict[str, str] = {}  # document id -> sha256
        self.received: list[str] = []  # in order, once per storing
        self.requests: list[list[str]] = []
        self.second_effects: list[str] = []
        self.refused: dict[str, str] = {}  # by name, with a reason
        self.poison: set[str] = set()  # whatever request carries one is answered 500
        self.asks_for_time: set[str] = set()
        self.trouble: Callable[[Sequence[Document]], None] | None = None  # may raise before anything is stored
        self.cuts_after_commit = 0  # so many requests are stored and never answered
        self.forgets = 0  # so many requests are answered without a word about their first document
        self.lies_about_hashes = False
        self._replies: list[SignedReply] = []
        self.countersigns: tuple[int, str] | None = None

    def send(self, documents: Sequence[Document]) -> Sequence[Receipt]:
        self.requests.append([made.document_id for made in documents])
        if self.trouble:
            self.trouble(documents)
        if self.poison.intersection(made.document_id for made in documents):
            raise RefusedWhole("500 Internal Server Error")
        reply = f"reply-{len(self.requests)}"
        receipts = [self._take(made, reply, place) for place, made in enumerate(documents)]
        if self.cuts_after_commit:
            self.cuts_after_commit -= 1
            return [Receipt(document_id=made.document_id, outcome=Outcome.UNANSWERED) for made in documents]
        seq, digest = self.countersigns or (0, "")
        self._replies.append(SignedReply(reply, f"signed {reply}".encode(), seq, digest, b"evidence"))
        if self.forgets:
            self.forgets -= 1
            return receipts[1:]
        return receipts

    def _take(self, made: Document, reply: str, place: int) -> Receipt:
        if made.document_id in self.refused:
            return Receipt(
                made.document_id, Outcome.REFUSED, made.sha256, (self.refused[made.document_id],), reply, place
            )
        if made.document_id in self.asks_for_time:
            return Receipt(made.document_id, Outcome.RETRY, made.sha256, ("busy",), reply, place)
        known = self.stored.get(made.document_id)
        digest = "00" * 32 if self.lies_about_hashes else made.sha256
        if known == made.sha256:
            return Receipt(made.document_id, Outcome.DUPLICATE, digest, (), reply, place)
        if known is not None:
            self.second_effects.append(made.document_id)
            return Receipt(made.document_id, Outcome.REFUSED, made.sha256, ("other bytes under this id",), reply, place)
        self.stored[made.document_id] = made.sha256
        self.received.append(made.document_id)
        return Receipt(made.document_id, Outcome.STORED, digest, (), reply, place)

    def take_replies(self) -> Sequence[SignedReply]:
        replies, self._replies = self._replies, []
        return replies

    def probe(self) -> None:
        pass

    def goes_down(self, error: Exception | None = None) -> None:
        problem = error or DestinationUnreachable("connection refused")

        def fail(_: Sequence[Document]) -> None:
            raise problem

        self.trouble = fail

    def comes_back(self) -> None:
        self.trouble = None
