"""The statistics: what every commit adds to them, and what reports read of them.

Days are local and yyyymmdd; a scope is a feed, a kind, an institution and a department. Everything is an upsert of a few
rows per batch, in the transaction of what it speaks of: the figures of a report and its list of findings agree.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any

from frontend_agent.delivery import State
from frontend_agent.identity import document_id as make_document_id
from frontend_agent.identity import parts
from frontend_agent.measuring import bucket
from frontend_agent.spool.database import Database
from frontend_agent.spool.ledger import as_json
from frontend_agent.spool.times import moment
from frontend_agent.spool.words import Taken
from frontend_agent.visits import VISIT

# A delivery that came to its end: day and scope of its document, how, when it happened and when it was taken (ms).
Ended = tuple[int, int, State, int | None, int]
Place = tuple[int | None, int | None, int | None]  # day, moment of the event (ms), scope

SINCE_EVENT, SINCE_TAKEN = 0, 1
_PAGE = 500


class Statistics:
    """Writing needs a transaction around it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._scopes: dict[tuple[str, str, str, str], int] = {}

    # --- written with every commit ------------------------------------------------------------------------------------

    def place(self, taken: Taken, named: str) -> Place:
        """Where in the statistics a document (by its id) or a held record (by its set) stands."""
        event = taken.figures.events.get(named) if taken.figures else None
        if event is None:
            return None, None, None
        return event.day, event.at, self._scope(taken, event.department)

    def take(self, taken: Taken) -> None:
        """Add what one batch comes to."""
        figures = taken.figures
        if figures is None:
            return
        add = self._add
        add("outcomes", [(day, self._scope(taken, at), *_values(n)) for (day, at), n in figures.outcomes.items()])
        add("findings", [(day, self._scope(taken, at), *of, n) for (day, at, *of), n in figures.findings.items()])
        add("delays", [(d, self._scope(taken, at), 0, SINCE_EVENT, b, n) for (d, at, b), n in figures.delays.items()])
        if figures.fill:
            rows = [(day, field, *counts) for (day, field), counts in figures.fill.items()]
            self._database.run("statistics.fill", rows=as_json(rows), institution=taken.institution, kind=taken.kind)

    def take_visits(self, figures: Mapping[tuple[int, str, str, str], int]) -> None:
        """What rules over visits say, more or less than before: (day, institution, rule, severity). No element, no department."""
        rows = [
            (day, self._scope_of("", VISIT, institution, ""), rule, severity, "", "", n)
            for (day, institution, rule, severity), n in figures.items()
            if n
        ]
        self._add("findings", rows)

    def forget_visits(self) -> None:
        """Nothing was said of any visit: all are judged anew."""
        self._database.run("statistics.forget visits", kind=VISIT)

    def settle(self, destination: int, ended: Sequence[Ended], now: int) -> None:
        """Add how deliveries ended; for those proven, how long it took."""
        if not ended:
            return
        states = Counter((day, scope, state) for day, scope, state, _, _ in ended)
        rows = [(*key, n) for key, n in states.items()]
        self._database.run("statistics.deliveries", destination=destination, rows=as_json(rows))
        delays: Counter[tuple[int, int, int, int]] = Counter()
        for day, scope, state, event_at, made_at in ended:
            if state is State.DELIVERED:
                delays[day, scope, SINCE_TAKEN, bucket(now - made_at)] += 1
                if event_at is not None:
                    delays[day, scope, SINCE_EVENT, bucket(now - event_at)] += 1
        self._add("delays", [(day, scope, destination, since, b, n) for (day, scope, since, b), n in delays.items()])

    def _add(self, what: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            self._database.run("statistics." + what, rows=as_json(rows))

    def __enter__(self) -> "Statistics":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """A commit that fails frees the numbers that were given in it."""
        if error is not None:
            self._scopes.clear()

    def _scope(self, taken: Taken, department: str) -> int:
        return self._scope_of(taken.feed, taken.kind, taken.institution, department)

    def _scope_of(self, feed: str, kind: str, institution: str, department: str) -> int:
        key = feed, kind, institution, department
        found = self._scopes.get(key)
        if found is None:
            values = dict(zip(("feed", "kind", "institution", "department"), key, strict=True))
            self._database.run("scope.add", **values)
            row = self._database.row("scope.find", **values)
            assert row is not None
            found = self._scopes[key] = int(row[0])
        return found

    # --- read by reports ----------------------------------------------------------------------------------------------

    def outcomes(self, first: int, last: int) -> list[tuple[Any, ...]]:
        """(day, feed, kind, institution, department, then the fields of Outcomes)."""
        return self._database.rows("report.outcomes", first=first, last=last)

    def findings(self, first: int, last: int) -> list[tuple[Any, ...]]:
        """(day, feed, kind, institution, department, rule, severity, field, data element, n)."""
        return self._database.rows("report.findings", first=first, last=last)

    def fill(self, first: int, last: int) -> list[tuple[Any, ...]]:
        """(day, institution, kind, field, filled, wanted)."""
        return self._database.rows("report.fill", first=first, last=last)

    def delays(self, first: int, last: int) -> list[tuple[Any, ...]]:
        """(day, feed, kind, institution, department, destination, since, bucket, n). No destination: until it was taken."""
        return self._database.rows("report.delays", first=first, last=last)

    def deliveries(self, first: int, last: int) -> list[tuple[Any, ...]]:
        """(day, feed, kind, institution, department, destination, state, n)."""
        return self._database.rows("report.deliveries", first=first, last=last)

    def missed(self, first: int, last: int) -> list[tuple[Any, ...]]:
        """(day, feed, kind, institution, department, n): rows that the watermark would have missed, each once."""
        return self._database.rows("report.missed", first=first, last=last)

    def documents(self, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        """Pages of (day, document id, kind, department, void, findings as JSON or nothing), in bounded memory."""
        for page in self._pages("report.documents", first, last):
            yield [
                (day, make_document_id(set_id, version), kind, department, void, findings)
                for day, _, set_id, version, kind, department, void, findings in page
            ]

    def held(self, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        """Pages of (day, case, set id, state, kind, department, findings as JSON)."""
        for page in self._pages("report.held", first, last):
            yield [(day, f"Q{number}", *rest) for day, number, *rest in page]

    def visits(self, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        """Pages of (day, visit, findings as JSON): what rules over visits say now."""
        for page in self._pages("report.visits", first, last):
            yield [(day, *rest) for day, _, *rest in page]

    def _pages(self, query: str, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        day, after = first, 0
        while page := self._database.rows(query, day=day, after=after, last=last, limit=_PAGE):
            yield page
            day, after = page[-1][:2]

    def where(self, document_id: str) -> tuple[int, str]:
        """Day and department of one document; nothing of one from before there were statistics."""
        named = parts(document_id)
        row = self._database.row("report.where", set_id=named[0], version=named[1]) if named else None
        return (int(row[0]), str(row[1])) if row else (0, "")

    def since(self) -> datetime | None:
        """What was taken before has no statistics; None: everything has."""
        row = self._database.row("meta.get", name="statistics_since")
        return moment(int(row[0])) if row else None


def _values(outcomes: object) -> tuple[int, ...]:
    return tuple(getattr(outcomes, name) for name in outcomes.__struct_fields__)  # type: ignore[attr-defined]
