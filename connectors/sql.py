"""Databases by URL: SQLite, PostgreSQL, MariaDB, MySQL and Oracle by Python's drivers, SQL Server through ODBC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy
from sqlalchemy import URL, exc

from connectors.database import Database, Driver
from connectors.natives import Oracledb, Psycopg, PyMysql, Sqlite
from connectors.source import SourceOptions
from frontend_agent.errors import ConfigurationError

_DRIVERS: dict[str, Callable[[str, SourceOptions, URL], Driver]] = {
    "sqlite": Sqlite,
    "postgresql": Psycopg,
    "postgres": Psycopg,
    "mariadb": PyMysql,
    "mysql": PyMysql,
    "oracle": Oracledb,
}
SQL_SERVER = ("mssql", "sqlserver")  # which Python has no driver for: see odbc.py
SCHEMES = (*_DRIVERS, *SQL_SERVER)
_SPELLINGS = {"postgres": "postgresql", "mssql": "sqlserver"}


def engine_of_scheme(scheme: str) -> str:
    """Our name of the engine that a URL names."""
    return _SPELLINGS.get(scheme, scheme)


class SqlSource(Database):
    """A database that one of Python's own drivers reaches."""

    def __init__(
        self, name: str, options: SourceOptions, password: str = "", clock: Callable[[], datetime] | None = None
    ) -> None:
        url = url_of(name, options.url).set(password=password or None)
        super().__init__(name, options, _DRIVERS[url.drivername](name, options, url), clock)


def url_of(name: str, text: str) -> URL:
    """The URL of a source. Raises ConfigurationError for one that we cannot use, without quoting it."""
    try:
        url = sqlalchemy.make_url(text)
    except (exc.ArgumentError, ValueError):
        raise ConfigurationError(
            f"sources.{name}: url is not a database URL (like postgresql://user@host/database)"
        ) from None
    if url.drivername not in SCHEMES:
        raise ConfigurationError(
            f"sources.{name}: unknown scheme {url.drivername!r} (known: {', '.join(SCHEMES)}; others through odbc = …)"
        )
    if url.password is not None:
        raise ConfigurationError(f"sources.{name}: the password does not belong into the url; name a secret instead")
    return url
