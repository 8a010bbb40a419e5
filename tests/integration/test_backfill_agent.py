"""Backfills on real databases, with a real platform and real processes: killed, beside real-time work, over closed months."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from connectors.guest import Pause
from frontend_agent import control
from frontend_agent.backfill import BadBound
from frontend_agent.backfill_operations import NoBackfill
from frontend_agent.daemon import Daemon
from frontend_agent.errors import FrontendAgentError
from frontend_agent.identity import document_id, set_id
from frontend_agent.operations import operations
from tests.reconciling_kit import QUERIES, Engine, Site, platform_process, sqlite_engine
from tests.servers import READER_PASSWORD, PostgresServer

PROGRAM = [sys.executable, "-m", "frontend_agent.cli.main"]
BEGIN = datetime(2025, 1, 1)
STRETCH = {"low": "2025-01-01", "high": "2025-06-30"}


def on_postgres(tmp_path: Path, server: PostgresServer, url: str, settings: str = "") -> Site:
    server.create("his")
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "his").write_text(READER_PASSWORD, encoding="utf-8")
    (tmp_path / "secrets" / "his").chmod(0o600)
    engine = Engine(
        "postgres",
        lambda *statements: server.execute(*statements, database="his"),
        f'url = "{server.url("his", "reader")}"\nsecret = "his"',
    )
    site = Site(
        tmp_path,
        engine,
        url,
        tmp_path / "platform",
        settings=f'[secrets]\nfolder = "{tmp_path / "secrets"}"\n{settings}',
    )
    site.make()
    server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database="his")
    return site


@pytest.fixture(params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with platform_process(tmp_path / "platform") as url:
        if request.param == "sqlite":
            yield Site(tmp_path, sqlite_engine(tmp_path), url, tmp_path / "platform").make()
        else:
            yield on_postgres(tmp_path, request.getfixturevalue("postgres"), url)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    with platform_process(tmp_path / "platform") as url:
        yield Site(tmp_path, sqlite_engine(tmp_path), url, tmp_path / "platform").make()


def visits(site: Site, count: int, first: int = 0, begin: datetime = BEGIN, days: int = 181) -> None:
    """So many visits, evenly over so many days."""
    step = timedelta(days=days) / count
    rows, diagnoses = [], []
    for number in range(first, first + count):
        at = f"{begin + (number - first) * step:%Y-%m-%d %H:%M:%S}"
        rows.append(f"('V{number:06}', '内科', '张三', '发热', '{at}', '{at}', 1, 0, 0)")
        diagnoses.append(f"('V{number:06}', 'J18.900', '诊断')")
    for start in range(0, count, 500):
        site.engine.execute(
            "INSERT INTO visit VALUES " + ", ".join(rows[start : start + 500]),
            "INSERT INTO diagnosis VALUES " + ", ".join(diagnoses[start : start + 500]),
        )


def at_platform(site: Site) -> dict[str, int]:
    """document id -> version, of what the platform has stored."""
    with closing(apsw.Connection(str(site.platform / "index.sqlite"))) as database:
        database.set_busy_timeout(10_000)
        return dict(database.execute("SELECT document_id, version FROM document").fetchall())


@contextmanager
def agent(site: Site) -> Iterator[tuple[Daemon, dict[str, Any]]]:
    with site.app(alone=False) as app:
        daemon = Daemon(app)
        yield daemon, operations(app, daemon)


def backfilled(site: Site, **more: Any) -> dict[str, Any]:
    """One backfill from its beginning to its end, by an agent that does nothing else."""
    with agent(site) as (daemon, asked):
        number = asked["backfill_start"]("visit", **(STRETCH | {"who": "li"} | more))["id"]
        daemon.backfill(number)
        told: dict[str, Any] = asked["backfill_show"](number)
        return told


# --- the whole stretch, once ------------------------------------------------------------------------------------------


def test_a_stretch_is_read_whole_and_sent_once(site: Site) -> None:
    visits(site, 700)
    visits(site, 20, first=9000, begin=datetime(2024, 12, 1), days=31)  # before it
    visits(site, 20, first=9500, begin=datetime(2025, 7, 1), days=30)  # behind it
    told = backfilled(site, expected=700)
    assert (told["state"], told["keys"], told["documents"], told["fraction"]) == ("done", 700, 700, 1.0)
    assert set(at_platform(site).values()) == {1}
    assert len(at_platform(site)) == 700
    again = backfilled(site)
    assert (again["keys"], again["documents"], again["unchanged"]) == (700, 0, 700)
    assert len(at_platform(site)) == 700


def test_what_shares_its_time_is_read_page_by_page(small: Site) -> None:
    """A night's import: everything at one moment. No slice is narrow enough for it."""
    site = small
    for start in range(0, 600, 100):
        visits(site, 100, first=start, begin=datetime(2025, 3, 1, 2), days=0)
    told = backfilled(site)
    assert (told["keys"], told["documents"]) == (600, 600)


def test_a_key_axis_is_told_and_read(small: Site) -> None:
    site = small
    visits(site, 300)
    (site.folder / "changed.sql").write_text('SELECT rowid AS "cursor", no AS "key" FROM visit', encoding="utf-8")
    config = site.config

    def by_key() -> str:
        return config().replace('overlap = "10m"', 'find = "key"')

    site.config = by_key  # type: ignore[method-assign]
    told = backfilled(site, low="11", high="210")
    assert (told["axis"], told["low"], told["high"], told["documents"]) == ("number", "11", "211", 200)
    with agent(site) as (_, asked), pytest.raises(Exception, match="no number"):
        asked["backfill_start"]("visit", **STRETCH, who="li")


def test_a_feed_that_starts_now_leaves_what_is_older_to_a_backfill(small: Site) -> None:
    site = small
    config = site.config
    site.config = lambda: config().replace("batch = 40", 'batch = 40\nstart = "now"')  # type: ignore[method-assign]
    visits(site, 60)
    with site.app() as app:
        assert site.run(app).get("documents", 0) == 1  # where the source stands, the newest row is read
        site.visit("N1")
        assert site.run(app)["documents"] == 1
    assert len(at_platform(site)) == 2
    told = backfilled(site)
    assert (told["keys"], told["documents"], told["unchanged"]) == (60, 59, 1)
    site.config = lambda: config().replace("batch = 40", 'batch = 40\nfind = "compare"')  # type: ignore[method-assign]
    with agent(site) as (_, asked), pytest.raises(BadBound, match="nothing to backfill"):
        asked["backfill_start"]("visit", **STRETCH, who="li")


# --- killed at any moment -----------------------------------------------------------------------------------------------


def command(site: Site, *arguments: str) -> list[str]:
    (site.folder / "agent.toml").write_text(site.config(), encoding="utf-8")
    return [*PROGRAM, *arguments]


def answered(site: Site, *arguments: str) -> Any:
    done = subprocess.run(
        command(site, *arguments), cwd=site.folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_so_far(site: Site) -> int:
    """Asked of whoever works on it, as long as somebody does."""
    try:
        return int(control.ask(site.folder / "state", "backfill_show", number=1)["keys"])
    except FrontendAgentError:
        return -1


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_and_nothing_comes_twice(site: Site) -> None:
    visits(site, 900)
    begin = ["backfill", "visit", "--from", "2025-01-01", "--to", "2025-06-30", "--rate", "150", "--yes", "--json"]
    progress = [0]
    for turn, pause in enumerate((0.0, 0.05, 0.11, 0.17, 0.23)):
        arguments = begin if turn == 0 else ["backfill", "resume", "1", "--json"]
        victim = subprocess.Popen(
            command(site, *arguments), cwd=site.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(lambda: read_so_far(site) > progress[-1])
        time.sleep(pause)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        (told,) = answered(site, "backfill", "list", "--json")
        assert told["keys"] == told["documents"] > progress[-1]
        progress.append(told["keys"])
    assert progress[-1] < 900
    told = answered(site, "backfill", "resume", "1", "--json")
    assert (told["state"], told["keys"], told["documents"], told["unchanged"]) == ("done", 900, 900, 0)
    stored = at_platform(site)
    assert len(stored) == 900
    assert set(stored.values()) == {1}


def test_a_daemon_goes_on_with_what_was_not_done(small: Site) -> None:
    site = small
    visits(site, 500)
    with agent(site) as (_, asked):
        number = asked["backfill_start"]("visit", **STRETCH, who="li", rate=0.0)["id"]
    with running(site):
        eventually(lambda: answered(site, "backfill", "show", str(number), "--json")["state"] == "done")
    assert len(at_platform(site)) == 500


# --- beside real-time work ------------------------------------------------------------------------------------------------


@contextmanager
def running(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command(site, "run"), cwd=site.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: (site.folder / "state" / "control.sock").exists())
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def eventually(is_so: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


@pytest.mark.slow
def test_what_is_new_arrives_in_time_beside_a_backfill(tmp_path: Path, postgres: PostgresServer) -> None:
    """A feed that is read every second has its rows delivered within seconds, while thousands of old ones are read."""
    interval, most = 1.0, 4.0
    with platform_process(tmp_path / "platform") as url:
        site = on_postgres(tmp_path, postgres, url)
        config = site.config
        site.config = lambda: config().replace("batch = 40", 'batch = 100\nevery = "1s"')  # type: ignore[method-assign]
        visits(site, 1, first=900_000, begin=datetime(2026, 9, 29))
        with running(site):
            eventually(lambda: len(at_platform(site)) == 1)
            visits(site, 12_000)
            begun = answered(
                site, "backfill", "visit", "--from", "2025-01-01", "--to", "2025-06-30", "--yes", "--no-wait", "--json"
            )
            delays, number = [], begun["id"]
            while answered(site, "backfill", "show", str(number), "--json")["state"] == "running":
                key, minute = f"N{len(delays):05}", timedelta(minutes=len(delays))
                written = time.monotonic()
                site.visit(key, updated=f"{datetime(2026, 9, 29, 10) + minute:%F %T}")
                eventually(lambda: is_at_platform(site, key))  # noqa: B023
                delays.append(time.monotonic() - written)
            told = answered(site, "backfill", "show", str(number), "--json")
    assert told["documents"] == 12_000
    assert len(delays) >= 3, "the backfill was done before anything new came"
    print(f"\n{len(delays)} new rows beside {told['rows_per_second']:.0f} rows/s: slowest {max(delays):.2f} s")
    assert max(delays) <= interval + most


def is_at_platform(site: Site, key: str) -> bool:
    """Whether the first version of that visit is there."""
    named = document_id(set_id("999000013", "1", "C0002", key), 1)
    with closing(apsw.Connection(str(site.platform / "index.sqlite"))) as database:
        database.set_busy_timeout(10_000)
        return database.execute("SELECT 1 FROM document WHERE document_id = ?", (named,)).fetchone() is not None


# --- its hours, its room, closed months -----------------------------------------------------------------------------------


def stints(site: Site, daemon: Daemon, number: int, seconds: float = 1.5) -> str:
    """Let it work for a moment; what it waits for then."""
    daemon.backfilling.start()
    time.sleep(seconds)
    waiting = daemon.backfilling.standing(number).waiting
    daemon.stopping.set()
    daemon.backfilling.join(5)
    return waiting


@pytest.mark.parametrize(
    ("settings", "windows", "waits"),
    [
        ("", ["11:00-12:00"], "its hours: 2026-09-30 11:00"),  # it is ten o'clock
        ("[backfill]\nbacklog = 100\n", [], "destination platform: 1"),
        ('[spool]\nquota = "1 MiB"\n', [], "room: the spool holds 50 %"),
    ],
)
def test_it_waits_for_its_hours_for_room_and_for_the_destination(
    small: Site, settings: str, windows: Sequence[str], waits: str
) -> None:
    site = small
    site.settings = settings
    visits(site, 1500)
    with agent(site) as (daemon, asked):
        number = asked["backfill_start"]("visit", **STRETCH, who="li", windows=windows)["id"]
        waiting = stints(site, daemon, number, 4.0 if "quota" in settings else 1.5)
        told = asked["backfill_show"](number)
    assert waiting.startswith(waits)
    assert told["keys"] < 1500
    assert told["keys"] == 0 or not windows


def test_it_waits_while_its_source_rests(small: Site) -> None:
    site = small
    visits(site, 50)
    with agent(site) as (daemon, asked):
        number = asked["backfill_start"]("visit", **STRETCH, who="li")["id"]
        daemon.app.sources["his"].pause(Pause(reason="日结"))
        daemon.backfilling.start()
        eventually(lambda: "paused" in daemon.backfilling.standing(number).waiting)
        assert asked["backfill_show"](number)["keys"] == 0
        daemon.app.sources["his"].resume()
        eventually(lambda: asked["backfill_show"](number)["state"] == "done")
        assert asked["backfill_show"](number)["waiting"] == ""
        daemon.stopping.set()
        daemon.backfilling.join(5)


def test_documents_of_closed_months_are_refused_unless_somebody_says_why(small: Site) -> None:
    site = small
    visits(site, 181)
    with site.app() as app:
        app.spool.closing.close(202503, "li", "上报完成", site.now)
    told = backfilled(site)
    assert (told["documents"], told["refused"]) == (181 - 31, 31)
    told = backfilled(site, reason="漏报补传")
    assert (told["documents"], told["refused"], told["unchanged"]) == (31, 0, 150)
    assert len(at_platform(site)) == 181
    with site.app() as app:
        (act,) = app.spool.closing.listed()
        assert act.late == 31
        events = [json.loads(entry.body) for entry in app.spool.log_entries()]
    passed = [one for one in events if one["event"] == "closing passed over"]
    assert [(one["months"], one["reason"]) for one in passed] == [(["2025-03"], "漏报补传")]


def test_one_at_a_time_for_a_feed(small: Site) -> None:
    with agent(small) as (_, asked):
        visits(small, 3)
        number = asked["backfill_start"]("visit", **STRETCH, who="li")["id"]
        with pytest.raises(NoBackfill, match=f"backfill {number} of visit still runs"):
            asked["backfill_start"]("visit", **STRETCH, who="li")
        assert asked["backfill_stop"](number, "wang")["changed"]
        assert asked["backfill_start"]("visit", **STRETCH, who="li")["id"] == number + 1
        with pytest.raises(NoBackfill, match="one at a time"):
            asked["backfill_resume"](number, "li")


# --- planned before it begins ---------------------------------------------------------------------------------------------

HOURS = (
    "CREATE TABLE hours (at TIMESTAMP PRIMARY KEY, n INTEGER NOT NULL)",
    # Two years by the hour: busy mornings, quiet nights, half of it at weekends, growing: 50 million in all.
    """INSERT INTO hours SELECT at, round(2850 * (1 + 0.9 * sin((extract(hour FROM at) - 6) * pi() / 12))
           * CASE WHEN extract(isodow FROM at) > 5 THEN 0.55 ELSE 1.18 END
           * (0.9 + 0.2 * extract(epoch FROM at - '2024-01-01') / (731 * 86400)))
       FROM generate_series('2024-01-01'::timestamp, '2025-12-31 23:00', '1 hour') at""",
    "ANALYZE hours",
)
LARGE = """SELECT h.at AS "cursor", to_char(h.at, 'YYMMDDHH24') || lpad(g::text, 6, '0') AS "key"
FROM hours h CROSS JOIN LATERAL generate_series(1, h.n) g"""


@pytest.mark.slow
def test_two_years_of_a_large_hospital_are_planned_in_seconds(tmp_path: Path, postgres: PostgresServer) -> None:
    """Fifty million rows that PostgreSQL computes when they are asked for, found by an index over their hours."""
    site = on_postgres(tmp_path, postgres, "http://127.0.0.1:9", '[spool]\nquota = "400 GiB"\n')
    (site.folder / "changed.sql").write_text(LARGE, encoding="utf-8")
    assert QUERIES["changed.sql"] not in LARGE
    site.engine.execute(
        *HOURS,
        # The rows that a page may be tried with: the first of each month.
        """INSERT INTO visit SELECT to_char(h.at, 'YYMMDDHH24') || lpad(g::text, 6, '0'), '内科', '张三', '发热', h.at, h.at, 1, 0, 0
           FROM hours h, generate_series(1, 100) g WHERE extract(day FROM h.at) = 1 AND extract(hour FROM h.at) = 0""",
        "INSERT INTO diagnosis SELECT no, 'J18.900', '诊断' FROM visit",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )
    with postgres.connect("his") as connection:
        (truth,) = connection.execute("SELECT sum(n) FROM hours").fetchone()
    with agent(site) as (_, asked):
        *steps, last = asked["backfill_plan"]("visit", "2024-01-01", "2025-12-31", rate=20.0, windows=["22:00-06:00"])
    told, wanted = last["result"], last["result"]["estimate"]
    print(
        f"\n{truth:,} rows, planned as {told['rows']:,} in {told['seconds']:.1f} s with {told['statements']} statements"
    )
    assert 49_000_000 < truth < 51_000_000
    assert told["rows"] == pytest.approx(truth, rel=0.05)
    assert len(told["parts"]) == 24
    assert len(steps) >= 8  # on a busy machine the rest is taken to be like these
    assert told["seconds"] < 40
    assert told["statements"] < 300
    assert told["sample"]["documents"] > 50
    assert (wanted["slowest"], wanted["rows_per_second"]) == ("rate", 20.0)
    assert wanted["days"] == pytest.approx(told["rows"] / 20 / (8 * 3600))
    assert wanted["source_bytes"] > 1 << 30
    assert wanted["spool_peak"] > wanted["spool_stays"] > 10 << 30
