"""MariaDB, MySQL and what speaks their protocol. MariaDB is tested against a real server, both ways; the others as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connectors.engines import calls, types
from connectors.engines.dialect import Dialect
from connectors.engines.engine import Engine, Greeter, Said, seconds


def _common(greeter: Greeter) -> tuple[Said, ...]:
    nolock = greeter.options.nolock  # imposed by the vendor: read again before it counts (`settle`)
    return (
        Said(f"SET SESSION TRANSACTION ISOLATION LEVEL {'READ UNCOMMITTED' if nolock else 'REPEATABLE READ'}"),
        Said("SET SESSION TRANSACTION READ ONLY"),
        Said(f"SET SESSION lock_wait_timeout = {seconds(greeter.lock_ms)}"),
        Said(f"SET SESSION innodb_lock_wait_timeout = {seconds(greeter.lock_ms)}", needed=False),
        # By offset: most servers have no table of zone names loaded.
        Said(f"SET SESSION time_zone = '{greeter.offset}'"),
    )


def _mariadb_greeting(greeter: Greeter) -> Sequence[Said]:
    return (
        *_common(greeter),
        Said(f"SET SESSION max_statement_time = {greeter.statement_ms / 1000:g}"),
        Said(f"SET SESSION idle_transaction_timeout = {seconds(greeter.idle_ms)}", needed=False),  # since 10.3
    )


def _mysql_greeting(greeter: Greeter) -> Sequence[Said]:
    return (
        *_common(greeter),
        Said(f"SET SESSION max_execution_time = {greeter.statement_ms}"),
        # MySQL knows no idle time-out of a transaction alone: the session's. We come back by ourselves.
        Said(f"SET SESSION wait_timeout = {seconds(greeter.idle_ms)}"),
    )


def _plain_greeting(greeter: Greeter) -> Sequence[Said]:
    """What speaks MySQL's protocol but is not MySQL may know only a part of it."""
    return tuple(Said(said.sql, needed=False) for said in _mysql_greeting(greeter))


def _dialect(_: object) -> Dialect:
    return Dialect(quote="`")


# Busy_time and Cpu_time (seconds) are counted by MariaDB with userstat on, and are nought otherwise; MySQL has neither.
_COST = (
    "SHOW SESSION STATUS WHERE Variable_name IN ('Rows_read', 'Rows_sent', 'Bytes_sent', 'Busy_time', 'Cpu_time',"
    " 'Handler_read_key', 'Handler_read_next', 'Handler_read_rnd_next')"
)

MARIADB = Engine(
    name="mariadb",
    title="MariaDB",
    words=("mariadb",),
    dialect=_dialect,
    greeting=_mariadb_greeting,
    grammar="mysql",
    tested=True,
    session_id="SELECT CONNECTION_ID()",
    kill="KILL {id}",
    cost=_COST,
    call=calls.call,
    definition=calls.in_mysql,
    no_session=("1094",),
    narrow="utf-8",
    wide_as_narrow=True,
    converters=types.MYSQL,
    times_as_text=True,
)

MYSQL = replace(MARIADB, name="mysql", title="MySQL", words=("mysql",), greeting=_mysql_greeting, tested=False)

GBASE_8A = Engine(
    name="gbase8a",
    title="GBase 8a",
    words=("gbase 8a", "gbase8a", "gbase"),
    dialect=_dialect,
    greeting=_plain_greeting,
    grammar="mysql",
    read_only=False,
    one_moment=False,
    session_id="SELECT CONNECTION_ID()",
    kill="KILL {id}",
    call=calls.call,
    definition=calls.in_mysql,
    no_session=("1094",),
    narrow="utf-8",
)

OCEANBASE = Engine(
    name="oceanbase",
    title="OceanBase (MySQL mode)",
    words=("oceanbase",),
    dialect=_dialect,
    greeting=lambda greeter: (
        *_plain_greeting(greeter),
        Said(f"SET SESSION ob_query_timeout = {greeter.statement_ms * 1000}"),  # microseconds
        Said(f"SET SESSION ob_trx_idle_timeout = {greeter.idle_ms * 1000}", needed=False),
    ),
    grammar="mysql",
    session_id="SELECT CONNECTION_ID()",
    kill="KILL {id}",
    call=calls.call,
    definition=calls.in_mysql,
    no_session=("1094",),
    narrow="utf-8",
)
