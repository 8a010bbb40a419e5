"""`frontend-agent platform upgrades`: which versions of the program a region offers its hospitals, and how far they have come.

They work on the platform's folder, beside a running server, which offers what they change with the next heartbeat.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from frontend_agent.cli import output
from frontend_agent.cli.platform_log import said
from frontend_agent.cli.session import this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError

if TYPE_CHECKING:
    from frontend_agent.platform.catalogue import Catalogue
    from frontend_agent.platform.upgrades import Offering, Progress, Upgrades

Folder = Callable[[typer.Context], Path]
Reading = Callable[[typer.Context], AbstractContextManager["Catalogue"]]


def add_to(platform: typer.Typer, t: Texts, reading: Reading, folder: Folder) -> None:
    """Register the commands below `platform`."""
    group = typer.Typer(help=t("fleet"), no_args_is_help=True, rich_markup_mode=None)
    platform.add_typer(group, name="upgrades")
    _add_packages(group, t, folder)
    _add_offering(group, t, folder)
    _add_status(group, t, reading, folder)


def _add_packages(group: typer.Typer, t: Texts, folder: Folder) -> None:
    @group.command("add", help=t("fleet.add"))
    def add(
        context: typer.Context,
        file: Annotated[Path, typer.Argument(help=t("upgrade.file"))],
        key: Annotated[list[Path] | None, typer.Option(help=t("fleet.key"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent import program

        keys = program.keys_from(key) if key else program.trusted_keys()
        manifest = program.verify_archive(file, keys)
        said(
            context.obj[0], folder(context), "platform_upgrade_add", version=manifest.version, machine=manifest.machine
        )
        with _upgrades(folder(context)) as upgrades:
            package = upgrades.add(file, manifest.version, manifest.machine, this_user())
        if json:
            output.as_json(msgspec.to_builtins(package))
        else:
            output.say(t("fleet.added", version=package.version, machine=package.machine, mb=package.size >> 20))

    @group.command("list", help=t("fleet.list"))
    def list_packages(
        context: typer.Context,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _upgrades(folder(context)) as upgrades:
            packages = upgrades.packages()
            offered = {one.version: one for one in upgrades.offerings()}
            progress = upgrades.progress()
        told: list[dict[str, Any]] = [
            {**msgspec.to_builtins(one), **_told_offering(offered.get(one.version), progress)} for one in packages
        ]
        rows = [
            (one["version"], one["machine"], one["size"] >> 20, output.local_time(one["added_at"]), one["added_by"], _state(t, one))
            for one in told
        ]  # fmt: skip
        _tell(t, json, told, ("version", "made_for", "megabytes", "added_at", "by", "state"), rows)

    @group.command("drop", help=t("fleet.drop"))
    def drop(
        context: typer.Context,
        version: Annotated[str, typer.Argument(help=t("fleet.version"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _upgrades(folder(context)) as upgrades:
            said(context.obj[0], folder(context), "platform_upgrade_drop", version=version)
            count = upgrades.drop(version)
        output.as_json({"dropped": count}) if json else output.say(t("fleet.dropped", version=version, count=count))


def _add_offering(group: typer.Typer, t: Texts, folder: Folder) -> None:
    @group.command("offer", help=t("fleet.offer"))
    def offer(
        context: typer.Context,
        version: Annotated[str, typer.Argument(help=t("fleet.version"))],
        to: Annotated[list[str] | None, typer.Option(help=t("fleet.to"))] = None,
        everybody: Annotated[bool, typer.Option("--all", help=t("fleet.all"))] = False,
        percent: Annotated[int, typer.Option(help=t("fleet.percent"), min=0, max=100)] = 0,
        stop_after: Annotated[int, typer.Option(help=t("fleet.stop_after"), min=0)] = 1,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.platform.judging import is_institution

        if not (to or everybody or percent):
            raise typer.BadParameter(t("fleet.to_nobody"))
        for one in to or ():
            if not is_institution(one):
                raise typer.BadParameter(t("token.no_institution", institution=one))
        with _upgrades(folder(context)) as upgrades:
            what = {"version": version, "to": to, "percent": 100 if everybody else percent, "stop_after": stop_after}
            said(context.obj[0], folder(context), "platform_upgrade_offer", **what)
            made = upgrades.offer(version, this_user(), to or (), 100 if everybody else percent, stop_after)
        if json:
            output.as_json(msgspec.to_builtins(made))
        else:
            output.say(t("fleet.offered", version=version, named=len(made.institutions), percent=made.percent))

    @group.command("withdraw", help=t("fleet.withdraw"))
    def withdraw(
        context: typer.Context,
        version: Annotated[str, typer.Argument(help=t("fleet.version"))],
        reason: Annotated[str, typer.Option(help=t("upgrade.reason"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _upgrades(folder(context)) as upgrades:
            said(context.obj[0], folder(context), "platform_upgrade_withdraw", version=version, why=reason)
            upgrades.withdraw(version, this_user(), reason)
        output.as_json({"withdrawn": version}) if json else output.say(t("fleet.withdrawn", version=version))


def _add_status(group: typer.Typer, t: Texts, reading: Reading, folder: Folder) -> None:
    @group.command("status", help=t("fleet.status"))
    def status(
        context: typer.Context,
        version: Annotated[str, typer.Argument(help=t("fleet.version"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.platform.fleet import upgrades_of

        with reading(context) as catalogue:
            names, hospitals = catalogue.institutions(), catalogue.hospitals()
        with _upgrades(folder(context)) as upgrades:
            offerings = [one for one in upgrades.offerings() if version in ("", one.version)]
            progress = upgrades.progress()
        if version and not offerings:
            raise ConfigurationError(t("fleet.never_offered", version=version))
        told: list[dict[str, Any]] = [
            {**msgspec.to_builtins(one), **_told_offering(one, progress),
             "hospitals": upgrades_of(one, progress, hospitals, names)}
            for one in offerings
        ]  # fmt: skip
        if json:
            output.as_json(told)
            return
        if not told:
            output.say(t("fleet.nothing"))
        for one in told:
            output.say(
                t(
                    "fleet.of",
                    version=one["version"],
                    state=_state(t, one),
                    named=len(one["institutions"]),
                    percent=one["percent"],
                )
            )
            output.table(
                t,
                ("institution", "name", "runs", "state", "time", "reason"),
                [
                    (here["institution"], here["name"], here["runs"], state_words(t)[here["state"]],
                     output.local_time(here["at"]) if here["at"] else "", here["reason"])
                    for here in one["hospitals"]
                ],
            )  # fmt: skip


def _told_offering(offering: "Offering | None", progress: "list[Progress]") -> dict[str, Any]:
    """Whether it is offered now, and how many hospitals are how far."""
    from frontend_agent.platform.upgrades import is_stopped, told_of

    if offering is None:
        return {"offer": "none", "states": {}}
    stopped = is_stopped(offering, progress)
    return {
        "offer": "withdrawn" if offering.withdrawn_at else "stopped" if stopped else "offered",
        "states": told_of(offering, progress),
    }


def state_words(t: Texts) -> dict[str, str]:
    """The states of an upgrade at a hospital, for a reader."""
    return {
        "unheard": t("fleet.state.unheard"), "offered": t("fleet.state.offered"), "fetching": t("fleet.state.fetching"),
        "waiting": t("fleet.state.waiting"), "due": t("fleet.state.due"), "trial": t("fleet.state.trial"),
        "confirmed": t("fleet.state.confirmed"), "returned": t("fleet.state.returned"), "refused": t("fleet.state.refused"),
        "later": t("fleet.state.later"),
    }  # fmt: skip


def _state(t: Texts, told: dict[str, Any]) -> str:
    words = state_words(t)
    counts = ", ".join(f"{words.get(state, state)} {count}" for state, count in told["states"].items())
    word = {
        "none": t("fleet.offer.none"), "offered": t("fleet.offer.offered"), "stopped": t("fleet.offer.stopped"),
        "withdrawn": t("fleet.offer.withdrawn"),
    }[told["offer"]]  # fmt: skip
    return f"{word} ({counts})" if counts else word


def _tell(t: Texts, json: bool, told: list[Any], headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    output.as_json(told) if json else output.table(t, headings, rows)


def _upgrades(state: Path) -> "Upgrades":
    from frontend_agent.platform.upgrades import Upgrades

    return Upgrades(state)
