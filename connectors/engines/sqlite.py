"""SQLite: a file, and no server. Tested both ways."""

from connectors.engines.dialect import Dialect
from connectors.engines.engine import Engine, Said

SQLITE = Engine(
    name="sqlite",
    title="SQLite",
    words=("sqlite",),
    dialect=lambda _: Dialect(),
    greeting=lambda greeter: (
        Said("PRAGMA query_only = 1"),
        Said(f"PRAGMA busy_timeout = {greeter.lock_ms}"),
    ),
    grammar="sqlite",
    tested=True,
    narrow="utf-8",
)
