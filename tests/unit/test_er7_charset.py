"""MSH-18 and its lies: the bytes decide, nothing is replaced, and what nobody can tell is said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend_agent.er7 import Decoded, Undecoded, codec_of, declared_of, decode
from tests.hl7_messages import corpus, oru

CASES = list(corpus())


def test_the_corpus_is_large_enough():
    assert len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_message_is_read_in_its_true_set_or_not_at_all(case):
    found = decode(case.content)
    if case.text is None:
        assert isinstance(found, Undecoded), found.charset
        assert found.reasons
    else:
        assert isinstance(found, Decoded), found.reasons
        assert found.text == case.text
        assert found.is_certain is case.is_certain


def test_what_is_settled_for_a_sender_is_taken_or_nothing():
    gbk = oru(declared="UNICODE UTF-8").encode("gbk")
    assert decode(gbk, fixed="gb18030").charset == "gb18030"
    refused = decode(gbk, fixed="utf-8")
    assert isinstance(refused, Undecoded)
    assert "settled" in refused.reasons[0]


def test_a_sign_alone_is_not_taken_for_chinese_and_not_for_certain():
    text = oru("ZHANG SAN", "", "5 µg/L").replace("生化检验", "CHEM").replace("项目", "item")
    found = decode(text.encode("utf-8"))
    assert (found.text, found.is_certain) == (text, False)
    # the same bytes where MSH-18 says GBK: 5 碌g/L or 5 µg/L, nobody can tell
    assert isinstance(decode(text.replace("2.5.1||||||", "2.5.1||||||GBK").encode("utf-8")), Undecoded)


def test_valid_in_both_sets_is_settled_by_nobody():
    text = oru("隆", "", "normal").replace("生化检验", "CHEM").replace("项目", "item")  # C2 A1: 隆, or ¡
    assert isinstance(decode(text.encode("gbk")), Undecoded)
    declared = text.replace("2.5.1||||||", "2.5.1||||||GB 18030-2000").encode("gbk")
    assert (decode(declared).text[-200:], decode(declared).is_certain) == (declared.decode("gbk")[-200:], False)


def test_a_bar_within_a_character_of_msh_does_not_move_msh_18():
    text = oru(declared="GBK").replace("HOSP", "鑭医院")  # its second byte is 0x7C
    assert b"|" in "鑭".encode("gbk")
    assert declared_of(text.encode("gbk")) == ("GBK",)
    assert declared_of(text.encode("utf-8")) == ("GBK",)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("UNICODE UTF-8", "utf-8"), ("GB 18030-2000", "gb18030"), ("gbk", "gb18030"), ("8859/15", "iso8859-15"), ("8859/99", None), ("x", None)],
)  # fmt: skip
def test_names_of_sets(name, codec):
    assert codec_of(name) == codec


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_judged(data, with_header):
    content = b"MSH|^~\\&|||||||ORU|1|P|2.3||||||" + data if with_header else data
    found = decode(content)
    if isinstance(found, Decoded):
        assert "\ufffd" not in found.text
        if not found.charset.startswith("iso2022") and b"\x1b" not in content:
            assert found.text.encode(found.charset) == content
    else:
        assert found.reasons
