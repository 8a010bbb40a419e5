"""Drafts the four WS/T 483 kinds whose bodies are known, from sections/ehr_tree.csv: a tool run by hand, no part of the agent.

    python -m tools.kinds.health_records          writes cda_templates/HSD*.xml, .fields.csv and .decisions.csv

The tree is one vendor's rendering (single-source). Where it contradicts itself or the rest of the standard, the tables here
(`health_records/*.csv`) say what we write instead and why; every such line becomes a row of the kind's decisions.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from tests.conftest import shared_folder

HERE = Path(__file__).parent
STANDARDS = shared_folder() / "standards"
TEMPLATES = HERE.parents[1] / "cda_templates"
V3, XSI, B = "urn:hl7-org:v3", "http://www.w3.org/2001/XMLSchema-instance", "urn:frontend-agent:template"
ELEMENTS, LOINC = "2.16.156.10011.2.2.1", "2.16.840.1.113883.6.1"
FIELD_COLUMNS = [
    *("field", "required", "name_zh", "name_en", "de_code", "length", "seq", "printed_name"),
    *("printed_cardinality", "group_cardinality", "confidence", "note"),
]
SAMPLES = {"PQ": "1", "INT": "1", "BL": "true", "REAL": "1", "ST": "样例"}


def read(path: Path) -> list[dict[str, str]]:
    """A CSV file, one dictionary per row."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ours(name: str, kind: str = "") -> list[dict[str, str]]:
    """One of our small tables, for one kind."""
    rows = read(HERE / "health_records" / name)
    return [row for row in rows if row["kind"] in (kind, "*")] if kind else rows


@dataclass
class Node:
    """An element of the vendor's tree."""

    number: str
    tag: str
    fixed: dict[str, str]
    label: str
    section: str
    children: list["Node"] = field(default_factory=list)

    def find(self, tag: str) -> "Node | None":
        return next((child for child in self.children if child.tag == tag), None)


def tree(kind: str) -> list[Node]:
    """The top elements of a kind, as printed."""
    nodes: dict[str, Node] = {}
    roots: list[Node] = []
    for row in read(STANDARDS / "sections" / "ehr_tree.csv"):
        if row["doc_code"] != kind:
            continue
        fixed = dict(part.split("=", 1) for part in row["fixed_attributes"].split() if "=" in part)
        node = Node(row["node"], row["element"], fixed, row["item_name_zh"], row["section_seq"])
        nodes[row["node"]] = node
        (nodes[row["parent_node"]].children if row["parent_node"] else roots).append(node)
    return roots


@dataclass
class Value:
    """A field as it is met in the tree."""

    name: str
    zh: str
    en: str
    de: str = ""
    length: str = ""
    required: str = ""
    confidence: str = "single-source"
    note: str = ""


class Draft:
    """One kind on its way from tree to template."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.document = next(row for row in read(STANDARDS / "documents.csv") if row["code"] == kind)
        self.values: dict[str, Value] = {}
        self.decisions: list[tuple[str, str, str, str, str]] = []
        self.names = {(r["de_code"], r["name_zh"]): r for r in read(HERE / "names.csv")}
        self.catalogue = {r["de_code"]: r for r in read(STANDARDS / "data_elements.csv")}
        self.systems = {r["oid"]: r["name_zh"] for r in read(STANDARDS / "valuesets" / "oid_index.csv")}
        self.paths = {r["path"]: r for r in ours("header.csv")}
        self.changes = {r["node"]: r for r in ours("changes.csv", kind)}
        self.groups = {r["node"]: r for r in ours("groups.csv", kind)}
        self.sections = {r["section"]: r for r in ours("sections.csv", kind)}
        self.shared_systems = {r["oid"]: r["reason"] for r in ours("systems.csv")}
        self.mended: dict[str, str] = {}  # a misprinted data element -> what it is
        self.group = ""

    # --- elements

    def element(self, tag: str, attributes: dict[str, str] | None = None, text: str = "") -> etree._Element:
        made = etree.Element(f"{{{V3}}}{tag}")
        for name, value in (attributes or {}).items():
            made.set(f"{{{XSI}}}{name[4:]}" if name.startswith("xsi:") else name, value)
        if text:
            made.text = text
        return made

    def bind(self, element: etree._Element, how: str, value: Value, sample: str, optional: bool = True) -> None:
        """Let a field fill an attribute (`value`, `code` …) or the `text` of an element."""
        if how == "text":
            element.text = sample
        elif how != "code":
            element.set(how, sample)
        else:
            others = dict(element.attrib)
            element.attrib.clear()
            first = {f"{{{XSI}}}type": others.pop(f"{{{XSI}}}type")} if f"{{{XSI}}}type" in others else {}
            element.attrib.update(
                first | {how: sample} | {k: v for k, v in others.items() if k != how}
            )  # headline: code first
        name = value.name
        if self.group:
            name = f"this.{name}"
            value.name = f"{self.group}.{value.name}"
        element.set(f"{{{B}}}{how}", name)
        if optional:
            element.set(f"{{{B}}}when", name)
        self.values.setdefault(value.name, value)

    def decide(self, key: str, decision: str, reason: str, mark: str = "project") -> None:
        self.decisions.append(("ehr_tree.csv", key, decision, reason, mark))

    # --- header

    def header(self, nodes: list[Node]) -> list[etree._Element]:
        made = [e for node in nodes if node.tag != "component" for e in self.header_element(node, node.tag)]
        tags = [etree.QName(e).localname for e in made]
        at = tags.index("languageCode") + 1
        for tag, lacking in (("versionNumber", self.version()), ("setId", self.set_id())):
            if tag not in tags:
                made.insert(at, lacking)
                self.decide(
                    tag, "accepted", "not in the tree; every document of ours names its set and version (law 13)"
                )
        patient = next(e for e in made if etree.QName(e).localname == "recordTarget")[0]
        self.numbers(patient)
        return [*made, self.related()]

    def numbers(self, role: etree._Element) -> None:
        for row in ours("identifiers.csv", self.kind):
            number = self.element("id", {"root": row["root"]})
            self.bind(number, "extension", Value(row["field"], row["name_zh"], row["name_en"], row["de_code"],
                      confidence="project", note=row["reason"]), "1")  # fmt: skip
            role.insert(1, number)
            self.decide(f"id[{row['root']}]", "accepted", row["reason"])

    def header_element(self, node: Node, path: str) -> Iterator[etree._Element]:
        change = self.changes.get(node.number)
        if change and change["change"] == "drop":
            self.decide(node.number, "rejected", change["reason"])
            return
        shell = self.shell(node)
        if shell is not None:
            yield shell
            return
        made = self.element(
            node.tag, {k: v for k, v in node.fixed.items() if k != "xsi:type" or node.tag == "houseType"}
        )
        said = self.paths.get(path)
        if said:
            for pair in said["fixed"].split():
                name, _, constant = pair.partition("=")
                made.set(name, constant)
            if said["reason"]:
                self.decide(node.number, "accepted", said["reason"])
            if said["field"]:
                if system := node.fixed.get("codeSystem"):
                    made.set("codeSystemName", self.systems[system])
                    made.set("displayName", "样例")
                value = Value(
                    said["field"], said["name_zh"], said["name_en"], said["de_code"], required=said["required"]
                )
                self.bind(made, said["how"], value, said["sample"], optional=said["when"] == "yes")
        for child in node.children:
            for below in self.header_element(child, f"{path}/{child.tag}"):
                made.append(below)
        if not said or not said["field"]:
            fields = list(dict.fromkeys(name for e in made.iter() for name in bound(e)))
            needed = {self.values[f].required for f in fields}
            if fields and "always" not in needed and node.tag != "assignedAuthor":
                made.set(f"{{{B}}}when", " ".join(fields))
        yield made

    def shell(self, node: Node) -> etree._Element | None:
        """The elements that every document of ours begins with, written as the verified kinds have them."""
        document = self.document
        match node.tag:
            case "realmCode":
                return self.element("realmCode", {"code": "CN"})
            case "typeId":
                return self.element("typeId", {"root": "2.16.840.1.113883.1.3", "extension": "POCD_MT000040"})
            case "templateId":
                return self.element("templateId", {"root": document["template_id"]})
            case "id" if node.section == "":
                self.decide(node.number, "rejected", f"the tree prints the root {node.fixed['root']}, whose meaning is"
                            " unknown; the root of the document serial (2.16.156.10011.1.1) stands here as in every kind")  # fmt: skip
                return self.envelope(
                    "id", "document_id", "文档流水号标识", "Document id", {"root": "2.16.156.10011.1.1"}
                )
            case "code" if node.section == "":
                return self.element("code", {"code": self.kind, "codeSystem": document["code_system"],
                                             "codeSystemName": "卫生信息共享文档规范编码体系"})  # fmt: skip
            case "title":
                return self.element("title", text=document["name_zh"])
            case "effectiveTime":
                made = self.element("effectiveTime")
                self.bind(made, "value", Value("envelope.effective_time", "文档机器生成时间", "Made at", length="DT15",
                          required="always"), "20260930093000", optional=False)  # fmt: skip
                return made
            case "confidentialityCode":
                return self.element("confidentialityCode", {"code": "N", "codeSystem": "2.16.840.1.113883.5.25",
                                    "codeSystemName": "Confidentiality", "displayName": "正常访问保密级别"})  # fmt: skip
            case "languageCode":
                return self.element("languageCode", {"code": "zh-CN"})
            case "setId":
                return self.set_id()
            case "versionNumber":
                return self.version()
        return None

    def envelope(self, tag: str, name: str, zh: str, en: str, fixed: dict[str, str]) -> etree._Element:
        made = self.element(tag, fixed)
        value = Value(f"envelope.{name}", zh, en, length="50", required="always")
        self.bind(made, "extension", value, f"{self.kind}-SAMPLE", optional=False)
        return made

    def set_id(self) -> etree._Element:
        return self.envelope("setId", "set_id", "文档集合编号", "Document set", {"root": "2.16.156.10011.1.1"})

    def version(self) -> etree._Element:
        made = self.element("versionNumber")
        value = Value("envelope.version", "文档版本号", "Version", length="50", required="always")
        self.bind(made, "value", value, "1", optional=False)
        return made

    def related(self) -> etree._Element:
        related = self.element("relatedDocument", {"typeCode": "RPLC", f"{{{B}}}when": "envelope.replaces_id"})
        parent = self.element("parentDocument")
        related.append(parent)
        for tag, fixed, how, name, sample in (
            ("id", {"root": "2.16.156.10011.1.1"}, "extension", "envelope.replaces_id", "SAMPLE-0"),
            ("setId", {"root": "2.16.156.10011.1.1"}, "extension", "envelope.set_id", "SAMPLE"),
            ("versionNumber", {}, "value", "envelope.replaced_version", "0"),
        ):
            made = self.element(tag, fixed)
            made.set(how, sample)
            made.set(f"{{{B}}}{how}", name)
            parent.append(made)
        self.decide("relatedDocument", "accepted", "not in the tree; written only when a version replaces another")
        return related

    # --- body

    def body(self, component: Node) -> etree._Element:
        made = self.element("component")
        structured = self.element("structuredBody")
        made.append(structured)
        for number, node in enumerate(component.children[0].children, 1):
            structured.append(self.section(node.children[0], str(number)))
        return made

    def section(self, node: Node, number: str) -> etree._Element:
        said = self.sections[number]
        holder, section = self.element("component"), self.element("section")
        holder.append(section)
        code = node.find("code")
        if code is not None and code.fixed.get("code"):
            fixed = {"code": code.fixed["code"], "codeSystem": LOINC, "codeSystemName": "LOINC"}
            section.append(self.element("code", fixed | {"displayName": said["display_name"]}))
            holder.set(f"{{{B}}}by", "section/code/@code")
        else:
            section.append(self.element("code", {"displayName": said["display_name"]}))
            holder.set(f"{{{B}}}by", "section/code/@displayName")
        section.append(self.element("title", text=said["title_zh"]))
        text = self.element("text")
        section.append(text)
        self.decide(f"section {number}", "accepted", said["reason"])
        if said["narrative"]:
            text.set(f"{{{B}}}narrative", said["narrative"])
            self.values[said["narrative"]] = Value(said["narrative"], said["name_zh"], said["name_en"], said["de_code"],
                                                   confidence="project", note="no entry in the tree: stands in the text")  # fmt: skip
        entries = [child for child in node.children if child.tag == "entry"]
        made = [self.entry(child) for child in entries]
        for element in made:
            section.append(element)
        tell_apart(made)
        return holder

    def entry(self, node: Node) -> etree._Element:
        said = self.groups.get(node.number)
        if said:
            self.group = said["group"]
            self.values[self.group] = Value(self.group, said["name_zh"], said["name_en"], note=said["reason"])
        made = self.clinical(node)
        if said:
            del made.attrib[f"{{{B}}}when"]
            made.set(f"{{{B}}}each", self.group)
            self.group = ""
        return made

    def clinical(self, node: Node, around: str = "") -> etree._Element:
        """An element of an entry, with everything in it."""
        fixed = {k: v for k, v in node.fixed.items() if k != "xsi:type"}
        made = self.element(node.tag, fixed)
        change = self.changes.get(node.number)
        if change:
            for pair in change["fixed"].split():
                name, _, constant = pair.partition("=")
                made.set(name, constant)
            self.decide(node.number, "accepted", change["reason"])
        if node.tag == "statusCode":
            made.set("code", "completed")
        if change and change["field"]:
            self.slot(made, node, change)
            return made
        if node.tag in ("observation", "criterion"):
            self.observation(made, node)
        else:
            for child in node.children:
                made.append(self.clinical(child, node.tag))
            tell_apart([e for e in made if etree.QName(e).localname in ("component", "entryRelationship")])
        fields = list(dict.fromkeys(name for e in made.iter() for name in bound(e)))
        if fields and node.tag not in ("observation", "organizer", "substanceAdministration", "encounter", "manufacturedProduct",
                                       "manufacturedLabeledDrug"):  # fmt: skip
            made.set(f"{{{B}}}when", " ".join(fields))
        return made

    def slot(self, made: etree._Element, node: Node, said: dict[str, str]) -> None:
        value = Value(said["field"], said["name_zh"], said["name_en"], said["de_code"], note=said["reason"])
        if system := made.get("codeSystem"):
            made.set("codeSystemName", self.systems.get(system, ""))
            made.set("displayName", "样例")
        self.bind(made, said["how"], value, said["sample"])
        if said["unit"]:
            made.set("unit", "mg")
            made.set(f"{{{B}}}unit", f"this.{said['unit']}")
            made.set(f"{{{B}}}when", f"{made.get(f'{{{B}}}when')} this.{said['unit']}")
            name = f"{self.group}.{said['unit']}"
            self.values[name] = Value(name, "剂量单位", "Dose unit", "DE08.50.024.00")

    def observation(self, made: etree._Element, node: Node) -> None:
        code = node.find("code")
        printed = code.fixed.get("code", "") if code is not None else ""
        named = self.names.get((printed, code.label if code is not None else ""))
        for child in node.children:
            if child.tag == "code":
                made.append(self.code(child, named))
            elif child.tag == "value":
                made.append(self.value(child, named, printed))
            elif (
                child.tag == "entryRelationship" and node.find("value") is None and made.find(f"{{{V3}}}value") is None
            ):
                made.append(self.missing_value(named, printed, node.number))
                made.append(self.clinical(child))
            else:
                made.append(self.clinical(child))
        tell_apart([e for e in made if etree.QName(e).localname == "entryRelationship"])

    def code(self, node: Node, named: dict[str, str] | None) -> etree._Element:
        change = self.changes.get(node.number)
        printed = node.fixed.get("code", "")
        de = change["de_code"] if change and change["de_code"] else printed
        if change:
            self.mended[printed] = de
            self.decide(node.number, "accepted", change["reason"])
        elif node.fixed.get("codeSystem", ELEMENTS) != ELEMENTS:
            self.decide(node.number, "rejected", "the tree prints the OID of the value table as the code's own code system;"
                        " a data element belongs to the catalogue (2.16.156.10011.2.2.1)")  # fmt: skip
        label = change["name_zh"] if change and change["name_zh"] else self.label(de, node.label)
        return self.element("code", {"code": de, "codeSystem": ELEMENTS, "displayName": label})

    def label(self, de: str, printed: str) -> str:
        clean = re.sub(r"(条目代码|章节代码|条目)$", "", printed)
        if clean and not clean.startswith("DE"):
            return clean
        return re.sub(r"\(.*\)$", "", self.catalogue[de]["name_zh"])

    def value(self, node: Node, named: dict[str, str] | None, printed: str) -> etree._Element:
        change = self.changes.get(node.number)
        kind = change["type"] if change and change["type"] else node.fixed["xsi:type"]
        system = change["system"] if change else node.fixed.get("codeSystem", "")
        if change and not change["field"]:
            self.decide(node.number, "accepted", change["reason"])
        if change and change["field"]:
            said = change
            name, zh, en, de = said["field"], said["name_zh"], said["name_en"], said["de_code"]
            self.decide(node.number, "accepted", change["reason"])
        else:
            if named is None:
                raise LookupError(f"{self.kind} node {node.number}: {printed} has no name")
            said = named
            name, en = named["field"], named["name_en"]
            de = self.mended.get(printed, printed)
            zh = self.label(de, named["name_zh"])
        if self.group:
            name = name.removeprefix(f"{self.group}.")
        length = ""
        made = self.element("value", {"xsi:type": kind})
        target, how, sample = made, "value", SAMPLES.get(kind, "1")
        if kind == "CD":
            how, sample = "code", "1"
            if system in self.shared_systems:
                self.decide(node.number, "rejected", self.shared_systems[system])
            elif system:
                made.set("code", "1")
                made.set("codeSystem", system)
                if self.systems.get(system):
                    made.set("codeSystemName", self.systems[system])
                made.set("displayName", "样例")
        elif kind == "ST":
            how = "text"
        elif kind == "TS":
            catalogued = self.catalogue.get(de, {}).get("format", "")
            length = "D8" if catalogued == "D8" else "DT15"
            sample = "20260930" if length == "D8" else "20260930081500"
        elif kind == "IVL_TS":
            target = self.element("width", {"unit": node.children[0].fixed["unit"]})
            made.append(target)
        if node.fixed.get("unit") and kind == "PQ":
            made.set("unit", node.fixed["unit"])
        value = Value(name, zh, en, de, length, note=(change or {}).get("reason", ""))
        self.bind(target, how, value, sample)
        if target is not made:
            made.set(f"{{{B}}}when", target.get(f"{{{B}}}when"))
        return made

    def missing_value(self, named: dict[str, str] | None, printed: str, number: str) -> etree._Element:
        if named is None:
            raise LookupError(f"{self.kind} node {number}: {printed} has no name")
        self.decide(f"{number}/value", "accepted", "the tree has no value here although the element is a code (S2, N1); a value"
                    " without code system stands here")  # fmt: skip
        made = self.element("value", {"xsi:type": "CD"})
        name = named["field"].removeprefix(f"{self.group}.") if self.group else named["field"]
        self.bind(made, "code", Value(name, self.label(printed, named["name_zh"]), named["name_en"], printed), "1")
        return made

    # --- files

    def write(self) -> None:
        nodes = tree(self.kind)
        root = etree.Element(f"{{{V3}}}ClinicalDocument", nsmap={None: V3, "xsi": XSI, "b": B})
        for element in self.header(nodes):
            root.append(element)
        root.append(self.body(nodes[-1]))
        etree.indent(root)
        text = etree.tostring(root, encoding="unicode")
        comment = (
            f"<!-- {self.kind} {self.document['name_zh']} ({self.document['standard']}). A sample of the document: it opens in"
            " an editor as it stands.\n     One vendor's rendering of the standard is the only source: HSD kinds are"
            " single-source. Drafted by tools/kinds/health_records.py. -->"
        )
        (TEMPLATES / f"{self.kind}.xml").write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>\n{comment}\n{text}\n', encoding="utf-8"
        )
        rows = [[v.name, v.required, v.zh, v.en, v.de, v.length, "", "", "", "", v.confidence, v.note] for v in self.values.values()]  # fmt: skip
        write_csv(TEMPLATES / f"{self.kind}.fields.csv", FIELD_COLUMNS, rows)
        write_csv(TEMPLATES / f"{self.kind}.decisions.csv", ["table", "key", "decision", "reason", "confidence"],
                  [list(d) for d in dict.fromkeys(self.decisions)])  # fmt: skip


def bound(element: etree._Element) -> list[str]:
    """The fields that fill an element or are repeated in it."""
    return [
        str(v)
        for k, v in element.attrib.items()
        if etree.QName(k).namespace == B and etree.QName(k).localname not in ("when", "by", "each", "narrative")
    ]


def codes(element: etree._Element, path: str, attribute: str) -> list[str]:
    found = element.findall("/".join(f"{{{V3}}}{step}" for step in path.split("/")))
    return [str(e.get(attribute)) for e in found if e.get(attribute)]


def tell_apart(siblings: list[etree._Element]) -> None:
    """Give siblings that look alike the path to what tells them: the data element, or its name where that is shared."""
    by_tag: dict[str, list[etree._Element]] = {}
    for one in siblings:
        by_tag.setdefault(str(one.tag), []).append(one)
    for alike in by_tag.values():
        if len(alike) < 2:
            continue
        candidates = [
            (path, attribute)
            for attribute in ("code", "displayName")
            for path in ("observation/code", "organizer/component/observation/code", "organizer/code", "encounter/code")
        ] + [("substanceAdministration", "classCode")]
        for one in alike:
            for path, attribute in candidates:
                mine = codes(one, path, attribute)
                others = [c for other in alike if other is not one for c in codes(other, path, attribute)]
                if mine and not set(mine) & set(others):
                    one.set(f"{{{B}}}by", f"{path}/@{attribute}")
                    break


def write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    path.write_text(text.getvalue(), encoding="utf-8")


def main() -> None:
    """Draft the four kinds."""
    for kind in ("HSDA00.01", "HSDB04.01", "HSDB04.03", "HSDC00.01"):
        Draft(kind).write()


if __name__ == "__main__":
    main()
