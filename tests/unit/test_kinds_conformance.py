"""Each template held against the national tables: every node, section, entry and field stands in it, or is listed with a reason.

The tables are not part of this repository; they lie in the folder `shared` beside it (or where FRONTEND_AGENT_SHARED says).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from frontend_agent.formats import kind_codes, load_kind
from frontend_agent.formats.tables import table, text
from frontend_agent.formats.template import Element, Slot, read_template
from tests.conftest import shared_folder

STANDARDS = shared_folder() / "standards"
ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", "undecided"

pytestmark = pytest.mark.skipif(not STANDARDS.is_dir(), reason="the national tables are not beside this checkout")


def rows(name: str, code: str) -> list[dict[str, str]]:
    with (STANDARDS / name).open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["doc_code"] == code]


@dataclass
class Node:
    """An element as the national tables list it."""

    number: str
    element: str
    fixed: dict[str, str]
    children: list["Node"] = field(default_factory=list)
    sources: str = ""


def forest(table_rows: list[dict[str, str]]) -> list[Node]:
    """The trees that a table spells out node by node."""
    nodes: dict[str, Node] = {}
    roots: list[Node] = []
    for row in table_rows:
        fixed = dict(part.split("=", 1) for part in row["fixed_attributes"].split() if "=" in part)
        node = Node(row["node"], row["element"], fixed, sources=row["sources"])
        nodes[row["node"]] = node
        (nodes[row["parent_node"]].children if row["parent_node"] else roots).append(node)
    return roots


def fits(node: Node, element: Element) -> bool:
    """Whether an element of ours has the name and the fixed attributes; an attribute a field fills may hold anything."""
    if node.element != element.tag:
        return False
    own = dict(element.attributes)
    return all(isinstance(own.get(k), Slot) or own.get(k) == v for k, v in node.fixed.items())


def missing(node: Node, element: Element) -> list[str]:
    """The numbers of the nodes below that have no counterpart, in order, among the element's children."""
    return missing_among(node.children, list(element.children))


def missing_among(nodes: list[Node], elements: list[Element]) -> list[str]:
    lacking: list[str] = []
    rest = elements
    for node in nodes:
        candidates = [(len(missing(node, e)), i) for i, e in enumerate(rest) if fits(node, e)]
        if not candidates:
            lacking += every_number(node)
            continue
        _, at = min(candidates)
        lacking += missing(node, rest[at])
        rest = rest[at + 1 :]  # what comes later in the standard comes later in ours
    return lacking


def every_number(node: Node) -> list[str]:
    return [node.number, *(n for child in node.children for n in every_number(child))]


def additions(nodes: list[Node], elements: tuple[Element, ...], path: str) -> Iterator[str]:
    """The elements of ours that no node of the standard speaks of."""
    rest = list(nodes)
    for element in elements:
        here = f"{path}/{element.tag}" if path else element.tag
        candidates = [(len(missing(n, element)), i) for i, n in enumerate(rest) if fits(n, element)]
        if not candidates:
            yield here
            continue
        _, at = min(candidates)
        yield from additions(rest.pop(at).children, element.children, here)


def decisions(code: str, source: str) -> dict[str, str]:
    return {row["key"]: row["decision"] for row in table(f"{code}.decisions.csv") if row["table"] == source}


@pytest.fixture(params=[code for code in kind_codes() if code.startswith("C")])  # the others: test_kinds_exchange.py
def code(request):
    return request.param


def template(code):
    return read_template(f"{code}.xml", text(f"{code}.xml"))


def test_every_decision_has_a_verdict_and_a_reason(code):
    for row in table(f"{code}.decisions.csv"):
        assert row["decision"] in (ACCEPTED, REJECTED, UNDECIDED), row
        assert len(row["reason"]) > 10, row


def test_every_header_element_of_the_standard_is_in_the_template_in_order(code):
    standard = forest(rows("header_tree.csv", code))
    ours = [child for child in template(code).root.children if child.tag != "component"]

    lacking = missing_among(standard, ours)

    assert set(lacking) == {key for key, said in decisions(code, "header_tree.csv").items() if said == REJECTED}


def test_every_element_that_is_in_the_template_and_not_in_the_standard_is_listed(code):
    header = forest(rows("header_tree.csv", code))
    root = template(code)
    ours = tuple(child for child in root.root.children if child.tag != "component")
    found = set(additions(header, ours, ""))
    for section, element in zip(sections(code), root.sections, strict=True):
        nodes = forest([r for r in rows("sections/body_tree.csv", code) if r["section_seq"] == section["seq"]])
        entries = tuple(child for child in element.children if child.tag == "entry")
        found |= {f"section {section['seq']}: {path}" for path in additions(nodes, entries, "")}

    assert found == {key for key, said in decisions(code, "template").items() if said == ACCEPTED}


def sections(code):
    return rows("sections/sections.csv", code)


def test_the_sections_are_those_of_the_standard_in_order(code):
    standard = [(s["section_code"] if s["section_code"] != "-" else "", s["display_name"]) for s in sections(code)]
    ours = []
    for section in template(code).sections:
        element = next(child for child in section.children if child.tag == "code")
        ours.append((element.constant("code"), element.constant("displayName")))
        assert not element.constant("code") or element.constant("codeSystem") == "2.16.840.1.113883.6.1"
    assert ours == standard


def test_every_body_element_of_the_standard_is_in_the_template_in_order(code):
    rejected = {key for key, said in decisions(code, "body_tree.csv").items() if said == REJECTED}
    lacking = set()
    for section, element in zip(sections(code), template(code).sections, strict=True):
        nodes = forest([r for r in rows("sections/body_tree.csv", code) if r["section_seq"] == section["seq"]])
        entries = [child for child in element.children if child.tag == "entry"]
        lacking |= {f"{section['seq']}.{number}" for number in missing_among(nodes, entries)}
    assert lacking == rejected


def test_every_entry_of_the_standard_is_in_the_template(code):
    """By data element, value type and value domain, section by section."""
    own = template(code)
    said = decisions(code, "entries.csv")
    for entry in rows("sections/entries.csv", code):
        key = f"{entry['section_seq']}.{entry['order']}"
        if said.get(key) == REJECTED:
            continue
        section = own.sections[int(entry["section_seq"]) - 1]
        if entry["kind"] == "observation-code":
            assert observation(section, entry), entry
        else:
            path = entry["path_in_section"].split("/")
            assert any(e.tag == path[-1] for e in at(section, path)), entry


def at(element: Element, path: list[str]) -> list[Element]:
    found = [child for child in element.children if child.tag == path[0]]
    return found if len(path) == 1 else [deeper for child in found for deeper in at(child, path[1:])]


def observation(section: Element, entry: dict[str, str]) -> bool:
    for element in at(section, entry["path_in_section"].split("/")):
        code = next(child for child in element.children if child.tag == "code")
        value = next((child for child in element.children if child.tag == "value"), None)
        if code.constant("code") != entry["de_code"] or value is None:
            continue
        domains = {entry["value_domain_oid"], *(v.removeprefix("oid:") for v in entry["variants"].split("|"))}
        system = value.constant("codeSystem")
        named = code.constant("displayName") == entry["name_zh"]
        same_type = value.constant("xsi:type") == entry["value_type"]
        if same_type and named and (not system or system in domains) and value.constant("unit") in ("", entry["unit"]):
            return True
    return False


def test_every_disputed_entry_is_decided(code):
    """Single-source entries, entries on which the sources disagree, and blank cardinalities, one by one."""
    said = decisions(code, "entries.csv")
    disputed = {}
    for entry in rows("sections/entries.csv", code):
        key = f"{entry['section_seq']}.{entry['order']}"
        if entry["confidence"] != "verified" or entry["variants"]:
            disputed[key] = {ACCEPTED, REJECTED, UNDECIDED}
        elif not entry["cardinality"]:
            disputed[key] = {UNDECIDED}
    assert set(said) == set(disputed)
    for key, verdicts in disputed.items():
        assert said[key] in verdicts, key


def test_single_source_header_facts_are_decided(code):
    disputed = {
        f"{row['path']}[{row['occurrence']}]"
        for row in rows("header_by_document.csv", code)
        if row["confidence"] != "verified"
    }
    assert disputed == set(decisions(code, "header_by_document.csv"))


def test_every_field_of_the_standard_is_in_the_table_of_fields(code):
    own = {row["seq"]: row for row in table(f"{code}.fields.csv") if row["seq"]}
    standard = {row["seq"]: row for row in rows("sections/fields.csv", code)}
    assert own.keys() == standard.keys()
    undecided = {key for key, said in decisions(code, "fields.csv").items() if said == UNDECIDED}
    for seq, row in standard.items():
        assert own[seq]["printed_name"] == row["field_name_zh"]
        assert own[seq]["printed_cardinality"] == row["cardinality"]
        assert own[seq]["field"] or own[seq]["note"], f"row {seq} has neither a field nor a reason"
        assert bool(row["cardinality"]) or seq in undecided, f"row {seq} prints no cardinality: undecided"
        if own[seq]["field"] and own[seq]["de_code"] != row["de_code"]:
            assert own[seq]["note"], f"row {seq} has another data element and no reason"


def test_what_must_be_there_is_what_the_standard_prints_as_mandatory(code):
    """`always` stands for 1..1 and 1..*; what is laxer or stricter says why."""
    kind = load_kind(code)
    said = {row["key"] for row in table(f"{code}.decisions.csv") if row["table"] == "required"}
    for f in kind.fields:
        printed = f.cardinality.startswith("1")
        if printed != (f.required in ("always", "inside")):
            assert f.name in said, f"{f.name} is printed {f.cardinality!r} and required {f.required!r}"


def test_the_template_id_and_the_code_are_the_documents_own(code):
    with (STANDARDS / "documents.csv").open(encoding="utf-8", newline="") as file:
        document = next(row for row in csv.DictReader(file) if row["code"] == code)
    kind = load_kind(code)
    ours = {child.tag: child for child in template(code).root.children}
    assert ours["templateId"].constant("root") == document["template_id"] == kind.template_id
    assert ours["code"].constant("code") == document["code"]
    assert ours["title"].text == document["name_zh"] == kind.title


def test_the_carried_tables_are_those_of_the_standard():
    from frontend_agent.formats import data_elements, value_sets

    with (STANDARDS / "data_elements.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            own = data_elements()[row["de_code"]]
            assert (own.name_zh, own.format, own.confidence) == (row["name_zh"], row["format"], row["confidence"])
    for value_set in value_sets():
        assert len(value_set) or not value_set.complete
        assert all(entry.confidence for entry in value_set)
