"""tools/site: the documentation as a site that needs no network. It is made once for all of these."""

import re
import tomllib
from pathlib import Path

import pytest

from frontend_agent.cli.main import build as command_line
from tests.guide_kit import commands_of, parsed
from tools.documentation import commands
from tools.documentation.build import build
from tools.documentation.pages import MADE, all_pages, sections

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documentation") / "site"
    build(folder)
    return folder


def test_every_page_is_in_the_navigation_once():
    named = [name for section in sections() for name in section.pages]

    assert len(named) == len(set(named))
    guides = {page.name.removesuffix(".md") for page in GUIDE.glob("*.md") if not page.name.endswith(".en.md")}
    assert guides == {name for name in named if name not in MADE and not name.endswith(".md")}
    assert set(MADE) <= set(named)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_is_in_the_site(site, lang):
    assert {page.removesuffix(".md") for page in all_pages(lang)} <= {
        path.relative_to(site / lang).with_suffix("").as_posix() for path in (site / lang).rglob("*.html")
    }


def test_the_site_asks_nobody(site):
    """No page, style or script loads anything from another host; links that a person may follow are no loading."""
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loads = re.findall(r"<(?:script|img|iframe|source|audio|video)[^>]*\ssrc=\"?([^\"\s>]+)", text)
        loads += re.findall(r"<link [^>]*href=\"?([^\"\s>]+)", text)
        assert [one for one in loads if re.match(r"(https?:)?//", one)] == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", style.read_text("utf-8")) == [], style


def test_every_page_leads_to_itself_in_the_other_language(site):
    for lang, other in (("zh", "en"), ("en", "zh")):
        for page in (site / lang).rglob("*.html"):
            if page.name == "404.html":
                continue
            found = re.search(rf"<a href=\"?([^\"\s>]+)\"? hreflang=\"?{other}", page.read_text("utf-8"))
            assert found, page
            assert (page.parent / found[1]).resolve() == site / other / page.relative_to(site / lang)


def test_the_same_checkout_makes_the_same_bytes(site, tmp_path):
    build(tmp_path / "again")

    assert content(tmp_path / "again") == content(site)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_command_is_on_the_page_of_commands(lang):
    page = commands.page(lang)

    told = set(re.findall(r"^#+ (frontend-agent [a-z0-9 -]+)$", page, re.MULTILINE))
    assert set(commands.commands(lang)) <= told
    assert len(told) > 150
    assert command_line(lang).info.epilog in page  # exit codes


def test_the_examples_of_commands_can_be_typed():
    lines = re.findall(r"^```sh\n(.*?)^```", commands.page("en"), re.MULTILINE | re.DOTALL)
    typed = [one for block in lines for line in block.splitlines() for one in commands_of(line)]

    assert len(typed) > 60
    for line in typed:
        parsed(line)


def test_the_navigation_has_both_languages():
    for section in tomllib.loads((ROOT / "docs" / "nav.toml").read_text("utf-8"))["sections"]:
        assert re.search("[\u4e00-\u9fff]", section["zh"])
        assert not re.search("[\u4e00-\u9fff]", section["en"])
