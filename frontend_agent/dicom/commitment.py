"""The data sets of storage commitment (PS3.4 annex J), read and written without a library: two sequences of UIDs, possibly long."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from frontend_agent.dicom.elements import DataSetMalformed, Element, InMemory, walk
from frontend_agent.dicom.uids import IMPLICIT_LE, Encoding, encoding_of

LARGEST = 3 << 20  # bytes of such a data set: more than 20,000 instances
REQUEST_STORAGE_COMMITMENT = 1  # ActionTypeID
ALL_SAFE, FAILURES_EXIST = 1, 2  # EventTypeID

_TRANSACTION_UID = 0x0008_1195
_FAILED_SOP_SEQUENCE, _REFERENCED_SOP_SEQUENCE = 0x0008_1198, 0x0008_1199
_REFERENCED_SOP_CLASS_UID, _REFERENCED_SOP_INSTANCE_UID = 0x0008_1150, 0x0008_1155
_FAILURE_REASON = 0x0008_1197
_DELIMITERS = 0xFFFE_E000
_ITEM = 0xFFFE_E000
_ITEM_END = 0xFFFE_E00D


class Commitment(NamedTuple):
    """What is asked for, or reported."""

    transaction_uid: str
    referenced: Sequence[tuple[str, str]]  # (SOP class, SOP instance): asked for, or safe
    failed: Sequence[tuple[str, str, int]]  # and FailureReason


def read_commitment(data: InMemory, transfer_syntax_uid: str) -> Commitment:
    """DataSetMalformed: it cannot be read."""
    encoding = encoding_of(transfer_syntax_uid)
    transaction = ""
    referenced: list[tuple[str, str]] = []
    failed: list[tuple[str, str, int]] = []
    for element in walk(data, encoding, until=_FAILED_SOP_SEQUENCE + 2):
        if element.tag == _TRANSACTION_UID:
            transaction = _uid(data, element)
        elif element.tag == _REFERENCED_SOP_SEQUENCE:
            referenced = [item[:2] for item in _items(data, element, encoding)]
        elif element.tag == _FAILED_SOP_SEQUENCE:
            failed = list(_items(data, element, encoding))
    return Commitment(transaction, referenced, failed)


def _items(data: InMemory, sequence: Element, encoding: Encoding) -> Iterator[tuple[str, str, int]]:
    """(class, instance, reason) of each item; `walk` has made sure that what lies in the sequence is one."""
    words = struct.Struct((">" if encoding.is_big_endian else "<") + "HHI")
    at = sequence.start
    while at + words.size <= sequence.end:
        group, element, length = words.unpack_from(data, at)
        at += words.size
        if group << 16 | element != _ITEM:
            return
        is_open = length == 0xFFFF_FFFF
        end = sequence.end if is_open else at + length
        if end > sequence.end:
            raise DataSetMalformed(f"an item says more bytes than its sequence has, at byte {at - words.size}")
        values: dict[int, Element] = {}
        for found in walk(data, encoding, at, until=_DELIMITERS, end=end):
            values[found.tag] = found
            at = found.end
        at = at + words.size if is_open else end  # behind the item's own delimiter
        reason = values.get(_FAILURE_REASON)
        yield (
            _uid(data, values.get(_REFERENCED_SOP_CLASS_UID)),
            _uid(data, values.get(_REFERENCED_SOP_INSTANCE_UID)),
            int.from_bytes(bytes(data[reason.start : reason.end]), "big" if encoding.is_big_endian else "little")
            if reason
            else 0,
        )


def _uid(data: InMemory, element: Element | None) -> str:
    return bytes(data[element.start : element.end]).strip(b" \0").decode("ascii", "replace") if element else ""


def written_commitment(about: Commitment, transfer_syntax_uid: str) -> bytes:
    """The data set in implicit or explicit VR little endian. ValueError for another syntax: we propose and accept none for it."""
    encoding = encoding_of(transfer_syntax_uid)
    if encoding.is_big_endian or encoding.is_deflated:
        raise ValueError(f"storage commitment is not written in {transfer_syntax_uid}")
    explicit = transfer_syntax_uid != IMPLICIT_LE
    parts = [_element(_TRANSACTION_UID, b"UI", _padded(about.transaction_uid), explicit)]
    if about.failed:
        parts.append(_sequence(_FAILED_SOP_SEQUENCE, about.failed, explicit))
    if about.referenced:
        parts.append(_sequence(_REFERENCED_SOP_SEQUENCE, about.referenced, explicit))
    return b"".join(parts)


def _sequence(tag: int, instances: Iterable[Sequence[object]], explicit: bool) -> bytes:
    items = []
    for sop_class, sop_instance, *reason in instances:
        body = _element(_REFERENCED_SOP_CLASS_UID, b"UI", _padded(str(sop_class)), explicit)
        body += _element(_REFERENCED_SOP_INSTANCE_UID, b"UI", _padded(str(sop_instance)), explicit)
        for one in reason:
            body += _element(_FAILURE_REASON, b"US", struct.pack("<H", one), explicit)
        items.append(struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body)
    value = b"".join(items)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return head + (b"SQ\0\0" if explicit else b"") + struct.pack("<I", len(value)) + value


def _padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def _element(tag: int, vr: bytes, value: bytes, explicit: bool) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return head + (vr + struct.pack("<H", len(value)) if explicit else struct.pack("<I", len(value))) + value
