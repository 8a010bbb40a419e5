"""Receipts: one signature over a whole reply, and each receipt provable alone (laws 5 and 10).

A reply is JSON: `{"statement": {…}, "signature": "…", "receipts": [leaf, …], "duplicates": [position, …]}`.
Each leaf is canonical JSON (sorted keys, no spaces, UTF-8). The leaves are hashed into a Merkle tree as in RFC 6962:
H(0x00 ‖ leaf), H(0x01 ‖ left ‖ right). The statement names the algorithm, the root, who asked, and the log head that is
countersigned; the signature is Ed25519 over the statement's bytes exactly as they stand in the reply. Everything is
verified over the bytes as they came, so a newer platform may add words without breaking an older agent.

A leaf says nothing of when: the same document asked for again has the same leaf (law 6).
"""

import base64
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Annotated, Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from frontend_agent.model import Outcome, Receipt
from frontend_agent.wire.parcel import LogHead

ALGORITHM = "ed25519+sha256-rfc6962"
CONTEXT = b"frontend-agent reply 1\n"  # what is signed as a reply can never be taken for something else that is signed
ABSENT = "absent"  # asked for, and not here

_T = TypeVar("_T")


class ReplyMalformed(ValueError):
    """Not a reply of our platform: a proxy's page, a cut body, another service."""


class ReplyNotProven(ValueError):
    """It looks like a reply, but signature or root do not hold. It proves nothing."""


class Leaf(msgspec.Struct, frozen=True, omit_defaults=True):
    """One receipt. `stored` is the proof of law 5; `refused` carries all reasons at once."""

    institution: str
    document_id: str
    outcome: str  # stored | refused | retry | absent
    set_id: str = ""
    version: int = 0
    kind: str = ""
    sha256: str = ""
    size: int = 0
    reasons: list[str] = []


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the platform signs."""

    algorithm: str
    key: str  # key_id of the public key
    institution: str
    instance: str
    root: str
    leaves: int
    time: str  # the platform's clock, ISO 8601 UTC
    log_head: LogHead | None = None  # countersigned; absent when none was sent or it contradicts an earlier one
    packs: dict[str, str] = {}  # the platform's own


class _Wire(msgspec.Struct, frozen=True):
    statement: msgspec.Raw
    signature: str
    receipts: list[msgspec.Raw]
    duplicates: list[int] = []


class _Proof(msgspec.Struct, frozen=True):
    statement: msgspec.Raw
    signature: str
    leaf: msgspec.Raw
    position: Annotated[int, msgspec.Meta(ge=0)]
    path: list[str]


class _Countersignature(msgspec.Struct, frozen=True):
    statement: msgspec.Raw
    signature: str


class Reply(msgspec.Struct, frozen=True):
    """A reply whose signature and root were verified."""

    id: str
    statement: Statement
    leaves: list[Leaf]
    duplicates: frozenset[int]
    countersignature: bytes  # statement and signature alone: proves the log head without anybody's receipts


# --- keys ------------------------------------------------------------------------------------------------------------


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def public_key_of(text: bytes) -> bytes:
    """The raw key in a PEM text; empty when it is none of ours."""
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else b""


def key_id(public_key: bytes) -> str:
    return sha256(public_key).hexdigest()[:16]


def sign(key: Ed25519PrivateKey, statement: bytes) -> str:
    return base64.b64encode(key.sign(CONTEXT + statement)).decode()


def verify(public_key: bytes, statement: bytes, signature: str) -> None:
    """Raise ReplyNotProven unless the signature is the key's over exactly these bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            base64.b64decode(signature, validate=True), CONTEXT + statement
        )
    except (InvalidSignature, ValueError) as error:
        raise ReplyNotProven("the signature is not that of the platform's pinned key") from error


# --- the tree (RFC 6962, 2.1) ----------------------------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes. An odd one out rises unchanged, which is RFC 6962's split written level by level."""
    if not leaves:
        return sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def _level_above(level: list[bytes]) -> list[bytes]:
    above = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return [*above, level[-1]] if len(level) % 2 else above


def merkle_path(leaves: Sequence[bytes], position: int) -> list[bytes]:
    """The sisters from leaf to root."""
    path, level = [], list(leaves)
    while len(level) > 1:
        sister = position ^ 1
        if sister < len(level):
            path.append(level[sister])
        position //= 2
        level = _level_above(level)
    return path


def root_from_path(leaf: bytes, position: int, count: int, path: Iterable[bytes]) -> bytes:
    """The root that this leaf, at this place among so many, leads to. Raises ReplyNotProven on a path of another length."""
    sisters = iter(path)
    try:
        while count > 1:
            if position ^ 1 < count:
                sister = next(sisters)
                leaf = _node(sister, leaf) if position % 2 else _node(leaf, sister)
            position //= 2
            count = (count + 1) // 2
    except StopIteration:
        raise ReplyNotProven("the path is too short") from None
    if next(sisters, None) is not None:
        raise ReplyNotProven("the path is too long")
    return leaf


# --- making ----------------------------------------------------------------------------------------------------------


def canonical(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def seal(
    key: Ed25519PrivateKey,
    leaves: Sequence[Leaf],
    duplicates: Sequence[int],
    institution: str,
    instance: str,
    time: str,
    log_head: LogHead | None = None,
    packs: dict[str, str] | None = None,
) -> bytes:
    """The signed reply, ready to be sent."""
    texts = [canonical(leaf) for leaf in leaves]
    statement = canonical(
        Statement(
            algorithm=ALGORITHM,
            key=key_id(public_bytes(key)),
            institution=institution,
            instance=instance,
            root=merkle_root([leaf_hash(text) for text in texts]).hex(),
            leaves=len(texts),
            time=time,
            log_head=log_head,
            packs=packs or {},
        )
    )
    wire = _Wire(msgspec.Raw(statement), sign(key, statement), [msgspec.Raw(text) for text in texts], list(duplicates))
    return msgspec.json.encode(wire)


# --- verifying -------------------------------------------------------------------------------------------------------


def read_reply(body: bytes, public_key: bytes) -> Reply:
    """Verify a reply whole. Works offline, years later, from the stored bytes and the platform's public key."""
    wire = _decode(body, _Wire)
    verify(public_key, bytes(wire.statement), wire.signature)
    statement = _statement(wire.statement)
    if len(wire.receipts) != statement.leaves:
        raise ReplyNotProven("the reply holds another number of receipts than was signed")
    if merkle_root([leaf_hash(bytes(raw)) for raw in wire.receipts]).hex() != statement.root:
        raise ReplyNotProven("the receipts are not those that were signed")
    leaves = [_decode(bytes(raw), Leaf) for raw in wire.receipts]
    return Reply(
        id=reply_id(bytes(wire.statement)),
        statement=statement,
        leaves=leaves,
        duplicates=frozenset(wire.duplicates),
        countersignature=msgspec.json.encode(_Countersignature(wire.statement, wire.signature)),
    )


def reply_id(statement: bytes) -> str:
    """A reply is named by what was signed, so its name needs no counter and cannot be reused."""
    return sha256(statement).hexdigest()[:32]


def read_countersignature(evidence: bytes, public_key: bytes) -> Statement:
    """Verify what proves a log head offline. The head itself, institution and time are in the statement."""
    wire = _decode(evidence, _Countersignature)
    verify(public_key, bytes(wire.statement), wire.signature)
    return _statement(wire.statement)


def prove(body: bytes, position: int) -> bytes:
    """Cut one receipt out of a reply, with its path to the signed root: a proof that shows nobody else's document."""
    wire = _decode(body, _Wire)
    hashes = [leaf_hash(bytes(raw)) for raw in wire.receipts]
    path = [sister.hex() for sister in merkle_path(hashes, position)]
    return msgspec.json.encode(_Proof(wire.statement, wire.signature, wire.receipts[position], position, path))


def read_proof(proof: bytes, public_key: bytes) -> tuple[Statement, Leaf]:
    """Verify a single receipt offline."""
    wire = _decode(proof, _Proof)
    verify(public_key, bytes(wire.statement), wire.signature)
    statement = _statement(wire.statement)
    if wire.position >= statement.leaves:
        raise ReplyNotProven("there is no such receipt in that reply")
    try:
        path = [bytes.fromhex(sister) for sister in wire.path]
    except ValueError as error:
        raise ReplyMalformed("the path is not hexadecimal") from error
    root = root_from_path(leaf_hash(bytes(wire.leaf)), wire.position, statement.leaves, path)
    if root.hex() != statement.root:
        raise ReplyNotProven("the receipt is not one of those that were signed")
    return statement, _decode(bytes(wire.leaf), Leaf)


def _statement(raw: msgspec.Raw) -> Statement:
    statement = _decode(bytes(raw), Statement)
    if statement.algorithm != ALGORITHM:
        raise ReplyNotProven(f"signed with {statement.algorithm!r}, which this version cannot verify")
    return statement


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReplyMalformed(f"not a reply of the platform: {error}") from error


# --- what it means for the documents that were sent ------------------------------------------------------------------


class Sent(Protocol):
    """What of a document its receipt is held against."""

    @property
    def document_id(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def institution(self) -> str: ...


def receipts_from(reply: Reply, documents: Sequence[Sent]) -> list[Receipt]:
    """One receipt per document sent, in their order. A leaf that names other bytes is no proof (law 5)."""
    places = {leaf.document_id: position for position, leaf in enumerate(reply.leaves)}
    return [_receipt(reply, one, _place(reply, one, sent_as, places)) for sent_as, one in enumerate(documents)]


def _place(reply: Reply, document: Sent, sent_as: int, places: dict[str, int]) -> int:
    """Where its leaf is: as a rule where it was in the parcel."""
    if sent_as < len(reply.leaves) and reply.leaves[sent_as].document_id == document.document_id:
        return sent_as
    return places.get(document.document_id, -1)


def _receipt(reply: Reply, document: Sent, position: int) -> Receipt:
    if position < 0:
        return Receipt(document.document_id, Outcome.UNANSWERED, reasons=("the reply does not speak of it",))
    leaf = reply.leaves[position]
    if leaf.outcome == Outcome.STORED:
        if (leaf.sha256, leaf.institution) != (document.sha256, document.institution):
            reason = "the receipt is for other bytes or another institution"
            return Receipt(document.document_id, Outcome.UNANSWERED, reasons=(reason,))
        outcome = Outcome.DUPLICATE if position in reply.duplicates else Outcome.STORED
    elif leaf.outcome in (Outcome.REFUSED, Outcome.RETRY):
        outcome = Outcome(leaf.outcome)
    else:
        return Receipt(document.document_id, Outcome.UNANSWERED, reasons=("an answer this version does not know",))
    return Receipt(
        document_id=document.document_id,
        outcome=outcome,
        sha256=leaf.sha256,
        reasons=tuple(leaf.reasons),
        reply=reply.id,
        position=position,
    )
