"""`frontend-agent images backfill`: the studies that a PACS has of some days, fetched behind all that is new.

    images backfill begin --from D --to D [--inlet NAME]
    images backfill list | stop | resume

The daemon works on it: a PACS is asked by one process.
"""

from typing import Annotated, Any

import typer

from frontend_agent.cli import output
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
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        asked = {"begin": low, "end": high, "inlet": inlet, "who": who}
        _show(t, _asked(context, "images_backfill_begin", **asked), json)

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
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        _show(t, _asked(context, "images_backfill_turn", inlet=inlet, running=True), json)


def _asked(context: typer.Context, question: str, **arguments: Any) -> Any:
    settings: Settings = context.obj[0]
    with settings.asking(question) as ask:
        return ask(question, **arguments)


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
