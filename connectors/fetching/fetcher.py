"""A fetcher: the thread that asks every so often, hands over what it got, and remembers how far it is.

A page is handed over whole before the next is asked for; its mark goes with its last message, into the same commit. So a
crash anywhere costs asking again, which changes nothing (DUPLICATE). After a failure it waits longer each time, with some
chance in it, so that the inlets of a region do not come back as one.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256
from random import random
from typing import Any, Protocol

from connectors.arrivals import Arrived, InboxFull, Keep, Kept, Tap
from connectors.fetching.answers import Row
from connectors.fetching.calling import ComeLater
from connectors.fetching.rounds import Page
from frontend_agent.errors import FrontendAgentError, SourceError
from frontend_agent.logs import event, failed, log
from frontend_agent.reading.errors import Unreadable
from frontend_agent.windows import Window, open_until

SHORTEST, LONGEST = 5.0, 600.0  # seconds after failures, before chance adds up to a half
MOST_PATIENCE = 3600.0  # seconds that a source may ask us to stay away
KEPT_WITHIN = 120.0  # seconds: a message that is not on disk by then is asked for again
QUIET = timedelta(minutes=10)  # without a message: then the mark is kept by itself
TOGETHER = 200  # messages handed over at once
REMEMBERED = 20_000  # messages that are known to be kept, so that an overlap costs the inbox nothing


class Asker(Protocol):
    """How one kind of source is asked."""

    def pages(self, mark: str, now: datetime) -> Iterator[Page]:
        """Everything since the mark, to be handed over in this order."""

    def first(self, now: datetime) -> str:
        """The mark of who has read nothing yet; "" where there is none."""

    def probe(self) -> None:
        """Raise what would go wrong, by asking as little as there is to ask."""

    def close(self) -> None:
        """End what is under way, from another thread."""


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """When it asks, and what it tells of a message."""

    place: str  # who is asked, as it may be told
    about: str = ""
    every: timedelta = timedelta(minutes=1)
    protected: Sequence[Window] = ()
    works: Callable[[datetime], bool] = lambda local: True  # whether anything is asked on that local day
    zone: tzinfo = UTC
    largest: int = 16 << 20


class Fetcher:
    """An inlet that asks. `start`, `stop`, `probe` and `told` are those of `connectors.arrivals.Inlet`."""

    def __init__(
        self,
        name: str,
        options: FetchOptions,
        asker: Asker,
        keep: Keep,
        tap: Tap,
        recall: Callable[[], str],
        remember: Callable[[str], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random,
    ) -> None:
        self.name = name
        self._options, self._asker, self._keep, self._tap = options, asker, keep, tap
        self._recall, self._remember, self._clock, self._chance = recall, remember, clock, chance
        self._saved, self._saved_at = "", clock()  # the mark that is on disk
        self._mark: str | None = None
        self._known = _Known()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # one round at a time, whoever wants it
        self._told: dict[str, Any] = {"address": options.place, "messages": 0, "duplicates": 0, "conflicts": 0}
        self._told |= {"refused": 0, "rounds": 0, "failures": 0, "since": None, "problem": ""}

    def start(self) -> None:
        self._stopping = False
        self._wake.clear()
        self._thread = threading.Thread(target=self._run, name=f"inlet-{self.name}", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience)
            if self._thread.is_alive():
                self._asker.close()  # what is under way is asked for again at the next start
                self._thread.join(5.0)
        self._asker.close()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def probe(self) -> None:
        self._asker.probe()

    def now(self) -> None:
        """Ask at once."""
        self._wake.set()

    def told(self) -> dict[str, Any]:
        with self._lock:
            return {**self._told, "mark": self._mark or ""}

    # -- the thread

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            resting = self._rests()
            if resting > 0:
                self._pause(resting)
                continue
            wait = self._options.every.total_seconds()
            try:
                self.fetch()
                failures = 0
            except InboxFull:
                failures += 1
                wait = self._failed(failures, "nothing more can be kept now", 0.0)
            except ComeLater as error:
                failures += 1
                wait = self._failed(failures, str(error), error.seconds)
            except (FrontendAgentError, Unreadable) as error:
                failures += 1
                wait = self._failed(failures, str(error), 0.0)
            except Exception as error:  # noqa: BLE001  a fault of ours must not end the inlet: it is logged and tried again
                failures += 1
                wait = self._failed(failures, failed("inlet.crashed", error), 0.0)
            self._pause(wait)

    def fetch(self) -> int:
        """Ask for everything that is new and hand it over. Returns how many messages were kept. Raises what went wrong."""
        with self._turn:
            return self._round()

    def _round(self) -> int:
        if self._mark is None:
            self._mark = self._saved = self._recall()
        if not self._mark:
            self._mark = self._asker.first(self._clock())
            self._save()
        kept = 0
        for page in self._asker.pages(self._mark, self._clock()):
            kept += self._hand_over(page)
            if page.mark:
                self._mark = page.mark
            if self._stopping:
                break
        if self._clock() - self._saved_at >= QUIET:
            self._save()
        self._count(rounds=1)
        with self._lock:
            self._told |= {"since": None, "problem": "", "asked_at": self._clock().isoformat(timespec="seconds")}
        return kept

    def _save(self) -> None:
        """Keep a mark that no message has carried."""
        self._saved_at = self._clock()
        if self._mark and self._mark != self._saved:
            self._remember(self._mark)
            self._saved = self._mark

    def _hand_over(self, page: Page) -> int:
        """Keep the messages of a page; the mark that holds after them goes with the last one."""
        fresh = [row for row in page.rows if row not in self._known]
        kept = 0
        for begin in range(0, len(fresh), TOGETHER):
            some = fresh[begin : begin + TOGETHER]
            is_last = begin + TOGETHER >= len(fresh)
            kept += self._kept(some, page.mark if is_last else "")
        return kept

    def _kept(self, some: Sequence[Row], mark: str) -> int:
        at, options = self._clock(), self._options
        small = [row for row in some if len(row.body) <= options.largest]
        if len(small) < len(some):
            # It is told and left: one message that is too large must not hold up all that comes after it.
            self._count(refused=len(some) - len(small))
            log.warning(event("inlet.too_large", inlet=self.name, messages=len(some) - len(small)))
        if not small:
            return 0
        arrived = [
            Arrived(
                self.name,
                row.body,
                at,
                control_id=control_id(row),
                sender=options.place,
                about=options.about,
                mark=(mark if number == len(small) else "") or self._mark or "",
            )
            for number, row in enumerate(small, 1)
        ]
        for one in arrived:
            self._tap(self.name, one.sender, one.body, "received")
        try:
            outcomes = self._keep(arrived).result(KEPT_WITHIN)
        except (TimeoutError, CancelledError):
            raise SourceError(f"inlet {self.name}: the inbox did not answer") from None
        self._saved, self._saved_at = arrived[-1].mark, at
        for row in small:
            self._known.add(row)
        self._count(
            messages=outcomes.count(Kept.KEPT),
            duplicates=outcomes.count(Kept.DUPLICATE),
            conflicts=outcomes.count(Kept.CONFLICT),
        )
        return outcomes.count(Kept.KEPT)

    # -- waiting

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        if not self._stopping:
            self._wake.clear()

    def _rests(self) -> float:
        """Seconds for which nothing is asked: a protected window holds, or it is no day for it."""
        local = self._clock().astimezone(self._options.zone)
        until = open_until(self._options.protected, local)
        if until is None and not self._options.works(local):
            until = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        with self._lock:
            self._told["resting_until"] = until.isoformat(timespec="minutes") if until else ""
        # Looked at again each minute: the clock may be set meanwhile.
        return min(60.0, max(1.0, (until - local).total_seconds())) if until else 0.0

    def _failed(self, failures: int, problem: str, at_least: float) -> float:
        wait = min(LONGEST, SHORTEST * 2.0 ** min(failures - 1, 10)) * (1 + self._chance() / 2)
        wait = max(wait, min(at_least, MOST_PATIENCE))
        with self._lock:
            self._told["failures"] += 1
            self._told["since"] = self._told["since"] or self._clock().isoformat(timespec="seconds")
            self._told["problem"] = problem
        log.warning(event("inlet.failed", inlet=self.name, failures=failures, wait=wait, problem=problem))
        return wait

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                self._told[name] += number


class _Known:
    """Messages that are kept, by their bytes: the newest of them, so many."""

    def __init__(self) -> None:
        self._digests: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, row: Row) -> bool:
        return _digest(row) in self._digests

    def add(self, row: Row) -> None:
        self._digests[_digest(row)] = None
        self._digests.move_to_end(_digest(row))
        while len(self._digests) > REMEMBERED:
            self._digests.popitem(last=False)


def control_id(row: Row) -> str:
    """What names a version of a message: what the source calls it, and its bytes. "" where the source calls it nothing."""
    return f"{row.id[:100]}#{_digest(row)[:16]}" if row.id else ""


def _digest(row: Row) -> str:
    return sha256(row.body).hexdigest()
