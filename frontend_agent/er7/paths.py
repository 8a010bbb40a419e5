"""Paths into an HL7 v2 message.

    PID-5.1                         the first PID, field 5, its first repetition, component 1
    PID-3[2].1.2   PID-3[*].1       the second repetition; all of them
    PID-3[.5=MR].1                  the repetition whose component 5 is MR
    OBX[2]-5   OBX[*]-5             the second OBX; all of them
    OBX[OBX-3.1=8480-6]-5           the OBX whose field 3.1 is 8480-6 (OBX[3.1=8480-6] is the same)
    OBR>NTE[*]-3                    the NTEs that stand directly behind OBR
    ZPV-3                           segments of their own making, like any other

Numbers count from 1. A path without a component means the whole field as it is written, delimiters and all: what a sender forgot to
escape (10^9/L) is not lost. MSH-1 is the field separator, MSH-2 the other delimiters.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from frontend_agent.errors import ConfigurationError

ALL = -1
_PLACE = r"(?P<field>[1-9]\d{0,2})(?P<pick>\[[^\]]*\])?(?:\.(?P<component>[1-9]\d{0,2}))?(?:\.(?P<sub>[1-9]\d{0,2}))?"
_FIELD = re.compile(_PLACE)
_STEP = re.compile(r"(?P<name>[A-Z][A-Z0-9]{2})(?P<pick>\[[^\]]*\])?")
_INDEX = re.compile(r"[1-9]\d{0,5}")
_LIKE = "like PID-5.1, PID-3[2].1, OBX[*]-5, OBX[OBX-3.1=8480-6]-5, OBR>NTE[*]-3"


class Place(NamedTuple):
    """Where in a segment: 0 means the whole of what is left of it."""

    field: int
    repetition: int = 1  # ALL for every one
    component: int = 0
    sub: int = 0
    where: tuple[int, int, str] | None = None  # the repetition whose component (and subcomponent) is that text


class Step(NamedTuple):
    """Which segments of a name: the nth, all, or those in which a place says something."""

    name: str
    nth: int = 1  # ALL for every one
    where: tuple[Place, str] | None = None


class SegmentPath(NamedTuple):
    text: str
    steps: tuple[Step, ...]


class FieldPath(NamedTuple):
    text: str
    steps: tuple[Step, ...]
    place: Place

    @property
    def is_many(self) -> bool:
        return self.place.repetition == ALL or any(step.nth == ALL for step in self.steps)


@lru_cache(maxsize=4_096)  # a mapping's paths, asked for with every message
def field_path(text: str) -> FieldPath:
    """Compile a path to values. ConfigurationError (without the file, which the caller knows) for what is none."""
    cut = _last_dash(text)
    if cut < 0:
        raise ConfigurationError(f"path '{text}': names no field ({_LIKE})")
    return FieldPath(text, _steps(text[:cut], text), _place(text[cut + 1 :], text))


def segment_path(text: str) -> SegmentPath:
    """Compile a path to segments: `OBX`, `OBR[*]`, `OBR>NTE`. Without an index all of them are meant."""
    steps = _steps(text, text)
    last = steps[-1] if text.endswith("]") else steps[-1]._replace(nth=ALL)
    return SegmentPath(text, (*steps[:-1], last))


def _last_dash(text: str) -> int:
    """The dash before the field: the last one outside of brackets."""
    depth, found = 0, -1
    for place, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "-" and not depth:
            found = place
    return found


def _steps(text: str, whole: str) -> tuple[Step, ...]:
    return tuple(_step(part, whole) for part in _split_outside(text))


def _split_outside(text: str) -> list[str]:
    """By `>`, but not inside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == ">" and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _step(text: str, whole: str) -> Step:
    match = _STEP.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"path '{whole}': '{text}' is no segment ({_LIKE})")
    name, pick = match["name"], (match["pick"] or "")[1:-1]
    if match["pick"] is None:
        return Step(name)
    if pick == "*":
        return Step(name, ALL)
    if _INDEX.fullmatch(pick):
        return Step(name, int(pick))
    wanted, equals, value = pick.partition("=")
    wanted = wanted.strip().removeprefix(f"{name}-")
    if not equals or not value.strip():
        raise ConfigurationError(f"path '{whole}': [{pick}] is a number, * or [{name}-3.1=value]")
    return Step(name, 1, (_place(wanted, whole), value.strip()))


def _place(text: str, whole: str) -> Place:
    match = _FIELD.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"path '{whole}': '{text}' is no field ({_LIKE})")
    component, sub = int(match["component"] or 0), int(match["sub"] or 0)
    field, pick = int(match["field"]), (match["pick"] or "")[1:-1]
    if match["pick"] is None:
        return Place(field, 1, component, sub)
    if pick == "*":
        return Place(field, ALL, component, sub)
    if _INDEX.fullmatch(pick):
        return Place(field, int(pick), component, sub)
    wanted = re.fullmatch(r"\.([1-9]\d{0,2})(?:\.([1-9]\d{0,2}))?\s*=\s*(.+?)\s*", pick)
    if wanted is None:
        raise ConfigurationError(f"path '{whole}': [{pick}] is a number, * or [.5=value] of a component")
    return Place(field, 1, component, sub, (int(wanted[1]), int(wanted[2] or 0), wanted[3]))
