"""Held records are let go after a mend: read again at the source by their keys, judged by the rules of today, rebuilt.

    chosen ─▶ feeds compiled anew, if their files changed ─▶ marked in the state, a chunk at a time ─▶ read again ─▶ told

Marks are in the state: whoever is interrupted loses nothing, the feeds' next run goes on, and so does the same release
asked for again. With a daemon, the daemon reads and sends; alone, this process reads, and the next run sends.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from frontend_agent.app import App, Outcome
from frontend_agent.config_outlets import ForeignConfig
from frontend_agent.errors import FrontendAgentError
from frontend_agent.spool import Became, Group
from frontend_agent.telling import plain, told_group

TICK = 0.5  # seconds between two words about how far it is
QUIET = 30.0  # seconds without any progress: what is left has its turn with the next run


class Reading(Protocol):
    """What a release wants of a daemon."""

    def wake(self, feeds: Sequence[str] = (), /) -> None: ...


class NothingThere(FrontendAgentError):
    """There is nothing of that name or number in quarantine."""


def chosen(
    app: App, ids: Sequence[str], groups: Sequence[str], everything: bool, feed: str | None, rule: str | None
) -> tuple[list[str], list[Group], list[str]]:
    """(causes, their groups, single cases) that were asked for; all must be there, or nothing is done."""
    spool = app.spool
    for case in ids:
        if spool.quarantine_show(case) is None:
            raise NothingThere(f"no case {case!r} waits in quarantine; nothing was changed")
    found: list[Group] = []
    for name in groups:
        group = spool.group(name)
        if group is None:
            raise NothingThere(
                f"no group {name!r} waits in quarantine (frontend-agent quarantine list); nothing was changed"
            )
        found.append(group)
    if everything:
        found += [*spool.groups(feed, rule), *(spool.stuck_groups(feed) if rule is None else ())]
    stuck = [case for group in found if group.destination for case in spool.stuck_cases(group)]
    return [group.id for group in found if not group.destination], found, [*ids, *stuck]


def release(
    app: App,
    daemon: Reading | None,
    causes: Sequence[str],
    cases: Sequence[str],
    asked: Sequence[str],
    who: str,
    wait: bool,
    reason: str = "",
) -> Iterator[dict[str, Any]]:
    """Let them go, but what is of closed months, unless `reason` says why. Rows of progress, the last with the `result`."""
    spool = app.spool
    now = app.clock()
    closed = spool.closing.cases_among(cases)
    left = len(closed) + spool.closing.of_causes(causes)
    if reason and left:
        spool.closing.passed_over(spool.closing.months, f"release of {', '.join(asked[:8])}", who, reason, now)
        closed, left = set(), 0
    cases = [case for case in cases if case not in closed]
    shut = frozenset() if reason else spool.closing.months
    records = [case for case in cases if not case.startswith("D")]
    documents = [case for case in cases if case.startswith("D")]
    for feed in sorted({group.feed for cause in causes if (group := spool.group(cause))} | _feeds_of(app, records)):
        if feed in app.feeds:
            app.refresh(feed)
    number = spool.begin_release(asked, who, now)
    marked = 0
    for count in spool.release_groups(number, causes, who, now, closed=shut):
        marked += count
        yield {"release": number, "marked": marked}
    marked += len(spool.release_cases(number, records, who, now))
    foreign = [name for name, options in app.config.destinations.items() if isinstance(options, ForeignConfig)]
    let_go = spool.quarantine_release(documents, who, now, foreign)
    again = {feed for feed, _ in let_go.keys}
    feeds = sorted(again.union(spool.release_feeds(number)) & app.feeds.keys())
    problem = ""
    if daemon is not None:
        daemon.wake(feeds)
        if wait:
            problem = yield from _watched(app, number, feeds, now, lambda: False)
    else:
        problem = yield from _read_here(app, number, feeds, now)
    yield {
        "result": told_release(app, number)
        | {
            "sent_again": len(documents) - len(let_go.overtaken),
            "overtaken": let_go.overtaken,
            "closed": left,
            "problem": problem,
        }
    }


def _feeds_of(app: App, records: Sequence[str]) -> set[str]:
    return {found[0].feed for case in records if (found := app.spool.quarantine_show(case))}


def _read_here(app: App, number: int, feeds: Sequence[str], since: datetime) -> Generator[dict[str, Any], None, str]:
    """No daemon: read in a thread of our own, and say meanwhile how far it is."""
    outcomes: list[Outcome] = []
    reader = threading.Thread(
        target=lambda: outcomes.extend(app.read_again(feed) for feed in feeds), name="release", daemon=True
    )
    reader.start()
    yield from _watched(app, number, feeds, since, lambda: not reader.is_alive())
    reader.join()
    return next((str(outcome.error) for outcome in outcomes if outcome.error), "")


def _watched(
    app: App, number: int, feeds: Sequence[str], since: datetime, ended: Callable[[], bool]
) -> Generator[dict[str, Any], None, str]:
    """Rows of progress until everything is read and delivered, or nothing moves any more. Returns what is in the way."""
    spool = app.spool
    before, moved = -1, time.monotonic()
    while True:
        began = time.monotonic()
        waiting = spool.release_waiting(number)
        left = waiting
        if not waiting and not ended():
            now = spool.released(number)
            left = (now.documents - now.delivered - now.accepted - now.stuck) if now else 0
        yield {"release": number, "waiting": waiting, "to_send": 0 if waiting else left}
        if ended() or not left:
            return ""
        if left != before:
            before, moved = left, time.monotonic()
        problem = _in_the_way(app, feeds, since) if waiting else _not_taking(app)
        if problem or time.monotonic() - moved > QUIET:
            return problem
        time.sleep(max(TICK, time.monotonic() - began))  # a large release is asked after less often


def _in_the_way(app: App, feeds: Sequence[str], since: datetime) -> str:
    """Why a feed could not read, since the release."""
    runs = (run for run in app.spool.runs(50) if run.feed in feeds and run.started_at >= since)
    return next((run.problem for run in runs if run.problem), "")


def _not_taking(app: App) -> str:
    """Why no destination takes anything now."""
    pauses = [pause for pause in app.spool.pauses() if pause.name in app.destinations]
    return pauses[0].problem if pauses and all(pause.failures for pause in pauses) else ""


def told_release(app: App, number: int) -> dict[str, Any]:
    """What became of a release's records: of each one thing, and for those held again why."""
    became = app.spool.released(number)
    if became is None:
        raise NothingThere(f"there is no release {number} (frontend-agent quarantine releases)")
    return {
        **plain(became.release),
        "waiting": became.waiting,
        "documents": became.documents,
        "delivered": became.delivered,
        "accepted": became.accepted,
        "to_send": became.documents - became.delivered - became.accepted - became.stuck,
        "stuck": became.stuck,
        "held": became.held,
        "unchanged": became.unchanged,
        "discarded": became.discarded,
        "returned": dict(became.returned),
        "held_by": _held_by(app, became),
    }


def _held_by(app: App, became: Became) -> list[dict[str, Any]]:
    return [
        told_group(group) | {"again": count}
        for name, count in became.held_by.items()
        if (group := app.spool.group(name)) is not None
    ]
