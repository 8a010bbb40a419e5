"""Any database with an ODBC driver, through pyodbc: by data source name or connection string; SQL Server by URL as well.

Drivers differ in what they do by themselves. MariaDB's hands out text as UTF-16 unless told otherwise, which makes it
three times slower, and keeps whole results in memory; psqlodbc keeps them too unless it declares a cursor. So text is
decoded as UTF-8 where the engine is known to send it, a cursor is declared, and everything is paged by key anyway.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pyodbc

from connectors import database
from connectors.database import Database, Deadline, Driver, held
from connectors.deadline import Cut
from connectors.engines import Engine
from connectors.engines.drivers import completed, driver_in, sql_server_driver, sql_server_string
from connectors.natives import result_of
from connectors.procedures import Called
from connectors.room import Room, fetched_in
from connectors.source import SourceOptions
from connectors.sql import url_of
from frontend_agent.errors import ConfigurationError
from frontend_agent.model import RowSet


class OdbcSource(Database):
    """A database behind an ODBC driver."""

    def __init__(
        self, name: str, options: SourceOptions, password: str = "", clock: Callable[[], datetime] | None = None
    ) -> None:
        text = options.odbc or sql_server_text(name, options.url)
        if re.search(r"(?i)(^|;)\s*(pwd|password)\s*=", text):
            raise ConfigurationError(f"sources.{name}: the password does not belong into odbc; name a secret instead")
        driver, dsn = driver_in(text)
        library = driver or pyodbc.dataSources().get(dsn, "")
        text = completed(text, library, options, database.GRACE)
        if password:
            text += f";PWD={{{password.replace('}', '}}')}}}"
        super().__init__(name, options, Odbc(text, options), clock)


def sql_server_text(name: str, url: str) -> str:
    """The connection string of `mssql://user@host/database`, by the best driver that is installed."""
    parts = url_of(name, url)
    driver = sql_server_driver(pyodbc.drivers())
    if not driver:
        raise ConfigurationError(
            f"sources.{name}: no ODBC driver for SQL Server is installed: install msodbcsql18, or the package tdsodbc"
        )
    more = {key: value if isinstance(value, str) else value[-1] for key, value in parts.query.items()}
    return sql_server_string(
        driver, parts.host or "localhost", parts.port, parts.database or "", parts.username or "", more
    )


class Odbc(Driver):
    """pyodbc, whatever driver is behind it."""

    errors = (pyodbc.Error, UnicodeDecodeError)

    def __init__(self, text: str, options: SourceOptions) -> None:
        self._text, self._options = text, options
        self._engine: Engine | None = None
        self._running: Any = None  # the cursor that waits for its answer

    def connect(self) -> Any:
        wait = max(1, round(self._options.connect_timeout.total_seconds()))
        return pyodbc.connect(self._text, autocommit=True, timeout=wait, readonly=True)

    def product(self, connection: Any) -> tuple[str, str]:
        return str(connection.getinfo(pyodbc.SQL_DBMS_NAME)), str(connection.getinfo(pyodbc.SQL_DBMS_VER))

    def tell(self, connection: Any, sql: str) -> None:
        connection.execute(sql).close()

    def write(self, connection: Any, sql: str, parameters: Sequence[Any]) -> None:
        bound, _ = bound_as(self._engine, parameters)
        connection.execute(sql, *bound).close()

    def transact(self, connection: Any, engine: Engine) -> None:
        self._engine = engine
        connection.autocommit = False
        self._decode(connection)
        for kind, read in engine.converters.items():
            connection.add_output_converter(kind, read)
        with contextlib.suppress(pyodbc.Error):  # a driver without a time-out keeps the engine's
            connection.timeout = max(1, round(self._options.statement_timeout.total_seconds()))

    def fetched(self, connection: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        bound, sizes = bound_as(self._engine, parameters)
        with held(connection) as cursor:
            self._running = cursor
            if sizes:
                cursor.setinputsizes(sizes)
            cursor.execute(str(sql), *bound)
            answer = _all_of(cursor, room) if not isinstance(sql, Called) else result_of(cursor, sql, room, _all_of)
            self._running = None
            return answer

    def unreadable(self, error: Exception) -> bool:
        return isinstance(error, UnicodeDecodeError)

    def leniently(self, connection: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        """Once more, with U+FFFD for what cannot be decoded."""
        self._decode(connection, "-lenient")
        try:
            return self.fetched(connection, sql, parameters, room)
        finally:
            self._decode(connection)

    def said(self, error: BaseException) -> tuple[str, str]:
        code = str(error.args[0]) if error.args else ""
        text = " ".join(str(part) for part in error.args[1:])
        vendor = re.search(r"\((\d{4})\)", text)  # MariaDB's own number says more than HY000
        return (vendor[1] if vendor and code in ("HY000", "42000") else code), text

    def gone(self, connection: Any, error: BaseException) -> bool:
        code, text = self.said(error)
        return code.startswith("08") or code in _LOST or "server closed the connection" in text

    def never_came(self, error: BaseException) -> bool:
        return self.said(error)[0] in ("08001", "08S01", "HYT00", "HYT01", "HY000", "2002", "2003")

    def deadline(self, connection: Any, seconds: float) -> Deadline:
        """For a statement that neither driver nor engine ends."""
        return Cut(seconds + database.GRACE, lambda: self._give_up(connection))

    def _decode(self, connection: Any, manner: str = "") -> None:
        engine = self._engine
        encoding = self._options.encoding or (engine.narrow if engine else "")
        if not encoding:
            return
        connection.setdecoding(pyodbc.SQL_CHAR, encoding=encoding + manner)
        if engine and engine.narrow:
            connection.setencoding(encoding=encoding)
        if engine and engine.wide_as_narrow:
            connection.setdecoding(pyodbc.SQL_WCHAR, encoding=encoding + manner, ctype=pyodbc.SQL_CHAR)

    def cancel(self, connection: Any) -> None:
        cursor = self._running
        if cursor is not None:
            cursor.cancel()

    def _give_up(self, connection: Any) -> None:
        with contextlib.suppress(pyodbc.Error):
            self.cancel(connection)


def _all_of(cursor: Any, room: Room) -> RowSet:
    if cursor.description is None:
        return RowSet((), ())
    columns = tuple(column[0].removeprefix("q.") for column in cursor.description)  # SQLite's long names
    return RowSet(columns, fetched_in(room, lambda count: list(map(tuple, cursor.fetchmany(count)))))


def bound_as(engine: Engine | None, parameters: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The parameters as this engine's drivers take them without loss, and their types where pyodbc's choice is wrong.

    MariaDB's driver cuts the fraction off a time. SQL Server compares a `datetime` with the `datetime2` that pyodbc would
    bind by nanoseconds it never stored, and misses its own value: as text it becomes what the column is. And it converts a
    whole varchar column, past its index, to compare it with an nvarchar parameter.
    """
    if engine is None or not (engine.times_as_text or engine.narrow_parameters):
        return list(parameters), []
    bound = [_written(value, engine) if isinstance(value, datetime) else value for value in parameters]
    if not engine.narrow_parameters:
        return bound, []
    plain = [isinstance(value, str) and value.isascii() for value in bound]
    return bound, [
        (pyodbc.SQL_VARCHAR, max(1, len(value)), 0) if ascii_ else None
        for value, ascii_ in zip(bound, plain, strict=True)
    ] if any(plain) else []


def _written(value: datetime, engine: Engine) -> str:
    if not engine.narrow_parameters:
        return value.isoformat(" ")
    # A `datetime` takes milliseconds at most, and no space that a language could read otherwise.
    return value.isoformat(timespec="microseconds" if value.microsecond % 1000 else "milliseconds")


_LOST = {"2006", "2013", "4031", "5014", "25P03", "57P01"}  # the last three: the server ended it


def _lenient(name: str) -> codecs.CodecInfo | None:
    base, _, tail = name.replace("_", "-").rpartition("-")
    if tail != "lenient" or not base:
        return None
    found = codecs.lookup(base)
    return codecs.CodecInfo(
        name=name, encode=found.encode, decode=lambda data, errors="strict": found.decode(data, "replace")
    )


codecs.register(_lenient)
