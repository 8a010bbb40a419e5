"""What the guides of images tell people to type can be typed: every command and option in them is one of ours, and nothing it needs lacks."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from frontend_agent.cli.main import build, shared_first

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "guide"
GUIDES = [
    *sorted(FOLDER.glob("console.md")),
    *sorted(FOLDER.glob("images*.md")),
    *sorted(FOLDER.glob("install.md")),
    *sorted(FOLDER.glob("secrets.md")),
    *sorted(FOLDER.glob("at-rest.md")),
    *sorted(FOLDER.glob("service.md")),
    *sorted(FOLDER.glob("signatures.md")),
    *sorted(FOLDER.glob("upgrade.md")),
    *sorted(FOLDER.glob("alarms.md")),
    *sorted(FOLDER.glob("monitoring.md")),
    *[FOLDER / name for name in ("people.md", "audit.md", "support-bundle.md")],
]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)  # its language, its lines
INLINE = re.compile(r"`((?:frontend-agent |images [a-z]|platform studies )[^`]+)`")
PROGRAM = "frontend-agent"


def typed(text: str) -> Iterator[str]:
    """Every command line of the blocks."""
    for language, block in BLOCK.findall(text):
        if language not in ("", "sh", "shell", "console", "bash"):
            continue
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            command = line.strip().removeprefix("$ ").removeprefix("sudo ")
            if command.startswith(PROGRAM + " "):
                yield command


def mentioned(text: str) -> Iterator[str]:
    """Every command that is named between words; of `images list | show` the first."""
    for found in INLINE.findall(BLOCK.sub("", text)):
        line = " ".join(found.partition("|")[0].split())
        yield line if line.startswith(PROGRAM) else f"{PROGRAM} {line}"


def parsed(line: str) -> str:
    """The command that it is, once all its arguments were understood. An exception of click: why not."""
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(build("en"))
    rest, parent, path = shared_first(words), None, []
    while True:
        is_group = hasattr(command, "resolve_command")
        settings = {"allow_extra_args": True, "allow_interspersed_args": False} if is_group else {}
        context = command.make_context(command.name or PROGRAM, rest, parent=parent, **settings)
        if not is_group:
            return " ".join(path)
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        parent = context
        path.append(name)


JOINING = [FOLDER / "joining.md", FOLDER / "tls.md"]
GUIDES_OF_IMAGES = {guide.name: guide.read_text("utf-8") for guide in (*GUIDES, *JOINING)}


@pytest.mark.parametrize(
    ("guide", "line"),
    [(name, line) for name, text in GUIDES_OF_IMAGES.items() for line in dict.fromkeys(typed(text))],
)
def test_what_is_to_be_typed_can_be(guide: str, line: str) -> None:
    assert parsed(line)


@pytest.mark.parametrize(
    ("guide", "line"),
    [(name, line) for name, text in GUIDES_OF_IMAGES.items() for line in dict.fromkeys(mentioned(text))],
)
def test_what_is_named_is_there(guide: str, line: str) -> None:
    try:
        assert parsed(line)
    except Exception as problem:
        if type(problem).__name__ not in ("MissingParameter", "NoArgsIsHelpError"):  # what it needs may be left out
            raise


@pytest.mark.parametrize(
    "line", ["images lst", "images list --held", "images backfill begin --from 2020-01-01", "platform studies want"]
)
def test_what_cannot_be_typed_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"No such|Missing"):
        parsed(f"{PROGRAM} {line}")


def test_commands_are_found_in_the_guides() -> None:
    assert sum(len(list(typed(text))) for text in GUIDES_OF_IMAGES.values()) > 10
    assert sum(len(list(mentioned(text))) for text in GUIDES_OF_IMAGES.values()) > 20
