"""What mails and webhooks say: one message for all that one channel is to be told at once."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from frontend_agent.alarms.model import Alarm, Level
from frontend_agent.alarms.telling import Tell
from frontend_agent.alarms.texts import TEST, Language, plain_texts, tell

LONGEST = 2000  # characters of what a robot takes (企业微信: 2048 bytes of text, so less where it is Chinese)
WORDS: dict[Language, dict[str, str]] = {
    "en": {"begins": "ALARM", "ends": "OVER", "critical": "CRITICAL", "warning": "WARNING", "cause": "Cause", "mend": "Mend",
           "since": "since", "until": "until", "more": "and {n} more"},
    "zh": {"begins": "告警", "ends": "恢复", "critical": "严重", "warning": "警告", "cause": "原因", "mend": "处理",
           "since": "自", "until": "至", "more": "另有 {n} 条"},
}  # fmt: skip


class Sender(NamedTuple):
    """Who tells: the hospital, and its clock."""

    institution: str
    name: str
    zone: tzinfo


class Message(NamedTuple):
    """What is told, as text. `key` is the same whenever the same is told again."""

    subject: str
    body: str
    key: str


def message_of(tells: Sequence[Tell], sender: Sender, language: Language) -> Message:
    """One message. Its first line says what the first of them is, and how many there are."""
    lines = [line for one in tells for line in (*_told(one, sender, language), "")]
    key = "-".join(f"{one.alarm.id}.{one.turn}" for one in (tells[0], tells[-1]))
    return Message(f"[{sender.name}] {_headline(tells, language)}", "\n".join(lines), f"{len(tells)}-{key}")


def _headline(tells: Sequence[Tell], language: Language) -> str:
    words, first = WORDS[language], tells[0]
    level = words[str(first.alarm.level)]
    mark = f"{words['begins']} {level}" if first.turn == "begins" else words["ends"]
    more = f" ({words['more'].format(n=len(tells) - 1)})" if len(tells) > 1 else ""
    return f"{mark}: {tell(first.alarm, language).title}{more}"


def _told(one: Tell, sender: Sender, language: Language) -> list[str]:
    words, alarm = WORDS[language], one.alarm
    said = tell(alarm, language)
    mark = words["ends"] if one.turn == "ends" else f"{words['begins']} {words[str(alarm.level)]}"
    span = f"{words['since']} {_local(alarm.since, sender.zone)}"
    if alarm.ended_at is not None:
        span += f" {words['until']} {_local(alarm.ended_at, sender.zone)}"
    lines = [f"{mark} #{alarm.id} {said.title}", f"  {span}"]
    if one.turn == "begins":
        lines += [
            f"  {words[part]}: {text.strip()}"
            for part, text in (("cause", said.cause), ("mend", said.mend))
            if text.strip()
        ]
    return lines


def _local(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def short_text(message: Message) -> str:
    """For a robot: subject and body, cut where it takes no more."""
    text = f"{message.subject}\n\n{message.body}".strip()
    encoded = text.encode()
    return text if len(encoded) <= LONGEST else encoded[: LONGEST - 3].decode(errors="ignore") + "…"


def plain_message(tells: Sequence[Tell], sender: Sender, key: str) -> dict[str, Any]:
    """For programs: what `form = "json"` posts."""
    return {
        "institution": sender.institution,
        "name": sender.name,
        "key": key,
        "alarms": [
            {
                "id": one.alarm.id, "turn": one.turn, "kind": one.alarm.kind, "subject": one.alarm.subject,
                "level": str(one.alarm.level), "since": one.alarm.since.isoformat(),
                "began_at": one.alarm.began_at.isoformat(),
                "ended_at": one.alarm.ended_at.isoformat() if one.alarm.ended_at else None,
                "figures": dict(one.alarm.figures), "texts": plain_texts(one.alarm),
            }
            for one in tells
        ],
    }  # fmt: skip


def trial(now: datetime) -> Tell:
    """What a person sends to see whether it arrives."""
    return Tell("", "begins", Alarm(0, TEST, "", Level.WARNING, now, now))
