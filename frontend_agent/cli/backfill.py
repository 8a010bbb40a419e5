"""`frontend-agent backfill`: a stretch of the past, planned, begun, watched, stopped and resumed.

    backfill FEED --from D --to D        plan it, ask where it is large, begin, and watch
    backfill plan FEED --from D --to D   plan it only
    backfill list | show N | stop N | resume N

With a daemon the daemon works on it, and watching may be broken off at any time. Without one this process does, until it is
done or told to stop; the next `run`, or `resume`, goes on where it was.
"""

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Annotated, Any, Self

import typer
from typer.core import TyperGroup

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts

GIB, MIB = 1 << 30, 1 << 20
LONG = 3600.0  # seconds of work from which on a person is asked, however few rows it has


class FeedOrCommand(TyperGroup):
    """`backfill lab_report --from …` means `backfill start lab_report --from …`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[:1] and args[0] in self.commands else ["start", *args])


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(cls=FeedOrCommand, help=t("backfill"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="backfill")
    _add_beginning(group, t)
    _add_looking(group, t)
    _add_turning(group, t)


def _add_beginning(group: typer.Typer, t: Texts) -> None:
    @group.command("start", help=t("backfill.start"))
    def start(
        context: typer.Context,
        feed: Annotated[str, typer.Argument(help=t("preview.feed"))],
        low: Annotated[str, typer.Option("--from", help=t("backfill.from"))],
        high: Annotated[str, typer.Option("--to", help=t("backfill.to"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        rate: Annotated[float, typer.Option(help=t("backfill.rate"), min=0.0)] = 0.0,
        windows: Annotated[list[str] | None, typer.Option("--window", help=t("backfill.window"))] = None,
        plan: Annotated[bool, typer.Option("--plan", help=t("backfill.only_plan"))] = False,
        yes: Annotated[bool, typer.Option("--yes", help=t("backfill.yes"))] = False,
        wait: Annotated[bool, typer.Option("--wait/--no-wait", help=t("backfill.wait"))] = True,
        closed: Annotated[bool, typer.Option("--closed", help=t("backfill.closed"))] = False,
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings = _settings(context)
        if closed != bool(reason.strip()):
            raise typer.BadParameter(t("said.closed_and_reason"))
        asked = {"feed": feed, "low": low, "high": high, "rate": rate, "windows": windows or []}
        with settings.asking("backfill_plan", "backfill_start") as ask:
            told = _planned(t, ask("backfill_plan", **asked), show=not json)
            if plan or not json:
                _show_plan(t, told, json)
            if plan:
                return
            if not yes:
                _confirm(t, settings, told)
            number = ask("backfill_start", **asked, who=who, expected=told["rows"], reason=reason)["id"]
        _follow(t, settings, number, wait, json)

    @group.command("plan", help=t("backfill.plan"))
    def plan_only(
        context: typer.Context,
        feed: Annotated[str, typer.Argument(help=t("preview.feed"))],
        low: Annotated[str, typer.Option("--from", help=t("backfill.from"))],
        high: Annotated[str, typer.Option("--to", help=t("backfill.to"))],
        rate: Annotated[float, typer.Option(help=t("backfill.rate"), min=0.0)] = 0.0,
        windows: Annotated[list[str] | None, typer.Option("--window", help=t("backfill.window"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("backfill_plan") as ask:
            rows = ask("backfill_plan", feed=feed, low=low, high=high, rate=rate, windows=windows or [])
            _show_plan(t, _planned(t, rows, show=not json), json)


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("backfill.list"))
    def list_backfills(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("backfill_list") as ask:
            told = ask("backfill_list")
        if json:
            output.as_json(told)
        else:
            output.table(
                t, ("number", "feed", "begin", "end", "state", "part", "rows", "documents", "left", "problem"),
                [_row(t, one) for one in told],
            )  # fmt: skip

    @group.command("show", help=t("backfill.show"))
    def show(
        context: typer.Context,
        number: Annotated[int, typer.Argument(help=t("backfill.number"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("backfill_show") as ask:
            told = ask("backfill_show", number=number)
        _show(t, told, json)


def _add_turning(group: typer.Typer, t: Texts) -> None:
    @group.command("stop", help=t("backfill.stop"))
    def stop(
        context: typer.Context,
        number: Annotated[int, typer.Argument(help=t("backfill.number"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
    ) -> None:
        with _settings(context).asking("backfill_stop") as ask:
            changed = ask("backfill_stop", number=number, who=who)["changed"]
        if changed:
            output.say(t("said.backfill_stopped", number=number))
        else:
            output.say(t("said.backfill_as_it_was", number=number))

    @group.command("resume", help=t("backfill.resume"))
    def resume(
        context: typer.Context,
        number: Annotated[int, typer.Argument(help=t("backfill.number"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        wait: Annotated[bool, typer.Option("--wait/--no-wait", help=t("backfill.wait"))] = True,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings = _settings(context)
        with settings.asking("backfill_resume", "backfill_show") as ask:
            ask("backfill_resume", number=number, who=who)
            running = ask("backfill_show", number=number)["state"] == "running"
        if running:
            _follow(t, settings, number, wait, json)
        else:
            output.say(t("said.backfill_as_it_was", number=number))


# -- the plan --


def _planned(t: Texts, rows: Iterable[dict[str, Any]], show: bool) -> dict[str, Any]:
    """Say how far the counting is, on a terminal; the plan."""
    out = output.console()
    result: dict[str, Any] = {}
    with out.status(t("said.planning")) if show and out.is_terminal else nullcontext() as status:
        for row in rows:
            result = row.get("result", result)
            if status is not None and "counted" in row:
                status.update(t("said.planning_parts", counted=row["counted"], parts=row["parts"]))
    return result


def _show_plan(t: Texts, told: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(told)
        return
    how = {"exact": t("backfill.exact"), "sampled": t("backfill.sampled"), "guessed": t("backfill.guessed")}
    output.table(t, ("part", "rows", "how"), [(one["label"], one["rows"], how[one["how"]]) for one in told["parts"]])
    wanted = told["estimate"]
    about = "" if told["exact"] else t("backfill.about")
    output.say(t("said.plan_rows", about=about, rows=told["rows"], documents=wanted["documents"]))
    if told["axis"] != "time":
        output.say(t("said.plan_keys", low=told["low"], high=told["high"]))
    if wanted["seconds"]:
        bounded = t(
            "said.plan_time",
            pace=wanted["rows_per_second"],
            slowest=wanted["slowest"],
            took=lasting(t, wanted["seconds"]),
        )
        output.say(bounded)
        if told["windows"] or told["open_minutes"] < 1440:
            hours = told["open_minutes"] / 60
            output.say(
                t("said.plan_nights", nights=wanted["days"], hours=hours, windows=", ".join(told["windows"]) or "–")
            )
    else:
        output.say(t("said.plan_no_sample"))
    output.say(t("said.plan_bytes", source=_bytes(wanted["source_bytes"]), sent=_bytes(wanted["sent_bytes"])))
    never = _bytes(told["used"] + wanted["spool_peak"])
    output.say(
        t("said.plan_spool", peak=never, stays=_bytes(wanted["spool_stays"]), limit=_bytes(wanted["spool_limit"]))
    )
    if not wanted["fits"]:
        output.say(t("said.plan_too_small", needed=_bytes(told["used"] + wanted["spool_peak"])))
    if told["closed_months"]:
        output.say(t("said.plan_closed", months=", ".join(told["closed_months"])))
    output.say(t("said.plan_cost", statements=told["statements"], seconds=told["seconds"]))


def _confirm(t: Texts, settings: Settings, told: dict[str, Any]) -> None:
    """A large one is begun by a person's word: here, or --yes."""
    wanted = told["estimate"]
    if told["rows"] < settings.config().backfill.ask_from and wanted["seconds"] < LONG and wanted["fits"]:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(t("said.say_yes"))
    if not typer.confirm(t("said.begin")):
        raise typer.Exit(1)


def lasting(t: Texts, seconds: float) -> str:
    """`3.4 h`, `2.1 days`."""
    for unit, least, name in (
        (86_400, 2 * 86_400, t("unit.days")),
        (3600, 5400, t("unit.hours")),
        (60, 90, t("unit.minutes")),
    ):
        if seconds >= least:
            return f"{seconds / unit:,.1f} {name}"
    name = t("unit.seconds")
    return f"{seconds:,.0f} {name}"


def left_of(t: Texts, told: dict[str, Any]) -> str:
    """How much of a backfill is left: the days in which it may work, or for less than one the work; empty if not known."""
    days = told["days_left"]
    if not days:
        return ""
    return lasting(t, told["seconds_left"]) if days < 1 else f"{days:,.1f} {t('unit.days')}"


def _bytes(number: float) -> str:
    return f"{number / GIB:,.1f} GiB" if number >= GIB else f"{number / MIB:,.1f} MiB"


# -- watching --


def _follow(t: Texts, settings: Settings, number: int, wait: bool, json: bool) -> None:
    """Watch the daemon's work, or do it here."""
    if (daemon := settings.daemon(settings.config())) is not None:
        if not wait:
            if json:
                output.as_json({"id": number})
            else:
                output.say(t("said.backfill_begun", number=number))
            return
        rows = daemon("backfill_watch", number=number)
        try:
            told = _watched(t, rows, show=not json)
        except KeyboardInterrupt:
            output.say(t("said.backfill_goes_on", number=number))
            raise typer.Exit(0) from None
    else:
        told = _worked(t, settings, number, show=not json)
    _show(t, told, json)
    if told["state"] == "running":
        output.say(t("said.backfill_later", number=number))


def _watched(t: Texts, rows: Iterable[dict[str, Any]], show: bool) -> dict[str, Any]:
    told: dict[str, Any] = {}
    with _BackfillBar(t, show) as bar:
        for told in rows:
            bar.tell(told)
    return told


def _worked(t: Texts, settings: Settings, number: int, show: bool) -> dict[str, Any]:
    """No daemon: this process works on it, and on nothing else."""
    from frontend_agent.cli.work import logging_app
    from frontend_agent.daemon import Daemon, on_signals
    from frontend_agent.operations import operations

    with logging_app(settings, to_stderr=False) as app:
        daemon = Daemon(app)
        asked = operations(app, daemon)
        on_signals(daemon.stopping.set)
        with _BackfillBar(t, show) as bar:
            daemon.backfill(number, lambda: bar.tell(asked["backfill_show"](number)))
        told: dict[str, Any] = asked["backfill_show"](number)
    return told


class Bar:
    """How far something is, on a terminal; nothing elsewhere."""

    def __init__(self, wanted: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn  # which most commands do without

        out = output.console()
        shown = wanted and out.is_terminal
        columns = (BarColumn(), TextColumn("{task.percentage:>5.1f} %"), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=out) if shown else None
        self._task = self._progress.add_task("", total=1.0) if self._progress else None

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def show(self, part: float, text: str) -> None:
        """`part`: from 0 to 1."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=part, description=text)


class _BackfillBar(Bar):
    def __init__(self, t: Texts, wanted: bool) -> None:
        super().__init__(wanted)
        self._t = t

    def tell(self, told: dict[str, Any]) -> None:
        t, left = self._t, told["seconds_left"]
        text = t("said.backfill_bar", rows=told["keys"], documents=told["documents"], pace=told["rows_per_second"])
        text += f" · {lasting(t, left)}" if left else ""
        text += f" · {told['waiting']}" if told["waiting"] else ""
        self.show(told["fraction"], text)


def _show(t: Texts, told: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(told)
        return
    output.say(
        t("said.backfill", number=told["id"], feed=told["feed"], low=told["low"], high=told["high"], who=told["who"])
    )
    counted = ("keys", "documents", "unchanged", "held", "refused", "others")
    output.table(t, ("what", "number"), [(t(f"head.backfill_{name}"), told[name]) for name in counted if told[name]])
    output.say(t("said.backfill_state", state=_state(t, told), part=100 * told["fraction"], reached=told["reached"]))
    if told["waiting"]:
        output.say(t("said.backfill_waits", waiting=told["waiting"]))
    if told["days_left"]:
        output.say(t("said.backfill_left", left=lasting(t, told["seconds_left"]), days=told["days_left"]))


def _state(t: Texts, told: dict[str, Any]) -> str:
    return {"running": t("backfill.running"), "stopped": t("backfill.stopped"), "done": t("backfill.done")}[
        told["state"]
    ]


def _row(t: Texts, told: dict[str, Any]) -> tuple[Any, ...]:
    return (
        told["id"], told["feed"], told["low"], told["high"], _state(t, told), f"{100 * told['fraction']:.1f} %",
        told["keys"], told["documents"], left_of(t, told) or None, told["waiting"],
    )  # fmt: skip


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
