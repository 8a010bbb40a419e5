"""What the sources count and what the spool keeps of it, brought together; and the pauses that people decided.

The sources know nothing of the state, the spool nothing of connections: this is the little that stands between.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from connectors import Source
from connectors.guest import Pause
from frontend_agent.spool import SourcePause, Spool
from frontend_agent.usage import Tally

KEPT = timedelta(days=400)  # of usage by hour


class GuestBook:
    """One agent's."""

    def __init__(self, spool: Spool, sources: Mapping[str, Source]) -> None:
        self._spool = spool
        self._sources = sources

    def recall(self, now: datetime) -> None:
        """Tell the sources what an earlier life had learned, and which of them are paused."""
        for name, source in self._sources.items():
            source.guest.remember(Tally({}, self._spool.guests.baselines(name)))
        for name, pause in self._spool.guests.paused(now).items():
            if source_ := self._sources.get(name):
                source_.pause(Pause(pause.until, pause.reason))

    def keep(self) -> None:
        """Write down what was counted since the last time."""
        if self._sources:
            self._spool.guests.keep({name: source.guest.take() for name, source in self._sources.items()})

    def drop(self, now: datetime) -> None:
        """Usage that is over a year old."""
        self._spool.guests.drop(KEPT, now)

    def pause(self, name: str, until: datetime | None, who: str, reason: str, now: datetime) -> SourcePause:
        """Written down first: whatever happens next, it holds after a restart."""
        kept = self._spool.guests.pause(name, until, who, reason, now)
        if source := self._sources.get(name):
            source.pause(Pause(until, reason))
        return kept

    def resume(self, name: str, who: str, now: datetime) -> bool:
        """Whether it was paused."""
        was = self._spool.guests.resume(name, who, now)
        if source := self._sources.get(name):
            source.resume()
        return was
