"""The procedures of the operations runbook, typed as they stand there: in a folder for the machine's root, with a service that reads once
where systemd would start it. What needs a machine of its own (packages, systemd's credentials, certificates) has its tests elsewhere."""

import contextlib
import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from frontend_agent.cli.main import run
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.demo.run import agent_toml
from frontend_agent.platform.store import Store
from tests.conftest import REPOSITORY
from tests.guide_kit import blocks, without_comment
from tests.platform_kit import running

pytestmark = pytest.mark.slow

PAGES = {
    language: REPOSITORY / "docs/guide" / f"operations{ending}"
    for language, ending in (("zh", ".md"), ("en", ".en.md"))
}
ELSEWHERE = re.compile(
    r"sudo (journalctl|systemd-creds|apt) .*|.*frontend-agent (secret set|enroll|certificate --|console ).*"
)


@dataclass
class Machine:
    root: Path

    def type(self, line: str, code: int = 0) -> str:
        """One line of the page; what it said. The machine's folders are below `root`."""
        line = re.sub(r"(?<=\s)/(?=(?:srv|etc|var|media)\b|\s|$)", f"{self.root}/", line.removeprefix("sudo "))
        words = shlex.split(line)
        match words[0]:
            case "frontend-agent":
                done = self._ours(words[1:])
            case "systemctl":  # the service reads once where it would be started
                done = self._ours(["once"]) if {"start", "restart", "enable"} & {*words} else (0, "")
            case "chown" | "dpkg":  # no account of the service is here, and no package
                done = 0, ""
            case "install":
                (self.root / words[-1]).mkdir(mode=0o700)
                done = 0, ""
            case _:
                ran = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", line], capture_output=True, text=True, timeout=60, check=False
                )
                done = ran.returncode, ran.stdout + ran.stderr
        assert done[0] == code, f"{line}\n{done[1]}"
        return done[1]

    def _ours(self, words: list[str]) -> tuple[int, str]:
        said = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        shared = [
            "--config",
            f"{self.root}/etc/frontend-agent/agent.toml",
            "--state",
            f"{self.root}/var/lib/frontend-agent",
        ]
        with contextlib.chdir(self.root), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = run([*shared, "--lang", "en", *words])
        return code, said.buffer.getvalue().decode()  # type: ignore[attr-defined]  # a BytesIO


def section(language: str, number: int) -> list[str]:
    """The commands of a page's section, as they are typed."""
    parts = re.split(r"^## ", PAGES[language].read_text("utf-8"), flags=re.MULTILINE)
    found = re.findall(r"^ *```sh\n(.*?)^ *```$", parts[number], re.MULTILINE | re.DOTALL)
    return [line for block in found for one in block.splitlines() if (line := without_comment(one))]


DAY, BACKLOG, SOURCE, CERTIFICATE, DISK, BACKUP, RESTORE, MOVE, PERSON, LEAVE = range(1, 11)


def documents(machine: Machine) -> int:
    """At the platform."""
    with apsw.Connection(str(machine.root / "platform/index.sqlite"), flags=apsw.SQLITE_OPEN_READONLY) as index:
        return int(index.execute("SELECT count(*) FROM document").get)


@contextlib.contextmanager
def installed(root: Path) -> Iterator[Machine]:
    """A machine that has delivered what its hospital has, and the platform."""
    create_hospital(root / "hospital", 12, 1)
    for folder in ("etc/frontend-agent", "var/lib", "srv/backup", "media/usb", "hospital/pacs"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    store = Store(root / "platform").open()
    try:
        with running(store) as url:
            text = agent_toml(root / "hospital", url)
            (root / "etc/frontend-agent/agent.toml").write_text(f"workers = 0\n{text}", "utf-8")
            machine = Machine(root)
            machine.type("frontend-agent once")
            assert documents(machine) > 3
            yield machine
    finally:
        store.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One for all procedures: each leaves a machine that works."""
    with installed(tmp_path_factory.mktemp("machine")) as there:
        yield there


def test_what_is_typed_every_day_is_answered(machine: Machine) -> None:
    for number in (DAY, BACKLOG, SOURCE, DISK):
        for line in section("zh", number):
            if not ELSEWHERE.fullmatch(line):
                machine.type(line)


def test_a_backup_is_restored_and_nothing_is_sent_twice(machine: Machine) -> None:
    before = documents(machine)
    for line in section("zh", BACKUP):
        if not ELSEWHERE.fullmatch(line):
            machine.type(line)
    steps = section("zh", RESTORE)
    adopting = steps.index("sudo frontend-agent adopt")
    for line in steps[:adopting]:
        machine.type(line)
    assert "adopt" in machine.type("frontend-agent once", code=1)  # it refuses to work before somebody has said so
    for line in steps[adopting : adopting + 3]:
        machine.type(line)
    assert documents(machine) == before
    entries = json.loads(machine.type("frontend-agent qc log -n 50 --json"))
    assert "adopted" in {one["event"] for one in entries}


def test_without_a_backup_all_is_read_again_and_nothing_is_sent_twice(machine: Machine) -> None:
    before = documents(machine)
    machine.type(f"rm -rf {machine.root}/var/lib/frontend-agent.before")
    for line in section("zh", RESTORE)[6:]:
        machine.type(line)
    assert documents(machine) == before
    status = json.loads(machine.type("frontend-agent status --json"))
    assert [one["waiting"] for one in status["destinations"]] == [0]


def test_a_state_moves_to_a_new_machine(machine: Machine) -> None:
    before = documents(machine)
    steps = section("zh", MOVE)
    for line in steps[:2]:
        machine.type(line)
    machine.type(f"rm -r {machine.root}/etc/frontend-agent {machine.root}/var/lib/frontend-agent")
    for line in steps[2:]:
        if not ELSEWHERE.fullmatch(line):
            machine.type(line)
    assert documents(machine) == before
    assert "adopted" in machine.type("frontend-agent qc log -n 50")


def test_before_leaving_the_log_is_taken_away(machine: Machine) -> None:
    for line in section("zh", LEAVE):
        if not ELSEWHERE.fullmatch(line):
            machine.type(line)
    assert (machine.root / "quality-log.jsonl").read_bytes().startswith(b'{"qc_log":1')


def test_both_languages_type_the_same() -> None:
    for number in range(DAY, LEAVE + 1):
        assert section("zh", number) == section("en", number)
    assert blocks(PAGES["zh"])
