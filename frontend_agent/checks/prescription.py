"""C0004 西药处方: quantities after netting, and who signed when."""

from collections.abc import Iterator

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    HOLD,
    LIKELY,
    NOTE,
    ONCE,
    ORDER,
    SINGLE_SOURCE,
    VERIFIED,
    WARN,
    Problem,
    rule,
)
from frontend_agent.checks.values import before
from frontend_agent.model import Record

_PHARMACISTS = ("review_pharmacist", "dispensing_pharmacist", "checking_pharmacist", "issuing_pharmacist")
_LONGEST = 90  # days


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None  # not a number: DE-FORMAT says so


@rule(
    "RX-QUANTITY",
    HOLD,
    "C0004",
    about=LIKELY,
    clause="Corrections after a domain review: netting",
    mark=VERIFIED,
    needs=("drugs",),
)
def no_quantity_is_left_at_nothing(record: Record) -> Iterator[Problem]:
    """Negative lines are normal reversals, netted against their original: what remains is more than nothing."""
    for at, row in enumerate(record["drugs"]):
        for key in ("total_dose", "dose"):
            quantity = _number(row.get(key))
            if quantity is not None and quantity <= 0:
                yield f"drugs[{at}].{key}", row[key]


@rule(
    "RX-AMOUNT",
    HOLD,
    "C0004",
    about=LIKELY,
    clause="Corrections after a domain review: netting",
    mark=VERIFIED,
    needs=("amount",),
)
def no_amount_is_negative(record: Record) -> Problem | None:
    amount = _number(record["amount"])
    if amount is not None and amount < 0:
        return "amount", record["amount"]
    return None


@rule(
    "RX-DATE", WARN, "C0004", about=AGREES, clause="R-CN-1", mark=SINGLE_SOURCE, needs=("prescribed_on", "author.time")
)
def both_dates_name_one_day(record: Record) -> Problem | None:
    """处方开立日期 is what author/time says."""
    if record["prescribed_on"][:8] != record["author.time"][:8]:
        return "prescribed_on", record["prescribed_on"], record["author.time"][:8]
    return None


@rule("RX-SIGNATURES", WARN, "C0004", about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, needs=("author.time",))
def pharmacists_sign_after_the_doctor(record: Record) -> Iterator[Problem]:
    """Event time <= document time: a prescription is reviewed, dispensed and issued after it was written."""
    written = record["author.time"]
    for pharmacist in _PHARMACISTS:
        signed = record.get(f"{pharmacist}.time")
        if signed is not None and before(signed, written):
            yield f"{pharmacist}.time", signed, written


@rule("RX-SAME-PERSON", NOTE, "C0004", about=LIKELY, clause="four pharmacists of C0004", mark=FROM_MEMORY)
def reviewer_does_not_dispense(record: Record) -> Problem | None:
    """审核 and 调配 by one person."""
    reviewer = record.get("review_pharmacist.id")
    if reviewer is not None and reviewer == record.get("dispensing_pharmacist.id"):
        return ("dispensing_pharmacist.id",)
    return None


@rule("RX-DAYS", NOTE, "C0004", about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, needs=("valid_days",))
def validity_is_plausible(record: Record) -> Problem | None:
    days = _number(record["valid_days"])
    if days is not None and not 0 < days <= _LONGEST:
        return "valid_days", str(_LONGEST)
    return None


@rule("RX-DUPLICATE", NOTE, "C0004", about=ONCE, clause="R-UN-2", mark=FROM_MEMORY, needs=("drugs",))
def no_drug_twice(record: Record) -> Iterator[Problem]:
    """The same drug, dose and way twice: a join that multiplies rows, mostly."""
    seen: dict[tuple[str | None, ...], int] = {}
    for at, row in enumerate(record["drugs"]):
        same = (row.get("code") or row.get("name"), row.get("dose"), row.get("route"), row.get("total_dose"))
        if same[0] is not None and seen.setdefault(same, at) != at:
            yield f"drugs[{at}].name", str(seen[same] + 1)
