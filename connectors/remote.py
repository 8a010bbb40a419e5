"""A source in a process of its own, its extractor: the only one that connects to it.

    RemoteSource ── question ──▶ pipe ──▶ extractor: the real Source, its connection
                 ◀── answer ────          and meanwhile: "I log in", "I ask this, which may take 30 s", "I rest"

Every public method of `Source` is a question: its name and its values go over, what it returns comes back, iterators page
by page. What a method composes of questions to several sources (`fetch`, `rows`, `probe`) is composed on this side.

An extractor that does not come back is found out by what it told last. Each statement has its own deadline, the time-out
the engine was told and a little more, so a page of five statements has five times that; waiting on purpose has none. When
one passes, the extractor is killed, whatever its driver hangs in, and the asker is told that the source did not answer. A
fresh one starts, ends the server's session of the killed one where engine and account let it, and goes on. No question is
asked twice: what was under way failed, and its watermark did not move.

Logins are spaced and backed off (`reach.py`) on this side, so that no number of fresh extractors storms a source.
"""

from __future__ import annotations

import copy
import gc
import itertools
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import FunctionType
from typing import Any, NoReturn

from connectors.engines.dialect import Dialect
from connectors.fetched import Part, Sealed, sealed
from connectors.pulse import Pulse
from connectors.reach import Reach, Reached
from connectors.refusals import StatementTooSlow
from connectors.source import Asking, Source, SourceOptions
from frontend_agent.errors import FrontendAgentError, SourceError, SourceRefused, SourceUnreachable
from frontend_agent.model import RowSet
from frontend_agent.processes import Child, may_fork
from frontend_agent.usage import Tally

GRACE = 3.0  # seconds beyond the time-out that the engine was told: with our own part a run ends within five
THINKING = 60.0  # seconds without a statement, a login or a wait, after which an extractor is no longer believed in
MENDING = 25.0  # seconds for which the end of a killed extractor's session is tried
NOTHING: Mapping[str, Any] = {}
PATIENCE = 0.5  # seconds for an extractor to come to rest, before closing it does not wait any longer


class ExtractorDied(FrontendAgentError):
    """The process that reads a source ended in the middle of its work (killed, or out of memory). Nothing was taken; it is
    read again."""


class ExtractorFailed(FrontendAgentError):
    """The process that reads a source met an error that nobody expected. Only its kind and place are told: its text may
    quote a patient."""


class SourceInterrupted(SourceError):
    """Reading a source was ended from outside, by a pause or because the agent stops."""


Tell = Callable[..., None]  # event, fields


# -- the questions ----------------------------------------------------------------------------------------------------


def _returns_pages(method: FunctionType) -> bool:
    return str(method.__annotations__.get("return", "")).startswith("Iterator[")


COMPOSED = ("probe", "rows", "fetch")  # of questions to several sources
OURS = ("session", "close", "interrupt", "pause", "resume", "behind")  # answered on this side
QUESTIONS: Mapping[str, bool] = {  # every other public method of a source -> whether it answers page by page
    name: _returns_pages(method)
    for name, method in vars(Source).items()
    if isinstance(method, FunctionType) and not name.startswith("_") and name not in (*COMPOSED, *OURS)
}


# -- our side ---------------------------------------------------------------------------------------------------------


class RemoteSource(Source):
    """The same as the Source that `make` opens, asked in processes of its own: `connections` of them (1, or 2)."""

    def __init__(
        self,
        name: str,
        options: SourceOptions,
        make: Callable[[], Source],
        connections: int = 1,
        tell: Tell = lambda event, **fields: None,
        reach: Reach | None = None,
    ) -> None:
        """`make` is called in each extractor and must be picklable. `tell` hears what an operator wants to know of."""
        super().__init__(name, options)
        self._reach = reach or Reach(name)
        self._lanes = [_Lane(self, make, tell) for _ in range(connections)]
        self._lane = self._lanes[0]
        if may_fork():
            for lane in self._lanes:
                lane.start()

    # what Source asks of a kind of connection: none of it is on this side

    @property
    def dialect(self) -> Dialect:
        found: Dialect = self._lane.ask("dialect")
        return found

    @property
    def family(self) -> str:
        return str(self._lane.ask("family"))

    def _open_session(self) -> AbstractContextManager[Asking]:
        raise AssertionError(f"source {self.name}: statements are asked in its extractor only")

    def _open_writing(self) -> AbstractContextManager[Asking]:
        return self._open_session()

    # what is ours

    def behind(self, rests: bool = True) -> Source:
        other = copy.copy(self)
        other._lane, other._can_wait = self._lanes[-1], rests
        return other

    def interrupt(self, why: str = "reading it was interrupted") -> None:
        """End what is under way, at this moment. Whoever waits for an answer gets SourceInterrupted; the next question
        starts afresh. May be called from any thread."""
        for lane in self._lanes:
            lane.interrupt(why)

    def try_now(self) -> None:
        """A person asks: an unreachable source is tried again without waiting for its turn."""
        self._reach.try_now()

    def reached(self) -> Reached:
        """Whether it answers; if not, since when, and when it is tried next."""
        return self._reach.told()

    def extractors(self) -> list[int]:
        """The process ids."""
        return [lane.pid for lane in self._lanes if lane.pid]

    def connected(self) -> int:
        """How many sessions there are at the source now, as far as we know."""
        return sum(bool(lane.pid and lane.logged_in) for lane in self._lanes)

    def close(self) -> None:
        """End the extractors: those at rest in order, others at once."""
        for lane in self._lanes:
            lane.close()


def _question(name: str) -> Callable[..., Any]:
    def ask(self: RemoteSource, *args: Any, **kwargs: Any) -> Any:
        return self._lane.ask(name, args, kwargs, self._can_wait)

    return ask


def _pages(name: str) -> Callable[..., Iterator[Any]]:
    def ask(self: RemoteSource, *args: Any, **kwargs: Any) -> Iterator[Any]:
        return self._lane.pages(name, args, kwargs, self._can_wait)

    return ask


for _name, _in_pages in QUESTIONS.items():
    setattr(RemoteSource, _name, _pages(_name) if _in_pages else _question(_name))


class _Lane:
    """One extractor after another, and our end of the conversation with it. One question at a time."""

    def __init__(self, owner: RemoteSource, make: Callable[[], Source], tell: Tell) -> None:
        self._owner = owner
        self._name = owner.name
        self._make = make
        self._tell = tell
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._why = ""  # it was interrupted
        self._early: Exception = SourceUnreachable(owner.name)  # why the last login was not tried
        self._busy = False  # something of ours is under way at the source
        self._logging_in = False
        self._session = ""  # the server's number of its session
        self._to_end: list[str] = []  # sessions of killed extractors
        self._mender: threading.Thread | None = None
        self._closed = False
        self._numbers = itertools.count()
        self._dropped: list[int] = []  # iterators that nobody asks for more
        self._cost = 0.0  # seconds that the question under way spent at the source
        self.logged_in = False
        self._new = True  # nothing was asked of this extractor yet

    # questions

    def ask(self, name: str, args: Any = (), kwargs: Mapping[str, Any] = NOTHING, can_wait: bool = False) -> Any:
        with self._turn(can_wait):
            if name != "end_session":
                self._owner.guest.must_not_rest()
            return self._converse("ask", name, args, dict(kwargs))

    def pages(self, name: str, args: Any, kwargs: Mapping[str, Any], can_wait: bool) -> Iterator[Any]:
        number = next(self._numbers)
        with self._turn(can_wait):
            self._owner.guest.must_not_rest()
            item = self._converse("begin", name, args, dict(kwargs), number)
            child = self._child
        try:
            while not isinstance(item, _End):
                yield item
                with self._turn(can_wait):
                    if self._child is not child:
                        raise ExtractorDied(f"the extractor of source {self._name} was replaced; it is read again")
                    self._owner.guest.must_not_rest()
                    item = self._converse("more", number)
        finally:
            if not isinstance(item, _End) and self._child is child:
                self._dropped.append(number)

    @contextmanager
    def _turn(self, can_wait: bool) -> Iterator[None]:
        """One question has the lane. What can wait rests before it takes it, never while it holds it."""
        guest = self._owner.guest
        if can_wait:
            guest.admit_behind()
        with self._lock:
            self._cost = 0.0
            try:
                yield
            finally:
                if can_wait:
                    guest.spent_behind(self._cost)

    # starting and ending

    @property
    def pid(self) -> int:
        return self._child.pid if self._child and self._child.is_alive() else 0

    def start(self) -> Child:
        if self._closed:
            raise SourceInterrupted(f"source {self._name}: the agent stops")
        self._child = Child(_Extracting(self._make), f"extract-{self._name}")
        self._why, self._session, self._busy, self._logging_in = "", "", False, False
        self._dropped.clear()
        self._new, self.logged_in = True, False
        return self._child

    def interrupt(self, why: str) -> None:
        if child := self._child:
            self._why = why
            child.kill()

    def _hang_up(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.close()
                self._child = None

    def close(self) -> None:
        self._closed = True
        at_rest = self._lock.acquire(timeout=PATIENCE)
        try:
            if self._child is not None:
                if not at_rest:
                    self.interrupt("the agent stops")
                else:
                    self._child.close()
                    self._child = None
        finally:
            if at_rest:
                self._lock.release()

    # the conversation

    def _converse(self, *message: Any) -> Any:
        reach = self._owner._reach
        reach.must_wait()
        child = self._child
        if child is None or not child.is_alive():
            if child is not None:
                child.close(0.0)
            child = self.start()
        dropped, self._dropped = self._dropped, []
        learned = self._owner.guest.known() if self._new else None  # by those before it
        self._new = False
        question = pickle.dumps((dropped, learned, *message), pickle.HIGHEST_PROTOCOL)
        try:
            with suppress(OSError):  # it may have ended already, and said why before
                child.pipe.send_bytes(question)
            answer = self._answer(child)
        except (EOFError, OSError):
            raise self._ended(child) from None
        reach.worked()
        if self._to_end:
            self._mend()
        return answer

    def _answer(self, child: Child) -> Any:
        """Listen until the answer is here."""
        query, asked = "", time.monotonic()
        until = asked + THINKING
        while True:
            if not child.pipe.poll(max(0.0, until - time.monotonic())):
                raise self._hung(child, query, time.monotonic() - asked)
            told, *what = pickle.loads(child.pipe.recv_bytes())  # noqa: S301 - our own child, over our own pipe
            now = time.monotonic()
            match told:
                case "logs in":
                    wait = self._admitted(child)
                    query, asked, until = "", now + wait, now + wait + what[0] + GRACE
                case "connected":
                    self._session, self._logging_in, self.logged_in = what[0], False, True
                    self._owner.guest.opened(self._owner.connected())
                case "asks":
                    self._busy = True
                    query, asked, until = what[0], now, now + what[1] + GRACE
                case "rests":
                    self._busy, until = False, now + THINKING
                case "waits":
                    until = now + what[0] + THINKING
                case "cannot begin":  # it ends by itself: the next question is another's, who may find what was missing
                    child.close()
                    self._child = None
                    self._failed(what[0])
                case "failed":
                    self._merge(what[1])
                    self._failed(what[0])
                case _:
                    self._merge(what[1])
                    self._busy = False
                    return what[0]

    def _merge(self, tally: Tally) -> None:
        self._cost += tally.seconds
        self._owner.guest.merge(tally)

    def _admitted(self, child: Child) -> float:
        """Whether a login may be tried now, as the extractor asked: the seconds it has to wait before, or why not."""
        try:
            wait = self._owner._reach.login()
        except SourceError as early:
            self._early = early
            child.pipe.send_bytes(pickle.dumps(None))
            return 0.0
        self._logging_in, self._session = True, ""
        child.pipe.send_bytes(pickle.dumps(wait))
        return wait

    def _failed(self, error: Exception) -> NoReturn:
        out_of_reach = isinstance(error, SourceUnreachable) and not isinstance(error, StatementTooSlow | _TooEarly)
        if self._logging_in or out_of_reach:
            self._owner._reach.failed(error)
        self._logging_in = self._busy = False
        raise self._early if isinstance(error, _TooEarly) else error

    def _hung(self, child: Child, query: str, seconds: float) -> FrontendAgentError:
        """It did not come back in time: end it."""
        child.kill()
        login, busy = self._logging_in, self._busy
        self._ended(child)
        self._tell("source.hung", source=self._name, query=query, seconds=seconds)
        if login:
            problem = SourceUnreachable(f"source {self._name}: no connection within {seconds:.0f} s")
            self._owner._reach.failed(problem)
            return problem
        self._cost += seconds
        self._owner.guest.account(query, "", 0, 0, seconds, failed=True)
        if not busy:
            return ExtractorFailed(
                f"the extractor of source {self._name} did nothing for {seconds:.0f} s and was ended"
            )
        return StatementTooSlow(
            f"source {self._name}: query {query!r}: no answer within {seconds:.0f} s; the connection was cut, and the"
            " session at the source is being ended"
        )

    def _ended(self, child: Child) -> FrontendAgentError:
        """It is dead: what to tell the asker. Its session at the source is ended, if something was under way there."""
        child.close()
        self._child = None
        if self._busy and self._session:
            self._to_end.append(self._session)
            self._mend()
        self._busy = self._logging_in = False
        if self._why or self._closed:
            why = SourceInterrupted(f"source {self._name}: {self._why or 'the agent stops'}")
            return self._owner.guest.resting() or why  # by a pause, which is no fault
        self._tell("source.extractor_died", source=self._name)
        return ExtractorDied(
            f"the extractor of source {self._name} ended in the middle of its work; nothing was taken, it is read again"
        )

    # the sessions of those that were killed

    def _mend(self) -> None:
        if self._mender is None or not self._mender.is_alive():
            self._mender = threading.Thread(target=self._end_sessions, name=f"end-{self._name}", daemon=True)
            self._mender.start()

    def _end_sessions(self) -> None:
        until = time.monotonic() + MENDING
        while self._to_end and not self._closed and time.monotonic() < until:
            session = self._to_end[0]
            try:
                ended = self._ender().ask("end_session", (session,))
            except SourceRefused as refused:
                self._tell("source.session_left", source=self._name, session=session, problem=str(refused))
            except FrontendAgentError:
                time.sleep(min(max(self._owner._reach.wait(), 0.2), MENDING))
                continue
            else:
                self._tell(
                    "source.session_ended" if ended else "source.session_left", source=self._name, session=session
                )
            self._to_end.remove(session)
        if self._owner.guest.resting():  # it is to be left alone: nothing of ours stays connected
            self._hang_up()

    def _ender(self) -> _Lane:
        """Who ends a session: an extractor that is connected and at rest, so that no more connections are made than allowed."""
        for lane in self._owner._lanes:
            if lane is not self and lane._session and not lane._busy:
                return lane
        return self


class _End:
    """No more pages."""


class _TooEarly(SourceUnreachable):
    """A login that was not tried."""


# -- the extractor's side ---------------------------------------------------------------------------------------------


class _Extracting:
    """The process: answers until its parent hangs up."""

    def __init__(self, make: Callable[[], Source]) -> None:
        self._make = make

    def __call__(self, pipe: Connection) -> None:
        gc.set_threshold(50_000, 50, 100)  # rows are many and in no cycles
        try:
            source = self._make()
        except FrontendAgentError as error:  # a driver that was taken away since we started
            with suppress(EOFError, OSError):
                pipe.recv_bytes()
                pipe.send_bytes(pickle.dumps(("cannot begin", error), pickle.HIGHEST_PROTOCOL))
            return
        source.pulse = _Told(pipe)
        answering = _Answering(source)
        while True:
            try:
                question = pickle.loads(pipe.recv_bytes())  # noqa: S301 - our own parent, over our own pipe
                pipe.send_bytes(answering(question))
            except (EOFError, OSError):
                break
        source.close()


class _Answering:
    """Questions in, answers out."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._iterators: dict[int, Iterator[Any]] = {}

    def __call__(self, question: tuple[Any, ...]) -> bytes:
        dropped, learned, kind, *rest = question
        if learned is not None:
            self._source.guest.remember(learned)
        for number in dropped:
            self._iterators.pop(number, None)
        try:
            reply = "answer", _to_send(self._answer(kind, *rest))
        except FrontendAgentError as error:
            reply = "failed", error
        except Exception as error:  # noqa: BLE001 - told to the parent, who logs it as that run's failure
            reply = "failed", ExtractorFailed(f"unexpected {type(error).__name__} {_place(error)} in an extractor")
        return pickle.dumps((*reply, self._source.guest.take()), pickle.HIGHEST_PROTOCOL)

    def _answer(self, kind: str, *rest: Any) -> Any:
        if kind == "more":
            (number,) = rest
        else:
            name, args, kwargs, *numbers = rest
            asked = getattr(self._source, name)
            answer = asked(*args, **kwargs) if callable(asked) else asked
            if kind == "ask":
                return answer
            (number,) = numbers
            self._iterators[number] = iter(answer)
        try:
            return next(self._iterators[number])
        except BaseException as error:
            del self._iterators[number]
            if isinstance(error, StopIteration):
                return _End()
            raise


def _to_send(answer: Any) -> Any:
    """Rows go over sealed: whoever uses them opens them."""
    if isinstance(answer, Part) and not isinstance(answer.rows, Sealed):
        return Part(sealed(answer.rows), answer.wanted)
    return sealed(answer) if isinstance(answer, RowSet) else answer


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


class _Told(Pulse):
    """What the source tells goes to the parent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def _tell(self, *what: Any) -> None:
        self._pipe.send_bytes(pickle.dumps(what, pickle.HIGHEST_PROTOCOL))

    def logs_in(self, seconds: float) -> None:
        self._tell("logs in", seconds)
        allowed: float | None = pickle.loads(self._pipe.recv_bytes())  # noqa: S301 - our own parent, over our own pipe
        if allowed is None:
            raise _TooEarly
        time.sleep(allowed)

    def connected(self, session: str) -> None:
        self._tell("connected", session)

    def asks(self, query: str, seconds: float) -> None:
        self._tell("asks", query, seconds)

    def rests(self) -> None:
        self._tell("rests")

    def waits(self, seconds: float) -> None:
        self._tell("waits", seconds)
