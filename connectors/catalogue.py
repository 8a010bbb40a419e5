"""What a database says of itself: tables, columns, keys, comments and estimated sizes; and small samples of its rows.

    read_catalogue(source)                     ──▶ Catalogue: three row sets of one shape, whatever the engine
    sample(source, table, columns)             ──▶ at most 200 of its newest rows
    contained(source, table, column, values)   ──▶ which of these values stand in that column

Only SELECTs on the engine's own catalogue, through `Source.session()` like every other statement. Sizes are the engine's
statistics: no table is counted. PostgreSQL, MariaDB and SQLite are tested against real servers; Oracle (and 达梦, which has
its views) and SQL Server as text only, untested against a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from connectors.engines import Dialect
from connectors.source import Source
from connectors.statements import Own
from frontend_agent.errors import SourceRefused
from frontend_agent.model import RowSet

SAMPLE = 200  # rows of one table
LONGEST = 20_000  # characters of one sampled value
_TRIED = 400  # values that one question of `contained` holds

TABLES = ("schema", "table", "kind", "rows", "comment")
COLUMNS = ("schema", "table", "column", "type", "length", "nullable", "comment")
KEYS = ("schema", "table", "name", "kind", "position", "column", "ref_schema", "ref_table", "ref_column")

# Kinds of keys: P primary, U unique, F foreign (of one column), I the first column of an index.
_POSTGRESQL = {
    "tables": """
SELECT n.nspname, c.relname, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END,
       c.reltuples, d.description
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 1259
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY n.nspname, c.relname""",
    "columns": """
SELECT n.nspname, c.relname, a.attname, t.typname,
       CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END,
       CASE WHEN a.attnotnull THEN 0 ELSE 1 END, d.description
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = a.attnum AND d.classoid = 1259
WHERE a.attnum > 0 AND a.attisdropped = FALSE AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY n.nspname, c.relname, a.attnum""",
    "keys": """
SELECT n.nspname, c.relname, o.conname, 'F', 1, a.attname, rn.nspname, r.relname, ra.attname
FROM pg_catalog.pg_constraint o
JOIN pg_catalog.pg_class c ON c.oid = o.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = o.conkey[1]
JOIN pg_catalog.pg_class r ON r.oid = o.confrelid
JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_catalog.pg_attribute ra ON ra.attrelid = r.oid AND ra.attnum = o.confkey[1]
WHERE o.contype = 'f' AND o.conkey[2] IS NULL
UNION ALL
SELECT n.nspname, c.relname, x.relname, CASE WHEN i.indisprimary THEN 'P' WHEN i.indisunique THEN 'U' ELSE 'I' END,
       a.attnum, a.attname, NULL, NULL, NULL
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1, 2, 4, 3, 5""",
}

_MYSQL = {
    "tables": """
SELECT '', TABLE_NAME, CASE TABLE_TYPE WHEN 'VIEW' THEN 'view' ELSE 'table' END, TABLE_ROWS, TABLE_COMMENT
FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE()
ORDER BY TABLE_NAME""",
    "columns": """
SELECT '', TABLE_NAME, COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH,
       CASE IS_NULLABLE WHEN 'YES' THEN 1 ELSE 0 END, COLUMN_COMMENT
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE()
ORDER BY TABLE_NAME, ORDINAL_POSITION""",
    "keys": """
SELECT '', TABLE_NAME, INDEX_NAME, CASE WHEN INDEX_NAME = 'PRIMARY' THEN 'P' WHEN NON_UNIQUE = 0 THEN 'U' ELSE 'I' END,
       SEQ_IN_INDEX, COLUMN_NAME, NULL, NULL, NULL
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE()
UNION ALL
SELECT '', TABLE_NAME, CONSTRAINT_NAME, 'F', ORDINAL_POSITION, COLUMN_NAME, '', REFERENCED_TABLE_NAME,
       REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_SCHEMA = TABLE_SCHEMA""",
}

_SQLITE = {
    "tables": "SELECT '', name, type, NULL, NULL FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name",
    "columns": """
SELECT '', m.name, p.name, p.type, NULL, 1 - p."notnull", NULL
FROM sqlite_master m JOIN pragma_table_info(m.name) p
WHERE m.type IN ('table', 'view')
ORDER BY m.name, p.cid""",
    "keys": """
SELECT '', m.name, 'primary', 'P', p.pk, p.name, NULL, NULL, NULL
FROM sqlite_master m JOIN pragma_table_info(m.name) p
WHERE m.type = 'table' AND p.pk > 0
UNION ALL
SELECT '', m.name, 'f' || f.id, 'F', f.seq + 1, f."from", '', f."table", f."to"
FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f
WHERE m.type = 'table'
UNION ALL
SELECT '', m.name, l.name, CASE WHEN l."unique" = 1 THEN 'U' ELSE 'I' END, i.seqno + 1, i.name, NULL, NULL, NULL
FROM sqlite_master m JOIN pragma_index_list(m.name) l JOIN pragma_index_info(l.name) i
WHERE m.type = 'table' AND l.origin <> 'pk'""",
}

_ORACLE = {
    "tables": """
SELECT o.OWNER, o.OBJECT_NAME, CASE o.OBJECT_TYPE WHEN 'VIEW' THEN 'view' ELSE 'table' END, t.NUM_ROWS, m.COMMENTS
FROM ALL_OBJECTS o
LEFT JOIN ALL_TABLES t ON t.OWNER = o.OWNER AND t.TABLE_NAME = o.OBJECT_NAME
LEFT JOIN ALL_TAB_COMMENTS m ON m.OWNER = o.OWNER AND m.TABLE_NAME = o.OBJECT_NAME
WHERE o.OBJECT_TYPE IN ('TABLE', 'VIEW')
  AND o.OWNER NOT IN ('SYS', 'SYSTEM', 'XDB', 'CTXSYS', 'MDSYS', 'OUTLN', 'WMSYS', 'DBSNMP', 'SYSAUDITOR', 'SYSSSO')
ORDER BY o.OWNER, o.OBJECT_NAME""",
    "columns": """
SELECT c.OWNER, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.DATA_LENGTH, CASE c.NULLABLE WHEN 'Y' THEN 1 ELSE 0 END,
       m.COMMENTS
FROM ALL_TAB_COLUMNS c
LEFT JOIN ALL_COL_COMMENTS m ON m.OWNER = c.OWNER AND m.TABLE_NAME = c.TABLE_NAME AND m.COLUMN_NAME = c.COLUMN_NAME
WHERE c.OWNER NOT IN ('SYS', 'SYSTEM', 'XDB', 'CTXSYS', 'MDSYS', 'OUTLN', 'WMSYS', 'DBSNMP', 'SYSAUDITOR', 'SYSSSO')
ORDER BY c.OWNER, c.TABLE_NAME, c.COLUMN_ID""",
    "keys": """
SELECT k.OWNER, k.TABLE_NAME, k.CONSTRAINT_NAME, CASE k.CONSTRAINT_TYPE WHEN 'R' THEN 'F' ELSE k.CONSTRAINT_TYPE END,
       c.POSITION, c.COLUMN_NAME, r.OWNER, r.TABLE_NAME, r.COLUMN_NAME
FROM ALL_CONSTRAINTS k
JOIN ALL_CONS_COLUMNS c ON c.OWNER = k.OWNER AND c.CONSTRAINT_NAME = k.CONSTRAINT_NAME
LEFT JOIN ALL_CONS_COLUMNS r
    ON r.OWNER = k.R_OWNER AND r.CONSTRAINT_NAME = k.R_CONSTRAINT_NAME AND r.POSITION = c.POSITION
WHERE k.CONSTRAINT_TYPE IN ('P', 'U', 'R')
  AND k.OWNER NOT IN ('SYS', 'SYSTEM', 'XDB', 'CTXSYS', 'MDSYS', 'OUTLN', 'WMSYS', 'DBSNMP', 'SYSAUDITOR', 'SYSSSO')
UNION ALL
SELECT i.TABLE_OWNER, i.TABLE_NAME, i.INDEX_NAME, 'I', i.COLUMN_POSITION, i.COLUMN_NAME, NULL, NULL, NULL
FROM ALL_IND_COLUMNS i
WHERE i.COLUMN_POSITION = 1""",
}

_SQLSERVER = {
    "tables": """
SELECT s.name, o.name, CASE o.type WHEN 'V' THEN 'view' ELSE 'table' END,
       (SELECT SUM(p.rows) FROM sys.partitions p WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)),
       CAST(e.value AS NVARCHAR(500))
FROM sys.objects o
JOIN sys.schemas s ON s.schema_id = o.schema_id
LEFT JOIN sys.extended_properties e
    ON e.class = 1 AND e.major_id = o.object_id AND e.minor_id = 0 AND e.name = 'MS_Description'
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
ORDER BY s.name, o.name""",
    "columns": """
SELECT s.name, o.name, c.name, t.name, c.max_length, c.is_nullable, CAST(e.value AS NVARCHAR(500))
FROM sys.columns c
JOIN sys.objects o ON o.object_id = c.object_id
JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.types t ON t.user_type_id = c.user_type_id
LEFT JOIN sys.extended_properties e
    ON e.class = 1 AND e.major_id = c.object_id AND e.minor_id = c.column_id AND e.name = 'MS_Description'
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
ORDER BY s.name, o.name, c.column_id""",
    "keys": """
SELECT s.name, o.name, i.name, CASE WHEN i.is_primary_key = 1 THEN 'P' WHEN i.is_unique = 1 THEN 'U' ELSE 'I' END,
       x.key_ordinal, c.name, NULL, NULL, NULL
FROM sys.indexes i
JOIN sys.objects o ON o.object_id = i.object_id
JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id
JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE o.type = 'U' AND x.key_ordinal > 0
UNION ALL
SELECT s.name, o.name, f.name, 'F', x.constraint_column_id, c.name, rs.name, ro.name, rc.name
FROM sys.foreign_keys f
JOIN sys.foreign_key_columns x ON x.constraint_object_id = f.object_id
JOIN sys.objects o ON o.object_id = x.parent_object_id
JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.columns c ON c.object_id = x.parent_object_id AND c.column_id = x.parent_column_id
JOIN sys.objects ro ON ro.object_id = x.referenced_object_id
JOIN sys.schemas rs ON rs.schema_id = ro.schema_id
JOIN sys.columns rc ON rc.object_id = x.referenced_object_id AND rc.column_id = x.referenced_column_id""",
}

QUESTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "sqlite": _SQLITE, "oracle": _ORACLE, "sqlserver": _SQLSERVER}
)
_FAMILIES = MappingProxyType(  # the grammar of an engine -> whose catalogue it has
    {"postgres": "postgresql", "mysql": "mysql", "sqlite": "sqlite", "oracle": "oracle", "tsql": "sqlserver"}
)
_CUT = MappingProxyType({"oracle": "SUBSTR({c}, 1, 2000)", "sqlserver": "SUBSTRING({c}, 1, {n})"})


class Catalogue(msgspec.Struct, frozen=True):
    """Tables, columns and keys in the columns named above. `family` is whose SQL the source speaks."""

    family: str
    tables: RowSet
    columns: RowSet
    keys: RowSet


def read_catalogue(source: Source) -> Catalogue:
    """All that the account may see. Raises a SourceError as every other question does."""
    family = family_of(source)
    with source.session() as ask:
        found = {name: ask(Own(sql), (), "catalogue") for name, sql in QUESTIONS[family].items()}
    return Catalogue(
        family,
        RowSet(TABLES, found["tables"].rows),
        RowSet(COLUMNS, found["columns"].rows),
        RowSet(KEYS, found["keys"].rows),
    )


def sample(
    source: Source,
    family: str,
    table: Sequence[str],
    columns: Sequence[str],
    long: Sequence[str] = (),
    newest: str = "",
) -> RowSet:
    """At most 200 rows of these columns, the newest first where `newest` is an indexed column; `long` ones are cut.

    `table` is (schema, name); an empty schema is left out. What comes back is never printed and never kept.
    """
    text = sample_text(source.dialect, family, table, columns, long, newest)
    with source.session() as ask:
        return RowSet(tuple(columns), ask(text, (), "sample").rows)


def contained(source: Source, table: Sequence[str], column: str, values: Sequence[Any]) -> set[str]:
    """Which of these values stand in a column, as texts. `column` should be a key: it is looked up by it."""
    some = list(values)[:_TRIED]
    if not some:
        return set()
    with source.session() as ask:
        rows = ask(contained_text(source.dialect, table, column, len(some)), some, "contained").rows
    return {str(row[0]).strip() for row in rows}


def partners(source: Source, table: Sequence[str], column: str, values: Sequence[Any]) -> dict[str, int]:
    """How many rows of a table have each of these values in a column; values without any are missing."""
    some = list(values)[:_TRIED]
    if not some:
        return {}
    with source.session() as ask:
        text = partners_text(source.dialect, table, column, len(some))
        rows = ask(text, some, "partners").rows
    return {str(row[0]).strip(): int(row[1]) for row in rows}


def family_of(source: Source) -> str:
    """Whose SQL a source speaks: postgresql, mysql, sqlite, oracle or sqlserver. Raises SourceRefused for any other."""
    with source.session():  # over ODBC, only the connection can tell what is there
        engine = getattr(source, "engine", None)
    grammar = str(getattr(engine, "grammar", ""))
    if grammar not in _FAMILIES:
        raise SourceRefused(
            f"source {source.name}: we do not know how this engine describes its tables; write its mapping by hand"
            " (docs/guide/init.md)"
        )
    return _FAMILIES[grammar]


# -- statements, as pure functions of their parts --


def sample_text(
    dialect: Dialect, family: str, table: Sequence[str], columns: Sequence[str], long: Sequence[str], newest: str
) -> str:
    """SELECT the newest rows of one table."""
    cut = _CUT.get(family, "SUBSTR({c}, 1, {n})")
    shown = ", ".join(
        cut.format(c=dialect.quoted(name), n=LONGEST) if name in long else dialect.quoted(name) for name in columns
    )
    order = f"\nORDER BY {dialect.quoted(newest)} DESC" if newest else ""
    return dialect.select(shown, f"FROM {_named(dialect, table)}{order}", SAMPLE)


def contained_text(dialect: Dialect, table: Sequence[str], column: str, count: int) -> str:
    """SELECT those of so many parameters that stand in a column."""
    name, marks = dialect.quoted(column), ", ".join(dialect.marks(count))
    return "\n".join((f"SELECT DISTINCT {name}", f"FROM {_named(dialect, table)}", f"WHERE {name} IN ({marks})"))


def partners_text(dialect: Dialect, table: Sequence[str], column: str, count: int) -> str:
    """SELECT those of so many parameters that stand in a column, and how often each does."""
    name, marks = dialect.quoted(column), dialect.marks(count)
    return "\n".join(
        (
            f"SELECT {name}, COUNT(*)",
            f"FROM {_named(dialect, table)}",
            f"WHERE {name} IN ({', '.join(marks)})",
            f"GROUP BY {name}",
        )
    )


def _named(dialect: Dialect, table: Sequence[str]) -> str:
    return ".".join(dialect.quoted(part) for part in table if part)
