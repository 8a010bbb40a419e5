"""The commands of everyday work: demo, check, run, once, preview, status, adopt."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from frontend_agent import logs
from frontend_agent.cli import output
from frontend_agent.cli.alarms import check_status
from frontend_agent.cli.backfill import left_of
from frontend_agent.cli.foreign import show_foreign
from frontend_agent.cli.gap import run_outer_half, show_gap
from frontend_agent.cli.images import show_images
from frontend_agent.cli.inlet import show_inlets
from frontend_agent.cli.region_upgrades import state_words
from frontend_agent.cli.session import Settings, must_be_its_owner, this_user
from frontend_agent.cli.source import rests
from frontend_agent.cli.texts import Texts
from frontend_agent.config import ConfigurationProblems
from frontend_agent.errors import ConfigurationError, FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.app import App

SECONDS = "%Y-%m-%d %H:%M:%S"
EXAMPLE = "example.toml"  # what init writes; agent.toml at the top of the repository is the same text


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    _add_demo(cli, t)
    _add_setting_up(cli, t)
    _add_working(cli, t)
    _add_looking(cli, t)


def _add_demo(cli: typer.Typer, t: Texts) -> None:
    @cli.command(help=t("demo"))
    def demo(
        context: typer.Context,
        visits: Annotated[int, typer.Option(help=t("demo.visits"), min=1)] = 1000,
        seed: Annotated[int, typer.Option(help=t("demo.seed"))] = 1,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
        exit: Annotated[bool, typer.Option("--exit", help=t("demo.exit"))] = False,
    ) -> None:
        from frontend_agent.demo.run import run_demo

        state = _settings(context).state_option or Path("demo-state")
        raise typer.Exit(run_demo(visits, seed, state, json, exit))


def _add_setting_up(cli: typer.Typer, t: Texts) -> None:
    @cli.command(help=t("check"))
    def check(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        settings = _settings(context)
        try:
            results = [(what, str(error or ""), error.exit_code if error else 0) for what, error in _checks(settings)]
        except ConfigurationProblems as problems:
            results = [(str(settings.config_path), problem, problems.exit_code) for problem in problems.problems]
        except ConfigurationError as problem:
            results = [(str(settings.config_path), str(problem), problem.exit_code)]
        if json:
            output.as_json([{"what": what, "problem": problem, "exit_code": code} for what, problem, code in results])
        else:
            output.table(t, ("what", "problem"), [(what, problem or t("said.ok")) for what, problem, _ in results])
            if not any(problem for _, problem, _ in results):
                output.say(t("said.all_good"))
        raise typer.Exit(max(code for *_, code in results))

    @cli.command(name="adopt", help=t("adopt"))
    def adopt_state(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
    ) -> None:
        from frontend_agent.app import adopt, has_state

        settings = _settings(context)
        config = settings.config()
        if has_state(settings.state(config)):
            settings.say("adopt", who=who)
        output.say(t("said.adopted", instance=adopt(config, settings.state(config), who)))


def example() -> str:
    """The commented configuration that ships with us."""
    return resources.files("frontend_agent").joinpath(EXAMPLE).read_text(encoding="utf-8")


def _checks(settings: Settings) -> Iterator[tuple[str, FrontendAgentError | None]]:
    from frontend_agent.app import checked
    from frontend_agent.cli.visiting import visiting
    from frontend_agent.networks import forwarding_problem

    config = settings.config()
    yield str(settings.config_path), None
    if not config.network.may_forward:
        yield "networks", forwarding_problem()
    with visiting(settings, config) as opened:
        yield from checked(config, settings.state(config), opened)


def _add_working(cli: typer.Typer, t: Texts) -> None:
    @cli.command(help=t("run"))
    def run(
        context: typer.Context,
        supervised: Annotated[bool, typer.Option("--supervised", help=t("run.supervised"))] = False,
    ) -> None:
        from frontend_agent.consoling import Consoling
        from frontend_agent.daemon import Daemon, ends_in_time, on_signals
        from frontend_agent.lifetime import lived
        from frontend_agent.notify import LineNotifier
        from frontend_agent.reporting import Reporting
        from frontend_agent.supervising import on_hang_up

        settings = _settings(context)
        if (config := settings.config()).gap.is_outer:
            if supervised:
                raise ConfigurationError("[gap] half = outer: runs under systemd alone, not with --supervised")
            run_outer_half(config, settings.state(config))
            return
        if supervised:
            logs.threads()
        with logging_app(settings, to_stderr=not supervised) as app:
            zone = ZoneInfo(app.config.institution.timezone)
            reporting = Reporting(app.config.reports, app.state, zone, settings.config_path.absolute())
            path = settings.config_path.absolute()
            consoling = Consoling(path, app.state) if app.config.console.listen else None
            notifier = LineNotifier(sys.stdout.buffer) if supervised else None
            daemon = Daemon(app, reporting=reporting, consoling=consoling, notifier=notifier)
            if supervised:
                on_hang_up(ends_in_time(daemon.stopping.set), sys.stdin.buffer)
            with lived(app.spool, path, on_signals(daemon.stopping.set), app.clock):
                daemon.run()

    @cli.command(help=t("once"))
    def once(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        settings = _settings(context)
        config = settings.config()
        if (daemon := settings.daemon(config)) is not None:
            told = daemon("once")
            _show_once(t, told, json)
            raise typer.Exit(_worst(told))
        from frontend_agent.daemon import Daemon, on_signals, problem_of
        from frontend_agent.lifetime import note_changes
        from frontend_agent.operations import door, told_outcomes

        with logging_app(settings, to_stderr=False) as app:
            door(app).ask(settings.asker(), "run_once", {})
            note_changes(app.spool, settings.config_path, app.clock)
            alone = Daemon(app)
            on_signals(alone.stopping.set)
            with _progress(t, app, not json) as tick:
                outcomes = alone.once(tick)
            _show_once(t, told_outcomes(app, outcomes), json)
            problem = problem_of(app, outcomes)
        if problem is not None:
            raise problem


@contextmanager
def logging_app(settings: Settings, to_stderr: bool) -> "Iterator[App]":
    """An open app whose log goes to its state directory, and to the journal where it is a service."""
    from frontend_agent.app import App

    config = settings.config()
    if config.gap.is_outer:
        raise ConfigurationError(settings.t("said.gap_is_outer"))
    if to_stderr:
        logs.to_stderr(config.log.level)
        logs.threads()
    must_be_its_owner(settings.state(config))
    app = App(config, settings.state(config)).open()
    try:
        logs.to_file(app.state, config.log.level, config.log.size, config.log.keep)
        yield app
    finally:
        app.close()


@contextmanager
def _progress(t: Texts, app: "App", wanted: bool) -> Iterator[Callable[[], None]]:
    """A line that says how far it is, on a terminal."""
    out = output.console()
    if not (wanted and out.is_terminal):
        yield lambda: None
        return
    with out.status(t("said.reading")) as status:

        def tick() -> None:
            counts = app.spool.counts()
            waiting = sum(app.waiting(name) for name in app.destinations)
            status.update(
                f"{t('said.reading')} · {t('head.documents')} {counts.documents:,} · {t('head.waiting')} {waiting:,}"
                f" · {t('head.quarantine')} {counts.held:,}"
            )

        yield tick


def _show_once(t: Texts, told: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(told)
        return
    counted = ("documents", "held", "withheld", "unchanged", "not_final")
    output.table(
        t,
        ("feed", *counted, "seconds", "problem"),
        [
            (feed["feed"], *(feed["counts"].get(name, 0) for name in counted), feed["seconds"], feed["problem"])
            for feed in told["feeds"]
        ],
    )
    output.table(
        t,
        ("destination", "waiting", "problem"),
        [(one["name"], one["waiting"], one["problem"]) for one in told["destinations"]],
    )


def _worst(told: dict[str, Any]) -> int:
    codes = [feed["exit_code"] for feed in told["feeds"]]
    return max([*codes, *(1 for one in told["destinations"] if one["problem"])], default=0)


def _add_looking(cli: typer.Typer, t: Texts) -> None:
    @cli.command(help=t("preview"))
    def preview(
        context: typer.Context,
        feed: Annotated[str, typer.Argument(help=t("preview.feed"))],
        key: Annotated[str | None, typer.Option(help=t("preview.key"))] = None,
        newest: Annotated[int | None, typer.Option(help=t("preview.newest"), min=1)] = None,
        xml: Annotated[bool, typer.Option("--xml", help=t("preview.xml"))] = False,
        hl7: Annotated[bool, typer.Option("--hl7", help=t("preview.hl7"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if (key is None) == (newest is None):
            raise typer.BadParameter("--key KEY | --newest N")
        with _settings(context).asking("preview") as ask:
            told = ask("preview", feed=feed, key=key, newest=newest or 0)
        if hl7 and not json:
            _show_messages(t, told["records"])
            return
        if json:
            output.as_json(told)
            return
        for record in told["records"]:
            show_preview(t, record, xml)

    @cli.command(help=t("status"))
    def status(
        context: typer.Context,
        watch: Annotated[bool, typer.Option("--watch", help=t("status.watch"))] = False,
        check: Annotated[bool, typer.Option("--check", help=t("status.check"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if check:
            raise typer.Exit(check_status(_settings(context), t, json))
        if watch:
            from frontend_agent.cli.watching import watch as watch_status

            watch_status(partial(_settings(context).asking, "status", "today"), t.language)
            return
        with _settings(context).asking("status") as ask:
            told = ask("status")
        if json:
            output.as_json(told)
        else:
            _show_status(t, told)


def show_preview(t: Texts, record: dict[str, Any], xml: bool) -> None:
    """What a record would become, for a person, or the document alone."""
    if xml:
        if record["problem"]:
            raise FrontendAgentError(record["problem"])
        sys.stdout.write(record["document"])
        return
    output.say(t(f"said.would.{record['would']}", id=record["document_id"]))
    if record["problem"]:
        output.say(record["problem"])
    output.findings(t, record["findings"])
    output.document_view(record["view"], t)


def _show_messages(t: Texts, records: list[dict[str, Any]]) -> None:
    """Segments on lines of their own; what a structure or profile has against a message, and exit 1 if something has."""
    messages = [message for record in records for message in record["messages"]]
    if not messages:
        output.say(t("said.no_messages"))
    for message in messages:
        sys.stdout.write(message["text"].replace("\r", "\n") + "\n")
        if message["problem"]:
            output.say(f"{message['name']}: {message['problem']}")
    if any(message["problem"] for message in messages):
        raise typer.Exit(1)


def _show_status(t: Texts, told: dict[str, Any]) -> None:
    daemon = told["daemon"]
    running = t("said.daemon", pid=daemon["pid"]) if daemon else t("said.no_daemon")
    output.say(f"{told['institution_name']} ({told['institution']}) · {told['state']} · {running}")
    counted = ("documents", "held", "unchanged")
    output.table(
        t,
        ("feed", "read_up_to", *counted, "waiting_for_partner", "last_run", "next_run", "problem"),
        [
            (
                feed["name"],
                feed["read_up_to"] and feed["read_up_to"].removeprefix("time:").removeprefix("date:"),
                *(feed["counts"].get(name, 0) for name in counted),
                feed["waiting_for_partner"] or None,
                feed["last_run"] and output.local_time(feed["last_run"]["ended_at"], SECONDS),
                feed["next_run"] and output.local_time(feed["next_run"], SECONDS),
                feed["last_run"] and feed["last_run"]["problem"],
            )
            for feed in told["feeds"]
        ],
    )
    output.table(
        t,
        ("destination", "delivered", "accepted", "waiting", "stuck", "problem"),
        [
            (
                one["name"],
                one["states"].get("delivered", 0),
                one["states"].get("accepted", 0) or None,
                one["waiting"],
                sum(one["states"].get(state, 0) for state in ("refused", "blocked", "damaged")),
                one.get("problem"),
            )
            for one in told["destinations"]
        ],
    )
    if told["upgrade"] and told["upgrade"]["size"]:
        output.say(
            t(
                "said.upgrade.status",
                version=told["upgrade"]["version"],
                state=state_words(t)[told["upgrade"]["state"]],
            )
        )
    show_foreign(t, told)
    if told["inlets"]:
        show_inlets(t, told["inlets"])
    show_images(t, told["images"])
    if told.get("gap"):
        show_gap(t, told["gap"])
    for source in told["sources"]:
        if source["state"] != "open":
            output.say(rests(t, source))
        if gone := source["unreachable"]:
            since, next_try = (output.local_time(gone[when], SECONDS) for when in ("since", "next_try"))
            output.say(
                t("said.unreachable", source=source["name"], since=since, next_try=next_try, problem=gone["problem"])
            )
    output.say(f"{t('head.quarantine')}: {told['quarantine']['open']:,}")
    for name, account in told["accounts"].items():
        if account["writes"]:
            waiver = account["waiver"]
            let = t("said.waived", **waiver) if waiver and waiver["holds"] else t("said.not_waived", source=name)
            output.say(t("said.account_writes", source=name, account=account["account"], let=let))
    packs = told["packs"]
    output.say(t("said.packs", active=packs["active"], shadow=packs["shadow"] or "–"))
    if packs["expired"]:
        output.say(t("said.pack_expired", until=packs["expired"]))
    for one in told["destinations"]:
        if one["skew"]:
            differ = ", ".join(f"{skew['what']} ({skew['ours']} / {skew['theirs']})" for skew in one["skew"])
            output.say(t("said.skew", destination=one["name"], differ=differ))
    for feed in told["feeds"]:
        if feed["silent_since"]:
            output.say(t("said.silent", feed=feed["name"], since=output.local_time(feed["silent_since"])))
    for one in told["backfills"]:
        output.say(
            t("said.backfill_status", number=one["id"], feed=one["feed"], part=100 * one["fraction"]) + _left(t, one)
        )
    if told["calendar_missing"]:
        output.say(t("said.calendar_missing", years=", ".join(map(str, told["calendar_missing"]))))
    if told["closed_months"]:
        output.say(t("said.closed_months", months=", ".join(told["closed_months"][:6])))
    if told["visits"]["with_findings"]:
        output.say(t("said.visits_with_findings", visits=told["visits"]["with_findings"]))
    for night in told["reconciliation"]:
        if night["alarm"]:
            figures = {name: night[name] for name in ("feed", "missed", "differing", "mended", "id")}
            problem = f"· {night['problem']} " if night["problem"] else ""
            output.say(
                t(
                    "said.reconcile_alarm",
                    day=output.local_time(night["ended_at"], "%Y-%m-%d"),
                    problem=problem,
                    **figures,
                )
            )
    withheld = told["withheld"]
    if withheld["open"]:
        output.say(f"{t('head.withheld')}: {withheld['open']:,}")
    if withheld["alarms"]:
        output.say(t("said.alarms", alarms=withheld["alarms"]))
    spool = told["spool"]
    output.say(f"{t('head.spool')}: {spool['bytes'] / 2**20:,.1f} MiB / {spool['quota'] / 2**20:,.0f} MiB")
    steps = [(name, step) for name, step in told["steps"].items() if step["seconds"]]
    if steps:
        output.table(t, ("step", "seconds", "cpu"), [(n, s["seconds"], s["cpu_seconds"]) for n, s in steps])


def _left(t: Texts, backfill: dict[str, Any]) -> str:
    return "".join(f" · {word}" for word in (left_of(t, backfill), backfill["waiting"]) if word)


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
