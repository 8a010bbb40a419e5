"""A walk over the top level of an encoded data set (PS3.5 §7): tag, VR, and where the value lies. Nothing is decoded or copied.

Sequences are passed over, also those of undefined length, without recursion: depth is a number that is bounded (threat D5).
"""

import mmap
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, cast

from frontend_agent.dicom.uids import Encoding
from frontend_agent.sealed_files import Window

InMemory = bytes | bytearray | memoryview | mmap.mmap
Buffer = InMemory | Window

PIXEL_DATA = 0x7FE0_0010
UNDEFINED = 0xFFFF_FFFF
DEEPEST = 64  # sequences in sequences; real objects (structured reports) stay below 20
ITEM, ITEM_END, SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
# VRs whose explicit form has two reserved bytes and a length of four (PS3.5 §7.1.2).
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST",
     b"TM", b"UI", b"UL", b"US")
)  # fmt: skip


class DataSetMalformed(ValueError):
    """The bytes are no data set from a place on. Says where and why, and quotes no value."""


class Element(NamedTuple):
    """One element of the top level. `vr` is "" in implicit VR. `length` is -1 where it is undefined; the value then ends at `end`
    with its delimiter."""

    tag: int  # group << 16 | element
    vr: str
    at: int  # where its tag begins
    start: int  # where its value begins
    length: int
    end: int  # where the next element begins


def walk(
    data: Buffer, encoding: Encoding, at: int = 0, until: int = 0xFFFF_FFFF, end: int | None = None
) -> Iterator[Element]:
    """The elements from `at` on, in their order, up to and without the tag `until`. DataSetMalformed: it goes no further."""
    size = len(data) if end is None else end
    tags, lengths = structs_of(encoding, data)
    implicit = encoding.is_implicit
    before = -1
    while at < size:
        if size - at < 8:
            raise DataSetMalformed(f"{size - at} bytes left over at byte {at}")
        group, element = tags.unpack_from(data, at)
        tag = group << 16 | element
        if tag >= until:
            return
        if tag <= before:
            raise DataSetMalformed(
                f"({group:04X},{element:04X}) stands after ({before >> 16:04X},{before & 0xFFFF:04X})"
            )
        vr, start, length = _head(data, at, size, tag, implicit, lengths, tags)
        if length == UNDEFINED:
            after = _passed(data, start, size, vr, implicit, tags, lengths)
            yield Element(tag, vr, at, start, -1, after)
        else:
            after = start + length
            if after > size:
                raise DataSetMalformed(
                    f"({group:04X},{element:04X}) at byte {at} says {length} bytes, {size - start} are there: it is cut off"
                )
            yield Element(tag, vr, at, start, length, after)
        before, at = tag, after


class Words(Protocol):
    """`struct.Struct`, for whatever its bytes lie in."""

    format: str

    def pack(self, *values: int) -> bytes: ...
    def unpack_from(self, data: Buffer, offset: int = 0, /) -> tuple[Any, ...]: ...


class _Slicing(struct.Struct):
    """The same in a window, which is no buffer."""

    def unpack_from(self, window: Any, offset: int = 0) -> tuple[Any, ...]:
        return self.unpack(window[offset : offset + self.size])


def structs_of(encoding: Encoding, data: Buffer = b"") -> tuple[Words, Words]:
    """How a tag and a length of four bytes are written; in `data`, where they are read."""
    order = ">" if encoding.is_big_endian else "<"
    made = _Slicing if isinstance(data, Window) else struct.Struct
    return cast(Words, made(order + "HH")), cast(Words, made(order + "I"))


def _head(
    data: Buffer, at: int, size: int, tag: int, implicit: bool, lengths: Words, tags: Words
) -> tuple[str, int, int]:
    """VR, where the value begins, its length."""
    if implicit:
        return "", at + 8, lengths.unpack_from(data, at + 4)[0]
    vr = bytes(data[at + 4 : at + 6])
    if vr in _SHORT:
        low, high = data[at + 6], data[at + 7]
        return vr.decode(), at + 8, (low << 8 | high) if tags.format.startswith(">") else (high << 8 | low)
    if vr in _LONG:
        if size - at < 12:
            raise DataSetMalformed(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) at byte {at} is cut off")
        return vr.decode(), at + 12, lengths.unpack_from(data, at + 8)[0]
    raise DataSetMalformed(
        f"({tag >> 16:04X},{tag & 0xFFFF:04X}) at byte {at} has no value representation that there is"
    )


def _passed(data: Buffer, at: int, size: int, vr: str, implicit: bool, tags: Words, lengths: Words) -> int:
    """Where a value of undefined length ends: a sequence, or fragments (PS3.5 §7.5, A.4).

    A stack of what is open: (its elements are implicit, whether it is a sequence of items or an item of elements).
    """
    # Undefined UN holds implicit VR little endian, whatever is around it (PS3.5 §6.2.2).
    stack = [(implicit or vr == "UN", True)]
    while stack:
        inner, is_sequence = stack[-1]
        if size - at < 8:
            raise DataSetMalformed(f"a sequence is cut off at byte {at}")
        group, element = tags.unpack_from(data, at)
        tag = group << 16 | element
        if is_sequence:
            length = lengths.unpack_from(data, at + 4)[0]
            at += 8
            if tag == SEQUENCE_END:
                stack.pop()
            elif tag != ITEM:
                raise DataSetMalformed(f"({group:04X},{element:04X}) where an item should begin, at byte {at - 8}")
            elif length == UNDEFINED:
                stack.append((inner, False))
            else:
                at += length
        elif tag == ITEM_END:
            at += 8
            stack.pop()
        else:
            inner_vr, start, length = _head(data, at, size, tag, inner, lengths, tags)
            if length == UNDEFINED:
                stack.append((inner or inner_vr == "UN", True))
                at = start
            else:
                at = start + length
        if len(stack) > 2 * DEEPEST:
            raise DataSetMalformed(f"sequences are nested deeper than {DEEPEST}, at byte {at}")
        if at > size:
            raise DataSetMalformed(f"a sequence says more bytes than there are, at byte {size}")
    return at
