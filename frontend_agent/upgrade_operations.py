"""What can be asked about other versions of the program: see operations.py, which this is a part of."""

from typing import Any

from frontend_agent.app import App


class UpgradeOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: App
    _daemon: Any

    def upgrades(self) -> dict[str, Any]:
        """What runs, what platforms offer and how that stands, who acts, what is on trial, what came back last."""
        from frontend_agent.upgrade_offers import Offers  # few ask: who does not, waits for none of it

        offers = getattr(self._daemon, "offers", None) or Offers(self._app)
        told: dict[str, Any] = offers.told()
        return told
