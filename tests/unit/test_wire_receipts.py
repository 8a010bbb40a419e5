"""A receipt proves exactly what was signed; anything else proves nothing."""

import base64
import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend_agent.model import Outcome
from frontend_agent.wire.greeting import Hello, read_welcome, seal_welcome
from frontend_agent.wire.parcel import LogHead
from frontend_agent.wire.receipts import (
    Leaf,
    ReplyMalformed,
    ReplyNotProven,
    canonical,
    leaf_hash,
    merkle_path,
    merkle_root,
    prove,
    public_bytes,
    read_countersignature,
    read_proof,
    read_reply,
    receipts_from,
    root_from_path,
    seal,
    sign,
)
from tests.platform_kit import HOSPITAL, document

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_bytes(KEY)
DOCUMENTS = [document(n) for n in range(5)]
TIME = "2026-09-30T02:45:00.000Z"


def leaf(one, outcome="stored", **change) -> Leaf:
    said = {
        "institution": one.institution, "document_id": one.document_id, "outcome": outcome, "set_id": one.set_id,
        "version": one.version, "kind": one.kind, "sha256": one.sha256, "size": one.size,
    }  # fmt: skip
    return Leaf(**{**said, **change})


def reply(leaves, duplicates=(), key=KEY) -> bytes:
    return seal(key, leaves, duplicates, HOSPITAL, "instance", TIME, LogHead(9, "cd" * 32), {"rules": "3"})


WHOLE = reply([leaf(one) for one in DOCUMENTS], duplicates=[1])


def as_rfc_6962_says(leaves: list[bytes]) -> bytes:
    """The definition, word for word: MTH over the largest power of two below n."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + as_rfc_6962_says(leaves[:split]) + as_rfc_6962_says(leaves[split:])).digest()


def test_the_tree_is_that_of_rfc_6962():
    for count in range(70):
        leaves = [str(n).encode() for n in range(count)]
        assert merkle_root([leaf_hash(one) for one in leaves]) == as_rfc_6962_says(leaves)


def test_every_path_leads_to_the_root_and_to_no_other_place():
    for count in range(1, 40):
        hashes = [leaf_hash(str(n).encode()) for n in range(count)]
        root = merkle_root(hashes)
        for position in range(count):
            path = merkle_path(hashes, position)
            assert root_from_path(hashes[position], position, count, path) == root
            with pytest.raises(ReplyNotProven):
                root_from_path(hashes[position], position, count, [*path, b"x"])
            if path:
                with pytest.raises(ReplyNotProven):
                    root_from_path(hashes[position], position, count, path[:-1])


def test_a_reply_is_read_back_with_its_receipts():
    read = read_reply(WHOLE, PUBLIC)
    receipts = receipts_from(read, DOCUMENTS)

    assert [one.outcome for one in receipts] == [
        Outcome.STORED, Outcome.DUPLICATE, Outcome.STORED, Outcome.STORED, Outcome.STORED,
    ]  # fmt: skip
    assert [one.position for one in receipts] == [0, 1, 2, 3, 4]
    assert {one.reply for one in receipts} == {read.id}
    assert read.statement.algorithm == "ed25519+sha256-rfc6962"
    assert read.statement.log_head == LogHead(9, "cd" * 32)


def test_the_countersigned_log_head_is_proven_without_the_receipts():
    evidence = read_reply(WHOLE, PUBLIC).countersignature
    statement = read_countersignature(evidence, PUBLIC)

    assert (statement.log_head, statement.instance, statement.institution) == (
        LogHead(9, "cd" * 32),
        "instance",
        HOSPITAL,
    )
    assert DOCUMENTS[0].document_id.encode() not in evidence
    with pytest.raises(ReplyNotProven):
        read_countersignature(evidence.replace(b'"seq":9', b'"seq":8'), PUBLIC)


def test_each_receipt_is_proven_alone_and_offline():
    for position, one in enumerate(DOCUMENTS):
        proof = prove(WHOLE, position)
        statement, proven = read_proof(proof, PUBLIC)
        assert (proven.document_id, proven.sha256, statement.time) == (one.document_id, one.sha256, TIME)
        assert all(other.document_id.encode() not in proof for other in DOCUMENTS if other is not one)


def test_a_proof_is_not_proof_of_another_place_document_or_key():
    proof = json.loads(prove(WHOLE, 2))
    other = json.loads(prove(WHOLE, 3))
    stranger = public_bytes(Ed25519PrivateKey.generate())
    wrong = [
        {**proof, "position": 3},
        {**proof, "position": 99},
        {**proof, "leaf": other["leaf"]},
        {**proof, "path": []},
    ]
    for one in wrong:
        with pytest.raises(ReplyNotProven):
            read_proof(json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode(), PUBLIC)
    with pytest.raises(ReplyNotProven):
        read_proof(prove(WHOLE, 2), stranger)


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_never_changes_a_receipt(position, flip):
    changed = bytearray(WHOLE)
    changed[position] ^= flip
    try:
        read = read_reply(bytes(changed), PUBLIC)
    except (ReplyMalformed, ReplyNotProven):
        return
    # Only what is not signed may differ: which of the stored ones were there already.
    assert read.leaves == read_reply(WHOLE, PUBLIC).leaves
    assert read.statement == read_reply(WHOLE, PUBLIC).statement


def test_a_reply_cut_anywhere_proves_nothing():
    for length in range(0, len(WHOLE), 7):
        with pytest.raises((ReplyMalformed, ReplyNotProven)):
            read_reply(WHOLE[:length], PUBLIC)


@pytest.mark.parametrize("nonsense", [b"", b"<html>", b"{}", b"[]", b"null", b'{"receipts":[]}', "你好".encode("gbk")])
def test_nonsense_is_malformed(nonsense):
    with pytest.raises(ReplyMalformed):
        read_reply(nonsense, PUBLIC)


def test_another_algorithm_is_not_believed():
    changed = json.loads(WHOLE)
    changed["statement"]["algorithm"] = "none"
    with pytest.raises(ReplyNotProven):
        read_reply(json.dumps(changed).encode(), PUBLIC)


def test_words_that_a_newer_platform_adds_do_not_break_the_proof():
    text = b'{"document_id":"D","institution":"H","outcome":"stored","shelf":"B7"}'
    statement = json.loads(canonical(read_reply(WHOLE, PUBLIC).statement))
    statement |= {"root": merkle_root([leaf_hash(text)]).hex(), "leaves": 1, "weather": "fine"}
    signed = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    body = b'{"statement":%b,"signature":"%b","receipts":[%b],"more":[]}' % (signed, sign(KEY, signed).encode(), text)

    assert read_reply(body, PUBLIC).leaves[0].document_id == "D"


def test_a_receipt_for_other_bytes_settles_nothing():
    one = DOCUMENTS[0]
    for wrong in (
        leaf(one, sha256="0" * 64),
        leaf(one, institution="another"),
        leaf(DOCUMENTS[1]),
        leaf(one, "absent"),
    ):
        receipts = receipts_from(read_reply(reply([wrong]), PUBLIC), [one])
        assert receipts[0].outcome == Outcome.UNANSWERED
        assert receipts[0].reply == ""


def test_a_refusal_carries_all_its_reasons():
    one = DOCUMENTS[0]
    read = read_reply(reply([leaf(one, "refused", reasons=["a: x", "b: y"])]), PUBLIC)
    assert receipts_from(read, [one])[0].reasons == ("a: x", "b: y")


def test_the_same_document_has_the_same_leaf_whenever_it_is_answered():
    later = seal(KEY, [leaf(DOCUMENTS[0])], [0], HOSPITAL, "another instance", "2027-01-01T00:00:00.000Z")
    assert json.loads(later)["receipts"][0] == json.loads(WHOLE)["receipts"][0]


HELLO = Hello(institution=HOSPITAL, instance="instance", lease="old", machine="m")


def test_a_welcome_is_believed_first_and_pinned_then():
    body = seal_welcome(KEY, HELLO, "new", TIME, {})
    welcome = read_welcome(body, HELLO, None)
    assert (welcome.lease, welcome.key) == ("new", PUBLIC)
    assert read_welcome(body, HELLO, PUBLIC) == welcome
    with pytest.raises(ReplyNotProven, match="pinned"):
        read_welcome(seal_welcome(Ed25519PrivateKey.generate(), HELLO, "new", TIME, {}), HELLO, PUBLIC)


def test_a_welcome_for_somebody_else_or_changed_is_not_believed():
    body = seal_welcome(KEY, HELLO, "new", TIME, {})
    with pytest.raises(ReplyNotProven):
        read_welcome(body, Hello(institution=HOSPITAL, instance="other"), PUBLIC)
    with pytest.raises(ReplyNotProven):
        read_welcome(body.replace(b'"new"', b'"bad"'), HELLO, PUBLIC)
    for nonsense in (b"", b"{}", b"<html>", json.dumps({"welcome": {}, "signature": ""}).encode()):
        with pytest.raises(ReplyMalformed):
            read_welcome(nonsense, HELLO, None)


def test_a_welcome_cannot_pass_as_a_countersignature():
    body = json.loads(seal_welcome(KEY, HELLO, "new", TIME, {}))
    forged = json.dumps({"statement": body["welcome"], "signature": body["signature"]}, separators=(",", ":")).encode()
    with pytest.raises(ReplyNotProven):
        read_countersignature(forged, PUBLIC)


def test_a_bad_signature_text_is_not_an_accident():
    changed = json.loads(WHOLE)
    for signature in ("", "###", base64.b64encode(b"x" * 64).decode()):
        with pytest.raises(ReplyNotProven):
            read_reply(json.dumps({**changed, "signature": signature}).encode(), PUBLIC)
