"""Records that are kept back by rule: HIV, psychiatry, staff, a patient's objection. Values in, values out.

A rule names fields and the values that it means; all its conditions must hold. A record that it meets is neither checked,
rendered nor sent: what, why and by whose decision is kept instead, and the record is looked at again once the rule is
lifted. A rule never fails open: where a value that it asks for could not be read, the record is held for a person.
"""

import fnmatch
import hmac
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.model import FACT, Finding, Record
from frontend_agent.shipped import did_you_mean

IDENTITY = "patient.id_number"
_HASH = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"([^.]+)\.\.([^.]+)")
_DATA_ELEMENT = re.compile(r"DE\d{2}\.\d{2}\.\d{3}\.\d{2}")


class WithholdRule(msgspec.Struct, frozen=True):
    """One rule. `patients` are the hashes of identity numbers, made with `key` where there is one."""

    name: str
    decided_by: str
    reason: str
    when: Mapping[str, tuple[str, ...]] = {}
    patients: frozenset[str] = frozenset()
    by_patient: bool = False
    key: bytes = b""
    kinds: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    until: date = date.max

    @property
    def digest(self) -> str:
        """What the rule says, in 16 characters: an edited rule is another one. The key stays out of it."""
        said = [
            self.name, self.decided_by, self.reason, sorted(self.when.items()), sorted(self.patients), self.kinds, self.feeds,
            self.until.isoformat(),
        ]  # fmt: skip
        return sha256(msgspec.json.encode(said)).hexdigest()[:16]

    def applies(self, feed: str, kind: str, today: date) -> bool:
        return today <= self.until and self.speaks_of(feed, kind)

    def speaks_of(self, feed: str, kind: str) -> bool:
        return (not self.kinds or kind in self.kinds) and (not self.feeds or feed in self.feeds)


class Decision(msgspec.Struct, frozen=True):
    """A rule that meets a record, and the field that told. Undecided: what it asks for could not be read."""

    rule: WithholdRule
    field: str
    undecided: bool = False


class Withhold(Protocol):
    """The rules of one feed. `unsaid`: fields that could not be asked for, because another system has no row yet."""

    def __call__(
        self, record: Record, findings: Sequence[Finding], today: date, unsaid: Collection[str] = ...
    ) -> Decision | None: ...


def identity_hash(number: str, key: bytes = b"") -> str:
    """How a patient is named in a file of patients."""
    text = number.strip().upper().encode()
    return hmac.new(key, text, sha256).hexdigest() if key else sha256(text).hexdigest()


def patients_in(text: str, path: str) -> frozenset[str]:
    """The hashes in a file: one a line, `#` begins a remark."""
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        word = line.partition("#")[0].strip().lower()
        if not word:
            continue
        if not _HASH.fullmatch(word):
            # The line itself is not told: it may be an identity number that somebody forgot to hash.
            raise ConfigurationError(
                f"{path}: line {number}: not the 64 hexadecimal digits of a hashed identity number"
            )
        found.add(word)
    return frozenset(found)


def compile_withholding(rules: Iterable[WithholdRule], feed: str, kind: Any) -> Withhold | None:
    """The rules that speak of a feed and its kind, as one function; None if there is none."""
    mine = [(rule, _conditions(rule, kind)) for rule in rules if rule.speaks_of(feed, kind.code)]
    asked = [(rule, conditions) for rule, conditions in mine if conditions is not None]
    if not asked:
        return None

    def decide(
        record: Record, findings: Sequence[Finding], today: date, unsaid: Collection[str] = ()
    ) -> Decision | None:
        undecided = None
        was_read = any(not name.startswith(FACT) for name in record)  # a finished document may be beyond reading
        unread = {_without_index(finding.field) for finding in findings if finding.field}.union(unsaid)
        for rule, conditions in asked:
            if today > rule.until:
                continue
            fields = [condition.met_by(record, unread) for condition in conditions]
            if all(field is not None and not field.startswith("?") for field in fields):
                return Decision(rule, fields[0] or "")
            if not was_read:
                undecided = undecided or Decision(rule, "", True)
            elif all(field is not None for field in fields):
                undecided = undecided or Decision(rule, next(f for f in fields if f and f[0] == "?")[1:], True)
        return undecided

    return decide


def unresolved(rules: Iterable[WithholdRule], kinds: Mapping[str, Any]) -> Iterable[str]:
    """What in the rules means nothing for the configured feeds (name -> kind): such a rule would do nothing, silently."""
    for rule in rules:
        mine = {feed: kind for feed, kind in kinds.items() if rule.speaks_of(feed, kind.code)}
        where = f"withhold {rule.name!r}"
        if not mine:
            yield f"{where}: no feed makes such a document (kinds of the feeds: {', '.join(_codes(kinds))})"
            continue
        if all(_conditions(rule, kind) is None for kind in mine.values()):
            for name in rule.when:
                if not any(_places(name, kind) for kind in mine.values()):
                    known = {field.name for kind in mine.values() for field in kind.fields}
                    yield (
                        f'{where}: when."{name}": no field or data element of {", ".join(_codes(mine))}'
                        f"{did_you_mean(name, known)}"
                    )


def _codes(kinds: Mapping[str, Any]) -> list[str]:
    return sorted({kind.code for kind in kinds.values()})


# -- conditions -------------------------------------------------------------------------------------------------------


class _Condition:
    """One field, or several of one data element: any of their values is one of these."""

    def __init__(self, places: Sequence[str], groups: Iterable[str], meets: Callable[[str], bool]) -> None:
        of_groups = [(name.partition(".")[0], name.partition(".")[2]) for name in places]
        self._rows = [(group, key) for group, key in of_groups if group in set(groups)]
        self._scalars = [name for name in places if name.partition(".")[0] not in set(groups)]
        self._meets = meets

    def met_by(self, record: Record, unread: set[str]) -> str | None:
        """The field that meets it, `?field` where that cannot be told, or None."""
        unknown = None
        for name in self._scalars:
            value = record.get(name)
            if value is not None and self._meets(value):
                return name
            if value is None and name in unread:
                unknown = f"?{name}"
        for group, key in self._rows:
            for row in record.get(group, ()):
                value = row.get(key)
                if value is not None and self._meets(value):
                    return f"{group}.{key}"
            if f"{group}.{key}" in unread:
                unknown = f"?{group}.{key}"
        return unknown


def _conditions(rule: WithholdRule, kind: Any) -> list[_Condition] | None:
    """None when the kind has nothing of what the rule asks for: then it cannot meet one of its records."""
    found = []
    for name, words in rule.when.items():
        places = _places(name, kind)
        if not places:
            return None
        found.append(_Condition(places, kind.groups, _meeting(words)))
    if rule.by_patient:
        if IDENTITY not in kind:
            return None
        found.append(_Condition([IDENTITY], (), lambda number: identity_hash(number, rule.key) in rule.patients))
    return found


def _places(name: str, kind: Any) -> list[str]:
    if name.startswith(FACT):
        return [name]
    if _DATA_ELEMENT.fullmatch(name):
        return [field.name for field in kind.fields if field.de == name]
    return [field.name for field in kind.fields if fnmatch.fnmatchcase(field.name, name)]


def _meeting(words: Sequence[str]) -> Callable[[str], bool]:
    """`F` and `精神科` are beginnings, `B20..B24` a range of them, `*HIV*` a pattern. Case does not matter."""
    beginnings = tuple(word.upper() for word in words if "*" not in word and not _RANGE.fullmatch(word))
    ranges = [match.groups() for word in words if "*" not in word and (match := _RANGE.fullmatch(word.upper()))]
    patterns = [re.compile(fnmatch.translate(word.upper())) for word in words if "*" in word]

    def meets(value: str) -> bool:
        text = value.strip().upper()
        return (
            text.startswith(beginnings)
            or any(first <= text[: len(first)] and text[: len(last)] <= last for first, last in ranges)
            or any(pattern.match(text) for pattern in patterns)
        )

    return meets


def _without_index(field: str) -> str:
    group, bracket, rest = field.partition("[")
    return group + rest.partition("]")[2] if bracket else field
