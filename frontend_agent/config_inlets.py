"""[inlets.NAME]: where messages come in by themselves, or are fetched. `type` says which settings a table has.

A new type is a dataclass here and a line in INLETS; what no single key can be wrong about is a line in CHECKS.
"""

import codecs
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from frontend_agent import config_fetchers, config_files, config_web, config_wsn
from frontend_agent.config_inlet import InletConfig as InletConfig  # every type of inlet says that it is one
from frontend_agent.config_listener import ListenerConfig as ListenerConfig
from frontend_agent.config_listener import listener_problems


@dataclass(frozen=True, kw_only=True)
class MllpInlet(ListenerConfig):
    """HL7 v2 over MLLP, and over TLS with `certificate` and `key`."""

    type: Literal["mllp"]
    charset: str = ""  # settles the set of all its senders, for such as the bytes alone do not tell: gb18030, utf-8


INLETS: dict[str, type[InletConfig]] = {
    "mllp": MllpInlet,
    **config_web.LISTENERS,
    **config_fetchers.FETCHERS,
    **config_files.INLETS,
    **config_wsn.INLETS,
}


def mllp_problems(inlet: MllpInlet) -> Iterable[str]:
    """What is wrong between the settings of an MLLP listener."""
    yield from listener_problems(inlet)
    if inlet.charset:
        try:
            codecs.lookup(inlet.charset)
        except LookupError:
            yield f"charset {inlet.charset!r} is not known (for example gb18030, utf-8)"


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    MllpInlet: mllp_problems,
    **config_web.CHECKS,
    **config_fetchers.CHECKS,
    **config_files.CHECKS,
    **config_wsn.CHECKS,
}
