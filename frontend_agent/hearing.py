"""Ask a foreign platform what became of what it accepted, and keep what it says: confirmed or reopened (law 5)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, runtime_checkable

from frontend_agent.model import Document
from frontend_agent.spool import Spool

ASKED_AT_ONCE = 100


class Said(Protocol):
    """What a destination says of one document."""

    @property
    def document_id(self) -> str: ...
    @property
    def stored(self) -> bool: ...
    @property
    def reasons(self) -> tuple[str, ...]: ...
    @property
    def again(self) -> bool: ...
    @property
    def told_by(self) -> str: ...


class Telling(Protocol):
    """A destination that can be asked, or that finds feedback by itself."""

    name: str

    @property
    def asks_every(self) -> timedelta | None: ...
    @property
    def asks_first(self) -> timedelta: ...
    @property
    def asks_until(self) -> timedelta: ...
    def ask(self, documents: Sequence[Document], /) -> Sequence[Said]: ...
    def heard(self, told_by: str, /) -> None: ...


@runtime_checkable
class Careful(Protocol):
    """A destination that wants to know of what it spoke in vain."""

    def not_ours(self, told_by: str, document_ids: Sequence[str], /) -> None: ...


class Asking(NamedTuple):
    """What one asking came to."""

    asked: int = 0
    confirmed: int = 0
    reopened: int = 0


def hear(outlet: Telling, spool: Spool, now: datetime, limit: int = ASKED_AT_ONCE) -> Asking:
    """One asking. What it says is kept before it is told that it was heard; who dies in between hears it once more."""
    every = outlet.asks_every
    if every is None:
        return Asking()
    first = outlet.asks_first
    documents = spool.to_ask(outlet.name, now, limit, first, outlet.asks_until)
    said = list(outlet.ask(documents))
    left: frozenset[str] = getattr(
        outlet, "not_asked", frozenset()
    )  # its time was over: they are asked first, next time
    asked = [document.document_id for document in documents if document.document_id not in left]
    spool.accepted.asked(outlet.name, asked, now + every - first, now + every - outlet.asks_until)
    confirmed = reopened = 0
    for told_by, some in _by_source(said):
        stored = [one.document_id for one in some if one.stored]
        confirmed += spool.accepted.confirm(outlet.name, stored, told_by, now)
        for one in some:
            if not one.stored:
                reopened += sum(
                    spool.accepted.reopen(outlet.name, [one.document_id], one.reasons, one.again, now, told_by)
                )
        unknown = spool.accepted.unknown(outlet.name, [one.document_id for one in some])
        if unknown and isinstance(outlet, Careful):
            outlet.not_ours(told_by, unknown)
        outlet.heard(told_by)
    return Asking(len(asked), confirmed, reopened)


def _by_source(said: Iterable[Said]) -> list[tuple[str, list[Said]]]:
    found: dict[str, list[Said]] = {}
    for one in said:
        found.setdefault(one.told_by, []).append(one)
    return list(found.items())
