"""The statistics of a period, added up every way that a report asks for.

What comes in are the rows of the spool's statistics (`spool/statistics.py`); the finest grain is a day, a kind and a
department, and everything else is a sum of those: all totals of a report agree by construction.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec

from frontend_agent.delivery import State
from frontend_agent.measuring import BOUNDS, Outcomes
from frontend_agent.model import Severity

Row = tuple[Any, ...] | list[Any]
Key = TypeVar("Key", bound=Hashable)

# The legs of a document's way, by (has a destination, since).
UNTIL_TAKEN, UNTIL_RECEIPT, FROM_TAKEN = "taken", "receipt", "sending"
_LEGS = {(False, 0): UNTIL_TAKEN, (True, 0): UNTIL_RECEIPT, (True, 1): FROM_TAKEN}


class Delays:
    """How long something took, in the buckets of measuring.BOUNDS."""

    __slots__ = ("buckets",)

    def __init__(self, buckets: Mapping[int, int] | None = None) -> None:
        self.buckets: Counter[int] = Counter(buckets or {})

    def __len__(self) -> int:
        return self.buckets.total()

    def add(self, other: "Delays") -> None:
        self.buckets.update(other.buckets)

    def seconds(self, share: float) -> float | None:
        """The delay that this share does not exceed, interpolated inside its bucket; None of nothing.

        Before the event counts as none; beyond the last bound as that bound: the figure is never better than the truth
        by more than a bucket, and the last one is said to be open.
        """
        wanted, seen = share * self.buckets.total(), 0
        if not wanted:
            return None
        for at in sorted(self.buckets):
            n = self.buckets[at]
            if seen + n >= wanted:
                low, high = _span(at)
                return low + (high - low) * (wanted - seen) / n
            seen += n
        return None

    def within(self, seconds: float) -> float | None:
        """The share that took no longer. A bucket that the limit cuts does not count: never more than the truth."""
        total = self.buckets.total()
        if not total:
            return None
        last = bisect_right(BOUNDS, seconds)
        return sum(n for at, n in self.buckets.items() if at < last) / total


def _span(at: int) -> tuple[float, float]:
    if at == 0:
        return 0, 0
    return BOUNDS[at - 1], BOUNDS[min(at, len(BOUNDS) - 1)]


class Numbers:
    """The figures of one line: a kind, a department, a day, or all."""

    __slots__ = ("delays", "missed", "outcomes", "severities", "states")

    def __init__(self) -> None:
        self.outcomes = Outcomes()
        self.severities: Counter[str] = Counter()
        self.states: Counter[str] = Counter()  # of deliveries, over all destinations
        self.delays: dict[str, Delays] = {}
        self.missed = 0  # rows that the watermark would have missed, found by reconciliation

    def add(self, other: "Numbers") -> None:
        self.missed += other.missed
        self.add_outcomes(msgspec.structs.astuple(other.outcomes))
        self.severities.update(other.severities)
        self.states.update(other.states)
        for leg, delays in other.delays.items():
            self.leg(leg).add(delays)

    def add_outcomes(self, values: Iterable[int]) -> None:
        self.outcomes = Outcomes(*(a + b for a, b in zip(msgspec.structs.astuple(self.outcomes), values, strict=True)))

    def leg(self, name: str) -> Delays:
        found = self.delays.get(name)
        if found is None:
            found = self.delays[name] = Delays()
        return found

    # Rates are None where there is nothing to speak of: zero of zero is no failure.

    @property
    def pass_rate(self) -> float | None:
        """Documents among what was judged and not withheld."""
        return ratio(self.outcomes.documents, self.outcomes.documents + self.outcomes.held)

    @property
    def first_pass_rate(self) -> float | None:
        """Records that were not held when they were first judged."""
        return ratio(self.outcomes.first - self.outcomes.first_held, self.outcomes.first)

    @property
    def clean_rate(self) -> float | None:
        """Documents without a warning among what was judged and not withheld."""
        return ratio(self.outcomes.documents - self.outcomes.warned, self.outcomes.documents + self.outcomes.held)

    @property
    def completeness(self) -> float | None:
        return ratio(self.outcomes.filled, self.outcomes.wanted)

    @property
    def findings(self) -> int:
        return self.severities.total()

    @property
    def delivered(self) -> int:
        return self.states[State.DELIVERED]

    @property
    def accepted(self) -> int:
        """By foreign platforms whose answer proves no storage: none of them is delivered (law 5)."""
        return self.states[State.ACCEPTED]

    @property
    def refused(self) -> int:
        return self.states[State.REFUSED] + self.states[State.BLOCKED]


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


class Place(NamedTuple):
    """The finest grain."""

    day: int
    kind: str
    department: str


@dataclass
class Spoken:
    """How often a rule spoke, and where most."""

    n: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    departments: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)


@dataclass
class Element:
    """One element of one kind: how often it was there, and what the rules had to say of it."""

    filled: int = 0
    wanted: int = 0
    severities: Counter[str] = field(default_factory=Counter)
    data_element: str = ""

    @property
    def rate(self) -> float | None:
        return ratio(self.filled, self.wanted)


class Period(NamedTuple):
    """Both days included."""

    first: date
    last: date

    def days(self) -> Iterator[date]:
        for n in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=n)


@dataclass(frozen=True)
class Chosen:
    """What a report is about; empty means all."""

    period: Period
    kinds: Collection[str] = ()
    departments: Collection[str] = ()

    def has(self, kind: str, department: str) -> bool:
        return (not self.kinds or kind in self.kinds) and (not self.departments or department in self.departments)


class Figures:
    """Everything a report says in numbers."""

    def __init__(self, chosen: Chosen) -> None:
        self.chosen = chosen
        self.places: dict[Place, Numbers] = {}
        self.rules: dict[tuple[str, str], Spoken] = {}  # rule, severity
        self.elements: dict[tuple[str, str], Element] = {}  # kind, field
        self.routes: dict[tuple[str, str, str], Delays] = {}  # kind, destination ("" until it was taken), leg

    def add(self, table: str, rows: Iterable[Row]) -> None:
        """Add rows of one of the statistics' tables."""
        adding: Callable[..., None] = getattr(self, f"_add_{table}")
        for row in rows:
            adding(*row)

    def _at(self, day: int, kind: str, department: str) -> Numbers | None:
        if not self.chosen.has(kind, department):
            return None
        place = Place(day, kind, department)
        found = self.places.get(place)
        if found is None:
            found = self.places[place] = Numbers()
        return found

    def _add_outcomes(self, day: int, _: str, kind: str, __: str, department: str, *values: int) -> None:
        if numbers := self._at(day, kind, department):
            numbers.add_outcomes(values)

    def _add_findings(
        self,
        day: int,
        _: str,
        kind: str,
        __: str,
        department: str,
        rule: str,
        severity: str,
        name: str,
        de: str,
        n: int,
    ) -> None:
        numbers = self._at(day, kind, department)
        if numbers is None:
            return
        numbers.severities[severity] += n
        spoken = self.rules.setdefault((rule, severity), Spoken())
        spoken.n += n
        spoken.kinds[kind] += n
        spoken.departments[department] += n
        spoken.fields[name] += n
        element = self.elements.setdefault((kind, name), Element())
        element.severities[severity] += n
        element.data_element = element.data_element or de

    def _add_fill(self, _: int, __: str, kind: str, name: str, filled: int, wanted: int) -> None:
        """Of all departments: which element was there is not kept by department."""
        if not self.chosen.kinds or kind in self.chosen.kinds:
            element = self.elements.setdefault((kind, name), Element())
            element.filled += filled
            element.wanted += wanted

    def _add_delays(
        self, day: int, _: str, kind: str, __: str, department: str, destination: str, since: int, at: int, n: int
    ) -> None:
        numbers = self._at(day, kind, department)
        if numbers is None:
            return
        leg = _LEGS[bool(destination), since]
        numbers.leg(leg).buckets[at] += n
        self.routes.setdefault((kind, destination, leg), Delays()).buckets[at] += n

    def _add_deliveries(
        self, day: int, _: str, kind: str, __: str, department: str, ___: str, state: str, n: int
    ) -> None:
        if numbers := self._at(day, kind, department):
            numbers.states[state] += n

    def _add_missed(self, day: int, _: str, kind: str, __: str, department: str, n: int) -> None:
        if numbers := self._at(day, kind, department):
            numbers.missed += n

    # --- sums ---------------------------------------------------------------------------------------------------------

    def by(self, key: Callable[[Place], Key]) -> dict[Key, Numbers]:
        """The places added up under a key."""
        found: dict[Key, Numbers] = {}
        for place, numbers in self.places.items():
            of = key(place)
            if of not in found:
                found[of] = Numbers()
            found[of].add(numbers)
        return found

    def total(self) -> Numbers:
        return self.by(lambda _: None).get(None) or Numbers()

    def days(self) -> list[tuple[date, Numbers]]:
        """Every day of the period, also those on which nothing happened."""
        found = self.by(lambda place: place.day)
        return [(day, found.get(int(f"{day:%Y%m%d}")) or Numbers()) for day in self.chosen.period.days()]

    def months(self) -> list[tuple[str, Numbers]]:
        """Every month of the period, `2026-09`."""
        found: dict[str, Numbers] = {}
        for day, numbers in self.days():
            found.setdefault(f"{day:%Y-%m}", Numbers()).add(numbers)
        return list(found.items())


SEVERITIES = (Severity.HOLD, Severity.WARN, Severity.NOTE)
