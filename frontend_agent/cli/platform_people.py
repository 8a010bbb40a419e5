"""`frontend-agent platform people`: who may log in at the platform's pages over the network."""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.platform_log import said
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.platform.people.registry import People, Role

ROLES = ("reader", "quality", "administrator")
Folder = Callable[[typer.Context], Path]


def add_to(platform: typer.Typer, t: Texts, folder: Folder) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("platform.people"), no_args_is_help=True, rich_markup_mode=None)
    platform.add_typer(group, name="people")
    _add_making(group, t, folder)
    _add_list(group, t, folder)

    @group.command("remove", help=t("platform.people.remove"))
    def remove(context: typer.Context, name: Annotated[str, typer.Argument(help=t("platform.people.name"))]) -> None:
        state = folder(context)
        people = _people(t, state)
        if people.one(name) is None:
            raise ConfigurationError(t("said.platform_people.unknown", name=name))
        said(context.obj[0], state, "platform_people_remove", person=name)
        people.drop(name)
        output.say(t("said.platform_people.removed", name=name))


def _add_making(group: typer.Typer, t: Texts, folder: Folder) -> None:
    @group.command("add", help=t("platform.people.add"))
    def add(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("platform.people.name"))],
        role: Annotated[str, typer.Option(help=t("platform.people.role"))],
        no_code: Annotated[bool, typer.Option("--no-code", help=t("platform.people.no_code"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.platform.people.registry import Role

        if role not in ROLES:
            raise ConfigurationError(t("said.platform_people.no_role", role=role, roles=", ".join(ROLES)))
        state = folder(context)
        people = _people(t, state)
        if people.one(name) is not None:
            raise ConfigurationError(t("said.platform_people.there", name=name))
        if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > 100:
            raise ConfigurationError(t("said.platform_people.no_name"))
        _put(context, t, state, people, "platform_people_add", name, Role(role), not no_code, json)

    @group.command("password", help=t("platform.people.password"))
    def password(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("platform.people.name"))],
        no_code: Annotated[bool, typer.Option("--no-code", help=t("platform.people.no_code"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.platform.people.registry import Role

        state = folder(context)
        people = _people(t, state)
        if (one := people.one(name)) is None:
            raise ConfigurationError(t("said.platform_people.unknown", name=name))
        _put(context, t, state, people, "platform_people_password", name, Role(one.role), not no_code, json)


def _put(
    context: typer.Context, t: Texts, state: Path, people: "People", act: str, name: str, role: "Role", codes: bool, json: bool
) -> None:  # fmt: skip
    from frontend_agent import passwords

    if role == "administrator" and not codes:
        raise ConfigurationError(t("said.platform_people.needs_code"))
    given = _asked(t)
    if wrong := passwords.weakness(given, name):
        raise FrontendAgentError(t("said.platform_people.weak", why=wrong))
    secret = secrets.token_bytes(20) if codes else b""
    said(context.obj[0], state, act, person=name, role=str(role), codes=codes)
    people.put(name, role, passwords.keep(given, secrets.token_bytes(16)), secret)
    told = {
        "name": name,
        "role": str(role),
        "secret": passwords.secret_text(secret) if secret else "",
        "uri": passwords.provisioning(secret, name, "区域卫生信息平台") if secret else "",
    }
    if json:
        output.as_json(told)
    elif secret:
        output.say(t("said.platform_people.kept", **told))
    else:
        output.say(t("said.platform_people.kept_no_code", name=name, role=str(role)))


def _add_list(group: typer.Typer, t: Texts, folder: Folder) -> None:
    @group.command("list", help=t("platform.people.list"))
    def list_people(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        told: list[dict[str, Any]] = [
            {"name": one.name, "role": one.role, "codes": bool(one.totp), "since": one.changed_at}
            for one in _people(t, folder(context)).all()
        ]
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("name", "role", "one_time_codes", "password_since"),
            [
                (one["name"], one["role"], t("people.logged") if one["codes"] else "–", output.local_time(one["since"]))
                for one in told
            ],
        )


def _people(t: Texts, state: Path) -> "People":
    from frontend_agent.platform.people.registry import People

    if not state.is_dir():
        raise ConfigurationError(t("said.platform_people.no_platform", folder=state))
    return People(state)


def _asked(t: Texts) -> str:
    """A password, twice from a person, once from a pipe; never an argument, which everybody on the machine could read."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    given: str = typer.prompt(t("said.console_prompt"), hide_input=True, confirmation_prompt=True)
    return given
