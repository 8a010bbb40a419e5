"""Registrations go first: what waits for which of them at a destination, and what lets it go.

What a document needs is written in its commit; what a registration provides, too. Once a registration was accepted or
delivered somewhere, what waits for it there goes in that very commit, so many at once; the rest with the next claims: a
hospital's institution is registered once, and a million documents may have waited for it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from frontend_agent.delivery import Event, State, after
from frontend_agent.identity import parts
from frontend_agent.registrations import PATIENT, Names, class_of
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment

AT_ONCE = 5_000  # are let go in one commit


class Wanted(NamedTuple):
    """A registration that documents wait for at a destination."""

    name: str  # `patient:0012345`
    documents: int
    since: datetime


class Known(NamedTuple):
    """What became of registrations that a person says are there."""

    known: int  # of them were not known before
    let_go: int  # documents that wait for nothing any more; of very many the rest goes with the next claims


class Registering:
    """What waits for registrations. Writing needs a transaction around it, except where it says otherwise."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database

    def take(
        self,
        names: Mapping[str, Names],
        waits: Mapping[int, Collection[str]],
        documents: Iterable[str],
        now: int,
    ) -> bool:
        """The names of a commit's documents. `waits`: destination -> the classes waited for there (none: all).

        Whether any of them may have to wait.
        """
        mine = {document: names[document] for document in documents if document in names}
        said = {name for one in mine.values() for name in (*one.provides, *(one.needs if waits else ()))}
        if not said:
            return False
        self._database.run("registering.names", names=as_json(sorted(said)))
        provides = [(*_row(document, name),) for document, one in mine.items() for name in one.provides]
        if provides:
            self._database.run("registering.provides", rows=as_json(provides))
        if waits:
            patients = [
                _row(document, name)
                for document, one in mine.items()
                for name in one.needs
                if class_of(name) == PATIENT
            ]
            self._database.run("registering.patients", rows=as_json(patients))
        needs = [
            (*_row(document, name), destination)
            for document, one in mine.items()
            for destination, classes in waits.items()
            for name in one.needs
            if not classes or class_of(name) in classes
        ]
        if needs:
            self._database.run("registering.needs", rows=as_json(needs), now=now)
        return bool(needs)

    def patient_of(self, document: str) -> str:
        """The hospital's own number of the patient that a document speaks of; "" where it was not said."""
        named = parts(document)
        if named is None:
            return ""
        rows = self._database.rows("registering.patient of", set_id=named[0], version=named[1])
        return str(rows[0][0]).partition(":")[2] if rows else ""

    def come(self, name: str, destination: int, documents: Sequence[int]) -> None:
        """These were accepted or delivered: what waits for what they register goes."""
        if documents and self._database.changed(
            "registering.come", destination=destination, documents=as_json(list(documents))
        ):
            self.let_go(name, destination)

    def let_go(self, name: str, destination: int, limit: int = AT_ONCE) -> int:
        """Some of what waits for what is there now. How many documents wait for nothing any more."""
        rows = self._database.batch("registering.page", destination=destination, limit=limit)
        if not rows:
            return 0
        self._database.run("registering.drop", destination=destination, rows=as_json(rows))
        freed = self._database.changed("registering.free", destination=destination, rows=as_json(rows))
        if freed:
            assert after(State.AWAITING, Event.REGISTERED) is State.READY
            self._ledger.move(name, {State.AWAITING: -freed, State.READY: freed})
        return freed

    def known(
        self, name: str, destination: int, registrations: Sequence[str], who: str, reason: str, now: datetime
    ) -> Known:
        """A person says that a destination knows them, by another way than ours: a transaction of its own."""
        let_go = 0
        with self._database.write():
            self._database.run("registering.names", names=as_json(list(registrations)))
            body = {
                "event": "registered", "destination": name, "registrations": list(registrations), "who": who,
                "reason": reason,
            }  # fmt: skip
            log = self._ledger.log(body, now)
            told = {"destination": destination, "names": as_json(list(registrations))}
            added = self._database.changed(
                "registering.known", **told, who=who, reason=reason, now=millis(now), log=log
            )
            if self._database.changed("registering.known come", **told):
                let_go = self.let_go(name, destination)
        return Known(added, let_go)

    def wanted(self, destination: int, limit: int) -> list[Wanted]:
        """The registrations that documents wait for there, the longest first."""
        rows = self._database.rows("registering.wanted", destination=destination, limit=limit)
        return [Wanted(name, n, moment(since)) for name, n, since in rows]

    def wanted_count(self, name: str) -> int:
        """How many registrations documents wait for at a destination. Costs nothing, however many."""
        return self._ledger.tally("wanted:" + name, "registrations")


def _row(document: str, name: str) -> tuple[str, str, int]:
    named = parts(document)
    assert named is not None
    return named[0], name, named[1]
