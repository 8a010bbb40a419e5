"""Databases over SQLAlchemy: SQLite, PostgreSQL (psycopg), MariaDB and MySQL (PyMySQL).

Every session is read-only as far as the engine can make it, has a statement time-out, speaks the institution's time zone
and holds one snapshot while a batch is read, so that a record is never half of before and half of after a correction.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event, exc

from connectors.preambles import preamble
from connectors.refusals import StatementTooSlow, explained
from connectors.source import Asking, Dialect, Source, SourceOptions
from frontend_agent.errors import ConfigurationError, SourceError, SourceUnreachable
from frontend_agent.model import RowSet

GRACE = 5.0  # seconds a server gets, beyond its own statement time-out, before we drop the line
STALE = 5.0  # seconds of rest after which a connection is tried before it is trusted

_DRIVERS = {  # scheme -> SQLAlchemy's name, module, the extra that installs it
    "sqlite": ("sqlite", "sqlite3", ""),
    "postgresql": ("postgresql+psycopg", "psycopg", "postgresql"),
    "postgres": ("postgresql+psycopg", "psycopg", "postgresql"),
    "mariadb": ("mysql+pymysql", "pymysql", "mysql"),
    "mysql": ("mysql+pymysql", "pymysql", "mysql"),
}
SCHEMES = tuple(_DRIVERS)
_DIALECTS = {
    "sqlite": Dialect(),
    "postgresql": Dialect(mark="$"),
    "mysql": Dialect(quote="`", mark="%s", percent="%%"),
}


class SqlSource(Source):
    """A database that SQLAlchemy speaks to."""

    def __init__(
        self, name: str, options: SourceOptions, password: str = "", clock: Callable[[], datetime] | None = None
    ) -> None:
        super().__init__(name, options, clock)
        self._url = _url(name, options.url, password)
        self._family = self._url.get_backend_name()
        self._engine: Engine | None = None
        self._used = 0.0

    @property
    def dialect(self) -> Dialect:
        return _DIALECTS[self._family]

    def open(self) -> SqlSource:
        """Make ready. Connects to nothing yet: a source that is down must not keep the agent from starting."""
        if self._engine is None:
            self._engine = _engine(self.name, self._url, self._family, self.options, self._now)
        return self

    def close(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    @contextmanager
    def session(self) -> Iterator[Asking]:
        """One snapshot, ended by a rollback."""
        with self._lock, contextlib.closing(self._connected()) as connection:
            if self._family == "sqlite":
                self._ask(connection, "BEGIN", (), "")
            yield lambda sql, parameters, query: self._ask(connection, sql, parameters, query)

    def _connected(self) -> Connection:
        connection = self._connection()
        if self._used and time.monotonic() - self._used > STALE:
            try:
                self._ask(connection, self.dialect.one, (), "")
            except SourceError:  # it died while it rested: a new one, once
                connection.close()
                connection = self._connection()
        self._used = time.monotonic()
        return connection

    def _connection(self) -> Connection:
        engine = self.open()._engine
        assert engine is not None
        try:
            return engine.connect()
        # `from None`, here and below: a driver's text may hold a row's values, and must not ride along in a traceback.
        except exc.DBAPIError as error:
            raise explained(self.name, "", *_said(error.orig), gone=_never_came(error.orig)) from None

    def _ask(self, connection: Connection, sql: str, parameters: Sequence[Any], query: str) -> RowSet:
        started = time.monotonic()
        arguments = tuple(parameters)
        deadline = _Deadline(connection, self._family, self.options.statement_timeout.total_seconds())
        driver = connection.engine.dialect.loaded_dbapi
        try:
            with deadline:
                try:
                    answer = _fetched(_cursor(connection, self._family), sql, arguments)
                except (driver.Error, ValueError) as error:
                    if not _unreadable(error):
                        raise
                    answer = _read_as_text(connection, self._family, sql, arguments)
        except (driver.Error, ValueError, OSError) as error:
            gone = deadline.passed or _lost(connection, error)
            if gone:
                connection.invalidate()
            if deadline.passed:
                raise StatementTooSlow(
                    f"source {self.name}: query {query!r}: no answer within the statement time-out"
                ) from None
            raise explained(self.name, query, *_said(error), gone=gone) from None
        self._used = time.monotonic()
        self.usage.statements += 1
        self.usage.rows += len(answer.rows)
        self.usage.seconds += self._used - started
        return answer


# -- connecting --


def _url(name: str, text: str, password: str) -> URL:
    try:
        url = sqlalchemy.make_url(text)
    except exc.ArgumentError:
        raise ConfigurationError(
            f"sources.{name}: url is not a database URL (like postgresql://user@host/database)"
        ) from None
    if url.drivername not in _DRIVERS:
        raise ConfigurationError(
            f"sources.{name}: unknown scheme {url.drivername!r} (known: {', '.join(SCHEMES)}; others through odbc = …)"
        )
    if url.password is not None:
        raise ConfigurationError(f"sources.{name}: the password does not belong into the url; name a secret instead")
    driver, module, extra = _DRIVERS[url.drivername]
    try:
        import_module(module)
    except ImportError:
        raise ConfigurationError(
            f"sources.{name}: {module} is not installed: pip install 'frontend-agent[{extra}]'"
        ) from None
    return url.set(drivername=driver, password=password or None)


def _engine(name: str, url: URL, family: str, options: SourceOptions, now: Callable[[], datetime]) -> Engine:
    wait = max(1, round(options.connect_timeout.total_seconds()))
    settings: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "hide_parameters": True, "echo": False}
    match family:
        case "sqlite":
            settings["creator"] = lambda: _sqlite(name, url.database or "", wait)
        case "postgresql":
            # Nothing prepared: a view that changes under us, or a pooler between us, would break a prepared statement.
            settings["connect_args"] = {
                "connect_timeout": wait,
                "prepare_threshold": None,
                "client_encoding": "utf8",
                "application_name": "frontend-agent",
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
            }
            settings["use_native_hstore"] = False
        case _:
            settings["connect_args"] = {
                "password": (url.password or "").encode(),  # PyMySQL takes a str for latin-1
                "connect_timeout": wait,
                "charset": "utf8mb4",
                "read_timeout": options.statement_timeout.total_seconds() + GRACE,
                "program_name": "frontend-agent",
            }
    engine = sqlalchemy.create_engine(url, **settings)

    def greet(connection: Any, _: Any) -> None:
        product = connection.get_server_info() if family == "mysql" else family
        with contextlib.closing(connection.cursor()) as cursor:
            for statement in preamble(family, product, options, now()):
                cursor.execute(statement)
        connection.commit()

    # First of all listeners: SQLAlchemy's own questions to a new server are asked under our terms as well.
    event.listen(engine, "connect", greet, insert=True)
    return engine


def _sqlite(name: str, path: str, wait: int) -> sqlite3.Connection:
    if not Path(path).is_file():
        raise SourceUnreachable(f"source {name}: no SQLite file at {path}")
    address = f"file:{quote(os.path.abspath(path))}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=wait, check_same_thread=False, cached_statements=256)


def _raw(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


# -- asking --


def _cursor(connection: Connection, family: str) -> Any:
    if family != "postgresql":
        return _raw(connection).cursor()
    from psycopg import RawCursor

    # The server's own place-holders: psycopg would look for %s in a list of 500 keys every time.
    return RawCursor(_raw(connection))


def _fetched(cursor: Any, sql: str, parameters: tuple[Any, ...]) -> RowSet:
    """Straight at the driver: tuples, as they come. SQLAlchemy's rows would cost as much again as the fetch."""
    with contextlib.closing(cursor):
        cursor.execute(sql, parameters)
        if cursor.description is None:
            return RowSet((), ())
        return RowSet(tuple(column[0] for column in cursor.description), cursor.fetchall())


def _unreadable(error: Exception) -> bool:
    """Whether the row arrived and only the driver cannot turn a value into Python (a year 20260, text that is not UTF-8)."""
    if isinstance(error, sqlite3.OperationalError):
        return "Could not decode" in str(error)
    if isinstance(error, UnicodeError | ValueError):
        return True
    return type(error).__name__ == "DataError" and hasattr(error, "sqlstate") and error.sqlstate is None


def _read_as_text(connection: Connection, family: str, sql: str, parameters: tuple[Any, ...]) -> RowSet:
    """The same rows with the driver's conversions off, so that one bad value becomes a finding and not a stopped feed."""
    raw, cursor = _raw(connection), _cursor(connection, family)
    if family == "postgresql":
        from psycopg.types.string import TextLoader

        for name in ("date", "timestamp", "timestamptz", "time", "timetz", "interval"):
            cursor.adapters.register_loader(name, TextLoader)
    if family != "sqlite":
        return _fetched(cursor, sql, parameters)
    raw.text_factory = lambda data: data.decode("utf-8", "replace")
    try:
        return _fetched(cursor, sql, parameters)
    finally:
        raw.text_factory = str


def _said(error: BaseException | None) -> tuple[str, str]:
    """The code and the text of a driver's error, for `explained` alone."""
    if error is None:
        return "", ""
    text = str(error)
    if state := getattr(error, "sqlstate", None):
        return str(state), text
    if error.args and isinstance(error.args[0], int):
        return str(error.args[0]), " ".join(str(part) for part in error.args[1:])
    return "", text


def _lost(connection: Connection, error: BaseException) -> bool:
    dialect = connection.engine.dialect
    return isinstance(error, dialect.loaded_dbapi.Error) and dialect.is_disconnect(error, _raw(connection), None)


def _never_came(error: BaseException | None) -> bool:
    """A connection that failed: unreachable, unless the server itself said no (`explained` looks for that first)."""
    return type(error).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError", "OSError")


class _Deadline:
    """Ends a statement that the engine does not end itself: SQLite has no time-out, a frozen server does not keep its own."""

    def __init__(self, connection: Connection, family: str, seconds: float) -> None:
        self.passed = False
        self._raw = _raw(connection)
        self._family = family
        self._seconds = seconds
        self._timer: threading.Timer | None = None

    def __enter__(self) -> _Deadline:
        if self._family == "sqlite":
            end = time.monotonic() + self._seconds
            self._raw.set_progress_handler(lambda: self._over(end), 100_000)
        elif self._family == "postgresql":
            self._timer = threading.Timer(self._seconds + GRACE, self._cut)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        elif self._family == "sqlite":
            with contextlib.suppress(sqlite3.Error):
                self._raw.set_progress_handler(None, 0)

    def _over(self, end: float) -> bool:
        self.passed = time.monotonic() > end
        return self.passed

    def _cut(self) -> None:
        self.passed = True
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._raw.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
