"""Code tables that have changed: a code is held against the version in force on the document's own day."""

from collections.abc import Iterable

from frontend_agent.checks.registry import DE_CODE, DE_CODE_DATE, Rule
from frontend_agent.formats.value_sets import ValueSet, in_force
from frontend_agent.model import Record

_DAYS = ("author.time", "encounter.discharged_at", "encounter.time", "encounter.admitted_at")


def document_day(record: Record) -> str:
    """The day (yyyyMMdd) a document speaks for: when its author wrote it, else of the encounter; empty if neither is known."""
    for field in _DAYS:
        moment = record.get(field)
        if moment:
            return str(moment)[:8]
    return ""


def has_changed(versions: Iterable[ValueSet]) -> bool:
    """Whether a table has anything that depends on a day."""
    found = list(versions)
    return len(found) > 1 or any(
        one.valid_from or one.valid_to or any(entry.valid_from or entry.valid_to for entry in one) for one in found
    )


class DatedCodes:
    """What is wrong with a code on the document's day, over all versions of its table."""

    def __init__(self, versions: Iterable[ValueSet]) -> None:
        self._versions = list(versions)

    def __call__(self, code: str, record: Record) -> tuple[Rule, tuple[str, ...]] | None:
        """The rule that objects and its arguments (the day, the successor), or None."""
        day = document_day(record)
        if not day:
            return None if code in self._versions[-1] else (DE_CODE, ())
        current = [one for one in self._versions if in_force(one.valid_from, one.valid_to, day)]
        if not current:
            return None  # no version that we carry speaks of that day
        entry = current[-1].entries.get(code)
        if entry is not None:
            return None if entry.in_force(day) else (DE_CODE_DATE, (day, entry.replaced_by or "–"))
        once = [one.entries[code] for one in self._versions if code in one]
        if once:  # of another version: its successor is what that version says
            return DE_CODE_DATE, (day, next((one.replaced_by for one in once if one.replaced_by), "–"))
        return DE_CODE, ()
