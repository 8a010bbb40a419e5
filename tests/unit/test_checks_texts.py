"""The rules as people read them: every rule has its texts in both languages, and a finding is a sentence without a patient in it."""

import re
import tomllib
from datetime import date
from importlib import resources

import pytest

from frontend_agent.checks import all_rules, compile_checks, describe, rules_catalogue, rules_digest
from frontend_agent.checks.catalogue import texts, title_of, who_must_act
from frontend_agent.formats.library import load_kind
from frontend_agent.model import Finding, Severity
from frontend_agent.profiles import load_profile
from tests.unit.records import clean, identity_number

WRITTEN = tomllib.loads(resources.files("frontend_agent.checks").joinpath("texts.toml").read_text(encoding="utf-8"))
TEXTS = texts()


def test_every_rule_has_its_texts_and_every_text_its_rule():
    assert set(TEXTS) == set(all_rules())
    families = {rule_id for rule_id in WRITTEN if rule_id.startswith("@")}
    assert families == {entry["like"] for entry in WRITTEN.values() if "like" in entry}
    for rule_id, entry in TEXTS.items():
        assert entry["who"] in ("hospital", "mapping", "vendor", "makers", "nobody"), rule_id
        for lang in ("zh", "en"):
            assert set(entry[lang]) == {"title", "says", "mend"}, rule_id
            assert all(text.strip() for text in entry[lang].values()), rule_id
        placeholders = [set(re.findall(r"\{\w+\}", entry[lang]["says"])) for lang in ("zh", "en")]
        assert placeholders[0] == placeholders[1], rule_id
        assert not re.search(r"[\u4e00-\u9fff]", entry["en"]["says"] + entry["en"]["title"] + entry["en"]["mend"]), (
            rule_id
        )


def test_rule_ids_never_change():
    """Ids are in logs, in profiles of regions and in people's heads. One may be added here, none removed or renamed."""
    assert set(all_rules()) >= {
        "MAP001", "MAP002", "MAP003", "MAP004", "AGT001", "AGT002", "AGT003", "DE-MISSING", "DE-ONE-OF", "DE-FORMAT", "DE-PRECISION", "DE-LENGTH", "DE-CODE",
        "DATE-EARLY", "DATE-FUTURE", "TEXT-CONTROL", "TEXT-MOJIBAKE", "TEXT-QUESTION-MARKS", "TEXT-HTML", "TEXT-PRIVATE-USE",
        "TEXT-PLACEHOLDER", "ABSENT", "ID-SHAPE", "ID-CHECK-DIGIT", "ID-FIFTEEN", "ID-REAL-DATE", "ID-BIRTH-DATE", "ID-SEX", "ID-JUNK",
        "ID-GUARDIAN", "ORG-CODE", "NUMBER-BLANKS", "PHONE", "DATE-BIRTH-VISIT", "DATE-BIRTH-FUTURE", "DATE-VISIT-RECORD",
        "DATE-DIAGNOSIS", "AGE-BIRTH-DATE", "AGE-RANGE", "DX-SHAPE", "DX-TCM-SHAPE", "DX-DUPLICATE", "DX-EXTERNAL-FIRST", "DX-SEX",
        "LAB-ORDER", "LAB-REQUEST-ORDER", "LAB-FLAG", "LAB-RANGE", "LAB-DUPLICATE", "RX-QUANTITY", "RX-AMOUNT", "RX-DATE",
        "RX-SIGNATURES", "RX-SAME-PERSON", "RX-DAYS", "RX-DUPLICATE", "ALLERGY-NAMED", "ALLERGY-DENIED", "ORDER-DATES",
        "SIGNED-BEFORE-VISIT", "NAME-TEST", "NAME-DIGITS",
    }  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_catalogue_names_severity_clause_and_confidence(lang):
    lines = {line.id: line for line in rules_catalogue(lang)}

    assert set(lines) == set(all_rules())
    assert lines["ID-CHECK-DIGIT"].clause == "R-ID-1"
    assert lines["ID-CHECK-DIGIT"].mark == {"zh": "多源证实", "en": "verified"}[lang]
    assert lines["LAB-ORDER"].kinds == ("C0007",)
    assert lines["DX-SEX"].severity == "warn"


def test_a_finding_reads_as_a_sentence():
    check = compile_checks(load_kind("C0007"), load_profile("regional"), date(2026, 10, 1))
    record = clean("C0007", items__3__received_at="20260930075959")
    [finding] = check(record, {"items.received_at": "lis_item.jssj"})

    assert describe(finding, "zh") == (
        "接收标本日期时间 #4（items[3].received_at，DE04.50.141.00，列 lis_item.jssj）：检验时间顺序颠倒："
        "20260930075959 与 collected_at 20260930080000 顺序颠倒（应为采样、接收、检验、报告）。"
        "处理：检查仪器或工作站时钟，以及是否有两列对调。（医院科室）"
    )
    assert describe(finding, "en") == (
        "Received at #4 (items[3].received_at, DE04.50.141.00, column lis_item.jssj): Times of a specimen out of order: "
        "20260930075959 and collected_at 20260930080000 are in the wrong order (collected, received, tested, reported). "
        "To mend: Check the clocks of analyser and work station, and whether two columns are swapped. (the hospital's staff)"
    )
    assert who_must_act(finding, "zh") == "医院科室"
    assert title_of("LAB-ORDER", "en") == "Times of a specimen out of order"


def test_a_finding_of_a_newer_version_can_still_be_read():
    assert (
        describe(Finding("NEW-RULE", Severity.WARN, field="x.y", value="1", arguments=("a",)), "en")
        == "x.y: NEW-RULE 1 a"
    )
    assert title_of("NEW-RULE") == "NEW-RULE"


def test_no_sentence_shows_the_patient():
    record = clean(
        "C0007", patient__id_number=identity_number()[:-1] + "0", patient__name="欧阳\ufffd修远", patient__telephone="1380013800",
        report_number="R 20260930001", patient__sex="2",
    )  # fmt: skip
    check = compile_checks(load_kind("C0007"), load_profile("national"), date(2026, 10, 1))
    findings = check(record)
    sentences = " ".join(describe(f, lang) for f in findings for lang in ("zh", "en")) + repr(findings)

    assert {"ID-CHECK-DIGIT", "TEXT-MOJIBAKE", "PHONE", "NUMBER-BLANKS", "ID-SEX"} <= {f.rule for f in findings}
    for secret in (record["patient.id_number"], "修远", "1380013800", "20260930001"):
        assert secret not in sentences


def test_the_digest_is_of_the_code():
    assert re.fullmatch(r"[0-9a-f]{64}", rules_digest())
    assert rules_digest() == rules_digest()
