"""`frontend-agent images`: studies, from where they come in to where they are proven."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.images_made import add_made
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts

STUCK = ("refused", "blocked", "damaged")


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("images"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="images")
    _add_list(group, t)
    _add_show(group, t)
    _add_instances(group, t)
    _add_deciding(group, t)
    _add_sending(group, t)
    _add_wanting(group, t)
    add_made(group, t)


def _add_list(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("images.list"))
    def list_studies(
        context: typer.Context,
        only: Annotated[str, typer.Option(help=t("images.state"))] = "",
        patient: Annotated[str, typer.Option(help=t("images.patient"))] = "",
        accession: Annotated[str, typer.Option(help=t("images.accession"))] = "",
        limit: Annotated[int, typer.Option(help=t("images.limit"), min=1, max=10_000)] = 50,
        before: Annotated[int, typer.Option(help=t("images.before"), min=0)] = 0,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("images_list") as ask:
            told = ask(
                "images_list", state=only, patient=patient, accession=accession, limit=limit, before=before
            )  # fmt: skip
        if json:
            output.as_json(told)
        else:
            _show_studies(t, told)


def _show_studies(t: Texts, told: list[dict[str, Any]]) -> None:
    output.table(
        t,
        ("study", "uid", "received", "state", "accession", "series", "instances", "bytes", "findings", "destinations"),
        [
            (
                str(one["id"]), one["study_instance_uid"], output.local_time(one["last_at"]), _state(t, one["state"]),
                one["accession_number"], _count(one["series"]), _of(one["instances"], one["expected_instances"]), one["size"],
                ", ".join(one["rules"]), _destinations(t, one["destinations"]),
            )
            for one in told
        ],
    )  # fmt: skip


def _add_show(group: typer.Typer, t: Texts) -> None:
    @group.command("show", help=t("images.show"))
    def show(
        context: typer.Context,
        study: Annotated[str, typer.Argument(help=t("images.study"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("images_show") as ask:
            told = ask("images_show", study=study)
        if json:
            output.as_json(told)
        else:
            show_study(t, told)


def show_study(t: Texts, told: dict[str, Any]) -> None:
    """One study, from its series to what each destination said."""
    _show_studies(t, [told])
    if told["note"]:
        output.say(told["note"])
    if not told["has_files"]:
        output.say(t("said.images_gone"))
    output.table(
        t,
        ("series_uid", "modality", "place", "description", "instances", "changed", "conflict", "bytes"),
        [
            (
                one["series_instance_uid"], one["modality"], one["number"], one["description"],
                _of(one["instances"], one["expected"]), one["changed"] or None, one["conflicts"] or None, one["size"],
            )
            for one in told["series"]
        ],
    )  # fmt: skip
    if told["order"]:
        output.say(t("said.images_order", order=told["order"]["key"], accession=told["accession_number"] or "–"))
    if told["expected"]:
        output.say(t("said.images_expected", by=told["expected"]["by"], instances=told["expected"]["instances"]))
    for name, uid in told["known_as"].items():
        output.say(t("said.images_known_as", destination=name, uid=uid, pseudonym=told["pseudonyms"].get(name) or "–"))
    if told["asked_for"]:
        output.say(t("said.images_asked_for", **told["asked_for"]))
    output.findings(t, told["findings"])
    if told["let_go"]:
        output.say(t("said.images_let_go", findings=", ".join(told["let_go"])))
    if told["reasons"]:
        output.table(
            t,
            ("destination", "uid", "state", "reasons"),
            [
                (one["destination"], one["sop_instance_uid"], _state(t, one["state"]), "; ".join(one["reasons"]))
                for one in told["reasons"]
            ],
        )


def _add_instances(group: typer.Typer, t: Texts) -> None:
    @group.command("instances", help=t("images.instances"))
    def instances(
        context: typer.Context,
        study: Annotated[str, typer.Argument(help=t("images.study"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("images_instances") as ask:
            rows: Iterable[dict[str, Any]] = ask("images_instances", study=study) or ()
            if json:
                output.as_json(iter(rows))
                return
            output.table(
                t,
                ("place", "uid", "received", "sender", "bytes", "sha256", "changed", "conflict"),
                [
                    (
                        f"{one['series_number']}/{one['instance_number']}", one["sop_instance_uid"],
                        output.local_time(one["received_at"]), one["sender"], one["size"], one["sha256"][:16],
                        one["sent_sha256"][:16] if one["sent_sha256"] != one["sha256"] else None,
                        t("head.conflict") if one["conflict"] else None,
                    )
                    for one in rows
                ],
            )  # fmt: skip


def _add_deciding(group: typer.Typer, t: Texts) -> None:
    @group.command("release", help=t("images.release"))
    def release(
        context: typer.Context,
        studies: Annotated[list[str], typer.Argument(help=t("images.study"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        pixels: Annotated[bool, typer.Option("--pixels", help=t("images.pixels"))] = False,
    ) -> None:
        with _settings(context).asking("images_release") as ask:
            told = ask("images_release", studies=studies, who=who, pixels=pixels)
        output.say(t("said.images_released", count=told["released"], asked=len(studies)))
        _all_of_them(t, told["released"], studies)

    @group.command("look", help=t("images.look"))
    def look(context: typer.Context, studies: Annotated[list[str], typer.Argument(help=t("images.study"))]) -> None:
        with _settings(context).asking("images_look") as ask:
            told = ask("images_look", studies=studies)
        output.say(t("said.images_looked", count=told["looked_at"], asked=len(studies)))
        _all_of_them(t, told["looked_at"], studies)

    @group.command("discard", help=t("images.discard"))
    def discard(
        context: typer.Context,
        studies: Annotated[list[str], typer.Argument(help=t("images.study"))],
        reason: Annotated[str, typer.Option(help=t("quarantine.reason"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
    ) -> None:
        with _settings(context).asking("images_discard") as ask:
            told = ask("images_discard", studies=studies, who=who, reason=reason)
        output.say(t("said.images_discarded", count=told["discarded"], asked=len(studies)))
        _all_of_them(t, told["discarded"], studies)


def _all_of_them(t: Texts, done: int, studies: list[str]) -> None:
    """Who asks by a program sees by the exit code that not all of it was done."""
    if done < len(studies):
        output.say(t("said.images_as_they_are"))
        raise typer.Exit(1)


def _add_sending(group: typer.Typer, t: Texts) -> None:
    @group.command("send", help=t("images.send"))
    def send(
        context: typer.Context,
        studies: Annotated[list[str], typer.Argument(help=t("images.study"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        to: Annotated[list[str] | None, typer.Option(help=t("images.to"))] = None,
    ) -> None:
        with _settings(context).asking("images_send") as ask:
            told = ask("images_send", studies=studies, destinations=to or [], who=who)
        output.say(t("said.images_sent", count=told["instances"]))
        if told["wanted"]:
            output.say(t("said.images_fetched_first", count=told["wanted"]))

    @group.command("pull", help=t("images.pull"))
    def pull(
        context: typer.Context,
        studies: Annotated[list[str], typer.Argument(help=t("images.which"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        inlet: Annotated[str, typer.Option(help=t("images.from"))] = "",
    ) -> None:
        with _settings(context).asking("images_pull") as ask:
            told = ask("images_pull", studies=studies, who=who, inlet=inlet)
        output.say(t("said.images_pulled", count=told["wanted"], asked=len(studies)))


def _add_wanting(group: typer.Typer, t: Texts) -> None:
    @group.command("wants", help=t("images.wants"))
    def wants(
        context: typer.Context,
        everything: Annotated[bool, typer.Option("--all", help=t("images.ended"))] = False,
        limit: Annotated[int, typer.Option(help=t("images.limit"), min=1, max=10_000)] = 50,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("images_wants") as ask:
            told = ask("images_wants", everything=everything, limit=limit)
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("number", "uid", "accession", "inlet", "wanted_by", "since", "asked_next", "attempts", "problem"),
            [
                (
                    str(one["id"]), one.get("study_instance_uid"), one.get("accession_number"), one.get("inlet"), one["why"],
                    output.local_time(one["since"]), one.get("due_at") and output.local_time(one["due_at"]),
                    one.get("attempts", 0), one.get("problem"),
                )
                for one in told
            ],
        )  # fmt: skip

    @group.command("orders", help=t("images.orders"))
    def orders(
        context: typer.Context,
        key: Annotated[str, typer.Argument(help=t("images.order"))] = "",
        study: Annotated[str, typer.Option(help=t("images.uid"))] = "",
        accession: Annotated[str, typer.Option(help=t("images.accession"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("images_orders") as ask:
            told = ask("images_orders", key=key, study=study, accession=accession)
        if json:
            output.as_json(told)
            return
        for one in told:
            output.table(t, ("field", "value"), [(name, str(value)) for name, value in one.items()])
        if not told:
            output.say(t("said.nothing"))

    @group.command("inlets", help=t("images.inlets"))
    def inlets(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("images_inlets") as ask:
            told = ask("images_inlets")
        if json:
            output.as_json(told)
        else:
            show_inlets(t, told)


def show_inlets(t: Texts, told: list[dict[str, Any]]) -> None:
    """How each inlet of images stands, and what it says of itself."""
    own = ("name", "type", "running", "problem")
    output.table(
        t,
        ("name", "type", "state", "details"),
        [
            (
                one["name"], one["type"],
                one["problem"] or t("said.inlet_running" if one["running"] else "said.inlet_stopped"),
                ", ".join(f"{key}={value}" for key, value in one.items() if key not in own and _is_plain(value)),
            )
            for one in told
        ],
    )  # fmt: skip


def show_images(t: Texts, told: dict[str, Any] | None) -> None:
    """Images, in a status."""
    if told is None:
        return
    studies = ", ".join(f"{_state(t, state)} {n:,}" for state, n in told["studies"].items()) or t("said.nothing")
    output.say(
        t("said.images_status", studies=studies, used=f"{told['bytes']:,}", quota=f"{told['quota']:,}" if told["quota"] else "–")
    )  # fmt: skip
    if told["wants"]:
        output.say(t("said.images_wants", open=told["wants"].get("open", 0), stuck=told["wants"].get("stuck", 0)))
    if told["problem"]:
        output.say(told["problem"])
    output.table(
        t,
        ("destination", "delivered", "accepted", "waiting", "stuck", "problem"),
        [
            (
                one["name"], one["states"].get("delivered", 0), one["states"].get("accepted", 0) or None, one["waiting"],
                sum(one["states"].get(state, 0) for state in STUCK), one["problem"],
            )
            for one in told["destinations"]
        ],
    )  # fmt: skip
    show_inlets(t, told["inlets"])


def show_cases(t: Texts, groups: list[dict[str, Any]]) -> None:
    """Studies that wait for a person, by what holds them."""
    if not groups:
        return
    output.table(
        t,
        ("number", "rule", "text", "since", "example"),
        [
            (
                one["count"], one["rule"] or one["destination"],
                one["text"][t.language] if one["text"] else "; ".join(one["reasons"]) or _state(t, one["state"]),
                output.local_time(one["since"]), one["example"],
            )
            for one in groups
        ],
        title=t("said.images_held"),
    )  # fmt: skip


def _state(t: Texts, state: str) -> str:
    return t(f"head.{state}")


def _count(series: Any) -> int:
    """A list of studies says how many there are, one study which."""
    return len(series) if isinstance(series, list) else int(series)


def _of(here: int, expected: int | None) -> str:
    return f"{here:,}" if expected is None or expected == here else f"{here:,} / {expected:,}"


def _destinations(t: Texts, stands: dict[str, dict[str, int]]) -> str:
    return "\n".join(
        f"{name}: " + ", ".join(f"{_state(t, state)} {n:,}" for state, n in states.items())
        for name, states in stands.items()
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and value not in ("", 0)


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
