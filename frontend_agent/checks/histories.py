"""Histories, allergies and the admission record: what the patient told, against what else is known of them."""

import re
from collections.abc import Iterator

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    LIKELY,
    NOTE,
    ONCE,
    ORDER,
    SINGLE_SOURCE,
    WARN,
    Problem,
    Said,
    relation,
    rule,
)
from frontend_agent.checks.values import before
from frontend_agent.model import Group, Record

_NOTHING = re.compile(r"\s*([-/—]*|无|不适用|未涉及|男性|否认|略)[。.]?\s*")


def says_something(text: str) -> bool:
    """Whether a history says more than that there is none."""
    return not _NOTHING.fullmatch(text)


# -- sex and marriage -----------------------------------------------------------------------------------------------------


@relation(
    "HX-MENSTRUAL", WARN, about=AGREES, clause="R-CN-4", mark=FROM_MEMORY, of=("patient.sex", "menstrual_history")
)
def men_have_no_periods(sex: str, history: str) -> Said | None:
    return () if sex == "1" and says_something(history) else None


@relation(
    "HX-MENSTRUAL-AGE", NOTE, about=LIKELY, clause="R-CN-4", mark=FROM_MEMORY, of=("patient.age", "menstrual_history")
)
def children_have_no_periods(age: str, history: str) -> Said | None:
    young = age.isdecimal() and int(age) < 8
    return (age,) if young and says_something(history) and not history.startswith(("未", "无")) else None


@relation(
    "HX-MARITAL",
    NOTE,
    about=AGREES,
    clause="R-CN-7",
    mark=FROM_MEMORY,
    of=("marital_history", "patient.marital_status"),
)
def marriage_is_told_once(history: str, status: str) -> Said | None:
    """未婚 in the words, and a code of the married (2x), or 已婚 and the code of the unmarried."""
    single = history.startswith(("未婚", "未育未婚"))
    married = history.startswith(("已婚", "适龄结婚"))
    return (status,) if (single and status[:1] == "2") or (married and status == "10") else None


_ORGANS_OF_WOMEN, _ORGANS_OF_MEN = re.compile("子宫|宫颈|阴道|外阴"), re.compile("阴茎|睾丸|包皮|阴囊")


@relation(
    "HX-GENITAL", WARN, about=AGREES, clause="R-CN-4", mark=FROM_MEMORY, of=("patient.sex", "genital_examination")
)
def the_examination_is_of_this_patient(sex: str, found: str) -> Said | None:
    """A template of the other sex was taken."""
    women, men = _ORGANS_OF_WOMEN.search(found), _ORGANS_OF_MEN.search(found)
    return (sex,) if (sex == "1" and women and not men) or (sex == "2" and men and not women) else None


# -- allergies, operations, transfusions ----------------------------------------------------------------------------------

_ALLERGIC = re.compile("过敏")
_DENIED = re.compile("无|否认|未|不详|没有")


@relation(
    "HX-OPERATION", NOTE, about=AGREES, clause="DE02.10.026.00, DE02.10.061.00", mark=FROM_MEMORY,
    of=("disease_history", "operation_history"),
)  # fmt: skip
def an_operation_is_not_denied_and_told(diseases: str, operations: str) -> Said | None:
    """否认手术史, and an operation among the diseases."""
    denied = operations.startswith(("无", "否认"))
    return () if denied and re.search("切除术|置换术|搭桥|支架植入|剖宫产", diseases) else None


@relation(
    "HX-TRANSFUSION", NOTE, about=AGREES, clause="DE02.10.026.00, DE02.10.100.00", mark=FROM_MEMORY,
    of=("disease_history", "transfusion_history"),
)  # fmt: skip
def a_transfusion_is_not_denied_and_told(diseases: str, transfusions: str) -> Said | None:
    told = re.search("曾?输(注|入)?(全血|血[^压糖管]|红细胞|血小板|血浆)", diseases)
    return () if transfusions.startswith(("无", "否认")) and told and "否认输血" not in diseases else None


# -- the admission record -------------------------------------------------------------------------------------------------


@relation("HX-COPIED", NOTE, about=LIKELY, clause="R-CO-2", mark=FROM_MEMORY, of=("chief_complaint", "present_illness"))
def the_present_illness_says_more_than_the_complaint(complaint: str, illness: str) -> Said | None:
    return () if complaint == illness and complaint else None


@relation(
    "HX-LONG-COMPLAINT",
    NOTE,
    about=LIKELY,
    clause="DE04.01.119.00",
    mark=FROM_MEMORY,
    of=("present_illness", "chief_complaint"),
)
def a_complaint_is_shorter_than_its_history(illness: str, complaint: str) -> Said | None:
    """The two columns were exchanged."""
    return (
        (str(len(complaint)), str(len(illness))) if len(complaint) > 40 and len(complaint) > 2 * len(illness) else None
    )


_STEPS = ("preliminary_diagnoses", "revised_diagnoses", "confirmed_diagnoses")


@rule(
    "HX-DIAGNOSIS-STEPS", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE,
    needs=("preliminary_diagnoses",), also=("preliminary_diagnoses.date", "revised_diagnoses.date", "confirmed_diagnoses.date"),
)  # fmt: skip
def a_diagnosis_is_revised_after_it_was_made(record: Record) -> Iterator[Problem]:
    """初步 <= 修正 <= 确定."""
    earliest = ""
    for step in _STEPS:
        dates = [(f"{step}[{at}].date", row["date"]) for at, row in enumerate(record.get(step, ())) if "date" in row]
        for path, date in dates:
            if earliest and before(date, earliest):
                yield path, date, earliest
        earliest = max([earliest, *(min(date for _, date in dates) for _ in dates[:1])])


@rule(
    "HX-DIAGNOSIS-RANK", NOTE, about=ONCE, clause="DE05.01.080.00", mark=FROM_MEMORY,
    lists=("preliminary_diagnoses", "revised_diagnoses", "confirmed_diagnoses", "supplementary_diagnoses"),
)  # fmt: skip
def ranks_are_given_once(rows: Group) -> Iterator[tuple[int, str, str]]:
    seen: set[str] = set()
    for at, row in enumerate(rows):
        rank = row.get("rank")
        if rank in seen:
            yield at, "rank", rank
        elif rank:
            seen.add(rank)


@rule(
    "HX-DIFFERENTIAL", NOTE, about=LIKELY, clause="DE05.01.025.00", mark=FROM_MEMORY,
    needs=("preliminary_diagnoses", "differential_diagnoses"),
    also=("preliminary_diagnoses.name", "differential_diagnoses.name"),
)  # fmt: skip
def a_differential_is_another_diagnosis(record: Record) -> Iterator[Problem]:
    own = {row["name"] for row in record["preliminary_diagnoses"] if "name" in row}
    for at, row in enumerate(record["differential_diagnoses"]):
        if row.get("name") in own:
            yield (f"differential_diagnoses[{at}].name",)
