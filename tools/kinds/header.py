"""Which field stands where in the header of a kind: header_tree.csv of the standard, laid beside our header.csv.

A place of the header is named by a short path: identifiers by the end of their root (`id[1.12]`), participants and telephone
numbers by what their own attribute says (`participant[NOT]`), a place of the hospital by what it is (`location/bed/id`), and
everybody who signs alike (`signer/time`), with the role from signers.csv.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.kinds import tables
from tools.kinds.slots import Slot
from tools.kinds.tree import Node, forest

LEVELS = {"22": "bed", "21": "room", "26": "department", "27": "ward", "5": "institution"}
ROOTS = {level: f"2.16.156.10011.1.{number}" for number, level in LEVELS.items()}
USUAL = "bed room department ward institution"
SIGNERS = ("legalAuthenticator", "authenticator")
CODE_SYSTEM_NAMES = {
    "2.16.156.10011.2.4": "卫生信息共享文档规范编码体系",
    "2.16.840.1.113883.5.25": "Confidentiality",
}
ENVELOPE = (
    ("id", "extension", "envelope.document_id", "文档流水号标识", "Document id", "50"),
    ("effectiveTime", "value", "envelope.effective_time", "文档机器生成时间", "Made at", "DT15"),
    ("setId", "extension", "envelope.set_id", "文档集合编号", "Document set", "50"),
    ("versionNumber", "value", "envelope.version", "文档版本号", "Version", "50"),
)


@dataclass
class Header:
    """The header's elements, bound, and the places of it in order."""

    elements: list[Node]
    slots: list[Slot]


def draft_header(kind: str) -> Header:
    """The header of a kind."""
    document = tables.documents()[kind]
    elements = forest(tables.national("header_tree.csv", kind))
    slots: list[Slot] = []
    signed = iter(_signers(kind))
    _add(kind, elements)
    for element in elements:
        if element.tag in ("realmCode", "typeId", "templateId", "languageCode"):
            continue
        if element.tag in SIGNERS:
            signer = next(signed)
            _role_code(element, signer["label"])
            slots += _bind(kind, element, "signer", signer)
        elif element.tag == "relatedDocument":
            _relate(element)
        elif not _shell(element, kind, document, slots):
            slots += _bind(kind, element, element.tag, {})
    _tidy(elements)
    return Header(elements, slots)


def _add(kind: str, elements: list[Node]) -> None:
    """What header_additions.csv adds to the tree of this kind: the sheet or two sources have it."""
    for row in tables.own_for("header_additions.csv", kind):
        head, _, rest = row["path"].partition("/")
        if not head:
            at = max(i for i, element in enumerate(elements) if element.tag in row["after"].split())
            elements.insert(at + 1, _signer(row["tag"]))
            continue
        top = next(element for element in elements if element.tag == head)
        parent = top.at(rest)[0] if rest else top
        at = max((i for i, child in enumerate(parent.children) if child.tag in row["after"].split()), default=-1)
        given = dict(part.split("=", 1) for part in row["attributes"].split())
        parent.children.insert(at + 1, Node(row["tag"], given))
        for old in row["removes"].split():
            top.at(rest)[0].attributes.pop(old, None)


def _signer(tag: str) -> Node:
    person = Node("assignedPerson", children=[Node("name")])
    entity = Node("assignedEntity", children=[Node("id", {"root": "2.16.156.10011.1.4"}), Node("code"), person])
    return Node(tag, children=[Node("time"), Node("signatureCode"), entity])


def _signers(kind: str) -> Iterator[tables.Row]:
    """Who signs, in the order of the elements."""
    return (row for row in tables.own("signers.csv") if row["kind"] == kind)


def _shell(element: Node, kind: str, document: tables.Row, slots: list[Slot]) -> bool:
    """The elements every document begins with. Whether this was one."""
    given = element.attributes
    if element.tag == "code":
        given |= {"code": kind, "codeSystemName": CODE_SYSTEM_NAMES["2.16.156.10011.2.4"]}
    elif element.tag == "title":
        element.text = document["name_zh"]
    elif element.tag == "confidentialityCode":
        system = given.pop("codeSystem")
        given |= {"codeSystem": system, "codeSystemName": CODE_SYSTEM_NAMES[system], "displayName": "正常访问保密级别"}
    else:
        for tag, attribute, field, zh, en, length in ENVELOPE:
            if element.tag == tag:
                if attribute == "extension":
                    given["root"] = "2.16.156.10011.1.1"
                given[attribute] = _envelope_sample(field, kind)
                element.bound[attribute] = field
                slots.append(Slot(field, zh, en, length=length, sheet=(zh,), required="always", node=element))
                return True
        return False
    return True


def _envelope_sample(field: str, kind: str) -> str:
    return {
        "envelope.document_id": f"{kind}-SAMPLE-1",
        "envelope.effective_time": "20260930093000",
        "envelope.set_id": f"{kind}-SAMPLE",
        "envelope.version": "1",
    }[field]


def _relate(element: Node) -> None:
    """The version that this one replaces: written from the envelope alone."""
    samples = (
        ("id", "extension", "envelope.replaces_id", "SAMPLE-0"),
        ("setId", "extension", "envelope.set_id", "SAMPLE"),
        ("versionNumber", "value", "envelope.replaced_version", "0"),
    )
    for tag, attribute, field, sample in samples:
        node = element.at(f"parentDocument/{tag}")[0]
        if attribute == "extension":
            node.attributes["root"] = "2.16.156.10011.1.1"
        node.attributes[attribute] = sample
        node.bound[attribute] = field


# --- the places


def _bind(kind: str, top: Node, name: str, signer: tables.Row) -> list[Slot]:
    rules = {row["path"]: row for row in tables.own("header.csv")}
    rules |= {row["path"]: row for row in tables.own("header_overrides.csv") if kind in row["kind"].split()}
    found: list[Slot] = []
    for node, path in _places(kind, top, name):
        rule = rules.get(path)
        if rule is None or (node.children and rule["binding"] != "element"):
            continue
        row = {key: (value or "").format(**_role(signer)) for key, value in rule.items()}
        for doubled, once in (("机构机构", "机构"), ("医疗机构科室", "科室"), ("所在机构科室", "所在科室")):
            row["name_zh"] = row["name_zh"].replace(doubled, once)
        if row["binding"] == "element":
            found.append(
                Slot(
                    "", signer.get("label", "") or row["name_zh"], sheet=(row["sheet"] or _label(signer),), element=True
                )
            )
            continue
        if node.each:
            continue
        _fill(node, row)
        slot = _slot(node, row)
        if row["group"]:
            _repeat(top, node, row["group"])
            slot.group = row["group"]
        found.append(slot)
    return found


def _repeat(top: Node, node: Node, group: str) -> None:
    """The sample shows several of an element: one of them, repeated."""
    node.each = group
    for parent in top.walk():
        if node in parent.children:
            parent.children = [c for c in parent.children if c is node or c.tag != node.tag]


def _role_code(element: Node, label: str) -> None:
    """What a signer is called; it also tells one from another."""
    entity = element.child("assignedEntity")
    assert entity is not None
    code = entity.child("code")
    if code is None:
        code = Node("code")
        entity.children.insert(1, code)
    if "codeSystem" in code.attributes:
        code.keep = True
    else:
        code.attributes["displayName"] = label


def _role(signer: tables.Row) -> dict[str, str]:
    if not signer:
        return {"role": "", "label": "", "English": ""}
    known = {row["role_zh"]: row for row in tables.own("roles.csv")}
    found = known.get(signer["label"], {"role": "", "name_en": ""})
    role = signer["role"] or found["role"]
    if not role:
        raise SystemExit(f"{signer['kind']}: no role for the signer {signer['label']}")
    label = signer["label"].removesuffix("签名")
    return {"role": role, "label": label, "English": found["name_en"] or role.replace("_", " ").capitalize()}


def _label(signer: tables.Row) -> str:
    return signer.get("label", "")


def _fill(node: Node, row: tables.Row) -> None:
    binding, field = row["binding"], row["field"]
    node.attributes.pop("nullFlavor", None)  # what the sample says of a value that we have
    if binding == "text":
        node.text = row["sample"]
    else:
        node.attributes[binding] = row["sample"]
    node.bound[binding] = field


def _slot(node: Node, row: tables.Row) -> Slot:
    return Slot(
        row["field"],
        row["name_zh"],
        row["name_en"],
        de=row["de_code"],
        length=row["length"],
        sheet=(*row["sheet"].split("|"), row["name_zh"]),
        node=node,
        again=row["field"].startswith("institution.") and not row["name_zh"],
    )


def _places(kind: str, top: Node, name: str) -> Iterator[tuple[Node, str]]:
    """Every element below, with its short path."""
    if top.tag in ("participant",):
        name = f"participant[{top.attributes.get('typeCode', '')}]"
    yield top, name
    yield from _below(kind, top, name)


def _below(kind: str, node: Node, path: str) -> Iterator[tuple[Node, str]]:
    for child in node.children:
        if child.tag == "location":
            yield child, "location"
            yield from _levels(kind, child, "location")
        elif child.tag == "providerOrganization":
            yield child, "provider"
            yield from _levels(kind, child, "provider")
        elif (
            child.tag == "representedOrganization"
            and path == "signer/assignedEntity"
            and child.child("asOrganizationPartOf")
        ):
            yield from _levels(kind, child, f"{path}/representedOrganization")
        else:
            here = f"{path}/{child.tag}{_mark(child)}"
            yield child, here
            yield from _below(kind, child, here)


def _mark(node: Node) -> str:
    """What tells an element from others of its name."""
    given = node.attributes
    if node.tag == "id" and "root" in given:
        root = given["root"].removeprefix("2.16.156.10011.")
        return "" if root == "1.4" else f"[{root}]"
    if node.tag == "telecom" and given.get("use") in ("MP", "WP", "EM"):
        return f"[{given['use']}]"
    if node.tag == "age" and given.get("unit") == "月":
        return "[月]"
    if node.tag == "code" and given.get("codeSystem"):
        return f"[{given['codeSystem'].removeprefix('2.16.156.10011.')}]"
    return ""


def _levels(kind: str, top: Node, prefix: str) -> Iterator[tuple[Node, str]]:
    """The chain of organisations below: bed, room, department, ward, hospital, by their ids, else in the usual order."""
    chain = [node for node in top.walk() if node.tag in ("wholeOrganization", "providerOrganization")]
    told = next((row["levels"] for row in tables.own("levels.csv") if kind in row["kind"].split()), USUAL)
    exact = told.startswith("!")
    known = told[1:].split() if exact else [_level(node) for node in chain]
    rest = [level for level in told.split() if level not in known]
    for node, level in zip(chain, known, strict=True):
        if not level:
            level = rest.pop(0) if prefix == "location" else "institution"
        if prefix == "provider" and (level in ("bed", "room", "ward") or (level == "department" and len(chain) > 3)):
            where = "location"  # two nursing kinds say the bed here and not at the encounter
        else:
            where = prefix
        if where == "location" and level != "institution":
            _whole(node, level)
        for child in node.children:
            if child.tag in ("id", "name"):
                yield child, f"{where}/{level}/{child.tag}"
            elif child.tag == "addr":
                yield child, f"{prefix}/discussion/addr"
            elif child.child("effectiveTime"):
                yield child.children[0], f"{prefix}/discussion/effectiveTime"


def _whole(node: Node, level: str) -> None:
    """A bed, room, department or ward has an id and a name, whichever of them the tree prints."""
    identifier = node.child("id")
    if identifier is None:
        node.children.insert(0, Node("id", {"root": ROOTS[level]}))
    else:
        identifier.attributes["root"] = ROOTS[level]
    if node.child("name") is None:
        node.children.insert(1, Node("name"))


def _level(node: Node) -> str:
    identifier = node.child("id")
    root = identifier.attributes.get("root", "") if identifier else ""
    found = re.search(r"\.1\.(\d+)$", root)
    return LEVELS.get(found.group(1), "") if found else ""


# --- what every document says besides


def _tidy(elements: list[Node]) -> None:
    """Constants the tables do not print: names of code systems, signatures, and the id of a hospital where only a name stands."""
    for top in elements:
        for node in top.walk():
            if node.tag == "patient":
                node.attributes |= {"classCode": "PSN", "determinerCode": "INSTANCE"}
            if node.tag == "providerOrganization":
                _say_always(node)
            if node.tag == "id" and not node.attributes.get("root") and node.bound:
                who = "1.3" if "informant.id" in node.bound.values() else "1.4"
                node.attributes["root"] = f"2.16.156.10011.{who}"
            if node.tag == "signatureCode":
                node.attributes["code"] = "S"
            if node.tag in (*SIGNERS, "assignedEntity", "assignedAuthor", "author"):
                for child in node.children:
                    child.keep = child.keep or child.tag in ("id", "time")
            if node.tag in ("encompassingEncounter", "serviceEvent", "assignedAuthor", "associatedEntity"):
                _call(node)
            if node.tag == "representedCustodianOrganization" and node.child("name") is None:
                name = Node("name", text="示范医院", bound={"text": "institution.name"})
                node.children.insert(1, name)


def _call(node: Node) -> None:
    """A code without anything in it says what it is about."""
    code = node.child("code")
    if code is None or code.attributes or code.bound:
        return
    called = {"assignedAuthor": "文档创作者", "associatedEntity": "联系人", "encompassingEncounter": "住院"}
    code.attributes["displayName"] = called.get(node.tag, "")
    if node.tag == "serviceEvent":
        code.attributes["displayName"] = "手术或分娩" if node.at("effectiveTime/width") else "阶段小结"


def _say_always(provider: Node) -> None:
    """The hospital stands at the patient first: what holds it is never left out."""
    for node in provider.walk():
        if node.children and any(name.startswith("institution.") for name in node.fields()):
            node.keep = True
