"""Numbers that were passed over: a sequence gave them out, and the transaction that got them may commit later.

    seen 1 2 3 · 6 7 · 9        gaps 4–5 and 8, each remembered since it was first seen

A gap is asked for in each run until a number of it appears, or its term is over: then its transaction was rolled back.
Where a table's numbers are sparse there are more gaps than can be remembered; those that lie closest together are joined,
with the few seen numbers between them, which are read once more for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

MOST = 300  # gaps of one feed


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """The numbers from `low` to `high`, both missing."""

    low: int
    high: int
    since: datetime


def missing(numbers: Iterable[int], after: int | None, since: datetime) -> list[Gap]:
    """What is missing between increasing numbers, and between `after` and the first of them."""
    known = [] if after is None else [after]
    return [Gap(one + 1, two - 1, since) for one, two in pairwise([*known, *numbers]) if two - one > 1]


def without(gaps: Sequence[Gap], found: Iterable[int]) -> list[Gap]:
    """The gaps, less the numbers that appeared."""
    left = list(gaps)
    for number in sorted(set(found)):
        for place, gap in enumerate(left):
            if gap.low <= number <= gap.high:
                halves = (Gap(gap.low, number - 1, gap.since), Gap(number + 1, gap.high, gap.since))
                left[place : place + 1] = [half for half in halves if half.low <= half.high]
                break
    return left


def kept(gaps: Iterable[Gap], now: datetime, term: timedelta, most: int = MOST) -> list[Gap]:
    """Those whose term is not over, in order and apart; of more than so many the closest are joined."""
    ordered: list[Gap] = []
    for gap in sorted((gap for gap in gaps if now - gap.since < term), key=lambda gap: gap.low):
        last = ordered[-1] if ordered else None
        if last and gap.low <= last.high:
            ordered[-1] = Gap(last.low, max(last.high, gap.high), max(last.since, gap.since))
        else:
            ordered.append(gap)
    if len(ordered) > most:
        apart = sorted(range(1, len(ordered)), key=lambda i: ordered[i].low - ordered[i - 1].high, reverse=True)
        starts = sorted([0, *apart[: most - 1]])
        ordered = [_joined(ordered[a:b]) for a, b in pairwise([*starts, len(ordered)])]
    return ordered


def _joined(gaps: Sequence[Gap]) -> Gap:
    return Gap(gaps[0].low, gaps[-1].high, max(gap.since for gap in gaps))
