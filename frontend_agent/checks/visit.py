"""C0002 门(急)诊病历: orders, and the patient's name; allergies wherever there is a flag beside the words."""

from collections.abc import Iterator

from frontend_agent.checks.registry import (
    AGREES,
    FORM,
    FROM_MEMORY,
    HOLD,
    LIKELY,
    ORDER,
    PRESENT,
    SINGLE_SOURCE,
    WARN,
    Problem,
    rule,
)
from frontend_agent.checks.values import before
from frontend_agent.model import Record

# The front pages leave an empty box as `-`, and have rules of their own.
_WITH_ALLERGIES = ("C0002", "C0003", "C0008", "C0018", "C0019", "C0046")
_DENIALS = ("无", "否认", "未发现", "没有", "不详", "none", "no ")


@rule(
    "ALLERGY-NAMED",
    WARN,
    *_WITH_ALLERGIES,
    about=PRESENT,
    clause="R-FP-12",
    mark=SINGLE_SOURCE,
    needs=("allergy.flag",),
)
def an_allergy_is_named(record: Record) -> Problem | None:
    """过敏史标志 true, and nothing or a denial beside it."""
    if record["allergy.flag"] == "true":
        text = record.get("allergy.text", "")
        if not text or text in ("无", "否认", "无过敏史", "否认过敏史", "否认药物过敏史", "否认药物及食物过敏史"):
            return ("allergy.text",)
    return None


@rule(
    "ALLERGY-DENIED",
    WARN,
    *_WITH_ALLERGIES,
    about=AGREES,
    clause="R-FP-12",
    mark=FROM_MEMORY,
    needs=("allergy.flag", "allergy.text"),
)
def a_denied_allergy_has_no_name(record: Record) -> Problem | None:
    """过敏史标志 false, and a substance beside it."""
    text: str = record["allergy.text"].lower()
    if record["allergy.flag"] == "false" and "过敏" in text and not any(denial in text for denial in _DENIALS):
        return ("allergy.flag",)
    return None


@rule("ORDER-DATES", WARN, "C0002", about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, needs=("orders",))
def orders_follow_in_time(record: Record) -> Iterator[Problem]:
    """An order ends after it starts, is performed and cancelled after it was given."""
    for at, row in enumerate(record["orders"]):
        for later, earlier in (("end", "start"), ("performed_at", "ordered_at"), ("cancelled_at", "ordered_at")):
            second, first = row.get(later), row.get(earlier)
            if second is not None and first is not None and before(second, first):
                yield f"orders[{at}].{later}", second, later, earlier, first


@rule(
    "SIGNED-BEFORE-VISIT",
    WARN,
    "C0002",
    about=ORDER,
    clause="R-CN-1",
    mark=SINGLE_SOURCE,
    needs=("doctor.time", "visit.time"),
)
def the_doctor_signs_after_the_visit(record: Record) -> Problem | None:
    if before(record["doctor.time"], record["visit.time"]):
        return "doctor.time", record["doctor.time"], record["visit.time"]
    return None


@rule("NAME-TEST", WARN, about=LIKELY, clause="R-CN-6", mark=FROM_MEMORY, needs=("patient.name",))
def the_patient_is_no_test(record: Record) -> Problem | None:
    """测试, test: somebody tried the system out. Nobody wants that on a regional platform."""
    name: str = record["patient.name"].lower()
    if "测试" in name or name.startswith("test"):
        return ("patient.name",)
    return None


@rule("NAME-DIGITS", HOLD, about=FORM, clause="R-VA-9", mark=FROM_MEMORY, needs=("patient.name",))
def a_name_is_no_number(record: Record) -> Problem | None:
    """Digits alone: two columns were swapped."""
    if record["patient.name"].isdigit():
        return ("patient.name",)
    return None
