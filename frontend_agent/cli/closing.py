"""`frontend-agent closing`: months of which nothing is sent again, and who said so; `qc silence`: feeds that fell silent."""

from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("closing"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="closing")

    @group.command("list", help=t("closing.list"))
    def list_closings(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("closing_list") as ask:
            told = ask("closing_list")
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("month", "state", "time", "decided", "reason", "late"),
            [
                (
                    act["month"], t("closing.closed") if act["action"] == "closed" else t("closing.opened"),
                    output.local_time(act["at"]), act["who"], act["reason"], act["late"] or None,
                )
                for act in told
            ],
        )  # fmt: skip

    @group.command("close", help=t("closing.close"))
    def close(
        context: typer.Context,
        month: Annotated[str, typer.Argument(help=t("closing.month"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))] = "",
    ) -> None:
        with _settings(context).asking("closing_close") as ask:
            told = ask("closing_close", month=month, who=who, reason=reason)
        if told["changed"]:
            output.say(t("said.month_closed", month=month))
        else:
            output.say(t("said.month_as_it_was", month=month))

    @group.command("open", help=t("closing.open"))
    def open_again(
        context: typer.Context,
        month: Annotated[str, typer.Argument(help=t("closing.month"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))],
    ) -> None:
        with _settings(context).asking("closing_open") as ask:
            told = ask("closing_open", month=month, who=who, reason=reason)
        if told["changed"]:
            output.say(t("said.month_opened", month=month))
        else:
            output.say(t("said.month_as_it_was", month=month))


def add_silence(group: typer.Typer, t: Texts) -> None:
    """Register `qc silence`."""

    @group.command("silence", help=t("qc.silence"))
    def silence(
        context: typer.Context,
        days: Annotated[int, typer.Option(help=t("qc.silence.days"), min=1)] = 31,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("silences") as ask:
            told = ask("silences", days=days)
        if json:
            output.as_json(told)
            return
        rows = [(one["feed"], *(moment and output.local_time(moment) for moment in _moments(one))) for one in told]
        output.table(t, ("feed", "silent_since", "told", "over"), rows)


def _moments(alarm: dict[str, Any]) -> tuple[str, str, str | None]:
    return alarm["since"], alarm["at"], alarm["ended_at"]


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
