"""Lays the printed list of fields (fields.csv of the standard) beside the places of a template.

Both follow the document from top to bottom, so they are aligned like two texts: a row and a place belong together when their
data elements and names agree. What the order misses is matched by its data element and name alone; sheet.csv has the last word.
"""

import re
from dataclasses import dataclass

from rapidfuzz import fuzz

from tools.kinds import tables
from tools.kinds.slots import Slot

ENOUGH = 2.2  # below this a row and a place are strangers
SURE = 3.9  # what agrees so well belongs together, wherever it stands


@dataclass
class Match:
    """A row of the list: the place it belongs to, or why it has none."""

    row: tables.Row
    slot: Slot | None = None
    note: str = ""


def lay(kind: str, slots: list[Slot]) -> list[Match]:
    """Every row of the kind's list, with its place."""
    matches = [Match(row) for row in tables.national("sections/fields.csv", kind)]
    said = {row["seq"]: row for row in tables.own_for("sheet.csv", kind)}
    free = list(slots)
    for match in matches:
        told = said.get(match.row["seq"])
        if told is None:
            continue
        match.note = told["note"]
        match.slot = next((s for s in free if s.field == told["field"] and s.field), None)
        if match.slot:
            free.remove(match.slot)
    open_ = [m for m in matches if m.row["seq"] not in said]
    _in_order(open_, free)
    taken = {id(m.slot) for m in matches if m.slot}
    _anywhere([m for m in open_ if m.slot is None], [s for s in free if id(s) not in taken])
    _explain(matches)
    return matches


def score(slot: Slot, row: tables.Row) -> float:
    """How well a place and a row agree."""
    named = max((fuzz.ratio(_bare(name), _bare(row["field_name_zh"])) for name in slot.sheet if name), default=0) / 25
    if slot.element or (not slot.field and not slot.again):
        return named - (3 if row["de_code"] else 0)
    if not slot.de or not row["de_code"]:
        return named
    return named + (4 if slot.de == row["de_code"] else -1.5)


def _bare(name: str) -> str:
    """A name without what is written now this way and now that."""
    name = name.translate(str.maketrans("（），、／", "(),,/")).replace("标示", "标识").replace("编码", "代码")
    return re.sub(r"[\s“”\"‘’']|标识$|描述$|\(.*?\)", "", name)


def _in_order(matches: list[Match], slots: list[Slot]) -> None:
    """The best way to pair two sequences without crossing."""
    n, m = len(matches), len(slots)
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            pair = score(slots[j], matches[i].row)
            together = pair + best[i + 1][j + 1] if pair >= ENOUGH else -1.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], together)
    i = j = 0
    while i < n and j < m:
        pair = score(slots[j], matches[i].row)
        if pair >= ENOUGH and best[i][j] == pair + best[i + 1][j + 1]:
            matches[i].slot = slots[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1


def _anywhere(matches: list[Match], slots: list[Slot]) -> None:
    pairs = [(score(slot, match.row), i, j) for i, match in enumerate(matches) for j, slot in enumerate(slots)]
    rows: set[int] = set()
    places: set[int] = set()
    for good, i, j in sorted(pairs, reverse=True):
        if good >= SURE and i not in rows and j not in places:
            matches[i].slot = slots[j]
            rows.add(i)
            places.add(j)


def _explain(matches: list[Match]) -> None:
    """Why a row has no field of its own."""
    before: Slot | None = None
    headings = {m.row["parent_group_zh"] for m in matches}
    for match in matches:
        slot, row = match.slot, match.row
        if slot is not None and slot.field and not slot.again:
            before = slot
        elif match.note:
            pass
        elif slot is not None and slot.element:
            match.note = f"the element {slot.zh or row['field_name_zh']}"
        elif slot is not None and slot.again:
            match.note = f"{slot.field}, written a second time"
        elif slot is not None and slot.shows:
            match.note = f"displayName of {slot.shows}"
        elif before is not None and _is_name_of(row, before, matches):
            match.note = f"displayName of {before.field}"
        elif not row["de_code"] and (row["field_name_zh"] in headings or _heads(row, matches)):
            match.note = "the heading of the rows that follow it"


def _is_name_of(row: tables.Row, before: Slot, matches: list[Match]) -> bool:
    at = next(i for i, m in enumerate(matches) if m.row is row)
    follows = at > 0 and matches[at - 1].slot is before
    coded = before.node is not None and "code" in before.node.bound
    return follows and coded and ("名称" in row["field_name_zh"] or row["field_name_zh"].endswith("代码"))


def _heads(row: tables.Row, matches: list[Match]) -> bool:
    """Whether the next row is one of a group that this one names."""
    at = next(i for i, m in enumerate(matches) if m.row is row)
    if at + 1 >= len(matches):
        return False
    after = matches[at + 1].row
    name = re.sub("条目$|签名$", "", row["field_name_zh"])
    return bool(name) and (
        name in after["field_name_zh"] or name in after["group_note"] or "条目" in row["field_name_zh"]
    )
