"""Which months are closed, who closed or opened them and why, and what came of them since.

Each act is a row and an entry of the chained log; the newest act of a month counts. There are a dozen a year.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from frontend_agent.closing import Day, MonthClosed, month_of, month_text
from frontend_agent.spool.groups import number
from frontend_agent.spool.ledger import Ledger, as_json
from frontend_agent.spool.times import millis, moment, moment_or_none
from frontend_agent.spool.words import ClosedMonth, Taken

CLOSED, OPENED = "closed", "opened"


class Closings:
    """The months of one agent. Asking costs nothing: what is closed is kept in memory."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._known: dict[int, bool] = {
            month: action == CLOSED for month, action in self._database.rows("closing.standing")
        }

    # --- asking -------------------------------------------------------------------------------------------------------

    def is_closed(self, day: Day) -> bool:
        """Whether the month of this day (yyyymmdd, or a date) is closed."""
        return self._known.get(month_of(day), False)

    @property
    def months(self) -> frozenset[int]:
        """The closed ones, yyyymm."""
        return frozenset(month for month, closed in self._known.items() if closed)

    @property
    def known(self) -> frozenset[int]:
        """Those that were ever closed, whether they are open again or not."""
        return frozenset(self._known)

    def closed_among(self, days: Iterable[Day]) -> list[int]:
        """The closed months that these days lie in."""
        return sorted({month_of(day) for day in days if self.is_closed(day)})

    def cases_among(self, ids: Iterable[str]) -> set[str]:
        """Those of these cases (`Q12`, `D7@platform`) that are of closed months."""
        return {case for case in ids if (day := self._day_of(case)) and self.is_closed(day)}

    def of_causes(self, groups: Iterable[str]) -> int:
        """How many held records of these causes (`G3`) are of closed months."""
        closed = as_json(sorted(self.months))
        rows = [self._database.row("closing.cause", cause=number(group), closed=closed) for group in groups]
        return sum(int(row[0]) for row in rows if row)

    def _day_of(self, case: str) -> int | None:
        place = case[1:].partition("@")[0]
        if not (place.isascii() and place.isdigit() and len(place) < 18):
            return None
        row = self._database.row("closing.document" if case.startswith("D") else "closing.case", id=int(place))
        return row[0] if row else None

    def listed(self) -> list[ClosedMonth]:
        """Every act, the newest month first, each month's newest act first."""
        late = {month: (n, last_at) for month, n, last_at in self._database.rows("closing.late")}
        return [
            ClosedMonth(
                month=month_text(month),
                action=action,
                who=who,
                reason=reason,
                at=moment(at),
                log=log,
                closed=self._known[month],
                late=late.get(month, (0, 0))[0],
                last_late_at=moment_or_none(late.get(month, (0, 0))[1]),
            )
            for month, action, who, reason, at, log in self._database.rows("closing.all")
        ]

    # --- deciding -----------------------------------------------------------------------------------------------------

    def close(self, month: int, who: str, reason: str, now: datetime) -> bool:
        """Whether it was open before."""
        return self._act(month, CLOSED, who, reason, now)

    def open(self, month: int, who: str, reason: str, now: datetime) -> bool:
        """Whether it was closed before."""
        return self._act(month, OPENED, who, reason, now)

    def allow(self, days: Iterable[Day], what: str, who: str, reason: str, now: datetime) -> None:
        """Documents of these days are about to be sent again. Raises MonthClosed, unless somebody says why (`reason`).

        `what` names the act (`reconcile lab_report 2026-09-03`): said in the quality log when it passes over a closing.
        """
        months = self.closed_among(days)
        if months and not reason.strip():
            raise MonthClosed(months)
        if months:
            self.passed_over(months, what, who, reason, now)

    def passed_over(self, months: Iterable[int], what: str, who: str, reason: str, now: datetime) -> None:
        """Say in the quality log that closed months are sent again on somebody's word."""
        named = [month_text(month) for month in sorted(months)]
        with self._database.write():
            self._ledger.log(
                {"event": "closing passed over", "months": named, "what": what, "who": who, "reason": reason}, now
            )

    def _act(self, month: int, action: str, who: str, reason: str, now: datetime) -> bool:
        if self._known.get(month, False) == (action == CLOSED):
            return False
        with self._database.write():
            body = {"event": "closing", "month": month_text(month), "action": action, "who": who, "reason": reason}
            log = self._ledger.log(body, now)
            self._database.run(
                "closing.act", month=month, action=action, who=who, reason=reason, now=millis(now), log=log
            )
        self._known[month] = action == CLOSED
        return True

    # --- in the commit of a batch ---------------------------------------------------------------------------------------

    def take(self, taken: Taken) -> None:
        """Count what was made of closed months. Part of the transaction that keeps it."""
        if taken.figures is None or not any(self._known.values()):
            return
        made = Counter(
            month_of(event.day)
            for document in (*taken.documents, *(d for beside in taken.beside for d in beside.documents))
            if (event := taken.figures.events.get(document.document_id)) and self.is_closed(event.day)
        )
        if made:
            self._database.run("closing.count", months=as_json(list(made.items())), now=millis(taken.at))
