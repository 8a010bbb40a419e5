"""C0007 检验报告: the way of a specimen, and results against their ranges."""

import re
from collections.abc import Iterator
from functools import lru_cache

from frontend_agent.checks.registry import (
    AGREES,
    FORM,
    FROM_MEMORY,
    HOLD,
    NOTE,
    ONCE,
    ORDER,
    SINGLE_SOURCE,
    WARN,
    Problem,
    rule,
)
from frontend_agent.checks.values import before
from frontend_agent.model import Record

_RANGE = re.compile(r"[(\[]?\s*(-?\d+(?:\.\d+)?)\s*(?:-|–|—|~|～|--|至)\s*(-?\d+(?:\.\d+)?)\s*[)\]]?")
_UPPER = re.compile(r"(?:<|≤|<=|＜)\s*(\d+(?:\.\d+)?)")
_LOWER = re.compile(r"(?:>|≥|>=|＞)\s*(\d+(?:\.\d+)?)")
NORMAL = "1"  # 2.16.156.10011.2.3.2.38 [single source]


@rule("LAB-ORDER", HOLD, "C0007", about=ORDER, clause="R-CN-1", mark=SINGLE_SOURCE, needs=("items",))
def a_specimen_is_collected_received_tested_reported(record: Record) -> Iterator[Problem]:
    """标本采样 <= 接收 <= 检验 <= 报告, as far as each is known. The items of one specimen share its times: said once."""
    reported = record.get("author.time", "")
    seen = {(row.get("collected_at"), row.get("received_at"), row.get("tested_at")) for row in record["items"]}
    wrong = {times for times in seen if not _in_order(times, reported)}
    if not wrong:
        return
    for at, row in enumerate(record["items"]):
        times = (row.get("collected_at"), row.get("received_at"), row.get("tested_at"))
        if times in wrong:
            wrong.discard(times)
            steps = [*zip(_STEPS, times, strict=True), ("author.time", reported)]
            for place, (earlier, first) in enumerate(steps):
                for later, second in steps[place + 1 :]:
                    if first and second and before(second, first):
                        # Said of the later of the two; of the earlier where the later is the whole report.
                        field, said, other, than = (
                            (earlier, first, later, second)
                            if later == "author.time"
                            else (later, second, earlier, first)
                        )
                        yield f"items[{at}].{field}", said, other, than


_STEPS = ("collected_at", "received_at", "tested_at")
_Times = tuple[str | None, str | None, str | None]


def _in_order(times: _Times, reported: str) -> bool:
    known = [time for time in (*times, reported) if time]
    for at, later in enumerate(known):
        for earlier in known[:at]:
            if before(later, earlier):
                return False
    return True


@rule(
    "LAB-REQUEST-ORDER",
    WARN,
    "C0007",
    about=ORDER,
    clause="R-CN-1",
    mark=SINGLE_SOURCE,
    needs=("author.time", "request.time"),
)
def a_report_follows_its_request(record: Record) -> Problem | None:
    if before(record["author.time"], record["request.time"]):
        return "request.time", record["request.time"], record["author.time"]
    return None


@lru_cache(maxsize=4096)
def limits(reference_range: str) -> tuple[float, float] | None:
    """The limits a reference range states; None where it states none in numbers."""
    text = reference_range.strip()
    if match := _RANGE.fullmatch(text):
        low, high = float(match[1]), float(match[2])
        return (low, high) if low <= high else None
    if match := _UPPER.fullmatch(text):
        return float("-inf"), float(match[1])
    if match := _LOWER.fullmatch(text):
        return float(match[1]), float("inf")
    return None


@rule(
    "LAB-FLAG", NOTE, "C0007", about=AGREES, clause="C0007 2.16.156.10011.2.3.2.38", mark=FROM_MEMORY, needs=("items",)
)
def a_value_outside_its_range_is_not_called_normal(record: Record) -> Iterator[Problem]:
    """Only this way round: within the range a result can still be flagged for a good reason."""
    for at, row in enumerate(record["items"]):
        if row.get("result_code") != NORMAL or "reference_range" not in row or "value" not in row:
            continue
        stated = limits(row["reference_range"])
        if stated is None:
            continue
        try:
            value = float(row["value"])
        except ValueError:
            continue  # not a number: DE-FORMAT says so
        if not stated[0] <= value <= stated[1]:
            yield f"items[{at}].result_code", row["reference_range"]


@rule("LAB-RANGE", NOTE, "C0007", about=FORM, clause="R-VA-7", mark=FROM_MEMORY, needs=("items",))
def a_range_begins_below_its_end(record: Record) -> Iterator[Problem]:
    """9.5-3.5: the two limits were swapped."""
    for at, row in enumerate(record["items"]):
        stated = row.get("reference_range")
        if stated is not None and _is_upside_down(stated):
            yield f"items[{at}].reference_range", stated


@lru_cache(maxsize=4096)
def _is_upside_down(reference_range: str) -> bool:
    match = _RANGE.fullmatch(reference_range.strip())
    return match is not None and float(match[1]) > float(match[2])


@rule("LAB-DUPLICATE", NOTE, "C0007", about=ONCE, clause="R-UN-2", mark=FROM_MEMORY, needs=("items",))
def no_item_twice(record: Record) -> Iterator[Problem]:
    """The same item with the same result twice: a join that multiplies rows, mostly."""
    codes = [row.get("code") for row in record["items"]]
    if len(set(codes)) == len(codes):
        return
    seen: dict[tuple[str | None, ...], int] = {}
    for at, row in enumerate(record["items"]):
        same = (row.get("code"), row.get("value"), row.get("text_value"), row.get("collected_at"))
        if same[0] is not None and seen.setdefault(same, at) != at:
            yield f"items[{at}].code", str(seen[same] + 1)
