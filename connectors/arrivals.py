"""What comes in by itself: the one shape that every listener and every fetcher hands over, before anyone understood it.

listener or fetcher ─▶ Arrived ─▶ keep (durable) ─▶ only then is it acknowledged
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec


class Arrived(msgspec.Struct, frozen=True):
    """One message as it came, without the frame of its protocol."""

    inlet: str  # the name of its table in agent.toml
    body: bytes
    received_at: datetime
    control_id: str = ""  # MSH-10, a message's id, a file's name and digest; "" where the sender gives none
    sender: str = ""  # address, name in a certificate, path: who to ask
    about: str = ""  # in the words of its protocol: `ORU^R01`, `DocumentRegister`, `lis/results`
    mark: str = ""  # of a fetcher: how far it has got with this message
    unreadable: tuple[str, ...] = ()  # why nobody can read it, all reasons: kept for a person, and answered so already


class Kept(StrEnum):
    """What became of a message that was handed over."""

    KEPT = "kept"
    DUPLICATE = "duplicate"  # the same id with the same bytes is there already: acknowledged again, no second effect
    CONFLICT = "conflict"  # the same id with other bytes: kept for a person, acknowledged as refused


class InboxFull(Exception):
    """Nothing more can be kept now, and nothing was: the sender is asked to come again."""


class Keep(Protocol):
    """Hands messages over. The future is done when they are on disk; InboxFull is its exception when they cannot be."""

    def __call__(self, arrived: Sequence[Arrived], /) -> "Future[list[Kept]]": ...


Judge = Callable[[bytes], Sequence[str]]  # all reasons why a body cannot be read; quick, and they quote nothing

Tap = Callable[[str, str, bytes, str], None]  # inlet, sender, the bytes, "received" | "answered": for who looks on


class Inlet(Protocol):
    """An edge where messages come in: a listener, or a fetcher that asks every so often."""

    name: str

    def start(self) -> None:
        """Begin in a thread of its own. Raises what is wrong: a port that is taken, a file that cannot be read."""

    def stop(self, patience: float) -> None:
        """Take no more; answer what is under way for at most so many seconds."""

    def probe(self) -> None:
        """Raise what would go wrong if it began now, without beginning."""

    def told(self) -> dict[str, Any]:
        """How it stands, in plain values: address, connections, messages, refusals, since when, last problem."""
