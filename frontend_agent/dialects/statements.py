"""The statements that put rows into a region's table, for each engine. Values are parameters; names were checked.

PostgreSQL and MariaDB are run by the tests. Oracle and SQL Server have never been run against a server here.
"""

from collections.abc import Iterable, Sequence

from frontend_agent.dialects.shared_tables import NAME, TableOf
from frontend_agent.errors import ConfigurationError


def checked(name: str) -> str:
    """A name as it stands in a statement, written as the region writes it. ConfigurationError for what is no name."""
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} is no name of a table or column")
    return name


def upsert(table: TableOf, engine: str, reset: Sequence[str] = ()) -> str:
    """The statement that writes one row, whether it is there or not; `:c0`, `:c1` … are its values in order.

    `reset` are columns of the region's: what it said of the row before is not said of this one.
    """
    names, name = table.names, checked(table.name)
    unsaid = "NULL" if engine == "sqlite" else "DEFAULT"
    again = [f"{checked(column)} = {unsaid}" for column in reset]
    marks = [f":c{at}" for at in range(len(names))]
    rest = [column for column in names if column not in table.key]
    columns = ", ".join(map(checked, names))
    insert = f"INSERT INTO {name} ({columns}) VALUES ({', '.join(marks)})"
    if engine in ("postgresql", "sqlite"):
        keys = ", ".join(map(checked, table.key))
        sets = ", ".join([*(f"{checked(column)} = excluded.{checked(column)}" for column in rest), *again])
        return f"{insert} ON CONFLICT ({keys}) DO " + (f"UPDATE SET {sets}" if sets else "NOTHING")
    if engine in ("mysql", "mariadb"):
        written = (f"{checked(column)} = VALUES({checked(column)})" for column in rest or table.key[:1])
        sets = ", ".join([*written, *again])
        return f"{insert} ON DUPLICATE KEY UPDATE {sets}"
    dual = "" if engine == "mssql" else " FROM DUAL"
    using = ", ".join(f"{mark} AS {checked(column)}" for mark, column in zip(marks, names, strict=True))
    on = " AND ".join(f"d.{checked(column)} = s.{checked(column)}" for column in table.key)
    written = (f"d.{checked(column)} = s.{checked(column)}" for column in rest)
    update = ", ".join([*written, *(f"d.{one}" for one in again)])
    hold = " WITH (HOLDLOCK) AS" if engine == "mssql" else ""
    return (
        f"MERGE INTO {name}{hold} d USING (SELECT {using}{dual}) s ON ({on})"
        + (f" WHEN MATCHED THEN UPDATE SET {update}" if update else "")
        + f" WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({', '.join(f's.{checked(column)}' for column in names)})"
        + (";" if engine == "mssql" else "")
    )


def read_back(table: TableOf) -> str:
    """The statement that reads one row by its key; `:k0`, `:k1` … are the key's values."""
    return f"SELECT {', '.join(map(checked, table.names))} FROM {checked(table.name)} WHERE {_where(table.key)}"


def belonging(table: TableOf) -> str:
    """The statement that reads the rows of a detail that belong to one record."""
    return f"SELECT {', '.join(map(checked, table.names))} FROM {checked(table.name)} WHERE {_where(table.parent)}"


def put_away(table: TableOf) -> str:
    """The statement for a detail's row that the record has no more: marked where there is a column for it, else deleted."""
    if table.void:
        return f"UPDATE {checked(table.name)} SET {checked(table.void)} = '1' WHERE {_where(table.key)}"
    return f"DELETE FROM {checked(table.name)} WHERE {_where(table.key)}"


def status_of(table: TableOf, columns: Iterable[str]) -> str:
    """The statement that reads what the region has written beside our row."""
    return f"SELECT {', '.join(map(checked, columns))} FROM {checked(table.name)} WHERE {_where(table.key)}"


def nothing_of(table: TableOf, columns: Iterable[str]) -> str:
    """The statement that reads these columns of no row at all: whether they are there, and may be read."""
    return f"SELECT {', '.join(map(checked, columns))} FROM {checked(table.name)} WHERE 1 = 0"


def _where(columns: Sequence[str]) -> str:
    return " AND ".join(f"{checked(column)} = :k{at}" for at, column in enumerate(columns))
