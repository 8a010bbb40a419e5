"""Every place where a template and the national tables differ, or where the tables differ among themselves, with the reason.

The differences are found; the reasons come from the tables where the tables say it, else from reasons.csv. A difference without a
reason stops the draft.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from frontend_agent.formats.template import Template
from tools.kinds import compare, tables
from tools.kinds.fields import FieldRow
from tools.kinds.sheet import Match
from tools.kinds.tree import forest

ICD = "2.16.156.10011.2.3.3.11"


@dataclass(frozen=True)
class Decision:
    """One line of decisions.csv."""

    table: str
    key: str
    decision: str
    reason: str
    confidence: str

    def row(self) -> list[str]:
        return [self.table, self.key, self.decision, self.reason, self.confidence]


def decide(kind: str, template: Template, matches: list[Match], rows: list[FieldRow]) -> list[Decision]:
    """Every decision of a kind."""
    return [
        *_header_facts(kind),
        *_values(kind, template, rows),
        *_entries(kind, template, rows),
        *_fees(kind, template),
        *_blank(matches, rows),
        *_trees(kind, template),
        *_required(rows),
    ]


def _told(kind: str, table: str, key: str) -> Decision | None:
    for row in tables.own_for("reasons.csv", kind):
        if row["table"] == table and re.fullmatch(row["key"], key):
            return Decision(table, key, row["decision"], row["reason"], row["confidence"])
    return None


def _must(kind: str, table: str, key: str, about: str = "") -> Decision:
    found = _told(kind, table, key)
    if found is None:
        print(f"  NO REASON: {kind},{table},{key} {about}")
        return Decision(table, key, "undecided", f"NO REASON {about}", "project")
    return found


# --- the header's facts of one source


def _header_facts(kind: str) -> Iterator[Decision]:
    for row in tables.national("header_by_document.csv", kind):
        if row["confidence"] != "verified":
            key = f"{row['path']}[{row['occurrence']}]"
            found = _must(kind, "header_by_document.csv", key, f"{row['sources']} {row['role_or_label']}")
            yield replace(found, reason=found.reason.format(sources=f"set {row['sources']}"))


# --- values that we fix


def _values(kind: str, template: Template, rows: list[FieldRow]) -> Iterator[Decision]:
    tags = {element.tag for element in template.root.walk()}
    fields = {row.field for row in rows}
    for row in tables.own_for("values.csv", kind):
        needs = row["needs"]
        if not needs or needs in tags or any(re.fullmatch(needs, name) for name in fields):
            yield Decision("values", row["key"], "accepted", row["reason"], row["confidence"])
    for row in rows:
        if row.cut:
            yield Decision("values", f"{row.field}/length", "accepted", row.cut, "single-source")


# --- entries


def _entries(kind: str, template: Template, rows: list[FieldRow]) -> Iterator[Decision]:
    entries = tables.national("sections/entries.csv", kind)
    for entry in entries:
        key = f"{entry['section_seq']}.{entry['order']}"
        section = template.sections[int(entry["section_seq"]) - 1]
        there = compare.has_entry(section, entry)
        told = _told(kind, "entries.csv", key)
        if not there:
            reason = told.reason if told else _why_not(kind, entry, entries)
            yield Decision("entries.csv", key, "rejected", reason, entry["confidence"])
        elif told:
            yield told
        elif entry["confidence"] != "verified":
            yield Decision("entries.csv", key, "accepted", _kept(entry), entry["confidence"])
        elif entry["variants"]:
            yield Decision("entries.csv", key, "accepted", _variant(entry, section, rows), entry["confidence"])
        elif not entry["cardinality"]:
            yield Decision("entries.csv", key, "undecided", _no_cardinality(entry, rows), entry["confidence"])


def _fees(kind: str, template: Template) -> Iterator[Decision]:
    """The items of the front pages that the trees do not have."""
    codes = {element.constant("code") for element in template.root.walk() if element.tag == "code"}
    for row in tables.national("sections/frontpage_fees.csv", kind):
        if row["item_code"] and row["item_code"] not in codes:
            yield replace(
                _must(kind, "frontpage_fees.csv", row["item_code"], row["name_zh"]), confidence=row["confidence"]
            )


def _why_not(kind: str, entry: tables.Row, entries: list[tables.Row]) -> str:
    """Why an entry is not in the template: what the other sources print."""
    alone = _who(entry)
    here = [
        e
        for e in entries
        if e["section_seq"] == entry["section_seq"] and e is not entry and e["confidence"] == "verified"
    ]
    bare = entry["name_zh"].replace("(", "（").replace(")", "）")
    same_name = [
        e
        for e in here
        if e["name_zh"].replace("(", "（").replace(")", "）") == bare and e["de_code"] != entry["de_code"]
    ]
    same_code = [e for e in here if e["de_code"] == entry["de_code"]]
    if same_name and entry["confidence"] != "verified":
        other = same_name[0]
        return f"{alone} prints {entry['de_code']} for {entry['name_zh']}; {_who(other)} print {other['de_code']}, which is used"
    if same_code and entry["confidence"] != "verified" and same_code[0]["path_in_section"] != entry["path_in_section"]:
        other = same_code[0]
        return (
            f"{alone} has {entry['name_zh']} at {entry['path_in_section']}; {_who(other)} at {other['path_in_section']}"
        )
    if same_code and entry["confidence"] != "verified":
        other = same_code[0]
        return f"{alone} calls {entry['de_code']} {entry['name_zh']}; {_who(other)} call it {other['name_zh']}"
    return _must(kind, "entries.csv", f"{entry['section_seq']}.{entry['order']}", str(entry)).reason


def _who(entry: tables.Row) -> str:
    sets = entry["sources"].split("+")
    return f"set {sets[0]} alone" if len(sets) == 1 else f"sets {', '.join(sets[:-1])} and {sets[-1]}"


def _kept(entry: tables.Row) -> str:
    return f"{_who(entry)} has it; kept: it says nothing that the other sets contradict, and a receiver may ignore it"


def _variant(entry: tables.Row, section: compare.Element, rows: list[FieldRow]) -> str:
    variants = [v.removeprefix("oid:") for v in entry["variants"].split("|")]
    types = [v.removeprefix("type:") for v in variants if v.startswith("type:")]
    if types:
        return f"type {entry['value_type']}, as most sets print it; the variant is {', '.join(types)}"
    used = entry["value_domain_oid"]
    if used.startswith(ICD) and all(v.startswith(ICD) for v in variants):
        return f"value domain {used}, as the body tree prints it; the variant {', '.join(variants)} names the same ICD-10 table"
    names = ", ".join(f"{v} ({_table_name(v)})" for v in variants)
    return f"value domain {used} ({entry['value_domain_name']}); the variant {names} is another table, a copy error"


def _table_name(oid: str) -> str:
    for row in tables.read(tables.standards() / "valuesets" / "oid_index.csv"):
        if row["oid"] == oid:
            return row["name_zh"]
    return "unknown"


def _no_cardinality(entry: tables.Row, rows: list[FieldRow]) -> str:
    key = (entry["section_seq"], entry["order"])
    row = next((r for r in rows if r.entry == key and r.cardinality), None)
    name = entry["name_zh"] or entry["path_in_section"].rpartition("/")[2]
    if row:
        return f"no cardinality is printed for the entry {name}; the sheet's row {row.seq} prints {row.cardinality}"
    return f"no cardinality is printed for {name}; it is written when there is one"


# --- rows of the sheet without a cardinality


def _blank(matches: list[Match], rows: list[FieldRow]) -> Iterator[Decision]:
    by_seq = {row.seq: row for row in rows if row.seq}
    for match in matches:
        if match.row["cardinality"]:
            continue
        seq = match.row["seq"]
        row = by_seq[seq]
        if row.required in ("always", "inside"):
            how = "the schema wants it"
        elif row.field:
            how = "it is written when the record has it"
        else:
            how = "it has no field of its own"
        yield Decision(
            "fields.csv",
            seq,
            "undecided",
            f"no cardinality is printed for {match.row['field_name_zh']}; {how}",
            "single-source",
        )


# --- elements that the trees have and we have not, and the other way round


def _trees(kind: str, template: Template) -> Iterator[Decision]:
    header = forest(tables.national("header_tree.csv", kind))
    ours = compare.header_of(template.root)
    numbered = {row["node"]: row for row in tables.national("header_tree.csv", kind)}
    for number in compare.missing_among(header, ours):
        yield _must(
            kind, "header_tree.csv", number, f"{numbered[number]['element']} {numbered[number]['fixed_attributes']}"
        )
    body = {(r["section_seq"], r["node"]): r for r in tables.national("sections/body_tree.csv", kind)}
    added = list(compare.additions(header, ours, ""))
    for (seq, nodes), section in zip(compare.body_trees(kind), template.sections, strict=True):
        entries = compare.entries_of(section)
        for number in compare.missing_among(nodes, entries):
            row = body[seq, number]
            yield _must(
                kind,
                "body_tree.csv",
                f"{seq}.{number}",
                f"{row['element']} {row['fixed_attributes']} {row['item_name_zh']}",
            )
        added += [f"section {seq}: {path}" for path in compare.additions(nodes, entries, "")]
    for path in dict.fromkeys(added):
        yield _must(kind, "template", path)


# --- what must be there


def _required(rows: list[FieldRow]) -> Iterator[Decision]:
    for row in rows:
        if row.laxer:
            yield Decision("required", row.field, "accepted", row.laxer, "single-source")
