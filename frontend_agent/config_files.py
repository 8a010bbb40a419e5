"""What is said of files in agent.toml, wherever they are: in a folder or on an SFTP server, coming in, going out, or as feedback.

Picking      which files are picked up, when one is whole, and what becomes of it
SftpServer   who is asked, who we are there, and by what the server is known
"""

import codecs
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from frontend_agent.config_inlet import InletConfig
from frontend_agent.config_types import Count, Size

THOUSAND = Count(1000)
MiB128 = Size(128 * 1024**2)
UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
LONGEST_PATTERN = 200


@dataclass(frozen=True, kw_only=True)
class Picking:
    """Which files are picked up, when one is whole, and what becomes of it afterwards."""

    patterns: tuple[str, ...] = ("*",)  # of names: *.xml, LIS_*.hl7; with a "/" of paths below the folder
    ignore: tuple[str, ...] = UNFINISHED  # names that end so are not finished
    subfolders: bool = False
    every: timedelta = timedelta(seconds=5)  # between two looks; nobody trusts a share to tell of changes
    whole: Literal["settle", "marker", "rename"] = "settle"
    settle: timedelta = timedelta(seconds=10)  # whole = "settle": size and time have been the same for so long
    patience: timedelta = timedelta(minutes=5)  # whole = "settle": so long unchanged and still not readable is refused
    marker: str = ".ok"  # whole = "marker": X.xml is whole when X.xml.ok or X.ok is there
    after: Literal["move", "delete", "leave"] = "move"
    done: str = "done"  # after = "move": the folder inside, a folder a day in it
    refused: str = "refused"  # what cannot be taken goes there, with its reasons in a file beside it
    order: Literal["name", "time"] = "name"
    entries: Count = THOUSAND  # of files in one zip
    unpacked: Size = MiB128  # of all files in one zip


@dataclass(frozen=True, kw_only=True)
class SftpServer:
    """An SFTP server. Without a pinned key nobody is trusted: `known_hosts`, or the key's fingerprint."""

    url: str  # sftp://user@host:22/folder
    secret: str = ""  # the NAME of the secret with the password
    key_secret: str = ""  # the NAME of the secret with the private key (OpenSSH, PEM)
    passphrase_secret: str = ""  # the NAME of the secret with that key's passphrase
    known_hosts: str = ""  # a file as OpenSSH keeps it
    host_key: tuple[str, ...] = ()  # fingerprints: SHA256:… as ssh-keygen -lf shows them


@dataclass(frozen=True, kw_only=True)
class FilesInlet(Picking, InletConfig):
    """Files as messages. `largest` is of one file; of a zip, of one file in it as well."""

    format: Literal["auto", "hl7v2", "xml", "json", "csv", "xlsx"] = "auto"
    charset: str = ""  # hl7v2, csv: what is settled for this sender, as in its mapping
    ids: Literal["message", "file"] = "message"  # hl7v2: "file" where MSH-10 begins anew with every file


@dataclass(frozen=True, kw_only=True)
class FolderInlet(FilesInlet):
    """A folder of this machine, or of a mounted share."""

    type: Literal["folder"]
    path: str
    mount: str = ""  # what must be mounted for the folder to be the right one: /mnt/lis


@dataclass(frozen=True, kw_only=True)
class SftpInlet(SftpServer, FilesInlet):
    """A folder on an SFTP server."""

    type: Literal["sftp"]
    timeout: timedelta = timedelta(seconds=30)  # of each question


@dataclass(frozen=True)
class SftpAddress:
    """The parts of sftp://user@host:22/folder. A folder beginning with ~/ is meant from where the user comes in."""

    user: str
    host: str
    port: int
    folder: str


def sftp_address(url: str) -> SftpAddress:
    """ValueError: what is wrong with it."""
    parts = urlsplit(url)
    if parts.scheme != "sftp" or not parts.hostname or not parts.username:
        raise ValueError(f"url is not an address of a folder on an SFTP server: {url!r} (sftp://user@host:22/folder)")
    folder = unquote(parts.path) or "/"
    folder = folder.removeprefix("/~/") if folder.startswith("/~/") else folder
    return SftpAddress(unquote(parts.username), parts.hostname, parts.port or 22, folder)


def sftp_problems(server: SftpServer) -> Iterable[str]:
    """What is wrong between the settings of an SFTP server."""
    try:
        password = urlsplit(server.url).password
        sftp_address(server.url)
    except ValueError as error:
        yield str(error)
        password = None
    if password is not None:
        yield 'url holds a password; write its secret\'s name instead: secret = "…"'
    if not server.secret and not server.key_secret:
        yield "nothing to come in with: secret (of a password) or key_secret (of a private key)"
    if server.passphrase_secret and not server.key_secret:
        yield "passphrase_secret does nothing without key_secret"
    if not server.known_hosts and not server.host_key:
        yield (
            'the server\'s key is not pinned: host_key = ["SHA256:…"] or known_hosts = "…"'
            " (on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)"
        )
    for one in server.host_key:
        if not FINGERPRINT.fullmatch(one):
            yield f"host_key: {one!r} is no fingerprint like SHA256:… (ssh-keygen -lf shows it)"


def picking_problems(picking: Picking) -> Iterable[str]:
    """What is wrong between the settings of what is picked up."""
    if picking.every < timedelta(seconds=1):
        yield "every must be at least 1s"
    if not picking.patterns:
        yield 'patterns: there is none; for all files write ["*"]'
    for pattern in picking.patterns:
        if len(pattern) > LONGEST_PATTERN or pattern.count("*") > 10:
            yield f"patterns: {pattern[:40]!r} is too long, or has more than ten stars"
    if picking.whole == "marker" and not (picking.marker.startswith(".") and len(picking.marker) > 1):
        yield f'marker {picking.marker!r} must be an ending like ".ok"'
    for key, folder in (("done", picking.done), ("refused", picking.refused)):
        if not is_inside(folder):
            yield f"{key} = {folder!r} must be a folder inside"
    if picking.done == picking.refused:
        yield "done and refused are one folder"


def _inlet_problems(inlet: FilesInlet) -> Iterable[str]:
    yield from picking_problems(inlet)
    if inlet.charset:
        try:
            codecs.lookup(inlet.charset)
        except LookupError:
            yield f"charset: unknown character set {inlet.charset!r} (gb18030, utf-8 …)"


def _folder(inlet: FolderInlet) -> Iterable[str]:
    yield from _inlet_problems(inlet)
    if inlet.mount and not inlet.mount.startswith("/"):
        yield "mount must be an absolute path: what `findmnt` calls TARGET"


def _sftp(inlet: SftpInlet) -> Iterable[str]:
    yield from _inlet_problems(inlet)
    yield from sftp_problems(inlet)


def is_inside(path: str) -> bool:
    """Whether a path can only mean something below where it is looked for."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and "\0" not in path


INLETS: dict[str, type[InletConfig]] = {"folder": FolderInlet, "sftp": SftpInlet}
CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {FolderInlet: _folder, SftpInlet: _sftp}
PATHS: dict[type[Any], tuple[str, ...]] = {FolderInlet: ("path",), SftpServer: ("known_hosts",)}
