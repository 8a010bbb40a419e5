"""What an auditor asks: the quality log, one document's way, and what the destinations answered."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from frontend_agent.cli import output, reports, withheld
from frontend_agent.cli.closing import add_silence
from frontend_agent.cli.images import show_study
from frontend_agent.cli.inlet import show_messages
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, FrontendAgentError


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("qc"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="qc")
    reports.add_to(group, t)
    reports.add_evidence(group, t)
    add_silence(group, t)
    _add_log(group, t)
    _add_visits(group, t)
    _add_verify(group, t)
    _add_verifier(group, t)
    _add_tracing(cli, t)


def _add_log(group: typer.Typer, t: Texts) -> None:
    @group.command("log", help=t("qc.log"))
    def log(
        context: typer.Context,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 20,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("qc_log") as ask:
            entries = list(ask("qc_log", limit=limit) or ())
        if json:
            output.as_json(entries)
        else:
            output.table(t, ("seq", "time", "event", "details"), [_entry(entry) for entry in entries])

    @group.command("export", help=t("qc.export"))
    def export(
        context: typer.Context,
        to: Annotated[Path | None, typer.Option("--output", "-o", help=t("qc.output"))] = None,
    ) -> None:
        with _settings(context).asking("qc_export") as ask:
            lines = ask("qc_export") or ()
            if to is None:
                sys.stdout.writelines(lines)
            else:
                _write(to, lines)


def _add_visits(group: typer.Typer, t: Texts) -> None:
    @group.command("visits", help=t("qc.visits"))
    def visits(
        context: typer.Context,
        only_open: Annotated[bool, typer.Option("--open", help=t("qc.visits.open"))] = False,
        with_findings: Annotated[bool, typer.Option("--with-findings", help=t("qc.visits.findings"))] = False,
        rebuild: Annotated[bool, typer.Option("--rebuild", help=t("qc.visits.rebuild"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if only_open and with_findings:
            raise typer.BadParameter("--open | --with-findings")
        if rebuild:
            with _settings(context).asking("visits_rebuild") as ask:
                told = ask("visits_rebuild", who=this_user())
            feeds = ", ".join(told["feeds"])
            if json:
                output.as_json(told)
            elif told["read"]:
                output.say(t("said.visits.rebuilt", feeds=feeds))
            else:
                output.say(t("said.visits.rebuilding", feeds=feeds))
            return
        with _settings(context).asking("visits") as ask:
            found = ask("visits", only="open" if only_open else "findings" if with_findings else "") or iter(())
            if json:
                output.as_json(iter(found))
                return
            output.table(
                t,
                ("visit", "documents", "due", "judged", "findings"),
                [
                    (
                        one["name"],
                        " ".join(
                            kind if state == "made" else f"{kind}({state})" for kind, state, _ in one["documents"]
                        ),
                        one["due_at"],
                        one["judged_at"],
                        "\n".join(finding["text"][t.language] for finding in one["findings"]),
                    )
                    for one in found
                ],
            )


def _write(path: Path, lines: Iterable[str]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
    except OSError as error:
        raise FrontendAgentError(f"{path}: {error.strerror}") from None


def _add_verify(group: typer.Typer, t: Texts) -> None:
    @group.command("verify", help=t("qc.verify"))
    def verify(
        context: typer.Context,
        file: Annotated[Path | None, typer.Argument(help=t("qc.file"))] = None,
        key: Annotated[Path | None, typer.Option(help=t("qc.key"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings = _settings(context)
        if file is None:
            with settings.asking("qc_verify") as ask:
                verdict = ask("qc_verify")
        else:
            verdict = _verified(file, _keys(settings, key, t))
        if json:
            output.as_json(verdict)
        else:
            _show_verdict(t, verdict)
        raise typer.Exit(0 if verdict["ok"] else 1)


def _add_verifier(group: typer.Typer, t: Texts) -> None:
    @group.command("verifier", help=t("qc.verifier"))
    def verifier(out: Annotated[Path | None, typer.Option("--out", "-o", help=t("qc.output"))] = None) -> None:
        text = resources.files("frontend_agent").joinpath("qc_verifier.py").read_text(encoding="utf-8")
        if out is None:
            sys.stdout.write(text)
        else:
            _write(out, [text])


def _verified(file: Path, keys: list[bytes]) -> dict[str, Any]:
    from frontend_agent import qclog
    from frontend_agent.operations import told_verdict
    from frontend_agent.proving import genuine_by

    def lines() -> Iterable[bytes]:
        with file.open("rb") as exported:
            yield from exported

    try:
        return told_verdict(qclog.verify_export(lines, genuine_by(keys)))
    except FileNotFoundError:
        raise FrontendAgentError(f"{file}: no such file") from None
    except OSError as error:
        raise FrontendAgentError(f"{file}: {error.strerror}") from None
    except qclog.NotALog as error:
        raise FrontendAgentError(f"{file}: {error}") from None


def _keys(settings: Settings, key: Path | None, t: Texts) -> list[bytes]:
    """The key that was named, or those that the state here has pinned."""
    if key is None:
        with suppress(FrontendAgentError), settings.asking("public_keys") as ask:
            return [bytes.fromhex(pinned) for pinned in ask("public_keys")]
        raise ConfigurationError(t("said.no_key"))
    from frontend_agent.wire.receipts import public_key_of

    try:
        raw = public_key_of(key.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{key}: {error.strerror}") from None
    if not raw:
        raise ConfigurationError(f"{key}: not a public key of a platform (PEM, Ed25519)")
    return [raw]


def _show_verdict(t: Texts, verdict: dict[str, Any]) -> None:
    if verdict["ok"]:
        output.say(
            t("said.proven", entries=verdict["entries"], proven=verdict["proven"], rest=verdict["not_yet_proven"])
        )
    else:
        output.say(t("said.tampered", first=verdict["first_bad"], reason=verdict["reason"], proven=verdict["proven"]))
    if verdict["ok"] and verdict["first"] > 1:
        output.say(t("said.begins", first=verdict["first"]))
    if verdict["incomplete"]:
        output.say(t("said.incomplete"))
    if verdict["forged_heads"]:
        output.say(t("said.forged", heads=", ".join(map(str, verdict["forged_heads"]))))


def _entry(entry: dict[str, Any]) -> tuple[Any, ...]:
    told = {name: value for name, value in entry.items() if name not in ("seq", "prev", "hash", "at", "event")}
    return entry["seq"], entry.get("at"), entry.get("event"), "  ".join(f"{k}={_short(v)}" for k, v in told.items())


def _short(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"[{len(value)}]"
    return str(value)


def _add_tracing(cli: typer.Typer, t: Texts) -> None:
    @cli.command(help=t("trace"))
    def trace(
        context: typer.Context,
        document: Annotated[str | None, typer.Argument(help=t("trace.document"))] = None,
        of_key: Annotated[str | None, typer.Argument(metavar="[KEY]", help=t("trace.of_key"))] = None,
        feed: Annotated[str | None, typer.Option(help=t("preview.feed"))] = None,
        key: Annotated[str | None, typer.Option(help=t("preview.key"))] = None,
        element: Annotated[str | None, typer.Option(help=t("trace.element"))] = None,
        show: Annotated[bool, typer.Option("--show", help=t("trace.show"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        by_key = feed is not None and key is not None
        if by_key == (document is not None):
            raise typer.BadParameter("DOCUMENT | KIND KEY | --feed FEED --key KEY")
        named, wanted = (feed, key) if by_key else (document, of_key)
        with _settings(context).asking("trace") as ask:
            if element is not None:
                told = ask("trace_element", document=named, key=wanted, element=element, show=show)
            else:
                told = ask("trace", document=named, key=wanted)
        if json:
            output.as_json(told)
        elif element is not None:
            _show_element(t, told)
        elif "images" in told:
            _show_study(t, told["images"])
        else:
            _show_trace(t, told)


def _show_study(t: Texts, told: dict[str, Any]) -> None:
    """A study, and what the log says of it, the newest first."""
    show_study(t, told)
    apart = ("seq", "at", "event", "study")
    output.table(
        t,
        ("seq", "time", "event", "details"),
        [
            (
                str(one["seq"]),
                output.local_time(one["at"]),
                one["event"],
                ", ".join(f"{name}={value}" for name, value in one.items() if name not in apart),
            )
            for one in told["log"]
        ],
    )


def _show_trace(t: Texts, told: dict[str, Any]) -> None:
    apart = ("findings", "deliveries", "withheld", "versions", "rows", "digests", "messages")
    facts = {name: value for name, value in told.items() if name not in apart}
    output.table(
        t, ("field", "value"), [(name, str(value)) for name, value in facts.items() if value not in ("", None)]
    )
    if told["rows"] and told["rows"]["queries"]:
        _show_queries(t, told["rows"]["queries"])
    if told["messages"]:
        show_messages(t, told["messages"])
    _show_versions(t, told["versions"])
    output.findings(t, told["findings"])
    if told["withheld"]:
        output.table(t, withheld.HEADINGS, [withheld.row(kept) for kept in told["withheld"]])
    output.table(
        t,
        ("destination", "state", "outcome", "time", "reply", "reasons", "waits_for"),
        [
            (
                one["destination"],
                one["state"],
                one["outcome"],
                one["settled_at"],
                f"{one['reply'][:12]}#{one['position']}" if one["reply"] else None,
                output.reasons(t, one["reasons"]),
                ", ".join(needed["registration"] for needed in one["waits_for"]),
            )
            for one in told["deliveries"]
        ],
    )


def _show_queries(t: Texts, queries: list[dict[str, Any]]) -> None:
    output.table(
        t,
        ("query", "source", "file", "digest"),
        [(one["query"], one["source"], one["file"], one["sha256"][:16]) for one in queries],
    )


def _show_versions(t: Texts, versions: list[dict[str, Any]]) -> None:
    same = {True: t("said.same_now"), False: t("said.changed_since"), None: t("said.feed_gone")}
    output.table(t, ("part", "digest", "today"), [(one["part"], one["digest"], same[one["same"]]) for one in versions])


def _show_element(t: Texts, told: dict[str, Any]) -> None:
    """One element: what it says, where that came from, and by which code map entry."""
    output.say(f"{told['document_id']} · {told['name'][t.language]} ({told['field']}, {told['element']})")
    if told["values"] is None:
        output.say(t("said.value_gone"))
    else:
        output.table(t, ("field", "value"), [(one["at"], one["value"]) for one in told["values"]])
    origin = told["from"]
    if origin["query"]:
        _show_queries(t, [origin])
    facts = [("column", origin["column"]), ("alias", origin["alias"]), ("parse", origin["parse"])]
    output.table(t, ("what", "value"), [(t(f"head.{name}"), value) for name, value in facts if value])
    code_map = told["code_map"]
    if code_map is not None:
        output.say(t("said.code_map", map=code_map["map"], file=code_map["file"], value_set=code_map["value_set"]))
        output.table(
            t,
            ("local", "name", "standard", "decided"),
            [(one["local"], one["local_name"], one["standard"], one["decided"]) for one in code_map["entries"]],
        )
    output.findings(t, told["findings"])
    _show_versions(t, told["versions"])


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
