"""What a finding may show of a value (law 9): a finding may be logged, so nothing in it may identify a person.

Numbers that identify keep their first three and last two characters, names keep the family name, codes and dates are
shown, of any other text only the length.
"""

import re
from typing import Literal

How = Literal["number", "name", "shown", "length"]

_DATE = re.compile(r"[0-9][0-9 T:./Z+-]{3,28}")
_IDENTIFYING = re.compile(r"\d{17}[\dXx]|\d{15}|1\d{10}|\d{9,}")
_CODE = re.compile(r"[0-9A-Za-z.+*/_ -]{1,20}")
_COMPOUND_FAMILY_NAMES = (
    "欧阳",
    "司马",
    "上官",
    "诸葛",
    "东方",
    "尉迟",
    "皇甫",
    "慕容",
    "令狐",
    "夏侯",
    "公孙",
    "长孙",
)

_NUMBERS = re.compile(r"(^|[._])(id|id_number|telephone|\w+_number)$")
_PERSONS = re.compile(
    r"^(patient|author|doctor|reviewer|technician|laboratory_doctor|\w+_pharmacist)\.name$"
    r"|\.(performer|orderer|reviewer|canceller)_name$"
)


def how_to_mask(field: str, format_: str = "", coded: bool = False) -> How:
    """How the values of a field may be shown."""
    if _PERSONS.search(field):
        return "name"
    if field.startswith(("institution.", "fact.")):
        return "shown"
    if _NUMBERS.search(field):
        return "number"
    return "shown" if coded or format_.startswith("D") or format_ == "BL" else "length"


def mask(value: str, how: How = "length") -> str:
    """The value as a finding may show it."""
    if not value:
        return ""
    match how:
        case "number":
            return mask_number(value)
        case "name":
            return mask_name(value)
        case "shown":
            return mask_local_code(value)
    return f"[{len(value)}]"


def mask_number(value: str) -> str:
    """110***11: enough to find the row, not the person."""
    if len(value) <= 6 or not value.isascii():
        return f"[{len(value)}]"
    return f"{value[:3]}{'*' * min(len(value) - 5, 13)}{value[-2:]}"


def mask_name(value: str) -> str:
    """张**: the family name."""
    if not value.isprintable():
        return f"[{len(value)}]"
    kept = 2 if value.startswith(_COMPOUND_FAMILY_NAMES) else 1
    return value[:kept] + "*" * min(max(len(value) - kept, 1), 3)


def mask_local_code(value: str) -> str:
    """A code or a date as it is; what only pretends to be one (a name or a number in the wrong column) is masked."""
    if _IDENTIFYING.fullmatch(value) and not _looks_like_date(value):
        return mask_number(value)
    if _CODE.fullmatch(value) or _DATE.fullmatch(value):
        return value
    return value if len(value) <= 6 and value.isprintable() else f"[{len(value)}]"


def mask_unreadable(value: str) -> str:
    """What could not be read as a date, number or yes/no: its shape, so that one sees what is wrong without seeing it."""
    if len(value) > 30:
        return f"[{len(value)}]"
    if _DATE.fullmatch(value) and not _IDENTIFYING.fullmatch(value):
        return value
    return re.sub(r"[^\W\d_]", lambda m: "A" if m[0].isascii() else "汉", re.sub(r"\d", "9", value))


def _looks_like_date(value: str) -> bool:
    return len(value) in (12, 14) and value[:2] in ("18", "19", "20", "21") and value[4:6] <= "12"
