"""Files that are no messages and no DICOM, one by one: what is made of each is its taker's business.

look ─▶ whole ─▶ take: made, and kept ─▶ away · refused with its reasons · later: it waits for something that is not there yet
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from random import random
from typing import Any

from connectors.arrivals import InboxFull
from connectors.folders.collecting import Away, Collector, Later, Memory, Picked
from connectors.folders.place import Place
from connectors.folders.reasons import FileRefused, Reason
from frontend_agent.config_files import Picking
from frontend_agent.errors import FrontendAgentError
from frontend_agent.logs import event, log

LONGEST_PAUSE = 300.0  # seconds
TakeOne = Callable[[Picked], "Away | FileRefused | Later"]  # what it took is on disk when it returns


class FilesOneByOne:
    """An inlet that hands every whole file of a folder to a taker. `start` begins a thread that looks every so often."""

    def __init__(
        self,
        name: str,
        picking: Picking,
        largest: int,
        place: Place,
        take: TakeOne,
        clock: Callable[[], datetime],
        memory: Memory,
        timezone: str,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._place, self._take, self._close = place, take, close
        self._every, self._settle = picking.every.total_seconds(), picking.settle.total_seconds()
        self._writes = picking.after != "leave"
        self._collector = Collector(place, picking, largest, self._take_all, memory, clock, timezone, told=self._tell)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name=f"images-inlet-{self.name}", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(patience)
        if self._thread is None or not self._thread.is_alive():
            self._place.close()
            self._close()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def probe(self) -> None:
        self._place.probe(self._writes)

    def told(self) -> dict[str, Any]:
        return {"address": self._place.where, "failures": self._failures, **asdict(self._collector.counts)}

    def fetch(self) -> int:
        """Look once, and once more when what lies there has had time to settle. How many files were taken."""
        taken = self._collector.look(self._stopping.is_set)
        if self._collector.counts.waiting and not self._stopping.wait(self._settle):
            taken += self._collector.look(self._stopping.is_set)
        return taken

    def _work(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = self._every
            try:
                self._collector.look(self._stopping.is_set)
                self._failures = 0
            except InboxFull:
                continue
            except FrontendAgentError as error:  # the place, or our own disk
                wait = self._failed(str(error))
            except Exception as error:  # noqa: BLE001  a fault of ours must not end the inlet; nothing was put away by it
                wait = self._failed(f"unexpected {type(error).__name__}")

    def _failed(self, problem: str) -> float:
        self._failures += 1
        self._collector.counts.problem = problem
        if self._failures == 1:
            log.warning(event("inlet.unreachable", inlet=self.name, problem=problem))
        pause: float = min(self._every * 2 ** min(self._failures, 20), LONGEST_PAUSE)
        return pause * (1 - random() / 2)  # noqa: S311  spreads retries

    def _take_all(self, files: Sequence[Picked]) -> Sequence[Away | FileRefused | Later]:
        return [self._take(file) for file in files]

    def _tell(self, what: str, digest: str, reasons: Sequence[Reason]) -> None:
        said = "; ".join(one.said("en") for one in reasons)
        log.warning(event(f"inlet.file_{what}", inlet=self.name, sha256=digest[:16], problem=said))
