"""A report as a workbook, row by row: memory does not grow with it.

XlsxWriter's constant-memory mode writes one row after the other into a temporary file. Long tables (a million findings) go
into that file as finished rows: a cell by XlsxWriter's own calls costs four microseconds, and most cells of such a table
repeat a few texts. The file is the same either way, and the tests read it back with another library.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from html import escape
from itertools import chain, islice
from typing import Any, BinaryIO

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from frontend_agent.reports.report import Cell, Chart, Column, Report, Table

ROWS = 1_048_576  # of a sheet
_EPOCH = date(1899, 12, 30)  # day 0 of a workbook's dates
_REMEMBERED = 50_000  # texts of a long table
_CHART_ROWS = 21
_FORMATS: dict[str, dict[str, Any]] = {
    "text": {},
    "count": {"num_format": "#,##0"},
    "rate": {"num_format": "0.00%"},
    "hours": {"num_format": "#,##0.00"},
    "score": {"num_format": "0.00"},
    "day": {"num_format": "yyyy-mm-dd"},
}
_HEADING = {"bold": True, "bg_color": "#DCE6F1", "border": 1, "text_wrap": True, "valign": "top"}


def write(report: Report, file: BinaryIO, temporary: str) -> None:
    """Write the workbook. `temporary` is the folder for the rows while they are written: as large as the sheets are."""
    options = {
        "constant_memory": True, "tmpdir": temporary, "strings_to_formulas": False, "strings_to_urls": False,
        "strings_to_numbers": False,
    }  # fmt: skip
    with xlsxwriter.Workbook(file, options) as book:
        book.set_properties({"title": report.title, "comments": " · ".join(f"{a}: {b}" for a, b in report.about)})
        writer = _Writer(book)
        for table in report.tables:
            writer.table(table, report if table is report.tables[0] else None)
        if report.charts:
            writer.charts(report.charts_title, report.charts)


class _Writer:
    def __init__(self, book: Any) -> None:
        self._book = book
        self._formats = {name: book.add_format(form) for name, form in _FORMATS.items()}
        self._heading = book.add_format(_HEADING)
        self._bold = book.add_format({"bold": True, "font_size": 14})

    def table(self, table: Table, about: Report | None) -> None:
        """A table, on as many sheets as it needs. The first of a report says what the report is."""
        rows = iter(table.rows)
        number = 1
        while True:
            sheet = self._book.add_worksheet(f"{table.title} {number}" if number > 1 else table.title)
            top = self._opening(sheet, about, table) if number == 1 else 0
            self._head(sheet, top, table.columns)
            room = ROWS - top - 1
            put = _put_long if table.long else _put
            written = put(self, sheet, top + 1, table.columns, islice(rows, room))
            sheet.autofilter(top, 0, top + max(written, 1), len(table.columns) - 1)
            first = next(rows, None) if written == room else None
            if first is None:
                return
            rows = chain([first], rows)
            number += 1

    def _opening(self, sheet: Any, about: Report | None, table: Table) -> int:
        """What stands above the table; where its heading goes."""
        top = 0
        if about is not None:
            sheet.write_string(top, 0, about.title, self._bold)
            for top, (label, value) in enumerate(about.about, start=1):
                sheet.write_string(top, 0, label)
                sheet.write_string(top, 1, value)
            top += 1
        for note in [*(about.notes if about else ()), *table.notes]:
            sheet.write_string(top, 0, note)
            top += 1
        return top + 1 if top else 0

    def _head(self, sheet: Any, top: int, columns: Sequence[Column]) -> None:
        for at, column in enumerate(columns):
            sheet.set_column(at, at, column.width, self._formats[column.kind])
            sheet.write_string(top, at, column.title, self._heading)
        sheet.freeze_panes(top + 1, 1)

    def put(self, sheet: Any, row: int, at: int, column: Column, value: Cell) -> None:
        form = self._formats[column.kind]
        if value is None:
            return
        if isinstance(value, str):
            sheet.write_string(row, at, value, form)
        elif isinstance(value, date):
            sheet.write_number(row, at, (value - _EPOCH).days, form)
        else:
            sheet.write_number(row, at, value, form)

    def index(self, kind: str) -> int:
        return int(self._formats[kind]._get_xf_index())

    # --- charts -------------------------------------------------------------------------------------------------------

    def charts(self, title: str, charts: Sequence[Chart]) -> None:
        """One sheet of small tables, each with a chart that the reader's own program draws of it."""
        sheet = self._book.add_worksheet(title)
        sheet.set_column(0, 0, 34)
        top = 0
        for chart in charts:
            self._chart(sheet, top, chart)
            top += max(len(chart.labels), _CHART_ROWS) + 3

    def _chart(self, sheet: Any, top: int, chart: Chart) -> None:
        sheet.write_string(top, 0, chart.title, self._heading)
        for at, (name, _) in enumerate(chart.series, start=1):
            sheet.write_string(top, at, name, self._heading)
        form = self._formats["rate" if chart.rate else "hours"]
        for row, label in enumerate(chart.labels):
            sheet.write_string(top + 1 + row, 0, label)
            for at, (_, values) in enumerate(chart.series, start=1):
                value = values[row]
                if value is not None:
                    sheet.write_number(top + 1 + row, at, value, form)
        drawn = self._book.add_chart({"type": "line" if chart.shape == "lines" else "bar"})
        first, last = top + 1, top + len(chart.labels)
        for at in range(1, len(chart.series) + 1):
            drawn.add_series({
                "name": [sheet.name, top, at],
                "categories": [sheet.name, first, 0, last, 0],
                "values": [sheet.name, first, at, last, at],
            })  # fmt: skip
        drawn.set_title({"name": chart.title})
        drawn.set_size({"width": 900, "height": 20 * _CHART_ROWS})
        sheet.insert_chart(top, len(chart.series) + 2, drawn)


def _put(writer: _Writer, sheet: Any, top: int, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    written = 0
    for row in rows:
        for at, (column, value) in enumerate(zip(columns, row, strict=True)):
            writer.put(sheet, top + written, at, column, value)
        written += 1
    return written


# --- long tables ------------------------------------------------------------------------------------------------------


def _put_long(writer: _Writer, sheet: Any, top: int, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    """Finished rows into the sheet's own file, behind what XlsxWriter has written so far."""
    sheet._write_single_row(top)  # the heading is still in its hands
    put = sheet.fh.write
    written = 0
    forms = [(xl_col_to_name(at), writer.index(column.kind)) for at, column in enumerate(columns)]
    for line in _lines(forms, top + 1, rows):
        put(line)
        written += 1
    if written:
        sheet.dim_rowmax = top + written - 1
        sheet.dim_colmax = len(columns) - 1
    return written


def _lines(forms: Sequence[tuple[str, int]], first: int, rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Each row as it stands in the sheet. Texts are remembered with their marks: most of them come again."""
    known: dict[str, str] = {}
    for number, row in enumerate(rows, start=first):
        cells = [f'<row r="{number}">']
        for (column, form), value in zip(forms, row, strict=True):
            if value is None or value == "":
                continue
            if isinstance(value, str):
                text = known.get(value)
                if text is None:
                    if len(known) >= _REMEMBERED:
                        known.clear()
                    text = known[value] = _text(value)
                cells.append(f'<c r="{column}{number}" s="{form}" t="inlineStr"><is>{text}</is></c>')
            else:
                plain = (value - _EPOCH).days if isinstance(value, date) else value
                cells.append(f'<c r="{column}{number}" s="{form}"><v>{plain!r}</v></c>')
        cells.append("</row>")
        yield "".join(cells)


def _text(value: str) -> str:
    """Characters that XML does not know are written as the format does it: _x0007_."""
    safe = "".join(c if c in "\t\n\r" or " " <= c not in "\ufffe\uffff" else f"_x{ord(c):04X}_" for c in value)
    space = ' xml:space="preserve"' if safe != safe.strip() else ""
    return f"<t{space}>{escape(safe, quote=False)}</t>"
