"""Reading the file of an instance, whether it lies plain or sealed (sealed_files.py). Nothing plain of a sealed one touches a disk.

    opened    its bytes in their order, from any place on
    mapped    all of it as if it were in memory
    size_of   how long it is when it is read
    lent      what a child process is given to read this file, and no other

A plain one is simply its Path, and is mapped by the system. Of a sealed one a few segments are in memory, however long it is; its SHA-256,
which is its name, belongs to it: cut off, changed or exchanged it does not open.
"""

import errno
import io
import mmap
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

import msgspec

from frontend_agent.dicom.elements import Buffer
from frontend_agent.sealed_files import (
    HEAD,
    FileKey,
    Keys,
    Reader,
    Window,
    is_sealed,
    key_of,
    own_key,
    plain_size,
    salt_of,
)
from frontend_agent.sealing import NotGenuine, Sealer, Suite

ABOUT = b"instance "  # what every segment belongs to; the last one to the SHA-256 of the whole as well


class FileDamaged(OSError):
    """A sealed file is not what was written: it was changed, cut off or exchanged, or the disk lost some of it."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "it is not what was written: changed, cut off or exchanged on the disk")


class KeyedFile(NamedTuple):
    """A file that may lie sealed, and the keys of the state."""

    path: Path
    sha256: str  # of what it says when it is opened
    keys: Keys


class LentFile(msgspec.Struct, frozen=True):
    """A sealed file, and the key that is its own."""

    path: str
    sha256: str
    suite: Suite
    key: bytes


InstanceFile = Path | KeyedFile


class Content(Protocol):
    """An open file. OSError: it cannot be read; FileDamaged where it was sealed."""

    @property
    def size(self) -> int: ...
    def read(self, size: int = -1, /) -> bytes: ...
    def readinto(self, buffer: memoryview, /) -> int | None: ...
    def seek(self, place: int, /) -> object: ...
    def mapped(self) -> AbstractContextManager[Buffer]: ...


def opened(file: InstanceFile | LentFile) -> AbstractContextManager[Content]:
    if isinstance(file, Path):
        return _Plain(file)
    raw = io.FileIO(file.path)
    try:
        if not is_sealed(raw.read(HEAD)):
            raw.close()
            return _Plain(file.path)
        return _Sealed(raw, file)
    except BaseException:
        raw.close()
        raise


@contextmanager
def mapped(file: InstanceFile | LentFile) -> Iterator[Buffer]:
    with opened(file) as content, content.mapped() as data:
        yield data


def size_of(file: InstanceFile) -> int:
    """Its bytes when it is read. OSError: it is not there."""
    path = path_of(file)
    size = path.stat().st_size
    return plain_size(size) if isinstance(file, KeyedFile) and is_sealed(_head(path)) else size


def path_of(file: InstanceFile) -> Path:
    """Where it lies."""
    return file if isinstance(file, Path) else file.path


def lent(file: InstanceFile) -> str | LentFile:
    """A plain one by its path."""
    if isinstance(file, Path) or not is_sealed(head := _head(file.path)):
        return str(path_of(file))
    key = file.keys(key_of(head))
    return LentFile(str(file.path), file.sha256, key.suite, own_key(key, salt_of(head)))


def _head(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(HEAD)


class _Plain(io.FileIO):
    @property
    def size(self) -> int:
        return os.fstat(self.fileno()).st_size

    @contextmanager
    def mapped(self) -> Iterator[Buffer]:
        with mmap.mmap(self.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


class _Sealed(Reader):
    def __init__(self, file: io.FileIO, of: KeyedFile | LentFile) -> None:
        self._raw = file
        try:
            if isinstance(of, KeyedFile):
                super().__init__(file, of.keys, ABOUT, of.sha256.encode())
            else:
                super().__init__(file, _no_keys, ABOUT, of.sha256.encode(), Sealer(of.suite, of.key))
        except NotGenuine:
            raise FileDamaged from None

    def segment(self, number: int) -> bytes:
        try:
            return super().segment(number)
        except NotGenuine:
            raise FileDamaged from None

    @contextmanager
    def mapped(self) -> Iterator[Buffer]:
        yield Window(self.size, self.segment)

    def __enter__(self) -> "_Sealed":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()


def _no_keys(id: str) -> FileKey:
    raise KeyError(id)
