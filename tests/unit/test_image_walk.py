"""A walk over studies by time tells every study once, and never asks for more than it may be told."""

from bisect import bisect_left
from datetime import date, datetime, time, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.pacs import Stretch, study_time, written_stretch
from frontend_agent.imaging.walking import WIDTHS, Walk

DAY = timedelta(days=1)


class Line:
    """Studies by time, and what it was asked."""

    def __init__(self, times: list[datetime], matches_times: bool = True) -> None:
        self.times = sorted(times)
        self.questions: list[tuple[Stretch, int]] = []
        self._matches_times = matches_times

    def between(self, stretch: Stretch) -> list[datetime]:
        begin, end = stretch.begin, stretch.end
        if not self._matches_times:
            begin = datetime.combine(begin.date(), time())
            end = datetime.combine((end - datetime.resolution).date() + DAY, time())
        found = self.times[bisect_left(self.times, begin) : bisect_left(self.times, end)]
        self.questions.append((stretch, len(found)))
        return found


def walked(walk: Walk, line: Line, most: int) -> list[datetime]:
    told: list[datetime] = []
    while (stretch := walk.next()) is not None:
        written_stretch(stretch)  # it can be asked for at all
        found = line.between(stretch)
        if len(found) > most and walk.too_many():
            continue
        told += found
        walk.answered(len(found), most)
        walk = Walk.of(walk.mark())  # as after a restart
    return told


@given(
    minutes=st.lists(st.integers(0, 60 * 24 * 60 - 1), max_size=300),
    most=st.integers(1, 50),
    burst=st.integers(0, 200),
)
@settings(max_examples=150, deadline=None)
def test_every_study_is_told_once_wherever_they_crowd(minutes: list[int], most: int, burst: int) -> None:
    begin = datetime(2024, 1, 20)
    minutes += [30_000 + number % 40 for number in range(burst)]
    line = Line([begin + timedelta(minutes=one) for one in minutes])
    told = walked(Walk.over(begin.date(), begin.date() + 59 * DAY), line, most)
    assert sorted(told) == line.times


def test_only_the_shortest_stretch_may_answer_more() -> None:
    begin = datetime(2024, 1, 20)
    line = Line([begin + timedelta(seconds=one % 50) for one in range(300)] + [begin + timedelta(hours=2)] * 5)
    told = []
    walk = Walk.over(begin.date(), begin.date())
    while (stretch := walk.next()) is not None:
        found = line.between(stretch)
        if len(found) > 10 and walk.too_many():
            continue
        assert len(found) <= 10 or walk.is_shortest
        told += found
        walk.answered(len(found), 10)
    assert sorted(told) == line.times


def test_ten_years_of_a_hospital_are_walked_with_few_questions() -> None:
    chance = Random(6)
    begin = datetime(2015, 1, 1)
    days = 3650
    times = []
    for number in range(days):
        day = begin + number * DAY
        for _ in range(60 if (day.weekday() > 4) else 360):  # about 1,000,000
            times.append(day + timedelta(seconds=int(chance.triangular(6 * 3600, 24 * 3600 - 1, 10 * 3600))))
    line = Line(times)
    most = 100
    told = walked(Walk.over(begin.date(), begin.date() + (days - 1) * DAY), line, most)
    assert len(told) == len(times) > 990_000
    too_many = [count for _, count in line.questions if count > most]
    assert max(count for _, count in line.questions) < 40 * most
    assert len(line.questions) - len(too_many) < 4 * len(times) / most
    assert len(too_many) < len(line.questions) / 2


def test_a_pacs_that_matches_no_times_is_asked_for_whole_days() -> None:
    begin = datetime(2024, 2, 27)
    line = Line([begin + timedelta(hours=3 * number) for number in range(40)], matches_times=False)
    walk = Walk.over(begin.date(), begin.date() + 4 * DAY)
    told: set[datetime] = set()
    while (stretch := walk.next()) is not None:
        found = line.between(stretch)
        if any(not stretch.holds(one) for one in found):
            walk.whole_days()
            continue
        if len(found) > 5 and walk.too_many():
            continue
        told |= set(found)
        walk.answered(len(found), 5)
    assert told == set(line.times)
    assert line.questions[-1][0].is_of_days


def test_an_empty_decade_is_few_questions() -> None:
    line = Line([])
    assert walked(Walk.over(date(2010, 1, 1), date(2019, 12, 31)), line, 100) == []
    assert len(line.questions) < 50


def test_a_mark_goes_on_where_it_was_and_nonsense_is_none() -> None:
    walk = Walk.over(date(2024, 1, 1), date(2024, 12, 31))
    stretch = walk.next()
    assert stretch is not None
    walk.answered(3, 100)
    again = Walk.of(walk.mark())
    assert (again.next(), again.done(stretch.end)) == (walk.next(), walk.done(stretch.end))
    for wrong in ("", "{}", "[1]", "yesterday"):
        with pytest.raises(ValueError, match="no mark"):
            Walk.of(wrong)


def test_stretches_are_written_as_the_standard_matches_them() -> None:
    day = datetime(2024, 2, 29)
    assert written_stretch(Stretch(day, day + DAY)) == ("20240229", "")
    assert written_stretch(Stretch(day, day + 2 * DAY)) == ("20240229-20240301", "")
    assert written_stretch(Stretch(day + timedelta(hours=12), day + DAY)) == ("20240229", "120000-235959.999999")
    assert written_stretch(Stretch(day, day + timedelta(minutes=1))) == ("20240229", "000000-000059.999999")
    with pytest.raises(ValueError, match="neither"):
        written_stretch(Stretch(day + timedelta(hours=12), day + 2 * DAY))
    assert all(width == DAY or width < DAY or not (width % DAY) for width in WIDTHS)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (("20240229", "101500"), (datetime(2024, 2, 29, 10, 15), True)),
        (("2024.02.29", "10:15"), (datetime(2024, 2, 29, 10, 15), True)),
        (("20240229", "101500.250000"), (datetime(2024, 2, 29, 10, 15), True)),
        (("20240229", "10"), (datetime(2024, 2, 29, 10), True)),
        (("20240229", ""), (datetime(2024, 2, 29), False)),
        (("20240229", "246060"), (datetime(2024, 2, 29), False)),
        (("20240230", "101500"), (None, False)),
        (("", ""), (None, False)),
    ],
)
def test_study_times_are_read_as_they_are_written(
    written: tuple[str, str], expected: tuple[datetime | None, bool]
) -> None:
    assert study_time(*written) == expected
