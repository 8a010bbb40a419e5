"""`soap-poll`: a SOAP service that is asked for what is new (SOAP 1.1 and 1.2, WS-Security UsernameToken 1.1).

With a description (WSDL) the request is written by it. Where there is none that can be used, the envelope is a template:
the whole of it, as the vendor's manual shows it.
"""

import base64
import email.parser
import email.policy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lxml import etree
from zeep.wsse.username import UsernameToken

from connectors.fetching.answers import AnswerRefused, Found, Paths, Reader, safe_code
from connectors.fetching.calling import Answer, Caller, Request, place
from connectors.fetching.credentials import Credentials
from connectors.fetching.rest import judged
from connectors.fetching.rounds import Page, Question, RoundOptions, Rounds
from connectors.fetching.templates import as_it_is, check_template, filled, in_header, in_json, in_xml, new_uuid
from connectors.fetching.wsdl import Description, written
from frontend_agent.errors import ConfigurationError, SourceUnreachable
from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.xml import parse
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import xml_tree

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"


@dataclass(frozen=True, kw_only=True)
class SoapOptions:
    """What is sent: an operation of a description with its parameters, or an envelope. All templates."""

    url: str
    wsdl: str = ""  # address or file
    service: str = ""
    port: str = ""
    operation: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)  # `request.from`: within what `request` is
    wrap: str = "escaped"  # escaped | cdata | base64: how a parameter that is XML is carried
    envelope: str = ""
    action: str = ""  # SOAPAction, with an envelope
    version: str = "1.1"
    headers: Mapping[str, str] = field(default_factory=dict)
    token: UsernameToken | None = None


class SoapAsker:
    """Asks one SOAP service."""

    def __init__(
        self,
        options: SoapOptions,
        paths: Paths,
        rounds: RoundOptions,
        caller: Caller,
        wsdl_caller: Caller,
        credentials: Credentials,
        largest: int,
    ) -> None:
        self._options, self._inlet, self._largest = options, rounds.inlet, largest
        self._caller, self._wsdl_caller, self._credentials = caller, wsdl_caller, credentials
        self._reader = Reader(paths, largest)
        self._rounds = Rounds(rounds, self._ask)
        self._description: Description | None = None
        for where, template in self._templates():
            check_template(template, f"inlets.{self._inlet}.{where}")
        if options.envelope:
            self._checked_envelope()

    def pages(self, mark: str, now: datetime) -> Iterator[Page]:
        return self._rounds.pages(mark, now)

    def first(self, now: datetime) -> str:
        return self._rounds.first(now)

    def probe(self) -> None:
        """Read the description, put the first question of a round, and keep nothing of its answer."""
        self._description = None
        for _ in self._rounds.pages("", datetime.now(UTC)):
            return

    def close(self) -> None:
        self._caller.close()
        self._wsdl_caller.close()

    # -- one question

    def _ask(self, question: Question) -> Found:
        values = {**question.values, **self._credentials.names(), "uuid": new_uuid()}
        request = self._from_template(values) if self._options.envelope else self._from_description(values)
        answer = self._caller.ask(self._credentials.shown(request))
        return self._reader.found(payload_of(answer, self._inlet, self._largest))

    def _from_description(self, values: Mapping[str, str]) -> Request:
        options = self._options
        if self._description is None:
            self._description = Description(
                self._inlet, options.wsdl, self._show(self._wsdl_caller), options.service, options.port
            )
        post = self._description.post(options.operation, self._parameters(values))
        envelope, headers = post.envelope, dict(post.headers)
        if options.token is not None:
            envelope, headers = options.token.apply(envelope, headers)
        body = written(envelope, options.wrap == "cdata")
        return Request("POST", options.url, {**headers, **self._own_headers(values)}, body)

    def _show(self, caller: Caller) -> Any:
        """Asks for the description as we ask the service: some show it to nobody else."""
        return lambda request: caller.ask(self._credentials.shown(request))

    def _from_template(self, values: Mapping[str, str]) -> Request:
        options = self._options
        body = filled(options.envelope, values, in_xml).encode()
        if options.token is not None:
            envelope, _ = options.token.apply(parse(body), {})
            body = written(envelope, options.wrap == "cdata")
        if options.version == "1.2":
            action = f'; action="{options.action}"' if options.action else ""
            headers = {"Content-Type": f"application/soap+xml; charset=utf-8{action}"}
        else:
            headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{options.action}"'}
        return Request("POST", options.url, {**headers, **self._own_headers(values)}, body)

    def _parameters(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The parameters of the operation: `a.b` stands within `a`."""
        found: dict[str, Any] = {}
        for name, template in self._options.parameters.items():
            *outer, last = name.split(".")
            at = found
            for part in outer:
                at = at.setdefault(part, {})
            at[last] = self._parameter(template, values)
        return found

    def _parameter(self, template: str, values: Mapping[str, str]) -> str:
        begins = template.lstrip()[:1]
        text = filled(template, values, in_xml if begins == "<" else in_json if begins in ("{", "[") else as_it_is)
        is_inner = begins in ("<", "{", "[")
        return base64.b64encode(text.encode()).decode() if is_inner and self._options.wrap == "base64" else text

    def _own_headers(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: in_header(filled(value, values)) for name, value in self._options.headers.items()}

    # -- what a person wrote

    def _templates(self) -> list[tuple[str, str]]:
        options = self._options
        return [
            ("envelope", options.envelope),
            *((f"parameters.{name}", text) for name, text in options.parameters.items()),
            *((f"headers.{name}", text) for name, text in options.headers.items()),
        ]

    def _checked_envelope(self) -> None:
        try:
            root = parse(self._options.envelope.encode())
        except UnsafeDocument as error:
            raise ConfigurationError(f"inlets.{self._inlet}.envelope: {error}") from None
        wanted = SOAP_12 if self._options.version == "1.2" else SOAP_11
        if etree.QName(root).namespace != wanted:
            raise ConfigurationError(
                f"inlets.{self._inlet}.envelope: not an envelope of SOAP {self._options.version} ({wanted})"
            )


def payload_of(answer: Answer, inlet: str, largest: int) -> bytes:
    """What stands in the Body of an answer's envelope. AnswerRefused for a Fault, whatever the status says."""
    content = _root_part(answer)
    try:
        root = xml_tree(content, largest)
        name = etree.QName(root)
    except Unreadable:
        judged(answer, inlet)
        raise SourceUnreachable(f"inlet {inlet}: {place(answer.url)} does not answer with XML") from None
    if name.localname != "Envelope" or name.namespace not in (SOAP_11, SOAP_12):
        judged(answer, inlet)
        raise SourceUnreachable(f"inlet {inlet}: {place(answer.url)} does not answer with a SOAP envelope")
    body = root.find(f"{{{name.namespace}}}Body")
    inner = next((child for child in body if isinstance(child.tag, str)), None) if body is not None else None
    if inner is not None and etree.QName(inner).localname == "Fault":
        raise AnswerRefused(f"inlet {inlet}: a SOAP fault{safe_code(_fault_code(inner))}")
    judged(answer, inlet)
    if inner is None:
        return b""
    payload: bytes = etree.tostring(inner, encoding="utf-8", with_tail=False)
    return payload


def _fault_code(fault: etree._Element) -> str:
    """faultcode (SOAP 1.1, 4.4), or Code/Subcode/Value (SOAP 1.2, 5.4.1)."""
    codes = [(element.text or "").strip() for element in fault.iter("faultcode", f"{{{SOAP_12}}}Value")]
    return codes[-1].rpartition(":")[2] if codes else ""


def _root_part(answer: Answer) -> bytes:
    """The envelope: the answer, or its root part where it came as MTOM or with attachments (SOAP 1.1 Attachments)."""
    kind = answer.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/related"):
        return answer.body
    head = b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n"
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.body)
    parts = [part for part in message.walk() if not part.is_multipart()]
    start = message.get_param("start")
    root = next((part for part in parts if start and part["Content-ID"] == start), parts[0] if parts else None)
    content = root.get_payload(decode=True) if root is not None else b""
    return content if isinstance(content, bytes) else b""
