"""What a source says of its own time: its clock, how far a replica is behind, and since when transactions are open.

A row is found by the time that the source's clock wrote into it. So that clock is watched, and not ours: with each run the
engine is asked for it, in the session's own time zone. Where it tells, it is also asked since when transactions are open
that may still commit, and how far it is behind its primary. What an account may not read it is not asked for again.

PostgreSQL, MariaDB and SQLite are tested against real servers; the others as text, untested against a server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.statements import Own
from frontend_agent.errors import SourceRefused
from frontend_agent.model import RowSet

UNKNOWN = timedelta(days=1)


class Moment(msgspec.Struct, frozen=True):
    """A source's time at one moment. Local, without a zone, as its columns are; `asked_at` is ours, in UTC."""

    asked_at: datetime
    now: datetime
    behind: timedelta = (
        timedelta()
    )  # a replica: what was committed so long ago can be seen, what is younger perhaps not
    open_since: datetime | None = None  # the oldest open transaction began then; None: it cannot be told
    oldest: int = 0  # the lowest transaction number that is still open, and
    next: int = 0  # the next one to be given out; 0: the engine has none that all may see

    @property
    def horizon(self) -> datetime:
        """All that was committed before it can be seen."""
        return self.now - self.behind


@dataclass(frozen=True)
class Clock:
    """The questions for one family of engines. Each answers one row; an empty text is not asked."""

    now: str = ""
    numbers: str = ""  # the oldest open transaction number, the next one
    open: str = ""  # since when the oldest open transaction is open, or nothing
    behind: str = ""  # seconds that a replica is behind; NULL where it is none, or does not know
    column: str = ""  # of `behind`, where the answer has many


_POSTGRES = Clock(
    now="SELECT LOCALTIMESTAMP",
    numbers="SELECT txid_snapshot_xmin(s.x), txid_snapshot_xmax(s.x) FROM (SELECT txid_current_snapshot() AS x) s",
    behind=(
        "SELECT CASE WHEN pg_is_in_recovery() THEN"
        " EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END"
    ),
)
_MARIADB = Clock(
    now="SELECT LOCALTIMESTAMP(6)",
    open="SELECT MIN(trx_started) FROM information_schema.innodb_trx",  # needs PROCESS
    behind="SHOW REPLICA STATUS",  # needs REPLICA MONITOR (MySQL: REPLICATION CLIENT); nothing on a primary
    column="Seconds_Behind_Master",
)
_MYSQL = replace(_MARIADB, column="Seconds_Behind_Source")
CLOCKS = {
    "postgresql": _POSTGRES,
    "kingbase": Clock(now="SELECT LOCALTIMESTAMP"),
    "opengauss": Clock(now="SELECT LOCALTIMESTAMP"),
    "mysql": _MYSQL,
    "mariadb": _MARIADB,
    "sqlserver": Clock(
        now="SELECT SYSDATETIME()",
        # needs VIEW SERVER STATE (VIEW SERVER PERFORMANCE STATE from 2022 on)
        open="SELECT MIN(transaction_begin_time) FROM sys.dm_tran_active_transactions WHERE transaction_type = 1",
    ),
    "oracle": Clock(
        now="SELECT CAST(LOCALTIMESTAMP AS TIMESTAMP(6)) FROM DUAL",
        open="SELECT MIN(START_DATE) FROM V$TRANSACTION",  # needs SELECT on V_$TRANSACTION
    ),
    "dameng": Clock(now="SELECT LOCALTIMESTAMP FROM DUAL"),
}
_NONE = Clock()  # SQLite is in our own machine, or on a share of ours: its time is ours


@dataclass
class ClockWatch:
    """Asks one source for its time. Remembers what it may not ask."""

    zone: ZoneInfo
    now: Callable[[], datetime]
    refused: set[str]

    def moment(self, ask: Callable[[str], RowSet], family: str) -> Moment:
        """One look. `ask` runs one statement, each in a session of its own: one that is refused spoils no other."""
        clock = CLOCKS.get(family, _NONE)
        asked_at = self.now()
        ours = asked_at.astimezone(self.zone).replace(tzinfo=None)
        numbers = self._row(ask, clock.numbers) or (0, 0)  # before the clock: what opens in between is younger than it
        opened = self._row(ask, clock.open) or (None,)
        behind = self._behind(ask, clock)
        told = self._row(ask, clock.now) or (None,)
        theirs = told[0] if isinstance(told[0], datetime) else ours
        return Moment(
            asked_at=asked_at.astimezone(UTC),
            now=theirs.astimezone(self.zone).replace(tzinfo=None) if theirs.tzinfo else theirs,
            behind=behind,
            open_since=opened[0] if isinstance(opened[0], datetime) else None,
            oldest=int(numbers[0] or 0),
            next=int(numbers[1] or 0),
        )

    def _behind(self, ask: Callable[[str], RowSet], clock: Clock) -> timedelta:
        told = self._told(ask, clock.behind)
        if told is None or not told.rows:
            return timedelta()
        if not clock.column:
            seconds = told.rows[0][0]
            return timedelta(seconds=max(float(seconds), 0.0)) if seconds is not None else timedelta()
        seconds = dict(zip(told.columns, told.rows[0], strict=True)).get(clock.column)
        # A replica that has stopped does not know how far it is behind; nobody does.
        return timedelta(seconds=max(float(seconds), 0.0)) if seconds is not None else UNKNOWN

    def _row(self, ask: Callable[[str], RowSet], sql: str) -> tuple[Any, ...] | None:
        told = self._told(ask, sql)
        return told.rows[0] if told is not None and told.rows else None

    def _told(self, ask: Callable[[str], RowSet], sql: str) -> RowSet | None:
        if not sql or sql in self.refused:
            return None
        try:
            return ask(Own(sql))
        except SourceRefused:  # the account may not read it, or the server does not know it: it is not asked again
            self.refused.add(sql)
            return None
