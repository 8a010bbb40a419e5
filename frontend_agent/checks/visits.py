"""Rules over a visit: what no single document can be wrong about (R-CO-5, R-BD, R-CN-5, R-CN-6).

A visit is judged once, when it has closed, from what its documents said of it (visits.py). The facts are salted hashes: equal
or not is all that can be told. A rule yields the arguments of its text, one tuple for each objection.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    ONCE,
    PRESENT,
    SINGLE_SOURCE,
    WARN,
    About,
    Mark,
    Rule,
    Said,
    derived,
)
from frontend_agent.model import Finding, Severity

FRONT_PAGES = frozenset({"C0032", "C0033"})
OPERATION_RECORDS = frozenset({"C0009", "C0016"})
ANAESTHESIA_RECORDS = frozenset({"C0011"})
REPORTS = frozenset({"C0006", "C0007"})
REQUESTING = frozenset({"C0002", "C0003", "C0052"})  # their orders carry request numbers


class VisitDocument(NamedTuple):
    """One document of a visit: `made`, `held` or `withheld`. Facts are hashes, or words where they identify nobody."""

    set_id: str
    kind: str
    state: str
    facts: Mapping[str, str]
    requests: tuple[str, ...] = ()


class Visit(NamedTuple):
    """A visit that has closed."""

    name: str  # `inpatient:ZY0001`
    documents: Sequence[VisitDocument]
    required: Sequence[tuple[str, ...]] = ()  # one of each
    fed: frozenset[str] = frozenset()  # kinds that this agent makes: of others nothing can be missing
    same_patient: tuple[str, ...] = ()  # visits of the same patient id that name another person
    same_number: tuple[str, ...] = ()  # visits of another person with the same identity number


Judge = Callable[[Visit], Iterator[Said]]
_judges: list[tuple[Rule, Judge]] = []


def visit_rule(id: str, severity: Severity, about: About, clause: str, mark: Mark) -> Callable[[Judge], Judge]:
    """Register a rule over a visit: in the catalogue like the others, asked here."""
    rule = derived(id, severity, about, clause, mark)

    def register(judge: Judge) -> Judge:
        _judges.append((rule, judge))
        return judge

    return register


def judge(visit: Visit, severity_of: Callable[[str], Severity]) -> list[Finding]:
    """All that the rules have to say of a visit."""
    return [
        Finding(rule.id, severity_of(rule.id), rule.blame, arguments=said)
        for rule, objections in _judges
        for said in objections(visit)
    ]


# -- what a visit must have -----------------------------------------------------------------------------------------------


@visit_rule("VISIT-KINDS", WARN, PRESENT, "R-CO-5", SINGLE_SOURCE)
def required_kinds_are_there(visit: Visit) -> Iterator[Said]:
    """A document of each required kind, or of one that may stand for it. Held ones are named as held."""
    there = {document.kind for document in visit.documents if document.state != "held"}
    held = {document.kind for document in visit.documents if document.state == "held"}
    missing = []
    for kinds in visit.required:
        if visit.fed.isdisjoint(kinds) or not there.isdisjoint(kinds):
            continue
        waits = sorted(held.intersection(kinds))
        missing.append(f"{waits[0]} (held)" if waits else "/".join(kinds))
    if missing:
        yield (", ".join(missing),)


@visit_rule("VISIT-REQUEST", WARN, AGREES, "R-BD-3", SINGLE_SOURCE)
def reports_refer_to_a_request(visit: Visit) -> Iterator[Said]:
    """A report's request is among the orders of the visit. Asked where the visit's orders are known at all."""
    known = {request for document in visit.documents for request in document.requests}
    if not known:
        return
    for document in visit.documents:
        if document.kind in REPORTS and document.facts.get("request", next(iter(known))) not in known:
            yield document.set_id, document.kind


# -- what its documents agree on ------------------------------------------------------------------------------------------


@visit_rule("VISIT-ADMITTED", WARN, AGREES, "R-BD-1", FROM_MEMORY)
def one_time_of_admission(visit: Visit) -> Iterator[Said]:
    """Compared to the minute where both say one, else by the day."""
    return _one_of("admitted", "admitted_day", visit)


@visit_rule("VISIT-DISCHARGED", WARN, AGREES, "R-BD-2", FROM_MEMORY)
def one_time_of_discharge(visit: Visit) -> Iterator[Said]:
    return _one_of("discharged", "discharged_day", visit)


@visit_rule("VISIT-DIAGNOSIS", WARN, AGREES, "R-BD-2", FROM_MEMORY)
def one_main_diagnosis(visit: Visit) -> Iterator[Said]:
    return _one_of("diagnosis", "", visit)


@visit_rule("VISIT-MODE", WARN, AGREES, "R-BD-2", FROM_MEMORY)
def one_mode_of_discharge(visit: Visit) -> Iterator[Said]:
    return _one_of("mode", "", visit)


def _one_of(fact: str, coarser: str, visit: Visit) -> Iterator[Said]:
    """Documents that differ in a fact: each different value with the kinds that have it."""
    for name in (coarser, fact):
        by_value: dict[str, set[str]] = defaultdict(set)
        for document in visit.documents:
            if name and name in document.facts:
                by_value[document.facts[name]].add(document.kind)
        if len(by_value) > 1:
            yield (" ≠ ".join(sorted("/".join(sorted(kinds)) for kinds in by_value.values())),)
            return


# -- operations ------------------------------------------------------------------------------------------------------------


def _kinds(visit: Visit) -> frozenset[str]:
    return frozenset(document.kind for document in visit.documents)


def _front_page_says(visit: Visit) -> str:
    """Whether the front page lists an operation: yes, no, or nothing where there is none."""
    said = {document.facts.get("surgery", "") for document in visit.documents if document.kind in FRONT_PAGES}
    return "yes" if "yes" in said else "no" if "no" in said else ""


@visit_rule("VISIT-OPERATION-RECORD", WARN, PRESENT, "R-BD-4", FROM_MEMORY)
def an_operation_has_its_record(visit: Visit) -> Iterator[Said]:
    """手术 on the front page, and no record of an operation."""
    fed = not visit.fed.isdisjoint(OPERATION_RECORDS)
    if fed and _front_page_says(visit) == "yes" and _kinds(visit).isdisjoint(OPERATION_RECORDS):
        yield ("/".join(sorted(OPERATION_RECORDS)),)


@visit_rule("VISIT-OPERATION-PAGE", WARN, AGREES, "R-BD-4", FROM_MEMORY)
def a_recorded_operation_is_on_the_front_page(visit: Visit) -> Iterator[Said]:
    recorded = sorted(_kinds(visit) & OPERATION_RECORDS)
    if recorded and _front_page_says(visit) == "no":
        yield ("/".join(recorded),)


@visit_rule("VISIT-ANAESTHESIA", WARN, PRESENT, "R-BD-4", FROM_MEMORY)
def operation_and_anaesthesia_go_together(visit: Visit) -> Iterator[Said]:
    """A record of an anaesthesia without an operation, or an operation under more than local anaesthesia without one."""
    kinds = _kinds(visit)
    if kinds & ANAESTHESIA_RECORDS:
        if kinds.isdisjoint(OPERATION_RECORDS) and not visit.fed.isdisjoint(OPERATION_RECORDS):
            yield "C0011", "/".join(sorted(OPERATION_RECORDS))
    elif not visit.fed.isdisjoint(ANAESTHESIA_RECORDS):
        for document in visit.documents:
            if document.kind in OPERATION_RECORDS and document.facts.get("anaesthesia") == "general":
                yield document.kind, "C0011"


# -- one patient, one identity ----------------------------------------------------------------------------------------------


@visit_rule("VISIT-PERSON", WARN, ONCE, "R-CN-6", FROM_MEMORY)
def a_visit_has_one_patient(visit: Visit) -> Iterator[Said]:
    """One visit number, and documents of different persons. Only what both say is compared."""
    for fact in ("patient", "id_number"):
        differing = list(_one_of(fact, "", visit))
        if differing:
            yield differing[0]
            return
    by_shape: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for document in visit.documents:
        person = document.facts.get("person", "")
        if person:
            by_shape[person[:3]][person].add(document.kind)
    for persons in by_shape.values():
        if len(persons) > 1:
            yield (" ≠ ".join(sorted("/".join(sorted(kinds)) for kinds in persons.values())),)
            return


@visit_rule("PATIENT-PERSON", WARN, AGREES, "R-CN-5", FROM_MEMORY)
def a_patient_is_one_person(visit: Visit) -> Iterator[Said]:
    """The same patient id in another visit, with another name, sex, birth date or identity number."""
    if visit.same_patient:
        yield (", ".join(visit.same_patient),)


@visit_rule("IDENTITY-PERSON", WARN, ONCE, "R-CN-6", FROM_MEMORY)
def an_identity_number_is_one_person(visit: Visit) -> Iterator[Said]:
    """The same identity number in another visit, with another name, sex or birth date."""
    if visit.same_number:
        yield (", ".join(visit.same_number),)
