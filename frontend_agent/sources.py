"""The configured sources, ready to be asked."""

from collections.abc import Iterable

from connectors import Source, SourceOptions, open_source
from frontend_agent.config import Config
from frontend_agent.secrets import secrets_of


def open_sources(config: Config, names: Iterable[str] | None = None) -> dict[str, Source]:
    """The configured sources (all, or those named), ready to be asked; none is connected to yet."""
    password = secrets_of(config)
    opened: dict[str, Source] = {}
    for name in config.sources if names is None else names:
        options = config.sources[name]
        opened[name] = open_source(
            name,
            SourceOptions(
                url=options.url,
                odbc=options.odbc,
                timezone=config.institution.timezone,
                statement_timeout=options.statement_timeout,
                lock_timeout=options.lock_timeout,
                idle_timeout=options.idle_timeout,
                connect_timeout=options.connect_timeout,
                rows_per_second=options.rows_per_second,
                bytes_per_second=options.bytes_per_second,
                protected=options.protected,
                slow_down=options.slow_down,
                max_rows=options.max_rows,
                files=options.files,
                oracle_client=options.oracle_client,
                nolock=options.nolock,
                encoding=options.encoding,
            ),
            password(options.secret) if options.secret else "",
        )
    return opened
