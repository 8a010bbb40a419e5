"""Rows in a shared front-end table of the region (dialect D, exchange.md §6): a document as rows, and the statements for them.

A site's file says which tables a kind goes into and what stands in each column (values as in `values.py`):

    [[tables]]
    name = "TB_LIS_REPORT"
    kind = "C0007"
    key  = ["YLJGDM", "BGDH"]            # the primary key: a row that is there already is updated
    void = "ZFBZ"                        # 作废标识: 0, or 1 once the document was withdrawn
    uploaded = "SCSJ"                    # 上传时间: when the row was written last
    title = "检验报告"

    [tables.columns]
    YLJGDM = "{institution}"
    BGDH   = { value = "report_number", length = 32 }
    XBDM   = "patient.sex"
    XBMC   = { value = "patient.sex", as = "name" }
    BDXBDM = { value = "patient.sex", as = "local" }
    BGSJ   = { value = "author.time", format = "yyyyMMddHHmmss" }
    WDNR   = "{content}"                 # the document itself, as a large text

    [[tables.details]]
    name  = "TB_LIS_RESULT"
    group = "items"
    key   = ["YLJGDM", "BGDH", "XH"]
    [tables.details.columns]
    XH = "{row}"                         # 1, 2, 3 …
    …

A detail's rows belong to the row whose key columns it repeats: they are replaced together with it, in one transaction.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from frontend_agent.dialects.values import NO_REGION, NotSaid, Opened, Region, Value, read_value, value_of
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import Kind
from frontend_agent.shipped import did_you_mean, only_known_keys, toml_of
from frontend_agent.supplying.tables import Column, Table, Type

NAME = re.compile(r"[^\W\d][\w$#]{0,127}(\.[^\W\d][\w$#]{0,127}){0,2}")
ROW = "{row}"
WIDE = 255  # characters of a column whose field says no length
LARGE = 4000  # from here on it is a large text
KEYS = ("name", "kind", "key", "void", "uploaded", "title", "columns", "details")
DETAIL_KEYS = ("name", "group", "key", "void", "uploaded", "title", "columns")


class ColumnOf(msgspec.Struct, frozen=True):
    """One column: `value` is what stands in it, None for the number of the row."""

    name: str
    value: Value | None
    length: int
    title: str
    must: bool


class TableOf(msgspec.Struct, frozen=True):
    """One table for one kind. `group`: its rows are those of a group; `parent`: the key columns that it shares with the
    table it belongs to."""

    name: str
    kind: str
    group: str
    key: tuple[str, ...]
    columns: tuple[ColumnOf, ...]
    void: str
    uploaded: str
    title: str
    parent: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that is written, in order."""
        own = tuple(column.name for column in self.columns)
        return own + tuple(name for name in (self.void, self.uploaded) if name and name not in own)


class Rows(msgspec.Struct, frozen=True):
    """What of one document goes into one table: in the order of `table.names`, None where nothing is said."""

    table: TableOf
    rows: list[tuple[str | None, ...]]

    @property
    def keys(self) -> list[tuple[str | None, ...]]:
        """The primary keys of the rows."""
        places = [self.table.names.index(name) for name in self.table.key]
        return [tuple(row[at] for at in places) for row in self.rows]


class Put(msgspec.Struct, frozen=True):
    """All rows of one document: a record's own first, its details behind it. They are written together or not at all.

    `parents`: of each of `rows`, the values of `table.parent`; empty for a record's own row.
    """

    document_id: str
    rows: list[Rows]
    parents: list[tuple[str | None, ...]]


class SharedTables:
    """A site's tables, by kind."""

    def __init__(self, tables: Mapping[str, list[tuple[TableOf, list[TableOf]]]], region: Region) -> None:
        self._tables = tables
        self._region = region

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that have tables."""
        return tuple(self._tables)

    def all(self) -> list[TableOf]:
        """Every table, a record's own before its details."""
        return [one for some in self._tables.values() for table, details in some for one in (table, *details)]

    def main(self, kind: str) -> TableOf | None:
        """The first table of a kind: the one whose status is asked for."""
        return self._tables[kind][0][0] if kind in self._tables else None

    def put(self, opened: Opened, now: str) -> Put:
        """The rows of a document. `now`: 14 digits, for the time of upload. Raises NotSaid where it cannot be made."""
        document = opened.document
        if document.kind not in self._tables:
            raise NotSaid(f'no table is named for {document.kind}: add [[tables]] kind = "{document.kind}"')
        found: list[Rows] = []
        parents: list[tuple[str | None, ...]] = []
        for table, details in self._tables[document.kind]:
            main = Rows(table, [self._row(table, opened, None, 0, now)])
            found.append(main)
            parents.append(())
            for detail in details:
                group = opened.record.get(detail.group, [])
                rows = [self._row(detail, opened, row, number, now) for number, row in enumerate(group, 1)]
                belongs = tuple(main.rows[0][table.names.index(name)] for name in detail.parent)
                made = Rows(detail, rows)
                if len(set(made.keys)) < len(rows):
                    raise NotSaid(
                        f"{detail.name}: two rows have the same key ({', '.join(detail.key)}): one would be lost"
                    )
                found.append(made)
                parents.append(belongs)
        return Put(document.document_id, found, parents)

    def _row(
        self, table: TableOf, opened: Opened, row: Mapping[str, str] | None, number: int, now: str
    ) -> tuple[str | None, ...]:
        said: dict[str, str | None] = {}
        for column in table.columns:
            try:
                text = str(number) if column.value is None else value_of(column.value, opened, row, self._region)
            except NotSaid as reason:
                raise NotSaid(f"{table.name}.{column.name} {reason}") from None
            if text is None and column.must:
                raise NotSaid(f"{table.name}.{column.name} is part of the key, and the record has no value for it")
            said[column.name] = text
        if table.void:
            said[table.void] = "1" if opened.document.void else "0"
        elif opened.document.void and not table.group:
            raise NotSaid(
                f'{table.name} has no column for withdrawals: name one by void = "…", or delete the row there'
            )
        if table.uploaded:
            said[table.uploaded] = now
        return tuple(said[name] for name in table.names)


def read_tables(
    text: str,
    name: str,
    kind: Callable[[str], Kind],
    region: Region = NO_REGION,
    compiling: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> SharedTables:
    """What a site's file says. Raises ConfigurationError that names the place and the mend."""
    table = toml_of(text, name)
    only_known_keys(table, ("tables",), name)
    found: dict[str, list[tuple[TableOf, list[TableOf]]]] = {}
    given = table.get("tables")
    if not isinstance(given, list) or not given:
        raise ConfigurationError(f"{name}: needs at least one [[tables]]")
    with compiling():
        for number, one in enumerate(given):
            where = f"{name}: tables[{number}]"
            only_known_keys(one, KEYS, where)
            if not isinstance(one.get("kind"), str):
                raise ConfigurationError(f'{where}: needs kind = "C0007"')
            of = kind(one["kind"])
            main = _table(one, of, "", where)
            details = []
            for at, detail in enumerate(one.get("details", [])):
                place = f"{where}.details[{at}]"
                only_known_keys(detail, DETAIL_KEYS, place)
                details.append(_detail(detail, of, main, place))
            found.setdefault(of.code, []).append((main, details))
    return SharedTables(found, region)


def _detail(given: Mapping[str, Any], kind: Kind, main: TableOf, where: str) -> TableOf:
    group = given.get("group")
    if group not in kind.groups:
        raise ConfigurationError(
            f"{where}: group names one of {kind.code}'s groups: {', '.join(kind.groups)}"
            f"{did_you_mean(str(group), kind.groups)}"
        )
    table = _table(given, kind, str(group), where)
    missing = [column for column in main.key if column not in table.names]
    if missing:
        raise ConfigurationError(
            f"{where}: has no column {', '.join(missing)}: a detail repeats the key of {main.name}, so that its rows are"
            " known to belong together"
        )
    return msgspec.structs.replace(table, parent=main.key)


def _table(given: Mapping[str, Any], kind: Kind, group: str, where: str) -> TableOf:
    name, key, columns = given.get("name"), given.get("key"), given.get("columns")
    if not isinstance(name, str) or not isinstance(key, list) or not key or not isinstance(columns, dict):
        raise ConfigurationError(f'{where}: needs name = "…", key = ["…"] and a table of columns')
    special = [str(given.get(what, "")) for what in ("void", "uploaded")]
    for word in (name, *columns, *filter(None, special)):
        if not NAME.fullmatch(word):
            raise ConfigurationError(f"{where}: {word!r} is no name of a table or column")
    for column in key:
        if column not in columns:
            raise ConfigurationError(f"{where}: key: there is no column {column}{did_you_mean(column, columns)}")
    made = tuple(
        _column(column, what, kind, group, column in key, f"{where}: {column}") for column, what in columns.items()
    )
    return TableOf(
        name, kind.code, group, tuple(key), made, special[0], special[1], str(given.get("title", kind.name_zh))
    )


def _column(name: str, given: Any, kind: Kind, group: str, must: bool, where: str) -> ColumnOf:
    length, title, spec = 0, "", given
    if isinstance(given, dict):
        length, title = given.get("length", 0), given.get("title", "")
        spec = {key: value for key, value in given.items() if key not in ("length", "title")}
        if set(spec) == {"value"}:
            spec = spec["value"]
    if not isinstance(length, int) or not isinstance(title, str):
        raise ConfigurationError(f"{where}: length is a number of characters, title a text")
    if spec == ROW:
        if not group:
            raise ConfigurationError(f"{where}: {ROW} is for a detail's rows")
        return ColumnOf(name, None, length or 10, title or "序号", must)
    value = read_value(spec, kind, where)
    if value.group not in ("", group):
        raise ConfigurationError(
            f"{where}: {value.fields[0]} stands in the group {value.group!r}: write it as a detail"
        )
    field = kind.field(value.fields[0]) if value.fields else None
    return ColumnOf(name, value, length or _length(value, field), title or (field.name_zh if field else ""), must)


def _length(value: Value, field: Any) -> int:
    if value.attribute == "content":
        return LARGE + 1
    if value.form in ("name", "local_name"):
        return WIDE
    return (field.max_length or WIDE) if field else WIDE


# --- for who makes the tables there


def specified(tables: SharedTables, status: Sequence[str] = ()) -> list[Table]:
    """The tables as `frontend-agent spec` writes them: to be made by the region, or held against what it has."""
    return [_specified(table, () if table.group else status) for table in tables.all()]


def _specified(table: TableOf, status: Sequence[str]) -> Table:
    columns = [Column(c.name, _type(c), c.title or c.name, c.name, length=c.length, must=c.must) for c in table.columns]
    own = {column.name for column in columns}
    more: list[tuple[str, Type, int, str]] = []
    more += [(table.void, "yes", 0, "作废标识 0 有效 1 作废")] if table.void else []
    more += [(table.uploaded, "text", 14, "上传时间 yyyyMMddHHmmss")] if table.uploaded else []
    more += [(name, "text", WIDE, "由区域平台填写") for name in status]
    columns += [Column(name, type_, zh, name, length=n) for name, type_, n, zh in more if name not in own]
    return Table(table.name, table.title, table.title, tuple(columns), table.key, table.kind, table.group)


def _type(column: ColumnOf) -> Type:
    return "long" if column.length > LARGE else "text"
