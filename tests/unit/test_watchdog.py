"""The watchdog is fed by progress, not by threads that merely live."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.app import App
from frontend_agent.cli.work import example
from frontend_agent.config import load_config
from frontend_agent.daemon import Daemon
from frontend_agent.notify import Notifier
from frontend_agent.pulse import Pulses
from frontend_agent.spool.keeping import Keeper


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_who_is_at_work_for_too_long_is_late_and_who_waits_is_not() -> None:
    clock = Clock()
    pulses = Pulses(clock)
    pulse = pulses.of("send-platform", 600.0)
    assert pulses.late() == [], "it has not begun"
    pulse.beat()
    clock.now = 599.0
    assert pulses.late() == []
    clock.now = 601.0
    assert pulses.late() == ["send-platform"]
    pulse.beat()
    assert pulses.late() == []
    with pulses.of("send-platform", 600.0).at_work():
        pass
    clock.now = 1e6
    assert pulses.late() == [], "it waits for work"


class Heard(Notifier):
    """What systemd would hear."""

    def __init__(self) -> None:
        super().__init__()
        self.interval = 0.05
        self.words: list[str] = []

    def say(self, *words: str) -> None:
        self.words += words


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Daemon, Heard]]:
    (tmp_path / "agent.toml").write_text(
        example(), "utf-8"
    )  # its hospital is not there: its feeds fail, and that is life
    heard = Heard()
    with App(load_config(tmp_path / "agent.toml"), tmp_path / "state") as app:
        made = Daemon(app, heard)
        thread = threading.Thread(target=made.run, daemon=True)
        thread.start()
        eventually(lambda: "WATCHDOG=1" in heard.words)
        yield made, heard
        made.stopping.set()
        thread.join(15)


def eventually(is_so: Any, within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_thread_without_progress_starves_the_watchdog_and_is_named(
    daemon: tuple[Daemon, Heard], caplog: pytest.LogCaptureFixture
) -> None:
    made, heard = daemon
    made.pulses.of("feed cytology", -1.0).beat()  # it is late at once
    eventually(lambda: "STATUS=no progress: feed cytology" in heard.words)
    heard.words.clear()
    time.sleep(0.3)
    assert "WATCHDOG=1" not in heard.words
    made.pulses.of("feed cytology", -1.0).rest()
    eventually(lambda: "WATCHDOG=1" in heard.words)


def test_a_state_that_nobody_lets_go_of_starves_the_watchdog(daemon: tuple[Daemon, Heard]) -> None:
    made, heard = daemon
    holding, free = threading.Event(), threading.Event()

    def hold() -> None:
        with made.app.spool._database.held():
            holding.set()
            free.wait(20)

    threading.Thread(target=hold, daemon=True).start()
    holding.wait(5)
    time.sleep(0.1)
    heard.words.clear()
    time.sleep(0.4)
    assert "WATCHDOG=1" not in heard.words
    free.set()
    eventually(lambda: "WATCHDOG=1" in heard.words)


def test_the_scheduler_shows_that_it_begins_what_is_due(daemon: tuple[Daemon, Heard]) -> None:
    made, _ = daemon
    scheduler: Any = made._scheduler
    assert "besides:pulse" in scheduler.next_runs()


def test_a_commit_that_hangs_is_no_life() -> None:
    class Hanging:
        def keep(self, *_: Any) -> Any:
            hangs.set()
            free.wait(10)
            return []

    hangs, free = threading.Event(), threading.Event()
    keeper = Keeper(Hanging())  # type: ignore[arg-type]  # an inbox that a disk holds up
    keeper._pulse._longest = 0.05
    keeper.start()
    assert keeper.is_alive()
    keeper([])
    hangs.wait(5)
    time.sleep(0.1)
    assert not keeper.is_alive()
    free.set()
    keeper.stop()
