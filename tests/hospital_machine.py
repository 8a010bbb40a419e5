"""A hospital's front-end machine as its IT sets it up: a fresh Debian without a network, the package, a real PostgreSQL HIS beside
the agent, the platform as a unit of its own."""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frontend_agent.demo.hospital import create_hospital
from tests.nspawn_kit import Machine, eventually
from tests.package_kit import package

VISITS = 60
PASSWORD = "only-in-this-machine"
UNITS = ("frontend-agent", "frontend-platform")

AGENT = """\
[institution]
id = "999000013"
name = "示范市第一人民医院"

[sources.lis]
url = "postgresql://reader@127.0.0.1/lis"
secret = "lis_password"

[destinations.platform]
type = "platform"
url = "http://127.0.0.1:8480"

[[feeds]]
name = "lab_report"
source = "lis"
mapping = "mappings/demo_lis/lab_report.toml"
every = "3s"
"""


class Hospital:
    """The machine, and what a person does at it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def install(self, package: Path) -> str:
        """`dpkg -i`, from a stick."""
        shutil.copyfile(package, self.machine.path("/srv/frontend-agent.deb"))
        try:
            return self.machine.run("dpkg", "--install", "/srv/frontend-agent.deb", within=300)
        finally:
            self.machine.path("/srv/frontend-agent.deb").unlink()

    def laboratory(self, folder: Path, mappings: Path) -> None:
        """The LIS, in PostgreSQL, and an account there that may read."""
        create_hospital(folder, VISITS)
        self.machine.run("systemctl", "start", "postgresql")
        self.machine.run("systemctl", "enable", "postgresql")
        self.sql("CREATE DATABASE lis", database="postgres")
        script = f"{as_postgres(folder / 'lis.db')}\nCREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';"
        self.sql(f"{script}\nGRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;")
        target = self.machine.path("/etc/frontend-agent/mappings/demo_lis")
        shutil.copytree(mappings / "demo_lis", target)
        for path in target.rglob("*.sql"):  # the demonstration's own is SQLite
            text = path.read_text("utf-8")
            text = text.replace("NOT GLOB '*[^0-9.]*'", "!~ '[^0-9.]'").replace("GLOB '*[^0-9.]*'", "~ '[^0-9.]'")
            path.write_text(text, "utf-8")

    def sql(self, script: str, database: str = "lis") -> str:
        return self.machine.run(
            "runuser", "-u", "postgres", "--", "psql", "-qAt", "-v", "ON_ERROR_STOP=1", database, input=script
        )

    def corrects(self, note: str) -> None:
        """The laboratory corrects a report: it is newer than all others."""
        newer = "to_char((SELECT max(xgsj) FROM lis_bg)::timestamp + interval '1 minute', 'YYYY-MM-DD HH24:MI:SS')"
        self.sql(
            f"UPDATE lis_bg SET bgbz = '{note}', xgsj = {newer}"
            " WHERE bgh = (SELECT min(bgh) FROM lis_bg WHERE bgzt = '3' AND zfbz = '0')"
        )

    def configure(self, text: str = AGENT) -> None:
        """What a person does after `dpkg -i`: init, edit, a password, a check."""
        self.machine.run("frontend-agent", "init", "--config", "/etc/frontend-agent/agent.toml")
        path = self.machine.path("/etc/frontend-agent/agent.toml")
        path.write_text(text, "utf-8")  # edited: owner and mode stay
        self.machine.run("systemd-tmpfiles", "--create", "frontend-agent.conf")
        self.machine.run("frontend-agent", "secret", "set", "lis_password", "--config", str(CONFIG), input=PASSWORD)
        self.machine.run("systemctl", "daemon-reload")

    def start(self) -> None:
        self.machine.run("systemctl", "enable", "--now", *(f"{unit}.service" for unit in UNITS))

    def agent(self, *arguments: str) -> Any:
        """The answer of a command of the agent."""
        told = self.machine.run("frontend-agent", *arguments, "--config", str(CONFIG), "--state", STATE, "--json")
        return json.loads(told)

    def documents(self) -> list[dict[str, Any]]:
        """What the platform holds."""
        told = self.machine.run(
            "frontend-agent", "platform", "documents", "--state", PLATFORM_STATE, "--json", "-n", "100000"
        )
        found: list[dict[str, Any]] = json.loads(told)
        return found

    def ids(self) -> set[str]:
        """The newest version of each document that the platform holds: a corrected one has another id."""
        return {one["document_id"] for one in self.documents()}

    def series(self) -> set[str]:
        """The same without the numbers of their versions."""
        return {one.rpartition("-")[0] for one in self.ids()}

    def is_settled(self) -> bool:
        """Everything that was read is at the platform, and proven."""
        told = self.machine.says("frontend-agent", "status", "--config", str(CONFIG), "--state", STATE, "--json")
        if told.returncode:
            return False
        status = json.loads(told.stdout)
        return bool(status["feeds"][0]["last_run"]) and all(not one["waiting"] for one in status["destinations"])

    def await_settled(self, within: float = 90.0) -> None:
        eventually(self.is_settled, within, every=0.5, what="everything delivered")


CONFIG = Path("/etc/frontend-agent/agent.toml")
STATE = "/var/lib/frontend-agent"
PLATFORM_STATE = "/var/lib/frontend-platform"


def as_postgres(file: Path) -> str:
    """The tables of an SQLite file and their rows, as psql takes them."""
    lines = []
    with sqlite3.connect(file) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            (made,) = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchone()
            lines += [f"{made.replace('WITHOUT ROWID', '')};", f"COPY {table} FROM stdin;"]
            lines += ["\t".join(map(_copied, row)) for row in database.execute(f"SELECT * FROM {table}")]
            lines.append("\\.")
    return "\n".join(lines)


def _copied(value: object) -> str:
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def the_package() -> Path:
    """The .deb that is tried: made of this checkout, or one that FRONTEND_AGENT_DEB names."""
    given = os.environ.get("FRONTEND_AGENT_DEB")
    return Path(given) if given else package().deb


def hospital_on(machine: Machine, package: Path, folder: Path, mappings: Path) -> Iterator[Hospital]:
    """Booted, installed, configured and started."""
    hospital = Hospital(machine)
    machine.boot()
    hospital.install(package)
    hospital.laboratory(folder, mappings)
    hospital.configure()
    hospital.start()
    hospital.await_settled()
    yield hospital
