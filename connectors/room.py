"""How many bytes of rows are held at once. What a driver fetches is weighed as it comes, a few rows at a time.

A page whose rows do not fit is asked for again in halves (`Source.fetch`); a record that does not fit alone is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from sys import getsizeof
from typing import Any

from frontend_agent.errors import SourceRefused

ALONE = 8  # so many times max_bytes one record may have, and any question that is not by key
LARGEST_STEP = 500  # rows fetched at a time; the first one tells what the next ones weigh
EXACTLY, EVERY = 8, 4  # so many rows are all weighed; of more, every fourth
STEP_BYTES = 1 << 20  # bytes fetched at a time, about


class AnswerTooLarge(SourceRefused):
    """The rows of these keys are more than max_bytes. By fewer keys at a time they may fit."""


class Room:
    """What is left of the bytes that one page, or one question, may bring."""

    def __init__(self, most: int, source: str = "") -> None:
        self._most, self._left, self._source = most, most, source

    @property
    def taken(self) -> int:
        """Bytes that came so far."""
        return self._most - self._left

    def take(self, rows: Sequence[Sequence[Any]]) -> int:
        """Rows that came. The bytes they take here. Raises AnswerTooLarge."""
        weighed = rows if len(rows) <= EXACTLY else rows[::EVERY]
        size = sum(map(getsizeof, chain.from_iterable(weighed))) * len(rows) // max(1, len(weighed))
        self._left -= size
        if self._left < 0:
            raise AnswerTooLarge(
                f"source {self._source}: the rows of one record, or one question, are more than {self._most} bytes:"
                " raise max_bytes, or let the query leave out what no field needs"
            )
        return size


def fetched_in(room: Room, fetchmany: Callable[[int], Sequence[Any]]) -> list[Any]:
    """All rows of an answer, fetched in steps that grow as far as the rows' weight lets them."""
    rows: list[Any] = []
    step = 1
    while some := fetchmany(step):
        weight = room.take(some) // len(some)
        rows += some
        if len(some) < step:
            break
        step = max(1, min(step * 8, LARGEST_STEP, STEP_BYTES // max(1, weight)))
    return rows
