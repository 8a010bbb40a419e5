"""Who may come in, how many at once, and how much they may hold: asked before anything is read (threats H1, H2)."""

import ipaddress
import socket
import ssl
import struct
from collections import Counter
from pathlib import Path

from frontend_agent.errors import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"


class AllowList:
    """The addresses and networks that may connect; none named: this machine alone."""

    def __init__(self, allow: tuple[str, ...]) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(one) for one in allow]

    def admits(self, address: str) -> bool:
        one = ipaddress.ip_address(address.partition("%")[0])
        one = (one.ipv4_mapped or one) if isinstance(one, ipaddress.IPv6Address) else one
        if not self._networks:
            return one.is_loopback
        return any(one.version == network.version and one in network for network in self._networks)


class Places:
    """Connections that are open now, in all and per address."""

    def __init__(self, most: int, per_address: int) -> None:
        self._most, self._per_address = most, per_address
        self._taken: Counter[str] = Counter()
        self.count = 0

    def enter(self, address: str) -> "Place | None":
        """A place, to be left again; None: there is none."""
        if self.count >= self._most or self._taken[address] >= self._per_address:
            return None
        self._taken[address] += 1
        self.count += 1
        return Place(self, address)

    def left(self, address: str) -> None:
        self.count -= 1
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


class Place:
    """One connection's place. Left once, however often it is said."""

    def __init__(self, places: Places, address: str) -> None:
        self._places: Places | None = places
        self._address = address

    def leave(self) -> None:
        if self._places is not None:
            self._places.left(self._address)
            self._places = None


class Room:
    """Bytes of bodies that are held at once, over all connections, beyond the first few of each: those are free, so that whoever
    sends little is taken while others send much."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self, count: int) -> bool:
        if count > self._free:
            return False
        self._free -= count
        return True

    def give_back(self, count: int) -> None:
        self._free += count


def tls_context(certificate: str, key: str, client_ca: str) -> ssl.SSLContext:
    """TLS 1.2 or newer (threat C2); with `client_ca` (PEM) only for who shows a certificate of these."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    for what, path in (("certificate", certificate), ("key", key), ("client_ca", client_ca)):
        if path and not Path(path).is_file():
            raise ConfigurationError(f"{what}: {path}: no such file")
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError):
        raise ConfigurationError(
            f"certificate and key: {certificate} and {key} are not a PEM chain and its key, without a password"
        ) from None
    if client_ca:
        try:
            context.load_verify_locations(client_ca)
        except (ssl.SSLError, OSError):
            raise ConfigurationError(f"client_ca: {client_ca} holds no PEM certificate") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    """OpenSSL would ask a terminal for it."""
    raise ValueError("the key has a password")


def listening_on(host: str, port: int) -> socket.socket:
    """A listening socket. OSError where there is none to be had."""
    is_v6 = ":" in host
    return socket.create_server(
        (host, port),
        family=socket.AF_INET6 if is_v6 else socket.AF_INET,
        backlog=512,
        dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
    )


def turn_away(connected: socket.socket) -> None:
    """Close without a word and without waiting."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


def name_in(certificate: object) -> str:
    """The common name of a certificate as `getpeercert()` tells it; empty without one."""
    if not isinstance(certificate, dict):
        return ""
    parts = [pair for part in certificate.get("subject", ()) for pair in part]
    return next((str(value) for name, value in parts if name == "commonName"), "")
