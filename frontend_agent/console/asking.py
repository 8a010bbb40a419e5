"""What the console asks the daemon, and how it is told that nobody answers."""

import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from frontend_agent import control
from frontend_agent.control import Question

FRESH = 1.5  # seconds: many browsers that look on cost the daemon no more than one
MOST_ROWS = 5_000  # of a long answer: a page is no export


class Agent:
    """The daemon on one state directory. Every question is asked in the name of a login."""

    def __init__(self, state: Path) -> None:
        self._socket = state / control.SOCKET
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}

    def ask(self, session: str, question: str, why: str = "", /, **arguments: Any) -> Any:
        """A short answer. Raises NoDaemon, or what the daemon says."""
        return control.ask_at(self._socket, Question(question, arguments, why, session))

    def rows(self, session: str, question: str, /, **arguments: Any) -> Iterator[Any]:
        """All rows of a long answer, one by one; of none the daemon says nothing."""
        answer = self.ask(session, question, **arguments)
        yield from answer if isinstance(answer, Iterator) else ()

    def first_rows(self, session: str, question: str, /, **arguments: Any) -> list[Any]:
        """The first rows of a long answer."""
        return list(islice(self.rows(session, question, **arguments), MOST_ROWS))

    def look(self, session: str, question: str) -> Any:
        """The same for everybody, and not older than a moment."""
        with self._lock:
            at, answer = self._kept.get(question, (0.0, None))
            if time.monotonic() - at > FRESH:
                answer = self.ask(session, question)
                self._kept[question] = time.monotonic(), answer
            return answer
