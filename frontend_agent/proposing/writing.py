"""A proposal as files: the mapping's TOML, its queries, and stubs of its code maps. Text in the forms that we ship ourselves.

One SELECT each, LEFT JOINs along the references, every field under its name as a quoted alias. What was not found stands in
the TOML as a comment with what came nearest; nothing is put in its place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from frontend_agent.formats.kind import Field, Kind
from frontend_agent.formats.value_sets import value_set
from frontend_agent.proposing.lexicon import phrases_of
from frontend_agent.proposing.matching import nearness_of, own_description
from frontend_agent.proposing.naming import said
from frontend_agent.proposing.proposal import Answer, GroupRows, Pick, Profiles, Proposal
from frontend_agent.proposing.reaching import BESIDE, DOWN, UP, Hop
from frontend_agent.proposing.schema import DATE, FLAG, NUMBER, TEXT, TIME, Column, Schema, Table
from frontend_agent.proposing.values import NOTHING
from frontend_agent.terms.proposals import Candidates

SURE = 85  # a proposed standard code below this score is written as a comment only
RECORD = "record_key"
_FINAL = re.compile(
    r"完成|诊毕|已诊|已审|审核|发布|已发药|归档|签名|已签|结束|已就诊|finali[sz]ed|complete|released|final",
    re.IGNORECASE,
)
_VOID = re.compile(r"作废|取消|退号|已退|撤销|删除|注销|cancel|void|deleted", re.IGNORECASE)
_SAYS = re.compile(r"([0-9A-Za-z]{1,3})\s*[:：=＝、.\-—]?\s*([\u4e00-\u9fff]{1,8})")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED = frozenset(
    [
        "order",
        "group",
        "user",
        "key",
        "table",
        "select",
        "from",
        "where",
        "desc",
        "index",
        "type",
        "value",
        "values",
        "check",
        "column",
        "date",
        "time",
    ]
)


class State(NamedTuple):
    """How a row says that it is final, or void: the column, and the values that mean it."""

    column: Column
    values: tuple[str, ...]


class Written(msgspec.Struct, frozen=True):
    """The files of one mapping by their names, and what a person has to know of them."""

    name: str
    files: Mapping[str, str]
    key: str  # its alias
    key_column: str
    gaps: tuple[tuple[str, bool, str], ...]  # field, whether the kind needs it, what came nearest
    unmapped: tuple[str, ...]  # coded fields whose local codes nobody has told us
    remarks: tuple[str, ...]  # keys of texts: no_final, no_cursor, no_key, code
    arguments: Mapping[str, str] = {}
    doubtful: tuple[str, ...] = ()  # fields that are proposed, and left out until somebody takes them


def write(proposal: Proposal, kind: Kind, schema: Schema, profiles: Profiles, family: str) -> Written:
    """The files of a proposal's mapping, for the engine's family (postgresql, mysql, sqlite, oracle, sqlserver)."""
    return _Writer(proposal, kind, schema, profiles, family).written()


class _Joins:
    """The tables of one query with their aliases; each way is joined once."""

    def __init__(self, writer: "_Writer", start: Table, alias: str) -> None:
        self.writer, self.start = writer, start
        self.aliases: dict[tuple[Hop, ...], str] = {(): alias}
        self.tables: dict[tuple[Hop, ...], Table] = {(): start}
        self.lines = [f"FROM {writer.table(start)} {alias}"]

    def alias(self, hops: tuple[Hop, ...], how: str = "LEFT JOIN") -> str:
        """The alias of the table at the end of a way; joins what is not joined yet."""
        if hops not in self.aliases:
            before = self.alias(hops[:-1], how)
            hop, table = hops[-1], self.writer.schema[hops[-1].table]
            alias = f"t{len(self.aliases)}"
            name = self.writer.name
            marks = [self._marked(table, hop, alias)] if hop.where[0] else []
            if hop.way == BESIDE:
                on, how = "", "LEFT JOIN"
            elif hop.way == UP:
                on = f"{alias}.{name(hop.target)} = {before}.{name(hop.column)}"
            else:
                newest = f"x{len(self.aliases)}"
                key = table.only_key
                on = f"{alias}.{name(hop.column)} = {before}.{name(hop.target)}"
                if hop.column not in table.unique and key != hop.column:  # of several rows, the newest
                    among = f"FROM {self.writer.table(table)} {newest}"
                    same = f"WHERE {newest}.{name(hop.column)} = {before}.{name(hop.target)}"
                    same += f" AND {self._marked(table, hop, newest)}" if marks else ""
                    on, marks = f"{alias}.{name(key)} = (SELECT MAX({newest}.{name(key)}) {among} {same})", []
            on = " AND ".join(part for part in (on, *marks) if part)
            self.lines.append(f"{how} {self.writer.table(table)} {alias} ON {on}")
            self.aliases[hops], self.tables[hops] = alias, table
        return self.aliases[hops]

    def _marked(self, table: Table, hop: Hop, alias: str) -> str:
        """The condition that tells which of several rows is meant."""
        name, value = hop.where
        column = table.column(name) or table.columns[0]
        return f"{alias}.{self.writer.name(name)} = {self.writer.literal(value, column)}"


class _Writer:
    def __init__(self, proposal: Proposal, kind: Kind, schema: Schema, profiles: Profiles, family: str) -> None:
        self.proposal, self.kind, self.schema, self.profiles, self.family = proposal, kind, schema, profiles, family
        self.anchor = proposal.anchor
        self.fields = {field.name: field for field in kind.fields}
        self.remarks: list[str] = []
        self.arguments: dict[str, str] = {}
        self.code_files: dict[str, str] = {}
        self.codes: dict[str, str] = {}
        self.unmapped: list[str] = []
        self.columns: dict[str, str] = {}
        self.reads: dict[str, tuple[str, dict[str, str]]] = {}
        self.key_alias, self.key_column = self._key()

    # -- names

    def name(self, text: str) -> str:
        """A name as the engine takes it: bare where it may be, else in its quotes."""
        plain = _PLAIN.fullmatch(text) and text not in _RESERVED
        if plain and self.family != "oracle":
            return text
        if self.family == "mysql":
            return (
                "`" + text.replace("`", "``") + "`"
                if not re.fullmatch(r"\w+", text) or text.lower() in _RESERVED
                else text
            )
        return '"' + text.replace('"', '""') + '"'

    def table(self, table: Table) -> str:
        return ".".join(self.name(part) for part in (table.schema, table.name) if part)

    def as_(self, alias: str) -> str:
        return f"AS `{alias}`" if self.family == "mysql" else f'AS "{alias}"'

    def literal(self, value: str, column: Column) -> str:
        if column.family == NUMBER and re.fullmatch(r"-?\d+", value):
            return value
        if column.family == FLAG and self.family == "postgresql":
            return "TRUE" if value in ("1", "t", "true") else "FALSE"
        return "'" + value.replace("'", "''") + "'"

    # -- what a record is

    def _key(self) -> tuple[str, str]:
        """The business key: the kind's own where the record's table has it and it is unique, else the table's key."""
        pick = self.proposal.found.get(self.kind.key)
        if pick is not None and not pick.place.hops and not pick.inner:
            seen = self.profiles.get(self.anchor.id, {}).get(pick.column.name, NOTHING)
            sure = pick.column.name in (*self.anchor.unique, self.anchor.only_key) or seen.is_unique
            if self.proposal.lines or (sure and seen.filled == seen.rows) or not self.anchor.only_key:
                return self.kind.key, pick.column.name
        if self.anchor.only_key:
            return RECORD, self.anchor.only_key
        self.remarks.append("no_key")
        return RECORD, self.anchor.key[0] if self.anchor.key else self.anchor.columns[0].name

    def _cursor(self, table: Table, alias: str) -> tuple[str, str]:
        """The column that says when a row changed, and what it holds; empty where none does."""
        found: list[Column] = []
        for about in ("cursor", "created"):
            phrases = phrases_of(about)
            rated = [
                (nearness_of(phrases, own_description(column)), column)
                for column in table.columns
                if column.family in (TIME, DATE) or self._is_text_time(table, column)
            ]
            best = max(rated, key=lambda one: one[0], default=None)
            if best is not None and best[0] >= 0.68 and best[1].name not in [column.name for column in found]:
                found.append(best[1])
        if not found:
            return "", ""
        same = [column for column in found if (column.family == TEXT) == (found[0].family == TEXT)]
        names = [f"{alias}.{self.name(column.name)}" for column in same]
        return (names[0] if len(names) == 1 else f"COALESCE({', '.join(names)})"), same[0].family

    def _is_text_time(self, table: Table, column: Column) -> bool:
        seen = self.profiles.get(table.id, {}).get(column.name, NOTHING)
        return column.family == TEXT and seen.share("moment") + seen.share("day") >= 0.8

    def _state(self, about: str, meaning: re.Pattern[str]) -> State | None:
        """The column of the record's row that says it is final or void, and the values that say so."""
        phrases = phrases_of(about)
        rated = [
            (nearness_of(phrases, own_description(column)), column)
            for column in self.anchor.columns
            if column.family in (NUMBER, TEXT, FLAG)
        ]
        rated.sort(key=lambda one: -one[0])
        for score, column in rated[:6]:
            if score < 0.6:
                break
            values = tuple(code for code, word in _SAYS.findall(column.comment) if meaning.search(word))
            if values:
                return State(column, values)
            seen = self.profiles.get(self.anchor.id, {}).get(column.name, NOTHING)
            named = tuple(value for value in seen.values if meaning.search(value))
            if named:
                return State(column, named)
            if about == "status:void" and score >= 0.8 and (seen.share("yes or no") >= 0.95 or not seen.filled):
                yes = tuple(value for value in seen.values if value.upper() in ("Y", "T", "TRUE", "是", "YES"))
                return State(column, yes or ("1",))
        return None

    def _states(self, alias: str) -> list[tuple[str, str]]:
        made = []
        for about, meaning, wanted in (("status:final", _FINAL, "final"), ("status:void", _VOID, "void")):
            state = self._state(about, meaning)
            if state is None:
                if wanted == "final":
                    self.remarks.append("no_final")
                continue
            values = ", ".join(self.literal(value, state.column) for value in state.values)
            column = f"{alias}.{self.name(state.column.name)}"
            made.append((f"CASE WHEN {column} IN ({values}) THEN 1 ELSE 0 END", wanted))
            self.arguments[wanted] = f"{self.anchor.name}.{state.column.name} = {', '.join(state.values)}"
        return made

    # -- queries

    def _parent(self) -> str:
        joins = _Joins(self, self.anchor, "a")
        shown: list[tuple[str, str]] = [(f"a.{self.name(self.key_column)}", self.key_alias)]
        answers = [one for one in self.proposal.answers if not self.fields[one.field].group]
        for answer in answers:
            if answer.pick is not None and not answer.doubt and answer.field != self.key_alias:
                shown += self._shown(answer, answer.pick, joins, "")
        shown += self._states("a")
        where = ""
        if self.proposal.lines:
            first, key = self.name(self.anchor.only_key), self.name(self.key_column)
            among = f"FROM {self.table(self.anchor)} l WHERE l.{key} = a.{key}"
            where = f"\nWHERE a.{first} = (SELECT MIN(l.{first}) {among})"
        lines = tuple(joins.lines)
        return self._left_out(answers, joins) + self._select(shown, lines) + where

    def _detail(self, group: str, rows: GroupRows) -> str:
        joins = _Joins(self, rows.table, "r")
        up = joins.alias(rows.way, "JOIN")
        shown: list[tuple[str, str]] = [(f"{up}.{self.name(self.key_column)}", self.key_alias)]
        if rows.table.only_key:
            shown.append((f"r.{self.name(rows.table.only_key)}", "line"))
        answers = [one for one in self.proposal.answers if self.fields[one.field].group == group]
        for answer in answers:
            if answer.pick is not None and not answer.doubt:
                shown += self._shown(answer, answer.pick, joins, group)
        where = f"\nWHERE r.{self.name(self.key_column)} IS NOT NULL" if not rows.way else ""
        lines = tuple(joins.lines)
        return self._left_out(answers, joins) + self._select(shown, lines) + where

    def _left_out(self, answers: Iterable[Answer], joins: _Joins) -> str:
        """What is doubtful, as comments above the query: its columns, and the joins that they alone need."""
        known, lines = len(joins.lines), []
        for answer in answers:
            if answer.pick is None or not answer.doubt:
                continue
            field = self.fields[answer.field]
            column = f"{joins.alias(answer.pick.place.hops)}.{self.name(answer.pick.column.name)}"
            inside = f" {answer.pick.inner}" if answer.pick.inner else ""
            lines.append(f"--   {column}{inside} {self.as_(field.key if field.group else field.name)}: {answer.doubt}")
        if not lines:
            return ""
        head = "-- Doubtful, and left out. To take one, add its line to the query, and the joins that it needs:"
        return "\n".join([head, *lines, *(f"--   {join}" for join in joins.lines[known:])]) + "\n"

    def _shown(self, answer: Answer, pick: Pick, joins: _Joins, group: str) -> list[tuple[str, str]]:
        column = f"{joins.alias(pick.place.hops)}.{self.name(pick.column.name)}"
        field = self.fields[answer.field]
        if pick.inner:
            name = re.sub(r"\W", "_", f"{pick.place.table.name}_{pick.column.name}")
            place = f"{group}.{name}" if group else name
            known = self.reads.setdefault(place, (pick.name.partition("#")[0], {}))
            known[1][field.key if group else field.name] = pick.inner
            self.columns[field.name] = pick.name.replace("#", " ")
            return [(column, name)] if len(known[1]) == 1 else []
        self._coded(field, pick)
        return [(column, field.key if group else field.name)]

    def _select(self, shown: Sequence[tuple[str, str]], lines: Sequence[str]) -> str:
        width = min(48, max(len(column) for column, _ in shown))
        listed = ",\n".join(f"    {column.ljust(width)} {self.as_(alias)}" for column, alias in shown)
        return f"SELECT\n{listed}\n" + "\n".join(lines)

    def _changed(self) -> str:
        """What changed: the record's own row, and the rows of its groups and texts that are newer."""
        key = self.name(self.key_column)
        cursor, kind = self._cursor(self.anchor, "a")
        parts = []
        where = f"\nWHERE a.{key} IS NOT NULL" if self.proposal.lines else ""
        if cursor:
            parts.append(
                f"SELECT {cursor} {self.as_('cursor')}, a.{key} {self.as_('key')}\nFROM {self.table(self.anchor)} a{where}"
            )
        else:
            self.remarks.append("no_cursor")
            instead = self.name(self.anchor.only_key or self.key_column)
            parts.append(
                f"-- No column says when a row changed: only new rows are found, by their key.\n"
                f"SELECT a.{instead} {self.as_('cursor')}, a.{key} {self.as_('key')}\nFROM {self.table(self.anchor)} a{where}"
            )
            return parts[0]
        for table, way in self._elsewhere():
            joins = _Joins(self, table, "r")
            up = joins.alias(way, "JOIN")
            other, other_kind = self._cursor(table, "r")
            if other and (other_kind == TEXT) == (kind == TEXT):
                parts.append(f"SELECT {other}, {up}.{key}\n" + "\n".join(joins.lines))
        return "\nUNION ALL\n".join(parts)

    def _elsewhere(self) -> Iterable[tuple[Table, tuple[Hop, ...]]]:
        """Other tables whose rows make a record another one, with the way up to it."""
        ways: dict[str, tuple[Hop, ...]] = {}
        for rows in self.proposal.groups.values():
            if rows.way:
                ways.setdefault(rows.table.id, rows.way)
        for name, pick in self.proposal.sure.items():
            if self.fields[name].group:
                continue
            hops = pick.place.hops
            if hops and all(hop.way == DOWN for hop in hops):
                ways.setdefault(pick.place.table.id, self._reversed(hops))
        return [(self.schema[name], way) for name, way in ways.items()]

    def _reversed(self, hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        tables = [self.anchor.id, *(hop.table for hop in hops)]
        return tuple(
            Hop(tables[place], UP, hops[place].column, hops[place].target, hops[place].why)
            for place in range(len(hops) - 1, -1, -1)
        )

    # -- code maps

    def _coded(self, field: Field, pick: Pick) -> None:
        """A map for a coded field: what is sure is mapped, the rest stands there to be decided."""
        if field.value_type != "CD" or not field.value_set:
            return
        seen = self.profiles.get(pick.place.table.id, {}).get(pick.column.name, NOTHING)
        known = value_set(field.value_set)
        if not known.entries or not seen.filled or seen.distinct > len(seen.values) or seen.share("ICD-10") >= 0.8:
            return
        name = re.sub(r"\W", "_", field.name)
        names = dict(_SAYS.findall(pick.column.comment))
        candidates = Candidates(known.oid, [(entry.code, entry.name) for entry in known.entries.values()])
        sure, open_ = [], []
        for value in sorted(seen.values):
            proposed = candidates.propose(value, names.get(value, ""), limit=3)
            best = next(iter(proposed), None)
            if best is not None and best.score >= SURE:
                sure.append(f"{quoted(value)} = {quoted(best.code)} # {best.name}")
            else:
                near = "、".join(f"{one.code} {one.name} {one.score}" for one in proposed)
                open_.append(f'# {quoted(value)} = "" # {names.get(value, "")} {near}'.rstrip())
        head = f"# {said(field.name_zh)}: {pick.name}\ntitle = {quoted(field.name_zh)}\nvalue_set = {quoted(known.oid)} # {known.name_zh}\n"
        self.code_files[f"codes/{name}.toml"] = head + "\n[map]\n" + "\n".join([*sure, *open_]) + "\n"
        if sure:
            self.codes[field.name] = name
        if open_:
            self.unmapped.append(field.name)

    # -- the whole

    def written(self) -> Written:
        base = self.kind.short_name
        files = {f"{base}.changed.sql": self._changed(), f"{base}.sql": self._parent()}
        details = {group: f"{base}.{group}.sql" for group in self.proposal.groups}
        for group, file in details.items():
            files[file] = self._detail(group, self.proposal.groups[group])
        gaps = tuple(
            (
                answer.field,
                answer.required,
                "; ".join(f"{pick.full_name} {pick.score:.2f}" for pick in answer.others[:2]),
            )
            for answer in self.proposal.answers
            if answer.pick is None
        )
        head = f"-- {self.kind.code} {self.kind.name_zh}: proposed by init from the schema; read it before it runs.\n"
        files = {name: head + text + "\n" for name, text in files.items()}
        files[f"{base}.toml"] = self._toml(details, gaps)
        return Written(
            base, {**files, **self.code_files}, self.key_alias, self.key_column, gaps, tuple(self.unmapped), tuple(dict.fromkeys(self.remarks)), self.arguments,
            tuple(answer.field for answer in self.proposal.answers if answer.doubt),
        )  # fmt: skip

    def _toml(self, details: Mapping[str, str], gaps: Iterable[tuple[str, bool, str]]) -> str:
        base = self.kind.short_name
        lines = [
            f"# {self.kind.name_zh} ({self.kind.code}), proposed by `frontend-agent init`: a proposal, until a person has read it.",
            f"# One record is one row of {self.anchor.id}." if not self.proposal.lines
            else f"# One record is all rows of {self.anchor.id} with one {self.key_column}.",
            f'kind = "{self.kind.code}"',
            f'key = "{self.key_alias}"',
            "",
            "[queries]",
            f'changed = "{base}.changed.sql"',
            f'parent = "{base}.sql"',
        ]  # fmt: skip
        if details:
            lines += ["", "[queries.details]", *(f'{group} = "{file}"' for group, file in details.items())]
        if self.codes:
            lines += ["", "[codes]", *(f'"{field}" = "{name}"' for field, name in self.codes.items())]
        waiting = [field for field in self.unmapped if field not in self.codes]
        if waiting:
            lines += ["", "# No local code of these is known yet; decide in codes/, then name the file under [codes]:"]
            lines += [f'# "{field}" = "{re.sub(chr(92) + "W", "_", field)}"' for field in waiting]
        if self.columns:
            lines += ["", "[columns]", *(f'"{field}" = {quoted(column)}' for field, column in self.columns.items())]
        for place, (column, inner) in self.reads.items():
            lines += ["", f'[read."{place}"] # {column}', 'reader = "json"', f'[read."{place}".fields]']
            lines += [f'"{field}" = {quoted(_json_path(name))}' for field, name in inner.items()]
        lines += ["", "# Why (0 to 1):"]
        for answer in self.proposal.answers:
            if answer.pick is not None:
                doubt = f"DOUBTFUL, left out ({answer.doubt}): " if answer.doubt else ""
                lines.append(
                    f"#   {answer.field}: {doubt}{answer.pick.full_name} {answer.pick.score:.2f}: {'; '.join(answer.pick.why)}"
                )
        missing = [gap for gap in gaps if gap[1]]
        if missing:
            lines += ["", "# Gaps: the kind needs these and no column was found (in brackets what came nearest):"]
            lines += [f"#   {field} {self.fields[field].name_zh} ({near or '–'})" for field, _, near in missing]
        return "\n".join(lines) + "\n"


def _json_path(name: str) -> str:
    return f"$.{name}" if re.fullmatch(r"[A-Za-z_]\w*", name) else f"$['{name}']"


def quoted(text: str) -> str:
    """TOML text in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f]", " ", escaped) + '"'
