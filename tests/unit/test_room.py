"""Rows are held up to a number of bytes: larger pages are read in parts, and nothing is lost or met twice by it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors import SourceOptions, open_source
from connectors.room import LARGEST_STEP, AnswerTooLarge, Room, fetched_in
from frontend_agent.mapping_file import Detail, Partner, Queries

SCAN = 100_000  # bytes


class Answer:
    """Rows of one weight, handed out as a driver does; it remembers how many were asked for at a time."""

    def __init__(self, rows: int, weight: int) -> None:
        self._rows = [(b"x" * weight,)] * rows
        self.asked: list[int] = []

    def fetchmany(self, count: int) -> Sequence[tuple[Any, ...]]:
        self.asked.append(count)
        some, self._rows = self._rows[:count], self._rows[count:]
        return some


def test_light_rows_are_fetched_in_growing_steps() -> None:
    answer = Answer(2_000, 10)

    assert len(fetched_in(Room(1 << 20), answer.fetchmany)) == 2_000
    assert answer.asked[:4] == [1, 8, 64, LARGEST_STEP]


def test_heavy_rows_are_fetched_few_at_a_time() -> None:
    answer = Answer(20, 500_000)

    fetched_in(Room(16 << 20), answer.fetchmany)

    assert max(answer.asked) == 2


def test_what_does_not_fit_is_not_fetched_to_its_end() -> None:
    answer = Answer(1_000, 500_000)

    with pytest.raises(AnswerTooLarge, match="raise max_bytes"):
        fetched_in(Room(4 << 20), answer.fetchmany)

    assert sum(answer.asked) < 20


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    file = tmp_path / "pacs.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "CREATE TABLE report (no TEXT, doctor TEXT, scan BLOB, at TEXT); CREATE TABLE item (no TEXT, scan BLOB);"
            "CREATE TABLE doctor (id TEXT, name TEXT); INSERT INTO doctor VALUES ('D', '李医生'), ('E', '王医生');"
        )
        for number in range(20):
            doctor = "D" if number % 2 else "E"
            connection.execute(
                "INSERT INTO report VALUES (?, ?, zeroblob(?), ?)", (f"R{number:02}", doctor, SCAN, "2026")
            )
            connection.executemany("INSERT INTO item VALUES (?, zeroblob(?))", [(f"R{number:02}", SCAN)] * 3)
        connection.commit()
    return file


QUERIES = Queries(
    key="no",
    changed='SELECT at AS "cursor", no AS "key" FROM report',
    parent="SELECT no, doctor, scan FROM report",
    details={"items": Detail("SELECT no, scan FROM item")},
    partners={"doctors": Partner('SELECT id AS "doctor", name FROM doctor', by="doctor")},
)


def test_a_page_that_does_not_fit_is_read_in_halves(hospital: Path) -> None:
    source = open_source("pacs", SourceOptions(url=f"sqlite:///{hospital}", max_bytes=1_000_000))
    keys = [f"R{number:02}" for number in range(20)]

    rows = source.rows(QUERIES, keys)

    assert sorted(row[0] for row in rows.parent.rows) == keys
    assert len(rows.details["items"].rows) == 60
    assert sorted(rows.partners["doctors"].rows) == [("D", "李医生"), ("E", "王医生")]  # of both halves, and once
    assert source.fetch(QUERIES, keys).more is not None


def test_a_record_alone_may_have_more_but_not_without_end(hospital: Path) -> None:
    generous = open_source("pacs", SourceOptions(url=f"sqlite:///{hospital}", max_bytes=2 * SCAN))
    strict = open_source("pacs", SourceOptions(url=f"sqlite:///{hospital}", max_bytes=SCAN // 4))

    assert len(generous.rows(QUERIES, ["R01"]).details["items"].rows) == 3
    with pytest.raises(AnswerTooLarge, match="raise max_bytes"):
        strict.rows(QUERIES, ["R01", "R02"])


def test_a_query_of_heavy_rows_is_asked_for_few_keys_from_then_on(hospital: Path) -> None:
    source = open_source("pacs", SourceOptions(url=f"sqlite:///{hospital}", max_bytes=1_000_000))
    source.rows(QUERIES, [f"R{number:02}" for number in range(20)])

    before = source.usage.statements
    source.rows(QUERIES, ["R01", "R02"])

    assert source._fitting[QUERIES.details["items"].sql] == 1
    assert source.usage.statements - before == 5  # two queries one key at a time, and their doctors
