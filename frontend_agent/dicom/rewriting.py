"""Changing elements of an encoded data set, and nothing else of it: what is not changed is copied from where it lies (PS3.5 §7).

    pieces = spliced(data, encoding, at, replace, insert)     spans of the old bytes, and new bytes between them
    for chunk in chunks(pieces, read): …                      as they are written; pixels never stand in memory

Pure: takes bytes, returns bytes and places. Group lengths (gggg,0000) that are there are made right again; none is added.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from frontend_agent.dicom.elements import (
    DEEPEST,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Buffer,
    DataSetMalformed,
    Element,
    structs_of,
    walk,
)
from frontend_agent.dicom.header import LARGEST_HEADER, inflated_whole
from frontend_agent.dicom.nesting import Span, items
from frontend_agent.dicom.uids import Encoding, encoding_of

Piece = bytes | Span
Replace = Callable[[Element], bytes | None]  # None: as it is; b"": taken away; else the encoded element in its place

_CHUNK = 1 << 20
_LONG = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
_ZERO_PADDED = frozenset(("UI", "OB", "UN"))
LONGEST_SHORT = 0xFFFE  # bytes of a value whose explicit length has two bytes


def keep(_: Element) -> None:
    """Nothing is replaced."""


# --- writing ----------------------------------------------------------------------------------------------------------


def element(encoding: Encoding, tag: int, vr: str, value: bytes) -> bytes:
    """One encoded element, its value padded to an even length (PS3.5 §7.1, §6.2). ValueError: too long for its VR."""
    if len(value) % 2:
        value += b"\0" if vr in _ZERO_PADDED else b" "
    tags, lengths = structs_of(encoding)
    head = tags.pack(tag >> 16, tag & 0xFFFF)
    if encoding.is_implicit:
        return head + lengths.pack(len(value)) + value
    if vr in _LONG:
        return head + vr.encode() + b"\0\0" + lengths.pack(len(value)) + value
    if len(value) > LONGEST_SHORT:
        raise ValueError(f"a value of {len(value)} bytes is too long for {vr}")
    return head + vr.encode() + len(value).to_bytes(2, "big" if encoding.is_big_endian else "little") + value


def item(encoding: Encoding, content: bytes) -> bytes:
    """One item of defined length (PS3.5 §7.5)."""
    tags, lengths = structs_of(encoding)
    return tags.pack(ITEM >> 16, ITEM & 0xFFFF) + lengths.pack(len(content)) + content


def sequence(encoding: Encoding, tag: int, contents: Sequence[bytes]) -> bytes:
    """A sequence of items, everything of defined length."""
    return element(encoding, tag, "SQ", b"".join(item(encoding, content) for content in contents))


def with_items(encoding: Encoding, old: Element, contents: Sequence[bytes]) -> bytes:
    """A sequence as it was, with other items: UN of undefined length stays what it is, for its items are implicit VR."""
    if old.vr != "UN":
        return sequence(encoding, old.tag, contents)
    tags, lengths = structs_of(encoding)
    head = tags.pack(old.tag >> 16, old.tag & 0xFFFF) + b"UN\0\0" + lengths.pack(UNDEFINED)
    end = tags.pack(SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF) + lengths.pack(0)
    return head + b"".join(item(encoding, content) for content in contents) + end


# --- splicing ---------------------------------------------------------------------------------------------------------


def spliced(
    data: Buffer,
    encoding: Encoding,
    at: int,
    replace: Replace = keep,
    insert: Mapping[int, bytes] | None = None,
    end: int | None = None,
) -> list[Piece]:
    """The data set from `at` on with elements replaced, and those of `insert` (tag -> encoded element) in their places.

    An element that is there and in `insert` is replaced by it. DataSetMalformed: it cannot be walked.
    """
    waiting = sorted((insert or {}).items())
    parts: list[tuple[int, Piece]] = []  # tag, what stands for it
    changed: set[int] = set()  # groups
    for one in walk(data, encoding, at, end=end):
        while waiting and waiting[0][0] < one.tag:
            tag, encoded = waiting.pop(0)
            parts.append((tag, encoded))
            changed.add(tag >> 16)
        given = waiting.pop(0)[1] if waiting and waiting[0][0] == one.tag else replace(one)
        if given is not None:
            changed.add(one.tag >> 16)
        parts.append((one.tag, Span(one.at, one.end) if given is None else given))
    for tag, encoded in waiting:
        parts.append((tag, encoded))
        changed.add(tag >> 16)
    return _joined(_with_group_lengths(parts, changed, encoding))


def _with_group_lengths(parts: Sequence[tuple[int, Piece]], changed: set[int], encoding: Encoding) -> Iterator[Piece]:
    sizes: dict[int, int] = {}
    for tag, piece in parts:
        if tag & 0xFFFF:
            sizes[tag >> 16] = sizes.get(tag >> 16, 0) + size((piece,))
    for tag, piece in parts:
        if tag & 0xFFFF == 0 and tag >> 16 in changed and size((piece,)):
            piece = element(encoding, tag, "UL", structs_of(encoding)[1].pack(sizes.get(tag >> 16, 0)))
        yield piece


def _joined(pieces: Iterator[Piece]) -> list[Piece]:
    """The same bytes in fewer pieces."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if isinstance(piece, Span) and isinstance(last, Span) and last.end == piece.start:
            joined[-1] = Span(last.start, piece.end)
        elif isinstance(piece, bytes) and isinstance(last, bytes):
            joined[-1] = last + piece
        elif size((piece,)):
            joined.append(piece)
    return joined


def size(pieces: Sequence[Piece]) -> int:
    """How many bytes they are."""
    return sum(piece.end - piece.start if isinstance(piece, Span) else len(piece) for piece in pieces)


def together(data: Buffer, pieces: Sequence[Piece]) -> bytes:
    """All of it at once: for an item of a sequence, never for a whole data set."""
    return b"".join(bytes(data[piece.start : piece.end]) if isinstance(piece, Span) else piece for piece in pieces)


def chunks(pieces: Sequence[Piece], read: Callable[[int, int], bytes]) -> Iterator[bytes]:
    """The bytes as they are written, a MiB at most at once; `read(start, end)` gives those of the old data set."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        for start in range(piece.start, piece.end, _CHUNK):
            yield read(start, min(start + _CHUNK, piece.end))


# --- implicit VR --------------------------------------------------------------------------------------------------------

_SMALL = 4096  # bytes of a value that is copied beside its neighbours, instead of being a piece of its own


def as_implicit(data: Buffer, at: int, end: int | None = None, depth: int = 0) -> list[Piece]:
    """A native data set of explicit VR little endian as implicit VR (PS3.5 A.1): every value is the bytes that it was, pixels too.

    Sequences and items get undefined lengths, so that private ones are seen to be sequences where nobody knows their VR; group lengths,
    which would be wrong, are left out (PS3.5 §7.2). DataSetMalformed: it cannot be walked, or has fragments (PS3.5 A.4).
    """
    pieces: list[Piece] = []
    held = bytearray()
    encoding = Encoding()
    tags, lengths = structs_of(encoding)

    def mark(tag: int, length: int) -> None:
        held.extend(tags.pack(tag >> 16, tag & 0xFFFF) + lengths.pack(length))

    def add(piece: Piece) -> None:
        if size((piece,)) <= _SMALL:
            held.extend(data[piece.start : piece.end] if isinstance(piece, Span) else piece)
            return
        if held:
            pieces.append(bytes(held))
            held.clear()
        pieces.append(piece)

    if depth > DEEPEST:
        raise DataSetMalformed(f"sequences are nested deeper than {DEEPEST}")
    for one in walk(data, encoding, at, end=end):
        if one.tag & 0xFFFF == 0:
            continue
        if one.vr == "SQ" and one.end > one.start:
            mark(one.tag, UNDEFINED)
            for span in items(data, encoding, one):
                mark(ITEM, UNDEFINED)
                for piece in as_implicit(data, span.start, span.end, depth + 1):
                    add(piece)
                mark(ITEM_END, 0)
            mark(SEQUENCE_END, 0)
        elif one.length >= 0:
            mark(one.tag, one.length)
            add(Span(one.start, one.end))
        elif one.vr == "UN":  # its items are implicit VR already (PS3.5 §6.2.2)
            mark(one.tag, UNDEFINED)
            add(Span(one.start, one.end))
        else:
            raise DataSetMalformed(f"({one.tag >> 16:04X},{one.tag & 0xFFFF:04X}) has fragments: it is compressed")
    return [*pieces, bytes(held)] if held else pieces


# --- deflated data sets -------------------------------------------------------------------------------------------------


def opened(data: Buffer, transfer_syntax_uid: str, at: int, most: int = LARGEST_HEADER) -> tuple[Buffer, Encoding, int]:
    """The data set where its elements can be walked: itself, or inflated if it is deflated (PS3.5 A.5) and no larger than `most`.

    HeaderUnreadable: it inflates to more, or not at all (threat D4).
    """
    encoding = encoding_of(transfer_syntax_uid)
    if not encoding.is_deflated:
        return data, encoding, at
    return inflated_whole(data, at, most), Encoding(), 0


def closed(data: Buffer, pieces: Sequence[Piece], transfer_syntax_uid: str) -> list[Piece]:
    """Pieces of an `opened` data set as they are written in its transfer syntax: deflated again where it was."""
    if not encoding_of(transfer_syntax_uid).is_deflated:
        return list(pieces)
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return [deflater.compress(together(data, pieces)) + deflater.flush()]
