"""The WSDL 1.1 of a SOAP inlet: document/literal wrapped, with a port for each version of SOAP that is spoken."""

from collections.abc import Sequence

from connectors.web.texts import xml_text

_PORTS = {
    "1.1": ("soap", "http://schemas.xmlsoap.org/wsdl/soap/"),
    "1.2": ("soap12", "http://schemas.xmlsoap.org/wsdl/soap12/"),
}


def wsdl(
    service: str,
    namespace: str,
    operations: Sequence[tuple[str, Sequence[str], str]],
    address: str,
    versions: Sequence[str],
    qualified: bool,
) -> bytes:
    """`operations`: name, its parameters, the name of its result; all of them are strings."""
    elements, messages, declared, bound = [], [], [], []
    for name, parameters, result in operations:
        elements += [_element(name, parameters), _element(f"{name}Response", [result])]
        messages += [_message(f"{name}In", name), _message(f"{name}Out", f"{name}Response")]
        declared.append(
            f'<wsdl:operation name="{name}"><wsdl:input message="tns:{name}In"/><wsdl:output message="tns:{name}Out"/></wsdl:operation>'
        )
        bound.append(
            f'<wsdl:operation name="{name}"><{{p}}:operation soapAction="{xml_text(namespace)}:{name}" style="document"/>'
            '<wsdl:input><{p}:body use="literal"/></wsdl:input><wsdl:output><{p}:body use="literal"/></wsdl:output></wsdl:operation>'
        )
    bindings, ports = [], []
    for version in versions:
        prefix, uri = _PORTS[version]
        port = f"{service}Soap" if version == "1.1" else f"{service}Soap12"
        inner = "".join(bound).replace("{p}", prefix)
        bindings.append(
            f'<wsdl:binding xmlns:{prefix}="{uri}" name="{port}" type="tns:{service}PortType">'
            f'<{prefix}:binding transport="http://schemas.xmlsoap.org/soap/http"/>{inner}</wsdl:binding>'
        )
        ports.append(
            f'<wsdl:port xmlns:{prefix}="{uri}" name="{port}" binding="tns:{port}">'
            f'<{prefix}:address location="{xml_text(address)}"/></wsdl:port>'
        )
    form = "qualified" if qualified else "unqualified"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:tns="{xml_text(namespace)}" targetNamespace="{xml_text(namespace)}" name="{service}">'
        f'<wsdl:types><xs:schema targetNamespace="{xml_text(namespace)}" elementFormDefault="{form}">{"".join(elements)}</xs:schema>'
        f'</wsdl:types>{"".join(messages)}<wsdl:portType name="{service}PortType">{"".join(declared)}</wsdl:portType>'
        f'{"".join(bindings)}<wsdl:service name="{service}">{"".join(ports)}</wsdl:service></wsdl:definitions>'
    ).encode()


def _element(name: str, parts: Sequence[str]) -> str:
    inner = "".join(f'<xs:element name="{part}" type="xs:string" minOccurs="0"/>' for part in parts)
    return f'<xs:element name="{name}"><xs:complexType><xs:sequence>{inner}</xs:sequence></xs:complexType></xs:element>'


def _message(name: str, element: str) -> str:
    return f'<wsdl:message name="{name}"><wsdl:part name="parameters" element="tns:{element}"/></wsdl:message>'
