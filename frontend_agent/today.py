"""What came to pass since midnight: the tallies that every commit keeps, less what they were when the day began.

The figures of the morning are kept as one value of the state, once a day; an agent that was off at midnight takes them when
it starts, and nothing has changed meanwhile. On the day of its first start they begin with that start, and say so.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from frontend_agent.app import App

MORNING = "morning"  # its name in the state
FEED = ("records", "documents", "held", "withheld", "unchanged")
DESTINATION = ("delivered", "accepted")

Figures = dict[str, dict[str, int]]


class Morning(msgspec.Struct):
    """The tallies when a day began: by feed, by destination of documents, by destination of images."""

    day: str  # local, 2026-11-21
    at: datetime
    feeds: Figures
    destinations: Figures
    images: Figures


class Today:
    """The day of one agent, by the institution's clock."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._zone = ZoneInfo(app.config.institution.timezone)
        self._morning: Morning | None = None

    def keep(self) -> Morning:
        """Take the figures of the morning, if this day has none yet."""
        now = self._app.clock()
        day = now.astimezone(self._zone).date().isoformat()
        if (self._morning is None or self._morning.day != day) and (kept := self._app.spool.meta.get(MORNING)):
            self._morning = msgspec.json.decode(kept, type=Morning)
        if self._morning is None or self._morning.day != day:
            self._morning = Morning(day, now, *self._tallies())
            self._app.spool.meta.put(MORNING, msgspec.json.encode(self._morning).decode())
        return self._morning

    def told(self) -> dict[str, Any]:
        """What each feed read and made, and what each destination took, since then."""
        morning = self.keep()
        feeds, destinations, images = self._tallies()
        return {
            "day": morning.day,
            "since": morning.at.isoformat(),
            "feeds": since(morning.feeds, feeds, FEED),
            "destinations": since(morning.destinations, destinations, DESTINATION),
            "images": since(morning.images, images, DESTINATION),
        }

    def _tallies(self) -> tuple[Figures, Figures, Figures]:
        counts = self._app.spool.counts()
        images = self._app.spool.images.tallies() if self._app.config.has_images else {}
        kept = {name: dict(states) for name, states in images.items() if name in self._app.config.images.destinations}
        return (
            {name: dict(tally) for name, tally in counts.feeds.items()},
            {name: dict(tally) for name, tally in counts.deliveries.items()},
            kept,
        )


def since(before: Mapping[str, Mapping[str, int]], now: Figures, names: tuple[str, ...]) -> Figures:
    """What was added, by name; never less than nothing (a delivery that was reopened is no delivery undone today)."""
    return {
        one: {name: max(0, tally.get(name, 0) - before.get(one, {}).get(name, 0)) for name in names}
        for one, tally in now.items()
    }
