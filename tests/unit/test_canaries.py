"""The net that catches patients in logs has no holes: what is planted is found, and what is none is left alone."""

import random
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from frontend_agent.demo import persons
from tests.canaries import canaries_in
from tests.conftest import REPOSITORY

BITES = """
import logging, sys
import pytest
from frontend_agent.logs import log, to_file

NUMBER = "990101" + "19850614" + "0013"

def test_in_the_captured_log():
    log.warning("feed.run problem=" + NUMBER)

def test_on_standard_error():
    print(NUMBER, file=sys.stderr)

def test_in_a_log_file(tmp_path):
    to_file(tmp_path)
    log.warning("feed.run name=" + "张小" + "满")

def test_in_a_log_file_of_a_process_that_a_fixture_ran(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "agent.log").write_text("tel 100" + "12345678", "utf-8")

def test_clean(tmp_path):
    to_file(tmp_path)
    log.warning("feed.run feed=lab_report document=999000013.1.C0007.ab12-1 bytes=17179869184")
"""


def test_whoever_is_invented_is_a_canary() -> None:
    rng = random.Random(7)
    for _ in range(200):
        one = persons.resident(rng, "1", date(1985, 6, 14), "2")
        assert "identity number" in canaries_in(f"feed.failed key={one.id_number}")
        assert "telephone" in canaries_in(f"said {one.telephone}.")
        if len(one.name) in (3, 4):
            assert "name" in canaries_in(f"error={one.name}不存在")


@pytest.mark.parametrize(
    "line",
    [
        "delivery.settled destination=platform documents=100 seconds=0.041",
        "2.25.52173479234679108912079713482531589577 2.25.100123456781 1.2.840.990101198506140013",
        "document=999000013.1.C0007.9901011985061400137ab-1 rows=99010119850614001 quota=17179869184",
        "数据流 lab_report 已读取 3 条；来源未答复",
    ],
)
def test_identifiers_and_figures_are_none(line: str) -> None:
    assert canaries_in(line) == []


def test_the_addresses_of_the_demonstration_are_canaries() -> None:
    assert canaries_in("住示范市建设路12号") == ["address"]


def test_a_test_that_lets_a_patient_into_a_log_fails(tmp_path: Path) -> None:
    (tmp_path / "test_bites.py").write_text(BITES, "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*command, str(tmp_path / "test_bites.py")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    for name in (
        "in_the_captured_log",
        "on_standard_error",
        "in_a_log_file",
        "in_a_log_file_of_a_process_that_a_fixture_ran",
    ):
        assert f"test_bites.py::test_{name}\n" in done.stdout.replace(" - ", "\n"), done.stdout
    assert "::test_clean" not in done.stdout
    assert "a patient in a log: identity number in" in done.stdout
