"""One date against another (R-CN-1, R-CN-3): what happened cannot have been written down before, nor before birth.

Dates and moments compare as text over their common length: a day without a time of day is before no moment of that day.
"""

from collections.abc import Iterator

from frontend_agent.checks.derived import is_known_day
from frontend_agent.checks.registry import AGREES, FROM_MEMORY, HOLD, LIKELY, ORDER, SINGLE_SOURCE, WARN, Problem, rule
from frontend_agent.checks.values import before, full_years
from frontend_agent.model import Record

_EVENTS = ("visit.time", "encounter.time", "encounter.admitted_at", "prescribed_on", "author.time")


def born(record: Record) -> tuple[str, str]:
    """The field that says the birth date, and the date; empty if none says one that can be used."""
    for field in ("patient.birth_date", "fact.birth_date"):
        date = record.get(field)
        if date and is_known_day(date):
            return field, date
    return "", ""


def moment_of(record: Record) -> str:
    """When the patient was seen, or the record written: the day an age is meant for."""
    for event in _EVENTS:
        moment: str | None = record.get(event)
        if moment:
            return moment
    return ""


@rule("DATE-BIRTH-VISIT", HOLD, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE)
def birth_precedes_every_event(record: Record) -> Iterator[Problem]:
    _, birth = born(record)
    if not birth:
        return
    for event in _EVENTS:
        moment = record.get(event)
        if moment is not None and before(moment, birth):
            yield event, moment[:8], birth


@rule("DATE-BIRTH-FUTURE", HOLD, about=ORDER, clause="R-ID-4, R-CN-1", mark=SINGLE_SOURCE)
def birth_is_not_in_the_future(record: Record, today: str) -> Problem | None:
    field, birth = born(record)
    if birth > today:
        return field, birth
    return None


@rule("DATE-VISIT-RECORD", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, needs=("author.time",))
def the_record_follows_the_visit(record: Record) -> Iterator[Problem]:
    """Event time <= document time."""
    written = record["author.time"]
    for event in ("visit.time", "encounter.time"):
        moment = record.get(event)
        if moment is not None and before(written, moment):
            yield event, moment, written


@rule("AGE-BIRTH-DATE", WARN, about=AGREES, clause="R-CN-3", mark=SINGLE_SOURCE, needs=("patient.age",))
def age_agrees_with_birth_date(record: Record) -> Problem | None:
    """Full years at the visit. One year more is let pass: many systems count the calendar year."""
    age, (_, birth), moment = record["patient.age"], born(record), moment_of(record)
    if not birth or not moment[:8].isdecimal() or not age.isdecimal() or len(age) > 3:
        return None
    years = full_years(birth, moment)
    if years >= 0 and not years <= int(age) <= years + 1:
        return "patient.age", age, str(years)
    return None


@rule("AGE-RANGE", WARN, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, needs=("patient.age",))
def age_is_plausible(record: Record) -> Problem | None:
    age = record["patient.age"].partition(".")[0]
    if age.startswith("-") or (age.isdecimal() and (len(age) > 3 or int(age) > 130)):
        return "patient.age", "0", "130"
    return None


@rule("DATE-DIAGNOSIS", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, needs=("author.time", "diagnoses"))
def diagnoses_precede_the_record(record: Record) -> Iterator[Problem]:
    written = record["author.time"]
    for at, row in enumerate(record["diagnoses"]):
        day = row.get("date")
        if day is not None and before(written, day):
            yield f"diagnoses[{at}].date", day, written[:8]
