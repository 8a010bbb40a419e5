"""Messages as sources: paths instead of columns, the same rows as a query gives, and what cannot be read said with all reasons."""

import io
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from frontend_agent.demo.samples import sample
from frontend_agent.er7 import MessageUnreadable, field_path, read
from frontend_agent.er7.reader import Scope
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import load_kind
from frontend_agent.formats.hl7v2 import build_all, declarations
from frontend_agent.formats.hl7v2.build import _only
from frontend_agent.formats.hl7v2.declare import COUNTER, ROW, tables
from frontend_agent.mapping import compile_mapping, field_columns, load_mapping
from frontend_agent.mapping_file import parse_mapping
from frontend_agent.messages import compile_message
from frontend_agent.model import Envelope
from tests.hl7_messages import corpus, oru
from tests.platform_kit import lab_record

NEW = Envelope("C0007-X-1", "C0007-X", 1, "20260930104500")
LAB = load_kind("C0007")


@dataclass
class Site:
    """A mapping in a file of a site, and what it makes of messages."""

    toml: str
    codes: tuple[tuple[str, str], ...] = ()

    def mapping(self):
        files = {"/site/lab.toml": self.toml, **dict(self.codes)}

        def reader(path):
            if path not in files:
                raise FileNotFoundError(path)
            return files[path]

        return parse_mapping("/site/lab.toml", "/site/lab.toml", "", reader)

    def rows(self, content):
        mapping = self.mapping()
        return compile_message(mapping.message, mapping.key)(content)

    def records(self, content):
        return compile_mapping(self.mapping(), LAB, "1", "医院")(self.rows(content).rows)


def shipped(name, content):
    mapping = load_mapping(name)
    found = compile_message(mapping.message, mapping.key)(content)
    return found, compile_mapping(mapping, LAB, "999000013", "示范医院")(found.rows) if found.rows else []


# -- what our own writer writes is read back -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted({kind for one in declarations().values() for kind in one.kinds}))
def test_every_value_of_every_message_that_we_write_is_read_back(kind):
    """The declaration is walked as the writer walks it; each written segment is the reader's next one."""
    compared = 0
    record = sample(load_kind(kind), 3)
    for version in (1, 2):
        for made in build_all(kind, record, Envelope("X-1", "X", version, "20260930104500")):
            declaration = next(one for one in declarations().values() if one.name == made.name)
            kept = _only(declaration, record)
            message = read(made.text())
            assert message.write() == made.text()
            written = iter(message.segments)
            for segment, row in walked(declaration.segments, kept):
                at = next(written)
                assert at.name == segment.name
                compared += compare(message, at, segment, kept, row)
            assert next(written, None) is None
    assert compared > 20


def walked(segments, record, row=None):
    for segment in segments:
        if segment.each:
            bare = SimpleNamespace(
                **{name: getattr(segment, name) for name in ("name", "slots", "when", "unless", "segments")}
            )
            bare.each = ""
            for one in record.get(segment.each, ()):
                yield from walked([bare], record, one)
        elif (not segment.when or said(segment.when, record, row)) and not (
            segment.unless and said(segment.unless, record, row)
        ):
            if segment.name:
                yield segment, row
            yield from walked(segment.segments, record, row)


def said(field, record, row):
    return (row or {}).get(field.removeprefix(ROW), "") if field.startswith(ROW) else record.get(field, "")


def compare(message, at, segment, record, row):
    """Every value of a segment at the place where its declaration puts it: repetitions that are empty are left out."""
    compared = 0
    for slot in segment.slots:
        number = 0
        for parts in slot.repeats:
            values = [value_of(part, record, row) for part in parts]
            if not any(values):
                continue
            number += 1
            for place, value in enumerate(values):
                before = "".join(part.text or "x" for part in parts[:place])
                after = "".join(part.text or "x" for part in parts[place + 1 :])
                if value and before[-1:] in ("", "^", "&") and after[:1] in ("", "^", "&"):  # alone in its place
                    path = f"{segment.name}-{slot.number}[{number}].{before.count('^') + 1}"
                    if "&" in before.rpartition("^")[2] + after.partition("^")[0]:
                        path += f".{before.rpartition('^')[2].count('&') + 1}"
                    assert message.getter(field_path(path))(Scope([at])) == [value], path
                    compared += 1
    return compared


def value_of(part, record, row):
    """What the record says for a part; nothing for text, counters, and what a message says of itself."""
    if not part.field or part.field == COUNTER or part.field.startswith(("message.", "envelope.")):
        return ""
    value = said(part.field, record, row)
    return tables()[part.table].get(value, tables()[part.table].get("*", "")) if part.table and value else value


def test_a_laboratory_report_comes_back_as_the_record_it_was_made_from():
    for record in (lab_record(1), lab_record(2), sample(LAB, 3), sample(LAB, 4)):
        (made,) = build_all("C0007", record, NEW)
        found, (back,) = shipped("hl7v2/lab_report", made.content)
        assert found.problems == ()
        assert (back.final, back.void, back.key) == (True, False, record["report_number"])
        mapped = {field.name for field in load_mapping("hl7v2/lab_report").message.fields}
        told = {name: record[name] for name in mapped if name in record}
        assert len(told) > 10
        assert {name: back.record.get(name) for name in told} == told
        assert len(back.record["items"]) == len(record["items"])
        for ours, theirs in zip(back.record["items"], record["items"], strict=True):
            for name in ("code", "name", "value", "unit", "reference_range"):
                assert ours.get(name) == theirs.get(name), name
            assert ours.get("tested_at", "") == theirs.get("tested_at", "")[:8]  # the kind has a day for it
            if "value" not in theirs:
                assert ours["text_value"] == theirs["text_value"]
        assert not [one for one in back.findings if one.rule != "MAP001"]


# -- HL7 v2 ---------------------------------------------------------------------------------------------------------------


def report(status="F", order="", item="F", extra=""):
    orc = f"ORC|{order}\r" if order else ""
    return (
        "MSH|^~\\&|LIS|H|R|P|20260930104500||ORU^R01^ORU_R01|M-1|P|2.5.1||||||UNICODE UTF-8\r"
        "PID|1||P1^^^&2.16.156.10011.1.12&ISO^PI||张三||19800102|M\rPV1|1|I\r"
        f"{orc}OBR|1|S-1|R-1|BC^血常规|||20260930080000|||||||||||||||20260930100000|||{status}\r"
        f"OBX|1|NM|WBC^白细胞^L||12.6|10^9/L|3.5-9.5|H|||{item}\rOBX|2|CE|HBS^表抗^L||P^阳性^99||||||F\r{extra}"
    ).encode()


@pytest.mark.parametrize(
    ("status", "order", "final", "void"),
    [("F", "", True, False), ("P", "", False, False), ("C", "", True, False), ("X", "", True, True), ("", "", False, False), ("F", "CA", True, True)],
)  # fmt: skip
def test_what_a_result_says_of_itself_becomes_final_and_void(status, order, final, void):
    _, (record,) = shipped("hl7v2/lab_report", report(status, order))
    assert (record.final, record.void) == (final, void)


def test_a_correction_is_another_version_and_the_same_message_is_not():
    first, again, corrected = (
        shipped("hl7v2/lab_report", report(extra=extra))[1][0] for extra in ("", "", "OBX|3|NM|K||3.2||||||F\r")
    )
    assert first.source_hash == again.source_hash != corrected.source_hash
    assert first.key == corrected.key


def test_values_units_and_findings_name_their_place():
    _, (record,) = shipped("hl7v2/lab_report", report())
    assert record.record["items"] == [
        {"code": "WBC", "name": "白细胞", "value": "12.6", "unit": "10^9/L", "reference_range": "3.5-9.5", "abnormal_flag": "H", "collected_at": "20260930080000"},
        {"code": "HBS", "name": "表抗", "text_value": "阳性", "collected_at": "20260930080000"},
    ]  # fmt: skip
    assert record.record["patient.sex"] == "1"
    assert record.columns["patient.name"] == "PID-5.1"
    assert field_columns(load_mapping("hl7v2/lab_report"), LAB)["items.value"] == "OBX-5"
    _, (left_out,) = shipped("hl7v2/lab_report", report(item="X"))
    assert [item["code"] for item in left_out.record["items"]] == ["HBS"]
    _, (unknown,) = shipped("hl7v2/lab_report", report().replace(b"|M\rPV1", b"|Q\rPV1"))
    assert [(one.rule, one.column) for one in unknown.findings] == [("MAP001", "PID-8")]


def test_every_order_of_a_message_is_a_record_of_its_own():
    second = "OBR|2|S-2|R-2|SH^生化|||20260930080000||||||||||||||||||F\rOBX|1|NM|K^钾^L||3.2|||||||F\r"
    _, (one, two) = shipped("hl7v2/lab_report", report(extra=second))
    assert [(r.key, [item["code"] for item in r.record["items"]]) for r in (one, two)] == [
        ("R-1", ["WBC", "HBS"]),
        ("R-2", ["K"]),
    ]
    assert one.record["patient.name"] == two.record["patient.name"] == "张三"


def test_two_orders_of_one_key_are_one_record_with_the_rows_in_order():
    second = report().decode().partition("OBR|")[2].replace("WBC", "NEU").replace("HBS", "HCV")
    _, (record,) = shipped("hl7v2/lab_report", report(extra=f"OBR|{second}"))
    assert [item["code"] for item in record.record["items"]] == ["WBC", "HBS", "NEU", "HCV"]
    assert record.findings == []
    _, (two_truths,) = shipped("hl7v2/lab_report", report(extra=f"OBR|{second.replace('血常规', '生化')}"))
    assert [finding.rule for finding in two_truths.findings] == ["MAP003"]


def test_another_message_is_not_this_mappings():
    found, records = shipped("hl7v2/lab_report", report().replace(b"ORU^R01", b"ADT^A01"))
    assert (found.rows, records) == (None, [])


def test_deleted_values_are_absent_and_not_two_quotes():
    _, (record,) = shipped("hl7v2/lab_report", report().replace("张三".encode(), b'""'))
    assert "patient.name" not in record.record


def test_a_message_in_no_set_is_refused_with_reasons_and_without_its_content():
    with pytest.raises(MessageUnreadable) as refused:
        shipped("hl7v2/lab_report", report().replace("张三".encode(), "张三".encode("gbk")))
    assert refused.value.reasons
    assert "张" not in str(refused.value)


def test_uncertain_reading_is_told():
    text = oru("José", "8859/1", "normal").replace("生化检验", "CHEM").replace("项目", "item")
    found, _ = shipped("hl7v2/lab_report", text.encode("iso8859-1"))
    assert len(found.problems) == 1
    assert "MSH-18" in found.problems[0]


def test_the_corpus_of_sets_never_gives_a_wrong_name():
    mapping = load_mapping("hl7v2/lab_report")
    read_message = compile_message(mapping.message, mapping.key)
    names = set()
    for case in corpus():
        try:
            found = read_message(case.content)
        except MessageUnreadable:
            assert case.text is None, case.name
            continue
        assert case.text is not None, case.name
        names.add(found.rows.parent.rows[0][found.rows.parent.columns.index("patient.name")])
    assert names == {"张三", "买买提·艾力", "王喆", "欧阳㐂", "ZHANG SAN", "Müller", "José Peña"}


# -- by code, alternatives, conditions ---------------------------------------------------------------------------------------

BY_CODE = """
kind = "C0007"
key = "report_number"
[message]
format = "hl7v2"
[message.fields]
"report_number" = ["ORC-3.1", "OBR-3.1"]
"report_result" = { path = "OBX[OBX-3.1=WBC]-5", when = { "OBX[OBX-3.1=WBC]-11" = "F" } }
"report_note" = { path = "OBX[*]-3.1", join = "、" }
"method" = "OBX[*]-3.1"
"""


def test_a_result_is_found_by_its_code_and_the_first_place_with_a_value_counts():
    site = Site(BY_CODE.replace('"method" = "OBX[*]-3.1"\n', ""))
    (record,) = site.records(report())
    assert record.key == "R-1"
    assert record.record["report_result"] == "12.6"
    assert record.record["report_note"] == "WBC、HBS"
    (preliminary,) = site.records(report(item="P"))
    assert "report_result" not in preliminary.record


def test_different_values_at_one_path_are_no_choice():
    with pytest.raises(MessageUnreadable, match="method: finds different values"):
        Site(BY_CODE).rows(report())


# -- XML, JSON, tables --------------------------------------------------------------------------------------------------------

XML = """<?xml version="1.0" encoding="{encoding}"?>
<POOR_IN209901UV xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<id extension="M-1"/><controlActProcess><subject><v3:observationReport xmlns:v3="urn:hl7-org:v3">
<id><item root="2.16.156.10011.1.33" extension="R-9"/></id><code displayName="血常规"/><statusCode code="{status}"/>
<recordTarget><patient><id><item root="2.16.156.10011.1.12" extension="ZY1"/></id><patientPerson>
<id><item root="2.16.156.10011.1.3" extension="X"/></id><name><item><part value="张三"/></item></name>
<administrativeGenderCode code="1"/></patientPerson></patient></recordTarget>
<author><time value="20260930100000"/></author>
<component><observation><code code="WBC" displayName="白细胞"/><value xsi:type="PQ" value="12.6" unit="10*9/L"/></observation></component>
<component><observation><code code="HBS" displayName="表抗"/><value xsi:type="ST" value="阳性"/></observation></component>
<component><observation><code code="K"/><statusCode code="cancelled"/><value xsi:type="PQ" value="1"/></observation></component>
</v3:observationReport></subject></controlActProcess></POOR_IN209901UV>"""


@pytest.mark.parametrize("encoding", ["UTF-8", "GBK", "gb18030"])
def test_a_national_message_in_xml_is_a_report(encoding):
    _, (record,) = shipped("xml_lab/lab_report", XML.format(encoding=encoding, status="completed").encode(encoding))
    assert (record.key, record.final, record.void, record.findings) == ("R-9", True, False, [])
    assert record.record["patient.name"] == "张三"
    assert record.record["patient.inpatient_number"] == "ZY1"
    assert record.record["items"] == [
        {"code": "WBC", "name": "白细胞", "value": "12.6", "unit": "10*9/L"}, {"code": "HBS", "name": "表抗", "text_value": "阳性"},
    ]  # fmt: skip
    _, (void,) = shipped("xml_lab/lab_report", XML.format(encoding=encoding, status="nullified").encode(encoding))
    assert void.void


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a",
        b"hello",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<?xml version='1.0' encoding='GBK'?><a>\xd5</a>",
        b"\x00" * 40,
    ],
)
def test_xml_that_cannot_be_read_is_refused(content):
    with pytest.raises(MessageUnreadable):
        shipped("xml_lab/lab_report", content)


JSON = """
kind = "C0007"
key = "report_number"
[message]
format = "json"
each = "$.reports[*]"
when = { "$.type" = "LAB" }
[message.final]
"done" = "true"
[message.fields]
"report_number" = "no"
"patient.name" = ["patient.name", "$.patient.name"]
[message.details.items]
each = "items[*]"
[message.details.items.fields]
"code" = "code"
"value" = "value"
"""


def test_json_is_read_by_its_paths():
    site = Site(JSON)
    content = '{"type":"LAB","patient":{"name":"张三"},"reports":[{"no":1,"done":true,"items":[{"code":"A","value":0.10}]},{"no":2,"done":false}]}'
    one, two = site.records(content.encode())
    assert (one.key, one.final, one.record["items"], one.record["patient.name"]) == (
        "1",
        True,
        [{"code": "A", "value": "0.10"}],
        "张三",
    )
    assert (two.key, two.final) == ("2", False)
    assert site.rows(content.replace("LAB", "PACS").encode()).rows is None
    with pytest.raises(MessageUnreadable, match="a list or an object"):
        site.rows(content.replace('"no":2', '"no":[]').encode())


def test_a_message_inside_the_one_text_of_another_is_opened():
    site = Site(XML_INSIDE)
    (record,) = site.records("<r><return>&lt;报告&gt;&lt;号&gt;7&lt;/号&gt;&lt;/报告&gt;</return></r>".encode())
    assert record.key == "7"
    with pytest.raises(MessageUnreadable, match="finds 0 texts"):
        site.rows(b"<r/>")


XML_INSIDE = """
kind = "C0007"
key = "report_number"
[message]
format = "xml"
inside = "//return"
[message.fields]
"report_number" = "/报告/号"
"""

TABLE = """
kind = "C0007"
key = "report_number"
[message]
format = "FORMAT"
[message.fields]
"report_number" = "报告号"
"patient.name" = "姓名"
[message.details.items]
when = { "代码" = "*" }
[message.details.items.fields]
"code" = "代码"
"value" = "结果"
"""
LINES = [
    ["报告号", "姓名", "代码", "结果"],
    ["R1", "张三", "A", "1"],
    ["R1", "张三", "B", "2"],
    [],
    ["R2", "李四", "A", "3"],
]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030"])
def test_lines_of_a_table_are_rows_as_a_joins(codec):
    content = "\r\n".join(",".join(line) for line in LINES).encode(codec)
    check_table(Site(TABLE.replace("FORMAT", "csv")).records(content))


def test_a_workbook_is_a_table():
    check_table(Site(TABLE.replace("FORMAT", "xlsx")).records(workbook(LINES)))
    with pytest.raises(MessageUnreadable, match="no sheet"):
        Site(TABLE.replace('"FORMAT"', '"xlsx"\nsheet = "other"')).rows(workbook(LINES))
    for broken in (b"", b"PK\x03\x04", workbook(LINES)[:-400], b"hello"):
        with pytest.raises(MessageUnreadable, match="no workbook"):
            Site(TABLE.replace("FORMAT", "xlsx")).rows(broken)


def check_table(records):
    by_key = {record.key: record for record in records}
    assert {key: [item["code"] for item in one.record["items"]] for key, one in by_key.items()} == {
        "R1": ["A", "B"],
        "R2": ["A"],
    }
    assert not [finding for record in records for finding in record.findings]


def workbook(lines):
    book, out = Workbook(), io.BytesIO()
    for line in lines:
        book.active.append(line)
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("lines", "reasons"),
    [
        ("", ["a table without a line of headings"]),
        ("报告号,代码\nR1,A", ["there is no column '姓名'", "there is no column '结果'"]),
        ("报告号,姓名,代码,结果,姓名\nR1,a,b,c", ["two columns are called by one name (column 5)"]),
        ("报告号,姓名,代码,结果\nR1,a,b,c,d\nR1,a,b,c,,e", ["line 2 has more cells than there are headings", "line 3 has more cells than there are headings"]),
        ('报告号,姓名,代码,结果\nR1,"a', ["no CSV at line 2: its quotes do not close"]),
    ],
)  # fmt: skip
def test_a_table_that_is_another_is_refused_with_all_reasons(lines, reasons):
    with pytest.raises(MessageUnreadable) as refused:
        Site(TABLE.replace("FORMAT", "csv")).rows(lines.encode())
    assert list(refused.value.reasons) == reasons


# -- mistakes in the mapping ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"hl7v2"', '"hl7"', "format must be one of"),
        ('"hl7v2"', '"hl7v2"\nevery = 1', "unknown key 'every'"),
        ('"hl7v2"', '"hl7v2"\neach = "OBR-3"', "'OBR-3' is no segment"),
        ('"hl7v2"', '"hl7v2"\ncharset = "gbq"', "unknown character set"),
        ('"hl7v2"', '"hl7v2"\nsheet = "a"', "sheet is for xlsx"),
        ('"hl7v2"', '"hl7v2"\nwhen = { "MSH-9.2" = [] }', "a text or a list of texts"),
        ('"OBX[*]-3.1"\n', '"OBX[*-3.1"\n', "path 'OBX[*-3.1'"),
        ('"report_number" =', '"request_number" =', 'says nothing of "report_number"'),
        ('"method"', '"methods"', "C0007 has no such field"),
        ('join = "、"', "join = 1", "join must be text"),
        ('key = "report_number"', 'key = "report_number"\n[queries]\nchanged = "a.sql"', "[message] and queries exclude each other"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_start_with_file_and_key(old, new, said):
    assert old in BY_CODE
    site = Site(BY_CODE.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as error:
        compile_mapping(site.mapping(), LAB, "1", "a")
    assert str(error.value).startswith("/site/lab.toml: ")
    assert said in str(error.value)


piece = st.sampled_from(["MSH|^~\\&|L|||||| ORU^R01|1|P|2.5", "\r", "PID|1||1||张三", "OBR|1||R|", "OBX|1|NM|A||", "|", "^", "~", "\\", "NTE|1||", "ORC|CA", "|F", "5", '""'])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(piece, max_size=30).map("".join).map("MSH|^~\\&|L|H|||1||ORU^R01|1|P|2.5\r".__add__))
def test_any_message_becomes_records_or_is_refused(text):
    try:
        found, records = shipped("hl7v2/lab_report", text.encode())
    except MessageUnreadable:
        return
    keys = {row[0] for row in found.rows.parent.rows} if found.rows else set()
    assert {record.key for record in records} == {key or "" for key in keys}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["csv", "xlsx", "json"]))
def test_any_bytes_are_rows_or_refused(data, format_):
    toml = JSON if format_ == "json" else TABLE.replace("FORMAT", format_)
    with suppress(MessageUnreadable):
        assert Site(toml).rows(data).problems == ()
