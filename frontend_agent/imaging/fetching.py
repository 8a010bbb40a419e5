"""Studies that should be here are fetched: what is wanted is taken in turn, counted at the PACS, fetched, and counted here.

    want ─▶ number? looked up ─▶ contents (Expected, written down first) ─▶ what is missing ─▶ retrieve ─▶ counted ─▶ done
                                                                                └── missing series once more, alone ──┘

A study is done when every series has as many instances here as its PACS says. What is not there (yet) is asked for again until its
patience is over, and is a person's then. A PACS that does not answer is left alone for a while, and never counts against a study (law 7).
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import random
from typing import Any
from zoneinfo import ZoneInfo

from connectors.arrivals import InboxFull
from connectors.pacs import NotThere, Pacs, StudyQuery, TooManyAnswers
from frontend_agent.config_images import AskingConfig
from frontend_agent.errors import FrontendAgentError, SourceError, SourceRefused, SourceUnreachable
from frontend_agent.imaging.backfilling import BackfillBook, Walking
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import Expected, Want
from frontend_agent.imaging.polling import Polling
from frontend_agent.logs import event, failed, log
from frontend_agent.windows import open_until

LEASE = timedelta(hours=6)  # longer than the largest study takes to come
IDLE = 2.0  # seconds between looks for what is wanted
SHORTEST, LONGEST = 5.0, 600.0  # seconds for which a PACS is left alone after failures
FULL = timedelta(minutes=1)  # until our own disk is tried again
ARRIVES_WITHIN = 30.0  # seconds of silence after a C-MOVE, until what it sent is counted as not come
LOOK_EVERY = 0.25
MOST_FOR_A_NUMBER = 20  # studies that one accession number may name


class Incomplete(SourceError):
    """The PACS says that it has more of a study than came."""


class StudyFetcher:
    """An inlet that asks a PACS: `connectors.arrivals.Fetcher`, one thread that looks for studies and `at_once` that fetch them."""

    def __init__(
        self,
        name: str,
        options: AskingConfig,
        connect: Callable[[], Pacs],
        book: StudyBook,
        clock: Callable[[], datetime],
        timezone: str,
        *,
        comes_elsewhere: bool = False,
        chance: Callable[[], float] = random,
    ) -> None:
        """`connect`: a PACS for one thread. `comes_elsewhere`: instances come in by another inlet (C-MOVE), a while later."""
        self.name = name
        self._options, self._connect, self._book, self._clock = options, connect, book, clock
        self._zone = ZoneInfo(timezone)
        self._comes_elsewhere, self._chance = comes_elsewhere, chance
        self._polling = Polling(name, options, book, self._local)
        self._walking = Walking(BackfillBook(book), name, options.answers, book)
        self._stopping = threading.Event()
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._open: set[Pacs] = set()
        self._lock = threading.Lock()
        self._failures, self._not_before = 0, clock()
        self._where = ""
        self._under_way = 0  # threads that fetch, or ask what is to be fetched
        self._told: dict[str, Any] = {"studies": 0, "instances": 0, "not_there": 0, "incomplete": 0, "failures": 0}
        self._told |= {"polls": 0, "since": None, "problem": ""}

    # -- an inlet

    def start(self) -> None:
        self._stopping.clear()
        self._threads = [
            threading.Thread(target=work, name=f"inlet-{self.name}{number or ''}", daemon=True)
            for number, work in enumerate([self._look_out, *[self._fetch_on] * int(self._options.at_once)])
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float) -> None:
        self._stopping.set()
        self.now()
        until = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))
        if any(thread.is_alive() for thread in self._threads):
            with self._lock:
                for pacs in self._open:
                    pacs.cut()  # what has come whole stays; the rest is asked for again
            for thread in self._threads:
                thread.join(5.0)

    def is_alive(self) -> bool:
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def probe(self) -> None:
        pacs = self._connect()
        try:
            pacs.probe()
        finally:
            pacs.close()

    def now(self) -> None:
        """Something is wanted: look at once."""
        with self._wake:
            self._wake.notify_all()

    def is_fetching(self) -> bool:
        return self._under_way > 0

    def told(self) -> dict[str, Any]:
        with self._lock:
            told = {**self._told, "address": self._where or self._address()}
        local = self._local()
        until = open_until(self._options.protected, local)
        backfill = self._walking.told()
        return {
            **told,
            "messages": told["instances"],
            "resting_until": until.isoformat(timespec="minutes") if until else "",
            **({"backfill": backfill} if backfill else {}),
        }

    def fetch(self) -> int:
        """Look out once, and fetch what is due now, in the caller's thread. How many instances came."""
        before = self._told["instances"]
        pacs = self._used(self._connect())
        try:
            if self._rests() > 0:
                return 0
            if "poll" in self._options.asks_for:
                self._poll(pacs)
            problem: SourceError | None = None
            while not self._stopping.is_set():
                want = self._book.next_want(self.name, self._clock(), LEASE)
                if want is None:
                    break
                try:
                    self._take(pacs, want)
                except SourceError as error:
                    problem = error
                    if isinstance(error, SourceUnreachable | SourceRefused):
                        raise
            if problem is not None:
                log.warning(event("images.not_all_fetched", inlet=self.name, problem=str(problem)))
            return int(self._told["instances"] - before)
        finally:
            self._given_back(pacs)

    # -- the threads

    def _look_out(self) -> None:
        """Poll when it is due, and walk a backfill on."""
        pacs = self._used(self._connect())
        next_poll = time.monotonic()
        is_polling = "poll" in self._options.asks_for
        while not self._stopping.is_set():
            if (rest := self._rests()) > 0:
                self._wait(rest)
            elif is_polling and time.monotonic() >= next_poll:
                if self._guarded(lambda: self._poll(pacs)):
                    next_poll = time.monotonic() + self._options.every.total_seconds()
                pacs.close()
            else:
                walked: list[bool] = []
                self._guarded(lambda: walked.append(self._walking.step(pacs, self._clock())))  # noqa: B023
                if not any(walked):
                    pacs.close()
                    self._wait(max(min(next_poll - time.monotonic(), IDLE), 0.1) if is_polling else IDLE)
        self._given_back(pacs)

    def _fetch_on(self) -> None:
        """Take what is wanted, one after the other."""
        pacs = self._used(self._connect())
        while not self._stopping.is_set():
            if (rest := self._rests()) > 0:
                self._wait(rest)
                continue
            if not self._fetch_next(pacs):
                pacs.close()
                self._wait(IDLE)
        self._given_back(pacs)

    def _fetch_next(self, pacs: Pacs) -> bool:
        """Whether there was something to fetch."""
        with self._lock:
            self._under_way += 1
        try:
            want = self._book.next_want(self.name, self._clock(), LEASE)
            if want is not None:
                self._guarded(lambda: self._take(pacs, want))
            return want is not None
        finally:
            with self._lock:
                self._under_way -= 1

    def _guarded(self, work: Callable[[], Any]) -> bool:
        """Whether it went well; a PACS that does not answer is left alone for a while."""
        try:
            work()
        except (SourceUnreachable, SourceRefused, InboxFull) as error:
            self._leave_alone(str(error) or "nothing more can be kept now")
        except FrontendAgentError as error:
            self._problem(str(error))
        except Exception as error:  # noqa: BLE001  a fault of ours must not end the inlet: it is logged and tried again
            self._leave_alone(failed("inlet.crashed", error))
        else:
            self._works_again()
            return True
        return False

    # -- one want

    def _take(self, pacs: Pacs, want: Want) -> None:
        """Fetch it, and say what became of it. Raises what is wrong with the PACS or our disk, once that is written down."""
        now = self._clock()
        try:
            for uid in self._named(pacs, want):
                self._fetch_study(pacs, uid, want)
        except InboxFull:
            self._book.want_done(want.id, now, "nothing more can be kept now", self._clock() + FULL)
            raise
        except (SourceUnreachable, SourceRefused) as error:
            # No fault of the study: it is tried again, however long it takes (law 7).
            wait = timedelta(0) if self._stopping.is_set() else self._options.retry
            self._book.want_done(want.id, now, str(error), self._clock() + wait)
            raise
        except SourceError as error:
            self._count(**{"not_there" if isinstance(error, NotThere) else "incomplete": 1})
            is_over = self._clock() - (want.since or now) >= self._options.patience
            if is_over and isinstance(error, NotThere) and self._came_otherwise(want):
                self._book.want_done(want.id, now)  # whoever made it has sent it to us: nobody has to look for it
                return
            again = None if is_over else self._clock() + self._options.retry
            self._book.want_done(want.id, now, str(error), again)
            log.warning(
                event("images.not_fetched", inlet=self.name, want=want.id, attempts=want.attempts, problem=str(error))
            )
        except Exception:
            self._book.want_done(want.id, now, "unexpected: see the log", self._clock() + self._options.retry)
            raise
        else:
            self._book.want_done(want.id, self._clock())

    def _came_otherwise(self, want: Want) -> bool:
        """Whether it is here although this PACS does not have it."""
        if want.study_instance_uid:
            return self._book.study_of(want.study_instance_uid) is not None
        return bool(self._book.studies(accession=want.accession_number, limit=1))

    def _named(self, pacs: Pacs, want: Want) -> Sequence[str]:
        """The studies that it means."""
        if want.study_instance_uid:
            return [want.study_instance_uid]
        try:
            found = pacs.studies(StudyQuery(accession_number=want.accession_number), MOST_FOR_A_NUMBER)
        except TooManyAnswers:
            raise SourceError(f"more than {MOST_FOR_A_NUMBER} studies have this accession number") from None
        # Some PACS match numbers as beginnings, or without regard to case: only the number itself is meant.
        studies = [one.study_instance_uid for one in found if one.accession_number.strip() == want.accession_number]
        if not studies:
            raise NotThere(f"{pacs.where} has no study of this accession number")
        return studies

    def _fetch_study(self, pacs: Pacs, uid: str, want: Want) -> None:
        expected = pacs.contents(uid)
        self._book.expect(uid, Expected(self.name, expected.series, expected.instances), self._clock())
        is_gone = self._is_gone(uid)
        here: Mapping[str, int] = {} if is_gone else self._book.counts(uid)
        missing = missing_series(expected, here)
        if not missing:
            return
        began = time.monotonic()
        before = sum(self._book.counts(uid).values())
        came = self._retrieved(pacs, uid, [] if len(missing) == len(expected.series) else missing)
        missing = [] if is_gone and came >= expected.instances else self._awaited(uid, expected)
        if missing:  # once more, alone: an association that was cut, or a series that was still being written
            came += self._retrieved(pacs, uid, missing)
            missing = self._awaited(uid, expected)
        fresh = max(sum(self._book.counts(uid).values()) - before, came if is_gone else 0, 0)
        self._count(instances=fresh, studies=0 if missing else 1)
        log.info(
            event(
                "images.fetched", inlet=self.name, study=uid, why=want.why.partition(" ")[0], instances=fresh,
                missing=len(missing), seconds=time.monotonic() - began,
            )
        )  # fmt: skip
        if missing:
            said = sum(expected.series[one] for one in missing)
            now_here = self._book.counts(uid)
            lacks = said - sum(min(now_here.get(one, 0), expected.series[one]) for one in missing)
            raise Incomplete(
                f"{lacks} of {sum(expected.series.values())} instances did not come, of {len(missing)} series"
            )

    def _is_gone(self, uid: str) -> bool:
        """Whether it was here, and its files' term is over."""
        study = self._book.study_of(uid)
        return study is not None and not study.has_files

    def _retrieved(self, pacs: Pacs, uid: str, series: Sequence[str]) -> int:
        """Fetch these series, or the whole study. How many instances the PACS says that it sent."""
        sent = 0
        for one in series or [""]:
            if self._stopping.is_set():
                raise SourceUnreachable("the agent stops")
            told = pacs.retrieve(uid, one)
            sent += max(told.completed, 0)
            if told.problem:
                log.warning(event("images.retrieve", inlet=self.name, study=uid, problem=told.problem))
        return sent

    def _awaited(self, uid: str, expected: Expected) -> list[str]:
        """Which series are not whole here, once all that was sent has had the time to come."""
        missing = missing_series(expected, self._book.counts(uid))
        if not self._comes_elsewhere:
            return missing
        last, since = -1, time.monotonic()
        while missing and time.monotonic() - since < ARRIVES_WITHIN and not self._stopping.is_set():
            counts = self._book.counts(uid)
            missing = missing_series(expected, counts)
            if sum(counts.values()) != last:
                last, since = sum(counts.values()), time.monotonic()
            self._stopping.wait(LOOK_EVERY)
        return missing

    def _poll(self, pacs: Pacs) -> None:
        self._where = pacs.where
        found = self._polling.poll(pacs, self._clock(), self._stopping.is_set)
        self._count(polls=1)
        if found:
            self.now()

    # -- waiting

    def _rests(self) -> float:
        """Seconds for which nothing is asked: a protected window holds, or the PACS is left alone."""
        local = self._local()
        until = open_until(self._options.protected, local)
        if until is not None:
            return min(60.0, max(1.0, (until - local).total_seconds()))
        with self._lock:
            return max(0.0, (self._not_before - self._clock()).total_seconds())

    def _leave_alone(self, problem: str) -> None:
        with self._lock:
            self._failures += 1
            wait = min(LONGEST, SHORTEST * 2.0 ** min(self._failures - 1, 10)) * (1 + self._chance() / 2)
            self._not_before = self._clock() + timedelta(seconds=wait)
            failures = self._failures
        self._problem(problem)
        log.warning(event("inlet.failed", inlet=self.name, failures=failures, wait=wait, problem=problem))

    def _problem(self, problem: str) -> None:
        with self._lock:
            self._told["failures"] += 1
            self._told["since"] = self._told["since"] or self._clock().isoformat(timespec="seconds")
            self._told["problem"] = problem

    def _works_again(self) -> None:
        with self._lock:
            self._failures = 0
            self._told |= {"since": None, "problem": ""}

    def _wait(self, seconds: float) -> None:
        with self._wake:
            if not self._stopping.is_set():
                self._wake.wait(seconds)

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                self._told[name] += number

    def _used(self, pacs: Pacs) -> Pacs:
        with self._lock:
            self._where = pacs.where
            self._open.add(pacs)
        return pacs

    def _given_back(self, pacs: Pacs) -> None:
        with self._lock:
            self._open.discard(pacs)
        pacs.close()

    def _address(self) -> str:
        return str(getattr(self._options, "url", ""))

    def _local(self) -> datetime:
        return self._clock().astimezone(self._zone)


def missing_series(expected: Expected, here: Mapping[str, int]) -> list[str]:
    """Series of which less is here than the PACS says."""
    return [uid for uid, count in expected.series.items() if here.get(uid, 0) < count]
