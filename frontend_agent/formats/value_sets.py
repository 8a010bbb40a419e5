"""The national code tables that we carry: code → Chinese name, each row with its confidence mark.

A table that is not carried (ICD-10, TCM) is known by name only: `complete` is False, and nothing about membership can be
said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from frontend_agent.formats.tables import table


@dataclass(frozen=True)
class Entry:
    """One row of a code table."""

    code: str
    name: str
    confidence: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class ValueSet:
    """One code table. `complete` is False where we know the table's name but do not carry its codes."""

    oid: str
    id: str
    name_zh: str
    standard: str = ""
    complete: bool = False
    note: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)

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


def value_set(oid_or_id: str) -> ValueSet:
    """The table with this OID or catalogue id (`CV06.00.102`, `GB/T 2261.1`). An unknown one is empty and incomplete."""
    found = _index().get(oid_or_id)
    return ValueSet(oid=oid_or_id, id="", name_zh="") if found is None else found


def value_sets() -> list[ValueSet]:
    """Every table we know, in the index's order."""
    return list(dict.fromkeys(_index().values()))


_loaded: dict[str, ValueSet] = {}


def _index() -> dict[str, ValueSet]:
    if not _loaded:
        loaded: dict[str, ValueSet] = {}
        for row in table("value_sets/index.csv"):
            found = _read(row)
            loaded.setdefault(found.oid or found.id, found)
            loaded.setdefault(found.id or found.oid, found)
        _loaded.update(loaded)
    return _loaded


def _read(row: Mapping[str, str]) -> ValueSet:
    rows = table(f"value_sets/{row['file']}") if row["file"] else []
    return ValueSet(
        oid=row["oid"],
        id=row["id"],
        name_zh=row["name_zh"],
        standard=row["standard"],
        complete=row["complete"] == "yes",
        note=row["note"],
        entries={r["code"]: Entry(r["code"], r["name_zh"], r["confidence"], r["note"]) for r in rows},
    )
