"""Another version of the program: what is verified, what is written when, and what brings the one before back."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent import program
from frontend_agent.upgrading import (
    RESTARTS,
    UNITS,
    Trial,
    UpgradeProblem,
    Watch,
    begin,
    confirm,
    current_version,
    end_trial,
    history,
    must_read,
    point,
    previous,
    read_trial,
    roll_back,
    stage,
    verdict,
    versions,
    working,
)
from tests.upgrade_kit import KEYS, archive


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine on which 1.0 runs."""
    home = tmp_path / "opt"
    (home / "versions").mkdir(parents=True)
    stage(archive(tmp_path, "1.0"), KEYS, home)
    point(home, "current", "1.0")
    return home


class Machine:
    """Services as an upgrade sees them; `behaves` says what a version makes of them."""

    def __init__(self, home: Path, behaves: Callable[[str, str, float], tuple[str, int]] | None = None) -> None:
        self.home, self.behaves, self.now = home, behaves, 0.0
        self.log: list[str] = []
        self.feeds = {"lab_report": ""}
        self.silent = False
        self.at_look: dict[int, Callable[[], object]] = {}
        self.looks = 0

    def restart(self, unit: str) -> None:
        self.log.append(f"restart {unit.removesuffix('.service')} {current_version(self.home)}")

    def state(self, unit: str) -> tuple[str, int]:
        if self.behaves is not None:
            return self.behaves(unit, current_version(self.home), self.now)
        return "active", 0

    def status(self) -> Mapping[str, Any] | None:
        if self.silent and current_version(self.home) != "1.0":
            return None
        return {
            "feeds": [
                {
                    "name": name,
                    "last_run": {"ended_at": "9999", "problem": problem if current_version(self.home) != "1.0" else ""},
                }
                for name, problem in self.feeds.items()
            ],
            "destinations": [{"name": "platform", "problem": ""}],
        }

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.looks += 1
        self.at_look.pop(self.looks, lambda: None)()

    def watch(self) -> str:
        return Watch(self.home, self, lambda: self.now, self.sleep).run()


def upgraded(home: Path, machine: Machine) -> str:
    stage(archive(home.parent, "2.0"), KEYS, home)
    begin(home, "2.0", "wang", machine)
    return machine.watch()


def test_what_works_for_ten_minutes_is_confirmed(home: Path) -> None:
    machine = Machine(home)
    assert upgraded(home, machine) == "confirmed"
    assert current_version(home) == "2.0"
    assert machine.log == ["restart frontend-agent 2.0", "restart frontend-platform 2.0"]
    assert machine.now >= 600.0
    assert read_trial(home) is None
    assert history(home)[0]["outcome"] == "confirmed"
    assert set(versions(home)) == {"1.0", "2.0"}
    assert previous(home) == "1.0"


@pytest.mark.parametrize(
    ("behaves", "reason"),
    [
        (
            lambda unit, version, now: ("failed" if version == "2.0" and unit == UNITS[0] else "active", 0),
            "does not start",
        ),
        (
            lambda unit, version, now: ("active", RESTARTS if version == "2.0" and now > 30 else 0),
            "begun again 3 times",
        ),
        (lambda unit, version, now: ("activating" if version == "2.0" else "active", 0), "not running"),
    ],
)
def test_what_does_not_run_is_taken_back(home: Path, behaves: Any, reason: str) -> None:
    machine = Machine(home, behaves)
    assert upgraded(home, machine) == "returned"
    assert current_version(home) == "1.0"
    assert machine.log[-1].endswith("1.0")
    assert reason in history(home)[0]["reason"]


def test_an_agent_that_does_not_answer_is_taken_back(home: Path) -> None:
    machine = Machine(home)
    machine.silent = True
    assert upgraded(home, machine) == "returned"
    assert "has not answered" in history(home)[0]["reason"]
    assert 120 < machine.now < 200


def test_a_feed_that_worked_before_and_does_not_any_more_brings_the_version_before_back(home: Path) -> None:
    machine = Machine(home)
    machine.feeds["lab_report"] = "column sex is not there"
    assert upgraded(home, machine) == "returned"
    assert "feed lab_report" in history(home)[0]["reason"]


def test_an_answer_that_fails_at_the_last_look_is_waited_for(home: Path) -> None:
    machine = Machine(home)
    machine.at_look[119] = lambda: setattr(machine, "silent", True)
    machine.at_look[122] = lambda: setattr(machine, "silent", False)
    assert upgraded(home, machine) == "confirmed"
    assert 600 < machine.now < 660


def test_a_feed_that_did_not_work_before_is_no_reason(home: Path) -> None:
    machine = Machine(home)
    stage(archive(home.parent, "2.0"), KEYS, home)
    begin(home, "2.0", "wang", machine)
    trial = read_trial(home)
    assert trial is not None
    assert trial.worked == ("agent", "destination platform", "feed lab_report")
    status = {"feeds": [{"name": "a", "last_run": {"ended_at": "5", "problem": ""}}], "destinations": []}
    assert working(status, since="6") == {"agent"}, "a run of before says nothing about the new version"
    assert working(status, since="4") == {"agent", "feed a"}


def test_a_person_confirms_sooner_or_goes_back_at_once(home: Path) -> None:
    machine = Machine(home)
    machine.at_look[2] = lambda: confirm(home, "li")
    assert upgraded(home, machine) == "confirmed"
    assert machine.now == 10.0
    roll_back(home, "li", "the doctors complain", machine)
    assert machine.watch() == "returned"
    assert current_version(home) == "1.0"
    assert history(home)[0] | {"at": ""} == {
        "at": "", "version": "2.0", "before": "1.0", "outcome": "returned", "reason": "the doctors complain", "who": "li",
    }  # fmt: skip


def test_a_trial_is_gone_back_from_while_it_is_watched(home: Path) -> None:
    machine = Machine(home)
    machine.at_look[3] = lambda: roll_back(home, "li", "now", machine)
    assert upgraded(home, machine) == "returned"
    assert current_version(home) == "1.0"


def test_only_what_an_upgrade_laid_and_nobody_goes_back_to_is_dropped(home: Path) -> None:
    machine = Machine(home)
    assert upgraded(home, machine) == "confirmed"
    for version in ("3.0", "4.0"):
        stage(archive(home.parent, version), KEYS, home)
        begin(home, version, "wang", machine)
        assert machine.watch() == "confirmed"
    assert set(versions(home)) == {"1.0", "3.0", "4.0"}, "1.0 came with a package"
    assert previous(home) == "3.0"


def test_two_trials_at_once_and_confirming_nothing_are_refused(home: Path) -> None:
    machine = Machine(home)
    stage(archive(home.parent, "2.0"), KEYS, home)
    begin(home, "2.0", "wang", machine)
    with pytest.raises(UpgradeProblem, match="is being tried"):
        begin(home, "2.0", "wang", machine)
    with pytest.raises(UpgradeProblem, match="does not run yet"):
        confirm(home, "wang")
    end_trial(home, Trial(version="2.0", before="1.0"), "confirmed")
    with pytest.raises(UpgradeProblem, match="nothing is being tried"):
        confirm(home, "wang")
    with pytest.raises(UpgradeProblem, match="runs already"):
        stage(archive(home.parent, "1.0"), KEYS, home)
    with pytest.raises(UpgradeProblem, match="made for riscv64"):
        stage(archive(home.parent, "3.0", machine="riscv64"), KEYS, home)


def test_one_bit_changed_anywhere_in_the_file_is_refused_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    whole = archive(tmp_path, "2.0").read_bytes()
    step = max(len(whole) // 200, 1)
    changed = tmp_path / "changed.tar.zst"
    tried = 0
    for place in range(0, len(whole), step):
        changed.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << (place % 8))]) + whole[place + 1 :])
        with pytest.raises(program.NotTheProgram):
            stage(changed, KEYS, home)
        tried += 1
    assert tried >= 200
    assert os.listdir(home / "versions") == ["1.0"]
    with pytest.raises(program.NotTheProgram, match="not trusted"):
        stage(archive(tmp_path, "2.0", key=Ed25519PrivateKey.generate()), KEYS, home)


def test_a_version_that_was_damaged_on_the_disk_is_laid_anew(home: Path, tmp_path: Path) -> None:
    stage(archive(tmp_path, "2.0"), KEYS, home)
    (home / "versions/2.0/lib/a.py").write_bytes(b"")
    stage(archive(tmp_path, "2.0"), KEYS, home)
    assert program.verify_folder(home / "versions/2.0", KEYS).version == "2.0"


def test_a_version_that_cannot_read_the_state_is_refused_with_what_to_do() -> None:
    present = {"spool": 25, "spool_reads_from": 24, "platform": 6, "platform_reads_from": 5}
    must_read({"spool": 24, "platform": 5}, present, "1.0", "2.0")
    with pytest.raises(UpgradeProblem, match="knows the spool's schema up to 23"):
        must_read({"spool": 23, "platform": 5}, present, "1.0", "2.0")


def test_a_trial_without_services_is_confirmed_by_time_alone() -> None:
    trial = Trial(version="2", before="1", watch_for=0.0)
    assert verdict(trial, {}, {"agent"}, 0.0, 0.0) == ""
    assert verdict(replace(trial, watch_for=5.0), {}, None, 0.0, 1.0) is None


def test_the_history_survives_a_torn_line(home: Path) -> None:
    end_trial(home, Trial(version="2.0", before="1.0"), "confirmed")
    with (home / "upgrades.jsonl").open("a") as file:
        file.write('{"at": "2026')
    assert len(history(home)) == 1
    assert json.dumps(history(home))
