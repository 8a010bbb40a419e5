"""What can be asked of the inner half by its name: see frontend_agent/operations.py, which this is a part of."""

from typing import Any

from frontend_agent.crossing.facts import told_line
from frontend_agent.crossing.halves import own, role_of
from frontend_agent.errors import StateError
from frontend_agent.spool.gap_keys import other_half


class GapOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: Any
    _daemon: Any

    def gap_status(self) -> dict[str, Any]:
        """Both directions: numbers, what is missing, what waits, and whether anything is wrong."""
        app = self._app
        role_of(app.config)
        other = other_half(app.state)
        fingerprints = own(app.config, app.state).public.fingerprint, other.fingerprint if other else ""
        problems = app.crossing.line.problems if app.crossing is not None else {}
        platforms = tuple(name for name, one in app.config.destinations.items() if one.type == "platform")
        return told_line(app.config.gap, app.spool.gap, fingerprints, problems, platforms, app.clock())

    def gap_restart(self, who: str = "") -> dict[str, Any]:
        """Begin another life of the line: everything on its way goes again."""
        role_of(self._app.config)
        if self._app.crossing is None or self._daemon is None:
            raise StateError("the agent is not running: start it, and ask again")
        self._app.crossing.line.begin_anew(who)
        self._daemon.wake()
        return self.gap_status()
