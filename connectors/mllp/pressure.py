"""How much is held at once, over all connections; who has to wait when it is too much. No socket, no clock.

- **Handed over, not yet on disk.** Beyond `most` nobody is read from until half of it is kept.
- **Begun, not yet whole.** Small frames never wait for each other's. Of the large ones, once they are `most` together, only the one
  that began first is read on; so one always ends, and none is cut off for being large.
"""

from typing import Protocol

LARGE = 64 * 1024  # bytes of a frame from which on it is counted


class Held(Protocol):
    """A connection, as far as it can be asked to wait."""

    def hold(self, why: str) -> None: ...

    def release(self, why: str) -> None: ...


DISK, ROOM = "disk", "room"


class Pressure:
    """The bytes of all connections."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._everyone: set[Held] = set()
        self._large: dict[Held, int] = {}  # in the order in which they began
        self.handed_over = 0
        self.begun = 0
        self._is_full = False

    @property
    def held(self) -> int:
        return self.handed_over + self.begun

    def join(self, one: Held) -> None:
        self._everyone.add(one)
        if self._is_full:
            one.hold(DISK)

    def leave(self, one: Held) -> None:
        self._everyone.discard(one)
        self.of_frame(one, 0)

    def hand_over(self, size: int) -> None:
        self.handed_over += size
        if self.handed_over > self._most and not self._is_full:
            self._is_full = True
            for one in self._everyone:
                one.hold(DISK)

    def kept(self, size: int) -> None:
        self.handed_over -= size
        if self._is_full and self.handed_over <= self._most // 2:
            self._is_full = False
            for one in self._everyone:
                one.release(DISK)

    def of_frame(self, one: Held, size: int) -> None:
        """What a connection holds of a frame that is not whole."""
        before = self._large.get(one, 0)
        now = size if size > LARGE else 0
        if not before and not now:
            return
        self.begun += now - before
        if now:
            self._large[one] = now
        else:
            del self._large[one]
        self._settle(one)

    def _settle(self, changed: Held) -> None:
        if not self._large:
            changed.release(ROOM)
            return
        eldest = next(iter(self._large))
        is_full = self.begun > self._most
        if is_full and changed in self._large and changed is not eldest:
            changed.hold(ROOM)
        for one in (eldest, *((changed, *self._large) if not is_full else ())):
            one.release(ROOM)
