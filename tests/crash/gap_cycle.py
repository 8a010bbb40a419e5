"""The work of each half of an agent across a gap, in one thread, so that it may be killed at a chosen system call."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from frontend_agent.app import App, utc_now
from frontend_agent.config import load_config
from frontend_agent.crossing.halves import paired
from frontend_agent.crossing.outer import Outer
from frontend_agent.spool import Spool

LONGEST = 60.0  # seconds


def inner_cycle(config: Path, state: Path, go_on: Callable[[], bool] = lambda: True) -> None:
    """Every feed, then all that is due, until each document has its receipt, or there is no sense in it."""
    with App(load_config(config), state, alone=True) as app:
        assert app.crossing is not None
        for feed in app.feeds:
            outcome = app.run_feed(feed, threading.Event())
            if outcome.error and go_on():
                raise outcome.error
        deadline = time.monotonic() + LONGEST
        app.spool.recovered("platform")
        while app.waiting("platform") and go_on():
            assert time.monotonic() < deadline, "not everything was answered"
            moved = app.send("platform") + app.crossing.turn()
            if not moved:
                time.sleep(0.02)
        app.crossing.turn()


def outer_cycle(config: Path, state: Path, stopping: threading.Event | None = None) -> None:
    """Until it is killed, or told to stop."""
    loaded = load_config(config)
    half, other = paired(loaded, state)
    with Spool(state).open() as spool:
        outer = Outer(loaded, state, spool, half, other, utc_now)
        if stopping is not None:
            outer.stopping = stopping
        outer.work()
