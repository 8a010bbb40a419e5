"""A hospital's or a region's own code tables (ICD-10, ICD-9-CM-3, drugs, laboratory items): in versions, small and shared.

A catalogue of 30,000 rows is two blocks of memory, not 60,000 texts: its lines sorted end to end, and where each begins. A
look-up is a bisection (some microseconds, remembered), touches no counter of another object, and so worker processes that
were forked go on sharing it.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from frontend_agent.codes import CodeTable
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.value_sets import Entry, ValueSet, in_force
from frontend_agent.terms.names import plain

REMEMBERED = 4096  # look-ups


class Catalogue:
    """One version of a table: code -> its names (a code may have several). Every code and name is text without tabs."""

    def __init__(
        self, name: str, rows: Iterable[tuple[str, str]], version: str = "", valid_from: str = "", valid_to: str = ""
    ) -> None:
        """`valid_from` and `valid_to` are days (yyyyMMdd), both included, empty for open."""
        self.name, self.version = name, version
        self.valid_from, self.valid_to = valid_from, valid_to
        lines = sorted({f"{_flat(code)}\t{_flat(called)}\n".encode() for code, called in rows})
        self._lines = b"".join(lines)
        self._starts = array("I")
        start = 0
        for line in lines:
            self._starts.append(start)
            start += len(line)
        self.names = lru_cache(REMEMBERED)(self._names)
        self.is_called = lru_cache(REMEMBERED)(self._is_called)
        self.digest = hashlib.sha256(self._lines).hexdigest()

    def _code(self, at: int) -> bytes:
        start = self._starts[at]
        return self._lines[start : self._lines.index(b"\t", start)]

    def _name(self, at: int) -> str:
        start = self._lines.index(b"\t", self._starts[at]) + 1
        return self._lines[start : self._lines.index(b"\n", start)].decode()

    def _names(self, code: str) -> tuple[str, ...] | None:
        """Every name of a code, or None if there is no such code."""
        wanted = code.encode("utf-8", "surrogatepass")
        first = at = bisect_left(range(len(self._starts)), wanted, key=self._code)
        while at < len(self._starts) and self._code(at) == wanted:
            at += 1
        return tuple(self._name(place) for place in range(first, at)) if at > first else None

    def _is_called(self, code: str, name: str) -> bool:
        """Whether a name is one of the code's, letter for letter or without what stands in brackets; nothing is said of a
        code that is not there (a dagger pair).
        """
        names = self.names(code) or ()
        if not any(names) or name in names:
            return True
        wanted = {plain(name), _bare(name)}
        return any(plain(one) in wanted or _bare(one) in wanted for one in names)

    def __contains__(self, code: object) -> bool:
        return isinstance(code, str) and self.names(code) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(code, first name), in the order of the codes."""
        last = b""
        for at in range(len(self._starts)):
            code = self._code(at)
            if code != last:
                yield code.decode(), self._name(at)
            last = code

    def __len__(self) -> int:
        return len(self._starts)

    def bytes_used(self) -> int:
        return len(self._lines) + self._starts.itemsize * len(self._starts)

    def value_set(self, oid: str, name_zh: str) -> ValueSet:
        """As a value set, for who proposes and approves targets. Entries are made when they are looked at."""
        return ValueSet(
            oid, "", f"{name_zh} {self.name} {self.version}".strip(), self.name, True, "", _Entries(self),
            self.version, self.valid_from, self.valid_to, "verified",
        )  # fmt: skip


def _flat(text: str) -> str:
    return " ".join(text.split())


class _Entries(Mapping[str, Entry]):
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __getitem__(self, code: str) -> Entry:
        names = self._catalogue.names(code)
        if names is None:
            raise KeyError(code)
        return Entry(code, names[0], "verified")

    def __iter__(self) -> Iterator[str]:
        return (code for code, _ in self._catalogue)

    def __len__(self) -> int:
        return len(self._catalogue)


class Shelf:
    """All versions of one table."""

    def __init__(self, catalogues: Iterable[Catalogue]) -> None:
        self.versions = tuple(sorted(catalogues, key=lambda one: (one.valid_from, one.version)))

    def on(self, day: str) -> Catalogue | None:
        """The version in force on a day; without a day the newest."""
        found = [one for one in self.versions if not day or in_force(one.valid_from, one.valid_to, day)]
        return found[-1] if found else None

    @property
    def newest(self) -> Catalogue:
        return self.versions[-1]

    @property
    def digest(self) -> str:
        said = "".join(f"{one.digest} {one.version} {one.valid_from} {one.valid_to}\n" for one in self.versions)
        return hashlib.sha256(said.encode()).hexdigest()


class Catalogues:
    """Which table decides about which field: by the field's value set, or because the configuration names the field."""

    def __init__(
        self,
        by_value_set: Mapping[str, Shelf] = MappingProxyType({}),
        by_field: Mapping[str, Shelf] = MappingProxyType({}),
    ) -> None:
        self._by_value_set = by_value_set
        self._by_field = by_field

    def of(self, field: str, value_set: str) -> Shelf | None:
        """The table of one field of a record."""
        return self._by_field.get(field) or (self._by_value_set.get(value_set) if value_set else None)

    def in_kind(self, kind: Any) -> dict[str, Shelf]:
        """The fields of a kind that a catalogue decides about."""
        found = {field.name: self.of(field.name, field.value_set) for field in kind.fields}
        return {name: shelf for name, shelf in found.items() if shelf is not None}


def has_code(catalogue: Catalogue, code: str) -> bool:
    """Whether a code is in a catalogue; a dagger pair (A17.0+G01*) where both of its codes are, with their marks or without."""
    if code in catalogue:
        return True
    parts = [part.rstrip("*") for part in code.split("+")]
    return any(parts) and all(
        not part or any(f"{part}{mark}" in catalogue for mark in ("", "+", "*")) for part in parts
    )


def _bare(name: str) -> str:
    for opening, closing in ("()", "（）", "[]", "［］"):
        while opening in name and closing in name[name.index(opening) :]:
            start = name.index(opening)
            name = name[:start] + name[name.index(closing, start) + 1 :]
    return plain(name)


def digest_with(codes_digest: str, shelves: Mapping[str, Shelf]) -> str:
    """The digest of a mapping's code maps together with the catalogues that decide about its kind."""
    if not shelves:
        return codes_digest
    said = "".join(f"{field} {shelf.digest}\n" for field, shelf in sorted(shelves.items()))
    return hashlib.sha256(f"{codes_digest}\n{said}".encode()).hexdigest()


def must_be_in(shelves: Mapping[str, Shelf], tables: Mapping[str, CodeTable]) -> None:
    """Refuse a code map that maps to codes its catalogue does not have."""
    for field, table in tables.items():
        shelf = shelves.get(field)
        foreign = sorted({code for code in table.codes.values() if shelf and not has_code(shelf.newest, code)})
        if shelf and foreign:
            shown = ", ".join(foreign[:5]) + (" …" if len(foreign) > 5 else "")
            raise ConfigurationError(f"{table.path}: {field}: not in the catalogue {shelf.newest.name}: {shown}")


def judged_by(field: str, known: ValueSet, shelves: Mapping[str, Shelf]) -> ValueSet:
    """What a field's codes are held against: its catalogue where there is one, else the national table."""
    shelf = shelves.get(field)
    return shelf.newest.value_set(known.oid, known.name_zh) if shelf else known
