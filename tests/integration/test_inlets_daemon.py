"""Messages, from the sender's socket to the platform, with the real daemon: nothing is lost and nothing is there twice, however
often it is killed; what comes is taken at once, and can be looked on."""

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from connectors.mllp import Framer, Message, framed
from frontend_agent.er7 import read
from tests.integration.test_daemon import PROGRAM, Site, eventually
from tests.messages_kit import SHIPPED, report, site_mapping
from tests.ports import free_port

CONFIG = """
[institution]
id = "330100-H1"
name = "示范医院"

[inlets.lis]
type = "mllp"
port = {lis}

[destinations.platform]
url = "http://127.0.0.1:{platform}"

[[feeds]]
name = "lab_report"
source = "lis"
mapping = "lab.toml"
"""


class Laboratory:
    """A sender: one connection, one message after another; what was not acknowledged is sent again, the same bytes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: Any = None
        self._framer = Framer()

    def send(self, message: bytes, seconds: float = 60.0) -> str:
        """Until it is answered; the code of the answer."""
        import socket

        until = time.monotonic() + seconds
        while True:
            try:
                if self._socket is None:
                    self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
                    self._framer = Framer()
                self._socket.sendall(framed(message))
                while data := self._socket.recv(65_536):
                    for event in self._framer.receive(data):
                        if isinstance(event, Message):
                            return read(event.content.decode()).value("MSA-1")
                raise ConnectionError
            except OSError:
                if self._socket is not None:
                    self._socket.close()
                self._socket = None
                assert time.monotonic() < until, "nobody answers"
                time.sleep(0.05)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    import shutil

    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    site = Site(tmp_path, free_port())
    shutil.copytree(SHIPPED / "codes", tmp_path / "codes")
    (tmp_path / "lab.toml").write_text(site_mapping(), "utf-8")
    (tmp_path / "agent.toml").write_text(CONFIG.format(lis=free_port(), platform=site.port), "utf-8")
    return site


def port_of(site: Site) -> int:
    import tomllib

    return int(tomllib.loads((site.folder / "agent.toml").read_text("utf-8"))["inlets"]["lis"]["port"])


def looked_on(site: Site, laboratory: Laboratory) -> str:
    """What `inlet tap` shows of messages that come while it looks on."""
    arguments = [*PROGRAM, "inlet", "tap", "lis", "--json", "--count", "2"]
    with subprocess.Popen(arguments, cwd=site.folder, stdout=subprocess.PIPE, text=True) as tap:
        until = time.monotonic() + 60
        while tap.poll() is None and time.monotonic() < until:
            assert laboratory.send(report("R1", control_id="1")) == "AA"  # a duplicate is seen, too
            time.sleep(0.2)
        tap.kill()
        return tap.communicate()[0]


def test_what_is_sent_reaches_the_platform_at_once_and_can_be_looked_on(site: Site) -> None:
    with site.platform(), site.daemon() as daemon:
        laboratory = Laboratory(port_of(site))
        assert laboratory.send(report("R0", control_id="0")) == "AA"
        assert laboratory.send(report("R1", control_id="1")) == "AA"
        assert laboratory.send(report("R1", control_id="1")) == "AA"  # the same again
        assert laboratory.send(report("R2", control_id="1")) in ("AE", "AR")  # the same id, other bytes
        assert laboratory.send(report("R3", "P", control_id="3")) == "AA"
        seen = looked_on(site, laboratory)
        eventually(lambda: len(site.documents()) == 2)
        lines = [json.loads(line) for line in seen.splitlines()]
        assert lines[0]["type"].startswith("ORU^R01")
        assert "张小满" not in seen
        assert "11010519491231002X" not in seen
        (inlet,) = site.command("inlet", "list", "--json").json
        assert inlet["running"]
        assert (inlet["inbox"]["taken"], inlet["inbox"]["conflict"], inlet["for_a_person"]) == (3, 1, 1)
        assert "conflict" in site.command("inlet", "messages", "lis", "--only", "conflict").out
        number = site.command("inlet", "messages", "lis", "--only", "conflict", "--json").json[0]["id"]
        assert site.command("inlet", "read", "lis", str(number)).code == 0
        eventually(lambda: len(site.documents()) == 3)
        assert site.command("check").code in (0, 1)
        assert "without TLS" not in site.command("status").out  # from this machine alone
        (line,) = (line for line in site.command("status").out.splitlines() if line.startswith("lis "))
        assert line.split()[1] == "mllp"
        traced = site.command("trace", "lab_report", "R1")
        assert "ORU^R01" in traced.out  # the message that the document was made of
        assert (
            "hears messages"
            in site.command("backfill", "plan", "lab_report", "--from", "2026-01-01", "--to", "2026-02-01").err
        )
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(20) == 0


def delivered(site: Site) -> int:
    states = site.command("status", "--json").json["destinations"][0]["states"]
    return int(states.get("delivered", 0))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_any_moment_it_loses_nothing_that_it_acknowledged_and_has_no_second_effect(site: Site) -> None:
    """Each sender's reports come in versions; the daemon is killed again and again meanwhile."""
    random, port = Random(7), port_of(site)
    senders, versions, keys = 4, 3, 8
    answers: list[str] = []

    def work(who: int) -> None:
        laboratory = Laboratory(port)
        for version in range(versions):
            for key in range(keys):
                status = "F" if version == 0 else "C"
                message = report(f"R{who}-{key}", status, f"{who}-{key}-{version}", report_result=f"第{version}版")
                answers.append(laboratory.send(message, 200))

    threads = [threading.Thread(target=work, args=(who,), daemon=True) for who in range(senders)]
    with site.platform():
        for thread in threads:
            thread.start()
        for _ in range(4):
            with site.daemon() as daemon:
                time.sleep(0.3 + random.random() * 1.5)
                daemon.kill()
                daemon.wait()
        with site.daemon():
            for thread in threads:
                thread.join(200)
            assert Counter(answers) == {"AA": senders * versions * keys}
            everything = senders * versions * keys
            eventually(lambda: delivered(site) == everything, 60)
            status = site.command("status", "--json").json
            assert {state: n for state, n in status["destinations"][0]["states"].items() if n} == {
                "delivered": everything
            }
            assert status["feeds"][0]["counts"]["documents"] == everything  # no version twice
            newest = site.documents()
            assert Counter(one["version"] for one in newest) == {versions: senders * keys}
            (inlet,) = site.command("inlet", "list", "--json").json
            assert {state: n for state, n in inlet["inbox"].items() if n} == {"taken": everything}
            assert site.command("qc", "verify").code == 0


def test_an_inlet_whose_port_is_taken_says_so_and_begins_when_it_is_free(site: Site) -> None:
    import socket

    port = port_of(site)
    with socket.create_server(("127.0.0.1", port)), site.daemon():
        eventually(lambda: site.command("inlet", "list", "--json").json[0]["problem"])
        assert not site.command("inlet", "list", "--json").json[0]["running"]
    with site.daemon():
        eventually(lambda: site.command("inlet", "list", "--json").json[0]["running"])
        assert Laboratory(port).send(report("R1", control_id="1")) == "AA"  # no platform runs: it is kept all the same
