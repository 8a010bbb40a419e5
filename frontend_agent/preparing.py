"""Preparing a page in a process of its own (`workers` in agent.toml): rows in, what the parent commits out."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connectors.fetched import Fetched
from frontend_agent.codes import Approvals
from frontend_agent.config import (
    Config,
)
from frontend_agent.feeds import Feed, compile_feed, under_approvals
from frontend_agent.intake import (
    Known,
    prepare,
    read_rows,
)
from frontend_agent.model import Watermark
from frontend_agent.packs import Packs
from frontend_agent.spool import Taken
from frontend_agent.times import Step, StepTimes


class Order(NamedTuple):
    """A page that was read, still sealed, and what is known of its keys."""

    feed: str
    digests: str  # of what the parent judges and renders with: a worker that has other files compiles them anew
    keys: Sequence[str]
    watermark: Watermark | None
    asked: Sequence[str]
    rows: Fetched
    expected: Sequence[str]
    known: Known
    now: datetime
    approvals: Approvals
    closed: frozenset[int] = frozenset()  # months of which nothing new is made


class Prepared(NamedTuple):
    """What the parent commits: None when the source gave other keys than it was asked for, or the mapping's files are not
    what the parent has compiled. And where the time went."""

    taken: Taken | None
    steps: dict[str, Step]


class Preparing:
    """Opens and prepares pages; it has neither a source nor a state."""

    def __init__(self, config: Config, feeds: Mapping[str, Feed], compiled: Callable[[str], Feed]) -> None:
        """`compiled` compiles a feed from its files as they are now."""
        self._config = config
        self._feeds = dict(feeds)
        self._compiled = compiled

    def _feed(self, order: Order) -> Feed:
        """The feed as the order was given with: neither an approved code map nor a mended file needs a restart."""
        feed = self._feeds[order.feed]
        if feed.plan.terms != order.approvals.revision:
            feed = under_approvals(self._config, feed, order.approvals)
        if feed.plan.digests != order.digests:
            feed = self._compiled(order.feed)
            if order.approvals.revision:
                feed = under_approvals(self._config, feed, order.approvals)
        self._feeds[order.feed] = feed
        return feed

    def __call__(self, order: Order) -> Prepared:
        feed, times = self._feed(order), StepTimes()
        if feed.plan.digests != order.digests:  # changed once more since: the parent does this page with what it has
            return Prepared(None, times.snapshot())
        lap = times.laps()
        rows = order.rows.opened()
        lap("extract")
        read = read_rows(feed.plan, rows)
        lap("normalise")
        taken = None
        if read.keys() <= set(order.keys):
            taken = prepare(
                feed.plan,
                read,
                order.watermark,
                order.known,
                order.now,
                asked=order.asked,
                closed=order.closed,
                expected=order.expected,
                lap=lap,
            )
        return Prepared(taken, times.snapshot())


class Worker:
    """Makes a worker's whole world: compiled feeds.

    A fork has the feeds already; a fresh interpreter is only told the configuration.
    """

    def __init__(self, config: Config, packs: Packs, feeds: Mapping[str, Feed] | None = None) -> None:
        self._config = config
        self._packs = packs
        self._feeds = feeds

    def __reduce__(self) -> tuple[type["Worker"], tuple[Config, Packs]]:
        return Worker, (self._config, self._packs)

    def __call__(self) -> Preparing:
        config = self._config
        zone = ZoneInfo(config.institution.timezone)

        def today() -> date:
            return datetime.now(UTC).astimezone(zone).date()

        def compiled(name: str) -> Feed:
            return compile_feed(config, config.feed(name), today, self._packs)

        feeds = self._feeds or {feed.name: compiled(feed.name) for feed in config.feeds}
        return Preparing(config, feeds, compiled)
