"""Processes beside the daemon: they answer, they may die, and they never outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frontend_agent.errors import SourceUnreachable
from frontend_agent.workers import WorkerDied, WorkerFailed, Workers


def make() -> Callable[[str], object]:
    def answer(question: str) -> object:
        match question:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "unreachable":
                raise SourceUnreachable("source his: nobody answers")
            case "surprise":
                raise KeyError("a patient's name")
            case "pid":
                return os.getpid()
        return question.upper()

    return answer


@pytest.fixture
def workers() -> Iterator[Workers[str, object]]:
    with Workers(1, make) as pool:
        yield pool


def test_questions_are_answered_in_another_process(workers: Workers[str, object]) -> None:
    assert workers.submit("abc").result(30) == "ABC"
    assert workers.submit("pid").result(30) != os.getpid()


def test_an_expected_error_comes_back_as_itself(workers: Workers[str, object]) -> None:
    with pytest.raises(SourceUnreachable, match="nobody answers"):
        workers.submit("unreachable").result(30)


def test_an_unexpected_error_comes_back_without_its_text(workers: Workers[str, object]) -> None:
    with pytest.raises(WorkerFailed) as told:
        workers.submit("surprise").result(30)
    assert "KeyError" in str(told.value)
    assert "patient" not in str(told.value)


def test_after_a_worker_died_a_fresh_one_answers(workers: Workers[str, object]) -> None:
    before = workers.submit("pid").result(30)
    with pytest.raises(WorkerDied):
        workers.submit("die").result(30)
    assert workers.submit("pid").result(30) != before


def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_workers import make\n"
        "from frontend_agent.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    pool = Workers(1, make)\n"
        "    print(pool.submit('pid').result(30), flush=True)\n"
        "    time.sleep(60)\n",
        encoding="utf-8",
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
