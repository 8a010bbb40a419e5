"""[alarms]: from when on something is an alarm, when nobody wants to hear of it, and who is told.

Everything has a default: without the table alarms are judged, logged, listed and sent with the heartbeat. Percentages are
whole numbers.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from frontend_agent.alarms.kinds import KINDS
from frontend_agent.config_types import Count
from frontend_agent.windows import Window

Least = Literal["warning", "critical"]
LANGUAGES = Literal["zh", "en"]
ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")
TWENTY = Count(20)


@dataclass(frozen=True, kw_only=True)
class MuteConfig:
    """Of these alarms nobody is told in that time: they are judged, listed and logged all the same.

    `kinds` and `subjects`: default all. `times` are local; `days` by [calendar]; `from` and `until` whole days, both included.
    """

    reason: str
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    times: tuple[Window, ...] = ()
    days: Literal["all", "working", "holidays"] = "all"
    first: date = field(default=date.min, metadata={"key": "from"})
    until: date = date.max


@dataclass(frozen=True, kw_only=True)
class MailConfig:
    """A mail server and who is told by it. `secret` is the name of the password for `user`."""

    server: str  # host or host:port
    sender: str = field(metadata={"key": "from"})
    to: tuple[str, ...]
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    secret: str = ""
    ca: str = ""  # PEM file of who signed the server's certificate, where the system does not know it
    least: Least = "warning"
    language: LANGUAGES = "zh"
    timeout: timedelta = timedelta(seconds=20)

    @property
    def host(self) -> str:
        return self.server.rsplit(":", 1)[0] if self._port else self.server

    @property
    def port(self) -> int:
        return int(self._port) if self._port else {"starttls": 587, "tls": 465, "none": 25}[self.security]

    @property
    def _port(self) -> str:
        _, colon, port = self.server.rpartition(":")
        return port if colon and port.isdigit() else ""


@dataclass(frozen=True, kw_only=True)
class WebhookConfig:
    """An address that is told by POST. `secret` names the key of the signature.

    `form`: `json` is ours, signed by HMAC-SHA-256 in a header; `dingtalk` and `wecom` are the robots of 钉钉 and 企业微信.
    """

    url: str
    form: Literal["json", "dingtalk", "wecom"] = "json"
    secret: str = ""
    ca: str = ""
    least: Least = "warning"
    language: LANGUAGES = "zh"
    timeout: timedelta = timedelta(seconds=20)


@dataclass(frozen=True, kw_only=True)
class AlarmsConfig:
    """From when on something is a warning, and from when on it is critical."""

    backlog: timedelta = timedelta(minutes=30)  # age of the oldest document that waits, other than of a backfill
    backlog_critical: timedelta = timedelta(hours=4)
    unreachable: timedelta = timedelta(minutes=10)  # a source, an inlet, a destination; a feed that fails
    unreachable_critical: timedelta = timedelta(hours=2)
    usual_silence: Count = (
        TWENTY  # records that the same hours usually bring and that do not come; 0: only `silence =` of a feed
    )
    refused: int = 1  # documents that a destination refused
    held: int = 20  # % of a feed's records of the last four hours
    held_critical: int = 80
    held_least: int = 20  # records
    unmapped: int = 10  # local codes without a map
    unmapped_age: timedelta = timedelta(days=3)  # or one of them for so long
    certificate_days: int = 30
    certificate_days_critical: int = 7
    clock: timedelta = timedelta(minutes=1)  # between our clock and a platform's
    clock_critical: timedelta = timedelta(minutes=5)
    quota: int = 80  # % of [spool] quota, and of [images] quota
    quota_critical: int = 95
    disk: int = 90  # % of the file system of the state directory
    disk_critical: int = 97
    log: timedelta = timedelta(minutes=30)  # entries of the log that no platform has countersigned
    log_critical: timedelta = timedelta(hours=24)
    restarts: int = 3  # in an hour, that nobody asked for
    studies: timedelta = timedelta(hours=1)  # that a study waits for a person
    settle: timedelta = timedelta(minutes=2)  # so long nothing may be wrong before an alarm ends
    heartbeat: timedelta = timedelta(seconds=60)  # to our own platforms; "0s": never
    keep: timedelta = timedelta(days=400)  # of what has ended
    language: LANGUAGES = "zh"  # of what is logged
    mute: tuple[MuteConfig, ...] = ()
    mail: dict[str, MailConfig] = field(default_factory=dict)
    webhooks: dict[str, WebhookConfig] = field(default_factory=dict)


DEFAULT_ALARMS = AlarmsConfig()

# What becomes worse from left to right: a critical limit below the warning would never be told as one.
RISING = ("backlog", "unreachable", "held", "clock", "quota", "disk", "log")
PERCENT = ("held", "held_critical", "quota", "quota_critical", "disk", "disk_critical")


def alarms_problems(alarms: AlarmsConfig) -> Iterable[str]:
    """What is wrong between the limits."""
    for name in RISING:
        if getattr(alarms, f"{name}_critical") < getattr(alarms, name):
            yield f"{name}_critical is less than {name}: what is critical is a warning first"
    if alarms.certificate_days_critical > alarms.certificate_days:
        yield "certificate_days_critical is more than certificate_days: what is critical is a warning first"
    for name in PERCENT:
        if getattr(alarms, name) > 100:
            yield f"{name} is a percentage: 1 to 100"
    for name in ("backlog", "unreachable", "clock", "log", "studies"):
        if not getattr(alarms, name):
            yield f"{name} must be longer than nothing: it would always be an alarm"
    if alarms.heartbeat and alarms.heartbeat < timedelta(seconds=5):
        yield 'heartbeat must be at least "5s", or "0s" for never'
    for name in sorted(alarms.mail.keys() & alarms.webhooks.keys()):
        yield f"webhooks.{name}: a [alarms.mail.{name}] has that name, too; `alarms list` would not know which one is meant"


def mute_problems(mute: MuteConfig) -> Iterable[str]:
    """What is wrong with one window."""
    if not mute.reason.strip():
        yield "reason is empty: who reads this next year wants to know why nobody was told"
    for kind in mute.kinds:
        if kind not in KINDS:
            yield f"kinds: {kind!r} is no kind of alarm (known: {', '.join(sorted(KINDS))})"
    if mute.until < mute.first:
        yield "until is before from"


def mail_problems(mail: MailConfig) -> Iterable[str]:
    """What is wrong with one mail server."""
    if not mail.host or "/" in mail.server or "@" in mail.server:
        yield f'server = {mail.server!r} is no host (for example "smtp.hospital.local" or "10.0.0.9:587")'
    for key, addresses in (("from", (mail.sender,)), ("to", mail.to)):
        for address in addresses:
            if not ADDRESS.fullmatch(address):
                yield f'{key}: {address!r} is no address (for example "it@hospital.local")'
    if not mail.to:
        yield "to is empty: nobody would be told"
    if mail.secret and not mail.user:
        yield "secret does nothing without user"
    if mail.user and not mail.secret:
        yield 'user needs a password: secret = "…" names it (frontend-agent secret set)'
    if mail.secret and mail.security == "none":
        yield 'security = "none" would send the password in clear: use "starttls" or "tls", or leave user and secret out'


def webhook_problems(webhook: WebhookConfig) -> Iterable[str]:
    """What is wrong with one webhook."""
    try:
        parts = urlsplit(webhook.url)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname
    except ValueError:
        wrong = True
    if wrong:
        yield f"url = {webhook.url!r} is no http or https address"
    if webhook.form == "wecom" and webhook.secret:
        yield 'secret does nothing with form = "wecom": its robot has its key in the address'


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {
    AlarmsConfig: alarms_problems,
    MuteConfig: mute_problems,
    MailConfig: mail_problems,
    WebhookConfig: webhook_problems,
}
PATHS: dict[type[Any], tuple[str, ...]] = {MailConfig: ("ca",), WebhookConfig: ("ca",)}
