"""The rows of a page on their way from the process that reads them to the one that uses them.

What came from another process is sealed: bytes that the parent hands on unopened, and that a worker opens once.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
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
    """The rows of some keys, from one source or several, still in pieces."""

    own: SourceRows | Sealed
    details: Mapping[str, RowSet | Sealed]  # from other sources
    partners: Mapping[str, RowSet | Sealed]

    def opened(self) -> SourceRows:
        own: SourceRows = _opened(self.own)
        if not self.details and not self.partners:
            return own
        return SourceRows(
            own.parent,
            {**own.details, **{name: _opened(rows) for name, rows in self.details.items()}},
            {**own.partners, **{name: _opened(rows) for name, rows in self.partners.items()}},
        )


def _opened(rows: Any) -> Any:
    return rows.opened() if isinstance(rows, Sealed) else rows
