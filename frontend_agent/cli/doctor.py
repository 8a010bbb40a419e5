"""`frontend-agent doctor`: what is wrong between the hospital's systems and us, explained, with the exact mend."""

from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.cli.texts_doctor import AILMENTS

if TYPE_CHECKING:  # not at the top: every command would wait half a second for the drivers
    from connectors.doctor.ailment import Ailment

MACHINE = ""  # what is said of this machine is of no source
MARKS = {"wrong": "✗", "doubt": "?", "fine": "✓"}


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the command."""

    @cli.command("doctor", help=t("doctor"))
    def doctor(
        context: typer.Context,
        source: Annotated[str | None, typer.Argument(help=t("doctor.source"))] = None,
        try_write: Annotated[bool, typer.Option("--try-write", help=t("doctor.try_write"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.cli.visiting import visiting
        from frontend_agent.examining import examined, of_this_machine

        settings: Settings = context.obj[0]
        found: list[tuple[str, Ailment]] = []
        if try_write:
            settings.say("try_write", sources=[source] if source else list(settings.config().sources))
        with visiting(settings) as opened:
            config = settings.config()
            machine = [] if source else [(MACHINE, one) for one in of_this_machine(config)]
            for name, ailment in chain(machine, examined(config, [source] if source else [], try_write, opened)):
                if not json:
                    if not found or found[-1][0] != name:
                        output.say(t("doctor.of", source=name) if name else t("doctor.of_machine"))
                    _say(t, ailment)
                found.append((name, ailment))
        if json:
            output.as_json([told(name, ailment) for name, ailment in found])
        elif not any(ailment.severity == "wrong" for _, ailment in found):
            output.say(t("doctor.well"))
        raise typer.Exit(int(any(ailment.severity == "wrong" for _, ailment in found)))


def _say(t: Texts, ailment: "Ailment") -> None:
    where = f"{ailment.where}: " if ailment.where else ""
    output.say(f"  {MARKS[ailment.severity]} {where}{sentence(ailment, t.language)}")
    for mend in ailment.mend:
        for line in mend.splitlines():
            output.say(f"      {line}")


def sentence(ailment: "Ailment", language: str) -> str:
    """What a finding says, in one language."""
    return AILMENTS[ailment.code][language == "zh"].format(**ailment.values)


def told(source: str, ailment: "Ailment") -> dict[str, Any]:
    """A finding for programs, in both languages."""
    return {
        "source": source,
        "code": ailment.code,
        "severity": ailment.severity,
        "where": ailment.where,
        "text": {language: sentence(ailment, language) for language in ("zh", "en")},
        "mend": list(ailment.mend),
    }
