"""What the site is made of: the guides, the pages that are made, and their order. Markdown in, Markdown out; writes nothing.

The guides read well in a browser of repositories, which takes Markdown as CommonMark has it; `for_the_site` says the little that the
site's own Markdown wants otherwise.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from tools.documentation import commands, mapping, observing, settings

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
MADE: dict[str, Callable[[Language], str]] = {
    "reference/commands": commands.page,
    "reference/settings": settings.page,
    "reference/mapping": mapping.page,
    "reference/observing": observing.page,
}


@dataclass(frozen=True)
class Section:
    """One heading of the navigation, with its pages by name."""

    title: dict[Language, str]
    pages: tuple[str, ...]


@cache
def sections() -> tuple[Section, ...]:
    """docs/nav.toml, and what it does not name, so that no page can be without a way to it."""
    table = tomllib.loads((ROOT / "docs" / "nav.toml").read_text("utf-8"))
    found = [Section({"zh": one["zh"], "en": one["en"]}, tuple(one["pages"])) for one in table["sections"]]
    named = {name for section in found for name in section.pages}
    guides = sorted({page.name.removesuffix(".md").removesuffix(".en") for page in GUIDE.glob("*.md")} - named)
    return (*found, Section({"zh": "其他", "en": "More"}, tuple(guides))) if guides else tuple(found)


def all_pages(lang: Language) -> dict[str, str]:
    """Every page of the site in one language: its place in it (`install.md`), and its Markdown."""
    return {place_of(name): for_the_site(text_of(name, lang), lang) for section in sections() for name in section.pages}


def place_of(name: str) -> str:
    return name.removeprefix("docs/") if name.endswith(".md") else f"{name}.md"


def text_of(name: str, lang: Language) -> str:
    if name in MADE:
        return MADE[name](lang)
    if name.endswith(".md"):  # in English alone
        return (ROOT / name).read_text("utf-8")
    return (GUIDE / (f"{name}.md" if lang == "zh" else f"{name}.en.md")).read_text("utf-8")


def for_the_site(text: str, lang: Language) -> str:
    """Links among pages lead to the same language, which is a site of its own; a list may follow a line of text."""
    parts = re.split(r"(^ *```.*?^ *```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.lstrip().startswith("```") else _prose(part) for part in parts)


HAN = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef“”‘’…—]"
ITEM = r"(?:[-*]|\d+\.) "


def _prose(text: str) -> str:
    text = re.sub(r"(\]\([\w/-]+)\.en\.md", r"\1.md", text)
    text = re.sub(
        rf"^(?!#)(.*{HAN})\n *(?={HAN})", r"\1", text, flags=re.MULTILINE
    )  # the end of a line of Chinese is no space
    return re.sub(rf"^(?![\s>|#]|{ITEM})(.+)\n(?={ITEM})", r"\1\n\n", text, flags=re.MULTILINE)
