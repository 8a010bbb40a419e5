"""The engines that sources run on: one table for native drivers and ODBC alike.

    engine_of("Microsoft SQL Server").greeting(greeter)     what is said when a session begins
    engine_of("Oracle").dialect(version_of("11.2.0.4"))   how a page of rows is asked for

PostgreSQL, MariaDB and SQLite are tested against real servers, natively and through their ODBC drivers. Everything else is
tested as text (`tests/golden/sql`) and untested against a server: `Engine.tested` says which.
"""

from __future__ import annotations

from connectors.engines.dialect import Dialect
from connectors.engines.engine import APPLICATION, Engine, Greeter, Said, Version, version_of
from connectors.engines.mysql import GBASE_8A, MARIADB, MYSQL, OCEANBASE
from connectors.engines.oracle import DAMENG, ORACLE
from connectors.engines.others import GBASE_8S, IRIS, OSCAR, OTHER
from connectors.engines.postgresql import KINGBASE, OPENGAUSS, POSTGRESQL
from connectors.engines.sqlite import SQLITE
from connectors.engines.sqlserver import SQLSERVER, SYBASE

__all__ = [
    "APPLICATION",
    "ENGINES",
    "Dialect",
    "Engine",
    "Greeter",
    "Said",
    "Version",
    "engine_named",
    "engine_of",
    "version_of",
]

# In the order they are tried: the more particular name first.
ENGINES: tuple[Engine, ...] = (
    POSTGRESQL,
    MARIADB,
    SQLITE,
    SQLSERVER,
    ORACLE,
    OCEANBASE,
    MYSQL,
    DAMENG,
    KINGBASE,
    OPENGAUSS,
    GBASE_8S,
    GBASE_8A,
    IRIS,
    OSCAR,
    SYBASE,
    OTHER,
)


def engine_of(product: str) -> Engine:
    """The engine of a server that calls itself so. What nobody knows is spoken to in the SQL standard's words."""
    return next((engine for engine in ENGINES if engine.knows(product)), OTHER)


def engine_named(name: str) -> Engine:
    """The engine of our own name for it. Raises KeyError."""
    return {engine.name: engine for engine in ENGINES}[name]
