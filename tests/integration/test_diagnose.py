"""A support bundle of an agent that has worked: everything that support needs, and no patient (threat L1)."""

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.cli.main import run
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.platform.store import Store
from frontend_agent.spool import Spool
from tests.canaries import canaries_in
from tests.platform_kit import running

CONFIG = """
# asked by 张小满, identity number {number}
workers = 0
[institution]
id = "999000013"
name = "示范市第一人民医院"
[sources.his]
url = "sqlite:///hospital/his.db"
[sources.lis]
url = "sqlite:///hospital/lis.db"
[sources.his.waiver]
who = "李卫东"
reason = "张小满同意"
until = 2027-12-31
[[feeds]]
name = "outpatient_visit"
source = "his"
mapping = "demo_his/outpatient_visit"
[[feeds]]
name = "lab_report"
source = "lis"
mapping = "demo_lis/lab_report"
[destinations.platform]
url = "{url}"
"""
LATER = """
[sources.old]
odbc = "DRIVER=FreeTDS;SERVER=10.0.0.9;UID=reader"
secret = "old_password"
[sources.other]
url = "postgresql://somebody@10.0.0.8/his"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent that has read sixty visits with their faults: some of it is held, the rest is delivered."""
    folder = tmp_path_factory.mktemp("diagnose")
    create_hospital(folder / "hospital", 60, seed=3)
    (number,) = _column(folder / "hospital" / "his.db", "SELECT zjhm FROM mz_brxx WHERE length(zjhm) = 18 LIMIT 1")
    store = Store(folder / "platform").open()
    try:
        with running(store) as url:
            (folder / "agent.toml").write_text(CONFIG.format(number=number, url=url), encoding="utf-8")
            run(["--config", str(folder / "agent.toml"), "once"])
    finally:
        store.close()
    with (folder / "agent.toml").open("a", encoding="utf-8") as file:
        file.write(LATER)  # sources that nobody asks here
    return folder


def _column(database: Path, query: str) -> list[str]:
    with sqlite3.connect(database) as connection:
        return [str(row[0]) for row in connection.execute(query)]


def bundle(site: Path, tmp_path: Path, *arguments: str) -> dict[str, str]:
    path = tmp_path / "bundle.zip"
    assert run(["--config", str(site / "agent.toml"), *arguments, "diagnose", "--out", str(path)]) == 0
    assert path.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}


def test_everything_support_needs_is_there_and_listed(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = bundle(site, tmp_path)
    assert set(files) == {
        "MANIFEST.txt", "configuration.json", "status.json", "counts.json", "plans.json", "schema.json", "quality-log.json",
        "agent.log", "versions.json", "system.json",
    }  # fmt: skip
    said = capsys.readouterr().out
    for name in set(files) - {"MANIFEST.txt"}:
        assert name in files["MANIFEST.txt"]
        assert name in said
    causes = json.loads(files["counts.json"])["causes"]
    assert sum(one["count"] for one in causes) > 0
    assert {one["rule"] for one in causes} & {"DE-MISSING", "MAP001", "ID-SEX", "TEXT-MOJIBAKE"}
    assert json.loads(files["schema.json"])["rows"]["log"] > 0
    assert json.loads(files["status.json"])["feeds"]
    assert "feed.run" in files["agent.log"]


def test_no_patient_is_in_it(site: Path, tmp_path: Path) -> None:
    """Every name, identity number, telephone and address of the hospital, looked for in every file of the bundle."""
    files = bundle(site, tmp_path)
    his = site / "hospital" / "his.db"
    planted = {
        *_column(his, "SELECT xm FROM mz_brxx WHERE length(xm) > 1"),
        *_column(his, "SELECT zjhm FROM mz_brxx WHERE length(zjhm) > 7"),
        *_column(his, "SELECT lxdh FROM mz_brxx WHERE length(lxdh) > 7"),
        *_column(his, "SELECT xm FROM dm_zg"),
    }
    assert len(planted) > 150
    for name, text in files.items():
        assert [one for one in planted if one in text] == [], name
        assert canaries_in(text) == [], name


def test_keys_and_values_of_what_is_held_stay_here(site: Path, tmp_path: Path) -> None:
    files = bundle(site, tmp_path)
    with Spool(site / "state").open() as spool:
        held = list(spool.cases())
    assert held
    for name, text in files.items():
        assert [case.key for case in held if len(case.key) > 6 and case.key in text] == [], name


def test_settings_are_there_without_accounts_names_and_comments(site: Path, tmp_path: Path) -> None:
    settings: Any = json.loads(bundle(site, tmp_path)["configuration.json"])
    assert settings["sources"]["old"]["odbc"] == "DRIVER=FreeTDS;SERVER=10.0.0.9;UID=***"
    assert settings["sources"]["old"]["secret"] == "old_password"  # its name: the value is nowhere in our reach
    assert settings["sources"]["other"]["url"] == "postgresql://***@10.0.0.8/his"
    assert settings["sources"]["his"]["waiver"]["who"] == "***"
    assert [feed["name"] for feed in settings["feeds"]] == ["outpatient_visit", "lab_report"]


def test_what_slipped_into_a_log_is_taken_out_and_counted(site: Path, tmp_path: Path) -> None:
    log = site / "state" / "agent.log"
    before = log.read_bytes()
    number = _column(site / "hospital" / "his.db", "SELECT zjhm FROM mz_brxx WHERE length(zjhm) = 18 LIMIT 1")[0]
    try:
        log.write_bytes(before + f"feed.odd key={number} tel=10012345678 by=somebody@hospital.example\n".encode())
        files = bundle(site, tmp_path)
    finally:
        log.write_bytes(before)
    assert "feed.odd key=*** tel=*** by=***hospital.example" in files["agent.log"]
    assert "(3 values that looked like a person's were taken out)" in files["MANIFEST.txt"]


def test_a_bundle_is_made_where_nothing_else_works(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("[institution\n", encoding="utf-8")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "agent.log").write_text("daemon.ready feeds=3\n", encoding="utf-8")
    files = bundle(tmp_path, tmp_path, "--state", str(tmp_path / "state"))
    assert "not TOML" in files["problem.txt"]
    assert files["agent.log"] == "daemon.ready feeds=3\n"
    assert {"versions.json", "system.json"} <= set(files)


def test_an_older_bundle_is_not_overwritten(site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle(site, tmp_path)
    assert run(["--config", str(site / "agent.toml"), "diagnose", "--out", str(tmp_path / "bundle.zip")]) == 1
    assert "File exists" in capsys.readouterr().err


def test_that_a_bundle_was_made_is_in_the_quality_log(site: Path, tmp_path: Path) -> None:
    bundle(site, tmp_path)
    with Spool(site / "state").open() as spool:
        newest = json.loads(spool.log_newest(1)[0].body)
    assert (newest["event"], newest["act"]) == ("act", "diagnosis")
