"""What can be asked about reconciliation: see operations.py."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from frontend_agent.app import App
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.message_feeds import must_ask_a_source
from frontend_agent.reconciliation import Reading, reconcile
from frontend_agent.spool import Spool
from frontend_agent.spool.reconciliations import Reconciliation
from frontend_agent.telling import plain


class NoReconciliation(FrontendAgentError):
    """There is none of that number."""


class ReconciliationOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: App
    _spool: Spool
    _daemon: Any

    def reconcile(
        self,
        feed: str,
        first: str,
        last: str,
        who: str,
        department: str | None = None,
        resend: bool = False,
        closed: bool = False,
        reason: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Source, agent and platform of some days (`2026-09-29`) held against each other; `resend` mends what differs.

        Rows of progress, then one with the `result`.
        """
        must_ask_a_source(self._app.config, feed)
        daemon: Reading | None = self._daemon
        return reconcile(
            self._app, daemon, feed, _day(first), _day(last), department=department, resend=resend, who=who, closed=closed,
            reason=reason,
        )  # fmt: skip

    def reconciliations(self, feed: str | None = None, limit: int = 30) -> list[dict[str, Any]]:
        """Past ones, the newest first; those without `who` ran by themselves."""
        if feed is not None:
            self._app.config.feed(feed)
        return [told_reconciliation(one) for one in self._spool.reconciliations.listed(feed, limit)]

    def reconciliation(self, number: int) -> dict[str, Any]:
        """One of them, with all that it found."""
        found = self._spool.reconciliations.shown(number)
        if found is None:
            raise NoReconciliation(f"there is no reconciliation {number} (frontend-agent reconcile list)")
        return told_reconciliation(found[0]) | {"result": found[1]}


def last_nights(app: App) -> list[dict[str, Any]]:
    """What each feed's last night says, those with an alarm first."""
    nights = [night for feed in app.config.feeds if (night := app.spool.reconciliations.last_night(feed.name))]
    return sorted((told_reconciliation(night) for night in nights), key=lambda night: not night["alarm"])


def told_reconciliation(one: Reconciliation) -> dict[str, Any]:
    return {**plain(one), "alarm": one.is_alarm}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no day (for example 2026-09-29)") from None
