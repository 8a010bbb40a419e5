"""Authenticated encryption of what lies on our own disk: the suites, and the keys that come of one.

    AES-256-GCM   NIST SP 800-38D; keys by HKDF-SHA256 (RFC 5869)
    SM4-GCM       GB/T 32907-2016 in GCM (RFC 8998); keys by HKDF-SM3 (GB/T 32905-2016)

Every message has a nonce of its own: random where it is rewritten in place (at most 2^32 of one key: 32 TiB of pages), counted where
a file has a key of its own. What it belongs to is associated data: moved to another place it does not open.
"""

import os
from collections.abc import Callable
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SM3
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Suite = Literal["AES-256-GCM", "SM4-GCM"]
SUITES: tuple[Suite, ...] = ("AES-256-GCM", "SM4-GCM")
KEY_BYTES: dict[Suite, int] = {"AES-256-GCM": 32, "SM4-GCM": 16}
NONCE, TAG = 12, 16  # bytes
_NONCES_AT_ONCE = 512


class NotGenuine(ValueError):
    """It was not sealed with this key for this place, or it was changed."""


class Sealer:
    """Seals and opens with one key. Safe to use from several threads."""

    def __init__(self, suite: Suite, key: bytes) -> None:
        self._seal, self._open = _aes(key) if suite == "AES-256-GCM" else _sm4(key)
        self._nonces = b""

    def seal(self, nonce: bytes, plain: bytes | memoryview, about: bytes) -> bytes:
        """The ciphertext and its tag behind it. `about`: what it belongs to."""
        return self._seal(nonce, plain, about)

    def open(self, nonce: bytes, sealed: bytes | memoryview, about: bytes) -> bytes:
        """What was sealed. NotGenuine: not by us, or not here."""
        try:
            return self._open(nonce, sealed, about)
        except InvalidTag:
            raise NotGenuine("it was changed, or sealed with another key") from None

    def nonce(self) -> bytes:
        """A random one. The system is asked for many at a time."""
        nonces = self._nonces
        if len(nonces) < NONCE:
            nonces = os.urandom(NONCE * _NONCES_AT_ONCE)
        self._nonces = nonces[NONCE:] if len(nonces) > NONCE else b""
        return nonces[:NONCE]


def derived(suite: Suite, key: bytes, purpose: str, salt: bytes = b"") -> bytes:
    """A key for one purpose (RFC 5869), of the length that the suite needs."""
    digest = SHA256() if suite == "AES-256-GCM" else SM3()
    length = KEY_BYTES[suite]
    return HKDF(digest, length, salt, f"frontend-agent at rest: {purpose}".encode()).derive(key)


def one_block(suite: Suite, key: bytes) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    """The bare block cipher, there and back: for 16 bytes that are random already."""
    cipher = Cipher(algorithms.AES(key) if suite == "AES-256-GCM" else algorithms.SM4(key), modes.ECB())  # noqa: S305
    return cipher.encryptor().update, cipher.decryptor().update


Sealing = Callable[[bytes, bytes | memoryview, bytes], bytes]


def _aes(key: bytes) -> tuple[Sealing, Sealing]:
    gcm = AESGCM(key)
    return gcm.encrypt, gcm.decrypt


def _sm4(key: bytes) -> tuple[Sealing, Sealing]:
    algorithm = algorithms.SM4(key)

    def seal(nonce: bytes, plain: bytes | memoryview, about: bytes) -> bytes:
        encryptor = Cipher(algorithm, modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(about)
        return encryptor.update(plain) + encryptor.finalize() + encryptor.tag

    def opened(nonce: bytes, sealed: bytes | memoryview, about: bytes) -> bytes:
        if len(sealed) < TAG:
            raise InvalidTag
        decryptor = Cipher(algorithm, modes.GCM(nonce, bytes(sealed[-TAG:]))).decryptor()
        decryptor.authenticate_additional_data(about)
        return decryptor.update(sealed[:-TAG]) + decryptor.finalize()

    return seal, opened
