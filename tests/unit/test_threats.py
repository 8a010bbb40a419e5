"""docs/security/threats.md: every threat of the list has a row, every row a test that is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import shared_folder
from tests.unit.test_import_laws import ROOT

PAGE = ROOT / "docs/security/threats.md"
ROW = re.compile(r"^\| ([A-Z]\d+) \|", re.M)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# Rows that say "open" on the page. A row leaves this list, and none is added to it.
OPEN: frozenset[str] = frozenset()


def rows() -> dict[str, str]:
    return {row[1]: line for line in PAGE.read_text("utf-8").splitlines() if (row := ROW.match(line))}


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))


def test_every_threat_of_the_list_has_a_row() -> None:
    listing = shared_folder() / "design" / "threats.md"
    if not listing.is_file():
        pytest.skip("the list of threats is not here")
    assert list(rows()) == ROW.findall(listing.read_text("utf-8"))


@pytest.mark.parametrize("row", rows())
def test_a_row_names_tests_that_are_there_or_says_that_it_is_open(row: str) -> None:
    line = rows()[row]
    named = NAMED.findall(line)
    assert bool(named) != ("**open**" in line)
    assert ("**open**" in line) == (row in OPEN)
    missing = [
        f"{path}::{name}" for path, name in named if not (ROOT / path).is_file() or name not in names_in(ROOT / path)
    ]
    assert not missing
    assert "::" not in NAMED.sub("", line)
