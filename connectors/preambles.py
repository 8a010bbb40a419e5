"""What is said to each engine when a session begins: read-only, one snapshot, time-outs, time zone, low priority.

We are guests (law 8). PostgreSQL, MariaDB and SQLite are tested against real servers; MySQL, SQL Server and the PostgreSQL
and Oracle relatives only as text.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.source import Dialect, SourceOptions

LOCK_SECONDS = 5  # never queue behind the hospital's own work for longer

DIALECTS = {
    "postgresql": Dialect(),
    "mysql": Dialect(quote="`"),
    "sqlite": Dialect(),
    "sqlserver": Dialect(top="TOP {n}", limit=""),
    "oracle": Dialect(limit="FETCH FIRST {n} ROWS ONLY", one="SELECT 1 FROM DUAL"),
    "other": Dialect(limit="FETCH FIRST {n} ROWS ONLY"),  # the SQL standard's way
}


def engine_of(product: str) -> str:
    """The family of a database by the name it gives itself."""
    name = product.lower()
    for word, family in (
        ("postgres", "postgresql"),
        ("kingbase", "postgresql"),
        ("gauss", "postgresql"),
        ("mariadb", "mysql"),
        ("mysql", "mysql"),
        ("sqlite", "sqlite"),
        ("sql server", "sqlserver"),
        ("oracle", "oracle"),
        ("dm", "oracle"),
    ):
        if name.startswith(word) or word in name.split() or (len(word) > 2 and word in name):
            return family
    return "other"


def preamble(family: str, product: str, options: SourceOptions, now: datetime) -> list[str]:
    """The statements that make a new session a guest's."""
    milliseconds = int(options.statement_timeout.total_seconds() * 1000)
    match family:
        case "postgresql":
            return [
                "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                f"SET statement_timeout = {milliseconds}",
                f"SET lock_timeout = {LOCK_SECONDS * 1000}",
                f"SET idle_in_transaction_session_timeout = {milliseconds + 60_000}",
                f"SET TIME ZONE '{options.timezone}'",
            ]
        case "mysql":
            limit = (
                f"SET SESSION max_statement_time = {milliseconds / 1000:g}"
                if "mariadb" in product.lower()
                else f"SET SESSION max_execution_time = {milliseconds}"
            )
            return [
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "SET SESSION TRANSACTION READ ONLY",
                limit,
                f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}",
                # By offset: most servers have no table of zone names loaded.
                f"SET SESSION time_zone = '{_offset(options.timezone, now)}'",
            ]
        case "sqlite":
            return ["PRAGMA query_only = 1"]
        case "sqlserver":  # has no read-only transaction: the account must be one that can only read
            return [
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
                f"SET LOCK_TIMEOUT {LOCK_SECONDS * 1000}",
                "SET DEADLOCK_PRIORITY LOW",
            ]
        case _:
            return []


def _offset(zone: str, now: datetime) -> str:
    text = now.astimezone(ZoneInfo(zone)).strftime("%z")
    return f"{text[:3]}:{text[3:]}"
