"""A record as a person reads it: what the platform's page and the CLI's preview show. Chinese first, English beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from frontend_agent.formats.enclosed import DATA, SHA256
from frontend_agent.formats.kind import Field, Kind
from frontend_agent.formats.narrative import FLAGS, show_time
from frontend_agent.formats.value_sets import value_set
from frontend_agent.model import Record


class Label(NamedTuple):
    """The same words in both languages."""

    zh: str
    en: str


@dataclass(frozen=True)
class Shown:
    """One labelled value. `raw` is the record's own text, `text` what a person reads."""

    field: str
    label: Label
    text: str
    raw: str


@dataclass(frozen=True)
class ViewRow:
    """One row of a table. `mark` is empty, or `high`, `low` or `abnormal`."""

    cells: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True)
class ViewTable:
    """A group's rows. A column that no row fills is left out."""

    group: str
    caption: Label
    fields: tuple[str, ...]
    columns: tuple[Label, ...]
    rows: tuple[ViewRow, ...]


@dataclass(frozen=True)
class ViewSection:
    """A section of the body. `empty` is a section about which the record says nothing."""

    code: str
    title: Label
    values: tuple[Shown, ...]
    tables: tuple[ViewTable, ...]

    @property
    def empty(self) -> bool:
        return not self.values and not self.tables


@dataclass(frozen=True)
class View:
    """A whole document: the patient's banner, the rest of the header, the sections."""

    kind: str
    title: Label
    institution: str
    banner: tuple[Shown, ...]
    header: tuple[Shown, ...]
    sections: tuple[ViewSection, ...]
    header_tables: tuple[ViewTable, ...] = ()  # who took part in a discussion


UNREADABLE = frozenset({DATA, SHA256})  # a wrapped scan is opened, its bytes are nothing to read

# What laboratories print beside a result; anything else that is not said to be normal is abnormal.
_HIGH = frozenset({"H", "HH", "↑", "↑↑", "高", "偏高"})
_LOW = frozenset({"L", "LL", "↓", "↓↓", "低", "偏低"})
_NORMAL = frozenset({"N", "正常", "-", "M"})
_ABNORMAL_RESULT = "2"  # table 2.16.156.10011.2.3.2.38


def view(kind: Kind, record: Record) -> View:
    """What a record of a kind says, ready to be laid out."""
    header = [f for f in kind.fields if not f.section_code and f.name in record and f.name not in UNREADABLE]
    banner = [f for f in header if f.name.startswith("patient.")]
    rest = [f for f in header if f not in banner]
    return View(
        kind=kind.code,
        title=Label(kind.title, kind.name_en),
        institution=record.get("institution.name", ""),
        banner=tuple(_shown(f, record[f.name]) for f in banner),
        header=tuple(_shown(f, record[f.name]) for f in rest),
        sections=tuple(
            ViewSection(
                code=section.code,
                title=Label(section.title_zh, section.title_en),
                values=tuple(_shown(kind.field(name), record[name]) for name in section.fields if name in record),
                tables=tuple(_table(kind, name, record[name]) for name in section.groups if record.get(name)),
            )
            for section in kind.sections
        ),
        header_tables=tuple(
            _table(kind, group.name, record[group.name])
            for group in kind.groups.values()
            if not group.section_code and record.get(group.name)
        ),
    )


def show(field: Field, value: str) -> str:
    """A value as a person reads it: the name of a code, a time, a number with its unit."""
    if field.value_type == "TS":
        return show_time(value)
    if field.value_type == "BL":
        return FLAGS.get(value, value)
    if field.value_set:
        return value_set(field.value_set).name(value) or value
    return f"{value} {field.unit}" if field.unit else value


def _shown(field: Field, value: str) -> Shown:
    return Shown(field.name, Label(field.name_zh, field.name_en), show(field, value), value)


def _table(kind: Kind, name: str, rows: Sequence[Mapping[str, str]]) -> ViewTable:
    group = kind.groups[name]
    used = [f for f in group.fields if any(row.get(f.key) for row in rows)]
    return ViewTable(
        group=name,
        caption=Label(group.name_zh, group.name_en),
        fields=tuple(f.name for f in used),
        columns=tuple(Label(f.name_zh, f.name_en) for f in used),
        rows=tuple(
            ViewRow(tuple(show(f, row[f.key]) if row.get(f.key) else "" for f in used), _mark(row)) for row in rows
        ),
    )


def _mark(row: Mapping[str, str]) -> str:
    flag = row.get("abnormal_flag", "").strip().upper()
    if flag in _HIGH:
        return "high"
    if flag in _LOW:
        return "low"
    if (flag and flag not in _NORMAL) or row.get("result_code") == _ABNORMAL_RESULT:
        return "abnormal"
    return ""
