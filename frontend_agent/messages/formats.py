"""One way to ask of every format: read a message, go through its records and rows, take the values at a path.

A node is a record or a row: an HL7 group, an XML element, a JSON value, a line of a table. Paths are checked when the mapping is read.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from frontend_agent.er7 import Decoded, MessageUnreadable, decode, field_path
from frontend_agent.er7 import Message as Er7
from frontend_agent.er7 import read as read_er7
from frontend_agent.er7.reader import Scope
from frontend_agent.errors import ConfigurationError
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import compile_path, json_tree, json_value, xml_tree, xml_value
from frontend_agent.workbooks import NoSuchSheet, NoWorkbook, sheet_rows

FORMATS = ("hl7v2", "xml", "json", "csv", "xlsx")
TABLES = ("csv", "xlsx")
WITH_INSIDE = ("xml", "json")
MOST_ROWS = 200_000
_HL7_NULL = '""'  # "delete what you have": for us, nothing is there

Node = Any
Values = Callable[[Node], Sequence[Any]]


class Options(msgspec.Struct, frozen=True):
    """What a sender's messages need to be told of them."""

    charset: str = ""
    delimiter: str = ","
    sheet: str = ""
    inside: str = ""


class Opened(Protocol):
    """One message."""

    problems: tuple[str, ...]

    def records(self, each: str) -> Sequence[Node]: ...
    def rows(self, each: str, record: Node) -> Sequence[Node]: ...
    def values(self, path: str) -> Values:
        """What takes the values at a path from a node: none that is empty. Made once for a message."""


class Format(Protocol):
    def check_path(self, path: str, where: str) -> None: ...
    def check_each(self, each: str, where: str) -> None: ...
    def read(self, content: bytes) -> Opened:
        """MessageUnreadable with every reason, which quotes nothing."""


def format_of(name: str, options: Options) -> Format:
    if name == "hl7v2":
        return _Hl7(options)
    if name in WITH_INSIDE:
        return _Trees(name, options)
    return _Tables(name, options)


def _checked(compile_: Callable[[str], Any], text: str, where: str) -> None:
    try:
        compile_(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


# -- HL7 v2 -----------------------------------------------------------------------------------------------------------

_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")


class _Hl7:
    def __init__(self, options: Options) -> None:
        self._charset = options.charset

    def check_path(self, path: str, where: str) -> None:
        _checked(field_path, path, where)

    def check_each(self, each: str, where: str) -> None:
        if not _SEGMENT.fullmatch(each):
            raise ConfigurationError(f"{where}: '{each}' is no segment (like OBR, OBX, DG1)")

    def read(self, content: bytes) -> "_Hl7Message":
        found = decode(content, self._charset)
        if not isinstance(found, Decoded):
            raise MessageUnreadable(*found.reasons)
        message = read_er7(found.text, found.charset)
        return _Hl7Message(message, message.problems + (() if found.is_certain else found.reasons))


class _Hl7Message:
    def __init__(self, message: Er7, problems: tuple[str, ...]) -> None:
        self._message, self.problems = message, problems

    def records(self, each: str) -> Sequence[Scope]:
        return self._message.groups(each) if each else [self._message.whole]

    def rows(self, each: str, record: Scope) -> Sequence[Scope]:
        return self._message.groups(each, record) or self._message.groups(each, Scope(record.above))

    def values(self, path: str) -> Values:
        get = self._message.getter(field_path(path))

        def values(scope: Scope) -> list[str]:
            found = get(scope)
            if not found:
                return found
            return [text for value in found if value != _HL7_NULL and (text := value.strip())]

        return values


# -- XML and JSON -----------------------------------------------------------------------------------------------------


class _Trees:
    def __init__(self, name: str, options: Options) -> None:
        self._name, self._inside = name, options.inside

    def check_path(self, path: str, where: str) -> None:
        _checked(lambda text: compile_path(self._name, text), path, where)

    check_each = check_path

    def read(self, content: bytes) -> "_Tree":
        read_tree, value_of = (xml_tree, xml_value) if self._name == "xml" else (json_tree, json_value)
        try:
            tree = read_tree(content)
            if self._inside:
                found = {str(value_of(node)) for node in compile_path(self._name, self._inside)(tree)}
                if len(found) != 1:
                    raise MessageUnreadable(f"{self._inside} finds {len(found)} texts that would be the message")
                tree = read_tree(found.pop())
        except Unreadable as error:
            raise MessageUnreadable(str(error)) from None
        return _Tree(self._name, tree)


class _Tree:
    problems: tuple[str, ...] = ()

    def __init__(self, name: str, tree: Any) -> None:
        self._name, self._tree = name, tree
        self._begin = "/" if name == "xml" else "$"
        self._value_of = xml_value if name == "xml" else json_value

    def records(self, each: str) -> Sequence[Node]:
        return self._find(each)(self._tree) if each else [self._tree]

    def rows(self, each: str, record: Node) -> Sequence[Node]:
        return self._find(each)(record)

    def values(self, path: str) -> Values:
        find = self._find(path)

        def values(node: Node) -> list[Any]:
            found = [self._value_of(one) for one in find(node)]
            found = [value.strip() if isinstance(value, str) else value for value in found]
            return [value for value in found if value not in (None, "")]

        return values

    def _find(self, path: str) -> Callable[[Node], list[Any]]:
        """A path that begins at the document is looked for there, also in a row."""
        find = compile_path(self._name, path)
        return (lambda _: find(self._tree)) if path.startswith(self._begin) else find


# -- tables -----------------------------------------------------------------------------------------------------------


class _Tables:
    """A path is a column's heading. Every line is a row of the record and of its details, as a join's would be."""

    def __init__(self, name: str, options: Options) -> None:
        self._name, self._options = name, options

    def check_path(self, path: str, where: str) -> None:
        """Whether there is such a column is known only with the table."""

    def check_each(self, each: str, where: str) -> None:
        raise ConfigurationError(f"{where}: every line of a table is a row; there is nothing to name")

    def read(self, content: bytes) -> "_Table":
        lines = _csv_lines(content, self._options) if self._name == "csv" else _xlsx_lines(content, self._options.sheet)
        if not lines:
            raise MessageUnreadable("a table without a line of headings")
        headings = [str(cell).strip() if cell is not None else "" for cell in lines[0]]
        while headings and not headings[-1]:
            headings.pop()
        reasons = [
            f"two columns are called by one name (column {n})"
            for n, one in enumerate(headings, 1)
            if one and one in headings[: n - 1]
        ]
        rows = []
        for number, cells in enumerate(lines[1:], 2):
            if any(cell not in (None, "") for cell in cells[len(headings) :]):
                reasons.append(f"line {number} has more cells than there are headings")
            elif any(cell not in (None, "") for cell in cells):
                rows.append(dict(zip(headings, cells, strict=False)))
        if reasons:
            raise MessageUnreadable(*reasons[:20])
        return _Table(headings, rows)


class _Table:
    problems: tuple[str, ...] = ()

    def __init__(self, headings: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        self._headings, self._rows = headings, rows

    def records(self, each: str) -> Sequence[Node]:
        return self._rows

    def rows(self, each: str, record: Node) -> Sequence[Node]:
        return [record]

    def values(self, path: str) -> Values:
        if path not in self._headings:
            raise MessageUnreadable(f"there is no column '{path}'")

        def values(row: Mapping[str, Any]) -> list[Any]:
            value = row.get(path)
            value = value.strip() if isinstance(value, str) else value
            return [] if value in (None, "") else [value]

        return values


def _csv_lines(content: bytes, options: Options) -> list[list[Any]]:
    found = decode(content, options.charset)
    if not isinstance(found, Decoded):
        raise MessageUnreadable(*found.reasons)
    reader = csv.reader(io.StringIO(found.text.lstrip("\ufeff"), newline=""), delimiter=options.delimiter, strict=True)
    lines: list[list[Any]] = []
    try:
        for line in reader:
            lines.append(line)
            _bounded(lines)
    except csv.Error:
        raise MessageUnreadable(f"no CSV at line {reader.line_num}: its quotes do not close") from None
    return lines


def _xlsx_lines(content: bytes, sheet: str) -> list[list[Any]]:
    lines: list[list[Any]] = []
    try:
        for row in sheet_rows(content, sheet):
            lines.append(list(row))
            _bounded(lines)
    except NoSuchSheet:
        raise MessageUnreadable("the workbook has no sheet of the name that the mapping says") from None
    except NoWorkbook as error:
        raise MessageUnreadable(str(error)) from None
    return lines


def _bounded(lines: Sequence[Any]) -> None:
    if len(lines) > MOST_ROWS:
        raise MessageUnreadable(f"more than {MOST_ROWS} lines")
