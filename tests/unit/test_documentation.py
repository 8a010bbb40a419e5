"""docs/: every page in both languages, of one form, and no link that leads nowhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted(page.name.removesuffix(".md") for page in GUIDE.glob("*.md") if not page.name.endswith(".en.md"))
READ_ON_THE_WEB = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", READ_ON_THE_WEB, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    assert [target for target in links(page) if not leads_somewhere(page, target)] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_form_in_both_languages(name):
    chinese, english = in_both(name)

    assert levels(english) == levels(chinese)
    assert [bare(block) for block in blocks(english)] == [bare(block) for block in blocks(chinese)]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_in_its_language(name):
    chinese, english = map(share_of_han, in_both(name))

    assert chinese > 0.25
    assert english < 0.05


@pytest.mark.parametrize("page", sorted(GUIDE.glob("*.en.md")), ids=lambda page: page.name)
def test_english_pages_lead_to_english_pages(page):
    chinese = [target for target in links(page) if re.fullmatch(r"[\w-]+\.md(#.*)?", target)]
    assert [target for target in chinese if target.partition(".")[0] in PAGES] == []


def test_no_page_is_in_one_language_alone():
    assert sorted(page.name.removesuffix(".en.md") for page in GUIDE.glob("*.en.md")) == sorted(PAGES)


def in_both(name: str) -> tuple[Path, Path]:
    return GUIDE / f"{name}.md", GUIDE / f"{name}.en.md"


def levels(page: Path) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(page), re.MULTILINE)]


def blocks(page: Path) -> list[str]:
    return re.findall(r"^ *```.*?^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def bare(block: str) -> list[str]:
    """The lines of a block of code without their comments, which are in the page's language."""
    lines = (re.sub(r"(^|\s+)(#|--|//|<!--)(\s.*)?$", "", line) for line in block.splitlines())
    return [line for line in lines if line]


def share_of_han(page: Path) -> float:
    letters = re.findall(r"[^\W\d_]", re.sub(r"\]\([^)]*\)", "", prose(page)))
    return sum("\u4e00" <= letter <= "\u9fff" for letter in letters) / len(letters)


def links(page: Path) -> Iterator[str]:
    """What a page links to inside the repository: `file#anchor`, either of which may be missing."""
    for target in re.findall(r"\]\(<?([^)>\s]+)>?\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return file.exists() and (not anchor or anchor in anchors(file))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a repository browser makes them."""
    headings = re.findall(r"^#+ +(.*)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prose(page: Path) -> str:
    """The page without its code, be it a block or a word."""
    return re.sub(r"`[^`\n]*`", "", without_code(page))


def without_code(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
