"""When a feed is read: every so often, in some hours, on some days, or by cron. Pure: it is told what time it is.

    every = "5m"                                      all day, all days
    every = "5m", from = "07:00", to = "19:00"        at 07:00, 07:05 … 19:00
    cron  = "*/5 7-19 * * 1-5"                        minute hour day month weekday, weekdays as in crontab (0 and 7: Sunday)
    days  = "working"                                 by the calendar of holidays and shifted working days

`next_after` asks for the first time after a moment, whatever came before: nothing is remembered, so a clock that was set
forward by a century costs one answer and not ten million, and one that was set back finds its place by itself. Local hours
are the institution's. Where a zone has summer time, an hour that comes twice is worked twice, and what lies in the hour
that does not come is done when that hour should have begun.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from frontend_agent.calendar import EVERY_WEEK, Calendar, Days, time_of_day

if TYPE_CHECKING:
    from frontend_agent.config import FeedConfig

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
HORIZON = 800  # days that are looked ahead: more than any holiday, and a leap day for most calendars
LOOKS_BACK = 400  # days over which active time is added up
WIDEST_SPREAD = timedelta(seconds=20)  # so that not all hospitals of a region ask, and send, in the same second
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WEEKDAYS = re.compile(r"(?:(\d)(?:-(\d))?|\*)(?:/(\d))?(?<!\*)")
_FIELDS = ("minute", "hour", "day", "month", "day_of_week")

Span = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The times of one feed. `spread` is its own small delay, always the same; `jitter` is a new one each time."""

    every: timedelta = timedelta(minutes=5)
    cron: str = ""
    hours: tuple[time, time] | None = None  # local, both included; the second earlier than the first: over midnight
    days: Days = "all"
    zone: tzinfo = UTC
    calendar: Calendar = EVERY_WEEK
    jitter: timedelta = timedelta(0)
    spread: timedelta = timedelta(0)

    def next_after(self, moment: datetime, random: Random | None = None) -> datetime:
        """The first time later than `moment`, UTC."""
        at = self._regular_after(moment.astimezone(UTC) - self.spread) + self.spread
        if self.jitter and random is not None:
            at += self.jitter * random.random()
        return at

    def is_active(self, moment: datetime) -> bool:
        """Whether it is read at such times at all."""
        at = moment.astimezone(UTC)
        day = at.astimezone(self.zone).date()
        return any(begins <= at <= ends for one in (day - DAY, day) for begins, ends in self._spans(one))

    def active_between(self, low: datetime, high: datetime, enough: timedelta) -> timedelta:
        """How much of [low, high) was time in which it is read; no more than `enough` is looked for."""
        low, high = low.astimezone(UTC), high.astimezone(UTC)
        total, day = timedelta(0), high.astimezone(self.zone).date()
        for _ in range(LOOKS_BACK):
            for begins, ends in self._spans(day):
                total += max(min(ends, high) - max(begins, low), timedelta(0))
            if total >= enough or _instant(day, time(0), self.zone) + 2 * DAY < low:
                break
            day -= DAY
        return min(total, enough)

    # -- the parts of it --

    def _regular_after(self, moment: datetime) -> datetime:
        if self.cron:
            return self._cron_after(moment)
        if self.hours is None and self.days == "all":
            return _EPOCH + ((moment - _EPOCH) // self.every + 1) * self.every
        day = moment.astimezone(self.zone).date() - DAY
        for _ in range(HORIZON):
            for begins, ends in self._spans(day):
                at = begins if moment < begins else begins + ((moment - begins) // self.every + 1) * self.every
                if at <= ends:
                    return at
            day += DAY
        return moment + DAY

    def _cron_after(self, moment: datetime) -> datetime:
        at = moment
        for _ in range(HORIZON * 24 * 60):
            at = _cron_next(self.cron, self.zone, at)
            day = at.astimezone(self.zone).date()
            if self.calendar.has(day, self.days):
                return at
            at = _instant(day + DAY, time(0), self.zone) - timedelta(seconds=1)
            if at - moment > HORIZON * DAY:
                break
        return moment + DAY

    def _spans(self, day: date) -> Iterator[Span]:
        """The stretches that begin on a local day, in which it is read."""
        if not self.calendar.has(day, self.days):
            return
        if self.cron:
            for hour in _cron_hours(self.cron, day):
                begins = _instant(day, time(hour), self.zone)
                yield begins, begins + HOUR
            return
        if self.hours is None:
            yield _instant(day, time(0), self.zone), _instant(day + DAY, time(0), self.zone) - timedelta(seconds=1)
            return
        low, high = self.hours
        yield _instant(day, low, self.zone), _instant(day + DAY if high <= low else day, high, self.zone)


class Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """A schedule as APScheduler asks for it. What was missed is never listed: the next time is always to come."""

    def __init__(self, schedule: Schedule, random: Random) -> None:
        self._schedule = schedule
        self._random = random

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return self._schedule.next_after(now, self._random)


# -- what a person writes --


def spread_of(name: str, every: timedelta) -> timedelta:
    """A feed's own delay, the same after every start: up to a tenth of its interval, at most twenty seconds."""
    widest = min(every / 10, WIDEST_SPREAD)
    return widest * (int.from_bytes(sha256(name.encode()).digest()[:4]) / 2**32)


def schedule_of(feed: "FeedConfig", zone: tzinfo, calendar: Calendar, institution: str) -> Schedule:
    """A feed's times as its table in agent.toml says them."""
    return Schedule(
        every=feed.every,
        cron=feed.cron,
        hours=(time_of_day(feed.from_), time_of_day(feed.to)) if feed.from_ else None,
        days=feed.days,
        zone=zone,
        calendar=calendar,
        jitter=feed.jitter,
        spread=spread_of(f"{institution}/{feed.name}", feed.every),
    )


def problem_of_cron(text: str) -> str:
    """What is wrong with a cron text; empty when nothing is."""
    try:
        _trigger(text, UTC)
    except (ValueError, TypeError, AttributeError) as error:
        return f"{text!r} is not minute hour day month weekday (for example */5 7-19 * * *): {error}"
    if _trigger(text, UTC).get_next_fire_time(None, datetime(2027, 1, 1, tzinfo=UTC)) is None:
        return f"{text!r} never comes"
    return ""


# -- cron --


@lru_cache(maxsize=256)
def _trigger(cron: str, zone: tzinfo) -> Any:
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{len(fields)} fields instead of {len(_FIELDS)}")
    return CronTrigger(**dict(zip(_FIELDS, [*fields[:4], _weekdays(fields[4])], strict=True)), timezone=zone)


def _weekdays(text: str) -> str:
    """Numbers as crontab means them (0 and 7 are Sunday); APScheduler would count from Monday."""
    parts: list[str] = []
    for part in text.split(","):
        found = _WEEKDAYS.fullmatch(part)
        if found is None:
            parts.append(part)  # a name, or *
            continue
        low = int(found[1] or 0)
        high = 6 if found[1] is None else int(found[2] or low)
        if not low <= high <= 7:
            raise ValueError(f"{part!r} are no weekdays")
        parts += [WEEKDAYS[number] for number in range(low, high + 1, int(found[3] or 1))]
    return ",".join(parts)


def _cron_next(cron: str, zone: tzinfo, moment: datetime) -> datetime:
    """The first time after a moment. Asked with a fixed offset from UTC, and once more from where the offset changes."""
    at, offset = moment, _offset(zone, moment)
    while True:
        fixed = timezone(offset)
        found = _trigger(cron, fixed).get_next_fire_time(None, at.astimezone(fixed) + timedelta(microseconds=1))
        if found is None:
            return moment + HORIZON * DAY
        next_at: datetime = found.astimezone(UTC)
        if _offset(zone, next_at) == offset:
            return next_at
        change = _change(zone, at, next_at, offset)
        before, offset = offset, _offset(zone, change)
        if next_at - change < offset - before:  # its local time does not come on that day
            return change
        at = change - timedelta(microseconds=1)


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _change(zone: tzinfo, low: datetime, high: datetime, offset: timedelta) -> datetime:
    """The first second after `low`, up to `high`, at which the offset is another."""
    low = low.replace(microsecond=0)
    seconds = range(1, int((high - low).total_seconds()) + 1)
    return low + timedelta(
        seconds=1 + bisect_left(seconds, True, key=lambda n: _offset(zone, low + timedelta(seconds=n)) != offset)
    )


def _cron_hours(cron: str, day: date) -> list[int]:
    """The hours of a day in which cron has anything to do."""
    fields = {field.name: field for field in _trigger(cron, UTC).fields}
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for name in ("year", "month", "day", "week", "day_of_week"):
        field = fields[name]
        if field.get_next_value(midnight) != field.get_value(midnight):
            return []
    hours = fields["hour"]
    return [hour for hour in range(24) if hours.get_next_value(midnight.replace(hour=hour)) == hour]


def _instant(day: date, at: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
