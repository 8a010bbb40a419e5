"""Every command of the command line in one page, from the command line itself: its texts, arguments, options, examples and exit codes."""

import enum
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from frontend_agent.cli.main import build
from frontend_agent.cli.texts import Language, Texts

PROGRAM = "frontend-agent"
KINDS = {Path: "PATH", int: "NUMBER", float: "NUMBER"}
WORDS = {
    "zh": {
        "title": "命令参考",
        "intro": "本页由程序生成：`frontend-agent 命令 --help` 显示同样的内容。",
        "shared": "适用于全部命令",
        "name": "参数",
        "meaning": "含义",
        "usual": "默认",
        "needed": "必填",
    },
    "en": {
        "title": "Every command",
        "intro": "The program makes this page: `frontend-agent COMMAND --help` says the same.",
        "shared": "For all commands",
        "name": "parameter",
        "meaning": "meaning",
        "usual": "default",
        "needed": "needed",
    },
}


def page(lang: Language) -> str:
    """The page in one language, as Markdown."""
    root: Any = typer.main.get_command(build(lang))
    words = WORDS[lang]
    lines = [f"# {words['title']}", "", words["intro"], "", Texts(lang)("epilog"), "", f"## {words['shared']}", ""]
    lines += _parameters(root.params, lang)
    for name, command in sorted(root.commands.items()):
        if not command.hidden:
            lines += _told(f"{PROGRAM} {name}", command, 2, lang)
    return "\n".join(lines).rstrip() + "\n"


def commands(lang: Language) -> Iterator[str]:
    """The names of all commands that do something, for instance `frontend-agent backfill plan`."""
    root: Any = typer.main.get_command(build(lang))
    yield from _leaves(PROGRAM, root)


def _leaves(path: str, command: Any) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is None or command.invoke_without_command:
        yield path
    for name, one in sorted((inner or {}).items()):
        if not one.hidden:
            yield from _leaves(f"{path} {name}", one)


def _told(path: str, command: Any, level: int, lang: Language) -> Iterator[str]:
    """One command, and below it those of its group. Headings go three deep: what lies deeper stands beside them."""
    inner = getattr(command, "commands", None)
    yield f"{'#' * level} {path}"
    yield ""
    yield from _help(command.help or "")
    own = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
    if inner is None or command.invoke_without_command:
        yield "```text"
        yield " ".join([path, *(_usage(one) for one in own)])
        yield "```"
        yield ""
    yield from _parameters(own, lang)
    for name, one in sorted((inner or {}).items()):
        if not one.hidden:
            yield from _told(f"{path} {name}", one, min(level + 1, 4), lang)


def _help(text: str) -> Iterator[str]:
    """The help of a command, whose examples are blocks of code."""
    for paragraph in text.strip().split("\n\n"):
        told = re.match(r"(Examples?|示例)[:：]\s*(.*)", paragraph, re.DOTALL)
        if told:
            yield f"{told[1]}:" if told[1].startswith("E") else f"{told[1]}："
            yield ""
            yield "```sh"
            yield from (
                line.strip() for line in re.split(r"\n| · (?=(?:sudo )?frontend-agent )", told[2]) if line.strip()
            )
            yield "```"
        else:
            yield _plain(" ".join(line.strip() for line in paragraph.splitlines()))
        yield ""


def _usage(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _name(parameter) if parameter.required else f"[{_name(parameter)}]"
    first = max(parameter.opts, key=len) + ("" if parameter.is_flag else f" {_value_of(parameter)}")
    return first if parameter.required else f"[{first}]"


def _name(argument: Any) -> str:
    return (argument.metavar or argument.name.upper()) + ("…" if argument.nargs == -1 else "")


def _value_of(option: Any) -> str:
    """What stands behind an option: its words where they are few, else what kind of thing it is."""
    kind = option.type_descriptor.annotation
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "|".join(str(one.value) for one in kind)
    return str(option.metavar or KINDS.get(kind, "TEXT"))


def _parameters(parameters: list[Any], lang: Language) -> Iterator[str]:
    """A table of arguments and options; nothing where there are none."""
    shown = [one for one in parameters if one.name not in ("help", "version") and not getattr(one, "hidden", False)]
    if not shown:
        return
    words = WORDS[lang]
    yield f"| {words['name']} | {words['meaning']} | {words['usual']} |"
    yield "| --- | --- | --- |"
    for one in shown:
        names = " ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
        if one.param_type_name == "argument":
            names = f"`{_name(one)}`"
        elif not one.is_flag:
            names += f" `{_value_of(one)}`"
        usual = words["needed"] if one.required else _usual(one)
        yield f"| {names.replace('|', chr(92) + '|')} | {_plain(getattr(one, 'help', '') or '').replace('|', chr(92) + '|')} | {usual} |"
    yield ""


def _usual(parameter: Any) -> str:
    """The default, where it says something and is the same on every machine."""
    value = parameter.default
    if parameter.name in ("config", "state") or callable(value) or value in (None, "", False, (), []):
        return ""
    return f"`{value}`" if isinstance(value, str | int | float) and value is not True else ""


def _plain(text: str) -> str:
    """What Markdown would take for something of its own."""
    return re.sub(r"([*_<])", r"\\\1", text)
