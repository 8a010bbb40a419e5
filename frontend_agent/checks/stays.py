"""The stay in hospital: admission, discharge, the days between, and when its records were written (rules.md 5 and 6)."""

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    HOLD,
    IN_TIME,
    LIKELY,
    NOTE,
    SINGLE_SOURCE,
    SUM,
    VERIFIED,
    WARN,
    Said,
    relation,
    rule,
)
from frontend_agent.checks.selectors import named
from frontend_agent.checks.tables import in_order, written_within
from frontend_agent.checks.values import days, hours, number
from frontend_agent.model import Record

ADMITTED, DISCHARGED = "encounter.admitted_at", "encounter.discharged_at"

in_order("STAY-ORDER", HOLD, "this.admitted_at", "this.discharged_at", rows=("encounter", ""))
in_order("STAY-RECORD", WARN, ADMITTED, "author.time")
in_order("STAY-ONSET", WARN, "onset_at", "visit.time", mark=FROM_MEMORY)
in_order("STAY-OBSERVATION", WARN, "observation_began_at", "author.time", mark=FROM_MEMORY)
in_order("RESCUE-ORDER", WARN, "rescue_started_at", "rescue_ended_at")
in_order("RESCUE-STAY", WARN, ADMITTED, "rescue_started_at")


@rule(
    "STAY-DAYS", WARN, about=SUM, clause="R-CN-2", mark=SINGLE_SOURCE, needs=(ADMITTED, DISCHARGED),
    each=named("days_in_hospital", "encounter.days"),
)  # fmt: skip
def the_days_are_counted_rightly(stated: str, record: Record) -> Said | None:
    """Discharge date less admission date, at least 1."""
    counted = max(days(record[ADMITTED], record[DISCHARGED]), 1)
    return (
        (stated, f"{counted:g}") if number(stated) != counted and counted == counted and number(stated) >= 0 else None
    )


@relation("STAY-ADMITTED-TWICE", WARN, about=AGREES, clause="R-BD-1", mark=FROM_MEMORY, of=(ADMITTED, "admitted_at"))
def one_admission_has_one_time(header: str, body: str) -> Said | None:
    """Header and body of one document, as far as both are precise."""
    return None if header.startswith(body) or body.startswith(header) else (body, header)


@relation("STAY-LONG", NOTE, about=LIKELY, clause="R-CN-2", mark=FROM_MEMORY, of=(ADMITTED, DISCHARGED))
def few_stay_for_years(admitted: str, discharged: str) -> Said | None:
    """Nobody closed the visit, or somebody mistyped the year."""
    stayed = days(admitted, discharged)
    return (f"{stayed:g}",) if stayed > 730 else None


@relation(
    "ROUTE-TEXT", WARN, about=AGREES, clause="CV09.00.403", mark=VERIFIED, of=("ward_admission_mode", "admission_route")
)
def the_route_agrees_with_what_is_written(said: str, route: str) -> Said | None:
    """1 is 急诊, 2 门诊; some systems have them the other way round. The words beside the code give it away."""
    words = {"1": "门诊", "2": "急诊"}
    other = {"1": "急诊", "2": "门诊"}
    wrong = route in words and words[route] in said and other[route] not in said
    return (route, words[route]) if wrong else None


@relation(
    "STAY-24H", HOLD, "C0035", about=LIKELY, clause="rules.md 6", mark=VERIFIED,
    of=(ADMITTED, DISCHARGED),
)  # fmt: skip
def a_stay_of_24_hours_is_no_longer(admitted: str, discharged: str) -> Said | None:
    stayed = hours(admitted, discharged)
    return (f"{stayed:.1f}",) if stayed > 24 else None


@relation("DEATH-24H", HOLD, "C0036", about=LIKELY, clause="rules.md 6", mark=VERIFIED, of=(ADMITTED, "died_at"))
def a_death_within_24_hours_came_no_later(admitted: str, died: str) -> Said | None:
    stayed = hours(admitted, died)
    return (f"{stayed:.1f}",) if stayed > 24 else None


# -- deaths ---------------------------------------------------------------------------------------------------------------

in_order("DEATH-STAY", HOLD, "this.admitted_at", "died_at", rows=("encounter", ""))
in_order("DEATH-RECORD", HOLD, "died_at", "author.time")


# I46 cardiac arrest, R09.2 respiratory arrest, R96–R99 unknown causes, J96 respiratory failure, I50 heart failure.
_MODES_OF_DYING = ("I46", "R09", "R96", "R98", "R99", "J96", "I50")


@relation(
    "DEATH-MODE", NOTE, about=LIKELY, clause="ICD-10 volume 2, causes of death", mark=FROM_MEMORY,
    of=("underlying_cause_of_death.code",),
)  # fmt: skip
def the_underlying_cause_is_no_mode_of_dying(code: str) -> Said | None:
    return (code,) if code.startswith(_MODES_OF_DYING) else None


# -- when it was written --------------------------------------------------------------------------------------------------

written_within("TIME-ADMISSION", WARN, 24, ADMITTED, "author.time", "C0034")
written_within("TIME-FIRST-NOTE", WARN, 8, "encounter.time", "author.time", "C0037")
written_within("TIME-DISCHARGE", WARN, 24, "discharged_at", "author.time", "C0049")
written_within("TIME-24H-DISCHARGE", WARN, 24, DISCHARGED, "author.time", "C0035")
written_within("TIME-24H-DEATH", WARN, 24, "died_at", "author.time", "C0036")
written_within("TIME-DEATH", WARN, 24, "died_at", "author.time", "C0050")
written_within("TIME-FRONT-PAGE", NOTE, 24, DISCHARGED, "author.time", "C0032", "C0033", mark=SINGLE_SOURCE)
written_within("TIME-SUMMARY", NOTE, 24, DISCHARGED, "author.time", "C0053", mark=FROM_MEMORY)
written_within("TIME-RESCUE", WARN, 6, "rescue_ended_at", "author.time", "C0044")
written_within("TIME-TRANSFER", WARN, 24, "accepting_physician.time", "author.time", "C0042")
written_within("TIME-HANDOVER", NOTE, 24, "incoming_physician.time", "author.time", "C0041")


@relation(
    "TIME-OPERATION", WARN, "C0009", about=IN_TIME, clause="rules.md 6", mark=VERIFIED,
    rows=("operations",), of=("author.time", "this.ended_at"),
)  # fmt: skip
def an_operation_is_written_up_within_a_day(written: str, ended: str) -> Said | None:
    return (written, ended, "24") if hours(ended, written) > 24 else None


@relation(
    "TIME-POSTOPERATIVE", NOTE, "C0048", about=IN_TIME, clause="rules.md 6", mark=FROM_MEMORY,
    rows=("operations",), of=("author.time", "this.date"),
)  # fmt: skip
def the_first_note_after_an_operation_is_immediate(written: str, ended: str) -> Said | None:
    """即时: eight hours are certainly not."""
    return (written, ended, "8") if hours(ended, written) > 8 else None
