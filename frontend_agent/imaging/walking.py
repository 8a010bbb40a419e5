"""Walking over the studies of a PACS by their time: which stretch is asked for next. Pure.

    walk = Walk.over(begin, end)
    while (stretch := walk.next()) is not None:
        …ask…
        walk.answered(count)            # it is done with: the next is wider where there was little
        walk.too_many(most)             # the same again, half as wide
        walk.mark()                     # where it is, as text: Walk.of(mark) goes on from there

From the newest to the oldest, for what is new is asked for first. Each answer is bounded, however many studies there are: a stretch is
halved until it answers no more than may be told, and what was answered is never asked for again.
"""

from datetime import date, datetime, time, timedelta

import msgspec

from connectors.pacs import Stretch

DAY = timedelta(days=1)
# Parts of a day: each divides it, and the one behind it nearly halves it.
_PARTS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 20, 45, 90, 180, 360, 720))
WIDTHS = (*_PARTS, *(DAY * days for days in (1, 2, 4, 8, 16, 32, 64, 128)))
ONE_DAY = WIDTHS.index(DAY)
FEW = 4  # fewer than a FEWth of what may be told: the next stretch is twice as wide


class _Mark(msgspec.Struct, frozen=True):
    begin: datetime
    end: datetime
    width: int
    days_only: bool


class Walk:
    """One walk over [begin, end), backwards."""

    def __init__(self, begin: datetime, end: datetime, width: int = ONE_DAY, days_only: bool = False) -> None:
        """`width`: of WIDTHS. `days_only`: this PACS does not match times, so that a day is the shortest stretch."""
        self.begin, self.end = begin, end  # `end` moves towards `begin`
        self.days_only = days_only
        self._width = max(width, ONE_DAY) if days_only else width

    @classmethod
    def over(cls, begin: date, end: date) -> "Walk":
        """All studies of these days, `end` among them."""
        return cls(datetime.combine(begin, time()), datetime.combine(end + DAY, time()))

    @classmethod
    def of(cls, mark: str) -> "Walk":
        """Where a walk was. ValueError: no such mark."""
        try:
            found = msgspec.json.decode(mark, type=_Mark)
        except msgspec.DecodeError as error:
            raise ValueError(f"no mark of a walk: {error}") from error
        return cls(found.begin, found.end, min(max(found.width, 0), len(WIDTHS) - 1), found.days_only)

    def mark(self) -> str:
        return msgspec.json.encode(_Mark(self.begin, self.end, self._width, self.days_only)).decode()

    def next(self) -> Stretch | None:
        """What is asked for now; None when it is over."""
        if self.end <= self.begin:
            return None
        width = WIDTHS[self._width]
        if width >= DAY and self.end.time() == time():
            return Stretch(max(self.begin, self.end - width), self.end)
        # A part of the day that ends at `end`, or of the one before where `end` is midnight.
        last = self.end - datetime.resolution
        midnight = datetime.combine(last.date(), time())
        if width >= DAY:
            return Stretch(max(self.begin, midnight), self.end)
        return Stretch(max(self.begin, midnight, self.end - width), self.end)

    @property
    def is_shortest(self) -> bool:
        """The stretch cannot be halved."""
        return self._width == (ONE_DAY if self.days_only else 0)

    def answered(self, count: int, most: int) -> None:
        """The stretch was told whole, with so many studies."""
        stretch = self.next()
        if stretch is None:
            return
        # Behind the rest of a day that was walked in parts, whole days come again.
        self.end = stretch.begin
        if count * FEW <= most and self._width < len(WIDTHS) - 1:
            self._width += 1

    def too_many(self) -> bool:
        """Ask for less. False: it is the shortest already."""
        stretch = self.next()
        if stretch is None or self.is_shortest:
            return False
        # Of a stretch that was cut short by its day, or by `begin`, the first width that is really less.
        long = stretch.end - stretch.begin
        self._width = max(number for number in range(self._width) if number == 0 or WIDTHS[number] < long)
        if self.days_only:
            self._width = max(self._width, ONE_DAY)
        return True

    def whole_days(self) -> None:
        """This PACS does not match times: from now on whole days are asked for."""
        self.days_only = True
        self._width = ONE_DAY
        if self.end.time() != time():  # what was told of this day is told once more
            self.end = datetime.combine(self.end.date() + DAY, time())

    def done(self, whole: datetime) -> float:
        """How much of what ended at `whole` is done, from 0 to 1."""
        all_ = (whole - self.begin).total_seconds()
        return 1.0 if all_ <= 0 else min(1.0, (whole - self.end).total_seconds() / all_)
