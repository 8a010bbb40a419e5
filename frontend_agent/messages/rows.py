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
    bound = _Bound(message, key)

    def rows_of(content: bytes) -> MessageRows:
        opened = format_.read(content)
        return bound.rows(_At(opened, bound.paths, content))

    return rows_of


class _At:
    """The message at hand: what takes the values at each path of the mapping from its nodes, and what is wrong with it."""

    __slots__ = ("_judged", "_node", "content", "opened", "reasons", "values")

    def __init__(self, opened: Opened, paths: Sequence[str], content: bytes) -> None:
        self.opened, self.content = opened, content
        self.reasons: list[str] = []
        self.values: list[Values] = []
        self._node: Node = None  # whose conditions were judged last, and what stood at their places
        self._judged: dict[int, Sequence[Any]] = {}
        for path in paths:
            try:
                self.values.append(opened.values(path))
            except MessageUnreadable as error:
                self.reasons += error.reasons
                self.values.append(_nothing)

    def nodes(self, find: Callable[[], Sequence[Node]], name: str) -> Sequence[Node]:
        try:
            return find()
        except Unreadable as error:
            self.fails(f"{name}: {error}")
            return ()

    def safely(self, place: int, node: Node) -> Sequence[Any]:
        """What conditions ask for: of one row mostly the same place, again and again."""
        if node is not self._node:
            self._node, self._judged = node, {}
        found = self._judged.get(place)
        if found is None:
            try:
                found = self.values[place](node)
            except Unreadable as error:
                self.fails(str(error))
                found = ()
            self._judged[place] = found
        return found

    def fails(self, reason: str) -> None:
        if len(self.reasons) < 50 and reason not in self.reasons:
            self.reasons.append(reason)

    def tell(self) -> None:
        if self.reasons:
            raise MessageUnreadable(*self.reasons)


def _nothing(node: Node) -> Sequence[Any]:
    return ()


Get = Callable[[_At, Node], Any]
Holds = Callable[[_At, Node], bool]


class _Bound:
    """A mapping, made into functions once; each is given the message at hand and one of its nodes."""

    def __init__(self, message: MessageMapping, key: str) -> None:
        self.paths: list[str] = []
        self._message = message
        self._fields = [self._field(field, field.name) for field in message.fields]
        self._key = [field.name for field in message.fields].index(key)
        self._wants = self._wanted(message.when, message.unless)
        self._final, self._void = self._all_in(message.final), self._one_in(message.void)
        self._groups = [
            (
                group,
                [self._field(field, f"{group.name}.{field.name}") for field in group.fields],
                self._wanted(group.when, group.unless),
            )
            for group in message.groups
        ]
        self._columns = message.columns(key)
        self._of_groups = [(key, LINE, *(field.name for field in group.fields)) for group in message.groups]

    def rows(self, at: _At) -> MessageRows:
        """The rows of one message."""
        message, wants, fields = self._message, self._wants, self._fields
        at.tell()
        parents: list[tuple[Any, ...]] = []
        details: list[list[tuple[Any, ...]]] = [[] for _ in self._groups]
        for record in at.nodes(lambda: at.opened.records(message.each), "each"):
            if wants is not None and not wants(at, record):
                continue
            row = [get(at, record) for get in fields]
            is_void = bool(message.void) and self._void(at, record)
            row += [int(is_void or self._final(at, record))] if message.final else []
            row += [int(is_void)] if message.void else []
            row += [at.content] if message.whole else []
            parents.append(tuple(row))
            for (group, getters, keeps), found in zip(self._groups, details, strict=True):
                self._details(at, found, row[self._key], record, group, getters, keeps)
        at.tell()
        if not parents:
            return MessageRows(None, at.opened.problems)
        groups = {
            group.name: RowSet(columns, found)
            for (group, _, _), columns, found in zip(self._groups, self._of_groups, details, strict=True)
        }
        return MessageRows(SourceRows(RowSet(self._columns, parents), groups), at.opened.problems)

    @staticmethod
    def _details(
        at: _At,
        rows: list[tuple[Any, ...]],
        key: Any,
        record: Node,
        group: Group,
        getters: Sequence[Get],
        keeps: Holds | None,
    ) -> None:
        for node in at.nodes(lambda: at.opened.rows(group.each, record), group.name):
            if keeps is None or keeps(at, node):
                # Counted through the message: two orders of one key are one record, and its rows keep their order.
                rows.append((key, len(rows) + 1, *[get(at, node) for get in getters]))

    def _place(self, path: str) -> int:
        if path not in self.paths:
            self.paths.append(path)
        return self.paths.index(path)

    def _field(self, field: Field, name: str) -> Get:
        """The value of the first place that has one."""
        choices = [
            (self._place(choice.path), self._wanted(choice.when, choice.unless), choice.join)
            for choice in field.choices
        ]

        def value(at: _At, node: Node) -> Any:
            for place, wanted, join in choices:
                if wanted is not None and not wanted(at, node):
                    continue
                try:
                    found = at.values[place](node)
                    if found:
                        return found[0] if len(found) == 1 else _one(found, join)
                except Unreadable as error:
                    at.fails(f"{name}: {error}")
            return None

        return value

    # -- conditions

    def _wanted(self, when: Sequence[Condition], unless: Sequence[Condition]) -> Holds | None:
        """None: everything is."""
        needs, spares = [self._one_in([one]) for one in when], self._one_in(unless)
        if not needs and not unless:
            return None
        if not unless and len(needs) == 1:
            return needs[0]
        return lambda at, node: all(holds(at, node) for holds in needs) and not spares(at, node)

    def _one_in(self, conditions: Sequence[Condition]) -> Holds:
        """Whether one of the values at one of the places is among those wanted."""
        places = [(self._place(one.path), ANY in one.values, one.values) for one in conditions]

        def holds(at: _At, node: Node) -> bool:
            for place, is_any, wanted in places:
                for value in at.safely(place, node):
                    if is_any or _text(value) in wanted:
                        return True
            return False

        return holds

    def _all_in(self, conditions: Sequence[Condition]) -> Holds:
        """Whether every value at these places is among those wanted, and there is one."""
        places = [(self._place(one.path), ANY in one.values, one.values) for one in conditions]

        def holds(at: _At, node: Node) -> bool:
            judged = [
                is_any or _text(value) in wanted for place, is_any, wanted in places for value in at.safely(place, node)
            ]
            return bool(judged) and all(judged)

        return holds


def _one(found: Sequence[Any], join: str | None) -> Any:
    """One of several values: joined where the mapping says how, and no choice among different ones."""
    if join is not None:
        return join.join(_text(one) for one in found)
    if any(other != found[0] for other in found[1:]):
        raise Unreadable("finds different values at one path (join = makes one text of them)")
    return found[0]


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def stand_in(message: MessageMapping, key: str) -> tuple[str, Mapping[str, str]]:
    """What stands for the SQL of a mapping: select lists that say which columns its rows have."""
    return _select(message.columns(key)), {
        group.name: _select((key, LINE, *(field.name for field in group.fields))) for group in message.groups
    }


def _select(columns: Sequence[str]) -> str:
    return "SELECT " + ", ".join(f'NULL AS "{column}"' for column in columns)
