"""`people`: the three administrators, and who may do what."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.config import unknown
from frontend_agent.errors import ConfigurationError
from frontend_agent.people import ACTS, Act, Role

EVERYTHING: Mapping[str, Any] = {
    "patient": "-",
    "show": True,
    "whole": True,
    "document": "1.2",
}  # asked for all there is


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("people"), no_args_is_help=True)
    cli.add_typer(group, name="people")

    @group.command("list", help=t("people.list"))
    def list_people(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("people_list") as ask:
            told = ask("people_list")
        if json:
            output.as_json(told)
        elif not told:
            output.say(t("said.people.none"))
        else:
            rows = [(one["name"], _role(t, one["role"]), one["account"]) for one in told]
            output.table(t, ("person", "role", "account"), rows)

    @group.command("me", help=t("people.me"))
    def me(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("whoami") as ask:
            told = ask("whoami")
        if json:
            output.as_json(told)
            return
        if not told["people"]:
            output.say(t("said.people.none"))
        if not told["roles"]:
            output.say(t("said.people.nobody", account=told["account"]))
            return
        roles = ", ".join(_role(t, role) for role in told["roles"])
        output.say(t("said.people.me", name=told["name"], account=told["account"], roles=roles))
        output.table(t, ("act",), [(act,) for act in told["acts"]])

    @group.command("acts", help=t("people.acts"))
    def acts(
        role: Annotated[str | None, typer.Option(help=t("people.role"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if role is not None and role not in list(Role):
            raise ConfigurationError(unknown("role", role, list(Role)))
        wanted = {name: act for name, act in ACTS.items() if role is None or not act.roles or role in act.roles}
        if json:
            output.as_json([_told(name, act) for name, act in wanted.items()])
            return
        output.table(t, ("act", "role", "logged", "shows"), [_row(t, name, act) for name, act in wanted.items()])


def _told(name: str, act: Act) -> dict[str, Any]:
    shows = act.shows(EVERYTHING)
    return {"act": name, "roles": sorted(act.roles), "logged": act.told or shows, "shows": shows}


def _row(t: Texts, name: str, act: Act) -> tuple[str, str, str, str]:
    told = _told(name, act)
    who = ", ".join(_role(t, role) for role in told["roles"]) or t("people.everybody")
    return name, who, t("people.logged") if told["logged"] else "", t("people.with_reason") if told["shows"] else ""


def _role(t: Texts, role: str) -> str:
    return t(f"head.role.{role}")


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
