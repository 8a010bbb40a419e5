"""How much is asked for at once, so that one statement of ours does not hold a server for long.

    ask for `size` ──▶ it took so long ──▶ more, less, or as much the next time

Asking for less helps where a statement's time grows with what it brings. Where it does not (a scan without an index costs the
same for eight keys as for five hundred) splitting would multiply what we cost; that is measured, and the larger size kept.
Pure: sizes and seconds in, a size out.
"""

from collections.abc import Sequence

LONGEST = 0.15  # seconds of one statement, as far as its size can help
HELPS = 0.6  # a smaller statement must take at most so much of the larger one's time, or it is no help
WEIGHT = 0.5  # of the newest time


class Splitting:
    """The size of one query's statements."""

    def __init__(self, sizes: Sequence[int], first: int) -> None:
        """`sizes` ascending; begins with one of them."""
        self._sizes = tuple(sizes)
        self._at = self._sizes.index(first)
        self._seconds: dict[int, float] = {}  # place in sizes -> what one takes

    @property
    def size(self) -> int:
        return self._sizes[self._at]

    def took(self, size: int, seconds: float) -> None:
        """A statement for so much took so long. A smaller one than asked for (the last piece) tells only that it is too long."""
        if size != self.size:
            if size > self.size or seconds <= LONGEST:
                return
            self._at = self._sizes.index(size)
        at = self._at
        known = self._seconds.get(at, seconds)
        usual = self._seconds[at] = known + WEIGHT * (seconds - known)
        smaller, larger = self._seconds.get(at - 1), self._seconds.get(at + 1)
        if larger is not None and larger > LONGEST and usual > HELPS * larger:
            self._at += 1  # it was split, and that was no help
        elif usual > LONGEST and at and (smaller is None or smaller <= HELPS * usual):
            self._at -= 1
        elif at + 1 < len(self._sizes) and usual * self._sizes[at + 1] / size <= LONGEST:
            self._at += 1
            self._seconds.pop(at + 1, None)  # it may have become faster since
