"""Asks the drawing process for pictures, keeps the last of them, and stands for it when it dies. Safe to use from several threads.

    renderer = Renderer()
    renderer.draw(opened, asked, digest)      # Drawn; NotDrawn says why not

The process is started with the first question and ends with us. A platform without the extra `viewer`, or on a system that
cannot confine a process, has everything else: `missing` then says what a picture needs.
"""

import os
import select
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from typing import BinaryIO

import msgspec

from frontend_agent.platform.rendering.asked import Asked
from frontend_agent.platform.rendering.child import Answer, Question
from frontend_agent.platform.rendering.notes import KeyNote

MEMORY = 1 << 30  # bytes that one picture may take to decode
SECONDS = 20  # that it may take
AT_ONCE = 2
KEPT = 64 << 20  # bytes of pictures that were drawn already
_LARGEST_ANSWER = 256 << 20
_DECODERS = ("numpy", "PIL", "pylibjpeg", "openjpeg", "rle", "jpeg_ls", "gdcm")  # of the extra `viewer`

Opened = Callable[[], BinaryIO]  # opens an instance's file: on a disk, with a descriptor


class Drawn(msgspec.Struct, frozen=True):
    """A picture."""

    content: bytes
    media_type: str
    width: int
    height: int


class NotDrawn(Exception):
    """`why`: no-pixels, no-frame, no-region, unsupported, damaged, too-large, too-slow; missing: the platform lacks
    what it needs; busy: it may be asked again."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Renderer:
    def __init__(self, memory: int = MEMORY, seconds: int = SECONDS, at_once: int = AT_ONCE) -> None:
        self._memory = memory
        self._seconds = seconds
        self._turns = threading.BoundedSemaphore(at_once)
        self._starting = threading.Lock()
        self._process: _Process | None = None
        self._kept = _Kept(KEPT)

    @cached_property
    def missing(self) -> str:
        """What pictures would need; "" where they can be drawn."""
        if not hasattr(os, "fork"):
            return "a system that can confine a process (Linux)"
        absent = [name for name in _DECODERS if find_spec(name) is None]
        return f"pip install 'frontend-agent[viewer]' ({', '.join(absent)})" if absent else ""

    def draw(self, opened: Opened, asked: Asked, digest: str) -> Drawn:
        """The picture of an instance's file; `digest` names its bytes. NotDrawn, and what opening it raises."""
        kept = self._kept.take((digest, asked))
        if isinstance(kept, Drawn):
            return kept
        answer, content = self._answered(opened, asked)
        drawn = Drawn(content, asked.media_type, answer.width, answer.height)
        self._kept.put((digest, asked), drawn, len(content))
        return drawn

    def note(self, opened: Opened, digest: str) -> KeyNote:
        """What a key object says. NotDrawn, and what opening it raises."""
        kept = self._kept.take((digest, None))
        if isinstance(kept, KeyNote):
            return kept
        _, content = self._answered(opened, None)
        note = msgspec.json.decode(content, type=KeyNote)
        self._kept.put((digest, None), note, len(content))
        return note

    def _answered(self, opened: Opened, asked: Asked | None) -> tuple[Answer, bytes]:
        if self.missing:
            raise NotDrawn("missing")
        # Whoever asks for more at once than can be drawn waits here, not with a decoder.
        if not self._turns.acquire(timeout=self._seconds):
            raise NotDrawn("busy")
        try:
            answer, content = self._asked(opened, asked)
        finally:
            self._turns.release()
        if answer.why:
            raise NotDrawn(answer.why)
        return answer, content

    def _asked(self, opened: Opened, asked: Asked | None) -> tuple[Answer, bytes]:
        ours, theirs = os.pipe()
        try:
            # suppress: it died between two questions; the empty pipe says so, and the next question finds another
            with opened() as file, suppress(ConnectionError):
                self._running().ask(Question(asked, self._memory, self._seconds), file.fileno(), theirs)
            os.close(theirs)
            theirs = -1
            # The process ends a picture that takes too long; this only has to outlast it, and its start.
            told = _read(ours, time.monotonic() + self._seconds + 15)
        finally:
            os.close(ours)
            if theirs >= 0:
                os.close(theirs)
        line, _, content = told.partition(b"\n")
        if not line:
            # That one was ended, by the clock or by the kernel; or the whole process, and another will be there.
            raise NotDrawn("too-slow" if self._process and self._process.is_alive() else "busy")
        return msgspec.json.decode(line, type=Answer), content

    def _running(self) -> "_Process":
        with self._starting:
            if self._process is None or not self._process.is_alive():
                self._process = _Process()
            return self._process

    def close(self) -> None:
        with self._starting:
            if self._process is not None:
                self._process.close()
                self._process = None


class _Process:
    """The drawing process and our end of its standard input."""

    def __init__(self) -> None:
        self._ours: socket.socket
        self._child: subprocess.Popen[bytes]
        self._close: Callable[[], object]
        if sys.platform == "win32":  # `missing` says so before
            raise OSError("not on this system")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # Nothing of our environment but where its modules are; one thread, or a fork of it could hang.
            environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
            command = [sys.executable, "-P", "-B", "-m", "frontend_agent.platform.rendering.child"]
            self._child = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
            )
        self._ours = ours
        self._close = weakref.finalize(self, _end, ours, self._child)

    def is_alive(self) -> bool:
        return self._child.poll() is None

    def ask(self, question: Question, source: int, target: int) -> None:
        if sys.platform == "win32":
            raise OSError("not on this system")
        socket.send_fds(self._ours, [msgspec.json.encode(question)], [source, target])

    def close(self) -> None:
        self._close()


def _end(ours: socket.socket, child: "subprocess.Popen[bytes]") -> None:
    """It ends by itself when we hang up; loading decoders it does not listen."""
    ours.close()
    try:
        child.wait(timeout=2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _read(pipe: int, until: float) -> bytes:
    """Everything up to the end of a pipe, or nothing where its end does not come in time."""
    parts: list[bytes] = []
    size = 0
    while size <= _LARGEST_ANSWER:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return b""
        part = os.read(pipe, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    return b""


class _Kept:
    """What was asked for last, up to so many bytes. By content: what is kept never goes out of date."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._held: OrderedDict[tuple[str, Asked | None], tuple[Drawn | KeyNote, int]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: tuple[str, Asked | None]) -> Drawn | KeyNote | None:
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: tuple[str, Asked | None], answer: Drawn | KeyNote, size: int) -> None:
        with self._lock:
            if key in self._held or size > self._most // 4:
                return
            self._held[key] = (answer, size)
            self._size += size
            while self._size > self._most:
                self._size -= self._held.popitem(last=False)[1][1]
