"""The kill switch as its operators meet it: a real daemon, a real PostgreSQL whose view is slow, the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.servers import READER_PASSWORD, PostgresServer

PROGRAM = [sys.executable, "-m", "frontend_agent.cli.main"]
CONFIG = """
[institution]
id = "999000013"
name = "示范医院"
[secrets]
folder = "{folder}/secrets"
[sources.his]
url = "postgresql://reader@127.0.0.1:{port}/{database}"
secret = "his"
statement_timeout = "120s"
[destinations.platform]
url = "http://127.0.0.1:{platform}"
[[feeds]]
name = "reports"
source = "his"
mapping = "own/report.toml"
every = "1s"
"""
MAPPING = """
kind = "C0007"
key = "report_number"
[queries]
changed = "report.changed.sql"
parent = "report.sql"
"""


@dataclass
class Site:
    """An agent whose one feed reads a view that takes a minute."""

    folder: Path
    server: PostgresServer
    database: str

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [*PROGRAM, *arguments, "--lang", "en"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        log = (self.folder / "stderr").open("ab")
        with log, subprocess.Popen([*PROGRAM, "run"], cwd=self.folder, stderr=log) as process:
            try:
                eventually(lambda: answers(self.folder / "state" / "control.sock"))
                yield process
            finally:
                process.kill()

    def sessions(self) -> list[str]:
        """The states of our sessions at the server."""
        with self.server.connect() as connection:
            ours = f"SELECT state FROM pg_stat_activity WHERE usename = 'reader' AND datname = '{self.database}'"
            return [row[0] for row in connection.execute(ours).fetchall()]

    def server_log(self) -> str:
        with self.server.connect():  # a line of an administrator's at the end
            return (self.server.folder / "log").read_text("utf-8", "replace")

    def last_problem(self) -> str:
        (feed,) = json.loads(self.command("status", "--json"))["feeds"]
        return feed["last_run"]["problem"] if feed["last_run"] else ""


def answers(control: Path) -> bool:
    """Whether somebody listens there: a daemon that was killed leaves its file behind."""
    with socket.socket(socket.AF_UNIX) as line:
        return line.connect_ex(str(control)) == 0


def eventually(is_so: Callable[[], Any], seconds: float = 20.0) -> float:
    """How long it took to become so."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, "it did not come to be"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.fixture
def site(tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    database = f"guests_daemon_{os.getpid()}"
    postgres.create(database)
    postgres.execute(
        "CREATE TABLE report (id TEXT PRIMARY KEY, changed_at TIMESTAMP NOT NULL)",
        "INSERT INTO report VALUES ('R1', '2026-03-16 08:00')",
        "CREATE VIEW slow_report AS SELECT id, changed_at, pg_sleep(60)::text AS slept FROM report",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        "REVOKE CREATE, TEMPORARY ON DATABASE " + database + " FROM PUBLIC",
        database=database,
    )
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "his").write_text(READER_PASSWORD, "utf-8")
    (tmp_path / "secrets" / "his").chmod(0o600)
    text = CONFIG.format(folder=tmp_path, port=postgres.port, database=database, platform=free_port())
    (tmp_path / "agent.toml").write_text(text, "utf-8")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "report.toml").write_text(MAPPING, "utf-8")
    (tmp_path / "own" / "report.changed.sql").write_text(
        'SELECT changed_at AS "cursor", id AS "key" FROM report', "utf-8"
    )
    (tmp_path / "own" / "report.sql").write_text(
        'SELECT id AS "report_number", slept AS "patient.name" FROM slow_report', "utf-8"
    )
    return Site(tmp_path, postgres, database)


def test_source_pause_acts_within_five_seconds_holds_over_a_killed_daemon_and_is_in_the_log(site: Site) -> None:
    with site.daemon() as daemon:
        eventually(lambda: "active" in site.sessions())
        said = site.command("source", "pause", "his", "--for", "2h", "--reason", "storage", "--who", "王工")
        assert "his: paused until" in said
        assert eventually(lambda: not site.sessions(), 5.0) < 3.5  # the statement and its session are gone
        eventually(lambda: "paused until" in site.last_problem())
        assert re.search(r"his: paused → .* 王工 storage", site.command("status"))
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    assert "paused" in site.command("source", "list")  # without a daemon, too
    with site.daemon():
        end = time.monotonic() + 4  # four runs of the feed
        while time.monotonic() < end:
            assert site.sessions() == []
            time.sleep(0.1)
        site.command("source", "resume", "his", "--who", "李工")
        eventually(lambda: "active" in site.sessions(), 8.0)
        (told,) = json.loads(site.command("source", "list", "--json"))
        assert told["state"] == "open"
        log = site.command("qc", "log", "--json")
        events = [(one["event"], one.get("who")) for one in json.loads(log) if one["event"].startswith("source.")]
        assert events == [("source.paused", "王工"), ("source.resumed", "李工")]
        report = json.loads(site.command("source", "report", "his", "--json"))
        assert report["total"]["statements"] >= 2
        assert report["total"]["put_off"] >= 2
        assert report["pauses"][0]["ended_by"] == "李工"
        site.command("source", "pause", "his")  # so that nothing sleeps on at the server


def _started(site: Site, *arguments: str) -> subprocess.Popen[str]:
    command = [*PROGRAM, *arguments, "--lang", "en"]
    return subprocess.Popen(command, cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_no_command_opens_a_source_that_somebody_paused(site: Site) -> None:
    path = site.folder / "agent.toml"
    pinned = f'secret = "his"\nprocedures = {{ "p" = "sha256:{"0" * 64}" }}'
    path.write_text(path.read_text("utf-8").replace('secret = "his"', pinned), "utf-8")
    url = site.server.url(site.database, "reader")
    elsewhere = (
        "init",
        "--source",
        url,
        "--name",
        "again",
        "--secret",
        "his",
        "--json",
        "--yes",
    )  # at the same address

    def refused(*command: str) -> None:
        process = _started(site, *command)
        said = process.communicate(timeout=30)[0]
        assert process.returncode == 1, said
        assert re.search("paused.*王工: storage", said)

    with site.daemon():
        site.command("source", "pause", "his", "--reason", "storage", "--who", "王工")
        eventually(lambda: not site.sessions())
        time.sleep(6)  # the login that ends our own session, if it hung, comes at most five seconds after the last
        site.server.execute("ALTER SYSTEM SET log_connections = on", "SELECT pg_reload_conf()")
        before = site.server_log().count("connection authorized: user=reader")
        for command in (("doctor", "his"), ("check",), ("source", "procedures", "his"), elsewhere):
            refused(*command)
    refused("doctor", "his")  # without a daemon, too
    assert "connection authorized: user=admin" in site.server_log()  # it is in the log, and ours are not
    assert site.server_log().count("connection authorized: user=reader") == before


def test_a_pause_reaches_a_command_that_hangs_at_the_source(site: Site) -> None:
    slow = 'SELECT r.id AS "key", s.changed_at AS "cursor" FROM report r JOIN slow_report s ON s.slept = r.id'
    with site.daemon():
        eventually(lambda: "active" in site.sessions())
        (site.folder / "own" / "report.changed.sql").write_text(slow, "utf-8")
        process = _started(site, "doctor", "his")
        eventually(lambda: len(site.sessions()) == 2)  # the agent's one connection, and the command's
        eventually(lambda: site.sessions() == ["active", "active"], 30)
        began = time.monotonic()
        site.command("source", "pause", "his", "--reason", "storage", "--who", "王工")
        eventually(lambda: not site.sessions(), 5.0)
        process.communicate(timeout=10)
        assert time.monotonic() - began < 6.0
        assert process.returncode == 1


def test_a_command_does_not_make_a_third_connection(site: Site) -> None:
    path = site.folder / "agent.toml"
    path.write_text(path.read_text("utf-8").replace('secret = "his"', 'secret = "his"\nconnections = 2'), "utf-8")
    with site.daemon():
        process = _started(site, "doctor", "his")
        said = process.communicate(timeout=30)[0]
        assert process.returncode == 1
        assert "the running agent has its 2 connections" in said
        site.command("source", "pause", "his")


def test_what_a_command_cost_is_in_the_report(site: Site) -> None:
    path = site.folder / "agent.toml"
    path.write_text(path.read_text("utf-8").replace('every = "1s"', 'every = "24h"'), "utf-8")
    (site.folder / "own" / "report.sql").write_text(
        'SELECT id AS "report_number", id AS "patient.name" FROM report', "utf-8"
    )
    with site.daemon():
        time.sleep(2)  # its one run
        before = json.loads(site.command("source", "report", "his", "--json"))["total"]["statements"]
        _started(site, "doctor", "his").communicate(timeout=30)
        assert json.loads(site.command("source", "report", "his", "--json"))["total"]["statements"] > before + 3
