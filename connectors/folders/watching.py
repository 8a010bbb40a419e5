"""The life of an inlet that looks into a folder: its thread, how often it looks, and what is told when the place cannot be reached."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import random
from typing import Any

from connectors.arrivals import InboxFull
from connectors.folders.collecting import Collector
from connectors.folders.place import Place
from connectors.folders.reasons import Reason
from frontend_agent.errors import FrontendAgentError

LONGEST_PAUSE = 300.0  # seconds between two tries of a place that cannot be reached
Told = Callable[[str, dict[str, Any]], None]


class FolderWatch:
    """One folder, here or on a server. `start` begins a thread that looks every so often. Who builds on it sets `_collector`."""

    _collector: Collector

    def __init__(self, name: str, place: Place, every: timedelta, settle: timedelta, writes: bool, told: Told) -> None:
        """`writes`: files are moved or deleted there."""
        self.name = name
        self._place, self._told = place, told
        self._every, self._settle = every.total_seconds(), settle.total_seconds()
        self._writes = writes
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name=f"inlet-{self.name}", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(patience)
        if self._thread is None or not self._thread.is_alive():
            self._place.close()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def probe(self) -> None:
        self._place.probe(self._writes)

    def fetch(self) -> int:
        """Look once, and once more when what lies there has had time to settle. How many files were taken."""
        taken = self._collector.look(self._stopping.is_set)
        if self._collector.counts.waiting and not self._stopping.wait(self._settle):
            taken += self._collector.look(self._stopping.is_set)
        return taken

    # -- the thread

    def _work(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = self.look()

    def look(self) -> float:
        """One look; in how many seconds the next is due."""
        try:
            self._collector.look(self._stopping.is_set)
        except InboxFull:
            return self._every
        except FrontendAgentError as error:  # the place, or our own disk
            return self._failed(str(error))
        except Exception as error:  # noqa: BLE001  a fault of ours must not end the inlet; nothing was put away by it
            return self._failed(f"unexpected {type(error).__name__}")
        if self._failures:
            self._told("inlet.reached", {"inlet": self.name, "failures": self._failures})
        self._failures = 0
        return self._every

    def _failed(self, problem: str) -> float:
        self._failures += 1
        self._collector.counts.problem = problem
        if self._failures == 1:
            self._told("inlet.unreachable", {"inlet": self.name, "problem": problem})
        pause: float = min(self._every * 2 ** min(self._failures, 20), LONGEST_PAUSE)
        return pause * (1 - random() / 2)  # noqa: S311  spreads retries

    def _tell(self, what: str, digest: str, reasons: Sequence[Reason]) -> None:
        said = "; ".join(one.said("en") for one in reasons)
        self._told(f"inlet.file_{what}", {"inlet": self.name, "sha256": digest[:16], "problem": said})
