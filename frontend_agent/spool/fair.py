"""A lock that is given to those who wait in the order in which they came, and that its holder may take again.

The lock of the standard library goes to whoever is quickest: a thread that commits group after group would never let another in.
"""

import threading
from collections import deque


class FairLock:
    """Used as a context."""

    def __init__(self) -> None:
        self._door = threading.Lock()  # held for a few instructions only
        self._owner = 0
        self._depth = 0
        self._queue: deque[tuple[int, threading.Lock]] = deque()

    def __enter__(self) -> None:
        me = threading.get_ident()
        if self._owner == me:  # nobody else can make it so
            self._depth += 1
            return
        with self._door:
            if not self._depth:
                self._owner, self._depth = me, 1
                return
            mine = threading.Lock()
            mine.acquire()
            self._queue.append((me, mine))
        try:
            mine.acquire()  # until the one before hands it over
        except BaseException:  # interrupted: what was handed over meanwhile goes on to the next
            self._leave(me, mine)
            raise

    def _leave(self, me: int, mine: threading.Lock) -> None:
        with self._door:
            if (me, mine) in self._queue:
                self._queue.remove((me, mine))
                return
        self.__exit__()

    def __exit__(self, *_: object) -> None:
        if self._depth > 1:
            self._depth -= 1
            return
        with self._door:
            if self._queue:
                self._owner, following = self._queue.popleft()
                following.release()
            else:
                self._owner = self._depth = 0
