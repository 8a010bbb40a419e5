"""`frontend-agent quarantine`: look at what waits for a person, release it, discard it."""

from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Ask, Settings, this_user
from frontend_agent.cli.texts import Texts


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("quarantine"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="quarantine")
    _add_looking(group, t)
    _add_deciding(group, t)


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("quarantine.list"))
    def list_cases(
        context: typer.Context,
        feed: Annotated[str | None, typer.Option(help=t("quarantine.feed"))] = None,
        rule: Annotated[str | None, typer.Option(help=t("quarantine.rule"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("quarantine_list") as ask:
            cases = ask("quarantine_list", feed=feed, rule=rule) or iter(())
            if json:
                output.as_json(iter(cases))
            else:
                output.table(
                    t, ("case", "state", "kind", "feed", "key", "since", "findings"), (_row(case) for case in cases)
                )

    @group.command("show", help=t("quarantine.show"))
    def show(
        context: typer.Context,
        case: Annotated[str, typer.Argument(help=t("quarantine.case"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("quarantine_show") as ask:
            told = ask("quarantine_show", case=case)
        if json:
            output.as_json(told)
            return
        output.table(t, ("case", "state", "kind", "feed", "key", "since", "findings"), [_row(told)])
        output.findings(t, told["findings"])
        for reason in told.get("reasons", ()):
            output.say(reason)
        output.table(t, ("field", "value"), _fields(told["record"]))


def _add_deciding(group: typer.Typer, t: Texts) -> None:
    @group.command("release", help=t("quarantine.release"))
    def release(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        cases: Annotated[list[str] | None, typer.Argument(help=t("quarantine.case"))] = None,
        everything: Annotated[bool, typer.Option("--all", help=t("quarantine.all"))] = False,
        feed: Annotated[str | None, typer.Option(help=t("quarantine.feed"))] = None,
        rule: Annotated[str | None, typer.Option(help=t("quarantine.rule"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("quarantine_release") as ask:
            chosen = _chosen(ask, t, cases, everything, feed, rule)
            told = ask("quarantine_release", ids=chosen, who=who)
        if json:
            output.as_json(told)
        elif told["documents"] is None:
            output.say(t("said.released_soon", cases=len(chosen), keys=told["read_again"]))
        else:
            output.say(
                t(
                    "said.released",
                    cases=len(chosen),
                    keys=told["read_again"],
                    documents=told["documents"],
                    held=told["held"],
                )
            )

    @group.command("discard", help=t("quarantine.discard"))
    def discard(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))],
        cases: Annotated[list[str] | None, typer.Argument(help=t("quarantine.case"))] = None,
        everything: Annotated[bool, typer.Option("--all", help=t("quarantine.all"))] = False,
        feed: Annotated[str | None, typer.Option(help=t("quarantine.feed"))] = None,
        rule: Annotated[str | None, typer.Option(help=t("quarantine.rule"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("quarantine_discard") as ask:
            chosen = _chosen(ask, t, cases, everything, feed, rule)
            told = ask("quarantine_discard", ids=chosen, who=who, reason=reason)
        if json:
            output.as_json(told)
        else:
            output.say(t("said.discarded", cases=told["discarded"]))


def _chosen(
    ask: Ask, t: Texts, cases: list[str] | None, everything: bool, feed: str | None, rule: str | None
) -> list[str]:
    """The cases named, or all that the options select; never everything by forgetting to say which."""
    if bool(cases) == everything:
        raise typer.BadParameter(t("said.which"))
    if cases:
        return cases
    return [case["id"] for case in ask("quarantine_list", feed=feed, rule=rule) or ()]


def _row(case: dict[str, Any]) -> tuple[Any, ...]:
    rules = ", ".join(dict.fromkeys(finding["rule"] for finding in case["findings"] if finding["severity"] == "hold"))
    said = rules or "; ".join(case.get("reasons", ()))
    return case["id"], case["state"], case["kind"], case["feed"], case["key"], case["since"], said


def _fields(record: dict[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in record.items():
        if isinstance(value, str):
            rows.append((name, value))
        else:
            rows += [(f"{name}[{i}].{part}", text) for i, row in enumerate(value) for part, text in row.items()]
    return rows


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
