"""A database's schema as plain values: tables with columns, keys, comments and references.

Made from the three row sets that `connectors/catalogue.py` reads; this package asks nothing of anybody.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

TIME, DATE, NUMBER, TEXT, LONG, BINARY, FLAG = "time", "date", "number", "text", "long text", "binary", "flag"

_FAMILIES = (
    (FLAG, r"bool|^bit$"),
    (TIME, r"timestamp|datetime|smalldatetime|^date \(oracle\)$"),
    (DATE, r"^date"),
    (BINARY, r"bytea|blob|binary|image|raw|^time$|^timetz|interval|geometry"),
    (NUMBER, r"int|number|numeric|decimal|float|double|real|money|serial|oid"),
    (TEXT, r"^text$"),  # what SQLite and PostgreSQL call every text
    (LONG, r"clob|text|json|xml|^long"),
)


class Column(msgspec.Struct, frozen=True):
    """One column. `type` is the engine's own name for it, `family` what we make of that."""

    name: str
    type: str
    length: int | None = None
    comment: str = ""
    nullable: bool = True

    @property
    def family(self) -> str:
        return family(self.type, self.length)


class Reference(msgspec.Struct, frozen=True):
    """A column whose values are another table's key. `why` says how that is known, `sure` is 0 to 1."""

    column: str
    table: str
    target: str
    why: str
    sure: float = 1.0


class Table(msgspec.Struct, frozen=True):
    """A table or view. `rows` is the engine's estimate, None where it has none."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    comment: str = ""
    is_view: bool = False
    rows: int | None = None
    key: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()  # columns that are unique alone
    indexed: frozenset[str] = frozenset()  # columns that an index begins with
    references: tuple[Reference, ...] = ()

    @property
    def id(self) -> str:
        """How a query names it."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    @property
    def only_key(self) -> str:
        """The primary key, where it is one column; else a column that is unique alone; else nothing."""
        if len(self.key) == 1:
            return self.key[0]
        return self.unique[0] if self.unique else ""


Schema = Mapping[str, Table]  # by Table.id


def schema_of(
    tables: Iterable[Sequence[Any]],
    columns: Iterable[Sequence[Any]],
    keys: Iterable[Sequence[Any]],
    bare: str = "public",
) -> dict[str, Table]:
    """The schema from rows in the shapes of `connectors.catalogue`; the schema called `bare` needs no prefix."""
    found: dict[tuple[str, str], list[Column]] = defaultdict(list)
    for schema, table, name, kind, length, nullable, comment in columns:
        known = _length(length, str(kind))
        found[_part(schema, bare), str(table)].append(
            Column(str(name), str(kind or "").lower(), known, _comment(comment), bool(nullable))
        )
    constraints: dict[tuple[str, str], list[Sequence[Any]]] = defaultdict(list)
    for row in keys:
        constraints[_part(row[0], bare), str(row[1])].append(row)
    made = {}
    for schema, name, kind, rows, comment in tables:
        place = _part(schema, bare), str(name)
        if place not in found:
            continue
        table = Table(
            *place,
            columns=tuple(found[place]),
            comment=_comment(comment),
            is_view=kind == "view",
            rows=None if rows is None or int(rows) < 0 else int(rows),
            **_keys(constraints[place], bare),
        )
        made[table.id] = table
    return made


def family(kind: str, length: int | None = None) -> str:
    """What a declared type holds: one of the words above."""
    for name, pattern in _FAMILIES:
        if re.search(pattern, kind.lower()):
            return name
    return LONG if length and length > 4000 else TEXT


def _part(schema: Any, bare: str) -> str:
    text = str(schema or "")
    return "" if text == bare else text


def _length(value: Any, kind: str) -> int | None:
    if value is not None:
        return int(value) if int(value) > 0 else None
    said = re.search(r"\((\d+)", kind)  # SQLite keeps the type as it was written
    return int(said[1]) if said else None


def _comment(value: Any) -> str:
    return " ".join(str(value or "").split())


def _keys(rows: Iterable[Sequence[Any]], bare: str) -> dict[str, Any]:
    by_name: dict[tuple[str, str], list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        by_name[str(row[3]), str(row[2])].append(row)
    key: tuple[str, ...] = ()
    unique: list[str] = []
    indexed: set[str] = set()
    references: list[Reference] = []
    for (kind, _), parts in by_name.items():
        names = tuple(str(row[5]) for row in sorted(parts, key=lambda row: int(row[4] or 0)))
        if kind == "F" and len(parts) == 1 and parts[0][7]:
            schema, table = _part(parts[0][6], bare), str(parts[0][7])
            target = str(parts[0][8] or "")
            references.append(Reference(names[0], f"{schema}.{table}" if schema else table, target, "foreign key"))
        elif kind in "PUI":
            indexed.add(names[0])
            if kind == "P":
                key = names
            elif kind == "U" and len(names) == 1:
                unique.append(names[0])
    return {"key": key, "unique": tuple(unique), "indexed": frozenset(indexed), "references": tuple(references)}
