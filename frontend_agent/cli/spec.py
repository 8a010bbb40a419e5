"""`spec`: what a vendor must supply, ready to hand over; and the feed that reads exactly that."""

import io
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frontend_agent.cli import output
from frontend_agent.cli.reference import asked
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.formats import Kind
    from frontend_agent.supplying import Form

PREFIX = re.compile(r"[a-z][a-z0-9]{0,7}")
EXAMPLE_KEY = "EXAMPLE-1"


class EngineName(StrEnum):
    """What `--engine` takes."""

    oracle = "oracle"
    sqlserver = "sqlserver"
    mysql = "mysql"
    postgresql = "postgresql"
    dameng = "dameng"


class FormName(StrEnum):
    """What `--form` takes."""

    tables = "tables"
    views = "views"


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the command."""

    @cli.command(help=t("spec"))
    def spec(
        kinds: Annotated[list[str], typer.Argument(help=t("spec.kinds"), metavar="KIND…")],
        engine: Annotated[EngineName, typer.Option(help=t("spec.engine"))],
        form: Annotated[FormName, typer.Option(help=t("spec.form"))] = FormName.tables,
        prefix: Annotated[str, typer.Option(help=t("spec.prefix"))] = "fep",
        out: Annotated[Path, typer.Option(help=t("spec.out"))] = Path("spec"),
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if not PREFIX.fullmatch(prefix):
            raise typer.BadParameter(t("said.spec_prefix", prefix=prefix))
        declared = [asked(code) for code in dict.fromkeys(kinds)]
        files = specified(declared, engine.value, "views" if form is FormName.views else "tables", prefix)
        _written(out, files)
        if json:
            output.as_json({"folder": str(out), "files": sorted(files), "tested": _tested(engine.value)})
            return
        about = _about(t)
        output.table(t, ("file", "what"), [(name, about[re.split(r"[./]", name)[0]]) for name in files])
        output.say(t("spec.written", files=len(files), folder=out))
        if not _tested(engine.value):
            output.say(t("spec.untested", engine=engine.value))


def specified(kinds: "list[Kind]", engine_name: str, form: "Form", prefix: str) -> dict[str, bytes]:
    """All files of a specification by name."""
    from frontend_agent.demo.samples import sample
    from frontend_agent.supplying import (
        ENGINES,
        agent_toml,
        control_tables,
        ddl,
        filling,
        grants,
        mapping_files,
        purge,
        sheet,
        tables_of,
    )

    engine = ENGINES[engine_name]
    tables = {kind.code: tables_of(kind, prefix, form) for kind in kinds}
    control = control_tables(prefix) if form == "tables" else []
    everything = [*control, *(table for some in tables.values() for table in some)]
    examples = {kind.code: sample(kind) for kind in kinds}
    texts = {f"{form}.{engine_name}.sql": ddl(engine, everything, form)}
    if form == "tables":
        texts[f"grants.{engine_name}.sql"] = grants(engine, everything, f"{prefix}_reader")
        texts[f"purge.{engine_name}.sql"] = purge(engine, everything)
        texts[f"example.{engine_name}.sql"] = "\n".join(
            filling(engine, tables[kind.code], control, {EXAMPLE_KEY: examples[kind.code]}, number)
            for number, kind in enumerate(kinds, 1)
        )
    for kind in kinds:
        texts |= {f"mappings/{n}": text for n, text in mapping_files(kind, tables[kind.code], control, form).items()}
    texts["agent.part.toml"] = agent_toml(engine, kinds, control, form, prefix, "mappings")
    book = io.BytesIO()
    sheet(book, engine, kinds, tables, control, examples)
    return {"fields.xlsx": book.getvalue(), **{name: text.encode() for name, text in texts.items()}}


def _tested(engine: str) -> bool:
    from frontend_agent.supplying import ENGINES

    return ENGINES[engine].tested


def _about(t: Texts) -> dict[str, str]:
    """What each file is, by the first word of its name."""
    return {
        "fields": t("spec.file.fields"),
        "tables": t("spec.file.tables"),
        "views": t("spec.file.views"),
        "grants": t("spec.file.grants"),
        "purge": t("spec.file.purge"),
        "example": t("spec.file.example"),
        "mappings": t("spec.file.mappings"),
        "agent": t("spec.file.agent"),
    }


def _written(out: Path, files: dict[str, bytes]) -> None:
    if there := [name for name in files if (out / name).exists()]:
        raise FrontendAgentError(f"{out / there[0]} is there already; nothing was written")
    try:
        for name, content in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{out}: cannot be written: {error.strerror}") from None
