"""Both ends against each other, and against the list of what was planted."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .agent import Finding, Spoken, spoken
from .expectations import explains, finds
from .hospital import KINDS, Hospital, State
from .platform import Stored, differing, documents
from .studies import Studies, count_studies

COMPARED = 600  # documents per kind whose values are compared with their rows, beside those that events touched
Key = tuple[str, str]  # kind, business key


@dataclass
class KindCount:
    """One kind's line of the table.

    rows        source rows that belong to the kind, details included
    records     final records they make
    held        of them, those in quarantine with a reason
    documents   documents at the platform, all versions
    delivered   records whose document at the platform is whole and says what the rows say
    duplicates  second effects: another document for the same record, or a version that says nothing new
    lost        records that are neither delivered nor held
    """

    rows: int = 0
    records: int = 0
    held: int = 0
    documents: int = 0
    delivered: int = 0
    duplicates: int = 0
    lost: int = 0


@dataclass
class Count:
    """Everything the oracle has to say. The lists name records and rules, for tests and for a person who looks."""

    kinds: dict[str, KindCount] = field(default_factory=dict)
    planted_faults: int = 0
    faults_found: int = 0
    false_findings: int = 0
    altered: list[tuple[str, str, list[str]]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    lost: list[Key] = field(default_factory=list)
    duplicates: list[Key] = field(default_factory=list)
    missed: list[dict[str, Any]] = field(default_factory=list)
    unexplained: list[tuple[str, str, str, str]] = field(default_factory=list)  # kind, key, rule, field
    wrong_events: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)  # kind -> rule -> held records it spoke of
    images: Studies = field(default_factory=Studies)

    def as_json(self) -> dict[str, Any]:
        """The part that the demo's JSON has."""
        return {
            "kinds": {kind: asdict(line) for kind, line in self.kinds.items()},
            "planted_faults": self.planted_faults,
            "faults_found": self.faults_found,
            "false_findings": self.false_findings,
            "images": asdict(self.images.line),
        }

    @property
    def right(self) -> bool:
        """Nothing lost, altered, damaged, doubled, missed or invented."""
        wrong = (
            self.altered,
            self.damaged,
            self.lost,
            self.duplicates,
            self.missed,
            self.unexplained,
            self.wrong_events,
        )
        return not any(wrong) and self.images.right


def count(
    hospital: Path,
    platform: Path,
    agent: Path,
    compared: int = COMPARED,
    told: Callable[[int], None] = lambda _: None,
) -> Count:
    """Count everything once. `told` hears how many documents were looked at, for a progress bar."""
    plan = json.loads((hospital / "planted.json").read_text("utf-8"))
    said = _by_key(spoken(agent))
    result = Count()
    with Hospital(hospital) as tables:
        states = {kind: tables.states(kind) for kind in KINDS}
        at_platform = _Platform(plan, states, compared)
        for number, document in enumerate(documents(platform), start=1):
            at_platform.take(document)
            if number % 1_000 == 0:
                told(number)
        at_platform.compare(tables)
        for kind in KINDS:
            result.kinds[kind] = _line(kind, tables.rows(kind), states[kind], at_platform, said, result)
    result.altered, result.damaged = at_platform.altered, at_platform.damaged
    _count_faults(plan, said, at_platform, states, result)
    _count_events(plan, said, at_platform, states, result)
    result.images = count_studies(hospital, platform, agent)
    return result


def _by_key(all_spoken: Iterable[Spoken]) -> dict[Key, list[Spoken]]:
    found: dict[Key, list[Spoken]] = defaultdict(list)
    for one in all_spoken:
        found[one.kind, one.key].append(one)
    return found


# -- the platform's side -----------------------------------------------------------------------------------------------


@dataclass
class _Series:
    """What the platform has for one record."""

    documents: int = 0
    sets: set[str] = field(default_factory=set)
    newest: int = 0
    void: bool = False
    sayings: dict[tuple[str, int], tuple[bytes, bool]] = field(default_factory=dict)  # (set, version) -> digest, void


class _Platform:
    def __init__(self, plan: dict[str, Any], states: dict[str, dict[str, State]], compared: int) -> None:
        self.series: dict[Key, _Series] = {}
        self.altered: list[tuple[str, str, list[str]]] = []
        self.damaged: list[str] = []
        self._chosen = _chosen(plan, states, compared)
        self._kept: dict[Key, Stored] = {}

    def take(self, document: Stored) -> None:
        if not document.content:
            self.damaged.append(document.document_id)
            return
        key = (document.kind, document.key)
        series = self.series.setdefault(key, _Series())
        series.documents += 1
        series.sets.add(document.set_id)
        series.sayings[document.set_id, document.version] = (document.says(), document.void)
        if document.version >= series.newest:
            series.newest, series.void = document.version, document.void
            if key in self._chosen:
                self._kept[key] = document

    def compare(self, tables: Hospital) -> None:
        """The values of the chosen documents against their rows."""
        for kind in KINDS:
            keys = [key for one, key in self._kept if one == kind]
            expected = tables.values(kind, keys)
            for key in keys:
                wrong = differing(self._kept[kind, key], expected[key]) if key in expected else ["no such record"]
                if wrong:
                    self.altered.append((kind, key, wrong))
        self._kept.clear()

    def second_effects(self, key: Key) -> int:
        """Sets too many for the record, and versions that only repeat the one before."""
        series = self.series.get(key)
        if series is None:
            return 0
        repeated = sum(
            saying == series.sayings.get((set_id, version - 1)) for (set_id, version), saying in series.sayings.items()
        )
        return len(series.sets) - 1 + repeated


def _chosen(plan: dict[str, Any], states: dict[str, dict[str, State]], compared: int) -> set[Key]:
    """Evenly over each kind, and whatever something happened to; not what is faulty (a value may be left out there)."""
    faulty = {(entry["kind"], entry["key"]) for entry in plan["planted"] if "mended" not in entry and entry["fields"]}
    chosen = {(event["kind"], event["key"]) for event in plan["events"]}
    for kind, keys in states.items():
        step = max(1, len(keys) // compared)
        chosen |= {(kind, key) for key in sorted(keys)[::step]}
    return chosen - faulty


# -- one kind ----------------------------------------------------------------------------------------------------------


def _line(
    kind: str,
    rows: int,
    states: dict[str, State],
    at_platform: _Platform,
    said: dict[Key, list[Spoken]],
    result: Count,
) -> KindCount:
    line = KindCount(rows=rows)
    altered = {key for one, key, _ in at_platform.altered if one == kind}
    for name, state in states.items():
        key = (kind, name)
        series = at_platform.series.get(key)
        if not state.final or (state.void and series is None):
            continue  # not final yet, or withdrawn before anybody saw it
        line.records += 1
        doubled = at_platform.second_effects(key)
        if doubled:
            result.duplicates.append(key)
            line.duplicates += doubled
        if any(one.held for one in said.get(key, ())):
            line.held += 1
        elif series is not None and series.void == state.void and name not in altered:
            line.delivered += 1
        else:
            line.lost += 1
            result.lost.append(key)
    line.documents = sum(series.documents for (one, _), series in at_platform.series.items() if one == kind)
    strangers = [key for key in at_platform.series if key[0] == kind and key[1] not in states]
    line.duplicates += len(strangers)
    result.duplicates += strangers
    result.reasons[kind] = _reasons(kind, said)
    return line


def _reasons(kind: str, said: dict[Key, list[Spoken]]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for (one, _), records in said.items():
        if one == kind:
            for rule in {f.rule for record in records if record.held for f in record.findings if f.severity == "hold"}:
                counts[rule] += 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


# -- faults and findings -----------------------------------------------------------------------------------------------


def _count_faults(
    plan: dict[str, Any],
    said: dict[Key, list[Spoken]],
    at_platform: _Platform,
    states: dict[str, dict[str, State]],
    result: Count,
) -> None:
    faults: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for entry in plan["planted"]:
        if "mended" in entry:
            continue
        key = (entry["kind"], entry["key"])
        faults[key].append(entry)
        state = states[entry["kind"]].get(entry["key"])
        if state is None or not state.final or state.void:
            continue  # nobody had a reason to look at it yet, or any more
        result.planted_faults += 1
        if _is_found(entry, said.get(key, ()), at_platform, key):
            result.faults_found += 1
        else:
            result.missed.append(entry)
    for key, records in said.items():
        for finding in {f for record in records for f in record.findings if f.severity in ("hold", "warn")}:
            if not any(explains(entry["fault"], finding.rule) for entry in faults.get(key, ())):
                result.false_findings += 1
                result.unexplained.append((*key, finding.rule, finding.field))


def _is_found(entry: dict[str, Any], records: Iterable[Spoken], at_platform: _Platform, key: Key) -> bool:
    if entry["fault"] == "duplicated_visit":
        series = at_platform.series.get(key)
        held = any(record.held for record in records)
        return held or (series is not None and len(series.sets) == 1 and at_platform.second_effects(key) == 0)
    matching = [record for record in records if any(_speaks_of(entry, finding) for finding in record.findings)]
    return any(record.held for record in matching) if entry["hold"] else bool(matching)


def _speaks_of(entry: dict[str, Any], finding: Finding) -> bool:
    return finds(entry["fault"], finding.rule) and finding.field.startswith(tuple(entry["fields"]))


# -- what happened later -----------------------------------------------------------------------------------------------


def _count_events(
    plan: dict[str, Any],
    said: dict[Key, list[Spoken]],
    at_platform: _Platform,
    states: dict[str, dict[str, State]],
    result: Count,
) -> None:
    """Every event has had its effect: the version, the void version, the first version. Touched rows had none."""
    versions: dict[Key, int] = defaultdict(int)
    for event in plan["events"]:
        key = (event["kind"], event["key"])
        series = at_platform.series.get(key)
        state = states[event["kind"]].get(event["key"])
        if any(record.held for record in said.get(key, ())) or state is None or not state.final:
            continue
        versions[key] += event["event"] in ("corrected", "reversed", "voided")
        right = series is not None and series.void == state.void and series.newest >= versions[key] + 1
        if event["event"] == "touched":
            right = series is not None and at_platform.second_effects(key) == 0
        if not right:
            result.wrong_events.append(event)
