"""The inpatient front page: C0032 and C0033 (R-FP-1 to R-FP-15). Money adds up, and one box follows from another."""

from collections.abc import Mapping

from frontend_agent.checks.registry import (
    AGREES,
    FORM,
    FROM_MEMORY,
    HOLD,
    LIKELY,
    NOTE,
    ORDER,
    PRESENT,
    SINGLE_SOURCE,
    SUM,
    VERIFIED,
    WARN,
    Mark,
    Problem,
    Said,
    relation,
    rule,
)
from frontend_agent.checks.stays import ADMITTED, DISCHARGED
from frontend_agent.checks.values import before, days, number
from frontend_agent.model import Record

WESTERN, TCM = "C0032", "C0033"

# `counts_in_sum = yes` in sections/frontpage_fees.csv: 24 items of C0032, and 26 of C0033.
_SUMMED = (
    "fee.general_service", "fee.general_procedure", "fee.nursing", "fee.other_service", "fee.pathology",
    "fee.laboratory", "fee.imaging", "fee.clinical_diagnosis", "fee.non_surgical", "fee.surgical", "fee.rehabilitation",
    "fee.tcm_treatment", "fee.western_drugs", "fee.chinese_patent_drugs", "fee.herbs", "fee.blood", "fee.albumin",
    "fee.globulin", "fee.clotting_factors", "fee.cytokines", "fee.disposables_examination", "fee.disposables_treatment",
    "fee.disposables_operation", "fee.other",
)  # fmt: skip
SUMMED: Mapping[str, tuple[str, ...]] = {
    WESTERN: _SUMMED,
    TCM: (*_SUMMED, "fee.tcm_diagnosis", "fee.tcm_other"),
}
_PENNY = 0.015  # decimal fractions in binary


def _money(record: Record, field: str) -> float:
    """The amount of an item; what is not there was not charged."""
    return number(record.get(field, "0"))


# -- R-FP-1, R-FP-2, R-FP-8: money ----------------------------------------------------------------------------------------


def _adds_up(kind: str, id: str) -> None:
    @rule(
        id, HOLD, kind, about=SUM, clause="R-FP-1, sections/frontpage_fees.csv", mark=VERIFIED, needs=("fee.total",),
        also=SUMMED[kind],
    )  # fmt: skip
    def the_items_add_up(record: Record) -> Problem | None:
        if not any(field in record for field in SUMMED[kind]):
            return None  # no item at all: that they are missing is said elsewhere
        added, total = sum(_money(record, field) for field in SUMMED[kind]), number(record["fee.total"])
        return ("fee.total", record["fee.total"], f"{added:.2f}") if abs(added - total) > _PENNY else None


_adds_up(WESTERN, "FP-FEE-SUM")
_adds_up(TCM, "FP-FEE-SUM-TCM")


def _part_of(id: str, part: str, whole: str, clause: str = "R-FP-2", mark: Mark = SINGLE_SOURCE) -> None:
    """A part of a charge does not exceed it."""

    @relation(id, HOLD, about=SUM, clause=clause, mark=mark, of=(whole, part))
    def is_no_more(charged: str, of_it: str) -> Said | None:
        return (of_it, charged) if number(of_it) > number(charged) + _PENNY else None


_part_of("FP-SELF-PAID", "fee.self_paid", "fee.total", "R-FP-1", VERIFIED)
_part_of("FP-ANTIMICROBIALS", "fee.antimicrobials", "fee.western_drugs")
_part_of("FP-PHYSICAL-THERAPY", "fee.physical_therapy", "fee.non_surgical")
_part_of("FP-TCM-DIFFERENTIATION", "fee.tcm_differentiation", "fee.general_service")


@relation(
    "FP-SURGICAL", HOLD, about=SUM, clause="R-FP-2", mark=SINGLE_SOURCE, of=("fee.surgical",),
    also=("fee.anaesthesia", "fee.operation"),
)  # fmt: skip
def surgery_and_anaesthesia_are_part_of_it(surgical: str, anaesthesia: str, operation: str) -> Said | None:
    parts = number(anaesthesia or "0") + number(operation or "0")
    return (f"{parts:.2f}", surgical) if parts > number(surgical) + _PENNY else None


_TCM_PARTS = (
    "fee.tcm_external", "fee.tcm_orthopaedics", "fee.tcm_acupuncture", "fee.tcm_tuina", "fee.tcm_anorectal",
    "fee.tcm_special",
)  # fmt: skip


@rule(
    "FP-TCM-PARTS", HOLD, about=SUM, clause="R-FP-2", mark=SINGLE_SOURCE, needs=("fee.tcm_treatment",), also=_TCM_PARTS
)
def parts_of_tcm_treatment_do_not_exceed_it(record: Record) -> Problem | None:
    parts, whole = sum(_money(record, field) for field in _TCM_PARTS), number(record["fee.tcm_treatment"])
    return ("fee.tcm_treatment", f"{parts:.2f}", record["fee.tcm_treatment"]) if parts > whole + _PENNY else None


@rule(
    "FP-TCM-OTHER", HOLD, about=SUM, clause="R-FP-2", mark=SINGLE_SOURCE, needs=("fee.tcm_other",),
    also=("fee.tcm_dispensing", "fee.tcm_diet"),
)  # fmt: skip
def parts_of_other_tcm_do_not_exceed_it(record: Record) -> Problem | None:
    parts, whole = (
        _money(record, "fee.tcm_dispensing") + _money(record, "fee.tcm_diet"),
        number(record["fee.tcm_other"]),
    )
    return ("fee.tcm_other", f"{parts:.2f}", record["fee.tcm_other"]) if parts > whole + _PENNY else None


@relation("FP-OTHER", WARN, about=LIKELY, clause="R-FP-8", mark=SINGLE_SOURCE, of=("fee.total", "fee.other"))
def other_charges_are_not_all(total: str, other: str) -> Said | None:
    return (other, total) if number(other) >= number(total) > 0 else None


@relation("FP-TOTAL-ZERO", WARN, about=LIKELY, clause="R-FP-7", mark=FROM_MEMORY, of=("days_in_hospital", "fee.total"))
def a_stay_costs_something(stayed: str, total: str) -> Said | None:
    return (stayed,) if number(stayed) >= 1 and number(total) == 0 else None


@relation(
    "FP-SERVICE", WARN, about=PRESENT, clause="R-FP-7", mark=SINGLE_SOURCE, of=("days_in_hospital",),
    also=("fee.general_service",),
)  # fmt: skip
def a_longer_stay_has_a_service_charge(stayed: str, charged: str) -> Said | None:
    return (stayed,) if number(stayed) > 1 and number(charged or "0") == 0 else None


@relation(
    "FP-NURSING",
    WARN,
    about=PRESENT,
    clause="R-FP-7",
    mark=SINGLE_SOURCE,
    of=("days_in_hospital",),
    also=("fee.nursing",),
)
def a_longer_stay_has_a_nursing_charge(stayed: str, charged: str) -> Said | None:
    return (stayed,) if number(stayed) > 1 and number(charged or "0") == 0 else None


@relation(
    "FP-PAYMENT",
    NOTE,
    about=AGREES,
    clause="CV07.10.005",
    mark=FROM_MEMORY,
    of=("payment_method", "fee.total", "fee.self_paid"),
)
def who_pays_all_pays_all(method: str, total: str, own: str) -> Said | None:
    """07 is 全自费: what the patient pays is the total."""
    return (own, total) if method == "07" and number(own) < number(total) - _PENNY else None


# -- R-FP-3 to R-FP-5: blood, operations, anaesthesia ---------------------------------------------------------------------

_UNKNOWN_ABO, _UNKNOWN_RH = ("", "5", "6", "9"), ("", "3", "4")


@relation("FP-BLOOD-ABO", WARN, about=PRESENT, clause="R-FP-3", mark=SINGLE_SOURCE, of=("fee.blood",), also=("abo",))
def who_paid_for_blood_has_a_group(paid: str, abo: str) -> Said | None:
    return (paid,) if number(paid) > 0 and abo in _UNKNOWN_ABO else None


@relation("FP-BLOOD-RH", WARN, about=PRESENT, clause="R-FP-3", mark=SINGLE_SOURCE, of=("fee.blood",), also=("rh",))
def who_paid_for_blood_has_an_rh_factor(paid: str, rh: str) -> Said | None:
    return (paid,) if number(paid) > 0 and rh in _UNKNOWN_RH else None


@relation(
    "FP-OPERATION",
    WARN,
    about=PRESENT,
    clause="R-FP-4",
    mark=SINGLE_SOURCE,
    of=("fee.operation",),
    also=("operations",),
)
def who_paid_for_an_operation_had_one(paid: str, operations: str) -> Said | None:
    return (paid,) if number(paid) > 0 and not operations else None


@rule(
    "FP-ANAESTHESIA", WARN, about=PRESENT, clause="R-FP-5", mark=SINGLE_SOURCE, needs=("operations",),
    also=("fee.anaesthesia", "operations.anaesthesia_method"),
)  # fmt: skip
def anaesthesia_is_paid_for(record: Record) -> Problem | None:
    """Local anaesthesia (3x) is often part of the operation."""
    methods = {row.get("anaesthesia_method", "3")[:1] for row in record["operations"]}
    if methods & {"1", "2", "4"} and number(record.get("fee.anaesthesia", "0")) == 0:
        return ("fee.anaesthesia",)
    return None


@rule(
    "FP-ANAESTHESIA-NONE", NOTE, about=AGREES, clause="R-FP-5", mark=FROM_MEMORY, needs=("fee.anaesthesia",),
    also=("operations.anaesthesia_method",),
)  # fmt: skip
def what_is_paid_for_was_given(record: Record) -> Problem | None:
    rows = record.get("operations") or ()
    if number(record["fee.anaesthesia"]) > 0 and not any("anaesthesia_method" in row for row in rows):
        return "fee.anaesthesia", record["fee.anaesthesia"]
    return None


@relation(
    "FP-PATHOLOGY-NUMBER", NOTE, about=PRESENT, clause="R-FP-11", mark=FROM_MEMORY, of=("pathology_diagnosis.code",),
    also=("pathology_diagnosis.number",),
)  # fmt: skip
def a_pathology_diagnosis_has_its_number(_: str, file: str) -> Said | None:
    return None if file else ()


# -- R-FP-6, R-FP-13: how the stay ended ----------------------------------------------------------------------------------

DIED = "5"  # CV06.00.226


@relation(
    "FP-AUTOPSY", WARN, about=PRESENT, clause="R-FP-6", mark=SINGLE_SOURCE, of=("discharge_mode",), also=("autopsy",)
)
def of_the_dead_the_autopsy_is_said(mode: str, autopsy: str) -> Said | None:
    return () if mode == DIED and not autopsy else None


@relation("FP-AUTOPSY-ALIVE", WARN, about=AGREES, clause="R-FP-6", mark=SINGLE_SOURCE, of=("discharge_mode", "autopsy"))
def the_living_have_no_autopsy(mode: str, autopsy: str) -> Said | None:
    return (mode,) if mode != DIED and autopsy == "true" else None


@relation(
    "FP-DEAD-READMISSION",
    WARN,
    about=AGREES,
    clause="R-FP-6",
    mark=SINGLE_SOURCE,
    of=("discharge_mode", "readmission_planned"),
)
def the_dead_do_not_come_back(mode: str, planned: str) -> Said | None:
    return () if mode == DIED and planned == "true" else None


@relation(
    "FP-TRANSFERRED",
    WARN,
    about=PRESENT,
    clause="R-FP-13",
    mark=SINGLE_SOURCE,
    of=("discharge_mode",),
    also=("receiving_institution",),
)
def who_was_transferred_went_somewhere(mode: str, institution: str) -> Said | None:
    """2 转院, 3 转社区."""
    return (mode,) if mode in ("2", "3") and institution in ("", "-") else None


@relation(
    "FP-NOT-TRANSFERRED",
    NOTE,
    about=AGREES,
    clause="R-FP-13",
    mark=FROM_MEMORY,
    of=("discharge_mode", "receiving_institution"),
)
def who_went_home_was_received_nowhere(mode: str, institution: str) -> Said | None:
    return (mode,) if mode in ("1", "4", DIED) and institution not in ("-", "无", "/") else None


@relation(
    "FP-READMISSION",
    WARN,
    about=PRESENT,
    clause="R-FP-13",
    mark=SINGLE_SOURCE,
    of=("readmission_planned",),
    also=("readmission_purpose",),
)
def a_planned_return_has_a_purpose(planned: str, purpose: str) -> Said | None:
    return () if planned == "true" and purpose in ("", "-") else None


@relation(
    "FP-READMISSION-NONE",
    NOTE,
    about=AGREES,
    clause="R-FP-13",
    mark=FROM_MEMORY,
    of=("readmission_planned", "readmission_purpose"),
)
def no_return_has_no_purpose(planned: str, purpose: str) -> Said | None:
    return () if planned == "false" and purpose not in ("-", "无", "/") else None


# -- R-FP-9: newborns -----------------------------------------------------------------------------------------------------


def _newborn_age(record: Record) -> float:
    born = record.get("patient.birth_date") or record.get("fact.birth_date") or ""
    return days(born, record[ADMITTED])


def _newborn_has(id: str, field: str) -> None:
    @rule(
        id,
        WARN,
        WESTERN,
        TCM,
        about=PRESENT,
        clause="R-FP-9",
        mark=SINGLE_SOURCE,
        needs=(ADMITTED,),
        also=("patient.birth_date", field),
    )
    def newborns_are_weighed(record: Record) -> Problem | None:
        return (field,) if 0 <= _newborn_age(record) <= 28 and field not in record else None


_newborn_has("FP-BIRTH-WEIGHT", "newborn_birth_weight")
_newborn_has("FP-ADMISSION-WEIGHT", "newborn_admission_weight")


@rule(
    "FP-ADMISSION-WEIGHT-AGE", NOTE, WESTERN, TCM, about=AGREES, clause="R-FP-9", mark=FROM_MEMORY,
    needs=(ADMITTED, "newborn_admission_weight"), also=("patient.birth_date",),
)  # fmt: skip
def only_newborns_have_an_admission_weight(record: Record) -> Problem | None:
    aged = _newborn_age(record)
    if aged > 28 and number(record["newborn_admission_weight"]) > 0:
        return "newborn_admission_weight", f"{aged:g}"
    return None


@relation(
    "FP-NEWBORN-LOSS",
    NOTE,
    about=LIKELY,
    clause="R-FP-9",
    mark=FROM_MEMORY,
    of=("newborn_birth_weight", "newborn_admission_weight"),
)
def newborns_do_not_halve(born: str, admitted: str) -> Said | None:
    """A newborn loses a tenth; three tenths less or half as much again is another child, or another unit."""
    one, other = number(born), number(admitted)
    return (admitted, born) if one > 0 and other > 0 and not 0.7 <= other / one <= 1.8 else None


# -- R-FP-10, R-FP-11: what a diagnosis asks for --------------------------------------------------------------------------


@relation(
    "FP-EXTERNAL-CAUSE",
    WARN,
    about=PRESENT,
    clause="R-FP-10",
    mark=VERIFIED,
    of=("main_diagnosis.code",),
    also=("external_cause.code",),
)
def an_injury_has_a_cause(main: str, cause: str) -> Said | None:
    return (main,) if main[:1] in ("S", "T") and cause in ("", "-") else None


@relation(
    "FP-EXTERNAL-NAME",
    NOTE,
    about=PRESENT,
    clause="R-FP-10",
    mark=SINGLE_SOURCE,
    of=("external_cause.name",),
    also=("external_cause.code",),
)
def a_cause_in_words_has_a_code(name: str, code: str) -> Said | None:
    return () if name not in ("-", "无", "/") and not code else None


@relation(
    "FP-PATHOLOGY",
    NOTE,
    about=PRESENT,
    clause="R-FP-11",
    mark=FROM_MEMORY,
    of=("main_diagnosis.code",),
    also=("pathology_diagnosis.code",),
)
def a_tumour_has_a_pathology(main: str, pathology: str) -> Said | None:
    """C00 to C97 and D00 to D48."""
    return (main,) if ("C00" <= main[:3] <= "C97" or "D00" <= main[:3] <= "D48") and not pathology else None


@relation(
    "FP-PATHOLOGY-TUMOUR",
    NOTE,
    about=AGREES,
    clause="R-FP-11",
    mark=FROM_MEMORY,
    of=("pathology_diagnosis.code", "main_diagnosis.code"),
)
def malignant_morphology_has_a_malignant_diagnosis(pathology: str, main: str) -> Said | None:
    """M…/3 is malignant; a benign tumour as the main diagnosis does not go with it."""
    return (pathology,) if pathology.endswith("/3") and "D10" <= main[:3] <= "D36" else None


@relation(
    "FP-DELIVERY", NOTE, about=PRESENT, clause="ICD-10 volume 2, O80–O84 and Z37", mark=FROM_MEMORY, of=("main_diagnosis.code",),
    also=("other_diagnoses",),
)  # fmt: skip
def a_delivery_has_an_outcome(main: str, others: list[dict[str, str]] | str) -> Said | None:
    """O80 to O84 come with Z37."""
    listed = others if isinstance(others, list) else []
    return (
        (main,)
        if "O80" <= main[:3] <= "O84" and not any(row.get("code", "").startswith("Z37") for row in listed)
        else None
    )


@relation(
    "FP-ASTERISK",
    WARN,
    about=FORM,
    clause="R-VA-3",
    mark=FROM_MEMORY,
    rows=("other_diagnoses",),
    of=("this.code", "main_diagnosis.code"),
)
def a_manifestation_is_not_the_main_diagnosis(_: str, main: str) -> Said | None:
    """An asterisk code follows its dagger; alone it is never the main diagnosis."""
    return () if main.endswith("*") and "+" not in main else None


@relation(
    "FP-MAIN-Z", NOTE, about=LIKELY, clause="R-VA-3", mark=FROM_MEMORY, of=("main_diagnosis.code", "fee.operation")
)
def who_was_operated_on_had_a_disease(main: str, paid: str) -> Said | None:
    """Z codes need care: Z00 to Z13 (examinations) do not explain an operation."""
    return (main,) if "Z00" <= main[:3] <= "Z13" and number(paid) > 0 else None


# -- R-FP-12, R-FP-14 -----------------------------------------------------------------------------------------------------


@relation(
    "FP-ALLERGY",
    WARN,
    WESTERN,
    TCM,
    about=PRESENT,
    clause="R-FP-12",
    mark=SINGLE_SOURCE,
    of=("allergy.flag",),
    also=("allergy.text",),
)
def a_drug_allergy_is_named(allergic: str, substance: str) -> Said | None:
    return () if allergic == "true" and substance in ("", "-", "无") else None


@relation(
    "FP-ALLERGY-DENIED",
    WARN,
    WESTERN,
    TCM,
    about=AGREES,
    clause="R-FP-12",
    mark=SINGLE_SOURCE,
    of=("allergy.flag", "allergy.text"),
)
def a_denied_drug_allergy_has_no_name(allergic: str, substance: str) -> Said | None:
    return () if allergic == "false" and not substance.startswith(("无", "-", "否", "未", "/")) else None


_CONDITIONED = ("other_diagnoses", "main_diagnosis")


@relation(
    "FP-CONDITION", WARN, about=PRESENT, clause="R-FP-14", mark=SINGLE_SOURCE, rows=_CONDITIONED, of=("this.code",),
    also=("this.condition_on_admission",),
)  # fmt: skip
def a_diagnosis_has_a_condition_on_admission(_: str, condition: str) -> Said | None:
    return None if condition else ()


@relation(
    "FP-MAIN-ACQUIRED", NOTE, about=LIKELY, clause="R-FP-14, CV05.10.019", mark=FROM_MEMORY,
    of=("main_diagnosis.code", "main_diagnosis.condition_on_admission"),
)  # fmt: skip
def nobody_is_admitted_for_what_came_later(main: str, condition: str) -> Said | None:
    """4 is 无: not there on admission. Births (O, Z37) are."""
    return () if condition == "4" and main[:1] not in ("O", "Z") else None


@relation(
    "FP-CONDITION-CHRONIC", NOTE, about=LIKELY, clause="CV05.10.019", mark=FROM_MEMORY, rows=("other_diagnoses",),
    of=("this.code", "this.condition_on_admission"),
)  # fmt: skip
def chronic_diseases_were_there_before(code: str, condition: str) -> Said | None:
    """Hypertension, diabetes, old infarction, congenital malformation: none of them begins in the ward."""
    chronic = code.startswith(("I10", "E10", "E11", "I25.2", "Q"))
    return (code,) if chronic and condition == "4" else None


# -- coma, quality, signatures --------------------------------------------------------------------------------------------


def _clock(id: str, when: str) -> None:
    """Minutes of coma below 60, hours below 24: the rest belongs into the next box."""

    @relation(
        id, NOTE, about=FORM, clause="DE05.10.138.0x", mark=FROM_MEMORY,
        of=(f"coma_{when}_admission_hours", f"coma_{when}_admission_minutes"),
    )  # fmt: skip
    def is_carried_over(hours: str, minutes: str) -> tuple[str, str] | None:
        return (hours, minutes) if number(hours) >= 24 or number(minutes) >= 60 else None


_clock("FP-COMA-BEFORE", "before")
_clock("FP-COMA-AFTER", "after")


@rule(
    "FP-COMA-INJURY", NOTE, about=AGREES, clause="DE05.10.138.01", mark=FROM_MEMORY,
    needs=("coma_before_admission_hours", "main_diagnosis.code"), also=("other_diagnoses",),
)  # fmt: skip
def a_coma_of_head_injury_has_one(record: Record) -> Problem | None:
    """颅脑损伤患者昏迷时间 is for S06 and its neighbours (S01 to S09, T90)."""
    others = (row.get("code", "") for row in record.get("other_diagnoses", ()))
    injured = any(
        code.startswith(("S0", "T90", "T06", "T02", "T04")) for code in (record["main_diagnosis.code"], *others)
    )
    hours = record["coma_before_admission_hours"]
    return ("coma_before_admission_hours", hours) if number(hours) > 0 and not injured else None


@relation(
    "FP-COMA-STAY", WARN, about=LIKELY, clause="DE05.10.138.01", mark=FROM_MEMORY,
    of=("days_in_hospital", "coma_after_admission_days"),
)  # fmt: skip
def nobody_is_in_coma_longer_than_in_hospital(stayed: str, coma: str) -> Said | None:
    return (coma, stayed) if number(coma) > number(stayed) + 1 else None


@relation("FP-CODER", NOTE, about=ORDER, clause="rules.md 6", mark=SINGLE_SOURCE, of=(DISCHARGED, "coder.time"))
def a_page_is_coded_after_discharge(discharged: str, coded: str) -> Said | None:
    return (coded, discharged) if before(coded, discharged[:8]) else None


@relation(
    "FP-QUALITY-SELF",
    NOTE,
    about=LIKELY,
    clause="R-FP-4",
    mark=FROM_MEMORY,
    of=("resident_physician.id", "quality_physician.id"),
)
def nobody_checks_their_own_page(resident: str, quality: str) -> Said | None:
    return () if resident == quality else None


# -- traditional Chinese medicine -----------------------------------------------------------------------------------------


@relation(
    "FP-TCM-PREPARATION", NOTE, TCM, about=PRESENT, clause="DE06.00.243.00", mark=FROM_MEMORY,
    of=("tcm.institution_preparation",), also=("fee.herbs", "fee.chinese_patent_drugs"),
)  # fmt: skip
def preparations_used_were_paid_for(used: str, herbs: str, patent: str) -> Said | None:
    return () if used == "true" and number(herbs or "0") + number(patent or "0") == 0 else None


@relation(
    "FP-TCM-TECHNIQUE", NOTE, TCM, about=AGREES, clause="DE06.00.245.00", mark=FROM_MEMORY,
    of=("fee.tcm_treatment", "tcm.technique"),
)  # fmt: skip
def techniques_paid_for_were_used(paid: str, used: str) -> Said | None:
    return (paid,) if number(paid) > 0 and used == "false" else None
