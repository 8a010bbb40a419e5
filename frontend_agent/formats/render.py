"""A template becomes a Python function: constant text and slots, one loop per group, no tree per document (law 12).

Escaping is not done slot by slot. All values of a record are joined once and looked at once; only if one of them holds a
character that XML needs escaped is a copy of the record escaped, the whole of it in one pass.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from frontend_agent.formats.errors import UnboundField, UnrenderableText
from frontend_agent.formats.narrative import FLAGS, show_time
from frontend_agent.formats.stamps import Stamp
from frontend_agent.formats.template import MAIN_ATTRIBUTES, MOMENTS, Content, Element, RowId, Slot
from frontend_agent.formats.value_sets import value_set
from frontend_agent.model import Envelope, Record
from frontend_agent.records import texts_of

Renderer = Callable[[Record, Envelope], bytes]
FLAVORS = frozenset({"NI", "NA", "UNK", "ASKU", "NAV", "NASK", "MSK", "OTH"})
PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'
ROOT_ATTRIBUTES = ' xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

# What XML 1.0 cannot carry at all (section 2.2). NUL divides values here and is looked for by itself.
_ILLEGAL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = bytes([*range(0x20), *b'<&>"'])  # what divides, what is unlawful, and what must be escaped


class Requirement(Protocol):
    """What the compiler needs to know of a field: must it be there? (`always`, `inside`, `unless x`, `with x`, or empty)."""

    def __call__(self, name: str) -> str: ...


def compile_renderer(
    root: Element,
    groups: Collection[str],
    requirement: Requirement,
    absences: Mapping[str, str],
    stamped: Collection[str] = (),
    stamp: Stamp | None = None,
) -> Renderer:
    """The renderer of a template. `absences` says how a missing value is written: `omit`, or a nullFlavor.

    The attributes that hold the `stamped` fields, dates and times, go through `stamp`.
    """
    code = _Compiler(groups, requirement, absences, stamped if stamp else ())
    source = code.function(root)
    namespace: dict[str, Any] = {"unbound": _unbound, "show_time": show_time, "clean": _clean, "stamp": stamp}
    namespace |= code.constants
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
    texts = [envelope.document_id, envelope.set_id, envelope.effective_time, envelope.replaces_id]
    texts += texts_of(record)
    # NUL is no XML character: it can divide the values, and what holds one itself is refused.
    joined = "\0".join(texts)
    try:
        encoded = joined.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise UnrenderableText(_first_illegal(record, envelope)) from None
    special = len(encoded) - len(encoded.translate(None, _SPECIAL))  # in one look: every record passes here
    if special == len(texts) - 1 and "\ufffe" not in joined and "\uffff" not in joined:
        return record, envelope
    if joined.count("\0") != len(texts) - 1 or _ILLEGAL.search(joined):
        raise UnrenderableText(_first_illegal(record, envelope))
    return _escaped(record, envelope, joined)


def _escaped(record: Record, envelope: Envelope, joined: str) -> tuple[Record, Envelope]:
    values = iter(escape(joined).split("\0"))
    safe = Envelope(
        document_id=next(values),
        set_id=next(values),
        effective_time=next(values),
        replaces_id=next(values),
        version=envelope.version,
    )
    copy: Record = {}
    for name, value in record.items():
        if type(value) is str:
            copy[name] = next(values)
        else:
            copy[name] = [dict(zip(row, values, strict=False)) for row in value]
    return copy, safe


def _first_illegal(record: Record, envelope: Envelope) -> str:
    """The name of a value that XML cannot carry; never the value."""
    for name, value in record.items():
        rows = [{"": value}] if isinstance(value, str) else value
        for number, row in enumerate(rows):
            for key, text in row.items():
                if "\0" in text or _ILLEGAL.search(text):
                    return f"{name}[{number}].{key}" if key else name
    return "envelope"


class _Var(str):
    """The name of a local variable, among literal pieces of text."""


@dataclass(frozen=True)
class _Choice:
    """A literal that depends on whether a variable has a value."""

    condition: str
    text: str
    otherwise: str = ""


Part = str | _Var | _Choice


def _joined(before: Part, after: Part) -> Part | None:
    """Two neighbouring pieces as one, where that can be."""
    if isinstance(before, _Var) or isinstance(after, _Var):
        return None
    if isinstance(before, str):
        if isinstance(after, str):
            return before + after
        return _Choice(after.condition, before + after.text, before + after.otherwise)
    if isinstance(after, str):
        return _Choice(before.condition, before.text + after, before.otherwise + after)
    if before.condition != after.condition:
        return None
    return _Choice(before.condition, before.text + after.text, before.otherwise + after.otherwise)


class _Compiler:
    """Emits the source of one renderer, statement by statement, in the order of the document.

    Variables: `v` a scalar, `w` a row's value, `g` a group's rows, `f` a value as it is shown, `j` a list of pieces. All pieces
    are bytes; one join at the end makes the document.
    """

    def __init__(
        self,
        groups: Collection[str],
        requirement: Requirement,
        absences: Mapping[str, str],
        stamped: Collection[str] = (),
    ) -> None:
        self.stamped = stamped
        self.groups = groups
        self.requirement = requirement
        self.absences = {k: v for k, v in absences.items() if v == "omit" or v in FLAVORS}
        self.constants: dict[str, Any] = {}
        self.literals: list[str] = []
        self.variables: dict[str, str] = {}
        self.shown: dict[tuple[str, str], str] = {}  # field and how it is shown -> the variable that holds it so
        self.made_of: dict[str, str] = {}  # shown variable -> the value it is made of: empty when that is
        self.joined: dict[int, str] = {}  # id of a repeated element -> the list of its pieces
        self.counter = 0
        self.lines: list[str] = []
        self.indent = 1
        self.pending: list[Part] = []
        self.target = ""

    def function(self, root: Element) -> str:
        for group in self.groups:
            self.variables[group] = self._new("g")
        self._line("record, envelope = clean(record, envelope)")
        self._line("get = record.get")
        for group in self.groups:
            self._line(f"{self.variables[group]} = get({group!r})")
        sure = self._fetch([root], in_group=False, also=self.groups)
        for group in self.groups:
            self._loop(group, [element for element in root.walk() if element.each == group])
        self.target = self._new("j")
        self._line(f"{self.target} = []")
        self._write(PROLOGUE)
        self._element(root, sure, depth=0)
        self._flush()
        self._line(f"return b''.join({self.target})")
        return "def render(record, envelope):\n" + "\n".join(self.lines)

    # --- values

    def _fetch(self, elements: Sequence[Element], in_group: bool, also: Collection[str] = ()) -> frozenset[str]:
        """Take the values out of the record or row, and say which are sure to be there."""
        everything = [inner for element in elements for inner in element.walk()]
        names = self._names(everything, in_group)
        for name in names:
            self.variables[name] = self._new("w" if in_group else "v")
            self._line(f"{self.variables[name]} = {self._source(name)}")
        sure = self._required([*names, *also])
        for element in everything:
            for _, slot in element.slots():
                if slot.shown and slot.field in names:
                    self._show(slot)
        for name in names:
            variable = self.variables[name]
            self._line(f"{variable} = {variable}.encode()" + ("" if name in sure else f" if {variable} else b''"))
        return sure

    def _names(self, elements: Sequence[Element], in_group: bool) -> list[str]:
        found: dict[str, None] = {}
        for element in elements:
            for name in (*element.when, *(slot.field for _, slot in element.slots())):
                if (name.partition(".")[0] in self.groups) == in_group and name not in self.groups:
                    found[name] = None
        return list(found)

    def _source(self, name: str) -> str:
        group, _, key = name.partition(".")
        if group in self.groups:
            return f"cell({key!r})"
        if name == "envelope.replaced_version":
            return "str(envelope.version - 1)"
        if name == "envelope.version":
            return "str(envelope.version)"
        return name if name.startswith("envelope.") else f"get({name!r})"

    def _show(self, slot: Slot) -> None:
        """Make what a person sees of a value: from its text, before that is encoded."""
        how = (slot.field, slot.shown)
        if how in self.shown:
            return
        self.shown[how] = made = self._new("f")
        variable = self.made_of[made] = self.variables[slot.field]
        names = {entry.code: escape(entry.name) for entry in value_set(slot.value_set)}
        if slot.shown == "flag":
            names = FLAGS
        if slot.shown == "time":
            expression = f"show_time({variable}).encode() if {variable} else b''"
        elif slot.shown == "element":
            elements = {code: f'<displayName value="{name}"/>'.encode() for code, name in names.items()}
            expression = f"{self._constant(elements)}({variable}, b'')"
        elif slot.shown == "display":
            attributes = {code: f' displayName="{name}"'.encode() for code, name in names.items()}
            expression = f"{self._constant(attributes)}({variable}, b'')"
        else:
            encoded = {code: name.encode() for code, name in names.items()}
            expression = f"{self._constant(encoded)}({variable}) or {variable}.encode() if {variable} else b''"
        self._line(f"{made} = {expression}")

    def _required(self, names: Sequence[str]) -> frozenset[str]:
        """Check what must always be there, and say so."""
        always = [n for n in names if n not in self.absences and self.requirement(n) == "always"]
        self._check(always)
        for name in names:
            kind, _, other = self.requirement(name).partition(" ")
            if name in self.absences or kind not in ("unless", "with") or self.absences.get(other) in FLAVORS:
                continue
            there = f"not {self.variables[other]}" if kind == "unless" else self.variables[other]
            self._line(f"if {there} and not {self.variables[name]}: unbound(({name!r},), (None,))")
        return frozenset(always)

    def _check(self, names: Sequence[str]) -> None:
        if names:
            variables = [self.variables[n] for n in names]
            values = ", ".join(variables)
            self._line(f"if not ({' and '.join(variables)}): unbound({tuple(names)!r}, ({values},))")

    # --- elements

    def _element(self, element: Element, sure: frozenset[str], depth: int) -> None:
        if element.each:
            self._flush()
            self._line(f"{self.target} += {self.joined[id(element)]}")
            return
        condition = self._condition(element, sure)
        with self._only_if(condition):
            if element.when:
                sure = self._check_inside(element, sure, condition)
            self._body(element, sure, depth)

    def _condition(self, element: Element, sure: frozenset[str]) -> str:
        """When the element is written; empty for always."""
        if not element.when or any(name in sure for name in element.when):
            return ""
        if not element.free and self._absence_is_said(element.when):
            return ""
        return " or ".join(self.variables[name] for name in element.when)

    def _absence_is_said(self, names: Sequence[str]) -> bool:
        """Whether an element is written even when all its values are missing: those that matter have a nullFlavor."""
        matter = [n for n in names if self.requirement(n).partition(" ")[0] in ("always", "unless")] or names
        # A group without rows leaves nothing that could carry a nullFlavor.
        return all(self.absences.get(name) in FLAVORS and name not in self.groups for name in matter)

    def _check_inside(self, element: Element, sure: frozenset[str], condition: str) -> frozenset[str]:
        if len(element.when) == 1 and condition:
            return sure | set(element.when)
        inside = [n for n in element.when if self.requirement(n) == "inside" and n not in self.absences]
        if element.free:
            return sure
        self._check([n for n in inside if n not in sure])
        return sure | set(inside)

    def _body(self, element: Element, sure: frozenset[str], depth: int) -> None:
        tag = element.tag
        if isinstance(element.text, Slot) and element.text.shown == "element":
            self._write(_Var(self.shown[element.text.field, "element"]))
            return
        if depth == 1 or tag in ("section", "entry"):
            self._write("\n")
        if isinstance(element.text, Slot) and element.text.field not in sure and element.free:
            # An empty cell needs no ID: nothing is read back from it.
            with self._only_if(self.variables[element.text.field], otherwise=f"<{tag}/>"):
                self._body(element, sure | {element.text.field}, depth)
            return
        self._write(f"<{tag}")
        if depth == 0:
            self._write(ROOT_ATTRIBUTES)
        if tag == "section":
            self._section_flavor(element, sure)
        for name, content in element.attributes:
            self._attribute(element, name, content, sure)
        if isinstance(element.text, Slot):
            self._text(element, element.text, sure)
        elif element.text or element.children:
            self._write(">")
            if isinstance(element.text, str):
                self._write(escape(element.text))
            for child in element.children:
                self._element(child, sure, depth + 1)
            self._write(f"</{tag}>")
        else:
            self._write("/>")

    def _section_flavor(self, section: Element, sure: frozenset[str]) -> None:
        """A section about which nothing is known keeps its code and says so."""
        text = next(child for child in section.children if child.tag == "text")
        if condition := self._condition(text, sure):
            with self._only_if(f"not ({condition})"):
                self._write(' nullFlavor="NI"')

    def _attribute(self, element: Element, name: str, content: Content, sure: frozenset[str]) -> None:
        if isinstance(content, str):
            self._write(f' {name}="{escape(content)}"')
        elif isinstance(content, RowId):
            self._write(f' {name}="{content.group}-', _Var("number"), f'-{content.key}"')
        elif content.shown == "display":
            self._write(_Var(self.shown[content.field, "display"]))
        else:
            variable = self.variables[content.field]
            condition = "" if content.field in sure else variable
            with self._only_if(condition, otherwise=self._absence(element, name, content)):
                stamped = name in MOMENTS and content.field in self.stamped
                self._write(f' {name}="', _Var(f"stamp({variable})" if stamped else variable), '"')

    def _absence(self, element: Element, name: str, slot: Slot) -> str:
        """What stands in the place of a missing value, in an element that is written all the same."""
        if element.free or (name and name not in MAIN_ATTRIBUTES):
            return ""
        flavor = self.absences.get(slot.field, "omit")
        if flavor == "omit":
            return "" if element.when else ' nullFlavor="NI"'
        return f' nullFlavor="{flavor}"'

    def _text(self, element: Element, slot: Slot, sure: frozenset[str]) -> None:
        variable = self.variables[slot.field]
        condition = "" if slot.field in sure else variable
        with self._only_if(condition, otherwise=self._absence(element, "", slot) + "/>"):
            shown = self.shown[slot.field, slot.shown] if slot.shown else variable
            self._write(">", _Var(shown), f"</{element.tag}>")

    # --- groups

    def _loop(self, group: str, elements: Sequence[Element]) -> None:
        """One pass over a group's rows feeds every place where they are written: the narrative and the entries."""
        for element in elements:
            self.joined[id(element)] = self._new("j")
            self._line(f"{self.joined[id(element)]} = []")
        numbered = any(isinstance(c, RowId) for e in elements for inner in e.walk() for _, c in inner.attributes)
        rows = f"{self.variables[group]} or ()"
        self._line(f"for count, row in enumerate({rows}, 1):" if numbered else f"for row in {rows}:")
        self.indent += 1
        if numbered:
            self._line("number = b'%d' % count")
        self._line("cell = row.get")
        sure = self._fetch(elements, in_group=True)
        for element in elements:
            self.target = self.joined[id(element)]
            self._body(element, sure, depth=9)
            self._flush()
        self.indent -= 1

    # --- source text

    def _new(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def _line(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def _constant(self, names: Mapping[str, bytes]) -> str:
        name = self._new("N")
        self.constants[name] = dict(names).get
        return name

    def _write(self, *parts: Part) -> None:
        """Add to the document, at this place."""
        for part in parts:
            merged = _joined(self.pending[-1], part) if self.pending else None
            if merged is None:
                self.pending.append(part)
            else:
                self.pending[-1] = merged

    @contextmanager
    def _only_if(self, condition: str, otherwise: str = "") -> Iterator[None]:
        """What is written inside is written under a condition; under none if that is empty."""
        if not condition:
            yield
            return
        outer_lines, outer_pending = self.lines, self.pending
        self.lines, self.pending = [], []
        self.indent += 1
        yield
        inside = self.pending
        statements = self.lines or not condition.isidentifier() or any(isinstance(p, _Choice) for p in inside)
        if statements:
            self._flush(required=True)
        self.indent -= 1
        inner_lines = self.lines
        self.lines, self.pending = outer_lines, outer_pending
        if statements:
            self._flush()
            self._line(f"if {condition}:")
            self.lines += inner_lines
            if otherwise:
                self._line("else:")
                self._line(f"    {self.target} += ({otherwise.encode()!r},)")
            return
        # A value and the text around it need no statement: each piece is chosen where it stands, which is far quicker.
        for part in inside:
            if not isinstance(part, _Var):
                self._write(_Choice(condition, str(part)))
            elif self.made_of.get(part, part) == condition:
                self._write(part)  # empty when the condition is false
            else:
                self._write(_Var(f"({part} if {condition} else b'')"))
        if otherwise:
            self._write(_Choice(condition, "", otherwise))

    def _flush(self, required: bool = False) -> None:
        """Turn what was written since the last statement into one."""
        pieces: list[str] = []
        for part in self.pending:
            if isinstance(part, _Var):
                pieces.append(part)
            elif isinstance(part, str):
                self.literals.append(part)
                pieces.append(repr(part.encode()))
            else:
                self.literals.append(part.text)
                pieces.append(f"{part.text.encode()!r} if {part.condition} else {part.otherwise.encode()!r}")
        self.pending = []
        if pieces:
            self._line(f"{self.target} += ({', '.join(pieces)},)")
        elif required:
            self._line("pass")
