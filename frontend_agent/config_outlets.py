"""[destinations.NAME]: where documents go. `type` says which settings a table has; without one it is our own platform.

A new type is a dataclass here and a line in OUTLETS; what no single key can be wrong about is a line in CHECKS.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from frontend_agent.config_answers import AnswerConfig
from frontend_agent.config_files import (
    NO_FEEDBACK,
    FeedbackConfig,
    Laying,
    SftpServer,
    folder_of,
    laying_problems,
    sftp_problems,
)
from frontend_agent.config_types import NAMES_A_SECRET, NONE, ONE, Count


@dataclass(frozen=True, kw_only=True)
class OutletConfig:
    """What every destination has."""

    type: str
    url: str  # where it is, in the words of its protocol: https://… mllp://… sftp://… file:///…
    timeout: timedelta = timedelta(seconds=30)
    batch: int = 100
    deidentified: bool = False  # no direct identifier of a patient may reach it
    pseudonym_key: str = field(
        default="", metadata=NAMES_A_SECRET
    )  # the NAME of the secret that its pseudonyms are made with
    edition: str = ""  # destinations that get other content than the others get documents of their own: their name
    kinds: tuple[str, ...] = ()  # go there, and no others; empty: all that the feeds make


@dataclass(frozen=True, kw_only=True)
class ForeignConfig(OutletConfig):
    """What every destination has that is not our platform: its answers prove no storage (law 5)."""

    certificate: str = ""  # PEM file of our certificate chain, where it asks for one
    key: str = ""  # PEM file of its private key
    ca: str = ""  # PEM file: who signed its certificate, instead of the system's list
    secret: str = ""  # the NAME of its password, token or key
    retention: timedelta = timedelta(
        days=90
    )  # how long what was accepted and never confirmed is kept ready to go again
    register_first: bool = False  # a document waits until the registrations it names were accepted there
    registrations: tuple[str, ...] = ()  # of these only (patient, institution, staff, …); empty: of all it names
    patience: timedelta = timedelta(hours=24)  # a document that waits longer for a registration is an alarm
    feedback: FeedbackConfig = NO_FEEDBACK  # files in which it says later what became of what it accepted


@dataclass(frozen=True, kw_only=True)
class DestinationConfig(OutletConfig):
    """Our own platform. Plain HTTP only to this machine itself."""

    type: Literal["platform"] = "platform"
    url: str = ""  # https://…; none in the inner half of an agent across a gap
    certificate: str = ""  # PEM file of our certificate chain, where it was not made by `enroll`
    key: str = ""  # PEM file of its private key
    ca: str = ""  # PEM file: who signed the platform's certificate, instead of the system's list


@dataclass(frozen=True, kw_only=True)
class PackagesOutlet(ForeignConfig):
    """Packages of data sets over HTTPS: a zip of JSON files per visit, or of the documents themselves."""

    type: Literal["packages"]
    plain: bool = False  # http:// to another machine is in the clear: somebody has decided that the line is safe
    inner_version: str = ""  # of the platform's data standard; may stand in the file of data_sets instead
    data_sets: str = ""  # a site's own table of elements, beside the one that ships with us
    carry: Literal["data-sets", "files"] = "data-sets"  # packType 1 or 2
    origin: Literal["mapped", "standard"] = (
        "mapped"  # origin/: what code maps say of local codes; or the same as standard/
    )
    opens: tuple[str, ...] = ()  # kinds of which the first version opens a visit there; without one it is a supplement
    org_code: str = ""  # our institution's code there; empty: [institution] id
    patient_id: tuple[str, ...] = ("patient.inpatient_number", "patient.outpatient_number")
    event_no: tuple[str, ...] = ("patient.inpatient_number", "patient.outpatient_number")
    event_time: tuple[str, ...] = ("encounter.admitted_at", "encounter.time", "visit.time", "admitted_at")
    day_as_midnight: bool = False  # a visit of which only the day is known is sent as 00:00:00 of that day
    date_format: str = ""  # of dates and times in data sets: yyyy-MM-dd'T00:00:00Z'; empty: digits
    datetime_format: str = ""
    encryption: Literal["aes", "zipcrypto"] = "aes"
    public_key: str = ""  # PEM or DER file of the institution's key there; empty: asked for
    authorization: str = ""  # header, {secret} in it: "Bearer {secret}"
    token_field: str = ""  # the secret as a field of the form: access_token
    upload_path: str = "/api/v1.0/packages"
    key_path: str = "/api/v1.0/securities/organizations/{org}/key/public"
    status_path: str = "/api/v1.0/packages"  # "" where it cannot be asked
    status_filter: str = "md5_value={md5};org_code={org}"
    quality: bool = False  # stored there is not enough: quality control must have passed as well
    ask_again: tuple[str, ...] = ("complete package",)  # in the reason of a failure: the same may be sent once more
    ask_every: timedelta = timedelta(minutes=10)
    ask_first: timedelta = timedelta(minutes=2)
    ask_until: timedelta = timedelta(days=7)  # what nobody said anything about by then is asked for no more


@dataclass(frozen=True, kw_only=True)
class TableOutlet(ForeignConfig):
    """Rows into shared tables of the region, by SQL: postgresql, mysql, mariadb, oracle or mssql. `secret` is the password."""

    type: Literal["table"]
    tables: str  # file of the tables and their columns
    date_format: str = "yyyyMMdd"  # where a column says none of its own
    datetime_format: str = "yyyyMMddHHmmss"
    status_column: str = ""  # of a kind's first table: the region writes there what became of the row
    status_stored: tuple[str, ...] = ("1",)
    status_refused: tuple[str, ...] = ("2",)
    reason_column: str = ""
    ask_every: timedelta = timedelta(minutes=10)
    ask_first: timedelta = timedelta(minutes=5)
    ask_until: timedelta = timedelta(days=7)  # what nobody said anything about by then is asked for no more


@dataclass(frozen=True, kw_only=True)
class MllpOutlet(ForeignConfig):
    """HL7 v2 over MLLP: mllp://host:port, or mllps:// with TLS."""

    type: Literal["mllp"]
    plain: bool = False  # mllp:// to another machine is in the clear: somebody has decided that the line is safe
    outstanding: Count = ONE  # messages on the way that wait for their answer; many receivers take one at a time
    answer: Literal["original", "accept", "application"] = (
        "original"  # AA decides; enhanced mode: CA decides; CA is only waited on, and AA decides
    )
    error: Literal["refuse", "retry"] = "refuse"  # AE: the same bytes would fail again, or it was busy
    messages: tuple[str, ...] = ()  # of those that a kind gives, these only: ORU_R01, ADT_A08; empty: all
    otherwise: Literal["document", "refuse"] = "document"  # a kind without a message of its own goes whole (MDM)
    sending_application: str = "FRONTEND-AGENT"  # MSH-3
    receiving_application: str = "REGION"  # MSH-5
    receiving_facility: str = ""  # MSH-6
    processing: Literal["P", "T", "D"] = "P"  # MSH-11
    character_set: Literal["UNICODE UTF-8", "GB 18030-2000"] = "UNICODE UTF-8"  # MSH-18


@dataclass(frozen=True, kw_only=True)
class XdsOutlet(ForeignConfig):
    """IHE XDS.b: a repository that takes ITI-41, and the registry behind it where ITI-18 may be asked."""

    type: Literal["xds"]
    plain: bool = False  # http:// to another machine is in the clear: somebody has decided that the line is safe
    registry_url: str = ""  # asked later what it has: then what was accepted is confirmed
    codes: str  # file of the affinity domain's codes
    source_id: str  # OID: who we are to the affinity domain
    assigning_authority: str  # OID: whose patient numbers these are
    source_authority: str = ""  # OID of the hospital's own numbers; empty: the same
    patient_id: tuple[str, ...] = ("patient.inpatient_number", "patient.outpatient_number")
    patient_info: bool = False  # name, birth date and sex stand in the metadata as well
    service_start: tuple[str, ...] = ("encounter.admitted_at", "encounter.time", "visit.time", "admitted_at")
    service_stop: tuple[str, ...] = ("encounter.discharged_at", "discharged_at")
    unique_id: Literal["cda", "oid"] = "cda"  # root^extension of the document's own id, or an OID made of it
    attach: Literal["mtom", "base64"] = "mtom"
    retry_codes: tuple[str, ...] = (
        "XDSRegistryBusy",
        "XDSRepositoryBusy",
        "XDSRegistryNotAvailable",
        "XDSRegistryOutOfResources",
        "XDSRepositoryOutOfResources",
    )
    ask_every: timedelta = timedelta(minutes=30)
    ask_first: timedelta = timedelta(minutes=5)
    ask_until: timedelta = timedelta(days=7)  # what nobody said anything about by then is asked for no more


@dataclass(frozen=True, kw_only=True)
class RequestConfig:
    """One request of a private interface. Texts may hold placeholders; of the address only what stands behind the host."""

    url: str = ""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    body: Literal["json", "xml", "form", "multipart", "content", ""] = ""  # content: the document's bytes alone
    template: str = ""  # file of a JSON or XML body
    fields: dict[str, str] = field(default_factory=dict)  # of a form; in multipart `@` before a value makes it a file


@dataclass(frozen=True, kw_only=True)
class LoginConfig(RequestConfig):
    """[destinations.NAME.login]: a request that gives a token. `{token}` then stands in the other requests."""

    token: str = ""  # where it stands in the answer: json $.data.token, xml //token, text ^(.*)$
    lasts_path: str = ""  # where the answer says how many seconds it is good for
    lasts: timedelta = timedelta(minutes=30)  # where it does not


@dataclass(frozen=True, kw_only=True)
class SignConfig:
    """[destinations.NAME.sign]: a signature over each request; `{signature}` in its headers, or a member of its body."""

    algorithm: Literal["", "md5", "sha1", "sha256", "hmac-md5", "hmac-sha1", "hmac-sha256", "hmac-sha512"] = ""
    text: str = (
        "{sorted}"  # what is signed: {sorted} a=1&b=2 of the members in order, {body}, {timestamp}, {nonce}, {secret}
    )
    secret: str = ""  # the NAME of its key, where it is not the destination's secret
    write: Literal["hex", "HEX", "base64"] = "hex"
    into: str = ""  # the member of a JSON object, or the field of a form, that holds it
    timestamp: str = "epoch_ms"  # how {timestamp} is written


@dataclass(frozen=True, kw_only=True)
class ItemsConfig:
    """[destinations.NAME.items]: of a batch, where each document's own answer stands in the one answer."""

    each: str = ""  # json $.results[*]
    id: str = ""  # in each of them, what names the document: $.id
    means: str = "document.id"  # and which of our names that is


@dataclass(frozen=True, kw_only=True)
class ConfirmConfig(RequestConfig):
    """[destinations.NAME.confirm]: a question asked later about each document that was accepted (law 5)."""

    every: timedelta = timedelta(minutes=30)
    first: timedelta = timedelta(minutes=5)
    until: timedelta = timedelta(days=7)
    stored: tuple[str, ...] = ()  # patterns of the answer, as in [answer]: it has it
    rejected: tuple[str, ...] = ()  # it will not have it
    lost: tuple[str, ...] = ()  # it does not have it: the same bytes go again
    reason: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RestOutlet(ForeignConfig):
    """A private REST interface (dialect D): requests and what their answers mean, by settings."""

    type: Literal["rest"]
    batch: int = 1  # documents in one request
    request: RequestConfig
    answer: AnswerConfig
    items: ItemsConfig = field(default_factory=ItemsConfig)
    login: LoginConfig = field(default_factory=LoginConfig)
    sign: SignConfig = field(default_factory=SignConfig)
    confirm: ConfirmConfig = field(default_factory=ConfirmConfig)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)  # national code -> theirs, by table


@dataclass(frozen=True, kw_only=True)
class FolderOutlet(Laying, ForeignConfig):
    """Files in a folder of this machine or of a mounted share: file:///…"""

    type: Literal["folder"]


@dataclass(frozen=True, kw_only=True)
class SftpOutlet(Laying, SftpServer, ForeignConfig):
    """Files on an SFTP server: sftp://user@host/folder."""

    type: Literal["sftp"]


@dataclass(frozen=True, kw_only=True)
class HipOutlet(ForeignConfig):
    """The national services of a region, `HIPMessageServer` over SOAP (dialects A and B). `secret`: token or password."""

    type: Literal["hip"]
    dialect: Literal["A", "B"] = "B"  # which names its actions have
    actions: dict[str, str] = field(default_factory=dict)  # service number -> action, where it has another name there
    prefix: str = ""  # before every action: XT-
    soap: Literal["1.1", "1.2"] = "1.2"
    soap_action: str = ""  # empty: namespace and operation
    namespace: str = "urn:hl7-org:v3"
    operation: str = "HIPMessageServer"
    parameters: tuple[str, ...] = ("action", "message")  # what the two are called
    qualified: bool = True  # they stand in the namespace; many Java services want them without
    wrap: Literal["cdata", "escape"] = "cdata"
    envelope: str = ""  # the region's own around the message, with {message} {cdata} {escaped} {id} {action} {sender} …
    token_parameter: str = ""  # a third parameter with the secret: token
    username: str = ""  # WS-Security UsernameToken with the secret as its password
    digest: bool = False  # of the password, instead of itself
    carry: Literal["base64", "inside", "beside", "bare"] = "base64"  # how a document travels
    document_parameter: str = "document"  # of `beside`
    largest: Count = NONE  # characters of base64 that it takes; more is refused here. 0: not known
    voids: Literal["refuse", "update"] = "refuse"  # a withdrawal, for which the services have no word
    identity: Literal["version", "set"] = (
        "version"  # what 文档流水号 is: of each version, or of all versions of a document
    )
    document_codes: dict[str, str] = field(default_factory=dict)  # kind -> its document type there
    confidentiality: str = "N"
    patient_id: tuple[str, ...] = ("patient.local_id", "patient.outpatient_number", "patient.inpatient_number")
    sender: str = ""  # our system's id there, as agreed
    receiver: str = ""
    processing: Literal["P", "D", "T"] = "P"  # production, debugging, training
    date_format: str = (
        ""  # as in a profile's [formats]; empty: as the profile says, digits in a registration of a document
    )
    datetime_format: str = ""
    answer: AnswerConfig = field(default_factory=AnswerConfig)
    match_target: bool = True  # an acknowledgement of another message is none
    confirm: Literal["", "retrieve", "access"] = ""  # asked later: for the content, or for its name in a list
    ask_every: timedelta = timedelta(minutes=30)
    ask_first: timedelta = timedelta(minutes=5)


OUTLETS: dict[str, type[OutletConfig]] = {
    "hip": HipOutlet,
    "folder": FolderOutlet,
    "sftp": SftpOutlet,
    "mllp": MllpOutlet,
    "platform": DestinationConfig,
    "packages": PackagesOutlet,
    "table": TableOutlet,
    "xds": XdsOutlet,
    "rest": RestOutlet,
}


def url_problems(url: str, plain: bool = False) -> Iterable[str]:
    """What is wrong with an address that documents are sent to. `plain`: somebody has decided that the line is safe."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        yield f"url is not an address: {url!r}"
        return
    if parts.username is not None or parts.password is not None:
        yield 'url holds a user or a password; name it instead: secret = "…", and keep it outside this file'
    elif parts.scheme not in ("http", "https") or not host:
        yield f"url is not an http or https address: {url!r}"
    elif parts.scheme == "http" and not (plain or is_loopback(host)):
        yield f"url: plain http is for this machine only; use https://{host}"


def outlet_problems(outlet: OutletConfig) -> Iterable[str]:
    """What can be wrong with any destination."""
    if outlet.deidentified and not outlet.pseudonym_key:
        yield 'deidentified needs the name of a secret for its pseudonyms: pseudonym_key = "…"'
    if outlet.pseudonym_key and not outlet.deidentified:
        yield "pseudonym_key does nothing without deidentified = true"
    if not re.fullmatch(r"[a-z0-9_-]{0,40}", outlet.edition):
        yield f"edition {outlet.edition!r} may hold small letters, digits, '-' and '_' only, 40 at most"


def foreign_problems(outlet: ForeignConfig) -> Iterable[str]:
    """What can be wrong with any destination that is not our platform."""
    yield from outlet_problems(outlet)
    if bool(outlet.certificate) != bool(outlet.key):
        yield "certificate and key go together"
    if outlet.registrations and not outlet.register_first:
        yield "registrations does nothing without register_first = true"


def _platform(destination: DestinationConfig) -> Iterable[str]:
    if destination.url:
        yield from url_problems(destination.url)
    yield from outlet_problems(destination)
    if bool(destination.certificate) != bool(destination.key):
        yield "certificate and key go together"


def _packages(outlet: PackagesOutlet) -> Iterable[str]:
    yield from url_problems(outlet.url, outlet.plain)
    yield from foreign_problems(outlet)
    if not (outlet.inner_version or outlet.data_sets):
        yield "inner_version is missing: the platform's operator says it, and a package without it is refused"
    for key in ("patient_id", "event_no", "event_time"):
        if not getattr(outlet, key):
            yield f"{key} names no field: a package without it is refused"
    for key, known in (("key_path", ("org",)), ("status_filter", ("md5", "org"))):
        if unknown := sorted(
            set(re.findall(r"[{}][^{}]*[{}]?", getattr(outlet, key))) - {f"{{{one}}}" for one in known}
        ):
            places = " and ".join(f"{{{one}}}" for one in known)
            yield f"{key}: {unknown[0]!r} means nothing here: {places} may stand in it"
    if (outlet.authorization or outlet.token_field) and not outlet.secret:
        yield "authorization and token_field need the name of a secret"


SQL_FAMILIES = ("postgresql", "mysql", "mariadb", "oracle", "mssql")


def database_of(url: str) -> tuple[str, str, int, str]:
    """Which database a URL means, for telling two of them apart: family, host, port, name."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # told where the settings are looked at one by one
        return "", "", 0, url
    scheme = parts.scheme.partition("+")[0]
    family = {"mariadb": "mysql", "postgres": "postgresql", "sqlserver": "mssql"}.get(scheme, scheme)
    host = (parts.hostname or "localhost").lower()
    usual = {"postgresql": 5432, "mysql": 3306, "oracle": 1521, "mssql": 1433}.get(family, 0)
    return family, "localhost" if is_loopback(host) else host, parts.port or usual, parts.path.strip("/").lower()


def _table(outlet: TableOutlet) -> Iterable[str]:
    yield from foreign_problems(outlet)
    try:
        parts = urlsplit(outlet.url)
        _ = parts.port
    except ValueError:
        yield "url is not an address (for example postgresql://writer@10.1.0.5:5432/region)"
        return
    if parts.scheme not in SQL_FAMILIES:
        yield f"url: {parts.scheme!r} is none of {', '.join(SQL_FAMILIES)} (for example postgresql://writer@10.1.0.5/region)"
    if parts.password is not None:
        yield 'url holds a password; name it instead: secret = "…", and keep it outside this file'
    if outlet.reason_column and not outlet.status_column:
        yield "reason_column does nothing without status_column"


def _mllp(outlet: MllpOutlet) -> Iterable[str]:
    yield from foreign_problems(outlet)
    try:
        parts = urlsplit(outlet.url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        yield f"url is not an address: {outlet.url!r}"
        return
    if parts.scheme not in ("mllp", "mllps") or not host:
        yield f"url is not mllp://host:port or mllps://host:port: {outlet.url!r}"
    elif parts.scheme == "mllp" and not (outlet.plain or is_loopback(host)):
        yield f"url: mllp:// to another machine is in the clear; use mllps://{host}, or say plain = true for a line that is safe"
    if outlet.certificate and parts.scheme != "mllps":
        yield "certificate needs mllps://"


OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")


def _xds(outlet: XdsOutlet) -> Iterable[str]:
    yield from url_problems(outlet.url, outlet.plain)
    yield from foreign_problems(outlet)
    if outlet.registry_url:
        yield from (
            problem.replace("url", "registry_url", 1) for problem in url_problems(outlet.registry_url, outlet.plain)
        )
    for key in ("source_id", "assigning_authority", "source_authority"):
        if (key != "source_authority" or getattr(outlet, key)) and not OID.fullmatch(getattr(outlet, key)):
            yield f"{key} = {getattr(outlet, key)!r} is no OID (digits and dots, for example 2.16.156.10011.1.12)"
    if not outlet.patient_id:
        yield "patient_id names no field: an entry without a patient is refused"


def _rest(outlet: RestOutlet) -> Iterable[str]:
    from frontend_agent.answers import problems  # with its XML library: not for every command

    yield from url_problems(outlet.url)
    yield from foreign_problems(outlet)
    for name in ("request", "login", "confirm"):
        request: RequestConfig = getattr(outlet, name)
        yield from (f"{name}: {problem}" for problem in _request_problems(outlet.url, request))
    if not outlet.request.body and outlet.request.method not in ("GET", "DELETE"):
        yield 'request: body is missing: "json", "xml", "form", "multipart" or "content"'
    if not outlet.answer.success:
        yield "answer: success is missing: what a yes looks like only the interface description can say"
    yield from (f"answer: {problem}" for problem in problems(outlet.answer))
    asked = outlet.confirm
    told = AnswerConfig(success=asked.stored, failure=asked.rejected, retry=asked.lost, reason=asked.reason)
    words = {"success": "stored", "failure": "rejected", "retry": "lost"}
    for problem in problems(told):
        key, _, rest = problem.partition(": ")
        yield f"confirm: {words.get(key, key)}: {rest}"
    if asked.url and not asked.stored:
        yield "confirm: stored is missing: what a yes looks like only the interface description can say"
    if outlet.login.url and not outlet.login.token:
        yield "login: token is missing: where it stands in the answer (json $.data.token)"
    if outlet.sign.algorithm and not (outlet.sign.secret or outlet.secret):
        yield "sign: the NAME of a secret is missing"
    if outlet.batch > 1 and outlet.request.body not in ("json", "xml"):
        yield f"batch = {outlet.batch}: several documents stand in one request only as json or xml"
    for key, text in {"url": outlet.request.url, **outlet.request.headers}.items() if outlet.batch > 1 else ():
        if found := re.search(r"\{(?:document|record|content)\b[^{}]*\}", text):
            yield (
                f"request: {key}: {found[0]} is of one document, and batch = {outlet.batch}: write it within "
                '{"each": "documents", …} of the template ({batch.id} names the request), or batch = 1'
            )
    if bool(outlet.items.each) != bool(outlet.items.id):
        yield "items: each and id go together"


def _request_problems(base: str, request: RequestConfig) -> Iterable[str]:
    if request.url.startswith(("http:", "https:")):
        yield "url: write what stands behind the destination's own url (/api/…): another host would be another destination"
    if request.template and request.body not in ("json", "xml"):
        yield "template is for a body of json or xml"
    if request.body in ("json", "xml") and not request.template:
        yield f"body = {request.body!r} needs a template: the name of a file"
    if request.fields and request.body not in ("form", "multipart"):
        yield "fields are for a body of form or multipart"


def _folder(outlet: FolderOutlet) -> Iterable[str]:
    yield from foreign_problems(outlet)
    yield from laying_problems(outlet)
    try:
        folder_of(outlet.url)
    except ValueError as error:
        yield str(error)


def _sftp(outlet: SftpOutlet) -> Iterable[str]:
    yield from foreign_problems(outlet)
    yield from laying_problems(outlet)
    yield from sftp_problems(outlet)


_ENVELOPE_NAMES = ("message", "cdata", "escaped", "id", "action", "sender", "receiver", "time")


def _hip(outlet: HipOutlet) -> Iterable[str]:
    from frontend_agent.answers import problems  # with its XML library: not for every command

    yield from url_problems(outlet.url)
    yield from foreign_problems(outlet)
    yield from (f"answer: {problem}" for problem in problems(outlet.answer))
    if len(outlet.parameters) != 2:
        yield 'parameters are two names: parameters = ["action", "message"]'
    names = [*outlet.parameters, *filter(None, (outlet.operation, outlet.token_parameter, outlet.document_parameter))]
    if wrong := [name for name in names if not re.fullmatch(r"[A-Za-z_][\w.-]*", name)]:
        yield f"{', '.join(map(repr, wrong))}: not the name of an element"
    if bool(outlet.username or outlet.token_parameter) != bool(outlet.secret):
        yield "token_parameter or username, and the name of a secret, go together"
    if outlet.digest and not outlet.username:
        yield "digest does nothing without username"
    if outlet.largest and outlet.carry != "base64":
        yield 'largest counts characters of base64: it does nothing without carry = "base64"'
    used = set(re.findall(r"\{(\w+)\}", outlet.envelope))
    if outlet.envelope and not used & {"message", "cdata", "escaped"}:
        yield "envelope holds no message: {message}, {cdata} or {escaped}"
    if unknown := sorted(used - set(_ENVELOPE_NAMES)):
        yield f"envelope: {', '.join(unknown)} is not known (known: {', '.join(_ENVELOPE_NAMES)})"
    from frontend_agent.formats.stamps import DATES, TIMES  # here: reading the file loads no XML library

    for key, known in (("date_format", DATES), ("datetime_format", TIMES)):
        wanted = getattr(outlet, key)
        if wanted and wanted not in known:
            yield f"{key} {wanted!r} is not one of {', '.join(known)}"


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    HipOutlet: _hip,
    FolderOutlet: _folder,
    SftpOutlet: _sftp,
    MllpOutlet: _mllp,
    DestinationConfig: _platform,
    PackagesOutlet: _packages,
    TableOutlet: _table,
    XdsOutlet: _xds,
    RestOutlet: _rest,
}


def is_loopback(host: str) -> bool:
    """Whether that name can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
