"""Joining at the command line: platform and agent as processes, as the guide tells it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HOSPITAL = "470000001"


def ran(*arguments: object, folder: Path, typed: str = "", expected: int = 0) -> str:
    """What a command says, on both streams."""
    done = subprocess.run(
        [sys.executable, "-m", "frontend_agent.cli.main", *map(str, arguments)],
        cwd=folder, input=typed, capture_output=True, text=True, timeout=120, env={**os.environ, "LANG": "en_US.UTF-8"},
    )  # fmt: skip
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + (done.stderr if expected else "")


class Site(NamedTuple):
    folder: Path
    port: int

    def platform(self, *arguments: object, **more: Any) -> str:
        return ran("--state", self.folder / "region", "platform", *arguments, folder=self.folder, **more)

    def agent(self, *arguments: object, **more: Any) -> str:
        return ran(*arguments, folder=self.folder, **more)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    found = Site(tmp_path, port)
    ran("--state", tmp_path / "region", "platform", "ca", "init", "--root-key", tmp_path / "root.key", folder=tmp_path)
    (tmp_path / "agent.toml").write_text(f"""
[institution]
id = "{HOSPITAL}"
name = "示范县人民医院"
[sources.his]
url = "sqlite:///his.db"
[destinations.platform]
url = "https://localhost:{port}"
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
""")
    command = [
        "--state",
        "region",
        "platform",
        "serve",
        "--port",
        "0",
        "--tls",
        f"127.0.0.1:{port}",
        "--name",
        "localhost",
    ]
    with (tmp_path / "region.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "frontend_agent.cli.main", *command], cwd=tmp_path, stdout=log, stderr=log)  # fmt: skip
    try:
        ends = time.monotonic() + 60
        while "platform ready" not in (tmp_path / "region.log").read_text():
            assert time.monotonic() < ends and server.poll() is None, (tmp_path / "region.log").read_text()  # noqa: PT018
            time.sleep(0.2)
        yield found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def test_from_nothing_to_a_certificate_and_out_again(site: Site) -> None:
    made = json.loads(site.platform("enroll-token", HOSPITAL, "--json"))
    assert made["token"].startswith("fa1.")

    wrong = site.agent("enroll", "--token", made["token"], "--ca-fingerprint", "00" * 32, expected=1)
    assert "another platform" in wrong
    said = site.agent("enroll", "--token", made["token"], "--ca-fingerprint", made["ca_fingerprint"])
    assert HOSPITAL in said

    (own,) = json.loads(site.agent("certificate", "--json"))
    assert own["institutions"] == [HOSPITAL]
    assert own["days_left"] > 89
    assert own["problems"] == []
    (there,) = json.loads(site.platform("certificates", "--json"))
    assert (there["serial"], there["state"]) == (own["serial"], "valid")

    site.agent("certificate", "--renew")
    (renewed,) = json.loads(site.agent("certificate", "--json"))
    assert renewed["serial"] != own["serial"]

    told = json.loads(site.platform("revoke", HOSPITAL, "--reason", "machine stolen", "--json"))
    assert {one["serial"] for one in told} == {own["serial"], renewed["serial"]}
    out = site.agent("certificate", "--renew", expected=1)
    assert "machine stolen" in out

    site.agent("certificate", "--leave", f"https://localhost:{site.port}")
    assert json.loads(site.agent("certificate", "--json")) == []
    assert not list((site.folder / "state" / "identity").glob("*/*"))


def test_a_machine_that_waits_for_approval(site: Site) -> None:
    token = json.loads(site.platform("enroll-token", HOSPITAL, "--approve", "--json"))["token"]

    waits = site.agent("enroll", typed=token + "\n", expected=1)
    (one,) = json.loads(site.platform("enrolments", "--waiting", "--json"))
    shown = re.search(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", waits)
    assert shown
    assert shown[0].replace(":", "").lower() == one["key_sha256"]  # what both sides read to one another
    assert shown[0] in site.platform("enrolments")

    site.platform("approve", one["id"])
    assert "470000001" in site.agent("enroll", typed=token + "\n")


def test_what_is_wrong_is_told_with_its_mend(site: Site) -> None:
    assert "not all of it" in site.agent("enroll", "--token", "fa1.half", expected=1)
    other = json.loads(site.platform("enroll-token", "470000002", "--json"))["token"]
    assert "agent.toml says 470000001" in site.agent("enroll", "--token", other, expected=1)
    assert "https alone" in site.agent("enroll", "--token", other, "--platform", "http://127.0.0.1:1", expected=78)
    assert "ca rotate" in site.platform("ca", "init", "--root-key", site.folder / "another.key", expected=1)
    assert "No such file" in site.platform("ca", "renew", "--root-key", site.folder / "missing.key", expected=78)
    assert "no authority yet" in ran("--state", site.folder / "new", "platform", "enroll-token", "1", folder=site.folder, expected=78)  # fmt: skip


def test_the_root_is_exchanged_at_the_command_line(site: Site) -> None:
    token = json.loads(site.platform("enroll-token", HOSPITAL, "--json"))["token"]
    site.agent("enroll", "--token", token)
    site.agent("certificate", "--renew")

    site.platform("ca", "rotate", "--root-key", site.folder / "next.key")
    assert "not ready yet" in site.platform("ca", "rotate", "--switch", expected=1)
    site.agent("certificate", "--renew")  # what the running agent does every five minutes
    site.platform("ca", "rotate", "--switch")
    time.sleep(3)  # the server looks every second
    assert "not ready yet" in site.platform("ca", "rotate", "--retire", expected=1)
    site.agent("certificate", "--renew")
    told = json.loads(site.platform("ca", "rotate", "--retire", "--json"))

    assert [one["state"] for one in told["authorities"]] == ["current", "gone"]
    time.sleep(3)
    site.agent("certificate", "--renew")
    assert oct((site.folder / "next.key").stat().st_mode)[-3:] == "600"
    assert not [path for path in (site.folder / "region").rglob("*") if path.is_file() and (site.folder / "next.key").read_bytes() in path.read_bytes()]  # fmt: skip


def test_a_root_key_with_a_passphrase(tmp_path: Path) -> None:
    state = ("--state", tmp_path / "region", "platform", "ca")
    ran(*state, "init", "--root-key", tmp_path / "root.key", "--passphrase", folder=tmp_path, typed="geheim\ngeheim\n")
    assert b"ENCRYPTED" in (tmp_path / "root.key").read_bytes()
    assert "password is wrong" in ran(*state, "renew", "--root-key", tmp_path / "root.key", "--passphrase", folder=tmp_path, typed="falsch\n", expected=78)  # fmt: skip
    ran(*state, "renew", "--root-key", tmp_path / "root.key", "--passphrase", folder=tmp_path, typed="geheim\n")

    told = json.loads(ran(*state, "show", "--json", folder=tmp_path))
    assert [one["state"] for one in told["authorities"]] == ["current", "retiring"]
    assert len({one["root_fingerprint"] for one in told["authorities"]}) == 1
    assert ran(*state, "show", "--pem", folder=tmp_path).count("BEGIN CERTIFICATE") == 1
