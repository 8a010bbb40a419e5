"""Every rule: what it objects to, and what it lets pass."""

from datetime import date

import pytest

from frontend_agent.checks import compile_checks
from frontend_agent.checks.registry import all_rules
from frontend_agent.formats.library import load_kind
from frontend_agent.model import Finding, Record, Severity
from frontend_agent.profiles import load_profile
from tests.unit.records import clean, identity_number

TODAY = date(2026, 10, 1)
KINDS = ("C0002", "C0004", "C0007")


@pytest.fixture(scope="module")
def checks():
    return {
        (name, kind): compile_checks(load_kind(kind), load_profile(name), TODAY)
        for name in ("national", "regional")
        for kind in KINDS
    }


def found(checks, kind: str, record: Record, profile: str = "regional") -> dict[tuple[str, str], Finding]:
    return {(f.rule, f.field): f for f in checks[profile, kind](record)}


@pytest.mark.parametrize("profile", ["national", "regional"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_clean_record_has_no_finding(checks, profile, kind):
    assert checks[profile, kind](clean(kind)) == []


@pytest.mark.parametrize(
    ("rule", "field", "kind", "changed"),
    [
        # identity
        ("ID-CHECK-DIGIT", "patient.id_number", "C0007", {"patient__id_number": identity_number()[:-1] + "0"}),
        ("ID-SHAPE", "patient.id_number", "C0007", {"patient__id_number": "1234"}),
        ("ID-SHAPE", "patient.id_number", "C0002", {"patient__id_number": "99010019850312012x"}),
        ("ID-SHAPE", "patient.id_number", "C0002", {"patient__id_number": "９９" + identity_number()[2:]}),
        ("ID-FIFTEEN", "patient.id_number", "C0004", {"patient__id_number": "990100850312123"}),
        ("ID-REAL-DATE", "patient.id_number", "C0007", {"patient__id_number": identity_number("19850231")}),
        ("ID-REAL-DATE", "patient.id_number", "C0007", {"patient__id_number": identity_number("20261002"), "fact__birth_date": None}),
        ("ID-BIRTH-DATE", "fact.birth_date", "C0007", {"fact__birth_date": "19850313"}),
        ("ID-BIRTH-DATE", "patient.birth_date", "C0002", {"patient__birth_date": "19850313"}),
        ("ID-SEX", "patient.sex", "C0007", {"patient__sex": "2"}),
        ("ID-JUNK", "patient.id_number", "C0007", {"patient__id_number": "111111111111111111"}),
        ("ID-GUARDIAN", "patient.id_number", "C0007", {"fact__newborn": "true", "fact__birth_date": "20260929"}),
        ("ORG-CODE", "institution.id", "C0007", {"institution__id": "12345"}),
        ("ORG-CODE", "institution.id", "C0007", {"institution__id": "91350100M000100Y4Z"}),
        ("NUMBER-BLANKS", "report_number", "C0007", {"report_number": "R 1"}),
        ("NUMBER-BLANKS", "patient.outpatient_number", "C0002", {"patient__outpatient_number": "MZ\u30001"}),
        ("PHONE", "patient.telephone", "C0007", {"patient__telephone": "12345"}),
        # dates and age
        ("DATE-BIRTH-VISIT", "visit.time", "C0002", {"visit__time": "19030930090000"}),
        ("DATE-BIRTH-FUTURE", "fact.birth_date", "C0007", {"fact__birth_date": "20261002", "patient__id_number": None}),
        ("DATE-VISIT-RECORD", "visit.time", "C0002", {"visit__time": "20260930091501"}),
        ("DATE-DIAGNOSIS", "diagnoses[0].date", "C0007", {"diagnoses__0__date": "20261001"}),
        ("AGE-BIRTH-DATE", "patient.age", "C0007", {"patient__age": "30"}),
        ("AGE-RANGE", "patient.age", "C0007", {"patient__age": "131", "fact__birth_date": None}),
        # diagnoses
        ("DX-SHAPE", "diagnoses[0].code", "C0002", {"diagnoses__0__code": "高血压"}),
        ("DX-SHAPE", "diagnosis.code", "C0004", {"diagnosis__code": "J06,9"}),
        ("DX-TCM-SHAPE", "tcm_diseases[0].code", "C0002", {"tcm_diseases__0__code": "XX1"}),
        ("DX-TCM-SYNDROME", "tcm_syndromes[0].code", "C0002", {"tcm_syndromes__0__code": "BNS130"}),
        ("DX-DUPLICATE", "diagnoses[1].code", "C0002", {"diagnoses__1__code": "J00.x00"}),
        ("DX-EXTERNAL-FIRST", "diagnoses[0].code", "C0002", {"diagnoses__0__code": "W19.x00"}),
        ("DX-SEX", "diagnoses[0].code", "C0002", {"diagnoses__0__code": "O80.000"}),
        # laboratory
        ("LAB-ORDER", "items[3].received_at", "C0007", {"items__3__received_at": "20260930075959"}),
        ("LAB-ORDER", "items[0].tested_at", "C0007", {"items__0__tested_at": "20260929"}),
        ("LAB-ORDER", "items[0].collected_at", "C0007", {"author__time": "20260930075000"}),
        ("LAB-REQUEST-ORDER", "request.time", "C0007", {"request__time": "20260930103000"}),
        ("LAB-FLAG", "items[2].result_code", "C0007", {"items__2__value": "11.2"}),
        ("LAB-RANGE", "items[2].reference_range", "C0007", {"items__2__reference_range": "9.5-3.5"}),
        ("LAB-DUPLICATE", "items[2].code", "C0007", {"items__2__code": "WBC0"}),
        # prescription
        ("RX-QUANTITY", "drugs[0].total_dose", "C0004", {"drugs__0__total_dose": "-24"}),
        ("RX-QUANTITY", "drugs[0].dose", "C0004", {"drugs__0__dose": "0"}),
        ("RX-AMOUNT", "amount", "C0004", {"amount": "-25.60"}),
        ("RX-DATE", "prescribed_on", "C0004", {"prescribed_on": "20260929"}),
        ("RX-SIGNATURES", "issuing_pharmacist.time", "C0004", {"issuing_pharmacist__time": "20260930080000"}),
        ("RX-SAME-PERSON", "dispensing_pharmacist.id", "C0004", {"dispensing_pharmacist__id": "Pre"}),
        ("RX-DAYS", "valid_days", "C0004", {"valid_days": "0"}),
        ("RX-DUPLICATE", "drugs[1].name", "C0004", {"drugs": clean("C0004")["drugs"] * 2}),
        # visit
        ("ALLERGY-NAMED", "allergy.text", "C0002", {"allergy__text": None}),
        ("ALLERGY-NAMED", "allergy.text", "C0002", {"allergy__text": "无"}),
        ("ALLERGY-DENIED", "allergy.flag", "C0002", {"allergy__flag": "false"}),
        ("ORDER-DATES", "orders[0].end", "C0002", {"orders__0__end": "20260929000000"}),
        ("SIGNED-BEFORE-VISIT", "doctor.time", "C0002", {"doctor__time": "20260930080000"}),
        ("NAME-TEST", "patient.name", "C0002", {"patient__name": "测试123"}),
        ("NAME-DIGITS", "patient.name", "C0002", {"patient__name": "12345"}),
    ],
)  # fmt: skip
def test_a_rule_objects(checks, rule, field, kind, changed):
    findings = found(checks, kind, clean(kind, **changed))

    assert (rule, field) in findings
    assert findings[rule, field].severity is load_profile("regional").severity_of(rule)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        # other papers, and nobody's papers
        ("C0007", {"fact__id_type": "03", "patient__id_number": None}),
        ("C0007", {"fact__id_type": "03", "patient__id_number": "E12345678"}),
        ("C0002", {"fact__newborn": "true", "patient__id_number": None, "patient__age": "0", "fact__birth_date": "20260901",
                   "patient__birth_date": "20260901"}),
        ("C0004", {"fact__foreigner": "true", "patient__id_number": None}),
        ("C0004", {"fact__identity_unknown": "true", "patient__id_number": None}),
        ("C0002", {"patient__id_number": None, "patient__age": "4", "patient__birth_date": "20220301", "fact__birth_date": None}),
        # sexes that cannot disagree
        ("C0002", {"patient__sex": "9"}),
        ("C0002", {"patient__sex": "0"}),
        # day precision against time precision
        ("C0007", {"items__0__tested_at": "20260930"}),
        ("C0007", {"items__0__received_at": "20260930080000"}),
        # the year of birth counted whole
        ("C0007", {"patient__age": "42"}),
        # qualitative results, and what looks empty but is an answer
        ("C0007", {"items__0__value": None, "items__0__unit": None, "items__0__text_value": "-", "items__0__reference_range": "-"}),
        ("C0007", {"items__0__value": None, "items__0__unit": None, "items__0__text_value": "<0.01"}),
        ("C0007", {"items__0__value": "0", "items__0__result_code": "2"}),
        ("C0007", {"items__0__reference_range": "阴性"}),
        ("C0007", {"items__0__reference_range": None}),
        ("C0007", {"items__0__reference_range": "<10"}),
        ("C0002", {"allergy__flag": "false", "allergy__text": "否认药物及食物过敏史"}),
        ("C0002", {"allergy__flag": "false", "allergy__text": "无"}),
        ("C0002", {"present_illness": "WBC<4.0×10^9/L & PLT>300，\"自测\"。\n次日好转？"}),
        ("C0002", {"chief_complaint": "咳" * 100}),
        # codes met in the field
        *(("C0002", {"diagnoses__0__code": code}) for code in
          ("S06.902", "I10.x00x002", "I10", "J06.9", "A17.000+G01*", "M8010/3", "C34.900x001", "Z51.1", "A17.0+")),
        *(("C0002", {"tcm_diseases__0__code": code}) for code in ("BNS130", "A07.", "A04.03.01")),
        *(("C0002", {"tcm_syndromes__0__code": code}) for code in ("ZBUD90", "B07.", "B10.02.01")),
        # names are not judged by their alphabet
        *(("C0002", {"patient__name": name}) for name in ("José Müller", "买买提·艾力", "王小明之女", "Éléonore", "龑䶮", "A")),
        *(("C0007", {"patient__telephone": phone}) for phone in ("13800138000", "021-12345678", "0571 8888888", "+86 13800138000")),
    ],
)  # fmt: skip
def test_what_is_lawful_is_let_pass(checks, kind, changed):
    assert [f for f in checks["regional", kind](clean(kind, **changed)) if f.severity is not Severity.NOTE] == []


def test_no_rule_from_memory_holds_in_everyday_use():
    regional = load_profile("regional")
    for rule in all_rules().values():
        if rule.mark == "M":
            assert regional.severity_of(rule.id) is not Severity.HOLD, rule.id


def test_all_findings_come_at_once(checks):
    record = clean(
        "C0007", patient__sex="2", items__3__received_at="20260930075959", report_number=None, patient__name="张\ufffd"
    )
    rules = {rule for rule, _ in found(checks, "C0007", record)}

    assert {"ID-SEX", "LAB-ORDER", "DE-MISSING", "TEXT-MOJIBAKE"} <= rules


def test_a_finding_names_data_element_and_source_column_and_masks_the_value():
    check = compile_checks(load_kind("C0007"), load_profile("regional"), TODAY)
    record = clean("C0007", patient__id_number=identity_number()[:-1] + "0")
    [finding] = check(record, {"patient.id_number": "brxx.sfzh"})

    assert finding.data_element == "DE02.01.030.00"
    assert finding.column == "brxx.sfzh"
    assert finding.value == "990*************30"
    assert record["patient.id_number"] not in str(finding)


def test_what_the_mapping_left_out_is_not_missing_a_second_time(checks):
    record = clean("C0007", patient__sex=None, items__2__specimen=None)
    earlier = [
        Finding("MAP001", Severity.HOLD, field="patient.sex"),
        Finding("MAP001", Severity.HOLD, field="items[2].specimen"),
    ]
    check = checks["regional", "C0007"]

    assert {f.field for f in check(record)} == {"patient.sex", "items[2].specimen"}
    assert check(record, {}, earlier) == []


def test_the_day_moves_on():
    days = iter([date(2026, 10, 1), date(2026, 10, 1), date(2026, 10, 9)])
    check = compile_checks(load_kind("C0007"), load_profile("regional"), lambda: next(days))
    record = clean("C0007", encounter__time="20261005080000", author__time="20261005090000")

    assert [[f.rule for f in check(record)].count("DATE-FUTURE") for _ in range(3)] == [2, 2, 0]


def test_tomorrow_is_let_pass_for_clocks_that_are_off(checks):
    assert checks["regional", "C0007"](clean("C0007", author__time="20261002000000")) == []


def test_an_order_may_be_planned_for_the_future(checks):
    assert checks["regional", "C0002"](clean("C0002", orders__0__end="20270101000000")) == []
