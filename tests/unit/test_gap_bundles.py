"""Bundles across a gap: what is refused, with its reason, and what they say."""

from random import Random

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from frontend_agent.sealing import SUITES, Suite
from frontend_agent.wire.bundles import (
    MAGIC,
    SIGNATURE,
    BundleRefused,
    Half,
    Role,
    file_name,
    head_of,
    open_bundle,
    read_public_half,
    seal,
    shown,
    verify,
)
from frontend_agent.wire.crossing import Got, Index, into_bundles, pack, read_request, unpack

STREAM = "a" * 32


def half(role: Role) -> Half:
    return Half(role, Ed25519PrivateKey.generate(), X25519PrivateKey.generate())


INNER, OUTER = half("inner"), half("outer")


def made(
    content: bytes = b"content",
    number: int = 7,
    maker: Half = INNER,
    reader: Half = OUTER,
    suite: Suite = "AES-256-GCM",
) -> bytes:
    return seal(maker, reader.public, STREAM, number, content, X25519PrivateKey.generate(), suite)


def refusal(file: bytes, reader: Half = OUTER, maker: Half = INNER) -> str:
    try:
        verify(file, reader.public, maker.public)
        open_bundle(file, reader)
    except BundleRefused as refused:
        return refused.reason
    return ""


@pytest.mark.parametrize("suite", SUITES)
def test_a_bundle_is_opened_by_the_half_that_it_is_for(suite: Suite) -> None:
    file = made(b"a parcel" * 1000, suite=suite)
    assert verify(file, OUTER.public, INNER.public).number == 7
    assert open_bundle(file, OUTER) == b"a parcel" * 1000
    assert b"a parcel" not in file


def test_every_flipped_bit_is_found() -> None:
    file, random = made(), Random(1)
    for place in sorted(random.sample(range(len(file)), 120)):
        changed = bytearray(file)
        changed[place] ^= 1 << random.randrange(8)
        assert refusal(bytes(changed)), place


def test_a_file_that_is_cut_off_anywhere_is_truncated() -> None:
    file = made()
    for length in (0, 2, 4, 7, 8, 60, len(file) - SIGNATURE - 1, len(file) - 1):
        assert refusal(file[:length]) == "truncated", length
    assert refusal(file + b"x") == "changed"


@pytest.mark.parametrize(
    "file", [b"PK\x03\x04 somebody's archive", b"\xd0\xcf\x11\xe0" * 100, MAGIC + b"\xff\xff\xff\xff"]
)
def test_somebody_elses_file_is_foreign(file: bytes) -> None:
    assert refusal(file) == "foreign"


def test_one_of_our_own_that_the_ferry_brought_back_is_of_the_other_direction() -> None:
    assert refusal(made(), reader=INNER, maker=OUTER) == "other-direction"


def test_a_bundle_of_another_key_is_refused_also_where_it_names_ours() -> None:
    stranger = half("inner")
    assert refusal(made(maker=stranger)) == "another-key"
    pretending = Half("inner", stranger.signing, INNER.agreement)
    forged = made(maker=pretending).replace(pretending.public.fingerprint.encode(), INNER.public.fingerprint.encode())
    assert refusal(forged) == "changed"


def test_a_bundle_for_another_half_is_refused() -> None:
    assert refusal(made(reader=half("outer"))) == "not-for-us"


def test_under_another_number_it_does_not_open_even_if_it_were_signed() -> None:
    file = made(number=7)
    moved = file[:-SIGNATURE].replace(b'"number":7', b'"number":8')
    assert head_of(moved + file[-SIGNATURE:]).number == 8
    with pytest.raises(BundleRefused, match="does not open"):
        open_bundle(moved + file[-SIGNATURE:], OUTER)


def test_two_bundles_of_one_content_have_nothing_in_common() -> None:
    one, other = made(bytes(4096)), made(bytes(4096))
    assert one[-2000:-100] != other[-2000:-100]


def test_public_keys_are_told_and_read() -> None:
    told = msgspec.json.encode(INNER.public)
    assert read_public_half(told) == INNER.public
    assert len(shown(INNER.public.fingerprint).split()) == 8
    for wrong in (b"", b"{}", told.replace(INNER.public.signing[:10].encode(), b"!" * 10), b"\xff"):
        with pytest.raises(ValueError, match="gap keys"):
            read_public_half(wrong)


def test_names_of_files_are_in_the_order_of_their_numbers() -> None:
    names = [file_name("outward", STREAM, number) for number in (1, 2, 10, 999_999)]
    assert names == sorted(names)


def test_what_is_longer_than_a_bundle_goes_on_in_the_next() -> None:
    random = Random(2)
    for _ in range(50):
        items = [random.randbytes(random.choice((0, 1, 99, 100, 101, 450))) for _ in range(random.randrange(1, 9))]
        bundles = list(into_bundles(items, 100))
        assert all(sum(len(piece) for piece, _ in pieces) <= 100 for pieces in bundles)
        found, now = [], b""
        for pieces in bundles:
            for piece, ends in unpack(pack(Index(at="2026-11-21T00:00:00+00:00"), pieces))[1]:
                now += piece
                if ends:
                    found.append(now)
                    now = b""
        assert found == items


def test_what_a_bundle_says_comes_as_it_was() -> None:
    index = Index(at="2026-11-21T00:00:00+00:00", got=Got(stream=STREAM, whole=5, missing=(6, 8), last=9), waiting=3)
    told, pieces = unpack(pack(index, [(b"abc", True), (b"", True), (b"de", False)]))
    assert (told.got, told.waiting) == (index.got, 3)
    assert pieces == [(b"abc", True), (b"", True), (b"de", False)]


@pytest.mark.parametrize(
    "content", [b"", b"\0\0", b"\0\0\0\2{}", b"\0\0\0\x0b" + b'{"at":"xx"}', b"\0\0\0\4null", b"\xff" * 40]
)
def test_content_of_another_version_is_refused(content: bytes) -> None:
    with pytest.raises(BundleRefused) as refused:
        unpack(content)
    assert refused.value.reason == "content"


@pytest.mark.parametrize("item", [b"", b"\0\0\0\2{}", b"\xff\xff\xff\xff"])
def test_a_request_that_cannot_be_read_is_refused(item: bytes) -> None:
    with pytest.raises(BundleRefused):
        read_request(item)
