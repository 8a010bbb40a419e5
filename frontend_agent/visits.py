"""What a record says of its visit: whose it is, what other documents of the visit have to say the same of, when it is over.

    Record ─▶ Seen ─▶ (hashed, with the documents' commit) ─▶ Visit ─▶ the rules of checks/visits.py, once it has closed

Pure. The facts are texts here; the spool keeps them as salted hashes, so that it can compare and nobody can read them back.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from frontend_agent.checks.applicability import CLASS_OF_TYPE
from frontend_agent.checks.visits import FRONT_PAGES, REQUESTING
from frontend_agent.model import FACT, Record

INPATIENT, OUTPATIENT = "inpatient", "outpatient"
VISIT = "visit"  # stands in figures where the kind of a document stands

# A document as its visit knows it. Withheld by rule is lawfully not there; it counts as there.
MADE, HELD, WITHHELD, VOID = "made", "held", "withheld", "void"

_NUMBERS = {INPATIENT: "patient.inpatient_number", OUTPATIENT: "patient.outpatient_number"}
_PATIENTS = ("fact.patient_id", "patient.record_number", "patient.health_record", "patient.health_card")
_ADMITTED = ("encounter.admitted_at", "admitted_at")
_DISCHARGED = ("encounter.discharged_at", "discharged_at")
_HAPPENED = ("visit.time", "encounter.time", "prescribed_on", "author.time")
_DAYS_REMEMBERED = 4096


class VisitTerms(msgspec.Struct, frozen=True):
    """How long after its end a visit closes, and which kinds it must have; from the region profile."""

    after: Mapping[str, timedelta]  # class -> after the day of the visit, or of the discharge
    after_archive: timedelta  # after its front page was archived
    required: Mapping[str, tuple[tuple[str, ...], ...]]  # class -> kinds, one of each


class Seen(msgspec.Struct, frozen=True):
    """One document, as its visit has to know it. `closes_at` (ms since 1970 UTC): when the visit can be judged."""

    set_id: str
    kind: str
    visit: str  # `inpatient:ZY0001`
    state: str
    facts: Mapping[str, str]
    requests: tuple[str, ...]
    closes_at: int | None
    archived: bool


class Observer:
    """Looks at the records of one kind. A record without a number of its visit belongs to none."""

    def __init__(self, kind: str, zone: tzinfo, terms: VisitTerms, fields: Collection[str] = ()) -> None:
        """`fields` are the kind's: what it cannot have is not asked for. Without them all are asked for."""
        self._kind = kind

        def of_kind(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(name for name in names if not fields or name in fields or name.startswith(FACT))

        self._patients, self._happened = of_kind(_PATIENTS), of_kind(_HAPPENED)
        self._moments = (("admitted", of_kind(_ADMITTED)), ("discharged", of_kind(_DISCHARGED)))
        self._front_page = kind in FRONT_PAGES
        self._requesting = kind in REQUESTING
        self._zone = zone
        self._terms = terms
        self._ends: dict[str, int | None] = {}  # day -> the end of it

    def __call__(self, record: Record, set_id: str, state: str, now: datetime) -> Seen | None:
        get = record.get
        visit_class = class_of(record)
        number = get("fact.visit_id") or get(_NUMBERS[visit_class])
        if not number:
            return None
        visit = f"{visit_class}:{number}"
        if state in (VOID, WITHHELD):  # nothing of a withheld record but that there is one
            return Seen(set_id, self._kind, visit, state, {}, (), None, False)
        facts: dict[str, str] = {}
        self._person(record, facts)
        closes_at = None
        archived = False
        if visit_class == INPATIENT:
            closes_at = self._stay(record, facts)
            if self._front_page and get("fact.archived", "true") == "true":
                archived = True
                closes_at = _millis(now + self._terms.after_archive)
        else:
            closes_at = self._end(_first(get, self._happened), self._terms.after[OUTPATIENT])
        requests: tuple[str, ...] = ()
        if self._requesting:
            requests = tuple(row["request_number"] for row in get("orders", ()) if "request_number" in row)
        elif "request_number" in record:
            facts["request"] = record["request_number"]
        return Seen(set_id, self._kind, visit, state, facts, requests, closes_at, archived)

    def _person(self, record: Record, facts: dict[str, str]) -> None:
        """Who it is about. A newborn's name changes, an unknown person has none: nothing is compared of them."""
        get = record.get
        if get("fact.newborn") == "true" or get("fact.identity_unknown") == "true":
            return
        name, sex = get("patient.name", ""), get("patient.sex", "")
        birth = get("patient.birth_date", "") or get("fact.birth_date", "")
        # What is there says the shape: only equal shapes are compared.
        shape = f"{'n' if name else '-'}{'s' if sex else '-'}{'b' if birth else '-'}"
        if name:
            facts["person"] = f"{shape}{name}\n{sex}\n{birth[:8]}"
        number = get("patient.id_number")
        if number and get("fact.id_type", "01") == "01":
            facts["id_number"] = number.upper()
        patient = _first(get, self._patients)
        if patient:
            facts["patient"] = patient

    def _stay(self, record: Record, facts: dict[str, str]) -> int | None:
        """What all documents of a stay agree on; when it can be judged, if the record knows of the discharge."""
        get = record.get
        moment = ""
        for name, fields in self._moments:
            moment = _first(get, fields)
            if moment:
                facts[f"{name}_day"] = moment[:8]
                if len(moment) >= 12:
                    facts[name] = moment[:12]
        diagnosis = get("main_diagnosis.code") or next(
            (row["code"] for row in get("discharge_diagnoses", ()) if "code" in row), ""
        )
        if diagnosis:
            facts["diagnosis"] = diagnosis
        if mode := get("discharge_mode"):
            facts["mode"] = mode
        if self._front_page:
            facts["surgery"] = "yes" if any(map(_is_surgery, get("operations", ()))) else "no"
        elif method := get("anaesthesia_method"):
            facts["anaesthesia"] = "local" if method.startswith("3") else "general"  # CV06.00.103 [V]
        return self._end(moment, self._terms.after[INPATIENT]) if moment else None  # of the discharge

    def _end(self, moment: str, after: timedelta) -> int | None:
        """So long after the end of that day, in milliseconds."""
        day = moment[:8]
        if day not in self._ends:
            if len(self._ends) >= _DAYS_REMEMBERED:
                self._ends.clear()
            try:
                midnight = datetime.strptime(day, "%Y%m%d").replace(tzinfo=self._zone) + timedelta(days=1)
                self._ends[day] = _millis(midnight + after)
            except (ValueError, OverflowError):
                self._ends[day] = None
        return self._ends[day]


def class_of(record: Record) -> str:
    """Whether the record is of a stay. The emergency department's visits close like outpatients'."""
    said = record.get("fact.patient_class") or CLASS_OF_TYPE.get(record.get("patient.type", ""))
    if said:
        return INPATIENT if said == INPATIENT else OUTPATIENT
    return INPATIENT if "patient.inpatient_number" in record else OUTPATIENT


def _is_surgery(row: Mapping[str, str]) -> bool:
    """An operation rather than a procedure: it has an incision, a level or an anaesthesia. (R-FP-4 calls the rest 操作.)"""
    return "code" in row and any(name in row for name in ("incision_class", "level", "anaesthesia_method"))


def _first(get: Callable[[str], str | None], names: Iterable[str]) -> str:
    for name in names:
        value = get(name)
        if value:
            return value
    return ""


def _millis(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
