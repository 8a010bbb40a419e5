"""What every inlet has that listens."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from frontend_agent.config_inlet import InletConfig
from frontend_agent.config_types import Count

HUNDRED = Count(100)
TWO_HUNDRED_FIFTY_SIX = Count(256)


@dataclass(frozen=True, kw_only=True)
class ListenerConfig(InletConfig):
    """What every listener has: plain only for the addresses in `allow`; `certificate` and `key` make it TLS."""

    host: str = "127.0.0.1"
    port: Count
    allow: tuple[str, ...] = ()  # addresses or networks that may connect; empty: this machine alone
    certificate: str = ""  # PEM file of our certificate chain
    key: str = ""  # PEM file of its private key
    client_ca: str = ""  # PEM file: who connects must show a certificate of these
    connections: Count = TWO_HUNDRED_FIFTY_SIX  # at once; more are refused
    per_address: Count = HUNDRED  # of them from one address
    idle: timedelta = timedelta(minutes=10)  # a connection on which nothing is asked for longer is closed
    slowest: timedelta = timedelta(seconds=30)  # a message that has begun must have come whole

    @property
    def plain_for(self) -> tuple[str, ...]:
        """The addresses beyond this machine that may send without TLS."""
        elsewhere = [one for one in self.allow if not ipaddress.ip_network(one).is_loopback]
        return () if self.certificate else tuple(elsewhere)


def listener_problems(inlet: ListenerConfig) -> Iterable[str]:
    """What is wrong between the settings of a listener."""
    if not 0 <= inlet.port <= 65535:
        yield f"port {inlet.port} is not one (0: any that is free)"
    if bool(inlet.certificate) != bool(inlet.key):
        yield "certificate and key go together"
    if inlet.client_ca and not inlet.certificate:
        yield "client_ca needs TLS: certificate and key"
    for one in inlet.allow:
        try:
            ipaddress.ip_network(one)
        except ValueError:
            yield f"allow: {one!r} is neither an address nor a network"
