"""Whether values are what their value representations say (PS3.5 §6.2), as far as others stumble over it."""

import re
from collections.abc import Callable, Mapping
from datetime import date

_LONGEST = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64}  # characters; of a name, each of its groups


def is_date(text: str) -> bool:
    """DA: a day that there is."""
    try:
        return len(text) == 8 and text.isdecimal() and bool(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    except ValueError:
        return False


_TIME = re.compile(r"([01]\d|2[0-3])(([0-5]\d)(([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)
_MOMENT = re.compile(r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?", re.ASCII)
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*", re.ASCII)
_IS = re.compile(r"[+-]?\d{1,11}", re.ASCII)
_DS = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_MATCHES: Mapping[str, Callable[[str], object]] = {
    "AE": lambda text: "\\" not in text and text.isascii(),
    "AS": re.compile(r"\d{3}[DWMY]", re.ASCII).fullmatch,
    "CS": re.compile(r"[A-Z0-9 _]*", re.ASCII).fullmatch,
    "DA": is_date,
    "DS": lambda text: len(text) <= 16 and _DS.fullmatch(text.strip(" ")),
    "DT": _MOMENT.fullmatch,
    "IS": lambda text: _IS.fullmatch(text.strip(" ")) and -(2**31) <= int(text) < 2**31,
    "TM": _TIME.fullmatch,
    "UI": lambda text: len(text) <= 64 and _UID.fullmatch(text),
    "LO": lambda _: True,
    "SH": lambda _: True,
    "PN": lambda _: True,
}
CHECKED = frozenset(_MATCHES)


def is_value(vr: str, text: str) -> bool:
    """Whether all values of an element are of its value representation. Nothing is always; of others than CHECKED nobody says it."""
    if vr not in _MATCHES:
        return True
    values = text.split("\\")
    return all(not (value := one.strip(" ")) or (bool(_MATCHES[vr](value)) and _fits(vr, value)) for one in values)


def _fits(vr: str, value: str) -> bool:
    if vr == "PN":
        return all(len(group) <= 64 for group in value.split("=")) and value.count("=") <= 2
    return len(value) <= _LONGEST.get(vr, len(value))
