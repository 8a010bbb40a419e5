"""CDA that our renderers did not make: classified, indexed, checked for what makes a document usable. Pure.

    examined = examine(document)      every reason against it at once; none: it can be taken
    examined.headline                 what the list shows of it
    examined.kind, .form              the national code where it is one, else the LOINC code of its type

What is held against it comes from the declarations of the kinds and from CDA's own header, never from the stock HL7 schema:
that one rejects valid WS/T 500 documents (header.md 4). The site may give a schema for documents that are not national ones;
`checked_with` says what was used.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import msgspec
from lxml import etree

from frontend_agent.formats.errors import FormatError, UnsafeDocument
from frontend_agent.formats.headline import Headline
from frontend_agent.formats.kind import Kind
from frontend_agent.formats.library import gaps, kind_codes, load_kind
from frontend_agent.formats.template import Element
from frontend_agent.formats.xml import CDA, XSI, parse

Form = Literal["national", "c-cda", "cda"]

DOCUMENT_TYPES = "2.16.156.10011.2.4"
DATA_ELEMENTS = "2.16.156.10011.2.2.1"
LOINC = "2.16.840.1.113883.6.1"
TEMPLATES = "2.16.156.10011.2.1.1."
C_CDA = "2.16.840.1.113883.10.20.22.1."  # the document templates of Consolidated CDA
RESIDENT, OUTPATIENT, INPATIENT, INSTITUTION = (f"2.16.156.10011.1.{n}" for n in (3, 11, 12, 5))
SEXES = {"M": "1", "F": "2", "UN": "9"}  # 2.16.840.1.113883.5.1 -> GB/T 2261.1

# The children of the root in the order of CDA R2 (header.md 1). Order is significant.
HEADER_ORDER = (
    "realmCode", "typeId", "templateId", "id", "code", "title", "effectiveTime", "confidentialityCode", "languageCode",
    "setId", "versionNumber", "copyTime", "recordTarget", "author", "dataEnterer", "informant", "custodian",
    "informationRecipient", "legalAuthenticator", "authenticator", "participant", "inFulfillmentOf", "documentationOf",
    "relatedDocument", "authorization", "componentOf", "component",
)  # fmt: skip
ONCE = frozenset({"typeId", "id", "code", "title", "effectiveTime", "confidentialityCode", "setId", "versionNumber",
                  "custodian", "legalAuthenticator", "componentOf", "component"})  # fmt: skip
_NOT_OURS_TO_ORDER = "urn:hl7-org:sdtc"  # the extension namespace of C-CDA may stand anywhere

# Without one of these nobody can say whose document it is, from whom, or which. (path, what it is)
NEEDED = (
    ("typeId", "the CDA type id"),
    ("id", "the document's own id"),
    ("code", "the type of document"),
    ("effectiveTime", "when it was made"),
    ("recordTarget/patientRole/id", "an identifier of the patient"),
    ("author/assignedAuthor", "an author"),
    ("custodian/assignedCustodian/representedCustodianOrganization", "the institution that keeps it"),
    ("component", "a body"),
)
_TIME = re.compile(r"\d{4,14}", re.ASCII)
_VERSION = re.compile(r"\d{1,9}", re.ASCII)
CDA_R2 = ("POCD_HD000040", "POCD_MT000040")  # HL7's own, and what the national sample prints
MOST_REASONS = 50  # of one document: whoever mends it starts with these

Schema = Callable[[etree._Element], list[str]]


class Examined(msgspec.Struct, frozen=True):
    """What one document of somebody else's is, and all that stands against it.

    `kind` is a national code (`C0007`), `loinc:34133-9`, or `cda`. `own_id`, `own_set` are the document's own `root^extension`.
    `reasons` refuse it; `notes` do not.
    """

    headline: Headline | None
    kind: str
    form: Form
    own_id: str
    own_set: str
    local_number: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    checked_with: tuple[str, ...]


def examine(document: bytes, schema: Schema | None = None, schema_name: str = "") -> Examined:
    """Look at a document from outside. Never raises for what the document is; the reasons say it, and quote nothing of it."""
    try:
        root = parse(document)
    except UnsafeDocument as error:
        return _refused(str(error))
    if root.tag != _n("ClinicalDocument"):
        return _refused("the root element is not ClinicalDocument in urn:hl7-org:v3")
    kind, form, notes = classify(root)
    reasons = [*_header(root), *_body(root)]
    used = ["CDA R2 header and body"]
    if form == "national":
        declared = load_kind(kind)
        more_reasons, more_notes = held_against(declared, root)
        reasons += more_reasons
        notes += more_notes
        used.append(f"{kind} {declared.digest[:16]}")
    elif schema is not None:
        reasons += schema(root)
        used.append(schema_name)
    return Examined(
        headline=_headline(root, kind),
        kind=kind,
        form=form,
        own_id=_ii(root.find(_n("id"))),
        own_set=_ii(root.find(_n("setId"))),
        local_number=_local_number(root),
        reasons=tuple(reasons[:MOST_REASONS]),
        notes=tuple(notes[:MOST_REASONS]),
        checked_with=tuple(used),
    )


def _refused(reason: str) -> Examined:
    return Examined(None, "", "cda", "", "", "", (reason,), (), ())


# --- what it is -------------------------------------------------------------------------------------------------------


def classify(root: etree._Element) -> tuple[str, Form, list[str]]:
    """Kind, form and notes. The document's code decides; a template id that says otherwise is a known misprint and a note."""
    code = root.find(_n("code"))
    said = _get(code, "code")
    templates = [_get(one, "root") for one in root.findall(_n("templateId"))]
    known = kind_codes()
    if _get(code, "codeSystem") == DOCUMENT_TYPES and said in known:
        own = load_kind(said).template_id
        notes = [] if own in templates else [f"templateId is not {own}, the one of {said}"]
        return said, "national", notes
    for gap in gaps().values():
        if (_get(code, "codeSystem") == DOCUMENT_TYPES and said == gap.code) or gap.template_id in templates:
            return gap.code, "cda", [f"{gap.code}: {gap.gap_en}; it is judged as CDA alone"]
    for template in templates:
        if template.startswith(TEMPLATES):
            for one in known:
                if load_kind(one).template_id == template:
                    return one, "national", [f"code is not {one}, which its templateId says"]
    form: Form = "c-cda" if any(template.startswith(C_CDA) for template in templates) else "cda"
    if _get(code, "codeSystem") == LOINC and re.fullmatch(r"\d{1,7}-\d", said, re.ASCII):
        return f"loinc:{said}", form, []
    return "cda", form, ["the type of document is of no code system that we know"]


# --- CDA itself -------------------------------------------------------------------------------------------------------


def _header(root: etree._Element) -> Iterator[str]:
    for path, what in NEEDED:
        if not _found(root, path):
            yield f"{path} is missing: {what}"
    if (kind := root.find(_n("typeId"))) is not None and _get(kind, "extension") not in CDA_R2:
        yield "typeId names no CDA R2 document"
    if root.find(_n("id")) is not None and not _ii(root.find(_n("id"))):
        yield "id says nothing: neither root nor extension"
    time = _get(root.find(_n("effectiveTime")), "value")
    if root.find(_n("effectiveTime")) is not None and not _TIME.match(time.replace("-", "")):
        yield "effectiveTime has no time in its value"
    custodian = _found(root, NEEDED[6][0])
    if custodian and not any(_ii(one) for one in custodian[0].findall(_n("id"))):
        yield "custodian: its organization has no id"
    place, last = 0, ""
    seen: set[str] = set()
    for child in root:
        name = _name(child)
        if name not in HEADER_ORDER:
            if etree.QName(child).namespace == CDA:
                yield f"{name} is no element of a CDA header"
            continue
        at = HEADER_ORDER.index(name)
        if at < place:
            yield f"{name} stands after {last}: the order of the header is fixed"
        if name in ONCE and name in seen:
            yield f"{name} stands there twice"
        seen.add(name)
        place, last = max(place, at), HEADER_ORDER[max(place, at)]


def _body(root: etree._Element) -> Iterator[str]:
    component = root.find(_n("component"))
    if component is None:
        return
    bodies = [child for child in component if _name(child) in ("structuredBody", "nonXMLBody")]
    if len(bodies) != 1:
        yield "component holds neither one structuredBody nor one nonXMLBody"
        return
    if _name(bodies[0]) == "nonXMLBody":
        yield from _content(bodies[0])
        return
    sections = list(bodies[0].iter(_n("section")))
    if not sections:
        yield "structuredBody holds no section"
    for number, section in enumerate(sections, 1):
        said = section.find(_n("text")) is not None or section.find(_n("entry")) is not None or _subsections(section)
        if not said and not _get(section, "nullFlavor"):
            yield f"section {number} has neither text nor entries"
        for entry in section.findall(_n("entry")):
            acts = [child for child in entry if _name(child) in ACTS]
            if len(acts) != 1:
                yield f"section {number}: an entry must hold one act, this one holds {len(acts)}"
    for value in bodies[0].iter(_n("value")):
        if _name(value.getparent()) == "observation" and not _type_of(value) and not _get(value, "nullFlavor"):
            yield f"line {value.sourceline}: value without xsi:type"


ACTS = frozenset(
    [
        "act",
        "encounter",
        "observation",
        "observationMedia",
        "organizer",
        "procedure",
        "regionOfInterest",
        "substanceAdministration",
        "supply",
    ]
)


def _subsections(section: etree._Element) -> list[etree._Element]:
    return [child for child in section.findall(_n("component")) if child.find(_n("section")) is not None]


def _content(body: etree._Element) -> Iterator[str]:
    text = body.find(_n("text"))
    if text is None:
        yield "nonXMLBody holds no text"
    elif _get(text, "representation") == "B64":
        try:
            content = base64.b64decode("".join((text.text or "").split()), validate=True)
        except (binascii.Error, ValueError):
            content = b""
            yield "nonXMLBody: the content is not base64"
        if not content and text.find(_n("reference")) is None:
            yield "nonXMLBody: no content"
    elif text.find(_n("reference")) is not None:
        yield "nonXMLBody: the content lies elsewhere (reference); send it inside the document"


# --- a national kind's own declaration --------------------------------------------------------------------------------


class _Declared(msgspec.Struct, frozen=True):
    """What a section of a kind may hold: data element -> (value types, code systems)."""

    elements: Mapping[str, tuple[frozenset[str], frozenset[str]]]


def held_against(kind: Kind, root: etree._Element) -> tuple[list[str], list[str]]:
    """A document against its kind's declaration: reasons (it says something else than it means), and notes."""
    reasons: list[str] = []
    notes: list[str] = []
    declared = _sections_of(kind)
    seen = set()
    for number, section in enumerate(root.iter(_n("section")), 1):
        code = section.find(_n("code"))
        name = _get(code, "code") or _get(code, "displayName")
        if name not in declared:
            notes.append(f"section {number} is not one of {kind.code}")
            continue
        seen.add(name)
        reasons += _values(number, section, declared[name])
    silent = [name for name in declared if name not in seen]
    if silent:
        notes.append(f"{len(silent)} of {len(declared)} sections of {kind.code} are not there: {', '.join(silent)}")
    try:
        record = kind.reader(etree.tostring(root))
    except FormatError:
        notes.append("its values were not read: the templateId is another kind's")
        return reasons, notes
    if not record.get("patient.name"):
        reasons.append("recordTarget/patientRole/patient/name is missing: whose document it is")
    return reasons, notes


def _values(number: int, section: etree._Element, declared: _Declared) -> Iterator[str]:
    for observation in section.iter(_n("observation")):
        code, value = observation.find(_n("code")), observation.find(_n("value"))
        if code is None or value is None or _get(value, "nullFlavor"):
            continue
        if _get(code, "codeSystem") != DATA_ELEMENTS or _get(code, "code") not in declared.elements:
            continue
        types, systems = declared.elements[_get(code, "code")]
        where = f"section {number}: {_get(code, 'code')}"
        if _type_of(value) not in types:
            yield f"{where} is {_type_of(value) or 'of no type'}, and must be {' or '.join(sorted(types))}"
        elif systems and _get(value, "code") and _get(value, "codeSystem") not in systems:
            yield f"{where} has a code of another table than {' or '.join(sorted(systems))}"


_Elements = Mapping[str, tuple[frozenset[str], frozenset[str]]]


def _either(one: _Elements, other: _Elements) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """What either of two sections may hold. An element without code systems in one of them may have any."""
    joined = {**one, **other}
    for name in one.keys() & other.keys():
        (types, systems), (more_types, more_systems) = one[name], other[name]
        joined[name] = types | more_types, systems | more_systems if systems and more_systems else frozenset()
    return joined


def _sections_of(kind: Kind) -> dict[str, _Declared]:
    found: dict[str, _Declared] = {}
    for section in (element for element in kind.root.walk() if element.tag == "section"):
        code = next((child for child in section.children if child.tag == "code"), None)
        if code is None:
            continue
        elements: dict[str, tuple[set[str], set[str]]] = {}
        for observation in (element for element in section.walk() if element.tag == "observation"):
            _declare(observation, elements)
        frozen = {name: (frozenset(types), frozenset(systems)) for name, (types, systems) in elements.items()}
        name = code.constant("code") or code.constant("displayName")
        if name in found:  # C0050 has one code for two sections: each may hold what either does
            frozen = _either(found[name].elements, frozen)
        found[name] = _Declared(frozen)
    return found


def _declare(observation: Element, elements: dict[str, tuple[set[str], set[str]]]) -> None:
    code = next((child for child in observation.children if child.tag == "code"), None)
    value = next((child for child in observation.children if child.tag == "value"), None)
    if code is None or value is None:
        return
    types, systems = elements.setdefault(code.constant("code"), (set(), set()))
    types.add(value.constant("xsi:type"))
    if value.constant("codeSystem"):
        systems.add(value.constant("codeSystem"))


# --- what the list shows ----------------------------------------------------------------------------------------------


def _headline(root: etree._Element, kind: str) -> Headline:
    patient = _first(root, "recordTarget/patientRole/patient")
    role = _first(root, "recordTarget/patientRole")
    author = _first(root, "author")
    keeper = _first(root, NEEDED[6][0])
    version = _get(root.find(_n("versionNumber")), "value")
    return Headline(
        document_id=_ii(root.find(_n("id"))),
        set_id=_ii(root.find(_n("setId"))),
        version=int(version) if _VERSION.fullmatch(version) else 1,
        kind=kind,
        title=_text(root.find(_n("title"))) or _get(root.find(_n("code")), "displayName"),
        effective_time=_digits(_get(root.find(_n("effectiveTime")), "value"), 14),
        institution_id=institution_of(root),
        institution_name=_text(keeper.find(_n("name"))) if keeper is not None else "",
        patient_name=_person(patient),
        patient_id_number=_extension(patient, RESIDENT) or _extension(role, RESIDENT),
        outpatient_number=_extension(role, OUTPATIENT),
        inpatient_number=_extension(role, INPATIENT),
        sex=_sex(patient),
        birth_date=_digits(_get(_first(patient, "birthTime"), "value"), 8),
        author_name=_person(_first(author, "assignedAuthor/assignedPerson")),
        authored_at=_digits(_get(_first(author, "time"), "value"), 14),
    )


def institution_of(root: etree._Element) -> str:
    """The custodian's national institution code, else the first id it has."""
    keeper = _first(root, NEEDED[6][0])
    if keeper is None:
        return ""
    ids = keeper.findall(_n("id"))
    return next((_get(i, "extension") for i in ids if _get(i, "root") == INSTITUTION), "") or next(
        (_get(i, "extension") or _get(i, "root") for i in ids if _ii(i)), ""
    )


def _sex(patient: etree._Element | None) -> str:
    code = _get(_first(patient, "administrativeGenderCode"), "code")
    return SEXES.get(code, code if code in ("0", "1", "2", "9") else "")


def _local_number(root: etree._Element) -> str:
    """The sender's own number of the patient, where it is none of the national ones."""
    role = _first(root, "recordTarget/patientRole")
    ids = role.findall(_n("id")) if role is not None else []
    return next((_get(i, "extension") for i in ids if not _get(i, "root").startswith("2.16.156.10011.1.")), "")[:100]


def _extension(element: etree._Element | None, root: str) -> str:
    ids = element.findall(_n("id")) if element is not None else []
    return next((_get(i, "extension") for i in ids if _get(i, "root") == root), "")


def _person(element: etree._Element | None) -> str:
    """A name as it is written: a Chinese one in one piece, a Western one given before family."""
    name = _first(element, "name")
    if name is None:
        return ""
    parts = [(_name(child), _text(child)) for child in name if _name(child) in ("prefix", "given", "family", "suffix")]
    if not parts:
        return _text(name)
    return " ".join(text for part, text in parts if part in ("given", "family") and text)


def _digits(value: str, width: int) -> str:
    """The digits of an HL7 or ISO time as it stands, without zone or fraction, filled up to a day or a second."""
    digits = re.split(r"[+.Z]|(?<=\d{8})-", value.replace("T", "").replace(":", ""))[0].replace("-", "")
    if not digits.isdigit() or len(digits) < 4:
        return ""
    day = (digits[:8] + "0101"[max(0, len(digits) - 4) :])[:8]
    return day if width == 8 else (day + digits[8:14]).ljust(14, "0")


# --- small things -----------------------------------------------------------------------------------------------------


def _n(tag: str) -> str:
    return f"{{{CDA}}}{tag}"


def _name(element: etree._Element | None) -> str:
    return etree.QName(element).localname if element is not None else ""


def _get(element: etree._Element | None, name: str) -> str:
    return (element.get(name) or "").strip() if element is not None else ""


def _type_of(value: etree._Element) -> str:
    return (value.get(f"{{{XSI}}}type") or "").rpartition(":")[2]


def _ii(element: etree._Element | None) -> str:
    """An instance identifier as one text: `root^extension`."""
    root, extension = _get(element, "root"), _get(element, "extension")
    return f"{root}^{extension}" if extension else root


def _text(element: etree._Element | None) -> str:
    return " ".join("".join(map(str, element.itertext())).split()) if element is not None else ""


def _found(root: etree._Element, path: str) -> list[etree._Element]:
    return root.findall("/".join(_n(step) for step in path.split("/")))


def _first(element: etree._Element | None, path: str) -> etree._Element | None:
    return element.find("/".join(_n(step) for step in path.split("/"))) if element is not None else None
