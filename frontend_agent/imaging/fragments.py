"""Compressed pixels and what stands beside them: EXIF, XMP, previews, comments of encoders and cameras, bytes behind a picture's end.

Nothing is decoded, and no length changes: what may tell whose it is becomes zeros where it stands, so that offset tables stay true
(PS3.5 §A.4). The samples stay bit by bit what they were.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from frontend_agent.dicom.elements import Buffer, DataSetMalformed, Element
from frontend_agent.dicom.nesting import Span, items
from frontend_agent.dicom.rewriting import Piece
from frontend_agent.dicom.uids import Encoding
from frontend_agent.sealed_files import Window

_JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (*range(50, 67), 70, 80, 81))
_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 92, 93, 201, 202, 203))
_RLE = "1.2.840.10008.1.2.5"
_SEARCHED = 1 << 20  # bytes at a time of what is no buffer
LARGEST_FRAME = 256 << 20  # bytes of a frame in several fragments, which is put together in memory

# Behind 0xFF: what ends a run of entropy-coded bytes, in JPEG and in JPEG-LS (T.81 B.1.1.5, T.87 A.1); not RSTn, not fill bytes.
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]", re.DOTALL)
_SOI, _EOI, _SOS, _APP0, _ICC, _SPIFF, _ADOBE, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE2, 0xE8, 0xEE, 0xFE
_APPLICATIONS = range(0xE0, 0xF0)
_JFIF = 14  # bytes of JFIF's APP0 before its thumbnail
_ADOBES = 12  # bytes of Adobe's APP14


Walk = Callable[[Buffer, int, int], Iterator[tuple[int, int]]]  # a picture's bytes: what of them becomes zeros


class NotLookedThrough(ValueError):
    """Its fragments are none that can be looked through: says why, and quotes nothing."""


def blanked(data: Buffer, encoding: Encoding, pixels: Element, transfer_syntax_uid: str) -> list[Span]:
    """What of encapsulated pixel data becomes zeros, in its order. NotLookedThrough."""
    if transfer_syntax_uid == _RLE:
        return []  # runs of samples, and nothing else
    walk, begin = _how(transfer_syntax_uid)
    try:
        fragments = list(items(data, encoding, pixels))[1:]  # the first is the offset table
    except DataSetMalformed:
        raise NotLookedThrough("its fragments are damaged") from None
    found: list[Span] = []
    for frame in _frames(data, [span for span in fragments if span.end > span.start], begin):
        found += _in_file(frame, walk, data)
    return found


def _how(transfer_syntax_uid: str) -> tuple[Walk, bytes]:
    """How a picture is walked, and how it begins."""
    if transfer_syntax_uid in _JPEG:
        return _jpeg, b"\xff\xd8"
    if transfer_syntax_uid in _JPEG_2000:
        return _jpeg_2000, b"\xff\x4f"
    raise NotLookedThrough("a film, or another stream that can tell more than its pictures")


def without(pieces: Sequence[Piece], blanks: Sequence[Span]) -> list[Piece]:
    """The same pieces with zeros in those places."""
    found: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            found.append(piece)
            continue
        at = piece.start
        for blank in blanks:
            start, end = max(blank.start, at), min(blank.end, piece.end)
            if start < end:
                if start > at:
                    found.append(Span(at, start))
                found.append(bytes(end - start))
                at = end
        if at < piece.end:
            found.append(Span(at, piece.end))
    return found


def _frames(data: Buffer, fragments: Sequence[Span], begin: bytes) -> Iterator[list[Span]]:
    """Fragments that belong together: a frame begins as a picture does."""
    frame: list[Span] = []
    for span in fragments:
        if bytes(data[span.start : span.start + 2]) == begin:
            if frame:
                yield frame
            frame = []
        elif not frame:
            raise NotLookedThrough("its fragments do not begin as pictures of its transfer syntax do")
        frame.append(span)
    if frame:
        yield frame


def _in_file(frame: Sequence[Span], walk: Walk, data: Buffer) -> Iterator[Span]:
    """Where in the file a frame is to be blanked."""
    if len(frame) == 1:
        yield from (Span(start, end) for start, end in walk(data, frame[0].start, frame[0].end))
        return
    size = sum(span.end - span.start for span in frame)
    if size > LARGEST_FRAME:
        raise NotLookedThrough(f"a frame in fragments of more than {LARGEST_FRAME:,} bytes")
    whole = b"".join(bytes(data[span.start : span.end]) for span in frame)
    for start, end in walk(whole, 0, size):
        begins = 0
        for span in frame:
            ends = begins + span.end - span.start
            low, high = max(start, begins), min(end, ends)
            if low < high:
                yield Span(span.start + low - begins, span.start + high - begins)
            begins = ends


# --- one picture ------------------------------------------------------------------------------------------------------


def _jpeg(data: Buffer, at: int, end: int) -> Iterator[tuple[int, int]]:
    """ITU-T T.81 B.2, T.87 C.2: segments up to the end of image, and what lies behind it."""
    at += 2
    while True:
        marker, at = _marker(data, at, end)
        if marker == _EOI:
            yield from _some(at, end)
            return
        if marker == _SOI or 0xD0 <= marker <= 0xD7 or marker == 0x01:
            continue
        body, at = _body(data, at, end)
        if marker == _COM or marker in _APPLICATIONS:
            yield from _some(body + _kept(marker, bytes(data[body : min(body + 16, at)])), at)
        if marker == _SOS:
            at = _next_marker(data, at, end)


def _next_marker(data: Buffer, at: int, end: int) -> int:
    """Where a run of entropy-coded bytes ends."""
    if not isinstance(data, Window):
        found = _MARKER.search(data, at, end)
        if found is not None:
            return found.start()
    else:
        for start in range(at, end, _SEARCHED):  # a byte more of each piece: a marker may lie across
            found = _MARKER.search(data[start : min(start + _SEARCHED + 1, end)])
            if found is not None:
                return start + found.start()
    raise NotLookedThrough("a compressed picture is cut off")


def _kept(marker: int, head: bytes) -> int:
    """How many bytes of an application's segment say how samples are to be understood, and stay."""
    if marker == _APP0 and head.startswith(b"JFIF\0"):
        return _JFIF
    if marker == _ADOBE and head.startswith(b"Adobe"):
        return _ADOBES
    if (marker == _ICC and head.startswith(b"ICC_PROFILE\0")) or (
        marker == _SPIFF and head.startswith((b"SPIFF", b"mrfx"))
    ):
        return 1 << 16
    return 0


def _jpeg_2000(data: Buffer, at: int, end: int) -> Iterator[tuple[int, int]]:
    """ITU-T T.800 A.3, A.4.2: comments of the main header and of each tile-part's."""
    at += 2
    tile_ends = 0  # of the tile-part whose header is read; 0: the main header
    while True:
        marker, after = _marker(data, at, end)
        if marker == 0xD9:
            yield from _some(after, end)
            return
        if marker == 0x93:  # start of data: to the next tile-part
            if tile_ends < after:
                raise NotLookedThrough("a tile-part that says no length")
            at = tile_ends
            continue
        body, next_at = _body(data, after, end)
        if marker == 0x90:  # start of tile-part: Isot, Psot
            length = int.from_bytes(data[body + 2 : body + 6], "big")
            tile_ends = at + length if length else end - 2
            if tile_ends > end:
                raise NotLookedThrough("a compressed picture is cut off")
        elif marker == 0x64:  # comment: its registration (2 bytes), its text
            yield from _some(body + 2, next_at)
        at = next_at


def _marker(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """The second byte of a marker, and where it ends; fill bytes may stand before it (T.81 B.1.1.2)."""
    if at + 2 > end or data[at] != 0xFF:
        raise NotLookedThrough("a compressed picture is cut off, or damaged")
    while at + 2 < end and data[at + 1] == 0xFF:
        at += 1
    return data[at + 1], at + 2


def _body(data: Buffer, at: int, end: int) -> tuple[int, int]:
    length = int.from_bytes(data[at : at + 2], "big")
    if length < 2 or at + length > end:
        raise NotLookedThrough("a compressed picture is cut off, or damaged")
    return at + 2, at + length


def _some(start: int, end: int) -> Iterator[tuple[int, int]]:
    if start < end:
        yield start, end
