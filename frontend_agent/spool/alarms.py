"""The alarms: which stand, which ended, who was told, and of what nobody wants to be told. And what came, hour by hour."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from frontend_agent.alarms.model import Alarm, Change, Figure, Level
from frontend_agent.alarms.muting import ALL, Mute
from frontend_agent.alarms.turns import Look
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment, moment_or_none
from frontend_agent.spool.words import Taken

HOUR = timedelta(hours=1)
TOLD_AFTERWARDS = timedelta(days=7)  # an end that could not be told for so long is no news


class Came(NamedTuple):
    """What a feed brought in one hour."""

    taken: int
    held: int


class Alarms:
    """Every method that changes something is one transaction; beginnings, ends and mutes are said in the chained log."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    # --- what begins and ends -----------------------------------------------------------------------------------------

    def standing(self) -> list[Alarm]:
        """Those that have not ended."""
        return [_alarm(row) for row in self._database.rows("alarm.standing")]

    def history(self, limit: int, before: int | None = None, kind: str = "", subject: str | None = None) -> list[Alarm]:
        """All that is kept, the newest first."""
        rows = self._database.rows("alarm.history", limit=limit, before=before or 1 << 62, kind=kind, subject=subject)
        return [_alarm(row) for row in rows]

    def keep(self, look: Look, now: datetime) -> list[Change]:
        """What one look came to, in one commit. The changes, with their numbers."""
        if not look.kept:
            return list(look.changes)
        numbers: dict[tuple[str, str], int] = {}
        with self._database.write():
            for alarm in look.kept:
                numbers[alarm.name] = self._keep(alarm)
            for turn, alarm in look.changes:
                body = {"event": f"alarm {turn}", "alarm": numbers[alarm.name], "kind": alarm.kind}
                self._ledger.log({**body, "subject": alarm.subject, "level": str(alarm.level)}, now)
        return [Change(turn, msgspec.structs.replace(alarm, id=numbers[alarm.name])) for turn, alarm in look.changes]

    def _keep(self, alarm: Alarm) -> int:
        values: dict[str, Any] = {
            "level": str(alarm.level),
            "since": millis(alarm.since),
            "figures": as_json(alarm.figures),
        }
        if not alarm.id:
            row = self._database.row(
                "alarm.add", kind=alarm.kind, subject=alarm.subject, began_at=millis(alarm.began_at), **values
            )
            assert row is not None
            return int(row[0])
        self._database.run(
            "alarm.keep", id=alarm.id, **values, ended_at=_millis_or_none(alarm.ended_at),
            quiet_since=_millis_or_none(alarm.quiet_since),
        )  # fmt: skip
        return alarm.id

    def drop(self, term: timedelta, hours: timedelta, now: datetime) -> None:
        """What ended longer ago than its term; what came longer ago than is compared."""
        with self._database.write():
            if self._database.changed("alarm.drop", before=millis(now - term)):
                self._database.run("alarm.drop told")
            self._database.run("alarm.drop hours", before=_hour(now - hours))

    # --- who was told -------------------------------------------------------------------------------------------------

    def to_tell(self, now: datetime) -> list[Alarm]:
        """Those that stand, and those that ended and whose end was not told to everybody who was told of them."""
        after = millis(now - TOLD_AFTERWARDS)
        return [*self.standing(), *(_alarm(row) for row in self._database.rows("alarm.to end", after=after))]

    def told(self, alarms: Iterable[int]) -> set[tuple[int, str, str]]:
        """(alarm, channel, turn) of what was told."""
        return set(self._database.rows("alarm.told", alarms=as_json(list(alarms))))

    def tell(self, channel: str, told: Sequence[tuple[int, str]], now: datetime) -> None:
        """A channel has taken these (alarm, turn)."""
        with self._database.write():
            for alarm, turn in told:
                self._database.run("alarm.tell", alarm=alarm, channel=channel, turn=turn, now=millis(now))

    # --- of what nobody wants to be told ------------------------------------------------------------------------------

    def mute(self, kind: str, subject: str, until: datetime | None, who: str, reason: str, now: datetime) -> Mute:
        """A person says that nobody is to be told of these."""
        with self._database.write():
            row = self._database.row(
                "alarm.mute", kind=kind, subject=subject, now=millis(now), until=_millis_or_none(until), who=who,
                reason=reason,
            )  # fmt: skip
            assert row is not None
            body = {"event": "alarm muted", "kind": kind, "subject": subject, "who": who, "reason": reason}
            self._ledger.log(body | ({"until": until.isoformat()} if until else {}), now)
        return Mute(int(row[0]), kind, subject, now, until, who, reason)

    def unmute(self, number: int | None, kind: str | None, subject: str | None, who: str, now: datetime) -> int:
        """They are told again. How many mutes ended."""
        with self._database.write():
            count = self._database.changed(
                "alarm.unmute", id=number, kind=kind, subject=subject, who=who, now=millis(now)
            )
            if count:
                told = {"mute": number, "kind": kind or ALL, "subject": subject if subject is not None else ALL}
                self._ledger.log({"event": "alarm unmuted", **told, "who": who}, now)
        return count

    def mutes(self, now: datetime) -> list[Mute]:
        """Those that hold now."""
        rows = self._database.rows("alarm.mutes", now=millis(now))
        return [
            Mute(number, kind, subject, moment(since), moment_or_none(until), who, reason)
            for number, kind, subject, since, until, who, reason in rows
        ]

    # --- what came ----------------------------------------------------------------------------------------------------

    def take(self, taken: Taken) -> None:
        """In the commit of a batch: so many records came in this hour. What a backfill brings is not counted."""
        made = len(taken.documents) + len(taken.held) + len(taken.withheld)
        if made and not taken.urgency:
            self._database.run("alarm.came", feed=taken.feed, hour=_hour(taken.at), taken=made, held=len(taken.held))

    def came(self, feed: str, first: datetime) -> dict[int, Came]:
        """Hour by hour since then."""
        rows = self._database.rows("alarm.hours", feed=feed, first=_hour(first))
        return {hour: Came(taken, held) for hour, taken, held in rows}

    # --- facts --------------------------------------------------------------------------------------------------------

    def oldest(self, destination: int) -> datetime | None:
        """When the oldest document was made that waits for a destination (its number), other than of a backfill."""
        return self._moment("alarm.oldest", destination=destination)

    def oldest_image(self, destination: int) -> datetime | None:
        return self._moment("alarm.oldest image", destination=destination)

    def _moment(self, query: str, **values: Any) -> datetime | None:
        row = self._database.row(query, **values)
        return moment_or_none(row[0]) if row else None

    def unmapped(self) -> tuple[int, datetime | None]:
        """Local codes without a map: how many, and since when the first."""
        return self._count("alarm.unmapped")

    def stuck_studies(self) -> tuple[int, datetime | None]:
        """Studies that wait for a person, for their findings or because a destination did not take them."""
        (held, held_since), (stuck, stuck_since) = self._count("alarm.held studies"), self._count("alarm.stuck studies")
        return held + stuck, min((at for at in (held_since, stuck_since) if at is not None), default=None)

    def _count(self, query: str) -> tuple[int, datetime | None]:
        row = self._database.row(query)
        return (int(row[0]), moment_or_none(row[1])) if row else (0, None)


def _alarm(row: tuple[Any, ...]) -> Alarm:
    number, kind, subject, level, since, began_at, ended_at, quiet_since, figures = row
    known: Mapping[str, Figure] = msgspec.json.decode(figures)
    return Alarm(
        number, kind, subject, Level(level), moment(since), moment(began_at), known, moment_or_none(ended_at),
        moment_or_none(quiet_since),
    )  # fmt: skip


def _millis_or_none(at: datetime | None) -> int | None:
    return millis(at) if at is not None else None


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // 3600
