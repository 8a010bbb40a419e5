"""The oracle sees what went wrong: each test breaks one thing behind the agent's back, and the oracle must say so."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from frontend_agent.demo.oracle import Count, count
from frontend_agent.demo.oracle.expectations import EXPECTED
from tests.acceptance.region import Region


@dataclass
class Broken:
    """A copy of a delivered region, to be broken and counted."""

    folder: Path

    def count(self) -> Count:
        return count(self.folder / "hospital", self.folder / "platform", self.folder / "agent", compared=100_000)

    def hospital(self, database: str, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / "hospital" / database)) as connection, connection:
            assert connection.execute(statement).rowcount > 0

    def platform(self, statement: str) -> None:
        self._run(self.folder / "platform" / "index.sqlite", statement)

    def agent(self, statement: str) -> None:
        self._run(self.folder / "agent" / "spool.db", statement)

    def columns(self, table: str) -> list[str]:
        """Of the platform's index."""
        connection = apsw.Connection(str(self.folder / "platform" / "index.sqlite"))
        names = [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]
        connection.close()
        return names

    def _run(self, path: Path, statement: str) -> None:
        connection = apsw.Connection(str(path))
        connection.execute(statement)
        assert connection.changes() > 0
        connection.close()


@pytest.fixture
def broken(delivered: Region, tmp_path: Path) -> Broken:
    for name in ("hospital", "platform", "agent"):
        shutil.copytree(delivered.state / name, tmp_path / name)
    return Broken(tmp_path)


def a_delivered_key(region: Broken, kind: str) -> str:
    """A record with nothing planted on it."""
    plan = json.loads((region.folder / "hospital" / "planted.json").read_text("utf-8"))
    faulty = {entry["key"] for entry in plan["planted"]}
    column, table, database = {"C0002": ("mzh", "mz_jzjl", "his.db"), "C0007": ("bgh", "lis_bg", "lis.db")}[kind]
    with closing(sqlite3.connect(region.folder / "hospital" / database)) as connection:
        keys = [key for (key,) in connection.execute(f"SELECT {column} FROM {table} ORDER BY {column}")]
    return next(key for key in keys if key not in faulty)


def test_an_unbroken_region_is_right(broken: Broken) -> None:
    assert broken.count().right


def test_a_document_that_never_arrived_is_lost(broken: Broken) -> None:
    broken.platform("DELETE FROM document WHERE id = (SELECT MIN(id) FROM document)")
    assert len(broken.count().lost) == 1


def test_a_record_that_left_quarantine_silently_is_lost(broken: Broken) -> None:
    broken.agent("DELETE FROM quarantine WHERE id = (SELECT MIN(id) FROM quarantine)")
    counted = broken.count()
    assert len(counted.lost) == 1
    assert counted.missed


def test_a_damaged_parcel_is_seen(broken: Broken) -> None:
    path = next((broken.folder / "platform" / "parcels").rglob("*.fep"))
    content = bytearray(path.read_bytes())
    content[-200] ^= 0xFF
    path.write_bytes(content)
    counted = broken.count()
    assert len(counted.damaged) == 1
    assert len(counted.lost) == 1


ALTERATIONS: list[tuple[str, str, Callable[[str], str]]] = [
    ("C0002", "chief_complaint", lambda key: f"UPDATE mz_jzjl SET zs = '别的主诉' WHERE mzh = '{key}'"),
    ("C0002", "orders", lambda key: f"DELETE FROM mz_yz WHERE jzxh = 'JZ{key[2:]}' AND yzsx = 1"),
    ("C0007", "items", lambda key: f"UPDATE lis_bgmx SET jg = '77777' WHERE bgh = '{key}' AND xh = 1"),
    ("C0007", "name", lambda key: f"UPDATE lis_bg SET xm = '别人' WHERE bgh = '{key}'"),
]


@pytest.mark.parametrize(
    ("kind", "field", "change"), ALTERATIONS, ids=[f"{kind}-{name}" for kind, name, _ in ALTERATIONS]
)
def test_a_document_that_says_something_else_is_altered(
    broken: Broken, kind: str, field: str, change: Callable[[str], str]
) -> None:
    key = a_delivered_key(broken, kind)
    broken.hospital("lis.db" if kind == "C0007" else "his.db", change(key))
    counted = broken.count()
    assert counted.altered == [(kind, key, [field])]
    assert counted.lost == [(kind, key)]


def copied(broken: Broken, **changed: str) -> str:
    """The statement that puts a document in once more, with some columns changed."""
    named = {name: changed.get(name, name) for name in broken.columns("document") if name != "id"}
    return f"INSERT INTO document ({', '.join(named)}) SELECT {', '.join(named.values())} FROM document WHERE id = 1"


def test_a_version_that_says_nothing_new_is_a_second_effect(broken: Broken) -> None:
    broken.platform(copied(broken, version="2", document_id="document_id || 'x'"))
    assert len(broken.count().duplicates) == 1


def test_a_second_set_for_the_same_record_is_a_second_effect(broken: Broken) -> None:
    broken.platform(copied(broken, set_id="set_id || 'x'", version="1", document_id="document_id || 'x'"))
    assert len(broken.count().duplicates) == 1


def test_a_fault_nobody_speaks_of_is_missed_and_a_word_too_many_is_false(broken: Broken) -> None:
    path = broken.folder / "hospital" / "planted.json"
    plan = json.loads(path.read_text("utf-8"))
    keys = [entry["key"] for entry in plan["planted"]]
    forgotten = next(
        entry
        for entry in plan["planted"]
        if EXPECTED[entry["fault"]].must == {"DE-MISSING"} and entry["hold"] and keys.count(entry["key"]) == 1
    )
    plan["planted"].remove(forgotten)
    key = a_delivered_key(broken, "C0002")
    plan["planted"].append(
        {"kind": "C0002", "key": key, "fault": "missing_complaint", "fields": ["chief_complaint"], "hold": True}
    )
    path.write_text(json.dumps(plan), "utf-8")
    counted = broken.count()
    assert [entry["key"] for entry in counted.missed] == [key]
    assert {rule for _, _, rule, _ in counted.unexplained} == {"DE-MISSING"}
