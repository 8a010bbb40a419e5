"""What an operating system says of its files, in our words."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.folders.place import (
    FILE,
    FOLDER,
    OTHER,
    Gone,
    NoPermission,
    PlaceError,
    PlaceFull,
    PlaceUnreachable,
    Seen,
)

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_AWAY = (errno.ESTALE, errno.EIO, errno.EHOSTDOWN, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENXIO)


def seen(path: str, status: os.stat_result) -> Seen:
    what = FILE if stat.S_ISREG(status.st_mode) else FOLDER if stat.S_ISDIR(status.st_mode) else OTHER
    return Seen(path, status.st_size, status.st_mtime_ns, what)


@contextmanager
def told(where: str) -> Iterator[None]:
    """What the system says, in our words. Its own sentence would quote the name."""
    try:
        yield
    except OSError as error:
        raise _meant(error, where) from None


def _meant(error: OSError, where: str) -> PlaceError:
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    if error.errno in _NOT_THERE:
        return Gone("there is no such file")
    if error.errno == errno.ELOOP:
        return NoPermission("a link, and links are not followed")
    if error.errno in _FORBIDDEN:
        return NoPermission(f"{where}: {reason}")
    if error.errno in _FULL:
        return PlaceFull(f"{where}: {reason}")
    if error.errno in _AWAY:
        return PlaceUnreachable(f"{where}: {reason}")
    return PlaceError(f"{where}: {reason}")


def told_root(error: OSError, where: str) -> PlaceError:
    meant = _meant(error, where)
    if isinstance(meant, Gone):
        return PlaceUnreachable(f"{where}: there is no such folder")
    return meant
