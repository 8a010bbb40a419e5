"""From the settings of an inlet over HTTP to the inlet: its service, who may call it, and the port it shares."""

from dataclasses import fields, replace
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from connectors.arrivals import Inlet, Keep, Tap
from connectors.web import Ports, Service, WebListener, WebOptions
from connectors.web.credentials import Anybody, Basic, Bearer, Credentials, Signature
from connectors.web.dialects import DIALECTS
from connectors.web.fhir import FhirService
from connectors.web.soap import SoapOptions, SoapService
from connectors.web.username_token import UsernameToken
from connectors.web.webhook import WebhookOptions, WebhookService
from frontend_agent.config_web import NONE_OF_IT, FhirSubscriptionInlet, SoapInlet, WebConfig, WebhookInlet

PORTS = Ports()  # a port is the process's, whoever asks for it


class Given(Protocol):
    """What an inlet is given beside its settings."""

    @property
    def keep(self) -> Keep: ...
    @property
    def tap(self) -> Tap: ...
    @property
    def clock(self) -> Any: ...
    @property
    def secret(self) -> Any: ...
    @property
    def timezone(self) -> str: ...


def inlet(name: str, config: WebConfig, given: Given) -> Inlet:
    """The inlet of a table of one of LISTENERS."""
    if isinstance(config, SoapInlet):
        return _soap(name, config, given)
    if isinstance(config, WebhookInlet):
        return _webhook(name, config, given)
    assert isinstance(config, FhirSubscriptionInlet)
    return _fhir_subscription(name, config, given)


def _soap(name: str, config: SoapInlet, given: Given) -> Inlet:
    secrets = _secrets(config, given)
    user = None
    if config.security in ("username-text", "username-digest"):
        is_digest = config.security == "username-digest"
        user = UsernameToken(config.user, secrets, "digest" if is_digest else "text", config.window, given.clock)
    who = _credentials(config, config.security, "Authorization", secrets)
    service = SoapService(name, soap_options(config, secrets), ZoneInfo(given.timezone), who, user)
    return _listener(name, config, service, given)


def soap_options(config: SoapInlet, secrets: tuple[str, ...] = ()) -> SoapOptions:
    """The dialect, with what the site says laid over it."""
    base = DIALECTS[config.dialect]
    said: dict[str, Any] = {}
    for key in ("service", "namespace", "operations", "action_parameter", "message_parameter", "token_parameter", "result",
                "actions", "answer", "address"):  # fmt: skip
        value = getattr(config, key)
        if value:
            said[key] = "" if value == NONE_OF_IT else value
    if config.names:
        said["qualified"] = config.names == "qualified"
    if config.soap != "both":
        said["versions"] = (config.soap,)
    if config.id:
        said["ids"], said["sources"] = config.id, config.source
    elif config.source:
        said["sources"] = config.source
    return replace(
        base,
        largest=int(config.largest),
        content=config.content,
        format=config.format,
        codes=(config.accepted_code, config.refused_code),
        accepted=config.accepted_text,
        fault_status=int(config.fault_status),
        secrets=secrets,
        **said,
    )


def _webhook(name: str, config: WebhookInlet, given: Given) -> Inlet:
    options = WebhookOptions(
        largest=int(config.largest),
        methods=config.methods,
        format=config.format,
        id_header=config.id_header.lower(),
        ids=config.id,
        about_header=config.about_header.lower(),
        abouts=config.about,
        status=int(config.status),
        answer=config.answer,
        codes=(config.accepted_code, config.refused_code),
        accepted=config.accepted_text,
    )
    secrets = _secrets(config, given)
    who: Credentials
    if config.auth == "hmac":
        who = Signature(
            secrets=secrets,
            header=config.signature_header.lower(),
            prefix=config.signature_prefix,
            encoding=config.signature_encoding,
            signed=config.signed,
            timestamp_header=config.timestamp_header.lower(),
            tolerance=config.tolerance,
            clock=given.clock,
        )
    else:
        who = _credentials(config, config.auth, config.token_header, secrets)
    return _listener(name, config, WebhookService(name, options, ZoneInfo(given.timezone), who), given)


def _fhir_subscription(name: str, config: FhirSubscriptionInlet, given: Given) -> Inlet:
    who = _credentials(config, config.auth, config.token_header, _secrets(config, given))
    return _listener(name, config, FhirService(name, config.path, int(config.largest), who), given, below=True)


def _secrets(config: WebConfig, given: Given) -> tuple[str, ...]:
    return tuple(given.secret(one) for one in (config.secret, config.old_secret) if one)


def _credentials(config: WebConfig, way: str, header: str, secrets: tuple[str, ...]) -> Credentials:
    if way == "bearer":
        return Bearer(secrets=secrets, header=header.lower())
    return Basic(user=config.user, secrets=secrets) if way == "basic" else Anybody()


def _listener(name: str, config: WebConfig, service: Service, given: Given, below: bool = False) -> Inlet:
    of_port = {one.name: getattr(config, one.name) for one in fields(WebOptions) if hasattr(config, one.name)}
    of_port.pop("largest")  # of each inlet by itself
    return WebListener(
        name, WebOptions(**of_port), config.path, service, given.keep, given.tap, given.clock, PORTS, below=below
    )
