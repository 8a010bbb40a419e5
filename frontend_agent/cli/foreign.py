"""`frontend-agent receipts` and `registrations`: what destinations answered, and what a person says of it."""

from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    receipts = typer.Typer(help=t("receipts"), invoke_without_command=True, rich_markup_mode=None)
    cli.add_typer(receipts, name="receipts")
    _add_listing(receipts, t)
    _add_words(receipts, t)
    registrations = typer.Typer(help=t("registrations"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(registrations, name="registrations")
    _add_registrations(registrations, t)


def _add_listing(group: typer.Typer, t: Texts) -> None:
    @group.callback()
    def receipts(
        context: typer.Context,
        destination: Annotated[str | None, typer.Option(help=t("receipts.destination"))] = None,
        after: Annotated[int, typer.Option(help=t("receipts.after"), min=0)] = 0,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 1000,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        with _settings(context).asking("receipts") as ask:
            found = ask("receipts", destination=destination, after=after, limit=limit) or iter(())
            if json:
                output.as_json(iter(found))
                return
            output.table(
                t,
                ("row", "document", "destination", "outcome", "time", "reply", "reasons"),
                (
                    (
                        one["row"],
                        one["document_id"],
                        one["destination"],
                        one["outcome"],
                        one["settled_at"],
                        f"{one['reply'][:12]}#{one['position']}" if one["reply"] else None,
                        output.reasons(t, one["reasons"]),
                    )
                    for one in found
                ),
            )


def _add_words(group: typer.Typer, t: Texts) -> None:
    @group.command("confirm", help=t("receipts.confirm"))
    def confirm(
        context: typer.Context,
        destination: Annotated[str, typer.Argument(help=t("receipts.destination"))],
        documents: Annotated[list[str], typer.Argument(help=t("receipts.documents"))],
        who: Annotated[str, typer.Option(help=t("receipts.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("receipts.reason"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("receipts_confirm") as ask:
            told = ask("receipts_confirm", destination=destination, documents=documents, who=who, reason=reason)
        _show(t("said.confirmed", **told), told, json)

    @group.command("reopen", help=t("receipts.reopen"))
    def reopen(
        context: typer.Context,
        destination: Annotated[str, typer.Argument(help=t("receipts.destination"))],
        documents: Annotated[list[str], typer.Argument(help=t("receipts.documents"))],
        who: Annotated[str, typer.Option(help=t("receipts.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("receipts.reason"))],
        refused: Annotated[bool, typer.Option("--refused", help=t("receipts.refused"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("receipts_reopen") as ask:
            told = ask(
                "receipts_reopen", destination=destination, documents=documents, who=who, reason=reason, refused=refused
            )
        _show(t("said.reopened", **told), told, json)


def _add_registrations(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("registrations.list"))
    def listed(
        context: typer.Context,
        destination: Annotated[str | None, typer.Option(help=t("receipts.destination"))] = None,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 100,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("registrations_list") as ask:
            told = ask("registrations_list", destination=destination, limit=limit)
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("destination", "registration", "documents", "time"),
            [
                (one["destination"], one["registration"], one["documents"], output.local_time(one["since"]))
                for one in told
            ],
        )

    @group.command("known", help=t("registrations.known"))
    def known(
        context: typer.Context,
        destination: Annotated[str, typer.Argument(help=t("receipts.destination"))],
        names: Annotated[list[str], typer.Argument(help=t("registrations.names"))],
        who: Annotated[str, typer.Option(help=t("receipts.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("receipts.reason"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("registrations_known") as ask:
            told = ask("registrations_known", destination=destination, names=names, who=who, reason=reason)
        _show(t("said.registered", **told), told, json)


def show_foreign(t: Texts, told: dict[str, Any]) -> None:
    """What `status` says of destinations that are not our platform."""
    for one in told["destinations"]:
        foreign = one["foreign"]
        if not foreign:
            continue
        figures = {**foreign, "name": one["name"]}
        if foreign["accepted"]:
            output.say(t("said.unproven", **figures))
        if foreign["unread"]:
            output.say(t("said.unread", **figures))
        if foreign["awaiting"]:
            wanted = ", ".join(foreign["wanted"]) + (" …" if foreign["registrations"] > len(foreign["wanted"]) else "")
            since = output.local_time(foreign["since"]) if foreign["since"] else "–"
            output.say(t("said.awaiting", **{**figures, "wanted": wanted, "since": since}))
        if foreign["impatient"]:
            output.say(t("said.impatient", **figures))


def _show(said: str, told: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(told)
    else:
        output.say(said)


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
