"""What we cost a source: the words in which it is counted, added up and kept. Pure.

Counted where the statements are sent (`connectors.guest`), kept by the spool, shown by the guest report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

HOUR = 3600  # seconds
FINEST = 1e-5  # seconds: latencies below are counted as this


class Baseline(msgspec.Struct, frozen=True):
    """What a shape of statement usually takes, and how much longer the worst of seven. Seconds."""

    seconds: float
    scatter: float
    query: str = ""  # its name in the mapping


class Usage(msgspec.Struct):
    """What we cost the source: sums, which add up. Latencies of the probe are counted by `latency_bucket`."""

    statements: int = 0
    failed: int = 0
    rows: int = 0
    bytes: int = 0  # estimated from a sample of each answer's rows
    seconds: float = 0.0  # between sending a statement and having its last row, as we measured it
    slowest: float = 0.0
    slowest_query: str = ""
    logins: int = 0
    sessions: int = 0  # open at once, at most
    put_off: int = 0  # times that a window or a pause turned us away
    back_offs: int = 0
    waited: float = 0.0  # seconds, for the pace and the budget
    idle: dict[int, int] = {}  # probe latency when nothing of ours ran
    working: dict[int, int] = {}  # and between statements of a run
    server: dict[str, float] = {}  # what the engine itself says that we cost, by its own names

    def add(self, other: Usage) -> None:
        for name in ("statements", "failed", "rows", "bytes", "seconds", "logins", "put_off", "back_offs", "waited"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.slowest > self.slowest:
            self.slowest, self.slowest_query = other.slowest, other.slowest_query
        self.sessions = max(self.sessions, other.sessions)
        self.idle = _added(self.idle, other.idle)
        self.working = _added(self.working, other.working)
        self.server = _added(self.server, other.server)


class Tally(msgspec.Struct, frozen=True):
    """What happened since the last one: usage by hour (UTC, its first second since 1970), and what was learned."""

    hours: dict[int, Usage] = {}
    baselines: dict[str, Baseline] = {}
    share: float = 1.0  # of the source's time that we ask for at present

    @property
    def seconds(self) -> float:
        """Of statements."""
        return sum(usage.seconds for usage in self.hours.values())


def latency_bucket(seconds: float) -> int:
    """The class of a latency: four for each doubling, from 10 µs on."""
    return max(0, round(4 * math.log2(max(seconds, FINEST) / FINEST)))


def percentile(counted: Mapping[int, int], share: float) -> float | None:
    """The latency, in seconds, that so large a share of the counted did not exceed; None of nothing."""
    left = share * sum(counted.values())
    for bucket in sorted(counted):
        left -= counted[bucket]
        if left <= 0:
            return float(FINEST * 2 ** (bucket / 4))
    return None


def _added(one: dict[Any, Any], other: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}} if other else one
