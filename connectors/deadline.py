"""Ends what takes too long, from another thread. Arming one costs no switch of threads: one thread watches for all.

with Cut(35.0, connection.cancel) as cut:
    …
cut.passed
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable

LINGERS = 1.0  # seconds that the thread stays when there is nothing to watch


class Cut:
    """Calls something when a time is over, unless it was left before."""

    def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
        self.passed = False
        self.due = math.inf
        self._seconds, self._cut = seconds, cut

    def __enter__(self) -> Cut:
        self.due = time.monotonic() + self._seconds
        _watch.arm(self)
        return self

    def __exit__(self, *_: object) -> None:
        _watch.disarm(self)

    def pass_(self) -> None:
        self.passed = True
        self._cut()


class _Watch:
    """The thread that watches. It sleeps until the first time that was due when it looked."""

    def __init__(self) -> None:
        self._armed: set[Cut] = set()
        self._changed = threading.Condition()
        self._wakes = math.inf  # when the thread looks again
        self._thread: threading.Thread | None = None

    def arm(self, cut: Cut) -> None:
        with self._changed:
            self._armed.add(cut)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif cut.due < self._wakes:
                self._changed.notify()

    def disarm(self, cut: Cut) -> None:
        with self._changed:
            self._armed.discard(cut)

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                due = [cut for cut in self._armed if cut.due <= now]
                self._armed.difference_update(due)
                if not due and self._armed:
                    self._wakes = min(cut.due for cut in self._armed)
                    self._changed.wait(self._wakes - now)
                    self._wakes = math.inf
                elif not due and not self._changed.wait(LINGERS) and not self._armed:
                    self._thread = None  # the next begins another: a process without threads may fork
                    return
            for cut in due:
                cut.pass_()


_watch = _Watch()


def _afresh() -> None:
    """A child of a fork has the memory of its parent but none of its threads."""
    global _watch
    _watch = _Watch()


if sys.platform != "win32":  # nothing forks there
    os.register_at_fork(after_in_child=_afresh)
