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
from frontend_agent.config_types import Count, MiB16, Size

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


@dataclass(frozen=True, kw_only=True)
class Laying:
    """How documents are laid down as files, one each."""

    mount: str = ""  # what must be mounted for a folder to be the right one
    format: Literal["cda", "hl7v2", "json"] = "cda"
    file_name: str = ""  # {institution} {kind} {document_id} {set_id} {version} {date} {event_date}; "/" makes folders
    marker: str = ""  # ".ok": an empty file beside each, when it is whole
    index: str = ""  # "index-{date}.csv" or ….jsonl: a line for each file
    messages: tuple[str, ...] = ()  # hl7v2: of those that a kind gives, these only: ORU_R01; empty: all
    otherwise: Literal["document", "refuse"] = "document"  # hl7v2: a kind without a message of its own goes whole (MDM)
    sending_application: str = "FRONTEND-AGENT"  # hl7v2: MSH-3
    receiving_application: str = "REGION"  # hl7v2: MSH-5
    receiving_facility: str = ""  # hl7v2: MSH-6
    processing: Literal["P", "T", "D"] = "P"  # hl7v2: MSH-11
    character_set: Literal["UNICODE UTF-8", "GB 18030-2000"] = "UNICODE UTF-8"  # hl7v2: MSH-18


@dataclass(frozen=True, kw_only=True)
class FeedbackConfig(Picking):
    """Files in which a region says what became of what it accepted. On an SFTP server that is the destination's own, what is not
    said here is said there."""

    url: str = ""  # file:///… or sftp://…; empty: there are none
    mount: str = ""
    secret: str = ""
    key_secret: str = ""
    passphrase_secret: str = ""
    known_hosts: str = ""
    host_key: tuple[str, ...] = ()
    largest: Size = MiB16
    format: Literal["csv", "xlsx", "xml", "json"] = "csv"
    charset: str = ""  # csv
    delimiter: str = ","  # csv
    sheet: str = ""  # xlsx
    inside: str = ""  # xml, json: the place of a text that holds the answers proper
    each: str = ""  # xml, json: the path of what is one answer; empty: the file is one
    document: str = ""  # column, or path in an answer: the document's id, or the name of the file that we laid down
    verdict: str = ""  # column or path; empty: that a document is named says it
    accepted: tuple[str, ...] = ()  # verdicts that confirm; "*": any other
    rejected: tuple[str, ...] = ()  # verdicts that reopen: a person must look
    again: tuple[str, ...] = ()  # verdicts that reopen: the same is sent once more
    reasons: tuple[str, ...] = ()  # columns or paths


NO_FEEDBACK = FeedbackConfig()


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


NAMED = ("institution", "kind", "document_id", "set_id", "version", "date", "event_date", "extension")
_PLACE = re.compile(r"\{([^{}]*)\}")
USUAL_NAME = "{institution}_{kind}_{document_id}.{extension}"


def folder_of(url: str) -> str:
    """The path of file:///…; ValueError: what is wrong with it."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc or not path.startswith("/"):
        raise ValueError(f"url is not a folder: {url!r} (file:///mnt/region/in)")
    return path


def url_problems(url: str) -> Iterable[str]:
    """What is wrong with the place of files."""
    try:
        sftp_address(url) if url.startswith("sftp:") else folder_of(url)
    except ValueError as error:
        yield str(error)


def laying_problems(laying: Laying) -> Iterable[str]:
    """What is wrong with how documents are laid down."""
    for key, template in (("file_name", laying.file_name or USUAL_NAME), ("index", laying.index)):
        if not template:
            continue
        for name in _PLACE.findall(template):
            if name not in NAMED:
                yield f"{key}: unknown {{{name}}} (known: {', '.join(NAMED)})"
        if not is_inside(_PLACE.sub("x", template)) or re.search(r"[{}:*?\"<>|]", _PLACE.sub("", template)):
            yield f"{key} = {template!r} must be the name of a file below the folder"
    named = set(_PLACE.findall(laying.file_name or USUAL_NAME))
    if "document_id" not in named and not {"set_id", "version"} <= named:
        yield "file_name must hold {document_id}, or {set_id} and {version}: two documents must not have one name"
    if laying.index and not laying.index.endswith((".csv", ".jsonl")):
        yield "index must end in .csv or .jsonl"
    if laying.index and {"document_id", "set_id", "version"} & set(_PLACE.findall(laying.index)):
        yield "index: a file for each document is no index; use {date} or {kind}"
    if laying.marker and not (laying.marker.startswith(".") and len(laying.marker) > 1 and "/" not in laying.marker):
        yield f'marker {laying.marker!r} must be an ending like ".ok"'
    if laying.mount and not laying.mount.startswith("/"):
        yield "mount must be an absolute path: what `findmnt` calls TARGET"


def feedback_problems(feedback: FeedbackConfig) -> Iterable[str]:
    """What is wrong with how feedback is read. Paths are compiled when the destination is opened."""
    if feedback == NO_FEEDBACK:
        return
    yield from picking_problems(feedback)
    yield from url_problems(feedback.url)
    if not feedback.document:
        yield "document is missing: which column or path holds the document's id, or the name of our file?"
    if not (feedback.accepted or feedback.rejected or feedback.again):
        yield 'no verdict means anything: accepted = ["1"], rejected = ["0"], again = ["9"] ("*": any other)'
    said = [*feedback.accepted, *feedback.rejected, *feedback.again]
    if len(set(said)) < len(said):
        yield "one verdict means two things (accepted, rejected, again)"
    if not feedback.verdict and said != ["*"]:
        yield 'without verdict one of accepted, rejected or again must be ["*"]: that a document is named says it'
    if feedback.each and feedback.format not in ("xml", "json"):
        yield "each is for xml and json: every line of a table is an answer"


def is_inside(path: str) -> bool:
    """Whether a path can only mean something below where it is looked for."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and "\0" not in path


INLETS: dict[str, type[InletConfig]] = {"folder": FolderInlet, "sftp": SftpInlet}
CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    FolderInlet: _folder,
    SftpInlet: _sftp,
    FeedbackConfig: feedback_problems,
}
PATHS: dict[type[Any], tuple[str, ...]] = {
    FolderInlet: ("path",),
    SftpServer: ("known_hosts",),
    FeedbackConfig: ("known_hosts",),
}
