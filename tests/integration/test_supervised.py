"""A real agent under the parent that the Windows service is made of, here: ready, asked, ended in order, hanging, a mistake in its file."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from frontend_agent import control
from frontend_agent.supervising import Ending, Stage, supervise
from tests.console_kit import SMALL

pytestmark = pytest.mark.slow


def command(folder: Path) -> list[str]:
    program = [sys.executable, "-m", "frontend_agent.cli.main"]
    return [*program, "--config", str(folder / "agent.toml"), "--state", str(folder / "state"), "run", "--supervised"]


def test_an_agent_without_systemd_is_ready_answers_and_stops_in_order(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(SMALL, "utf-8")
    stopping, told = threading.Event(), list[object]()

    def tell(stage: Stage) -> None:
        if stage is Stage.READY:
            told.append(control.ask(tmp_path / "state", "status")["institution"])
            stopping.set()

    ended = supervise(command(tmp_path), tmp_path / "service.log", stopping, tell, starts_within=60.0)
    assert ended == Ending(0), (tmp_path / "service.log").read_text()
    assert told
    assert not (tmp_path / "state" / control.SOCKET).exists()
    assert "daemon.stopped" in (tmp_path / "state" / "agent.log").read_text("utf-8")


def test_an_agent_that_hangs_is_ended(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(SMALL, "utf-8")

    def freeze(stage: Stage) -> None:
        if stage is Stage.READY:
            for one in Path("/proc").glob("[0-9]*/cmdline"):
                if str(tmp_path).encode() in one.read_bytes() and b"--supervised" in one.read_bytes():
                    os.kill(int(one.parent.name), signal.SIGSTOP)

    ended = supervise(command(tmp_path), tmp_path / "service.log", threading.Event(), freeze, hangs_after=7.0)
    assert "no sign of life" in ended.why
    assert ended.exit_code == -signal.SIGKILL


def test_a_mistake_in_its_file_is_said_with_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("[institution]\nnmae = 'x'\n", "utf-8")
    ended = supervise(command(tmp_path), tmp_path / "service.log", threading.Event(), lambda stage: None)
    assert ended == Ending(78)
    assert "nmae" in (tmp_path / "service.log").read_text("utf-8")
