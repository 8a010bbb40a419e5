"""The human-readable part of a section, made from its fields when the template is compiled.

A value of its own stands in a two-column table, a group in a table of its own. A value that has no slot in the entries stands
in a cell with an ID and is read back from there.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from frontend_agent.formats.template import Content, Element, RowId, Slot

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)\Z", re.ASCII)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\Z", re.ASCII)
_SHOWN = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?\Z", re.ASCII)
_NOT_DIGIT = re.compile(r"[- :]")

FLAGS = {"true": "是", "false": "否"}
_UNFLAGGED = {word: flag for flag, word in FLAGS.items()}

# How a field is shown: ("name", OID), ("time", ""), ("flag", "") or ("", "").
Showing = Callable[[str], tuple[str, str]]


@lru_cache(maxsize=4096)  # the items of one report share their times
def show_time(value: str) -> str:
    """`20260930081500` as a person reads it. Anything else as it is."""
    if found := _TIME.match(value):
        year, month, day, hour, minute, second = found.groups()
        return f"{year}-{month}-{day} {hour}:{minute}:{second}"
    if found := _DATE.match(value):
        return "-".join(found.groups())
    return value


def hide_time(shown: str) -> str:
    """The way back from show_time."""
    return _NOT_DIGIT.sub("", shown) if _SHOWN.match(shown) else shown


def hide_flag(shown: str) -> str:
    """The way back from a flag's word."""
    return _UNFLAGGED.get(shown, shown)


def section_text(
    text: Element,
    fields: Sequence[tuple[str, str]],
    groups: Sequence[tuple[str, str, Sequence[tuple[str, str]]]],
    showing: Showing,
) -> Element:
    """The filled `text` of a section: `fields` are (name, label), `groups` are (name, label, fields)."""
    slotless = text.narrative or ()

    def cell(name: str, group: str, when: tuple[str, ...] = ()) -> Element:
        shown, value_set = showing(name)
        if name not in slotless:
            return Element("td", text=Slot(name, shown, value_set, read=False), when=when, free=True)
        key = name.removeprefix(f"{group}.") if group else name
        identifier: Content = RowId(group, key) if group else name
        # A code that is read back from its cell stands there as it is.
        slot = Slot(name, shown if shown in ("time", "flag") else "")
        return Element("td", (("ID", identifier),), slot, when=when, free=True)

    parts: list[Element] = []
    if fields:
        rows = tuple(
            Element("tr", children=(Element("th", text=label), cell(name, "")), when=(name,), free=True)
            for name, label in fields
        )
        names = tuple(name for name, _ in fields)
        parts.append(Element("table", children=(Element("tbody", children=rows),), when=names, free=True))
    for group, label, columns in groups:
        head = Element("tr", children=tuple(Element("th", text=column) for _, column in columns))
        row = Element("tr", children=tuple(cell(name, group) for name, _ in columns), each=group, free=True)
        children = (
            Element("caption", text=label),
            Element("thead", children=(head,)),
            Element("tbody", children=(row,)),
        )
        parts.append(Element("table", children=children, when=(group,), free=True))
    return replace(text, children=tuple(parts), free=True)
