"""A whole agent with its state encrypted: everything works, and no patient of the hospital is readable in any raw file of it."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from frontend_agent.cli.work import example
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.dicom.part10 import meta
from frontend_agent.dicom.uids import EXPLICIT_LE
from frontend_agent.sealed_files import is_sealed
from tests.dicom_kit import needs
from tests.integration.test_images_daemon import send
from tests.ports import free_port
from tests.study_kit import CT, data_set, until

PROGRAM = [sys.executable, "-m", "frontend_agent.cli.main"]
AT_REST = """
[secrets]
folder = "{folder}/kept"
credentials = "{folder}/none"
[at_rest]
key = "at_rest_key"
suite = "{suite}"
"""
IMAGES = """
[images]
settle = "1s"
align = false
[images.inlets.pacs]
type = "dicom"
host = "127.0.0.1"
port = {port}
allow = ["127.0.0.1"]
called = "any"
[images.destinations.research]
type = "stow"
url = "http://127.0.0.1:1/dicom-web"
deidentified = true
pseudonym_key = "pseudonyms"
"""
STUDY, PATIENT = "1.2.826.0.1.3680043.9.9999.54", "C4NARY^王小明"
SLICES = 4
PERIOD = ("--from", "2025-01-01", "--to", "2026-12-31")  # of all that the hospital has written


def run(site: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=site,
        env=os.environ | {"LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 1), done
    return done.stdout


@contextlib.contextmanager
def platform(site: Path, port: int) -> Iterator[None]:
    arguments = ["--state", "platform", "platform", "serve", "--port", str(port)]
    process = subprocess.Popen([*PROGRAM, *arguments], cwd=site, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "platform ready" in process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    create_hospital(folder, 25, 3)
    return folder


# Of the demonstration's tables of patients: name, identity number, telephones, address, contact, the hospital's number of him.
ZSTD = b"\x28\xb5\x2f\xfd"  # how every frame, held record and message begins: packed, names cannot be met by a plain search
ABOUT_PEOPLE = ("xm", "zjhm", "lxdh", "gzdh", "dz", "lxrxm", "lxrdh", "brid")


def people_of(hospital: Path) -> set[bytes]:
    found: set[str] = set()
    for file in hospital.glob("*.db"):
        with contextlib.closing(sqlite3.connect(file)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
                if "brid" in columns:
                    for column in sorted({*columns} & {*ABOUT_PEOPLE}):
                        rows = database.execute(f'SELECT DISTINCT "{column}" FROM "{table}"')
                        found |= {str(value).strip() for (value,) in rows if value}
    # What is shorter is met by chance in any ciphertext.
    return {one.encode() for one in found if len(one.encode()) >= 6}


def hits(state: Path, canaries: set[bytes]) -> list[tuple[str, int]]:
    told = []
    for path in sorted(state.rglob("*")):
        if path.is_file():
            content = path.read_bytes() if path.suffix != ".xlsx" else unpacked(path)
            if n := sum(one in content for one in canaries):
                told.append((str(path.relative_to(state)), n))
    return told


def unpacked(workbook: Path) -> bytes:
    """What is in it: as it lies, it is packed."""
    with ZipFile(workbook) as packed:
        return b"".join(packed.read(name) for name in packed.namelist())


def reports(site: Path) -> Path:
    """As the daemon makes them: by the command of a person, into the state."""
    folder = site / "state" / "reports"
    folder.mkdir(exist_ok=True)
    files = [f"--out={folder / f'monthly-2026-03.{form}'}" for form in ("xlsx", "html", "csv")]
    run(site, "qc", "report", *PERIOD, *files)
    return folder


@contextlib.contextmanager
def agent(site: Path) -> Iterator[None]:
    with (site / "log").open("wb") as log:
        process = subprocess.Popen([*PROGRAM, "run"], cwd=site, stdout=log, stderr=log)
        try:
            until(lambda: b"inlet.started" in (site / "log").read_bytes(), 90)
            yield
        finally:
            process.terminate()
            process.wait(30)


def instances(site: Path) -> list[Path]:
    return sorted((site / "state" / "images").rglob("*.dcm"))


def made(site: Path) -> list[Path]:
    """For the destination."""
    return [path for path in instances(site) if "made" in path.parts]


@pytest.mark.parametrize("suite", ["AES-256-GCM", pytest.param("SM4-GCM", marks=pytest.mark.release)])
def test_no_patient_is_in_the_raw_files_of_the_state(tmp_path: Path, hospital: Path, suite: str) -> None:
    shutil.copytree(hospital, tmp_path / "demo-state" / "hospital")
    port = free_port()
    plain = example().replace("127.0.0.1:8480", f"127.0.0.1:{port}")
    (tmp_path / "agent.toml").write_text(plain, "utf-8")
    canaries = people_of(hospital)
    assert len(canaries) > 100
    with contextlib.closing(sqlite3.connect(hospital / "lis.db")) as laboratory:
        keys = {str(number).encode() for (number,) in laboratory.execute("SELECT bgh FROM lis_bg")}
    with platform(tmp_path, port):
        run(tmp_path, "once")  # plain at first
        before: dict[str, Any] = counted(tmp_path)
        assert hits(tmp_path / "state", {ZSTD}), "the search finds what is there"
        assert "spool.db" in dict(hits(tmp_path / "state", keys))

        (tmp_path / "agent.toml").write_text(plain + AT_REST.format(folder=tmp_path, suite=suite), "utf-8")
        run(tmp_path, "secret", "set", "at_rest_key", "--random", "--in", "file")
        run(tmp_path, "once")
        assert counted(tmp_path) == before  # nothing lost, nothing sent twice
        assert hits(tmp_path / "state", {*canaries, ZSTD}) == []
        assert not [
            name for name in dict(hits(tmp_path / "state", keys)) if name.startswith("spool")
        ]  # a log may name rows

        kept = reports(tmp_path)
        figures = json.loads(run(tmp_path, "qc", "report", *PERIOD, "--json"))["total"]
        assert figures["documents"] > 20
        assert figures["held"] > 0
        assert b"sheet" in unpacked(kept / "monthly-2026-03.xlsx")
        assert hits(tmp_path / "state", {*canaries, ZSTD}) == []
        # What a person has shown to himself, with consent, into a folder of his: that names them, and the search finds it.
        shown = ("--random", "40", "--show", "--consent", "现场审计", "--out", str(tmp_path / "evidence.xlsx"))
        run(tmp_path, "qc", "evidence", *PERIOD, *shown)
        assert dict(hits(tmp_path, canaries)).get("evidence.xlsx", 0) > 10

        shutil.rmtree(tmp_path / "state")  # and from the beginning
        run(tmp_path, "once")
        reports(tmp_path)
        assert hits(tmp_path / "state", {*canaries, ZSTD}) == []
        assert '"ok": true' in run(tmp_path, "qc", "verify", "--json")


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["AES-256-GCM", pytest.param("SM4-GCM", marks=pytest.mark.release)])
def test_no_patient_is_in_the_raw_files_of_received_studies(tmp_path: Path, suite: str) -> None:
    """Received plain, then sealed by turning it on; received sealed, made for a destination, under another key, and plain again."""
    needs("dcmsend")
    port = free_port()
    hospital = '[institution]\nid = "H1"\nname = "示范医院"\n' + IMAGES.format(port=port)
    secrets, _, at_rest = AT_REST.format(folder=tmp_path, suite=suite).partition("[at_rest]")
    plain = hospital + secrets
    (tmp_path / "agent.toml").write_text(plain, "utf-8")
    for name in ("at_rest_key", "pseudonyms"):
        run(tmp_path, "secret", "set", name, "--random", "--in", "file")
    for first in (1, 101):
        folder = tmp_path / f"from {first}"
        folder.mkdir()
        for number in range(first, first + SLICES):
            body = data_set(STUDY, number, size=70_000, name=PATIENT)
            (folder / f"{number}.dcm").write_bytes(meta(CT, f"{STUDY}.1.{number}", EXPLICIT_LE) + body)
    canary = {PATIENT.encode()}

    def received(first: int, came: int) -> None:
        with agent(tmp_path):
            assert send(tmp_path / f"from {first}", port) == 0
            until(lambda: len(instances(tmp_path)) - len(made(tmp_path)) == came and made(tmp_path), 60)
            if first > 1:
                assert hits(tmp_path / "state", canary) == []
        for path in (tmp_path / "log", *(tmp_path / "state").rglob("*.log")):
            assert PATIENT.encode() not in path.read_bytes()

    received(1, SLICES)
    assert len([name for name, _ in hits(tmp_path / "state", canary) if name.endswith(".dcm")]) == SLICES
    (tmp_path / "agent.toml").write_text(f"{plain}[at_rest]{at_rest}", "utf-8")
    received(101, 2 * SLICES)
    assert hits(tmp_path / "state", canary) == []
    assert all(is_sealed(path.read_bytes()) for path in instances(tmp_path))
    before = json.loads(run(tmp_path, "at-rest", "status", "--json"))
    run(tmp_path, "at-rest", "rekey")
    after = json.loads(run(tmp_path, "at-rest", "status", "--json"))
    assert after["current"] != before["current"]
    assert after["files"] == {after["current"]: len(instances(tmp_path)) + 1}
    assert hits(tmp_path / "state", canary) == []
    [study] = json.loads(run(tmp_path, "images", "list", "--json"))
    assert study["instances"] == 2 * SLICES
    (tmp_path / "agent.toml").write_text((tmp_path / "agent.toml").read_text("utf-8").replace(suite, "none"), "utf-8")
    run(tmp_path, "status")
    sent = {sha256(path.read_bytes()).hexdigest() for path in instances(tmp_path)}
    assert {path.stem.split("-")[-2] if "-" in path.stem else path.stem for path in instances(tmp_path)} == sent


def counted(site: Path) -> dict[str, Any]:
    told = json.loads(run(site, "status", "--json"))
    return {"states": told["destinations"][0]["states"], "held": told["quarantine"]["open"]}
