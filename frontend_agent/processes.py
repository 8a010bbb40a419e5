"""Processes of our own: started, talked with over a pipe, ended. What they do is their maker's business.

    child = Child(work, "worker")          # work(pipe) runs in the child until its parent hangs up
    child.pipe.send_bytes(…)

Made before any thread is started a child is a fork, and shares the memory of what is loaded and compiled. A fork of a
process with threads may inherit a lock that nobody opens again: later ones are fresh interpreters. A child never outlives
its parent, whatever it is doing; it runs at a lower priority; stopping it is the parent's business, not a signal's.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any
from weakref import WeakSet

from frontend_agent.machine import lower_priority

Work = Callable[[Connection], None]

_ours: "WeakSet[Any]" = WeakSet()  # our ends of all pipes


def may_fork() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1


def no_core_dumps() -> None:
    """A dump of our memory would hold passwords and patients: none is written, whatever the machine is set to."""
    if sys.platform != "win32":
        import resource  # there is none on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def settle_memory() -> None:
    """Before forking: what is there now is shared, and stays shared if no collection writes to it."""
    gc.collect()
    gc.freeze()


class Child:
    """One process, and our end of the pipe to it."""

    def __init__(self, work: Work, name: str) -> None:
        """`work` must be picklable."""
        forked = may_fork()
        context = multiprocessing.get_context("fork" if forked else "spawn")
        self.pipe, theirs = context.Pipe()
        # A fork inherits our ends of all pipes: left open they would keep others from reading the end when we die.
        to_close = (*_ours, self.pipe) if forked else ()
        _ours.add(self.pipe)
        self._process = context.Process(target=_begin, args=(work, theirs, to_close), daemon=True, name=name)  # type: ignore[attr-defined]  # both have it
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    def is_alive(self) -> bool:
        return bool(self._process.is_alive())

    def kill(self) -> None:
        """End it at this moment, whatever it is in. Its pipe reads as ended; whoever waits for it is told so."""
        self._process.kill()

    def close(self, patience: float = 2.0) -> None:
        """Hang up. It ends by itself, or is ended after so many seconds."""
        self.pipe.close()
        self._process.join(timeout=patience)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(timeout=patience)


def _begin(work: Work, pipe: Connection, to_close: Sequence[Connection]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for end in to_close:
        end.close()
    lower_priority()
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    work(pipe)


def _end_with_parent() -> None:
    # It may be in a driver that never returns: reading the end of the pipe would come too late.
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
