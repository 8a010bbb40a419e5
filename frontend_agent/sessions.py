"""Who has come in at the console, or at the platform: by a token that only his browser holds, for a while. No clock, no chance of its own.

Sessions live in the daemon, not in the console's process: that process has no power of its own, and asks in the name of
whoever's token it was handed. They are forgotten when the agent ends; people log in anew.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """A person, as far as logins must know him."""

    @property
    def name(self) -> str: ...


P = TypeVar("P", bound=Named)

MOST = 200  # at once: more is no hospital's information department
LINK_HOLDS = timedelta(minutes=10)


@dataclass(frozen=True)
class Session(Generic[P]):
    """One login."""

    person: P
    began: datetime
    seen: datetime


class Sessions(Generic[P]):
    """Tokens are kept as their SHA-256: nothing in our memory lets anybody in. Safe to use from several threads."""

    def __init__(self, idle: timedelta, longest: timedelta, random: Callable[[], str]) -> None:
        self._idle = idle
        self._longest = longest
        self._random = random
        self._sessions: dict[bytes, Session[P]] = {}
        self._links: dict[bytes, tuple[P, datetime]] = {}
        self._lock = threading.Lock()
        self.one_at_a_time = threading.Lock()  # logins: side by side they would all be tried before one is counted

    def begin(self, person: P, now: datetime) -> str:
        """A new token, whatever the browser held before (no session is fixed beforehand)."""
        token = self._random()
        with self._lock:
            self._sessions = {key: one for key, one in self._sessions.items() if self._holds(one, now)}
            while len(self._sessions) >= MOST:
                del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
            self._sessions[_key(token)] = Session(person, now, now)
        return token

    def person(self, token: str, now: datetime, is_there: bool = True) -> P | None:
        """Whose token that is, if it still holds. Who asks is there; a page that renews itself does not say so."""
        with self._lock:
            found = self._sessions.get(_key(token))
            if found is None or not self._holds(found, now):
                self._sessions.pop(_key(token), None)
                return None
            if is_there:
                self._sessions[_key(token)] = replace(found, seen=now)
            return found.person

    def end(self, token: str) -> P | None:
        with self._lock:
            found = self._sessions.pop(_key(token), None)
        return found.person if found else None

    def end_all(self, name: str) -> None:
        """Every login of a person: his password changed, or he has none any more."""
        with self._lock:
            self._sessions = {key: one for key, one in self._sessions.items() if one.person.name != name}

    def link(self, person: P, now: datetime) -> str:
        """A key that lets this person in once, soon."""
        key = self._random()
        with self._lock:
            self._links = {one: (who, at) for one, (who, at) in self._links.items() if now - at < LINK_HOLDS}
            self._links[_key(key)] = person, now
        return key

    def enter(self, key: str, now: datetime) -> P | None:
        """Whose key that is; it is used up."""
        with self._lock:
            person, at = self._links.pop(_key(key), (None, now))
        return person if person is not None and now - at < LINK_HOLDS else None

    def _holds(self, session: Session[P], now: datetime) -> bool:
        return now - session.seen < self._idle and now - session.began < self._longest


def _key(token: str) -> bytes:
    return sha256(token.encode()).digest()
