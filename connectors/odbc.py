"""Any database with an ODBC driver, through pyodbc: by data source name or connection string.

Drivers differ in what they do by themselves. MariaDB's hands out text as UTF-16 unless told otherwise, which makes it
three times slower, and keeps whole results in memory; psqlodbc keeps them too unless it declares a cursor. So text is
decoded as UTF-8 where the engine is known to send it, a cursor is declared, and everything is paged by key anyway.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pyodbc

from connectors.preambles import DIALECTS, engine_of, preamble
from connectors.refusals import StatementTooSlow, explained
from connectors.source import Asking, Dialect, Source, SourceOptions
from frontend_agent.errors import ConfigurationError, SourceError
from frontend_agent.model import RowSet

STALE = 5.0  # seconds of rest after which a connection is tried before it is trusted
GRACE = 5.0


class OdbcSource(Source):
    """A database behind an ODBC driver."""

    def __init__(
        self, name: str, options: SourceOptions, password: str = "", clock: Callable[[], datetime] | None = None
    ) -> None:
        super().__init__(name, options, clock)
        if re.search(r"(?i)(^|;)\s*(pwd|password)\s*=", options.odbc):
            raise ConfigurationError(f"sources.{name}: the password does not belong into odbc; name a secret instead")
        self._string = _completed(options)
        if password:
            self._string += f";PWD={{{password.replace('}', '}}')}}}"
        self._connection: Any = None  # pyodbc.Connection
        self._family = ""
        self._used = 0.0

    @property
    def dialect(self) -> Dialect:
        if not self._family:  # what it is, only it can say
            with self._lock:
                self._connected()
        return DIALECTS[self._family]

    def open(self) -> OdbcSource:
        """Make ready. Connects to nothing yet: a source that is down must not keep the agent from starting."""
        return self

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(pyodbc.Error):
                    self._connection.close()
                self._connection = None

    @contextmanager
    def session(self) -> Iterator[Asking]:
        """One transaction, ended by a rollback."""
        with self._lock:
            connection = self._connected()
            try:
                yield lambda sql, parameters, query: self._ask(connection, sql, parameters, query)
            finally:
                if self._connection is connection:  # not closed in between
                    with contextlib.suppress(pyodbc.Error):
                        connection.rollback()

    def _connected(self) -> Any:
        if self._connection is not None and time.monotonic() - self._used > STALE:
            with contextlib.suppress(SourceError):  # if it died while it rested, `_ask` forgets it
                self._ask(self._connection, self.dialect.one, (), "")
        if self._connection is None:
            self._connection = self._greeted()
        self._used = time.monotonic()
        return self._connection

    def _greeted(self) -> Any:
        wait = max(1, round(self.options.connect_timeout.total_seconds()))
        try:
            connection = pyodbc.connect(self._string, autocommit=True, timeout=wait, readonly=True)
        # `from None`, here and below: a driver's text may hold a row's values, and must not ride along in a traceback.
        except pyodbc.Error as error:
            code, text = _said(error)
            raise explained(self.name, "", code, text, gone=not _answered(code)) from None
        try:
            product = connection.getinfo(pyodbc.SQL_DBMS_NAME)
            self._family = engine_of(product)
            for statement in preamble(self._family, product, self.options, self._now()):
                connection.execute(statement)
            connection.autocommit = False
        except pyodbc.Error as error:
            connection.close()
            raise explained(self.name, "", *_said(error), gone=_gone(error)) from None
        _decode(connection, self._family, self.options.encoding or "utf-8")
        with contextlib.suppress(pyodbc.Error):  # a driver without a time-out keeps the engine's
            connection.timeout = max(1, round(self.options.statement_timeout.total_seconds()))
        return connection

    def _ask(self, connection: pyodbc.Connection, sql: str, parameters: Sequence[Any], query: str) -> RowSet:
        started = time.monotonic()
        bound = [_bound(self._family, value) for value in parameters]
        cursor = connection.cursor()
        deadline = _Deadline(cursor, self.options.statement_timeout.total_seconds())
        try:
            with deadline:
                try:
                    answer = _fetched(cursor, sql, bound)
                except UnicodeDecodeError:
                    answer = self._read_leniently(connection, sql, bound)
        except pyodbc.Error as error:
            gone = _gone(error)
            if gone:
                self.close()
            if deadline.passed:
                raise StatementTooSlow(
                    f"source {self.name}: query {query!r}: no answer within the statement time-out"
                ) from None
            with contextlib.suppress(pyodbc.Error):
                connection.rollback()
            raise explained(self.name, query, *_said(error), gone=gone) from None
        self._used = time.monotonic()
        self.usage.statements += 1
        self.usage.rows += len(answer.rows)
        self.usage.seconds += self._used - started
        return answer

    def _read_leniently(self, connection: pyodbc.Connection, sql: str, parameters: Sequence[Any]) -> RowSet:
        """Once more, with U+FFFD for what cannot be decoded: one bad value becomes a finding and not a stopped feed."""
        encoding = self.options.encoding or "utf-8"
        _decode(connection, self._family, f"{encoding}-lenient")
        try:
            return _fetched(connection.cursor(), sql, parameters)
        finally:
            _decode(connection, self._family, encoding)


def _completed(options: SourceOptions) -> str:
    """The connection string with what the driver needs to be told, unless the site already says it."""
    text = options.odbc
    driver = re.search(r"(?i)(?:^|;)\s*driver\s*=\s*\{?([^;}]*)", text)
    named = re.search(r"(?i)(?:^|;)\s*dsn\s*=\s*\{?([^;}]*)", text)
    library = driver[1] if driver else pyodbc.dataSources().get(named[1].strip(), "") if named else ""
    added = ""
    if re.search("(?i)psqlodbc|postgres", library):  # reads whole results into memory unless a cursor is declared
        added = "UseDeclareFetch=1;Fetch=1000"
    if re.search("(?i)maria|maodbc", library):  # waits for a frozen server for ever, while connecting too
        wait, answer = options.connect_timeout.total_seconds(), options.statement_timeout.total_seconds() + GRACE
        added = f"CONN_TIMEOUT={max(1, round(wait))};READ_TIMEOUT={max(1, round(answer))};WRITE_TIMEOUT={max(1, round(answer))}"
    if re.search("(?i)sqlite", library):  # halves 64-bit integers, and takes an alias for table.column
        added = "BigInt=1;LongNames=1"
    settings = [part for part in added.split(";") if part and part.partition("=")[0].lower() not in text.lower()]
    return ";".join([text.rstrip("; "), *settings])


def _decode(connection: pyodbc.Connection, family: str, encoding: str) -> None:
    if family in ("mysql", "sqlite", "postgresql"):
        connection.setdecoding(pyodbc.SQL_CHAR, encoding=encoding)
        connection.setencoding(encoding=encoding.removesuffix("-lenient"))
        if family == "mysql":
            connection.setdecoding(pyodbc.SQL_WCHAR, encoding=encoding, ctype=pyodbc.SQL_CHAR)
    elif encoding != "utf-8":  # the site says what its driver's narrow text is in
        connection.setdecoding(pyodbc.SQL_CHAR, encoding=encoding)


def _lenient(name: str) -> codecs.CodecInfo | None:
    base, _, tail = name.replace("_", "-").rpartition("-")
    if tail != "lenient" or not base:
        return None
    found = codecs.lookup(base)
    return codecs.CodecInfo(
        name=name, encode=found.encode, decode=lambda data, errors="strict": found.decode(data, "replace")
    )


codecs.register(_lenient)


def _bound(family: str, value: Any) -> Any:
    # MariaDB's driver cuts the fraction off a datetime parameter, and paging would meet the same rows for ever.
    return value.isoformat(" ") if family == "mysql" and isinstance(value, datetime) else value


def _fetched(cursor: pyodbc.Cursor, sql: str, parameters: Sequence[Any]) -> RowSet:
    with contextlib.closing(cursor):
        cursor.execute(sql, *parameters)
        if cursor.description is None:
            return RowSet((), ())
        columns = tuple(column[0].removeprefix("q.") for column in cursor.description)  # SQLite's long names
        return RowSet(columns, list(map(tuple, cursor.fetchall())))


def _said(error: pyodbc.Error) -> tuple[str, str]:
    code = str(error.args[0]) if error.args else ""
    text = " ".join(str(part) for part in error.args[1:])
    vendor = re.search(r"\((\d{4})\)", text)  # MariaDB's own number says more than HY000
    return (vendor[1] if vendor and code in ("HY000", "42000") else code), text


def _gone(error: pyodbc.Error) -> bool:
    code, text = _said(error)
    return code.startswith("08") or code in ("2006", "2013", "57P01") or "server closed the connection" in text


def _answered(code: str) -> bool:
    return code not in ("08001", "08S01", "HYT00", "HYT01", "HY000", "2002", "2003")


class _Deadline:
    """Cancels a statement that neither driver nor engine ends."""

    def __init__(self, cursor: pyodbc.Cursor, seconds: float) -> None:
        self.passed = False
        self._cursor = cursor
        self._timer = threading.Timer(seconds + GRACE, self._cancel)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cancel(self) -> None:
        self.passed = True
        with contextlib.suppress(pyodbc.Error):
            self._cursor.cancel()
