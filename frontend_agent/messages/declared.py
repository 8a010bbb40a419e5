"""The [message] of a mapping: which place of a message is which field.

    [message]
    format = "hl7v2"                                   # hl7v2 | xml | json | csv | xlsx
    each   = "OBR"                                     # one record for each; without it the message is one record
    when   = { "MSH-9.1" = "ORU", "MSH-9.2" = ["R01"] }   # other messages (or records) are not this mapping's; "*" is any value
    [message.final]                                    # final if every value there is one of these, and there is one
    "OBR-25" = ["F", "C"]
    [message.void]                                     # withdrawn if one value there is one of these
    "OBR-25" = "X"
    [message.fields]
    "report_number" = "OBR-3.1"
    "patient.id_number" = ["PID-19", "PID-3[.5=NNCHN].1"]       # the first that has a value
    "report_result" = { path = "NTE[*]-3", join = "\\n" }        # several values as one text
    [message.details.items]
    each = "OBX"
    unless = { "OBX-11" = ["D", "X"] }
    [message.details.items.fields]
    "value"      = { path = "OBX-5", when = { "OBX-2" = "NM" } }
    "text_value" = { path = "OBX-5", unless = { "OBX-2" = "NM" } }

`charset` settles the character set of a sender (hl7v2, csv), `delimiter` and `sheet` are for tables, `inside` is the place of a text in
XML or JSON that holds the message proper. Nothing here is a program: what needs thought is a name and a test in Python.
"""

import codecs
from collections.abc import Iterable
from typing import Any

import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.messages.formats import FORMATS, TABLES, WITH_INSIDE, Format, Options, format_of
from frontend_agent.shipped import only_known_keys

FINAL, VOID, LINE = "final", "void", "line"
ANY = "*"


class Condition(msgspec.Struct, frozen=True):
    """A place, and what may stand there; ANY for anything."""

    path: str
    values: frozenset[str]


class Choice(msgspec.Struct, frozen=True):
    """A place that may hold a field's value."""

    path: str
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    join: str | None = None


class Field(msgspec.Struct, frozen=True):
    name: str
    choices: tuple[Choice, ...]


class Group(msgspec.Struct, frozen=True):
    """The detail rows of a record."""

    name: str
    fields: tuple[Field, ...]
    each: str = ""
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()


class MessageMapping(msgspec.Struct, frozen=True):
    """One [message], as it was read."""

    format: str
    options: Options
    fields: tuple[Field, ...]
    groups: tuple[Group, ...] = ()
    each: str = ""
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    final: tuple[Condition, ...] = ()
    void: tuple[Condition, ...] = ()
    whole: str = ""  # the column that holds the message itself, its own bytes

    def columns(self, key: str) -> tuple[str, ...]:
        """The columns of its parent rows."""
        said = [FINAL] if self.final else []
        said += [VOID] if self.void else []
        said += [self.whole] if self.whole else []
        return (*(field.name for field in self.fields), *said)

    def places(self) -> dict[str, str]:
        """field -> where it stands, for messages to people."""
        parent = {field.name: _written(field) for field in self.fields}
        inner = {f"{group.name}.{field.name}": _written(field) for group in self.groups for field in group.fields}
        return parent | inner


def _written(field: Field) -> str:
    return ", ".join(dict.fromkeys(choice.path for choice in field.choices))


def declared_message(table: Any, key: str, where: str, document: str = "") -> MessageMapping:
    """Read and check [message]; every path is compiled once here, so that a mistyped one is told at start.

    `document`: the field that holds a finished document. One of which [message.fields] says nothing is the message itself.
    """
    where = f"{where}: [message]"
    table = _table(table, where)
    only_known_keys(
        table,
        (
            "format",
            "each",
            "when",
            "unless",
            "final",
            "void",
            "fields",
            "details",
            "charset",
            "delimiter",
            "sheet",
            "inside",
        ),
        where,
    )
    name = table.get("format")
    if name not in FORMATS:
        raise ConfigurationError(f"{where} format must be one of {', '.join(FORMATS)}")
    options = _options(table, name, where)
    format_ = format_of(name, options)
    each = _each(table, format_, where, needed=False)
    fields = _fields(table.get("fields"), format_, f"{where} fields")
    if key not in (field.name for field in fields):
        raise ConfigurationError(f'{where} fields: says nothing of "{key}", which is the mapping\'s key')
    groups = []
    for group, inner in _table(table.get("details", {}), f"{where} details").items():
        at = f"{where} details.{group}"
        inner = _table(inner, at)
        only_known_keys(inner, ("each", "when", "unless", "fields"), at)
        groups.append(
            Group(
                group,
                _fields(inner.get("fields"), format_, f"{at} fields"),
                _each(inner, format_, at, needed=name not in TABLES),
                *(_conditions(inner.get(word, {}), format_, f"{at} {word}") for word in ("when", "unless")),
            )
        )
    conditions = {
        word: _conditions(table.get(word, {}), format_, f"{where} {word}") for word in ("when", "unless", FINAL, VOID)
    }
    whole = document if document and document not in (field.name for field in fields) else ""
    if whole and each:
        raise ConfigurationError(f"{where} each: a message that is itself the document is one record")
    return MessageMapping(name, options, fields, tuple(groups), each, **conditions, whole=whole)


def _options(table: dict[str, Any], name: str, where: str) -> Options:
    allowed = {"charset": ("hl7v2", "csv"), "delimiter": ("csv",), "sheet": ("xlsx",), "inside": WITH_INSIDE}
    given = {}
    for word, formats in allowed.items():
        if word not in table:
            continue
        if name not in formats:
            raise ConfigurationError(f"{where} {word} is for {' and '.join(formats)}, not for {name}")
        given[word] = _text(table[word], f"{where} {word}")
    if "charset" in given:
        try:
            given["charset"] = codecs.lookup(given["charset"]).name
        except LookupError:
            raise ConfigurationError(f"{where} charset: unknown character set (gb18030, utf-8 …)") from None
    if len(given.get("delimiter", ",")) != 1:
        raise ConfigurationError(f"{where} delimiter must be one character")
    options = Options(**given)
    if options.inside:
        format_of(name, Options()).check_path(options.inside, f"{where} inside")
    return options


def _each(table: dict[str, Any], format_: Format, where: str, needed: bool) -> str:
    if "each" not in table:
        if needed:
            raise ConfigurationError(f"{where}: each is missing: what is one row?")
        return ""
    each = _text(table["each"], f"{where} each")
    format_.check_each(each, f"{where} each")
    return each


def _fields(table: Any, format_: Format, where: str) -> tuple[Field, ...]:
    table = _table(table, where)
    if not table:
        raise ConfigurationError(f"{where}: names no field")
    return tuple(Field(name, tuple(_choices(value, format_, f'{where} "{name}"'))) for name, value in table.items())


def _choices(value: Any, format_: Format, where: str) -> Iterable[Choice]:
    for one in value if isinstance(value, list) and value else [value]:
        given = {"path": one} if isinstance(one, str) else _table(one, where)
        only_known_keys(given, ("path", "when", "unless", "join"), where)
        path = _text(given.get("path"), f"{where} path")
        format_.check_path(path, where)
        join = given.get("join")
        if join is not None and not isinstance(join, str):
            raise ConfigurationError(f"{where} join must be text in quotes")
        when, unless = (_conditions(given.get(word, {}), format_, f"{where} {word}") for word in ("when", "unless"))
        yield Choice(path, when, unless, join)


def _conditions(table: Any, format_: Format, where: str) -> tuple[Condition, ...]:
    found = []
    for path, values in _table(table, where).items():
        format_.check_path(path, where)
        values = [values] if isinstance(values, str) else values
        if not isinstance(values, list) or not values or not all(isinstance(one, str) for one in values):
            raise ConfigurationError(f'{where} "{path}" must be a text or a list of texts')
        found.append(Condition(path, frozenset(values)))
    return tuple(found)


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} must be a table (are names with dots in quotes?)")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where} is missing or not text in quotes")
    return value
