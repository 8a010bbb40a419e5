"""A parcel is taken apart exactly, or not at all."""

import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend_agent.wire import parcel
from frontend_agent.wire.parcel import LogHead, ParcelMalformed, ParcelTooLarge, assemble, pack, unpack
from tests.platform_kit import HOSPITAL, document

DOCUMENTS = [document(1), document(2, version=2), document(3, void=True)]
BODY = pack(DOCUMENTS, HOSPITAL, "instance", "lease", LogHead(7, "ab" * 32), {"rules": "1"})


def with_index(change: dict, frames: bytes = b"") -> bytes:
    index = {"institution": "H", "instance": "i", "lease": "l", "documents": [], **change}
    text = msgspec.json.encode(index)
    return b"FEP1" + struct.pack(">I", len(text)) + text + frames


def entry(**change) -> dict:
    said = {"document_id": "D-1", "set_id": "D", "version": 1, "kind": "K", "sha256": "0" * 64, "size": 1, "length": 0}
    return {**said, **change}


def test_a_parcel_without_documents_goes_for_the_sake_of_its_log_head_alone() -> None:
    with pytest.raises(ParcelMalformed, match="no document"):
        unpack(pack([], "H1", "i", "lease"))
    carried = unpack(pack([], "H1", "i", "lease", LogHead(7, "5a" * 32))).index
    assert carried.log_head == LogHead(7, "5a" * 32)


def test_what_is_packed_is_unpacked():
    found = unpack(BODY)

    assert [bytes(frame) for frame in found.frames] == [one.frame for one in DOCUMENTS]
    assert [one.document_id for one in found.index.documents] == [one.document_id for one in DOCUMENTS]
    assert found.index.log_head == LogHead(7, "ab" * 32)
    assert found.index.documents[1].replaces_id == DOCUMENTS[1].replaces_id
    assert found.index.documents[2].void
    for offset, one in zip(found.offsets, DOCUMENTS, strict=True):
        assert BODY[offset : offset + len(one.frame)] == one.frame


def test_frames_are_not_copied():
    assert all(frame.obj is BODY for frame in unpack(BODY).frames)


def test_a_parcel_cut_anywhere_is_not_a_parcel():
    for length in range(len(BODY)):
        with pytest.raises(ParcelMalformed):
            unpack(BODY[:length])


def test_a_parcel_with_something_behind_it_is_not_a_parcel():
    with pytest.raises(ParcelMalformed):
        unpack(BODY + b"\0")


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"documents": [entry(version=0)]},
        {"documents": [entry(version=2**40)]},
        {"documents": [entry(sha256="F" * 64)]},
        {"documents": [entry(sha256="0" * 63)]},
        {"documents": [entry(length=-1)]},
        {"documents": [entry(size=1.5)]},
        {"documents": [entry(document_id=None)]},
        {"documents": [entry(unknown=1)]},
        {"documents": [entry(document_id="x" * 300)]},
        {"institution": ""},
        {"institution": 5},
        {"log_head": {"seq": 1}},
        {"packs": {"a": 1}},
    ],
)
def test_an_index_that_is_not_exactly_one_is_refused(change):
    with pytest.raises(ParcelMalformed):
        unpack(with_index({"documents": [entry()], **change}))


@pytest.mark.parametrize("change", [{"documents": [entry()] * 1001}, {"documents": [entry(size=200 << 20)] * 2}])
def test_too_much_is_told_from_malformed(change):
    with pytest.raises(ParcelTooLarge):
        unpack(with_index(change))


def test_limits_hold_at_the_limit():
    assert len(unpack(with_index({"documents": [entry()] * parcel.MOST_DOCUMENTS})).frames) == parcel.MOST_DOCUMENTS
    unpack(with_index({"documents": [entry(size=parcel.LARGEST_WHOLE)]}))
    with pytest.raises(ParcelTooLarge):
        unpack(with_index({"documents": [entry(size=parcel.LARGEST_WHOLE + 1)]}))
    with pytest.raises(ParcelTooLarge):
        unpack(b"FEP1" + struct.pack(">I", parcel.LARGEST_INDEX + 1))
    with pytest.raises(ParcelTooLarge):
        unpack(bytes(parcel.LARGEST_PARCEL + 1))


def test_the_malformed_index_is_named_without_its_content():
    with pytest.raises(ParcelMalformed) as refused:
        unpack(with_index({"documents": [entry(sha256="张三张三")]}))
    assert "张三" not in str(refused.value)


@given(st.binary(max_size=300))
def test_noise_is_never_a_parcel(noise):
    with pytest.raises(ParcelMalformed):
        unpack(noise)
    with pytest.raises(ParcelMalformed):
        unpack(b"FEP1" + noise)


@settings(max_examples=200)
@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_gives_other_frames_of_other_lengths(position, flip):
    changed = bytearray(BODY)
    changed[position] ^= flip
    try:
        found = unpack(bytes(changed))
    except ParcelMalformed:
        return
    assert sum(one.length for one in found.index.documents) == sum(len(frame) for frame in found.frames)
    assert assemble(found.index, found.frames)[:4] == b"FEP1"
