"""Descriptions of SOAP services (WSDL 1.1), read by zeep through doors of ours.

A description and everything that it imports come from one origin, or from one folder; a DOCTYPE is refused; what they say of
the service's address is not believed: `url` is asked. zeep writes requests, and never opens a connection.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import zeep
import zeep.exceptions
import zeep.transports
from lxml import etree

from connectors.fetching.calling import Answer, Request, origin, place
from frontend_agent.errors import ConfigurationError, SourceError, SourceRefused
from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.xml import parse

LARGEST = 8 << 20  # bytes of one description
MOST = 64  # files that one description may consist of
ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_MISSING = re.compile(r"Missing element [\w.\-]{1,80}")

# What descriptions in the RPC/encoded style mean by soapenc:string and soapenc:Array: enough to write a request.
_ENCODING_SCHEMA = b"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
 targetNamespace="http://schemas.xmlsoap.org/soap/encoding/" xmlns:tns="http://schemas.xmlsoap.org/soap/encoding/">
<xs:attribute name="arrayType" type="xs:string"/>
<xs:attributeGroup name="commonAttributes"><xs:attribute name="id" type="xs:ID"/><xs:attribute name="href" type="xs:anyURI"/></xs:attributeGroup>
<xs:attributeGroup name="arrayAttributes"><xs:attribute ref="tns:arrayType"/></xs:attributeGroup>
<xs:complexType name="Array"><xs:sequence><xs:any namespace="##any" minOccurs="0" maxOccurs="unbounded" processContents="lax"/></xs:sequence><xs:attributeGroup ref="tns:arrayAttributes"/></xs:complexType>
%s</xs:schema>""" % b"".join(
    b'<xs:simpleType name="%s"><xs:restriction base="xs:%s"/></xs:simpleType>' % (name, name)
    for name in b"string int integer long short boolean float double decimal dateTime date base64Binary".split()
)


class Post:
    """A request that zeep wrote."""

    def __init__(self, envelope: Any, headers: Mapping[str, str]) -> None:
        self.envelope, self.headers = envelope, headers


class Description:
    """One service by its description."""

    def __init__(self, inlet: str, where: str, ask: Callable[[Request], Answer], service: str, port: str) -> None:
        """`where` is an address or a file. Reads it all; SourceError and ConfigurationError say what is wrong."""
        self._inlet = inlet
        transport = _Files(inlet, where, ask)
        try:
            self._client = zeep.Client(
                where,
                transport=transport,
                service_name=service or None,
                port_name=port or None,
                settings=zeep.Settings(raw_response=True, forbid_dtd=True, forbid_entities=True, force_https=False),
            )
            self._service = self._client.service
        except (SourceError, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001  zeep and lxml say in many ways that a description is none
            raise SourceRefused(
                f"inlet {inlet}: {_told(where)} is no description that can be used: {_said(error)}"
            ) from None

    def post(self, operation: str, parameters: Mapping[str, Any]) -> Post:
        """The request that calls the operation."""
        try:
            call = self._service[operation]
        except AttributeError:
            raise ConfigurationError(
                f"inlets.{self._inlet}.operation: the service has no {operation!r} (it has: {', '.join(self.operations())})"
            ) from None
        try:
            post: Post = call(**parameters)
        except TypeError as error:
            raise ConfigurationError(f"inlets.{self._inlet}.parameters: {operation}: {error}") from None
        except (zeep.exceptions.Error, ValueError) as error:
            raise ConfigurationError(f"inlets.{self._inlet}.parameters: {operation}: {_said(error)}") from None
        return post

    def operations(self) -> list[str]:
        return sorted(dir(self._service))


class _Files(zeep.transports.Transport):
    """Where zeep gets files from, and where it leaves a request."""

    def __init__(self, inlet: str, where: str, ask: Callable[[Request], Answer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inlet, self._where, self._ask = inlet, where, ask
        self._files = 0

    def load(self, url: Any) -> bytes:
        url = str(url)
        if url == ENCODING:
            return _ENCODING_SCHEMA
        self._files += 1
        if self._files > MOST:
            raise SourceRefused(f"inlet {self._inlet}: the description consists of more than {MOST} files")
        content = self._fetched(url) if _is_url(self._where) else self._read(url)
        try:
            parse(content, LARGEST)
        except UnsafeDocument as error:
            raise SourceRefused(f"inlet {self._inlet}: {_told(url)}: {error}") from None
        return content

    def post_xml(self, address: str, envelope: Any, headers: Mapping[str, str]) -> Post:
        return Post(envelope, headers)

    def _fetched(self, url: str) -> bytes:
        if not _is_url(url) or origin(url) != origin(self._where):
            raise SourceRefused(
                f"inlet {self._inlet}: the description imports {_told(url)}, which is not at {place(self._where)}:"
                " save all of it to one folder, and name it with wsdl_file"
            )
        answer = self._ask(Request("GET", url, {"Accept": "text/xml, application/xml, */*"}))
        if answer.status != 200:
            raise SourceRefused(f"inlet {self._inlet}: {place(url)} answers HTTP {answer.status}")
        return answer.body

    def _read(self, url: str) -> bytes:
        path = Path(unquote(urlsplit(url).path) if url.startswith("file:") else url)
        folder = Path(self._where).resolve().parent
        if _is_url(url) or not path.resolve().is_relative_to(folder):
            raise SourceRefused(
                f"inlet {self._inlet}: the description imports {_told(url)}, which is not in the folder of wsdl_file"
            )
        try:
            if path.stat().st_size > LARGEST:
                raise SourceRefused(f"inlet {self._inlet}: {path.name} is larger than {LARGEST} bytes")
            return path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"inlets.{self._inlet}.wsdl_file: {path}: {error.strerror}") from None


def _is_url(where: str) -> bool:
    return where.startswith(("http://", "https://"))


def _told(where: str) -> str:
    return place(where) if _is_url(where) else Path(where).name


def _said(error: Exception) -> str:
    """What may be told of it: an element's name, or the kind of error. Values never: one of them is the secret."""
    missing = _MISSING.match(str(error))
    return missing[0] if missing else type(error).__name__


def written(envelope: etree._Element, cdata: bool) -> bytes:
    """The bytes of an envelope. With `cdata` a text that holds XML stands in a CDATA section, as some services need it."""
    if cdata:
        for element in envelope.iter(etree.Element):
            if element.text and element.text.lstrip().startswith("<") and "]]>" not in element.text:
                element.text = etree.CDATA(element.text)
    content: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    return content
