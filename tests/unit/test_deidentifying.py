"""De-identified documents hold no direct identifier (threats.md L7)."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from test_demo_mappings import MAPPINGS

from connectors import SourceOptions, open_source
from frontend_agent.config import parse_config
from frontend_agent.deidentifying import (
    KEEP,
    PSEUDONYM,
    REMOVE,
    SCRUB,
    Pseudonyms,
    deidentifying,
    direct_identifiers,
    removed_fields,
    treatment_of,
    treatments,
)
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.demo.samples import sample
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import compile_feed
from frontend_agent.formats import kind_codes, load_kind
from frontend_agent.identity import set_id
from frontend_agent.intake import FeedPlan
from frontend_agent.model import Envelope, Record, Severity, SourceRecord

ROOT = Path(__file__).parents[2]
KEY = b"a secret of the hospital"
VISIT = load_kind("C0002")
LAB = load_kind("C0007")
MANY = 1_000


def deidentified(record: Record, kind: object = LAB) -> Record:
    return deidentifying(kind, Pseudonyms(KEY))(record)[0]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("patient.name", REMOVE), ("patient.telephone", REMOVE), ("patient.id_number", PSEUDONYM), ("author.id", PSEUDONYM),
        ("author.name", REMOVE), ("reviewer.name", REMOVE), ("report_number", PSEUDONYM), ("encounter.bed_id", REMOVE),
        ("institution.name", KEEP), ("encounter.department_name", KEEP), ("patient.sex", KEEP), ("items.name", SCRUB),
        ("diagnoses.code", KEEP), ("items.text_value", SCRUB),
    ],
)  # fmt: skip
def test_what_is_done_with_an_element(name: str, how: str) -> None:
    assert treatment_of(LAB.field(name)) == how


def test_every_row_of_the_table_says_how_sure_it_is() -> None:
    for row in treatments():
        assert row.basis
        assert row.confidence in ("from-memory", "project")
        assert bool(row.de_code) != bool(row.field)


@pytest.mark.parametrize("code", kind_codes())
def test_no_person_number_or_address_of_any_kind_is_kept(code: str) -> None:
    """Whatever kinds there are: what carries a person's name or number is treated."""
    hospital = ("institution", "department", "ward", "request.", "reg_department")
    for field in load_kind(code).fields:
        how = treatment_of(field)
        if field.de in ("DE02.01.039.00", "DE02.01.010.00") or field.value_type == "TEL":
            assert how == REMOVE, field.name
        if field.value_type == "II" and not any(word in field.name for word in hospital):
            assert how in (REMOVE, PSEUDONYM), field.name


def test_pseudonyms_are_the_same_everywhere_and_another_with_another_key() -> None:
    record = {"patient.id_number": "11010519491231002x", "patient.outpatient_number": "M1"}
    first, again = deidentified(record), deidentified({**record, "patient.id_number": "11010519491231002X"})
    assert first == again
    assert first["patient.id_number"] == deidentified(record, VISIT)["patient.id_number"]
    assert first["patient.id_number"] != Pseudonyms(b"another secret of it").of("11010519491231002X", 18)
    assert len(deidentified({"patient.inpatient_number": "123"})["patient.inpatient_number"]) <= 10
    with pytest.raises(ConfigurationError, match="shorter"):
        Pseudonyms(b"short")


def test_free_text_is_kept_without_the_records_own_identifiers() -> None:
    record = {
        "patient.name": "张示例",
        "patient.id_number": "11010519491231002X",
        "patient.birth_date": "19491231",
        "author.name": "李医生",
        "present_illness": "患者张示例（1949年12月31日生，11010519491231002X，电话 138-0013-8000）由李医生接诊，咳嗽 3 天，体温 38.5",
    }
    told = deidentified(record, VISIT)["present_illness"]
    assert told == "患者***（***生，***，电话 ***）由***接诊，咳嗽 3 天，体温 38.5"


def test_a_birth_date_becomes_an_age_and_the_very_old_are_ninety() -> None:
    born = {"patient.birth_date": "19491231", "author.time": "20260930081500"}
    assert deidentified(born, VISIT) == {"patient.age": "76", "author.time": "20260930081500"}
    assert deidentified({**born, "patient.birth_date": "19200101"}, VISIT)["patient.age"] == "90"
    assert deidentified({"patient.age": "97"}, VISIT) == {"patient.age": "90"}


def test_the_trace_says_what_was_done() -> None:
    _, (note,) = deidentifying(LAB, Pseudonyms(KEY))({"patient.name": "张示例", "patient.sex": "1"})
    assert (note.rule, note.arguments) == ("POL003", ("patient.name",))


# --- a thousand documents ---------------------------------------------------------------------------------------------


def is_sent(plan: FeedPlan, record: SourceRecord) -> bool:
    findings = [*record.findings, *plan.check(record.record, record.columns, record.findings)]
    return not any(finding.severity is Severity.HOLD for finding in findings)


# Named here by hand, beside the table that is being tested.
NUMBERS = ("patient.id_number", "patient.telephone", "patient.outpatient_number", "patient.inpatient_number", "report_number",
           "request_number", "specimen_number", "prescription_number")  # fmt: skip
PERSONS = ("patient", "author", "doctor", "reviewer", "technician", "laboratory_doctor", "review_pharmacist",
           "dispensing_pharmacist", "checking_pharmacist", "issuing_pharmacist")  # fmt: skip
OF_ORDERS = ("performer_name", "orderer_name", "reviewer_name", "canceller_name")


def identifiers_by_hand(record: Record) -> set[str]:
    found = {record.get(name, "") for name in (*NUMBERS, *(f"{person}.name" for person in PERSONS))}
    found |= {order.get(name, "") for order in record.get("orders", ()) for name in OF_ORDERS}
    if born := record.get("patient.birth_date", ""):
        found |= {born, f"{born[:4]}-{born[4:6]}-{born[6:]}"}
    return found - {""}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[FeedPlan, list[SourceRecord]]]:
    folder = tmp_path_factory.mktemp("hospital")
    create_hospital(folder, 500, seed=7)
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "research").write_bytes(KEY)
    (secrets / "research").chmod(0o600)
    text = (ROOT / "agent.toml").read_text(encoding="utf-8")
    marked = 'url  = "http://127.0.0.1:8480"\ndeidentified = true\npseudonym_key = "research"'
    text = text.replace('url  = "http://127.0.0.1:8480"', marked) + f'\n[secrets]\nfolder = "{secrets}"\n'
    config = parse_config(text)
    found = []
    for feed in config.feeds:
        compiled = compile_feed(config, feed, lambda: date(2026, 9, 30))
        source = open_source("x", SourceOptions(url=f"sqlite:///{folder / MAPPINGS[feed.mapping]}"))
        keys = [key for page in source.changed(compiled.mapping.queries, None, feed.overlap, 400) for key in page.keys]
        records = compiled.plan.normalise(source.rows(compiled.mapping.queries, keys[:MANY]))
        found.append((compiled.plan, [record for record in records if is_sent(compiled.plan, record)]))
        source.close()
    return found


def test_a_thousand_documents_hold_no_direct_identifier(plans: list[tuple[FeedPlan, list[SourceRecord]]]) -> None:
    seen = looked_for = 0
    for plan, records in plans:
        kind = load_kind(plan.kind)
        (edition,) = plan.editions
        assert plan.destinations == ()
        for record in records:
            whole, _ = plan.complete(record.record)
            left, _ = edition.leave_out(whole)
            named = edition.set_of(record.key)
            document = edition.render(left, Envelope(f"{named}-1", named, 1, "20260930081500")).decode()
            identifiers = {*direct_identifiers(kind, record.record), *identifiers_by_hand(record.record)}
            assert not [text for text in identifiers if text in document], f"{plan.kind} {record.key}"
            looked_for += len(identifiers)
            seen += 1
    assert seen >= MANY
    assert looked_for > 5 * MANY


def test_such_a_document_is_still_one_and_reads_back(plans: list[tuple[FeedPlan, list[SourceRecord]]]) -> None:
    for plan, records in plans:
        kind = load_kind(plan.kind)
        (edition,) = plan.editions
        left, _ = edition.leave_out(plan.complete(records[0].record)[0])
        read = kind.reader(edition.render(left, Envelope("A-1", "A", 1, "20260930081500")))
        assert read["patient.sex"] == records[0].record["patient.sex"]
        assert read["patient.id_number"].startswith("P")
        assert removed_fields(kind).isdisjoint(read)


def test_identity_and_hash_are_of_no_use_without_the_secret(plans: list[tuple[FeedPlan, list[SourceRecord]]]) -> None:
    for plan, records in plans:
        (edition,) = plan.editions
        key = records[0].key
        assert edition.set_of(key) == edition.set_of(key)
        assert edition.set_of(key) not in {
            set_id(plan.institution, plan.epoch, plan.kind, key, name) for name in ("", edition.name)
        }
        assert edition.hash_of(records[0].source_hash) != records[0].source_hash
        assert replace(edition, name="x").set_of(key) == edition.set_of(key)


# --- every kind -------------------------------------------------------------------------------------------------------

PARTS_BELOW_THE_COUNTY = ("township", "street", "house_number", "postal_code")
LISTS_OF_PERSONS = ("discussion_members.name", "rescue_members.name", "rescue_staff")


def is_a_persons(name: str, name_zh: str) -> bool:
    """By the field's name, beside the table that is being tested."""
    last = name.rpartition(".")[2]
    whose = name.startswith(("patient.", "contact.", "guardian.", "informant.", "proxy."))
    return (
        name in LISTS_OF_PERSONS
        or last in PARTS_BELOW_THE_COUNTY
        or last == "telephone"
        or (whose and last in ("name", "organisation_name", "id_number"))
        or (last.endswith("_number") and whose)
        or name_zh.endswith(("姓名", "签名"))
    )


@pytest.mark.parametrize("code", kind_codes())
def test_documents_of_every_kind_hold_no_direct_identifier(code: str) -> None:
    kind = load_kind(code)
    render = kind.renderer(dict.fromkeys([*(f.name for f in kind.fields), *kind.groups], "omit"))
    labels = {field.name: field.name_zh for field in kind.fields}
    for number in range(1, 21):
        record = sample(kind, number)
        document = render(deidentified(record, kind), Envelope("A-1", "A", 1, "20260930081500")).decode()
        by_hand = {text for name, text in spread(record) if is_a_persons(name, labels[name]) and len(text) > 1}
        identifiers = {*direct_identifiers(kind, record), *by_hand}
        # A postal code may be the beginning of the hospital's number.
        found = [text for text in identifiers if re.search(rf"(?<![0-9]){re.escape(text)}(?![0-9])", document)]
        assert not found


def spread(record: Record) -> list[tuple[str, str]]:
    """Every value with its field's name."""
    found = [(name, value) for name, value in record.items() if isinstance(value, str)]
    for name, rows in record.items():
        if not isinstance(rows, str):
            found += [(f"{name}.{key}", text) for row in rows for key, text in row.items()]
    return found


@pytest.mark.parametrize(
    ("code", "name", "how"),
    [
        ("C0040", "discussion_members.name", REMOVE), ("C0044", "rescue_members.name", REMOVE), ("C0003", "rescue_staff", REMOVE),
        ("C0032", "patient.employer.name", REMOVE), ("HSDB04.03", "contact.organisation_name", REMOVE),
        ("C0017", "diet_name", SCRUB), ("C0027", "planned_operations.name", SCRUB), ("C0032", "patient.native_place.city", KEEP),
    ],
)  # fmt: skip
def test_a_list_of_persons_goes_and_the_name_of_a_thing_stays(code: str, name: str, how: str) -> None:
    assert treatment_of(load_kind(code).field(name)) == how
