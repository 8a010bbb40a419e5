"""The one place where a workbook (.xlsx) from outside is read: bounded before it is unpacked, and broken in one way only."""

import io
from collections.abc import Iterator
from typing import Any
from zipfile import ZipFile

MOST_UNPACKED = 256 * 1024 * 1024  # bytes of a workbook once it is unpacked (threat C6)


class NoWorkbook(ValueError):
    """It cannot be read. The sentence quotes nothing of it."""


class NoSuchSheet(ValueError):
    """It has no sheet of that name. `names`: those that it has."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("the workbook has no sheet of that name")
        self.names = names


def sheet_rows(content: bytes, sheet: str = "", else_first: bool = False) -> Iterator[tuple[Any, ...]]:
    """The rows of one sheet (of the first, without a name), cell values as openpyxl gives them.

    `else_first`: the first sheet where there is none of that name, instead of NoSuchSheet. NoWorkbook for everything that is no
    workbook, now or at a later row.
    """
    from openpyxl import load_workbook  # not at the top: few sites read workbooks, and it takes a tenth of a second

    try:
        with ZipFile(io.BytesIO(content)) as packed:
            if sum(one.file_size for one in packed.infolist()) > MOST_UNPACKED:
                raise NoWorkbook(f"a workbook of more than {MOST_UNPACKED} bytes once it is unpacked")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        names = book.sheetnames
        if sheet and sheet not in names and not else_first:
            raise NoSuchSheet(names)
        yield from book[sheet if sheet in names else names[0]].iter_rows(values_only=True)
    except (NoWorkbook, NoSuchSheet):
        raise
    except Exception:  # noqa: BLE001  openpyxl, zipfile and the XML below them say in many ways that a workbook is broken
        raise NoWorkbook("no workbook (.xlsx) that can be read") from None
