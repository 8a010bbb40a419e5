"""Installed by a hospital: a fresh Debian, no network, one package, and from then on a service that nothing puts out.

The machine is booted once for all of these, and they follow one another as its days do.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hospital_machine import CONFIG, PLATFORM_STATE, STATE, Hospital, hospital_on, the_package
from tests.nspawn_kit import eventually, machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # a package may have to be made first
MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
RELEASE = os.environ.get("FRONTEND_AGENT_TEST") == "release"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    with machine(folder / "machine") as made:
        yield from hospital_on(made, the_package(), folder / "his", MAPPINGS)


def test_documents_of_the_laboratory_arrive_and_are_proven(hospital: Hospital) -> None:
    assert hospital.machine.run("ip", "-o", "link").count("\n") == 1, "it has no network but its own loopback"
    (destination,) = hospital.agent("status")["destinations"]
    assert destination["states"]["delivered"] == len(hospital.documents()) > 20
    assert hospital.agent("qc", "verify")["ok"]
    receipts = hospital.agent("receipts", "-n", "1000")
    assert len(receipts) == len(hospital.documents())
    for unit in ("frontend-agent", "frontend-platform"):
        shown = hospital.machine.shows(unit, "ActiveState", "Type", "User", "NRestarts")
        assert shown == {"ActiveState": "active", "Type": "notify", "User": unit, "NRestarts": "0"}


def test_the_running_service_is_hardened_and_its_state_is_its_own(hospital: Hospital) -> None:
    for unit in ("frontend-agent", "frontend-platform"):
        told = hospital.machine.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
        exposed = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
        assert exposed
        assert float(exposed[1]) <= 1.2, told
        owner = hospital.machine.run("stat", "-c", "%U %a", f"/var/lib/{unit}")
        assert owner.split() == [unit, "700"]
    status = hospital.machine.run("cat", f"/proc/{hospital.machine.pid('frontend-agent')}/status")
    assert re.search(r"^NoNewPrivs:\s1$", status, re.M)
    assert re.search(r"^Seccomp:\s2$", status, re.M)
    assert re.search(r"^CapEff:\s0+$", status, re.M)


def test_the_journal_is_asked_by_fields(hospital: Hospital) -> None:
    (entry, *_) = hospital.machine.journal("EVENT=daemon.ready", "SYSLOG_IDENTIFIER=frontend-agent")
    assert entry["FEEDS"] == "1"
    assert entry["PRIORITY"] == "6"
    (same, *_) = hospital.machine.journal(f"MESSAGE_ID={entry['MESSAGE_ID']}")
    assert same["MESSAGE"] == entry["MESSAGE"]
    assert hospital.machine.journal("EVENT=delivery.settled", "DESTINATION=platform")


def test_the_demonstration_runs_to_its_end_inside_the_units_walls(hospital: Hospital) -> None:
    """All of its feeds, images with their sandboxed child, workers, a platform as a child: the oracle counts both ends."""
    machine = hospital.machine
    machine.run("systemctl", "stop", "frontend-agent")
    machine.put(
        "/etc/systemd/system/frontend-agent.service.d/demo.conf",
        "[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nMemoryMax=2G\nTimeoutStartSec=500\nExecStart=\nExecStart=/opt/frontend-agent/current/bin/frontend-agent"
        f" demo --visits 60 --exit --json --state {STATE}/demo\n",
    )
    machine.run("systemctl", "daemon-reload")
    try:
        done = machine.says("systemctl", "start", "frontend-agent", within=520)
        assert done.returncode == 0, machine.run("journalctl", "-u", "frontend-agent", "-n", "40", "--no-pager")
    finally:
        machine.path("/etc/systemd/system/frontend-agent.service.d/demo.conf").unlink()
        machine.run("rm", "-rf", f"{STATE}/demo")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "frontend-agent")


def test_a_killed_service_is_back_and_nothing_is_lost_or_doubled(hospital: Hospital) -> None:
    machine, before, series = hospital.machine, hospital.ids(), hospital.series()
    pid = machine.pid("frontend-agent")
    hospital.corrects("更正")
    machine.run("kill", "-KILL", str(pid))
    took = eventually(lambda: machine.pid("frontend-agent") not in (0, pid), within=90)
    assert took < 90
    eventually(lambda: machine.shows("frontend-agent", "ActiveState")["ActiveState"] == "active", within=60)
    hospital.await_settled()
    eventually(lambda: hospital.ids() - before, within=60, every=1.0)
    assert len(hospital.ids() - before) == 1
    assert hospital.series() == series
    assert hospital.agent("qc", "verify")["ok"]


@pytest.mark.parametrize("unit", ["frontend-agent", "frontend-platform"])
def test_a_service_that_hangs_is_begun_again_within_90_seconds(hospital: Hospital, unit: str) -> None:
    """By the unit's own 60 seconds in the release run; else by a shorter watch, so that the same is seen sooner."""
    machine = hospital.machine
    if not RELEASE:
        machine.put(f"/etc/systemd/system/{unit}.service.d/watch.conf", "[Service]\nWatchdogSec=10\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", unit, within=120)
    pid = machine.pid(unit)
    began = time.monotonic()
    machine.run("kill", "-STOP", str(pid))
    eventually(lambda: machine.pid(unit) not in (0, pid), within=90, what="another process")
    eventually(lambda: machine.shows(unit, "ActiveState")["ActiveState"] == "active", within=90)
    assert time.monotonic() - began < 90
    assert "Watchdog timeout" in machine.run("journalctl", "-u", unit, "--no-pager")
    hospital.await_settled()


def test_after_a_reboot_it_goes_on_by_itself(hospital: Hospital) -> None:
    before = hospital.ids()
    hospital.machine.reboot()
    eventually(lambda: hospital.machine.shows("frontend-agent", "ActiveState")["ActiveState"] == "active", within=60)
    hospital.corrects("再次更正")
    eventually(lambda: hospital.ids() - before, within=60, every=1.0)
    hospital.await_settled()


def test_after_a_power_cut_it_goes_on_by_itself(hospital: Hospital) -> None:
    before = hospital.ids()
    hospital.machine.cut_power()
    hospital.machine.boot()
    eventually(lambda: hospital.machine.shows("frontend-agent", "ActiveState")["ActiveState"] == "active", within=60)
    hospital.await_settled()
    assert hospital.ids() == before
    assert hospital.agent("qc", "verify")["ok"]


def test_a_service_that_would_take_more_than_its_memory_is_ended_and_begun_again(hospital: Hospital) -> None:
    machine = hospital.machine
    assert machine.shows("frontend-agent", "MemoryMax")["MemoryMax"] == str(512 << 20)
    machine.put("/etc/systemd/system/frontend-agent.service.d/memory.conf", "[Service]\nMemoryMax=24M\n")
    machine.run("systemctl", "daemon-reload")
    machine.says("systemctl", "restart", "frontend-agent", within=60)
    try:
        eventually(lambda: int(machine.shows("frontend-agent", "NRestarts")["NRestarts"]) > 0, within=60)
        told = machine.run("journalctl", "-u", "frontend-agent", "--no-pager")
        assert "oom-kill" in told or "status=9/KILL" in told  # on cgroups of the older kind systemd sees the end alone
    finally:
        machine.path("/etc/systemd/system/frontend-agent.service.d/memory.conf").unlink()
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", "frontend-agent", within=60)
    hospital.await_settled()


def test_a_mistake_in_its_configuration_is_said_and_not_tried_again(hospital: Hospital) -> None:
    machine = hospital.machine
    text = machine.path(str(CONFIG)).read_text("utf-8")
    machine.path(str(CONFIG)).write_text(text.replace("every =", "evry ="), "utf-8")
    try:
        machine.says("systemctl", "restart", "frontend-agent", within=60)
        eventually(lambda: machine.shows("frontend-agent", "ActiveState")["ActiveState"] == "failed", within=30)
        shown = machine.shows("frontend-agent", "ExecMainStatus", "NRestarts")
        assert shown["ExecMainStatus"] == "78"
        assert "evry" in machine.run("journalctl", "-u", "frontend-agent", "-n", "20", "--no-pager")
    finally:
        machine.path(str(CONFIG)).write_text(text, "utf-8")
        machine.run("systemctl", "reset-failed", "frontend-agent")
        machine.run("systemctl", "start", "frontend-agent", within=60)


def test_purged_it_leaves_what_must_be_kept_and_says_where(hospital: Hospital) -> None:
    told = hospital.machine.run("dpkg", "--purge", "frontend-agent", within=300)
    for kept in (STATE, PLATFORM_STATE, "/etc/frontend-agent"):
        assert kept in told
        assert hospital.machine.path(kept).is_dir()
    assert hospital.machine.path(f"{STATE}/spool.db").stat().st_size > 0
    assert not hospital.machine.path("/opt/frontend-agent/versions").exists()
    assert not hospital.machine.path("/usr/lib/systemd/system/frontend-agent.service").exists()
