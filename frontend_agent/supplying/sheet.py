"""The tables as a spreadsheet for the people who fill them: one sheet a table, and the codes that go into coded columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import xlsxwriter

from frontend_agent.formats import Kind, value_set
from frontend_agent.model import Record
from frontend_agent.supplying.ddl import Engine
from frontend_agent.supplying.tables import Column, Table

_COLUMNS = (
    ("序号\nNo.", 5),
    ("列名\ncolumn", 28),
    ("类型\ntype", 16),
    ("名称与填写要求\nname and how to fill it", 44),
    ("英文名\nname", 26),
    ("必填\nrequired", 9),
    ("数据元\ndata element", 17),
    ("格式\nformat", 10),
    ("基数\ncardinality", 11),
    ("值域\nvalue set", 22),
    ("示例（虚构）\nexample (invented)", 24),
    ("可信度\nconfidence", 14),
    ("供数方来源表.列（请填写）\nyour table.column (fill in)", 30),
)
_MARKS = {
    "verified": "已核对 verified",
    "single-source": "单一来源 single-source",
    "from-memory": "凭记忆，待核 from-memory",
    "conflict": "来源不一致 conflict",
}


def sheet(
    file: BinaryIO,
    engine: Engine,
    kinds: Sequence[Kind],
    tables: Mapping[str, Sequence[Table]],
    control: Sequence[Table],
    examples: Mapping[str, Record],
) -> None:
    """Write the workbook. `tables` and `examples` are by the kind's code."""
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(file, {"in_memory": True, **options}) as book:
        writer = _Writer(book, engine)
        writer.contents(kinds, tables, control)
        for table in control:
            writer.table(table, None)
        for kind in kinds:
            for table in tables[kind.code]:
                writer.table(table, examples.get(kind.code))
        writer.codes(kinds)


class _Writer:
    def __init__(self, book: Any, engine: Engine) -> None:
        self._book = book
        self._engine = engine
        self._head = book.add_format(
            {"bold": True, "bg_color": "#DCE6F1", "border": 1, "text_wrap": True, "valign": "top"}
        )
        self._bold = book.add_format({"bold": True, "font_size": 13})
        self._wrap = book.add_format({"text_wrap": True, "valign": "top"})
        self._fill = book.add_format({"bg_color": "#FFF8DC", "border": 1})

    def contents(self, kinds: Sequence[Kind], tables: Mapping[str, Sequence[Table]], control: Sequence[Table]) -> None:
        page = self._book.add_worksheet("目录 contents")
        page.write_string(0, 0, "前置库表结构  intermediate tables", self._bold)
        page.write_string(1, 0, self._engine.title)
        self._headings(page, 3, (("表 table", 30), ("内容 what", 60), ("文档类型 kind", 40)))
        rows = [(table, "") for table in control]
        rows += [
            (table, f"{kind.code} {kind.name_zh} {kind.standard}") for kind in kinds for table in tables[kind.code]
        ]
        for row, (table, kind_name) in enumerate(rows, 4):
            page.write_url(row, 0, f"internal:'{_sheet_name(table)}'!A1", string=table.name)
            page.write_string(row, 1, f"{table.zh}  {table.en}", self._wrap)
            page.write_string(row, 2, kind_name)

    def table(self, table: Table, example: Record | None) -> None:
        page = self._book.add_worksheet(_sheet_name(table))
        page.write_string(0, 0, f"{table.name}  {table.zh}  {table.en}", self._bold)
        self._headings(page, 2, _COLUMNS)
        page.freeze_panes(3, 2)
        for number, column in enumerate(table.columns, 1):
            cells = self._cells(number, table, column, example)
            for place, text in enumerate(cells):
                page.write_string(number + 2, place, text, self._fill if place == len(_COLUMNS) - 1 else self._wrap)
        page.autofilter(2, 0, len(table.columns) + 2, len(_COLUMNS) - 1)

    def _cells(self, number: int, table: Table, column: Column, example: Record | None) -> tuple[str, ...]:
        field = column.field
        return (
            str(number),
            column.name,
            self._engine.type(column),
            column.zh,
            column.en,
            "是 yes" if column.must or column.name in table.key else "",
            field.de if field else "",
            field.format if field else "",
            field.cardinality if field else "",
            _domain(field.value_set) if field else "",
            _example(table, column, example),
            _MARKS.get(field.confidence, field.confidence) if field else "",
            "",
        )

    def codes(self, kinds: Sequence[Kind]) -> None:
        page = self._book.add_worksheet("值域 codes")
        self._headings(page, 0, (("值域 value set", 26), ("名称 name", 30), ("代码 code", 12), ("含义 meaning", 30),
                                 ("可信度 confidence", 22)))  # fmt: skip
        row = 1
        for oid in sorted({field.value_set for kind in kinds for field in kind.fields if field.value_set}):
            table = value_set(oid)
            for entry in table.entries.values():
                cells = (table.id or table.oid, table.name_zh, entry.code, entry.name)
                for place, text in enumerate((*cells, _MARKS.get(entry.confidence, entry.confidence))):
                    page.write_string(row, place, text)
                row += 1
        page.freeze_panes(1, 0)
        page.autofilter(0, 0, max(row - 1, 1), 4)

    def _headings(self, page: Any, row: int, columns: Iterable[tuple[str, int]]) -> None:
        for place, (text, width) in enumerate(columns):
            page.write_string(row, place, text, self._head)
            page.set_column(place, place, width)


def _sheet_name(table: Table) -> str:
    return table.name[:31]


def _domain(oid: str) -> str:
    if not oid:
        return ""
    table = value_set(oid)
    return f"{table.id or table.oid} {table.name_zh}"


def _example(table: Table, column: Column, example: Record | None) -> str:
    if example is None or not column.alias:
        return ""
    rows = example.get(table.group) if table.group else [example]
    value = rows[0].get(column.alias) if isinstance(rows, list) and rows else None
    return value if isinstance(value, str) else ""
