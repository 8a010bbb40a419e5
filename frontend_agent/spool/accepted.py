"""What a foreign platform accepted, and did not prove (law 5): later confirmed, or reopened.

    confirm   it says that it has them, or a person who asked there does: delivered, with what said so
    reopen    it says that it does not: the same bytes go again, or wait for a person as refused

Nothing overtakes by it (law 13): what goes again takes its old place in its order, before what has not gone yet; and where
a newer version may be there already, the older one is not sent after it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from frontend_agent.delivery import OPEN, Event, State, after
from frontend_agent.identity import parts
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.registering import Registering
from frontend_agent.spool.times import millis

OVERTAKEN = "a newer version of it went there meanwhile: this one is not sent after it"
REMADE = "its bytes are no longer kept: the next version takes its place"


class Reopened(NamedTuple):
    """What became of documents that were reopened."""

    again: int  # go again, as they were
    refused: int  # wait for a person
    made_again: int  # their bytes are gone: their records are read again


class _Spoken(NamedTuple):
    """A delivery that somebody speaks of."""

    document: int
    state: State
    lane: int
    series: int
    day: int | None
    scope: int | None
    outcome: str
    kept: bool
    overtaken: bool


class Accepted:
    """Confirming and reopening, each in one transaction that is told in the chained log."""

    def __init__(
        self,
        ledger: Ledger,
        registering: Registering,
        destination: Callable[[str], int],
        call_next: Callable[[str, int, list[int]], None],
    ) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._registering = registering
        self._destination = destination
        self._call_next = call_next

    def confirm(self, destination: str, ids: Sequence[str], told_by: str, now: datetime, who: str = "") -> int:
        """It has them: delivered, and `told_by` (a file of feedback, a question, a person's reason) is kept. How many."""
        number = self._destination(destination)
        confirmed: list[str] = []
        with self._database.write():
            ended: list[_Spoken] = []
            for name in ids:
                found = self._find(number, name)
                if found is None or found.state is State.DELIVERED:
                    continue
                if after(found.state, Event.CONFIRMED) is State.DELIVERED:
                    self._end("accepted.confirm", number, found, [told_by], now)
                    confirmed.append(name)
                    ended.append(found)
            self._moved(destination, number, ended, State.DELIVERED)
            if confirmed:
                self._registering.come(destination, number, [one.document for one in ended])
                self._log("confirmed", destination, {"documents": confirmed}, told_by, who, now)
        return len(confirmed)

    def reopen(
        self,
        destination: str,
        ids: Sequence[str],
        reasons: Sequence[str],
        again: bool,
        now: datetime,
        told_by: str = "",
        who: str = "",
    ) -> Reopened:
        """It does not have them. `again`: the same bytes are worth another try; else they wait for a person as refused."""
        number = self._destination(destination)
        done: dict[str, list[str]] = {"again": [], "refused": [], "made_again": []}
        with self._database.write():
            for name in dict.fromkeys(ids):
                found = self._find(number, name)
                if found is not None and _may_reopen(found):
                    done[self._reopen(destination, number, found, reasons, again, now)].append(name)
            said = {what: names for what, names in done.items() if names}
            if said:
                self._log("reopened", destination, said, told_by, who, now)
        return Reopened(*(len(names) for names in done.values()))

    def _reopen(
        self, destination: str, number: int, found: _Spoken, reasons: Sequence[str], again: bool, now: datetime
    ) -> str:
        if not again or found.overtaken:
            self._end("accepted.refuse", number, found, [*reasons, *([OVERTAKEN] if again else [])], now)
            self._moved(destination, number, [found], State.REFUSED)
            return "refused"
        if not found.kept:
            self._end("accepted.gone", number, found, [*reasons, REMADE], now)
            self._database.run("series.read again", series=found.series)
            self._moved(destination, number, [found], State.DISCARDED)
            return "made_again"
        values = {"document": found.document, "destination": number}
        self._database.run("accepted.again", **values, reasons=as_json(list(reasons)))
        moves = Counter({found.state: -1, State.BEHIND: 1})
        for (state,) in self._database.rows("accepted.step back", destination=number, lane=found.lane):
            moves[State(state)] -= 1
            moves[State.BEHIND] += 1
        self._ledger.move(destination, moves)
        self._count(number, [found], None)
        under_way = self._database.row("accepted.under way", destination=number, lane=found.lane)
        if not (under_way and under_way[0]):
            self._call_next(destination, number, [found.lane])
        return "again"

    def release(self, destination: str, name: str, reasons: Sequence[str], now: datetime) -> str:
        """A person lets go what waits there for one, in the transaction of who asks: `again`, `made_again`, or `overtaken`.

        In its old place, and never after a newer version that may be there: that one keeps waiting and says why.
        """
        number = self._destination(destination)
        found = self._find(number, name)
        assert found is not None
        if not found.overtaken:
            return self._reopen(destination, number, found, (), True, now)
        said = as_json([*(reason for reason in reasons if reason != OVERTAKEN), OVERTAKEN])
        self._database.run("stuck.overtaken", document=found.document, destination=number, reasons=said)
        return "overtaken"

    def unknown(self, destination: str, ids: Sequence[str]) -> list[str]:
        """Those of them that were never for that destination."""
        number = self._destination(destination)
        return [name for name in ids if self._find(number, name) is None]

    # --- asking -------------------------------------------------------------------------------------------------------

    def to_ask(self, destination: str, now: datetime, limit: int, first: timedelta, until: timedelta) -> list[int]:
        """The rows of what is to be asked for now, the longest ago first; never before `first`, nor after `until`."""
        rows: list[int] = self._database.batch(
            "accepted.ask", destination=self._destination(destination), now=millis(now - first),
            since=millis(now - until), limit=limit,
        )  # fmt: skip
        return rows

    def asked(self, destination: str, ids: Sequence[str], next_at: datetime, since: datetime) -> None:
        """These were asked for; those that are still only accepted, and not before `since`, are asked for again then."""
        if ids:
            with self._database.write():
                self._database.run(
                    "accepted.asked", destination=self._destination(destination), due_at=millis(next_at),
                    since=millis(since), ids=as_json([parts(name) for name in ids]),
                )  # fmt: skip

    # --- writing ------------------------------------------------------------------------------------------------------

    def _find(self, number: int, name: str) -> _Spoken | None:
        named = parts(name)
        row = named and self._database.row("accepted.find", set_id=named[0], version=named[1], destination=number)
        if not row:
            return None
        document, state, lane, series, day, scope, outcome, kept, overtaken = row
        return _Spoken(document, State(state), lane, series, day, scope, outcome, bool(kept), bool(overtaken))

    def _end(self, query: str, number: int, found: _Spoken, reasons: Sequence[str], now: datetime) -> None:
        kept = as_json([reason for reason in reasons if reason])
        self._database.run(query, document=found.document, destination=number, now=millis(now), reasons=kept)

    def _moved(self, destination: str, number: int, ended: Sequence[_Spoken], state: State) -> None:
        moves: Counter[State] = Counter()
        for found in ended:
            moves[found.state] -= 1
            moves[state] += 1
        self._ledger.move(destination, moves)
        self._count(number, ended, state)
        lanes = [found.lane for found in ended if found.state in OPEN]
        if lanes:
            self._call_next(destination, number, lanes)

    def _count(self, number: int, ended: Sequence[_Spoken], state: State | None) -> None:
        """The statistics of the day: it is no longer what it was."""
        counted: Counter[tuple[int, int, State]] = Counter()
        for found in ended:
            if found.day is None:
                continue
            if found.state not in OPEN:
                counted[found.day, found.scope or 0, found.state] -= 1
            if state is not None:
                counted[found.day, found.scope or 0, state] += 1
        rows = [(*key, n) for key, n in counted.items() if n]
        if rows:
            self._database.run("statistics.deliveries", destination=number, rows=as_json(rows))

    def _log(self, what: str, destination: str, said: dict[str, Any], told_by: str, who: str, now: datetime) -> None:
        body = {"event": what, "destination": destination, **said, "told_by": told_by, "who": who}
        self._ledger.log({name: value for name, value in body.items() if value}, now)


def _may_reopen(found: _Spoken) -> bool:
    """What is proven is reopened by a signed word of the platform alone; what was only confirmed is as good as accepted."""
    confirmed = found.state is State.DELIVERED and found.outcome == Event.CONFIRMED
    return after(State.ACCEPTED if confirmed else found.state, Event.REJECTED) is State.REFUSED
