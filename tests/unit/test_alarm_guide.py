"""The runbook, in both languages: each kind of alarm has its section, with the very texts that the program says; each key of [alarms]
its line with its default; each example is taken; each figure of monitoring has its line."""

import re
import string
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.alarms import KINDS
from frontend_agent.alarms.model import DestinationFacts, Facts, GapFacts, LogFacts
from frontend_agent.alarms.monitoring import figures_of
from frontend_agent.alarms.texts import TEXTS, Language
from frontend_agent.config import duration, parse_config
from frontend_agent.config_alarms import AlarmsConfig
from tests.unit.test_config_alarms import BASE

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"
ENDINGS: dict[Language, str] = {"zh": ".md", "en": ".en.md"}
ALARMS, MONITORING = (
    {language: (GUIDE / f"{name}{ending}").read_text("utf-8") for language, ending in ENDINGS.items()}
    for name in ("alarms", "monitoring")
)
RUNBOOK: dict[Language, str] = {"zh": "\n## 告警处理手册\n", "en": "\n## Runbook\n"}
LABELS: dict[Language, tuple[str, str, str]] = {"zh": ("提示", "原因", "处理"), "en": ("Says", "Cause", "Mend")}
ERROR: dict[Language, str] = {"zh": "（错误原文）", "en": "(the error itself)"}

in_both = pytest.mark.parametrize("language", ENDINGS)


def sections(language: Language) -> dict[str, str]:
    """The sections of the runbook by their kind."""
    _, found, runbook = ALARMS[language].partition(RUNBOOK[language])
    assert found
    parts = re.split(r"^### ([a-z_]+)$", runbook, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def shown(text: str, language: Language) -> str:
    """A text of an alarm as the page has it: NAME for the subject, dots for the figures."""
    said = {"subject": "NAME", "problem": ERROR[language]}
    return "".join(
        literal + (said.get(name, "…") if name else "") for literal, name, _, _ in string.Formatter().parse(text)
    )


@in_both
def test_each_kind_has_its_section_and_no_section_is_without_a_kind(language: Language) -> None:
    assert sections(language).keys() == KINDS.keys()


@in_both
@pytest.mark.parametrize("kind", KINDS)
def test_a_section_says_what_the_program_says(kind: str, language: Language) -> None:
    colon = "：" if language == "zh" else ": "
    told = dict(re.findall(rf"^\*\*(\w+)\*\*{colon}(.*)$", sections(language)[kind], re.MULTILINE))
    texts = getattr(TEXTS[kind], language)
    assert told == dict(zip(LABELS[language], (shown(text, language) for text in texts), strict=True))


@in_both
def test_each_limit_has_its_line_with_its_default(language: Language) -> None:
    told: dict[str, Any] = {}
    for keys, defaults in re.findall(
        r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| (`[^|]+`) \|", ALARMS[language], re.MULTILINE
    ):
        names, values = re.findall(r"`([^`]+)`", keys), re.findall(r"`([^`]+)`", defaults)
        told |= dict(zip(names, values, strict=True))
    known = {one.name: getattr(AlarmsConfig(), one.name) for one in fields(AlarmsConfig)}
    wanted = {name: value for name, value in known.items() if name not in ("mute", "mail", "webhooks")}
    assert told.keys() == wanted.keys()
    for name, value in wanted.items():
        text = told[name]
        assert (duration(text.strip('"')) if isinstance(value, timedelta) else type(value)(text.strip('"'))) == value, (
            name
        )


@pytest.mark.parametrize(
    "example", [one for page in ALARMS.values() for one in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
)
def test_each_example_is_taken(example: str) -> None:
    assert parse_config(BASE + example).alarms != AlarmsConfig()


@in_both
def test_each_figure_has_its_line(language: Language) -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 18, tzinfo=UTC)
    there = DestinationFacts(name="platform", skew=timedelta(seconds=1))
    facts = Facts(now=now, images=True, destinations=(there,), log=LogFacts(), gap=GapFacts())
    known = figures_of(facts, AlarmsConfig()).keys()
    table = (
        MONITORING[language].partition("| figure |" if language == "en" else "| 数字 |")[2].partition("**Zabbix**")[0]
    )
    told = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert told == known | {"spool", "images", "disk", "certificate_days"}
