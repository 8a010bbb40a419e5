"""Columns that hold more than one value: opened before the rows are read, so that what is inside is columns like others.

{"emr": <bytes>}  ──▶  {"chief_complaint": "咳嗽3天", "present_illness": "…"}   and rows of groups
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from frontend_agent.conversion import text_of
from frontend_agent.model import RowSet
from frontend_agent.reading.chain import Chain
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.packing import LARGEST
from frontend_agent.reading.trees import Path, json_value, xml_value

LINE = "line"


class FieldPath(NamedTuple):
    """Where one field is in a tree, and how the text found there is read on (HTML inside JSON)."""

    field: str  # as the query would name it: `chief_complaint`; in a group `code`
    text: str  # the path as it was written, for messages
    find: Path
    then: Chain | None = None


class GroupPath(NamedTuple):
    """Where the rows of a group are, and in each of them its fields."""

    group: str
    each: Path
    fields: tuple[FieldPath, ...]


class Column(NamedTuple):
    """One column to open. Without fields and groups it is text, and stands under `into`."""

    alias: str
    chain: Chain
    into: str = ""
    fields: tuple[FieldPath, ...] = ()
    groups: tuple[GroupPath, ...] = ()
    prefix: str = ""  # of the group whose query selects it, with its point: in front of names in messages

    def names(self) -> list[str]:
        """The columns that stand in its place."""
        return [self.into] if self.into else [path.field for path in self.fields]


class Unread(NamedTuple):
    """What could not be read of one row: whose content it is, why, and what is missing for it."""

    alias: str
    reader: str
    why: str
    fields: tuple[str, ...]  # fields and groups by their full names
    digest: str  # of the content: another broken content is another content


class Opened(msgspec.Struct, frozen=True):
    """The rows with their columns opened; rows of groups found inside; and what could not be read, by the row's key."""

    rows: RowSet
    groups: Mapping[str, RowSet] = {}
    unread: Mapping[str, list[Unread]] = {}


def open_columns(rows: RowSet, key: str, columns: Sequence[Column]) -> Opened:
    """Open those of the columns that the query answered with; `key` is the alias of its key."""
    present = [(rows.columns.index(column.alias), column) for column in columns if column.alias in rows.columns]
    if not present:
        return Opened(rows)
    raw = {place for place, _ in present}
    kept = [place for place in range(len(rows.columns)) if place not in raw]
    at = rows.columns.index(key)
    names = [rows.columns[place] for place in kept] + [name for _, column in present for name in column.names()]
    groups: dict[str, list[tuple[Any, ...]]] = {group.group: [] for _, column in present for group in column.groups}
    unread: dict[str, list[Unread]] = {}
    opened: list[tuple[Any, ...]] = []
    for row in rows.rows:
        cells = [row[place] for place in kept]
        for place, column in present:
            values, found, problems = _read(column, row[place])
            cells += values
            for name, lines in found.items():
                groups[name] += [(row[at], number, *line) for number, line in enumerate(lines, 1)]
            if problems:
                unread.setdefault(key_of(row[at]), []).extend(problems)
        opened.append(tuple(cells))
    shapes = {group.group: group for _, column in present for group in column.groups}
    return Opened(
        RowSet(tuple(names), opened),
        {
            name: RowSet((key, LINE, *(path.field for path in shapes[name].fields)), lines)
            for name, lines in groups.items()
        },
        unread,
    )


def key_of(value: Any) -> str:
    return text_of(value) or ""


_Lines = dict[str, list[list[Any]]]


def _read(column: Column, value: Any) -> tuple[list[Any], _Lines, list[Unread]]:
    """The values of a column's names, the rows of its groups, and what could not be read of it."""
    if isinstance(value, memoryview | bytearray):
        value = bytes(value)
    if value is None or _is_blank(value):
        return [None] * len(column.names()), {}, []
    problems: list[Unread] = []

    def unread(why: str, *fields: str) -> None:
        problems.append(
            Unread(column.alias, column.chain.name, why, tuple(column.prefix + name for name in fields), _digest(value))
        )

    try:
        content = column.chain.read(value)
    except Unreadable as error:
        unread(str(error), *column.names(), *(group.group for group in column.groups))
        return [None] * len(column.names()), {}, problems
    if column.into:
        return [content], {}, []
    values: list[Any] = []
    left = _Budget()
    for path in column.fields:
        try:
            values.append(_one(path, content, column.chain.last, left))
        except Unreadable as error:
            values.append(None)
            unread(f"{path.text}: {error}", path.field)
    found: _Lines = {}
    for group in column.groups:
        try:
            nodes = group.each(content)
            found[group.group] = [
                [_one(path, node, column.chain.last, left) for path in group.fields] for node in nodes
            ]
        except Unreadable as error:
            unread(str(error), group.group)
    return values, found, problems


class _Budget:
    """How much text one column may give in all: places within each other hold the same text again and again."""

    def __init__(self) -> None:
        self._left = LARGEST

    def spend(self, value: Any) -> None:
        self._left -= len(value) if isinstance(value, str) else 1
        if self._left < 0:
            raise Unreadable(f"gives more than {LARGEST} characters")


def _one(path: FieldPath, node: Any, reader: str, left: _Budget) -> Any:
    """The one value at a path: nothing for none, and no choice among different ones."""
    value_of = xml_value if reader == "xml" else json_value
    only: Any = None
    for place in path.find(node):
        value = value_of(place)
        if path.then is not None and isinstance(value, str) and value.strip():
            value = path.then.read(value)
        if isinstance(value, str):
            value = value.strip()
        left.spend(value)
        if value in (None, "") or value == only:
            continue
        if only is not None:
            raise Unreadable("finds different values at one path")
        only = value
    return only


def _is_blank(value: Any) -> bool:
    """Blanks, or the zeros that pad a column of fixed length: nothing is there."""
    if isinstance(value, bytes):
        return not value.strip(b"\0 \t\r\n")
    return isinstance(value, str) and not value.strip("\0 \t\r\n")


def _digest(value: Any) -> str:
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return sha256(value if isinstance(value, bytes) else repr(type(value)).encode()).hexdigest()
