"""Files at rest: in segments of 64 KiB, so that any range is read with what it needs and nothing is held whole.

    FAREST1\\n  key id (8)  salt (16)  | segment 0 and its tag | segment 1 and its tag | … the last, shorter or empty

Each file has a key of its own (of its salt), and each segment its number as nonce, marked where it is the last (STREAM, Hoang et al.
2015): none can be left out, exchanged or cut off. What the file belongs to is associated data. A file that does not begin so is plain.
"""

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from frontend_agent.sealing import NONCE, TAG, NotGenuine, Sealer, Suite, derived

MAGIC = b"FAREST1\n"
KEY_ID = 8  # ASCII
SALT = 16
HEAD = len(MAGIC) + KEY_ID + SALT
SEGMENT = 64 << 10
SEALED = SEGMENT + TAG


class FileKey(Protocol):
    """A key that files are sealed with."""

    @property
    def id(self) -> str: ...
    @property
    def suite(self) -> Suite: ...
    @property
    def files(self) -> bytes: ...


Keys = Callable[[str], FileKey]


class Writer:
    """Seals what is written to a file, segment by segment; `finish` it."""

    def __init__(self, put: Callable[[bytes], object], key: FileKey, about: bytes) -> None:
        """`put` takes bytes to the end of the file."""
        salt = os.urandom(SALT)
        self._sealer = Sealer(key.suite, derived(key.suite, key.files, "file", salt))
        self._put, self._about = put, about
        self._number = 0
        self._held = bytearray()
        put(MAGIC + key.id.encode() + salt)

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self._held += chunk
        while len(self._held) > SEGMENT:  # never the last one: that is known at the end only
            self._segment(bytes(self._held[:SEGMENT]), last=False)
            del self._held[:SEGMENT]

    def finish(self) -> None:
        self._segment(bytes(self._held), last=True)
        self._held.clear()

    def _segment(self, plain: bytes, last: bool) -> None:
        self._put(self._sealer.seal(_nonce(self._number, last), plain, self._about))
        self._number += 1


class Reader:
    """Reads any range of a sealed file. NotGenuine: it was changed or cut, or is another's."""

    def __init__(self, file: BinaryIO, keys: Keys, about: bytes) -> None:
        """`keys`: the key of an id; what it raises is raised."""
        self._file, self._about = file, about
        file.seek(0)
        head = file.read(HEAD)
        key = keys(head[len(MAGIC) : len(MAGIC) + KEY_ID].decode("ascii", "replace"))
        self._sealer = Sealer(key.suite, derived(key.suite, key.files, "file", head[-SALT:]))
        length = file.seek(0, os.SEEK_END) - HEAD
        self._last = max(length - 1, 0) // SEALED
        if length - self._last * SEALED < TAG + (self._last > 0):  # none is empty, but that of an empty file
            raise NotGenuine("it was cut off")
        self.size = length - TAG * (self._last + 1)
        self._place = 0
        self._number, self._segment = -1, b""

    def read(self, size: int = -1) -> bytes:
        """The next bytes, all that are left by default."""
        end = self.size if size < 0 else min(self._place + size, self.size)
        if self._place >= end:
            if self.size == 0:
                self._at(0)  # also of an empty file it is seen that it is whole
            return b""
        pieces = []
        while self._place < end:
            number, offset = divmod(self._place, SEGMENT)
            piece = self._at(number)[offset : offset + end - self._place]
            pieces.append(piece)
            self._place += len(piece)
        return b"".join(pieces)

    def seek(self, place: int) -> None:
        self._place = place

    def chunks(self) -> Iterator[bytes]:
        """All of it, a segment at a time."""
        for number in range(self._last + 1):
            yield self._at(number)

    def _at(self, number: int) -> bytes:
        if number != self._number:
            self._file.seek(HEAD + number * SEALED)
            sealed = self._file.read(SEALED)
            self._segment = self._sealer.open(_nonce(number, number == self._last), sealed, self._about)
            self._number = number
        return self._segment


def sealed(plain: bytes, key: FileKey, about: bytes) -> bytes:
    """The whole of a file."""
    pieces: list[bytes] = []
    writer = Writer(pieces.append, key, about)
    writer.write(plain)
    writer.finish()
    return b"".join(pieces)


def is_sealed(head: bytes) -> bool:
    return head.startswith(MAGIC)


def key_of(head: bytes) -> str:
    """The id of the key that a file was sealed with; empty: it is plain."""
    return head[len(MAGIC) : len(MAGIC) + KEY_ID].decode("ascii", "replace") if is_sealed(head) else ""


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(NONCE - 1, "big") + (b"\1" if last else b"\0")
