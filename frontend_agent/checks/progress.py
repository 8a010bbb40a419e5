"""Progress notes, handovers, transfers, consultations and consents: who, when, and from whom to whom."""

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    HOLD,
    IN_TIME,
    LIKELY,
    NOTE,
    ORDER,
    PRESENT,
    SINGLE_SOURCE,
    WARN,
    Said,
    relation,
    rule,
)
from frontend_agent.checks.selectors import ending, named
from frontend_agent.checks.stays import ADMITTED
from frontend_agent.checks.tables import in_order
from frontend_agent.checks.values import before, hours, number
from frontend_agent.model import Record

# -- who signs when -------------------------------------------------------------------------------------------------------

_PLANNED_OR_OTHER = named(
    "author.time", "visit.time", "encounter.time", "request.time", "discussion.time", "doctor.time",
    "review_pharmacist.time", "dispensing_pharmacist.time", "checking_pharmacist.time", "issuing_pharmacist.time",
    "reviewer.time", "technician.time", "laboratory_doctor.time",
)  # fmt: skip


@rule(
    "SIGNED-BEFORE-STAY", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, needs=(ADMITTED,),
    each=ending(".time") - _PLANNED_OR_OTHER,
)  # fmt: skip
def nobody_signs_before_the_admission(signed: str, record: Record) -> Said | None:
    admitted = record[ADMITTED]
    return (signed, admitted) if before(signed, admitted) else None


def _same_person(id: str, one: str, other: str, clause: str) -> None:
    """Two tasks that two people do."""

    @relation(id, NOTE, about=LIKELY, clause=clause, mark=FROM_MEMORY, of=(one, other))
    def are_two(first: str, second: str) -> tuple[str, ...] | None:
        return () if first == second else None


_same_person("ROUND-SELF", "chief_physician.id", "recorder.id", "C0039")
_same_person("HANDOVER-SELF", "outgoing_physician.id", "incoming_physician.id", "C0041")
_same_person("TRANSFER-SELF", "transferring_physician.id", "accepting_physician.id", "C0042")
_same_person("SENIOR-SELF", "senior_physician.id", "resident_physician.id", "C0037, C0053")
_same_person("CONSULT-SELF", "consultation_requester.id", "consultant.id", "C0045")
# -- handover, transfer ---------------------------------------------------------------------------------------------------

in_order("HANDOVER-ORDER", WARN, "outgoing_physician.time", "incoming_physician.time")
in_order("TRANSFER-ORDER", WARN, "transferring_physician.time", "accepting_physician.time")


@relation(
    "TRANSFER-SAME",
    WARN,
    about=AGREES,
    clause="C0042",
    mark=FROM_MEMORY,
    of=("transfer_out_department", "transfer_in_department"),
)
def a_transfer_goes_elsewhere(from_: str, to: str) -> Said | None:
    return () if from_ == to else None


@relation(
    "TRANSFER-SIGNED", WARN, about=PRESENT, clause="2.16.156.10011.2.3.2.56", mark=FROM_MEMORY, of=("transfer_record_type",),
    also=("accepting_physician.name",),
)  # fmt: skip
def who_takes_a_patient_over_signs(kind: str, name: str) -> Said | None:
    """1 is 转入记录."""
    return () if kind == "1" and not name else None


@relation(
    "TRANSFER-SENT", WARN, about=PRESENT, clause="2.16.156.10011.2.3.2.56", mark=FROM_MEMORY, of=("transfer_record_type",),
    also=("transferring_physician.name",),
)  # fmt: skip
def who_hands_a_patient_on_signs(kind: str, name: str) -> Said | None:
    """2 is 转出记录."""
    return () if kind == "2" and not name else None


# -- consultations --------------------------------------------------------------------------------------------------------

in_order("CONSULT-ORDER", WARN, "consultation_requester.time", "consultant.time")


@relation(
    "CONSULT-LATE",
    NOTE,
    about=IN_TIME,
    clause="rules.md 6",
    mark=SINGLE_SOURCE,
    of=("consultation_requester.time", "consultant.time"),
)
def a_consultation_comes_within_two_days(asked: str, came: str) -> Said | None:
    """Ordinary ones within 24 hours; another page says 48."""
    return (came, asked, "48") if hours(asked, came) > 48 else None


@relation(
    "CONSULT-URGENT", NOTE, about=IN_TIME, clause="rules.md 6", mark=SINGLE_SOURCE,
    of=("consultation_type", "consultation_requester.time", "consultant.time"),
)  # fmt: skip
def an_urgent_consultation_comes_at_once(kind: str, asked: str, came: str) -> Said | None:
    """急会诊 within ten minutes; an hour is let pass, since the time signed is rarely the time of arrival."""
    return (came, asked) if "急" in kind and hours(asked, came) > 1 else None


@relation(
    "CONSULT-OPINION", WARN, "C0045", about=PRESENT, clause="C0045", mark=FROM_MEMORY, of=("consultant.time",),
    also=("consultation_opinion",),
)  # fmt: skip
def who_was_consulted_says_something(_: str, opinion: str) -> Said | None:
    return None if opinion else ()


# -- discussions ----------------------------------------------------------------------------------------------------------


in_order("DISCUSS-RECORD", WARN, "discussion.time", "author.time")


# -- consents -------------------------------------------------------------------------------------------------------------

CONSENTS = ("C0026", "C0027", "C0028", "C0029", "C0030", "C0031")
_SELF = ("0", "00", "01", "02")


@relation(
    "CONSENT-SIGNED", HOLD, *CONSENTS, about=PRESENT, clause="C0026–C0031", mark=SINGLE_SOURCE, of=("consent_number",),
    also=("patient_signature.name", "proxy.name"),
)  # fmt: skip
def somebody_consented(_: str, patient: str, proxy: str) -> Said | None:
    """A consent without the patient's signature or a proxy's is none."""
    return None if patient or proxy else ()


@relation(
    "CONSENT-PROXY-RELATION",
    WARN,
    about=PRESENT,
    clause="DE02.10.024.00",
    mark=SINGLE_SOURCE,
    of=("proxy.name",),
    also=("proxy.relation",),
)
def a_proxy_is_related_somehow(_: str, kin: str) -> Said | None:
    return None if kin else ()


@relation(
    "CONSENT-PROXY-SELF",
    WARN,
    about=AGREES,
    clause="GB/T 4761",
    mark=FROM_MEMORY,
    of=("patient.name", "proxy.name", "proxy.relation"),
)
def a_proxy_is_somebody_else(patient: str, proxy: str, kin: str) -> Said | None:
    return (kin,) if patient == proxy or kin in _SELF else None


@relation(
    "CONSENT-CHILD",
    WARN,
    *CONSENTS,
    about=AGREES,
    clause="civil code 19, 20",
    mark=FROM_MEMORY,
    of=("patient.age",),
    also=("proxy.name",),
)
def children_do_not_consent_alone(age: str, proxy: str) -> Said | None:
    """Under eight nobody can act for themselves."""
    return (age,) if number(age) < 8 and not proxy else None


@relation(
    "CONSENT-NAME",
    WARN,
    *CONSENTS,
    about=AGREES,
    clause="C0026–C0031",
    mark=FROM_MEMORY,
    of=("patient.name", "patient_signature.name"),
)
def the_patient_signs_with_their_name(patient: str, signed: str) -> Said | None:
    return None if patient == signed else ()


@relation(
    "CONSENT-PATIENT-TIME",
    NOTE,
    *CONSENTS,
    about=PRESENT,
    clause="C0026–C0031",
    mark=SINGLE_SOURCE,
    of=("patient_signature.name",),
    also=("patient_signature.time",),
)
def a_signature_has_a_time(_: str, when: str) -> Said | None:
    return None if when else ()


@relation(
    "CONSENT-BEFORE", WARN, about=ORDER, clause="C0026", mark=FROM_MEMORY, rows=("planned_operations",),
    of=("patient_signature.time", "this.date"),
)  # fmt: skip
def consent_precedes_the_operation(signed: str, planned: str) -> Said | None:
    return (planned, signed) if before(planned, signed) else None


in_order("CONSENT-TRANSFUSION", WARN, "patient_signature.time", "transfused_at", "C0028", mark=FROM_MEMORY)


# -- rescue ---------------------------------------------------------------------------------------------------------------


@relation(
    "RESCUE-MEASURES",
    WARN,
    "C0044",
    about=PRESENT,
    clause="C0044",
    mark=SINGLE_SOURCE,
    of=("rescue_started_at",),
    also=("rescue_measures",),
)
def a_rescue_is_made_of_measures(_: str, measures: str) -> Said | None:
    return None if measures else ()


@relation(
    "RESCUE-STAFF",
    NOTE,
    "C0003",
    about=PRESENT,
    clause="DE08.30.032.00",
    mark=SINGLE_SOURCE,
    of=("rescue_started_at",),
    also=("rescue_staff",),
)
def a_rescue_has_hands(_: str, staff: str) -> Said | None:
    return None if staff else ()


@relation(
    "RESCUE-LONG",
    NOTE,
    about=LIKELY,
    clause="DE06.00.221.00",
    mark=FROM_MEMORY,
    of=("rescue_started_at", "rescue_ended_at"),
)
def no_rescue_lasts_two_days(began: str, ended: str) -> Said | None:
    lasted = hours(began, ended)
    return (f"{lasted:.1f}",) if lasted > 48 else None


# -- stage summaries, TCM -------------------------------------------------------------------------------------------------


in_order("STAGE-ORDER", WARN, "encounter.admitted_at", "summary_time")
