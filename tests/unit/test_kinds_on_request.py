"""What has no slot in the standard stands in the narrative always, and in an entry where the region asks for it."""

import pytest

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import load_kind
from frontend_agent.profiles import parse_profile
from tests.unit.test_kinds_roundtrip import ENVELOPE, full_record

LAB = load_kind("C0007")
ALL = ("items.loinc", "items.abnormal_flag", "items.reference_range")
ENTRIES = {
    "items.loinc": b'<translation code="',
    "items.abnormal_flag": b"<interpretationCode ",
    "items.reference_range": b"<referenceRange ",
}


def test_the_laboratory_report_knows_what_may_be_asked_for():
    assert LAB.on_request == ALL
    assert load_kind("C0002").on_request == ()


@pytest.mark.parametrize("asked", [(), ("items.loinc",), ALL])
def test_an_entry_is_written_where_it_is_asked_for_and_read_either_way(asked):
    record = full_record(LAB)
    document = LAB.renderer(entries=asked)(record, ENVELOPE)

    assert {name for name, element in ENTRIES.items() if element in document} == set(asked)
    for name in ALL:
        assert f'<td ID="items-1-{name.removeprefix("items.")}">'.encode() in document
    assert LAB.reader(document) == record


def test_an_entry_of_another_sender_is_read_without_our_narrative():
    record = full_record(LAB)
    document = LAB.renderer(entries=ALL)(record, ENVELOPE)
    for name in ALL:
        for row in (1, 2):
            document = document.replace(f' ID="items-{row}-{name.removeprefix("items.")}"'.encode(), b"")

    assert LAB.reader(document) == record


def test_an_item_without_these_values_has_no_such_entries():
    record = full_record(LAB)
    for row in record["items"]:
        for name in ALL:
            del row[name.removeprefix("items.")]
    document = LAB.renderer(entries=ALL)(record, ENVELOPE)

    assert not any(element in document for element in ENTRIES.values())
    assert LAB.reader(document) == record


def test_a_profile_asks_by_kind():
    profile = parse_profile("ours", 'extends = "regional"\n[C0007]\nentries = ["items.loinc"]\n', "ours.toml")
    assert profile.entries == {"C0007": ("items.loinc",)}


def test_what_nobody_can_ask_for_is_a_mistake_that_names_what_there_is():
    with pytest.raises(ConfigurationError, match=r"C0007.*items\.nothing.*items\.loinc"):
        LAB.renderer(entries=("items.nothing",))
    with pytest.raises(ConfigurationError, match=r"ours\.toml: \[C0007\] entries"):
        parse_profile("ours", '[C0007]\nentries = "items.loinc"\n', "ours.toml")
