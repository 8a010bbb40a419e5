"""Examination reports (C0006), treatment records (C0008) and results quoted elsewhere: the way of a specimen, words and codes."""

import re

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    LIKELY,
    NOTE,
    ORDER,
    PRESENT,
    SINGLE_SOURCE,
    WARN,
    Said,
    relation,
)
from frontend_agent.checks.tables import in_order
from frontend_agent.checks.values import before, number

ITEMS = ("items",)
NORMAL, ABNORMAL = "1", "2"  # 2.16.156.10011.2.3.2.38

in_order("EX-REQUEST", WARN, "request.time", "author.time", "C0006")
in_order("EX-REVIEWED", WARN, "author.time", "reviewer.time", "C0006")
in_order("EX-SPECIMEN", WARN, "this.collected_at", "this.received_at", "C0006", rows=ITEMS)
in_order("EX-EXAMINED", WARN, "this.collected_at", "this.examined_on", "C0006", rows=ITEMS)


@relation(
    "EX-REPORTED",
    WARN,
    "C0006",
    about=ORDER,
    clause="R-CN-1",
    mark=SINGLE_SOURCE,
    rows=ITEMS,
    of=("author.time", "this.received_at"),
)
def a_report_follows_its_specimen(reported: str, received: str) -> Said | None:
    return (received, reported) if before(reported, received) else None


@relation(
    "EX-REVIEWER", NOTE, "C0006", about=LIKELY, clause="C0006", mark=FROM_MEMORY, of=("technician.id", "reviewer.id")
)
def who_examined_does_not_review(technician: str, reviewer: str) -> Said | None:
    return () if technician == reviewer else None


@relation(
    "EX-UNIT",
    WARN,
    "C0006",
    about=PRESENT,
    clause="DE04.30.015.00, DE04.30.016.00",
    mark=SINGLE_SOURCE,
    rows=ITEMS,
    of=("this.value",),
    also=("this.unit",),
)
def a_measured_value_has_a_unit(_: str, unit: str) -> Said | None:
    return None if unit else ()


_NORMAL_WORDS = re.compile(r"未见(明显|明确)?异常|正常[。.]?$")
_ABNORMAL_WORDS = re.compile("考虑|占位|结节|肿|骨折|炎|梗|积液|狭窄|斑块|钙化|请结合|提示")


@relation(
    "EX-RESULT-NORMAL",
    NOTE,
    "C0006",
    about=AGREES,
    clause="2.16.156.10011.2.3.2.38",
    mark=FROM_MEMORY,
    rows=ITEMS,
    of=("impression", "this.result_code"),
)
def words_and_code_of_a_normal_report_agree(impression: str, code: str) -> Said | None:
    """未见异常 in words and 异常 as the code. Only where the words say nothing else."""
    plain = _NORMAL_WORDS.search(impression) and not _ABNORMAL_WORDS.search(impression)
    return (code,) if code == ABNORMAL and plain else None


@relation(
    "EX-RESULT-ABNORMAL",
    NOTE,
    "C0006",
    about=AGREES,
    clause="2.16.156.10011.2.3.2.38",
    mark=FROM_MEMORY,
    rows=ITEMS,
    of=("impression", "this.result_code"),
)
def words_and_code_of_an_abnormal_report_agree(impression: str, code: str) -> Said | None:
    found = re.search("骨折|占位|梗死|出血", impression)
    denied = re.search("未见|无|排除", impression)
    return (code,) if code == NORMAL and found and not denied else None


_SEXES = {"1": re.compile("子宫|卵巢|附件区?回声|宫颈|胎儿"), "2": re.compile("前列腺|睾丸|精囊|阴囊")}


@relation("EX-SEX", WARN, about=AGREES, clause="R-CN-4", mark=FROM_MEMORY, of=("patient.sex", "findings"))
def the_findings_are_of_this_patient(sex: str, findings: str) -> Said | None:
    """A prostate in a woman's report, a uterus in a man's: another patient's, or a template."""
    other = _SEXES.get(sex)
    return (sex,) if other and other.search(findings) and not re.search("未见|缺如|切除", findings) else None


@relation(
    "EX-SIDE",
    WARN,
    about=AGREES,
    clause="DE04.50.131.00, DE04.50.132.00",
    mark=FROM_MEMORY,
    of=("findings", "impression"),
)
def findings_and_impression_are_on_one_side(findings: str, impression: str) -> Said | None:
    left, right = "左" in findings, "右" in findings
    said_left, said_right = "左" in impression, "右" in impression
    wrong = (left and not right and said_right and not said_left) or (
        right and not left and said_left and not said_right
    )
    return () if wrong and "双" not in findings and "双" not in impression else None


# -- treatment records ----------------------------------------------------------------------------------------------------


@relation(
    "TX-INVASIVE",
    WARN,
    "C0008",
    about=PRESENT,
    clause="DE05.10.165.00, DE06.00.094.00",
    mark=FROM_MEMORY,
    of=("invasive_procedure",),
    also=("operations",),
)
def an_invasive_procedure_is_named(invasive: str, operations: str) -> Said | None:
    return () if invasive == "true" and not operations else None


@relation(
    "TX-FOLLOW-UP",
    NOTE,
    "C0008",
    about=PRESENT,
    clause="DE06.00.108.00, DE06.00.112.00",
    mark=FROM_MEMORY,
    of=("follow_up_method",),
    also=("follow_up_interval",),
)
def a_follow_up_has_an_interval(_: str, interval: str) -> Said | None:
    return None if interval else ()


# -- money in the summary -------------------------------------------------------------------------------------------------


@relation(
    "SUM-SELF-PAID",
    WARN,
    "C0001",
    about=AGREES,
    clause="DE07.00.001.00, DE07.00.010.00",
    mark=FROM_MEMORY,
    of=("inpatient_amount", "outpatient_amount", "self_paid_amount"),
)
def nobody_pays_more_than_everything(inpatient: str, outpatient: str, own: str) -> Said | None:
    return (own,) if number(own) > number(inpatient) + number(outpatient) + 0.015 else None
