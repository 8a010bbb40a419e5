"""Birth: C0014 待产, C0015 阴道分娩, C0016 剖宫产. A labour has an order, and its parts add up."""

from frontend_agent.checks.identity import NUMBER, is_resident_number
from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    LIKELY,
    NOTE,
    ORDER,
    PRESENT,
    SINGLE_SOURCE,
    SUM,
    WARN,
    Said,
    relation,
)
from frontend_agent.checks.selectors import element, named
from frontend_agent.checks.tables import in_order, in_range
from frontend_agent.checks.values import before, days, minutes, number

BIRTHS = ("C0014", "C0015", "C0016")

# -- the mother -----------------------------------------------------------------------------------------------------------


@relation("OB-SEX", WARN, *BIRTHS, about=AGREES, clause="R-CN-4, R-ID-3", mark=FROM_MEMORY, of=(NUMBER,))
def only_women_give_birth(number_: str) -> Said | None:
    """These kinds have no element for the sex: the identity number has one."""
    return () if is_resident_number(number_) and int(number_[16]) % 2 else None


@relation("OB-AGE", WARN, *BIRTHS, about=LIKELY, clause="R-CN-4", mark=FROM_MEMORY, of=("patient.age",))
def mothers_have_an_age(age: str) -> Said | None:
    years = number(age)
    return (age,) if years < 12 or years > 60 else None


@relation(
    "OB-PARITY",
    WARN,
    about=AGREES,
    clause="DE04.01.108.00, DE02.10.002.00",
    mark=FROM_MEMORY,
    of=("gravidity", "parity"),
)
def births_do_not_exceed_pregnancies(gravidity: str, parity: str) -> Said | None:
    return (parity, gravidity) if number(parity) > number(gravidity) else None


@relation(
    "OB-DUE-DATE",
    WARN,
    about=SUM,
    clause="DE02.10.051.00, DE05.10.098.00",
    mark=FROM_MEMORY,
    of=("last_menstrual_period", "due_date"),
)
def the_due_date_is_280_days_on(last: str, due: str) -> Said | None:
    """Naegele's rule, and two weeks for long cycles and early ultrasound."""
    weeks = days(last, due)
    return (due, f"{weeks:g}") if abs(weeks - 280) > 14 else None


@relation(
    "OB-WEEKS",
    WARN,
    about=LIKELY,
    clause="DE02.10.051.00",
    mark=FROM_MEMORY,
    of=("last_menstrual_period", "awaiting_labour_at"),
)
def labour_is_awaited_at_term(last: str, awaited: str) -> Said | None:
    """20 to 45 weeks."""
    weeks = days(last, awaited) / 7
    return (f"{weeks:.1f}",) if not 20 <= weeks <= 45 and weeks == weeks else None


@relation(
    "OB-BIRTH-WEEKS", WARN, about=LIKELY, clause="DE05.10.098.00", mark=FROM_MEMORY, of=("due_date", "delivered_at")
)
def children_are_born_near_the_due_date(due: str, born: str) -> Said | None:
    """Between 20 and 45 weeks: 140 days before the due date to 35 after."""
    late = days(due, born)
    return (born, due, f"{late:g}") if late < -140 or late > 35 else None


@relation(
    "OB-WEIGHT-GAIN", NOTE, about=LIKELY, clause="DE04.10.188.00", mark=FROM_MEMORY,
    of=("weight_before_pregnancy", "weight_before_delivery"),
)  # fmt: skip
def pregnancy_adds_some_weight(before_: str, after: str) -> Said | None:
    gained = number(after) - number(before_)
    return (f"{gained:.1f}",) if gained < -15 or gained > 50 else None


@relation(
    "OB-ANTENATAL", NOTE, about=AGREES, clause="DE04.10.013.00, DE05.10.161.00", mark=FROM_MEMORY,
    of=("antenatal_care", "antenatal_abnormalities"),
)  # fmt: skip
def who_was_not_examined_has_no_finding(examined: str, found: str) -> Said | None:
    return () if examined == "false" and not found.startswith(("无", "未")) else None


@relation(
    "OB-HISTORY", NOTE, about=AGREES, clause="DE04.01.108.00, DE02.10.098.00", mark=FROM_MEMORY,
    of=("gravidity", "parity", "obstetric_history"),
)  # fmt: skip
def the_first_pregnancy_has_no_earlier_one(gravidity: str, parity: str, history: str) -> Said | None:
    """G1 and a history of births: one of them is wrong."""
    told = any(word in history for word in ("顺产", "剖宫产", "流产", "足月产"))
    denied = any(word in history for word in ("无", "否认", "未"))
    return (gravidity, parity) if number(gravidity) == 1 and told and not denied else None


# -- labour ---------------------------------------------------------------------------------------------------------------

in_order("OB-ONSET", WARN, "labour_began_at", "fully_dilated_at", mark=FROM_MEMORY)
in_order("OB-DILATED", WARN, "fully_dilated_at", "delivered_at", mark=FROM_MEMORY)
in_order("OB-PLACENTA", WARN, "delivered_at", "placenta_delivered_at", mark=FROM_MEMORY)
in_order("OB-MEMBRANES", WARN, "membranes_ruptured_at", "delivered_at", mark=FROM_MEMORY)
in_order("OB-OBSERVED", WARN, "this.placenta_delivered_at", "this.postpartum_observed_at", rows=("",), mark=FROM_MEMORY)
in_order("OB-RECORD", WARN, "delivered_at", "author.time", "C0015")
in_order("OB-LABOUR-NOTE", WARN, "awaiting_labour_at", "labour_recorded_at", mark=FROM_MEMORY)


def _stage(id: str, begins: str, ends: str, stated: str, de: str) -> None:
    """A stage lasts from one moment to the other; five minutes are let pass."""

    @relation(id, WARN, about=SUM, clause=de, mark=FROM_MEMORY, of=(begins, ends, stated))
    def lasts_as_long(first: str, second: str, said: str) -> tuple[str, str] | None:
        lasted = minutes(first, second)
        return (said, f"{lasted:.0f}") if lasted >= 0 and abs(lasted - number(said)) > 5 else None


_stage("OB-STAGE-1", "labour_began_at", "fully_dilated_at", "labour_first_stage_minutes", "DE06.00.021.00")
_stage("OB-STAGE-2", "fully_dilated_at", "delivered_at", "labour_second_stage_minutes", "DE06.00.019.00")
_stage("OB-STAGE-3", "delivered_at", "placenta_delivered_at", "labour_third_stage_minutes", "DE06.00.020.00")


@relation(
    "OB-STAGES", WARN, about=SUM, clause="DE04.10.236.00", mark=FROM_MEMORY,
    of=("labour_first_stage_minutes", "labour_second_stage_minutes", "labour_third_stage_minutes", "labour_minutes"),
)  # fmt: skip
def the_stages_add_up(first: str, second: str, third: str, total: str) -> Said | None:
    added = number(first) + number(second) + number(third)
    return (total, f"{added:g}") if abs(added - number(total)) > 1 else None


@relation(
    "OB-ASSISTED", NOTE, about=PRESENT, clause="DE06.00.311.00, DE06.00.312.00", mark=FROM_MEMORY, of=("assisted_delivery",),
    also=("assistance_mode",),
)  # fmt: skip
def help_at_birth_is_named(assisted: str, mode: str) -> Said | None:
    return () if assisted == "true" and not mode else None


@relation(
    "OB-EPISIOTOMY", NOTE, about=PRESENT, clause="DE05.10.165.00, DE04.10.252.00", mark=FROM_MEMORY, of=("episiotomy",),
    also=("episiotomy_site",),
)  # fmt: skip
def an_episiotomy_has_a_site(cut: str, site: str) -> Said | None:
    return () if cut == "true" and not site else None


@relation(
    "OB-STITCHES", WARN, about=AGREES, clause="DE05.10.165.00, DE06.00.011.00", mark=FROM_MEMORY,
    of=("episiotomy",), also=("perineal_stitches",),
)  # fmt: skip
def what_was_cut_is_sewn(cut: str, stitches: str) -> Said | None:
    return (stitches or "0",) if cut == "true" and (not stitches or number(stitches) == 0) else None


@relation(
    "OB-STITCHES-UNCUT", WARN, about=AGREES, clause="DE05.10.165.00, DE05.01.003.00, DE06.00.011.00", mark=FROM_MEMORY,
    of=("episiotomy", "perineal_laceration_degree", "perineal_stitches"),
)  # fmt: skip
def nothing_is_sewn_that_is_whole(cut: str, torn: str, stitches: str) -> Said | None:
    """Neither cut nor torn (1 is 无裂伤), and stitches all the same."""
    return (stitches,) if cut == "false" and torn == "1" and number(stitches) > 0 else None


@relation(
    "OB-HAEMATOMA", NOTE, about=PRESENT, clause="DE04.10.253.00, DE04.10.254.00", mark=FROM_MEMORY,
    of=("perineal_haematoma",), also=("perineal_haematoma_size",),
)  # fmt: skip
def a_haematoma_has_a_size(bruised: str, size: str) -> Said | None:
    return () if bruised == "true" and not size else None


@relation(
    "OB-CORD", WARN, about=AGREES, clause="DE05.10.145.00, DE04.30.059.00", mark=FROM_MEMORY,
    of=("nuchal_cord_turns", "cord_abnormal"),
)  # fmt: skip
def a_cord_round_the_neck_is_not_normal(turns: str, abnormal: str) -> Said | None:
    return (turns,) if number(turns) > 0 and abnormal == "false" else None


# -- the caesarean section ------------------------------------------------------------------------------------------------


@relation(
    "OB-AWAIT-OPERATION", WARN, about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, rows=("operations",),
    of=("awaiting_labour_at", "this.started_at"),
)  # fmt: skip
def a_section_follows_admission_to_labour(awaited: str, started: str) -> Said | None:
    return (started, awaited) if before(started, awaited) else None


@relation(
    "OB-EXPLORED", NOTE, about=PRESENT, clause="DE04.30.053.00, DE04.30.052.00", mark=FROM_MEMORY,
    of=("uterine_exploration_abnormal",), also=("uterine_exploration_management",),
)  # fmt: skip
def what_was_found_in_the_uterus_was_dealt_with(found: str, done: str) -> Said | None:
    return () if found == "true" and not done else None


# -- the child ------------------------------------------------------------------------------------------------------------

_CHILDREN = ("", "newborns")
_SCORES = ("", "newborns", "apgar_scores", "apgars")

in_range("OB-APGAR", WARN, 0, 10, element("DE05.10.001.00"))
in_range("OB-LENGTH", WARN, 20, 65, element("DE04.10.018.00", "DE05.01.044.00") & named("newborn_length"))
in_range("OB-WEIGHT", WARN, 500, 8000, named("newborn_birth_weight", "newborn_admission_weight"))
in_range("OB-FETAL-HEART", NOTE, 60, 240, element("DE04.10.183.00"))
in_range("OB-CORD-LENGTH", NOTE, 10, 150, element("DE04.30.055.00"))
in_range("OB-BLOOD-LOSS", NOTE, 0, 10_000, element("DE04.10.012.00"))
in_range("OB-FUNDUS", NOTE, 5, 60, element("DE04.10.067.00"))
in_range("ABDOMINAL-GIRTH", NOTE, 20, 250, element("DE04.10.052.00"))


@relation(
    "OB-WEIGHT-LENGTH", WARN, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY, rows=_CHILDREN,
    of=("this.newborn_length", "this.newborn_birth_weight"),
)  # fmt: skip
def weight_and_length_fit(length: str, weight: str) -> Said | None:
    """Grams and centimetres: the ponderal index (g × 100 / cm³) lies about 2.5; kilograms or millimetres lie far off."""
    index = number(weight) * 100 / number(length) ** 3 if number(length) > 0 else 2.5
    return (weight, length) if index < 1 or index > 6 else None


@relation(
    "OB-STILLBORN", WARN, about=AGREES, clause="2.16.156.10011.2.3.2.49, DE05.10.001.00", mark=FROM_MEMORY,
    rows=_SCORES, of=("this.delivery_outcome", "this.apgar"),
)  # fmt: skip
def the_stillborn_have_no_apgar(outcome: str, apgar: str) -> Said | None:
    """1 is 活产; anything else breathes not."""
    return (outcome, apgar) if outcome != "1" and number(apgar) > 3 else None


@relation(
    "OB-APGAR-INTERVAL", NOTE, about=PRESENT, clause="DE05.10.001.00, DE06.00.215.00", mark=FROM_MEMORY, rows=_SCORES,
    of=("this.apgar",), also=("this.apgar_interval",),
)  # fmt: skip
def a_score_has_its_minute(_: str, interval: str) -> Said | None:
    return None if interval else ()
