"""The heartbeat: an agent tells a real platform how it stands; the platform shows it, and alarms when it hears nothing more."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from frontend_agent.alarming import Alarming
from frontend_agent.alarms import Alarm, Level
from frontend_agent.alarms.turns import Look
from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.heartbeat import Heartbeats
from frontend_agent.housekeeping import schedules
from frontend_agent.platform.fleet import SILENT
from frontend_agent.platform.store import Store
from tests.platform_kit import running

NOW = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)
AGENT = """
workers = 0
institution = {{ id = "{id}", name = "示范医院" }}
sources.lis = {{ url = "sqlite:///lis.db" }}
destinations.platform = {{ url = "{url}" }}
feeds = [{{ name = "lab", source = "lis", mapping = "demo_lis/lab_report" }}]
alarms = {{ disk = 100, disk_critical = 100 }}
"""


class Region:
    """A platform whose clock the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.folder = folder
        self.store = Store(folder, clock=lambda: self.now).open()

    def told(self) -> dict[str, Any]:
        return {one.institution: one for one in self.store.hospitals()}


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    found = Region(tmp_path / "platform")
    yield found
    found.store.close()


@pytest.fixture
def url(region: Region) -> Iterator[str]:
    with running(region.store) as address:
        yield address


class Agent:
    """An agent whose clock the test moves. No thread runs."""

    def __init__(self, folder: Path, url: str, name: str = "H001") -> None:
        self.now, self.monotonic = NOW, 0.0
        self.app = App(parse_config(AGENT.format(url=url, id=name)), folder / name, clock=lambda: self.now)
        self.app.open_state()
        self.app._open_destinations()
        self.daemon = SimpleNamespace(started=self.now, receiving=SimpleNamespace(told=dict), imaging=None)
        self.skews: dict[str, timedelta] = {}
        self.alarming = Alarming(self.app, self.daemon, schedules(self.app), skews=self.skews)
        self.beats = Heartbeats(self.app, self.alarming, self.skews, monotonic=lambda: self.monotonic)


def test_a_platform_hears_how_a_hospital_stands(tmp_path: Path, region: Region, url: str) -> None:
    agent = Agent(tmp_path, url)
    agent.app.spool.silence.standing("lab", NOW - timedelta(hours=1))
    problem = "CANARY 张三 110101199003070011"
    alarm = Alarm(0, "source", "lis", Level.WARNING, NOW, NOW, {"away": 700, "problem": problem})
    agent.app.spool.alarms.keep(Look([alarm], []), NOW)
    assert agent.beats.beat() == 1
    (heard,) = region.store.hospitals()
    assert (heard.institution, heard.level, heard.silent_since) == ("H001", "warning", "")
    assert [(one.kind, one.subject, one.figures) for one in heard.beat.alarms] == [("source", "lis", {"away": 700.0})]
    assert [(one.name, one.new) for one in heard.beat.feeds] == [("lab", 3600.0)]
    assert heard.beat.figures["waiting"] == 0
    assert heard.beat.lease == ""  # a secret between the two is not kept where pages read
    raw = b"".join(file.read_bytes() for file in region.folder.glob("index.sqlite*"))
    assert b"CANARY" not in raw
    assert "张三".encode() not in raw


def test_both_learn_how_far_the_clocks_differ(tmp_path: Path, region: Region, url: str) -> None:
    agent = Agent(tmp_path, url)
    agent.now = NOW - timedelta(minutes=6)
    agent.beats.beat()
    assert abs(agent.skews["platform"] - timedelta(minutes=6)) < timedelta(seconds=1)
    assert region.told()["H001"].skew == pytest.approx(-360, abs=1)
    assert [(turn, alarm.kind, str(alarm.level)) for turn, alarm in agent.alarming.look()] == [
        ("begins", "clock", "critical")
    ]


def test_a_hospital_that_falls_silent_is_one_alarm_over_restarts(tmp_path: Path, region: Region, url: str) -> None:
    agent, other = Agent(tmp_path, url), Agent(tmp_path, url, "H002")
    assert agent.beats.beat() + other.beats.beat() == 2
    watch = region.store.watch()
    region.now += SILENT - timedelta(seconds=1)
    assert watch.look() == []
    other.beats.beat()
    region.now += timedelta(seconds=1)
    assert watch.look() == [("begins", "H001")]
    assert watch.look() == []
    assert [one.institution for one in region.store.hospitals()] == ["H001", "H002"]
    assert region.told()["H001"].level == "critical"
    page = requests.get(f"{url}/fleet?lang=en", timeout=10).text
    metrics = requests.get(f"{url}/metrics", timeout=10).text
    assert 'platform_hospital_silent{institution="H001"} 1.0' in metrics
    assert 'platform_hospital_silent{institution="H002"} 0.0' in metrics
    assert 'platform_hospital_alarms{institution="H002",level="critical"} 0.0' in metrics
    assert "Hospital H001 has not been heard of for" in page
    assert region.store.watch().look() == []  # another start tells nothing twice
    agent.beats.beat()
    assert watch.look() == [("ends", "H001")]
    assert region.told()["H001"].silent_since == ""
    ((institution, since, began, ended),) = region.store.hospital_silences()
    assert (institution, since < began <= ended) == ("H001", True)


def test_a_platform_that_was_away_itself_alarms_nobody_at_once(tmp_path: Path, region: Region, url: str) -> None:
    agent = Agent(tmp_path, url)
    agent.beats.beat()
    region.now += timedelta(days=1)
    watch = region.store.watch()
    assert watch.look() == []
    region.now += SILENT
    assert watch.look() == [("begins", "H001")]


def test_who_has_no_lease_says_nothing(tmp_path: Path, region: Region, url: str) -> None:
    agent = Agent(tmp_path, url)
    agent.beats.beat()
    beat = {"institution": "H001", "instance": agent.app.spool.meta.instance, "lease": "f" * 64, "at": NOW.isoformat()}
    assert requests.post(f"{url}/v1/heartbeat", json=beat, timeout=10).status_code == 409
    assert requests.post(f"{url}/v1/heartbeat", json=beat | {"instance": "x"}, timeout=10).status_code == 409
    for wrong in (
        {"at": "yesterday"},
        {"alarms": [{"id": 1}]},
        {"figures": {"a" * 41: 1}},
        {"feeds": [{"name": "f"}] * 501},
    ):
        assert requests.post(f"{url}/v1/heartbeat", json=beat | wrong, timeout=10).status_code == 400, wrong
    assert requests.post(f"{url}/v1/heartbeat", data=b"{}", timeout=10).status_code == 415
    assert region.told()["H001"].beat.version


def test_the_page_shows_names_as_text_in_both_languages(tmp_path: Path, region: Region, url: str) -> None:
    agent = Agent(tmp_path, url)
    evil = '"><svg onload=alert(1)>'
    alarm = Alarm(
        0, "certificate", evil, Level.CRITICAL, NOW, NOW, {"days": 3, "problem": "", "file": "x", "ends": "2026"}
    )
    agent.app.spool.alarms.keep(Look([alarm], []), NOW)
    agent.beats.beat()
    for lang, said in (("en", "3 days left"), ("zh", "剩余 3 天")):
        answer = requests.get(f"{url}/fleet?lang={lang}", timeout=10)
        assert answer.status_code == 200
        assert said in answer.text
        assert "<svg onload" not in answer.text
        assert "&lt;svg onload" in answer.text


def test_the_command_line_tells_how_each_hospital_stands(
    tmp_path: Path, region: Region, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = Agent(tmp_path, url)
    agent.beats.beat()
    region.now += SILENT
    region.store.watch().look()
    assert region.told()["H001"].silent_since == ""
    region.store.watch()
    watch = region.store.watch()
    region.now += SILENT
    watch.look()
    capsys.readouterr()
    assert run(["platform", "hospitals", "--json", "--state", str(region.folder)]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["institution"], told["level"], bool(told["silent_since"])) == ("H001", "critical", True)
    assert told["alarms"][0]["texts"]["zh"]["title"].startswith("医院 H001 已有")
    assert run(["platform", "hospitals", "--state", str(region.folder), "--lang", "en"]) == 0
    assert "CRITICAL" in capsys.readouterr().out


def test_a_platform_that_knows_no_heartbeat_is_asked_again_in_an_hour(tmp_path: Path, url: str) -> None:
    agent = Agent(tmp_path, url)
    asked = []
    agent.app.platforms["platform"] = SimpleNamespace(beat=lambda told, clock: asked.append(told))  # type: ignore[assignment]
    for agent.monotonic in (0.0, 60.0, 3599.0, 3601.0):
        assert agent.beats.beat() == 0
    assert len(asked) == 2


def test_a_platform_that_is_away_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent(tmp_path, "http://127.0.0.1:9")
    began = time.monotonic()
    assert [agent.beats.beat() for _ in range(3)] == [0, 0, 0]
    assert time.monotonic() - began < 30
    assert [record.message.split()[0] for record in caplog.records].count("heartbeat.not_heard") == 1
