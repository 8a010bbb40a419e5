"""The rules as people read them: the sentence of a finding, the catalogue for `frontend-agent rules`, the digest of it all."""

import hashlib
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import msgspec

from frontend_agent.checks.asking import compile_rules, field_of, fields_of
from frontend_agent.checks.masking import how_to_mask, mask
from frontend_agent.checks.registry import THIS, Category, Dimension, Mark, Rule, all_rules
from frontend_agent.errors import FrontendAgentError
from frontend_agent.formats.data_elements import data_element
from frontend_agent.formats.library import load_kind, load_kinds
from frontend_agent.model import Finding, Record
from frontend_agent.shipped import did_you_mean, read_shipped, shipped_texts

Language = Literal["zh", "en"]

_WHO: Mapping[str, Mapping[str, str]] = {
    "hospital": {"zh": "医院科室", "en": "the hospital's staff"},
    "mapping": {"zh": "医院信息科（映射与配置）", "en": "the hospital's IT (mapping, configuration)"},
    "vendor": {"zh": "医院信息科与系统厂商", "en": "the hospital's IT and the system's vendor"},
    "makers": {"zh": "前置机软件维护方", "en": "the makers of this program"},
    "nobody": {"zh": "无需处理", "en": "nobody"},
}
_MARKS: Mapping[Mark, Mapping[str, str]] = {
    "V": {"zh": "多源证实", "en": "verified"},
    "1": {"zh": "单一来源", "en": "single source"},
    "M": {"zh": "仅凭记忆", "en": "from memory"},
    "T": {"zh": "技术规范", "en": "technical"},
}


_CATEGORIES: Mapping[Category, Mapping[str, str]] = {
    "conformance": {"zh": "符合性", "en": "conformance"},
    "completeness": {"zh": "完备性", "en": "completeness"},
    "plausibility": {"zh": "可信性", "en": "plausibility"},
}
_DIMENSIONS: Mapping[Dimension, Mapping[str, str]] = {
    "completeness": {"zh": "完整性", "en": "completeness"},
    "conformity": {"zh": "规范性", "en": "conformity"},
    "consistency": {"zh": "一致性", "en": "consistency"},
    "timeliness": {"zh": "及时性", "en": "timeliness"},
    "uniqueness": {"zh": "唯一性", "en": "uniqueness"},
    "plausibility": {"zh": "合理性", "en": "plausibility"},
}
CATEGORIES, DIMENSIONS = tuple(_CATEGORIES), tuple(_DIMENSIONS)


class RuleText(msgspec.Struct, frozen=True):
    """One line of the catalogue of rules."""

    id: str
    severity: str
    category: Category  # Kahn
    dimension: Dimension
    dimension_name: str
    title: str
    says: str
    mend: str
    who: str
    clause: str
    mark: str
    since: str
    kinds: tuple[str, ...]  # named by the rule; none: every kind that has the fields
    fields: tuple[str, ...]
    related: int  # how many values it sets in relation to each other


class Example(msgspec.Struct, frozen=True):
    """A fragment of a record that a rule lets pass, and one it objects to: the test of the rule and its documentation."""

    kind: str
    passing: Record
    failing: Record
    at: str  # where it objects
    today: str  # the day it is asked on, yyyyMMdd


@cache
def texts() -> Mapping[str, Any]:
    """Every rule's texts, those of its family filled in."""
    table = tomllib.loads(read_shipped("frontend_agent.checks")("texts.toml"))
    return {
        rule_id: _like(table[entry["like"]], entry) if "like" in entry else entry
        for rule_id, entry in table.items()
        if not rule_id.startswith("@")
    }


def _like(family: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**family, **entry, **{lang: {**family[lang], **entry[lang]} for lang in ("zh", "en")}}


@cache
def _examples() -> Mapping[str, Any]:
    return tomllib.loads(read_shipped("frontend_agent.checks")("examples.toml"))


def example_of(rule_id: str) -> Example | None:
    """The example of a rule; None for rules that speak of rows rather than of a record."""
    entry = _examples().get(rule_id)
    if entry is None:
        return None
    passing = entry["passing"]
    failing = {
        name: v for name, v in {**passing, **entry.get("failing", {})}.items() if name not in entry.get("without", ())
    }
    return Example(entry["kind"], passing, failing, entry["at"], entry.get("today", "20261001"))


@cache
def _said_of_example(rule_id: str) -> Finding | None:
    """What a rule says of its faulty example, so that its sentence can be shown with something in it."""
    example, rule = example_of(rule_id), all_rules()[rule_id]
    said: list[Finding] = []
    if example is not None and rule.check is not None:
        kind = load_kind(example.kind)
        how = {f.name: how_to_mask(f.name, f.format, bool(f.value_set)) for f in kind.fields}

        def keep(_: Rule, path: str, value: str, arguments: tuple[str, ...]) -> None:
            name = field_of(path)
            shown = mask(value, how.get(name) or how_to_mask(name))
            said.append(Finding(rule_id, rule.severity, field=path, value=shown, arguments=arguments))

        compile_rules(kind, [rule])(example.failing, keep, example.today)
    return said[0] if said else None


def rule_ids_with_examples() -> list[str]:
    """Every rule of which there is an example."""
    return list(_examples())


def title_of(rule_id: str, lang: Language = "zh") -> str:
    """A few words for a rule; its id where it is not known (a finding of a newer version)."""
    entry = texts().get(rule_id)
    return str(entry[lang]["title"]) if entry else rule_id


def describe(finding: Finding, lang: Language = "zh") -> str:
    """What a finding says, where, and how to mend it: one paragraph for the operator. Values stay masked."""
    entry = texts().get(finding.rule)
    place = _place(finding, lang)
    if entry is None:
        return f"{place}{finding.rule} {finding.value} {' '.join(finding.arguments)}".strip()
    text = entry[lang]
    says = _filled(text["says"], finding)
    if lang == "zh":
        return f"{place}{text['title']}：{says}处理：{text['mend']}（{_WHO[entry['who']]['zh']}）"
    return f"{place}{text['title']}: {says} To mend: {text['mend']} ({_WHO[entry['who']]['en']})"


def who_must_act(finding: Finding, lang: Language = "zh") -> str:
    """Who can mend what a finding speaks of."""
    entry = texts().get(finding.rule)
    return _WHO[entry["who"]][lang] if entry else ""


def actor_of(rule_id: str) -> str:
    """Who can mend what a rule speaks of, as one word: hospital, mapping, vendor, makers, nobody; "" for an unknown rule."""
    entry = texts().get(rule_id)
    return str(entry["who"]) if entry else ""


def actor_name(actor: str, lang: Language = "zh") -> str:
    """The words for it."""
    return _WHO[actor][lang] if actor in _WHO else actor


def mend_of(rule_id: str, lang: Language = "zh") -> str:
    """What to do about a rule's findings."""
    entry = texts().get(rule_id)
    return str(entry[lang]["mend"]) if entry else ""


def field_name_of(finding: Finding, lang: Language = "zh") -> str:
    """The field's name as people say it; "" where it has none."""
    return _field_name(finding, lang)


def _filled(sentence: str, finding: Finding) -> str:
    text = sentence.replace("{value}", finding.value)
    for number, argument in enumerate(finding.arguments):
        text = text.replace(f"{{{number}}}", argument)
    return text.strip()


def _place(finding: Finding, lang: Language) -> str:
    """姓名（patient.name，DE02.01.039.00，列 brxx.xm）："""
    if not finding.field:
        return ""
    name = _field_name(finding, lang)
    details = [part for part in (finding.field if name else "", finding.data_element) if part]
    if finding.column:
        details.append(f"列 {finding.column}" if lang == "zh" else f"column {finding.column}")
    joined = ("，" if lang == "zh" else ", ").join(details)
    shown = name or finding.field
    if lang == "zh":
        return f"{shown}（{joined}）：" if joined else f"{shown}："
    return f"{shown} ({joined}): " if joined else f"{shown}: "


def _field_name(finding: Finding, lang: Language) -> str:
    group, bracket, rest = finding.field.partition("[")
    path = f"{group}{rest.partition(']')[2]}" if bracket else finding.field
    names = _field_names().get(path)
    if names is not None:
        row = f"{rest.partition(']')[0]}" if bracket else ""
        shown = names[0] if lang == "zh" else names[1]
        return f"{shown} #{int(row) + 1}" if row.isdecimal() else shown
    element = data_element(finding.data_element) if finding.data_element and lang == "zh" else None
    return element.name_zh if element else ""


@cache
def _field_names() -> Mapping[str, tuple[str, str]]:
    """field -> its names; where kinds name it differently, the first kind's."""
    found: dict[str, tuple[str, str]] = {}
    for kind in load_kinds().values():
        for name, group in kind.groups.items():
            found.setdefault(name, (group.name_zh, group.name_en))
        for field in kind.fields:
            found.setdefault(field.name, (field.name_zh, field.name_en))
    return found


def rules_catalogue(lang: Language = "zh") -> list[RuleText]:
    """Every rule with its texts, for `frontend-agent rules`."""
    return [_line(rule, lang) for rule in all_rules().values()]


def rule_text(rule_id: str, lang: Language = "zh") -> RuleText:
    """One rule's line, its sentence as its example has it; FrontendAgentError where there is no such rule."""
    rules = all_rules()
    if rule_id not in rules:
        raise FrontendAgentError(f"no rule '{rule_id}'{did_you_mean(rule_id, rules)}")
    return _line(rules[rule_id], lang, _said_of_example(rule_id))


def _line(rule: Rule, lang: Language, said: Finding | None = None) -> RuleText:
    entry = texts()[rule.id]
    text = entry[lang]
    return RuleText(
        id=rule.id,
        severity=rule.severity.value,
        category=rule.about.category,
        dimension=rule.about.dimension,
        dimension_name=_DIMENSIONS[rule.about.dimension][lang],
        title=text["title"],
        says=_filled(text["says"], said or Finding(rule.id, rule.severity, value="…", arguments=("…",) * 4)),
        mend=text["mend"],
        who=_WHO[entry["who"]][lang],
        clause=rule.clause,
        mark=_MARKS[rule.mark][lang],
        since=entry["since"],
        kinds=rule.kinds,
        fields=_fields_said(rule),
        related=rule.related,
    )


def _fields_said(rule: Rule) -> tuple[str, ...]:
    """The fields as the rule names them; `operations.date` for `this.date` of the rows of operations."""
    named = [
        f"{'|'.join(rule.rows)}.{n.removeprefix(THIS)}" if n.startswith(THIS) else n
        for n in (*rule.needs, *rule.also, *rule.lists, *rule.among)
    ]
    return (rule.each.said, *named) if rule.each else tuple(named)


def kinds_of(rule_id: str) -> dict[str, list[str]]:
    """The kinds a rule is asked of, and of which of their fields."""
    asked = {code: fields_of(all_rules()[rule_id], kind) for code, kind in load_kinds().items()}
    return {code: fields for code, fields in asked.items() if fields is not None}


@cache
def rules_version() -> str:
    """The version of the national pack that brought the newest rule."""
    return str(max(int(entry["since"]) for entry in texts().values()))


@cache
def rules_digest() -> str:
    """SHA-256 over what decides a check: the code of the checks and of the conversions, not the texts."""
    sources = {**shipped_texts("frontend_agent.checks", ".py"), **shipped_texts("frontend_agent", "conversion.py")}
    return hashlib.sha256(msgspec.json.encode(list(sources.items()))).hexdigest()
