"""What the declaration of a kind gives besides renderer and reader: fields, tables, skeleton, reference page, view."""

import tomllib

import pytest
import zstandard

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import (
    NotOurs,
    TemplateError,
    UnsafeDocument,
    headline,
    kind_codes,
    load_kind,
    load_kinds,
    reference,
    skeleton,
    value_set,
    value_sets,
    view,
)
from frontend_agent.formats.kind import build_kind
from frontend_agent.formats.skeleton import skeleton_files
from frontend_agent.formats.tables import table, text
from frontend_agent.formats.template import read_template
from frontend_agent.formats.xml import LARGEST, parse
from frontend_agent.mapping import compile_mapping, field_columns, load_mapping
from tests.unit.test_kinds_roundtrip import DOCUMENTS, ENVELOPE, full_record


def test_the_kinds_ship():
    assert {"C0002", "C0004", "C0007", "HSDA00.01", "HSDC00.05", "X0001"} <= set(load_kinds())


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"C0002, .*HSDC00\.05, X0001"):
        load_kind("C9999")


def test_a_field_says_where_it_stands_and_what_it_may_hold():
    unit = load_kind("C0007").field("items.unit")
    assert (unit.group, unit.key, unit.de, unit.max_length) == ("items", "unit", "DE04.30.016.00", 20)
    sex = load_kind("C0002").field("patient.sex")
    assert (sex.value_type, sex.value_set, sex.format) == ("CD", "2.16.156.10011.2.3.3.4", "N1")
    time = load_kind("C0004").field("review_pharmacist.time")
    assert (time.value_type, time.format, time.max_length) == ("TS", "DT15", None)
    assert load_kind("C0004").field("amount").unit == "元"


@pytest.mark.parametrize("code", kind_codes())
def test_every_field_has_both_names_and_a_place(code):
    for field in load_kind(code).fields:
        assert field.name_zh, field.name
        assert field.name_en, field.name
        assert field.path, field.name
        assert field.confidence, field.name


def test_the_digest_changes_with_the_template_and_with_its_tables():
    template, fields = text("C0007.xml"), table("C0007.fields.csv")
    document = next(row for row in table("documents.csv") if row["code"] == "C0007")
    digests = {
        build_kind("C0007", template, fields, document).digest,
        build_kind("C0007", template.replace("李医生", "钱医生"), fields, document).digest,
        build_kind("C0007", template, [{**fields[0], "note": "another"}, *fields[1:]], document).digest,
    }
    assert len(digests) == 3
    assert load_kind("C0007").digest in digests


@pytest.mark.parametrize("code", kind_codes())
def test_the_dictionary_makes_documents_small(code):
    kind = load_kind(code)
    document = kind.renderer()(full_record(kind), ENVELOPE)
    dictionary = zstandard.ZstdCompressionDict(kind.dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)

    frame = zstandard.ZstdCompressor(level=1, dict_data=dictionary).compress(document)

    assert zstandard.ZstdDecompressor(dict_data=dictionary).decompress(frame) == document
    assert len(frame) < 0.30 * len(document)
    assert len(frame) < len(zstandard.ZstdCompressor(level=1).compress(document))


# --- value sets


def test_a_carried_table_knows_its_codes():
    sex = value_set("GB/T 2261.1")
    assert sex is value_set("2.16.156.10011.2.3.3.4")
    assert sex.complete
    assert "1" in sex
    assert "3" not in sex
    assert sex.name("2") == "女性"
    assert sex.name("3") == ""


def test_a_table_that_is_not_carried_says_so():
    icd = value_set("2.16.156.10011.2.3.3.11.3")
    assert not icd.complete
    assert icd.name_zh == "诊断代码表(ICD-10)"
    assert not value_set("no such table").complete


def test_confidence_marks_are_kept():
    marks = {entry.confidence for known in value_sets() for entry in known}
    assert marks == {"verified", "single-source", "from-memory", "conflict"}
    assert value_set("2.16.156.10011.2.3.2.38").entries["2"].confidence == "single-source"


# --- skeleton, reference, view


@pytest.mark.parametrize("code", kind_codes())
def test_the_skeleton_names_every_field_a_mapping_can_give(code):
    kind = load_kind(code)
    files = dict(part.split("\n", 1) for part in skeleton(kind).split("# ==== ")[1:])

    mapping = tomllib.loads(files[f"{kind.short_name}.toml"])

    assert mapping["kind"] == code
    assert mapping["key"] == kind.key
    assert set(mapping["queries"]["details"]) == set(kind.groups)
    read = {field for column in mapping.get("read", {}).values() for field in column["fields"]}
    for field in kind.fields:
        sql = files[f"{kind.short_name}.{field.group}.sql" if field.group else f"{kind.short_name}.sql"]
        assert f'"{field.key}"' in sql or field.name in ("institution.id", "institution.name") or field.name in read


@pytest.mark.parametrize("code", kind_codes())
def test_the_skeleton_can_be_loaded_as_it_is(code, tmp_path):
    kind = load_kind(code)
    for name, written in skeleton_files(kind).items():
        (tmp_path / name).write_text(written, encoding="utf-8")

    mapping = load_mapping(str(tmp_path / f"{kind.short_name}.toml"))

    assert compile_mapping(mapping, kind, "H1", "演示医院")
    assert set(field_columns(mapping, kind)) >= {f.name for f in kind.fields if f.required == "always"} - {
        kind.key, "institution.id", "institution.name", *(f.name for f in kind.fields if f.group and f.key == kind.key)
    }  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("code", kind_codes())
def test_the_reference_page_shows_every_field_and_every_decision(code, lang):
    page = reference(load_kind(code), lang)
    root = parse(page.replace("<!DOCTYPE html>", "").replace('<meta charset="utf-8">', "").encode())
    shown = {element.text for element in root.iter("td")}
    assert {field.name for field in load_kind(code).fields} <= shown
    assert {row["reason"] for row in table(f"{code}.decisions.csv")} <= shown


def test_the_view_is_what_a_doctor_reads():
    kind = load_kind("C0007")
    record = full_record(kind, rows=3)
    high, low, normal = record["items"]
    high.update(value="12.5", abnormal_flag="↑", result_code="2")
    low.update(value="0.3", abnormal_flag="L", result_code="2")
    normal.update(value="5.0", result_code="1")
    del normal["abnormal_flag"]
    for row in record["items"]:
        del row["text_value"]

    page = view(kind, record)

    assert page.title.zh == "检验报告"
    assert {shown.field: shown.text for shown in page.banner}["patient.age"] == "3 岁"
    assert {shown.field: shown.text for shown in page.header}["author.time"] == "2026-09-30 08:15:00"
    items = page.sections[1].tables[0]
    assert [row.mark for row in items.rows] == ["high", "low", ""]
    assert "items.text_value" not in items.fields
    assert items.rows[0].cells[items.fields.index("items.result_code")] == "异常"


def test_a_section_about_which_nothing_is_said_is_empty_in_the_view():
    kind = load_kind("C0002")
    page = view(kind, {"chief_complaint": "发热"})
    assert [section.empty for section in page.sections].count(False) == 1


# --- what is not ours, what is not safe


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<ClinicalDocument/>",
        b'<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3">',
        b"\xff\xfe" * 100,
    ],
)
def test_what_is_not_ours_has_no_headline(document):
    with pytest.raises(NotOurs):
        headline(document)


@pytest.mark.parametrize("code", DOCUMENTS)
def test_a_document_cut_short_has_no_headline_or_the_right_one(code):
    kind = load_kind(code)
    document = kind.renderer()(full_record(kind), ENVELOPE)
    whole = headline(document)
    for length in range(0, document.index(b"</custodian>") + 20, 7):
        try:
            assert headline(document[:length]) == whole
        except NotOurs:
            continue


def test_a_document_of_another_kind_is_not_read():
    document = load_kind("C0004").renderer()(full_record(load_kind("C0004")), ENVELOPE)
    with pytest.raises(NotOurs):
        load_kind("C0007").reader(document)


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>',
        b"<a>",
        b"<a>&unknown;</a>",
        b"<a" + b" b='1'" * 2 + b"/>",
        b"<a>" * 300 + b"</a>" * 300,
    ],
)
def test_unsafe_xml_is_refused(document):
    with pytest.raises(UnsafeDocument) as error:
        parse(document)
    assert "root:" not in str(error.value)


def test_a_document_may_not_be_larger_than_the_cap():
    assert parse(b"<a/>", largest=4).tag == "a"
    with pytest.raises(UnsafeDocument, match="5 bytes"):
        parse(b"<aa/>", largest=4)
    assert LARGEST == 64 * 1024 * 1024


# --- a template that contradicts itself


def broken(replacing: str, by: str) -> str:
    template = text("C0007.xml")
    assert replacing in template
    return template.replace(replacing, by)


@pytest.mark.parametrize(
    ("replacing", "by", "says"),
    [
        ('b:text="patient.name"', 'b:txt="patient.name"', "unknown binding b:txt"),
        ('b:each="items" b:by', 'b:each="items" b:when="x" b:by', "a row is never left out"),
        ('value="25" b:value="patient.age"', 'b:value="patient.age"', "the sample lacks the bound attribute value"),
        (' b:by="assignedEntity/code/@displayName"', "", "look-alike siblings"),
        ('<code displayName="检验医师"/>', '<code displayName="检验技师"/>', "two siblings share"),
        ('b:text="method"', 'b:text="this.method"', "outside b:each"),
    ],
)
def test_a_template_that_contradicts_itself_is_refused_with_its_place(replacing, by, says):
    with pytest.raises(TemplateError, match=says):
        read_template("C0007.xml", broken(replacing, by))


def test_template_and_table_of_fields_must_name_the_same_fields():
    document = next(row for row in table("documents.csv") if row["code"] == "C0007")
    fields = table("C0007.fields.csv")
    with pytest.raises(TemplateError, match=r"metod is not in C0007\.fields\.csv"):
        build_kind("C0007", broken('"method"', '"metod"'), fields, document)
    with pytest.raises(TemplateError, match=r"method has no place"):
        build_kind("C0007", broken('"method"', '"category"'), fields, document)


@pytest.mark.parametrize("code", kind_codes())
def test_a_section_has_a_name_of_its_own_and_no_field_of_the_header(code):
    kind = load_kind(code)
    names = [section.code for section in kind.sections]
    assert all(names)
    assert len(set(names)) == len(names)
    header = {field.name for field in kind.fields if not field.section_code}
    assert not header & {name for section in kind.sections for name in section.fields}
    assert {group for section in kind.sections for group in section.groups} >= {
        field.group for field in kind.fields if field.group and field.section_code
    }
