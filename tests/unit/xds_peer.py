"""A repository and a registry that take ITI-41 and ITI-18, read with other libraries than ours: zeep's reader of MTOM, and
a schema of what ebRIM says of the objects in it."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lxml import etree
from requests_toolbelt.multipart.decoder import MultipartDecoder
from zeep.wsdl.attachments import MessagePack
from zeep.wsdl.messages.xop import process_xop

NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://www.w3.org/2005/08/addressing",
    "x": "urn:ihe:iti:xds-b:2007",
    "l": "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0",
    "r": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0",
    "q": "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
}
DONE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"
UNIQUE = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"

# What ebRIM 3.0 says of the order and the attributes of the objects that XDS uses.
RIM_XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
  targetNamespace="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" elementFormDefault="qualified">
 <xs:import namespace="http://www.w3.org/XML/1998/namespace"/>
 <xs:complexType name="Identifiable"><xs:sequence>
   <xs:element name="Slot" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
     <xs:element name="ValueList"><xs:complexType><xs:sequence>
       <xs:element name="Value" minOccurs="0" maxOccurs="unbounded"><xs:simpleType><xs:restriction base="xs:string">
         <xs:minLength value="1"/><xs:maxLength value="256"/></xs:restriction></xs:simpleType></xs:element>
     </xs:sequence></xs:complexType></xs:element></xs:sequence>
     <xs:attribute name="name" type="xs:string" use="required"/></xs:complexType></xs:element></xs:sequence>
   <xs:attribute name="id" type="xs:anyURI" use="required"/></xs:complexType>
 <xs:complexType name="Object"><xs:complexContent><xs:extension base="Identifiable"><xs:sequence>
   <xs:element name="Name" minOccurs="0"><xs:complexType><xs:sequence>
     <xs:element name="LocalizedString" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
       <xs:attribute name="value" use="required"/>
       <xs:anyAttribute namespace="http://www.w3.org/XML/1998/namespace" processContents="skip"/></xs:complexType></xs:element></xs:sequence></xs:complexType></xs:element>
   <xs:element ref="Classification" minOccurs="0" maxOccurs="unbounded"/>
   <xs:element name="ExternalIdentifier" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:complexContent>
     <xs:extension base="Object"><xs:attribute name="registryObject" type="xs:anyURI" use="required"/>
       <xs:attribute name="identificationScheme" type="xs:anyURI" use="required"/>
       <xs:attribute name="value" use="required"/></xs:extension></xs:complexContent></xs:complexType></xs:element>
   </xs:sequence></xs:extension></xs:complexContent></xs:complexType>
 <xs:element name="Classification"><xs:complexType><xs:complexContent><xs:extension base="Object">
   <xs:attribute name="classificationScheme" type="xs:anyURI"/><xs:attribute name="classifiedObject" type="xs:anyURI" use="required"/>
   <xs:attribute name="classificationNode" type="xs:anyURI"/><xs:attribute name="nodeRepresentation"/>
   </xs:extension></xs:complexContent></xs:complexType></xs:element>
 <xs:element name="RegistryObjectList"><xs:complexType><xs:choice maxOccurs="unbounded">
   <xs:element name="ExtrinsicObject"><xs:complexType><xs:complexContent><xs:extension base="Object">
     <xs:attribute name="mimeType" use="required"/><xs:attribute name="objectType" type="xs:anyURI" use="required"/>
     </xs:extension></xs:complexContent></xs:complexType></xs:element>
   <xs:element name="RegistryPackage" type="Object"/>
   <xs:element ref="Classification"/>
   <xs:element name="Association"><xs:complexType><xs:complexContent><xs:extension base="Object">
     <xs:attribute name="associationType" type="xs:anyURI" use="required"/>
     <xs:attribute name="sourceObject" type="xs:anyURI" use="required"/>
     <xs:attribute name="targetObject" type="xs:anyURI" use="required"/></xs:extension></xs:complexContent></xs:complexType></xs:element>
 </xs:choice></xs:complexType></xs:element></xs:schema>"""
RIM = etree.XMLSchema(etree.fromstring(RIM_XSD))


class XdsPeer:
    """What it got and has registered, and what it answers next."""

    def __init__(self) -> None:
        self.url = ""
        self.registered: dict[str, tuple[str, int, etree._Element]] = {}  # unique id -> SHA-1, size, entry
        self.deprecated: set[str] = set()
        self.envelopes: list[etree._Element] = []
        self.answers: list[tuple[int, str, bytes]] = []  # instead of its own, once each
        self.types: list[str] = []

    def take(self, content_type: str, body: bytes) -> tuple[int, str, bytes]:
        self.types.append(content_type)
        if content_type.startswith("multipart/related"):
            parts = MultipartDecoder(body, content_type)
            envelope = etree.fromstring(parts.parts[0].content)
            packed = MessagePack(parts=parts.parts[1:])
            assert process_xop(envelope, packed)
        else:
            envelope = etree.fromstring(body)
        self.envelopes.append(envelope)
        if self.answers:
            return self.answers.pop(0)
        if envelope.find(".//q:AdhocQueryRequest", NS) is not None:
            return 200, "application/soap+xml", self._query(envelope)
        return 200, "application/soap+xml", self._register(envelope)

    def _register(self, envelope: etree._Element) -> bytes:
        objects = envelope.find(".//l:SubmitObjectsRequest/r:RegistryObjectList", NS)
        RIM.assertValid(etree.fromstring(etree.tostring(objects)))
        entry = objects.find("r:ExtrinsicObject", NS)
        content = base64.b64decode(envelope.find(".//x:Document", NS).text)
        assert envelope.find(".//x:Document", NS).get("id") == entry.get("id")
        unique = entry.find(f"r:ExternalIdentifier[@identificationScheme='{UNIQUE}']", NS).get("value")
        digest = hashlib.sha1(content).hexdigest()
        assert slot(entry, "hash") == [digest]
        assert slot(entry, "size") == [str(len(content))]
        if unique in self.registered:
            return failure(("XDSDuplicateUniqueIdInRegistry", unique))
        for association in objects.iterfind("r:Association", NS):
            if association.get("associationType").endswith(":RPLC"):
                target = association.get("targetObject")
                known = {kept.get("id") for _, _, kept in self.registered.values()}
                if target not in known:
                    return failure(("UnresolvedReferenceException", target))
                self.deprecated.add(target)
        self.registered[unique] = (digest, len(content), entry)
        return response("Success")

    def _query(self, envelope: etree._Element) -> bytes:
        assert envelope.find(".//r:AdhocQuery", NS).get("id") == "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
        (listed,) = slot(envelope.find(".//r:AdhocQuery", NS), "$XDSDocumentEntryUniqueId")
        wanted = [one.strip("'") for one in listed.strip("()").split(",")]
        entries = b"".join(etree.tostring(self.registered[one][2]) for one in wanted if one in self.registered)
        return soap(
            f'<q:AdhocQueryResponse xmlns:q="{NS["q"]}" status="{DONE}Success"><r:RegistryObjectList xmlns:r="{NS["r"]}">'.encode()
            + entries
            + b"</r:RegistryObjectList></q:AdhocQueryResponse>"
        )


def slot(of: etree._Element, name: str) -> list[str]:
    return [str(one.text) for one in of.iterfind(f"r:Slot[@name='{name}']/r:ValueList/r:Value", NS)]


def soap(inside: bytes) -> bytes:
    return f'<s:Envelope xmlns:s="{NS["s"]}"><s:Body>'.encode() + inside + b"</s:Body></s:Envelope>"


def response(status: str, *errors: tuple[str, str], warning: bool = False) -> bytes:
    severity = f"urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:{'Warning' if warning else 'Error'}"
    whole = DONE + status if status != "PartialSuccess" else "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
    listed = "".join(
        f'<rs:RegistryError errorCode="{code}" codeContext="{text}" severity="{severity}"/>' for code, text in errors
    )
    return soap(
        f'<rs:RegistryResponse xmlns:rs="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0" status="{whole}">'
        f"<rs:RegistryErrorList>{listed}</rs:RegistryErrorList></rs:RegistryResponse>".encode()
    )


def failure(*errors: tuple[str, str]) -> bytes:
    return response("Failure", *errors)


def fault(code: str, reason: str) -> bytes:
    return soap(
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value></s:Code><s:Reason><s:Text xml:lang='en'>{reason}</s:Text></s:Reason>"
        "</s:Fault>".encode()
    )


@contextmanager
def xds_peer() -> Iterator[XdsPeer]:
    """It listens on loopback until the block ends."""
    peer = XdsPeer()

    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # of a connection on which nothing is asked: its thread ends

        def log_message(self, *_: Any) -> None:
            """Silent."""

        def do_HEAD(self) -> None:
            self.send_response(405)
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, kind, answer = peer.take(self.headers["Content-Type"], body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    peer.url = f"http://127.0.0.1:{server.server_port}/xds"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
