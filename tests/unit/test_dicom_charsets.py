"""Character sets: what explains a value, how a text is written in one, and which other set a value really is in."""

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend_agent.dicom.charsets import decoded, encoded, explains

IR_58 = "\\ISO 2022 IR 58"


@pytest.mark.parametrize("charset", ["GB18030", "GBK", "ISO_IR 192", IR_58, "ISO 2022 IR 6\\ISO 2022 IR 58"])
def test_chinese_is_written_so_that_it_is_read_again(charset):
    for text, is_name in (("张三", True), ("ZHANG^SAN=张^三", True), ("CT平扫 100mm\r\n增强", False)):
        value = encoded(text, charset, is_name)

        assert value is not None
        assert decoded(value, charset, is_name) == (text, True)


def test_what_a_set_does_not_have_cannot_be_written_in_it():
    assert encoded("张三", "ISO_IR 100") is None
    assert encoded("张三", "") is None
    assert encoded("张喆", IR_58) is None  # not in GB 2312
    assert encoded("Müller", "ISO_IR 100") == "Müller".encode("latin-1")
    assert encoded("张三", "GB 2312") is None  # no defined term
    assert encoded("ZHANG", "GB 2312") == b"ZHANG"


@pytest.mark.parametrize(
    ("value", "charset", "is_explained"),
    [
        ("张三".encode("gbk"), "", False),
        ("张三".encode("gbk"), "ISO_IR 6", False),
        ("张三".encode("gbk"), IR_58, False),  # without its escape sequence
        ("张三".encode("gbk"), "ISO 2022 IR 58", False),
        ("张三".encode("gbk"), "ISO_IR 192", False),
        ("张三".encode("gbk"), "GB2312", False),  # that term does not exist
        ("张三".encode("gbk"), "GB18030", True),
        ("张三".encode("gbk"), "ISO_IR 100", True),  # each byte is some letter
        ("镕".encode("gbk")[:1] + b"\x81", "ISO_IR 100", False),  # a control character is none
        ("张三".encode(), "ISO_IR 192", True),
        ("张三".encode(), "GB18030", True),  # valid: 寮犱笁
        (b"\x1b$)A" + "张三".encode("gb2312"), IR_58, True),
        (b"\x1b$)A" + "张三".encode("gb2312"), "ISO_IR 100", False),
        (b"\x1b$)C" + "김".encode("euc_kr"), IR_58, False),  # a set that is not announced
        (b"\x1b$)A\xd5", IR_58, False),
        (b"\x1b?", IR_58, False),
        (b"ZHANG^SAN", "no such set", True),
    ],
)
def test_whether_a_set_explains_every_byte(value, charset, is_explained):
    assert explains(value, charset, True) is is_explained
    assert decoded(value, charset, True)[1] is is_explained


def test_real_names_are_read_as_their_makers_meant_them(realdata):
    read = 0
    for path in sorted((realdata / "dicom/pydicom/charset_files").glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        if "PatientName" not in dataset:
            continue
        value = dataset.get_item("PatientName").value
        said = dataset.get("SpecificCharacterSet", "")
        charset = said if isinstance(said, str) else "\\".join(said)
        text, is_certain = decoded(value, charset, True)
        assert is_certain, path.name
        assert text.rstrip("= ") == str(dataset.PatientName).rstrip("= "), path.name
        read += 1
    assert read >= 14


@given(
    st.binary(max_size=60),
    st.sampled_from(["", "ISO_IR 100", "ISO_IR 192", "GB18030", IR_58, "x", "ISO 2022 IR 13\\ISO 2022 IR 87"]),
    st.booleans(),
)
def test_any_bytes_are_read_without_an_error(value, charset, is_name):
    text, is_certain = decoded(value, charset, is_name)
    assert isinstance(text, str)
    assert not (is_certain and "\ufffd" in text)


@given(
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=20),
    st.sampled_from(["GB18030", "ISO_IR 192", IR_58]),
)
def test_what_is_written_is_what_is_read(text, charset):
    value = encoded(text, charset, True)
    if value is not None:
        assert decoded(value, charset, True) == (text, True)
