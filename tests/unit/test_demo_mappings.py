"""The demonstration hospital's mappings: they compile, they ask by index, they net what was given back."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import SourceOptions, open_source
from connectors.source import Source
from frontend_agent.demo.drugs import DRUGS
from frontend_agent.demo.hospital import HIS, LIS, RIS, create_hospital
from frontend_agent.demo.later import advance
from frontend_agent.formats import load_kind, value_set
from frontend_agent.imaging.orders import ORDER_KIND
from frontend_agent.mapping import Mapping, compile_mapping, load_mapping
from frontend_agent.model import SourceRecord

MAPPINGS = {
    "demo_his/outpatient_visit": HIS,
    "demo_his/prescription": HIS,
    "demo_lis/lab_report": LIS,
    "demo_ris/exam_report": RIS,
    "demo_ris/orders": RIS,
}
SMALL = ("dm_ks", "dm_zg", "lis_ry", "ris_ry", "bg", "js", "sh", "xt_jg", "k", "z", "q", "g")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    create_hospital(folder, 300, seed=5)
    advance(folder, 1)
    return folder


@pytest.fixture
def his(hospital: Path) -> Iterator[Source]:
    source = open_source("his", SourceOptions(url=f"sqlite:///{hospital / HIS}"))
    yield source
    source.close()


def kind_of(mapping: Mapping) -> Any:
    """A document's kind; orders of studies have fields of their own."""
    return ORDER_KIND if mapping.kind == ORDER_KIND.code else load_kind(mapping.kind)


def records(source: Source, name: str, keys: list[str]) -> dict[str, SourceRecord]:
    mapping = load_mapping(name)
    compiled = compile_mapping(mapping, kind_of(mapping), "999000013", "示范市第一人民医院")
    return {record.key: record for record in compiled(source.rows(mapping.queries, keys))}


def ask(hospital: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(hospital / HIS)) as database:
        return database.execute(sql).fetchall()


@pytest.mark.parametrize("name", MAPPINGS)
def test_every_alias_is_a_field_and_every_code_exists(name: str) -> None:
    mapping = load_mapping(name)
    kind = kind_of(mapping)
    compile_mapping(mapping, kind, "999000013", "示范市第一人民医院")
    for field, table in mapping.codes.items():
        if table.value_set:
            known = value_set(table.value_set)
            assert set(table.codes.values()) <= set(known.entries), field


def plan_of(database: sqlite3.Connection, sql: str, parameters: tuple = ()) -> list[str]:
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]


def queries_of(mapping: Mapping) -> dict[str, str]:
    return {"parent": mapping.queries.parent} | {name: detail.sql for name, detail in mapping.queries.details.items()}


@pytest.mark.parametrize(("name", "database"), MAPPINGS.items())
def test_rows_are_found_by_key_without_reading_a_table(hospital: Path, name: str, database: str) -> None:
    mapping = load_mapping(name)
    with closing(sqlite3.connect(hospital / database)) as connection:
        for query, sql in queries_of(mapping).items():
            plan = plan_of(connection, f'SELECT * FROM (\n{sql}\n) q WHERE q."{mapping.key}" IN (?, ?)', ("a", "b"))
            scanned = [step for step in plan if step.startswith("SCAN") and step.split()[1] not in SMALL]
            assert not scanned, f"{query}: {scanned}"
            # By key, not by a column that half the table shares.
            assert not any("tfmxxh=?)" in step and "cfh=?" not in step for step in plan), plan


@pytest.mark.parametrize(("name", "database"), MAPPINGS.items())
def test_what_changed_is_found_by_the_change_index(hospital: Path, name: str, database: str) -> None:
    sql = load_mapping(name).queries.changed
    asked = (
        f'SELECT q."cursor", q."key" FROM (\n{sql}\n) q WHERE q."key" IS NOT NULL AND q."cursor" >= ?'
        ' ORDER BY q."cursor", q."key" LIMIT 100'
    )
    with closing(sqlite3.connect(hospital / database)) as connection:
        plan = plan_of(connection, asked, ("2026-03-16 12:00:00",))
    assert not [step for step in plan if step.startswith("SCAN")], plan


def test_every_record_of_the_hospital_is_read_once(hospital: Path, his: Source) -> None:
    mapping = load_mapping("demo_his/outpatient_visit")
    pages = his.changed(mapping.queries, None, timedelta(0), 100)
    keys = [key for page in pages for key in page.keys]
    assert sorted(keys) == sorted(key for (key,) in ask(hospital, "SELECT DISTINCT mzh FROM mz_jzjl"))


def test_what_was_given_back_is_netted(hospital: Path, his: Source) -> None:
    sql = "SELECT cfh FROM mz_cfmx GROUP BY cfh HAVING SUM(sl < 0) > 0 AND SUM(sl) > 0 ORDER BY cfh"
    keys = [key for (key,) in ask(hospital, sql)]
    assert keys
    for key, record in records(his, "demo_his/prescription", keys).items():
        net = dict(
            ask(
                hospital,
                f"SELECT ypmc, SUM(sl) FROM mz_cfmx WHERE cfh = '{key}' GROUP BY ypmc HAVING SUM(sl) > 0",
            )
        )
        amount = ask(hospital, f"SELECT SUM(je) FROM mz_cfmx WHERE cfh = '{key}'")[0][0]
        assert {drug["name"]: int(drug["total_dose"]) for drug in record.record["drugs"]} == net
        assert float(record.record["amount"]) == pytest.approx(amount)
        assert not record.void


def test_what_was_given_back_as_a_whole_is_void_and_says_what_it_was(hospital: Path, his: Source) -> None:
    keys = [key for (key,) in ask(hospital, "SELECT cfh FROM mz_cfmx GROUP BY cfh HAVING SUM(sl) = 0 ORDER BY cfh")]
    assert keys
    for record in records(his, "demo_his/prescription", keys).values():
        assert record.void
        assert record.record["drugs"]


def test_a_visit_written_twice_is_one_record(tmp_path: Path) -> None:
    create_hospital(tmp_path, 1200, seed=1)
    twice = [key for (key,) in ask(tmp_path, "SELECT mzh FROM mz_jzjl GROUP BY mzh HAVING COUNT(*) > 1 ORDER BY mzh")]
    assert twice
    source = open_source("his", SourceOptions(url=f"sqlite:///{tmp_path / HIS}"))
    found = records(source, "demo_his/outpatient_visit", twice)
    source.close()
    assert sorted(found) == twice
    for record in found.values():
        codes = [row["code"] for row in record.record["diagnoses"]]
        assert len(codes) == len(set(codes)), "details of both rows were taken"


def test_the_code_tables_cover_the_dictionary() -> None:
    codes = load_mapping("demo_his/prescription").codes
    assert {drug.route for drug in DRUGS.values()} <= set(codes["drugs.route"].codes)
    assert {drug.form for drug in DRUGS.values()} <= set(codes["drugs.dosage_form"].codes)
    assert {drug.frequency for drug in DRUGS.values()} <= set(codes["drugs.frequency"].codes)
