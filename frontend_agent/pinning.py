"""The stored procedures of a source: which mappings call them, what they are now, and what was pinned."""

from datetime import date
from typing import Literal, NamedTuple

from connectors.procedures import call_in
from frontend_agent.accounts import statements_of
from frontend_agent.config import Config, unknown
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import NO_PACKS, compile_feed
from frontend_agent.sources import Opened, open_sources


class Pinned(NamedTuple):
    """One procedure: the digest of its definition at the source now ("" where it cannot be read), and the pinned one."""

    name: str
    digest: str
    pinned: str

    @property
    def state(self) -> Literal["pinned", "unpinned", "changed", "unread"]:
        if not self.digest:
            return "unread"
        if not self.pinned:
            return "unpinned"
        return "pinned" if self.pinned == self.digest else "changed"


def pinned_procedures(config: Config, name: str, opened: Opened = open_sources) -> list[Pinned]:
    """Those that the mappings of this source's feeds call, and those that it lists."""
    if name not in config.sources:
        raise ConfigurationError(unknown("source", name, config.sources))
    pinned = config.sources[name].procedures
    wanted = dict.fromkeys([*_called(config, name), *pinned])
    if not wanted:
        return []
    source = opened(config, [name])[name]
    try:
        return [Pinned(one, source.digest_of_procedure(one), pinned.get(one, "")) for one in wanted]
    finally:
        source.close()


def _called(config: Config, name: str) -> list[str]:
    feeds = [compile_feed(config, feed, date.today, NO_PACKS) for feed in config.feeds]
    calls = [call_in(sql) for feed in feeds for _, sql, where in statements_of(feed) if where == name]
    return [call.name for call in calls if call]
