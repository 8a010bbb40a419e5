"""`docs`: the guide that was installed with the program, as pages that a browser reads from the disk."""

from pathlib import Path
from typing import Annotated

import typer

from frontend_agent.cli import output
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import FrontendAgentError


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the command."""

    @cli.command("docs", help=t("docs"))
    def docs(
        in_browser: Annotated[bool, typer.Option("--open", help=t("docs.open"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        page = site() / t.language / "index.html"
        if not page.is_file():
            raise FrontendAgentError(t("docs.not_here", path=page))
        if in_browser:
            import webbrowser

            if not webbrowser.open(page.as_uri()):
                raise FrontendAgentError(t("docs.no_browser", path=page))
        if json:
            output.as_json({"page": str(page), "url": page.as_uri()})
        else:
            output.say(str(page))


def site() -> Path:
    """Where the guide lies: beside the installed program, or where tools/site makes it in a checkout."""
    from frontend_agent import program

    installed = program.running() / "share" / "doc" / "frontend-agent"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "site"
