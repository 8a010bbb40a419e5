"""What may leave the machine, by data class: one list, in one place (law 9). Values in, values out.

Every kind of document, and where it differs an element of it, has a class: sharing (internal · shared · public · business
collaboration) × domain (medical service, public health, insurance, drugs, administration, information service). The list
says which classes may leave for which destination. What may not leave is taken out of the record before it is rendered,
and the trace says so; a kind that may not leave for a destination is not queued for it. What is internal never leaves.
"""

import csv
import fnmatch
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, get_args

import msgspec

from frontend_agent.config import Domain, Sharing
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.tables import text as national_text
from frontend_agent.model import Blame, Finding, Record, Severity

LEFT_OUT = "POL001"  # elements that may not leave for this destination
SHARING: tuple[str, ...] = get_args(Sharing)
DOMAINS: tuple[str, ...] = get_args(Domain)
INTERNAL = "internal"
BY_DEFAULT = frozenset({"shared", "public", "business"})  # leave for every destination when nobody says otherwise
MASKED = "MSK"  # HL7 NullFlavor: there is a value, and it is not given here
_COLUMNS = ("kind", "field", "sharing", "domain", "basis", "confidence")

Complete = Callable[[Record], tuple[Record, Sequence[Finding]]]


class DataClass(msgspec.Struct, frozen=True):
    """One row of a table of classes. `kind` and `field` may hold `*`; without a field it is the whole kind's."""

    kind: str
    field: str
    sharing: str
    domain: str
    basis: str = ""
    confidence: str = ""


class MayLeave(msgspec.Struct, frozen=True):
    """One line of the list. No domains: all; no destinations: all."""

    sharing: frozenset[str]
    domains: frozenset[str] = frozenset()
    destinations: frozenset[str] = frozenset()

    def speaks_of(self, destination: str) -> bool:
        return not self.destinations or destination in self.destinations

    def lets(self, of: DataClass) -> bool:
        return of.sharing in self.sharing and (not self.domains or of.domain in self.domains)


class Classes:
    """Tables of classes, the most particular first: a site's, a pack's, the national one."""

    def __init__(self, *tables: Sequence[DataClass]) -> None:
        self._tables = tables

    def of(self, kind: str, field: str = "") -> DataClass:
        """The class of a kind, or of one of its elements: its own row, a row for all kinds, or the kind's."""
        for table in self._tables if field else ():
            for wanted in (kind, "*"):
                for row in table:
                    if row.kind == wanted and row.field and fnmatch.fnmatchcase(field, row.field):
                        return row
        for table in self._tables:
            for row in table:
                if row.kind == kind and not row.field:
                    return row
        raise ConfigurationError(f"{kind}: no data class; add a row for it to the table that [policy] classes names")

    def kinds(self) -> set[str]:
        """The kinds that have one."""
        return {row.kind for table in self._tables for row in table if not row.field}


@cache
def national_classes() -> tuple[DataClass, ...]:
    """The table that ships with us."""
    return tuple(classes_in(national_text("data_classes.csv"), "data_classes.csv"))


def classes_in(text: str, path: str) -> list[DataClass]:
    """Read a table of classes, strictly: a class that nobody knows would decide nothing."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if tuple(rows.fieldnames or ()) != _COLUMNS:
        raise ConfigurationError(f"{path}: its first line must be {','.join(_COLUMNS)}")
    found = []
    for number, row in enumerate(rows, 2):
        for column, known in (("sharing", SHARING), ("domain", DOMAINS)):
            if row[column] not in known:
                raise ConfigurationError(
                    f"{path}: line {number}: {column} {row[column]!r} is not one (known: {', '.join(known)})"
                )
        if not row["kind"] or (row["kind"] == "*" and not row["field"]):
            raise ConfigurationError(f"{path}: line {number}: needs a kind, or a field of all kinds (*)")
        found.append(DataClass(**{name: row[name] or "" for name in _COLUMNS}))
    return found


# -- what leaves for whom ---------------------------------------------------------------------------------------------


def left_out(kind: Any, destination: str, lines: Sequence[MayLeave], classes: Classes) -> frozenset[str] | None:
    """The fields of a kind that may not leave for a destination; None when the kind itself may not."""
    mine = [line for line in lines if line.speaks_of(destination)] or [MayLeave(BY_DEFAULT)]

    def may_leave(of: DataClass) -> bool:
        return of.sharing != INTERNAL and any(line.lets(of) for line in mine)

    if not may_leave(classes.of(kind.code)):
        return None
    return frozenset(field.name for field in kind.fields if not may_leave(classes.of(kind.code, field.name)))


def leaving_out(kind: Any, fields: frozenset[str]) -> Complete:
    """The function that takes these fields out of a record. The note names those that were there."""
    groups = frozenset(kind.groups)
    scalars = frozenset(name for name in fields if name.partition(".")[0] not in groups)
    of_rows: dict[str, frozenset[str]] = {}
    for name in fields - scalars:
        group, _, key = name.partition(".")
        of_rows[group] = of_rows.get(group, frozenset()) | {key}

    def leave_out(record: Record) -> tuple[Record, Sequence[Finding]]:
        gone = [name for name in record if name in scalars]
        kept = {name: value for name, value in record.items() if name not in scalars}
        for group, keys in of_rows.items():
            rows = kept.get(group)
            if rows:
                gone += [f"{group}.{key}" for key in sorted(keys.intersection(*[set().union(*rows)]))]
                left = [{key: value for key, value in row.items() if key not in keys} for row in rows]
                kept[group] = [row for row in left if row]
                if not kept[group]:
                    del kept[group]
        return kept, [_note(tuple(gone))] if gone else []

    return leave_out


def absences_without(kind: Any, absences: Mapping[str, str], fields: Iterable[str]) -> dict[str, str]:
    """How the renderer writes what was left out: masked where something must stand there, otherwise not at all."""
    required = {field.name: field.required for field in kind.fields}
    return {**absences, **{name: MASKED if required.get(name) else "omit" for name in fields}}


@lru_cache(maxsize=256)
def _note(fields: tuple[str, ...]) -> Finding:
    return Finding(LEFT_OUT, Severity.NOTE, Blame.AGENT, arguments=(" ".join(fields),))


# -- who gets the same document -----------------------------------------------------------------------------------------


class Share(msgspec.Struct, frozen=True):
    """What one destination gets of a kind."""

    destination: str
    edition: str
    left_out: frozenset[str]
    deidentified: bool = False
    key: str = ""  # the name of the secret its pseudonyms are made with


def editions(feed: str, kind: str, shares: Sequence[Share]) -> dict[str, list[Share]]:
    """The destinations of a feed by edition: those of one edition get the very same bytes (laws 2 and 6)."""
    found: dict[str, list[Share]] = {}
    for share in shares:
        mine = found.setdefault(share.edition, [])
        if mine and (mine[0].left_out, mine[0].deidentified, mine[0].key) != (
            share.left_out,
            share.deidentified,
            share.key,
        ):
            raise ConfigurationError(
                f"feed {feed}: of kind {kind}, destination {share.destination!r} gets other content than"
                f" {mine[0].destination!r}: two documents must not have one identity; give one of them documents of its"
                f' own: [destinations.{share.destination}] edition = "{_suggested(share.destination)}"'
            )
        mine.append(share)
    if not found:
        raise ConfigurationError(
            f"feed {feed}: kind {kind} may leave for none of its destinations: take the feed out, or let its class"
            " leave in [[policy.may_leave]]"
        )
    return found


def _suggested(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name.lower())[:40]
