"""What sampled values look like, told as shapes: how many of them are identity numbers, days, ICD-10 codes, names …

A profile keeps no value but those that joins and code tables need, and is never printed: evidence speaks in counts.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgspec

from frontend_agent.checks.identity import check_character

LONGEST = 200  # characters that a shape is told by
DISTINCT = 60  # different values that are remembered: more is no code list
_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏"
    "韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司古吉缪车项连芦麦褚窦戚岑景党宫费卜冷晏席卫米柏宗"
)
_UNITS = frozenset(
    [
        "g",
        "mg",
        "ug",
        "μg",
        "kg",
        "ml",
        "l",
        "ul",
        "iu",
        "u",
        "%",
        "mmol/l",
        "umol/l",
        "μmol/l",
        "g/l",
        "mg/l",
        "ug/l",
        "ng/ml",
        "pg/ml",
        "iu/l",
        "u/l",
        "miu/l",
        "mmhg",
        "bpm",
        "fl",
        "pg",
        "10^9/l",
        "10^12/l",
        "*10^9/l",
        "×10^9/l",
        "cells/ul",
        "mm/h",
        "s",
        "sec",
        "/hp",
        "/lp",
        "mol/l",
        "mg/dl",
        "ng/l",
        "miu/ml",
        "meq/l",
        "g/dl",
        "million/mm3",
        "/mm3",
        "片",
        "粒",
        "支",
        "盒",
        "瓶",
        "袋",
        "丸",
        "克",
        "毫克",
        "毫升",
        "升",
        "次",
        "包",
        "贴",
        "滴",
        "单位",
        "枚",
        "板",
        "管",
        "只",
        "喷",
        "吸",
        "mg/g",
        "ml/min",
    ]
)


def is_identity_number(text: str) -> bool:
    """18 characters of a resident identity number with a right check digit."""
    return bool(re.fullmatch(r"\d{17}[\dXx]", text)) and check_character(text) == text[17].upper()


def _is(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: compiled.fullmatch(text) is not None


def _is_json_object(text: str) -> bool:
    return text.startswith("{") and re.search(r'"\w+"\s*:', text) is not None


_YEAR = r"(?:1[89]|20|21)\d\d"
_DAY = rf"{_YEAR}(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|[-/.年]\d{{1,2}}[-/.月]\d{{1,2}}日?)"
# A value has every shape that fits it: what is a code is often a number, too.
SHAPES: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "identity number": is_identity_number,
        "identity-like": _is(r"\d{6}(?:18|19|20)\d{2}[01]\d[0-3]\d{4}[\dX]"),
        "telephone": _is(r"(?:\+?86)?1[3-9]\d{9}|0\d{2,3}-?\d{7,8}|\d{3,4}-\d{7,8}"),
        "day": _is(rf"{_DAY}(?:[ T]00:?00(?::?00)?(?:\.0+)?)?"),
        "moment": _is(rf"{_DAY}[ T]?\d{{2}}:?\d{{2}}(?::?\d{{2}})?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"),
        "sex": _is(r"[01239]|[MFU]|男|女|男性|女性|未知|male|female"),
        "yes or no": _is(r"[01]|[YNTF]|是|否|有|无|true|false|yes|no|初诊|复诊"),
        "ICD-10": _is(r"[A-TV-Z]\d{2}(?:\.[0-9X]{1,4}(?:x\d{3})?)?[+*]?"),
        "LOINC": _is(r"\d{3,5}-\d"),
        "number": _is(r"[-+<>≤≥]?\d+(?:\.\d+)?"),
        "small number": _is(r"\d{1,2}"),
        "age": _is(r"1?\d?\d(?:\.\d+)?(?:岁|Y|月|天)?(?:\d{1,2}(?:月|天))?"),
        "range": _is(r"[<>≤≥]?\s*-?\d+(?:\.\d+)?\s*(?:-|~|—|–|～|至)\s*\d+(?:\.\d+)?.*|[<>≤≥]\s*\d.*|阴性.*|\(-\)"),
        "unit": lambda text: text.lower().replace(" ", "") in _UNITS,
        "arrow": _is(r"[↑↓]+|[HLNA]{1,2}|高|低|正常|异常|偏高|偏低"),
        "person": lambda text: 2 <= len(text) <= 4 and text[0] in _SURNAMES and _all_chinese(text),
        "Chinese": lambda text: bool(re.search(r"[\u4e00-\u9fff]", text)),
        "sentence": lambda text: len(text) >= 8 and bool(re.search(r"[\u4e00-\u9fff]{4}", text)),
        "organisation code": _is(r"[0-9A-Z]{18}|[0-9A-Z]{8}-?[0-9X]|\d{22}"),
        "dose form": lambda text: _all_chinese(text) and text.endswith(("剂", "片", "丸", "液", "粒", "囊", "膏")),
        "department": lambda text: text.endswith(("科", "室", "部", "中心", "病区", "门诊", "组")),
        "JSON": _is_json_object,
        "code": _is(r"[A-Za-z0-9_.+*/-]{1,24}"),
    }
)


def _all_chinese(text: str) -> bool:
    return bool(re.fullmatch(r"[\u4e00-\u9fff·]+", text))


class Profile(msgspec.Struct, frozen=True):
    """What the sampled values of one column look like. `shapes` holds shares of the values that are there."""

    rows: int
    filled: int
    distinct: int
    shapes: Mapping[str, float] = {}
    longest: int = 0
    values: tuple[str, ...] = ()  # at most DISTINCT, the most frequent first; never shown

    def share(self, shape: str) -> float:
        return self.shapes.get(shape, 0.0)

    @property
    def completeness(self) -> float:
        """How many of the sampled rows have it."""
        return self.filled / self.rows if self.rows else 0.0

    @property
    def is_unique(self) -> bool:
        return self.filled > 1 and self.distinct == self.filled


NOTHING = Profile(0, 0, 0)


def profile(values: Iterable[Any]) -> Profile:
    """The profile of a column's sampled values."""
    every = [value_text(value) for value in values]
    filled = [text for text in every if text]
    if not filled:
        return Profile(len(every), 0, 0)
    counted = Counter(filled)
    shapes = {}
    for name, fits in SHAPES.items():
        share = sum(times for text, times in counted.items() if fits(text[:LONGEST]))
        if share:
            shapes[name] = share / len(filled)
    return Profile(
        len(every), len(filled), len(counted), shapes, max(map(len, counted)),
        tuple(text for text, _ in counted.most_common(DISTINCT)),
    )  # fmt: skip


def profiles(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], keyed: tuple[str, str] | None = None
) -> dict[str, Profile]:
    """Column -> profile, of one table's sampled rows; what stands inside a JSON column as `column#name`.

    `keyed` are the columns of names and of values of a table of settings: each setting's own profile is `value@name`.
    """
    found = {}
    for place, name in enumerate(columns):
        found[name] = profile(row[place] for row in rows)
        if found[name].share("JSON") >= 0.5:
            inner = [_flat(row[place]) for row in rows]
            names = dict.fromkeys(key for one in inner for key in one)
            found |= {f"{name}#{key}": profile(one.get(key) for one in inner) for key in names}
    if keyed is not None:
        key, value = (columns.index(name) for name in keyed)
        counted = Counter(value_text(row[key]) for row in rows)
        found |= {
            f"{keyed[1]}@{value_text(row[key])}": profile([row[value]])
            for row in rows
            if counted[value_text(row[key])] == 1 and value_text(row[key])
        }
    return found


def _flat(value: Any) -> dict[str, Any]:
    """The plain members of a JSON object; nothing where it is none, or is broken."""
    try:
        read = value if isinstance(value, dict) else json.loads(str(value or ""), strict=False)
    except ValueError:
        return {}
    if not isinstance(read, dict):
        return {}
    return {str(key): one for key, one in read.items() if not isinstance(one, dict | list)}


def value_text(value: Any) -> str:
    """A value as the text that its shape is told by."""
    if value is None or isinstance(value, bytes | bytearray | memoryview):
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value.is_finite() else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).strip()
