"""The alarms of one agent, over a real spool: what its work leaves behind is judged, kept over restarts, and told once."""

import json
import logging
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from pipe import NOW, document, held, taken

from frontend_agent.alarming import Alarming
from frontend_agent.alarms import Change
from frontend_agent.alarms.monitoring import told_line, verdict
from frontend_agent.alarms.telling import to_tell
from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.housekeeping import schedules
from frontend_agent.model import Blame
from frontend_agent.operations import operations
from frontend_agent.spool import Run

M, H, D = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
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
[alarms]
disk = 100
disk_critical = 100
log = "300d"
log_critical = "300d"
language = "en"
"""


class Agent:
    """An agent's state and its looks, at a time that the test says. No thread runs."""

    def __init__(self, folder: Path, more: str = "", text: str = AGENT) -> None:
        self.folder, self.now = folder, NOW
        self.config = parse_config(text + more, folder=folder)
        self.told: dict[str, dict[str, Any]] = {}  # how the inlets stand
        self.sources: dict[str, SimpleNamespace] = {}
        self.open()

    def open(self) -> None:
        self.app = App(self.config, self.folder / "state", clock=lambda: self.now).open_state()
        self.app.remotes = self.sources  # type: ignore[assignment]  # their processes are another test's
        self.daemon = SimpleNamespace(
            started=self.now,
            receiving=SimpleNamespace(told=lambda: self.told),
            imaging=None,
            wake=lambda feeds=(): None,
        )
        self.skews: dict[str, timedelta] = {}
        self.alarming = Alarming(self.app, self.daemon, schedules(self.app), skews=self.skews)
        self.daemon.alarming = self.alarming

    def restart(self) -> None:
        self.app.close()
        self.open()

    def look(self, later: timedelta = timedelta()) -> list[tuple[str, str, str]]:
        self.now += later
        return [(turn, alarm.kind, alarm.subject) for turn, alarm in self.alarming.look()]

    def ask(self, question: str, **arguments: Any) -> Any:
        return operations(self.app, self.daemon)[question](**arguments)  # type: ignore[arg-type]

    def news(self, key: str, **more: Any) -> None:
        made = msgspec.structs.replace(document(key), made_at=self.now.isoformat())
        self.app.spool.commit(msgspec.structs.replace(taken(made), at=self.now, **more))

    def events(self) -> list[dict[str, Any]]:
        found = [msgspec.json.decode(entry.body) for entry in self.app.spool.log_entries()]
        return [one for one in found if one["event"].startswith("alarm")]


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def test_a_platform_that_is_away_is_one_alarm_over_restarts(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fail = lambda: agent.app.spool.failed("platform", agent.now, "no route to host", Blame.NETWORK, now=agent.now)  # noqa: E731
    fail()
    assert agent.look() == []
    assert agent.look(10 * M) == [("begins", "destination", "platform")]
    assert agent.look(M) == []
    agent.restart()
    fail()
    assert agent.look(M) == []
    assert agent.look(2 * H) == [("worsens", "destination", "platform")]
    agent.app.spool.recovered("platform")
    assert agent.look(M) == []
    agent.restart()
    assert agent.look(2 * M) == [("ends", "destination", "platform")]
    assert agent.look(M) == []
    assert [one["event"] for one in agent.events()] == ["alarm begins", "alarm worsens", "alarm ends"]
    assert agent.app.spool.verify_log().ok
    said = [record.message for record in caplog.records if record.message.startswith("alarm.")]
    assert [line.split()[0] for line in said] == ["alarm.begins", "alarm.worsens", "alarm.ends"]
    assert 'said="platform has not been reachable for 10 min (1 tries)"' in said[0]
    (told,) = agent.ask("alarms_history")
    assert (told["level"], told["ended_at"] is not None) == ("critical", True)
    assert agent.ask("alarms")["alarms"] == []


def test_a_backlog_is_as_old_as_its_oldest_document_other_than_of_a_backfill(agent: Agent) -> None:
    agent.news("old", urgency=1)
    assert agent.look(40 * M) == []
    agent.news("a")
    assert agent.look(29 * M) == []
    assert agent.look(M) == [("begins", "backlog", "platform")]
    (told,) = agent.ask("alarms")["alarms"]
    assert told["texts"]["en"]["title"] == "Backlog at platform: 2 wait, the oldest for 30 min"
    assert told["texts"]["zh"]["title"] == "platform 积压：2 份等待，最早的已等待 30 分钟"
    assert len(agent.app.spool.claim("platform", now=agent.now)) == 2
    assert agent.look(M) == []  # on its way is not there yet


def test_much_that_is_held_at_once_is_an_alarm_and_ends_with_its_hours(agent: Agent) -> None:
    for number in range(30):
        agent.news(f"k{number}", documents=(), held=(held(f"k{number}"),))
    for number in range(30):
        agent.news(f"ok{number}")
    assert ("begins", "held", "lab_report") in agent.look()
    assert ("ends", "held", "lab_report") not in agent.look(3 * H)
    assert ("ends", "held", "lab_report") not in agent.look(2 * H)
    assert ("ends", "held", "lab_report") in agent.look(2 * M)


def test_a_source_that_is_away_is_not_a_failing_feed_too(agent: Agent) -> None:
    gone = SimpleNamespace(since=agent.now, logins=3, problem="connection refused", next_try=None)
    agent.sources["lis"] = SimpleNamespace(reached=lambda: gone)
    agent.app.spool.record_run(Run("lab_report", agent.now, agent.now, {}, "connection refused"))
    assert agent.look(10 * M) == [("begins", "source", "lis")]
    agent.ask("source_pause", source="lis", who="it", length="2h", reason="migration")
    agent.look(M)
    assert agent.look(2 * M) == [("ends", "source", "lis")]  # a person says so: nobody is alarmed
    gone.since = None
    agent.ask("source_resume", source="lis", who="it")
    assert agent.look(M) == [("begins", "feed", "lab_report")]  # it answers, and the run still fails
    agent.app.spool.record_run(Run("lab_report", agent.now, agent.now, {"documents": 1}, ""))
    agent.look(M)
    assert agent.look(2 * M) == [("ends", "feed", "lab_report")]


def test_an_inlet_that_cannot_listen(agent: Agent) -> None:
    agent.told["mllp"] = {"running": False, "problem": "Address already in use"}
    assert agent.look() == []
    assert agent.look(10 * M) == [("begins", "inlet", "mllp")]
    agent.told["mllp"] = {"running": True, "problem": ""}
    agent.look(M)
    assert agent.look(2 * M) == [("ends", "inlet", "mllp")]


def test_a_feed_that_is_silent_at_its_hour_and_weekday(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    agent.now = datetime(2026, 9, 30, 1, tzinfo=UTC)
    while agent.now < datetime(2026, 11, 18, 1, tzinfo=UTC):  # a Wednesday, 09:00 in Shanghai
        local_hour = (agent.now.hour + 8) % 24
        if (agent.now + 8 * H).weekday() < 5 and 8 <= local_hour < 17:
            for number in range(12):
                agent.app.spool.alarms.take(msgspec.structs.replace(taken(document(f"{number}")), at=agent.now))
        agent.now += H
    agent.restart()
    agent.news("last")
    agent.app.looked["lab_report"] = agent.now
    assert [change for change in agent.look(30 * M) if change[1] == "silence"] == []
    began = [change for _ in range(4) for change in agent.look(15 * M) if change[1] == "silence"]
    assert began == []  # one hour: twelve records, less than twenty
    began = [change for _ in range(4) for change in agent.look(15 * M) if change[1] == "silence"]
    assert began == [("begins", "silence", "lab_report")]
    agent.news("again")
    agent.look(M)
    assert ("ends", "silence", "lab_report") in agent.look(2 * M)


def test_ends_that_nobody_asked_for(agent: Agent) -> None:
    agent.alarming.begin()
    agent.alarming.end()
    for _ in range(4):  # the first of these ends is one that was asked for
        agent.restart()
        agent.alarming.begin()
        agent.now += M
    assert agent.look() == [("begins", "restarts", "")]
    agent.look(H)
    assert agent.look(2 * M) == [("ends", "restarts", "")]


def test_a_certificate_is_read_from_its_file(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ours",
         "-keyout", str(tmp_path / "ours.key"), "-out", str(tmp_path / "ours.pem"), "-days", "3000"],
        check=True, capture_output=True,
    )  # fmt: skip
    more = '[inlets.mllp]\ntype = "mllp"\nport = 2575\ncertificate = "ours.pem"\nkey = "ours.key"\nclient_ca = "gone.pem"\n'
    agent = Agent(tmp_path, more)
    agent.now = datetime.now(UTC) + timedelta(days=2980)
    changes = agent.look()
    assert ("begins", "certificate", "inlets.mllp") in changes
    assert ("begins", "certificate", "inlets.mllp client_ca") in changes
    told = {one["subject"]: one for one in agent.ask("alarms")["alarms"]}
    assert told["inlets.mllp"]["level"] == "warning"
    assert told["inlets.mllp client_ca"]["level"] == "critical"
    assert "No such file" in told["inlets.mllp client_ca"]["texts"]["en"]["cause"]


def test_a_log_that_no_platform_signs(tmp_path: Path) -> None:
    agent = Agent(tmp_path, text=AGENT.replace('log = "300d"', ""))
    agent.news("a")
    agent.app.spool.recovered("platform")
    changes = [change for _ in range(4) for change in agent.look(10 * M)]
    assert ("begins", "log", "") in changes


def test_the_clock_of_a_platform(agent: Agent) -> None:
    agent.skews["platform"] = -90 * timedelta(seconds=1)
    assert agent.look() == [("begins", "clock", "platform")]
    agent.skews["platform"] = timedelta()
    agent.look(M)
    assert agent.look(2 * M) == [("ends", "clock", "platform")]


# -- Muting, and who is told -------------------------------------------------------------------------------------------


def due(agent: Agent, **channels: str) -> list[tuple[str, str, str]]:
    alarms = agent.app.spool.alarms
    found = alarms.to_tell(agent.now)
    muted = {one["id"]: one["muted"] for one in agent.ask("alarms")["alarms"]}
    told = alarms.told([one.id for one in found])
    return [
        (one.channel, one.turn, one.alarm.kind)
        for one in to_tell(found, told, channels, lambda alarm: bool(muted.get(alarm.id)))
    ]


def test_each_channel_is_told_once_of_each_turn(agent: Agent) -> None:
    agent.skews["platform"] = -90 * timedelta(seconds=1)
    agent.look()
    channels = {"it": "warning", "duty": "critical"}
    assert due(agent, **channels) == [("it", "begins", "clock")]
    agent.app.spool.alarms.tell("it", [(1, "begins")], agent.now)
    assert due(agent, **channels) == []
    agent.skews["platform"] = 6 * M
    agent.look(M)
    assert due(agent, **channels) == [("duty", "begins", "clock")]
    agent.app.spool.alarms.tell("duty", [(1, "begins")], agent.now)
    agent.restart()
    assert due(agent, **channels) == []
    agent.look(M)
    agent.look(2 * M)
    assert due(agent, **channels) == [("it", "ends", "clock"), ("duty", "ends", "clock")]
    agent.app.spool.alarms.tell("it", [(1, "ends")], agent.now)
    agent.app.spool.alarms.tell("duty", [(1, "ends")], agent.now)
    assert due(agent, **channels) == []


def test_what_was_over_before_anybody_was_told_is_not_told(agent: Agent) -> None:
    agent.skews["platform"] = 6 * M
    agent.look()
    agent.skews.clear()
    agent.look(M)
    agent.look(2 * M)
    assert due(agent, it="warning") == []


def test_a_person_mutes_and_what_still_stands_is_told_afterwards(agent: Agent) -> None:
    agent.skews["platform"] = 6 * M
    agent.look()
    agent.ask("alarms_mute", who="it", reason="NTP is being set up", kind="clock", length="1h")
    assert due(agent, it="warning") == []
    assert agent.ask("alarms")["alarms"][0]["muted"] == "it: NTP is being set up"
    assert verdict(agent.ask("alarms"), "en", agent.now).code == 0
    agent.now += 61 * M
    assert due(agent, it="warning") == [("it", "begins", "clock")]
    agent.ask("alarms_mute", who="it", reason="again", subject="platform")
    assert due(agent, it="warning") == []
    assert agent.ask("alarms_unmute", who="it") == {"ended": 1}
    assert due(agent, it="warning") == [("it", "begins", "clock")]
    assert [one["event"] for one in agent.events()][1:] == ["alarm muted", "alarm muted", "alarm unmuted"]
    with pytest.raises(ConfigurationError, match="unknown kind of alarm 'clocks'"):
        agent.ask("alarms_mute", who="it", reason="x", kind="clocks")
    with pytest.raises(FrontendAgentError, match="--reason"):
        agent.ask("alarms_mute", who="it", reason=" ")


def test_a_window_of_the_configuration_mutes(tmp_path: Path) -> None:
    night = '[[alarms.mute]]\nkinds = ["clock"]\ntimes = ["22:00-06:00"]\nreason = "nobody is there"\n'
    agent = Agent(tmp_path, night)
    agent.skews["platform"] = 6 * M
    agent.now = datetime(2026, 11, 18, 14, 30, tzinfo=UTC)  # 22:30 in Shanghai
    agent.look()
    assert due(agent, it="warning") == []
    agent.now = datetime(2026, 11, 18, 22, 0, tzinfo=UTC)  # 06:00
    assert due(agent, it="warning") == [("it", "begins", "clock")]


# -- For monitoring systems --------------------------------------------------------------------------------------------


def test_a_monitoring_system_is_told_in_one_line(agent: Agent) -> None:
    told = agent.ask("alarms")
    answer = verdict(told, "en", agent.now)
    assert (answer.code, answer.text) == (0, "no alarm")
    agent.news("a")
    agent.told["mllp"] = {"running": False, "problem": "a | b"}
    agent.look()
    agent.look(40 * M)
    told = agent.ask("alarms")
    line = told_line(verdict(told, "en", agent.now), told["figures"])
    first, *others = line.splitlines()
    assert first.startswith(
        "FRONTEND-AGENT WARNING: 2 alarms - Backlog at platform: 1 wait, the oldest for 40 min | oldest=2400s;1800;14400;0 "
    )
    assert " waiting=1;;;0 " in first
    assert first.count("|") == 1
    assert len(others) == 2
    assert others[0].startswith("WARNING ")
    agent.skews["platform"] = 6 * M
    agent.look(M)
    told = agent.ask("alarms")
    assert verdict(told, "en", agent.now).code == 2
    assert " clock=360s;60;300;0" in told_line(verdict(told, "en", agent.now), told["figures"])


def test_what_is_not_known_is_neither_good_nor_bad(agent: Agent) -> None:
    told = agent.ask("alarms")
    assert verdict(told, "en", agent.now + 6 * M).code == 3
    assert verdict({**told, "running": False}, "en", agent.now).code == 2


def test_what_is_asked_is_plain_json(agent: Agent) -> None:
    agent.skews["platform"] = 6 * M
    agent.look()
    assert json.loads(json.dumps(agent.ask("alarms")))["alarms"][0]["kind"] == "clock"


def test_changes_have_their_numbers(agent: Agent) -> None:
    agent.skews["platform"] = 6 * M
    changes: list[Change] = agent.alarming.look()
    assert [alarm.id for _, alarm in changes] == [1]


def test_what_ended_long_ago_is_dropped_with_who_was_told(agent: Agent) -> None:
    agent.skews["platform"] = 6 * M
    agent.look()
    agent.app.spool.alarms.tell("it", [(1, "begins")], agent.now)
    agent.skews.clear()
    agent.look(M)
    agent.look(2 * M)
    agent.now += 401 * D
    agent.alarming.tidy()
    assert agent.ask("alarms_history") == []
    assert agent.app.spool.alarms.told([1]) == set()
