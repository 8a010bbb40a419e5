"""A kind of document: its fields, and what is compiled from its declaration (law 12)."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import is_

from frontend_agent.formats.data_elements import data_element
from frontend_agent.formats.errors import TemplateError
from frontend_agent.formats.narrative import section_text
from frontend_agent.formats.read import Reader, compile_reader
from frontend_agent.formats.render import Renderer, compile_renderer, static_text
from frontend_agent.formats.stamps import stamp
from frontend_agent.formats.template import DOCUMENT, Element, Template, read_template, revised
from frontend_agent.model import Envelope, Record

# How a renderer is wanted: absences, formats, entries on request.
Wanted = tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]], frozenset[str]]
TIMES = {"D8": "D8", "DT14": "DT15", "DT15": "DT15", "D15": "DT15"}  # the sheets print all of these


@dataclass(frozen=True)
class Field:
    """One value of a record.

    `name` is the record's name for it (`items.unit`), `key` its name inside a row. `format` is WS 363 notation; a `DT15` is
    written in CDA's 14 digits. `max_length` is the document's own. `cardinality` is as printed and may be empty: undecided.
    `required` is what the renderer needs: `always` (in each row, for a group's field), `inside` (when the element around it is
    written), `unless other`, `with other`, or empty.
    """

    name: str
    group: str
    de: str
    name_zh: str
    name_en: str
    value_type: str
    format: str
    max_length: int | None
    cardinality: str
    group_cardinality: str
    required: str
    value_set: str
    unit: str
    section_code: str
    confidence: str
    path: str
    note: str = ""

    @property
    def key(self) -> str:
        """The name inside the group's row; the whole name for a scalar."""
        return self.name.removeprefix(f"{self.group}.") if self.group else self.name


@dataclass(frozen=True)
class Group:
    """A repeated part of a record: rows of fields."""

    name: str
    name_zh: str
    name_en: str
    cardinality: str
    required: str
    section_code: str
    fields: tuple[Field, ...]
    confidence: str = ""
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the body and the fields and groups that stand in it, in the narrative's order.

    `code` is the LOINC code; of a section that has none or shares it with another of the kind, its display name.
    """

    code: str
    title_zh: str
    title_en: str
    fields: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of document, compiled from its template and its table of fields."""

    code: str
    name_zh: str
    name_en: str
    template_id: str
    title: str
    standard: str  # `WS/T 500-2016 part 7`
    short_name: str  # what a mapping of this kind is usually called: lab_report
    key: str  # the field that is usually the business key
    fields: tuple[Field, ...]
    groups: Mapping[str, Group]
    sections: tuple[Section, ...]
    digest: str
    root: Element = field(repr=False)
    declared: Mapping[str, str] = field(repr=False)
    _renderers: dict[Wanted, Renderer] = field(default_factory=dict, repr=False)

    def field(self, name: str) -> Field:
        """The field of this name, or KeyError."""
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {f.name: f for f in self.fields}

    def renderer(
        self,
        absences: Mapping[str, str] | None = None,
        formats: Mapping[str, str] | None = None,
        entries: Collection[str] = (),
    ) -> Renderer:
        """The function that makes this kind's documents.

        `absences` says per field or group how a missing value is written: `omit` leaves out the smallest element that the
        schema lets us leave out (where something else keeps that element, or nothing may be left out, the slot says
        nullFlavor NI); a nullFlavor is written as it is. A value that must be there and is missing otherwise raises
        UnboundField.

        `formats` says how a region wants dates and times: `date` and `datetime` by the names of stamps.DATES and TIMES.

        `entries` are the fields without a slot in the standard that the region wants as entries besides (`on_request`).
        """
        wanted = frozenset((absences or {}).items()), frozenset((formats or {}).items()), frozenset(entries)
        if unknown := set(entries) - set(self.on_request):
            known = ", ".join(self.on_request) or "none"
            raise TemplateError(f"{self.code}: no entry on request for {', '.join(sorted(unknown))} (known: {known})")
        if wanted not in self._renderers:
            root = _with_entries(self.root, wanted[2])
            first = self._compiled(root, wanted)
            later = revised(root)
            self._renderers[wanted] = first if later is root else _by_version(first, self._compiled(later, wanted))
        return self._renderers[wanted]

    def _compiled(self, root: Element, wanted: Wanted) -> Renderer:
        return compile_renderer(
            root,
            tuple(self.groups),
            self._requirement,
            dict(wanted[0]),
            {*self._widths, "envelope.effective_time"},
            stamp(dict(wanted[1])),
        )

    @property
    def is_message(self) -> bool:
        """A message of the national services (a registration, an order …), not a CDA document."""
        return self.root.tag != DOCUMENT

    @cached_property
    def roots(self) -> tuple[str, str]:
        """What the root is called in the first version and in those after it: the two interactions of a message."""
        return self.root.tag, revised(self.root).tag

    @cached_property
    def on_request(self) -> tuple[str, ...]:
        """The fields that stand in an entry where the region asks for it, and in the narrative always."""
        return tuple(dict.fromkeys(element.asked for element in self.root.walk() if element.asked))

    def reader(self, document: bytes) -> Record:
        """The record in a document of this kind, without facts."""
        return self._reader(document)

    @cached_property
    def _reader(self) -> Reader:
        return compile_reader(self.root, tuple(self.groups), self.template_id, self._widths)

    @cached_property
    def _widths(self) -> dict[str, int]:
        """Dates and times, and how many digits a record holds of them."""
        return {field.name: 8 if field.format == "D8" else 14 for field in self.fields if field.value_type == "TS"}

    @cached_property
    def dictionary(self) -> bytes:
        """Raw content for zstd: the text all documents of the kind share. Derived, the same on every machine."""
        pieces = dict.fromkeys(static_text(self.root, tuple(self.groups), self._requirement))
        return "".join(pieces).encode()

    @cached_property
    def dictionary_sha256(self) -> str:
        """How agent and platform name the dictionary."""
        return hashlib.sha256(self.dictionary).hexdigest()

    def _requirement(self, name: str) -> str:
        return self.declared.get(name, "")


def build_kind(code: str, template: str, rows: Sequence[Mapping[str, str]], document: Mapping[str, str]) -> Kind:
    """A kind from its template's text, its table of fields and its row among the documents."""
    parsed = read_template(f"{code}.xml", template)
    declared = {row["field"]: row for row in rows if row["field"]}
    places = _places(parsed)
    groups = [e.each for e in parsed.root.walk() if e.each]
    _agree(code, declared, places, groups)
    fields = tuple(
        _field(row, places[name], groups)
        for name, row in declared.items()
        if name not in groups and not name.startswith("envelope.")
    )
    names = _section_names(parsed)
    sections = tuple(_section(names[id(element)], element, fields, declared) for element in parsed.sections)
    by_name = {f.name: f for f in fields}
    labels = {name: row["name_zh"] for name, row in declared.items()}
    texts = [e for e in parsed.root.walk() if e.narrative is not None]
    filled = [_narrative(text, section, by_name, labels) for text, section in zip(texts, sections, strict=True)]
    root = _with_narratives(parsed.root, iter(filled))
    return Kind(
        code=code,
        name_zh=document["name_zh"],
        name_en=document["name_en"],
        template_id=document["template_id"],
        standard=f"{document['standard']} part {document['part']}".removesuffix(" part "),
        short_name=document["short_name"],
        key=document["key"],
        title=next(
            (e.text for e in parsed.root.children if e.tag == "title" and isinstance(e.text, str)), document["name_zh"]
        ),
        fields=fields,
        groups={name: _group(declared[name], fields, sections) for name in groups},
        sections=sections,
        digest=digest_of(template, rows, document),
        root=root,
        declared={name: row["required"] for name, row in declared.items()},
    )


def digest_of(template: str, rows: Sequence[Mapping[str, str]], document: Mapping[str, str]) -> str:
    """What a kind's declaration says, as one SHA-256."""
    lines = ["\x1f".join(row.values()) for row in [*rows, document]]
    return hashlib.sha256("\x1e".join([template, *lines]).encode()).hexdigest()


@dataclass(frozen=True)
class _Place:
    """Where in the template a field stands first."""

    element: Element
    attribute: str
    path: str
    section: str


def _places(template: Template) -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    names = _section_names(template)

    def walk(element: Element, path: str, section: str) -> None:
        path = f"{path}/{element.tag}"
        if element.tag == "section":
            section = names[id(element)]
            path = f"section[{section}]"
        for attribute, slot in element.slots():
            if slot.read:
                where = f"{path}/@{attribute}" if attribute else path
                places.setdefault(slot.field, _Place(element, attribute, where, section))
        for name in element.narrative or ():
            places.setdefault(name, _Place(element, "", f"{path}//td/@ID", section))
        for child in element.children:
            walk(child, path, section)

    walk(template.root, "", "")
    return places


def _agree(code: str, declared: Mapping[str, object], places: Mapping[str, _Place], groups: Sequence[str]) -> None:
    """The template and the table of fields name the same fields."""
    own = {"envelope.replaces_id", "envelope.replaced_version"}  # written from the envelope alone
    for name in {*places, *groups} - set(declared) - own:
        raise TemplateError(f"{code}.xml: {name} is not in {code}.fields.csv")
    for name in set(declared) - set(places) - set(groups):
        raise TemplateError(f"{code}.fields.csv: {name} has no place in {code}.xml")


def _field(row: Mapping[str, str], place: _Place, groups: Sequence[str]) -> Field:
    name, length = row["field"], row["length"]
    group = name.partition(".")[0] if name.partition(".")[0] in groups else ""
    catalogued = data_element(row["de_code"])
    format_ = TIMES.get(length) or (catalogued.format if catalogued else f"AN..{length}" if length.isdigit() else "")
    type_ = _value_type(place, format_)
    if type_ == "TS" and format_ not in ("D8", "DT15"):
        # A moment of which no sheet prints the length: 日期 is a day, 日期时间 and 时间 are not.
        format_ = "D8" if row["name_zh"].endswith("日期") else "DT15"
    return Field(
        name=name,
        group=group,
        de=row["de_code"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        value_type=type_,
        format="T/F" if type_ == "BL" else format_,
        max_length=int(length) if length.isdigit() else None,
        cardinality=row["printed_cardinality"],
        group_cardinality=row["group_cardinality"],
        required=row["required"],
        value_set=place.element.constant("codeSystem") if place.attribute == "code" else "",
        unit=place.element.constant("unit") or place.element.constant("currency"),
        section_code=place.section,
        confidence=row["confidence"],
        path=place.path,
        note=row["note"],
    )


_MOMENT = re.compile(r"\b(effectiveTime|time|birthTime)(/(low|high|any))?(/@value)?$")
# In the data types of the messages (ISO 21090) text stands in an attribute too.
_TEXTS = frozenset({"part", "displayName", "originalText", "text", "desc", "signatureText"})


def _value_type(place: _Place, format_: str) -> str:
    element, attribute = place.element, place.attribute
    if attribute in ("unit", "displayName"):
        return "ST"
    if (attribute == "value" and _MOMENT.search(place.path)) or attribute in ("validTimeLow", "validTimeHigh"):
        return "TS"
    if stated := element.constant("xsi:type"):
        return stated
    if format_ in ("D8", "DT15"):
        return "TS"
    if attribute == "value" and element.tag in _TEXTS:
        return "ST"
    telecom = element.tag == "telecom" or place.path.endswith("telecom/item/@value")
    by_attribute = {"extension": "II", "code": "CD", "value": "TEL" if telecom else "PQ"}
    return by_attribute.get(attribute, "ST")


def _group(row: Mapping[str, str], fields: Sequence[Field], sections: Sequence[Section]) -> Group:
    name = row["field"]
    return Group(
        name=name,
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        cardinality=row["printed_cardinality"],
        required=row["required"],
        section_code=next((s.code for s in sections if name in s.groups), ""),
        fields=tuple(f for f in fields if f.group == name),
        confidence=row["confidence"],
        note=row["note"],
    )


def _by_version(first: Renderer, later: Renderer) -> Renderer:
    """A message that registers the first time and updates afterwards."""

    def render(record: Record, envelope: Envelope) -> bytes:
        return first(record, envelope) if envelope.version == 1 else later(record, envelope)

    return render


# --- sections


def _section_names(template: Template) -> dict[int, str]:
    """What each section of a template is called: its code, or its display name if it has none or shares it with another."""
    codes = [next(child for child in section.children if child.tag == "code") for section in template.sections]
    plain = [code.constant("code") for code in codes]
    named = (
        code.constant("code")
        if plain.count(code.constant("code")) == 1 and code.constant("code")
        else code.constant("displayName")
        for code in codes
    )
    return {id(section): name for section, name in zip(template.sections, named, strict=True)}


def _section(
    name: str, section: Element, fields: Sequence[Field], declared: Mapping[str, Mapping[str, str]]
) -> Section:
    code = next(child for child in section.children if child.tag == "code")
    title = next(child.text for child in section.children if child.tag == "title")
    here = [f for f in fields if f.section_code == name]
    order = list(declared)
    own_groups = sorted({f.group for f in here if f.group}, key=order.index)
    return Section(
        code=name,
        title_zh=title if isinstance(title, str) else "",
        title_en=code.constant("displayName"),
        fields=tuple(f.name for f in here if not f.group),
        groups=tuple(own_groups),
    )


def _with_entries(element: Element, entries: Collection[str]) -> Element:
    """The tree without the entries that nobody asked for."""
    children = tuple(_with_entries(c, entries) for c in element.children if not c.asked or c.asked in entries)
    return element if children == element.children else replace(element, children=children)


def _with_narratives(element: Element, texts: Iterator[Element]) -> Element:
    """The tree with each section's narrative filled in."""
    if element.narrative is not None:
        return next(texts)
    children = tuple(_with_narratives(child, texts) for child in element.children)
    return element if all(map(is_, children, element.children)) else replace(element, children=children)


def _label(field: Field) -> str:
    """The Chinese name with the unit, where the name does not say one already: 出血量（mL） of `ml` does."""
    if not field.unit or field.unit in field.name_zh or field.name_zh.endswith(("）", ")")):
        return field.name_zh
    return f"{field.name_zh}（{field.unit}）"


def _narrative(text: Element, section: Section, fields: Mapping[str, Field], labels: Mapping[str, str]) -> Element:
    def showing(name: str) -> tuple[str, str]:
        known = fields[name]
        if known.value_type == "TS":
            return "time", ""
        if known.value_type == "BL":
            return "flag", ""
        return ("name", known.value_set) if known.value_set else ("", "")

    shown = [f for f in fields.values() if not f.name.endswith(("_id", ".id"))]  # staff ids are nothing to read
    filled = section_text(
        text,
        [(name, _label(fields[name])) for name in section.fields],
        [(group, labels[group], [(f.name, _label(f)) for f in shown if f.group == group]) for group in section.groups],
        showing,
    )
    return replace(filled, when=(*section.fields, *section.groups))
