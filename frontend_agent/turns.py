"""Whose turn it is at a source: real-time feeds first, one after another; what goes on behind them in between.

A feed that comes waits for the page that a backfill is reading, and for no more: the backfill asks `wanted` between pages.
There is a second reason for turns. Both read the same records, and whoever read them last must commit last: a backfill that
held back what it had read would overwrite a newer version by an older one.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """The turns at one source."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = False
        self._feeds = 0  # that wait

    @contextmanager
    def first(self) -> Iterator[None]:
        """A feed's turn: next, whatever else waits."""
        with self._changed:
            self._feeds += 1
            self._changed.wait_for(lambda: not self._busy)
            self._feeds -= 1
            self._busy = True
        try:
            yield
        finally:
            self._free()

    @contextmanager
    def behind(self, patience: float = 1.0) -> Iterator[bool]:
        """A turn behind the feeds. False: it did not come in time."""
        with self._changed:
            mine = self._changed.wait_for(lambda: not self._busy and not self._feeds, patience)
            self._busy = self._busy or mine
        try:
            yield mine
        finally:
            if mine:
                self._free()

    def wanted(self) -> bool:
        """Whether a feed waits for whoever is behind it."""
        return self._feeds > 0

    def _free(self) -> None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
