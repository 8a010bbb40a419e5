"""`status --watch` on a real terminal: drawn anew, fitted to the window, left with q, and the terminal is as it was."""

import copy
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from frontend_agent.app import App
from frontend_agent.cli.watching import draw
from frontend_agent.config import load_config
from frontend_agent.console.words import TEXTS
from frontend_agent.operations import operations
from frontend_agent.today import MORNING, Today, since
from tests.console_kit import SMALL, Site

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NOW = datetime(2026, 11, 21, 16, 30, tzinfo=UTC)  # half past midnight in Shanghai


@pytest.fixture
def app(tmp_path: Path) -> Any:
    (tmp_path / "agent.toml").write_text(SMALL, "utf-8")
    with App(load_config(tmp_path / "agent.toml"), tmp_path / "state", clock=lambda: NOW) as opened:
        yield opened


def seen(picture: Any, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=None, record=True, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(picture)
    return captured.get().splitlines()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_wrong_has_room_before_what_is_well(app: App, lang: str) -> None:
    asked = operations(app)
    status, today = asked["status"](), asked["today"]()
    well = seen(draw(status, today, "", lang, 40, NOW), 120, 40)
    assert any(TEXTS[lang]["all_well"] in line for line in well)
    ill = copy.deepcopy(status)
    ill["calendar_missing"] = [2027]
    ill["destinations"][0] |= {"problem": "no route to host", "since": NOW.isoformat()}
    ill["feeds"] = [{**ill["feeds"][0], "name": f"feed{n}", "silent_since": NOW.isoformat()} for n in range(9)]
    told = seen(draw(ill, today, "", lang, 24, NOW), 100, 24)
    assert len(told) <= 24
    bad = TEXTS[lang]["level_bad"]
    assert next(line for line in told if line.startswith((bad, TEXTS[lang]["level_warn"]))).startswith(bad)
    assert all(line == line[:200] for line in told)


def test_without_an_answer_it_says_so_and_shows_the_last_one(app: App) -> None:
    asked = operations(app)
    told = seen(draw(asked["status"](), asked["today"](), "no daemon is running", "en", 30, NOW), 100, 30)
    assert told[0].startswith("no daemon is running")
    assert any("lab" in line for line in told)
    assert seen(draw(None, None, "no daemon is running", "en", 30, NOW), 100, 30)[0].startswith("no daemon")


def test_today_is_what_was_added_since_midnight(app: App) -> None:
    moments = [datetime(2026, 11, 21, 1, tzinfo=UTC), datetime(2026, 11, 21, 15, 59, tzinfo=UTC), NOW]
    now = iter(moments)
    app.clock = lambda: moment  # type: ignore[method-assign]
    moment = next(now)
    first = Today(app).keep()
    assert first.day == "2026-11-21"
    moment = next(now)
    assert Today(app).keep() == first  # also after a restart
    moment = next(now)
    assert Today(app).keep().day == "2026-11-22"  # by the institution's clock
    assert app.spool.meta.get(MORNING)
    assert since({"lab": {"documents": 5}}, {"lab": {"documents": 7}, "new": {"documents": 1}}, ("documents",)) == {
        "lab": {"documents": 2},
        "new": {"documents": 1},
    }
    assert since({"p": {"delivered": 5}}, {"p": {"delivered": 4}}, ("delivered",)) == {"p": {"delivered": 0}}


def test_on_a_terminal_it_follows_the_window_and_ends_with_q(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (tmp_path / "agent.toml").write_text(f'{SMALL}\n[console]\nlisten = "127.0.0.1:{site.port}"\n', "utf-8")
    site.start()
    ours, theirs = pty.openpty()
    try:
        before = termios.tcgetattr(theirs)
        size(ours, 30, 120)
        command = site.command("--lang", "en", "status", "--watch")
        exported = {"COLUMNS": "140", "LINES": "50"}  # by the shell; the window is not so wide
        environment = {**site.environment(), **exported, "TERM": "xterm-256color"}
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path)
        wide = read_until(ours, "q to leave")
        assert "示范市第一人民医院" in wide
        size(ours, 20, 60)
        ends = time.monotonic() + 60
        while widest(read_until(ours, "q to leave")) > 60:  # one that was begun before is as wide as before
            assert time.monotonic() < ends
        os.write(ours, b"x\x1b[A")
        assert process.poll() is None
        os.write(ours, b"q")
        ends = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < ends:  # a terminal that nobody reads lets nobody write
            if select.select([ours], [], [], 0.1)[0]:
                os.read(ours, 65536)
        assert process.poll() == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)
        site.stop()
    assert "--json" in site.ask("status", "--watch", code=1)  # in a pipe


def size(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def widest(drawn: str) -> int:
    """Of the lines since the last whole picture; a picture begins at home, without a new line."""
    return max(len(line) for line in ESCAPES.sub("", drawn.replace("\x1b[H", "\n")).splitlines()[-15:])


def read_until(terminal: int, wanted: str) -> str:
    """What was drawn since, with the next whole picture at its end."""
    drawn, ends = b"", time.monotonic() + 60
    while time.monotonic() < ends:
        if select.select([terminal], [], [], 0.2)[0]:
            drawn += os.read(terminal, 65536)
        if wanted in drawn.decode("utf-8", "replace"):
            return drawn.decode("utf-8", "replace")
    raise AssertionError(drawn.decode("utf-8", "replace")[-2000:])
