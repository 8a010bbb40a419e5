"""What follows from the declaration: presence, format, length, value domain, plausible dates, hygiene, placeholders."""

from datetime import date

import pytest

from frontend_agent.checks import compile_checks
from frontend_agent.checks.derived import is_day, is_time_of_day
from frontend_agent.checks.hygiene import is_mojibake, looks_clean, problems_of
from frontend_agent.checks.masking import how_to_mask, mask, mask_local_code, mask_unreadable
from frontend_agent.formats.library import load_kind
from frontend_agent.model import Finding, Record, Severity
from frontend_agent.profiles import load_profile
from tests.unit.records import clean

TODAY = date(2026, 10, 1)


@pytest.fixture(scope="module")
def checks():
    return {
        (name, kind): compile_checks(load_kind(kind), load_profile(name), TODAY)
        for name in ("national", "regional")
        for kind in ("C0002", "C0004", "C0007")
    }


def found(checks, kind: str, record: Record, profile: str = "regional") -> list[Finding]:
    return checks[profile, kind](record)


def said(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(f.rule, f.field, f.severity.value) for f in findings]


@pytest.mark.parametrize(
    ("kind", "changed", "expected"),
    [
        ("C0007", {"patient__name": None}, ("DE-MISSING", "patient.name", "hold")),
        ("C0007", {"items": None}, ("DE-MISSING", "items", "hold")),
        ("C0007", {"items": []}, ("DE-MISSING", "items", "hold")),
        ("C0007", {"items__5__code": None}, ("DE-MISSING", "items[5].code", "hold")),
        ("C0007", {"items__5__unit": None}, ("DE-MISSING", "items[5].unit", "note")),
        ("C0007", {"items__5__value": None, "items__5__unit": None}, ("DE-ONE-OF", "items[5].value", "hold")),
        ("C0007", {"patient__outpatient_number": None}, ("DE-MISSING", "patient.outpatient_number", "hold")),
        ("C0007", {"patient__outpatient_number": None, "fact__patient_class": "inpatient", "patient__type": "3"},
         ("DE-MISSING", "patient.inpatient_number", "hold")),
        ("C0007", {"patient__outpatient_number": None, "fact__patient_class": None, "patient__type": "9"},
         ("DE-ONE-OF", "patient.outpatient_number", "hold")),
        ("C0007", {"author__time": "20260931101500"}, ("DE-FORMAT", "author.time", "hold")),
        ("C0007", {"author__time": "20260930251500"}, ("DE-FORMAT", "author.time", "hold")),
        ("C0007", {"author__time": "yesterday"}, ("DE-FORMAT", "author.time", "hold")),
        ("C0007", {"author__time": "20260930"}, ("DE-PRECISION", "author.time", "warn")),
        ("C0007", {"author__time": "202609301015"}, ("DE-PRECISION", "author.time", "warn")),
        ("C0007", {"encounter__time": "18991231000000", "fact__birth_date": None}, ("DATE-EARLY", "encounter.time", "warn")),
        ("C0007", {"author__time": "20261003000000"}, ("DATE-FUTURE", "author.time", "warn")),
        ("C0007", {"items__1__value": "5,6"}, ("DE-FORMAT", "items[1].value", "hold")),
        ("C0007", {"items__1__value": "<0.5"}, ("DE-FORMAT", "items[1].value", "hold")),
        ("C0007", {"items__1__value": "1e5"}, ("DE-FORMAT", "items[1].value", "hold")),
        ("C0007", {"items__1__value": "12345678.901", "items__1__result_code": "2"}, ("DE-LENGTH", "items[1].value", "hold")),
        ("C0007", {"items__1__unit": "x" * 21}, ("DE-LENGTH", "items[1].unit", "hold")),
        ("C0007", {"report_number": "R" * 21}, ("DE-LENGTH", "report_number", "hold")),
        ("C0007", {"patient__sex": "男"}, ("DE-CODE", "patient.sex", "hold")),
        ("C0007", {"items__1__result_code": "7"}, ("DE-CODE", "items[1].result_code", "hold")),
        ("C0007", {"fact__patient_class": "ward"}, ("DE-CODE", "fact.patient_class", "hold")),
        ("C0002", {"allergy__flag": "有"}, ("DE-FORMAT", "allergy.flag", "hold")),
        ("C0002", {"present_illness": "咳" * 101}, ("DE-LENGTH", "present_illness", "warn")),
        ("C0002", {"chief_complaint": "咳" * 101}, ("DE-LENGTH", "chief_complaint", "hold")),
        ("C0002", {"diagnoses": None, "tcm_diseases": None, "tcm_syndromes": None, "fact__tcm": None},
         ("DE-ONE-OF", "diagnoses", "hold")),
        ("C0004", {"drugs__0__dose": "适量"}, ("DE-FORMAT", "drugs[0].dose", "hold")),
        ("C0004", {"drugs__0__dose": None, "drugs__0__dose_unit": None}, ("DE-MISSING", "drugs[0].dose", "hold")),
        ("C0004", {"drugs__0__frequency": None}, ("DE-ONE-OF", "drugs[0].frequency", "warn")),
        ("C0007", {f"reviewer__{part}": None for part in ("time", "id", "name")}, ("DE-MISSING", "reviewer.name", "hold")),
        ("C0007", {"reviewer__id": None}, ("DE-MISSING", "reviewer.id", "warn")),
        ("C0007", {"laboratory_doctor__id": None}, ("DE-MISSING", "laboratory_doctor.id", "warn")),
        ("C0004", {"review_pharmacist__name": None}, ("DE-MISSING", "review_pharmacist.name", "hold")),
        ("C0004", {"group_number": "一"}, ("DE-FORMAT", "group_number", "hold")),
    ],
)  # fmt: skip
def test_what_the_declaration_asks_for_and_the_profile_weighs(checks, kind, changed, expected):
    assert expected in said(found(checks, kind, clean(kind, **changed)))


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("C0002", {"fact__tcm": None, "tcm__observation": None, "tcm_diseases": None, "tcm_syndromes": None}),
        ("C0007", {"fact__patient_class": "inpatient", "patient__type": "3", "patient__outpatient_number": None, "patient__inpatient_number": "ZY1"}),
        ("C0007", {f"laboratory_doctor__{part}": None for part in ("time", "id", "name")}),
        ("C0004", {f"{who}_pharmacist__{part}": None for who in ("checking", "issuing") for part in ("time", "id", "name")}),
        ("C0004", {"drugs__0__frequency": None, "drugs__0__frequency_text": "prn"}),
        ("C0002", {"orders": None}),
        ("C0002", {"allergy__flag": None, "allergy__text": None}),
        ("C0002", {"request_number": None}),
    ],
)  # fmt: skip
def test_what_does_not_apply_is_not_asked_for(checks, kind, changed):
    assert found(checks, kind, clean(kind, **changed)) == []


def test_the_strict_profile_holds_what_the_everyday_one_lets_pass(checks):
    record = clean("C0002", orders=None)

    assert found(checks, "C0002", record) == []
    assert said(found(checks, "C0002", record, "national")) == [("DE-MISSING", "orders", "hold")]


def test_diagnosis_codes_are_not_held_to_the_printed_five_characters(checks):
    assert found(checks, "C0002", clean("C0002", diagnoses__0__code="I10.x00x002"), "national") == []


@pytest.mark.parametrize("text", ["-", "无", "不详", "NULL", "/", "0000-00-00"])
def test_a_placeholder_counts_as_missing_and_is_shown(checks, text):
    [finding] = found(checks, "C0007", clean("C0007", patient__name=text))

    assert (finding.rule, finding.field, finding.value) == ("DE-MISSING", "patient.name", text)


def test_a_placeholder_nobody_asked_for_is_noted(checks):
    [finding] = found(checks, "C0007", clean("C0007", encounter__bed_id="-"))

    assert (finding.rule, finding.field, finding.severity, finding.value) == (
        "TEXT-PLACEHOLDER",
        "encounter.bed_id",
        Severity.NOTE,
        "-",
    )


def test_a_placeholder_that_the_profile_lists_is_an_answer(checks):
    assert found(checks, "C0002", clean("C0002", past_history="无")) == []
    assert said(found(checks, "C0002", clean("C0002", chief_complaint="无"))) == [
        ("DE-MISSING", "chief_complaint", "hold")
    ]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("张\x00三", "TEXT-CONTROL"),
        ("张\x0b三", "TEXT-CONTROL"),
        ("张\ud800三", "TEXT-CONTROL"),
        ("张\uffff三", "TEXT-CONTROL"),
        ("张\x85三", "TEXT-MOJIBAKE"),
        ("张\ufffd", "TEXT-MOJIBAKE"),
        ("锟斤拷锟斤拷", "TEXT-MOJIBAKE"),
        ("ÕÅÈý", "TEXT-MOJIBAKE"),
        ("寮犱笁", "TEXT-MOJIBAKE"),
        ("å¼\xa0ä¸?", "TEXT-MOJIBAKE"),
        ("张??", "TEXT-QUESTION-MARKS"),
        ("<b>张三</b>", "TEXT-HTML"),
        ("张&nbsp;三", "TEXT-HTML"),
        ("张\ue123", "TEXT-PRIVATE-USE"),
    ],
)
def test_text_hygiene_in_any_text(checks, text, rule):
    for kind, field in (
        ("C0007", "patient__name"),
        ("C0007", "items__7__name"),
        ("C0002", "past_history"),
        ("C0004", "note"),
    ):
        rules = {f.rule for f in found(checks, kind, clean(kind, **{field: text}))}
        assert rule in rules, field


MISREAD = (
    "张三",
    "欧阳娜娜",
    "王小明",
    "反复咳嗽、咳痰3天，加重1天",
    "饭后服用，忌酒",
    "本次检验各项结果均在参考区间内",
)
C1_LOST = dict.fromkeys(range(128, 160), "?")


@pytest.mark.parametrize("text", MISREAD)
def test_every_usual_misreading_is_recognised(text):
    misreadings = (
        text.encode("gb18030").decode("latin-1").translate(C1_LOST),
        text.encode("utf-8").decode("latin-1").translate(C1_LOST),
        text.encode("utf-8").decode("gbk", "replace"),
        text.encode("utf-8").decode("gbk", "replace").replace("\ufffd", "?"),
        text.encode("gb18030").decode("utf-8", "replace"),
    )
    for misread in misreadings:
        assert is_mojibake(misread), misread
        assert not looks_clean(misread), misread
    assert not is_mojibake(text)


@pytest.mark.parametrize(
    "text",
    ["José Müller", "Éléonore", "联通", "38.5℃", "10×10^9/L ±2", "龑䶮", "Ðặng", "WBC<4.0 & PLT>300", "α-干扰素", "Ⅲ°"],
)
def test_unusual_text_is_not_garbled(text):
    assert not is_mojibake(text)
    assert list(problems_of(text)) == []


@pytest.mark.parametrize(
    ("text", "yes"),
    [("20240229", True), ("20230229", False), ("20000229", True), ("19000229", False), ("20261301", False),
     ("20260431", False), ("00000101", False), ("2026010", False), ("２０２６０１０１", False)],
)  # fmt: skip
def test_days_of_the_calendar(text, yes):
    assert is_day(text) is yes


@pytest.mark.parametrize(
    ("text", "yes"),
    [("0815", True), ("235959", True), ("240000", False), ("086000", False), ("081560", False), ("08", False)],
)
def test_times_of_day(text, yes):
    assert is_time_of_day(text) is yes


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("patient.id_number", "990100198503121232", "990*************32"),
        ("patient.telephone", "13800138000", "138******00"),
        ("patient.outpatient_number", "MZ001", "[5]"),
        ("patient.name", "张三丰", "张**"),
        ("patient.name", "欧阳修", "欧阳*"),
        ("patient.name", "李", "李*"),
        ("doctor.name", "王医生", "王**"),
        ("orders.performer_name", "赵护士", "赵**"),
        ("department.name", "内科", "[2]"),
        ("chief_complaint", "咳嗽三天", "[4]"),
    ],
)
def test_masking(field, value, shown):
    assert mask(value, how_to_mask(field)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("男", "男"), ("M54.503", "M54.503"), ("20260930", "20260930"), ("990100198503121232", "990*************32"),
     ("13800138000", "138******00"), ("20260930081500", "20260930081500"), ("患者家住解放路十二号", "[10]")],
)  # fmt: skip
def test_a_local_code_is_shown_but_not_what_only_stands_in_its_place(value, shown):
    assert mask_local_code(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2026-13-45", "2026-13-45"), ("欧阳娜娜", "汉汉汉汉"), ("1-2", "9-9"), ("适量", "汉汉"), ("x" * 40, "[40]")],
)
def test_an_unreadable_value_shows_its_shape(value, shown):
    assert mask_unreadable(value) == shown
