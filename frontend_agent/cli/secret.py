"""`secret set | list | test`: values that agent.toml names and never holds. A value is typed or read, never an argument."""

import getpass
import secrets as chance
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.config import Config, SecretsConfig, unknown
from frontend_agent.errors import ConfigurationError, FrontendAgentError

RANDOM_BYTES = 32
AT_REST = "at_rest"  # the table of agent.toml whose secret is tried at the state itself
LONGEST = 64 << 10  # characters; a private key has a few thousand


class PlaceName(StrEnum):
    """Where a person wants a secret to be kept."""

    systemd = "systemd"
    keyring = "keyring"
    file = "file"


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("secret"), no_args_is_help=True)
    cli.add_typer(group, name="secret")

    @group.command(name="set", help=t("secret.set"))
    def set_secret(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("secret.name"))],
        place: Annotated[PlaceName | None, typer.Option("--in", help=t("secret.in"))] = None,
        random: Annotated[bool, typer.Option("--random", help=t("secret.random"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.secret_places import keep, places_of
        from frontend_agent.secrets import checked_name

        checked_name(name)
        settings: Settings = context.obj[-1]
        config = settings.config() if settings.config_path.exists() else None
        value = b64encode(chance.token_bytes(RANDOM_BYTES)).decode() if random else _read(t, name)
        if config is not None:
            settings.say("secret_set", config, name=name, place=place.value if place else "")
        kept = keep(name, value, places_of(config.secrets if config else SecretsConfig()), place.value if place else "")
        named = _named(config, name)
        if json:
            passed = [{"place": one, "problem": problem} for one, problem in kept.passed_over]
            output.as_json(
                {"secret": name, "place": kept.place, "next": kept.next, "used_at": named, "passed_over": passed}
            )
            return
        output.say(t("said.secret_kept", name=name, place=kept.place))
        for one, problem in kept.passed_over:
            output.say(t("said.secret_passed_over", place=one, problem=problem))
        if kept.next:
            output.say(t("said.secret_next", command=kept.next))
        if config and not named:
            output.say(t("said.secret_unused", name=name))

    @group.command(name="list", help=t("secret.list"))
    def list_secrets(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        settings: Settings = context.obj[-1]
        told = list(_listed(settings.config()))
        if json:
            output.as_json(told)
        else:
            rows = [
                (one["secret"], one["found_in"] or t("said.secret_missing"), ", ".join(one["used_at"]), one["problem"])
                for one in told
            ]
            output.table(t, ("secret", "found_in", "used_at", "problem"), rows)
        if any(one["problem"] or not one["found_in"] for one in told):
            raise typer.Exit(ConfigurationError.exit_code)

    @group.command(name="test", help=t("secret.test"))
    def test_secrets(
        context: typer.Context,
        name: Annotated[str | None, typer.Argument(help=t("secret.test_name"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings: Settings = context.obj[-1]
        told = _tested(settings, name)
        if json:
            output.as_json(told)
        else:
            words = {"works": t("said.secret_works"), "found": t("said.secret_found"), "fails": t("said.secret_fails")}
            output.table(
                t,
                ("secret", "used_at", "result", "problem"),
                [(one["secret"], one["used_at"], words[one["result"]], one["problem"]) for one in told],
            )
        raise typer.Exit(max((one["exit_code"] for one in told), default=0))


def _read(t: Texts, name: str) -> str:
    """What a person types twice, or all of standard input: a private key has many lines."""
    if sys.stdin.isatty():
        value = getpass.getpass(t("said.secret_type", name=name))
        if getpass.getpass(t("said.secret_type_again")) != value:
            raise typer.BadParameter(t("said.secret_differs"))
    else:
        value = sys.stdin.read(LONGEST + 1).rstrip("\r\n")
    if not value or len(value) > LONGEST:
        raise typer.BadParameter(t("said.secret_empty", most=LONGEST))
    return value


def _named(config: Config | None, name: str) -> list[str]:
    from frontend_agent.secret_uses import uses

    return [use.place for use in uses(config) if use.secret == name] if config else []


def _listed(config: Config) -> Iterator[dict[str, Any]]:
    from frontend_agent.secret_uses import by_secret, uses
    from frontend_agent.secrets import secrets_of

    find = secrets_of(config)
    for name, where in by_secret(uses(config)).items():
        told: dict[str, Any] = {"secret": name, "found_in": "", "where": "", "used_at": [use.place for use in where]}
        try:
            found = find.places(name)
        except ConfigurationError as error:
            yield told | {"problem": str(error)}
            continue
        if found:
            first, *others = found
            shadowed = [{"place": one.place, "where": one.where} for one in others]
            yield told | {
                "found_in": first.place, "where": first.where, "problem": first.problem, "also_in": shadowed
            }  # fmt: skip
        else:
            yield told | {"problem": f"frontend-agent secret set {name}"}


def _tested(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    """Each use of each secret: tried where `check` tries it, or only found where nothing can be asked."""
    from frontend_agent.keeping_sealed import sealing_problem
    from frontend_agent.secret_uses import trial, uses

    config = settings.config()
    chosen = [use for use in uses(config) if name in (None, use.secret)]
    if name is not None and not chosen:
        raise ConfigurationError(unknown("secret", name, {use.secret for use in uses(config)}))
    smaller, tried = trial(config, chosen)
    problems = _missing(config, {use.secret for use in chosen})
    answers: dict[str, FrontendAgentError | None] = {}
    if not problems.keys() >= {use.secret for use in chosen}:
        answers = _answers(settings, smaller, tried)
    what_of = {use: what for what, where in tried.items() for use in where}
    for use in chosen:
        if use.path[0] == AT_REST and use.secret not in problems:
            what_of[use] = AT_REST
            answers[AT_REST] = sealing_problem(config, settings.state(config))
    told = []
    for use in chosen:
        error = problems.get(use.secret) or answers.get(what_of.get(use, ""))
        result = "fails" if error else "works" if use in what_of else "found"
        told.append(
            {
                "secret": use.secret, "used_at": use.place, "result": result, "problem": str(error or ""),
                "exit_code": error.exit_code if error else 0,
            }
        )  # fmt: skip
    return told


def _missing(config: Config, names: set[str]) -> dict[str, FrontendAgentError]:
    from frontend_agent.secrets import secrets_of

    find, problems = secrets_of(config), {}
    for name in names:
        try:
            find(name)
        except FrontendAgentError as error:
            problems[name] = error
    return problems


def _answers(
    settings: Settings, config: Config, tried: Mapping[str, Sequence[Any]]
) -> dict[str, FrontendAgentError | None]:
    """What each system that is asked with one of them says, by the name that `check` gives it."""
    from frontend_agent.app import checked
    from frontend_agent.cli.visiting import visiting

    if not tried:
        return {}
    with visiting(settings, config) as opened:
        told = checked(config, settings.state(config), opened)
        return {what: error for what, error in told if what in tried}
