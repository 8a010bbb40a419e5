"""Operations and anaesthesia: times in order, what a step needs, and what cannot stand side by side."""

import re
from collections.abc import Iterator
from functools import lru_cache

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    HOLD,
    LIKELY,
    NOTE,
    ONCE,
    ORDER,
    PRESENT,
    SINGLE_SOURCE,
    SUM,
    WARN,
    Problem,
    Said,
    relation,
    rule,
)
from frontend_agent.checks.selectors import element, named
from frontend_agent.checks.stays import ADMITTED, DISCHARGED
from frontend_agent.checks.tables import in_order, in_range
from frontend_agent.checks.values import before, hours, minutes, number
from frontend_agent.model import Record

# A group in most kinds, once in some.
OPERATIONS = ("operations",)
PLANNED = ("planned_operations",)

# CV06.00.103: 1 general, 2 neuraxial, 3 local, 4 combined, and their parts.
_GENERAL = ("1", "11", "12", "41", "44", "45")
_LOCAL = ("3", "31", "32", "33", "34", "35", "36")

# -- times ----------------------------------------------------------------------------------------------------------------

in_order("OP-ORDER", HOLD, "this.started_at", "this.ended_at", rows=OPERATIONS)
in_order("OP-THEATRE", WARN, "this.entered_theatre_at", "this.left_theatre_at", rows=OPERATIONS)


@relation(
    "OP-THEATRE-IN", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("this.entered_theatre_at", "this.started_at"),
)  # fmt: skip
def an_operation_begins_in_the_theatre(entered: str, started: str) -> Said | None:
    return (started, entered) if before(started, entered) else None


@relation(
    "OP-THEATRE-OUT", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("this.left_theatre_at", "this.ended_at"),
)  # fmt: skip
def an_operation_ends_in_the_theatre(left: str, ended: str) -> Said | None:
    return (ended, left) if before(left, ended) else None


@relation(
    "OP-RECORD", WARN, "C0009", "C0016", "C0019", about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("author.time", "this.ended_at"),
)  # fmt: skip
def an_operation_is_written_up_after_it(written: str, ended: str) -> Said | None:
    return (ended, written) if before(written, ended) else None


@relation(
    "OP-POSTOPERATIVE", WARN, "C0048", about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("author.time", "this.date"),
)  # fmt: skip
def the_first_note_after_an_operation_follows_it(written: str, operated: str) -> Said | None:
    return (operated, written) if before(written, operated) else None


@rule(
    "OP-STAY", WARN, about=ORDER, clause="R-FP-4", mark=SINGLE_SOURCE, needs=(ADMITTED, DISCHARGED),
    each=named("operations.date", "operations.started_at"),
)  # fmt: skip
def operations_lie_within_the_stay(moment: str, record: Record) -> Said | None:
    admitted, discharged = record[ADMITTED], record[DISCHARGED]
    outside = before(moment[: len(admitted)], admitted) or before(discharged, moment)
    return (moment, admitted, discharged) if outside else None


@relation(
    "OP-LONG", NOTE, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, rows=OPERATIONS,
    of=("this.started_at", "this.ended_at"),
)  # fmt: skip
def no_operation_lasts_a_day(started: str, ended: str) -> Said | None:
    lasted = hours(started, ended)
    return (f"{lasted:.1f}",) if lasted > 24 else None


@relation(
    "OP-MINUTES", WARN, about=SUM, clause="DE06.00.259.00", mark=FROM_MEMORY,
    of=("operations.started_at", "operations.ended_at", "operation_minutes"),
)  # fmt: skip
def the_minutes_are_counted_rightly(started: str, ended: str, stated: str) -> Said | None:
    lasted = minutes(started, ended)
    return (stated, f"{lasted:.0f}") if abs(lasted - number(stated)) > 2 else None


@relation(
    "OP-PLAN-ORDER", NOTE, "C0046", "C0047", about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=PLANNED,
    of=("author.time", "this.date"),
)  # fmt: skip
def a_plan_is_written_before_the_operation(written: str, planned: str) -> Said | None:
    return (planned, written) if before(planned, written) else None


@relation(
    "OP-PLAN-STAY", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=PLANNED, of=(ADMITTED, "this.date")
)
def a_plan_is_for_this_stay(admitted: str, planned: str) -> Said | None:
    return (planned, admitted) if before(planned, admitted[:8]) else None


@relation(
    "OP-DISCUSSION", WARN, "C0047", about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=PLANNED,
    of=("discussion.time", "this.date"),
)  # fmt: skip
def an_operation_is_discussed_before(discussed: str, planned: str) -> Said | None:
    return (planned, discussed) if before(planned, discussed) else None


# -- what belongs together ------------------------------------------------------------------------------------------------


@relation(
    "OP-LEVEL-ANAESTHESIA", NOTE, about=PRESENT, clause="R-FP-4", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("this.level",), also=("this.anaesthesia_method",),
)  # fmt: skip
def an_operation_has_its_anaesthesia(level: str, method: str) -> Said | None:
    return (level,) if level in ("2", "3", "4") and not method else None


@relation(
    "OP-LEVEL-INCISION", NOTE, about=PRESENT, clause="R-FP-4", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("this.level",), also=("this.incision_class",),
)  # fmt: skip
def an_operation_has_its_incision(level: str, incision: str) -> Said | None:
    return None if incision else (level,)


@relation(
    "OP-SURGEON", WARN, about=PRESENT, clause="R-FP-4", mark=SINGLE_SOURCE, rows=OPERATIONS, of=("this.level",),
    also=("this.surgeon_name",),
)  # fmt: skip
def an_operation_has_a_surgeon(_: str, name: str) -> Said | None:
    return None if name else ()


@relation(
    "OP-DATE",
    WARN,
    about=PRESENT,
    clause="R-FP-4",
    mark=SINGLE_SOURCE,
    rows=OPERATIONS,
    of=("this.code",),
    also=("this.date",),
)
def an_operation_has_a_date(_: str, date: str) -> Said | None:
    return None if date else ()


@relation(
    "OP-NAME", NOTE, about=PRESENT, clause="R-VA-1", mark=SINGLE_SOURCE, rows=(*OPERATIONS, *PLANNED),
    of=("this.date", "this.code"), also=("this.name",),
)  # fmt: skip
def an_operations_code_has_a_name(_: str, code: str, name: str) -> Said | None:
    return None if name else ()


@relation(
    "OP-ANAESTHETIST", WARN, about=PRESENT, clause="R-FP-4", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("this.anaesthesia_method",), also=("this.anaesthetist_name",),
)  # fmt: skip
def an_anaesthesia_has_an_anaesthetist(method: str, name: str) -> Said | None:
    """Local anaesthesia (3x) needs none."""
    return (method,) if method[:1] in ("1", "2", "4") and not name else None


def _two_people(id: str, one: str, other: str) -> None:
    @relation(
        id, NOTE, about=LIKELY, clause="R-FP-4", mark=FROM_MEMORY, rows=OPERATIONS, of=(f"this.{one}", f"this.{other}")
    )
    def are_two(first: str, second: str) -> Said | None:
        return () if first == second else None


_two_people("OP-ASSISTANT-SELF", "surgeon_id", "first_assistant_id")
_two_people("OP-ASSISTANTS", "first_assistant_id", "second_assistant_id")
_two_people("OP-ANAESTHETIST-SELF", "surgeon_id", "anaesthetist_id")


@rule(
    "OP-REPEATED",
    WARN,
    about=ONCE,
    clause="R-FP-15",
    mark=FROM_MEMORY,
    needs=("operations",),
    also=("operations.code", "operations.date"),
)
def no_operation_twice(record: Record) -> Iterator[Problem]:
    """The same code on the same moment: a join that multiplies rows, mostly."""
    seen: dict[tuple[str, str], int] = {}
    for at, row in enumerate(record["operations"]):
        same = (row.get("code", ""), row.get("date", ""))
        if all(same) and seen.setdefault(same, at) != at:
            yield f"operations[{at}].code", str(seen[same] + 1)


@relation(
    "OP-HEALING", NOTE, about=PRESENT, clause="CV05.10.022, CV05.10.023", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("this.incision_class",), also=("this.healing",),
)  # fmt: skip
def an_incision_heals_somehow(incision: str, healing: str) -> Said | None:
    """2 to 4 are Ⅰ, Ⅱ and Ⅲ; 1 is no incision at all (0类)."""
    return (incision,) if incision in ("2", "3", "4") and not healing else None


@relation(
    "OP-HEALING-NONE", NOTE, about=AGREES, clause="CV05.10.022, CV05.10.023", mark=FROM_MEMORY, rows=OPERATIONS,
    of=("this.incision_class", "this.healing"),
)  # fmt: skip
def what_was_not_cut_does_not_heal(incision: str, healing: str) -> Said | None:
    return (healing,) if incision == "1" and healing in ("2", "3") else None


@relation(
    "OP-DRAIN", WARN, about=PRESENT, clause="DE05.10.165.00, DE08.50.044.00", mark=FROM_MEMORY, of=("drainage",),
    also=("drain.name",),
)  # fmt: skip
def a_drain_is_named(drained: str, name: str) -> Said | None:
    return () if drained == "true" and not name else None


@relation(
    "OP-DRAIN-COUNT", NOTE, about=PRESENT, clause="DE05.10.165.00, DE08.50.045.00", mark=FROM_MEMORY, of=("drainage",),
    also=("drain.count",),
)  # fmt: skip
def drains_are_counted(drained: str, count: str) -> Said | None:
    return () if drained == "true" and (not count or number(count) <= 0) else None


@relation(
    "OP-DRAIN-DENIED", WARN, about=AGREES, clause="DE05.10.165.00, DE08.50.045.00", mark=FROM_MEMORY,
    of=("drainage", "drain.count"),
)  # fmt: skip
def no_drain_is_counted_where_there_is_none(drained: str, count: str) -> Said | None:
    return (count,) if drained == "false" and number(count) > 0 else None


@relation(
    "OP-COUNT-CLOSURE", WARN, about=PRESENT, clause="DE09.00.111.00, DE06.00.204.00", mark=FROM_MEMORY,
    of=("count_before_operation", "count_before_closure"),
)  # fmt: skip
def what_was_counted_before_is_counted_at_closure(first: str, closure: str) -> Said | None:
    return () if first == "true" and closure == "false" else None


@relation(
    "OP-COUNT-AFTER", WARN, about=PRESENT, clause="DE06.00.204.00", mark=FROM_MEMORY,
    of=("count_before_closure", "count_after_closure"),
)  # fmt: skip
def what_was_counted_at_closure_is_counted_after(closure: str, after: str) -> Said | None:
    return () if closure == "true" and after == "false" else None


@relation(
    "OP-NURSES", NOTE, about=LIKELY, clause="C0019", mark=FROM_MEMORY,
    of=("instrument_nurse.id", "circulating_nurse.id"),
)  # fmt: skip
def two_nurses_are_two(instruments: str, circulating: str) -> Said | None:
    """One hands instruments and stays sterile, the other does not: the count needs both."""
    return () if instruments == circulating else None


@relation(
    "OP-SURGEON-ANAESTHETIST",
    NOTE,
    about=LIKELY,
    clause="R-FP-4",
    mark=FROM_MEMORY,
    of=("surgeon.id", "anaesthetist.id"),
)
def who_operates_does_not_anaesthetise(surgeon: str, anaesthetist: str) -> Said | None:
    return () if surgeon == anaesthetist else None


@lru_cache(maxsize=4096)
def _side(text: str) -> str:
    """左, 右 or nothing; both sides are nothing, too."""
    left, right = "左" in text, "右" in text
    return "" if left == right or "双" in text else "左" if left else "右"


@relation(
    "OP-SITE-SIDE", WARN, about=AGREES, clause="DE06.00.187.00", mark=FROM_MEMORY, rows=(*OPERATIONS, *PLANNED),
    of=("this.name", "this.target_site"),
)  # fmt: skip
def the_name_and_the_site_are_on_one_side(name: str, site: str) -> Said | None:
    """Left in the operation's name, right in its site: nobody wants to find that out in the theatre."""
    one, other = _side(name), _side(site)
    return (one, other) if one and other and one != other else None


@rule(
    "OP-DIAGNOSIS-SIDE", WARN, about=AGREES, clause="DE05.01.024.00, DE06.00.094.00", mark=FROM_MEMORY,
    needs=("preoperative_diagnoses",), also=("preoperative_diagnoses.name", "planned_operations.name"),
)  # fmt: skip
def the_diagnosis_and_the_operation_are_on_one_side(record: Record) -> Problem | None:
    """Every diagnosis is of one side, and the operation of the other."""
    sides = {_side(row.get("name", "")) for row in record["preoperative_diagnoses"]}
    rows = record.get("planned_operations", ())
    planned = [(f"planned_operations[{at}].name", row.get("name", "")) for at, row in enumerate(rows)]
    for path, name in [*planned, ("planned_operations.name", record.get("planned_operations.name", ""))]:
        other = _side(name)
        if other and sides in ({"左"}, {"右"}) and other not in sides:
            return path, *sides, other
    return None


@rule(
    "ANA-ORDER", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, needs=("anaesthesia", "operations"),
    also=("anaesthesia.started_at", "operations.started_at"),
)  # fmt: skip
def nobody_is_cut_before_they_sleep(record: Record) -> Problem | None:
    slept = min((row["started_at"] for row in record["anaesthesia"] if "started_at" in row), default="")
    cut = min((row["started_at"] for row in record["operations"] if "started_at" in row), default="")
    return ("anaesthesia[0].started_at", cut, slept) if slept and cut and before(cut, slept) else None


@relation(
    "ANA-LEFT", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=OPERATIONS,
    of=("left_theatre_at", "this.ended_at"),
)  # fmt: skip
def nobody_leaves_before_the_end(left: str, ended: str) -> Said | None:
    return (ended, left) if before(left, ended) else None


# -- blood and fluids -----------------------------------------------------------------------------------------------------


@relation(
    "OP-REACTION", WARN, about=AGREES, clause="DE06.00.264.00, DE06.00.267.00", mark=FROM_MEMORY,
    of=("transfusion_reaction",), also=("transfusion_volume",),
)  # fmt: skip
def a_reaction_follows_a_transfusion(reaction: str, volume: str) -> Said | None:
    return () if reaction == "true" and (not volume or number(volume) == 0) else None


in_range("BLOOD-LOSS", NOTE, 0, 20_000, element("DE06.00.097.00"))
in_range("INFUSION-VOLUME", NOTE, 0, 20_000, element("DE06.00.268.00"))

# -- anaesthesia ----------------------------------------------------------------------------------------------------------

_UNKNOWN_TUBE = re.compile("无|未|否|不")


@relation(
    "ANA-LOCAL-AIRWAY", NOTE, about=AGREES, clause="CV06.00.103, DE06.00.228.00", mark=FROM_MEMORY,
    rows=("anaesthesia", ""), of=("this.anaesthesia_method", "this.intubation_type"),
)  # fmt: skip
def local_anaesthesia_needs_no_tube(method: str, tube: str) -> Said | None:
    return (method,) if method in _LOCAL and not _UNKNOWN_TUBE.search(tube) else None


@relation(
    "ANA-EXTUBATED", WARN, about=AGREES, clause="CV06.00.103, DE05.10.165.00", mark=FROM_MEMORY,
    of=("anaesthesia_method", "extubated"),
)  # fmt: skip
def nobody_is_extubated_after_local_anaesthesia(method: str, extubated: str) -> Said | None:
    return (method,) if method in _LOCAL and extubated == "true" else None


@relation(
    "ANA-AWAKE", NOTE, about=PRESENT, clause="CV06.00.103, DE06.00.233.00", mark=FROM_MEMORY,
    of=("anaesthesia_method",), also=("awake_at",),
)  # fmt: skip
def who_slept_woke(method: str, awake: str) -> Said | None:
    return (method,) if method in _GENERAL and not awake else None


in_order("ANA-AWAKE-ORDER", WARN, "awake_at", "author.time")
