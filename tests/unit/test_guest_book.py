"""What is kept of our being guests, who paused which source, and the report of it."""

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from connectors import SourceOptions, SqlSource
from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.guest_book import GuestBook
from frontend_agent.reports import guest as guest_report
from frontend_agent.reports.texts import Texts
from frontend_agent.spool import Spool
from frontend_agent.usage import HOUR, Baseline, Tally, Usage

NOON = datetime(2026, 3, 16, 4, 0, tzinfo=UTC)  # in China
START = int(NOON.timestamp())
CHINA = ZoneInfo("Asia/Shanghai")
NIGHT = datetime(2026, 3, 16, 23, 55, tzinfo=CHINA)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as found:
        yield found


def test_usage_is_added_to_its_hour_and_read_back(spool: Spool) -> None:
    spool.guests.keep({"his": Tally({START: Usage(statements=2, rows=10, idle={40: 1})})})
    spool.guests.keep({"his": Tally({START: Usage(statements=1, idle={40: 2}), START + HOUR: Usage(rows=5)})})
    spool.guests.keep({"lis": Tally({START: Usage(statements=9)})})
    found = list(spool.guests.usage("his", NOON, NOON + timedelta(hours=2)))
    assert found == [
        (NOON, Usage(statements=3, rows=10, idle={40: 3})),
        (NOON + timedelta(hours=1), Usage(rows=5)),
    ]
    assert list(spool.guests.usage("his", NOON + timedelta(hours=2), NOON + timedelta(days=1))) == []


def test_usage_costs_no_commit_when_there_is_none(spool: Spool) -> None:
    before = spool._database._connection.total_changes()
    spool.guests.keep({"his": Tally(), "lis": Tally()})
    assert spool._database._connection.total_changes() == before


def test_usage_of_over_a_year_ago_is_dropped(spool: Spool) -> None:
    old = START - 500 * 24 * HOUR
    spool.guests.keep({"his": Tally({old: Usage(statements=1), START: Usage(statements=1)})})
    GuestBook(spool, {}).drop(NOON)
    assert [hour for hour, _ in spool.guests.usage("his", datetime(2020, 1, 1, tzinfo=UTC), NOON + timedelta(1))] == [
        NOON
    ]


def test_a_pause_holds_over_a_restart_and_is_in_the_chained_log(tmp_path: Path) -> None:
    until = NOON + timedelta(hours=2)
    with Spool(tmp_path).open() as spool:
        source = SqlSource("his", SourceOptions(url="sqlite:///nowhere"), clock=lambda: NOON)
        GuestBook(spool, {"his": source}).pause("his", until, "王工", "storage", NOON)
        assert source.guest.paused is not None
    with Spool(tmp_path).open() as spool:
        again = SqlSource("his", SourceOptions(url="sqlite:///nowhere"), clock=lambda: NOON)
        book = GuestBook(spool, {"his": again})
        book.recall(NOON)
        assert str(again.guest.resting()) == "source his: paused until 2026-03-16 14:00 (storage)"
        assert book.resume("his", "李工", NOON + timedelta(minutes=5))
        assert again.guest.paused is None
        assert not book.resume("his", "李工", NOON + timedelta(minutes=6))
        events = [json.loads(entry.body) for entry in spool.log_entries()]
        assert spool.verify_log().ok
        told = [(one["event"], one["who"]) for one in events]
        assert told == [("source.paused", "王工"), ("source.resumed", "李工")]
        assert events[0]["reason"] == "storage"
        assert events[0]["until"] == until.isoformat()
        (pause,) = spool.guests.pauses("his", NOON, NOON + timedelta(days=1))
        assert (pause.ended_at, pause.ended_by) == (NOON + timedelta(minutes=5), "李工")


def test_a_pause_that_passed_does_not_hold_and_is_told_with_its_own_end(spool: Spool) -> None:
    until = NOON + timedelta(hours=1)
    spool.guests.pause("his", until, "w", "", NOON)
    assert set(spool.guests.paused(NOON + timedelta(minutes=59))) == {"his"}
    assert spool.guests.paused(until) == {}
    spool.guests.pause("his", None, "w", "again", NOON + timedelta(hours=3))
    first, second = spool.guests.pauses("his", NOON, NOON + timedelta(days=1))
    assert (first.ended_at, first.ended_by) == (until, "")
    assert (second.until, second.ended_at) == (None, None)
    assert spool.guests.pauses("his", NOON + timedelta(hours=1), NOON + timedelta(hours=2)) == []


def test_what_a_source_usually_takes_is_known_after_a_restart(spool: Spool) -> None:
    spool.guests.keep({"his": Tally(baselines={"a:7": Baseline(0.1, 0.01, "parent")})})
    spool.guests.keep({"his": Tally(baselines={"a:7": Baseline(0.2, 0.02, "parent")})})
    source = SqlSource("his", SourceOptions(url="sqlite:///nowhere"))
    GuestBook(spool, {"his": source}).recall(NOON)
    assert source.guest.known().baselines == {"a:7": Baseline(0.2, 0.02, "parent")}


# --- the report -------------------------------------------------------------------------------------------------------


def told(**more: object) -> dict:
    hours = [
        {"hour": "2026-03-16T12:00+08:00", "statements": 3, "rows": 30, "bytes": 3 << 20, "seconds": 1.5, "slowest": 1.0,
         "slowest_query": "items", "logins": 1, "sessions": 1, "idle": {"40": 10}, "working": {"44": 10}},
        {"hour": "2026-03-17T00:00+08:00", "statements": 1, "rows": 2, "bytes": 7, "seconds": 2.5, "slowest": 2.5,
         "slowest_query": "parent", "sessions": 1, "put_off": 4, "server": {"Rows_read": 77.0}},
    ]  # fmt: skip
    return {
        "source": "his", "institution": "一院 (1)", "timezone": "Asia/Shanghai", "first": "2026-03-16",
        "last": "2026-03-17", "made": "2026-03-18T08:00:00+08:00", "version": "1", "hours": hours,
        "terms": {
            "connections": 1, "rows_per_second": 0, "bytes_per_second": 1 << 25, "protected": ["23:50-00:40"],
            "slow_down": 3.0, "statement_timeout": 30.0, "lock_timeout": 5.0, "idle_timeout": 90.0,
        },
        "pauses": [
            {"since": "2026-03-16T12:00:00+08:00", "until": None, "ended_at": None, "who": "王工", "reason": "", "ended_by": ""}
        ],
        "statements": [
            {"seconds": 0.5, "scatter": 0.1, "query": "items"}, {"seconds": 0.1, "scatter": 0.1, "query": "items"},
        ],
        **more,
    }  # fmt: skip


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_report_adds_its_hours_up_by_day_and_as_a_whole(language: str) -> None:
    report = guest_report.build(told(), Texts(language))  # type: ignore[arg-type]
    tables = {table.name: list(table.rows) for table in report.tables}
    assert [row[:4] for row in tables["days"]] == [("2026-03-16", 3, 0, 30), ("2026-03-17", 1, 0, 2)]
    assert len(tables["hours"]) == 2
    whole = dict(tables["base"])
    t = Texts(language)  # type: ignore[arg-type]
    assert whole[t("guest.statements")] == 4
    assert whole[t("guest.slowest_query")] == "parent"
    assert whole[t("guest.idle_p50")] == pytest.approx(10.24)  # 10 µs doubled ten times
    assert whole[t("guest.working_p95")] == pytest.approx(20.48)
    assert whole[t("guest.server", name="Rows_read")] == 77
    assert tables["statements"] == [("items", 500.0, 100.0)]
    assert t("guest.still") in tables["pauses"][0]
    assert (t("guest.protected"), "23:50-00:40") in report.about
    assert guest_report.summarised(told())["total"]["rows"] == 32


def test_an_empty_report_is_a_report() -> None:
    report = guest_report.build(told(hours=[], pauses=[], statements=[]), Texts("en"))
    assert not report.charts
    assert dict(next(iter(report.tables)).rows)["Statements"] == 0


# --- by the command line, without a daemon ----------------------------------------------------------------------------

CONFIG = """
[institution]
id = "330100-H1"
name = "测试医院"
[sources.his]
url = "sqlite:///his.db"
[sources.lis]
url = "sqlite:///lis.db"
protected = ["{window}"]
[destinations.platform]
url = "http://127.0.0.1:1"
[[feeds]]
name = "prescription"
source = "his"
mapping = "demo_his/prescription"
[[feeds]]
name = "lab_report"
source = "lis"
mapping = "demo_lis/lab_report"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hospital whose LIS is protected now, and an agent that has run once."""
    folder = tmp_path_factory.mktemp("site")
    create_hospital(folder, visits=30)
    now = datetime.now(CHINA)
    window = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    (folder / "agent.toml").write_text(CONFIG.replace("{window}", window), "utf-8")
    return folder


def test_a_window_that_begins_in_the_middle_of_a_run_ends_it_politely_and_the_next_run_goes_on(site: Path) -> None:
    """What was read is kept; nothing is asked before the window is over; no record is missed."""
    text = CONFIG.replace('url = "sqlite:///his.db"', 'url = "sqlite:///his.db"\nprotected = ["23:50-00:40"]')
    text = text.replace('mapping = "demo_his/prescription"', 'mapping = "demo_his/prescription"\nbatch = 5')
    config = parse_config(text.replace("{window}", "00:00-00:01"), folder=site)
    taken = []
    for name, stops in (("whole", False), ("stopped", True)):
        with App(config, site / name, alone=True) as app:
            app.spool.meta.heads_known = True  # no platform to ask
            source = app.sources["his"]
            source.guest._now = lambda: NOON  # whatever time of day the test runs at
            if stops:
                source.guest._now = lambda source=source: NIGHT if source.usage.statements >= 6 else NOON
                outcome = app.run_feed("prescription", threading.Event())
                assert str(outcome.error) == "source his: protected until 00:40"
                assert sum(outcome.counts.values()) > 0
                assert app.spool.runs(1)[0].problem == "source his: protected until 00:40"
                asked_so_far = source.usage.statements
                assert app.run_feed("prescription", threading.Event()).error is not None
                assert source.usage.statements == asked_so_far
                source.guest._now = lambda: NIGHT + timedelta(minutes=45)
            assert app.run_feed("prescription", threading.Event()).error is None
            counts = app.spool.counts()
            taken.append((counts.documents, counts.held))
    assert taken[0] == taken[1]


def asked(site: Path, *arguments: str) -> int:
    return run([*arguments, "--config", str(site / "agent.toml"), "--state", str(site / "state"), "--lang", "en"])


def test_by_the_command_line_from_pausing_to_the_report(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(site, "once", "--json") == 1  # the platform is not there, and the LIS is protected
    feeds = {feed["feed"]: feed for feed in json.loads(capsys.readouterr().out)["feeds"]}
    assert feeds["prescription"]["problem"].startswith("platform: ")
    assert re.fullmatch(r"source lis: protected until \d\d:\d\d", feeds["lab_report"]["problem"])

    assert asked(site, "source", "pause", "his", "--for", "2h", "--reason", "storage", "--who", "王工", "--json") == 0
    assert json.loads(capsys.readouterr().out)["who"] == "王工"
    assert asked(site, "source", "pause", "his", "--for", "soon") == 1
    assert "--for: expected a duration" in capsys.readouterr().err
    assert asked(site, "source", "pause", "hsi") == 78
    assert "did you mean 'his'" in capsys.readouterr().err
    asked(site, "once", "--json")
    feeds = {feed["feed"]: feed for feed in json.loads(capsys.readouterr().out)["feeds"]}
    assert "paused until" in feeds["prescription"]["problem"]

    assert asked(site, "status") == 0
    out = capsys.readouterr().out
    assert re.search(r"his: paused → .* 王工 storage", out)
    assert re.search(r"lis: protected → ", out)
    assert asked(site, "source", "list", "--json") == 0
    his, lis = json.loads(capsys.readouterr().out)
    assert (his["state"], lis["state"]) == ("paused", "protected")
    assert his["today"]["statements"] > 0
    assert lis["today"]["statements"] == 0

    assert asked(site, "source", "resume", "his") == 0
    assert "may be asked again" in capsys.readouterr().out
    assert asked(site, "source", "resume", "his") == 0
    assert "was not paused" in capsys.readouterr().out
    assert asked(site, "source", "show", "his") == 0
    assert "rows_per_second" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["table", "json", "csv", "html", "xlsx"])
def test_the_report_in_every_format(site: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked(site, "once", "--json")
    capsys.readouterr()
    out = tmp_path / f"his.{form}"
    more = ["--out", str(out)] if form == "xlsx" else ["--format", form]
    assert asked(site, "source", "report", "his", *more) == 0
    printed = capsys.readouterr().out
    match form:
        case "xlsx":
            book = openpyxl.load_workbook(out)
            assert book.sheetnames == ["Summary", "By day", "By hour", "Pauses", "Usual times", "Charts"]
        case "json":
            assert json.loads(printed)["total"]["statements"] > 0
        case "csv":
            heading, *lines = printed.lstrip("\ufeff").splitlines()
            assert heading.startswith("Hour,Statements")
            assert lines
        case "html":
            assert printed.startswith("<!doctype html>")
            assert "Guest report: his" in printed
        case "table":
            assert re.search(r"Statements +\d", printed)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "xlsx"], ["--format", "pdf"], ["--out", "his.txt"], ["--day", "2026-03-16", "--from", "2026-03-15"],
        ["--day", "16.3."],
    ],
)  # fmt: skip
def test_what_cannot_be_reported_is_a_wrong_use(site: Path, arguments: list[str]) -> None:
    assert asked(site, "source", "report", "his", *arguments) == 2


def test_a_report_of_no_days_is_refused(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(site, "source", "report", "his", "--from", "2026-03-16", "--to", "2026-03-15") == 1
    assert "1 to 400 days" in capsys.readouterr().err
