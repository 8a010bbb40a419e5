"""The rules as people read them: the sentence of a finding, the catalogue for `frontend-agent rules`, the digest of it all."""

import hashlib
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import msgspec

from frontend_agent.checks.registry import Mark, Rule, all_rules
from frontend_agent.formats.data_elements import data_element
from frontend_agent.formats.library import load_kinds
from frontend_agent.model import Finding
from frontend_agent.shipped import read_shipped, shipped_texts

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


class RuleText(msgspec.Struct, frozen=True):
    """One line of the catalogue of rules."""

    id: str
    severity: str
    title: str
    says: str
    mend: str
    who: str
    clause: str
    mark: str
    kinds: tuple[str, ...]
    fields: tuple[str, ...]


@cache
def _texts() -> Mapping[str, Any]:
    return tomllib.loads(read_shipped("frontend_agent.checks")("texts.toml"))


def title_of(rule_id: str, lang: Language = "zh") -> str:
    """A few words for a rule; its id where it is not known (a finding of a newer version)."""
    entry = _texts().get(rule_id)
    return str(entry[lang]["title"]) if entry else rule_id


def describe(finding: Finding, lang: Language = "zh") -> str:
    """What a finding says, where, and how to mend it: one paragraph for the operator. Values stay masked."""
    entry = _texts().get(finding.rule)
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
    entry = _texts().get(finding.rule)
    return _WHO[entry["who"]][lang] if entry else ""


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


def _line(rule: Rule, lang: Language) -> RuleText:
    entry = _texts()[rule.id]
    text = entry[lang]
    return RuleText(
        id=rule.id,
        severity=rule.severity.value,
        title=text["title"],
        says=text["says"],
        mend=text["mend"],
        who=_WHO[entry["who"]][lang],
        clause=rule.clause,
        mark=_MARKS[rule.mark][lang],
        kinds=rule.kinds,
        fields=rule.needs,
    )


@cache
def rules_digest() -> str:
    """SHA-256 over what decides a check: the code of the checks and of the conversions, not the texts."""
    sources = {**shipped_texts("frontend_agent.checks", ".py"), **shipped_texts("frontend_agent", "conversion.py")}
    return hashlib.sha256(msgspec.json.encode(list(sources.items()))).hexdigest()
