"""When people come: how many visits a day, at which hour, and how a moment is written in the databases."""

import random
from datetime import date, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem

T = TypeVar("T")

DAY = 86_400
VISITS_A_DAY = {0: 8000, 1: 7900, 2: 7700, 3: 7600, 4: 7300, 5: 4600, 6: 2900}  # Monday = 0: a 1,500-bed hospital
# Outpatients come in two waves, the emergency department's hours are flatter; weights per hour of the day.
OUTPATIENT_HOURS = (0, 0, 0, 0, 0, 0, 1, 6, 22, 24, 19, 10, 3, 8, 18, 15, 9, 3, 1, 0, 0, 0, 0, 0)
EMERGENCY_HOURS = (4, 3, 2, 2, 2, 2, 3, 4, 5, 6, 6, 5, 5, 5, 5, 5, 6, 7, 9, 10, 10, 9, 7, 5)
# The laboratory reports inpatients mainly from the morning's round of blood samples.
INPATIENT_HOURS = (1, 1, 1, 1, 1, 6, 24, 18, 8, 6, 5, 4, 3, 3, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1)
ADMITTED_HOURS = (1, 1, 1, 1, 1, 1, 2, 3, 12, 18, 16, 9, 3, 6, 10, 9, 6, 4, 3, 2, 2, 2, 1, 1)
_CUMULATED: dict[tuple[int, ...], tuple[int, ...]] = {
    hours: tuple(accumulate(hours)) for hours in (OUTPATIENT_HOURS, EMERGENCY_HOURS, INPATIENT_HOURS, ADMITTED_HOURS)
}
_TIME_OF_DAY = [f" {s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(DAY)]


class Dice(random.Random):
    """Random draws, repeatable by seed. The tiny bias of scaling a float does not matter to invented data; the time does."""

    def choice(self, seq: "SupportsLenAndGetItem[T]") -> T:
        """One of them."""
        return seq[int(self.random() * len(seq))]


def days_for(visits: int, last: date) -> list[tuple[date, int]]:
    """The days, oldest first and ending with `last`, and how many of the visits fall on each."""
    days: list[tuple[date, int]] = []
    day = last
    while visits > 0:
        today = min(visits, VISITS_A_DAY[day.weekday()])
        days.append((day, today))
        visits -= today
        day -= timedelta(days=1)
    return days[::-1]


def moment(rng: random.Random, hours: tuple[int, ...]) -> int:
    """A second of the day, by the hours' weights."""
    hour = rng.choices(range(24), cum_weights=_CUMULATED[hours])[0]
    return hour * 3600 + int(rng.random() * 3600)


class Calendar:
    """Seconds since a first day, written the ways the databases write them. Made of tables: millions of times are written."""

    def __init__(self, first: date) -> None:
        self.first = first
        self._dashed: list[str] = []
        self._compact: list[str] = []
        self._grow(64)

    def _grow(self, days: int) -> None:
        for number in range(len(self._dashed), days):
            day = self.first + timedelta(days=number)
            self._dashed.append(f"{day:%Y-%m-%d}")
            self._compact.append(f"{day:%Y%m%d}")

    def day(self, seconds: int) -> date:
        """The date of a moment."""
        return self.first + timedelta(days=seconds // DAY)

    def stamp(self, seconds: int) -> str:
        """'yyyy-MM-dd HH:mm:ss'."""
        number, rest = divmod(seconds, DAY)
        if number >= len(self._dashed):
            self._grow(number + 64)
        return self._dashed[number] + _TIME_OF_DAY[rest]

    def digits14(self, seconds: int) -> str:
        """'yyyyMMddHHmmss'."""
        text = self.stamp(seconds)
        return text[0:4] + text[5:7] + text[8:10] + text[11:13] + text[14:16] + text[17:19]

    def digits8(self, seconds: int) -> str:
        """'yyyyMMdd'."""
        self.stamp(seconds)
        return self._compact[seconds // DAY]

    def seconds(self, stamp: str) -> int:
        """The reverse of stamp."""
        day = date.fromisoformat(stamp[:10])
        return (day - self.first).days * DAY + int(stamp[11:13]) * 3600 + int(stamp[14:16]) * 60 + int(stamp[17:19])
