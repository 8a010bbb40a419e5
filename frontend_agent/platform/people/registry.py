"""The accounts of a region's people. Commands write beside a running server.

A role is one of three, and each sees its part alone:

    reader         patients' documents and images, each for a reason; hospitals and how they stand
    quality        hospitals, how they stand, their quality; no patient
    administrator  the same, and who looked at what; no patient. Never without one-time codes
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import apsw
import msgspec

from frontend_agent.errors import StateError
from frontend_agent.machine import give_to_owner_of
from frontend_agent.passwords import TRIES_WITHIN

FILE = "people.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS person (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, totp BLOB NOT NULL, step INTEGER NOT NULL DEFAULT 0,
    changed_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS try (name TEXT NOT NULL, address TEXT NOT NULL, at REAL NOT NULL);
"""


class Role(StrEnum):
    READER = "reader"
    QUALITY = "quality"
    ADMINISTRATOR = "administrator"


class Person(msgspec.Struct, frozen=True):
    """`password` as passwords.keep has it; `totp`: the secret of one-time codes, empty: none; `step`: of the last code that was used."""

    name: str
    role: str
    password: str
    totp: bytes
    step: int
    changed_at: str


class People:
    """Safe to use beside other processes; a connection for each use."""

    def __init__(self, state: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`state`: the platform's folder."""
        self._path = state / FILE
        self._clock = clock

    @contextmanager
    def _open(self) -> Iterator[apsw.Connection]:
        is_new = not self._path.exists()
        before = os.umask(0o077)
        try:
            database = apsw.Connection(str(self._path))
            database.set_busy_timeout(10_000)
            if is_new:
                database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(_SCHEMA)
        except (apsw.Error, OSError) as error:
            raise StateError(
                f"{self._path}: the people of this platform cannot be read ({type(error).__name__})"
            ) from None
        finally:
            os.umask(before)
        if is_new:
            for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
                if (one := self._path.with_name(name)).exists():
                    give_to_owner_of(one, self._path.parent)
        try:
            with database:
                yield database
        finally:
            database.close()

    def one(self, name: str) -> Person | None:
        with self._open() as database:
            row = database.execute(f"SELECT {_FIELDS} FROM person WHERE name = ?", (name,)).fetchone()  # noqa: S608 - a constant
        return Person(*row) if row else None

    def all(self) -> list[Person]:
        with self._open() as database:
            return [Person(*row) for row in database.execute(f"SELECT {_FIELDS} FROM person ORDER BY name")]  # noqa: S608

    def put(self, name: str, role: Role, password: str, totp: bytes) -> None:
        """A new account, or a new password: logins under the old one end, and what was tried before counts no more."""
        at = self._clock().isoformat(timespec="microseconds")
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO person VALUES (?, ?, ?, ?, 0, ?)", (name, role, password, totp, at)
            )
            database.execute("DELETE FROM try WHERE name = ?", (name,))

    def drop(self, name: str) -> bool:
        with self._open() as database:
            database.execute("DELETE FROM person WHERE name = ?", (name,))
            return bool(database.changes())

    def tried(self, name: str, address: str) -> None:
        """In vain."""
        now = self._clock().timestamp()
        with self._open() as database:
            database.execute("INSERT INTO try VALUES (?, ?, ?)", (name[:100], address[:100], now))
            database.execute("DELETE FROM try WHERE at < ?", (now - 86_400,))

    def tries(self, name: str, address: str) -> int:
        """How often in vain of late: for this name or from this address, whichever is more."""
        since = self._clock().timestamp() - TRIES_WITHIN.total_seconds()
        with self._open() as database:
            counts = database.execute(
                "SELECT COALESCE(SUM(name = ?), 0), COALESCE(SUM(address = ?), 0) FROM try WHERE at > ?",
                (name[:100], address[:100], since),
            ).fetchone()
        return max(counts or (0, 0))

    def entered(self, person: Person, step: int) -> bool:
        """He proved who he is. False: that code was used meanwhile, or the account is another one now."""
        with self._open() as database:
            database.execute(
                "UPDATE person SET step = ? WHERE name = ? AND changed_at = ? AND (step < ? OR totp = x'')",
                (step, person.name, person.changed_at, step),
            )
            if not database.changes():
                return False
            database.execute("DELETE FROM try WHERE name = ?", (person.name,))
            return True


_FIELDS = ", ".join(Person.__struct_fields__)
