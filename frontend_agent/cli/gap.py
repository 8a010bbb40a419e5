"""`gap keys | pair | status | restart | outer`: an agent in two halves across a gap (网闸)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from frontend_agent import control
from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, must_be_its_owner, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.config import Config
from frontend_agent.errors import ConfigurationError, StateError


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("gap"), no_args_is_help=True)
    cli.add_typer(group, name="gap")
    _add_keys(group, t)
    _add_looking(group, t)
    _add_outer(group, t)


def _add_keys(group: typer.Typer, t: Texts) -> None:
    @group.command(name="keys", help=t("gap.keys"))
    def keys(
        context: typer.Context,
        write: Annotated[Path | None, typer.Option(help=t("gap.write"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        import msgspec

        from frontend_agent.crossing.halves import own
        from frontend_agent.spool.gap_keys import has_keys
        from frontend_agent.wire.bundles import shown

        settings: Settings = context.obj[-1]
        config = settings.config()
        state = settings.state(config)
        must_be_its_owner(state)
        is_new = not config.gap.key and bool(config.gap.role) and not has_keys(state)
        if is_new:
            settings.say("gap_keys", config)
        public = own(config, state, make=True).public
        if write is not None:
            if write.exists():
                raise StateError(t("said.gap_exists", file=write))
            write.write_bytes(msgspec.json.encode(public) + b"\n")
        if json:
            output.as_json({**msgspec.to_builtins(public), "fingerprint": shown(public.fingerprint)})
            return
        output.say(t("said.gap_keys", role=public.role, fingerprint=shown(public.fingerprint)))
        if write is not None:
            output.say(t("said.gap_written", file=write))

    @group.command(name="pair", help=t("gap.pair"))
    def pair(
        context: typer.Context,
        file: Annotated[Path, typer.Argument(help=t("gap.pair_file"))],
        fingerprint: Annotated[str, typer.Option(help=t("gap.fingerprint"))] = "",
    ) -> None:
        from frontend_agent.crossing.halves import must_fit, own
        from frontend_agent.spool.gap_keys import keep_other_half
        from frontend_agent.wire.bundles import read_public_half, shown

        settings: Settings = context.obj[-1]
        config = settings.config()
        state = settings.state(config)
        must_be_its_owner(state)
        if control.is_running(state):
            raise StateError(t("said.gap_running", state=state))
        try:
            other = read_public_half(file.read_bytes())
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}") from None
        except ValueError as error:
            raise ConfigurationError(f"{file}: {error}") from None
        must_fit(own(config, state), other)
        given = fingerprint or typer.prompt(t("gap.asked"), err=True)
        if "".join(given.split()).lower() != other.fingerprint:
            raise ConfigurationError(t("said.gap_other_fingerprint", fingerprint=shown(other.fingerprint)))
        settings.say("gap_pair", config, fingerprint=other.fingerprint)
        keep_other_half(state, other)
        output.say(t("said.gap_paired", fingerprint=shown(other.fingerprint)))


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command(name="status", help=t("gap.status"))
    def status(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        settings: Settings = context.obj[-1]
        config = settings.config()
        with settings.asking("gap_status") as ask:
            told = ask("gap_status")
        if json:
            output.as_json(told)
        else:
            _show(t, told, config.gap.in_)
        raise typer.Exit(1 if wrong(t, told, config.gap.silence.total_seconds()) else 0)

    @group.command(name="restart", help=t("gap.restart"))
    def restart(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
    ) -> None:
        settings: Settings = context.obj[-1]
        with settings.asking("gap_restart") as ask:
            ask("gap_restart", who=who)
        output.say(t("said.gap_anew"))


def wrong(t: Texts, told: dict[str, Any], silence: float) -> list[str]:
    """What somebody has to look at."""
    found = []
    if told["stopped"]:
        found.append(t("said.gap_stopped", why=told["stopped"]))
    if told["stopped_there"]:
        found.append(t("said.gap_stopped_there", why=told["stopped_there"]))
    if told["awaited_since"] and told["silent_for"] >= silence:
        found.append(t("said.gap_silent", since=output.local_time(told["awaited_since"])))
    if abs(told["clock_differs"]) >= 1:
        found.append(t("said.gap_clock", seconds=round(abs(told["clock_differs"]))))
    found += [t("said.gap_folder", folder=folder, problem=said) for folder, said in told["problems"].items()]
    found += [f"{one['name']}: {one['problem']}" for one in told["destinations"] if one["problem"]]
    found += [f"{one['name']}: {one['problem']}" for one in told.get("platforms", ()) if one["problem"]]
    return found


def _show(t: Texts, told: dict[str, Any], folder: str) -> None:
    output.say(t("said.gap_keys", role=told["role"], fingerprint=told["fingerprint"]))
    output.table(
        t,
        ("direction", "last", "unacknowledged", "missing", "oldest"),
        [
            (t("gap.outward"), told["sent"], told["unacknowledged"], "", _time(told["oldest"])),
            (t("gap.inward"), told["highest"], "", ", ".join(map(str, told["missing"])), _time(told["last_in"])),
        ],
    )
    if told["destinations"]:
        output.table(
            t,
            ("destination", "parcels", "documents", "oldest", "problem"),
            [
                (one["name"], one["parcels"], one["documents"], _time(one["since"]), one["problem"])
                for one in told["destinations"]
            ],
        )
    if told["set_aside"]:
        output.say(t("said.gap_set_aside", count=told["set_aside"], folder=folder))
    for said in wrong(t, told, told["silence"]):
        output.say(said)


def show_gap(t: Texts, told: dict[str, Any]) -> None:
    """One line for `status`, and what is wrong."""
    numbers = {key: told[key] for key in ("sent", "acknowledged", "received")}
    output.say(t("said.gap_line", **numbers, missing=len(told["missing"])))
    for said in wrong(t, told, told["silence"]):
        output.say(said)


def _time(text: str) -> str:
    return output.local_time(text) if text else ""


def _add_outer(group: typer.Typer, t: Texts) -> None:
    @group.command(name="outer", help=t("gap.outer"))
    def outer(context: typer.Context) -> None:
        settings: Settings = context.obj[-1]
        config = settings.config()
        if not config.gap.is_outer:
            raise ConfigurationError(t("said.gap_is_not_outer"))
        run_outer_half(config, settings.state(config))


def run_outer_half(config: Config, state: Path) -> None:
    """In the foreground: `gap outer`, and `run` where agent.toml says that this is the outer half."""
    from frontend_agent import logs
    from frontend_agent.crossing.process import run_outer

    must_be_its_owner(state)
    logs.to_stderr(config.log.level)
    logs.threads()
    run_outer(config, state)
