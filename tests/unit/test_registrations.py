"""Which registrations a document names, and which one a registration is."""

import pytest

from frontend_agent import registrations
from frontend_agent.registrations import Names, class_of, names

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
