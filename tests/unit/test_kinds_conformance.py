"""Each template held against the national tables: every node, section, entry and field stands in it, or is listed with a reason.

The tables are not part of this repository; they lie in the folder `shared` beside it (or where FRONTEND_AGENT_SHARED says).
"""

import csv

import pytest

from frontend_agent.formats import kind_codes, load_kind
from frontend_agent.formats.tables import table, text
from frontend_agent.formats.template import read_template
from tests.conftest import shared_folder
from tools.kinds.compare import additions, body_trees, entries_of, has_entry, header_of, missing_among
from tools.kinds.tree import forest

STANDARDS = shared_folder() / "standards"
ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", "undecided"

pytestmark = pytest.mark.skipif(not STANDARDS.is_dir(), reason="the national tables are not beside this checkout")


def rows(name: str, code: str) -> list[dict[str, str]]:
    with (STANDARDS / name).open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["doc_code"] == code]


def decisions(code: str, source: str) -> dict[str, str]:
    return {row["key"]: row["decision"] for row in table(f"{code}.decisions.csv") if row["table"] == source}


@pytest.fixture(params=[code for code in kind_codes() if code.startswith("C")])  # the others: test_kinds_exchange.py
def code(request):
    return request.param


def template(code):
    return read_template(f"{code}.xml", text(f"{code}.xml"))


def test_every_decision_has_a_verdict_and_a_reason(code):
    for row in table(f"{code}.decisions.csv"):
        assert row["decision"] in (ACCEPTED, REJECTED, UNDECIDED), row
        assert len(row["reason"]) > 10, row


def test_every_header_element_of_the_standard_is_in_the_template_in_order(code):
    standard = forest(rows("header_tree.csv", code))

    lacking = missing_among(standard, header_of(template(code).root))

    assert set(lacking) == {key for key, said in decisions(code, "header_tree.csv").items() if said == REJECTED}


def test_every_element_that_is_in_the_template_and_not_in_the_standard_is_listed(code):
    header = forest(rows("header_tree.csv", code))
    ours = template(code)
    found = set(additions(header, header_of(ours.root), ""))
    for (seq, nodes), element in zip(body_trees(code), ours.sections, strict=True):
        found |= {f"section {seq}: {path}" for path in additions(nodes, entries_of(element), "")}

    assert found == {key for key, said in decisions(code, "template").items() if said == ACCEPTED}


def sections(code):
    return rows("sections/sections.csv", code)


def test_the_sections_are_those_of_the_standard_in_order(code):
    standard = [(s["section_code"] if s["section_code"] != "-" else "", s["display_name"]) for s in sections(code)]
    ours = []
    for section in template(code).sections:
        element = next(child for child in section.children if child.tag == "code")
        ours.append((element.constant("code"), element.constant("displayName")))
        assert not element.constant("code") or element.constant("codeSystem") == "2.16.840.1.113883.6.1"
    assert ours == standard


def test_every_body_element_of_the_standard_is_in_the_template_in_order(code):
    rejected = {key for key, said in decisions(code, "body_tree.csv").items() if said == REJECTED}
    lacking = set()
    for (seq, nodes), element in zip(body_trees(code), template(code).sections, strict=True):
        lacking |= {f"{seq}.{number}" for number in missing_among(nodes, entries_of(element))}
    assert lacking == rejected


def test_every_entry_of_the_standard_is_in_the_template(code):
    """By data element, value type and value domain, section by section."""
    own = template(code)
    said = decisions(code, "entries.csv")
    for entry in rows("sections/entries.csv", code):
        key = f"{entry['section_seq']}.{entry['order']}"
        if said.get(key) == REJECTED:
            continue
        assert has_entry(own.sections[int(entry["section_seq"]) - 1], entry), entry


def test_every_disputed_entry_is_decided(code):
    """Single-source entries, entries on which the sources disagree, and blank cardinalities, one by one.

    Of the others only a misprint is decided upon: it is rejected.
    """
    said = decisions(code, "entries.csv")
    disputed = {key: {REJECTED} for key, verdict in said.items() if verdict == REJECTED}
    for entry in rows("sections/entries.csv", code):
        key = f"{entry['section_seq']}.{entry['order']}"
        if entry["confidence"] != "verified" or entry["variants"]:
            disputed[key] = {ACCEPTED, REJECTED, UNDECIDED}
        elif not entry["cardinality"]:
            disputed[key] = {UNDECIDED, REJECTED}
    assert set(said) == set(disputed)
    for key, verdicts in disputed.items():
        assert said[key] in verdicts, key


def test_single_source_header_facts_are_decided(code):
    disputed = {
        f"{row['path']}[{row['occurrence']}]"
        for row in rows("header_by_document.csv", code)
        if row["confidence"] != "verified"
    }
    assert disputed == set(decisions(code, "header_by_document.csv"))


def test_every_field_of_the_standard_is_in_the_table_of_fields(code):
    own = {row["seq"]: row for row in table(f"{code}.fields.csv") if row["seq"]}
    standard = {row["seq"]: row for row in rows("sections/fields.csv", code)}
    assert own.keys() == standard.keys()
    undecided = {key for key, said in decisions(code, "fields.csv").items() if said == UNDECIDED}
    for seq, row in standard.items():
        assert own[seq]["printed_name"] == row["field_name_zh"]
        assert own[seq]["printed_cardinality"] == row["cardinality"]
        assert own[seq]["field"] or own[seq]["note"], f"row {seq} has neither a field nor a reason"
        assert bool(row["cardinality"]) or seq in undecided, f"row {seq} prints no cardinality: undecided"
        if own[seq]["field"] and own[seq]["de_code"] != row["de_code"]:
            assert own[seq]["note"], f"row {seq} has another data element and no reason"


def test_what_must_be_there_is_what_the_standard_prints_as_mandatory(code):
    """`always` stands for 1..1 and 1..*; what is laxer or stricter says why."""
    kind = load_kind(code)
    said = {row["key"] for row in table(f"{code}.decisions.csv") if row["table"] == "required"}
    for f in kind.fields:
        printed = f.cardinality.startswith("1")
        if printed != (f.required in ("always", "inside")):
            assert f.name in said, f"{f.name} is printed {f.cardinality!r} and required {f.required!r}"


def test_the_template_id_and_the_code_are_the_documents_own(code):
    with (STANDARDS / "documents.csv").open(encoding="utf-8", newline="") as file:
        document = next(row for row in csv.DictReader(file) if row["code"] == code)
    kind = load_kind(code)
    ours = {child.tag: child for child in template(code).root.children}
    assert ours["templateId"].constant("root") == document["template_id"] == kind.template_id
    assert ours["code"].constant("code") == document["code"]
    assert ours["title"].text == document["name_zh"] == kind.title


def test_the_carried_tables_are_those_of_the_standard():
    from frontend_agent.formats import data_elements, value_sets

    with (STANDARDS / "data_elements.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            own = data_elements()[row["de_code"]]
            assert (own.name_zh, own.format, own.confidence) == (row["name_zh"], row["format"], row["confidence"])
    for value_set in value_sets():
        assert len(value_set) or not value_set.complete
        assert all(entry.confidence for entry in value_set)


def test_every_fee_of_the_front_pages_is_in_the_template(code):
    own = {element.constant("code") for element in template(code).root.walk() if element.tag == "code"}
    rejected = {key for key, said in decisions(code, "frontpage_fees.csv").items() if said == REJECTED}
    listed = {row["item_code"] for row in rows("sections/frontpage_fees.csv", code) if row["item_code"]}
    assert listed - own == rejected


MISPRINTED = {"C0001", "C0015", "C0016", "C0039", "C0043", "C0053"}


def test_of_the_verified_entries_only_misprints_are_left_out():
    """100 % of the 1,295 verified entries: present, or a misprint, or printed in two sections by two sets each (C0038)."""
    verified, left_out = 0, []
    for code in (code for code in kind_codes() if code.startswith("C")):
        reasons = {row["key"]: row for row in table(f"{code}.decisions.csv") if row["table"] == "entries.csv"}
        for entry in rows("sections/entries.csv", code):
            verified += entry["confidence"] == "verified"
            said = reasons.get(f"{entry['section_seq']}.{entry['order']}")
            if entry["confidence"] == "verified" and said and said["decision"] == REJECTED:
                left_out.append((code, said["key"], said["reason"]))
    assert verified == 1295
    assert {code for code, _, reason in left_out if "misprint" in reason} == MISPRINTED
    assert [code for code, _, reason in left_out if "misprint" not in reason] == ["C0038"] * 3
    assert len(left_out) == 9
