"""A bandwidth that several connections share: who wants to send or fetch so many bytes waits until they may go."""

import threading
import time
from collections.abc import Callable

PIECE = 256 << 10  # bytes read, and sent, at a time where nothing bounds it
A_SECOND_IN = 8  # pieces: a bounded line is smooth, whatever others share it


class Bandwidth:
    """Bytes a second over all who share it; 0: not bounded. Nothing is saved up: after a rest it goes on as before."""

    def __init__(self, bytes_a_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = int(bytes_a_second)
        self._clock = clock
        self._free_at = clock()  # when what was let go so far will have gone
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.piece = max(min(PIECE, self._rate // A_SECOND_IN), 1024) if self._rate else PIECE

    def due(self, size: int) -> float:
        """Take room for so many bytes. In how many seconds they may go."""
        with self._lock:
            now = self._clock()
            begins = max(self._free_at, now)
            self._free_at = begins + size / self._rate
            return begins - now

    def take(self, size: int) -> None:
        """Wait until so many bytes may go."""
        if self._rate and (seconds := self.due(size)) > 0:
            self._closed.wait(seconds)

    def close(self) -> None:
        """Nobody waits any more: who is cut off is not to hang here first."""
        self._closed.set()
