"""What a source tells whoever watches it, so that one that hangs can be told from one that works.

A source in the process of its asker is watched by nobody, and tells in vain. One in a process of its own (`remote.py`)
tells its parent, who ends it when what it told takes longer than it said.
"""

from __future__ import annotations


class Pulse:
    """Nobody listens."""

    def logs_in(self, seconds: float) -> None:
        """A login is tried now, and may take so long. Raises SourceUnreachable when it is too early to try again."""

    def connected(self, session: str) -> None:
        """The login succeeded; by this number the server's session can be ended from another one ("" for none)."""

    def asks(self, query: str, seconds: float) -> None:
        """A statement is sent now; the engine was told to end it after so many seconds."""

    def rests(self) -> None:
        """The answer is here, or an error: nothing of ours is under way at the source."""

    def waits(self, seconds: float) -> None:
        """Nothing is under way on purpose, for so long."""


class Listening(Pulse):
    """Whether something of ours is under way at the source."""

    def __init__(self) -> None:
        self.busy, self.beats = False, 0

    def _beat(self, busy: bool) -> None:
        self.busy, self.beats = busy, self.beats + 1

    def logs_in(self, seconds: float) -> None:
        self._beat(True)

    def connected(self, session: str) -> None:
        self._beat(False)

    def asks(self, query: str, seconds: float) -> None:
        self._beat(True)

    def rests(self) -> None:
        self._beat(False)

    def waits(self, seconds: float) -> None:
        self._beat(False)
