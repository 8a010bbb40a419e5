"""Installed by a hospital: a fresh Debian, no network, one package, and from then on a service that nothing puts out.

The machine is booted once for all of these, and they follow one another as its days do.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.hospital_machine import CONFIG, PLATFORM_STATE, STATE, Hospital, hospital_on, the_package
from tests.instances_made import as_file, ct
from tests.nspawn_kit import Machine, eventually, machine

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


# --- drop-ins that the guides name -------------------------------------------------------------------------------------

PEOPLE = """
[people]
socket = "/run/frontend-agent/people.sock"
"""
PERSON = """
[[people.persons]]
name = "{name}"
account = "{account}"
role = "{role}"
"""


@contextmanager
def dropped_in(machine: Machine, unit: str, *lines: str) -> Iterator[None]:
    """A drop-in as `systemctl edit` writes it, and gone again."""
    place = f"/etc/systemd/system/{unit}.service.d/tried.conf"
    machine.put(place, "\n".join(["[Service]", *lines, ""]))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", unit, within=120)
    try:
        yield
    finally:
        machine.path(place).unlink()
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", unit, within=120)


def exposure(machine: Machine, unit: str) -> float:
    told = machine.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    exposed = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert exposed, told
    return float(exposed[1])


def test_with_private_users_it_works_and_is_exposed_less(hospital: Hospital) -> None:
    """Where nobody but root and the service itself asks: root is root inside, too."""
    machine, before = hospital.machine, hospital.ids()
    with dropped_in(machine, "frontend-agent", "PrivateUsers=yes"):
        assert exposure(machine, "frontend-agent") <= 1.1
        assert hospital.agent("people", "me")["account"] == "root"
        hospital.corrects("在独立用户空间内更正")
        eventually(lambda: hospital.ids() - before, within=60, every=1.0)
        hospital.await_settled()
    assert exposure(machine, "frontend-agent") <= 1.2


def test_people_are_known_by_their_accounts_and_private_users_would_hide_them(hospital: Hospital) -> None:
    machine = hospital.machine
    people = (("王芳", "wangfang", "system"), ("李强", "liqiang", "security"), ("赵敏", "zhaomin", "audit"))
    for _, account, _ in people:
        machine.run("useradd", "-m", "-G", "frontend-agent", account)
    text = machine.path(str(CONFIG)).read_text("utf-8")
    named = "".join(PERSON.format(name=name, account=account, role=role) for name, account, role in people)

    def who(account: str) -> dict[str, Any]:
        command = (
            "frontend-agent",
            "people",
            "me",
            "--config",
            str(CONFIG),
            "--json",
        )  # the state is not theirs to read
        told = machine.run("runuser", "-u", account, "--", *command)
        found: dict[str, Any] = json.loads(told)
        return found

    machine.path(str(CONFIG)).write_text(text + PEOPLE + named, "utf-8")
    try:
        machine.run("systemctl", "restart", "frontend-agent", within=60)
        assert [(who(account)["name"], who(account)["roles"]) for _, account, _ in people] == [
            ("王芳", ["system"]), ("李强", ["security"]), ("赵敏", ["audit"]),
        ]  # fmt: skip
        with dropped_in(machine, "frontend-agent", "PrivateUsers=yes"):
            assert who("wangfang")["roles"] == [], "inside, every other account is nobody's"
    finally:
        machine.path(str(CONFIG)).write_text(text, "utf-8")
        machine.run("systemctl", "restart", "frontend-agent", within=60)


def test_a_region_s_platform_with_its_own_tls_a_socket_for_nginx_and_pictures(hospital: Hospital) -> None:
    """As the guides of TLS and joining have it, inside the unit's walls: the hospital joins, delivers, and a picture is drawn."""
    machine = hospital.machine
    region = ("runuser", "-u", "frontend-platform", "--", "frontend-agent", "platform")
    there = ("--state", PLATFORM_STATE)
    machine.run("install", "-d", "-o", "frontend-platform", "/srv/region")
    machine.run(*region, "ca", "init", "--root-key", "/srv/region/root.key", *there)
    machine.put(
        "/etc/frontend-platform/platform.env",
        "PLATFORM_OPTIONS=--port 8480 --tls 127.0.0.1:8443 --name localhost --proxy /run/frontend-platform/agents.sock\n",
    )
    machine.run("systemctl", "restart", "frontend-platform", within=120)
    assert exposure(machine, "frontend-platform") <= 1.2
    assert (
        machine.run("stat", "-c", "%U:%G %a", "/run/frontend-platform/agents.sock").strip()
        == "frontend-platform:frontend-platform 660"
    )
    token = json.loads(machine.run(*region, "enroll-token", "999000013", *there, "--json"))["token"]
    agent = ("runuser", "-u", "frontend-agent", "--", "frontend-agent")
    text = machine.path(str(CONFIG)).read_text("utf-8")
    machine.path(str(CONFIG)).write_text(text.replace("http://127.0.0.1:8480", "https://localhost:8443"), "utf-8")
    machine.run("systemctl", "stop", "frontend-agent", within=60)
    machine.run(
        *agent,
        "enroll",
        "--platform",
        "https://localhost:8443",
        "--token",
        token,
        "--config",
        str(CONFIG),
        "--state",
        STATE,
    )
    machine.run("systemctl", "start", "frontend-agent", within=60)
    before = hospital.ids()
    hospital.corrects("经双向认证")
    eventually(lambda: hospital.ids() - before, within=90, every=1.0)
    hospital.await_settled()

    machine.path("/srv/ct.dcm").write_bytes(as_file(ct(rows=64)))
    (own,) = machine.path(f"{STATE}/identity").glob("*/own.pem")
    folder = "/" + str(own.parent.relative_to(machine.root))
    told = json.loads(machine.run("/opt/frontend-agent/current/bin/python3.11", "-P", "-c", DRAWN, folder, str(ct().StudyInstanceUID), str(ct().SeriesInstanceUID), str(ct().SOPInstanceUID)))  # fmt: skip
    assert told["stored"] == 200
    assert (told["drawn"], told["kind"], told["begins"]) == (200, "image/jpeg", "ffd8")


DRAWN = """
import json, sys
import requests
folder, study, series, instance = sys.argv[1:]
http = requests.Session()
http.cert, http.verify = f"{folder}/own.pem", f"{folder}/ca.pem"
sent = http.post("https://localhost:8443/v1/institutions/999000013/dicom-web/studies", data=open("/srv/ct.dcm", "rb").read(), headers={"Content-Type": "application/dicom"}, timeout=60)
drawn = requests.get(f"http://127.0.0.1:8480/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered", headers={"Accept": "image/jpeg"}, timeout=60)
print(json.dumps({"stored": sent.status_code, "drawn": drawn.status_code, "kind": drawn.headers.get("content-type"), "begins": drawn.content[:2].hex()}))
"""


def test_purged_it_leaves_what_must_be_kept_and_says_where(hospital: Hospital) -> None:
    told = hospital.machine.run("dpkg", "--purge", "frontend-agent", within=300)
    for kept in (STATE, PLATFORM_STATE, "/etc/frontend-agent"):
        assert kept in told
        assert hospital.machine.path(kept).is_dir()
    assert hospital.machine.path(f"{STATE}/spool.db").stat().st_size > 0
    assert not hospital.machine.path("/opt/frontend-agent/versions").exists()
    assert not hospital.machine.path("/usr/lib/systemd/system/frontend-agent.service").exists()
