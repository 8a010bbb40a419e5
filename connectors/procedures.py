"""Stored procedures of a vendor in place of queries: named, pinned, called by a door of their own.

A mapping declares a procedure; the statement that calls it is made here out of the declaration, never out of a free text:

    [procedures.changed]
    name       = "dbo.usp_changed"
    parameters = ["@from = from", "@to = to"]                  # from, to, watermark, key, keys
    columns    = { cursor = "CHANGED_AT", key = "REPORT_NO" }  # what the queries' aliases are called in its rows

It is called only where the source lists it with the digest of its definition, which is read from the server's catalogue
in the same session: a definition that changed stops the feed. The procedure runs in our read-only transaction.

No query can be wrapped around a procedure. Its rows are ordered, cut and picked here; what must be fewer is asked for by
a smaller window, or by fewer keys. A procedure that is a query of changes has a time as its cursor, and cannot be asked
for rows without one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from connectors.room import AnswerTooLarge
from connectors.statements import Own
from frontend_agent.errors import SourceRefused
from frontend_agent.model import RowSet

PURPOSES = ("from", "to", "watermark", "key", "keys")
NAME = re.compile(r"[^\W\d][\w$#]*(\.[^\W\d][\w$#]*){0,2}")
PARAMETER = re.compile(r"[@:]?[^\W\d][\w$#]*")
SMALLEST = timedelta(seconds=1)  # a window is not made smaller than this
BEGINNING = datetime(2000, 1, 1)  # where a feed that has read nothing yet begins, unless the declaration says `since`
_MARK = "-- procedure: "


class ProcedureChanged(SourceRefused):
    """The definition of a stored procedure is not the one that was pinned. Somebody changed it: look, then pin it anew."""


class ProcedureNotPinned(SourceRefused):
    """A mapping calls a stored procedure that its source does not list."""


class Called(Own):
    """A call that we wrote: which of its results is meant, and whether it comes by a cursor that is bound (Oracle)."""

    result: int = 1


class Call(msgspec.Struct, frozen=True):
    """One declared procedure: `parameters` are (its own name or "", purpose), `columns` alias -> column of its rows."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    result: int = 1
    list_as: str = "json"  # how many keys are handed over as one text: "json" or ","
    since: str = ""

    @property
    def purposes(self) -> tuple[str, ...]:
        return tuple(purpose for _, purpose in self.parameters)


def text_of(call: Call) -> str:
    """The call as the text of a query, which everything that only looks at aliases can read. It is never sent."""
    columns = ", ".join(f'{column} AS "{alias}"' for alias, column in call.columns)
    return f"SELECT {columns} FROM {call.name}\n{_MARK}{msgspec.json.encode(call).decode()}"  # noqa: S608 - never sent


@lru_cache(maxsize=256)
def call_in(sql: str) -> Call | None:
    """The call that a text stands for, None for a query. A text that was tampered with is none either."""
    _, mark, declared = sql.partition(_MARK)
    if not mark:
        return None
    try:
        call = msgspec.json.decode(declared, type=Call)
    except msgspec.DecodeError:
        return None
    names = [name for name, _ in call.parameters if name]
    is_ours = NAME.fullmatch(call.name) and all(PARAMETER.fullmatch(name) for name in names)
    return call if is_ours and text_of(call) == sql else None


# -- the definition ---------------------------------------------------------------------------------------------------


def digest_of(rows: Sequence[Sequence[Any]]) -> str:
    """The digest of a definition as the catalogue gives it, in whatever pieces. "" where it gives none."""
    text = "\n".join(str(value) for row in rows for value in row if value is not None)
    text = text.replace("\r\n", "\n").strip()
    return f"sha256:{sha256(text.encode()).hexdigest()}" if text else ""


def must_be_pinned(source: str, name: str, found: str, pinned: Mapping[str, str]) -> None:
    """Raise unless this procedure is listed, and is what it was when it was listed."""
    if not found:
        raise ProcedureNotPinned(
            f"source {source}: the definition of the procedure {name} cannot be read: there is none of that name, or the"
            " account may not see it (it needs EXECUTE, and VIEW DEFINITION or its like)"
        )
    wanted = pinned.get(name)
    if wanted is None:
        raise ProcedureNotPinned(
            f"source {source}: the procedure {name} is not listed: look at it, then add"
            f' procedures = {{ "{name}" = "{found}" }} to [sources.{source}]'
        )
    if wanted != found:
        raise ProcedureChanged(
            f"source {source}: the procedure {name} was changed: its definition was {wanted} and is {found}."
            f" The feed stands still until somebody has looked at it and pins the new one in [sources.{source}] procedures"
        )


# -- calling ----------------------------------------------------------------------------------------------------------


class Caller:
    """Calls one procedure in sessions of a source; what it needs of the source is handed in."""

    def __init__(
        self,
        call: Call,
        ask: Callable[[Called, Sequence[Any], str], RowSet],
        write: Callable[[Call], str],
    ) -> None:
        """`write` makes the statement of a call for the engine at hand."""
        self._call, self._ask, self._write = call, ask, write

    def rows(self, values: Mapping[str, Any], query: str) -> RowSet:
        """One call. The rows under the aliases of the mapping."""
        statement = Called(self._write(self._call))
        statement.result = self._call.result
        return renamed(self._call, self._ask(statement, [values[p] for p in self._call.purposes], query))

    def pairs(self, low: datetime | None, high: datetime, watermark: str, most: int) -> list[tuple[Any, Any]]:
        """(cursor, key) of what changed in [low, high], in order: at least `most` of them, unless there are not so many.

        A window whose answer is too large is halved until it fits.
        """
        if low is not None and not isinstance(low, datetime):
            raise SourceRefused(f"procedure {self._call.name}: its cursor must be a time, not {type(low).__name__}")
        low = low.replace(tzinfo=None) if low else None
        low = low or (datetime.fromisoformat(self._call.since) if self._call.since else BEGINNING)
        high = high.replace(tzinfo=None)
        found: list[tuple[Any, Any]] = []
        span = high - low
        while low < high and len(found) < most:
            until = min(low + span, high)
            try:
                rows = self.rows({"from": low, "to": until, "watermark": watermark}, "changed")
            except AnswerTooLarge:
                if span <= SMALLEST:
                    raise
                span /= 2
                continue
            found += _pairs(rows)
            low = until
        return sorted(set(found), key=lambda pair: (pair[0], str(pair[1])))

    def by_keys(self, alias: str, keys: Sequence[Any], query: str) -> RowSet:
        """The rows of these keys: one call with a list of them, or one for each. Rows of other keys are left out."""
        if not keys:
            return RowSet(tuple(alias for alias, _ in self._call.columns), [])
        if not {"key", "keys"} & set(self._call.purposes):
            raise SourceRefused(f"procedure {self._call.name} has no parameter for keys, and cannot be asked by them")
        rows, asked = self._of_keys(keys, query), {str(key) for key in keys}
        place = rows.columns.index(alias)
        return RowSet(rows.columns, [row for row in rows.rows if row[place] is not None and str(row[place]) in asked])

    def _of_keys(self, keys: Sequence[Any], query: str) -> RowSet:
        if "keys" in self._call.purposes:
            texts = [str(key) for key in keys]
            listed = json.dumps(texts, ensure_ascii=False) if self._call.list_as == "json" else self._joined(texts)
            return self.rows({"keys": listed}, query)
        found = [self.rows({"key": key}, query) for key in keys]
        return RowSet(found[0].columns, [row for rows in found for row in rows.rows])

    def _joined(self, keys: Sequence[str]) -> str:
        if bad := [key for key in keys if self._call.list_as in key]:
            raise SourceRefused(
                f"procedure {self._call.name}: {len(bad)} keys hold the sign {self._call.list_as!r} that separates them:"
                ' declare list = "json", or one call for each key'
            )
        return self._call.list_as.join(keys)


def beyond(pair: tuple[Any, Any], position: tuple[Any, Any, bool] | None, top: Any) -> bool:
    """Whether (cursor, key) lies behind a position and below a top, as a query's WHERE would say."""
    cursor, key = pair
    if top is not None and not cursor < top:
        return False
    if position is None:
        return True
    low, last, read = position
    return bool(cursor > low or (cursor == low and (not read or last is None or str(key) > str(last))))


def renamed(call: Call, rows: RowSet) -> RowSet:
    """The declared columns, under their aliases. Raises SourceRefused for one that is not there."""
    places = {name.lower(): place for place, name in enumerate(rows.columns)}
    missing = [column for _, column in call.columns if column.lower() not in places]
    if missing:
        raise SourceRefused(f"procedure {call.name}: result {call.result} has no column {', '.join(missing)}")
    picked = [places[column.lower()] for _, column in call.columns]
    return RowSet(tuple(alias for alias, _ in call.columns), [tuple(row[p] for p in picked) for row in rows.rows])


def _pairs(rows: RowSet) -> Iterator[tuple[Any, Any]]:
    cursor, key = rows.columns.index("cursor"), rows.columns.index("key")
    return ((row[cursor], row[key]) for row in rows.rows if row[cursor] is not None and row[key] is not None)
