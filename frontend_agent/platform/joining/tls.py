"""TLS at the door for agents: what is offered, what is asked, and the certificate handed on to the application.

uvicorn hands no peer's certificate to the application (its ASGI TLS extension is not released), so AgentProtocol does: it is
filled in from the transport alone, so that nothing a request says can be taken for it.
"""

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.platform.joining.registry import Registry

CIPHERS = "@SECLEVEL=2:ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; forward secret, authenticated. RSA below 2048 and SHA-1 are refused
HANDSHAKE = 10.0  # seconds
HEAD = (
    20.0  # seconds until the head of the first request is here: who holds a connection and says nothing is a stranger
)
STRANGERS = 64  # connections without a certificate at once
LOOK_EVERY = 1.0  # seconds between looks for what commands beside us changed
REFRESH_EVERY = 3600.0
_log = logging.getLogger("frontend_agent.platform")


def server_context(certificate: Path, key: Path | None, roots: str, protocol: str = "http/1.1") -> ssl.SSLContext:
    """TLS 1.2 or newer. A client's certificate is asked for, and must be good if one is shown. ConfigurationError names the file.

    `protocol`: of the application (ALPN); "" for none, and then a certificate must be shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= (
        ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    )
    context.num_tickets = 0  # every connection shows its certificate anew
    context.set_ecdh_curve("prime256v1")  # every agent has it, and nothing beside it needs judging
    if protocol:
        context.set_alpn_protocols([protocol])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"{certificate}: no certificate with its key (PEM, without a password): {error}"
        ) from error
    context.load_verify_locations(cadata=roots)
    context.verify_mode = ssl.CERT_OPTIONAL if protocol else ssl.CERT_REQUIRED  # who joins has none yet
    return context


def _no_password() -> str:
    """Otherwise OpenSSL asks at the terminal, and the server would wait there."""
    raise ValueError("the key has a password")


class Front:
    """The context of a listening socket, and behind it the one that new connections get: exchanged while it listens."""

    def __init__(
        self, registry: Registry, certificate: Callable[[], tuple[Path, Path | None]], protocol: str = "http/1.1"
    ):
        """`certificate`: our own, as it should be now, with its key if that is another file. `protocol`: see server_context."""
        self._registry, self._certificate, self._protocol = registry, certificate, protocol
        self._stopped = threading.Event()
        self.context = self._made()
        self._newest = self.context
        self.context.sni_callback = self._hand_on
        self._thread = threading.Thread(target=self._keep, name="authorities", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _made(self) -> ssl.SSLContext:
        self._registry.refresh_revoked_lists()
        return server_context(*self._certificate(), self._registry.list_of_trusted().roots, self._protocol)

    def _hand_on(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest

    def _keep(self) -> None:
        seen, waited = self._registry.standing_of_authorities, 0.0
        while not self._stopped.wait(LOOK_EVERY):
            waited += LOOK_EVERY
            now = self._registry.standing_of_authorities
            if now == seen and waited < REFRESH_EVERY:
                continue
            seen, waited = now, 0.0
            try:
                self._newest = self._made()
            except (FrontendAgentError, OSError) as error:  # the one in use goes on; the next look tries again
                _log.error("authorities.unreadable error=%s", type(error).__name__)


class AgentProtocol(HttpToolsProtocol):
    """uvicorn's HTTP with the peer's certificate in the scope (ASGI TLS extension 0.2), and little patience with strangers."""

    def __init__(self, strangers: set["AgentProtocol"], most: int, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._strangers = strangers
        self._most = most
        self._tls: dict[object, object] = {}
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        shown = connection.getpeercert(binary_form=True) if connection is not None else None
        self._tls = {"client_cert_chain": [ssl.DER_cert_to_PEM_cert(shown)] if shown else []}
        if connection is not None and not shown:
            if len(self._strangers) >= self._most:
                transport.abort()
                return
            self._strangers.add(self)
        self._patience = self.loop.call_later(HEAD, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._strangers.discard(self)
        self._end_patience()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"tls": dict(self._tls)}

    def on_headers_complete(self) -> None:
        self._end_patience()
        super().on_headers_complete()

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _too_slow(self) -> None:
        self._patience = None
        self.transport.abort()
