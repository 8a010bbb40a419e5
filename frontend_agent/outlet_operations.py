"""What can be asked about destinations that are not our platform: see operations.py."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from frontend_agent.app import App
from frontend_agent.config import unknown
from frontend_agent.config_outlets import ForeignConfig, OutletConfig
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.registrations import CLASSES, class_of, identifier_of
from frontend_agent.spool import Spool

SHOWN = 10  # registrations that are waited for longest
PERSON = "person: "  # before what a person gave as the reason of a confirmation


class OutletOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: App
    _spool: Spool

    def receipts_confirm(self, destination: str, documents: list[str], who: str, reason: str) -> dict[str, Any]:
        """A person says that the destination has them: accepted becomes delivered, with the reason."""
        self._foreign(destination, reason)
        self._must_be_for(destination, documents)
        confirmed = self._spool.accepted.confirm(destination, documents, PERSON + reason, self._app.clock(), who)
        return {"confirmed": confirmed, "unchanged": len(set(documents)) - confirmed}

    def receipts_reopen(
        self, destination: str, documents: list[str], who: str, reason: str, refused: bool = False
    ) -> dict[str, Any]:
        """A person says that it does not have them: they go again, or wait as `refused`."""
        self._foreign(destination, reason)
        self._must_be_for(destination, documents)
        done = self._spool.accepted.reopen(
            destination, documents, [reason], not refused, self._app.clock(), PERSON + reason, who
        )
        return {**done._asdict(), "unchanged": len(set(documents)) - sum(done)}

    def registrations_list(self, destination: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The registrations that documents wait for, at each destination where they go first: the longest first."""
        if destination is not None:
            self._foreign(destination)
        return [
            {"destination": name, "registration": one.name, "documents": one.documents, "since": one.since.isoformat()}
            for name, options in self._app.config.destinations.items()
            if destination in (None, name) and isinstance(options, ForeignConfig)
            for one in self._spool.wanted(name, limit)[1]
        ]

    def registrations_known(self, destination: str, names: list[str], who: str, reason: str) -> dict[str, Any]:
        """A person says that the destination knows them already: what waits for them goes."""
        self._foreign(destination, reason)
        for name in names:
            if class_of(name) not in CLASSES or not identifier_of(name):
                raise FrontendAgentError(
                    f"a registration is named like patient:0012345, by one of {', '.join(CLASSES)}, not {name!r}"
                )
        return self._spool.registered(destination, names, who, reason, self._app.clock())._asdict()

    def _must_be_for(self, destination: str, documents: list[str]) -> None:
        strange = self._spool.accepted.unknown(destination, documents)
        if strange:
            raise FrontendAgentError(f"never for {destination}: {', '.join(strange[:SHOWN])}; nothing was changed")

    def _foreign(self, destination: str, reason: str = "given") -> None:
        options = self._app.config.destinations
        if destination not in options:
            raise ConfigurationError(unknown("destination", destination, options))
        if not isinstance(options[destination], ForeignConfig):
            raise FrontendAgentError(
                f"{destination} is our own platform: its signed receipts decide, no word of anybody else"
            )
        if not reason.strip():
            raise FrontendAgentError("say why: --reason")


def told_foreign(spool: Spool, name: str, options: OutletConfig, states: Mapping[str, int], now: datetime) -> Any:
    """How a destination stands that is not our platform; None for one that is."""
    if not isinstance(options, ForeignConfig):
        return None
    registrations, longest = spool.wanted(name, SHOWN)
    return {
        "type": options.type,
        "accepted": states.get("accepted", 0),
        "unread": spool.unread(name),
        "awaiting": states.get("awaiting", 0),
        "registrations": registrations,
        "wanted": [one.name for one in longest],
        "impatient": bool(longest) and now - longest[0].since > options.patience,
        "since": longest[0].since.isoformat() if longest else None,
    }
