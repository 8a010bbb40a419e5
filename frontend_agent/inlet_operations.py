"""What can be asked and said about what comes in by itself: see `operations.py`, which this is a part of."""

from collections.abc import Iterator, Sequence
from typing import Any

from frontend_agent.config import unknown
from frontend_agent.config_listener import ListenerConfig
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.spool import KeptMessage
from frontend_agent.spool.inbox import FOR_A_PERSON, STATES
from frontend_agent.tapping import masked
from frontend_agent.telling import plain

SHOWN = 200


class NoMessage(FrontendAgentError):
    """There is no such message at that inlet. Nothing was changed."""


class InletOperations:
    """Each public method is a question that can be asked by its name."""

    _app: Any
    _spool: Any
    _daemon: Any

    def inlet_list(self) -> list[dict[str, Any]]:
        """Every inlet: where it listens or asks, how it stands, how many messages are in which state, who reads it."""
        return [self._told_inlet(name) for name in self._app.config.inlets]

    def inlet_show(self, inlet: str) -> dict[str, Any]:
        """One inlet, with all that it says of itself."""
        self._must_be_inlet(inlet)
        return self._told_inlet(inlet)

    def inlet_messages(
        self, inlet: str, state: str = "", limit: int = SHOWN, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Messages of an inlet, the newest first: what is known of them, not what they say."""
        self._must_be_inlet(inlet)
        if state and state not in STATES:
            raise ConfigurationError(unknown("state", state, STATES))
        found = self._spool.inbox.listed(inlet, state, limit, before if before is not None else 1 << 62)
        return [plain(one) for one in found]

    def inlet_message(self, inlet: str, message: int) -> dict[str, Any]:
        """One message: what is known of it, what it is built of, which records came of it."""
        self._must_be_inlet(inlet)
        found = self._one(inlet, message)
        (kept,) = self._spool.inbox.messages([message])
        return {
            **plain(found),
            "structure": masked(kept.body) if kept.body else None,
            "records": [{"feed": feed, "key": key} for feed, key in self._spool.inbox.keys_of(message)],
        }

    def inlet_read(self, inlet: str, messages: Sequence[int], who: str) -> dict[str, Any]:
        """The feeds of the inlet read these once more, by the mappings of now, whatever became of them before."""
        self._must_be_inlet(inlet)
        for number in messages:
            if not self._one(inlet, number).is_here:
                raise NoMessage(f"message {number}: its bytes are no longer kept here; nothing was changed")
        feeds = [feed.name for feed in self._app.config.feeds if feed.source == inlet]
        if not feeds:
            raise ConfigurationError(f"no feed reads inlet {inlet}; nothing was changed")
        for name in feeds:
            if name in self._app.feeds:
                self._app.refresh(name)
        count = self._spool.inbox.read_again(messages, feeds, who, self._app.clock())
        if self._daemon is not None:
            self._daemon.wake(feeds)
        return {"read": count}

    def inlet_discard(self, inlet: str, messages: Sequence[int], who: str, reason: str) -> dict[str, Any]:
        """These are known, and are not to be read. What was taken stays taken."""
        self._must_be_inlet(inlet)
        for number in messages:
            self._one(inlet, number)
        return {"discarded": self._spool.inbox.discard(messages, who, reason, self._app.clock())}

    def inlet_tap(self, inlet: str) -> Iterator[dict[str, Any]]:
        """What comes and is answered from now on, masked; an empty row every second in which nothing does. Without end."""
        self._must_be_inlet(inlet)
        if self._daemon is None:
            raise FrontendAgentError("nothing comes in: no daemon is running")
        rows: Iterator[dict[str, Any]] = self._daemon.receiving.tap(inlet)
        return rows

    # -- the parts of it --

    def _told_inlet(self, name: str) -> dict[str, Any]:
        options = self._app.config.inlets[name]
        standing = self._daemon.receiving.told().get(name, {}) if self._daemon is not None else {}
        counts = self._spool.inbox.counts().get(name, {})
        return {
            "type": options.type,
            "running": False,
            "problem": "",
            **standing,
            "name": name,
            "feeds": [feed.name for feed in self._app.config.feeds if feed.source == name],
            "inbox": {state: counts.get(state, 0) for state in STATES},
            "plain_for": list(options.plain_for) if isinstance(options, ListenerConfig) else [],
            "for_a_person": sum(counts.get(state, 0) for state in FOR_A_PERSON),
        }

    def _one(self, inlet: str, number: int) -> KeptMessage:
        found: KeptMessage | None = self._spool.inbox.one(number)
        if found is None or found.inlet != inlet:
            raise NoMessage(f"no message {number} at inlet {inlet} (frontend-agent inlet messages {inlet})")
        return found

    def _must_be_inlet(self, name: str) -> None:
        if name not in self._app.config.inlets:
            raise ConfigurationError(unknown("inlet", name, self._app.config.inlets))
