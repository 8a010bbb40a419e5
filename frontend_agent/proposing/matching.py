"""How well a column fits a field: evidence from names, comments, types and values, weighed, and told in words."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import fuzz

from frontend_agent.proposing.lexicon import GENERIC, GENERIC_ZH, Phrases, Target
from frontend_agent.proposing.naming import initials, letters, said, sound, without_key_word, words
from frontend_agent.proposing.schema import BINARY, DATE, FLAG, LONG, NUMBER, TEXT, TIME, Column
from frontend_agent.proposing.values import NOTHING, Profile

_TURNS = frozenset(
    {"status", "flag", "time", "max", "min", "limit", "default", "reason", "birth", "image", "url"}
)  # make it another thing
_SAYS_LITTLE = GENERIC | {"staff"}
GENERIC_LETTERS = frozenset(initials(word) for word in GENERIC_ZH) | {"dm", "mc", "sj", "rq", "zt", "bz", "xm", "lx"}
SAME_AS_RECORD = frozenset({"", "visit", "prescription", "report", "admission", "order", "examination", "request"})
PERSONS = ("person", "Chinese")
# What the values of a field look like where they are what they should be: the last word of its name, or the whole.
LOOKS = {
    "patient.id_number": ("identity number", "identity-like"),
    "patient.sex": ("sex",),
    "patient.telephone": ("telephone",),
    "patient.age": ("age",),
    "patient.name": PERSONS,
    "diagnoses.code": ("ICD-10",),
    "diagnosis.code": ("ICD-10",),
    "items.unit": ("unit",),
    "items.loinc": ("LOINC",),
    "items.code": ("code",),
    "items.reference_range": ("range", "number"),
    "items.value": ("number",),
    "items.abnormal_flag": ("arrow",),
    "drugs.dose": ("number",),
    "drugs.total_dose": ("number",),
    "department.name": ("department",),
}
STRONG = ("identity number", "LOINC", "telephone")  # shapes that speak for themselves


class Said(NamedTuple):
    """A nearness 0 to 1, whether the words say of whom it is, and the evidence."""

    score: float
    generic: bool
    why: str


class Description(NamedTuple):
    """One way to call a column: its comment, its words, its letters."""

    zh: str
    en: tuple[str, ...]
    py: tuple[str, ...]
    through: str = ""  # the column by which its table was joined, where that is part of the description


NOT_AT_ALL = Said(0.0, False, "")


def own_description(column: Column, inner: str = "") -> Description:
    """How a column calls itself; `inner` is a name inside its JSON."""
    if inner:
        return Description(said(inner) if not inner.isascii() else "", words(inner), (letters(inner),))
    spelt = letters(column.name) if column.name.isascii() else ""
    zh = said(column.comment) or (said(column.name) if not column.name.isascii() else "")
    return Description(zh, words(column.name), (spelt,))


def composed(joined: Column, column: Column, subject_letters: Iterable[str]) -> Description:
    """How a column is called seen through the column that joins its table: 开方医生 + 姓名, kfys + xm."""
    own = own_description(column)
    head = without_key_word(said(joined.comment))
    zh = head + own.zh if head and own.zh else ""
    stem = tuple(word for word in words(joined.name) if word not in ("id", "code", "number", "key"))
    en = stem + tuple(word for word in own.en if word not in stem)
    first = letters(joined.name).removesuffix("dm").removesuffix("bm")
    tails = {own.py[0], *(own.py[0].removeprefix(start) for start in subject_letters)}
    return Description(zh, en, tuple(first + tail for tail in tails if tail), joined.name)


def under_subject(subject_zh: str, table: Sequence[str], column: Column) -> Description:
    """How a column is called as one of a table about a subject, by the table's own words: 患者 + 姓名, type of sample + name."""
    own = own_description(column)
    zh = subject_zh + own.zh if own.zh and not own.zh.startswith(subject_zh) else ""
    return Description(zh, (*table, *(word for word in own.en if word not in table)), ())


def is_bookkeeping(column: Column) -> bool:
    """Who and when of the row, not of what it says: create_time, update_by, 修改人."""
    named = set(words(column.name))
    zh = said(column.comment)
    return bool(named & {"create", "update"}) or zh.startswith(("创建", "更新", "修改", "录入"))


@lru_cache(maxsize=200_000)
def nearness(target_name: str, phrases_id: int, description: Description) -> Said:
    """How near a description is to what the field is called."""
    phrases = _PHRASES[phrases_id]
    chinese, english, spelt = (
        _chinese(phrases, description),
        _english(phrases, description),
        _spelt(phrases, description),
    )
    if description.zh and english.score > chinese.score:  # a comment that says something else speaks against the name
        english = english._replace(score=english.score * (0.82 + 0.18 * chinese.score))
    return max(chinese, english, spelt)


_PHRASES: dict[int, Phrases] = {}


def near(target: Target, description: Description) -> Said:
    _PHRASES.setdefault(id(target.phrases), target.phrases)
    return nearness(target.name, id(target.phrases), description)


def _chinese(phrases: Phrases, description: Description) -> Said:
    text = description.zh
    if not text:
        return NOT_AT_ALL
    best = NOT_AT_ALL
    for phrase, worth in phrases.zh.items():
        if phrase == text:
            score = worth
        elif len(phrase) >= 2 and text.endswith(phrase):
            score = worth * ((0.35 if phrase in _BARE else 0.6) + 0.3 * len(phrase) / len(text))
        elif len(text) >= 2 and phrase.endswith(text):
            score = worth * (0.55 + 0.3 * len(text) / len(phrase))
        else:
            alike = fuzz.ratio(phrase, text) / 100
            score = worth * alike * 0.85 if alike >= 0.6 and _same_stem(phrase, text) else 0.0
        if score > best.score:
            best = Said(score, text in GENERIC_ZH or phrase in GENERIC_ZH, f"注释“{text}”")
    return best


# Words that others stand before: 发放科室 is a department, but not the one that is meant.
_BARE = frozenset(
    [
        "科室",
        "医生",
        "时间",
        "日期",
        "名称",
        "姓名",
        "诊断",
        "药品",
        "电话",
        "地址",
        "状态",
        "单位",
        "结果",
        "备注",
        "项目",
        "标本",
        "方法",
        "检查",
        "机构",
        "部门",
        "科室名称",
        "机构名称",
    ]
)
_TAILS = re.compile(
    r"(医生|医师|药师|药剂师|技师|护士|人员|人|者|员|姓名|名称|ID|id|代码|编码|编号|工号|时间|日期|日期时间|科室|号|类型|状态|标志|结果|单位)+$"
)


@lru_cache(maxsize=200_000)
def _same_stem(one: str, other: str) -> bool:
    """Whether two words are alike in more than what they end with: 审核医生 and 开方医生 are not."""
    stems = _TAILS.sub("", one), _TAILS.sub("", other)
    return bool(stems[0] and stems[1]) and fuzz.ratio(*stems) >= 60


def _english(phrases: Phrases, description: Description) -> Said:
    named = description.en
    if not named:
        return NOT_AT_ALL
    best = NOT_AT_ALL
    mine = frozenset(named)
    for phrase, worth in phrases.en.items():
        theirs = frozenset(phrase)
        both = mine & theirs
        if not both:
            continue
        common = sum(map(_weight, both))
        score = worth * 2 * common / (sum(map(_weight, mine)) + sum(map(_weight, theirs)))
        if mine != theirs:
            score *= 0.75 if (mine - theirs) & _TURNS else 0.92
        if both <= _SAYS_LITTLE and mine != theirs:
            score *= 0.6
        if score > best.score:
            best = Said(score, both <= GENERIC, f"name = {'_'.join(named)}")
    return best


def _weight(word: str) -> float:
    return 0.4 if word in ("id", "code", "number", "time", "name") else 0.7 if word in GENERIC else 1.0


def _spelt(phrases: Phrases, description: Description) -> Said:
    best = NOT_AT_ALL
    for form in description.py:
        if len(form) < 2:
            continue
        worth = phrases.py.get(form, 0.0) * (0.8 if len(form) == 2 else 0.9 if len(form) == 3 else 0.95)
        if not worth and len(form) >= 5 and form in _sounds(frozenset(phrases.zh)):
            worth = 0.95
        if worth > best.score:
            best = Said(worth, form in GENERIC_LETTERS, f"letters {form}")
    return best


@lru_cache(maxsize=10_000)
def _sounds(phrases: frozenset[str]) -> frozenset[str]:
    return frozenset(sound(phrase) for phrase in phrases)


# -- types and values --


def type_factor(target: Target, column: Column, seen: Profile) -> float:
    """How well what can stand in the column fits what the field is."""
    family = TEXT if seen is not NOTHING and column.family == LONG and seen.longest <= 200 else column.family
    if family == BINARY:
        return 0.05
    is_time = seen.share("day") + seen.share("moment") >= 0.6
    match target.field.value_type:
        case "TS":
            if family in (TIME, DATE):
                return 1.0
            if is_time:
                return 1.0
            return 0.15 if seen.filled or family != TEXT else 0.7
        case "PQ" if target.attribute == "frequency":  # times a day, mostly written as a code: bid
            return 0.05 if family in (TIME, DATE) else 1.0
        case "PQ" | "REAL" | "INT" | "MO":
            if family in (TIME, DATE) or is_time:
                return 0.05
            if family == NUMBER or not seen.filled:
                return 1.0
            return 1.0 if max(seen.share("number"), seen.share("age")) >= 0.6 else 0.5
        case "BL":
            return 0.1 if family in (TIME, DATE, LONG) else 1.0
        case "CD" | "II" | "TEL":
            return 0.05 if family in (TIME, DATE, FLAG) else 0.6 if family == LONG else 1.0
        case _:
            if family in (TIME, DATE, FLAG):
                return 0.05
            if target.attribute in ("name", "department") or target.name.endswith(".name"):
                return 0.15 if family == NUMBER or (seen.filled and seen.share("number") > 0.9) else 1.0
            return 0.75 if family == NUMBER and target.field.value_type == "ST" else 1.0


def looks(target: Target, seen: Profile) -> tuple[float, str]:
    """A factor from the values themselves, and what to say of it."""
    if not seen.rows:
        return 1.0, ""
    if not seen.filled:
        return (
            (0.5 if target.field.value_type == "TS" else 0.66, f"0/{seen.rows} rows have it")
            if seen.rows >= 5
            else (1.0, "")
        )
    factor = 0.9 + 0.1 * seen.completeness
    wanted = LOOKS.get(target.name) or (PERSONS if target.name.endswith("er.name") else ())
    if not wanted:
        if (
            target.field.max_length
            and seen.longest > target.field.max_length
            and target.field.value_type in ("II", "CD")
        ):
            factor *= 0.75
        return factor, f"{seen.filled}/{seen.rows} rows have it"
    shape = max(wanted, key=seen.share)
    share = seen.share(shape)
    told = f"{round(share * seen.filled)}/{seen.filled} values look like {shape}"
    if share >= 0.8:
        return factor * 1.1, told
    if _too_long(target, seen):
        return factor * _too_long(target, seen), f"{told}; up to {seen.longest} characters"
    if share < 0.1 and seen.filled >= 3:
        return factor * 0.7, told
    return factor, told


def _too_long(target: Target, seen: Profile) -> float:
    """What values that are longer than the field may be are worth; 0 where they are not."""
    most = target.field.max_length or 0
    if not most or seen.longest <= most:
        return 0.0
    return 0.7 if seen.longest > 1.2 * most else 0.95


def speaks_for_itself(target: Target, seen: Profile) -> bool:
    """Whether the values alone say what the column is."""
    return any(seen.share(shape) >= 0.8 for shape in LOOKS.get(target.name, ()) if shape in STRONG) and seen.filled >= 3


def nearness_of(phrases: Phrases, description: Description) -> float:
    """How near a description is to some phrases that are no field's."""
    return max(_chinese(phrases, description), _english(phrases, description), _spelt(phrases, description)).score
