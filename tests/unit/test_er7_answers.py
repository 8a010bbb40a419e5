"""Answers: modes, conditions, all reasons, in the sender's own delimiters, version and character set."""

import pytest
from hl7apy.parser import parse_message

from frontend_agent.er7 import (
    Condition,
    MessageUnreadable,
    Reason,
    Said,
    Stage,
    answer,
    first_stage,
    header_of,
    is_wanted,
    read,
    read_answer,
)
from tests.hl7_messages import oru

NOW = "20260930104501"
REASONS = [
    Reason("no birth date", Condition.REQUIRED_MISSING, "PID", 1, 7),
    Reason("unit | of item 2 is not known", Condition.VALUE_NOT_FOUND, "OBX", 2, 6),
]


def message(accept="", application="", version="2.5.1", declared=""):
    return oru(declared=declared, version=version).replace(
        f"|{version}||||||{declared}", f"|{version}|||{accept}|{application}||{declared}"
    )


def answered(content, said, stage=None, reasons=(), charset=""):
    header = header_of(content, charset)
    return answer(header, said, stage or first_stage(header), control_id="A-1", now=NOW, reasons=reasons)


def test_the_original_mode_answers_once():
    made = answered(message().encode(), Said.ACCEPTED)
    assert made.decode() == ("MSH|^~\\&|REGION|PLAT|LIS|HOSP|20260930104501||ACK^R01^ACK|A-1|P|2.5.1\rMSA|AA|M-1\r")
    assert answered(message().encode(), Said.ACCEPTED, Stage.ACCEPT) is None


@pytest.mark.parametrize(("said", "code"), [(Said.ACCEPTED, "CA"), (Said.FAILED, "CE"), (Said.REFUSED, "CR")])
def test_the_enhanced_mode_says_that_the_message_is_kept(said, code):
    content = message("AL", "AL").encode()
    assert read_answer(answered(content, said).decode()).said is said
    assert f"MSA|{code}|M-1".encode() in answered(content, said)
    assert f"MSA|A{said.value}|M-1".encode() in answered(content, said, Stage.APPLICATION)


@pytest.mark.parametrize(
    ("condition", "on_success", "on_failure"),
    [("AL", True, True), ("NE", False, False), ("ER", False, True), ("SU", True, False), ("al", True, True)],
)
def test_the_sender_says_which_answers_it_wants(condition, on_success, on_failure):
    for stage, header in (
        (Stage.ACCEPT, header_of(message(condition, "NE").encode())),
        (Stage.APPLICATION, header_of(message("NE", condition).encode())),
    ):
        assert is_wanted(header, Said.ACCEPTED, stage) is on_success
        assert is_wanted(header, Said.FAILED, stage) is on_failure
        assert is_wanted(header, Said.REFUSED, stage) is on_failure
    assert not is_wanted(header_of(message("AL").encode()), Said.FAILED, Stage.APPLICATION)


def test_all_reasons_are_told_and_hl7apy_reads_them():
    made = answered(message().encode(), Said.FAILED, reasons=REASONS).decode()
    assert "ERR||PID^1^7|101^Required field missing^HL70357|E||||no birth date\r" in made
    assert "unit \\F\\ of item 2 is not known\r" in made
    parsed = parse_message(made, find_groups=False)
    assert parsed.msa.msa_1.value == "AE"
    assert len(parsed.err) == 2
    found = read_answer(made)
    assert (found.said, found.stage, found.control_id) == (Said.FAILED, Stage.APPLICATION, "M-1")
    assert found.reasons == ("PID^1^7: no birth date", "OBX^2^6: unit | of item 2 is not known")


@pytest.mark.parametrize("version", ["2.1", "2.3", "2.4", ""])
def test_older_versions_are_told_in_msa(version):
    made = answered(message(version=version).encode(), Said.REFUSED, reasons=REASONS).decode()
    assert "ERR" not in made
    assert read(made).value("MSA-3") == "no birth date; unit | of item 2 is not known"
    assert read(made).value("MSH-9") == ("ACK^R01^ACK" if version == "2.4" else "ACK^R01")


def test_senders_names_go_back_swapped_and_byte_for_byte():
    content = message(declared="GBK").replace("HOSP", "鑭医院^1^L").encode("gbk")  # a | within its first character
    made = answered(content, Said.ACCEPTED, charset="gb18030")
    assert "|鑭医院^1^L|20260930".encode("gbk") in made
    broken = content.replace("医院".encode("gbk"), b"\xff\xff")
    assert b"\xff\xff" in answered(broken, Said.REFUSED)


@pytest.mark.parametrize(
    ("declared", "codec", "found"),
    [("UNICODE UTF-8", "utf-8", "ascii"), ("GB 18030-2000", "gb18030", "ascii"), ("", "gb18030", "gb18030"), ("8859/1", "gb18030", "gb18030")],
)  # fmt: skip
def test_the_answer_is_in_the_senders_set(declared, codec, found):
    content = message(declared=declared).encode(codec)
    made = answered(content, Said.FAILED, reasons=[Reason("缺少出生日期")], charset=found)
    assert "缺少出生日期".encode(codec) in made
    assert read(made.decode(codec)).value("MSH-18") == declared


def test_what_the_senders_set_lacks_is_hexadecimal_and_never_a_question_mark():
    made = answered(message().encode("gb18030"), Said.FAILED, reasons=[Reason("缺 birth date")])
    assert b"\\XE7BCBA\\ birth date" in made
    assert read_answer(made.decode("ascii")).reasons == ("缺 birth date",)


def test_strange_delimiters_are_answered_in_kind():
    content = message().replace("^", "%").replace("|", "$").replace("MSH$%~", "MSH$%*").encode()
    made = answered(content, Said.FAILED, reasons=REASONS).decode()
    assert made.startswith("MSH$%*\\&$REGION$PLAT$LIS$HOSP$")
    assert read_answer(made).reasons[0] == "PID%1%7: no birth date"


def test_the_head_of_a_message_is_enough_to_refuse_it():
    made = answered(message().encode()[:90], Said.REFUSED, reasons=[Reason("larger than 16 MB")])
    assert b"MSA|AR|M-1" in made


@pytest.mark.parametrize("content", [b"", b"PID|1", b"\xff\xfe", b"MSH"])
def test_nobody_is_answered_without_a_header(content):
    with pytest.raises(MessageUnreadable):
        header_of(content)


@pytest.mark.parametrize("text", ["MSH|^~\\&|A", "MSH|^~\\&|A\rMSA|XX|1", "hello"])
def test_what_is_no_acknowledgement_is_told(text):
    with pytest.raises(MessageUnreadable):
        read_answer(text)


def test_reasons_of_older_errors_are_read():
    text = "MSH|^~\\&|A|B|C|D|1||ACK|1|P|2.3\rMSA|AE|M-1|bad\rERR|PID^1^3^101&Required field missing\r"
    assert read_answer(text).reasons == ("bad", "Required field missing")
