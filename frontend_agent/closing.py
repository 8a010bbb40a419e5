"""Closed months (封账): what was reported of them is not changed by sending again, unless somebody says so.

A month is a number, yyyymm; a day is yyyymmdd, as in the statistics. Pure: what is closed is kept by the spool.

What a closed month stops is *re-sending*: backfill, resend, release from quarantine. Corrections that the source makes by
itself go on in real time, are counted and reported: holding them would let the region keep what the hospital knows to be
wrong (decision 0024).
"""

import re
from collections.abc import Iterable, Set
from datetime import date, timedelta

from frontend_agent.errors import FrontendAgentError

LOOKS_BACK = 3  # months that an agent which was off closes belatedly; a clock in 2200 closes no more than these either

Day = int | date


class MonthClosed(FrontendAgentError):
    """Documents of a closed month are not sent again, unless somebody says so and why."""

    def __init__(self, months: Iterable[int]) -> None:
        self.months = sorted(set(months))
        named = ", ".join(map(month_text, self.months))
        super().__init__(
            f"{named}: closed (封账); nothing of it is sent again unless you say so: --closed --reason WHY"
            f" (frontend-agent closing open {month_text(self.months[0])} opens it)"
        )


class NotAMonth(FrontendAgentError):
    """A text that was to be a month."""


def month_of(day: Day) -> int:
    """202610 of 20261031, or of that date."""
    return day.year * 100 + day.month if isinstance(day, date) else day // 100


def month_text(month: int) -> str:
    """`2026-10`."""
    return f"{month // 100:04d}-{month % 100:02d}"


def parse_month(text: str) -> int:
    """The opposite of `month_text`."""
    if not re.fullmatch(r"(19|20|21)\d\d-(0[1-9]|1[0-2])", text):
        raise NotAMonth(f"{text!r} is no month (for example 2026-10)")
    return int(text[:4]) * 100 + int(text[5:])


def is_over(month: int, today: date) -> bool:
    """Whether its last day lies before today: a month that still goes on cannot be closed."""
    return month < month_of(today)


def before(month: int) -> int:
    """The month before."""
    return month - 1 if month % 100 > 1 else month - 89


def months_between(low: date, high: date) -> list[int]:
    """The months of [low, high), in order."""
    months, last = [], month_of(high - timedelta(days=1))
    month = last
    while month >= month_of(low):
        months.append(month)
        month = before(month)
    return months[::-1]


def due(day: int, today: date, known: Set[int]) -> list[int]:
    """The months to be closed by themselves on `day` of the month after; none for 0.

    `known` are months that were ever closed or opened: what a person decided is not decided again. Without any, the
    first is the month before; later ones that were missed, because the machine was off, are made up for.
    """
    if not day:
        return []
    month = before(month_of(today))
    if today.day < day:
        month = before(month)
        if not known:
            return []
    wanted = []
    for _ in range(LOOKS_BACK if known else 1):
        if month not in known:
            wanted.append(month)
        month = before(month)
    oldest = min(known, default=0)
    return sorted(one for one in wanted if one > oldest)
