"""Sequences: their items, and value representations where the bytes do not say them (PS3.5 §7.5, §6.2.2, PS3.6)."""

from collections.abc import Iterator
from typing import NamedTuple

from frontend_agent.dicom.elements import (
    DEEPEST,
    ITEM,
    ITEM_END,
    PIXEL_DATA,
    SEQUENCE_END,
    UNDEFINED,
    Buffer,
    DataSetMalformed,
    Element,
    structs_of,
    walk,
)
from frontend_agent.dicom.uids import Encoding

NAMES = frozenset(("PN",))
TEXTS = frozenset(
    ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
)  # whose bytes are of the Specific Character Set (PS3.5 §6.1.2.3)
ONE_TEXT = frozenset(("LT", "ST", "UT"))  # a backslash in them is a character


class Span(NamedTuple):
    """Bytes of a data set, by their place."""

    start: int
    end: int


def vr_of(element: Element) -> str:
    """Its value representation: as it is written, or by the dictionary. "UN" where neither says it."""
    if element.vr:
        return element.vr
    if element.tag & 0xFFFF == 0:
        return "UL"
    if element.tag >> 16 & 1:
        return "LO" if 0x10 <= element.tag & 0xFFFF <= 0xFF else "UN"  # a private creator (PS3.5 §7.8.1)
    from pydicom.datadict import dictionary_VR  # it loads numpy where that is installed: not every start needs it

    try:
        return dictionary_VR(element.tag)
    except KeyError:
        return "UN"


def is_sequence(element: Element) -> bool:
    """Whether its value is items of elements."""
    if element.tag == PIXEL_DATA:
        return False  # fragments
    return (
        element.vr == "SQ"
        or (element.length < 0 and element.vr in ("UN", ""))
        or (element.vr == "" and vr_of(element) == "SQ")
    )


def inner_encoding(element: Element, encoding: Encoding) -> Encoding:
    """How the elements of its items are written: UN of undefined length holds implicit VR (PS3.5 §6.2.2)."""
    return encoding._replace(is_implicit=True) if element.vr == "UN" else encoding


def items(data: Buffer, encoding: Encoding, element: Element) -> Iterator[Span]:
    """The items of a sequence: what is between their heads and their ends. DataSetMalformed: it is none."""
    tags, lengths = structs_of(encoding, data)
    inner = inner_encoding(element, encoding)
    at = element.start
    while element.end - at >= 8:
        group, number = tags.unpack_from(data, at)
        tag = group << 16 | number
        length = lengths.unpack_from(data, at + 4)[0]
        at += 8
        if tag == SEQUENCE_END:
            return
        if tag != ITEM:
            raise DataSetMalformed(f"({group:04X},{number:04X}) where an item should begin, at byte {at - 8}")
        if length != UNDEFINED:
            if at + length > element.end:
                raise DataSetMalformed(f"an item at byte {at - 8} is longer than its sequence")
            yield Span(at, at + length)
            at += length
            continue
        end = at
        for one in walk(data, inner, at, until=ITEM_END, end=element.end):
            end = one.end
        yield Span(at, end)
        at = end + 8


CHARACTER_SET = 0x0008_0005
_LONGEST_TEXT = 1 << 20  # bytes; longer ones are no names and no descriptions


class Placed(NamedTuple):
    """A text of a data set, with the Specific Character Set that holds where it stands."""

    element: Element
    vr: str
    charset: str
    depth: int


def texts(
    data: Buffer, encoding: Encoding, at: int, charset: str = "", end: int | None = None, depth: int = 0
) -> Iterator[Placed]:
    """Every text, also in sequences: an item may have a character set of its own (PS3.3 C.12.1.1.2)."""
    for one in walk(data, encoding, at, end=end):
        if one.tag == CHARACTER_SET and one.length >= 0:
            charset = charset_of(data, one)
        elif is_sequence(one):
            if depth >= DEEPEST:
                raise DataSetMalformed(f"sequences are nested deeper than {DEEPEST}")
            inner = inner_encoding(one, encoding)
            for span in items(data, encoding, one):
                yield from texts(data, inner, span.start, charset, span.end, depth + 1)
        elif 0 < one.length <= _LONGEST_TEXT and (vr := vr_of(one)) in TEXTS:
            yield Placed(one, vr, charset, depth)


def charset_of(data: Buffer, element: Element) -> str:
    """A Specific Character Set as it is written, without padding."""
    return bytes(data[element.start : element.end]).strip(b" \0").decode("ascii", "replace")
