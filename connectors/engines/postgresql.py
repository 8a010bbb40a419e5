"""PostgreSQL and the products grown out of it. PostgreSQL itself is tested against a real server, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connectors.engines import calls, types
from connectors.engines.dialect import Dialect
from connectors.engines.engine import APPLICATION, Engine, Greeter, Said

CLIENT_CHECKED = 1000  # milliseconds between two looks of the server's whether we are still there


def _greeting(greeter: Greeter) -> Sequence[Said]:
    return (
        Said("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
        Said(f"SET statement_timeout = {greeter.statement_ms}"),
        # Not known to what split off before 9.6 and calls itself PostgreSQL over ODBC.
        Said(f"SET lock_timeout = {greeter.lock_ms}", needed=False),
        Said(f"SET idle_in_transaction_session_timeout = {greeter.idle_ms}", needed=False),
        # From 14 on: a session whose agent was killed ends by itself, though its statement only sleeps or waits for a lock.
        Said(f"SET client_connection_check_interval = {CLIENT_CHECKED}", needed=False),
        Said(f"SET TIME ZONE '{greeter.options.timezone}'"),
        Said("SET DateStyle = 'ISO, YMD'"),
        Said(f"SET application_name = '{APPLICATION}'", needed=False),
    )


def _gauss_greeting(greeter: Greeter) -> Sequence[Said]:
    """openGauss has another name for the time-out of a lock."""
    others = [said for said in _greeting(greeter) if "SET lock_timeout" not in said.sql]
    return (*others, Said(f"SET lockwait_timeout = {greeter.lock_ms}", needed=False))


def _dialect(_: object) -> Dialect:
    return Dialect()


POSTGRESQL = Engine(
    name="postgresql",
    title="PostgreSQL",
    words=("postgres",),
    dialect=_dialect,
    greeting=_greeting,
    grammar="postgres",
    tested=True,
    session_id="SELECT pg_backend_pid()",
    kill="SELECT pg_terminate_backend({id})",
    call=calls.function,
    definition=calls.in_postgresql,
    narrow="utf-8",
    converters=types.POSTGRESQL,
)

KINGBASE = replace(
    POSTGRESQL, name="kingbase", title="人大金仓 KingbaseES, 瀚高 HighGo", words=("kingbase", "highgo"), tested=False
)

OPENGAUSS = replace(
    POSTGRESQL,
    name="opengauss",
    title="openGauss, GaussDB, 海量 Vastbase",
    words=("gauss", "vastbase"),
    greeting=_gauss_greeting,
    tested=False,
)
