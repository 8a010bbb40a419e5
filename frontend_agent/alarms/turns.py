"""From the alarms that stand, and what is raised now, to those that begin, become critical or end."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from frontend_agent.alarms.model import Alarm, Change, Level, Raised


class Look(NamedTuple):
    """What one look comes to: alarms whose row is another now (id 0: a new one), and what is told."""

    kept: list[Alarm]
    changes: list[Change]


def turns(standing: Iterable[Alarm], raised: Iterable[Raised], now: datetime, settle: timedelta) -> Look:
    """One alarm for each name. It ends when nothing raised it for as long as `settle`.

    An alarm that became critical stays it until it ends: one that moves around a limit is told once.
    """
    found: dict[tuple[str, str], Raised] = {}
    for one in raised:
        known = found.get((one.kind, one.subject))
        if known is None or one.level is Level.CRITICAL:
            found[one.kind, one.subject] = one
    look = Look([], [])
    for alarm in standing:
        _go_on(look, alarm, found.pop(alarm.name, None), now, settle)
    for one in found.values():
        if one.sure:
            alarm = Alarm(0, one.kind, one.subject, one.level, one.since, now, one.figures)
            look.kept.append(alarm)
            look.changes.append(Change("begins", alarm))
    return look


def _go_on(look: Look, alarm: Alarm, raised: Raised | None, now: datetime, settle: timedelta) -> None:
    if raised is None:
        quiet = alarm.quiet_since
        if quiet is None or quiet > now:  # the clock was set back: it counts from here
            quiet = now
        ended = now - quiet >= settle
        after = msgspec.structs.replace(alarm, quiet_since=quiet, ended_at=now if ended else None)
        if after != alarm:
            look.kept.append(after)
        if ended:
            look.changes.append(Change("ends", after))
        return
    after = msgspec.structs.replace(alarm, quiet_since=None)
    if raised.sure:
        worse = raised.level is Level.CRITICAL and alarm.level is not Level.CRITICAL
        after = msgspec.structs.replace(
            after,
            level=raised.level if worse else alarm.level,
            since=min(alarm.since, raised.since),
            figures=raised.figures,
        )
        if worse:
            look.changes.append(Change("worsens", after))
    if after != alarm:
        look.kept.append(after)
