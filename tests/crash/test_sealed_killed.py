"""An encrypted spool is killed at its writes to the disk: what was committed is there and readable, and the file is whole."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from frontend_agent.spool import Spool
from frontend_agent.spool.vault import AtRest
from tests.crash import sweep
from tests.crash.sweep import Point

KEY = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="  # of a test
COMMITS = 40
WRITER = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, "tests/unit")
from pipe import document, taken
from frontend_agent.spool import Spool
from frontend_agent.spool.vault import AtRest
with Spool(Path(sys.argv[1]), at_rest=AtRest("AES-256-GCM", "key", lambda name: "{KEY}")).open() as spool:
    spool._database.execute("PRAGMA wal_autocheckpoint = 60")  # so that pages go into the file as well
    for n in range({COMMITS}):
        made = document(f"k{{n}}", frame=b"frame %d " % n + os.urandom(9_000 if n % 9 else 1_100_000))
        spool.commit(taken(made))
        print(made.document_id, flush=True)
"""


def written(state: Path, *strace: str) -> list[str]:
    """The documents whose commits were told as done."""
    command = [*(("strace", "-f", *strace) if strace else ()), sys.executable, "-c", WRITER, str(state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=sweep.REPOSITORY)
    assert done.returncode in (0, -9, 137), done.stderr[-2000:]
    return done.stdout.split()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("points", [5, pytest.param(120, marks=pytest.mark.release)])
def test_what_was_committed_is_there_wherever_it_was_killed(tmp_path: Path, points: int) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    assert len(written(tmp_path / "whole", *sweep.watch(trace))) == COMMITS
    counted = [point for point in sweep.seen(trace) if point.call in ("pwrite64", "fdatasync")]
    assert len(counted) > 100
    step = max(len(counted) // points, 1)
    killed = 0
    for point in counted[step - 1 :: step]:
        state = tmp_path / str(point)
        told = written(state, *sweep.kill_at(point))
        killed += len(told) < COMMITS
        readable(state, told, point)
        shutil.rmtree(state)
    assert killed >= points // 2


def readable(state: Path, told: list[str], point: Point) -> None:
    with Spool(state, at_rest=AtRest("AES-256-GCM", "key", lambda name: KEY)).open() as spool:
        for number, document in enumerate(told):
            frame = spool.frame(document)
            assert frame is not None, (point, document)
            assert frame.startswith(b"frame %d " % number), (point, document)
        assert len(told) <= spool.counts().documents <= len(told) + 1
        assert spool._database._connection.execute("PRAGMA integrity_check").get == "ok"
        assert not spool.verify_log().reason
