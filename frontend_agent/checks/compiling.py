"""All checks of a kind under a profile, as one function: derived, hygiene, then the cross-field rules."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from frontend_agent.checks.asking import compile_rules, field_of
from frontend_agent.checks.catalogued import CatalogueChecks
from frontend_agent.checks.derived import Dates, compile_derived
from frontend_agent.checks.hygiene import is_mojibake, looks_clean, problems_of
from frontend_agent.checks.masking import How, how_to_mask, mask
from frontend_agent.checks.placeholders import without_placeholders
from frontend_agent.checks.registry import (
    DE_MISSING,
    DE_ONE_OF,
    TEXT_CONTROL,
    TEXT_MOJIBAKE,
    TEXT_PLACEHOLDER,
    Rule,
    all_rules,
)
from frontend_agent.conversion import PLACEHOLDERS
from frontend_agent.model import Finding, Record, Severity
from frontend_agent.records import texts_of

if TYPE_CHECKING:
    from frontend_agent.profiles.profile import Profile
    from frontend_agent.terms.catalogues import Shelf

Today = date | Callable[[], date]


class Checks(Protocol):
    """The compiled checks. `earlier` is what the mapping had to say: a value it left out is not missing a second time."""

    def __call__(
        self, record: Record, columns: Mapping[str, str] = ..., earlier: Sequence[Finding] = ...
    ) -> list[Finding]: ...


def compile_checks(
    kind: Any, profile: "Profile", today: Today, shelves: Mapping[str, "Shelf"] = MappingProxyType({})
) -> Checks:
    """All checks of a kind under a profile. `today` is a day, or the clock's day for a process that runs for weeks.

    `shelves`: the fields that a catalogue of the hospital or the region decides about, instead of the national table.
    """
    elements = profile.for_kind(kind).elements
    dates = Dates()
    derived = compile_derived(kind, profile, dates, frozenset(shelves))
    catalogued = CatalogueChecks(kind, shelves)
    speaker = _Speaker(kind, profile, frozenset(shelves))
    ask = compile_rules(kind, all_rules().values())
    what_day = today if callable(today) else (lambda: today)
    days: dict[date, tuple[str, str]] = {}

    def day() -> tuple[str, str]:
        """Today and tomorrow as text."""
        now = what_day()
        texts = days.get(now)
        if texts is None:
            days.clear()
            texts = days[now] = (f"{now:%Y%m%d}", f"{now + timedelta(days=1):%Y%m%d}")
        return texts

    def check(record: Record, columns: Mapping[str, str] = _NOTHING, earlier: Sequence[Finding] = ()) -> list[Finding]:
        found: list[Finding] = []
        left_out: dict[str, str] = {}
        texts = texts_of(record)
        if not PLACEHOLDERS.isdisjoint(texts):
            record, left_out = without_placeholders(elements, record)
        now, tomorrow = day()
        dates.today_is(tomorrow)
        derived(record, found, columns)
        if not looks_clean("\n".join(texts)) or is_mojibake(record.get("patient.name", "")):
            _hygiene(record, found, columns, speaker)

        def say(rule: Rule, path: str, value: str, said: tuple[str, ...]) -> None:
            found.append(speaker.finding(rule, path, value, columns, said))

        if catalogued:
            catalogued(record, say)
        ask(record, say, now)
        if left_out:
            _placeholders(found, left_out, columns, speaker)
        if earlier:
            told = {finding.field for finding in earlier}
            found = [f for f in found if f.field not in told or f.rule not in (DE_MISSING.id, DE_ONE_OF.id)]
        return found

    return check


_NOTHING: Mapping[str, str] = {}


class _Speaker:
    """Makes findings: knows each field's data element, how its values may be shown, and what each rule does."""

    def __init__(self, kind: Any, profile: "Profile", catalogued: frozenset[str] = frozenset()) -> None:
        self.kind = kind.code
        self.elements: dict[str, str] = {field.name: field.de for field in kind.fields}
        self.how: dict[str, How] = {
            f.name: how_to_mask(f.name, f.format, bool(f.value_set) or f.name in catalogued) for f in kind.fields
        }
        self.severity: dict[str, Severity] = {rule_id: profile.severity_of(rule_id) for rule_id in all_rules()}

    def finding(
        self, rule: Rule, path: str, value: str, columns: Mapping[str, str], arguments: tuple[str, ...] = ()
    ) -> Finding:
        name = field_of(path)
        shown = mask(value, self.how.get(name) or how_to_mask(name))
        column = columns.get(name, "")
        return Finding(
            rule.id, self.severity[rule.id], rule.blame, path, self.elements.get(name, ""), column, shown, arguments
        )


def _hygiene(record: Record, found: list[Finding], columns: Mapping[str, str], speaker: _Speaker) -> None:
    for path, text in _paths(record):
        for rule in problems_of(text):
            shown = "" if rule in (TEXT_CONTROL, TEXT_MOJIBAKE) else text
            found.append(speaker.finding(rule, path, shown, columns))


def _paths(record: Record) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in record.items():
        if isinstance(value, str):
            found.append((name, value))
        else:
            found += [(f"{name}[{at}].{key}", text) for at, row in enumerate(value) for key, text in row.items()]
    return found


def _placeholders(
    found: list[Finding], left_out: Mapping[str, str], columns: Mapping[str, str], speaker: _Speaker
) -> None:
    """A placeholder counts as empty: where that is a finding it is shown there, elsewhere it is noted."""
    told = set()
    for at, finding in enumerate(found):
        if finding.rule == DE_MISSING.id and finding.field in left_out:
            told.add(finding.field)
            found[at] = Finding(
                finding.rule, finding.severity, finding.blame, finding.field, finding.data_element, finding.column,
                left_out[finding.field],
            )  # fmt: skip
    for path, text in left_out.items():
        if path not in told:
            note = speaker.finding(TEXT_PLACEHOLDER, path, "", columns)
            found.append(Finding(note.rule, note.severity, note.blame, path, note.data_element, note.column, text))
