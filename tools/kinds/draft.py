"""Draft kinds: `python -m tools.kinds.draft C0034 C0052`, or all that are not made by hand.

Writes `<KIND>.xml`, `<KIND>.fields.csv`, `<KIND>.decisions.csv` into cda_templates/. Says what it has no reason for.
"""

import csv
import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from frontend_agent.formats.template import read_template
from tools.kinds import tables
from tools.kinds.body import draft_body
from tools.kinds.decide import decide
from tools.kinds.fields import COLUMNS, field_rows
from tools.kinds.header import draft_header
from tools.kinds.sheet import lay
from tools.kinds.slots import Slot, without_doubles
from tools.kinds.write import template


@dataclass(frozen=True)
class Draft:
    """The three files of a kind, as text."""

    template: str
    fields: str
    decisions: str


def draft(kind: str) -> Draft:
    """A kind from the national tables and ours."""
    header = draft_header(kind)
    sections = draft_body(kind)
    slots = without_doubles([*header.slots, *(slot for section in sections for slot in section.slots)])
    _name_in_english(slots)
    xml = template(kind, header.elements, sections)
    parsed = read_template(f"{kind}.xml", xml)
    matches = lay(kind, slots)
    rows = field_rows(kind, slots, matches, parsed)
    decisions = decide(kind, parsed, matches, rows)
    return Draft(
        xml,
        _csv(COLUMNS.split(","), (row.row() for row in rows)),
        _csv(["table", "key", "decision", "reason", "confidence"], (decision.row() for decision in decisions)),
    )


def _name_in_english(slots: list[Slot]) -> None:
    """A name beside a code is called after the code."""
    by_name = {slot.field: slot for slot in slots if slot.field}
    for slot in slots:
        if slot.field and not slot.en and slot.shows in by_name:
            slot.en = f"{by_name[slot.shows].en.removesuffix(' code').removesuffix(', code')} (name)"
        slot.zh = slot.zh or slot.field
        slot.en = slot.en or slot.field


def _csv(columns: list[str], rows: Iterable[list[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def documents() -> str:
    """documents.csv: the kinds made by hand as they are, the drafted ones that have a template from the national table."""
    path = tables.TEMPLATES / "documents.csv"
    rows = {row["code"]: row for row in tables.read(path)}
    columns = list(next(iter(rows.values())))
    for own in tables.own("kinds.csv"):
        if (tables.TEMPLATES / f"{own['code']}.xml").is_file():
            rows[own["code"]] = _document(own, tables.documents()[own["code"]])
    return _csv(columns, ([rows[code][column] for column in columns] for code in sorted(rows)))


def _document(own: tables.Row, national: tables.Row) -> tables.Row:
    basis = national["name_zh_basis"]
    unseen = "" if basis == "published" else f"name_zh is not from a published list but from {basis}"
    note = "; ".join(part for part in (national["note"], unseen) if part)
    return {**national, **own, "note": note}


def main(kinds: list[str]) -> None:
    """Draft the named kinds, or all."""
    for kind in kinds or tables.drafted_kinds():
        made = draft(kind)
        (tables.TEMPLATES / f"{kind}.xml").write_text(made.template, encoding="utf-8")
        (tables.TEMPLATES / f"{kind}.fields.csv").write_text(made.fields, encoding="utf-8")
        (tables.TEMPLATES / f"{kind}.decisions.csv").write_text(made.decisions, encoding="utf-8")
    (tables.TEMPLATES / "documents.csv").write_text(documents(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
