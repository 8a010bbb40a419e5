"""Medicines: prescriptions of western and Chinese drugs (C0004, C0005) and drugs given in treatment (C0008, C0021)."""

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    LIKELY,
    NOTE,
    PRESENT,
    SINGLE_SOURCE,
    SUM,
    VERIFIED,
    WARN,
    Said,
    relation,
)
from frontend_agent.checks.tables import in_order
from frontend_agent.checks.values import number

DRUGS = ("drugs",)
_BY_MOUTH = ("1", "01")  # CV06.00.102 口服
_INJECTED = ("4", "401", "402", "403", "404")  # 注射
_BOTTLES = ("注射", "针剂", "粉针", "输液")


@relation(
    "RX-UNIT",
    WARN,
    "C0008",
    "C0011",
    about=PRESENT,
    clause="DE08.50.024.00",
    mark=SINGLE_SOURCE,
    rows=("drugs",),
    of=("this.dose",),
    also=("this.dose_unit",),
)
def a_dose_has_a_unit(_: str, unit: str) -> Said | None:
    return None if unit else ()


@relation(
    "RX-DOSE-TOTAL",
    WARN,
    "C0004",
    about=SUM,
    clause="DE06.00.135.00",
    mark=FROM_MEMORY,
    rows=DRUGS,
    of=("this.dose_unit", "this.total_unit", "this.dose", "this.total_dose"),
)
def the_whole_is_more_than_one_dose(unit: str, of_total: str, dose: str, total: str) -> Said | None:
    """In one unit, what is given out is at least one dose."""
    return (total, dose) if unit == of_total and number(total) < number(dose) else None


@relation("RX-TOTAL-DAYS", NOTE, "C0004", about=SUM, clause="DE06.00.135.00, DE06.00.294.00", mark=FROM_MEMORY, rows=DRUGS,
          of=("valid_days", "this.dose_unit", "this.total_unit", "this.frequency", "this.dose", "this.total_dose"))  # fmt: skip
def the_whole_does_not_last_for_months(
    valid: str, unit: str, of_total: str, frequency: str, dose: str, total: str
) -> Said | None:
    """Dose × times a day, in one unit, against what is given out: more than a hundred days is a mistake of units."""
    daily = number(dose) * number(frequency)
    lasts = number(total) / daily if unit == of_total and daily > 0 else 0.0
    return (f"{lasts:.0f}", valid) if lasts > 100 else None


@relation(
    "RX-EMERGENCY-DAYS",
    NOTE,
    "C0004",
    "C0005",
    about=LIKELY,
    clause="处方管理办法 19",
    mark=FROM_MEMORY,
    of=("fact.patient_class", "valid_days"),
)
def an_emergency_prescription_is_short(kind: str, valid: str) -> Said | None:
    """Three days; seven are let pass, for holidays and distance."""
    return (valid,) if kind == "emergency" and number(valid) > 7 else None


# What the words of a frequency mean, in times a day (the slot is a number: rateQuantity).
_WORDS = {
    "qd": 1, "每日一次": 1, "每天一次": 1, "1日1次": 1, "一日一次": 1, "bid": 2, "每日两次": 2, "每日二次": 2, "每天两次": 2,
    "1日2次": 2, "一日两次": 2, "一日二次": 2, "tid": 3, "每日三次": 3, "每天三次": 3, "1日3次": 3, "一日三次": 3, "qid": 4,
    "每日四次": 4, "每天四次": 4, "1日4次": 4, "一日四次": 4,
}  # fmt: skip


@relation(
    "RX-FREQUENCY",
    WARN,
    "C0004",
    about=AGREES,
    clause="R-VA-1, sections/README.md: rateQuantity",
    mark=SINGLE_SOURCE,
    rows=DRUGS,
    of=("this.frequency", "this.frequency_text"),
)
def number_and_words_say_one_frequency(times: str, words: str) -> Said | None:
    """The words sent with a number say the same."""
    meant = _WORDS.get(words.strip().lower())
    return (times, str(meant)) if meant is not None and number(times) != meant and number(times) >= 0 else None


@relation(
    "RX-ROUTE-FORM",
    NOTE,
    "C0004",
    about=AGREES,
    clause="CV06.00.102, DE08.50.043.00",
    mark=FROM_MEMORY,
    rows=DRUGS,
    of=("this.name", "this.route"),
)
def injections_are_not_swallowed(name: str, route: str) -> Said | None:
    return (route,) if route in _BY_MOUTH and any(word in name for word in _BOTTLES) else None


_TABLETS = ("片", "胶囊", "颗粒", "口服液")


@relation(
    "RX-FORM-ROUTE",
    WARN,
    "C0004",
    about=AGREES,
    clause="CV06.00.102, DE08.50.043.00",
    mark=FROM_MEMORY,
    rows=DRUGS,
    of=("this.name", "this.route"),
)
def tablets_are_not_injected(name: str, route: str) -> Said | None:
    return (route,) if route in _INJECTED and name.endswith(_TABLETS) else None


# -- prescriptions of Chinese drugs ---------------------------------------------------------------------------------------

in_order("RX-TCM-REVIEW", WARN, "prescriber.time", "review_pharmacist.time")
in_order("RX-TCM-DISPENSED", WARN, "review_pharmacist.time", "dispensing_pharmacist.time", "C0005")


@relation(
    "RX-TCM-DOSES",
    WARN,
    about=PRESENT,
    clause="DE08.50.049.00, DE08.50.050.00",
    mark=SINGLE_SOURCE,
    of=("tcm.prescription",),
    also=("tcm.doses",),
)
def a_decoction_has_a_number_of_doses(_: str, doses: str) -> Said | None:
    return None if doses else ()


@relation(
    "RX-TCM-DOSE-RANGE",
    NOTE,
    about=LIKELY,
    clause="DE08.50.050.00",
    mark=FROM_MEMORY,
    of=("tcm.prescription", "tcm.doses"),
)
def a_decoction_is_for_some_weeks(_: str, doses: str) -> Said | None:
    count = number(doses)
    return (doses,) if count <= 0 or count > 60 else None


@relation(
    "RX-TCM-DECOCTION",
    NOTE,
    about=PRESENT,
    clause="DE08.50.049.00, DE08.50.047.00",
    mark=SINGLE_SOURCE,
    of=("tcm.prescription",),
    also=("tcm.decoction",),
)
def herbs_are_decocted_somehow(_: str, way: str) -> Said | None:
    return None if way else ()


@relation(
    "RX-TCM-USAGE",
    NOTE,
    about=PRESENT,
    clause="DE08.50.049.00, DE06.00.136.00",
    mark=SINGLE_SOURCE,
    of=("tcm.prescription",),
    also=("tcm.usage",),
)
def herbs_are_taken_somehow(_: str, usage: str) -> Said | None:
    return None if usage else ()


@relation(
    "RX-TCM-TYPE",
    WARN,
    about=AGREES,
    clause="2.16.156.10011.2.3.2.40",
    mark=VERIFIED,
    of=("tcm.doses", "prescription_type"),
)
def only_herbs_come_in_doses(doses: str, kind: str) -> Said | None:
    """1 is 中药饮片处方, 2 中成药处方: 剂 are of herbs."""
    return (kind, doses) if kind == "2" and number(doses) > 0 else None


@relation(
    "RX-TCM-TYPE-HERBS",
    WARN,
    about=PRESENT,
    clause="2.16.156.10011.2.3.2.40",
    mark=VERIFIED,
    of=("prescription_type",),
    also=("tcm.prescription",),
)
def a_prescription_of_herbs_has_herbs(kind: str, herbs: str) -> Said | None:
    return (kind,) if kind == "1" and not herbs else None


@relation(
    "RX-TCM-VALID",
    NOTE,
    about=LIKELY,
    clause="DE08.50.050.00, DE06.00.294.00",
    mark=FROM_MEMORY,
    of=("tcm.doses", "valid_days"),
)
def doses_and_days_go_together(doses: str, valid: str) -> Said | None:
    """About one dose a day: less than one in three days, or more than three a day, is one number in the other's place."""
    count, days_ = number(doses), number(valid)
    return (doses, valid) if days_ > 0 and count > 0 and not days_ / 3 <= count <= days_ * 3 and days_ > 3 else None


# -- drugs given in treatment ---------------------------------------------------------------------------------------------

_TREATMENT = ("C0008", "C0011", "C0021")


@relation(
    "RX-GIVEN-TOTAL",
    NOTE,
    "C0008",
    "C0011",
    "C0021",
    about=SUM,
    clause="DE06.00.135.00",
    mark=FROM_MEMORY,
    rows=DRUGS,
    of=("this.dose", "this.total_dose"),
)
def the_whole_is_a_dose_at_least(dose: str, total: str) -> Said | None:
    return (total, dose) if 0 < number(total) < number(dose) else None
