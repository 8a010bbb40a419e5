"""A cursor: as text in a watermark, as a time, as so much earlier, and in the form that the source compares.

A column that says when a row changed has many forms: a timestamp, a date, text in one of the usual writings
(`2026-09-30 08:00:00`, `2026/09/30`, `20260930080000`, `2026093008:00:00`), or seconds or milliseconds since 1970. What is
compared with it is always given in the column's own form, so that its index can be used. A plain number means a time only
where the mapping says so (`cursor_unit`): a report's own number must not be taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo

Unit = Literal["", "s", "ms"]
_PER_SECOND = {"s": 1, "ms": 1000}
_TAGS = ("time:", "date:", "int:", "number:", "float:", "text:", "bytes:")
_TEXT_TIMES = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "%Y-%m-%d %H:%M:%S"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"), "%Y-%m-%dT%H:%M:%S"),
    (re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d"), "%Y/%m/%d %H:%M:%S"),
    (re.compile(r"\d{14}(?=\.|$)"), "%Y%m%d%H%M%S"),
    (re.compile(r"\d{8}\d\d:\d\d:\d\d"), "%Y%m%d%H:%M:%S"),
    (re.compile(r"\d{8} \d\d:\d\d:\d\d"), "%Y%m%d %H:%M:%S"),
    (re.compile(r"\d{12}(?=$)"), "%Y%m%d%H%M"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?=$)"), "%Y-%m-%d %H:%M"),
    (re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d(?=$)"), "%Y/%m/%d %H:%M"),
    (re.compile(r"\d{8}(?=$)"), "%Y%m%d"),
    (re.compile(r"\d{4}-\d\d-\d\d(?=$)"), "%Y-%m-%d"),
    (re.compile(r"\d{4}/\d\d/\d\d(?=$)"), "%Y/%m/%d"),
)


# -- as text --


def cursor_text(value: Any) -> str:
    """A cursor as text that says its own type, so that it goes back to the source as what it was."""
    if isinstance(value, datetime):
        return f"time:{value.isoformat()}"
    if isinstance(value, date):
        return f"date:{value.isoformat()}"
    if isinstance(value, int):
        return f"int:{value}"
    if isinstance(value, Decimal):
        return f"number:{value}"
    if isinstance(value, float):
        return f"float:{value!r}"
    if isinstance(value, bytes | bytearray | memoryview):  # SQL Server's rowversion
        return f"bytes:{bytes(value).hex()}"
    text = str(value)
    return f"text:{text}" if text.startswith(_TAGS) else text


_VALUES: dict[str, Callable[[str], Any]] = {
    "time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "int": int,
    "number": Decimal,
    "float": float,
    "bytes": bytes.fromhex,
    "text": str,
}


def cursor_value(text: str) -> Any:
    """The opposite of `cursor_text`."""
    tag, colon, rest = text.partition(":")
    if not colon or tag not in _VALUES:
        return text
    try:
        return _VALUES[tag](rest)
    except (ValueError, InvalidOperation):
        return text


# -- as a time --


def text_time(text: str) -> tuple[datetime, str, str] | None:
    """The time that a text begins with, its form, and the rest of the text. None where it is no time."""
    for pattern, form in _TEXT_TIMES:
        if found := pattern.match(text):
            try:
                return datetime.strptime(found[0], form), form, text[found.end() :]
            except ValueError:
                return None
    return None


def moment(value: Any, unit: Unit = "", zone: ZoneInfo | None = None) -> datetime | None:
    """The cursor as a local time without a zone, if it is one. `zone` is the institution's: for what carries its own."""
    try:
        if isinstance(value, datetime):
            return value.astimezone(zone or UTC).replace(tzinfo=None) if value.tzinfo else value
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day)
        if isinstance(value, str):
            if unit and re.fullmatch(r"\d{1,18}", value):
                return moment(int(value), unit, zone)
            return read[0] if (read := text_time(value)) else None
        if unit and isinstance(value, int | Decimal | float):
            return datetime.fromtimestamp(float(value) / _PER_SECOND[unit], zone or UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):
        return None
    return None


def shifted(value: Any, overlap: timedelta, unit: Unit = "") -> Any:
    """The cursor that much earlier, in the same form. None where a time means nothing."""
    try:
        if isinstance(value, datetime):
            return value - overlap
        if isinstance(value, date):
            return value - timedelta(days=-(-overlap // timedelta(days=1)))
        if isinstance(value, str) and unit and re.fullmatch(r"\d{1,18}", value):
            return str(shifted(int(value), overlap, unit)).rjust(len(value), "0")
        if isinstance(value, str) and (read := text_time(value)):
            at, form, rest = read
            return (at - _whole(overlap, form)).strftime(form) + rest
        if unit and isinstance(value, int | Decimal | float):
            ticks = -(-overlap // timedelta(milliseconds=1)) if unit == "ms" else -(-overlap // timedelta(seconds=1))
            return type(value)(value - ticks)
    except OverflowError:
        return value
    return None


def _whole(overlap: timedelta, form: str) -> timedelta:
    """Days for a form that has only days: nine minutes earlier than a day is the day before."""
    return overlap if "%H" in form else timedelta(days=-(-overlap // timedelta(days=1)))


def like(sample: Any, bound: datetime | str, unit: Unit = "", zone: ZoneInfo | None = None) -> Any:
    """A bound (local time, or a cursor as text) in the form that the source's cursor has."""
    if isinstance(bound, str):
        return cursor_value(bound)
    if isinstance(sample, datetime):
        bound = bound.replace(microsecond=0)  # Oracle's DATE has none, SQL Server's datetime takes milliseconds at most
        if sample.tzinfo and not bound.tzinfo:
            return bound.replace(tzinfo=zone or sample.tzinfo)
        return bound if sample.tzinfo else bound.replace(tzinfo=None)
    if isinstance(sample, date):
        return bound.date()
    if isinstance(sample, str) and unit:
        return str(like(int(sample), bound, unit, zone)).rjust(len(sample), "0") if sample.isdigit() else bound
    if isinstance(sample, str) and (read := text_time(sample)):
        return bound.strftime(read[1])
    if unit and isinstance(sample, int | Decimal | float):
        return type(sample)(epoch(bound, unit, zone))
    return bound


def epoch(local: datetime, unit: Unit, zone: ZoneInfo | None) -> int:
    """A local time as whole seconds or milliseconds since 1970."""
    known = local if local.tzinfo else local.replace(tzinfo=zone or UTC)
    return int((known - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1 / _PER_SECOND[unit]))


def later(one: Any, other: Any) -> bool:
    """Whether one cursor comes after another."""
    try:
        return bool(one > other)
    except TypeError:  # the query's cursor changed its type since: what is read now counts
        return True


def earliest(one: Any, other: Any) -> Any:
    """The earlier of two cursors; the first where they cannot be compared."""
    return other if later(one, other) else one
