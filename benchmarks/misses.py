"""Rows that are missed: by the watermark alone, with a fixed overlap, as the agent finds them, and after reconciliation.

Fifty writers on a real server, as a hospital's: transactions that stay open for up to ten minutes, times cut to seconds, rows
that are written anew, and in the middle the database's clock set back by an hour. Time is scaled: at 1:60 a minute is a second. An
oracle knows every row that was committed, by the writers' own word.

The clock cannot really be set back for one server in a machine: writers and the agent's question for the time both ask a
table how far it is off.
"""

import contextlib
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from benchmarks.measure import Measure
from benchmarks.workload import Workload
from connectors import Source, SourceOptions, open_source
from connectors.finding import clock
from connectors.finding.bearings import Bearings
from connectors.finding.search import Search
from frontend_agent.mapping_file import Queries
from frontend_agent.model import Watermark
from tests.servers import ServerMissing, mariadb_server, postgres_server

TABLES = (
    "CREATE TABLE report (no varchar(20) PRIMARY KEY, version int NOT NULL, updated {time} NOT NULL)",
    "CREATE INDEX report_updated ON report (updated, no)",
    "CREATE TABLE hospital_clock (seconds_back int NOT NULL)",
    "INSERT INTO hospital_clock VALUES (0)",
)


@dataclass(frozen=True)
class Engine:
    """What a HIS would write on this server."""

    name: str
    time: str
    now: str  # the hospital's clock, as everybody there asks for it
    zone: str


ENGINES = {
    "postgresql": Engine(
        "postgresql",
        "timestamp",
        "SELECT LOCALTIMESTAMP - make_interval(secs => (SELECT seconds_back FROM hospital_clock))",
        "SET TIME ZONE 'Asia/Shanghai'",
    ),
    "mariadb": Engine(
        "mariadb",
        "datetime(6)",
        "SELECT NOW(6) - INTERVAL (SELECT seconds_back FROM hospital_clock) SECOND",
        "SET time_zone = '+08:00'",
    ),
}


@dataclass(frozen=True)
class Plan:
    """How much of it. `scale`: so many times faster than life."""

    writers: int = 50
    scale: float = 60.0
    minutes: float = 45.0  # of the hospital's life
    longest: float = 10.0  # minutes that a transaction stays open
    overlap: float = 10.0
    every: float = 5.0
    back: float = 60.0

    def seconds(self, minutes: float) -> float:
        return minutes * 60 / self.scale


@dataclass
class Oracle:
    """Every row that was committed, with its newest version."""

    versions: dict[str, int] = field(default_factory=dict)
    writes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def committed(self, rows: dict[str, int]) -> None:
        with self._lock:
            self.versions.update(rows)
            self.writes += len(rows)

    def missed(self, read: dict[str, int]) -> list[str]:
        return [key for key, version in self.versions.items() if read.get(key, 0) < version]


def write(connection: Any, engine: Engine, plan: Plan, number: int, until: float, oracle: Oracle) -> None:
    """One writer: transactions one after the other, each with its own time, as a HIS takes it at the beginning."""
    chance = random.Random(number)  # a seed, so that two runs differ by the threads' luck alone
    mine: dict[str, int] = {}
    count = 0
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(engine.zone)
        connection.commit()
        while time.monotonic() < until:
            cursor.execute(engine.now)
            now = cursor.fetchone()[0].replace(microsecond=0)  # equal times, for all who write in this second
            rows: dict[str, int] = {}
            for _ in range(chance.randint(1, 4)):
                if mine and chance.random() < 0.3:
                    key = chance.choice(list(mine))
                    rows[key] = mine[key] + 1
                    cursor.execute("UPDATE report SET version = %s, updated = %s WHERE no = %s", (rows[key], now, key))
                else:
                    count += 1
                    key = f"W{number}-{count}"
                    rows[key] = 1
                    cursor.execute("INSERT INTO report VALUES (%s, 1, %s)", (key, now))
                mine |= rows
            longest = plan.longest if chance.random() < 0.05 else 0.2
            time.sleep(plan.seconds(longest) * chance.random())
            connection.commit()
            oracle.committed(rows)
            time.sleep(plan.seconds(0.5) * chance.random())


@dataclass
class Reader:
    """One way of finding, and all that it has read."""

    source: Source
    queries: Queries
    overlap: timedelta
    watched: bool  # as the agent does it: with the source's clock and its open transactions
    mark: Watermark | None = None
    bearings: Bearings | None = None
    read: dict[str, int] = field(default_factory=dict)
    keys: int = 0

    def run(self) -> None:
        if self.watched:
            for page in self.source.found(self.queries, Search(overlap=self.overlap), self.mark, self.bearings):
                self.take(page.keys)
                self.mark, self.bearings = page.watermark or self.mark, page.bearings or self.bearings
        else:
            for changed in self.source.changed(self.queries, self.mark, self.overlap):
                self.take(changed.keys)
                self.mark = changed.watermark

    def take(self, keys: tuple[str, ...]) -> None:
        self.keys += len(keys)
        for key, version in self.source.rows(self.queries, keys).parent.rows if keys else ():
            self.read[key] = max(version, self.read.get(key, 0))

    def reconcile(self) -> None:
        """Compare all keys of the time with what is known, and read what is missing: what the nightly run does."""
        for keys in self.source.since(self.queries, _beginning()):
            self.take(keys)


def _beginning() -> Any:
    from datetime import datetime

    return datetime(2000, 1, 1)


@dataclass(frozen=True)
class Missed:
    """How many rows each way missed, of how many that were written."""

    written: int
    alone: int
    overlap: int
    found: int
    reconciled: int
    read_twice: float  # keys read, per row written, by the agent's way


def rehearse(server: Any, name: str, plan: Plan, database: str = "misses") -> Missed:
    """The whole play on one server."""
    engine = ENGINES[name]
    server.create(database)
    server.execute(*(text.format(time=engine.time) for text in TABLES), database=database)
    oracle, quote = Oracle(), '"' if name == "postgresql" else "`"
    queries = Queries(
        key="no",
        changed=f"SELECT updated AS {quote}cursor{quote}, no AS {quote}key{quote} FROM report",
        parent=f"SELECT no AS {quote}no{quote}, version AS {quote}version{quote} FROM report",
    )
    overlap = timedelta(seconds=plan.seconds(plan.overlap))
    readers = [
        Reader(_source(server, database, way), queries, wide, watched=way == "found")
        for way, wide in (("alone", timedelta()), ("overlap", overlap), ("found", overlap))
    ]
    end = time.monotonic() + plan.seconds(plan.minutes)
    half = end - plan.seconds(plan.minutes) / 2
    connections = [_writing(server, name, database) for _ in range(plan.writers)]
    threads = [
        threading.Thread(target=write, args=(connection, engine, plan, number, end, oracle), daemon=True)
        for number, connection in enumerate(connections)
    ]
    with _asked_of_the_hospital(engine):
        for thread in threads:
            thread.start()
        stood = True
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            if stood and began > half:
                stood = False
                seconds = round(plan.seconds(plan.back))
                server.execute(f"UPDATE hospital_clock SET seconds_back = {seconds}", database=database)
            _all_at_once([reader.run for reader in readers])
            time.sleep(max(0.0, plan.seconds(plan.every) - (time.monotonic() - began)))
        for _ in range(2):
            _all_at_once([reader.run for reader in readers])
    alone, fixed, found = (len(oracle.missed(reader.read)) for reader in readers)
    readers[-1].reconcile()
    for reader in readers:
        reader.source.close()
    for connection in connections:
        connection.close()
    left = len(oracle.missed(readers[-1].read))
    return Missed(oracle.writes, alone, fixed, found, left, readers[-1].keys / max(oracle.writes, 1))


def _source(server: Any, database: str, name: str) -> Source:
    return open_source(name, SourceOptions(url=server.url(database)), server.password)


def _writing(server: Any, name: str, database: str) -> Any:
    connection = server.connect(database)
    if name == "postgresql":
        connection.autocommit = False
    else:
        connection.autocommit(False)
    return connection


def _all_at_once(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextlib.contextmanager
def _asked_of_the_hospital(engine: Engine) -> Iterator[None]:
    """The source's clock is the one that writes its rows."""
    real = clock.CLOCKS[engine.name]
    clock.CLOCKS[engine.name] = replace(real, now=engine.now)
    try:
        yield
    finally:
        clock.CLOCKS[engine.name] = real


def misses(load: Workload, quick: bool) -> Iterator[Measure]:
    """On PostgreSQL and MariaDB: 0 rows missed after overlap and reconciliation."""
    plan = Plan(scale=300.0) if quick else Plan()
    for name, start in (("postgresql", lambda: postgres_server(plan.writers + 20)), ("mariadb", mariadb_server)):
        try:
            with start() as server:
                told = rehearse(server, name, plan)
        except ServerMissing as missing:
            print(f"benchmark: {missing}", file=sys.stderr)
            continue
        note = (
            f"of {told.written} rows: {told.alone} by the watermark alone, {told.overlap} with a fixed overlap,"
            f" {told.found} as the agent finds them; it read each row {told.read_twice:.1f} times; 1:{plan.scale:g}"
        )
        yield Measure(f"misses.{name}", float(told.reconciled), "rows", target=0.0, note=note)
        yield Measure(f"misses.{name}-before", float(told.found), "rows", target=0.0, note="before reconciliation")
