"""`source engines` and `source procedures`: the table, the digests, the exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.database import Database
from connectors.engines import ENGINES
from connectors.procedures import Call, digest_of, text_of
from frontend_agent import pinning
from frontend_agent.cli.main import run


def test_engines_are_listed_with_how_far_they_are_tested(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["source", "engines", "--json"]) == 0

    told = {one["engine"]: one for one in json.loads(capsys.readouterr().out)}
    assert told.keys() == {engine.name for engine in ENGINES}
    assert {name for name, one in told.items() if one["tested"]} == {"postgresql", "mariadb", "sqlite"}
    assert {name for name, one in told.items() if one["url"]} >= {"oracle", "sqlserver"}
    assert run(["source", "engines"]) == 0
    assert "达梦" in capsys.readouterr().out


DIGEST = digest_of([("SELECT 1",)])


@pytest.mark.parametrize(
    ("listed", "found", "state", "code"),
    [
        (f'procedures = {{ "p" = "{DIGEST}" }}', DIGEST, "pinned", 0),
        ("", DIGEST, "unpinned", 1),
        (f'procedures = {{ "p" = "{digest_of([("SELECT 2",)])}" }}', DIGEST, "changed", 1),
        ("", "", "unread", 1),
    ],
)
def test_a_procedures_digest_is_told_beside_the_pinned_one(
    listed: str, found: str, state: str, code: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "agent.toml"
    example = (Path(__file__).parents[2] / "agent.toml").read_text("utf-8")
    file.write_text(example.replace("[sources.his]\n", f"[sources.his]\n{listed}\n"), "utf-8")
    call = text_of(Call("p", (("", "key"),), (("key", "NO"),)))
    monkeypatch.setattr(pinning, "statements_of", lambda feed: [("parent", call, "his")])
    asked: list[str] = []

    def digest(source: Any, name: str, ask: Any = None) -> str:
        asked.append(name)
        return found

    monkeypatch.setattr(Database, "digest_of_procedure", digest)

    assert run(["source", "procedures", "his", "--json", "--config", str(file)]) == code
    assert json.loads(capsys.readouterr().out)[0]["state"] == state
    assert asked == ["p"]
    assert run(["source", "procedures", "his", "--config", str(file)]) == code
    said = capsys.readouterr().out
    assert (f'procedures = {{ "p" = "{found}" }}' in said.replace("\n", "")) == (code == 1 and bool(found))
