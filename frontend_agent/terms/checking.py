"""`terms check`: every code map that the configuration names, also those that would stop the agent at its start."""

from datetime import UTC, datetime
from typing import Any

from frontend_agent.checks import describe
from frontend_agent.codes import CodeTable
from frontend_agent.config import Config
from frontend_agent.formats import load_kind
from frontend_agent.formats.value_sets import value_set
from frontend_agent.mapping import FACT_VALUE_SETS, load_mapping
from frontend_agent.terms.traps import doubts


def checked_maps(config: Config) -> list[dict[str, Any]]:
    """What is doubtful about the files. What was approved on the machine was looked at when it was."""
    day = f"{datetime.now(UTC):%Y%m%d}"
    tables: dict[str, tuple[CodeTable, str]] = {}
    for feed in config.feeds:
        mapping = load_mapping(feed.mapping, config.institution.id)
        wanted = {field.name: field.value_set for field in load_kind(mapping.kind).fields}
        for field, table in mapping.codes.items():
            oid = wanted.get(field) or FACT_VALUE_SETS.get(field, "") or table.value_set
            tables.setdefault(table.id, (table, oid))
    return [
        {
            "table": name,
            "path": table.path,
            "rule": one.rule,
            "severity": one.severity.value,
            "code": one.value,
            "text": {"zh": describe(one, "zh"), "en": describe(one, "en")},
        }
        for name, (table, oid) in sorted(tables.items())
        for one in doubts(table, value_set(oid), day)
    ]
