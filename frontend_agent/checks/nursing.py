"""Nursing: C0017 to C0025. Habits, isolation, lists handed out and returned, care that fits the level."""

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    LIKELY,
    NOTE,
    PRESENT,
    SINGLE_SOURCE,
    WARN,
    Said,
    relation,
)
from frontend_agent.checks.tables import in_order
from frontend_agent.checks.values import number

# -- habits ---------------------------------------------------------------------------------------------------------------

NEVER, FORMER, NOW = "1", "2", "3"  # 2.16.156.10011.2.3.2.5


@relation(
    "HABIT-SMOKING",
    WARN,
    about=AGREES,
    clause="DE03.00.070.00, DE03.00.073.00",
    mark=FROM_MEMORY,
    of=("smokes", "smoking_status"),
)
def flag_and_status_of_smoking_agree(smokes: str, status: str) -> Said | None:
    return (status,) if (smokes == "true" and status == NEVER) or (smokes == "false" and status == NOW) else None


@relation(
    "HABIT-CIGARETTES",
    WARN,
    about=AGREES,
    clause="DE03.00.070.00, DE03.00.053.00",
    mark=FROM_MEMORY,
    of=("smokes", "daily_cigarettes"),
)
def who_does_not_smoke_smokes_none(smokes: str, daily: str) -> Said | None:
    return (daily,) if smokes == "false" and number(daily) > 0 else None


@relation(
    "HABIT-CIGARETTES-NONE", NOTE, about=PRESENT, clause="DE03.00.073.00, DE03.00.053.00", mark=FROM_MEMORY,
    of=("smoking_status",), also=("daily_cigarettes",),
)  # fmt: skip
def who_smokes_smokes_some(status: str, daily: str) -> Said | None:
    return () if status == NOW and (not daily or number(daily) == 0) else None


@relation(
    "HABIT-QUIT",
    NOTE,
    about=AGREES,
    clause="DE03.00.073.00, DE03.00.065.00",
    mark=FROM_MEMORY,
    of=("smoking_status", "days_since_smoking"),
)
def only_former_smokers_have_stopped(status: str, stopped: str) -> Said | None:
    return (status, stopped) if status in (NEVER, NOW) and number(stopped) > 0 else None


@relation(
    "HABIT-ALCOHOL",
    WARN,
    about=AGREES,
    clause="DE03.00.030.00, DE03.00.054.00",
    mark=FROM_MEMORY,
    of=("drinks", "daily_alcohol"),
)
def who_does_not_drink_drinks_none(drinks: str, daily: str) -> Said | None:
    return (daily,) if drinks == "false" and number(daily) > 0 else None


@relation(
    "HABIT-FREQUENCY",
    WARN,
    about=AGREES,
    clause="DE03.00.030.00, DE03.00.076.00",
    mark=FROM_MEMORY,
    of=("drinks", "drinking_frequency"),
)
def flag_and_frequency_of_drinking_agree(drinks: str, frequency: str) -> Said | None:
    """1 is 从不."""
    return (frequency,) if (drinks == "true") == (frequency == "1") else None


# -- care -----------------------------------------------------------------------------------------------------------------


@relation(
    "CARE-ISOLATION", WARN, about=PRESENT, clause="DE06.00.201.00, DE06.00.202.00", mark=FROM_MEMORY, of=("isolation",),
    also=("isolation_type",),
)  # fmt: skip
def isolation_is_of_a_type(isolated: str, kind: str) -> Said | None:
    return () if isolated == "true" and not kind else None


@relation(
    "CARE-ISOLATION-DENIED", WARN, about=AGREES, clause="DE06.00.201.00, DE06.00.202.00", mark=FROM_MEMORY,
    of=("isolation", "isolation_type"),
)  # fmt: skip
def without_isolation_there_is_no_type(isolated: str, kind: str) -> Said | None:
    return (kind,) if isolated == "false" and kind else None


@relation(
    "CARE-CHECKLIST", NOTE, about=AGREES, clause="DE06.00.204.00, DE06.00.338.00", mark=FROM_MEMORY,
    of=("safety_checklist_returned",), also=("safety_checklist_sent",),
)  # fmt: skip
def a_checklist_returned_was_handed_out(returned: str, sent: str) -> Said | None:
    return () if returned == "true" and sent != "true" else None


@relation(
    "CARE-RISK", NOTE, about=AGREES, clause="DE06.00.204.00, DE06.00.338.00", mark=FROM_MEMORY,
    of=("risk_assessment_returned",), also=("risk_assessment_sent",),
)  # fmt: skip
def a_risk_assessment_returned_was_handed_out(returned: str, sent: str) -> Said | None:
    return () if returned == "true" and sent != "true" else None


@relation("CARE-LEVEL", WARN, "C0018", about=AGREES, clause="CV06.00.220", mark=FROM_MEMORY, of=("nursing_level",))
def the_critically_ill_are_nursed_closely(level: str) -> Said | None:
    """1 特级, 2 一级; 3 and 4 do not go with 病危 or 病重."""
    return (level,) if level in ("3", "4") else None


@relation(
    "CARE-NOTIFIED", WARN, about=PRESENT, clause="DE06.00.280.00, DE06.00.279.00", mark=FROM_MEMORY, of=("doctor_notified",),
    also=("doctor_notified_at",),
)  # fmt: skip
def a_doctor_was_told_at_a_time(told: str, when: str) -> Said | None:
    return () if told == "true" and not when else None


@relation(
    "CARE-NOTIFIED-DENIED", NOTE, about=AGREES, clause="DE06.00.280.00, DE06.00.279.00", mark=FROM_MEMORY,
    of=("doctor_notified", "doctor_notified_at"),
)  # fmt: skip
def who_was_not_told_has_no_time_of_it(told: str, when: str) -> Said | None:
    return (when,) if told == "false" and when else None


in_order("CARE-ASSESSED", WARN, "encounter.time", "assessed_at")
in_order("CARE-NOTIFIED-ORDER", WARN, "encounter.time", "doctor_notified_at")


@relation(
    "CARE-APGAR", WARN, "C0023", about=LIKELY, clause="DE05.10.001.00", mark=FROM_MEMORY, of=("patient.age", "apgar")
)
def only_newborns_are_scored(age: str, apgar: str) -> Said | None:
    return (age,) if number(age) >= 1 and apgar else None


# -- discharge assessment -------------------------------------------------------------------------------------------------


@relation(
    "CARE-DEAD-GUIDANCE", WARN, "C0025", about=AGREES, clause="CV06.00.226", mark=FROM_MEMORY,
    of=("discharge_mode", "revisit_guidance"),
)  # fmt: skip
def the_dead_are_not_asked_back(mode: str, guidance: str) -> Said | None:
    return () if mode == "5" and guidance.strip() not in ("无", "-", "/") else None


# -- high-value consumables -----------------------------------------------------------------------------------------------


@relation(
    "MATERIAL-UNIT", NOTE, about=PRESENT, clause="DE06.00.241.00, DE08.50.034.00", mark=SINGLE_SOURCE, rows=("materials", ""),
    of=("this.quantity",), also=("this.unit",),
)  # fmt: skip
def a_quantity_has_a_unit(_: str, unit: str) -> Said | None:
    return None if unit else ()


@relation(
    "MATERIAL-IMPLANT", WARN, about=PRESENT, clause="DE08.50.058.00", mark=FROM_MEMORY, rows=("materials",),
    of=("this.implant",), also=("this.code",),
)  # fmt: skip
def an_implant_can_be_traced(implant: str, code: str) -> Said | None:
    return () if implant == "true" and not code else None


@relation(
    "MATERIAL-QUANTITY", WARN, about=LIKELY, clause="DE06.00.241.00", mark=FROM_MEMORY, rows=("materials",),
    of=("this.implant", "this.quantity"),
)  # fmt: skip
def implants_are_counted_whole(implant: str, quantity: str) -> Said | None:
    used = number(quantity)
    return (quantity,) if implant == "true" and (used <= 0 or used % 1 > 0 or used > 50) else None
