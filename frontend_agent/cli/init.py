"""`frontend-agent init`: a commented example, or a mapping proposed from a system's schema and tried on its rows."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, FrontendAgentError, StateError

if TYPE_CHECKING:
    from frontend_agent.config import Config, SourceConfig
    from frontend_agent.formats.kind import Kind
    from frontend_agent.introducing import Look, Tried
    from frontend_agent.proposing.doubts import Join, Met
    from frontend_agent.proposing.proposal import Answer, Proposal
    from frontend_agent.proposing.writing import Written

USUAL = ("C0002", "C0004", "C0007")
SURE = 0.8  # a person on a terminal is not asked about what is surer
ENOUGH_FOR_USUAL = 0.35  # of the fields that a kind needs: a kind nobody asked for is left out below this


class _Wanted:
    """The options of one call."""

    def __init__(self, t: Texts, settings: Settings, **given: Any) -> None:
        self.t, self.settings = t, settings
        self.source: str = given["source"] or ""
        self.odbc: str = given["odbc"] or ""
        self.secret: str = given["secret"] or ""
        self.name: str = given["name"]
        self.kinds: list[str] = given["kind"] or []
        self.into: Path = given["into"] or settings.config_path.parent / "mappings" / self.name
        self.profile: str = given["profile"]
        self.yes, self.add, self.json, self.document = (given[n] for n in ("yes", "add", "json", "document"))
        self.institution = given["institution"] or "000000000"
        self.institution_name = given["institution_name"] or "示例医院"
        self.tables = dict(_pair(t, text, "C0004=mz_cf") for text in given["table"] or [])
        self.choices = dict(_pair(t, text, "C0004:amount=mz_cf.zje") for text in given["choose"] or [])

    @property
    def asks(self) -> bool:
        return not (self.yes or self.json) and sys.stdin.isatty() and sys.stdout.isatty()


def _pair(t: Texts, text: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(t("said.init.equals", given=text, example=example))
    return name.strip(), value.strip()


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the command."""

    @cli.command("init", help=t("init"))
    def init(
        context: typer.Context,
        source: Annotated[str | None, typer.Option("--source", help=t("init.source"))] = None,
        odbc: Annotated[str | None, typer.Option("--odbc", help=t("init.odbc"))] = None,
        secret: Annotated[str | None, typer.Option("--secret", help=t("init.secret"))] = None,
        kind: Annotated[list[str] | None, typer.Option("--kind", help=t("init.kind"))] = None,
        name: Annotated[str, typer.Option("--name", help=t("init.name"))] = "his",
        into: Annotated[Path | None, typer.Option("--into", help=t("init.into"))] = None,
        table: Annotated[list[str] | None, typer.Option("--table", help=t("init.table"))] = None,
        choose: Annotated[list[str] | None, typer.Option("--choose", help=t("init.choose"))] = None,
        profile: Annotated[str, typer.Option("--profile", help=t("init.profile"))] = "regional",
        institution: Annotated[str | None, typer.Option("--institution", help=t("init.institution"))] = None,
        institution_name: Annotated[
            str | None, typer.Option("--institution-name", help=t("init.institution_name"))
        ] = None,
        add: Annotated[bool, typer.Option("--add", help=t("init.add"))] = False,
        yes: Annotated[bool, typer.Option("--yes", help=t("init.yes"))] = False,
        document: Annotated[bool, typer.Option("--document", help=t("init.document"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings: Settings = context.obj[0]
        if source and odbc:
            raise typer.BadParameter(t("said.init.one_of"))
        if not source and not odbc:
            if kind or table or choose or secret or add or into:
                raise typer.BadParameter(t("said.init.needs_source"))
            _write_example(t, settings.config_path)
            return
        given = {
            "source": source, "odbc": odbc, "secret": secret, "kind": kind, "name": name, "into": into, "table": table,
            "choose": choose, "profile": profile, "institution": institution, "institution_name": institution_name,
            "add": add, "yes": yes, "document": document, "json": json,
        }  # fmt: skip
        _introduce(_Wanted(t, settings, **given))


def _write_example(t: Texts, path: Path) -> None:
    from frontend_agent.cli.work import example

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example())
    except FileExistsError:
        raise StateError(t("said.exists", path=path)) from None
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from None
    output.say(t("said.written", path=path))


# -- from a system ------------------------------------------------------------------------------------------------------


def _introduce(wanted: _Wanted) -> None:
    from frontend_agent.cli.visiting import visiting
    from frontend_agent.introducing import look_at, met, proposals
    from frontend_agent.proposing.doubts import doubted
    from frontend_agent.proposing.writing import write

    t, config = wanted.t, _config(wanted)
    kinds = _kinds(wanted)
    _refuse_to_overwrite(wanted, kinds)
    if wanted.settings.config_path.exists():
        wanted.settings.say("look_at_system", source=wanted.name, kinds=sorted(kinds), document=wanted.document)
    with visiting(wanted.settings, config) as opened, closing(opened(config, [wanted.name])[wanted.name]) as source:
        with _progress(wanted) as tell:
            started = time.monotonic()
            look = look_at(source, list(kinds.values()), tell, wanted.tables.values())
            for table in wanted.tables.values():
                if table not in look.schema:
                    raise ConfigurationError(t("said.init.no_table", table=table))
            made = proposals(look, kinds.values(), wanted.tables)
        told = _told_look(wanted, look, time.monotonic() - started)
        made = {code: one for code, one in made.items() if _is_worth_it(wanted, one)}
        results: list[dict[str, Any]] = []
        written: dict[str, Written] = {}
        joins: dict[str, dict[Join, Met]] = {}
        for code, kind in kinds.items():
            if code not in made:
                if not wanted.json:
                    output.say(t("said.init.nothing", kind=code, name=kind.name_zh))
                continue
            proposal = _chosen(wanted, kind, made[code])
            joins[code] = met(look, source, proposal)
            proposal = doubted(proposal, joins[code], kind.key)
            made[code] = proposal
            _show_proposal(wanted, kind, proposal)
            _show_joins(wanted, joins[code])
            written[code] = write(proposal, kind, look.schema, look.profiles, look.family)
        files = _write_files(wanted, written)
        for code, one in written.items():
            tried = _try(wanted, config, look, made[code], one, source)
            _show_tried(wanted, kinds[code], one, tried)
            results.append({**_result(kinds[code], made[code], one, tried), "joins": _told_joins(joins[code])})
    files += _write_config(wanted, written)
    if wanted.json:
        output.as_json({**told, "files": [str(path) for path in files], "kinds": results})
    elif written:
        output.say(t("said.init.next"))
    if not written:
        raise typer.Exit(1)


def _config(wanted: _Wanted) -> "Config":
    """The configuration as it is, or the usual one, with the system in it."""
    from dataclasses import replace

    from frontend_agent.config import Config, InstitutionConfig, SourceConfig
    from frontend_agent.config_outlets import DestinationConfig

    system = SourceConfig(url=_absolute(wanted.source), odbc=wanted.odbc, secret=wanted.secret)
    if wanted.settings.config_path.exists():
        config = wanted.settings.config()
        known = _known(config, system)
        if known:  # its terms hold for us as well: protected windows, rates, time-outs
            system = replace(config.sources[known], url=system.url, odbc=system.odbc, secret=system.secret)
        return replace(config, sources={**config.sources, wanted.name: system})
    return Config(
        institution=InstitutionConfig(id=wanted.institution, name=wanted.institution_name),
        sources={wanted.name: system},
        destinations={"platform": DestinationConfig(url="http://127.0.0.1:8480")},
        feeds=(),
    )


def _known(config: "Config", system: "SourceConfig") -> str:
    """The name under which the agent reads this system already; empty where it does not."""
    place = _place(system.url) or system.odbc
    return next((name for name, one in config.sources.items() if (_place(one.url) or one.odbc) == place), "")


def _place(url: str) -> str:
    """Server and database, whoever logs in."""
    head, mark, rest = url.partition("://")
    return f"{head}{mark}{rest.rpartition('@')[2].partition('?')[0]}"


def _absolute(url: str) -> str:
    head = "sqlite:///"
    return head + str(Path(url.removeprefix(head)).resolve()) if url.startswith(head) else url


def _kinds(wanted: _Wanted) -> "dict[str, Kind]":
    from frontend_agent.formats import load_kinds

    known = load_kinds()
    names = [name.upper() for name in wanted.kinds] or list(USUAL)
    for name in names:
        if name not in known:
            raise ConfigurationError(wanted.t("said.init.no_kind", kind=name))
    return {name: known[name] for name in names}


def _refuse_to_overwrite(wanted: _Wanted, kinds: "Mapping[str, Kind]") -> None:
    """Told before anything is asked of the hospital."""
    for kind in kinds.values():
        path = wanted.into / f"{kind.short_name}.toml"
        if path.exists():
            raise StateError(wanted.t("said.init.exists", path=path))


@contextmanager
def _progress(wanted: _Wanted) -> "Iterator[Any]":
    out = output.console()
    if wanted.json or not out.is_terminal:
        yield lambda _: None
        return
    said = wanted.t("said.init.looking")
    with out.status(said) as status:
        yield lambda name: status.update(f"{said} {name}")


def _told_look(wanted: _Wanted, look: "Look", seconds: float) -> dict[str, Any]:
    told = {
        "tables": len(look.schema),
        "sampled": len(look.sampled),
        "statements": look.statements,
        "seconds": round(seconds, 2),
    }
    if not wanted.json:
        output.say(wanted.t("said.init.looked", **{**told, "seconds": seconds}))
        for table, why in look.passed_over.items():
            output.say(wanted.t("said.init.passed_over", table=table, why=why))
    return {"source": wanted.name, **told, "passed_over": dict(look.passed_over)}


def _is_worth_it(wanted: _Wanted, proposal: "Proposal") -> bool:
    """A kind that was asked for always; one of the usual ones if enough of it seems to be there."""
    needed = [answer for answer in proposal.answers if answer.required]
    found = [answer for answer in needed if answer.pick is not None]
    return bool(wanted.kinds) or len(found) >= ENOUGH_FOR_USUAL * len(needed)


# -- choosing


def _chosen(wanted: _Wanted, kind: "Kind", proposal: "Proposal") -> "Proposal":
    """The proposal after --choose, and after what a person says on a terminal."""
    import msgspec

    answers = []
    for answer in proposal.answers:
        choice = wanted.choices.get(f"{kind.code}:{answer.field}")
        if choice is not None:
            answer = _picked(wanted, answer, choice)
        elif wanted.asks and answer.pick is not None and answer.pick.score < SURE:
            answer = _asked(wanted, kind, answer)
        answers.append(answer)
    return msgspec.structs.replace(proposal, answers=tuple(answers))


def _picked(wanted: _Wanted, answer: "Answer", choice: str) -> "Answer":
    import msgspec

    picks = [pick for pick in (answer.pick, *answer.others) if pick is not None]
    if not choice:
        return msgspec.structs.replace(answer, pick=None, others=tuple(picks), chosen=True)
    for pick in picks:
        if choice in (pick.name, pick.full_name):
            rest = tuple(other for other in picks if other is not pick)
            return msgspec.structs.replace(answer, pick=pick, others=rest, chosen=True)
    known = ", ".join(pick.full_name for pick in picks) or "–"
    raise ConfigurationError(wanted.t("said.init.no_choice", field=answer.field, column=choice, known=known))


def _asked(wanted: _Wanted, kind: "Kind", answer: "Answer") -> "Answer":
    picks = [pick for pick in (answer.pick, *answer.others) if pick is not None]
    for number, pick in enumerate(picks, 1):
        output.say(f"  {number}  {pick.full_name}  {pick.score:.2f}  {'; '.join(pick.why)}")
    first = picks[0]
    name = kind.field(answer.field).name_zh if wanted.t.language == "zh" else kind.field(answer.field).name_en
    said = wanted.t("said.init.ask", field=answer.field, name=name, column=first.full_name, score=first.score)
    number = -1
    while number not in range(len(picks) + 1):
        number = typer.prompt(said, default=1, type=int)
    return _picked(wanted, answer, picks[number - 1].full_name if number else "")


# -- showing


def _show_proposal(wanted: _Wanted, kind: "Kind", proposal: "Proposal") -> None:
    if wanted.json:
        return
    t = wanted.t
    gaps = sum(answer.required and answer.pick is None for answer in proposal.answers)
    counts = {"found": len(proposal.found), "all": len(proposal.answers), "gaps": gaps}
    said = {"kind": kind.code, "name": kind.name_zh, "table": proposal.anchor.id, **counts}
    output.say("")
    output.say(t("said.init.lines", **said) if proposal.lines else t("said.init.anchor", **said))
    for group, rows in proposal.groups.items():
        output.say("  " + t("said.init.group", group=group, table=rows.table.id))
    rows_ = [
        (
            answer.field + ("*" if answer.required else ""),
            kind.field(answer.field).name_zh if t.language == "zh" else kind.field(answer.field).name_en,
            answer.pick.full_name if answer.pick else Text("–", "yellow" if answer.required else "dim"),
            Text(f"{answer.pick.score:.2f}", "yellow" if answer.doubt else "") if answer.pick else None,
            "; ".join(answer.pick.why) if answer.pick else _nearest(answer),
        )
        for answer in proposal.answers
    ]
    output.table(t, ("field", "called", "column", "score", "why"), rows_)
    doubts = [answer for answer in proposal.answers if answer.doubt]
    if doubts:
        output.say(t("said.init.doubtful", kind=kind.code, count=len(doubts)))
    for answer in doubts:
        if answer.pick is not None:
            output.say(f"  {answer.field}  {answer.pick.full_name}  {answer.doubt}")


def _show_joins(wanted: _Wanted, met: "Mapping[Join, Met]") -> None:
    if wanted.json or not met:
        return
    output.say(wanted.t("said.init.joins"))
    rows = [
        (
            join.hop.table,
            f"{join.before}.{join.hop.column if join.hop.way == 'up' else join.hop.target}",
            "↑" if join.hop.way == "up" else "↓",
            f"{seen.one}/{seen.asked}",
            seen.several or None,
        )
        for join, seen in met.items()
    ]
    output.table(wanted.t, ("joined", "column", "way", "one", "several"), rows)


def _told_joins(met: "Mapping[Join, Met]") -> list[dict[str, Any]]:
    return [
        {
            "table": join.hop.table, "from": join.before, "column": join.hop.column, "way": join.hop.way,
            "asked": seen.asked, "one": seen.one, "several": seen.several,
        }
        for join, seen in met.items()
    ]  # fmt: skip


def _nearest(answer: "Answer") -> str:
    return "; ".join(f"{pick.full_name} {pick.score:.2f}" for pick in answer.others[:2])


def _show_tried(wanted: _Wanted, kind: "Kind", written: "Written", tried: "Tried") -> None:
    if wanted.json:
        return
    from frontend_agent.cli.work import show_preview
    from frontend_agent.introducing import holding

    t = wanted.t
    _say_remarks(t, written)
    if tried.problem:
        output.say(t("said.init.failed", kind=kind.code, problem=tried.problem))
        return
    if tried.preview is None:
        output.say(t("said.init.no_records", kind=kind.code))
        return
    output.say(t("said.init.complete", kind=kind.code, records=tried.records))
    shares = [
        (field.name, field.de or None, f"{tried.completeness.get(field.name, 0) / tried.records:.0%}")
        for field in kind.fields
        if not field.name.startswith("institution.")
    ]
    output.table(t, ("field", "element", "complete"), shares)
    found = tried.preview["findings"]
    output.say(t("said.init.first", kind=kind.code, findings=len(found), holding=holding(tried.preview)))
    if wanted.document or output.console().is_terminal:
        show_preview(t, dict(tried.preview), xml=False)
    else:
        output.findings(t, [{**finding, "value": ""} for finding in found])
        output.say(t("said.init.hidden"))


def _say_remarks(t: Texts, written: "Written") -> None:
    for remark in written.remarks:
        match remark:
            case "no_final":
                output.say(t("said.init.no_final"))
            case "no_cursor":
                output.say(t("said.init.no_cursor"))
            case "no_key":
                output.say(t("said.init.no_key"))
    if "final" in written.arguments:
        output.say(t("said.init.final", what=written.arguments["final"]))
    if "void" in written.arguments:
        output.say(t("said.init.void", what=written.arguments["void"]))
    if written.unmapped:
        output.say(t("said.init.codes", fields=", ".join(written.unmapped)))


def _result(kind: "Kind", proposal: "Proposal", written: "Written", tried: "Tried") -> dict[str, Any]:
    """One kind for a program: no value of any row is in it."""
    from frontend_agent.introducing import holding

    preview = tried.preview
    return {
        "kind": kind.code,
        "name": kind.name_zh,
        "table": proposal.anchor.id,
        "lines": proposal.lines,
        "groups": {group: rows.table.id for group, rows in proposal.groups.items()},
        "fields": [
            {
                "field": answer.field,
                "name": kind.field(answer.field).name_zh,
                "data_element": kind.field(answer.field).de,
                "required": answer.required,
                "column": answer.pick.full_name if answer.pick else None,
                "score": round(answer.pick.score, 2) if answer.pick else None,
                "doubt": answer.doubt,
                "why": list(answer.pick.why) if answer.pick else [],
                "others": [{"column": pick.full_name, "score": round(pick.score, 2)} for pick in answer.others],
                "complete": tried.completeness.get(answer.field, 0) / tried.records if tried.records else None,
            }
            for answer in proposal.answers
        ],
        "gaps": [{"field": field, "required": needed, "nearest": near} for field, needed, near in written.gaps],
        "remarks": list(written.remarks),
        "states": dict(written.arguments),
        "unmapped": list(written.unmapped),
        "records": tried.records,
        "problem": tried.problem,
        "first_document": None
        if preview is None
        else {
            "rendered": bool(preview["document"]),
            "would": preview["would"],
            "holding": holding(preview),
            "findings": [
                {name: finding.get(name, "") for name in ("rule", "severity", "field", "column")}
                for finding in preview["findings"]
            ],
            "problem": preview["problem"],
        },
    }


# -- writing


def _write_files(wanted: _Wanted, written: "Mapping[str, Written]") -> list[Path]:
    """Every file anew; a code map that several kinds share is written once."""
    paths: list[Path] = []
    contents: dict[Path, str] = {}
    for one in written.values():
        for name, text in one.files.items():
            contents.setdefault(wanted.into / name, text)
    for path, text in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise StateError(wanted.t("said.init.exists", path=path)) from None
        except OSError as error:
            raise StateError(f"{path}: {error.strerror}") from None
        paths.append(path)
        if not wanted.json:
            output.say(wanted.t("said.init.written", path=path))
    return paths


def _try(
    wanted: _Wanted, config: "Config", look: "Look", proposal: "Proposal", written: "Written", source: Any
) -> "Tried":
    from frontend_agent.introducing import feed_for, keys_of, tried
    from frontend_agent.mapping import load_mapping

    path = wanted.into / f"{written.name}.toml"
    load_mapping(str(path), config.institution.id)
    feed = feed_for(f"{wanted.name}_{written.name}", wanted.name, path, wanted.profile, timedelta(minutes=10))
    return tried(config, feed, source, keys_of(look, proposal, written.key_column))


def _write_config(wanted: _Wanted, written: "Mapping[str, Written]") -> list[Path]:
    """agent.toml where there is none; where there is one, what to paste, or (--add) appended after it was shown."""
    if not written:
        return []
    t, path = wanted.t, wanted.settings.config_path
    tables = _tables(wanted, written)
    if not path.exists():
        _put(path, _head(wanted) + tables, "x")
        if not wanted.json:
            output.say(t("said.init.written", path=path))
        return [path]
    if not wanted.json:
        output.say(t("said.init.added", path=path) if wanted.add else t("said.init.paste", path=path))
        output.say(tables)
    if not wanted.add:
        return []
    before = path.read_text(encoding="utf-8")
    _put(path, "\n" + tables, "a")
    try:
        wanted.settings.config()
    except FrontendAgentError:
        _put(path, before, "w")  # as it was: a name that is there already, for example
        raise
    return [path]


def _put(path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from None


def _head(wanted: _Wanted) -> str:
    from frontend_agent.proposing.writing import quoted

    return (
        "# Written by `frontend-agent init`. 由 frontend-agent init 生成。\n"
        f"[institution]\nid = {quoted(wanted.institution)} # 医疗机构代码\nname = {quoted(wanted.institution_name)}\n\n"
        '[destinations.platform]\ntype = "platform"\nurl = "http://127.0.0.1:8480" # 区域平台地址\n\n'
    )


def _tables(wanted: _Wanted, written: "Mapping[str, Written]") -> str:
    from frontend_agent.proposing.writing import quoted

    where = f"url = {quoted(_absolute(wanted.source))}" if wanted.source else f"odbc = {quoted(wanted.odbc)}"
    text = f"[sources.{_bare_key(wanted.name)}]\n{where}\n"
    if wanted.secret:
        text += f"secret = {quoted(wanted.secret)}\n"
    for one in written.values():
        mapping = str((wanted.into / f"{one.name}.toml").resolve())
        text += (
            f"\n[[feeds]]\nname = {quoted(f'{wanted.name}_{one.name}')}\nsource = {quoted(wanted.name)}\n"
            f"mapping = {quoted(mapping)}\nprofile = {quoted(wanted.profile)}\n"
        )
    return text


def _bare_key(name: str) -> str:
    from frontend_agent.proposing.writing import quoted

    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else quoted(name)


__all__: Sequence[str] = ("add_to",)
