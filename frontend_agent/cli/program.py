"""`program verify | contents | audit`: whether what is installed is what was signed, and what it is made of."""

from pathlib import Path
from typing import Annotated

import typer

from frontend_agent.cli import auditing, output
from frontend_agent.cli.texts import Texts


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("program"), no_args_is_help=True)
    cli.add_typer(group, name="program")
    auditing.add_to(group, t)

    @group.command(help=t("program.verify"))
    def verify(
        path: Annotated[Path | None, typer.Argument(help=t("program.path"))] = None,
        key: Annotated[list[Path] | None, typer.Option("--key", help=t("program.key"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent import program

        where = path or program.running()
        keys = program.keys_from(key) if key else program.trusted_keys()
        found = program.verified(where, keys)
        if json:
            output.as_json({"path": str(where), "verified": found, "keys": sorted(keys.raw)})
        else:
            output.say(t("said.program_verified", path=where, found=found))

    @group.command(help=t("program.contents"))
    def contents(json: Annotated[bool, typer.Option("--json", help=t("program.cyclonedx"))] = False) -> None:
        from frontend_agent import program

        bill = program.bill_of_materials(program.running())
        if json:
            output.as_json(bill)
            return
        rows = [(part["name"], part["version"], program.licence_of(part)) for part in bill["components"]]
        output.table(t, ("part", "part_version", "licence"), rows)
