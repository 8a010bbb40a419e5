"""When the head of the chained log is sent by itself to be countersigned: no parcel went for a while that carried it.

A log is provable up to the newest head that the platform countersigned. It is never further behind than 60 seconds or 100
entries while the platform answers: whoever changes what happened has that long (threats L3).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

SECONDS = 30.0  # an entry waits so long for a parcel that goes anyway; 60 with the slowest answer that we wait for
ENTRIES = 50  # and so many entries; what is made meanwhile is within the 100
AGAIN = 10.0  # seconds until the next try, after one in vain


@dataclass
class Anchoring:
    """One destination's. Not for several threads."""

    clock: Callable[[], float]  # seconds that only go forward
    _since: float | None = field(default=None, init=False)  # when entries were first seen that nobody has countersigned
    _tried: float = field(default=float("-inf"), init=False)

    def is_due(self, newest: int, anchored: int) -> bool:
        """Whether the head goes by itself now. `newest` and `anchored` are numbers of entries."""
        now = self.clock()
        if newest <= anchored:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if now - self._tried < AGAIN:
            return False
        return newest - anchored >= ENTRIES or now - self._since >= SECONDS

    def tried(self, anchored: bool) -> None:
        """It was sent; `anchored`: and signed. What came meanwhile waits anew."""
        self._tried = float("-inf") if anchored else self.clock()
        if anchored:
            self._since = None
