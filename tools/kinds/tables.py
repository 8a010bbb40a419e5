"""What the drafts are made from: the national tables (read only, beside this checkout) and our own tables in this folder."""

import csv
import os
from collections import defaultdict
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATES = HERE.parent.parent / "cda_templates"
HAND_MADE = ("C0002", "C0004", "C0007")

Row = dict[str, str]


def standards() -> Path:
    """The folder of the national tables."""
    shared = Path(os.environ.get("FRONTEND_AGENT_SHARED", HERE.parent.parent.parent / "shared"))
    return shared / "standards"


@cache
def _by_kind(name: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in read(standards() / name):
        found[row["doc_code"]].append(row)
    return dict(found)


def national(name: str, kind: str) -> list[Row]:
    """The rows of one kind in a national table that has a column `doc_code`."""
    return _by_kind(name).get(kind, [])


@cache
def documents() -> dict[str, Row]:
    """The documents of the standard by code."""
    return {row["code"]: row for row in read(standards() / "documents.csv")}


@cache
def own(name: str) -> list[Row]:
    """One of our own tables, or nothing if we have none of that name."""
    path = HERE / name
    return read(path) if path.is_file() else []


def own_for(name: str, kind: str) -> list[Row]:
    """The rows of one of our tables that are for this kind or for all."""
    return [row for row in own(name) if kind in row["kind"].split() or row["kind"] == "*"]


@cache
def read(path: Path) -> list[Row]:
    """A CSV file, one dictionary per row; lines that begin with # are remarks."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def drafted_kinds() -> list[str]:
    """The kinds of WS/T 500 that are drafted: all but the three made by hand."""
    return [code for code in documents() if code.startswith("C0") and code not in HAND_MADE]
