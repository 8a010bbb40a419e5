"""Inpatient orders (C0052) and those of observation (C0003): given, reviewed, checked, performed, stopped."""

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    LIKELY,
    NOTE,
    ORDER,
    PRESENT,
    SINGLE_SOURCE,
    WARN,
    Said,
    relation,
)
from frontend_agent.checks.tables import in_order
from frontend_agent.checks.values import before, days

ORDERS = ("orders",)
ONCE = "2"  # 2.16.156.10011.2.3.2.58; 1 is long-term
_KINDS = ("C0003", "C0052")  # C0002 has rules of its own

in_order("ORD-PLAN", WARN, "this.start", "this.end", *_KINDS, rows=ORDERS)
in_order("ORD-REVIEWED", WARN, "this.ordered_at", "this.reviewed_on", *_KINDS, rows=ORDERS)
in_order("ORD-CHECKED", WARN, "this.ordered_at", "this.checked_at", rows=ORDERS)
in_order("ORD-PERFORMED", WARN, "this.ordered_at", "this.performed_at", *_KINDS, rows=ORDERS)
in_order("ORD-STOPPED", WARN, "this.ordered_at", "this.stopped_at", rows=ORDERS)
in_order("ORD-CANCELLED", WARN, "this.ordered_at", "this.cancelled_at", *_KINDS, rows=ORDERS)
in_order("ORD-CHECK-FIRST", NOTE, "this.checked_at", "this.performed_at", rows=ORDERS, mark=FROM_MEMORY)
in_order("ORD-START", NOTE, "this.start", "this.performed_at", *_KINDS, rows=ORDERS, mark=FROM_MEMORY)


@relation(
    "ORD-STAY",
    WARN,
    "C0052",
    about=ORDER,
    clause="R-CN-1",
    mark=SINGLE_SOURCE,
    rows=ORDERS,
    of=("encounter.time", "this.ordered_at"),
)
def orders_are_given_in_the_stay(admitted: str, ordered: str) -> Said | None:
    return (ordered, admitted) if before(ordered, admitted[:8]) else None


@relation(
    "ORD-CANCELLED-DONE",
    WARN,
    about=AGREES,
    clause="DE06.00.234.00, DE06.00.222.00",
    mark=FROM_MEMORY,
    rows=ORDERS,
    of=("this.cancelled_at", "this.performed_at"),
)
def what_was_cancelled_was_not_done_after(cancelled: str, performed: str) -> Said | None:
    return (performed, cancelled) if before(cancelled, performed) else None


@relation(
    "ORD-STOPPED-DONE",
    NOTE,
    about=AGREES,
    clause="DE06.00.218.00, DE06.00.222.00",
    mark=FROM_MEMORY,
    rows=ORDERS,
    of=("this.stopped_at", "this.performed_at"),
)
def what_was_stopped_was_not_done_after(stopped: str, performed: str) -> Said | None:
    return (performed, stopped) if before(stopped, performed) else None


def _who_did(id: str, when: str, who: str) -> None:
    @relation(
        id,
        NOTE,
        about=PRESENT,
        clause="R-CO-2",
        mark=SINGLE_SOURCE,
        rows=ORDERS,
        of=(f"this.{when}",),
        also=(f"this.{who}",),
    )
    def is_named(_: str, name: str) -> tuple[str, ...] | None:
        return None if name else ()


_who_did("ORD-STOPPER", "stopped_at", "stopper_name")
_who_did("ORD-CHECKER", "checked_at", "checking_nurse_name")


@relation(
    "ORD-PERFORMER",
    NOTE,
    *_KINDS,
    about=PRESENT,
    clause="R-CO-2",
    mark=SINGLE_SOURCE,
    rows=ORDERS,
    of=("this.performed_at",),
    also=("this.performer_name",),
)
def who_performed_an_order_is_named(_: str, name: str) -> Said | None:
    return None if name else ()


@relation(
    "ORD-CANCELLER",
    NOTE,
    *_KINDS,
    about=PRESENT,
    clause="R-CO-2",
    mark=SINGLE_SOURCE,
    rows=ORDERS,
    of=("this.cancelled_at",),
    also=("this.canceller_name",),
)
def who_cancelled_an_order_is_named(_: str, name: str) -> Said | None:
    return None if name else ()


@relation(
    "ORD-STATE-CANCELLED",
    NOTE,
    *_KINDS,
    about=AGREES,
    clause="DE06.00.290.00, DE06.00.234.00",
    mark=FROM_MEMORY,
    rows=ORDERS,
    of=("this.cancelled_at", "this.state"),
)
def a_cancelled_order_is_not_done(_: str, state: str) -> Said | None:
    return () if state in ("完成", "已完成", "已执行", "执行") else None


@relation(
    "ORD-STATE-DONE",
    NOTE,
    *_KINDS,
    about=PRESENT,
    clause="DE06.00.290.00, DE06.00.222.00",
    mark=FROM_MEMORY,
    rows=ORDERS,
    of=("this.state",),
    also=("this.performed_at",),
)
def a_done_order_was_done_at_a_time(state: str, performed: str) -> Said | None:
    return () if state in ("完成", "已完成", "已执行") and not performed else None


@relation(
    "ORD-SELF-CHECKED",
    NOTE,
    about=LIKELY,
    clause="C0052",
    mark=FROM_MEMORY,
    rows=ORDERS,
    of=("this.orderer_id", "this.checking_nurse_id"),
)
def a_nurse_checks_a_doctors_order(doctor: str, nurse: str) -> Said | None:
    return () if doctor == nurse else None


@relation(
    "ORD-SELF-REVIEWED",
    NOTE,
    "C0052",
    about=LIKELY,
    clause="C0052",
    mark=FROM_MEMORY,
    rows=ORDERS,
    of=("this.orderer_id", "this.reviewer_id"),
)
def nobody_reviews_their_own_order(doctor: str, reviewer: str) -> Said | None:
    return () if doctor == reviewer else None


@relation(
    "ORD-ONCE-LONG",
    NOTE,
    about=LIKELY,
    clause="2.16.156.10011.2.3.2.58",
    mark=FROM_MEMORY,
    rows=ORDERS,
    of=("order.category", "this.start", "this.end"),
)
def what_is_done_once_does_not_last_weeks(category: str, start: str, end: str) -> Said | None:
    """临时医嘱 over more than a week: a long-term order under the wrong category."""
    lasts = days(start, end)
    return (f"{lasts:g}",) if category == ONCE and lasts > 7 else None


@relation(
    "ORD-ONCE-STOPPED",
    NOTE,
    about=AGREES,
    clause="2.16.156.10011.2.3.2.58",
    mark=FROM_MEMORY,
    rows=ORDERS,
    of=("order.category", "this.stopped_at"),
)
def what_is_done_once_is_not_stopped(category: str, stopped: str) -> Said | None:
    return (stopped,) if category == ONCE and stopped else None


@relation(
    "ORD-REQUEST",
    NOTE,
    "C0052",
    about=PRESENT,
    clause="R-BD-3",
    mark=SINGLE_SOURCE,
    rows=ORDERS,
    of=("this.type",),
    also=("this.request_number",),
)
def an_examination_is_requested(kind: str, request: str) -> Said | None:
    """02 检查 and 03 检验: the report refers to the request's number."""
    return (kind,) if kind in ("02", "03") and not request else None
