"""What a whole run leaves for the next, beside the watermark: from where the next one has to look again.

A row that bears a cursor below the watermark may become visible after we have passed: its transaction was still open, its
replica was behind, or the clock that writes the cursors was set back. So a run begins

    at the watermark, less the overlap                                                  and, if that is earlier,
    at the source's time of the last whole run, less the overlap,
      less what could not be seen then (open transactions, a replica that was behind), as far as the engine tells,
      less what its clock was set back since.

A cursor that is no time cannot be shifted by a time. For it the watermarks of the last while are remembered with the time
at which they stood (the trail), and a run begins where the watermark stood so much earlier.

Promised: a row is read if it can be seen no later than the overlap after its cursor was written, or than the engine says.
Not promised, and found by the reconciliation: a transaction that stays open for longer on an engine that does not tell, a
clock set back and forward again between two runs, cursors that something else than the source's clock writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from connectors.finding.clock import Moment
from connectors.finding.gaps import Gap
from frontend_agent.model import Watermark

LONGEST = timedelta(days=1)  # a transaction that somebody forgot must not make us read months again with every run
TOLERANCE = timedelta(seconds=5)  # between two clocks, before one of them counts as set
NOTES = 200
_MARGIN = timedelta(seconds=1)


class Note(msgspec.Struct, frozen=True, array_like=True):
    """Where the watermark stood when a run began, and the transaction number to be given out next then."""

    at: datetime  # our clock, UTC
    cursor: str  # empty: at the beginning
    key: str
    next: int = 0


class Bearings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the last whole run of a feed knew when it began."""

    at: datetime  # our clock, UTC
    now: datetime  # the source's, local
    unseen: timedelta = timedelta()  # what could not be seen then was begun no longer before
    trail: tuple[Note, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Start(msgspec.Struct, frozen=True):
    """Where a run begins to look, if that is earlier than its watermark less the overlap."""

    low: datetime | None = None  # the source's time; for cursors that are times
    note: Note | None = None  # for those that are not
    set_back: timedelta = timedelta()  # by so much the source's clock was set back since the last run


def where_to_start(before: Bearings | None, now: Moment, overlap: timedelta) -> Start:
    """From where to look again. Without a last run: nothing is known, the overlap alone decides."""
    if before is None:
        return Start()
    reach = overlap + before.unseen
    back = _set_back(before, now)
    low = now.now - LONGEST if back is None else before.now - back - reach
    return Start(low, _note(before.trail, before.at - reach), LONGEST if back is None else back)


def leave(
    before: Bearings | None,
    now: Moment,
    after: Watermark | None,
    overlap: timedelta,
    gaps: Sequence[Gap] = (),
    tail: Watermark | None = None,
) -> Bearings:
    """What a run that began at `now` with the watermark `after` leaves, once it has gone through to its end.

    `tail` is a place shortly before the end, for the first run: what else was open then, nobody has noted.
    """
    trail = before.trail if before else ()
    if before is None and after is None:
        trail = (Note(now.asked_at - LONGEST, tail.cursor if tail else "", tail.key if tail else ""),)
    unseen = _unseen(trail, now)
    trail = (*trail, Note(now.asked_at, after.cursor if after else "", after.key if after else "", now.next))
    return Bearings(now.asked_at, now.now, unseen, _kept(trail, now.asked_at - overlap - unseen), tuple(gaps))


def _set_back(before: Bearings, now: Moment) -> timedelta | None:
    """By how much the source's clock was set back since then. None: it was, and nobody knows by how much."""
    elapsed = now.asked_at - before.at
    if elapsed < -TOLERANCE:  # our own clock was set back
        return None if now.now < before.now - TOLERANCE else timedelta()
    back = before.now + elapsed - now.now
    return back if back > TOLERANCE else timedelta()


def _unseen(trail: Sequence[Note], now: Moment) -> timedelta:
    """What cannot be seen at that moment was begun no longer before it, as far as the engine tells."""
    open_for = timedelta()
    if now.next:
        # Whatever is open now was given its number after this note was taken.
        known = [note for note in trail if note.next and note.next <= now.oldest]
        open_for = now.asked_at - known[-1].at if known else LONGEST
        if now.oldest >= now.next:  # nothing is open at all
            open_for = timedelta()
    elif now.open_since is not None:
        open_for = now.now - now.open_since
    return min(max(open_for, timedelta()) + now.behind + (_MARGIN if open_for else timedelta()), LONGEST)


def _note(trail: Sequence[Note], threshold: datetime) -> Note | None:
    """The newest note that is old enough; the oldest, where none is."""
    return next((note for note in reversed(trail) if note.at <= threshold), trail[0] if trail else None)


def _kept(trail: Sequence[Note], threshold: datetime) -> tuple[Note, ...]:
    """The notes that may be asked for yet: those after the threshold, and one before. Thinned out where they are many."""
    first = max((number for number, note in enumerate(trail) if note.at <= threshold), default=0)
    kept = list(trail[first:])
    while len(kept) > NOTES:
        widths = [(after.at - one.at, number) for number, (one, after) in enumerate(pairwise(kept[:-1]), 1)]
        del kept[min(widths)[1]]
    return tuple(kept)
