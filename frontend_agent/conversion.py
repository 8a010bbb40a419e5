"""From what a database driver hands us to text in the national format. Pure; nothing here knows a hospital.

Every conversion answers one of three things: the text, `""` for "nothing there" (NULL, blank, a placeholder such as `-`
where a date is wanted), or `None` for "cannot be read as this" — which becomes a finding, never a guess.

The same value must give the same text whatever the driver's type for it (a date as `datetime`, as ISO text, as digits),
because the text decides whether a record has changed (law 13).
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

Conversion = Callable[[Any], str | None]

# R-CO-4 [M]: texts that mean "empty" wherever the profile does not list them as an answer.
PLACEHOLDERS = frozenset(
    {
        *("-", "--", "---", "—", "——", "/", "//", "\\", ".", "*", "N/A", "n/a", "NA", "NULL", "null", "Null", "None"),
        *(
            "无",
            "未知",
            "不详",
            "不明",
            "暂无",
            "空",
            "未填",
            "未填写",
            "0000-00-00",
            "0000-00-00 00:00:00",
            "00000000",
        ),
        *("00000000000000", "nan", "NaN", "undefined"),
    }
)

_LARGEST = 10**400  # no number of a hospital; beyond it text would take memory, or Python refuses

YES = frozenset({"true", "t", "1", "y", "yes", "是"})
NO = frozenset({"false", "f", "0", "n", "no", "否"})


# -- text -----------------------------------------------------------------------------------------------------------


def text_of(value: Any) -> str | None:
    """Any scalar as plain text: stripped, line ends as in XML, numbers without exponent. Bytes are never text."""
    if isinstance(value, str):
        text = value.strip()
        return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    if value.__class__ is int:  # before the others: most of what is no text
        return str(value) if -_LARGEST < value < _LARGEST else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value) if abs(value) < _LARGEST else None
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (float, Decimal)):
        return number_of(value)
    if isinstance(value, datetime):
        return _compact(value)
    if isinstance(value, date):
        return value.strftime("%Y%m%d") if value.year >= 1000 else f"{value.year:04}{value:%m%d}"
    if isinstance(value, time):
        return f"{value.hour:02}{value.minute:02}{value.second:02}"
    return None


def raw_of(value: Any) -> str:
    """What could not be converted, as text for the source hash: stable, never shown."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"bytes:{bytes(value).hex()}"
    return text_of(value) or type(value).__name__


# -- numbers --------------------------------------------------------------------------------------------------------


def number_of(value: Any) -> str | None:
    """A number as decimal text. Text is passed on as it is, for the checks to judge; only Oracle's `.5` is completed."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("."):
            return "0" + text
        return "-0" + text[1:] if text.startswith("-.") else text
    if isinstance(value, float):
        if not isfinite(value):
            return None
        text = repr(value)  # the shortest text that means this float
        if "e" in text:
            text = format(Decimal(text), "f")
        return text.removesuffix(".0")
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() and abs(value.adjusted()) < 400 else None
    if isinstance(value, (date, time)):  # a datetime is a date
        return None
    return text_of(value)


def plain_number(text: str) -> str:
    """A number for comparison only: `5.60` (numeric(6,2)) and `5.6` (double) are one value."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def yuan_of_fen(value: Any) -> str | None:
    """Money kept in 分 as 元 with two decimals."""
    text = number_of(value)
    if not text:
        return text
    try:
        return format(Decimal(text).scaleb(-2).quantize(Decimal("0.01")), "f")
    except (InvalidOperation, ValueError):
        return None


# -- yes and no -----------------------------------------------------------------------------------------------------


def boolean_of(value: Any) -> str | None:
    """`true` or `false` (the CDA type BL)."""
    text = text_of(value)
    if not text:
        return text
    text = text.removesuffix(".0").lower()
    if text in YES:
        return "true"
    return "false" if text in NO else ("" if text in PLACEHOLDERS else None)


def is_yes(value: Any) -> bool:
    """The extra aliases `final` and `void`: NULL is no."""
    return boolean_of(value) == "true"


# -- dates and times ------------------------------------------------------------------------------------------------

# 2026-01-02, 2026/1/2, 2026.01.02, 2026年1月2日, each with an optional time, fraction and zone.
_SEPARATED = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?"
)
# 20260102, 202601020815, 20260102081500, 20260102T081500, 20260102081500123
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T?(\d{2})(\d{2})(?:(\d{2})(?:\d{3})?)?)?(Z|[+-]\d{4})?")


def moment_reader(zone: ZoneInfo) -> Conversion:
    """Dates and times as `yyyyMMddHHmmss` in the institution's zone, or `yyyyMMdd` where the source has no time of day."""

    def moment_of(value: Any) -> str | None:
        if isinstance(value, datetime):
            return _local(value, zone)
        if isinstance(value, date):
            return f"{value.year:04}{value.month:02}{value.day:02}"
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return "" if value is None else None
        text = value.strip()
        if not text or text in PLACEHOLDERS:
            return ""
        usual = _usual(text)
        if usual is not None:
            return usual
        if not text.isascii() and not _SEPARATED.fullmatch(text):
            return None
        match = _DIGITS.fullmatch(text) or _SEPARATED.fullmatch(text)
        return _from_match(match, zone) if match else None

    return moment_of


def day_reader(zone: ZoneInfo) -> Conversion:
    """Dates as `yyyyMMdd`; a time of day is dropped."""
    moment_of = moment_reader(zone)

    def day_of(value: Any) -> str | None:
        text = moment_of(value)
        return text[:8] if text else text

    return day_of


def _usual(text: str) -> str | None:
    """The shapes that nearly all sources use, without a regular expression; None where the others must be asked.

    `2026-01-02 08:15:00`, `2026-01-02`, `20260102081500`, `20260102`.
    """
    match len(text):
        case 19 if text[4:17:3] in ("-- ::", "--T::"):
            digits = text[:4] + text[5:7] + text[8:10] + text[11:13] + text[14:16] + text[17:]
        case 10 if text[4:8:3] == "--":
            digits = text[:4] + text[5:7] + text[8:]
        case 14 | 8:
            digits = text
        case _:
            return None
    if not (digits.isascii() and digits.isdigit() and digits[8:10] < "24"):  # 24:00 is no time of day here
        return None
    try:
        datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}" if len(digits) == 14 else digits)
    except ValueError:
        return None
    return digits


def _from_match(match: re.Match[str], zone: ZoneInfo) -> str | None:
    year, month, day, hour, minute, second, offset = match.groups()
    try:
        if hour is None:
            date(int(year), int(month), int(day))
            return f"{int(year):04}{int(month):02}{int(day):02}"
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
        if offset:
            moment = moment.replace(tzinfo=UTC) - _offset(offset)
            return _compact(moment.astimezone(zone))
    except (ValueError, OverflowError):
        return None
    # A source that knows hours and minutes only says so: no second is made up.
    return _compact(moment) if second is not None else _compact(moment)[:12]


def _offset(text: str) -> timedelta:
    if text == "Z":
        return timedelta()
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if text[0] == "-" else offset


def _local(moment: datetime, zone: ZoneInfo) -> str | None:
    try:
        return _compact(moment.astimezone(zone) if moment.tzinfo else moment)
    except OverflowError:  # year 1 or 9999 beyond the zone's reach: a sentinel, not a date
        return None


def _compact(moment: datetime) -> str:
    text = moment.isoformat()
    return f"{text[:4]}{text[5:7]}{text[8:10]}{text[11:13]}{text[14:16]}{text[17:19]}"


# -- named conversions: the closed list of a mapping's [parse] --------------------------------------------------------

_PATTERN_WORDS = {
    "yyyy": r"(?P<year>\d{4})",
    "MM": r"(?P<month>\d{1,2})",
    "dd": r"(?P<day>\d{1,2})",
    "HH": r"(?P<hour>\d{1,2})",
    "mm": r"(?P<minute>\d{2})",
    "ss": r"(?P<second>\d{2})",
}
_PATTERN = re.compile(r"yyyy|MM|dd|HH|mm|ss")
NAMED = ("strip", "upper", "fen", "utc", "epoch_ms_utc", "epoch_s_utc")


def named_conversion(name: str, zone: ZoneInfo) -> Conversion | None:
    """The conversion a mapping's [parse] names, or None: one of NAMED, or a date pattern such as `dd.MM.yyyy HH:mm`."""
    match name:
        case "strip":
            return text_of
        case "upper":
            return _upper
        case "fen":
            return yuan_of_fen
        case "utc":
            return _utc_reader(zone)
        case "epoch_ms_utc":
            return _epoch_reader(zone, 1000)
        case "epoch_s_utc":
            return _epoch_reader(zone, 1)
    return _pattern_reader(name) if "yyyy" in name else None


def _upper(value: Any) -> str | None:
    text = text_of(value)
    return text.upper() if text else text


def _utc_reader(zone: ZoneInfo) -> Conversion:
    """Moments without a zone are UTC (some systems store them so)."""
    moment_of = moment_reader(zone)

    def from_utc(value: Any) -> str | None:
        if isinstance(value, datetime) and value.tzinfo is None:
            return _local(value.replace(tzinfo=UTC), zone)
        text = moment_of(value)
        if isinstance(value, str) and text and len(text) == 14 and not re.search(r"(Z|[+-]\d{2}:?\d{2})$", value):
            return _local(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC), zone)
        return text

    return from_utc


def _epoch_reader(zone: ZoneInfo, per_second: int) -> Conversion:
    def from_epoch(value: Any) -> str | None:
        text = number_of(value)
        if not text:
            return text
        try:
            seconds = Decimal(text) / per_second
            return _compact((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds // 1))).astimezone(zone))
        except (InvalidOperation, OverflowError, ValueError):
            return None

    return from_epoch


def _pattern_reader(pattern: str) -> Conversion | None:
    words = _PATTERN.findall(pattern)
    if len(set(words)) != len(words):
        return None
    pieces = _PATTERN.split(pattern)
    regex = re.compile(
        "".join(
            re.escape(piece) + (_PATTERN_WORDS[words[i]] if i < len(words) else "") for i, piece in enumerate(pieces)
        )
        if any(pieces)
        else "".join(_PATTERN_WORDS[w].replace("{1,2}", "{2}") for w in words)
    )

    def from_pattern(value: Any) -> str | None:
        text = text_of(value)
        if not text or text in PLACEHOLDERS:
            return "" if text is not None else None
        match = regex.fullmatch(text)
        if not match or not text.isascii():
            return None
        part = match.groupdict()
        try:
            moment = datetime(
                int(part["year"]), int(part.get("month") or 1), int(part.get("day") or 1),
                int(part.get("hour") or 0), int(part.get("minute") or 0), int(part.get("second") or 0),
            )  # fmt: skip
        except ValueError:
            return None
        length = (
            14 if "second" in part else 12 if "minute" in part else 8 if "day" in part else 6 if "month" in part else 4
        )
        return _compact(moment)[:length]

    return from_pattern


class Memo(dict[Any, Any]):
    """Remembers a conversion's answers: the collected, received and tested times of one report are mostly the same few.

    Only for conversions whose answer depends on nothing but the value, and only for values whose equality means the same
    text (text and datetimes; not numbers, where 5.60 equals 5.6). Bounded by being emptied.
    """

    def __init__(self, convert: Conversion, size: int = 20_000) -> None:
        super().__init__()
        self.convert = convert
        self._size = size

    def __missing__(self, value: Any) -> str | None:
        if len(self) >= self._size:
            self.clear()
        text = self[value] = self.convert(value)
        return text
