"""As much of DER (X.690) as certificates with SM2 keys need: `cryptography` reads everything of them but the key."""

from collections.abc import Iterator

SEQUENCE, INTEGER, BIT_STRING, OCTET_STRING, OBJECT_IDENTIFIER = 0x30, 0x02, 0x03, 0x04, 0x06
SM2_CURVE = bytes.fromhex("06082a811ccf5501822d")  # 1.2.156.10197.1.301, as DER
EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")  # 1.2.840.10045.2.1, as DER


class NotDer(ValueError):
    """The bytes are no DER. Quotes nothing of them."""


def elements(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(tag, what is in it, the whole of it) of each element, one after another."""
    at = 0
    while at < len(content):
        tag, start, end = _element(content, at)
        yield tag, content[start:end], content[at:end]
        at = end


def _element(content: bytes, at: int) -> tuple[int, int, int]:
    if at + 2 > len(content):
        raise NotDer("it is cut off")
    tag, length, start = content[at], content[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > len(content):
            raise NotDer("a length that DER does not have")
        length, start = int.from_bytes(content[start : start + size], "big"), start + size
        if length < 0x80:
            raise NotDer("a length that DER writes shorter")
    if start + length > len(content):
        raise NotDer("it is cut off")
    return tag, start, start + length


def only(content: bytes, tag: int) -> bytes:
    """What is in the one element there is."""
    found = list(elements(content))
    if len(found) != 1 or found[0][0] != tag:
        raise NotDer("another element than expected")
    return found[0][1]


def public_key_info(certificate: bytes) -> bytes:
    """SubjectPublicKeyInfo of a certificate (RFC 5280 4.1), whole."""
    _, _, tbs = next(elements(only(certificate, SEQUENCE)))
    parts = list(elements(only(tbs, SEQUENCE)))
    first = 1 if parts and parts[0][0] == 0xA0 else 0  # [0] version
    if len(parts) < first + 6:
        raise NotDer("no certificate")
    return parts[first + 5][2]


def sm2_point(info: bytes) -> bytes | None:
    """The public key of SM2 in a SubjectPublicKeyInfo: x and y, 64 bytes; None for a key of another kind."""
    parts = list(elements(only(info, SEQUENCE)))
    if len(parts) != 2 or parts[0][1] != EC_PUBLIC_KEY + SM2_CURVE or parts[1][0] != BIT_STRING:
        return None
    bits = parts[1][1]
    return bits[2:] if len(bits) == 66 and bits[:2] == b"\0\x04" else None


def sm2_private(key: bytes) -> bytes | None:
    """The number of an SM2 key, 32 bytes, from PKCS#8 (RFC 5208) or ECPrivateKey (RFC 5915); None for another kind."""
    try:
        parts = list(elements(only(key, SEQUENCE)))
        if len(parts) >= 3 and parts[2][0] == OCTET_STRING:  # PKCS#8
            if parts[1][1] != EC_PUBLIC_KEY + SM2_CURVE:
                return None
            parts = list(elements(only(parts[2][1], SEQUENCE)))
        elif SM2_CURVE not in key:
            return None
        number = parts[1][1]
    except (NotDer, IndexError):
        return None
    return number.rjust(32, b"\0") if 0 < len(number) <= 32 else None


def is_signature(value: bytes) -> bool:
    """Whether it is SEQUENCE { r INTEGER, s INTEGER } in its one DER form (GB/T 35276 7.3, RFC 3279 2.2.3)."""
    try:
        parts = list(elements(only(value, SEQUENCE)))
    except NotDer:
        return False
    return len(parts) == 2 and all(tag == INTEGER and _is_positive(number) for tag, number, _ in parts)


def _is_positive(number: bytes) -> bool:
    if not number or number[0] & 0x80:
        return False
    return any(number) and not (len(number) > 1 and number[0] == 0 and not number[1] & 0x80)


def signature_of(r: bytes, s: bytes) -> bytes:
    """That SEQUENCE of two numbers, big-endian."""

    def integer(number: bytes) -> bytes:
        number = number.lstrip(b"\0") or b"\0"
        number = b"\0" + number if number[0] & 0x80 else number
        return bytes((INTEGER, len(number))) + number

    both = integer(r) + integer(s)
    return bytes((SEQUENCE, len(both))) + both


def numbers_of(value: bytes) -> tuple[bytes, bytes]:
    """r and s of it, 32 bytes each."""
    (_, r, _), (_, s, _) = elements(only(value, SEQUENCE))
    return r.lstrip(b"\0").rjust(32, b"\0"), s.lstrip(b"\0").rjust(32, b"\0")
