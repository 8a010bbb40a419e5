"""How the server would run a query, by its own EXPLAIN: which table it reads whole, and what that costs. Pure but for `ask`.

A feed asks for what is younger than its watermark, every few minutes: the column it asks by needs an index. Only tables
that hold that column are judged; a small table may well be read whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

MANY = 10_000  # rows of a table that may be read whole
COSTLY = 100_000.0  # PostgreSQL's unit is a page read: 800 MB


class CursorColumn(msgspec.Struct, frozen=True):
    """Where a cursor comes from: a table (as the query names it, and its alias), and the expression over its columns."""

    table: str
    alias: str
    expression: str
    columns: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True):
    """Tables read whole (by name or alias, in lower case) with the rows that are read, and the cost where one is told."""

    whole: dict[str, float]
    cost: float = 0.0


def cursor_columns(sql: str, grammar: str) -> list[CursorColumn]:
    """The columns that the cursor of a query of changes is made of, of each part of its UNION."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(sql, dialect=grammar or "postgres")
    except SqlglotError:
        return []
    found: list[CursorColumn] = []
    for part in _parts(tree):
        tables = {table.alias_or_name: table for table in part.find_all(exp.Table) if table.parent_select is part}
        first = part.expressions[0].unalias() if part.expressions else None
        columns = list(first.find_all(exp.Column)) if first is not None else []
        owners = {column.table for column in columns}
        if not columns or len(owners) != 1:
            continue
        owner = owners.pop() or (next(iter(tables)) if len(tables) == 1 else "")
        if first is None or owner not in tables:
            continue
        names = tuple(dict.fromkeys(column.name for column in columns))
        bare = first.copy()
        for column in list(bare.find_all(exp.Column)):
            column.set("table", None)
        name = ".".join(piece.name for piece in tables[owner].parts)
        found.append(CursorColumn(name, owner, bare.sql(dialect=grammar or "postgres"), names))
    return list(dict.fromkeys(found))


def _parts(tree: Any) -> list[Any]:
    from sqlglot import exp

    if isinstance(tree, exp.SetOperation):
        return [*_parts(tree.left), *_parts(tree.right)]
    if isinstance(tree, exp.Subquery):
        return _parts(tree.this)
    return [tree] if isinstance(tree, exp.Select) else []


def explain_text(family: str, text: str) -> str:
    """What asks for the plan of a statement without running it; empty where we know no such question."""
    match family:
        case "postgresql" | "kingbase" | "opengauss":
            return f"EXPLAIN (FORMAT JSON) {text}"
        case "mariadb" | "mysql" | "oceanbase":
            return f"EXPLAIN {text}"
        case "sqlite":
            return f"EXPLAIN QUERY PLAN {text}"
    return ""


def read_plan(family: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], sizes: dict[str, float]) -> Plan:
    """The answer to `explain_text`. `sizes` are rows by table name, where the plan does not tell them."""
    match family:
        case "postgresql" | "kingbase" | "opengauss":
            return _postgresql(
                "\n".join(str(row[0]) for row in rows) if isinstance(rows[0][0], str) else rows[0][0], sizes
            )
        case "sqlite":
            return _sqlite([str(row[-1]) for row in rows], sizes)
    return _mysql([dict(zip(columns, row, strict=True)) for row in rows])


def _postgresql(answer: Any, sizes: dict[str, float]) -> Plan:
    tree = json.loads(answer) if isinstance(answer, str) else answer
    root = tree[0]["Plan"]
    whole: dict[str, float] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            name = node["Relation Name"].lower()
            whole[name] = whole[node.get("Alias", name).lower()] = max(sizes.get(name, 0.0), node["Plan Rows"])
    return Plan(whole, root["Total Cost"])


def _mysql(rows: Sequence[dict[str, Any]]) -> Plan:
    whole: dict[str, float] = {}
    for row in rows:
        found = {key.lower(): value for key, value in row.items()}
        if str(found.get("type") or "").lower() in ("all", "index") and found.get("table"):
            whole[str(found["table"]).lower()] = float(found.get("rows") or 0)
    return Plan(whole)


def _sqlite(details: Sequence[str], sizes: dict[str, float]) -> Plan:
    """`SCAN visit` or `SCAN v USING INDEX …` (a whole index); never `SEARCH v USING INDEX`."""
    whole: dict[str, float] = {}
    for detail in details:
        words = detail.replace("SCAN TABLE ", "SCAN ").split()
        if words[:1] == ["SCAN"] and len(words) > 1 and words[1] not in ("CONSTANT", "SUBQUERY"):
            whole[words[1].lower()] = sizes.get(words[1].lower(), 0.0)
    return Plan(whole)


def index_text(family: str, column: CursorColumn) -> str:
    """The index that the hospital's administrator may make; on PostgreSQL and MariaDB without stopping the HIS."""
    bare = column.columns[0]
    name = f"ix_{column.table.rpartition('.')[2]}_{'_'.join(column.columns)}"[:60]
    plain = len(column.columns) == 1 and column.expression.strip('"`[]').lower() == bare.lower()
    match family:
        case "postgresql" | "kingbase" | "opengauss":
            what = bare if plain else f"({column.expression})"
            return f"CREATE INDEX CONCURRENTLY {name} ON {column.table} ({what});"
        case "mariadb" | "mysql" | "oceanbase" if plain:
            return f"ALTER TABLE {column.table} ADD INDEX {name} ({bare}), ALGORITHM=INPLACE, LOCK=NONE;"
        case "mysql":
            return f"CREATE INDEX {name} ON {column.table} (({column.expression}));"
        case "mariadb" | "oceanbase":
            return (
                f"ALTER TABLE {column.table} ADD COLUMN changed_at DATETIME(6) AS ({column.expression}) PERSISTENT,"
                f" ADD INDEX {name} (changed_at);"
            )
        case "sqlserver" if plain:
            return f"CREATE INDEX {name} ON {column.table} ({bare}) WITH (ONLINE = ON);"
        case "oracle":
            return f"CREATE INDEX {name} ON {column.table} ({bare if plain else column.expression}) ONLINE;"
    return f"CREATE INDEX {name} ON {column.table} ({bare if plain else column.expression});"
