"""What can be asked about closed months: see operations.py."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from frontend_agent.app import App
from frontend_agent.closing import NotAMonth, is_over, month_text, parse_month
from frontend_agent.spool import Spool
from frontend_agent.telling import plain


class ClosingOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: App
    _spool: Spool

    def closing_list(self) -> list[dict[str, Any]]:
        """Every act about every month, the newest month first."""
        return [plain(act) for act in self._spool.closing.listed()]

    def silences(self, days: int = 31) -> list[dict[str, Any]]:
        """The alarms of the last days about feeds from which nothing new came: since when, when told, when over."""
        now = self._app.clock()
        return [plain(one) for one in self._spool.silence.listed(now - timedelta(days=days), now + timedelta(days=1))]

    def closing_close(self, month: str, who: str, reason: str = "") -> dict[str, Any]:
        """From now on nothing of that month is sent again, unless somebody says so. It must be over."""
        number = parse_month(month)
        today = self._app.clock().astimezone(ZoneInfo(self._app.config.institution.timezone)).date()
        if not is_over(number, today):
            raise NotAMonth(
                f"{month_text(number)} is not over yet; it can be closed from the first of the next month on"
            )
        return {"month": month, "changed": self._spool.closing.close(number, who, reason, self._app.clock())}

    def closing_open(self, month: str, who: str, reason: str) -> dict[str, Any]:
        """Sending again is allowed as for any other month."""
        return {
            "month": month,
            "changed": self._spool.closing.open(parse_month(month), who, reason, self._app.clock()),
        }
