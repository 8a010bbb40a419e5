"""What the program knows: kinds of document."""

import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from frontend_agent.cli import output
from frontend_agent.cli.texts import Texts

if TYPE_CHECKING:
    from frontend_agent.formats import Kind


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
        from frontend_agent.formats import load_kinds

        kinds = load_kinds().values()
        if json:
            output.as_json(
                [
                    {
                        "code": kind.code,
                        "name": {"zh": kind.name_zh, "en": kind.name_en},
                        "template_id": kind.template_id,
                        "fields": len(kind.fields),
                        "groups": list(kind.groups),
                        "digest": kind.digest,
                    }
                    for kind in kinds
                ]
            )
            return
        output.table(
            t,
            ("kind", "name", "title", "fields"),
            [(kind.code, _name(kind, t), kind.title, len(kind.fields)) for kind in kinds],
        )

    @group.command("show", help=t("kinds.show"))
    def show(
        kind: Annotated[str, typer.Argument(help=t("kinds.kind"))],
        as_reference: Annotated[bool, typer.Option("--reference", help=t("kinds.reference"))] = False,
        as_skeleton: Annotated[bool, typer.Option("--skeleton", help=t("kinds.skeleton"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.formats import load_kind, reference, skeleton

        declared = load_kind(kind)
        if as_reference:
            sys.stdout.write(reference(declared, t.language))
        elif as_skeleton:
            sys.stdout.write(skeleton(declared))
        elif json:
            output.as_json(
                {
                    "code": declared.code,
                    "name": {"zh": declared.name_zh, "en": declared.name_en},
                    "title": declared.title,
                    "template_id": declared.template_id,
                    "digest": declared.digest,
                    "fields": msgspec.to_builtins(declared.fields),
                    "sections": msgspec.to_builtins(declared.sections),
                }
            )
        else:
            output.say(f"{declared.code}  {declared.name_zh}  {declared.name_en}")
            output.table(
                t,
                ("field", "name", "element", "format", "cardinality", "value_set"),
                [
                    (
                        field.name,
                        field.name_zh if t.language == "zh" else field.name_en or field.name_zh,
                        field.de,
                        field.format,
                        field.cardinality,
                        field.value_set,
                    )
                    for field in declared.fields
                ],
            )


def _name(kind: "Kind", t: Texts) -> str:
    return kind.name_zh if t.language == "zh" else kind.name_en
