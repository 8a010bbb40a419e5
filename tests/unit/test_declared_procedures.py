"""[procedures] of a mapping: what is declared, what is refused, and what everybody else sees of it."""

from pathlib import Path
from typing import Any

import pytest

from connectors.procedures import (
    Call,
    ProcedureChanged,
    ProcedureNotPinned,
    call_in,
    digest_of,
    must_be_pinned,
    text_of,
)
from frontend_agent.declared_procedures import declared
from frontend_agent.errors import ConfigurationError
from frontend_agent.mapping_file import parse_mapping, sql_aliases

MAPPING = """
kind = "lab_report"
key  = "report_number"

[queries]
changed = { procedure = "changed" }
parent  = { procedure = "reports" }
[queries.details]
items = "items.sql"

[procedures.changed]
name       = "dbo.usp_changed"
parameters = ["@von = from", "@bis = to"]
columns    = { cursor = "CHANGED_AT", key = "REPORT_NO" }
since      = 2024-01-01

[procedures.reports]
name       = "dbo.usp_reports"
parameters = ["keys"]
list       = ","
result     = 2
columns    = { report_number = "REPORT_NO", "patient.name" = "XM" }
"""


def parsed(text: str) -> Any:
    files = {"lab.toml": text, "items.sql": 'SELECT no AS "report_number" FROM item'}

    def read(path: str) -> str:
        return files[Path(path).name]

    return parse_mapping("lab.toml", "lab.toml", "H1", read)


def test_a_mapping_names_procedures_in_place_of_files() -> None:
    queries = parsed(MAPPING).queries

    assert call_in(queries.changed) == Call(
        "dbo.usp_changed",
        (("@von", "from"), ("@bis", "to")),
        (("cursor", "CHANGED_AT"), ("key", "REPORT_NO")),
        since="2024-01-01T00:00:00",
    )
    assert call_in(queries.parent).result == 2
    assert sql_aliases(queries.parent) == ["report_number", "patient.name"]
    assert call_in(queries.details["items"].sql) is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('procedure = "changed"', 'procedure = "chnged"', "did you mean 'changed'"),
        ('name       = "dbo.usp_changed"', 'name = "dbo.usp_changed; DROP TABLE t"', "name must be the name"),
        ('"@von = from"', '"@von = whenever"', "must be one of from, to, watermark, key, keys"),
        ('"@von = from"', '"@von, @x = from"', "must be one of"),
        ("result     = 2", "result = 0", "result must be a number"),
        ('list       = ","', 'list = "; "', 'list must be "json"'),
        ('{ cursor = "CHANGED_AT", key = "REPORT_NO" }', '{ cursor = "CHANGED_AT" }', 'selects nothing AS "key"'),
        ("since      = 2024-01-01", 'since = "soon"', "since must be a day"),
        ("since      = 2024-01-01", "call = 'EXEC x'", "unknown key 'call'"),
    ],
)
def test_a_wrong_declaration_is_told(old: str, new: str, said: str) -> None:
    assert old in MAPPING

    with pytest.raises(ConfigurationError, match=said) as caught:
        parsed(MAPPING.replace(old, new))

    assert str(caught.value).startswith("lab.toml")


def test_a_digest_is_of_the_definition_and_not_of_its_line_ends() -> None:
    assert digest_of([("a\r\nb ",)]) == digest_of([("a",), ("b",)])
    assert digest_of([("a\nc",)]) != digest_of([("a\nb",)])
    assert digest_of([]) == digest_of([(None,)]) == ""


def test_only_what_is_pinned_may_be_called() -> None:
    one, other = digest_of([("SELECT 1",)]), digest_of([("SELECT 2",)])

    must_be_pinned("his", "p", one, {"p": one})
    with pytest.raises(ProcedureChanged, match=f"was {one} and is {other}"):
        must_be_pinned("his", "p", other, {"p": one})
    with pytest.raises(ProcedureNotPinned, match=one):
        must_be_pinned("his", "p", one, {"q": one})
    with pytest.raises(ProcedureNotPinned, match="cannot be read"):
        must_be_pinned("his", "p", "", {"p": one})


def test_a_query_is_no_call_whatever_it_says() -> None:
    assert call_in("SELECT 1 -- a procedure: no") is None
    assert call_in(text_of(declared({"p": _P}, "x")["p"])) == declared({"p": _P}, "x")["p"]


def test_a_call_that_nobody_declared_is_no_call() -> None:
    call = Call("p", (("x => 1); DELETE FROM t; --", "from"),), (("key", "NO"),))

    assert call_in(text_of(call)) is None
    assert call_in(text_of(Call("p; DROP TABLE t", (("", "from"),), (("key", "NO"),)))) is None


_P = {"name": "p", "parameters": ["key"], "columns": {"no": "NO"}}
