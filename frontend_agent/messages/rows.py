"""A message in, the rows of a query out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from frontend_agent.er7 import MessageUnreadable
from frontend_agent.messages.declared import ANY, LINE, Condition, Field, Group, MessageMapping
from frontend_agent.messages.formats import Node, Opened, Values, format_of
from frontend_agent.model import RowSet, SourceRows
from frontend_agent.reading.errors import Unreadable


class MessageRows(msgspec.Struct, frozen=True):
    """The rows of a message; None where it is not one that the mapping is for. `problems` are what was lenient about reading it."""

    rows: SourceRows | None
    problems: tuple[str, ...] = ()


def compile_message(message: MessageMapping, key: str) -> Callable[[bytes], MessageRows]:
    """What reads the messages of a mapping whose key is `key`. MessageUnreadable tells every reason and quotes nothing."""
    format_ = format_of(message.format, message.options)

    def rows_of(content: bytes) -> MessageRows:
        opened = format_.read(content)
        return _Reading(opened, message, key, content).rows()

    return rows_of


class _Reading:
    """One message while it is read."""

    def __init__(self, opened: Opened, message: MessageMapping, key: str, content: bytes) -> None:
        self._opened, self._message, self._key, self._content = opened, message, key, content
        self._reasons: list[str] = []
        self._getters: dict[str, Values] = {}

    def rows(self) -> MessageRows:
        message = self._message
        fields = [(field.name, self._field(field, field.name)) for field in message.fields]
        wanted = self._wanted(message.when, message.unless)
        final, void = self._all_in(message.final), self._one_in(message.void)
        groups = [(group, *self._group(group)) for group in message.groups]
        self._tell()
        parents: list[tuple[Any, ...]] = []
        details: dict[str, list[tuple[Any, ...]]] = {group.name: [] for group in message.groups}
        for record in self._nodes(lambda: self._opened.records(message.each), "each"):
            if not wanted(record):
                continue
            row = [get(record) for _, get in fields]
            is_void = bool(message.void) and void(record)
            row += [int(is_void or final(record))] if message.final else []
            row += [int(is_void)] if message.void else []
            row += [self._content] if message.whole else []
            parents.append(tuple(row))
            key = row[[name for name, _ in fields].index(self._key)]
            for group, getters, keeps in groups:
                self._details(details[group.name], key, record, group, getters, keeps)
        self._tell()
        if not parents:
            return MessageRows(None, self._opened.problems)
        columns = message.columns(self._key)
        found = {
            group.name: RowSet((self._key, LINE, *(field.name for field in group.fields)), details[group.name])
            for group in message.groups
        }
        return MessageRows(SourceRows(RowSet(columns, parents), found), self._opened.problems)

    def _details(
        self,
        rows: list[tuple[Any, ...]],
        key: Any,
        record: Node,
        group: Group,
        getters: Sequence[Callable[[Node], Any]],
        keeps: Callable[[Node], bool],
    ) -> None:
        for node in self._nodes(lambda: self._opened.rows(group.each, record), group.name):
            if keeps(node):
                # Counted through the message: two orders of one key are one record, and its rows keep their order.
                rows.append((key, len(rows) + 1, *(get(node) for get in getters)))

    def _group(self, group: Group) -> tuple[list[Callable[[Node], Any]], Callable[[Node], bool]]:
        getters = [self._field(field, f"{group.name}.{field.name}") for field in group.fields]
        return getters, self._wanted(group.when, group.unless)

    def _field(self, field: Field, name: str) -> Callable[[Node], Any]:
        """The value of the first place that has one."""
        choices = [
            (self._values(choice.path), self._wanted(choice.when, choice.unless), choice.join)
            for choice in field.choices
        ]

        def value(node: Node) -> Any:
            for values, wanted, join in choices:
                if not wanted(node):
                    continue
                try:
                    found = values(node)
                    if found:
                        return self._one(found, join)
                except Unreadable as error:
                    self._fails(f"{name}: {error}")
            return None

        return value

    def _one(self, found: Sequence[Any], join: str | None) -> Any:
        """One value: joined where the mapping says how, and no choice among different ones."""
        if len(found) == 1:
            return found[0]
        if join is not None:
            return join.join(_text(one) for one in found)
        if any(other != found[0] for other in found[1:]):
            raise Unreadable("finds different values at one path (join = makes one text of them)")
        return found[0]

    # -- conditions

    def _wanted(self, when: Sequence[Condition], unless: Sequence[Condition]) -> Callable[[Node], bool]:
        needs, spares = [self._one_in([one]) for one in when], self._one_in(unless)
        if not needs and not unless:
            return lambda node: True
        return lambda node: all(holds(node) for holds in needs) and not spares(node)

    def _one_in(self, conditions: Sequence[Condition]) -> Callable[[Node], bool]:
        """Whether one of the values at one of the places is among those wanted."""
        places = [(self._values(one.path), one.values) for one in conditions]
        return lambda node: any(
            ANY in wanted or _text(value) in wanted for values, wanted in places for value in self._safely(values, node)
        )

    def _all_in(self, conditions: Sequence[Condition]) -> Callable[[Node], bool]:
        """Whether every value at these places is among those wanted, and there is one."""
        places = [(self._values(one.path), one.values) for one in conditions]

        def holds(node: Node) -> bool:
            judged = [
                ANY in wanted or _text(value) in wanted
                for values, wanted in places
                for value in self._safely(values, node)
            ]
            return bool(judged) and all(judged)

        return holds

    def _safely(self, values: Values, node: Node) -> Sequence[Any]:
        try:
            return values(node)
        except Unreadable as error:
            self._fails(str(error))
            return ()

    # -- reasons

    def _values(self, path: str) -> Values:
        if path not in self._getters:
            try:
                self._getters[path] = self._opened.values(path)
            except MessageUnreadable as error:
                self._reasons += error.reasons
                self._getters[path] = lambda node: ()
        return self._getters[path]

    def _nodes(self, find: Callable[[], Sequence[Node]], name: str) -> Sequence[Node]:
        try:
            return find()
        except Unreadable as error:
            self._fails(f"{name}: {error}")
            return ()

    def _fails(self, reason: str) -> None:
        if len(self._reasons) < 50 and reason not in self._reasons:
            self._reasons.append(reason)

    def _tell(self) -> None:
        if self._reasons:
            raise MessageUnreadable(*self._reasons)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def stand_in(message: MessageMapping, key: str) -> tuple[str, Mapping[str, str]]:
    """What stands for the SQL of a mapping: select lists that say which columns its rows have."""
    return _select(message.columns(key)), {
        group.name: _select((key, LINE, *(field.name for field in group.fields))) for group in message.groups
    }


def _select(columns: Sequence[str]) -> str:
    return "SELECT " + ", ".join(f'NULL AS "{column}"' for column in columns)
