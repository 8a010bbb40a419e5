"""A source in a process of its own: the same answers, and what happens when that process hangs, dies or is ended."""

import inspect
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors import RemoteSource, Source, SourceOptions, open_source
from connectors.engines.dialect import Dialect
from connectors.fetched import Sealed
from connectors.guest import Pause
from connectors.refusals import StatementTooSlow
from connectors.remote import COMPOSED, OURS, QUESTIONS, ExtractorDied, ExtractorFailed, SourceInterrupted
from connectors.source import Asking
from frontend_agent.errors import ConfigurationError, FrontendAgentError, SourceResting, SourceUnreachable
from frontend_agent.mapping_file import Detail, Partner, Queries
from frontend_agent.model import NotFetched, RowSet, SourceRows

OPTIONS = SourceOptions(
    url="sqlite:///none", statement_timeout=timedelta(seconds=1), connect_timeout=timedelta(seconds=1)
)
KEYS = ("1", "2", "3")


class Told(Source):
    """Does what the text of a question says."""

    @property
    def dialect(self) -> Dialect:
        return Dialect()

    def close(self) -> None:
        pass

    @property
    def family(self) -> str:
        return "told"

    @contextmanager
    def _open_session(self) -> Iterator[Asking]:
        yield self._ask

    def _open_writing(self) -> AbstractContextManager[Asking]:
        raise AssertionError("writes nothing")

    def _ask(self, sql: str, parameters: Any, query: str) -> RowSet:
        raise AssertionError("not asked")

    def probe_query(self, sql: str, columns: Any, query: str) -> None:
        match sql:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "surprise":
                raise KeyError("a patient's name")
            case "hang":
                self.pulse.asks(query, 0.2)
                time.sleep(60)
            case "five of half a second":
                for _ in range(5):
                    self.pulse.asks(query, 0.1)
                    time.sleep(0.5)
            case "a third of a second":
                self.guest.account(query, sql, 1, 1, 0.3)
            case "login hangs":
                self.pulse.logs_in(0.2)
                time.sleep(60)

    def by_values(self, sql: str, alias: str, values: Any, query: str) -> RowSet:
        return RowSet(("pid",), [(os.getpid(),)])


def told() -> Source:
    return Told("his", OPTIONS)


@contextmanager
def opened(make: Any = told, share: float = 0.0, **more: Any) -> Iterator[RemoteSource]:
    source = RemoteSource("his", msgspec.structs.replace(OPTIONS, share=share), make, **more)
    try:
        yield source
    finally:
        source.close()


@pytest.fixture
def his() -> Iterator[RemoteSource]:
    with opened() as source:
        yield source


def do(source: Source, what: str) -> None:
    source.probe_query(what, (), "parent")


def problem_of(source: Source, what: str) -> type[BaseException]:
    with pytest.raises(FrontendAgentError) as problem:
        do(source, what)
    return problem.type


def pid(source: Source) -> int:
    rows = source.by_values("", "", (), "")
    assert isinstance(rows, Sealed)
    return int(rows.opened().rows[0][0])


# -- the same answers --


@pytest.fixture
def files(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "his.db")
    connection.executescript(
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, at TEXT, name TEXT, patient TEXT);"
        "CREATE TABLE line (visit INTEGER, code TEXT);"
        "CREATE TABLE patient (patient TEXT, born TEXT);"
    )
    connection.executemany(
        "INSERT INTO visit VALUES (?, ?, ?, ?)",
        [(n, f"2026-03-16 08:00:{n:02d}", f"名{n}", f"P{n % 2}") for n in range(1, 31)],
    )
    connection.executemany("INSERT INTO line VALUES (?, ?)", [(n // 2 + 1, f"C{n}") for n in range(60)])
    connection.executemany("INSERT INTO patient VALUES (?, ?)", [("P0", "1970"), ("P1", "1980")])
    connection.commit()
    connection.close()
    return tmp_path / "his.db"


QUERIES = Queries(
    key="id",
    changed='SELECT at AS "cursor", id AS "key" FROM visit',
    parent="SELECT * FROM visit",
    details={"lines": Detail("SELECT visit AS id, code FROM line"), "far": Detail("SELECT visit AS id, code FROM line", "lis")},
    partners={"patient": Partner("SELECT * FROM patient", "patient", "lis"), "own": Partner("SELECT * FROM patient", "patient")},
)  # fmt: skip

QUERIES_HERE = Queries(QUERIES.key, QUERIES.changed, QUERIES.parent)


def both(files: Path, remote: bool) -> dict[str, Source]:
    options = SourceOptions(url=f"sqlite:///{files}", slow_down=3.0)
    if remote:
        return {name: RemoteSource(name, options, partial(open_source, name, options)) for name in ("his", "lis")}
    return {name: open_source(name, options) for name in ("his", "lis")}


def answers(sources: dict[str, Source]) -> list[Any]:
    his = sources["his"]
    low, high = datetime(2026, 3, 16, 8, 0, 5), datetime(2026, 3, 16, 8, 0, 9)
    try:
        his.probe(QUERIES, sources)
        return [
            list(his.changed(QUERIES, None, timedelta(minutes=1), 7)),
            list(his.range(QUERIES, low, high, 3)),
            list(his.since(QUERIES, low, 10)),
            his.rows(QUERIES, KEYS, sources),
            his.keys_by(QUERIES, "patient", ["P1"]),
            his.newest(QUERIES.changed),
        ]
    finally:
        for source in sources.values():
            source.close()


def test_every_question_is_answered_as_in_this_process(files: Path) -> None:
    here, remote = answers(both(files, False)), answers(both(files, True))
    assert remote == here
    assert len(here[0]) > 1
    assert set(remote[3].partners) == {"patient", "own"}
    assert set(remote[3].details) == {"lines", "far"}


def test_rows_go_over_sealed_and_keep_their_types() -> None:
    from connectors.fetched import sealed

    row = (1, 1.5, None, "名", Decimal("1.10"), b"\x00", datetime(2026, 3, 16), NotFetched("too large"))
    rows = SourceRows(RowSet(tuple("abcdefgh"), [row]), {})
    opened = sealed(rows).opened()
    assert opened == rows
    assert [type(value) for value in opened.parent.rows[0]] == [type(value) for value in row]


def test_a_part_is_handed_on_unopened(files: Path) -> None:
    sources = both(files, True)
    try:
        fetched = sources["his"].fetch(QUERIES, KEYS, sources)
        assert isinstance(fetched.own, Sealed)
        assert isinstance(fetched.partners["patient"], Sealed)
        assert sources["his"].usage.statements > 0
        assert sources["his"].usage.rows >= 3
    finally:
        for source in sources.values():
            source.close()


def test_an_expected_error_comes_back_as_itself(files: Path) -> None:
    sources = both(files, True)
    with pytest.raises(ConfigurationError, match="source 'lis', which is not configured"):
        sources["his"].rows(QUERIES, KEYS, {"his": sources["his"]})
    for source in sources.values():
        source.close()


def test_an_unexpected_error_comes_back_without_its_text(his: RemoteSource) -> None:
    with pytest.raises(ExtractorFailed) as problem:
        do(his, "surprise")
    assert "KeyError at test_remote.py" in str(problem.value)
    assert "patient" not in str(problem.value)


def test_every_public_method_of_a_source_can_be_asked_remotely() -> None:
    assert {"part", "changed", "range", "since", "by_values", "keys_by", "newest", "probe_own", "end_session"} <= set(
        QUESTIONS
    )
    for name in QUESTIONS:
        taken = inspect.signature(getattr(Source, name)).parameters
        assert "others" not in taken, f"{name} asks other sources: it is composed, name it in remote.COMPOSED"
    assert set(OURS).isdisjoint(QUESTIONS)
    assert all("others" in inspect.signature(getattr(Source, name)).parameters for name in COMPOSED)
    assert all(not inspect.isgeneratorfunction(getattr(Source, name)) or pages for name, pages in QUESTIONS.items())


def test_a_statement_cannot_be_asked_past_the_extractor(his: RemoteSource) -> None:
    with pytest.raises(AssertionError), his.session():
        pass


# -- deadlines --


def test_an_extractor_that_hangs_is_ended_in_time_and_blamed_on_the_source(his: RemoteSource, monkeypatch: Any) -> None:
    monkeypatch.setattr("connectors.remote.GRACE", 0.3)
    before, began = pid(his), time.monotonic()
    with pytest.raises(StatementTooSlow, match="source his: query 'parent': no answer within"):
        do(his, "hang")
    assert time.monotonic() - began < 5
    assert not Path(f"/proc/{before}").exists()
    assert pid(his) != before


def test_each_statement_of_a_page_has_a_deadline_of_its_own(his: RemoteSource, monkeypatch: Any) -> None:
    monkeypatch.setattr("connectors.remote.GRACE", 1.0)
    do(his, "five of half a second")


def test_a_login_that_hangs_is_ended_too(his: RemoteSource, monkeypatch: Any) -> None:
    monkeypatch.setattr("connectors.remote.GRACE", 0.3)
    with pytest.raises(SourceUnreachable, match="no connection within"):
        do(his, "login hangs")
    told = his.reached()
    assert told.since is not None
    assert told.next_try is not None
    with pytest.raises(SourceUnreachable, match=r"unreachable since .*, next try"):
        do(his, "nothing")
    his.try_now()
    do(his, "nothing")
    assert his.reached().since is None


# -- dying and ending --


def test_after_an_extractor_died_a_fresh_one_answers(his: RemoteSource) -> None:
    before = pid(his)
    with pytest.raises(ExtractorDied):
        do(his, "die")
    assert pid(his) != before


def test_one_that_died_at_rest_is_replaced_unnoticed(his: RemoteSource) -> None:
    before = pid(his)
    os.kill(before, signal.SIGKILL)
    time.sleep(0.1)
    assert pid(his) != before


def test_a_pause_ends_what_is_under_way_within_five_seconds(his: RemoteSource) -> None:
    before = pid(his)
    problems: list[type[BaseException]] = []
    asking = threading.Thread(target=lambda: problems.append(problem_of(his, "hang")))
    asking.start()
    time.sleep(0.1)
    began = time.monotonic()
    his.pause(Pause(reason="backup"))
    asking.join(5)
    assert time.monotonic() - began < 2
    assert problems == [SourceResting]  # no fault
    assert not Path(f"/proc/{before}").exists()
    with pytest.raises(SourceResting, match="paused"):
        do(his, "nothing")
    assert his.extractors() == []  # nothing was started for it
    his.resume()
    do(his, "nothing")


def test_what_the_guest_learned_outlives_an_extractor(files: Path) -> None:
    source = both(files, True)["his"]
    for _ in range(9):
        source.rows(QUERIES_HERE, KEYS)
    learned = source.guest.known().baselines
    statements = source.usage.statements
    assert learned
    source.interrupt()
    time.sleep(0.1)
    source.rows(QUERIES_HERE, KEYS)
    assert source.guest.known().baselines.keys() >= learned.keys()
    assert source.usage.statements > statements
    source.close()


def test_it_can_be_interrupted_within_five_seconds(his: RemoteSource) -> None:
    pid(his)
    problems: list[type[BaseException]] = []
    asking = threading.Thread(target=lambda: problems.append(problem_of(his, "hang")))
    asking.start()
    time.sleep(0.1)
    began = time.monotonic()
    his.interrupt("paused")
    asking.join(5)
    assert time.monotonic() - began < 2
    assert problems == [SourceInterrupted]
    assert pid(his)


def test_closing_does_not_wait_for_one_that_hangs() -> None:
    with opened() as his:
        pid(his)
        problems: list[type[BaseException]] = []
        asking = threading.Thread(target=lambda: problems.append(problem_of(his, "hang")))
        asking.start()
        time.sleep(0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    asking.join(5)
    assert problems == [SourceInterrupted]


def test_pages_of_an_extractor_that_was_replaced_end_with_an_error(files: Path) -> None:
    source = both(files, True)["his"]
    assert isinstance(source, RemoteSource)
    pages = source.changed(QUERIES, None, timedelta(0), 7)
    next(pages)
    source.interrupt()
    time.sleep(0.1)
    assert source.newest(QUERIES.changed) is not None  # a fresh one is at work
    with pytest.raises(ExtractorDied):
        next(pages)
    source.close()


def test_pages_that_nobody_reads_to_the_end_are_forgotten(files: Path) -> None:
    source = both(files, True)["his"]
    for _ in range(3):
        pages = source.changed(QUERIES, None, timedelta(0), 7)
        next(pages)
        pages.close()  # type: ignore[attr-defined]
    assert source.newest(QUERIES.changed) is not None
    source.close()


def test_work_behind_has_a_process_of_its_own_where_two_connections_are_allowed() -> None:
    with opened(connections=2) as source:
        assert pid(source.behind()) != pid(source)
        assert source.behind().name == "his"
        assert len(source.extractors()) == 2
    with opened() as source:
        assert pid(source.behind()) == pid(source)
        assert source.extractors() == source.behind().extractors()  # type: ignore[attr-defined]


def test_an_extractor_does_not_outlive_a_parent_that_is_killed_even_while_it_hangs(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, threading, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_remote\n"
        "if __name__ == '__main__':\n"
        "    his = test_remote.RemoteSource('his', test_remote.OPTIONS, test_remote.told)\n"
        "    print(test_remote.pid(his), flush=True)\n"
        "    threading.Thread(target=test_remote.do, args=(his, 'hang')).start()\n"
        "    time.sleep(0.5)\n"
        "    print('hangs', flush=True)\n"
        "    time.sleep(60)\n",
        encoding="utf-8",
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    extractor = int(parent.stdout.readline())
    parent.stdout.readline()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{extractor}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{extractor}").exists()


def broken() -> Source:
    raise ConfigurationError("sources.his: psycopg is not installed")


def test_an_extractor_that_cannot_begin_says_why() -> None:
    with opened(broken) as his:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="not installed"):
                do(his, "nothing")  # at once again: whoever said no may still be on his way out


def test_while_work_that_can_wait_rests_a_feed_asks_at_once_over_the_same_connection() -> None:
    with opened(share=0.1) as source:
        pid(source)  # it has started
        behind = source.behind()
        began = time.monotonic()
        do(behind, "a third of a second")
        waiting = threading.Thread(target=do, args=(behind, "a third of a second"))
        waiting.start()  # for 2.7 seconds
        slowest = 0.0
        for _ in range(20):
            asked = time.monotonic()
            do(source, "a third of a second")  # what a feed spends there is not for others to rest for
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.05)
        assert waiting.is_alive()
        assert slowest < 1.0  # on a machine that others use
        waiting.join()
        assert 2.6 < time.monotonic() - began < 6.0


def test_rests_end_when_the_source_is_paused() -> None:
    with opened(share=0.1) as source:
        behind = source.behind()
        for _ in range(20):
            source.guest.spent_behind(10.0)
        said: list[type[BaseException]] = []
        waiting = threading.Thread(target=lambda: said.append(problem_of(behind, "nothing")))
        waiting.start()
        source.pause(Pause())
        waiting.join(3.0)
        assert said == [SourceResting]
