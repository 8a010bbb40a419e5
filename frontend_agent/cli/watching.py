"""`frontend-agent status --watch`: the facts of the console's first page in a terminal, renewed every second, until q."""

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from frontend_agent.console.attention import STUCK, attention
from frontend_agent.console.words import ago, say, size, when
from frontend_agent.errors import FrontendAgentError

EVERY = 1.0  # seconds between questions
LOOK = 0.1  # seconds between looks at the keyboard and the size of the window
COLOURS = {"bad": "bold red", "warn": "yellow"}
LEAST_ATTENTION = 3  # lines that are shown of what needs attention, however small the window
QUIT = ("q", "Q", "\x03", "\x04")
ESCAPE = "\x1b"


class NoTerminal(FrontendAgentError):
    """status --watch draws on a terminal, and this is none. For programs: status --json."""


def watch(asking: Callable[[], Any], lang: str) -> None:
    """Draw until q. `asking` gives a context with a function that asks, as the other commands have."""
    # A shell may export COLUMNS and LINES: true when it began, no longer when somebody has drawn the window wider.
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    screen = Console(file=sys.stdout, highlight=False, _environ=environment)
    if not screen.is_terminal or not sys.stdin.isatty():
        raise NoTerminal("status --watch draws on a terminal, and this is none; for programs: status --json")
    with _keys() as pressed, Live(console=screen, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        status, today, problem, asked_at = None, None, "", -EVERY
        drawn_for = None
        while not pressed():
            now = time.monotonic()
            if now - asked_at >= EVERY:
                asked_at, drawn_for = now, None
                status, today, problem = _asked(asking, status, today)
            if drawn_for != screen.size:
                drawn_for = screen.size
                live.update(draw(status, today, problem, lang, screen.height, datetime.now(UTC)), refresh=True)


def _asked(asking: Callable[[], Any], status: Any, today: Any) -> tuple[Any, Any, str]:
    """The newest answers; of a daemon that does not answer the last ones, with what is in the way."""
    try:
        with asking() as ask:
            return ask("status"), ask("today"), ""
    except FrontendAgentError as error:
        return status, today, str(error)


def draw(status: Any, today: Any, problem: str, lang: str, height: int, now: datetime) -> RenderableType:
    """One picture, no higher than the window: what is wrong has room before what is well."""
    parts: list[RenderableType] = []
    if problem:
        parts.append(Text(problem, "bold white on red"))
    if status is None or today is None:
        return Group(*parts)
    feeds, destinations = _feeds(status, today, lang, now), _destinations(status, today, lang, now)
    lines = [
        Text.assemble(
            (f"{say(lang, f'level_{line.level}')}  ", COLOURS[line.level]),
            say(lang, line.key, **line.values),
            (f"  {ago(lang, now, line.since)}" if line.since else "", "dim"),
            overflow="ellipsis", no_wrap=True,
        )
        for line in attention(status)
    ]  # fmt: skip
    room = max(LEAST_ATTENTION, height - 8 - len(parts) - feeds.row_count - destinations.row_count)
    if len(lines) > room:
        lines = [*lines[: room - 1], Text(say(lang, "more", n=len(lines) - room + 1), "dim")]
    return Group(
        *parts,
        _head(status, lang, now),
        _figures(status, today, lang),
        Text(),
        *(lines or [Text(say(lang, "all_well"), "green")]),
        Text(),
        feeds,
        Text(),
        destinations,
        Text(say(lang, "watch_keys"), "dim"),
    )


def _head(status: Any, lang: str, now: datetime) -> Text:
    daemon = status["daemon"]
    since = say(lang, "running_since", since=when(None, now, daemon["started"])) if daemon else say(lang, "stopped")
    told = f"  {status['version']} · {since} · {when(None, now, now.isoformat())}"
    return Text.assemble((status["institution_name"], "bold"), (told, "dim"), overflow="ellipsis", no_wrap=True)


def _figures(status: Any, today: Any, lang: str) -> Text:
    spool, images = status["spool"], status["images"] or {"destinations": []}
    places = (*status["destinations"], *images["destinations"])
    stuck = sum(one["states"].get(state, 0) for one in status["destinations"] for state in STUCK)
    waiting = sum(one["waiting"] for one in places)
    held = status["quarantine"]["open"] + stuck
    figures = (
        ("made_today", f"{sum(one['documents'] for one in today['feeds'].values()):,}", ""),
        ("delivered_today", f"{sum(sum(one.values()) for one in today['destinations'].values()):,}", ""),
        ("waiting", f"{waiting:,}", ""),
        ("in_quarantine", f"{held:,}", "yellow" if held else ""),
        ("disk", f"{spool['bytes'] / spool['quota']:.0%} ({size(spool['bytes'])})", ""),
    )
    told = Text(overflow="ellipsis", no_wrap=True)
    for key, figure, style in figures:
        told.append(f"{say(lang, key)} ", "dim")
        told.append(f"{figure}   ", f"bold {style}".strip())
    return told


def _table(lang: str, *heads: str) -> Table:
    """Names and figures; the figures to the right."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for head in heads:
        right = head in ("read", "documents", "held", "today", "delivered", "waiting", "stuck")
        drawn.add_column(say(lang, head), justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    return drawn


def _feeds(status: Any, today: Any, lang: str, now: datetime) -> Table:
    drawn = _table(lang, "feed", "source", "read", "documents", "held", "last_run", "next_run", "state")
    for feed in status["feeds"]:
        day, last = today["feeds"].get(feed["name"], {}), feed["last_run"]
        if feed["vanished"]:
            state = Text(say(lang, "stands"), "bold red")
        elif last and last["problem"]:
            state = Text(f"{say(lang, 'failing')}: {last['problem']}", "bold red")
        elif feed["silent_since"]:
            state = Text(f"{say(lang, 'silent')} {ago(lang, now, feed['silent_since'])}", "yellow")
        else:
            state = Text(say(lang, "well" if last else "not_yet"), "green" if last else "dim")
        figures = (f"{day.get(name, 0):,}" for name in ("records", "documents", "held"))
        moments = (when(None, now, last["ended_at"] if last else None), when(None, now, feed["next_run"]))
        drawn.add_row(feed["name"], feed["source"], *figures, *moments, state)
    return drawn


def _destinations(status: Any, today: Any, lang: str, now: datetime) -> Table:
    drawn = _table(lang, "destination", "today", "delivered", "waiting", "stuck", "last_proof", "state")
    images = status["images"] or {"destinations": []}
    for one, days in [
        *((one, today["destinations"]) for one in status["destinations"]),
        *((one, today["images"]) for one in images["destinations"]),
    ]:
        problem = one.get("problem")
        state = Text(f"{say(lang, 'failing')}: {problem}", "bold red") if problem else Text(say(lang, "well"), "green")
        figures = (
            sum(days.get(one["name"], {}).values()), one["states"].get("delivered", 0) + one["states"].get("accepted", 0),
            one["waiting"], sum(one["states"].get(name, 0) for name in STUCK),
        )  # fmt: skip
        proof = when(None, now, one.get("stored_at"))
        drawn.add_row(one["name"], *(f"{figure:,}" for figure in figures), proof, state)
    return drawn


@contextmanager
def _keys() -> Iterator[Callable[[], bool]]:
    """Whether somebody wants to leave: keys come at once, unseen, and the terminal is as it was afterwards."""
    if sys.platform == "win32":
        yield _pressed_on_windows
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield _pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pressed() -> bool:
    terminal = sys.stdin.fileno()  # not what Python has read ahead of it: nothing would be ready then
    if not select.select([terminal], [], [], LOOK)[0]:
        return False
    keys = os.read(terminal, 64).decode("utf-8", "replace")
    return keys in ("", ESCAPE) or any(
        key in QUIT for key in keys
    )  # the end of the input is one, too; an arrow is none


def _pressed_on_windows() -> bool:
    if sys.platform != "win32":
        return False
    import msvcrt

    time.sleep(LOOK)
    return bool(msvcrt.kbhit()) and msvcrt.getwch() in (*QUIT, ESCAPE)
