"""When nobody wants to be told of an alarm: by the windows of agent.toml, or because a person says so for a while."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from frontend_agent.alarms.model import Alarm
from frontend_agent.calendar import Calendar
from frontend_agent.config_alarms import MuteConfig

ALL = "*"


class Mute(msgspec.Struct, frozen=True):
    """A person wants nobody to be told of these: of a kind, a subject, or `*` for all; until then, or until he says so."""

    id: int
    kind: str
    subject: str
    since: datetime
    until: datetime | None
    who: str
    reason: str


def muted(
    alarm: Alarm, mutes: Iterable[Mute], windows: Iterable[MuteConfig], local: datetime, calendar: Calendar
) -> str:
    """Why nobody is to be told of it now; empty: somebody is."""
    for mute in mutes:
        if mute.kind in (ALL, alarm.kind) and mute.subject in (ALL, alarm.subject):
            return f"{mute.who}: {mute.reason}"
    for window in windows:
        if _holds(window, alarm, local, calendar):
            return window.reason
    return ""


def _holds(window: MuteConfig, alarm: Alarm, local: datetime, calendar: Calendar) -> bool:
    return (
        (not window.kinds or alarm.kind in window.kinds)
        and (not window.subjects or alarm.subject in window.subjects)
        and window.first <= local.date() <= window.until
        and calendar.has(local.date(), window.days)
        and (not window.times or any(one.covers(local) for one in window.times))
    )
