"""Values of the pipe as plain values, with their sentences in both languages: what answers are made of."""

from typing import Any, Literal

import msgspec

from frontend_agent.checks import describe
from frontend_agent.checks.catalogue import actor_name, actor_of, field_name_of, mend_of, title_of
from frontend_agent.model import Finding, Severity
from frontend_agent.spool import Case, Group

LANGUAGES: tuple[Literal["zh", "en"], ...] = ("zh", "en")
STUCK_ACTOR = {"refused": "mapping", "blocked": "makers", "damaged": "mapping"}  # who looks first, by state


def plain(value: Any) -> Any:
    """Text, numbers, lists and dictionaries alone."""
    return msgspec.to_builtins(value)


def told(finding: Finding) -> dict[str, Any]:
    """A finding with its sentence in both languages."""
    return {**plain(finding), "text": {language: describe(finding, language) for language in LANGUAGES}}


def told_case(case: Case) -> dict[str, Any]:
    """A case with its findings in words."""
    return {**plain(case), "findings": [told(finding) for finding in case.findings]}


def told_group(group: Group) -> dict[str, Any]:
    """A cause in words: what is wrong, where, who must act, and how to mend it; an example."""
    finding = group.finding or Finding(group.rule, Severity.HOLD, field=group.field, column=group.column)
    actor = STUCK_ACTOR.get(group.state, "") if group.destination else actor_of(group.rule)
    return {
        **{name: value for name, value in plain(group).items() if name != "finding"},
        "actor": actor,
        "who": {language: actor_name(actor, language) for language in LANGUAGES},
        "title": {language: title_of(group.rule, language) if group.rule else "" for language in LANGUAGES},
        "field_name": {language: _bare(field_name_of(finding, language)) for language in LANGUAGES},
        "text": {language: describe(finding, language) if group.rule else "" for language in LANGUAGES},
        "mend": {language: mend_of(group.rule, language) for language in LANGUAGES},
    }


def _bare(name: str) -> str:
    """Without the number of the example's row (`结果 #3`): the group is about all of them."""
    return name.partition(" #")[0]
