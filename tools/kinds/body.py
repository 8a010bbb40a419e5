"""Which field stands where in the sections of a kind: body_tree.csv and entries.csv of the standard, laid beside our tables.

An observation's field is named by its data element: in an entry of groups.csv by keys.csv, elsewhere by names.csv. What is no
observation (times, people, doses) is named by what it is, or in places.csv, which has the last word on everything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.kinds import tables
from tools.kinds.slots import Slot
from tools.kinds.tree import Node, forest, observation

ELEMENTS = "2.16.156.10011.2.2.1"
LOINC = "2.16.840.1.113883.6.1"
DIAGNOSES = ("2.16.156.10011.2.3.3.11", "2.16.156.10011.2.3.3.12", "2.16.156.10011.2.3.3.14", "2.16.156.10011.2.3.3.15")
IDENTIFIERS = {"department_id": "1.26", "room_id": "1.21", "_id": "1.4", ".id": "1.4"}
HOLDS = {"ST": "text", "ED": "text", "CD": "code", "CE": "code"}  # where a value of this type stands; else @value


@dataclass
class Section:
    """One section: its element, and the places in it in order."""

    seq: str
    element: Node
    entries: list[Node]
    slots: list[Slot] = field(default_factory=list)


@dataclass
class Scope:
    """Where in a kind we are."""

    kind: str
    section: tables.Row
    group: tables.Row
    entries: list[tables.Row]  # of the section, each taken once
    places: dict[tuple[str, str], tables.Row]
    slots: list[Slot]

    def name(self, key: str) -> str:
        """The full name of a field of this entry's group; `/key` is no part of the group."""
        if key.startswith("/"):
            return key[1:]
        return key if "." in key or not self.group else f"{self.group['group']}.{key}"

    @property
    def row_group(self) -> str:
        """The repeated group whose rows this entry is; empty if it is none."""
        return self.group["group"] if self.group and self.group["each"] == "yes" else ""

    def told(self, node: Node, what: str) -> str:
        """What places.csv says of this element, or nothing."""
        row = self.places.get((node.origin, what))
        return row["label" if what == "label" else "value"] if row else ""


def draft_body(kind: str) -> list[Section]:
    """The sections of a kind."""
    return [_section(kind, row) for row in tables.national("sections/sections.csv", kind)]


def _section(kind: str, row: tables.Row) -> Section:
    seq = row["seq"]
    nodes = forest(r for r in tables.national("sections/body_tree.csv", kind) if r["section_seq"] == seq)
    places = {
        (p["node"], p["what"]): p
        for p in tables.own_for("places.csv", kind)
        if p["section"] == seq and p["kind"] != "*"
    }
    entries = [dict(r) for r in tables.national("sections/entries.csv", kind) if r["section_seq"] == seq]
    slots: list[Slot] = []
    kept = []
    for entry in nodes:
        _prune(entry, places)
        group = _group(kind, seq, entry)
        scope = Scope(kind, row, group, entries, places, slots)
        _walk(scope, entry, [])
        if group and group["each"] == "yes":
            entry.each = group["group"]
            for slot in slots:
                if slot.group == group["group"]:
                    slot.group_names = (group["name_zh"], group["name_en"])
        kept.append(entry)
    cells = [
        p for p in tables.own("places.csv") if p["kind"] == kind and p["section"] == seq and p["what"] == "narrative"
    ]
    slots += [_cell(p, seq) for p in cells]
    return Section(seq, _section_element(row, kept, places, [p["value"] for p in cells]), kept, slots)


def _cell(place: tables.Row, seq: str) -> Slot:
    """A value that has no place but a cell of the narrative."""
    group = place["value"].partition(".")[0] if place["label"] == "in each row" else ""
    words = (place["name_zh"],)
    return Slot(place["value"], place["name_zh"], place["name_en"], de=place["de_code"], length=place["note"],
                sheet=words, section=seq, group=group, note="no slot in the kind: narrative cell")  # fmt: skip


def _prune(node: Node, places: dict[tuple[str, str], tables.Row]) -> None:
    """Leave out what places.csv leaves out."""
    node.children = [child for child in node.children if (child.origin, "drop") not in places]
    for child in node.children:
        _prune(child, places)


def _section_element(
    row: tables.Row, entries: list[Node], places: dict[tuple[str, str], tables.Row], cells: list[str]
) -> Node:
    code = {"displayName": row["display_name"]}
    if row["section_code"] not in ("", "-"):
        code = {"code": row["section_code"], "codeSystem": LOINC, "codeSystemName": "LOINC", **code}
    title = (places.get(("", "title")) or {}).get("value") or re.sub("章节$", "", row["section_name_zh"])
    children = [Node("code", code), Node("title", text=title), Node("text", narrative=cells), *entries]
    return Node("section", children=children)


def _group(kind: str, seq: str, entry: Node) -> tables.Row:
    label = next((node.label for node in entry.walk() if node.label), "")
    here = f"{seq}.{entry.origin}"
    rows = [row for row in tables.own_for("groups.csv", kind) if row["entry"] in (label, here)]
    rows.sort(key=lambda row: (row["entry"] != here, row["kind"] == "*"))
    return rows[0] if rows else {}


# --- the elements of an entry


def _walk(scope: Scope, node: Node, above: list[Node]) -> None:
    if node.tag == "id" and not node.attributes and (node.origin, "field") not in scope.places:
        node.attributes["nullFlavor"] = "NI"  # the schema wants one, the standard names nobody
    node.by = scope.told(node, "by")
    if node.tag == "statusCode":
        node.attributes.setdefault("code", "completed")
    if node.tag == "code" and not node.attributes.get("code") and above and above[-1].tag in ("organizer", "act"):
        node.attributes = {"displayName": scope.told(node, "label") or scope.group.get("name_zh", "")}
    if node.tag == "observation" and node.child("code"):
        _observation(scope, node)
    elif told := scope.told(node, "field"):
        binding = _usual(node)
        _leaf(scope, node, binding, told)
        if binding == "code" and (system := node.attributes.get("codeSystem", "")):
            _display(scope, node, node, system, node.bound[binding], scope.places[node.origin, "field"]["name_zh"])
        if unit := scope.told(node, "unit_field"):
            node.bound["unit"] = scope.name(unit)
            node.attributes["unit"] = "个"
            place = scope.places[node.origin, "unit_field"]
            scope.slots.append(
                Slot(scope.name(unit), place["name_zh"], place["name_en"], de=place["de_code"], sheet=(place["name_zh"],),
                     node=node, section=scope.section["seq"], group=scope.row_group)
            )  # fmt: skip
    elif above:
        _usual_place(scope, node, above)
    for child in list(node.children):
        _walk(scope, child, [*above, node])


def _usual(node: Node) -> str:
    if node.tag in ("name", "text", "desc", "originalText"):
        return "text"
    if node.tag == "id":
        return "extension"
    return "code" if node.tag.endswith(("Code", "code")) else "value"


def _observation(scope: Scope, node: Node) -> None:
    code = node.child("code")
    assert code is not None
    entry = _entry(scope, node, scope.told(node, "code") or code.attributes.get("code", ""))
    given = code.attributes.get("code", "")
    label = scope.told(node, "label") or (entry or {}).get("name_zh") or node.label
    if given:
        system = "2.16.156.10011.2.2.4" if given.startswith("HDSD") else ELEMENTS
        code.attributes = {"code": scope.told(node, "code") or given, "codeSystem": system, "displayName": label}
    else:
        code.attributes["displayName"] = label
    if (name := next(iter(code.at("qualifier/name")), None)) is not None:
        name.attributes["displayName"] = label
    value = node.child("value")
    wanted = scope.told(node, "value") or (entry or {}).get("value_type", "")
    if value is None and wanted:
        value = Node("value", {"xsi:type": wanted})
        at = max((i for i, c in enumerate(node.children) if c.tag in ("code", "text", "effectiveTime")), default=0)
        node.children.insert(at + 1, value)
    if value is not None:
        _value(scope, node, value, code.attributes.get("code", ""), label, entry or {})


def _entry(scope: Scope, node: Node, wanted: str) -> tables.Row | None:
    """The row of entries.csv for an observation: the first of its data element that no other has taken."""
    rows = [
        r for r in scope.entries if r["kind"] == "observation-code" and r["de_code"] == wanted and not r.get("taken")
    ]
    rows.sort(key=lambda r: (r["name_zh"] != node.label, r["confidence"] != "verified"))
    if rows:
        rows[0]["taken"] = "yes"
        return rows[0]
    return None


def _value(scope: Scope, node: Node, value: Node, de: str, label: str, entry: tables.Row) -> None:
    type_ = scope.told(node, "type") or value.attributes.get("xsi:type") or entry.get("value_type") or "ST"
    value.attributes = {"xsi:type": type_, **{k: v for k, v in value.attributes.items() if k != "xsi:type"}}
    binding = HOLDS.get(type_, "value")
    named = _named(scope, de, label)
    if told := scope.told(node, "field"):
        place = scope.places[node.origin, "field"]
        named = {
            "field": told if "." in told else scope.name(told),
            "name_zh": place["name_zh"],
            "name_en": place["name_en"],
        }
    name = named["field"]
    system = scope.told(node, "system") or value.attributes.get("codeSystem") or entry.get("value_domain_oid", "")
    value.attributes.pop("codeSystem", None)
    if binding == "code" and system:
        value.attributes["codeSystem"] = system
    if type_ == "MO":
        value.attributes.setdefault("currency", "元")
    if type_ == "PQ":
        unit = value.attributes.pop("unit", "")
        value.attributes["unit"] = scope.told(node, "unit") or (unit if unit != "-" else "") or entry.get("unit", "")
        if not value.attributes["unit"]:
            del value.attributes["unit"]
    value.keep = True
    value.bound[binding] = name
    scope.slots.append(
        Slot(
            name,
            named["name_zh"] or label,
            named["name_en"],
            de="" if de.startswith("HDSD") else de,
            sheet=(label, named["name_zh"]),
            node=value,
            section=scope.section["seq"],
            entry=(scope.section["seq"], entry.get("order", "")),
            confidence=entry.get("confidence", "verified"),
            group=scope.row_group,
        )
    )
    own_unit = next((row["unit"] for row in tables.own("keys.csv") if row["de_code"] == de), "")
    if type_ == "PQ" and scope.group and own_unit:
        value.bound["unit"] = scope.name(own_unit)
        zh = "总剂量单位" if own_unit == "total_unit" else "计量单位"
        scope.slots.append(
            Slot(scope.name(own_unit), zh, f"{named['name_en']}, unit", sheet=(f"{label}单位", zh), node=value,
                 section=scope.section["seq"], group=scope.row_group)
        )  # fmt: skip
    if binding == "code":
        _display(scope, node, value, system, name, label)


def _display(scope: Scope, node: Node, value: Node, system: str, name: str, label: str) -> None:
    """A code's name: from the code table we carry, else a field of its own beside it."""
    shown = scope.told(node, "display")
    if not shown and not system.startswith(DIAGNOSES):
        if carried(system):
            value.attributes["displayName"] = ""
            scope.slots[-1].zh = re.sub("代码$|编码$", "", scope.slots[-1].zh)  # a person reads the name
            scope.slots.append(Slot("", shows=name, sheet=(re.sub("代码|编码", "名称", label),)))
            return
        shown = f"{name}_name"
    if not shown:
        shown = name.removesuffix("code") + "name" if name.endswith("code") else f"{name}_name"
    value.attributes["displayName"] = ""
    value.bound["display"] = shown
    words = (re.sub("代码|编码", "名称", label), f"{label}名称")
    de = {"2.16.156.10011.2.3.3.11": "DE05.01.025.00", "2.16.156.10011.2.3.3.14": "DE05.10.172.00"}.get(system[:23], "")
    zh = re.sub("代码$|编码$", "名称", label.split("-")[-1]) if re.search("代码|编码", label) else f"{label}名称"
    scope.slots.append(
        Slot(
            shown,
            zh,
            "",
            de=de,
            sheet=words,
            node=value,
            section=scope.section["seq"],
            shows=name,
            group=scope.row_group,
        )
    )


def carried(system: str) -> bool:
    """Whether we carry the code table."""
    index = tables.read(tables.TEMPLATES / "value_sets" / "index.csv")
    return any(row["oid"] == system and row["complete"] == "yes" for row in index)


def _named(scope: Scope, de: str, label: str) -> tables.Row:
    """The field of a data element, without regard to places.csv."""
    if de.startswith("HDSD"):
        fee = next((r for r in tables.own("fees.csv") if r["item_code"] == de and r["doc_code"] == scope.kind), None)
        if fee:
            return {"field": fee["field"], "name_zh": fee["name_zh"], "name_en": fee["name_en"]}
    row = next((r for r in tables.own("names.csv") if r["de_code"] == de and r["name_zh"] == label), None)
    group = scope.group.get("group", "")
    if group and (row is None or not row["field"].startswith(f"{group}.")):
        for key in sorted(tables.own("keys.csv"), key=lambda r: not r["label"]):
            if key["de_code"] == de and key["label"] in label:
                zh = key["name_zh"] if scope.group["each"] == "yes" else ""
                name = scope.name(_tcm(group, label, key["key"]))
                return {"field": name, "name_zh": zh or _short(scope, label), "name_en": key["name_en"]}
    if row is None:
        row = {"field": de.lower().replace(".", "_") or "unnamed", "name_zh": label, "name_en": label}
    name = row["field"]
    if group:
        return {
            "field": scope.name(name.rpartition(".")[2]),
            "name_zh": label.split("-")[-1],
            "name_en": row["name_en"],
        }
    return {"field": _singular(scope.kind, name), "name_zh": label, "name_en": row["name_en"]}


def _short(scope: Scope, label: str) -> str:
    """A label as a column of its group's table; in full where it stands alone."""
    return label.split("-")[-1] if scope.row_group else label


def _singular(kind: str, name: str) -> str:
    """What stands outside the repeated entry of its kind is said in the singular: `order.category` beside `orders.type`."""
    head, dot, key = name.partition(".")
    repeated = {
        row["group"] for row in tables.own_for("groups.csv", kind) if row["each"] == "yes" and row["kind"] != "*"
    }
    repeated |= {"orders"} if kind in ("C0003", "C0052") else set()
    return f"{head.removesuffix('s')}.{key}" if dot and head in repeated else name


def _tcm(group: str, label: str, key: str) -> str:
    """In one entry for disease and syndrome, which of the two."""
    if not group.endswith("tcm_diagnoses") or key not in ("code", "name"):
        return key
    return f"syndrome_{key}" if "证候" in label else f"disease_{key}"


# --- what is no observation


def _leaf(scope: Scope, node: Node, binding: str, key: str, zh: str = "", en: str = "", de: str = "") -> None:
    place = scope.places.get((node.origin, "field"), {})
    name = scope.name(key)
    node.bound[binding] = name
    if node.tag == "id" and not node.attributes.get("root"):
        root = next((root for end, root in IDENTIFIERS.items() if name.endswith(end)), "")
        if root:
            node.attributes["root"] = f"2.16.156.10011.{root}"
    label = place.get("name_zh") or zh
    scope.slots.append(
        Slot(
            name,
            label,
            place.get("name_en") or en,
            de=place.get("de_code") or de,
            sheet=(label,),
            node=node,
            section=scope.section["seq"],
            group=scope.row_group,
        )
    )


DRUG = {
    "text": ("text", "usage_text", "药物用法", "Usage", "DE06.00.136.00"),
    "routeCode": ("code", "route", "用药途径", "Route", "DE06.00.134.00"),
    "doseQuantity": ("value", "dose", "单次用药剂量", "Dose", "DE08.50.023.00"),
    "rateQuantity": ("value", "frequency", "药物使用频率(次/日)", "Times a day", "DE06.00.133.00"),
    "administrationUnitCode": ("code", "dosage_form", "药物剂型", "Dosage form", "DE08.50.011.00"),
    "manufacturedLabeledDrug/code": ("code", "code", "药品代码", "Drug code", ""),
    "manufacturedLabeledDrug/name": ("text", "name", "药品名称", "Drug", "DE08.50.022.00"),
}
PROCEDURE = {
    "code": ("code", "code", "手术(操作)编码", "Operation code", "DE06.00.093.00"),
    "effectiveTime": ("value", "date", "手术(操作)日期时间", "Date and time", "DE06.00.095.00"),
    "effectiveTime/low": ("value", "started_at", "开始日期时间", "Started at", "DE06.00.221.00"),
    "effectiveTime/high": ("value", "ended_at", "结束日期时间", "Ended at", "DE06.00.218.00"),
    "targetSiteCode": ("code", "site_code", "手术(操作)部位代码", "Site code", "DE06.00.186.00"),
}
PEOPLE = ("performer", "participant", "author")


def _usual_place(scope: Scope, node: Node, above: list[Node]) -> None:
    parent = above[-1]
    path = f"{parent.tag}/{node.tag}"
    if node.tag in PEOPLE:
        _person(scope, node)
        return
    usual = None
    if parent.tag == "substanceAdministration" or parent.tag == "manufacturedLabeledDrug":
        usual = DRUG.get(node.tag) if parent.tag == "substanceAdministration" else DRUG.get(path)
    elif parent.tag == "procedure":
        usual = _of_procedure(scope, node)
    elif parent.tag == "effectiveTime" and len(above) > 1 and above[-2].tag == "procedure":
        usual = PROCEDURE.get(path)
    elif path == "playingEntity/code" and scope.section:
        node.attributes["displayName"] = parent.label or "过敏史"
    elif path == "playingEntity/desc":
        usual = ("text", "text", "过敏史", "Allergies", "DE02.10.022.00")
    elif path == "rateQuantity/translation":
        usual = ("code", "frequency_code", "药物使用频率", "Frequency", "DE06.00.133.00")
        node.attributes["codeSystem"] = "2.16.156.10011.2.3.1.267"
    if usual is None or (node.children and node.tag not in ("doseQuantity", "rateQuantity")):
        return
    binding, key, zh, en, de = usual
    _leaf(scope, node, binding, key, zh, en, de)
    if binding == "code":
        _coded(scope, node, key, zh)
    if node.tag == "doseQuantity":
        node.bound["unit"] = scope.name("dose_unit")
        node.attributes["unit"] = "mg"
        scope.slots.append(
            Slot(scope.name("dose_unit"), "剂量单位", "Dose unit", de="DE08.50.024.00", sheet=("剂量单位",), node=node,
                 section=scope.section["seq"], group=scope.row_group)
        )  # fmt: skip


def _of_procedure(scope: Scope, node: Node) -> tuple[str, str, str, str, str] | None:
    if node.tag != "code":
        return PROCEDURE.get(node.tag)
    system = node.attributes.get("codeSystem", "")
    if node.attributes.get("code") or not system:  # what the procedure is stands fixed
        node.attributes.setdefault("displayName", scope.told(node, "label") or scope.group.get("name_zh", ""))
        if node.attributes.get("code"):
            node.attributes["codeSystem"] = ELEMENTS
        return None
    if system == "2.16.156.10011.2.3.1.159":
        return ("code", "anaesthesia_method", "麻醉方法", "Anaesthesia method", "DE06.00.073.00")
    return PROCEDURE["code"]


def _coded(scope: Scope, node: Node, key: str, zh: str) -> None:
    system = node.attributes.get("codeSystem", "")
    name = scope.name(key)
    if not system:
        return
    if carried(system):
        node.attributes["displayName"] = ""
        scope.slots.append(Slot("", shows=name, sheet=(zh.replace("代码", "名称"), f"{zh}名称")))
        return
    shown = scope.name("name" if key == "code" else f"{key}_name")
    node.attributes["displayName"] = ""
    node.bound["display"] = shown
    scope.slots.append(
        Slot(shown, "手术(操作)名称", "Operation", de="DE06.00.094.00", sheet=("手术操作名称",), node=node,
             section=scope.section["seq"], group=scope.row_group, shows=name)
    )  # fmt: skip


def _person(scope: Scope, node: Node) -> None:
    """Somebody who did something: `surgeon_id`, `surgeon_name`, and when and where."""
    place = scope.places.get((node.origin, "person"))
    if place is None:
        return
    stem, label, en = place["value"], place["name_zh"], place["name_en"]
    dot = "." if "." in place["note"] else "_"
    parts = {
        "time": ("value", place["note"] or f"{stem}_time", f"{label}日期时间", f"{en}, time", place["de_code"]),
        "id": ("extension", f"{stem}{dot}id", f"{label}标识", f"{en}, id", ""),
        "name": ("text", f"{stem}{dot}name", label, en, "DE02.01.039.00"),
        "representedOrganization": (
            "text",
            f"{stem}_department",
            f"{label}科室",
            f"{en}, department",
            "DE08.10.026.00",
        ),
    }
    for inner, outer in _with_parent(node):
        inner.attributes.pop("nullFlavor", None)
        inner.keep = inner.tag == "id" and outer.tag in ("assignedEntity", "assignedAuthor")
        tag = "representedOrganization" if inner.tag == "name" and outer.tag == "representedOrganization" else inner.tag
        if inner.tag == "code" and not inner.attributes.get("code"):
            inner.attributes["displayName"] = place["label"] or label
        if tag in parts and not inner.children and (inner.origin, "field") not in scope.places:
            binding, key, zh, english, de = parts[tag]
            _leaf(scope, inner, binding, key, zh, english, de)


def _with_parent(node: Node) -> Iterator[tuple[Node, Node]]:
    for child in node.children:
        yield child, node
        yield from _with_parent(child)


__all__ = ["Section", "carried", "draft_body", "observation"]
