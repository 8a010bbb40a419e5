"""A bundle: one numbered, signed, encrypted file between the two halves of an agent across a gap (网闸, decision 0053).

    FEB1 | length of the head, 4 bytes big-endian | head, JSON | content, sealed | signature, 64 bytes

The signature (Ed25519) is the making half's over everything before it. The content is sealed with a key of its own: X25519
between a fresh key, whose public half stands in the head, and the other half's; HKDF; AES-256-GCM or SM4-GCM. The head,
with number and direction, is its associated data: under another number, or the other way, it does not open.
"""

import base64
from hashlib import sha256
from struct import Struct as Layout
from typing import Annotated, Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from frontend_agent.sealing import NONCE, TAG, NotGenuine, Sealer, Suite, derived

Direction = Literal["outward", "inward"]
Role = Literal["inner", "outer"]
OUT: dict[Role, Direction] = {"inner": "outward", "outer": "inward"}
OTHER: dict[Role, Role] = {"inner": "outer", "outer": "inner"}

MAGIC = b"FEB1"
LARGEST_HEAD = 4 << 10
SIGNATURE = 64
SUFFIX = ".feb"
_LENGTH = Layout(">4sI")
_SIGNED = b"frontend-agent gap bundle\n"  # no other signature of ours begins like this
_NONCE = bytes(NONCE)  # each key seals one content only

Name = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class BundleRefused(ValueError):
    """A file that is no bundle for us. `reason` is a word, the text says it; nothing of it was used."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What everybody may read of a bundle: neither who nor what it speaks of."""

    direction: Direction
    number: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    stream: Name  # of the making half's state: begun anew, it counts from 1 in another stream
    maker: Name  # fingerprints of the two halves
    reader: Name
    suite: Suite
    key: str  # base64, X25519: the public half of the fresh key
    length: Annotated[int, msgspec.Meta(ge=TAG, le=1 << 32)]  # of the sealed content, bytes


class PublicHalf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one half knows of the other, and is told by hand: its role and public keys, base64."""

    role: Role
    signing: str  # Ed25519
    agreement: str  # X25519

    @property
    def fingerprint(self) -> str:
        """By which it is named in each bundle, and which people read to one another."""
        told = f"frontend-agent gap half\n{self.role}\n{self.signing}\n{self.agreement}\n"
        return sha256(told.encode()).hexdigest()[:32]


class Half(NamedTuple):
    """One half, as itself: its role and private keys."""

    role: Role
    signing: Ed25519PrivateKey
    agreement: X25519PrivateKey

    @property
    def public(self) -> PublicHalf:
        return PublicHalf(
            role=self.role,
            signing=_text(self.signing.public_key().public_bytes_raw()),
            agreement=_text(self.agreement.public_key().public_bytes_raw()),
        )


def read_public_half(text: bytes) -> PublicHalf:
    """What `gap keys` wrote at the other half. ValueError: it is none."""
    try:
        half = msgspec.json.decode(text, type=PublicHalf)
        Ed25519PublicKey.from_public_bytes(base64.b64decode(half.signing, validate=True))
        X25519PublicKey.from_public_bytes(base64.b64decode(half.agreement, validate=True))
    except (msgspec.DecodeError, ValueError) as error:
        raise ValueError("not the public keys of a half (frontend-agent gap keys writes them)") from error
    return half


def shown(fingerprint: str) -> str:
    """In groups of four, for being read aloud."""
    return " ".join(fingerprint[start : start + 4] for start in range(0, len(fingerprint), 4))


def file_name(direction: Direction, stream: str, number: int) -> str:
    return f"{direction}-{stream[:8]}-{number:012d}{SUFFIX}"


# -- Making -----------------------------------------------------------------------------------------------------------


def seal(
    half: Half, other: PublicHalf, stream: str, number: int, content: bytes, fresh: X25519PrivateKey, suite: Suite
) -> bytes:
    """The whole file. `fresh`: a key that is used for nothing else."""
    public = fresh.public_key().public_bytes_raw()
    head = Head(
        direction=OUT[half.role],
        number=number,
        stream=stream,
        maker=half.public.fingerprint,
        reader=other.fingerprint,
        suite=suite,
        key=_text(public),
        length=len(content) + TAG,
    )
    told = msgspec.json.encode(head)
    begun = _LENGTH.pack(MAGIC, len(told)) + told
    theirs = base64.b64decode(other.agreement)
    secret = fresh.exchange(X25519PublicKey.from_public_bytes(theirs))
    sealed = _sealer(suite, secret, public, theirs).seal(_NONCE, content, begun)
    whole = begun + sealed
    return whole + half.signing.sign(_SIGNED + sha256(whole).digest())


def _sealer(suite: Suite, secret: bytes, fresh: bytes, reader: bytes) -> Sealer:
    return Sealer(suite, derived(suite, secret, "gap bundle", fresh + reader))


# -- Reading ----------------------------------------------------------------------------------------------------------


def head_of(file: bytes) -> Head:
    """Who says what it is. BundleRefused: it is none, or was cut off. Nothing of it is proven yet."""
    if len(file) < _LENGTH.size:
        raise BundleRefused("truncated" if MAGIC.startswith(file[:4]) else "foreign", _no_bundle(file))
    magic, length = _LENGTH.unpack_from(file)
    if magic != MAGIC or length > LARGEST_HEAD:
        raise BundleRefused("foreign", "it does not begin like a bundle")
    start = _LENGTH.size + length
    if len(file) < start:
        raise BundleRefused("truncated", "it ends inside its head")
    try:
        head = msgspec.json.decode(file[_LENGTH.size : start], type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleRefused("foreign", "its head cannot be read") from error
    whole = start + head.length + SIGNATURE
    if len(file) < whole:
        raise BundleRefused("truncated", f"it has {len(file)} bytes of {whole}")
    if len(file) > whole:
        raise BundleRefused("changed", f"it has {len(file)} bytes, and was made with {whole}")
    return head


def _no_bundle(file: bytes) -> str:
    return "it is empty" if not file else "it is shorter than a bundle's head"


def verify(file: bytes, reader: PublicHalf, maker: PublicHalf) -> Head:
    """Whether the other half made it, and for us, and nobody changed it since. BundleRefused says what is wrong."""
    head = head_of(file)
    if head.direction == OUT[reader.role]:
        raise BundleRefused("other-direction", "it is one of our own: the ferry brought it back the way it came")
    if head.maker != maker.fingerprint:
        raise BundleRefused(
            "another-key", f"made by a half {shown(head.maker)}, which is not the one that we are paired with"
        )
    if head.reader != reader.fingerprint:
        raise BundleRefused("not-for-us", f"made for a half {shown(head.reader)}, which we are not")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(maker.signing))
    try:
        key.verify(file[-SIGNATURE:], _SIGNED + sha256(memoryview(file)[:-SIGNATURE]).digest())
    except InvalidSignature:
        raise BundleRefused("changed", "its signature is not the other half's: it was changed on the way") from None
    return head


def open_bundle(file: bytes, half: Half) -> bytes:
    """The content of a verified bundle."""
    head = head_of(file)
    start = len(file) - SIGNATURE - head.length
    view = memoryview(file)
    try:
        fresh = base64.b64decode(head.key, validate=True)
        secret = half.agreement.exchange(X25519PublicKey.from_public_bytes(fresh))
        ours = half.agreement.public_key().public_bytes_raw()
        unsealed = _sealer(head.suite, secret, fresh, ours).open
        return unsealed(_NONCE, bytes(view[start:-SIGNATURE]), bytes(view[:start]))
    except (NotGenuine, ValueError) as error:
        raise BundleRefused("changed", "its content does not open with our key") from error


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
