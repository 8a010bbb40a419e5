"""What would come of it: rows of a file for a mapping's author, and any past period of a feed, without keeping or sending.

    the period's keys ─▶ rows ─▶ normalise ─▶ check ─▶ render ─▶ compared with what was sent

The same steps as in a real run (`intake.prepare`), and no commit. The source is read as ever: by range and by key,
read-only, with its time-outs and row limits.
"""

import csv
import io
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from frontend_agent.app import App
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.feeds import Feed
from frontend_agent.identity import set_id
from frontend_agent.intake import Known, Step, next_step, prepare, read_rows
from frontend_agent.mapping_file import Mapping as FieldMapping
from frontend_agent.measuring import without_index
from frontend_agent.mending.differing import Differences
from frontend_agent.model import Document, Finding, Held, Record, RowSet, SeriesHead, Severity, SourceRows
from frontend_agent.spool import Group
from frontend_agent.telling import told_group
from frontend_agent.wire.frames import decompressor, open_frame

CODE_RULES = frozenset({"MAP001", "DE-CODE"})  # their findings are of one local code each
NOWHERE = ("nowhere",)  # a feed without destinations is rehearsed all the same


# -- Any past period of a feed ----------------------------------------------------------------------------------------


def rehearse(app: App, feed: Feed, low: datetime, high: datetime) -> Iterator[dict[str, Any]]:
    """Everything whose cursor lies in [low, high), as it would be made now. Rows of progress, then the `result`."""
    rehearsal = Rehearsal(app, feed)
    source = app.reader(feed)
    for keys in source.range(feed.mapping.queries, low, high, feed.config.batch):
        rehearsal.page(keys)
        yield {"read": rehearsal.read}
    yield {"result": {"from": low.isoformat(), "to": high.isoformat(), **rehearsal.told()}}


SPANS = tuple(timedelta(hours=hours) for hours in (1, 24, 24 * 7, 24 * 31, 24 * 366, 24 * 366 * 20))


def newest_keys(app: App, feed: Feed, count: int) -> list[str]:
    """The keys that changed last, the newest first. Looks back as far as it must, an hour first."""
    source = app.reader(feed)
    until = app.clock().astimezone(feed.plan.timezone).replace(tzinfo=None) + timedelta(days=1)
    keys: deque[str] = deque(maxlen=count)
    for span in SPANS:
        keys.clear()
        for page in source.range(feed.mapping.queries, until - timedelta(days=1) - span, until, feed.config.batch):
            keys.extend(page)
        if len(keys) == count:
            break
    return list(reversed(keys))


class Rehearsal:
    """Counts what would become of records, and compares what would be made with what was."""

    def __init__(self, app: App, feed: Feed) -> None:
        plan = feed.plan if feed.plan.destinations else replace(feed.plan, destinations=NOWHERE)
        self._app, self._feed, self._plan = app, feed, plan
        self._opener = decompressor(feed.kind.dictionary)
        self._counts: Counter[str] = Counter()
        self._differences = Differences(feed.kind)
        self._causes: dict[tuple[str, ...], Group] = {}
        self._bodies_gone = 0
        self.read = 0

    def page(self, keys: Sequence[str]) -> None:
        plan = self._plan
        read = read_rows(plan, self._app.rows_of(self._feed, keys))
        found = read.keys()
        self.read += len(found)
        sets = {key: set_id(plan.institution, plan.epoch, plan.kind, key) for key in found}
        heads = self._app.spool.series(sets.values())
        # As if nothing were known: every record is made once more, also what is unchanged at the source.
        taken = prepare(plan, read, None, Known({}, []), self._app.clock())
        self._counts["not_final"] += taken.skipped.not_final
        self._counts["void"] += taken.skipped.withdrawn
        self._counts["waiting"] += len(taken.waiting)
        self._counts["withheld"] += len(taken.withheld)
        records = {record.key: record for record in read.records}
        own = set(sets.values())
        for document in taken.documents:
            if document.set_id in own:
                step = next_step(heads.get(document.set_id), records[document.key], plan.digests)
                self._would_be_sent(document, heads.get(document.set_id), step)
        for held in taken.held:
            self._would_be_held(held, heads.get(held.set_id))

    def _would_be_sent(self, document: Document, head: SeriesHead | None, step: Step) -> None:
        if head is None or not head.version:
            self._counts["freed" if head and head.held else "new"] += 1
            return
        changed = document.source_hash != (head.document_hash or head.source_hash)
        sent = self._app.spool.trace(head.document_id)
        if not changed and sent is not None and sent.digests == self._plan.digests:
            self._counts["unchanged"] += 1  # the same values by the same versions: the same content
            return
        before = None if sent is None else self._content(head.document_id, sent.size, sent.dictionary)
        differs = before is not None and self._differences.add(
            head.document_id, self._feed.kind.reader(before), self._made(document)
        )
        if changed:
            self._counts["freed" if head.held and step is Step.MAKE else "changed"] += 1
            self._bodies_gone += before is None
        else:
            self._counts["not_comparable" if before is None else "differ" if differs else "unchanged"] += 1

    def _content(self, document_id: str, size: int, dictionary: str) -> bytes | None:
        frame = self._app.spool.frame(document_id)
        if frame is None:
            return None
        try:
            return open_frame(frame, size, decompressor(self._app.dictionary(dictionary)))
        except StateError:  # made before dictionaries were kept: there is nothing to compare with
            return None

    def _made(self, document: Document) -> Record:
        return self._feed.kind.reader(open_frame(document.frame, document.size, self._opener))

    def _would_be_held(self, held: Held, head: SeriesHead | None) -> None:
        self._counts["held_as_now" if head and head.held else "newly_held"] += 1
        for cause in {_cause(finding): finding for finding in held.findings if _holds(finding)}.items():
            self._count_cause(held, *cause)

    def _count_cause(self, held: Held, cause: tuple[str, ...], finding: Finding) -> None:
        rule, field, column, value = cause
        group = self._causes.get(cause) or Group(
            "", held.feed, held.kind, 0, held.key, self._app.clock(), rule, field, column, value, finding=finding
        )
        self._causes[cause] = msgspec.structs.replace(group, count=group.count + 1)

    def told(self) -> dict[str, Any]:
        """In plain values; every record that was read is in exactly one of the counts."""
        counted = (
            "new", "changed", "freed", "unchanged", "differ", "not_comparable", "newly_held", "held_as_now", "not_final",
            "void", "waiting", "withheld",
        )  # fmt: skip
        return {
            "feed": self._feed.config.name,
            "mapping": self._feed.mapping.path,
            "profile": self._feed.profile.name,
            "digests": self._plan.digests,
            "read": self.read,
            "counts": {name: self._counts[name] for name in counted},
            "would_send": self._counts["new"] + self._counts["changed"] + self._counts["freed"],
            "would_hold": self._counts["newly_held"] + self._counts["held_as_now"],
            "documents_differ": self._differences.documents,
            "not_compared": self._counts["not_comparable"] + self._bodies_gone,
            "elements": self._differences.told(),
            "causes": [told_group(group) for group in sorted(self._causes.values(), key=lambda one: -one.count)],
        }


def _holds(finding: Finding) -> bool:
    return finding.severity is Severity.HOLD


def _cause(finding: Finding) -> tuple[str, ...]:
    """What a held record waits for: the same words as the groups in quarantine."""
    value = finding.value if finding.rule in CODE_RULES else ""
    return finding.rule, without_index(finding.field), finding.column, value


# -- Rows of a file ---------------------------------------------------------------------------------------------------


def rows_from(mapping: FieldMapping, texts: Mapping[str, tuple[str, str]]) -> SourceRows:
    """Rows as a query would answer: query ("parent", or a detail's group) -> (file, text). CSV with aliases in its first line;
    JSON as a list of objects, or one object with a list for each query.

    A query without rows answers none. An alias that the SQL does not select is told by the mapping as ever.
    """
    given: dict[str, list[dict[str, Any]]] = {}
    for query, (file, text) in texts.items():
        found = _json_rows(text, query, file) if text.lstrip()[:1] in ("[", "{") else {query: _csv_rows(text)}
        for name, rows in found.items():
            given.setdefault(name, []).extend(rows)
    queries = mapping.queries
    keys = {"parent": mapping.key, **dict.fromkeys(queries.details, mapping.key)}
    keys |= {name: partner.by for name, partner in queries.partners.items()}
    for name in given:
        if name not in keys:
            raise ConfigurationError(f"{mapping.path}: has no query {name!r} (known: {', '.join(keys)})")
    sets = {name: _row_set(given.get(name, []), key) for name, key in keys.items()}
    for name, row_set in sets.items():
        if keys[name] not in row_set.columns:
            raise ConfigurationError(f"rows of {name!r} have no {keys[name]!r}: it joins the rows of all queries")
    return SourceRows(
        sets["parent"], {name: sets[name] for name in queries.details}, {name: sets[name] for name in queries.partners}
    )


def _json_rows(text: str, query: str, file: str) -> dict[str, list[dict[str, Any]]]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{file}: not JSON: {error}") from None
    tables = found if isinstance(found, dict) else {query: found}
    for name, rows in tables.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ConfigurationError(f"{file}: {name}: must be a list of objects, one per row: alias -> value")
    return tables


def _csv_rows(text: str) -> list[dict[str, Any]]:
    """An empty cell is NULL: CSV knows no other."""
    return [{name: value or None for name, value in row.items() if name} for row in csv.DictReader(io.StringIO(text))]


def _row_set(rows: Sequence[Mapping[str, Any]], key: str) -> RowSet:
    columns = tuple(dict.fromkeys(name for row in rows for name in row)) or (key,)
    return RowSet(columns, [tuple(row.get(name) for name in columns) for row in rows])
