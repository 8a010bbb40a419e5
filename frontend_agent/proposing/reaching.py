"""Which tables can be joined to a record's table, how, and how far that is.

Up: along a reference, to the one row it means (the patient of a visit). Down: against it, to the newest row that means ours
(the text written about a visit). Every step costs; a column far away has to fit better than one nearby.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from frontend_agent.proposing.joins import Subject
from frontend_agent.proposing.naming import words
from frontend_agent.proposing.schema import Schema, Table
from frontend_agent.proposing.values import Profile

UP, DOWN, BESIDE = "up", "down", "beside"
_COSTS = {UP: 0.97, DOWN: 0.86}
_EXTENDS = 0.95  # down to a table named after this one: adm_encounter_participant
MOST = 180
_SAME_TABLE = 14  # ways to one table that are looked at  # joined tables that are looked at for one record
# What is of one patient: down from a status or a department, the rows are everybody's.
_ONE_PATIENTS = frozenset({"visit", "admission", "prescription", "order", "request", "report"})


class Hop(NamedTuple):
    """One join. Up: `column` of the table before is `target` of `table`. Down: `column` of `table` is `target` of the one before.

    Beside: one row of a table of settings, the same for every record. `where` is a column of `table` and the value that it
    has to have: which of several rows is meant.
    """

    table: str
    way: str
    column: str
    target: str
    why: str
    where: tuple[str, str] = ("", "")


class Place(NamedTuple):
    """A table as it is joined to the record: by these hops, at this cost (1 is the record's own)."""

    table: Table
    hops: tuple[Hop, ...]
    nearness: float
    subject: str

    @property
    def joined_by(self) -> str:
        """The column that says which row, where the last step went up."""
        return self.hops[-1].column if self.hops and self.hops[-1].way == UP else ""


class Reaching:
    """The references of a schema, in both directions."""

    def __init__(
        self, schema: Schema, about: Mapping[str, Subject], profiles: Mapping[str, Mapping[str, Profile]] | None = None
    ) -> None:
        self.schema, self.about, self.profiles = schema, about, profiles or {}
        self._down: dict[str, list[tuple[str, str, str, str, float]]] = defaultdict(list)
        for table in schema.values():
            for reference in table.references:
                if reference.table in schema:
                    self._down[reference.table].append(
                        (table.id, reference.column, reference.target, reference.why, reference.sure)
                    )

    def subject(self, table: str) -> str:
        return self.about[table].name

    def up_from(self, start: Place, depth: int) -> Iterable[Place]:
        """Everything a row refers to, and what that refers to."""
        waiting = [(start, depth)]
        while waiting:
            place, left = waiting.pop(0)
            if not left:
                continue
            for reference in place.table.references:
                target = self.schema.get(reference.table)
                if target is None or target.id in {start.table.id, *(hop.table for hop in place.hops)}:
                    continue
                hop = Hop(target.id, UP, reference.column, reference.target, reference.why)
                nearness = place.nearness * _COSTS[UP] * (0.7 + 0.3 * reference.sure)
                nearness *= self._walked(place.table.id, reference.column)
                found = Place(target, (*place.hops, hop), nearness, self.subject(target.id))
                yield found
                waiting.append((found, left - 1))

    def _is_one_patients(self, anchor: Table, place: Place) -> bool:
        """Whether a row that we refer to is of our patient alone: down from any other, the rows are everybody's."""
        if place.subject not in _ONE_PATIENTS or {"status", "type", "state"} & set(words(place.table.name)):
            return False
        seen = self.profiles.get(anchor.id, {}).get(place.joined_by)
        return seen is None or seen.filled < 10 or seen.distinct >= 0.15 * seen.filled

    def _walked(self, table: str, column: str) -> float:
        """What a way is worth that only some rows can go: a report's order, where one in ten was ordered."""
        seen = self.profiles.get(table, {}).get(column)
        return 0.8 + 0.2 * seen.completeness if seen is not None and seen.rows >= 5 else 1.0

    def around(self, anchor: Table, relevant: frozenset[str]) -> list[Place]:
        """The record's own table, all that it refers to, and the relevant tables that refer to it, the nearest first."""
        own = Place(anchor, (), 1.0, self.subject(anchor.id))
        up = list(self.up_from(own, 3))
        found = [own, *up]
        level = [own, *(place for place in up if len(place.hops) == 1 and self._is_one_patients(anchor, place))]
        seen = {place.table.id for place in level}
        for _ in range(4):
            below = [place for start in level for place in self._below(start, relevant) if place.table.id not in seen]
            seen |= {place.table.id for place in below}
            for place in below:
                found.append(place)
                found += [
                    further for further in self.up_from(place, 2) if further.table.id not in (anchor.id, place.table.id)
                ]
            level = below
        found += self._of_the_patient(anchor, found)
        found.sort(key=lambda place: (-place.nearness, len(place.hops), place.table.id))
        counted: dict[str, int] = defaultdict(int)
        kept = []
        for place in found:
            counted[place.table.id] += 1
            if counted[place.table.id] <= _SAME_TABLE:
                kept.append(place)
        return kept[:MOST]

    def _of_the_patient(self, anchor: Table, found: Iterable[Place]) -> Iterable[Place]:
        """What extends the patient's own row, by the nearest way to it: patient_identity, patient_patient_type and its type."""
        patients = [place for place in found if place.subject == "patient" and place.joined_by]
        nearest = max(patients, key=lambda place: (place.nearness, -len(place.hops)), default=None)
        if nearest is None:
            return
        for name, column, target, why, sure in self._down[nearest.table.id]:
            table = self.schema[name]
            if not table.name.startswith(nearest.table.name + "_") or not table.only_key or name == anchor.id:
                continue
            hop = Hop(name, DOWN, column, target, why)
            nearness = nearest.nearness * _EXTENDS * (0.7 + 0.3 * sure)
            place = Place(table, (*nearest.hops, hop), nearness, self.subject(name))
            yield place
            yield from (one for one in self.up_from(place, 1) if one.table.id != nearest.table.id)

    def _below(self, start: Place, relevant: frozenset[str]) -> Iterable[Place]:
        for name, column, target, why, sure in self._down[start.table.id]:
            table = self.schema[name]
            if name not in relevant or (not table.only_key and column not in table.unique):
                continue
            hop = Hop(name, DOWN, column, target, why)
            cost = _EXTENDS if table.name.startswith(start.table.name + "_") else _COSTS[DOWN]
            nearness = start.nearness * cost * (0.7 + 0.3 * sure)
            yield Place(table, (*start.hops, hop), nearness, self.subject(name))

    def rows_below(self, anchor: Table, depth: int = 3) -> Iterable[tuple[Table, tuple[Hop, ...]]]:
        """Tables whose rows belong to a record, each with the way up to it."""
        waiting: list[tuple[Table, tuple[Hop, ...]]] = [(anchor, ())]
        seen = {anchor.id}
        while waiting:
            table, way = waiting.pop(0)
            if len(way) == depth:
                continue
            for name, column, target, why, sure in self._down[table.id]:
                if name in seen or sure < 0.5:
                    continue
                seen.add(name)
                below = self.schema[name], (Hop(table.id, UP, column, target, why), *way)
                yield below
                waiting.append(below)
