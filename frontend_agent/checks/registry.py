"""The register of rules: one function each, with an id that never changes and is never reused.

    @rule("ID-SEX", HOLD, about=AGREES, clause="R-ID-3", mark=VERIFIED, needs=("patient.id_number", "patient.sex"))
    def sex_agrees(record: Record) -> Problem | None: ...

A rule is declared by fields, not by kinds: it is asked in every kind that has the fields it `needs` and the ones it looks
at `also`, and of a record only when every field it needs is there (absence is another rule's business, unless it says
`also`). Kinds are named only where a field means something else elsewhere. There are three forms:

- of a record: `check(record)` or `check(record, today)` returns a Problem, its field first, or yields several;
- `each=`: of every value whose field the selector takes, scalar or in a row: `check(value)` or `check(value, record)`
  returns what the text wants to say, `()` for nothing, None for no objection;
- `rows=`: of every row of these groups: `check(row)` or `check(row, record)` returns the key in the row first. In `needs`
  and `also`, `this.dose` is a field of the row.
- `lists=`: of all rows of one of these groups together: `check(rows)` yields the row's number and the key in it first.

Whether what a rule says holds a record is the profile's decision.
"""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec

from frontend_agent.checks.selectors import Selector
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

Category = Literal["conformance", "completeness", "plausibility"]
Dimension = Literal["completeness", "conformity", "consistency", "timeliness", "uniqueness", "plausibility"]


class About(NamedTuple):
    """What a rule judges: Kahn's category (doi:10.13063/2327-9214.1244) and the dimension Chinese platforms report by."""

    category: Category
    dimension: Dimension


PRESENT = About("completeness", "completeness")  # something follows, and is not there
FORM = About("conformance", "conformity")  # the shape of a value, its table
SUM = About("conformance", "consistency")  # what is computed from other values
AGREES = About("plausibility", "consistency")  # two statements about one thing
ORDER = About("plausibility", "consistency")  # one moment against another
LIKELY = About("plausibility", "plausibility")  # what cannot be, or hardly
ONCE = About("plausibility", "uniqueness")
IN_TIME = About("plausibility", "timeliness")  # written when the rules of record-keeping want it

ALL_KINDS: tuple[str, ...] = ()
THIS = "this."  # a field of the row, as in the templates

Problem = tuple[str, ...]  # field path ("items[3].unit"), then the arguments of the text
Said = tuple[str, ...]  # the arguments alone
Check = Callable[..., Any]  # record [, today] -> Problem | None, or an iterator of Problems


class Rule(msgspec.Struct, frozen=True):
    """One rule. `check` is None for the rules that are derived from the kind's declaration or told by the mapping."""

    id: str
    severity: Severity
    about: About
    clause: str
    mark: Mark
    kinds: tuple[str, ...] = ALL_KINDS
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    each: Selector | None = None
    rows: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    among: tuple[str, ...] = ()  # at least one of these fields or groups
    values: bool = False  # a relation
    blame: Blame = Blame.SOURCE
    check: Check | None = None
    second: bool = False  # it takes a second argument: today, or the record around the value or row
    yields: bool = False
    lowerable: bool = True  # False: the document could not be made at all

    def speaks_of(self, kind: str) -> bool:
        return not self.kinds or kind in self.kinds

    @property
    def related(self) -> int:
        """How many values it sets in relation to each other, as far as it names them."""
        return len({*self.needs, *self.also}) + (self.each is not None) + min(len(self.among), 2) + 2 * bool(self.lists)


_rules: dict[str, Rule] = {}


def rule(
    id: str,
    severity: Severity,
    *kinds: str,
    about: About,
    clause: str,
    mark: Mark,
    needs: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    each: Selector | None = None,
    rows: tuple[str, ...] = (),
    lists: tuple[str, ...] = (),
    among: tuple[str, ...] = (),
    blame: Blame = Blame.SOURCE,
) -> Callable[[Check], Check]:
    """Register a rule; its form follows from `each`, `rows` and `lists`."""

    def register(check: Check) -> Check:
        second = len(inspect.signature(check).parameters) == 2
        yields = inspect.isgeneratorfunction(check)
        _add(
            Rule(
                id, severity, about, clause, mark, kinds, needs, also, each, rows, lists, among,
                blame=blame, check=check, second=second, yields=yields,
            )
        )  # fmt: skip
        return check

    return register


def relation(
    id: str,
    severity: Severity,
    *kinds: str,
    about: About,
    clause: str,
    mark: Mark,
    of: tuple[str, ...],
    also: tuple[str, ...] = (),
    rows: tuple[str, ...] = (),
) -> Callable[[Check], Check]:
    """Register a rule about values that stand beside each other in a record, or in each row of these groups."""

    def register(check: Check) -> Check:
        _add(Rule(id, severity, about, clause, mark, kinds, of, also, rows=rows, values=True, check=check))
        return check

    return register


def derived(
    id: str,
    severity: Severity,
    about: About,
    clause: str,
    mark: Mark,
    blame: Blame = Blame.SOURCE,
    lowerable: bool = True,
) -> Rule:
    """Register a rule that has no function of its own."""
    return _add(Rule(id, severity, about, clause, mark, blame=blame, lowerable=lowerable))


def _add(new: Rule) -> Rule:
    if new.id in _rules:
        raise AssertionError(f"rule id used twice: {new.id}")
    _rules[new.id] = new
    return new


def all_rules() -> Mapping[str, Rule]:
    """Every rule by id."""
    return MappingProxyType(_rules)


# -- told by the mapping (mapping.py) -------------------------------------------------------------------------------------

MAP_UNMAPPED = derived("MAP001", HOLD, FORM, "R-VA-1", VERIFIED, Blame.MAPPING)
MAP_UNREADABLE = derived("MAP002", HOLD, FORM, "R-VA-6", TECHNICAL)
MAP_TWO_ROWS = derived("MAP003", HOLD, ONCE, "R-UN-2", TECHNICAL, Blame.MAPPING)
MAP_NO_KEY = derived("MAP004", HOLD, PRESENT, "R-ID-8", TECHNICAL, Blame.MAPPING)

READ_COLUMN = derived("READ-COLUMN", HOLD, FORM, "R-VA-9", TECHNICAL)
JOIN_PARTNER_MISSING = derived("JOIN-PARTNER-MISSING", HOLD, PRESENT, "R-CO-1", TECHNICAL)
JOIN_PARTNER_AMBIGUOUS = derived("JOIN-PARTNER-AMBIGUOUS", HOLD, ONCE, "R-UN-2", TECHNICAL)

# -- told of a code map, before any record is read (terms/traps.py) -----------------------------------------------------------

TERM_FOREIGN = derived("TERM-FOREIGN", HOLD, FORM, "R-VA-1", VERIFIED, Blame.MAPPING, lowerable=False)
TERM_NAME = derived("TERM-NAME", HOLD, AGREES, "R-VA-1", TECHNICAL, Blame.MAPPING, lowerable=False)
TERM_RH = derived("TERM-RH", HOLD, AGREES, "WS 364.9 CV04.50.020", VERIFIED, Blame.MAPPING, lowerable=False)
TERM_RH_UNNAMED = derived("TERM-RH-UNNAMED", WARN, AGREES, "WS 364.9 CV04.50.020", VERIFIED, Blame.MAPPING)
TERM_CONFLICT = derived("TERM-CONFLICT", WARN, FORM, "WS 364.17 CV09.00.403", VERIFIED, Blame.MAPPING)
TERM_ID_TYPE = derived("TERM-ID-TYPE", WARN, FORM, "WS 364.3 CV02.01.101", SINGLE_SOURCE, Blame.MAPPING)
TERM_MARITAL = derived("TERM-MARITAL", WARN, AGREES, "GB/T 2261.2", VERIFIED, Blame.MAPPING)
TERM_ETHNIC = derived("TERM-ETHNIC", HOLD, FORM, "GB 3304", VERIFIED, Blame.MAPPING, lowerable=False)
TERM_ETHNIC_ORDER = derived("TERM-ETHNIC-ORDER", WARN, AGREES, "GB 3304", VERIFIED, Blame.MAPPING)
TERM_ENDED = derived("TERM-ENDED", WARN, FORM, "R-VA-1", TECHNICAL, Blame.MAPPING)

# -- told by the pipe itself (intake.py) ----------------------------------------------------------------------------------

AGENT_UNREADABLE_ROWS = derived("AGT001", HOLD, FORM, "blame is exact", TECHNICAL, Blame.MAPPING, lowerable=False)
AGENT_FAILED = derived("AGT002", HOLD, FORM, "blame is exact", TECHNICAL, Blame.AGENT, lowerable=False)
AGENT_SAME_KEY = derived("AGT003", HOLD, ONCE, "R-UN-2", TECHNICAL, lowerable=False)
AGENT_VANISHED = derived("AGT004", HOLD, ONCE, "law 3", TECHNICAL, lowerable=False)
AGENT_NO_SIGNER = derived("AGT005", HOLD, FORM, "signatures", TECHNICAL, Blame.AGENT, lowerable=False)

# -- told of finished documents that pass through (passing.py) --------------------------------------------------------------

CDA_STRUCTURE = derived("CDA-STRUCTURE", HOLD, FORM, "header.md 1; CDA R2", VERIFIED, lowerable=False)
CDA_KIND = derived("CDA-KIND", HOLD, FORM, "header.md 1", VERIFIED, Blame.MAPPING, lowerable=False)
CDA_INSTITUTION = derived("CDA-INSTITUTION", HOLD, FORM, "header.md 3.2", VERIFIED, Blame.MAPPING, lowerable=False)
CDA_SIGNATURE = derived("CDA-SIGNATURE", WARN, FORM, "signatures", TECHNICAL)
CDA_NOTE = derived("CDA-NOTE", NOTE, FORM, "header.md", SINGLE_SOURCE)

# -- told by the policy of what may leave (policy.py, withholding.py) -------------------------------------------------------

POLICY_LEFT_OUT = derived("POL001", NOTE, PRESENT, "data class", TECHNICAL, Blame.AGENT)
POLICY_DEIDENTIFIED = derived("POL003", NOTE, PRESENT, "GB/T 39725", FROM_MEMORY, Blame.AGENT)
POLICY_UNDECIDED = derived("POL002", HOLD, FORM, "withholding", TECHNICAL, Blame.MAPPING, lowerable=False)

# -- derived from the kind's declaration (derived.py) -----------------------------------------------------------------------

DE_MISSING = derived("DE-MISSING", HOLD, PRESENT, "R-CO-1, R-CO-2", VERIFIED)
DE_ONE_OF = derived("DE-ONE-OF", HOLD, PRESENT, "R-CO-2", SINGLE_SOURCE)
DE_FORMAT = derived("DE-FORMAT", HOLD, FORM, "WS 363", VERIFIED)
DE_PRECISION = derived("DE-PRECISION", WARN, FORM, "WS 363", VERIFIED)
DE_LENGTH = derived("DE-LENGTH", HOLD, FORM, "R-ID-8, sections/fields.csv", SINGLE_SOURCE)
DE_CODE = derived("DE-CODE", HOLD, FORM, "R-VA-1", SINGLE_SOURCE)
CAT_CODE = derived("CAT-CODE", HOLD, FORM, "R-VA-3", TECHNICAL)
CAT_NAME = derived("CAT-NAME", WARN, AGREES, "R-VA-3", TECHNICAL)
DE_CODE_DATE = derived("DE-CODE-DATE", HOLD, FORM, "R-VA-1", TECHNICAL)
DATE_EARLY = derived("DATE-EARLY", WARN, LIKELY, "R-VA-6", FROM_MEMORY)
DATE_FUTURE = derived("DATE-FUTURE", WARN, LIKELY, "R-VA-6", FROM_MEMORY)

# -- text hygiene (hygiene.py) ----------------------------------------------------------------------------------------------

TEXT_CONTROL = derived("TEXT-CONTROL", HOLD, FORM, "XML 1.0 2.2; R-VA-9", TECHNICAL, lowerable=False)
TEXT_MOJIBAKE = derived("TEXT-MOJIBAKE", HOLD, FORM, "Unicode 23.8; R-VA-9", TECHNICAL)
TEXT_QUESTION_MARKS = derived("TEXT-QUESTION-MARKS", WARN, FORM, "R-VA-9", FROM_MEMORY)
TEXT_HTML = derived("TEXT-HTML", NOTE, FORM, "R-VA-9", FROM_MEMORY)
TEXT_PRIVATE_USE = derived("TEXT-PRIVATE-USE", NOTE, FORM, "Unicode 23.5; R-VA-9", TECHNICAL)
TEXT_PLACEHOLDER = derived("TEXT-PLACEHOLDER", NOTE, PRESENT, "R-CO-4", FROM_MEMORY)

# -- said by the profile (profiles.py) --------------------------------------------------------------------------------------

ABSENT = derived("ABSENT", NOTE, PRESENT, "law of lawful absence; header.md 5", VERIFIED)
