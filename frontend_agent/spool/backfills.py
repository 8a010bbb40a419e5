"""Backfills: what was asked for, and how far it is. The latter moves in the commit of what was taken (law 1)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from frontend_agent.model import Watermark
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment, moment_or_none
from frontend_agent.spool.words import Backfill, Taken

RUNNING, STOPPED, DONE = "running", "stopped", "done"


class Backfills:
    """All that were ever begun."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    # --- asking -------------------------------------------------------------------------------------------------------

    def one(self, number: int) -> Backfill | None:
        """The backfill of that number."""
        row = self._database.row("backfill.one", id=number)
        return _backfill(row) if row else None

    def running(self) -> list[Backfill]:
        """Those that are to go on, the oldest first."""
        return [_backfill(row) for row in self._database.rows("backfill.running")]

    def listed(self, limit: int = 50) -> list[Backfill]:
        """The newest first."""
        return [_backfill(row) for row in self._database.rows("backfill.list", limit=limit)]

    # --- deciding -----------------------------------------------------------------------------------------------------

    def begin(
        self,
        feed: str,
        axis: str,
        low: str,
        high: str,
        *,
        rate: float,
        windows: Sequence[str],
        expected: int,
        who: str,
        closed: str,
        now: datetime,
    ) -> int:
        """A new one, to be worked on from now on; its number."""
        with self._database.write():
            row = self._database.row(
                "backfill.add", feed=feed, axis=axis, low=low, high=high, rate=rate, windows=as_json(list(windows)),
                who=who, closed=closed, expected=expected, now=millis(now),
            )  # fmt: skip
            assert row is not None
            self._log("backfill begun", int(row[0]), now, feed=feed, low=low, high=high, who=who, closed=closed)
        return int(row[0])

    def stop(self, number: int, who: str, now: datetime) -> bool:
        """Work on it no more, until it is resumed. Whether it was running."""
        return self._turn(number, STOPPED, [RUNNING], who, now)

    def resume(self, number: int, who: str, now: datetime) -> bool:
        """Go on where it was stopped."""
        return self._turn(number, RUNNING, [STOPPED], who, now)

    def note(self, number: int, problem: str) -> None:
        """Why it does not go on at the moment; its next page takes the note away."""
        with self._database.write():
            self._database.run("backfill.problem", id=number, problem=problem)

    def _turn(self, number: int, state: str, before: Sequence[str], who: str, now: datetime) -> bool:
        with self._database.write():
            ended = None if state == RUNNING else millis(now)
            changed = self._database.changed(
                "backfill.state", id=number, state=state, now=ended, before=as_json(list(before))
            )
            if changed:
                self._log(f"backfill {'resumed' if state == RUNNING else state}", number, now, who=who)
        return bool(changed)

    # --- in the commit of a page ----------------------------------------------------------------------------------------

    def take(self, taken: Taken) -> None:
        """How far it is now, and what came of the page."""
        walked = taken.walked
        if walked is None:
            return
        documents = [*taken.documents, *(document for beside in taken.beside for document in beside.documents)]
        skipped = taken.skipped
        self._database.run(
            "backfill.move", id=walked.backfill, reached=walked.reached, cursor=walked.at and walked.at.cursor,
            key=walked.at and walked.at.key, keys=walked.keys, documents=len(documents), unchanged=skipped.unchanged,
            held=len(taken.held), refused=skipped.closed,
            others=skipped.not_final + skipped.withdrawn + skipped.returned + skipped.waiting + len(taken.withheld),
            bytes=sum(len(document.frame) for document in documents), worked=walked.seconds, done=walked.done,
            now=millis(taken.at),
        )  # fmt: skip
        if walked.done:
            self._log("backfill done", walked.backfill, taken.at)

    def _log(self, what: str, number: int, now: datetime, **more: str) -> None:
        self._ledger.log(
            {"event": what, "backfill": number, **{name: text for name, text in more.items() if text}}, now
        )


def _backfill(row: tuple[Any, ...]) -> Backfill:
    (number, feed, axis, low, high, rate, windows, state, who, closed, expected, begun, ended, reached, cursor, key,
     keys, documents, unchanged, held, refused, others, size, worked, problem) = row  # fmt: skip
    return Backfill(
        id=number,
        feed=feed,
        axis=axis,
        low=low,
        high=high,
        rate=rate,
        windows=tuple(msgspec.json.decode(windows)),
        state=state,
        who=who,
        closed=closed,
        expected=expected,
        begun_at=moment(begun),
        ended_at=moment_or_none(ended),
        reached=reached,
        at=None if cursor is None else Watermark(cursor, key),
        keys=keys,
        documents=documents,
        unchanged=unchanged,
        held=held,
        refused=refused,
        others=others,
        bytes=size,
        worked=worked,
        problem=problem,
    )
