"""A running agent with its console, as a hospital has them: real processes over the demonstration hospital."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY
from tests.ports import free_port

# Another account keeps this one capability: the interpreter that runs the tests may lie in a home directory.
READS_ANY_FILE = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
SMALL = """
[institution]
id = "999000013"
name = "示范市第一人民医院"
[sources.his]
url = "sqlite:///his.db"
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
[destinations.platform]
url = "https://127.0.0.1:9/"
"""


def soon(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What becomes true after a while."""
    ends = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.1)
    return found


@dataclass
class Site:
    """One agent over a folder with agent.toml; `start` runs `frontend-agent run`."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        path = self.folder / "daemon.log"
        return path.read_text("utf-8") if path.exists() else ""

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), "LANG": "C.UTF-8"}

    def command(self, *arguments: str) -> list[str]:
        config = str(self.folder / "agent.toml")
        return [sys.executable, "-m", "frontend_agent.cli.main", "--config", config, *arguments]

    def start(self) -> "Site":
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(self.command("run"), cwd=self.folder, env=self.environment(), stderr=log)
        soon(lambda: "console.ready" in self.log)
        return self

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def ask(self, *arguments: str, given: str | None = None, code: int = 0, account: str = "") -> Any:
        """A command's answer, of another account if it is named: as JSON where it is."""
        become = ["setpriv", f"--reuid={account}", "--regid=root", "--clear-groups", *READS_ANY_FILE] if account else []
        done = subprocess.run(
            [*become, *self.command(*arguments)], cwd=self.folder, env=self.environment(), capture_output=True, text=True, input=given,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if "--json" in arguments and code == 0 else done.stdout + done.stderr

    def link(self) -> str:
        return str(self.ask("console", "link", "--json")["url"])

    def console_pid(self) -> int:
        return int(re.findall(r"console\.ready .*pid=(\d+)", self.log)[-1])
