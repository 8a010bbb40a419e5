"""What came only in part is not acknowledged: a header that is cut off, half of a character."""

import pytest

from frontend_agent.er7 import why_unreadable
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import json_tree
from tests.mllp_kit import Inbox, Sender, listening, said


@pytest.mark.parametrize(
    "content", [b"MSH|", b"MSH|garbage", b"MSH|^~\\&|LIS|H\r", b"MSH|^~\\&||||||||\rPID|1||2||3|4|5|6|7\r"]
)
def test_a_header_that_is_cut_off_is_not_acknowledged(content: bytes) -> None:
    assert any("cut off" in reason for reason in why_unreadable(content))


@pytest.mark.parametrize(
    "content", [b"MSH|^~\\&|||||||ADT^A01", b"MSH|^~\\&||||||||4711\r", b"MSH|^~\\&|" + b"A" * 5000 + b"|||||||\rPID|1"]
)
def test_what_says_one_of_the_two_is_taken(content: bytes) -> None:
    assert not why_unreadable(content)


@pytest.mark.parametrize("text", ['{"id": "\\ud800"}', '{"\\uDC00": 1}', '["\\udc00\\ud800"]'])
def test_half_a_character_is_not_read(text: str) -> None:
    with pytest.raises(Unreadable, match="half a character"):
        json_tree(text.encode())


def test_a_whole_one_is_and_a_backslash_is_only_that() -> None:
    assert json_tree(rb'["\ud840\udc00", "\\ud800"]') == ["\U00020000", "\\ud800"]


def test_its_sender_hears_so_and_it_is_kept_for_a_person() -> None:
    inbox = Inbox()
    with listening(inbox) as listener, Sender(listener) as sender:
        assert said(sender.ask(b"MSH|^~\\&|LIS|H\r"))[0] == "AE"
    assert inbox.arrived[0].unreadable
