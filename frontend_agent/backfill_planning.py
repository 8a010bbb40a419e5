"""What a backfill will take, before it begins: counted, sampled, and worked out. Reads a little, keeps and sends nothing.

    counts   per month: exact where there is little, else seven whole days of each, one of each weekday
    pages    three, read, judged and rendered as they would be, and thrown away
    estimate of the two, what the source and the destinations allow, and the hours in which it may work

Counting asks for no more than so many rows at once, takes turns behind the feeds, and ends after a while: what was not
counted by then is taken to be like what was, and said so. Two years of a large hospital are planned in seconds.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from connectors.guest import size_of
from connectors.source import ChangedPage
from frontend_agent.accounts import sources_of
from frontend_agent.app import App
from frontend_agent.backfill import (
    Axis,
    BadBound,
    Limits,
    Part,
    Sample,
    asked,
    bound,
    estimate,
    extent,
    is_before,
    moved,
    open_minutes,
    parts,
    samples,
    share,
    spread_out,
)
from frontend_agent.closing import month_text, months_between
from frontend_agent.errors import SourceError
from frontend_agent.feeds import Feed
from frontend_agent.intake import prepare, read_rows, what_is_known
from frontend_agent.turns import Turn
from frontend_agent.windows import Window

COUNTED = 50_000  # rows of a part: up to here it is counted whole
COUNTED_SAMPLE = 500_000  # rows of one day
PATIENCE = 20.0  # seconds of counting
TURN = 30.0  # seconds that one question waits for the feeds
PAGES = (0.5, 0.1, 0.9)  # where in the stretch pages are read


class Counted(msgspec.Struct, frozen=True):
    """How many rows one part has, and how that is known: exact, sampled, guessed."""

    label: str
    low: str
    high: str
    rows: int
    how: str


class Planner:
    """Plans one backfill of one feed."""

    def __init__(self, app: App, feed: str, turn: Turn | None = None, patience: float = PATIENCE) -> None:
        self._app = app
        self._feed: Feed = app.compiled(app.config.feed(feed))  # of its own: the daemon's is in use
        self._source = app.sources[self._feed.config.source].behind(rests=False)  # somebody waits for it
        self._turn = turn or Turn()
        self._patience = patience

    def stretch(self, low: str, high: str) -> tuple[Axis, str, str]:
        """The axis of the feed, and both bounds on it. Raises BadBound with what would be right."""
        config = self._feed.config
        if config.find in ("status", "compare"):
            raise BadBound(
                f"feed {config.name} is found by {config.find}: each run comes by all there is; nothing to backfill"
            )
        self._app.accounts.must_only_read(self._app.sources, sources_of(self._feed))
        with self._turn.behind(TURN):
            kind = self._source.cursor_kind(self._feed.mapping.queries)
        axis: Axis = "time" if kind == "none" else kind
        begin, end = bound(axis, low), bound(axis, high, upper=True)
        if not is_before(axis, begin, end):
            raise BadBound(f"--from {low} does not lie before --to {high}")
        return axis, begin, end

    def plan(self, low: str, high: str, rate: float, windows: Sequence[Window]) -> Iterator[dict[str, Any]]:
        """Rows of progress, then the `result`."""
        began = time.monotonic()
        statements = self._source.usage.statements
        axis, begin, end = self.stretch(low, high)
        counted: dict[int, Counted] = {}
        pieces = parts(axis, begin, end)
        for number in spread_out(len(pieces)):
            if time.monotonic() - began > self._patience:
                break
            found = self._count(axis, pieces[number], number, began + self._patience)
            if found is None:
                break
            counted[number] = found
            yield {"counted": len(counted), "parts": len(pieces)}
        whole = _completed(axis, pieces, counted)
        sample = self._sample(axis, whole)
        rows = sum(part.rows for part in whole)
        limits = self._limits(rate, windows)
        yield {
            "result": {
                "feed": self._feed.config.name,
                "axis": axis,
                "low": begin,
                "high": end,
                "rows": rows,
                "exact": all(part.how == "exact" for part in whole),
                "parts": [msgspec.structs.asdict(part) for part in whole],
                "closed_months": self._closed(axis, begin, end),
                "windows": [str(one) for one in windows],
                "open_minutes": limits.open_minutes,
                "sample": msgspec.structs.asdict(sample),
                "estimate": msgspec.structs.asdict(estimate(rows, sample, limits)),
                "used": limits.used,
                "quota": limits.quota,
                "seconds": time.monotonic() - began,
                "statements": self._source.usage.statements - statements,
            }
        }

    # -- counting --

    def _count(self, axis: Axis, part: Part, number: int, until: float) -> Counted | None:
        """One part; None when the source does not count in time: no more is asked of it."""
        seen, wide = 0, 0.0
        try:
            rows = self._rows(axis, part.low, part.high, COUNTED)
            if rows < COUNTED:
                return Counted(*part, rows, "exact")
            if axis == "text":
                return Counted(*part, rows, "guessed")
            for piece in samples(axis, part, number):
                seen += self._rows(axis, *piece, COUNTED_SAMPLE)
                wide += share(axis, part, piece)
                if time.monotonic() > until:
                    break
        except SourceError:
            if not wide:
                return None
        return Counted(*part, round(seen / wide), "sampled")

    def _rows(self, axis: Axis, low: str, high: str, most: int) -> int:
        with self._turn.behind(TURN):
            return self._source.count(self._feed.mapping.queries, asked(axis, low), asked(axis, high), most)

    # -- trying a few pages --

    def _sample(self, axis: Axis, whole: Sequence[Counted]) -> Sample:
        """Some pages as they would be. A source that does not answer now leaves the sample smaller."""
        filled = [part for part in whole if part.rows]
        totals = [0, 0, 0.0, 0.0, 0, 0, 0]
        for place in PAGES if filled else ():
            part = filled[min(int(place * len(filled)), len(filled) - 1)]
            with suppress(SourceError):
                tried = self._tried(axis, part)
                totals = [total + one for total, one in zip(totals, tried, strict=True)]
        return Sample(*totals)  # type: ignore[arg-type]  # whole numbers stay whole

    def _tried(self, axis: Axis, part: Counted) -> tuple[float, ...]:
        feed, source = self._feed, self._source
        began = time.perf_counter()
        with self._turn.behind(TURN):
            page = self._page(axis, part)
            if page is None:
                return (0, 0, 0.0, 0.0, 0, 0, 0)
            asked_at = time.perf_counter()
            rows = source.fetch(feed.mapping.queries, page.keys, self._app.sources).opened()
        read_at = time.perf_counter()
        read = read_rows(feed.plan, rows)
        known = what_is_known(self._app.spool, None, feed.plan, [*read.keys()])
        taken = prepare(feed.plan, read, None, known, self._app.clock())
        seconds = time.perf_counter() - read_at
        documents = [*taken.documents, *(document for beside in taken.beside for document in beside.documents)]
        sets = [rows.parent, *rows.details.values(), *rows.partners.values()]
        # The window of keys is asked for once in a hundred pages: its time is no page's own.
        reading = read_at - asked_at + (asked_at - began) / 100
        return (
            len(page.keys), len(documents), reading, seconds, sum(size_of(one.rows) for one in sets),
            sum(len(document.frame) for document in documents), sum(len(one.rows) for one in sets),
        )  # fmt: skip

    def _page(self, axis: Axis, part: Counted) -> ChangedPage | None:
        """The first page of a part. Asked of as little of it as should do: a source may have to sort what it is asked of."""
        batch = self._feed.config.batch
        few = moved(axis, part.low, extent(axis, part.low, part.high) * min(10 * batch / part.rows, 1.0), part.high)
        for high in dict.fromkeys((few, part.high)):
            pages = self._source.walk(self._feed.mapping.queries, asked(axis, part.low), asked(axis, high), None, batch)
            if page := next(pages, None):
                return page
        return None

    # -- what bounds it --

    def _limits(self, rate: float, windows: Sequence[Window]) -> Limits:
        config, spool = self._app.config, self._app.spool
        source = config.sources[self._feed.config.source]
        pushed = self._app.times.snapshot()["push"]
        return Limits(
            rate=rate,
            source_rows=source.most_rows,
            source_bytes=int(source.bytes_per_second),
            source_share=source.most_share / 100,
            destination=pushed.items / pushed.seconds if pushed.items >= 200 and pushed.seconds else 0.0,
            workers=config.workers,
            open_minutes=max(open_minutes(windows, source.protected), 1),
            quota=int(config.spool.quota),
            share=config.backfill.share,
            used=spool.size(),
            disk_free=spool.free(),
            retention_days=config.backfill.retention.total_seconds() / 86_400,
        )

    def _closed(self, axis: Axis, low: str, high: str) -> list[str]:
        if axis != "time":
            return []
        begin, end = datetime.fromisoformat(low).date(), datetime.fromisoformat(high).date()
        months = self._app.spool.closing.months
        return [month_text(month) for month in months_between(begin, end) if month in months]


def _completed(axis: Axis, pieces: Sequence[Part], counted: dict[int, Counted]) -> list[Counted]:
    """What was not counted is taken to be like what was."""
    if len(counted) == len(pieces):
        return [counted[number] for number in range(len(pieces))]
    widths = [share(axis, Part("", pieces[0].low, pieces[-1].high), (one.low, one.high)) for one in pieces]
    seen = sum(widths[number] for number in counted)
    dense = sum(one.rows for one in counted.values()) / seen if seen else 0.0
    return [
        counted.get(number) or Counted(*piece, round(dense * widths[number]), "guessed")
        for number, piece in enumerate(pieces)
    ]
