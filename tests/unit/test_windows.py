"""Times of day that come again."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend_agent.windows import Window, leaves_time, open_until, window

NIGHT = (window("23:50-00:40"), window("02:00-04:00"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-16T{text}").replace(tzinfo=ZoneInfo("Asia/Shanghai"))


@pytest.mark.parametrize(
    ("time", "until"),
    [
        ("23:49:59", None),
        ("23:50:00", "2026-03-17T00:40"),
        ("00:00:00", "2026-03-16T00:40"),
        ("00:39:59", "2026-03-16T00:40"),
        ("00:40:00", None),
        ("02:00:00", "2026-03-16T04:00"),
        ("12:00:00", None),
    ],
)
def test_a_window_holds_from_its_first_minute_to_before_its_last(time: str, until: str | None) -> None:
    found = open_until(NIGHT, at(time))
    assert (found and f"{found:%Y-%m-%dT%H:%M}") == until


def test_windows_that_touch_or_overlap_are_one() -> None:
    touching = (window("22:00-23:00"), window("23:00-01:00"), window("00:30-02:15"))
    found = open_until(touching, at("22:10:00"))
    assert f"{found:%m-%d %H:%M}" == "03-17 02:15"


@pytest.mark.parametrize(
    "text", ["", "24:10-01:00", "8:00-9:00", "08:00", "08:00-08:00", "08:60-09:00", "00:00-24:00", 7]
)
def test_what_is_no_window_is_told(text: object) -> None:
    with pytest.raises(ValueError, match=r"window|time of day"):
        window(text)


def test_a_day_without_a_free_minute_is_noticed() -> None:
    assert leaves_time(NIGHT)
    assert not leaves_time((window("00:00-12:00"), window("12:00-24:00")))


minutes = st.integers(0, 24 * 60 - 1)
windows = st.builds(Window, minutes, minutes).filter(lambda one: one.start != one.end)


@given(st.lists(windows, min_size=1, max_size=4), st.integers(0, 24 * 3600 - 1))
def test_when_it_says_it_is_over_it_is_over_and_before_that_it_is_not(listed: list[Window], second: int) -> None:
    if not leaves_time(listed):
        return
    local = datetime(2026, 3, 16) + timedelta(seconds=second)
    until = open_until(listed, local)
    assert (until is not None) == any(one.covers(local) for one in listed)
    if until is not None:
        assert not any(one.covers(until) for one in listed)
        before = until - timedelta(seconds=1)
        assert any(one.covers(before) for one in listed)


def test_a_window_reads_as_it_was_written() -> None:
    assert [str(one) for one in NIGHT] == ["23:50-00:40", "02:00-04:00"]
