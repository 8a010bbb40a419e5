"""What waits for a person, by cause: ten thousand failures of one cause are one line.

A cause of a held record is a rule that holds it, in one feed, for one field (without the row's number), and of a finding
about a code also that local code, as the finding shows it. A record with several findings that hold waits for each of
their causes, and is one record. The groups of records are kept by the triggers in `schema.sql`; documents that a
destination did not take are grouped when somebody asks, by what it said.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from frontend_agent.measuring import without_index
from frontend_agent.model import Finding
from frontend_agent.spool.database import Database
from frontend_agent.spool.ledger import as_json
from frontend_agent.spool.times import moment
from frontend_agent.spool.words import Group

_FINDINGS = msgspec.json.Decoder(tuple[Finding, ...])
_REASONS = msgspec.json.Decoder(tuple[str, ...])


def listed(
    database: Database, feed: str | None, rule: str | None, field: str | None, value: str | None
) -> Iterator[Group]:
    """The causes that records wait for, the most frequent first."""
    return map(_group, database.rows("cause.list", feed=feed, rule=rule, field=field, value=value))


def one(database: Database, group: str) -> Group | None:
    """A group by its number, while anything waits for it."""
    if group.startswith("S"):
        return next((found for found in stuck(database, None) if found.id == group), None)
    row = database.row("cause.one", id=number(group))
    return _group(row) if row else None


def records(database: Database, groups: Iterable[str]) -> int:
    """How many records wait for at least one of these."""
    row = database.row("cause.records", causes=as_json([number(group) for group in groups]))
    return int(row[0]) if row else 0


def stuck(database: Database, feed: str | None) -> Iterator[Group]:
    """Documents that a destination did not take, by what it said of them; the thousand most frequent answers."""
    for name, of, kind, state, said, count, document, since in database.rows("cause.stuck", feed=feed):
        named = zlib.crc32("\n".join((name, of, kind, state, said)).encode())
        yield Group(
            id=f"S{named:08x}",
            feed=of,
            kind=kind,
            count=count,
            example=f"D{document}@{name}",
            since=moment(since),
            destination=name,
            state=state,
            reasons=_REASONS.decode(said),
        )


def stuck_cases(database: Database, group: Group) -> list[str]:
    """The cases of a group of documents, oldest first."""
    documents = database.batch(
        "cause.stuck cases",
        destination=group.destination,
        state=group.state,
        feed=group.feed,
        kind=group.kind,
        said=as_json(group.reasons) if group.reasons else "[]",
    )
    return [f"D{document}@{group.destination}" for document in documents]


def number(group: str) -> int:
    """Of `G12`: 12; of anything else one that no cause has."""
    text = group.removeprefix("G")
    return int(text) if text != group and text.isascii() and text.isdigit() and len(text) < 18 else -1


def _group(row: tuple[Any, ...]) -> Group:
    cause, feed, kind, rule, field, column, value, count, released, example, since, findings = row
    told = _FINDINGS.decode(findings)
    return Group(
        id=f"G{cause}",
        feed=feed,
        kind=kind,
        rule=rule,
        field=field,
        column=column,
        value=value,
        count=count,
        released=released,
        example=f"Q{example}",
        since=moment(since),
        finding=next((found for found in told if _is_of(found, rule, field, column, value)), None),
    )


def _is_of(finding: Finding, rule: str, field: str, column: str, value: str) -> bool:
    return (finding.rule, without_index(finding.field), finding.column) == (rule, field, column) and value in (
        "",
        finding.value,
    )
