"""[inlets.NAME] of type `wsn`: it asks to be told, and listens for what it is told."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from frontend_agent.config_fetchers import FetcherConfig, fetcher_problems
from frontend_agent.config_inlet import InletConfig
from frontend_agent.config_listener import ListenerConfig, listener_problems

CONCRETE = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete"


@dataclass(frozen=True, kw_only=True)
class WsnInlet(ListenerConfig, FetcherConfig):
    """A subscription (WS-BaseNotification). `certificate` and `key` are ours in both directions."""

    type: Literal["wsn"]
    path: str = "/wsn"  # of our consumer
    address: str  # where the producer reaches it: https://10.1.1.5:8443/wsn
    topic: str = ""  # empty: everything
    topic_dialect: str = CONCRETE
    namespaces: dict[str, str] = field(default_factory=dict)  # prefixes in topic and content
    content: str = ""  # XPath that a message must meet, judged by the producer
    term: timedelta = timedelta(hours=1)  # of a subscription; it is renewed at half of it
    term_as: Literal["duration", "time"] = "duration"
    manager: str = ""  # of subscriptions, when the address that the producer tells is not the right one
    version: Literal["1.1", "1.2"] = "1.1"  # of SOAP


INLETS: dict[str, type[InletConfig]] = {"wsn": WsnInlet}


def _wsn(inlet: WsnInlet) -> Iterable[str]:
    yield from listener_problems(inlet)
    yield from (problem for problem in fetcher_problems(inlet) if not problem.startswith("key needs"))
    if not re.fullmatch(r"/[^\s?#%]*", inlet.path):
        yield f'path {inlet.path!r} begins with "/", like "/wsn/lab"'
    if urlsplit(inlet.address).scheme not in ("http", "https") or not urlsplit(inlet.address).hostname:
        yield "address is where the producer reaches us: https://…"
    if inlet.term < timedelta(minutes=1):
        yield "term: a minute at least"
    if inlet.credentials.kind == "wss":
        yield 'credentials: kind = "wss" is for soap-poll'
    for prefix in inlet.namespaces:
        if not re.fullmatch(r"[A-Za-z_][\w.-]*", prefix):
            yield f"namespaces: {prefix!r} is no prefix"


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {WsnInlet: _wsn}
