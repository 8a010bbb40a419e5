"""What an auditor asks of one document: where its rows came from, by which versions it was made; and of one element of it
the column, the query, the conversion and the code map entry.

Mappings and code maps are looked at as they are now. Where the document was made by others, that is said beside it
(`same`: whether the digest recorded with the document is the one of today).
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from frontend_agent.app import App
from frontend_agent.checks.masking import how_to_mask, mask
from frontend_agent.codes import CodeTable, with_approved
from frontend_agent.config import unknown
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import Feed
from frontend_agent.mapping_file import Mapping as FieldMapping
from frontend_agent.mapping_file import plain_columns, sql_aliases
from frontend_agent.measuring import without_index
from frontend_agent.model import Record
from frontend_agent.spool import Trace
from frontend_agent.telling import told

_ROW = re.compile(r"\[(\d+)\]")


def versions_of(app: App, trace: Trace) -> list[dict[str, Any]]:
    """What the document was made by, part by part; `same` is None where the feed is not configured any more."""
    now = _parts(app.feeds[trace.feed].plan.digests) if trace.feed in app.feeds else None
    return [
        {"part": part, "digest": digest, "same": None if now is None else now.get(part) == digest}
        for part, digest in _parts(trace.digests).items()
    ]


def rows_of(app: App, trace: Trace) -> dict[str, Any] | None:
    """Which rows: source, key, and every query with its file and the SHA-256 of its text; None for a feed that is gone."""
    feed = app.feeds.get(trace.feed)
    if feed is None:
        return None
    return {
        "source": feed.config.source,
        "mapping": feed.mapping.path,
        "key_alias": feed.mapping.key,
        "key": trace.key,
        "queries": [_told_query(feed, query) for query in _queries(feed.mapping)],
    }


def element_of(app: App, trace: Trace, content: bytes | None, element: str, show: bool) -> dict[str, Any]:
    """One element: its values (masked unless `show`), where they came from, and what the rules had to say of it."""
    feed = app.feeds.get(trace.feed)
    if feed is None:
        raise ConfigurationError(f"{trace.document_id}: its feed {trace.feed!r} is not in agent.toml any more")
    name = without_index(element)
    fields = {field.name: field for field in feed.kind.fields}
    fields |= {field.de: field for field in feed.kind.fields if field.de and field.de not in fields}
    field = fields.get(name)
    if field is None:
        raise ConfigurationError(
            f"kind {feed.kind.code}: {unknown('element', name, [f.name for f in feed.kind.fields])}"
        )
    row = _ROW.search(element)
    how = how_to_mask(field.name, field.format, bool(field.value_set))
    record = None if content is None else feed.kind.reader(content)
    values = None if record is None else list(_values(record, field.name, int(row[1]) if row else None))
    return {
        "document_id": trace.document_id,
        "field": field.name,
        "element": field.de,
        "name": {"zh": field.name_zh, "en": field.name_en},
        "format": field.format,
        "value_set": field.value_set,
        "values": None if values is None else [
            {"at": at, "value": value if show else mask(value, how)} for at, value in values
        ],
        "from": _origin(feed, field.name),
        "code_map": _code_map(app, feed, field.name, sorted({value for _, value in values or ()})),
        "findings": [told(finding) for finding in trace.findings if without_index(finding.field) == field.name],
        "versions": versions_of(app, trace),
    }  # fmt: skip


def _parts(digests: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in digests.split() if "=" in part)


def _values(record: Record, name: str, row: int | None) -> Iterator[tuple[str, str]]:
    """(path, value) of every row that has it, or of one row."""
    found = record.get(name)
    if isinstance(found, str):
        yield name, found
        return
    group, _, key = name.partition(".")
    rows = record.get(group)
    for number, one in enumerate(rows if isinstance(rows, list) else ()):
        if key in one and row in (None, number):
            yield f"{group}[{number}].{key}", one[key]


def _queries(mapping: FieldMapping) -> dict[str, str]:
    """Every query's SQL, by the name that messages use; what stands in for them where rows come out of messages is none."""
    if mapping.message is not None:
        return {}
    queries = mapping.queries
    details = {name: detail.sql for name, detail in queries.details.items()}
    partners = {name: partner.sql for name, partner in queries.partners.items()}
    return {"parent": queries.parent, **details, **partners}


def _told_query(feed: Feed, query: str) -> dict[str, Any]:
    mapping = feed.mapping
    elsewhere = {name: one.source for name, one in mapping.queries.details.items()}
    elsewhere |= {name: one.source for name, one in mapping.queries.partners.items()}
    return {
        "query": query,
        "source": elsewhere.get(query) or feed.config.source,
        "file": mapping.files.get(query, mapping.path),
        "sha256": sha256(_queries(mapping)[query].encode()).hexdigest(),
    }


def _origin(feed: Feed, name: str) -> dict[str, Any]:
    """The query that selects it, under which alias, from which column, and how it is converted."""
    mapping = feed.mapping
    group, _, key = name.partition(".")
    for query, sql in _queries(mapping).items():
        alias = key if query == group and query in mapping.queries.details else name
        if alias in sql_aliases(sql):
            column = mapping.columns.get(name) or plain_columns(sql).get(alias, "")
            return {**_told_query(feed, query), "alias": alias, "column": column, "parse": mapping.parse.get(name, "")}
    inside = [alias for alias, column in mapping.read.items() if name in repr(column) or key in repr(column)]
    column = mapping.columns.get(name, "")
    return {"query": "", "alias": "", "column": column, "parse": mapping.parse.get(name, ""), "inside": inside}


def _code_map(app: App, feed: Feed, name: str, values: list[str]) -> dict[str, Any] | None:
    """The map's entries that lead to these values; several local codes may: which it was, the source's row says."""
    table = with_approved(feed.mapping.codes, app.approvals.overlay()).get(name)
    if table is None:
        return None
    return {
        "map": table.id,
        "file": table.path,
        "value_set": table.value_set,
        "entries": [
            _told_entry(table, local, standard) for local, standard in table.codes.items() if standard in values
        ],
    }


def _told_entry(table: CodeTable, local: str, standard: str) -> dict[str, Any]:
    return {
        "local": local,
        "local_name": table.names.get(local, ""),
        "standard": standard,
        "decided": table.decided.get(local) or table.decided.get("*", ""),
        "approved_here": local in table.approved,
    }
