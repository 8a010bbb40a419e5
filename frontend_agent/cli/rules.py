"""The quality rules: what each asks, of what, and what it does under a profile."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from frontend_agent.cli import output, packs
from frontend_agent.cli.texts import Texts

if TYPE_CHECKING:
    from frontend_agent.checks.catalogue import RuleText


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("rules"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="rules")
    _add_list(group, t)
    _add_show(group, t)
    packs.add_to(group, t)

    @group.command(help=t("rules.reference"))
    def reference() -> None:
        from frontend_agent.checks.manual import manual

        sys.stdout.write(manual(t.language))


def _add_list(group: typer.Typer, t: Texts) -> None:
    @group.command("list", help=t("rules.list"))
    def list_rules(
        profile: Annotated[str, typer.Option(help=t("rules.profile"))] = "regional",
        kind: Annotated[str, typer.Option(help=t("rules.kind"))] = "",
        category: Annotated[str, typer.Option(help=t("rules.category"))] = "",
        dimension: Annotated[str, typer.Option(help=t("rules.dimension"))] = "",
        severity: Annotated[str, typer.Option(help=t("rules.severity"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.checks.catalogue import CATEGORIES, DIMENSIONS, rules_catalogue
        from frontend_agent.profiles import load_profile

        _known("--category", category, CATEGORIES)
        _known("--dimension", dimension, DIMENSIONS)
        _known("--severity", severity, ("hold", "warn", "note"))
        judged = load_profile(profile)
        of_kind = _asked_of(kind) if kind else None
        listed = [
            {**msgspec.to_builtins(rule), "severity": str(judged.severity_of(rule.id))}
            for rule in rules_catalogue(t.language)
            if (of_kind is None or rule.id in of_kind)
            and category in ("", rule.category)
            and dimension in ("", rule.dimension)
            and severity in ("", str(judged.severity_of(rule.id)))
        ]
        if json:
            output.as_json(listed)
            return
        columns = ("id", "severity", "dimension_name", "title", "clause", "mark")
        output.table(
            t,
            ("rule", "severity", "dimension", "title", "clause", "confidence"),
            [tuple(one[column] for column in columns) for one in listed],
        )


def _known(option: str, word: str, known: tuple[str, ...]) -> None:
    if word and word not in known:
        raise typer.BadParameter(f"'{word}' ({', '.join(known)})", param_hint=option)


def _asked_of(kind: str) -> set[str]:
    """The rules that a kind is judged by: those that name its fields, and the ones derived from any declaration."""
    from frontend_agent.checks import all_rules
    from frontend_agent.checks.asking import rules_for
    from frontend_agent.formats import load_kind

    rules = all_rules()
    told = {rule.id for rule in rules.values() if rule.check is None}
    return told | {rule.id for rule in rules_for(load_kind(kind), rules.values())}


def _add_show(group: typer.Typer, t: Texts) -> None:
    @group.command("show", help=t("rules.show"))
    def show(
        rule: Annotated[str, typer.Argument(help=t("rules.id"))],
        profile: Annotated[str, typer.Option(help=t("rules.profile"))] = "regional",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.checks.catalogue import example_of, kinds_of, rule_text
        from frontend_agent.profiles import load_profile

        told = rule_text(rule.upper(), t.language)
        example = example_of(told.id)
        asked = kinds_of(told.id)
        severity = {
            name: str(load_profile(name).severity_of(told.id))
            for name in dict.fromkeys(("national", "regional", profile))
        }
        if json:
            output.as_json(
                {
                    **msgspec.to_builtins(told),
                    "severity": severity,
                    "kinds": asked,
                    "example": msgspec.to_builtins(example) if example else None,
                }
            )
            return
        _explain(told, severity, asked, t)
        if example:
            _fragment(t("rules.passing"), example.kind, example.passing, "")
            _fragment(t("rules.failing"), example.kind, example.failing, f"  ◀ {example.at}")


def _explain(told: "RuleText", severity: dict[str, str], asked: dict[str, list[str]], t: Texts) -> None:
    output.say(f"{told.id}  {told.title}")
    to_mend = t("rules.mend")
    output.say(told.says)
    output.say(f"{to_mend}: {told.mend} ({told.who})")
    lines = (
        (t("rules.judges"), f"{told.category} × {told.dimension_name}"),
        (t("rules.does"), ", ".join(f"{name}: {does}" for name, does in severity.items())),
        (t("rules.basis"), f"{told.clause} ({told.mark})"),
        (t("rules.since"), told.since),
        (t("rules.fields"), ", ".join(told.fields) or "–"),
        (t("rules.kinds"), ", ".join(asked) or "–"),
    )
    for label, text in lines:
        output.say(f"  {label}: {text}")


def _fragment(heading: str, kind: str, record: dict[str, Any], mark: str) -> None:
    output.say(f"\n{heading} ({kind}){mark}")
    for name, value in record.items():
        if isinstance(value, str):
            output.say(f"  {name} = {value}")
        else:
            for number, row in enumerate(value):
                output.say(f"  {name}[{number}] " + "  ".join(f"{key} = {text}" for key, text in row.items()))
