"""A folder of this machine, also one that is mounted from a file server (SMB, NFS).

Every step below the folder is opened by itself without following links (openat, O_NOFOLLOW), so that no link that somebody
lays there later leads us out of it either. Nothing is asked of inotify: a share does not tell of what others write.
"""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from connectors.folders.local_words import seen, told, told_root
from connectors.folders.place import (
    OTHER,
    Gone,
    NoPermission,
    PlaceUnreachable,
    Seen,
    Taken,
    TooLarge,
    is_plain_name,
    parts_of,
    passing_name,
)

assert sys.platform != "win32"  # there it is local_windows.py

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINK = os.O_NOFOLLOW
_MODE = 0o660  # less what umask takes: who fetches a file is seldom who wrote it
_UNFINISHED = ".part"
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # of folders on CIFS and some FUSE


class LocalPlace:
    """One folder and what is below it."""

    def __init__(
        self, folder: str | os.PathLike[str], mount: str = "", passing: Callable[[str], str] = passing_name
    ) -> None:
        """`mount`: what must be mounted for the folder to be the one that is meant, and not the empty one below it.
        `passing`: what a file is called until it is whole."""
        self._passing = passing
        self._root = Path(folder)
        self._mount = Path(mount) if mount else None
        self.where = str(folder)

    # -- looking

    def entries(self, folder: str) -> Iterator[Seen]:
        with self._opened(parts_of(folder)) as handle, told(self.where), os.scandir(handle) as found:
            for entry in found:
                if not is_plain_name(entry.name):
                    yield Seen(f"{folder}/{entry.name}" if folder else entry.name, 0, 0, OTHER)
                    continue
                with suppress(FileNotFoundError):
                    yield seen(f"{folder}/{entry.name}" if folder else entry.name, entry.stat(follow_symlinks=False))

    def look(self, path: str) -> Seen | None:
        *above, name = parts_of(path)
        try:
            with self._opened(above) as handle, told(self.where):
                return seen(path, os.stat(name, dir_fd=handle, follow_symlinks=False))
        except Gone:
            return None

    def read(self, path: str, most: int) -> bytes:
        with self._file(path, most) as opened:
            content = opened.read(most + 1)
        if len(content) > most:
            raise TooLarge(f"more than {most} bytes")
        return content

    def pieces(self, path: str, most: int, size: int = 1 << 20) -> Iterator[bytes]:
        """A regular file's bytes, some at a time. TooLarge beyond `most`, before the first are read; no more than that come."""
        count = 0
        with self._file(path, most) as opened:
            while piece := opened.read(size):
                count += len(piece)
                if count > most:
                    raise TooLarge(f"more than {most} bytes")
                yield piece

    @contextmanager
    def _file(self, path: str, most: int) -> Iterator[IO[bytes]]:
        *above, name = parts_of(path)
        with self._opened(above) as handle, told(self.where):
            # O_NONBLOCK: a pipe of that name would hold us for ever.
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | _NO_LINK | os.O_NONBLOCK, dir_fd=handle)
            with os.fdopen(file, "rb") as opened:
                status = os.fstat(file)
                if not stat.S_ISREG(status.st_mode):
                    raise NoPermission("no regular file")
                if status.st_size > most:
                    raise TooLarge(f"{status.st_size} bytes are more than {most}")
                yield opened

    # -- changing

    def write(self, path: str, content: bytes) -> None:
        *above, name = parts_of(path)
        with self._opened(above, make=True) as handle, told(self.where):
            if _exists(name, handle):
                if self.read(path, len(content)) != content:
                    raise Taken("another file has that name")
                return
            passing = self._passing(name)  # the same each time: what we leave behind when we die is used again
            file = os.open(
                passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | _NO_LINK, _MODE, dir_fd=handle
            )
            try:
                with os.fdopen(file, "wb") as opened:
                    opened.write(content)
                    opened.flush()
                    os.fsync(file)
                os.rename(passing, name, src_dir_fd=handle, dst_dir_fd=handle)
            except BaseException:
                with suppress(OSError):
                    os.unlink(passing, dir_fd=handle)
                raise
            _sync_folder(handle)

    def append(self, path: str, content: bytes) -> None:
        *above, name = parts_of(path)
        with self._opened(above, make=True) as handle, told(self.where):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | _NO_LINK, _MODE, dir_fd=handle)
            with os.fdopen(file, "ab") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(file)
            _sync_folder(handle)

    def move(self, path: str, to: str) -> None:
        *above, name = parts_of(path)
        *above_there, name_there = parts_of(to)
        with self._opened(above) as here, self._opened(above_there, make=True) as there, told(self.where):
            if _exists(name_there, there):
                raise Taken("another file has that name")
            # Not synced: what a power cut undoes of it is taken up again, and known.
            os.rename(name, name_there, src_dir_fd=here, dst_dir_fd=there)

    def remove(self, path: str) -> None:
        *above, name = parts_of(path)
        with suppress(Gone), self._opened(above) as handle, told(self.where):
            os.unlink(name, dir_fd=handle)

    def probe(self, writing: bool) -> None:
        with self._opened([]) as handle, told(self.where):
            os.listdir(handle)
            if writing:
                passing = f".{secrets.token_hex(8)}{_UNFINISHED}"
                os.close(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE, dir_fd=handle))
                os.unlink(passing, dir_fd=handle)

    def close(self) -> None:
        """Nothing is held."""

    # -- inside

    @contextmanager
    def _opened(self, names: list[str], make: bool = False) -> Iterator[int]:
        """A handle of a folder below the place, come to without following a link."""
        if self._mount is not None and not self._mount.is_mount():
            raise PlaceUnreachable(f"{self._mount} is not mounted")
        try:
            handle = os.open(self._root, _FOLDER)
        except OSError as error:
            raise told_root(error, self.where) from None
        try:
            with told(self.where):
                for name in names:
                    handle = _step(handle, name, make)
            yield handle
        finally:
            os.close(handle)


def _step(handle: int, name: str, make: bool) -> int:
    try:
        inner = os.open(name, _FOLDER | _NO_LINK, dir_fd=handle)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            os.mkdir(name, 0o770, dir_fd=handle)
            _sync_folder(handle)
        inner = os.open(name, _FOLDER | _NO_LINK, dir_fd=handle)
    os.close(handle)
    return inner


def _exists(name: str, handle: int) -> bool:
    try:
        os.stat(name, dir_fd=handle, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _sync_folder(handle: int) -> None:
    """A new name is on the disk only with its folder."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
