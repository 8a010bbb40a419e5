"""kill -9 at any moment between a file's commit and its move, or while one is laid down: no message twice, none lost, no half file.

The victim is a process of its own under strace, which kills it before the K-th system call of a kind is carried out.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.folders.inlet import FilesInlet
from connectors.folders.local import LocalPlace
from connectors.folders.place import PlaceFull
from connectors.outlets import Around, OpenedDocument
from connectors.outlets.files import FilesEdge
from frontend_agent.config_files import FolderInlet
from frontend_agent.config_outlets import FolderOutlet
from frontend_agent.model import Document, Outcome
from frontend_agent.spool import Spool
from frontend_agent.spool.keeping import Keeper
from tests.crash import sweep
from tests.crash.sweep import Point

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
CALLS = ("pwrite64", "fdatasync", "fsync", "renameat", "mkdirat", "unlinkat")
HOW = os.environ.get("FRONTEND_AGENT_TEST", "full")
SOME = {"quick": 1, "full": 2}
MESSAGE = b"MSH|^~\\&|LIS|LAB|HIS|H|20261121||ORU^R01|%d|P|2.5\rPID|1||P1\r"
BODY = b"<document/>" * 100


def pick_up(folder: Path) -> None:
    """One look, with the real inbox behind it."""
    with Spool(folder / "state", reserve=0).open() as spool:
        keeper = Keeper(spool.inbox).start()
        table = FolderInlet(type="folder", path=str(folder / "in"), whole="marker")
        place = LocalPlace(folder / "in")
        FilesInlet(
            "lis", table, table, place, keeper, lambda *seen: None, lambda: NOW, memory=spool.picked("lis")
        ).look()
        keeper.stop()


def lay_down(folder: Path) -> list[Outcome]:
    """Two documents, with markers and an index."""
    options = FolderOutlet(
        type="folder", url=(folder / "out").as_uri(), file_name="{date}/{document_id}.xml", marker=".ok", index="i.csv"
    )
    around = Around(lambda one: OpenedDocument(one, BODY, {}, ""), secret=str, clock=lambda: NOW)
    edge = FilesEdge("region", options, around, lambda opened: opened.content)
    return [receipt.outcome for receipt in edge.send([_document(number) for number in (1, 2)])]


def _document(number: int) -> Document:
    return Document(
        document_id=f"C0007-{'A' * 25}{'ABC'[number]}-1", set_id="x", version=1, kind="C0007", institution="1", feed="f",
        key="k", source_hash="", sha256="", size=len(BODY), frame=b"", dictionary="", made_at="2026-11-21T02:00:00+00:00",
    )  # fmt: skip


def killed(work: str, folder: Path, *strace: str) -> bool:
    """Run it under strace; whether it was killed."""
    code = f"import sys; from pathlib import Path; from tests.crash.test_files_killed import {work}; {work}(Path(sys.argv[1]))"
    done = subprocess.run(
        ["strace", "-f", *strace, sys.executable, "-B", "-c", code, str(folder)],
        cwd=sweep.REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    return done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)


def points(work: str, folder: Path) -> list[Point]:
    """Every call of these kinds that a whole run makes: strace counts them by thread, so as many as the busiest made."""
    trace = folder / "trace"
    killed(work, folder, "-o", str(trace), "-e", "trace=" + ",".join(CALLS))
    by_thread = Counter(re.findall(r"^(\d+) +(\w+)\(", trace.read_text(errors="replace"), re.MULTILINE))
    most = {call: max((n for (_, one), n in by_thread.items() if one == call), default=0) for call in CALLS}
    return [Point(call, number) for call in CALLS for number in range(1, most[call] + 1)]


def chosen(all_points: list[Point]) -> list[Point]:
    if HOW == "release":
        return all_points
    found = []
    for call in CALLS:
        same = [point for point in all_points if point.call == call]
        count = min(SOME.get(HOW, 2), len(same))
        found += [same[(place + 1) * len(same) // count - 1] for place in range(count)]
    return found


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def fill(folder: Path) -> None:
    for name in ("state", "in", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    with Spool(folder / "state", reserve=0).open():  # so that what is written is of the files, and not of a new state
        pass
    (folder / "in/a.hl7").write_bytes(MESSAGE % 1 + MESSAGE % 2)
    (folder / "in/b.xml").write_bytes(b"<a/>")
    for name in ("a.hl7.ok", "b.xml.ok"):
        (folder / "in" / name).touch()


@pytest.mark.slow
def test_a_file_is_taken_once_wherever_we_die(tmp_path: Path) -> None:
    fill(tmp_path)
    every = points("pick_up", tmp_path)
    assert {"renameat", "mkdirat", "unlinkat", "fdatasync"} <= {point.call for point in every}
    tried = chosen(every)
    deaths = 0
    for point in tried:
        fill(tmp_path)
        deaths += killed("pick_up", tmp_path, *sweep.kill_at(point))
        (tmp_path / "in/half.xml").write_bytes(b"<a>")  # not vouched for: it stays where it is
        pick_up(tmp_path)
        assert files(tmp_path / "in") == ["done/2026-11-21/a.hl7", "done/2026-11-21/b.xml", "half.xml"], str(point)
        with Spool(tmp_path / "state", reserve=0).open() as spool:
            kept = [(one.sender, one.state) for one in reversed(spool.inbox.listed("lis"))]
        assert kept == [("a.hl7!#1", "new"), ("a.hl7!#2", "new"), ("b.xml", "new")], str(point)
    assert deaths >= 0.8 * len(tried), "a run differs from the next by a write or two, and not by more"


@pytest.mark.slow
def test_a_document_is_laid_down_once_and_whole_wherever_we_die(tmp_path: Path) -> None:
    fill(tmp_path)
    every = points("lay_down", tmp_path)
    assert {"renameat", "fsync", "mkdirat"} <= {point.call for point in every}
    for point in chosen(every):
        fill(tmp_path)
        assert killed("lay_down", tmp_path, *sweep.kill_at(point)), str(point)
        for path in (tmp_path / "out").rglob("*.xml"):
            assert path.read_bytes() == BODY, f"a half file at {point}"
        assert lay_down(tmp_path) == [Outcome.ACCEPTED] * 2
        names = [_document(number).document_id for number in (1, 2)]
        expected = sorted(f"20261121/{name}.xml{ending}" for name in names for ending in ("", ".ok"))
        assert files(tmp_path / "out") == [*expected, "i.csv"], str(point)
        assert len((tmp_path / "out/i.csv").read_text().splitlines()) == 3, str(point)


@pytest.mark.slow
def test_a_full_disk_lays_nothing_down_by_half_and_takes_nothing_away(tmp_path: Path) -> None:
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]).returncode
    ):
        pytest.skip("a small disk can be made by root alone")
    try:
        place = LocalPlace(tmp_path)
        place.write("first", b"x" * 40_000)
        with pytest.raises(PlaceFull):
            place.write("second", b"x" * 40_000)
        assert files(tmp_path) == ["first"]
        place.remove("first")
        place.write("second", b"x" * 40_000)
        assert files(tmp_path) == ["second"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
