"""What a DICOMDIR says is on its medium (PS3.3 annex F, PS3.10 §8.6): studies, their series, and how many instances each has."""

from typing import Literal, NamedTuple

from frontend_agent.dicom.elements import Buffer, walk
from frontend_agent.dicom.nesting import items
from frontend_agent.dicom.part10 import read_meta
from frontend_agent.dicom.uids import encoding_of, is_uid

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
_FIRST, _RECORDS = 0x0004_1200, 0x0004_1220
_NEXT, _IN_USE, _LOWER, _TYPE = 0x0004_1400, 0x0004_1410, 0x0004_1420, 0x0004_1430
_INSTANCE = 0x0004_1511  # ReferencedSOPInstanceUIDInFile
_STUDY, _SERIES = 0x0020_000D, 0x0020_000E
_WANTED = frozenset((_NEXT, _IN_USE, _LOWER, _TYPE, _INSTANCE, _STUDY, _SERIES))
_HEAD = 8  # bytes of an item's tag and length, before its elements: offsets count from there
Contents = dict[str, dict[str, int]]  # StudyInstanceUID -> SeriesInstanceUID -> instances


class _Record(NamedTuple):
    values: dict[int, bytes]
    order: Literal["little", "big"]

    def number(self, tag: int) -> int:
        return int.from_bytes(self.values.get(tag, b"")[:4], self.order)

    def text(self, tag: int) -> str:
        return self.values.get(tag, b"").strip(b" \0").decode("ascii", "replace")


def read_directory(data: Buffer) -> Contents:
    """DataSetMalformed, NoInstance: why it cannot be read."""
    told = read_meta(data)
    encoding = encoding_of(told.transfer_syntax_uid)
    order: Literal["little", "big"] = "big" if encoding.is_big_endian else "little"
    first, records = 0, {}
    for element in walk(data, encoding, told.data_set_at):
        if element.tag == _FIRST:
            first = int.from_bytes(data[element.start : element.start + 4], order)
        elif element.tag == _RECORDS:
            for span in items(data, encoding, element):
                values = {
                    one.tag: bytes(data[one.start : one.end])
                    for one in walk(data, encoding, span.start, end=span.end)
                    if one.tag in _WANTED and 0 <= one.length <= 128
                }
                records[span.start - _HEAD] = _Record(values, order)
    return _contents(records, first) if records else {}


def _contents(records: dict[int, _Record], first: int) -> Contents:
    """Follow the offsets (PS3.3 F.3.2.2): each record is met once, whatever they say."""
    found: Contents = {}
    left = set(records)
    open_ = [(first or min(records), "", "")]
    while open_:
        at, study, series = open_.pop()
        if at not in left:
            continue
        left.discard(at)
        record = records[at]
        if following := record.number(_NEXT):
            open_.append((following, study, series))
        if record.values.get(_IN_USE, b"\xff\xff")[:2] == b"\0\0":
            continue  # a record that was deleted
        kind = record.text(_TYPE)
        if kind == "STUDY":
            study, series = record.text(_STUDY), ""
        elif kind == "SERIES":
            series = record.text(_SERIES)
        elif is_uid(study) and is_uid(series) and is_uid(record.text(_INSTANCE)):
            one = found.setdefault(study, {})
            one[series] = one.get(series, 0) + 1
        if lower := record.number(_LOWER):
            open_.append((lower, study, series))
    return found
