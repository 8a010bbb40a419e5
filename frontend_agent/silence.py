"""A feed from which nothing new comes: told after so much of the time in which it is read (`silence = "2h"`). Pure.

Nights, Sundays and holidays on which a feed is not read do not count, nor does what it reads again unchanged.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from frontend_agent.schedules import Schedule

Turn = Literal["begins", "ends", ""]


class Standing(NamedTuple):
    """How a feed stands: when something new last came, and since when it is an alarm that nothing does."""

    new_at: datetime
    alarm_at: datetime | None = None


def turn(schedule: Schedule, silence: timedelta, standing: Standing, now: datetime) -> Turn:
    """Whether an alarm begins or ends. None begins without a limit; one that was taken out of agent.toml ends."""
    quiet = bool(silence) and schedule.active_between(standing.new_at, now, silence) >= silence
    if quiet == (standing.alarm_at is not None):
        return ""
    return "begins" if quiet else "ends"
