"""Signs of life, on which rests what systemd's watchdog is told: a thread that lives may hang all the same.

    pulse = pulses.of("send-platform", 600.0)
    pulse.beat()          # it goes on; heard of again within 600 seconds, or it is late
    pulse.rest()          # it waits for work: nothing is expected of it

Whoever works in pieces beats once for each piece, with the time that the longest lawful piece may take.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pulse:
    """One thread's. At rest until its first beat."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`longest`: seconds between two beats that are no reason to worry."""
        self._longest, self._clock = longest, clock
        self._due: float | None = None

    def beat(self) -> None:
        self._due = self._clock() + self._longest

    def rest(self) -> None:
        self._due = None

    @property
    def is_late(self) -> bool:
        due = self._due  # read once: its thread may come to rest at this moment
        return due is not None and self._clock() > due

    @contextmanager
    def at_work(self) -> Iterator["Pulse"]:
        """A piece of work with a beginning and an end."""
        self.beat()
        try:
            yield self
        finally:
            self.rest()


class Pulses:
    """All of one process, by name. Asking twice for a name is asking for the same one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pulses: dict[str, Pulse] = {}

    def of(self, name: str, longest: float) -> Pulse:
        with self._lock:
            return self._pulses.setdefault(name, Pulse(longest, self._clock))

    def late(self) -> list[str]:
        """Those who should have been heard of by now."""
        with self._lock:
            return [name for name, pulse in self._pulses.items() if pulse.is_late]
