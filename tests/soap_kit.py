"""What tests of SOAP inlets share: inlets as agent.toml makes them, national messages, and zeep as the sender."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zeep
from requests import Session
from zeep.transports import Transport

from connectors.web import Ports, WebListener
from frontend_agent import web_inlets
from frontend_agent.config import parse_config
from frontend_agent.inlets import Hands, make
from tests.web_kit import NOW, Inbox

SECRETS = {"one": "s3cret-of-today", "two": "s3cret-of-yesterday"}
REST = """
[institution]
id = "1.2.3"
name = "测试医院"
[sources.his]
url = "sqlite:///his.db"
[destinations.region]
url = "http://127.0.0.1:1/"
[[feeds]]
name = "f"
source = "his"
mapping = "m"
"""


def configured(table: str) -> Any:
    """The settings of `[inlets.in]`, through the strict loader."""
    return parse_config(REST + "[inlets.in]\n" + table, "agent.toml", Path()).inlets["in"]


@contextmanager
def inlet(inbox: Inbox, table: str) -> Iterator[WebListener]:
    """An inlet of agent.toml that listens on a free port of this machine."""
    given = {
        "keep": inbox.keep,
        "tap": inbox.tap,
        "clock": lambda: NOW,
        "secret": SECRETS.__getitem__,
        "timezone": "Asia/Shanghai",
    }
    hands = Hands(**{**dict.fromkeys(Hands._fields), **given})  # what a listener does not use, it is not given
    before, web_inlets.PORTS = web_inlets.PORTS, Ports()
    try:
        made = make("in", configured("port = 0\n" + table), hands)
        assert isinstance(made, WebListener)
    finally:
        web_inlets.PORTS = before
    made.start()
    try:
        yield made
    finally:
        made.stop(5)


def zeep_client(address: str, port: str = "", **keywords: Any) -> Any:
    """Another implementation of SOAP, told of us by our WSDL."""
    session = Session()
    session.trust_env = False
    client = zeep.Client(f"{address}?wsdl", transport=Transport(session=session, timeout=10), **keywords)
    return client.bind(port_name=port) if port else client.service


def interaction(
    id: str = "M-1", root: str = "PRPA_IN201311UV02", name: str = "张三", sender: str = "HIS", more: str = ""
) -> str:
    """A national request as text."""
    return (
        f'<{root} xmlns="urn:hl7-org:v3" ITSVersion="XML_1.0"><id root="2.16.156.10011.2.5.1.1" extension="{id}"/>'
        f'<creationTime value="20260930104500"/><interactionId root="2.16.156.10011.2.5.1.2" extension="{root}"/>'
        f'<sender><device><id><item root="2.16.156.10011.2.5.1.3" extension="{sender}"/></id></device></sender>'
        f'<controlActProcess classCode="CACT" moodCode="EVN"><name>{name}</name>{more}</controlActProcess></{root}>'
    )


def hostile(address: str) -> list[str]:
    """Forty payloads that read a file, ask a server, or grow."""
    file, remote = "file:///etc/passwd", address
    declarations = [
        f'<!ENTITY x SYSTEM "{file}">', f'<!ENTITY x SYSTEM "{remote}">', f'<!ENTITY x PUBLIC "p" "{remote}">',
        f'<!ENTITY % p SYSTEM "{remote}"> %p;', f'<!ENTITY % p SYSTEM "{file}"> %p;',
        '<!ENTITY x "a">', '<!ATTLIST r a CDATA "b">', "<!ELEMENT r ANY>", f'<!NOTATION n SYSTEM "{remote}">',
        f'<!ENTITY x SYSTEM "{remote}" NDATA n>',
        '<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">'
        '<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY x "&e;&e;&e;&e;&e;&e;&e;&e;">',
        f'<!ENTITY x "{"A" * 50_000}">', "<!ENTITY x '&x;'>", '<!ENTITY x "&y;"><!ENTITY y "&x;">',
    ]  # fmt: skip
    found = [f"<!DOCTYPE r [{one}]><r>&x;</r>" for one in declarations]
    found += [f'<?xml version="1.0" standalone="no"?><!DOCTYPE r [{one}]><r a="&x;"/>' for one in declarations]
    found += [
        f'<!DOCTYPE r SYSTEM "{remote}"><r/>', f'<!DOCTYPE r SYSTEM "{file}"><r/>', f'<!DOCTYPE r PUBLIC "x" "{remote}"><r/>',
        "<!DOCTYPE r><r/>", "<!DOCTYPE html><html/>", "<r>" * 5_000 + "</r>" * 5_000, "<r>&x;</r>", "<r>&#0;</r>",
        "<r " + " ".join(f'a{n}=""' for n in range(2)) + ' a0=""/>', "<r><![CDATA[", "<r a=1/>",
        "<r xmlns:a='x'><a:b></c></r>",
    ]  # fmt: skip
    return found
