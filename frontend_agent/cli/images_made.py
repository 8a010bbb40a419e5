"""`frontend-agent images key` and `images deidentify`: what is made of images by a person's word."""

from pathlib import Path
from typing import Annotated

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts


def add_made(group: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    _add_key(group, t)
    _add_deidentify(group, t)


def _add_key(group: typer.Typer, t: Texts) -> None:
    @group.command("key", help=t("images.key"))
    def key(
        context: typer.Context,
        study: Annotated[str, typer.Argument(help=t("images.study"))],
        chosen: Annotated[list[str], typer.Argument(help=t("images.chosen"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
        title: Annotated[str, typer.Option(help=t("images.title"))] = "for-referring-provider",
        text: Annotated[str, typer.Option(help=t("images.text"))] = "",
    ) -> None:
        settings: Settings = context.obj[0]
        with settings.asking("images_key") as ask:
            told = ask("images_key", study=study, chosen=chosen, title=title, text=text, who=who)
        output.say(t("said.images_key", uid=told["sop_instance_uid"]))


def _add_deidentify(group: typer.Typer, t: Texts) -> None:
    @group.command("deidentify", help=t("images.deidentify"))
    def deidentify(
        context: typer.Context,
        files: Annotated[list[Path], typer.Argument(help=t("images.files"))],
        destination: Annotated[str, typer.Option("--as-for", help=t("images.as_for"))],
        to: Annotated[Path, typer.Option(help=t("images.folder"))],
        pixels: Annotated[bool, typer.Option("--pixels", help=t("images.pixels"))] = False,
    ) -> None:
        # Here, because pydicom takes a second to load, and only this command needs it.
        from frontend_agent.imaging.variants import deidentified_file, profile_of

        settings: Settings = context.obj[0]
        profile = profile_of(settings.config(), destination)
        settings.say("images_deidentify", destination=destination, files=len(files))
        to.mkdir(parents=True, exist_ok=True)
        refused = 0
        for path in files:
            try:
                uid, content = deidentified_file(path, profile, pixels)
                with (to / f"{uid}.dcm").open("xb") as file:
                    file.writelines(content)
            except (ValueError, OSError) as error:
                refused += 1
                output.say(t("said.images_not_deidentified", file=path.name, reason=error))
        output.say(t("said.images_deidentified", count=len(files) - refused, asked=len(files)))
        if refused:
            raise typer.Exit(1)
