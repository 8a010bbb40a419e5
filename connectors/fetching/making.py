"""From the settings of an inlet that asks to the inlet: which parts it is made of."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from connectors.arrivals import Keep, Tap
from connectors.fetching.answers import Paths
from connectors.fetching.calling import Caller, CallOptions, place
from connectors.fetching.credentials import Credentials
from connectors.fetching.fetcher import Asker, Fetcher, FetchOptions
from connectors.fetching.fhir import FhirAsker, FhirOptions
from connectors.fetching.rest import RestAsker, RestOptions
from connectors.fetching.rounds import RoundOptions
from connectors.fetching.templates import ISO
from frontend_agent.config_fetchers import FetcherConfig, FhirPollInlet, PollConfig, RestPollInlet, SoapPollInlet
from frontend_agent.errors import ConfigurationError

Days = Literal["all", "working", "holidays"]


class Given(Protocol):
    """What an inlet is given beside its settings."""

    @property
    def keep(self) -> Keep: ...
    @property
    def tap(self) -> Tap: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...
    @property
    def recall(self) -> Callable[[], str]: ...
    @property
    def secret(self) -> Callable[[str], str]: ...
    @property
    def timezone(self) -> str: ...
    @property
    def remember(self) -> Callable[[str], None]: ...
    @property
    def has_day(self) -> Callable[[date, Days], bool]:
        """Whether a local day is one of `all`, `working` or `holidays`."""


def make_fetcher(name: str, config: FetcherConfig, given: Given) -> Fetcher:
    """The inlet of a table, by its type."""
    match config:
        case SoapPollInlet():
            return soap_poll(name, config, given)
        case FhirPollInlet():
            return fhir_poll(name, config, given)
        case RestPollInlet():
            return rest_poll(name, config, given)
    raise ConfigurationError(f"[inlets.{name}] type {config.type!r} is not one that asks")


def rest_poll(name: str, config: RestPollInlet, given: Given) -> Fetcher:
    """`rest-poll`."""
    caller = caller_of(name, config)
    asker = RestAsker(
        RestOptions(
            url=config.url,
            method=config.method,
            headers=config.headers,
            parameters=config.parameters,
            form=config.form,
            body=config.body,
            content_type=config.content_type,
            paging=config.paging,
            conditional=config.conditional,
        ),
        paths_of(config, config.format, config.inside),
        rounds_of(name, config, given),
        caller,
        credentials_of(name, config, caller, given),
        config.largest_answer,
    )
    return fetcher_of(name, config, asker, given)


def soap_poll(name: str, config: SoapPollInlet, given: Given) -> Fetcher:
    """`soap-poll`."""
    from connectors.fetching.soap import SoapAsker, SoapOptions  # zeep takes a third of a second to load

    caller = caller_of(name, config)
    wsdl = config.wsdl_file or config.wsdl or f"{config.url}?wsdl"
    asker = SoapAsker(
        SoapOptions(
            url=config.url,
            wsdl=wsdl,
            service=config.service,
            port=config.port,
            operation=config.operation,
            parameters=config.parameters,
            wrap=config.wrap,
            envelope=config.envelope,
            action=config.action,
            version=config.version,
            headers=config.headers,
            token=_username_token(config, given),
        ),
        paths_of(config, config.format, config.inside, "xml"),
        rounds_of(name, config, given),
        caller,
        caller_of(name, config, config.wsdl),
        credentials_of(name, config, caller, given),
        config.largest_answer,
    )
    return fetcher_of(name, config, asker, given, config.operation)


def fhir_poll(name: str, config: FhirPollInlet, given: Given) -> Fetcher:
    """`fhir-poll`."""
    caller = caller_of(name, config)
    options = FhirOptions(
        url=config.url,
        resource=config.resource,
        include=config.include,
        revinclude=config.revinclude,
        parameters=config.parameters,
        headers=config.headers,
        deletes=config.deletes,
    )
    rounds = RoundOptions(
        inlet=name,
        zone=ZoneInfo(given.timezone),
        start=config.start,
        overlap=config.overlap,
        time_format=ISO,
        by_path=True,
        paging="next",
        limit=config.limit,
        most_pages=config.most_pages,
    )
    asker = FhirAsker(options, rounds, caller, credentials_of(name, config, caller, given))
    return fetcher_of(name, config, asker, given, config.resource)


def _username_token(config: SoapPollInlet, given: Given) -> Any:
    """WS-Security's UsernameToken, with a new nonce for each request; None where another kind of credentials is meant."""
    from zeep.wsse.username import UsernameToken

    settings = config.credentials
    if settings.kind != "wss":
        return None
    return UsernameToken(settings.user, given.secret(settings.secret), use_digest=settings.digest, zulu_timestamp=True)


def caller_of(name: str, config: FetcherConfig, url: str = "") -> Caller:
    """The connection to the inlet's source, or to another address that its settings name."""
    return Caller(
        CallOptions(
            inlet=name,
            url=url or config.url,
            ca=config.ca,
            certificate=config.certificate,
            key=config.key,
            connect_timeout=config.connect_timeout,
            read_timeout=config.read_timeout,
            timeout=config.timeout,
            largest=config.largest_answer,
        )
    )


def credentials_of(name: str, config: FetcherConfig, caller: Caller, given: Given) -> Credentials:
    """Who asks, with the secret's value. Tokens are fetched over a connection of their own."""
    settings = config.credentials
    secret = given.secret(settings.secret) if settings.secret else ""
    asks = caller_of(name, config, settings.token_url).ask if settings.token_url else caller.ask
    return Credentials(settings, secret, asks, given.clock)


def paths_of(config: PollConfig, form: str, inside: str, outer: str = "") -> Paths:
    """Where things stand in an answer."""
    return Paths(
        format=form,
        inside=inside,
        outer=outer,
        each=config.each,
        watermark=config.watermark,
        id=config.id,
        cursor=config.cursor,
        more=config.more,
        success=config.success,
        failure=config.failure,
        empty=config.empty,
    )


def rounds_of(name: str, config: PollConfig, given: Given) -> RoundOptions:
    """How what is new is asked for."""
    return RoundOptions(
        inlet=name,
        zone=ZoneInfo(given.timezone),
        start=config.start,
        overlap=config.overlap,
        behind=config.behind,
        longest=config.longest,
        time_format=config.time_format,
        by_path=bool(config.watermark),
        numbers=config.watermark_type == "number",
        back=config.back,
        ordered=config.ordered,
        paging=config.paging,
        first_page=config.first_page,
        limit=config.limit,
        most_pages=config.most_pages,
        keep_cursor=config.keep_cursor,
    )


def fetcher_of(name: str, config: FetcherConfig, asker: Asker, given: Given, about: str = "") -> Fetcher:
    """The inlet itself."""
    options = FetchOptions(
        place=place(config.url),
        about=about,
        every=config.every,
        protected=config.protected,
        works=lambda local: given.has_day(local.date(), config.days),
        zone=ZoneInfo(given.timezone),
        largest=config.largest,
    )
    return Fetcher(name, options, asker, given.keep, given.tap, given.recall, given.remember, given.clock)
