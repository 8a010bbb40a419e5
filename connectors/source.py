"""What every source can be asked, whatever connects to it: what changed, the rows of these keys, the keys of a range.

    changed ──▶ pages of keys, each with the watermark that stands after it
    rows    ──▶ the parent rows and all detail rows of some keys, as one consistent moment
    range   ──▶ pages of keys whose cursor lies in [low, high)

`changed` pages by (cursor, key) over the mapping's own query, wrapped as a derived table: rows that share a timestamp are
told apart by their key, so none is skipped at a page boundary. What it promises, and what it does not:

- A row that commits late with an earlier cursor is found as long as it is no older than the overlap: each run starts
  that much before the watermark. Rows met again are recognised further on, by key and content.
- A row whose cursor is NULL is asked for in every run, on its own; it never moves the watermark.
- A cursor in the future (later than tomorrow) is read in every run too, but never moves the watermark: one mistyped
  year would otherwise hide everything written after it.
- An integer or unreadable cursor cannot be shifted by a time: such a feed has no overlap.
- A row without a key cannot be asked for by key and is not read: let the query give the primary key.

No result is held open between pages: nothing waits in the hospital's database while we work, and memory is bounded by
the page, on drivers that fetch whole results as well.
"""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from connectors import statements
from connectors.engines.dialect import Dialect
from connectors.fetched import Fetched, Part, Sealed, joined
from connectors.files import with_files
from connectors.finding.acknowledging import Acknowledgement, updates
from connectors.finding.bearings import Bearings, Note, leave, where_to_start
from connectors.finding.clock import ClockWatch, Moment
from connectors.finding.cursors import Unit, cursor_text, cursor_value, earliest, later, like, moment, shifted
from connectors.finding.gaps import Gap, kept, missing, without
from connectors.finding.marks import marked
from connectors.finding.search import FoundPage, MarkedPage, Search
from connectors.grants import Grants, read_grants
from connectors.guest import Guest, Pause, Terms, size_of
from connectors.procedures import BEGINNING, Call, Caller, beyond, call_in, must_be_pinned
from connectors.pulse import Pulse
from connectors.room import ALONE, AnswerTooLarge, Room
from connectors.splitting import Splitting
from frontend_agent.errors import ConfigurationError, SourceError, SourceRefused
from frontend_agent.model import RowSet, SourceRows, Watermark
from frontend_agent.usage import Usage
from frontend_agent.windows import Window

CursorKind = Literal["time", "number", "text", "none"]
WINDOW = 10_000  # (cursor, key) pairs per question: they are small, and asking again may cost the source a sort
REMEMBERED = 50_000  # keys of this run that need not be fetched again
FUTURE = timedelta(days=1)
GAPS_AT_ONCE = 32  # conditions of one question
CHUNKS = (1, 8, 32, 100, 200, 500)  # sizes of IN lists: few statement texts, so the source's statement cache is of use


class SourceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach one source. The password is never in here.

    Exactly one of `url` (`sqlite:///path`, `postgresql://user@host/database`, `mariadb://…`, `oracle://…`, `mssql://…`) and `odbc`
    (`DSN=lis;UID=reader` or `Driver={PostgreSQL Unicode};Server=…`).
    """

    url: str = ""
    odbc: str = ""
    timezone: str = "Asia/Shanghai"  # the session's: what a time without a zone means
    statement_timeout: timedelta = timedelta(seconds=30)
    lock_timeout: timedelta = timedelta(seconds=5)  # never queue behind the hospital's own work for longer
    idle_timeout: timedelta = timedelta(seconds=90)  # the server ends a transaction in which we are silent for longer
    connect_timeout: timedelta = timedelta(seconds=10)
    max_rows: int = 200_000  # of one query for one chunk of keys; more means a join lacks a condition
    max_bytes: int = 16 << 20  # of the rows that are held at once; what is more is read in parts
    nolock: bool = False  # dirty reads, where the vendor imposes them
    files: str = ""  # the folder below which the files lie that columns name by path
    oracle_client: str = ""  # the folder of an Oracle client's libraries (thick mode: Oracle 11g, network encryption)
    encoding: str = ""  # ODBC only: what the driver's narrow text is in, when it is not UTF-8 (gb18030)
    rows_per_second: int = 0  # the budget that we keep as guests (`connectors.guest`); 0: not bounded
    bytes_per_second: int = 0
    protected: tuple[Window, ...] = ()  # local times in which nothing is sent
    share: float = 0.0  # of its time, for work that can wait; 0: not bounded
    slow_down: float = 0.0  # back off when statements take so many times their usual time; 0: never
    procedures: Mapping[str, str] = {}  # stored procedures that may be called -> digest of their definition
    allow_functions: tuple[str, ...] = ()  # functions of the hospital's own that a query may call; it answers for them


class DetailQuery(Protocol):
    """One detail query of a mapping, and the named source it is asked of ("" is the feed's own)."""

    @property
    def sql(self) -> str: ...

    @property
    def source(self) -> str: ...


class PartnerQuery(Protocol):
    """A query of a mapping whose rows are found by an alias of the parent query, and where it is asked."""

    @property
    def sql(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def by(self) -> str: ...

    @property
    def changed(self) -> str: ...


class Queries(Protocol):
    """The SQL of one mapping. `key` is the alias of the business key in the parent and every detail query."""

    @property
    def key(self) -> str: ...

    @property
    def changed(self) -> str: ...

    @property
    def parent(self) -> str: ...

    @property
    def details(self) -> Mapping[str, DetailQuery]: ...

    @property
    def paths(self) -> tuple[str, ...]: ...

    @property
    def day(self) -> str: ...

    @property
    def partners(self) -> Mapping[str, PartnerQuery]: ...


class Changes(Protocol):
    """The part of it that says what changed."""

    @property
    def changed(self) -> str: ...


class ChangedPage(msgspec.Struct, frozen=True):
    """Keys to read now, and the watermark to keep once they are taken (None: nothing with a cursor was seen yet)."""

    keys: tuple[str, ...]
    watermark: Watermark | None
    numbers: tuple[Any, ...] = ()  # of change rows that this and all pages before it speak of


class Asking(Protocol):
    """Ask one statement inside an open session."""

    def __call__(self, sql: str, parameters: Sequence[Any], query: str) -> RowSet: ...


class Source(ABC):
    """A source of rows. Safe to share between feeds: one statement at a time, one connection."""

    def __init__(self, name: str, options: SourceOptions, clock: Callable[[], datetime] | None = None) -> None:
        self.name = name
        self.options = options
        self.pulse = Pulse()
        self._now = clock or (lambda: datetime.now(UTC))
        self.guest = Guest(name, _terms(options), self._now)
        self.guest.waiting = lambda seconds: self.pulse.waits(seconds)
        self._can_wait = False
        self._lock = threading.RLock()
        self._samples: dict[tuple[str, str], Any] = {}
        self._splits: dict[str, Splitting] = {}  # query -> for how much it is asked at once
        self._fitting: dict[str, int] = {}  # query -> of how many keys its rows fit
        self._room = Room(options.max_bytes * ALONE, name)
        self._zone = ZoneInfo(options.timezone)
        self._watch = ClockWatch(self._zone, lambda: self._now(), set())

    # -- what a kind of connection provides --

    @property
    @abstractmethod
    def dialect(self) -> Dialect: ...

    @property
    @abstractmethod
    def family(self) -> str:
        """Our name for the engine: `postgresql`, `mariadb`, `sqlserver` … It is asked at the first need."""

    @abstractmethod
    def _open_session(self) -> AbstractContextManager[Asking]:
        """A read-only session in which everything asked sees the same moment, where the engine can."""

    @abstractmethod
    def _open_writing(self) -> AbstractContextManager[Asking]:
        """For marking change rows as read: each statement is a transaction of its own, and waits for no lock."""

    @abstractmethod
    def close(self) -> None: ...

    def _server_cost(self, ask: Asking) -> dict[str, float]:
        """What the server itself says that we cost since the last time, by its own names; nothing where it does not tell."""
        return {}

    def interrupt(self) -> None:  # noqa: B027 - not every driver can
        """End the statement that is running now, if there is one. Called from another thread."""

    # -- what everybody else uses --

    @contextmanager
    def session(self) -> Iterator[Asking]:
        """The one way in. Every statement of every source passes here: admitted, allowed, counted.

        Raises SourceResting while the source is to be left alone; waits before a session, never inside of one.
        """
        self.guest.admit()  # before we connect, which is asking already
        self._room = Room(self.options.max_bytes * ALONE, self.name)
        with self._open_session() as ask:
            if self.guest.probe_is_due():
                self._probe_latency(lambda: ask(self.dialect.one, (), ""), working=True)
                self.guest.cost(self._server_cost(ask))
            yield lambda sql, parameters, query: self._guarded(ask, sql, parameters, query)

    def _probe_latency(self, ask: Callable[[], object], working: bool) -> None:
        """Time a question for nothing: what the source is like, before us and beside us."""
        started = time.monotonic()
        ask()
        self.guest.probed(time.monotonic() - started, working)

    def _guarded(self, ask: Asking, sql: str, parameters: Sequence[Any], query: str) -> RowSet:
        statements.must_be_allowed(self.name, query, sql, self.rules)
        return self._counted(ask, sql, parameters, query)

    def _counted(self, ask: Asking, sql: str, parameters: Sequence[Any], query: str) -> RowSet:
        self.guest.must_not_rest()
        started = time.monotonic()
        try:
            answer = ask(sql, parameters, query)
        except SourceError:
            self.guest.account(query, sql, 0, 0, time.monotonic() - started, failed=True)
            self.guest.must_not_rest()  # interrupted because somebody paused it: that is no fault
            raise
        seconds = time.monotonic() - started
        self.guest.account(query, sql, len(answer.rows), size_of(answer.rows), seconds)
        return answer

    @property
    def grammar(self) -> str:
        """The name of the engine's SQL in sqlglot, as far as it has one."""
        return ""

    @property
    def rules(self) -> statements.Rules:
        """By what every statement is judged before it is sent."""
        options = self.options
        return statements.rules_of(self.grammar, options.allow_functions, options.nolock, self.dialect.percent != "%")

    def grants(self, tables: Sequence[str] = ()) -> Grants:
        """What the account may do beside reading, from its own grants. `tables`: what the feeds read, for the mend."""
        return read_grants(self.session, self.family, tables)

    @property
    def usage(self) -> Usage:
        """What we cost the source so far."""
        return self.guest.total

    def spent(self) -> Usage:
        """The same as a value: what it was at this moment, also where the source lives in another process."""
        return msgspec.structs.replace(self.guest.total)

    def pause(self, pause: Pause) -> None:
        """Leave the source alone from now on; a statement that is running is ended."""
        self.guest.pause(pause)
        self.interrupt()

    def resume(self) -> None:
        self.guest.resume()

    def probe(self, queries: Queries | None = None, others: Mapping[str, Source] | None = None) -> None:
        """Raise what would go wrong if we asked now: the connection, and every query of a mapping, without reading rows."""
        self.probe_own(queries)
        if queries is None:
            return
        for group, detail in queries.details.items():
            if not self._holds(detail.source):
                self._other(detail.source, group, others).probe_query(detail.sql, (queries.key,), group)
        for name, partner in queries.partners.items():
            source = self._partner(partner, name, others)
            source.probe_query(partner.sql, (partner.by,), name)
            if partner.changed:
                source.probe_query(partner.changed, ("cursor", "key"), f"{name}.changed")

    def probe_own(self, queries: Queries | None) -> None:
        """The part of `probe` that is asked here: the connection, the parent, and the details that this source holds."""
        with self.session() as ask:
            ask(self.dialect.one, (), "probe")
            if queries is None:
                return
            self._ask_nothing(ask, queries.changed, ("cursor", "key"), "changed")
            if queries.day:
                ask(_nothing_of(self.dialect, queries.day, ("day", "key")), (), "day")
            self._ask_nothing(ask, queries.parent, (queries.key,), "parent")
            for group, detail in queries.details.items():
                if self._holds(detail.source):
                    self._ask_nothing(ask, detail.sql, (queries.key,), group)

    def probe_query(self, sql: str, columns: Sequence[str], query: str) -> None:
        """Raise what would go wrong if one query of a mapping were asked now for these columns."""
        with self.session() as ask:
            self._ask_nothing(ask, sql, columns, query)

    def moment(self) -> Moment:
        """The source's own time, and what cannot be seen there yet, as far as it tells."""

        def ask(sql: str) -> RowSet:
            with self.session() as alone:
                return alone(statements.Own(sql), (), "clock")

        return self._watch.moment(ask, self.family)

    def found(
        self, queries: Queries, search: Search, after: Watermark | None, before: Bearings | None
    ) -> Iterator[FoundPage]:
        """What is new since the watermark, found by time or by key; last of all what this run leaves for the next.

        `before` is what the last whole run left. A run that is broken off leaves nothing: the next looks from where this did.
        """
        now = self.moment()
        now = msgspec.structs.replace(now, behind=max(now.behind, search.replica_lag))
        begin = where_to_start(before, now, search.overlap)
        passed = _Passed(after, list(before.gaps) if before else [], now.asked_at)
        if search.how != "time":
            self._no_call(queries.changed)
        if search.how == "time":
            pages = self.changed(queries, after, search.overlap, search.limit, begin.low, now.horizon)
        elif search.how == "key":
            pages = self._numbered(queries.changed, after, begin.note, passed, search.limit)
        elif search.acknowledged:
            passed.gaps = []
            pages = self._numbered(_changes(queries), None, None, passed, search.limit, acknowledged=True)
        else:
            again = self._begun_again(_changes(queries), after)
            pages = self._numbered(_changes(queries), None if again else after, begin.note, passed, search.limit)
        for page in pages:
            yield FoundPage(page.keys, page.watermark, numbers=page.numbers)
        gaps = kept(passed.gaps, now.asked_at, search.term)
        left = leave(before, now, after, search.overlap, gaps, passed.tail)
        yield FoundPage((), None, left, set_back=begin.set_back)

    def marks(self, queries: Queries, after: str = "") -> Iterator[MarkedPage]:
        """All keys that the query of changes gives, each with the mark of its content, from behind a key on."""
        sql = queries.changed
        self._no_call(sql)
        last = _native([after], self._sample(sql, "key")) if after else []
        while True:
            text = _walk_text(self.dialect, sql, bool(last))
            with self.session() as ask:
                pairs = ask(text, last, "changed").rows
            whole = len(pairs) < WINDOW
            found, _ = marked(pairs, whole)
            if found:
                last = [found[-1][0]]
            told = tuple((key_text(key), mark) for key, mark in found)
            yield MarkedPage(told, "" if whole or not found else told[-1][0])
            if whole or not found:
                return

    def present(self, queries: Queries, keys: Sequence[str]) -> list[str]:
        """Those of these keys of which there is a parent row now."""
        return self.keys_by(queries, queries.key, keys)

    def acknowledge(self, what: Acknowledgement, numbers: Sequence[Any]) -> str:
        """Mark change rows as read. Called after they were committed here, and safe to repeat. Answers what went wrong, or "".

        The one statement that writes: it is made of names in agent.toml, and passes no query of a mapping.
        """
        try:
            self.guest.admit()
            with self._open_writing() as ask:
                for sql, parameters in updates(self.dialect, what, numbers):
                    self._counted(ask, sql, parameters, "acknowledge")
        except (
            SourceError
        ) as error:  # a row that somebody holds makes no source unreachable: it is done with the next run
            return str(error)
        return ""

    def changed(
        self,
        queries: Queries,
        after: Watermark | None,
        overlap: timedelta,
        limit: int = 500,
        low: datetime | None = None,
        horizon: datetime | None = None,
    ) -> Iterator[ChangedPage]:
        """Everything that changed since the watermark, then everything whose cursor is NULL, in pages of `limit` keys.

        Starts at `low` (the source's time), if that is earlier; the watermark never passes `horizon`, where it is given.
        """
        mark = _Mark(after, horizon or self._today() + FUTURE, overlap, _unit(queries), self._zone)
        recent = _Recent()
        position = self._start(queries, after, overlap, low)
        settled: Any = _UNKNOWN
        while window := self._window(queries.changed, position):
            full = len(window) == WINDOW
            if full and settled is _UNKNOWN:
                # Asked before the first page is read: whatever is older than this was visible when its key was read.
                settled = self._settled(queries.changed, overlap, _unit(queries))
            for part in mark.parts(window):
                for keys, last in _pages(part, recent, settled, limit):
                    yield ChangedPage(keys, mark.move(*last))
            if not full:
                break
            if position and window[-1] == position[:2]:
                raise SourceRefused(
                    f"source {self.name}: the changed query does not advance: the driver shortens its cursor"
                )
            position = (*window[-1], True)
        for keys in self._without_cursor(queries.changed, recent, limit):
            yield ChangedPage(keys, mark.watermark)

    def range(
        self, queries: Changes, low: datetime | str, high: datetime | str, limit: int = 500
    ) -> Iterator[tuple[str, ...]]:
        """The keys whose cursor lies in [low, high), in pages. Times are the institution's local ones."""
        style = self._sample(queries.changed, "cursor")
        if style is None:
            return
        unit = _unit(queries)
        top = like(style, high, unit, self._zone)
        recent = _Recent()
        position: _Position = (like(style, low, unit, self._zone), None, False)
        for window in self._windows(queries.changed, position, top):
            for keys, _ in _pages(window, recent, _EVERYTHING, limit):
                yield keys

    def cursor_kind(self, queries: Queries) -> CursorKind:
        """What the cursor of a mapping is, by one value of it."""
        sample = self._sample(queries.changed, "cursor")
        if sample is None:
            return "none"
        if moment(sample, _unit(queries), self._zone) is not None:
            return "time"
        return "number" if isinstance(sample, int | Decimal | float) else "text"

    def walk(
        self, queries: Queries, low: datetime | str, high: datetime | str, after: Watermark | None, limit: int = 500
    ) -> Iterator[ChangedPage]:
        """What `range` gives, from behind `after` on (where it lies in the range): each page with where it ends."""
        style = self._sample(queries.changed, "cursor")
        if style is None:
            return
        unit = _unit(queries)
        top, recent = like(style, high, unit, self._zone), _Recent()
        position: _Position = (like(style, low, unit, self._zone), None, False)
        if after is not None:
            position = self._behind(queries.changed, after)
        for window in self._windows(queries.changed, position, top):
            for keys, (cursor, key) in _pages(window, recent, _EVERYTHING, limit):
                yield ChangedPage(keys, Watermark(cursor_text(cursor), key_text(key)))

    def count(self, queries: Queries, low: datetime | str, high: datetime | str, most: int) -> int:
        """How many rows have a cursor in [low, high); no more than `most` are looked for."""
        style, unit = self._sample(queries.changed, "cursor"), _unit(queries)
        if style is None:
            return 0
        bounds = [like(style, bound, unit, self._zone) for bound in (low, high)]
        if call := call_in(queries.changed):
            return min(most, len(self._pairs_called(call, (bounds[0], None, False), bounds[1])))
        with self.session() as ask:
            return int(ask(_count_text(self.dialect, queries.changed, most), bounds, "count").rows[0][0])

    def since(self, queries: Queries, low: datetime, limit: int = 500) -> Iterator[tuple[str, ...]]:
        """The keys whose cursor is no older than `low` (local time), in pages; all keys, where a cursor is no time."""
        sample, unit = self._sample(queries.changed, "cursor"), _unit(queries)
        recent = _Recent()
        if sample is None:  # no row has a cursor: all of them are meant
            yield from self._without_cursor(queries.changed, recent, limit)
            return
        timed = moment(sample, unit, self._zone) is not None
        position = (like(sample, low, unit, self._zone), None, False) if timed else None
        for window in self._windows(queries.changed, position):
            for keys, _ in _pages(window, recent, _EVERYTHING, limit):
                yield keys

    def of_days(
        self, queries: Queries, low: datetime | str, high: datetime | str, limit: int = 500
    ) -> Iterator[tuple[str, ...]]:
        """The keys whose day, by the mapping's own query of days, lies in [low, high), in pages."""
        days = _Changes(_day_text(self.dialect, queries.day))
        sample = self._sample(days.changed, "cursor")
        if sample is not None and moment(sample, "", self._zone) is None:
            raise ConfigurationError(
                f"source {self.name}: query 'day': \"day\" is no time (a time, a date, or a text like 2026-09-30 or 20260930)"
            )
        yield from self.range(days, low, high, limit)

    def is_dated(self, queries: Queries) -> bool:
        """Whether the cursor is a time: only then can the changes of some days be asked for. So is one without rows."""
        sample = self._sample(queries.changed, "cursor")
        return sample is None or moment(sample, _unit(queries), self._zone) is not None

    def cursors(self, queries: Queries, keys: Sequence[str]) -> dict[str, str | None]:
        """The newest cursor of each of these keys; None where it is NULL. What the query of changes does not give is absent."""
        with self.session() as ask:
            found = self._by_keys(ask, queries.changed, "key", keys, "changed")
        places = found.columns.index("cursor"), found.columns.index("key")
        newest: dict[str, Any] = {}
        for cursor, key in ((row[places[0]], key_text(row[places[1]])) for row in found.rows):
            before = newest.get(key, cursor)
            newest[key] = None if cursor is None or before is None else max(before, cursor)
        return {key: None if cursor is None else cursor_text(cursor) for key, cursor in newest.items()}

    def passed_over(
        self, queries: Queries, search: Search, after: Watermark | None, before: Bearings | None, keys: Sequence[str]
    ) -> list[str]:
        """Those of these keys that a run which starts from here would not come by: what the watermark has missed."""
        if after is None or not keys:
            return []
        now = self.moment()
        begin = where_to_start(
            before, msgspec.structs.replace(now, behind=max(now.behind, search.replica_lag)), search.overlap
        )
        overlap = timedelta() if search.how == "key" else search.overlap
        start = self._start(queries, after, overlap, begin.low)
        first = start[0] if start else None
        if search.how == "key" and begin.note:
            first = earliest(first, cursor_value(begin.note.cursor)) if begin.note.cursor else None
        if first is None:
            return []
        awaited = before.gaps if before else ()
        found = {key: None if at is None else cursor_value(at) for key, at in self.cursors(queries, keys).items()}

        def is_met(key: str) -> bool:
            cursor = found[key]
            if cursor is None or not later(first, cursor):
                return cursor is None or cursor != cursor_value(after.cursor) or key > after.key or bool(overlap)
            return any(gap.low <= number <= gap.high for number in _numbers([(cursor, key)]) for gap in awaited)

        return [key for key in keys if key not in found or not is_met(key)]

    def rows(self, queries: Queries, keys: Sequence[str], others: Mapping[str, Source] | None = None) -> SourceRows:
        """The parent, detail and partner rows of these keys. What this source holds of the first two is read as one moment."""
        return self.fetch(queries, keys, others).opened()

    def fetch(self, queries: Queries, keys: Sequence[str], others: Mapping[str, Source] | None = None) -> Fetched:
        """The same, in the pieces in which the sources gave them: for who hands them on to another process."""
        try:
            own = self.part(queries, keys)
        except AnswerTooLarge:
            if len(keys) == 1:
                raise
            half = len(keys) // 2
            by = {name: partner.by for name, partner in queries.partners.items()}
            return joined(self.fetch(queries, keys[:half], others), self.fetch(queries, keys[half:], others), by)
        details = {  # after our own session: two sources never wait for each other's lock
            group: self._other(detail.source, group, others).by_values(detail.sql, queries.key, keys, group)
            for group, detail in queries.details.items()
            if not self._holds(detail.source)
        }
        partners = {
            name: self._other(queries.partners[name].source, name, others).by_values(
                queries.partners[name].sql, queries.partners[name].by, values, name
            )
            for name, values in own.wanted.items()
        }
        return Fetched(own.rows, details, partners)

    def part(self, queries: Queries, keys: Sequence[str]) -> Part:
        """What this source holds of these keys: the parent rows with their own details as one moment, its own partners."""
        details: dict[str, RowSet] = {}
        with self.session() as ask:
            if len(keys) > 1:  # a record alone may have more
                self._room = Room(self.options.max_bytes, self.name)
            parent = self._by_keys(ask, queries.parent, queries.key, keys, "parent")
            for group, detail in queries.details.items():
                if self._holds(detail.source):
                    details[group] = self._by_keys(ask, detail.sql, queries.key, keys, group)
        partners: dict[str, RowSet] = {}
        wanted: dict[str, list[str]] = {}
        for name, partner in queries.partners.items():
            values = _values(parent, partner.by)
            if self._holds(partner.source):
                with self.session() as ask:
                    partners[name] = self._by_keys(ask, partner.sql, partner.by, values, name)
            else:
                wanted[name] = values
        if queries.paths and self.options.files:  # after the session: a slow share holds nothing open in the database
            # Each file may take as long as a statement.
            self.pulse.waits(len(parent.rows) * self.options.statement_timeout.total_seconds())
            parent = with_files(parent, queries.paths, self.options.files)
        return Part(SourceRows(parent, details, partners), wanted)

    def by_values(self, sql: str, alias: str, values: Sequence[str], query: str) -> RowSet | Sealed:
        """The rows of one query whose alias has one of these values: details and partners that live elsewhere."""
        with self.session() as ask:
            return self._by_keys(ask, sql, alias, values, query)

    def end_session(self, session: str) -> bool:
        """End another session of ours at the server, by its number: whether it is gone. Asked around the guest's terms, by
        nobody but the parent of an extractor that hung."""
        return False

    def behind(self, rests: bool = True) -> Source:
        """The same source for work that can wait: over a connection of its own where two are allowed, and between two
        questions it `rests`, so that it keeps to its share of the source's time."""
        return self

    def keys_by(self, queries: Queries, alias: str, values: Sequence[str]) -> list[str]:
        """The keys of the parent rows whose alias has one of these values: whose partner changed."""
        with self.session() as ask:
            found = self._by_keys(ask, queries.parent, alias, values, "parent", only=queries.key)
        return list(dict.fromkeys(key_text(row[0]) for row in found.rows if row[0] is not None))

    def newest(self, changed: str) -> Watermark | None:
        """Where a query of changes stands now, without reading what is before. Cursors in the future do not count."""
        sample = self._sample(changed, "cursor")
        if sample is None:
            return None
        if call_in(changed):  # nobody can ask a procedure for its newest row: what comes from now on is new
            return Watermark(cursor_text(self._today().astimezone(self._zone).replace(tzinfo=None)), "")
        top = like(sample, self._today() + FUTURE, "", self._zone) if moment(sample) is not None else None
        with self.session() as ask:
            newest = ask(_newest_text(self.dialect, changed, top is not None), () if top is None else (top,), "changed")
        cursor = newest.rows[0][0]
        return None if cursor is None else Watermark(cursor_text(cursor), "")

    def begin(self, queries: Queries, at: datetime | None) -> Watermark | None:
        """Where a feed begins that is not to read all there ever was: at a local time, or where its source stands now."""
        if at is None:
            return self.newest(queries.changed)
        sample, unit = self._sample(queries.changed, "cursor"), _unit(queries)
        if sample is None:
            return None
        if moment(sample, unit, self._zone) is None:
            raise ConfigurationError(
                f'source {self.name}: the cursor is no time: a feed of it may start "now", not on a day'
            )
        return Watermark(cursor_text(like(sample, at, unit, self._zone)), "")

    # -- the parts of it --

    def _holds(self, source: str) -> bool:
        """Whether a query of a mapping is asked here."""
        return not source or source == self.name

    def _today(self) -> datetime:
        """Our own time, as local time without a zone."""
        return self._now().astimezone(self._zone).replace(tzinfo=None)

    def _partner(self, partner: PartnerQuery, name: str, others: Mapping[str, Source] | None) -> Source:
        return self if self._holds(partner.source) else self._other(partner.source, name, others)

    def _other(self, name: str, group: str, others: Mapping[str, Source] | None) -> Source:
        found = (others or {}).get(name)
        if found is None:
            known = ", ".join(sorted(others or {})) or "none"
            raise ConfigurationError(
                f"query {group!r} is asked of source {name!r}, which is not configured (known: {known})"
            )
        return found.behind() if self._can_wait else found

    def _by_keys(self, ask: Asking, sql: str, key: str, keys: Sequence[str], query: str, only: str = "") -> RowSet:
        if call := call_in(sql):
            called = self._caller(call, ask).by_keys(key, keys, query)
            return called if not only else RowSet((only,), [(row[called.columns.index(only)],) for row in called.rows])
        native = _native(keys, self._sample(sql, key, ask, query)) if keys else []
        columns: tuple[str, ...] = ()
        rows: list[Any] = []
        position = 0
        while position < len(native):
            splitting = self._splits.setdefault(sql, Splitting(CHUNKS, CHUNKS[-1]))
            most = min(self._fitting.get(sql, CHUNKS[1]), splitting.size)
            chunk = _filled(native[position : position + most])
            text = _by_keys_text(self.dialect, sql, key, len(chunk), self.options.max_rows + 1, only)
            started = time.monotonic()
            answer = self._weighed(sql, len(chunk), partial(ask, text, chunk, query))
            splitting.took(len(chunk), time.monotonic() - started)
            position += len(chunk)
            if len(answer.rows) > self.options.max_rows:
                raise SourceRefused(
                    f"source {self.name}: query {query!r} gave more than {self.options.max_rows} rows for {len(chunk)} keys:"
                    " a join lacks a condition, or max_rows is too small"
                )
            columns = answer.columns
            rows += answer.rows
        if not columns:
            columns = ask(_nothing_of(self.dialect, sql, ()), (), query).columns
        return RowSet(columns, rows)

    def _weighed(self, sql: str, count: int, answer: Callable[[], RowSet]) -> RowSet:
        """Ask for so many keys, and learn for how many the next question may be. A driver may keep whole answers."""
        before = self._room.taken
        try:
            rows = answer()
        except AnswerTooLarge:
            self._fitting[sql] = max(size for size in CHUNKS if size == 1 or size < count)
            raise
        weight = max(1, (self._room.taken - before) // count)
        self._fitting[sql] = max(n for n in CHUNKS if n == 1 or 2 * n * weight <= self.options.max_bytes)
        return rows

    # -- stored procedures in place of queries (procedures.py) --

    def _caller(self, call: Call, ask: Asking) -> Caller:
        """Who calls it, once it is proven to be what was pinned."""
        found = self.digest_of_procedure(call.name, ask)
        must_be_pinned(self.name, call.name, found, self.options.procedures)
        return Caller(call, ask, self._call_text)

    def _call_text(self, call: Call) -> str:
        raise SourceRefused(f"source {self.name}: stored procedures cannot be called here")

    def digest_of_procedure(self, name: str, ask: Asking | None = None) -> str:
        """The digest of a stored procedure's definition at the source; "" where none can be read."""
        raise SourceRefused(f"source {self.name}: stored procedures cannot be called here")

    def _no_call(self, sql: str) -> None:
        if call_in(sql):
            raise SourceRefused(
                f'source {self.name}: what a stored procedure tells is found by its time: find = "time"'
            )

    def _pairs_called(self, call: Call, position: _Position | None, top: Any) -> list[tuple[Any, Any]]:
        high = (top if isinstance(top, datetime) else None) or (self._today() + FUTURE).astimezone(self._zone)
        low = position[0] if position else None
        with self.session() as session:

            def ask(sql: str, parameters: Sequence[Any], query: str) -> RowSet:
                self._room = Room(self.options.max_bytes * ALONE, self.name)  # of each call: only pairs of it are kept
                return session(sql, parameters, query)

            found = self._caller(call, ask).pairs(low, high, cursor_text(low) if position else "", WINDOW)
        return [pair for pair in found if beyond(pair, position, top)][:WINDOW]

    def _ask_nothing(self, ask: Asking, sql: str, columns: Sequence[str], query: str) -> None:
        """Raise what would go wrong if this query were asked for these columns."""
        if call := call_in(sql):
            self._caller(call, ask)
        else:
            ask(_nothing_of(self.dialect, sql, columns), (), query)

    def _windows(self, sql: str, position: _Position | None, top: Any = None) -> Iterator[_Window]:
        """All pairs from a place on, each time as many as the source gives in a short statement. For work that can wait."""
        splitting = self._splits.setdefault(f"window {sql}", _windows_of(WINDOW))
        while True:
            size = WINDOW if call_in(sql) else splitting.size
            started = time.monotonic()
            window = self._window(sql, position, top, size)
            if len(window) == size:
                splitting.took(size, time.monotonic() - started)
            if window:
                yield window
            if len(window) < size:
                return
            position = (*window[-1], True)

    def _window(
        self, sql: str, position: _Position | None, top: Any = None, most: int | None = None
    ) -> list[tuple[Any, Any]]:
        if call := call_in(sql):
            return self._pairs_called(call, position, top)
        condition, parameters = _beyond(self.dialect, position, top)
        text = _window_text(self.dialect, sql, condition, WINDOW if most is None else most)
        with self.session() as ask:
            return list(ask(text, parameters, "changed").rows)

    def _without_cursor(self, sql: str, recent: _Recent, limit: int) -> Iterator[tuple[str, ...]]:
        last: Any = None
        while not call_in(sql):
            text = _null_text(self.dialect, sql, last is not None)
            with self.session() as ask:
                rows = ask(text, () if last is None else (last,), "changed").rows
            keys = [k for k in dict.fromkeys(key_text(row[0]) for row in rows) if k not in recent]
            for start in range(0, len(keys), limit):
                yield tuple(keys[start : start + limit])
            if len(rows) < WINDOW:
                return
            last = rows[-1][0]

    def _start(
        self, queries: Queries, after: Watermark | None, overlap: timedelta, low: datetime | None = None
    ) -> _Position | None:
        if after is None:
            return None
        unit = _unit(queries)
        cursor = cursor_value(after.cursor)
        earlier = shifted(cursor, overlap, unit) if overlap else None
        if low is not None and moment(cursor, unit, self._zone) is not None:
            earlier = earliest(cursor if earlier is None else earlier, like(cursor, low, unit, self._zone))
        if earlier is not None:
            return (earlier, None, False)
        return self._behind(queries.changed, after)

    def _behind(self, sql: str, after: Watermark) -> _Position:
        """Right behind a row that has been read."""
        cursor = cursor_value(after.cursor)
        native = _native([after.key], self._sample(sql, "key"))
        return (cursor, native[0], True) if native else (cursor, None, False)

    def _begun_again(self, sql: str, after: Watermark | None) -> bool:
        """Whether the numbers of a change table begin again below our watermark: it was emptied with its counter."""
        newest = self.newest(sql) if after else None
        return bool(after and newest and later(cursor_value(after.cursor), cursor_value(newest.cursor)))

    def _numbered(
        self,
        sql: str,
        after: Watermark | None,
        note: Note | None,
        passed: _Passed,
        limit: int,
        acknowledged: bool = False,
    ) -> Iterator[ChangedPage]:
        """By an increasing cursor that is no time: the numbers that were passed over, then all from a place on."""
        watermark = after
        for gaps in _some(passed.gaps, GAPS_AT_ONCE):
            for window in self._gap_windows(sql, gaps):
                passed.found(window)
                for keys, _ in _pages(window, _Recent(), None, limit):
                    yield ChangedPage(keys, watermark)
        position = None
        if after is not None:
            mark = after if note is None else Watermark(note.cursor, note.key)
            position = self._behind(sql, mark) if mark.cursor else None
        while window := self._window(sql, position):
            passed.over(window)
            for keys, last in _pages(window, _Recent(), None, limit):
                # While it looks again at what is behind the watermark, that stays where it is.
                if after is None or later(last[0], cursor_value(after.cursor)):
                    watermark = Watermark(cursor_text(last[0]), key_text(last[1]))
                yield ChangedPage(keys, watermark)
            if acknowledged:
                yield ChangedPage((), watermark, tuple(dict.fromkeys(cursor for cursor, _ in window)))
            if len(window) < WINDOW:
                break
            if position and window[-1] == position[:2]:
                raise SourceRefused(f"source {self.name}: the changed query does not advance")
            position = (*window[-1], True)
        for keys in self._without_cursor(sql, _Recent(), limit):
            yield ChangedPage(keys, watermark)

    def _gap_windows(self, sql: str, gaps: Sequence[Gap]) -> Iterator[_Window]:
        """What appeared in some gaps."""
        position: _Position | None = None
        while True:
            text, parameters = _gaps_text(self.dialect, sql, gaps, position)
            with self.session() as ask:
                window = list(ask(text, parameters, "changed").rows)
            if window:
                yield window
            if len(window) < WINDOW:
                return
            position = (*window[-1], True)

    def _settled(self, sql: str, overlap: timedelta, unit: Unit) -> Any:
        """The cursor up to which, by the overlap's promise, everything has been committed. None if it cannot be told."""
        if call_in(sql):
            return None
        with self.session() as ask:
            newest = ask(_newest_text(self.dialect, sql), (), "changed").rows[0][0]
        return newest if newest is None or not overlap else shifted(newest, overlap, unit)

    def _sample(self, sql: str, column: str, ask: Asking | None = None, query: str = "changed") -> Any:
        """One value of a column, to learn its type: what we are given as text goes back as what the source compares."""
        if call_in(sql):
            return BEGINNING if column == "cursor" else ""
        found = self._samples.get((sql, column))
        if found is None:
            text = _sample_text(self.dialect, sql, column)
            if ask is not None:
                rows = ask(text, (), query).rows
            else:
                with self.session() as alone:
                    rows = alone(text, (), query).rows
            found = rows[0][0] if rows else None
            if found is not None:
                self._samples[sql, column] = found
        return found


def _terms(options: SourceOptions) -> Terms:
    return Terms(
        rows_per_second=options.rows_per_second,
        bytes_per_second=options.bytes_per_second,
        protected=options.protected,
        share=options.share,
        slow_down=options.slow_down,
        timezone=options.timezone,
    )


# -- statements, as pure functions of their parts --


def _wrapped(dialect: Dialect, sql: str) -> str:
    # On lines of its own: the mapping's query may end in a comment.
    return f"FROM (\n{sql.strip().rstrip(';').replace('%', dialect.percent)}\n) q"


def _column(dialect: Dialect, name: str) -> str:
    return f"q.{dialect.quoted(name)}"


@lru_cache(maxsize=512)
def _by_keys_text(dialect: Dialect, sql: str, key: str, count: int, limit: int, only: str = "") -> str:
    marks = ", ".join(dialect.marks(count))
    where = f"WHERE {_column(dialect, key)} IN ({marks})"
    return dialect.select(_column(dialect, only) if only else "*", f"{_wrapped(dialect, sql)}\n{where}", limit)


def _windows_of(most: int) -> Splitting:
    sizes = sorted({max(1, most // 20), max(1, most // 5), most})
    return Splitting(sizes, sizes[len(sizes) // 2])


def _window_text(dialect: Dialect, sql: str, condition: str, most: int = WINDOW) -> str:
    cursor, key = _column(dialect, "cursor"), _column(dialect, "key")
    body = f"{_wrapped(dialect, sql)}\nWHERE {key} IS NOT NULL AND {condition}\nORDER BY {cursor}, {key}"
    return dialect.select(f"{cursor}, {key}", body, most)


def _walk_text(dialect: Dialect, sql: str, resumed: bool) -> str:
    cursor, key = _column(dialect, "cursor"), _column(dialect, "key")
    further = f"{key} > {dialect.marks(1)[0]}" if resumed else f"{key} IS NOT NULL"
    body = f"{_wrapped(dialect, sql)}\nWHERE {further}\nORDER BY {key}, {cursor}"
    return dialect.select(f"{cursor}, {key}", body, WINDOW)


def _gaps_text(dialect: Dialect, sql: str, gaps: Sequence[Gap], position: _Position | None) -> tuple[str, list[Any]]:
    """The pairs whose cursor lies in one of the gaps; always so many conditions, so that few texts are made of it."""
    cursor, key = _column(dialect, "cursor"), _column(dialect, "key")
    filled = [*gaps, *[gaps[-1]] * (GAPS_AT_ONCE - len(gaps))]
    parameters: list[Any] = [bound for gap in filled for bound in (gap.low, gap.high)]
    marks = iter(dialect.marks(2 * len(filled) + 3))
    any_of = " OR ".join(f"({cursor} >= {next(marks)} AND {cursor} <= {next(marks)})" for _ in filled)
    further = ""
    if position is not None:
        further = f" AND {cursor} >= {next(marks)} AND ({cursor} > {next(marks)} OR {key} > {next(marks)})"
        parameters += [position[0], position[0], position[1]]
    body = f"{_wrapped(dialect, sql)}\nWHERE {key} IS NOT NULL AND ({any_of}){further}\nORDER BY {cursor}, {key}"
    return dialect.select(f"{cursor}, {key}", body, WINDOW), parameters


def _count_text(dialect: Dialect, sql: str, most: int) -> str:
    cursor, key = _column(dialect, "cursor"), _column(dialect, "key")
    low, high = dialect.marks(2)
    where = f"WHERE {key} IS NOT NULL AND {cursor} >= {low} AND {cursor} < {high}"
    found = dialect.select(key, f"{_wrapped(dialect, sql)}\n{where}", most)
    return f"SELECT COUNT(*) FROM (\n{found}\n) n"  # noqa: S608 - the mapping's own query


def _null_text(dialect: Dialect, sql: str, resumed: bool) -> str:
    cursor, key = _column(dialect, "cursor"), _column(dialect, "key")
    further = f"{key} > {dialect.marks(1)[0]}" if resumed else f"{key} IS NOT NULL"
    body = f"{_wrapped(dialect, sql)}\nWHERE {cursor} IS NULL AND {further}\nORDER BY {key}"
    return dialect.select(key, body, WINDOW)


def _newest_text(dialect: Dialect, sql: str, below: bool = False) -> str:
    cursor = _column(dialect, "cursor")
    where = f"\nWHERE {cursor} < {dialect.marks(1)[0]}" if below else ""
    return f"SELECT MAX({cursor}) {_wrapped(dialect, sql)}{where}"


def _sample_text(dialect: Dialect, sql: str, column: str) -> str:
    name = _column(dialect, column)
    return dialect.select(name, f"{_wrapped(dialect, sql)}\nWHERE {name} IS NOT NULL", 1)


@dataclass(frozen=True)
class _Changes:
    """A query of its own, where `range` looks for that of changes."""

    changed: str


_AS_CHANGES = (("day", "cursor"), ("key", "key"))


def _day_text(dialect: Dialect, sql: str) -> str:
    """The query of days in the words of a query of changes."""
    columns = ", ".join(f"d.{dialect.quoted(name)} AS {dialect.quoted(to)}" for name, to in _AS_CHANGES)
    return f"SELECT {columns} FROM (\n{sql.strip().rstrip(';')}\n) d"  # noqa: S608 - of a mapping on our disk


def _nothing_of(dialect: Dialect, sql: str, columns: Iterable[str]) -> str:
    """The query with no rows: the source parses it and resolves every name in it, and reads nothing."""
    named = ", ".join(_column(dialect, name) for name in columns) or "*"
    return f"SELECT {named} {_wrapped(dialect, sql)}\nWHERE 1 = 0"


_Window = Sequence[tuple[Any, Any]]  # (cursor, key), in order
_Position = tuple[Any, Any, bool]  # cursor, key, whether that row itself has been read


def _beyond(dialect: Dialect, position: _Position | None, top: Any) -> tuple[str, list[Any]]:
    cursor, key = _column(dialect, "cursor"), _column(dialect, "key")
    if position is None:
        return f"{cursor} IS NOT NULL", []
    value, after_key, read = position
    from_, again, past, below = dialect.marks(4)
    condition, parameters = f"{cursor} >= {from_}", [value]
    if read:
        # `>=` first and on its own: it is what an index can use.
        condition += f" AND ({cursor} > {again} OR {key} > {past})"
        parameters += [value, after_key]
    if top is not None:
        condition += f" AND {cursor} < {below if read else again}"
        parameters.append(top)
    return condition, parameters


# -- values --

_UNKNOWN = object()
_EVERYTHING = object()


def _values(rows: RowSet, alias: str) -> list[str]:
    """The different values of a column, as keys."""
    place = rows.columns.index(alias)
    texts = (key_text(row[place]).strip() for row in rows.rows if row[place] is not None)
    return [text for text in dict.fromkeys(texts) if text]


def key_text(value: Any) -> str:
    """A key as text. Nineteen digits stay nineteen digits; nothing passes through a float."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _native(keys: Iterable[str], sample: Any) -> list[Any]:
    """Keys as the type the source compares. A text that cannot be one cannot be a key there either."""
    if sample is None:  # there is no row with a key at all
        return []
    if isinstance(sample, int):
        return [int(k) for k in keys if re.fullmatch(r"-?\d{1,38}", k)]
    if isinstance(sample, Decimal):
        return [Decimal(k) for k in keys if re.fullmatch(r"-?\d{1,38}(\.\d{1,38})?", k)]
    return list(keys)


def _changes(queries: Queries) -> str:
    """The query of the change table. Raises ConfigurationError for a mapping without one."""
    found: str = getattr(queries, "changes", "")
    if not found:
        raise ConfigurationError('find = "changes" needs a query of the change table: [queries] changes = "….sql"')
    return found


def _unit(queries: Changes) -> Unit:
    """Whether the mapping says that a plain number is a time."""
    found: Unit = getattr(queries, "cursor_unit", "")
    return found


class _Mark:
    """The watermark of a run: it never goes back into the overlap and never past the source's own time."""

    def __init__(
        self, after: Watermark | None, future: datetime, overlap: timedelta, unit: Unit, zone: ZoneInfo
    ) -> None:
        self.watermark = after
        self._future = future
        self._unit: Unit = unit
        self._zone = zone
        self._floor = cursor_value(after.cursor) if after and overlap else None

    def parts(self, window: _Window) -> Iterator[_Window]:
        """The window cut where the future begins, so that no page holds back the watermark of the rows before it."""
        first = len(window)
        while first and self._in_future(window[first - 1][0]):
            first -= 1
        return (part for part in (window[:first], window[first:]) if part)

    def move(self, cursor: Any, key: Any) -> Watermark | None:
        before = self._floor is not None and later(self._floor, cursor)
        if not before and not self._in_future(cursor):
            self.watermark = Watermark(cursor_text(cursor), key_text(key))
        return self.watermark

    def _in_future(self, cursor: Any) -> bool:
        at = moment(cursor, self._unit, self._zone)
        return at is not None and at > self._future


@dataclass
class _Passed:
    """The numbers of a run that were passed over, and a place shortly before its end."""

    after: Watermark | None
    gaps: list[Gap]
    since: datetime
    tail: Watermark | None = None
    _last: int | None = None
    _before: _Window = ()

    def found(self, window: _Window) -> None:
        self.gaps = without(self.gaps, _numbers(window))

    def over(self, window: _Window) -> None:
        if self.after is None:  # of a whole table only what is missing near its end may still come
            self.gaps = []
            self.tail = (
                Watermark(cursor_text(self._before[0][0]), key_text(self._before[0][1])) if self._before else None
            )
            self._before = window
        numbers = _numbers(window)
        self.gaps += missing(numbers, self._last, self.since)
        self._last = numbers[-1] if numbers else self._last


def _numbers(window: _Window) -> list[int]:
    """The cursors, where they are whole numbers."""
    # SQLite's ODBC driver gives a NUMERIC as a float.
    return [int(c) for c, _ in window if isinstance(c, int | Decimal | float) and c == int(c)]


def _some(gaps: Sequence[Gap], count: int) -> list[Sequence[Gap]]:
    return [gaps[start : start + count] for start in range(0, len(gaps), count)]


@dataclass
class _Recent:
    """The keys read in this run, the newest so many of them."""

    _keys: dict[str, None] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, key: str) -> None:
        self._keys[key] = None
        if len(self._keys) > REMEMBERED:
            del self._keys[next(iter(self._keys))]


def _pages(
    window: _Window, recent: _Recent, settled: Any, limit: int
) -> Iterator[tuple[tuple[str, ...], tuple[Any, Any]]]:
    """Cut a window into pages of keys, each with the last (cursor, key) it answers for.

    A key met twice in one window is read once: its rows are read after the whole window was seen. A key read for an
    earlier window is passed over only where its change was surely visible then; what may have been committed in between
    is read again.
    """
    seen: set[str] = set()
    page: list[str] = []
    last = window[0]
    for cursor, key in window:
        text = key_text(key)
        known = text in seen or (text in recent and _surely_seen(cursor, settled))
        if not known:
            if len(page) == limit:
                yield tuple(page), last
                page = []
            seen.add(text)
            page.append(text)
        last = (cursor, key)
    for text in seen:
        recent.add(text)
    if page:
        yield tuple(page), last


def _surely_seen(cursor: Any, settled: Any) -> bool:
    if settled is _EVERYTHING:
        return True
    return settled is not _UNKNOWN and settled is not None and not later(cursor, settled)


def _filled(keys: list[Any]) -> list[Any]:
    """An IN list of one of a few fixed sizes, filled up with its own last key."""
    size = next(n for n in CHUNKS if n >= len(keys))
    return keys + [keys[-1]] * (size - len(keys))
