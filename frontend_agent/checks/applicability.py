"""What an element's applicability can depend on (law 3): the words a region profile uses in `applies` and `not_for`."""

from collections.abc import Mapping

_SCHOOL_AGE = 6  # R-ID-1 [V]: children without a number must not fail; which age is ours to choose

CLASS_OF_TYPE: Mapping[str, str] = {"1": "outpatient", "2": "emergency", "3": "inpatient"}  # CV09.00.404
PATIENT_CLASSES = frozenset(CLASS_OF_TYPE.values())

# Each word as Python over the record's `get`; `patient_class` is the fact or follows from the patient type.
WORDS: Mapping[str, str] = {
    "outpatient": "patient_class == 'outpatient'",
    "emergency": "patient_class == 'emergency'",
    "inpatient": "patient_class == 'inpatient'",
    "newborn": "get('fact.newborn') == 'true'",
    "child": "is_child(get('patient.age'))",
    "foreigner": "get('fact.foreigner') == 'true'",
    "identity_unknown": "get('fact.identity_unknown') == 'true'",
    "other_id": "get('fact.id_type', '01') != '01'",
    "tcm": "get('fact.tcm') == 'true'",
}


def is_child(age: str | None) -> bool:
    """Under school age: may not have an identity number yet."""
    return age is not None and len(age) <= 3 and age.isdecimal() and int(age) < _SCHOOL_AGE
