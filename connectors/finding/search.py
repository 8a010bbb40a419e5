"""How a feed finds its new rows, and what it is told of them page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import msgspec

from connectors.finding.bearings import Bearings
from frontend_agent.model import Watermark

How = Literal["time", "key", "status", "changes", "compare"]


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """How one feed finds what is new."""

    how: How = "time"
    overlap: timedelta = timedelta(minutes=10)
    term: timedelta = timedelta(days=1)  # so long a number that was passed over is looked for
    acknowledged: bool = False  # change rows that are done with are marked so at the source: each run sees what is left
    replica_lag: timedelta = (
        timedelta()
    )  # what the site says its replica may be behind; more counts if the engine says so
    limit: int = 500  # keys of one page


class MarkedPage(msgspec.Struct, frozen=True):
    """(key, mark of its content) of some keys, in the order of keys. `last`: from behind it the walk goes on; empty: it is over."""

    marks: tuple[tuple[str, bytes], ...]
    last: str


class FoundPage(msgspec.Struct, frozen=True):
    """Keys to read now, and the watermark to keep once they are taken. The last page of a run has what it leaves."""

    keys: tuple[str, ...]
    watermark: Watermark | None
    bearings: Bearings | None = None
    numbers: tuple[Any, ...] = ()  # of change rows that may be acknowledged, once this and all pages before are taken
    set_back: timedelta = timedelta()  # by so much the source's clock was set back since the last run
