"""A template held against the trees of the standard: what is missing in it, and what it has besides.

Used by the drafting tool to list the differences, and by tests/unit/test_kinds_conformance.py to see that the list is whole.
"""

from collections.abc import Iterator, Sequence

from frontend_agent.formats.template import Element, Slot
from tools.kinds import tables
from tools.kinds.tree import Node, forest

SECTION = "2.16.840.1.113883.6.1"


def fits(node: Node, element: Element) -> bool:
    """Whether an element of ours has the name and the fixed attributes; an attribute a field fills may hold anything."""
    if node.tag != element.tag:
        return False
    own = dict(element.attributes)
    return all(isinstance(own.get(k), Slot) or own.get(k) == v for k, v in node.attributes.items())


def missing(node: Node, element: Element) -> list[str]:
    """The numbers of the nodes below that have no counterpart, in order, among the element's children."""
    return missing_among(node.children, list(element.children))


def missing_among(nodes: list[Node], elements: list[Element]) -> list[str]:
    """The numbers of the nodes that have no counterpart, in order, among the elements."""
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
    """The numbers of a node and of all below it."""
    return [node.origin, *(n for child in node.children for n in every_number(child))]


def additions(nodes: list[Node], elements: Sequence[Element], path: str) -> Iterator[str]:
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


def header_of(root: Element) -> list[Element]:
    """The elements before the body."""
    return [child for child in root.children if child.tag != "component"]


def entries_of(section: Element) -> list[Element]:
    """The entries of a section."""
    return [child for child in section.children if child.tag == "entry"]


def body_trees(kind: str) -> list[tuple[str, list[Node]]]:
    """The sections of a kind: their number and their entries."""
    rows = tables.national("sections/body_tree.csv", kind)
    sections = [row["seq"] for row in tables.national("sections/sections.csv", kind)]
    return [(seq, forest(r for r in rows if r["section_seq"] == seq)) for seq in sections]


def at(element: Element, path: Sequence[str]) -> list[Element]:
    """The elements at a path below."""
    found = [child for child in element.children if child.tag == path[0]]
    return found if len(path) == 1 else [deeper for child in found for deeper in at(child, path[1:])]


def has_entry(section: Element, entry: tables.Row) -> bool:
    """Whether a section has an entry of entries.csv: an observation by data element, value type and value domain."""
    if not entry["path_in_section"]:  # the section itself is the element: its code is the data element
        return any(child.tag == "code" and child.constant("code") == entry["de_code"] for child in section.children)
    path = entry["path_in_section"].split("/")
    if entry["kind"] != "observation-code":
        return any(e.tag == path[-1] for e in at(section, path))
    for element in at(section, path):
        code = next((child for child in element.children if child.tag == "code"), None)
        value = next((e for tag in ("value", "text") for e in element.children if e.tag == tag), None)
        if code is None or code.constant("code") != entry["de_code"]:
            continue
        if not entry["value_type"]:
            return True  # no observation: the substance of an allergy stands beside its code
        if value is None:
            continue
        domains = {entry["value_domain_oid"], *(v.removeprefix("oid:") for v in entry["variants"].split("|"))}
        system = value.constant("codeSystem")
        named = entry["name_zh"] in ("-", code.constant("displayName"))
        same_type = value.constant("xsi:type") == entry["value_type"]
        if same_type and named and (not system or system in domains) and value.constant("unit") in ("", entry["unit"]):
            return True
    return False
