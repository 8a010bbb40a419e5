"""A feed of messages: what waits in the inbox, as pages of rows and keys, like a source's.

    inbox ─▶ messages in the order in which they came ─▶ rows ─▶ a page of different keys ─▶ take_in, with the messages' marks

A page ends before a message that speaks of a record of the page once more: it is the next version, and versions are made one after
another. A message is read whole or not at all; one that cannot be read is set aside with its reasons, and nothing waits behind it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from connectors.fetched import Fetched
from frontend_agent.config import Config
from frontend_agent.er7 import MessageUnreadable
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import Feed
from frontend_agent.logs import failed
from frontend_agent.model import RowSet, SourceRows, Watermark
from frontend_agent.spool import Heard, Message
from frontend_agent.spool.inbox import Inbox


def must_ask_a_source(config: Config, feed: str) -> None:
    """Raise ConfigurationError for what can only be done with a feed of a database."""
    if config.hears(feed):
        inlet = config.feed(feed).source
        raise ConfigurationError(
            f"feed {feed} hears messages of inlet {inlet}: there is no database to ask. Messages that are kept are read again with"
            f" frontend-agent inlet read {inlet} ID…; older ones the sender has to send again"
        )


GONE = "its bytes are not here any more, or are damaged"


class HeardPage(NamedTuple):
    """Some messages of a feed: the keys they speak of, their rows, what is to be marked; the watermark after them."""

    keys: Sequence[str]
    rows: SourceRows | None
    heard: Heard
    watermark: Watermark | None


class Hearing:
    """The messages of one feed. Asked for keys and times it answers like a source; `queries` and `sources` are a source's."""

    def __init__(self, inbox: Inbox, feed: Feed, feeds: tuple[str, ...]) -> None:
        """`feeds`: all that read the same inlet."""
        assert feed.hear is not None
        self._inbox, self._hear = inbox, feed.hear
        self._name, self._inlet, self._batch = feed.config.name, feed.config.source, feed.config.batch
        self._key, self._zone = feed.mapping.key, feed.plan.timezone
        self._start = feed.config.start
        self._feeds = feeds

    # --- what is new --------------------------------------------------------------------------------------------------

    def pages(
        self, mark: Watermark | None, now: datetime, more: Callable[[], bool] = lambda: False
    ) -> Iterator[HeardPage | None]:
        """Everything that is there and behind the mark. None: that is all for now; `more` then says whether more has come."""
        after = int(mark.cursor) if mark else self._first(now)
        if not mark and self._start:  # from here on, whatever comes before the first page
            yield _Page(self).done(after)
        while True:
            last = self._inbox.newest(self._inlet)
            while messages := self._inbox.next(self._inlet, after, last, self._batch):
                page = _Page(self)
                for message in messages:
                    if not page.add(message):
                        yield page.done(after)
                        page = _Page(self)
                        page.add(message)
                    after = message.id
                yield page.done(after)
            yield None
            if not more():
                return

    def _first(self, now: datetime) -> int:
        """Behind which message a feed begins that has never read: `start` of its table."""
        if not self._start:
            return 0
        since = now if self._start == "now" else datetime.fromisoformat(self._start).replace(tzinfo=self._zone)
        return self._inbox.newest_before(self._inlet, since)

    def again(self, mark: Watermark | None) -> Iterator[HeardPage]:
        """What a person wants to be read once more of what lies before the mark, each message by itself. Its older words do not
        undo newer ones."""
        upto = int(mark.cursor) if mark else 0
        after = 0
        while numbers := self._inbox.again(self._name, self._batch, after):
            after = numbers[-1]
            for message in self._inbox.messages([number for number in numbers if number <= upto]):
                page = _Page(self)
                page.add(message, again=True)
                yield page.done(None)

    # --- like a source ------------------------------------------------------------------------------------------------

    def rows(self, queries: Any, keys: Sequence[str], sources: Mapping[str, Any]) -> SourceRows:
        """What the newest message of each key says of it. Keys of which no message is here any more are not among them."""
        newest = self._inbox.newest_of(self._name, [key.strip() for key in keys])
        asked: dict[int, set[str]] = {}
        for key, number in newest.items():
            asked.setdefault(number, set()).add(key)
        found = []
        for message in self._inbox.messages(sorted(asked)):
            read, _ = self._read(message)
            if read is not None:
                found.append(_only(read, self._key, asked[message.id]))
        return merged(found) if found else self._nothing()

    def fetch(self, queries: Any, keys: Sequence[str], sources: Mapping[str, Any]) -> Fetched:
        return Fetched(self.rows(queries, keys, sources), {}, {})

    def range(self, queries: Any, low: datetime, high: datetime, batch: int) -> Iterator[list[str]]:
        """Keys whose newest message came in [low, high), local times, in the order in which those came."""
        first = self._inbox.newest_before(self._inlet, low.replace(tzinfo=self._zone))
        last = self._inbox.newest_before(self._inlet, high.replace(tzinfo=self._zone))
        place = (first + 1, "")
        while found := self._inbox.keys_between(self._name, self._inlet, place, last, batch):
            place = found[-1]
            yield [key for _, key in found]

    def since(self, queries: Any, low: datetime, batch: int) -> Iterator[list[str]]:
        """The same from then on."""
        return self.range(queries, low, datetime.max.replace(year=9000), batch)

    def _nothing(self) -> SourceRows:
        return SourceRows(RowSet((self._key,), []), {})

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read(self, message: Message) -> tuple[SourceRows | None, tuple[str, ...]]:
        """The rows of a message (None: it is not for this feed), or why it cannot be read."""
        if not message.body:
            return None, (GONE,)
        try:
            rows = self._hear(message.body).rows
        except MessageUnreadable as error:
            return None, tuple(error.reasons)
        except Exception as error:  # noqa: BLE001  whatever one message provoked must not stop its neighbours
            return None, (failed("message.failed", error),)
        if rows is not None and not all(keys_in(rows, self._key)):
            return None, (f"{self._key}: a record without its key",)
        return rows, ()


class _Page:
    """A page while it grows."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._rows: list[SourceRows] = []
        self._keys: dict[str, int] = {}
        self._told: list[tuple[str, int]] = []
        self._unreadable: list[tuple[int, tuple[str, ...]]] = []
        self._again: list[int] = []

    def add(self, message: Message, again: bool = False) -> bool:
        """Whether it has its place on this page; not if it speaks of a record of it once more."""
        hearing = self._hearing
        rows, reasons = hearing._read(message)
        keys = dict.fromkeys(keys_in(rows, hearing._key)) if rows is not None else {}
        if not self._keys.keys().isdisjoint(keys):
            return False
        if again:
            self._again.append(message.id)
        if reasons:
            self._unreadable.append((message.id, reasons))
        if rows is None:
            return True
        self._told += [(key, message.id) for key in keys]
        if again:
            newest = hearing._inbox.newest_of(hearing._name, list(keys))
            keys = {key: None for key in keys if newest.get(key, 0) <= message.id}
            rows = _only(rows, hearing._key, keys)
        self._keys |= dict.fromkeys(keys, message.id)
        if keys:
            self._rows.append(rows)
        return True

    def done(self, upto: int | None) -> HeardPage:
        hearing = self._hearing
        heard = Heard(
            inlet=hearing._inlet, feeds=hearing._feeds, keys=self._told, unreadable=self._unreadable, again=self._again
        )
        mark = Watermark(str(upto), "") if upto is not None else None
        return HeardPage(list(self._keys), merged(self._rows) if self._rows else None, heard, mark)


def keys_in(rows: SourceRows, key: str) -> list[str]:
    """The business key of each parent row; empty where there is none."""
    place = rows.parent.columns.index(key)
    return ["" if row[place] is None else str(row[place]).strip() for row in rows.parent.rows]


def merged(rows: Sequence[SourceRows]) -> SourceRows:
    """The rows of several messages of one mapping, end to end."""
    if len(rows) == 1:
        return rows[0]
    first = rows[0]
    details = {
        name: RowSet(group.columns, [row for one in rows for row in one.details[name].rows])
        for name, group in first.details.items()
    }
    return SourceRows(RowSet(first.parent.columns, [row for one in rows for row in one.parent.rows]), details)


def _only(rows: SourceRows, key: str, keys: Any) -> SourceRows:
    """Those rows that are of these keys."""

    def of(group: RowSet) -> RowSet:
        place = group.columns.index(key)
        return RowSet(group.columns, [row for row in group.rows if str(row[place]).strip() in keys])

    return SourceRows(of(rows.parent), {name: of(group) for name, group in rows.details.items()})
