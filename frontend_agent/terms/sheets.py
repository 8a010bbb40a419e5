"""The worklist as a spreadsheet for the department that knows, and back. Pure: values and bytes in, values and bytes out.

A sheet has one line per local code, what it may mean, and three columns to fill in: the target (a drop-down of the codes
that are valid), the decision, and who decides. Reading one back finds every problem and says in which cell.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from frontend_agent.codes import bare_cell, safe_cell
from frontend_agent.terms.said import Said, said
from frontend_agent.workbooks import NoWorkbook, sheet_rows

SHEET, CODES = "对照 terms", "代码 codes"

# Our word, the heading in both languages, the width in characters.
COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("table", "对照表 table", 22),
    ("value_set", "值域 value set", 22),
    ("code", "本地代码 code", 14),
    ("name", "本地名称 text", 22),
    ("count", "记录数 count", 10),
    ("examples", "示例主键 examples", 30),
    ("first_seen", "首次出现 first seen", 18),
    ("proposals", "建议 proposals", 44),
    ("target", "标准代码 target", 26),
    ("decision", "决定 decision", 18),
    ("by", "决定人 by", 14),
    ("reason", "理由 reason", 26),
)
_HEADINGS = {word: heading for word, heading, _ in COLUMNS}
NEEDED = ("table", "code", "target", "decision")
APPROVE, REJECT = "批准 approve", "不对照 reject"
_DECISIONS = {
    **dict.fromkeys((APPROVE, "批准", "approve", "是", "同意"), "approve"),
    **dict.fromkeys((REJECT, "不对照", "reject", "否", "拒绝"), "reject"),
}


class Line(msgspec.Struct, frozen=True):
    """One decided line of a sheet, and the cells that a problem with it would be in."""

    table: str
    code: str
    target: str  # empty: rejected
    by: str
    reason: str
    cells: Mapping[str, str]  # our column word -> `J7`


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a cell."""

    cell: str
    text: Said


# -- out --------------------------------------------------------------------------------------------------------------


def rows_of(worklist: Iterable[Mapping[str, Any]]) -> list[list[str | int]]:
    """The lines of the worklist as cells."""
    return [
        [
            one["table"],
            f"{one['value_set_name']} {one['value_set']}".strip(),
            one["code"],
            one["name"],
            one["count"],
            "、".join(one["examples"]),
            str(one["first_seen"])[:16].replace("T", " "),
            "；".join(f"{p['code']} {p['name']}（{p['score']} {p['why']}）" for p in one["proposals"]),
            _said(one["proposals"][0]) if one["proposals"] and one["proposals"][0]["score"] >= 95 else "",
            "",
            "",
            "",
        ]
        for one in worklist
    ]


def _said(target: Mapping[str, Any]) -> str:
    return f"{target['code']} {target['name']}"


def to_csv(rows: Iterable[Sequence[str | int]]) -> bytes:
    """UTF-8 with a mark at its start, so that a spreadsheet program reads it as that."""
    return csv_bytes([heading for _, heading, _ in COLUMNS], rows)


def csv_bytes(heading: Sequence[str], rows: Iterable[Sequence[str | int]]) -> bytes:
    """Rows as CSV in UTF-8 with a mark; no cell begins what a spreadsheet would take for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(heading)
    writer.writerows([safe_cell(str(cell)) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def to_xlsx(rows: Sequence[Sequence[str | int]], targets: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    """A workbook: the worklist with drop-downs, and beside it the codes that may be chosen, one column per map."""
    book = Workbook()
    sheet = book.active
    sheet.title = SHEET
    for column, (_, heading, width) in enumerate(COLUMNS, 1):
        sheet.column_dimensions[get_column_letter(column)].width = width
        _text_cell(sheet, 1, column, heading).font = Font(bold=True)
    for number, row in enumerate(rows, 2):
        for column, value in enumerate(row, 1):
            cell = _text_cell(sheet, number, column, value)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if COLUMNS[column - 1][0] in ("target", "decision", "by", "reason"):
                cell.fill = PatternFill("solid", fgColor="FFF7D6")
    sheet.freeze_panes = "E2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(COLUMNS))}{len(rows) + 1}"
    _drop_down(sheet, "decision", f'"{APPROVE},{REJECT}"', range(2, len(rows) + 2))
    _offer(book, sheet, rows, targets)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _offer(book: Any, sheet: Any, rows: Sequence[Sequence[str | int]], targets: Mapping[str, Any]) -> None:
    codes = book.create_sheet(CODES)
    for column, (table, pairs) in enumerate(targets.items(), 1):
        if not pairs:  # a table too long to be looked through: what is typed is checked when it comes back
            continue
        letter = get_column_letter(column)
        codes.column_dimensions[letter].width = 30
        _text_cell(codes, 1, column, table).font = Font(bold=True)
        for number, (code, name) in enumerate(pairs, 2):
            _text_cell(codes, number, column, f"{code} {name}")
        lines = [number for number, row in enumerate(rows, 2) if row[0] == table]
        _drop_down(sheet, "target", f"'{CODES}'!${letter}$2:${letter}${len(pairs) + 1}", lines)


def _drop_down(sheet: Any, column: str, formula: str, lines: Iterable[int]) -> None:
    validation = DataValidation(type="list", formula1=formula, allow_blank=True, showErrorMessage=True)
    letter = get_column_letter(1 + [word for word, _, _ in COLUMNS].index(column))
    for line in lines:
        validation.add(f"{letter}{line}")
    if validation.sqref:
        sheet.add_data_validation(validation)


def _text_cell(sheet: Any, row: int, column: int, value: str | int) -> Any:
    """A cell that stays what it is: `01` no number, `=…` no formula."""
    cell = sheet.cell(row, column)
    if isinstance(value, int):
        cell.value = value
    else:
        cell.value = "".join(c for c in value if c >= " ")
        cell.data_type = "s"
        cell.number_format = "@"
    return cell


# -- back -------------------------------------------------------------------------------------------------------------


def read_lines(content: bytes, is_csv: bool) -> tuple[list[Line], list[Problem]]:
    """The decided lines of a filled-in sheet, and everything that is wrong with it. Lines nobody decided on are passed over."""
    try:
        grid = _csv_grid(content) if is_csv else _xlsx_grid(content)
    except (NoWorkbook, UnicodeDecodeError, csv.Error):
        return [], [Problem("", said("not_csv" if is_csv else "not_xlsx"))]
    if not grid:
        return [], [Problem("", said("empty"))]
    places = _places(grid[0])
    missing = [word for word in NEEDED if word not in places]
    if missing:
        return [], [Problem("A1", said("lacks", ", ".join(_HEADINGS[word] for word in missing)))]
    lines: list[Line] = []
    problems: list[Problem] = []
    for number, row in enumerate(grid[1:], 2):
        values = {word: row[at] if at < len(row) else "" for word, at in places.items()}
        cells = {word: f"{get_column_letter(at + 1)}{number}" for word, at in places.items()}
        if not values["decision"] and not (values["target"] and values.get("by")):
            continue
        line, wrong = _line(values, cells)
        problems += wrong
        if not wrong:
            lines.append(line)
    return lines, problems


def _line(values: Mapping[str, str], cells: Mapping[str, str]) -> tuple[Line, list[Problem]]:
    decision = _DECISIONS.get(values["decision"].casefold(), "")
    target = values["target"].split(" ")[0]
    problems = []
    if not values["decision"]:
        problems.append(Problem(cells["decision"], said("no_decision")))
    elif not decision:
        problems.append(Problem(cells["decision"], said("which_decision", values["decision"], APPROVE, REJECT)))
    if decision == "approve" and not target:
        problems.append(Problem(cells["target"], said("no_target")))
    for word in ("table", "code"):
        if not values[word]:
            problems.append(Problem(cells[word], said(f"empty_{word}")))
    if decision == "reject":
        target = ""
    return Line(
        values["table"], values["code"], target, values.get("by", ""), values.get("reason", ""), cells
    ), problems


def _places(heading: Sequence[str]) -> dict[str, int]:
    """Which column is which: by our heading, or by either half of it."""
    known = {
        name: word for word, said, _ in COLUMNS for name in (word, said, said.split(" ")[0], said.partition(" ")[2])
    }
    return {known[name.strip()]: at for at, name in enumerate(heading) if name.strip() in known}


def _csv_grid(content: bytes) -> list[list[str]]:
    return [[bare_cell(cell.strip()) for cell in row] for row in csv.reader(io.StringIO(content.decode("utf-8-sig")))]


def _xlsx_grid(content: bytes) -> list[list[str]]:
    return [[_text(value) for value in row] for row in sheet_rows(content, SHEET, else_first=True)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
