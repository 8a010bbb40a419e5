"""What a document says of itself, read from its first bytes without parsing it.

The platform looks at every document it takes; a parse of each would cost more than everything else it does. The scan leans
on one fact: in what our renderers write, `<` never stands in a value, so what looks like an element is one.
"""

import re

import msgspec

from frontend_agent.formats.errors import NotOurs, UnsafeDocument
from frontend_agent.formats.library import load_kind
from frontend_agent.formats.stamps import digits_of
from frontend_agent.formats.tables import exists
from frontend_agent.model import Envelope


class Headline(msgspec.Struct, frozen=True):
    """The header of one document. What it does not say is empty."""

    document_id: str
    set_id: str
    version: int
    kind: str
    title: str
    effective_time: str
    institution_id: str
    institution_name: str
    patient_name: str
    patient_id_number: str
    outpatient_number: str
    inpatient_number: str
    sex: str
    birth_date: str
    author_name: str
    authored_at: str  # when the author wrote it: the clinical time, where effective_time is the machine's


# The beginning is the same in all our documents, but for the values.
_BEGINNING = re.compile(
    rb'<\?xml version="1\.0" encoding="UTF-8"\?>\s*<ClinicalDocument xmlns="urn:hl7-org:v3"[^>]*>'
    rb'\s*<realmCode code="CN"/>\s*<typeId [^>]*/>\s*<templateId [^>]*/>'
    rb'\s*<id root="2\.16\.156\.10011\.1\.1" extension="([^"]+)"/>'
    rb'\s*<code code="([^"]+)" codeSystem="(?:2\.16\.156\.10011\.2\.4|2\.25\.\d+)"[^>]*/>'
    rb'\s*<title>([^<]*)</title>\s*<effectiveTime value="([^"]*)"/>'
    rb"\s*<confidentialityCode [^>]*/>\s*<languageCode [^>]*/>"
    rb'\s*<setId root="2\.16\.156\.10011\.1\.1" extension="([^"]+)"/>\s*<versionNumber value="(\d+)"/>'
    rb"\s*<recordTarget "
)
# A message of the national services: what kind it is stands in its own id, because several kinds share a root.
_MESSAGE = re.compile(
    rb'<\?xml version="1\.0" encoding="UTF-8"\?>\s*<([A-Z_]+\d+[A-Z]+\d*) xmlns="urn:hl7-org:v3"[^>]*>'
    rb'\s*<id root="2\.16\.156\.10011\.2\.5\.1\.1" extension="((H\d{4})-[^"]+)-(\d{1,9})"/>'
    rb'\s*<creationTime value="([^"]*)"/>'
)
_OUTPATIENT = b'<id root="2.16.156.10011.1.11" extension="'
_INPATIENT = b'<id root="2.16.156.10011.1.12" extension="'
_RESIDENT = b'<id root="2.16.156.10011.1.3" extension="'
_INSTITUTION = b'<id root="2.16.156.10011.1.5" extension="'
_SEX = b'<administrativeGenderCode code="'
_BIRTH = b'<birthTime value="'
_REPLACED = b'<parentDocument><id root="2.16.156.10011.1.1" extension="'
_PATIENT = re.compile(b"<patient[ >]")  # some kinds print no attributes
_AUTHOR = re.compile(b"\n<author[ >]")
_NAME = b"<name>"
_OTHERS = (b"<guardian", b"<employerOrganization")  # whoever else has a name inside the patient
_TIME = re.compile(rb'<time (?:xsi:type="TS" )?value="([^"]*)"')  # some kinds print the type of the author's time


def headline(document: bytes) -> Headline:
    """The header of a document that one of our renderers made; NotOurs for anything else."""
    beginning = _BEGINNING.match(document)
    if beginning is None and (message := _MESSAGE.match(document)):
        return _of_message(document, message)
    if beginning is None:
        raise NotOurs("the bytes do not begin like a document of ours")
    start = beginning.end()
    find = document.find
    patient = _at(_PATIENT.search(document, start))
    author = _at(_AUTHOR.search(document, max(patient, 0)))
    custodian = find(b"\n<custodian ", author)
    end = find(b"</custodian>", custodian)
    if patient < 0 or author < 0 or custodian < 0 or end < 0:
        raise NotOurs("the header is not whole")
    leaving = find(b"</patient>", patient)
    own = min(at for at in (leaving, *(find(mark, patient, leaving) for mark in _OTHERS)) if at >= 0)
    written = find(b"</author>", author)  # an informant stands before the custodian, and has a name too
    person = find(b"<assignedPerson", author, written)
    time = _TIME.search(document, author, written)
    document_id, kind, title, effective_time, set_id, version = beginning.groups()
    try:
        return Headline(
            _text(document_id),
            _text(set_id),
            int(version),
            kind.decode(),
            _text(title),
            digits_of(_text(effective_time), 14),
            _after(document, _INSTITUTION, custodian, end, b'"'),
            _after(document, _NAME, custodian, end, b"<"),
            _after(document, _NAME, patient, own, b"<"),
            _after(document, _RESIDENT, patient, leaving, b'"'),
            _after(document, _OUTPATIENT, start, patient, b'"'),
            _after(document, _INPATIENT, start, patient, b'"'),
            _after(document, _SEX, patient, leaving, b'"'),
            digits_of(_after(document, _BIRTH, patient, leaving, b'"'), 8),
            _after(document, _NAME, person, find(b"</assignedPerson>", person), b"<") if person >= 0 else "",
            digits_of(_text(time[1]) if time else "", 14),
        )
    except UnicodeDecodeError:
        raise NotOurs("the header is not UTF-8") from None


def _of_message(document: bytes, beginning: re.Match[bytes]) -> Headline:
    """A message is small and has no header apart: it is read whole."""
    root, set_id, code, version, made_at = (part.decode() for part in beginning.groups())
    if not exists(f"{code}.xml") or root not in load_kind(code).roots:
        raise NotOurs("no message of that kind")
    kind = load_kind(code)
    try:
        said = kind.reader(document).get
    except UnsafeDocument:
        raise NotOurs("the message is not whole") from None
    return Headline(
        f"{_text(set_id.encode())}-{version}",
        _text(set_id.encode()),
        int(version),
        code,
        kind.title,
        digits_of(made_at, 14),
        said("institution.id", ""),
        said("institution.name", ""),
        said("patient.name", ""),
        said("patient.id_number", ""),
        said("patient.outpatient_number", ""),
        said("patient.inpatient_number", ""),
        said("patient.sex", ""),
        said("patient.birth_date", ""),
        said("author.name", ""),
        said("author.time", ""),
    )


def read_envelope(document: bytes) -> Envelope:
    """What the agent said in the header of a document. A message names no version before it."""
    head = headline(document)
    return Envelope(
        document_id=head.document_id,
        set_id=head.set_id,
        version=head.version,
        effective_time=head.effective_time,
        replaces_id=_after(document, _REPLACED, 0, len(document), b'"'),
    )


def _at(found: re.Match[bytes] | None) -> int:
    return found.start() if found else -1


def _after(document: bytes, mark: bytes, start: int, end: int, closing: bytes) -> str:
    at = document.find(mark, start, end)
    if at < 0:
        return ""
    at += len(mark)
    return _text(document[at : document.find(closing, at)])


def _text(value: bytes) -> str:
    text = value.decode()
    if "&" not in text:
        return text
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text


# The ampersand last: it is what the others begin with.
_ENTITIES = (
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&#9;", "\t"),
    ("&#10;", "\n"),
    ("&#13;", "\r"),
    ("&amp;", "&"),
)
