"""What an agent does by the calendar: months close, silent feeds are noticed and heard again, missing years are told."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from pipe import document, taken

from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.housekeeping import Housekeeping, schedules
from frontend_agent.operations import operations

AGENT = """
workers = 0
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
silence = "2h"
from = "07:00"
to = "19:00"
days = "working"
[closing]
day = 5
"""


class House:
    """An agent's state and its looks, at a time that the test says."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.now = datetime(2026, 11, 20, 10, tzinfo=UTC)  # a Friday, 18:00 in China
        self.app = App(parse_config(AGENT + more), folder / "state", clock=lambda: self.now).open_state()
        self.house = Housekeeping(self.app, schedules(self.app))

    def at(self, text: str) -> "House":
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return self

    def news(self, key: str, **more: object) -> None:
        batch = taken(document(key), **more)
        self.app.spool.commit(msgspec.structs.replace(batch, at=self.now))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def silent(house: House) -> list[str]:
    house.house.judge_silence()
    return list(house.app.spool.silence.now())


def test_a_feed_falls_silent_and_is_heard_again(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house.news("a")
    assert silent(house) == []
    assert silent(house.at("2026-11-22T12:00")) == []  # the weekend
    assert silent(house.at("2026-11-22T23:59")) == []  # Monday 07:59, and an hour of Friday
    assert silent(house.at("2026-11-23T01:01")) == ["lab_report"]
    house.house.judge_silence()
    assert [record.message.split()[0] for record in caplog.records].count("feed.silent") == 1
    house.at("2026-11-23T01:30").news("b")
    assert silent(house) == []
    (told,) = house.app.spool.silence.listed(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert (told.since.hour, told.ended_at) == (10, house.now)
    asked = operations(house.app)["silences"]
    assert [(one["feed"], one["since"]) for one in asked()] == [("lab_report", "2026-11-20T10:00:00Z")]
    assert asked(days=1) == asked()
    events = [msgspec.json.decode(entry.body)["event"] for entry in house.app.spool.log_entries()]
    assert [one for one in events if "silent" in one] == ["silent", "silent no more"]


def test_a_backfill_is_no_news(house: House) -> None:
    house.news("a")
    house.at("2026-11-23T01:01").news("old", urgency=1)
    assert silent(house) == ["lab_report"]


def test_news_from_the_future_silences_no_alarm(house: House) -> None:
    house.at("2200-01-01T00:00").news("a")
    assert silent(house.at("2026-11-20T02:00")) == []
    assert silent(house.at("2026-11-20T05:00")) == ["lab_report"]


def test_months_close_by_themselves_and_a_person_opens_them_for_good(house: House) -> None:
    house.house.close_months()
    assert house.app.spool.closing.months == {202610}
    house.app.spool.closing.open(202610, "wang", "漏报", house.now)
    house.house.close_months()
    assert house.app.spool.closing.months == frozenset()
    house.at("2026-12-05T01:00").house.close_months()
    assert house.app.spool.closing.months == {202611}
    assert house.app.spool.closing.listed()[0].who == "frontend-agent"


def test_a_year_that_nobody_entered_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "calendar.csv").write_text("date,kind,name\n2026-10-01,holiday,国庆节（示例）\n", "utf-8")
    house = House(tmp_path, f'[calendar]\nfile = "{tmp_path / "calendar.csv"}"\n')
    house.house.tell_years()
    assert not caplog.records
    house.at("2026-12-02T00:00").house.tell_years()
    assert "calendar.uncovered year=2027" in caplog.text
    assert house.app.uncovered_years() == [2027]


def test_a_look_never_raises(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.app.spool.close()
    for _, every, look in house.house.looks():
        assert every >= timedelta(minutes=1)
        look()
    assert "silence.failed" in caplog.text
