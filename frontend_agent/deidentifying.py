"""Records without direct identifiers, for destinations marked `deidentified` (GB/T 39725, from memory). Values in, values out.

`cda_templates/identifiers.csv` says what is done with each element: names, telephones and addresses below the county are
left out, numbers become pseudonyms, a birth date becomes an age. What the table does not know is kept when it is a code, a
quantity or a time; free text is kept without this record's own identifiers in it; a name that nobody knows is left out.

A pseudonym is an HMAC by a secret of the hospital: the same number is the same pseudonym in all its documents, and nobody
without the secret can try numbers until one fits. Identity and source hash of these documents are made with it, too.
"""

import base64
import csv
import fnmatch
import hmac
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.tables import text as table_text
from frontend_agent.model import Blame, Finding, Record, Severity

DEIDENTIFIED = "POL003"
SHORTEST_KEY = 16  # bytes
OLDEST = 90  # older patients are so few that their age names them

KEEP, REMOVE, PSEUDONYM, BIRTH, AGE, SCRUB = "keep", "remove", "pseudonym", "birth", "age", "scrub"
_SAFE_TYPES = frozenset({"CD", "CE", "CO", "BL", "PQ", "REAL", "INT", "TS", "MO", "IVL_TS", "IVL_PQ"})
_LIMIT = re.compile(r"(\d+)$")
HIDDEN = "***"

# Numbers that identify whoever they belong to, wherever they stand in a text.
_ANYBODYS = re.compile(
    r"(?<!\d)(?:\d{17}[\dXx]|\d{15}|1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}-\d{7,8})(?!\d)"
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
)


class Treatment(msgspec.Struct, frozen=True):
    """One row of the table: what is done with a data element, or with the fields of a name."""

    de_code: str
    field: str
    treatment: str
    note: str = ""
    basis: str = ""
    confidence: str = ""

    def means(self, field: Any) -> bool:
        return (bool(self.de_code) and field.de == self.de_code) or (
            bool(self.field) and fnmatch.fnmatchcase(field.name, self.field)
        )


@cache
def treatments() -> tuple[Treatment, ...]:
    """The table that ships with us; the first row that means a field decides."""
    rows = csv.DictReader(io.StringIO(table_text("identifiers.csv")))
    return tuple(msgspec.convert(row, Treatment) for row in rows)


def treatment_of(field: Any) -> str:
    """What is done with a field of a kind."""
    for row in treatments():
        if row.means(field):
            return row.treatment
    if not field.de and (field.name.endswith((".name", "_name")) or field.name == "name"):
        # 名称 names a thing (a diet, an operation); a person has a 姓名. What nobody knows is left out.
        return SCRUB if field.name_zh.endswith("名称") else REMOVE
    if field.value_set or field.value_type in _SAFE_TYPES:
        return KEEP
    return REMOVE if field.value_type in ("II", "TEL") else SCRUB


class Pseudonyms:
    """Makes pseudonyms with the hospital's secret."""

    def __init__(self, key: bytes) -> None:
        if len(key) < SHORTEST_KEY:
            raise ConfigurationError(f"the secret of pseudonym_key is shorter than {SHORTEST_KEY} bytes")
        self._key = key

    def of(self, value: str, length: int = 0) -> str:
        """`P` and letters and digits that say nothing; at most `length` characters, 0: 17."""
        made = base64.b32encode(self._digest("value", value.strip().upper())[:10]).decode()
        return f"P{made}"[: length or None]

    def named(self, what: str, value: str) -> str:
        """A keyed name in hexadecimal, for identities and hashes."""
        return self._digest(what, value).hex()

    def _digest(self, what: str, value: str) -> bytes:
        return hmac.new(self._key, f"{what}\n{value}".encode(), sha256).digest()


def deidentifying(kind: Any, pseudonyms: Pseudonyms) -> Callable[[Record], tuple[Record, Sequence[Finding]]]:
    """The function that takes the direct identifiers out of a kind's records."""
    treated = {field.name: treatment_of(field) for field in kind.fields}
    lengths = {field.name: _longest(field) for field in kind.fields}
    has_age = "patient.age" in treated

    def deidentify(record: Record) -> tuple[Record, Sequence[Finding]]:
        identifiers = _identifiers(record, treated)
        done: dict[str, None] = {}

        def one(name: str, value: str) -> str | None:
            how = treated.get(name, REMOVE)  # facts and whatever the kind does not know are not rendered anyway
            if how == KEEP:
                return value
            if how == SCRUB:
                return _scrubbed(value, identifiers)
            done[name] = None
            if how == PSEUDONYM:
                return pseudonyms.of(value, lengths[name])
            return _capped(value) if how == AGE else None

        kept: Record = {}
        for name, value in record.items():
            if isinstance(value, str):
                if (treated_value := one(name, value)) is not None:
                    kept[name] = treated_value
                continue
            rows = [
                {key: new for key, old in row.items() if (new := one(f"{name}.{key}", old)) is not None}
                for row in value
            ]
            if rows := [row for row in rows if row]:
                kept[name] = rows
        if has_age and "patient.age" not in record and (age := _age(record)):
            kept["patient.age"] = age
        return kept, [_note(tuple(done))]

    return deidentify


def removed_fields(kind: Any) -> frozenset[str]:
    """What is no longer there, so that the renderer masks it where something must stand."""
    return frozenset(field.name for field in kind.fields if treatment_of(field) in (REMOVE, BIRTH))


# -- what must not be found any more ------------------------------------------------------------------------------------


def direct_identifiers(kind: Any, record: Record) -> list[str]:
    """The texts of a record that identify persons directly: none of them may be in a de-identified document."""
    return _identifiers(record, {field.name: treatment_of(field) for field in kind.fields})


def _identifiers(record: Record, treated: Mapping[str, str]) -> list[str]:
    """The longest first, so that a whole address goes before its street."""
    found: dict[str, None] = {}
    for name, text in _values(record):
        how = treated.get(name)
        if how in (REMOVE, PSEUDONYM) and _tells(text):
            found[text] = None
        elif how == BIRTH:
            found.update(dict.fromkeys(_as_dates(text)))
    return sorted(found, key=len, reverse=True)


def _values(record: Record) -> Iterable[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, str):
            yield name, value
        else:
            yield from ((f"{name}.{key}", text) for row in value for key, text in row.items())


def _tells(text: str) -> bool:
    """`8` or `02` is everywhere in a text; hiding it would hide nothing and spoil the text."""
    return len(text) >= (5 if text.isascii() else 2)


def _as_dates(text: str) -> list[str]:
    """The ways in which people write a birth date."""
    year, month, day = text[:4], text[4:6], text[6:8]
    if not (text[:8].isdigit() and len(text) >= 8):
        return [text]
    ways = [f"{year}{sep}{month}{sep}{day}" for sep in ("", "-", "/", ".")]
    ways += [f"{year}{sep}{int(month)}{sep}{int(day)}" for sep in ("-", "/", ".")]
    return [*ways, f"{year}年{month}月{day}日", f"{year}年{int(month)}月{int(day)}日"]


def _scrubbed(text: str, identifiers: Sequence[str]) -> str:
    for identifier in identifiers:
        if identifier in text:
            text = text.replace(identifier, HIDDEN)
    return _ANYBODYS.sub(HIDDEN, text)


def _capped(age: str) -> str:
    return str(OLDEST) if age.isdecimal() and int(age) > OLDEST else age


_SEEN = (
    "author.time",
    "encounter.time",
    "visit.time",
    "encounter.discharged_at",
    "encounter.admitted_at",
    "prescribed_on",
)


def _age(record: Record) -> str:
    """Whole years at the time of the document."""
    born = record.get("patient.birth_date", "")
    at = next((record[name] for name in _SEEN if name in record), "")
    if not (born[:8].isdigit() and at[:8].isdigit() and len(born) >= 8 and len(at) >= 8):
        return ""
    years = int(at[:4]) - int(born[:4]) - (at[4:8] < born[4:8])
    return _capped(str(years)) if years >= 0 else ""


def _longest(field: Any) -> int:
    """How many characters a pseudonym may have in this field; 0: as many as it likes."""
    allowed = _LIMIT.search(field.format or "")
    limits = [limit for limit in (field.max_length, int(allowed[1]) if allowed else 0) if limit]
    return min(limits, default=0)


@lru_cache(maxsize=256)
def _note(fields: tuple[str, ...]) -> Finding:
    return Finding(DEIDENTIFIED, Severity.NOTE, Blame.AGENT, arguments=(" ".join(fields),))
