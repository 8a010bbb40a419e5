"""`frontend-agent terms`: which local code is which standard one: the worklist, decisions, the spreadsheet, the tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Ask, Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.terms.sheets import Line


class Unusable(FrontendAgentError):
    """Decisions that cannot be taken as they are; every problem is told, of a sheet with its cell. Nothing was changed."""


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("terms"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="terms")
    _add_worklist(group, t)
    _add_looking(group, t)
    _add_checking(group, t)
    _add_deciding(group, t)
    _add_undoing(group, t)
    _add_export(group, t)
    _add_import(group, t)


# -- looking ----------------------------------------------------------------------------------------------------------


def _add_worklist(group: typer.Typer, t: Texts) -> None:
    @group.command(help=t("terms.unmapped"))
    def unmapped(
        context: typer.Context,
        table: Annotated[str | None, typer.Option(help=t("terms.only_table"))] = None,
        everything: Annotated[bool, typer.Option("--all", help=t("terms.all"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("terms_unmapped", "terms_beyond") as ask:
            waiting = [
                one
                for one in ask("terms_unmapped", everything=everything) or ()
                if table is None or one["table"] == table
            ]
            beyond = ask("terms_beyond")
        if json:
            output.as_json(waiting)
            return
        output.table(
            t,
            ("table", "code", "name", "count", "first_seen", "proposals", "examples"),
            [
                (
                    one["table"], one["code"], one["name"], one["count"], _day(one["first_seen"]),
                    "\n".join(f"{p['code']} {p['name']} ({p['score']} {p['why']})" for p in one["proposals"]),
                    "\n".join(one["examples"]),
                )
                for one in waiting
            ],
        )  # fmt: skip
        if beyond:
            output.say(t("said.beyond", count=beyond))


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("terms.list"))
    def list_maps(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        with _settings(context).asking("terms_list") as ask:
            maps = list(ask("terms_list") or ())
        if json:
            output.as_json(maps)
            return
        output.table(
            t,
            ("table", "value_set", "version", "confidence", "codes", "approved", "unmapped", "doubts", "file"),
            [
                (
                    one["table"], f"{one['value_set_name']} {one['value_set']}".strip(), one["version"], one["confidence"],
                    one["codes"], one["approved"], one["unmapped"], one["doubts"], one["path"],
                )
                for one in maps
            ],
        )  # fmt: skip

    @group.command(help=t("terms.sets"))
    def sets(
        word: Annotated[str, typer.Argument(help=t("terms.word"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.formats import value_sets

        found = [_told_set(one) for one in value_sets() if word in f"{one.oid} {one.id} {one.name_zh}"]
        if json:
            output.as_json(found)
            return
        output.table(
            t,
            ("value_set", "table", "name", "version", "codes", "confidence"),
            [(one["oid"], one["id"], one["name"], one["version"], one["codes"], one["confidence"]) for one in found],
        )

    @group.command(help=t("terms.show"))
    def show(
        context: typer.Context,
        table: Annotated[str, typer.Argument(help=t("terms.table"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        national = _national(table)
        if national is None:
            with _settings(context).asking("terms_show") as ask:
                told = ask("terms_show", table=table)
        else:
            told = national
        if json:
            output.as_json(told)
        elif national is None:
            output.say(f"{told['table']}  {told['value_set_name']}  {told['value_set']}  {told['path']}")
            output.table(
                t,
                ("code", "name", "target", "target_name", "decided"),
                [(r["code"], r["name"], r["target"], r["target_name"], r["decided"]) for r in told["rows"]],
            )
            for doubt in told["doubts"]:
                output.say(f"{doubt['severity']} {doubt['rule']}: {doubt['text'][t.language]}")
        else:
            output.say(f"{told['id']}  {told['name']}  {told['oid']}  {told['version']}  {told['confidence']}")
            output.table(
                t,
                ("code", "name", "confidence", "from", "until", "successor", "note"),
                [tuple(r.values()) for r in told["rows"]],
            )


def _national(name: str) -> dict[str, Any] | None:
    """A national table by OID or id, or what is known of its name; None for what is no such thing."""
    from frontend_agent.formats import named, value_set

    found = value_set(name)
    if not found.name_zh and not named(name).name_zh:
        return None
    rows = [
        {
            "code": entry.code,
            "name": entry.name,
            "confidence": entry.confidence,
            "from": entry.valid_from,
            "to": entry.valid_to,
            "replaced_by": entry.replaced_by,
            "note": entry.note,
        }
        for entry in found
    ]
    return {**_told_set(found), "name": found.name_zh or named(name).name_zh, "rows": rows}


def _told_set(one: Any) -> dict[str, Any]:
    return {
        "oid": one.oid,
        "id": one.id,
        "name": one.name_zh,
        "standard": one.standard,
        "version": one.version,
        "from": one.valid_from,
        "to": one.valid_to,
        "complete": one.complete,
        "codes": len(one),
        "confidence": one.confidence,
        "note": one.note,
    }


def _add_checking(group: typer.Typer, t: Texts) -> None:
    @group.command(help=t("terms.check"))
    def check(
        context: typer.Context, json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False
    ) -> None:
        from frontend_agent.terms.checking import checked_maps

        found = checked_maps(_settings(context).config())
        if json:
            output.as_json(found)
        else:
            output.table(
                t,
                ("severity", "rule", "table", "code", "text"),
                [(one["severity"], one["rule"], one["table"], one["code"], one["text"][t.language]) for one in found],
            )
        if any(one["severity"] == "hold" for one in found):
            raise typer.Exit(1)

    @group.command(help=t("terms.history"))
    def history(
        context: typer.Context,
        table: Annotated[str | None, typer.Argument(help=t("terms.table"))] = None,
        code: Annotated[str | None, typer.Argument(help=t("terms.code"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("terms_history") as ask:
            found = list(ask("terms_history", table=table, code=code) or ())
        if json:
            output.as_json(found)
            return
        output.table(
            t,
            ("time", "table", "code", "action", "target", "by", "reason", "seq"),
            [
                (one["at"][:19], one["table"], one["code"], one["action"], one["target"], one["who"], one["reason"], one["log"])
                for one in found
            ],
        )  # fmt: skip


# -- deciding ---------------------------------------------------------------------------------------------------------


def _add_deciding(group: typer.Typer, t: Texts) -> None:
    @group.command(help=t("terms.approve"))
    def approve(
        context: typer.Context,
        table: Annotated[str, typer.Argument(help=t("terms.table"))],
        code: Annotated[str, typer.Argument(help=t("terms.code"))],
        target: Annotated[str, typer.Argument(help=t("terms.target"))],
        reason: Annotated[str, typer.Option(help=t("terms.reason"))],
        who: Annotated[str, typer.Option("--by", help=t("terms.by"), default_factory=this_user)],
        even_so: Annotated[bool, typer.Option("--even-so", help=t("terms.even_so"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        decision = {"table": table, "code": code, "target": target, "reason": reason}
        with _settings(context).asking("terms_problems", "terms_decide") as ask:
            told = _decided(ask, [decision], who, even_so, t)
        _say_decided(told, t, json)

    @group.command(help=t("terms.reject"))
    def reject(
        context: typer.Context,
        table: Annotated[str, typer.Argument(help=t("terms.table"))],
        code: Annotated[str, typer.Argument(help=t("terms.code"))],
        reason: Annotated[str, typer.Option(help=t("terms.reason"))],
        who: Annotated[str, typer.Option("--by", help=t("terms.by"), default_factory=this_user)],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        decision = {"table": table, "code": code, "target": "", "reason": reason}
        with _settings(context).asking("terms_problems", "terms_decide") as ask:
            told = _decided(ask, [decision], who, False, t)
        _say_decided(told, t, json)


def _add_undoing(group: typer.Typer, t: Texts) -> None:
    @group.command(help=t("terms.undo"))
    def undo(
        context: typer.Context,
        table: Annotated[str, typer.Argument(help=t("terms.table"))],
        code: Annotated[str, typer.Argument(help=t("terms.code"))],
        reason: Annotated[str, typer.Option(help=t("terms.reason"))],
        who: Annotated[str, typer.Option("--by", help=t("terms.by"), default_factory=this_user)],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _settings(context).asking("terms_undo") as ask:
            told = ask("terms_undo", table=table, code=code, who=who, reason=reason)
        if json:
            output.as_json(told)
        else:
            output.say(t("said.undone", table=table, code=code))


def _decided(ask: Ask, decisions: list[dict[str, str]], who: str, even_so: bool, t: Texts) -> Any:
    """Take the decisions, or say in the reader's language what keeps them from being taken."""
    problems = ask("terms_problems", decisions=decisions, who=who, even_so=even_so)
    if problems:
        raise Unusable("\n".join(problem["text"][t.language] for problem in problems))
    return ask("terms_decide", decisions=decisions, who=who, even_so=even_so)


def _say_decided(told: Mapping[str, Any], t: Texts, json: bool) -> None:
    if json:
        output.as_json(told)
    elif told["documents"] is None:
        output.say(
            t("said.decided_soon", approved=told["approved"], rejected=told["rejected"], keys=told["read_again"])
        )
    else:
        output.say(
            t(
                "said.decided",
                approved=told["approved"],
                rejected=told["rejected"],
                keys=told["read_again"],
                documents=told["documents"],
                held=told["held"],
            )
        )


# -- the spreadsheet --------------------------------------------------------------------------------------------------


def _add_export(group: typer.Typer, t: Texts) -> None:
    @group.command(help=t("terms.export"))
    def export(
        context: typer.Context,
        xlsx: Annotated[Path | None, typer.Option(help=t("terms.xlsx"))] = None,
        csv: Annotated[Path | None, typer.Option(help=t("terms.csv"))] = None,
        table: Annotated[str | None, typer.Option(help=t("terms.export_table"))] = None,
    ) -> None:
        if (xlsx is None) == (csv is None) or (table is not None and csv is None):
            raise typer.BadParameter(t("said.one_file"))
        path = xlsx or csv
        assert path is not None
        if path.exists():
            raise Unusable(t("said.exists", path=path))
        with _settings(context).asking("terms_unmapped", "terms_show", "terms_targets") as ask:
            content, count = _whole_map(ask, table) if table else _worklist(ask, as_xlsx=xlsx is not None)
        path.write_bytes(content)
        output.say(t("said.exported", path=path, rows=count))


def _worklist(ask: Ask, as_xlsx: bool) -> tuple[bytes, int]:
    from frontend_agent.terms.sheets import rows_of, to_csv, to_xlsx

    waiting = list(ask("terms_unmapped") or ())
    rows = rows_of(waiting)
    if not as_xlsx:
        return to_csv(rows), len(rows)
    known = {one["table"] for one in ask("terms_list") or ()}
    tables = [table for table in dict.fromkeys(one["table"] for one in waiting) if table in known]
    return to_xlsx(rows, {table: ask("terms_targets", table=table) for table in tables}), len(rows)


def _whole_map(ask: Ask, table: str) -> tuple[bytes, int]:
    """A map with everything that was approved, as the file to keep beside the mapping: codes/NAME.csv."""
    from frontend_agent.terms.sheets import csv_bytes

    told = ask("terms_show", table=table)
    heading = ("table", "value_set", "code", "name", "target", "target_name", "by", "at", "reason")
    rows = [
        (
            table, told["value_set"], row["code"], row["name"], row["target"], row["target_name"], row["by"], row["at"],
            row["reason"] or row["decided"],
        )
        for row in told["rows"]
    ]  # fmt: skip
    return csv_bytes(heading, rows), len(rows)


def _add_import(group: typer.Typer, t: Texts) -> None:
    @group.command("import", help=t("terms.import"))
    def import_sheet(
        context: typer.Context,
        path: Annotated[Path, typer.Argument(help=t("terms.file"))],
        who: Annotated[str, typer.Option("--by", help=t("terms.by"), default_factory=this_user)],
        even_so: Annotated[bool, typer.Option("--even-so", help=t("terms.even_so"))] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help=t("terms.dry_run"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.terms.sheets import read_lines

        try:
            content = path.read_bytes()
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror}") from None
        lines, problems = read_lines(content, is_csv=path.suffix.lower() == ".csv")
        told: list[tuple[str, str]] = [(one.cell, one.text[t.language]) for one in problems]
        decisions = [_decision(line, path) for line in lines]
        with _settings(context).asking("terms_problems", "terms_decide") as ask:
            for one in ask("terms_problems", decisions=decisions, who=who, even_so=even_so, listed=True):
                told.append((lines[one["number"]].cells.get(one["column"], ""), one["text"][t.language]))
            if told:
                raise Unusable(_all_problems(path, told, t))
            if not decisions or dry_run:
                output.say(t("said.import_checked", rows=len(decisions)))
                return
            answer = ask("terms_decide", decisions=decisions, who=who, even_so=even_so)
        _say_decided(answer, t, json)


def _decision(line: "Line", path: Path) -> dict[str, str]:
    return {
        "table": line.table,
        "code": line.code,
        "target": line.target,
        "who": line.by,
        "reason": line.reason or f"import {path.name}",
    }


def _all_problems(path: Path, told: Iterable[tuple[str, str]], t: Texts) -> str:
    lines = [f"{path.name}!{cell}: {text}" if cell else f"{path.name}: {text}" for cell, text in told]
    return "\n".join([t("said.import_problems", count=len(lines)), *lines])


def _day(moment: str) -> str:
    return moment[:10]


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found
