"""`frontend-agent source engines` and `source procedures`: what a source may run on, and what it may call."""

from typing import Annotated

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts


def add_to(group: typer.Typer, t: Texts) -> None:
    """Register the commands in the group `source`."""
    _add_engines(group, t)
    _add_procedures(group, t)


def _add_engines(group: typer.Typer, t: Texts) -> None:
    @group.command("engines", help=t("source.engines"))
    def engines(json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False) -> None:
        # Not at the top: every command would wait half a second for the drivers.
        from connectors.engines import ENGINES
        from connectors.sql import SCHEMES, engine_of_scheme

        by_url = {engine_of_scheme(scheme) for scheme in SCHEMES}
        if json:
            output.as_json(
                [
                    {"engine": one.name, "product": one.title, "url": one.name in by_url, "tested": one.tested}
                    for one in ENGINES
                ]
            )
            return
        rows = [
            (
                one.name,
                one.title,
                t("engine.native") if one.name in by_url else t("engine.odbc"),
                t("engine.tested") if one.tested else t("engine.text"),
            )
            for one in ENGINES
        ]
        output.table(t, ("engine", "product", "connect_by", "tested"), rows)


def _add_procedures(group: typer.Typer, t: Texts) -> None:
    @group.command("procedures", help=t("source.procedures"))
    def procedures(
        context: typer.Context,
        source: Annotated[str, typer.Argument(help=t("source.name"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.cli.visiting import visiting
        from frontend_agent.pinning import pinned_procedures

        settings: Settings = context.obj[0]
        with visiting(settings) as opened:
            found = pinned_procedures(settings.config(), source, opened)
        if json:
            output.as_json(
                [{"procedure": p.name, "digest": p.digest, "pinned": p.pinned, "state": p.state} for p in found]
            )
        elif not found:
            output.say(t("said.no_procedures", source=source))
        else:
            states = {
                "pinned": t("procedure.pinned"),
                "unpinned": t("procedure.unpinned"),
                "changed": t("procedure.changed"),
                "unread": t("procedure.unread"),
            }
            output.table(t, ("procedure", "digest", "state"), [(p.name, p.digest, states[p.state]) for p in found])
            if any(p.state != "pinned" for p in found):
                listed = ", ".join(f'"{p.name}" = "{p.digest}"' for p in found if p.digest)
                output.say(t("said.pin_procedures", source=source, line=f"procedures = {{ {listed} }}"))
        raise typer.Exit(int(any(p.state != "pinned" for p in found)))
