"""How a feed finds its new rows (`find` in agent.toml), as pages of keys in the order in which they are committed.

time      by the time of their last change, with an overlap
key       by a number that only grows, with the numbers that were passed over
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from connectors import Source
from connectors.finding.bearings import Bearings
from connectors.finding.search import Search
from frontend_agent.config import Config, FeedConfig
from frontend_agent.logs import event, log
from frontend_agent.mapping import Queries
from frontend_agent.model import Watermark
from frontend_agent.spool import Progress, Spool

_ENCODE, _BEARINGS = msgspec.json.Encoder(), msgspec.json.Decoder(Bearings)


class Found(NamedTuple):
    """Keys to read, and what is kept once they, and all before them, are taken. `mark`: whose watermark it is."""

    keys: tuple[str, ...]
    watermark: Watermark | None
    mark: str = ""
    progress: Progress | None = None


class Finder:
    """Finds what is new for one feed, from where its last whole run stood."""

    def __init__(self, config: Config, feed: FeedConfig, queries: Queries, source: Source, spool: Spool) -> None:
        self._feed = feed
        self._queries = queries
        self._source = source
        self._spool = spool
        self._search = Search(
            how=feed.find,
            overlap=feed.overlap,
            replica_lag=config.sources[feed.source].replica_lag,
            limit=feed.batch,
        )

    def pages(self) -> Iterator[Found]:
        """One run."""
        return self._by_watermark(self._feed.name, self._queries, self._search)

    def passed_over(self, keys: Sequence[str]) -> list[str]:
        """Those of these keys that the next run would not come by of itself: what was missed, or changed unseen."""
        name = self._feed.name
        known = self._spool.bearings(name)
        before = _BEARINGS.decode(known) if known else None
        return self._source.passed_over(self._queries, self._search, self._spool.watermark(name), before, keys)

    def _by_watermark(self, name: str, queries: Queries, search: Search) -> Iterator[Found]:
        """By time or key. What the run leaves is kept with its last page: a run that is broken off leaves nothing."""
        known = self._spool.bearings(name)
        before = _BEARINGS.decode(known) if known else None
        for page in self._source.found(queries, search, self._spool.watermark(name), before):
            if page.set_back:
                seconds = page.set_back.total_seconds()
                log.warning(event("source.clock_set_back", feed=name, source=self._source.name, seconds=seconds))
            left = Progress(bearings=_ENCODE.encode(page.bearings).decode()) if page.bearings else None
            yield Found(page.keys, page.watermark, progress=left)
