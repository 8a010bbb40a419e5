"""Two halves of an agent with a ferry between them: real processes or in this one, real folders, a ferry that does what ferries do.

inner/out ─▶ ferry ─▶ outer/in        outer/out ─▶ ferry ─▶ inner/in
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.workload import configuration
from frontend_agent.spool.gap_keys import keep_other_half, own_half

QUICK = 'every = "100ms"\nlate = "500ms"\nagain = "2s"\nwait = "20s"\nunfinished = ".tmp"\n'


@dataclass
class Ferry:
    """Moves whole files from one folder to another, as badly as `random` and its settings say. Hidden and .tmp files stay."""

    source: Path
    target: Path
    random: Random = field(default_factory=lambda: Random(1))
    delay: float = 0.0  # seconds that a file is under way, at most
    duplicates: float = 0.0  # share of the files that come twice
    loses: float = 0.0  # share of the files that never come
    carried: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    _under_way: list[tuple[float, str, bytes]] = field(default_factory=list)

    def trip(self, now: float) -> int:
        """Take what is there, and lay down what has been under way long enough. How many files were taken or laid."""
        moved = 0
        for path in sorted(self.source.iterdir()):
            if path.is_dir() or path.name.startswith(".") or path.name.endswith(".tmp"):
                continue
            body = path.read_bytes()
            path.unlink()
            moved += 1
            if self.random.random() < self.loses:
                self.lost.append(path.name)
                continue
            times = 2 if self.random.random() < self.duplicates else 1
            if times == 2:
                self.twice.append(path.name)
            self._under_way += [(now + self.random.random() * self.delay, path.name, body) for _ in range(times)]
        there = sorted(one for one in self._under_way if one[0] <= now)
        self._under_way = [one for one in self._under_way if one[0] > now]
        for _, name, body in there:
            part = self.target / f".ferry-{name}"
            part.write_bytes(body)
            part.rename(self.target / name)
            self.carried.append(name)
            moved += 1
        return moved

    @property
    def is_empty(self) -> bool:
        return not self._under_way


@dataclass
class Site:
    """Both halves and the ferry, in one folder."""

    folder: Path
    out: Ferry
    back: Ferry
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def inner(self) -> Path:
        return self.folder / "inner.toml"

    @property
    def outer(self) -> Path:
        return self.folder / "outer.toml"

    def state(self, half: str) -> Path:
        return self.folder / f"{half}-state"

    def start_ferry(self, every: float = 0.02) -> None:
        def work() -> None:
            while not self._stopping.wait(every):
                now = time.monotonic()
                self.out.trip(now)
                self.back.trip(now)

        self._stopping.clear()
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def stop_ferry(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def trip(self) -> None:
        """One trip both ways, of everything, at once."""
        self.out.trip(time.monotonic() + 3600)
        self.back.trip(time.monotonic() + 3600)


def gap_text(role: str, folder: Path, more: str = QUICK) -> str:
    return f'\n[gap]\nrole = "{role}"\nout = "{folder / role / "out"}"\nin = "{folder / role / "in"}"\n{more}'


def make_site(
    folder: Path, hospital: Path, url: str, *, seed: int = 1, more: str = QUICK, batch: int = 0, **ferry: Any
) -> Site:
    """Both configurations, folders and keys. `ferry`: how badly it does its work."""
    for role in ("inner", "outer"):
        for way in ("out", "in"):
            (folder / role / way).mkdir(parents=True, exist_ok=True)
    often = configuration(hospital, url).replace('profile = "regional"', 'profile = "regional"\nevery = "5s"')
    inner = often.replace(
        f'[destinations.platform]\nurl = "{url}"\n',
        "[destinations.platform]\n" + (f"batch = {batch}\n" if batch else ""),
    )
    (folder / "inner.toml").write_text(
        inner + '\n[reconciliation]\nat = ""\n' + gap_text("inner", folder, more), "utf-8"
    )
    outer = f'[institution]\nid = "12345678-9"\nname = "x"\n[destinations.platform]\nurl = "{url}"\ntimeout = "20s"\n'
    (folder / "outer.toml").write_text(outer + gap_text("outer", folder, more), "utf-8")
    pair(folder)
    random = Random(seed)
    return Site(
        folder,
        Ferry(folder / "inner/out", folder / "outer/in", Random(random.random()), **ferry),
        Ferry(folder / "outer/out", folder / "inner/in", Random(random.random()), **ferry),
    )


def pair(folder: Path) -> None:
    """The two halves know one another, as `gap keys` and `gap pair` make it."""
    inner, outer = (own_half(folder / f"{role}-state", role, "", str, make=True).public for role in ("inner", "outer"))
    keep_other_half(folder / "inner-state", outer)
    keep_other_half(folder / "outer-state", inner)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "frontend_agent.cli.main", *map(str, arguments)]


def run(site: Site, half: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of a half, to its end."""
    return subprocess.run(
        command("--config", getattr(site, half), "--state", site.state(half), "--lang", "en", *arguments),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def started(site: Site, half: str) -> subprocess.Popen[bytes]:
    """The process of a half, in the foreground as systemd runs it."""
    what = ["gap", "outer"] if half == "outer" else ["run"]
    log = (site.folder / f"{half}.log").open("ab")
    return subprocess.Popen(
        command("--config", getattr(site, half), "--state", site.state(half), *what),
        stdout=log, stderr=log, env={**os.environ, "LANG": "C.UTF-8"},
    )  # fmt: skip


@contextmanager
def running_half(site: Site, half: str) -> Iterator[subprocess.Popen[bytes]]:
    process = started(site, half)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def status(site: Site, half: str = "inner") -> dict[str, Any]:
    """What `gap status --json` says; nothing where the half has just begun."""
    done = run(site, half, "gap", "status", "--json")
    told: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return told


def until(what: Callable[[], bool], seconds: float = 60.0, every: float = 0.1) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(every)


def again(folder: Path, before: Path) -> None:
    """Put a folder back as it was."""
    shutil.rmtree(folder, ignore_errors=True)
    if before.exists():
        shutil.copytree(before, folder)
