"""A region profile: when an element applies, what its absence does, how lawful absence is written (laws 3 and 4).

    title   = { zh = "日常", en = "Everyday" }
    extends = "national"               # everything not said here is as there
    default = "warn"                   # a missing value that the standard's table requires: hold, warn, note, or "" for nothing
    from_memory = "warn"               # the most that a rule known from memory only may do
    [severity]
    "DE-LENGTH" = "warn"               # per rule
    [common]                           # elements of every kind that has them
    "patient.name" = { missing = "hold" }
    "contact.address.*" = { missing = "note" }     # a star at either end: all such names that the table asks for
    [C0032.body.MO]                    # single elements of a kind's body by value type: MO money, ST text … An exact name
                                       # always says more than a pattern, and a pattern more than a value type.
    absence = "text:0"
    [C0007]
    entries = ["items.reference_range"]  # no slot in the standard: in the narrative always, as an entry where asked for
    "items.unit" = { only_with = ["value"], missing = "warn", absence = "NI" }
    [[C0007.one_of]]
    fields = ["items.value", "items.text_value"]
    missing = "hold"
    [visits]                           # when a visit is judged, and which kinds it must have (one of each list)
    inpatient = { after = "72h", required = ["C0034", ["C0032", "C0033"]] }

Keys of an element:
    missing     hold | warn | note | "" (nothing is said)
    applies     it is wanted only of these: any of WORDS
    not_for     it is not wanted of these
    only_with   it is wanted only where one of these neighbours is there (names inside the same row or signature)
    absence     how a missing value is written: omit | NI | NA | UNK | … or text:无
    answers     texts that are answers here although elsewhere they count as empty
    too_long    what an over-long value does: hold | warn | note
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, Protocol

import msgspec

from frontend_agent import shipped
from frontend_agent.checks.applicability import WORDS
from frontend_agent.checks.placeholders import without_placeholders
from frontend_agent.checks.registry import ABSENT, FROM_MEMORY, all_rules
from frontend_agent.config import duration
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.stamps import KNOWN
from frontend_agent.model import Blame, Finding, Record, Severity
from frontend_agent.shipped import Read, did_you_mean, only_known_keys, toml_of
from frontend_agent.visits import VisitTerms

BODY = "body "  # before a value type: what is said of a kind's single elements of that type
VALUE_TYPES = ("ST", "CD", "CE", "PQ", "BL", "TS", "INT", "MO", "REAL")
FLAVORS = frozenset({"NI", "NA", "UNK", "ASKU", "NAV", "NASK", "MSK", "OTH"})

_SEVERITIES = {"hold": Severity.HOLD, "warn": Severity.WARN, "note": Severity.NOTE, "": None}
_RANK = {Severity.NOTE: 0, Severity.WARN: 1, Severity.HOLD: 2}
_ELEMENT_KEYS = ("missing", "applies", "not_for", "only_with", "absence", "answers", "too_long")
_PROFILE_KEYS = ("title", "extends", "default", "from_memory", "severity", "formats", "visits", "common")
_KIND_CODE = re.compile(r"[A-Z][0-9]{4}|HSD[A-Z][0-9]{2}\.[0-9]{2}")  # C0007, HSDC00.05


class FieldLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def required(self) -> str: ...
    @property
    def value_type(self) -> str: ...
    @property
    def section_code(self) -> str: ...


class KindLike(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def fields(self) -> Any: ...
    @property
    def groups(self) -> Any: ...


class Element(msgspec.Struct, frozen=True):
    """What the profile says of one element of one kind, resolved."""

    name: str
    missing: Severity | None = None
    applies: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    only_with: tuple[str, ...] = ()  # full names
    absence: str = "omit"
    answers: frozenset[str] = frozenset()
    too_long: Severity | None = None
    required: bool = False  # the standard's table prints it as required

    @property
    def conditional(self) -> bool:
        return bool(self.applies or self.not_for or self.only_with)


class OneOf(msgspec.Struct, frozen=True):
    """Either–or elements: at least one must be there."""

    fields: tuple[str, ...]
    missing: Severity


class TracedRows(msgspec.Struct, frozen=True):
    """What the trace names where a row of a group lacks it."""

    names: Mapping[str, str]  # name in the row -> how
    all_of: Callable[[Mapping[str, str]], Any]  # raises KeyError where one of them is not there


class KindProfile(msgspec.Struct, frozen=True):
    """A profile as it speaks of one kind."""

    elements: Mapping[str, Element]
    one_of: tuple[OneOf, ...]
    absences: Mapping[str, str]  # what the renderer is told: omit or a nullFlavor
    texts: Mapping[str, str]  # field -> the text that says its absence
    traced: tuple[tuple[str, str], ...]  # scalars whose absence the trace names: (field, "field=how")
    traced_rows: Mapping[str, "TracedRows"]  # the same for the rows of groups


class Profile(msgspec.Struct, frozen=True):
    """A region profile as it was read."""

    name: str
    title: Mapping[str, str]
    default: Severity | None
    from_memory: Severity
    said: Mapping[str, Mapping[str, Mapping[str, Any]]]  # "common" or kind -> field -> what is said
    either: Mapping[str, tuple[OneOf, ...]]
    severity: Mapping[str, Severity]
    formats: Mapping[str, str]  # how dates and times are written: date, datetime
    entries: Mapping[str, tuple[str, ...]]  # kind -> what is written as an entry besides the narrative
    visits: VisitTerms  # when a visit closes, and what it must have
    digest: str
    _resolved: dict[Any, KindProfile]

    def severity_of(self, rule_id: str) -> Severity:
        """What a rule does under this profile; one known from memory only never does more than `from_memory`."""
        rule = all_rules()[rule_id]
        severity = self.severity.get(rule_id, rule.severity)
        if rule.mark == FROM_MEMORY and _RANK[severity] > _RANK[self.from_memory]:
            return self.from_memory
        return severity

    def for_kind(self, kind: KindLike) -> KindProfile:
        """What the profile says of a kind, every field and group resolved."""
        known = self._resolved.get(kind)
        if known is None:
            known = self._resolved[kind] = _resolve(self, kind)
        return known

    def absences(self, kind: KindLike) -> dict[str, str]:
        """How the renderer writes what is missing. What is not listed here, the checks have held back."""
        return dict(self.for_kind(kind).absences)

    def complete(self, kind: KindLike, record: Record) -> tuple[Record, list[Finding]]:
        """The record as it is rendered: placeholders left out, absence said in words where the profile says so.

        The notes name what is lawfully absent (law 3: the trace says so). The record given is not changed.
        """
        profile = self.for_kind(kind)
        notes: list[Finding] = []
        record, placeholders = without_placeholders(profile.elements, record)
        if placeholders:
            record = {
                name: value if isinstance(value, str) else [row for row in value if row]
                for name, value in record.items()
            }
            record = {name: value for name, value in record.items() if value}
        for name, text in profile.texts.items():
            if name not in record:
                record = record | {name: text}
                notes.append(_absent_note((f"{name}=text:{text}",), name))
        absent = [said for name, said in profile.traced if name not in record]
        for group, traced in profile.traced_rows.items():
            rows = record.get(group)
            if rows:
                try:
                    for row in rows:
                        traced.all_of(row)
                except KeyError:  # one of them is not there: now they are counted
                    absent += _absent_in_rows(group, traced.names, rows)
        if absent:
            notes.append(_absent_note(tuple(absent)))
        return record, notes


@lru_cache(maxsize=4096)
def _absent_note(said: tuple[str, ...], name: str = "") -> Finding:
    """Records of one kind mostly lack the same few elements."""
    return Finding(ABSENT.id, Severity.NOTE, Blame.SOURCE, name, arguments=(" ".join(said),))


def _absent_in_rows(group: str, traced: Mapping[str, str], rows: list[dict[str, str]]) -> Iterator[str]:
    for name, how in traced.items():
        lacking = sum(name not in row for row in rows)
        if lacking:
            yield f"{group}.{name}={how}×{lacking}"


# -- reading --------------------------------------------------------------------------------------------------------


def profile_names() -> list[str]:
    """The profiles that ship with us."""
    return shipped.shipped_names("frontend_agent.profiles")


def load_profile(name_or_path: str, read: Read = shipped.read_file) -> Profile:
    """Read a profile: `national` or `regional` by name, a site's own by the path of its .toml."""
    if shipped.is_site_file(name_or_path):
        return parse_profile(name_or_path, shipped.text_of(read, name_or_path, "profile"), name_or_path)
    known = profile_names()
    if name_or_path not in known:
        raise ConfigurationError(
            f"profile '{name_or_path}' does not ship with us{did_you_mean(name_or_path, known)}"
            f" (shipped: {', '.join(known)}; a site's own is named by the path of its .toml)"
        )
    return _shipped(name_or_path)


@cache
def _shipped(name: str) -> Profile:
    """It cannot change while we run, and every feed and every turn of the visits asks for it."""
    path = f"{name}.toml"
    return parse_profile(name, shipped.read_shipped("frontend_agent.profiles")(path), path)


def parse_profile(name: str, text: str, path: str) -> Profile:
    """Read a profile's text."""
    table = toml_of(text, path)
    kinds = [key for key in table if _KIND_CODE.fullmatch(key)]
    only_known_keys(table, (*_PROFILE_KEYS, *kinds), path)
    base: Profile | None = None
    if "extends" in table:
        if table["extends"] not in profile_names():
            raise ConfigurationError(f'{path}: extends = "{table["extends"]}": only a shipped profile can be extended')
        base = load_profile(table["extends"])
    said: dict[str, dict[str, dict[str, Any]]] = {}
    either: dict[str, tuple[OneOf, ...]] = dict(base.either) if base else {}
    entries: dict[str, tuple[str, ...]] = dict(base.entries) if base else {}
    for section in ("common", *kinds):
        given = dict(table.get(section, {}))
        for value_type, keys in _body(given.pop("body", {}), f"{path}: [{section}.body]").items():
            given[f"{BODY}{value_type}"] = keys
        if "entries" in given:
            entries[section] = _entries(given.pop("entries"), f"{path}: [{section}]")
        if "one_of" in given:
            either[section] = _one_of(given.pop("one_of"), f"{path}: [[{section}.one_of]]")
        said[section] = {field: _element_keys(field, keys, f"{path}: [{section}]") for field, keys in given.items()}
    severity = _rule_severities(table.get("severity", {}), path)
    from_memory = _severity(table, "from_memory", path, base.from_memory if base else Severity.HOLD) or Severity.NOTE
    for rule_id, wanted in severity.items():
        if all_rules()[rule_id].mark == FROM_MEMORY and _RANK[wanted] > _RANK[from_memory]:
            raise ConfigurationError(
                f'{path}: [severity] "{rule_id}" = "{wanted}": the rule is from memory, and from_memory = "{from_memory}"'
            )
    return Profile(
        name=name,
        title=table.get("title") or (base.title if base else {"zh": name, "en": name}),
        default=_severity(table, "default", path, base.default if base else Severity.HOLD),
        from_memory=from_memory,
        said=_merged(base.said, said) if base else said,
        either=either,
        severity={**(base.severity if base else {}), **severity},
        formats={**(base.formats if base else {}), **_formats(table.get("formats", {}), f"{path}: [formats]")},
        entries=entries,
        visits=_visits(table.get("visits", {}), base.visits if base else None, f"{path}: [visits]"),
        digest=hashlib.sha256(f"{base.digest if base else ''}\n{text}".replace("\r\n", "\n").encode()).hexdigest(),
        _resolved={},
    )


def _formats(table: dict[str, Any], where: str) -> dict[str, str]:
    only_known_keys(table, tuple(KNOWN), where)
    for key, name in table.items():
        if name not in KNOWN[key]:
            raise ConfigurationError(f"{where} {key} = {name!r}: not a form we write (known: {', '.join(KNOWN[key])})")
    return dict(table)


def _entries(wanted: Any, where: str) -> tuple[str, ...]:
    """Which of the kind's fields without a slot the region wants as entries; the kind knows which there are."""
    if not (isinstance(wanted, list) and all(isinstance(name, str) for name in wanted)):
        raise ConfigurationError(f'{where} entries: must be a list of fields, like ["items.reference_range"]')
    return tuple(wanted)


_NOTHING_REQUIRED = VisitTerms(
    after={"inpatient": timedelta(hours=72), "outpatient": timedelta(hours=12)},
    after_archive=timedelta(hours=1),
    required={"inpatient": (), "outpatient": ()},
)


def _visits(table: Any, base: VisitTerms | None, where: str) -> VisitTerms:
    """`inpatient = { after = "72h", required = [["C0034", "C0035"], "C0032"] }`: what is not said is the base's."""
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where} must be a table")
    only_known_keys(table, ("inpatient", "outpatient", "after_archive"), where)
    base = base or _NOTHING_REQUIRED
    after, required = dict(base.after), dict(base.required)
    for visit_class in ("inpatient", "outpatient"):
        said = table.get(visit_class, {})
        at = f"{where} {visit_class}"
        if not isinstance(said, dict):
            raise ConfigurationError(f'{at} must be {{ after = "72h", required = ["C0034"] }}')
        only_known_keys(said, ("after", "required"), at)
        after[visit_class] = _span(said, "after", after[visit_class], at)
        if "required" in said:
            required[visit_class] = _required(said["required"], at)
    return VisitTerms(
        after=after,
        after_archive=_span(table, "after_archive", base.after_archive, where),
        required=required,
    )


def _span(table: Mapping[str, Any], key: str, otherwise: timedelta, where: str) -> timedelta:
    if key not in table:
        return otherwise
    try:
        return duration(table[key])
    except ValueError as error:
        raise ConfigurationError(f"{where} {key}: must be {error}") from None


def _required(wanted: Any, where: str) -> tuple[tuple[str, ...], ...]:
    if not isinstance(wanted, list):
        raise ConfigurationError(f'{where} required: must be a list of kinds, like ["C0034", ["C0032", "C0033"]]')
    found = []
    for one in wanted:
        kinds = [one] if isinstance(one, str) else one
        if not (isinstance(kinds, list) and kinds and all(isinstance(kind, str) for kind in kinds)):
            raise ConfigurationError(f"{where} required: {one!r} is no kind, and no list of kinds of which one will do")
        found.append(tuple(kinds))
    return tuple(found)


def _body(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, dict) or not all(isinstance(keys, dict) for keys in table.values()):
        raise ConfigurationError(f'{where}: must name value types, such as MO = {{ absence = "text:0" }}')
    only_known_keys(table, VALUE_TYPES, where)
    return table


def _severity(table: Mapping[str, Any], key: str, where: str, otherwise: Severity | None) -> Severity | None:
    if key not in table:
        return otherwise
    if table[key] not in _SEVERITIES:
        raise ConfigurationError(f'{where}: {key} = "{table[key]}": must be hold, warn, note or ""')
    return _SEVERITIES[table[key]]


def _rule_severities(table: Mapping[str, Any], path: str) -> dict[str, Severity]:
    rules = all_rules()
    found: dict[str, Severity] = {}
    for rule_id in table:
        if rule_id not in rules:
            raise ConfigurationError(f"{path}: [severity]: no rule '{rule_id}'{did_you_mean(rule_id, rules)}")
        severity = _severity(table, rule_id, f"{path}: [severity]", None)
        if severity is None:
            raise ConfigurationError(f'{path}: [severity] "{rule_id}": must be hold, warn or note')
        if severity is not Severity.HOLD and not rules[rule_id].lowerable:
            raise ConfigurationError(
                f'{path}: [severity] "{rule_id}": must hold, no document can be made of such a text'
            )
        found[rule_id] = severity
    return found


def _element_keys(field: str, keys: Any, where: str) -> dict[str, Any]:
    where = f'{where} "{field}"'
    if not isinstance(keys, dict):
        raise ConfigurationError(
            f'{where} must be a table such as {{ missing = "warn" }} (is the field name in quotes?)'
        )
    only_known_keys(keys, _ELEMENT_KEYS, where)
    for key in ("missing", "too_long"):
        _severity(keys, key, where, None)
    for key in ("applies", "not_for", "only_with", "answers"):
        if not isinstance(keys.get(key, []), list):
            raise ConfigurationError(f"{where}: {key} must be a list")
    for word in (*keys.get("applies", []), *keys.get("not_for", [])):
        if word not in WORDS:
            raise ConfigurationError(
                f"{where}: unknown condition '{word}'{did_you_mean(word, WORDS)} (known: {', '.join(WORDS)})"
            )
    absence = keys.get("absence", "omit")
    if absence != "omit" and absence not in FLAVORS and not (absence.startswith("text:") and absence[5:].strip()):
        raise ConfigurationError(
            f'{where}: absence = "{absence}": must be omit, a nullFlavor ({", ".join(sorted(FLAVORS))}) or text:…'
        )
    return keys


def _one_of(given: Any, where: str) -> tuple[OneOf, ...]:
    if not isinstance(given, list):
        raise ConfigurationError(f"{where} must be a list of tables")
    found = []
    for entry in given:
        only_known_keys(entry, ("fields", "missing"), where)
        severity = _severity(entry, "missing", where, Severity.HOLD)
        fields = entry.get("fields", [])
        if len(fields) < 2 or severity is None:
            raise ConfigurationError(f"{where}: needs at least two fields, and missing = hold, warn or note")
        found.append(OneOf(tuple(fields), severity))
    return tuple(found)


def _merged(
    base: Mapping[str, Mapping[str, Mapping[str, Any]]], own: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, dict[str, dict[str, Any]]]:
    merged: dict[str, dict[str, dict[str, Any]]] = {}
    for section in {**base, **own}:
        fields = {**base.get(section, {}), **own.get(section, {})}
        merged[section] = {
            field: {**base.get(section, {}).get(field, {}), **own.get(section, {}).get(field, {})} for field in fields
        }
    return merged


# -- resolving for one kind -------------------------------------------------------------------------------------------


def _resolve(profile: Profile, kind: KindLike) -> KindProfile:
    required = {field.name: field.required for field in kind.fields} | {
        name: group.required for name, group in kind.groups.items()
    }
    groups = set(kind.groups)
    own = profile.said.get(kind.code, {})
    for name in own:
        if name not in required and not name.startswith(BODY):
            raise ConfigurationError(
                f'profile {profile.name}: [{kind.code}] "{name}": the kind has no such field{did_you_mean(name, required)}'
            )
    either = profile.either.get(kind.code, ()) + _either_of_the_kind(profile, kind)
    for choice in either:
        for name in choice.fields:
            if name not in required:
                raise ConfigurationError(
                    f"profile {profile.name}: [[{kind.code}.one_of]]: the kind has no field '{name}'"
                )
    in_a_choice = {name for choice in either for name in choice.fields}
    body = {field.name: f"{BODY}{field.value_type}" for field in kind.fields if field.section_code and not field.group}
    patterns = {name: given for name, given in profile.said.get("common", {}).items() if "*" in name}
    elements: dict[str, Element] = {}
    for name, need in required.items():
        fitting = {**own.get(body.get(name, ""), {}), **_fitting(patterns, name, need)}
        default = _severity(fitting, "missing", name, profile.default)
        fitting.pop("missing", None)  # milder or graver than the default, where the table asks at all
        keys = {**fitting, **profile.said.get("common", {}).get(name, {}), **own.get(name, {})}
        elements[name] = _element(profile, name, need, keys, required, groups, name in in_a_choice, default)
    return KindProfile(
        elements=elements,
        one_of=either,
        absences=_absences(elements, in_a_choice),
        texts={name: e.absence[5:] for name, e in elements.items() if e.absence.startswith("text:")},
        traced=tuple(
            (n, f"{n}={e.absence}") for n, e in elements.items() if _is_traced(e) and n.partition(".")[0] not in groups
        ),
        traced_rows=_traced_rows(elements, groups),
    )


def _fitting(patterns: Mapping[str, Mapping[str, Any]], name: str, need: str) -> dict[str, Any]:
    """What the patterns in [common] say of a name. They speak of what the table asks for; of the rest, only what answers it."""
    keys: dict[str, Any] = {}
    for pattern, given in patterns.items():
        begins, ends = pattern.endswith("*"), pattern.startswith("*")
        if (begins and name.startswith(pattern[:-1])) or (ends and name.endswith(pattern[1:])):
            keys = {**keys, **given}
    return keys if need in ("always", "inside") else {k: v for k, v in keys.items() if k == "answers"}


def _either_of_the_kind(profile: Profile, kind: KindLike) -> tuple[OneOf, ...]:
    """The kind's own either–or fields (`unless other`) that the profile does not speak of."""
    spoken_of = {frozenset(choice.fields) for choice in profile.either.get(kind.code, ())}
    found: dict[frozenset[str], OneOf] = {}
    for field in kind.fields:
        word, _, other = field.required.partition(" ")
        if word == "unless" and profile.default is not None:
            pair = frozenset((field.name, other))
            if pair not in spoken_of:
                found.setdefault(pair, OneOf((field.name, other), profile.default))
    return tuple(found.values())


def _element(
    profile: Profile,
    name: str,
    need: str,
    keys: Mapping[str, Any],
    names: Iterable[str],
    groups: set[str],
    in_a_choice: bool,
    otherwise: Severity | None,
) -> Element:
    prefix = name.rpartition(".")[0]
    only_with = tuple(other if other in names else f"{prefix}.{other}" for other in keys.get("only_with", ()))
    for other in only_with:
        if other not in names:
            raise ConfigurationError(f"profile {profile.name}: \"{name}\": only_with: there is no field '{other}'")
    if need == "inside" and not only_with and prefix and prefix not in groups and "missing" not in keys:
        # Part of a signature: wanted where another part of it is there, unless the profile wants it whatever else is there.
        only_with = tuple(n for n in names if n.startswith(f"{prefix}.") and n != name)
    wanted_always = need == "always" or (need == "inside" and bool(only_with))
    default = otherwise if wanted_always and not in_a_choice else None
    missing = _severity(keys, "missing", name, default)
    absence = keys.get("absence", "NI" if need in ("always", "inside") and name not in groups else "omit")
    if name in groups and absence != "omit":
        raise ConfigurationError(
            f'profile {profile.name}: "{name}": a group that is missing can only be left out (omit)'
        )
    if absence.startswith("text:") and prefix in groups:
        raise ConfigurationError(
            f'profile {profile.name}: "{name}": absence in words is for single fields, not for rows'
        )
    return Element(
        name=name,
        missing=missing,
        applies=tuple(keys.get("applies", ())),
        not_for=tuple(keys.get("not_for", ())),
        only_with=only_with,
        absence=absence,
        answers=frozenset(keys.get("answers", ())),
        too_long=_severity(keys, "too_long", name, None),
        required=need == "always",
    )


def _absences(elements: Mapping[str, Element], in_a_choice: set[str]) -> dict[str, str]:
    """What the renderer is told. An element whose absence always holds is left out: the renderer is the second guard."""
    return {
        name: "omit" if element.absence.startswith("text:") else element.absence
        for name, element in elements.items()
        if element.missing is not Severity.HOLD or element.conditional or name in in_a_choice
    }


def _is_traced(element: Element) -> bool:
    """Whether the trace names the element where it is absent: the standard's table asks for it."""
    return element.required and not element.absence.startswith("text:")


def _traced_rows(elements: Mapping[str, Element], groups: set[str]) -> dict[str, TracedRows]:
    rows: dict[str, dict[str, str]] = {}
    for name, element in elements.items():
        group, _, key = name.partition(".")
        if group in groups and key and _is_traced(element):
            rows.setdefault(group, {})[key] = element.absence
    return {group: TracedRows(names, itemgetter(*names)) for group, names in rows.items()}
