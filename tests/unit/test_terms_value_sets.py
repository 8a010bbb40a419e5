"""The national code tables as we carry them: whole, with their confidence, in versions, and every OID with a name."""

import csv
import sys
from datetime import date

import pytest

from frontend_agent.checks import compile_checks
from frontend_agent.checks.dated import DatedCodes, document_day, has_changed
from frontend_agent.formats import kind_codes, load_kind, named, value_set, value_sets, versions
from frontend_agent.formats.tables import table
from frontend_agent.formats.value_sets import Entry, ValueSet, indexed, weakest
from frontend_agent.profiles import load_profile
from tests.conftest import shared_folder
from tests.unit.records import clean

module = sys.modules[ValueSet.__module__]  # the package has a function of that name
STANDARDS = shared_folder() / "standards" / "valuesets"
OTHER_NAMES = {"WS445_small_tables.csv", "ws364_table_names.csv"}  # one file per table; names.csv


def standard(file: str) -> list[dict[str, str]]:
    if not STANDARDS.is_dir():
        pytest.skip("the standards' tables are not here (set FRONTEND_AGENT_SHARED)")
    with (STANDARDS / file).open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def test_every_table_of_the_standards_is_carried_row_by_row_with_its_confidence() -> None:
    carried = {row["file"] for row in table("value_sets/index.csv") if row["file"]}
    wanted = {row["file"] for row in standard("index.csv")} - OTHER_NAMES
    assert wanted <= carried
    for file in wanted:
        code = "code_dotted" if file == "clinical_departments.csv" else "code"
        theirs = [(row[code], row["name_zh"], row["confidence"]) for row in standard(file)]
        ours = [(row["code"], row["name_zh"], row["confidence"]) for row in table(f"value_sets/{file}")]
        assert ours == theirs, file


def test_the_small_tables_of_ws_445_are_carried_too() -> None:
    for row in standard("WS445_small_tables.csv"):
        entry = value_set(row["oid"]).entries[row["code"]]
        assert (entry.name, entry.confidence) == (row["name_zh"], row["confidence"])


def test_a_tables_confidence_is_that_of_its_weakest_row() -> None:
    for one in value_sets():
        if len(one):
            assert one.confidence == weakest(tuple(entry.confidence for entry in one)), one.id
        assert one.confidence, one.oid


def test_every_oid_of_the_national_list_has_a_name_and_a_confidence() -> None:
    listed = standard("oid_index.csv")
    assert len(listed) == 140
    for row in listed:
        found = named(row["oid"])
        assert (found.kind, found.name_zh, found.confidence) == (row["kind"], row["name_zh"], row["confidence"])
    assert named("1.2.3").name_zh == ""


def test_every_value_set_that_a_kind_names_is_known() -> None:
    for kind in kind_codes():
        for field in load_kind(kind).fields:
            if field.value_set:
                assert named(field.value_set).name_zh or value_set(field.value_set).name_zh, (kind, field.name)


def test_every_table_of_ws_364_has_its_name() -> None:
    listed = standard("ws364_table_names.csv")
    assert len(listed) == 269
    for row in listed:
        assert named(row["table_id"]).name_zh == row["name_zh"]
        assert named(row["table_id"]).confidence == row["confidence"]


def test_a_table_known_by_name_only_says_so() -> None:
    found = value_set("CV03.00.104")
    assert (found.name_zh, found.complete, len(found)) == ("饮酒频率代码", False, 0)


def test_both_forms_of_the_family_relations_stand_under_their_one_oid() -> None:
    relations = value_set("2.16.156.10011.2.3.3.8")
    assert (relations.name("1"), relations.name("10")) == ("配偶", "配偶")
    assert len(relations) == len(value_set("GB/T 4761")) + len(value_set("GB/T 4761 (1)"))
    assert relations.complete


def _version(version: str, since: str, until: str, *entries: Entry) -> ValueSet:
    return ValueSet(
        "1.2.3", "T", "表", "", True, "", {entry.code: entry for entry in entries}, version, since, until, "verified"
    )


OLD = _version("1", "", "20201231", Entry("1", "甲", "verified", replaced_by="11"), Entry("2", "乙", "verified"))
NEW = _version("2", "20210101", "", Entry("11", "甲", "verified"), Entry("2", "乙", "verified", valid_to="20220630", replaced_by="3"),
               Entry("3", "丙", "verified"))  # fmt: skip


def test_versions_are_ordered_by_their_time_and_found_by_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_index", lambda: indexed([NEW, OLD]))
    assert [one.version for one in versions("1.2.3")] == ["1", "2"]
    assert value_set("1.2.3").version == "2"
    assert value_set("T", on="20200229").version == "1"
    assert value_set("1.2.3", on="20210101").version == "2"


@pytest.mark.parametrize(
    ("code", "day", "said"),
    [
        ("1", "20200101", None),
        ("1", "20210101", ("DE-CODE-DATE", ("20210101", "11"))),
        ("11", "20210101", None),
        ("11", "20201231", ("DE-CODE-DATE", ("20201231", "–"))),
        ("2", "20220630", None),
        ("2", "20220701", ("DE-CODE-DATE", ("20220701", "3"))),
        ("9", "20220701", ("DE-CODE", ())),
        ("1", "", ("DE-CODE", ())),
        ("11", "", None),
    ],
)
def test_a_code_is_held_against_the_version_of_the_documents_day(code: str, day: str, said: object) -> None:
    found = DatedCodes([OLD, NEW])(code, {"author.time": f"{day}080000"} if day else {})
    assert (found and (found[0].id, found[1])) == said


def test_the_documents_day_is_its_authors() -> None:
    record = {"author.time": "20260930081500", "encounter.time": "20260101000000"}
    assert document_day(record) == "20260930"
    assert document_day({"encounter.time": "20260101000000"}) == "20260101"
    assert document_day({}) == ""


def test_a_table_with_one_timeless_version_costs_no_look_at_the_day() -> None:
    assert not any(has_changed([one]) for one in value_sets())
    assert has_changed([OLD, NEW])
    assert has_changed([OLD])


def test_the_compiled_checks_ask_for_the_day_of_a_table_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = dict(module._index())
    sex = value_set("2.16.156.10011.2.3.3.4")
    entries = {**sex.entries, "9": Entry("9", "未说明的性别", "verified", valid_to="20200101", replaced_by="0")}
    changed = ValueSet(sex.oid, sex.id, sex.name_zh, complete=True, entries=entries)
    monkeypatch.setattr(module, "_index", lambda: {**real, sex.oid: (changed,)})
    check = compile_checks(load_kind("C0007"), load_profile("national"), date(2026, 10, 1))
    record = clean("C0007") | {"patient.sex": "9"}
    found = [one for one in check(record) if one.rule.startswith("DE-CODE")]
    assert [(one.rule, one.field, one.arguments) for one in found] == [
        ("DE-CODE-DATE", "patient.sex", (record["author.time"][:8], "0"))
    ]
