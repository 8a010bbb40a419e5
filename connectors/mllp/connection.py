"""One sender's connection: its frames in, the answers in the same order out. Lives in the listener's loop, in one thread.

Several messages may be under way; an answer waits for those before it. Nothing is answered before the future of `keep` is done.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol, cast

from connectors.listening import common_name
from connectors.mllp.answering import Frame, open_frame, stumbled, too_large
from connectors.mllp.framing import Framer, Junk, Message, TooLong, Unterminated, framed
from connectors.mllp.pressure import ROOM, Pressure

MOST_OUTSTANDING = 1_000  # messages of one connection that wait for their answers
MOST_JUNK = 65_536  # bytes outside of any frame, until the connection is closed
SILENCE = 0.5  # seconds after a bare FS until it is taken for the end of a frame
MOST_UNREAD = 262_144  # bytes of answers that the sender does not take
OUTSTANDING, UNREAD, STOPPING = "outstanding", "unread", "stopping"


class Slot:
    """One frame's place in the order of answers. `answers` is None until they are known."""

    __slots__ = ("answers", "connection", "frame", "size")

    def __init__(self, connection: "Connection", frame: Frame | None, size: int) -> None:
        self.connection, self.frame, self.size = connection, frame, size
        self.answers: Sequence[bytes] | None = None


class Owner(Protocol):
    """What a connection asks of its listener."""

    pressure: Pressure
    largest: int

    def judge(self, body: bytes, /) -> Sequence[str]: ...
    def joined(self, connection: "Connection") -> None: ...
    def left(self, connection: "Connection") -> None: ...
    def frames(self, slots: list[Slot]) -> None: ...
    def saw(self, sender: str, content: bytes, way: str) -> None: ...
    def trouble(self, what: str, sender: str) -> None: ...
    def now(self) -> str: ...


class Connection(asyncio.Protocol):
    """A state per connection: a framer, and the slots that wait."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self._owner, self._loop = owner, loop
        self.address = self.sender = address
        self._framer = Framer(owner.largest)
        self._slots: deque[Slot] = deque()
        self._transport: asyncio.Transport | None = None
        self._holds: set[str] = set()
        self._silence: asyncio.TimerHandle | None = None
        self._is_ended = False  # the sender says no more
        self.begun_at: float | None = None  # when the frame that is being read began
        self.unread_since: float | None = None
        self.active_at = loop.time()

    @property
    def waiting(self) -> int:
        """Frames that are not answered yet."""
        return len(self._slots)

    # -- of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio's
        self._transport.set_write_buffer_limits(high=MOST_UNREAD)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None:
            name = common_name(tls.getpeercert())
            self.sender = f"{self.address} {name}" if name else self.address
        self._owner.joined(self)

    def data_received(self, data: bytes) -> None:
        now = self.active_at = self._loop.time()
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        self._take(self._framer.receive(data), now)
        if self._framer.is_waiting:
            self._silence = self._loop.call_later(SILENCE, self._settle)

    def eof_received(self) -> bool:
        """A sender that says no more may still wait for its answers."""
        self._is_ended = True
        self._take(self._framer.close(), self._loop.time())
        if self._transport is not None and self._transport.get_extra_info("ssl_object") is not None:
            return False  # TLS knows no half-closed connection
        self._end_if_done()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._transport = None
        if self._framer.is_inside:
            self._owner.trouble("broke off within a message", self.sender)
        self._slots.clear()
        self._owner.left(self)

    def pause_writing(self) -> None:
        self.unread_since = self._loop.time()
        self.hold(UNREAD)

    def resume_writing(self) -> None:
        self.unread_since = None
        self.release(UNREAD)

    # -- frames

    def _settle(self) -> None:
        self._silence = None
        self._take(self._framer.settle(), self._loop.time())

    def _take(self, events: Sequence[Any], now: float) -> None:
        slots = []
        for event in events:
            match event:
                case Message(content):
                    slots += self._opened(content)
                case TooLong(head):
                    self._owner.trouble("message too large", self.sender)
                    slot = self._placed(None, 0)
                    slot.answers = too_large(head, self._owner.largest, self._owner.now())
                case Unterminated():
                    self._owner.trouble("broke off within a message", self.sender)
                case Junk(is_bare=is_bare):
                    self._owner.trouble("message without frame" if is_bare else "bytes outside of frames", self.sender)
        self._owner.pressure.of_frame(self, self._framer.held)
        if not self._framer.is_inside:
            self.begun_at = None
        elif self.begun_at is None or events:
            self.begun_at = now
        if slots:
            self._owner.frames(slots)
        if len(self._slots) > MOST_OUTSTANDING:
            self.hold(OUTSTANDING)
        if self._framer.junk > MOST_JUNK:
            self._owner.trouble("bytes outside of frames", self.sender)
            self.abort()
        self.flush()

    def _opened(self, content: bytes) -> list[Slot]:
        self._owner.saw(self.sender, content, "received")
        try:
            frame = open_frame(content, self._owner.judge)
        except Exception as error:  # noqa: BLE001  one message that we stumble over must not come again for ever, nor end the others
            self._owner.trouble(f"could not read a message ({type(error).__name__})", self.sender)
            frame = stumbled(content, error)
        if frame.around is None and frame.parts[0].is_answer:
            return []
        return [self._placed(frame, len(content))]

    def _placed(self, frame: Frame | None, size: int) -> Slot:
        slot = Slot(self, frame, size)
        self._slots.append(slot)
        return slot

    # -- answers

    def flush(self) -> None:
        """Send the answers that are known and that wait for none before them."""
        ready: list[bytes] = []
        while self._slots and (answers := self._slots[0].answers) is not None:
            self._slots.popleft()
            for one in answers:
                self._owner.saw(self.sender, one, "answered")
                ready.append(framed(one))
        if ready and self._transport is not None:
            self.active_at = self._loop.time()
            self._transport.write(b"".join(ready))
        if len(self._slots) <= MOST_OUTSTANDING // 2:
            self.release(OUTSTANDING)
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self._is_ended and not self._slots and self._transport is not None:
            self._transport.close()

    # -- waiting and ending

    def is_slow(self, since: float) -> bool:
        """Whether the frame that is being read began before that. While we keep the sender waiting (but for the room that others
        take: they are slow at the same time) it is not his fault."""
        return self.begun_at is not None and self.begun_at < since and self._holds <= {ROOM}

    def hold(self, why: str) -> None:
        """Read no more for now: what the sender sends stays with him."""
        if not self._holds and self._transport is not None and not self._is_ended:
            self._transport.pause_reading()
        self._holds.add(why)

    def release(self, why: str) -> None:
        if why not in self._holds:
            return
        self._holds.discard(why)
        if self.begun_at is not None and why != ROOM:
            self.begun_at = self._loop.time()  # it was not the sender who was slow
        if not self._holds and self._transport is not None and not self._is_ended:
            self._transport.resume_reading()

    def finish(self) -> None:
        """Take no more; close once all is answered."""
        self.hold(STOPPING)
        self._is_ended = True
        self._end_if_done()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
