"""Which rules are asked of a kind, compiled into one function: fields are looked up once, groups walked once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from frontend_agent.checks.registry import THIS, Rule
from frontend_agent.conversion import Memo
from frontend_agent.model import Record

# rule, field path, value there, the text's arguments
Object = Callable[[Rule, str, str, tuple[str, ...]], None]
Ask = Callable[[Record, Object, str], None]  # record, what to do with an objection, today as yyyyMMdd

_FACT = "fact."


def rules_for(kind: Any, rules: Iterable[Rule]) -> list[Rule]:
    """The rules that have something to say of a kind."""
    fields = _Fields(kind)
    return [rule for rule in rules if fields.asked(rule)]


def fields_of(rule: Rule, kind: Any) -> list[str] | None:
    """The fields of a kind that a rule names or is asked of; None where the rule does not speak of the kind."""
    fields = _Fields(kind)
    if not fields.asked(rule):
        return None
    plain = [name for name in (*rule.needs, *rule.also) if not name.startswith(THIS)]
    rows = [
        within(group, name.removeprefix(THIS))
        for group in fields.groups_of(rule)
        for name in (*rule.needs, *rule.also)
        if name.startswith(THIS)
    ]
    return [*(field.name for field in fields.each_of(rule)), *fields.lists_of(rule), *rows, *plain]


def compile_rules(kind: Any, rules: Iterable[Rule]) -> Ask:
    """One function that asks every rule that speaks of the kind, of the values that are there."""
    writer = _Writer(_Fields(kind))
    for rule in rules_for(kind, rules):
        writer.add(rule)
    names = writer.names
    exec(compile(writer.source(), f"<rules {kind.code}>", "exec"), names)  # noqa: S102  from the register alone, at start
    ask: Ask = names["ask"]
    return ask


class _Fields:
    """What a kind has, as rules ask for it."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.groups = set(kind.groups)
        self.names = {field.name for field in kind.fields} | self.groups
        self.taken: dict[str, list[Any]] = {}  # rule id -> the fields its selector takes

    def asked(self, rule: Rule) -> bool:
        if rule.check is None or not rule.speaks_of(self.kind.code):
            return False
        named = [name for name in (*rule.needs, *rule.also) if not name.startswith((THIS, _FACT))]
        if not self.names.issuperset(named):
            return False
        if rule.among and self.names.isdisjoint(rule.among):
            return False
        if rule.lists:
            return bool(self.lists_of(rule))
        return bool(self.each_of(rule)) if rule.each else bool(self.groups_of(rule)) if rule.rows else True

    def each_of(self, rule: Rule) -> list[Any]:
        if rule.id not in self.taken:
            takes = rule.each.takes if rule.each else None
            self.taken[rule.id] = [field for field in self.kind.fields if takes(field)] if takes else []
        return self.taken[rule.id]

    def lists_of(self, rule: Rule) -> list[str]:
        return [group for group in rule.lists if group in self.groups]

    def groups_of(self, rule: Rule) -> list[str]:
        keys = [name.removeprefix(THIS) for name in (*rule.needs, *rule.also) if name.startswith(THIS)]
        return [
            group
            for group in rule.rows
            if (group in self.groups or rule.values) and all(within(group, key) in self.names for key in keys)
        ]


class _Writer:
    """Emits the source of `ask`. Every look is guarded by what the rule needs, so a rule never meets a missing field."""

    def __init__(self, fields: _Fields) -> None:
        self.fields = fields
        self.names: dict[str, Any] = {}
        self.plain: list[str] = []
        self.values: dict[str, list[str]] = {}  # scalar field -> the looks at it
        self.rows: dict[str, list[str]] = {}  # group -> the looks at its rows
        self.cells: dict[str, dict[str, list[str]]] = {}  # group -> key -> the looks at it

    def add(self, rule: Rule) -> None:
        number = len(self.names)
        self.names[f"rule_{number}"] = rule
        memo = rule.each is not None and not rule.second
        self.names[f"check_{number}"] = Memo(rule.check) if memo and rule.check else rule.check
        if rule.values:
            self._relation(rule, number)
        elif rule.lists:
            self._lists(rule, number)
        elif rule.each:
            self._each(rule, number)
        elif rule.rows:
            self._rows(rule, number)
        else:
            self._plain(rule, number)

    def source(self) -> str:
        lines = ["get = record.get", *self.plain]
        for name, looks in self.values.items():
            lines += [f"v = get({name!r})", "if v is not None:", *_indented(looks)]
        for group in self.fields.kind.groups:
            cells = self.cells.get(group, {})
            inner = self.rows.get(group, [])
            for key, looks in cells.items():
                inner = [*inner, f"v = cell({key!r})", "if v is not None:", *_indented(looks)]
            if inner:
                lines += [f"rows = get({group!r})", "if rows:", "    n = -1", "    for row in rows:"]
                lines += _indented(["n += 1", "cell = row.get", *inner], 8)
        return "\n".join(["def ask(record, object_to, today):", *_indented(lines)])

    def _plain(self, rule: Rule, number: int) -> None:
        needs = dict.fromkeys(self._there(name) for name in rule.needs)
        call = f"check_{number}(record, today)" if rule.second else f"check_{number}(record)"
        said = f"object_to(rule_{number}, p[0], value_at(record, p[0]), p[1:])"
        self.names["value_at"] = value_at
        looks = _looks(call, said, rule.yields)
        self.plain += [f"if {' and '.join(needs)}:", *_indented(looks)] if needs else looks

    def _relation(self, rule: Rule, number: int) -> None:
        """The values, one after the other; a group that this kind writes once only is a name before its fields."""
        for group in self.fields.groups_of(rule) if rule.rows else [""]:
            repeated = group in self.fields.groups
            names = [*rule.needs, *rule.also]
            if not repeated:
                names = [within(group, n.removeprefix(THIS)) if n.startswith(THIS) else n for n in names]
            lines: list[str] = []
            for at, name in enumerate(names):
                lookup = f"cell({name.removeprefix(THIS)!r}" if name.startswith(THIS) else f"get({name!r}"
                needed = at < len(rule.needs)
                said = [f"v{at} = {lookup})", f"if v{at} is not None:"] if needed else [f"v{at} = {lookup}, '')"]
                lines += _indented(said, 4 * min(at, len(rule.needs)))
            last = names[-1].removeprefix(THIS)
            path = f"f'{group}[{{n}}].{last}'" if names[-1].startswith(THIS) else repr(last)
            values = ", ".join(f"v{at}" for at in range(len(names)))
            shown = "''" if last in self.fields.groups else f"v{len(names) - 1}"
            said_by = f"object_to(rule_{number}, {path}, {shown}, p)"
            lines += _indented(_looks(f"check_{number}({values})", said_by, False), 4 * len(rule.needs))
            (self.rows.setdefault(group, []) if repeated else self.plain).extend(lines)

    def _lists(self, rule: Rule, number: int) -> None:
        for group in self.fields.lists_of(rule):
            said = f"object_to(rule_{number}, f'{group}[{{p[0]}}].{{p[1]}}', rows[p[0]].get(p[1], ''), p[2:])"
            looks = [f"for p in check_{number}(rows):", f"    {said}"]
            self.plain += [f"rows = get({group!r})", "if rows:", *_indented(looks)]

    def _each(self, rule: Rule, number: int) -> None:
        needs = " and ".join(dict.fromkeys(self._there(name) for name in rule.needs))
        call = f"check_{number}(v, record)" if rule.second else f"check_{number}[v]"
        for field in self.fields.each_of(rule):
            key = field.name.removeprefix(f"{field.group}.") if field.group else field.name
            path = f"f'{field.group}[{{n}}].{key}'" if field.group else repr(field.name)
            looks = _looks(call, f"object_to(rule_{number}, {path}, v, p)", False)
            looks = [f"if {needs}:", *_indented(looks)] if needs else looks
            where = self.cells.setdefault(field.group, {}) if field.group else self.values
            where.setdefault(key, []).extend(looks)

    def _rows(self, rule: Rule, number: int) -> None:
        keys = [f"{n.removeprefix(THIS)!r} in row" for n in rule.needs if n.startswith(THIS)]
        needs = " and ".join([*keys, *(self._there(n) for n in rule.needs if not n.startswith(THIS))])
        call = f"check_{number}(row, record)" if rule.second else f"check_{number}(row)"
        for group in self.fields.groups_of(rule):
            path = f"f'{group}[{{n}}].{{p[0]}}'"
            looks = _looks(call, f"object_to(rule_{number}, {path}, cell(p[0], ''), p[1:])", rule.yields)
            self.rows.setdefault(group, []).extend([f"if {needs}:", *_indented(looks)] if needs else looks)

    def _there(self, name: str) -> str:
        group = name.partition(".")[0]
        return f"{(group if group in self.fields.groups else name)!r} in record"


def within(group: str, key: str) -> str:
    """The name of a group's field; of the record's own where the group has no name."""
    return f"{group}.{key}" if group else key


def _looks(call: str, said: str, many: bool) -> list[str]:
    return [f"for p in {call}:", f"    {said}"] if many else [f"p = {call}", f"if p is not None: {said}"]


def _indented(lines: Iterable[str], by: int = 4) -> Iterator[str]:
    return (" " * by + line for line in lines)


def value_at(record: Record, path: str) -> str:
    """The text at a path, or nothing."""
    group, bracket, rest = path.partition("[")
    if not bracket:
        value = record.get(path, "")
        return value if isinstance(value, str) else ""
    number, _, key = rest.partition("].")
    row: Mapping[str, str] = record[group][int(number)]
    return row.get(key, "")


def field_of(path: str) -> str:
    """`items[3].unit` -> `items.unit`."""
    group, bracket, rest = path.partition("[")
    return f"{group}{rest.partition(']')[2]}" if bracket else path
