"""The platform as a process: started, stopped, killed at every durable write, and how much memory it takes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
import requests

from frontend_agent.model import Outcome
from frontend_agent.platform.catalogue import Search
from frontend_agent.platform.store import Store
from frontend_agent.wire.parcel import pack
from tests.memory import peak
from tests.platform_kit import (
    HOSPITAL,
    FileMemory,
    destination,
    document,
    lease_of,
    put_dictionaries,
    running,
    say_hello,
    wrapped,
)

EVERYTHING = Search(all_versions=True)
COMMAND = [sys.executable, "-m", "frontend_agent.platform"]


@contextmanager
def platform_process(state, *before, arguments=()):
    """The platform under an optional tracer. Gives its address and its process; address None if it died before."""
    process = subprocess.Popen(
        [*before, *COMMAND, "--state", str(state), "--port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        start_new_session=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        yield (line.split()[-1] if line.startswith("platform ready") else None), process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a tracer and what it traces
        process.communicate()


def test_it_says_its_address_when_it_is_ready_and_stops_when_told(tmp_path):
    with platform_process(tmp_path / "p") as (url, process):
        assert requests.get(f"{url}/healthz", timeout=5).json()["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_request_in_flight_is_finished_at_sigterm(tmp_path):
    with platform_process(tmp_path / "p") as (url, process):
        sent = [document(n) for n in range(5)]
        lease = lease_of(say_hello(url))
        put_dictionaries(url, sent)
        body = pack(sent, HOSPITAL, "instance-1", lease)
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as line:
            head = (
                f"POST /v1/parcels HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/vnd.frontend-agent.parcel\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            line.sendall(head.encode() + body[:100])
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            line.sendall(body[100:])
            assert line.recv(200).startswith(b"HTTP/1.1 200")
        assert process.wait(10) == 0
    store = Store(tmp_path / "p").open()
    assert store.count(EVERYTHING) == 5
    store.close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--host", "0.0.0.0"], 78, "plain HTTP"),
        (["--host", "10.0.0.1"], 78, "plain HTTP"),
        (["--host", "nowhere.invalid", "--plain-http-anywhere"], 1, "cannot listen"),
        (["--port", "99999"], 1, "cannot listen"),
    ],
)
def test_what_it_will_not_do_is_one_line(tmp_path, arguments, code, says):
    done = subprocess.run(
        [*COMMAND, "--state", str(tmp_path / "p"), *arguments], capture_output=True, text=True, timeout=30,
        cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_process_on_the_same_state_is_refused(tmp_path):
    with platform_process(tmp_path / "p") as (_, _), platform_process(tmp_path / "p") as (second, process):
        assert second is None
        assert process.wait(10) == 1


def test_the_log_holds_no_patient(tmp_path):
    with platform_process(tmp_path / "p") as (url, process):
        memory = FileMemory(tmp_path / "agent.json")
        secret = "甲乙丙丁"
        destination(url, memory).send(
            [document(1, patient__name=secret), wrapped(secret.encode(), "D-1", "D", 1, "K", HOSPITAL)]
        )
        requests.get(f"{url}/?patient={secret}", timeout=5)
        requests.get(f"{url}/documents/{secret}", timeout=5)
        requests.post(
            f"{url}/v1/heads",
            data=f'{{"institution":"{secret}"'.encode(),
            headers={"Content-Type": "application/json"},
            timeout=5,
        )
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
    assert "parcel.taken stored=1 duplicates=0 refused=1" in log
    assert secret not in log
    assert "%E7%94%B2" not in log


# --- killed at every durable write ------------------------------------------------------------------------------------


def one_cycle(url, memory_path, sent):
    """What an agent does; stops where the platform dies."""
    agent = destination(url, FileMemory(memory_path))
    receipts = []
    try:
        for start in range(0, len(sent), 3):
            receipts += agent.send(sent[start : start + 3])
    except Exception:  # noqa: BLE001 - dying is what is tested
        pass
    return {one.document_id for one in receipts if one.outcome in (Outcome.STORED, Outcome.DUPLICATE)}


def killed_at(tmp_path, call, when, sent, fresh):
    """One cycle with the platform killed at this call, then another platform and the same again.

    strace counts calls per thread. On a fresh state the first ones are those of the start; on a prepared one, where the
    start has little to write, those of the thread that takes parcels.
    """
    state, memory = tmp_path / f"{call}-{when}", tmp_path / f"{call}-{when}.json"
    tracer = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:signal=KILL:when={when}",
    ]
    if not fresh:
        Store(state).open().close()
    proven = set()
    with platform_process(state, *tracer) as (url, process):
        if url:
            proven = one_cycle(url, memory, sent)
        time.sleep(0.05)
        died = process.poll() is not None
    store = Store(state).open()
    try:
        assert store.damaged == []
        before = {one.document_id for one in store.documents(EVERYTHING)}
        assert proven <= before, "a proven document was lost"
        with running(store) as url:
            again = destination(url, FileMemory(memory)).send(sent)
        assert {one.outcome for one in again} <= {Outcome.STORED, Outcome.DUPLICATE}
        assert {one.document_id for one in again if one.outcome == Outcome.DUPLICATE} == before
        found = store.documents(EVERYTHING)
        assert sorted(one.document_id for one in found) == sorted(one.document_id for one in sent), "lost or doubled"
        for one in sent:
            assert sha256(store.document(one.document_id)).hexdigest() == one.sha256
        assert sum(tally.documents for tally in store.tallies()) == len(sent)
        parcels = {int(path.stem) for path in (state / "parcels").glob("*/*.fep")}
        assert parcels == {number for (number,) in store._db.execute("SELECT id FROM parcel")}
        assert list((state / "incoming").iterdir()) == []
    finally:
        store.close()
    shutil.rmtree(state)
    return died


def sweep(tmp_path, calls, step, fresh):
    if not shutil.which("strace"):
        pytest.skip("no strace here (Debian: strace)")
    sent = [document(1), document(2), document(3), document(1, version=2), document(5), document(6, void=True)]
    points = {}
    for call in calls:
        when = 1
        while killed_at(tmp_path, call, when, sent, fresh):
            points[call] = when
            when += step
    return points


def test_killed_at_a_durable_write_nothing_is_lost_or_doubled(tmp_path):
    """Some of the points; the whole sweep is below."""
    points = sweep(tmp_path, ["rename"], 1, fresh=False) | sweep(tmp_path, ["fsync"], 3, fresh=False)
    assert points["rename"] == 3  # a dictionary, two parcels
    assert points["fsync"] >= 6


@pytest.mark.slow
@pytest.mark.timeout(900)  # some hundred starts of a platform, each under strace
@pytest.mark.parametrize("fresh", [True, False])
def test_killed_at_every_durable_write_nothing_is_lost_or_doubled(tmp_path, fresh):
    points = sweep(tmp_path, ["rename", "fsync", "fdatasync", "mkdir", "unlink", "ftruncate"], 1, fresh)
    # A start on nothing writes many pages; every one of them in the release run.
    whole = os.environ.get("FRONTEND_AGENT_TEST") == "release" or not fresh
    points |= sweep(tmp_path, ["pwrite64"], 1 if whole else 5, fresh)
    print(points)
    assert points["pwrite64"] >= 10


# --- memory -----------------------------------------------------------------------------------------------------------


def resident(process):
    return peak(process.pid) >> 20


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_large_parcels_at_once_stay_under_the_memory_limit(tmp_path):
    import random

    noise = random.Random(1)
    large = [wrapped(noise.randbytes(30 << 20), f"D-{n}", "D", n, "K", HOSPITAL) for n in (1, 2)]
    with platform_process(tmp_path / "p") as (url, process):
        body = pack(large, HOSPITAL, "instance-1", lease_of(say_hello(url)))
        headers = {"Content-Type": "application/vnd.frontend-agent.parcel"}
        answers = []

        def post():
            answers.append(requests.post(f"{url}/v1/parcels", data=body, headers=headers, timeout=60).status_code)

        threads = [threading.Thread(target=post) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 4
        assert resident(process) < 200
