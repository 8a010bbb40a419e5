"""The runbook: each kind of alarm has its section, each key of [alarms] its line with its default, each example is taken."""

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.alarms import KINDS
from frontend_agent.alarms.model import DestinationFacts, Facts, LogFacts
from frontend_agent.alarms.monitoring import figures_of
from frontend_agent.config import duration, parse_config
from frontend_agent.config_alarms import AlarmsConfig
from tests.unit.test_config_alarms import BASE

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"
ALARMS, MONITORING = ((GUIDE / name).read_text("utf-8") for name in ("alarms.md", "monitoring.md"))


def test_each_kind_has_its_section_and_no_section_is_without_a_kind() -> None:
    assert set(re.findall(r"^### ([a-z_]+)$", ALARMS.partition("## Runbook")[2], re.MULTILINE)) == KINDS.keys()


def test_each_limit_has_its_line_with_its_default() -> None:
    told: dict[str, Any] = {}
    for keys, defaults in re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| (`[^|]+`) \|", ALARMS, re.MULTILINE):
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


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", ALARMS, re.DOTALL))
def test_each_example_is_taken(example: str) -> None:
    assert parse_config(BASE + example).alarms != AlarmsConfig()


def test_each_figure_has_its_line() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 18, tzinfo=UTC)
    there = DestinationFacts(name="platform", skew=timedelta(seconds=1))
    known = figures_of(Facts(now=now, images=True, destinations=(there,), log=LogFacts()), AlarmsConfig()).keys()
    table = MONITORING.partition("| figure |")[2].partition("**Zabbix**")[0]
    told = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert told == known | {"spool", "images", "disk", "certificate_days"}
