"""`diagnose`: a support bundle without patients' content, and the list of what is in it."""

import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import FrontendAgentError

if TYPE_CHECKING:  # not at the top: every command would wait for it
    from frontend_agent.diagnosis import Part


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the command."""

    @cli.command("diagnose", help=t("diagnose"))
    def diagnose(
        context: typer.Context,
        out: Annotated[Path | None, typer.Option("--out", "-o", help=t("diagnose.out"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.diagnosis import Part, listed, scrubbed

        settings: Settings = context.obj[0]
        made = datetime.now(UTC)
        path = out or Path(f"frontend-agent-{made:%Y%m%d-%H%M%S}.zip")
        files = []
        for part in _parts(settings):
            text, taken = scrubbed(part.text)
            files.append((Part(part.name, part.about, text), sha256(text.encode()).hexdigest(), taken))
        _write(path, listed(files, f"{made:%Y-%m-%dT%H:%M:%SZ}"), [part for part, _, _ in files])
        if json:
            told = [{"name": part.name, "about": part.about, "bytes": len(part.text.encode()), "sha256": digest, "taken_out": taken}
                    for part, digest, taken in files]  # fmt: skip
            output.as_json({"bundle": str(path), "files": told})
            return
        rows = [(part.name, len(part.text.encode()), part.about) for part, _, _ in files]
        output.table(t, ("file", "bytes", "about"), rows)
        output.say(t("said.diagnosed", path=path))


def _parts(settings: Settings) -> "Iterator[Part]":
    """What the agent says of itself, as far as it can be asked, and what this command sees by itself."""
    from frontend_agent.diagnose_operations import log_parts, system_parts
    from frontend_agent.diagnosis import Part

    state = settings.state_option or Path("state")
    asked: list[dict[str, Any]] = []
    try:
        state = settings.state(settings.config())
        with settings.asking("diagnosis") as ask:
            asked += ask("diagnosis")
    except FrontendAgentError as error:
        if error.exit_code == 1 and "nothing was done" in str(error):  # it is not this person's to ask for
            raise
        yield Part("problem.txt", "why the agent could not be asked", f"{error}\n")
        if not any(one["name"].startswith("agent.log") for one in asked):
            yield from log_parts(state)
    yield from (Part(**one) for one in asked)
    yield from system_parts(state)


def _write(path: Path, manifest: str, parts: "list[Part]") -> None:
    """Readable by whoever made it alone; an older file of that name is not overwritten."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("MANIFEST.txt", manifest)
            for part in parts:
                bundle.writestr(part.name, part.text)
    except OSError as error:
        raise FrontendAgentError(f"{path}: {error.strerror}") from None
