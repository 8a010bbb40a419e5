"""A mapping: which column of a hospital's system is which field of a kind. TOML, with its SQL beside it.

    kind = "C0007"
    key  = "report_number"                 # the business key: an alias of the parent query
    [queries]
    changed = "lab_report.changed.sql"     # "cursor" and "key" of what changed
    parent  = "lab_report.sql"             # aliases are field names; also "final" and "void" (1/0)
    [queries.details]
    items = "lab_report.items.sql"         # the key under the key's alias; the other aliases are the group's fields
    [codes]
    "patient.sex" = "sex"                  # codes/sex.toml, or codes/sex.csv
    "items.unit" = { table = "unit", name = "items.unit_name" }   # and where the code's local name stands
    [columns]
    "patient.name" = "lab_report.xm"       # only where it cannot be read from the SQL
    document = "content"                   # instead of fields: the alias of the hospital's own finished CDA (passing.py)
    [parse]
    "patient.birth_date" = "dd.MM.yyyy"    # only where the value does not explain itself
    [queries.partners]                     # columns of another source that fill fields of the record
    person = { sql = "lab_report.person.sql", source = "his", by = "his_patient_id", wait = "24h" }
    [read]                                 # columns that hold more than one value
    "emr_xml" = { reader = "gb18030 | xml", fields = { chief_complaint = "//zs" } }

`load_mapping` (mapping_file.py) reads one; `compile_mapping` makes of it the function SourceRows -> SourceRecords, as generated code:
one pass over the rows, no field looked up by name at run time.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Map
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from frontend_agent.checks.catalogue import describe
from frontend_agent.checks.masking import mask_local_code, mask_unreadable
from frontend_agent.checks.visits import FRONT_PAGES
from frontend_agent.codes import CodeTable
from frontend_agent.conversion import (
    NAMED,
    Memo,
    boolean_of,
    day_reader,
    is_yes,
    moment_reader,
    named_conversion,
    number_of,
    plain_number,
    raw_of,
    text_of,
)
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.value_sets import value_set
from frontend_agent.mapping_file import (
    Detail,
    Mapping,
    Queries,
    ReadColumn,
    load_mapping,
    partner_query,
    plain_columns,
    sql_aliases,
)
from frontend_agent.model import Awaited, Blame, Finding, Record, RowSet, Severity, SourceRecord, SourceRows, Unmapped
from frontend_agent.reading import (
    Column,
    FieldPath,
    GroupPath,
    Opened,
    Unread,
    compile_chain,
    compile_path,
    open_columns,
)
from frontend_agent.shipped import did_you_mean
from frontend_agent.terms.traps import doubts

__all__ = [
    "FACTS",
    "Detail",
    "Mapping",
    "Queries",
    "compile_mapping",
    "field_columns",
    "load_mapping",
    "plain_columns",
    "sql_aliases",
]

LINE, FINAL, VOID = "line", "final", "void"
ARCHIVED = "fact.archived"
FEED_FIELDS = ("institution.id", "institution.name")  # said by the feed, never by a query

# What a record may say besides its kind's fields; never rendered. The value is the WS 363 format it is held to.
FACTS = MappingProxyType(
    {
        "fact.id_type": "AN..2",
        "fact.newborn": "BL",
        "fact.foreigner": "BL",
        "fact.identity_unknown": "BL",
        "fact.tcm": "BL",
        "fact.patient_class": "AN..10",
        "fact.birth_date": "D8",
        "fact.visit_id": "AN..50",  # the visit's own number, where it is neither the outpatient nor the inpatient number
        "fact.archived": "BL",  # of a front page: the record room has filed it
        "fact.staff": "BL",  # the patient works here
        "fact.opt_out": "BL",  # the patient objected to sharing
        "fact.department": "AN..50",  # where the document has no slot for one
        "fact.patient_id": "AN..50",  # the person's own number at the hospital, the same at every visit
    }
)


FACT_VALUE_SETS = MappingProxyType({"fact.id_type": "CV02.01.101"})


class FieldLike(Protocol):
    """What a mapping needs to know of a kind's field."""

    @property
    def name(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def value_type(self) -> str: ...
    @property
    def value_set(self) -> str: ...


class KindLike(Protocol):
    """What a mapping needs to know of a kind."""

    @property
    def code(self) -> str: ...
    @property
    def fields(self) -> Sequence[Any]: ...


# -- compiling ------------------------------------------------------------------------------------------------------

LONGEST_CODE = 60  # characters: more is no code
_COLUMN, _NUMBER, _CODE, _MEMO, _CONVERT, _BOOLEAN = "column", "number", "code", "memo", "convert", "boolean"


class Plan(NamedTuple):
    """How one column becomes one field."""

    name: str  # the field's name within its row (`unit`)
    field: str  # the field's full name (`items.unit`)
    how: str
    conversion: Any = None
    table: CodeTable | None = None


class Trouble(NamedTuple):
    """A value that cannot be kept: it stands in the row as raw text until the source hash is taken, then it is left out."""

    row: dict[str, str]
    name: str
    rule: str
    shown: str
    code: str = ""  # of an unmapped one: the local code, and what it is called
    called: str = ""


Later = tuple[dict[str, str], str, str]  # (row, field, final text): what replaces the text that the source hash is over


class _Group(NamedTuple):
    rows: list[dict[str, str]]
    lines: list[str]
    later: list[Later]
    troubles: list[Trouble]


class _Parent(NamedTuple):
    key: str
    row: Record
    later: list[Later]
    troubles: list[Trouble]
    final: bool
    void: bool
    links: tuple[str, ...] = ()  # by partner: the key of its row


class _Side(NamedTuple):
    """What a partner says, once for all records that it is the partner of."""

    hashed: bytes
    row: Record
    findings: list[Finding]
    unsaid: frozenset[str]
    unmapped: Sequence[Unmapped] = ()


Compiled = Callable[[SourceRows], list[SourceRecord]]


def compile_mapping(
    mapping: Mapping,
    kind: KindLike,
    institution_id: str,
    institution_name: str,
    timezone: str = "Asia/Shanghai",
    severity: Map[str, Severity] | None = None,
) -> Compiled:
    """The function that turns a mapping's rows into records of its kind. Mistakes of the mapping are told here, at start.

    `severity` is the profile's word on MAP001 … where it differs from HOLD.
    """
    if mapping.kind != kind.code:
        raise ConfigurationError(f"{mapping.path}: is for kind {mapping.kind}, not {kind.code}")
    planner = _Planner(mapping, kind, timezone)
    planner.check_aliases()
    assemble = _Assembler(mapping, planner, severity or {})
    readers: dict[tuple[str, tuple[str, ...]], Callable[[Sequence[Any]], Any]] = {}
    institution = {"institution.id": institution_id, "institution.name": institution_name}

    def opened(query: str, rows: RowSet) -> Opened:
        columns = planner.reads.get(query)
        return open_columns(rows, planner.key_of(query), columns) if columns else Opened(rows)

    def read(query: str, rows: RowSet) -> Any:
        reader = readers.get((query, rows.columns))
        if reader is None:  # the driver tells the order of columns only with the first rows
            reader = readers[query, rows.columns] = planner.reader(query, rows.columns)
        return reader(rows.rows)

    def records_of(rows: SourceRows) -> list[SourceRecord]:
        parent = opened("parent", rows.parent)
        unread: list[Map[str, list[Unread]]] = [parent.unread]
        details: list[tuple[str, dict[str, _Group]]] = []
        for group in mapping.queries.details:
            if group in rows.details:
                detail = opened(group, rows.details[group])
                details.append((group, read(group, detail.rows)))
                unread.append(detail.unread)
        details += [(group, read(group, found)) for group, found in parent.groups.items()]
        partners = []
        for name in mapping.queries.partners:
            query = partner_query(name)
            partner = opened(query, rows.partners[name])
            partners.append((name, read(query, partner.rows), partner.unread))
        return assemble.records(read("parent", parent.rows), details, institution, unread, partners)

    return records_of


def field_columns(mapping: Mapping, kind: KindLike) -> dict[str, str]:
    """field -> the source column that a mapping takes it from, as far as that can be read from the SQL."""
    planner = _Planner(mapping, kind, "Asia/Shanghai")
    planner.check_aliases()
    return planner.columns()


class _Planner:
    """Knows which alias is which field and how it is converted, and generates the row readers."""

    def __init__(self, mapping: Mapping, kind: KindLike, timezone: str) -> None:
        self.mapping = mapping
        try:
            self.zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigurationError(f"timezone '{timezone}' is not known (example: Asia/Shanghai)") from None
        self.moment_of = Memo(moment_reader(self.zone))
        self.day_of = Memo(day_reader(self.zone))
        self.fields: dict[str, Any] = {field.name: field for field in kind.fields}
        self.groups = {str(field.group) for field in kind.fields if field.group}
        self.aliases: dict[str, str] = {}  # full field name -> file that selects it
        self.names_of_codes = set(mapping.beside.values())
        for group in mapping.queries.details:
            if group not in self.groups:
                raise ConfigurationError(
                    f"{mapping.path}: [queries.details] {group}: kind {kind.code} has no such group"
                    f"{did_you_mean(group, self.groups)} (known: {', '.join(sorted(self.groups))})"
                )
        self._check_code_tables()
        self.sql = {"parent": mapping.queries.parent}
        self.sql |= {group: detail.sql for group, detail in mapping.queries.details.items()}
        self.partners = {partner_query(name): partner for name, partner in mapping.queries.partners.items()}
        self.sql |= {query: partner.sql for query, partner in self.partners.items()}
        self.reads: dict[str, list[Column]] = {}  # query -> columns that are read on
        for name, column in mapping.read.items():
            self._plan_read(name, column)

    def key_of(self, query: str) -> str:
        """The alias by which a query's rows find their record."""
        return self.partners[query].by if query in self.partners else self.mapping.key

    def check_aliases(self) -> None:
        """Plan every alias that can be read from the SQL, so that a typing error is told at start."""
        said_by: dict[str, str] = {}
        for query in self.sql:
            for alias in self.opened_aliases(query):
                if self._plan(query, alias) is None:
                    continue
                name = self._full(query, alias)
                other = said_by.setdefault(name, query)
                if other != query:
                    raise ConfigurationError(
                        f'{self.mapping.files.get(query, self.mapping.path)}: AS "{alias}": {other} says it already;'
                        " one query has to"
                    )
        if self.mapping.kind in FRONT_PAGES and not {FINAL, ARCHIVED} & {
            *sql_aliases(self.sql["parent"]),
            *self.aliases,
        }:
            raise ConfigurationError(
                f"{self.mapping.files.get('parent', self.mapping.path)}: a front page leaves once it is archived: select"
                f' AS "{ARCHIVED}" (or AS "{FINAL}")'
            )
        for column in self.reads.get("parent", ()):
            for group in column.groups:
                for path in group.fields:
                    self._plan(group.group, path.field)
        for section, names in (
            ("columns", self.mapping.columns),
            ("parse", self.mapping.parse),
            ("codes", self.mapping.codes),
            ("codes", self.names_of_codes),
        ):
            for name in names:
                if name not in self.aliases:
                    raise ConfigurationError(
                        f'{self.mapping.path}: [{section}] "{name}": no query selects it{did_you_mean(name, self.aliases)}'
                    )

    def columns(self) -> dict[str, str]:
        """field -> source column, as far as it is known."""
        known = {
            self._full("parent", alias): column for alias, column in plain_columns(self.mapping.queries.parent).items()
        }
        for query, sql in self.sql.items():
            plain = plain_columns(sql)
            known |= {self._full(query, alias): column for alias, column in plain.items()}
            for column in self.reads.get(query, ()):
                known |= self._inside(query, column, plain.get(column.alias, column.alias))
        return {name: known.get(name, name) for name in self.aliases} | dict(self.mapping.columns)

    def _inside(self, query: str, column: Column, source: str) -> dict[str, str]:
        """field -> the column that holds it, and where in it."""
        inside = {self._full(query, path.field): f"{source} {path.text}" for path in column.fields}
        if column.into:
            inside[self._full(query, column.into)] = source
        for group in column.groups:
            inside |= {f"{group.group}.{path.field}": f"{source} {path.text}" for path in group.fields}
        return inside

    def _full(self, query: str, alias: str) -> str:
        return alias if query == "parent" or query in self.partners else f"{query}.{alias}"

    # -- columns that are read on

    def _plan_read(self, name: str, column: ReadColumn) -> None:
        """One line of [read]: which query selects it, and what stands in its place."""
        where = f'{self.mapping.path}: [read] "{name}"'
        queries = [query for query in self.sql if self._selects(query, name)]
        if len(queries) != 1:
            known = [self._full(query, alias) for query, sql in self.sql.items() for alias in sql_aliases(sql)]
            problem = "several queries select it" if queries else f"no query selects it{did_you_mean(name, known)}"
            raise ConfigurationError(f"{where}: {problem}")
        query = queries[0]
        prefix = "" if query == "parent" or query in self.partners else f"{query}."
        alias = name.removeprefix(prefix)
        if column.groups and query != "parent":
            raise ConfigurationError(f"{where}: groups are read in a column of the parent query only")
        try:
            chain = compile_chain(column.reader)
            if chain.is_tree == bool(column.into):
                raise ConfigurationError(
                    f"reader '{column.reader}' gives a tree: name fields or groups by their paths"
                    if chain.is_tree
                    else f"reader '{column.reader}' gives text: it goes into one field, there are no paths in it"
                )
            groups = []
            for group, inner in column.groups.items():
                self._may_have_group(group)
                each = compile_path(chain.last, inner.each)
                groups.append(GroupPath(group, each, self._field_paths(chain.last, inner.fields, inside=True)))
            fields = self._field_paths(chain.last, column.fields)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from None
        into = column.into.removeprefix(prefix)
        self.reads.setdefault(query, []).append(Column(alias, chain, into, fields, tuple(groups), prefix))

    def _selects(self, query: str, name: str) -> bool:
        prefix = "" if query == "parent" or query in self.partners else f"{query}."
        return name.startswith(prefix) and name.removeprefix(prefix) in sql_aliases(self.sql[query])

    def _may_have_group(self, group: str) -> None:
        if group not in self.groups:
            raise ConfigurationError(
                f"groups.{group}: kind {self.mapping.kind} has no such group{did_you_mean(group, self.groups)}"
                f" (known: {', '.join(sorted(self.groups))})"
            )
        if group in self.sql:
            raise ConfigurationError(f"groups.{group}: [queries.details] reads it already")

    def _field_paths(self, reader: str, fields: Map[str, Any], inside: bool = False) -> tuple[FieldPath, ...]:
        paths = []
        for field, read in fields.items():
            if inside and read.path.startswith(("/", "$")):
                raise ConfigurationError(f"path '{read.path}' of {field}: within a group a path begins at its row")
            then = compile_chain(read.then) if read.then else None
            if then is not None and then.is_tree:
                raise ConfigurationError(f"then = '{read.then}' of {field} gives a tree, not text")
            paths.append(FieldPath(field, read.path, compile_path(reader, read.path), then))
        return tuple(paths)

    def opened_aliases(self, query: str) -> list[str]:
        """The aliases of a query as its rows have them once their columns are opened."""
        aliases = sql_aliases(self.sql[query])
        columns = {column.alias: column for column in self.reads.get(query, ())}
        kept = [alias for alias in aliases if alias not in columns]
        return kept + [name for alias in aliases if alias in columns for name in columns[alias].names()]

    def _check_code_tables(self) -> None:
        """A code table maps to the value set its field takes, and to codes that exist there, where we carry the set."""
        for name, table in self.mapping.codes.items():
            field = self.fields.get(name)
            wanted = field.value_set if field is not None else FACT_VALUE_SETS.get(name, "")
            if wanted and table.value_set and value_set(table.value_set).oid != value_set(wanted).oid:
                raise ConfigurationError(
                    f"{table.path}: maps to value set {table.value_set}, but {name} takes {wanted}"
                )
            wrong = [
                one for one in doubts(table, value_set(wanted or table.value_set)) if one.severity is Severity.HOLD
            ]
            if wrong:
                more = f" (and {len(wrong) - 1} more: frontend-agent terms check)" if len(wrong) > 1 else ""
                raise ConfigurationError(f"{table.path}: {name}: {describe(wrong[0], 'en')}{more}")

    def _plan(self, query: str, alias: str) -> Plan | None:
        """How an alias is read, or None for the aliases that are no field."""
        mapping, file = self.mapping, self.mapping.files.get(query, self.mapping.path)
        if query in self.partners:
            if alias == self.partners[query].by:
                return None
        elif query == "parent":
            if alias in (FINAL, VOID):
                return None
            if alias in FEED_FIELDS:
                raise ConfigurationError(f'{file}: "{alias}" is said by the feed\'s [institution], not by a query')
        elif alias == LINE:
            return None
        name = self._full(query, alias)
        field = self.fields.get(name)
        if field is None and name not in FACTS:
            if alias == mapping.key or (query == "parent" and alias in self.links()):
                return None
            if name in self.names_of_codes:
                self.aliases[name] = file
                return None
            known = self._names_for(query)
            raise ConfigurationError(
                f'{file}: AS "{alias}": kind {mapping.kind} has no such field{did_you_mean(alias, known)}'
            )
        if query in self.mapping.queries.details and alias == mapping.key:
            return None
        self.aliases[name] = file
        return self._conversion(alias, name, FACTS[name] if field is None else field.format, field)

    def links(self) -> list[str]:
        """By partner: the alias of the parent query that names its row."""
        return [partner.by for partner in self.partners.values()]

    def _names_for(self, query: str) -> list[str]:
        if query in self.partners:
            return [n for n, f in self.fields.items() if not f.group] + [*FACTS]
        if query == "parent":
            return [n for n, f in self.fields.items() if not f.group] + [*FACTS, FINAL, VOID, *self.names_of_codes]
        return [n.removeprefix(f"{query}.") for n, f in self.fields.items() if f.group == query] + [LINE]

    def _conversion(self, alias: str, name: str, format_: str, field: Any) -> Plan:
        table = self.mapping.codes.get(name)
        named = self.mapping.parse.get(name)
        if named is not None:
            conversion = named_conversion(named, self.zone)
            if conversion is None:
                raise ConfigurationError(
                    f"{self.mapping.path}: [parse] \"{name}\": unknown conversion '{named}'{did_you_mean(named, NAMED)}"
                    f" (known: {', '.join(NAMED)}, or a date pattern such as yyyyMMddHHmmss)"
                )
            if table is None:
                return Plan(alias, name, _CONVERT, conversion)
        if table is not None:
            return Plan(alias, name, _CODE, named_conversion(named, self.zone) if named else _code_text, table)
        value_type = field.value_type if field is not None else ""
        if format_ == "BL" or value_type == "BL":
            return Plan(alias, name, _BOOLEAN, boolean_of)
        if format_ == "D8":
            return Plan(alias, name, _MEMO, self.day_of)
        if format_.startswith(("DT", "D")) or value_type == "TS":
            return Plan(alias, name, _MEMO, self.moment_of)
        if is_number(value_type):
            return Plan(alias, name, _NUMBER, number_of)
        return Plan(alias, name, _COLUMN, text_of)

    # -- generated code

    def reader(self, query: str, columns: tuple[str, ...]) -> Callable[[Sequence[Any]], Any]:
        """Generate the function that reads the rows of one query, for the columns in the order the driver gives them."""
        key_alias = self.key_of(query)
        wanted = [key_alias, *self.links()] if query == "parent" else [key_alias]
        for alias in wanted:
            if alias not in columns:
                raise ConfigurationError(f'{self.mapping.files.get(query, query)}: answered without "{alias}"')
        plans = {alias: self._plan(query, alias) for alias in columns}
        names: dict[str, Any] = {
            "text_of": text_of, "Group": _Group, "Parent": _Parent, "is_yes": is_yes, "plain_number": plain_number,
            "MOMENTS": _MOMENTS, "EXACT": _EXACT, "booleans": Memo(boolean_of), "unmapped": _unmapped, "unreadable": _unreadable,
        }  # fmt: skip
        parent = query == "parent"
        key = f"c{columns.index(key_alias)}"
        body = [f"key = {_as_key(key)}", "row = {}"]
        if parent:
            final = _is_yes(f"c{columns.index(FINAL)}") if FINAL in columns else "True"
            void = _is_yes(f"c{columns.index(VOID)}") if VOID in columns else "False"
            links = "".join(f"{_as_key(f'c{columns.index(alias)}')}, " for alias in self.links())
            body.append(f"group = Parent(key, row, [], [], {final}, {void}, ({links}))")
        elif query in self.partners:
            body.append("group = Parent(key, row, [], [], True, False)")
        else:
            body += ["group = found.get(key)", "if group is None: group = found[key] = Group([], [], [], [])"]
        # Sorted by alias: the source hash must not depend on the order of a SELECT list.
        for alias, index in sorted((alias, index) for index, alias in enumerate(columns)):
            plan = plans[alias]
            if plan is not None:
                body += self._cell(plan, f"c{index}", f"f{index}", names, self._name_cell(query, plan, columns))
        if parent:
            body.append("found.append(group)")
        elif query in self.partners:
            body.append("found.setdefault(key, []).append(group)")
        else:
            body += ["if row:", "    group.rows.append(row)"]
            if LINE in columns:
                body.append(f"    group.lines.append(text_of(c{columns.index(LINE)}) or '')")
        lines = [
            "def read(rows):",
            "    found = []" if parent else "    found = {}",
            f"    for {', '.join(f'c{i}' for i in range(len(columns)))}, in rows:",
            *(f"        {line}" for line in body),
            "    return found",
        ]
        exec("\n".join(lines), names)  # noqa: S102 - generated from our own plans; aliases enter as repr() literals only
        reader: Callable[[Sequence[Any]], Any] = names["read"]
        return reader

    def _name_cell(self, query: str, plan: Plan, columns: tuple[str, ...]) -> str:
        """The cell that holds the local name of a code: the one the mapping names, or `code`'s own `name`."""
        full = self._full(query, plan.name)
        beside = self.mapping.beside.get(full) or (f"{full[:-4]}name" if full.endswith(".code") else "")
        alias = beside if query == "parent" else beside.removeprefix(f"{query}.")
        return f"c{columns.index(alias)}" if alias in columns else "None"

    def _cell(self, plan: Plan, cell: str, convert: str, names: dict[str, Any], name_cell: str) -> list[str]:
        """The statements that read one cell into `row`."""
        names[convert] = plan.conversion
        name = repr(plan.name)
        match plan.how:
            case "memo":
                names[f"{convert}_plain"] = plan.conversion.convert
                read = [f"t = {convert}[{cell}] if {cell}.__class__ in MOMENTS else {convert}_plain({cell})"]
            case "number":
                read = [
                    f"if {cell}.__class__ is str:",
                    f"    t = {cell}.strip()",
                    f"    if t < '0': t = {convert}(t)",  # a sign or Oracle's bare point
                    f"else: t = {convert}({cell})",
                ]
            case "code" | "boolean":  # the same few values again and again
                names[f"{convert}_known"] = Memo(plan.conversion)
                read = [f"t = {convert}_known[{cell}] if {cell}.__class__ in EXACT else {convert}({cell})"]
            case "column":
                read = [f"t = {cell}.strip() if {cell}.__class__ is str else {convert}({cell})"]
            case _:
                read = [f"t = {convert}({cell})"]
        keep = [f"row[{name}] = t"]
        if plan.how == "code":
            # The hash is over the local code: a mended code table is no change of the source's meaning.
            names[f"{convert}_table"] = plan.table.codes if plan.table else {}
            keep += [
                f"s = {convert}_table.get(t)",
                f"if s is not None: group.later.append((row, {name}, s))",
                f"else: group.troubles.append(unmapped(row, {name}, t, {name_cell}))",
            ]
        elif plan.how == "number":
            # The hash is over the number: numeric(6,2) says 5.60 where a double says 5.6.
            keep += [
                "if t[-1] in '0.' and '.' in t:",
                f"    row[{name}] = plain_number(t)",
                f"    group.later.append((row, {name}, t))",
            ]
        return [
            f"if {cell} is not None:",
            *(f"    {line}" for line in read),
            "    if t:",
            *(f"        {line}" for line in keep),
            "    elif t is None:",
            f"        group.troubles.append(unreadable(row, {name}, {cell}))",
        ]


_MOMENTS = frozenset({str, datetime})
_EXACT = frozenset({str, int})  # values of exactly these classes are equal only where their text is the same


def _as_key(cell: str) -> str:
    return f"({cell}.strip() if {cell}.__class__ is str else text_of({cell}) or '')"


def _is_yes(cell: str) -> str:
    return f"booleans[{cell}] == 'true' if {cell}.__class__ in EXACT else is_yes({cell})"


def is_number(value_type: str) -> bool:
    """A numeric CDA type. What WS 363 calls N may be an identifier (N..30) or a code (N1): those are text."""
    return value_type in ("PQ", "INT", "REAL", "MO")


def _code_text(value: Any) -> str | None:
    """A local code as text: a driver that says 1.0 means 1."""
    text = text_of(value)
    return text.removesuffix(".0") if text and not isinstance(value, str) else text


def _unmapped(row: dict[str, str], name: str, text: str, called: Any = None) -> Trouble:
    return Trouble(row, name, "MAP001", mask_local_code(text), worklist_code(text), worklist_name(called))


def worklist_code(text: str) -> str:
    """A local code as the worklist keeps it: whole, unless it is somebody's number or a whole text in the wrong column."""
    shown = mask_local_code(text)
    masked_number = "*" in shown and "*" not in text
    return shown if masked_number or len(text) > LONGEST_CODE else text


def worklist_name(cell: Any) -> str:
    """What a code is called, short; of a number only its shape."""
    text = (text_of(cell) or "") if cell is not None else ""
    return worklist_code(text)


def _unreadable(row: dict[str, str], name: str, value: Any) -> Trouble:
    row[name] = raw = raw_of(value)
    return Trouble(row, name, "MAP002", mask_unreadable(raw))


_Partner = tuple[
    str, dict[str, list[_Parent]], Map[str, list[Unread]]
]  # name, its rows by link, what could not be read


class _Assembler:
    """Puts parents, details and partners together, takes the source hash, then sets the codes and tells the findings."""

    def __init__(self, mapping: Mapping, planner: _Planner, severity: Map[str, Severity]) -> None:
        self.columns = MappingProxyType(planner.columns())
        self.elements = {name: str(getattr(field, "de", "") or "") for name, field in planner.fields.items()}
        self.severity = severity
        self.archives = ARCHIVED in planner.aliases  # then what is not archived is not final
        self.tables = dict(mapping.codes)
        self.value_sets = {
            name: str(getattr(planner.fields.get(name), "value_set", "") or table.value_set)
            for name, table in mapping.codes.items()
        }
        self.partners = mapping.queries.partners
        self.fields_of = {
            name: frozenset(
                alias
                for alias in planner.opened_aliases(partner_query(name))
                if alias != partner.by and alias in planner.aliases
            )
            for name, partner in self.partners.items()
        }

    def records(
        self,
        parents: list[_Parent],
        details: list[tuple[str, dict[str, _Group]]],
        institution: dict[str, str],
        unread: Sequence[Map[str, list[Unread]]] = (),
        partners: Sequence[_Partner] = (),
    ) -> list[SourceRecord]:
        records: list[SourceRecord] = []
        seen: dict[str, tuple[SourceRecord, Record]] = {}
        sides: list[dict[str, _Side]] = [{} for _ in partners]
        for parent in parents:
            first = seen.get(parent.key)
            if first is not None:
                self._second_row(*first, parent.row)
                continue
            groups = [
                (name, _in_line(group) if len(group.lines) > 1 else group)
                for name, by_key in details
                if (group := by_key.get(parent.key)) is not None and group.rows
            ]
            raw = dict(parent.row)
            problems = [problem for found in unread for problem in found.get(parent.key, ())]
            joined: list[_Side] = []
            awaited: list[Awaited] = []
            for partner, known, link in zip(partners, sides, parent.links, strict=True):
                side = known[link] if link in known else self._side(partner, link)
                if side is not None:
                    known[link] = side
                    joined.append(side)
                elif link and not self.partners[partner[0]].optional:
                    awaited.append(self._awaited(partner[0]))
            record = self._record(parent, groups, problems, joined)
            record.record.update(institution)
            if awaited:
                record.awaited = awaited
                record.unsaid = record.unsaid.union(*(self.fields_of[one.partner] for one in awaited))
            records.append(record)
            seen[parent.key] = record, raw
        return records

    def _record(
        self, parent: _Parent, groups: list[tuple[str, _Group]], problems: Sequence[Unread], joined: Sequence[_Side]
    ) -> SourceRecord:
        further = [problem.digest.encode() for problem in problems] + [side.hashed for side in joined]
        source_hash = hash_of(parent.row, groups, parent.void, further)
        record = parent.row
        findings = [self._drop(trouble, trouble.name, trouble.name) for trouble in parent.troubles]
        unmapped = [self._unmapped(trouble, trouble.name) for trouble in parent.troubles if trouble.rule == "MAP001"]
        for row, field, text in parent.later:
            row[field] = text
        for name, group in groups:
            for row, field, text in group.later:
                row[field] = text
            for trouble in group.troubles:
                at = next(i for i, row in enumerate(group.rows) if row is trouble.row)
                findings.append(self._drop(trouble, f"{name}.{trouble.name}", f"{name}[{at}].{trouble.name}"))
                if trouble.rule == "MAP001":
                    unmapped.append(self._unmapped(trouble, f"{name}.{trouble.name}"))
            record[name] = group.rows
        unsaid: frozenset[str] = frozenset()
        if problems:
            findings += [self._cannot_read(problem) for problem in problems]
            unsaid = unsaid.union(*(problem.fields for problem in problems))
        for side in joined:
            record.update(side.row)
            findings += side.findings
            unsaid |= side.unsaid
            unmapped += side.unmapped
        final = parent.final and (not self.archives or record.get(ARCHIVED) == "true")
        if not parent.key:
            findings.append(Finding("MAP004", self.severity.get("MAP004", Severity.HOLD), Blame.MAPPING))
        return SourceRecord(
            parent.key, record, source_hash, final, parent.void, findings, self.columns, unmapped, unsaid=unsaid
        )

    # -- partners

    def _side(self, partner: _Partner, link: str) -> _Side | None:
        """What the partner says of one link: None when it has no row. Two different rows are two truths: neither is taken."""
        name, rows_by_link, unread_by_link = partner
        rows = rows_by_link.get(link) if link else None
        if not rows:
            return None
        label = partner_query(name).encode()
        different = {_encoded_safely(one.row): one for one in rows}
        hashed = b"\n".join([label, *sorted(different)])
        if len(different) > 1:
            said = (name, self.partners[name].source or "-", str(len(different)), self.partners[name].by)
            finding = Finding("JOIN-PARTNER-AMBIGUOUS", self._severity("JOIN-PARTNER-AMBIGUOUS"), arguments=said)
            return _Side(hashed, {}, [finding], self.fields_of[name])
        first = rows[0]
        problems = unread_by_link.get(link, ())
        hashed = b"\n".join([hashed, *(problem.digest.encode() for problem in problems)])
        findings = [self._drop(trouble, trouble.name, trouble.name) for trouble in first.troubles]
        unmapped = [self._unmapped(trouble, trouble.name) for trouble in first.troubles if trouble.rule == "MAP001"]
        for row, field, text in first.later:
            row[field] = text
        findings += [self._cannot_read(problem) for problem in problems]
        unsaid = frozenset(field for problem in problems for field in problem.fields)
        return _Side(hashed, first.row, findings, unsaid, unmapped)

    def _awaited(self, name: str) -> Awaited:
        partner = self.partners[name]
        said = (name, partner.source or "-", partner.by)
        finding = Finding("JOIN-PARTNER-MISSING", self._severity("JOIN-PARTNER-MISSING"), arguments=said)
        return Awaited(name, partner.wait, finding)

    def _cannot_read(self, problem: Unread) -> Finding:
        field = problem.fields[0] if problem.fields else ""
        column = self.columns.get(field, problem.alias)
        said = (problem.alias, problem.reader, problem.why)
        return Finding(
            "READ-COLUMN",
            self._severity("READ-COLUMN"),
            Blame.SOURCE,
            field,
            self.elements.get(field, ""),
            column,
            "",
            said,
        )

    def _severity(self, rule: str) -> Severity:
        return self.severity.get(rule, Severity.HOLD)

    def _second_row(self, record: SourceRecord, first: Record, second: Record) -> None:
        """The parent query answered twice for one key. Equal rows are a join's doing; different ones are two truths."""
        differing = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
        if differing and not any(finding.rule == "MAP003" for finding in record.findings):
            name, severity = differing[0], self.severity.get("MAP003", Severity.HOLD)
            element, column = self.elements.get(name, ""), self.columns.get(name, "")
            said = (", ".join(differing[:8]),)
            record.findings.append(Finding("MAP003", severity, Blame.MAPPING, name, element, column, "", said))

    def _drop(self, trouble: Trouble, name: str, path: str) -> Finding:
        trouble.row.pop(trouble.name, None)
        return self._finding(trouble, name, path)

    def _finding(self, trouble: Trouble, name: str, path: str) -> Finding:
        blame = Blame.MAPPING if trouble.rule == "MAP001" else Blame.SOURCE
        severity = self.severity.get(trouble.rule, Severity.HOLD)
        column = self.columns.get(name, "")
        said = (self.tables[name].id,) if trouble.rule == "MAP001" else ()
        return Finding(trouble.rule, severity, blame, path, self.elements.get(name, ""), column, trouble.shown, said)

    def _unmapped(self, trouble: Trouble, name: str) -> Unmapped:
        return Unmapped(self.tables[name].id, name, self.value_sets[name], trouble.code, trouble.called)


def _in_line(group: _Group) -> _Group:
    """The rows in the order of their "line"."""
    lines = [_line_order(line) for line in group.lines]
    if lines == sorted(lines):  # as most sources answer
        return group
    order = sorted(range(len(lines)), key=lines.__getitem__)
    return group._replace(rows=[group.rows[i] for i in order])


def _line_order(line: str) -> tuple[int, str]:
    """Numbers by size, however long, then texts."""
    digits = line.lstrip("0")
    return (len(digits), digits) if line.isdecimal() else (1_000_000_000, line)


_encode_lines = msgspec.json.Encoder().encode_lines


def _encoded(rows: list[dict[str, str]]) -> bytes:
    """One line of JSON per row. Line ends are put right on the way: to XML, and so to us, `\\r\\n` is `\\n`."""
    encoded = _encode_lines(rows)
    if b"\\r" in encoded:  # rare: looked for once per group rather than once per cell
        for row in rows:
            for name, value in row.items():
                row[name] = text_of(value) or value
        encoded = _encode_lines(rows)
    return encoded


def _encoded_safely(row: Record) -> bytes:
    try:
        return _encoded([row])
    except UnicodeEncodeError:  # half a surrogate pair
        return ascii(row).encode()


def hash_of(row: Record, groups: Iterable[tuple[str, _Group]], void: bool, further: Sequence[bytes] = ()) -> str:
    """SHA-256 over the source's own values as text; `further` is what partners say, and what could not be read.

    Without a "line" the order of detail rows means nothing. Two texts can never run into each other: they are JSON.
    """
    try:
        parts = [_encoded([row])]
        for name, group in groups:
            parts.append(name.encode())
            encoded = _encoded(group.rows)
            parts.append(encoded if group.lines else b"\n".join(sorted(encoded.split(b"\n"))))
    except UnicodeEncodeError:  # half a surrogate pair: the checks will hold the record, the hash must still exist
        parts = [ascii(row).encode()]
        for name, group in groups:
            texts = [ascii(item) for item in group.rows]
            parts.append(f"{name}{texts if group.lines else sorted(texts)}".encode())
    if void:
        parts.append(b"void")
    parts += further
    return hashlib.sha256(b"\n".join(parts)).hexdigest()
