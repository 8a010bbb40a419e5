"""What we know of a database engine: how it is recognised, greeted, asked, and how a session of ours is ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from connectors.engines.calls import Calling, Defining
from connectors.engines.dialect import Dialect
from connectors.engines.types import Converters

if TYPE_CHECKING:
    from connectors.source import SourceOptions

APPLICATION = "frontend-agent"  # what the hospital's administrator reads in the list of sessions
Version = tuple[int, ...]  # (11, 2); empty where a server does not tell


@dataclass(frozen=True)
class Said:
    """One statement of the greeting. What is not `needed` may be unknown to an older server: the session goes on without."""

    sql: str
    needed: bool = True


@dataclass(frozen=True)
class Greeter:
    """Who greets: the terms of the source, the moment (for the offset of a time zone), and what the server calls itself."""

    options: SourceOptions
    now: datetime
    product: str = ""
    version: Version = ()

    @property
    def statement_ms(self) -> int:
        return _milliseconds(self.options.statement_timeout.total_seconds())

    @property
    def lock_ms(self) -> int:
        return _milliseconds(self.options.lock_timeout.total_seconds())

    @property
    def idle_ms(self) -> int:
        return _milliseconds(self.options.idle_timeout.total_seconds())

    @property
    def offset(self) -> str:
        """The institution's time zone as `+08:00`: many servers have no table of zone names loaded."""
        text = self.now.astimezone(ZoneInfo(self.options.timezone)).strftime("%z")
        return f"{text[:3]}:{text[3:]}"


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))  # 0 would mean: for ever


def seconds(milliseconds: int) -> int:
    """Whole seconds, rounded up: an engine that counts in seconds must not get 0, which means for ever."""
    return max(1, -(-milliseconds // 1000))


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One database product, or several that behave alike.

    `tested` says against what: a real server natively and through its ODBC driver, or only as text (tests/golden/sql).
    """

    name: str  # ours: what `--engine` and golden folders are called
    title: str
    words: tuple[str, ...]  # of which one is in the name that the server gives itself (SQL_DBMS_NAME), in lower case
    dialect: Callable[[Version], Dialect]  # over ODBC
    greeting: Callable[[Greeter], Sequence[Said]]
    grammar: str  # the name of its SQL in sqlglot; "" has none, and its statements cannot be judged
    tested: bool = False
    begin: tuple[str, ...] = ()  # said at the start of every transaction
    session_id: str = ""  # asks for the number of our own session
    kill: str = ""  # ends the session {id}, from another one
    cost: str = (
        ""  # asks what our session has cost so far, (name, number) a row, without any right; "" where nobody tells
    )
    no_session: tuple[str, ...] = ()  # what it answers when there is none of that number
    read_only: bool = True  # whether the engine itself refuses a write in our sessions
    one_moment: bool = True  # whether all statements of a transaction see the same moment
    narrow: str = ""  # over ODBC: what its driver's narrow text is in, when the site does not say
    wide_as_narrow: bool = False  # its driver's wide text is asked for as narrow (three times faster)
    converters: Converters = field(default_factory=dict)  # over ODBC: types that are read by us
    times_as_text: bool = False  # over ODBC: a time as a parameter is written, not bound
    call: Calling | None = None  # how a stored procedure is called over ODBC, where we know it
    native_call: Calling | None = None  # and natively, where that differs
    definition: Defining | None = None  # how its definition is asked for, to pin it
    narrow_parameters: bool = False  # over ODBC: plain ASCII is bound as varchar, or no index on a varchar is used

    def knows(self, product: str) -> bool:
        """Whether a server that calls itself so is one of these."""
        name = product.lower()
        return any(word in name if len(word) > 2 else _begins(name, word) for word in self.words)


def _begins(name: str, word: str) -> bool:
    """Short names stand alone or before a number (`DM8`, `DM DBMS`), never inside of another word."""
    rest = name.removeprefix(word)
    return rest != name and not rest[:1].isalpha()


def version_of(text: str) -> Version:
    """`11.02.0020` is (11, 2, 20): the numbers in front of a server's version text."""
    numbers: list[int] = []
    for part in text.strip().split("."):
        digits = part[: next((at for at, sign in enumerate(part) if not sign.isdigit()), len(part))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
