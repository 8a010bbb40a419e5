"""Whether a source can be reached, and when a login may be tried next: after an outage nobody storms it (threats Q5).

Between two logins lie five seconds at least, whatever happens. Once a source does not answer, nothing is asked of it until
its next try, which one asker makes alone; each failure doubles the wait, with some chance in it so that the agents of a
region do not come back as one. Clocks and chance are injected.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import random

import msgspec

from frontend_agent.errors import SourceError, SourceRefused, SourceUnreachable

SPACING = 5.0  # seconds between two logins at one source
LONGEST = 120.0  # seconds between two tries, before chance adds up to a half


class Reached(msgspec.Struct, frozen=True):
    """How a source is reached. `since` is None while it answers."""

    since: datetime | None = None
    next_try: datetime | None = None
    problem: str = ""
    logins: int = 0  # tried since we started


class Reach:
    """The logins of one source. Its methods are called from several threads."""

    def __init__(
        self,
        name: str,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random,
    ) -> None:
        self._name = name
        self._monotonic = monotonic
        self._now = now
        self._chance = chance
        self._lock = threading.Lock()
        self._last = float("-inf")  # when the last login was, or will be, tried
        self._next = float("-inf")  # nothing is tried before, while it fails
        self._failures = 0
        self._kind: type[SourceError] = SourceUnreachable
        self._told = Reached()

    def must_wait(self) -> None:
        """Raise what went wrong the last time while the next try is still to come."""
        with self._lock:
            if self._failures and self._monotonic() < self._next:
                raise self._too_early()

    def login(self) -> float:
        """A login is to be tried: the seconds to wait before it. Raises where it is not to be tried now."""
        with self._lock:
            now = self._monotonic()
            if self._failures and now < self._next:
                raise self._too_early()
            at = max(now, self._last + SPACING)
            self._last = at
            self._next = at + SPACING  # nobody else tries meanwhile
            self._told = msgspec.structs.replace(self._told, logins=self._told.logins + 1)
            return at - now

    def worked(self) -> None:
        with self._lock:
            if self._failures:
                self._failures = 0
                self._told = Reached(logins=self._told.logins)

    def failed(self, error: Exception) -> None:
        with self._lock:
            self._failures += 1
            self._kind = SourceRefused if isinstance(error, SourceRefused) else SourceUnreachable
            wait = min(LONGEST, SPACING * 2 ** (self._failures - 1)) * (1 + self._chance() / 2)
            self._next = max(self._next, self._monotonic() + wait)
            left = timedelta(seconds=self._next - self._monotonic())
            now = self._now()
            self._told = Reached(self._told.since or now, now + left, str(error), self._told.logins)

    def wait(self) -> float:
        """Seconds until a login may be tried."""
        with self._lock:
            until = max(self._last + SPACING, self._next if self._failures else 0.0)
            return max(0.0, until - self._monotonic())

    def try_now(self) -> None:
        """A person asks: the next login does not wait for its turn (but keeps the spacing)."""
        with self._lock:
            self._next = float("-inf")

    def told(self) -> Reached:
        with self._lock:
            return self._told

    def _too_early(self) -> SourceError:
        since, next_try = self._told.since, self._told.next_try
        if since is None or next_try is None:
            return SourceUnreachable(f"source {self._name}: another login is being tried")
        return self._kind(
            f"source {self._name}: unreachable since {since.astimezone():%Y-%m-%d %H:%M:%S},"
            f" next try {next_try.astimezone():%H:%M:%S}: {self._told.problem}"
        )
