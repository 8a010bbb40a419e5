"""What a report calls things: kinds, rules and elements in the reader's language."""

from functools import cache
from typing import Literal, NamedTuple

from frontend_agent.checks import rules_catalogue
from frontend_agent.formats import kind_codes, load_kind
from frontend_agent.formats.tables import table
from frontend_agent.visits import VISIT

Language = Literal["zh", "en"]


class RuleName(NamedTuple):
    """A rule as an auditor looks for it."""

    title: str
    dimension: str
    who: str


@cache
def _kinds() -> dict[str, tuple[str, str]]:
    return {row["code"]: (row["name_zh"], row["name_en"]) for row in table("documents.csv")}


@cache
def _rules(language: Language) -> dict[str, RuleName]:
    return {line.id: RuleName(line.title, line.dimension_name, line.who) for line in rules_catalogue(language)}


@cache
def _fields(kind: str) -> dict[str, tuple[str, str, str]]:
    if kind not in kind_codes():
        return {}
    loaded = load_kind(kind)
    groups = {name: (group.name_zh, group.name_en, "") for name, group in loaded.groups.items()}
    return groups | {field.name: (field.name_zh, field.name_en, field.de) for field in loaded.fields}


class Names:
    """Everything by its id; what is not known is called by its id."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._at = 0 if language == "zh" else 1

    def kind(self, code: str) -> str:
        if code == VISIT:
            return ("就诊（多份文档之间）", "Visits, across their documents")[self._at]
        return _kinds().get(code, (code, code))[self._at] or code

    def rule(self, rule_id: str) -> RuleName:
        return _rules(self.language).get(rule_id, RuleName(rule_id, "", ""))

    def element(self, kind: str, field: str) -> str:
        found = _fields(kind).get(field)
        return (found[self._at] or found[0]) if found else ""

    def data_element(self, kind: str, field: str) -> str:
        found = _fields(kind).get(field)
        return found[2] if found else ""
