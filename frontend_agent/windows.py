"""Times of day that come again: `23:50-00:40`. Pure: who asks brings the time.

A window begins at its first minute and ends before its last: at 00:40:00 the window above is over. Times are local ones, as
the clock on the wall shows them; where that is set back for the winter a window is kept in both hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

DAY = 24 * 60
_TEXT = re.compile(r"\s*(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)\s*")


class Window(msgspec.Struct, frozen=True):
    """[start, end) in minutes since midnight. One that ends before it starts crosses midnight."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.end)}"

    def covers(self, local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def window(text: object) -> Window:
    """`23:50-00:40`, `02:00-24:00`. Raises ValueError with what is expected."""
    found = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError('a time of day from and to, like "23:50-00:40"')
    hours, minutes = (int(found[1]), int(found[3])), (int(found[2]), int(found[4]))
    start, end = (hour * 60 + minute for hour, minute in zip(hours, minutes, strict=True))
    if max(minutes) > 59 or start >= DAY or end > DAY:
        raise ValueError('a time of day from and to, like "23:50-00:40"')
    if start == end % DAY:
        raise ValueError("a window that ends at another time than it starts")
    return Window(start, end % DAY)


def open_until(windows: Sequence[Window], local: datetime) -> datetime | None:
    """When the windows that hold at this moment have all passed, local; None when none holds.

    Windows that touch or overlap are one. Together they must leave some minute of the day (`leaves_time`).
    """
    at = local
    for _ in range(len(windows) + 1):
        holding = [_end(one, at) for one in windows if one.covers(at)]
        if not holding:
            break
        at = max(holding)
    return at if at != local else None


def leaves_time(windows: Iterable[Window]) -> bool:
    """Whether any minute of the day is in none of them."""
    listed = list(windows)
    midnight = datetime(2000, 1, 1)
    return any(not any(one.covers(midnight + timedelta(minutes=minute)) for one in listed) for minute in range(DAY))


def _end(one: Window, local: datetime) -> datetime:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    end = midnight + timedelta(minutes=one.end)
    return end if end > local else end + timedelta(days=1)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
