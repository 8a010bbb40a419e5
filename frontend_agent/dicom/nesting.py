"""Sequences: their items, and value representations where the bytes do not say them (PS3.5 §7.5, §6.2.2, PS3.6)."""

from collections.abc import Iterator
from typing import NamedTuple

from pydicom.datadict import dictionary_VR

from frontend_agent.dicom.elements import (
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
    tags, lengths = structs_of(encoding)
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
