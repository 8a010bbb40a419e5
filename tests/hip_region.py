"""A region's HIPMessageServer by another library (soapfish2): it looks at what arrives with the national table's XPaths,
refuses what names a patient it does not know, keeps documents, finds them again, and lies where a test wants it to."""

import base64
import csv
import hashlib
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from lxml import etree

from tests.conftest import shared_folder

V3 = {"h": "urn:hl7-org:v3"}
PATIENT, REGISTERED = "2.16.156.10011.2.5.1.4", "PatientInfoRegister"


def sheets() -> dict[str, list[dict[str, str]]]:
    """Action -> the printed rows of its request."""
    found: dict[str, list[dict[str, str]]] = {}
    with (shared_folder() / "standards" / "interaction_fields.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if row["direction"] == "request":
                found.setdefault(row["service_code_action"], []).append(row)
    return found


def at(root: Any, printed: str) -> list[str]:
    """The values at a printed XPath."""
    steps = re.sub(r"\s", "", printed).strip("/").split("/")
    path = "/".join(step if step.startswith("@") else f"h:{step}" for step in steps)
    return [str(value) for value in root.xpath(path, namespaces=V3)]


def acknowledgement(message_id: str, code: str = "AA", *texts: str) -> str:
    """MCCI_IN000002UV01, with an interactionId that is another's, as half of the samples have it."""
    details = "".join(f'<acknowledgementDetail><text value="{text}"/></acknowledgementDetail>' for text in texts)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><MCCI_IN000002UV01 xmlns="urn:hl7-org:v3" ITSVersion="XML_1.0">'
        '<id root="2.16.156.10011.2.5.1.1" extension="R-1"/><interactionId extension="PRPM_IN401030UV01"/>'
        f'<acknowledgement typeCode="{code}"><targetMessage><id root="2.16.156.10011.2.5.1.1" extension="{message_id}"/>'
        f"</targetMessage>{details}</acknowledgement></MCCI_IN000002UV01>"
    )


class Region:
    """What it knows, what it got, and what it says instead of its own answer."""

    def __init__(
        self,
        namespace: str = "urn:hl7-org:v3",
        operation: str = "HIPMessageServer",
        token: str = "",
        port: int = 0,
        knows_everybody: bool = False,
    ) -> None:
        self.sheets = sheets()
        self.knows_everybody = knows_everybody
        self.patients: set[str] = set()
        self.documents: dict[str, bytes] = {}
        self.got: list[tuple[str, str]] = []  # action, message
        self.ids: list[str] = []
        self.says: list[str] = []  # instead of its own answers, once each; `fault` is a SOAP fault
        self.statuses: list[int] = []  # HTTP statuses instead of an answer, once each
        self.envelopes: list[bytes] = []
        self.token = token
        self.server = make_server("127.0.0.1", port, self._application(namespace, operation), handler_class=_Quiet)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hip"

    # --- what it does

    def answer(self, action: str, message: str) -> str:
        """The national answer to a request."""
        root = etree.fromstring(message.encode())
        message_id = at(root, "/id/@extension")[0]
        self.got.append((action, message))
        self.ids.append(message_id)
        if self.says:
            return self.says.pop(0).replace("{id}", message_id)
        if action == "DocumentRetrieve":
            return self._retrieved(root, message_id)
        sheet = self.sheets.get(action)
        if sheet is None:
            return acknowledgement(message_id, "AE", f"服务 {action} 不存在")
        problems = list(self._problems(root, sheet))
        if problems:
            return acknowledgement(message_id, "AE", *problems)
        if action == REGISTERED:
            self.patients |= set(self._locals(root))
        elif not self.knows_everybody and (unknown := set(self._locals(root)) - self.patients):
            return acknowledgement(message_id, "AE", f"患者 {min(unknown)} 未注册", "文档未保存")
        if action == "DocumentRegister":
            stored = at(root, "/controlActProcess/subject/clinicalDocument/storageCode/originalText/@value")[0]
            name = at(root, "/controlActProcess/subject/clinicalDocument/id/item/@extension")[0]
            self.documents[name] = base64.b64decode(stored, validate=True)
        return acknowledgement(message_id)

    def _problems(self, root: Any, sheet: list[dict[str, str]]) -> Iterator[str]:
        """What the sheet of the service says against a message: nothing at its places, or values that are too long."""
        found = 0
        for row in sheet:
            for value in at(root, row["xpath"]):
                found += 1
                length = row["max_length_or_format"]
                # Lengths below 20 are those of codes that have become longer since; row 10 of DocumentRegister is the trap.
                if length.isdigit() and 20 <= int(length) < len(value) and int(length) != 32_767:
                    yield f"{row['field_name_zh']} 超长"
                if length == "DT14" and not re.fullmatch(r"\d{14}", value):
                    yield f"{row['field_name_zh']} 格式错误"
        if found < 4:
            yield "消息结构错误"

    def _locals(self, root: Any) -> list[str]:
        return [str(one) for one in root.xpath(f"//h:patient/h:id/h:item[@root='{PATIENT}']/@extension", namespaces=V3)]

    def _retrieved(self, root: Any, message_id: str) -> str:
        wanted = at(root, "/controlActProcess/queryByParameter/clinicalDocument.id/value/@extension")[0]
        content = self.documents.get(wanted)
        one = "" if content is None else (
            f'<subject><clinicalDocument><id><item extension="{wanted}"/></id><storageCode><originalText value="'
            f'{base64.b64encode(content).decode()}"/></storageCode></clinicalDocument></subject>'
        )  # fmt: skip
        return (
            '<RCMR_IN000032UV01 xmlns="urn:hl7-org:v3"><acknowledgement typeCode="AA"><targetMessage>'
            f'<id extension="{message_id}"/></targetMessage></acknowledgement><controlActProcess>{one}<queryAck>'
            f'<resultTotalQuantity value="{int(content is not None)}"/></queryAck></controlActProcess></RCMR_IN000032UV01>'
        )

    # --- how it is reached

    def _application(self, namespace: str, operation: str) -> Any:
        from soapfish import soap, soap_dispatch, xsd
        from soapfish.core import SOAPError, SOAPResponse

        class Ask(xsd.ComplexType):
            action = xsd.Element(xsd.String)
            message = xsd.Element(xsd.String)
            token = xsd.Element(xsd.String, minOccurs=0)
            cda = xsd.Element(xsd.String, minOccurs=0)

        class Said(xsd.ComplexType):
            HIPMessageServerResult = xsd.Element(xsd.String)

        def serve(request: Any, body: Any) -> Any:
            if self.token and body.token != self.token:
                raise SOAPError("Sender", "token 无效")
            said = self.answer(body.action, body.message)
            if said == "fault":
                raise SOAPError("Receiver", "数据库忙")
            return SOAPResponse(Said(HIPMessageServerResult=said))

        schema = xsd.Schema(
            namespace,
            elementFormDefault=xsd.ElementFormDefault.QUALIFIED,
            complexTypes=(Ask, Said),
            elements={operation: xsd.Element(Ask), f"{operation}Response": xsd.Element(Said)},
        )
        method = xsd.Method(
            function=serve, soapAction=f"{namespace}:{operation}", input=operation, output=f"{operation}Response",
            inputPartName="parameters", outputPartName="parameters", operationName=operation,
        )  # fmt: skip
        service = soap.Service(
            name="HIPService", targetNamespace=namespace, location="http://elsewhere.example/", schemas=[schema],
            version=soap.SOAPVersion.SOAP12, methods=[method],
        )  # fmt: skip
        inner = soap_dispatch.WsgiSoapApplication(soap_dispatch.SOAPDispatcher(service, strict_soap_header=False))

        def application(environment: dict[str, Any], start: Any) -> Any:
            if environment["REQUEST_METHOD"] == "POST":
                content = environment["wsgi.input"].read(int(environment["CONTENT_LENGTH"]))
                self.envelopes.append(content)
                environment["wsgi.input"] = io.BytesIO(content)
                if self.statuses:
                    start(f"{self.statuses.pop(0)} said", [("Content-Type", "text/html")])
                    return [b"<html>an error page</html>"]
            return inner(environment, start)

        return application


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def region(**said: Any) -> Iterator[Region]:
    """A region that listens until the test is over."""
    one = Region(**said)
    threading.Thread(target=one.server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield one
    finally:
        one.server.shutdown()
        one.server.server_close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
