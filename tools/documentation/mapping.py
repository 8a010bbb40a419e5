"""Every key of a mapping's file in one page. The words are mapping.toml's; that the keys are those which the program takes, a test asks
its reader."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from frontend_agent.cli.texts import Language

WORDS = {
    "zh": ("映射文件参考", "`mappings/系统/名称.toml` 的全部键。不认识的键会被拒绝（退出码 78）。", "| 键 | 含义 |", "文件开头"),
    "en": ("Every key of a mapping", "All keys of `mappings/SYSTEM/NAME.toml`. One that is not known is refused (exit code 78).", "| key | meaning |", "At the top of the file"),
}  # fmt: skip


@cache
def tables() -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = tomllib.loads((Path(__file__).parent / "mapping.toml").read_text("utf-8"))[
        "tables"
    ]
    return found


def page(lang: Language) -> str:
    """The page in one language, as Markdown."""
    title, intro, columns, top = WORDS[lang]
    column = 0 if lang == "en" else 1
    lines = [f"# {title}", "", intro, ""]
    for table in tables():
        lines += [f"## {top}" if table["name"] == "(top)" else f"## `{table['name']}`", "", table["about"][column], ""]
        lines += [columns, "| --- | --- |"]
        lines += [f"| `{key}` | {both[column]} |".replace("\\|", "|") for key, both in table["keys"].items()]
        if "example" in table:
            lines += ["", "```toml", table["example"].strip(), "```"]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
