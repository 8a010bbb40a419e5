"""What the values of a column tell: text in the wrong character set, dates kept as instants. Pure; no value leaves.

A hospital's text is Chinese. Read through the wrong character set it becomes a text of other letters that, turned back into
bytes, reads as Chinese in the right one: that is looked for, and never guessed from one value alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from connectors.doctor.ailment import Ailment

ENOUGH = 3  # values that must say the same
SHARE = 0.6
# The only characters that are ever shown of a value: words of departments and papers, of no name and no complaint.
HARMLESS = frozenset("男女科室门诊住院病区检验药号医护士内外妇儿急初复西中成粒片次天日毫克支盒")
_WAYS = (  # (how it was read, what it is)
    ("latin-1", "gb18030"),
    ("cp1252", "gb18030"),
    ("latin-1", "utf-8"),
    ("cp1252", "utf-8"),
    ("gb18030", "utf-8"),
)


def text_ailment(where: str, values: Sequence[Any], odbc: bool, family: str) -> Ailment | None:
    """What is wrong with the texts of one column, or None."""
    texts = [value for value in values if isinstance(value, str) and not value.isascii()]
    for read, right in _WAYS:
        mended = [found for text in texts if (found := _turned(text, read, right)) is not None]
        if len(mended) >= ENOUGH and len(mended) >= SHARE * len(texts):
            before, after = _shown(mended, read, right)
            values_ = {"read": read, "right": right, "before": before, "after": after, "count": str(len(mended))}
            return Ailment("text.misread", "wrong", where, values_, _text_mend(where, read, right, odbc, family))
    undecoded = [text for text in texts if "\ufffd" in text]
    if undecoded:
        mend = ('encoding = "gb18030"',) if odbc else ()
        return Ailment("text.undecoded", "wrong", where, {"count": str(len(undecoded))}, mend)
    lost = [value for value in _strings(values) if value.count("?") >= 2 and not value.strip("? .()-0123456789")]
    if len(lost) >= ENOUGH and 2 * len(lost) >= len(_strings(values)):
        return Ailment("text.lost", "wrong", where, {"count": str(len(lost))})
    return None


def _strings(values: Iterable[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _turned(text: str, read: str, right: str) -> str | None:
    """The text as it was meant, if reading its bytes the right way gives everyday Chinese and the text as it is does not."""
    try:
        meant = text.encode(read).decode(right)
    except UnicodeError:
        return None
    chinese = [character for character in meant if not character.isascii()]
    if not chinese or meant == text or not all(map(_is_everyday, chinese)):
        return None
    if read != "gb18030" and any(_is_chinese(character) for character in text):
        return None
    return meant


def _is_chinese(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def _is_everyday(character: str) -> bool:
    """One of the 3,755 characters of GB 2312's first level, or Chinese punctuation."""
    if character in "，。、；：？！（）《》“”‘’—…　·％℃":
        return True
    try:
        raw = character.encode("gb2312")
    except UnicodeError:
        return False
    return len(raw) == 2 and 0xB0 <= raw[0] <= 0xD7


def _shown(mended: Sequence[str], read: str, right: str) -> tuple[str, str]:
    """At most two harmless characters, as they are read and as they are meant; shapes where there is none."""
    some = [character for character in dict.fromkeys("".join(mended)) if character in HARMLESS][:2]
    after = "".join(some)
    try:
        return (after.encode(right).decode(read), after) if after else ("□□", "□")
    except UnicodeError:
        return "□□", after


def _text_mend(where: str, read: str, right: str, odbc: bool, family: str) -> tuple[str, ...]:
    if odbc:
        return (f'encoding = "{right}"',)
    column = where.rpartition(".")[2]
    charset = "gbk" if right == "gb18030" else "utf8mb4"
    if family in ("mariadb", "mysql"):
        source = "latin1" if read in ("latin-1", "cp1252") else "gbk"
        return (f"CONVERT(CAST(CONVERT({column} USING {source}) AS BINARY) USING {charset})",)
    if family == "postgresql":
        source = "LATIN1" if read == "latin-1" else "WIN1252" if read == "cp1252" else "GB18030"
        return (f"convert_from(convert_to({column}, '{source}'), '{right.upper().replace('-', '')}')",)
    return (f'odbc = "…"   encoding = "{right}"',)


def date_ailment(where: str, values: Iterable[Any], zone: ZoneInfo, family: str = "") -> Ailment | None:
    """Whether the times of one column are dates that somebody kept as instants, or None."""
    moments = [value for value in values if isinstance(value, datetime)]
    if len({moment.date() for moment in moments}) < ENOUGH:
        return None
    column = where.rpartition(".")[2]
    if all(moment.tzinfo for moment in moments):
        at_midnight = all(moment.astimezone(zone).time() == time() for moment in moments)
        elsewhere = any(moment.astimezone(UTC).time() != time() for moment in moments)
        if at_midnight and elsewhere:
            mend = (f"({column} AT TIME ZONE '{zone.key}')::date",) if family == "postgresql" else ()
            return Ailment("date.instant", "doubt", where, {"zone": zone.key}, mend)
        return None
    midnight = datetime(2001, 1, 1, tzinfo=zone).astimezone(UTC).time()
    if midnight != time() and all(moment.time() == midnight for moment in moments if not moment.tzinfo):
        hours = 24 - midnight.hour
        mend = (
            (f"{column} + INTERVAL '{hours} hours'",)
            if family == "postgresql"
            else (f"DATE_ADD({column}, INTERVAL {hours} HOUR)",)
        )
        return Ailment("date.utc", "wrong", where, {"zone": zone.key, "hours": str(hours)}, mend)
    return None


def clock_ailment(where: str, theirs: datetime, ours: datetime) -> Ailment:
    """The source's clock against ours, both local and without a zone."""
    seconds = (theirs - ours).total_seconds()
    values = {"seconds": f"{abs(seconds):.0f}", "ahead": "+" if seconds > 0 else "-"}
    if abs(seconds) < 5:
        return Ailment("clock.fine", "fine", where, values)
    zone = abs(seconds) > 1800 and min(abs(seconds) % 1800, 1800 - abs(seconds) % 1800) < 60
    if zone:
        return Ailment("clock.zone", "wrong", where, {**values, "hours": f"{seconds / 3600:+.1f}"}, ("timedatectl",))
    return Ailment("clock.skew", "wrong" if abs(seconds) >= 60 else "doubt", where, values, ("chronyc tracking",))
