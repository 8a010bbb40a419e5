"""A small hospital on any engine, an agent and a real platform process: what reconciliation compares, and what goes wrong with it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import apsw

from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.reconciliation import reconcile

MAPPING = """
kind = "C0002"
key = "patient.outpatient_number"
[queries]
changed = "changed.sql"
parent = "visit.sql"
{more}
[queries.details]
diagnoses = "diagnoses.sql"
"""
QUERIES = {
    "changed.sql": 'SELECT updated AS "cursor", no AS "key" FROM visit WHERE hidden = 0',
    "day.sql": 'SELECT seen_at AS "day", no AS "key" FROM visit',
    "visit.sql": """SELECT no AS "patient.outpatient_number", xm AS "patient.name", '1' AS "patient.sex", dept AS "department.name",
 seen_at AS "visit.time", seen_at AS "author.time", chief AS "chief_complaint", '110101199003070011' AS "patient.id_number",
 'D1' AS "author.id", '赵' AS "author.name", '赵' AS "doctor.name", '无' AS "present_illness", fin AS "final", void AS "void" FROM visit""",
    "diagnoses.sql": """SELECT no AS "patient.outpatient_number", code AS "code", name AS "name" FROM diagnosis""",
}
AGENT = """
workers = 0
[institution]
id = "999000013"
name = "一院"
[sources.his]
{source}
[destinations.platform]
url = "{url}"
[[feeds]]
name = "visit"
source = "his"
mapping = "visit.toml"
profile = "lenient.toml"
overlap = "10m"
batch = 40
[[withhold]]
name = "hiv"
when = {{ "DE05.01.024.00" = ["B20..B24"] }}
decided_by = "医务科"
reason = "HIV"
"""
LENIENT = 'extends = "regional"\ndefault = "note"\n'
DAY = date(2026, 9, 29)
NOW = datetime(2026, 9, 30, 2, 0, tzinfo=UTC)  # ten o'clock in Shanghai
TABLES = (
    "CREATE TABLE visit (no VARCHAR(20) PRIMARY KEY, dept VARCHAR(40), xm VARCHAR(40), chief VARCHAR(400), seen_at {time},"
    " updated {time}, fin INTEGER, void INTEGER, hidden INTEGER)",
    "CREATE TABLE diagnosis (no VARCHAR(20), code VARCHAR(20), name VARCHAR(80))",
    "CREATE INDEX visit_updated ON visit (updated, no)",
    "CREATE INDEX visit_seen ON visit (seen_at)",
    "CREATE INDEX diagnosis_no ON diagnosis (no)",
)


@dataclass
class Engine:
    """How to write to a database, and what agent.toml says of it."""

    name: str
    execute: Callable[..., None]
    source: str
    time: str = "TIMESTAMP"


def sqlite_engine(folder: Path) -> Engine:
    def execute(*statements: str) -> None:
        with closing(sqlite3.connect(folder / "his.db")) as database, database:
            for statement in statements:
                database.execute(statement)

    return Engine("sqlite", execute, 'url = "sqlite:///his.db"', "TEXT")


@dataclass
class Site:
    """The hospital, its agent and the platform's folder."""

    folder: Path
    engine: Engine
    url: str
    platform: Path
    now: datetime = NOW
    more: str = ""
    settings: str = ""
    numbers: dict[str, int] = field(default_factory=dict)

    def make_mapping(self) -> None:
        (self.folder / "visit.toml").write_text(MAPPING.format(more=self.more), encoding="utf-8")

    def make(self) -> Site:
        self.make_mapping()
        (self.folder / "lenient.toml").write_text(LENIENT, encoding="utf-8")
        for name, text in QUERIES.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        self.engine.execute(*(statement.format(time=self.engine.time) for statement in TABLES))
        return self

    def visit(
        self, no: str, dept: str = "内科", seen: str = "2026-09-29 09:00:00", updated: str = "", chief: str = "发热",
        final: int = 1, void: int = 0, code: str = "J18.900", xm: str = "张三", hidden: int = 0,
    ) -> None:  # fmt: skip
        self.engine.execute(
            f"INSERT INTO visit VALUES ('{no}', '{dept}', '{xm}', '{chief}', '{seen}', '{updated or seen}', {final}, {void},"
            f" {hidden})",
            f"INSERT INTO diagnosis VALUES ('{no}', '{code}', '诊断')",
        )

    def visits(self, count: int, first: int = 1, dept: str = "内科", **more: Any) -> list[str]:
        names = [f"{dept[:1]}{number:05}" for number in range(first, first + count)]
        for number, name in enumerate(names):
            self.visit(name, dept, **({"seen": f"2026-09-29 {8 + number % 9:02}:{number % 60:02}:00"} | more))
        return names

    def config(self) -> str:
        return AGENT.format(source=self.engine.source, url=self.url) + self.settings

    @contextmanager
    def app(self, alone: bool = True) -> Iterator[App]:
        config = parse_config(self.config(), folder=self.folder)
        with App(config, self.folder / "state", clock=lambda: self.now, alone=alone) as app:
            yield app

    def run(self, app: App, send: bool = True) -> dict[str, int]:
        outcome = app.run_feed("visit", threading.Event())
        if outcome.error:
            raise outcome.error
        while send and app.waiting("platform") and app.greet("platform") and app.send("platform"):
            pass
        return {name: n for name, n in outcome.counts.items() if n}

    def reconcile(self, app: App, first: date = DAY, last: date = DAY, who: str = "li", **more: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for row in reconcile(app, None, "visit", first, last, who=who, **more):
            result = row.get("result", result)
        return result

    def lose(self, *documents: str) -> None:
        """As if the platform's index had lost them, beside a running platform."""
        with closing(apsw.Connection(str(self.platform / "index.sqlite"))) as database:
            database.set_busy_timeout(10_000)
            for document in documents:
                database.execute("DELETE FROM document WHERE document_id = ?", (document,))


def found(told: dict[str, Any]) -> dict[str, list[str]]:
    """Gap -> the keys of its differences."""
    gaps: dict[str, list[str]] = {}
    for one in told["differences"]:
        gaps.setdefault(one["gap"], []).append(one["key"])
    return {gap: sorted(keys) for gap, keys in gaps.items()}


def explained(told: dict[str, Any]) -> dict[str, int]:
    """Word -> how often, of what is no difference."""
    differing = {one["gap"] for one in told["differences"]}
    return {word: n for word, n in told["totals"].items() if word not in ("source", "agent") and word not in differing}


@contextmanager
def platform_process(folder: Path) -> Iterator[str]:
    """The real one, as a process."""
    command = [sys.executable, "-m", "frontend_agent.platform", "--state", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("platform ready"), line
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout:
            process.stdout.close()
