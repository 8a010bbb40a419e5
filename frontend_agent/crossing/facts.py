"""How a line stands, in words and numbers: for `gap status`, `status`, alarms and metrics. Values in, values out."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from frontend_agent.config_gap import GapConfig
from frontend_agent.spool.gap import Gap, LineState, OnTheWay, Waiting
from frontend_agent.wire.bundles import shown
from frontend_agent.wire.crossing import Far

MOST_TOLD = 20  # missing numbers


def far_of(state: LineState | None) -> list[Far]:
    """How platforms fare, as the outer half last said."""
    return msgspec.json.decode(state.far, type=list[Far]) if state is not None else []


def ahead_of(state: LineState | None) -> tuple[timedelta | None, timedelta | None]:
    """The least and the most by which the other half's clock is ahead of ours, as far as bundles prove it."""
    if state is None:
        return None, None
    least, most = (None if one is None else timedelta(seconds=one) for one in (state.ahead_least, state.ahead_most))
    return least, most


def proven_skew(least: timedelta | None, most: timedelta | None) -> timedelta:
    """How far two clocks differ for certain: nothing, where they may be equal."""
    nothing = timedelta()
    if least is not None and least > nothing:
        return least
    return most if most is not None and most < nothing else nothing


def skew_across(state: LineState | None, theirs: timedelta) -> timedelta:
    """How far a platform's clock is ahead of ours for certain; `theirs`: how far it is ahead of the outer half's."""
    least, most = ahead_of(state)
    return proven_skew(None if least is None else least + theirs, None if most is None else most + theirs)


def awaited_since(waiting: Waiting, on_the_way: Mapping[str, OnTheWay], state: LineState | None) -> datetime | None:
    """Since when the other half owes us a word; None: it owes none.

    It owes one for what was sent and not acknowledged, and for parcels without an answer; since the last word came, if that is later.
    """
    owed = [one for one in (waiting.asking_since, *(each.since for each in on_the_way.values())) if one is not None]
    if not owed:
        return None
    last = datetime.fromisoformat(state.last_in) if state is not None and state.last_in else None
    return min(owed) if last is None else max(min(owed), last)


def told_line(
    config: GapConfig,
    book: Gap,
    fingerprints: tuple[str, str],
    problems: Mapping[str, str],
    destinations: tuple[str, ...],
    now: datetime,
) -> dict[str, Any]:
    """All of it, as plain values. `fingerprints`: ours and the other half's."""
    state, waiting = book.state(), book.waiting()
    on_the_way = {name: book.on_the_way(name) for name in destinations}
    early = book.early(state.whole, 1_000) if state is not None else []
    items, _ = book.items_waiting()
    last, last_at = book.last()
    least, most = ahead_of(state)
    awaited = awaited_since(waiting, on_the_way, state)
    return {
        "role": config.role,
        "suite": config.suite,
        "fingerprint": shown(fingerprints[0]),
        "other": shown(fingerprints[1]),
        "stream": state.stream[:8] if state else "",
        "other_stream": state.theirs[:8] if state else "",
        "sent": state.next - 1 if state else 0,
        "acknowledged": state.acknowledged if state else 0,
        "unacknowledged": waiting.bundles,
        "unacknowledged_bytes": waiting.size,
        "not_laid": waiting.unlaid,
        "oldest": _iso(waiting.since),
        "received": state.whole if state else 0,
        "highest": max(last, state.whole) if state else 0,
        "missing": missing(state.whole, early)[:MOST_TOLD] if state else [],
        "last_in": state.last_in if state else "",
        "last_in_at": _iso(last_at),
        "last_out": state.last_out if state else "",
        "to_work_on": items,
        "waiting_there": state.waiting_there if state else 0,
        "resent": state.resent if state else 0,
        "duplicates": state.duplicates if state else 0,
        "set_aside": state.set_aside if state else 0,
        "there_and_back": state.there_and_back if state else 0.0,
        "clock_ahead_least": least.total_seconds() if least is not None else None,
        "clock_ahead_most": most.total_seconds() if most is not None else None,
        "clock_differs": proven_skew(least, most).total_seconds(),
        "version": state.version if state else "",
        "stopped": state.stopped if state else "",
        "stopped_at": state.stopped_at if state else "",
        "stopped_there": state.stopped_there if state else "",
        "awaited_since": _iso(awaited),
        "silent_for": (now - awaited).total_seconds() if awaited else 0.0,
        "silence": config.silence.total_seconds(),
        "problems": {folder: said for folder, said in problems.items() if said},
        "destinations": [
            {
                "name": name,
                "parcels": one.parcels,
                "documents": one.documents,
                "bytes": one.size,
                "since": _iso(one.since),
                "problem": next((far.problem for far in far_of(state) if far.destination == name), ""),
            }
            for name, one in on_the_way.items()
        ],
    }


def missing(whole: int, early: list[int]) -> list[int]:
    """Numbers between what came whole and what came too early, the first MOST_TOLD of them."""
    found: list[int] = []
    before = whole
    for number in early:
        found += range(before + 1, min(number, before + 1 + MOST_TOLD))
        before = number
        if len(found) >= MOST_TOLD:
            break
    return found[:MOST_TOLD]


def _iso(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at is not None else ""
