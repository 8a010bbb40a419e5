"""A file as messages. Takes bytes, gives bytes: nothing is written anywhere, so no name in an archive leads anywhere either.

    one document (XML, CDA, JSON, CSV, .xlsx)     one message, whatever records it holds
    HL7 v2                                        each message by itself: plain, in MLLP frames, or in a batch (FHS, BHS)
    a zip of these                                each file as if it lay there by itself

Archives are judged by their directory before anything is unpacked, and unpacked with a hand on the tap (threat C6).
"""

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Literal

import msgspec

from connectors.folders.place import is_plain_name, shown
from connectors.folders.reasons import FileRefused, Reason, reason
from connectors.mllp.framing import VT, Framer, Message
from frontend_agent.er7 import Decoded, MessageUnreadable, decode, header_of, split_batch
from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.xml import parse

Format = Literal["auto", "hl7v2", "xml", "json", "csv", "xlsx"]
MOST_LINES = 200_000  # of a table, as its mapping reads it
MOST_RATIO = 200  # XML shrinks to a fiftieth now and then; a bomb to a thousandth
SMALL = 1 << 20  # bytes; what unpacks to less is no bomb, however well it was packed
PIECE = 1 << 16

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an encrypted workbook, or one of before 2007
_PK = b"PK\x03\x04"
_BLANK = b"\xef\xbb\xbf \t\r\n\0"
_HL7 = re.compile(rb"(?:MSH|FHS|BHS)[!-/:-@\[-`{-~]")
_LINE = re.compile(rb"(?:^|[\r\n])(FHS|FTS|BHS|BTS)[^\r\n]*")
_CLOSED_BY = {b"FHS": b"FTS", b"BHS": b"BTS"}
_GB_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["'](?:gb2312|gbk|gb18030)["'][^>]*\?>""", re.IGNORECASE)
_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.\-]*:)?([A-Za-z_][\w.\-]{0,60})[\s/>]")

Judge = Callable[[bytes], Sequence[str]]


class Limits(msgspec.Struct, frozen=True):
    """How much one file may hold."""

    largest: int  # bytes of one message
    entries: int  # files of one archive
    unpacked: int  # bytes of all of them


class Piece(msgspec.Struct, frozen=True):
    """One message of a file."""

    body: bytes
    place: str  # where in the file: "", "#3", "inner/a.xml", "inner/b.hl7#2"
    control_id: str = ""  # MSH-3, -4 and -10: counters of several systems may lie in one folder
    about: str = ""  # ORU^R01, ClinicalDocument, csv …
    unreadable: tuple[str, ...] = ()


class Unpacked(msgspec.Struct, frozen=True):
    """The messages of a file, and what is wrong with some of them or is to be told of all."""

    pieces: tuple[Piece, ...]
    problems: tuple[Reason, ...] = ()  # lenient: told, and taken all the same


def unpack(
    name: str, content: bytes, format_: Format, limits: Limits, judge: Judge | None = None, charset: str = ""
) -> Unpacked:
    """The messages of one file. FileRefused with every reason where it cannot be taken as a whole."""
    if not content.strip(b"\0 \t\r\n"):
        raise FileRefused(reason("empty"))
    if content.startswith(_OLE):
        raise FileRefused(reason("encrypted"))
    if content.startswith(_PK) and not _is_workbook(content):
        return _archive(content, format_, limits, judge, charset)
    return _plain(name, content, format_, judge, charset)


# -- one file -----------------------------------------------------------------------------------------------------------


def _plain(name: str, content: bytes, format_: Format, judge: Judge | None, charset: str) -> Unpacked:
    kind = _kind(name, content) if format_ == "auto" else format_
    if kind == "hl7v2":
        return _messages(content, judge, charset)
    found = judge(content) if judge is not None else _reasons(kind, content, charset)
    if found:
        raise FileRefused(*(reason("unreadable", one) for one in found))
    return Unpacked((Piece(content, "", about=_about(kind, content)),))


def _kind(name: str, content: bytes) -> str:
    """What a file is, by its first bytes; a table only by its name."""
    body = content[:4096].lstrip(_BLANK)
    if body.startswith(VT) or _HL7.match(body):
        return "hl7v2"
    if content.startswith(_PK):
        return "xlsx"
    if body.startswith(b"<"):
        return "xml"
    if name.lower().endswith((".csv", ".txt")):
        return "csv"
    return "json" if body.startswith((b"{", b"[")) else "csv"


def _about(kind: str, content: bytes) -> str:
    if kind == "xml" and (root := _ROOT.search(content[:65_536])) is not None:
        return root[1].decode("ascii", "replace")
    return kind


def _reasons(kind: str, content: bytes, charset: str) -> list[str]:
    """Why nobody can read it, as far as the form of it goes. Quotes nothing."""
    try:
        if kind == "xml":
            parse(_in_utf_8(content))
        elif kind == "json":
            _json(content)
        elif kind == "csv":
            return _table(content, charset)
        elif not _is_workbook(content):
            return ["no workbook (.xlsx)"]
    except (UnsafeDocument, ValueError) as error:
        return [str(error)]
    return []


def _in_utf_8(content: bytes) -> bytes:
    """What is declared as GB 2312 or GBK is read as GB 18030, which holds both."""
    declared = _GB_DECLARED.match(content[:200])
    if declared is None:
        return content.strip(b"\0 \t\r\n")
    try:
        return content[declared.end() :].decode("gb18030").strip().encode()
    except UnicodeDecodeError:
        raise ValueError("bytes that are no text in gb18030, which the XML declares") from None


def _json(content: bytes) -> None:
    for codec in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(codec)
        except UnicodeDecodeError:
            continue
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError:
            raise ValueError("no JSON") from None
        return
    raise ValueError("neither UTF-8 nor GB 18030")


def _table(content: bytes, charset: str) -> list[str]:
    found = decode(content, charset)
    if not isinstance(found, Decoded):
        return list(found.reasons)
    return [f"more than {MOST_LINES} lines"] if content.count(b"\n") > MOST_LINES + 1 else []


# -- HL7 ----------------------------------------------------------------------------------------------------------------


def _messages(content: bytes, judge: Judge | None, charset: str) -> Unpacked:
    bodies, problems = _split(content)
    pieces = tuple(
        _message(body, f"#{number}" if len(bodies) > 1 else "", judge, charset) for number, body in enumerate(bodies, 1)
    )
    if len(pieces) == 1 and pieces[0].unreadable:
        raise FileRefused(*(reason("unreadable", one) for one in pieces[0].unreadable))
    return Unpacked(pieces, tuple(problems))


def _split(content: bytes) -> tuple[list[bytes], list[Reason]]:
    body = content.lstrip(_BLANK)
    if not body.startswith(VT):
        return _batch(body)
    framer = Framer(len(body))
    events = [*framer.receive(body), *framer.close()]
    if not all(isinstance(event, Message) for event in events):
        raise FileRefused(reason("framing"))
    found: list[bytes] = []
    problems: list[Reason] = []
    for event in events:
        assert isinstance(event, Message)
        more, told = _batch(event.content)
        found += more
        problems += told
    return found, problems


def _batch(body: bytes) -> tuple[list[bytes], list[Reason]]:
    names = [line[1] for line in _LINE.finditer(body)]
    missing = [
        closing.decode() for opening, closing in _CLOSED_BY.items() if names.count(opening) > names.count(closing)
    ]
    if missing:
        raise FileRefused(*(reason("not_closed", one) for one in missing))
    batch = split_batch(body)
    if not batch.messages:
        raise FileRefused(reason("not_hl7"))
    return list(batch.messages), [reason("batch", one) for one in batch.problems]


def _message(body: bytes, place: str, judge: Judge | None, charset: str) -> Piece:
    try:
        header = header_of(body)
    except MessageUnreadable as error:
        return Piece(body, place, unreadable=tuple(error.reasons))
    if judge is not None:
        reasons = tuple(judge(body))
    else:
        found = decode(body, charset)
        reasons = () if isinstance(found, Decoded) else found.reasons
    said = header.raw(9).split(header.delimiters.component)[:2]
    about = "^".join(one for one in said if one.isascii() and len(one) <= 20)
    whose = [header.raw(number).split(header.delimiters.component)[0].strip() for number in (3, 4)]
    control_id = header.control_id.strip()
    return Piece(body, place, "|".join([*whose, control_id])[:200] if control_id else "", about, reasons)


# -- archives -----------------------------------------------------------------------------------------------------------


def _is_workbook(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            return "[Content_Types].xml" in packed.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _archive(content: bytes, format_: Format, limits: Limits, judge: Judge | None, charset: str) -> Unpacked:
    pieces: list[Piece] = []
    problems: list[Reason] = []
    refused: list[Reason] = []
    for number, name, inner in _files(content, limits):
        try:
            found = _plain(name, inner, format_, judge, charset) if inner.strip(_BLANK) else None
            if found is None or inner.startswith(_OLE):
                raise FileRefused(reason("empty" if found is None else "encrypted"))
        except FileRefused as error:
            refused += [reason("zip_entry", number, inner=one) for one in error.reasons]
            continue
        pieces += [msgspec.structs.replace(one, place=shown(name) + one.place) for one in found.pieces]
        problems += found.problems
    if refused:
        raise FileRefused(*refused)
    if not pieces:
        raise FileRefused(reason("zip_nothing"))
    return Unpacked(tuple(pieces), tuple(problems))


def _files(content: bytes, limits: Limits) -> Iterator[tuple[int, str, bytes]]:
    """(number, name, bytes) of each file, in the archive's order. FileRefused before the first is unpacked where one may not be."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            entries = [one for one in packed.infolist() if not one.is_dir()]
            _allowed(entries, limits)
            left = limits.unpacked
            for number, entry in enumerate(entries, 1):
                inner = _unpacked(packed, entry, min(left, limits.largest))
                if inner is None:
                    word, most = (
                        ("zip_unpacked", limits.unpacked) if left <= limits.largest else ("too_large", limits.largest)
                    )
                    raise FileRefused(reason("zip_entry", number, inner=reason(word, most)))
                left -= len(inner)
                yield number, _name(entry), inner
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError):
        raise FileRefused(reason("zip_broken")) from None


def _allowed(entries: Sequence[zipfile.ZipInfo], limits: Limits) -> None:
    """What the archive's directory says of itself. It may lie about sizes: unpacking looks again."""
    if len(entries) > limits.entries:
        raise FileRefused(reason("zip_entries", limits.entries))
    found: list[Reason] = []
    for number, entry in enumerate(entries, 1):
        name = _name(entry)
        parts = PurePosixPath(name).parts
        mode = entry.external_attr >> 16
        if entry.flag_bits & 0x1:
            found.append(reason("encrypted"))
        if name.startswith("/") or not all(is_plain_name(part) for part in parts) or ":" in name[:2]:
            found.append(reason("zip_path", number))
        if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
            found.append(reason("zip_link", number))
        if name.lower().endswith((".zip", ".gz", ".rar", ".7z", ".tar")):
            found.append(reason("zip_nested", number))
        if entry.file_size > SMALL and entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
            found.append(reason("zip_ratio", number, MOST_RATIO))
    if sum(entry.file_size for entry in entries) > limits.unpacked:
        found.append(reason("zip_unpacked", limits.unpacked))
    if found:
        raise FileRefused(*dict.fromkeys(found[:20]))


def _name(entry: zipfile.ZipInfo) -> str:
    """A name as it was meant: without the flag for UTF-8, Chinese systems write GBK (whose second byte may be a backslash)."""
    if entry.flag_bits & 0x800:
        return entry.filename
    raw = entry.filename.encode("cp437", "replace")
    for codec in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            return raw.decode(codec)
    return entry.filename


def _unpacked(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes | None:
    """The file's bytes; None if it is larger than it may be, whatever it said."""
    found = bytearray()
    with packed.open(entry) as file:
        while piece := file.read(PIECE):
            found += piece
            if len(found) > most:
                return None
    return bytes(found)


def digest(path: str, place: str, body: bytes) -> str:
    """What a message without an id of its own is known by: where it lay, and its bytes."""
    return "file:" + sha256(f"{path}\0{place}\0".encode("utf-8", "surrogateescape") + body).hexdigest()[:40]
