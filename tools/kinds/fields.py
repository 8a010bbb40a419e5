"""The table of a kind's fields: what the sheet prints of each, and what must be there."""

import re
from dataclasses import dataclass

from frontend_agent.formats.template import Template
from tools.kinds import tables
from tools.kinds.sheet import Match
from tools.kinds.slots import Slot

COLUMNS = "field,required,name_zh,name_en,de_code,length,seq,printed_name,printed_cardinality,group_cardinality,confidence,note"
# Codes whose printed length is shorter than every real code (rules.md, section 1).
TOO_SHORT = {
    "DE05.01.024.00": "real ICD-10 codes with the Chinese extension are longer",
    "DE05.01.021.00": "real ICD-10 codes with the Chinese extension are longer",
    "DE05.01.078.00": "real ICD-10 codes with the Chinese extension are longer",
    "DE05.10.130.00": "the 2021 edition of the TCM table has longer codes",
    "DE06.00.093.00": "real ICD-9-CM-3 codes with the Chinese extension are longer",
    "DE06.00.093.01": "real ICD-9-CM-3 codes with the Chinese extension are longer",
    "DE06.00.186.00": "samples print four digits",
    "DE08.50.011.00": "CV08.50.002 has four-digit codes below the first level",
}
CARDINALITY = re.compile(r"[01]\.\.")


@dataclass
class FieldRow:
    """One line of fields.csv, and what the decisions need to know of it."""

    field: str = ""
    required: str = ""
    zh: str = ""
    en: str = ""
    de: str = ""
    length: str = ""
    seq: str = ""
    printed: str = ""
    cardinality: str = ""
    group_cardinality: str = ""
    confidence: str = "single-source"
    note: str = ""
    cut: str = ""  # why the printed length is not enforced
    laxer: str = ""  # why it need not be there although the sheet prints 1
    entry: tuple[str, str] = ("", "")

    def row(self) -> list[str]:
        return [self.field, self.required, self.zh, self.en, self.de, self.length, self.seq, self.printed, self.cardinality,
                self.group_cardinality, self.confidence, self.note]  # fmt: skip


def field_rows(kind: str, slots: list[Slot], matches: list[Match], template: Template) -> list[FieldRow]:
    """The rows in the order of the document, the sheet's rows without a field between them."""
    by_slot = {id(m.slot): m for m in matches if m.slot is not None and m.slot.field and not m.slot.again}
    groups = _groups(kind, slots, matches)
    rows: list[FieldRow] = []
    for slot in slots:
        if not slot.field or slot.again:
            continue
        if slot.group in groups:
            rows.append(groups.pop(slot.group))
        rows.append(_row(kind, slot, by_slot.get(id(slot)), matches))
    _weigh(kind, rows, template)
    taken = {row.seq for row in rows if row.seq}
    rest = [m for m in matches if m.row["seq"] not in taken]
    return _between(rows, [_plain(m) for m in rest])


def _row(kind: str, slot: Slot, match: Match | None, matches: list[Match]) -> FieldRow:
    row = FieldRow(slot.field, "", slot.zh, slot.en, slot.de, slot.length, entry=slot.entry, note=slot.note)
    row.required = slot.required
    if match is None:
        row.confidence = "project" if matches else (slot.confidence or "verified")
        sheet = (
            "the sheet has no row" if matches else "the kind has no field sheet: length and cardinality are undecided"
        )
        row.note = row.note or sheet
        return row
    printed = match.row
    row.confidence = (
        slot.confidence or row.confidence
    )  # the element's own mark; length and cardinality are the sheet's alone
    row.seq, row.printed, row.cardinality = printed["seq"], printed["field_name_zh"], printed["cardinality"]
    row.group_cardinality = printed["group_cardinality"]
    length = printed["max_length_or_format"]
    row.length = slot.length or length
    if printed["de_code"] in TOO_SHORT and length.isdigit():
        row.length = ""
        row.cut = (
            f"printed {length}; {TOO_SHORT[printed['de_code']]}: table and shape decide, not the length (rules.md §1)"
        )
    notes = [match.note or slot.note]
    if not slot.de and not slot.field.startswith("envelope.") and not slot.field.endswith(("_id", ".id", ".time")):
        row.de = printed["de_code"]
    if row.de != printed["de_code"]:
        notes.append(f"the sheet prints {printed['de_code'] or 'no data element'}")
    row.note = "; ".join(n for n in notes if n)
    if not CARDINALITY.match(row.cardinality) and not CARDINALITY.match(row.group_cardinality):
        return row
    if row.cardinality.startswith("1") and not row.required:
        row.required = "inside" if _optional_around(slot, match, matches) else "always"
    return row


def _optional_around(slot: Slot, match: Match, matches: list[Match]) -> bool:
    """Whether what stands around a value need not be there."""
    if slot.group:
        return False
    row = match.row
    if row["group_cardinality"].startswith("0"):
        return True
    before = matches[: matches.index(match)]
    if row["parent_group_zh"]:
        heading = next((m for m in reversed(before) if m.row["field_name_zh"] == row["parent_group_zh"]), None)
    else:
        role = slot.field.partition(".")[0]
        signs = slot.field.endswith((".time", ".id", ".name")) and role not in (
            "patient",
            "author",
            "institution",
            "department",
        )
        heading = next((m for m in reversed(before) if m.slot is not None and m.slot.element), None) if signs else None
    return heading is not None and not heading.row["cardinality"].startswith("1")


def _groups(kind: str, slots: list[Slot], matches: list[Match]) -> dict[str, FieldRow]:
    """The rows of the repeated groups: the sheet's heading of each, where it has one."""
    rows: dict[str, FieldRow] = {}
    for slot in slots:
        if not slot.group or slot.group in rows:
            continue
        named = next(r for r in tables.own_for("groups.csv", kind) if r["group"] == slot.group)
        zh, en = slot.group_names
        row = FieldRow(slot.group, "", zh or named["name_zh"], en or named["name_en"])
        own = [m for m in matches if m.slot is not None and m.slot.group == slot.group and m.slot.field]
        if own:
            _heading(row, own, matches)
        else:
            row.confidence = "project"
            row.note = "the standard has no row for the group; its rows are entries of the body tree"
        rows[slot.group] = row
    return rows


def _heading(row: FieldRow, own: list[Match], matches: list[Match]) -> None:
    first = matches.index(own[0])
    heading = matches[first - 1] if first else None
    printed = own[0].row["group_cardinality"] or own[0].row["cardinality"]
    if heading is not None and heading.slot is None and "heading" in heading.note and _belongs(heading, own):
        row.seq, row.printed, row.cardinality = (heading.row[k] for k in ("seq", "field_name_zh", "cardinality"))
        heading.note = ""
        row.group_cardinality = heading.row["group_cardinality"]
    else:
        row.confidence = "project"
        row.note = (
            f"the sheet has no row for the group; its first value is printed {printed or 'without a cardinality'}"
        )
    wanted = row.cardinality or own[0].row["group_cardinality"] or own[0].row["cardinality"]
    row.required = "always" if wanted.startswith("1") else ""


def _belongs(heading: Match, own: list[Match]) -> bool:
    name = heading.row["field_name_zh"]
    return own[0].row["parent_group_zh"] in ("", name)


def _plain(match: Match) -> FieldRow:
    row = match.row
    return FieldRow(
        seq=row["seq"], printed=row["field_name_zh"], cardinality=row["cardinality"],
        group_cardinality=row["group_cardinality"], note=match.note or "UNEXPLAINED",
    )  # fmt: skip


def _between(rows: list[FieldRow], rest: list[FieldRow]) -> list[FieldRow]:
    """The sheet's other rows after the row that precedes them."""
    result = list(rows)
    for plain in rest:
        at = [i for i, row in enumerate(result) if row.seq and int(row.seq) < int(plain.seq)]
        best = max(at, key=lambda i: int(result[i].seq), default=-1)
        result.insert(best + 1, plain)
    return result


# --- what must be there


def _weigh(kind: str, rows: list[FieldRow], template: Template) -> None:
    """Where the printed 1 cannot be asked for literally, say what is asked for and why."""
    by_name = {row.field: row for row in rows}
    both = ["patient.outpatient_number", "patient.inpatient_number"]
    if all(name in by_name and by_name[name].required == "always" for name in both):
        for name, other in zip(both, reversed(both), strict=True):
            by_name[name].required = f"unless {other}"
            by_name[
                name
            ].laxer = "outpatient and inpatient number are both printed 1..1; a patient has one or the other, so one is enough"
    conditions = [element.when for element in template.root.walk() if len(element.when) > 1]
    for row in rows:
        if row.required == "inside" and not any(row.field in when for when in conditions):
            row.required = ""
            row.laxer = f"printed {row.cardinality} inside a part that need not be there and has no other value: there when the value is"
    for element in template.root.walk():
        own = dict(element.slots())
        if "unit" in own and "value" in own and by_name[own["unit"].field].required == "":
            by_name[own["unit"].field].required = f"with {own['value'].field}"
