"""What the program knows: kinds of document."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from frontend_agent.cli import output
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.cli.session import Settings
    from frontend_agent.formats import Field, Gap, Kind
    from frontend_agent.formats.manual import Source


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("kinds"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="kinds")
    _add_kinds(group, t)


def _add_kinds(group: typer.Typer, t: Texts) -> None:
    @group.command("messages", help=t("kinds.messages"))
    def messages(json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False) -> None:
        from frontend_agent.formats.hl7v2 import declarations

        made = declarations().values()
        if json:
            output.as_json(
                [
                    {"name": one.name, "message": one.message, "title_zh": one.title_zh, "title_en": one.title_en,
                     "kinds": list(one.kinds), "fields": sorted(one.fields())}
                    for one in made
                ]
            )  # fmt: skip
            return
        titles = [one.title_zh if t.language == "zh" else one.title_en for one in made]
        output.table(
            t,
            ("message", "title", "kinds"),
            [(one.message, title, " ".join(one.kinds)) for one, title in zip(made, titles, strict=True)],
        )

    @group.command("list", help=t("kinds.list"))
    def list_kinds(json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False) -> None:
        from frontend_agent.formats import gaps, load_kinds

        kinds, unknown = load_kinds().values(), gaps().values()
        if json:
            output.as_json([*map(_kind_told, kinds), *map(_gap_told, unknown)])
            return
        made = [(kind.code, _name(kind, t), kind.standard, len(kind.fields)) for kind in kinds]
        missing = [(gap.code, _name(gap, t), f"{gap.standard} part {gap.part}", t("kinds.gap")) for gap in unknown]
        output.table(t, ("kind", "name", "standard", "fields"), [*made, *missing])

    @group.command("show", help=t("kinds.show"))
    def show(
        kind: Annotated[str, typer.Argument(help=t("kinds.kind"))],
        as_reference: Annotated[bool, typer.Option("--reference", help=t("kinds.page"))] = False,
        as_skeleton: Annotated[bool, typer.Option("--skeleton", help=t("kinds.printed"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.formats import gaps, reference, skeleton

        if gap := gaps().get(kind):
            _show_gap(gap, json, t)
            return
        declared = asked(kind)
        if as_reference:
            sys.stdout.write(reference(declared, t.language))
        elif as_skeleton:
            sys.stdout.write(skeleton(declared))
        elif json:
            output.as_json(
                {
                    **_kind_told(declared),
                    "title": declared.title,
                    "key": declared.key,
                    "fields": msgspec.to_builtins(declared.fields),
                    "sections": _sections(declared),
                }
            )
        else:
            _show_kind(declared, t)

    _add_written(group, t)


def asked(code: str) -> "Kind":
    """The kind that the command line names. No file is to blame for an unknown one: exit 1, not 78."""
    from frontend_agent.formats import load_kind

    try:
        return load_kind(code)
    except ConfigurationError as error:
        raise FrontendAgentError(str(error)) from error


def _add_written(group: typer.Typer, t: Texts) -> None:
    """The commands that write files."""

    @group.command("skeleton", help=t("kinds.skeleton"))
    def written_skeleton(
        kind: Annotated[str, typer.Argument(help=t("kinds.kind"))],
        out: Annotated[Path, typer.Option(help=t("kinds.skeleton.out"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.formats.skeleton import skeleton_files

        files = skeleton_files(asked(kind))
        if there := [name for name in files if (out / name).exists()]:
            raise FrontendAgentError(f"{out / there[0]} is there already; nothing was written")
        _written(out, files.items(), json, t)

    @group.command("reference", help=t("kinds.reference"))
    def written_reference(
        context: typer.Context,
        out: Annotated[Path, typer.Option(help=t("kinds.reference.out"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.formats import gaps, load_kinds
        from frontend_agent.formats.manual import manual

        settings = context.obj[0]
        site = _site(settings) if settings.config_path.exists() else None
        _written(out, manual(list(load_kinds().values()), list(gaps().values()), site), json, t)


def _written(out: Path, files: "Iterable[tuple[str, str]]", json: bool, t: Texts) -> None:
    """Write the files and say which."""
    names = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files:
            (out / name).write_text(text, encoding="utf-8")
            names.append(name)
    except OSError as error:
        raise ConfigurationError(f"{out}: cannot be written: {error.strerror}") from None
    if json:
        output.as_json({"folder": str(out), "files": names})
    else:
        output.say(t("kinds.written", files=len(names), folder=out))


def _site(settings: "Settings") -> "dict[tuple[str, str], list[Source]]":
    """Where the configured feeds take each element from."""
    from frontend_agent.formats import load_kind
    from frontend_agent.formats.manual import Source
    from frontend_agent.mapping import field_columns, load_mapping

    config = settings.config()
    found: dict[tuple[str, str], list[Source]] = {}
    for feed in config.feeds:
        mapping = load_mapping(feed.mapping, config.institution.id)
        if mapping.document:
            continue  # the hospital's own document passes as it is: there are no fields
        for field, column in field_columns(mapping, load_kind(mapping.kind)).items():
            found.setdefault((mapping.kind, field), []).append(Source(feed.name, mapping.name, column))
    return found


def _kind_told(kind: "Kind") -> dict[str, object]:
    marks = [field.confidence for field in kind.fields]
    return {
        "code": kind.code,
        "name": {"zh": kind.name_zh, "en": kind.name_en},
        "standard": kind.standard,
        "template_id": kind.template_id,
        "fields": len(kind.fields),
        "groups": list(kind.groups),
        "confidence": {mark: marks.count(mark) for mark in sorted(set(marks))},
        "digest": kind.digest,
        "gap": None,
    }


def _gap_told(gap: "Gap") -> dict[str, object]:
    return {
        "code": gap.code,
        "name": {"zh": gap.name_zh, "en": gap.name_en},
        "standard": f"{gap.standard} part {gap.part}",
        "template_id": gap.template_id,
        "fields": 0,
        "groups": [],
        "confidence": {},
        "digest": "",
        "gap": {"zh": gap.gap_zh, "en": gap.gap_en, "confidence": gap.confidence},
    }


def _sections(kind: "Kind") -> list[dict[str, object]]:
    """The header, then every section with its entries."""
    header = [field for field in kind.fields if not field.section_code]
    told: list[dict[str, object]] = [
        {"code": "", "title": {"zh": "文档头", "en": "Header"}, "entries": [_entry(field, kind) for field in header]}
    ]
    for section in kind.sections:
        scalars = [kind.field(name) for name in section.fields]
        grouped = [field for name in section.groups for field in kind.groups[name].fields]
        told.append(
            {
                "code": section.code,
                "title": {"zh": section.title_zh, "en": section.title_en},
                "entries": [_entry(field, kind) for field in (*scalars, *grouped)],
            }
        )
    return told


def _entry(field: "Field", kind: "Kind") -> dict[str, object]:
    group = kind.groups.get(field.group)
    return {
        "field": field.name,
        "name": {"zh": field.name_zh, "en": field.name_en},
        "data_element": field.de,
        "value_type": field.value_type,
        "format": field.format,
        "max_length": field.max_length,
        "value_domain": field.value_set,
        "unit": field.unit,
        "cardinality": field.cardinality,
        "group": field.group,
        "group_cardinality": group.cardinality if group else "",
        "required": field.required,
        "confidence": field.confidence,
        "path": field.path,
        "note": field.note,
    }


def _show_gap(gap: "Gap", json: bool, t: Texts) -> None:
    if json:
        output.as_json(_gap_told(gap))
        return
    output.say(f"{gap.code}  {gap.name_zh}  {gap.name_en}")
    output.say(f"{gap.standard} part {gap.part}  templateId {gap.template_id}  ({gap.confidence})")
    output.say(gap.gap_zh if t.language == "zh" else gap.gap_en)


def _show_kind(kind: "Kind", t: Texts) -> None:
    output.say(f"{kind.code}  {kind.name_zh}  {kind.name_en}")
    output.say(f"{kind.standard}  templateId {kind.template_id}")
    output.table(
        t,
        ("section", "field", "name", "element", "type", "format", "cardinality", "value_set", "confidence"),
        [
            (
                field.section_code,
                field.name,
                field.name_zh if t.language == "zh" else field.name_en or field.name_zh,
                field.de,
                field.value_type,
                field.format,
                field.cardinality,
                field.value_set,
                field.confidence,
            )
            for field in kind.fields
        ],
    )


def _name(kind: "Kind | Gap", t: Texts) -> str:
    return kind.name_zh if t.language == "zh" else kind.name_en
