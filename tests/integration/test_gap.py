"""An agent in two halves: both are processes, the platform is real, and a ferry between them does what ferries do.

Each document is at the platform once, and each is proven inside by the platform's own receipt. A hundred and some in the ordinary
run; ten thousand in a release.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
import zstandard

from frontend_agent.demo.hospital import create_hospital
from frontend_agent.platform.store import Store
from frontend_agent.proving import genuine_by
from frontend_agent.spool import Spool
from frontend_agent.wire.receipts import read_reply
from tests.gap_kit import Site, make_site, run, running_half, started, status, until
from tests.platform_kit import running

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    create_hospital(folder, 40, seed=3)
    return folder


@contextmanager
def platform_at(folder: Path) -> Iterator[str]:
    """Its store is closed when it ends: then it can be looked at."""
    store = Store(folder / "platform").open()
    try:
        with running(store) as url:
            yield url
    finally:
        store.close()


def states(site: Site) -> dict[str, int]:
    """How many deliveries stand where, of a running agent."""
    done = run(site, "inner", "status", "--json")
    if done.returncode:
        return {}
    told: dict[str, int] = json.loads(done.stdout)["destinations"][0]["states"]
    return {state: count for state, count in told.items() if count}


LEAST = 90  # documents that the ordinary hospital of these tests makes


def is_done(site: Site, least: int = LEAST) -> Callable[[], bool]:
    """Whether everything is delivered, and nothing is on its way any more. A feed that could not ask the platform is read again."""
    before: list[int] = []

    def look() -> bool:
        now = states(site)
        before.append(now.get("delivered", 0))
        return len(now) == 1 and now.get("delivered", 0) >= least and len(before) > 1 and before[-2] == before[-1]

    return look


def proven(site: Site) -> int:
    """Every document is at the platform once with the bytes that were made here, and its receipt is proven offline. How many."""
    with Spool(site.state("inner")).open() as spool:
        here = {one.document_id: one for one in spool.receipts(limit=1_000_000)}
        made = spool.counts().documents
        key = base64.b64decode(spool.meta.get("key:platform") or "")
        assert spool.verify_log(genuine_by([key])).ok
        assert spool.gap.all_asked() == [] or all(one.kind != "parcel" for one in spool.gap.all_asked())
    replies = dict(rows(site.state("inner") / "spool.db", "SELECT name, body FROM reply"))
    kept = {name: read_reply(zstandard.decompress(body), key) for name, body in replies.items()}
    for receipt in here.values():
        leaf = kept[receipt.reply].leaves[receipt.position]
        assert (leaf.document_id, leaf.outcome, leaf.sha256) == (receipt.document_id, "stored", receipt.sha256)
    there = {name: bytes(digest).hex() for name, digest in rows(site.folder / "platform/index.sqlite", THERE)}
    assert there == {name: receipt.sha256 for name, receipt in here.items()}
    assert len(here) == made
    return made


THERE = "SELECT document_id, sha256 FROM document"


def rows(file: Path, statement: str) -> list[tuple[Any, ...]]:
    """Of a database that nobody has open."""
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def all_cross(folder: Path, hospital: Path, seconds: float, least: int = LEAST, **how: Any) -> tuple[Site, int]:
    """Both halves work until all is delivered; then it is proven."""
    with platform_at(folder) as url:
        site = make_site(folder, hospital, url, **how)
        site.start_ferry()
        with running_half(site, "outer"), running_half(site, "inner"):
            until(is_done(site, least), seconds, 1.0)
        site.stop_ferry()
    return site, proven(site)


def test_documents_cross_with_a_ferry_that_delays_doubles_reorders_and_loses(tmp_path: Path, hospital: Path) -> None:
    site, count = all_cross(tmp_path, hospital, 240, seed=7, batch=10, delay=0.5, duplicates=0.15, loses=0.12)
    assert count > LEAST - 1
    assert site.out.lost or site.back.lost, "the ferry lost some"
    assert site.out.twice or site.back.twice, "and brought some twice"


@pytest.mark.release
@pytest.mark.timeout(3600)
def test_ten_thousand_documents_cross(tmp_path: Path) -> None:
    create_hospital(tmp_path / "hospital", 4100, seed=3)
    site, count = all_cross(
        tmp_path, tmp_path / "hospital", 3000, 10_000, seed=11, batch=50, delay=2.0, duplicates=0.1, loses=0.1
    )
    assert count >= 10_000
    assert len(site.out.lost) + len(site.back.lost) > 20


@pytest.mark.parametrize("half", ["inner", "outer"])
def test_a_half_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, hospital: Path, half: str
) -> None:
    random = Random(half)
    other = "outer" if half == "inner" else "inner"
    with platform_at(tmp_path) as url:
        site = make_site(tmp_path, hospital, url, seed=3, batch=5, delay=0.3, duplicates=0.1, loses=0.1)
        site.start_ferry()
        with running_half(site, other):
            for _ in range(5):
                victim = started(site, half)
                time.sleep(1.5 + 2.5 * random.random())
                os.kill(victim.pid, signal.SIGKILL)
                victim.wait(10)
            with running_half(site, half):
                until(is_done(site), 240, 1.0)
        site.stop_ferry()
    assert proven(site) > LEAST - 1


def test_a_lost_outer_half_is_replaced_by_an_empty_one_with_the_same_keys(tmp_path: Path, hospital: Path) -> None:
    with platform_at(tmp_path) as url:
        site = make_site(tmp_path, hospital, url, batch=5, delay=0.3)
        with running_half(site, "inner"):
            with running_half(site, "outer"):
                site.start_ferry()
                until(lambda: status(site).get("received", 0) >= 3, 60, 0.3)
                site.stop_ferry()
            for path in site.state("outer").glob("spool.db*"):
                path.unlink()
            for folder in ("outer/in", "outer/out"):
                for path in (tmp_path / folder).glob("*.feb"):
                    path.unlink()
            site.start_ferry()
            with running_half(site, "outer"):
                until(is_done(site), 240, 1.0)
        site.stop_ferry()
    assert proven(site) > LEAST - 1


def test_a_disk_that_is_full_is_told_and_waited_for(tmp_path: Path, hospital: Path) -> None:
    """A folder of its own small file system; without the right to mount one the test is skipped."""
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], check=False).returncode
    ):
        pytest.skip("no file system can be mounted here")
    try:
        with platform_at(tmp_path) as url:
            site = make_site(tmp_path, hospital, url, batch=10)
            _fill(small / "filler")
            text = site.inner.read_text("utf-8").replace(f'out = "{tmp_path / "inner/out"}"', f'out = "{small}"')
            site.inner.write_text(text, "utf-8")
            site.out.source = small
            with running_half(site, "outer"), running_half(site, "inner"):
                until(lambda: _says_full(site), 60, 0.5)
                assert run(site, "inner", "gap", "status").returncode == 1
                (small / "filler").unlink()
                site.start_ferry()
                until(is_done(site), 240, 1.0)
            site.stop_ferry()
        assert proven(site) > LEAST - 1
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def _says_full(site: Site) -> bool:
    told = status(site)
    return "No space left" in told.get("problems", {}).get("out", "")


def _fill(file: Path) -> None:
    """With all that there is room for: not even the first small file fits."""
    with suppress(OSError), file.open("wb", buffering=0) as opened:
        while opened.write(bytes(1024)):
            pass
