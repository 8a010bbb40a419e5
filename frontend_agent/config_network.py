"""`[network]` of agent.toml: what is meant about this machine's cards."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """`may_forward`: this machine is meant to forward packets between its cards; `check` and `doctor` do not speak of it then."""

    may_forward: bool = False
