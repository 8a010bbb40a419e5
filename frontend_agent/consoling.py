"""The console beside the pipe: a process of its own, started again when it ends, and nobody waits for it."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from frontend_agent.logs import event, log

AGAIN, AT_MOST = 1.0, 60.0  # seconds until it is started again: doubled each time
STEADY = 60.0  # it ran for so many seconds: the next end counts as the first
END_WITHIN = 3.0


class Consoling:
    """`frontend-agent console serve` for as long as the daemon runs."""

    def __init__(self, config_path: Path, state: Path) -> None:
        self._command = [
            sys.executable, "-m", "frontend_agent.cli.main", "--config", str(config_path), "--state", str(state),
            "console", "serve",
        ]  # fmt: skip
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="console", daemon=True)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """At once: whoever looks on may look again after the next start."""
        self._stopping.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()

    def join(self, patience: float = END_WITHIN) -> None:
        self._thread.join(patience)
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()

    def _watch(self) -> None:
        wait = AGAIN
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run()
            if self._stopping.is_set():
                return
            wait = AGAIN if time.monotonic() - began > STEADY else wait
            log.warning(event("console.ended", exit_code=code, again_in=wait))
            self._stopping.wait(wait)
            wait = min(wait * 2, AT_MOST)

    def _run(self) -> int:
        try:
            self._child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        except OSError as error:
            log.warning(event("console.not_started", error=type(error).__name__))
            return -1
        if self._stopping.is_set():
            self._child.terminate()
        return self._child.wait()
