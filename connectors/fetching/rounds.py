"""Rounds of questions: from where we got to, page by page, until there is nothing new. Pure but for `ask`.

How far a round has got is a mark, kept in the same commit as the messages that it stands for:

    time 2027-01-31T08:00:00+00:00     everything up to then was handed over
    number 4711
    cursor eyJpZCI6…

What is missed by nobody: each round asks again for `overlap` before its mark (late commits, equal times); a mark moves only
when all that is older was handed over (a source that says `ordered` is believed page by page); and pages by number or
offset are read until a second reading finds nothing new, for rows move between pages while they are read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256

import msgspec

from connectors.fetching.answers import Found, Row
from connectors.fetching.templates import read_time, written_time
from frontend_agent.errors import SourceError

READINGS = 5  # of pages that move while they are read


class Question(msgspec.Struct, frozen=True):
    """What is asked: `values` fill the templates, `url` is the address of a next page that the source named."""

    values: dict[str, str]
    url: str = ""


class Page(msgspec.Struct, frozen=True):
    """Messages to hand over, and the mark that holds once all of them, and all before them, are kept."""

    rows: Sequence[Row]
    mark: str


@dataclass(frozen=True, kw_only=True)
class RoundOptions:
    """How a source is asked for what is new."""

    inlet: str
    zone: tzinfo = UTC
    start: str = "now"
    overlap: timedelta = timedelta(minutes=10)
    behind: timedelta = timedelta(0)
    longest: timedelta = timedelta(0)
    time_format: str = "%Y-%m-%d %H:%M:%S"
    by_path: bool = False  # messages carry their own watermark
    numbers: bool = False
    back: int = 0
    ordered: bool = False
    paging: str = "none"
    first_page: int = 1
    limit: int = 100
    most_pages: int = 10_000
    keep_cursor: bool = False


Ask = Callable[[Question], Found]


class Stuck(SourceError):
    """Asking on would not end: the source repeats itself, or more stands at one moment than one answer holds."""


class Rounds:
    """The rounds of one inlet. `ask` puts one question and reads its answer."""

    def __init__(self, options: RoundOptions, ask: Ask) -> None:
        self._options, self._ask = options, ask
        self.ordered = options.ordered  # an answer may say so

    def pages(self, mark: str, now: datetime) -> Iterator[Page]:
        """Everything since the mark ("" for never), as pages to hand over in this order."""
        if self._options.keep_cursor:
            yield from self._changes(mark, now)
        elif self._options.numbers:
            yield from self._numbered(mark, now)
        else:
            yield from self._timed(mark, now)

    def first(self, now: datetime) -> str:
        """The mark of who has read nothing yet: it is kept before anything is asked, or "now" would be later after each failure."""
        return "" if self._options.keep_cursor or self._options.numbers else time_mark(self.begins("", now))

    # -- by time

    def _timed(self, mark: str, now: datetime) -> Iterator[Page]:
        options = self._options
        got_to = self.begins(mark, now)
        end = now - options.behind
        while True:
            until = min(end, got_to + options.longest) if options.longest else end
            values = {"since": self._time(got_to - options.overlap), "until": self._time(until)}
            newest, dated, handed = got_to, 0, 0
            for rows in self._read(values, now):
                if options.by_path:
                    # A date in the future is a slip of somebody's: it must not end the reading of all that is before it.
                    moments = [min(moment, now) for row in rows if (moment := self._moment(row)) is not None]
                    newest, dated, handed = max([newest, *moments]), dated + len(moments), handed + len(rows)
                # A source that is ordered has told everything older than its newest row.
                yield Page(rows, time_mark(newest if self.ordered and options.by_path else got_to))
            if handed and not dated:
                raise SourceError(f"inlet {options.inlet}: no message has a watermark written as {options.time_format}")
            is_last = until >= end
            # Up to the present only the source's own times are believed: its clock may be behind ours.
            got_to = newest if options.by_path and is_last else max(newest, until)
            yield Page((), time_mark(got_to))
            if is_last:
                return

    def begins(self, mark: str, now: datetime) -> datetime:
        """The moment that a mark stands for, or where the first round begins."""
        kind, _, text = mark.partition(" ")
        if kind == "time":
            return datetime.fromisoformat(text)
        if self._options.start == "now":
            return now
        return datetime.strptime(self._options.start, "%Y-%m-%d").replace(tzinfo=self._options.zone).astimezone(UTC)

    def _moment(self, row: Row) -> datetime | None:
        """None where a message has no time that can be read: it is handed over, and moves no mark."""
        try:
            return read_time(row.watermark, self._options.time_format, self._options.zone)
        except ValueError:
            return None

    def _time(self, moment: datetime) -> str:
        return written_time(moment, self._options.time_format, self._options.zone)

    # -- by number

    def _numbered(self, mark: str, now: datetime) -> Iterator[Page]:
        options = self._options
        kind, _, text = mark.partition(" ")
        got_to = int(text) if kind == "number" else int(options.start) if options.start != "now" else 0
        newest, numbered, handed = got_to, 0, 0
        values = {"since": str(max(0, got_to - options.back)), "until": ""}
        for rows in self._read(values, now):
            numbers = [number for row in rows if (number := _number(row)) is not None]
            newest, numbered, handed = max([newest, *numbers]), numbered + len(numbers), handed + len(rows)
            yield Page(rows, f"number {newest if self.ordered else got_to}")
        if handed and not numbered:
            raise SourceError(f"inlet {options.inlet}: no message has a number for its watermark")
        yield Page((), f"number {newest}")

    # -- by a cursor that outlives the round

    def _changes(self, mark: str, now: datetime) -> Iterator[Page]:
        kind, _, text = mark.partition(" ")
        cursor = text if kind == "cursor" else ""
        start = self.begins("", now)
        values = {"since": self._time(start), "until": self._time(now - self._options.behind)}
        for _ in range(self._options.most_pages):
            found = self._ask(self._question(values, now, cursor=cursor))
            after = found.cursor or cursor
            yield Page(found.rows, f"cursor {after}" if after else "")
            if after == cursor or found.more is False or not (found.rows or found.more):
                return
            cursor = after
        raise Stuck(f"inlet {self._options.inlet}: more than {self._options.most_pages} pages (most_pages)")

    # -- pages

    def _read(self, values: dict[str, str], now: datetime) -> Iterator[Sequence[Row]]:
        """The pages of one question, each message once."""
        options = self._options
        known: set[bytes] = set()
        for reading in range(READINGS):
            pages = 0
            is_new = False
            for rows in self._once(values, now):
                pages += 1
                fresh = _fresh(rows, known)
                is_new = is_new or bool(fresh)
                if fresh:
                    yield fresh
            moves = options.paging in ("page", "offset") and pages > 1
            if not moves or (reading and not is_new):
                return

    def _once(self, values: dict[str, str], now: datetime) -> Iterator[Sequence[Row]]:
        """One reading of the pages, as they come."""
        options = self._options
        page, offset, cursor, url = options.first_page, 0, "", ""
        before: set[bytes] = set()
        named: set[str] = set()
        for _ in range(options.most_pages):
            found = self._ask(self._question(values, now, page=page, offset=offset, cursor=cursor, url=url))
            if options.paging in ("page", "offset", "since"):
                digests = {_digest(row) for row in found.rows}
                # Nothing, or nothing else than before: some sources answer a page behind the last with the last.
                if digests <= before:
                    if options.paging == "since" and len(found.rows) >= options.limit:
                        raise Stuck(f"inlet {options.inlet}: {options.limit} messages have one watermark; raise limit")
                    return
                before = digests
            yield found.rows
            if options.paging == "none" or found.more is False:
                return
            page, offset = page + 1, offset + len(found.rows)
            if options.paging == "since":
                values = {**values, "since": self._newest(found.rows)}
            elif options.paging in ("cursor", "link", "next"):
                if not found.cursor:
                    return
                if found.cursor in named:
                    raise Stuck(f"inlet {options.inlet}: the source names a page again that was read already")
                named.add(found.cursor)
                cursor, url = (found.cursor, "") if options.paging == "cursor" else ("", found.cursor)
        raise Stuck(f"inlet {options.inlet}: more than {options.most_pages} pages (most_pages)")

    def _newest(self, rows: Sequence[Row]) -> str:
        """The watermark that the next question begins at; equal ones are asked for again."""
        numbers = [number for row in rows if (number := _number(row)) is not None]
        if self._options.numbers and numbers:
            return str(max(numbers))
        moments = [moment for row in rows if (moment := self._moment(row)) is not None]
        if self._options.numbers or not moments:
            raise SourceError(f"inlet {self._options.inlet}: no message of a page has a watermark to go on from")
        return self._time(max(moments))

    def _question(
        self, values: dict[str, str], now: datetime, page: int = 0, offset: int = 0, cursor: str = "", url: str = ""
    ) -> Question:
        more = {
            "now": self._time(now),
            "page": str(page),
            "offset": str(offset),
            "limit": str(self._options.limit),
            "cursor": cursor,
        }
        return Question({**values, **more}, url)


def time_mark(moment: datetime) -> str:
    return f"time {moment.astimezone(UTC).isoformat()}"


def _digest(row: Row) -> bytes:
    return sha256(row.body).digest()


def _fresh(rows: Sequence[Row], known: set[bytes]) -> list[Row]:
    """Those that are not known yet; now they are."""
    fresh = []
    for row in rows:
        digest = _digest(row)
        if digest not in known:
            known.add(digest)
            fresh.append(row)
    return fresh


def _number(row: Row) -> int | None:
    try:
        return int(row.watermark)
    except ValueError:
        return None
