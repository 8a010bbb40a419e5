"""One way to ask foreign systems over HTTP: no proxy or CA of the environment, our own TLS material, caps on every answer."""

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3
from cryptography.x509.oid import ExtendedKeyUsageOID

from connectors.trust import is_about_ours, tls_error_of, tls_problem
from frontend_agent.certificates import CertificateRefused, certificates_in, problems
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed

LARGEST_ANSWER = 8 << 20
PIECE = 1 << 16
SENT_AT_A_TIME = 256 << 10  # bytes of a body that is read as it goes


class Unanswered(Exception):
    """The request may have arrived, and no whole answer came. The text quotes nothing of it."""


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]  # names in small letters
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        """As the header says it; "" where it says none."""
        for part in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "charset":
                return value.strip().strip('"')
        return ""


@dataclass(frozen=True)
class Tls:
    """PEM files: our certificate chain and its key, and who we trust instead of the system's list. Empty: none."""

    certificate: str = ""
    key: str = ""
    ca: str = ""
    revoked: str = ""  # lists of what those have revoked
    anybody: bool = False  # nobody's certificate is looked at: for a question whose answer proves itself

    @property
    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Another one when a file was exchanged: a renewed certificate is taken up without a restart."""
        found = []
        for path in (self.certificate, self.key, self.ca, self.revoked):
            try:
                told = os.stat(path) if path else None
            except OSError:
                told = None
            found.append((told.st_mtime_ns, told.st_ino) if told else (0, 0))
        return tuple(found)


class Streamed(Protocol):
    """A body that is read while it is sent: its length is known, its bytes are in no memory at once."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def read(self, size: int = -1, /) -> bytes: ...


class Opened:
    """An answer whose body has not been read yet."""

    def __init__(self, response: requests.Response, told: Callable[[], AbstractContextManager[None]]) -> None:
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._response, self._told = response, told

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes, undecoded. Unanswered: it is cut off. A body shorter than it said is cut off, too."""
        while True:
            with self._told():
                piece = self._response.raw.read1(PIECE, decode_content=False)
            if not piece:
                return
            yield piece

    def cut(self) -> None:
        """End it from another thread: who reads it gets Unanswered."""
        line = getattr(self._response.raw.connection, "sock", None)  # none where it is over already
        with suppress(OSError):
            if line is not None:
                line.shutdown(socket.SHUT_RDWR)

    def answer(self, deadline: float) -> Answer:
        """The whole answer: not longer than LARGEST_ANSWER, not later than `deadline`. Unanswered."""
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > LARGEST_ANSWER:
                raise Unanswered("the answer is too long")
            if time.monotonic() > deadline:
                raise Unanswered("the answer takes too long")
        return Answer(self.status, self.headers, bytes(body))


class HttpEdge:
    """A session to one foreign system. One request at a time is its users' business."""

    def __init__(
        self, name: str, tls: Tls | Callable[[], Tls], timeout: timedelta, table: str = "destinations"
    ) -> None:
        """`table`: where in agent.toml `name` stands. `tls` as a function is asked before each request."""
        self._name = name
        self._tls = tls if callable(tls) else lambda: tls
        self._seconds = timeout.total_seconds()
        self._session = requests.Session()
        self._session.trust_env = False  # neither a proxy nor a CA bundle may be slipped in through the environment
        self._session.headers.update({"Accept-Encoding": "identity"})  # so that an answer cannot be a bomb
        self._session.mount("http://", _Adapter())
        self._session.mount("https://", _TlsAdapter(self._tls, lambda now: tls_context(name, now, table)))

    def ask(
        self, method: str, url: str, body: bytes | Streamed | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, never redirected. DestinationUnreachable: it did not leave. NotAllowed: TLS. Unanswered: the rest."""
        with self.opened(method, url, body, headers) as opened:
            return opened.answer(time.monotonic() + self._seconds)

    @contextmanager
    def opened(
        self, method: str, url: str, body: bytes | Streamed | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator["Opened"]:
        """The same, for an answer that is read piece by piece."""
        with self._told(url):
            response = self._session.request(
                method,
                url,
                data=body,  # what has read, len and iter goes with its Content-Length
                headers=dict(headers or {}),
                timeout=self._seconds,
                allow_redirects=False,
                stream=True,
            )
        with response:
            yield Opened(response, lambda: self._told(url))

    @contextmanager
    def _told(self, url: str) -> Iterator[None]:
        """What went wrong with a request, in our words."""
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise NotAllowed(self._tls_failed(url, error)) from error
        except requests.ConnectionError as error:
            if (cause := tls_error_of(error)) and is_about_ours(cause):  # with TLS 1.3 it is said after the handshake
                raise NotAllowed(self._tls_failed(url, error)) from error
            if _never_connected(error):
                raise DestinationUnreachable(f"{self._name}: no connection to {origin(url)}") from error
            raise self._cut(url) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError) as error:
            raise NotAllowed(
                f"{self._name}: no request can be made of these settings: {type(error).__name__}"
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Unanswered(f"no whole answer: {type(error).__name__}") from error

    def _cut(self, url: str) -> Exception:
        """Servers that do not take a certificate may close without the alert that says so (uvloop does): then ours is looked at."""
        own = self._tls().certificate
        wrong = own_problems(Path(own)) if own and url.startswith("https://") else []
        if wrong:
            return NotAllowed(f"{self._name}: {origin(url)} closed the connection; our certificate: {'; '.join(wrong)}")
        return Unanswered("the connection was cut")

    def _tls_failed(self, url: str, error: Exception) -> str:
        """Why, and if the other side does not take our certificate, what is wrong with it by itself."""
        told = f"{self._name}: TLS with {origin(url)} failed: {_reason(error)}"
        cause, own = tls_error_of(error), self._tls().certificate
        wrong = own_problems(Path(own)) if own and cause is not None and is_about_ours(cause) else []
        return f"{told} (ours: {'; '.join(wrong)})" if wrong else told

    def probe(self, url: str) -> None:
        """Whether somebody listens there and TLS holds; what it answers is its own business, and nothing is sent to it."""
        with suppress(Unanswered):  # it took the connection
            self.ask("HEAD", url)

    def close(self) -> None:
        self._session.close()


class _Adapter(requests.adapters.HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, blocksize=SENT_AT_A_TIME, **kwargs)


class _TlsAdapter(_Adapter):
    """Connections by our own context, made anew when a file of it was exchanged."""

    def __init__(self, tls: Callable[[], Tls], context: Callable[[Tls], ssl.SSLContext]) -> None:
        self._tls, self._make = tls, context
        now = tls()
        self._seen = (now, now.stamp)
        self._context = context(now)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        now = self._tls()
        seen = (now, now.stamp)
        if seen != self._seen:
            self._context = self._make(now)
            self._seen = seen
            before = self.poolmanager
            self.init_poolmanager(requests.adapters.DEFAULT_POOLSIZE, requests.adapters.DEFAULT_POOLSIZE)
            before.clear()  # idle connections; one request at a time is our users' business
        return super().send(*args, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context has said it all; requests would lay its own CA bundle over it."""
        if self._context.verify_mode == ssl.CERT_NONE:
            conn.cert_reqs = "CERT_NONE"  # urllib3 would ask for one all the same


def tls_context(name: str, tls: Tls, table: str = "destinations") -> ssl.SSLContext:
    """Who we trust and who we are. ConfigurationError names the file."""
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if tls.revoked:  # a platform that was joined: its names are where they belong (RFC 6125 §6.4.4)
            context.hostname_checks_common_name = False
        if tls.revoked and _judges_all(tls):
            context.load_verify_locations(cafile=tls.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except OSError as error:
        raise ConfigurationError(f"{table}.{name}: ca {tls.ca}: {_told(error)}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.anybody:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate:
        for path in (tls.certificate, tls.key):
            if not Path(path).is_file():
                raise ConfigurationError(f"{table}.{name}: no such file: {path}")
        try:
            context.load_cert_chain(tls.certificate, tls.key, password="")
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(
                f"{table}.{name}: certificate {tls.certificate} and key {tls.key} do not go together, or are not PEM"
            ) from error
    return context


def _judges_all(tls: Tls) -> bool:
    """Whether every authority in `ca` has a list in `revoked`: OpenSSL refuses whom no list speaks of."""
    begun = (b"BEGIN CERTIFICATE", b"BEGIN X509 CRL")
    roots, lists = (
        Path(path).read_bytes().count(word) for path, word in zip((tls.ca, tls.revoked), begun, strict=True)
    )
    return lists >= roots > 0


def own_problems(certificate: Path) -> list[str]:
    """What is wrong with our own certificate by itself; nothing where it cannot be read."""
    try:
        own = certificates_in(certificate.read_bytes())[0]
    except (OSError, CertificateRefused):
        return []
    return problems(own, datetime.now(UTC), ExtendedKeyUsageOID.CLIENT_AUTH)


def origin(url: str) -> str:
    """Scheme and host: what of an address may be told."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _told(error: OSError) -> str:
    return error.strerror or "not a file of PEM certificates"


def _never_connected(error: requests.ConnectionError) -> bool:
    cause: Any = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


def _reason(error: Exception) -> str:
    cause = tls_error_of(error)
    return tls_problem(cause) if cause else type(error).__name__
