"""Whose account may write: a source is read only with an account that cannot, or with a recorded waiver (law 8).

    Accounts(config, today, keep).must_only_read(sources, names)

The grants are asked once when a source is first read, and again every day: an administrator may have changed them. What
they came to is kept, and said in the quality log whenever it changes.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from connectors import Source
from connectors.engines.drivers import grammar_of
from connectors.grants import AccountCanWrite, Grants, Right, shown
from connectors.procedures import call_in
from connectors.statements import refusal, rules_of, tables_in
from frontend_agent.config import Config, SourceConfig
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.feeds import Feed
from frontend_agent.mapping_file import Queries

AGAIN = 24 * 3600.0  # seconds
Keep = Callable[[str, dict[str, Any]], object]  # source, what is known of its account


def waived(source: SourceConfig, today: date) -> bool:
    """Whether somebody lets the account of this source be, today."""
    return bool(source.waiver.who) and today <= source.waiver.until


def refusal_of(name: str, source: SourceConfig, grants: Grants, today: date) -> AccountCanWrite | None:
    """Why this source is not read with this account; None when it is."""
    writes = [right for right in grants.writes if not _is_acknowledging(right, source.acknowledge)]
    if not writes or waived(source, today):
        return None
    over = f"; the waiver of {source.waiver.who} ended on {source.waiver.until}" if source.waiver.who else ""
    mend = f" Mend: {grants.mend[0]} …" if grants.mend else ""
    return AccountCanWrite(
        f"source {name}: its account {grants.account} can write: {shown(writes)}{over}. Nothing is read with it."
        f"{mend} (frontend-agent doctor {name} shows all of it; or record a waiver in [sources.{name}])"
    )


def _is_acknowledging(right: Right, columns: Iterable[str]) -> bool:
    """Whether it is the right to update a column of a change table, which the hospital gave us on purpose.

    `table.column` without a schema means that table in whichever schema the account sees it.
    """
    plain = "." + re.sub(r"[`\"\[\]]", "", right.where).replace(" (", ".").removesuffix(")").lower()
    named = (column.partition("=")[0].strip().lower() for column in columns)
    return right.what == "UPDATE" and any(plain.endswith(f".{column}") for column in named if "." in column)


def told_of(source: SourceConfig, grants: Grants, today: date) -> dict[str, Any]:
    """What is kept and logged of an account: rights and the waiver, no secret."""
    told: dict[str, Any] = {
        "account": grants.account,
        "known": grants.known,
        "writes": [str(right) for right in grants.writes[:20] if not _is_acknowledging(right, source.acknowledge)],
        "allow_functions": list(source.allow_functions),
        "waiver": None,
    }
    if source.waiver.who:
        waiver = source.waiver
        told["waiver"] = {
            "who": waiver.who, "reason": waiver.reason, "until": waiver.until.isoformat(), "holds": waived(source, today),
        }  # fmt: skip
    return told


class Accounts:
    """What the accounts of all sources may do, as far as it has been asked."""

    def __init__(self, config: Config, today: Callable[[], date], keep: Keep) -> None:
        self._config, self._today, self._keep = config, today, keep
        self._asked: dict[str, tuple[float, Grants]] = {}

    def must_only_read(self, sources: Mapping[str, Source], names: Iterable[str]) -> None:
        """Raise AccountCanWrite for the first of these sources whose account can write without a waiver."""
        for name in names:
            grants = self._grants(name, sources[name])
            if problem := refusal_of(name, self._config.sources[name], grants, self._today()):
                raise problem

    def _grants(self, name: str, source: Source) -> Grants:
        asked, grants = self._asked.get(name, (0.0, None))
        now = time.monotonic()
        refused = grants is not None and grants.writes and not waived(self._config.sources[name], self._today())
        if grants is None or now - asked > AGAIN or refused:  # a mend is noticed at once
            grants = source.grants()
            self._asked[name] = (now, grants)
            self._keep(name, told_of(self._config.sources[name], grants, self._today()))
        return grants


def sources_of(feed: Feed) -> list[str]:
    """The sources that a feed reads, its own first; none for one that hears messages."""
    if feed.hear is not None:
        return []
    queries = feed.mapping.queries
    others = [detail.source for detail in queries.details.values()]
    others += [partner.source for partner in queries.partners.values()]
    return list(dict.fromkeys([feed.config.source, *(name for name in others if name)]))


# -- Statements of mappings, before anything is connected to ----------------------------------------------------------


def statements_of(feed: Feed) -> Iterator[tuple[str, str, str]]:
    """(query, SQL, source) of everything that a feed's mapping may ask; what stands in for a message's queries is never asked."""
    if feed.hear is not None:
        return
    queries, own = feed.mapping.queries, feed.config.source
    yield from _statements_of(queries, own)
    for number, moved in enumerate(queries.history, 1):
        for query, sql, source in _statements_of(moved, own):
            yield f"history.{number}.{query}", sql, source


def _statements_of(queries: Queries, own: str) -> Iterator[tuple[str, str, str]]:
    texts = {"changed": queries.changed, "parent": queries.parent, "changes": queries.changes, "day": queries.day}
    yield from ((query, sql, own) for query, sql in texts.items() if sql)
    for group, detail in queries.details.items():
        yield group, detail.sql, detail.source or own
    for name, partner in queries.partners.items():
        yield f"partners.{name}", partner.sql, partner.source or own
        if partner.changed:
            yield f"partners.{name}.changed", partner.changed, partner.source or own


def tables_of(feed: Feed, source: str) -> set[str]:
    """The tables of a source that a feed reads, as its queries name them."""
    asked = [sql for _, sql, where in statements_of(feed) if where == source and not call_in(sql)]
    return {table for sql in asked for table in tables_in(sql)}


def account_problem(name: str, config: Config, source: Source, feeds: Mapping[str, Feed]) -> FrontendAgentError | None:
    """What is wrong with the account of a source, for `check`."""
    tables = {table for feed in feeds.values() for table in tables_of(feed, name)}
    try:
        return refusal_of(name, config.sources[name], source.grants(sorted(tables)), date.today())
    except FrontendAgentError as error:
        return error


def refused_statements(config: Config, feeds: Mapping[str, Feed]) -> Iterator[ConfigurationError]:
    """Queries of mappings that would not be sent to their source: told with their file, before anything is asked.

    Where only the server itself can say what it is (an ODBC data source by name), its queries are judged when they are
    sent.
    """
    for feed in feeds.values():
        for query, sql, name in statements_of(feed):
            source = config.sources[name]
            grammar = grammar_of(source.url, source.odbc)
            if call_in(sql):  # is called by a door of its own, where its source has pinned it
                continue
            reason = grammar and refusal(sql, rules_of(grammar, source.allow_functions, source.nolock, False))
            if reason:
                file = feed.mapping.files.get(query, feed.mapping.path)
                yield ConfigurationError(f"{file}: would not be sent to source {name}: {reason}")
