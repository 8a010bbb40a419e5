"""A pack in shadow: what it would do to the records that the pack in force judges. Values in, values out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from frontend_agent.model import Envelope, Finding, Record, Severity, SourceRecord
from frontend_agent.unmade import unmade

NEWLY_HELD, NEWLY_PASSED, STILL_HELD, STILL_PASSED = "newly held", "newly passed", "still held", "still passed"
_ANYBODY = Envelope("shadow-1", "shadow", 1, "20000101000000")


def judging(
    severity: Callable[[str], Severity],
    off: frozenset[str],
    check: Callable[[Record, Mapping[str, str], Sequence[Finding]], list[Finding]],
    complete: Callable[[Record], tuple[Record, Sequence[Finding]]],
    render: Callable[[Record, Envelope], bytes],
    known: Mapping[str, Any],
) -> Callable[[SourceRecord], list[Finding]]:
    """The function that says what would hold a record: every rule, and whether a document can be made of it.

    `severity` and `off` are the pack's; `known` the rules that a profile may weigh: what the mapping had to say of the
    record is weighed anew.
    """

    def judge(source: SourceRecord) -> list[Finding]:
        said = [
            msgspec.structs.replace(one, severity=severity(one.rule)) if one.rule in known else one
            for one in source.findings
            if one.rule not in off
        ]
        found = said
        try:
            found = [*said, *check(source.record, source.columns, said)]
            if not any(map(_holds, found)):
                render(complete(source.record)[0], _ANYBODY)
        except Exception as error:  # noqa: BLE001  a record that the pack cannot make is held: that is what is asked
            found = unmade(error, found)
        return list(filter(_holds, found))

    return judge


def compared(now: Sequence[Finding], shadow: Sequence[Finding]) -> Iterator[tuple[str, str, str]]:
    """One record: the verdict (with no rule), and for what changes, each rule and field that makes the difference."""
    holds_now = {_place(one) for one in now if _holds(one)}
    would_hold = {_place(one) for one in shadow}
    if bool(holds_now) == bool(would_hold):
        yield (STILL_HELD if holds_now else STILL_PASSED), "", ""
        return
    verdict = NEWLY_HELD if would_hold else NEWLY_PASSED
    yield verdict, "", ""
    yield from ((verdict, rule, field) for rule, field in sorted(would_hold or holds_now))


def _holds(finding: Finding) -> bool:
    return finding.severity is Severity.HOLD


def _place(finding: Finding) -> tuple[str, str]:
    group, bracket, rest = finding.field.partition("[")
    return finding.rule, group + rest.partition("]")[2] if bracket else finding.field
