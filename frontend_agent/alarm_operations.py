"""What can be asked and said about alarms: see operations.py, which this is a part of."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from frontend_agent.alarms import KINDS, Alarm
from frontend_agent.alarms.monitoring import figures_of, plain_figures
from frontend_agent.alarms.muting import ALL, Mute, muted
from frontend_agent.alarms.texts import plain_texts
from frontend_agent.app import App
from frontend_agent.calendar import load_calendar
from frontend_agent.config import duration, unknown
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.spool import Spool
from frontend_agent.telling import plain

SHOWN = 100


class AlarmOperations:
    """Questions and answers in plain values; part of Operations."""

    _app: App
    _spool: Spool
    _daemon: Any

    def alarms(self) -> dict[str, Any]:
        """What is wrong now: each alarm with its texts in both languages, why it is muted if it is, and when we last looked."""
        alarming = getattr(self._daemon, "alarming", None)
        if alarming is not None and alarming.looked_at is None:  # it has just started: whoever asks does not wait
            alarming.look()
        now, mutes = self._app.clock(), self._spool.alarms.mutes(self._app.clock())
        looked, known = (alarming.looked_at, alarming.known) if alarming is not None else (None, None)
        standing = sorted(self._spool.alarms.standing(), key=lambda one: (one.level, one.began_at))
        return {
            "running": self._daemon is not None,
            "started": self._daemon.started.isoformat() if self._daemon is not None else None,
            "looked_at": looked.isoformat() if looked else None,
            "alarms": [{**_told(one), "muted": self._muted(one, mutes, now)} for one in standing],
            "figures": plain_figures(figures_of(known, self._app.config.alarms)) if known is not None else {},
            "mutes": [plain(one) for one in mutes],
            "channels": self._channels(),
        }

    def alarms_history(
        self, limit: int = SHOWN, before: int | None = None, kind: str = "", subject: str | None = None
    ) -> list[dict[str, Any]]:
        """What began and ended, the newest first."""
        if kind and kind not in KINDS:
            raise ConfigurationError(unknown("kind of alarm", kind, KINDS))
        return [_told(one) for one in self._spool.alarms.history(limit, before, kind, subject)]

    def alarms_mute(
        self, who: str, reason: str, kind: str = ALL, subject: str = ALL, length: str | None = None
    ) -> dict[str, Any]:
        """Nobody is told of these any more: for so long (`2h`), or until `alarms_unmute`."""
        if kind != ALL and kind not in KINDS:
            raise ConfigurationError(unknown("kind of alarm", kind, KINDS))
        if not reason.strip():
            raise FrontendAgentError("say why: --reason")
        now = self._app.clock()
        try:
            until = now + duration(length) if length else None
        except (ValueError, OverflowError) as error:
            raise FrontendAgentError(f"--for: expected {error}, not {length!r}") from None
        return dict(plain(self._spool.alarms.mute(kind, subject, until, who, reason, now)))

    def alarms_unmute(
        self, who: str, number: int | None = None, kind: str | None = None, subject: str | None = None
    ) -> dict[str, Any]:
        """They are told again: one mute by its number, those of a kind, or all."""
        return {"ended": self._spool.alarms.unmute(number, kind, subject, who, self._app.clock())}

    def alarms_test(self, channel: str | None = None) -> list[dict[str, Any]]:
        """A test message to those who are told of alarms, or one of them: what each has against it."""
        from frontend_agent.alarm_tellers import (
            try_channels,
        )  # loads mail and webhooks: who asks for neither waits for none

        return try_channels(self._app, channel)

    # -- the parts of it --

    def _muted(self, alarm: Alarm, mutes: list[Mute], now: datetime) -> str:
        config = self._app.config
        local = now.astimezone(ZoneInfo(config.institution.timezone))
        return muted(alarm, mutes, config.alarms.mute, local, load_calendar(config.calendar.file))

    def _channels(self) -> list[dict[str, Any]]:
        """Who is told, and how that goes."""
        tellers = getattr(self._daemon, "tellers", None)
        standing = tellers.told() if tellers is not None else {}
        config = self._app.config.alarms
        return [
            {"name": name, "type": kind, "least": one.least, "problem": "", **standing.get(name, {})}
            for kind, channels in (("mail", config.mail), ("webhook", config.webhooks))
            for name, one in channels.items()
        ]


def _told(alarm: Alarm) -> dict[str, Any]:
    return {**plain(alarm), "texts": plain_texts(alarm)}
