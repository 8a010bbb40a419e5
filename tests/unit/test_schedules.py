"""When feeds are read: hours, days, cron, holidays, and clocks that are set."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from frontend_agent.calendar import Calendar, load_calendar, parse_calendar
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.schedules import Schedule, problem_of_cron, schedule_of, spread_of
from frontend_agent.silence import Standing, turn

CHINA = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# Synthetic: 2030 as nobody has announced it.
CALENDAR = parse_calendar(
    "date,kind,name\n2030-02-04,holiday,春节\n2030-02-05,holiday,春节\n2030-02-09,workday,调休上班\n", "calendar.csv"
)


def local(text: str, zone: ZoneInfo = CHINA) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def times(schedule: Schedule, begin: datetime, end: datetime) -> list[datetime]:
    found, at = [], begin
    while (at := schedule.next_after(at)) < end:
        found.append(at.astimezone(schedule.zone))
    return found


def texts(schedule: Schedule, begin: datetime, end: datetime) -> list[str]:
    return [f"{at:%d %H:%M}" for at in times(schedule, begin, end)]


# --- hours and days ---------------------------------------------------------------------------------------------------


def test_every_so_often_is_a_grid_that_nothing_moves() -> None:
    schedule = Schedule(every=5 * MINUTE, zone=CHINA)
    found = times(schedule, local("2026-11-21T07:01"), local("2026-11-21T07:16"))
    assert [f"{at:%H:%M}" for at in found] == ["07:05", "07:10", "07:15"]


def test_every_twenty_minutes_from_seven_to_eight() -> None:
    schedule = Schedule(every=20 * MINUTE, hours=(time(7), time(8)), zone=CHINA)
    assert texts(schedule, local("2026-11-21T00:00"), local("2026-11-22T07:30")) == [
        "21 07:00", "21 07:20", "21 07:40", "21 08:00", "22 07:00", "22 07:20",
    ]  # fmt: skip
    assert schedule.is_active(local("2026-11-21T08:00"))
    assert not schedule.is_active(local("2026-11-21T08:01"))


def test_hours_may_lie_over_midnight() -> None:
    schedule = Schedule(every=4 * HOUR, hours=(time(22), time(6)), zone=CHINA)
    assert texts(schedule, local("2026-11-21T03:00"), local("2026-11-22T22:01")) == [
        "21 06:00", "21 22:00", "22 02:00", "22 06:00", "22 22:00",
    ]  # fmt: skip
    assert schedule.is_active(local("2026-11-22T05:00"))


def test_working_days_follow_the_calendar_and_not_the_week() -> None:
    schedule = Schedule(every=6 * HOUR, hours=(time(8), time(9)), days="working", zone=CHINA, calendar=CALENDAR)
    # Monday 4 and Tuesday 5 are holidays, Saturday 9 is worked for them.
    assert texts(schedule, local("2030-02-01T12:00"), local("2030-02-12T00:00")) == [
        "06 08:00", "07 08:00", "08 08:00", "09 08:00", "11 08:00",
    ]  # fmt: skip
    off = Schedule(every=6 * HOUR, hours=(time(8), time(9)), days="holidays", zone=CHINA, calendar=CALENDAR)
    assert texts(off, local("2030-02-01T12:00"), local("2030-02-11T00:00")) == [
        "02 08:00", "03 08:00", "04 08:00", "05 08:00", "10 08:00",
    ]  # fmt: skip


def test_days_without_hours_are_whole_days() -> None:
    schedule = Schedule(every=8 * HOUR, days="working", zone=CHINA)
    assert texts(schedule, local("2026-11-20T17:00"), local("2026-11-23T09:00")) == ["23 00:00", "23 08:00"]


def test_cron_is_local_and_its_weekdays_are_those_of_crontab() -> None:
    schedule = Schedule(cron="*/30 7-8 * * 1-5", zone=CHINA)
    assert texts(schedule, local("2026-11-20T08:10"), local("2026-11-23T07:31")) == [
        "20 08:30", "23 07:00", "23 07:30",
    ]  # fmt: skip
    assert texts(Schedule(cron="0 6 * * 0", zone=CHINA), local("2026-11-20T00:00"), local("2026-11-30T00:00")) == [
        "22 06:00", "29 06:00",
    ]  # fmt: skip
    assert problem_of_cron("*/5 7-19 * * *") == ""
    for wrong in ("* * *", "61 * * * *", "0 0 30 2 *", "0 0 * * 8", "*/0 * * * *", "a b c d e"):
        assert problem_of_cron(wrong)


def test_cron_on_working_days() -> None:
    schedule = Schedule(cron="0 8 * * *", days="working", zone=CHINA, calendar=CALENDAR)
    assert texts(schedule, local("2030-02-02T00:00"), local("2030-02-10T00:00")) == [
        "06 08:00", "07 08:00", "08 08:00", "09 08:00",
    ]  # fmt: skip


def test_a_spread_is_small_stable_and_its_own() -> None:
    spreads = {spread_of(f"H{number}/lab_report", 5 * MINUTE) for number in range(200)}
    assert len(spreads) > 190
    assert max(spreads) < timedelta(seconds=20)
    assert spread_of("H1/lab_report", 5 * MINUTE) == spread_of("H1/lab_report", 5 * MINUTE)
    assert spread_of("H1/lab_report", timedelta(seconds=1)) < timedelta(seconds=0.1)
    schedule = Schedule(every=5 * MINUTE, spread=timedelta(seconds=7))
    begin = datetime(2026, 11, 21, tzinfo=UTC)
    assert {at.second for at in times(schedule, begin, begin + HOUR)} == {7}


def test_jitter_is_new_each_time_and_loses_no_turn() -> None:
    schedule, random = Schedule(every=MINUTE, jitter=timedelta(seconds=20)), Random(7)
    at, found = datetime(2026, 11, 21, tzinfo=UTC), []
    for _ in range(60):
        at = schedule.next_after(at, random)
        found.append(at)
    assert [one.minute for one in found] == [*range(1, 60), 0]
    assert len({one.second for one in found}) > 10
    assert max(one.second for one in found) < 20


# --- daylight saving --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", ["2026-10-31T12:00", "2026-03-07T12:00"])  # an hour twice; an hour not at all
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(every=5 * MINUTE, zone=NEW_YORK),
        Schedule(cron="*/5 * * * *", zone=NEW_YORK),
        Schedule(every=5 * MINUTE, hours=(time(0), time(23, 59)), zone=NEW_YORK),
    ],
    ids=["every", "cron", "hours"],
)
def test_no_hour_is_missed_when_the_clocks_change(schedule: Schedule, begin: str) -> None:
    low = local(begin, NEW_YORK).astimezone(UTC)
    found = [at.astimezone(UTC) for at in times(schedule, low, low + DAY)]
    gaps = [later - sooner for sooner, later in pairwise(found)]
    assert max(gaps) <= 6 * MINUTE
    assert min(gaps) > timedelta(0)
    assert len(found) >= 285


def test_what_lies_in_the_hour_that_does_not_come_is_done_when_it_should_have_begun() -> None:
    schedule = Schedule(cron="30 2 * * *", zone=NEW_YORK)
    found = texts(schedule, local("2026-03-07T00:00", NEW_YORK), local("2026-03-10T00:00", NEW_YORK))
    assert found == ["07 02:30", "08 03:00", "09 02:30"]


# --- clocks that are set ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("year", [2000, 2200])
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(every=timedelta(seconds=1)),
        Schedule(cron="* * * * *", zone=CHINA),
        Schedule(every=MINUTE, days="working", zone=CHINA, calendar=CALENDAR),
    ],
    ids=["every", "cron", "days"],
)
def test_another_century_is_asked_for_once(schedule: Schedule, year: int) -> None:
    at = datetime(year, 6, 1, 3, 0, 30, tzinfo=UTC)
    assert at < schedule.next_after(at) <= at + (DAY * 3 if schedule.days == "working" else MINUTE)


# --- the calendar -----------------------------------------------------------------------------------------------------


def test_a_year_that_nobody_entered_is_told_a_month_before() -> None:
    assert CALENDAR.uncovered(date(2030, 11, 29)) == []
    assert CALENDAR.uncovered(date(2030, 12, 1)) == [2031]
    assert CALENDAR.uncovered(date(2031, 5, 1)) == [2031]
    assert Calendar().uncovered(date(2031, 5, 1)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("day,kind\n", "line 1: expected date,kind,name"),
        ("date,kind,name\n2030-2-4,holiday,x\n", "line 2: '2030-2-4' is no day"),
        ("date,kind,name\n2030-02-04,rest,x\n", "line 2: kind 'rest'"),
        ("date,kind,name\n2030-02-04,holiday,x\n2030-02-04,workday,x\n", "line 3: 2030-02-04 is both"),
    ],
)
def test_a_mistake_in_the_calendar_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_calendar(text, "calendar.csv")


def test_a_calendar_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "calendar.csv"
    path.write_bytes("date,kind,name\r\n2030-02-04,holiday,春节\r\n# 注释\r\n\r\n".encode("gb18030"))
    assert not load_calendar(str(path)).is_working(date(2030, 2, 4))
    with pytest.raises(ConfigurationError, match="No such file"):
        load_calendar(str(tmp_path / "none.csv"))


# --- as it is written ---------------------------------------------------------------------------------------------------

AGENT = """
[institution]
id = "H001"
name = "示范医院"
[sources.lis]
url = "sqlite:///lis.db"
[destinations.platform]
url = "http://127.0.0.1:8400"
[[feeds]]
name = "lab_report"
source = "lis"
mapping = "demo_lis/lab_report"
"""


def test_a_feeds_table_says_when() -> None:
    config = parse_config(AGENT + 'every = "10m"\nfrom = "07:00"\nto = "19:00"\ndays = "working"\njitter = "5s"\n')
    schedule = schedule_of(config.feeds[0], CHINA, CALENDAR, "H001")
    assert (schedule.hours, schedule.days, schedule.jitter) == ((time(7), time(19)), "working", timedelta(seconds=5))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('from = "07:00"', "from and to belong together"),
        ('from = "7"\nto = "19:00"', "from: '7' is no time of day"),
        ('cron = "* * *"', "cron = '* * *' is not minute hour day month weekday"),
        ('cron = "* * * * *"\nevery = "10m"', "cron and every cannot both say when"),
        ('days = "weekdays"', "unknown value 'weekdays'"),
        ('jitter = "9m"', "jitter must be shorter than every"),
        ('every = "1h"\nsilence = "1h"', "silence must be longer than every"),
        ('start = "yesterday"', "neither \"now\" nor a day"),
        ('start = "now"\nfind = "compare"', "start does nothing"),
        ('[closing]\nday = 31', "day must lie in 1..28"),
        ('[calendar]\nfiles = "x"', "unknown key 'files' (did you mean 'file'?"),
    ],
)  # fmt: skip
def test_a_mistake_about_times_is_told(lines: str, said: str) -> None:
    with pytest.raises(ConfigurationProblems) as caught:
        parse_config(AGENT + lines)
    assert any(said in problem for problem in caught.value.problems)


# --- silence ------------------------------------------------------------------------------------------------------------


def test_silence_counts_only_the_time_in_which_a_feed_is_read() -> None:
    office = Schedule(every=5 * MINUTE, hours=(time(7), time(19)), days="working", zone=CHINA)
    friday = Standing(local("2026-11-20T18:30"))
    assert turn(office, 2 * HOUR, friday, local("2026-11-22T23:00")) == ""  # Sunday night
    assert turn(office, 2 * HOUR, friday, local("2026-11-23T08:29")) == ""
    assert turn(office, 2 * HOUR, friday, local("2026-11-23T08:31")) == "begins"


def test_an_alarm_is_told_once_and_ends_with_the_next_news() -> None:
    always = Schedule(every=5 * MINUTE)
    quiet = Standing(local("2026-11-20T06:00"), alarm_at=local("2026-11-20T08:00"))
    assert turn(always, 2 * HOUR, quiet, local("2026-11-20T09:00")) == ""
    assert turn(always, 2 * HOUR, quiet._replace(new_at=local("2026-11-20T08:59")), local("2026-11-20T09:00")) == "ends"
    assert turn(always, timedelta(0), quiet, local("2026-11-20T09:00")) == "ends"  # taken out of agent.toml


def test_cron_is_read_in_the_hours_that_it_names() -> None:
    day = Schedule(cron="*/5 7-18 * * 1-5", zone=CHINA)
    assert day.active_between(local("2026-11-20T17:00"), local("2026-11-23T08:00"), 9 * HOUR) == 3 * HOUR
    assert Counter(day.is_active(local(f"2026-11-20T{hour:02d}:30")) for hour in range(24)) == {True: 12, False: 12}


def test_a_year_of_silence_is_added_up_at_once() -> None:
    always = Schedule(every=5 * MINUTE, days="working", zone=CHINA)
    assert always.active_between(local("2000-01-01T00:00"), local("2026-11-23T08:00"), 2 * HOUR) == 2 * HOUR
