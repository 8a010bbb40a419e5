"""Rows into a shared front-end table of the region (dialect D, exchange.md §6).

This is the region's database and not the hospital's: writing is what it is for. Nothing here is shared with how sources are
read (`connectors/database.py`), and a destination that is the same database as a source is refused before anything starts.

One transaction per batch, a savepoint per document: a row that the database does not take is refused alone. What was
written is read back in the same transaction, so that a name cut off, a character replaced or a digit rounded by the table is
told now and not found in five years. What is told of the database's refusals are codes and names, never a row's values.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy import Connection, exc

from connectors.outlets import Around, DocumentUnreadable, Feedback, OpenedDocument, all_of
from connectors.outlets.table_refusals import Whose, code_of, told
from frontend_agent.config_outlets import TableOutlet
from frontend_agent.delivery import SignedReply
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed
from frontend_agent.model import Document, Outcome, Receipt

DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "oracle": "oracle+oracledb",
    "mssql": "mssql+pyodbc",
}
STAMP = "%Y%m%d%H%M%S"
LONGEST_REASON = 300
_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")

Values = tuple[str | None, ...]


class Table(Protocol):
    """One table of the region."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> tuple[str, ...]: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def group(self) -> str: ...


class Rows(Protocol):
    """What of a document goes into one table."""

    @property
    def table(self) -> Any: ...
    @property
    def rows(self) -> Sequence[Values]: ...
    @property
    def keys(self) -> Sequence[Values]: ...


class Put(Protocol):
    """All rows of one document, and of each of them which record its details belong to."""

    @property
    def document_id(self) -> str: ...
    @property
    def rows(self) -> Sequence[Rows]: ...
    @property
    def parents(self) -> Sequence[Values]: ...


class Maker(Protocol):
    """Makes rows of documents, and the statements of an engine for a table."""

    def put(self, opened: OpenedDocument, now: str, /) -> Put | str:
        """The rows, or why there are none."""

    def upsert(self, table: Any, engine: str, reset: Sequence[str] = (), /) -> str: ...

    def read_back(self, table: Any, /) -> str: ...

    def belonging(self, table: Any, /) -> str: ...

    def put_away(self, table: Any, /) -> str: ...

    def status_of(self, table: Any, columns: Sequence[str], /) -> str: ...

    def nothing_of(self, table: Any, columns: Sequence[str], /) -> str: ...

    def all(self) -> Sequence[Any]: ...


class Changed(Exception):
    """What was written does not read back the same: the columns."""


class TableEdge:
    """One database of the region, one connection, one batch at a time."""

    at_once = 0

    def __init__(self, name: str, options: TableOutlet, around: Around, maker: Maker) -> None:
        self.name = name
        self._options = options
        self._around = around
        self._maker = maker
        self._zone = ZoneInfo(around.timezone)
        self._url = sqlalchemy.make_url(options.url)
        self._family = self._url.get_backend_name()
        self._engine_of: sqlalchemy.Engine | None = None

    # --- sending

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]:
        """All in one transaction; what the database refuses, alone."""
        receipts: list[Receipt] = []
        now = self._around.clock().astimezone(self._zone).strftime(STAMP)
        with self._connected() as connection:
            for document in documents:
                receipts.append(self._one(connection, document, now))
            try:
                connection.commit()
            except exc.DBAPIError as error:
                return all_of(documents, Outcome.UNANSWERED, f"the commit was not answered ({code_of(error.orig)})")
        return receipts

    def take_replies(self) -> Sequence[SignedReply]:
        """A database signs nothing."""
        return []

    def _one(self, connection: Connection, document: Document, now: str) -> Receipt:
        try:
            put = self._maker.put(self._around.opened(document), now)
        except DocumentUnreadable as error:
            return Receipt(document.document_id, Outcome.REFUSED, reasons=(str(error),))
        if isinstance(put, str):
            return Receipt(document.document_id, Outcome.REFUSED, reasons=(put,))
        savepoint = connection.begin_nested()
        names = {name.lower() for rows in put.rows for name in (rows.table.name, *rows.table.names)}
        try:
            for rows, parent in zip(put.rows, put.parents, strict=True):
                self._write(connection, rows)
                self._compare(connection, rows, parent)
        except exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            savepoint.rollback()
            return self._refused(document, error, names)
        except Changed as changed:
            savepoint.rollback()
            return Receipt(
                document.document_id,
                Outcome.REFUSED,
                reasons=(
                    f"{changed} reads back changed: is the column too short, or in a character set without Chinese?",
                ),
            )
        savepoint.commit()
        return Receipt(document.document_id, Outcome.ACCEPTED)

    def _write(self, connection: Connection, rows: Rows) -> None:
        if rows.rows:
            statement = sqlalchemy.text(
                self._maker.upsert(rows.table, self._family, () if rows.table.group else self._said())
            )
            connection.execute(statement, [{f"c{at}": value for at, value in enumerate(row)} for row in rows.rows])

    def _compare(self, connection: Connection, rows: Rows, parent: Values) -> None:
        """Read back what was written; a detail's rows that the record has no more are put away. Raises Changed."""
        table = rows.table
        question, asked = (
            (self._maker.belonging(table), parent) if parent else (self._maker.read_back(table), rows.keys[0])
        )
        places = [table.names.index(name) for name in table.key]
        kept = [
            (tuple(row[at] for at in places), row)
            for row in connection.execute(sqlalchemy.text(question), _keys(asked))
        ]
        left = dict(enumerate(kept))
        index: dict[tuple[str, ...], list[int]] = {}
        for at, (key, _) in left.items():
            index.setdefault(tuple(map(_as_text, key)), []).append(at)
        for row, key in zip(rows.rows, rows.keys, strict=True):
            mine = index.get(tuple(map(_as_text, key))) or [
                at
                for at, (there, _) in left.items()
                if all(map(same, key, there))  # a key that is no text there
            ]
            if len(mine) > 1:
                raise NotAllowed(f"{self.name}: {table.name} has no primary key over {', '.join(table.key)}")
            there = left.pop(mine[0])[1] if mine else ()
            wrong = [name for name, sent, held in zip(table.names, row, there, strict=False) if not same(sent, held)]
            if wrong or not mine:
                raise Changed(", ".join(f"{table.name}.{name}" for name in wrong or table.key))
        for gone, _ in left.values():
            connection.execute(sqlalchemy.text(self._maker.put_away(table)), _keys(gone))

    def _refused(self, document: Document, error: exc.DBAPIError, names: set[str]) -> Receipt:
        """Whose fault it is: the document's, or nobody's document."""
        whose, reason = told(error.orig, names)
        if whose is Whose.LATER:
            return Receipt(document.document_id, Outcome.RETRY, reasons=(reason,))
        if whose is Whose.SITE:
            raise NotAllowed(f"{self.name}: {reason}")
        return Receipt(document.document_id, Outcome.REFUSED, reasons=(reason,))

    # --- what the region says later

    @property
    def asks_every(self) -> timedelta | None:
        return self._options.ask_every if self._options.status_column else None

    @property
    def asks_first(self) -> timedelta:
        return self._options.ask_first

    @property
    def asks_until(self) -> timedelta:
        return self._options.ask_until

    def ask(self, documents: Sequence[Document], /) -> Sequence[Feedback]:
        """What the region wrote into its status column. Silence where it wrote nothing yet, or a word nobody explained."""
        columns = self._said()
        found: list[Feedback] = []
        with self._connected() as connection:
            for document in documents:
                try:
                    put = self._maker.put(self._around.opened(document), "")
                except DocumentUnreadable:
                    continue
                if isinstance(put, str):
                    continue
                main = put.rows[0]
                statement = sqlalchemy.text(self._maker.status_of(main.table, columns))
                row = connection.execute(statement, _keys(main.keys[0])).one_or_none()
                if row is not None:
                    found += self._meant(document, _as_text(row[0]), [_as_text(one) for one in row[1:]])
        return found

    def _said(self) -> list[str]:
        """The columns in which the region says what it made of a row."""
        return [*filter(None, (self._options.status_column, self._options.reason_column))]

    def _meant(self, document: Document, status: str, reasons: Sequence[str]) -> Iterator[Feedback]:
        by = f"{self._options.status_column} = {status[:40]}"
        if status in self._options.status_stored:
            yield Feedback(document.document_id, True, told_by=by)
        elif status in self._options.status_refused:
            told_reasons = tuple(_CONTROL.sub(" ", reason).strip()[:LONGEST_REASON] for reason in reasons if reason)
            yield Feedback(document.document_id, False, told_reasons or (by,), told_by=by)

    def heard(self, told_by: str, /) -> None:
        """Nothing is moved away here."""

    def probe(self) -> None:
        """Does it let us in, and has it the tables with these columns? Writes nothing."""
        with self._connected() as connection:
            for table in self._maker.all():
                columns = [*table.names]
                if not table.group:
                    columns += self._said()
                try:
                    connection.execute(sqlalchemy.text(self._maker.nothing_of(table, columns))).all()
                except exc.DBAPIError as error:
                    _, reason = told(error.orig, {table.name.lower(), *(name.lower() for name in columns)})
                    raise NotAllowed(f"{self.name}: table {table.name}: {reason}") from None

    # --- connecting

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection with a transaction that is rolled back unless it was committed. Other people's exceptions end here."""
        try:
            with self._engine().connect() as connection:
                yield connection
        # `from None`: a driver's text may hold a row's values, and must not ride along in a traceback.
        except exc.DBAPIError as error:
            whose, reason = told(error.orig, set())
            if whose is Whose.SITE:
                raise NotAllowed(f"{self.name}: {reason}") from None
            coded = f" [{code_of(error.orig)}]".replace(" []", "")
            raise DestinationUnreachable(
                f"{self.name}: the database cannot be reached, or dropped the line{coded}"
            ) from None

    def _engine(self) -> sqlalchemy.Engine:
        if self._engine_of is None:
            password = self._around.secret(self._options.secret) if self._options.secret else None
            url = self._url.set(drivername=DRIVERS[self._family])
            seconds = max(1, round(self._options.timeout.total_seconds()))
            arguments = _arguments(self._family, seconds)
            if password is not None and self._family in ("mysql", "mariadb"):
                arguments["password"] = password.encode()  # PyMySQL takes a str for latin-1
            elif password is not None:
                url = url.set(password=password)
            try:
                self._engine_of = sqlalchemy.create_engine(
                    url,
                    connect_args=arguments,
                    hide_parameters=True,  # or an error would quote the row
                    pool_size=1,
                    max_overflow=1,
                    pool_pre_ping=True,
                )
            except ImportError as error:
                raise ConfigurationError(
                    f"destinations.{self.name}: {error.name} is not installed: pip install 'frontend-agent[{_EXTRA[self._family]}]'"
                ) from error
        return self._engine_of


_EXTRA = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql", "oracle": "oracle", "mssql": "mssql"}


def _arguments(family: str, seconds: int) -> dict[str, Any]:
    """Neither a login nor a statement waits for ever."""
    if family == "postgresql":
        return {"connect_timeout": seconds, "options": f"-c statement_timeout={seconds}s -c lock_timeout={seconds}s"}
    if family in ("mysql", "mariadb"):
        return {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds, "charset": "utf8mb4"}
    if family == "oracle":
        return {"tcp_connect_timeout": seconds}
    return {"timeout": seconds}


def _keys(values: Sequence[Any]) -> dict[str, Any]:
    return {f"k{at}": value for at, value in enumerate(values)}


def _as_text(value: Any) -> str:
    return "" if value is None else str(value).rstrip(" ")


def same(sent: str | None, kept: Any) -> bool:
    """Whether a column holds what was sent, whatever its type is. Oracle keeps nothing for an empty text."""
    if kept is None or not sent:
        return not sent and (kept is None or kept == "")
    if isinstance(kept, date | datetime):
        return kept.strftime("%Y%m%d%H%M%S").startswith("".join(filter(str.isdigit, sent))[:14])
    if isinstance(kept, bool):
        return sent in (("1", "true") if kept else ("0", "false"))
    if isinstance(kept, int | float | Decimal):
        try:
            return Decimal(sent) == Decimal(str(kept))
        except InvalidOperation:
            return False
    if isinstance(kept, bytes | bytearray | memoryview):
        return bytes(kept) == sent.encode()
    return str(kept).rstrip(" ") == sent.rstrip(" ")
