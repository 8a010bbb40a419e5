"""The data sets of a record, as a platform that takes data-set packages names them (exchange.md §5).

Which element of the platform a field of ours is stands in a table, `data_sets.toml` beside this module, each with its
confidence mark, and in a site's own file:

    inner_version = "59083976eebd"       # of the platform's data standard

    [[data_sets]]
    code  = "HDSD02_03"
    kinds = ["C0007"]                    # left out: every kind, with those of its fields that are named here
    group = "items"                      # one row for each of the group; left out: one row
    once  = false                        # true: one row for a whole visit, whichever of its documents says it

    [data_sets.elements]
    HDSD02_03_001 = "items.name"
    HDSD02_03_002 = { value = "items.code", pair = true }    # as HDSD02_03_002_CODE and HDSD02_03_002_VALUE

A field that is in no table is not sent: an element's number is never guessed.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import msgspec

from frontend_agent.dialects.values import (
    NO_REGION,
    Opened,
    Region,
    Value,
    names_of,
    nothing_local,
    read_value,
    value_of,
)
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import Kind
from frontend_agent.shipped import only_known_keys, toml_of

SHIPPED = "data_sets.toml"
Row = dict[str, str]


class Element(NamedTuple):
    """One element of a data set: its id at the platform, and what of the record it is."""

    id: str
    value: Value
    name: Value | None = None  # of a pair: the code's name


class DataSetOf(msgspec.Struct, frozen=True):
    """One data set for one kind."""

    code: str
    group: str
    once: bool
    elements: tuple[Element, ...]


class DataSet(msgspec.Struct, frozen=True):
    """The rows of one data set that one document has: with standard codes, and as the hospital says them."""

    code: str
    once: bool
    standard: list[Row]
    origin: list[Row]


class DataSets:
    """The table, as it was read. Compiled for a kind when the first document of it comes, or by `of`."""

    def __init__(
        self,
        tables: list[tuple[str, dict[str, Any]]],
        kind: Callable[[str], Kind],
        compiling: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`compiling`: within it the code tables in force are known."""
        self._compiling = compiling
        self._tables = tables
        self._kind = kind
        self._of: dict[str, tuple[DataSetOf, ...]] = {}

    def of(self, kind: str) -> tuple[DataSetOf, ...]:
        """The data sets of a kind; none where nobody has said any. Raises ConfigurationError."""
        if kind not in self._of:
            with self._compiling():
                found = [_compiled(table, self._kind(kind), where) for where, table in self._tables]
            self._of[kind] = tuple(one for one in found if one and one.elements)
        return self._of[kind]


def read_data_sets(
    texts: Mapping[str, str],
    kind: Callable[[str], Kind],
    compiling: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[DataSets, str]:
    """The tables of these files, a later one's data set in the place of an earlier one's of the same code and kinds, and
    the `inner_version` that the last of them says. Raises ConfigurationError."""
    found: dict[tuple[str, str, tuple[str, ...]], tuple[str, dict[str, Any]]] = {}
    version = ""
    for name, text in texts.items():
        table = toml_of(text, name)
        only_known_keys(table, ("inner_version", "data_sets"), name)
        version = str(table.get("inner_version", version))
        for number, one in enumerate(table.get("data_sets", [])):
            where = f"{name}: data_sets[{number}]"
            only_known_keys(one, ("code", "kinds", "group", "once", "confidence", "elements"), where)
            if not isinstance(one.get("code"), str) or not isinstance(one.get("elements"), dict):
                raise ConfigurationError(f'{where}: needs code = "HDSD00_85" and a table [data_sets.elements]')
            key = (one["code"], str(one.get("group", "")), tuple(one.get("kinds", ())))
            found[key] = (where, one)
    sets = DataSets(list(found.values()), kind, compiling)
    for where, one in found.values():
        for code in one.get("kinds", ()):
            _compiled(one, kind(code), where)  # what is wrong with a table is said at the start
    return sets, version


def _compiled(table: dict[str, Any], kind: Kind, where: str) -> DataSetOf | None:
    kinds = table.get("kinds", ())
    if kinds and kind.code not in kinds:
        return None
    group = table.get("group", "")
    if group and group not in kind.groups:
        if kinds:
            raise ConfigurationError(f"{where}: {kind.code} has no group {group!r} ({', '.join(kind.groups)})")
        return None
    elements = []
    for id_, given in table["elements"].items():
        place = f"{where}: {id_}"
        element = _element(id_, given, kind, place, must=bool(kinds))
        if element is None:
            continue
        if element.value.group not in ("", group):
            raise ConfigurationError(f"{place}: stands in the group {element.value.group!r}, and the data set does not")
        elements.append(element)
    return DataSetOf(table["code"], group, bool(table.get("once", False)), tuple(elements))


def _element(id_: str, given: Any, kind: Kind, where: str, *, must: bool) -> Element | None:
    pair, spec = False, given
    if isinstance(given, dict):
        pair = bool(given.get("pair", False))
        spec = {key: value for key, value in given.items() if key not in ("pair", "confidence")}
    if not must and not _has(spec, kind):
        return None
    value = read_value(spec, kind, where)
    if not pair:
        return Element(id_, value)
    if not value.coded:
        raise ConfigurationError(f"{where}: pair = true is for codes of a table")
    return Element(id_, value, msgspec.structs.replace(value, form="name", names=names_of(value.value_set)))


def _has(spec: Any, kind: Kind) -> bool:
    """Whether a kind has what a table for every kind names."""
    named = spec.get("value") if isinstance(spec, dict) else spec
    names = [named] if isinstance(named, str) else named or []
    return all(name.startswith(("=", "{")) or name in kind for name in names)


def data_sets_of(
    wanted: tuple[DataSetOf, ...], opened: Opened, region: Region = NO_REGION, *, all_standard: bool = False
) -> list[DataSet]:
    """What one document says, data set by data set; one without a value is left out. Raises NotSaid.

    `all_standard`: the hospital itself records the national codes, so that `origin` is the same.
    """
    found = []
    for one in wanted:
        rows = opened.record.get(one.group, []) if one.group else [None]
        standard = [_row(one, opened, row, region) for row in rows]
        origin = standard if all_standard else [_origin(one, opened, row, region) for row in rows]
        kept = [at for at, row in enumerate(standard) if row]
        if kept:
            found.append(DataSet(one.code, one.once, [standard[at] for at in kept], [origin[at] for at in kept]))
    return found


def _row(one: DataSetOf, opened: Opened, row: Mapping[str, str] | None, region: Region) -> Row:
    made: Row = {}
    for element in one.elements:
        text = value_of(element.value, opened, row, region)
        if text is None:
            continue
        if element.name is None:
            made[element.id] = text
        else:
            made[f"{element.id}_CODE"] = text
            if name := value_of(element.name, opened, row, region):
                made[f"{element.id}_VALUE"] = name
    return made


def _origin(one: DataSetOf, opened: Opened, row: Mapping[str, str] | None, region: Region) -> Row:
    """What is no code is the hospital's own already. A code is the hospital's only where its map says which one it was."""
    made: Row = {}
    for element in one.elements:
        value = element.value
        if not value.coded:
            text = value_of(value, opened, row, region)
            if text is not None:
                made[element.id] = text
            continue
        if region.local is nothing_local:
            continue
        code = value_of(msgspec.structs.replace(value, form="local"), opened, row, region)
        if code is None:
            continue
        made[f"{element.id}_CODE" if element.name else element.id] = code
        if element.name and (name := value_of(msgspec.structs.replace(value, form="local_name"), opened, row, region)):
            made[f"{element.id}_VALUE"] = name
    return made
