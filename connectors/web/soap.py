"""SOAP as an inlet: reads one message out of an envelope, and answers in the sender's own protocol. No I/O.

    wrapped     <operation><action/><message/><token/></operation>      HIPMessageServer and its variants, services of one string
    document    the element in the body is the message                  interactions and documents as they are

The message is text (CDATA or escaped, which is the same), base64, or XML that was put there unescaped. What the answer is, `answer`
says: `mcci` (MCCI_IN000002UV01), or a text with places.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Literal

from lxml import etree

from connectors.arrivals import Arrived
from connectors.web.answering import filled
from connectors.web.credentials import Anybody, Credentials, is_one_of
from connectors.web.envelope import WSSE, Envelope, Fault, NotSoap, enveloped, faulted, media_type, name_of, opened
from connectors.web.exchange import RETRY_AFTER, Ending, Head, Offered, Request, Response, plain
from connectors.web.national import Frame, acknowledgement, asks, frame_of, is_interaction
from connectors.web.paths import first_text
from connectors.web.texts import as_utf_8, xml_of, xml_text
from connectors.web.username_token import NotKnown, UsernameToken
from connectors.web.wsdl import wsdl
from frontend_agent.reading import Unreadable
from frontend_agent.reading.trees import json_tree

MCCI = "mcci"
MEDIA_TYPES = ("text/xml", "application/soap+xml", "application/xml")
LONGEST_ID = 200  # characters of a control id
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")


@dataclass(frozen=True, kw_only=True)
class SoapOptions:
    """How a sender speaks. The ready-made ones are in `dialects`."""

    largest: int = 16 * 1024 * 1024
    versions: tuple[str, ...] = ("1.1", "1.2")
    service: str = "HIPService"  # its name in the WSDL
    namespace: str = "urn:hl7-org:v3"  # of the WSDL; answers take the sender's
    operations: tuple[str, ...] = ("HIPMessageServer",)  # none: any
    action_parameter: str = "action"  # empty: the message's root says what it is
    message_parameter: str = "message"  # empty: the only one there is
    token_parameter: str = ""  # its value must be a secret of ours
    result: str = "{operation}Result"
    qualified: bool = True  # parameters and result are in the namespace
    document: bool = False  # the body's element is the message
    content: Literal["text", "base64"] = "text"
    format: Literal["xml", "json", "any"] = "xml"
    ids: tuple[str, ...] = ()  # paths of the message's id; none: the national frame's, if it has one
    sources: tuple[str, ...] = ()  # paths of who sends, where ids are unique for each sender only
    actions: tuple[str, ...] = ()  # that are taken; none: all that do not ask for data
    answer: str = MCCI
    codes: tuple[str, str] = ("0", "-1")  # $code of a template: accepted, refused
    accepted: str = "成功"  # $text of a template where there is no reason
    fault_status: int = 400  # of a fault that is the sender's own
    address: str = ""  # in the WSDL; empty: as the sender calls us
    secrets: tuple[str, ...] = field(default=(), repr=False)  # of token_parameter


@dataclass(frozen=True)
class _Call:
    envelope: Envelope
    namespace: str
    operation: str
    action: str
    message: bytes = field(repr=False)


class SoapService:
    """A SOAP service at a path."""

    def __init__(
        self,
        name: str,
        options: SoapOptions,
        zone: tzinfo,
        credentials: Credentials | None = None,
        user: UsernameToken | None = None,
    ) -> None:
        self.name, self.largest = name, options.largest
        self._options, self._zone, self._credentials, self._user = options, zone, credentials or Anybody(), user
        reader = "json" if options.format == "json" else "xml"
        self._ids, self._sources = first_text(reader, options.ids), first_text(reader, options.sources)

    # -- before the body

    def admit(self, head: Head) -> Response | None:
        if head.method == "GET" and head.query.lower().startswith("wsdl"):
            return None
        if head.method != "POST":
            return plain(405, "SOAP is POSTed; the description is at ?wsdl", (("Allow", "POST, GET"),))
        if self._credentials.before(head):
            challenge = self._credentials.challenge
            return plain(401, "not allowed", (("WWW-Authenticate", challenge),) if challenge else ())
        if head.media_type not in MEDIA_TYPES:
            return plain(415, f"one of {', '.join(MEDIA_TYPES)}; attachments (MTOM) are not taken")
        return None

    # -- the whole request

    def read(self, request: Request) -> Response | Offered:
        head = request.head
        if head.method == "GET":
            return self._wsdl(head)
        version = self._version(head)
        try:
            root = xml_of(request.body, head.charset, self.largest)
            envelope = opened(root, (WSSE,) if self._user else (), self._options.versions)
        except Unreadable as error:
            return self._broken(request, str(error), version)
        except NotSoap as error:
            if error.fault is Fault.SENDER:
                return self._broken(request, str(error), error.version or version)
            return self._fault(str(error), error.version or version, error.fault)
        try:
            if self._user is not None:
                self._user.check(envelope.headers)
            return self._offered(self._call(envelope), head)
        except NotKnown as error:
            refusal = faulted(
                "not allowed", Fault.SENDER, envelope.version, self._options.fault_status, "FailedAuthentication"
            )
            return Response(refusal.status, refusal.body, refusal.media_type, why=str(error))
        except NotSoap as error:
            return self._fault(str(error), envelope.version, error.fault)

    def _call(self, envelope: Envelope) -> _Call:
        options = self._options
        namespace, operation = name_of(envelope.payload)
        if options.document:
            return _Call(
                envelope,
                namespace,
                operation,
                operation,
                etree.tostring(envelope.payload, encoding="UTF-8", with_tail=False),
            )
        if options.operations and operation not in options.operations:
            raise NotSoap(f"there is no such operation; there is {', '.join(options.operations)}")
        parameters = {name_of(one)[1]: one for one in envelope.payload}
        if options.token_parameter:
            self._check_token(parameters.get(options.token_parameter))
        if options.message_parameter:
            message = parameters.get(options.message_parameter)
        else:
            named = (options.action_parameter, options.token_parameter)
            others = [one for name, one in parameters.items() if name not in named]
            message = others[0] if len(others) == 1 else None
        if message is None:
            raise NotSoap(f"there is no parameter {options.message_parameter or 'that is the only one'}")
        action = parameters.get(options.action_parameter) if options.action_parameter else None
        said = (action.text or "").strip() if action is not None else ""
        return _Call(envelope, namespace, operation, said[:LONGEST_ID], self._message(message))

    def _check_token(self, element: Any) -> None:
        said = (element.text or "").strip() if element is not None else ""
        if not is_one_of(said, self._options.secrets):
            raise NotKnown("the token is not known")

    def _message(self, element: Any) -> bytes:
        text = element.text or ""
        if len(element):
            if len(element) > 1 or text.strip():
                raise NotSoap("the message is neither a text nor one element")
            return etree.tostring(element[0], encoding="UTF-8", with_tail=False)
        if not text.strip():
            raise NotSoap("the message is empty")
        if self._options.content == "base64":
            try:
                return base64.b64decode("".join(text.split()), validate=True)
            except (binascii.Error, ValueError):
                raise NotSoap("the message is not base64") from None
        return as_utf_8(text if self._options.format == "any" else text.strip())

    def _offered(self, call: _Call, head: Head) -> Offered:
        frame, id, reasons = Frame(), "", self._unwanted(call.action)
        tree: Any = None
        if self._options.format != "any":
            try:
                tree = self._tree(call.message)
            except Unreadable as error:
                reasons.append(str(error))
        if tree is not None:
            if self._options.format == "xml" and is_interaction(name_of(tree)[1]):
                frame = frame_of(tree)
            id, source = (self._ids(tree), self._sources(tree)) if self._options.ids else (frame.id, frame.sender)
            id = f"{source}|{id}" if id and source else id
        if len(id) > LONGEST_ID:
            reasons.append(f"an id of more than {LONGEST_ID} characters")
            id = ""
        about = call.action or frame.interaction or call.operation
        arrived = Arrived(self.name, call.message, head.at, id, head.sender, about, unreadable=tuple(reasons))
        shown = id.rpartition("|")[2]
        return Offered(arrived, lambda ending: self._answer(call, frame, shown, ending, head.at))

    def _unwanted(self, action: str) -> list[str]:
        """Why an action is not taken: it is refused with its reason, and kept for a person to see."""
        if self._options.actions:
            return [] if action in self._options.actions else ["this action is not taken here"]
        return ["this action asks for data: nothing is told here"] if asks(action) else []

    def _tree(self, message: bytes) -> Any:
        return xml_of(message, "", self.largest) if self._options.format == "xml" else json_tree(message)

    # -- answers

    def _answer(self, call: _Call, frame: Frame, id: str, ending: Ending, at: datetime) -> Response:
        local, options = at.astimezone(self._zone), self._options
        if options.answer == MCCI:
            said = acknowledgement(frame, ending.told, ending.is_accepted, local)
        else:
            said = filled(options.answer, ending, options.codes, options.accepted, local, id, call.action)
        content = said if options.document else self._wrapped(call, said)
        body = enveloped(content, call.envelope.version, call.envelope, f"{call.namespace}:{call.operation}Response")
        shown = media_type(call.envelope.version)
        if ending.is_transient:
            return Response(503, body, shown, (("Retry-After", RETRY_AFTER),), ending.fate)
        return Response(200, body, shown)

    def _wrapped(self, call: _Call, said: str) -> str:
        """Named as the sender names things: what it cannot find in its own namespace, its stub reads as nothing."""
        result = self._options.result.format(operation=call.operation)
        space = f' xmlns:m="{xml_text(call.namespace)}"' if call.namespace else ""
        outer = "m:" if call.namespace else ""
        inner = outer if self._options.qualified else ""
        return (
            f"<{outer}{call.operation}Response{space}><{inner}{result}>{xml_text(said)}</{inner}{result}>"
            f"</{outer}{call.operation}Response>"
        )

    def _broken(self, request: Request, why: str, version: str) -> Response | Offered:
        """What is no envelope at all. It is kept for a person only where whoever sent it is known without looking into it."""
        if self._user is not None or self._options.token_parameter or self._credentials.after(request):
            return self._fault(why, version)
        head = request.head
        arrived = Arrived(self.name, request.body, head.at, "", head.sender, "no envelope", unreadable=(why,))

        def answer(ending: Ending) -> Response:
            fault = Fault.RECEIVER if ending.is_transient else Fault.SENDER
            return self._fault("; ".join(ending.told), version, fault)

        return Offered(arrived, answer)

    def _fault(self, text: str, version: str, fault: Fault = Fault.SENDER) -> Response:
        version = version if version in self._options.versions else self._options.versions[0]
        return faulted(text, fault, version, self._options.fault_status)

    def _version(self, head: Head) -> str:
        return "1.2" if head.media_type == "application/soap+xml" else "1.1"

    # -- description

    def _wsdl(self, head: Head) -> Response:
        options = self._options
        if options.document or not options.operations:
            return plain(404, "there is no WSDL: any operation, or any document, is taken")
        parameters = [
            one
            for one in (options.action_parameter, options.message_parameter or "message", options.token_parameter)
            if one
        ]
        operations = [(one, parameters, options.result.format(operation=one)) for one in options.operations]
        address = options.address
        if not address:
            host = head.headers.get("host", "")
            if not _HOST.fullmatch(host):
                return plain(400, "no host by which we are called")
            address = f"{'https' if head.secure else 'http'}://{host}{head.path}"
        found = wsdl(options.service, options.namespace, operations, address, options.versions, options.qualified)
        return Response(200, found, "text/xml; charset=utf-8")
