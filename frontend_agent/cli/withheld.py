"""`frontend-agent withheld`: what rules keep back, and telling that the region was told."""

from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts

HEADINGS = ("case", "state", "kind", "feed", "key", "since", "rule", "field", "decided_by", "reason", "reached")


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("withheld"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="withheld")
    _add_looking(group, t)
    _add_acknowledging(group, t)


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("withheld.list"))
    def list_withheld(
        context: typer.Context,
        feed: Annotated[str | None, typer.Option(help=t("quarantine.feed"))] = None,
        rule: Annotated[str | None, typer.Option(help=t("withheld.rule"))] = None,
        everything: Annotated[bool, typer.Option("--all", help=t("withheld.everything"))] = False,
        alarms: Annotated[bool, typer.Option("--alarms", help=t("withheld.alarms"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("withheld_list") as ask:
            found = ask("withheld_list", feed=feed, rule=rule, everything=everything) or iter(())
            chosen = (kept for kept in found if kept["alarm"] or not alarms)
            if json:
                output.as_json(chosen)
            else:
                output.table(t, HEADINGS, (row(kept) for kept in chosen))


def _add_acknowledging(group: typer.Typer, t: Texts) -> None:
    @group.command("acknowledge", help=t("withheld.acknowledge"))
    def acknowledge(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))],
        cases: Annotated[list[str], typer.Argument(help=t("withheld.case"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("withheld_acknowledge") as ask:
            told = ask("withheld_acknowledge", ids=cases, who=who, reason=reason)
        if json:
            output.as_json(told)
        else:
            output.say(t("said.acknowledged", cases=told["acknowledged"]))


def row(kept: dict[str, Any]) -> tuple[Any, ...]:
    """One of them under HEADINGS."""
    version = kept["reached"] or None
    told = f"{version} ({kept['acknowledged_by']})" if version and kept["acknowledged_by"] else version
    names = ("id", "state", "kind", "feed", "key", "since", "rule", "field", "decided_by", "reason")
    return (*(kept[name] for name in names), told)


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
