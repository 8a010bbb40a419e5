"""A feed that is silent at an hour and on a weekday at which it usually is not.

    came       hour (whole hours since 1970 UTC) -> how many records came in it, for the last weeks
    span       from the last record until now: that is compared with the same span of other weeks

Compared are the same weekdays of the last six weeks; on a holiday, or a working Saturday, days of the same class (worked or
not, by the calendar), because last week's Monday says nothing of the first of October. Silence is an alarm when at least three
such days are known, none of them was silent too, and half of them brought as many records as the limit says.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from statistics import median

from frontend_agent.calendar import Calendar

HOUR = 3600
WEEKS = 6
LEAST = 3  # days to compare with
LONGEST = timedelta(hours=24)  # that is looked at; silence that lasts longer was told long before
KEPT = timedelta(weeks=WEEKS, days=2)


def usually(came: Mapping[int, int], since: datetime, now: datetime, zone: tzinfo, calendar: Calendar) -> float:
    """How many records the span from `since` to `now` usually brings; 0.0 where that is not known, or may be none."""
    if not came or now <= since:
        return 0.0
    since = max(since, now - LONGEST)
    first = datetime.fromtimestamp(min(came) * HOUR, UTC)
    for choice in (range(7, WEEKS * 7 + 1, 7), range(1, WEEKS * 7 + 1)):  # the same weekday, else any day of the class
        brought = list(_brought(came, since, now, zone, calendar, choice, first))
        if len(brought) >= LEAST:
            return float(median(brought)) if min(brought) > 0 else 0.0
    return 0.0


def _brought(
    came: Mapping[int, int],
    since: datetime,
    now: datetime,
    zone: tzinfo,
    calendar: Calendar,
    days_before: range,
    first: datetime,
) -> Iterator[float]:
    """What the same span brought so many days before, where both days are of one class and it was counted then."""
    local = since.astimezone(zone), now.astimezone(zone)
    for days in days_before:
        back = timedelta(days=days)
        low, high = ((at.replace(tzinfo=None) - back).replace(tzinfo=zone).astimezone(UTC) for at in local)
        if low < first:
            continue
        if all(
            calendar.is_working(day) == calendar.is_working(day - back)
            for day in _days(local[0].date(), local[1].date())
        ):
            yield _count(came, low, high)


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


def _count(came: Mapping[int, int], low: datetime, high: datetime) -> float:
    """Of hours that lie partly in the span a part is counted."""
    begins, ends = low.timestamp(), high.timestamp()
    total = 0.0
    for hour in range(int(begins // HOUR), int(ends // HOUR) + 1):
        overlap = min(ends, (hour + 1) * HOUR) - max(begins, hour * HOUR)
        total += came.get(hour, 0) * max(overlap, 0) / HOUR
    return total
