"""Extraction from real servers: our source beside the bare driver, for the same SQL by the same keys.

One wide table of visits with a detail table, so that all engines read the same rows. Servers that are not installed are
left out and named.
"""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Measure, batches, in_turns, seconds
from benchmarks.steps import per_document, rounds
from benchmarks.workload import PAGE, Workload
from connectors import Source, SourceOptions, open_source
from connectors.engines.drivers import completed, driver_in
from frontend_agent.mapping_file import Detail, Queries
from tests.servers import ServerMissing, mariadb_server, postgres_server

COLUMNS, LINES = 40, 5
START = datetime(2026, 3, 16, 8)
QUERIES = Queries(
    key="visit_number",
    changed="SELECT changed_at AS {q}cursor{q}, visit_number AS {q}key{q} FROM visit",
    parent="SELECT * FROM visit",
    details={"lines": Detail("SELECT visit_number, line, code, value FROM line")},
)


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    for number in range(count):
        texts = (f"内容{number % 97}-{column}" for column in range(COLUMNS - 3))
        yield (f"V{number:07d}", START + timedelta(seconds=number), number, *texts)


def lines(count: int) -> Iterator[tuple[Any, ...]]:
    return (
        (f"V{number:07d}", line, f"C{line}", f"{number % 100}.{line}")
        for number in range(count)
        for line in range(LINES)
    )


def fill(connection: Any, count: int) -> None:
    """The two tables, over any DB-API connection with %s parameters."""
    texts = ", ".join(f"c{column:02d} VARCHAR(40)" for column in range(COLUMNS - 3))
    cursor = connection.cursor()
    cursor.execute(
        f"CREATE TABLE visit (visit_number VARCHAR(20) PRIMARY KEY, changed_at TIMESTAMP NOT NULL, n INTEGER, {texts})"
    )
    cursor.execute("CREATE TABLE line (visit_number VARCHAR(20), line INTEGER, code VARCHAR(10), value VARCHAR(10))")
    for batch in batches(list(rows(count)), 1_000):
        cursor.executemany(f"INSERT INTO visit VALUES ({', '.join(['%s'] * COLUMNS)})", batch)
    for batch in batches(list(lines(count)), 5_000):
        cursor.executemany("INSERT INTO line VALUES (%s, %s, %s, %s)", batch)
    cursor.execute("CREATE INDEX visit_changed ON visit (changed_at, visit_number)")
    cursor.execute("CREATE INDEX line_visit ON line (visit_number)")
    connection.commit()


def queries(quote: str) -> Queries:
    return Queries(QUERIES.key, QUERIES.changed.format(q=quote), QUERIES.parent, QUERIES.details)


def bare(connection: Any, mark: str, count: int) -> Callable[[], float]:
    """The driver alone: keys in order, then both tables by key, page by page."""

    def work() -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT changed_at, visit_number FROM visit ORDER BY changed_at, visit_number")
        keys = [row[1] for row in cursor.fetchall()]
        for page in batches(keys, PAGE):
            marks = ", ".join([mark] * len(page))
            cursor.execute(f"SELECT * FROM visit WHERE visit_number IN ({marks})", page)
            found = cursor.fetchall()
            cursor.execute(f"SELECT visit_number, line, code, value FROM line WHERE visit_number IN ({marks})", page)
            cursor.fetchall()
            assert len(found) == len(page)
        connection.commit()

    return lambda: seconds(work)


def ours(source: Source, asked: Queries) -> Callable[[], float]:
    def work() -> None:
        for page in source.changed(asked, None, timedelta(0), PAGE):
            source.rows(asked, page.keys)

    return lambda: seconds(work)


@contextmanager
def opened(name: str, options: SourceOptions, password: str) -> Iterator[Source]:
    source = open_source(name, options, password)
    try:
        yield source
    finally:
        source.close()


def measured(name: str, source: Source, asked: Queries, floor: Callable[[], float], count: int, quick: bool) -> Measure:
    both = in_turns(rounds(quick), ours(source, asked), floor)
    measure = per_document(f"extraction.{name}", both, count, note=f"{COLUMNS} columns and {LINES} lines each")
    return replace(measure, at_least=0.7)


def from_postgresql(load: Workload, quick: bool) -> Iterator[Measure]:
    import psycopg

    count = 2_000 if quick else 10_000
    with postgres_server() as server:
        server.create("benchmark")
        with psycopg.connect(
            host="127.0.0.1", port=server.port, user=server.user, password=server.password, dbname="benchmark"
        ) as connection:
            fill(connection, count)
            with opened("psycopg", SourceOptions(url=server.url("benchmark")), server.password) as source:
                yield measured("psycopg", source, queries('"'), bare(connection, "%s", count), count, quick)
        yield from _over_odbc("odbc-postgresql", server.odbc("benchmark"), server.password, queries('"'), count, quick)


def from_mariadb(load: Workload, quick: bool) -> Iterator[Measure]:
    count = 2_000 if quick else 10_000
    with mariadb_server() as server:
        server.create("benchmark")
        connection = server.connect("benchmark")
        connection.autocommit(False)
        fill(connection, count)
        with opened("pymysql", SourceOptions(url=server.url("benchmark")), server.password) as source:
            yield measured("pymysql", source, queries("`"), bare(connection, "%s", count), count, quick)
        connection.close()
        yield from _over_odbc("odbc-mariadb", server.odbc("benchmark"), server.password, queries("`"), count, quick)


def _over_odbc(name: str, text: str, password: str, asked: Queries, count: int, quick: bool) -> Iterator[Measure]:
    import pyodbc

    # The same cursor: our settings of the driver, of which one costs (UseDeclareFetch) and bounds its memory.
    complete = completed(text, driver_in(text)[0], SourceOptions(), 5.0)
    complete += f";PWD={{{password.replace('}', '}}')}}}" if password else ""
    try:
        connection = pyodbc.connect(complete)
    except pyodbc.Error as error:
        print(f"left out: extraction.{name} ({error.args[0]})", file=sys.stderr)
        return
    if "mariadb" in name:  # otherwise three times slower (measured), which no one would leave so
        connection.setdecoding(pyodbc.SQL_CHAR, encoding="utf-8")
        connection.setdecoding(pyodbc.SQL_WCHAR, encoding="utf-8", ctype=pyodbc.SQL_CHAR)
        connection.setencoding(encoding="utf-8")
    with opened(name, SourceOptions(odbc=text), password) as source:
        yield measured(name, source, asked, bare(connection, "?", count), count, quick)
    connection.close()


def from_sqlite_odbc(load: Workload, quick: bool) -> Iterator[Measure]:
    count = 2_000 if quick else 10_000
    with TemporaryDirectory() as folder:
        file = Path(folder) / "benchmark.db"
        with closing(sqlite3.connect(file)) as connection:
            fill(_Marked(connection), count)
        # With the driver's long names, without which it cuts "patient.name", SELECT * gives "visit.n".
        names = ["visit_number", "changed_at", "n", *(f"c{column:02d}" for column in range(COLUMNS - 3))]
        parent = f"SELECT {', '.join(f'{name} AS {name}' for name in names)} FROM visit"
        lines = "SELECT visit_number AS visit_number, line AS line, code AS code, value AS value FROM line"
        asked = Queries(QUERIES.key, queries('"').changed, parent, {"lines": Detail(lines)})
        yield from _over_odbc("odbc-sqlite", f"Driver=SQLite3;Database={file}", "", asked, count, quick)


class _Marked:
    """sqlite3 for who writes %s."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.commit = connection.commit

    def cursor(self) -> "_Marked":
        return self

    def execute(self, sql: str) -> None:
        self._connection.execute(sql)

    def executemany(self, sql: str, rows: Any) -> None:
        self._connection.executemany(sql.replace("%s", "?"), [tuple(map(_plain, row)) for row in rows])


def _plain(value: Any) -> Any:
    return value.isoformat(" ") if isinstance(value, datetime) else value


def servers(load: Workload, quick: bool) -> Iterator[Measure]:
    for measures in (from_postgresql, from_mariadb, from_sqlite_odbc):
        try:
            yield from measures(load, quick)
        except ServerMissing as missing:
            print(f"left out: {missing}", file=sys.stderr)
