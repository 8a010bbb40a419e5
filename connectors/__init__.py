"""Every connection to a system we do not own: sources and destinations."""

from __future__ import annotations

from connectors.remote import RemoteSource
from connectors.source import ChangedPage, Queries, Source, SourceOptions
from connectors.sql import SCHEMES, SQL_SERVER, SqlSource
from frontend_agent.errors import ConfigurationError

__all__ = ["SCHEMES", "ChangedPage", "Queries", "RemoteSource", "Source", "SourceOptions", "SqlSource", "open_source"]


def open_source(name: str, options: SourceOptions, password: str = "") -> Source:
    """The source that these options describe, ready to be asked; it connects when it is."""
    if bool(options.url) == bool(options.odbc):
        raise ConfigurationError(f"sources.{name}: give either url or odbc")
    if options.odbc or options.url.partition(":")[0] in SQL_SERVER:
        return _odbc_source(name, options, password)
    return SqlSource(name, options, password).open()


def _odbc_source(name: str, options: SourceOptions, password: str) -> Source:
    # Not at the top: pyodbc loads the system's ODBC driver manager, which only a hospital with an ODBC source has.
    try:
        from connectors.odbc import OdbcSource
    except ImportError as error:
        raise ConfigurationError(
            f"sources.{name}: the ODBC driver manager is missing ({error}); install the package unixodbc"
        ) from error
    return OdbcSource(name, options, password).open()
