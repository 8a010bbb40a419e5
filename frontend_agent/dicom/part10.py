"""The file of an instance (PS3.10 §7): its meta information as we write it, and as others did.

Ours is one and the same for the same instance, whoever received it: no preamble (128 zeros: threat D7), no names of machines, no
padding. So the SHA-256 of the whole file identifies class, instance, transfer syntax and data set together, at the agent as at the
platform (laws 2 and 6).
"""

import struct
from typing import NamedTuple

from frontend_agent.dicom.elements import Buffer, DataSetMalformed, walk
from frontend_agent.dicom.uids import (
    EXPLICIT_LE,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    IMPLICIT_LE,
    Encoding,
    is_uid,
)

PREAMBLE = 128
MAGIC = b"DICM"
_CLASS, _INSTANCE, _SYNTAX = 0x0002_0002, 0x0002_0003, 0x0002_0010
_EXPLICIT = Encoding()


class NoInstance(ValueError):
    """The bytes are no DICOM instance, or none that can be told. Says why, and quotes no value."""


class Meta(NamedTuple):
    """What a file says of its data set. Empty texts where it does not say it."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set_at: int
    is_part10: bool = True  # False: a bare data set, whose transfer syntax was told by its first bytes


def meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Everything of our file that stands before the data set."""
    body = b"".join(
        (
            _long(0x0001, b"OB", b"\x00\x01"),
            _short(0x0002, b"UI", sop_class_uid.encode()),
            _short(0x0003, b"UI", sop_instance_uid.encode()),
            _short(0x0010, b"UI", transfer_syntax_uid.encode()),
            _short(0x0012, b"UI", IMPLEMENTATION_CLASS_UID.encode()),
            _short(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode(), pad=b" "),
        )
    )
    return bytes(PREAMBLE) + MAGIC + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(body)) + body


def _short(element: int, vr: bytes, value: bytes, pad: bytes = b"\x00") -> bytes:
    value += pad * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _long(element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sHI", 2, element, vr, 0, len(value)) + value


def read_meta(data: Buffer) -> Meta:
    """What a file is, from its first bytes; with or without preamble, with or without meta information. NoInstance: why it is none."""
    if bytes(data[PREAMBLE : PREAMBLE + 4]) == MAGIC:
        return _with_meta(data, PREAMBLE + 4)
    begins = bytes(data[:8])
    if begins[:4] == MAGIC:
        return _with_meta(data, 4)
    if begins[:2] == b"\x02\x00" and begins[4:6].isalpha():
        return _with_meta(data, 0)
    return _bare(begins)


def _with_meta(data: Buffer, at: int) -> Meta:
    found: dict[int, str] = {}
    end = at
    try:
        for element in walk(data, _EXPLICIT, at, until=0x0003_0000):
            if element.tag in (_CLASS, _INSTANCE, _SYNTAX):
                found[element.tag] = bytes(data[element.start : element.end]).rstrip(b"\0 ").decode("ascii", "replace")
            end = element.end
    except DataSetMalformed as error:
        # What follows the meta information is in another encoding: the walk may stumble over its first element.
        if end == at or int.from_bytes(data[end : end + 2], "little") == 2:
            raise NoInstance(f"its file meta information cannot be read: {error}") from None
    syntax = found.get(_SYNTAX, "")
    if not is_uid(syntax):
        raise NoInstance("its file meta information names no transfer syntax")
    return Meta(found.get(_CLASS, ""), found.get(_INSTANCE, ""), syntax, end)


def _bare(begins: bytes) -> Meta:
    """A data set without meta information: explicit or implicit VR little endian, which its first element tells."""
    group = int.from_bytes(begins[:2], "little")
    if len(begins) < 8 or group != 8:
        raise NoInstance("it is no DICOM file: neither a file meta information nor a data set begins it")
    explicit = begins[4:6].isalpha() and begins[4:6].isupper()
    return Meta("", "", EXPLICIT_LE if explicit else IMPLICIT_LE, 0, is_part10=False)
