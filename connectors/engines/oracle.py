"""Oracle and 达梦, which follows it. Tested as text only: there is no server of either here.

Before 12c a statement is limited around it, by ROWNUM. An unquoted name is upper case: a mapping names its columns with
`AS "patient.name"`. An empty text is NULL. A DATE has a time. A transaction must say that it only reads, every time.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.engines import calls
from connectors.engines.dialect import Dialect
from connectors.engines.engine import APPLICATION, Engine, Greeter, Said, Version

FETCH_SINCE = (12,)


def _formats() -> tuple[Said, ...]:
    return (
        Said("ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS'"),
        Said("ALTER SESSION SET NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6'"),
        Said("ALTER SESSION SET NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6TZH:TZM'"),
        Said("ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'"),
        Said("ALTER SESSION SET NLS_LANGUAGE = 'AMERICAN'"),  # so that an error's text can be recognised
        Said("ALTER SESSION SET NLS_COMP = 'BINARY'"),  # the order that our pages go by
        Said("ALTER SESSION SET NLS_SORT = 'BINARY'"),
    )


def _greeting(greeter: Greeter) -> Sequence[Said]:
    return (
        *_formats(),
        Said(f"ALTER SESSION SET TIME_ZONE = '{greeter.offset}'"),
        Said(f"BEGIN DBMS_APPLICATION_INFO.SET_MODULE('{APPLICATION}', NULL); END;", needed=False),
    )


def _dameng_greeting(greeter: Greeter) -> Sequence[Said]:
    return (
        Said("SP_SET_SESSION_READONLY(1)"),
        Said("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", needed=False),
        Said(f"SP_SET_PARA_VALUE_SESSION('LOCK_TIMEOUT', {greeter.lock_ms})", needed=False),
        Said("ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS'", needed=False),
        Said(f"SET TIME ZONE '{greeter.offset}'", needed=False),
    )


def dialect(version: Version) -> Dialect:
    """By version: FETCH FIRST since 12c, ROWNUM before and where the version is not known (every one knows that)."""
    if version >= FETCH_SINCE:
        return Dialect(limit="FETCH FIRST {n} ROWS ONLY", one="SELECT 1 FROM DUAL")
    return Dialect(limit="", around="SELECT * FROM (\n{sql}\n) WHERE ROWNUM <= {n}", one="SELECT 1 FROM DUAL")


ORACLE = Engine(
    name="oracle",
    title="Oracle",
    words=("oracle",),
    dialect=dialect,
    greeting=_greeting,
    grammar="oracle",
    begin=("SET TRANSACTION READ ONLY",),
    # Needs no grant, unlike v$session.
    session_id=("SELECT DBMS_DEBUG_JDWP.CURRENT_SESSION_ID || ',' || DBMS_DEBUG_JDWP.CURRENT_SESSION_SERIAL FROM DUAL"),
    kill="ALTER SYSTEM DISCONNECT SESSION '{id}' IMMEDIATE",  # a reader seldom may: then the line is cut
    call=calls.escape,
    native_call=calls.ref_cursor,
    definition=calls.in_oracle,
)

DAMENG = Engine(
    name="dameng",
    title="达梦 DM8",
    words=("dm", "dameng"),
    dialect=lambda _: Dialect(limit="FETCH FIRST {n} ROWS ONLY", one="SELECT 1 FROM DUAL"),
    greeting=_dameng_greeting,
    grammar="oracle",
    one_moment=False,
    session_id="SELECT SESSID()",
    kill="SP_CLOSE_SESSION({id})",
    call=calls.escape,
    native_call=calls.ref_cursor,
    definition=calls.in_oracle,
)
