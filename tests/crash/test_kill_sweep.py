"""SIGKILL at any durable write of agent or platform: nothing lost, no second effect, both start again.

Two cycles are swept: the first one over an empty state, and a later one in which records were corrected, reversed,
voided and came in late. What is true afterwards is told by the oracle, from the hospital's tables and the platform's
store. `./test --quick` takes a dozen points of each side, `./test` more, `./test --release` every one.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.workload import configuration
from frontend_agent.app import App
from frontend_agent.config import load_config
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.demo.later import advance
from frontend_agent.demo.oracle import Count, count
from frontend_agent.platform.store import Store
from tests.crash import sweep
from tests.crash.sweep import Point, Zygote
from tests.crash.victim import cycle as cycle_of_the_agent
from tests.platform_kit import running
from tests.ports import free_port

HOW = os.environ.get("FRONTEND_AGENT_TEST", "full")
VISITS = 8
pytestmark = [
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
    pytest.mark.timeout(3600 if HOW == "release" else 600),
]


@dataclass
class Cycle:
    """A hospital, and the states of agent and platform before the cycle begins (absent: none yet).

    Every point begins anew in the same folders: a state that is found in another one is refused as a copy.
    """

    hospital: Path
    before: Path
    place: Path

    def begin(self) -> Path:
        for side in ("agent", "platform"):
            sweep.refilled(self.place / side, self.before / side)
        (self.place / "victim.log").unlink(missing_ok=True)
        return self.place

    def keep(self) -> None:
        """From now on, what is in place is how every point begins."""
        for side in ("agent", "platform"):
            sweep.refilled(self.before / side, self.place / side)

    def configure(self, folder: Path, url: str) -> Path:
        path = folder / "agent.toml"
        path.write_text(configuration(self.hospital, url), encoding="utf-8")
        return path

    def agent(self, folder: Path, url: str) -> None:
        """The agent's cycle in this process."""
        cycle_of_the_agent(self.configure(folder, url), folder / "agent")

    def both(self, folder: Path) -> None:
        """Both sides start, whatever happened before, and the cycle is gone through to its end."""
        store = Store(folder / "platform").open()
        try:
            with running(store) as url:
                self.agent(folder, url)
        finally:
            store.close()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Cycle:
    """Nothing was taken yet."""
    folder = tmp_path_factory.mktemp("first")
    create_hospital(folder / "hospital", VISITS, seed=3)
    return Cycle(folder / "hospital", folder / "before", folder / "place")


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Cycle:
    """All was delivered once; then the hospital went on."""
    folder = tmp_path_factory.mktemp("later")
    create_hospital(folder / "hospital", VISITS, seed=3)
    cycle = Cycle(folder / "hospital", folder / "before", folder / "place")
    cycle.both(cycle.begin())
    cycle.keep()
    advance(cycle.hospital, 1)
    return cycle


@pytest.fixture(params=["first", "later"])
def cycle(request: pytest.FixtureRequest) -> Cycle:
    found: Cycle = request.getfixturevalue(request.param)
    return found


def right(counted: Count) -> bool:
    return not (counted.lost or counted.duplicates or counted.altered or counted.damaged or counted.wrong_events)


def proven(cycle: Cycle, folder: Path, point: Point) -> None:
    """After the kill: both start, nothing is lost or doubled, the log is whole, and another cycle changes nothing."""
    cycle.both(folder)
    told = count(cycle.hospital, folder / "platform", folder / "agent", compared=100_000)
    assert right(told), f"{point}: {told}"
    cycle.both(folder)
    again = count(cycle.hospital, folder / "platform", folder / "agent", compared=100_000)
    assert again.as_json() == told.as_json(), f"{point}: a second effect"
    with App(load_config(folder / "agent.toml"), folder / "agent", alone=True) as app:
        assert app.waiting("platform") == 0, f"{point}: something waits"
        verdict = app.spool.verify_log()
        assert verdict.ok, f"{point}: {verdict}"


# --- the agent is killed ----------------------------------------------------------------------------------------------


def agent_run(cycle: Cycle, folder: Path, zygote: Zygote, strace: tuple[str, ...]) -> int:
    """One cycle of an agent process under strace, against a platform that lives. Its wait status."""
    store = Store(folder / "platform").open()
    try:
        with running(store) as url:
            order = {"what": "agent", "config": str(cycle.configure(folder, url)), "state": str(folder / "agent")}
            with sweep.victim(zygote, order | {"log": str(folder / "victim.log")}, *strace):
                return zygote.hear()
    finally:
        store.close()


def test_agent_killed_at_any_durable_write(cycle: Cycle, zygote: Zygote, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    folder = cycle.begin()
    assert agent_run(cycle, folder, zygote, sweep.watch(trace)) == 0, (folder / "victim.log").read_text()
    points = sweep.seen(trace)
    assert len(points) > 30
    tried = sweep.chosen(points, HOW)
    killed = 0
    for point in tried:
        folder = cycle.begin()
        killed += sweep.was_killed(agent_run(cycle, folder, zygote, sweep.kill_at(point)))
        proven(cycle, folder, point)
    assert killed >= 0.9 * len(tried)


# --- the platform is killed -------------------------------------------------------------------------------------------


def platform_run(cycle: Cycle, folder: Path, zygote: Zygote, strace: tuple[str, ...]) -> int:
    """One cycle of an agent against a platform process under strace. The platform's wait status."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    order = {
        "what": "platform",
        "state": str(folder / "platform"),
        "port": str(port),
        "log": str(folder / "victim.log"),
    }
    with sweep.victim(zygote, order, *strace) as process:
        if sweep.until_it_answers(url, process):
            cycle.agent(folder, url)
        sweep.end(process)
        return zygote.hear()


def test_platform_killed_at_any_durable_write(cycle: Cycle, zygote: Zygote, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    platform_run(cycle, cycle.begin(), zygote, sweep.watch(trace))
    points = sweep.seen(trace)
    assert len(points) > 10
    for point in sweep.chosen(points, HOW):
        folder = cycle.begin()
        platform_run(cycle, folder, zygote, sweep.kill_at(point))
        proven(cycle, folder, point)


# --- the real command -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_with_its_workers_is_killed(first: Cycle, tmp_path: Path) -> None:
    """`frontend-agent once` with worker processes: none of them outlives it, and the next cycle makes all good."""
    folder = first.begin()
    store = Store(folder / "platform").open()
    try:
        with running(store) as url:
            config = first.configure(folder, url)
            command = [sys.executable, "-c", "from frontend_agent.cli.main import main; main()"]
            command += ["--config", str(config), "--state", str(folder / "agent"), "once"]
            tracer = subprocess.Popen(
                ["strace", "-f", *sweep.kill_at(Point("fdatasync", 12)), *command],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            assert (
                tracer.wait(60) == -signal.SIGKILL
            )  # strace ends as what it traced; with --seccomp-bpf it injects nothing
            for _ in range(100):
                if not sweep.living_in_session(tracer.pid):
                    break
                time.sleep(0.1)
            assert not sweep.living_in_session(tracer.pid)
    finally:
        store.close()
    proven(first, folder, Point("fdatasync", 12))
