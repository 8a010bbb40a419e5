"""One value of an opened document, as a setting names it.

    "patient.name"                                   a field of the record
    "DE02.01.039.00"                                 the first field of the kind with that data element
    "{institution}"                                  an attribute of the document (ATTRIBUTES)
    "=1"                                             a constant
    ["patient.outpatient_number", "patient.inpatient_number"]   the first that is there
    { value = "patient.sex", as = "name" }           the code's name; local, local_name: what the hospital says for it
    { value = "author.time", format = "yyyy-MM-dd HH:mm:ss" }

What the record does not have is None and never made up (law 3): neither a time of day that nobody wrote, nor a local code
where two of them mean the same standard one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, get_args

import msgspec

from frontend_agent.codes import CodeTable
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import Kind
from frontend_agent.formats.value_sets import value_set
from frontend_agent.model import Document
from frontend_agent.shipped import did_you_mean

As = Literal["code", "name", "local", "local_name"]
AS: tuple[str, ...] = get_args(As)

# What `{…}` may say, and how it is told of a document.
ATTRIBUTES: Mapping[str, Callable[["Opened"], str]] = {
    "id": lambda opened: opened.document.document_id,
    "set_id": lambda opened: opened.document.set_id,
    "version": lambda opened: str(opened.document.version),
    "replaces_id": lambda opened: opened.document.replaces_id,
    "kind": lambda opened: opened.document.kind,
    "kind_name": lambda opened: opened.kind_name,
    "institution": lambda opened: opened.document.institution,
    "key": lambda opened: opened.document.key,
    "sha256": lambda opened: opened.document.sha256,
    "size": lambda opened: str(opened.document.size),
    "void": lambda opened: "1" if opened.document.void else "0",
    "department": lambda opened: opened.document.department,
    "day": lambda opened: str(opened.document.day or ""),
    "event_time": lambda opened: opened.event_time,
    "content": lambda opened: _text(opened.content),
}

_DATA_ELEMENT = re.compile(r"DE\d\d\.\d\d\.\d{3}\.\d\d")
_PLAIN = re.compile(r"'([^']*)'|(yyyy|MM|dd|HH|mm|ss)|([A-Za-z])|(.)", re.DOTALL)
_PLACES = {"yyyy": (0, 4), "MM": (4, 6), "dd": (6, 8), "HH": (8, 10), "mm": (10, 12), "ss": (12, 14)}


class Opened(Protocol):
    """A document with what it says: its bytes, the record read back from them, when it happened."""

    @property
    def document(self) -> Document: ...
    @property
    def content(self) -> bytes: ...
    @property
    def record(self) -> Mapping[str, Any]: ...
    @property
    def kind_name(self) -> str: ...
    @property
    def event_time(self) -> str: ...


# What the hospital says for a standard code of a field: (code, name); None where it says it in more than one way, or nothing
# is known of it. Asked with the feed, the field and the standard code.
Local = Callable[[str, str, str], tuple[str, str] | None]


def nothing_local(feed: str, field: str, code: str) -> tuple[str, str] | None:
    """No code map is known."""
    return None


def local_in(tables: Callable[[str], Mapping[str, CodeTable]]) -> Local:
    """What the code maps of a feed (field -> map) say: a standard code that exactly one local code stands for."""

    def local(feed: str, field: str, code: str) -> tuple[str, str] | None:
        table = tables(feed).get(field)
        found = [one for one, standard in table.codes.items() if standard == code] if table else []
        return (found[0], table.names.get(found[0], "")) if table and len(found) == 1 else None

    return local


class Value(msgspec.Struct, frozen=True):
    """One setting that names a value, resolved against a kind."""

    fields: tuple[str, ...] = ()
    constant: str = ""
    attribute: str = ""
    form: As = "code"
    format: str = ""
    value_set: str = ""
    group: str = ""  # of its fields: where a value of it may stand
    names: Mapping[str, str] = {}  # of the codes, as the table says that was in force when this was compiled
    moment: bool = False  # a date or a time: written in the region's format where the setting has none of its own

    @property
    def coded(self) -> bool:
        return bool(self.value_set)


def read_value(given: Any, kind: Kind, where: str) -> Value:
    """What a setting means for a kind. Raises ConfigurationError that names the place and the mend."""
    form, format_ = "code", ""
    if isinstance(given, dict):
        unknown = set(given) - {"value", "as", "format"}
        if unknown or "value" not in given:
            raise ConfigurationError(f'{where}: a table here has value = "…" and may have as and format')
        form, format_, given = given.get("as", "code"), given.get("format", ""), given["value"]
        if form not in AS:
            raise ConfigurationError(f"{where}: as = {form!r} is none of {', '.join(AS)}")
        check_format(format_, where)
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f'{where}: names a value by text, e.g. "patient.name", "{{institution}}" or "=1"')
    first = names[0]
    if first.startswith("=") and len(names) == 1:
        return Value(constant=first[1:])
    if first.startswith("{") and len(names) == 1:
        name = first.strip("{}")
        if name not in ATTRIBUTES:
            raise ConfigurationError(f"{where}: no attribute {first}{did_you_mean(name, ATTRIBUTES)}")
        return Value(attribute=name, format=format_)
    found = tuple(_field(name, kind, where) for name in names)
    fields = [kind.field(name) for name in found]
    if form != "code" and not fields[0].value_set:
        raise ConfigurationError(f"{where}: {found[0]} is no code: as = {form!r} has no meaning")
    if len({field.group for field in fields}) > 1:
        raise ConfigurationError(f"{where}: its fields must stand in one group, or all outside of any")
    return Value(
        fields=found,
        form=_as(form),
        format=format_,
        value_set=fields[0].value_set,
        names=names_of(fields[0].value_set) if form == "name" else {},
        group=fields[0].group,
        moment=fields[0].value_type == "TS",
    )


def names_of(oid: str) -> dict[str, str]:
    """Code → name of a table; empty for one that is not carried."""
    return {entry.code: entry.name for entry in value_set(oid)}


def _as(form: str) -> As:
    return next(one for one in get_args(As) if one == form)


def _field(name: str, kind: Kind, where: str) -> str:
    if _DATA_ELEMENT.fullmatch(name):
        found = next((field.name for field in kind.fields if field.de == name), "")
        if not found:
            raise ConfigurationError(f"{where}: {kind.code} has no field of the data element {name}")
        return found
    if name not in kind:
        known = [field.name for field in kind.fields]
        raise ConfigurationError(f"{where}: {kind.code} has no field {name!r}{did_you_mean(name, known)}")
    return name


def check_format(format_: str, where: str) -> None:
    """A format is made of yyyy MM dd HH mm ss, of signs, and of 'text'."""
    if letter := next((found[3] for found in _PLAIN.finditer(format_) if found[3]), ""):
        raise ConfigurationError(
            f"{where}: format {format_!r}: {letter!r} means nothing (yyyy MM dd HH mm ss; text in single quotes)"
        )


class NotSaid(Exception):
    """A value cannot be written as it is wanted. Quotes nothing of the value."""


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:  # a hospital's own document
        raise NotSaid("cannot hold the document: it is no UTF-8 text") from None


def written(digits: str, format_: str) -> str:
    """A date or time of a record (8 or 14 digits) in a format. Raises NotSaid where it asks for what is not there."""
    if not format_:
        return digits
    if not (digits.isdigit() and len(digits) in (8, 14)):
        raise NotSaid(f"is no date or time, which {format_} needs")

    def part(found: re.Match[str]) -> str:
        if found[2] is None:
            return str(found[1] if found[1] is not None else found[4])
        begin, end = _PLACES[found[2]]
        if end > len(digits):
            raise NotSaid(f"is a day without a time of day, which {format_} needs")
        return digits[begin:end]

    return _PLAIN.sub(part, format_)


class Region(NamedTuple):
    """How a region wants dates and times where a setting does not say it, and what the hospital says for its codes."""

    date: str = ""
    datetime: str = ""
    local: Local = nothing_local


NO_REGION = Region()


def value_of(
    value: Value, opened: Opened, row: Mapping[str, str] | None = None, region: Region = NO_REGION
) -> str | None:
    """The text of a value, None where the document has none. `row`: of the value's group. Raises NotSaid."""
    if value.attribute:
        text = ATTRIBUTES[value.attribute](opened)
        return written(text, value.format) if text else None
    if not value.fields:
        return value.constant
    name, raw = _first(value.fields, value.group, opened.record, row)
    if raw is None:
        return None
    if value.form == "code":
        usual = (region.date if len(raw) == 8 else region.datetime) if value.moment and raw.isdigit() else ""
        return written(raw, value.format or usual)
    if value.form == "name":
        return value.names.get(raw) or None
    said = region.local(opened.document.feed, name, raw)
    return (said[0 if value.form == "local" else 1] or None) if said else None


def _first(
    fields: Sequence[str], group: str, record: Mapping[str, Any], row: Mapping[str, str] | None
) -> tuple[str, str | None]:
    place, key = (row or {}, len(group) + 1) if group else (record, 0)
    for name in fields:
        raw = place.get(name[key:])
        if isinstance(raw, str) and raw:
            return name, raw
    return fields[0], None
