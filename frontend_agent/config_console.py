"""What may be said of the local console: `[console]`."""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ConsoleConfig:
    """The web page of this agent. Without `listen` there is none.

    On this machine's loopback it may be plain; on the hospital's network it is TLS with people who log in, or nothing.
    """

    listen: str = ""  # address:port
    certificate: str = ""  # PEM file of the chain that the browser is shown
    key: str = ""  # PEM file of its private key
    names: tuple[str, ...] = ()  # names and addresses by which browsers call it, beside the one in `listen`
    idle: timedelta = timedelta(minutes=30)  # a login in which nothing is asked for longer ends
    longest: timedelta = timedelta(hours=12)  # a login ends after so long in any case

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) of `listen`."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.address[0])

    @property
    def hosts(self) -> frozenset[str]:
        """By which names a browser may call it: anything else in `Host` is a foreign name made to point here."""
        host = self.address[0].lower()
        own = {"localhost", "127.0.0.1", "::1"} if self.is_loopback else set() if _is_any(host) else {host}
        return frozenset(own | {name.lower().strip("[]") for name in self.names})


NO_CONSOLE = ConsoleConfig()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _problems(console: ConsoleConfig) -> Iterable[str]:
    if not console.listen:
        return
    host, _, port = console.listen.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        yield f'listen: expected address:port like "127.0.0.1:8490", not {console.listen!r}'
        return
    if bool(console.certificate) != bool(console.key):
        yield "certificate and key go together"
    if not console.is_loopback and not console.certificate:
        yield (
            f"listen = {console.listen!r} is not this machine alone: passwords would cross the network unprotected. "
            "Set certificate and key, or listen on 127.0.0.1"
        )
    if _is_any(host.strip("[]")) and not console.names:
        yield 'listen on every address needs names = ["…"]: the names or addresses that browsers call it by'
    if console.idle < timedelta(minutes=1) or console.longest < console.idle:
        yield "idle is a minute at least, and not longer than longest"


PATHS: dict[type[Any], tuple[str, ...]] = {ConsoleConfig: ("certificate", "key")}
CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {ConsoleConfig: _problems}
