"""Rows that a value of their own tells apart: settings by their name, signatures by their mark; what extends a patient's row."""

from frontend_agent.formats import load_kinds
from frontend_agent.proposing.joins import subjects, with_references
from frontend_agent.proposing.proposal import Pick, propose
from frontend_agent.proposing.schema import Schema, schema_of
from frontend_agent.proposing.values import profiles
from frontend_agent.proposing.writing import write

_TABLES = {
    "report": "id report_number patient_id status report_date",
    "patient": "id name gender birth_date",
    "patient_patient_type": "id patient_id patient_type_id",
    "patient_type": "id type",
    "doctor": "id name person_id",
    "person": "id name",
    "report_item": "id report_id item_name result unit",
    "result_signature": "id item_id doctor_id is_supervisor",
    "site_parameters": "id name value",
    "other_values": "id name value",
}
_NUMBERS = ("id", "patient_id", "patient_type_id", "report_id", "item_id", "doctor_id", "person_id")
_ROWS = {
    "site_parameters": [
        [1, "SiteName", "第一医院"],
        [2, "phone format", "xxx"],
        [3, "double", "a"],
        [4, "double", "b"],
    ],
    "result_signature": [[n, n, 1, n % 2 == 0] for n in range(1, 9)],
}


def _schema() -> Schema:
    types = {"report_date": "timestamp", "birth_date": "date", "is_supervisor": "boolean"}
    columns = [
        ("", table, name, "int" if name in _NUMBERS else types.get(name, "varchar"), None, True, "")
        for table, names in _TABLES.items()
        for name in names.split()
    ]
    keys = [("", table, "pk", "P", 1, "id", None, None, None) for table in _TABLES]
    for table, column, target in (
        ("report", "patient_id", "patient"), ("patient_patient_type", "patient_id", "patient"),
        ("patient_patient_type", "patient_type_id", "patient_type"), ("report_item", "report_id", "report"),
        ("result_signature", "item_id", "report_item"), ("result_signature", "doctor_id", "doctor"),
        ("doctor", "person_id", "person"),
    ):  # fmt: skip
        keys.append(("", table, f"f_{column}", "F", 1, column, "", target, "id"))
    return schema_of([("", table, "table", 100, "") for table in _TABLES], columns, keys)


def _proposed() -> tuple[dict[str, Pick], str]:
    schema = _schema()
    about = subjects(schema)
    known = with_references(schema, about)
    seen = {name: profiles(_TABLES[name].split(), rows) for name, rows in _ROWS.items()}
    seen["site_parameters"] = profiles(_TABLES["site_parameters"].split(), _ROWS["site_parameters"], ("name", "value"))
    kind = load_kinds()["C0007"]
    proposal = propose(known, about, kind, seen, "report")
    assert proposal is not None
    return proposal.found, write(proposal, kind, known, seen, "postgresql").files["lab_report.sql"]


def test_the_hospitals_name_is_a_row_of_a_table_of_settings() -> None:
    found, sql = _proposed()

    assert found["report_institution"].name == "site_parameters.value"
    assert "ON" in sql
    assert "'SiteName'" in sql


def test_a_setting_that_stands_there_twice_is_none() -> None:
    seen = profiles(["name", "value"], [["SiteName", "a"], ["SiteName", "b"], ["x", "c"]], ("name", "value"))

    assert "value@x" in seen
    assert "value@SiteName" not in seen


def test_who_reviewed_is_told_from_who_worked_by_the_mark_of_the_signature() -> None:
    found, sql = _proposed()

    assert found["reviewer.id"].full_name == found["technician.id"].full_name == "result_signature.doctor_id"
    assert found["reviewer.id"].place.hops[-1].where == ("is_supervisor", "1")
    assert found["technician.id"].place.hops[-1].where == ("is_supervisor", "0")
    assert "is_supervisor = TRUE" in sql
    assert "is_supervisor = FALSE" in sql


def test_what_extends_the_patients_row_is_reached() -> None:
    found, _ = _proposed()

    assert found["patient.type"].full_name == "patient_type.type < patient_patient_type.patient_type_id"


def test_the_person_behind_a_doctor_is_not_the_patient() -> None:
    found, _ = _proposed()

    assert "doctor" not in {hop.table for hop in found["patient.name"].place.hops}
