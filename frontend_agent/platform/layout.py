"""A view as a sheet of paper: what a doctor expects to find where. Pure; words come from the declaration, not from here.

The view lists every field. A person wants a doctor's name with the number behind it, the dose beside its unit, the one
result in one column, and what is the same in every row said once above the table.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from frontend_agent.formats.view import Label, Shown, View, ViewRow, ViewSection, ViewTable

BANNER = ("patient.name", "patient.sex", "patient.age", "patient.birth_date")  # first, in this order
LONG = 40  # characters from which a text is a paragraph
# What may be said once above a table when all rows agree: where and when, never a result.
SHARED = (
    "specimen", "specimen_state", "collected_at", "received_at", "tested_at", "date", "institution_name", "start", "end",
    "performed_at", "performer_name", "performer_department", "ordered_at", "orderer_name", "orderer_department",
    "reviewed_on", "reviewer_name", "state",
)  # fmt: skip
WIDEST = 10  # columns
LEADING = ("type", "content", "name")  # what a row is about
BESIDE = {"dose_unit": "dose", "total_unit": "total_dose"}  # a unit stands beside its number
ADDRESS = ("state", "city", "county", "township", "street", "house_number")  # as they are written in China
_UNIT = re.compile(r"\s*[（(]([^（()）]+)[)）]$")
ARROWS = {"high": "↑", "low": "↓", "abnormal": "※"}
_PLAIN_FLAGS = frozenset({"H", "L", "↑", "↓", "高", "低", "偏高", "偏低", "异常", "A"})


@dataclass(frozen=True)
class Fact:
    label: Label
    text: str


@dataclass(frozen=True)
class Signature:
    """Who stands for the document: role, name, number, time."""

    role: Label
    name: str
    number: str
    time: str


@dataclass(frozen=True)
class Column:
    field: str
    label: Label


@dataclass(frozen=True)
class Row:
    cells: tuple[str, ...]
    mark: str  # high, low, abnormal or empty


@dataclass(frozen=True)
class Table:
    caption: Label
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    shared: tuple[Fact, ...]  # the same in every row

    @property
    def too_wide(self) -> bool:
        """More columns than a sheet has room for: better one paragraph per row. Results stay a table, to be compared."""
        return len(self.columns) > WIDEST and "value" not in [column.field for column in self.columns]

    def entries(self) -> list[tuple[str, tuple[Fact, ...]]]:
        """Each row as a headline (its leading columns) and what else it says."""
        found = []
        for row in self.rows:
            said = [(column, cell) for column, cell in zip(self.columns, row.cells, strict=True) if cell]
            leading = " ".join(cell for column, cell in said if column.field in LEADING)
            rest = tuple(Fact(column.label, cell) for column, cell in said if column.field not in LEADING)
            found.append((leading, rest))
        return found


@dataclass(frozen=True)
class Section:
    title: Label
    facts: tuple[Fact, ...]
    texts: tuple[Fact, ...]  # long ones
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Sheet:
    title: Label
    institution: str
    name: str
    banner: tuple[Fact, ...]
    facts: tuple[Fact, ...]
    signatures: tuple[Signature, ...]
    sections: tuple[Section, ...]
    silent: tuple[Label, ...]  # sections of the kind about which this document says nothing


def lay_out(view: View) -> Sheet:
    by_name = {shown.field: shown for shown in view.banner}
    order = {name: place for place, name in enumerate(BANNER)}
    banner = sorted(view.banner, key=lambda shown: order.get(shown.field, len(order)))
    signers = _signers(view.header)
    rest = [shown for shown in view.header if _prefix(shown) not in (*signers, "institution")]
    return Sheet(
        title=view.title,
        institution=view.institution,
        name=by_name["patient.name"].text if "patient.name" in by_name else "",
        banner=_plain([shown for shown in banner if shown.field != "patient.name"]),
        facts=_facts(rest),
        signatures=tuple(_signature(view.header, signer) for signer in signers),
        sections=tuple(_section(section) for section in view.sections if not section.empty),
        silent=tuple(section.title for section in view.sections if section.empty),
    )


def _prefix(shown: Shown) -> str:
    return shown.field.rpartition(".")[0]


def _signers(header: Sequence[Shown]) -> list[str]:
    """A signer is what has a time and a name or a number."""
    fields = {shown.field for shown in header}
    timed = [_prefix(shown) for shown in header if shown.field.endswith(".time")]
    return [one for one in timed if {f"{one}.name", f"{one}.id"} & fields]


def _signature(header: Sequence[Shown], signer: str) -> Signature:
    parts = {shown.field.rpartition(".")[2]: shown for shown in header if _prefix(shown) == signer}
    name, number, time = (parts[part].text if part in parts else "" for part in ("name", "id", "time"))
    role = parts["name"].label if "name" in parts else parts["id"].label
    return Signature(role, name, number, time)


def _facts(shown: Sequence[Shown]) -> tuple[Fact, ...]:
    """Labelled values; a number or a code goes behind its name instead of standing alone."""
    names = {one.field: one for one in shown}
    kept = []
    for one in shown:
        if _behind(one.field, names):
            continue
        extra = next((names[field].text for field in _numbers(one.field) if field in names), "")
        kept.append(replace(one, text=f"{one.text} ({extra})") if extra else one)
    return _plain(kept)


def _plain(shown: Sequence[Shown]) -> tuple[Fact, ...]:
    """The parts of an address as one line, where its first part stood; a unit is said once, behind its number."""
    parts = {(_prefix(one), _last(one)): one for one in shown if _last(one) in ADDRESS}
    whose = {who for who, part in parts if part in ("street", "city", "state")}
    facts, told = [], set()
    for one in shown:
        who = _prefix(one)
        if _last(one) in ADDRESS and who in whose:
            if who not in told:
                told.add(who)
                written = "".join(parts[who, part].text for part in ADDRESS if (who, part) in parts)
                facts.append(Fact(_whole(one.label), written))
        else:
            facts.append(Fact(_without_unit(one.label, one.text), one.text))
    return tuple(facts)


def _last(shown: Shown) -> str:
    return shown.field.rpartition(".")[2]


def _whole(label: Label) -> Label:
    """现住址-门牌号码 -> 现住址."""
    return Label(label.zh.partition("-")[0], label.en.partition(",")[0])


def _without_unit(label: Label, text: str) -> Label:
    """体温（℃） 36.8 ℃ -> 体温 36.8 ℃."""
    found = _UNIT.search(label.zh)
    return Label(label.zh[: found.start()], label.en) if found and text.endswith(" " + found[1].strip()) else label


def _numbers(field: str) -> tuple[str, ...]:
    """The fields that number or code what this one names."""
    if not field.endswith("name"):
        return ()
    stem = field.removesuffix("name")
    return (stem + "id", stem + "code")


def _behind(field: str, names: dict[str, Shown]) -> bool:
    for ending in ("id", "code"):
        if field.endswith(("." + ending, "_" + ending)) and field.removesuffix(ending) + "name" in names:
            return True
    return False


def _section(section: ViewSection) -> Section:
    facts = _facts(section.values)
    return Section(
        title=section.title,
        facts=tuple(fact for fact in facts if not _is_long(fact)),
        texts=tuple(fact for fact in facts if _is_long(fact)),
        tables=tuple(_table(table) for table in section.tables),
    )


def _is_long(fact: Fact) -> bool:
    return len(fact.text) > LONG or "\n" in fact.text


def _table(table: ViewTable) -> Table:
    columns = [Column(name.partition(".")[2], label) for name, label in zip(table.fields, table.columns, strict=True)]
    rows = [dict(zip((column.field for column in columns), row.cells, strict=True)) for row in table.rows]
    columns = _joined(columns, rows)
    shared = [column for column in columns if len(rows) > 1 and column.field in SHARED and _agree(rows, column.field)]
    kept = tuple(column for column in columns if column not in shared)
    return Table(
        caption=table.caption,
        columns=kept,
        rows=tuple(_row(row, cells, kept) for row, cells in zip(table.rows, rows, strict=True)),
        shared=tuple(Fact(column.label, rows[0][column.field]) for column in shared),
    )


def _agree(rows: Sequence[dict[str, str]], field: str) -> bool:
    return bool(rows[0][field]) and len({row[field] for row in rows}) == 1


def _joined(columns: list[Column], rows: Sequence[dict[str, str]]) -> list[Column]:
    """Columns that belong together become one; the rows are changed with them."""
    names = {column.field for column in columns}
    gone = set()
    for field in names:
        number = BESIDE.get(field)
        if number in names:
            gone.add(field)
            _join(rows, number, field, "{} {}")
        elif field.endswith("_id") and (name := field.removesuffix("id") + "name") in names:
            gone.add(field)
            _join(rows, name, field, "{} ({})")
    if {"value", "text_value"} <= names:
        gone.add("text_value")
        for row in rows:
            row["value"] = " ".join(filter(None, (row["value"], row["text_value"])))
    return [column for column in columns if column.field not in gone]


def _join(rows: Sequence[dict[str, str]], first: str, second: str, pattern: str) -> None:
    for row in rows:
        both = row[first] and row[second]
        row[first] = pattern.format(row[first], row[second]) if both else row[first] or row[second]


def _row(row: ViewRow, cells: dict[str, str], columns: Sequence[Column]) -> Row:
    """An abnormal result is said in words and an arrow, not by colour alone."""
    if row.mark:
        arrow, flag = ARROWS[row.mark], cells.get("abnormal_flag", "")
        result = next((field for field in ("value", "text_value", "result") if cells.get(field)), "")
        if result:
            cells[result] += f" {arrow}"
        if "abnormal_flag" in cells:
            cells["abnormal_flag"] = "" if flag.upper() in _PLAIN_FLAGS else flag
    return Row(tuple(cells[column.field] for column in columns), row.mark)
