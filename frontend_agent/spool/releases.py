"""Letting held records be read again after a mend: by the cause they wait for, in chunks, and what became of them.

A release marks records; the feeds read their keys at the source and judge them by the rules of today. The marks are in
the state: a release that is cut off anywhere goes on with the next run of its feeds, or when it is asked for again.
"""

from collections.abc import Iterator, Sequence, Set
from datetime import datetime
from typing import Any

import msgspec

from frontend_agent.spool.database import Database
from frontend_agent.spool.groups import number
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment
from frontend_agent.spool.words import Became, Release

CHUNK = 50_000  # records marked in one transaction


def begin(ledger: Ledger, asked: Sequence[str], who: str, now: datetime) -> int:
    """A new release of what was asked for; its number."""
    with ledger.database.write():
        row = ledger.database.row("release.add", now=millis(now), who=who, asked=as_json(list(asked)))
    assert row is not None
    return int(row[0])


def take_groups(
    ledger: Ledger,
    release: int,
    groups: Sequence[str],
    who: str,
    now: datetime,
    chunk: int = CHUNK,
    closed: Set[int] = frozenset(),
) -> Iterator[int]:
    """Mark all that waits for these causes, but of the `closed` months; a chunk per transaction. How many with each."""
    months = as_json(sorted(closed))
    for group in groups:
        after = 0
        while cases := ledger.database.batch(
            "release.page", cause=number(group), after=after, release=release, limit=chunk, closed=months
        ):
            _mark(ledger, release, cases, who, now, group)
            after = cases[-1]
            yield len(cases)


def take_cases(ledger: Ledger, release: int, cases: Sequence[int], who: str, now: datetime) -> list[tuple[str, str]]:
    """Mark these records. Returns (feed, key) of what is to be read."""
    waiting = ledger.database.batch("release.named", cases=as_json(list(cases)), release=release)
    if not waiting:
        return []
    _mark(ledger, release, sorted(waiting), who, now)
    return [(feed, key) for feed, key in ledger.database.rows("release.keys", cases=as_json(waiting))]


def _mark(ledger: Ledger, release: int, cases: list[int], who: str, now: datetime, group: str = "") -> None:
    database, marked = ledger.database, as_json(cases)
    with database.write():
        database.run("release.cases", cases=marked, now=millis(now), who=who, release=release)
        database.run("release.again", cases=marked)
        database.run("release.count", release=release, n=len(cases))
        told = {"event": "released", "release": release, "cases": _runs(cases), "who": who}
        ledger.log(told | ({"group": group} if group else {}), now)


def _runs(cases: Sequence[int]) -> list[str]:
    """`Q1-Q4`, `Q9`: a log entry names every record, and is short where they follow each other."""
    runs: list[list[int]] = []
    for case in cases:
        if runs and case == runs[-1][1] + 1:
            runs[-1][1] = case
        else:
            runs.append([case, case])
    return [f"Q{first}" if first == last else f"Q{first}-Q{last}" for first, last in runs]


def waiting(database: Database, release: int) -> int:
    """How many of its records are still to be read again."""
    row = database.row("release.waiting", release=release)
    return int(row[0]) if row else 0


def feeds(database: Database, release: int) -> list[str]:
    """The feeds that have something to read for it."""
    return [row[0] for row in database.rows("release.feeds", release=release)]


def listed(database: Database, limit: int) -> list[Release]:
    """The newest first."""
    return [_release(row) for row in database.rows("release.list", limit=limit)]


def became(database: Database, release: int) -> Became | None:
    """What became of its records, up to now."""
    row = database.row("release.one", release=release)
    if row is None:
        return None
    counts: dict[tuple[str, str], int] = {
        (became, why): n for became, why, n in database.rows("release.became", release=release, at=row[1])
    }

    def of(what: str, *why: str) -> int:
        return sum(n for (became, because), n in counts.items() if became == what and (not why or because in why))

    return Became(
        release=_release(row),
        waiting=of("waiting"),
        documents=of("document"),
        delivered=of("document", "delivered"),
        accepted=of("document", "accepted"),
        stuck=of("document", "stuck"),
        held=of("held"),
        unchanged=of("unchanged"),
        discarded=of("discarded"),
        returned={why: n for (became, why), n in counts.items() if became == "returned"},
        held_by={f"G{cause}": n for cause, n in database.rows("release.held again", release=release)},
    )


def _release(row: tuple[Any, ...]) -> Release:
    release, at, who, asked, cases = row
    return Release(release, moment(at), who, tuple(msgspec.json.decode(asked)), cases)
