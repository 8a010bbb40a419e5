"""A template's text becomes a tree of elements with slots. Nothing is compiled here, nothing is decided.

The bindings (`xmlns:b="urn:frontend-agent:template"`):

    b:text b:value b:code b:extension b:unit b:display   the slot a field's value is written to and read from
    b:media b:check       the same for the mediaType and the integrityCheck of a body that is no XML
    b:low b:high          the same for the attributes validTimeLow and validTimeHigh of the national messages
    b:name                (on `displayName` in a `code`) its value is the name of this code; written, never read
    b:later="PRPA_…"      what stands there from the second version on: the root's own name, or interactionId/@extension
    b:each="items"        repeat the element for every row of the group; inside, `this.unit` is the field `items.unit`
    b:when="a b"          leave the element out when none of these fields has a value
    b:by="path/@attr"     what tells this element from its look-alike siblings: a constant of the sample at that path
    b:asked="items.loinc" the element is written only where the region asks for this entry; it is always read
    b:narrative="a b"     (on `text`) the narrative is made here; these fields have no slot but its cells

A slot without `b:when` around it must be filled, or its absence said with a nullFlavor: the schema wants the element.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import is_

from lxml import etree

from frontend_agent.formats.errors import TemplateError
from frontend_agent.formats.xml import CDA, XSI, parse

BINDINGS = "urn:frontend-agent:template"
DOCUMENT = "ClinicalDocument"  # the root of a CDA document; any other root is a message of the national services
SLOT_ATTRIBUTES = {
    **{"value": "value", "code": "code", "extension": "extension", "unit": "unit", "display": "displayName"},
    **{"media": "mediaType", "check": "integrityCheck", "low": "validTimeLow", "high": "validTimeHigh"},
}
MOMENTS = ("value", "validTimeLow", "validTimeHigh")  # attributes that a date or a time stands in
MAIN_ATTRIBUTES = ("value", "code", "extension")  # a missing one of these is what a nullFlavor speaks of


@dataclass(frozen=True)
class Slot:
    """Where a field's value stands. `shown` is how a person sees it: the `name` of a code, a `time`, a `flag`, or as it is;
    `display` is the attribute that carries a code's name beside it, `element` the element that does.

    A slot that only shows (the name beside a code, a cell of the narrative) is written, never read back.
    """

    field: str
    shown: str = ""
    value_set: str = ""
    read: bool = True


@dataclass(frozen=True)
class RowId:
    """The ID of a narrative cell in a repeated row: `items-3-name`."""

    group: str
    key: str


Content = str | Slot | RowId


@dataclass(frozen=True)
class Element:
    """One element of the sample."""

    tag: str
    attributes: tuple[tuple[str, Content], ...] = ()
    text: Content = ""
    children: tuple["Element", ...] = ()
    each: str = ""
    when: tuple[str, ...] = ()
    by: str = ""
    narrative: tuple[str, ...] | None = None  # only on a section's text: its fields without another slot
    asked: str = ""  # the field a region must ask for to have this element
    free: bool = False  # part of a narrative: an absent value is an empty cell, never a nullFlavor
    later: str = ""  # what the root is called, or interactionId says, from the second version on

    def slots(self) -> tuple[tuple[str, Slot], ...]:
        """The element's own slots, with the attribute each stands in ("" for its text)."""
        return self._slots

    @cached_property
    def _slots(self) -> tuple[tuple[str, Slot], ...]:
        """Every compiler asks for them, at every level above the element."""
        contents = (*self.attributes, ("", self.text))
        return tuple((name, content) for name, content in contents if isinstance(content, Slot))

    def walk(self) -> Iterator["Element"]:
        """The element and everything in it, in document order."""
        waiting = [self]
        while waiting:  # a stack, because a generator inside a generator hands on every element at every level
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)

    def constant(self, name: str) -> str:
        """An attribute that the sample fixes; empty if there is none or a field fills it."""
        content = dict(self.attributes).get(name, "")
        return content if isinstance(content, str) else ""

    def at(self, path: str) -> list[str]:
        """The constants that stand at a path like `observation/code/@code`, below this element."""
        head, _, rest = path.partition("/")
        if head.startswith("@"):
            constant = self.constant(head[1:])
            return [constant] if constant else []
        found = [value for child in self.children if child.tag == head for value in child.at(rest)]
        return list(dict.fromkeys(found))


def revised(element: Element) -> Element:
    """The tree as it is written from the second version on."""
    children = tuple(map(revised, element.children))
    if not element.later:
        return element if all(map(is_, children, element.children)) else replace(element, children=children)
    attributes = tuple((k, element.later if k == "extension" else v) for k, v in element.attributes)
    tag = element.tag if element.tag == "interactionId" else element.later
    return replace(element, tag=tag, attributes=attributes, children=children)


@dataclass(frozen=True)
class Template:
    """A kind's sample document."""

    name: str
    root: Element = field(repr=False)

    @property
    def sections(self) -> list[Element]:
        """The sections of the body, in order."""
        return [element for element in self.root.walk() if element.tag == "section"]


def read_template(name: str, text: str) -> Template:
    """The template in `text`, or TemplateError naming the element that is wrong."""
    root = _element(name, parse(text.encode()), group="")
    for element in root.walk():
        _tell_apart(name, element)
    return Template(name, root)


def _element(file: str, node: etree._Element, group: str) -> Element:
    def wrong(what: str) -> TemplateError:
        return TemplateError(f"{file} line {node.sourceline}: {tag}: {what}")

    def field_name(text: str) -> str:
        if not text.startswith("this."):
            return text
        if not group:
            raise wrong(f"'{text}' stands outside b:each")
        return f"{group}.{text.removeprefix('this.')}"

    tag = _split(node.tag)[1]
    names_and_values = [(*_split(str(key)), str(value)) for key, value in node.attrib.items()]
    bound = {name: value for namespace, name, value in names_and_values if namespace == BINDINGS}
    unknown = set(bound) - set(SLOT_ATTRIBUTES) - {"text", "each", "when", "by", "asked", "narrative", "name", "later"}
    if unknown:
        raise wrong(f"unknown binding b:{min(unknown)}")
    group = bound.get("each", group)
    slots = {SLOT_ATTRIBUTES[k]: Slot(field_name(v)) for k, v in bound.items() if k in SLOT_ATTRIBUTES}

    attributes: list[tuple[str, Content]] = []
    for namespace, name, value in names_and_values:
        if namespace == BINDINGS:
            continue
        written = f"xsi:{name}" if namespace == XSI else name
        attributes.append((written, slots.pop(written, value)))
    if slots:
        raise wrong(f"the sample lacks the bound attribute {min(slots)}")
    names = dict(attributes)
    code, system, display = names.get("code"), names.get("codeSystem"), names.get("displayName")
    if isinstance(code, Slot) and isinstance(display, str) and isinstance(system, str):
        shown = Slot(code.field, shown="display", value_set=system, read=False)
        attributes = [(k, shown if k == "displayName" else v) for k, v in attributes]

    text = (node.text or "").strip()
    children = tuple(_element(file, child, group) for child in node)
    element = Element(
        tag=tag,
        attributes=tuple(attributes),
        text=Slot(field_name(bound["text"])) if "text" in bound else text,
        children=children,
        each=bound.get("each", ""),
        when=tuple(field_name(f) for f in bound.get("when", "").split()),
        by=bound.get("by", ""),
        asked=field_name(bound.get("asked", "")),
        later=bound.get("later", ""),
    )
    if "name" in bound:
        around = node.getparent()
        system = around.get("codeSystem") if around is not None else None
        shown = Slot(field_name(bound["name"]), shown="element", value_set=str(system or ""), read=False)
        element = replace(element, attributes=(), text=shown)
    if element.each and element.when:
        raise wrong("b:each and b:when on one element: a row is never left out")
    parent = node.getparent()
    if tag == "text" and parent is not None and _split(parent.tag)[1] == "section":
        element = replace(element, text="", narrative=tuple(field_name(f) for f in bound.get("narrative", "").split()))
    elif "narrative" in bound:
        raise wrong("b:narrative belongs to a section's text")
    return element


def _split(name: str) -> tuple[str, str]:
    """`{urn:hl7-org:v3}code` -> namespace and name."""
    namespace, _, local = name.rpartition("}")
    return namespace.removeprefix("{"), local


def sibling_key(element: Element) -> str:
    """The path to what tells an element from its look-alike siblings. Identifiers are told by their root."""
    return element.by or ("@root" if element.tag == "id" else "")


def _tell_apart(file: str, parent: Element) -> None:
    """Every sibling that looks like another declares what tells them apart, and it does."""
    for tag in {child.tag for child in parent.children}:
        alike = [child for child in parent.children if child.tag == tag]
        if len(alike) == 1:
            continue
        taken: dict[tuple[str, str], Element] = {}
        for child in alike:
            path = sibling_key(child)
            keys = child.at(path) if path else []
            if not keys:
                raise TemplateError(
                    f"{file}: {parent.tag}/{tag}: look-alike siblings, and b:by names nothing that tells them"
                )
            for key in keys:
                if taken.setdefault((path, key), child) is not child:
                    raise TemplateError(f"{file}: {parent.tag}/{tag}: two siblings share {path} = {key}")


def namespaced(tag: str) -> str:
    """An element's name as lxml says it."""
    return f"{{{CDA}}}{tag}"
