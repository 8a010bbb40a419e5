"""The kinds that are drafted are what the tool writes: they are mended in its tables, not by hand (decision 7)."""

import pytest

from frontend_agent.formats import kind_codes
from frontend_agent.formats.tables import table, text
from tools.kinds import tables
from tools.kinds.draft import draft

pytestmark = pytest.mark.skipif(
    not tables.standards().is_dir(), reason="the national tables are not beside this checkout"
)
ALL_PARTS = [f"C{number:04}" for number in range(1, 54)]
SOME = ("C0005", "C0019", "C0032", "C0034", "C0051")


def test_every_part_of_the_standard_is_a_kind():
    assert [code for code in kind_codes() if code.startswith("C")] == ALL_PARTS
    assert [row["code"] for row in table("documents.csv") if row["code"].startswith("C")] == ALL_PARTS


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, marks=() if code in SOME else pytest.mark.slow)
        for code in ALL_PARTS
        if code not in tables.HAND_MADE
    ],
)
def test_what_is_committed_is_what_the_tool_writes(code):
    drafted = draft(code)

    assert drafted.template == text(f"{code}.xml")
    assert drafted.fields == text(f"{code}.fields.csv")
    assert drafted.decisions == text(f"{code}.decisions.csv")


@pytest.mark.parametrize("code", ALL_PARTS)
def test_no_decision_lacks_its_reason(code):
    for row in table(f"{code}.decisions.csv"):
        assert "NO REASON" not in row["reason"]
    for row in table(f"{code}.fields.csv"):
        assert "UNEXPLAINED" not in row["note"]


def test_the_business_key_of_a_kind_is_one_of_its_fields():
    for row in table("documents.csv"):
        assert row["key"] in {field["field"] for field in table(f"{row['code']}.fields.csv")}, row["code"]


def test_the_same_name_is_the_same_data_element_but_where_the_standard_prints_two():
    """A name that means something else in another kind would mislead mappings, rules and reports."""
    seen: dict[str, set[str]] = {}
    for code in ALL_PARTS:
        for row in table(f"{code}.fields.csv"):
            if row["field"] and row["de_code"].startswith("DE"):
                seen.setdefault(row["field"], set()).add(row["de_code"])
    two = {name: codes for name, codes in seen.items() if len(codes) > 1}

    assert set(two) <= PRINTED_IN_TWO_WAYS, {name: sorted(two[name]) for name in set(two) - PRINTED_IN_TWO_WAYS}


# The sheets and trees print two elements for one thing; see the notes in the tables of fields.
PRINTED_IN_TWO_WAYS = {
    "allergy.text",
    "author.time",
    "death_diagnoses.code",
    "direct_cause_of_death.code",
    "encounter.time",
    "examinations.item",
    "operations.date",
    "operations.target_site",
    "planned_operations.date",
    "respiration",
}
