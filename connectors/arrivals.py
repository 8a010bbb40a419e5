"""What comes in by itself: the one shape that every listener and every fetcher hands over, before anyone understood it.

listener or fetcher ─▶ Arrived ─▶ keep (durable) ─▶ only then is it acknowledged

`control_id` must be as unique as its sender means it: where several systems send over one inlet, each with a counter of its own, it
says whose it is, too (`LIS|4711`). The same id with other bytes is a conflict for as long as [inlets.NAME] `remember` says.
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
    # Why its own edge cannot read it, all reasons, without quoting it: it is kept for a person, no feed gets it, and the sender is
    # answered so by the edge. KEPT then means no more than that it is on disk.
    unreadable: tuple[str, ...] = ()


class Kept(StrEnum):
    """What became of a message that was handed over."""

    KEPT = "kept"
    DUPLICATE = "duplicate"  # the same id with the same bytes is there already: acknowledged again, no second effect
    CONFLICT = "conflict"  # the same id with other bytes: kept for a person, acknowledged as refused
    UNWANTED = "unwanted"  # no feed wants it, and its inlet says `unwanted = "refuse"`: kept, acknowledged as refused


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
        """Take no more; answer what is under way for at most so many seconds. It may be started again, also when its thread has ended
        by itself."""

    def is_alive(self) -> bool:
        """Whether its thread lives: between `start` and `stop` it must."""

    def probe(self) -> None:
        """Raise what would go wrong if it began now, without beginning."""

    def told(self) -> dict[str, Any]:
        """How it stands, in plain values: address, connections, messages, refusals, since when, last problem."""


class Fetcher(Inlet, Protocol):
    """An inlet that asks, every so often in its own thread once it is started."""

    def fetch(self) -> int:
        """Ask once, now, in the caller's thread: for `once`, without `start`. How many messages were handed over; all of them
        are on disk by then. Raises what is wrong, as `probe` does."""
