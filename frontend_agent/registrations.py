"""Registrations go first: which ones a document names, and which one a registration is. Takes values, returns values.

A region that does not know a patient, an institution or a doctor refuses what names them (exchange.md §7). A destination
with `register_first = true` is given a document only when the registrations it names were accepted there. A registration
is named by its class and its identifier: `patient:0012345`, `staff:D001`.

What is worked out here is worked out from the record when it is taken in, where its facts are at hand; it travels with the
document into the spool, which does the waiting.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

CLASSES = PATIENT, INSTITUTION, STAFF, TERM = "patient", "institution", "staff", "term"


class Names(NamedTuple):
    """The registrations that a document names, and those that it is itself, when it is one."""

    needs: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()


NOTHING = Names()

# Kind of registration -> its class, and the field that identifies what it registers.
PROVIDES: dict[str, tuple[str, str]] = {
    "H0201": (PATIENT, "patient.local_id"),
    "H0301": (INSTITUTION, "organization.id"),
    "H0401": (STAFF, "staff.id"),
    "H0501": (TERM, "value_set.id"),
}
# Class -> the field by which a document names it. A record that lacks the field names none of that class.
NEEDED_BY_DOCUMENTS: Mapping[str, str] = {
    PATIENT: "fact.patient_id",
    INSTITUTION: "institution.id",
    STAFF: "author.id",
}
# The same for kinds that say otherwise: registrations themselves, business messages.
_VISIT = {PATIENT: "patient.local_id", INSTITUTION: "institution.id", STAFF: "author.id"}
NEEDED_BY_KIND: dict[str, Mapping[str, str]] = {
    "H0201": {INSTITUTION: "institution.id"},
    # A department waits for what it belongs to; the institution at the top names none.
    "H0301": {INSTITUTION: "parent_organization.id"},
    "H0401": {INSTITUTION: "staff.department_id"},
    "H0203": {PATIENT: "patient.local_id"},
    "H0601": _VISIT,
    "H0701": {INSTITUTION: "institution.id", STAFF: "author.id"},
    "H0704": _VISIT | {STAFF: "responsible_physician.id"},
    "H0707": _VISIT | {STAFF: "responsible_physician.id"},
    "H0710": _VISIT,
    "H0713": _VISIT | {STAFF: "registrar.id"},
    "H0801": _VISIT,
    "H0901": _VISIT,
    "H0904": _VISIT,
    "H0907": _VISIT,
    "H0910": _VISIT,
    "H0913": _VISIT,
}


def names(kind: str, record: Mapping[str, Any]) -> Names:
    """Which registrations a record of this kind names, and which one it is."""
    provides: tuple[str, ...] = ()
    if kind in PROVIDES:
        of_class, field = PROVIDES[kind]
        provides = _named(of_class, record.get(field))
    needed = NEEDED_BY_KIND.get(kind, {} if kind in PROVIDES else NEEDED_BY_DOCUMENTS)
    needs = (name for of_class, field in needed.items() for name in _named(of_class, record.get(field)))
    return Names(tuple(name for name in dict.fromkeys(needs) if name not in provides), provides)


def are_registrations(kind: str) -> bool:
    """Whether the documents of this kind are registrations themselves."""
    return kind in PROVIDES


def class_of(name: str) -> str:
    """`patient` of `patient:0012345`."""
    return name.partition(":")[0]


def identifier_of(name: str) -> str:
    """`0012345` of `patient:0012345`."""
    return name.partition(":")[2].strip()


def _named(of_class: str, value: Any) -> tuple[str, ...]:
    return (f"{of_class}:{value}",) if isinstance(value, str) and value else ()
