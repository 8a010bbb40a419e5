"""MLLP framing: the same events however the bytes are split, memory bounded, and what real senders do to it."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.mllp import Framer, Junk, Message, TooLong, Unterminated, framed
from tests.hl7_messages import NO_REAL_MESSAGES, WHY_NOT, real_messages

MSH = b"MSH|^~\\&|A|B|C|D|20260930||ACK|1|P|2.3\r"


def events(*pieces: bytes, most: int = 1_000) -> list:
    framer = Framer(most)
    found = [event for piece in pieces for event in framer.receive(piece)]
    return found + framer.close()


def split(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(marks)]


@pytest.mark.parametrize("end", [b"\x1c\r", b"\x1c", b"\x1c\r\n", b"\x1c\n", b"\x1c\r\r\n\0"])
def test_every_known_ending_of_a_frame_is_taken(end):
    assert events(b"\x0b" + MSH + end + b"\x0b" + MSH + end) == [Message(MSH), Message(MSH)]


def test_a_bare_fs_is_an_end_once_the_sender_is_silent():
    framer = Framer()
    assert framer.receive(b"\x0b" + MSH + b"\x1c") == []
    assert framer.is_waiting
    assert framer.settle() == [Message(MSH)]
    assert not framer.is_waiting
    assert not framer.is_inside
    assert framer.receive(b"\r" + framed(MSH)) == [Message(MSH)]  # the CR that came late is nothing


def test_an_fs_inside_a_text_does_not_cut_the_message():
    content = MSH + b"OBX|1|ST|||a\x1cb\r"
    assert events(framed(content)) == [Message(content)]


def test_a_vt_inside_a_text_is_content_and_before_a_header_another_message():
    soft = MSH + b"OBX|1|ST|||line\x0bMSHA\x0b\x0bline\r"
    assert events(framed(soft)) == [Message(soft)]
    assert events(b"\x0b" + MSH + b"OBX|1" + framed(MSH)) == [Unterminated(len(MSH) + 5, MSH + b"OBX|1"), Message(MSH)]


def test_no_second_byte_of_a_chinese_character_is_a_frames_byte():
    """Every character that GB 18030 writes in two bytes, and one plane of those in four."""
    everything = "".join(map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x11000)])).encode("gb18030")
    assert not set(everything) & {0x0B, 0x1C, 0x0D}


def test_what_stands_between_frames_is_told_once_with_its_size():
    assert events(b"\r\nhello " + framed(MSH) + b"\r\n\0 " + framed(MSH) + b"x") == [
        Junk(6), Message(MSH), Message(MSH), Junk(1),
    ]  # fmt: skip
    assert events(MSH) == [Junk(len(MSH), is_bare=True)]  # sent without framing: the operator is told so


def test_a_message_beyond_the_cap_is_told_at_once_and_skipped():
    framer = Framer(100)
    assert framer.receive(b"\x0b" + MSH + b"A" * 50) == []
    (event,) = framer.receive(b"B" * 80)
    assert event == TooLong((MSH + b"A" * 50 + b"B" * 80)[:100])
    for _ in range(1_000):
        assert framer.receive(b"C\x0b\x1c" * 1_000) == []
        assert framer.held < 100
    assert framer.receive(b"\x1c\r" + framed(MSH)) == [Message(MSH)]


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_cap_is_exact(over):
    content = b"M" * (1_000 + over)
    assert events(framed(content)) == ([TooLong(content[:1_000])] if over > 0 else [Message(content)])


def test_an_endless_message_holds_no_more_than_the_cap():
    framer = Framer(1_000_000)
    framer.receive(b"\x0b" + MSH)
    most = 0
    for _ in range(200):
        framer.receive(b"A" * 100_000)
        most = max(most, framer.held)
    assert most <= 1_000_000 + 65_536


def test_events_quote_nothing():
    broken = events(b"\x0bMSH|SECRET") + events(framed(b"SECRET")) + events(b"SECRET") + events(b"\x0b" + b"S" * 2_000)
    assert len(broken) == 4
    assert "SECRET" not in repr(broken)
    assert "SSS" not in repr(broken)


pieces = st.sampled_from(
    [b"\x0b", b"\x1c", b"\r", b"\n", b"\x1c\r", b"\x0bMSH|", b"MSH", b"MS", b"FHS|", b"A" * 30, b"x", b"\0", b" ", b"\xc4\xe3"]
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(pieces, max_size=40).map(b"".join), st.lists(st.integers(0, 10_000), max_size=12))
@example(b"\x0bMSH|\x0bMSH\x1c\x0bMSH|\x1c\r", [1, 2, 6, 7, 8, 9, 10, 11])
def test_any_split_gives_the_same_events(data, places):
    whole = events(data, most=50)
    assert events(*split(data, places), most=50) == whole
    assert events(*(bytes([byte]) for byte in data), most=50) == whole


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=60).filter(lambda b: not {0x0B, 0x1C} & set(b)), max_size=8), st.data())
def test_whole_messages_come_out_as_they_went_in(messages, data):
    wire = b"".join(map(framed, messages))
    places = data.draw(st.lists(st.integers(0, max(len(wire), 1)), max_size=10))
    assert events(*split(wire, places)) == [Message(one) for one in messages]


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_are_too_strange(data):
    found = events(data, most=64)
    kept = sum(event.size for event in found if not isinstance(event, TooLong))
    assert kept <= len(data)


@pytest.mark.skipif(NO_REAL_MESSAGES, reason=WHY_NOT)
def test_real_messages_arrive_whole_in_any_pieces():
    contents = [path.read_bytes() for path in real_messages()]
    wire = b"".join(map(framed, contents))
    expected = [Message(content) for content in contents]
    assert len(expected) >= 100
    for size in (1, 7, 65_536, len(wire)):
        assert events(*(wire[at : at + size] for at in range(0, len(wire), size)), most=1 << 20) == expected


@pytest.mark.skipif(NO_REAL_MESSAGES, reason=WHY_NOT)
def test_a_real_message_cut_at_any_byte_is_unterminated_and_the_next_is_read():
    content = min((path.read_bytes() for path in real_messages()), key=len)
    wire = framed(content)
    for cut in range(len(wire) - 1):
        found = events(wire[:cut] + framed(MSH), most=1 << 20)
        broken = [Unterminated(cut - 1, content[: cut - 1])] if 1 < cut <= len(content) + 1 else []
        if cut == 1:
            assert found[-1] == Message(MSH)
        elif cut == len(content) + 2:  # only the CR is missing
            assert found == [Message(content), Message(MSH)]
        else:
            assert found == [*broken, Message(MSH)], cut
