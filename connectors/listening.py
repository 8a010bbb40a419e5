"""What every listener asks before it reads a byte: who comes, how many there are already, and TLS.

plain     only from the addresses in `allow`; an empty `allow` is this machine alone
TLS       1.2 or newer; with `client_ca` who connects must show a certificate of these (H1). `allow` holds as well
"""

import ipaddress
import socket
import ssl
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from frontend_agent.errors import ConfigurationError

BACKLOG = 256
_LOOPBACK = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128")))


class ListenerOptions(Protocol):
    """What agent.toml says of any listener. Sizes in bytes; certificate, key and client_ca are PEM files."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def allow(self) -> tuple[str, ...]: ...
    @property
    def certificate(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def client_ca(self) -> str: ...
    @property
    def connections(self) -> int: ...
    @property
    def per_address(self) -> int: ...
    @property
    def idle(self) -> timedelta: ...
    @property
    def slowest(self) -> timedelta: ...
    @property
    def largest(self) -> int: ...


class Door:
    """Who may come in, and how many at once. Not for more than one thread."""

    def __init__(self, options: ListenerOptions) -> None:
        self._networks = tuple(map(ipaddress.ip_network, options.allow)) or _LOOPBACK
        self._most, self._most_of_one = int(options.connections), int(options.per_address)
        self._inside: Counter[str] = Counter()

    def refusal(self, address: str) -> str:
        """Why who comes from there is turned away, in a few fixed words; empty if not."""
        if not self.is_allowed(address):
            return "not allowed"
        if self._inside.total() >= self._most:
            return "too many connections"
        if self._inside[address] >= self._most_of_one:
            return "too many from one address"
        return ""

    def is_allowed(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found  # an IPv4 sender at a socket of both kinds
        return any(found in network for network in self._networks)

    def enter(self, address: str) -> None:
        self._inside[address] += 1

    def leave(self, address: str) -> None:
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]


def listening_socket(name: str, options: ListenerOptions) -> socket.socket:
    """A socket that listens. ConfigurationError names the setting that is wrong."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host or None, int(options.port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(f"inlets.{name}.host: {options.host!r} is no address of this machine") from error
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(BACKLOG)
        found.setblocking(False)
    except OSError as error:
        found.close()
        raise ConfigurationError(
            f"inlets.{name}: cannot listen at {options.host} port {options.port} ({error.strerror});"
            " another program has it, or the address is not this machine's"
        ) from error
    return found


def tls_of(name: str, options: ListenerOptions) -> ssl.SSLContext | None:
    """None for plain. ConfigurationError names the file that is wrong."""
    if not options.certificate:
        return None
    for key in ("certificate", "key", "client_ca"):
        path = getattr(options, key)
        if path and not Path(path).is_file():
            raise ConfigurationError(f"inlets.{name}.{key}: there is no file {path}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.certificate, options.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"inlets.{name}.certificate: {options.certificate} and {options.key} are no certificate and its key (PEM,"
            " without a password)"
        ) from error
    if options.client_ca:
        try:
            context.load_verify_locations(options.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(
                f"inlets.{name}.client_ca: {options.client_ca} holds no certificates (PEM)"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    """Otherwise OpenSSL asks at the terminal, and the daemon would wait there."""
    raise ValueError("the key has a password")


def common_name(certificate: Any) -> str:
    """Who shows this certificate (ssl's getpeercert()); empty if nobody does."""
    subject = (certificate or {}).get("subject", ())
    return next((value for part in subject for key, value in part if key == "commonName"), "")
