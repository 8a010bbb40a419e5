"""Who is told of alarms: mail servers and webhooks, each in its own time. One that is away holds nobody else up.

What a channel was told is kept when it has taken it: after a crash between the two it is told once more, by a message of
the same key.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from connectors.alarm_mail import NotTold, probe_mail, send_mail
from connectors.alarm_webhook import post_json, post_text
from frontend_agent.alarms.messages import Sender, message_of, plain_message, short_text, trial
from frontend_agent.alarms.model import Alarm
from frontend_agent.alarms.muting import muted
from frontend_agent.alarms.telling import Tell, to_tell
from frontend_agent.app import App
from frontend_agent.calendar import load_calendar
from frontend_agent.config import Config, unknown
from frontend_agent.config_alarms import MailConfig, WebhookConfig
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.logs import event, failed, log
from frontend_agent.secrets import secrets_of

LOOK_EVERY = 5.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 1800.0  # after a channel that took nothing
AT_ONCE = 50  # alarms in one message

Channel = MailConfig | WebhookConfig


class Stopping(Protocol):
    def wait(self, timeout: float, /) -> bool: ...


@dataclass
class Standing:
    """How one channel fares."""

    failures: int = 0
    again_at: float = 0.0  # monotonic
    problem: str = ""
    told: int = 0


class Tellers:
    """All channels of one running agent."""

    def __init__(
        self, app: App, stopping: Stopping | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._stopping: Stopping = stopping or threading.Event()
        self._monotonic = monotonic
        self.channels = channels_of(app.config)
        self._standings = {name: Standing() for name in self.channels}
        self._calendar = load_calendar(app.config.calendar.file)

    def start(self) -> None:
        """A thread for each: nobody waits for another's server."""
        for name in self.channels:
            threading.Thread(target=self._work, args=(name,), name=f"tell-{name}", daemon=True).start()

    def _work(self, name: str) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            try:
                self.look(name)
            except Exception as error:  # noqa: BLE001 - said, and tried again with the next look
                failed("alarms.telling.failed", error)

    def look(self, name: str) -> int:
        """Tell one channel what it is to be told now. How many alarms."""
        standing = self._standings[name]
        if self._monotonic() < standing.again_at:
            return 0
        due = self.due(name)[:AT_ONCE]
        if not due:
            return 0
        now = self._app.clock()
        try:
            beside = deliver(self._app, name, due)
        except FrontendAgentError as error:
            standing.failures += 1
            standing.again_at = self._monotonic() + min(
                FIRST_PAUSE * 2 ** min(standing.failures - 1, 16), LONGEST_PAUSE
            )
            if str(error) != standing.problem:
                log.warning(event("alarm.not_told", channel=name, alarms=len(due), problem=str(error)))
            standing.problem = str(error)
            return 0
        self._app.spool.alarms.tell(name, [(one.alarm.id, one.turn) for one in due], now)
        standing.failures, standing.problem, standing.told = 0, beside, standing.told + len(due)
        log.info(event("alarm.told", channel=name, alarms=len(due), problem=beside))
        return len(due)

    def due(self, name: str) -> list[Tell]:
        """What a channel is to be told now."""
        alarms, now = self._app.spool.alarms, self._app.clock()
        found = alarms.to_tell(now)
        if not found:
            return []
        config = self._app.config
        mutes, local = alarms.mutes(now), now.astimezone(ZoneInfo(config.institution.timezone))

        def is_muted(alarm: Alarm) -> bool:
            return bool(muted(alarm, mutes, config.alarms.mute, local, self._calendar))

        told = alarms.told([one.id for one in found])
        return to_tell(found, told, {name: self.channels[name].least}, is_muted)

    def told(self) -> dict[str, dict[str, Any]]:
        """How each fares."""
        return {
            name: {"problem": one.problem, "failures": one.failures, "told": one.told}
            for name, one in self._standings.items()
        }


def channels_of(config: Config) -> dict[str, Channel]:
    """All that is told, by name."""
    return {**config.alarms.mail, **config.alarms.webhooks}


def deliver(app: App, name: str, tells: Sequence[Tell]) -> str:
    """Tell one channel now. What some of its recipients have against it; NotTold when nobody took it."""
    channel, now = channels_of(app.config)[name], app.clock()
    secret = secrets_of(app.config)(channel.secret) if channel.secret else ""
    hospital = app.config.institution
    sender = Sender(hospital.id, hospital.name, ZoneInfo(hospital.timezone))
    message = message_of(tells, sender, channel.language)
    message = message._replace(key=f"{app.spool.meta.instance}-{message.key}")
    if isinstance(channel, MailConfig):
        return send_mail(channel, secret, message, now)
    if channel.form == "json":
        post_json(channel, secret, plain_message(tells, sender, message.key), message.key, now)
    else:
        post_text(channel, secret, short_text(message), now)
    return ""


def checked_channels(config: Config) -> Iterator[tuple[str, FrontendAgentError | None]]:
    """Try each without telling anybody anything: (what, what is wrong with it or None). Of a webhook only its secret can be."""
    for name, channel in channels_of(config).items():
        kind = "mail" if isinstance(channel, MailConfig) else "webhook"
        problem: FrontendAgentError | None = None
        try:
            secret = secrets_of(config)(channel.secret) if channel.secret else ""
            if isinstance(channel, MailConfig):
                probe_mail(channel, secret)
        except FrontendAgentError as error:
            problem = error
        yield f"alarms: {kind} {name}", problem


def try_channels(app: App, only: str | None) -> list[dict[str, Any]]:
    """A test message to each channel: what it has against it."""
    channels = channels_of(app.config)
    if only is not None and only not in channels:
        raise ConfigurationError(unknown("channel", only, channels))
    tried = []
    for name, channel in channels.items():
        if only in (None, name):
            try:
                problem = deliver(app, name, [trial(app.clock())])
            except FrontendAgentError as error:
                problem = str(error)
            kind = "mail" if isinstance(channel, MailConfig) else "webhook"
            tried.append({"name": name, "type": kind, "problem": problem})
    return tried


__all__ = ["NotTold", "Tellers", "channels_of", "checked_channels", "deliver", "try_channels"]
