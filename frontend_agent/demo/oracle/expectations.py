"""Which rules must speak of which planted fault, and which may.

Agreed with frontend_agent/checks by id alone: ids never change. `must`: at least one of these. `may`: these follow from
the same fault (a number of nothing but ones is also no real date), so they are no false alarm.
"""

from typing import NamedTuple


class Expectation(NamedTuple):
    """What the rules have to say of one fault."""

    must: frozenset[str]
    may: frozenset[str] = frozenset()


def _expect(must: str, may: str = "") -> Expectation:
    return Expectation(frozenset(must.split()), frozenset(may.split()))


EXPECTED: dict[str, Expectation] = {
    # the person
    "wrong_check_digit": _expect("ID-CHECK-DIGIT"),
    "birth_date_against_number": _expect("ID-BIRTH-DATE"),
    "sex_against_number": _expect("ID-SEX"),
    "junk_number": _expect("ID-CHECK-DIGIT ID-JUNK", "ID-REAL-DATE ID-BIRTH-DATE ID-SEX"),
    "missing_name": _expect("DE-MISSING"),
    "unmapped_sex": _expect("MAP001", "DE-MISSING"),
    "mojibake_name": _expect("TEXT-MOJIBAKE", "TEXT-QUESTION-MARKS"),
    # the visit
    "missing_complaint": _expect("DE-MISSING"),
    "missing_present_illness": _expect("DE-MISSING"),
    "missing_signature": _expect("DE-MISSING"),
    "overlong_complaint": _expect("DE-LENGTH"),
    "overlong_allergy": _expect("DE-LENGTH"),
    "mojibake_complaint": _expect("TEXT-MOJIBAKE", "TEXT-QUESTION-MARKS"),
    "mojibake_history": _expect("TEXT-MOJIBAKE"),
    "unmapped_order_type": _expect("MAP001", "DE-MISSING"),
    "order_ends_before_start": _expect("ORDER-DATES"),
    "impossible_visit_time": _expect("MAP002", "DE-MISSING"),
    "diagnosis_without_code": _expect("DE-MISSING"),
    "diagnosis_code_shape": _expect("DX-SHAPE"),
    "seen_before_birth": _expect("DATE-BIRTH-VISIT", "AGE-BIRTH-DATE"),
    "duplicated_visit": _expect(""),
    # the prescription
    "unmapped_route": _expect("MAP001", "DE-MISSING"),
    "unmapped_form": _expect("MAP001", "DE-MISSING"),
    "missing_dose": _expect("DE-MISSING"),
    "dose_in_words": _expect("DE-FORMAT"),
    "missing_review": _expect("DE-MISSING"),
    "missing_prescription_diagnosis": _expect("DE-MISSING"),
    "overlong_specification": _expect("DE-LENGTH"),
    "mojibake_note": _expect("TEXT-MOJIBAKE", "TEXT-QUESTION-MARKS"),
    "issued_before_written": _expect("RX-SIGNATURES"),
    # the report
    "reported_before_collected": _expect("LAB-ORDER", "DATE-VISIT-RECORD DATE-DIAGNOSIS"),
    "received_before_collected": _expect("LAB-ORDER"),
    "missing_reviewer": _expect("DE-MISSING"),
    "missing_specimen": _expect("DE-MISSING"),
    "missing_specimen_number": _expect("DE-MISSING"),
    "missing_result": _expect("DE-ONE-OF DE-MISSING"),
    "unmapped_flag": _expect("MAP001", "DE-MISSING"),
    "unmapped_patient_type": _expect("MAP001", "DE-MISSING"),
    "overlong_conclusion": _expect("DE-LENGTH"),
    "mojibake_conclusion": _expect("TEXT-MOJIBAKE", "TEXT-QUESTION-MARKS"),
    "impossible_collection_time": _expect("MAP002", "DE-MISSING"),
    # the admission record
    "missing_admission_complaint": _expect("DE-MISSING"),
    "missing_attending_physician": _expect("DE-MISSING"),
    "impossible_temperature": _expect("VS-TEMPERATURE DE-FORMAT", "DE-LENGTH DE-PRECISION VS-FEVER-PULSE"),
    "pressures_exchanged": _expect("VS-PRESSURE", "VS-PULSE-PRESSURE VS-SYSTOLIC VS-DIASTOLIC"),
    "admission_record_late": _expect("TIME-ADMISSION", "STAY-RECORD"),
    # the front page
    "fees_do_not_add_up": _expect("FP-FEE-SUM"),
    "antibiotics_over_drugs": _expect("FP-ANTIMICROBIALS"),
    "days_in_hospital_wrong": _expect("STAY-DAYS"),
    "missing_main_diagnosis": _expect("DE-MISSING"),
    "diagnosis_repeated": _expect("DX-DUPLICATE DX-MAIN-REPEATED"),
    "diagnosis_of_the_other_sex": _expect("DX-SEX DX-NAME-SEX"),
    "operated_after_discharge": _expect("OP-STAY"),
    "injury_without_cause": _expect("FP-EXTERNAL-CAUSE"),
    "blood_without_group": _expect("FP-BLOOD-RH"),
    "unmapped_discharge_mode": _expect("MAP001", "DE-MISSING"),
    # the report of an examination
    "exam_without_reviewer": _expect("DE-MISSING"),
    "mojibake_findings": _expect("TEXT-MOJIBAKE"),
    "reported_before_asked": _expect("EX-REQUEST", "EX-EXAMINED EX-REPORTED DATE-VISIT-RECORD DATE-DIAGNOSIS"),
    "unmapped_exam_source": _expect("MAP001", "DE-MISSING"),
}


def finds(fault: str, rule: str) -> bool:
    """Whether this rule, speaking of the right field, has found the fault."""
    return rule in EXPECTED[fault].must


def explains(fault: str, rule: str) -> bool:
    """Whether the fault accounts for this rule's speaking."""
    return rule in EXPECTED[fault].must or rule in EXPECTED[fault].may
