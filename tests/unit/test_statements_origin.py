"""Statements come from local configuration and from our own code alone: never from the platform, a pack or a document."""

from __future__ import annotations

import ast
import contextlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent.errors import ConfigurationError
from frontend_agent.mapping_file import parse_mapping
from frontend_agent.packs import PackRefused, build

ROOT = Path(__file__).resolve().parents[2]
MAPPING = """
kind = "C0007"
key = "report_number"
[queries]
changed = "{changed}"
parent = "p.sql"
[codes]
"patient.sex" = "pack:sex"
"""


def _calls(name: str) -> set[str]:
    """The modules that call something of that name."""
    found = set()
    for folder in ("connectors", "frontend_agent"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                    found.add(path.relative_to(ROOT).as_posix())
    return found


def test_only_connectors_open_a_session_or_write_statements_of_their_own() -> None:
    """A statement is asked inside of a session; the door past the allow-list is for code beside the drivers."""
    assert all(module.startswith("connectors/") for module in _calls("Own"))
    assert all(module.startswith("connectors/") for module in _calls("_open_session"))
    sessions = {module for module in _calls("session") if not module.startswith("connectors/")}
    assert sessions == set()


def test_queries_are_made_by_the_reader_of_mappings_alone() -> None:
    """The platform and what it sends never reach `Queries`; finding.py wraps a partner's own query of changes."""
    assert _calls("Queries") - {"frontend_agent/mapping_file.py", "frontend_agent/finding.py"} == set()


def test_the_sql_of_a_mapping_is_read_beside_it_and_never_from_a_pack() -> None:
    asked: list[str] = []
    files = {
        "site/m.toml": MAPPING.format(changed="pack:evil.sql"),
        "site/p.sql": 'SELECT n AS "report_number" FROM r',
    }

    def packed(path: str) -> str:
        asked.append(path)
        return 'SELECT t AS "cursor", n AS "key" FROM r' if path.endswith(".sql") else 'code,to\n"1","1"\n'

    def read(path: str) -> str:
        try:
            return files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    with pytest.raises(ConfigurationError, match=r"evil\.sql"):
        parse_mapping("m", "site/m.toml", "", read, packed)
    assert asked == []

    files["site/m.toml"] = MAPPING.format(changed="c.sql")
    files["site/c.sql"] = 'SELECT t AS "cursor", n AS "key" FROM r'
    with contextlib.suppress(ConfigurationError):  # what the code map of this test looks like is of no matter
        parse_mapping("m", "site/m.toml", "", read, packed)
    assert asked
    assert all(path.startswith("codes/") for path in asked)


@pytest.mark.parametrize("path", ["queries/lab_report.sql", "mappings/x.toml", "codes/../x.sql", "lab_report.sql"])
def test_a_pack_brings_no_queries_and_no_mappings(path: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    manifest = b'name = "gd"\nversion = "1"\ndate = 2026-01-01\n'

    with pytest.raises(PackRefused):
        build({"pack.toml": manifest, path: b"SELECT 1"}, key)
