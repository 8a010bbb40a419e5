"""Names of columns as words: English tokens, letters that may be pinyin initials, and Chinese comments without their asides."""

import re
from functools import lru_cache

from pypinyin import Style, lazy_pinyin

_SPLIT = re.compile(r"[^A-Za-z0-9\u4e00-\u9fff]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
# What stands behind a word in a comment and says nothing of what it is.
_ASIDE = re.compile(r"[(（\[【{：:，,。;；].*$|\s+$")

# One word for words that systems use alike. The left side is what we compare.
_ALIKE = {
    "staff": "doctor physician practitioner employee provider clinician worker operator user personnel dr",
    "patient": "pat sick person",
    "department": "dept organization organisation org",
    "number": "no num nbr numb",
    "id": "identifier uid pk",
    "code": "cd cod",
    "name": "nm label",
    "time": "date datetime timestamp dt tm at on day tiem",
    "diagnosis": "diag dise disease condition icd",
    "definition": "def",
    "request": "req apply application requester requestor requested requesting",
    "drug": "medication medicine med pharm",
    "visit": "encounter registration register reg clinic",
    "quantity": "qty",
    "sex": "gender",
    "telephone": "phone tel mobile telcom",
    "execute": "excute exec perform performed performing performer executor execution",
    "order": "orders ordered ordering orderer",
    "review": "reviewed reviewer verify verified verifier audit audited auditor approve approved",
    "create": "created creator",
    "prescribe": "prescribed prescriber prescribing",
    "author": "authored",
    "report": "reported reporter reporting",
    "sign": "signed signature signer",
    "record": "recorded recorder",
    "cancel": "cancelled canceled canceller cancellation",
    "dispense": "dispensed dispenser dispensing",
    "issue": "issued issuer issuing",
    "collect": "collected collection collector",
    "receive": "received recv receipt",
    "complete": "completed completion",
    "release": "released",
    "enter": "entered entry enterer",
    "update": "updated lastupdated modify modified modification gmtmodified",
    "specimen": "sample samp",
    "unit": "uom",
    "frequency": "freq rate",
    "type": "category class kind",
    "status": "state stat",
    "description": "desc descr",
    "address": "addr",
    "specification": "spec format",
    "birth": "birthday birthdate born",
    "history": "hist",
    "check": "checked checker checking",
    "institution": "hospital facility site",
    "text": "txt str content",
    "flag": "flg",
    "result": "results",
}
_EMPTY = frozenset({"enum", "the", "of", "is", "x", "str", "list"})
_CANONICAL = {word: canonical for canonical, words in _ALIKE.items() for word in words.split()}


def is_word(part: str) -> bool:
    """Whether we know a part of a name as a word of its own."""
    return part in _ALIKE or part in _CANONICAL or len(part) > 5


@lru_cache(maxsize=100_000)
def words(name: str) -> tuple[str, ...]:
    """`excuteStaffId` -> execute, staff, id: in one word for words alike, without numbers of their own."""
    found = [part.lower() for part in _SPLIT.split(name) if part]
    return tuple(_CANONICAL.get(part, part) for part in found if part not in _EMPTY)


@lru_cache(maxsize=100_000)
def letters(name: str) -> str:
    """The name's letters alone: `BR_XM` -> brxm. What may be pinyin."""
    return re.sub(r"[^a-z]", "", name.lower())


@lru_cache(maxsize=100_000)
def said(comment: str) -> str:
    """A comment's Chinese words (none: nothing), without what stands behind them: `性别（0女 1男）` -> 性别."""
    if not re.search(r"[\u4e00-\u9fff]", comment):
        return ""  # an English comment is a sentence, no name
    text = re.sub(r"[ 　_/]+", "", _ASIDE.sub("", comment.strip()))
    return re.sub(r"^(当前|该|此)", "", text)


@lru_cache(maxsize=100_000)
def initials(chinese: str) -> str:
    """门诊号 -> mzh."""
    return re.sub(r"[^a-z]", "", "".join(lazy_pinyin(chinese, style=Style.FIRST_LETTER, errors="default")).lower())


@lru_cache(maxsize=100_000)
def sound(chinese: str) -> str:
    """姓名 -> xingming."""
    return re.sub(r"[^a-z]", "", "".join(lazy_pinyin(chinese, errors="default")).lower())


_ID_ZH = re.compile(r"(?:[_\s]*(?:id|ID|Id)|代码|编码|编号|标识|工号|号)$")


def without_key_word(comment: str) -> str:
    """开方医生ID -> 开方医生: what a key's comment says of whom it is the key of."""
    return _ID_ZH.sub("", comment).strip("_- ")
