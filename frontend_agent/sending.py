"""Send what is due to one destination, many per request, and settle each by its own receipt.

A request that is refused as a whole (413, 500, nonsense) names no culprit. It is halved, the largest parts first, until a
document stands alone. Standing alone is not guilt yet: it is blocked only when the destination, before and after refusing
it again, takes a document that it is known to have stored. When nothing at all gets through, the destination is to blame:
it is left alone for a while, then tried with a few documents, those refused before last of all. So an outage of any kind
marks no document bad, and one poisonous document stops nobody.

A foreign platform may do twice what it is sent twice: nothing that it has taken is sent to it again to see whether it still
works. Documents that it has not seen yet are kept back for that; where there are none, nobody is found guilty. Many take one
document per request (`at_once` 1): there is nothing to halve, and each is settled before the next is sent.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from frontend_agent.delivery import Event, SignedReply, back_off
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.model import Blame, Document, Outcome, Receipt
from frontend_agent.spool import Delivery, Pause
from frontend_agent.spool.spool import DEFAULT_LEASE, MANY_BYTES

DOCUMENTS_AT_ONCE = 100
A_FEW = 4  # are risked when the last request was refused as a whole
SILENT_IN_VAIN = 3  # documents in a row, each by itself, without an answer: others would only wait as long
REFUSALS_IN_VAIN = 8  # requests refused whole in one round with nothing stored: it is not the documents

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)
NOT_ALLOWED_PAUSE = timedelta(minutes=1)  # a person has to act; asking more often helps nobody

CONTROLS = 2  # documents kept back for a foreign platform, to see whether it still takes any

_TAKEN = (Outcome.STORED, Outcome.DUPLICATE, Outcome.ACCEPTED)
_TRY_LATER = (Outcome.RETRY, Outcome.UNREACHABLE, Outcome.UNANSWERED)


class ReplyingDestination(Protocol):
    """A destination that may sign its answers."""

    name: str

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]: ...

    def take_replies(self) -> Sequence[SignedReply]:
        """The signed replies that came since the last call, to be kept in the commit that settles their receipts."""


class Deliveries(Protocol):
    """Whose documents are sent: the spool's, or those of one parcel (frontend_agent/crossing/halving.py)."""

    def pause(self, destination: str, /) -> Pause: ...

    def claim(
        self, destination: str, limit: int, max_bytes: int, /, *, now: datetime, lease: timedelta
    ) -> Sequence[Delivery]: ...

    def settle(
        self,
        destination: str,
        receipts: Sequence[Receipt],
        replies: Sequence[SignedReply],
        /,
        *,
        now: datetime,
        silent_last: bool,
    ) -> int: ...

    def put_back(
        self,
        destination: str,
        documents: Sequence[str],
        event: Event | Outcome,
        /,
        *,
        now: datetime,
        problem: str = "",
        suspect: bool = False,
    ) -> int: ...

    def last_stored(self, destination: str, /) -> Document | None: ...

    def recovered(self, destination: str, /) -> None: ...

    def failed(self, destination: str, until: datetime, problem: str, blame: str, /, *, now: datetime) -> None: ...


def send_out(
    destination: ReplyingDestination,
    spool: Deliveries,
    now: datetime,
    *,
    limit: int = DOCUMENTS_AT_ONCE,
    max_bytes: int = MANY_BYTES,
    lease: timedelta = DEFAULT_LEASE,
    random: Random | None = None,
    at_once: int = 0,
    foreign: bool = False,
    enough: Callable[[], bool] = lambda: False,
) -> int:
    """Send the due documents, a batch per request, and settle each by its own receipt. Returns how many were settled.

    `at_once`: what one request carries at most, 0 for all. `foreign`: the same bytes may have a second effect there.
    `enough`: whether the round has lasted long enough; what was not sent by then is the next one's.
    """
    pause = spool.pause(destination.name)
    if pause.due_at and now < pause.due_at <= now + LONGEST_PAUSE:  # further away: the clock was set back
        return 0
    refused_before = pause.failures > 0 and pause.blame == Blame.PLATFORM
    claimed = spool.claim(
        destination.name, min(limit, A_FEW) if refused_before else limit, max_bytes, now=now, lease=lease
    )
    if not claimed:
        return 0
    spread = random or Random()  # noqa: S311
    one_round = _Round(destination, spool, now, spread, at_once or len(claimed), foreign, enough)
    return one_round.carry(claimed, refused_before)


class _Round:
    """One claim, until every document of it is settled or put back."""

    def __init__(
        self,
        destination: ReplyingDestination,
        spool: Deliveries,
        now: datetime,
        random: Random,
        at_once: int,
        foreign: bool,
        enough: Callable[[], bool],
    ) -> None:
        self._destination = destination
        self._spool = spool
        self._now = now
        self._random = random
        self._at_once = at_once
        self._foreign = foreign
        self._enough = enough
        self._silent = 0  # documents in a row without an answer that could be read
        self._kept_back: list[Document] = []  # to see whether a foreign platform still takes any
        self._settled = 0
        self._answered = False
        self._stored = 0
        self._refusals = 0  # whole, since something was stored
        self._problem = ""
        self._control: Document | None = None  # what was stored last in this round
        self._alone: list[Document] = []  # refused whole, by themselves

    def carry(self, claimed: Sequence[Delivery], refused_before: bool) -> int:
        fresh = [delivery.document for delivery in claimed if not delivery.suspect]
        suspects = [delivery.document for delivery in claimed if delivery.suspect]
        if self._foreign:
            keep = min(CONTROLS, max(len(fresh) - 1, 0))
            fresh, self._kept_back = fresh[: len(fresh) - keep], fresh[len(fresh) - keep :]
        parts = [*self._requests(fresh), *self._requests(suspects)]
        try:
            while parts and not self._is_over():
                part = parts[0]
                if self._takes(part):
                    parts.pop(0)
                elif len(part) == 1:
                    self._alone.append(part[0])
                    parts.pop(0)
                else:
                    # To the end of the line: the large parts first, they find out soonest what still works.
                    parts = [*parts[1:], *_halves(part)]
            guilty = self._guilty() if self._alone and not parts else []
            if not parts:
                parts = self._send_kept_back()
        except DestinationUnreachable as error:
            return self._give_up(parts, Outcome.UNREACHABLE, str(error), Blame.NETWORK)
        except (NotAllowed, ConfigurationError) as error:  # a secret or a file of keys that is gone: nothing was sent
            return self._give_up(parts, Event.NOT_SENT, str(error), Blame.PLATFORM, NOT_ALLOWED_PAUSE)
        return self._conclude(parts, guilty, refused_before)

    def _requests(self, documents: Sequence[Document]) -> list[Sequence[Document]]:
        return [documents[start : start + self._at_once] for start in range(0, len(documents), self._at_once)]

    def _send_kept_back(self) -> list[Sequence[Document]]:
        """What was not needed to compare with goes like the others. Returns what was refused whole: the next round's."""
        kept, self._kept_back = self._kept_back, []
        refused: list[Sequence[Document]] = []
        left = self._requests(kept)
        try:
            while left and not self._is_over():
                if not self._takes(left[0]):
                    refused.append(left[0])
                left.pop(0)
        except (DestinationUnreachable, NotAllowed, ConfigurationError):
            self._kept_back = [document for part in left for document in part]
            raise
        return [*refused, *left]

    def _takes(self, documents: Sequence[Document]) -> bool:
        """Send them in one request. False: it was refused whole."""
        try:
            self._send(documents)
        except RefusedWhole as refusal:
            self._refusals += 1
            self._problem = str(refusal)
            return False
        return True

    def _send(self, documents: Sequence[Document]) -> None:
        by_id = {document.document_id: document for document in documents}
        receipts = [receipt for receipt in self._destination.send(documents) if receipt.document_id in by_id]
        # No word about a document is no answer about it: it may have arrived.
        silent = by_id.keys() - {receipt.document_id for receipt in receipts}
        receipts += [Receipt(document_id=document_id, outcome=Outcome.UNANSWERED) for document_id in silent]
        self._settled += self._spool.settle(
            self._destination.name,
            receipts,
            self._destination.take_replies(),
            now=self._now,
            silent_last=self._foreign,
        )
        answered = [receipt for receipt in receipts if receipt.outcome is not Outcome.UNANSWERED]
        self._silent = 0 if answered or not self._foreign else self._silent + len(receipts)
        for receipt in receipts:
            if receipt.outcome in _TAKEN:
                self._control = by_id[receipt.document_id]
                self._stored += 1
                self._refusals = 0
        self._answered |= any(receipt.outcome not in _TRY_LATER for receipt in receipts)
        if receipts and (self._silent or not self._answered):
            self._problem = f"{receipts[0].outcome}: {'; '.join(receipts[0].reasons)}".rstrip(": ")

    def _is_over(self) -> bool:
        return self._enough() or self._silent >= SILENT_IN_VAIN or self._in_vain()

    def _in_vain(self) -> bool:
        """Refused so often that it cannot be the documents, unless the one we know to be good is still taken."""
        return self._refusals >= REFUSALS_IN_VAIN and not self._still_works()

    def _still_works(self) -> bool:
        """Send what it stored last once more: the same bytes, the same receipt, no second effect (law 6).

        A foreign platform is sent one that it has not seen yet instead, unless it has just taken one."""
        if self._foreign:
            return self._takes_another()
        control = self._control or self._spool.last_stored(self._destination.name)
        before = self._stored
        return control is not None and self._takes([control]) and self._stored > before

    def _takes_another(self) -> bool:
        while self._kept_back:
            before, next_one = self._stored, self._kept_back[0]
            if not self._takes([next_one]):
                self._alone.append(self._kept_back.pop(0))  # it may as well be the culprit: it is not compared with
                return False
            self._kept_back.pop(0)
            if self._stored > before:
                return True
        return False

    def _guilty(self) -> list[Document]:
        """Those that are refused alone, twice, while before, between and after a good one is taken."""
        if not self._still_works():
            return []
        again = [document for document in self._alone if not self._takes([document])]
        self._alone = again
        return again if again and self._still_works() else []

    def _conclude(self, unsent: Sequence[Sequence[Document]], guilty: Sequence[Document], refused_before: bool) -> int:
        """Who is to blame for what was refused."""
        name, now = self._destination.name, self._now
        if guilty:
            problem = f"refused alone: {self._problem}"
            self._settled += self._spool.put_back(name, _ids(guilty), Event.STOOD_ALONE, now=now, problem=problem)
        elif self._alone:
            # Nothing else was there to compare with: they go last from now on, so that there will be.
            self._spool.put_back(name, _ids(self._alone), Event.NOT_SENT, now=now, suspect=True)
        rest = [*(document for part in unsent for document in part), *self._kept_back]
        if rest:
            # Once is chance; those refused again give others the first place, in case it is them after all.
            self._spool.put_back(name, _ids(rest), Event.NOT_SENT, now=now, suspect=refused_before and not self._silent)
        in_time = not unsent or (self._enough() and not self._refusals and not self._silent)
        if self._answered and in_time and (guilty or not self._alone):
            self._spool.recovered(name)
        else:
            self._fail(self._problem, Blame.PLATFORM)
        return self._settled

    def _give_up(
        self,
        unsent: Sequence[Sequence[Document]],
        event: Event | Outcome,
        problem: str,
        blame: Blame,
        least: timedelta = timedelta(0),
    ) -> int:
        """Nothing arrived, for no document's fault."""
        rest = [*(document for part in unsent for document in part), *self._alone, *self._kept_back]
        self._spool.put_back(self._destination.name, _ids(rest), event, now=self._now)
        self._fail(problem, blame, least)
        return self._settled

    def _fail(self, problem: str, blame: Blame, least: timedelta = timedelta(0)) -> None:
        failures = self._spool.pause(self._destination.name).failures + 1
        wait = max(back_off(failures, self._random.random(), FIRST_PAUSE, LONGEST_PAUSE), least)
        self._spool.failed(self._destination.name, self._now + wait, problem, blame, now=self._now)


def _ids(documents: Sequence[Document]) -> list[str]:
    return [document.document_id for document in documents]


def _halves(documents: Sequence[Document]) -> list[Sequence[Document]]:
    middle = len(documents) // 2
    return [documents[:middle], documents[middle:]]
