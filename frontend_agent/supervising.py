"""For a machine without systemd (Windows): a parent that starts the agent, knows when it is ready, and ends it gently.

    parent ── standard input ──▶ agent     it hangs up: the agent stops in order, as at SIGTERM
           ◀── standard output ──          READY=1, WATCHDOG=1, STOPPING=1: what systemd is told (notify.py)

Nothing here belongs to one system. The Windows service (installer/windows/service.py) adds what Windows wants to be told.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import IO, NamedTuple

LOOK = 1.0  # seconds between words to whoever waits
STARTS_WITHIN = 1800.0  # as TimeoutStartSec of the unit: a spool of millions is looked through first
HANGS_AFTER = 60.0  # as WatchdogSec
ENDS_WITHIN = 15.0  # as TimeoutStopSec
LARGEST_LOG = 10 << 20  # bytes of what the agent says beside its own log: before it has one, and of its end


class Stage(Enum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


class Ending(NamedTuple):
    """How it ended; `why` where it was ended by us and not as asked."""

    exit_code: int
    why: str = ""


def supervise(
    command: Sequence[str],
    log: Path,
    stopping: threading.Event,
    tell: Callable[[Stage], None],
    *,
    starts_within: float = STARTS_WITHIN,
    hangs_after: float = HANGS_AFTER,
    ends_within: float = ENDS_WITHIN,
) -> Ending:
    """Run it until it ends, or until `stopping` is set. `tell` hears where it stands, at least every second until it is ready or gone."""
    with _opened(log) as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=log.parent, creationflags=_FLAGS
        )
    heard = _Heard(child)
    why = ""
    while child.poll() is None and not stopping.is_set():
        if not heard.ready:
            tell(Stage.STARTING)
        silent = time.monotonic() - heard.last
        if silent > (hangs_after if heard.ready else starts_within):
            why = f"no sign of life for {silent:.0f} s"
            break
        if heard.became_ready.wait(LOOK) and not heard.told:
            heard.told = True
            tell(Stage.READY)
        elif heard.ready:
            stopping.wait(LOOK)
    if why:
        child.kill()
    elif child.poll() is None:
        why = _stopped(child, tell, ends_within)
    return Ending(child.wait(), why)


def _stopped(child: "subprocess.Popen[bytes]", tell: Callable[[Stage], None], within: float) -> str:
    assert child.stdin is not None
    child.stdin.close()
    until = time.monotonic() + within
    while time.monotonic() < until:
        tell(Stage.STOPPING)
        try:
            child.wait(LOOK)
        except subprocess.TimeoutExpired:
            continue
        return ""
    child.kill()  # whatever is cut off here loses nothing: everything that counts is one commit
    return f"did not stop within {within:.0f} s"


if sys.platform == "win32":
    _FLAGS = subprocess.CREATE_NO_WINDOW
else:
    _FLAGS = 0


def _opened(log: Path) -> IO[bytes]:
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        os.replace(log, log.with_suffix(".1.log"))
    return log.open("ab")


class _Heard:
    """What the agent says, line by line, in a thread of its own."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self.last = time.monotonic()
        self.became_ready = threading.Event()
        self.told = False
        threading.Thread(target=self._listen, args=(child,), name="supervised", daemon=True).start()

    @property
    def ready(self) -> bool:
        return self.became_ready.is_set()

    def _listen(self, child: "subprocess.Popen[bytes]") -> None:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() in (b"READY=1", b"WATCHDOG=1"):
                self.last = time.monotonic()
            if line.strip() == b"READY=1":
                self.became_ready.set()


# -- The agent's side -------------------------------------------------------------------------------------------------


def on_hang_up(stop: Callable[[], None], line: IO[bytes]) -> None:
    """Call it once whoever holds the other end of this line has closed it, or has ended."""

    def listen() -> None:
        while line.read(4096):
            continue
        stop()

    threading.Thread(target=listen, name="hang-up", daemon=True).start()
