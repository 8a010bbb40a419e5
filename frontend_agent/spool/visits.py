"""Visits in the spool: what their documents said, as salted hashes, and what the rules said of them.

The salt is this state's own and never leaves it: equal facts have equal hashes here, and nowhere else.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from secrets import token_bytes

import msgspec

from frontend_agent.checks.visits import VisitDocument
from frontend_agent.model import Finding
from frontend_agent.spool.database import Database
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.meta import Meta
from frontend_agent.spool.statistics import Statistics
from frontend_agent.spool.times import millis, moment, moment_or_none
from frontend_agent.spool.words import JudgedVisit, Taken
from frontend_agent.visits import VOID, Seen

AGAIN = 3_600_000  # ms: nothing is judged before all has been quiet for an hour
_WORDS = frozenset({"surgery", "anaesthesia"})  # yes, no, local, general: they identify nobody
_REMEMBERED = 4096
_SALT = "visits:salt"

DueVisit = tuple[str, str, list[VisitDocument], tuple[str, ...], tuple[str, ...]]
# name, institution, documents, visits of the same patient id, visits of the same identity number


class Hashing:
    """Facts as hashes. One patient's are asked for again and again, so the newest few are remembered."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[text] = blake2b(
                text.encode("utf-8", "replace"), digest_size=8, key=self._salt
            ).hexdigest()
        return found

    def facts(self, seen: Seen) -> str:
        """What is kept of a document. The shape of a person stays readable: only equal shapes are compared."""
        known, kept = self._known, []
        for name, text in seen.facts.items():
            if name in _WORDS:
                kept.append(f"{name}={text}")
            elif name == "person":
                kept.append(f"person={text[:3]}{known.get(text) or self(text)}")
            else:
                kept.append(f"{name}={known.get(text) or self(text)}")
        if seen.requests:
            kept.append("requests=" + ",".join(sorted({self(request) for request in seen.requests})))
        return " ".join(kept)


class Visits:
    """The tables of the visits over an open database."""

    def __init__(self, database: Database, ledger: Ledger, meta: Meta, statistics: Statistics) -> None:
        self._database = database
        self._statistics = statistics
        self._ledger = ledger
        self._meta = meta
        self._hashing: Hashing | None = None

    def _hash(self) -> Hashing:
        if self._hashing is None:
            salt = self._meta.get(_SALT)
            if salt is None:
                salt = token_bytes(32).hex()
                self._meta.put(_SALT, salt)
            self._hashing = Hashing(bytes.fromhex(salt))
        return self._hashing

    def take(self, taken: Taken, now: int) -> None:
        """What a batch's documents say of their visits. Inside its transaction."""
        here = [seen for seen in taken.visits if seen.state != VOID]
        if here:
            hashing, soon = self._hash(), now + AGAIN
            rows = [
                (
                    seen.set_id,
                    seen.visit,
                    seen.kind,
                    seen.state,
                    hashing.facts(seen),
                    None if seen.closes_at is None else max(seen.closes_at, soon),
                    int(seen.archived),
                )
                for seen in here
            ]
            names = as_json(list({seen.visit for seen in here}))
            self._database.run("visits.new", institution=taken.institution, names=names, now=now)
            self._database.run("visits.documents", institution=taken.institution, seen=as_json(rows), again=soon)
        gone = [seen.set_id for seen in taken.visits if seen.state == VOID]
        if gone:
            self._database.run("visits.gone", set_ids=as_json(gone))

    def judge(self, now: datetime, limit: int, judge: Callable[[DueVisit], list[Finding]]) -> int:
        """Judge visits that have closed; how many. One transaction, so that a document that comes meanwhile is not missed."""
        at = millis(now)
        with self._database.write(), self._statistics:
            due = self._database.batch("visits.due", now=at, limit=limit)
            if not due:
                return 0
            documents: dict[int, list[VisitDocument]] = {}
            for visit, set_id, kind, state, facts in self._database.batch(
                "visits.of", visits=as_json([row[0] for row in due])
            ):
                said = dict(fact.split("=", 1) for fact in facts.split())
                requests = tuple(filter(None, said.pop("requests", "").split(",")))
                documents.setdefault(visit, []).append(VisitDocument(set_id, kind, state, said, requests))
            others = self._others(documents)
            days = dict(self._database.rows("visits.days", visits=as_json(list(documents))))
            judged: list[tuple[int, str | None, int | None]] = []
            figures: Counter[tuple[int, str, str, str]] = Counter()  # day, institution, rule, severity
            told: list[tuple[str, str, list[tuple[str, str]]]] = []
            spoken: Counter[tuple[str, str, str]] = Counter()
            with_findings = 0
            for visit, institution, name, before, day in due:
                figures.subtract(_said_on(day, institution, before))
                if visit not in documents:
                    continue
                same_patient, same_number = others.get(visit, ((), ()))
                findings = judge((name, institution, documents[visit], same_patient, same_number))
                text = as_json(findings) if findings else None
                judged.append((visit, text, days[visit]))
                figures.update(_said_on(days[visit], institution, text))
                with_findings += bool(text) - bool(before)
                if text != before:
                    told.append((institution, name, [(one.rule, one.severity) for one in findings]))
                    known = {one.rule for one in _findings(before)}
                    spoken.update((one.rule, one.severity, "") for one in findings if one.rule not in known)
            self._database.run("visits.judged", judged=as_json(judged), now=at)
            empty = [row[0] for row in due if row[0] not in documents]
            if empty:
                self._database.run("visits.empty", visits=as_json(empty))
            if spoken:
                rules = as_json([(*key, n) for key, n in spoken.items()])
                self._database.run("take.rules", feed="visits", now=at, rules=rules)
            self._statistics.take_visits(figures)
            self._ledger.change({("visits", "with_findings"): with_findings})
            if told:
                self._ledger.log({"event": "visits.judged", "judged": len(judged), "visits": told}, now)
        return len(due)

    def _others(self, documents: dict[int, list[VisitDocument]]) -> dict[int, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Who else was met under the same patient id or identity number; then what these visits say is kept."""
        asked = [row for visit, of in documents.items() for row in _identities(visit, of)]
        text = as_json(asked)
        self._database.run("visits.forget identity", visits=as_json(list(documents)))
        found: dict[tuple[int, str], tuple[str, ...]] = {}
        for visit, what, names in self._database.batch("visits.others", asked=text):
            found[visit, what] = tuple(msgspec.json.decode(names, type=list[str]) if isinstance(names, str) else names)
        self._database.run("visits.identity", asked=text)
        return {visit: (found.get((visit, "patient"), ()), found.get((visit, "id_number"), ())) for visit in documents}

    def listed(self, after: int, limit: int, only: str) -> list[tuple[int, JudgedVisit]]:
        """A page of visits by their row: all, `open` or with `findings`."""
        rows = self._database.batch(f"visits.list {only}".strip(), after=after, limit=limit)
        documents: dict[int, list[tuple[str, str, str]]] = {}
        for visit, set_id, kind, state, _ in self._database.batch(
            "visits.of", visits=as_json([row[0] for row in rows])
        ):
            documents.setdefault(visit, []).append((kind, state, set_id))
        return [
            (
                row,
                JudgedVisit(
                    institution=institution,
                    name=name,
                    opened_at=moment(opened),
                    due_at=moment_or_none(due),
                    judged_at=moment_or_none(judged),
                    documents=tuple(sorted(documents.get(row, ()))),
                    findings=tuple(_findings(findings)),
                ),
            )
            for row, institution, name, opened, due, judged, findings in rows
        ]

    def clear(self) -> None:
        """Forget every visit: the sources tell it all anew. Inside a transaction."""
        for query in ("visits.clear", "visits.clear visits", "visits.clear identity"):
            self._database.run(query)
        self._statistics.forget_visits()
        self._ledger.change({("visits", "with_findings"): -self._ledger.tally("visits", "with_findings")})


def _identities(visit: int, documents: Sequence[VisitDocument]) -> Iterable[tuple[int, str, str, str, str]]:
    """(visit, what, value, person, number) where the documents agree: what they disagree on is another rule's business."""
    person = _agreed(documents, "person")
    number = _agreed(documents, "id_number")
    patient = _agreed(documents, "patient")
    if patient and (person or number):
        yield visit, "patient", patient, person, number
    if number and person:
        yield visit, "id_number", number, person, ""


def _agreed(documents: Sequence[VisitDocument], fact: str) -> str:
    """The value of the fullest shape, if all that have that shape agree."""
    values = {document.facts[fact] for document in documents if fact in document.facts}
    if fact == "person" and values:
        fullest = max((value[:3] for value in values), key=lambda shape: (3 - shape.count("-"), shape))
        values = {value for value in values if value[:3] == fullest}
    return values.pop() if len(values) == 1 else ""


def _said_on(day: int | None, institution: str, text: str | None) -> Iterable[tuple[int, str, str, str]]:
    """What counts for a day. Without one its documents are from before there were statistics."""
    return [(day, institution, one.rule, one.severity) for one in _findings(text)] if day else []


def _findings(text: str | None) -> list[Finding]:
    return msgspec.json.decode(text, type=list[Finding]) if text else []
