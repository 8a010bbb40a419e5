"""Studies that we send, from the book of studies to its commit of what was answered; beside dcmtk and pynetdicom, to the same peers.

images.send.storescp.x1 x4    C-STORE to dcmtk's storescp (+B); floor: dcmsend, as many processes as there are associations
images.send.orthanc.x1 x4     C-STORE to Orthanc; floor: dcmsend
images.send.stow-orthanc      STOW-RS to Orthanc, 16 instances a request, two connections; floor: dcmsend x1
images.send.platform          STOW-RS to our own platform: stored and committed there, proven here by signed receipts
images.send.memory            the agent's peak while it forwards one object of 2 GB
images.send.memory.sealed     the same, of an object that lies encrypted
"""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks.floor import ROOT
from benchmarks.measure import PER_SECOND, Measure
from benchmarks.workload import Workload
from connectors.dicom.links import links_of
from connectors.dicom.proving import Unproven
from connectors.dicom.sending import StoreEdge
from connectors.dicomweb.platform import platform_edge
from connectors.dicomweb.stow import qido_or_none
from frontend_agent.config_images import DicomOutlet, ImageOutletConfig, StowOutlet
from frontend_agent.config_types import Count
from frontend_agent.imaging.indexing import study_index
from frontend_agent.imaging.model import Checked, ImageDelivery, Settled
from frontend_agent.imaging.outlets import ImageOutlet
from frontend_agent.imaging.sending import StudySender
from frontend_agent.instance_reading import ABOUT, KeyedFile
from frontend_agent.sealed_files import Writer
from frontend_agent.spool import Spool
from frontend_agent.spool.vault import Key
from tests.dicom_kit import MULTI_FRAME, data_set, dcmtk, environment, many, needs, storescp
from tests.orthanc_kit import orthanc
from tests.platform_kit import running
from tests.sending_kit import Book, kept

SLICES, QUICK_SLICES = 500, 100
SLICE = 525_000  # bytes
ROUNDS, QUICK_ROUNDS = 3, 1
LARGE, QUICK_LARGE = 2 << 30, 256 << 20  # bytes of one object
TITLE = "RECEIVER"
INSTITUTION = "45607654-1"
PATIENCE = 300.0  # seconds


def sending(load: Workload, quick: bool) -> Iterator[Measure]:
    """CT slices of half a megabyte to each peer, in turns with others who send the same."""
    slices, rounds = (QUICK_SLICES, QUICK_ROUNDS) if quick else (SLICES, ROUNDS)
    needs("dcmsend", "storescu", "storescp")
    with TemporaryDirectory() as name, Agent(Path(name) / "agent", slices) as agent:
        for number in (1, 4):
            for one in range(number):
                many(Path(name) / str(number) / str(one), slices // number, size=SLICE, study=one + 1)
        for peer, serve in PEERS.items():
            for number in (1, 4):
                yield _to(agent, serve, f"images.send.{peer}.x{number}", Path(name), number, slices, rounds)
        yield _stow(agent, Path(name), slices, rounds)


def to_platform(load: Workload, quick: bool) -> Iterator[Measure]:
    """The same slices to our own platform."""
    slices, rounds = (QUICK_SLICES, QUICK_ROUNDS) if quick else (SLICES, ROUNDS)
    with TemporaryDirectory() as name, Agent(Path(name) / "agent", slices) as agent:
        yield _platform(agent, slices, rounds)


def _to(
    agent: "Agent",
    serve: Callable[[Path], AbstractContextManager[int]],
    name: str,
    folder: Path,
    number: int,
    slices: int,
    rounds: int,
) -> Measure:
    files = folder / str(number)
    senders: dict[str, Callable[[int], float]] = {
        "ours": lambda port: agent.sent(_dicom(port, number)),
        "dcmsend": lambda port: _theirs("dcmsend", port, files, number),
        "storescu": lambda port: _theirs("storescu", port, files, number),
    }
    if number == 1:
        senders["pynetdicom"] = lambda port: _pynetdicom(port, files)
    rates: dict[str, list[float]] = {who: [] for who in senders}
    for _ in range(rounds):
        for who, send in senders.items():
            with TemporaryDirectory() as store, serve(Path(store)) as port:
                rates[who].append(slices / send(port))
    found = {who: median(each) for who, each in rates.items()}
    others = ", ".join(f"{who} {rate:,.0f}" for who, rate in found.items() if who not in ("ours", "dcmsend"))
    note = f"{slices} x {SLICE:,} bytes; floor: dcmsend. {others}"
    return Measure(name, found["ours"], PER_SECOND, found["dcmsend"], note=note)


@contextmanager
def _storescp(folder: Path) -> Iterator[int]:
    with storescp(folder, "+B", called=TITLE) as port:
        yield port


@contextmanager
def _orthanc(folder: Path) -> Iterator[int]:
    with orthanc(title=TITLE) as server:
        yield server.dicom_port


PEERS: dict[str, Callable[[Path], AbstractContextManager[int]]] = {"storescp": _storescp, "orthanc": _orthanc}


def _stow(agent: "Agent", folder: Path, slices: int, rounds: int) -> Measure:
    ours, floor = [], []
    for _ in range(rounds):
        with orthanc(title=TITLE) as pacs:
            ours.append(slices / agent.sent(StowOutlet(type="stow", url=pacs.dicomweb, proof="none")))
        with orthanc(title=TITLE) as pacs:
            floor.append(slices / _theirs("dcmsend", pacs.dicom_port, folder / "1", 1))
    note = "16 instances a request, two connections; floor: dcmsend x1 to the same Orthanc"
    return Measure("images.send.stow-orthanc", median(ours), PER_SECOND, median(floor), note=note)


def _platform(agent: "Agent", slices: int, rounds: int) -> Measure:
    rates = []
    for _ in range(rounds):
        with TemporaryDirectory() as store, platform(Path(store)) as url:
            rates.append(slices / agent.sent(StowOutlet(type="stow", url=url, proof="platform", connections=Count(4))))
    note = "four connections; synced, indexed and committed there, and settled here by its signed receipts"
    return Measure("images.send.platform", median(rates), PER_SECOND, target=250, note=note)


@dataclass
class Agent:
    """A book of studies with one study in it, sent as often as it is asked for."""

    folder: Path
    slices: int

    def __enter__(self) -> "Agent":
        from frontend_agent.spool.image_desk import Desk
        from frontend_agent.spool.image_words import Rules

        self.folder.mkdir()
        self._stack = ExitStack()
        self.spool = self._stack.enter_context(Spool(self.folder / "state").open())
        self.book = self.spool.images.open(Rules(institution=INSTITUTION), _now())
        self.desk = Desk(self.book, _now).start()
        self._round = 0
        kept = []
        for path in many(self.folder / "files", self.slices, size=SLICE, study=9):
            writer = self.desk.begin_file("pacs", sender="bench")
            writer.write(path.read_bytes())
            kept.append(writer.keep())
        for future in kept:
            future.result(60)
        self.study = self.book.studies()[0]
        return self

    def __exit__(self, *error: object) -> None:
        self.desk.stop()
        self._stack.close()

    def sent(self, options: ImageOutletConfig) -> float:
        """Seconds until the last instance of it is settled on our disk."""
        self._round += 1
        name = f"round{self._round}"
        outlet = self._outlet(name, options)
        sender = StudySender(name, options, outlet, self.book, self.spool, _now, "Asia/Shanghai")
        self._to_be_sent(name)
        began = time.perf_counter()
        sender.start()
        try:
            while self.book.waiting(name):
                if time.perf_counter() - began > PATIENCE:
                    raise RuntimeError(f"{options.type}: {self.book.waiting(name)} instances wait: {sender.told()}")
                time.sleep(0.01)  # each look takes the book from those who send
            took = time.perf_counter() - began
        finally:
            sender.stop(5.0)
        ended = self.book.tallies()[name]
        if sum(ended.get(state, 0) for state in ("accepted", "delivered")) != self.slices:
            raise RuntimeError(f"{options.type}: {ended}")
        return took

    def _to_be_sent(self, name: str) -> None:
        instances = self.book.instances(self.study.id)
        if self._round == 1:
            seen = max(one.id for one in instances)
            self.book.checked(Checked(study=self.study.id, seen=seen, at=_now(), destinations=(name,)))
        else:
            self.book.send_again(self.study.id, [name], "bench", _now())

    def _outlet(self, name: str, options: ImageOutletConfig) -> ImageOutlet:
        if isinstance(options, DicomOutlet):
            return dicom_edge(name, options)
        assert isinstance(options, StowOutlet)
        if options.proof != "platform":
            return qido_or_none(name, options, lambda secret: "")

        def index(delivery: Any) -> Any:
            return study_index(delivery.study, self.book.instances(delivery.study.id))

        return platform_edge(name, options, lambda secret: "", self.spool.meta, INSTITUTION, index)


def dicom_edge(name: str, options: DicomOutlet) -> StoreEdge:
    return StoreEdge(name, options, links_of(name, options), Unproven())


def _dicom(port: int, connections: int) -> DicomOutlet:
    return DicomOutlet(
        type="dicom", url=f"dicom://{TITLE}@127.0.0.1:{port}", proof="none", connections=Count(connections)
    )


def _theirs(who: str, port: int, files: Path, processes: int) -> float:
    """Seconds of dcmtk's senders, one process for each association."""
    options = ["+sd"] if who == "dcmsend" else ["+sd", "+r"]
    began = time.perf_counter()
    senders = [
        subprocess.Popen(
            [dcmtk(who), "-aec", TITLE, *options, "127.0.0.1", str(port), str(files / str(number))],
            env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for number in range(processes)
    ]  # fmt: skip
    codes = [sender.wait(PATIENCE) for sender in senders]
    took = time.perf_counter() - began
    if any(codes):
        raise RuntimeError(f"{who} ended with {codes}")
    return took


def _pynetdicom(port: int, files: Path) -> float:
    from pynetdicom import AE
    from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

    ae = AE("BENCH")
    ae.add_requested_context(CTImageStorage, ["1.2.840.10008.1.2.1"])
    began = time.perf_counter()
    association = ae.associate("127.0.0.1", port, ae_title=TITLE)
    for path in sorted(files.glob("*/*.dcm")):
        if (
            not association.is_established
        ):  # it breaks off at times, with peers of the dcmtk family: it has sent nothing then
            return float("inf")
        association.send_c_store(path)
    association.release()
    return time.perf_counter() - began


@contextmanager
def platform(folder: Path) -> Iterator[str]:
    """Our platform in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.images_send", "platform", str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(60)


def serve_platform(folder: Path) -> None:
    from frontend_agent.platform.store import Store

    with running(Store(folder / "platform").open()) as url:
        print(url, flush=True)
        sys.stdin.read()


# --- memory -----------------------------------------------------------------------------------------------------------


def memory(load: Workload, quick: bool) -> Iterator[Measure]:
    """Peak of a process that does nothing but forward one enhanced multi-frame object, by C-STORE and by STOW-RS."""
    size = QUICK_LARGE if quick else LARGE
    for name, suite in (("images.send.memory", ""), ("images.send.memory.sealed", "AES-256-GCM")):
        with TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.images_send", "forward", folder, str(size), suite],
                cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
        peak, seconds = map(float, done.stdout.split())
        lies = f", lying sealed ({suite})" if suite else ""
        note = f"one object of {size >> 20:,} MiB{lies} by C-STORE, then by STOW-RS, in {seconds:.1f} s"
        yield Measure(name, peak, "MB", target=200, note=note)


def forward(folder: Path, size: int, suite: str = "") -> None:
    """Send one large object to receivers that throw it away; our peak memory in MB, and the seconds. `suite`: it lies sealed."""
    delivery, path = _large(folder, size)
    if suite:
        path = sealed_beside(path, suite)
    settled: list[Settled] = []
    began = time.perf_counter()
    with storescp(folder / "received", "--ignore", called=TITLE) as port:
        store = dicom_edge("x", _dicom(port, 1))
        store.send(delivery, lambda one: path, settled.extend)
        store.close()
    with _throwing_away() as url:
        stow = qido_or_none("x", StowOutlet(type="stow", url=url, proof="none"), lambda secret: "")
        stow.send(delivery, lambda one: path, settled.extend)
        stow.close()
    if [one.state for one in settled] != ["accepted", "accepted"]:
        raise RuntimeError(str(settled))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter() - began)


def _large(folder: Path, size: int) -> tuple[ImageDelivery, Path]:
    """A multi-frame object of so many bytes, most of which take no room on our disk."""
    small = kept(data_set(sop_class=MULTI_FRAME, pixels=2048))
    (folder / "book").mkdir()
    book = Book(folder / "book", _now)
    study = book.add([small])
    delivery = book.claim("x", _now(), limit=1, max_bytes=1, lease=timedelta(hours=1))
    assert delivery is not None
    path = folder / "large.dcm"
    head = small[: -2048 - 4] + size.to_bytes(4, "little")  # the length of its pixel data is its last four bytes
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    instance = msgspec.structs.replace(delivery.instances[0], size=len(head) + size, sent_size=len(head) + size)
    return ImageDelivery(study=study, destination="x", instances=(instance,), attempts=1), path


def sealed_beside(path: Path, suite: str) -> KeyedFile:
    """The same as a sealed file."""
    key = Key("0123abcd", suite, os.urandom(32 if suite == "AES-256-GCM" else 16))
    digest, there = sha256(), path.with_suffix(".sealed")
    with path.open("rb") as plain, there.open("wb") as file:
        writer = Writer(file.write, key, ABOUT)
        while chunk := plain.read(1 << 20):
            digest.update(chunk)
            writer.write(chunk)
        writer.finish(digest.hexdigest().encode())
    return KeyedFile(there, digest.hexdigest(), lambda _: key)


@contextmanager
def _throwing_away() -> Iterator[str]:
    """A STOW-RS server that reads and keeps nothing, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.images_send", "sink"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(30)


def sink() -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            left = int(self.headers["Content-Length"])
            while left:
                left -= len(self.rfile.read1(min(left, 1 << 20)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    if sys.argv[1] == "platform":
        serve_platform(Path(sys.argv[2]))
    elif sys.argv[1] == "forward":
        forward(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        sink()
