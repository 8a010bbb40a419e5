"""Processes beside the daemon, for work that takes values and returns values (architecture §9).

    with Workers(2, make) as workers:
        future = workers.submit(question)      # answered by make()(question) in one of the processes

The parent keeps the order and the one commit; a worker owns nothing that matters. When one dies (out of memory, killed),
its question fails with `WorkerDied` and a fresh process takes the next. When the parent dies, the workers read the end of
their pipe and go. They run at a lower priority: what is ready goes out before more is made ready.
"""

import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Generic, TypeVar

from frontend_agent.errors import FrontendAgentError

Question = TypeVar("Question")
Answer = TypeVar("Answer")

LESS_URGENT = 5  # than the parent: nice(2)


class WorkerDied(FrontendAgentError):
    """A worker process ended in the middle of its work (killed, or out of memory). Nothing was taken; it is read again."""


class WorkerFailed(FrontendAgentError):
    """A worker met an error that nobody expected. Only the kind of error is told: its text may quote a patient."""


class Workers(Generic[Question, Answer]):
    """`count` processes.

    Made before any thread is started they are forks, and share the memory of what is loaded and compiled. A fork of a
    process with threads may inherit a lock that nobody opens again: later ones are fresh interpreters.
    """

    def __init__(self, count: int, make: Callable[[], Callable[[Question], Answer]]) -> None:
        """`make` is called once in each process and must be picklable; so must questions and answers."""
        self.count = count
        self._make = make
        self._mine = threading.local()  # each thread of the pool has one process
        self._processes: list[tuple[BaseProcess, Connection]] = []
        self._lock = threading.Lock()
        self._waiting = self._forked(count) if may_fork() else []
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")

    def submit(self, question: Question) -> Future[Answer]:
        return self._threads.submit(self._ask, question)

    def close(self) -> None:
        """Finish what is being worked on, drop what is not, and end the processes."""
        self._threads.shutdown(cancel_futures=True)
        for process, connection in self._processes:
            connection.close()
            process.join(timeout=2)
            if process.is_alive():
                process.kill()

    def __enter__(self) -> "Workers[Question, Answer]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: Question) -> Answer:
        connection = self._connection()
        try:
            connection.send_bytes(pickle.dumps(question, pickle.HIGHEST_PROTOCOL))
            answer, error = pickle.loads(connection.recv_bytes())  # noqa: S301 - our own child, over our own pipe
        except (EOFError, OSError):
            self._mine.connection = None
            connection.close()
            raise WorkerDied("a worker process ended in the middle of its work; it is tried again") from None
        if error is not None:
            raise error
        found: Answer = answer
        return found

    def _connection(self) -> Connection:
        found: Connection | None = getattr(self._mine, "connection", None)
        if found is None:
            with self._lock:
                found = self._waiting.pop() if self._waiting else None
            found = self._mine.connection = found or self._start(multiprocessing.get_context("spawn"))
        return found

    def _forked(self, count: int) -> list[Connection]:
        gc.collect()
        gc.freeze()  # what is there now is shared, and stays shared if no collection writes to it
        started: list[Connection] = []
        for _ in range(count):
            started.append(self._start(multiprocessing.get_context("fork"), started))
        return started

    def _start(self, context: "ForkContext | SpawnContext", inherited: Sequence[Connection] = ()) -> Connection:
        ours, theirs = context.Pipe()
        # A fork inherits our ends of all pipes: left open they would keep it from reading the end when we die.
        to_close = (*inherited, ours) if isinstance(context, ForkContext) else ()
        process = context.Process(target=_work, args=(theirs, self._make, to_close), daemon=True, name="worker")
        process.start()
        theirs.close()
        with self._lock:
            self._processes = [(old, end) for old, end in self._processes if old.is_alive()]
            self._processes.append((process, ours))
        return ours


def may_fork() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1


def _work(
    connection: Connection, make: Callable[[], Callable[[Question], Answer]], to_close: Sequence[Connection]
) -> None:
    """The process: answers until its parent hangs up. Stopping is the parent's business, not a signal's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for end in to_close:
        end.close()
    if sys.platform != "win32":
        with suppress(OSError):  # a priority below our own is a courtesy
            os.nice(LESS_URGENT)
    gc.set_threshold(50_000, 50, 100)  # records and documents are many and in no cycles
    answer_to = make()
    while True:
        try:
            question = pickle.loads(connection.recv_bytes())  # noqa: S301 - our own parent, over our own pipe
        except EOFError:
            return
        reply: tuple[Answer | None, FrontendAgentError | None]
        try:
            reply = answer_to(question), None
        except FrontendAgentError as error:
            reply = None, error
        except Exception as error:  # noqa: BLE001 - told to the parent, who logs it as that page's failure
            reply = None, WorkerFailed(f"unexpected {type(error).__name__} in a worker process")
        try:
            connection.send_bytes(pickle.dumps(reply, pickle.HIGHEST_PROTOCOL))
        except OSError:
            return
