"""Messages are declared, not programmed: one TOML per message says which field of a record stands where.

    message = "ORU^R01^ORU_R01"
    kinds   = ["C0007"]
    [[segments]]
    name = "PID"
    3 = ["{patient.outpatient_number}^^^&2.16.156.10011.1.11&ISO^PI"]     # repeats; an empty one is left out
    8 = "{patient.sex|sex}"                                               # through a table of tables.toml
    [[segments]]
    each = "items"                                                        # once for every row; inside, `this.unit`
    [[segments.segments]]
    name = "OBX"
    when = "this.value"                                                   # only if it is there (`unless`: only if it is not)
    5 = "{this.value}"

`only = { "orders.type" = ["03"] }` keeps the rows of a group that have one of these values; without any there is no message.
`{#}` counts the rows. A field none of whose placeholders has a value is left empty, whatever else stands in it.
"""

import re
import tomllib
from functools import cache
from typing import Any

import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.hl7v2.files import texts

PLACEHOLDER = re.compile(r"\{([a-z0-9_.#]+)(?:\|([a-z_]+))?\}")
COUNTER = "#"
ROW = "this."


class Part(msgspec.Struct, frozen=True):
    """A piece of a field: text as it stands, or a record's value, perhaps through a table."""

    text: str = ""
    field: str = ""
    table: str = ""


class Slot(msgspec.Struct, frozen=True):
    """One HL7 field: its number, and its repetitions."""

    number: int
    repeats: tuple[tuple[Part, ...], ...]


class Segment(msgspec.Struct, frozen=True):
    """A segment with its fields, or (without a name) a loop or a choice around others."""

    name: str = ""
    slots: tuple[Slot, ...] = ()
    each: str = ""
    when: str = ""
    unless: str = ""
    segments: tuple["Segment", ...] = ()


class Declaration(msgspec.Struct, frozen=True):
    """One message. `when` and `version` decide whether a record gives it: `new` for a first version, `changed` for later ones."""

    name: str  # the file's: ORU_R01
    message: str  # MSH-9
    title_zh: str
    title_en: str
    kinds: tuple[str, ...]
    segments: tuple[Segment, ...]
    when: str = ""
    version: str = ""
    only: dict[str, tuple[str, ...]] = {}  # of a group, the rows whose field has one of these values

    def fields(self) -> set[str]:
        """Every field of a record that it names, with the group's name before a row's."""
        return {name for segment in self.segments for name in _fields(segment, "")}


def _fields(segment: Segment, group: str) -> set[str]:
    group = segment.each or group
    named = {part.field for slot in segment.slots for parts in slot.repeats for part in parts if part.field}
    named |= {condition for condition in (segment.when, segment.unless) if condition}
    found = {f"{group}.{name.removeprefix(ROW)}" if name.startswith(ROW) else name for name in named - {COUNTER}}
    return found.union(*(_fields(inner, group) for inner in segment.segments)) if segment.segments else found


@cache
def tables() -> dict[str, dict[str, str]]:
    """Code tables from the national codes to HL7's."""
    found = tomllib.loads(texts()["tables"])
    return {name: {str(k): str(v) for k, v in table.items()} for name, table in found.items()}


def declarations() -> dict[str, Declaration]:
    """Every message that is made of records of some kind, by name."""
    return {name: one for name, one in _all().items() if one.kinds}


def of_any_kind() -> dict[str, Declaration]:
    """The messages that carry a document of whatever kind, by name: `kinds` is empty."""
    return {name: one for name, one in _all().items() if not one.kinds}


@cache
def _all() -> dict[str, Declaration]:
    found = {name: tomllib.loads(text) for name, text in texts().items() if name != "tables"}
    shared = found.pop("shared")
    return {name: _declaration(name, table, shared) for name, table in found.items()}


def messages_of(kind: str) -> list[Declaration]:
    """The messages that records of a kind give."""
    return [one for one in declarations().values() if kind in one.kinds]


def _declaration(file: str, table: dict[str, Any], shared: dict[str, Any]) -> Declaration:
    return Declaration(
        name=file,
        message=table["message"],
        title_zh=table["title"]["zh"],
        title_en=table["title"]["en"],
        kinds=tuple(table["kinds"]),
        when=table.get("when", ""),
        version=table.get("version", ""),
        only={field: tuple(values) for field, values in table.get("only", {}).items()},
        segments=tuple(_segment(file, one, shared) for one in table["segments"]),
    )


def _segment(file: str, table: dict[str, Any], shared: dict[str, Any]) -> Segment:
    if "like" in table:
        table = {**shared[table["like"]], **{key: value for key, value in table.items() if key != "like"}}
    words = {"name", "each", "when", "unless", "segments"}
    slots = []
    for key, value in table.items():
        if key in words:
            continue
        if not key.isdigit():
            raise ConfigurationError(f"{file}: {table.get('name', 'segment')}: unknown key {key!r}")
        written = value if isinstance(value, list) else [value]
        slots.append(Slot(int(key), tuple(_parts(file, one) for one in written)))
    return Segment(
        name=table.get("name", ""),
        slots=tuple(sorted(slots, key=lambda slot: slot.number)),
        each=table.get("each", ""),
        when=table.get("when", ""),
        unless=table.get("unless", ""),
        segments=tuple(_segment(file, one, shared) for one in table.get("segments", ())),
    )


def _parts(file: str, text: str) -> tuple[Part, ...]:
    parts, last = [], 0
    for found in PLACEHOLDER.finditer(text):
        if found.start() > last:
            parts.append(Part(text=text[last : found.start()]))
        if found[2] and found[2] not in tables():
            raise ConfigurationError(f"{file}: no table {found[2]!r} in tables.toml")
        parts.append(Part(field=found[1], table=found[2] or ""))
        last = found.end()
    if last < len(text):
        parts.append(Part(text=text[last:]))
    return tuple(parts)
