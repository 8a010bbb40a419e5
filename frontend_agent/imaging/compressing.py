"""Native pixels compressed without loss, for a destination that asks for it (PS3.5 A.4). What is compressed already stays as it is.

The header is copied, or written as explicit VR where it was implicit; frames go one by one through the process that touches pixels,
which decodes each again and compares it. Memory holds one frame. The instance stays the same instance: lossless is no derivation
(PS3.3 C.7.6.1.1.5).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from frontend_agent.dicom.elements import DEEPEST, PIXEL_DATA, Buffer, DataSetMalformed, Element, walk
from frontend_agent.dicom.nesting import inner_encoding, is_sequence, items, vr_of
from frontend_agent.dicom.rewriting import chunks, element, sequence, spliced
from frontend_agent.dicom.uids import EXPLICIT_LE, IMPLICIT_LE, Encoding, encoding_of
from frontend_agent.imaging.pixels.asking import Frame, PixelsFailed
from frontend_agent.sealed_files import Window

SYNTAXES = {
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-2000": "1.2.840.10008.1.2.4.90",
}
_PHOTOMETRICS = frozenset(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL"))
_SIGNATURES, _TRAILING = 0xFFFA_FFFA, 0xFFFC_FFFC
_NUMBERS = {
    0x0028_0002: "samples", 0x0028_0006: "planar", 0x0028_0010: "rows", 0x0028_0011: "columns", 0x0028_0100: "allocated",
    0x0028_0101: "stored", 0x0028_0102: "high", 0x0028_0103: "signed",
}  # fmt: skip
_PHOTOMETRIC, _FRAMES, _PLANAR = 0x0028_0004, 0x0028_0008, 0x0028_0006
_EXPLICIT = Encoding()
_UNDEFINED = b"\xff\xff\xff\xff"
_MOST_SHORT = 0xFFFE

Compress = Callable[[Frame, "bytes | memoryview"], bytes]


class StaysAsItIs(Exception):
    """It is not compressed, and why. Nothing is wrong with it."""


class _Pixels(NamedTuple):
    """How the pixels of an instance lie (PS3.3 C.7.6.3)."""

    frame: Frame
    frames: int
    at: int
    size: int  # bytes of one frame


def compressed(data: Buffer, transfer_syntax_uid: str, at: int, kind: str, compress: Compress) -> Iterator[bytes]:
    """The data set in the transfer syntax of `kind`, frame by frame. StaysAsItIs, before or in the middle: what was taken is void."""
    if transfer_syntax_uid not in (EXPLICIT_LE, IMPLICIT_LE):
        raise StaysAsItIs("it is compressed, deflated or big endian")
    encoding = encoding_of(transfer_syntax_uid)
    pixels = _pixels(data, encoding, at, SYNTAXES[kind])
    planar = pixels.frame.samples_per_pixel > 1

    def head(one: Element) -> bytes | None:
        if one.tag == _PLANAR and planar:
            # RLE holds colour by plane, the others by pixel, whatever it was (PS3.5 §8.2.2, §8.2.3, §8.2.4).
            return element(_EXPLICIT, _PLANAR, "US", (1 if kind == "rle" else 0).to_bytes(2, "little"))
        return b"" if one.tag >= PIXEL_DATA else None

    if encoding.is_implicit:
        yield from _explicit_head(data, encoding, at, head)
    else:
        yield from chunks(spliced(data, encoding, at, head), lambda start, end: bytes(data[start:end]))
    yield (
        b"\xe0\x7f\x10\x00OB\0\0" + _UNDEFINED + b"\xfe\xff\x00\xe0\0\0\0\0"
    )  # an empty offset table: a fragment is a frame
    view = data if isinstance(data, Window) else memoryview(data)
    try:
        for number in range(pixels.frames):
            start = pixels.at + number * pixels.size
            with memoryview(view[start : start + pixels.size]) as samples:
                try:
                    fragment = compress(pixels.frame, samples)
                except PixelsFailed as error:
                    raise StaysAsItIs(str(error)) from None
            fragment += b"\0" * (len(fragment) % 2)
            yield b"\xfe\xff\x00\xe0" + len(fragment).to_bytes(4, "little") + fragment
    finally:
        if isinstance(view, memoryview):
            view.release()
    yield b"\xfe\xff\xdd\xe0\0\0\0\0"


def _pixels(data: Buffer, encoding: Encoding, at: int, transfer_syntax_uid: str) -> _Pixels:
    said: dict[str, int] = {}
    photometric, frames, pixel = "", 1, None
    for one in walk(data, encoding, at):
        if one.tag in _NUMBERS and one.length == 2:
            said[_NUMBERS[one.tag]] = int.from_bytes(data[one.start : one.end], "little")
        elif one.tag == _PHOTOMETRIC:
            photometric = bytes(data[one.start : one.end]).strip(b" \0").decode("ascii", "replace")
        elif one.tag == _FRAMES:
            text = bytes(data[one.start : one.end]).strip(b" \0")
            frames = int(text) if text.isdigit() else 1
        elif one.tag == PIXEL_DATA:
            pixel = one
        elif one.tag == _SIGNATURES:
            raise StaysAsItIs("it is signed: its bytes must not change")
    if pixel is None or pixel.length < 0:
        raise StaysAsItIs("it has no native pixels")
    samples, allocated = said.get("samples", 1), said.get("allocated", 0)
    size = said.get("rows", 0) * said.get("columns", 0) * samples * allocated // 8
    if allocated not in (8, 16) or samples not in (1, 3) or photometric not in _PHOTOMETRICS:
        raise StaysAsItIs("its kind of pixels is not compressed")
    if not size or not 0 <= pixel.length - frames * size <= 1:
        raise StaysAsItIs("its pixels are not as long as it says")
    stored = said.get("stored", allocated)
    frame = Frame(transfer_syntax_uid, said["rows"], said["columns"], samples, photometric, allocated, stored, said.get("signed", 0), said.get("planar", 0))  # fmt: skip
    return _Pixels(frame, frames, pixel.start, size)


# --- implicit VR written as explicit (PS3.5 §7.1.2) -------------------------------------------------------------------


def _explicit_head(
    data: Buffer, encoding: Encoding, at: int, replace: Callable[[Element], bytes | None]
) -> Iterator[bytes]:
    signed = _is_signed(data, encoding, at)
    for one in walk(data, encoding, at):
        given = replace(one)
        if given is not None:
            yield given
        elif one.tag & 0xFFFF:  # group lengths are wrong now, and need not be there
            yield _explicit(data, encoding, one, signed)


def _explicit(data: Buffer, encoding: Encoding, one: Element, signed: bool, depth: int = 0) -> bytes:
    if depth > DEEPEST:
        raise StaysAsItIs(f"sequences are nested deeper than {DEEPEST}")
    if is_sequence(one):
        inner = inner_encoding(one, encoding)
        contents = [
            b"".join(
                _explicit(data, inner, nested, signed, depth + 1)
                for nested in walk(data, inner, span.start, end=span.end)
                if nested.tag & 0xFFFF
            )
            for span in items(data, encoding, one)
        ]
        return sequence(_EXPLICIT, one.tag, contents)
    if one.length < 0:
        raise DataSetMalformed("a value of undefined length that is no sequence")
    vr = vr_of(one)
    if " or " in vr:
        vr = ("SS" if signed else "US") if vr.startswith("US or SS") and "OW" not in vr else "OW"
    value = bytes(data[one.start : one.end])
    try:
        return element(_EXPLICIT, one.tag, vr, value)
    except ValueError:
        return element(_EXPLICIT, one.tag, "UN", value)  # too long for a length of two bytes (PS3.5 §6.2.2, note 5)


def _is_signed(data: Buffer, encoding: Encoding, at: int) -> bool:
    return any(
        one.tag == 0x0028_0103 and bytes(data[one.start : one.end]) == b"\x01\x00"
        for one in walk(data, encoding, at, until=0x0028_0104)
    )
