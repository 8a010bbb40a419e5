"""A database with SQL, whatever driver reaches it: one connection, greeted as a greeter, one snapshot for each batch.

    Driver      connects, fetches, says what its errors mean: Python's own drivers (natives.py) and ODBC (odbc.py)
    Engine      how the server is greeted and asked, once it has said what it is (engines/)
    Database    the two together, as a Source

Every session is read-only as far as the engine can make it, has a statement time-out, speaks the institution's time zone
and holds one snapshot while a batch is read, so that a record is never half of before and half of after a correction.
"""

from __future__ import annotations

import contextlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol

from connectors.deadline import Cut
from connectors.engines import Dialect, Engine, Greeter, Version, engine_of, version_of
from connectors.engines.calls import Calling
from connectors.finding.acknowledging import LASTING, WRITING
from connectors.procedures import Call, Called, digest_of
from connectors.refusals import StatementTooSlow, explained
from connectors.room import AnswerTooLarge, Room
from connectors.source import Asking, Source, SourceOptions
from connectors.statements import Own
from frontend_agent.errors import SourceError, SourceRefused
from frontend_agent.model import RowSet

GRACE = 5.0  # seconds a server gets, beyond its own statement time-out, before we drop the line
SESSION = re.compile(r"[\w,.$:@-]{1,64}")  # a server's number of a session
STALE = 5.0  # seconds of rest after which a connection is tried before it is trusted


class Deadline(Protocol):
    """Ends a statement that the engine does not end itself. `passed` says that it had to."""

    @property
    def passed(self) -> bool: ...

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Driver(ABC):
    """One way to speak to a server. What it raises is understood here and nowhere else."""

    errors: tuple[type[Exception], ...]  # what its calls raise
    serves = True  # a server lets us in: logins are told before they are tried

    @abstractmethod
    def connect(self) -> Any:
        """A connection in which each statement stands alone, until `transact`. Raises the driver's own errors."""

    def connect_to_write(self) -> Any:
        """A connection that may write, for marking change rows as read (`finding/acknowledging.py`) and nothing else."""
        return self.connect()

    def write(self, connection: Any, sql: str, parameters: Sequence[Any]) -> None:
        """Execute the one statement of ours that writes (`finding/acknowledging.py`)."""
        with held(connection) as cursor:
            cursor.execute(sql, tuple(parameters))

    @abstractmethod
    def product(self, connection: Any) -> tuple[str, str]:
        """What the server calls itself, and its version."""

    @abstractmethod
    def tell(self, connection: Any, sql: str) -> None:
        """Execute a statement that has no answer."""

    @abstractmethod
    def transact(self, connection: Any, engine: Engine) -> None:
        """From here on statements belong to a transaction, until `rollback`."""

    @abstractmethod
    def fetched(self, connection: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        """All rows of the answer, weighed as they come. Raises AnswerTooLarge where they do not fit."""

    @abstractmethod
    def said(self, error: BaseException) -> tuple[str, str]:
        """The code and the text of an error, for `explained` alone."""

    @abstractmethod
    def gone(self, connection: Any, error: BaseException) -> bool:
        """Whether the connection is lost."""

    def never_came(self, error: BaseException) -> bool:
        """Whether a connection failed because nobody answered. `explained` looks first for a server that said no."""
        return True

    def dialect(self, engine: Engine, version: Version) -> Dialect:
        return engine.dialect(version)

    def calling(self, engine: Engine) -> Calling | None:
        """How a stored procedure is called through this driver."""
        return engine.call

    def called(self, connection: Any, call: Called, parameters: Sequence[Any], room: Room) -> RowSet:
        """The rows of the result that is meant, of a procedure that may have several."""
        return self.fetched(connection, call, parameters, room)

    def begin(self, engine: Engine) -> tuple[str, ...]:
        """What has to be said at the start of each transaction."""
        return engine.begin

    def unreadable(self, error: Exception) -> bool:
        """Whether the rows arrived and only the driver cannot turn a value into Python."""
        return False

    def leniently(self, connection: Any, sql: str, parameters: Sequence[Any], room: Room) -> RowSet:
        """The same rows with conversions off, so that one bad value becomes a finding and not a stopped feed."""
        return self.fetched(connection, sql, parameters, room)

    def deadline(self, connection: Any, seconds: float) -> Deadline:
        return Cut(seconds + GRACE, lambda: None)

    def cancel(self, connection: Any) -> None:  # noqa: B027 - not every driver can
        """End the statement that another thread waits for. Raises the driver's own errors."""

    def rollback(self, connection: Any) -> None:
        connection.rollback()

    def close(self, connection: Any) -> None:
        connection.close()


class Database(Source):
    """A server with SQL, behind one driver."""

    def __init__(
        self, name: str, options: SourceOptions, driver: Driver, clock: Callable[[], datetime] | None = None
    ) -> None:
        super().__init__(name, options, clock)
        self._driver = driver
        self._connection: Any = None
        self._engine: Engine | None = None
        self._dialect = Dialect()
        self._used = 0.0
        self._cost: dict[str, float] = {}  # what the server last told of our session
        self.version: Version = ()
        self.unheard: tuple[str, ...] = ()  # of our greeting, what this server did not know

    @property
    def family(self) -> str:
        return self.engine.name

    @property
    def engine(self) -> Engine:
        """What the server is; only it can say, so it is asked at the first need."""
        _ = self.dialect
        assert self._engine is not None
        return self._engine

    @property
    def grammar(self) -> str:
        return self.engine.grammar

    @property
    def dialect(self) -> Dialect:
        if self._engine is None:
            self.guest.must_not_rest()
            with self._lock:
                self._connected()
        return self._dialect

    def open(self) -> Database:
        """Make ready. Connects to nothing yet: a source that is down must not keep the agent from starting."""
        return self

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(*self._driver.errors):
                    self._driver.close(self._connection)
                self._connection = None

    @contextmanager
    def _open_session(self) -> Iterator[Asking]:
        """One transaction, ended by a rollback."""
        with self._lock:
            connection = self._connected()
            try:
                for statement in self._driver.begin(self.engine):
                    self._ask(connection, statement, (), "")
                yield lambda sql, parameters, query: self._ask(connection, sql, parameters, query)
            finally:
                if self._connection is connection:  # not lost in between
                    with contextlib.suppress(*self._driver.errors):
                        self._driver.rollback(connection)
                self.pulse.rests()

    @contextmanager
    def _open_writing(self) -> Iterator[Asking]:
        """In the connection that is there: a login more would be noticed. Each statement is a transaction of its own, the only
        ones that are not read-only; a file is opened once more, for writing."""
        with self._lock:
            driver, at_once = self._driver, WRITING.get(self.family, ())
            connection = self._connected() if driver.serves else self._reached(driver.connect_to_write)
            try:
                yield lambda sql, parameters, query: self._written(connection, at_once, sql, parameters, query)
            finally:
                with contextlib.suppress(*driver.errors):
                    driver.rollback(connection)
                    if not driver.serves:
                        driver.close(connection)
                if driver.serves and self.family in LASTING:
                    self.close()

    def _written(
        self, connection: Any, at_once: Sequence[str], sql: str, parameters: Sequence[Any], query: str
    ) -> RowSet:
        driver = self._driver
        with contextlib.suppress(*driver.errors):
            driver.rollback(connection)  # what comes now is the first of its transaction
        self.pulse.asks(query, self.options.statement_timeout.total_seconds())
        try:
            with driver.deadline(connection, self.options.statement_timeout.total_seconds()):
                for statement in at_once:
                    driver.tell(connection, statement)
                driver.write(connection, sql, parameters)
                connection.commit()
        except driver.errors as error:
            gone = driver.gone(connection, error)
            self._after_failure(connection, gone)
            raise explained(self.name, query, *driver.said(error), gone=gone) from None
        self._used = time.monotonic()
        return RowSet((), ())

    def interrupt(self) -> None:
        """End the statement that is running now. A driver that cannot is left to its statement time-out."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(*self._driver.errors):
                self._driver.cancel(connection)

    def _server_cost(self, ask: Asking) -> dict[str, float]:
        if not self.engine.cost:
            return {}
        now = {str(name): float(value) for name, value in ask(Own(self.engine.cost), (), "").rows}
        before, self._cost = self._cost, now
        return {name: value - before.get(name, 0.0) for name, value in now.items()}

    def digest_of_procedure(self, name: str, ask: Asking | None = None) -> str:
        define = self.engine.definition
        if define is None:
            raise SourceRefused(
                f"source {self.name}: procedures of {self.engine.title} cannot be pinned, and so not called"
            )
        sql, parameters = define(name, self.dialect)
        if ask is not None:
            return digest_of(ask(Own(sql), parameters, "definition").rows)
        with self.session() as alone:
            return digest_of(alone(Own(sql), parameters, "definition").rows)

    def _call_text(self, call: Call) -> str:
        written = self._driver.calling(self.engine)
        if written is None:
            return super()._call_text(call)
        marks = self.dialect.marks(len(call.parameters))
        return written(call.name, [(name, mark) for (name, _), mark in zip(call.parameters, marks, strict=True)])

    def session_id(self) -> str:
        """The server's number of our session, by which another one can end it (`Engine.kill`). "" where none is told."""
        if not self.engine.session_id:
            return ""
        with self.session() as ask:
            return str(ask(Own(self.engine.session_id), (), "").rows[0][0])

    def end_session(self, session: str) -> bool:
        if not SESSION.fullmatch(session):
            raise SourceRefused(f"source {self.name}: {session!r} is no number of a session")
        with self._lock:
            connection, driver, engine = self._connected(), self._driver, self.engine
            if not engine.kill:
                return False
            self.pulse.asks("end_session", self.options.statement_timeout.total_seconds())
            try:
                driver.tell(connection, engine.kill.format(id=session))
            except driver.errors as error:
                code, text = driver.said(error)
                if code not in engine.no_session:  # otherwise it has ended by itself meanwhile
                    raise self._not_ended(code, text, driver.gone(connection, error)) from None
            finally:
                with contextlib.suppress(*driver.errors):
                    driver.rollback(connection)
                self.pulse.rests()
            return True

    def _not_ended(self, code: str, text: str, gone: bool) -> SourceError:
        said = explained(self.name, "end_session", code, text, gone)
        if not isinstance(said, SourceRefused):
            return said
        return SourceRefused(
            f"source {self.name}: the account may not end a session of its own ({code}): one that hangs ends by the"
            " engine's own time-outs"
        )

    # -- connecting --

    def _connected(self) -> Any:
        if self._connection is not None and time.monotonic() - self._used > STALE:
            with contextlib.suppress(SourceError):  # if it died while it rested, `_ask` forgets it
                self._probe_latency(lambda: self._ask(self._connection, self._dialect.one, (), ""), working=False)
        if self._connection is None:
            self._connection = self._greeted()
        self._used = time.monotonic()
        return self._connection

    def _greeted(self) -> Any:
        driver = self._driver
        connection = self._reached(driver.connect)
        self._cost = {}  # a session's figures begin with it
        try:
            self._greet(connection)
        except driver.errors as error:
            gone = driver.gone(connection, error)
            with contextlib.suppress(*driver.errors):
                driver.close(connection)
            raise explained(self.name, "", *driver.said(error), gone=gone) from None
        return connection

    def _reached(self, connect: Callable[[], Any]) -> Any:
        driver = self._driver
        if driver.serves:
            self.pulse.logs_in(self.options.connect_timeout.total_seconds())
        try:
            connection = connect()
        # `from None`, here and below: a driver's text may hold a row's values, and must not ride along in a traceback.
        except driver.errors as error:
            raise explained(self.name, "", *driver.said(error), gone=driver.never_came(error)) from None
        self.guest.logged_in()
        return connection

    def _greet(self, connection: Any) -> None:
        name, version = self._driver.product(connection)
        self.version = version_of(version)
        self._engine = engine_of(f"{name} {version}" if name else version)
        self._dialect = self._driver.dialect(self._engine, self.version)
        greeter = Greeter(self.options, self._now(), f"{name} {version}", self.version)
        unheard = []
        for said in self._engine.greeting(greeter):
            try:
                self._driver.tell(connection, said.sql)
            except self._driver.errors as error:
                if said.needed or self._driver.gone(connection, error):
                    raise
                unheard.append(said.sql)
        self.unheard = tuple(unheard)
        number = self._engine.session_id
        self._driver.transact(connection, self._engine)
        self.pulse.connected(self._number(connection, number) if number else "")

    def _number(self, connection: Any, sql: str) -> str:
        try:
            number = str(self._driver.fetched(connection, sql, (), self._room).rows[0][0])
        except self._driver.errors:  # an account that may not ask: its session ends by the engine's own time-outs
            number = ""
        self._driver.rollback(connection)
        return number

    # -- asking --

    def _ask(self, connection: Any, sql: str, parameters: Sequence[Any], query: str) -> RowSet:
        driver = self._driver
        self.pulse.asks(query, self.options.statement_timeout.total_seconds())
        deadline = driver.deadline(connection, self.options.statement_timeout.total_seconds())
        try:
            with deadline:
                answer = self._answer(connection, sql, parameters)
        except AnswerTooLarge:
            self._afresh(connection)
            raise
        except driver.errors as error:
            gone = deadline.passed or driver.gone(connection, error)
            self._after_failure(connection, gone)
            if deadline.passed:
                raise StatementTooSlow(
                    f"source {self.name}: query {query!r}: no answer within the statement time-out"
                ) from None
            raise explained(self.name, query, *driver.said(error), gone=gone) from None
        self._used = time.monotonic()
        return answer

    def _afresh(self, connection: Any) -> None:
        """A new transaction, after an answer that was broken off: the engine may have ended the old one for it."""
        try:
            self._driver.rollback(connection)
            for statement in self._driver.begin(self.engine):
                self._driver.tell(connection, statement)
        except self._driver.errors as error:
            self._after_failure(connection, self._driver.gone(connection, error))

    def _answer(self, connection: Any, sql: str, parameters: Sequence[Any]) -> RowSet:
        try:
            if isinstance(sql, Called):
                return self._driver.called(connection, sql, parameters, self._room)
            return self._driver.fetched(connection, sql, parameters, self._room)
        except self._driver.errors as error:
            if not self._driver.unreadable(error):
                raise
        return self._driver.leniently(connection, sql, parameters, self._room)

    def _after_failure(self, connection: Any, gone: bool) -> None:
        if gone:
            self._connection = None
            with contextlib.suppress(*self._driver.errors):
                self._driver.close(connection)
        else:
            with contextlib.suppress(*self._driver.errors):
                self._driver.rollback(connection)


def held(connection: Any) -> AbstractContextManager[Any]:
    """A cursor that is closed at the end."""
    return contextlib.closing(connection.cursor())
