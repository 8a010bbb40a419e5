"""Processes beside the daemon, for work that takes values and returns values (architecture §9).

    with Workers(2, make) as workers:
        future = workers.submit(question)      # answered by make()(question) in one of the processes

The parent keeps the order and the one commit; a worker owns nothing that matters. When one dies (out of memory, killed),
its question fails with `WorkerDied` and a fresh process takes the next. They run at a lower priority: what is ready goes
out before more is made ready.
"""

import gc
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Generic, TypeVar

from frontend_agent.errors import FrontendAgentError
from frontend_agent.processes import Child, may_fork, settle_memory

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class WorkerDied(FrontendAgentError):
    """A worker process ended in the middle of its work (killed, or out of memory). Nothing was taken; it is read again."""


class WorkerFailed(FrontendAgentError):
    """A worker met an error that nobody expected. Only the kind of error is told: its text may quote a patient."""


class Workers(Generic[Question, Answer]):
    """`count` processes."""

    def __init__(self, count: int, make: Callable[[], Callable[[Question], Answer]]) -> None:
        """`make` is called once in each process and must be picklable; so must questions and answers."""
        self.count = count
        self._make = make
        self._mine = threading.local()  # each thread of the pool has one process
        self._children: list[Child] = []
        self._lock = threading.Lock()
        self._waiting: list[Child] = []
        if may_fork():
            settle_memory()
            self._waiting = [self._start() for _ in range(count)]
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")

    def submit(self, question: Question) -> Future[Answer]:
        return self._threads.submit(self._ask, question)

    def close(self) -> None:
        """Finish what is being worked on, drop what is not, and end the processes."""
        self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            child.close()

    def __enter__(self) -> "Workers[Question, Answer]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, question: Question) -> Answer:
        child = self._child()
        try:
            child.pipe.send_bytes(pickle.dumps(question, pickle.HIGHEST_PROTOCOL))
            answer, error = pickle.loads(child.pipe.recv_bytes())  # noqa: S301 - our own child, over our own pipe
        except (EOFError, OSError):
            self._mine.child = None
            child.close()
            raise WorkerDied("a worker process ended in the middle of its work; it is tried again") from None
        if error is not None:
            raise error
        found: Answer = answer
        return found

    def _child(self) -> Child:
        found: Child | None = getattr(self._mine, "child", None)
        if found is None:
            with self._lock:
                found = self._waiting.pop() if self._waiting else None
            found = self._mine.child = found or self._start()
        return found

    def _start(self) -> Child:
        child = Child(_Work(self._make), "worker")
        with self._lock:
            self._children = [one for one in self._children if one.is_alive()]
            self._children.append(child)
        return child


class _Work(Generic[Question, Answer]):
    """The process: answers until its parent hangs up."""

    def __init__(self, make: Callable[[], Callable[[Question], Answer]]) -> None:
        self._make = make

    def __call__(self, pipe: Connection) -> None:
        gc.set_threshold(50_000, 50, 100)  # records and documents are many and in no cycles
        answer_to = self._make()
        while True:
            try:
                question = pickle.loads(pipe.recv_bytes())  # noqa: S301 - our own parent, over our own pipe
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
                pipe.send_bytes(pickle.dumps(reply, pickle.HIGHEST_PROTOCOL))
            except OSError:
                return
