"""A password that a daemon works with is nowhere but in its place: not in files, the environment, arguments, logs or answers (L6)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.servers import PostgresServer

CANARY = "c4nary-ganz-geheim-7731"
PROGRAM = [sys.executable, "-m", "frontend_agent.cli.main"]
CONFIG = """
workers = 1
[institution]
id = "470001234"
name = "示范医院"
[sources.his]
url = "postgresql://kept@127.0.0.1:{port}/canary"
secret = "his_password"
[destinations.region]
url = "http://127.0.0.1:{nobody}"
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
every = "1s"
[log]
level = "debug"
[secrets]
folder = "{folder}/kept"
credentials = "{folder}/credentials"
"""


@pytest.fixture
def site(tmp_path: Path, postgres: PostgresServer) -> Path:
    postgres.create("canary")
    postgres.execute(f"DROP ROLE IF EXISTS kept; CREATE ROLE kept LOGIN PASSWORD '{CANARY}'")
    text = CONFIG.format(port=postgres.port, nobody=free_port(), folder=tmp_path)
    (tmp_path / "agent.toml").write_text(text, "utf-8")
    return tmp_path


def command(site: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], cwd=site, input=given, capture_output=True, text=True, timeout=60)


@contextmanager
def daemon(site: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (site / "journal").open("wb") as journal:
        process = subprocess.Popen([*PROGRAM, "run"], cwd=site, stdout=journal, stderr=journal)
        try:
            deadline = time.monotonic() + 30
            while not (site / "state" / "control.sock").exists():
                assert process.poll() is None, (site / "journal").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def family(process: int) -> list[int]:
    found = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def hits(site: Path) -> list[str]:
    """Files beside the place where it is kept that have it."""
    files = [path for path in site.rglob("*") if path.is_file() and path.parent != site / "kept"]
    assert files
    return [str(path.relative_to(site)) for path in files if CANARY.encode() in path.read_bytes()]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_password_is_in_no_file_environment_argument_log_or_answer(site: Path) -> None:
    kept = command(site, "secret", "set", "his_password", "--in", "file", given=CANARY + "\n")
    tried = command(site, "secret", "test", "his_password")
    assert (kept.returncode, tried.returncode) == (0, 0), tried
    said = [kept.stdout, kept.stderr, tried.stdout, tried.stderr]
    with daemon(site) as process:
        deadline = time.monotonic() + 20
        while "last_run" not in (told := command(site, "status", "--json").stdout) or '"ended_at"' not in told:
            assert time.monotonic() < deadline  # it logged in, and what is wrong with the tables is a run's problem
            time.sleep(0.2)
        said.append(told)
        for pid in family(process.pid):
            said.append(Path(f"/proc/{pid}/cmdline").read_text())
            said.append(Path(f"/proc/{pid}/environ").read_text())
            limits = Path(f"/proc/{pid}/limits").read_text()
            core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
            assert core.split()[4:6] == ["0", "0"], "a dump of its memory would hold it"
        for arguments in (["secret", "list"], ["source", "list"], ["doctor", "his"], ["check"]):
            answered = command(site, *arguments)
            said += [answered.stdout, answered.stderr]
    assert not [text for text in said if CANARY in text]
    assert not hits(site)
    (site / "planted").write_text(CANARY)
    assert hits(site) == ["planted"]  # the search finds what is there


def test_a_refused_password_is_not_in_what_is_said_of_it(site: Path) -> None:
    wrong = CANARY + "-wrong"
    assert command(site, "secret", "set", "his_password", "--in", "file", given=wrong).returncode == 0
    tried = command(site, "secret", "test", "--json")
    assert tried.returncode == 78
    assert "password" in tried.stdout
    ran = command(site, "once")
    assert ran.returncode in (1, 78)
    assert CANARY not in tried.stdout + tried.stderr + ran.stdout + ran.stderr
    assert not hits(site)
    assert os.environ.get("CREDENTIALS_DIRECTORY") is None
