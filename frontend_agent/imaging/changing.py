"""Changing what an instance says of its patient and its order, with the values that were there kept beside them, as bytes.

    CORRECT    its character set is named rightly: no text changes a byte
    COERCE     values of the order stand in place of its own (PS3.3 C.12.1, table C.12-1)

Each is an item of the Original Attributes Sequence (0400,0561): who, when, why, and the elements as they were, which `restored` puts
back. An element that was not there is listed with no value. Pure: bytes in, pieces of bytes out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from frontend_agent.dicom.charsets import UTF_8, decoded, encoded
from frontend_agent.dicom.elements import Buffer, DataSetMalformed, Element, walk
from frontend_agent.dicom.header import HeaderUnreadable
from frontend_agent.dicom.nesting import (
    CHARACTER_SET,
    TEXTS,
    Span,
    charset_of,
    inner_encoding,
    is_sequence,
    items,
    vr_of,
)
from frontend_agent.dicom.part10 import read_meta
from frontend_agent.dicom.rewriting import Piece, closed, element, opened, sequence, spliced, together, with_items
from frontend_agent.dicom.uids import Encoding

ORIGINAL_ATTRIBUTES, MODIFIED_ATTRIBUTES = 0x0400_0561, 0x0400_0550
_MODIFIED_AT, _MODIFYING_SYSTEM, _SOURCE, _REASON = 0x0400_0562, 0x0400_0563, 0x0400_0564, 0x0400_0565
QUALIFIERS = 0x0010_0024  # Issuer of Patient ID Qualifiers Sequence
_UNIVERSAL_ID, _UNIVERSAL_ID_TYPE = 0x0040_0032, 0x0040_0033
# What can be aligned, with its VR and whether it must be there, if only empty (type 2).
ALIGNABLE: Mapping[int, tuple[str, bool]] = {
    0x0008_0050: ("SH", True),  # Accession Number
    0x0008_0080: ("LO", False),  # Institution Name
    0x0010_0010: ("PN", True),  # Patient's Name
    0x0010_0020: ("LO", True),  # Patient ID
    0x0010_0021: ("LO", False),  # Issuer of Patient ID
    0x0010_0030: ("DA", True),  # Patient's Birth Date
    0x0010_0040: ("CS", True),  # Patient's Sex
}
CORRECT, COERCE = "CORRECT", "COERCE"


class CannotChange(ValueError):
    """The instance cannot be changed as it should be. Says why, and quotes no value."""


class Change(msgspec.Struct, frozen=True):
    """What is to be changed of one instance. Nothing of it depends on when it is done: the same change makes the same bytes (law 2)."""

    values: Mapping[int, str] = {}  # of ALIGNABLE
    universal_id: str = ""  # of the issuer, an OID: written as its qualifier
    charset: str = ""  # what its texts are really in, where it says something else
    at: str = ""  # DT, with its offset from UTC
    system: str = ""  # who changes it
    source: str = ""  # where its own values came from

    def __bool__(self) -> bool:
        return bool(self.values or self.universal_id or self.charset)


def changed(data: Buffer, change: Change) -> list[Piece]:
    """The whole file of an instance, changed. Spans are of `data`. CannotChange: why not."""
    meta = read_meta(data)
    try:
        plain, encoding, at = opened(data, meta.transfer_syntax_uid, meta.data_set_at)
        pieces = _changed(plain, encoding, at, change)
    except (DataSetMalformed, HeaderUnreadable, ValueError) as error:
        raise CannotChange(str(error)) from None
    return [Span(0, meta.data_set_at), *closed(plain, pieces, meta.transfer_syntax_uid)]


class _Recoding(NamedTuple):
    """Texts that are labelled `said` are labelled `label`; and rewritten in it, if they are to be `read_as` something else."""

    said: str
    label: str
    read_as: str | None = None

    def value(self, value: bytes, vr: str) -> bytes | None:
        if self.read_as is None or (value.isascii() and b"\x1b" not in value):
            return None
        text, is_certain = decoded(value, self.read_as, vr == "PN")
        again = encoded(text, self.label, vr == "PN") if is_certain else None
        if again is None:
            raise CannotChange(f"a text ({vr}) cannot be written in {self.label}")
        return again


def _changed(data: Buffer, encoding: Encoding, at: int, change: Change) -> list[Piece]:
    wanted = {CHARACTER_SET, ORIGINAL_ATTRIBUTES, QUALIFIERS, *change.values}
    there = {one.tag: one for one in walk(data, encoding, at, until=ORIGINAL_ATTRIBUTES + 1) if one.tag in wanted}
    said = charset_of(data, there[CHARACTER_SET]) if CHARACTER_SET in there else ""
    read_as = change.charset or said
    label = _label(read_as, change.values.values())
    recoding = _Recoding(said, label, read_as if label != read_as else None)
    insert: dict[int, bytes] = {}
    if label != said:
        insert[CHARACTER_SET] = element(encoding, CHARACTER_SET, "CS", label.encode())
    for tag, text in change.values.items():
        value = encoded(text, label, ALIGNABLE[tag][0] == "PN")
        if value is None:
            raise CannotChange(f"a value of the order cannot be written in {label}")
        insert[tag] = element(encoding, tag, ALIGNABLE[tag][0], value)
    if change.universal_id:
        insert[QUALIFIERS] = _qualifiers(encoding, change.universal_id)
    was = _was(data, encoding, there)
    added = []
    if change.charset:
        added.append(_original(encoding, change, CORRECT, was(CHARACTER_SET)))
    coerced = sorted(tag for tag in insert if tag != CHARACTER_SET)
    if coerced:
        before = b"".join(was(tag) for tag in coerced)
        if label != read_as:  # what stands there was in the set before
            corrected = element(encoding, CHARACTER_SET, "CS", read_as.encode())
            before = (corrected if change.charset else was(CHARACTER_SET)) + before
        added.append(_original(encoding, change, COERCE, before))
    old = there.get(ORIGINAL_ATTRIBUTES)
    insert[ORIGINAL_ATTRIBUTES] = _appended(data, encoding, old, added, recoding)
    return spliced(data, encoding, at, _recoder(data, encoding, said, recoding), insert)


def _label(read_as: str, values: Iterable[str]) -> str:
    """The character set that it names from now on: the one that it has, if that has every character; else UTF-8."""
    return read_as if all(encoded(text, read_as, True) is not None for text in values) else UTF_8


def _was(data: Buffer, encoding: Encoding, there: Mapping[int, Element]) -> Callable[[int], bytes]:
    """An element as it was; without a value where it was not there."""

    def was(tag: int) -> bytes:
        if tag in there:
            return bytes(data[there[tag].at : there[tag].end])
        vr = "CS" if tag == CHARACTER_SET else "SQ" if tag == QUALIFIERS else ALIGNABLE[tag][0]
        return element(encoding, tag, vr, b"")

    return was


def _qualifiers(encoding: Encoding, universal_id: str) -> bytes:
    """PS3.3 table 10-18: Universal Entity ID and its type."""
    content = element(encoding, _UNIVERSAL_ID, "UT", universal_id.encode("ascii"))
    return sequence(encoding, QUALIFIERS, [content + element(encoding, _UNIVERSAL_ID_TYPE, "CS", b"ISO")])


def _original(encoding: Encoding, change: Change, reason: str, before: bytes) -> bytes:
    """An item of the Original Attributes Sequence (PS3.3 C.12.1.1.9)."""
    return b"".join(
        (
            sequence(encoding, MODIFIED_ATTRIBUTES, [before]),
            element(encoding, _MODIFIED_AT, "DT", change.at.encode()),
            element(encoding, _MODIFYING_SYSTEM, "LO", change.system.encode("ascii", "replace")[:64]),
            element(encoding, _SOURCE, "LO", change.source.encode("ascii", "replace")[:64]),
            element(encoding, _REASON, "CS", reason.encode()),
        )
    )


def _appended(
    data: Buffer, encoding: Encoding, old: Element | None, added: Sequence[bytes], recoding: _Recoding
) -> bytes:
    """The items that were there, and the new ones behind them."""
    kept: list[bytes] = []
    if old is not None:
        if old.vr == "UN":
            raise CannotChange("its Original Attributes Sequence is written as UN")
        kept = [
            together(data, spliced(data, encoding, span.start, _recoder(data, encoding, recoding.said, recoding), end=span.end))
            for span in items(data, encoding, old)
        ]  # fmt: skip
    return sequence(encoding, ORIGINAL_ATTRIBUTES, [*kept, *added])


def _recoder(data: Buffer, encoding: Encoding, charset: str, recoding: _Recoding) -> Callable[[Element], bytes | None]:
    """What replaces the elements of one level. What names another character set of its own is left alone."""

    def replace(one: Element) -> bytes | None:
        nonlocal charset
        if one.tag == CHARACTER_SET and one.length >= 0:
            charset = charset_of(data, one)
            same = charset == recoding.said and recoding.label != charset
            return element(encoding, CHARACTER_SET, "CS", recoding.label.encode()) if same else None
        if recoding.label == recoding.said and recoding.read_as is None:
            return None
        if is_sequence(one):
            return _recoded(data, encoding, one, charset, recoding)
        if charset != recoding.said or one.length <= 0 or (vr := vr_of(one)) not in TEXTS:
            return None
        value = recoding.value(bytes(data[one.start : one.end]), vr)
        return None if value is None else element(encoding, one.tag, vr, value)

    return replace


def _recoded(data: Buffer, encoding: Encoding, one: Element, charset: str, recoding: _Recoding) -> bytes | None:
    """A sequence with its texts rewritten; None if nothing in it changes."""
    inner = inner_encoding(one, encoding)
    spans = list(items(data, encoding, one))
    parts = [spliced(data, inner, s.start, _recoder(data, inner, charset, recoding), end=s.end) for s in spans]
    if all(pieces in ([], [span]) for pieces, span in zip(parts, spans, strict=True)):
        return None
    return with_items(encoding, one, [together(data, pieces) for pieces in parts])


# --- putting back -------------------------------------------------------------------------------------------------------


def restored(data: Buffer, system: str) -> list[Piece]:
    """The file as it was before `system` changed it: its items of the Original Attributes Sequence are undone, the newest first.

    CannotChange where texts were written anew out of a set with escape sequences: the file as it came has those. An element that was
    not there and one that was there without a value look the same there: what need not be there is taken away.
    """
    meta = read_meta(data)
    try:
        plain, encoding, at = opened(data, meta.transfer_syntax_uid, meta.data_set_at)
        while True:
            pieces = _one_restored(plain, encoding, at, system)
            if pieces is None:
                break
            plain, at = together(plain, pieces), 0
    except (DataSetMalformed, HeaderUnreadable) as error:
        raise CannotChange(str(error)) from None
    head = bytes(data[: meta.data_set_at])
    body = together(plain, closed(plain, [Span(at, len(plain))], meta.transfer_syntax_uid))
    return [head, body]


def _one_restored(data: Buffer, encoding: Encoding, at: int, system: str) -> list[Piece] | None:
    top = {one.tag: one for one in walk(data, encoding, at, until=ORIGINAL_ATTRIBUTES + 1)}
    if ORIGINAL_ATTRIBUTES not in top:
        return None
    contents = list(items(data, encoding, top[ORIGINAL_ATTRIBUTES]))
    if not contents:
        return None
    newest = {one.tag: one for one in walk(data, encoding, contents[-1].start, end=contents[-1].end)}
    by, reason = (_value(data, newest.get(tag)) for tag in (_MODIFYING_SYSTEM, _REASON))
    if by != system or MODIFIED_ATTRIBUTES not in newest:
        return None
    [span, *_] = items(data, encoding, newest[MODIFIED_ATTRIBUTES])
    before = {one.tag: bytes(data[one.at : one.end]) if _stays(one) else b"" for one in walk(data, encoding, span.start, end=span.end)}  # fmt: skip
    said = charset_of(data, top[CHARACTER_SET]) if CHARACTER_SET in top else ""
    recoding = _Recoding(said, said)
    if CHARACTER_SET in before:
        [label] = [one for one in walk(data, encoding, span.start, end=span.end) if one.tag == CHARACTER_SET]
        was = charset_of(data, label)
        recoding = _Recoding(said, was, said if reason == COERCE else None)
    rest = [bytes(data[one.start : one.end]) for one in contents[:-1]]
    before[ORIGINAL_ATTRIBUTES] = sequence(encoding, ORIGINAL_ATTRIBUTES, rest) if rest else b""
    recode = _recoder(data, encoding, said, recoding)

    def replace(one: Element) -> bytes | None:
        if one.tag in before:
            return before[one.tag]
        return recode(one)

    missing = {tag: value for tag, value in before.items() if tag not in top and value}
    return spliced(data, encoding, at, replace, missing)


def _stays(one: Element) -> bool:
    """Whether an element is put back, rather than taken away."""
    return one.length != 0 or (one.tag in ALIGNABLE and ALIGNABLE[one.tag][1])


def _value(data: Buffer, one: Element | None) -> str:
    return "" if one is None else bytes(data[one.start : one.end]).strip(b" \0").decode("ascii", "replace")
