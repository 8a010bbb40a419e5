"""What a batch adds to the statistics: counted where the record is at hand, kept in the commit of what it speaks of.

    Event      when and where a record happened, by its own words
    Figures    the counts of one batch: values, on their way into the spool

An auditor asks by the day of the event, not by the day on which a row was read. The event is the kind's own time (when a
stay ended, when a report was signed), else when the author wrote it. A record without a usable time counts for the day on
which it was taken; it has no timeliness.

Filled and wanted are counted per element. An element is wanted of a record when the region profile says that it applies to
this patient, and of course where it is there. Records of one kind look alike (the same names are there), so what follows
from a look is worked out once per look, and remembered.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple, Protocol

import msgspec

from frontend_agent.checks.applicability import CLASS_OF_TYPE, WORDS, is_child
from frontend_agent.checks.registry import DE_MISSING, TEXT_PLACEHOLDER
from frontend_agent.model import Finding, Record, Severity

# A kind's own time first: what happened, not when somebody wrote of it. The order is by how late in a stay it stands.
EVENT_FIELDS = (
    "encounter.discharged_at",
    "discharged_at",
    "prescribed_on",
    "author.time",
    "encounter.time",
    "visit.time",
    "encounter.admitted_at",
    "admitted_at",
)
DEPARTMENT_FIELDS = ("department.name", "encounter.department_name", "fact.department")
LONGEST_NAME = 60  # of a department: a longer text is in the wrong column

MINUTE, HOUR, DAY = 60, 3_600, 86_400
DAY_MS = DAY * 1000
LONGEST_AGO = 18_262 * DAY_MS  # fifty years: an older time is a mistake, and no report would show its day
# Upper bounds of the delays' buckets in seconds; below 0: the event lies after its receipt, a clock is wrong.
BOUNDS = (
    0, 30, MINUTE, 2 * MINUTE, 3 * MINUTE, 5 * MINUTE, 7 * MINUTE, 10 * MINUTE, 15 * MINUTE, 20 * MINUTE, 30 * MINUTE,
    45 * MINUTE, HOUR, 90 * MINUTE, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 8 * HOUR, 12 * HOUR, 18 * HOUR, DAY,
    36 * HOUR, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY, 7 * DAY, 10 * DAY, 14 * DAY, 21 * DAY, 30 * DAY, 60 * DAY, 90 * DAY,
    180 * DAY, 365 * DAY,
)  # fmt: skip
_BOUNDS_MS = tuple(bound * 1000 for bound in BOUNDS)

_REMEMBERED = 8_192  # looks


class Event(NamedTuple):
    """When and where a record happened: the local day (yyyymmdd), the moment (ms since 1970 UTC) if it says one."""

    day: int
    at: int | None
    department: str


class Outcomes(msgspec.Struct, array_like=True):
    """How the records of one day and department fared. Each field is a column of the statistics."""

    read: int = 0  # had a turn; what is read again and again counts each time
    final: int = 0  # judged: final, and new or changed. Each became a document, or was held or withheld
    first: int = 0  # of those, never judged before
    first_held: int = 0  # of those, held
    documents: int = 0
    versions: int = 0  # of the documents, second and later versions
    void: int = 0  # of the documents, withdrawals
    warned: int = 0  # of the documents, with a warning
    held: int = 0
    withheld: int = 0
    mended: int = 0  # documents of records that were held before
    wanted: int = 0  # elements that the profile asks for, over all judged records
    filled: int = 0  # of those, there


class Figures(msgspec.Struct):
    """What one batch adds. Days are yyyymmdd; a department may be empty."""

    outcomes: dict[tuple[int, str], Outcomes] = {}
    findings: dict[
        tuple[int, str, str, str, str, str], int
    ] = {}  # day, department, rule, severity, field, data element
    fill: dict[tuple[int, str], tuple[int, int]] = {}  # day, field -> filled, wanted
    delays: dict[tuple[int, str, int], int] = {}  # day, department, bucket: from the event until it was taken
    events: dict[str, Event] = {}  # of documents and held sets, by their ids


def bucket(milliseconds: int) -> int:
    """The bucket of a delay: 0 is before the event, the last is beyond all bounds."""
    return bisect_right(_BOUNDS_MS, milliseconds)


# --- what a look says -------------------------------------------------------------------------------------------------


class ElementLike(Protocol):
    """What the region profile says of one element."""

    @property
    def missing(self) -> Severity | None: ...
    @property
    def applies(self) -> tuple[str, ...]: ...
    @property
    def not_for(self) -> tuple[str, ...]: ...
    @property
    def only_with(self) -> tuple[str, ...]: ...


class _Look:
    """What follows from the names that are there, in one situation: the names that are not there, by whether they should be."""

    __slots__ = ("answered", "asked", "empty", "unwanted")

    def __init__(self, empty: list[str], unwanted: list[str], asked: int, answered: int) -> None:
        self.empty = empty
        self.unwanted = unwanted
        self.asked = asked  # how many of the elements that the profile asks for apply
        self.answered = answered  # and how many of those are there


Situation = tuple[bool, ...]
Names = tuple[str, ...]


class _Part:
    """The record itself, or the rows of one group."""

    def __init__(self, prefix: str, elements: Mapping[str, ElementLike], words: Sequence[str]) -> None:
        self._prefix = prefix
        self._elements = {name.removeprefix(prefix): element for name, element in elements.items()}
        self.depends = any(element.applies or element.not_for for element in elements.values())  # on the situation
        self._words = words if self.depends else ()
        self._known: dict[tuple[Situation, Names], _Look] = {}
        self.names = tuple(elements)

    def look(self, situation: Situation, names: Names) -> _Look:
        found = self._known.get((situation, names))
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[situation, names] = self._looked(situation, frozenset(names))
        return found

    def _looked(self, situation: Situation, names: frozenset[str]) -> _Look:
        holds = {word for word, true in zip(self._words, situation, strict=True) if true}
        look = _Look([], [], 0, 0)
        for name, element in self._elements.items():
            there = name in names
            applies = there or self._applies(element, holds, names)
            if not there:
                (look.empty if applies else look.unwanted).append(self._prefix + name)
            if applies and element.missing is not None:
                look.asked += 1
                look.answered += there
        return look

    def _applies(self, element: ElementLike, holds: set[str], names: frozenset[str]) -> bool:
        if element.applies and holds.isdisjoint(element.applies):
            return False
        if not holds.isdisjoint(element.not_for):
            return False
        return not element.only_with or any(other.removeprefix(self._prefix) in names for other in element.only_with)


class Measures:
    """What can be counted of one kind under one profile. Used by one thread at a time."""

    def __init__(
        self,
        fields: Sequence[str] = EVENT_FIELDS,
        elements: Mapping[str, ElementLike] | None = None,
        groups: Iterable[str] = (),
    ) -> None:
        elements = elements or {}
        words = sorted({word for element in elements.values() for word in (*element.applies, *element.not_for)})
        self.event_fields = tuple(name for name in EVENT_FIELDS if name in fields)
        self.situation = _compile_situation(words)
        self.groups = tuple(groups)
        self.days: dict[tzinfo, dict[str, tuple[int, int, bool] | None]] = {}
        of_rows = {name for name in elements if name.partition(".")[0] in self.groups and name not in self.groups}
        self.record = _Part("", {n: e for n, e in elements.items() if n not in of_rows}, words)
        self.rows = {
            group: _Part(f"{group}.", {n: elements[n] for n in of_rows if n.startswith(f"{group}.")}, words)
            for group in self.groups
        }


class _Clock:
    """Reads the times in records. Days are remembered: on most of them no clock is set, and an hour is an hour."""

    def __init__(
        self, now: datetime, zone: tzinfo, days: dict[tzinfo, dict[str, tuple[int, int, bool] | None]]
    ) -> None:
        self.now = _millis(now)
        self.today = day_of(now, zone)
        self._earliest, self._latest = self.now - LONGEST_AGO, self.now + 2 * DAY_MS
        self._zone = zone
        self._days = days.setdefault(zone, {})

    def read(self, text: str) -> tuple[int, int] | None:
        """Day and moment of 8, 12 or 14 digits; None for anything else, and for what cannot be: in the future, or a lifetime ago."""
        key = text[:8]
        try:
            known = self._days[key]
        except KeyError:
            if len(self._days) >= _REMEMBERED:
                self._days.clear()
            known = self._days[key] = _day(key, self._zone)
        if known is None:
            return None
        day, start, whole = known
        rest = text[8:]
        if rest:
            minute, second = _MINUTES.get(rest[:4]), _SECONDS.get(rest[4:])
            if minute is None or second is None:
                return None
            if whole:
                start += minute + second
            else:  # by the clock on the wall
                start = _millis(_midnight(day, self._zone) + timedelta(milliseconds=minute + second))
        return (day, start) if self._earliest < start < self._latest else None


# --- counting ---------------------------------------------------------------------------------------------------------


class _Place:
    """One day and department."""

    __slots__ = ("day", "delays", "emptied", "findings", "outcomes")

    def __init__(self, day: int) -> None:
        self.day = day
        self.outcomes = Outcomes()
        self.findings: dict[tuple[str, str, str, str], int] = {}
        self.delays: dict[int, int] = {}
        self.emptied: dict[str, int] = {}  # texts that mean "empty", by field


class Tally:
    """Counts one batch."""

    def __init__(self, measures: Measures, now: datetime, zone: tzinfo) -> None:
        self._measures = measures
        self._clock = _Clock(now, zone, measures.days)
        self._places: dict[tuple[int, str], _Place] = {}
        self._events: dict[str, Event] = {}
        # Looked at when the batch is complete, all at once.
        self._records: list[tuple[_Place, Situation, Record]] = []

    def read(self, record: Record) -> Event:
        """A record has its turn. When and where it happened, as far as it says so."""
        department = ""
        for name in DEPARTMENT_FIELDS:
            if name in record:
                department = record[name][:LONGEST_NAME]
                break
        for name in self._measures.event_fields:
            if name in record and (found := self._clock.read(record[name])):
                event = Event(found[0], found[1], department)
                break
        else:
            event = Event(self._clock.today, None, department)
        self._at(event).outcomes.read += 1
        return event

    def unreadable(self) -> Event:
        """Rows that made no record."""
        return self.read({})

    def document(
        self,
        document_id: str,
        event: Event,
        record: Record,
        findings: Sequence[Finding],
        version: int,
        void: bool,
        held: bool,
    ) -> None:
        """It became a document. `held`: it had been held before."""
        place = self._judged(document_id, event, record)
        of = place.outcomes
        of.documents += 1
        if version > 1:
            of.versions += 1
        elif not held:
            of.first += 1
        if void:
            of.void += 1
        if held:
            of.mended += 1
        if findings and self._spoken(place, findings):
            of.warned += 1
        if event.at is not None:
            late = bucket(self._clock.now - event.at)
            place.delays[late] = place.delays.get(late, 0) + 1

    def also(self, document_id: str, event: Event) -> None:
        """Another edition of a record that is counted already: its deliveries belong to the same day."""
        self._events[document_id] = event

    def held(self, set_id: str, event: Event, record: Record, findings: Sequence[Finding], first: bool) -> None:
        """It waits for a person. `first`: nothing was known of it before."""
        place = self._judged(set_id, event, record)
        self._spoken(place, findings)
        place.outcomes.held += 1
        place.outcomes.first += first
        place.outcomes.first_held += first

    def withheld(self, set_id: str, event: Event, record: Record, findings: Sequence[Finding], first: bool) -> None:
        """It does not leave the hospital, by a rule."""
        place = self._judged(set_id, event, record)
        self._spoken(place, findings)
        place.outcomes.withheld += 1
        place.outcomes.first += first

    def _at(self, event: Event) -> _Place:
        where = event[0], event[2]
        try:
            return self._places[where]
        except KeyError:
            return self._places.setdefault(where, _Place(event.day))

    def _judged(self, named: str, event: Event, record: Record) -> _Place:
        self._events[named] = event
        place = self._at(event)
        place.outcomes.final += 1
        self._records.append((place, self._measures.situation(record), record))
        return place

    def _spoken(self, place: _Place, findings: Sequence[Finding]) -> bool:
        """Count what the rules had to say; whether one of them warned."""
        warned = False
        for finding in findings:
            field = without_index(finding.field)
            said = finding.rule, finding.severity, field, finding.data_element
            place.findings[said] = place.findings.get(said, 0) + 1
            warned = warned or finding.severity is Severity.WARN
            if finding.value and finding.rule in _EMPTY:
                place.emptied[field] = place.emptied.get(field, 0) + 1
                if finding.rule == DE_MISSING.id:
                    place.outcomes.filled -= 1
        return warned

    # --- what it comes to ---------------------------------------------------------------------------------------------

    def figures(self) -> Figures:
        figures = Figures(events=self._events)
        emptied: Counter[tuple[int, str]] = Counter()
        for (day, department), place in self._places.items():
            figures.outcomes[day, department] = place.outcomes
            for said, n in place.findings.items():
                figures.findings[day, department, *said] = n
            for late, n in place.delays.items():
                figures.delays[day, department, late] = n
            for field, n in place.emptied.items():
                emptied[day, field] += n
        for (day, part), seen in self._looks().items():
            for field, filled, wanted in _fill(part.names, seen):
                if wanted:
                    figures.fill[day, field] = filled - emptied[day, field], wanted
        return figures

    def _looks(self) -> dict[tuple[int, _Part], dict[_Look, int]]:
        """How often each look was seen on each day: of the records, and of the rows of each group."""
        found: dict[tuple[int, _Part], dict[_Look, int]] = {}
        days: dict[int, list[tuple[Situation, Record]]] = {}
        for place, situation, record in self._records:
            days.setdefault(place.day, []).append((situation, record))
        own = self._measures.record
        shapes = Counter([(place, situation, tuple(record)) for place, situation, record in self._records])
        for (place, situation, names), n in shapes.items():
            look = own.look(situation, names)
            place.outcomes.wanted += look.asked * n
            place.outcomes.filled += look.answered * n
            seen = found.setdefault((place.day, own), {})
            seen[look] = seen.get(look, 0) + n
        for group, part in self._measures.rows.items():
            for day, records in days.items():
                if part.depends:
                    alike = Counter([(true, tuple(row)) for true, record in records for row in record.get(group, ())])
                    found[day, part] = {part.look(*shape): n for shape, n in alike.items()}
                else:
                    rows = [row for _, record in records if group in record for row in record[group]]
                    found[day, part] = {part.look((), names): n for names, n in Counter(map(tuple, rows)).items()}
        return found


def _fill(names: Iterable[str], seen: Mapping[_Look, int]) -> Iterator[tuple[str, int, int]]:
    """Of each element: its name, filled, wanted."""
    unwanted: dict[str, int] = {}
    empty: dict[str, int] = {}
    for look, n in seen.items():
        for name in look.unwanted:
            unwanted[name] = unwanted.get(name, 0) + n
        for name in look.empty:
            empty[name] = empty.get(name, 0) + n
    total = sum(seen.values())
    for name in names:
        wanted = total - unwanted.get(name, 0)
        yield name, wanted - empty.get(name, 0), wanted


_EMPTY = frozenset((DE_MISSING.id, TEXT_PLACEHOLDER.id))


def without_index(field: str) -> str:
    """`items[3].unit` and `items[4].unit` are counted together."""
    group, bracket, rest = field.partition("[")
    return group + rest.partition("]")[2] if bracket else field


def day_of(moment: datetime, zone: tzinfo) -> int:
    """The local day as yyyymmdd."""
    local = moment.astimezone(zone)
    return local.year * 10_000 + local.month * 100 + local.day


def _compile_situation(words: Sequence[str]) -> Callable[[Record], tuple[bool, ...]]:
    """The words that the profile uses of this kind, each true or false of a record."""
    if not words:
        return lambda record: ()
    lines = ["def situation(record):", "    get = record.get"]
    if set(words) & {"outpatient", "emergency", "inpatient"}:
        lines.append("    patient_class = get('fact.patient_class') or class_of_type.get(get('patient.type'))")
    lines.append(f"    return ({', '.join(WORDS[word] for word in words)},)")
    names: dict[str, Any] = {"is_child": is_child, "class_of_type": CLASS_OF_TYPE}
    exec("\n".join(lines), names)  # noqa: S102 - from the profile's own words
    situation: Callable[[Record], tuple[bool, ...]] = names["situation"]
    return situation


def _midnight(day: int, zone: tzinfo) -> datetime:
    return datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=zone)


_MINUTES = {f"{h:02}{m:02}": (h * HOUR + m * MINUTE) * 1000 for h in range(24) for m in range(60)}
_SECONDS = {"": 0} | {f"{second:02}": second * 1000 for second in range(60)}


def _day(text: str, zone: tzinfo) -> tuple[int, int, bool] | None:
    """The day, the moment at which it begins, and whether it has 24 hours: no clock is set on it."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()) or text < "1900":
        return None
    try:
        start = _midnight(int(text), zone)
        end = start + timedelta(days=1)  # midnight by the clock, however many hours away
        return int(text), _millis(start), _millis(end) - _millis(start) == DAY_MS
    except (ValueError, OverflowError):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _millis(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
