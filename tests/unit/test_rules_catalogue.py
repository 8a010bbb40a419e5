"""The catalogue of rules: every rule explains itself, and its example is its test."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from pathlib import Path

import pytest

from frontend_agent.checks import all_rules, compile_checks
from frontend_agent.checks.asking import compile_rules, fields_of
from frontend_agent.checks.catalogue import (
    CATEGORIES,
    DIMENSIONS,
    Example,
    example_of,
    rule_ids_with_examples,
    rules_catalogue,
)
from frontend_agent.checks.manual import manual
from frontend_agent.checks.registry import Rule
from frontend_agent.formats.library import load_kind, load_kinds
from frontend_agent.model import Record
from frontend_agent.profiles import load_profile

ROOT = Path(__file__).parents[2]
RULES = all_rules()
ASKED = [rule for rule in RULES.values() if rule.check]
# These speak of no record's fragment: of rows (mapping and pipe), of a code map (test_terms_maps.py), of a finished document
# (test_foreign_documents.py), of what may leave (test_withholding.py), of partners (test_partners.py), of visits
# (test_visits.py), and of tables that
# have not changed yet (test_terms_value_sets.py), of a hospital's own catalogues
# (test_terms_catalogues.py), of studies of images (test_image_rules.py).
OF_OTHERS = (
    "MAP0",
    "AGT0",
    "ABSENT",
    "TERM-",
    "CDA-",
    "POL",
    "READ-COLUMN",
    "JOIN-PARTNER",
    "DE-CODE-DATE",
    "CAT-",
    "VISIT-",
    "PATIENT-PERSON",
    "IDENTITY-PERSON",
    "IMG-",
)
OF_ROWS = {rule_id for rule_id in RULES if rule_id.startswith(OF_OTHERS)}


def example(rule_id: str) -> Example:
    found = example_of(rule_id)
    assert found is not None, f"{rule_id} has no example"
    return found


asking = cache(lambda kind: compile_rules(load_kind(kind), RULES.values()))


def objections(example: Example, record: Record) -> list[tuple[str, str]]:
    """What all rules across fields have to say of a fragment: rule and field."""
    found: list[tuple[str, str]] = []
    asking(example.kind)(record, lambda rule, path, value, said: found.append((rule.id, path)), example.today)
    return found


def test_every_rule_that_speaks_of_a_record_has_an_example():
    assert set(rule_ids_with_examples()) == set(RULES) - OF_ROWS


@pytest.mark.parametrize("rule", ASKED, ids=lambda rule: rule.id)
def test_a_rule_lets_its_clean_example_pass_and_objects_to_the_faulty_one_alone(rule: Rule):
    told = example(rule.id)

    assert objections(told, told.passing) == []
    assert objections(told, told.failing) == [(rule.id, told.at)]


@pytest.mark.parametrize("rule_id", sorted(set(RULES) - {rule.id for rule in ASKED} - OF_ROWS))
def test_a_derived_rule_objects_to_its_faulty_example(rule_id: str):
    told = example(rule_id)
    checks = compile_checks(load_kind(told.kind), load_profile("national"), day(told.today))

    assert (rule_id, told.at) not in {(f.rule, f.field) for f in checks(told.passing)}
    assert (rule_id, told.at) in {(f.rule, f.field) for f in checks(told.failing)}


def day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").date()


@pytest.mark.parametrize("rule", ASKED, ids=lambda rule: rule.id)
def test_an_example_names_only_fields_of_its_kind(rule: Rule):
    told = example(rule.id)
    kind = load_kind(told.kind)
    known = {field.name for field in kind.fields}

    assert {name for name in names(told.failing | told.passing) if not name.startswith("fact.")} <= known


def names(record: Record) -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, str):
            yield name
        else:
            yield from (f"{name}.{key}" for row in value for key in row)


@pytest.mark.parametrize("rule", ASKED, ids=lambda rule: rule.id)
def test_a_rule_is_asked_in_every_kind_it_names(rule: Rule):
    asked = {code for code, kind in load_kinds().items() if fields_of(rule, kind) is not None}

    assert asked, f"no kind has the fields of {rule.id}"
    assert set(rule.kinds) <= asked


def test_most_rules_set_values_in_relation():
    assert sum(rule.related > 1 for rule in ASKED) >= 300


def test_every_rule_can_be_found_in_every_language():
    for lang in ("zh", "en"):
        for line in rules_catalogue(lang):
            assert line.category in CATEGORIES
            assert line.dimension in DIMENSIONS
            assert line.dimension_name
            assert re.fullmatch(r"\d+", line.since)


def test_no_rule_from_memory_holds_in_everyday_use():
    everyday = load_profile("regional")
    assert [r.id for r in RULES.values() if r.mark == "M" and everyday.severity_of(r.id) == "hold"] == []


@pytest.mark.parametrize(("lang", "name"), [("zh", "rules.md"), ("en", "rules.en.md")])
def test_the_page_of_all_rules_is_the_one_the_register_makes(lang, name):
    page = ROOT / "docs" / "guide" / name

    assert page.read_text(encoding="utf-8") == manual(lang), f"frontend-agent rules reference --lang {lang} > {page}"
