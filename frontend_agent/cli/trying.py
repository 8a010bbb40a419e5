"""`frontend-agent try`: rows of a file through a mapping, or a past period of a feed, without keeping or sending anything."""

from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError

if TYPE_CHECKING:
    from frontend_agent.config import Config
    from frontend_agent.packs import Packs

NOT_SENT = ("held", "waiting")  # what `try --rows` ends with 1 for


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the command."""

    @cli.command("try", help=t("try"))
    def try_(
        context: typer.Context,
        what: Annotated[str, typer.Argument(help=t("try.what"))],
        rows: Annotated[list[str] | None, typer.Option("--rows", help=t("try.rows"))] = None,
        since: Annotated[str | None, typer.Option("--from", help=t("try.from"))] = None,
        to: Annotated[str | None, typer.Option("--to", help=t("try.to"))] = None,
        mapping: Annotated[str | None, typer.Option("--mapping", help=t("try.mapping"))] = None,
        profile: Annotated[str | None, typer.Option("--profile", help=t("try.profile"))] = None,
        pack: Annotated[str | None, typer.Option("--pack", help=t("try.pack"))] = None,
        xml: Annotated[bool, typer.Option("--xml", help=t("preview.xml"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if bool(rows) == (since is not None):
            raise typer.BadParameter(t("said.try_which"))
        if rows:
            _try_rows(context, t, what, rows, profile or "regional", pack, xml, json)
        else:
            _try_period(context, t, what, since or "", to, mapping, profile, pack, json)


def _try_rows(
    context: typer.Context,
    t: Texts,
    mapping: str,
    rows: list[str],
    profile: str,
    pack: str | None,
    xml: bool,
    json: bool,
) -> None:
    from frontend_agent.cli.work import show_preview
    from frontend_agent.feeds import feed_of_rows
    from frontend_agent.mending.previewing import previewed
    from frontend_agent.mending.rehearsing import rows_from

    settings: Settings = context.obj[0]
    config = settings.config() if settings.config_path.exists() else None
    packs = _packs(settings, config, pack)
    feed = feed_of_rows(config, mapping, profile, lambda: datetime.now().astimezone().date(), packs)
    source_rows = rows_from(feed.mapping, _files(rows))
    now = datetime.now(UTC)
    told = [previewed(feed, record, None, now)[0] for record in feed.plan.normalise(source_rows)]
    if json:
        output.as_json(told)
    else:
        for record in told:
            if not xml:
                output.say(f"{t('head.key')} {record['key']}")
            show_preview(t, record, xml)
    raise typer.Exit(int(not told or any(one["would"] in NOT_SENT for one in told)))


def _packs(settings: Settings, config: "Config | None", pack: str | None) -> "Packs":
    """What judges: the pack that is named, else the one in force here."""
    from frontend_agent.app import pack_named, packs_in
    from frontend_agent.feeds import NO_PACKS
    from frontend_agent.packs import Packs

    if config is None:
        if pack not in (None, "national"):
            raise ConfigurationError(
                f"{settings.config_path}: is not there; [[packs.trust]] in it says who may sign packs"
            )
        return NO_PACKS
    state = settings.state(config)
    return packs_in(state, config) if pack is None else Packs(pack_named(state, config, pack))


def _files(rows: Iterable[str]) -> dict[str, tuple[str, str]]:
    """`parent.csv` is the parent's; `items=items.csv` those of the detail query `items`."""
    texts: dict[str, tuple[str, str]] = {}
    for given in rows:
        query, equals, file = given.partition("=")
        query, file = (query, file) if equals else ("parent", given)
        try:
            texts[query] = file, Path(file).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise ConfigurationError(f"{file}: not UTF-8 text; save it as UTF-8") from None
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}") from None
    return texts


def _try_period(
    context: typer.Context, t: Texts, feed: str, since: str, to: str | None, mapping: str | None, profile: str | None,
    pack: str | None, json: bool,
) -> None:  # fmt: skip
    settings: Settings = context.obj[0]
    low = _moment(t, since, "--from", timedelta())
    high = _moment(t, to, "--to", timedelta(days=1)) if to else datetime.now() + timedelta(days=1)
    if low >= high:
        until = to or t("try.now")
        raise typer.BadParameter(f"--from {since} > --to {until}")
    with settings.asking("rehearse") as ask:
        rows = ask(
            "rehearse", feed=feed, low=low.isoformat(), high=high.isoformat(), mapping=_here(mapping), profile=_here(profile),
            pack=_here(pack),
        )  # fmt: skip
        told = _followed(t, rows, show=not json)
    if json:
        output.as_json(told)
    else:
        _show(t, told)


def _moment(t: Texts, text: str, option: str, beyond: timedelta) -> datetime:
    """A day, or a day and a time, local. As the end of a period a day is meant with all of its hours."""
    try:
        return datetime.fromisoformat(text) + (beyond if len(text) <= len("2026-09-30") else timedelta())
    except ValueError:
        raise typer.BadParameter(t("said.not_a_day", text=text), param_hint=option) from None


def _here(file: str | None) -> str | None:
    """A site's file is meant from this folder, wherever the daemon was started."""
    return str(Path(file).resolve()) if file and file.endswith((".toml", ".pack")) else file


def _followed(t: Texts, rows: Iterable[dict[str, Any]], show: bool) -> dict[str, Any]:
    """Say how far it is, on a terminal; the result."""
    out = output.console()
    result: dict[str, Any] = {}
    with out.status(t("said.rehearsing", read=0)) if show and out.is_terminal else nullcontext() as status:
        for row in rows:
            result = row.get("result", result)
            if status is not None and "read" in row:
                status.update(t("said.rehearsing", read=row["read"]))
    return result


def _show(t: Texts, told: dict[str, Any]) -> None:
    counts = told["counts"]
    output.say(t("said.rehearsed", read=told["read"], since=told["from"], to=told["to"], mapping=told["mapping"]))
    output.table(t, ("what", "number"), [(t(f"head.would_{name}"), n) for name, n in counts.items() if n])
    if told["elements"]:
        output.say(t("said.differ", documents=told["documents_differ"]))
        output.table(
            t,
            ("field", "name", "element", "changed", "added", "removed", "example"),
            [
                (
                    one["field"], one["name"][t.language], one["element"], one["changed"], one["added"], one["removed"],
                    one["example"],
                )
                for one in told["elements"]
            ],
        )  # fmt: skip
    if told["causes"]:
        output.say(t("said.would_hold"))
        output.table(
            t,
            ("number", "rule", "text", "field", "column", "who", "example"),
            [
                (
                    one["count"], one["rule"], f"{one['title'][t.language]} {one.get('value', '')}".strip(),
                    one.get("field"), one.get("column"), one["who"][t.language], one["example"],
                )
                for one in told["causes"]
            ],
        )  # fmt: skip
    if told["not_compared"]:
        output.say(t("said.not_comparable", documents=told["not_compared"]))
