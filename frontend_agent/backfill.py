"""Backfill (补采): reading a stretch of the past, slice by slice, and what it will take. Pure.

    axis     what a feed's cursor is: a time, a number, or some text
    bound    a place on it, as text: `2024-01-01T00:00:00`, `120000`, `A0017`
    slice    [bound, bound): as wide as needed for some thousand rows

A row whose cursor is NULL lies in no stretch: the feed itself asks for it in every run.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

import msgspec

from frontend_agent.closing import before, month_of, month_text
from frontend_agent.errors import ConfigurationError
from frontend_agent.windows import Window

Axis = Literal["time", "number", "text"]

ROWS_OF_A_SLICE = 5_000
NARROWEST, WIDEST = 60.0, 31 * 86_400.0  # seconds
FEWEST, MOST = 100.0, 10_000_000.0  # numbers
PARTS = 24  # of a stretch that has no months
DAY_MINUTES = 24 * 60


class BadBound(ConfigurationError):
    """A bound that the feed's cursor cannot have. Exit 2 would be as right; the mend is on the command line."""

    exit_code = 2


# -- places on an axis --


def bound(axis: Axis, text: str, upper: bool = False) -> str:
    """A bound as a person writes it, as it is kept. A whole day, or number, as the end is included."""
    text = text.strip()
    if axis == "text":
        return text
    if axis == "number":
        try:
            return str(int(text) + upper)
        except ValueError:
            raise BadBound(
                f"{text!r} is no number, and this feed's cursor is one (for example --from 0 --to 120000)"
            ) from None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadBound(f"{text!r} is neither a day nor a time (for example 2024-01-01, or 2024-01-01T07:30)") from None
    if moment.tzinfo is not None:
        raise BadBound(f"{text!r}: times are the institution's local ones; leave the zone out")
    whole_day = len(text) == 10
    return (moment + timedelta(days=1) if upper and whole_day else moment).isoformat()


def asked(axis: Axis, text: str) -> datetime | str:
    """A bound as a source is asked for it."""
    if axis == "time":
        return datetime.fromisoformat(text)
    return f"int:{text}" if axis == "number" else f"text:{text}"


def is_before(axis: Axis, one: str, other: str) -> bool:
    """Whether one bound lies before another."""
    if axis == "text":
        return one < other
    return _place(axis, one) < _place(axis, other)


def fraction(axis: Axis, low: str, high: str, at: str) -> float:
    """How much of [low, high) lies before `at`, 0…1; nobody knows of text."""
    if axis == "text":
        return float(at >= high)
    begin, end = _place(axis, low), _place(axis, high)
    return min(max((_place(axis, at) - begin) / (end - begin), 0.0), 1.0) if end > begin else 1.0


def moved(axis: Axis, at: str, width: float, high: str) -> str:
    """The bound that lies so much further on, and not beyond `high`."""
    if axis == "text":
        return high
    if axis == "number":
        return str(min(int(at) + max(int(width), 1), int(high)))
    return min(
        datetime.fromisoformat(at) + timedelta(seconds=max(int(width), 1)), datetime.fromisoformat(high)
    ).isoformat()


def extent(axis: Axis, low: str, high: str) -> float:
    """How wide a stretch is, in seconds or numbers; 0 where nobody can say."""
    return 0.0 if axis == "text" else _place(axis, high) - _place(axis, low)


def first_width(axis: Axis, low: str, high: str, expected: int) -> float:
    """How wide to begin: by what is expected, if anything is; else narrow."""
    least, most = _widths(axis)
    if axis == "text" or not expected:
        return least
    return min(max((_place(axis, high) - _place(axis, low)) * ROWS_OF_A_SLICE / expected, least), most)


def next_width(axis: Axis, width: float, rows: int) -> float:
    """The width of the next slice, after one of this width had so many rows."""
    least, most = _widths(axis)
    factor = min(max(ROWS_OF_A_SLICE / rows, 1 / 8), 4.0) if rows else 4.0
    return min(max(width * factor, least), most)


def _widths(axis: Axis) -> tuple[float, float]:
    return (NARROWEST, WIDEST) if axis == "time" else (FEWEST, MOST)


def _place(axis: Axis, text: str) -> float:
    if axis == "number":
        return float(int(text))
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds()


# -- what there is to be read --


class Part(NamedTuple):
    """A month of the stretch, or one of so many equal parts."""

    label: str
    low: str
    high: str


def parts(axis: Axis, low: str, high: str) -> list[Part]:
    """The stretch in parts, in order: by month where it is of time."""
    if axis == "text":
        return [Part(f"{low} …", low, high)]
    if axis == "number":
        begin, end = int(low), int(high)
        step = max(-(-(end - begin) // PARTS), 1)
        return [Part(f"{at} …", str(at), str(min(at + step, end))) for at in range(begin, end, step)]
    begin_at, end_at = datetime.fromisoformat(low), datetime.fromisoformat(high)
    found, month = [], month_of((end_at - timedelta(microseconds=1)).date())
    while month >= month_of(begin_at.date()):
        first = datetime.combine(date(month // 100, month % 100, 1), time(0))
        after = (first + timedelta(days=32)).replace(day=1)
        found.append(Part(month_text(month), max(first, begin_at).isoformat(), min(after, end_at).isoformat()))
        month = before(month)
    return found[::-1]


def spread_out(count: int) -> Iterator[int]:
    """0…count-1, so that whoever stops early has looked everywhere: the ends, the middle, the quarters …"""
    seen: set[int] = set()
    step = max(count - 1, 1)
    while True:
        for place in range(0, count, step):
            if place not in seen:
                seen.add(place)
                yield place
        if step == 1:
            break
        step = step // 2
    yield from (place for place in range(count) if place not in seen)


def samples(axis: Axis, part: Part, number: int) -> list[tuple[str, str]]:
    """Some pieces of a part that stand for it: whole days, other weekdays in each month; else pieces of a fiftieth."""
    if axis == "time" and _place(axis, part.high) - _place(axis, part.low) >= 8 * 86_400:
        first = datetime.fromisoformat(part.low).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        days = int((_place(axis, part.high) - (first - datetime(1970, 1, 1)).total_seconds()) // 86_400)
        # Seven days, four apart: each weekday once.
        return [
            ((first + timedelta(days=day)).isoformat(), (first + timedelta(days=day + 1)).isoformat())
            for day in sorted({(number % 3 + one * 4) % days for one in range(7)})
        ]
    begin, wide = _place(axis, part.low), _place(axis, part.high) - _place(axis, part.low)
    return [(_bound_at(axis, begin + wide * n / 5), _bound_at(axis, begin + wide * (n / 5 + 0.02))) for n in range(5)]


def _bound_at(axis: Axis, place: float) -> str:
    return str(int(place)) if axis == "number" else (datetime(1970, 1, 1) + timedelta(seconds=int(place))).isoformat()


def share(axis: Axis, part: Part, piece: tuple[str, str]) -> float:
    """How much of a part a piece of it is."""
    return (_place(axis, piece[1]) - _place(axis, piece[0])) / (_place(axis, part.high) - _place(axis, part.low))


# -- what it will take --


class Sample(msgspec.Struct, frozen=True):
    """Some pages as they were read, judged and rendered, and not kept: what one row comes to."""

    keys: int
    documents: int
    seconds_reading: float
    seconds_preparing: float
    source_bytes: int
    frame_bytes: int
    rows: int  # of all queries


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds a backfill besides itself. 0: nothing is known, or nothing bounds."""

    rate: float = 0.0  # rows a second, as asked for
    source_rows: int = 0  # a second, agreed with the hospital
    source_bytes: int = 0
    source_share: float = 1.0  # of its time
    destination: float = 0.0  # documents a second, as measured
    workers: int = 0
    open_minutes: int = DAY_MINUTES  # of a day
    quota: int = 0
    share: int = 50  # % of it
    used: int = 0
    disk_free: int = 0
    retention_days: float = 2.0
    index_bytes: float = 1000.0  # that stay, per document: 950 were measured (series, index row, delivery, log)


class Estimate(msgspec.Struct, frozen=True):
    """What it comes to. Seconds are of work; days are of so many open hours."""

    documents: int
    rows_per_second: float
    slowest: str  # what bounds it: reading, preparing, source_share, rate, source_rows, source_bytes, destination
    seconds: float
    days: float
    source_bytes: int
    sent_bytes: int
    spool_peak: int  # what the spool grows by, at most
    spool_stays: int  # of that, for good: the index of what was sent
    spool_limit: int  # what it may grow to; 0: no quota
    fits: bool


def estimate(rows: int, sample: Sample, limits: Limits) -> Estimate:
    """What so many rows will take. Without a sample nothing is claimed: rates of 0."""
    keys = max(sample.keys, 1)
    documents = round(rows * sample.documents / keys) if sample.keys else rows
    reading = sample.seconds_reading / keys
    preparing = sample.seconds_preparing / keys
    paces = {
        "reading": 1 / (reading if limits.workers else reading + preparing) if reading or preparing else 0.0,
        "source_share": limits.source_share / reading if reading and limits.source_share < 1 else 0.0,
        "preparing": limits.workers / preparing if preparing and limits.workers else 0.0,
        "rate": limits.rate,
        "source_rows": limits.source_rows * keys / sample.rows if sample.rows else 0.0,
        "source_bytes": limits.source_bytes * keys / sample.source_bytes if sample.source_bytes else 0.0,
        "destination": limits.destination * keys / sample.documents if sample.documents else 0.0,
    }
    known = {name: pace for name, pace in paces.items() if pace > 0}
    slowest = min(known, key=lambda name: known[name], default="")
    pace = known.get(slowest, 0.0)
    seconds = rows / pace if pace else 0.0
    days = seconds / (limits.open_minutes * 60)
    frame = sample.frame_bytes / max(sample.documents, 1)
    stays = round(documents * limits.index_bytes)
    kept_days = limits.retention_days + 1.0  # a day's work is there before its first hour is dropped
    peak = stays + round(frame * (documents if days <= kept_days else documents * kept_days / days))
    limit = limits.quota * limits.share // 100
    room = min(limit - limits.used if limits.quota else peak, limits.disk_free or peak)
    return Estimate(
        documents=documents,
        rows_per_second=pace,
        slowest=slowest,
        seconds=seconds,
        days=days,
        source_bytes=round(rows * sample.source_bytes / keys),
        sent_bytes=round(documents * frame),
        spool_peak=peak,
        spool_stays=stays,
        spool_limit=limit,
        fits=peak <= room,
    )


def open_minutes(windows: Sequence[Window], closed: Sequence[Window] = ()) -> int:
    """How many minutes of a day it may work: in one of its windows (always, without any), and in no protected one."""
    midnight = datetime(2000, 1, 1)
    minutes = (midnight + timedelta(minutes=minute) for minute in range(DAY_MINUTES))
    return sum(
        (not windows or any(one.covers(at) for one in windows)) and not any(one.covers(at) for one in closed)
        for at in minutes
    )


def opens_at(windows: Sequence[Window], local: datetime) -> datetime | None:
    """When the next of its windows opens, local; None: one is open, or it has none."""
    if not windows or any(one.covers(local) for one in windows):
        return None
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [midnight + timedelta(days=day, minutes=one.start) for one in windows for day in (0, 1)]
    return min(start for start in starts if start > local)
