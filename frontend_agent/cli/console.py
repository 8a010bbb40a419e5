"""`frontend-agent console`: the web page of this agent, and who may come in there."""

import sys
from typing import Annotated
from urllib.parse import urlencode

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.config_console import ConsoleConfig
from frontend_agent.errors import StateError


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("console"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="console")
    _add_serving(group, t)
    _add_people(group, t)


def _add_serving(group: typer.Typer, t: Texts) -> None:
    @group.command(help=t("console.serve"))
    def serve(context: typer.Context) -> None:
        from frontend_agent import logs
        from frontend_agent.console.server import serve as serve_console

        settings: Settings = context.obj[0]
        config = settings.config()
        logs.to_stderr(config.log.level)
        serve_console(
            config, settings.state(config), lambda address: print(t("said.console_ready", address=address), flush=True)
        )

    @group.command(help=t("console.link"))
    def link(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("console.who"), default_factory=this_user)],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings: Settings = context.obj[0]
        config = settings.config()
        if settings.daemon(config) is None:
            raise StateError(t("said.console_no_daemon"))
        with settings.asking("console_link") as ask:
            told = ask("console_link", who=who)
        url = f"{address_of(config.console)}/enter?{urlencode({'key': told['key']})}"
        if json:
            output.as_json({"name": told["name"], "url": url})
            return
        print(url)
        output.say(t("said.console_link", name=told["name"]))


def _add_people(group: typer.Typer, t: Texts) -> None:
    @group.command(help=t("console.people"))
    def people(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with context.obj[0].asking("console_accounts") as ask:
            told = ask("console_accounts")
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("name", "role", "password_since"),
            [(one["name"], one["role"], one["since"] and output.local_time(one["since"])) for one in told],
        )

    @group.command(help=t("console.password"))
    def password(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("console.name"))],
        who: Annotated[str, typer.Option(help=t("console.who"), default_factory=this_user)],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        given = _asked(t)
        with context.obj[0].asking("console_password") as ask:
            told = ask("console_password", name=name, password=given, who=who)
        if json:
            output.as_json(told)
        else:
            output.say(t("said.console_password", **told))

    @group.command(help=t("console.remove"))
    def remove(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("console.name"))],
        who: Annotated[str, typer.Option(help=t("console.who"), default_factory=this_user)],
    ) -> None:
        with context.obj[0].asking("console_remove") as ask:
            ask("console_remove", name=name, who=who)
        output.say(t("said.console_removed", name=name))


def _asked(t: Texts) -> str:
    """A password, twice from a person, once from a pipe; never an argument, which everybody on the machine could read."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    given: str = typer.prompt(t("said.console_prompt"), hide_input=True, confirmation_prompt=True)
    return given


def address_of(console: ConsoleConfig) -> str:
    """By which address a browser is sent there: the first name that was given, else what it listens on."""
    host, port = console.address
    host = console.names[0] if console.names and not console.is_loopback else host
    return f"{'https' if console.certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
