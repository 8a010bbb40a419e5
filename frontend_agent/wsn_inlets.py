"""From the settings of a subscription to the inlet: its consumer at a port that others may share, and its subscriber."""

from dataclasses import fields
from typing import Protocol

from connectors.arrivals import Inlet
from connectors.fetching import making
from connectors.fetching.wsn import NotifyService, Subscriber, WsnOptions, splitting
from connectors.web import WebListener, WebOptions
from frontend_agent.config_wsn import WsnInlet
from frontend_agent.web_inlets import PORTS


class Given(making.Given, Protocol):
    """What an inlet is given beside its settings."""


def inlet(name: str, config: WsnInlet, given: Given) -> Inlet:
    """`wsn`."""
    of_port = {one.name: getattr(config, one.name) for one in fields(WebOptions) if hasattr(config, one.name)}
    of_port.pop("largest")  # of each inlet by itself
    largest = int(config.largest)
    listener = WebListener(
        name,
        WebOptions(**of_port),
        config.path,
        NotifyService(name, largest),
        splitting(given.keep, largest),
        given.tap,
        given.clock,
        PORTS,
    )
    options = WsnOptions(
        url=config.url,
        address=config.address,
        topic=config.topic,
        dialect=config.topic_dialect,
        namespaces=tuple(config.namespaces.items()),
        content=config.content,
        term=config.term,
        as_time=config.term_as == "time",
        manager=config.manager,
        version=config.version,
    )
    caller = making.caller_of(name, config)
    return Subscriber(name, options, listener, caller, making.credentials_of(name, config, caller, given), given.clock)
