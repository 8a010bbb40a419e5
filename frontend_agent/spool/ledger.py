"""The two books that are kept in the commit of whatever they speak of: the chained log, and the tallies."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import zstandard

from frontend_agent import qclog
from frontend_agent.delivery import State
from frontend_agent.spool.database import Database
from frontend_agent.spool.times import millis, text

_ENCODE = msgspec.json.Encoder().encode


def as_json(value: Any) -> str:
    """How batches travel into a query."""
    return _ENCODE(value).decode()


class Ledger:
    """Log and tallies over an open database. Writing needs a transaction around it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # --- tallies ------------------------------------------------------------------------------------------------------

    def change(self, changes: Mapping[tuple[str, str], int]) -> None:
        rows = [(scope, name, n) for (scope, name), n in changes.items() if n]
        if rows:
            self.database.run("tally.add", changes=as_json(rows))

    def move(self, destination: str, states: Mapping[State, int]) -> None:
        """Deliveries to a destination went from state to state."""
        self.change({("delivery:" + destination, state): n for state, n in states.items()})

    def tally(self, scope: str, name: str) -> int:
        row = self.database.row("tally.one", scope=scope, name=name)
        return int(row[0]) if row else 0

    def tallies(self) -> list[tuple[str, str, int]]:
        return self.database.batch("tally.all")

    # --- the log ------------------------------------------------------------------------------------------------------

    def log(self, body: Mapping[str, Any], now: datetime) -> int:
        """Chain one entry, in the transaction of what it speaks of. Its number."""
        seq, previous = self.log_head()
        entry = qclog.chained(seq + 1, previous, {**body, "at": text(now)})
        self.database.run("log.add", seq=entry.seq, hash=entry.hash, body=packed(entry.body))
        return entry.seq

    def log_head(self) -> tuple[int, str]:
        row = self.database.row("log.last")
        return (int(row[0]), str(row[1])) if row else (0, qclog.GENESIS)

    def entries(self, first: int) -> Iterator[qclog.Entry]:
        """From an entry on, read a page at a time."""
        while page := self.database.rows("log.page", first=first):
            for seq, digest, body in page:
                yield qclog.Entry(seq, digest, _unpacked(body))
            first = page[-1][0] + 1

    def newest(self, limit: int, before: int) -> list[qclog.Entry]:
        rows = self.database.rows("log.newest", limit=limit, before=before)
        return [qclog.Entry(seq, digest, _unpacked(body)) for seq, digest, body in rows]

    def heads(self) -> list[qclog.Head]:
        """Of what is kept; the first is the checkpoint behind which it begins, if older entries were dropped."""
        kept = [qclog.Head(*row) for row in self.database.rows("head.all")]
        before = self.checkpoint()
        return [before, *(head for head in kept if head.seq > before.seq)] if before else kept

    def head_before(self, seq: int) -> qclog.Head | None:
        """The newest head up to an entry."""
        row = self.database.row("head.before", seq=seq)
        return qclog.Head(*row) if row else None

    # --- the log's term -----------------------------------------------------------------------------------------------

    def checkpoint(self) -> qclog.Head | None:
        """Up to where the log was dropped."""
        row = self.database.row("checkpoint.last")
        return qclog.Head(*row) if row else None

    def beginning(self) -> tuple[int, str]:
        """The first entry that is kept, and the hash before it."""
        before = self.checkpoint()
        return (before.seq + 1, before.hash) if before else (1, qclog.GENESIS)

    def drop(self, head: qclog.Head, now: datetime) -> int:
        """Drop the log up to a countersigned head. The checkpoint and the entry that says so come first, in one commit; the
        entries go page by page, and whatever is left when we die goes with the next look. How many went."""
        first, _ = self.beginning()
        newest, _ = self.log_head()
        row = self.database.row("log.one", seq=head.seq)
        if first <= head.seq < newest and row is not None and row[0] == head.hash:
            with self.database.write():
                body = {"event": "log dropped", "first": first, "last": head.seq, "hash": head.hash}
                entry = self.log(body, now)
                self.database.run(
                    "checkpoint.add", seq=head.seq, hash=head.hash, evidence=head.evidence, now=millis(now), log=entry
                )
        return self.sweep()

    def sweep(self) -> int:
        """What stands before the checkpoint."""
        before, dropped = self.checkpoint(), 0
        if before is None:
            return 0
        while True:
            with self.database.write():
                gone = self.database.changed("log.drop", seq=before.seq)
                if not gone:
                    self.database.run("head.drop", seq=before.seq)
            if not gone:
                return dropped
            dropped += gone


def packed(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(body)


def _unpacked(body: bytes) -> bytes:
    """A damaged body is empty: its entry does not match its hash then, and verifying says so."""
    try:
        return zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError:
        return b""
