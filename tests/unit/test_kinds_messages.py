"""The kinds made of the national services: drafted from the tables, found at the printed places, Register first and Update after."""

import csv
import re

import pytest
from lxml import etree

from frontend_agent.formats import NotOurs, headline, kind_codes, load_kind, message_codes, read_envelope, value_set
from frontend_agent.formats.tables import table, text
from frontend_agent.model import Envelope
from tests.unit.test_kinds_roundtrip import full_record
from tools.kinds import interactions, tables

pytestmark = pytest.mark.skipif(
    not tables.standards().is_dir(), reason="the national tables are not beside this checkout"
)
NAMESPACES = {"h": "urn:hl7-org:v3"}


def envelope(code, version=1):
    set_id = f"{code}-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return Envelope(f"{set_id}-{version}", set_id, version, "20260930093000")


def national(code):
    with (tables.standards() / "interaction_fields.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.DictReader(file) if row["service_no"] == code and row["direction"] == "request"]


def services():
    with (tables.standards() / "interactions.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["service_no"]: row for row in csv.DictReader(file)}


def at(root, printed):
    """The values at a printed XPath, spaces or not."""
    path = re.sub(r"\s", "", printed)
    steps = [step if step.startswith("@") else f"h:{step}" for step in path.strip("/").split("/")]
    return [str(value) for value in root.xpath("/".join(steps), namespaces=NAMESPACES)]


@pytest.mark.parametrize("code", interactions.kinds())
def test_what_is_committed_is_what_the_tool_writes(code):
    drafted = interactions.draft(code)

    assert drafted.template == text(f"{code}.xml")
    assert drafted.fields == text(f"{code}.fields.csv")
    assert drafted.decisions == text(f"{code}.decisions.csv")


def test_the_shared_tables_are_what_the_tool_writes():
    assert interactions.interactions() == text("interactions.csv")
    assert interactions.documents() == text("documents.csv")


def test_every_service_that_uploads_is_a_kind_or_the_later_versions_of_one():
    ours = {row["kind"] for row in table("interactions.csv")} | {row["later"] for row in table("interactions.csv")}
    uploads = {
        number
        for number, row in services().items()
        if not row["service_code_action"].endswith("Query") and number not in ("H0602", "H0603")
    }

    assert ours - {""} == uploads
    assert set(message_codes()) <= set(kind_codes())


@pytest.mark.parametrize("code", interactions.kinds())
def test_every_value_stands_where_the_national_table_prints_it(code):
    kind = load_kind(code)
    record = full_record(kind)
    root = etree.fromstring(kind.renderer()(record, envelope(code)))
    mended = {row["key"].partition(" ")[0] for row in table(f"{code}.decisions.csv") if row["decision"] == "rejected"}
    own = {row["seq"]: row["field"] for row in table(f"{code}.fields.csv") if row["seq"]}
    looked_at = 0
    for row in national(code):
        name = own[row["seq"]]
        if not name or name.startswith("envelope.") or row["seq"] in mended:
            continue
        field = kind.field(name)
        expected = record[field.group][0][field.key] if field.group else record[name]
        assert expected in at(root, row["xpath"]), (row["seq"], row["field_name_zh"])
        looked_at += 1
    assert looked_at >= 0.6 * len([row for row in own.values() if row])


@pytest.mark.parametrize("code", interactions.kinds())
def test_the_name_of_a_code_is_taken_from_its_table(code):
    kind = load_kind(code)
    record = full_record(kind)
    root = etree.fromstring(kind.renderer()(record, envelope(code)))
    for element in root.iter("{*}displayName"):
        parent = element.getparent()
        known = value_set(parent.get("codeSystem", "")).name(parent.get("code", ""))
        assert not known or element.get("value") == known


@pytest.mark.parametrize("code", interactions.kinds())
def test_the_first_version_registers_and_those_after_it_update(code):
    kind, known = load_kind(code), services()
    record = full_record(kind)
    about = next(row for row in table("interactions.csv") if row["kind"] == code)
    for version in (1, 2, 7):
        message = kind.renderer()(record, envelope(code, version))
        root = etree.fromstring(message)
        number = about["later"] if version > 1 and about["later"] else code

        assert etree.QName(root).localname == known[number]["request_root"]
        assert at(root, "/interactionId/@extension") == [known[number]["request_root"]]
        assert at(root, "/id/@extension") == [envelope(code, version).document_id]
        assert at(root, "/creationTime/@value") == ["20260930093000"]
        assert kind.reader(message) == record
        assert read_envelope(message) == envelope(code, version)


@pytest.mark.parametrize("code", interactions.kinds())
def test_the_headline_of_a_message_agrees_with_its_record(code):
    kind = load_kind(code)
    record = full_record(kind)
    message = kind.renderer()(record, envelope(code, 2))

    head = headline(message)

    assert (head.kind, head.set_id, head.version, head.title) == (code, envelope(code).set_id, 2, kind.name_zh)
    assert head.patient_name == record.get("patient.name", "")
    assert head.institution_id == record.get("institution.id", "")
    for length in range(0, len(message) - 1, 29):
        with pytest.raises(NotOurs):
            headline(message[:length])


def test_a_message_of_another_interaction_is_not_read():
    message = load_kind("H0401").renderer()(full_record(load_kind("H0401")), envelope("H0401"))
    with pytest.raises(NotOurs):
        load_kind("H0201").reader(message)
    with pytest.raises(NotOurs):
        headline(message.replace(b"H0401-", b"H0201-"))
    with pytest.raises(NotOurs):
        headline(message.replace(b"H0401-", b"H0499-"))


def test_messages_that_share_a_root_are_told_apart_by_their_own_id():
    for code in ("H0901", "H0904", "H0907", "H0910", "H0913"):
        kind = load_kind(code)
        assert headline(kind.renderer()(full_record(kind), envelope(code))).kind == code


def test_western_and_tcm_diagnoses_are_told_apart_even_where_only_the_doctor_is_known():
    kind = load_kind("H0707")
    record = full_record(kind)
    record["diagnoses"], record["tcm_diagnoses"] = [{"doctor_id": "D1"}], [{"doctor_id": "D2"}, {"name": "肠痈病"}]

    assert kind.reader(kind.renderer()(record, envelope("H0707"))) == record


def test_confidence_marks_of_the_tables_are_kept():
    for code in interactions.kinds():
        marks = {row["seq"]: row["confidence"].partition(" ")[0] for row in national(code)}
        for row in table(f"{code}.fields.csv"):
            assert row["confidence"] == (marks[row["seq"]] if row["seq"] else row["confidence"])
            assert row["confidence"] in ("verified", "single-source")
        for row in table(f"{code}.decisions.csv"):
            assert row["reason"]
            assert row["confidence"] in ("verified", "single-source", "from-memory", "project")
