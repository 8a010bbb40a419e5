"""The reference manual of all kinds, and what `kinds` tells of each: every element with its place in the standard."""

import json
import re
from pathlib import Path

import pytest
from lxml import html

from frontend_agent.cli.main import run
from frontend_agent.formats import gaps, kind_codes, load_kind, load_kinds, value_set
from frontend_agent.formats.manual import Source, manual
from frontend_agent.formats.tables import table

ROOT = Path(__file__).parents[2]
FILES = dict(manual(list(load_kinds().values()), list(gaps().values())))


def words(page: str) -> str:
    return " ".join(html.fromstring(FILES[page]).text_content().split())


@pytest.mark.parametrize("code", kind_codes())
def test_a_kinds_page_shows_every_element_with_its_place_and_how_sure_it_is(code):
    kind = load_kind(code)
    rows = {row[0].text_content(): row for row in html.fromstring(FILES[f"{code}.html"]).findall(".//tbody/tr")}

    for field in kind.fields:
        cells = [cell.text_content() for cell in rows[field.name]]
        assert field.de in cells[2]
        assert field.value_type == cells[3]
        assert cells[4].startswith(field.format)
        assert field.cardinality in cells[5]
        assert cells[9].endswith(field.confidence)
        assert field.value_set in cells[7]
    reasons = {row["reason"] for row in table(f"{code}.decisions.csv")}
    assert reasons <= {cell.text_content() for cell in html.fromstring(FILES[f"{code}.html"]).findall(".//td")}


@pytest.mark.parametrize("code", kind_codes())
def test_a_value_set_stands_on_the_page_with_its_codes(code):
    page = html.fromstring(FILES[f"{code}.html"])
    for oid in {f.value_set for f in load_kind(code).fields if f.value_set and value_set(f.value_set).complete}:
        shown = page.get_element_by_id(f"vs-{oid}")
        assert {row[0].text_content() for row in shown.findall(".//tbody/tr")} == {
            entry.code for entry in value_set(oid)
        }


def test_the_index_has_every_kind_and_every_gap_and_all_links_lead_somewhere():
    index = html.fromstring(FILES["index.html"])
    linked = {link.get("href") for link in index.iter("a")}
    assert {f"{code}.html" for code in [*kind_codes(), *gaps()]} <= linked
    for page, text in FILES.items():
        if page.endswith(".html"):
            for link in html.fromstring(text).iter("a"):
                name, _, anchor = link.get("href").partition("#")
                target = FILES[name or page]
                assert not anchor or re.search(rf"id=['\"]?{re.escape(anchor)}['\"> ]", target), (
                    page,
                    link.get("href"),
                )


def test_a_gap_says_that_its_body_is_not_known():
    assert "正文未知" in words("HSDB01.01.html")
    assert "no public source" in words("HSDB01.01.html")


def test_nothing_is_fetched_from_anywhere():
    for name, text in FILES.items():
        assert not re.search(r"(src|href)=['\"]?(https?:)?//", text), name
        assert "@import" not in text


def test_the_search_has_every_element_of_every_kind():
    lines = json.loads(FILES["search.js"].removeprefix("window.SEARCH = ").removesuffix(";\n"))
    links = {link for link, _, _ in lines}
    assert {f"{code}.html#{field.name}" for code, kind in load_kinds().items() for field in kind.fields} <= links


def test_what_stands_in_a_name_cannot_become_markup():
    kind = load_kind("C0007")
    hostile = {("C0007", "items.unit"): [Source("<script>", "</td>", "a&b")]}
    page = dict(manual([kind], [], hostile))["C0007.html"]
    assert "&lt;script&gt; ← &lt;/td&gt;: a&amp;b" in page
    assert "<script>" not in page


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_the_manual_says_where_the_site_takes_an_element_from(tmp_path, capsys):
    assert run(["kinds", "reference", "--out", str(tmp_path / "m"), "--config", str(ROOT / "agent.toml")]) == 0
    assert "files written" in said(capsys)[0]
    rows = html.fromstring((tmp_path / "m" / "C0007.html").read_text(encoding="utf-8")).findall(".//tbody/tr")
    taken = {row[0].text_content(): row[-1].text_content() for row in rows if len(row) == 12}
    assert taken["items.unit"].startswith("lab_report ← demo_lis/lab_report: ")


def test_without_a_configuration_the_manual_knows_no_site(tmp_path, capsys):
    assert (
        run(["kinds", "reference", "--out", str(tmp_path / "m"), "--config", str(tmp_path / "none.toml"), "--json"])
        == 0
    )
    told = json.loads(said(capsys)[0])
    assert "index.html" in told["files"]
    assert "本站来源" not in (tmp_path / "m" / "C0007.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", ["C0007", "HSDC00.01", "X0001"])
def test_show_tells_sections_with_codes_and_entries_with_type_domain_and_cardinality(code, capsys):
    assert run(["kinds", "show", code, "--json"]) == 0
    told = json.loads(said(capsys)[0])
    kind = load_kind(code)
    assert told["template_id"] == kind.template_id
    assert [section["code"] for section in told["sections"]] == ["", *(section.code for section in kind.sections)]
    entries = {entry["field"]: entry for section in told["sections"] for entry in section["entries"]}
    assert set(entries) == {field.name for field in kind.fields}
    for field in kind.fields:
        entry = entries[field.name]
        assert (entry["data_element"], entry["value_type"], entry["value_domain"]) == (
            field.de,
            field.value_type,
            field.value_set,
        )
        assert (entry["cardinality"], entry["confidence"]) == (field.cardinality, field.confidence)


def test_a_gap_is_listed_and_shown_and_has_no_skeleton(tmp_path, capsys):
    assert run(["kinds", "list", "--json"]) == 0
    listed = {kind["code"]: kind for kind in json.loads(said(capsys)[0])}
    assert listed["HSDB01.01"]["gap"]["en"].startswith("the body is not known")
    assert listed["C0007"]["gap"] is None
    assert run(["kinds", "show", "HSDB01.01", "--lang", "zh"]) == 0
    assert "正文未知" in said(capsys)[0]
    assert run(["kinds", "skeleton", "HSDB01.01", "--out", str(tmp_path)]) == 1
    assert "body is not known" in said(capsys)[1]


def test_a_skeleton_is_written_once_and_never_over_a_file(tmp_path, capsys):
    command = ["kinds", "skeleton", "HSDC00.05", "--out", str(tmp_path / "mine"), "--json"]
    assert run(command) == 0
    assert "referral.toml" in json.loads(said(capsys)[0])["files"]
    (tmp_path / "mine" / "referral.toml").write_text("mine", encoding="utf-8")
    assert run(command) == 1
    assert "is there already" in said(capsys)[1]
    assert (tmp_path / "mine" / "referral.toml").read_text(encoding="utf-8") == "mine"
