"""[inlets.NAME] of the types that ask: `rest-poll`, `soap-poll`, `fhir-poll`, and `wsn`, which asks to be told.

Templates hold `{since}` `{until}` `{now}` `{page}` `{offset}` `{limit}` `{cursor}` `{user}` `{secret}` `{uuid}`.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from frontend_agent.config_inlet import InletConfig
from frontend_agent.config_types import NONE, Count, MiB64, Size
from frontend_agent.windows import Window, leaves_time

ONE = Count(1)
Patterns = dict[str, tuple[str, ...]]  # path -> texts, of which one must stand there; "*": anything


@dataclass(frozen=True, kw_only=True)
class CredentialsConfig:
    """Who asks. `secret` is the NAME of a secret: a password, a token, a key to sign with."""

    kind: Literal["none", "basic", "bearer", "token", "signature", "oauth2", "wss"] = "none"
    user: str = ""  # basic, wss; of oauth2 the client's id; of a signature the application's id
    secret: str = ""
    name: str = ""  # of the header or parameter that a token or a signature stands in
    in_: Literal["header", "query"] = field(default="header", metadata={"key": "in"})
    prefix: str = ""  # before the token or the signature
    algorithm: Literal["hmac-sha256", "hmac-sha1", "hmac-md5", "sha256", "md5"] = "hmac-sha256"
    signed: str = "{method}\n{path}\n{query}\n{timestamp}\n{nonce}\n{body}"  # what is signed, a template
    encoding: Literal["hex", "HEX", "base64"] = "hex"
    beside: dict[str, str] = field(default_factory=dict)  # headers or parameters beside the signature, templates
    timestamp: str = "milliseconds"  # how {timestamp} is written: seconds, milliseconds, iso or strftime
    token_url: str = ""  # oauth2: where the token is fetched (client credentials)
    scope: str = ""
    client: Literal["basic", "post"] = "basic"  # oauth2: how the client shows who it is
    digest: bool = True  # wss: PasswordDigest; false: PasswordText


@dataclass(frozen=True, kw_only=True)
class FetcherConfig(InletConfig):
    """What every inlet that asks has."""

    url: str
    every: timedelta = timedelta(minutes=1)
    protected: tuple[Window, ...] = ()  # local times in which nothing is asked
    days: Literal["all", "working", "holidays"] = "all"  # by [calendar]
    plain: bool = False  # http without TLS, on the hospital's own network; never needed for this machine
    ca: str = ""  # PEM file: the only authorities that are believed; empty: the system's
    certificate: str = ""  # PEM file of our own
    key: str = ""
    connect_timeout: timedelta = timedelta(seconds=10)
    read_timeout: timedelta = timedelta(seconds=30)  # the longest silence
    timeout: timedelta = timedelta(minutes=2)  # of one whole answer
    largest_answer: Size = MiB64  # once it is unpacked
    headers: dict[str, str] = field(default_factory=dict)
    credentials: CredentialsConfig = field(default_factory=CredentialsConfig)


@dataclass(frozen=True, kw_only=True)
class PollConfig(FetcherConfig):
    """What those have that ask for what is new, page by page."""

    start: str = "now"  # where the first round begins: "now", a day (2027-01-31), or a number
    overlap: timedelta = timedelta(minutes=10)  # asked for again each time: what was committed late is not missed
    behind: timedelta = timedelta(0)  # {until} is so much before now
    longest: timedelta = timedelta(0)  # one question asks for so much time at most; 0: for all
    time_format: str = "%Y-%m-%d %H:%M:%S"  # of {since}, {until} and watermarks: strftime, iso, seconds, milliseconds
    watermark: str = ""  # path in a message to its own time or number; empty: the time of asking
    watermark_type: Literal["time", "number"] = "time"
    back: Count = NONE  # numbers that are asked for again: what `overlap` is for times
    ordered: bool = False  # the source answers oldest first: how far we got is kept with each page
    each: str = ""  # path in the answer: what is one message; empty: the whole answer
    id: str = ""  # path in a message to what names it; where it is said again with other content it is told apart
    paging: Literal["none", "page", "offset", "cursor", "since", "link", "next"] = "none"
    first_page: Count = ONE
    limit: int = 100
    most_pages: int = 10_000
    cursor: str = ""  # path in the answer to the next cursor, or to the next address (paging = "next")
    keep_cursor: bool = False  # the last cursor is where the next round begins: a feed of changes
    more: Patterns = field(default_factory=dict)  # another page follows only if this holds
    success: Patterns = field(default_factory=dict)  # an answer without it is a failure
    failure: Patterns = field(default_factory=dict)
    empty: Patterns = field(default_factory=dict)  # nothing new, and no failure


@dataclass(frozen=True, kw_only=True)
class RestPollInlet(PollConfig):
    """GET or POST, answered with JSON or XML."""

    type: Literal["rest-poll"]
    method: Literal["GET", "POST"] = "GET"
    parameters: dict[str, str] = field(default_factory=dict)  # of the query, templates
    form: dict[str, str] = field(default_factory=dict)  # of a posted form, templates
    body: str = ""  # of a POST, a template
    content_type: str = "application/json; charset=utf-8"
    format: Literal["json", "xml"] = "json"
    inside: str = ""  # path to a text in the answer that holds the answer proper
    conditional: bool = True  # ETag and If-Modified-Since, where the source offers them


@dataclass(frozen=True, kw_only=True)
class SoapPollInlet(PollConfig):
    """An operation of a SOAP service."""

    type: Literal["soap-poll"]
    wsdl: str = ""  # address of its description; empty: url?wsdl
    wsdl_file: str = ""  # or a file, with what it imports in its folder
    service: str = ""  # when it is not the first
    port: str = ""
    operation: str = ""
    parameters: dict[str, str] = field(default_factory=dict)  # templates; "request.from" stands within "request"
    wrap: Literal["escaped", "cdata", "base64"] = "escaped"  # how a parameter that is XML or JSON itself is carried
    envelope: str = ""  # without a description: the whole envelope, a template
    action: str = ""  # SOAPAction, with an envelope
    version: Literal["1.1", "1.2"] = "1.1"  # of SOAP, with an envelope
    inside: str = ""  # path in the Body to a text that holds the answer proper: XML or JSON, plain or as base64
    format: Literal["xml", "json"] = "xml"  # of the answer proper


@dataclass(frozen=True, kw_only=True)
class FhirPollInlet(FetcherConfig):
    """A FHIR R4 server; `url` is its base. Each match is a message: a Bundle of it and of what it refers to."""

    type: Literal["fhir-poll"]
    resource: str  # DiagnosticReport, Encounter …
    include: tuple[str, ...] = ()  # DiagnosticReport:result, DiagnosticReport:subject …
    revinclude: tuple[str, ...] = ()  # Provenance:target …
    parameters: dict[str, str] = field(default_factory=dict)  # of the search besides: category = "LAB"
    deletes: bool = False  # ask the history too: what was deleted is a message that says so
    start: str = "now"
    overlap: timedelta = timedelta(minutes=10)
    limit: int = 50  # _count
    most_pages: int = 10_000


FETCHERS: dict[str, type[InletConfig]] = {
    "rest-poll": RestPollInlet,
    "soap-poll": SoapPollInlet,
    "fhir-poll": FhirPollInlet,
}


# -- what no single key can be wrong about ----------------------------------------------------------------------------


def fetcher_problems(inlet: FetcherConfig) -> Iterable[str]:
    """What is wrong between the settings of an inlet that asks."""
    yield from _url_problems(inlet.url, "url", inlet.plain)
    if inlet.every < timedelta(seconds=1):
        yield "every: a second at least"
    if not leaves_time(inlet.protected):
        yield "protected: no minute of the day is left"
    if inlet.key and not inlet.certificate:
        yield "key needs its certificate"
    for name, value in inlet.headers.items():
        if any(ord(character) < 32 for character in name + value):
            yield f"headers: {name!r} holds control characters"
    yield from _credential_problems(inlet.credentials, inlet.plain)


def poll_problems(inlet: PollConfig) -> Iterable[str]:
    """What is wrong between the settings of what is asked."""
    yield from fetcher_problems(inlet)
    if inlet.start != "now":
        yield from _start_problems(inlet)
    if inlet.watermark_type == "number" and not inlet.watermark:
        yield 'watermark_type = "number" needs the path of that number: watermark = "…"'
    if inlet.watermark_type == "number" and inlet.start == "now":
        yield 'start: the number that reading begins at, in quotes ("0" for all)'
    if inlet.paging in ("cursor", "next") and not inlet.cursor:
        yield f'paging = "{inlet.paging}" needs the path of the next one: cursor = "…"'
    if inlet.paging == "since" and not inlet.watermark:
        yield 'paging = "since" needs the path of the watermark: watermark = "…"'
    if inlet.keep_cursor and inlet.paging != "cursor":
        yield 'keep_cursor goes with paging = "cursor"'
    if not inlet.each and inlet.watermark and inlet.paging != "none":
        yield "each: pages of messages need the path of one of them"


def _start_problems(inlet: PollConfig | FhirPollInlet) -> Iterable[str]:
    try:
        if isinstance(inlet, PollConfig) and inlet.watermark_type == "number":
            int(inlet.start)
        else:
            datetime.strptime(inlet.start, "%Y-%m-%d")
    except ValueError:
        is_number = isinstance(inlet, PollConfig) and inlet.watermark_type == "number"
        wanted = "a number" if is_number else "a day like 2027-01-31"
        yield f'start {inlet.start!r} is neither "now" nor {wanted}'


def _rest_problems(inlet: RestPollInlet) -> Iterable[str]:
    yield from poll_problems(inlet)
    if inlet.method == "GET" and (inlet.body or inlet.form):
        yield 'body and form need method = "POST"'
    if inlet.body and inlet.form:
        yield "body and form are two ways of one thing: keep one"
    asked = " ".join([inlet.url, inlet.body, *inlet.parameters.values(), *inlet.form.values()])
    if inlet.paging in ("page", "offset", "cursor", "since") and f"{{{inlet.paging}}}" not in asked:
        yield f'paging = "{inlet.paging}" needs {{{inlet.paging}}} in url, parameters, form or body'


def _soap_problems(inlet: SoapPollInlet) -> Iterable[str]:
    yield from poll_problems(inlet)
    if bool(inlet.operation) == bool(inlet.envelope):
        yield "operation (by the service's description) or envelope (a template): one of them"
    if inlet.envelope and (inlet.wsdl or inlet.wsdl_file or inlet.parameters):
        yield "with an envelope there is neither wsdl nor parameters: all of it stands in the template"
    if inlet.wsdl and inlet.wsdl_file:
        yield "wsdl and wsdl_file are two places of one thing: keep one"
    if inlet.wsdl:
        yield from _url_problems(inlet.wsdl, "wsdl", inlet.plain)
    if inlet.paging in ("link", "next"):
        yield f'paging = "{inlet.paging}" is for rest-poll'
    if inlet.format == "json" and not inlet.inside:
        yield 'format = "json" needs the place of the text that holds it: inside = "//return"'
    asked = " ".join([inlet.envelope, *inlet.parameters.values()])
    if inlet.paging in ("page", "offset", "cursor", "since") and f"{{{inlet.paging}}}" not in asked:
        yield f'paging = "{inlet.paging}" needs {{{inlet.paging}}} in parameters or envelope'


def _fhir_problems(inlet: FhirPollInlet) -> Iterable[str]:
    yield from fetcher_problems(inlet)
    if inlet.start != "now":
        yield from _start_problems(inlet)
    if not re.fullmatch(r"[A-Z][A-Za-z]+", inlet.resource):
        yield f"resource {inlet.resource!r} is no type of resource (for example DiagnosticReport)"
    if urlsplit(inlet.url).query:
        yield "url is the server's base, without a query: use parameters"
    ours = {"_lastUpdated", "_sort", "_count", "_include", "_revinclude"} & set(inlet.parameters)
    if ours:
        yield f"parameters: {min(ours)} is said by start, limit, include and revinclude"


def _url_problems(url: str, key: str, plain: bool) -> Iterable[str]:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        yield f"{key} is not an address"
        return
    if parts.scheme not in ("http", "https") or not host:
        yield f"{key} is not an http or https address"
    elif parts.username is not None or parts.password is not None:
        yield f"{key}: a user and a password do not belong in an address; use credentials with the name of a secret"
    elif parts.scheme == "http" and not plain and not _is_loopback(host):
        yield f"{key}: http without TLS needs plain = true; better https://{host}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_NEEDS: Mapping[str, tuple[str, ...]] = {
    "basic": ("user", "secret"),
    "bearer": ("secret",),
    "token": ("secret", "name"),
    "signature": ("secret", "name"),
    "oauth2": ("user", "secret", "token_url"),
    "wss": ("user", "secret"),
}


def _credential_problems(credentials: CredentialsConfig, plain: bool) -> Iterable[str]:
    for key in _NEEDS.get(credentials.kind, ()):
        if not getattr(credentials, key):
            yield f'credentials: kind = "{credentials.kind}" needs {key}'
    if credentials.token_url:
        yield from _url_problems(credentials.token_url, "credentials: token_url", plain)


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    RestPollInlet: _rest_problems,
    SoapPollInlet: _soap_problems,
    FhirPollInlet: _fhir_problems,
}

# Keys that name files, meant from the folder of agent.toml.
PATHS: dict[type[Any], tuple[str, ...]] = {
    FetcherConfig: ("ca", "certificate", "key"),
    SoapPollInlet: ("wsdl_file",),
}
