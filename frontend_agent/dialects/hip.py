"""Requests of the national services as a region's `HIPMessageServer` wants them, and what its answers mean (exchange.md §1–4).

A registration or a business message goes as it is (its kind is the request). Any other document is wrapped into a
DocumentRegister (RCMR_IN000002UV02), made from the record read back from it. What one region wants otherwise than another
is a setting: see `HipOutlet`. The same document gives the same request however often it is sent, with the same message id.

    Messages.request(opened)      action, message id and message; NotSaid where the dialect has no word for it
    Messages.question(opened)     DocumentRetrieve or DocumentAccess: is it there, and with these bytes?
    Messages.envelope(...)        the SOAP request around a message
    Messages.answered(...)        what an answer means, by patterns over what stands inside it
    Messages.told(...)            what the answer to a question says of a document
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lxml import etree

from frontend_agent.answers import HL7_V3, Answered, compile_patterns, short
from frontend_agent.dialects.values import NotSaid
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.errors import FormatError, NotOurs, UnsafeDocument
from frontend_agent.formats.headline import headline
from frontend_agent.formats.kind import Kind
from frontend_agent.formats.library import message_codes
from frontend_agent.formats.render import escape
from frontend_agent.formats.tables import table
from frontend_agent.formats.xml import parse
from frontend_agent.model import Document, Envelope, Outcome

if TYPE_CHECKING:
    from frontend_agent.config_outlets import HipOutlet

REGISTER, ACCESS, RETRIEVE = "H0601", "H0602", "H0603"
SOAP = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
V3 = "{urn:hl7-org:v3}"
TRAP = 32_767  # characters that the national table declares for storageCode
LARGEST_ANSWER = 16 << 20
_PROLOG = re.compile(r"\A\s*<\?xml[^>]*\?>\s*")
_STORAGE = re.compile(rb"<storageCode>.*?</storageCode>", re.DOTALL)
QUESTIONS = {ACCESS: ("DocumentAccess", "RCMR_IN000029UV01"), RETRIEVE: ("DocumentRetrieve", "RCMR_IN000031UV01")}


class Opened(Protocol):
    """One document with its bytes and the record in them."""

    @property
    def document(self) -> Document: ...
    @property
    def content(self) -> bytes: ...
    @property
    def record(self) -> Mapping[str, Any]: ...
    @property
    def kind_name(self) -> str: ...
    @property
    def event_time(self) -> str: ...


class Request(NamedTuple):
    """One request before it is put into an envelope."""

    action: str
    id: str  # the message's own, which its answer names
    message: str
    beside: str = ""  # the document, where it has a parameter of its own


class Told(NamedTuple):
    """What a region says of a document when it is asked."""

    stored: bool
    reason: str = ""
    again: bool = False
    how: str = ""


class Messages:
    """What one destination is sent, and what it answers. `kind`: the kinds in force."""

    def __init__(
        self,
        options: "HipOutlet",
        kind: Callable[[str], Kind],
        institution_name: str = "",
        patient_of: Callable[[str], str] = lambda document_id: "",
    ) -> None:
        self._options = options
        self._kind = kind
        self._institution_name = institution_name
        self._patient_of = patient_of
        self._services = {row["kind"]: row for row in table("interactions.csv")}
        self._formats = {
            name: wanted
            for name, wanted in (("date", options.date_format), ("datetime", options.datetime_format))
            if wanted
        }
        self._patterns = compile_patterns(options.answer, HL7_V3)
        self._names = _service_names(self._services)
        self._known_actions()

    # --- requests

    def request(self, opened: Opened) -> Request:
        """The request for a document. NotSaid: the dialect has no word for it, or it is larger than it may be."""
        document = opened.document
        if document.void and self._options.voids == "refuse":
            raise NotSaid(
                "a withdrawal: the national services have none. Withdraw it by the platform's own way, or set "
                'voids = "update" where the platform takes it as a version like any other'
            )
        if document.kind in message_codes():
            return self._message(opened)
        return self._register(opened)

    def _message(self, opened: Opened) -> Request:
        kind, document = self._kind(opened.document.kind), opened.document
        service = self._services[document.kind]
        later = document.version > 1 and bool(service["later"])
        added = {f"{who}.id": said for who, said in self._systems() if said}
        content = opened.content
        if added or self._formats:
            content = self._rendered(kind, {**opened.record, **added}, _envelope_of(opened))
        return Request(
            self.action(service["later"] if later else document.kind), document.document_id, self._text(content)
        )

    def _register(self, opened: Opened) -> Request:
        document, record, options = opened.document, opened.record, self._options
        stored = base64.b64encode(opened.content).decode()
        if options.largest and options.carry == "base64" and len(stored) > options.largest:
            raise NotSaid(
                f"{len(stored):,} characters of base64 are more than the {options.largest:,} that this platform takes "
                "(largest); nothing is cut off. Ask its operator for more"
            )
        said = {name: record[name] for name in REGISTERED if record.get(name)}
        local = self.patient_id(opened)
        made_at = _made_at(opened)
        said |= {
            "document.id": document.set_id if options.identity == "set" else document.document_id,
            "document.kind": options.document_codes.get(document.kind, document.kind),
            "document.kind_name": opened.kind_name,
            "document.made_at": made_at,
            "document.confidentiality": options.confidentiality,
            "document.version": str(document.version),
            "content.data": stored,
            "institution.id": record.get("institution.id") or document.institution,
        }
        said |= {"patient.local_id": local} if local else {}
        said |= {"encounter.time": opened.event_time.ljust(14, "0")} if opened.event_time else {}
        if "institution.name" not in said and self._institution_name:
            said["institution.name"] = self._institution_name
        said |= {f"{who}.id": name for who, name in self._systems() if name}
        envelope = Envelope(document.document_id, document.set_id, document.version, made_at)
        message = self._rendered(self._kind(REGISTER), said, envelope)
        action = self.action(REGISTER)
        if options.carry == "base64":
            return Request(action, document.document_id, self._text(message))
        plain = _plain(opened.content)
        if options.carry == "bare":
            return Request(action, document.document_id, plain)
        if options.carry == "beside":
            return Request(action, document.document_id, self._text(_STORAGE.sub(b"", message, count=1)), plain)
        inside = f"<storageCode><originalText>{plain}</originalText></storageCode>".encode()
        return Request(action, document.document_id, self._text(_STORAGE.sub(lambda _: inside, message, count=1)))

    def patient_id(self, opened: Opened) -> str:
        """The hospital's own number of the patient: the one he is registered by, else the first of the settings' fields."""
        said = (str(opened.record.get(name, "")) for name in self._options.patient_id)
        return self._patient_of(opened.document.document_id) or next(filter(None, said), "")

    def _systems(self) -> Iterator[tuple[str, str]]:
        yield "sender", self._options.sender
        yield "receiver", self._options.receiver

    def _rendered(self, kind: Kind, record: Mapping[str, Any], envelope: Envelope) -> bytes:
        try:
            # Values that a document may lack lawfully are left out here too: whether they may be missing was judged before.
            absences = dict.fromkeys((one.name for one in kind.fields), "omit")
            return kind.renderer(absences, self._formats)(dict(record), envelope)
        except FormatError as error:
            raise NotSaid(f"no {kind.name_zh} can be made of it: {error}") from error

    def _text(self, message: bytes) -> str:
        text = message.decode()
        if self._options.processing != "P":
            text = text.replace('<processingCode code="P"/>', f'<processingCode code="{self._options.processing}"/>', 1)
        return text

    # --- actions

    def action(self, service: str) -> str:
        """What the region calls a service. NotSaid where its dialect has no name for it and the settings give none."""
        said = self._options.actions.get(service) or self._names[self._options.dialect].get(service, "")
        if not said:
            raise NotSaid(
                f"dialect {self._options.dialect} has no name for service {service}; the platform's operator knows it: "
                f'actions = {{ {service} = "…" }}'
            )
        return self._options.prefix + said

    def _known_actions(self) -> None:
        known = set(self._names["B"])
        if unknown := sorted(set(self._options.actions) - known):
            raise ConfigurationError(
                f"actions: {', '.join(unknown)} is no service that is used here (known: {', '.join(sorted(known))})"
            )

    # --- questions

    def question(self, opened: Opened) -> Request:
        """Is it there? By its content (`retrieve`), or by its name in a list (`access`)."""
        if opened.document.kind in message_codes():
            raise NotSaid("a registration or a business message is no document that could be asked for")
        service = RETRIEVE if self._options.confirm == "retrieve" else ACCESS
        document, record = opened.document, opened.record
        code = self._options.document_codes.get(document.kind, document.kind)
        asked = f"{document.document_id}-Q"
        root = QUESTIONS[service][1]
        local = self.patient_id(opened)
        parts = [
            '<queryId root="2.16.156.10011.2.5.1.1" extension=' + _quoted(asked) + "/>",
            f"<clinicalDocument.code><value code={_quoted(code)}"
            f' codeSystem="2.16.156.10011.2.5.1.23"><displayName value={_quoted(opened.kind_name)}/></value></clinicalDocument.code>',
        ]
        if service == RETRIEVE:
            name = document.set_id if self._options.identity == "set" else document.document_id
            parts.append(f"<clinicalDocument.id><value extension={_quoted(name)}/></clinicalDocument.id>")
        visits = [
            f"<item root={_quoted(oid)} extension={_quoted(str(record[field]))}/>"
            for field, oid in (("patient.inpatient_number", "2.16.156.10011.1.12"), ("patient.outpatient_number", "2.16.156.10011.1.11"))
            if record.get(field)
        ]  # fmt: skip
        if visits:
            parts.append(f"<encompassingEncounter.id><value>{''.join(visits)}</value></encompassingEncounter.id>")
        patients = [
            f"<item root={_quoted(oid)} extension={_quoted(value)}/>"
            for value, oid in ((local, "2.16.156.10011.2.5.1.4"), (str(record.get("patient.id_number", "")), "2.16.156.10011.1.3"))
            if value
        ]  # fmt: skip
        if patients:
            parts.append(f"<patient.id><value>{''.join(patients)}</value></patient.id>")
        systems = "".join(
            f'<{who} typeCode="{code}"><device classCode="DEV" determinerCode="INSTANCE"><id><item '
            f'root="2.16.156.10011.2.5.1.3" extension={_quoted(said)}/></id></device></{who}>'
            for who, code, said in (
                ("receiver", "RCV", self._options.receiver),
                ("sender", "SND", self._options.sender),
            )
            if said
        )
        message = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="urn:hl7-org:v3" ITSVersion="XML_1.0">'
            f'<id root="2.16.156.10011.2.5.1.1" extension={_quoted(asked)}/><creationTime value="{_made_at(opened)}"/>'
            f'<interactionId root="2.16.156.10011.2.5.1.2" extension="{root}"/><processingCode code="{self._options.processing}"/>'
            f'<processingModeCode code="T"/><acceptAckCode code="AL"/>{systems}<controlActProcess classCode="CACT" moodCode="RQO">'
            f"<queryByParameter>{''.join(parts)}</queryByParameter></controlActProcess></{root}>"
        )
        return Request(self.action(service), asked, message)

    def told(self, opened: Opened, status: int, body: bytes, charset: str) -> Told | None:
        """What the answer to a question says of the document; None: nothing that could be relied on."""
        inner, _ = self._inner(status, body, charset)
        if self._patterns.read(status, inner).outcome is not Outcome.ACCEPTED:
            return None
        try:
            tree = parse(inner, LARGEST_ANSWER)
        except UnsafeDocument:
            return None
        document = opened.document
        wanted = document.set_id if self._options.identity == "set" else document.document_id
        found = [one for one in tree.iter(f"{V3}clinicalDocument") if wanted in _extensions(one)]
        texts = (text.get("value") or "" for one in found for text in one.iter(f"{V3}originalText"))
        hashes = {hashlib.sha256(content).hexdigest() for text in texts if (content := _decoded(text))}
        if document.sha256 in hashes:
            return Told(True, how="the same SHA-256")
        names_versions = self._options.identity == "version"  # by the name of a set any of its versions may be meant
        if hashes:
            if not names_versions:
                return None
            return Told(False, "the platform gives back other bytes than were sent", how="another SHA-256")
        if found and names_versions and self._options.confirm == "access":
            return Told(True, how="listed; its content was not looked at")
        if found:
            return None
        total = next((one.get("value") for one in tree.iter(f"{V3}resultTotalQuantity")), None)
        if total == "0":
            return Told(False, "the platform does not have it", again=True, how="not found")
        return None

    # --- envelopes

    def envelope(self, request: Request, secret: str, now: datetime, nonce: bytes) -> bytes:
        """The SOAP request. `secret`: the token or password; `nonce`: random bytes for a password digest."""
        options = self._options
        message = self._private(request, now)
        values = {0: escape(request.action), 1: self._wrapped(message)}
        prefix = "h:" if options.qualified else ""
        parts = [f"<{prefix}{name}>{values[at]}</{prefix}{name}>" for at, name in enumerate(options.parameters)]
        if options.carry == "beside" and request.beside:
            name = options.document_parameter
            parts.append(f"<{prefix}{name}>{self._wrapped(request.beside)}</{prefix}{name}>")
        if options.token_parameter:
            name = options.token_parameter
            parts.append(f"<{prefix}{name}>{escape(secret)}</{prefix}{name}>")
        header = f"<s:Header>{self._security(secret, now, nonce)}</s:Header>" if options.username else ""
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope xmlns:s="{SOAP[options.soap]}">{header}<s:Body>'
            f"<h:{options.operation} xmlns:h={_quoted(options.namespace)}>{''.join(parts)}</h:{options.operation}>"
            "</s:Body></s:Envelope>"
        )
        return text.encode()

    def _private(self, request: Request, now: datetime) -> str:
        """The message, or the region's own envelope around it."""
        if not self._options.envelope:
            return request.message
        plain = _PROLOG.sub("", request.message)
        values = {
            "message": plain, "cdata": _cdata(plain), "escaped": escape(plain), "id": escape(request.id),
            "action": escape(request.action), "sender": escape(self._options.sender),
            "receiver": escape(self._options.receiver), "time": f"{now:%Y%m%d%H%M%S}",
        }  # fmt: skip
        return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), self._options.envelope)

    def _wrapped(self, text: str) -> str:
        return _cdata(text) if self._options.wrap == "cdata" else escape(text)

    def _security(self, secret: str, now: datetime, nonce: bytes) -> str:
        """WS-Security UsernameToken profile 1.0: the password, or SHA-1 of nonce, time and password."""
        created = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        if self._options.digest:
            digest = hashlib.sha1(nonce + created.encode() + secret.encode(), usedforsecurity=False).digest()
            password = (
                f'<w:Password Type="{PROFILE}#PasswordDigest">{base64.b64encode(digest).decode()}</w:Password>'
                f"<w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce><u:Created>{created}</u:Created>"
            )
        else:
            password = f'<w:Password Type="{PROFILE}#PasswordText">{escape(secret)}</w:Password>'
        return (
            f'<w:Security xmlns:w="{SECURITY}" xmlns:u="{UTILITY}" s:mustUnderstand="1"><w:UsernameToken>'
            f"<w:Username>{escape(self._options.username)}</w:Username>{password}</w:UsernameToken></w:Security>"
        )

    # --- answers

    def answered(self, request: Request, status: int, body: bytes, charset: str) -> Answered:
        """What an answer means. Outcome None: nothing in it that says so."""
        inner, fault = self._inner(status, body, charset)
        said = self._patterns.read(status, inner)
        if (
            said.outcome is Outcome.ACCEPTED
            and self._options.match_target
            and (other := _answers_another(inner, request.id))
        ):
            return Answered(None, (other,))
        if said.outcome is None and fault:
            return Answered(None, (f"SOAP fault: {short(fault)}",))
        return said

    def is_fault(self, status: int, body: bytes, charset: str) -> str:
        """The sentence of a SOAP fault; empty where the answer is none."""
        return self._inner(status, body, charset)[1]

    def _inner(self, status: int, body: bytes, charset: str) -> tuple[bytes, str]:
        """What stands inside the envelope: the text of the result, or the answer itself; and a fault's sentence."""
        try:
            root = parse(body, LARGEST_ANSWER)
        except UnsafeDocument:
            return body, ""
        if etree.QName(root).localname != "Envelope":
            return body, ""
        held = next((one for one in root if etree.QName(one).localname == "Body"), None)
        first = next(iter(held), None) if held is not None else None
        if first is None:
            return b"", ""
        if etree.QName(first).localname == "Fault":
            texts = [str(text).strip() for text in first.itertext() if str(text).strip()]
            return "\n".join(texts).encode(), " · ".join(texts) or "no reason given"
        result = first
        while (len(result) == 1 and etree.QName(result).namespace != "urn:hl7-org:v3") or (
            len(result) == 1 and _is_wrapper(result)
        ):
            result = result[0]
        if len(result):
            return etree.tostring(result), ""
        # What stands in a text is in the envelope's characters, whatever its own declaration says (often GBK).
        return _PROLOG.sub("", result.text or "").strip().encode(), ""


# What of a record a DocumentRegister says as it is.
REGISTERED = (
    "patient.inpatient_number",
    "patient.outpatient_number",
    "patient.id_number",
    "patient.name",
    "institution.name",
    "encounter.department_id",
    "author.id",
    "author.name",
)


def _quoted(text: str) -> str:
    """A value as an attribute holds it, with its quotes."""
    return f'"{escape(text)}"'


def _service_names(services: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Dialect -> service number -> action."""
    names: dict[str, dict[str, str]] = {"A": {}, "B": {}}
    for number, row in services.items():
        for dialect, column in (("A", "action_a"), ("B", "action_b")):
            names[dialect][number] = row[column]
            if row["later"]:
                names[dialect][row["later"]] = row[f"later_{column}"]
    names["B"] |= {number: action for number, (action, _) in QUESTIONS.items()}
    return names


def _is_wrapper(element: etree._Element) -> bool:
    """`…Response` and `…Result` around the answer, which itself is an interaction: MCCI_IN000002UV01."""
    return not re.fullmatch(r"[A-Z]{4}_IN\d{6}[A-Z]{2}\d*", etree.QName(element).localname)


def _answers_another(inner: bytes, message_id: str) -> str:
    """Why an acknowledgement is not ours: it names another message. Empty: it names ours, or none."""
    try:
        root = parse(inner, LARGEST_ANSWER)
    except UnsafeDocument:
        return ""
    named = {
        one.get("extension", "")
        for target in root.iter("{*}targetMessage")
        for one in target.iter("{*}id", "{*}item")
        if one.get("extension")
    }
    return "" if not named or message_id in named else "the answer acknowledges another message than ours"


def _envelope_of(opened: Opened) -> Envelope:
    """What the agent said in a message when it was made: told again in the same words."""
    said = opened.document
    return Envelope(said.document_id, said.set_id, said.version, _made_at(opened), said.replaces_id)


def _made_at(opened: Opened) -> str:
    """When the document was made: as it says itself, else as we kept it, 14 digits."""
    try:
        return headline(opened.content).effective_time
    except NotOurs:
        return re.sub(r"\D", "", opened.document.made_at)[:14].ljust(14, "0")


def _plain(content: bytes) -> str:
    """A document's XML as text, without its declaration."""
    try:
        return etree.tostring(parse(content), encoding="unicode")
    except UnsafeDocument as error:
        raise NotSaid(f"it cannot stand in a message: {error}") from error


def _cdata(text: str) -> str:
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def _extensions(document: etree._Element) -> set[str]:
    own = document.find(f"{V3}id")
    return {one.get("extension") or "" for one in own.iter()} if own is not None else set()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
