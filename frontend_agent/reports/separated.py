"""A report's tables as CSV: UTF-8 with a mark, so that a spreadsheet program opens it as it is meant."""

import csv
import io
from collections.abc import Iterator
from datetime import date

from frontend_agent.reports.report import Cell, Table

MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet program would compute these


def lines(table: Table) -> Iterator[str]:
    """Heading and rows. Rates are fractions, times are hours, days are ISO 8601."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([column.title for column in table.columns])
    yield MARK + buffer.getvalue()
    for row in table.rows:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([_cell(value) for value in row])
        yield buffer.getvalue()


def _cell(value: Cell) -> Cell:
    """What comes from a hospital's columns must not become a formula."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, date):
        return value.isoformat()
    return round(value, 6) if isinstance(value, float) else value
