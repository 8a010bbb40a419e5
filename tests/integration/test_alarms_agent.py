"""A real agent process that is killed, and whose platform is away: asked by a monitoring system, told by mail, seen in its log."""

import signal
import subprocess
import sys
import time
from email.header import decode_header, make_header
from pathlib import Path

import pytest

from frontend_agent import control
from frontend_agent.demo.hospital import create_hospital
from tests.conftest import shared_folder
from tests.integration.test_alarms_told import Mailbox, smtp
from tests.integration.test_several_destinations import until
from tests.ports import free_port

pytestmark = pytest.mark.skipif(
    not (shared_folder() / "standards").is_dir(), reason="the national tables are not beside this checkout"
)
AGENT = """
workers = 0
institution = {{ id = "H001", name = "示范医院" }}
sources.lis = {{ url = "sqlite:///{folder}/lis.db" }}
destinations.platform = {{ url = "http://127.0.0.1:{platform}" }}
feeds = [{{ name = "lab_report", source = "lis", mapping = "demo_lis/lab_report" }}]
[alarms]
unreachable = "1s"
restarts = 1
disk = 100
disk_critical = 100
[alarms.mail.it]
server = "127.0.0.1:{mail}"
from = "agent@hospital.local"
to = ["it@hospital.local"]
security = "none"
"""


class Agent:
    def __init__(self, folder: Path, mail: int) -> None:
        create_hospital(folder, visits=3, seed=1)
        self.config, self.state = folder / "agent.toml", folder / "state"
        self.config.write_text(AGENT.format(folder=folder, platform=free_port(), mail=mail))
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def log(self) -> str:
        file = self.state / "agent.log"
        return file.read_text("utf-8") if file.exists() else ""

    def command(self, *words: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "frontend_agent.cli.main",
            "--config",
            str(self.config),
            "--state",
            str(self.state),
            *words,
        ]

    def start(self) -> None:
        self._process = subprocess.Popen(self.command("run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._starts += 1
        assert until(lambda: self.log().count("daemon.ready") == self._starts, 60)

    def end(self, how: int) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=120, check=False)


def test_killed_and_its_platform_away(tmp_path: Path) -> None:
    box = Mailbox()
    with smtp(box) as port:
        agent = Agent(tmp_path, port)
        try:
            assert agent.ask("status", "--check").returncode == 3  # nothing was ever run here: it cannot be said
            for how in (signal.SIGTERM, signal.SIGKILL):
                agent.start()
                agent.end(how)
            checked = agent.ask("status", "--check")
            assert (checked.returncode, checked.stdout.split(":")[0]) == (2, "FRONTEND-AGENT CRITICAL")
            assert "not running" in checked.stdout
            agent.start()
            assert until(lambda: control.ask(agent.state, "status")["destinations"][0]["failures"] > 0, 30)
            time.sleep(1.2)
            checked = agent.ask("status", "--check", "--lang", "en")
            assert checked.returncode == 2, checked.stdout + checked.stderr
            assert "The agent ended 1 times without being asked to, within 1 h" in checked.stdout
            assert "platform has not been reachable for" in checked.stdout
            assert until(lambda: bool(box.mails), 20)
            subject = str(make_header(decode_header(box.mails[0][1]["Subject"])))
            assert subject.startswith("[示范医院] 告警")
            listed = control.ask(agent.state, "alarms")
            assert {one["kind"] for one in listed["alarms"]} >= {"restarts", "destination"}
            assert agent.ask("alarms", "mute", "--reason", "a test").returncode == 0
            assert agent.ask("status", "--check").returncode == 0
        finally:
            agent.end(signal.SIGTERM)
    assert agent.log().count("alarm.begins") == len(listed["alarms"])
    assert agent.log().count("agent.was_killed") == 1  # the other end was asked for
