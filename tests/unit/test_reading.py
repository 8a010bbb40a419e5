"""Readers inside a column: what they read, and that nothing makes them guess, hang or raise anything but Unreadable."""

import base64
import gzip
import io
import json
import re
import time
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend_agent.errors import ConfigurationError
from frontend_agent.model import RowSet
from frontend_agent.reading import (
    Column,
    FieldPath,
    GroupPath,
    Unreadable,
    compile_chain,
    compile_path,
    open_columns,
    readers,
)
from frontend_agent.reading.packing import LARGEST
from frontend_agent.reading.trees import json_value, xml_value

EMR = """<?xml version="1.0" encoding="GB2312"?>
<emr xmlns="urn:emr"><zs>反复咳嗽3天，加重1天</zs><zd lx="main"><bm>J18.9</bm><mc>肺炎 &lt;重症&gt;</mc></zd>
<zd lx="other"><bm>I10</bm><mc>高血压</mc></zd></emr>"""


def read(chain: str, value: object) -> object:
    return compile_chain(chain).read(value)


def at(chain: str, path: str, value: object) -> list[object]:
    compiled = compile_chain(chain)
    nodes = compile_path(compiled.last, path)(compiled.read(value))
    return [xml_value(node) if compiled.last == "xml" else json_value(node) for node in nodes]


# -- XML ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("//zs", ["反复咳嗽3天，加重1天"]),
        ("/emr/zs", ["反复咳嗽3天，加重1天"]),
        ("zs", ["反复咳嗽3天，加重1天"]),
        ("//zd[@lx='main']/mc", ["肺炎 <重症>"]),
        ("//zd[bm='I10']/mc", ["高血压"]),
        ("//zd/bm", ["J18.9", "I10"]),
        ("//zd[2]/@lx", ["other"]),
        ("//zd[1]/bm/text()", ["J18.9"]),
        ("./zd[2]/bm", ["I10"]),
        ("//zd[@lx='other'][1]/bm", ["I10"]),
        ("//emr/zs", ["反复咳嗽3天，加重1天"]),
        ("//@lx", ["main", "other"]),
        ("//zd//mc", ["肺炎 <重症>", "高血压"]),
        ("/*/zd[9]", []),
        ("/zs", []),
        ("//nothing", []),
    ],
)
def test_a_path_finds_elements_and_attributes_whatever_their_namespace(path: str, found: list[str]):
    assert at("xml", path, EMR) == found


def test_declared_gb2312_is_read_as_what_the_systems_really_write():
    # 镕 is in GBK and not in GB2312; the declaration says GB2312 all the same.
    assert at("xml", "/a", '<?xml version="1.0" encoding="gb2312"?><a>朱镕基</a>'.encode("gbk")) == ["朱镕基"]
    assert at("gb18030 | xml", "//zs", EMR.encode("gb18030")) == ["反复咳嗽3天，加重1天"]


@pytest.mark.parametrize(
    "path",
    ["", "//", "count(//a)", "//a | //b", "//*[//*]", "a[position()=1]", "@a/b", "text()/b", "@a[1]", "$x", "a b", "p:a", "a[@b=c]", "a]", "//a/"],
)  # fmt: skip
def test_a_path_that_could_compute_is_refused_at_start(path: str):
    with pytest.raises(ConfigurationError, match="path"):
        compile_path("xml", path)


BILLION_LAUGHS = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>'


@pytest.mark.parametrize(
    "content",
    [
        BILLION_LAUGHS,
        '<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        "<a><b></a>",
        "<a>&undeclared;</a>",
        "no XML at all",
        "<a>\ud83d</a>",
        b"<?xml version='1.0' encoding='gbk'?><a>" + b"\xff\xff</a>",
        "<a>" + "<b>" * 5000 + "</b>" * 5000 + "</a>",
        b"\x00\x01\x02",
    ],
)
def test_hostile_or_broken_xml_is_unreadable(content: object):
    with pytest.raises(Unreadable):
        read("xml", content)


def test_a_path_costs_a_few_walks_over_the_document():
    depth, width = 200, 100
    tree = "".join("<a>" * depth + "x" + "</a>" * depth for _ in range(width))
    began = time.monotonic()
    with pytest.raises(Unreadable, match="more than"):
        at("xml", "//a//a//a[a='x']//*//a", f"<r>{tree}</r>")
    assert time.monotonic() - began < 5


# -- JSON -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.chiefComplaint", ["头痛\n两天"]),
        ("chiefComplaint", ["头痛\n两天"]),
        ("$.zd[*].bm", ["R51", "I10"]),
        ("$.zd[1].bm", ["I10"]),
        ("$['体 温']", [Decimal("36.50")]),
        ("$.zd[7].bm", []),
        ("$.nothing.at.all", []),
        ("age", [42]),
    ],
)
def test_a_json_path_finds_values(path: str, found: list[object]):
    content = '{"chiefComplaint": "头痛\n两天", "zd": [{"bm": "R51"}, {"bm": "I10"}], "体 温": 36.50, "age": 42}'
    assert at("json", path, content) == found
    assert at("gb18030 | json", path, content.encode("gb18030")) == found


@pytest.mark.parametrize(
    "content",
    ["", "{", "nonsense", '{"a": 1, "a": 2}', "[" * 100_000, '{"a": NaN}', "9" * 5000, b"\xff\xfe{}", '{"a": 1} {"b": 2}'],
)  # fmt: skip
def test_what_is_not_one_json_value_is_unreadable(content: object):
    with pytest.raises(Unreadable):
        read("json", content)


@pytest.mark.parametrize("path", ["a[", "a[x]", "a..b", "$.a[-1]", "a['b]", "$..a", "a[?(@.b)]"])
def test_a_json_path_that_is_not_understood_is_refused_at_start(path: str):
    with pytest.raises(ConfigurationError, match="path"):
        compile_path("json", path)


# -- HTML -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>患者<b>3天</b>前</p><p>咳嗽&nbsp;&amp; 发热</p>", "患者3天前\n咳嗽 & 发热"),
        ("体温<br/>36.5&#8451;<BR>脉搏", "体温\n36.5℃\n脉搏"),
        ("白细胞<4，血小板 > 100", "白细胞<4，血小板 > 100"),
        ("<table><tr><td>项目</td><td>结果</td></tr><tr><td>K</td><td>4.1</td></tr></table>", "项目 结果\nK 4.1"),
        ("<style>p{color:red}</style><script>if (a<b) x('</p>')</script>正文<!-- 注 -->", "正文"),
        ('<a title="a>b">链接</a>', "链接"),
        ("<p>未闭合", "未闭合"),
        ("<!DOCTYPE html><html><head><title>题</title></head><body>正文</body></html>", "正文"),
        ("纯文本", "纯文本"),
    ],
)
def test_html_is_read_as_what_one_sees(page: str, text: str):
    assert read("html", page) == text


@pytest.mark.parametrize("page", ["正文<!-- 没有结束", "正文<script>没有结束", "正文<p class='x'"])
def test_html_that_is_cut_off_is_unreadable(page: str):
    with pytest.raises(Unreadable, match="ends inside"):
        read("html", page)


@pytest.mark.parametrize("piece", ["<", "<a ", "<a '", '<a ">', "<div>", "&amp", "<script/>", "</", "<!", "<a b='"])
def test_html_costs_no_more_than_its_length(piece: str):
    page = piece * (1_000_000 // len(piece)) + ">"
    began = time.monotonic()
    with suppress(Unreadable):
        read("html", page)
    assert time.monotonic() - began < 5


# -- RTF ------------------------------------------------------------------------------------------------------------


def escaped(text: str, page: str = "gbk") -> str:
    return "".join(f"\\'{byte:02x}" for byte in text.encode(page))


HEAD = r"{\rtf1\ansi\ansicpg936\deff0{\fonttbl{\f0\fnil\fcharset134 \'cb\'ce\'cc\'e5;}{\f1\fcharset0 Arial;}{\f2\fcharset136 Ming;}}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rf"\f0 {escaped('主诉：')}\f1 cough{escaped('，')}\par {escaped('体温')}36.5", "主诉：cough，\n体温36.5"),
        (r"\u21475 ?\u33145 ?{\b 3}\u22825 ?", "口腹3天"),
        (r"\uc0\u-10179\u-8704", "😀"),
        (rf"\f2 {escaped('繁體', 'cp950')}", "繁體"),
        (r"\'81A", b"\x81A".decode("gbk")),  # the trail byte of GBK may be written as a letter
        (r"a\tab b\line c\cell d\row", "a\tb\nc\td"),
        (r"{\*\generator Msftedit;}{\info{\author x}}{\pict\wmetafile8 0102}text", "text"),
        (r"{\field{\*\fldinst HYPERLINK x}{\fldrslt shown}}", "shown"),
        (r"seen{\v hidden\v0 } too{\deleted gone}", "seen too"),
        (r"\{braces\} and \\ and\~x", "{braces} and \\ and\u00a0x"),
        ("one\r\n two", "one two"),
        (r"\bin3 }{\text", "text"),
    ],
)
def test_rtf_is_read_as_text(body: str, text: str):
    assert read("rtf", HEAD + body + "}") == text
    assert read("rtf", (HEAD + body + "}").encode("ascii")) == text


def test_rtf_with_its_chinese_written_as_it_is():
    assert read("rtf", HEAD + "主诉}") == "主诉"
    assert read("rtf", (HEAD + "主诉}").encode("gbk")) == "主诉"
    assert read("gb18030 | rtf", (HEAD + "主诉}").encode("gbk")) == "主诉"


@pytest.mark.parametrize(
    "content",
    [
        "plain text",
        HEAD + "cut off",
        HEAD + r"\'ff\'ff}",
        HEAD + r"\'b0}",
        HEAD + r"\'zz}",
        HEAD + r"\u-10179?}",
        HEAD + r"\u99999?}",
        r"{\rtf1\ansicpg99999 x}",
        "{\\rtf1" + "{" * 20_000 + "}" * 20_001,
    ],
)
def test_broken_rtf_is_unreadable(content: str):
    with pytest.raises(Unreadable):
        read("rtf", content)


@pytest.mark.parametrize("piece", [r"\'81A", "{", r"\u1?", r"\'b0\'a1", "{\\v ", "\\", r"\bin9"])
def test_rtf_costs_no_more_than_its_length(piece: str):
    content = HEAD + piece * (500_000 // len(piece))
    began = time.monotonic()
    with suppress(Unreadable):
        read("rtf", content)
    assert time.monotonic() - began < 10


# -- packed ---------------------------------------------------------------------------------------------------------


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


TEXT = "现病史：患者３天前出现咳嗽"


@pytest.mark.parametrize(
    ("chain", "value"),
    [
        ("gb18030", TEXT.encode("gb18030")),
        ("gbk", TEXT.encode("gbk") + b"\0\0"),
        ("utf-8", b"\xef\xbb\xbf" + TEXT.encode()),
        ("utf-16", TEXT.encode("utf-16")),
        ("utf-16", TEXT.encode("utf-16-le")),
        ("utf-16-be", TEXT.encode("utf-16-be")),
        ("gzip | utf-8", gzipped(TEXT[:3].encode()) + gzipped(TEXT[3:].encode()) + b"\0\0"),
        ("zlib | utf-8", zlib.compress(TEXT.encode())),
        ("deflate | utf-8", zlib.compress(TEXT.encode())[2:-4]),
        ("zip | gbk", zipped(emr=TEXT.encode("gbk"))),
        ("zip:b | gbk", zipped(a=b"other", b=TEXT.encode("gbk"))),
        ("base64 | utf-8", base64.encodebytes(TEXT.encode())),
        ("base64 | gzip | gb18030", base64.b64encode(gzipped(TEXT.encode("gb18030"))).decode()),
        ("hex | utf-8", "0x" + TEXT.encode().hex()),
    ],
)
def test_a_chain_unpacks_step_by_step(chain: str, value: object):
    assert read(chain, value) == TEXT
    if isinstance(value, bytes):
        assert read(chain, memoryview(value)) == TEXT


BOMB = b"\0" * (LARGEST + 1)


@pytest.mark.parametrize(
    ("chain", "value"),
    [
        ("gzip | utf-8", gzipped(BOMB)),
        ("gzip | utf-8", gzipped(b"x" * (LARGEST // 2 + 1)) * 2),
        ("zlib | utf-8", zlib.compress(BOMB)),
        ("zip | utf-8", zipped(a=BOMB)),
        ("gzip | gzip | utf-8", gzipped(gzipped(BOMB * 4))),
        ("utf-8", b"x" * (LARGEST + 1)),
    ],
)
def test_a_bomb_is_refused_before_it_is_unpacked(chain: str, value: bytes):
    tracemalloc.start()
    with pytest.raises(Unreadable, match=r"more than|longer than"):
        read(chain, value)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * LARGEST


@pytest.mark.parametrize(
    ("chain", "value"),
    [
        ("gzip | utf-8", gzipped(TEXT.encode())[:-6]),
        ("gzip | utf-8", gzipped(TEXT.encode()) + b"rest"),
        ("gzip | utf-8", b"no gzip"),
        ("gzip | utf-8", "text"),
        ("zlib | utf-8", zlib.compress(b"x") + b"rest"),
        ("zip | utf-8", zipped(a=b"1", b=b"2")),
        ("zip | utf-8", zipped(a=b"1" * 99)[:-30]),
        ("zip:c | utf-8", zipped(a=b"1")),
        ("zip | utf-8", zipped(**{f"m{n}": b"x" for n in range(100)})),
        ("zip | utf-8", zipped(a=b"1" * 50).replace(b"\x08\x00", b"\x63\x00")),
        ("base64 | utf-8", "not base64!"),
        ("base64 | utf-8", "中文"),
        ("hex | utf-8", "abc"),
        ("utf-8", b"\xff\xfe"),
        ("gb18030", b"\xff"),
        ("utf-8", "text already"),
        ("utf-8", 5),
        ("html", b"bytes"),
    ],
)
def test_what_is_not_what_the_chain_says_is_unreadable(chain: str, value: object):
    with pytest.raises(Unreadable):
        read(chain, value)


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ("xnl", "did you mean 'xml'"),
        ("gzip", "ends with bytes"),
        ("base64 | gzip", "ends with bytes"),
        ("gbk | gzip | xml", "'gzip' reads bytes"),
        ("gzip | html", "put a code page between"),
        ("xml | html", "'html' reads text"),
        ("", "not known"),
        ("zip:", "not known"),
    ],
)
def test_a_chain_that_cannot_work_is_refused_at_start(chain: str, says: str):
    with pytest.raises(ConfigurationError, match=says):
        compile_chain(chain)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(readers()), st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_no_content_makes_a_reader_raise_anything_else(name: str, value: bytes | str):
    for chain in (name, f"{name} | utf-8"):
        try:
            compiled = compile_chain(chain)
        except ConfigurationError:
            continue
        try:
            first = compiled.read(value)
        except Unreadable:
            continue
        assert compiled.is_tree or compiled.read(value) == first


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_every_text_comes_out_of_rtf_as_it_went_in(text: str):
    halves = text.encode("utf-16-le")
    units = [int.from_bytes(halves[at : at + 2], "little") for at in range(0, len(halves), 2)]
    body = "".join(f"\\u{unit - 0x10000 if unit > 0x7FFF else unit}?" for unit in units)
    assert read("rtf", "{\\rtf1\\ansi " + body + "}") == "\n".join(
        line for part in text.split("\n") if (line := part.strip(" \t"))
    )


# -- columns of rows ------------------------------------------------------------------------------------------------


def field(chain: str, name: str, path: str, then: str = "") -> FieldPath:
    reader = compile_chain(chain).last
    return FieldPath(name, path, compile_path(reader, path), compile_chain(then) if then else None)


def test_a_column_becomes_fields_and_rows_of_groups():
    chain = "gb18030 | xml"
    column = Column(
        "emr",
        compile_chain(chain),
        fields=(field(chain, "chief_complaint", "//zs"), field(chain, "note", "//bz")),
        groups=(
            GroupPath(
                "diagnoses", compile_path("xml", "//zd"), (field(chain, "code", "bm"), field(chain, "name", "mc"))
            ),
        ),
    )
    rows = RowSet(
        ("no", "emr", "name"), [("1", EMR.encode("gb18030"), "甲"), (" 2 ", b"<broken", "乙"), ("3", None, "丙")]
    )

    opened = open_columns(rows, "no", [column])

    assert opened.rows.columns == ("no", "name", "chief_complaint", "note")
    assert opened.rows.rows[0] == ("1", "甲", "反复咳嗽3天，加重1天", None)
    assert opened.rows.rows[1][2:] == opened.rows.rows[2][2:] == (None, None)
    assert opened.groups["diagnoses"] == RowSet(
        ("no", "line", "code", "name"), [("1", 1, "J18.9", "肺炎 <重症>"), ("1", 2, "I10", "高血压")]
    )
    (problem,) = opened.unread["2"]
    assert (problem.alias, problem.reader) == ("emr", "gb18030 | xml")
    assert set(problem.fields) == {"chief_complaint", "note", "diagnoses"}
    assert set(opened.unread) == {"2"}


def test_two_different_values_at_one_path_are_no_value():
    column = Column("emr", compile_chain("xml"), fields=(field("xml", "code", "//bm"), field("xml", "zs", "//zs")))
    opened = open_columns(RowSet(("no", "emr"), [(1, EMR)]), "no", [column])
    assert opened.rows.rows == [(1, None, "反复咳嗽3天，加重1天")]
    assert [problem.fields for problem in opened.unread["1"]] == [("code",)]
    assert "different" in opened.unread["1"][0].why


def test_places_within_each_other_do_not_multiply_their_text():
    content = "<r>" + "<a>" * 200 + "x" * 100_000 + "</a>" * 200 + "</r>"
    group = GroupPath("rows", compile_path("xml", "//a"), (field("xml", "text", "."),))
    opened = open_columns(
        RowSet(("no", "emr"), [(1, content)]), "no", [Column("emr", compile_chain("xml"), groups=(group,))]
    )
    assert opened.groups["rows"].rows == []
    assert "gives more than" in opened.unread["1"][0].why


@pytest.mark.parametrize("nothing", [None, "", " \n", b"", b"\0\0\0", memoryview(b""), memoryview(b"\0 ")])
def test_an_empty_column_is_nothing_and_no_fault(nothing: object):
    column = Column("emr", compile_chain("gb18030 | xml"), fields=(field("xml", "zs", "//zs"),))
    opened = open_columns(RowSet(("no", "emr"), [(1, nothing)]), "no", [column])
    assert (opened.rows.rows, opened.unread) == ([(1, None)], {})


def test_a_value_of_another_type_is_unread():
    opened = open_columns(RowSet(("no", "emr"), [(1, 5)]), "no", [Column("emr", compile_chain("html"), into="zs")])
    assert opened.rows.rows == [(1, None)]
    assert opened.unread["1"][0].why == "neither text nor bytes"


def test_a_value_inside_may_be_read_on():
    column = Column("emr", compile_chain("json"), fields=(field("json", "hpi", "$.a", then="html"),))
    opened = open_columns(RowSet(("no", "emr"), [(1, '{"a": "<p>咳嗽</p><p>发热</p>"}')]), "no", [column])
    assert opened.rows.rows == [(1, "咳嗽\n发热")]


def test_the_medical_records_of_a_real_system_are_read(realdata: Path):
    """OpenHIS keeps a visit's text as JSON in doc_emr.context_json."""
    dump = realdata / "his-openhis-pg" / "openhis_clinical.sql.gz"
    if not dump.is_file():
        pytest.skip(f"no {dump.name} in the third-party data")
    rows = gzip.decompress(dump.read_bytes()).decode().partition("INSERT INTO public.doc_emr VALUES")[2]
    rows = rows.partition("\nINSERT INTO")[0]
    contents = [found.replace("''", "'") for found in re.findall(r"'(\{(?:[^']|'')*\})'", rows)]
    column = Column(
        "emr", compile_chain("json"), fields=(field("json", "zs", "$.chiefComplaint"), field("json", "xbs", "$.currentIllnessHistory"))
    )  # fmt: skip
    opened = open_columns(RowSet(("no", "emr"), list(enumerate(contents))), "no", [column])
    readable = 0
    for number, (_, complaint, _history) in enumerate(opened.rows.rows):
        try:
            said = json.loads(contents[number], strict=False)
        except ValueError:
            assert str(number) in opened.unread
            continue
        readable += 1
        assert complaint == (str(said.get("chiefComplaint") or "").strip() or None)
    assert contents
    assert readable
