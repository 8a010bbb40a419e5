"""The names of data elements, signers and fees: every one that the national tables print has a field, and one field one meaning."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import shared_folder

STANDARDS = shared_folder() / "standards"
NAMES = Path(__file__).parents[2] / "tools" / "kinds"
FIELD = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
ELEMENT_CODE = re.compile(r"(?<!\w)code=(DE\S+)")

pytestmark = pytest.mark.skipif(not STANDARDS.is_dir(), reason="the national tables are not beside this checkout")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def printed_elements() -> set[tuple[str, str]]:
    """The (data element, name) pairs of the section tables, the four health-record trees and the referral record."""
    pairs = {(row["de_code"], row["name_zh"]) for row in read(STANDARDS / "sections" / "entries.csv")}
    for row in read(STANDARDS / "sections" / "ehr_tree.csv"):
        if found := ELEMENT_CODE.search(row["fixed_attributes"]):
            pairs.add((found[1], row["item_name_zh"]))
    for row in read(STANDARDS / "datasets_ws445.csv"):
        if row["doc_code"] == "HSDC00.05":
            pairs.add((row["de_code"], row["de_name"]))
    return pairs - {("", "")}


def test_every_printed_data_element_has_one_field() -> None:
    named = Counter((row["de_code"], row["name_zh"]) for row in read(NAMES / "names.csv"))
    assert set(named) == printed_elements()
    assert max(named.values()) == 1


def test_every_printed_role_has_one_name() -> None:
    signs = ("uthenticator", "participant")
    printed = {
        row["role_or_label"]
        for row in read(STANDARDS / "header_by_document.csv")
        if row["role_or_label"] and any(sign in row["path"] for sign in signs)
    }
    named = Counter(row["role_zh"] for row in read(NAMES / "roles.csv"))
    assert printed <= set(named)
    assert max(named.values()) == 1


def test_every_fee_of_the_front_pages_has_its_own_field() -> None:
    printed = {
        (r["doc_code"], r["item_code"], r["name_zh"]) for r in read(STANDARDS / "sections" / "frontpage_fees.csv")
    }
    fees = read(NAMES / "fees.csv")
    assert {(r["doc_code"], r["item_code"], r["name_zh"]) for r in fees} == printed
    assert max(Counter((r["doc_code"], r["field"]) for r in fees).values()) == 1


def test_fields_are_english_and_mean_one_thing() -> None:
    meanings: dict[str, set[str]] = {}
    for row in read(NAMES / "names.csv") + read(NAMES / "fees.csv"):
        assert FIELD.fullmatch(row["field"]), row
        meanings.setdefault(row["field"], set()).add(row["name_en"])
    assert {field: english for field, english in meanings.items() if len(english) > 1} == {}
