"""tools/site: the documentation as a site that needs no network. It is made once for all of these."""

import re
import tomllib
from pathlib import Path

import pytest

from frontend_agent import config, logs
from frontend_agent.cli.main import build as command_line
from frontend_agent.errors import ConfigurationError
from frontend_agent.mapping_file import parse_mapping
from tests.guide_kit import commands_of, parsed
from tools.documentation import commands, mapping, observing, settings
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


# -- Every key of agent.toml ------------------------------------------------------------------------------------------


TABLES = settings.tables()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.heading)
def test_the_keys_told_are_those_that_the_program_takes(table):
    """The loader itself says which it knows, when it refuses one that it does not."""
    reader = config._Reader("agent.toml", Path(), {})
    reader.build(table.cls, {"no_such_key": 1}, "here")

    known = re.search(
        r"unknown key 'no_such_key' \((?:did you mean [^?]*\? )?known: ([^)]*)\)", " ".join(reader.problems)
    )
    assert known
    assert sorted(key.name for key in settings.keys(table.cls)) == sorted(known[1].split(", "))


def test_every_key_has_its_words_and_no_words_are_left_over():
    told = {(key.owner, key.name) for table in TABLES for key in settings.keys(table.cls)}
    classes = {table.cls.__name__ for table in TABLES} | {owner for owner, _ in told}
    words = settings.words()

    assert [one for one in told if one[1] not in words.get(one[0], {}) and one[1] not in words["common"]] == []
    assert [(of, key) for of in words for key in words[of] if of != "common" and key and (of, key) not in told] == []
    assert {of for of in words if of != "common"} <= classes
    assert {table.cls.__name__ for table in TABLES} <= {of for of in words if words[of].get("")}
    used = {name for owner, name in told if name not in words.get(owner, {})}
    assert set(words["common"]) == used
    for table in words.values():
        for english, chinese in table.values():
            assert re.search("[\u4e00-\u9fff]", chinese) or not re.search("[a-z]{4} [a-z]{3}", chinese)
            assert english.endswith(".")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_table_and_key_is_on_the_page(lang):
    page = settings.page(lang)

    for table in TABLES:
        if table.path:
            assert f"## `{table.heading}`" in page
    assert len(re.findall(r"^\| `", page, re.MULTILINE)) > 900


def test_every_default_and_example_is_one_that_the_program_takes():
    for table in TABLES:
        for key in settings.keys(table.cls):
            told = [
                text.strip("`") for text in (settings._shown(key.default), settings._example(table.cls, key)) if text
            ]
            for text in told:
                reader = config._Reader("agent.toml", Path(), {})
                assert (
                    text.startswith("{") or reader._value(key.hint, tomllib.loads(f"x = {text}")["x"], "x") is not None
                )
                assert reader.problems == [], (table.heading, key.name, text)
            if told and settings._shown(key.default):
                value = tomllib.loads(f"x = {told[0]}")["x"]
                assert config._Reader("agent.toml", Path(), {})._value(key.hint, value, "x") == key.default


def test_settings_that_the_guides_show_are_examples():
    with_example = [1 for table in TABLES for key in settings.keys(table.cls) if settings._example(table.cls, key)]

    assert len(with_example) > 250


# -- Every key of a mapping -------------------------------------------------------------------------------------------


SQL = {"a.changed.sql": 'SELECT t AS "cursor", k AS "key" FROM x', "a.sql": 'SELECT k AS "k", p AS "p" FROM x', "a.items.sql": 'SELECT k AS "k" FROM y'}  # fmt: skip
QUERIES = 'kind = "C0007"\nkey = "k"\n[queries]\nchanged = "a.changed.sql"\nparent = "a.sql"\n'
MESSAGE = 'kind = "C0007"\nkey = "k"\n[message]\nformat = "xml"\n'
PROBES = {
    "(top)": "zzz = 1\n" + QUERIES,
    "[queries]": QUERIES + "zzz = 1\n",
    "[queries.details] GROUP": QUERIES + "details = { items = { zzz = 1 } }\n",
    "[queries.partners] NAME": QUERIES + "partners = { person = { zzz = 1 } }\n",
    "[queries] history": QUERIES + "history = [{ zzz = 1 }]\n",
    "[procedures.NAME]": QUERIES + "[procedures.p]\nzzz = 1\n",
    "[read] ALIAS": QUERIES + '[read]\n"p" = { zzz = 1 }\n',
    "[read] ALIAS groups.GROUP": QUERIES + '[read]\n"p" = { reader = "xml", groups.items = { zzz = 1 } }\n',
    "[read] ALIAS fields.FIELD": QUERIES + '[read]\n"p" = { reader = "xml", fields = { a = { zzz = 1 } } }\n',
    "[codes] FIELD": QUERIES + '[codes]\n"p" = { table = "t", zzz = 1 }\n',
    "[message]": MESSAGE + "zzz = 1\n",
    "[message.details.GROUP]": MESSAGE + 'fields = { k = "//k" }\n[message.details.items]\nzzz = 1\n',
    "[message.fields] FIELD": MESSAGE + 'fields = { k = { path = "//k", zzz = 1 } }\n',
}


@pytest.mark.parametrize("table", mapping.tables(), ids=lambda table: table["name"])
def test_the_keys_of_a_mapping_are_those_that_its_reader_takes(table):
    with pytest.raises(ConfigurationError, match="unknown key 'zzz'") as refused:
        parse_mapping("a.toml", "a.toml", "", {**SQL, "a.toml": PROBES[table["name"]]}.__getitem__)

    known = re.search(r"\(known: ([^)]*)\)", str(refused.value))
    assert known
    assert sorted(table["keys"]) == sorted(known[1].split(", "))


def test_the_examples_of_mappings_are_toml():
    for table in mapping.tables():
        tomllib.loads(table.get("example", ""))


# -- Exit codes, events, metrics --------------------------------------------------------------------------------------


def test_every_event_and_metric_of_the_code_is_told():
    told = observing.events()

    assert len(told) > 80
    assert "daemon.ready" in told
    assert told["feed.silent"][0] >= {"feed", "since"}
    assert logs.event("feed.silent", feed="lab", since="x") == "feed.silent feed=lab since=x"
    assert set(observing.metrics()) == set(observing.METRICS_ZH)
    assert "platform_hospital_silent" in observing.page("zh")
