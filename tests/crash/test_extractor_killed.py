"""SIGKILL at any moment to the processes that read the sources, and freezing them: nothing lost, nothing twice.

A real run: the demonstration hospital's feeds, workers and a platform. What is true afterwards is told by the oracle, from
the hospital's tables and the platform's store.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from frontend_agent.app import App, Outcome
from frontend_agent.config import Config, load_config
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.demo.later import advance
from frontend_agent.demo.oracle import Count, count
from frontend_agent.demo.run import agent_toml
from frontend_agent.platform.store import Store
from tests.platform_kit import running

VISITS = 120
PAGE = 20
KILLS = 12

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Config]:
    create_hospital(tmp_path / "hospital", VISITS, seed=5)
    store = Store(tmp_path / "platform").open()
    with running(store) as url:
        (tmp_path / "agent.toml").write_text(agent_toml(tmp_path / "hospital", url), encoding="utf-8")
        loaded = load_config(tmp_path / "agent.toml")
        yield replace(loaded, feeds=tuple(replace(feed, batch=PAGE) for feed in loaded.feeds))
    store.close()


def run_all(app: App) -> list[Outcome]:
    return [app.run_feed(feed, threading.Event()) for feed in app.feeds]


def send_all(app: App) -> None:
    for name in app.destinations:
        while app.waiting(name):
            app.send(name)


def told(folder: Path) -> Count:
    return count(folder / "hospital", folder / "platform", folder / "agent", compared=100_000)


def right(counted: Count) -> bool:
    return not (counted.lost or counted.duplicates or counted.altered or counted.damaged or counted.wrong_events)


@contextmanager
def hunted(app: App, dice: Random) -> Iterator[list[int]]:
    """Somebody kills extractors until he has killed enough of them."""
    killed: list[int] = []
    ended = threading.Event()

    def hunt() -> None:
        while len(killed) < KILLS and not ended.wait(dice.uniform(0.0, 0.25)):
            alive = [pid for remote in app.remotes.values() for pid in remote.extractors()]
            if alive:
                victim = dice.choice(alive)
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    killed.append(victim)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        yield killed
    finally:
        ended.set()
        hunter.join()


@pytest.mark.parametrize("workers", [0, 2])
def test_extractors_killed_at_any_moment_lose_and_double_nothing(config: Config, tmp_path: Path, workers: int) -> None:
    problems = []
    for turn in range(2):  # all of it for the first time; then what was corrected, voided and came late
        with App(replace(config, workers=workers), tmp_path / "agent") as app:
            with hunted(app, Random(turn)) as killed:
                while len(killed) < KILLS:
                    problems += [str(outcome.error) for outcome in run_all(app) if outcome.error]
            assert not [outcome for outcome in run_all(app) if outcome.error]
            send_all(app)
        assert right(told(tmp_path))
        if turn == 0:
            advance(tmp_path / "hospital", 1)
    assert any("the extractor of source" in problem for problem in problems)


def test_a_frozen_extractor_costs_its_run_and_no_row(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen after the first page: the run ends in time with the source to blame, what it had taken stays taken."""
    sources = {name: replace(source, statement_timeout=timedelta(seconds=1)) for name, source in config.sources.items()}
    with App(replace(config, sources=sources), tmp_path / "agent") as app:
        name = next(iter(app.feeds))
        source = app.remotes[app.feeds[name].config.source]
        marks = []

        def freeze() -> None:
            if not marks:
                marks.append(app.spool.watermark(name))
                for pid in source.extractors():
                    os.kill(pid, signal.SIGSTOP)

        began = time.monotonic()
        with monkeypatch.context() as shorter:  # for this run alone: a fresh interpreter has its time to start
            shorter.setattr("connectors.remote.THINKING", 3.0)
            outcome = app.run_feed(name, threading.Event(), freeze)
        assert outcome.error is not None
        assert f"source {source.name}" in str(outcome.error)
        assert time.monotonic() - began < 15
        mark = app.spool.watermark(name)
        assert mark is not None  # of the pages that were taken before, and of no other
        assert not [outcome for outcome in run_all(app) if outcome.error]
        later = app.spool.watermark(name)
        assert later is not None
        assert later.cursor >= mark.cursor
        send_all(app)
    assert right(told(tmp_path))
