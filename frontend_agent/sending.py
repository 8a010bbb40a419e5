"""Send what is due to one destination, many per request, and settle each by its own receipt.

A request that is refused as a whole (413, 500, nonsense) names no culprit. It is halved, the largest parts first, until a
document stands alone. Standing alone is not guilt yet: it is blocked only when the destination, before and after refusing
it again, takes a document that it is known to have stored. When nothing at all gets through, the destination is to blame:
it is left alone for a while, then tried with a few documents, those refused before last of all. So an outage of any kind
marks no document bad, and one poisonous document stops nobody.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from frontend_agent.delivery import Event, SignedReply, back_off
from frontend_agent.errors import DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.model import Blame, Document, Outcome, Receipt
from frontend_agent.spool import Delivery, Spool
from frontend_agent.spool.spool import DEFAULT_LEASE, MANY_BYTES

DOCUMENTS_AT_ONCE = 100
A_FEW = 4  # are risked when the last request was refused as a whole
REFUSALS_IN_VAIN = 8  # requests refused whole in one round with nothing stored: it is not the documents

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)
NOT_ALLOWED_PAUSE = timedelta(minutes=1)  # a person has to act; asking more often helps nobody

_STORED = (Outcome.STORED, Outcome.DUPLICATE)
_TRY_LATER = (Outcome.RETRY, Outcome.UNREACHABLE, Outcome.UNANSWERED)


class ReplyingDestination(Protocol):
    """A destination that may sign its answers."""

    name: str

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]: ...

    def take_replies(self) -> Sequence[SignedReply]:
        """The signed replies that came since the last call, to be kept in the commit that settles their receipts."""


def send_out(
    destination: ReplyingDestination,
    spool: Spool,
    now: datetime,
    *,
    limit: int = DOCUMENTS_AT_ONCE,
    max_bytes: int = MANY_BYTES,
    lease: timedelta = DEFAULT_LEASE,
    random: Random | None = None,
) -> int:
    """Send the due documents, a batch per request, and settle each by its own receipt. Returns how many were settled."""
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
    return _Round(destination, spool, now, spread).carry(claimed, refused_before)


class _Round:
    """One claim, until every document of it is settled or put back."""

    def __init__(self, destination: ReplyingDestination, spool: Spool, now: datetime, random: Random) -> None:
        self._destination = destination
        self._spool = spool
        self._now = now
        self._random = random
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
        parts: list[Sequence[Document]] = [part for part in (fresh, suspects) if part]
        try:
            while parts and not self._in_vain():
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
        except DestinationUnreachable as error:
            return self._give_up(parts, Outcome.UNREACHABLE, str(error), Blame.NETWORK)
        except NotAllowed as error:
            return self._give_up(parts, Event.NOT_SENT, str(error), Blame.PLATFORM, NOT_ALLOWED_PAUSE)
        return self._conclude(parts, guilty, refused_before)

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
            self._destination.name, receipts, self._destination.take_replies(), now=self._now
        )
        for receipt in receipts:
            if receipt.outcome in _STORED:
                self._control = by_id[receipt.document_id]
                self._stored += 1
                self._refusals = 0
        self._answered |= any(receipt.outcome not in _TRY_LATER for receipt in receipts)
        if not self._answered and receipts:
            self._problem = f"{receipts[0].outcome}: {'; '.join(receipts[0].reasons)}".rstrip(": ")

    def _in_vain(self) -> bool:
        """Refused so often that it cannot be the documents, unless the one we know to be good is still taken."""
        return self._refusals >= REFUSALS_IN_VAIN and not self._still_works()

    def _still_works(self) -> bool:
        """Send what it stored last once more: the same bytes, the same receipt, no second effect (law 6)."""
        control = self._control or self._spool.last_stored(self._destination.name)
        before = self._stored
        return control is not None and self._takes([control]) and self._stored > before

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
        rest = [document for part in unsent for document in part]
        if rest:
            # Once is chance; those refused again give others the first place, in case it is them after all.
            self._spool.put_back(name, _ids(rest), Event.NOT_SENT, now=now, suspect=refused_before)
        if self._answered and not unsent and (guilty or not self._alone):
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
        rest = [*(document for part in unsent for document in part), *self._alone]
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
