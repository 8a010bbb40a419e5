"""The agent as its operators meet it: a process, a state directory, a hospital and a platform."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.cli.work import example
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.demo.later import advance
from tests.ports import free_port
from tests.servers import PostgresServer

PROGRAM = [sys.executable, "-m", "frontend_agent.cli.main"]
VISITS = 60


@dataclass
class Answered:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Site:
    """A hospital with its agent.toml, and a platform that can be started and stopped."""

    folder: Path
    port: int

    def command(self, *arguments: str, **environment: str) -> Answered:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=os.environ | {"LANG": "C.UTF-8"} | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return Answered(done.returncode, done.stdout, done.stderr)

    def fails(self, code: int, *arguments: str) -> str:
        """The one line that a command says when it fails with that code."""
        answered = self.command(*arguments)
        assert answered.code == code, answered
        assert answered.err.count("\n") == 1, answered
        return answered.err.strip()

    def change(self, old: str, new: str) -> None:
        path = self.folder / "agent.toml"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    @contextmanager
    def platform(self) -> Iterator[None]:
        arguments = ["--state", "platform", "platform", "serve", "--port", str(self.port)]
        with started(self.folder, arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert "platform ready" in process.stdout.readline()
            yield

    @contextmanager
    def daemon(self, **environment: str) -> Iterator[subprocess.Popen[str]]:
        with started(self.folder, ["run"], stderr=subprocess.DEVNULL, **environment) as process:
            eventually(lambda: (self.folder / "state" / "control.sock").exists() or process.poll() is not None)
            yield process

    def extractors(self) -> list[int]:
        """The processes that read the sources of the running daemon."""
        return [pid for source in self.command("status", "--json").json["sources"] for pid in source["extractors"]]

    def documents(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.command(
            "platform", "documents", "--state", "platform", "--json", "-n", "100000"
        ).json
        return found

    def once(self) -> dict[str, dict[str, int]]:
        answered = self.command("once", "--json")
        assert answered.code == 0, answered
        return {feed["feed"]: feed["counts"] for feed in answered.json["feeds"]}


def family(process: int) -> list[int]:
    """A process and all that came of it."""
    found = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def open_files(process: int) -> set[Path]:
    return {Path(os.path.realpath(link)) for link in Path(f"/proc/{process}/fd").iterdir()}


@contextmanager
def started(
    folder: Path, arguments: list[str], stdout: Any = None, stderr: Any = None, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*PROGRAM, *arguments], cwd=folder, env=os.environ | environment, stdout=stdout, stderr=stderr, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def eventually(is_so: Callable[[], Any], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    create_hospital(folder, VISITS, 3)
    return folder


@pytest.fixture
def site(tmp_path: Path, hospital: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    shutil.copytree(hospital, tmp_path / "demo-state" / "hospital")
    (tmp_path / "agent.toml").write_text(example(), "utf-8")
    site = Site(tmp_path, free_port())
    site.change("127.0.0.1:8480", f"127.0.0.1:{site.port}")
    return site


def test_once_delivers_everything_and_again_nothing(site: Site) -> None:
    with site.platform():
        first = site.once()
        stored = site.documents()
        again = site.once()
        assert site.documents() == stored
    assert all(counts["documents"] for counts in first.values())
    assert len(stored) == sum(counts["documents"] for counts in first.values())
    assert not any(counts.get("documents") or counts.get("held") for counts in again.values())
    status = site.command("status", "--json").json
    assert status["destinations"][0]["states"]["delivered"] == len(stored)
    assert status["destinations"][0]["waiting"] == 0


@pytest.mark.slow
def test_what_changes_at_the_hospital_arrives_as_versions(site: Site) -> None:
    with site.platform():
        site.once()
        before = {one["document_id"] for one in site.documents()}
        advance(site.folder / "demo-state" / "hospital", 1)
        site.once()
        after = site.documents()
    newer = [one for one in after if one["version"] > 1]
    assert newer
    assert {one["replaces_id"] for one in newer} <= before


def test_the_daemon_delivers_answers_and_stops_when_it_is_told(site: Site) -> None:
    with site.platform(), site.daemon() as daemon:
        eventually(lambda: site.command("status", "--json").json["destinations"][0]["waiting"] == 0)
        eventually(lambda: len(site.documents()) > 100)
        control = site.folder / "state" / "control.sock"
        assert stat.S_IMODE(control.stat().st_mode) == 0o600

        status = site.command("status", "--json").json
        assert status["daemon"]["pid"] == daemon.pid
        assert {feed["name"] for feed in status["feeds"] if feed["next_run"]} == {
            "outpatient_visit", "prescription", "lab_report",
        }  # fmt: skip
        assert site.command("qc", "verify", "--json").json["ok"]
        groups = site.command("quarantine", "list", "--json").json
        assert groups["records"] <= sum(group["count"] for group in groups["groups"])
        cases = site.command("quarantine", "list", "--all", "--json").json
        assert len(cases) == groups["records"]
        shown = site.command("quarantine", "show", cases[0]["id"], "--json").json
        assert shown["record"]
        assert re.search(r"[\u4e00-\u9fff]", shown["findings"][0]["text"]["zh"])
        released = site.command("quarantine", "release", cases[0]["id"], "--who", "tester")
        assert released.code == 0
        assert "held again" in released.out  # nothing was mended
        assert cases[0]["key"] in str(site.command("quarantine", "list", "--all", "--json").json)
        again = site.command("quarantine", "release", "--group", groups["groups"][0]["id"], "--json").json
        assert (again["cases"], again["waiting"]) == (groups["groups"][0]["count"], 0)
        assert again["held"] == again["cases"]
        assert again["held_by"][0]["again"] == again["cases"]
        assert site.command("once", "--json").json["feeds"]
        receipts = site.command("receipts", "--json", "-n", "5").json
        assert len(receipts) == 5
        assert site.command("trace", receipts[0]["document_id"]).code == 0
        assert "no case 'Q99999'" in site.fails(1, "quarantine", "show", "Q99999")
        assert "known: lab_report" in site.fails(78, "preview", "lab_reports", "--key", "x")

        asked = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(12) == 0
        assert time.monotonic() - asked < 10
    assert not control.exists()
    log = (site.folder / "state" / "agent.log").read_text("utf-8")
    assert "daemon.ready" in log
    assert log.rstrip().endswith("daemon.stopped")


def test_systemd_hears_that_it_is_ready_alive_and_stopping(site: Site) -> None:
    address = str(site.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(20)
        with site.platform(), site.daemon(NOTIFY_SOCKET=address, WATCHDOG_USEC="2000000") as daemon:
            heard = [systemd.recv(200).decode() for _ in range(3)]
            daemon.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in heard:
                heard.append(systemd.recv(200).decode())
    assert heard[0].startswith("READY=1\n")
    assert heard[1:3] == ["WATCHDOG=1", "WATCHDOG=1"]


@pytest.mark.slow
def test_sigterm_during_a_hanging_platform_still_ends_in_ten_seconds(site: Site) -> None:
    """A platform that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", site.port)), site.daemon() as daemon:
        time.sleep(1.5)
        asked = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(15) == 0
        assert time.monotonic() - asked < 11


@pytest.mark.slow
def test_sigterm_while_a_source_hangs_still_ends_in_ten_seconds(site: Site) -> None:
    """Its extractors are frozen, as a driver is that waits for a server that does not answer."""
    with site.platform(), site.daemon() as daemon:
        eventually(lambda: len(site.extractors()) == 2)
        for extractor in site.extractors():
            os.kill(extractor, signal.SIGSTOP)
        time.sleep(0.5)
        asked = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(15) == 0
        assert time.monotonic() - asked < 11
        site.once()


def test_status_tells_since_when_a_source_is_unreachable_and_when_it_is_tried_next(site: Site) -> None:
    pytest.importorskip("psycopg")
    site.change(
        'url = "sqlite:///demo-state/hospital/lis.db"', f'url = "postgresql://reader@127.0.0.1:{free_port()}/lis"'
    )
    with site.platform(), site.daemon():
        eventually(lambda: any(source["unreachable"] for source in site.command("status", "--json").json["sources"]))
        told = {source["name"]: source for source in site.command("status", "--json").json["sources"]}
        assert told["his"]["unreachable"] is None
        gone = told["lis"]["unreachable"]
        assert gone["since"] < gone["next_try"]
        assert "cannot be reached" in gone["problem"]
        assert told["lis"]["logins"] == 1
        assert "source lis: unreachable since" in site.command("--lang", "en", "status").out
        assert "来源 lis：自" in site.command("--lang", "zh", "status").out
        assert site.command("once").code == 1
        assert site.documents()  # of the other source


def test_only_extractors_have_a_hospitals_database_open(site: Site) -> None:
    with site.platform(), site.daemon() as daemon:
        eventually(lambda: all(feed["last_run"] for feed in site.command("status", "--json").json["feeds"]))
        extractors = site.extractors()
        databases = {path.resolve() for path in (site.folder / "demo-state" / "hospital").glob("*.db")}
        holders = {pid for pid in family(daemon.pid) if databases & open_files(pid)}
    assert holders == set(extractors)


def test_a_second_daemon_on_the_same_state_is_refused(site: Site) -> None:
    with site.platform(), site.daemon():
        assert "in use" in site.fails(1, "run").splitlines()[-1]
        assert site.command("status").code == 0


@pytest.mark.slow
def test_killed_at_any_time_it_goes_on_where_it_was(site: Site) -> None:
    with site.platform():
        for pause in (0.0, 0.2, 0.4, 0.7):
            with site.daemon() as daemon:
                time.sleep(pause)
                daemon.kill()
                daemon.wait()
        site.once()
        stored = site.documents()
    status = site.command("status", "--json").json
    assert status["destinations"][0]["states"]["delivered"] == len(stored)
    assert len({one["document_id"] for one in stored}) == len(stored)


@pytest.mark.slow
def test_a_platform_that_is_down_loses_nothing(site: Site) -> None:
    with site.platform():
        pass  # the platform has been there, and is gone
    said = site.fails(1, "once")
    assert "no connection" in said
    with site.platform():
        site.once()
        assert site.command("status", "--json").json["destinations"][0]["waiting"] == 0
        assert site.documents()


@pytest.mark.slow
def test_a_lost_state_is_read_again_without_a_second_effect(site: Site) -> None:
    with site.platform():
        site.once()
        advance(site.folder / "demo-state" / "hospital", 1)
        site.once()
        stored = site.command("platform", "documents", "--state", "platform", "--json", "-n", "99999").out
        shutil.rmtree(site.folder / "state")
        again = site.once()
        assert site.command("platform", "documents", "--state", "platform", "--json", "-n", "99999").out == stored
    assert not any(counts.get("documents") for counts in again.values())
    assert sum(counts["unchanged"] for counts in again.values()) > 100


@pytest.mark.slow
def test_a_copied_state_is_refused_until_it_is_adopted(site: Site) -> None:
    with site.platform():
        site.once()
        shutil.copytree(site.folder / "state", site.folder / "copy", ignore=shutil.ignore_patterns("*.sock"))
        assert "frontend-agent adopt" in site.fails(1, "once", "--state", "copy")
        adopted = site.command("adopt", "--state", "copy", "--who", "tester")
        assert adopted.code == 0
        assert site.command("once", "--state", "copy").code == 0
        before = len(site.documents())
        advance(site.folder / "demo-state" / "hospital", 1)
        assert site.fails(1, "once")  # the original is the copy now, and the platform says so
        assert site.command("once", "--state", "copy").code == 0
        assert len(site.documents()) >= before


@pytest.mark.slow
def test_preview_shows_what_would_be_sent_and_sends_nothing(site: Site) -> None:
    with site.platform():
        site.once()
        document = site.command("receipts", "--json", "-n", "1").json[0]["document_id"]
        traced = site.command("trace", document, "--json").json
        told = site.command("preview", traced["feed"], "--key", traced["key"], "--json").json
        (record,) = told["records"]
        assert record["would"] == "unchanged"
        assert record["document"].startswith("<?xml")
        assert record["view"]["sections"]
        by_key = site.command("trace", "--feed", traced["feed"], "--key", traced["key"], "--json").json
        assert by_key["document_id"] == document
        shown = site.command("preview", traced["feed"], "--key", traced["key"], "--lang", "zh").out
        assert re.search(r"患者.*姓名|姓名.*:", shown)
        assert (
            site.command("preview", traced["feed"], "--key", traced["key"], "--xml").out[-400:]
            == record["document"][-400:]
        )
        assert "has no row with key" in site.fails(1, "preview", traced["feed"], "--key", "no such key")


@pytest.mark.slow
def test_an_exported_log_is_verified_elsewhere_and_an_edit_is_found(site: Site) -> None:
    with site.platform():
        site.once()
    assert site.command("qc", "export", "--output", "log.jsonl").code == 0
    arguments = ("qc", "verify", "log.jsonl", "--key", "platform/platform.pub", "--json")
    verdict = site.command(*arguments).json
    assert verdict["ok"]
    assert verdict["proven"] > 0
    lines = (site.folder / "log.jsonl").read_text("utf-8").splitlines(keepends=True)
    edited_line = lines[2].replace('"event":"', '"event":"not ')
    assert edited_line != lines[2]
    lines[2] = edited_line
    (site.folder / "log.jsonl").write_text("".join(lines), "utf-8")
    edited = site.command(*arguments)
    assert edited.code == 1
    assert edited.json["first_bad"] == 2


def test_mistakes_are_one_line_with_file_key_and_mend(site: Site) -> None:
    site.change('mapping = "demo_lis/lab_report"', 'maping = "demo_lis/lab_report"')
    assert site.fails(78, "once").startswith("agent.toml: feeds[2]: unknown key 'maping' (did you mean 'mapping'?")
    site.change("maping", "mapping")
    site.change("[institution]", "[institution")
    assert site.fails(78, "run").startswith("agent.toml: not TOML:")


def test_an_unknown_column_names_the_query_and_the_column(site: Site) -> None:
    own = site.folder / "own"
    shutil.copytree(Path(__file__).parents[2] / "mappings" / "demo_lis", own)
    query = own / "lab_report.sql"
    text = query.read_text("utf-8")
    column = re.search(r"\b(\w+\.\w+)\s+AS \"patient.name\"", text, re.IGNORECASE)
    assert column
    query.write_text(text.replace(column[1], "b.no_such_column", 1), "utf-8")
    site.change('"demo_lis/lab_report"', '"own/lab_report.toml"')
    with site.platform():
        said = site.fails(78, "once")
        assert "no_such_column" in said
        assert "lis" in said
        checked = site.command("check")
    assert checked.code == 78
    assert "no_such_column" in checked.out


def test_an_unknown_field_names_the_file_and_the_alias(site: Site) -> None:
    own = site.folder / "own"
    shutil.copytree(Path(__file__).parents[2] / "mappings" / "demo_lis", own)
    query = own / "lab_report.sql"
    query.write_text(query.read_text("utf-8").replace('"patient.name"', '"patient.nam"'), "utf-8")
    site.change('"demo_lis/lab_report"', '"own/lab_report.toml"')
    said = site.fails(78, "once")
    assert "lab_report.sql" in said
    assert "did you mean 'patient.name'?" in said


def test_a_source_that_is_not_there_is_exit_1(site: Site) -> None:
    (site.folder / "demo-state" / "hospital" / "lis.db").unlink()
    with site.platform():
        assert "lis" in site.fails(1, "once")
        assert site.command("check").code == 1
        assert len(site.documents()) > 50  # the other source went on


def test_a_wrong_password_is_exit_78_and_is_not_shown(site: Site, postgres: PostgresServer) -> None:
    (site.folder / "secrets").mkdir()
    secret = site.folder / "secrets" / "lis"
    secret.write_text("canary-password")
    secret.chmod(0o600)
    site.change(
        'url = "sqlite:///demo-state/hospital/lis.db"',
        f'url = "postgresql://{postgres.user}@127.0.0.1:{postgres.port}/postgres"\nsecret = "lis"',
    )
    site.change("# [secrets]", f'[secrets]\nfolder = "{site.folder / "secrets"}"')
    with site.platform():
        said = site.fails(78, "once")
    assert "lis" in said
    assert "password" in said
    assert "canary" not in said + (site.folder / "state" / "agent.log").read_text()


def test_no_name_of_a_patient_is_in_the_log(site: Site) -> None:
    with site.platform():
        site.once()
        names = {one["patient_name"] for one in site.documents()}
    log = (site.folder / "state" / "agent.log").read_text("utf-8")
    assert len(names) > 20
    assert not [name for name in names if name in log]
