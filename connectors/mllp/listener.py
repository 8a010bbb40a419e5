"""HL7 v2 over MLLP and MLLPS, as an inlet: an event loop in a thread of its own.

    accept ─▶ door (refused before a byte is read) ─▶ [TLS] ─▶ frames ─▶ keep (durable) ─▶ only then the answers, in their order

Against what comes from outside (threats H1, H2, H5): `allow`, the caps on connections, `largest`, `slowest` for a frame that has begun,
`idle`, and bounded bytes over all connections (pressure.py). Everything is counted in `told()`; nothing quotes a message.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from connectors.arrivals import Arrived, InboxFull, Judge, Keep, Kept, Tap
from connectors.listening import Door, ListenerOptions, listening_socket, tls_of
from connectors.mllp.answering import BROKEN, FULL, Frame, Verdict, answers_to
from connectors.mllp.connection import Connection, Slot
from connectors.mllp.pressure import Pressure
from frontend_agent.er7 import why_unreadable

MOST_HELD = (
    64 * 1024 * 1024
)  # bytes in memory over all connections, of each sort (pressure.py); two of the largest messages at least
SWEEP = 1.0  # seconds between looks at slow and idle connections
START_WITHIN = 30.0  # seconds
NO_FILE_LEFT = 0.5  # seconds until it is tried again to accept, when the system has no file descriptor for it


class MllpListener:
    """One listening address. `judge` says why a body cannot be read; whoever knows better than the bytes passes his own."""

    def __init__(
        self,
        name: str,
        options: ListenerOptions,
        keep: Keep,
        tap: Tap,
        clock: Callable[[], datetime],
        judge: Judge = why_unreadable,
    ) -> None:
        self.name = name
        self.judge = judge
        self.largest = int(options.largest)
        self.pressure = Pressure(max(MOST_HELD, 2 * self.largest))
        self._options, self._keep, self._tap, self._clock = options, keep, tap, clock
        self._door = Door(options)
        self._idle = options.idle.total_seconds()
        self._slowest = options.slowest.total_seconds()
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._patience = 0.0
        self._connections: set[Connection] = set()
        self._entering: set[asyncio.Task[None]] = set()
        self._done: list[tuple[Future[list[Kept]], list[Slot]]] = []  # by whichever thread keeps
        self._done_lock = threading.Lock()
        self._said: Counter[str] = Counter()
        self._turned_away: Counter[str] = Counter()
        self._troubles: Counter[str] = Counter()
        self._since: datetime | None = None
        self._last: datetime | None = None
        self._problem = ""
        self._second, self._now = 0, ""

    # -- as an inlet

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: the port that was free, if 0 was asked for."""
        assert self._socket is not None, "not started"
        host, port = self._socket.getsockname()[:2]
        return host, port

    def start(self) -> None:
        """Listen, and take what comes. ConfigurationError for an address, a certificate or a key that cannot be used."""
        self._tls = tls_of(self.name, self._options)
        self._socket = listening_socket(self.name, self._options)
        # Nothing of a loop that ended by an error: neither its places at the door nor answers that nobody waits for.
        self._door, self.pressure = Door(self._options), Pressure(max(MOST_HELD, 2 * self.largest))
        self._connections, self._entering, self._done = set(), set(), []
        self._since = self._clock()
        is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(is_up,), name=f"inlet-{self.name}", daemon=True)
        self._thread.start()
        if not is_up.wait(START_WITHIN):
            raise RuntimeError(f"inlet {self.name}: its thread does not begin")

    def stop(self, patience: float) -> None:
        """Accept and read no more; answer what was taken, for so many seconds at most."""
        thread, loop, ending = self._thread, self._loop, self._ending
        if thread is None:
            return
        self._patience = patience
        if loop is not None and ending is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(ending.set)
        thread.join(patience + 5)
        self._thread = None

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def probe(self) -> None:
        """ConfigurationError for what `start` would raise."""
        tls_of(self.name, self._options)
        if self._thread is None:
            listening_socket(self.name, self._options).close()

    def told(self) -> dict[str, Any]:
        """How it stands. Counts are since it began."""
        where = self.address if self._thread is not None else (self._options.host, self._options.port)
        return {
            "address": f"{'mllps' if self._options.certificate else 'mllp'}://{_bracketed(where[0])}:{where[1]}",
            "is_plain": not self._options.certificate,
            "is_running": self._thread is not None,
            "since": _iso(self._since),
            "connections": len(self._connections),
            "waiting": sum(one.waiting for one in tuple(self._connections)),
            "bytes_held": self.pressure.held,
            "messages": self._said.total(),
            "answers": dict(self._said),
            "last_message_at": _iso(self._last),
            "turned_away": dict(self._turned_away),
            "troubles": dict(self._troubles),
            "problem": self._problem,
        }

    # -- the loop

    def _run(self, is_up: threading.Event) -> None:
        assert self._socket is not None
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._serve(is_up))
        finally:  # also where it ended by an error: the port must be free for the next
            self._socket.close()

    async def _serve(self, is_up: threading.Event) -> None:
        assert self._socket is not None
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        accepting = asyncio.create_task(self._accept(self._socket))
        sweeping = asyncio.create_task(self._sweep())
        ending = asyncio.create_task(self._ending.wait())
        is_up.set()
        await asyncio.wait((accepting, sweeping, ending), return_when=asyncio.FIRST_COMPLETED)
        for task in (accepting, sweeping):
            if task.done():  # nobody would come in any more, or nobody be sent away: who started it begins anew
                self._drop_all()
                await asyncio.sleep(0)
                await task
        for task in (accepting, sweeping, *self._entering):
            task.cancel()
        await asyncio.gather(accepting, sweeping, *self._entering, return_exceptions=True)
        self._socket.close()
        await self._finish()

    async def _finish(self) -> None:
        for one in tuple(self._connections):
            one.finish()
        until = self._loop_time() + self._patience
        while self._connections and self._loop_time() < until:
            await asyncio.sleep(0.01)
        self._drop_all()
        await asyncio.sleep(0)

    def _drop_all(self) -> None:
        for one in tuple(self._connections):
            one.abort()

    def _loop_time(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    async def _accept(self, listening: socket.socket) -> None:
        assert self._loop is not None
        while True:
            try:
                accepted, address = await self._loop.sock_accept(listening)
            except OSError:
                self._trouble("cannot accept: the system has no file descriptor left")
                await asyncio.sleep(NO_FILE_LEFT)
                continue
            host = str(address[0])
            refusal = self._door.refusal(host)
            if refusal:
                self._turned_away[refusal] += 1
                self._problem = f"{host}: {refusal}"
                accepted.close()
                continue
            self._door.enter(host)
            task = self._loop.create_task(self._enter(accepted, host))
            self._entering.add(task)
            task.add_done_callback(self._entering.discard)

    async def _enter(self, accepted: socket.socket, host: str) -> None:
        """Make a connection of an accepted socket; with TLS, once hands are shaken."""
        assert self._loop is not None
        connection = Connection(self, self._loop, host)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._slowest if self._tls is not None else None,
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError) as error:
            if not isinstance(error, asyncio.CancelledError):
                self._turned_away["no TLS that is taken"] += 1
                self._problem = f"{host}: {_why_no_tls(error)}"
            if connection not in self._connections:
                self._door.leave(host)
            accepted.close()

    async def _sweep(self) -> None:
        """Close what is too slow or too silent."""
        while True:
            await asyncio.sleep(min(SWEEP, self._slowest / 4, self._idle / 4))
            now = self._loop_time()
            for one in tuple(self._connections):
                if one.is_slow(now - self._slowest):
                    self.trouble("too slow within a message", one.sender)
                    one.abort()
                elif one.unread_since is not None and now - one.unread_since > self._slowest:
                    self.trouble("answers not taken", one.sender)
                    one.abort()
                elif not one.waiting and now - one.active_at > self._idle:
                    one.abort()

    # -- of connections

    def joined(self, connection: Connection) -> None:
        self._connections.add(connection)
        self.pressure.join(connection)

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self.pressure.leave(connection)
        self._door.leave(connection.address)

    def saw(self, sender: str, content: bytes, way: str) -> None:
        self._tap(self.name, sender, content, way)

    def trouble(self, what: str, sender: str) -> None:
        self._trouble(what, sender)

    def _trouble(self, what: str, sender: str = "") -> None:
        self._troubles[what] += 1
        self._problem = f"{sender}: {what}" if sender else what

    def now(self) -> str:
        """14 digits, local time; made once a second."""
        now = self._clock()
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._now = second, now.astimezone().strftime("%Y%m%d%H%M%S")
        return self._now

    def frames(self, slots: list[Slot]) -> None:
        """Hand over what a connection has read. Its answers are known when the future is done, and not before (H5)."""
        received_at = self._last = self._clock()
        arrived = [
            Arrived(
                inlet=self.name,
                body=part.body,
                received_at=received_at,
                control_id=part.control_id,
                sender=slot.connection.sender,
                about=part.about,
                unreadable=part.unreadable,
            )
            for slot in slots
            if slot.frame is not None
            for part in slot.frame.parts
        ]
        self.pressure.hand_over(sum(slot.size for slot in slots))
        try:
            future = self._keep(arrived)
        except Exception as error:  # noqa: BLE001  whatever it is, nothing was kept, and the sender is told so
            future = Future()
            future.set_exception(error)
        future.add_done_callback(lambda done: self._when_done(done, slots))

    # -- answers

    def _when_done(self, future: "Future[list[Kept]]", slots: list[Slot]) -> None:
        """In the thread that keeps: leave it for the loop, waking it once for all that is left."""
        with self._done_lock:
            self._done.append((future, slots))
            is_first = len(self._done) == 1
        if is_first and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for an answer any more
                self._loop.call_soon_threadsafe(self._answer_all)

    def _answer_all(self) -> None:
        with self._done_lock:
            done, self._done = self._done, []
        now = self.now()
        waiting: dict[Connection, None] = {}
        for future, slots in done:
            self._answer(future, slots, now)
            self.pressure.kept(sum(slot.size for slot in slots))
            waiting.update((slot.connection, None) for slot in slots)
        for connection in waiting:
            connection.flush()

    def _answer(self, future: "Future[list[Kept]]", slots: Sequence[Slot], now: str) -> None:
        refusal: Verdict | None = None
        kept: Iterator[Kept] = iter(())
        error = future.exception()
        if isinstance(error, InboxFull):
            refusal = FULL
        elif error is not None:
            refusal = BROKEN
            self._trouble(f"could not keep a message ({type(error).__name__})")
        else:
            kept = iter(future.result())
        for slot in slots:
            assert slot.frame is not None
            verdicts = [refusal or part.verdict(next(kept)) for part in slot.frame.parts]
            self._count(slot.frame, verdicts)
            slot.answers = answers_to(slot.frame, verdicts, now)

    def _count(self, frame: Frame, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            self._said[verdict.said.name.lower()] += 1


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop where there is one: it takes a third of the time per message."""
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _why_no_tls(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"no TLS that is taken ({error.reason.lower().replace('_', ' ')})"
    return "no TLS that is taken"


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
