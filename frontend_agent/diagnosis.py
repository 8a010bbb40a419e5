"""What a support bundle holds: how the agent is, without a word of a patient. Values in, texts out.

A bundle leaves the hospital, so each part is made of figures, names of things and states alone; business keys, values and
people's names are left out where they stand, and what still looks like a person's number, telephone or mail address is
taken out of the finished text (`scrubbed`), and said so. Secrets cannot be in it: agent.toml names them and nothing else.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

TAKEN_OUT = "***"
PERSONAL = {"who", "decided_by", "reason", "account", "accepted_by", "from_address"}
PEOPLE = "people.persons"  # the only place in which `name` is a person's
ODBC_KEPT = {"driver", "server", "database", "port", "encrypt", "trustservercertificate"}

# 18 digits of a resident's identity number with a possible birth date (GB 11643-1999), a mobile telephone, a mail address.
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z.])[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![0-9A-Za-z])"
)
_TELEPHONE = re.compile(r"(?<![0-9A-Za-z.:_-])1[03-9]\d{9}(?![0-9A-Za-z]|\.\d)")
_MAIL = re.compile(r"[A-Za-z0-9._%+-]+@(?=[A-Za-z0-9-]+\.[A-Za-z])")


class Part(msgspec.Struct, frozen=True):
    """One file of the bundle, and what it is."""

    name: str
    about: str
    text: str


def scrubbed(text: str) -> tuple[str, int]:
    """The text without what looks like a person's, and how much was taken out."""
    taken = 0
    for pattern in (_NUMBER, _TELEPHONE, _MAIL):
        text, count = pattern.subn(TAKEN_OUT, text)
        taken += count
    return text, taken


def as_text(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted", enc_hook=str), indent=2).decode() + "\n"


# --- the configuration ------------------------------------------------------------------------------------------------


def masked(value: Any, place: str = "") -> Any:
    """Settings as plain values: addresses without accounts, connection strings without passwords, nobody's name."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: masked(getattr(value, one.name), _join(place, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): masked(one, _join(place, str(name))) for name, one in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [masked(one, place) for one in value]
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, str):
        return _masked_text(value, place)
    return value if isinstance(value, bool | int | float | None) else str(value)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _masked_text(value: str, place: str) -> str:
    key = place.rpartition(".")[2]
    if not value:
        return value
    if key in PERSONAL or place == f"{PEOPLE}.name":
        return TAKEN_OUT
    if key == "odbc":
        return ";".join(_masked_pair(pair) for pair in value.split(";") if pair)
    return _without_account(value) if "://" in value else value


def _masked_pair(pair: str) -> str:
    name, _, _ = pair.partition("=")
    return pair if name.strip().lower() in ODBC_KEPT else f"{name}={TAKEN_OUT}"


def _without_account(url: str) -> str:
    """Without user, password and query: a query may hold a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return TAKEN_OUT
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(
        netloc=f"{TAKEN_OUT}@{place}" if "@" in parts.netloc else place, query=TAKEN_OUT if parts.query else ""
    ).geturl()


# --- what waits for a person ------------------------------------------------------------------------------------------

GROUP_KEPT = (
    "id",
    "feed",
    "kind",
    "rule",
    "state",
    "destination",
    "field",
    "column",
    "count",
    "since",
    "actor",
    "title",
    "released",
)


def causes(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups of the quarantine: the cause and how many, without the example, its key and its value."""
    return [{name: group[name] for name in GROUP_KEPT if name in group} for group in groups]


def newest_lines(text: str, most: int) -> str:
    """The end of a log, by whole lines, of at most so many characters."""
    if len(text) <= most:
        return text
    return text[-most:].partition("\n")[2]


# --- the list of what is in it ----------------------------------------------------------------------------------------


def listed(parts: Iterable[tuple[Part, str, int]], made: str) -> str:
    """MANIFEST.txt: every file with its size, SHA-256, what it is, and how much was taken out of it."""
    lines = [
        f"Support bundle of a front-end machine, made {made}. 前置机支持包。",
        "No patient's content is in it: counts, states, names of feeds, rules and columns, versions, the program's own log.",
        "不含患者内容：仅有数量、状态、数据流与规则及列名、版本和程序日志。",
        "",
    ]
    for part, digest, taken in parts:
        lines.append(f"{part.name}  {len(part.text.encode())} bytes  sha256 {digest}")
        lines.append(
            f"    {part.about}" + (f"  ({taken} values that looked like a person's were taken out)" if taken else "")
        )
    return "\n".join(lines) + "\n"
