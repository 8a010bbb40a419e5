"""What a machine asks of a platform to join it and to stay: whom to trust, a certificate, the next one (wire/joining.py).

The first time nothing of the platform is known but the fingerprint of its root, which came with the token. Its list of
authorities is read from whoever answers; only if the root of that fingerprint is in it, everything after that, the token
among it, goes over TLS that this root alone vouches for. Whoever stands in between learns nothing and can give nothing.
"""

import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from urllib3.exceptions import InsecureRequestWarning

from connectors.outlets.http import Answer, HttpEdge, Tls, Unanswered, origin
from frontend_agent.certificates import CertificateRefused, certificates_in, fingerprint, shown_fingerprint
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed
from frontend_agent.wire import joining as wire

TIMEOUT = timedelta(seconds=30)
JSON = "application/json"
_T = TypeVar("_T")


class Answered(msgspec.Struct, frozen=True):
    """What the platform gave, and how many seconds our clock is ahead where it says that these are too many."""

    enrolled: wire.Enrolled
    skew: int


class Told(msgspec.Struct, frozen=True):
    """Whom to trust. `renew`: the authority of our certificate retires, so that the next one should be asked for."""

    authorities: wire.Authorities
    renew: bool
    skew: int


class _Problem(msgspec.Struct, frozen=True):
    error: str = ""
    detail: str = ""


def first_authorities(url: str, root: str) -> wire.Authorities:
    """The platform's authorities, proven by the fingerprint of a root (SHA-256, hex). NotAllowed: it is another platform, or
    somebody in between."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRequestWarning)  # it is meant: the answer proves itself
        told = _authorities(HttpEdge("the platform", Tls(anybody=True), TIMEOUT), url, {}).authorities
    try:
        roots = certificates_in(told.roots.encode())
    except CertificateRefused as error:
        raise NotAllowed(f"{origin(url)} does not answer like our platform: {error}") from error
    proven = [one for one in roots if fingerprint(one) == root]
    if not proven:
        seen = ", ".join(shown_fingerprint(fingerprint(one)) for one in roots)
        raise NotAllowed(
            f"{origin(url)} is not the platform that the token is of: its root is {seen}, expected {shown_fingerprint(root)}."
            " Either the address is wrong, or somebody stands between us and the platform"
        )
    return told


class Joining:
    """One platform, asked with whatever certificate we have. `tls` is looked at before each question."""

    def __init__(self, url: str, tls: Callable[[], Tls]) -> None:
        self._url = url.rstrip("/")
        self._http = HttpEdge("the platform", tls, TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def authorities(self, trusts: str) -> Told:
        """Whom to trust now. `trusts`: digest of those that we trust, so that the platform knows."""
        return _authorities(self._http, self._url, {wire.TRUST_HEADER: trusts})

    def enrol(self, asked: wire.EnrolmentAsked) -> Answered:
        """DestinationUnreachable: ask again. NotAllowed: a person must act; the text says who and how."""
        return self._given(wire.ENROLMENTS, asked, {})

    def renew(self, asked: wire.RenewalAsked, trusts: str) -> Answered:
        return self._given(wire.RENEWALS, asked, {wire.TRUST_HEADER: trusts})

    def _given(self, path: str, asked: msgspec.Struct, headers: Mapping[str, str]) -> Answered:
        answer = _ask(self._http, "POST", self._url + path, msgspec.json.encode(asked), headers)
        return Answered(_read(answer, wire.Enrolled, self._url), skew_of(answer.headers))


def spoken(now: datetime, trusts: str) -> dict[str, str]:
    """The headers of every request to a platform that was joined."""
    return {wire.TIME_HEADER: now.isoformat(timespec="seconds"), wire.TRUST_HEADER: trusts}


def skew_of(headers: Mapping[str, str]) -> int:
    """Seconds that our clock is ahead, where the platform says that these are too many; otherwise 0."""
    try:
        return int(headers.get(wire.SKEW_HEADER.lower(), "0"))
    except ValueError:
        return 0


def _authorities(http: HttpEdge, url: str, headers: Mapping[str, str]) -> Told:
    answer = _ask(http, "GET", url.rstrip("/") + wire.AUTHORITIES, None, headers)
    authorities = _read(answer, wire.Authorities, url)
    return Told(authorities, wire.RENEW_HEADER.lower() in answer.headers, skew_of(answer.headers))


def _ask(http: HttpEdge, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    sent = {wire.TIME_HEADER: datetime.now(UTC).isoformat(timespec="seconds"), **headers}
    try:
        answer = http.ask(method, url, body, {**sent, "Content-Type": JSON} if body else sent)
    except Unanswered as error:
        raise DestinationUnreachable(f"{origin(url)}: {error}") from error
    if answer.status in (200, 202):
        return answer
    told = _problem(answer)
    skew = skew_of(answer.headers)
    clock = f" (our clock is {abs(skew)} s {'ahead' if skew > 0 else 'behind'}: set it)" if skew else ""
    if answer.status in (408, 500, 502, 503, 504):
        raise DestinationUnreachable(f"{origin(url)} answered {answer.status}: {told}{clock}")
    raise NotAllowed(f"{origin(url)} answered {answer.status}: {told}{clock}")


def _problem(answer: Answer) -> str:
    try:
        return msgspec.json.decode(answer.body, type=_Problem).detail or "no reason"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "it does not answer like our platform"


def _read(answer: Answer, kind: type[_T], url: str) -> _T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAllowed(f"{origin(url)} does not answer like our platform") from error


def is_platform_address(url: str) -> str:
    """The address without what follows. ConfigurationError: agents join by https alone."""
    if not url.startswith("https://"):
        raise ConfigurationError(f"{url}: platforms are joined by https alone (https://HOST:8443)")
    return url.rstrip("/")
