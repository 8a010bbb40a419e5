"""`frontend-agent vanished`: records that were reported and are no longer at their source."""

from typing import Annotated

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("vanished"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="vanished")
    _add_list(group, t)
    _add_deciding(group, t)


def _add_list(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("vanished.list"))
    def list_vanished(
        context: typer.Context,
        feed: Annotated[str | None, typer.Option(help=t("quarantine.feed"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("vanished_list") as ask:
            told = ask("vanished_list", feed=feed)
        if json:
            output.as_json(told)
            return
        for one in told["stopped"]:
            values = {"feed": one["feed"], "count": one["count"], "most": one["at_most"], "who": one["accepted_by"]}
            output.say(
                t("said.vanished_accepted", **values) if one["accepted_by"] else t("said.vanished_stopped", **values)
            )
            output.say("  " + ", ".join(one["keys"][:20]) + (" …" if one["count"] > 20 else ""))
        output.table(
            t,
            ("case", "feed", "kind", "key", "since"),
            [
                (one["id"], one["feed"], one["kind"], one["key"], output.local_time(one["since"]))
                for one in told["held"]
            ],
        )


def _add_deciding(group: typer.Typer, t: Texts) -> None:
    @group.command("accept", help=t("vanished.accept"))
    def accept(
        context: typer.Context,
        feed: Annotated[str, typer.Argument(help=t("quarantine.feed"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))],
    ) -> None:
        _decide(context, t, feed, True, who, reason)

    @group.command("look-again", help=t("vanished.look_again"))
    def look_again(
        context: typer.Context,
        feed: Annotated[str, typer.Argument(help=t("quarantine.feed"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))] = "",
    ) -> None:
        _decide(context, t, feed, False, who, reason)

    @group.command("void", help=t("vanished.void"))
    def void(
        context: typer.Context,
        cases: Annotated[list[str], typer.Argument(help=t("quarantine.case"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))],
    ) -> None:
        with _settings(context).asking("vanished_void") as ask:
            told = ask("vanished_void", cases=cases, who=who, reason=reason)
        output.say(t("said.vanished_voided", cases=", ".join(told["voided"])))


def _decide(context: typer.Context, t: Texts, feed: str, accepted: bool, who: str, reason: str) -> None:
    with _settings(context).asking("vanished_decide") as ask:
        told = ask("vanished_decide", feed=feed, accepted=accepted, who=who, reason=reason)
    if told["changed"]:
        output.say(t("said.vanished_decided", feed=feed))
    else:
        output.say(t("said.vanished_not_stopped", feed=feed))


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
