"""How dates and times are written in `@value`: the standard's digits, or what one region's type checker insists on (R-VA-10).

A record always holds digits (`yyyyMMdd`, `yyyyMMddHHmmss`); a region profile says how its platform wants to see them, and the
reader takes every known form back. Times are the institution's local ones in every form: none of them says UTC.
"""

from collections.abc import Callable, Mapping

Stamp = Callable[[bytes], bytes]  # digits -> as it is written


def _with_t(digits: bytes) -> bytes:
    return digits[:8] + b"T" + digits[8:]


def _iso_date(digits: bytes) -> bytes:
    return digits[:4] + b"-" + digits[4:6] + b"-" + digits[6:8]


def _iso_time(digits: bytes) -> bytes:
    return _iso_date(digits) + b"T" + digits[8:10] + b":" + digits[10:12] + b":" + digits[12:14]


# What a profile may ask for, by name. None: as it is.
DATES: Mapping[str, Stamp | None] = {
    "yyyyMMdd": None,
    "yyyy-MM-dd": _iso_date,
    "yyyyMMddT000000": lambda digits: digits + b"T000000",
    "yyyy-MM-ddT00:00:00": lambda digits: _iso_date(digits) + b"T00:00:00",
}
TIMES: Mapping[str, Stamp | None] = {
    "yyyyMMddHHmmss": None,
    "yyyyMMddTHHmmss": _with_t,  # DT15, as the mapping sheets print it
    "yyyy-MM-ddTHH:mm:ss": _iso_time,
}
KNOWN: Mapping[str, Mapping[str, Stamp | None]] = {"date": DATES, "datetime": TIMES}


def stamp(formats: Mapping[str, str]) -> Stamp | None:
    """One function for dates and times, told apart by their length; anything else stays as it is. None: nothing to do."""
    date = DATES[formats.get("date", "yyyyMMdd")]
    time = TIMES[formats.get("datetime", "yyyyMMddHHmmss")]
    if date is None and time is None:
        return None

    def written(value: bytes) -> bytes:
        how = {8: date, 14: time}.get(len(value))
        return how(value) if how and value.isdigit() else value

    return written


def digits_of(value: str, width: int) -> str:
    """The way back. A date that was written as its midnight is a date again; what is of no known form stays as it is."""
    if value.isdigit():
        return value
    bare = value.replace("-", "").replace(":", "").replace("T", "")
    if not bare.isdigit() or len(bare) not in (8, 14):
        return value
    return bare[:8] if width == 8 and bare.endswith("000000") else bare
