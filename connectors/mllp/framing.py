"""MLLP framing without I/O (HL7 Transport Specification: MLLP, Release 1).

    <VT> message <FS><CR>

Feed a Framer bytes, read back events. However the bytes are split, the events are the same; and it never holds more than
`most` bytes of a message and one piece of 64 KB.

What real senders do to it, and what is done about it:

- **No CR behind FS, or CR LF, or CR CR.** All are taken. A frame that ends in a bare FS is whole only when it is known what
  follows: the next frame, the end of the connection, or silence. While `is_waiting`, the caller gives the sender a moment and then
  calls `settle()`. (Without that, a 0x1C inside a text would cut the message there and the rest would be acknowledged away.)
- **FS inside a message**: content, unless CR, LF or VT follows. It cannot be half of a Chinese character: second bytes of GBK begin
  at 0x40, the second and fourth of GB 18030's four at 0x30, those of UTF-8 at 0x80.
- **VT inside a message** (editors write it as a soft line break): content, unless MSH, FHS or BHS with a delimiter follows. Then the
  sender broke off and began again: what there was of the first message is Unterminated, and the second is read.
- **Anything between frames** is Junk, told once, with its size. Line ends, blanks and NULs between frames are nothing.
- **A message beyond `most`** is told at once as TooLong and skipped up to its end, so that the next one is read.

Nothing here quotes a message: `repr` of an event tells sizes only.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
MOST = 16 * 1024 * 1024  # bytes of one message
HEAD = 4_096  # bytes kept of a message that is not whole: enough for MSH, so that it can be refused by its name

_BEGINS = re.compile(rb"\x0b(?:MSH|FHS|BHS)[!-/:-@\[-`{-~]")
_AHEAD = 4  # bytes behind a VT that decide whether a frame begins there
_HEADERS = (b"MSH", b"FHS", b"BHS")
_PIECE = 65_536  # bytes taken in at a time
_NOTHING = b"\r\n\0 \t"


@dataclass(frozen=True)
class Message:
    """A whole message, without its framing."""

    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(frozen=True)
class Junk:
    """Bytes outside of any frame. `is_bare`: they begin like a message, so the sender leaves the framing out."""

    size: int
    is_bare: bool = False


@dataclass(frozen=True)
class TooLong:
    """A message beyond the cap; `head` is its beginning. What follows of it is thrown away as it comes."""

    head: bytes = field(repr=False)


@dataclass(frozen=True)
class Unterminated:
    """A message that broke off after `size` bytes: the connection ended, or another message began."""

    size: int
    head: bytes = field(repr=False)


Event = Message | Junk | TooLong | Unterminated


class _State(Enum):
    BETWEEN = "between frames"
    INSIDE = "inside a frame"
    SKIPPING = "inside a frame beyond the cap"


def framed(content: bytes) -> bytes:
    """A message as it goes over the wire. Whoever builds one keeps VT and FS out of it (`er7` escapes them)."""
    return VT + content + FS + CR


class Framer:
    """Bytes in, events out. One per connection and direction."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._buffer = bytearray()  # of the frame that is being read, from its first byte on; or between frames
        self._scanned = 0  # so much of it is known to be content
        self._state = _State.BETWEEN
        self._junk = 0
        self._junk_head = b""

    @property
    def is_waiting(self) -> bool:
        """A message is whole but for what follows its FS: let a moment pass, then `settle()`."""
        return self._state is _State.INSIDE and self._buffer.endswith(FS)

    @property
    def is_inside(self) -> bool:
        """A message has begun and has not ended: what a time limit for slow senders asks."""
        return self._state is not _State.BETWEEN

    @property
    def held(self) -> int:
        """Bytes held now."""
        return len(self._buffer)

    @property
    def junk(self) -> int:
        """Bytes outside of any frame that nobody was told of yet: no frame has begun since."""
        return self._junk

    def receive(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Data is taken in pieces, so that a huge one does not pass the cap either."""
        events: list[Event] = []
        for start in range(0, len(data), _PIECE):
            self._buffer += data[start : start + _PIECE]
            events += self._events()
        return events

    def settle(self) -> list[Event]:
        """Nothing more comes for now: a message that ends in FS is whole."""
        if not self.is_waiting:
            return []
        content = bytes(self._buffer[:-1])
        self._leave(len(self._buffer))
        return [Message(content)]

    def close(self) -> list[Event]:
        """The connection ended: what is left."""
        events = self.settle()
        if self._state is _State.INSIDE:
            events.append(Unterminated(len(self._buffer), bytes(self._buffer[:HEAD])))
        elif self._state is _State.BETWEEN:
            self._throw_away(len(self._buffer))
        self._leave(len(self._buffer))
        return events + self._told_junk()

    # -- inside

    def _events(self) -> Iterator[Event]:
        while self._buffer:
            if self._state is _State.BETWEEN:
                if not self._enter():
                    return
                yield from self._told_junk()
            event = self._inside()
            if event is not None:
                yield event
            elif self._state is not _State.BETWEEN:
                return

    def _enter(self) -> bool:
        """Go to the next VT; whether there is one."""
        start = self._buffer.find(VT)
        self._throw_away(len(self._buffer) if start < 0 else start)
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[: start + 1]
        self._state, self._scanned = _State.INSIDE, 0
        return True

    def _inside(self) -> Event | None:
        """Read on in the frame: its end, if it is here. None: more bytes are needed, or a skipped frame ended."""
        end, skip = self._end()
        if self._state is _State.SKIPPING:
            if end < 0:
                del self._buffer[: self._scanned]
                self._scanned = 0
            else:
                self._leave(end + skip)
            return None
        if (self._scanned if end < 0 else end) > self._most:
            event = TooLong(bytes(self._buffer[: min(HEAD, self._most)]))
            self._state = _State.SKIPPING
            return event
        if end < 0:
            return None
        content = bytes(self._buffer[:end])
        self._leave(end + skip)
        return Message(content) if skip else Unterminated(len(content), content[:HEAD])

    def _end(self) -> tuple[int, int]:
        """(where the frame's content ends, how many bytes of framing follow), or (-1, 0). No bytes of framing: it broke off."""
        buffer, place = self._buffer, self._scanned
        while True:
            end = buffer.find(FS, place)
            broken = _broken_off(buffer, place, len(buffer) if end < 0 else end)
            if broken is not None:
                at, is_sure = broken
                self._scanned = at
                return (at, 0) if is_sure else (-1, 0)
            if end < 0:
                self._scanned = len(buffer)
                return -1, 0
            if end + 1 == len(buffer):
                self._scanned = end
                return -1, 0
            if buffer[end + 1] in b"\r\n":
                return end, 2
            if buffer[end + 1] in VT:
                return end, 1
            place = self._scanned = end + 1

    def _leave(self, count: int) -> None:
        del self._buffer[:count]
        self._state, self._scanned = _State.BETWEEN, 0

    # -- between

    def _throw_away(self, count: int) -> None:
        data = bytes(self._buffer[:count]) if self._junk else bytes(self._buffer[:count]).lstrip(_NOTHING)
        if data:
            self._junk_head = (self._junk_head + data[:3])[:3]
            self._junk += len(data)

    def _told_junk(self) -> list[Event]:
        told: list[Event] = [Junk(self._junk, self._junk_head in _HEADERS)] if self._junk else []
        self._junk, self._junk_head = 0, b""
        return told


def _broken_off(buffer: bytearray, start: int, end: int) -> tuple[int, bool] | None:
    """The first VT in a stretch at which another message begins; or may begin, if its bytes are not here yet (not sure)."""
    place = buffer.find(VT, start, end)
    while place >= 0:
        if _BEGINS.match(buffer, place):
            return place, True
        known = bytes(buffer[place + 1 : place + 1 + _AHEAD])
        if place + 1 + _AHEAD > len(buffer) and any(header.startswith(known[:3]) for header in _HEADERS):
            return place, False
        place = buffer.find(VT, place + 1, end)
    return None
