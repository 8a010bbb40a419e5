"""The units that ship: hardened, and saying about the program what is true."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
UNITS = ("frontend-agent.service", "frontend-platform.service")
MOST_EXPOSED = 1.2


def settings(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / unit).read_text("utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_hardened(unit: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", str(SYSTEMD / unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze of this machine is older than 250")
    told = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert told, done.stderr
    assert float(told[1]) <= MOST_EXPOSED


def test_the_watch_of_an_upgrade_is_run_by_the_version_before_and_goes_on_after_a_power_cut() -> None:
    told = settings("frontend-agent-watch.service")
    assert told["ExecStart"][0].startswith("/opt/frontend-agent/watching/bin/frontend-agent upgrade watch")
    assert "ConditionPathExists" in told
    assert told["ConditionPathExists"] == ["/opt/frontend-agent/trial.json"]
    assert told["WantedBy"] == ["multi-user.target"]
    assert told["Restart"] == ["on-failure"]
    assert told["ReadWritePaths"] == ["/opt/frontend-agent"]


def test_what_installs_an_offer_is_asked_by_one_name_and_writes_two_places() -> None:
    """The daemon gets no root: it makes a name, and root does one thing."""
    path, told = settings("frontend-agent-upgrade.path"), settings("frontend-agent-upgrade.service")
    assert path["PathExists"] == ["/var/lib/frontend-agent/upgrades/ready"]
    assert "frontend-agent-upgrade.path" in settings("frontend-agent.service")["Wants"][0].split(), "nobody enables it"
    assert told["Type"] == ["oneshot"]
    assert told["ExecStart"][0].startswith("/opt/frontend-agent/current/bin/frontend-agent upgrade take")
    assert told["ReadWritePaths"] == ["/opt/frontend-agent -/var/lib/frontend-agent/upgrades"]
    assert told["CapabilityBoundingSet"] == ["CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH"]
    assert (told["PrivateNetwork"], told["NoNewPrivileges"], told["ProtectSystem"]) == (["yes"], ["yes"], ["strict"])


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_watched_and_begun_again(unit: str) -> None:
    told = settings(unit)
    assert told["Type"] == ["notify"]
    ended = int(told["WatchdogSec"][0]) + int(told["TimeoutAbortSec"][0]) + int(told["RestartSec"][0])
    assert ended <= 90, "a hang is begun again within 90 s"
    assert told["Restart"] == ["always"]
    assert told["RestartPreventExitStatus"] == ["78"]
    assert told["StartLimitIntervalSec"] == ["0"]
    assert told["LimitCORE"] == ["0"], "no patient's data in a core file"
    assert "MemoryMax" in told


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_runs_what_is_installed_as_its_own_user(unit: str) -> None:
    told, user = settings(unit), unit.removesuffix(".service")
    assert told["ExecStart"][0].startswith("/opt/frontend-agent/current/bin/frontend-agent ")
    assert told["User"] == told["Group"] == told["StateDirectory"] == [user]
    users = (SYSTEMD / "frontend-agent.sysusers").read_text("utf-8")
    assert re.search(rf"^u +{user} ", users, re.M)
    assert re.search(
        rf"^d +/var/lib/{user} +0700 +{user} +{user} ", (SYSTEMD / "frontend-agent.tmpfiles").read_text("utf-8"), re.M
    )
