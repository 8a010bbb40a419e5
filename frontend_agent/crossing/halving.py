"""A parcel that the platform refused as a whole, at the outer half: halved there, where asking takes no ferry (law 7).

It is the same work as without a gap (sending.py), over the documents of one parcel instead of the spool's. What it learns is
carried in: the platform's signed replies about its parts, and which documents were refused alone while others were stored.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from frontend_agent.delivery import Event, SignedReply
from frontend_agent.errors import DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.model import Document, Outcome, Receipt
from frontend_agent.sending import send_out
from frontend_agent.spool import Delivery, Pause
from frontend_agent.wire.parcel import Index, assemble, unpack
from frontend_agent.wire.receipts import read_reply, receipts_from

Put = Callable[[bytes], tuple[int, bytes]]  # the body of a parcel ─▶ status and body of the answer
LATER = (408, 429, 502, 503, 504)
NOT_US = (401, 403, 404, 405, 407, 409, 415, 421, 424, 426)


class _Reply(msgspec.Struct, frozen=True):
    """As the platform sent it; what it proves is found out inside."""

    id: str
    body: bytes
    log_seq: int = 0
    log_hash: str = ""
    evidence: bytes = b""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `replies`: of the platform, as they came; documents by their ids."""

    replies: tuple[bytes, ...] = ()
    alone: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    problem: str = ""


class NotNow(Exception):
    """The platform went away in between: the parcel is put whole another time."""


def halve(parcel: bytes, key: bytes, put: Put, now: datetime) -> Found:
    """Find out what of a parcel is refused, and have the rest stored. NotNow: the platform does not answer any more."""
    one = _Parcel(parcel, key, put)
    send_out(one, one, now)
    if one.gone:
        raise NotNow(one.problem)
    return Found(replies=tuple(one.replies), alone=tuple(one.alone), suspects=tuple(one.suspects), problem=one.problem)


class _Parcel:
    """The documents of one parcel: whose they are, and where they go (sending.py: Deliveries and ReplyingDestination)."""

    name = "parcel"

    def __init__(self, body: bytes, key: bytes, put: Put) -> None:
        taken = unpack(body)
        self._index, self._key, self._put = taken.index, key, put
        self._entries = {entry.document_id: entry for entry in taken.index.documents}
        self._frames = dict(zip(self._entries, taken.frames, strict=True))
        self._fresh: list[SignedReply] = []
        self.replies: list[bytes] = []
        self.alone: list[str] = []
        self.suspects: list[str] = []
        self.problem = ""
        self.gone = False

    # --- where they go ------------------------------------------------------------------------------------------------

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]:
        entries = [self._entries[one.document_id] for one in documents]
        index: Index = msgspec.structs.replace(self._index, documents=entries)
        status, body = self._put(assemble(index, (self._frames[one.document_id] for one in documents)))
        if status in LATER:
            self.gone = True
            raise DestinationUnreachable(f"the platform answered {status}")
        if status in NOT_US or 300 <= status < 400:
            raise NotAllowed(f"the platform answered {status}")
        if status != 200:
            raise RefusedWhole(f"the platform answered {status}")
        reply = read_reply(body, self._key)
        self._fresh.append(_Reply(reply.id, body))
        return receipts_from(reply, documents)

    def take_replies(self) -> Sequence[SignedReply]:
        fresh, self._fresh = self._fresh, []
        return fresh

    # --- whose they are -----------------------------------------------------------------------------------------------

    def pause(self, destination: str, /) -> Pause:
        return Pause(destination)

    def claim(
        self, destination: str, limit: int, max_bytes: int, /, *, now: datetime, lease: timedelta
    ) -> Sequence[Delivery]:
        return [Delivery(self._document(name), 1, False) for name in self._entries]

    def _document(self, name: str) -> Document:
        entry = self._entries[name]
        return Document(
            document_id=entry.document_id,
            set_id=entry.set_id,
            version=entry.version,
            kind=entry.kind,
            institution=self._index.institution,
            feed="",
            key="",
            source_hash=entry.source_hash,
            sha256=entry.sha256,
            size=entry.size,
            frame=bytes(self._frames[name]),
            dictionary=entry.dictionary,
            made_at="",
        )

    def settle(
        self,
        destination: str,
        receipts: Sequence[Receipt],
        replies: Sequence[SignedReply],
        /,
        *,
        now: datetime,
        silent_last: bool,
    ) -> int:
        self.replies += [reply.body for reply in replies]
        return sum(receipt.outcome is not Outcome.UNANSWERED for receipt in receipts)

    def put_back(
        self,
        destination: str,
        documents: Sequence[str],
        event: Event | Outcome,
        /,
        *,
        now: datetime,
        problem: str = "",
        suspect: bool = False,
    ) -> int:
        if event is Event.STOOD_ALONE:
            self.alone += documents
            self.problem = problem.removeprefix("refused alone: ") or self.problem
        elif suspect:
            self.suspects += documents
        return len(documents)

    def last_stored(self, destination: str, /) -> Document | None:
        return None  # who is compared with is one of the same parcel

    def recovered(self, destination: str, /) -> None:
        pass

    def failed(self, destination: str, until: datetime, problem: str, blame: str, /, *, now: datetime) -> None:
        self.problem = problem
