"""[inlets.NAME] of type `soap`, `webhook` and `fhir-subscription`: listeners over HTTP and HTTPS."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from string import Template
from typing import Any, Literal

from frontend_agent.config_inlet import InletConfig
from frontend_agent.config_listener import ListenerConfig, listener_problems
from frontend_agent.config_types import Count
from frontend_agent.errors import ConfigurationError

FOUR_HUNDRED, TWO_HUNDRED_TWO = Count(400), Count(202)
NONE_OF_IT = "-"  # a setting that the dialect has, and this sender does not
PLACES = frozenset(("code", "text", "id", "action", "now"))
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
NAME = re.compile(r"[^\W\d][\w.\-]*")
METHODS = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, kw_only=True)
class WebConfig(ListenerConfig):
    """What every inlet over HTTP has. Several may share host and port, if they agree in all that is said of the port."""

    path: str
    user: str = ""  # of basic, or of a UsernameToken
    secret: str = ""  # the NAME of a secret: password, token or key
    old_secret: str = ""  # the name of the one before it, while both sides change over


@dataclass(frozen=True, kw_only=True)
class SoapInlet(WebConfig):
    """A SOAP service. `dialect` is a ready-made way to speak; what else is said here is laid over it ("-": without it)."""

    type: Literal["soap"]
    dialect: Literal[
        "national", "national-token", "national-document", "private", "one-string", "one-string-jaxws", "document"
    ] = "national"
    soap: Literal["both", "1.1", "1.2"] = "both"
    service: str = ""  # its name in the WSDL
    namespace: str = ""
    operations: tuple[str, ...] = ()
    action_parameter: str = ""
    message_parameter: str = ""
    token_parameter: str = ""
    result: str = ""  # the name of the answer's element: "{operation}Result", "return"
    names: Literal["", "qualified", "unqualified"] = ""  # whether parameters and result are in the namespace
    content: Literal["text", "base64"] = "text"
    format: Literal["xml", "json", "any"] = "xml"
    id: tuple[str, ...] = ()  # paths of the message's own id
    source: tuple[str, ...] = ()  # paths of who sends, where ids are unique for each sender only
    actions: tuple[str, ...] = ()  # that are taken
    answer: str = ""  # "mcci", or a text with $code, $text, $id, $action, $now
    accepted_code: str = "0"
    refused_code: str = "-1"
    accepted_text: str = "成功"
    fault_status: Count = FOUR_HUNDRED  # of a fault of the sender's own; SOAP 1.1 says 500
    address: str = ""  # in the WSDL: where senders reach us
    security: Literal["none", "token", "username-text", "username-digest", "basic", "bearer"] = "none"
    window: timedelta = timedelta(minutes=5)  # of a UsernameToken: how far its time may be from ours


@dataclass(frozen=True, kw_only=True)
class WebhookInlet(WebConfig):
    """Whatever is POSTed."""

    type: Literal["webhook"]
    methods: tuple[Literal["POST", "PUT", "PATCH"], ...] = ("POST",)
    format: Literal["json", "xml", "hl7v2", "any"] = "json"
    auth: Literal["hmac", "bearer", "basic", "none"]
    token_header: str = "Authorization"  # of bearer  # noqa: S105  a name
    signature_header: str = "X-Hub-Signature-256"
    signature_prefix: str = "sha256="
    signature_encoding: Literal["hex", "base64"] = "hex"
    signed: Literal["body", "timestamp.body"] = "body"
    timestamp_header: str = ""  # empty: `t=` in the header of the signature
    tolerance: timedelta = timedelta(minutes=5)
    id_header: str = ""
    id: tuple[str, ...] = ()  # paths in the body
    about_header: str = ""
    about: tuple[str, ...] = ()
    status: Count = TWO_HUNDRED_TWO  # of an acknowledgement: 200, 201, 202 or 204
    answer: str = ""
    accepted_code: str = "0"
    refused_code: str = "-1"
    accepted_text: str = "成功"


@dataclass(frozen=True, kw_only=True)
class FhirSubscriptionInlet(WebConfig):
    """The endpoint of FHIR R4 subscriptions (rest-hook)."""

    type: Literal["fhir-subscription"]
    auth: Literal["bearer", "basic", "none"]
    token_header: str = "Authorization"  # noqa: S105  a name


LISTENERS: dict[str, type[InletConfig]] = {
    "soap": SoapInlet,
    "webhook": WebhookInlet,
    "fhir-subscription": FhirSubscriptionInlet,
}


def _web(inlet: WebConfig, auth: str) -> Iterable[str]:
    yield from listener_problems(inlet)
    if not re.fullmatch(r"/[^\s?#%]*", inlet.path) or (inlet.path != "/" and inlet.path.endswith("/")):
        yield f'path {inlet.path!r} begins with "/" and does not end with it, like "/hooks/lab"'
    if (auth == "none") == bool(inlet.secret):
        yield "secret (the name of one) goes with every way to tell who sends, and with nothing else"
    if inlet.old_secret and not inlet.secret:
        yield "old_secret is for the time in which secret is new"
    if (auth == "basic" or auth.startswith("username")) != bool(inlet.user):
        yield "user goes with basic and with a UsernameToken"


def _soap(inlet: SoapInlet) -> Iterable[str]:
    yield from _web(inlet, inlet.security)
    yield from _paths("json" if inlet.format == "json" else "xml", id=inlet.id, source=inlet.source)
    if inlet.format == "any" and (inlet.id or inlet.source):
        yield 'id and source need format = "xml" or "json": nothing is looked for in "any"'
    wants_token = inlet.token_parameter not in ("", NONE_OF_IT) or (inlet.dialect, inlet.token_parameter) == (
        "national-token",
        "",
    )
    if wants_token != (inlet.security == "token"):
        yield 'a token parameter goes with security = "token"'
    names = [*inlet.operations, inlet.action_parameter, inlet.message_parameter, inlet.token_parameter, inlet.service]
    for name in names:
        if name not in ("", NONE_OF_IT) and not NAME.fullmatch(name):
            yield f"{name!r} is no name that an XML element can have"
    if inlet.result and not NAME.fullmatch(inlet.result.replace("{operation}", "x")):
        yield f'result {inlet.result!r} is no name, like "{{operation}}Result" or "return"'
    if inlet.answer != "mcci":
        yield from _answer(inlet.answer)
    if inlet.fault_status not in (400, 500):
        yield f"fault_status {inlet.fault_status} is neither 400 nor 500 (which SOAP 1.1 says)"
    if inlet.address and not re.fullmatch(r"https?://[^\s<>\"]+", inlet.address):
        yield f"address {inlet.address!r} is no http or https address"


def _webhook(inlet: WebhookInlet) -> Iterable[str]:
    yield from _web(inlet, inlet.auth)
    yield from _paths("xml" if inlet.format == "xml" else "json", id=inlet.id, about=inlet.about)
    if inlet.format in ("any", "hl7v2") and (inlet.id or inlet.about):
        yield "id and about are paths in JSON or XML: with another format use id_header and about_header"
    for key in ("token_header", "signature_header", "timestamp_header", "id_header", "about_header"):
        if (value := getattr(inlet, key)) and not HEADER.fullmatch(value):
            yield f"{key} {value!r} is no name of a header"
    if inlet.status not in (200, 201, 202, 204):
        yield f"status {inlet.status} is none of 200, 201, 202 and 204"
    if not inlet.methods:
        yield f"methods: one of {', '.join(METHODS)} at least"
    yield from _answer(inlet.answer)


def _fhir(inlet: FhirSubscriptionInlet) -> Iterable[str]:
    yield from _web(inlet, inlet.auth)
    if not HEADER.fullmatch(inlet.token_header):
        yield f"token_header {inlet.token_header!r} is no name of a header"


def _paths(reader: str, **texts: tuple[str, ...]) -> Iterable[str]:
    from frontend_agent.reading import compile_path  # with its XML library: not for every command

    for key, paths in texts.items():
        for path in paths:
            try:
                compile_path(reader, path)
            except ConfigurationError as error:
                yield f"{key}: {error}"


def _answer(text: str) -> Iterable[str]:
    """A text with places: `$$` is a dollar."""
    template = Template(text)
    if not template.is_valid():
        yield "answer: a $ that is none of $code, $text, $id, $action, $now ($$ is a dollar)"
    elif unknown := set(template.get_identifiers()) - PLACES:
        yield f"answer: unknown ${sorted(unknown)[0]} (known: {', '.join('$' + one for one in sorted(PLACES))})"


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    SoapInlet: _soap,
    WebhookInlet: _webhook,
    FhirSubscriptionInlet: _fhir,
}
