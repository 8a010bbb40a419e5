"""Files that are no messages and no DICOM, one by one: what is made of each is its taker's business.

look ─▶ whole ─▶ take: made, and kept ─▶ away · refused with its reasons · later: it waits for something that is not there yet
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from connectors.folders.collecting import Away, Collector, Later, Memory, Picked
from connectors.folders.place import Place
from connectors.folders.reasons import FileRefused
from connectors.folders.watching import FolderWatch, Told
from frontend_agent.config_files import Picking

TakeOne = Callable[[Picked], "Away | FileRefused | Later"]  # what it took is on disk when it returns


class FilesOneByOne(FolderWatch):
    """An inlet that hands every whole file of a folder to a taker."""

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
        told: Told,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """`close`: what the taker holds is given back when it stops."""
        super().__init__(name, place, picking.every, picking.settle, picking.after != "leave", told)
        self._take, self._close = take, close
        self._collector = Collector(place, picking, largest, self._take_all, memory, clock, timezone, told=self._tell)

    def stop(self, patience: float) -> None:
        super().stop(patience)
        if not self.is_alive():
            self._close()

    def told(self) -> dict[str, Any]:
        return {"address": self._place.where, "failures": self._failures, **asdict(self._collector.counts)}

    def _take_all(self, files: Sequence[Picked]) -> Sequence[Away | FileRefused | Later]:
        return [self._take(file) for file in files]
