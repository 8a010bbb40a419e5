"""One agent's work as a process of its own: every feed once, and the spool emptied, as `frontend-agent once` does it.

    python -m benchmarks.agent AGENT.TOML STATE

Prints one JSON object: seconds from the first read to the last receipt, and the most memory it ever had.
"""

import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from frontend_agent.app import App
from frontend_agent.config import load_config
from frontend_agent.daemon import Daemon


def memory(process: int | str = "self") -> tuple[int, int]:
    """Resident bytes of a process: now, and the most there ever were."""
    status = Path(f"/proc/{process}/status").read_text()
    found = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}
    return int(found["VmRSS"]) * 1024, int(found["VmHWM"]) * 1024


def cpu_seconds(process: int) -> float:
    """The processor's seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def proportional(process: int) -> int:
    """Resident bytes of a process, those it shares with others divided among them."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


class Peak:
    """The most that a process and all that came of it had at one time, looked at four times a second."""

    def __init__(self) -> None:
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.25):
            with suppress(FileNotFoundError, ProcessLookupError):  # one of them has just ended
                self.bytes = max(self.bytes, sum(map(proportional, family(os.getpid()))))


def family(process: int) -> list[int]:
    """A process and all that came of it: the worker processes count as the agent."""
    found = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def main() -> None:
    config, state = Path(sys.argv[1]), Path(sys.argv[2])
    state.mkdir(parents=True, exist_ok=True)
    with App(load_config(config), state) as app, Peak() as peak:
        daemon = Daemon(app)
        started, used = time.perf_counter(), cpu_seconds(os.getpid())
        outcomes = daemon.once()
        seconds = time.perf_counter() - started
        processes = family(os.getpid())
        result = {
            "seconds": seconds,
            "cpu_seconds": sum(map(cpu_seconds, processes)) - used,
            "counts": {outcome.feed: outcome.counts for outcome in outcomes},
            "problems": [str(outcome.error) for outcome in outcomes if outcome.error],
            "peak_bytes": max(peak.bytes, memory()[1] if len(processes) == 1 else 0),
            "processes": len(processes),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
