"""Microsoft SQL Server and Sybase ASE. Tested as text only: there is no server of either here.

SQL Server has no read-only transaction: the account must be one that can only read, and `ApplicationIntent=ReadOnly` sends
us to a readable replica where there is one. TOP is understood by every version (OFFSET only since 2012), and our pages are
by key, so it is all that is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.engines import calls, types
from connectors.engines.dialect import Dialect
from connectors.engines.engine import Engine, Greeter, Said

_ISOLATION = (
    "IF EXISTS (SELECT 1 FROM sys.databases WHERE name = DB_NAME() AND snapshot_isolation_state = 1)"
    " SET TRANSACTION ISOLATION LEVEL SNAPSHOT ELSE SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
)


_DIRTY = "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"  # what WITH (NOLOCK) at every table would be


def _greeting(greeter: Greeter) -> Sequence[Said]:
    return (
        Said(_DIRTY if greeter.options.nolock else _ISOLATION),
        Said(f"SET LOCK_TIMEOUT {greeter.lock_ms}"),
        Said("SET DEADLOCK_PRIORITY LOW"),
        Said("SET QUOTED_IDENTIFIER ON"),
        Said("SET ANSI_NULLS ON"),
        Said("SET NOCOUNT ON"),
        Said("SET TEXTSIZE 2147483647"),  # FreeTDS asks for 64,512 bytes of a text, and tells nobody
        Said("SET DATEFORMAT ymd"),
        Said("SET LANGUAGE us_english"),  # so that an error's text can be recognised
    )


def _sybase_greeting(greeter: Greeter) -> Sequence[Said]:
    return (
        Said("SET TRANSACTION ISOLATION LEVEL 1"),
        Said(f"SET LOCK WAIT {max(1, greeter.lock_ms // 1000)}", needed=False),
        Said("SET QUOTED_IDENTIFIER ON"),
        Said("SET TEXTSIZE 2147483647", needed=False),
    )


def _dialect(_: object) -> Dialect:
    return Dialect(top="TOP {n}", limit="", most_parameters=2100)


SQLSERVER = Engine(
    name="sqlserver",
    title="SQL Server",
    words=("sql server",),
    dialect=_dialect,
    greeting=_greeting,
    grammar="tsql",
    read_only=False,
    one_moment=False,  # only where the database allows snapshots
    session_id="SELECT @@SPID",
    kill="KILL {id}",
    call=calls.execute,
    definition=calls.in_sqlserver,
    converters=types.SQL_SERVER,
    times_as_text=True,
    narrow_parameters=True,
)

SYBASE = Engine(
    name="sybase",
    title="Sybase ASE",
    words=("adaptive server", "sybase"),
    dialect=lambda _: Dialect(top="TOP {n}", limit=""),
    greeting=_sybase_greeting,
    grammar="tsql",
    read_only=False,
    one_moment=False,
    session_id="SELECT @@spid",
    kill="KILL {id}",
    converters=types.SQL_SERVER,
    times_as_text=True,
    narrow_parameters=True,
)
