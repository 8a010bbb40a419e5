"""SOAP 1.1 and 1.2 envelopes without I/O: read into the one thing in their body, written around an answer, and their faults.

SOAP 1.1 (W3C Note 2000) §4, §6.2        text/xml, faults Client, Server, MustUnderstand, VersionMismatch
SOAP 1.2 part 1 §5, part 2 §7            application/soap+xml, faults Sender, Receiver, MustUnderstand, VersionMismatch
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

from connectors.web.exchange import RETRY_AFTER, Response
from connectors.web.texts import xml_text

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
ADDRESSING = ("http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/ws/2004/08/addressing")
_VERSIONS = {SOAP_11: "1.1", SOAP_12: "1.2"}
_LONGEST = 1_000  # characters of a fault's text


class Fault(StrEnum):
    """Whose it is, in the words of SOAP 1.2."""

    SENDER = "Sender"
    RECEIVER = "Receiver"
    MUST_UNDERSTAND = "MustUnderstand"
    VERSION = "VersionMismatch"


_FAULTS_11 = {Fault.SENDER: "Client", Fault.RECEIVER: "Server"}


class NotSoap(Exception):
    """What is wrong with an envelope; `fault` says how it is answered, and in which version."""

    def __init__(self, text: str, fault: Fault = Fault.SENDER, version: str = "") -> None:
        super().__init__(text)
        self.fault, self.version = fault, version


@dataclass(frozen=True)
class Envelope:
    """What came: its version (`1.1`, `1.2`), its header blocks, the one element of its body, and WS-Addressing's message id."""

    version: str
    headers: Sequence[Any]
    payload: Any
    message_id: str = ""
    addressing: str = ""  # the namespace of WS-Addressing that it uses; empty: none


def name_of(element: Any) -> tuple[str, str]:
    """(namespace, local name) of an element."""
    namespace, _, local = str(element.tag).rpartition("}")
    return namespace.removeprefix("{"), local


def opened(root: Any, understood: Collection[str], versions: Collection[str]) -> Envelope:
    """The envelope of a tree. `understood`: namespaces of header blocks that may be mandatory. Raises NotSoap."""
    namespace, local = name_of(root)
    version = _VERSIONS.get(namespace, "")
    if local != "Envelope":
        raise NotSoap("this is no SOAP envelope")
    if version not in versions:
        raise NotSoap(f"SOAP {' or '.join(sorted(versions))} is spoken here", Fault.VERSION, version)
    parts = {name_of(part)[1]: part for part in root if name_of(part)[0] == namespace}
    headers = list(parts["Header"]) if "Header" in parts else []
    for block in headers:
        wanted = block.get(f"{{{namespace}}}mustUnderstand", "").strip() in ("1", "true")
        if wanted and name_of(block)[0] not in (*understood, *ADDRESSING):
            raise NotSoap("a header block that must be understood is not", Fault.MUST_UNDERSTAND, version)
    payloads = list(parts["Body"]) if "Body" in parts else []
    if len(payloads) != 1:
        raise NotSoap(f"the body holds {len(payloads)} elements where one is expected", version=version)
    found = [block for block in headers if name_of(block)[0] in ADDRESSING and name_of(block)[1] == "MessageID"]
    message_id = (found[0].text or "").strip() if found else ""
    return Envelope(version, headers, payloads[0], message_id, name_of(found[0])[0] if found else "")


def enveloped(content: str, version: str, to: Envelope | None = None, action: str = "") -> bytes:
    """An answer in an envelope. To one that has a WS-Addressing id, it says which one it answers (WS-Addressing 1.0 §3.4)."""
    namespace = SOAP_12 if version == "1.2" else SOAP_11
    header = ""
    if to is not None and to.message_id:
        header = (
            f'<soap:Header xmlns:wsa="{xml_text(to.addressing)}">'
            f"<wsa:Action>{xml_text(action)}</wsa:Action><wsa:MessageID>urn:uuid:{uuid4()}</wsa:MessageID>"
            f"<wsa:RelatesTo>{xml_text(to.message_id)}</wsa:RelatesTo></soap:Header>"
        )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{namespace}">{header}'
        f"<soap:Body>{content}</soap:Body></soap:Envelope>"
    ).encode()


def media_type(version: str) -> str:
    return "application/soap+xml; charset=utf-8" if version == "1.2" else "text/xml; charset=utf-8"


def faulted(text: str, fault: Fault, version: str, status: int = 0, subcode: str = "") -> Response:
    """A fault. `status`: of a fault of the sender's (SOAP 1.2 says 400, SOAP 1.1 says 500); ours is 503, come again.

    `subcode` is a name of WS-Security, such as FailedAuthentication.
    """
    said = xml_text(text[:_LONGEST])
    code = _FAULTS_11.get(fault, fault.value) if version != "1.2" else fault.value
    if version == "1.2":
        below = (
            f'<soap:Subcode><soap:Value xmlns:wsse="{WSSE}">wsse:{subcode}</soap:Value></soap:Subcode>'
            if subcode
            else ""
        )
        inner = (
            f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value>{below}</soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="en">{said}</soap:Text></soap:Reason></soap:Fault>'
        )
    else:
        shown = (
            f'<faultcode xmlns:wsse="{WSSE}">wsse:{subcode}</faultcode>'
            if subcode
            else f"<faultcode>soap:{code}</faultcode>"
        )
        inner = f"<soap:Fault>{shown}<faultstring>{said}</faultstring></soap:Fault>"
    body = enveloped(inner, version)
    if fault is Fault.RECEIVER:
        return Response(503, body, media_type(version), (("Retry-After", RETRY_AFTER),), text)
    return Response(status or 400, body, media_type(version), (), text)
