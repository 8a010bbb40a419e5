"""Hello and welcome: how an agent's instance and the platform get to know each other (law 14). Signed like a reply."""

import base64
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent.wire.receipts import (
    ALGORITHM,
    ReplyMalformed,
    ReplyNotProven,
    canonical,
    key_id,
    public_bytes,
    sign,
    verify,
)

# A welcome must never verify as a reply, nor a reply as a welcome.
_CONTEXT = b"welcome\n"

HEADS = "heads"  # a parcel without documents, for the sake of its log head
DAYS = "days"  # entries of a parcel may say day and department, and reconciliation can be asked for

Named = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Short = Annotated[str, msgspec.Meta(max_length=200)]


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who speaks. `lease` is the last one received, empty for a new instance; `machine` binds the state to its computer.

    `packs` is what it judges by, so that skew is seen before anything is sent.
    """

    institution: Named
    instance: Named
    lease: Short = ""
    machine: Short = ""
    packs: dict[Short, Short] = {}


class Welcome(msgspec.Struct, frozen=True):
    """The next lease, and the key that will sign the receipts."""

    institution: str
    instance: str
    lease: str
    algorithm: str
    public_key: str  # base64, raw Ed25519
    time: str
    packs: dict[str, str] = {}
    takes: tuple[str, ...] = ()  # what it understands beyond the first version of this protocol

    @property
    def key(self) -> bytes:
        return base64.b64decode(self.public_key)


class _Wire(msgspec.Struct, frozen=True):
    welcome: msgspec.Raw
    signature: str


def seal_welcome(key: Ed25519PrivateKey, hello: Hello, lease: str, time: str, packs: dict[str, str]) -> bytes:
    welcome = Welcome(
        institution=hello.institution,
        instance=hello.instance,
        lease=lease,
        algorithm=ALGORITHM,
        public_key=base64.b64encode(public_bytes(key)).decode(),
        time=time,
        packs=packs,
        takes=(DAYS, HEADS),
    )
    text = canonical(welcome)
    return msgspec.json.encode(_Wire(msgspec.Raw(text), sign(key, _CONTEXT + text)))


def read_welcome(body: bytes, hello: Hello, pinned: bytes | None) -> Welcome:
    """Verify a welcome: by the pinned key, or by its own the first time, when there is nothing yet to hold it against."""
    try:
        wire = msgspec.json.decode(body, type=_Wire)
        welcome = msgspec.json.decode(wire.welcome, type=Welcome)
        key = welcome.key
    except (msgspec.DecodeError, ValueError) as error:
        raise ReplyMalformed(f"not a welcome of the platform: {error}") from error
    if pinned is not None and key != pinned:
        raise ReplyNotProven(f"the platform's key {key_id(key)} is not the pinned one, {key_id(pinned)}")
    verify(key, _CONTEXT + bytes(wire.welcome), wire.signature)
    if (welcome.institution, welcome.instance) != (hello.institution, hello.instance):
        raise ReplyNotProven("the welcome is for somebody else")
    return welcome
