"""The checks that follow from a kind's declaration and the region profile: generated once, no field looked up at run time.

Presence (by the profile's applicability), format, length, value domain, plausible dates. Each finding is made on a slow path
of its own; a clean record costs one look per value.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from frontend_agent.checks.applicability import CLASS_OF_TYPE, PATIENT_CLASSES, WORDS, is_child
from frontend_agent.checks.dated import DatedCodes, has_changed
from frontend_agent.checks.masking import How, how_to_mask, mask, mask_unreadable
from frontend_agent.checks.registry import (
    DATE_EARLY,
    DATE_FUTURE,
    DE_CODE,
    DE_CODE_DATE,
    DE_FORMAT,
    DE_LENGTH,
    DE_MISSING,
    DE_ONE_OF,
    DE_PRECISION,
    Rule,
)
from frontend_agent.conversion import Memo
from frontend_agent.formats.value_sets import value_set, versions
from frontend_agent.model import Blame, Finding, Record, Severity

if TYPE_CHECKING:
    from frontend_agent.profiles.profile import Element, KindProfile, OneOf, Profile

_PLANNED = frozenset({"orders.start", "orders.end"})  # may lawfully lie in the future

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Place(NamedTuple):
    """A field as the generated code names it when it has something to say."""

    name: str  # full name, `items.unit`
    key: str  # name in its row, `unit`
    group: str
    element: str  # data element
    how: How
    numeric: bool
    missing: Severity
    too_long: Severity

    def path(self, row: int) -> str:
        return f"{self.group}[{row}].{self.key}" if row >= 0 else self.name


Check = Callable[[Record, list[Finding], Mapping[str, str]], None]


def compile_derived(kind: Any, profile: "Profile", dates: "Dates", catalogued: frozenset[str] = frozenset()) -> Check:
    """The derived checks of a kind under a profile, as one function that appends to a list of findings.

    Of the codes in `catalogued` fields nothing is said here: a catalogue decides.
    """
    writer = _Writer(kind, profile.for_kind(kind), profile, dates, catalogued)
    source = writer.function()
    namespace = writer.names
    exec(compile(source, f"<checks {kind.code}>", "exec"), namespace)  # noqa: S102  from our own declaration, at start
    check: Check = namespace["check"]
    return check


def _is_number(text: str) -> Any:
    return _NUMBER.fullmatch(text) is not None


def _is_whole(text: str) -> Any:
    return _WHOLE.fullmatch(text) is not None


def is_day(text: str) -> bool:
    """Whether eight digits are a day of the calendar."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return False
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= _DAYS_IN_MONTH[month - 1]):
        return False
    return not (month == 2 and day == 29) or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


is_known_day = lru_cache(maxsize=16_384)(is_day)  # the same birth dates and days come again and again


def is_time_of_day(text: str) -> bool:
    """Whether the digits after a day are hours, minutes and seconds (or hours and minutes)."""
    if len(text) not in (4, 6) or not (text.isascii() and text.isdigit()):
        return False
    return text[:2] < "24" and text[2:4] < "60" and text[4:] < "60"


class Dates:
    """What is wrong with a date or a moment: remembered per value, forgotten when the day changes."""

    def __init__(self) -> None:
        self.latest = ""  # tomorrow: a clock may be off
        self.days = Memo(self._day)
        self.moments = Memo(self._moment)
        self.plans = Memo(self._plan)

    def today_is(self, latest: str) -> None:
        if latest != self.latest:
            self.latest = latest
            for memo in (self.days, self.moments, self.plans):
                memo.clear()

    def _day(self, text: str) -> Any:
        return self._range(text) if is_day(text) else DE_FORMAT

    def _moment(self, text: str) -> Any:
        return self._plan(text) or self._range(text)

    def _plan(self, text: str) -> Any:
        if not is_day(text[:8]):
            return DE_FORMAT
        if len(text) == 8 or (len(text) == 12 and is_time_of_day(text[8:])):
            return DE_PRECISION
        return None if len(text) == 14 and is_time_of_day(text[8:]) else DE_FORMAT

    def _range(self, text: str) -> Rule | None:
        if text < "1900":
            return DATE_EARLY
        return DATE_FUTURE if self.latest and text[:8] > self.latest else None


class _Writer:
    """Emits the source of one check. Variables: `v` the value looked at, `n` the row's number (-1 outside of groups)."""

    def __init__(
        self, kind: Any, profile: "KindProfile", rules: "Profile", dates: Dates, catalogued: frozenset[str]
    ) -> None:
        self.kind = kind
        self.catalogued = catalogued
        self.profile = profile
        self.rules = rules
        self.groups = list(kind.groups)
        self.names: dict[str, Any] = {
            "say": _say, "say_none_of": _say_none_of, "is_child": is_child, "class_of_type": CLASS_OF_TYPE,
            "CLASSES": PATIENT_CLASSES, "numbers": Memo(_is_number), "whole": Memo(_is_whole),
            "days": dates.days, "moments": dates.moments, "plans": dates.plans,
        }  # fmt: skip
        for rule in (DE_MISSING, DE_FORMAT, DE_LENGTH, DE_CODE, DE_PRECISION):
            self.names[_constant(rule)] = (rule, rules.severity_of(rule.id))
        self.names["severities"] = {
            r: rules.severity_of(r.id)
            for r in (DE_FORMAT, DE_PRECISION, DATE_EARLY, DATE_FUTURE, DE_CODE, DE_CODE_DATE)
        }
        self.words: set[str] = set()
        self.counter = 0

    def function(self) -> str:
        body: list[str] = []
        for field in self.kind.fields:
            if not field.group:
                body += self._field(field)
        body += self._choices("")
        body += self._facts()
        for group in self.groups:
            body += self._group(group)
        head = ["get = record.get"]
        if self.words & {"outpatient", "emergency", "inpatient"}:
            head.append("patient_class = get('fact.patient_class') or class_of_type.get(get('patient.type'))")
        head += [f"when_{word} = {WORDS[word]}" for word in sorted(self.words)]
        return "def check(record, found, columns):\n" + "\n".join(f"    {line}" for line in [*head, *body])

    # -- one field

    def _field(self, field: Any) -> list[str]:
        element = self.profile.elements[field.name]
        place = self._place(field)
        key = field.name if not field.group else place.key
        number = "n" if field.group else "-1"
        looks = self._looks(field, f"found, columns, {self._keep(place)}, {number}")
        absent = self._absent(element, place, number)
        lines = [f"v = {'cell' if field.group else 'get'}({key!r})"]
        if absent:
            lines += ["if v is None:", *(f"    {line}" for line in absent)]
            if looks:
                lines += ["else:", *(f"    {line}" for line in looks)]
        elif looks:
            lines += ["if v is not None:", *(f"    {line}" for line in looks)]
        else:
            return []
        return lines

    def _absent(self, element: "Element", place: Place, number: str) -> list[str]:
        if element.missing is None:
            return []
        said = f"say(found, columns, {self._keep(place)}, {number}, DE_MISSING)"
        condition = self._condition(element)
        return [f"if {condition}: {said}"] if condition else [said]

    def _condition(self, element: "Element") -> str:
        """When the element is wanted; empty for always."""
        parts = []
        if element.applies:
            parts.append(f"({' or '.join(self._word(word) for word in element.applies)})")
        if element.not_for:
            parts.append(f"not ({' or '.join(self._word(word) for word in element.not_for)})")
        if element.only_with:
            parts.append(f"({' or '.join(self._is_there(name) for name in element.only_with)})")
        return " and ".join(parts)

    def _word(self, word: str) -> str:
        self.words.add(word)
        return f"when_{word}"

    def _is_there(self, name: str) -> str:
        group, _, key = name.partition(".")
        return f"{key!r} in row" if group in self.groups else f"{name!r} in record"

    def _looks(self, field: Any, where: str) -> list[str]:
        """The looks at a value that is there."""
        if field.value_type == "BL":
            return [f"if v != 'true' and v != 'false': say({where}, DE_FORMAT, v)"]
        if field.value_type == "TS" or field.format in ("D8", "DT15"):
            memo = "days" if field.format == "D8" else "plans" if field.name in _PLANNED else "moments"
            return [f"w = {memo}[v]", f"if w is not None: say({where}, (w, severities[w]), v)"]
        if field.value_type in ("PQ", "INT", "REAL", "MO"):
            whole = field.value_type == "INT"
            lines = [f"if not {'whole' if whole else 'numbers'}[v]: say({where}, DE_FORMAT, v)"]
            if field.max_length:
                # N..10 counts digits; a sign or a point is none.
                lines.append(f"elif len(v) > {field.max_length} and sum(map(str.isdigit, v)) > {field.max_length}:")
                lines.append(f"    say({where}, DE_LENGTH, v, '{field.max_length}')")
            return lines
        if field.name in self.catalogued:
            return []
        if field.value_type in ("CD", "CE"):
            known = value_set(field.value_set) if field.value_set else None
            if known is not None and known.complete:
                name = f"codes_{_identifier(field.name)}"
                if has_changed(versions(field.value_set)):
                    self.names[name] = DatedCodes(versions(field.value_set))
                    return [
                        f"w = {name}(v, record)",
                        f"if w is not None: say({where}, (w[0], severities[w[0]]), v, *w[1])",
                    ]
                self.names[name] = frozenset(known.entries)
                return [f"if v not in {name}: say({where}, DE_CODE, v)"]
            if field.value_set:
                return []  # ICD-10, TCM: only the shape can be judged, by a rule
        if field.max_length:
            return [f"if len(v) > {field.max_length}: say({where}, DE_LENGTH, v, '{field.max_length}')"]
        return []

    def _facts(self) -> list[str]:
        place = Place("fact.patient_class", "fact.patient_class", "", "", "shown", False, Severity.HOLD, Severity.HOLD)
        return [
            "v = get('fact.patient_class')",
            f"if v is not None and v not in CLASSES: say(found, columns, {self._keep(place)}, -1, DE_CODE, v)",
        ]

    # -- groups

    def _group(self, group: str) -> list[str]:
        element = self.profile.elements[group]
        declared = self.kind.groups[group]
        place = Place(group, group, "", "", "length", False, element.missing or Severity.HOLD, Severity.HOLD)
        absent = self._absent(element, place, "-1")
        body = [line for field in declared.fields for line in self._field(field)]
        body += self._choices(group)
        lines = [f"rows = get({group!r})"]
        if absent:
            lines += ["if not rows:", *(f"    {line}" for line in absent)]
        if body:
            loop = ["n = -1", "for row in rows:", "    n += 1", "    cell = row.get", *(f"    {line}" for line in body)]
            lines += ["if rows:" if not absent else "else:", *(f"    {line}" for line in loop)]
        return lines

    # -- either–or

    def _choices(self, group: str) -> list[str]:
        lines: list[str] = []
        for choice in self.profile.one_of:
            first = choice.fields[0]
            inside = first.partition(".")[0] if "." in first and first not in self.groups else ""
            if (inside if inside in self.groups else "") != group:
                continue
            there = " or ".join(
                f"get({name!r})" if name in self.groups else self._is_there(name) for name in choice.fields
            )
            places = tuple(self._choice_place(name, choice) for name in choice.fields)
            severity = self._keep(choice.missing)
            lines.append(f"if not ({there}):")
            lines.append(f"    say_none_of(found, columns, {self._keep(places)}, {'n' if group else '-1'}, {severity})")
        return lines

    def _choice_place(self, name: str, choice: "OneOf") -> Place:
        if name in self.groups:
            return Place(name, name, "", "", "length", False, choice.missing, choice.missing)
        return self._place(next(field for field in self.kind.fields if field.name == name))

    # -- names in the generated code

    def _place(self, field: Any) -> Place:
        element = self.profile.elements[field.name]
        return Place(
            name=field.name,
            key=field.name.removeprefix(f"{field.group}.") if field.group else field.name,
            group=field.group,
            element=field.de,
            how=how_to_mask(field.name, field.format, bool(field.value_set)),
            numeric=field.value_type in ("PQ", "INT", "REAL", "MO"),
            missing=element.missing or Severity.HOLD,
            too_long=element.too_long or self.rules.severity_of(DE_LENGTH.id),
        )

    def _keep(self, value: Any) -> str:
        self.counter += 1
        self.names[f"k{self.counter}"] = value
        return f"k{self.counter}"


def _constant(rule: Rule) -> str:
    return rule.id.replace("-", "_")


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _say(
    found: list[Finding],
    columns: Mapping[str, str],
    place: Place,
    row: int,
    said: tuple[Rule, Severity],
    value: str = "",
    *arguments: str,
) -> None:
    rule, severity = said
    if rule is DE_MISSING:
        severity = place.missing
    elif rule is DE_LENGTH:
        severity = place.too_long
        arguments = (*arguments, str(len(value)))
    shown = mask_unreadable(value) if place.numeric and rule is DE_FORMAT else mask(value, place.how)
    column = columns.get(place.name, "")
    found.append(Finding(rule.id, severity, Blame.SOURCE, place.path(row), place.element, column, shown, arguments))


def _say_none_of(
    found: list[Finding], columns: Mapping[str, str], places: tuple[Place, ...], row: int, severity: Severity
) -> None:
    """None of the either–or fields is there; said once, and not where one of them was already asked for by itself."""
    paths = [place.path(row) for place in places]
    if any(finding.field in paths for finding in found):
        return
    first = places[0]
    column, names = columns.get(first.name, ""), " / ".join(place.name for place in places)
    found.append(Finding(DE_ONE_OF.id, severity, Blame.SOURCE, paths[0], first.element, column, "", (names,)))
