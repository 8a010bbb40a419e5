"""The words of the console and of `status --watch`, and figures as people say them. Pure."""

import tomllib
from datetime import datetime
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

TEXTS: dict[str, dict[str, str]] = tomllib.loads(
    resources.files("frontend_agent.console").joinpath("texts.toml").read_text("utf-8")
)


def say(lang: str, key: str, **values: Any) -> str:
    return TEXTS[lang][key].format(**values)


def word(lang: str, group: str, name: str) -> str:
    """A word of the agent (a state, a role, an event) in the reader's language; as it is, if we have no word for it."""
    return TEXTS[lang].get(f"{group}.{name}", name)


def when(zone: ZoneInfo | None, now: datetime, moment: str | None) -> str:
    """A moment by the institution's clock (None: by this machine's): the time alone, if it was today."""
    if not moment:
        return "–"
    local = datetime.fromisoformat(moment).astimezone(zone)
    same_day = local.date() == now.astimezone(zone).date()
    return local.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M")


def ago(lang: str, now: datetime, moment: str) -> str:
    """How long it lasts."""
    seconds = max(0, int((now - datetime.fromisoformat(moment)).total_seconds()))
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length or (unit == "minutes" and seconds >= 60):
            return say(lang, f"for_{unit}", n=seconds // length)
    return say(lang, "for_seconds", n=seconds)


def size(number: float) -> str:
    """1,234 bytes as people say it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:,.0f} {unit}" if unit in ("B", "KiB") else f"{number:,.1f} {unit}"
        number /= 1024
    return ""
