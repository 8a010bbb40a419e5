"""What we know of an instance, read from its elements up to the pixels (PS3.3, PS3.6). Names are the standard's keywords."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from frontend_agent.dicom.charsets import decoded
from frontend_agent.dicom.elements import PIXEL_DATA, Buffer, DataSetMalformed, walk
from frontend_agent.dicom.uids import Encoding, encoding_of, is_uid

DEFLATED_HEAD = 4 << 20  # bytes of a deflated data set in which its header must lie
LARGEST_HEADER = 64 << 20  # bytes of a deflated data set that are inflated at most to find its header (threat D4)
_INFLATED_AT_ONCE = 1 << 16  # bytes
_LONGEST_VALUE = 4096  # bytes; whatever is longer is none of what is read here

# keyword -> tag. Those of _TEXTS are decoded by the data set's character set, the others are ASCII.
TAGS: dict[str, int] = {
    "specific_character_set": 0x0008_0005, "image_type": 0x0008_0008, "sop_class_uid": 0x0008_0016,
    "sop_instance_uid": 0x0008_0018, "study_date": 0x0008_0020, "series_date": 0x0008_0021, "acquisition_date": 0x0008_0022,
    "content_date": 0x0008_0023, "study_time": 0x0008_0030, "accession_number": 0x0008_0050, "modality": 0x0008_0060,
    "manufacturer": 0x0008_0070, "institution_name": 0x0008_0080, "referring_physician_name": 0x0008_0090,
    "station_name": 0x0008_1010, "study_description": 0x0008_1030, "series_description": 0x0008_103E,
    "patient_name": 0x0010_0010, "patient_id": 0x0010_0020, "issuer_of_patient_id": 0x0010_0021,
    "patient_birth_date": 0x0010_0030, "patient_sex": 0x0010_0040, "patient_age": 0x0010_1010,
    "body_part_examined": 0x0018_0015, "study_instance_uid": 0x0020_000D, "series_instance_uid": 0x0020_000E,
    "study_id": 0x0020_0010, "series_number": 0x0020_0011, "instance_number": 0x0020_0013, "laterality": 0x0020_0060,
    "image_laterality": 0x0020_0062, "samples_per_pixel": 0x0028_0002, "photometric_interpretation": 0x0028_0004,
    "number_of_frames": 0x0028_0008, "rows": 0x0028_0010, "columns": 0x0028_0011, "bits_allocated": 0x0028_0100,
    "burned_in_annotation": 0x0028_0301,
}  # fmt: skip
_NAME_OF = {tag: name for name, tag in TAGS.items()}
_NUMBERS = frozenset(("samples_per_pixel", "rows", "columns", "bits_allocated"))  # US
_TEXTS = frozenset(
    ("institution_name", "referring_physician_name", "station_name", "study_description", "series_description", "patient_name",
     "patient_id", "issuer_of_patient_id", "accession_number", "study_id", "manufacturer")
)  # fmt: skip


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instance. "" and 0 where it does not say it; several values of one element are joined by a backslash, as it writes them."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    specific_character_set: str = ""
    image_type: str = ""
    study_date: str = ""
    series_date: str = ""
    acquisition_date: str = ""
    content_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    modality: str = ""
    manufacturer: str = ""
    institution_name: str = ""
    referring_physician_name: str = ""
    station_name: str = ""
    study_description: str = ""
    series_description: str = ""
    patient_name: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    patient_age: str = ""
    body_part_examined: str = ""
    study_id: str = ""
    series_number: str = ""
    instance_number: str = ""
    laterality: str = ""
    image_laterality: str = ""
    samples_per_pixel: int = 0
    photometric_interpretation: str = ""
    number_of_frames: str = ""
    rows: int = 0
    columns: int = 0
    bits_allocated: int = 0
    burned_in_annotation: str = ""
    has_pixel_data: bool = False
    undecoded: tuple[str, ...] = ()  # keywords of texts that their character set does not explain: shown with U+FFFD

    @property
    def frames(self) -> int:
        return int(self.number_of_frames) if self.number_of_frames.isdigit() else 1


class HeaderUnreadable(ValueError):
    """The instance cannot be kept: its data set cannot be walked, or does not say which study, series and instance it is."""


def read_header(data: Buffer, transfer_syntax_uid: str, at: int = 0, charset: str | None = None) -> Header:
    """The header of a data set that begins at `at`. HeaderUnreadable: all reasons, without quoting a value.

    `charset`: what its texts are in truth, where somebody knows better than its Specific Character Set.
    """
    encoding = encoding_of(transfer_syntax_uid)
    size = len(data)
    if encoding.is_deflated:
        data, size = _deflated_head(data, at)
        at, encoding = 0, Encoding()
    raw: dict[str, bytes] = {}
    has_pixels = False
    try:
        for element in walk(data, encoding, at, end=size):
            name = _NAME_OF.get(element.tag)
            if name and 0 <= element.length <= _LONGEST_VALUE:
                raw[name] = bytes(data[element.start : element.end])
            if element.tag >= PIXEL_DATA:
                has_pixels = has_pixels or element.tag == PIXEL_DATA
                if has_pixels:
                    break
    except DataSetMalformed as error:
        raise HeaderUnreadable(str(error)) from None
    except (struct.error, IndexError):  # only behind what is kept of a deflated one
        raise HeaderUnreadable(f"its header is longer than {len(data)} bytes") from None
    header = _header(raw, transfer_syntax_uid, encoding, has_pixels, charset)
    unnamed = [
        name
        for name in ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
        if not is_uid(getattr(header, name))
    ]
    if unnamed:
        raise HeaderUnreadable("; ".join(f"{name} is no UID, or missing" for name in unnamed))
    return header


def _header(
    raw: dict[str, bytes], transfer_syntax_uid: str, encoding: Encoding, has_pixels: bool, known: str | None
) -> Header:
    charset = _ascii(raw.pop("specific_character_set", b""))
    if known is not None:
        charset = known
    values: dict[str, Any] = {}
    undecoded = []
    for name, value in raw.items():
        if name in _NUMBERS:
            values[name] = int.from_bytes(value[:2], "big" if encoding.is_big_endian else "little")
        elif name in _TEXTS:
            values[name], certain = decoded(
                value, charset, is_name=name.endswith("_name") and name != "institution_name"
            )
            if not certain:
                undecoded.append(name)
        else:
            values[name] = _ascii(value)
    return Header(
        transfer_syntax_uid=transfer_syntax_uid,
        specific_character_set=charset,
        has_pixel_data=has_pixels,
        undecoded=tuple(undecoded),
        **values,
    )


def _ascii(value: bytes) -> str:
    return value.strip(b" \0").decode("ascii", "replace")


def inflated(data: Buffer, at: int, most: int = LARGEST_HEADER) -> bytes:
    """The first bytes of a deflated data set (PS3.5 A.5), never more than `most`: what comes after them is not looked at."""
    return _inflated(data, at, most)[0]


def inflated_whole(data: Buffer, at: int, most: int = LARGEST_HEADER) -> bytes:
    """All of a deflated data set. HeaderUnreadable: it is larger than `most`, or cut off (threat D4)."""
    plain, is_whole = _inflated(data, at, most)
    if not is_whole and len(plain) >= most:
        raise HeaderUnreadable(f"its deflated data set inflates to more than {most} bytes")
    if not is_whole:
        raise HeaderUnreadable("its deflated data set is cut off")
    return plain


def _inflated(data: Buffer, at: int, most: int) -> tuple[bytes, bool]:
    """The bytes, and whether they are all of it. Neither side of it stands in memory beyond `most`."""
    plain = bytearray()
    for piece in _inflating(data, at):
        plain += piece[: most - len(plain)]
        if len(plain) >= most:
            return bytes(plain), False
        if not piece:
            return bytes(plain), True
    return bytes(plain), False


def _deflated_head(data: Buffer, at: int) -> tuple[bytes, int]:
    """The first bytes of a deflated data set, and how many there are of it. What follows them is inflated to be counted, and gone: a
    bomb takes no memory. HeaderUnreadable: there are more than LARGEST_HEADER (threat D4)."""
    head = bytearray()
    size = 0
    for piece in _inflating(data, at):
        head += piece[: DEFLATED_HEAD - len(head)]
        size += len(piece)
        if size > LARGEST_HEADER:
            raise HeaderUnreadable(f"its deflated data set inflates to more than {LARGEST_HEADER} bytes")
    return bytes(head), size


def _inflating(data: Buffer, at: int) -> Iterator[bytes]:
    """Its bytes piece by piece, none longer than _INFLATED_AT_ONCE; an empty one where its end was reached, and nowhere else."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for start in range(at, len(data), _INFLATED_AT_ONCE):
            pending = bytes(data[start : start + _INFLATED_AT_ONCE])
            while pending and not inflater.eof:
                if piece := inflater.decompress(pending, _INFLATED_AT_ONCE):
                    yield piece
                pending = inflater.unconsumed_tail
            if inflater.eof:
                yield b""
                return
        while not inflater.eof and (piece := inflater.decompress(b"", _INFLATED_AT_ONCE)):
            yield piece
        if inflater.eof:
            yield b""
    except zlib.error:
        raise HeaderUnreadable("its deflated data set cannot be inflated") from None
