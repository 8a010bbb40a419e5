"""The power goes in the middle of an upgrade, at every call that changes the disk: a working version always starts (threat U2).

A child lays, begins and watches an upgrade; strace ends it before its K-th call of a kind is carried out. What is there then must be
one whole version, and whoever starts next must come to the end.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from frontend_agent import program
from frontend_agent.upgrading import Watch, begin, current_version, point, read_trial, roll_back, stage
from tests.unit.test_upgrading import Machine
from tests.upgrade_kit import KEYS, archive

CALLS = ("write", "fsync", "rename", "unlink", "unlinkat", "rmdir", "mkdir", "symlink", "fchmod", "openat")
RELEASE = os.environ.get("FRONTEND_AGENT_TEST") == "release"


def upgrade(home: Path) -> None:
    """All of it, as command and watch do it; whoever was ended before is gone on from."""
    machine = Machine(home)
    if read_trial(home) is None and current_version(home) != "2.0":
        stage(home.parent / "frontend-agent-2.0.tar.zst", KEYS, home)
        begin(home, "2.0", "wang", machine)
    Watch(home, machine, lambda: machine.now, machine.sleep).run()


def back(home: Path) -> None:
    """`upgrade rollback`, and its watch."""
    machine = Machine(home)
    if read_trial(home) is None and current_version(home) != "1.0":
        roll_back(home, "wang", "tried", machine)
    Watch(home, machine, lambda: machine.now, machine.sleep).run()


def child(work: Callable[[Path], None], home: Path, *strace: str) -> tuple[int, str]:
    """How a child ended that did it under strace, and what strace wrote."""
    hold, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(hold, 1)
        try:
            work(home)
        finally:
            os._exit(0)
    os.close(hold)
    tracer = subprocess.Popen(["strace", "-f", "-p", str(pid), *strace], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    os.write(go, b"g")
    os.close(go)
    told = tracer.stderr.read()
    tracer.wait()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), told


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[], Path]:
    """A fresh copy of a machine on which 1.0 runs; 2.0 lies beside it as a file."""
    first = tmp_path / "first"
    (first / "opt/versions").mkdir(parents=True)
    archive(first, "2.0")
    stage(archive(first, "1.0"), KEYS, first / "opt")
    point(first / "opt", "current", "1.0")

    def fresh() -> Path:
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        shutil.copytree(first, tmp_path / "again", symlinks=True)
        return tmp_path / "again/opt"

    return fresh


def calls_of(work: Callable[[Path], None], home: Path) -> Counter[str]:
    code, told = child(work, home, "-e", f"trace={','.join(CALLS)}")
    assert code == 0
    return Counter(re.findall(rf"^(?:\[pid +\d+\] )?({'|'.join(CALLS)})\(", told, re.MULTILINE))


def whole(home: Path) -> str:
    """The version that would start now, which is what was signed."""
    version = current_version(home)
    assert program.verify_folder(home / "current", KEYS).version == version
    return version


@pytest.mark.slow
@pytest.mark.parametrize("way", ["there", "back"])
def test_killed_at_every_call_a_whole_version_starts_and_the_upgrade_comes_to_its_end(
    machine: Callable[[], Path], way: str
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")

    def prepared() -> Path:
        home = machine()
        if way == "back":
            upgrade(home)
        return home

    work, end = (upgrade, "2.0") if way == "there" else (back, "1.0")
    counted = calls_of(work, prepared())
    assert counted["rename"] >= 4
    assert counted["fsync"] >= 5
    killed = 0
    for call, most in sorted(counted.items()):
        every = 1 if RELEASE or call in ("rename", "unlink", "symlink") else max(most // 6, 1)
        for number in range(1, most + 1, every):
            home = prepared()
            code, _ = child(work, home, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}")
            killed += code == -9
            assert whole(home) in ("1.0", "2.0"), f"{call} {number}"
            work(home)
            assert whole(home) == end, f"{call} {number}"
            assert read_trial(home) is None, f"{call} {number}"
    assert killed > 20
