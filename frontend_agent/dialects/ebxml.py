"""IHE XDS.b as it is written: the messages of ITI-41 (Provide and Register Document Set-b) and ITI-18 (GetDocuments), and
what is answered (ITI TF-2 §3.41, §3.18; TF-3 §4.2, §4.3). Values in, bytes out; it knows no record.

The UUIDs are those of TF-3 §4.2.5. A document entry gets a real UUID of its own and not a symbolic name: the registry keeps
it, and a later version can name it as what it replaces without asking.
"""

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from lxml import etree

from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.xml import parse

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
XDSB = "urn:ihe:iti:xds-b:2007"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
XOP = "http://www.w3.org/2004/08/xop/include"
XML = "http://www.w3.org/XML/1998/namespace"
ANONYMOUS = f"{WSA}/anonymous"

PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
ASK = "urn:ihe:iti:2007:RegistryStoredQuery"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"

SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
WARNING = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning"

STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
SUBMISSION_SET = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
REPLACES = "urn:ihe:iti:2007:AssociationType:RPLC"

# Classification schemes of a document entry, in the order in which they are written.
SCHEMES = {
    "class": "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
    "confidentiality": "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
    "format": "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
    "facility": "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
    "practice_setting": "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead",
    "type": "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983",
}
ENTRY_EVENT = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
ENTRY_AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
ENTRY_PATIENT = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
ENTRY_UNIQUE = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SET_AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
SET_CONTENT_TYPE = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
SET_PATIENT = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SET_UNIQUE = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
SET_SOURCE = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"

LARGEST_ANSWER = 8 << 20
LONGEST_REASON = 500
_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


class Code(NamedTuple):
    """A code of the affinity domain, its scheme, and what it is called."""

    code: str
    scheme: str
    name: str


class Entry(msgspec.Struct, frozen=True):
    """What is said of one document: a document entry, and the submission set that it travels in.

    Times are UTC (TF-3 §4.2.3.1.4). `codes` by the names in SCHEMES; `authors`: slots of each author.
    """

    entry_uuid: str  # urn:uuid:…
    unique_id: str
    set_uuid: str
    set_unique_id: str  # an OID
    source_id: str  # an OID
    patient_id: str  # CX: id^^^&OID&ISO
    source_patient_id: str
    title: str
    language: str
    creation_time: str
    submission_time: str
    hash: str  # SHA-1, hex
    size: int
    codes: dict[str, Code]
    content_type: Code
    authors: list[dict[str, list[str]]] = []
    service_start: str = ""
    service_stop: str = ""
    patient_info: list[str] = []
    replaces: str = ""  # the entry of the version before
    mime_type: str = "text/xml"
    events: list[Code] = []  # eventCodeList: of images, their modalities
    reference_ids: list[str] = []  # CXi: numbers that others know it by


def entry_uuid(unique_id: str) -> str:
    """The entry of a document: always the same for the same unique id."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, unique_id)}"


def oid_of(text: str) -> str:
    """An OID made of a text, always the same (2.25 and a UUID as a number, ITU-T X.667)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, text).int}"


# --- asking


def provide(entry: Entry, to: str, message_id: str, document: str, *, by_reference: bool) -> bytes:
    """The envelope of ITI-41. `document`: the content's id where it travels beside the envelope, or its base64."""
    envelope, body = _envelope(PROVIDE, to, message_id)
    request = etree.SubElement(body, _q(XDSB, "ProvideAndRegisterDocumentSetRequest"), nsmap={"xdsb": XDSB})
    submit = etree.SubElement(request, _q(LCM, "SubmitObjectsRequest"), nsmap={"lcm": LCM, "rim": RIM})
    objects = etree.SubElement(submit, _q(RIM, "RegistryObjectList"))
    _document_entry(objects, entry)
    _submission_set(objects, entry)
    _association(objects, HAS_MEMBER, entry.set_uuid, entry.entry_uuid, {"SubmissionSetStatus": ["Original"]})
    if entry.replaces:
        _association(objects, REPLACES, entry.entry_uuid, entry.replaces, {})
    content = etree.SubElement(request, _q(XDSB, "Document"), id=entry.entry_uuid)
    if by_reference:
        etree.SubElement(content, _q(XOP, "Include"), href=f"cid:{document}", nsmap={"xop": XOP})
    else:
        content.text = document
    return _bytes(envelope)


def get_documents(unique_ids: Iterable[str], to: str, message_id: str) -> bytes:
    """The envelope of ITI-18, GetDocuments by unique ids (TF-2 §3.18.4.1.2.3.7.5)."""
    envelope, body = _envelope(ASK, to, message_id)
    request = etree.SubElement(body, _q(QUERY, "AdhocQueryRequest"), nsmap={"query": QUERY, "rim": RIM})
    etree.SubElement(request, _q(QUERY, "ResponseOption"), returnComposedObjects="true", returnType="LeafClass")
    query = etree.SubElement(request, _q(RIM, "AdhocQuery"), id=GET_DOCUMENTS)
    listed = ",".join("'" + one.replace("'", "''") + "'" for one in unique_ids)
    _slot(query, "$XDSDocumentEntryUniqueId", [f"({listed})"])
    return _bytes(envelope)


def _envelope(action: str, to: str, message_id: str) -> tuple[etree._Element, etree._Element]:
    envelope = etree.Element(_q(SOAP, "Envelope"), nsmap={"soap": SOAP, "wsa": WSA})
    header = etree.SubElement(envelope, _q(SOAP, "Header"))
    must = {_q(SOAP, "mustUnderstand"): "true"}
    etree.SubElement(header, _q(WSA, "Action"), must).text = action
    etree.SubElement(header, _q(WSA, "MessageID")).text = message_id
    reply = etree.SubElement(header, _q(WSA, "ReplyTo"))
    etree.SubElement(reply, _q(WSA, "Address")).text = ANONYMOUS
    etree.SubElement(header, _q(WSA, "To"), must).text = to
    return envelope, etree.SubElement(envelope, _q(SOAP, "Body"))


def _document_entry(objects: etree._Element, entry: Entry) -> None:
    one = etree.SubElement(
        objects, _q(RIM, "ExtrinsicObject"), id=entry.entry_uuid, mimeType=entry.mime_type, objectType=STABLE
    )
    for name, values in (
        ("creationTime", [entry.creation_time]),
        ("hash", [entry.hash]),
        ("languageCode", [entry.language]),
        ("serviceStartTime", [entry.service_start]),
        ("serviceStopTime", [entry.service_stop]),
        ("size", [str(entry.size)]),
        ("sourcePatientId", [entry.source_patient_id]),
        ("sourcePatientInfo", entry.patient_info),
        ("urn:ihe:iti:xds:2013:referenceIdList", entry.reference_ids),
    ):
        if any(values):
            _slot(one, name, values)
    _named(one, entry.title, entry.language)
    for author in entry.authors:
        _classified(one, entry.entry_uuid, ENTRY_AUTHOR, "", author, "", entry.language)
    for name, scheme in SCHEMES.items():
        code = entry.codes[name]
        _classified(
            one, entry.entry_uuid, scheme, code.code, {"codingScheme": [code.scheme]}, code.name, entry.language
        )
    for event in entry.events:
        slots = {"codingScheme": [event.scheme]}
        _classified(one, entry.entry_uuid, ENTRY_EVENT, event.code, slots, event.name, entry.language)
    _identified(one, entry.entry_uuid, ENTRY_PATIENT, "XDSDocumentEntry.patientId", entry.patient_id)
    _identified(one, entry.entry_uuid, ENTRY_UNIQUE, "XDSDocumentEntry.uniqueId", entry.unique_id)


def _submission_set(objects: etree._Element, entry: Entry) -> None:
    one = etree.SubElement(objects, _q(RIM, "RegistryPackage"), id=entry.set_uuid)
    _slot(one, "submissionTime", [entry.submission_time])
    for author in entry.authors:
        _classified(one, entry.set_uuid, SET_AUTHOR, "", author, "", entry.language)
    code = entry.content_type
    slots = {"codingScheme": [code.scheme]}
    _classified(one, entry.set_uuid, SET_CONTENT_TYPE, code.code, slots, code.name, entry.language)
    _identified(one, entry.set_uuid, SET_PATIENT, "XDSSubmissionSet.patientId", entry.patient_id)
    _identified(one, entry.set_uuid, SET_SOURCE, "XDSSubmissionSet.sourceId", entry.source_id)
    _identified(one, entry.set_uuid, SET_UNIQUE, "XDSSubmissionSet.uniqueId", entry.set_unique_id)
    etree.SubElement(
        objects,
        _q(RIM, "Classification"),
        id=_uuid(entry.set_uuid, SUBMISSION_SET),
        classifiedObject=entry.set_uuid,
        classificationNode=SUBMISSION_SET,
    )


def _association(objects: etree._Element, kind: str, source: str, target: str, slots: dict[str, list[str]]) -> None:
    one = etree.SubElement(
        objects,
        _q(RIM, "Association"),
        id=_uuid(source, kind + target),
        associationType=kind,
        sourceObject=source,
        targetObject=target,
    )
    for name, values in slots.items():
        _slot(one, name, values)


def _classified(
    parent: etree._Element, of: str, scheme: str, code: str, slots: dict[str, list[str]], name: str, language: str
) -> None:
    number = len(parent)  # several authors are several classifications
    one = etree.SubElement(
        parent,
        _q(RIM, "Classification"),
        id=_uuid(of, f"{scheme}{number}"),
        classificationScheme=scheme,
        classifiedObject=of,
        nodeRepresentation=code,
    )
    for slot, values in slots.items():
        _slot(one, slot, values)
    if name:
        _named(one, name, language)


def _identified(parent: etree._Element, of: str, scheme: str, name: str, value: str) -> None:
    one = etree.SubElement(
        parent,
        _q(RIM, "ExternalIdentifier"),
        id=_uuid(of, scheme),
        registryObject=of,
        identificationScheme=scheme,
        value=value,
    )
    _named(one, name, "")


def _slot(parent: etree._Element, name: str, values: Sequence[str]) -> None:
    one = etree.SubElement(parent, _q(RIM, "Slot"), name=name)
    listed = etree.SubElement(one, _q(RIM, "ValueList"))
    for value in values:
        etree.SubElement(listed, _q(RIM, "Value")).text = value


def _named(parent: etree._Element, text: str, language: str) -> None:
    name = etree.SubElement(parent, _q(RIM, "Name"))
    attributes = {_q(XML, "lang"): language} if language else {}
    etree.SubElement(name, _q(RIM, "LocalizedString"), attributes, value=text)


def _uuid(of: str, what: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, of + what)}"


def _q(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}"


def _bytes(envelope: etree._Element) -> bytes:
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


# --- hearing


class Fault(msgspec.Struct, frozen=True):
    """A SOAP fault: whose it is (`Sender`, `Receiver` …) and why."""

    code: str
    reason: str


class Said(msgspec.Struct, frozen=True):
    """One RegistryError."""

    code: str
    text: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.text else self.code


class Response(msgspec.Struct, frozen=True):
    """A RegistryResponse."""

    status: str
    errors: list[Said] = []


class Registered(msgspec.Struct, frozen=True):
    """What a registry says of one document."""

    unique_id: str
    hash: str
    size: str
    status: str


class Unreadable(Exception):
    """An answer that is none of those it may be."""


def read_answer(body: bytes) -> Response | Fault:
    """The answer to ITI-41. Raises Unreadable."""
    root = _body(body)
    if fault := _fault(root):
        return fault
    response = root.find(f".//{_q(RS, 'RegistryResponse')}")
    if response is None or response.get("status") is None:
        raise Unreadable("neither a RegistryResponse nor a fault")
    return Response(response.get("status", ""), _errors(response))


def read_documents(body: bytes) -> list[Registered]:
    """The document entries in the answer to ITI-18. Raises Unreadable, also for a fault or a failure."""
    root = _body(body)
    if fault := _fault(root):
        raise Unreadable(f"fault {fault.code}: {fault.reason}")
    response = root.find(f".//{_q(QUERY, 'AdhocQueryResponse')}")
    if response is None:
        raise Unreadable("no AdhocQueryResponse")
    if response.get("status") not in (SUCCESS, PARTIAL):
        raise Unreadable("; ".join(str(one) for one in _errors(response)) or "it failed without a reason")
    return [_registered(one) for one in response.iter(_q(RIM, "ExtrinsicObject"))]


def _registered(one: etree._Element) -> Registered:
    slots = {
        slot.get("name"): (slot.findtext(f"{_q(RIM, 'ValueList')}/{_q(RIM, 'Value')}") or "").strip()
        for slot in one.iterfind(_q(RIM, "Slot"))
    }
    unique = next(
        (
            identifier.get("value", "")
            for identifier in one.iterfind(_q(RIM, "ExternalIdentifier"))
            if identifier.get("identificationScheme") == ENTRY_UNIQUE
        ),
        "",
    )
    return Registered(unique, slots.get("hash", "").lower(), slots.get("size", ""), one.get("status", ""))


def _errors(response: etree._Element) -> list[Said]:
    return [
        Said(
            error.get("errorCode", "").rpartition(":")[2],
            _line(error.get("codeContext") or error.text or ""),
            error.get("severity") == WARNING,
        )
        for error in response.iter(_q(RS, "RegistryError"))
    ]


def _line(text: str) -> str:
    """What somebody else wrote, as one short line."""
    return _CONTROL.sub(" ", text).strip()[:LONGEST_REASON]


def _body(body: bytes) -> etree._Element:
    try:
        return parse(body, LARGEST_ANSWER)
    except UnsafeDocument as error:
        raise Unreadable(str(error)) from error


def _fault(root: etree._Element) -> Fault | None:
    """A fault of SOAP 1.2, or of 1.1 from a server that knows no better."""
    fault = root.find(f".//{_q(SOAP, 'Fault')}")
    if fault is not None:
        code = fault.findtext(f"{_q(SOAP, 'Code')}/{_q(SOAP, 'Value')}") or ""
        reason = fault.findtext(f"{_q(SOAP, 'Reason')}/{_q(SOAP, 'Text')}") or ""
        return Fault(code.rpartition(":")[2], _line(reason))
    old = root.find(".//{http://schemas.xmlsoap.org/soap/envelope/}Fault")
    if old is None:
        return None
    code = (old.findtext("faultcode") or "").rpartition(":")[2]
    return Fault({"Client": "Sender", "Server": "Receiver"}.get(code, code), _line(old.findtext("faultstring") or ""))
