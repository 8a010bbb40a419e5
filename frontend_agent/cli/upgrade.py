"""`frontend-agent upgrade`: another version of the program, and back again."""

import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import FrontendAgentError
from frontend_agent.machine import is_administrator

DEFAULT_STATE = Path("/var/lib/frontend-agent")  # of the unit; another is named by --state
PLATFORM_STATE = Path("/var/lib/frontend-platform")
FOLLOW_EVERY = 2.0  # seconds
BY_ITSELF = "by itself"  # who begins an upgrade that agent.toml lets begin without a person


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("upgrade"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="upgrade")
    _add_changing(group, t)
    _add_looking(group, t)
    _add_watching(group, t)


def _add_changing(group: typer.Typer, t: Texts) -> None:
    @group.command("install", help=t("upgrade.install"))
    def install(
        context: typer.Context,
        file: Annotated[Path | None, typer.Argument(help=t("upgrade.file"))] = None,
        offered: Annotated[bool, typer.Option("--offered", help=t("upgrade.offered"))] = False,
        watch: Annotated[float, typer.Option("--watch-minutes", help=t("upgrade.watch_for"), min=0.0)] = 10.0,
        no_wait: Annotated[bool, typer.Option("--no-wait", help=t("upgrade.no_wait"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent import upgrading

        _only_root(t)
        if (file is None) is not offered:
            raise typer.BadParameter(t("said.upgrade.file_or_offered"))
        if file is not None:
            trial = _begin(context, file, watch * 60.0)
        else:
            with upgrading.taken_offered(_state(context)) as copy:
                trial = _begin(context, copy, watch * 60.0, lambda one: upgrading.must_lead_on(one, again=True))
        if not json:
            output.say(t("said.upgrade.staged", version=trial.version, before=trial.before, minutes=f"{watch:g}"))
        _tell_end(t, trial, json, wait=not no_wait)

    @group.command("rollback", help=t("upgrade.rollback"))
    def rollback(
        context: typer.Context,
        reason: Annotated[str, typer.Option(help=t("upgrade.reason"))] = "by a person",
        no_wait: Annotated[bool, typer.Option("--no-wait", help=t("upgrade.no_wait"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent import program, upgrading

        _only_root(t)
        running = upgrading.read_trial()
        before = running.before if running else upgrading.previous(program.HOME)
        if before:
            known = upgrading.probe(program.HOME / "versions" / before)
            upgrading.must_read(known, schemas(), before, upgrading.current_version())
        services = _services(context)
        _say(context, "upgrade_rollback", before)
        trial = upgrading.roll_back(program.HOME, this_user(), reason, services)
        services.watch(upgrading.WATCH_UNIT)
        if not json:
            output.say(t("said.upgrade.returning", version=trial.version, before=trial.before))
        _tell_end(t, trial, json, wait=not no_wait, wanted="returned")

    @group.command("confirm", help=t("upgrade.confirm"))
    def confirm(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        from frontend_agent import program, upgrading

        _only_root(t)
        tried = upgrading.read_trial()
        _say(context, "upgrade_confirm", tried.version if tried else "")
        trial = upgrading.confirm(program.HOME, this_user())
        if json:
            output.as_json({"version": trial.version, "outcome": "confirmed"})
        else:
            output.say(t("said.upgrade.confirmed", version=trial.version))


def _begin(
    context: typer.Context, file: Path, watch_for: float, accept: Any = lambda manifest: None, who: str = ""
) -> Any:
    """Verify, lay, start once, write the trial down; from then on the watch does it all. `watch_for`: seconds.

    `who`: where it is nobody at a keyboard; the agent has said in its log that it asks for it."""
    from frontend_agent import program, upgrading

    def accepted(manifest: Any) -> None:
        accept(manifest)
        if not who:
            _say(context, "upgrade_install", manifest.version)  # before anything of it is on the disk

    services = _services(context)
    version = upgrading.stage(file, program.trusted_keys(), accept=accepted)
    known = upgrading.probe(program.HOME / "versions" / version)
    upgrading.must_read(known, schemas(), version, upgrading.current_version())
    trial = upgrading.begin(program.HOME, version, who or this_user(), services, watch_for)
    services.watch(upgrading.WATCH_UNIT)
    return trial


def _tell_end(t: Texts, trial: Any, json: bool, wait: bool, wanted: str = "confirmed") -> None:
    """What the watch made of it; exit 1 where that is not what was asked for."""
    from frontend_agent import upgrading

    if not wait:
        if json:
            output.as_json({"version": trial.version, "before": trial.before, "outcome": "", "reason": ""})
        return
    while upgrading.read_trial() is not None:
        time.sleep(FOLLOW_EVERY)
    told = next(one for one in upgrading.history() if one["version"] == trial.version)
    if json:
        output.as_json(told)
    else:
        returned = told["outcome"] == "returned"
        output.say(t("said.upgrade.returned", **told) if returned else t("said.upgrade.confirmed", **told))
    raise typer.Exit(0 if told["outcome"] == wanted else 1)


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("status", help=t("upgrade.status"))
    def status(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        from frontend_agent import upgrading

        trial, present = upgrading.read_trial(), upgrading.current_version()
        offers = _asked_offers(context)
        told = {
            "version": present, "versions": upgrading.versions(), "trial": asdict(trial) if trial else None,
            "history": upgrading.history(), "offer": offers.get("offer") if offers else None,
        }  # fmt: skip
        if json:
            output.as_json(told)
            return
        output.say(
            t("said.upgrade.is_running", version=present or "-", versions=", ".join(upgrading.versions()) or "-")
        )
        if trial is not None:
            output.say(t("said.upgrade.trial", version=trial.version, before=trial.before, began=trial.began))
        if offers is None:
            output.say(t("said.upgrade.not_asked"))
        elif trial is None and (line := offer_line(t, offers)):
            output.say(line)
        output.table(
            t,
            ("time", "version", "before", "outcome", "by", "reason"),
            [
                tuple(one[key] for key in ("at", "version", "before", "outcome", "who", "reason"))
                for one in upgrading.history()
            ],
        )

    @group.command("schema", help=t("upgrade.schema"), hidden=True)
    def schema(json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False) -> None:
        if json:
            output.as_json(schemas())
        else:
            output.say(" ".join(f"{name}={number}" for name, number in schemas().items()))


def _add_watching(group: typer.Typer, t: Texts) -> None:
    @group.command("take", help=t("upgrade.take"), hidden=True)
    def take(context: typer.Context) -> None:
        from frontend_agent import logs, program, upgrading

        _only_root(t)
        logs.to_stderr(identifier="frontend-agent-upgrade")
        if not upgrading.consume_request(_state(context)) or upgrading.read_trial() is not None:
            return
        config = _settings(context).config()
        if not config.upgrades.may_install(datetime.now(ZoneInfo(config.institution.timezone))):
            logs.log.warning(logs.event("upgrade.not_asked_for", install=config.upgrades.install))
            return
        version = "?"

        def accept(manifest: Any) -> None:
            nonlocal version
            version = manifest.version
            upgrading.must_lead_on(manifest)

        try:
            with upgrading.taken_offered(_state(context)) as copy:
                trial = _begin(context, copy, config.upgrades.watch.total_seconds(), accept, BY_ITSELF)
        except FrontendAgentError as error:
            upgrading.note_refused(program.HOME, version, BY_ITSELF, str(error))
            logs.log.error(logs.event("upgrade.not_begun", version=version, problem=str(error)))
            raise typer.Exit(1) from None
        logs.log.warning(logs.event("upgrade.begun", version=trial.version, before=trial.before))

    @group.command("watch", help=t("upgrade.watch"), hidden=True)
    def watch(context: typer.Context) -> None:
        from frontend_agent import logs, program, upgrading

        _only_root(t)
        logs.to_stderr(identifier="frontend-agent-watch")
        found = upgrading.Watch(
            program.HOME,
            _services(context),
            say=lambda name, fields: logs.log.warning(logs.event(name, **fields)),
        ).run()
        raise typer.Exit(1 if found == "returned" else 0)


def _asked_offers(context: typer.Context) -> dict[str, Any] | None:
    """What the agent says of offers; None where it does not answer whoever asks."""
    settings: Settings = context.obj[0]
    try:
        with settings.asking("upgrades") as ask:
            told: dict[str, Any] = ask("upgrades")
    except (FrontendAgentError, OSError):  # not running, not configured, not for this account: said in one line
        return None
    return told


def offer_line(t: Texts, told: dict[str, Any]) -> str:
    """One sentence about what a platform offers, and who acts; "" where nothing is offered."""
    offer = told["offer"]
    if offer is None or offer["state"] == "confirmed":
        return ""
    words = {**offer, "mb": offer["came"] >> 20, "of": offer["size"] >> 20, "hours": ", ".join(told["hours"])}
    line = {
        "offered": t("said.upgrade.offer.offered", **words), "fetching": t("said.upgrade.offer.fetching", **words),
        "waiting": t("said.upgrade.offer.waiting", **words), "due": t("said.upgrade.offer.due", **words),
        "trial": t("said.upgrade.offer.trial", **words), "returned": t("said.upgrade.offer.returned", **words),
        "refused": t("said.upgrade.offer.refused", **words),
    }[offer["state"]]  # fmt: skip
    if offer["state"] in ("offered", "fetching", "due") and offer["reason"]:
        line += " " + t("said.upgrade.offer.problem", reason=offer["reason"])
    return line


def schemas() -> dict[str, int]:
    """What this version knows, and what it writes."""
    from frontend_agent.platform import store
    from frontend_agent.spool import database

    return {
        "spool": len(database.MIGRATIONS),
        "spool_reads_from": database.READS_FROM,
        "platform": store.NEWEST,
        "platform_reads_from": store.READS_FROM,
    }


def _services(context: typer.Context) -> Any:
    from frontend_agent.upgrade_services import Systemd

    return Systemd(_state(context))


def _state(context: typer.Context) -> Path:
    return _settings(context).state_option or DEFAULT_STATE


def _settings(context: typer.Context) -> Settings:
    settings: Settings = context.obj[0]
    return settings


def _say(context: typer.Context, act: str, version: str) -> None:
    """In the log of the agent that runs on this machine; where there is only a platform, in the platform's own."""
    from frontend_agent.cli.platform_log import said

    settings: Settings = context.obj[0]
    if settings.config_path.exists():
        settings.say(act, version=version)
    elif PLATFORM_STATE.is_dir():
        said(settings, PLATFORM_STATE, act, version=version)


def _only_root(t: Texts) -> None:
    if not is_administrator():
        raise FrontendAgentError(t("said.upgrade.only_root"))
