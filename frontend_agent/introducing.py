"""Meeting a hospital's system for the first time: its schema is read and sampled, proposals are made and tried on its rows.

    look_at   ──▶ Look: the schema with its references, profiles of what is worth a sample, and what that cost
    proposals ──▶ one per kind
    tried     ──▶ what a written mapping makes of some records: completeness per data element, and a first document

What is sampled stays in memory and is told as counts. Everything is asked through the source: its guards apply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from connectors import Source
from connectors.catalogue import contained, partners, read_catalogue, sample
from frontend_agent.config import Config, FeedConfig
from frontend_agent.errors import SourceError, SourceRefused
from frontend_agent.feeds import compile_feed
from frontend_agent.formats.kind import Kind
from frontend_agent.mending.previewing import previewed
from frontend_agent.model import Severity
from frontend_agent.proposing.doubts import Join, Met, joins_of
from frontend_agent.proposing.joins import LOOKED_UP, Subject, asked_of, subjects, with_references
from frontend_agent.proposing.keyed import key_and_value, settings_tables
from frontend_agent.proposing.proposal import Profiles, Proposal, first_look, propose
from frontend_agent.proposing.reaching import UP
from frontend_agent.proposing.schema import BINARY, LONG, NUMBER, Schema, Table, schema_of
from frontend_agent.proposing.values import NOTHING, Profile, profiles

MOST_TABLES = 60  # that are sampled for one kind
SMALL = 20_000  # rows by the engine's estimate: a join into such a table is checked without an index, too
MOST_LOOKED_UP = 80  # tables in which sampled values are looked up
MOST_COLUMNS = 120  # of one table that are sampled
SHOWN = 10  # of the fullest records: the first that becomes a document is shown
RECORDS = 60  # that a written mapping is tried on

Tell = Callable[[str], None]


class Look(msgspec.Struct, frozen=True):
    """What was seen of a system."""

    family: str
    schema: Schema
    about: Mapping[str, Subject]
    profiles: Profiles
    sampled: tuple[str, ...]
    passed_over: Mapping[str, str]  # table -> why it could not be sampled
    statements: int


class Tried(msgspec.Struct, frozen=True):
    """What a mapping made of some records: how many have each field, and one of them as a document."""

    records: int
    completeness: Mapping[str, int]  # field -> records that have it
    preview: Mapping[str, Any] | None  # as `frontend-agent preview` tells it; None: there is no record
    problem: str = ""


def look_at(source: Source, kinds: Sequence[Kind], tell: Tell = lambda _: None, tables: Iterable[str] = ()) -> Look:
    """Read the schema, sample what may hold these kinds' records (and `tables`), and find how the tables hang together."""
    before = source.usage.statements
    read = read_catalogue(source)
    schema = schema_of(read.tables.rows, read.columns.rows, read.keys.rows)
    if not schema:
        raise SourceRefused(f"source {source.name}: the account sees no table; it needs SELECT on what is to be read")
    tell(f"{len(schema)}")
    about = subjects(schema)
    rough = with_references(schema, about)
    wanted = list(
        dict.fromkeys(
            [
                *tables,
                *(name for kind in kinds for name in first_look(rough, about, kind, MOST_TABLES)),
                *settings_tables(schema),
            ]
        )
    )
    seen: dict[str, dict[str, Profile]] = {}
    passed_over: dict[str, str] = {}
    for name in wanted:
        if name not in schema:
            continue
        tell(name)
        try:
            seen[name] = _sampled(source, read.family, schema[name])
        except SourceError as error:  # one table that is slow or denied does not end the rest
            passed_over[name] = str(error)
    found = _looked_up(source, schema, about, [schema[name] for name in seen], seen)
    return Look(
        read.family,
        with_references(schema, about, seen, found),
        about,
        seen,
        tuple(seen),
        passed_over,
        source.usage.statements - before,
    )


def _sampled(source: Source, family: str, table: Table) -> dict[str, Profile]:
    columns = [column for column in table.columns if column.family != BINARY][:MOST_COLUMNS]
    names = [column.name for column in columns]
    newest = table.only_key if not table.is_view and table.only_key in table.indexed | set(table.key) else ""
    long = [column.name for column in columns if column.family == LONG or "text" in column.type]
    rows = sample(source, family, (table.schema, table.name), names, long, newest)
    return profiles(names, rows.rows, _keyed(table, names))


def _keyed(table: Table, names: Sequence[str]) -> tuple[str, str] | None:
    """The columns of a table of settings, where both are sampled."""
    columns = key_and_value(table)
    if columns is None or not {column.name for column in columns} <= set(names):
        return None
    return columns[0].name, columns[1].name


def _looked_up(
    source: Source, schema: Schema, about: Mapping[str, Subject], tables: Sequence[Table], seen: Profiles
) -> dict[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], frozenset[str]] = {}
    for (name, key), values in list(asked_of(schema, about, tables, seen).items())[:MOST_LOOKED_UP]:
        table = schema[name]
        column = table.column(key)
        numbers = column is not None and column.family == NUMBER
        wanted: list[Any] = [int(text) for text in values if _is_number(text)] if numbers else list(values)
        try:
            found[name, key] = frozenset(contained(source, (table.schema, table.name), key, wanted))
        except SourceError:  # what cannot be looked up is not known; names and comments still speak
            continue
    return found


def _is_number(text: str) -> bool:
    bare = text.removeprefix("-")
    return bare.isascii() and bare.isdigit() and int(bare) < 2**63  # what no key of numbers can hold would be an error


def proposals(look: Look, kinds: Iterable[Kind], anchors: Mapping[str, str]) -> dict[str, Proposal]:
    """Kind -> proposal. `anchors` says which table holds a kind's records, where a person knows."""
    made = {}
    for kind in kinds:
        proposal = propose(look.schema, look.about, kind, look.profiles, anchors.get(kind.code, ""))
        if proposal is not None:
            made[kind.code] = proposal
    return made


def met(look: Look, source: Source, proposal: Proposal) -> dict[Join, Met]:
    """How many of the sampled rows find exactly one partner at each join. A join that could not be asked is left out.

    Up is asked always: its target is a key. Down only where an index begins with the column, or the table is small.
    """
    return {join: seen for join in joins_of(proposal) if (seen := _met(look, source, join)) is not None}


def _met(look: Look, source: Source, join: Join) -> Met | None:
    hop, table = join.hop, look.schema[join.hop.table]
    mine, theirs = (hop.column, hop.target) if hop.way == UP else (hop.target, hop.column)
    column = table.column(theirs)
    quick = theirs in {*table.key[:1], *table.unique, *table.indexed} or (table.rows or 0) < SMALL
    values = look.profiles.get(join.before, {}).get(mine, NOTHING).values[:LOOKED_UP]
    if column is None or not values or not quick:
        return None
    wanted: list[Any] = [int(text) for text in values if _is_number(text)] if column.family == NUMBER else list(values)
    try:
        found = partners(source, (table.schema, table.name), theirs, wanted)
    except SourceError:  # what cannot be asked is not known
        return None
    counts = [found.get(str(value), 0) for value in wanted]
    return Met(len(counts), counts.count(1), sum(count > 1 for count in counts))


def keys_of(look: Look, proposal: Proposal, column: str) -> list[str]:
    """Some of the newest records' keys, as they were sampled."""
    seen = look.profiles.get(proposal.anchor.id, {}).get(column, NOTHING)
    return list(seen.values)[:RECORDS]


def tried(
    config: Config, feed: FeedConfig, source: Source, keys: Sequence[str], today: Callable[[], date] = date.today
) -> Tried:
    """What a mapping makes of these keys. Raises ConfigurationError for a mapping that does not compile."""
    compiled = compile_feed(config, feed, today)
    try:
        source.probe(compiled.mapping.queries)
        rows = source.rows(compiled.mapping.queries, keys)
    except SourceError as error:
        return Tried(0, {}, None, str(error))
    records = compiled.plan.normalise(rows)
    counted: dict[str, int] = {}
    for one in records:
        for name in _said(one.record):
            counted[name] = counted.get(name, 0) + 1
    if not records:
        return Tried(0, counted, None)
    fullest = sorted(records, key=lambda one: (one.final and not one.void, len(set(_said(one.record)))), reverse=True)
    now = datetime.now(UTC)
    made = (previewed(compiled, one, None, now)[0] for one in fullest[:SHOWN])
    shown = list(_until_rendered(made))
    return Tried(len(records), counted, next((one for one in shown if one["document"]), shown[0]))


def _until_rendered(made: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for one in made:
        yield one
        if one["document"]:
            return


def _said(record: Mapping[str, Any]) -> Iterable[str]:
    """The fields that a record has, those of its groups once."""
    for name, value in record.items():
        if isinstance(value, list):
            yield from {f"{name}.{key}" for row in value for key in row}
        elif not name.startswith("fact."):
            yield name


def holding(preview: Mapping[str, Any]) -> int:
    """How many findings of a previewed record hold it."""
    return sum(finding["severity"] == Severity.HOLD for finding in preview["findings"])


def feed_for(name: str, source: str, mapping: Path, profile: str, overlap: timedelta) -> FeedConfig:
    return FeedConfig(name=name, source=source, mapping=str(mapping), profile=profile, overlap=overlap)
