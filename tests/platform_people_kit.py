"""A platform with a door for people, as a region has it: a real process with TLS, documents in it, accounts made by its command."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frontend_agent import passwords
from frontend_agent.platform.own_log import OwnLog
from frontend_agent.platform.store import Store
from tests.platform_kit import HOSTILE, FileMemory, destination, document, running

PROGRAM = [sys.executable, "-m", "frontend_agent.cli.main"]
PASSWORD = "Vier-Kerzen-9"
CODES = {"base32": 8}


@dataclass
class Region:
    folder: Path
    url: str = ""
    documents: list[str] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "platform"

    def command(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "--state", str(self.state), "platform", *arguments],
            cwd=self.folder, input=said, capture_output=True, text=True, timeout=60, env=os.environ | {"LANG": "C.UTF-8"},
        )  # fmt: skip

    def add(self, name: str, role: str, *more: str) -> None:
        done = self.command("people", "add", name, "--role", role, "--json", *more, said=PASSWORD + "\n")
        assert done.returncode == 0, done.stderr
        if secret := json.loads(done.stdout)["secret"]:
            import base64

            self.secrets[name] = base64.b32decode(secret + "=" * (-len(secret) % CODES["base32"]))

    def code(self, name: str) -> str:
        """A code that was not used yet; waits for the next where it must."""
        if name not in self.secrets:
            return ""
        while (step := int(time.time()) // passwords.STEP + 1) <= self.used.get(name, 0):
            time.sleep(0.5)
        step = max(self.used.get(name, 0) + 1, step - 2)
        self.used[name] = step
        return passwords.code_at(self.secrets[name], step)

    def log(self) -> list[dict[str, Any]]:
        with OwnLog(self.state) as log:
            assert log.verify().ok
            return log.newest(10_000)[::-1]


def certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=people",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "k.pem", "-out", folder / "c.pem"],
        check=True, capture_output=True,
    )  # fmt: skip


@contextmanager
def region(folder: Path) -> Iterator[Region]:
    """Two documents, one of a patient who would like to be markup; a platform on loopback and beside it a door for people."""
    made = [document(1), document(2, patient__name=HOSTILE)]
    with closing(Store(folder / "platform").open()) as store, running(store) as url:
        sender = destination(url, FileMemory(folder / "memory"))
        sender.send(made)
        assert all(store.document(one.document_id) for one in made)
    one = Region(folder, documents=[each.document_id for each in made])
    certificate(folder)
    command = [*PROGRAM, "--state", str(one.state), "platform", "serve", "--port", "0", "--people", "127.0.0.1:0", "--name", "localhost",
               "--people-certificate", str(folder / "c.pem"), "--people-key", str(folder / "k.pem")]  # fmt: skip
    with (folder / "platform.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("platform serves people"):
                one.url = line.split()[-1]
            if line.startswith("platform ready"):
                break
        assert one.url, (folder / "platform.log").read_text()
        yield one
    finally:
        process.terminate()
        process.wait(40)
