"""Which registrations a document names, and which one a registration is."""

import pytest

from frontend_agent import registrations
from frontend_agent.formats import load_kind, message_codes
from frontend_agent.registrations import Names, class_of, names

# Transfers name neither a doctor nor a department of their own.
NOT_SAID = {("author.id", "H0710")}
RECORD = {"fact.patient_id": "0012345", "institution.id": "91350100M", "author.id": "D001", "patient.name": "x"}


def test_a_document_names_its_patient_its_institution_and_its_author() -> None:
    assert names("C0007", RECORD) == Names(("patient:0012345", "institution:91350100M", "staff:D001"))


def test_what_a_record_does_not_say_it_does_not_wait_for() -> None:
    assert names("C0007", {"author.id": "D001"}) == Names(("staff:D001",))


def test_a_registration_is_what_it_registers_and_never_waits_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registrations.PROVIDES, "H9999", ("patient", "patient.id"))
    monkeypatch.setitem(
        registrations.NEEDED_BY_KIND, "H9999", {"institution": "institution.id", "patient": "patient.id"}
    )

    found = names("H9999", {"patient.id": "7", "institution.id": "I"})

    assert found == Names(("institution:I",), ("patient:7",))
    assert [class_of(name) for name in (*found.needs, *found.provides)] == ["institution", "patient"]


def test_a_registration_that_says_nothing_of_others_waits_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registrations.PROVIDES, "H9999", ("patient", "patient.id"))

    assert names("H9999", RECORD) == Names()


@pytest.mark.parametrize("code", sorted({*registrations.PROVIDES, *registrations.NEEDED_BY_KIND}))
def test_what_a_message_names_and_is_are_fields_of_its_kind(code: str) -> None:
    kind = load_kind(code)
    if code in registrations.PROVIDES:
        assert registrations.PROVIDES[code][1] == kind.key
    for field in registrations.NEEDED_BY_KIND.get(code, {}).values():
        assert field in kind or field == "institution.id" or (field, code) in NOT_SAID, (code, field)


def test_every_message_is_a_registration_or_says_what_it_names() -> None:
    assert set(message_codes()) == {*registrations.PROVIDES, *registrations.NEEDED_BY_KIND}


def test_a_department_waits_for_its_hospital_and_a_doctor_for_the_department() -> None:
    department = {"organization.id": "ENT", "parent_organization.id": "H1", "author.id": "D9"}
    assert names("H0301", department) == Names(("institution:H1",), ("institution:ENT",))
    assert names("H0401", {"staff.id": "D001", "staff.department_id": "ENT"}) == Names(
        ("institution:ENT",), ("staff:D001",)
    )
    assert names("H0501", {"value_set.id": "sex", "author.id": "D9"}) == Names((), ("term:sex",))
