"""Draft the kinds made of the national services: `python -m tools.kinds.interactions H0201`, or all of them without a name.

The rows of `interaction_fields.csv` (what a field is called, how long it may be, where it stands) become a well-formed
sample of the request with bindings, its table of fields and its decisions. What the rows do not say stands in our tables
(`interactions/`): our names, roots and code systems, which elements repeat, where a printed path is mended and why.
"""

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from xml.sax.saxutils import quoteattr

from frontend_agent.formats.tables import table
from frontend_agent.formats.value_sets import value_set
from tools.kinds import tables
from tools.kinds.fields import COLUMNS, TOO_SHORT

FOLDER = "interactions"
FRAME = "/controlActProcess/subject/"
# Codes of one hospital: the printed element is the national one, and shorter than what they are.
LOCAL = {
    "DE08.10.025.00": "the local number of a department, for which the header's sheets leave 50 characters",
    "DE08.10.052.00": "institution codes of 18 characters are in use; the header's sheets leave 50",
}
TYPES = {"name": "DSET_EN", "telecom": "BAG_TEL", "addr": "BAG_AD"}
KINDS_OF_ID = ("item", "id")


@dataclass
class Row:
    """A row of interaction_fields.csv with what our tables say about it."""

    seq: str
    printed: str
    name: str
    de: str
    length: str
    confidence: str
    field: str
    place: str
    note: str
    mark: str
    mended: bool  # what is printed is not what is written
    group: str = ""


@dataclass
class Node:
    """An element of the sample as it grows."""

    tag: str
    mark: str = ""  # which of its look-alikes it is
    attributes: dict[str, str] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)  # attribute -> field
    children: list["Node"] = field(default_factory=list)
    each: str = ""
    by: str = ""
    named: str = ""  # on displayName: the code whose name it is

    def child(self, tag: str, mark: str) -> "Node":
        """The child of that name and mark, made if there is none."""
        for one in self.children:
            if (one.tag, one.mark) == (tag, mark):
                return one
        self.children.append(Node(tag, mark))
        return self.children[-1]

    def walk(self) -> Iterator["Node"]:
        yield self
        for one in self.children:
            yield from one.walk()

    def fields(self) -> list[str]:
        """What it holds: its fields, or the groups that repeat in it."""
        found = list(self.slots.values())
        for one in self.children:
            found += [one.each] if one.each else one.fields()
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Draft:
    """The files of a kind, as text."""

    template: str
    fields: str
    decisions: str
    document: dict[str, str]
    interaction: dict[str, str]


@cache
def own(name: str) -> list[dict[str, str]]:
    return tables.read(tables.HERE / FOLDER / f"{name}.csv")


@cache
def services() -> dict[str, dict[str, str]]:
    """The national services by number."""
    return {row["service_no"]: row for row in tables.read(tables.standards() / "interactions.csv")}


def kinds() -> list[str]:
    """The kinds that are drafted here."""
    return [row["kind"] for row in own("kinds")]


def draft(code: str) -> Draft:
    """A kind from the national tables and ours."""
    about = next(row for row in own("kinds") if row["kind"] == code)
    rows = _rows(code)
    root = _tree(code, rows, about)
    required = set(about["required"].split())
    return Draft(
        _template(code, about, root, required),
        _csv(COLUMNS.split(","), _field_rows(code, rows, required)),
        _csv(["table", "key", "decision", "reason", "confidence"], _decisions(code, about, rows)),
        _document(code, about),
        _interaction(code, about),
    )


# --- the rows ---------------------------------------------------------------------------------------------------------


def _rows(code: str) -> list[Row]:
    printed = [
        row
        for row in tables.read(tables.standards() / "interaction_fields.csv")
        if row["service_no"] == code and row["direction"] == "request"
    ]
    act = _act(printed)
    found = [_row(code, act, one) for one in printed]
    for one in found:
        one.group = one.field.partition(".")[0] if one.field.partition(".")[0] in _groups(code) else ""
    return found


def _act(printed: Sequence[dict[str, str]]) -> str:
    paths = (row["xpath"].replace(" ", "") for row in printed)
    return next(path for path in paths if path.startswith(FRAME)).removeprefix(FRAME).partition("/")[0]


def _row(code: str, act: str, printed: dict[str, str]) -> Row:
    path = re.sub(r"\s", "", printed["xpath"]).removeprefix(f"{FRAME}{act}/")
    said = _said(code, path, printed["field_name_zh"].strip())
    de, length, note = re.sub(r"\s", "", printed["de_code"]), printed["max_length_or_format"].strip(), said["note"]
    de, length = ("" if said["de"] == "-" else said["de"] or de), said["length"] or length
    mark = said["mark"]
    if de in LOCAL:
        note, de, length = note or LOCAL[de], "", "50"
    elif de in TOO_SHORT:
        note, length = note or f"length not enforced: {TOO_SHORT[de]}", ""
    confidence = printed["confidence"].partition(" ")[0]
    place = said["place"] or path
    return Row(
        printed["seq"], path, printed["field_name_zh"].strip(), de if de.startswith("DE") else "",
        length, confidence, said["field"], place, note, mark, bool(re.sub(r"\[[^\]]*\]", "", place) != path or said["de"] or said["length"]),
    )  # fmt: skip


def _said(code: str, path: str, name: str) -> dict[str, str]:
    """What our table says of a printed row; the root node of a repeated element is no field."""
    fitting = [
        row
        for row in own("places")
        if row["path"] == path and code in (row["kinds"].split() or [code]) and row["name"] in ("", name)
    ]
    if not fitting:
        if any(group["path"].partition("[")[0] == path for group in own("groups")):
            return {
                "field": "",
                "place": "",
                "de": "",
                "length": "",
                "note": "the element that is repeated",
                "mark": "",
            }
        raise SystemExit(f"{code}: no place for {name} at {path}")
    return max(fitting, key=lambda row: (bool(row["name"]), bool(row["kinds"])))


@cache
def _groups(code: str) -> dict[str, dict[str, str]]:
    return {row["group"]: row for row in own("groups") if code in row["kinds"].split()}


@cache
def _oid(name: str) -> str:
    return next(row["oid"] for row in own("fields") if row["field"] == name)


def _english(name: str) -> str:
    return next((row["name_en"] for row in own("fields") if row["field"] == name), "")


# --- the tree ---------------------------------------------------------------------------------------------------------


def _tree(code: str, rows: Sequence[Row], about: dict[str, str]) -> Node:
    first = services()[code]
    root = Node(first["request_root"], attributes={"ITSVersion": "XML_1.0"})
    _frame(root)
    act = _act([{"xpath": r} for r in _paths(code)])
    body = root.child("controlActProcess", "").child("subject", "").child(act, "")
    previous = ""
    for row in rows:
        if row.field in ("receiver.id", "sender.id") or row.field.startswith("envelope.") or not row.field:
            continue
        name = previous if row.field == "=" else row.field
        _place(body, row, name)
        previous = row.field if row.field != "=" and row.place.endswith("/@code") else previous
    for group in _groups(code).values():
        _at(body, group["path"]).each = group["group"]
    _tell_apart(root)
    _constants(root, "")
    return root


def _paths(code: str) -> list[str]:
    return [
        row["xpath"]
        for row in tables.read(tables.standards() / "interaction_fields.csv")
        if row["service_no"] == code and row["direction"] == "request"
    ]


def _frame(root: Node) -> None:
    """Exchange.md, section 2: what stands before the act."""
    message = root.child("id", "")
    message.attributes, message.slots = {"root": "2.16.156.10011.2.5.1.1"}, {"extension": "envelope.document_id"}
    root.child("creationTime", "").slots = {"value": "envelope.effective_time"}
    root.child("interactionId", "").attributes = {"root": "2.16.156.10011.2.5.1.2", "extension": root.tag}
    root.child("processingCode", "").attributes = {"code": "P"}
    root.child("processingModeCode", "").attributes = {"code": "T"}
    root.child("acceptAckCode", "").attributes = {"code": "AL"}
    for who in ("receiver", "sender"):
        item = root.child(who, "").child("device", "").child("id", "").child("item", "")
        item.attributes, item.slots = {"root": "2.16.156.10011.2.5.1.3"}, {"extension": f"{who}.id"}


_STEP = re.compile(r"([\w:.@]+)(?:\[([^\]]+)\])?")


def _steps(path: str) -> list[tuple[str, str, dict[str, str]]]:
    """A path's elements: name, which of look-alikes, constants."""
    steps = []
    for text in re.split(r"/(?![^\[]*\])", path):
        found = _STEP.fullmatch(text)
        assert found, text
        said = found[2] or ""
        constants = dict([said.split("=", 1)]) if "=" in said else {}
        steps.append((found[1], said.removeprefix("@") if said.startswith("@") else "", constants))
    return steps


def _at(body: Node, path: str) -> Node:
    node = body
    for tag, mark, _ in _steps(path):
        node = node.child(tag, mark)
    return node


def _place(body: Node, row: Row, name: str) -> None:
    *steps, (attribute, _, _) = _steps(row.place)
    node = body
    for number, (tag, mark, constants) in enumerate(steps):
        last = number == len(steps) - 1
        if last and attribute == "@extension" and tag in KINDS_OF_ID:
            mark = _oid(name)
        elif constants.get("type"):
            mark = constants["type"]
        node = node.child(tag, mark)
        node.attributes.update(constants)
    if row.field == "=":
        node.named = name
        return
    node.slots[attribute.removeprefix("@")] = name
    if attribute in ("@extension", "@code") and _oid(name):
        node.attributes["root" if attribute == "@extension" else "codeSystem"] = _oid(name)


def _tell_apart(root: Node) -> None:
    """Where siblings look alike, what tells them: the root of an identifier, the type of a part, a code system or a name."""
    for parent in root.walk():
        for one in parent.children:
            if sum(other.tag == one.tag for other in parent.children) == 1:
                continue
            if one.tag == "item" and "root" in one.attributes:
                one.by = "@root"
            elif one.tag == "part":
                one.by = "@type"
            elif one.tag == "item":
                one.by = "@codeSystemName"
                one.attributes.setdefault("codeSystemName", _label(one))
            elif one.tag == "reason":
                one.by = "observationDx/value/@codeSystem"
            elif one.tag == "component":
                one.by = "observation/code/@codeSystemName"
                code = Node("code", attributes={"codeSystemName": _label(one)})
                one.children[0].children.insert(0, code)


def _label(node: Node) -> str:
    return _english(node.fields()[0])


def _constants(node: Node, parent: str) -> None:
    said = {row["element"]: row["attributes"] for row in own("constants")}
    text = said.get(f"{parent}/{node.tag}") or said.get(node.tag, "")
    constants = dict(one.split("=") for one in text.split())
    if node.tag in TYPES and any(child.tag == "item" for child in node.children):
        constants["xsi:type"] = TYPES[node.tag]
    if node.tag in ("effectiveTime", "time") and node.children:
        tags = {child.tag for child in node.children}
        constants |= (
            {"xsi:type": "DSET_TS"} if "any" in tags else {"xsi:type": "IVL_TS"} if tags & {"low", "high"} else {}
        )
    node.attributes = constants | node.attributes
    for one in node.children:
        _constants(one, node.tag)


# --- the files --------------------------------------------------------------------------------------------------------

NAMES = {
    "extension": "extension",
    "code": "code",
    "value": "value",
    "unit": "unit",
    "validTimeLow": "low",
    "validTimeHigh": "high",
}


def _template(code: str, about: dict[str, str], root: Node, required: set[str]) -> str:
    later = services()[about["later"]]["request_root"] if about["later"] else ""
    later = later if later != root.tag else ""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<!-- {code} {about['name_zh']} ({services()[code]['service_code_action']}). A sample of the message: it opens in an editor as it stands.",
        "     Drafted by tools/kinds/interactions.py; README.md in this folder explains the attributes with the prefix b. -->",
    ]
    spaces = (
        ' xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:b="urn:frontend-agent:template"'
    )
    writer = _Writer(code, required, later)
    writer.write(root, "", spaces, whole=frozenset())
    return "\n".join(lines + writer.lines) + "\n"


class _Writer:
    def __init__(self, code: str, required: set[str], later: str) -> None:
        self.code, self.required, self.later = code, required, later
        self.lines: list[str] = []

    def write(
        self,
        node: Node,
        indent: str,
        spaces: str = "",
        whole: frozenset[str] = frozenset(),
        row: str = "",
        kept: str = "",
    ) -> None:
        """`whole`: the fields of the element around it that is left out when all of them are missing. `kept`: the path to
        what tells a repeated element from its siblings: always written."""
        row = node.each or row
        attributes = dict(node.attributes)
        bound: dict[str, str] = {}
        for attribute, name in node.slots.items():
            attributes[attribute] = self._sample(name, attribute)
            bound[f"b:{NAMES[attribute]}"] = self._said(name, row)
        if node.each:
            bound["b:each"] = node.each
        inside = node.fields()
        needed = self.required & {*inside, *(inside if not node.each else [])}
        head, _, rest = kept.partition("/")
        telling = bool(kept) and head == node.tag
        when = [] if needed or node.each or telling or not inside or frozenset(inside) == whole else inside
        whole = frozenset(inside) if node.each else whole
        if when and not any(name.startswith("envelope.") for name in inside):
            bound["b:when"] = " ".join(self._said(name, row) for name in when)
            whole = frozenset(inside)
        if node.by:
            bound["b:by"] = node.by
        if self.later and (spaces or node.tag == "interactionId"):
            bound["b:later"] = self.later
        text = "".join(f" {k}={quoteattr(v)}" for k, v in {**attributes, **bound}.items())
        named = self._named(node, row)
        if node.children or named:
            self.lines.append(f"{indent}<{node.tag}{spaces}{text}>")
            self.lines += [f"{indent}  {line}" for line in named]
            for child in node.children:
                if not (child.named and named):
                    self.write(
                        child,
                        indent + "  ",
                        whole=whole,
                        row=row,
                        kept=node.by if node.each else rest if telling else "",
                    )
            self.lines.append(f"{indent}</{node.tag}>")
        else:
            self.lines.append(f"{indent}<{node.tag}{spaces}{text}/>")

    def _named(self, node: Node, row: str) -> list[str]:
        for child in node.children:
            if child.tag == "displayName" and child.named:
                codes = value_set(_oid(child.named))
                shown = next((one.name for one in codes), "样例")
                return [f'<displayName value={quoteattr(shown)} b:name="{self._said(child.named, row)}"/>']
        return []

    @staticmethod
    def _said(name: str, row: str) -> str:
        return f"this.{name.removeprefix(row + '.')}" if row and name.startswith(row + ".") else name

    def _sample(self, name: str, attribute: str) -> str:
        if name == "envelope.document_id":
            return f"{self.code}-SAMPLE-1"
        if name == "envelope.effective_time":
            return "20260930093000"
        kept = {"patient.id_number": "000000198706150018", "institution.id": "12000000000000000A", "institution.name": "示范医院",
                "patient.name": "张三", "content.data": "PENsaW5pY2FsRG9jdW1lbnQvPg==", "patient.telephone": "13000000000"}  # fmt: skip
        if name in kept:
            return kept[name]
        if attribute == "code":
            codes = value_set(_oid(name)) if _oid(name) else ()
            return next((one.code for one in codes), "1")
        if attribute == "extension":
            return re.sub(r"[^A-Z]", "", name.upper())[:2] + "0001"
        if name.endswith("birth_date"):
            return "19870615"
        if attribute.startswith("validTime") or name.endswith(("time", "_at", "_from", "_to", "start", "end")):
            return "20260930081500"
        return {"unit": "mg"}.get(attribute, "样例")


def _field_rows(code: str, rows: Sequence[Row], required: set[str]) -> Iterator[list[str]]:
    seen: set[str] = set()
    frame = {row.field for row in rows}
    for who, zh in (("receiver", "接收者ID"), ("sender", "发送者ID")):
        if f"{who}.id" not in frame:  # exchange.md has them in every frame, the sheets of some services leave them out
            yield [
                f"{who}.id",
                "",
                zh,
                _english(f"{who}.id"),
                "",
                "50",
                "",
                "",
                "",
                "",
                "verified",
                "exchange.md, section 2",
            ]
    for row in rows:
        if row.group and row.group not in seen:
            seen.add(row.group)
            group = _groups(code)[row.group]
            always = "always" if any(r.startswith(f"{row.group}.") for r in required) else ""
            yield [
                row.group,
                always,
                group["name_zh"],
                group["name_en"],
                "",
                "",
                "",
                "",
                "",
                "",
                row.confidence,
                "a repeated element",
            ]
        name = row.field if row.field not in ("=", "") and row.field not in seen else ""
        seen.add(name)
        note = row.note or (
            ""
            if name or not row.field
            else "the name of the code before it"
            if row.field == "="
            else f"{row.field} again"
        )
        needed = "always" if name in required or name.startswith("envelope.") else ""
        label = (row.name.split("，")[0], _english(name) or "Message id") if name else (row.name, "")
        yield [
            name,
            needed,
            *label,
            row.de if name else "",
            row.length,
            row.seq,
            row.name,
            "",
            "",
            row.confidence,
            note,
        ]


def _decisions(code: str, about: dict[str, str], rows: Sequence[Row]) -> Iterator[list[str]]:
    for row in rows:
        if row.mark:
            decision = "rejected" if row.mended else "accepted"
            yield ["interaction_fields.csv", f"{row.seq} {row.name}", decision, row.note, row.mark]
    first = services()[code]
    if about["later"]:
        later = services()[about["later"]]
        yield ["interactions.csv", about["later"], "accepted", f"the fields of {later['service_code_action']} are those of {first['service_code_action']}: it is this message from the second version on, under the root {later['request_root']}", later["confidence"]]  # fmt: skip
        if later["request_root"] != later["request_interactionId"]:
            yield ["interactions.csv", f"{about['later']} interactionId", "rejected", f"the sample prints {later['request_interactionId']}; the root is the interaction's id", "project"]  # fmt: skip
    if first["request_root"] != first["request_interactionId"]:
        yield ["interactions.csv", "interactionId", "rejected", f"the sample prints {first['request_interactionId']}; the root is the interaction's id", "project"]  # fmt: skip
    yield ["values", "cardinality", "undecided", "no cardinality is printed: nothing is required but the business key and what a receiver cannot do without", "project"]  # fmt: skip
    yield ["values", "classCode moodCode typeCode xsi:type", "accepted", "written as HL7 v3 has them; no table prints them", "from-memory"]  # fmt: skip
    yield ["values", "processingModeCode", "accepted", "T; some samples leave it empty", "single-source"]
    for name in dict.fromkeys(row.field for row in rows):
        mark = next((one["mark"] for one in own("fields") if one["field"] == name), "")
        if mark == "from-memory":
            yield ["values", f"{name}/@root", "accepted", f"{_oid(name)}: no table at hand prints the root", mark]


def _document(code: str, about: dict[str, str]) -> dict[str, str]:
    row = services()[code]
    return {
        "code": code, "name_zh": about["name_zh"], "name_en": about["name_en"], "standard": "WS/T 846-2024",
        "part": row["standard_part"].partition("846.")[2].partition(" ")[0], "template_id": row["request_root"],
        "dataset_ws445": "", "key": about["key"], "short_name": about["short_name"], "confidence": row["confidence"],
        "note": "a message of the national services; the part's number is that of the draft",
    }  # fmt: skip


def _interaction(code: str, about: dict[str, str]) -> dict[str, str]:
    """What the services of a kind are called in the two dialects that have names for them."""
    first, later = services()[code], services().get(about["later"], {})
    return {
        "kind": code, "root": first["request_root"], "action_b": first["service_code_action"], "action_a": about["action_a"],
        "later": about["later"], "later_root": later.get("request_root", ""), "later_action_b": later.get("service_code_action", ""),
        "later_action_a": about["later_action_a"], "confidence_b": first["confidence"], "confidence_a": about["mark_a"],
    }  # fmt: skip


def _csv(columns: Sequence[str], rows: Iterator[list[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def interactions() -> str:
    """The table of all kinds' services, as text."""
    drafts = [draft(code).interaction for code in kinds()]
    return _csv(list(drafts[0]), (list(row.values()) for row in drafts))


def documents() -> str:
    """The list of all kinds, ours in it brought up to date, as text."""
    listed = {row["code"]: row for row in table("documents.csv")} | {code: draft(code).document for code in kinds()}
    return _csv(list(listed["C0001"]), (list(listed[code].values()) for code in sorted(listed)))


def main(codes: Sequence[str]) -> None:
    for code in codes or kinds():
        drafted = draft(code)
        for ending, text in (
            ("xml", drafted.template),
            ("fields.csv", drafted.fields),
            ("decisions.csv", drafted.decisions),
        ):
            (tables.TEMPLATES / f"{code}.{ending}").write_text(text, encoding="utf-8")
    (tables.TEMPLATES / "interactions.csv").write_text(interactions(), encoding="utf-8")
    (tables.TEMPLATES / "documents.csv").write_text(documents(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
