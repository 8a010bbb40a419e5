"""The configured sources, ready to be asked: in this process, or each in processes of its own (its extractors)."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from connectors import RemoteSource, Source, SourceOptions, open_source, statements
from connectors.reach import Reached
from frontend_agent.config import Config, SourceConfig
from frontend_agent.logs import event, log
from frontend_agent.secrets import secrets_of

Opened = Callable[
    [Config, Iterable[str]], dict[str, Source]
]  # how somebody opens sources: `open_sources`, or as a visitor


def open_sources(config: Config, names: Iterable[str] | None = None) -> dict[str, Source]:
    """The configured sources (all, or those named), in this process; none is connected to yet."""
    password = secrets_of(config)
    return {
        name: open_source(name, options_of(config, options), password(options.secret) if options.secret else "")
        for name, options in _chosen(config, names).items()
    }


def remote_sources(config: Config, names: Iterable[str] | None = None) -> dict[str, RemoteSource]:
    """The same, each in processes of its own. To be called before any thread starts: then they are forks."""
    statements.load()
    password = secrets_of(config)
    opened: dict[str, RemoteSource] = {}
    for name, source in _chosen(config, names).items():
        options = options_of(config, source)
        each = msgspec.structs.replace(  # the budget is the source's, however many read it
            options,
            rows_per_second=-(-options.rows_per_second // source.connections),
            bytes_per_second=-(-options.bytes_per_second // source.connections),
        )
        make = partial(open_source, name, each, password(source.secret) if source.secret else "")
        make().close()  # what is wrong in the configuration is told here; nothing is connected to
        opened[name] = RemoteSource(name, options, make, source.connections, tell=_log)
    return opened


def told_reached(remote: RemoteSource | None) -> dict[str, Any]:
    """How a source is reached, in plain values. `unreachable` is None while it answers, and before anything was asked."""
    reached = remote.reached() if remote else Reached()
    return {
        "extractors": remote.extractors() if remote else [],
        "logins": reached.logins,
        "unreachable": None if reached.since is None else msgspec.to_builtins(reached),
    }


def _chosen(config: Config, names: Iterable[str] | None) -> dict[str, SourceConfig]:
    return {name: config.sources[name] for name in (config.sources if names is None else names)}


def _log(what: str, **fields: object) -> None:
    log.warning(event(what, **fields))


def options_of(config: Config, options: SourceConfig) -> SourceOptions:
    """What a source needs to know of its table in agent.toml."""
    return SourceOptions(
        url=options.url,
        odbc=options.odbc,
        timezone=config.institution.timezone,
        statement_timeout=options.statement_timeout,
        lock_timeout=options.lock_timeout,
        idle_timeout=options.idle_timeout,
        connect_timeout=options.connect_timeout,
        rows_per_second=options.most_rows,
        bytes_per_second=options.bytes_per_second,
        protected=options.protected,
        share=options.most_share / 100,
        slow_down=options.slow_down,
        max_rows=options.max_rows,
        max_bytes=options.max_bytes,
        files=options.files,
        oracle_client=options.oracle_client,
        allow_functions=options.allow_functions,
        procedures=options.procedures,
        nolock=options.nolock,
        encoding=options.encoding,
    )
