"""Zips that a password opens, as platforms of the data-set packages unpack them.

Those platforms unpack with zip4j, which tells by itself how an entry is encrypted and reads both ways:

    aes         WinZip AES-256, by pyzipper. What a package is sent with
    zipcrypto   the traditional PKWARE encryption (APPNOTE 6.1), for a platform that knows no other. Weak: known text breaks
                it. No kept library writes it, so it is written here, and read back by three others in the tests
"""

import io
import secrets
import struct
import zlib
from collections.abc import Mapping

import pyzipper

_DATE = (1 << 5) | 1  # 1980-01-01: when it was packed is nobody's business
_FLAGS = 0x0001 | 0x0800  # encrypted; names in UTF-8
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_CRC = [0] * 256
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = (_value >> 1) ^ (0xEDB88320 if _value & 1 else 0)
    _CRC[_byte] = _value


def with_aes(files: Mapping[str, bytes], password: str) -> bytes:
    """A zip of these files, each encrypted with AES-256."""
    made = io.BytesIO()
    with pyzipper.AESZipFile(made, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        for name, content in files.items():
            archive.writestr(archive.zipinfo_cls(name, (1980, 1, 1, 0, 0, 0)), content, pyzipper.ZIP_DEFLATED)
    return made.getvalue()


def with_zipcrypto(files: Mapping[str, bytes], password: str) -> bytes:
    """A zip of these files, each encrypted the traditional way."""
    body, directory = bytearray(), bytearray()
    for name, content in files.items():
        raw, crc = name.encode(), zlib.crc32(content)
        packed = _deflated(content)
        encrypted = _Keys(password.encode()).encrypted(secrets.token_bytes(11) + bytes([crc >> 24]) + packed)
        sizes = (crc, len(encrypted), len(content))
        at = len(body)
        body += _LOCAL.pack(b"PK\3\4", 20, _FLAGS, 8, 0, _DATE, *sizes, len(raw), 0) + raw + encrypted
        directory += _CENTRAL.pack(b"PK\1\2", 20, 20, _FLAGS, 8, 0, _DATE, *sizes, len(raw), 0, 0, 0, 0, 0, at) + raw
    end = _END.pack(b"PK\5\6", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + end)


def _deflated(content: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(content) + squeeze.flush()


class _Keys:
    """The three keys of the traditional encryption, and the stream that they make (APPNOTE 6.1.5 to 6.1.7)."""

    def __init__(self, password: bytes) -> None:
        self._keys = (0x12345678, 0x23456789, 0x34567890)
        for byte in password:
            self._update(byte)

    def _update(self, byte: int) -> None:
        first, second, third = self._keys
        first = _CRC[(first ^ byte) & 0xFF] ^ (first >> 8)
        second = ((second + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        third = _CRC[(third ^ (second >> 24)) & 0xFF] ^ (third >> 8)
        self._keys = (first, second, third)

    def encrypted(self, plain: bytes) -> bytes:
        made = bytearray(len(plain))
        for at, byte in enumerate(plain):
            word = (self._keys[2] | 2) & 0xFFFF
            made[at] = byte ^ (((word * (word ^ 1)) >> 8) & 0xFF)
            self._update(byte)
        return bytes(made)
