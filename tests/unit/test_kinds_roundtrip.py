"""What a kind renders, it reads back equal (law 12): thousands of generated records, every optional part in and out."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from frontend_agent.formats import (
    Kind,
    UnboundField,
    UnrenderableText,
    headline,
    kind_codes,
    load_kind,
    message_codes,
    read_envelope,
    value_set,
)
from frontend_agent.formats.kind import Field
from frontend_agent.model import Envelope, Record

ENVELOPE = Envelope(
    document_id="C0007-ABCDEFGHIJKLMNOPQRSTUVWXYZ-2",
    set_id="C0007-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    version=2,
    effective_time="20260930093000",
    replaces_id="C0007-ABCDEFGHIJKLMNOPQRSTUVWXYZ-1",
)
SAMPLES = {"TS": "20260930081500", "BL": "true", "REAL": "5.62", "PQ": "3", "INT": "1", "MO": "36.50"}
HOWS = ("omit", "NI", "NA", "UNK")
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
THOROUGH = settings(QUICK, max_examples=200 if os.environ.get("FRONTEND_AGENT_TEST") == "release" else 100)
DOCUMENTS = [code for code in kind_codes() if code not in message_codes()]
KINDS = [
    *(pytest.param(code, QUICK, id=code) for code in kind_codes()),
    *(pytest.param(code, THOROUGH, id=f"{code}-thorough", marks=pytest.mark.slow) for code in kind_codes()),
]
OF_DOCUMENTS = [one for one in KINDS if one.values[0] in DOCUMENTS]


def everything(kind: Kind, how: str) -> dict[str, str]:
    """The same way to be absent for everything."""
    return dict.fromkeys([*(field.name for field in kind.fields), *kind.groups], how)


def full_record(kind: Kind, rows: int = 2) -> Record:
    """A record with every field of a kind."""
    record: Record = {}
    for field in kind.fields:
        codes = value_set(field.value_set) if field.value_set else None
        value = "20260930" if field.format == "D8" else SAMPLES.get(field.value_type, f"样例{field.name_zh}")
        if codes is not None and codes.complete:
            value = next(iter(codes)).code
        if field.group:
            group = record.setdefault(field.group, [{} for _ in range(rows)])
            for row in group:
                row[field.key] = value
        else:
            record[field.name] = value
    return record


# Whatever XML can carry, with what usually breaks it a good deal more often than by chance.
awkward = st.sampled_from(
    [
        "<",
        ">",
        "&",
        '"',
        "'",
        "]]>",
        "&amp;",
        "<!--",
        "\n",
        "\r\n",
        "\t",
        " ",
        "　",
        "𠮷",
        "𬭊",
        "龘",
        "{",
        "}",
        "%s",
        "\\",
        "é",
    ]
)
lawful = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
texts = st.lists(awkward | lawful, min_size=1, max_size=8).map("".join)
times = st.datetimes().map(lambda moment: moment.strftime("%Y%m%d%H%M%S").zfill(14))


def values(field: Field) -> st.SearchStrategy[str]:
    """Values of a field: times are times, everything else may be any text."""
    if field.value_type == "TS":
        return times.map(lambda time: time[:8]) if field.format == "D8" else times
    codes = list(value_set(field.value_set).entries) if field.value_set else []
    return (st.sampled_from(codes) | texts) if codes else texts


def some_of(fields: list[Field], at_least: int) -> st.SearchStrategy[dict[str, str]]:
    """Any of these fields, each in or out."""
    optional = st.fixed_dictionaries({}, optional={field.key: values(field) for field in fields})
    return optional.filter(lambda chosen: len(chosen) >= at_least)


@st.composite
def records(draw: st.DrawFn, kind: Kind) -> Record:
    """A record with any of its fields and any rows."""
    record: Record = draw(some_of([field for field in kind.fields if not field.group], at_least=0))
    for group in kind.groups.values():
        rows = draw(st.lists(some_of(list(group.fields), at_least=1), max_size=3))
        if rows:
            record[group.name] = rows
    return record


def absences(kind: Kind) -> st.SearchStrategy[dict[str, str]]:
    """A way to be absent for everything."""
    names = [field.name for field in kind.fields] + list(kind.groups)
    return st.fixed_dictionaries({name: st.sampled_from(HOWS) for name in names})


# A renderer is compiled for each set of absences: a few of them are enough.
@pytest.mark.parametrize(("code", "often"), KINDS)
def test_whatever_is_rendered_reads_back_equal(code, often):
    kind = load_kind(code)
    renderers = [kind.renderer(everything(kind, how)) for how in HOWS]

    @often
    @given(record=records(kind), render=st.sampled_from(renderers))
    def check(record, render):
        document = render(record, ENVELOPE)
        assert kind.reader(document) == record
        assert render(record, ENVELOPE) == document

    check()


@pytest.mark.parametrize("code", kind_codes())
def test_absences_of_all_kinds_mixed_read_back_equal(code):
    kind = load_kind(code)

    @settings(QUICK, max_examples=10)
    @given(record=records(kind), how=absences(kind))
    def check(record, how):
        assert kind.reader(kind.renderer(how)(record, ENVELOPE)) == record

    check()


@pytest.mark.parametrize("code", kind_codes())
def test_a_full_record_needs_no_absences(code):
    kind = load_kind(code)
    record = full_record(kind)

    document = kind.renderer()(record, ENVELOPE)

    assert kind.reader(document) == record
    assert b"nullFlavor" not in document.replace(b'<id nullFlavor="NI"/>', b"")  # the performer's, see the decisions


@pytest.mark.parametrize("code", kind_codes())
def test_facts_are_never_rendered(code):
    kind = load_kind(code)
    record = full_record(kind)

    with_facts = kind.renderer()({**record, "fact.id_type": "机密", "fact.newborn": "true"}, ENVELOPE)

    assert with_facts == kind.renderer()(record, ENVELOPE)


@pytest.mark.parametrize("code", kind_codes())
def test_a_missing_value_without_lawful_absence_is_an_error_that_names_it(code):
    kind = load_kind(code)
    record = full_record(kind)
    render = kind.renderer()
    for field in kind.fields:
        short = {k: v for k, v in record.items() if k != field.name}
        if field.group:
            short[field.group] = [{k: v for k, v in row.items() if k != field.key} for row in record[field.group]]
        if field.required in ("always", "inside") or field.required.startswith("with "):
            with pytest.raises(UnboundField) as error:
                render(short, ENVELOPE)
            assert error.value.field == field.name
        else:
            assert kind.reader(render(short, ENVELOPE)) == short


@pytest.mark.parametrize("code", kind_codes())
def test_a_missing_group_that_must_be_there_is_an_error(code):
    kind = load_kind(code)
    for group in kind.groups.values():
        short = {k: v for k, v in full_record(kind).items() if k != group.name}
        if group.required == "always":
            with pytest.raises(UnboundField, match=group.name):
                kind.renderer()(short, ENVELOPE)
        assert kind.reader(kind.renderer({group.name: "omit"})(short, ENVELOPE)) == short


def test_one_of_two_numbers_is_enough_but_not_none():
    kind = load_kind("C0007")
    record = full_record(kind)
    del record["patient.inpatient_number"]
    assert kind.reader(kind.renderer()(record, ENVELOPE)) == record
    del record["patient.outpatient_number"]
    with pytest.raises(UnboundField):
        kind.renderer()(record, ENVELOPE)


def test_a_result_that_is_no_number_is_text_in_the_narrative_and_its_slot_says_so():
    kind = load_kind("C0007")
    record = full_record(kind, rows=1)
    row = record["items"][0]
    del row["value"], row["unit"]
    row["text_value"] = "阴性(-)"

    document = kind.renderer({"items.value": "NA"})(record, ENVELOPE)

    assert b'<value xsi:type="REAL" nullFlavor="NA"/>' in document
    assert '<td ID="items-1-text_value">阴性(-)</td>'.encode() in document
    assert kind.reader(document) == record


BAD = [*(chr(code) for code in range(32) if chr(code) not in "\t\n\r"), "\ud800", "\udfff", "\ufffe", "\uffff", "a\0b"]


@pytest.mark.parametrize("bad", BAD, ids=ascii)
def test_text_that_xml_cannot_carry_is_refused_and_not_told(bad):
    kind = load_kind("C0007")
    for name, record in (
        ("patient.name", {**full_record(kind), "patient.name": f"秘密{bad}"}),
        ("items[0].code", {**full_record(kind), "items": [{**full_record(kind)["items"][0], "code": bad}]}),
    ):
        with pytest.raises(UnrenderableText) as error:
            kind.renderer()(record, ENVELOPE)
        assert error.value.field == name
        assert "秘密" not in str(error.value)


@pytest.mark.parametrize("code", kind_codes())
def test_no_element_is_empty_but_the_narratives_cells(code):
    kind = load_kind(code)
    for record, render in (
        (full_record(kind), kind.renderer()),
        ({}, kind.renderer(everything(kind, "omit"))),
        ({}, kind.renderer(everything(kind, "NI"))),
    ):
        root = etree.fromstring(render(record, ENVELOPE))
        for element in root.iter():
            says_something = element.attrib or (element.text or "").strip() or len(element)
            assert says_something or etree.QName(element).localname == "td", etree.QName(element).localname


@pytest.mark.parametrize("code", DOCUMENTS)
def test_a_first_version_names_no_other(code):
    kind = load_kind(code)
    first = Envelope("id-1", "id", 1, "20260930093000")

    document = kind.renderer()(full_record(kind), first)

    assert b"relatedDocument" not in document
    assert b'<versionNumber value="1"/>' in document
    assert read_envelope(document) == first


@pytest.mark.parametrize(
    "good", ["\x7f", "\x85", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff", "\u2028", " ", "\r"]
)
def test_text_that_xml_can_carry_is_carried(good):
    kind = load_kind("C0007")
    record = {**full_record(kind), "patient.name": f"{good}名{good}"}
    assert kind.reader(kind.renderer()(record, ENVELOPE)) == record
    assert headline(kind.renderer()(record, ENVELOPE)).patient_name == f"{good}名{good}"
