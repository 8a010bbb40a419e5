"""Checks: what the kind's declaration asks for, and rules across fields. All findings at once (law 4).

Importing the topics registers their rules, in the order in which they are asked.
"""

from frontend_agent.checks import (  # noqa: F401
    dates,
    diagnoses,
    enclosed,
    examinations,
    frontpage,
    histories,
    identity,
    laboratory,
    medicines,
    numbers,
    nursing,
    obstetrics,
    operations,
    orders,
    persons,
    prescription,
    progress,
    stays,
    studies,
    transfusion,
    visit,
    visits,
    vitals,
)
from frontend_agent.checks.catalogue import describe, rules_catalogue, rules_digest
from frontend_agent.checks.compiling import Checks, compile_checks
from frontend_agent.checks.masking import mask
from frontend_agent.checks.registry import Rule, all_rules, rule

__all__ = [
    "Checks", "Rule", "all_rules", "compile_checks", "describe", "mask", "rule", "rules_catalogue", "rules_digest",
]  # fmt: skip
