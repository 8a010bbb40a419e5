"""A version and the one before it read each other's state (threat U3; decision 0046): later migrations only add."""

import re
import sqlite3
from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import pytest

from frontend_agent.errors import StateError
from frontend_agent.platform import store as platform_store
from frontend_agent.platform.store import Store
from frontend_agent.spool import database
from frontend_agent.spool.database import MIGRATIONS, QUERIES, READS_FROM, Database

ADDS = re.compile(
    r"(CREATE (UNIQUE )?(TABLE|INDEX|VIEW|TRIGGER)|ALTER TABLE \w+ ADD( COLUMN)?|INSERT (OR IGNORE )?INTO) ",
    re.IGNORECASE,
)
COMMENT = re.compile(r"--[^\n]*")


def statements(migration: str) -> list[str]:
    return [one.strip() for one in COMMENT.sub("", migration).split(";") if one.strip()]


def index_migrations() -> list[str]:
    text = resources.files("frontend_agent.platform").joinpath("index.sql").read_text("utf-8")
    return re.split(r"^-- migration \d+ --$", text, flags=re.MULTILINE)[1:]


def later() -> list[tuple[str, str]]:
    spool = [(f"spool {n}", MIGRATIONS[f"migration {n}"]) for n in range(READS_FROM + 1, len(MIGRATIONS) + 1)]
    platform = index_migrations()
    return spool + [(f"platform {n}", platform[n - 1]) for n in range(platform_store.READS_FROM + 1, len(platform) + 1)]


def test_migrations_after_the_floor_only_add() -> None:
    """Whoever must change or drop something raises READS_FROM to the number of that migration, and says in the changelog that there is
    no way back past it."""
    wrong = [(name, one[:80]) for name, text in later() for one in statements(text) if not ADDS.match(one)]
    assert not wrong


def test_a_column_that_is_added_may_be_left_out_by_who_does_not_know_it() -> None:
    for name, text in later():
        for one in statements(text):
            if re.match(r"ALTER TABLE", one, re.IGNORECASE) and re.search(r"NOT NULL", one, re.IGNORECASE):
                assert re.search(r"\bDEFAULT\b", one, re.IGNORECASE), f"{name}: {one}"


def positional(query: str) -> set[str]:
    """Tables into which a query inserts without naming columns."""
    return set(re.findall(r"INSERT\s+(?:OR\s+\w+\s+)?INTO\s+(\w+)\s+(?:VALUES|SELECT|WITH)", query, re.IGNORECASE))


def test_nothing_is_added_to_tables_that_the_version_before_fills_by_position() -> None:
    filled = set().union(*(positional(query) for query in QUERIES.values()))
    source = Path(platform_store.__file__).read_text("utf-8")
    filled |= positional(source)
    for name, text in later():
        for one in statements(text):
            if found := re.match(r"ALTER TABLE (\w+) ADD", one, re.IGNORECASE):
                assert found[1] not in filled, f"{name} adds a column to {found[1]}"


def test_the_floor_is_a_schema_that_there_is() -> None:
    assert 0 < READS_FROM <= len(MIGRATIONS)
    assert 0 < platform_store.READS_FROM <= platform_store.NEWEST


NEXT = "CREATE TABLE of_the_next_version (a INTEGER PRIMARY KEY, b TEXT); ALTER TABLE run ADD COLUMN of_the_next TEXT;"


def opened_by_the_next(path: Path, patch: pytest.MonkeyPatch, floor: int) -> None:
    with patch.context() as here:
        here.setattr(database, "MIGRATIONS", {**MIGRATIONS, f"migration {len(MIGRATIONS) + 1}": NEXT})
        here.setattr(database, "READS_FROM", floor)
        Database.open(path).close()


def test_a_state_of_the_next_version_is_worked_with_and_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool.db"
    Database.open(path).close()
    opened_by_the_next(path, monkeypatch, READS_FROM)
    Database.open(path).close()
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        assert file.execute("SELECT count(*) FROM of_the_next_version").fetchone() == (0,)
    opened_by_the_next(path, monkeypatch, READS_FROM)  # and forward again


def test_a_state_that_only_later_versions_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spool.db"
    opened_by_the_next(path, monkeypatch, len(MIGRATIONS) + 1)
    with pytest.raises(StateError, match="from a newer version"):
        Database.open(path)


def test_the_platform_keeps_the_same_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_the_next(floor: int) -> None:
        with monkeypatch.context() as here:
            here.setattr(platform_store, "_MIGRATIONS", [*index_migrations(), "CREATE TABLE of_the_next (a INTEGER)"])
            here.setattr(platform_store, "READS_FROM", floor)
            Store(tmp_path).open().close()

    by_the_next(platform_store.READS_FROM)
    Store(tmp_path).open().close()
    by_the_next(platform_store.NEWEST + 1)
    with pytest.raises(StateError, match="newer version"):
        Store(tmp_path).open()


def test_every_query_still_holds_where_the_next_version_added_columns(tmp_path: Path) -> None:
    """To every table that is not filled by position: what the rule allows is done to all of them at once."""
    opened = Database.open(tmp_path / "spool.db")
    filled = set().union(*(positional(query) for query in QUERIES.values()))
    connection: Any = opened._connection
    tables = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        if name not in filled
    ]
    assert len(tables) > 10
    for table in tables:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN of_the_next TEXT")
    for name, query in QUERIES.items():
        try:
            connection.execute(f"EXPLAIN {query}", {}).fetchall()
        except KeyError:
            continue  # compiled; its values are not given here
        except apsw.SQLError as error:
            raise AssertionError(f"{name}: {error}") from None
    opened.close()
