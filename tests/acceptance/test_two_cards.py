"""A front-end machine between two networks: what listens does so on one card alone, and nothing passes through it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hospital_machine import AGENT, CONFIG, Hospital, the_package
from tests.nspawn_kit import Machine, eventually, machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # a package may have to be made first
MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
CARDS = {
    "hospital": ("fa-h", "10.77.1.1", "10.77.1.2"),
    "region": ("fa-r", "10.77.2.1", "10.77.2.2"),
}  # card, ours, theirs

INLET = """
[inlets.lis_push]
type = "mllp"
host = "10.77.1.1"
port = 2575
allow = ["10.77.1.0/24"]

[[feeds]]
name = "pushed"
source = "lis_push"
mapping = "hl7v2/lab_report"
every = "5s"
"""


@contextmanager
def networks() -> Iterator[None]:
    """A network of the hospital and one of the region, each a namespace; their other ends go into the machine."""
    made = []
    try:
        for name, (card, _, theirs) in CARDS.items():
            ip("netns", "add", f"fa-{name}")
            made.append(name)
            ip("link", "add", card, "type", "veth", "peer", "name", "eth0", "netns", f"fa-{name}")
            ip("-n", f"fa-{name}", "addr", "add", f"{theirs}/24", "dev", "eth0")
            ip("-n", f"fa-{name}", "link", "set", "lo", "up")
            ip("-n", f"fa-{name}", "link", "set", "eth0", "up")
            ip("-n", f"fa-{name}", "route", "add", "default", "via", CARDS[name][1])
        yield
    finally:
        for name in made:
            ip("netns", "delete", f"fa-{name}")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def reaches(network: str, address: str, port: int) -> bool:
    """Whether a machine in that network can open a connection."""
    probe = f"import socket; socket.create_connection(({address!r}, {port}), 2).close()"
    done = subprocess.run(
        ["ip", "netns", "exec", f"fa-{network}", "python3", "-c", probe], capture_output=True, check=False
    )
    return done.returncode == 0


def answers(network: str, address: str) -> bool:
    """Whether a message from that network is answered at all, be it by a refusal."""
    probe = (
        f"import socket; line = socket.create_connection(({address!r}, 2575), 3); line.settimeout(5);"
        " line.sendall(b'\\x0bMSH|^~\\\\&|LIS|H|FE|H|20260930101500||ORU^R01|1|P|2.4\\r\\x1c\\r'); print(len(line.recv(4096)))"
    )
    done = subprocess.run(
        ["ip", "netns", "exec", f"fa-{network}", "python3", "-c", probe], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and int(done.stdout) > 0


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    package, folder = the_package(), tmp_path_factory.mktemp("cards")
    with networks(), machine(folder / "machine") as made:
        hospital = Hospital(made)
        made.boot()
        for card, ours, _ in CARDS.values():
            made.plug(card)
            made.run("ip", "addr", "add", f"{ours}/24", "dev", card)
            made.run("ip", "link", "set", card, "up")
        hospital.install(package)
        hospital.laboratory(folder / "his", MAPPINGS)
        hospital.configure(AGENT + INLET)
        hospital.start()
        yield hospital


def checked(booted: Machine) -> str:
    return booted.says("frontend-agent", "check", "--config", str(CONFIG), "--json").stdout


def test_a_listener_is_the_hospitals_alone(hospital: Hospital) -> None:
    """Bound to the card's address. Linux answers for an address on every card (weak host model): `allow` keeps the other side out there."""
    eventually(lambda: answers("hospital", "10.77.1.1"), within=60)
    assert not reaches("region", "10.77.2.1", 2575)
    assert not answers("region", "10.77.1.1")


def test_nothing_passes_from_one_network_to_the_other_and_check_says_when_it_would(hospital: Hospital) -> None:
    booted = hospital.machine
    booted.run("sysctl", "-w", "net.ipv4.ip_forward=0")
    with listening("region"):
        assert not reaches("hospital", "10.77.2.2", 8000)
        assert "past every firewall" not in checked(booted)
        booted.run("sysctl", "-w", "net.ipv4.ip_forward=1")
        assert reaches("hospital", "10.77.2.2", 8000), "the machine joins them now"
        told = checked(booted)
        assert "fa-h, fa-r" in told
        assert "net.ipv4.ip_forward=0" in told
        advised = booted.says("frontend-agent", "doctor", "--config", str(CONFIG), "--json").stdout
        assert "networks.joined" in advised
        assert "net.ipv4.ip_forward=0" in advised
        booted.run("sysctl", "-w", "net.ipv4.ip_forward=0")


@contextmanager
def listening(network: str) -> Iterator[None]:
    """Somebody listens there on 8000."""
    command = ["ip", "netns", "exec", f"fa-{network}", "python3", "-m", "http.server", "8000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: reaches(network, CARDS[network][2], 8000), within=20)
        yield
    finally:
        process.kill()
        process.wait()
