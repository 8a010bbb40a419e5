"""Writes a kind's template: bindings, conditions and what tells look-alikes apart are worked out here."""

from collections.abc import Collection, Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from tools.kinds import tables
from tools.kinds.body import Section, carried
from tools.kinds.tree import Node

# What the schema always wants: never left out.
ALWAYS = frozenset(
    [
        "structuredBody",
        "section",
        "recordTarget",
        "patientRole",
        "patient",
        "author",
        "assignedAuthor",
        "custodian",
        "assignedCustodian",
        "representedCustodianOrganization",
        "consumable",
        "manufacturedProduct",
        "manufacturedLabeledDrug",
        "manufacturedMaterial",
        "organizer",
        "observation",
        "procedure",
        "act",
        "substanceAdministration",
        "assignedEntity",
        "associatedEntity",
        "participantRole",
        "signatureCode",
    ]
)
KEPT = (".document_id", ".effective_time", ".set_id", ".version", "author.time", "author.id", "institution.id")
# The paths that may tell siblings apart, the surest first: codes before names, names before places.
PATHS = (
    "@root",
    "@typeCode",
    "@use",
    "@unit",
    "section/code/@code",
    "section/code/@displayName",
    "observation/code/@code",
    "organizer/component/observation/code/@code",
    "act/entryRelationship/observation/code/@code",
    "procedure/entryRelationship/observation/code/@code",
    "substanceAdministration/entryRelationship/observation/code/@code",
    "substanceAdministration/@classCode",
    "procedure/@classCode",
    "procedure/code/@codeSystem",
    "act/@classCode",
    "organizer/@classCode",
    "observation/code/qualifier/name/@displayName",
    "organizer/component/observation/code/qualifier/name/@displayName",
    "observation/code/@displayName",
    "organizer/code/@displayName",
    "organizer/component/observation/entryRelationship/observation/code/@displayName",
    "organizer/component/observation/code/@displayName",
    "participantRole/code/@displayName",
    "assignedAuthor/code/@displayName",
    "assignedEntity/code/@displayName",
    "assignedEntity/code/@codeSystem",
)
BY_TABLE = {
    "2.16.156.10011.2.3.3.11": ("J18.900", "肺炎"),
    "2.16.156.10011.2.3.3.12": ("47.0100", "腹腔镜阑尾切除术"),
    "2.16.156.10011.2.3.3.14": ("BNF010", "咳嗽病"),
}


def template(kind: str, header: list[Node], sections: list[Section]) -> str:
    """The text of a kind's template."""
    parts = [Node("component", by=_section_path(s, sections), children=[s.element], keep=True) for s in sections]
    body = Node("component", children=[Node("structuredBody", children=parts)], keep=True)
    top = [*header, body]
    _tell_apart_all(kind, top)
    for node in top:
        _sample(node)
    document = tables.documents()[kind]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<!-- {kind} {document['name_zh']} (WS/T 500-2016). A sample of the document: it opens in an editor as it stands.",
        "     Attributes with the prefix b say which field stands where; README.md in this folder explains them. -->",
        '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xmlns:b="urn:frontend-agent:template">',
    ]
    for node in top:
        lines += _lines(node, "  ", (), "")
    return "\n".join([*lines, "</ClinicalDocument>", ""])


def _section_path(section: Section, sections: Iterable[Section]) -> str:
    code = section.element.children[0].attributes.get("code", "")
    codes = [s.element.children[0].attributes.get("code", "") for s in sections]
    return "section/code/@code" if code and codes.count(code) == 1 else "section/code/@displayName"


# --- conditions


def _when(node: Node, group: str) -> tuple[str, ...]:
    """The fields and groups of which one must have a value for the element to be written."""
    names = [n for n in _holds(node, group) if not n.startswith(("envelope.", "institution."))]
    return tuple(dict.fromkeys(names))


def _holds(node: Node, group: str) -> Iterator[str]:
    if node.each and node.each != group:
        yield node.each
        return
    yield from node.bound.values()
    for child in node.children:
        yield from _holds(child, group)


def _condition(node: Node, above: tuple[str, ...], group: str) -> tuple[str, ...]:
    if node.tag == "relatedDocument":
        return ("envelope.replaces_id",)
    if node.each or node.tag in ALWAYS or node.keep or any(n.endswith(KEPT) for n in node.bound.values()):
        return ()
    if "institution.name" in node.bound.values():
        return ("institution.name",)
    names = _when(node, group)
    return () if not names or names == above else names


def _lines(node: Node, indent: str, above: tuple[str, ...], group: str) -> Iterator[str]:
    group = node.each or group
    when = _condition(node, above, group)
    attributes = dict(node.attributes)
    bindings = {f"b:{key}": _said(name, group) for key, name in node.bound.items()}
    if node.narrative:
        bindings["b:narrative"] = " ".join(node.narrative)
    if node.each:
        bindings["b:each"] = node.each
    if when:
        bindings["b:when"] = " ".join(_said(name, group) for name in when)
    if node.by:
        bindings["b:by"] = node.by
    start = "".join(f" {key}={quoteattr(value)}" for key, value in [*attributes.items(), *bindings.items()])
    inside = when or (above if node.tag in ALWAYS or node.keep else _when(node, group) or above)
    if node.children:
        yield f"{indent}<{node.tag}{start}>"
        for child in node.children:
            yield from _lines(child, indent + "  ", inside, group)
        yield f"{indent}</{node.tag}>"
    elif node.text:
        yield f"{indent}<{node.tag}{start}>{escape(node.text)}</{node.tag}>"
    else:
        yield f"{indent}<{node.tag}{start}/>"


def _said(name: str, group: str) -> str:
    return f"this.{name.removeprefix(f'{group}.')}" if group and name.startswith(f"{group}.") else name


# --- look-alikes


def _tell_apart_all(kind: str, nodes: list[Node]) -> None:
    _tell_apart(kind, nodes)
    for node in nodes:
        _tell_apart_all(kind, node.children)


def _tell_apart(kind: str, siblings: list[Node]) -> None:
    """Say for each of several siblings of one name what tells it from the others."""
    for node in siblings:
        alike = [s for s in siblings if s.tag == node.tag]
        if node.by or (len(alike) == 1 and node.tag not in ("entry", "component", "entryRelationship")):
            continue
        if len(alike) > 1 and not node.fields():
            continue
        found = next((p for p in PATHS if _tells(p, node, alike)), "")
        if found == "@root":
            continue
        if not found and len(alike) > 1:
            raise SystemExit(f"{kind}: {node.tag} {node.origin} {node.label}: nothing tells it from its siblings")
        node.by = found


def _tells(path: str, node: Node, alike: list[Node]) -> bool:
    own = constants(node, path)
    others = {key for other in alike if other is not node for key in constants(other, path)}
    return bool(own) and not own & others and _is_sure(path, node)


def _is_sure(path: str, node: Node) -> bool:
    """Whether something stands at the path whichever of the element's fields has a value."""
    chains = list(_chains(node, path))
    return all(
        any(
            all(element.tag in ALWAYS or not _holds_any(element) or name in element.fields() for element in chain)
            for chain in chains
        )
        for name in node.fields()
        if not name.startswith(("envelope.", "institution."))
    )


def _holds_any(element: Node) -> bool:
    return bool(element.fields()) and not element.keep


def _chains(node: Node, path: str) -> Iterator[list[Node]]:
    """The elements on the way to every constant at a path."""
    head, _, rest = path.partition("/")
    if head.startswith("@"):
        if constants(node, path):
            yield []
        return
    for child in node.children:
        if child.tag == head:
            for chain in _chains(child, rest):
                yield [child, *chain]


def constants(node: Node, path: str) -> set[str]:
    """What stands fixed at a path below an element."""
    head, _, rest = path.partition("/")
    if head.startswith("@"):
        name = head[1:]
        filled = {"displayName": "display"}.get(name, name) in node.bound or (
            name == "displayName" and "code" in node.bound
        )
        value = "" if filled else node.attributes.get(name, "")
        return {value} - {""}
    return {key for child in node.children if child.tag == head for key in constants(child, rest)}


# --- samples


def _sample(node: Node, label: str = "") -> None:
    """A believable value in every place that a field fills."""
    label = node.label or label
    for binding, name in node.bound.items():
        if binding == "text":
            node.text = node.text or sample(name, "ST", label)
        elif binding == "display":
            known = BY_TABLE.get(node.attributes.get("codeSystem", "")[:23])
            node.attributes["displayName"] = known[1] if known else sample(name, "ST", label)
        elif not node.attributes.get(binding):
            type_ = node.attributes.get("xsi:type") or ("CD" if binding == "code" else _type(node, binding))
            value = sample(name, type_, label)
            if binding == "code" and (known := BY_TABLE.get(node.attributes.get("codeSystem", "")[:23])):
                value = known[0]
            if binding == "code" and (first := _first_code(node.attributes.get("codeSystem", ""))):
                value, node.attributes["displayName"] = first
            node.attributes[binding] = value
    system = node.attributes.get("codeSystem", "")
    shown = node.attributes.get("displayName") == "" or ("code" in node.bound and carried(system))
    if shown and "display" not in node.bound:
        first = _first_code(system, node.attributes.get("code", ""))
        node.attributes["displayName"] = first[1] if first else ""
    if node.attributes.get("displayName") == "":
        del node.attributes["displayName"]
    _order(node)
    for child in node.children:
        _sample(child, label)


def _type(node: Node, binding: str) -> str:
    if binding == "unit":
        return "unit"
    if node.tag in ("time", "effectiveTime", "low", "high", "birthTime"):
        return "TS"
    return "PQ" if binding == "value" else "ST"


def sample(name: str, type_: str, label: str) -> str:
    """A sample of a field: its own, or one of its type."""
    own = {row["field"]: row["sample"] for row in tables.own("samples.csv")}
    if name in own:
        return own[name]
    if ending := next((end for end in own if end.startswith("…") and name.endswith(end[1:])), ""):
        return own[ending]
    key = name.rpartition(".")[2]
    if f"*.{key}" in own:
        return own[f"*.{key}"]
    usual = {
        "TS": "20260930081500",
        "BL": "true",
        "INT": "1",
        "PQ": "1",
        "REAL": "1.0",
        "MO": "36.50",
        "CD": "1",
        "CE": "1",
    }
    if key.endswith("_id"):
        return "D0003"
    if key.endswith("_name") and type_ == "ST" and not label.endswith("名称"):
        return "王医生"
    return {**usual, "unit": "mg"}.get(type_) or f"{(label or name).split('-')[-1]}示例"


def _first_code(system: str, wanted: str = "") -> tuple[str, str] | None:
    if not carried(system):
        return None
    index = tables.read(tables.TEMPLATES / "value_sets" / "index.csv")
    file = next(row["file"] for row in index if row["oid"] == system)
    rows = tables.read(tables.TEMPLATES / "value_sets" / file)
    row = next((r for r in rows if r["code"] == wanted), rows[0])
    return row["code"], row["name_zh"]


SEQUENCE = ("xsi:type", "nullFlavor", "typeCode", "classCode", "moodCode", "determinerCode", "root", "extension", "unit",
            "value", "code", "codeSystem", "codeSystemName", "displayName")  # fmt: skip


def _order(node: Node) -> None:
    system = node.attributes.get("codeSystem", "")
    if "code" in node.bound and system:
        node.attributes.setdefault("codeSystemName", _system_name(system))
    known = [key for key in SEQUENCE if key in node.attributes]
    rest: Collection[str] = [key for key in node.attributes if key not in known]
    node.attributes = {key: node.attributes[key] for key in [*known, *rest]}


def _system_name(oid: str) -> str:
    for row in tables.read(tables.standards() / "valuesets" / "oid_index.csv"):
        if row["oid"] == oid:
            return row["name_zh"].replace("个人身体", "个人身份")  # the README's misprint
    return ""
