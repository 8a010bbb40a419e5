"""`frontend-agent alarms`: what is wrong, what was, and who is told; `status --check` for monitoring systems."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import FrontendAgentError

UNKNOWN = 3  # of monitoring plugins: it cannot be said


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("alarms"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="alarms")
    _add_looking(group, t)
    _add_muting(group, t)


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("alarms.list"))
    def list_alarms(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("alarms") as ask:
            told = ask("alarms")
        if json:
            output.as_json(told)
        else:
            _show(t, told)

    @group.command("history", help=t("alarms.history"))
    def history(
        context: typer.Context,
        kind: Annotated[str, typer.Option(help=t("alarms.kind"))] = "",
        subject: Annotated[str | None, typer.Option(help=t("alarms.subject"))] = None,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 50,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("alarms_history") as ask:
            told = ask("alarms_history", limit=limit, kind=kind, subject=subject)
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("level", "began", "ended", "alarm"),
            [
                (
                    _level(t, one),
                    output.local_time(one["began_at"]),
                    one["ended_at"] and output.local_time(one["ended_at"]),
                    one["texts"][t.language]["title"],
                )
                for one in told
            ],
        )


def _add_muting(group: typer.Typer, t: Texts) -> None:
    @group.command("mute", help=t("alarms.mute"))
    def mute(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("alarms.reason"))],
        kind: Annotated[str | None, typer.Option(help=t("alarms.kind"))] = None,
        subject: Annotated[str | None, typer.Option(help=t("alarms.subject"))] = None,
        length: Annotated[str | None, typer.Option("--for", metavar="2h", help=t("alarms.for"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        chosen = {name: value for name, value in (("kind", kind), ("subject", subject)) if value is not None}
        with _settings(context).asking("alarms_mute") as ask:
            told = ask("alarms_mute", who=who, reason=reason, length=length, **chosen)
        if json:
            output.as_json(told)
        else:
            output.say(t("said.muted", id=told["id"], until=_until(t, told["until"])))

    @group.command("test", help=t("alarms.test"))
    def test(
        context: typer.Context,
        channel: Annotated[str | None, typer.Argument(help=t("alarms.channel"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("alarms_test") as ask:
            told = ask("alarms_test", channel=channel)
        if json:
            output.as_json(told)
        elif not told:
            output.say(t("said.no_channels"))
        else:
            rows = [(one["name"], one["type"], one["problem"] or t("said.ok")) for one in told]
            output.table(t, ("channel", "type", "problem"), rows)
        raise typer.Exit(int(any(one["problem"] for one in told)))

    @group.command("unmute", help=t("alarms.unmute"))
    def unmute(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        number: Annotated[int | None, typer.Argument(help=t("alarms.number"))] = None,
        kind: Annotated[str | None, typer.Option(help=t("alarms.kind"))] = None,
        subject: Annotated[str | None, typer.Option(help=t("alarms.subject"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("alarms_unmute") as ask:
            told = ask("alarms_unmute", who=who, number=number, kind=kind, subject=subject)
        if json:
            output.as_json(told)
        else:
            output.say(t("said.unmuted", ended=told["ended"]))


def _show(t: Texts, told: dict[str, Any]) -> None:
    """Each alarm with its cause and its mend; then what is muted, and who cannot be told."""
    if not told["running"]:
        output.say(t("said.no_daemon"))
    if not told["alarms"]:
        output.say(t("said.no_alarms"))
    for one in told["alarms"]:
        texts = one["texts"][t.language]
        since = t("said.alarm_since", since=output.local_time(one["since"]))
        output.say(f"{_level(t, one)}  {texts['title']}  ({since})")
        output.say("    " + t("said.cause", text=texts["cause"].strip()))
        output.say("    " + t("said.mend", text=texts["mend"].strip()))
        if one["muted"]:
            output.say("    " + t("said.alarm_muted", reason=one["muted"]))
    for mute in told["mutes"]:
        shown = {name: mute[name] for name in ("id", "kind", "subject", "who", "reason")}
        output.say(t("said.mute_line", until=_until(t, mute["until"]), **shown))
    for channel in told["channels"]:
        if channel["problem"]:
            shown = {name: channel[name] for name in ("name", "type", "problem")}
            output.say(t("said.alarm_channel", **shown))


def check_status(settings: Settings, t: Texts, json: bool) -> int:
    """What a monitoring system asks: its line is printed, its exit code returned. 3 where nothing can be said at all."""
    from frontend_agent.alarms.monitoring import WORDS, told_line, verdict

    try:
        with settings.asking("alarms") as ask:
            told = ask("alarms")
    except FrontendAgentError as error:
        if json:
            output.as_json({"code": UNKNOWN, "status": WORDS[UNKNOWN], "problem": str(error)})
        else:
            print(f"FRONTEND-AGENT {WORDS[UNKNOWN]}: {error}")
        return UNKNOWN
    answer = verdict(told, t.language, datetime.now(UTC))
    if json:
        figures = {"code": answer.code, "status": answer.word, "said": answer.text}
        output.as_json({**figures, **told})
    else:
        print(told_line(answer, told["figures"]))
    return answer.code


def _level(t: Texts, alarm: dict[str, Any]) -> str:
    return t("level.critical") if alarm["level"] == "critical" else t("level.warning")


def _until(t: Texts, until: str | None) -> str:
    return t("said.muted_until", until=output.local_time(until)) if until else ""


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
