"""A hospital with one table of reports on a real server, and an agent that finds its rows."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.feeds import Feed
from frontend_agent.operations import Operations
from tests.servers import READER_PASSWORD

TOML = """
kind = "C0007"
key = "report_number"
[queries]
changed = "changed.sql"
parent = "lab.sql"
{more}
[queries.details]
items = "items.sql"
"""
PARENT = """SELECT no AS "report_number", 'outpatient' AS "fact.patient_class", final AS "final", void AS "void",
 bgsj AS "author.time", 'S1' AS "specimen_number", 'D1' AS "author.id", '赵' AS "author.name", '钱' AS "reviewer.name",
 name AS "patient.name", '1' AS "patient.sex", 'MZ1' AS "patient.outpatient_number",
 '110101199003070011' AS "patient.id_number" FROM {table}"""
ITEMS = """SELECT no AS "report_number", 'K' AS "code", '钾' AS "name", '4.1' AS "value", 'mmol/L' AS "unit",
 '血清' AS "specimen" FROM {table}"""
AGENT = """
workers = {workers}
[institution]
id = "999000013"
name = "一院"
[secrets]
folder = "{folder}/secrets"
[sources.lis]
url = "{url}"
{secret}
{source}
[destinations.platform]
url = "http://127.0.0.1:9"
[[feeds]]
name = "lab"
source = "lis"
mapping = "lab.toml"
profile = "lenient.toml"
batch = {batch}
{feed}
"""
LENIENT = 'extends = "regional"\ndefault = "note"\n[severity]\n"AGT004" = "hold"\n'
COLUMNS = (
    "(no varchar(40) PRIMARY KEY, name varchar(100), state varchar(20), updated {time}, final int, void int,"
    " bgsj varchar(30), stamp varchar(30))"
)
TIMES = {"sqlite": "TEXT", "postgres": "timestamp(6)", "mariadb": "datetime(6)"}
BY_TIME = 'SELECT updated AS "cursor", no AS "key" FROM report'


class WithoutPlatform(App):
    """An agent whose state is the first of its hospital: there is nothing to ask the platform."""

    def _heads(self, feed: Feed) -> None:
        return None


@dataclass
class Site:
    """One hospital, one feed."""

    folder: Path
    engine: str
    server: Any = None
    database: str = ""
    feed: str = ""
    source: str = ""
    batch: int = 100
    account: str = "admin"
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def sql(self, *statements: str) -> None:
        if self.server is not None:
            self.server.execute(*statements, database=self.database)
            return
        with closing(sqlite3.connect(self.folder / "lis.db", isolation_level=None)) as database:
            for statement in statements:
                database.execute(statement)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        if self.server is None:
            with closing(sqlite3.connect(self.folder / "lis.db")) as database:
                return database.execute(statement).fetchall()
        with closing(self.server.connect(self.database)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def prepare(self, changed: str = BY_TIME, more: str = "", **files: str) -> Site:
        """Write the mapping and make the hospital's table."""
        texts = {
            "changed": changed,
            "lab": PARENT.format(table="report"),
            "items": ITEMS.format(table="report"),
            **files,
        }
        for name, text in texts.items():
            (self.folder / f"{name}.sql").write_text(text, encoding="utf-8")
        (self.folder / "lab.toml").write_text(TOML.format(more=more), encoding="utf-8")
        (self.folder / "lenient.toml").write_text(LENIENT, encoding="utf-8")
        self.sql(f"CREATE TABLE report {self.columns}")
        return self

    @property
    def columns(self) -> str:
        return COLUMNS.format(time=TIMES[self.engine])

    def report(self, no: str, name: str = "甲", at: str = "2026-09-30 10:00:00", state: str = "final") -> None:
        self.sql(
            f"INSERT INTO report VALUES ('{no}', '{name}', '{state}', '{at}', {int(state == 'final')}, 0,"
            f" '2026-09-30 09:00:00', '{at}')"
        )

    def text(self, workers: int = 0) -> str:
        """The agent's configuration."""
        secrets = self.folder / "secrets"
        secret = ""
        url = "sqlite:///lis.db"
        if self.server is not None:
            secrets.mkdir(exist_ok=True, mode=0o700)
            password = self.server.password if self.account == "admin" else READER_PASSWORD
            (secrets / "lis").write_text(password, encoding="utf-8")
            (secrets / "lis").chmod(0o600)
            secret, url = 'secret = "lis"', self.server.url(self.database, self.account)
            if self.account == "admin":
                secret += (
                    "\nwaiver = { who = 'tests', reason = 'the throw-away server has one owner', until = 2099-12-31 }"
                )
        return AGENT.format(
            workers=workers, folder=self.folder, url=url, secret=secret, source=self.source, feed=self.feed,
            batch=self.batch,
        )  # fmt: skip

    def app(self, workers: int = 0) -> App:
        config = parse_config(self.text(workers), folder=self.folder)
        return WithoutPlatform(config, self.folder / "state", clock=lambda: self.now)

    def run(self, workers: int = 0) -> dict[str, int]:
        """One run of the feed; what it came to, without zeros."""
        with self.app(workers) as app:
            outcome = app.run_feed("lab", threading.Event())
            if outcome.error:
                raise outcome.error
            return {name: n for name, n in outcome.counts.items() if n}

    def operate(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """One operation, as the CLI asks it when no daemon runs."""
        with self.app() as app:
            told = getattr(Operations(app), name)(*args, **kwargs)
            return list(told) if hasattr(told, "__next__") else told

    def versions(self) -> dict[str, tuple[int, bool]]:
        """key -> (newest version, void), as the spool has them."""
        with self.app() as app:
            return {
                row[0]: (row[1], bool(row[2]))
                for row in app.spool._database._connection.execute("SELECT key, version, void FROM series")
            }

    def held(self) -> dict[str, str]:
        """key -> the rule that holds it."""
        with self.app() as app:
            return {case.key: case.findings[0].rule for case in app.spool.cases()}
