"""Backfills of images: the studies of a stretch of the past, walked at their PACS and wanted behind all that is new.

    begin ─▶ a stretch asked for ─▶ what is not here is wanted ─▶ … until it is fetched ─▶ the next stretch

Two marks for each inlet, for two who write: what a person asked for, and how far it is. So neither overwrites the other's, and a crash
costs asking for one stretch again. Never more is wanted ahead than one answer holds: a PACS of a million studies fills no queue.
"""

from datetime import date, datetime, time, timedelta
from typing import Any, Literal

import msgspec

from connectors.pacs import FoundStudy, Pacs
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import Expected, Want
from frontend_agent.imaging.polling import CrowdedMinute, asked
from frontend_agent.imaging.walking import Walk
from frontend_agent.logs import event, log

DAY = timedelta(days=1)
MOST_PROBLEMS = 20  # that are kept of one backfill
BACKFILL = 2  # urgency: behind persons and all that is new


class ImageBackfill(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for: all studies of these days, both among them."""

    number: int
    inlet: str
    begin: date
    end: date
    who: str
    at: datetime
    state: Literal["running", "stopped"] = "running"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is. `asked`: questions that were put; `studies`: that the PACS has; `wanted`: of them, what was not here."""

    number: int = 0
    mark: str = ""  # of its walk
    asked: int = 0
    studies: int = 0
    instances: int = 0  # of those studies whose PACS says how many
    wanted: int = 0
    is_done: bool = False
    ended_at: datetime | None = None
    problems: tuple[str, ...] = ()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One backfill, as it is told."""

    number: int
    inlet: str
    begin: date
    end: date
    who: str
    at: datetime
    state: Literal["running", "stopped", "done"]
    part: float  # of the time walked, from 0 to 1
    reached: str  # the day that the walk has come to
    asked: int
    studies: int
    instances: int
    wanted: int
    waiting: int  # of what it wanted, not tried yet
    ended_at: datetime | None
    problems: tuple[str, ...]


class BackfillBook:
    """The backfills of all inlets, one each at a time, as marks of the book of studies."""

    def __init__(self, book: StudyBook) -> None:
        self._book = book

    def begin(self, inlet: str, begin: date, end: date, who: str, now: datetime) -> ImageBackfill:
        """ConfigurationError: why not."""
        if begin > end:
            raise ConfigurationError(f"from {begin} to {end}: the end is before the beginning")
        if begin.year < 1970 or end > now.date() + DAY:
            raise ConfigurationError(f"from {begin} to {end}: no studies are to be expected there")
        there = self.asked(inlet)
        if there is not None and there.state == "running" and not self.progress(there).is_done:
            raise ConfigurationError(
                f"inlet {inlet} is walked already, from {there.begin} to {there.end}: stop it first, or let it end"
            )
        found = ImageBackfill(
            number=there.number + 1 if there else 1, inlet=inlet, begin=begin, end=end, who=who, at=now
        )
        self._write(found)
        return found

    def turn(self, inlet: str, state: Literal["running", "stopped"]) -> ImageBackfill | None:
        """Stop it, or let it go on. None: there is none."""
        there = self.asked(inlet)
        if there is None:
            return None
        found = msgspec.structs.replace(there, state=state)
        self._write(found)
        return found

    def asked(self, inlet: str) -> ImageBackfill | None:
        mark = self._book.mark(f"backfill {inlet}")
        return msgspec.json.decode(mark, type=ImageBackfill) if mark else None

    def progress(self, backfill: ImageBackfill) -> Progress:
        """How far this one is: what an earlier one left behind is not its."""
        mark = self._book.mark(f"backfill {backfill.inlet} at")
        found = msgspec.json.decode(mark, type=Progress) if mark else Progress()
        if found.number != backfill.number:
            return Progress(number=backfill.number, mark=Walk.over(backfill.begin, backfill.end).mark())
        return found

    def put(self, inlet: str, progress: Progress) -> None:
        self._book.put_mark(f"backfill {inlet} at", msgspec.json.encode(progress).decode())

    def standing(self, inlet: str) -> Standing | None:
        """How the inlet's backfill stands; None where there never was one."""
        backfill = self.asked(inlet)
        if backfill is None:
            return None
        progress = self.progress(backfill)
        walk = Walk.of(progress.mark)
        return Standing(
            number=backfill.number,
            inlet=inlet,
            begin=backfill.begin,
            end=backfill.end,
            who=backfill.who,
            at=backfill.at,
            state="done" if progress.is_done else backfill.state,
            part=walk.done(datetime.combine(backfill.end + DAY, time())),
            reached=str(walk.end.date()),
            asked=progress.asked,
            studies=progress.studies,
            instances=progress.instances,
            wanted=progress.wanted,
            waiting=self.waiting(inlet, 1000),
            ended_at=progress.ended_at,
            problems=progress.problems,
        )

    def waiting(self, inlet: str, most: int) -> int:
        """What was wanted by it and not tried yet, as far as `most`."""
        return sum(
            want.urgency == BACKFILL and want.inlet == inlet and not want.attempts
            for want in self._book.wants(limit=most)
        )

    def _write(self, backfill: ImageBackfill) -> None:
        self._book.put_mark(f"backfill {backfill.inlet}", msgspec.json.encode(backfill).decode())


class Walking:
    """The backfill of one inlet at work. Used by one thread, but for `told`."""

    def __init__(self, backfills: BackfillBook, inlet: str, answers: int, book: StudyBook) -> None:
        self._backfills, self._inlet, self._answers, self._book = backfills, inlet, answers, book

    def step(self, pacs: Pacs, now: datetime) -> bool:
        """Ask for one stretch. False: there is nothing to do now."""
        backfill = self._backfills.asked(self._inlet)
        if backfill is None or backfill.state != "running":
            return False
        progress = self._backfills.progress(backfill)
        if progress.is_done or self._backfills.waiting(self._inlet, 2 * self._answers) >= self._answers:
            return False
        walk = Walk.of(progress.mark)
        stretch = walk.next()
        if stretch is None:
            self._backfills.put(self._inlet, msgspec.structs.replace(progress, is_done=True, ended_at=now))
            log.info(
                event("images.backfill_done", inlet=self._inlet, backfill=backfill.number, studies=progress.studies)
            )
            return True
        wanted, found, problems = 0, [], progress.problems
        try:
            told = asked(pacs, walk, stretch, self._answers)
        except CrowdedMinute as error:
            told, problems = [], (*problems, str(error))[-MOST_PROBLEMS:]
        if told is not None:
            found = told
            wanted = self._wanted(backfill, found, now)
            walk.answered(len(found), self._answers)
        self._backfills.put(
            self._inlet,
            msgspec.structs.replace(
                progress,
                mark=walk.mark(),
                asked=progress.asked + 1,
                studies=progress.studies + len(found),
                instances=progress.instances + sum(max(one.instances, 0) for one in found),
                wanted=progress.wanted + wanted,
                problems=problems,
            ),
        )
        return True

    def _wanted(self, backfill: ImageBackfill, found: list[FoundStudy], now: datetime) -> int:
        wants = [
            Want(
                inlet=self._inlet,
                study_instance_uid=one.study_instance_uid,
                why=f"backfill {backfill.number}",
                urgency=BACKFILL,
                since=now,
                due_at=now,
                expected=Expected(self._inlet, {}, one.instances) if one.instances >= 0 else None,
            )
            for one in found
            if (here := sum(self._book.counts(one.study_instance_uid).values())) < one.instances or not here
        ]
        return self._book.want(wants) if wants else 0

    def told(self) -> dict[str, Any]:
        """For `told` of the inlet; nothing where none is at work."""
        standing = self._backfills.standing(self._inlet)
        if standing is None or standing.state == "done":
            return {}
        return {"number": standing.number, "state": standing.state, "part": standing.part, "reached": standing.reached}
