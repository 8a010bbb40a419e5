"""Reconciliation between agent and platform: what an agent asks of its own documents, and what it says came of it.

    counts ─▶ per event day and department: how many newest documents, and one digest over them
    sets   ─▶ of one day and department whose digests differ: every set with its version and SHA-256, a page at a time
    said   ─▶ what the agent found on all three sides, for those who look after many hospitals

The digest is a sum of hashes: it does not depend on the order, and two sides that hold the same sets, versions and bytes
have the same one.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from hashlib import sha256
from typing import Annotated

import msgspec

SETS_AT_ONCE = 5_000
MOST_DAYS = 31  # of one question
MOST_SAID = 1_000  # lines of one report

Named = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Day = Annotated[int, msgspec.Meta(ge=0, le=99_991_231)]  # yyyymmdd, local; 0: the document came without one
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

_SIZE = 1 << 256


def in_parts(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The days from one to the other (yyyymmdd) in questions of MOST_DAYS. Raises ValueError for what is no day."""
    begin, end = day_of(first), day_of(last)
    while begin <= end:
        until = min(begin + timedelta(days=MOST_DAYS - 1), end)
        yield int(f"{begin:%Y%m%d}"), int(f"{until:%Y%m%d}")
        begin = until + timedelta(days=1)


def day_of(number: int) -> date:
    """20260930 as a date."""
    return date(number // 10_000, number // 100 % 100, number % 100)


class Digest:
    """Counts lines and adds up their hashes."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.count = 0
        self._sum = 0
        for line in lines:
            self.add(line)

    def add(self, line: str) -> None:
        self.count += 1
        self._sum = (self._sum + int.from_bytes(sha256(line.encode()).digest())) % _SIZE

    @property
    def hex(self) -> str:
        return f"{self._sum:064x}"


def set_line(set_id: str, version: int, digest: str) -> str:
    """One document, as both sides write it into their digest."""
    return f"{set_id} {version} {digest}"


class Speaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who asks: the lease lets nobody ask for another institution."""

    institution: Named
    instance: Named
    lease: Short


class CountsAsked(Speaker, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many documents of a kind are there, for each day from `first` to `last` (yyyymmdd)."""

    kind: Named
    first: Day
    last: Day


class Count(msgspec.Struct, frozen=True):
    """The newest documents of one day and department."""

    day: int
    department: str
    documents: int
    digest: str


class Counts(msgspec.Struct, frozen=True):
    """Every day and department that there is."""

    counts: list[Count]


class SetsAsked(Speaker, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sets those are; `after`: from behind this one on."""

    kind: Named
    day: Day
    department: Short
    after: Short = ""


class KeptSet(msgspec.Struct, frozen=True):
    """The newest version of one set."""

    set_id: str
    version: int
    sha256: str


class Sets(msgspec.Struct, frozen=True):
    """A page of sets in the order of their names; an empty one is the end."""

    sets: list[KeptSet]


class SaidDay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an agent found for one feed, day and department. Numbers only."""

    feed: Named
    kind: Named
    day: Day
    department: Short
    source: Number
    agent: Number
    delivered: Number
    explained: Number  # held, withheld, not final, waiting, on its way: not there, and everybody knows why
    missed: Number  # rows that the watermark would have missed
    differing: Number  # all differences, those included
    mended: Number


class Said(Speaker, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of one reconciliation."""

    at: Short
    days: Annotated[list[SaidDay], msgspec.Meta(max_length=MOST_SAID)]
