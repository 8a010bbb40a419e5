"""Values of a record as numbers and moments. What is not one is `nan`: every comparison with it is false, so a rule that
meets it has nothing to say (that it is not one is another rule's business)."""

from datetime import date
from functools import lru_cache
from math import nan

from frontend_agent.checks.derived import is_known_day, is_time_of_day


@lru_cache(maxsize=16_384)
def number(text: str) -> float:
    """A number, or nan."""
    try:
        return float(text)
    except ValueError:
        return nan


def before(earlier: str, later: str) -> bool:
    """Whether `earlier` really lies before `later`, as far as both are known: a day is before no moment of that day."""
    return earlier < later and not later.startswith(earlier)


@lru_cache(maxsize=16_384)
def day(moment: str) -> float:
    """The day as a number that counts up by one, or nan."""
    text = moment[:8]
    return date(int(text[:4]), int(text[4:6]), int(text[6:])).toordinal() if is_known_day(text) else nan


def days(earlier: str, later: str) -> float:
    """Days from one date to another, by the calendar."""
    return day(later) - day(earlier)


@lru_cache(maxsize=16_384)
def minute(moment: str) -> float:
    """The moment in minutes, or nan where the time of day is not known."""
    clock = moment[8:]
    if not is_time_of_day(clock):
        return nan
    return day(moment) * 1440 + int(clock[:2]) * 60 + int(clock[2:4]) + int(clock[4:] or 0) / 60


def minutes(earlier: str, later: str) -> float:
    """Minutes from one moment to another."""
    return minute(later) - minute(earlier)


def hours(earlier: str, later: str) -> float:
    """Hours from one moment to another."""
    return minutes(earlier, later) / 60


def full_years(birth: str, moment: str) -> int:
    """The years of age on a day."""
    return int(moment[:4]) - int(birth[:4]) - (moment[4:8] < birth[4:8])
