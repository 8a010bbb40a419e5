"""The register of rules: one function each, with an id that never changes and is never reused.

    @rule("ID-SEX", HOLD, clause="R-ID-3", mark=VERIFIED, needs=("patient.id_number", "patient.sex"))
    def sex_agrees(record: Record) -> Problem | None: ...

A rule is asked only when every field it needs is there (absence is another rule's business). A rule that can object
once returns its Problem or None; one that can object to several values yields them. A Problem is the field, then what the
rule's text wants to say. Whether that holds a record is the profile's decision.
"""

import inspect
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from frontend_agent.model import Blame, Severity

HOLD, WARN, NOTE = Severity.HOLD, Severity.WARN, Severity.NOTE

# How sure we are of a rule; the marks of the standards folder, and one of our own.
Mark = Literal["V", "1", "M", "T"]
VERIFIED: Mark = "V"  # two or more independent public sources
SINGLE_SOURCE: Mark = "1"
FROM_MEMORY: Mark = "M"  # nobody but the collector says so: never holds a record in everyday use
TECHNICAL: Mark = (
    "T"  # follows from a specification of the format itself (XML 1.0, Unicode), not from the health standards
)

ALL_KINDS: tuple[str, ...] = ()

Problem = tuple[str, ...]  # field path ("items[3].unit"), then the arguments of the text
Check = Callable[..., Any]  # record [, today] -> Problem | None, or an iterator of Problems


class Rule(msgspec.Struct, frozen=True):
    """One rule. `check` is None for the rules that are derived from the kind's declaration or told by the mapping."""

    id: str
    severity: Severity
    clause: str
    mark: Mark
    kinds: tuple[str, ...] = ALL_KINDS
    needs: tuple[str, ...] = ()
    blame: Blame = Blame.SOURCE
    check: Check | None = None
    wants_today: bool = False
    yields: bool = False
    lowerable: bool = True  # False: the document could not be made at all

    def speaks_of(self, kind: str) -> bool:
        return not self.kinds or kind in self.kinds


_rules: dict[str, Rule] = {}


def rule(
    id: str,
    severity: Severity,
    *kinds: str,
    clause: str,
    mark: Mark,
    needs: tuple[str, ...] = (),
    blame: Blame = Blame.SOURCE,
) -> Callable[[Check], Check]:
    """Register a rule. Of two parameters the second is today, as yyyyMMdd."""

    def register(check: Check) -> Check:
        wants_today = len(inspect.signature(check).parameters) == 2
        yields = inspect.isgeneratorfunction(check)
        _add(Rule(id, severity, clause, mark, kinds, needs, blame, check, wants_today, yields))
        return check

    return register


def derived(
    id: str, severity: Severity, clause: str, mark: Mark, blame: Blame = Blame.SOURCE, lowerable: bool = True
) -> Rule:
    """Register a rule that has no function of its own."""
    return _add(Rule(id, severity, clause, mark, blame=blame, lowerable=lowerable))


def _add(new: Rule) -> Rule:
    if new.id in _rules:
        raise AssertionError(f"rule id used twice: {new.id}")
    _rules[new.id] = new
    return new


def all_rules() -> dict[str, Rule]:
    """Every rule by id."""
    return dict(_rules)


# -- told by the mapping (mapping.py) -------------------------------------------------------------------------------------

MAP_UNMAPPED = derived("MAP001", HOLD, "R-VA-1", VERIFIED, Blame.MAPPING)
MAP_UNREADABLE = derived("MAP002", HOLD, "R-VA-6", TECHNICAL)
MAP_TWO_ROWS = derived("MAP003", HOLD, "R-UN-2", TECHNICAL, Blame.MAPPING)
MAP_NO_KEY = derived("MAP004", HOLD, "R-ID-8", TECHNICAL, Blame.MAPPING)

# -- told by the pipe itself (intake.py) ----------------------------------------------------------------------------------

AGENT_UNREADABLE_ROWS = derived("AGT001", HOLD, "blame is exact", TECHNICAL, Blame.MAPPING, lowerable=False)
AGENT_FAILED = derived("AGT002", HOLD, "blame is exact", TECHNICAL, Blame.AGENT, lowerable=False)
AGENT_SAME_KEY = derived("AGT003", HOLD, "R-UN-2", TECHNICAL, lowerable=False)

# -- derived from the kind's declaration (derived.py) -----------------------------------------------------------------------

DE_MISSING = derived("DE-MISSING", HOLD, "R-CO-1, R-CO-2", VERIFIED)
DE_ONE_OF = derived("DE-ONE-OF", HOLD, "R-CO-2", SINGLE_SOURCE)
DE_FORMAT = derived("DE-FORMAT", HOLD, "WS 363", VERIFIED)
DE_PRECISION = derived("DE-PRECISION", WARN, "WS 363", VERIFIED)
DE_LENGTH = derived("DE-LENGTH", HOLD, "R-ID-8, sections/fields.csv", SINGLE_SOURCE)
DE_CODE = derived("DE-CODE", HOLD, "R-VA-1", SINGLE_SOURCE)
DATE_EARLY = derived("DATE-EARLY", WARN, "R-VA-6", FROM_MEMORY)
DATE_FUTURE = derived("DATE-FUTURE", WARN, "R-VA-6", FROM_MEMORY)

# -- text hygiene (hygiene.py) ----------------------------------------------------------------------------------------------

TEXT_CONTROL = derived("TEXT-CONTROL", HOLD, "XML 1.0 2.2; R-VA-9", TECHNICAL, lowerable=False)
TEXT_MOJIBAKE = derived("TEXT-MOJIBAKE", HOLD, "Unicode 23.8; R-VA-9", TECHNICAL)
TEXT_QUESTION_MARKS = derived("TEXT-QUESTION-MARKS", WARN, "R-VA-9", FROM_MEMORY)
TEXT_HTML = derived("TEXT-HTML", NOTE, "R-VA-9", FROM_MEMORY)
TEXT_PRIVATE_USE = derived("TEXT-PRIVATE-USE", NOTE, "Unicode 23.5; R-VA-9", TECHNICAL)
TEXT_PLACEHOLDER = derived("TEXT-PLACEHOLDER", NOTE, "R-CO-4", FROM_MEMORY)

# -- said by the profile (profiles.py) --------------------------------------------------------------------------------------

ABSENT = derived("ABSENT", NOTE, "law of lawful absence; header.md 5", VERIFIED)
