"""A platform offers a signed upgrade; an agent hears of it, fetches it, believes its maker alone, and says how it went.

The platform, the agent's state and the archives are real; nothing is installed here (tests/acceptance/test_upgrade.py does).
"""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request

from frontend_agent import __version__
from frontend_agent.alarming import Alarming
from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.cli.session import Settings
from frontend_agent.config import parse_config
from frontend_agent.console.pages import Called, Site, Visitor
from frontend_agent.console.rooms import Rooms
from frontend_agent.heartbeat import Heartbeats
from frontend_agent.housekeeping import schedules
from frontend_agent.operations import operations
from frontend_agent.platform.store import Store
from frontend_agent.platform.upgrades import Upgrades
from frontend_agent.upgrade_offers import Offers
from frontend_agent.upgrading import Trial, end_trial, note_refused, write_trial
from frontend_agent.wire.upgrades import Offer
from tests.platform_kit import running
from tests.upgrade_kit import KEY, KEYS, archive

NOW = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)  # 10:30 at the hospital
MACHINE = os.uname().machine
OTHER_MACHINE = "aarch64" if MACHINE == "x86_64" else "x86_64"
AGENT = """
workers = 0
institution = {{ id = "{id}", name = "示范医院" }}
sources.lis = {{ url = "sqlite:///lis.db"{source} }}
destinations.platform = {{ url = "{url}" }}
feeds = [{{ name = "lab", source = "lis", mapping = "demo_lis/lab_report" }}]
alarms = {{ disk = 100, disk_critical = 100 }}
[upgrades]
bandwidth = "{bandwidth}"
keep_free = "{keep_free}"
{upgrades}
"""
BY_ITSELF = 'install = "by itself"\nhours = ["10:00-11:00"]'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "platform", clock=lambda: NOW).open()
    yield store
    store.close()


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with running(store) as address:
        yield address


class Agent:
    """An agent of version 1.0.0 whose clock the test moves. No thread runs."""

    def __init__(
        self, folder: Path, url: str, name: str = "H001", upgrades: str = "", present: str = "1.0.0", **settings: str
    ) -> None:
        words = {"source": "", "bandwidth": "0 MiB", "keep_free": "1 MiB", "upgrades": upgrades, **settings}
        self.now = NOW
        self.home = folder / f"home-{name}"
        if not self.home.exists():
            (self.home / "versions" / present).mkdir(parents=True)
            (self.home / "current").symlink_to(f"versions/{present}")
        config = parse_config(AGENT.format(url=url, id=name, **words))
        self.app = App(config, folder / name, clock=lambda: self.now)
        self.app.open_state()
        self.app._open_destinations()
        self.offers = Offers(self.app, home=self.home, keys=lambda: KEYS, present=present)
        self.daemon = daemon = SimpleNamespace(
            started=self.now, receiving=SimpleNamespace(told=dict), imaging=None, offers=self.offers, next_runs=dict
        )
        self.alarming = Alarming(self.app, daemon, schedules(self.app))
        self.beats = Heartbeats(self.app, self.alarming, {}, offers=self.offers)

    def goes_on(self) -> Any:
        """A heartbeat, a look, and another heartbeat that tells of it."""
        self.beats.beat()
        for _ in range(5):
            self.offers.look()
        self.beats.beat()
        return self.offers.standing()

    @property
    def waits(self) -> Path:
        return self.app.state / "upgrades" / "offered.tar.zst"

    @property
    def asks(self) -> bool:
        return (self.app.state / "upgrades" / "ready").exists()

    def alarms(self) -> list[tuple[str, str]]:
        self.alarming.look()
        return [
            (one.kind, str(one.figures["version"])) for one in self.app.spool.alarms.standing() if one.kind == "upgrade"
        ]


def offered(store: Store, file: Path, version: str, machine: str = MACHINE, **to: Any) -> str:
    """A platform that says what it likes of a file."""
    package = store.upgrades.add(file, version, machine, "li")
    store.upgrades.offer(version, "li", **(to or {"percent": 100}))
    return package.sha256


def heard(store: Store, institution: str = "H001") -> list[tuple[str, str, str]]:
    return [(one.version, one.state, one.reason) for one in store.upgrades.progress() if one.institution == institution]


# --- the good way -----------------------------------------------------------------------------------------------------


def test_an_offer_is_fetched_verified_and_waits_for_a_person(tmp_path: Path, store: Store, url: str) -> None:
    file = archive(tmp_path, "1.1.0", more=3_000_000)
    offered(store, file, "1.1.0")
    agent = Agent(tmp_path, url)
    standing = agent.goes_on()
    assert (standing.version, standing.state, standing.by, standing.actor) == (
        "1.1.0",
        "waiting",
        "platform",
        "hospital",
    )
    assert agent.waits.read_bytes() == file.read_bytes()
    assert agent.waits.stat().st_mode & 0o777 == 0o600
    assert not agent.asks, "nobody but a person installs it here"
    assert heard(store) == [("1.1.0", "waiting", "")]
    assert agent.alarms() == [("upgrade", "1.1.0")]
    told = agent.offers.told()
    assert (told["offer"]["state"], told["offer"]["actor"], told["install"]) == ("waiting", "hospital", "by a person")
    page = requests.get(f"{url}/fleet?lang=en", timeout=10).text
    assert "upgrade to 1.1.0: waits for a person" in page


def test_in_its_hours_the_unit_is_asked_and_not_before(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent = Agent(tmp_path, url, upgrades=BY_ITSELF)
    agent.now = NOW - timedelta(hours=1)
    assert agent.goes_on().state == "due"
    assert not agent.asks
    agent.now = NOW
    agent.offers.look()
    assert agent.asks
    agent.now = NOW + timedelta(hours=1)
    agent.offers.look()
    assert not agent.asks, "its hours are over"
    assert agent.alarms() == []


def test_that_nobody_takes_it_up_is_said(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent = Agent(tmp_path, url, upgrades=BY_ITSELF)
    agent.goes_on()
    agent.now += timedelta(minutes=11)
    agent.offers.look()
    assert "frontend-agent-upgrade.path" in agent.offers.standing().reason  # type: ignore[union-attr]


def test_the_next_version_does_not_wait_for_what_was_asked_of_the_one_before(
    tmp_path: Path, store: Store, url: str
) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent = Agent(tmp_path, url, upgrades=BY_ITSELF)
    agent.goes_on()
    ready = agent.app.state / "upgrades" / "ready"
    ready.unlink()  # the unit took the word
    agent.offers.look()
    assert not agent.asks, "said once: what comes of it takes a minute"
    offered(store, archive(tmp_path, "1.2.0"), "1.2.0")
    agent.goes_on()
    assert agent.asks


def test_how_it_went_goes_back_to_the_platform(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent = Agent(tmp_path, url, upgrades=BY_ITSELF)
    agent.goes_on()
    trial = Trial(version="1.1.0", before="1.0.0", phase="trial", who="by itself", began=NOW.isoformat())
    write_trial(agent.home, trial)
    agent.beats.beat()
    assert heard(store) == [("1.1.0", "trial", "")]
    agent.offers.look()
    assert not agent.asks
    end_trial(agent.home, trial, "returned", "frontend-agent.service does not start")
    standing = agent.goes_on()
    assert (standing.state, standing.actor) == ("returned", "platform")
    assert not agent.asks, "what came back is not tried again by itself"
    assert heard(store) == [("1.1.0", "returned", "frontend-agent.service does not start")]
    assert agent.alarms() == [("upgrade", "1.1.0")]
    page = requests.get(f"{url}/fleet?lang=en", timeout=10).text
    assert "frontend-agent.service does not start" in page


def test_a_refusal_of_what_could_not_be_read_keeps_no_heartbeat_from_being_heard(
    tmp_path: Path, store: Store, url: str
) -> None:
    """The unit did not come so far as to know the version: no room for a copy, no file."""
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0", to=["H009"])
    agent = Agent(tmp_path, url)
    end_trial(agent.home, Trial(version="0.9.0", before="0.8.0", who="wang"), "confirmed")
    note_refused(agent.home, "?", "by itself", "no room for a copy")
    assert agent.beats.beat() == 1
    assert heard(store) == [("0.9.0", "confirmed", "")]
    store.upgrades.offer("1.1.0", "li", to=["H001"])
    assert agent.goes_on().state == "waiting"


def test_what_a_person_wrote_as_a_reason_stays_in_the_hospital(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent = Agent(tmp_path, url)
    agent.goes_on()
    trial = Trial(version="1.1.0", before="1.0.0", who="wang")
    end_trial(agent.home, trial, "returned", "the report of 张三 looks wrong, does not start")
    agent.beats.beat()
    assert heard(store) == [("1.1.0", "returned", "by a person")]
    raw = b"".join(file.read_bytes() for file in (tmp_path / "platform").rglob("*.sqlite*"))
    assert "张三".encode() not in raw


def test_a_version_that_runs_is_confirmed_and_offered_no_more(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    before = Agent(tmp_path, url)
    before.goes_on()
    before.app.close()
    home = tmp_path / "home-H001"
    (home / "current").unlink()
    (home / "current").symlink_to("versions/1.1.0")
    end_trial(home, Trial(version="1.1.0", before="1.0.0", who="by itself"), "confirmed")
    after = Agent(tmp_path, url, present="1.1.0")
    standing = after.goes_on()
    assert (standing.version, standing.state, standing.actor) == ("1.1.0", "confirmed", "")
    assert heard(store) == [("1.1.0", "confirmed", "")]
    assert not after.waits.exists()
    assert after.alarms() == []


def test_an_offer_that_is_withdrawn_is_gone_with_its_file(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent = Agent(tmp_path, url)
    agent.goes_on()
    store.upgrades.withdraw("1.1.0", "li", "too early")
    assert agent.goes_on() is None
    assert not agent.waits.exists()


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_a_cut_line_goes_on_where_it_was(
    tmp_path: Path, store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = archive(tmp_path, "1.1.0", more=3_000_000)
    digest = offered(store, file, "1.1.0")
    agent = Agent(tmp_path, url)
    agent.beats.beat()
    part = agent.app.state / "upgrades" / f"{digest}.part"
    part.parent.mkdir()
    part.write_bytes(file.read_bytes()[:1_234_567])
    asked = []
    platform = agent.app.platforms["platform"]
    real = platform.upgrade
    monkeypatch.setattr(platform, "upgrade", lambda offer, begin=0: asked.append(begin) or real(offer, begin))
    agent.offers.look()
    assert asked == [1_234_567]
    assert agent.waits.read_bytes() == file.read_bytes()


def test_it_takes_no_more_of_the_line_than_it_may(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0", more=1_500_000), "1.1.0")
    agent = Agent(tmp_path, url, bandwidth="1 MiB")
    agent.beats.beat()
    began = time.monotonic()
    agent.offers.look()
    assert agent.waits.exists()
    assert time.monotonic() - began > 1.0


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"source": ', protected = ["10:00-11:00"]'}, "protected hours of source lis"),
        ({"keep_free": "900000 GiB"}, "keep_free"),
        ({"upgrades": "fetch = false"}, ""),
    ],
)
def test_it_is_not_fetched_when_it_may_not_be(
    tmp_path: Path, store: Store, url: str, settings: dict[str, str], why: str
) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent = Agent(tmp_path, url, **settings)
    standing = agent.goes_on()
    assert standing.state == "offered"
    assert why in standing.reason
    assert not agent.waits.exists()
    assert agent.offers.told()["offer"]["actor"] == "agent"


# --- a platform that lies ---------------------------------------------------------------------------------------------


def refused_because(agent: Agent) -> str:
    standing = agent.goes_on()
    assert (standing.state, standing.actor) == ("refused", "platform")
    assert not agent.waits.exists()
    assert not agent.asks
    assert agent.alarms() != []
    return str(standing.reason)


def test_what_somebody_else_signed_is_refused_and_not_fetched_again(
    tmp_path: Path, store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = archive(tmp_path, "1.1.0", key=Ed25519PrivateKey.from_private_bytes(b"\x09" * 32))
    offered(store, file, "1.1.0")
    agent = Agent(tmp_path, url, upgrades=BY_ITSELF)
    assert "not trusted here" in refused_because(agent)
    assert heard(store)[0][:2] == ("1.1.0", "refused")
    monkeypatch.setattr(agent.app.platforms["platform"], "upgrade", lambda *_: pytest.fail("fetched again"))
    assert "not trusted here" in refused_because(agent)


def test_what_was_changed_on_the_way_is_refused(tmp_path: Path, store: Store, url: str) -> None:
    file = archive(tmp_path, "1.1.0", more=100_000)
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)
    offered(store, file, "1.1.0")
    assert "signature does not hold" in refused_because(Agent(tmp_path, url, upgrades=BY_ITSELF))


def test_a_file_that_is_not_the_one_it_named_is_refused(tmp_path: Path, store: Store, url: str) -> None:
    digest = offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    path = tmp_path / "platform" / "upgrades" / f"{digest}.tar.zst"
    path.write_bytes(path.read_bytes()[::-1])
    assert "SHA-256" in refused_because(Agent(tmp_path, url, upgrades=BY_ITSELF))


def test_an_older_version_under_a_newer_name_is_refused(tmp_path: Path, store: Store, url: str) -> None:
    """Signed by its maker, and not what the platform says it is."""
    offered(store, archive(tmp_path, "0.9.0"), "1.1.0")
    assert "signed as 0.9.0" in refused_because(Agent(tmp_path, url, upgrades=BY_ITSELF))


def test_a_version_for_another_machine_is_refused(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0", machine=OTHER_MACHINE), "1.1.0", MACHINE)
    assert f"for {OTHER_MACHINE}" in refused_because(Agent(tmp_path, url, upgrades=BY_ITSELF))
    told = Agent(tmp_path, url, "H002")
    told.offers.heard("platform", offer_of("1.2.0", machine=OTHER_MACHINE))
    assert f"made for {OTHER_MACHINE}" in told.offers.standing().reason  # type: ignore[union-attr]


def offer_of(version: str, machine: str = MACHINE, size: int = 1000) -> Offer:
    return Offer(version=version, machine=machine, size=size, sha256="0" * 64)


def test_an_offer_never_leads_back(tmp_path: Path, url: str) -> None:
    """Not behind what runs, and not behind what this machine has had or verified, though that was taken back (U3)."""
    agent = Agent(tmp_path, url, upgrades=BY_ITSELF)

    def told(version: str) -> str:
        agent.offers.heard("platform", offer_of(version))
        standing = agent.offers.standing()
        assert standing is not None
        return standing.reason if standing.state == "refused" else standing.state

    assert "not newer than 1.0.0" in told("0.9.0")
    assert "not newer than 1.0.0" in told("1.0.0rc1")
    assert told("1.1.0") == "offered"
    end_trial(agent.home, Trial(version="1.3.0", before="1.0.0"), "returned", "frontend-agent.service does not start")
    assert "older than 1.3.0" in told("1.2.0")
    assert told("1.3.1") == "offered"
    note_refused(agent.home, "9.0.0", "by itself", "no room")
    assert told("1.3.1") == "offered", "what was never installed is no floor"


def test_what_was_verified_once_is_a_floor_too(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.3.0"), "1.3.0")
    agent = Agent(tmp_path, url)
    assert agent.goes_on().state == "waiting"
    store.upgrades.withdraw("1.3.0", "li")
    offered(store, archive(tmp_path, "1.2.0"), "1.2.0")
    assert "an old offer again" in refused_because(agent)


def test_a_file_that_is_too_large_is_not_begun(tmp_path: Path, url: str) -> None:
    agent = Agent(tmp_path, url)
    agent.offers.heard("platform", offer_of("1.1.0", size=(1 << 30) + 1))
    assert "quota" in agent.offers.standing().reason  # type: ignore[union-attr]


def test_a_platform_that_sends_more_than_it_said_fills_no_disk(tmp_path: Path, store: Store, url: str) -> None:
    file = archive(tmp_path, "1.1.0", more=2_000_000)
    digest = offered(store, file, "1.1.0")
    agent = Agent(tmp_path, url)
    agent.offers.heard("platform", Offer(version="1.1.0", machine=MACHINE, size=1_000_000, sha256=digest))
    agent.offers.look()
    assert agent.offers.standing().state == "refused"  # type: ignore[union-attr]
    assert sum(one.stat().st_size for one in (agent.app.state / "upgrades").iterdir()) == 0


# --- at the platform --------------------------------------------------------------------------------------------------


def test_only_who_is_meant_hears_of_it_and_may_fetch_it(tmp_path: Path, store: Store, url: str) -> None:
    digest = offered(store, archive(tmp_path, "1.1.0"), "1.1.0", to=["H001"])
    meant, other = Agent(tmp_path, url), Agent(tmp_path, url, "H002")
    assert meant.goes_on().state == "waiting"
    assert other.goes_on() is None

    def status(institution: str) -> int:
        return requests.get(f"{url}/v1/upgrades/{digest}", params={"institution": institution}, timeout=10).status_code

    assert (status("H001"), status("H002"), status("")) == (200, 404, 400)
    store.upgrades.withdraw("1.1.0", "li")
    assert status("H001") == 404


def test_a_range_is_served_as_it_is_asked_for(tmp_path: Path, store: Store, url: str) -> None:
    file = archive(tmp_path, "1.1.0", more=600_000)
    body, digest = file.read_bytes(), offered(store, file, "1.1.0")

    def asked(header: str) -> requests.Response:
        return requests.get(
            f"{url}/v1/upgrades/{digest}", params={"institution": "H1"}, headers={"Range": header}, timeout=10
        )

    rest = asked("bytes=300000-")
    assert (rest.status_code, rest.content) == (206, body[300_000:])
    assert rest.headers["content-range"] == f"bytes 300000-{len(body) - 1}/{len(body)}"
    assert asked(f"bytes={len(body)}-").status_code == 416
    for other in ("bytes=0-9", "bytes=-5", "items=1-", "nonsense"):
        whole = asked(other)
        assert (whole.status_code, whole.content) == (200, body), other


def test_a_wave_is_the_same_hospitals_and_then_more(tmp_path: Path, store: Store) -> None:
    store.upgrades.add(archive(tmp_path, "1.1.0"), "1.1.0", MACHINE, "li")
    everybody = [f"H{number:03}" for number in range(200)]

    def meant(percent: int) -> set[str]:
        made = store.upgrades.offer("1.1.0", "li", percent=percent)
        return {one for one in everybody if made.means(one)}

    ten, half = meant(10), meant(50)
    assert 8 <= len(ten) <= 35
    assert ten < half
    assert meant(20) == half, "an offer grows; it is taken back by withdrawing it"
    assert meant(100) == set(everybody)


def test_where_it_came_back_nobody_else_begins(tmp_path: Path, store: Store, url: str) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    first, second, third = (Agent(tmp_path, url, name) for name in ("H001", "H002", "H003"))
    assert [one.goes_on().state for one in (first, second)] == ["waiting", "waiting"]
    write_trial(second.home, Trial(version="1.1.0", before="1.0.0", phase="trial", began=NOW.isoformat()))
    second.beats.beat()
    end_trial(first.home, Trial(version="1.1.0", before="1.0.0"), "returned", "a service is not running")
    assert first.goes_on().state == "returned"
    assert third.goes_on() is None
    assert second.goes_on().state == "trial", "who is trying it goes on"
    store.upgrades.offer("1.1.0", "li", percent=100, stop_after=5)
    assert third.goes_on().state == "waiting"


def test_the_region_administrator_sees_how_far_it_has_come(
    tmp_path: Path, store: Store, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state", str(tmp_path / "platform"), "--lang", "en"]
    key = tmp_path / "maker.pem"
    key.write_bytes(
        KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    file = archive(tmp_path, "1.1.0")

    def platform(*arguments: str, code: int = 0) -> Any:
        assert run([*state, "platform", "upgrades", *arguments]) == code
        return capsys.readouterr()

    stranger = platform("add", str(archive(tmp_path, "1.4.0", key=Ed25519PrivateKey.from_private_bytes(b"\x09" * 32))), "--key", str(key), code=1)  # fmt: skip
    assert "not trusted here" in stranger.err
    assert "never offered" in platform("status", "1.1.0", code=78).err
    platform("add", str(file), "--key", str(key))
    assert "there is no package" in platform("offer", "1.2.0", "--all", code=1).err
    assert "Say to whom" in platform("offer", "1.1.0", code=2).err
    platform("offer", "1.1.0", "--to", "H001", "--to", "H002")
    agent = Agent(tmp_path, url)
    agent.goes_on()
    (told,) = json.loads(platform("status", "--json").out)
    assert [(one["institution"], one["state"], one["runs"]) for one in told["hospitals"]] == [
        ("H001", "waiting", __version__), ("H002", "unheard", ""),
    ]  # fmt: skip
    end_trial(agent.home, Trial(version="1.1.0", before="1.0.0"), "returned", "a service is not running")
    agent.goes_on()
    shown = platform("status").out
    assert "stopped: it came back" in shown
    assert "a service is not running" in shown
    (listed,) = json.loads(platform("list", "--json").out)
    assert (listed["version"], listed["offer"], listed["states"]) == ("1.1.0", "stopped", {"returned": 1})
    assert "withdraw it first" in platform("drop", "1.1.0", code=1).err
    platform("withdraw", "1.1.0", "--reason", "it came back")
    platform("drop", "1.1.0")
    assert run([*state, "platform", "log", "--json"]) == 0
    acts = [one for one in json.loads(capsys.readouterr().out) if one["event"] == "act"]
    assert [one["act"].removeprefix("platform_upgrade_") for one in acts if "upgrade" in one["act"]][:2] == [
        "drop",
        "withdraw",
    ]
    assert all(one["who"] for one in acts)
    assert list((tmp_path / "platform" / "upgrades").glob("*.tar.zst")) == []


def test_a_platform_that_offers_nothing_keeps_nothing(tmp_path: Path) -> None:
    with Upgrades(tmp_path) as upgrades:
        assert upgrades.packages() == upgrades.offerings() == upgrades.progress() == []
    assert list(tmp_path.iterdir()) == []


def test_packages_of_root_belong_to_whom_the_folder_does(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    state = tmp_path / "platform"
    state.mkdir()
    os.chown(state, 65534, 65534)
    with Upgrades(state) as upgrades:
        upgrades.add(archive(tmp_path, "1.1.0"), "1.1.0", MACHINE, "root")
        assert {one.stat().st_uid for one in (state / "upgrades", *(state / "upgrades").iterdir())} == {65534}


# --- where people look ------------------------------------------------------------------------------------------------


class Answers:
    """The daemon as the console asks it, without a socket between."""

    def __init__(self, agent: Agent) -> None:
        self._operations = operations(agent.app, agent.daemon)

    def ask(self, session: str, question: str, why: str = "", /, **arguments: Any) -> Any:
        return self._operations[question](**arguments)

    look = ask


def shown(agent: Agent, lang: str) -> str:
    """The console's page of versions, as text."""
    site = Site(Answers(agent), agent.app.config, lambda: agent.now)  # type: ignore[arg-type]
    request = Request({"type": "http", "method": "GET", "path": "/trust", "headers": [], "query_string": b""})
    acts = frozenset({"status", "upgrades", "public_keys", "certificates"})
    page = bytes(Rooms(site).trust(Called(request, Visitor(lang, "s", "wang", acts=acts))).body).decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2]))


def test_the_console_shows_the_offer_how_far_it_is_and_who_acts(tmp_path: Path, store: Store, url: str) -> None:
    agent = Agent(tmp_path, url)
    assert "No upgrade is offered" in shown(agent, "en")
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent.goes_on()
    text = shown(agent, "en")
    assert "1.1.0" in text
    assert "here, its signature holds; waits for a person" in text
    assert "who acts the hospital" in text
    assert "sudo frontend-agent upgrade install --offered" in text
    assert "等待人工安装" in shown(agent, "zh")
    write_trial(agent.home, Trial(version="1.1.0", before="1.0.0", phase="trial", began=NOW.isoformat()))
    assert "1.1.0 is on trial since" in shown(agent, "en")
    end_trial(agent.home, Trial(version="1.1.0", before="1.0.0"), "returned", "a service is not running")
    assert "a service is not running" in shown(agent, "en")
    store.upgrades.withdraw("1.1.0", "li")
    agent.goes_on()
    assert "a service is not running" in shown(agent, "zh"), "the last return stays in sight"


def test_status_tells_it_in_one_line(
    tmp_path: Path, store: Store, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(store, archive(tmp_path, "1.1.0"), "1.1.0")
    agent = Agent(tmp_path, url)
    agent.goes_on()

    @contextmanager
    def asking(self: Settings, *questions: str) -> Iterator[Any]:
        yield lambda question, **arguments: Answers(agent).ask("", question, **arguments)

    monkeypatch.setattr(Settings, "asking", asking)
    assert run(["status", "--lang", "en"]) == 0
    assert "Upgrade to 1.1.0: waits for a person" in capsys.readouterr().out
    assert run(["upgrade", "status", "--lang", "zh"]) == 0
    assert "由医院处理：sudo frontend-agent upgrade install --offered" in capsys.readouterr().out
    assert run(["upgrade", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["offer"]["state"] == "waiting"
