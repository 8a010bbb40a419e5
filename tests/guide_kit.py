"""What the pages of the documentation say that can be typed or put into a file: blocks, commands, names of commands between words.

A page is `NAME.md`; beside it `NAME.en.md` is the same in English. Of both the blocks are the same but for comments and words (a test
holds it), so what is run is that of `NAME.md`.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from frontend_agent.cli.main import build, shared_first
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "docs" / "guide"
PROGRAM = "frontend-agent"
BLOCK = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)  # its language, its lines
INLINE = re.compile(r"`((?:frontend-agent |images [a-z]|platform studies )[^`]+)`")
SHELL = ("sh", "shell", "bash", "console")


@dataclass(frozen=True)
class Block:
    """What stands between two fences. `number` counts the blocks of its page, from 1."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}#{self.number}"

    @property
    def is_shell(self) -> bool:
        return self.language in SHELL

    def lines(self) -> list[str]:
        """Its commands, one a line, as they are typed: without prompts and comments, with what `\\` continued."""
        found = (without_comment(line) for line in re.sub(r"\\\n\s*", "", self.text).splitlines())
        return [line for line in found if line]


def pages() -> list[Path]:
    """Every page that is read by people who type: the guides in both languages, and both READMEs."""
    readmes = [REPOSITORY / "README.md", REPOSITORY / "README.zh-CN.md"]
    return [*readmes, *sorted(FOLDER.rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(FOLDER).as_posix() if page.is_relative_to(FOLDER) else page.name


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text("utf-8"))
    return [Block(name_of(page), number, language.strip(), text) for number, (language, text) in enumerate(found, 1)]


def without_comment(line: str) -> str:
    """What of a line is typed. A `#` begins a comment where a shell would begin one."""
    line = line.strip().removeprefix("$ ")
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (place == 0 or line[place - 1].isspace()):
            return line[:place].strip()
    return line.strip()


def commands_of(line: str) -> Iterator[str]:
    """Each call of our program in a line: behind sudo, in a pipe, after `&&`."""
    words = re.split(r"\s*(?:&&|\|\||[|;])\s*", line) if not re.search(r"['\"][^'\"]*[|;&]", line) else [line]
    for word in words:
        command = word.strip().removeprefix("sudo ").strip()
        if command.startswith(PROGRAM + " "):
            yield without_output(command)


def without_output(command: str) -> str:
    """A command without where its output goes."""
    return re.sub(r"\s+\d?>>?\s*\S+$", "", command)


def typed(page: Path) -> list[str]:
    """Every call of our program in the blocks of a page."""
    return [one for block in blocks(page) if block.is_shell for line in block.lines() for one in commands_of(line)]


def mentioned(page: Path) -> list[str]:
    """Every command that is named between words; of `images list | show` the first."""
    found = INLINE.findall(BLOCK.sub("", page.read_text("utf-8")))
    lines = [without_output(" ".join(one.partition("|")[0].split())) for one in found]
    return [line if line.startswith(PROGRAM) else f"{PROGRAM} {line}" for line in lines]


@functools.cache
def _program() -> Any:
    return typer.main.get_command(build("en"))


def parsed(line: str) -> str:
    """The command that it is, once all its arguments were understood. An exception of click: why not."""
    words = shlex.split(line, comments=True)[1:]
    command = _program()
    rest, parent, path = shared_first(words), None, []
    while True:
        is_group = hasattr(command, "resolve_command")
        settings = {"allow_extra_args": True, "allow_interspersed_args": False} if is_group else {}
        context = command.make_context(command.name or PROGRAM, rest, parent=parent, **settings)
        left = [*getattr(context, "_protected_args", []), *context.args]
        if not is_group or (command.invoke_without_command and path and not left):
            return " ".join(path)
        name, command, rest = command.resolve_command(context, left)
        parent = context
        path.append(name)
