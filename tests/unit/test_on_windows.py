"""What can be shown of Windows where there is none: that all of it loads there, what pywin32 is asked for, and the rest by real parts."""

import json
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import connection
from pathlib import Path
from typing import Any

import pytest

from frontend_agent import control
from frontend_agent.control import SOCKET, ControlServer, NoDaemon, Question, ask, is_running
from frontend_agent.errors import StateError
from frontend_agent.machine.lines import MessageLine
from frontend_agent.supervising import Ending, Stage, supervise

ROOT = Path(__file__).resolve().parents[2]


def pretending(*arguments: str) -> str:
    command = [sys.executable, "tests/pretend_windows.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_module_loads_where_nothing_of_posix_is_there() -> None:
    told = json.loads(pretending("modules"))
    assert told["modules"] > 600


def test_the_command_line_works_there() -> None:
    assert "READY=1" in " ".join(pretending("cli", "run", "--help").split())
    assert "FP-FEE-SUM" in pretending("cli", "rules", "list")


def test_the_pipe_has_a_name_that_nobody_guesses_and_opens_to_whom_it_should(tmp_path: Path) -> None:
    told = json.loads(pretending("pipe", str(tmp_path / "control.sock")))
    assert told["name"].startswith("\\\\.\\pipe\\frontend-agent-")
    assert len(told["name"].rpartition("-")[2]) == 32
    # Nobody over the network (NU); the system, administrators, the service; the group, which may not answer in our place (4).
    assert told["rights"] == ("D:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;S-1-5-80-1)(A;;0x12019b;;;S-1-5-21-7)")
    assert not 0x12019B & 0x4
    first, second = told["made"]
    assert first[1] & 0x80000  # FILE_FLAG_FIRST_PIPE_INSTANCE: a name that is taken is not shared
    assert not second[1] & 0x80000
    assert first[2] & second[2] & 8  # PIPE_REJECT_REMOTE_CLIENTS
    assert (told["account"], told["asked_before"]) == ("HOSPITAL\\wangfang", False)
    assert told["reverted"] == 2, "a thread that is somebody else must become itself again, also where it failed"
    assert told["refused"]
    assert told["opened"] == [told["name"], 0x12019B, 0x40000000 | 0x100000 | 0x10000]  # identified, and no more
    assert not told["left"]


def test_powershell_stops_at_the_first_error() -> None:
    for script in (ROOT / "installer" / "windows").glob("*.ps1"):
        text = script.read_text("utf-8")
        assert '$ErrorActionPreference = "Stop"' in text
        assert "NOT TESTED" in text


# --- The channel over what carries messages, as a named pipe does ------------------------------------------------------


class Messages:
    """A listener of multiprocessing, of the family that is here: on Windows only the name of the pipe differs."""

    def __init__(self, path: Path, group: bool, patience: float) -> None:
        self._path, self._patience = path, patience
        path.unlink(missing_ok=True)
        self._listener = connection.Listener(str(path), family="AF_UNIX")
        path.chmod(0o600)

    def accept(self) -> MessageLine | None:
        try:
            return MessageLine(self._listener.accept(), self._patience, lambda: "wangfang")
        except OSError:
            return None

    def close(self) -> None:
        self._listener.close()
        self._path.unlink(missing_ok=True)


def connect(path: Path, patience: float) -> MessageLine:
    return MessageLine(connection.Client(str(path), family="AF_UNIX"), patience, lambda: "")


def operations(account: str, question: Question) -> Any:
    if question.ask == "count":
        return iter(range(int(question.arguments["to"])))
    if question.ask == "refuse":
        raise StateError("not now")
    return {"account": account, "said": question.arguments.get("text", "")}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(control, "listen", Messages)
    monkeypatch.setattr(control, "connect", connect)
    server = ControlServer(tmp_path / SOCKET, operations, str)
    server.start()
    yield tmp_path
    server.close()


def test_questions_are_answered_over_messages(state: Path) -> None:
    assert ask(state, "status", text="中" * 100_000) == {"account": "wangfang", "said": "中" * 100_000}
    assert list(ask(state, "count", to=2000)) == list(range(2000))
    assert is_running(state)
    with pytest.raises(control.AnsweredError, match="not now"):
        ask(state, "refuse")


def test_who_goes_away_harms_nobody_and_who_is_not_there_is_said(state: Path, tmp_path: Path) -> None:
    rows = ask(state, "count", to=1_000_000)
    next(rows)
    rows.close()
    assert ask(state, "status")["account"] == "wangfang"
    with pytest.raises(NoDaemon):
        ask(tmp_path / "nowhere", "status")


def test_a_message_that_is_no_question_is_answered_and_one_that_never_ends_is_cut(state: Path) -> None:
    line = connect(state / SOCKET, 5.0)
    line.send(b"nonsense\n")
    assert b"not understood" in line.receive()
    line.send(b"x" * (control.LONGEST_QUESTION + 1))
    assert line.receive() == b""
    line.close()
    assert is_running(state)


# --- The service's parent ----------------------------------------------------------------------------------------------

SAYS = "import sys,time;print('READY=1',flush=True);"


def watched(tmp_path: Path, program: str, stop_when: Stage | None = None, **times: float) -> tuple[Ending, list[Stage]]:
    stopping, heard = threading.Event(), list[Stage]()

    def tell(stage: Stage) -> None:
        heard.append(stage)
        if stage is stop_when:
            stopping.set()

    return supervise([sys.executable, "-c", program], tmp_path / "service.log", stopping, tell, **times), heard


def test_it_is_running_once_it_is_ready_and_ends_when_its_input_does(tmp_path: Path) -> None:
    slow = "import time;time.sleep(1.5);" + SAYS + "sys.stdin.read();sys.exit(0)"
    ended, heard = watched(tmp_path, slow, Stage.READY)
    assert ended == Ending(0)
    assert heard[0] is Stage.STARTING
    assert heard.count(Stage.READY) == 1
    assert heard[-1] is Stage.STOPPING


def test_one_that_hangs_is_ended_and_one_that_does_not_stop_too(tmp_path: Path) -> None:
    began = time.monotonic()
    ended, _ = watched(tmp_path, SAYS + "time.sleep(60)", hangs_after=2.0)
    assert ended.exit_code != 0
    assert "no sign of life" in ended.why
    ended, _ = watched(tmp_path, SAYS + "time.sleep(60)", Stage.READY, ends_within=1.0)
    assert "did not stop within 1 s" in ended.why
    ended, _ = watched(tmp_path, "import time;time.sleep(60)", starts_within=1.5)
    assert "no sign of life" in ended.why
    assert time.monotonic() - began < 20


def test_signs_of_life_keep_it_and_its_end_is_its_own(tmp_path: Path) -> None:
    alive = (
        SAYS
        + "[(print('WATCHDOG=1',flush=True),time.sleep(0.5)) for _ in range(8)];sys.stderr.write('mend it');sys.exit(78)"
    )
    ended, heard = watched(tmp_path, alive, hangs_after=2.0)
    assert ended == Ending(78)
    assert heard[-1] is Stage.READY
    assert (tmp_path / "service.log").read_text() == "mend it"
    assert stat.S_ISREG((tmp_path / "service.log").stat().st_mode)
