"""How a feed finds its new rows (`find` in agent.toml), as pages of keys in the order in which they are committed.

    time      by the time of their last change, with an overlap
    key       by a number that only grows, with the numbers that were passed over
    changes   by the rows of a change table, marked as read there if the hospital lets us
    status    by the status or version that a row has now, compared with the one we have seen
    compare   the same over all keys there are: what is not met any more is looked for

A key that should be there and is not is doubted: it may have been locked, moved to a table of its year, or deleted. Doubts
are kept with the page that raised them and looked at when the run is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from connectors import Source
from connectors.fetched import Fetched
from connectors.finding.acknowledging import Acknowledgement, parsed
from connectors.finding.bearings import Bearings
from connectors.finding.search import Search
from frontend_agent.config import Config, FeedConfig, SourceConfig
from frontend_agent.errors import ConfigurationError, SourceError
from frontend_agent.logs import event, log
from frontend_agent.mapping import Mapping as FieldMapping
from frontend_agent.mapping import Queries
from frontend_agent.mapping_file import plain_columns
from frontend_agent.model import SourceRows, Watermark
from frontend_agent.spool import Progress, Spool
from frontend_agent.spool.finding import CHANGES, RECONCILE

DOUBTS_AT_ONCE = 500
_ENCODE, _BEARINGS = msgspec.json.Encoder(), msgspec.json.Decoder(Bearings)


class TooManyVanished(SourceError):
    """More keys are gone at once than a feed lets pass: a table was emptied, a view changed, or another database restored."""

    def __init__(self, text: str, count: int = 0) -> None:
        super().__init__(text)
        self.count = count


class Found(NamedTuple):
    """Keys to read, and what is kept once they, and all before them, are taken."""

    keys: tuple[str, ...]
    watermark: Watermark | None = None
    mark: str = ""  # whose watermark it is, where not the feed's own
    progress: Progress | None = None
    expected: bool = False  # they should be there: those that are not are doubted
    rows: Fetched | None = None  # where they are not to be read the usual way
    numbers: tuple[Any, ...] = ()  # of change rows that can be marked as read now
    vanished: tuple[str, ...] = ()  # keys that are nowhere at the source


# -- what can be wrong with it ----------------------------------------------------------------------------------------


def must_be_findable(config: Config, feed: FeedConfig, mapping: FieldMapping) -> None:
    """Raise ConfigurationError for a way of finding that the mapping has no query for."""
    if feed.find == "changes" and not mapping.queries.changes:
        raise ConfigurationError(
            f'{mapping.path}: feed {feed.name} has find = "changes": name the query of the change table, [queries] changes'
            ' = "….sql", which selects its growing number AS "cursor" and the key AS "key"'
        )
    source = config.sources[feed.source]
    for text in source.acknowledge:
        try:
            parsed(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"agent.toml: sources.{feed.source}: {error}") from None
    must_read_what_is_marked(config, feed, mapping)


def must_read_what_is_marked(config: Config, feed: FeedConfig, mapping: FieldMapping) -> None:
    """Raise ConfigurationError where the source lets us mark change rows, but none of the table that this feed reads.

    A misspelt table would leave the hospital's change table to grow for ever. Other feeds of the source may mark others.
    """
    source = config.sources[feed.source]
    feeds = [one for one in config.feeds if one.source == feed.source and one.find == "changes"]
    if not source.acknowledge or feed.find != "changes" or acknowledgement_of(source, feed, mapping):
        return
    if len(source.acknowledge) >= len(feeds):
        raise ConfigurationError(
            f"agent.toml: sources.{feed.source}: acknowledge names {', '.join(source.acknowledge)}, and not the change table"
            f" that feed {feed.name} reads ({mapping.files.get('changes', mapping.path)}); correct it, or leave it out"
        )


def acknowledgement_of(source: SourceConfig, feed: FeedConfig, mapping: FieldMapping) -> Acknowledgement | None:
    """The column of the feed's change table that we may update, with the column that names its rows; None: we may not."""
    if feed.find != "changes":
        return None
    sql = mapping.queries.changes
    table, _, number = plain_columns(sql).get("cursor", "").rpartition(".")
    for text in source.acknowledge:
        what = parsed(text)
        if what.table.split(".")[-1].lower() != table.lower():
            continue
        if what.column.lower() not in sql.lower():
            file = mapping.files.get("changes", mapping.path)
            raise ConfigurationError(
                f"{file}: acknowledge names {what.table}.{what.column}, but the query does not ask for it: without WHERE"
                f" {what.column} … every run would read the whole change table again"
            )
        return msgspec.structs.replace(what, number=number)
    return None


# -- finding ----------------------------------------------------------------------------------------------------------


class Finder:
    """Finds what is new for one feed, from where its last whole run stood."""

    def __init__(
        self,
        config: Config,
        feed: FeedConfig,
        mapping: FieldMapping,
        sources: Mapping[str, Source],
        spool: Spool,
        source: Source | None = None,
    ) -> None:
        """`source`: another connection to the feed's own, for work that goes on behind it."""
        self._feed = feed
        self._queries = mapping.queries
        self._sources = sources
        self._source = source or sources[feed.source]
        self._spool = spool
        self._acknowledgement = acknowledgement_of(config.sources[feed.source], feed, mapping)
        self._search = Search(
            how=feed.find,
            overlap=feed.overlap,
            acknowledged=self._acknowledgement is not None,
            replica_lag=config.sources[feed.source].replica_lag,
            limit=feed.batch,
        )

    def pages(self) -> Iterator[Found]:
        """One run."""
        if self._feed.find in ("status", "compare"):
            return self._by_walking()
        return self._by_watermark(self._feed.name, self._queries, self._search)

    def passed_over(self, keys: Sequence[str]) -> list[str]:
        """Those of these keys that the next run would not come by of itself: what was missed, or changed unseen."""
        name = self._feed.name
        if self._feed.find in ("status", "compare"):
            return []  # each walk comes by everything there is
        queries, search = self._queries, self._search
        if self._feed.find == "changes":  # its watermark is of the change table
            queries = msgspec.structs.replace(queries, changed=queries.changes)
            search = msgspec.structs.replace(search, how="key")
            if self._acknowledgement is not None:
                coming = self._source.cursors(queries, keys)
                return [key for key in keys if key not in coming]
        known = self._spool.finding.bearings(name)
        before = _BEARINGS.decode(known) if known else None
        return self._source.passed_over(queries, search, self._spool.watermark(name), before, keys)

    def partner(self, mark: str, changed: str, source: Source, limit: int) -> Iterator[Found]:
        """The keys of a partner's rows that changed, found by time as well; the mark of its own stands there already."""
        search = msgspec.structs.replace(self._search, how="time", acknowledged=False, limit=limit)
        for found in self._by_watermark(mark, Queries("", changed, ""), search, source):
            yield found._replace(mark=mark)

    def _by_watermark(
        self, name: str, queries: Queries, search: Search, source: Source | None = None
    ) -> Iterator[Found]:
        """By time, key or change table. What the run leaves is kept with its last page: one that is broken off leaves nothing."""
        known = self._spool.finding.bearings(name)
        before = _BEARINGS.decode(known) if known else None
        source = source or self._source
        after = self._spool.watermark(name)
        if after is None and self._feed.start and (after := source.begin(self._asked(queries), self._begins_at())):
            yield Found((), after)  # kept before anything is read: the next run must not begin later than this one
        for page in source.found(queries, search, after, before):
            if page.set_back:
                seconds = page.set_back.total_seconds()
                log.warning(event("source.clock_set_back", feed=name, source=source.name, seconds=seconds))
            left = Progress(bearings=_ENCODE.encode(page.bearings).decode()) if page.bearings else None
            yield Found(page.keys, page.watermark, progress=left, expected=search.how == CHANGES, numbers=page.numbers)

    def _asked(self, queries: Queries) -> Queries:
        """The queries by whose cursor the watermark is meant: of the changed rows, or of the change table."""
        return msgspec.structs.replace(queries, changed=queries.changes) if self._feed.find == CHANGES else queries

    def _begins_at(self) -> datetime | None:
        """The first day of a feed that is not to read all there ever was; None: where its source stands now."""
        return None if self._feed.start == "now" else datetime.fromisoformat(self._feed.start)

    def _by_walking(self) -> Iterator[Found]:
        """Over all keys, a page at a time; a walk that was broken off goes on where it stood, within its own round."""
        name, mark = self._feed.name, f"{self._feed.name}/walk"
        stood = self._spool.watermark(mark)
        walk, place = (int(stood.cursor), stood.key) if stood else (1, "")
        for page in self._source.marks(self._queries, place):
            fresh = self._spool.finding.unlike(name, page.marks)
            for keys in _batched(fresh, self._feed.batch):
                yield Found(keys)
            over = not page.last
            progress = Progress(seen=page.marks, walk=walk, walked=over, complete=over and self._feed.find == "compare")
            at = Watermark(str(walk + 1), "") if over else Watermark(str(walk), page.last)
            yield Found((), at, mark, progress)

    def acknowledge(self, numbers: Sequence[Any]) -> None:
        """Mark change rows as read at the source, after they were committed here. What fails is done again with the next run."""
        if self._acknowledgement is None:
            return
        try:
            problem = self._source.acknowledge(self._acknowledgement, numbers)
        except SourceError as error:
            problem = str(error)
        if problem:
            log.warning(event("changes.not_acknowledged", feed=self._feed.name, rows=len(numbers), problem=problem))
        else:
            log.info(event("changes.acknowledged", feed=self._feed.name, rows=len(numbers)))

    def doubt(self, keys: Sequence[str], now: datetime) -> None:
        """Somebody else missed these keys at the source: the feed's next run looks for each."""
        if keys:
            self._spool.finding.doubt(self._feed.name, keys, RECONCILE, now)

    # --- keys that are gone -------------------------------------------------------------------------------------------

    def must_not_stand_still(self) -> None:
        """Raise while the feed waits for a person to say what became of the keys that are gone."""
        stopped = self._spool.finding.stopped(self._feed.name)
        if stopped and not stopped.accepted_by:
            raise TooManyVanished(_standing_still(self._feed, stopped.count))

    def doubts(self) -> Iterator[Found]:
        """Look for each key that was missed: at its place, then in the history; the rest is gone.

        Raises TooManyVanished, and settles none of those that are gone, if they are more than the feed lets pass at once.
        """
        gone: list[str] = []
        after = ""
        while doubts := self._spool.finding.doubts(self._feed.name, DOUBTS_AT_ONCE, after):
            after = doubts[-1].key
            keys = [one.key for one in doubts]
            there = set(self._source.present(self._queries, keys))
            yield from self._read_again([key for key in keys if key in there])
            missing = [key for key in keys if key not in there]
            for moved in self._queries.history:
                rows = self._source.fetch(moved, missing, self._sources) if missing else None
                found = _keys_of(rows.opened(), moved.key) if rows is not None else set()
                if found:
                    here = tuple(key for key in missing if key in found)
                    yield Found(here, rows=rows)
                    yield Found((), progress=Progress(settled=here))
                    missing = [key for key in missing if key not in found]
            gone += missing
        stopped = self._spool.finding.stopped(self._feed.name)
        if len(gone) > self._feed.vanished_at_most and not (stopped and stopped.accepted_by):
            raise TooManyVanished(_standing_still(self._feed, len(gone)), len(gone))
        for some in _batched(gone, DOUBTS_AT_ONCE):
            yield Found((), vanished=some)

    def _read_again(self, keys: Sequence[str]) -> Iterator[Found]:
        for some in _batched(keys, self._feed.batch):
            yield Found(some)
            yield Found((), progress=Progress(settled=some))


def _batched(keys: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(keys), size):
        yield tuple(keys[start : start + size])


def _keys_of(rows: SourceRows, key: str) -> set[str]:
    place = rows.parent.columns.index(key)
    return {str(row[place]).strip() for row in rows.parent.rows}


def _standing_still(feed: FeedConfig, count: int) -> str:
    return (
        f"feed {feed.name}: {count} keys are gone at once, more than vanished_at_most = {feed.vanished_at_most}; nothing of it"
        f" was written and the feed stands still. If they are gone indeed: frontend-agent vanished accept {feed.name};"
        f" once the source is mended: frontend-agent vanished look-again {feed.name}"
    )
