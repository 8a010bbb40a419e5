"""SIGKILL of either half of an agent across a gap at its durable writes: nothing is lost, nothing has a second effect.

The other half, the ferry and the platform live on; afterwards the killed one begins again, and all is at the platform once and
proven inside. A few points of each kind of call in `./test`, many in `./test --release`.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from frontend_agent.demo.hospital import create_hospital
from frontend_agent.platform.store import Store
from tests.crash import sweep
from tests.crash.gap_cycle import inner_cycle, outer_cycle
from tests.crash.sweep import Point, Zygote
from tests.gap_kit import QUICK, Site, make_site
from tests.integration.test_gap import proven
from tests.platform_kit import running

HOW = os.environ.get("FRONTEND_AGENT_TEST", "full")
MOST = 25 if HOW == "release" else 1  # points of each kind of call
ALL = ("pwrite64", "fdatasync", "fsync", "renameat", "unlinkat")  # of the spool, and of files in the two folders
CALLS = ("pwrite64", "renameat") if HOW == "quick" else ALL
pytestmark = [
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
    pytest.mark.timeout(3600 if HOW == "release" else 600),
]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    create_hospital(folder, 8, seed=3)
    return folder


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


@contextmanager
def living(site: Site, half: str) -> Iterator[None]:
    """The ferry, and the outer half where the inner one is the victim."""
    site.start_ferry(0.01)
    try:
        with living_outer(site) if half == "inner" else nullcontext():
            yield
    finally:
        site.stop_ferry()


def gone_through(place: Path, hospital: Path, zygote: Zygote, half: str, *strace: str) -> bool:
    """One cycle with that half as a victim; then it begins again and all is brought to its end. Whether it was killed."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    store = Store(place / "platform").open()
    try:
        with running(store) as url:
            site = make_site(place, hospital, url, batch=4, more=QUICK.replace('"20s"', '"3s"'))
            order = {
                "what": f"gap-{half}",
                "config": str(getattr(site, half)),
                "state": str(site.state(half)),
                "log": str(place / "victim.log"),
            }
            with living(site, half):
                killed = _victim(site, half, zygote, order, strace)
                with living_outer(site) if half == "outer" else nullcontext():
                    inner_cycle(site.inner, site.state("inner"))
    finally:
        store.close()
    assert proven(site) > 10
    return killed


def _victim(site: Site, half: str, zygote: Zygote, order: dict[str, str], strace: tuple[str, ...]) -> bool:
    """Whether it was killed while it worked."""
    with sweep.victim(zygote, order, *strace) as child:
        if half == "inner":
            return sweep.was_killed(zygote.hear())
        inner_cycle(site.inner, site.state("inner"), lambda: sweep.lives(child))
        killed = not sweep.lives(child)
        sweep.end(child)
        zygote.hear()
        return killed


@contextmanager
def living_outer(site: Site) -> Iterator[None]:
    stopping = threading.Event()
    thread = threading.Thread(target=outer_cycle, args=(site.outer, site.state("outer"), stopping), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(20)


def chosen(points: list[Point]) -> list[Point]:
    """Some of each kind, evenly spread."""
    picked = []
    for call in CALLS:
        same = [point for point in points if point.call == call]
        count = min(MOST, len(same))
        picked += [same[(index * 2 + 1) * len(same) // (2 * count)] for index in range(count)]
    return picked


@pytest.mark.parametrize("half", ["inner", "outer"])
def test_a_half_is_killed_at_its_durable_writes(
    tmp_path_factory: pytest.TempPathFactory, hospital: Path, zygote: Zygote, half: str
) -> None:
    folder = tmp_path_factory.mktemp(half)
    trace = folder / "trace"
    gone_through(folder / "place", hospital, zygote, half, *sweep.watch(trace, ALL))
    points = chosen(sweep.seen(trace, ALL))
    assert {point.call for point in points} >= {"pwrite64", "renameat"}
    killed = [
        point for point in points if gone_through(folder / "place", hospital, zygote, half, *sweep.kill_at(point))
    ]
    assert len(killed) >= len(points) * 2 // 3, "what a dry run did is done again, as far as the ferry's times go"
