"""Where the commands of the documentation are run: prepared folders in which a reader of a page would be.

The demonstration hospital is made once, read and delivered to a platform; each page gets a copy of all that, with a platform of its
own on loopback. A command is run in this process where it is one plain call of ours, by a shell where it is more.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frontend_agent.cli.main import run
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.demo.pacs import write_pacs
from frontend_agent.demo.run import agent_toml
from frontend_agent.platform.store import Store
from tests.conftest import REPOSITORY
from tests.guide_kit import PROGRAM
from tests.platform_kit import running

VISITS = 40
PLATFORM_STATE = "platform-state"
SHELL_SIGNS = re.compile(r"[|&;<>$`*(){}]|^\w+=")
STARTS_WITHIN = 60.0  # seconds, on a loaded machine


@dataclass(frozen=True)
class Done:
    """What became of a command: its exit code, and all it said."""

    code: int
    out: str
    err: str = ""

    def __str__(self) -> str:
        return f"exit code {self.code}\n{self.out[-1500:]}\n{self.err[-1500:]}"


@dataclass
class Place:
    """A folder with an agent.toml, in which commands are run."""

    folder: Path
    url: str = ""  # of the platform on loopback
    lasting: list[subprocess.Popen[str]] = field(default_factory=list)
    port: int = 0  # where a platform that a page starts listens
    said: str = ""  # by the last command
    token: str = ""
    stop_platform: Callable[[], None] = lambda: None

    def stops(self) -> None:
        """What lasts is ended, and ends well."""
        assert set(self.ends()) <= {0}

    @property
    def waiting(self) -> str:
        """The number of a machine that waits to be let in."""
        return str(self.ask("platform", "enrolments", "--waiting")[0]["id"])

    @property
    def study(self) -> str:
        """The UID of a study."""
        uid: str = self.ask("images", "list")[0]["study_instance_uid"]
        return uid

    @property
    def environment(self) -> dict[str, str]:
        shims = self.folder.parent / "bin"
        if not shims.exists():
            shims.mkdir()
            for name, text in SHIMS.items():
                (shims / name).write_text(text, "utf-8")
                (shims / name).chmod(0o755)
        path = f"{shims}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY), "LANG": "C.UTF-8", "PYTHON": sys.executable}

    @property
    def document(self) -> str:
        """A laboratory report that was delivered."""
        return self._report()["document_id"]

    @property
    def report(self) -> str:
        """The number of that report at the hospital."""
        return self._report()["key"]

    def _report(self) -> dict[str, str]:
        receipts = self.ask("receipts")
        document = next(one["document_id"] for one in receipts if one["document_id"].startswith("C0007-"))
        return {"document_id": document, "key": self.ask("trace", document)["key"]}

    def ask(self, *words: str) -> Any:
        """A command's answer as JSON."""
        done = self.do(shlex.join([PROGRAM, *words, "--json"]))
        assert done.out, done
        return json.loads(done.out)

    def do(self, line: str, given: str = "") -> Done:
        """Run one line to its end."""
        line = re.sub(r"^sudo ", "", line)
        if line.startswith(PROGRAM + " ") and not SHELL_SIGNS.search(line):
            return self._here(shlex.split(line)[1:], given)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line], cwd=self.folder, env=self.environment, input=given, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def _here(self, words: list[str], given: str) -> Done:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        before = sys.stdin, [signal.getsignal(one) for one in SIGNALS]
        sys.stdin = io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8")
        try:
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(words)
        finally:
            sys.stdin = before[0]
            for one, handler in zip(SIGNALS, before[1], strict=True):
                signal.signal(one, handler)
        self.said = out.buffer.getvalue().decode()  # type: ignore[attr-defined]  # a BytesIO
        return Done(code, *(one.buffer.getvalue().decode() for one in (out, err)))  # type: ignore[attr-defined]  # a BytesIO

    def starts(self, line: str, ready: str) -> str:
        """Start what lasts, until it has said that it is ready: a pattern. All it said until then."""
        path = self.folder / f"lasting-{len(self.lasting)}.log"
        with path.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", f"exec {line}"], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        self.lasting.append(process)
        until = time.monotonic() + STARTS_WITHIN
        while not re.search(ready, said := path.read_text("utf-8", "replace")):
            assert process.poll() is None, f"{line} ended: {process.returncode}\n{said[-1500:]}"
            assert time.monotonic() < until, f"{line} does not say {ready!r}\n{said[-1500:]}"
            time.sleep(0.05)
        return said

    def ends(self, sign: int = signal.SIGTERM) -> list[int]:
        """End what lasts, the youngest first. Exit codes."""
        codes = []
        while self.lasting:
            process = self.lasting.pop()
            if process.poll() is None:
                process.send_signal(sign)
            try:
                codes.append(process.wait(30))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
        return codes


SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHIMS = {
    PROGRAM: '#!/bin/sh\nexec "$PYTHON" -m frontend_agent.cli.main "$@"\n',
    "sudo": '#!/bin/sh\nexec "$@"\n',
    "python": '#!/bin/sh\nexec "$PYTHON" "$@"\n',
}


class Demonstration:
    """The demonstration hospital, read and delivered, as `frontend-agent demo` leaves it; each page gets it anew, in one and the same folder: a
    state that was made elsewhere would have to be adopted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "place"
        self._saved = folder / "saved"
        create_hospital(self.folder / "hospital", VISITS, 1)
        write_pacs(self.folder / "hospital")
        store = Store(self.folder / PLATFORM_STATE).open()
        try:
            with running(store) as url:
                (self.folder / "agent.toml").write_text(agent_toml(self.folder / "hospital", url), "utf-8")
                (self.folder / "agent").mkdir(mode=0o700)
                done = Place(self.folder, url).do(f"{PROGRAM} once")
                assert done.code == 0, done
        finally:
            store.close()
        shutil.copytree(self.folder, self._saved)

    @contextlib.contextmanager
    def place(self, more: str = "") -> Iterator[Place]:
        """As it was, its agent as the guides have one: secrets in a folder, the platform running."""
        self._restore()
        (self.folder / "secrets").mkdir(mode=0o700)
        with contextlib.ExitStack() as platform:
            store = Store(self.folder / PLATFORM_STATE).open()
            platform.callback(store.close)
            url = platform.enter_context(running(store))
            text = re.sub(r"http://127\.0\.0\.1:\d+", url, (self.folder / "agent.toml").read_text("utf-8"))
            secrets = f'[secrets]\nfolder = "{self.folder}/secrets"\ncredentials = "{self.folder}/credentials"\n'
            (self.folder / "agent.toml").write_text(f"workers = 0\n{text}\n{secrets}\n{more}", "utf-8")
            place = Place(self.folder, url, stop_platform=platform.close)
            try:
                yield place
            finally:
                place.ends()

    @contextlib.contextmanager
    def empty(self) -> Iterator[Place]:
        """A folder with nothing in it."""
        folder = self.folder.parent / "empty"
        folder.mkdir()
        place = Place(folder)
        try:
            yield place
        finally:
            place.ends()
            shutil.rmtree(folder)

    def _restore(self) -> None:
        """What lies in it is as it was; the folder of the state stays the same one (its inode is what it is known by)."""
        for one in [*self.folder.iterdir(), *(self.folder / "agent").iterdir()]:
            if one.name != "agent" or not one.is_dir():
                shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
        shutil.copytree(self._saved, self.folder, dirs_exist_ok=True)
