"""`frontend-agent source`: the hospital's systems as our hosts. Pausing them, and the report of what we were as guests."""

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from frontend_agent.cli import output, source_engines
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts

FORMATS = ("table", "json", "csv", "html", "xlsx")
HEADINGS = ("source", "state", "until_when", "reason", "statements", "rows", "seconds", "slowest", "query")


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("source"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="source")
    _add_looking(group, t)
    _add_pausing(group, t)
    _add_reporting(group, t)
    source_engines.add_to(group, t)


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("source.list"))
    def list_sources(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("source_list") as ask:
            told = ask("source_list")
        if json:
            output.as_json(told)
        else:
            output.table(t, HEADINGS, [_row(t, source) for source in told])

    @group.command("show", help=t("source.show"))
    def show(
        context: typer.Context,
        source: Annotated[str, typer.Argument(help=t("source.name"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("source_show") as ask:
            told = ask("source_show", source=source)
        if json:
            output.as_json(told)
            return
        output.table(t, HEADINGS, [_row(t, told)])
        output.table(
            t,
            ("term", "value"),
            [(name, ", ".join(value) if isinstance(value, list) else value) for name, value in told["terms"].items()],
        )
        output.table(
            t,
            ("query", "usual", "scatter"),
            [(one["query"], one["seconds"] * 1000, one["scatter"] * 1000) for one in told["statements"]],
        )


def _add_pausing(group: typer.Typer, t: Texts) -> None:
    @group.command("pause", help=t("source.pause"))
    def pause(
        context: typer.Context,
        source: Annotated[str, typer.Argument(help=t("source.name"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        length: Annotated[str | None, typer.Option("--for", metavar="2h", help=t("source.for"))] = None,
        reason: Annotated[str, typer.Option(help=t("source.reason"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings = _settings(context)
        with settings.asking("source_pause") as ask:
            told = ask("source_pause", source=source, who=who, length=length, reason=reason)
        if json:
            output.as_json(told)
        elif told["until"]:
            zone = ZoneInfo(settings.config().institution.timezone)
            output.say(t("said.source_paused", source=source, until=_minute(told["until"], zone)))
        else:
            output.say(t("said.source_paused_open", source=source))

    @group.command("resume", help=t("source.resume"))
    def resume(
        context: typer.Context,
        source: Annotated[str, typer.Argument(help=t("source.name"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("source_resume") as ask:
            told = ask("source_resume", source=source, who=who)
        if json:
            output.as_json(told)
        elif told["changed"]:
            output.say(t("said.source_resumed", source=source))
        else:
            output.say(t("said.source_not_paused", source=source))


def _add_reporting(group: typer.Typer, t: Texts) -> None:
    @group.command("report", help=t("source.report"))
    def report(
        context: typer.Context,
        source: Annotated[str, typer.Argument(help=t("source.name"))],
        day: Annotated[str | None, typer.Option(metavar="DAY", help=t("source.day"))] = None,
        first: Annotated[str | None, typer.Option("--from", metavar="DAY", help=t("source.from"))] = None,
        last: Annotated[str | None, typer.Option("--to", metavar="DAY", help=t("source.to"))] = None,
        form: Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help=t("source.format"))] = "",
        out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help=t("source.out"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        form = _form("json" if json else form, out)
        settings = _settings(context)
        with settings.asking("source_report") as ask:
            today = datetime.now(ZoneInfo(settings.config().institution.timezone)).date().isoformat()
            begin, end = _days(day, first, last, today)
            told = ask("source_report", source=source, first=begin, last=end)
        if out is None:
            _print(t, told, form)
            return
        from frontend_agent.cli.reports import replaced

        with replaced(out) as file:
            if form == "xlsx":
                from frontend_agent.reports import excel

                excel.write(_built(t, told), file, str(out.absolute().parent))
            else:
                for piece in _pieces(t, told, form):
                    file.write(piece.encode())
        output.say(t("said.written_report", path=out))


def _form(form: str, out: Path | None) -> str:
    """What was asked for, or what the file's name says."""
    chosen = form or (out.suffix.lower().removeprefix(".") if out else "table")
    if chosen not in FORMATS or (chosen == "xlsx" and out is None) or (chosen == "table" and out is not None):
        raise typer.BadParameter(f"--format {chosen}: {' | '.join(FORMATS)} (xlsx: --out FILE)")
    return chosen


def _days(day: str | None, first: str | None, last: str | None, today: str) -> tuple[str, str]:
    if day and (first or last):
        raise typer.BadParameter("--day | --from --to")
    from frontend_agent.cli.reports import day_of

    begin = day_of(day or first or last or today).isoformat()
    return begin, day_of(day or last or (today if first else begin)).isoformat()


def _built(t: Texts, told: dict[str, Any]) -> Any:
    from frontend_agent.reports import guest
    from frontend_agent.reports.texts import Texts as ReportTexts

    return guest.build(told, ReportTexts(t.language))


def _pieces(t: Texts, told: dict[str, Any], form: str) -> Iterator[str]:
    """The report as text, in order."""
    if form == "json":
        import json

        from frontend_agent.reports import guest

        yield json.dumps(guest.summarised(told), ensure_ascii=False, indent=2) + "\n"
    elif form == "csv":  # the finest grain there is
        from frontend_agent.reports.separated import lines

        yield from lines(next(table for table in _built(t, told).tables if table.name == "hours"))
    else:
        from frontend_agent.reports.page import page
        from frontend_agent.reports.texts import Texts as ReportTexts

        yield from page(_built(t, told), ReportTexts(t.language))


def _print(t: Texts, told: dict[str, Any], form: str) -> None:
    if form != "table":
        for piece in _pieces(t, told, form):
            sys.stdout.write(piece)
        return
    report = _built(t, told)
    output.say(report.title)
    for label, value in report.about:
        output.say(f"{label}: {value}")
    for table in report.tables:
        if table.name in ("base", "pauses"):
            output.plain_table([column.title for column in table.columns], table.rows)
    for note in report.notes:
        output.say(note)


def state_of(t: Texts, source: dict[str, Any]) -> str:
    """How a source stands, in words."""
    match source["state"]:
        case "paused":
            return t("source.state.paused")
        case "protected":
            return t("source.state.protected")
        case "slow":
            return t("source.state.slow", share=source["share"])
        case _:
            return t("source.state.open")


def _row(t: Texts, source: dict[str, Any]) -> tuple[Any, ...]:
    today = source["today"]
    why = " ".join(word for word in (source["who"], source["reason"]) if word)
    return (
        source["name"], state_of(t, source), _short(source["until"]), why or None, today["statements"], today["rows"],
        today["seconds"], today["slowest"], today["slowest_query"] or None,
    )  # fmt: skip


def rests(t: Texts, source: dict[str, Any]) -> str:
    """One line of status about a source that is left alone or read slowly."""
    until = f" → {_short(source['until'])}" if source["until"] else ""
    why = " ".join(word for word in (source["who"], source["reason"]) if word)
    return t("said.source_rests", source=source["name"], state=state_of(t, source), until=until, why=why)


def _short(moment: str | None) -> str | None:
    return output.local_time(moment) if moment else None


def _minute(moment: str, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(zone):%Y-%m-%d %H:%M}"


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
