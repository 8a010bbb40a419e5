"""The statements that the allow-list is held against: what hospitals honestly write, and what nobody may send."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ENGINES = ("postgresql", "mysql", "sqlite", "sqlserver", "oracle")


def honest(engine: str) -> list[str]:
    """Queries that must pass: those every engine knows, and its own."""
    return list(dict.fromkeys([*_read("honest.common.sql"), *_read(f"honest.{engine}.sql")]))


def _read(name: str) -> list[str]:
    expressions, _, queries = (FOLDER / name).read_text("utf-8").partition("== queries\n")
    expressions = expressions.partition("== expressions\n")[2]
    found = [f'SELECT {one} AS "x" FROM patient p' for one in expressions.splitlines() if one]
    return [*found, *(one.strip() for one in queries.split("\n\n") if one.strip())]


@cache
def _table() -> dict[str, Any]:
    with (FOLDER / "hostile.toml").open("rb") as file:
        return tomllib.load(file)


def hostile(engine: str) -> list[str]:
    """Statements that must never be sent: every function in five places, every statement in four ways, every trick."""
    table = _table()
    own, common = table[engine], table["common"]
    places, ways = list(table["places"].values()), list(table["ways"].values())
    found = [*common["tricks"], *own["tricks"]]
    found += [way.format(s=one) for one in (*common["statements"], *own["statements"]) for way in ways]
    for number, call in enumerate(own["functions"]):
        for step in range(5):
            found.append(_placed(places[(number + 3 * step) % len(places)], call))
    return list(dict.fromkeys(found))


def _placed(place: str, call: str) -> str:
    name, bracket, arguments = call.partition("(")
    return place.format(f=call, name=name, arguments=bracket + arguments)


def calls(engine: str) -> list[str]:
    """The functions of an engine that do more than compute."""
    found: list[str] = _table()[engine]["functions"]
    return found


def places() -> list[str]:
    """Where in a query a function may stand."""
    return list(_table()["places"].values())
