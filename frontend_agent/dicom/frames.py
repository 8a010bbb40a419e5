"""Where the frames of an image lie in its data set (PS3.5 §8.2, annex A.4): places of bytes, nothing is decoded. Pure."""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from frontend_agent.dicom.elements import ITEM, PIXEL_DATA, Buffer, Element, structs_of, walk
from frontend_agent.dicom.header import Header
from frontend_agent.dicom.json_model import swapped
from frontend_agent.dicom.nesting import Span
from frontend_agent.dicom.uids import Encoding, encoding_of, is_encapsulated

MOST_FRAMES = 1_000_000  # of one object; whoever says more says nonsense
MOST_FRAGMENTS = 1_000_000
PIECE = 1 << 20  # bytes that are read at a time: a whole number of words
_EXTENDED_OFFSETS = 0x7FE0_0001
_PIXELS = frozenset((PIXEL_DATA, 0x7FE0_0008, 0x7FE0_0009))  # native; Float, Double Float
# How a compressed frame begins: JPEG and JPEG-LS, JPEG 2000, JP2 (PS3.5 A.4). Where no table says which fragments are one frame.
_BEGINS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")


class NoFrames(ValueError):
    """The object has no frames that can be told apart. Says why."""


class Frames(Protocol):
    """The frames of one object. What is known of them takes little memory, however many they are said to be."""

    def __len__(self) -> int: ...

    def size(self, number: int) -> int:
        """Bytes of a frame, counted from 1. IndexError: there is none."""

    def pieces(self, data: Buffer, number: int) -> Iterator[bytes]:
        """One frame, in pieces of a few megabytes at most: native pixels in little endian, or compressed as they are."""


class Native(NamedTuple):
    """Frames of one size, one behind the other from bit `at` on; 1-bit frames need not begin at bytes (PS3.5 D.1)."""

    frames: int
    at: int
    bits: int  # of a frame
    word: int  # bytes of a word that is turned round; 1 where none is

    def __len__(self) -> int:
        return self.frames

    def size(self, number: int) -> int:
        if not 1 <= number <= self.frames:
            raise IndexError(number)
        return (self.bits + 7) // 8

    def pieces(self, data: Buffer, number: int) -> Iterator[bytes]:
        size = self.size(number)
        begins = self.at + self.bits * (number - 1)
        for done in range(0, size, PIECE):
            first, last = begins + 8 * done, begins + min(8 * (done + PIECE), self.bits)
            raw = bytes(data[first // 8 : (last + 7) // 8])
            if self.bits % 8:  # pixels are packed from the least significant bit on
                some = (int.from_bytes(raw, "little") >> first % 8) & ((1 << last - first) - 1)
                raw = some.to_bytes((last - first + 7) // 8, "little")
            yield swapped(raw, self.word) if self.word > 1 else raw


class Compressed(NamedTuple):
    """Fragments, from byte `starts` to byte `ends` each; a frame begins with each fragment whose number is in `firsts`."""

    starts: Sequence[int]
    ends: Sequence[int]
    firsts: Sequence[int]

    def __len__(self) -> int:
        return len(self.firsts)

    def _fragments(self, number: int) -> range:
        if not 1 <= number <= len(self.firsts):
            raise IndexError(number)
        return range(self.firsts[number - 1], self.firsts[number] if number < len(self.firsts) else len(self.starts))

    def size(self, number: int) -> int:
        return sum(self.ends[one] - self.starts[one] for one in self._fragments(number))

    def pieces(self, data: Buffer, number: int) -> Iterator[bytes]:
        for one in self._fragments(number):
            for start in range(self.starts[one], self.ends[one], PIECE):
                yield bytes(data[start : min(start + PIECE, self.ends[one])])


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
        return _compressed(data, encoding, pixels, elements, header.frames)
    return _native(header, encoding, pixels)


def one_of(data: Buffer, header: Header, at: int) -> Frames:
    """All pixels as if they were one frame: a video's stream, or fragments that cannot be told apart. NoFrames."""
    return frames_of(data, msgspec.structs.replace(header, frames=1), at)


def _native(header: Header, encoding: Encoding, pixels: Element) -> Native:
    samples = header.rows * header.columns * max(header.samples_per_pixel, 1)
    bits = samples * header.bits_allocated
    if header.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422") and header.samples_per_pixel == 3:
        bits = bits * 2 // 3  # two pixels share their chroma (PS3.3 C.7.6.3.1.2)
    if bits <= 0:
        raise NoFrames("it does not say how large its frames are")
    if bits * header.frames > pixels.length * 8:
        raise NoFrames("its pixel data are shorter than rows, columns and frames say")
    word = header.bits_allocated // 8 if header.bits_allocated in (16, 32, 64) else 2 if pixels.vr == "OW" else 1
    return Native(header.frames, pixels.start * 8, bits, word if encoding.is_big_endian and not bits % 8 else 1)


def _compressed(
    data: Buffer, encoding: Encoding, pixels: Element, elements: dict[int, Element], frames: int
) -> Compressed:
    places = _fragments(data, encoding, pixels)
    table = next(places, Span(0, 0))
    starts, ends = array("Q"), array("Q")
    for one in places:
        if len(starts) == MOST_FRAGMENTS:
            raise NoFrames(f"its pixel data have more than {MOST_FRAGMENTS} fragments")
        starts.append(one.start)
        ends.append(one.end)
    if not starts:
        raise NoFrames("its pixel data have no fragments")
    if frames == 1:
        return Compressed(starts, ends, (0,))
    if len(starts) == frames:
        return Compressed(starts, ends, range(frames))
    begins = _offsets(data, table, elements.get(_EXTENDED_OFFSETS), frames)
    if begins:
        return Compressed(starts, ends, _firsts(starts, begins))
    firsts = [at for at, start in enumerate(starts) if bytes(data[start : start + 8]).startswith(_BEGINS)]
    if len(firsts) != frames or firsts[0] != 0:
        raise NoFrames(
            "which of its fragments are which frame cannot be told: it is one stream, or its offset table is wrong"
        )
    return Compressed(starts, ends, firsts)


def _fragments(data: Buffer, encoding: Encoding, pixels: Element) -> Iterator[Span]:
    """The basic offset table, and the fragments."""
    tags, lengths = structs_of(encoding, data)
    at = pixels.start
    while pixels.end - at >= 8:
        group, element = tags.unpack_from(data, at)
        length = lengths.unpack_from(data, at + 4)[0]
        if group << 16 | element != ITEM:
            return
        yield Span(at + 8, min(at + 8 + length, pixels.end))
        at += 8 + length


def _offsets(data: Buffer, table: Span, extended: Element | None, frames: int) -> Sequence[int]:
    """Where each frame's first fragment begins, from the first fragment's item on (PS3.5 A.4). Empty: no table says it."""
    if extended is not None and extended.length == 8 * frames:
        return struct.unpack(f"<{frames}Q", data[extended.start : extended.end])
    if table.end - table.start == 4 * frames:
        return struct.unpack(f"<{frames}I", data[table.start : table.end])
    return ()


def _firsts(starts: Sequence[int], begins: Sequence[int]) -> Sequence[int]:
    """The number of each frame's first fragment."""
    firsts = array("Q")
    for begin in begins:
        at = bisect_left(starts, starts[0] + begin)
        if at == len(starts) or starts[at] != starts[0] + begin or at <= (firsts[-1] if firsts else -1):
            raise NoFrames("its offset table does not fit its fragments")
        firsts.append(at)
    if firsts[0] != 0:
        raise NoFrames("its offset table does not fit its fragments")
    return firsts
