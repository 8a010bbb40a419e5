"""Python's own drivers: psycopg, PyMySQL, sqlite3, python-oracledb.

Each hands out the same Python value for the same column as the engine's ODBC driver does: numbers exact, times as times,
what has no type here (JSON, intervals, addresses) as the server's text, whole.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL

from connectors import database
from connectors.database import Deadline, Driver, held
from connectors.deadline import Cut
from connectors.engines import APPLICATION, Dialect, Engine, Version
from connectors.engines.calls import Calling
from connectors.engines.types import time_of_day
from connectors.procedures import Called
from connectors.room import LARGEST_STEP, Room, fetched_in
from connectors.source import SourceOptions
from frontend_agent.errors import ConfigurationError, SourceRefused, SourceUnreachable
from frontend_agent.model import RowSet


def module_of(name: str, module: str, extra: str) -> Any:
    """A driver's module. Raises ConfigurationError naming the extra that installs it."""
    try:
        return import_module(module)
    except ImportError:
        raise ConfigurationError(
            f"sources.{name}: {module} is not installed: pip install 'frontend-agent[{extra}]'"
        ) from None


def _all_of(cursor: Any, room: Room) -> RowSet:
    """Tuples, as the driver makes them."""
    if cursor.description is None:
        return RowSet((), ())
    return RowSet(tuple(column[0] for column in cursor.description), fetched_in(room, cursor.fetchmany))


def result_of(cursor: Any, call: Called, room: Room, rows_of: Callable[[Any, Room], RowSet] = _all_of) -> RowSet:
    """The nth result that has columns, of a call that was executed. Raises SourceRefused where there are not so many."""
    number = 0
    while True:
        if cursor.description is not None:
            number += 1
            if number == call.result:
                return rows_of(cursor, room)
            while cursor.fetchmany(LARGEST_STEP):  # what comes before is read past
                pass
        if not cursor.nextset():
            raise SourceRefused(f"{call}: gave {number} results, and result {call.result} is declared")


def _wait(options: SourceOptions) -> int:
    return max(1, round(options.connect_timeout.total_seconds()))


# -- PostgreSQL --

_REMEMBERED = 1_000  # statements of which the columns are remembered


class Psycopg(Driver):
    """PostgreSQL by psycopg 3."""

    def __init__(self, name: str, options: SourceOptions, url: URL) -> None:
        self._psycopg = module_of(name, "psycopg", "postgresql")
        self._known: dict[str, tuple[str, ...]] = {}  # statement -> its columns
        self._options, self._url = options, url
        self.errors = (self._psycopg.Error, ValueError, OSError)

    def connect(self) -> Any:
        connection = self._psycopg.connect(
            host=self._url.host,
            port=self._url.port,
            user=self._url.username,
            password=self._url.password,
            dbname=self._url.database,
            **self._url.query,
            autocommit=True,
            connect_timeout=_wait(self._options),
            # Nothing prepared: a view that changes under us, or a pooler between us, would break a prepared statement.
            prepare_threshold=None,
            client_encoding="utf8",
            application_name=APPLICATION,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        self._as_text(connection, "json", "jsonb", "uuid", "interval", "inet", "cidr", *self._arrays())
        return connection

    def _arrays(self) -> list[int]:
        return [kind.array_oid for kind in self._psycopg.postgres.types if kind.array_oid]

    def product(self, connection: Any) -> tuple[str, str]:
        return "PostgreSQL", connection.info.parameter_status("server_version") or ""

    def tell(self, connection: Any, sql: str) -> None:
        connection.execute(sql)

    def transact(self, connection: Any, engine: Engine) -> None:
        connection.autocommit = False

    def dialect(self, engine: Engine, version: Version) -> Dialect:
        return Dialect(mark="$", most_parameters=65_535)

    def fetched(self, connection: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        # The server's own place-holders: psycopg would look for %s in a list of 500 keys every time.
        with contextlib.closing(self._psycopg.RawCursor(connection)) as cursor:
            return self._streamed(cursor, sql, parameters, room)

    def write(self, connection: Any, sql: str, parameters: Sequence[Any]) -> None:
        with contextlib.closing(self._psycopg.RawCursor(connection)) as cursor:
            cursor.execute(sql, parameters)

    def _streamed(self, cursor: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        """Some rows at a time off the wire: libpq would keep the whole answer, and we could not stop it."""
        with contextlib.closing(cursor.stream(sql, parameters, size=LARGEST_STEP)) as coming:
            rows = fetched_in(room, lambda count: list(islice(coming, count)))
        return RowSet(self._columns(cursor, sql), rows)

    def _columns(self, cursor: Any, sql: str) -> tuple[str, ...]:
        """A stream without rows does not tell its columns: they are known from before, or the server describes the statement,
        which runs nothing."""
        found = cursor.pgresult
        if found is None and sql not in self._known:
            found = cursor.connection.pgconn.describe_prepared(b"")
        if found is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[sql] = tuple((found.fname(place) or b"").decode() for place in range(found.nfields))
        return self._known[sql]

    def unreadable(self, error: Exception) -> bool:
        """A year 20260, `infinity`."""
        ours = isinstance(error, self._psycopg.DataError) and error.sqlstate is None
        return ours or (isinstance(error, ValueError) and not isinstance(error, self._psycopg.Error))

    def leniently(self, connection: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        with contextlib.closing(self._psycopg.RawCursor(connection)) as cursor:
            self._as_text(cursor, "date", "timestamp", "timestamptz", "time", "timetz")
            return self._streamed(cursor, sql, parameters, room)

    def said(self, error: BaseException) -> tuple[str, str]:
        return str(getattr(error, "sqlstate", None) or ""), str(error)

    def gone(self, connection: Any, error: BaseException) -> bool:
        """Or in the middle of an answer that nobody reads to its end, a COPY's."""
        status = connection.info.transaction_status
        return bool(connection.closed or connection.broken or status is self._psycopg.pq.TransactionStatus.ACTIVE)

    def cancel(self, connection: Any) -> None:
        connection.cancel_safe(timeout=_wait(self._options))

    def never_came(self, error: BaseException) -> bool:
        return isinstance(error, self._psycopg.OperationalError | OSError)

    def deadline(self, connection: Any, seconds: float) -> Deadline:
        """A frozen server does not keep its own time-out."""
        return Cut(seconds + database.GRACE, lambda: _cut(connection))

    @staticmethod
    def _as_text(where: Any, *types: str | int) -> None:
        from psycopg.types.string import TextLoader

        for name in types:
            where.adapters.register_loader(name, TextLoader)


def _cut(connection: Any) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


# -- MariaDB, MySQL --


class PyMysql(Driver):
    """MariaDB and MySQL by PyMySQL."""

    def __init__(self, name: str, options: SourceOptions, url: URL) -> None:
        self._pymysql = module_of(name, "pymysql", "mysql")
        self._options, self._url = options, url
        self.errors = (self._pymysql.MySQLError, ValueError, OSError)

    def connect(self) -> Any:
        kind = self._pymysql.constants.FIELD_TYPE
        readers = {
            **self._pymysql.converters.conversions,
            kind.BIT: lambda data: int.from_bytes(data, "big"),
            kind.TIME: time_of_day,
        }
        return self._pymysql.connect(
            host=self._url.host or "localhost",
            port=self._url.port or 3306,
            user=self._url.username,
            password=(self._url.password or "").encode(),  # PyMySQL takes a str for latin-1
            database=self._url.database or None,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=_wait(self._options),
            read_timeout=self._options.statement_timeout.total_seconds() + database.GRACE,
            program_name=APPLICATION,
            conv=readers,
        )

    def product(self, connection: Any) -> tuple[str, str]:
        version = connection.get_server_info()
        return ("" if "mariadb" in version.lower() else "MySQL"), version

    def tell(self, connection: Any, sql: str) -> None:
        with held(connection) as cursor:
            cursor.execute(sql)

    def transact(self, connection: Any, engine: Engine) -> None:
        connection.autocommit(False)

    def dialect(self, engine: Engine, version: Version) -> Dialect:
        return Dialect(quote="`", mark="%s", percent="%%", most_parameters=65_535)

    def fetched(self, connection: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        # Unbuffered: the server keeps what we have not fetched yet. What we leave, closing reads past.
        with contextlib.closing(connection.cursor(self._pymysql.cursors.SSCursor)) as cursor:
            cursor.execute(sql, tuple(parameters))
            return _all_of(cursor, room)

    def called(self, connection: Any, call: Called, parameters: Sequence[Any], room: Room) -> RowSet:
        with contextlib.closing(connection.cursor(self._pymysql.cursors.SSCursor)) as cursor:
            cursor.execute(call, tuple(parameters))
            try:
                return result_of(cursor, call, room)
            finally:
                self._past(cursor)

    def _past(self, cursor: Any) -> None:
        """Read past all that is left: MySQL's protocol knows no other way to be rid of further results."""
        with contextlib.suppress(*self.errors):
            while cursor.fetchmany(LARGEST_STEP) or cursor.nextset():
                pass

    def said(self, error: BaseException) -> tuple[str, str]:
        if error.args and isinstance(error.args[0], int):
            return str(error.args[0]), " ".join(str(part) for part in error.args[1:])
        return "", str(error)

    def gone(self, connection: Any, error: BaseException) -> bool:
        lost = isinstance(error, OSError | self._pymysql.InterfaceError)
        return lost or not connection.open or self.said(error)[0] in ("2006", "2013", "2014", "2045", "2055", "4031")

    def cancel(self, connection: Any) -> None:
        """By a second connection, which is all that MySQL's protocol offers."""
        with contextlib.closing(self.connect()) as other:
            self.tell(other, f"KILL QUERY {connection.thread_id()}")

    def never_came(self, error: BaseException) -> bool:
        return isinstance(error, self._pymysql.OperationalError | OSError)


# -- SQLite --


class Sqlite(Driver):
    """A SQLite file, opened so that it cannot be written."""

    errors = (sqlite3.Error, ValueError, OSError)
    serves = False

    def __init__(self, name: str, options: SourceOptions, url: URL) -> None:
        self._name, self._options, self._path = name, options, url.database or ""

    def connect(self) -> sqlite3.Connection:
        if not Path(self._path).is_file():
            raise SourceUnreachable(f"source {self._name}: no SQLite file at {self._path}")
        address = f"file:{quote(os.path.abspath(self._path))}?mode=ro"
        connection = sqlite3.connect(
            address, uri=True, timeout=_wait(self._options), check_same_thread=False, cached_statements=256
        )
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)  # ATTACH makes a file, also in a read-only session
        return connection

    def connect_to_write(self) -> sqlite3.Connection:
        address = f"file:{quote(os.path.abspath(self._path))}?mode=rw"
        return sqlite3.connect(address, uri=True, timeout=1, check_same_thread=False)

    def product(self, connection: sqlite3.Connection) -> tuple[str, str]:
        return "SQLite", sqlite3.sqlite_version

    def tell(self, connection: sqlite3.Connection, sql: str) -> None:
        connection.execute(sql).close()

    def transact(self, connection: sqlite3.Connection, engine: Engine) -> None:
        return None

    def dialect(self, engine: Engine, version: Version) -> Dialect:
        return Dialect(most_parameters=32_766)

    def begin(self, engine: Engine) -> tuple[str, ...]:
        return ("BEGIN",)  # by itself sqlite3 opens a transaction only for a write

    def fetched(self, connection: sqlite3.Connection, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        with held(connection) as cursor:
            cursor.execute(sql, tuple(parameters))
            return _all_of(cursor, room)

    def unreadable(self, error: Exception) -> bool:
        """Text that is not UTF-8."""
        return isinstance(error, sqlite3.OperationalError) and "Could not decode" in str(error)

    def leniently(self, connection: sqlite3.Connection, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            return self.fetched(connection, sql, parameters, room)
        finally:
            connection.text_factory = str

    def said(self, error: BaseException) -> tuple[str, str]:
        return "", str(error)

    def gone(self, connection: sqlite3.Connection, error: BaseException) -> bool:
        return isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error)

    def cancel(self, connection: sqlite3.Connection) -> None:
        connection.interrupt()

    def deadline(self, connection: sqlite3.Connection, seconds: float) -> Deadline:
        """SQLite has no time-out of a statement: it asks us, every so many steps."""
        return _Steps(connection, seconds)


class _Steps:
    def __init__(self, connection: sqlite3.Connection, seconds: float) -> None:
        self.passed = False
        self._connection = connection
        self._seconds = seconds

    def __enter__(self) -> _Steps:
        end = time.monotonic() + self._seconds
        self._connection.set_progress_handler(lambda: self._over(end), 100_000)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.set_progress_handler(None, 0)

    def _over(self, end: float) -> bool:
        self.passed = time.monotonic() > end
        return self.passed


# -- Oracle --


class Oracledb(Driver):
    """Oracle by python-oracledb: thin (12.1 and later, nothing to install), or thick with an Oracle client (11.2 too).

    Untested against a server.
    """

    def __init__(self, name: str, options: SourceOptions, url: URL) -> None:
        self._oracledb = module_of(name, "oracledb", "oracle")
        self._name, self._options, self._url = name, options, url
        self.errors = (self._oracledb.Error, ValueError, OSError)

    def connect(self) -> Any:
        if self._options.oracle_client:
            self._thick(self._options.oracle_client)
        wait = float(_wait(self._options))
        connection = self._oracledb.connect(
            user=self._url.username,
            password=self._url.password,
            host=self._url.host,
            port=self._url.port or 1521,
            service_name=self._url.query.get("service") or self._url.database,
            sid=self._url.query.get("sid"),
            tcp_connect_timeout=wait,
            retry_count=0,
            expire_time=1,  # minutes: a probe, so that a firewall does not forget the line
        )
        connection.call_timeout = int(self._options.statement_timeout.total_seconds() * 1000)
        connection.module = APPLICATION
        connection.outputtypehandler = self._reader
        return connection

    def _thick(self, folder: str) -> None:
        if self._oracledb.is_thin_mode():
            try:
                self._oracledb.init_oracle_client(lib_dir=folder)
            except self._oracledb.Error:
                raise ConfigurationError(
                    f"sources.{self._name}.oracle_client: no Oracle client library can be loaded from {folder}:"
                    " unpack the Instant Client there (11.2 to 21 for an Oracle 11g), and install libaio"
                ) from None

    def product(self, connection: Any) -> tuple[str, str]:
        return "Oracle", connection.version

    def tell(self, connection: Any, sql: str) -> None:
        with held(connection) as cursor:
            cursor.execute(sql)

    def transact(self, connection: Any, engine: Engine) -> None:
        connection.autocommit = False

    def dialect(self, engine: Engine, version: Version) -> Dialect:
        return replace(engine.dialect(version), mark=":")

    def fetched(self, connection: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        with held(connection) as cursor:
            cursor.arraysize = cursor.prefetchrows = 100
            if parameters:
                cursor.setinputsizes(*(self._bound_type(value) for value in parameters))
            cursor.execute(sql, list(parameters))
            return _all_of(cursor, room)

    def calling(self, engine: Engine) -> Calling | None:
        return engine.native_call or engine.call

    def called(self, connection: Any, call: Called, parameters: Sequence[Any], room: Room) -> RowSet:
        """The rows come by a REF CURSOR, which is bound last."""
        with held(connection) as cursor:
            rows = cursor.var(self._oracledb.DB_TYPE_CURSOR)
            cursor.setinputsizes(*(self._bound_type(value) for value in parameters), None)
            cursor.execute(str(call), [*parameters, rows])
            with contextlib.closing(rows.getvalue()) as answer:
                return _all_of(answer, room)

    def _bound_type(self, value: Any) -> Any:
        # Bound as a TIMESTAMP, a time makes Oracle convert a whole DATE column, past its index, to compare it.
        return self._oracledb.DB_TYPE_DATE if isinstance(value, datetime) and not value.microsecond else None

    def _reader(self, cursor: Any, column: Any) -> Any:
        """How a column is fetched: numbers exact, large texts and bytes whole, and no time without its zone."""
        db = self._oracledb
        size = cursor.arraysize
        if column.type_code is db.DB_TYPE_NUMBER:
            whole = column.scale == 0 and (column.precision or 0) > 0
            return cursor.var(int if whole else Decimal, arraysize=size)
        if column.type_code is db.DB_TYPE_CLOB:
            return cursor.var(db.DB_TYPE_LONG, arraysize=size)
        if column.type_code is db.DB_TYPE_NCLOB:
            return cursor.var(db.DB_TYPE_LONG_NVARCHAR, arraysize=size)
        if column.type_code is db.DB_TYPE_BLOB:
            return cursor.var(db.DB_TYPE_LONG_RAW, arraysize=size)
        if column.type_code is db.DB_TYPE_TIMESTAMP_TZ:
            raise SourceRefused(
                f"source {self._name}: column {column.name} is a TIMESTAMP WITH TIME ZONE, of which the driver loses the"
                f" zone: write CAST({column.name} AT TIME ZONE '{self._options.timezone}' AS TIMESTAMP) in the query"
            )
        return None

    def said(self, error: BaseException) -> tuple[str, str]:
        told = error.args[0] if error.args else None
        code = str(getattr(told, "full_code", "") or "")
        return code, str(getattr(told, "message", "") or error)

    def cancel(self, connection: Any) -> None:
        connection.cancel()

    def gone(self, connection: Any, error: BaseException) -> bool:
        return isinstance(error, OSError) or not connection.is_healthy()
