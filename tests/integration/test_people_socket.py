"""Three people with accounts of their own at a running agent: each does his part, and no more. The kernel says who asks."""

import json
import os
import pwd
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.app import App
from frontend_agent.config import load_config
from frontend_agent.control import answers_at
from frontend_agent.daemon import Daemon
from tests.conftest import REPOSITORY
from tests.console_kit import READS_ANY_FILE, SMALL

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="other accounts are asked for: only root may become them")

ACCOUNTS = {"daemon": "王芳", "bin": "李强", "sys": "赵敏"}  # accounts that every Debian has
CONFIG = (
    SMALL
    + """[people]
socket = "{socket}"
[[people.persons]]
name = "王芳"
account = "daemon"
role = "system"
[[people.persons]]
name = "李强"
account = "bin"
role = "security"
[[people.persons]]
name = "赵敏"
account = "sys"
role = "audit"
"""
)


class Site:
    """A running agent; commands are asked by accounts of this machine."""

    def __init__(self, folder: Path, app: App) -> None:
        self.folder = folder
        self.app = app

    def ask(self, account: str, *arguments: str, sudo: str = "") -> subprocess.CompletedProcess[str]:
        """By that account, in the service's group, which may open the people's socket and agent.toml.

        It keeps one capability, to read files: the interpreter that runs the tests may lie in a home directory.
        """
        become = ["setpriv", f"--reuid={account}", "--regid=root", "--clear-groups", *READS_ANY_FILE]
        command = [sys.executable, "-m", "frontend_agent.cli.main", "--config", str(self.folder / "agent.toml")]
        return subprocess.run(
            [*become, *command, *arguments],
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(REPOSITORY),
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                **({"SUDO_UID": sudo} if sudo else {}),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(entry.body) for entry in self.app.spool.log_entries()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = Path("/tmp") / f"people-{os.getpid()}"  # every account may pass
    folder.mkdir(mode=0o755)
    sockets = folder / "run"
    sockets.mkdir(mode=0o755)
    (folder / "agent.toml").write_text(CONFIG.format(socket=sockets / "people.sock"), encoding="utf-8")
    (folder / "agent.toml").chmod(0o640)
    config = load_config(folder / "agent.toml")
    try:
        with App(config, folder / "state") as app:
            running = Daemon(app)
            at_work = threading.Thread(target=running.run, daemon=True)
            at_work.start()
            end = time.monotonic() + 20
            while not answers_at(sockets / "people.sock") and time.monotonic() < end:
                time.sleep(0.05)
            yield Site(folder, app)
            running.stopping.set()
            at_work.join(20)
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_each_is_who_the_kernel_says(site: Site) -> None:
    for account, name in ACCOUNTS.items():
        told = json.loads(site.ask(account, "people", "me", "--json").stdout)
        assert (told["name"], told["account"]) == (name, account)


def test_each_does_his_part_and_is_refused_the_others(site: Site) -> None:
    paused = ("source", "pause", "his", "--for", "1h", "--reason", "存储迁移")
    assert site.ask("daemon", *paused).returncode == 0
    assert site.ask("sys", "qc", "verify").returncode == 0
    assert site.ask("bin", "withheld", "list").returncode == 0
    for account, command, may in (
        ("sys", paused, "system administrator (系统管理员)"),
        ("bin", paused, "system administrator (系统管理员)"),
        ("daemon", ("qc", "verify"), "audit administrator (审计管理员)"),
        ("daemon", ("withheld", "list"), "security administrator"),
    ):
        refused = site.ask(account, *command)
        assert refused.returncode == 1
        assert may in refused.stderr
    log = site.log()
    done = [(one["who"], one["role"], one["account"]) for one in log if one["event"] == "act"]
    assert done == [("王芳", "system", "daemon")]
    assert [one["who"] for one in log if one["event"] == "source.paused"] == ["王芳"]
    refused_acts = {(one["who"], one["act"]) for one in log if one["event"] == "act refused"}
    assert refused_acts >= {
        ("赵敏", "source_pause"),
        ("李强", "source_pause"),
        ("王芳", "qc_verify"),
        ("王芳", "withheld_list"),
    }


def test_patients_contents_need_a_reason(site: Site) -> None:
    without = site.ask("daemon", "quarantine", "show", "Q1")
    assert without.returncode == 1
    assert "--why" in without.stderr
    assert (
        "no case" in site.ask("daemon", "quarantine", "show", "Q1", "--why", "投诉").stderr
    )  # he may, and there is none
    (shown,) = [one for one in site.log() if one.get("shows")]
    assert (shown["who"], shown["reason"], shown["what"]) == ("王芳", "投诉", {"case": "Q1"})


def test_an_account_of_nobody_sees_how_it_goes_and_no_more(site: Site) -> None:
    assert site.ask("games", "status", "--json").returncode == 0
    refused = site.ask("games", "quarantine", "list")
    assert refused.returncode == 1
    assert "'games' is nobody's in [people]" in refused.stderr
    root = site.ask("root", "qc", "export")  # who may do everything on the machine has no part in it here
    assert root.returncode == 1


def test_root_through_sudo_is_the_person_behind_it_and_nobody_else_says_so(site: Site) -> None:
    told = json.loads(site.ask("root", "people", "me", "--json", sudo=str(uid_of("daemon"))).stdout)
    assert (told["name"], told["account"]) == ("王芳", "daemon")
    lied = json.loads(site.ask("games", "people", "me", "--json", sudo=str(uid_of("daemon"))).stdout)
    assert (lied["name"], lied["roles"]) == ("games", [])
    assert site.ask("root", "source", "resume", "his", sudo=str(uid_of("bin"))).returncode == 1
    assert site.ask("root", "source", "resume", "his", sudo=str(uid_of("daemon"))).returncode == 0
    entry = next(one for one in reversed(site.log()) if one["event"] == "act")
    assert (entry["who"], entry["account"], entry["through"]) == ("王芳", "daemon", "root")


def test_a_command_beside_the_agent_asks_the_one_that_runs(site: Site) -> None:
    chosen = ("rules", "pack", "activate", "national", "--state", str(site.folder / "state"))
    refused = site.ask("root", *chosen, sudo=str(uid_of("daemon")))
    assert refused.returncode == 1
    assert "this is for the security administrator" in refused.stderr
    assert not (site.folder / "state" / "packs").exists()
    assert site.ask("root", *chosen, sudo=str(uid_of("bin"))).returncode == 0
    entry = next(one for one in reversed(site.log()) if one["event"] == "act")
    assert (entry["act"], entry["who"], entry["what"]) == ("pack_activate", "李强", {"pack": "national"})


def uid_of(account: str) -> int:
    return pwd.getpwnam(account).pw_uid


def test_nobody_passes_for_another(site: Site) -> None:
    lies = site.ask("daemon", "source", "resume", "his", "--who", "李强")
    assert lies.returncode == 1
    assert "cannot act as '李强'" in lies.stderr


def test_the_state_directory_is_not_theirs(site: Site) -> None:
    assert (
        site.ask("daemon", "status", "--state", str(site.folder / "other")).returncode == 0
    )  # the people's socket answers
    assert (site.folder / "state").stat().st_mode & 0o077 == 0
    assert (site.folder / "run" / "people.sock").stat().st_mode & 0o777 == 0o660
