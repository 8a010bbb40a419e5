"""The pipe as a whole: from the hospital's tables to the platform's receipts, its memory, and a million waiting."""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks import floor
from benchmarks.agent import cpu_seconds, memory
from benchmarks.measure import PER_SECOND, Measure, batches, seconds
from benchmarks.steps import as_taken, platform
from benchmarks.workload import Workload, configuration
from frontend_agent.identity import document_id, set_id
from frontend_agent.model import Document
from frontend_agent.spool import Spool

DOCUMENTS_A_SECOND, OF_THE_FLOOR = 2_500, 0.35
MOST_MEMORY = 200.0  # MB
MOST_FOR_SEALING = 1.05  # of what an agent without it takes
MIB = 1024 * 1024


def end_to_end(load: Workload, quick: bool) -> Iterator[Measure]:
    """Both processes on this machine, durable on both sides, every check on; beside `floor.py` over the same tables."""
    ours: list[Mapping[str, Any]] = []
    bare: list[Mapping[str, float]] = []
    for _ in range(2 if quick else 3):
        bare.append(floor.floor(load.hospital))
        ours.append(run(load))
    best = statistics.median(one["documents_per_second"] for one in ours)
    last = ours[-1]
    yield Measure(
        "end-to-end",
        best,
        PER_SECOND,
        statistics.median(one["documents_per_second"] for one in bare),
        target=DOCUMENTS_A_SECOND,
        at_least=OF_THE_FLOOR,
        note=f"{last['documents']:,} of {last['bytes']:,.0f} bytes; the floor's {bare[-1]['documents']:,.0f} of"
        f" {bare[-1]['bytes']:,.0f}; agent {last['agent_cpu']:.0f} and platform {last['platform_cpu']:.0f} us CPU each",
    )
    yield Measure("memory.agent", max(one["agent_memory"] for one in ours) / MIB, "MB", target=MOST_MEMORY)
    yield Measure("memory.platform", max(one["platform_memory"] for one in ours) / MIB, "MB", target=MOST_MEMORY)
    yield Measure("spool-size", last["kept"] / last["raw"], "of raw size", target=0.30)


def at_rest(load: Workload, quick: bool) -> Iterator[Measure]:
    """What encryption of the state takes of the agent's processor; the floor is the same agent without it, in turns."""
    plain: list[float] = []
    for suite in ("AES-256-GCM", "SM4-GCM"):
        sealed: list[float] = []
        for _ in range(2 if quick else 5):
            plain.append(run(load)["agent_cpu"])
            sealed.append(run(load, suite)["agent_cpu"])
        bare, ours = min(plain), min(sealed)  # what else the machine does can only add
        target = round(bare * MOST_FOR_SEALING, 1) if suite == "AES-256-GCM" else None
        note = f"{100 * (ours / bare - 1):+.1f} % of the agent without it"
        yield Measure(f"at-rest.{suite}", ours, "us CPU/document", bare, target=target, note=note)


def run(load: Workload, suite: str = "") -> dict[str, Any]:
    """One whole run over fresh states. What was delivered is counted in the platform's index, not by the agent. `suite`: the agent's
    state is encrypted by it."""
    with TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        with platform(folder / "platform") as (url, process):
            text = configuration(load.hospital, url) + (_sealed(folder, suite) if suite else "")
            (folder / "agent.toml").write_text(text, encoding="utf-8")
            command = [sys.executable, "-m", "benchmarks.agent", str(folder / "agent.toml"), str(folder / "agent")]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=floor.ROOT, check=True)
            agent = json.loads(done.stdout.splitlines()[-1])
            used = cpu_seconds(process.pid)
            resident = memory(process.pid)[1]
        assert not agent["problems"], agent["problems"]
        with closing(sqlite3.connect(folder / "platform" / "index.sqlite")) as index:
            count, raw = index.execute("SELECT COUNT(*), SUM(size) FROM document").fetchone()
        return {
            "documents": count,
            "bytes": raw / count,
            "raw": raw,
            "kept": sum(path.stat().st_size for path in (folder / "agent").rglob("*") if path.is_file()),
            "documents_per_second": count / agent["seconds"],
            "agent_cpu": agent["cpu_seconds"] / count * 1e6,
            "platform_cpu": used / count * 1e6,
            "agent_memory": agent["peak_bytes"],
            "platform_memory": resident,
        }


def _sealed(folder: Path, suite: str) -> str:
    """A key for the agent's state, and the tables of agent.toml that name it."""
    secret = folder / "secrets" / "key"
    secret.parent.mkdir(mode=0o700)
    secret.write_text(b64encode(os.urandom(32)).decode())
    secret.chmod(0o600)
    return f'\n[secrets]\nfolder = "{secret.parent}"\n[at_rest]\nkey = "key"\nsuite = "{suite}"\n'


# --- a million waiting --------------------------------------------------------------------------------------------------


def backlog(load: Workload, quick: bool) -> Iterator[Measure]:
    """Opening the spool and claiming from it, with many waiting and with a thousand; in a process of its own."""
    many = 100_000 if quick else 1_000_000
    template = load.documents[0]
    with TemporaryDirectory(prefix="benchmark-") as name:
        few_folder, many_folder = Path(name) / "few", Path(name) / "many"
        fill(few_folder, template, 1_000)
        fill(many_folder, template, many)
        few, lots = [], []
        for _ in range(5):  # in turns
            few.append(waiting(few_folder))
            lots.append(waiting(many_folder))
    # A claim takes a millisecond: what else the machine does can only add to it, and in bursts. The best turn of each.
    claim_few, claim_many = (min(one["claim"] for one in ones) for ones in (few, lots))
    yield Measure(
        "backlog.start", max(one["start"] for one in lots), "s", few[0]["start"], target=5.0, note=f"{many:,} waiting"
    )
    yield Measure(
        "backlog.claim",
        claim_many * 1e6,
        "us/document",
        claim_few * 1e6,
        target=round(claim_few * 1e6 * 1.2, 3),
        note=f"{many:,} waiting; the floor is the same with 1,000",
    )
    yield Measure("backlog.memory", max(one["memory"] for one in lots) / MIB, "MB", target=MOST_MEMORY)


def fill(folder: Path, template: Document, count: int) -> None:
    """Documents of `count` sets, all waiting. Their frames are one small frame: neither open nor claim looks inside."""
    frame = template.frame[:400]
    folder.mkdir()
    with Spool(folder).open() as spool:
        for numbers in batches(list(range(count)), 2_000):
            made = []
            for number in numbers:
                named = set_id(template.institution, "1", template.kind, f"K{number}")
                changes = {
                    "set_id": named,
                    "document_id": document_id(named, 1),
                    "key": f"K{number}",
                    "order_key": named,
                }
                made.append(msgspec.structs.replace(template, **changes, frame=frame))
            spool.commit(as_taken(made))


def waiting(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.whole", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=floor.ROOT, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Open a filled spool, claim a few times and give back what was claimed."""
    started = time.perf_counter()
    spool = Spool(Path(sys.argv[1])).open()
    start = time.perf_counter() - started
    now, claims, claimed = datetime.now(UTC), [], 0
    for turn in range(7):
        moment = now + timedelta(seconds=turn)
        claims.append(seconds(lambda moment=moment: take(spool, moment)))  # type: ignore[misc]
        claimed += 100
    result = {"start": start, "claim": statistics.median(claims) / 100, "memory": memory()[1]}
    spool.close()  # what was claimed lapses when it is opened again
    print(json.dumps(result))


def take(spool: Spool, now: datetime) -> None:
    assert len(spool.claim("platform", 100, 4 * MIB, now=now, lease=timedelta(minutes=10))) == 100


if __name__ == "__main__":
    main()
