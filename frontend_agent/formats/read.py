"""A template becomes the way back: document → record. Compiled from the same tree as the renderer (law 12).

Only what carries a value is walked. Look-alike siblings are told apart by what the template declares (`b:by`).
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from lxml import etree

from frontend_agent.formats.errors import NotOurs
from frontend_agent.formats.misprints import meant
from frontend_agent.formats.narrative import hide_flag, hide_time
from frontend_agent.formats.stamps import digits_of
from frontend_agent.formats.template import DOCUMENT, MOMENTS, Element, RowId, Slot, namespaced, revised, sibling_key
from frontend_agent.formats.xml import parse
from frontend_agent.model import Record

Reader = Callable[[bytes], Record]
_TEMPLATE_ID = namespaced("templateId")
_CODE = namespaced("code")
_PART = re.compile(r"C\d{4}\Z", re.ASCII)  # a part of WS/T 500
_cells = etree.XPath("//h:text//h:td[@ID]", namespaces={"h": "urn:hl7-org:v3"}, smart_strings=False)


def compile_reader(
    root: Element, groups: Collection[str], template_id: str, widths: Mapping[str, int] | None = None
) -> Reader:
    """The reader of a template's documents. Facts and the envelope are not part of what it gives back.

    `widths`: the fields that are dates or times, and how many digits a record holds of them.
    """
    code = _Compiler(groups, widths or {})
    source = code.module(root)
    namespace: dict[str, Any] = {"hide_time": hide_time, "hide_flag": hide_flag, "digits_of": digits_of, "meant": meant}
    kind = next((child.constant("code") for child in root.children if child.tag == "code"), "")
    roots = {namespaced(root.tag), namespaced(revised(root).tag)}
    is_message = root.tag != DOCUMENT
    exec(compile(source, "<reader>", "exec"), namespace)  # noqa: S102  our own template, compiled once at start
    walk = namespace["read"]

    def read(document: bytes) -> Record:
        tree = parse(document)
        if tree.tag not in roots or not (is_message or _is_of_kind(tree, kind, template_id)):
            raise NotOurs(f"not a document of template {template_id}")
        found_cells: Any = _cells(tree)  # an XPath may answer many things; this one answers elements
        cells = {cell.get("ID"): cell.text for cell in found_cells}
        record: Record = walk(tree, cells)
        return record

    return read


def _is_of_kind(tree: etree._Element, kind: str, template_id: str) -> bool:
    """By the document's code where it names a part of WS/T 500: one template set gives C0002 and C0003 the id of C0001."""
    code, template = tree.find(_CODE), tree.find(_TEMPLATE_ID)
    named = code.get("code", "") if code is not None else ""
    if _PART.match(named) and template is not None:
        return named == kind
    return template is not None and template.get("root") == template_id


class _Compiler:
    """Emits one function per element that carries values: `r(element, out, document)`."""

    def __init__(self, groups: Collection[str], widths: Mapping[str, int]) -> None:
        self.widths = widths
        self.groups = groups
        self.seen: set[str] = set()
        self.functions: list[str] = []
        self.keys: dict[str, str] = {}

    def module(self, root: Element) -> str:
        top = self._function(root)
        lines = ["record = {}", f"{top}(root, record, record)"]
        for element in root.walk():
            for name, content in element.attributes:
                if name == "ID" and isinstance(element.text, Slot):
                    lines += self._cell(content, element.text)
        lines.append("return record")
        body = "\n".join(f"    {line}" for line in lines)
        return "\n".join([*self.functions, f"def read(root, cells):\n{body}"])

    @staticmethod
    def _cell(identifier: object, slot: Slot) -> list[str]:
        value = f"hide_{slot.shown}(value)" if slot.shown in ("time", "flag") else "value"
        if isinstance(identifier, RowId):
            group, key = identifier.group, identifier.key
            return [
                f"for number, row in enumerate(record.get({group!r}, ()), 1):",
                f"    value = cells.get(f'{group}-{{number}}-{key}')",
                f"    if value: row[{key!r}] = {value}",
            ]
        return [f"value = cells.get({identifier!r})", f"if value: record[{slot.field!r}] = {value}"]

    # --- one function per element

    def _function(self, element: Element) -> str:
        lines = self._own(element)
        children = [child for child in element.children if not child.free and self._carries(child)]
        if children:
            lines.append("for child in element:")
            lines.append("    tag = child.tag")
            for number, tag in enumerate(dict.fromkeys(child.tag for child in children)):
                lines.append(f"    {'el' if number else ''}if tag == {namespaced(tag)!r}:")
                rivals = [child for child in element.children if child.tag == tag]
                alike = [child for child in children if child.tag == tag]
                lines += [f"        {line}" for line in self._dispatch(alike, told_apart=len(rivals) > 1)]
        name = f"r{len(self.functions)}"
        self.functions.append(
            f"def {name}(element, out, document):\n" + "\n".join(f"    {line}" for line in lines or ["pass"])
        )
        return name

    def _carries(self, element: Element) -> bool:
        return any(
            slot.read and not slot.field.startswith("envelope.") and slot.field not in self.seen
            for inner in element.walk()
            if not inner.free
            for _, slot in inner.slots()
        )

    def _own(self, element: Element, variable: str = "element") -> list[str]:
        lines = []
        for attribute, slot in element.slots():
            if not slot.read or slot.field.startswith("envelope.") or slot.field in self.seen:
                continue
            self.seen.add(slot.field)
            group, _, key = slot.field.partition(".")
            value = f"{variable}.get({attribute!r})" if attribute else f"{variable}.text"
            width = self.widths.get(slot.field) if attribute in MOMENTS else None
            found = f"digits_of(value, {width})" if width else "value"
            lines.append(f"value = {value}")
            lines.append(f"if value: out[{(key if group in self.groups else slot.field)!r}] = {found}")
        return lines

    def _dispatch(self, alike: Sequence[Element], told_apart: bool) -> list[str]:
        if not told_apart:
            return self._enter(alike[0])
        lines = []
        for number, path in enumerate(dict.fromkeys(sibling_key(child) for child in alike)):
            prefix = "" if number == 0 else "    " * number
            lines.append(f"{prefix}key = {self._key(path)}(child)")
            rivals = [child for child in alike if sibling_key(child) == path]
            for position, child in enumerate(rivals):
                lines.append(
                    f"{prefix}{'el' if position else ''}if key in {tuple(meant(key) for key in child.at(path))!r}:"
                )
                lines += [f"{prefix}    {line}" for line in self._enter(child)]
            lines.append(f"{prefix}else:")
        return lines[:-1]

    def _enter(self, child: Element) -> list[str]:
        if not child.each and not any(self._carries(inner) for inner in child.children):
            return self._own(child, "child") or ["pass"]  # its fields may all have been read before
        function = self._function(child)
        if child.each:
            return [
                "row = {}",
                f"document.setdefault({child.each!r}, []).append(row)",
                f"{function}(child, row, document)",
            ]
        return [f"{function}(child, out, document)"]

    def _key(self, path: str) -> str:
        """A function that finds the first constant at a path below an element."""
        if path not in self.keys:
            name = f"k{len(self.keys)}"
            self.keys[path] = name
            *steps, attribute = path.split("/")
            lines = [f"def {name}(e0):"]
            for depth, step in enumerate(steps):
                pad = "    " * (2 * depth + 1)
                lines.append(f"{pad}for e{depth + 1} in e{depth}:")
                lines.append(f"{pad}    if e{depth + 1}.tag == {namespaced(step)!r}:")
            pad = "    " * (2 * len(steps) + 1)
            lines.append(f"{pad}value = e{len(steps)}.get({attribute.removeprefix('@')!r})")
            lines.append(f"{pad}if value is not None: return meant(value)")
            self.functions.append("\n".join(lines))
        return self.keys[path]
