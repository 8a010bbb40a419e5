"""One agent's work as a process of its own: every feed once, and the spool emptied, as `frontend-agent once` does it.

    python -m benchmarks.agent AGENT.TOML STATE

Prints one JSON object: seconds from the first read to the last receipt, and the most memory it ever had.
"""

import json
import sys
import time
from pathlib import Path

from frontend_agent.app import App
from frontend_agent.config import load_config
from frontend_agent.daemon import Daemon


def memory(process: int | str = "self") -> tuple[int, int]:
    """Resident bytes of a process: now, and the most there ever were."""
    status = Path(f"/proc/{process}/status").read_text()
    found = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}
    return int(found["VmRSS"]) * 1024, int(found["VmHWM"]) * 1024


def main() -> None:
    config, state = Path(sys.argv[1]), Path(sys.argv[2])
    state.mkdir(parents=True, exist_ok=True)
    with App(load_config(config), state) as app:
        daemon = Daemon(app)
        started, cpu = time.perf_counter(), time.process_time()
        outcomes = daemon.once()
        result = {
            "seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - cpu,
            "counts": {outcome.feed: outcome.counts for outcome in outcomes},
            "problems": [str(outcome.error) for outcome in outcomes if outcome.error],
            "peak_bytes": memory()[1],
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
