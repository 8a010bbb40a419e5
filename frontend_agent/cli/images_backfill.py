"""`frontend-agent images backfill`: the studies that a PACS has of some days, fetched behind all that is new.

    images backfill begin --from D --to D [--inlet NAME]
    images backfill list | stop | resume

A PACS is asked by one process. With a daemon that is the daemon, and `--wait` watches it. Without one it is this process, until all is
fetched that could be, or it is told to stop; the next `run`, or `resume`, goes on where it was.
"""

import time
from contextlib import suppress
from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.backfill import Bar
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts

HEADINGS = (
    "pacs_inlet", "begin", "end", "state", "walked", "walked_to", "questions", "studies", "studies_wanted", "studies_waiting", "problem",
)  # fmt: skip


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands, below `images`."""
    images = next((one.typer_instance for one in cli.registered_groups if one.name == "images"), None)
    if images is None:
        images = typer.Typer(help=t("images.backfill"), no_args_is_help=True, rich_markup_mode=None)
        cli.add_typer(images, name="images")
    group = typer.Typer(help=t("images.backfill"), no_args_is_help=True, rich_markup_mode=None)
    images.add_typer(group, name="backfill")

    @group.command("begin", help=t("images.backfill.begin"))
    def begin(
        context: typer.Context,
        low: Annotated[str, typer.Option("--from", help=t("images.backfill.from"))],
        high: Annotated[str, typer.Option("--to", help=t("images.backfill.to"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        inlet: Annotated[str, typer.Option(help=t("images.backfill.inlet"))] = "",
        wait: Annotated[bool | None, typer.Option("--wait/--no-wait", help=t("images.backfill.wait"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        asked = {"begin": low, "end": high, "inlet": inlet, "who": who}
        told = _asked(context, "images_backfill_begin", **asked)
        _follow(t, context.obj[0], told, wait, json)

    @group.command("list", help=t("images.backfill.list"))
    def list_backfills(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        told = _asked(context, "images_backfill_list")
        if json:
            output.as_json(told)
        else:
            output.table(t, HEADINGS, [_row(t, one) for one in told])

    @group.command("stop", help=t("images.backfill.stop"))
    def stop(
        context: typer.Context,
        inlet: Annotated[str, typer.Option(help=t("images.backfill.inlet"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        _show(t, _asked(context, "images_backfill_turn", inlet=inlet, running=False), json)

    @group.command("resume", help=t("images.backfill.resume"))
    def resume(
        context: typer.Context,
        inlet: Annotated[str, typer.Option(help=t("images.backfill.inlet"))] = "",
        wait: Annotated[bool | None, typer.Option("--wait/--no-wait", help=t("images.backfill.wait"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        told = _asked(context, "images_backfill_turn", inlet=inlet, running=True)
        _follow(t, context.obj[0], told, wait, json)


def _asked(context: typer.Context, question: str, **arguments: Any) -> Any:
    settings: Settings = context.obj[0]
    with settings.asking(question) as ask:
        return ask(question, **arguments)


def _follow(t: Texts, settings: Settings, told: dict[str, Any], wait: bool | None, json: bool) -> None:
    """Watch the daemon's work where that is asked for; without a daemon do it here, unless that is not."""
    inlet, goes_on = told["inlet"], ""
    if settings.daemon(settings.config()) is not None:
        if wait:
            told, goes_on = _watched(t, settings, told, not json), t("said.images_backfill_daemon")
    elif wait is not False:
        told, goes_on = _worked(t, settings, inlet, not json), t("said.images_backfill_later", inlet=inlet)
    _show(t, told, json)
    if goes_on and told["state"] == "running" and not json:
        output.say(goes_on)


def _watched(t: Texts, settings: Settings, told: dict[str, Any], show: bool) -> dict[str, Any]:
    """Until it is done or stopped, or the watching is broken off."""
    with suppress(KeyboardInterrupt), Bar(show) as bar, settings.asking("images_backfill_list") as ask:
        while told["state"] == "running" or (told["state"] == "done" and told["waiting"]):
            bar.show(told["part"], _line(t, told))
            time.sleep(1.0)
            told = next(one for one in ask("images_backfill_list") if one["inlet"] == told["inlet"])
    return told


def _worked(t: Texts, settings: Settings, inlet: str, show: bool) -> dict[str, Any]:
    """No daemon: this process works on it, and on nothing else."""
    from frontend_agent.cli.work import logging_app
    from frontend_agent.daemon import Daemon, on_signals
    from frontend_agent.operations import operations

    with logging_app(settings, to_stderr=False) as app:
        daemon = Daemon(app)
        asked = operations(app, daemon)

        def told() -> dict[str, Any]:
            return next(one for one in asked["images_backfill_list"]() if one["inlet"] == inlet)

        def tick() -> None:
            found = told()
            bar.show(found["part"], _line(t, found))

        on_signals(daemon.stopping.set)
        with Bar(show) as bar:
            daemon.backfill_images(inlet, tick if show else lambda: None)
        return told()


def _line(t: Texts, told: dict[str, Any]) -> str:
    problems = told["problems"]
    text = t(
        "said.images_backfill_bar", reached=told["reached"], studies=told["studies"], wanted=told["wanted"],
        waiting=told["waiting"],
    )  # fmt: skip
    return f"{text} · {problems[-1]}" if problems else text


def _show(t: Texts, told: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(told)
    else:
        output.table(t, HEADINGS, [_row(t, told)])


def _row(t: Texts, told: dict[str, Any]) -> tuple[object, ...]:
    problems = told["problems"]
    states = {
        "running": t("images.backfill.running"),
        "stopped": t("images.backfill.stopped"),
        "done": t("images.backfill.done"),
    }
    return (
        told["inlet"], told["begin"], told["end"], states[told["state"]], f"{100 * told['part']:.1f} %", told["reached"],
        told["asked"], told["studies"], told["wanted"], told["waiting"], problems[-1] if problems else "",
    )  # fmt: skip
