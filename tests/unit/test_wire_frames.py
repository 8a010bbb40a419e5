"""A frame is opened only to what its index entry says, and never to more."""

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from frontend_agent.wire import frames
from frontend_agent.wire.frames import FrameRefused, compressor, decompressor, dictionary_id, open_frame
from tests.memory import forget_peak, peak

SHARED = b"<ClinicalDocument>" * 50


@given(st.binary(max_size=5000), st.booleans())
def test_what_is_framed_is_opened(content, with_dictionary):
    shared = SHARED if with_dictionary else b""
    assert open_frame(compressor(shared).compress(content), len(content), decompressor(shared)) == content


def test_a_frame_is_the_same_each_time():
    assert compressor(SHARED).compress(b"x" * 99) == compressor(SHARED).compress(b"x" * 99)


def test_no_dictionary_has_no_name():
    assert dictionary_id(b"") == ""
    assert len(dictionary_id(SHARED)) == 64


def test_another_dictionary_does_not_open_it():
    # (or opens it to other bytes, which the SHA-256 finds)
    frame = compressor(SHARED).compress(SHARED)
    with pytest.raises(FrameRefused):
        open_frame(frame, len(SHARED), decompressor())


@pytest.mark.parametrize("wrong", [b"", b"\0" * 20, b"FEP1", zstandard.compress(b"abc")[:-1]])
def test_what_is_no_frame_is_refused(wrong):
    with pytest.raises(FrameRefused):
        open_frame(wrong, 3, decompressor())


def test_another_size_than_the_index_says_is_refused():
    with pytest.raises(FrameRefused):
        open_frame(compressor().compress(b"abcd"), 3, decompressor())


def test_a_frame_that_hides_its_size_is_refused():
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"abc")
    with pytest.raises(FrameRefused):
        open_frame(frame, 3, decompressor())


def test_something_behind_the_frame_is_refused():
    frame = compressor().compress(b"abc")
    for behind in (b"\0", frame):
        with pytest.raises(FrameRefused):
            open_frame(frame + behind, 3, decompressor())


def test_a_bomb_costs_no_memory():
    honest = 256 << 20
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(honest))
    before = forget_peak()
    for size in (honest, 1 << 20, 10):
        with pytest.raises(FrameRefused):
            open_frame(bomb, size, decompressor())
    assert peak() - before < 8 << 20


def test_a_small_bomb_is_refused_by_its_ratio():
    size = frames.BIG_ENOUGH_TO_HARM + 1
    with pytest.raises(FrameRefused, match="expands"):
        open_frame(compressor().compress(bytes(size)), size, decompressor())


def test_a_bomb_that_lies_about_its_size_is_refused():
    # A header that states 3 bytes before blocks that hold a mebibyte.
    frame = bytearray(compressor().compress(b"abc"))
    bomb = compressor().compress(bytes(1 << 20))
    lying = bytes(frame[:6]) + bomb[zstandard.frame_header_size(bomb) :]
    with pytest.raises(FrameRefused):
        open_frame(lying, 3, decompressor())
