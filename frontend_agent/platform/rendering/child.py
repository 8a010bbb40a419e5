"""The process that draws: `python -m frontend_agent.platform.rendering.child`, started and asked by renderer.py over standard input.

It loads the decoders once and decodes nothing itself. Each question is answered by a fork of its own, which is confined
first (confine.py) and gone afterwards: what one instance did to a decoder meets no other patient's.

    question   one datagram of JSON: Question, with two descriptors: the file to read, the pipe to write to
    answer     in the pipe: one line of JSON, Answer; then the picture, or the KeyNote as JSON. Nothing at all: the fork was ended
"""

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

import msgspec

from frontend_agent.confine import confine
from frontend_agent.platform.rendering.asked import Asked
from frontend_agent.platform.rendering.notes import read_note

LARGEST_QUESTION = 1 << 16


class Question(msgspec.Struct, frozen=True):
    """A picture, or (without `asked`) what a key object says. `memory` in bytes, more than the decoders take; `seconds` of processor
    and of time."""

    asked: Asked | None
    memory: int
    seconds: int


class Answer(msgspec.Struct, frozen=True):
    """`why` there is none, or its size in pixels."""

    why: str = ""
    width: int = 0
    height: int = 0


def main() -> None:
    if sys.platform == "win32":
        raise OSError("not on this system")
    control = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: who asks ends us by hanging up
    _load()
    running: dict[int, float] = {}  # forks -> when they are ended
    while True:
        soonest = min(running.values(), default=time.monotonic() + 3600)
        ready, _, _ = select.select(
            [control], [], [], max(0.0, min(soonest - time.monotonic(), 0.2 if running else 60))
        )
        if ready:
            told, descriptors, _, _ = socket.recv_fds(control, LARGEST_QUESTION, 2)
            if not told:
                break
            question = msgspec.json.decode(told, type=Question)
            child = os.fork()
            if child == 0:
                control.close()
                _answer(question, *descriptors)
            running[child] = time.monotonic() + question.seconds
            for descriptor in descriptors:
                os.close(descriptor)
        _reap(running)
    for child in running:
        os.kill(child, signal.SIGKILL)


def _reap(running: dict[int, float]) -> None:
    """Those that ended, and the end of those that should have."""
    if sys.platform == "win32":
        raise OSError("not on this system")
    now = time.monotonic()
    for child, until in list(running.items()):
        if until <= now:
            os.kill(child, signal.SIGKILL)
        if os.waitpid(child, 0 if until <= now else os.WNOHANG)[0]:
            del running[child]


def _load() -> None:
    """Everything that decoding loads lazily: a confined process opens no file any more. Nobody reads what decoders print."""
    import logging
    import warnings

    from frontend_agent.platform.rendering.warming import warm

    logging.disable()
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    warm()


def _answer(question: Question, source: int, target: int) -> None:
    """In the fork: draw, write, end."""
    from frontend_agent.platform.rendering.drawing import CannotDraw, draw

    answer, content = Answer("damaged"), b""
    try:
        file = os.fdopen(source, "rb", closefd=False)
        confine(question.memory, question.seconds)
        if question.asked is None:
            answer, content = Answer(), msgspec.json.encode(read_note(file))
        else:
            picture = draw(file, question.asked)
            answer, content = Answer("", picture.width, picture.height), picture.content
    except CannotDraw as error:
        answer = Answer(error.why)
    except MemoryError:
        answer = Answer("too-large")
    except BaseException:  # noqa: BLE001 - whatever a stranger's bytes do to a decoder means: damaged; its text may quote them
        answer = Answer("damaged")
    with suppress(BrokenPipeError):  # nobody waits for it any more
        _write(target, msgspec.json.encode(answer) + b"\n" + content)
    os._exit(0)


def _write(target: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(target, view) :]


if __name__ == "__main__":
    main()
