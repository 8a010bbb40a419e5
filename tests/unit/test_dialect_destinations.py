"""Destinations of the dialects as a site configures them: from agent.toml to the edge that sends, and to the printed tables."""

import json
from pathlib import Path

import pytest

from connectors.outlets.packages import PackagesEdge
from connectors.outlets.table import TableEdge
from connectors.outlets.xds import XdsEdge
from frontend_agent.cli.main import run
from frontend_agent.config import load_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.outlets import open_outlet
from tests.unit.opened_documents import CONTENT
from tests.unit.test_packages import SITE as SETS
from tests.unit.test_shared_tables_words import SITE as TABLES
from tests.unit.test_xds import CODES

AGENT = """
[institution]
id = "999000013"
name = "示范市第一人民医院"
[sources.lis]
url = "sqlite:///lis.db"
[destinations.packages]
type = "packages"
url = "http://10.1.0.5/gateway"
plain = true
data_sets = "sets.toml"
[destinations.table]
type = "table"
url = "mariadb://writer@10.1.0.5/region"
tables = "tables.toml"
status_column = "SHZT"
[destinations.xds]
type = "xds"
url = "https://10.1.0.5/repository"
codes = "codes.toml"
source_id = "1.2.3"
assigning_authority = "1.2.4"
[[feeds]]
name = "lab"
source = "lis"
mapping = "demo_lis/lab_report"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in (("agent.toml", AGENT), ("sets.toml", SETS), ("tables.toml", TABLES), ("codes.toml", CODES)):
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path / "agent.toml"


def test_each_of_them_can_be_asked_later() -> None:
    """What asks them relies on all of these names; a type that lacks one would stop its destination's thread."""
    for edge in (PackagesEdge, TableEdge, XdsEdge):
        for name in (
            "asks_every",
            "asks_first",
            "asks_until",
            "ask",
            "heard",
            "send",
            "take_replies",
            "probe",
            "at_once",
        ):
            assert hasattr(edge, name), f"{edge.__name__}.{name}"


def test_each_type_opens_its_edge_from_files_beside_agent_toml(site: Path) -> None:
    config = load_config(site)
    opened = {name: open_outlet(config, name, CONTENT) for name in config.destinations}

    assert [type(edge) for edge in opened.values()] == [PackagesEdge, TableEdge, XdsEdge]
    assert {edge.name for edge in opened.values()} == {"packages", "table", "xds"}


@pytest.mark.parametrize(("destination", "name"), [("packages", "sets"), ("table", "tables"), ("xds", "codes")])
def test_a_file_that_is_not_there_is_named_with_its_destination(site: Path, destination: str, name: str) -> None:
    (site.parent / f"{name}.toml").unlink()
    config = load_config(site)
    with pytest.raises(ConfigurationError, match=rf"destinations\.{destination}: \w+: .*{name}\.toml cannot be read"):
        open_outlet(config, destination, CONTENT)


def test_the_tables_of_a_destination_are_printed(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--config", str(site), "tables", "table"]) == 0
    assert "CREATE TABLE TB (" in (text := capsys.readouterr().out)
    assert "作废标识 CHAR(1) COMMENT" in text
    assert "ENGINE=InnoDB" in text
    assert run(["--config", str(site), "tables", "table", "--engine", "oracle", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tables"] == ["TB", "MX"]
    assert "VARCHAR2" in told["sql"]
    assert run(["--config", str(site), "tables", "xds"]) == 78
    assert "(there are: table)" in capsys.readouterr().err
