"""Where the frames of an image lie in its data set (PS3.5 §8.2, annex A.4): places of bytes, nothing is decoded. Pure."""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from frontend_agent.dicom.elements import ITEM, PIXEL_DATA, Buffer, Element, structs_of, walk
from frontend_agent.dicom.header import Header
from frontend_agent.dicom.json_model import swapped
from frontend_agent.dicom.nesting import Span
from frontend_agent.dicom.uids import Encoding, encoding_of, is_encapsulated

MOST_FRAMES = 1_000_000  # of one object; whoever says more says nonsense
_EXTENDED_OFFSETS = 0x7FE0_0001
_PIXELS = frozenset((PIXEL_DATA, 0x7FE0_0008, 0x7FE0_0009))  # native; Float, Double Float
# How a compressed frame begins: JPEG and JPEG-LS, JPEG 2000, JP2 (PS3.5 A.4). Where no table says which fragments are one frame.
_BEGINS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")


class NoFrames(ValueError):
    """The object has no frames that can be told apart. Says why."""


class Frames(NamedTuple):
    """The frames of one object. Each is one or more places that belong together."""

    places: Sequence[Sequence[Span]]
    encoding: Encoding
    word: int  # bytes of a native pixel's word, turned round where the data set is big endian
    bits: int = 0  # of a native frame, where frames do not begin at bytes (1 bit a pixel); else 0

    def __len__(self) -> int:
        return len(self.places)

    def read(self, data: Buffer, number: int) -> bytes:
        """One frame, counted from 1: native pixels in little endian, or compressed as they are. IndexError: there is none."""
        if not 1 <= number <= len(self.places):
            raise IndexError(number)
        raw = b"".join(bytes(data[place.start : place.end]) for place in self.places[number - 1])
        if self.bits:
            return _bits(raw, (number - 1) * self.bits % 8, self.bits)
        return swapped(raw, self.word) if self.encoding.is_big_endian and self.word > 1 else raw


def frames_of(data: Buffer, header: Header, at: int) -> Frames:
    """Of the data set that begins at `at`. A deflated one is to be inflated before, and is explicit VR then."""
    syntax = header.transfer_syntax_uid
    encoding = encoding_of(syntax)
    if encoding.is_deflated:
        encoding = Encoding()
    elements = {one.tag: one for one in walk(data, encoding, at) if one.tag >= _EXTENDED_OFFSETS}
    pixels = next((elements[tag] for tag in _PIXELS if tag in elements), None)
    if pixels is None:
        raise NoFrames("it has no pixel data")
    if not 1 <= header.frames <= MOST_FRAMES:
        raise NoFrames("its number of frames is none")
    if is_encapsulated(syntax) or pixels.length < 0:
        return Frames(_encapsulated(data, encoding, pixels, elements, header.frames), encoding, 1)
    return _native(header, encoding, pixels)


def _native(header: Header, encoding: Encoding, pixels: Element) -> Frames:
    samples = header.rows * header.columns * max(header.samples_per_pixel, 1)
    bits = samples * header.bits_allocated
    if header.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422") and header.samples_per_pixel == 3:
        bits = bits * 2 // 3  # two pixels share their chroma (PS3.3 C.7.6.3.1.2)
    if bits <= 0:
        raise NoFrames("it does not say how large its frames are")
    if bits * header.frames > pixels.length * 8:
        raise NoFrames("its pixel data are shorter than rows, columns and frames say")
    word = header.bits_allocated // 8 if header.bits_allocated in (16, 32, 64) else 2 if pixels.vr == "OW" else 1
    places = [
        (Span(pixels.start + bits * number // 8, pixels.start + (bits * (number + 1) + 7) // 8),)
        for number in range(header.frames)
    ]
    return Frames(places, encoding, word, bits if bits % 8 else 0)


def _bits(raw: bytes, skip: int, bits: int) -> bytes:
    """A frame that does not begin at a byte: pixels are packed from the least significant bit on (PS3.5 D.1)."""
    number = (int.from_bytes(raw, "little") >> skip) & ((1 << bits) - 1)
    return number.to_bytes((bits + 7) // 8, "little")


def _encapsulated(
    data: Buffer, encoding: Encoding, pixels: Element, elements: dict[int, Element], frames: int
) -> list[list[Span]]:
    table, *fragments = _fragments(data, encoding, pixels)
    if not fragments:
        raise NoFrames("its pixel data have no fragments")
    if frames == 1:
        return [fragments]
    if len(fragments) == frames:
        return [[one] for one in fragments]
    begins = _offsets(data, table, elements.get(_EXTENDED_OFFSETS))
    if len(begins) != frames:
        begins = [
            one.start - fragments[0].start
            for one in fragments
            if bytes(data[one.start : one.start + 8]).startswith(_BEGINS)
        ]
    if len(begins) != frames:
        raise NoFrames(
            "which of its fragments are which frame cannot be told: it is one stream, or its offset table is wrong"
        )
    return _grouped(fragments, begins)


def _fragments(data: Buffer, encoding: Encoding, pixels: Element) -> Iterator[Span]:
    """The basic offset table, and the fragments."""
    tags, lengths = structs_of(encoding)
    at = pixels.start
    while pixels.end - at >= 8:
        group, element = tags.unpack_from(data, at)
        length = lengths.unpack_from(data, at + 4)[0]
        if group << 16 | element != ITEM:
            return
        yield Span(at + 8, min(at + 8 + length, pixels.end))
        at += 8 + length


def _offsets(data: Buffer, table: Span, extended: Element | None) -> list[int]:
    """Where each frame's first fragment begins, from the first fragment's item on (PS3.5 A.4)."""
    if extended is not None and extended.length > 0:
        count = extended.length // 8
        return list(struct.unpack_from(f"<{count}Q", data, extended.start))
    count = (table.end - table.start) // 4
    return list(struct.unpack_from(f"<{count}I", data, table.start))


def _grouped(fragments: Sequence[Span], begins: Sequence[int]) -> list[list[Span]]:
    first = fragments[0].start
    numbers = {begin: number for number, begin in enumerate(begins)}
    grouped: list[list[Span]] = [[] for _ in begins]
    frame = 0
    for one in fragments:
        frame = numbers.get(one.start - first, frame)
        grouped[frame].append(one)
    if not all(grouped):
        raise NoFrames("its offset table does not fit its fragments")
    return grouped
