"""One exchange over HTTP in values: what was asked, what is offered for keeping, how that ended, what is answered. No I/O.

Head ─ admit ─▶ body ─ read ─▶ Offered ─▶ kept (or not) ─ answer ─▶ Response
         └──────────────┴── refused ─────────────────────────────▶ Response
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from connectors.arrivals import Arrived


@dataclass(frozen=True)
class Head:
    """What is known of a request before its body. Names of headers are in small letters; `path` is unquoted."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    sender: str  # its address; with a certificate also the name in it
    secure: bool
    at: datetime

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        """The charset that Content-Type names, in small letters; empty where it names none."""
        for parameter in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                return value.strip().strip("\"'").lower()
        return ""


@dataclass(frozen=True)
class Request:
    """A whole request."""

    head: Head
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Response:
    """An answer. `why` says what was refused."""

    status: int
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    why: str = ""  # for our own log and counters: one sentence that quotes nothing; empty: nothing was refused


class Fate(StrEnum):
    """How the keeping of a message ended, for who has to answer its sender."""

    KEPT = "kept"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    UNWANTED = "unwanted"  # kept, but nothing here wants it and its inlet says so
    UNREADABLE = "unreadable"  # kept for a person, and refused with all reasons
    FULL = "full"  # nothing was kept: come again
    FAILED = "failed"  # nothing is known to be kept, by our own fault: come again


@dataclass(frozen=True)
class Ending:
    fate: Fate
    reasons: tuple[str, ...] = ()

    @property
    def is_accepted(self) -> bool:
        return self.fate in (Fate.KEPT, Fate.DUPLICATE)

    @property
    def is_transient(self) -> bool:
        """Sending it again later may help."""
        return self.fate in (Fate.FULL, Fate.FAILED)

    @property
    def told(self) -> tuple[str, ...]:
        """All reasons, for the sender. Empty where it was accepted."""
        return self.reasons or _REASONS[self.fate]


_REASONS: dict[Fate, tuple[str, ...]] = {
    Fate.KEPT: (),
    Fate.DUPLICATE: (),
    Fate.CONFLICT: ("a message of the same id with other content was received before; this one waits for a person",),
    Fate.UNWANTED: ("nothing here takes messages of this kind",),
    Fate.UNREADABLE: ("cannot be read; kept for a person",),
    Fate.FULL: ("nothing more can be kept now; send it again later",),
    Fate.FAILED: ("could not be kept by a fault of ours; send it again later",),
}


@dataclass(frozen=True)
class Offered:
    """A message, and how its sender is answered once it is known what became of it."""

    arrived: Arrived
    answer: Callable[[Ending], Response]


class Service(Protocol):
    """What answers at a path, without I/O. Neither step raises for anything that a sender can send."""

    name: str  # of its inlet
    largest: int  # bytes of a body

    def admit(self, head: Head) -> Response | None:
        """A refusal that needs no body: method, credentials, media type. None: go on."""

    def read(self, request: Request) -> Response | Offered:
        """A message to be kept, or an answer at once."""


RETRY_AFTER = "5"  # seconds, in every 503


def busy(body: bytes, media_type: str, why: str) -> Response:
    """503: nothing was kept, come again."""
    return Response(503, body, media_type, (("Retry-After", RETRY_AFTER),), why)


def plain(status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """A refusal for people: one line of text."""
    return Response(status, f"{text}\n".encode(), headers=headers, why=text)
