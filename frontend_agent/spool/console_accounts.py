"""What proves people at the console, and how often somebody tried in vain."""

from datetime import datetime, timedelta

import msgspec

from frontend_agent.spool.ledger import Ledger
from frontend_agent.spool.times import millis, moment


class Account(msgspec.Struct, frozen=True):
    """One person's proofs: what is kept of the password, the secret of his one-time codes, the step of the last one."""

    name: str
    password: str
    totp: bytes
    step: int
    changed_at: datetime


class ConsoleAccounts:
    """One row per person, and one per try in vain. Each change is one transaction with its entry in the chained log."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    def one(self, name: str) -> Account | None:
        row = self._database.row("console.account", name=name)
        return Account(row[0], row[1], row[2], row[3], moment(row[4])) if row else None

    def all(self) -> list[Account]:
        return [
            Account(row[0], row[1], row[2], row[3], moment(row[4])) for row in self._database.rows("console.accounts")
        ]

    def put(self, name: str, password: str, totp: bytes, now: datetime) -> None:
        """A new password and new codes: what was tried before counts no more."""
        with self._database.write():
            self._database.run("console.put", name=name, password=password, totp=totp, now=millis(now))
            self._database.run("console.forget tries", name=name)

    def drop(self, name: str) -> bool:
        with self._database.write():
            return bool(self._database.changed("console.drop", name=name))

    def tried(self, name: str, address: str, now: datetime) -> None:
        """In vain."""
        with self._database.write():
            self._database.run("console.tried", name=name, address=address, now=millis(now))
            self._database.run("console.trim tries", before=millis(now - timedelta(days=1)))

    def tries(self, name: str, address: str, since: datetime) -> tuple[int, int]:
        """How often in vain since then: for this name, from this address."""
        row = self._database.row("console.tries", name=name, address=address, since=millis(since))
        return (int(row[0] or 0), int(row[1] or 0)) if row else (0, 0)

    def entered(self, name: str, step: int) -> bool:
        """He proved who he is, with the code of this step. False: somebody else used that code meanwhile."""
        with self._database.write():
            used = self._database.changed("console.entered", name=name, step=step)
            if used:
                self._database.run("console.forget tries", name=name)
            return bool(used)

    def log(self, body: dict[str, str], now: datetime) -> int:
        """Somebody came in, was refused, or left."""
        with self._database.write():
            return self._ledger.log(body, now)
