"""The kinds beside WS/T 500: four health records held against the one tree that shows them, the two exchange documents against
their data sets, and the kinds whose bodies nobody has published."""

import csv
from collections.abc import Iterator

import pytest
from lxml import etree

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import gaps, kind_codes, load_kind
from frontend_agent.formats.foreign import classify
from frontend_agent.formats.tables import table, text
from frontend_agent.formats.template import Element, Slot, read_template
from tests.conftest import shared_folder
from tools.kinds import health_records

STANDARDS = shared_folder() / "standards"
BODIES = ["HSDA00.01", "HSDB04.01", "HSDB04.03", "HSDC00.01"]

pytestmark = pytest.mark.skipif(not STANDARDS.is_dir(), reason="the national tables are not beside this checkout")


def rows(name: str) -> list[dict[str, str]]:
    with (STANDARDS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


Place = tuple[str, str]  # the chain of elements, and the data element or section whose it is


def places(element: Element, path: str = "", of: str = "") -> Iterator[tuple[Place, Element]]:
    """Every element of ours with its place."""
    for child in element.children:
        here = f"{path}/{child.tag}"
        yield (here, of), child
        yield from places(child, here, of)


def printed(code: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The rows of a kind's tree and the chain of elements of each."""
    mine = [row for row in rows("sections/ehr_tree.csv") if row["doc_code"] == code]
    paths: dict[str, str] = {}
    for row in mine:
        paths[row["node"]] = f"{paths.get(row['parent_node'], '')}/{row['element']}"
    return mine, paths


def decided(code: str) -> dict[str, str]:
    return {row["key"]: row["decision"] for row in table(f"{code}.decisions.csv") if row["table"] == "ehr_tree.csv"}


@pytest.mark.parametrize("code", BODIES)
def test_every_element_of_the_tree_is_in_the_template_or_decided(code):
    root = read_template(f"{code}.xml", text(f"{code}.xml")).root
    ours: dict[str, list[Element]] = {}
    for (path, _), element in places(root):
        ours.setdefault(path, []).append(element)
    mine, paths = printed(code)
    said = decided(code)
    unanswered = []
    for row in mine:
        fixed = dict(part.split("=", 1) for part in row["fixed_attributes"].split() if "=" in part)
        alike = ours.get(paths[row["node"]], [])
        if any(all(holds(e, k, v) for k, v in fixed.items()) for e in alike):
            continue
        if row["node"] in said or (
            row["element"] in ("effectiveTime", "time") and alike
        ):  # xsi:type of TS: as verified kinds
            continue
        unanswered.append((row["node"], paths[row["node"]], fixed))
    assert unanswered == []


def holds(element: Element, name: str, value: str) -> bool:
    content = dict(element.attributes).get(name)
    return content == value or isinstance(content, Slot) or (name == "unit" and element.constant("unit") == value)


@pytest.mark.parametrize("code", BODIES)
def test_every_data_element_of_the_tree_stands_in_its_section_with_its_type_and_value_table(code):
    template = read_template(f"{code}.xml", text(f"{code}.xml"))
    mine, _ = printed(code)
    by_parent = {}
    for row in mine:
        by_parent.setdefault(row["parent_node"], []).append(row)
    said = decided(code)
    checked = 0
    for row in mine:
        if row["element"] != "code" or "code=DE" not in row["fixed_attributes"]:
            continue
        value = next((r for r in by_parent[row["parent_node"]] if r["element"] == "value"), None)
        if value is None or {row["node"], value["node"]} & set(said):
            continue
        fixed = dict(part.split("=", 1) for part in value["fixed_attributes"].split())
        de = row["fixed_attributes"].partition("code=DE")[2].split()[0]
        section = template.sections[int(row["section_seq"]) - 1]
        found = [
            v
            for o in section.walk()
            if o.tag == "observation" and any(c.constant("code") == f"DE{de}" for c in o.children)
            for v in o.children
            if v.tag == "value"
        ]
        assert any(all(v.constant(k) == w for k, w in fixed.items()) for v in found), (row["node"], de, fixed)
        checked += 1
    assert checked > 10


@pytest.mark.parametrize("code", [*BODIES, "HSDC00.04", "HSDC00.05"])
def test_nothing_of_the_health_records_is_called_verified_but_the_shell(code):
    """One vendor's tree and one vendor's data set: `single-source`, or `project` where it is our own choice."""
    for row in table(f"{code}.fields.csv"):
        if not row["field"].startswith("envelope."):
            assert row["confidence"] in ("single-source", "project"), row["field"]


@pytest.mark.parametrize("code", [*BODIES, "HSDC00.04", "HSDC00.05"])
def test_template_id_title_and_code_are_those_of_the_list_of_documents(code):
    document = next(row for row in rows("documents.csv") if row["code"] == code)
    kind = load_kind(code)
    assert (kind.template_id, kind.title) == (document["template_id"], document["name_zh"])


@pytest.mark.parametrize(("code", "dataset"), [("HSDC00.05", "转诊(院)记录子集"), ("HSDC00.04", "会诊记录子集")])
def test_every_data_element_of_the_data_set_has_a_field(code, dataset):
    wanted = [row for row in rows("datasets_ws445.csv") if row["dataset_name"] == dataset]
    own = {row["de_code"] for row in table(f"{code}.fields.csv")}
    assert len(wanted) == 26
    assert [row["de_code"] for row in wanted if row["de_code"] not in own] == []


def test_whom_a_referral_is_meant_for_and_how_soon_are_there_and_marked_as_ours():
    kind = load_kind("HSDC00.05")
    assert kind.field("target.institution_id").required == "always"
    assert kind.field("target.department_name").path.startswith("/ClinicalDocument/informationRecipient/")
    urgency = kind.field("referral.urgency")
    assert (urgency.confidence, urgency.de, urgency.value_set) == ("project", "", "2.16.840.1.113883.5.7")


def test_the_twenty_health_records_are_kinds_or_declared_gaps():
    twenty = {row["code"]: row for row in rows("documents.csv") if row["standard"].startswith("WS/T 483")}
    assert len(twenty) == 20
    made = set(twenty) & set(kind_codes())
    assert set(gaps()) == set(twenty) - made
    assert len(made) == 6
    for code, gap in gaps().items():
        assert gap.template_id == twenty[code]["template_id"]
        assert gap.gap_zh
        assert gap.gap_en


def test_a_kind_whose_body_is_not_known_is_refused_and_says_why():
    with pytest.raises(ConfigurationError, match=r"HSDB01\.01 出生医学证明 cannot be made: the body is not known"):
        load_kind("HSDB01.01")


def test_a_received_document_of_a_kind_whose_body_is_not_known_is_named_and_judged_as_cda():
    document = (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><templateId root="2.16.156.10011.2.1.1.2"/>'
        '<code code="HSDB01.01" codeSystem="2.16.156.10011.2.4"/></ClinicalDocument>'
    )
    kind, form, notes = classify(etree.fromstring(document))
    assert (kind, form) == ("HSDB01.01", "cda")
    assert "body is not known" in notes[0]


@pytest.mark.parametrize("code", BODIES)
def test_the_templates_are_what_the_drafting_tool_writes(code, tmp_path, monkeypatch):
    """Who mends one mends the tables in tools/kinds/health_records/, and drafts it again."""
    monkeypatch.setattr(health_records, "TEMPLATES", tmp_path)
    health_records.Draft(code).write()
    for name in (f"{code}.xml", f"{code}.fields.csv", f"{code}.decisions.csv"):
        assert (tmp_path / name).read_text(encoding="utf-8") == text(name)
