"""The national code tables that we carry: code → Chinese name, each row with its confidence mark, each table with its version.

A table that is not carried (ICD-10, TCM) is known by name only: `complete` is False, and nothing about membership can be
said. `named` gives any OID of the national tree a name and how sure we are of it, carried or not.

A table may have several versions, and a code a time in which it is valid (`from`, `to`: days, yyyyMMdd, both included, empty
for open) and a successor (`replaced_by`). What a document is held against is the version in force at its own day.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache

from frontend_agent.formats.tables import table


@dataclass(frozen=True)
class Entry:
    """One row of a code table."""

    code: str
    name: str
    confidence: str
    note: str = ""
    valid_from: str = ""
    valid_to: str = ""
    replaced_by: str = ""

    def in_force(self, day: str) -> bool:
        """Whether the code may be used on that day (yyyyMMdd)."""
        return in_force(self.valid_from, self.valid_to, day)


def in_force(valid_from: str, valid_to: str, day: str) -> bool:
    """Whether a day lies in a time that may be open on both sides."""
    return (not valid_from or valid_from <= day) and (not valid_to or day <= valid_to)


@dataclass(frozen=True, eq=False)
class ValueSet:
    """One version of a code table. `complete` is False where we know the table's name but not all of its codes.

    `confidence` is that of its weakest row: `conflict`, `from-memory`, `single-source`, `verified`.
    """

    oid: str
    id: str
    name_zh: str
    standard: str = ""
    complete: bool = False
    note: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    version: str = ""
    valid_from: str = ""
    valid_to: str = ""
    confidence: str = ""

    def name(self, code: str) -> str:
        """The Chinese name of a code; empty if the table does not have it."""
        entry = self.entries.get(code)
        return entry.name if entry else ""

    def __contains__(self, code: object) -> bool:
        return code in self.entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True)
class Named:
    """What is known of an OID: `kind` says what it stands for (a value set, a catalogue of data elements …)."""

    oid: str
    kind: str
    name_zh: str
    confidence: str
    id: str = ""
    other_names: tuple[str, ...] = ()


def value_set(oid_or_id: str, on: str = "") -> ValueSet:
    """The table with this OID or catalogue id (`CV06.00.102`, `GB/T 2261.1`): its newest version, or the one in force on a day.

    An unknown one is empty and incomplete, and so is one that had no version on that day. A table whose name alone is known
    has that name.
    """
    found = versions(oid_or_id)
    if on:
        found = tuple(version for version in found if in_force(version.valid_from, version.valid_to, on))
    if found:
        return found[-1]
    named_only = _names().get(oid_or_id)
    if named_only is not None:
        return ValueSet(oid_or_id, named_only.id, named_only.name_zh, confidence=named_only.confidence)
    return ValueSet(oid=oid_or_id, id="", name_zh="")


def versions(oid_or_id: str) -> tuple[ValueSet, ...]:
    """Every version that we carry, the oldest first."""
    return _PACKED.get().get(oid_or_id) or _index().get(oid_or_id, ())


_PACKED: ContextVar[Mapping[str, tuple[ValueSet, ...]]] = ContextVar("value sets of a pack", default={})  # noqa: B039 - never changed


@contextmanager
def packed(tables: Mapping[str, tuple[ValueSet, ...]]) -> Iterator[None]:
    """While this lasts, these tables (by OID and id, as `indexed` gives them) stand in the place of the national ones."""
    before = _PACKED.set(tables)
    try:
        yield
    finally:
        _PACKED.reset(before)


def value_sets() -> list[ValueSet]:
    """Every version of every table we know, in the index's order."""
    return list(dict.fromkeys(version for found in _index().values() for version in found))


def named(oid_or_id: str) -> Named:
    """The name of an OID or table id, and how sure it is; both empty where nobody has told us."""
    return _names().get(oid_or_id) or Named(oid_or_id, "", "", "")


@cache
def _names() -> Mapping[str, Named]:
    found: dict[str, Named] = {}
    for row in table("value_sets/oids.csv"):
        others = tuple(name for name in row["other_names_seen"].split("|") if name)
        found[row["oid"]] = Named(row["oid"], row["kind"], row["name_zh"], row["confidence"], row["id"], others)
    for row in table("value_sets/names.csv"):
        by_id = Named(row["oid"], "value set", row["name_zh"], row["confidence"], row["id"])
        found.setdefault(row["id"], by_id)
        if row["oid"]:
            found.setdefault(row["oid"], by_id)
    for row in table("value_sets/index.csv"):
        if row["oid"]:
            found.setdefault(row["oid"], Named(row["oid"], "value set", row["name_zh"], row["confidence"], row["id"]))
    return found


@cache
def _index() -> Mapping[str, tuple[ValueSet, ...]]:
    return indexed(
        [read(row, table(f"value_sets/{row['file']}") if row["file"] else []) for row in table("value_sets/index.csv")]
    )


def indexed(tables: list[ValueSet]) -> dict[str, tuple[ValueSet, ...]]:
    """Tables by OID and by id, the versions of each in the order of their time.

    Two tables of one OID and one version are two forms of it (one- and two-digit family relations): by OID they are one.
    """
    by_oid: dict[str, dict[tuple[str, str], ValueSet]] = {}
    by_id: dict[str, list[ValueSet]] = {}
    for found in tables:
        of_oid = by_oid.setdefault(found.oid or found.id, {})
        key = found.valid_from, found.version
        of_oid[key] = _both(of_oid[key], found) if key in of_oid else found
        if found.id:
            by_id.setdefault(found.id, []).append(found)
    index = {name: tuple(of_oid[key] for key in sorted(of_oid)) for name, of_oid in by_oid.items()}
    for name, of_id in by_id.items():
        index.setdefault(name, tuple(sorted(of_id, key=lambda one: (one.valid_from, one.version))))
    return index


def _both(first: ValueSet, second: ValueSet) -> ValueSet:
    return ValueSet(
        first.oid,
        first.id,
        first.name_zh,
        first.standard,
        first.complete and second.complete,
        f"{first.note} | {second.note}",
        {**second.entries, **first.entries},
        first.version,
        first.valid_from,
        first.valid_to,
        weakest((first.confidence, second.confidence)),
    )


_MARKS = ("conflict", "from-memory", "single-source", "verified")


def weakest(marks: tuple[str, ...]) -> str:
    """The mark that the whole deserves: that of its weakest part."""
    return next((mark for mark in _MARKS if mark in marks), "")


def read(row: Mapping[str, str], rows: list[dict[str, str]]) -> ValueSet:
    """One line of the index with its table. `from`, `to` and `replaced_by` of a code are columns a table may have."""
    return ValueSet(
        oid=row["oid"],
        id=row["id"],
        name_zh=row["name_zh"],
        standard=row["standard"],
        complete=row["complete"] == "yes",
        note=row["note"],
        entries={
            r["code"]: Entry(
                r["code"], r["name_zh"], r["confidence"], r["note"],
                r.get("from", ""), r.get("to", ""), r.get("replaced_by", ""),
            )
            for r in rows
        },
        version=row["version"],
        valid_from=row["from"],
        valid_to=row["to"],
        confidence=row["confidence"],
    )  # fmt: skip
