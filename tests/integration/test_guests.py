"""We as guests at real servers: what they see of us in protected windows, while paused, while they are slow, and beside writers."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors import Source, SourceOptions, open_source
from connectors.guest import FLOOR, JUDGED, Pause
from frontend_agent.errors import SourceError, SourceResting
from frontend_agent.mapping_file import Queries
from frontend_agent.windows import open_until, window
from tests.lines import Line
from tests.servers import READER_PASSWORD, MariadbServer, PostgresServer

CHINA = ZoneInfo("Asia/Shanghai")
PROTECTED = (window("23:50-00:40"), window("02:00-04:00"))
ROWS = 200
_databases = count()


@dataclass
class Hospital:
    """A database of visits at one server, and ways to look at it that are not ours."""

    server: Any
    name: str
    quote: str
    is_postgres: bool

    def options(self, port: int | None = None, **more: Any) -> SourceOptions:
        url = self.server.url(self.name, "reader")
        return SourceOptions(url=url.replace(str(self.server.port), str(port or self.server.port)), **more)

    @contextmanager
    def source(self, port: int | None = None, clock: Any = None, **more: Any) -> Iterator[Source]:
        source = open_source("his", self.options(port, **more), READER_PASSWORD)
        if clock is not None:
            source._now = source.guest._now = clock
        try:
            yield source
        finally:
            source.close()

    @property
    def queries(self) -> Queries:
        q = self.quote
        return Queries(
            "id",
            f"SELECT changed_at AS {q}cursor{q}, id AS {q}key{q} FROM visit",
            "SELECT id, changed_at, n FROM visit",
        )

    @contextmanager
    def writer(self) -> Iterator[Any]:
        """A connection of the HIS that gives up, loudly, as soon as it has to wait."""
        connection = self.server.connect(self.name)
        with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
            waits = (
                "SET lock_timeout = '100ms'"
                if self.is_postgres
                else "SET innodb_lock_wait_timeout = 1, lock_wait_timeout = 1"
            )
            cursor.execute(waits)
            yield cursor


def made(server: PostgresServer | MariadbServer) -> Hospital:
    name, postgres = f"guests_{os.getpid()}_{next(_databases)}", isinstance(server, PostgresServer)
    server.create(name)
    values = ", ".join(f"('V{number:04d}', '2026-03-16 08:00:00', {number})" for number in range(ROWS))
    server.execute(
        "CREATE TABLE visit (id VARCHAR(20) PRIMARY KEY, changed_at TIMESTAMP NOT NULL, n INTEGER)",
        f"INSERT INTO visit VALUES {values}",
        "GRANT SELECT ON visit TO reader" + ("" if postgres else "@'127.0.0.1'"),
        database=name,
    )
    return Hospital(server, name, '"' if postgres else "`", postgres)


@pytest.fixture(params=["postgres", "mariadb"])
def hospital(request: pytest.FixtureRequest) -> Hospital:
    return made(request.getfixturevalue(request.param))


def read(source: Source, hospital: Hospital) -> int:
    keys = [f"V{number:04d}" for number in range(ROWS)]
    return len(source.rows(hospital.queries, keys).parent.rows)


def keys(source: Source, hospital: Hospital) -> list[str]:
    return [key for page in source.since(hospital.queries, datetime(2026, 1, 1)) for key in page]


# -- protected windows --------------------------------------------------------------------------------------------------


@contextmanager
def heard(server: PostgresServer) -> Iterator[Any]:
    """How many statements of the reader the server has written into its own log so far, logins included."""
    server.execute("ALTER ROLE reader SET log_statement = 'all'")
    log = server.folder / "log"
    try:
        yield lambda: len(re.findall(rb"statement: |execute <unnamed>|duration: ", log.read_bytes()))
    finally:
        server.execute("ALTER ROLE reader RESET log_statement")


def test_the_server_hears_nothing_in_protected_windows_of_two_days(postgres: PostgresServer) -> None:
    """By an injected clock, in steps of ten minutes; the server's own log is the witness."""
    hospital = made(postgres)
    start = datetime(2026, 3, 16, 20, tzinfo=CHINA).astimezone(UTC)
    now = [start]
    inside = outside = 0
    with heard(postgres) as said, hospital.source(clock=lambda: now[0], protected=PROTECTED) as source:
        while now[0] < start + timedelta(days=2):
            before = said()
            until = open_until(PROTECTED, now[0].astimezone(CHINA))
            if until is None:
                read(source, hospital)
                assert said() > before
                outside += 1
            else:
                if inside % 5 == 0:
                    source.close()  # nor is a connection made
                for ask in (source.probe, partial(read, source, hospital), partial(keys, source, hospital)):
                    with pytest.raises(SourceResting, match=f"protected until {until:%H:%M}"):
                        ask()
                assert said() == before
                inside += 1
            now[0] += timedelta(minutes=10)
    assert (inside, outside) == (2 * (5 + 12), 2 * 144 - 34)


def test_no_connection_is_made_in_a_protected_window(hospital: Hospital) -> None:
    night = datetime(2026, 3, 17, 0, 10, tzinfo=CHINA)
    with Line(hospital.server.port) as line, hospital.source(line.port, lambda: night, protected=PROTECTED) as source:
        for ask in (source.probe, lambda: source.dialect, lambda: source.newest(hospital.queries.changed)):
            with pytest.raises(SourceResting):
                ask()
        assert line.accepted == 0


# -- back-off -----------------------------------------------------------------------------------------------------------


def test_we_back_off_while_a_source_is_slow_and_come_back_when_it_is_not(hospital: Hospital) -> None:
    """The line to it becomes slow: nothing tells us but our own statements' times."""
    with Line(hospital.server.port) as line, hospital.source(line.port, slow_down=3.0) as source:
        for _ in range(60):
            read(source, hospital)
            time.sleep(0.02)  # as a feed does, which has other things to do between two pages
        usual = max(one.seconds + one.scatter for one in source.guest.known().baselines.values())
        line.delay = max(0.1, usual * 5)
        waited, back_offs = source.usage.waited, source.usage.back_offs
        for _ in range(4 * JUDGED):
            read(source, hospital)
            if source.guest.share <= 0.25:
                break
        assert FLOOR <= source.guest.share <= 0.25
        assert source.usage.back_offs > back_offs
        read(source, hospital)
        assert source.usage.waited - waited > line.delay  # it left it alone for longer than it asked
        line.delay = 0.0
        end = time.monotonic() + 30
        while source.guest.share < 1.0 and time.monotonic() < end:
            read(source, hospital)
        assert source.guest.share == 1.0


# -- beside writers -----------------------------------------------------------------------------------------------------


def test_writers_never_wait_for_us_on_the_rows_that_we_have_just_read(hospital: Hospital) -> None:
    """Each write would fail loudly if it had to wait; ours is the oldest transaction, and has read every row."""
    with hospital.source() as source, source.session() as ask, hospital.writer() as writer:
        ask("SELECT id, n FROM visit", (), "parent")
        longest = 0.0
        for number in range(ROWS):
            began = time.monotonic()
            writer.execute(f"UPDATE visit SET n = n + 1 WHERE id = 'V{number:04d}'")
            longest = max(longest, time.monotonic() - began)
        writer.execute("DELETE FROM visit WHERE id = 'V0000'")
        writer.execute("INSERT INTO visit VALUES ('V0000', '2026-03-16 08:00:00', 0)")
        seen = ask("SELECT SUM(n) FROM visit", (), "parent").rows[0][0]
        assert int(seen) == sum(range(ROWS))  # and we still see the moment that we began with
    assert longest < 1.0


def test_nothing_of_ours_is_held_between_two_pages(hospital: Hospital) -> None:
    """What takes a lock on the whole table has to wait for a page at most, never for our rests."""
    with hospital.source(rows_per_second=1) as source, hospital.writer() as writer:
        assert read(source, hospital) == ROWS  # and now minutes of debt: the next page waits
        asking = threading.Thread(target=_quietly, args=(source, hospital))
        asking.start()
        time.sleep(0.2)
        writer.execute("ALTER TABLE visit ADD COLUMN more INTEGER")
        source.guest.pause(Pause())
        asking.join(5)
        assert not asking.is_alive()


def _quietly(source: Source, hospital: Hospital) -> None:
    with contextlib.suppress(SourceError):
        read(source, hospital)


def test_we_are_the_one_who_gives_up_when_the_hospital_locks_a_table(hospital: Hospital) -> None:
    """Twenty times of twenty: the lock's owner goes on, undisturbed."""
    lock = "LOCK TABLE visit IN ACCESS EXCLUSIVE MODE" if hospital.is_postgres else "LOCK TABLES visit WRITE"
    times = 20 if hospital.is_postgres else 4  # MariaDB counts in whole seconds
    wait = timedelta(milliseconds=100) if hospital.is_postgres else timedelta(seconds=1)
    with hospital.source(lock_timeout=wait) as source, hospital.writer() as writer:
        read(source, hospital)
        for number in range(times):
            if hospital.is_postgres:
                writer.execute("BEGIN")
            writer.execute(lock)
            began = time.monotonic()
            with pytest.raises(SourceError):
                read(source, hospital)
            assert time.monotonic() - began < wait.total_seconds() + 3
            writer.execute(f"UPDATE visit SET n = {number} WHERE id = 'V0001'")
            writer.execute("COMMIT" if hospital.is_postgres else "UNLOCK TABLES")
            assert read(source, hospital) == ROWS


def test_writers_of_many_rows_in_any_order_never_meet_us_in_a_deadlock(hospital: Hospital) -> None:
    """Eight writers that update the same rows in opposite orders deadlock among themselves at most; none of them names us."""
    ended, waits = threading.Event(), []

    def look() -> None:
        watch = hospital.server.connect(hospital.name)
        with contextlib.closing(watch), contextlib.closing(watch.cursor()) as cursor:
            while not ended.wait(0.02):
                cursor.execute(_WAITING_FOR_US[hospital.is_postgres])
                waits.append(cursor.fetchone()[0])

    def write(number: int) -> None:
        connection = hospital.server.connect(hospital.name)
        with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
            while not ended.is_set():
                order = range(ROWS) if number % 2 else range(ROWS - 1, -1, -1)
                for row in list(order)[::20]:
                    cursor.execute(
                        f"UPDATE visit SET n = n + 1, changed_at = CURRENT_TIMESTAMP WHERE id = 'V{row:04d}'"
                    )

    threads = [threading.Thread(target=look), *(threading.Thread(target=write, args=(n,)) for n in range(4))]
    with hospital.source() as source:
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + 3
            pages = 0
            while time.monotonic() < end:
                assert read(source, hospital) == ROWS
                for page in source.changed(hospital.queries, None, timedelta(0)):
                    pages += bool(page.keys)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
    assert pages
    assert waits
    assert sum(waits) == 0
    assert source.usage.failed == 0


_WAITING_FOR_US = {
    True: "SELECT count(*) FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) b JOIN pg_stat_activity a ON a.pid = b"
    " WHERE a.usename = 'reader'",
    False: "SELECT count(*) FROM information_schema.innodb_lock_waits w JOIN information_schema.innodb_trx b"
    " ON b.trx_id = w.blocking_trx_id JOIN information_schema.processlist p ON p.id = b.trx_mysql_thread_id"
    " WHERE p.user = 'reader'",
}


# -- what the server tells ----------------------------------------------------------------------------------------------


def test_what_the_server_itself_counted_is_told_where_it_can_be_read(mariadb: MariadbServer) -> None:
    hospital = made(mariadb)
    with hospital.source() as source:
        read(source, hospital)
        source.guest._probed_at = -1e9  # the next look is due
        read(source, hospital)
        source.guest._probed_at = -1e9
        read(source, hospital)
        told = source.usage.server
    assert told["Rows_sent"] >= 2 * ROWS
    assert told["Bytes_sent"] > 1000
    assert sum(source.usage.working.values()) == 2
