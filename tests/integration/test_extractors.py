"""An extractor at real servers: how many sessions we have there, and what becomes of them when something hangs or dies.

PostgreSQL and MariaDB, natively and through their ODBC drivers. Time-outs are short here; the deadlines are those of threats Q3:
a job ends within its time-out and five seconds, a session at the server is gone within thirty.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from connectors import RemoteSource, Source, SourceOptions, open_source
from connectors.guest import Pause
from connectors.refusals import StatementTooSlow
from frontend_agent.errors import SourceError, SourceResting, SourceUnreachable
from frontend_agent.mapping_file import Queries
from tests.lines import Line
from tests.servers import READER_PASSWORD, MariadbServer, PostgresServer

TIMEOUT = 2.0  # of a statement, as the server is told
ENDS = TIMEOUT + 5  # seconds within which a job that hangs must have ended
GONE = 30.0  # seconds within which its session must be
NAP = {  # a function of the hospital's own that takes its time
    "postgres": "CREATE FUNCTION nap(float) RETURNS text LANGUAGE sql AS 'SELECT pg_sleep($1)::text'",
    "mariadb": "CREATE FUNCTION nap(seconds DOUBLE) RETURNS INTEGER RETURN SLEEP(seconds)",
}
WAYS = [
    "postgres",
    *(pytest.param(way, marks=pytest.mark.slow) for way in ("postgres-odbc", "mariadb", "mariadb-odbc")),
]
_databases = count()


@dataclass
class Site:
    """A database that we read through a line, and what its administrator sees of us."""

    server: Any
    engine: str
    odbc: bool
    line: Line
    database: str
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def options(self, seconds: float = TIMEOUT) -> SourceOptions:
        how = self.server.odbc if self.odbc else self.server.url
        text = how(self.database, user="reader").replace(str(self.server.port), str(self.line.port))
        timeouts = {"statement_timeout": timedelta(seconds=seconds), "connect_timeout": timedelta(seconds=3)}
        return SourceOptions(**{"odbc" if self.odbc else "url": text}, **timeouts, allow_functions=("nap",))

    @contextmanager
    def source(self, connections: int = 1, seconds: float = TIMEOUT) -> Iterator[RemoteSource]:
        options = self.options(seconds)
        make = partial(open_source, "his", options, READER_PASSWORD)
        found = RemoteSource(
            "his", options, make, connections, tell=lambda event, **more: self.told.append((event, more))
        )
        try:
            yield found
        finally:
            found.close()

    def sessions(self) -> list[int]:
        """Our sessions at the server, by its numbers."""
        if self.engine == "postgres":
            ours = f"SELECT pid FROM pg_stat_activity WHERE usename = 'reader' AND datname = '{self.database}'"
            with self.server.connect() as connection:
                return [row[0] for row in connection.execute(ours).fetchall()]
        ours = f"SELECT id FROM information_schema.processlist WHERE user = 'reader' AND db = '{self.database}'"
        with contextlib.closing(self.server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(ours)
            return [row[0] for row in cursor.fetchall()]

    def until(self, true: Callable[[list[int]], bool], seconds: float = GONE) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if true(self.sessions()):
                return True
            time.sleep(0.1)
        return False

    def queries(self, seconds: float = 0) -> Queries:
        """A feed of one row whose parent query takes so long."""
        quote = '"' if self.engine == "postgres" else "`"
        slow = f", nap({seconds}) AS slept" if seconds else ""
        cursor = f"SELECT changed_at AS {quote}cursor{quote}, id AS {quote}key{quote} FROM visit"
        return Queries("id", cursor, f"SELECT id, changed_at{slow} FROM visit")


@pytest.fixture(autouse=True)
def close_logins(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the test of storms waits as long between two logins as a hospital's database is left alone."""
    if "every_five_seconds" not in request.node.name:
        monkeypatch.setattr("connectors.reach.SPACING", 0.5)


@pytest.fixture(params=WAYS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    engine, _, odbc = request.param.partition("-")
    if odbc:
        pyodbc = pytest.importorskip("pyodbc")
        driver = {"postgres": "PostgreSQL Unicode", "mariadb": "MariaDB Unicode"}[engine]
        if driver not in pyodbc.drivers():
            pytest.skip(f"no ODBC driver {driver}")
    server: PostgresServer | MariadbServer = request.getfixturevalue(engine)
    database = f"extractor_{os.getpid()}_{next(_databases)}"
    server.create(database)
    statements = [
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, changed_at TIMESTAMP)",
        "INSERT INTO visit VALUES (1, '2026-03-16 08:00:00')",
    ]
    reader = "reader" if engine == "postgres" else "reader@'127.0.0.1'"
    grants = [f"GRANT SELECT ON visit TO {reader}", f"GRANT EXECUTE ON FUNCTION nap TO {reader}"]
    server.execute(*statements, NAP[engine], *grants, database=database)
    with Line(server.port) as line:
        yield Site(server, engine, bool(odbc), line, database)


@contextmanager
def counted(site: Site) -> Iterator[list[int]]:
    """How many sessions we have, looked at all the time."""
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            seen.append(len(site.sessions()))
            ended.wait(0.02)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


def rows(source: Source, queries: Queries) -> int:
    return len(source.rows(queries, ["1"]).parent.rows)


def failing(source: Source, queries: Queries) -> tuple[SourceError, float]:
    began = time.monotonic()
    with pytest.raises(SourceError) as problem:
        rows(source, queries)
    return problem.value, time.monotonic() - began


# -- a budget of connections --


def test_one_source_has_one_session(site: Site) -> None:
    with site.source() as source, counted(site) as seen:
        threads = [threading.Thread(target=lambda: [rows(source, site.queries()) for _ in range(10)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rows(source.behind(), site.queries()) == 1
        time.sleep(0.2)
    assert max(seen) == 1
    assert site.until(lambda sessions: not sessions, 5)


def test_work_behind_has_the_second_of_two_sessions_and_no_third(site: Site) -> None:
    with site.source(connections=2) as source, counted(site) as seen:
        for each in (source, source.behind()):  # their logins are spaced
            rows(each, site.queries())
        slow = threading.Thread(target=rows, args=(source.behind(), site.queries(1)))
        slow.start()
        began = time.monotonic()
        assert rows(source, site.queries()) == 1
        assert time.monotonic() - began < 0.9  # the real-time feed does not wait for the other
        slow.join()
        time.sleep(0.1)
    assert max(seen) == 2


def _is_dead(pid: int) -> bool:
    """The process with all its threads: while one is dying yet, its parent cannot know."""
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "Z" and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1


def test_killing_and_starting_again_needs_no_more_than_two(site: Site) -> None:
    with site.source() as source, counted(site) as seen:
        for _ in range(2):
            rows(source, site.queries())
            (pid,) = source.extractors()
            os.kill(pid, signal.SIGKILL)
            while not _is_dead(pid):
                time.sleep(0.01)  # on a busy machine it takes a while to die
        with contextlib.suppress(SourceUnreachable):
            rows(source, site.queries())
        time.sleep(0.1)
    assert max(seen) <= 2


# -- hanging --


def test_a_statement_that_is_too_slow_is_ended_by_the_engine_and_the_extractor_goes_on(site: Site) -> None:
    with site.source() as source:
        rows(source, site.queries())
        extractor = source.extractors()
        problem, seconds = failing(source, site.queries(20))
        assert isinstance(problem, StatementTooSlow)
        assert seconds < ENDS
        assert source.extractors() == extractor
        assert rows(source, site.queries()) == 1


def test_a_black_hole_ends_the_extractor_in_time_and_its_session_within_thirty_seconds(site: Site) -> None:
    with site.source() as source, counted(site) as seen:
        rows(source, site.queries())
        (before,) = site.sessions()
        threading.Timer(0.3, site.line.swallow).start()
        problem, seconds = failing(source, site.queries(1))
        assert isinstance(problem, StatementTooSlow)
        assert "source his: query 'parent'" in str(problem)
        assert seconds < ENDS
        assert site.until(lambda sessions: before not in sessions)
        assert rows(source, site.queries()) == 1
        assert len(site.sessions()) == 1
    assert max(seen) <= 2
    assert ("source.session_ended", {"source": "his", "session": str(before)}) in site.told


def test_a_frozen_server_ends_the_extractor_in_time_and_its_session_once_it_thaws(site: Site) -> None:
    """The engine's own time-out does not come: what an engine that has none, or a driver that hangs, is like."""
    with site.source() as source:
        rows(source, site.queries())
        (before,) = site.sessions()
        frozen = before if site.engine == "postgres" else site.server.process.pid
        os.kill(frozen, signal.SIGSTOP)
        try:
            problem, seconds = failing(source, site.queries())
        finally:
            os.kill(frozen, signal.SIGCONT)
        assert isinstance(problem, StatementTooSlow)
        assert seconds < ENDS
        assert site.until(lambda sessions: before not in sessions)


def test_a_backend_killed_in_the_middle_is_told_and_the_next_run_goes_on(site: Site) -> None:
    with site.source(seconds=20) as source:
        rows(source, site.queries())
        (before,) = site.sessions()
        kill = {"postgres": f"SELECT pg_terminate_backend({before})", "mariadb": f"KILL {before}"}[site.engine]
        threading.Timer(0.5, site.server.execute, (kill,)).start()
        problem, seconds = failing(source, site.queries(15))
        assert isinstance(problem, SourceUnreachable)
        assert seconds < 5
        with pytest.raises(SourceUnreachable, match="unreachable since"):  # at once: nobody storms it
            rows(source, site.queries())
        source.try_now()
        assert rows(source, site.queries()) == 1


def test_a_line_that_is_reset_in_the_middle_is_told_at_once_and_leaves_no_session(site: Site) -> None:
    """What a server that is killed, or a firewall that forgets, looks like from here."""
    with site.source(seconds=10) as source:
        rows(source, site.queries())
        (before,) = site.sessions()
        threading.Timer(0.5, site.line.refuse).start()
        problem, seconds = failing(source, site.queries(8))
        assert isinstance(problem, SourceUnreachable)
        assert seconds < 5
        assert site.until(lambda sessions: before not in sessions)
        site.line.refuse(False)
        source.try_now()
        assert rows(source, site.queries()) == 1


def test_a_pause_ends_the_statement_at_the_server_within_five_seconds(site: Site) -> None:
    with site.source(seconds=20) as source:
        rows(source, site.queries())
        (before,) = site.sessions()
        began = time.monotonic()
        threading.Timer(0.5, source.pause, (Pause(reason="backup"),)).start()
        problem, seconds = failing(source, site.queries(15))
        assert isinstance(problem, SourceResting)
        assert seconds < 5
        assert source.extractors() == [] or site.until(lambda _: not source.extractors(), 5)
        assert site.until(lambda sessions: before not in sessions, 5.5 - (time.monotonic() - began))


# -- storms --


def test_a_source_that_refuses_lets_us_in_no_more_often_than_every_five_seconds(site: Site) -> None:
    with site.source(connections=2) as source:
        rows(source, site.queries())
        site.line.refuse()
        came, began = site.line.accepted, time.monotonic()
        asked = 0
        while time.monotonic() - began < 9:
            for lane in (source, source.behind()):
                with pytest.raises(SourceError):
                    rows(lane, site.queries())
                asked += 1
            time.sleep(0.05)
        tried = site.line.accepted - came
        assert asked > 50
        assert 1 <= tried <= 2
        told = source.reached()
        assert told.since is not None
        assert told.next_try is not None
        site.line.refuse(False)
        source.try_now()
        assert rows(source, site.queries()) == 1
        assert source.reached().since is None
