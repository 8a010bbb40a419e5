"""Destinations that are not our platform: what every class of them is given, and what it has to be.

    Outlet       what the pipe asks of a destination
    Telling      besides: it can be asked what became of documents that it accepted
    Opened       one document with its bytes and the record in them
    Around       what an outlet is given beside its settings

An outlet is made like `RestOutlet(name, options, around)`. It opens no spool, and knows of no value what it means: which
value goes where is said by its settings. What an answer means is said by settings, too (`frontend_agent.answers`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from frontend_agent.delivery import SignedReply
from frontend_agent.errors import DestinationError
from frontend_agent.model import Document, Outcome, Receipt

LONGEST_ASKING = 60.0  # seconds of one `ask`, which goes on in the thread that sends: then it is the others' turn


class DocumentUnreadable(DestinationError):
    """The document cannot be opened, or not be read back as a record of its kind: what needs its values cannot be sent.

    It counts against this document alone; `each` makes a refusal of it."""


class OpenedDocument(msgspec.Struct, frozen=True):
    """One document as an outlet needs it."""

    document: Document
    content: bytes  # its bytes, uncompressed
    record: Mapping[
        str, Any
    ]  # read back from the content (law 12); empty for a hospital's own document that we cannot read
    kind_name: str  # 检验检查记录
    event_time: str = ""  # when it happened, 8 or 14 digits in the hospital's time; "" where the record does not say


Opened = Callable[[Document], OpenedDocument]  # raises DocumentUnreadable


class Feedback(msgspec.Struct, frozen=True):
    """What a destination says later of a document that it accepted: a line of a feedback file, the answer to a question."""

    document_id: str
    stored: bool
    reasons: tuple[str, ...] = ()  # of a rejection, all of them
    again: bool = False  # of a rejection: worth sending the same bytes once more (it was lost there, not refused)
    told_by: str = ""  # what said so, for who asks later: a file's name and digest, an address


class Memory(Protocol):
    """What must outlive a restart, by a name that begins with the destination's: a token's expiry, a number in order."""

    def get(self, name: str) -> str | None: ...

    def put(self, name: str, value: str) -> None: ...

    def drop(self, name: str) -> None: ...


@dataclass(frozen=True)
class Around:
    """What an outlet is given beside its settings."""

    opened: Opened
    secret: Callable[[str], str]  # a secret by its name; ConfigurationError where it is not to be found
    clock: Callable[[], datetime]
    timezone: str = "Asia/Shanghai"  # the hospital's
    institution: str = ""
    institution_name: str = ""
    memory: Memory = field(default_factory=lambda: Forgetful())
    # By document id: the hospital's own number of its patient, where registrations go first; else "".
    patient_of: Callable[[str], str] = lambda document_id: ""


class Forgetful:
    """A memory for who is only probed."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def put(self, name: str, value: str) -> None:
        self._values[name] = value

    def drop(self, name: str) -> None:
        self._values.pop(name, None)


class Outlet(Protocol):
    """An edge to a system that takes documents and is not ours.

    `at_once`: how many documents one request carries at most; 0: as many as it is given. With 1, an exception speaks of
    that one document, and what was answered before is settled already.
    """

    name: str
    at_once: int

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]:
        """One receipt per document: ACCEPTED, REFUSED with all reasons, RETRY, UNANSWERED. Never STORED or DUPLICATE
        unless the answer proves the same SHA-256.

        DestinationUnreachable: nothing arrived. NotAllowed: a person must act. RefusedWhole: the request was refused as one.
        """

    def take_replies(self) -> Sequence[SignedReply]:
        """The signed replies since the last call; a foreign platform signs nothing that we can prove."""

    def probe(self) -> None:
        """Raise what would go wrong if we sent something now. Sends nothing."""


class Telling(Outlet, Protocol):
    """An outlet that can be asked what became of what it accepted, or that finds feedback by itself."""

    @property
    def asks_every(self) -> timedelta | None:
        """How often `ask` is called; None: never, by its settings."""

    @property
    def asks_first(self) -> timedelta:
        """How long after it was accepted a document is asked for first."""

    @property
    def asks_until(self) -> timedelta:
        """How long after that it is asked for no more."""

    def ask(self, documents: Sequence[Document], /) -> Sequence[Feedback]:
        """What it says of these (accepted, the longest ago first), and of any others. Silence is no answer.

        It ends after LONGEST_ASKING; who was not asked by then stands in `not_asked`, where an outlet has that. Raises what `send` raises."""

    def heard(self, told_by: str, /) -> None:
        """What came with this `told_by` is kept now: a file of feedback may be moved away."""


def each(documents: Sequence[Document], send_one: Callable[[Document], Receipt]) -> Iterator[Receipt]:
    """For an outlet that sends one document per request. A document that cannot be read is refused, and the next goes on."""
    for document in documents:
        try:
            yield send_one(document)
        except DocumentUnreadable as error:
            yield Receipt(document.document_id, Outcome.REFUSED, reasons=(str(error),))


def all_of(documents: Sequence[Document], outcome: Outcome, *reasons: str) -> list[Receipt]:
    """The same answer for all of them."""
    return [Receipt(document.document_id, outcome, reasons=reasons) for document in documents]
