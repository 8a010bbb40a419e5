"""Marking rows of a change table as read, where the hospital lets us: the only statement of ours that writes.

    acknowledge = ["mid.changes.processed=1"]     UPDATE mid.changes SET processed = '1' WHERE id IN (7, 8, 9)

It is made of names that stand in agent.toml and the mapping and of the rows' own numbers; no query of a mapping comes near
it. It runs in a transaction of its own, the only kind that is not read-only, after our commit; it waits for no lock longer than
a second, and may be repeated: a row that could not be marked is read again with the next run, and recognised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from connectors.engines.dialect import Dialect
from frontend_agent.errors import ConfigurationError

AT_ONCE = (1, 16, 256)  # numbers of one statement
_NAME = re.compile(r"[^\W\d][\w$#]*")
_VALUE = re.compile(r"\w{1,20}")
NOW = "now"

# Said at the start of each such transaction: it alone may write, and waits for no lock longer than a second. Elsewhere an
# UPDATE waits for a row's lock as long as the session's greeting lets it.
WRITING = {
    "postgresql": ("SET TRANSACTION READ WRITE", "SET LOCAL lock_timeout = 1000"),
    "kingbase": ("SET TRANSACTION READ WRITE", "SET LOCAL lock_timeout = 1000"),
    "opengauss": ("SET TRANSACTION READ WRITE",),
    "mariadb": ("SET SESSION innodb_lock_wait_timeout = 1", "SET TRANSACTION READ WRITE"),
    "mysql": ("SET SESSION innodb_lock_wait_timeout = 1", "SET TRANSACTION READ WRITE"),
    "sqlserver": ("SET LOCK_TIMEOUT 1000",),
    "sqlite": ("PRAGMA query_only = 0",),
}
LASTING = ("sqlite",)  # where that outlives the transaction: the connection is closed behind it


class Acknowledgement(msgspec.Struct, frozen=True):
    """Which column of which table is set to what; `number` is the column by which its rows are named."""

    table: str  # with its schema, as the site writes it
    column: str
    value: str  # a flag, or `now`
    number: str = ""


def parsed(text: str) -> Acknowledgement:
    """`schema.table.column`, `table.column=Y`, `table.column=now`. Raises ConfigurationError for anything else."""
    place, equals, value = text.partition("=")
    names = [name.strip() for name in place.split(".")]
    if len(names) < 2 or not all(_NAME.fullmatch(name) for name in names):
        raise ConfigurationError(f'acknowledge: {text!r} is not "schema.table.column" or "schema.table.column=value"')
    value = value.strip() if equals else "1"
    if not _VALUE.fullmatch(value):
        raise ConfigurationError(f"acknowledge: {text!r}: the value is a word of at most 20 letters or digits, or now")
    return Acknowledgement(".".join(names[:-1]), names[-1], value)


def updates(dialect: Dialect, what: Acknowledgement, numbers: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """The updates for these rows, each with its parameters; lists are filled up with their own last number."""
    if not all(_NAME.fullmatch(name) for name in (*what.table.split("."), what.column, what.number)):
        raise ConfigurationError(f"acknowledge: {what.table}.{what.column}: not plain names")
    value = "CURRENT_TIMESTAMP" if what.value.lower() == NOW else f"'{what.value}'"
    made = []
    for start in range(0, len(numbers), AT_ONCE[-1]):
        some = list(numbers[start : start + AT_ONCE[-1]])
        size = next(n for n in AT_ONCE if n >= len(some))
        some += [some[-1]] * (size - len(some))
        marks = ", ".join(dialect.marks(size))
        # Of names that were checked above, and of place-holders.
        made.append((f"UPDATE {what.table} SET {what.column} = {value} WHERE {what.number} IN ({marks})", some))  # noqa: S608
    return made
