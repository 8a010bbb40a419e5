"""One HTTP request at a time to one address that a person configured, with every door shut that need not be open.

- No proxy, CA bundle or password comes from the environment; redirects are refused, and told.
- The address that a name led to is looked at when the connection stands, before a byte is sent: link-local, multicast and
  unspecified addresses are refused, and this machine unless the name says this machine (threat C5, also where a name is
  rebound: what is checked is the connection that is used).
- Connecting, each silence and the whole exchange have their time; an answer has its size, counted after it was unpacked.
- What is logged is place, status, bytes and seconds: no query, no header, no body (law 9).

Why urllib3 and not requests on top of it: the connection itself must be looked at, and cut.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.deadline import Cut
from frontend_agent.errors import ConfigurationError, SourceError, SourceRefused, SourceUnreachable
from frontend_agent.logs import event, log

PIECE = 64 * 1024
MOST_HEADERS = 200


class Request(msgspec.Struct, frozen=True):
    """What is sent. `url` may hold a query; `place` is what may be told of it."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Answer(msgspec.Struct, frozen=True):
    """What came back, unpacked. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class TooMuch(SourceError):
    """The answer is larger than `largest` allows. Asking for less at once helps; waiting does not."""


class ComeLater(SourceUnreachable):
    """The source asks for patience (429, 503 with Retry-After): for so many seconds, 0 where it does not say."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """How an inlet's source is called."""

    inlet: str
    url: str  # its origin is the only one that is ever called
    ca: str = ""
    certificate: str = ""
    key: str = ""
    connect_timeout: timedelta = timedelta(seconds=10)
    read_timeout: timedelta = timedelta(seconds=30)
    timeout: timedelta = timedelta(minutes=2)
    largest: int = 64 << 20


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an http(s) address. Raises ConfigurationError for anything else."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ConfigurationError("not an address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError("neither an http nor an https address")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("an address with a user or a password in it: name a secret instead")
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def place(url: str) -> str:
    """An address as it may be told: without its query, which may hold a person's number."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Caller:
    """The one connection of an inlet. `ask` is called by one thread; `cut` by any."""

    def __init__(self, options: CallOptions) -> None:
        self._options = options
        self._origin = origin(options.url)
        self._says_this_machine = _is_this_machine(self._origin[1])
        self._line: socket.socket | None = None  # a second handle of the connection: what cuts it
        self._closing = threading.Lock()
        self._pool = self._opened()

    def ask(self, request: Request) -> Answer:
        """The answer, whatever its status; a redirect too. SourceUnreachable, SourceRefused, TooMuch."""
        if origin(request.url) != self._origin:
            raise SourceRefused(
                f"inlet {self._options.inlet}: {place(request.url)} is not at {place(self._options.url)}"
            )
        began = time.monotonic()
        try:
            with Cut(self._options.timeout.total_seconds(), self.cut) as whole:
                answer = self._exchanged(request)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self._hang_up()
            raised = self._told(error, whole.passed, request)
            self._log(request, type(error).__name__, 0, began)
            raise raised from None
        except BaseException:
            self._hang_up()
            raise
        self._log(request, answer.status, len(answer.body), began)
        return answer

    def cut(self) -> None:
        """End what is under way; it fails as a connection that broke."""
        with self._closing:
            if self._line is not None:
                with contextlib.suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        self.cut()
        self._pool.clear()
        self._remember(None)

    def _remember(self, line: socket.socket | None) -> None:
        with self._closing:
            if self._line is not None:
                self._line.close()
            self._line = line

    def _exchanged(self, request: Request) -> Answer:
        options = self._options
        response = self._pool.request(
            request.method,
            request.url,
            body=request.body or None,
            headers={"Accept-Encoding": "gzip", "User-Agent": "frontend-agent", **request.headers},
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(
                connect=options.connect_timeout.total_seconds(), read=options.read_timeout.total_seconds()
            ),
        )
        try:
            body = bytearray()
            for piece in response.stream(PIECE, decode_content=True):
                body += piece
                if len(body) > options.largest:
                    raise TooMuch(
                        f"inlet {options.inlet}: {place(request.url)} answers with more than {options.largest} bytes:"
                        " ask for less at once (limit, longest) or allow more (largest_answer)"
                    )
        except BaseException:
            response.close()  # the rest is not waited for
            raise
        response.release_conn()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, bytes(body), request.url)

    def _opened(self) -> urllib3.PoolManager:
        owner, options = self, self._options

        class _Http(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return owner._watched(super()._new_conn())

        class _Https(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return owner._watched(super()._new_conn())

        class _HttpPool(urllib3.HTTPConnectionPool):
            ConnectionCls = _Http

        class _HttpsPool(urllib3.HTTPSConnectionPool):
            ConnectionCls = _Https

        more: dict[str, Any] = {"ssl_context": tls(options)} if self._origin[0] == "https" else {}
        pool = urllib3.PoolManager(num_pools=1, maxsize=1, block=True, **more)
        pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return pool

    def _watched(self, line: socket.socket) -> socket.socket:
        """A connection whose other end may be called, and that can be cut while TLS begins."""
        address = line.getpeername()[0]
        problem = forbidden(address, self._says_this_machine)
        if problem:
            line.close()
            raise _Forbidden(problem)
        self._remember(line.dup())
        return line

    def _told(self, error: Exception, timed_out: bool, request: Request) -> SourceError:
        where = f"inlet {self._options.inlet}: {place(request.url)}"
        if isinstance(error, _Forbidden):
            return SourceRefused(f"{where}: {error}")
        if timed_out:
            return SourceUnreachable(f"{where}: no whole answer within {self._options.timeout.total_seconds():g} s")
        cause = _cause(error)
        if isinstance(cause, ssl.SSLError):
            return SourceRefused(f"{where}: TLS: {getattr(cause, 'verify_message', '') or cause.reason or 'failed'}")
        if isinstance(error, urllib3.exceptions.NameResolutionError):
            return SourceUnreachable(f"{where}: its name is not known to the DNS")
        # Other sentences may quote the address with its query: the type is told, and what the system says.
        said = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(error).__name__
        return SourceUnreachable(f"{where}: {said}")

    def _log(self, request: Request, status: object, size: int, began: float) -> None:
        log.info(
            event(
                "inlet.asked",
                inlet=self._options.inlet,
                place=place(request.url),
                status=status,
                bytes=size,
                seconds=time.monotonic() - began,
            )
        )


class _Forbidden(ValueError):
    """The name leads to an address that is never called."""


def forbidden(address: str, says_this_machine: bool) -> str:
    """Why an address is not called; empty when it may be. A hospital's own networks are private ones: they may."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return "" if says_this_machine else "its name leads to this machine itself"
    if ip.is_link_local:
        return "its name leads to a link-local address"
    if ip.is_multicast or ip.is_unspecified or ip == ipaddress.ip_address("255.255.255.255"):
        return "its name leads to no machine's address"
    return ""


def tls(options: CallOptions) -> ssl.SSLContext:
    """TLS 1.2 or newer, checked by `ca` alone where one is named, with our certificate where one is."""
    try:
        context = ssl.create_default_context(cafile=options.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"inlets.{options.inlet}.ca: {options.ca}: {error.strerror or 'no PEM file'}"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.certificate:
        try:
            context.load_cert_chain(options.certificate, options.key or None)
        except (OSError, ssl.SSLError) as error:
            said = error.strerror or "not a certificate and its key"
            raise ConfigurationError(f"inlets.{options.inlet}.certificate: {options.certificate}: {said}") from None
    return context


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cause(error: BaseException) -> BaseException:
    seen = error
    while (inner := seen.__cause__ or seen.__context__) is not None and inner is not seen:
        seen = inner
    if isinstance(seen, urllib3.exceptions.SSLError) and seen.args and isinstance(seen.args[0], BaseException):
        return seen.args[0]
    return seen
