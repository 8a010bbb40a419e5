"""`frontend-agent reconcile`: three sides of the same days, what differs between them, and mending it."""

from collections.abc import Iterable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from frontend_agent.cli import output
from frontend_agent.cli.feed_first import FEED, FeedFirst
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts

SHOWN = 200  # differences on a screen
DIFFERENCES = ("missed", "stale", "vanished", "lost", "other bytes", "unknown here")


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("reconcile"), no_args_is_help=True, rich_markup_mode=None, cls=FeedFirst)
    cli.add_typer(group, name="reconcile")
    _add_comparing(group, t)
    _add_looking(group, t)


def _add_comparing(group: typer.Typer, t: Texts) -> None:
    @group.command(FEED, help=t("reconcile.feed"))
    def reconcile(
        context: typer.Context,
        feed: Annotated[str, typer.Argument(help=t("reconcile.name"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        day: Annotated[str | None, typer.Option(help=t("reconcile.day"))] = None,
        first: Annotated[str | None, typer.Option("--from", help=t("reconcile.first"))] = None,
        last: Annotated[str | None, typer.Option("--to", help=t("reconcile.last"))] = None,
        department: Annotated[str | None, typer.Option(help=t("reconcile.department"))] = None,
        resend: Annotated[bool, typer.Option("--resend", help=t("reconcile.resend"))] = False,
        closed: Annotated[bool, typer.Option("--closed", help=t("reconcile.closed"))] = False,
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if (day is not None and (first or last)) or bool(first) != bool(last):
            raise typer.BadParameter("--day | --from --to")
        settings = _settings(context)
        with settings.asking("reconcile") as ask:
            zone = ZoneInfo(settings.config().institution.timezone)
            yesterday = (datetime.now(zone).date() - timedelta(days=1)).isoformat()
            rows = ask(
                "reconcile", feed=feed, first=first or day or yesterday, last=last or day or yesterday, who=who,
                department=department, resend=resend, closed=closed, reason=reason,
            )  # fmt: skip
            told = _followed(t, rows, show=not json)
        if json:
            output.as_json(told)
        else:
            show_result(t, told)
        if told["differing"] > told["mended"]:
            raise typer.Exit(1)


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("reconcile.list"))
    def list_past(
        context: typer.Context,
        feed: Annotated[str | None, typer.Argument(help=t("reconcile.name"))] = None,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("reconcile.limit"), min=1)] = 30,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("reconciliations") as ask:
            told = ask("reconciliations", feed=feed, limit=limit)
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("number", "time", "feed", "days", "decided", "missed", "differing", "mended", "problem"),
            [
                (
                    one["id"], output.local_time(one["ended_at"]), one["feed"], _span(one),
                    one["who"] or t("reconcile.by_itself"), one["missed"] or None, one["differing"] or None,
                    one["mended"] or None, one["problem"],
                )
                for one in told
            ],
        )  # fmt: skip

    @group.command("show", help=t("reconcile.show"))
    def show(
        context: typer.Context,
        number: Annotated[int, typer.Argument(help=t("reconcile.number"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("reconciliation") as ask:
            told = ask("reconciliation", number=number)
        if json:
            output.as_json(told)
            return
        output.say(f"{told['feed']} · {_span(told)} · {output.local_time(told['ended_at'])}")
        if told["problem"]:
            output.say(told["problem"])
        show_result(t, told["result"])


def _followed(t: Texts, rows: Iterable[dict[str, Any]], show: bool) -> dict[str, Any]:
    """Say how far it is, on a terminal; the result."""
    out = output.console()
    result: dict[str, Any] = {}
    with out.status(t("said.reconciling")) if show and out.is_terminal else nullcontext() as status:
        for row in rows:
            result = row.get("result", result)
            if status is None:
                continue
            if "read" in row:
                status.update(t("said.reconcile_read", walked=row["walked"], read=row["read"]))
            elif "asking" in row:
                status.update(t("said.reconcile_asking", destination=row["asking"]))
            elif "to_read" in row:
                status.update(t("said.reconcile_mending", to_read=row["to_read"], to_send=row["to_send"]))
    return result


def show_result(t: Texts, told: dict[str, Any]) -> None:
    """The table of days and departments, the differences by key, and what could not be told."""
    output.table(
        t,
        ("day", "department", "at_source", "at_agent", "content", "proven", "at_platform", "explained", "differing"),
        [_row(t, row) for row in told["days"]],
    )
    if told["differences"]:
        output.table(
            t,
            ("gap", "blame", "day", "department", "key", "document", "destination", "mended"),
            [
                (
                    t(f"head.gap_{one['gap']}"), t(f"head.blame_{one['blame']}"), _day(one["day"]), one["department"],
                    one["key"], one["document"] or one["set"], one["destination"], "✓" if one["mended"] else "",
                )
                for one in told["differences"][:SHOWN]
            ],
        )  # fmt: skip
        if len(told["differences"]) > SHOWN:
            output.say(t("said.reconcile_more", count=len(told["differences"]) - SHOWN))
    _show_notes(t, told)


def _show_notes(t: Texts, told: dict[str, Any]) -> None:
    for name, one in told["destinations"].items():
        if not one["asked"]:
            output.say(t("said.reconcile_unasked", destination=name, why=one["why"]))
        if one["by_id"]:
            output.say(t("said.reconcile_by_id", destination=name, count=one["by_id"]))
    if not told["walked_by"] and not told["problem"]:
        output.say(t("said.reconcile_not_walked"))
    if told["closed"]:
        output.say(t("said.reconcile_closed", months=", ".join(f"{m // 100}-{m % 100:02d}" for m in told["closed"])))
    if told["differing"]:
        counted = {name: told[name] for name in ("differing", "mended", "missed")}
        output.say(t("said.reconcile_differs", **counted))
    elif not told["problem"]:
        output.say(t("said.reconcile_equal"))
    cost = told["cost"]
    output.say(
        t(
            "said.reconcile_cost",
            statements=cost["statements"],
            rows=f"{cost['rows']:,}",
            seconds=f"{cost['seconds']:.1f}",
        )
    )


def _row(t: Texts, row: dict[str, Any]) -> tuple[Any, ...]:
    explained = ", ".join(f"{t(f'head.gap_{gap}')} {n}" for gap, n in row["gaps"].items() if gap not in DIFFERENCES)
    differing = sum(n for gap, n in row["gaps"].items() if gap in DIFFERENCES)
    there = row["destinations"].values()
    return (
        _day(row["day"]),
        row["department"],
        row["source"]["records"],
        row["agent"]["records"],
        "=" if row["equal"] else "≠",
        " / ".join(str(one["delivered"]) for one in there),
        " / ".join("?" if one["platform"] is None else str(one["platform"]) for one in there),
        explained,
        Text(str(differing), "bold red") if differing else None,
    )


def _day(day: int) -> str:
    return f"{day // 10_000}-{day // 100 % 100:02d}-{day % 100:02d}" if day else ""


def _span(one: dict[str, Any]) -> str:
    return _day(one["first"]) if one["first"] == one["last"] else f"{_day(one['first'])} – {_day(one['last'])}"


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
