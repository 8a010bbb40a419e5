"""Images that are pushed to us, each durable before its response; beside dcmtk's storescp and Orthanc, which are given the same.

The sender is always dcmsend (dcmtk), in as many processes as there are associations. storescp keeps the bytes as they came (-B) and
syncs nothing; Orthanc syncs its files. We sync every file, its name and its row.

    serve FOLDER SUITE    our inlet over the real book of studies (SQLite, synchronous=FULL)
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.floor import ROOT
from benchmarks.measure import PER_SECOND, Measure
from benchmarks.workload import Workload
from frontend_agent.sealing import SUITES

SLICES, QUICK_SLICES = 500, 100
SLICE = 525_000  # bytes
ROUNDS, QUICK_ROUNDS = 3, 1
ASSOCIATIONS = (1, 4)
# dcmtk without it waits twice for each instance (measured.md).
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
TITLE = "FRONTEND"


def receiving(load: Workload, quick: bool) -> Iterator[Measure]:
    """CT slices of half a megabyte over one association and over four."""
    for name in ("dcmsend", "storescp", "Orthanc"):
        program(name)
    slices, rounds = (QUICK_SLICES, QUICK_ROUNDS) if quick else (SLICES, ROUNDS)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for associations in ASSOCIATIONS:
            made(folder / str(associations), associations, slices)
            found: dict[str, list[float]] = {"ours": [], "orthanc": [], "storescp": []}
            for _ in range(rounds):  # in turns: a neighbour's load meets all of them
                for who, times in found.items():
                    times.append(_rate(who, folder / str(associations), associations, slices))
            rates = {who: median(times) for who, times in found.items()}
            yield Measure(
                f"images.receive.x{associations}", rates["ours"], PER_SECOND, rates["orthanc"], at_least=1.0,
                note=f"{slices} x {SLICE:,} bytes by dcmsend, durable; floor: Orthanc. storescp +B, which syncs nothing:"
                f" {rates['storescp']:,.0f}",
            )  # fmt: skip


def receiving_sealed(load: Workload, quick: bool) -> Iterator[Measure]:
    """The same where the state is encrypted; the floor is ourselves without it, in turns."""
    program("dcmsend")
    slices, rounds = (QUICK_SLICES, QUICK_ROUNDS) if quick else (SLICES, ROUNDS)
    with TemporaryDirectory() as name:
        for associations in ASSOCIATIONS:
            files = Path(name) / str(associations)
            made(files, associations, slices)
            found: dict[str, list[float]] = {who: [] for who in ("ours", *SUITES)}
            for _ in range(rounds + 1):
                for who, times in found.items():
                    times.append(_rate(who, files, associations, slices))
            rates = {who: max(times) for who, times in found.items()}  # what else the machine does can only slow down
            for suite in SUITES:
                note = f"{slices} x {SLICE:,} bytes; {100 * (rates[suite] / rates['ours'] - 1):+.1f} % of the same without it"
                yield Measure(
                    f"images.receive.sealed.{suite}.x{associations}", rates[suite], PER_SECOND, rates["ours"], note=note
                )


def program(name: str) -> str:
    """Debian's own: pynetdicom brings a storescp into our environment, too."""
    found = shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin")
    if found is None:
        raise RuntimeError(f"{name} is not installed (apt-get install dcmtk orthanc orthanc-dicomweb)")
    return found


def made(folder: Path, associations: int, slices: int) -> None:
    """A folder for each association: slices of one study each."""
    from tests.dicom_kit import many

    for number in range(associations):
        many(folder / str(number), slices // associations, size=SLICE, study=number + 1)


def _rate(who: str, files: Path, associations: int, slices: int) -> float:
    """Instances a second, of a receiver that has just begun, with nothing kept."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        port = stack.enter_context(RECEIVERS[who](Path(name)))
        called = TITLE
        began = time.perf_counter()
        senders = [
            subprocess.Popen(
                [program("dcmsend"), "-aec", called, "+sd", "127.0.0.1", str(port), str(files / str(number))],
                env=ENVIRONMENT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for number in range(associations)
        ]
        codes = [sender.wait(300) for sender in senders]
        took = time.perf_counter() - began
    if any(codes):
        raise RuntimeError(f"dcmsend to {who} ended with {codes}")
    return slices / took


@contextmanager
def ours(folder: Path, suite: str = "") -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.images", "serve", str(folder), suite],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(60)


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    port = _free_port()
    command = [program("storescp"), "-aet", TITLE, "-od", str(folder), "+xa", "+B", "--fork", str(port)]
    with _running(command, port):
        yield port


@contextmanager
def orthanc(folder: Path) -> Iterator[int]:
    port = _free_port()
    settings = folder / "orthanc.json"
    settings.write_text(
        json.dumps(
            {
                "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
                "HttpServerEnabled": False, "DicomPort": port, "DicomAet": TITLE, "DicomThreadsCount": 8,
                "Plugins": [],
            }
        )
    )  # fmt: skip
    with _running([program("Orthanc"), str(settings)], port):
        yield port


RECEIVERS: dict[str, Callable[[Path], AbstractContextManager[int]]] = {
    "ours": ours,
    "orthanc": orthanc,
    "storescp": storescp,
    **{suite: partial(ours, suite=suite) for suite in SUITES},
}


def serve(folder: Path, suite: str) -> None:
    from connectors.dicom.listener import DicomListener
    from frontend_agent.config_images import DicomInlet
    from frontend_agent.imaging.reports import CommitmentReports
    from frontend_agent.spool import Spool
    from frontend_agent.spool.image_desk import Desk
    from frontend_agent.spool.image_words import Rules
    from frontend_agent.spool.vault import AtRest

    def clock() -> datetime:
        return datetime.now(UTC)

    secret = b64encode(os.urandom(32)).decode()
    at_rest = AtRest("SM4-GCM" if suite == "SM4-GCM" else "AES-256-GCM", "key", lambda name: secret) if suite else None
    with Spool(folder, at_rest=at_rest).open() as spool:
        desk = Desk(spool.images.open(Rules(institution="H1"), clock()), clock).start()
        listener = DicomListener("pacs", DicomInlet(type="dicom", port=0), desk, CommitmentReports(), clock)
        listener.start()
        print(listener.address[1], flush=True)
        sys.stdin.read()
        listener.stop(10)
        desk.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    """A server of somebody else's, once it listens; and gone afterwards, with what it has started."""
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[0]} does not listen") from None
                time.sleep(0.05)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


if __name__ == "__main__":
    serve(Path(sys.argv[2]), "".join(sys.argv[3:]))
