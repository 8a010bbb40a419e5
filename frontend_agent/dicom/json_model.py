"""A data set as DICOM JSON (PS3.18 annex F): read from where it lies, nothing of its bulk is copied. Pure.

Texts are decoded by the data set's own character set, or that of their item; what it does not explain is U+FFFD. Values that are
long or binary are named by an address (BulkDataURI) instead: `path` of an element is its tag, in a sequence
`SEQUENCE/ITEM/TAG`, items counted from 0.
"""

import base64
import math
import struct
from array import array
from collections.abc import Callable
from typing import Any

from frontend_agent.dicom.charsets import decoded
from frontend_agent.dicom.elements import DEEPEST, Buffer, DataSetMalformed, Element, walk
from frontend_agent.dicom.nesting import ONE_TEXT, TEXTS, Span, inner_encoding, is_sequence, items, vr_of
from frontend_agent.dicom.uids import Encoding

LONGEST_INLINE = 1024  # bytes of a binary value; a longer one is named by its address
MOST_VALUES = 1_000_000  # elements and items of one data set, and 16 bytes each of what is shown of them: the memory that it may take
LONGEST_TEXT = 1 << 20  # bytes of a text that is shown; what is longer is no text of a header
_BINARY = {"OB": 1, "OW": 2, "OL": 4, "OV": 8, "OF": 4, "OD": 8, "UN": 1}  # bytes of a word
_NUMBERS = {"FL": "f", "FD": "d", "SL": "i", "SS": "h", "UL": "I", "US": "H", "SV": "q", "UV": "Q"}
_CHARSET = 0x0008_0005
_PIXEL_REPRESENTATION = 0x0028_0103
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Address = Callable[[str], str]  # path -> BulkDataURI


def json_of(data: Buffer, encoding: Encoding, at: int, address: Address, end: int | None = None) -> dict[str, Any]:
    """The attributes of a data set by their tags. DataSetMalformed: it can be read no further."""
    span = Span(at, len(data) if end is None else end)
    return _object(data, encoding, span, address, "", "", False, 0, _Room(MOST_VALUES))


class _Room:
    """How much more may be shown of a data set."""

    def __init__(self, values: int) -> None:
        self._left = values

    def take(self, size: int) -> None:
        """For one element or item of so many bytes. DataSetMalformed: there is no more."""
        self._left -= 1 + size // 16
        if self._left < 0:
            raise DataSetMalformed("it has more elements than are shown")


def _object(
    data: Buffer,
    encoding: Encoding,
    span: Span,
    address: Address,
    path: str,
    charset: str,
    signed: bool,
    depth: int,
    room: _Room,
) -> dict[str, Any]:
    if depth > DEEPEST:
        raise DataSetMalformed(f"sequences are nested deeper than {DEEPEST}")
    found: dict[str, Any] = {}
    room.take(0)
    for element in walk(data, encoding, span.start, end=span.end):
        if element.tag & 0xFFFF == 0:
            continue  # group lengths say nothing here
        if element.tag == _CHARSET:
            charset = bytes(data[element.start : element.end]).decode("ascii", "replace").strip(" \0")
        elif element.tag == _PIXEL_REPRESENTATION and element.length == 2:
            signed = any(data[element.start : element.end])
        tag = f"{element.tag:08X}"
        room.take(element.length if 0 < element.length <= LONGEST_TEXT and not is_sequence(element) else 0)
        if is_sequence(element):
            inner = inner_encoding(element, encoding)
            objects = [
                _object(data, inner, item, address, f"{path}{tag}/{number}/", charset, signed, depth + 1, room)
                for number, item in enumerate(items(data, encoding, element))
            ]
            found[tag] = _with("SQ", objects)
        else:
            found[tag] = _value(data, encoding, element, path + tag, address, charset, signed)
    if _key(_CHARSET) in found:
        found[_key(_CHARSET)] = _with("CS", ["ISO_IR 192"])  # JSON is UTF-8 (PS3.18 F.2)
    return found


def _key(tag: int) -> str:
    return f"{tag:08X}"


def _with(vr: str, values: list[Any]) -> dict[str, Any]:
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _value(
    data: Buffer, encoding: Encoding, element: Element, path: str, address: Address, charset: str, signed: bool
) -> dict[str, Any]:
    vr = _settled(vr_of(element), signed)
    if element.length == 0:
        return {"vr": vr}
    if vr in _BINARY:
        if element.length < 0 or element.length > LONGEST_INLINE:
            return {"vr": vr, "BulkDataURI": address(path)}
        raw = little_endian(bytes(data[element.start : element.end]), vr, encoding)
        return {"vr": vr, "InlineBinary": base64.b64encode(raw).decode()}
    if element.length > LONGEST_TEXT:
        return {"vr": vr, "BulkDataURI": address(path)}
    raw = bytes(data[element.start : element.end])
    if vr in _NUMBERS:
        return _with(vr, _numbers(raw, _NUMBERS[vr], encoding))
    if vr == "AT":
        pairs = _numbers(raw, "H", encoding)
        return _with(vr, [f"{pairs[i]:04X}{pairs[i + 1]:04X}" for i in range(0, len(pairs) - 1, 2)])
    return _with(vr, _texts(raw, vr, charset))


def _settled(vr: str, signed: bool) -> str:
    """The dictionary leaves some to the pixels' representation: `US or SS`, `OB or OW` (PS3.5 annex A.1)."""
    if " or " not in vr:
        return vr
    if "OW" in vr:
        return "OW"
    return "SS" if signed else "US"


def _numbers(raw: bytes, letter: str, encoding: Encoding) -> list[Any]:
    size = struct.calcsize("=" + letter)
    order = ">" if encoding.is_big_endian else "<"
    count = len(raw) // size
    values = struct.unpack(f"{order}{count}{letter}", raw[: count * size])
    return [None if isinstance(one, float) and not math.isfinite(one) else one for one in values]


def _texts(raw: bytes, vr: str, charset: str) -> list[Any]:
    if vr in TEXTS:
        text, _ = decoded(raw, charset, is_name=vr == "PN")
    else:
        text = raw.decode("ascii", "replace")
    text = text.strip("\0")
    if vr in ONE_TEXT or vr == "UR":
        stripped = text.rstrip(" ")
        return [stripped] if stripped else []
    values = [one.strip(" \0") for one in text.split("\\")]
    if not any(values):
        return []
    return [_typed(one, vr) if one else None for one in values]


def _typed(text: str, vr: str) -> Any:
    if vr == "PN":
        return {name: group for name, group in zip(_GROUPS, text.split("="), strict=False) if group}
    if vr in ("IS", "DS"):
        try:
            number = int(text) if vr == "IS" else float(text)
        except ValueError:
            return text  # as it is written: it is no number, and is shown all the same
        return number if math.isfinite(number) else text
    return text


def find(data: Buffer, encoding: Encoding, at: int, path: str) -> tuple[Element, Encoding] | None:
    """The element that a path of `json_of` names, and how it is written. None: there is none."""
    steps = path.split("/")
    if len(steps) % 2 == 0 or not all(_is_step(step, number) for number, step in enumerate(steps)):
        return None
    span = Span(at, len(data))
    for number in range(0, len(steps), 2):
        tag = int(steps[number], 16)
        element = next((one for one in walk(data, encoding, span.start, tag + 1, span.end) if one.tag == tag), None)
        if element is None or number == len(steps) - 1:
            return None if element is None else (element, encoding)
        if not is_sequence(element):
            return None
        wanted = int(steps[number + 1])
        inside = next((item for n, item in enumerate(items(data, encoding, element)) if n == wanted), None)
        if inside is None:
            return None
        span, encoding = inside, inner_encoding(element, encoding)
    return None


def _is_step(step: str, number: int) -> bool:
    if number % 2:
        return step.isdecimal() and step.isascii() and len(step) <= 6
    return len(step) == 8 and all(letter in "0123456789abcdefABCDEF" for letter in step)


def little_endian(raw: bytes, vr: str, encoding: Encoding) -> bytes:
    """Binary values always leave in little endian (PS3.18 F.2.7, 8.7.3.5)."""
    word = _BINARY.get(vr, 1)
    return swapped(raw, word) if encoding.is_big_endian and word > 1 else raw


def swapped(raw: bytes, word: int) -> bytes:
    """Bytes of words, each turned round. A last word that is cut stays as it is."""
    whole = len(raw) - len(raw) % word
    words = array({2: "H", 4: "I", 8: "Q"}[word])
    words.frombytes(raw[:whole])
    words.byteswap()
    return words.tobytes() + raw[whole:]
