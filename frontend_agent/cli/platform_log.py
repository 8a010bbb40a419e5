"""`platform log`, and how every command of the platform that changes something or shows patients' records says so first."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from frontend_agent import control
from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError

LONGEST_REASON = 500  # characters
APART = ("seq", "prev", "at", "event", "act", "who", "what")


def said(settings: Settings, folder: Path, act: str, /, **what: Any) -> None:
    """One entry in the platform's own log, on the disk before the act is done. LogNotWritten: nothing is to be done."""
    from frontend_agent.platform.own_log import OwnLog

    with OwnLog(folder) as log:
        log.write(entry(settings.why, act, what))


def entry(why: str, act: str, what: dict[str, Any]) -> dict[str, Any]:
    """Who, and what: identifiers, never what a document says."""
    who, through = control.this_account(), control.process_account()
    given = {name: value for name, value in what.items() if value not in (None, "", [], (), False)}
    return {
        "event": "act",
        "act": act,
        "who": who,
        **({"through": through} if through != who else {}),
        **({"reason": why[:LONGEST_REASON]} if why else {}),
        **({"what": given} if given else {}),
    }


def add_to(platform: typer.Typer, t: Texts, folder: Any) -> None:
    """Register the command."""

    @platform.command("log", help=t("platform.log"))
    def log(
        context: typer.Context,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 20,
        export: Annotated[bool, typer.Option("--export", help=t("platform.log.export"))] = False,
        verify: Annotated[bool, typer.Option("--verify", help=t("platform.log.verify"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.platform.own_log import FILE, OwnLog

        state = folder(context)
        if not (state / FILE).exists():
            raise ConfigurationError(t("said.platform_log.none", folder=state))
        with OwnLog(state) as own:
            if export:
                sys.stdout.buffer.writelines(own.export())
                sys.stdout.buffer.flush()
                return
            if verify:
                _tell_verdict(t, own.verify(), json)
                return
            found = own.newest(limit)
        if json:
            output.as_json(found)
            return
        rows = [(one["seq"], output.local_time(one["at"]), one.get("act") or one["event"], one.get("who"), _rest(one)) for one in found]  # fmt: skip
        output.table(t, ("seq", "time", "act", "person", "details"), rows)


def _tell_verdict(t: Texts, verdict: Any, json: bool) -> None:
    if json:
        output.as_json({"ok": verdict.ok, "entries": verdict.entries, "first_bad": verdict.first_bad, "reason": verdict.reason})  # fmt: skip
    elif verdict.ok:
        output.say(t("said.platform_log.whole", entries=verdict.entries))
    else:
        output.say(t("said.platform_log.broken", first=verdict.first_bad, reason=verdict.reason))
    raise typer.Exit(0 if verdict.ok else 1)


def _rest(one: dict[str, Any]) -> str:
    told = {name: value for name, value in one.items() if name not in APART} | one.get("what", {})
    return "  ".join(f"{name}={value}" for name, value in told.items())
