"""A password as systemd keeps it, in a machine with systemd as its first process: encrypted on the disk, in the service's hands, and nowhere
else that somebody could look: unit, environment, arguments, journal, files (L6)."""

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nspawn_kit import Machine, eventually, machine

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # machines boot one at a time
CANARY = "c4nary-von-systemd-7731"
BASE = Path(sys.base_prefix).resolve()
VENV = Path(sys.prefix).resolve()
LIBRARIES = f"/usr/lib/{platform.machine()}-linux-gnu"  # of this machine: what its interpreter is linked with
PROGRAM = (
    f"env LD_LIBRARY_PATH={BASE}/lib:/libraries PYTHONPATH={REPOSITORY} {VENV}/bin/python -m frontend_agent.cli.main"
)
CONFIG = """
workers = 0
[institution]
id = "470001234"
name = "示范医院"
[sources.his]
url = "postgresql://kept@127.0.0.1:5432/postgres"
secret = "his_password"
[destinations.region]
url = "http://127.0.0.1:1"
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
every = "1s"
[at_rest]
key = "at_rest_key"
[log]
level = "debug"
"""
UNIT = f"""
[Service]
Type=notify
ExecStart=/usr/bin/{PROGRAM} run --config /etc/frontend-agent/agent.toml
StateDirectory=frontend-agent
LimitCORE=0
"""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    shown = [f"--bind-ro={path}" for path in {REPOSITORY, BASE, VENV}] + [f"--bind-ro={LIBRARIES}:/libraries"]
    with machine(folder / "m", *shown) as made:
        made.put("/etc/frontend-agent/agent.toml", CONFIG)
        made.put("/etc/systemd/system/frontend-agent.service", UNIT)
        made.boot()
        made.run("systemctl", "start", "postgresql")
        made.run("runuser", "-u", "postgres", "--", "psql", "-q", input=f"CREATE ROLE kept LOGIN PASSWORD '{CANARY}';")
        yield made


def agent(hospital: Machine, *arguments: str, given: str | None = None, code: int = 0) -> str:
    return hospital.run(
        *PROGRAM.split(), "--config", "/etc/frontend-agent/agent.toml", *arguments, input=given, code=code
    )


def test_a_password_is_set_encrypted_handed_over_and_shown_nowhere(hospital: Machine) -> None:
    assert "missing" in agent(hospital, "secret", "list", code=78)
    said = [agent(hospital, "secret", "set", "his_password", given=CANARY + "\n")]
    assert "systemctl daemon-reload" in said[0]
    said.append(agent(hospital, "secret", "set", "at_rest_key", "--random"))
    said.append(agent(hospital, "secret", "list"))  # root sees that they are there
    said.append(agent(hospital, "secret", "test", "his_password"))  # and logs in with it
    hospital.run("systemctl", "daemon-reload")
    hospital.run("systemctl", "restart", "frontend-agent")
    pid = hospital.pid("frontend-agent")

    given = hospital.run("nsenter", f"--target={pid}", "--mount", "ls", "/run/credentials/frontend-agent.service")
    assert set(given.split()) == {"his_password", "at_rest_key"}
    logged_in = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'kept'"
    eventually(
        lambda: int(hospital.run("runuser", "-u", "postgres", "--", "psql", "-tA", "-c", logged_in)) > 0, within=60
    )
    said += [
        hospital.run("systemctl", "show", "frontend-agent"),
        hospital.run("systemctl", "cat", "frontend-agent"),
        hospital.run("systemctl", "status", "frontend-agent"),
        hospital.run("journalctl", "--no-pager", "--output=export"),
        hospital.run("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"),
    ]
    assert not [text for text in said if CANARY in text]
    hospital.run("systemctl", "stop", "frontend-agent")
    assert (hospital.path("/var/lib/frontend-agent/spool.db")).read_bytes().startswith(b"FAREST-P")
    assert files_with(CANARY, hospital) == []
    hospital.put("/var/lib/planted", CANARY)
    assert files_with(CANARY, hospital) == ["var/lib/planted"]


def files_with(text: str, hospital: Machine) -> list[str]:
    """Everything that was written since the machine was made."""
    upper = hospital.root.parent / "upper"
    folder = upper if any(upper.iterdir()) else hospital.root
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes():
            found.append(str(path.relative_to(folder)))
    return sorted(found)


def test_a_credential_of_another_machine_is_told_so(hospital: Machine) -> None:
    agent(hospital, "secret", "set", "his_password", given="x")
    hospital.run("rm", "/var/lib/systemd/credential.secret")
    hospital.run("systemd-creds", "setup")
    done = hospital.says(
        *PROGRAM.split(), "--config", "/etc/frontend-agent/agent.toml", "secret", "test", "his_password"
    )
    assert done.returncode == 78
    assert "encrypted on another machine" in done.stdout + done.stderr
    assert os.environ.get("CREDENTIALS_DIRECTORY") is None
