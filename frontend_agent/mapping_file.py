"""Reading a mapping: TOML with its SQL beside it, and what can be told from the SQL's text. See `mapping.py`."""

import hashlib
import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Map
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from connectors.procedures import Call
from frontend_agent import shipped
from frontend_agent.codes import CodeTable, parse_code_table
from frontend_agent.config import duration
from frontend_agent.declared_procedures import called, declared
from frontend_agent.errors import ConfigurationError
from frontend_agent.messages.declared import MessageMapping, declared_message
from frontend_agent.messages.rows import stand_in
from frontend_agent.shipped import Read, did_you_mean, only_known_keys, toml_of


class Detail(msgspec.Struct, frozen=True):
    """One detail query; `source` names another configured source when the rows live elsewhere."""

    sql: str
    source: str = ""


class Partner(msgspec.Struct, frozen=True):
    """A query whose columns fill fields of the record, found by the alias `by` that the parent query has as well."""

    sql: str
    by: str
    source: str = ""  # another configured source; empty: the feed's own
    wait: float = 86_400.0  # seconds that a record waits for its partner's row
    optional: bool = False  # a record without a row there is whole
    changed: str = ""  # "cursor" and "key" (a value of `by`) of partner rows that changed; empty: nobody asks


class Queries(msgspec.Struct, frozen=True):
    """The SQL of a mapping, as text: what a source needs to know of it."""

    key: str
    changed: str
    parent: str
    details: Map[str, Detail] = {}
    partners: Map[str, Partner] = {}
    changes: str = ""  # "cursor" (a number that only grows) and "key" of the rows of a change table
    history: tuple["Queries", ...] = ()  # where rows move that leave the parent's tables: asked for keys that are gone
    cursor_unit: Literal["", "s", "ms"] = ""  # a cursor that is a plain number counts these since 1970
    paths: tuple[str, ...] = ()  # aliases of the parent query that hold paths of files
    day: str = ""  # "day" (of the event) and "key": which records count for a day, for reconciliation


class ReadField(msgspec.Struct, frozen=True):
    """Where a field is inside a column, and the chain of readers for what stands there."""

    path: str
    then: str = ""


class ReadGroup(msgspec.Struct, frozen=True):
    """Where the rows of a group are inside a column."""

    each: str
    fields: Map[str, ReadField]


class ReadColumn(msgspec.Struct, frozen=True):
    """One column that is read on: as text `into` a field, or as fields and groups by their paths."""

    reader: str
    into: str = ""
    fields: Map[str, ReadField] = {}
    groups: Map[str, ReadGroup] = {}


class Mapping(msgspec.Struct, frozen=True):
    """One mapping as it was read. `digest` is over the TOML and the SQL, `codes_digest` over its code tables."""

    name: str
    path: str
    kind: str
    key: str
    queries: Queries
    document: str = ""  # the alias of a finished document that passes through as it is (passing.py)
    codes: Map[str, CodeTable] = {}
    beside: Map[str, str] = {}  # field with a code map -> where its query has the code's local name
    columns: Map[str, str] = {}
    parse: Map[str, str] = {}
    read: Map[str, ReadColumn] = {}  # alias, or `group.alias`
    files: Map[str, str] = {}  # query ("parent", "items", …) -> its file, for messages
    digest: str = ""
    codes_digest: str = ""
    message: MessageMapping | None = (
        None  # its rows come out of messages: its queries only say which columns those have
    )


# -- reading --------------------------------------------------------------------------------------------------------


def _no_pack(path: str) -> str:
    raise FileNotFoundError(path)


def load_mapping(
    name_or_path: str, institution: str = "", read: Read = shipped.read_file, packed: Read = _no_pack
) -> Mapping:
    """Read a mapping: a shipped one by name (`demo_lis/lab_report`), a site's own by the path of its .toml.

    `{institution}` in the SQL becomes the feed's institution code as a literal, for a database several hospitals share.
    """
    if shipped.is_site_file(name_or_path):
        path = name_or_path
    else:
        read, path = shipped.read_shipped("mappings"), f"{name_or_path}.toml"
        known = shipped.shipped_names("mappings", depth=2)
        if name_or_path not in known:
            raise ConfigurationError(
                f"mapping '{name_or_path}' does not ship with us{did_you_mean(name_or_path, known)}"
                f" (shipped: {', '.join(known) or 'none'}; a site's own is named by the path of its .toml)"
            )
    return parse_mapping(name_or_path, path, institution, read, packed)


def parse_mapping(name: str, path: str, institution: str, read: Read, packed: Read = _no_pack) -> Mapping:
    """`packed` reads the files of the pack in force: a code map `pack:sex` is its codes/sex.toml or codes/sex.csv."""
    text = shipped.text_of(read, path, "mapping")
    table = toml_of(text, path)
    known = (
        "kind",
        "key",
        "title",
        "document",
        "queries",
        "message",
        "procedures",
        "codes",
        "columns",
        "parse",
        "read",
    )
    only_known_keys(table, known, path)
    kind, key = (_text(table, word, path) for word in ("kind", "key"))
    document = _text(table, "document", path) if "document" in table else ""
    message = _message(table, key, path, document)
    if message is not None:
        queries, files, sql_texts = _of_message(message, key, path)
    else:
        queries, files, sql_texts = _queries(
            table.get("queries"), key, path, institution, read, declared(table.get("procedures", {}), path)
        )
    wanted, beside = _wanted_codes(table.get("codes", {}), path)
    codes, code_texts = _codes(wanted, path, read, packed)
    reads = _reads(table.get("read", {}), path)
    paths = _paths(reads, path)
    history = tuple(msgspec.structs.replace(moved, paths=paths) for moved in queries.history)
    queries = msgspec.structs.replace(queries, paths=paths, history=history)
    if document:
        _needs_aliases(queries.parent, (document,), files["parent"])
    return Mapping(
        document=document,
        name=name.removesuffix(".toml"),
        path=path,
        kind=kind,
        key=key,
        queries=queries,
        codes=codes,
        beside=beside,
        columns=_texts(table, "columns", path) | _places(message, key),
        parse=_texts(table, "parse", path),
        read=reads,
        files=files,
        digest=_digest([text, *sql_texts]),
        codes_digest=_digest(code_texts),
        message=message,
    )


def _message(table: dict[str, Any], key: str, path: str, document: str) -> MessageMapping | None:
    if "message" not in table:
        return None
    if other := [word for word in ("queries", "procedures") if word in table]:
        raise ConfigurationError(
            f"{path}: [message] and {other[0]} exclude each other: rows come from messages or from SQL"
        )
    return declared_message(table["message"], key, path, document)


def _of_message(message: MessageMapping, key: str, path: str) -> tuple[Queries, dict[str, str], list[str]]:
    parent, details = stand_in(message, key)
    queries = Queries(key, "", parent, {group: Detail(columns) for group, columns in details.items()})
    return queries, dict.fromkeys(("parent", *details), path), []


def _places(message: MessageMapping | None, key: str) -> dict[str, str]:
    """Fields of a message with their paths, where another mapping has columns."""
    places = message.places() if message is not None else {}
    return {field: place for field, place in places.items() if field != key and not field.endswith(".line")}


def _text(table: dict[str, Any], key: str, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: {key} is missing or not text in quotes")
    return value


def _file_or_call(table: dict[str, Any], key: str, where: str) -> Any:
    """The name of a file, or `{ procedure = "…" }`."""
    return table[key] if isinstance(table.get(key), dict) else _text(table, key, where)


def _texts(table: dict[str, Any], key: str, where: str) -> dict[str, str]:
    values = table.get(key, {})
    if not isinstance(values, dict):
        raise ConfigurationError(f"{where}: [{key}] must be a table")
    for name, value in values.items():
        if not isinstance(value, str):
            raise ConfigurationError(f'{where}: [{key}] "{name}" must be text in quotes (is the field name in quotes?)')
    return values


def _queries(
    table: Any, key: str, path: str, institution: str, read: Read, procedures: Map[str, Call]
) -> tuple[Queries, dict[str, str], list[str]]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: needs a table [queries] with changed and parent")
    only_known_keys(
        table,
        ("changed", "parent", "details", "partners", "cursor_unit", "day", "changes", "history"),
        f"{path}: [queries]",
    )
    unit = table.get("cursor_unit", "")
    if unit not in ("", "s", "ms"):
        raise ConfigurationError(
            f'{path}: [queries] cursor_unit must be "s" or "ms" (seconds or milliseconds since 1970)'
        )
    files: dict[str, str] = {}
    texts: list[str] = []

    def sql(query: str, file: Any) -> str:
        if isinstance(file, dict):
            files[query] = path
            return called(procedures, file, f"{path}: [queries] {query}")
        files[query] = beside = str(PurePosixPath(path).parent / file)
        texts.append(shipped.text_of(read, beside, f"{path}: query '{query}'"))
        return _clean_sql(texts[-1], beside).replace("{institution}", "'" + institution.replace("'", "''") + "'")

    changed = sql("changed", _file_or_call(table, "changed", f"{path}: [queries]"))
    parent = sql("parent", _file_or_call(table, "parent", f"{path}: [queries]"))
    _needs_aliases(changed, ("cursor", "key"), files["changed"])
    _needs_aliases(parent, (key,), files["parent"])
    day = sql("day", _text(table, "day", f"{path}: [queries]")) if "day" in table else ""
    if day:
        _needs_aliases(day, ("day", "key"), files["day"])
    details: dict[str, Detail] = {}
    given = table.get("details", {})
    if not isinstance(given, dict):
        raise ConfigurationError(f"{path}: [queries.details] must be a table")
    for group, value in given.items():
        where = f"{path}: [queries.details] {group}"
        if isinstance(value, str):
            value = {"sql": value}
        if not isinstance(value, dict):
            raise ConfigurationError(f'{where} must be a file name or {{ sql = "…", source = "…" }}')
        only_known_keys(value, ("sql", "procedure", "source"), where)
        asked = {"procedure": value["procedure"]} if "procedure" in value else _text(value, "sql", where)
        details[group] = Detail(sql=sql(group, asked), source=str(value.get("source", "")))
        _needs_aliases(details[group].sql, (key,), files[group])
    partners = _partners(table.get("partners", {}), path, parent, sql, files)
    changes = ""
    if "changes" in table:
        changes = sql("changes", _text(table, "changes", f"{path}: [queries]"))
        _needs_aliases(changes, ("cursor", "key"), files["changes"])
    queries = Queries(
        key=key,
        changed=changed,
        parent=parent,
        details=details,
        partners=partners,
        changes=changes,
        cursor_unit=unit,
        day=day,
    )
    queries = msgspec.structs.replace(queries, history=_history(table.get("history", []), path, queries, sql, files))
    return queries, files, texts


def _history(
    given: Any, path: str, queries: Queries, sql: Callable[[str, str], str], files: dict[str, str]
) -> tuple[Queries, ...]:
    """`["report_2025.sql", { parent = "report_2024.sql", details = { items = "item_2024.sql" } }]`.

    The aliases are those of the parent, or a record that moved would read as another.
    """
    if not isinstance(given, list):
        raise ConfigurationError(f"{path}: [queries] history must be a list of file names")
    found = []
    for number, value in enumerate(given, 1):
        where = f"{path}: [queries] history, entry {number}"
        entry = {"parent": value} if isinstance(value, str) else value
        if not isinstance(entry, dict):
            raise ConfigurationError(f'{where} must be a file name or {{ parent = "…", details = {{ … }} }}')
        only_known_keys(entry, ("parent", "details"), where)
        parent = sql(f"history.{number}", _text(entry, "parent", where))
        wanted, aliases = set(sql_aliases(queries.parent)), set(sql_aliases(parent))
        if wanted != aliases:
            raise ConfigurationError(
                f"{files[f'history.{number}']}: must have the aliases of the parent query; other: "
                f"{', '.join(sorted(wanted ^ aliases))}"
            )
        moved = _table_of(entry.get("details", {}), f"{where}: details")
        only_known_keys(moved, tuple(queries.details), f"{where}: details")
        if missing := [group for group in queries.details if group not in moved]:
            raise ConfigurationError(
                f"{where}: says nothing of the details {', '.join(missing)}: where do they go? Write"
                f' {{ parent = "…", details = {{ {missing[0]} = "…" }} }}, with the same file where they stay'
            )
        details = {
            group: Detail(sql(f"history.{number}.{group}", _text(moved, group, where)), queries.details[group].source)
            for group in queries.details
        }
        for group, detail in details.items():
            _needs_aliases(detail.sql, (queries.key,), files[f"history.{number}.{group}"])
        found.append(msgspec.structs.replace(queries, parent=parent, details=details, changes="", history=()))
    return tuple(found)


def partner_query(name: str) -> str:
    """The name of a partner's query beside "parent" and the groups'."""
    return f"partners.{name}"


def _partners(
    table: Any, path: str, parent: str, sql: Callable[[str, Any], str], files: dict[str, str]
) -> dict[str, Partner]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: [queries.partners] must be a table")
    partners: dict[str, Partner] = {}
    for name, value in table.items():
        where = f"{path}: [queries.partners] {name}"
        if not isinstance(value, dict):
            raise ConfigurationError(f'{where} must be {{ sql = "…", by = "…", source = "…" }}')
        only_known_keys(value, ("sql", "by", "source", "wait", "optional", "changed"), where)
        by, query = _text(value, "by", where), partner_query(name)
        _needs_aliases(parent, (by,), files["parent"])
        text = sql(query, _text(value, "sql", where))
        _needs_aliases(text, (by,), files[query])
        changed = ""
        if "changed" in value:
            changed = sql(f"{query}.changed", _text(value, "changed", where))
            _needs_aliases(changed, ("cursor", "key"), files[f"{query}.changed"])
        optional = value.get("optional", False)
        if not isinstance(optional, bool):
            raise ConfigurationError(f"{where}: optional must be true or false")
        wait = _seconds(value.get("wait", "24h"), f"{where}: wait")
        partners[name] = Partner(text, by, str(value.get("source", "")), wait, optional, changed)
    return partners


def _seconds(text: Any, where: str) -> float:
    try:
        return duration(text).total_seconds()
    except ValueError as error:
        raise ConfigurationError(f"{where} must be {error}") from None


# -- columns that are read on ----------------------------------------------------------------------------------------


def _reads(table: Any, path: str) -> dict[str, ReadColumn]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: [read] must be a table")
    reads: dict[str, ReadColumn] = {}
    for alias, value in table.items():
        where = f'{path}: [read] "{alias}"'
        if isinstance(value, str):
            value = {"reader": value}
        if not isinstance(value, dict):
            raise ConfigurationError(f'{where} must be a reader or {{ reader = "…", … }} (is the name in quotes?)')
        only_known_keys(value, ("reader", "into", "fields", "groups"), where)
        fields = _read_fields(value.get("fields", {}), f"{where} fields")
        groups = {}
        for group, inner in _table_of(value.get("groups", {}), f"{where} groups").items():
            at = f"{where} groups.{group}"
            only_known_keys(_table_of(inner, at), ("each", "fields"), at)
            groups[group] = ReadGroup(_text(inner, "each", at), _read_fields(inner.get("fields", {}), f"{at} fields"))
        into = value.get("into", "")
        if not isinstance(into, str) or (into and (fields or groups)):
            raise ConfigurationError(f"{where}: into is the one field that the text becomes; without fields and groups")
        if not (fields or groups or into):
            into = alias
        reads[alias] = ReadColumn(_text(value, "reader", where), into, fields, groups)
    return reads


def _paths(reads: Map[str, ReadColumn], path: str) -> tuple[str, ...]:
    """The columns whose first reader is `file`: what they hold is a path."""
    found = tuple(alias for alias, column in reads.items() if column.reader.partition("|")[0].strip() == "file")
    if inside := [alias for alias in found if "." in alias]:
        raise ConfigurationError(
            f'{path}: [read] "{inside[0]}": the reader file stands in a column of the parent query'
        )
    return found


def _read_fields(table: Any, where: str) -> dict[str, ReadField]:
    fields: dict[str, ReadField] = {}
    for field, value in _table_of(table, where).items():
        if isinstance(value, str):
            value = {"path": value}
        only_known_keys(_table_of(value, f"{where}.{field}"), ("path", "then"), f"{where}.{field}")
        then = value.get("then", "")
        if not isinstance(then, str):
            raise ConfigurationError(f"{where}.{field}: then must be a reader in quotes")
        fields[field] = ReadField(_text(value, "path", f"{where}.{field}"), then)
    return fields


def _table_of(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} must be a table (are names with dots in quotes?)")
    return value


def _clean_sql(text: str, file: str) -> str:
    """The query without its closing semicolon; only a SELECT is a query."""
    text = text.strip().rstrip(";").rstrip()
    bare = _bare(text).lstrip(" (\n\t").upper()
    if not bare.startswith(("SELECT", "WITH")):
        raise ConfigurationError(f"{file}: must be one SELECT")
    if ";" in bare:
        raise ConfigurationError(f"{file}: more than one statement; a query is one SELECT")
    return text


def _needs_aliases(sql: str, aliases: Iterable[str], file: str) -> None:
    found = sql_aliases(sql)
    for alias in aliases:
        if alias not in found:
            near = did_you_mean(alias, found)
            raise ConfigurationError(f'{file}: selects nothing AS "{alias}"{near}; the alias must be in quotes')


def _wanted_codes(given: Any, path: str) -> tuple[dict[str, str], dict[str, str]]:
    """`"patient.sex" = "sex"`, or `{ table = "sex", name = "patient.sex_name" }` where a column says what a code is called."""
    if not isinstance(given, dict):
        raise ConfigurationError(f"{path}: [codes] must be a table")
    tables: dict[str, str] = {}
    beside: dict[str, str] = {}
    for field, value in given.items():
        where = f'{path}: [codes] "{field}"'
        if isinstance(value, str):
            tables[field] = value
            continue
        if not isinstance(value, dict) or "table" not in value:
            raise ConfigurationError(
                f'{where} must be text in quotes, or {{ table = "…", name = "…" }} (is the field name in quotes?)'
            )
        only_known_keys(value, ("table", "name"), where)
        tables[field] = _text(value, "table", where)
        if "name" in value:
            beside[field] = _text(value, "name", where)
    return tables, beside


def _codes(wanted: dict[str, str], path: str, read: Read, packed: Read) -> tuple[dict[str, CodeTable], list[str]]:
    tables: dict[str, CodeTable] = {}
    texts: list[str] = []
    by_field: dict[str, CodeTable] = {}
    for field, name in wanted.items():
        if name not in tables:
            of_pack = name.startswith(OF_PACK)
            file, text = (
                _packed_code_file(name, path, field, packed) if of_pack else _code_file(name, path, field, read)
            )
            texts.append(text)
            tables[name] = parse_code_table(name, file, text)
        by_field[field] = tables[name]
    return by_field, texts


OF_PACK = "pack:"  # a code map of the pack in force, not one beside the mapping
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError, KeyError)  # KeyError: a dictionary for a folder


def _packed_code_file(name: str, path: str, field: str, packed: Read) -> tuple[str, str]:
    bare = name.removeprefix(OF_PACK)
    for file in (f"codes/{bare}.csv", f"codes/{bare}.toml"):
        with suppress(*_ABSENT):
            return file, packed(file)
    raise ConfigurationError(
        f'{path}: [codes] "{field}": the pack in force has no codes/{bare}.toml or codes/{bare}.csv'
    )


def _code_file(name: str, path: str, field: str, read: Read) -> tuple[str, str]:
    """A map is codes/NAME.toml or codes/NAME.csv; two files of one name would leave open which is meant."""
    beside = PurePosixPath(path).parent / "codes"
    as_toml, as_csv = str(beside / f"{name}.toml"), str(beside / f"{name}.csv")
    try:
        text = read(as_csv)
    except _ABSENT:
        return as_toml, shipped.text_of(read, as_toml, f'{path}: [codes] "{field}"')
    except (UnicodeDecodeError, OSError):
        text = shipped.text_of(read, as_csv, path)
    with suppress(*_ABSENT):
        read(as_toml)
        raise ConfigurationError(f"{as_csv}: there is also {as_toml}; one map is one file: remove one of them")
    return as_csv, text


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(msgspec.json.encode([text.replace("\r\n", "\n") for text in texts])).hexdigest()


# -- what can be read from the SQL text -------------------------------------------------------------------------------

_NOISE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_QUOTED = re.compile(r'AS\s+(?:"([^"]+)"|`([^`]+)`|\[([^\]]+)\])', re.IGNORECASE)
_PLAIN_COLUMN = re.compile(r'(?:(\w+)\.)?(\w+)\s+AS\s+(?:"([^"]+)"|`([^`]+)`|\[([^\]]+)\])', re.IGNORECASE)
_TABLE = re.compile(r'\b(?:FROM|JOIN)\s+((?:[\w"`]+\.)*[\w"`]+)(?:\s+(?:AS\s+)?(\w+))?', re.IGNORECASE)


def _bare(sql: str) -> str:
    """The SQL without comments and text literals."""
    return _NOISE.sub(lambda match: " " if not match[0].startswith("'") else "''", sql)


def _top_level(sql: str) -> str:
    """The SQL outside of all brackets: subqueries and calls become `()`."""
    depth, kept = 0, []
    for character in _bare(sql):
        depth -= character == ")"
        if depth <= 0:
            kept.append(character)
        depth += character == "("
    return "".join(kept)


def sql_aliases(sql: str) -> list[str]:
    """The quoted aliases of a query's own select list: the field names it answers with."""
    return list(dict.fromkeys(a or b or c for a, b, c in _QUOTED.findall(_top_level(sql))))


def plain_columns(sql: str) -> dict[str, str]:
    """alias -> `table.column`, for the aliases that stand for a bare column. The rest need a line in [columns]."""
    top = _top_level(sql)
    tables: dict[str, str] = {}
    for table, alias in _TABLE.findall(top):
        bare = table.replace('"', "").replace("`", "").split(".")[-1]
        tables[alias] = tables[bare] = bare
    tables.pop("", None)
    only = next(iter(set(tables.values())), "") if len(set(tables.values())) == 1 else ""
    columns: dict[str, str] = {}
    for match in _PLAIN_COLUMN.finditer(top):
        prefix, column = match[1], match[2]
        table = tables.get(prefix, prefix) if prefix else only
        if column.upper() not in ("END", "NULL"):
            columns[match[3] or match[4] or match[5]] = f"{table}.{column}" if table else column
    return columns
