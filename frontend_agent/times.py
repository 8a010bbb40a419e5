"""Where the time goes: per step of the pipe, how long it took by the clock, how much of the processor, how many documents.

Steps of several threads overlap, so the clock's sums may come to more than the run took; the processor's do not.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec

STEPS = ("extract", "normalise", "compare", "check", "render", "compress", "spool", "push")


class Step(msgspec.Struct):
    """One step's sums."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    items: int = 0


class StepTimes:
    """Sums over the life of a process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps = {name: Step() for name in STEPS}

    def add(self, step: str, seconds: float, cpu_seconds: float, items: int = 0) -> None:
        with self._lock:
            sums = self._steps.setdefault(step, Step())
            sums.seconds += seconds
            sums.cpu_seconds += cpu_seconds
            sums.items += items

    @contextmanager
    def measured(self, step: str, items: int = 0) -> Iterator[None]:
        """The time spent inside, in this thread."""
        lap = self.laps()
        try:
            yield
        finally:
            lap(step, items)

    def laps(self) -> Callable[..., None]:
        """A stopwatch: each call ends the step that it names."""
        clock, cpu = time.perf_counter(), time.thread_time()

        def lap(step: str, items: int = 0) -> None:
            nonlocal clock, cpu
            clock_now, cpu_now = time.perf_counter(), time.thread_time()
            self.add(step, clock_now - clock, cpu_now - cpu, items)
            clock, cpu = clock_now, cpu_now

        return lap

    def merge(self, steps: Mapping[str, Step]) -> None:
        """Add the sums of another process."""
        for name, sums in steps.items():
            self.add(name, sums.seconds, sums.cpu_seconds, sums.items)

    def snapshot(self) -> dict[str, Step]:
        with self._lock:
            return {name: Step(s.seconds, s.cpu_seconds, s.items) for name, s in self._steps.items()}
