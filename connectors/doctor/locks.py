"""Whether our reading could hold up the hospital's writing: by the locks we would take. Pure but for the questions' texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from connectors.doctor.ailment import Ailment

# In the same transaction, after the feed's own query: what we hold beyond the lock that every SELECT takes.
POSTGRESQL = (
    "SELECT l.mode, COALESCE(l.relation::regclass::text, l.locktype) FROM pg_locks l WHERE l.pid = pg_backend_pid()"
    " AND l.mode <> 'AccessShareLock' AND NOT (l.locktype = 'virtualxid')"
)
MARIADB = "SELECT @@tx_isolation, @@tx_read_only"
MYSQL = "SELECT @@transaction_isolation, @@transaction_read_only"
ENGINES = (
    "SELECT CONCAT(table_schema, '.', table_name), engine FROM information_schema.tables"
    " WHERE table_type = 'BASE TABLE' AND engine IN ('MyISAM', 'MEMORY', 'MERGE', 'Aria', 'CSV')"
    " AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
)
SQLSERVER = "SELECT d.name, d.is_read_committed_snapshot_on, d.snapshot_isolation_state FROM sys.databases d WHERE d.name = DB_NAME()"


def postgresql(rows: Sequence[Sequence[Any]]) -> list[Ailment]:
    if not rows:
        return [Ailment("lock.fine", "fine", values={"mode": "AccessShareLock"})]
    return [Ailment("lock.taken", "wrong", str(where), {"mode": str(mode)}) for mode, where in rows]


def mysql(session: Sequence[Any], engines: Iterable[Sequence[Any]], tables: Iterable[str]) -> list[Ailment]:
    """`session` is isolation and read-only; `engines` the tables that lock as a whole; `tables` what the feeds read."""
    isolation, read_only = str(session[0]).upper(), str(session[1]).lower() in ("1", "on")
    found: list[Ailment] = []
    if isolation == "SERIALIZABLE":
        found.append(Ailment("lock.serializable", "wrong", values={"isolation": isolation}))
    wanted = {table.rpartition(".")[2].lower() for table in tables}
    for table, engine in engines:
        if str(table).rpartition(".")[2].lower() in wanted:
            found.append(
                Ailment(
                    "lock.table", "doubt", str(table), {"engine": str(engine)}, (f"ALTER TABLE {table} ENGINE=InnoDB;",)
                )
            )
    mode = f"{isolation}, {'READ ONLY' if read_only else 'READ WRITE'}"
    return found or [Ailment("lock.fine", "fine", values={"mode": mode})]


def sqlserver(row: Sequence[Any]) -> list[Ailment]:
    """Untested against a server. Without row versions a reader waits for writers, and writers for the reader."""
    database, row_versions, _ = row
    if row_versions:
        return [Ailment("lock.fine", "fine", str(database), {"mode": "READ_COMMITTED_SNAPSHOT"})]
    mend = f"ALTER DATABASE [{database}] SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK AFTER 30 SECONDS;"
    return [Ailment("lock.no_versions", "wrong", str(database), {}, (mend,))]
