"""`frontend-agent inlet`: what comes in by itself."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.images import show_inlets as show_image_inlets
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts

COUNTED = ("new", "taken", "unwanted", "unreadable", "conflict", "discarded")


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("inlet"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="inlet")
    _add_looking(group, t)
    _add_messages(group, t)
    _add_deciding(group, t)
    _add_tap(group, t)


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("inlet.list"))
    def list_inlets(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("inlet_list") as ask:
            told, images = ask("inlet_list"), ask("images_inlets")
        if json:
            output.as_json([*told, *images])
            return
        if told or not images:
            show_inlets(t, told)
        if images:
            show_image_inlets(t, images)

    @group.command("show", help=t("inlet.show"))
    def show(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("inlet.name"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("inlet_show") as ask:
            told = ask("inlet_show", inlet=name)
        if json:
            output.as_json(told)
            return
        for key, value in told.items():
            output.say(f"{key}: {_flat(value)}")


def show_inlets(t: Texts, told: list[dict[str, Any]]) -> None:
    """How each inlet stands, and which of them others may listen in on (threat H1)."""
    output.table(
        t,
        ("name", "type", "state", *COUNTED, "feeds"),
        [
            (
                one["name"],
                one["type"],
                _standing(t, one),
                *(one["inbox"][state] for state in COUNTED),
                ", ".join(one["feeds"]) or t("said.inlet_unread"),
            )
            for one in told
        ],
    )
    for one in told:
        if one["plain_for"]:
            output.say(t("said.inlet_plain", inlet=one["name"], addresses=", ".join(one["plain_for"])))


def show_messages(t: Texts, told: list[dict[str, Any]]) -> None:
    """Messages, a line each: what is known of them, not what they say."""
    output.table(
        t,
        ("message", "received", "about", "control", "sender", "bytes", "state", "problem"),
        [
            (
                str(one["id"]),
                output.local_time(one["received_at"], "%Y-%m-%d %H:%M:%S"),
                one["about"],
                one["control_id"],
                one["sender"],
                one["size"],
                t(f"head.{one['state']}"),
                "; ".join(one["problem"]),
            )
            for one in told
        ],
    )


def _add_messages(group: typer.Typer, t: Texts) -> None:
    @group.command("messages", help=t("inlet.messages"))
    def messages(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("inlet.name"))],
        only: Annotated[str, typer.Option(help=t("inlet.state"))] = "",
        limit: Annotated[int, typer.Option(help=t("inlet.limit"), min=1, max=10_000)] = 50,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("inlet_messages") as ask:
            told = ask("inlet_messages", inlet=name, state=only, limit=limit)
        if json:
            output.as_json(told)
            return
        show_messages(t, told)

    @group.command("message", help=t("inlet.message"))
    def message(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("inlet.name"))],
        number: Annotated[int, typer.Argument(help=t("inlet.number"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("inlet_message") as ask:
            told = ask("inlet_message", inlet=name, message=number)
        if json:
            output.as_json(told)
            return
        structure = told.pop("structure")
        for key, value in told.items():
            output.say(f"{key}: {_flat(value)}")
        if structure is not None:
            _show_structure(structure)


def _add_deciding(group: typer.Typer, t: Texts) -> None:
    @group.command("read", help=t("inlet.read"))
    def read(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("inlet.name"))],
        numbers: Annotated[list[int], typer.Argument(help=t("inlet.number"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
    ) -> None:
        with _settings(context).asking("inlet_read") as ask:
            told = ask("inlet_read", inlet=name, messages=numbers, who=who)
        output.say(t("said.inlet_read", count=told["read"]))

    @group.command("discard", help=t("inlet.discard"))
    def discard(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("inlet.name"))],
        numbers: Annotated[list[int], typer.Argument(help=t("inlet.number"))],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
    ) -> None:
        with _settings(context).asking("inlet_discard") as ask:
            told = ask("inlet_discard", inlet=name, messages=numbers, who=who, reason=reason)
        output.say(t("said.inlet_discarded", count=told["discarded"]))


def _add_tap(group: typer.Typer, t: Texts) -> None:
    @group.command("tap", help=t("inlet.tap"))
    def tap(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help=t("inlet.name"))],
        count: Annotated[int, typer.Option(help=t("inlet.count"), min=0)] = 0,
        json: Annotated[bool, typer.Option("--json", help=t("inlet.tap_json"))] = False,
    ) -> None:
        with _settings(context).asking("inlet_tap") as ask:
            for seen, row in enumerate(_rows(ask("inlet_tap", inlet=name)), 1):
                if json:
                    output.as_json_line(row)
                else:
                    _show_tapped(t, row)
                if count and seen >= count:
                    return


def _rows(told: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Without those that only say that nothing comes."""
    return (row for row in told if row)


def _show_tapped(t: Texts, row: dict[str, Any]) -> None:
    if row["missed"]:
        output.say(t("said.tap_missed", count=row["missed"]))
    output.say(f"{output.local_time(row['at'], '%H:%M:%S')} {row['what']} {row['sender']}")
    _show_structure(row)


def _show_structure(told: dict[str, Any]) -> None:
    output.say(
        "  " + " ".join(part for part in (told["format"], told["type"], told["charset"], f"{told['bytes']} B") if part)
    )
    if told["problem"]:
        output.say(f"  {told['problem']}")
    for line in told["lines"]:
        output.say(f"  {line}")


def _standing(t: Texts, one: dict[str, Any]) -> str:
    if one["problem"]:
        return str(one["problem"])
    return t("said.inlet_running") if one["running"] else t("said.inlet_stopped")


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_flat(inner) for inner in value)
    return str(value)


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
