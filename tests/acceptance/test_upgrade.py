"""A hospital's machine is given another version: one that works, one that does not, one in the middle of which the power goes, the
way back, and what its platform offers. The laboratory goes on meanwhile, and nothing is lost.

The other versions are the package itself under another number, sealed with the same key.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import carriers, runtime, tree
from tests.hospital_machine import AGENT, CONFIG, PLATFORM_STATE, STATE, Hospital, hospital_on
from tests.nspawn_kit import eventually, machine
from tests.package_kit import Package, package

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # a package may have to be made first
MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
OFFERS = """
[alarms]
heartbeat = "5s"
[upgrades]
bandwidth = "0 MiB"
keep_free = "64 MiB"
"""
BY_ITSELF = """\
install = "by itself"
hours = ["00:00-12:00", "12:00-24:00"]
watch = "20s"
"""
WAITING = f"{STATE}/upgrades"
BROKEN = "raise RuntimeError('this version does not run')\n"


@pytest.fixture(scope="module")
def made() -> Package:
    return package()


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, made: Package) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("upgraded")
    with machine(folder / "machine") as booted:
        yield from hospital_on(booted, made.deb, folder / "his", MAPPINGS)


def give(hospital: Hospital, made: Package, version: str, broken: bool = False) -> str:
    """An archive of that version on the machine."""
    folder = hospital.machine.root.parent / f"made-{version}"
    root = folder / f"frontend-agent-{version}"
    shutil.copytree(made.program, root, copy_function=os.link)
    ours = root / tree.PACKAGES / "frontend_agent"
    said = (ours / "__init__.py").read_text("utf-8")
    rewrite(ours / "__init__.py", said.replace(f'__version__ = "{made.version}"', f'__version__ = "{version}"'))
    if broken:
        rewrite(ours / "daemon.py", BROKEN)
    interpreter = root / "bin" / runtime.PYTHON
    body = interpreter.read_bytes()
    interpreter.unlink()
    interpreter.write_bytes(body)
    interpreter.chmod(0o755)
    runtime.settle(root, f"/opt/frontend-agent/versions/{version}", made.architecture)
    for name in ("MANIFEST.json", "MANIFEST.sig"):
        (root / name).unlink()
    for pem in (root / "share" / "release-keys").glob("*.pem"):
        pem.unlink()
    tree.seal(root, version, made.architecture.name, made.key, 1_700_000_000)
    archive = carriers.archive(root, version, made.architecture, folder, 1_700_000_000, made.key, 1)
    shutil.copyfile(archive, hospital.machine.path(f"/srv/{archive.name}"))
    shutil.rmtree(folder)
    return f"/srv/{archive.name}"


def rewrite(path: Path, text: str) -> None:
    """The file alone, not what shares its bytes; compiled it is by whoever runs it."""
    path.unlink()
    path.write_text(text, "utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def upgrade(hospital: Hospital, *arguments: str, code: int = 0) -> dict[str, str]:
    told: dict[str, str] = json.loads(
        hospital.machine.run("frontend-agent", "upgrade", *arguments, "--json", within=300, code=code)
    )
    return told


def arrives(hospital: Hospital, before: set[str]) -> None:
    """What was corrected is there as another version; all others are as they were."""
    eventually(lambda: hospital.ids() - before, within=90, every=1.0)
    hospital.await_settled()
    assert len(hospital.ids() - before) == 1
    assert {one.rpartition("-")[0] for one in before} == hospital.series()
    assert hospital.agent("qc", "verify")["ok"]


def running(hospital: Hospital) -> str:
    """The version of the process that runs, and of the command."""
    pid = hospital.machine.pid("frontend-agent")
    place = hospital.machine.run("readlink", f"/proc/{pid}/exe").strip()
    told = hospital.machine.run("frontend-agent", "--version").strip()
    assert f"/versions/{told}/" in place
    return told


def test_a_version_that_works_is_watched_and_confirmed(hospital: Hospital, made: Package) -> None:
    before = hospital.ids()
    file = give(hospital, made, "9.1.0")
    told = upgrade(hospital, "install", file, "--watch-minutes", "0.4")
    assert (told["outcome"], told["version"], told["before"]) == ("confirmed", "9.1.0", made.version)
    assert running(hospital) == "9.1.0"
    hospital.corrects("one")
    arrives(hospital, before)


def test_a_file_with_one_bit_changed_is_refused_and_nothing_happens(hospital: Hospital, made: Package) -> None:
    file = give(hospital, made, "9.1.1")
    path = hospital.machine.path(file)
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    done = hospital.machine.says("frontend-agent", "upgrade", "install", file, within=120)
    path.unlink()
    assert done.returncode == 1
    assert "not as it was signed" in done.stderr
    assert running(hospital) == "9.1.0"


def test_a_version_that_does_not_run_is_taken_back_by_itself(hospital: Hospital, made: Package) -> None:
    before = hospital.ids()
    told = upgrade(hospital, "install", give(hospital, made, "9.2.0", broken=True), "--watch-minutes", "5", code=1)
    assert told["outcome"] == "returned"
    assert "frontend-agent.service" in told["reason"]
    assert running(hospital) == "9.1.0"
    hospital.corrects("two")
    arrives(hospital, before)


def test_the_power_goes_in_the_middle_of_a_trial(hospital: Hospital, made: Package) -> None:
    before = hospital.ids()
    upgrade(hospital, "install", give(hospital, made, "9.3.0"), "--watch-minutes", "0.4", "--no-wait")
    eventually(
        lambda: hospital.machine.run("readlink", "/opt/frontend-agent/current").strip().endswith("9.3.0"), within=60
    )
    hospital.machine.cut_power()
    hospital.machine.boot()
    eventually(lambda: not hospital.machine.path("/opt/frontend-agent/trial.json").exists(), within=180, every=1.0)
    assert upgrade(hospital, "status")["history"][0]["outcome"] == "confirmed"  # type: ignore[index]
    assert running(hospital) == "9.3.0"
    hospital.corrects("three")
    arrives(hospital, before)


def test_a_person_goes_back_and_nothing_is_lost(hospital: Hospital) -> None:
    before = hospital.ids()
    told = upgrade(hospital, "rollback", "--reason", "tried")
    assert (told["outcome"], told["before"]) == ("returned", "9.1.0")
    assert running(hospital) == "9.1.0"
    hospital.corrects("four")
    arrives(hospital, before)
    assert hospital.machine.says("frontend-agent", "status", "--config", str(CONFIG), "--state", STATE).returncode == 0


# --- what the platform offers ------------------------------------------------------------------------------------------


def configure(hospital: Hospital, more: str) -> None:
    hospital.machine.path(str(CONFIG)).write_text(AGENT + more, "utf-8")
    hospital.machine.run("systemctl", "restart", "frontend-agent", within=60)


def offers(hospital: Hospital, file: str, version: str) -> None:
    """What an administrator of the region types at the platform."""
    for command in (["add", file], ["offer", version, "--all"]):
        hospital.machine.run("frontend-agent", "platform", "upgrades", *command, "--state", PLATFORM_STATE, within=120)


def at_platform(hospital: Hospital, version: str) -> tuple[str, str]:
    """(state, reason) of the one hospital, as the region sees it."""
    told = hospital.machine.run(
        "frontend-agent", "platform", "upgrades", "status", version, "--state", PLATFORM_STATE, "--json"
    )
    (one,) = json.loads(told)[0]["hospitals"]
    return one["state"], one["reason"]


def test_what_the_platform_offers_waits_for_a_person_where_the_hospital_says_nothing_else(
    hospital: Hospital, made: Package
) -> None:
    configure(hospital, OFFERS)
    present = running(hospital)
    offers(hospital, give(hospital, made, "9.4.0"), "9.4.0")
    eventually(lambda: at_platform(hospital, "9.4.0") == ("waiting", ""), within=90, every=1.0)
    assert upgrade(hospital, "status")["offer"]["actor"] == "hospital"  # type: ignore[index]
    # The agent's account asks for what agent.toml does not allow: the unit takes its word, and does nothing.
    hospital.machine.run("runuser", "-u", "frontend-agent", "--", "touch", f"{WAITING}/ready")
    eventually(lambda: not hospital.machine.path(f"{WAITING}/ready").exists(), within=60)
    eventually(
        lambda: hospital.machine.shows("frontend-agent-upgrade", "ActiveState")["ActiveState"] == "inactive", within=60
    )
    assert hospital.machine.journal("EVENT=upgrade.not_asked_for")
    assert running(hospital) == present


def test_where_the_hospital_wants_it_so_it_is_installed_by_itself_and_confirmed(hospital: Hospital) -> None:
    before = hospital.ids()
    configure(hospital, OFFERS + BY_ITSELF)
    eventually(lambda: at_platform(hospital, "9.4.0") == ("confirmed", ""), within=240, every=1.0)
    assert running(hospital) == "9.4.0"
    (newest, *_) = upgrade(hospital, "status")["history"]
    assert (newest["version"], newest["outcome"], newest["who"]) == ("9.4.0", "confirmed", "by itself")  # type: ignore[index]
    hospital.corrects("five")
    arrives(hospital, before)


def test_an_older_version_that_was_signed_is_not_installed_whoever_laid_it_there(
    hospital: Hospital, made: Package
) -> None:
    """What a broken agent could do: its account owns the folder. The unit verifies, and never leads back."""
    machine = hospital.machine
    shutil.copyfile(made.archive, machine.path(f"{WAITING}/offered.tar.zst"))
    machine.run("runuser", "-u", "frontend-agent", "--", "touch", f"{WAITING}/ready")
    eventually(lambda: upgrade(hospital, "status")["history"][0]["outcome"] == "refused", within=120, every=1.0)  # type: ignore[index]
    assert "never leads back" in upgrade(hospital, "status")["history"][0]["reason"]  # type: ignore[index]
    machine.run("ln", "-sf", "/etc/shadow", f"{WAITING}/offered.tar.zst")
    machine.run("runuser", "-u", "frontend-agent", "--", "touch", f"{WAITING}/ready")
    eventually(lambda: "nothing that was offered" in upgrade(hospital, "status")["history"][0]["reason"], within=60)  # type: ignore[index]
    assert running(hospital) == "9.4.0"


@pytest.mark.release  # follows the tests of offers before it; minutes of waiting for the return of a version
def test_an_offer_that_cannot_start_comes_back_and_the_platform_shows_why(hospital: Hospital, made: Package) -> None:
    before = hospital.ids()
    offers(hospital, give(hospital, made, "9.5.0", broken=True), "9.5.0")
    eventually(lambda: at_platform(hospital, "9.5.0")[0] == "returned", within=300, every=1.0)
    assert "frontend-agent.service" in at_platform(hospital, "9.5.0")[1]
    assert running(hospital) == "9.4.0"
    told = hospital.machine.run("frontend-agent", "platform", "upgrades", "list", "--state", PLATFORM_STATE, "--json")
    assert json.loads(told)[0]["offer"] == "stopped", "no other hospital begins with it"
    hospital.corrects("six")
    arrives(hospital, before)
    assert [one["kind"] for one in hospital.agent("alarms", "list")["alarms"]] == ["upgrade"]
