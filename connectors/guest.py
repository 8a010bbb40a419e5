"""How we behave as guests in somebody else's system (law 8): when we may ask, how fast, and what it cost.

    admit    before anything is sent: not while paused, not in a protected window, not before debts are paid
    account  after each statement: rows, bytes, seconds; the pace follows the source's own latency
    take     what was counted since the last time, by hour: a picklable delta for whoever keeps it

Pace. Each shape of statement (its text, and how many rows it brought) has a baseline that is *measured*: an average of medians
over times in which the source was not slow, and so has the worst of seven. When most of the last statements take `slow_down`
times as long as theirs, and longer than the worst usually is, our share of the source's time is halved; when not, it grows back
step by step. It never falls below a floor: a source that is slow for good becomes the new normal, and is read meanwhile.

Debts (rows and bytes per second, rests) are paid before a session begins, never inside of one: nothing waits in the
hospital's database while we wait. A session may therefore overdraw by what it reads: one page.

Work that can wait (backfill, reconciliation) has no more than its share of the source's time besides: after each question it
rests in proportion, and before the question is put, so that whoever cannot wait finds the connection free meanwhile.

Clocks are injected. One object belongs to one source; its methods may be called from several threads.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from frontend_agent.errors import SourceResting
from frontend_agent.usage import HOUR, Baseline, Tally, Usage, latency_bucket
from frontend_agent.windows import Window, open_until

SLICE = 1.0  # seconds: a wait looks so often whether a window has begun meanwhile
SAVED = 0.1  # seconds' worth of the budget that may be saved up: about a page, never a flood after a quiet time
LEAST = 0.001  # seconds that are not worth waiting for: they stay owed
FLOOR = 1 / 32  # of the source's time: the least that we ask for, however slow it is
STEP = 0.1  # by which our share grows back
LONGEST_REST = 30.0  # seconds between two sessions, whatever the pace
JUDGED = 7  # statements by which the pace is decided anew
MEDIAN_OF = 7  # statements whose median is one look at a shape
WEIGHT, WEIGHT_SLOW = 0.2, 0.004  # of one look in the baseline: in quiet times, and while the source is slow
RESTED = "rested"  # the shape of the probe after a rest
SHAPES = 500  # remembered per source
SAMPLE = 16  # rows of an answer that are weighed
PROBE_EVERY = 10.0  # seconds of work between two looks at the source's latency


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed with the hospital about one source. 0 means: not bounded."""

    rows_per_second: int = 0
    bytes_per_second: int = 0
    share: float = 0.0  # of the source's time, for work that can wait
    protected: tuple[Window, ...] = ()
    slow_down: float = 0.0  # back off when statements take so many times their baseline
    timezone: str = "Asia/Shanghai"  # whose clock the windows are meant by


class Pause(msgspec.Struct, frozen=True):
    """A person's word that the source is to be left alone, until then or until `resume`."""

    until: datetime | None = None
    reason: str = ""


class Bucket:
    """A rate that may be overdrawn by one answer, and is paid back before the next. What may be saved up is little."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._tokens = rate * SAVED
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until nothing is owed."""
        self._fill(now)
        return max(0.0, -self._tokens / self._rate) if self._rate else 0.0

    def spend(self, amount: float, now: float) -> None:
        self._fill(now)
        self._tokens -= amount

    def _fill(self, now: float) -> None:
        self._tokens = min(self._rate * SAVED, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now


class Pace:
    """Our share of the source's time: halved when it is slow, grown back step by step (AIMD)."""

    def __init__(self) -> None:
        self.share = 1.0
        self._judged: deque[bool] = deque(maxlen=JUDGED)

    @property
    def slow(self) -> bool:
        return self.share < 1.0

    def saw(self, slow: bool) -> bool:
        """One more statement was slow, or was not. Whether we back off now."""
        self._judged.append(slow)
        if len(self._judged) < JUDGED:
            return False
        slow = sum(self._judged) * 2 > JUDGED
        self._judged.clear()
        self.share = max(FLOOR, self.share / 2) if slow else min(1.0, self.share + STEP)
        return slow

    def rest(self, seconds: float) -> float:
        """How long to leave the source alone after so long a statement."""
        return seconds * (1 / self.share - 1)


class Spare:
    """What work that can wait owes: after so many seconds at the source a rest, so that it has its share and no more."""

    def __init__(self, share: float, now: float) -> None:
        """`share` 0…1; 0 means: not bounded."""
        self._share = share or 1.0
        self._free_at = now

    def wait(self, now: float) -> float:
        """Seconds until it may ask again."""
        return max(0.0, self._free_at - now)

    def spend(self, seconds: float, now: float) -> None:
        """It was at work there for so long, until now."""
        self._free_at = max(self._free_at, now) + seconds * (1 / self._share - 1)


class Baselines:
    """What each shape of statement usually takes."""

    def __init__(self) -> None:
        self.known: OrderedDict[str, Baseline] = OrderedDict()
        self.changed: set[str] = set()
        self._recent: dict[str, list[float]] = {}

    def is_slow(self, shape: str, seconds: float, times: float) -> bool | None:
        """Whether it took longer than usual by that factor, and by more than it scatters; None before it is known."""
        usual = self.known.get(shape)
        if usual is None:
            return None
        return seconds > usual.seconds * times and seconds > usual.seconds + usual.scatter + self._rested()

    def _rested(self) -> float:
        """What it costs that we had rested, by the probe: a connection that slept answers later, and is not slow for that."""
        usual = self.known.get(RESTED)
        return usual.seconds + usual.scatter if usual else 0.0

    def learn(self, shape: str, query: str, seconds: float, slow: bool) -> None:
        recent = self._recent.setdefault(shape, [])
        recent.append(seconds)
        if len(recent) < MEDIAN_OF:
            return
        del self._recent[shape]
        middle = median(recent)
        scatter = max(recent) - middle
        if usual := self.known.get(shape):
            weight = WEIGHT_SLOW if slow else WEIGHT
            middle = usual.seconds + weight * (middle - usual.seconds)
            scatter = usual.scatter + weight * (scatter - usual.scatter)
        self.put(shape, Baseline(middle, scatter, query))
        self.changed.add(shape)

    def put(self, shape: str, baseline: Baseline) -> None:
        self.known[shape] = baseline
        self.known.move_to_end(shape)
        while len(self.known) > SHAPES:
            oldest, _ = self.known.popitem(last=False)
            self.changed.discard(oldest)


class Guest:
    """One source's terms, kept."""

    def __init__(
        self,
        name: str,
        terms: Terms | None = None,
        now: Callable[[], datetime] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """`sleep` is for tests; by itself a wait ends at once when somebody pauses the source."""
        self.name = name
        self.terms = terms or Terms()
        self.total = Usage()
        self.waiting: Callable[[float], None] = lambda seconds: None  # told before each wait: we are not hung
        self._now = now or (lambda: datetime.now(UTC))
        self._monotonic = monotonic
        self._woken = threading.Event()
        self._sleep = sleep or self._woken.wait
        self._zone = ZoneInfo(self.terms.timezone)
        self._lock = threading.Lock()
        self._pause: Pause | None = None
        self._hours: dict[int, Usage] = {}
        self._baselines = Baselines()
        self._pace = Pace()
        self._rest_until = 0.0
        self._probed_at = started = monotonic()
        self._rows = Bucket(self.terms.rows_per_second, started)
        self._bytes = Bucket(self.terms.bytes_per_second, started)
        self._spare = Spare(self.terms.share, started)

    # --- what a person or the parent says ------------------------------------------------------------------------------

    def pause(self, pause: Pause) -> None:
        """From now on nothing is sent, until then."""
        self._pause = pause
        self._woken.set()

    def resume(self) -> None:
        self._pause = None

    @property
    def paused(self) -> Pause | None:
        """The pause that holds now."""
        found = self._pause
        if found is not None and found.until is not None and found.until <= self._now():
            self._pause = found = None
        return found

    @property
    def share(self) -> float:
        """Our share of the source's time: 1.0 unless it is slow."""
        return self._pace.share

    def resting(self) -> SourceResting | None:
        """Why the source is to be left alone now, if it is."""
        if pause := self.paused:
            until = f" until {_local(pause.until, self._zone)}" if pause.until else ""
            why = f" ({pause.reason})" if pause.reason else ""
            return SourceResting(f"source {self.name}: paused{until}{why}")
        local = self._now().astimezone(self._zone)
        if until_ := open_until(self.terms.protected, local):
            return SourceResting(f"source {self.name}: protected until {until_:%H:%M}")
        return None

    # --- the two ends of a statement -----------------------------------------------------------------------------------

    def admit(self) -> None:
        """Before a session begins: pay what is owed, then go. Raises SourceResting while the source is to be left alone."""
        self._pay(self._owed)

    def admit_behind(self) -> None:
        """The same before a question of work that can wait: the rest that its share of the source's time asks for."""
        self._pay(self.owed_behind)

    def owed_behind(self) -> float:
        """Seconds until work that can wait may ask again."""
        with self._lock:
            return self._spare.wait(self._monotonic())

    def spent_behind(self, seconds: float) -> None:
        """Work that can wait was at the source for so long, until now."""
        with self._lock:
            self._spare.spend(seconds, self._monotonic())

    def _pay(self, owed: Callable[[], float]) -> None:
        while True:
            self.must_not_rest()
            wait = owed()
            if wait < LEAST:
                return
            part = min(wait, SLICE)
            self.waiting(part)
            self._woken.clear()
            if self.paused is None:  # one that came before the line above is seen here, a later one ends the wait
                self._sleep(part)
            with self._lock:
                self._add(Usage(waited=part))

    def must_not_rest(self) -> None:
        """Before each statement. Raises SourceResting."""
        if resting := self.resting():
            with self._lock:
                self._add(Usage(put_off=1))
            raise resting

    def account(self, query: str, sql: str, rows: int, size: int, seconds: float, failed: bool = False) -> None:
        """After each statement: `size` in bytes. A failed one costs as well, but tells nothing of the source's pace."""
        at = self._monotonic()
        shape = shape_of(sql, rows)
        with self._lock:
            self._rows.spend(rows, at)
            self._bytes.spend(size, at)
            backs_off = False
            if not failed and self.terms.slow_down:
                slow = self._baselines.is_slow(shape, seconds, self.terms.slow_down)
                self._baselines.learn(shape, query, seconds, self._pace.slow or bool(slow))
                backs_off = slow is not None and self._pace.saw(slow)
            rest = self._pace.rest(seconds)
            self._rest_until = min(max(self._rest_until, at) + rest, at + LONGEST_REST)
            self._add(
                Usage(
                    statements=1, failed=int(failed), rows=rows, bytes=size, seconds=seconds, slowest=seconds,
                    slowest_query=query, sessions=1, back_offs=int(backs_off),
                )
            )  # fmt: skip

    def logged_in(self) -> None:
        """A connection was made."""
        with self._lock:
            self._add(Usage(logins=1))

    def opened(self, sessions: int) -> None:
        """So many sessions are open at once."""
        with self._lock:
            self._add(Usage(sessions=sessions))

    def probe_is_due(self) -> bool:
        """Whether it is time to look at the source's latency again, while we are at work."""
        return self._monotonic() - self._probed_at >= PROBE_EVERY

    def probed(self, seconds: float, working: bool) -> None:
        """The time that a question for nothing took, when we had rested or between statements of a run."""
        with self._lock:
            self._probed_at = self._monotonic()
            if not working:
                self._baselines.learn(RESTED, "", seconds, self._pace.slow)
            counted = {latency_bucket(seconds): 1}
            self._add(Usage(working=counted) if working else Usage(idle=counted))

    def cost(self, server: Mapping[str, float]) -> None:
        """What the engine itself says that we cost since the last time."""
        if any(server.values()):
            with self._lock:
                self._add(Usage(server={name: value for name, value in server.items() if value}))

    def _owed(self) -> float:
        at = self._monotonic()
        with self._lock:
            return max(self._rows.wait(at), self._bytes.wait(at), self._rest_until - at)

    def _add(self, usage: Usage) -> None:
        self.total.add(usage)
        hour = int(self._now().timestamp()) // HOUR * HOUR
        self._hours.setdefault(hour, Usage()).add(usage)

    def fresh(self) -> list[Usage]:
        """What was counted and not taken yet."""
        with self._lock:
            return [msgspec.structs.replace(usage) for usage in self._hours.values()]

    # --- kept by others ------------------------------------------------------------------------------------------------

    def take(self) -> Tally:
        """What was counted and learned since the last time."""
        with self._lock:
            changed = {shape: self._baselines.known[shape] for shape in self._baselines.changed}
            tally = Tally(self._hours, changed, self._pace.share)
            self._hours = {}
            self._baselines.changed.clear()
            return tally

    def merge(self, tally: Tally) -> None:
        """Take over what another process counted and learned."""
        with self._lock:
            for hour, usage in tally.hours.items():
                self.total.add(usage)
                self._hours.setdefault(hour, Usage()).add(usage)
            for shape, baseline in tally.baselines.items():
                self._baselines.put(shape, baseline)
                self._baselines.changed.add(shape)
            self._pace.share = tally.share

    def remember(self, known: Tally) -> None:
        """What an earlier life, or another process, had learned."""
        with self._lock:
            for shape, baseline in known.baselines.items():
                self._baselines.put(shape, baseline)
            self._pace.share = known.share

    def known(self) -> Tally:
        """All that was learned: what a fresh process begins with."""
        with self._lock:
            return Tally({}, dict(self._baselines.known), self._pace.share)


# -- pure parts --


def shape_of(sql: str, rows: int) -> str:
    """What may be compared: the same text that brought as many rows, by powers of two."""
    return f"{_digest(sql)}:{rows.bit_length()}"


@lru_cache(maxsize=1024)
def _digest(sql: str) -> str:
    return blake2b(sql.encode(), digest_size=8).hexdigest()


def size_of(rows: Sequence[Sequence[Any]]) -> int:
    """What an answer weighs, in bytes: few rows exactly, many by a sample of them."""
    if len(rows) <= SAMPLE:
        return sum(map(_row_size, rows))
    sampled = [rows[number * len(rows) // SAMPLE] for number in range(SAMPLE)]
    return sum(map(_row_size, sampled)) * len(rows) // SAMPLE


def _row_size(row: Sequence[Any]) -> int:
    size = 0
    for value in row:
        kind = value.__class__
        if kind is str:
            size += len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
        elif kind is bytes or kind is bytearray:
            size += len(value)
        elif value is not None:
            size += 8
    return size


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
