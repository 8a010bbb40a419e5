"""A front-end machine stands in two networks, the hospital's and the region's, and must not join them.

Linux forwards packets between its cards where a switch says so (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding). With it on, the
machine is a way past every firewall between hospital and region. Looked at by `check` and `doctor`; the parsing is pure.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv6Address
from pathlib import Path

from frontend_agent.errors import FrontendAgentError

SWITCHES = {
    "net.ipv4.ip_forward": "/proc/sys/net/ipv4/ip_forward",
    "net.ipv6.conf.all.forwarding": "/proc/sys/net/ipv6/conf/all/forwarding",
}
SETTINGS = "/etc/sysctl.d/90-frontend-agent.conf"
GLOBAL = 0x00  # scope of an address in /proc/net/if_inet6


class NetworksJoined(FrontendAgentError):
    """This machine forwards packets between its cards. The hospital's IT turns it off, or says in agent.toml that it is meant."""


def cards(routes: str, addresses6: str) -> list[str]:
    """Cards with networks of their own, of /proc/net/route and /proc/net/if_inet6: loopback and link-local do not count."""
    found = set()
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 2 and fields[2] == "00000000":  # no gateway: its own network is there
            found.add(fields[0])
    for line in addresses6.splitlines():
        fields = line.split()
        if len(fields) == 6 and int(fields[3], 16) == GLOBAL and not IPv6Address(int(fields[0], 16)).is_link_local:
            found.add(fields[5])
    return sorted(found - {"lo"})


def joining(cards_: list[str], switches: Mapping[str, str]) -> list[str]:
    """The switches by which these cards are joined. `switches`: name -> its content."""
    on = [name for name, value in switches.items() if value.strip() not in ("", "0")]
    return on if len(cards_) > 1 else []


def mends(on: Iterable[str]) -> tuple[str, str]:
    """What turns it off, now and for good; and what says that it is meant."""
    off = " ".join(f"{name}=0" for name in on)
    return (f"sysctl -w {off}", "[network] may_forward = true")


def joined(cards_: list[str], switches: Mapping[str, str]) -> str:
    """What is wrong, or ""."""
    on = joining(cards_, switches)
    if not on:
        return ""
    off, meant = mends(on)
    return (
        f"this machine forwards packets between its cards ({', '.join(cards_)}), past every firewall between their networks:"
        f" {', '.join(f'{name} = {switches[name].strip()}' for name in on)}. Turn it off: {off}, and the same in"
        f" {SETTINGS}; if it is meant (containers on this machine): {meant}"
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError:
        return ""  # not Linux, or not to be seen from here


def seen(read: Callable[[str], str] = _text) -> tuple[list[str], dict[str, str]]:
    """This machine's cards, and its switches with their content."""
    return (
        cards(read("/proc/net/route"), read("/proc/net/if_inet6")),
        {name: read(path) for name, path in SWITCHES.items()},
    )


def forwarding_problem(read: Callable[[str], str] = _text) -> NetworksJoined | None:
    """Whether this machine joins two networks."""
    told = joined(*seen(read))
    return NetworksJoined(told) if told else None
