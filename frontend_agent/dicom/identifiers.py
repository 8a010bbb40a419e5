"""Small data sets that are asked with and answered with: identifiers of C-FIND, C-GET and C-MOVE (PS3.4 C.1.4). Bytes in, values out."""

from collections.abc import Mapping

from frontend_agent.dicom.charsets import decoded
from frontend_agent.dicom.elements import Buffer, walk
from frontend_agent.dicom.uids import Encoding

SPECIFIC_CHARACTER_SET = 0x0008_0005
UTF_8 = "ISO_IR 192"
# The keys that are asked for, by the standard's keyword -> (tag, VR).
KEYS: dict[str, tuple[int, str]] = {
    "SOPClassUID": (0x0008_0016, "UI"),
    "SOPInstanceUID": (0x0008_0018, "UI"),
    "StudyDate": (0x0008_0020, "DA"),
    "StudyTime": (0x0008_0030, "TM"),
    "AccessionNumber": (0x0008_0050, "SH"),
    "QueryRetrieveLevel": (0x0008_0052, "CS"),
    "SOPClassesInStudy": (0x0008_0062, "UI"),
    "Modality": (0x0008_0060, "CS"),
    "StudyInstanceUID": (0x0020_000D, "UI"),
    "SeriesInstanceUID": (0x0020_000E, "UI"),
    "NumberOfStudyRelatedSeries": (0x0020_1206, "IS"),
    "NumberOfStudyRelatedInstances": (0x0020_1208, "IS"),
    "NumberOfSeriesRelatedInstances": (0x0020_1209, "IS"),
}
_NAME_OF = {tag: name for name, (tag, _) in KEYS.items()}

Identifier = Mapping[str, str]  # keyword -> value; several values are joined by a backslash


def written_identifier(values: Identifier, encoding: Encoding) -> bytes:
    """The data set. A key without a value asks to be told (universal matching, PS3.4 C.2.2.2.3)."""
    charset = b"" if all(value.isascii() for value in values.values()) else UTF_8.encode()
    elements = [(*KEYS[name], value.encode("utf-8")) for name, value in values.items()]
    if charset:
        elements.append((SPECIFIC_CHARACTER_SET, "CS", charset))
    return b"".join(_element(tag, vr, value, encoding) for tag, vr, value in sorted(elements))


def _element(tag: int, vr: str, value: bytes, encoding: Encoding) -> bytes:
    order = "big" if encoding.is_big_endian else "little"
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)  # type: ignore[arg-type]
    if encoding.is_implicit:
        return head + len(value).to_bytes(4, order) + value  # type: ignore[arg-type]
    return head + vr.encode() + len(value).to_bytes(2, order) + value  # type: ignore[arg-type]


def read_identifier(data: Buffer, encoding: Encoding) -> dict[str, str]:
    """The keys of KEYS that it has. DataSetMalformed: it is no data set."""
    raw: dict[str, bytes] = {}
    charset = ""
    for element in walk(data, encoding):
        if element.length < 0:
            continue
        value = bytes(data[element.start : element.end])
        if element.tag == SPECIFIC_CHARACTER_SET:
            charset = value.strip(b" \0").decode("ascii", "replace")
        elif name := _NAME_OF.get(element.tag):
            raw[name] = value
    return {name: decoded(value, charset)[0] for name, value in raw.items()}
