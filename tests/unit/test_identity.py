"""Ids are the same for ever: a lost state directory makes them again."""

from hypothesis import given
from hypothesis import strategies as st

from frontend_agent.identity import document_id, parts, set_id


def test_ids_do_not_change_between_releases() -> None:
    assert set_id("330100-H1", "1", "C0007", "RPT-1") == "C0007-H3T3T5PZ2GINZFISSSEGVBABYW"
    assert document_id(set_id("330100-H1", "1", "C0007", "RPT-1"), 12) == "C0007-H3T3T5PZ2GINZFISSSEGVBABYW-12"


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_different_records_have_different_sets(two: list[tuple[str, str, str]]) -> None:
    (a, b, c), (d, e, f) = two
    assert set_id(a, b, "C0007", c) != set_id(d, e, "C0007", f)


@given(st.text(), st.text(), st.text(), st.integers(1, 999_999_999))
def test_an_id_fits_its_field_and_comes_apart_again(institution: str, epoch: str, key: str, version: int) -> None:
    named = set_id(institution, epoch, "C0007", key)
    whole = document_id(named, version)
    assert len(whole) <= 50
    assert parts(whole) == (named, version)


@given(st.text())
def test_asking_about_anything_never_fails(text: str) -> None:
    found = parts(text)
    assert found is None or text.startswith(found[0])
