"""The rows of a page on their way from the process that reads them to the one that uses them.

What came from another process is sealed: bytes that the parent hands on unopened, and that a worker opens once.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from frontend_agent.model import RowSet, SourceRows


class Sealed(NamedTuple):
    """A RowSet or SourceRows as bytes: pickled, which was the fastest there and back that keeps every type (0018)."""

    data: bytes

    def opened(self) -> Any:
        return pickle.loads(self.data)  # noqa: S301 - from our own child, over our own pipe


def sealed(rows: RowSet | SourceRows) -> Sealed:
    return Sealed(pickle.dumps(rows, pickle.HIGHEST_PROTOCOL))


class Part(NamedTuple):
    """What one source holds of some keys, and the values by which partners elsewhere are to be asked for."""

    rows: SourceRows | Sealed
    wanted: Mapping[str, list[str]]  # partner -> values


class Fetched(NamedTuple):
    """The rows of some keys, from one source or several, still in pieces. What did not fit into one reading has `more`."""

    own: SourceRows | Sealed
    details: Mapping[str, RowSet | Sealed]  # from other sources
    partners: Mapping[str, RowSet | Sealed]
    more: Fetched | None = None
    by: Mapping[str, str] = {}  # of what has more: by which column a partner's rows are found

    def opened(self) -> SourceRows:
        """All of it. The pieces are let go one by one."""
        rows = self._opened()
        return rows if self.more is None else _added(rows, self.more.opened(), self.by)

    def _opened(self) -> SourceRows:
        own: SourceRows = _opened(self.own)
        if not self.details and not self.partners:
            return own
        return SourceRows(
            own.parent,
            {**own.details, **{name: _opened(rows) for name, rows in self.details.items()}},
            {**own.partners, **{name: _opened(rows) for name, rows in self.partners.items()}},
        )


def joined(one: Fetched, other: Fetched, by: Mapping[str, str]) -> Fetched:
    """The rows of some keys and of some others."""
    return one._replace(more=other if one.more is None else joined(one.more, other, by), by=by)


def _added(one: SourceRows, other: SourceRows, by: Mapping[str, str]) -> SourceRows:
    details = {name: _both(rows, other.details[name].rows) for name, rows in one.details.items()}
    partners = {name: _both(rows, _unmet(other.partners[name], rows, by[name])) for name, rows in one.partners.items()}
    return SourceRows(_both(one.parent, other.parent.rows), details, partners)


def _both(one: RowSet, rows: Sequence[Any]) -> RowSet:
    return RowSet(one.columns, [*one.rows, *rows])


def _unmet(rows: RowSet, met: RowSet, alias: str) -> list[Any]:
    """The rows of partners that the other half had not asked for: two halves may share a partner."""
    place = rows.columns.index(alias)
    known = {row[place] for row in met.rows}
    return [row for row in rows.rows if row[place] not in known]


def _opened(rows: Any) -> Any:
    return rows.opened() if isinstance(rows, Sealed) else rows
