"""What the fields of a kind are called in hospitals' systems: Chinese, English, and pinyin initials worked out from the Chinese.

The synonyms are a table of our own (`words.csv`): of fields, of roles (whoever signs, reviews, dispenses: a verb from which
`审核医师`, `审核时间`, `审核人姓名` are made), of subjects (what a table is about). Whatever the kind's own declaration says
of a field is a synonym as well, so that a kind nobody wrote words for can still be proposed.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from frontend_agent.formats.data_elements import data_element
from frontend_agent.formats.kind import Field, Kind
from frontend_agent.proposing.naming import initials, said, words
from frontend_agent.shipped import shipped_texts

STAFF_ZH = ("医生", "医师", "人", "人员", "者", "员")
STAFF_OF = MappingProxyType(
    {"pharmacist": ("药师", "药剂师"), "technician": ("技师",), "nurse": ("护士",), "doctor": ("主治医师",)}
)
SUBJECT_OF = MappingProxyType(  # a field's first word -> what the table is about that its values stand in
    {
        "patient": "patient", "fact": "patient", "department": "department", "drugs": "drug", "items": "item", "diagnoses": "diagnosis",
        "diagnosis": "diagnosis", "tcm_diseases": "tcm", "tcm_syndromes": "tcm", "orders": "order",
        "examinations": "examination", "operations": "operation", "other_diagnoses": "diagnosis",
    }
)  # fmt: skip
NUMBERS_OF_VISITS = frozenset({"patient.outpatient_number", "patient.inpatient_number", "patient.type", "patient.age"})
PRIMARY = frozenset({"author", "orders.orderer"})  # the staff member that a record has, if it has only one
# Words that say what a value is, but not of what: alone they fit in every table.
GENERIC = frozenset(
    "name id code number time type status flag note remark text description value state title date content start end key no num result".split()  # noqa: SIM905  a list of words, read as one
)
GENERIC_ZH = frozenset(
    "姓名 名称 名字 编码 代码 编号 编号 标识 号 序号 时间 日期 类型 类别 状态 标志 备注 说明 描述 内容 结果 结果值 开始时间 结束时间 单位 数量 地址 项目 项目名称 项目代码 项目编码 状态编码 电话".split()  # noqa: SIM905  the same
)


class Phrases(NamedTuple):
    """What one thing is called: Chinese words, English words, letters. Each with its worth, 0 to 1."""

    zh: Mapping[str, float]
    en: Mapping[tuple[str, ...], float]
    py: Mapping[str, float]


class Target(NamedTuple):
    """A field to be found: what it is called, whose it is (`subject`), what of it (`attribute`) and of which `role`."""

    name: str
    group: str
    role: str
    attribute: str
    subject: str
    phrases: Phrases
    field: Field
    required: bool


@cache
def vocabulary() -> Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]:
    """`words.csv`: about -> Chinese, English, initials."""
    text = shipped_texts("frontend_agent.proposing", ".csv")["words.csv"]
    return MappingProxyType(
        {
            row["about"]: (_parts(row["zh"]), _parts(row["en"]), _parts(row["initials"]))
            for row in csv.DictReader(io.StringIO(text))
        }
    )


def _parts(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split("|") if part.strip())


def phrases_of(about: str) -> Phrases:
    """The synonyms of one line of the table; none, if it has no such line."""
    zh, en, py = vocabulary().get(about, ((), (), ()))
    return _phrases(_worth(zh), _worth(en), py)


def _worth(listed: Iterable[str]) -> dict[str, float]:
    """The first is the usual one; the later ones are a little less sure."""
    return {word: max(0.85, 1.0 - 0.012 * place) for place, word in enumerate(listed)}


def _phrases(zh: Mapping[str, float], en: Mapping[str, float], py: Iterable[str] = ()) -> Phrases:
    by_words: dict[tuple[str, ...], float] = {}
    for text, worth in en.items():
        key = words(text)
        by_words[key] = max(worth, by_words.get(key, 0.0))
    by_letters: dict[str, float] = dict.fromkeys(py, 1.0)
    for text, worth in zh.items():
        letters = initials(text)
        by_letters[letters] = max(worth, by_letters.get(letters, 0.0))
    return Phrases(dict(zh), by_words, by_letters)


def targets(kind: Kind) -> list[Target]:
    """What is to be found for a kind: its fields without those that the feed says itself, and what the checks want besides."""
    found = [_target(kind, field) for field in kind.fields if not field.name.startswith("institution.") and field.name]
    return sorted(found, key=lambda target: not target.required)


def _target(kind: Kind, field: Field) -> Target:
    role, attribute = _split(field)
    zh, en, py = _own(kind, field)
    as_role = _role(kind, role)
    if as_role:
        # A record that answers a request has its requester's name in it as well: a doctor without a verb may be either.
        primary = role in PRIMARY and not any(one.name.startswith("request.") for one in kind.fields)
        zh, en, py = _with_role(zh, en, py, as_role, attribute, role, primary)
    first = "" if field.name in NUMBERS_OF_VISITS else field.name.partition(".")[0]
    subject = SUBJECT_OF.get(first, "") if not as_role else ""
    if first == "department" or attribute == "department":
        subject = "department"
    if attribute == "department_id" or field.name == "department.id":
        subject = ""  # the number of a department stands in the record's row
    return Target(
        field.name, field.group, role if as_role else "", attribute, subject, _phrases(zh, en, py), field,
        field.required == "always" or field.cardinality.startswith("1"),
    )  # fmt: skip


def _split(field: Field) -> tuple[str, str]:
    """`orders.orderer_name` -> orders.orderer, name; `author.time` -> author, time; `orders.ordered_at` -> orders.ordered, time."""
    head, _, last = field.name.rpartition(".")
    for suffix, attribute in (
        ("department_id", "department_id"), ("department_name", "department"), ("department", "department"),
        ("_id", "id"), ("_name", "name"), ("_at", "time"), ("_on", "time"), ("_code", "code"),
    ):  # fmt: skip
        if last.endswith(suffix) and last != suffix.strip("_"):
            stem = last.removesuffix(suffix).strip("_")
            return f"{head}.{stem}" if head and stem else (head or stem), attribute
    if last in ("department_id", "department_name", "department"):
        return head, "department_id" if last == "department_id" else "department"
    return head, last


def _own(kind: Kind, field: Field) -> tuple[dict[str, float], dict[str, float], tuple[str, ...]]:
    listed = vocabulary().get(f"{field.name}@{kind.code}") or vocabulary().get(field.name) or ((), (), ())
    zh, en, py = _worth(listed[0]), _worth(listed[1]), listed[2]
    zh.setdefault(said(field.name_zh), 0.98)
    element = data_element(field.de) if field.de else None
    if element is not None and element.name_zh.endswith(said(field.name_zh)[-2:]):
        zh.setdefault(said(element.name_zh), 0.9)
    for text, worth in ((field.name.replace("_", " ").replace(".", " "), 0.95), (field.name_en.split(",")[0], 0.9)):
        if not set(words(text)) <= GENERIC | {"staff"}:  # "doctor name" says nothing of which of them
            en.setdefault(text, worth)
    return zh, en, py


def _role(kind: Kind, role: str) -> str:
    for name in (f"role:{role}@{kind.code}", f"role:{role}"):
        if name in vocabulary():
            return name
    return ""


def _with_role(
    zh: dict[str, float],
    en: dict[str, float],
    py: tuple[str, ...],
    about: str,
    attribute: str,
    role: str,
    primary: bool,
) -> tuple[dict[str, float], dict[str, float], tuple[str, ...]]:
    """The role's verbs, put together with what is wanted of it."""
    verbs_zh, verbs_en, verbs_py = vocabulary()[about]
    zh, en, letters = dict(zh), dict(en), list(py)
    whom = next((names for word, names in STAFF_OF.items() if word in role), ())
    for place, verb in enumerate(verbs_zh):
        worth = 1.0 - 0.02 * place
        for text, less in _said_of(verb, attribute, (*whom, *STAFF_ZH)):
            zh[text] = max(zh.get(text, 0.0), worth - less)
    for place, verb in enumerate(verbs_en):
        for text, less in _english_of(verb, attribute):
            en[text] = max(en.get(text, 0.0), 1.0 - 0.02 * place - less)
    if primary:  # whoever it is, if nobody else is named
        plain = {"id": ("医生", "staff id"), "name": ("医生姓名", "staff name")}.get(attribute)
        if plain:
            en.setdefault(plain[1], 0.75)
            for text in (plain[0], *(("医生代码", "医生编号", "医生编码") if attribute == "id" else ())):
                zh.setdefault(text, 0.75)
    ends = {
        "id": ("ys", "r", "ry", "yh", "ysdm", "rdm", "yss"), "name": ("ysxm", "rxm", "ryxm"), "time": ("sj", "rq"),
        "department": ("ksmc",), "department_id": ("ks", "ksdm"),
    }.get(attribute, ())  # fmt: skip
    # 检验医师 and 检验人员 are two people.
    others = {"technician": ("ys", "ysdm", "yss", "ysxm"), "doctor": ("r", "ry", "rdm", "ryxm")}
    apart = next((ends for word, ends in others.items() if word in role and role != "doctor"), ())
    letters += [verb + end for verb in verbs_py for end in ends if end not in apart]
    if apart:
        unlike = ("医生", "医师") if "technician" in role else ("人", "人员", "者", "员")
        zh = {text: worth * (0.85 if any(word in text for word in unlike) else 1.0) for text, worth in zh.items()}
    return zh, en, tuple(letters)


def _said_of(verb: str, attribute: str, staff: Iterable[str]) -> Iterable[tuple[str, float]]:
    match attribute:
        case "id":
            for whom in staff:
                yield verb + whom, 0.0
                yield from ((verb + whom + end, 0.0) for end in ("代码", "编码", "工号"))
            yield verb + "医生ID", 0.0
        case "name":
            for whom in staff:
                yield verb + whom + "姓名", 0.0
                yield verb + whom, 0.12  # often a number stands there, sometimes the name
        case "time":
            yield from ((verb + end, 0.0) for end in ("时间", "日期", "日期时间"))
        case "department":
            yield from ((verb + end, less) for end, less in (("科室名称", 0.0), ("科室", 0.1)))
        case "department_id":
            yield from ((verb + end, 0.0) for end in ("科室", "科室代码", "科室编码"))


def _english_of(verb: str, attribute: str) -> Iterable[tuple[str, float]]:
    match attribute:
        case "id":
            yield from ((f"{verb} staff id", 0.0), (f"{verb} staff", 0.0), (f"{verb} id", 0.05), (f"{verb} by", 0.05))
        case "name":
            yield from ((f"{verb} staff name", 0.0), (f"{verb} name", 0.03))
        case "time":
            yield from ((f"{verb} time", 0.0),)
        case "department":
            yield from ((f"{verb} department name", 0.0), (f"{verb} department", 0.1))
        case "department_id":
            yield from ((f"{verb} department id", 0.0), (f"{verb} department", 0.0))


class Index(NamedTuple):
    """Every phrase of many targets, found by its exact words: what a first look at a large schema goes by."""

    zh: Mapping[str, Mapping[str, float]]
    en: Mapping[tuple[str, ...], Mapping[str, float]]
    py: Mapping[str, Mapping[str, float]]


def index(found: Iterable[Target]) -> Index:
    """Exact phrase -> field -> worth. Letters count from three on: two are chance."""
    zh: dict[str, dict[str, float]] = defaultdict(dict)
    en: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    py: dict[str, dict[str, float]] = defaultdict(dict)
    for target in found:
        for text, worth in target.phrases.zh.items():
            zh[text][target.name] = worth
        for text_words, worth in target.phrases.en.items():
            en[tuple(sorted(text_words))][target.name] = worth
        for letters, worth in target.phrases.py.items():
            if len(letters) >= 2:
                py[letters][target.name] = worth * (0.5 if len(letters) == 2 else 0.9)
    return Index(zh, en, py)
