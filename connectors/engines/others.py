"""Engines that are met through their ODBC drivers alone. Tested as text only: there is no server of any of them here.

What an engine does not know of a greeting is left out by itself (`needed=False`); `source show` tells what was refused.
"""

from connectors.engines.dialect import Dialect
from connectors.engines.engine import Engine, Greeter, Said, seconds

GBASE_8S = Engine(
    name="gbase8s",
    title="GBase 8s (Informix)",
    words=("gbase 8s", "gbase8s", "informix"),
    dialect=lambda _: Dialect(top="FIRST {n}", limit="", one="SELECT 1 FROM systables WHERE tabid = 1"),
    greeting=lambda greeter: (
        Said("SET ISOLATION TO COMMITTED READ LAST COMMITTED", needed=False),
        Said(f"SET LOCK MODE TO WAIT {seconds(greeter.lock_ms)}", needed=False),
    ),
    grammar="",
    read_only=False,
    one_moment=False,
    session_id="SELECT DBINFO('sessionid') FROM systables WHERE tabid = 1",
)


def _iris_greeting(greeter: Greeter) -> tuple[Said, ...]:
    return (
        Said("SET TRANSACTION %COMMITMODE EXPLICIT, ISOLATION LEVEL READ COMMITTED, READ ONLY"),
        Said(f"SET OPTION LOCK_TIMEOUT = {seconds(greeter.lock_ms)}", needed=False),
    )


IRIS = Engine(
    name="iris",
    title="InterSystems Caché, IRIS",
    words=("intersystems", "iris", "cache"),
    dialect=lambda _: Dialect(top="TOP {n}", limit=""),
    greeting=_iris_greeting,
    grammar="",
    one_moment=False,
    session_id="SELECT $JOB",
)

OSCAR = Engine(
    name="oscar",
    title="神通 OSCAR",
    words=("oscar", "shentong"),
    dialect=lambda _: Dialect(),
    greeting=lambda greeter: (
        Said("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", needed=False),
        Said(f"SET TIME ZONE '{greeter.options.timezone}'", needed=False),
    ),
    grammar="",
    one_moment=False,
)

OTHER = Engine(
    name="other",
    title="any other, by ODBC",
    words=(),
    dialect=lambda _: Dialect(limit="FETCH FIRST {n} ROWS ONLY"),  # the SQL standard's way
    greeting=lambda _: (Said("SET TRANSACTION READ ONLY", needed=False),),
    grammar="",
    read_only=False,
    one_moment=False,
)
