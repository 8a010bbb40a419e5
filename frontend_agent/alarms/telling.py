"""Who is to be told of what: each channel of the beginning of an alarm once, and of its end once."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from frontend_agent.alarms.model import Alarm, Level

Told = Collection[tuple[int, str, str]]


class Tell(NamedTuple):
    """One thing that one channel is to be told. `turn`: begins or ends."""

    channel: str
    turn: str
    alarm: Alarm


def to_tell(
    alarms: Iterable[Alarm], told: Told, channels: Mapping[str, str], is_muted: Callable[[Alarm], bool]
) -> list[Tell]:
    """`channels`: name -> the least level that it wants to hear of. `told`: (alarm, channel, turn) of what it was told.

    While an alarm is muted nobody is told anything of it; what still stands afterwards is told then. An alarm that was over
    before it could be told is not told at all. A channel for critical alarms is told of a warning when it becomes critical.
    """
    found = []
    for alarm in alarms:
        if is_muted(alarm):
            continue
        for channel, least in channels.items():
            begun = (alarm.id, channel, "begins") in told
            if alarm.ended_at is None:
                if not begun and (alarm.level is Level.CRITICAL or least == Level.WARNING):
                    found.append(Tell(channel, "begins", alarm))
            elif begun and (alarm.id, channel, "ends") not in told:
                found.append(Tell(channel, "ends", alarm))
    return found
