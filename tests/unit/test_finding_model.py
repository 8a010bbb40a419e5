"""Whatever a hospital's transactions do, and wherever we die: every committed final content is read at least once.

One model for all ways of finding. Transactions take their time and number when they begin and show their rows when they
commit; some never do. The agent runs, or dies in the middle of a run, between the reading and the commit.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors import SourceOptions, open_source
from connectors.finding.clock import Moment
from frontend_agent.config import parse_config
from frontend_agent.finding import Finder
from frontend_agent.mapping import Mapping as FieldMapping
from frontend_agent.mapping import Queries
from frontend_agent.spool import Spool, Taken

NOON = datetime(2026, 9, 30, 4, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)
PATIENCE = timedelta(minutes=9)  # no transaction is longer, where the engine does not tell
CHANGED = {
    "time": 'SELECT updated AS "cursor", no AS "key" FROM report',
    "key": 'SELECT number AS "cursor", no AS "key" FROM report',
    "changes": 'SELECT updated AS "cursor", no AS "key" FROM report',
    "status": 'SELECT version AS "cursor", no AS "key" FROM report',
    "compare": 'SELECT version AS "cursor", no AS "key" FROM report',
}
AGENT = """
[institution]
id = "999000013"
name = "一院"
[sources.lis]
url = "sqlite:///{folder}/lis.db"
{acknowledge}
[destinations.platform]
url = "http://127.0.0.1:9"
[[feeds]]
name = "lab"
source = "lis"
mapping = "lab.toml"
find = "{find}"
batch = 2
"""


@dataclass
class Transaction:
    """What it will show when it commits."""

    began: datetime
    updated: str
    number: int
    key: str
    version: int  # 0: the row is deleted


@dataclass
class World:
    """A hospital with a clock of its own, and an agent that remembers what it has read."""

    find: str
    tells: bool  # the engine says since when transactions are open
    acknowledged: bool
    folder: Path
    now: datetime = NOON
    back: timedelta = timedelta()
    open: list[Transaction] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)  # committed; 0: deleted
    read: dict[str, int] = field(default_factory=dict)
    numbers: int = 0

    def __post_init__(self) -> None:
        self.database = self.folder / "lis.db"
        self.sql("CREATE TABLE report (no TEXT PRIMARY KEY, version INT, updated TEXT, number INT)")
        self.sql("CREATE TABLE changes (id INTEGER PRIMARY KEY, no TEXT, processed INT DEFAULT 0)")
        acknowledge = 'acknowledge = ["changes.processed"]' if self.acknowledged else ""
        self.config = parse_config(AGENT.format(folder=self.folder, find=self.find, acknowledge=acknowledge))
        changes = 'SELECT id AS "cursor", no AS "key" FROM changes'
        queries = Queries(
            key="no",
            changed=CHANGED[self.find],
            parent='SELECT no AS "no", version AS "version" FROM report',
            changes=changes + (" WHERE processed = 0" if self.acknowledged else ""),
        )
        self.mapping = FieldMapping("lab", "lab.toml", "C0007", "no", queries)
        self.source = open_source("lis", SourceOptions(url=f"sqlite:///{self.database}"), "")
        self.source.moment = self.moment  # type: ignore[method-assign]
        self.spool = Spool(self.folder / "state").open()

    def close(self) -> None:
        self.source.close()
        self.spool.close()

    def sql(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    @property
    def clock(self) -> datetime:
        """The hospital's, local."""
        return (self.now + timedelta(hours=8) - self.back).replace(tzinfo=None)

    def moment(self) -> Moment:
        began = min((one.began for one in self.open), default=self.now)
        return Moment(self.now, self.clock, open_since=self.clock - (self.now - began) if self.tells else None)

    # -- what the hospital does --

    def begin(self, choice: int) -> None:
        held = {one.key for one in self.open}
        free = [key for key, version in sorted(self.versions.items()) if version and key not in held]
        self.numbers += 1
        stamp = self.clock.strftime("%Y-%m-%d %H:%M:%S")
        if choice < 5 or not free or self.find == "key":
            key, version = f"R{self.numbers}", 1
        else:
            key = free[choice % len(free)]
            version = 0 if choice == 9 and self.find in ("changes", "compare") else self.versions[key] + 1
        self.open.append(Transaction(self.now, stamp, self.numbers, key, version))

    def commit(self, choice: int) -> None:
        if not self.open:
            return
        one = self.open.pop(choice % len(self.open))
        if one.version:
            row = (one.key, one.version, one.updated, one.number)
            self.sql("INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?)", *row)
        else:
            self.sql("DELETE FROM report WHERE no = ?", one.key)
        self.sql("INSERT INTO changes (id, no) VALUES (?, ?)", one.number, one.key)
        self.versions[one.key] = one.version

    def abort(self, choice: int) -> None:
        if self.open:
            self.open.pop(choice % len(self.open))

    def pass_time(self, choice: int) -> None:
        self.now += timedelta(minutes=1 + (choice * 5 if self.tells else choice % 8))
        if not self.tells:
            for place in reversed(range(len(self.open))):
                if self.now - self.open[place].began > PATIENCE:
                    self.now = min(self.now, self.open[place].began + PATIENCE)
                    self.commit(place)

    def set_back(self, choice: int) -> None:
        if self.find == "time":
            self.back += timedelta(minutes=15 * (1 + choice))

    def purge(self, choice: int) -> None:
        """The hospital clears away change rows that were read: those marked, or older than an hour."""
        if self.acknowledged:
            self.sql("DELETE FROM changes WHERE processed = 1")

    # -- what the agent does --

    def run(self, pages: int = 10_000) -> None:
        """One run; it dies after so many pages, with the next one read and not committed."""
        finder = Finder(self.config, self.config.feeds[0], self.mapping, {"lis": self.source}, self.spool)
        for found in finder.pages():
            rows = self.source.rows(self.mapping.queries, found.keys).parent.rows if found.keys else ()
            if not pages:
                return
            pages -= 1
            there = {str(row[0]): int(row[1]) for row in rows}
            for key in found.keys:
                self.read[key] = there.get(key, 0)
            self.spool.commit(
                Taken(
                    feed="lab", kind="C0007", institution="H", digests="", at=self.now, destinations=(),
                    watermark=found.watermark, mark=found.mark, progress=found.progress,
                )
            )  # fmt: skip
            if found.numbers and pages:
                finder.acknowledge(found.numbers)

    def missed(self) -> dict[str, tuple[int, int | None]]:
        """key -> (its final version, what was read last)."""
        doubted = {one.key for one in self.spool.finding.doubts("lab")}
        return {
            key: (version, self.read.get(key))
            for key, version in self.versions.items()
            if self.read.get(key, 0 if not version else None) != version and not (not version and key in doubted)
        }


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["begin", "begin", "begin", "commit", "commit", "pass_time", "pass_time", "run", "run", "die", "abort",
             "set_back", "purge"]
        ),
        st.integers(0, 9),
    ),
    min_size=5,
    max_size=45,
)  # fmt: skip


LONGER_THAN_THE_OVERLAP = [
    ("begin", 0), ("pass_time", 9), ("begin", 0), ("commit", 1), ("run", 0), ("pass_time", 0), ("begin", 0), ("commit", 1),
    ("run", 0), ("commit", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("find", "tells", "acknowledged"),
    [
        ("time", True, False),
        ("time", False, False),
        ("key", True, False),
        ("key", False, False),
        ("changes", False, False),
        ("changes", False, True),
        ("status", False, False),
        ("compare", False, False),
    ],
)
def test_every_committed_final_content_is_read(find: str, tells: bool, acknowledged: bool) -> None:
    @settings(
        max_examples=40, deadline=None, database=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(STEPS)
    @example(LONGER_THAN_THE_OVERLAP)
    def play(steps: list[tuple[str, int]]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="fea-model-"))
        world = World(find, tells, acknowledged, folder)
        try:
            for step, choice in steps:
                if step == "run":
                    world.run()
                elif step == "die":
                    world.run(pages=choice % 4)
                else:
                    getattr(world, step)(choice)
            while world.open:
                world.commit(0)
            world.pass_time(0)
            world.run()

            assert world.missed() == {}
        finally:
            world.close()
            shutil.rmtree(folder, ignore_errors=True)

    play()
