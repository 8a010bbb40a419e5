"""`init`: a commented example without options; from a system, a mapping that is read, tried, and never written over."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from connectors import SourceOptions, open_source
from frontend_agent.cli.main import run
from frontend_agent.config import load_config
from frontend_agent.formats import load_kinds
from frontend_agent.introducing import look_at, proposals
from frontend_agent.mapping import load_mapping

TABLES = (
    "CREATE TABLE dm_ks (ksdm TEXT PRIMARY KEY, ksmc TEXT)",
    "CREATE TABLE dm_zg (zgdm TEXT PRIMARY KEY, xm TEXT)",
    "CREATE TABLE mz_brxx (brid INTEGER PRIMARY KEY, xm TEXT, xb TEXT, csrq TEXT, sfzh TEXT, lxdh TEXT)",
    "CREATE TABLE mz_cf (cfh TEXT PRIMARY KEY, brid INTEGER, mzh TEXT, kfsj TEXT, kfks TEXT, kfys TEXT, zddm TEXT,"
    " zdmc TEXT, je NUMERIC, cfbz TEXT, zfbz TEXT, xgsj TEXT)",
    "CREATE TABLE mz_cfmx (mxxh INTEGER PRIMARY KEY, cfh TEXT, ypmc TEXT, gg TEXT, yl NUMERIC, yldw TEXT, pc TEXT,"
    " yf TEXT, sl NUMERIC, dw TEXT)",
    "CREATE TABLE mz_bm (ygdm TEXT, photo BLOB)",
    "CREATE INDEX ix_mx ON mz_cfmx (cfh)",
)
ROWS = {
    "dm_ks": [("NK01", "内科门诊"), ("WK01", "外科门诊")],
    "dm_zg": [("D001", "王小明"), ("D002", "李大山")],
    "mz_brxx": [(number, f"张三{number}", "1", "1980-01-02", f"11010119800102{number:04d}", "13800000000") for number in range(1, 41)],
    "mz_cf": [
        (f"CF{n:05d}", n, f"MZ{n:05d}", f"2026-03-{n % 27 + 1:02d} 08:00:00", ("NK01", "WK01")[n % 2], ("D001", "D002")[n % 2],
         "J06.900", "急性上呼吸道感染", 12.5, "按时服用", "0", f"2026-03-{n % 27 + 1:02d} 09:00:00")
        for n in range(1, 41)
    ],
    "mz_cfmx": [(n, f"CF{n:05d}", "阿莫西林胶囊", "0.25g*24粒", 0.5, "g", "tid", "口服", 1, "盒") for n in range(1, 41)],
}  # fmt: skip


@pytest.fixture
def his(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "C.UTF-8")
    with sqlite3.connect(tmp_path / "his.db") as made:
        for statement in TABLES:
            made.execute(statement)
        for table, rows in ROWS.items():
            made.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    return tmp_path


def init(*more: str) -> int:
    return run(["init", "--source", "sqlite:///his.db", "--kind", "C0004", *more])


def test_without_options_it_writes_the_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(["init"]) == 0
    assert "[institution]" in (tmp_path / "agent.toml").read_text(encoding="utf-8")
    assert run(["init"]) == 1
    assert run(["init", "--kind", "C0004"]) == 2  # of no system
    assert run(["init", "--source", "sqlite:///x", "--odbc", "DSN=x"]) == 2
    capsys.readouterr()


def test_a_mapping_is_proposed_written_and_tried(his: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--json") == 0
    said = json.loads(capsys.readouterr().out)

    kind = said["kinds"][0]
    columns = {one["field"]: one["column"] for one in kind["fields"]}
    assert kind["table"] == "mz_cf"
    assert kind["groups"] == {"drugs": "mz_cfmx"}
    assert columns["prescription_number"] == "mz_cf.cfh"
    assert columns["patient.name"] == "mz_brxx.xm < brid"
    assert columns["author.name"] == "dm_zg.xm < kfys"
    assert columns["department.name"] == "dm_ks.ksmc < kfks"
    assert columns["drugs.specification"] == "mz_cfmx.gg"
    assert columns["drugs.frequency_text"] == "mz_cfmx.pc"
    assert kind["records"] == 40
    assert {one["field"]: one["complete"] for one in kind["fields"]}["patient.name"] == 1.0
    assert kind["first_document"]["findings"]
    assert "review_pharmacist.name" in {gap["field"] for gap in kind["gaps"] if gap["required"]}
    assert kind["states"] == {"void": "mz_cf.zfbz = 1"}
    mapping = load_mapping(str(his / "mappings/his/prescription.toml"))
    assert mapping.key == "prescription_number"
    assert "xgsj" in mapping.queries.changed
    assert load_config(his / "agent.toml").feed("his_prescription").mapping.endswith("prescription.toml")


def test_every_proposal_says_why_in_the_mapping(his: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--json") == 0
    text = (his / "mappings/his/prescription.toml").read_text(encoding="utf-8")

    assert "#   patient.name: mz_brxx.xm < brid" in text
    assert "40/40 values look like Chinese" in text
    assert "# Gaps" in text
    assert "review_pharmacist.name 处方审核药剂师" in text
    for row in ROWS["mz_brxx"]:
        assert str(row[1]) not in text
    capsys.readouterr()


def test_nothing_is_written_over(his: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--json") == 0
    before = {path: path.read_bytes() for path in his.rglob("*.*") if path.suffix in (".toml", ".sql")}

    assert init("--json") == 1

    assert {path: path.read_bytes() for path in before} == before
    assert "overwrites nothing" in capsys.readouterr().err


def test_where_agent_toml_is_there_it_says_what_to_paste_or_appends_it(
    his: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init"]) == 0
    before = (his / "agent.toml").read_text(encoding="utf-8")

    assert init("--name", "old", "--into", "one") == 0
    assert "[sources.old]" in capsys.readouterr().out
    assert (his / "agent.toml").read_text(encoding="utf-8") == before

    assert init("--name", "old", "--into", "two", "--add") == 0
    assert load_config(his / "agent.toml").feed("old_prescription").source == "old"

    after = (his / "agent.toml").read_text(encoding="utf-8")
    assert init("--name", "old", "--into", "three", "--add") == 78  # the name is taken
    assert (his / "agent.toml").read_text(encoding="utf-8") == after
    capsys.readouterr()


def test_a_person_knows_better(his: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init("--json", "--choose", "C0004:note=", "--table", "C0004=mz_cf") == 0
    columns = {one["field"]: one["column"] for one in json.loads(capsys.readouterr().out)["kinds"][0]["fields"]}
    assert columns["note"] is None

    assert init("--into", "other", "--choose", "C0004:note=mz_cf.nowhere") == 78
    assert init("--into", "another", "--table", "C0004=nowhere") == 78
    assert init("--into", "more", "--kind", "C9999") == 78
    assert init("--choose", "nonsense") == 2
    capsys.readouterr()


def test_on_a_terminal_it_asks_about_what_is_not_sure(
    his: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(text: str, **_: object) -> int:
        asked.append(text)
        return 0

    monkeypatch.setattr("frontend_agent.cli.init._Wanted.asks", property(lambda self: not self.json))
    monkeypatch.setattr("frontend_agent.cli.init.SURE", 0.99)
    monkeypatch.setattr("typer.prompt", prompt)
    assert init("--into", "asked") == 0
    shown = capsys.readouterr().out
    assert asked
    assert all("Enter: take it" in text for text in asked)
    refused = asked[0].split()[0]
    assert f"{refused}* " in shown or f"{refused} " in shown
    text = (his / "asked/prescription.toml").read_text(encoding="utf-8")
    assert f"#   {refused}: " not in text  # it was not taken


def test_what_is_shown_off_a_terminal_holds_no_value_of_a_patient(
    his: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init() == 0
    shown = capsys.readouterr().out

    assert "DE-MISSING" in shown
    for row in ROWS["mz_brxx"]:
        assert not [value for value in (row[1], row[4], row[5]) if str(value) in shown]

    assert init("--into", "again", "--document", "--lang", "zh") == 0
    assert "张三" in capsys.readouterr().out


def test_a_schema_without_records_of_the_kind_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect(tmp_path / "his.db") as made:
        made.execute("CREATE TABLE a (x INTEGER PRIMARY KEY, y TEXT)")

    assert init() == 1
    assert "C0004" in capsys.readouterr().out
    assert not (tmp_path / "agent.toml").exists()


def test_two_thousand_tables_are_proposed_from_in_few_statements_and_little_time(tmp_path: Path) -> None:
    path = tmp_path / "large.db"
    with sqlite3.connect(path) as made:
        for number in range(2000 - len(TABLES)):
            columns = ", ".join(
                f"c{number % 50}_{word}{place} TEXT" for place in range(10) for word in ("dm", "mc", "sj")
            )
            made.execute(f"CREATE TABLE m{number % 40}_t{number} (id{number} INTEGER PRIMARY KEY, {columns[:-1]}X)")
        for statement in TABLES:
            made.execute(statement)
        for table, rows in ROWS.items():
            made.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    source = open_source("large", SourceOptions(url=f"sqlite:///{path}"))
    kinds = [load_kinds()["C0004"]]

    started = time.process_time()
    look = look_at(source, kinds)
    made = proposals(look, kinds, {})
    seconds = time.process_time() - started

    assert len(look.schema) >= 1999
    assert look.statements < 300
    assert seconds < 20
    assert made["C0004"].anchor.name == "mz_cf"
    assert made["C0004"].found["patient.name"].full_name == "mz_brxx.xm < brid"
    source.close()
