"""How a platform on the other side of a gap is asked: the request goes into a bundle, and who asks waits for its answer.

A ferry may be slower than anybody waits. Then the question is told to be unanswered, as of a platform that is away; its answer
is remembered when it comes, and who asks the same once more has it at once. So what takes many questions, one after the other,
comes a step further with each try.
"""

import threading
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from uuid import uuid4

from connectors.outlets.http import Answer
from frontend_agent.errors import DestinationUnreachable

REMEMBERED = 3600.0  # seconds that an answer is kept which came after who asked had gone
MOST_REMEMBERED = 1_000
STEP = 0.05  # seconds between looks of who has to move the bundles himself
ONCE = ("/v1/hello",)  # questions whose answers are good for one asker: each hello gives another lease

Send = Callable[[str, str, str, str, bytes, str], None]  # the request's id, destination, method, path, body, media type


class Asking:
    """The questions of one inner half that wait for their answers."""

    def __init__(self, send: Send, move: Callable[[], None], wait: float) -> None:
        """`send` makes a bundle of a request; `move` turns the line where no thread does, and may return at once; `wait`: seconds."""
        self._send, self._move, self._wait = send, move, wait
        self._changed = threading.Condition()
        self._ids: dict[str, str] = {}  # question -> the request that is on its way for it
        self._waiting: dict[str, int] = {}  # question -> how many wait
        self._answers: dict[str, tuple[Answer, float | None]] = {}  # and until when, of late ones
        self._ended = False

    def ask(self, destination: str, method: str, path: str, body: bytes, media_type: str) -> Answer:
        """The platform's answer. DestinationUnreachable: it has not come yet."""
        question = _question(destination, method, path, body)
        deadline = time.monotonic() + self._wait
        with self._changed:
            if (known := self._known(question, path)) is not None:
                return known
            self._waiting[question] = self._waiting.get(question, 0) + 1
        try:
            self._go(question, destination, method, path, body, media_type)
            while True:
                self._move()
                with self._changed:
                    if (known := self._known(question, path)) is not None:
                        return known
                    if question not in self._ids or self._ended or time.monotonic() > deadline:
                        raise DestinationUnreachable(
                            f"{destination}: asked across the gap, and not answered yet; it is asked again by itself"
                        )
                    self._changed.wait(STEP)
        finally:
            with self._changed:
                self._waiting[question] -= 1
                if not self._waiting[question]:
                    del self._waiting[question]
                    if question in self._answers and self._answers[question][1] is None:
                        del self._answers[question]

    def begin(self, destination: str, method: str, path: str, body: bytes, media_type: str) -> None:
        """Send a question that will be asked soon: several that are sent together come back together."""
        self._go(_question(destination, method, path, body), destination, method, path, body, media_type)

    def _go(self, question: str, destination: str, method: str, path: str, body: bytes, media_type: str) -> None:
        """Send it, unless it is on its way or answered. Never with our lock held: who brings answers has the spool's, and wants ours."""
        with self._changed:
            if question in self._ids or self._known(question, "") is not None:
                return
            request = self._ids[question] = uuid4().hex
        try:
            self._send(request, destination, method, path, body, media_type)
        except BaseException:
            with self._changed:
                self._ids.pop(question, None)
            raise

    def _known(self, question: str, path: str) -> Answer | None:
        answer, until = self._answers.get(question, (None, None))
        if answer is None or (until is not None and until < time.monotonic()):
            return None
        if path in ONCE:
            del self._answers[question]
        return answer

    def answered(self, request: str, answer: Answer) -> bool:
        """An answer came. Whether it is one to a question of ours."""
        with self._changed:
            question = next((one for one, known in self._ids.items() if known == request), None)
            if question is None:
                return False
            del self._ids[question]
            late = question not in self._waiting
            self._answers[question] = answer, time.monotonic() + REMEMBERED if late else None
            now = time.monotonic()
            for one in [one for one, (_, until) in self._answers.items() if until is not None and until < now]:
                del self._answers[one]
            while len(self._answers) > MOST_REMEMBERED:
                del self._answers[next(iter(self._answers))]
            self._changed.notify_all()
        return True

    def forget(self) -> None:
        """What is on its way will not be answered: the other half began anew."""
        with self._changed:
            self._ids.clear()
            self._changed.notify_all()

    def end(self) -> None:
        """Nobody waits any longer: the agent stops."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _question(destination: str, method: str, path: str, body: bytes) -> str:
    return sha256(b"\n".join((destination.encode(), method.encode(), path.encode(), body))).hexdigest()


class AcrossEdge:
    """One platform, as `connectors/platform.py` speaks with it."""

    def __init__(self, destination: str, asking: Asking) -> None:
        self._destination, self._asking = destination, asking

    def ask(self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """`url` is the path alone: where the platform is, the outer half knows."""
        media_type = (headers or {}).get("Content-Type", "")
        return self._asking.ask(self._destination, method, url, body or b"", media_type)
