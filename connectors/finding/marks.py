"""What tells content apart without fetching it.

A feed that finds by status or by comparing walks over all (key, cursor) pairs its query gives, in the order of keys. The
cursors of a key together are its mark: a status, a version, a hash that the engine made (`md5(...)`). A key whose mark is
the one we know is passed over; a key with a cursor that is NULL has no mark and is read each time, and its rows are hashed
by us.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import Any

from connectors.finding.cursors import cursor_text

NO_MARK = b""


def mark_of(cursors: Iterable[Any]) -> bytes:
    """16 bytes for the cursors of one key, in whatever order they came; NO_MARK if one is NULL."""
    values = list(cursors)
    if any(value is None for value in values):
        return NO_MARK
    made = blake2b(digest_size=16)
    for text in sorted({cursor_text(value) for value in values}):
        made.update(text.encode() + b"\0")
    return made.digest()


def marked(pairs: Sequence[tuple[Any, Any]], whole: bool) -> tuple[list[tuple[Any, bytes]], int]:
    """(key, mark) of the pairs (cursor, key) of one window, in their order; and how many pairs they used.

    A window that is not the last one may end in the middle of a key: that key is left for the next, unless it is alone.
    """
    groups = [(key, [cursor for cursor, _ in of]) for key, of in groupby(pairs, key=itemgetter(1))]
    if not whole and len(groups) > 1:
        groups.pop()
    return [(key, mark_of(cursors)) for key, cursors in groups], sum(len(cursors) for _, cursors in groups)
