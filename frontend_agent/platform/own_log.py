"""The platform's own log: what its people did there, and when it began and ended. Chained like an agent's (`qclog.py`).

    acts.sqlite        one row per entry: its number, its hash, and its body exactly as it was hashed

Commands write beside a running server, so it is a file of its own, one transaction per entry, on the disk before the act is
done. It holds identifiers, never what a document says (law 9). Whoever owns the folder owns it, also where root writes first.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from frontend_agent import __version__, qclog
from frontend_agent.errors import StateError
from frontend_agent.machine import give_to_owner_of

FILE = "acts.sqlite"
BEGAN, ENDED = "platform began", "platform ended"
PAGE = 500  # entries that are read at once
MOST_LOOKED = 100_000  # entries through which the last beginning is looked for
_SCHEMA = "CREATE TABLE IF NOT EXISTS entry (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL, body BLOB NOT NULL)"


class LogNotWritten(StateError):
    """The platform's own log takes no entry, so nothing was changed and nothing of a patient was shown."""


class OwnLog:
    """Safe to use beside other processes; one thread at a time."""

    def __init__(self, state: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`state`: the platform's folder."""
        self._path = state / FILE
        self._clock = clock

    def __enter__(self) -> "OwnLog":
        is_new = not self._path.exists()
        before = os.umask(0o077)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = apsw.Connection(str(self._path))
            self._db.set_busy_timeout(10_000)
            self._db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
        except (apsw.Error, OSError) as error:
            raise LogNotWritten(f"{self._path}: the platform's own log cannot be opened ({error}); nothing was done") from error  # fmt: skip
        finally:
            os.umask(before)
        if is_new:
            _give(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def write(self, body: Mapping[str, Any]) -> int:
        """Chain one entry; it is on the disk when this returns. Its number."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                row = self._db.execute("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
                seq, previous = row or (0, qclog.GENESIS)
                said = {**body, "at": self._clock().astimezone(UTC).isoformat(timespec="milliseconds")}
                entry = qclog.chained(seq + 1, previous, said)
                self._db.execute("INSERT INTO entry VALUES (?, ?, ?)", (entry.seq, entry.hash, entry.body))
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except apsw.Error as error:
            raise LogNotWritten(f"{self._path}: the platform's own log takes no entry ({error}); nothing was done") from error  # fmt: skip
        return entry.seq

    def entries(self, first: int = 1) -> Iterator[qclog.Entry]:
        """From an entry on, in bounded memory."""
        while page := self._rows("SELECT seq, hash, body FROM entry WHERE seq >= ? ORDER BY seq LIMIT ?", first, PAGE):
            yield from (qclog.Entry(*row) for row in page)
            first = page[-1][0] + 1

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """The newest first, as they were written."""
        rows = self._rows("SELECT body FROM entry ORDER BY seq DESC LIMIT ?", limit)
        return [msgspec.json.decode(body) for (body,) in rows]

    def last(self, *events: str) -> dict[str, Any] | None:
        """The newest entry of one of these events."""
        for entry in self.newest(MOST_LOOKED):
            if entry.get("event") in events:
                return entry
        return None

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        return list(self._db.execute(sql, values))

    def export(self) -> Iterator[bytes]:
        """Lines that `qc verify FILE` and the stand-alone verifier read. Nobody countersigns a platform's own log."""
        return qclog.export(qclog.Title(instance="platform"), self.entries(), [])

    def verify(self) -> qclog.Verdict:
        """Whether the chain is whole where it lies."""
        return qclog.verify(self.entries())


@contextmanager
def lived(state: Path, served_by: Mapping[str, str]) -> Iterator[None]:
    """From the platform's beginning to its end, each an entry; and what nobody said before: that it was killed, that it serves by others.

    `served_by`: digests of the files that it was told to serve by.
    """
    with OwnLog(state) as log:
        before, began = log.last(BEGAN, ENDED), log.last(BEGAN)
        if before is not None and before["event"] == BEGAN:
            log.write({"event": ENDED, "how": "without a word", "began": before["seq"]})
        if began is not None and began["served_by"] != dict(served_by):
            log.write({"event": "configuration changed", "before": began["served_by"], "after": dict(served_by)})
        log.write({"event": BEGAN, "version": __version__, "served_by": dict(served_by), "pid": os.getpid()})
    how = "by itself or asked"
    try:
        yield
    except BaseException as error:
        how = f"error {type(error).__name__}"
        raise
    finally:
        with OwnLog(state) as log:
            log.write({"event": ENDED, "how": how, "pid": os.getpid()})


def _give(path: Path) -> None:
    """To whom the folder belongs. SQLite gives its other files to whoever owns this one."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        if (one := path.with_name(name)).exists():
            give_to_owner_of(one, path.parent)
