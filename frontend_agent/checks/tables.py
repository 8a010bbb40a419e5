"""Rules that say the same of different things: one moment against another, a number in its range. Each is one line of a
table, with an id of its own."""

from frontend_agent.checks.registry import (
    IN_TIME,
    LIKELY,
    ORDER,
    Mark,
    Said,
    relation,
    rule,
)
from frontend_agent.checks.selectors import Selector
from frontend_agent.checks.values import before, hours, number
from frontend_agent.model import Severity


def in_order(
    id: str,
    severity: Severity,
    earlier: str,
    later: str,
    *kinds: str,
    clause: str = "R-CN-1",
    mark: Mark = "1",
    rows: tuple[str, ...] = (),
) -> None:
    """`later` does not lie before `earlier`. The text is told both, the later one first."""

    @relation(id, severity, *kinds, about=ORDER, clause=clause, mark=mark, of=(earlier, later), rows=rows)
    def follows(first: str, second: str) -> Said | None:
        return (second, first) if before(second, first) else None


def written_within(
    id: str,
    severity: Severity,
    limit: float,
    event: str,
    written: str,
    *kinds: str,
    clause: str = "rules.md 6",
    mark: Mark = "V",
) -> None:
    """What is written within `limit` hours after its event. The text is told when, the event, and the limit."""

    @relation(id, severity, *kinds, about=IN_TIME, clause=clause, mark=mark, of=(event, written))
    def is_in_time(happened: str, wrote: str) -> Said | None:
        return (wrote, happened, f"{limit:g}") if hours(happened, wrote) > limit else None


def in_range(
    id: str, severity: Severity, low: float, high: float, each: Selector, clause: str = "R-VA-7", mark: Mark = "M"
) -> None:
    """A number between two others, wherever it stands. The text is told both, and the number."""

    @rule(id, severity, about=LIKELY, clause=clause, mark=mark, each=each)
    def is_likely(value: str) -> Said | None:
        found = number(value)
        return (f"{low:g}", f"{high:g}", value) if found < low or found > high else None
