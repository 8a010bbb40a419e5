"""A small file system: the few things that a folder on a disk, a mounted share and an SFTP server can all do.

Paths are relative to the place, with "/" between names; "" is the place itself. A name is text in which bytes that are not
UTF-8 stand as lone surrogates (PEP 383), so that a name in GBK is found again by its own bytes. `shown` makes it readable.

Links are not followed, and nothing outside of the place is touched, whatever a name says.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Protocol

import msgspec

from frontend_agent.errors import FrontendAgentError

FILE, FOLDER, OTHER = "file", "folder", "other"


class PlaceError(FrontendAgentError):
    """A folder or an SFTP server did not do what was asked of it. Never quotes a file's content."""


class PlaceUnreachable(PlaceError):
    """It is not there: the network, the server, a share that is not mounted. Waiting may help."""


class PlaceRefused(PlaceError):
    """It does not let us in, or is not who it should be: a person must act."""


class NoPermission(PlaceError):
    """We may not do that with this file or folder."""


class PlaceFull(PlaceError):
    """There is no room on its disk."""


class Gone(PlaceError):
    """The file is not there (any more)."""


class TooLarge(PlaceError):
    """The file is larger than what may be read."""


class Taken(PlaceError):
    """A file of that name is there already, with other bytes."""


class Seen(msgspec.Struct, frozen=True):
    """What a look at a file tells. `changed` is as fine as the place keeps it: seconds on SFTP."""

    path: str
    size: int
    changed: int  # nanoseconds since 1970, by the clock of whoever keeps the file
    what: str = FILE  # FILE, FOLDER or OTHER (links, pipes, devices)


class Place(Protocol):
    """Raises PlaceError: what is true of this file, and PlaceUnreachable where it is true of all of them."""

    where: str  # for people: a path, an address without a secret

    def entries(self, folder: str) -> Iterator[Seen]:
        """What is in a folder, unordered, links not followed. What vanishes meanwhile is left out."""

    def look(self, path: str) -> Seen | None:
        """One file or folder; None where there is none."""

    def read(self, path: str, most: int) -> bytes:
        """A regular file's bytes. TooLarge beyond `most`, before they are read."""

    def write(self, path: str, content: bytes) -> None:
        """The file is there whole with these bytes and on the disk, or is not there: a temporary name, fsync, rename.

        Folders on the way are made. Taken: another file has the name; the same bytes are no second effect."""

    def append(self, path: str, content: bytes) -> None:
        """Bytes at the end of a file that may not be there yet, on the disk when this returns."""

    def move(self, path: str, to: str) -> None:
        """Rename; folders on the way are made. Taken: nothing is ever replaced."""

    def remove(self, path: str) -> None:
        """Remove a file; that it is gone already is right, too."""

    def probe(self, writing: bool) -> None:
        """Raise what would go wrong: not there, not allowed to read (or write). Leaves nothing behind."""

    def close(self) -> None: ...


def parts_of(path: str) -> list[str]:
    """The names of a path; ValueError where it could lead out of the place."""
    parts = path.split("/") if path else []
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError("a path that leads out of its folder")
    return parts


def is_plain_name(name: str) -> bool:
    """Whether what a listing calls a name is one: a server may say anything."""
    return name not in ("", ".", "..") and "/" not in name and "\\" not in name and "\0" not in name


def passing_name(name: str) -> str:
    """What a file is called until it is whole. Of the same file always the same: one that was left behind is used again."""
    return f".{sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.part"


def shown(path: str) -> str:
    """A path for people: as UTF-8, as GB 18030, or with its odd bytes written out."""
    raw = path.encode("utf-8", "surrogateescape")
    for codec in ("utf-8", "gb18030"):
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            continue
        return "".join(one if one.isprintable() else "\ufffd" for one in text)
    return raw.decode("utf-8", "backslashreplace")
