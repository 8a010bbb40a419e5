"""The door for agents: who shows which certificate, whether it is good now, and what is said to those with none.

There are two ways to know the certificate, and each door uses one of them alone:

    tls      our own TLS: what uvicorn's transport says, in the ASGI TLS extension that AgentProtocol fills in
    proxy    behind nginx, over a Unix socket: the header that nginx sets anew from its own variable. A request in which it
             stands twice, or not at all, is refused: then nginx is not configured as docs/guide/tls.md says

At the door of TLS that header means nothing, whoever sends it.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontend_agent.certificates import CertificateRefused, certificates_in, fingerprint, institutions_of, problems
from frontend_agent.platform.api import problem
from frontend_agent.platform.joining.registry import NOTED_EVERY, Registry, Standing, clock_is_wrong
from frontend_agent.platform.peers import PEER, Peer
from frontend_agent.wire.joining import RENEW_HEADER, SKEW_HEADER, TIME_HEADER, TRUST_HEADER

PROXY_CERTIFICATE = b"x-client-certificate"  # nginx: $ssl_client_escaped_cert
PROXY_VERIFIED = b"x-client-verify"  # nginx: $ssl_client_verify
PROXY_ADDRESS = b"x-client-address"  # nginx: $remote_addr
MOST_REMEMBERED = 10_000  # certificates whose reading is kept
_log = logging.getLogger("frontend_agent.platform")


class _NotProxied(Exception):
    """nginx did not say who is asking, or somebody else did as well."""


class Gate:
    """Certificates as they stand. Safe to use from one event loop."""

    def __init__(self, registry: Registry, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self.registry = registry
        self.clock = clock
        self._read: dict[bytes, tuple[str, frozenset[str], x509.Certificate]] = {}
        self._noted: dict[str, tuple[float, str, int]] = {}

    def admitted(self, certificate: bytes, address: str) -> tuple[Peer, Standing]:
        """Who shows it, and for whom it is good now. `certificate`: PEM."""
        try:
            name, said, read = self._known(certificate)
        except CertificateRefused as error:
            return Peer("", frozenset(), address), Standing(frozenset(), str(error))
        standing = self.registry.standing(name)
        wrong = problems(read, self.clock(), ExtendedKeyUsageOID.CLIENT_AUTH)
        if wrong and not standing.problem:
            standing = Standing(frozenset(), "; ".join(wrong))
        if said and not standing.problem and said != standing.institutions:
            standing = Standing(frozenset(), "it names other institutions than it was given for")
        if standing.problem:
            return Peer(name, frozenset(), address), standing
        return Peer(name, standing.institutions, address), standing

    def _known(self, pem: bytes) -> tuple[str, frozenset[str], x509.Certificate]:
        if pem not in self._read:
            if len(self._read) >= MOST_REMEMBERED:
                self._read.clear()
            own = certificates_in(pem)[0]
            self._read[pem] = (fingerprint(own), frozenset(institutions_of(own)), own)
        return self._read[pem]

    def is_to_be_noted(self, name: str, trusts: str, skew: int) -> bool:
        """Whether that it was used is written down: at once where something is new, otherwise once a minute."""
        at, trusted, skewed = self._noted.get(name, (0.0, "", 0))
        now = time.monotonic()
        if (
            at
            and now - at < NOTED_EVERY.total_seconds()
            and trusted == trusts
            and clock_is_wrong(skew) == clock_is_wrong(skewed)
        ):
            return False
        self._noted[name] = (now, trusts, skew)
        return True


class AgentsDoor:
    """Around everything behind the door for agents."""

    def __init__(self, app: ASGIApp, gate: Gate, way: Literal["tls", "proxy"], open_paths: frozenset[str]):
        """`open_paths`: what is answered without a certificate."""
        self._app, self._gate, self._way, self._open = app, gate, way, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            certificate, address = self._shown(scope)
        except _NotProxied:
            _log.error("agents.not_proxied")
            await problem(400, "proxy", "the proxy in front does not say who is asking")(scope, receive, send)
            return
        if self._way == "proxy":
            scope["client"], scope["scheme"] = (address, 0), "https"
            scope["headers"] = [one for one in scope["headers"] if one[0] not in (PROXY_CERTIFICATE, PROXY_VERIFIED, PROXY_ADDRESS)]  # fmt: skip
        peer, standing = (
            self._gate.admitted(certificate, address)
            if certificate
            else (Peer("", frozenset(), address), Standing(frozenset(), "show a certificate: frontend-agent enroll"))
        )
        skew = _skew(headers.get(TIME_HEADER.lower().encode(), b""), self._gate.clock())
        if standing.problem and scope["path"] not in self._open:
            _log.warning("agent.not_admitted certificate=%s", peer.sha256[:16])
            await problem(401, "certificate", standing.problem)(scope, receive, self._saying(send, standing, skew))
            return
        scope[PEER] = peer
        trusts = headers.get(TRUST_HEADER.lower().encode(), b"").decode("latin-1")[:64]
        if not standing.problem and self._gate.is_to_be_noted(peer.sha256, trusts, skew):
            await run_in_threadpool(self._gate.registry.seen, peer.sha256, trusts, skew)
        await self._app(scope, receive, self._saying(send, standing, skew))
        if peer.not_theirs:
            _log.warning("agent.not_theirs certificate=%s named=%r", peer.sha256[:16], peer.not_theirs[:64])
            what = f"{scope['method']} {scope['path']}"[:200]
            await run_in_threadpool(self._gate.registry.incident, peer.sha256, address, what, peer.not_theirs[:200])

    def _shown(self, scope: Scope) -> tuple[bytes, str]:
        """The certificate (PEM) and the address of who is asking."""
        if self._way == "tls":
            chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", [])
            return (chain[0].encode() if chain else b""), (scope["client"] or ("", 0))[0]
        found = {
            name: [value for one, value in scope["headers"] if one == name]
            for name in (PROXY_CERTIFICATE, PROXY_VERIFIED, PROXY_ADDRESS)
        }
        if any(len(values) > 1 for values in found.values()) or not found[PROXY_VERIFIED] or not found[PROXY_ADDRESS]:
            raise _NotProxied
        certificate = found[PROXY_CERTIFICATE][0] if found[PROXY_CERTIFICATE] else b""
        verified = found[PROXY_VERIFIED][0] == b"SUCCESS"
        if bool(certificate) != verified and found[PROXY_VERIFIED][0] == b"NONE":
            raise _NotProxied  # a certificate that nginx has not seen
        address = found[PROXY_ADDRESS][0].decode("latin-1")
        return (unquote_to_bytes(certificate) if verified else b""), address

    def _saying(self, send: Send, standing: Standing, skew: int) -> Send:
        """With every answer: whether to renew, and how wrong the asking machine's clock is."""
        said = [("Strict-Transport-Security", "max-age=31536000")]
        if standing.is_retiring:
            said.append((RENEW_HEADER, "1"))
        if clock_is_wrong(skew):
            said.append((SKEW_HEADER, str(skew)))
        extra = [(name.lower().encode(), value.encode()) for name, value in said]

        async def saying(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        return saying


def _skew(told: bytes, now: datetime) -> int:
    """Seconds that the asking machine's clock is ahead; 0 where it does not say."""
    try:
        theirs = datetime.fromisoformat(told.decode("ascii"))
        return round((theirs - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # not a moment, or one without its zone
        return 0
