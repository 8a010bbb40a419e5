"""Unpacking, never to more than LARGEST bytes: a column of a kilobyte can stand for a gigabyte (threat C6)."""

import base64
import binascii
import zipfile
import zlib
from io import BytesIO

from frontend_agent.reading.errors import Unreadable

LARGEST = 8 << 20  # bytes of one column, packed or unpacked; the longest record of an EMR editor is far below
MEMBERS = 64  # of a zip: a record is one of a few files


def from_base64(data: bytes) -> bytes:
    """RFC 4648 4; line breaks and blanks between the characters are no mistake (MIME writes them)."""
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("not base64") from None


def from_hex(data: bytes) -> bytes:
    text = data.strip().removeprefix(b"0x").removeprefix(b"0X")
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        raise Unreadable("not hexadecimal") from None


def from_gzip(data: bytes) -> bytes:
    """RFC 1952, one member after the other. Zeros behind the last are a padded column, not content."""
    parts: list[bytes] = []
    total = 0
    while True:
        unpacked, data = _inflated(data, 16 + zlib.MAX_WBITS, LARGEST - total, "gzip")
        parts.append(unpacked)
        total += len(unpacked)
        if not data.strip(b"\0"):
            return b"".join(parts)


def from_zlib(data: bytes) -> bytes:
    """RFC 1950."""
    unpacked, rest = _inflated(data, zlib.MAX_WBITS, LARGEST, "zlib")
    if rest.strip(b"\0"):
        raise Unreadable("something stands behind the zlib stream")
    return unpacked


def from_deflate(data: bytes) -> bytes:
    """RFC 1951, without a header."""
    unpacked, rest = _inflated(data, -zlib.MAX_WBITS, LARGEST, "deflate")
    if rest.strip(b"\0"):
        raise Unreadable("something stands behind the deflate stream")
    return unpacked


def _inflated(data: bytes, window: int, largest: int, name: str) -> tuple[bytes, bytes]:
    """The content of one stream, and what stands behind it."""
    stream = zlib.decompressobj(window)
    try:
        unpacked = stream.decompress(data, largest + 1)
    except zlib.error:
        raise Unreadable(f"not {name}") from None
    if len(unpacked) > largest:
        raise Unreadable(f"unpacks to more than {LARGEST} bytes")
    if not stream.eof:
        raise Unreadable(f"the {name} stream is cut off")
    return unpacked, stream.unused_data


def from_zip(data: bytes, member: str = "") -> bytes:
    """The one file of a zip, or the named one. Its name is only compared: nothing is ever written under it."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            if len(files) > MEMBERS:
                raise Unreadable(f"the zip has more than {MEMBERS} members")
            found = [info for info in files if not member or info.filename == member]
            if len(found) != 1:
                wanted = f"members named {member}" if member else "members; name the one to read: zip:NAME"
                raise Unreadable(f"the zip has {len(found)} {wanted}")
            if found[0].flag_bits & 0x1:
                raise Unreadable("the zip is encrypted")
            with archive.open(found[0]) as content:
                unpacked = content.read(LARGEST + 1)
                if len(unpacked) > LARGEST:
                    raise Unreadable(f"unpacks to more than {LARGEST} bytes")
                return unpacked
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError):
        # RuntimeError: a password is wanted; ValueError and OSError: offsets that lead nowhere.
        raise Unreadable("not a zip that can be read") from None
