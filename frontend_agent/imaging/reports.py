"""Storage commitment as it is reported to us (PS3.4 annex J): whoever receives an N-EVENT-REPORT tells it here, whoever asked hears.

The report comes on any association, before or after the answer to what was asked, also to an inlet of another name.
"""

import threading
from collections.abc import Callable, Sequence

# transaction UID, (SOP class, SOP instance) of what is safe, the same with the Failure Reason (0008,1197) of what is not.
# Whether it was this listener's transaction.
Listener = Callable[[str, Sequence[tuple[str, str]], Sequence[tuple[str, str, int]]], bool]


class CommitmentReports:
    """Reports on their way from an inlet to the destination that asked for them."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def listen(self, listener: Listener) -> None:
        """Hear of every report from now on."""
        with self._lock:
            self._listeners.append(listener)

    def reported(
        self,
        transaction_uid: str,
        committed: Sequence[tuple[str, str]],
        failed: Sequence[tuple[str, str, int]] = (),
    ) -> bool:
        """A report has come. Whether somebody had asked for it; what a listener raises is the caller's to answer (status 0x0110)."""
        with self._lock:
            listeners = tuple(self._listeners)
        heard = [
            listener(transaction_uid, committed, failed) for listener in listeners
        ]  # each of them, whoever knows it
        return any(heard)
