"""SM2 signatures (GB/T 32918.2) by a library that is kept: GmSSL in `gmssl-pyx`, or `gmalg` where that has no wheel.

    pip install 'frontend-agent[sm]'

Both give and take r and s; here they are the SEQUENCE of GB/T 35276. The signer's ID is that of GM/T 0009, and Z is hashed
with it (GB/T 32918.2 5.5).
"""

from typing import Any

from frontend_agent.signatures import der
from frontend_agent.signatures.suites import sm3

SIGNER_ID = b"1234567812345678"
NEEDED = "SM2 needs the extra 'sm' (pip install 'frontend-agent[sm]')"

_P = int("FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF", 16)
_A = _P - 3
_B = int("28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93", 16)
_G = bytes.fromhex(
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
)


class NoSm2(RuntimeError):
    """There is no library for SM2 on this machine."""


def _library() -> tuple[str, Any]:
    try:
        import gmssl_pyx
    except ImportError:
        pass
    else:
        return "gmssl", gmssl_pyx
    try:
        import gmalg
    except ImportError:
        raise NoSm2(NEEDED) from None
    return "gmalg", gmalg


def is_on_curve(point: bytes) -> bool:
    """Whether x and y (64 bytes) are a point of the curve of GB/T 32918.5."""
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    return len(point) == 64 and x < _P and y < _P and (y * y - (x**3 + _A * x + _B)) % _P == 0


def hashed(point: bytes, data: bytes) -> bytes:
    """e of GB/T 32918.2 6.1: SM3 of Z and the data. What a device is given to sign."""
    numbers = _A.to_bytes(32, "big") + _B.to_bytes(32, "big") + _G + point
    z = sm3(len(SIGNER_ID * 8).to_bytes(2, "big") + SIGNER_ID + numbers)
    return sm3(z + data)


def sign(private: bytes, point: bytes, data: bytes) -> bytes:
    """The signature over data, DER; NoSm2 without a library."""
    kind, library = _library()
    if kind == "gmssl":
        return bytes(library.sm2_sign(private, point, data, signer_id=SIGNER_ID))
    r, s = library.SM2(private, SIGNER_ID, b"\x04" + point).sign(data)
    return der.signature_of(r, s)


def verify(point: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the signature (DER) holds; NoSm2 without a library."""
    kind, library = _library()
    if not is_on_curve(point) or not der.is_signature(signature):
        return False
    if kind == "gmssl":
        try:
            return bool(library.sm2_verify(point, data, signature, signer_id=SIGNER_ID))
        except library.GmsslInnerError:
            return False
    r, s = der.numbers_of(signature)
    return bool(library.SM2(None, SIGNER_ID, b"\x04" + point).verify(data, r, s))
