"""Every key of agent.toml in one page.

What keys there are, their forms, defaults and allowed values are told by the dataclasses that the loader itself walks
(`frontend_agent/config.py`): a key is on this page because the program takes it. What it means stands in settings.toml, in both
languages; an example is one that a guide gives, which is also where more is told of it.
"""

import dataclasses
import inspect
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from frontend_agent import config
from frontend_agent.cli.texts import Language
from frontend_agent.config_types import SECRET, Count, Size
from frontend_agent.windows import Window

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORDS = {
    "zh": {
        "title": "配置项参考",
        "intro": "本页由程序生成：`agent.toml` 的全部键、写法、默认值。不认识的键会被拒绝（退出码 78），并指出位置与改法。"
        "密钥只写名称，内容用 `frontend-agent secret set` 保存。",
        "columns": "| 键 | 含义 | 写法 | 默认 | 示例 |",
        "needed": "必填",
        "see": "详见 ",
        "top": "文件开头",
    },
    "en": {
        "title": "Every setting",
        "intro": "The program makes this page: every key of `agent.toml` with its form and default. A key that is not known is refused (exit"
        " code 78), with its place and the mend. Secrets are named, never written: `frontend-agent secret set` keeps them.",
        "columns": "| key | meaning | form | default | example |",
        "needed": "needed",
        "see": "See ",
        "top": "At the top of the file",
    },
}
FORMS: dict[Any, tuple[str, str]] = {
    str: ("text", "文字"),
    int: ("number from 1", "整数，1 起"),
    Count: ("number from 0", "整数，0 起"),
    float: ("number", "数"),
    bool: ("`true` or `false`", "`true` 或 `false`"),
    Window: ('times of day, `"22:00-06:00"`', '时段，`"22:00-06:00"`'),
    timedelta: ("duration: ms s m h d", "时长：ms s m h d"),
    Size: ("size: B KiB MiB GiB TiB", "大小：B KiB MiB GiB TiB"),
    date: ("day without quotes", "日期，不加引号"),
}


@dataclass(frozen=True)
class Table:
    """One table of the file: its path (`images.inlets.NAME`), the word of its `type` where it has one, and who declares it."""

    path: str
    type: str
    cls: type[Any]

    @property
    def heading(self) -> str:
        return (f"[{self.path}]" if not self.path.endswith("]]") else self.path) + (
            f' type = "{self.type}"' if self.type else ""
        )


@dataclass(frozen=True)
class Key:
    """One key of a table. `owner` is the class that declares it; `hint` its type there."""

    name: str
    owner: str
    hint: Any
    default: Any
    needed: bool
    names_a_secret: bool


def tables() -> list[Table]:
    """Every table that the file may hold, in the order of the dataclasses, the file itself first."""
    return [Table("", "", config.Config), *_below(config.Config, "")]


def _below(cls: type[Any], path: str) -> Iterator[Table]:
    hints = get_type_hints(cls)
    for member in dataclasses.fields(cls):
        name, hint = member.metadata.get("key", member.name), _without_none(hints[member.name])
        origin, below = get_origin(hint), f"{path}.{name}" if path else name
        of = get_args(hint)[1] if origin is dict else get_args(hint)[0] if origin is tuple else hint
        if origin is dict:
            below += ".NAME"
        elif origin is tuple:
            below = f"[[{below}]]"
        if of in config.BY_TYPE:
            for word, kind in sorted(config.BY_TYPE[of][0].items()):
                yield Table(below, word, kind)
                yield from _below(kind, below)
        elif dataclasses.is_dataclass(of) and isinstance(of, type):
            yield Table(below, "", of)
            yield from _below(of, below.strip("[]"))


def keys(cls: type[Any]) -> list[Key]:
    """The keys that a table of this class takes, as the loader takes them."""
    hints = get_type_hints(cls)
    return [
        Key(
            member.metadata.get("key", member.name),
            next(of.__name__ for of in cls.__mro__ if member.name in inspect.get_annotations(of)),
            _without_none(hints[member.name]),
            member.default if member.default_factory is MISSING else member.default_factory(),
            member.default is MISSING and member.default_factory is MISSING,
            bool(member.metadata.get(SECRET)) or member.name.split("_")[-1] == SECRET,
        )
        for member in dataclasses.fields(cls)
    ]


def _without_none(hint: Any) -> Any:
    return next(one for one in get_args(hint) if one is not NoneType) if isinstance(hint, UnionType) else hint


@cache
def words() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """settings.toml: class -> key -> (English, 简体中文). The key "" is the table itself."""
    return tomllib.loads((HERE / "settings.toml").read_text("utf-8"))


def meaning(key: Key, lang: Language) -> str:
    """What the key means; empty: nobody has said it yet, which a test does not let pass."""
    both = words().get(key.owner, {}).get(key.name) or words()["common"].get(key.name, ("", ""))
    return both[0 if lang == "en" else 1]


def page(lang: Language) -> str:
    """The page in one language, as Markdown."""
    told = WORDS[lang]
    lines = [f"# {told['title']}", "", told["intro"], ""]
    seen: set[tuple[str, str]] = set()
    for table in tables():
        if (table.path.split(".", 1)[-1], table.cls.__name__) in seen and table.cls.__name__ in NESTED:
            continue
        seen.add((table.path.split(".", 1)[-1], table.cls.__name__))
        lines += [f"## {told['top']}" if not table.path else f"## `{table.heading}`", ""]
        about = words().get(table.cls.__name__, {}).get("", ("", ""))[0 if lang == "en" else 1]
        places = " · ".join(f"[{name}](../{name}.md)" for name in told_in(table.cls))
        lines += [" ".join(filter(None, (about, told["see"] + places if places else ""))), ""]
        lines += [told["columns"], "| --- | --- | --- | --- | --- |"]
        lines += [_row(table.cls, key, lang) for key in keys(table.cls)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


NESTED = ("FeedbackConfig", "AnswerConfig", "CredentialsConfig")  # the same within each type: told once


def _row(cls: type[Any], key: Key, lang: Language) -> str:
    usual = WORDS[lang]["needed"] if key.needed else _shown(key.default)
    cells = [f"`{key.name}`", meaning(key, lang), form(key.hint, lang), usual, _example(cls, key)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def form(hint: Any, lang: Language) -> str:
    """How a value is written."""
    column = 0 if lang == "en" else 1
    origin = get_origin(hint)
    if origin is Literal:
        return " · ".join(f"`{json.dumps(word)}`" for word in get_args(hint))
    if origin is tuple:
        inner = get_args(hint)[0]
        if dataclasses.is_dataclass(inner):
            return ("tables", "表的列表")[column]
        return ("list of ", "列表：")[column] + form(inner, lang)
    if origin is dict:
        inner = get_args(hint)[1]
        is_table = dataclasses.is_dataclass(inner) or get_origin(inner) is dict
        return (("tables by name", "按名称的表") if is_table else ("name = ", "名称 = "))[column] + (
            "" if is_table else form(inner, lang)
        )
    if dataclasses.is_dataclass(hint):
        return ("table", "表")[column]
    return FORMS[hint][column]


def _shown(value: Any) -> str:
    """A default as it would be written; nothing where nothing is said."""
    if value in ("", (), {}, None, MISSING, date.min, date.max, config.UNSAID) or dataclasses.is_dataclass(value):
        return ""
    return f"`{written(value)}`"


def written(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        unit = next((one for one in ("d", "h", "m", "s") if seconds and seconds % config.UNITS[one] == 0), "s")
        return json.dumps(f"{seconds / config.UNITS[unit]:g}{unit}")
    if isinstance(value, Size):
        unit = next(
            (one for one in ("TiB", "GiB", "MiB", "KiB") if value and value % 1024 ** config.POWERS[one] == 0), "B"
        )
        return json.dumps(f"{value // 1024 ** config.POWERS[unit]} {unit}")
    if isinstance(value, Window):
        return json.dumps(str(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {written(one)}" for name, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


# -- Examples are those of the guides ----------------------------------------------------------------------------------


def _example(cls: type[Any], key: Key) -> str:
    """Of this very table, else of one that has the key from the same class; an address is another one for each type."""
    own = examples().get((cls.__name__, key.name))
    found = own if own or key.name in ("url", "type") else examples().get((key.owner, key.name))
    return f"`{found}`" if found else ""


def told_in(cls: type[Any]) -> list[str]:
    """The guides whose examples set keys of this table; the one with most of them first, three at most."""
    counted: Counter[str] = Counter()
    for key in keys(cls):
        if key.name != "type":
            counted.update(_mentions().get((cls.__name__, key.name), []))
    return [name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:3]]


@cache
def examples() -> dict[tuple[str, str], str]:
    """(class, key) -> a value as a guide writes it, on one line. For the class of the table, and for the one that declares the key."""
    found: dict[tuple[str, str], str] = {}
    for _, cls, owner, name, value in _set_in_guides():
        text = written(value) if not isinstance(value, dict) or all(isinstance(v, str) for v in value.values()) else ""
        if text and len(text) <= 90 and "\\n" not in text:
            for of in (cls, owner):
                found.setdefault((of, name), text)
    return found


@cache
def _mentions() -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for guide, cls, _, name, _ in _set_in_guides():
        pages = found.setdefault((cls, name), [])
        if guide not in pages:
            pages.append(guide)
    return found


@cache
def _set_in_guides() -> list[tuple[str, str, str, str, Any]]:
    """(guide, class, the class that declares it, key, value) of everything that the guides' blocks of TOML set in agent.toml."""
    found = []
    for path in sorted((ROOT / "docs" / "guide").glob("*.md")):
        if path.name.endswith(".en.md"):
            continue
        for text in re.findall(r"^```toml\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            try:
                table = tomllib.loads(text)
            except tomllib.TOMLDecodeError:
                continue  # a part of a file that is no file by itself
            found += [(path.name.removesuffix(".md"), *one) for one in _set(config.Config, table)]
    return found


def _set(cls: type[Any], table: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    for key in keys(cls):
        if key.name not in table:
            continue
        value, origin = table[key.name], get_origin(key.hint)
        of = get_args(key.hint)[1] if origin is dict else get_args(key.hint)[0] if origin is tuple else key.hint
        inner = value.values() if origin is dict and isinstance(value, dict) else value if origin is tuple else [value]
        if of in config.BY_TYPE or dataclasses.is_dataclass(of):
            for one in inner if isinstance(inner, list) or origin is dict else []:
                kinds, usual = config.BY_TYPE.get(of, ({}, None))
                kind = kinds.get(one.get("type", usual), None) if kinds and isinstance(one, dict) else of
                if kind is not None and isinstance(one, dict):
                    yield from _set(kind, one)
        else:
            yield cls.__name__, key.owner, key.name, value
