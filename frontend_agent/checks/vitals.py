"""Vital signs and measures of the body, wherever they stand: in their range, and in proportion to each other."""

from frontend_agent.checks.registry import AGREES, FROM_MEMORY, HOLD, LIKELY, NOTE, WARN, Said, relation, rule
from frontend_agent.checks.selectors import element, named
from frontend_agent.checks.tables import in_range
from frontend_agent.checks.values import number
from frontend_agent.model import Record

_SIDES = ("", "right", "left", "postpartum")

in_range("VS-TEMPERATURE", WARN, 34, 43, element("DE04.10.186.00"))
in_range("VS-PULSE", WARN, 20, 300, element("DE04.10.118.00", "DE04.10.206.00"))
in_range("VS-RESPIRATION", WARN, 4, 120, element("DE04.10.081.00", "DE04.10.082.00"))
in_range("VS-SYSTOLIC", WARN, 40, 300, element("DE04.10.174.00"))
in_range("VS-DIASTOLIC", WARN, 20, 200, element("DE04.10.176.00"))
in_range("VS-SATURATION", WARN, 30, 100, element("DE04.50.149.00"))
in_range("VS-GLUCOSE", WARN, 0.5, 60, named("blood_glucose", "fasting_glucose"))
in_range("VS-HEIGHT", WARN, 20, 250, element("DE04.10.167.00"))
in_range("VS-WEIGHT", WARN, 0.3, 300, named("weight", "weight_before_pregnancy", "weight_before_delivery"))


@relation("VS-PRESSURE", HOLD, about=AGREES, clause="R-VA-7", mark=FROM_MEMORY, of=("systolic", "diastolic"))
def systolic_is_above_diastolic(systolic: str, diastolic: str) -> Said | None:
    """The two columns were exchanged."""
    return (diastolic, systolic) if number(diastolic) >= number(systolic) else None


@relation("VS-PULSE-PRESSURE", NOTE, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, of=("systolic", "diastolic"))
def the_pressures_lie_apart(systolic: str, diastolic: str) -> Said | None:
    between = number(systolic) - number(diastolic)
    return (systolic, diastolic) if 0 < between < 10 or between > 150 else None


@relation(
    "VS-DEFICIT",
    NOTE,
    about=LIKELY,
    clause="DE04.10.118.00, DE04.10.206.00",
    mark=FROM_MEMORY,
    of=("heart_rate", "pulse"),
)
def no_pulse_without_a_beat(heart: str, pulse: str) -> Said | None:
    """The pulse may miss beats of the heart, never have more."""
    return (pulse, heart) if number(pulse) > number(heart) + 10 else None


@relation(
    "VS-FEVER-PULSE", NOTE, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, of=("temperature", "pulse", "respiration")
)
def signs_were_not_shifted(temperature: str, pulse: str, respiration: str) -> Said | None:
    """Breaths that outnumber the heart's beats: two columns exchanged."""
    return (respiration, pulse) if number(respiration) >= number(pulse) > 0 and number(temperature) > 0 else None


@relation("VS-WEIGHT-AGE", WARN, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, of=("patient.age", "weight"))
def grown_ups_weigh_more_than_infants(age: str, weight: str) -> Said | None:
    years, kilograms = number(age), number(weight)
    wrong = (
        (years >= 15 and kilograms < 20)
        or (1 <= years < 10 and (kilograms < 4 or kilograms > 90))
        or (years < 1 and kilograms > 20)
    )
    return (weight, age) if wrong else None


@relation("VS-HEIGHT-AGE", WARN, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, of=("patient.age", "height"))
def grown_ups_are_taller_than_infants(age: str, height: str) -> Said | None:
    years, centimetres = number(age), number(height)
    wrong = (
        (years >= 15 and centimetres < 90)
        or (years < 1 and centimetres > 100)
        or (1 <= years < 10 and centimetres > 190)
    )
    return (height, age) if wrong else None


@relation("VS-BMI", WARN, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, of=("height", "weight"))
def weight_is_in_proportion(height: str, weight: str) -> Said | None:
    """8 to 80 kg/m²: outside of it metres stand for centimetres, jin for kilograms, or one for the other."""
    tall = number(height) / 100
    index = number(weight) / tall**2 if tall > 0 else 20
    return (weight, height, f"{index:.1f}") if index < 8 or index > 80 else None


@relation("VS-BMI-SUM", WARN, about=AGREES, clause="DE05.10.075.00", mark=FROM_MEMORY, of=("height", "weight", "bmi"))
def the_index_is_computed_rightly(height: str, weight: str, bmi: str) -> Said | None:
    tall = number(height) / 100
    index = number(weight) / tall**2 if tall > 0 else number(bmi)
    return (bmi, f"{index:.1f}") if abs(index - number(bmi)) > 1 else None


@rule(
    "VS-WEIGHT-NEWBORN",
    WARN,
    about=LIKELY,
    clause="R-VA-7",
    mark=FROM_MEMORY,
    needs=("fact.newborn",),
    each=named("weight"),
)
def newborns_are_weighed_in_the_unit_of_the_slot(weight: str, record: Record) -> Said | None:
    """3200 or 25 kilograms of a newborn: grams, or the mother's."""
    return (
        (weight,)
        if record["fact.newborn"] == "true" and not 0.3 <= number(weight) <= 8 and number(weight) >= 0
        else None
    )
