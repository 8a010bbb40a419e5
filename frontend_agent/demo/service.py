"""The demonstration's platform: a process of its own, as it would be a machine of its own."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import requests

from frontend_agent.errors import DestinationUnreachable
from frontend_agent.machine import lock

HOST, PORT = "127.0.0.1", 8480
START_WITHIN = 30.0  # seconds
STOP_WITHIN = 15.0
_READY = re.compile(r"platform ready (\S+)")


class PlatformProcess:
    """`python -m frontend_agent.platform` over one state folder; its log is beside it."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self, wanted_url: str = "") -> str:
        """Start it, at the address it had before if that is free. Returns its address."""
        if wanted_url and self._is_in_use() and _answers(wanted_url):
            self.url = wanted_url  # a demonstration left it running
            return self.url
        port = int(wanted_url.rpartition(":")[2]) if wanted_url else PORT
        self.url = self._started(port) or self._started(0)
        if not self.url:
            raise DestinationUnreachable(f"the platform did not start: see {self._log}")
        return self.url

    def wait(self) -> None:
        """Until it ends by itself or somebody presses Ctrl-C."""
        if self._process is not None:
            self._process.wait()

    @property
    def is_running(self) -> bool:
        """Whether we started it and it lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End what we started; a platform that was there before stays."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_in_use(self) -> bool:
        """Whether a platform runs over this very state: another one may have taken the address in the meantime."""
        if not (self._state / "lock").exists():
            return False
        with (self._state / "lock").open("r+b") as file:
            return not lock(file.fileno())

    @property
    def _log(self) -> Path:
        return self._state.parent / "platform.log"

    def _started(self, port: int) -> str:
        """The address, or nothing if it ended at once (the port is taken) or does not come up."""
        command = [sys.executable, "-m", "frontend_agent.platform"]
        command += ["--state", str(self._state), "--host", HOST, "--port", str(port)]
        with self._log.open("a", encoding="utf-8") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self._process = process
        assert process.stdout is not None
        giving_up = threading.Timer(START_WITHIN, process.kill)
        giving_up.start()
        line = process.stdout.readline()
        giving_up.cancel()
        ready = _READY.search(line)
        if ready is None:
            process.wait()
            return ""
        # Whatever it says later is not for us; read on, so that it never waits for us.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        return ready[1].rstrip("/")


def _answers(url: str) -> bool:
    session = requests.Session()
    session.trust_env = False
    try:
        return session.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False
    finally:
        session.close()
