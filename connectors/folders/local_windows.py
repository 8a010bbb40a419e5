"""A folder of a Windows machine, or of a share that it reaches. Never run on Windows (docs/guide/windows.md).

Windows opens no file relative to a folder that is held open, so every step below the folder is looked at before it is taken: a
link of any kind (symbolic link, junction, mount point) is not followed. Who may write there and is quick can lay one between look and
step: let nobody write above the folder but who may. Names that mean something to Windows (devices, streams) are not touched.
"""

import os
import secrets
import stat
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
from frontend_agent.machine import BINARY

_UNFINISHED = ".part"
_LINK = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: symbolic links, junctions, mount points
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", "conin$", "conout$", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10)))
)


class WindowsPlace:
    """One folder and what is below it."""

    def __init__(
        self, folder: str | os.PathLike[str], mount: str = "", passing: Callable[[str], str] = passing_name
    ) -> None:
        """`mount`: a drive or share that must be there for the folder to be the one that is meant.
        `passing`: what a file is called until it is whole."""
        self._passing = passing
        self._root = Path(folder)
        self._mount = Path(mount) if mount else None
        self.where = str(folder)

    # -- looking

    def entries(self, folder: str) -> Iterator[Seen]:
        with self._opened(parts_of(folder)) as inner, told(self.where), os.scandir(inner) as found:
            for entry in found:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not is_plain_name(entry.name) or not is_safe(entry.name):
                    yield Seen(path, 0, 0, OTHER)
                    continue
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    yield Seen(path, 0, 0, OTHER) if _is_link(status) else seen(path, status)

    def look(self, path: str) -> Seen | None:
        *above, name = parts_of(path)
        try:
            with self._opened(above) as folder, told(self.where):
                status = os.lstat(folder / _safe(name))
                return Seen(path, 0, 0, OTHER) if _is_link(status) else seen(path, status)
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
        with self._opened(above) as folder, told(self.where):
            there = folder / _safe(name)
            looked = os.lstat(there)
            if _is_link(looked):
                raise NoPermission("a link, and links are not followed")
            if not stat.S_ISREG(looked.st_mode):
                raise NoPermission("no regular file")
            with there.open("rb") as opened:
                status = os.fstat(opened.fileno())
                if (status.st_dev, status.st_ino) != (looked.st_dev, looked.st_ino):
                    raise NoPermission("another file has just been laid in its place")
                if status.st_size > most:
                    raise TooLarge(f"{status.st_size} bytes are more than {most}")
                yield opened

    # -- changing

    def write(self, path: str, content: bytes) -> None:
        *above, name = parts_of(path)
        with self._opened(above, make=True) as folder, told(self.where):
            if _exists(folder / _safe(name)):
                if self.read(path, len(content)) != content:
                    raise Taken("another file has that name")
                return
            passing = folder / self._passing(name)  # the same each time: what we leave behind when we die is used again
            try:
                with passing.open("wb") as opened:
                    _keep(opened, content)
                os.rename(passing, folder / name)  # on Windows: never in place of a file that is there
            except FileExistsError:
                with suppress(OSError):
                    passing.unlink()
                raise Taken("another file has that name") from None
            except BaseException:
                with suppress(OSError):
                    passing.unlink()
                raise

    def append(self, path: str, content: bytes) -> None:
        *above, name = parts_of(path)
        with self._opened(above, make=True) as folder, told(self.where):
            there = folder / _safe(name)
            if _exists(there) and _is_link(os.lstat(there)):
                raise NoPermission("a link, and links are not followed")
            with there.open("ab") as opened:
                _keep(opened, content)

    def move(self, path: str, to: str) -> None:
        *above, name = parts_of(path)
        *above_there, name_there = parts_of(to)
        with self._opened(above) as here, self._opened(above_there, make=True) as there, told(self.where):
            if _exists(there / _safe(name_there)):
                raise Taken("another file has that name")
            os.rename(here / _safe(name), there / name_there)

    def remove(self, path: str) -> None:
        *above, name = parts_of(path)
        with suppress(Gone), self._opened(above) as folder, told(self.where):
            (folder / _safe(name)).unlink()

    def probe(self, writing: bool) -> None:
        with self._opened([]) as folder, told(self.where):
            os.listdir(folder)
            if writing:
                passing = folder / f".{secrets.token_hex(8)}{_UNFINISHED}"
                os.close(os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY))
                passing.unlink()

    def close(self) -> None:
        """Nothing is held."""

    # -- inside

    @contextmanager
    def _opened(self, names: list[str], make: bool = False) -> Iterator[Path]:
        """A folder below the place, come to without following a link."""
        if self._mount is not None and not os.path.ismount(self._mount):
            raise PlaceUnreachable(f"{self._mount} is not mounted")
        try:
            os.listdir(self._root)
        except OSError as error:
            raise told_root(error, self.where) from None
        folder = self._root
        with told(self.where):
            for name in names:
                folder = _step(folder, name, make)
        yield folder


def is_safe(name: str) -> bool:
    """Whether it is the name of a file to Windows: no device, no stream of another file, nothing that it silently cuts off."""
    stem = name.partition(".")[0].rstrip(" ").casefold()
    return stem not in _DEVICES and not set(name) & set('<>:"|?*') and name[-1:] not in (" ", ".") and min(name) >= " "


def _safe(name: str) -> str:
    if not is_safe(name):
        raise NoPermission("Windows has no files of such a name")
    return name


def _step(folder: Path, name: str, make: bool) -> Path:
    inner = folder / _safe(name)
    try:
        status = os.lstat(inner)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            inner.mkdir()
        status = os.lstat(inner)
    if _is_link(status):
        raise NoPermission("a link, and links are not followed")
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(20, "not a folder")
    return inner


def _is_link(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & _LINK)


def _exists(path: Path) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _keep(opened: IO[bytes], content: bytes) -> None:
    opened.write(content)
    opened.flush()
    os.fsync(opened.fileno())
