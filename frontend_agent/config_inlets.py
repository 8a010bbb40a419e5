"""[inlets.NAME]: where messages come in by themselves, or are fetched. `type` says which settings a table has.

A new type is a dataclass here and a line in INLETS; what no single key can be wrong about is a line in CHECKS.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from frontend_agent import config_fetchers, config_files, config_web, config_wsn
from frontend_agent.config_inlet import InletConfig as InletConfig  # every type of inlet says that it is one
from frontend_agent.config_listener import ListenerConfig as ListenerConfig
from frontend_agent.config_listener import listener_problems


@dataclass(frozen=True, kw_only=True)
class MllpInlet(ListenerConfig):
    """HL7 v2 over MLLP."""

    type: Literal["mllp"]


INLETS: dict[str, type[InletConfig]] = {
    "mllp": MllpInlet,
    **config_web.LISTENERS,
    **config_fetchers.FETCHERS,
    **config_files.INLETS,
    **config_wsn.INLETS,
}


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    MllpInlet: listener_problems,
    **config_web.CHECKS,
    **config_fetchers.CHECKS,
    **config_files.CHECKS,
    **config_wsn.CHECKS,
}
