"""A template becomes a Python function: constant text and slots, one loop per group, no tree per document (law 12).

Escaping is not done slot by slot. All values of a record are joined once and looked at once; only if one of them holds a
character that XML needs escaped is a copy of the record escaped, the whole of it in one pass.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from frontend_agent.formats.errors import UnboundField, UnrenderableText
from frontend_agent.formats.narrative import show_time
from frontend_agent.formats.template import MAIN_ATTRIBUTES, Content, Element, RowId, Slot
from frontend_agent.formats.value_sets import value_set
from frontend_agent.model import Envelope, Record

Renderer = Callable[[Record, Envelope], bytes]
FLAVORS = frozenset({"NI", "NA", "UNK", "ASKU", "NAV", "NASK", "MSK", "OTH"})
PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'
ROOT_ATTRIBUTES = ' xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

# What XML 1.0 cannot carry at all (section 2.2).
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Requirement(Protocol):
    """What the compiler needs to know of a field: must it be there? (`always`, `inside`, `unless other`, or empty)."""

    def __call__(self, name: str) -> str: ...


def compile_renderer(
    root: Element, groups: Collection[str], requirement: Requirement, absences: Mapping[str, str]
) -> Renderer:
    """The renderer of a template. `absences` says how a missing value is written: `omit`, or a nullFlavor."""
    code = _Compiler(groups, requirement, absences)
    source = code.function(root)
    namespace: dict[str, Any] = {"unbound": _unbound, "show_time": show_time, "clean": _clean, **code.constants}
    exec(compile(source, "<renderer>", "exec"), namespace)  # noqa: S102  our own template, compiled once at start
    renderer: Renderer = namespace["render"]
    return renderer


def static_text(root: Element, groups: Collection[str], requirement: Requirement) -> list[str]:
    """The constant pieces of a template's documents, in order: what all documents of the kind share."""
    code = _Compiler(groups, requirement, {})
    code.function(root)
    return code.literals


def escape(text: str) -> str:
    """Text as it may stand in an element or in an attribute, so that a parser gives back exactly the same."""
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("\t", "&#9;")
        .replace("\n", "&#10;")
        .replace("\r", "&#13;")
    )


def _unbound(names: Sequence[str], values: Sequence[str | None]) -> None:
    """Say which of the values that must be there is not."""
    for name, value in zip(names, values, strict=True):
        if not value:
            raise UnboundField(name)


def _clean(record: Record, envelope: Envelope) -> tuple[Record, Envelope]:
    """The record and envelope with every value ready to stand in XML: themselves, as a rule."""
    texts: list[str] = [envelope.document_id, envelope.set_id, envelope.effective_time, envelope.replaces_id]
    for value in record.values():
        if type(value) is str:
            texts.append(value)
        else:
            for row in value:
                texts.extend(row.values())
    joined = "".join(texts)
    if joined.isprintable() and not ("<" in joined or "&" in joined or ">" in joined or '"' in joined):
        return record, envelope
    return _escaped(record, envelope, texts)


def _escaped(record: Record, envelope: Envelope, texts: list[str]) -> tuple[Record, Envelope]:
    # NUL is no XML character: it can divide the values, and whatever it divides wrongly is refused.
    joined = "\0".join(texts)
    if joined.count("\0") != len(texts) - 1 or _unlawful(joined):
        raise UnrenderableText(_first_illegal(record, envelope))
    values = iter(escape(joined).split("\0"))
    safe = Envelope(
        document_id=next(values),
        set_id=next(values),
        version=envelope.version,
        effective_time=next(values),
        replaces_id=next(values),
    )
    copy: Record = {}
    for name, value in record.items():
        if type(value) is str:
            copy[name] = next(values)
        else:
            copy[name] = [{key: next(values) for key in row} for row in value]
    return copy, safe


def _unlawful(joined: str) -> bool:
    # Line ends and the ideographic space are what Chinese texts usually hold; without them this is quick.
    rest = joined.replace("\0", "").replace("\n", "").replace("\r", "").replace("\t", "").replace("\u3000", "")
    return not rest.isprintable() and _ILLEGAL.search(rest) is not None


def _first_illegal(record: Record, envelope: Envelope) -> str:
    for name, value in record.items():
        if isinstance(value, str):
            if _ILLEGAL.search(value):
                return name
            continue
        for number, row in enumerate(value):
            for key, cell in row.items():
                if _ILLEGAL.search(cell):
                    return f"{name}[{number}].{key}"
    return "envelope"


class _Var(str):
    """The name of a local variable, among literal pieces of text."""


Part = str | _Var


class _Compiler:
    """Emits the source of one renderer. Variables: `v` scalars, `w` a row's values, `f` fragments, `j` joined rows."""

    def __init__(self, groups: Collection[str], requirement: Requirement, absences: Mapping[str, str]) -> None:
        self.groups = groups
        self.requirement = requirement
        self.absences = {k: v for k, v in absences.items() if v == "omit" or v in FLAVORS}
        self.constants: dict[str, Any] = {}
        self.literals: list[str] = []
        self.variables: dict[str, str] = {}
        self.counter = 0
        self.repeated: dict[str, list[tuple[str, Element]]] = {}
        self.lines: list[str] = []

    def function(self, root: Element) -> str:
        scalars = self._fields(root, in_group=False)
        for name in scalars:
            self.variables[name] = self._new("v")
        for group in self.groups:
            self.variables[group] = self._new("g")
        fetch = [f"{self.variables[name]} = {self._fetch(name)}" for name in scalars]
        fetch += [f"{self.variables[group]} = get({group!r})" for group in self.groups]
        checks, sure = self._required([*scalars, *self.groups])
        self.lines = []
        parts = self._element(root, sure, depth=0)
        main = self.lines
        loops = [line for group, elements in self.repeated.items() for line in self._loop(group, elements)]
        result = f"return {self._fstring([PROLOGUE, *parts])}.encode()"
        body = [
            "record, envelope = clean(record, envelope)",
            "get = record.get",
            *fetch,
            *checks,
            *loops,
            *main,
            result,
        ]
        return "def render(record, envelope):\n" + "\n".join(f"    {line}" for line in body)

    # --- values

    def _fields(self, root: Element, in_group: bool) -> list[str]:
        found: dict[str, None] = {}
        for element in root.walk():
            for name in (*element.when, *(slot.field for _, slot in element.slots())):
                if (name.partition(".")[0] in self.groups) == in_group and name not in self.groups:
                    found[name] = None
        return list(found)

    def _fetch(self, name: str) -> str:
        if name == "envelope.replaced_version":
            return "str(envelope.version - 1)"
        if name == "envelope.version":
            return "str(envelope.version)"
        if name.startswith("envelope."):
            return name
        return f"get({name!r})"

    def _required(self, names: Sequence[str]) -> tuple[list[str], frozenset[str]]:
        """The check that what must always be there is, and the fields it makes sure of."""
        always = [n for n in names if n not in self.absences and self.requirement(n) == "always"]
        lines = []
        if always:
            lines.append(self._check([self.variables[n] for n in always], always))
        for name in names:
            kind, _, other = self.requirement(name).partition(" ")
            if kind == "unless" and name not in self.absences and self.absences.get(other) not in FLAVORS:
                lines.append(
                    f"if not ({self.variables[name]} or {self.variables[other]}): unbound(({name!r},), (None,))"
                )
        return lines, frozenset(always)

    @staticmethod
    def _check(variables: Sequence[str], names: Sequence[str], condition: str = "") -> str:
        values = ", ".join(variables)
        guard = f"{condition} and " if condition else ""
        return f"if {guard}not ({' and '.join(variables)}): unbound({tuple(names)!r}, ({values},))"

    # --- elements

    def _element(self, element: Element, sure: frozenset[str], depth: int) -> list[Part]:
        if element.each:
            variable = self._new("j")
            self.repeated.setdefault(element.each, []).append((variable, element))
            return [_Var(variable)]
        condition = self._condition(element, sure)
        if element.when:
            sure = self._check_inside(element, sure, condition)
        parts = self._body(element, sure, depth)
        return self._fragment(condition, parts) if condition else parts

    def _condition(self, element: Element, sure: frozenset[str]) -> str:
        """When the element is written; empty for always."""
        if not element.when or any(name in sure for name in element.when):
            return ""
        if not element.free and all(self.absences.get(name) in FLAVORS for name in element.when):
            return ""  # every value of it is missing in a way that is said
        return " or ".join(self.variables[name] for name in element.when)

    def _check_inside(self, element: Element, sure: frozenset[str], condition: str) -> frozenset[str]:
        if len(element.when) == 1 and condition:
            return sure | set(element.when)
        inside = [n for n in element.when if self.requirement(n) == "inside" and n not in self.absences]
        if not inside or element.free:
            return sure
        self.lines.append(
            self._check([self.variables[n] for n in inside], inside, f"({condition})" if condition else "")
        )
        return sure | set(inside)

    def _body(self, element: Element, sure: frozenset[str], depth: int) -> list[Part]:
        tag = element.tag
        parts: list[Part] = []
        if depth == 1 or tag in ("section", "entry"):
            parts.append("\n")
        parts.append(f"<{tag}")
        if depth == 0:
            parts.append(ROOT_ATTRIBUTES)
        if tag == "section":
            parts += self._section_flavor(element, sure)
        for name, content in element.attributes:
            parts += self._attribute(element, name, content, sure)
        inner: list[Part] = []
        if isinstance(element.text, Slot):
            return self._text(element, parts, element.text, sure)
        if isinstance(element.text, str) and element.text:
            inner.append(escape(element.text))
        for child in element.children:
            inner += self._element(child, sure, depth + 1)
        return [*parts, ">", *inner, f"</{tag}>"] if inner else [*parts, "/>"]

    def _section_flavor(self, section: Element, sure: frozenset[str]) -> list[Part]:
        """A section about which nothing is known keeps its code and says so."""
        text = next(child for child in section.children if child.tag == "text")
        condition = self._condition(text, sure)
        return self._fragment(f"not ({condition})", [' nullFlavor="NI"']) if condition else []

    def _attribute(self, element: Element, name: str, content: Content, sure: frozenset[str]) -> list[Part]:
        if isinstance(content, str):
            return [f' {name}="{escape(content)}"']
        if isinstance(content, RowId):
            return [f' {name}="{content.group}-', _Var("number"), f'-{content.key}"']
        if content.shown == "name":
            return [_Var(self._display_name(content))]
        variable = self.variables[content.field]
        written: list[Part] = [f' {name}="', _Var(variable), '"']
        if content.field in sure:
            return written
        return self._fragment(variable, written, self._absence(element, name, content))

    def _absence(self, element: Element, name: str, slot: Slot) -> str:
        """What stands in the place of a missing value, in an element that is written all the same."""
        if element.free or (name and name not in MAIN_ATTRIBUTES):
            return ""
        flavor = self.absences.get(slot.field, "omit")
        if flavor == "omit":
            return "" if element.when else ' nullFlavor="NI"'
        return f' nullFlavor="{flavor}"'

    def _text(self, element: Element, parts: list[Part], slot: Slot, sure: frozenset[str]) -> list[Part]:
        tag = element.tag
        variable = self.variables[slot.field]
        shown = self._shown(slot, variable)
        written: list[Part] = [*parts, ">", _Var(shown), f"</{tag}>"]
        if slot.field in sure:
            return written
        if element.free:  # an empty cell needs no ID: nothing is read back from it
            return self._fragment(variable, written, f"<{tag}/>")
        return self._fragment(variable, written, [*parts, self._absence(element, "", slot), "/>"])

    def _display_name(self, slot: Slot) -> str:
        names = {entry.code: f' displayName="{escape(entry.name)}"' for entry in value_set(slot.value_set)}
        return self._assign(f"{self._constant(names)}({self.variables[slot.field]}, '')")

    def _shown(self, slot: Slot, variable: str) -> str:
        if slot.shown == "name":
            names = {entry.code: escape(entry.name) for entry in value_set(slot.value_set)}
            return self._assign(f"{self._constant(names)}({variable}, {variable})")
        if slot.shown == "time":
            return self._assign(f"{variable} and show_time({variable})")
        return variable

    # --- groups

    def _loop(self, group: str, elements: Sequence[tuple[str, Element]]) -> list[str]:
        """One pass over a group's rows feeds every place where they are written: the narrative and the entries."""
        outer, self.lines = self.lines, []
        names = list(dict.fromkeys(name for _, element in elements for name in self._fields(element, in_group=True)))
        for name in names:
            self.variables[name] = self._new("w")
        fetch = [f"{self.variables[n]} = cell({n.removeprefix(group + '.')!r})" for n in names]
        checks, sure = self._required(names)
        appends = [
            f"{variable}_append({self._fstring(self._body(element, sure, depth=9))})" for variable, element in elements
        ]
        inner = ["cell = row.get", *fetch, *checks, *self.lines, *appends]
        self.lines = outer
        before = [
            line for variable, _ in elements for line in (f"{variable} = []", f"{variable}_append = {variable}.append")
        ]
        after = [f"{variable} = ''.join({variable})" for variable, _ in elements]
        loop = f"for number, row in enumerate({self.variables[group]} or (), 1):"
        return [*before, loop, *(f"    {line}" for line in inner), *after]

    # --- source text

    def _new(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def _assign(self, expression: str) -> str:
        variable = self._new("f")
        self.lines.append(f"{variable} = {expression}")
        return variable

    def _constant(self, names: Mapping[str, str]) -> str:
        for known, value in self.constants.items():
            if value.__self__ == names:
                return known
        name = self._new("N")
        self.constants[name] = dict(names).get
        return name

    def _fragment(self, condition: str, parts: Sequence[Part], otherwise: str | Sequence[Part] = "") -> list[Part]:
        other = [otherwise] if isinstance(otherwise, str) else otherwise
        text = f"{self._fstring(parts)} if {condition} else {self._fstring(other)}"
        return [_Var(self._assign(text))]

    def _fstring(self, parts: Sequence[Part]) -> str:
        pieces = []
        for part in parts:
            if isinstance(part, _Var):
                pieces.append("{" + part + "}")
            elif part:
                self.literals.append(part)
                quoted = part.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
                pieces.append(quoted.replace("{", "{{").replace("}", "}}"))
        return f"f'{''.join(pieces)}'"
