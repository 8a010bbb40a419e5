"""Registrations are feeds: the demonstration hospital's departments, staff, patients and terms, then a prescription that waits."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.delivery import State
from frontend_agent.demo.hospital import HIS, create_hospital
from frontend_agent.formats import load_kind
from frontend_agent.mapping import compile_mapping, load_mapping
from frontend_agent.shipped import read_file
from tests.conftest import shared_folder
from tests.hip_region import Region, region

pytestmark = pytest.mark.skipif(
    not (shared_folder() / "standards").is_dir(), reason="the national tables are not beside this checkout"
)
FEEDS = {"departments": "H0301", "staff": "H0401", "patients": "H0201", "drug_terms": "H0501"}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    create_hospital(folder, 40, seed=5)
    # The prescriptions of a site that says whose they are by its own number.
    mine = folder / "mapping"
    shutil.copytree(ROOT / "mappings" / "demo_his", mine)
    query = mine / "prescription.sql"
    query.write_text(
        read_file(str(query)).replace("SELECT\n", 'SELECT\n    c.brid AS "fact.patient_id",\n', 1), "utf-8"
    )
    return folder


@pytest.fixture
def platform() -> Iterator[Region]:
    with region() as one:
        yield one


class Site:
    """An agent whose clock goes on with every exchange."""

    def __init__(self, hospital: Path, state: Path, url: str) -> None:
        feeds = "".join(
            f'[[feeds]]\nname = "{name}"\nsource = "his"\nmapping = "{mapping}"\nevery = "5m"\nbatch = 2000\n'
            for name, mapping in [
                *((name, f"demo_his/{name}") for name in FEEDS),
                ("prescription", str(hospital / "mapping" / "prescription.toml")),
            ]
        )
        text = f"""
[institution]
id = "999000013"
name = "示范市第一人民医院"
[sources.his]
url = "sqlite:///{hospital / HIS}"
[destinations.region]
type = "hip"
url = "{url}"
register_first = true
registrations = ["patient", "institution", "staff"]
confirm = "retrieve"
{feeds}
"""
        self.now = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
        self.app = App(parse_config(text, str(hospital / "agent.toml")), state, clock=lambda: self.now)

    def run(self, feed: str) -> None:
        outcome = self.app.run_feed(feed, threading.Event())
        assert not outcome.error, outcome.error

    def send(self, rounds: int = 60) -> None:
        for _ in range(rounds):
            self.now += timedelta(minutes=11)
            if not self.app.send("region"):
                return

    def states(self) -> dict[str, int]:
        return {state: n for state, n in self.app.spool.counts().deliveries.get("region", {}).items() if n}


@pytest.mark.parametrize(("name", "code"), FEEDS.items())
def test_the_mappings_of_registrations_compile_and_make_messages(hospital: Path, name: str, code: str) -> None:
    mapping = load_mapping(f"demo_his/{name}")
    assert mapping.kind == code
    assert compile_mapping(mapping, load_kind(code), "999000013", "示范市第一人民医院")


def test_documents_wait_for_their_patients_staff_and_hospital_and_then_go(
    hospital: Path, platform: Region, tmp_path: Path
) -> None:
    site = Site(hospital, tmp_path / "state", platform.url)
    with site.app:
        site.run("prescription")
        waiting = site.states()[State.AWAITING]
        site.send()
        assert not platform.got
        assert waiting > 5

        site.run("departments")
        site.run("staff")
        site.run("drug_terms")
        site.send()
        assert site.states()[State.AWAITING] == waiting  # no patient is known there yet
        assert {action for action, _ in platform.got} == {
            "OrganizationInfoRegister", "ProviderInfoRegister", "TerminologyRegister",
        }  # fmt: skip

        site.run("patients")
        site.send()

        states = site.states()
        assert set(states) == {State.ACCEPTED}, states
        assert len(platform.documents) == waiting
        assert all(action != "PatientInfoUpdate" for action, _ in platform.got)


def test_a_person_who_changed_is_updated_under_the_second_service(
    hospital: Path, platform: Region, tmp_path: Path
) -> None:
    mine = tmp_path / "hospital"
    shutil.copytree(hospital, mine)
    site = Site(mine, tmp_path / "state", platform.url)
    with site.app:
        site.run("departments")
        site.run("patients")
        site.send()
        with closing(sqlite3.connect(mine / HIS)) as database, database:
            (who,) = database.execute("SELECT min(brid) FROM mz_brxx WHERE sfbmbz <> '1'").fetchone()
            database.execute(
                "UPDATE mz_brxx SET lxdh = '13900000001', xgsj = '2026-11-21 12:00:00' WHERE brid = ?", (who,)
            )
        site.run("patients")
        site.send()

    action, message = platform.got[-1]
    assert action == "PatientInfoUpdate"
    assert "<PRPA_IN201314UV02 " in message
    assert f'extension="{who}"' in message
    assert 'value="13900000001"' in message
