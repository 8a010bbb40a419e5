"""The faults real data carry, planted on purpose and written down, so that an oracle can tell found from missed.

A fault is one change to a person, a visit, a prescription or a report before its rows are written. Each names the fields
it spoils, the rules of which at least one must speak up, the rules that may also speak (a value that cannot be read is
missing as well), and whether the record must be held. What only looks odd is planted too: a rule that complains there
is wrong.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .examinations import SPOILING
from .inpatients import Stay
from .laboratory import Report
from .persons import Person, check_digit, identity_number
from .prescriptions import Prescription
from .rhythm import Calendar
from .visits import Visit

VISIT, PRESCRIPTION, REPORT, ADMISSION, FRONT_PAGE = "C0002", "C0004", "C0007", "C0034", "C0032"
EXAM = "C0006"  # of people in whose own data nothing is wrong: the radiology department asks for papers
ALL = (VISIT, PRESCRIPTION, REPORT, ADMISSION, FRONT_PAGE)


@dataclass(frozen=True)
class Fault:
    """One planted fault. `fields` are prefixes of the field names a finding may carry."""

    name: str
    kinds: tuple[str, ...]
    fields: tuple[str, ...]
    apply: Callable[..., None] = field(compare=False)
    hold: bool = True
    share: int = 10
    fits: Callable[..., bool] = field(default=lambda _: True, compare=False)  # whom it can be planted in


# -- in the person's own data: every record of theirs carries it -----------------------------------------------------


def _wrong_check_digit(person: Person, rng: random.Random) -> None:
    good = person.id_number[-1]
    person.id_number = person.id_number[:-1] + rng.choice([c for c in "0123456789X" if c != good])


def _birth_date_against_number(person: Person, rng: random.Random) -> None:
    assert person.birth is not None
    number = identity_number(rng, person.birth - timedelta(days=rng.randrange(40, 700)), person.sex)
    person.id_number = number


def _sex_against_number(person: Person, rng: random.Random) -> None:
    assert person.birth is not None
    person.id_number = identity_number(rng, person.birth, "2" if person.sex == "1" else "1")


def _junk_number(person: Person, rng: random.Random) -> None:
    person.id_number = rng.choice("123456789") * 17 + "0"
    if check_digit(person.id_number[:17]) == "0":
        person.id_number = person.id_number[:17] + "5"


def _no_name(person: Person, rng: random.Random) -> None:
    person.name = ""


def _unmapped_sex(person: Person, rng: random.Random) -> None:
    person.sex_text = rng.choice(("男性（术后）", "7", "W"))


def _mojibake_name(person: Person, rng: random.Random) -> None:
    garbled = mojibake(person.name)
    # Too little of a short name may be left to tell it from a typing error; the other way to lose it leaves its hallmark.
    telling = sum(character >= "\xa0" for character in garbled) >= 3 and not any(
        c.isascii() and c != "?" for c in garbled
    )
    person.name = garbled if telling else person.name[:1] + "锟斤拷"


def mojibake(text: str) -> str:
    """GBK bytes read as Latin-1, the way a wrong client encoding stores them."""
    return text.encode("gb18030").decode("latin-1").translate(_C1_TO_QUESTION)


# C1 controls never survive the trip through a form: they come out as question marks.
_C1_TO_QUESTION = dict.fromkeys(range(128, 160), "?")

PERSON_FAULTS = (
    Fault("wrong_check_digit", ALL, ("patient.id_number",), _wrong_check_digit, share=30),
    Fault("birth_date_against_number", ALL, ("patient.birth_date", "patient.id_number", "fact.birth_date"), _birth_date_against_number, share=20),
    Fault("sex_against_number", ALL, ("patient.sex", "patient.id_number"), _sex_against_number, share=15),
    Fault("junk_number", ALL, ("patient.id_number",), _junk_number, share=8),
    Fault("missing_name", ALL, ("patient.name",), _no_name, share=8),
    Fault("unmapped_sex", ALL, ("patient.sex",), _unmapped_sex, share=10),
    Fault("mojibake_name", ALL, ("patient.name",), _mojibake_name, share=9),
)  # fmt: skip


# -- in a visit ------------------------------------------------------------------------------------------------------


def _no_complaint(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.record["zs"] = ""


def _no_present_illness(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.record["xbs"] = None


def _no_signature(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.record["qmys"] = ""
    visit.record["qmsj"] = ""


def _long_complaint(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.record["zs"] = "；".join([visit.record["xbs"]] * 2)[:180]
    if len(visit.record["zs"]) <= 100:
        visit.record["zs"] = visit.record["zs"].ljust(130, "。")


def _long_allergy(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.record["gmbz"] = "1"
    visit.record["gms"] = "患者自述对多种药物及食物过敏，" * 8


def _mojibake_complaint(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.record["zs"] = mojibake(visit.record["zs"])


def _kuntangkao(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    history = visit.record["jws"]
    visit.record["jws"] = history[:12] + "锟斤拷锟斤拷" + history[18:]


def _unmapped_order_type(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    rng.choice(visit.orders)["yzlx"] = rng.choice(("KF", "PG", "XL"))


def _order_ends_first(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    order = rng.choice(visit.orders)
    order["jhjssj"] = calendar.stamp(calendar.seconds(order["jhkssj"]) - 3600 * rng.randrange(1, 60))


def _impossible_time(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.record["jzsj"] = visit.record["jzsj"][:5] + "13-" + visit.record["jzsj"][8:]


def _diagnosis_without_code(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.diagnoses[0]["zddm"] = ""


def _diagnosis_code_shape(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.diagnoses[0]["zddm"] = rng.choice(("高血压", "10.900", "J06,9", "ZD00123"))


def _seen_before_birth(visit: Visit, calendar: Calendar, rng: random.Random) -> None:
    visit.record["jzsj"] = "1903" + visit.record["jzsj"][4:]


VISIT_FAULTS = (
    Fault("missing_complaint", (VISIT,), ("chief_complaint",), _no_complaint),
    Fault("missing_present_illness", (VISIT,), ("present_illness",), _no_present_illness),
    Fault("missing_signature", (VISIT,), ("doctor.",), _no_signature, share=12),
    Fault("overlong_complaint", (VISIT,), ("chief_complaint",), _long_complaint),
    Fault("overlong_allergy", (VISIT,), ("allergy.text",), _long_allergy, share=5),
    Fault("mojibake_complaint", (VISIT,), ("chief_complaint",), _mojibake_complaint),
    Fault("mojibake_history", (VISIT,), ("past_history",), _kuntangkao, share=6),
    Fault("unmapped_order_type", (VISIT,), ("orders",), _unmapped_order_type, share=14),
    Fault("order_ends_before_start", (VISIT,), ("orders",), _order_ends_first, hold=False, share=8),
    Fault("impossible_visit_time", (VISIT,), ("visit.time",), _impossible_time, share=6),
    Fault("diagnosis_without_code", (VISIT,), ("diagnoses",), _diagnosis_without_code, share=10),
    Fault("diagnosis_code_shape", (VISIT,), ("diagnoses",), _diagnosis_code_shape, hold=False, share=6),
    Fault("seen_before_birth", (VISIT,), ("visit.time", "patient.birth_date", "patient.age"), _seen_before_birth, share=4),
)  # fmt: skip


# -- in a prescription -----------------------------------------------------------------------------------------------


def _unmapped_route(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    rng.choice(prescription.lines)["yf"] = rng.choice(("WHXR", "GYZS", "BTGY"))


def _unmapped_form(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    rng.choice(prescription.lines)["jx"] = rng.choice(("QT", "YPJ"))


def _no_dose(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    rng.choice(prescription.lines)["yl"] = ""


def _dose_in_words(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    rng.choice(prescription.lines)["yl"] = rng.choice(("适量", "1-2", "半"))


def _no_reviewer(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    prescription.record["shys"] = ""
    prescription.record["shsj"] = ""


def _no_diagnosis(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    prescription.record["zddm"] = ""
    prescription.record["zdmc"] = ""


def _long_specification(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    line = rng.choice(prescription.lines)
    line["gg"] = f"{line['gg']}/盒（集采中选，外包装改版，旧批号同价）"


def _mojibake_note(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    prescription.record["cfbz"] = mojibake("饭后服用，忌酒")


def _issued_before_written(prescription: Prescription, calendar: Calendar, rng: random.Random) -> None:
    prescription.record["fysj"] = calendar.stamp(max(0, calendar.seconds(prescription.record["kfsj"]) - 5400))


PRESCRIPTION_FAULTS = (
    Fault("unmapped_route", (PRESCRIPTION,), ("drugs",), _unmapped_route, share=16),
    Fault("unmapped_form", (PRESCRIPTION,), ("drugs",), _unmapped_form),
    Fault("missing_dose", (PRESCRIPTION,), ("drugs",), _no_dose, share=12),
    Fault("dose_in_words", (PRESCRIPTION,), ("drugs",), _dose_in_words, share=6),
    Fault("missing_review", (PRESCRIPTION,), ("review_pharmacist.",), _no_reviewer, share=12),
    Fault("missing_prescription_diagnosis", (PRESCRIPTION,), ("diagnosis.",), _no_diagnosis),
    Fault("overlong_specification", (PRESCRIPTION,), ("drugs",), _long_specification, share=8),
    Fault("mojibake_note", (PRESCRIPTION,), ("note",), _mojibake_note, share=6),
    Fault("issued_before_written", (PRESCRIPTION,), ("issuing_pharmacist.", "author.time", "prescribed_on"), _issued_before_written, hold=False, share=8),
)  # fmt: skip


# -- in a report -----------------------------------------------------------------------------------------------------


def _reported_before_collected(report: Report, calendar: Calendar, rng: random.Random) -> None:
    collected = report.record["cysj"]
    text = f"{collected[:4]}-{collected[4:6]}-{collected[6:8]} {collected[8:10]}:{collected[10:12]}:{collected[12:]}"
    early = calendar.stamp(max(0, calendar.seconds(text) - 600 - rng.randrange(7200)))
    report.record["bgsj"] = early
    report.record["shsj"] = early


def _received_before_collected(report: Report, calendar: Calendar, rng: random.Random) -> None:
    report.record["cysj"], report.record["jssj"] = report.record["jssj"], report.record["cysj"]


def _no_report_reviewer(report: Report, calendar: Calendar, rng: random.Random) -> None:
    report.record["shys"] = ""
    report.record["shsj"] = ""


def _no_specimen(report: Report, calendar: Calendar, rng: random.Random) -> None:
    report.record["bblx"] = ""


def _no_specimen_number(report: Report, calendar: Calendar, rng: random.Random) -> None:
    report.record["tmh"] = None


def _empty_result(report: Report, calendar: Calendar, rng: random.Random) -> None:
    rng.choice(report.items)["jg"] = ""


def _unmapped_flag(report: Report, calendar: Calendar, rng: random.Random) -> None:
    rng.choice(report.items)["ycbz"] = rng.choice(("★", "异", "9"))


def _unmapped_patient_type(report: Report, calendar: Calendar, rng: random.Random) -> None:
    report.record["brly"] = rng.choice(("TJ2", "WY"))


def _long_conclusion(report: Report, calendar: Calendar, rng: random.Random) -> None:
    report.record["bgjg"] = "本次结果与历史结果比较差异较大，已复核，请结合临床。" * 9


def _mojibake_conclusion(report: Report, calendar: Calendar, rng: random.Random) -> None:
    report.record["bgjg"] = mojibake("本次检验各项结果均在参考区间内")


def _impossible_collection(report: Report, calendar: Calendar, rng: random.Random) -> None:
    report.record["cysj"] = report.record["cysj"][:8] + "256100"


def _no_unit(report: Report, calendar: Calendar, rng: random.Random) -> None:
    with_unit = [row for row in report.items if row["dw"]] or report.items
    rng.choice(with_unit)["dw"] = ""


REPORT_FAULTS = (
    Fault("reported_before_collected", (REPORT,), ("author.time", "reviewer.time", "items"), _reported_before_collected, share=16),
    Fault("received_before_collected", (REPORT,), ("items",), _received_before_collected, share=10),
    Fault("missing_reviewer", (REPORT,), ("reviewer.",), _no_report_reviewer, share=12),
    Fault("missing_specimen", (REPORT,), ("items",), _no_specimen, share=8),
    Fault("missing_specimen_number", (REPORT,), ("specimen_number",), _no_specimen_number, share=6),
    Fault("missing_result", (REPORT,), ("items",), _empty_result, share=12),
    Fault("unmapped_flag", (REPORT,), ("items",), _unmapped_flag, share=8),
    Fault("unmapped_patient_type", (REPORT,), ("patient.type",), _unmapped_patient_type, share=6),
    Fault("overlong_conclusion", (REPORT,), ("report_result",), _long_conclusion, share=8),
    Fault("mojibake_conclusion", (REPORT,), ("report_result",), _mojibake_conclusion, share=8),
    Fault("impossible_collection_time", (REPORT,), ("items",), _impossible_collection, share=6),
)  # fmt: skip


# -- in an admission record ------------------------------------------------------------------------------------------


def _no_admission_complaint(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.admission["zs"] = ""


def _no_attending_physician(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.admission["zzys"] = ""


def _fever_of_a_stove(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.admission["tw"] = rng.choice(("367", "63.7", "3.7"))


def _pressures_exchanged(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.admission["ssy"], stay.admission["szy"] = stay.admission["szy"], stay.admission["ssy"]


def _written_late(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    late = calendar.stamp(stay.admitted_at + 86_400 + 3600 * rng.randrange(2, 40))
    stay.admission.update(jlsj=late, qmsj=late, xgsj=late)


ADMISSION_FAULTS = (
    Fault("missing_admission_complaint", (ADMISSION,), ("chief_complaint",), _no_admission_complaint),
    Fault("missing_attending_physician", (ADMISSION,), ("attending_physician.",), _no_attending_physician, hold=False),
    Fault("impossible_temperature", (ADMISSION,), ("temperature",), _fever_of_a_stove, hold=False),
    Fault("pressures_exchanged", (ADMISSION,), ("systolic", "diastolic"), _pressures_exchanged, hold=False),
    Fault("admission_record_late", (ADMISSION,), ("author.time", "resident_physician.", "attending_physician.", "chief_physician.", "receiving_physician."), _written_late, hold=False),
)  # fmt: skip


# -- on a front page -------------------------------------------------------------------------------------------------


def _fees_do_not_add_up(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.page["zfy"] = f"{float(stay.page['zfy']) + rng.randrange(1, 900):.2f}"


def _antibiotics_over_drugs(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.page["kjyw"] = f"{float(stay.page['xyf']) + rng.randrange(1, 200):.2f}"


def _days_wrong(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.page["zyts"] += rng.choice((-2, 3, 11))


def _no_main_diagnosis(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.diagnoses[:] = [row for row in stay.diagnoses if row["zdlx"] != "ZY"]


def _diagnosis_repeated(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    main = stay.diagnoses[0]
    stay.diagnoses[1].update(zddm=main["zddm"], zdmc=main["zdmc"])


def _diagnosis_of_the_other_sex(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    code, name = ("N40.x00", "前列腺增生") if stay.person.sex == "2" else ("N83.200", "卵巢囊肿")
    stay.diagnoses[1].update(zddm=code, zdmc=name)


def _operated_after_discharge(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.operations[0]["ssrq"] = calendar.stamp(stay.discharged_at + 86_400 * 2)


def _injury_without_cause(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.page.update(wbyybm="", wbyymc="")


def _blood_without_group(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.page["xf"] = "880.00"
    stay.page["zfy"] = f"{float(stay.page['zfy']) + 880:.2f}"
    stay.page["rh"] = "未查"


def _unmapped_discharge_mode(stay: Stay, calendar: Calendar, rng: random.Random) -> None:
    stay.page["lyfs"] = rng.choice(("自动出院", "转科"))


FRONT_PAGE_FAULTS = (
    Fault("fees_do_not_add_up", (FRONT_PAGE,), ("fee.",), _fees_do_not_add_up, share=20),
    Fault("antibiotics_over_drugs", (FRONT_PAGE,), ("fee.",), _antibiotics_over_drugs, hold=False),
    Fault("days_in_hospital_wrong", (FRONT_PAGE,), ("days_in_hospital",), _days_wrong, hold=False),
    Fault("missing_main_diagnosis", (FRONT_PAGE,), ("main_diagnosis.",), _no_main_diagnosis),
    Fault("diagnosis_repeated", (FRONT_PAGE,), ("other_diagnoses",), _diagnosis_repeated, hold=False),
    Fault("diagnosis_of_the_other_sex", (FRONT_PAGE,), ("other_diagnoses",), _diagnosis_of_the_other_sex, hold=False),
    Fault("operated_after_discharge", (FRONT_PAGE,), ("operations",), _operated_after_discharge, hold=False, fits=lambda stay: bool(stay.operations)),
    Fault("injury_without_cause", (FRONT_PAGE,), ("external_cause.",), _injury_without_cause, hold=False, fits=lambda stay: stay.illness.external is not None, share=30),
    Fault("blood_without_group", (FRONT_PAGE,), ("rh", "abo"), _blood_without_group, hold=False),
    Fault("unmapped_discharge_mode", (FRONT_PAGE,), ("discharge_mode",), _unmapped_discharge_mode),
)  # fmt: skip


# -- in the report of an examination ---------------------------------------------------------------------------------

EXAM_FAULTS = tuple(
    Fault(name, (EXAM,), fields, apply, hold=hold, share=share) for name, fields, apply, hold, share in SPOILING
)


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        *PERSON_FAULTS, *VISIT_FAULTS, *PRESCRIPTION_FAULTS, *REPORT_FAULTS, *ADMISSION_FAULTS, *FRONT_PAGE_FAULTS,
        *EXAM_FAULTS,
    )
}  # fmt: skip


def pick(rng: random.Random, faults: Sequence[Fault]) -> Fault:
    """One of them, by their shares."""
    return rng.choices(faults, weights=[fault.share for fault in faults])[0]


# -- lawful oddities: nothing may be found here ------------------------------------------------------------------------


def odd_visit(visit: Visit, rng: random.Random) -> str:
    """Something a careless rule would stumble over."""
    match rng.randrange(4):
        case 0:
            visit.record["xbs"] = visit.record["xbs"][:60] + ' WBC<4.0×10^9/L & PLT>300，"自测"。'
            return "markup_characters"
        case 1:
            visit.record["jws"] = visit.record["jws"].replace("；", "；\r\n")
            return "line_breaks"
        case 2:
            visit.record["zs"] = (visit.record["zs"] + "，" + visit.record["xbs"]).ljust(100, "。")[:100]
            return "exactly_at_the_limit"
        case _:
            visit.record["tgjc"] = " " + visit.record["tgjc"].replace("，", "， ") + "  "
            return "blanks_around"


def odd_report(report: Report, rng: random.Random) -> str:
    """Results that are no plain number, and a range that is missing."""
    match rng.randrange(4):
        case 0:
            row = rng.choice(report.items)
            row.update(jg="<0.01", ycbz="N")
            return "below_detection"
        case 1:
            rng.choice(report.items)["ckfw"] = ""
            return "no_reference_range"
        case 2:
            report.record["jssj"] = report.record["cysj"]
            return "received_when_collected"
        case _:
            row = rng.choice(report.items)
            row.update(jg="0", ycbz="L")
            return "result_zero"


Planted = dict[str, Any]


def planted(kind: str, key: str, fault: Fault) -> Planted:
    """What planted.json says of one fault."""
    return {"kind": kind, "key": key, "fault": fault.name, "fields": list(fault.fields), "hold": fault.hold}
