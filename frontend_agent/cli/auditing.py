"""`program audit`: what a program is made of, held against advisories that somebody carried here."""

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError

if TYPE_CHECKING:
    from frontend_agent.advisories import Advisory, Part, Told

LARGEST = 4 << 20  # bytes of one advisory; they have some thousands


def add_to(group: typer.Typer, t: Texts) -> None:
    """Register the command in the group `program`."""

    @group.command(help=t("program.audit"))
    def audit(
        advisories: Annotated[Path, typer.Option(help=t("audit.advisories"))],
        bill: Annotated[Path | None, typer.Option(help=t("audit.bill"))] = None,
        exceptions: Annotated[Path | None, typer.Option("--except", help=t("audit.except"))] = None,
        most_days: Annotated[int, typer.Option("--most-days", help=t("audit.most_days"), min=0)] = 0,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        told = audited(advisories, bill, exceptions)
        days = age(told)
        if json:
            output.as_json(plain(told))
        else:
            _say(t, told, days)
        is_old = bool(most_days) and days > most_days
        if is_old and not json:
            output.say(t("said.audit.too_old", days=days, most=most_days))
        if told.weaknesses or is_old:
            raise typer.Exit(1)


def audited(advisories: Path, bill: Path | None, exceptions: Path | None) -> "Told":
    """Of the running program, or of a bill of materials or lock file that is named."""
    from frontend_agent import advisories as known

    rules = known.read_exceptions(_text(exceptions), str(exceptions)) if exceptions else ()
    return known.audited(_parts(bill), _read(advisories), rules, datetime.now(UTC).date())


def age(told: "Told") -> int:
    """Days since the newest of the advisories was last changed."""
    return max((datetime.now(UTC) - told.newest).days, 0)


def _parts(bill: Path | None) -> "list[Part]":
    import json

    from frontend_agent import program
    from frontend_agent.advisories import locked, parts_of

    if bill is None:
        return parts_of(program.bill_of_materials(program.running()))
    text = _text(bill)
    try:
        return parts_of(json.loads(text)) if text.lstrip().startswith("{") else locked(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{bill}: not JSON: {error}") from None


def _read(folder: Path) -> "Iterator[Advisory]":
    """Every .json below a folder, and in every .zip there (as OSV hands them out: all.zip of an ecosystem)."""
    from frontend_agent.advisories import NotAdvisories, read_advisory

    if not folder.is_dir():
        raise NotAdvisories(f"{folder}: no such folder; it holds advisories in OSV's format, carried here by a person")
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            yield read_advisory(path.read_bytes(), str(path))
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                for one in packed.infolist():
                    if one.filename.endswith(".json"):
                        if one.file_size > LARGEST:
                            raise NotAdvisories(f"{path}: {one.filename} has {one.file_size:,} bytes: not an advisory")
                        yield read_advisory(packed.read(one), f"{path}: {one.filename}")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None


def plain(told: "Told") -> dict[str, Any]:
    """For programs."""

    def one(weakness: Any) -> dict[str, Any]:
        return {
            "package": weakness.part.component, "version": weakness.part.version, "ecosystem": weakness.part.ecosystem,
            "advisory": weakness.advisory, "aliases": list(weakness.aliases), "fixed": weakness.fixed,
            "summary": weakness.summary,
        }  # fmt: skip

    return {
        "parts": told.parts,
        "advisories": told.advisories,
        "newest": told.newest.isoformat(),
        "weaknesses": [one(weakness) for weakness in told.weaknesses],
        "excepted": [{**one(weakness), "reason": why, "until": str(until)} for weakness, why, until in told.excepted],
        "lapsed": list(told.lapsed),
        "unneeded": list(told.unneeded),
    }


def _say(t: Texts, told: "Told", days: int) -> None:
    output.say(
        t("said.audit.looked", parts=told.parts, advisories=told.advisories, newest=told.newest.date(), days=days)
    )
    output.table(
        t,
        ("package", "part_version", "advisory", "fixed_in", "what"),
        [(one.part.component, one.part.version, " ".join((one.advisory, *one.aliases)), one.fixed or t("said.audit.not_fixed"), one.summary) for one in told.weaknesses],
    )  # fmt: skip
    for weakness, reason, until in told.excepted:
        output.say(t("said.audit.excepted", package=weakness.part.component, advisory=weakness.advisory, until=until, reason=reason))  # fmt: skip
    for one in told.lapsed:
        output.say(t("said.audit.lapsed", rule=one))
    for one in told.unneeded:
        output.say(t("said.audit.unneeded", rule=one))
    if not told.weaknesses:
        output.say(t("said.audit.none"))
