"""The doctor's round: every source as it is configured, with what its feeds would ask of it. See `connectors.doctor`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date

from connectors import Source
from connectors.doctor import Ailment, Asked, costly_plans, examine
from connectors.procedures import call_in
from frontend_agent import networks
from frontend_agent.accounts import statements_of
from frontend_agent.config import Config, unknown
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.feeds import NO_PACKS, Feed, compile_feed
from frontend_agent.sources import Opened, open_sources


class Advice(FrontendAgentError):
    """Nothing is wrong, but somebody should read it."""

    exit_code = 0


def examined(
    config: Config, names: Iterable[str] = (), try_write: bool = False, opened: Opened = open_sources
) -> Iterator[tuple[str, Ailment]]:
    """(source, finding) of the named sources, or of all; in connections of our own, one at a time."""
    wanted = list(names) or list(config.sources)
    for name in wanted:
        if name not in config.sources:
            raise ConfigurationError(unknown("source", name, config.sources))
    feeds: dict[str, Feed] = {}
    broken: list[tuple[str, Ailment]] = []
    for feed in config.feeds:
        try:
            feeds[feed.name] = compile_feed(config, feed, date.today, NO_PACKS)
        except FrontendAgentError as error:
            broken.append((feed.source, Ailment("feed.broken", "wrong", feed.name, {"why": str(error)})))
    for name in wanted:
        yield from (found for found in broken if found[0] == name)
        try:
            source = opened(config, [name])[name]
        except FrontendAgentError as error:
            yield name, Ailment("driver.says", "wrong", name, {"why": str(error)})
            continue
        try:
            for found in examine(source, asked_of(feeds, name), try_write):
                yield name, found
        finally:
            source.close()


def of_this_machine(
    config: Config, read: Callable[[], tuple[list[str], dict[str, str]]] = networks.seen
) -> Iterator[Ailment]:
    """What is to be said of the machine itself: whether it joins the networks of its cards."""
    cards, switches = read()
    if config.network.may_forward or len(cards) < 2:
        return
    values = {"cards": ", ".join(cards)}
    if not (on := networks.joining(cards, switches)):
        yield Ailment("networks.apart", "fine", "", values)
        return
    values |= {"switches": ", ".join(f"{name} = {switches[name].strip()}" for name in on), "file": networks.SETTINGS}
    yield Ailment("networks.joined", "wrong", "", values, networks.mends(on))


def asked_of(feeds: Mapping[str, Feed], source: str) -> list[Asked]:
    """What the feeds ask of one source."""
    return [
        Asked(feed.config.name, query, sql, query.endswith("changed"))
        for feed in feeds.values()
        for query, sql, where in statements_of(feed)
        if where == source and not call_in(sql)  # of a procedure no plan can be asked
    ]


def advice_on_plans(feeds: Mapping[str, Feed], name: str, source: Source) -> Iterator[Advice]:
    """What the server's own plans say against the feeds of one source, for `check`: a warning, with its mend."""
    for found in costly_plans(source, asked_of(feeds, name)):
        if found.severity != "fine":
            said = "; ".join(f"{key} {value}" for key, value in found.values.items())
            yield Advice(f"{found.where}: {found.code} ({said}). {' '.join(found.mend)}".strip())
