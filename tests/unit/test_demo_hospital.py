"""The demonstration hospital: the same for the same seed, full of people who cannot exist, and honest about its faults."""

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from frontend_agent.demo.clinical import CASES, DEPARTMENTS, TRADITION
from frontend_agent.demo.drugs import DRUGS, FORMS, FREQUENCIES, ROUTES
from frontend_agent.demo.faults import FAULTS
from frontend_agent.demo.hospital import HIS, LIS, PLANTED, RIS, create_hospital
from frontend_agent.demo.later import advance
from frontend_agent.demo.oracle.expectations import EXPECTED
from frontend_agent.demo.panels import PANELS
from frontend_agent.demo.rhythm import VISITS_A_DAY, days_for

VISITS = 400


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    create_hospital(folder, VISITS, seed=7)
    return folder


def dump(folder: Path) -> list[str]:
    lines = [(folder / PLANTED).read_text("utf-8")]
    for name in (HIS, LIS, RIS):
        with closing(sqlite3.connect(folder / name)) as database:
            lines += database.iterdump()
    return lines


def ask(folder: Path, sql: str, database: str = HIS) -> list[tuple]:
    with closing(sqlite3.connect(folder / database)) as connection:
        return connection.execute(sql).fetchall()


def planted(folder: Path) -> dict:
    return json.loads((folder / PLANTED).read_text("utf-8"))


def test_the_same_seed_makes_the_same_hospital_to_the_byte(hospital: Path, tmp_path: Path) -> None:
    create_hospital(tmp_path, VISITS, seed=7)
    assert dump(tmp_path) == dump(hospital)


def test_another_seed_makes_another_hospital(hospital: Path, tmp_path: Path) -> None:
    create_hospital(tmp_path, VISITS, seed=8)
    assert dump(tmp_path) != dump(hospital)


def test_what_happens_later_follows_from_the_seed_as_well(tmp_path: Path) -> None:
    for name in ("one", "other"):
        create_hospital(tmp_path / name, 150, seed=3)
        advance(tmp_path / name, 1)
        advance(tmp_path / name, 2)
    assert dump(tmp_path / "one") == dump(tmp_path / "other")


def test_steps_are_played_in_order_and_once(tmp_path: Path) -> None:
    create_hospital(tmp_path, 60, seed=3)
    advance(tmp_path, 1)
    with pytest.raises(ValueError, match="the next one is 2"):
        advance(tmp_path, 1)


def test_a_hospital_is_not_written_over(hospital: Path) -> None:
    with pytest.raises(FileExistsError):
        create_hospital(hospital, 10)


def test_no_identity_number_can_belong_to_anybody(hospital: Path) -> None:
    """No administrative division begins with 99; nothing but the planted ones breaks the check digit."""
    numbers = [number for (number,) in ask(hospital, "SELECT zjhm FROM mz_brxx WHERE zjlx = '居民身份证'")]
    junk = [number for number in numbers if len(set(number[:17])) == 1]
    assert numbers
    assert all(number.startswith("99") for number in numbers if number not in junk)
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    wrong = [
        n for n in numbers if "10X98765432"[sum(int(d) * w for d, w in zip(n, weights, strict=False)) % 11] != n[17]
    ]
    assert 0 < len(wrong) < len(numbers) * 0.03


def test_telephone_numbers_have_a_prefix_no_operator_has(hospital: Path) -> None:
    assert all(re.fullmatch(r"100\d{8}|", number) for (number,) in ask(hospital, "SELECT lxdh FROM mz_brxx"))


def test_about_one_record_in_twenty_is_faulty(hospital: Path) -> None:
    counts = (
        ("SELECT COUNT(*) FROM mz_jzjl", HIS),
        ("SELECT COUNT(*) FROM mz_cf", HIS),
        ("SELECT COUNT(*) FROM lis_bg", LIS),
        ("SELECT COUNT(*) FROM ris_jc", RIS),
    )
    records = sum(ask(hospital, sql, database)[0][0] for sql, database in counts)
    faulty = {(entry["kind"], entry["key"]) for entry in planted(hospital)["planted"]}
    assert 0.03 < len(faulty) / records < 0.08


def test_every_planted_fault_names_rows_that_exist(hospital: Path) -> None:
    keys = {
        "C0002": {key for (key,) in ask(hospital, "SELECT mzh FROM mz_jzjl")},
        "C0004": {key for (key,) in ask(hospital, "SELECT cfh FROM mz_cf")},
        "C0007": {key for (key,) in ask(hospital, "SELECT bgh FROM lis_bg", LIS)},
        "C0006": {key for (key,) in ask(hospital, "SELECT jch FROM ris_jc", RIS)},
        "C0034": {key for (key,) in ask(hospital, "SELECT zyh FROM zy_ryjl")},
        "C0032": {key for (key,) in ask(hospital, "SELECT zyh FROM zy_basy")},
    }
    entries = planted(hospital)
    for entry in (*entries["planted"], *entries["oddities"]):
        assert entry["key"] in keys[entry["kind"]], entry


def test_the_oracle_knows_what_to_expect_of_every_fault() -> None:
    assert set(EXPECTED) == {*FAULTS, "duplicated_visit"}


def test_the_unusual_are_there(tmp_path: Path) -> None:
    create_hospital(tmp_path, 2500, seed=1)
    kinds = Counter(entry["oddity"] for entry in planted(tmp_path)["oddities"])
    assert {"newborn", "foreigner", "unknown_person", "line_breaks", "below_detection"} <= set(kinds)
    assert ask(tmp_path, "SELECT 1 FROM mz_brxx WHERE xm LIKE '%之子' AND xsebz = '1'")
    assert ask(tmp_path, "SELECT 1 FROM mz_brxx WHERE xm LIKE '无名氏%' AND csrq = ''")
    assert ask(tmp_path, "SELECT 1 FROM mz_brxx WHERE zjlx = '护照' AND gj <> '156'")
    assert {sex for (sex,) in ask(tmp_path, "SELECT DISTINCT xb FROM mz_brxx")} >= {"男", "女", "1", "2", "M", "F"}
    assert {s for (s,) in ask(tmp_path, "SELECT DISTINCT brly FROM lis_bg", LIS)} >= {"MZ", "JZ", "ZY"}


def test_later_everything_happens_that_a_feed_must_cope_with(tmp_path: Path) -> None:
    create_hospital(tmp_path, 1000, seed=2)
    advance(tmp_path, 1)
    events = Counter((event["kind"], event["event"]) for event in planted(tmp_path)["events"])
    assert {event for _, event in events} == {"late", "corrected", "touched", "reversed", "voided", "mended", "closed"}
    assert {("C0002", "late"), ("C0002", "corrected"), ("C0007", "corrected"), ("C0007", "voided")} <= set(events)
    assert ask(tmp_path, "SELECT COUNT(*) FROM mz_cfmx WHERE sl < 0")[0][0] > 0


def test_late_rows_carry_a_time_before_what_was_there(tmp_path: Path) -> None:
    create_hospital(tmp_path, 200, seed=2)
    newest = ask(tmp_path, "SELECT MAX(xgsj) FROM mz_jzjl")[0][0]
    advance(tmp_path, 1)
    late = [
        event["key"] for event in planted(tmp_path)["events"] if event["event"] == "late" and event["kind"] == "C0002"
    ]
    marks = ", ".join("?" * len(late))
    with closing(sqlite3.connect(tmp_path / HIS)) as database:
        times = [t for (t,) in database.execute(f"SELECT xgsj FROM mz_jzjl WHERE mzh IN ({marks})", late)]
    assert times
    assert all(time < newest for time in times)


def test_a_working_day_has_eight_thousand_visits_and_a_sunday_fewer() -> None:
    days = days_for(sum(VISITS_A_DAY.values()), date(2026, 3, 15))
    assert [count for _, count in days] == [VISITS_A_DAY[day.weekday()] for day, _ in days]
    assert days[-1] == (date(2026, 3, 15), VISITS_A_DAY[6])


def test_visits_come_in_waves(tmp_path: Path) -> None:
    create_hospital(tmp_path, 2000, seed=1)
    hours = Counter(int(time[11:13]) for (time,) in ask(tmp_path, "SELECT ghsj FROM mz_ghxx WHERE ghlb <> '急诊'"))
    assert min(hours[9], hours[10]) > 2 * hours[12]
    assert hours[14] > 2 * hours[12]
    emergencies = Counter(int(time[11:13]) for (time,) in ask(tmp_path, "SELECT ghsj FROM mz_ghxx WHERE ghlb = '急诊'"))
    assert emergencies[20] + emergencies[21] + emergencies[2] > 0


def test_the_content_tables_fit_together() -> None:
    for case in CASES:
        assert case.department in DEPARTMENTS
        assert set(case.drugs) <= set(DRUGS)
        assert set(case.panels) <= set(PANELS)
    assert {case.name for case in CASES if case.department == "5000"} == set(TRADITION)
    for drug in DRUGS.values():
        assert drug.form in FORMS
        assert drug.route in ROUTES
        assert drug.frequency in FREQUENCIES
        assert len(drug.specification) <= 20  # the element's length
    assert len(PANELS["XCG"].items) >= 20
