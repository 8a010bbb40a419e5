"""A place of a template that a field fills, and what we know of it."""

from dataclasses import dataclass

from tools.kinds.tree import Node


@dataclass(eq=False)
class Slot:
    """A place in the order of the document.

    `sheet` are the names under which the printed list of fields may show it. `element` marks a row of that list that is no
    value but a heading; `again` a value that is written a second time; `shows` the field whose code's name stands here.
    """

    field: str
    zh: str = ""
    en: str = ""
    de: str = ""
    length: str = ""
    sheet: tuple[str, ...] = ()
    required: str = ""
    node: Node | None = None
    element: bool = False
    again: bool = False
    shows: str = ""
    section: str = ""
    entry: tuple[str, str] = ("", "")  # section and order in entries.csv
    confidence: str = ""
    group: str = ""
    note: str = ""
    group_names: tuple[str, str] = ("", "")  # of the group, in this kind


def without_doubles(slots: list[Slot]) -> list[Slot]:
    """Each field once: an observation of its own before a name beside a code."""
    own = {slot.field for slot in slots if slot.field and not slot.shows}
    seen: set[str] = set()
    kept = []
    for slot in slots:
        if slot.field and not slot.again:
            if slot.field in seen or (slot.shows and slot.field in own):
                continue
            seen.add(slot.field)
        kept.append(slot)
    return kept
