"""What the word of a destination settles for an instance: its answer when it was sent, and a re-count later (law 5).

A status that says "later" and never ends is for a person at last; what is accepted and never listed goes again, and not for ever.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence, Set

from frontend_agent.delivery import State
from frontend_agent.dicom.statuses import Said
from frontend_agent.imaging.model import Instance, Settled

ATTEMPTS = 25  # of an instance to which it is always said "later", while others are taken
_STATES = {
    Said.STORED: State.ACCEPTED,
    Said.LATER: State.WAITING,
    Said.REFUSED: State.REFUSED,
    Said.UNKNOWN: State.UNCERTAIN,
    Said.NOT_ALLOWED: State.READY,  # a person must act; no instance is to blame
}


def verdict(
    instance: Instance, said: Said, reason: str = "", *, attempts: int = 0, others_taken: bool = False
) -> Settled:
    """How an instance is settled by what was said of it."""
    state = _STATES[said]
    if said is Said.LATER and attempts >= ATTEMPTS and others_taken:
        state, reason = State.BLOCKED, f"after {attempts} attempts: {reason}"
    return Settled(instance.id, state, (reason,) if reason else ())


ABSENT_BEFORE_LOST = 3  # lists in which it is missing: a PACS lists what it has taken a while later
RESENT = 2  # times; what is taken and never proven is for a person, not for the line
REMEMBERED = 100_000  # instances


class Tally:
    """So many times for each instance; those that were not counted for the longest time are forgotten."""

    def __init__(self) -> None:
        self._counts: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()

    def again(self, instance: int) -> int:
        """One more; how many that makes."""
        with self._lock:
            count = self._counts.pop(instance, 0) + 1
            self._counts[instance] = count
            while len(self._counts) > REMEMBERED:
                self._counts.popitem(last=False)
            return count

    def forget(self, instance: int) -> None:
        with self._lock:
            self._counts.pop(instance, None)


class Recount:
    """Judges lists of one destination. Safe to use from several threads."""

    def __init__(self, by: str) -> None:
        self._by = by
        self._absent = Tally()  # lists that did not have it

    def judged(self, instances: Sequence[Instance], listed: Set[str]) -> list[Settled]:
        """What is proven, and what is to be sent again. What is missing only now is not spoken of."""
        settled = []
        for instance in instances:
            if instance.header.sop_instance_uid in listed:
                self._absent.forget(instance.id)
                settled.append(Settled(instance.id, State.DELIVERED, proof=self._by))
            elif self._is_lost(instance.id):
                reason = f"it was accepted, and is missing in {ABSENT_BEFORE_LOST} lists ({self._by})"
                settled.append(Settled(instance.id, State.READY, (reason,)))
        return settled

    def _is_lost(self, instance: int) -> bool:
        absent = self._absent.again(instance)
        return absent % ABSENT_BEFORE_LOST == 0 and absent // ABSENT_BEFORE_LOST <= RESENT
