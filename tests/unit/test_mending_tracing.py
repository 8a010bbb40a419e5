"""What an auditor asks of one document, and of one element of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_mending_rehearsing import Site, _Never, hospital, site  # noqa: F401  fixtures

from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.operations import NotFound, Operations


@pytest.fixture
def asked(site: Site) -> Iterator[Operations]:  # noqa: F811
    with site.app() as app:
        app.run_feed("lab_report", _Never())
        yield Operations(app)


def newest(asked: Operations) -> tuple[str, str]:
    """A document's id and its key."""
    taken = next(entry for entry in asked.qc_log() if entry["event"] == "taken")
    return taken["documents"][0][0], taken["documents"][0][2]


def test_a_document_is_found_by_its_id_its_set_or_kind_and_key(asked: Operations) -> None:
    document, key = newest(asked)
    told = asked.trace(document)
    assert told["key"] == key
    assert asked.trace(told["set_id"]) == asked.trace("C0007", key) == asked.trace("lab_report", key) == told
    with pytest.raises(NotFound, match="no document 'C0007-X-1'"):
        asked.trace("C0007-X-1")
    with pytest.raises(NotFound, match="no document key 'nothing'"):
        asked.trace("C0007", "nothing")
    with pytest.raises(ConfigurationError, match="unknown kind 'C0002'"):
        asked.trace("C0002", key)


def test_the_trace_names_queries_and_versions(asked: Operations, site: Site) -> None:  # noqa: F811
    document, key = newest(asked)
    told = asked.trace(document)
    assert (told["rows"]["source"], told["rows"]["key"]) == ("lis", key)
    queries = {one["query"]: one for one in told["rows"]["queries"]}
    assert queries.keys() == {"parent", "items", "diagnoses"}
    assert Path(queries["items"]["file"]) == site.folder / "demo_lis" / "lab_report.items.sql"
    assert len(queries["items"]["sha256"]) == 64
    assert {one["part"] for one in told["versions"]} >= {"mapping", "codes", "kind", "profile", "rules"}
    assert all(one["same"] for one in told["versions"])


def test_what_changed_since_is_said(asked: Operations, site: Site) -> None:  # noqa: F811
    document, _ = newest(asked)
    site.replace("demo_lis/lab_report.sql", "b.jylb ", "b.jylb || '！' ")
    asked._app.refresh("lab_report")
    same = {one["part"]: one["same"] for one in asked.trace(document)["versions"]}
    assert not same["mapping"]
    assert same["codes"]


def test_an_element_leads_to_its_column_query_and_code_map_entry(asked: Operations) -> None:
    document, _ = newest(asked)
    told = asked.trace_element(document, "patient.sex")
    assert (told["from"]["query"], told["from"]["column"]) == ("parent", "lis_bg.xb")
    assert told["from"]["file"].endswith("lab_report.sql")
    (value,) = told["values"]
    (entry,) = told["code_map"]["entries"]
    assert (value["at"], entry["standard"]) == ("patient.sex", value["value"])
    assert entry["local"] in ("M", "F")
    assert told["code_map"]["file"].endswith("codes/sex.toml")
    assert asked.trace_element(document, told["element"])["field"] == "patient.sex"


def test_values_are_masked_unless_they_are_asked_for(asked: Operations) -> None:
    document, _ = newest(asked)
    masked = asked.trace_element(document, "patient.name")["values"][0]["value"]
    shown = asked.trace_element(document, "patient.name", show=True)["values"][0]["value"]
    assert masked != shown
    assert masked.startswith(shown[0])
    assert "*" in masked


def test_one_row_of_a_group_or_all_of_them(asked: Operations) -> None:
    document, _ = newest(asked)
    every = asked.trace_element(document, "items.code")
    assert (every["from"]["query"], every["from"]["alias"]) == ("items", "code")
    assert len(every["values"]) > 0
    assert asked.trace_element(document, "items[0].code")["values"] == every["values"][:1]


def test_an_unknown_element_is_told_with_a_suggestion(asked: Operations) -> None:
    document, _ = newest(asked)
    with pytest.raises(ConfigurationError, match=r"did you mean 'patient\.sex'"):
        asked.trace_element(document, "patient.sexx")


def test_a_document_is_read_long_after_its_template_has_changed(asked: Operations) -> None:
    """What its frame was compressed with is kept, whatever the templates are compressed with now."""
    document, _ = newest(asked)
    asked._app._dictionaries.clear()
    (value,) = asked.trace_element(document, "patient.sex")["values"]
    assert value["value"] in ("1", "2")
    assert document in asked.document(document)
    *_, told = asked.rehearse("lab_report", low="1990-01-01", high="2030-01-01")
    assert told["result"]["not_compared"] == 0
    asked._spool._database.execute("DELETE FROM dictionary")  # as in a state from before they were kept
    with pytest.raises(StateError, match="another version of the templates"):
        asked.document(document)


def test_where_the_bytes_are_gone_the_origin_is_told_all_the_same(asked: Operations) -> None:
    document, _ = newest(asked)
    asked._spool._database.execute("DELETE FROM frame")
    told = asked.trace_element(document, "patient.sex")
    assert told["values"] is None
    assert told["from"]["column"] == "lis_bg.xb"
