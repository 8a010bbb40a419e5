"""`tables`: the shared tables of a destination as SQL, for who makes them in the region or holds them against what is there."""

from typing import Annotated

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.spec import EngineName
from frontend_agent.cli.texts import Texts
from frontend_agent.config import Config
from frontend_agent.errors import ConfigurationError

# How a destination's address names an engine, and how the writer of SQL does.
ENGINE_OF = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql", "oracle": "oracle", "mssql": "sqlserver"}


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the command."""

    @cli.command(help=t("tables"))
    def tables(
        context: typer.Context,
        destination: Annotated[str, typer.Argument(help=t("tables.destination"), metavar="DESTINATION")],
        engine: Annotated[EngineName | None, typer.Option(help=t("tables.engine"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings: Settings = context.obj[-1]
        text, made = _written(settings.config(), destination, engine.value if engine else "")
        if json:
            output.as_json({"sql": text, "tables": made})
            return
        typer.echo(text)


def _written(config: Config, name: str, engine: str) -> tuple[str, list[str]]:
    from frontend_agent.config_outlets import TableOutlet
    from frontend_agent.dialect_makers import shared_tables
    from frontend_agent.dialects.shared_tables import specified
    from frontend_agent.packs.content import content_of
    from frontend_agent.supplying import ENGINES, ddl

    options = config.destinations.get(name)
    if not isinstance(options, TableOutlet):
        known = ", ".join(one for one, outlet in config.destinations.items() if isinstance(outlet, TableOutlet))
        raise ConfigurationError(f'{name!r} is no destination of type "table" (there are: {known or "none"})')
    family = engine or ENGINE_OF[options.url.partition(":")[0]]
    status = [column for column in (options.status_column, options.reason_column) if column]
    made = specified(shared_tables(name, options, content_of(None)), status)
    return ddl(ENGINES[family], made), [table.name for table in made]
