"""Who has to act when no document could be made of a record. Values in, values out."""

from collections.abc import Sequence

import msgspec

from frontend_agent.formats.errors import UnboundField
from frontend_agent.measuring import without_index
from frontend_agent.model import Blame, Finding, Severity

FAILED_ON_RECORD = "AGT002"  # checking or rendering this record failed

# Told where a value could not be taken, or was not there to be taken.
_NO_VALUE = frozenset(("MAP001", "MAP002", "READ-COLUMN", "DE-MISSING", "DE-ONE-OF", "TEXT-PLACEHOLDER"))


def unmade(error: Exception, findings: Sequence[Finding]) -> list[Finding]:
    """The findings of a record that could not be made into a document.

    Where a value is not there that every document of the kind needs, and a finding says why, that finding holds the record,
    however lightly a profile weighs its rule: who can mend it is named. Anything else is this program's own failure.
    """
    place = without_index(error.field) if isinstance(error, UnboundField) else ""
    told = [bool(place) and one.rule in _NO_VALUE and _speaks_of(one, place) for one in findings]
    if not any(told):
        return [*findings, _failed(error)]
    return [
        msgspec.structs.replace(one, severity=Severity.HOLD) if reason else one
        for one, reason in zip(findings, told, strict=True)
    ]


def _speaks_of(finding: Finding, place: str) -> bool:
    """Of the field, or, where a whole group is missing, of what its rows should have said."""
    named = without_index(finding.field)
    return named == place or named.startswith(f"{place}.")


def _failed(error: Exception) -> Finding:
    """What is known of a failure without its text, which may quote the patient: the kind of error, and the field."""
    place = getattr(error, "field", "")
    return Finding(
        FAILED_ON_RECORD,
        Severity.HOLD,
        Blame.AGENT,
        field=place if isinstance(place, str) else "",
        arguments=(type(error).__name__,),
    )
