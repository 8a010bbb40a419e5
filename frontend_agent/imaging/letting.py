"""Findings that a person let pass: how they are remembered, and which still hold a study.

A released study is judged once more, and goes on its way changed as its order says; only what he has not seen holds it again.
"""

from collections.abc import Collection, Iterable

from frontend_agent.model import Finding, Severity

LOOKED = "pixels looked at "  # a mark in the book, with a Study Instance UID: who has seen that its pixels show nobody


def passes(finding: Finding) -> str:
    """By what a finding is remembered: its rule and what it speaks of. Not its numbers: 120 of 125 slices may become 122."""
    return f"{finding.rule} {finding.field}".rstrip()


def holding(findings: Iterable[Finding], let_go: Collection[str] = ()) -> tuple[Finding, ...]:
    """Those that hold a study, beside those that were let pass."""
    return tuple(one for one in findings if one.severity is Severity.HOLD and passes(one) not in let_go)
