"""A study from a sender of dcmtk through a running agent to Orthanc: complete once, also when the agent is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.dicom.part10 import meta
from frontend_agent.dicom.uids import EXPLICIT_LE
from tests.conftest import REPOSITORY
from tests.dicom_kit import dcmtk, environment, needs
from tests.orthanc_kit import orthanc
from tests.ports import free_port
from tests.study_kit import CT, data_set

pytestmark = pytest.mark.slow

STUDY = "1.2.826.0.1.3680043.9.9999.500"
SLICES = int(os.environ.get("FRONTEND_AGENT_SLICES", "500"))


class Agent:
    """One agent in a process of its own."""

    def __init__(self, folder: Path, region: str) -> None:
        self.folder, self.port = folder, free_port()
        self.state, self.log = folder / "state", folder / "log"
        (folder / "agent.toml").write_text(
            f"""
[institution]
id = "H1"
name = "示范医院"
[images]
settle = "3s"
align = false
[images.inlets.pacs]
type = "dicom"
host = "127.0.0.1"
port = {self.port}
allow = ["127.0.0.1"]
called = "any"
[images.destinations.region]
type = "stow"
url = "{region}"
proof = "qido"
ask_every = "2s"
""",
            encoding="utf-8",
        )

    def command(self, *arguments: str) -> list[str]:
        said = ["--config", str(self.folder / "agent.toml"), "--state", str(self.state)]
        return [sys.executable, "-m", "frontend_agent.cli.main", *said, *arguments]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        self.log.write_bytes(b"")
        with open(self.log, "ab") as log:
            process = subprocess.Popen(self.command("run"), cwd=REPOSITORY, stdout=log, stderr=log)
        try:
            self.until(lambda: b"inlet.started" in self.log.read_bytes(), 90)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)

    def ask(self, *arguments: str) -> Any:
        done = subprocess.run(self.command(*arguments, "--json"), cwd=REPOSITORY, capture_output=True, check=True)
        return json.loads(done.stdout)

    @staticmethod
    def until(happened: Any, seconds: float) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := happened():
                return found
            time.sleep(0.2)
        raise AssertionError("it did not happen in time")

    def files(self) -> list[Path]:
        return sorted((self.state / "images").rglob("*.dcm"))


def send(folder: Path, port: int) -> int:
    """dcmsend, until it is through or cut off."""
    done = subprocess.run(
        [dcmtk("dcmsend"), "--no-halt", "+sd", "127.0.0.1", str(port), str(folder)],
        env=environment(), capture_output=True, timeout=180, check=False,
    )  # fmt: skip
    return done.returncode


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slices")
    for number in range(1, SLICES + 1):
        head = meta(CT, f"{STUDY}.1.{number}", EXPLICIT_LE)
        (folder / f"{number:04}.dcm").write_bytes(head + data_set(STUDY, number, size=64 << 10))
    return folder


@pytest.mark.parametrize("killed_at", [0.3, 0.8])
def test_a_study_of_500_slices_arrives_complete_once_when_the_agent_is_killed_in_its_middle(
    tmp_path: Path, slices: Path, killed_at: float
) -> None:
    needs("dcmsend")
    with orthanc() as region:
        agent = Agent(tmp_path, region.dicomweb)
        with agent.running() as process:
            sender = subprocess.Popen(
                [dcmtk("dcmsend"), "--no-halt", "+sd", "127.0.0.1", str(agent.port), str(slices)],
                env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            agent.until(lambda: len(agent.files()) >= killed_at * SLICES, 120)
            process.kill()
            process.wait(30)
            sender.wait(60)
            there = len(agent.files())
        assert there < SLICES
        with agent.running() as process:
            agent.until(
                lambda: region.count() > 0, 120
            )  # it sends what it has, though it is not complete, or while more comes
            process.kill()
            process.wait(30)
        with agent.running():
            assert send(slices, agent.port) == 0
            agent.until(lambda: agent.ask("images", "list", "--only", "done"), 180)
            (study,) = agent.ask("images", "list")
        assert (study["instances"], study["series"], study["destinations"]) == (
            SLICES,
            1,
            {"region": {"delivered": SLICES}},
        )
        assert region.count() == SLICES
        assert len(agent.files()) == SLICES
        assert not list((agent.state / "images" / "incoming").iterdir())
