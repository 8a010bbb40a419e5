"""What a measure is: a value beside the machine's floor for the same thing, taken in turns in the same run."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.workload import Workload

MICROSECONDS = "us/document"
SECONDS = "s"
PER_SECOND = "documents/s"


@dataclass(frozen=True)
class Measure:
    """One line of the table. `ratio` is how near we are to the floor: 1.0 is as quick as the machine, 0.5 takes twice.

    `target` is for the value; `at_least` for the ratio, where the issue names one.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    target: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def higher_is_better(self) -> bool:
        return self.unit == PER_SECOND

    @property
    def ratio(self) -> float | None:
        if not self.floor or not self.value:
            return None
        return self.value / self.floor if self.higher_is_better else self.floor / self.value

    @property
    def met(self) -> bool | None:
        """None where nothing was promised."""
        kept = []
        if self.target is not None:
            kept.append(self.value >= self.target if self.higher_is_better else self.value <= self.target)
        if self.at_least is not None:
            kept.append(self.ratio is not None and self.ratio >= self.at_least)
        return all(kept) if kept else None

    def as_json(self) -> dict[str, Any]:
        ratio = self.ratio
        line = {
            "value": round(self.value, 3),
            "unit": self.unit,
            "floor": None if self.floor is None else round(self.floor, 3),
            "ratio": None if ratio is None else round(ratio, 3),
            "target": self.target,
            "met": self.met,
        }
        if self.at_least is not None:
            line["target_ratio"] = self.at_least
        if self.note:
            line["note"] = self.note
        return line


# One function measures what belongs together, over one workload; `quick` means fewer rounds.
Measuring = Callable[["Workload", bool], Iterator[Measure]]


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def for_each(work: Callable[[Any], Any], things: Iterable[Any]) -> float:
    """The seconds that the same work takes for all of them."""
    started = time.perf_counter()
    for thing in things:
        work(thing)
    return time.perf_counter() - started


def processor(work: Callable[[], Any]) -> float:
    """The processor's seconds: for work that waits for nothing, so that a neighbour's load does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def in_turns(rounds: int, ours: Callable[[], float], floor: Callable[[], float]) -> tuple[float, float]:
    """Medians of both, taken in turns: a neighbour's load, or a clock that slows down, meets both alike."""
    pairs = [(ours(), floor()) for _ in range(rounds)]
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs)


def batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
