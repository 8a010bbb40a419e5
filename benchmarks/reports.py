"""The report of a month with a million findings, asked of a running agent, beside writing nothing but its rows as text."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import msgspec

from benchmarks.measure import Measure
from benchmarks.workload import Workload, configuration
from frontend_agent.app import App
from frontend_agent.config import load_config
from frontend_agent.control import ControlServer
from frontend_agent.identity import document_id, set_id
from frontend_agent.measuring import Measures, Tally
from frontend_agent.model import Document, Finding, Severity
from frontend_agent.operations import operations
from frontend_agent.spool import Spool, Taken, this_machine

FINDINGS, EACH = 1_000_000, 5
QUICK_FINDINGS = 100_000
BATCH = 500
MONTH = datetime(2026, 9, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
RULES = ("DE-MISSING", "DE-LENGTH", "DE-CODE", "DE-FORMAT", "MAP001")
KINDS = ("C0002", "C0004", "C0007")
DEPARTMENTS = tuple(
    f"{name}{number}病区" for name in ("内科", "外科", "妇产科", "儿科", "急诊科") for number in range(1, 7)
)


def excel(load: Workload, quick: bool) -> Iterator[Measure]:
    """Seconds and peak memory of `qc report --month` as its own process, while the agent holds the state."""
    number = QUICK_FINDINGS if quick else FINDINGS
    with TemporaryDirectory(prefix="report-") as folder:
        place = Path(folder)
        (place / "agent.toml").write_text(configuration(load.hospital), encoding="utf-8")
        state = place / "state"
        with Spool(state).open() as spool:
            fill(spool, number)
            spool.bind(this_machine())
        load_before = os.getloadavg()[0]
        floor = _bare(place / "floor.csv", number)
        with Served(place, state):
            taken, peak = _report(place, state, place / "september.xlsx")
        size = (place / "september.xlsx").stat().st_size
        note = f"{number:,} findings, {size >> 20} MiB, load {load_before:.1f}"
        yield Measure("report.excel", taken, "s", floor, target=None if quick else 60, note=note)
        yield Measure("report.memory", peak, "MB", target=500)


def fill(spool: Spool, findings: int) -> None:
    """A month of documents, each with some findings, committed as the agent does it."""
    documents = findings // EACH
    for start in range(0, documents, BATCH):
        spool.commit(_batch(start, min(BATCH, documents - start), documents))


def _batch(start: int, size: int, of: int) -> Taken:
    kind = KINDS[start // BATCH % len(KINDS)]
    moment = MONTH + timedelta(days=30) * (start / of)
    now = moment.astimezone(UTC) + timedelta(minutes=12)
    tally = Tally(Measures(), now, MONTH.tzinfo or UTC)
    made: list[Document] = []
    said: dict[str, tuple[Finding, ...]] = {}
    for number in range(start, start + size):
        document = _document(kind, number, now)
        record = {
            "author.time": f"{moment:%Y%m%d%H%M%S}",
            "department.name": DEPARTMENTS[number % len(DEPARTMENTS)],
        }
        said[document.document_id] = tuple(_finding(number, n) for n in range(EACH))
        tally.document(
            document.document_id,
            tally.read(record),
            record,
            said[document.document_id],
            version=1,
            void=False,
            held=False,
        )
        made.append(document)
    return Taken(
        feed=f"feed_{kind}", kind=kind, institution="999000013", digests="", at=now, destinations=("platform",),
        documents=made, findings=said, figures=tally.figures(),
    )  # fmt: skip


def _document(kind: str, number: int, now: datetime) -> Document:
    named = set_id("999000013", "1", kind, str(number))
    digest = sha256(str(number).encode()).hexdigest()
    return Document(
        document_id=document_id(named, 1), set_id=named, version=1, kind=kind, institution="999000013",
        feed=f"feed_{kind}", key=f"K{number}", source_hash=digest, sha256=digest, size=64, frame=digest.encode(),
        dictionary="", made_at=now.isoformat(timespec="milliseconds"), order_key=named,
    )  # fmt: skip


def _finding(number: int, n: int) -> Finding:
    severity = (Severity.WARN, Severity.NOTE)[(number + n) % 2]
    field = ("patient.name", f"items[{number % 12}].unit", "patient.id_number", "chief_complaint", "author.name")[n]
    return Finding(
        RULES[(number + n) % len(RULES)], severity, field=field, data_element=f"DE02.01.0{39 + n}.00",
        column=f"T.C{n}", value=f"110***{number % 100:02}" if n == 2 else "", arguments=(str(number % 40),),
    )  # fmt: skip


class Served:
    """The agent's state behind its control socket, in a process of its own as it is at a hospital."""

    def __init__(self, place: Path, state: Path) -> None:
        self._command = [sys.executable, "-m", "benchmarks.reports", str(place / "agent.toml"), str(state)]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def serve(config: Path, state: Path) -> None:
    app = App(load_config(config), state, alone=True).open_state()
    server = ControlServer(state, operations(app), failed=str)
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.close()
    app.close()


def _report(place: Path, state: Path, out: Path) -> tuple[float, float]:
    """Seconds, and megabytes at the peak."""
    command = [
        sys.executable, "-m", "frontend_agent.cli.main", "--config", str(place / "agent.toml"), "--state", str(state),
        "--lang", "zh", "qc", "report", "--month", "2026-09", "--out", str(out), "--json",
    ]  # fmt: skip
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while child.poll() is None:
        peak = max(peak, _high_water(child.pid))
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    if child.returncode:
        raise RuntimeError("the report was not written")
    return seconds, peak * 1024 / 1e6


def _high_water(pid: int) -> int:
    """The most memory that the process had since it began its own program, in KiB. Not ru_maxrss: that begins with ours."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0  # it has just ended
    return int(next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0"))


def _bare(path: Path, number: int) -> float:
    """The same rows as text, from memory: what a disk and a loop take."""
    started = time.perf_counter()
    with path.open("w", encoding="utf-8") as file:
        for n in range(number):
            finding = _finding(n, n % EACH)
            file.write(",".join(("2026-09-01", "C0002", *map(str, msgspec.structs.astuple(finding)))) + "\n")
    return time.perf_counter() - started


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
