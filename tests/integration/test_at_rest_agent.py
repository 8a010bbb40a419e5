"""A whole agent with its state encrypted: everything works, and no patient of the hospital is readable in any raw file of it."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.cli.work import example
from frontend_agent.demo.hospital import create_hospital
from tests.ports import free_port

PROGRAM = [sys.executable, "-m", "frontend_agent.cli.main"]
AT_REST = """
[secrets]
folder = "{folder}/kept"
credentials = "{folder}/none"
[at_rest]
key = "at_rest_key"
suite = "{suite}"
"""


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
            content = path.read_bytes()
            if n := sum(one in content for one in canaries):
                told.append((str(path.relative_to(state)), n))
    return told


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

        shutil.rmtree(tmp_path / "state")  # and from the beginning
        run(tmp_path, "once")
        run(tmp_path, "qc", "report", "--month", "2026-03", "--out", str(tmp_path / "state" / "month.html"))
        assert hits(tmp_path / "state", {*canaries, ZSTD}) == []
        assert '"ok": true' in run(tmp_path, "qc", "verify", "--json")


def counted(site: Path) -> dict[str, Any]:
    import json

    told = json.loads(run(site, "status", "--json"))
    return {"states": told["destinations"][0]["states"], "held": told["quarantine"]["open"]}
