"""Working days and holidays (节假日与调休), from a file that the institution keeps.

    date,kind,name
    2030-02-01,holiday,春节
    2030-02-09,workday,调休上班

A day that the file does not name is a working day from Monday to Friday. No official calendar ships with us: it is
announced each autumn for the next year, and a year that nobody has entered is told a month before it begins.
"""

import csv
import io
import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from frontend_agent.errors import ConfigurationError

Days = Literal["all", "working", "holidays"]
HEADINGS = ["date", "kind", "name"]
HOLIDAY, WORKDAY = "holiday", "workday"
TOLD_BEFORE = timedelta(days=31)


class Calendar(NamedTuple):
    """Which days are worked: `named` are those that differ from their weekday, True for worked."""

    named: Mapping[date, bool] = MappingProxyType({})
    years: frozenset[int] = frozenset()  # of which at least one day is named
    file: str = ""

    def is_working(self, day: date) -> bool:
        return self.named.get(day, day.weekday() < 5)

    def has(self, day: date, days: Days) -> bool:
        """Whether a day belongs to `all`, `working` or `holidays` (every day that is not worked)."""
        return days == "all" or self.is_working(day) == (days == "working")

    def uncovered(self, today: date) -> list[int]:
        """Years that nobody has entered: this one, and the next once it is a month away. None without a file."""
        if not self.file:
            return []
        return sorted({today.year, (today + TOLD_BEFORE).year} - self.years)


EVERY_WEEK = Calendar()


def parse_calendar(text: str, name: str) -> Calendar:
    """The calendar of a file's text. Raises ConfigurationError with file, line and the mend."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    headings = [cell.strip() for cell in next(rows, [])]
    if headings != HEADINGS:
        raise ConfigurationError(f"{name}: line 1: expected date,kind,name, not {','.join(headings)[:60]!r}")
    named: dict[date, bool] = {}
    for row in rows:
        if not any(cell.strip() for cell in row) or row[0].lstrip().startswith("#"):
            continue
        where = f"{name}: line {rows.line_num}"
        day = _day(row[0].strip(), where)
        kind = row[1].strip() if len(row) > 1 else ""
        if kind not in (HOLIDAY, WORKDAY):
            raise ConfigurationError(f"{where}: kind {kind!r} is neither {HOLIDAY} nor {WORKDAY}")
        if named.get(day, kind == WORKDAY) != (kind == WORKDAY):
            raise ConfigurationError(f"{where}: {day} is both {HOLIDAY} and {WORKDAY}; keep one of the lines")
        named[day] = kind == WORKDAY
    return Calendar(MappingProxyType(named), frozenset(day.year for day in named), name)


def load_calendar(path: str) -> Calendar:
    """The calendar of `[calendar] file`; the plain week without one. UTF-8 or GB 18030, as spreadsheets write it."""
    if not path:
        return EVERY_WEEK
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"[calendar] file: {path}: {error.strerror}") from None
    for encoding in ("utf-8", "gb18030"):
        try:
            return parse_calendar(raw.decode(encoding), path)
        except UnicodeDecodeError:
            continue
    raise ConfigurationError(f"[calendar] file: {path}: neither UTF-8 nor GB 18030 text")


def _day(text: str, where: str) -> date:
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{where}: {text!r} is no day (for example 2030-02-01)") from None


def time_of_day(text: str) -> time:
    """`07:00`. Raises ValueError."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f"{text!r} is no time of day (for example 07:00)")
    return time.fromisoformat(text)
