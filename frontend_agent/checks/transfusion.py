"""Blood: groups, products, volumes, reactions. The table of Rh codes is met the wrong way round: 1 is negative."""

import re

from frontend_agent.checks.registry import (
    AGREES,
    FROM_MEMORY,
    LIKELY,
    NOTE,
    PRESENT,
    SINGLE_SOURCE,
    VERIFIED,
    WARN,
    Problem,
    Said,
    relation,
    rule,
)
from frontend_agent.checks.tables import in_order
from frontend_agent.checks.values import number
from frontend_agent.model import Record

NEGATIVE, POSITIVE = "1", "2"  # CV04.50.020
_UNKNOWN_ABO = ("", "5", "6", "9")  # 5 不详; 6 未查 and 9 are local
_UNKNOWN_RH = ("", "3", "4")

_SAYS_NEGATIVE = re.compile(r"rh\s*[(（]?\s*d?\s*[)）]?\s*(阴性|[(（]-[)）]|neg)|熊猫血", re.IGNORECASE)
_SAYS_POSITIVE = re.compile(r"rh\s*[(（]?\s*d?\s*[)）]?\s*(阳性|[(（]\+[)）]|pos)", re.IGNORECASE)


@rule("RH-TEXT", WARN, about=AGREES, clause="CV04.50.020", mark=VERIFIED, needs=("rh",))
def the_rh_code_is_not_reversed(record: Record) -> Problem | None:
    """Nationally 1 is 阴性 and 2 阳性; some systems have them the other way round. What is written in words decides."""
    code = record["rh"]
    wrong = {NEGATIVE: _SAYS_POSITIVE, POSITIVE: _SAYS_NEGATIVE}.get(code)
    right = {NEGATIVE: _SAYS_NEGATIVE, POSITIVE: _SAYS_POSITIVE}.get(code)
    if wrong is None or right is None:
        return None
    texts = [v for v in record.values() if isinstance(v, str) and len(v) > 3 and ("h" in v or "H" in v or "熊猫" in v)]
    if any(wrong.search(text) for text in texts) and not any(right.search(text) for text in texts):
        return "rh", code
    return None


@relation(
    "RH-PRODUCT",
    NOTE,
    about=AGREES,
    clause="CV04.50.020, CV04.50.021",
    mark=VERIFIED,
    of=("rh", "transfusion_product"),
)
def negative_blood_is_for_the_negative(rh: str, product: str) -> Said | None:
    """17 and 23 are products for Rh-negative patients: given to a positive one, the codes may be reversed."""
    return (product,) if rh == POSITIVE and product in ("17", "23") else None


@relation("TRF-ABO", WARN, about=AGREES, clause="C0013", mark=FROM_MEMORY, of=("requested_abo", "abo"))
def the_group_requested_is_the_patients(requested: str, own: str) -> Said | None:
    """Of another group only O (3) is given."""
    known = ("1", "2", "3", "4")
    return (own, requested) if own in known and requested in known and requested not in (own, "3") else None


@relation("TRF-RH", WARN, about=AGREES, clause="C0013", mark=FROM_MEMORY, of=("requested_rh", "rh"))
def the_negative_do_not_request_positive(requested: str, own: str) -> Said | None:
    return (own, requested) if own == NEGATIVE and requested == POSITIVE else None


@relation(
    "TRF-ABO-KNOWN",
    WARN,
    about=PRESENT,
    clause="R-FP-3",
    mark=SINGLE_SOURCE,
    of=("transfusion_product",),
    also=("abo",),
)
def who_receives_blood_has_a_group(_: str, abo: str) -> Said | None:
    return () if abo in _UNKNOWN_ABO else None


@relation(
    "TRF-RH-KNOWN",
    WARN,
    about=PRESENT,
    clause="R-FP-3",
    mark=SINGLE_SOURCE,
    of=("transfusion_product",),
    also=("rh",),
)
def who_receives_blood_has_an_rh_factor(_: str, rh: str) -> Said | None:
    return () if rh in _UNKNOWN_RH else None


@relation(
    "TRF-REACTION", WARN, about=PRESENT, clause="DE06.00.264.00, DE06.00.265.00", mark=FROM_MEMORY,
    of=("transfusion_reaction",), also=("transfusion_reaction_type",),
)  # fmt: skip
def a_reaction_has_a_type(reaction: str, kind: str) -> Said | None:
    return () if reaction == "true" and not kind else None


@relation(
    "TRF-REACTION-DENIED", WARN, about=AGREES, clause="DE06.00.264.00, DE06.00.265.00", mark=FROM_MEMORY,
    of=("transfusion_reaction", "transfusion_reaction_type"),
)  # fmt: skip
def no_reaction_has_no_type(reaction: str, kind: str) -> Said | None:
    return (kind,) if reaction == "false" and kind in ("1", "2", "3") else None


@relation(
    "TRF-HISTORY", NOTE, about=AGREES, clause="DE06.00.106.00, DE06.00.263.00", mark=FROM_MEMORY,
    of=("transfusion_history_flag", "transfusion_count"),
)  # fmt: skip
def who_was_never_transfused_is_for_the_first_time(history: str, count: str) -> Said | None:
    """1 is 无."""
    return (count,) if history == "1" and number(count) > 1 else None


@relation(
    "TRF-UNIT", WARN, about=PRESENT, clause="DE06.00.267.00, DE08.50.036.00", mark=SINGLE_SOURCE,
    of=("transfusion_volume",), also=("transfusion_volume_unit",),
)  # fmt: skip
def a_volume_has_a_unit(_: str, unit: str) -> Said | None:
    return None if unit else ()


@relation(
    "TRF-VOLUME", WARN, about=LIKELY, clause="R-VA-7", mark=FROM_MEMORY,
    of=("transfusion_volume_unit", "transfusion_volume"),
)  # fmt: skip
def the_volume_fits_its_unit(unit: str, volume: str) -> Said | None:
    """400 U or 2 mL: the units were exchanged."""
    given, name = number(volume), unit.strip().lower()
    wrong = (name in ("u", "单位") and given > 50) or (name in ("ml", "毫升") and not 5 <= given <= 10_000)
    return (volume, unit[:6]) if wrong and given == given else None


@relation(
    "TRF-PRODUCT-UNIT", NOTE, about=AGREES, clause="CV04.50.021, DE08.50.036.00", mark=FROM_MEMORY,
    of=("transfusion_product", "transfusion_volume_unit"),
)  # fmt: skip
def only_platelets_come_in_doses(product: str, unit: str) -> Said | None:
    """治疗量 is of platelets (3x) and cryoprecipitate (5x)."""
    return (product,) if "治疗量" in unit and product[:1] not in ("3", "5", "6", "9") else None


@relation(
    "TRF-BAG", NOTE, about=PRESENT, clause="DE01.00.023.00", mark=FROM_MEMORY, of=("transfusion_product",),
    also=("blood_bag_number",),
)  # fmt: skip
def every_bag_has_its_number(_: str, bag: str) -> Said | None:
    return None if bag else ()


@relation(
    "TRF-PRODUCT", WARN, about=PRESENT, clause="DE06.00.267.00, DE08.50.040.00", mark=FROM_MEMORY,
    of=("transfusion_volume",), also=("transfusion_product",),
)  # fmt: skip
def what_was_given_is_named(volume: str, product: str) -> Said | None:
    return () if number(volume) > 0 and not product else None


in_order("TRF-RECORD", WARN, "transfused_at", "author.time", "C0013")
