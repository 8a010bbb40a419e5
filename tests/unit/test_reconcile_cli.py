"""`reconcile` on the command line, the nights of a daemon, and what is remembered of both."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.cli.texts import TEXTS
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.daemon import Daemon as RealDaemon
from frontend_agent.errors import SourceResting
from frontend_agent.model import Blame
from frontend_agent.nights import TRY_AGAIN, WINDOW, Nights, night_of
from frontend_agent.operations import operations
from frontend_agent.platform.store import Store
from frontend_agent.reconciling import DIFFERENCES, Gap
from tests.platform_kit import running
from tests.reconciling_kit import Site, sqlite_engine

MIDNIGHT = datetime(2026, 9, 30)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    store = Store(tmp_path / "platform").open()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("LC_ALL", "LC_MESSAGES", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    with running(store) as url:
        site = Site(tmp_path, sqlite_engine(tmp_path), url, tmp_path / "platform").make()
        (tmp_path / "agent.toml").write_text(site.config(), encoding="utf-8")
        site.visits(4)
        site.visit("Z1", seen="2026-09-30 09:30:00")
        with site.app() as app:
            site.run(app)
        yield site
    store.close()


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert run(["reconcile", *arguments]) == code, capsys.readouterr()
    return capsys.readouterr().out


def test_equal_days_are_told_and_end_with_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, 0, "visit", "--day", "2026-09-29")
    assert re.search(r"2026-09-29 +内科 +4 +4 +=", told), told
    assert "Nothing differs" in told
    assert "statements" in told


def test_differences_are_listed_by_key_and_end_with_1(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.visit("M1")
    told = said(capsys, 1, "--day", "2026-09-29", "visit")
    assert "M1" in told
    assert "missed by the watermark" in told
    assert "would have missed 1 rows" in told
    assert "张三" not in told  # identifiers only
    assert "发热" not in told
    zh = said(capsys, 1, "visit", "--from", "2026-09-28", "--to", "2026-09-29", "--lang", "zh")
    assert "水位线遗漏" in zh


def test_resend_mends_and_the_past_can_be_looked_at(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.visit("M1")
    told = json.loads(said(capsys, 0, "visit", "--day", "2026-09-29", "--resend", "--json", "--who", "li"))
    assert (told["differing"], told["mended"], told["missed"]) == (1, 1, 1)
    listed = json.loads(said(capsys, 0, "list", "--json"))
    assert [(one["who"], one["missed"], one["mended"], one["alarm"]) for one in listed] == [("li", 1, 1, True)]
    assert "M1" in said(capsys, 0, "show", str(told["id"]))
    assert "li" in said(capsys, 0, "list", "visit")
    assert json.loads(said(capsys, 0, "show", str(told["id"]), "--json"))["result"]["differing"] == 1


def test_what_is_asked_wrongly_is_told(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, 2, "visit", "--day", "2026-09-29", "--from", "2026-09-01")
    said(capsys, 2, "visit", "--from", "2026-09-01")
    assert run(["reconcile", "visit", "--day", "29.9.2026"]) == 78
    assert run(["reconcile", "nobody", "--day", "2026-09-29"]) == 78
    assert run(["reconcile", "show", "99"]) == 1
    assert "no reconciliation 99" in capsys.readouterr().err


def test_a_closed_month_needs_a_word(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.visit("M1")
    with site.app() as app:
        app.spool.closing.close(202609, "li", "", site.now)
    said(capsys, 1, "visit", "--day", "2026-09-29", "--resend")
    said(capsys, 0, "visit", "--day", "2026-09-29", "--resend", "--closed", "--reason", "漏报")


def test_the_platform_shows_what_the_hospitals_found(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.visit("M1")
    said(capsys, 1, "visit", "--day", "2026-09-29")
    assert run(["--state", "platform", "platform", "reconciliations", "--json", "--differing"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["feed"], row["day"], row["source"], row["agent"], row["here"], row["missed"]) == (
        "visit", 20260929, 5, 4, 4, 1,
    )  # fmt: skip
    assert run(["--state", "platform", "platform", "reconciliations", "--to", "20260901"]) == 0
    assert "内科" not in capsys.readouterr().out


def test_every_word_has_a_text() -> None:
    assert {f"head.gap_{gap}" for gap in Gap} <= TEXTS.keys()
    assert {f"head.blame_{blame}" for blame in Blame} <= TEXTS.keys()
    from frontend_agent.cli import reconcile

    assert set(reconcile.DIFFERENCES) == set(map(str, DIFFERENCES))


# -- by itself --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "at", "night"),
    [
        (MIDNIGHT.replace(hour=3, minute=29), "03:30", None),
        (MIDNIGHT.replace(hour=3, minute=30), "03:30", date(2026, 9, 30)),
        (MIDNIGHT.replace(hour=6, minute=29), "03:30", date(2026, 9, 30)),
        (MIDNIGHT.replace(hour=6, minute=30), "03:30", None),
        (MIDNIGHT.replace(hour=3, minute=30), "", None),
        (MIDNIGHT.replace(hour=23, minute=10), "23:00", date(2026, 9, 30)),
        (MIDNIGHT.replace(hour=1, minute=10), "23:00", date(2026, 9, 29)),  # its night began yesterday
    ],
)
def test_a_night_begins_at_its_time_and_not_in_the_morning(local: datetime, at: str, night: date | None) -> None:
    assert night_of(local, at) == night


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('at = "25:00"', "local time of day"),
        ("days = 32", "at most 31"),
        ('feeds = ["vist"]', "did you mean 'visit'"),
        ("day = 3", "did you mean 'days'"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(site: Site, line: str, says: str) -> None:
    with pytest.raises(ConfigurationProblems, match=says):
        parse_config(f"{site.config()}\n[reconciliation]\n{line}\n", folder=site.folder)


class Daemon:
    """Runs what it is woken for at once."""

    def __init__(self, site: Site, app: App) -> None:
        self.site, self.app = site, app

    def wake(self, feeds: Sequence[str] = ()) -> None:
        if feeds:
            self.site.run(self.app)


def local_time(site: Site, hour: int, minute: int = 0, day: int = 30) -> None:
    site.now = datetime(2026, 9, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


def test_it_runs_once_a_night_mends_and_alarms_until_a_night_finds_nothing(site: Site) -> None:
    site.visit("M1")
    local_time(site, 3, 0)
    with site.app() as app:
        nights = Nights(app, Daemon(site, app))
        assert nights.look() == []
        local_time(site, 3, 30)
        assert nights.look() == ["visit"]
        assert nights.look() == []
        night = app.spool.reconciliations.last_night("visit")
        assert night is not None
        assert (night.first, night.last, night.missed, night.mended, night.is_alarm) == (20260927, 20260929, 1, 1, True)
        assert told_status(app)[0]["missed"] == 1
        (entry,) = [one for one in map(_body, app.spool.log_entries()) if one["event"] == "reconciled"]
        assert (entry["missed"], entry["mended"], entry["who"]) == (["M1"], 1, "")
    with site.app() as app:
        assert Nights(app, Daemon(site, app)).look() == []  # a restart does not begin it again
        local_time(site, 3, 30, day=1)
        site.now += timedelta(days=30)
        assert Nights(app, Daemon(site, app)).look() == ["visit"]
        night = app.spool.reconciliations.last_night("visit")
        assert night is not None
        assert not night.is_alarm


def test_an_agent_that_was_off_leaves_it_to_the_next_night(site: Site) -> None:
    local_time(site, 8)
    with site.app() as app:
        assert Nights(app, Daemon(site, app)).look() == []
        assert app.spool.reconciliations.last_night("visit") is None


def test_a_source_that_rests_is_tried_again_and_its_failure_is_an_alarm(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    local_time(site, 3, 30)
    with site.app() as app:
        nights = Nights(app, Daemon(site, app))
        rests = True

        def read(self: Any, keys: Any) -> Any:
            if rests:
                raise SourceResting("his: protected until 04:00")
            return before(self, keys)

        from frontend_agent.reconciliation import Reconciler

        before = Reconciler._read
        monkeypatch.setattr(Reconciler, "_read", read)
        assert nights.look() == []
        site.now += timedelta(minutes=1)
        assert nights.look() == []
        assert app.spool.reconciliations.last_night("visit") is None
        site.now += WINDOW
        assert nights.look() == []
        night = app.spool.reconciliations.last_night("visit")
        assert night is not None
        assert (night.problem, night.is_alarm) == ("his: protected until 04:00", True)

        site.now += timedelta(days=1) - WINDOW
        assert nights.look() == []
        rests = False
        site.now += TRY_AGAIN
        assert nights.look() == ["visit"]


def test_resend_can_be_left_to_a_person(site: Site) -> None:
    site.settings = "[reconciliation]\nresend = false\ndays = 1\n"
    site.visit("M1")
    local_time(site, 3, 30)
    with site.app() as app:
        assert Nights(app, Daemon(site, app)).look() == ["visit"]
        night = app.spool.reconciliations.last_night("visit")
        assert night is not None
        assert (night.first, night.missed, night.mended) == (20260929, 1, 0)


def test_the_daemon_has_its_nights(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real one: it finds by itself what was missed, reads it through the feed, sends it, and says so."""
    monkeypatch.setattr("frontend_agent.nights.LOOK_EVERY", 0.05)
    site.visit("M1")
    local_time(site, 3, 30)
    with site.app() as app:
        daemon = RealDaemon(app)
        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            deadline = time.monotonic() + 40
            while app.spool.reconciliations.last_night("visit") is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            daemon.stopping.set()
            thread.join(20)
        night = app.spool.reconciliations.last_night("visit")
        assert night is not None
        assert (night.missed, night.mended, night.problem) == (1, 1, "")


def test_status_tells_the_alarm(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.visit("M1")
    local_time(site, 3, 30)
    with site.app() as app:
        Nights(app, Daemon(site, app)).look()
    assert run(["status"]) == 0
    assert "1 rows missed by the watermark" in capsys.readouterr().out


def test_people_are_told_the_time_of_their_own_clock(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept and given to programs is UTC; in Shanghai that is eight hours ago."""
    said(capsys, 0, "visit", "--day", "2026-09-29")
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        (kept,) = json.loads(said(capsys, 0, "list", "--json"))
        here = f"{datetime.fromisoformat(kept['ended_at']).astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%d %H:%M}"
        assert here in said(capsys, 0, "list")
        assert here in said(capsys, 0, "show", str(kept["id"]))
        assert run(["status"]) == 0
        status = capsys.readouterr().out
    finally:
        monkeypatch.undo()
        time.tzset()
    with site.app() as app:
        ended = operations(app)["status"]()["feeds"][0]["last_run"]["ended_at"]
    assert f"{datetime.fromisoformat(ended).astimezone(ZoneInfo('Asia/Shanghai')):%F %T}" in status


def test_a_source_that_is_back_is_no_problem_any_more(site: Site) -> None:
    """Also where nothing new came since: a run that found nothing after one that failed is news."""
    site.engine.execute("UPDATE visit SET hidden = 1")  # there is nothing to read again, either
    with site.app() as app:
        site.engine.execute("ALTER TABLE visit RENAME TO away")
        assert app.run_feed("visit", threading.Event()).error is not None
        assert operations(app)["status"]()["feeds"][0]["last_run"]["problem"]
        site.engine.execute("ALTER TABLE away RENAME TO visit")
        for _ in range(2):
            site.now += timedelta(hours=1)  # past the source's pause after a failure
            outcome = app.run_feed("visit", threading.Event())
            assert (outcome.error, sum(outcome.counts.values())) == (None, 0)
            last = operations(app)["status"]()["feeds"][0]["last_run"]
            assert (last["problem"], datetime.fromisoformat(last["ended_at"])) == ("", site.now)
    with site.app() as app:
        assert operations(app)["status"]()["feeds"][0]["last_run"]["problem"] == ""


def told_status(app: App) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operations(app)["status"]()["reconciliation"]
    return found


def _body(entry: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(entry.body)
    return body


def test_rows_that_would_have_been_missed_are_a_figure_of_the_report(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each once, however often it is found, by the day of its event."""
    site.visit("M1")
    said(capsys, 1, "visit", "--day", "2026-09-29")
    said(capsys, 1, "visit", "--day", "2026-09-29")
    assert run(["qc", "report", "--from", "2026-09-29", "--to", "2026-09-29", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["missed"] == 1
