"""kill -9 at any moment while a study is received, looked at and sent: complete once, nothing acknowledged is lost, no orphan files.

The victim is a process of its own under strace, which kills it before the K-th system call of a kind is carried out. The region is a
folder that knows an instance by its UID, as a region does.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.arrivals import Kept as Said
from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import ImagesConfig, StowOutlet
from frontend_agent.delivery import State
from frontend_agent.imaging.looking import Looking
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled, StudyState
from frontend_agent.imaging.watching import Watcher
from frontend_agent.spool import Spool
from frontend_agent.spool.image_desk import Desk
from frontend_agent.spool.image_words import Rules
from tests.crash import sweep
from tests.crash.sweep import Point
from tests.study_kit import hand_over

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CALLS = ("pwrite64", "write", "fdatasync", "fsync", "rename", "mkdir", "unlink")
HOW = os.environ.get("FRONTEND_AGENT_TEST", "full")
SOME = {"quick": 1, "full": 2}
STUDY = "1.2.3.77"
SLICES = 6


def images() -> ImagesConfig:
    return ImagesConfig(destinations={"region": StowOutlet(type="stow", url="http://region.example/dicom-web")})


def carry(folder: Path) -> None:
    """Receive a study, look at it, send it, drop it: from wherever it stands. What is acknowledged is written down."""
    with Spool(folder / "state", reserve=0).open() as spool:
        book = spool.images.open(Rules("H1", kept_unproven={}), NOW)
        desk = Desk(book, lambda: NOW).start()
        for number in range(1, SLICES + 1):
            said = hand_over(desk, STUDY, number, size=40_000)
            with open(folder / "acknowledged", "a", encoding="ascii") as told:
                told.write(f"{number} {said.sha256} {said.kept}\n")
        desk.stop()
        looking = Looking(images(), InstitutionConfig(id="H1", name="测试医院"), lambda: LATER)
        Watcher(book, looking, lambda: LATER, lambda: None).work()
        send(folder, spool)
        if (study := book.study_of(STUDY)) and study.state is StudyState.DONE:
            (folder / "done").touch()
            book.retire(timedelta(days=1), timedelta(days=400), LATER + timedelta(days=2))


def send(folder: Path, spool: Spool) -> None:
    book = spool.images
    while claimed := book.claim("region", LATER, limit=4, max_bytes=1 << 30, lease=timedelta(hours=1)):
        store(folder, claimed, book.path)
        book.settle("region", [Settled(one.id, State.ACCEPTED) for one in claimed.instances], LATER)
    asked = {"first": timedelta(0), "every": timedelta(minutes=5), "until": timedelta(days=9)}
    while unproven := book.claim_unproven("region", LATER, **asked):
        stored = [one for one in unproven.instances if (folder / "region" / name_of(one)).exists()]
        book.settle("region", [Settled(one.id, State.DELIVERED, proof="counted") for one in stored], LATER)


def store(folder: Path, claimed: ImageDelivery, path_of: Callable[[Instance], Path | None]) -> None:
    for one in claimed.instances:
        path = path_of(one)
        assert path is not None
        body, there = path.read_bytes(), folder / "region" / name_of(one)
        if there.exists():
            assert there.read_bytes() == body, "the same instance came as other bytes"
            with open(folder / "twice", "a", encoding="ascii") as told:
                told.write("x")
            continue
        half = there.with_suffix(".half")
        half.write_bytes(body)
        half.replace(there)


def name_of(one: Instance) -> str:
    return f"{one.header.sop_instance_uid}.dcm"


def killed(folder: Path, *strace: str) -> bool:
    """Run it under strace; whether it was killed."""
    code = "import sys; from pathlib import Path; from tests.crash.test_images_killed import carry; carry(Path(sys.argv[1]))"
    done = subprocess.run(
        ["strace", "-f", *strace, sys.executable, "-B", "-c", code, str(folder)],
        cwd=sweep.REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=180,
        check=False,
    )
    return done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)


def points(folder: Path) -> list[Point]:
    """Every call of these kinds that a whole run makes: strace counts them by thread, so as many as the busiest made."""
    trace = folder / "trace"
    killed(folder, "-o", str(trace), "-e", "trace=" + ",".join(CALLS))
    by_thread = Counter(re.findall(r"^(\d+) +(\w+)\(", trace.read_text(errors="replace"), re.MULTILINE))
    most = {call: max((n for (_, one), n in by_thread.items() if one == call), default=0) for call in CALLS}
    return [Point(call, number) for call in CALLS for number in range(1, most[call] + 1)]


def chosen(every: Sequence[Point]) -> list[Point]:
    """All for a release; else some of each call, spread over the run."""
    if HOW == "release":
        return list(every)
    found = []
    for call in CALLS:
        same = [point for point in every if point.call == call]
        count = min(SOME.get(HOW, 2), len(same))
        found += [same[(place + 1) * len(same) // (count + 1)] for place in range(count)]
    return found


def begin(folder: Path) -> None:
    for name in ("state", "region"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("acknowledged", "done", "twice"):
        (folder / name).unlink(missing_ok=True)
    (folder / "region").mkdir()
    with Spool(folder / "state", reserve=0).open():  # so that what is written is of images, and not of a new state
        pass


def must_be_whole(folder: Path, point: Point) -> None:
    """After any death, before anything is sent again: what was acknowledged is here, and nothing lies here that no row knows."""
    told = [line.split() for line in (folder / "acknowledged").read_text().splitlines()] if (folder / "acknowledged").exists() else []  # fmt: skip
    with Spool(folder / "state", reserve=0).open() as spool:
        book = spool.images.open(Rules("H1"), NOW)
        study = book.study_of(STUDY)
        known = book.instances(study.id) if study else []
        came, sent = {one.sha256 for one in known}, {one.sent_sha256 for one in known}
        assert {digest for _, digest, _ in told} <= came, str(point)
        on_disk = sorted(path.stem for path in book.files.root.rglob("*.dcm"))
        if study and study.has_files:
            assert on_disk == sorted(came | sent), str(point)
        else:
            assert on_disk == [], str(point)
        assert not list(book.files.incoming_folder.iterdir()), str(point)
        assert book.used() == sum(path.stat().st_size for path in book.files.root.rglob("*.dcm")), str(point)


@pytest.mark.slow
def test_a_study_arrives_complete_and_once_wherever_we_die(tmp_path: Path) -> None:
    begin(tmp_path)
    every = points(tmp_path)
    assert {"fdatasync", "rename", "fsync", "unlink"} <= {point.call for point in every}
    tried = chosen(every)
    deaths = 0
    for point in tried:
        begin(tmp_path)
        deaths += killed(tmp_path, *sweep.kill_at(point))
        must_be_whole(tmp_path, point)
        was_done = (tmp_path / "done").exists()
        carry(tmp_path)
        assert sorted(path.name for path in (tmp_path / "region").glob("*.dcm")) == [
            f"{STUDY}.1.{number}.dcm" for number in range(1, SLICES + 1)
        ], str(point)
        with Spool(tmp_path / "state", reserve=0).open() as spool:
            book = spool.images.open(Rules("H1"), NOW)
            study = book.study_of(STUDY)
            assert study is not None
            assert (study.state, study.instances, study.series) == (StudyState.DONE, SLICES, 1), str(point)
            assert not list(book.files.root.rglob("*.dcm")) or was_done, str(point)
            assert spool.verify_log().first_bad == 0
        said = {line.split()[2] for line in (tmp_path / "acknowledged").read_text().splitlines()}
        assert said <= {Said.KEPT, Said.DUPLICATE}, str(point)
    assert deaths >= 0.8 * len(tried), "a run differs from the next by a write or two, and not by more"
