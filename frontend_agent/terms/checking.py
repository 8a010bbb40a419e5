"""Every code map that is configured, held against its value set: for `terms check`, and for the agent's start."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from frontend_agent.checks import describe
from frontend_agent.codes import CodeTable
from frontend_agent.config import Config
from frontend_agent.formats import Kind, load_kind
from frontend_agent.formats.value_sets import ValueSet, value_set
from frontend_agent.mapping import FACT_VALUE_SETS, load_mapping
from frontend_agent.mapping_file import Mapping
from frontend_agent.model import Finding
from frontend_agent.terms.catalogues import Catalogues, judged_by
from frontend_agent.terms.loading import load_catalogues
from frontend_agent.terms.traps import doubts


def checked_maps(config: Config) -> list[dict[str, Any]]:
    """What is doubtful about the files, also about those that would stop the agent at its start.

    What was approved on the machine was looked at when it was.
    """
    mappings = (load_mapping(feed.mapping, config.institution.id) for feed in config.feeds)
    pairs = [(mapping, load_kind(mapping.kind)) for mapping in mappings]
    day = f"{datetime.now(UTC):%Y%m%d}"
    return [
        {
            "table": table.id,
            "path": table.path,
            "rule": one.rule,
            "severity": one.severity.value,
            "code": one.value,
            "text": {"zh": describe(one, "zh"), "en": describe(one, "en")},
        }
        for table, one in doubtful(pairs, load_catalogues(config.catalogues), day)
    ]


def doubtful(
    pairs: Iterable[tuple[Mapping, Kind]], catalogues: Catalogues, day: str
) -> Iterator[tuple[CodeTable, Finding]]:
    """Every doubt about every map of these mappings, each map once."""
    tables: dict[str, tuple[CodeTable, ValueSet]] = {}
    for mapping, kind in pairs:
        wanted = {field.name: field.value_set for field in kind.fields}
        shelves = catalogues.in_kind(kind)
        for field, table in mapping.codes.items():
            oid = wanted.get(field) or FACT_VALUE_SETS.get(field, "") or table.value_set
            tables.setdefault(table.id, (table, judged_by(field, value_set(oid), shelves)))
    for _, (table, known) in sorted(tables.items(), key=lambda item: item[0]):
        yield from ((table, one) for one in doubts(table, known, day))
