"""Kill a process at a chosen durable write, and see what the next start makes of it.

strace counts system calls per thread and kind; at the K-th of one kind it injects SIGKILL before the call is carried out.
A dry run tells how many there are.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

# Whatever makes something durable, or makes it visible under its name.
DURABLE = ("pwrite64", "fdatasync", "fsync", "rename", "ftruncate", "unlink")
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Point:
    """The K-th system call of a kind."""

    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.call}-{self.number}"


@dataclass
class Zygote:
    """The process that victims are forked from. See victim.py."""

    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "tests.crash.victim"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=REPOSITORY)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


@contextmanager
def victim(zygote: Zygote, order: dict[str, str], *strace: str) -> Iterator[int]:
    """Let a child carry out the order under strace. Inside, it works; leaving waits for its end."""
    zygote.say(json.dumps(order))
    child = zygote.hear()
    tracer = subprocess.Popen(["strace", "-f", "-p", str(child), *strace], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    attached = tracer.stderr.readline()
    assert "attached" in attached, attached
    zygote.say("go")
    try:
        yield child
    finally:
        end(child)
        tracer.stderr.close()
        tracer.wait(10)


def kill_at(point: Point) -> tuple[str, ...]:
    inject = f"inject={point.call}:signal=KILL:when={point.number}"
    return ("-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject)


def watch(file: Path, calls: tuple[str, ...] = DURABLE) -> tuple[str, ...]:
    return ("-o", str(file), "-e", "trace=" + ",".join(calls))


def seen(file: Path, calls: tuple[str, ...] = DURABLE) -> list[Point]:
    """Every point that a dry run's trace shows: per kind, as many as the busiest thread made."""
    by_thread: Counter[tuple[str, str]] = Counter()
    for line in file.read_text().splitlines():
        found = re.match(r"(\d+) +(\w+)\(", line)
        if found and found[2] in calls:
            by_thread[found[1], found[2]] += 1
    most = {call: max((n for (_, c), n in by_thread.items() if c == call), default=0) for call in calls}
    return [Point(call, number) for call in calls for number in range(1, most[call] + 1)]


# How many of each kind are tried; a release tries all.
SOME = {
    "quick": {"pwrite64": 2, "fdatasync": 1, "fsync": 1},
    "full": {"pwrite64": 12, "fdatasync": 6, "fsync": 4, "rename": 4, "ftruncate": 2, "unlink": 2},
}


def chosen(points: list[Point], how: str) -> list[Point]:
    """All of them for a release; otherwise some of each kind, evenly spread, the last one always among them."""
    if how == "release":
        return points
    picked = []
    for call, wanted in SOME[how].items():
        same = [point for point in points if point.call == call]
        count = min(wanted, len(same))
        picked += [same[(index + 1) * len(same) // count - 1] for index in range(count)]
    return picked


def until_it_answers(url: str, process: int) -> bool:
    """False if the process is killed before it can."""
    session = requests.Session()
    session.trust_env = False
    for _ in range(400):
        if not lives(process):
            return False
        try:
            if session.get(f"{url}/healthz", timeout=1).ok:
                return True
        except requests.RequestException:
            time.sleep(0.025)
    raise AssertionError("the platform does not answer")


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def living_in_session(session: int) -> list[int]:
    """Processes of a session that still live."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and lives(int(entry.name)):
            with suppress(FileNotFoundError, ProcessLookupError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                    found.append(int(entry.name))
    return found


def was_killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def end(process: int) -> None:
    if lives(process):
        os.kill(process, signal.SIGKILL)


def refilled(folder: Path, source: Path) -> None:
    """Make a folder's content that of another, without making the folder itself anew. No source: empty."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if source.is_dir():
        shutil.copytree(source, folder, dirs_exist_ok=True)
