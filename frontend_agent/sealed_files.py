"""Files at rest: in segments of 64 KiB, so that any range is read with what it needs and nothing is held whole.

    FAREST1\\n  key id (8)  salt (16)  | segment 0 and its tag | segment 1 and its tag | … the last, shorter or empty

Each file has a key of its own (of its salt), and each segment its number as nonce, marked where it is the last (STREAM, Hoang et al.
2015): none can be left out, exchanged or cut off. What the file belongs to is associated data; what is known of it only when it is whole
(its SHA-256, its name) that of the last segment, which is opened first then. A file that does not begin so is plain.
"""

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, overload

from frontend_agent.machine import read_at
from frontend_agent.sealing import NONCE, TAG, NotGenuine, Sealer, Suite, derived

MAGIC = b"FAREST1\n"
KEY_ID = 8  # ASCII
SALT = 16
HEAD = len(MAGIC) + KEY_ID + SALT
SEGMENT = 64 << 10
SEALED = SEGMENT + TAG
_KEPT = 16  # segments that a window remembers: a walk over a data set goes back and forth between its ends


class FileKey(Protocol):
    """A key that files are sealed with."""

    @property
    def id(self) -> str: ...
    @property
    def suite(self) -> Suite: ...
    @property
    def files(self) -> bytes: ...


Keys = Callable[[str], FileKey]


def own_sealer(key: FileKey, salt: bytes) -> Sealer:
    """That of one file."""
    return Sealer(key.suite, own_key(key, salt))


def own_key(key: FileKey, salt: bytes) -> bytes:
    """The key of one file, which opens no other."""
    return derived(key.suite, key.files, "file", salt)


class Writer:
    """Seals what is written to a file, segment by segment; `finish` it."""

    def __init__(self, put: Callable[[bytes], object], key: FileKey, about: bytes) -> None:
        """`put` takes bytes to the end of the file."""
        salt = os.urandom(SALT)
        self._sealer = own_sealer(key, salt)
        self._put, self._about = put, about
        self._number = 0
        self._held = bytearray()
        put(MAGIC + key.id.encode() + salt)

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """A segment goes once more follows: which one is the last is known at the end only."""
        with memoryview(chunk) as view:
            at, size = 0, len(view)
            while size - at > (room := SEGMENT - len(self._held)):
                if room == SEGMENT:
                    self._segment(view[at : at + SEGMENT])
                else:
                    self._held += view[at : at + room]
                    self._segment(bytes(self._held))
                    self._held.clear()
                at += room
            self._held += view[at:]

    def finish(self, whole: bytes = b"") -> None:
        """`whole`: what else the file is, known now that it is whole."""
        self._put(self._sealer.seal(_nonce(self._number, True), bytes(self._held), self._about + whole))
        self._held.clear()

    def segment(self, file: int, number: int) -> bytes:
        """One that was written: of the file as it grows."""
        if number == self._number:
            return bytes(self._held)
        stored = read_at(file, SEALED, HEAD + number * SEALED)
        return self._sealer.open(_nonce(number, False), stored, self._about)

    def _segment(self, plain: bytes | memoryview) -> None:
        self._put(self._sealer.seal(_nonce(self._number, False), plain, self._about))
        self._number += 1


class Reader:
    """Reads any range of a sealed file. NotGenuine: it was changed or cut, or is another's."""

    def __init__(
        self, file: BinaryIO, keys: Keys, about: bytes, whole: bytes = b"", sealer: Sealer | None = None
    ) -> None:
        """`keys`: the key of an id; what it raises is raised. `whole`: as it was finished with. `sealer`: the file's own, where who reads
        is not given the keys."""
        self._file, self._about, self._whole = file, about, whole
        file.seek(0)
        head = file.read(HEAD)
        self._sealer = sealer or own_sealer(keys(key_of(head)), salt_of(head))
        length = file.seek(0, os.SEEK_END) - HEAD
        self._last = max(length - 1, 0) // SEALED
        if length - self._last * SEALED < TAG + (self._last > 0):  # none is empty, but that of an empty file
            raise NotGenuine("it was cut off")
        self.size = plain_size(length + HEAD)
        self._place = 0
        self._number, self._segment = -1, b""
        if whole:
            self.segment(self._last)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, all that are left by default."""
        end = self.size if size < 0 else min(self._place + size, self.size)
        if self._place >= end:
            if self.size == 0:
                self.segment(0)  # also of an empty file it is seen that it is whole
            return b""
        pieces = []
        while self._place < end:
            piece = self._here(end)
            pieces.append(piece)
            self._place += len(piece)
        return b"".join(pieces)

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes, as many as it takes; how many."""
        begin, end = self._place, min(self._place + len(buffer), self.size)
        while self._place < end:
            piece = self._here(end)
            at = self._place - begin
            buffer[at : at + len(piece)] = piece
            self._place += len(piece)
        return self._place - begin if end > begin else 0

    def seek(self, place: int) -> None:
        self._place = place

    def chunks(self) -> Iterator[bytes]:
        """All of it, a segment at a time."""
        for number in range(self._last + 1):
            yield self.segment(number)

    def segment(self, number: int) -> bytes:
        if number != self._number:
            self._file.seek(HEAD + number * SEALED)
            is_last = number == self._last
            about = self._about + self._whole if is_last else self._about
            self._segment = self._sealer.open(_nonce(number, is_last), self._file.read(SEALED), about)
            self._number = number
        return self._segment

    def _here(self, end: int) -> bytes:
        """What of the segment under us lies before that."""
        number, offset = divmod(self._place, SEGMENT)
        return self.segment(number)[offset : offset + end - self._place]


class Window:
    """A sealed file as if it were mapped: its length, single bytes and slices of it; a few segments of it are in memory. Not a buffer of
    the C API: who unpacks or searches goes by slices (frontend_agent/dicom/elements.py)."""

    def __init__(self, size: int, segment: Callable[[int], bytes]) -> None:
        self._size, self._segment = size, segment
        self._segments: dict[int, bytes] = {}

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int, /) -> int: ...
    @overload
    def __getitem__(self, place: slice, /) -> bytes: ...
    def __getitem__(self, place: int | slice) -> int | bytes:
        if isinstance(place, int):
            number, offset = divmod(place + self._size if place < 0 else place, SEGMENT)
            return self._at(number)[offset]
        start, end, step = place.indices(self._size)
        if step != 1:
            raise ValueError("a window is read in one direction")
        number, offset = divmod(start, SEGMENT)
        if end - start <= SEGMENT - offset:
            return self._at(number)[offset : offset + end - start] if end > start else b""
        pieces = []
        while start < end:
            number, offset = divmod(start, SEGMENT)
            pieces.append(self._at(number)[offset : offset + end - start])
            start += len(pieces[-1])
        return b"".join(pieces)

    def _at(self, number: int) -> bytes:
        found = self._segments.get(number)
        if found is None:
            if len(self._segments) >= _KEPT:
                del self._segments[next(iter(self._segments))]
            found = self._segments[number] = self._segment(number)
        return found


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


def salt_of(head: bytes) -> bytes:
    return head[HEAD - SALT : HEAD]


def plain_size(size: int) -> int:
    """How long a sealed file of that size is when it is opened."""
    length = size - HEAD
    return max(length - TAG * (max(length - 1, 0) // SEALED + 1), 0)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(NONCE - 1, "big") + (b"\1" if last else b"\0")
