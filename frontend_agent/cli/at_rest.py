"""`at-rest status | rekey | secret`: encryption of the state directory."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from frontend_agent import control
from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.config import Config
from frontend_agent.errors import StateError


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("at_rest"), no_args_is_help=True)
    cli.add_typer(group, name="at-rest")

    @group.command(name="status", help=t("at_rest.status"))
    def status(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        from frontend_agent.keeping_sealed import standing

        settings: Settings = context.obj[-1]
        config = settings.config()
        told = standing(config, settings.state(config))
        if json:
            output.as_json(told)
            return
        output.say(t("said.at_rest", suite=told["suite"], secret=told["secret"] or "-"))
        suites = {key["id"]: key["suite"] for key in told["keys"]}
        output.table(
            t,
            ("key_id", "suite", "files"),
            [(key or "-", suites.get(key, "none"), count) for key, count in sorted(told["files"].items())],
        )
        for folder, count in told["not_sealed"].items():
            output.say(t("said.at_rest_plain", folder=folder, files=count))

    @group.command(name="rekey", help=t("at_rest.rekey"))
    def rekey(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        from frontend_agent import keeping_sealed

        config, state = _alone(context, t, "at_rest_rekey")
        files = keeping_sealed.rekey(config, state, this_user(), datetime.now(UTC))
        if json:
            output.as_json(keeping_sealed.standing(config, state))
        else:
            output.say(t("said.at_rest_rekeyed", files=files))

    @group.command(name="secret", help=t("at_rest.secret"))
    def secret(context: typer.Context, name: Annotated[str, typer.Argument(help=t("secret.name"))]) -> None:
        from frontend_agent.keeping_sealed import admit

        config, state = _alone(context, t, "at_rest_secret", name=name)
        admit(config, state, name, this_user(), datetime.now(UTC))
        output.say(t("said.at_rest_admitted", name=name))


def _alone(context: typer.Context, t: Texts, act: str, **arguments: str) -> tuple[Config, Path]:
    """The configuration, and a state that no daemon has open; and it is said who does what to it."""
    settings: Settings = context.obj[-1]
    config = settings.config()
    state = settings.state(config)
    if control.is_running(state):
        raise StateError(t("said.at_rest_running", state=state))
    if config.at_rest.key:  # else there is nothing to do, which is said below
        settings.say(act, config, **arguments)
    return config, state
