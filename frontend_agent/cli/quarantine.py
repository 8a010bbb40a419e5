"""`frontend-agent quarantine`: look at what waits for a person, release it, discard it."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.images import show_cases, show_study
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import FrontendAgentError


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
        who: Annotated[str | None, typer.Option(help=t("quarantine.actor"))] = None,
        everything: Annotated[bool, typer.Option("--all", help=t("quarantine.each"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("quarantine_list") as ask:
            if everything:
                _show_cases(t, ask("quarantine_list", feed=feed, rule=rule), json)
                return
            told = ask("quarantine_groups", feed=feed, rule=rule, actor=who)
        if json:
            output.as_json(told)
            return
        _show_groups(t, told["groups"])
        show_cases(t, told["images"])
        output.say(t("said.waiting", records=told["records"], groups=len(told["groups"]), documents=told["documents"]))

    @group.command("who", help=t("quarantine.people"))
    def who_must_act(
        context: typer.Context,
        feed: Annotated[str | None, typer.Option(help=t("quarantine.feed"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("quarantine_actors") as ask:
            told = ask("quarantine_actors", feed=feed)
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("who", "word", "groups", "held", "documents", "since", "most"),
            [
                (
                    one["who"][t.language], one["actor"], one["groups"], one["records"], one["documents"],
                    _day(one["since"]), f"{one['most']['group']} {one['most']['text'][t.language]}",
                )
                for one in told
            ],
        )  # fmt: skip

    @group.command("show", help=t("quarantine.show"))
    def show(
        context: typer.Context,
        case: Annotated[str, typer.Argument(help=t("quarantine.case"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if case[:1] in ("G", "S"):
            with _settings(context).asking("quarantine_group") as ask:
                _show_cases(t, ask("quarantine_group", group=case), json)
            return
        with _settings(context).asking("quarantine_show") as ask:
            told = ask("quarantine_show", case=case)
        if json:
            output.as_json(told)
            return
        output.table(t, ("case", "state", "kind", "feed", "key", "since", "findings"), [_row(t, told)])
        output.findings(t, told["findings"])
        if told.get("reasons"):
            output.say(output.reasons(t, told["reasons"], "\n"))
        if "study" in told:
            show_study(t, told["study"])
        else:
            output.table(t, ("field", "value"), _fields(told["record"]))


def _show_cases(t: Texts, cases: Iterable[dict[str, Any]] | None, json: bool) -> None:
    if json:
        output.as_json(iter(cases or ()))
    else:
        headings = ("case", "state", "kind", "feed", "key", "since", "findings")
        output.table(t, headings, (_row(t, case) for case in cases or ()))


def _show_groups(t: Texts, groups: Sequence[dict[str, Any]]) -> None:
    """A cause is one line, with what to do about it under it."""
    output.table(
        t,
        ("group", "number", "text", "field", "column", "who", "since", "example"),
        [
            (
                one["id"], one["count"], _what(t, one), _field(t, one), one.get("column"), one["who"][t.language],
                _day(one["since"]), one["example"],
            )
            for one in groups
        ],
    )  # fmt: skip


def _what(t: Texts, group: dict[str, Any]) -> str:
    if group.get("destination"):
        return f"{group['destination']}: {output.reasons(t, group.get('reasons', ())) or group['state']}"
    value = f" “{group['value']}”" if group.get("value") else ""
    again = t("said.being_read", n=group["released"]) if group.get("released") else ""
    return f"{group['rule']} {group['title'][t.language]}{value}{again}\n→ {group['mend'][t.language]}"


def _field(t: Texts, group: dict[str, Any]) -> str:
    name, field = group["field_name"][t.language], group.get("field", "")
    return f"{name}\n{field}" if name and field else field or name


def _day(moment: str) -> str:
    return output.local_time(moment)


def _add_deciding(group: typer.Typer, t: Texts) -> None:
    @group.command("release", help=t("quarantine.release"))
    def release(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        cases: Annotated[list[str] | None, typer.Argument(help=t("quarantine.case"))] = None,
        groups: Annotated[list[str] | None, typer.Option("--group", help=t("quarantine.group"))] = None,
        everything: Annotated[bool, typer.Option("--all", help=t("quarantine.all"))] = False,
        feed: Annotated[str | None, typer.Option(help=t("quarantine.feed"))] = None,
        rule: Annotated[str | None, typer.Option(help=t("quarantine.rule"))] = None,
        wait: Annotated[bool, typer.Option("--wait/--no-wait", help=t("quarantine.wait"))] = True,
        closed: Annotated[bool, typer.Option("--closed", help=t("backfill.closed"))] = False,
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        _say_which(t, cases, groups, everything)
        if closed != bool(reason.strip()):
            raise typer.BadParameter(t("said.closed_and_reason"))
        with _settings(context).asking("quarantine_release") as ask:
            rows = ask(
                "quarantine_release",
                ids=cases or [], groups=groups or [], everything=everything, feed=feed, rule=rule, who=who, wait=wait,
                reason=reason,
            )  # fmt: skip
            told = _followed(t, rows, show=not json)
        if "images" in told:
            if json:
                output.as_json(told)
            else:
                output.say(t("said.images_judged_again", count=told["images"]))
            return
        if json:
            output.as_json(told)
        else:
            _show_release(t, told)
        if told["problem"]:
            raise FrontendAgentError(t("said.release_problem", problem=told["problem"]))

    @group.command("releases", help=t("quarantine.releases"))
    def releases(
        context: typer.Context,
        number: Annotated[int | None, typer.Argument(help=t("quarantine.release_number"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("quarantine_releases") as ask:
            told = ask("quarantine_releases") if number is None else ask("quarantine_released", release=number)
        if json:
            output.as_json(told)
        elif number is not None:
            _show_release(t, told)
        else:
            output.table(
                t,
                ("number", "time", "decided", "records", "what"),
                [(one["id"], _day(one["at"]), one["who"], one["cases"], ", ".join(one["asked"][:8])) for one in told],
            )

    @group.command("discard", help=t("quarantine.discard"))
    def discard(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))],
        cases: Annotated[list[str] | None, typer.Argument(help=t("quarantine.case"))] = None,
        groups: Annotated[list[str] | None, typer.Option("--group", help=t("quarantine.group"))] = None,
        everything: Annotated[bool, typer.Option("--all", help=t("quarantine.all"))] = False,
        feed: Annotated[str | None, typer.Option(help=t("quarantine.feed"))] = None,
        rule: Annotated[str | None, typer.Option(help=t("quarantine.rule"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        _say_which(t, cases, groups, everything)
        with _settings(context).asking("quarantine_discard") as ask:
            chosen = list(cases or ())
            for name in groups or ():
                chosen += [case["id"] for case in ask("quarantine_group", group=name) or ()]
            if everything:
                chosen += [case["id"] for case in ask("quarantine_list", feed=feed, rule=rule) or ()]
            told = ask("quarantine_discard", ids=chosen, who=who, reason=reason)
        if json:
            output.as_json(told)
        else:
            output.say(t("said.discarded", cases=told["discarded"]))


def _say_which(t: Texts, cases: list[str] | None, groups: list[str] | None, everything: bool) -> None:
    """The cases or groups named, or all that the options select; never everything by forgetting to say which."""
    if bool(cases or groups) == everything:
        raise typer.BadParameter(t("said.which"))


def _followed(t: Texts, rows: Iterable[dict[str, Any]], show: bool) -> dict[str, Any]:
    """Say how far it is, on a terminal; the result."""
    out = output.console()
    result: dict[str, Any] = {}
    with out.status(t("said.releasing")) if show and out.is_terminal else nullcontext() as status:
        for row in rows:
            result = row if "images" in row else row.get("result", result)
            if status is not None and "waiting" in row:
                status.update(t("said.release_progress", waiting=row["waiting"], to_send=row["to_send"]))
            elif status is not None and "marked" in row:
                status.update(t("said.release_marked", marked=row["marked"]))
    return result


def _show_release(t: Texts, told: dict[str, Any]) -> None:
    output.say(t("said.released", number=told["id"], cases=told["cases"]))
    counted = ("documents", "delivered", "accepted", "to_send", "stuck", "held", "unchanged", "discarded", "waiting")
    rows = [(t(f"head.release_{name}"), told[name]) for name in counted if told[name]]
    rows += [(f"{t('head.release_returned')}: {reason}", n) for reason, n in told["returned"].items()]
    rows += [(t("head.release_sent_again"), told["sent_again"])] if told.get("sent_again") else []
    if rows:
        output.table(t, ("what", "number"), rows)
    if told.get("overtaken"):
        output.say(t("said.release_overtaken", cases=", ".join(told["overtaken"])))
    if told.get("closed"):
        output.say(t("said.release_closed", cases=told["closed"]))
    if told["held_by"]:
        output.say(t("said.held_again"))
        output.table(
            t,
            ("group", "number", "text", "field", "who", "example"),
            [
                (one["id"], one["again"], _what(t, one), _field(t, one), one["who"][t.language], one["example"])
                for one in told["held_by"]
            ],
        )


def _row(t: Texts, case: dict[str, Any]) -> tuple[Any, ...]:
    rules = ", ".join(dict.fromkeys(finding["rule"] for finding in case["findings"] if finding["severity"] == "hold"))
    said = rules or output.reasons(t, case.get("reasons", ()))
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
