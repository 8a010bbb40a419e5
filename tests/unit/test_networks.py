"""A machine in two networks does not join them, or is told."""

import os
from pathlib import Path

import pytest

from connectors.doctor import Ailment
from frontend_agent.cli import main
from frontend_agent.cli.doctor import sentence
from frontend_agent.cli.session import must_be_its_owner
from frontend_agent.config import INSTALLED_STATE, parse_config, state_folder
from frontend_agent.errors import StateError
from frontend_agent.examining import of_this_machine
from frontend_agent.networks import SWITCHES, cards, forwarding_problem, joined, seen

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
HOSPITAL = "eth0\t0001010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
REGION = "eth1\t0007A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
GATEWAY = "eth0\t00000000\t0101010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
SITE = """[institution]\nid = "1"\nname = "x"\n[sources.a]\nurl = "sqlite:///a.db"\n[destinations.p]\ntype = "platform"
url = "http://127.0.0.1:1"\n[[feeds]]\nname = "f"\nsource = "a"\nmapping = "demo_lis/lab_report"\nevery = "5m"\n"""
V6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fe800000000000000216cbfffea9f1ab 02 40 20 80     eth1
20010db8000000000000000000000005 03 40 00 80     eth2
"""


def test_cards_are_those_with_a_network_of_their_own() -> None:
    assert cards(HEAD + GATEWAY + HOSPITAL, "") == ["eth0"]
    assert cards(HEAD + HOSPITAL + REGION, V6) == ["eth0", "eth1", "eth2"]
    assert cards("", "") == []


@pytest.mark.parametrize(
    ("cards_", "ip4", "ip6", "says"),
    [
        (["eth0", "eth1"], "1\n", "0\n", "net.ipv4.ip_forward = 1"),
        (["eth0", "eth1"], "0\n", "1\n", "net.ipv6.conf.all.forwarding = 1"),
        (["eth0", "eth1"], "0\n", "0\n", ""),
        (["eth0"], "1\n", "1\n", ""),
        (["eth0", "eth1"], "", "", ""),
    ],
)
def test_forwarding_between_two_cards_is_told_with_its_mend(cards_: list[str], ip4: str, ip6: str, says: str) -> None:
    told = joined(cards_, dict(zip(SWITCHES, (ip4, ip6), strict=True)))
    assert bool(told) == bool(says)
    assert says in told
    if told:
        assert "eth0, eth1" in told
        assert "sysctl -w" in told


def test_what_cannot_be_read_is_no_problem() -> None:
    assert forwarding_problem(lambda path: "") is None
    both = {"/proc/net/route": HEAD + HOSPITAL + REGION, "/proc/sys/net/ipv4/ip_forward": "1"}
    assert "past every firewall" in str(forwarding_problem(lambda path: both.get(path, "")))


def test_the_doctor_tells_it_with_its_mend_unless_it_is_meant() -> None:
    def told(ip4: str, may: str = "false", routes: str = HEAD + HOSPITAL + REGION) -> list[Ailment]:
        texts = {"/proc/net/route": routes, "/proc/sys/net/ipv4/ip_forward": ip4}
        config = parse_config(f"{SITE}[network]\nmay_forward = {may}\n", "agent.toml")
        return list(of_this_machine(config, lambda: seen(lambda path: texts.get(path, ""))))

    (wrong,) = told("1\n")
    assert (wrong.code, wrong.severity) == ("networks.joined", "wrong")
    assert wrong.mend == ("sysctl -w net.ipv4.ip_forward=0", "[network] may_forward = true")
    for language in ("zh", "en"):
        assert "eth0, eth1" in sentence(wrong, language)
        assert "net.ipv4.ip_forward = 1" in sentence(wrong, language)
    (fine,) = told("0\n")
    assert (fine.code, fine.severity) == ("networks.apart", "fine")
    assert told("1\n", may="true") == []
    assert told("1\n", routes=HEAD + HOSPITAL) == []


def test_the_service_has_its_state_where_the_unit_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    config = parse_config(f"{SITE}[network]\nmay_forward = true\n", "agent.toml", tmp_path)
    assert config.network.may_forward
    assert state_folder(None, config, Path("/etc/frontend-agent/agent.toml")) == INSTALLED_STATE
    assert state_folder(None, config, tmp_path / "agent.toml") == tmp_path / "state"


def test_root_does_not_work_on_a_services_state(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    must_be_its_owner(tmp_path)
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(StateError, match=r"belongs to nobody: run this as nobody \(runuser -u nobody"):
        must_be_its_owner(tmp_path)


def test_who_may_not_look_at_the_services_configuration_is_not_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform's account, and everybody who asks for --version."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another")
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "agent.toml").write_text("", "utf-8")
    monkeypatch.setattr(main, "INSTALLED_CONFIG", closed / "agent.toml")
    monkeypatch.chdir("/")
    assert main.default_config() == closed / "agent.toml"
    os.seteuid(65534)
    try:
        assert main.default_config() == Path("agent.toml")
    finally:
        os.seteuid(0)
