"""Room for images on our own disk: what is here, what is being written, and what may still have to be written anew.

A study that was not judged yet may be written once more, changed; arrivals leave room for that, or the disk would fill up with studies
that can never go.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from frontend_agent.errors import SpoolFull
from frontend_agent.instance_files import Incoming, Written
from frontend_agent.sealed_files import FileKey

BLOCK = 1 << 20  # bytes that a file under way reserves at a time
CHANGED = 2048  # bytes by which an instance grows at most when tags of it are changed, as a rule


class Reserving(Protocol):
    """Who is asked for room."""

    def reserve(self, size: int, arrives: bool, /) -> None: ...
    def give_back(self, size: int, /) -> None: ...


class Room:
    """Counts in memory, so that who writes a file waits for nobody's commit."""

    def __init__(self, free: Callable[[], int]) -> None:
        """`free`: bytes that the disk has left for us."""
        self._free = free
        self._lock = threading.Lock()
        self.quota = 0
        self.may_change = True
        self.used = self.unjudged = 0
        self.made: dict[str, int] = {}  # bytes of what was made for each destination: none of `used`
        self.for_making = 0  # bytes of the quota that arrivals leave for that
        self.reserved = 0  # by files under way

    def learn(self, used: int, unjudged: int) -> None:
        """So many bytes more (or less) are here, were not judged."""
        with self._lock:
            self.used += used
            self.unjudged += unjudged

    def learn_made(self, folder: str, size: int) -> None:
        """So many bytes more (or less) of what was made lie in a folder."""
        with self._lock:
            self.made[folder] = max(self.made.get(folder, 0) + size, 0)

    def count_made(self, folder: str, size: int) -> None:
        """So many bytes lie there."""
        with self._lock:
            self.made[folder] = size

    def taken(self) -> int:
        """Bytes of all that lies here."""
        with self._lock:
            return self.used + sum(self.made.values())

    def reserve(self, size: int, arrives: bool) -> None:
        """So much is about to be written. SpoolFull: there is no room for it, nothing was reserved."""
        with self._lock:
            made = sum(self.made.values())
            taken = self.used + made + self.reserved + size
            if arrives:
                taken += max(self.for_making - made, 0)
            if arrives and self.may_change:
                taken += self.unjudged + self.reserved + size
            if self.quota and taken > self.quota:
                raise SpoolFull(
                    f"images: {self.used + made:,} of {self.quota:,} bytes are used, and what was not sent yet needs room; nothing "
                    "more is taken until deliveries and retention make some ([images] quota)"
                )
            if self._free() < size:
                raise SpoolFull("images: the disk has no room left; nothing more is taken")
            self.reserved += size

    def give_back(self, size: int) -> None:
        with self._lock:
            self.reserved -= size


class Counted(Incoming):
    """A file that is being written, and the room that it takes. What it reserved is given back by `done`, once it counts as used."""

    __slots__ = ("_arrives", "_reserved", "_room")

    def __init__(self, folder: Path, room: Reserving, arrives: bool, key: FileKey | None = None) -> None:
        self._room, self._arrives, self._reserved = room, arrives, 0
        self._take(BLOCK)
        try:
            super().__init__(folder, key)
        except BaseException:
            self.done()
            raise

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """SpoolFull: there is no room for it."""
        if self.size + len(chunk) > self._reserved:
            self._take(max(BLOCK, self.size + len(chunk) - self._reserved))
        super().write(chunk)

    @property
    def is_reserving(self) -> bool:
        return self._reserved > 0

    def _take(self, size: int) -> None:
        self._room.reserve(size, self._arrives)
        self._reserved += size

    def finish(self, place: Callable[[Path, str], Path | None] | None = None) -> Written:
        written = super().finish(place)
        if not self._arrives:
            self._keep(written.size)
        return written

    def _keep(self, size: int) -> None:
        """What is done with keeps no more than it needs."""
        self._room.give_back(self._reserved - size)
        self._reserved = size

    def abort(self) -> None:
        super().abort()
        self.done()

    def done(self) -> None:
        """Its bytes are counted as used now, or it is gone."""
        self._room.give_back(self._reserved)
        self._reserved = 0
