"""Which character set texts are really in: repaired where there is no doubt, told where there is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend_agent.dicom.charsets import explains
from frontend_agent.imaging.character_sets import Text, judge

NAME, DESCRIPTION, HOSPITAL = 0x0010_0010, 0x0008_1030, 0x0008_0080
IR_58 = "\\ISO 2022 IR 58"


def name(text: str, codec: str = "gbk") -> Text:
    return Text(NAME, text.encode(codec), is_name=True)


def words(text: str, codec: str = "gbk") -> Text:
    return Text(DESCRIPTION, text.encode(codec))


@pytest.mark.parametrize(
    ("texts", "said", "really"),
    [
        ([name("张三")], "ISO_IR 100", "GB18030"),
        ([name("王小明")], "ISO_IR 100", "GB18030"),
        ([name("ZHANG^SAN=张^三")], "ISO_IR 100", "GB18030"),
        ([name("张三")], "", "GB18030"),
        ([name("张三")], "ISO_IR 192", "GB18030"),
        ([name("张三")], IR_58, "GB18030"),  # without the escape sequences that it announces
        ([name("张三")], "GB2312", "GB18030"),  # no defined term
        ([name("朱镕基"), words("胸部平扫")], "ISO_IR 100", "GB18030"),
        ([name("ZHANG SAN"), words("CT胸部平扫+增强")], "ISO_IR 100", "GB18030"),
        ([name("张三", "utf-8")], "", "ISO_IR 192"),
        ([name("张三", "utf-8")], "ISO_IR 100", "ISO_IR 192"),
        ([name("张三", "utf-8")], "GB18030", "ISO_IR 192"),
        ([name("张三", "utf-8")], "UTF-8", "ISO_IR 192"),
        ([name("㑇一", "gb18030"), words("头颅平扫")], "GBK", "GB18030"),  # four bytes: not of GBK
    ],
)
def test_a_wrong_or_missing_label_is_repaired_where_the_bytes_leave_no_doubt(texts, said, really):
    judged = judge(texts, said)

    assert judged.charset == really
    assert not judged.doubt
    assert all(explains(text.value, really, text.is_name) for text in texts)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([name("张三")], "GB18030"),
        ([name("张三", "utf-8")], "ISO_IR 192"),
        ([Text(NAME, b"\x1b$)A" + "张三".encode("gb2312"), True)], IR_58),
        ([name("Müller^Jörg", "latin-1")], "ISO_IR 100"),
        ([name("JÄÄSKELÄINEN", "latin-1")], "ISO_IR 100"),
        ([name("Люкceмбypг", "iso8859_5")], "ISO_IR 144"),
        ([name("Διονυσιος", "iso8859_7")], "ISO_IR 126"),
        ([Text(NAME, b"\x1b$)C" + "김희중".encode("euc_kr"), True)], "\\ISO 2022 IR 149"),
        ([name("ZHANG^SAN")], ""),
        ([name("ZHANG^SAN")], "nonsense"),
        ([words("5 µm, 37 °C", "latin-1")], "ISO_IR 100"),
    ],
)
def test_what_is_labelled_rightly_is_left_alone(texts, said):
    assert judge(texts, said) == ("", "", ())


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([name("Müller^Jörg", "latin-1")], ""),
        ([name("Люкceмбypг", "iso8859_5")], ""),
        ([name("홍^길동", "euc_kr")], ""),  # as GB 2312 it would be the name 全辨疑
        ([name("山田^太郎", "euc_jp")], ""),
        ([name("張小明", "big5")], ""),
        ([name("尛喆")], ""),
        ([name("朱镕基")], "ISO_IR 100"),  # a rare character, and nothing beside it to tell it by
        ([name("张三"), words("第一医院", "utf-8")], ""),  # two sets in one data set
        ([name("张三"), Text(DESCRIPTION, "胸部平扫".encode("gbk")[:-1])], ""),  # cut within a character
    ],
)
def test_a_doubt_is_told_and_nothing_is_repaired(texts, said):
    judged = judge(texts, said)

    assert not judged.charset
    assert judged.doubt
    assert NAME in judged.doubtful or len(texts) > 1


def test_the_name_of_the_order_settles_what_the_bytes_alone_do_not():
    assert judge([name("朱镕基")], "ISO_IR 100", ["朱镕基"]).charset == "GB18030"
    assert judge([name("尛喆")], "", ["尛喆"]).charset == "GB18030"
    assert judge([name("朱镕基")], "ISO_IR 100", ["李四"]).doubt


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=4),
    st.sampled_from(["", "ISO_IR 100", "GB18030", "ISO_IR 192", IR_58, "?"]),
)
def test_whatever_is_repaired_is_valid_in_the_new_set(values, said):
    texts = [Text(NAME, value, True) for value in values]
    judged = judge(texts, said)

    assert not (judged.charset and judged.doubt)
    if judged.charset:
        assert all(explains(text.value, judged.charset, True) for text in texts)
