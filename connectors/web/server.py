"""The listening core of all inlets over HTTP(S): one thread and one loop per address, several inlets by their paths.

    WebListener (an inlet at a path) ── Ports ──▶ Port ──▶ Connection (h11, within limits)

uvicorn is not used here: it reads before anyone could ask who is there, has no time limit for headers or bodies and none per
address, and tells its applications nothing of client certificates. What it would be fast at does not matter: a message waits for
the disk.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from connectors.arrivals import Arrived, InboxFull, Judge, Keep, Kept, Tap
from connectors.listening import Door, listening_socket, tls_of
from connectors.web.connection import Connection
from connectors.web.exchange import Ending, Fate, Head, Offered, Request, Response, Service, busy, plain
from connectors.web.room import Room
from frontend_agent.errors import ConfigurationError

_log = logging.getLogger("frontend_agent.web")
_T = TypeVar("_T")

MiB16 = 16 * 1024 * 1024
LARGE = 64 * 1024  # bytes of a body from which on it is read beside the loop: others are not held up
READERS = 2  # threads for those
TLS_SECONDS = 10.0  # for the handshake, and for the farewell
TOLD_EVERY = 60.0  # seconds: refusals of one inlet in the log, at most one in so many


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """How a port listens. Inlets that share one must agree in all of it."""

    host: str = "127.0.0.1"
    port: int = 0
    allow: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    connections: int = 256
    per_address: int = 100
    idle: timedelta = timedelta(minutes=10)
    slowest: timedelta = timedelta(seconds=30)
    largest: int = MiB16  # bytes of a body
    in_flight: int = 4 * MiB16  # of bodies held at once, beyond 64 KiB of each


class Ports:
    """The ports that listen, shared by the inlets of one agent."""

    def __init__(self) -> None:
        self._ports: list[Port] = []
        self._lock = threading.Lock()

    def open(self, inlet: "WebListener") -> "Port":
        """Let an inlet be reached. ConfigurationError for a port or a path that is taken."""
        with self._lock:
            port = next((one for one in self._ports if one.is_at(inlet.options)), None)
            if port is None:
                port = Port(inlet.name, inlet.options, inlet.clock)
                port.start()
                self._ports.append(port)
            port.add(inlet)
            return port

    def close(self, inlet: "WebListener", port: "Port", patience: float) -> None:
        """The last inlet of a port closes it; answers under way are given for at most so many seconds."""
        with self._lock:
            port.remove(inlet)
            if not port.is_empty:
                return
            self._ports.remove(port)
        port.stop(patience)


class Port:
    """One port: accepts, checks who is there, and hands requests to the inlet of their path."""

    def __init__(self, name: str, options: WebOptions, now: Callable[[], datetime]) -> None:
        self._name, self._options, self.now = (
            name,
            options,
            now,
        )  # `name`: of the inlet that opens it, for what is wrong then
        self.slowest, self.idle = options.slowest.total_seconds(), options.idle.total_seconds()
        self._door = Door(options)
        self.room = Room(options.in_flight)
        self.connections: set[Connection] = set()
        self._open = 0
        self.refusals = 0  # requests that reached no inlet
        self.turned_away = 0  # connections that were not let in
        self.stopping = False
        self._inlets: tuple[WebListener, ...] = ()
        self._gone: frozenset[str] = frozenset()  # paths whose inlet has stopped: come again, it may be back
        self._tasks: set[asyncio.Task[None]] = set()
        self.loop: asyncio.AbstractEventLoop
        self._listening: socket.socket
        self._tls: ssl.SSLContext | None = None
        self._stop: asyncio.Event
        self._patience = 0.0

    # -- from any thread

    def start(self) -> None:
        options = self._options
        self._tls = tls_of(self._name, options)
        self._listening = listening_socket(self._name, options)
        self.number = int(self._listening.getsockname()[1])
        self.loop = asyncio.new_event_loop()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix=f"web-{self.number}-read")
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"web-{self.number}", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        self._patience = patience
        with contextlib.suppress(RuntimeError):  # its loop has ended by itself
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(patience + TLS_SECONDS)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def is_at(self, options: WebOptions) -> bool:
        """Whether these options mean this port. ConfigurationError where they mean it and differ in the rest."""
        if not options.port or (options.host, options.port) != (self._options.host, self._options.port):
            return False
        if options != self._options:
            raise ConfigurationError(
                f"inlets on {options.host} port {options.port} must agree in allow, certificate, key, client_ca, connections, "
                "per_address, idle and slowest, or listen on ports of their own"
            )
        return True

    def add(self, inlet: "WebListener") -> None:
        if any(one.path == inlet.path for one in self._inlets):
            raise ConfigurationError(f"inlets.{inlet.name}: path {inlet.path} of port {self.number} is another inlet's")
        # Longest first: /fhir/lab is not /fhir's.
        self._inlets = tuple(sorted((*self._inlets, inlet), key=lambda one: -len(one.path)))
        self._gone -= {inlet.path}

    def remove(self, inlet: "WebListener") -> None:
        self._inlets = tuple(one for one in self._inlets if one is not inlet)
        self._gone |= {inlet.path}

    @property
    def is_empty(self) -> bool:
        return not self._inlets

    @property
    def count(self) -> int:
        """Connections that are open now."""
        return self._open

    @property
    def url(self) -> str:
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.number}"

    # -- for its connections

    def at(self, path: str) -> "WebListener | None":
        """The inlet of a path."""
        return next((one for one in self._inlets if one.is_at(path)), None)

    def refusal(self, head: Head) -> Response:
        """What is answered at a path where there is no inlet."""
        if head.path in self._gone:
            return busy(b"not now\n", "text/plain; charset=utf-8", "the inlet of this path has stopped")
        return plain(404, "nothing is here")

    def answer(self, connection: Connection, inlet: "WebListener", request: Request) -> None:
        self._keep_task(self.loop.create_task(self._answer(connection, inlet, request)))

    async def _answer(self, connection: Connection, inlet: "WebListener", request: Request) -> None:
        connection.answered(await inlet.answer(request, self._run_beside if len(request.body) > LARGE else _at_once))

    async def _run_beside(self, work: Callable[[], _T]) -> _T:
        return await self.loop.run_in_executor(self._readers, work)

    def _keep_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- in its own thread

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self._readers.shutdown(wait=False)
            self._listening.close()  # also where it ended by an error: the port must be free for the next
            self.loop.close()

    async def _serve(self) -> None:
        accepting = self.loop.create_task(self._accept())
        ending = self.loop.create_task(self._stop.wait())
        await asyncio.wait((accepting, ending), return_when=asyncio.FIRST_COMPLETED)
        if accepting.done():  # nobody would come in any more: who started it begins anew
            for connection in list(self.connections):
                connection.abandon()
            await asyncio.sleep(0)
            await accepting
        self.stopping = True
        accepting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await accepting
        self._listening.close()
        for connection in list(self.connections):
            connection.leave_if_idle()
        end = time.monotonic() + self._patience
        while self.connections and time.monotonic() < end:
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abandon()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        await asyncio.sleep(0)

    async def _accept(self) -> None:
        while True:
            try:
                connected, address = await self.loop.sock_accept(self._listening)
            except OSError:  # out of descriptors, or reset before it was taken: the next one may do
                await asyncio.sleep(0.1)
                continue
            if self._door.refusal(address[0]):
                self.turned_away += 1
                _turn_away(connected)
            else:
                connected.setblocking(False)
                self._keep_task(self.loop.create_task(self._greet(connected, address[0], self._enter(address[0]))))

    def _enter(self, address: str) -> Callable[[], None]:
        """Take a place; what is returned leaves it again, once, however often it is called."""
        self._door.enter(address)
        self._open += 1
        is_inside = True

        def leave() -> None:
            nonlocal is_inside
            if is_inside:
                is_inside = False
                self._door.leave(address)
                self._open -= 1

        return leave

    async def _greet(self, connected: socket.socket, address: str, leave: Callable[[], None]) -> None:
        """The handshake counts against number and time like everything else."""
        limits: dict[str, Any] = {"ssl_handshake_timeout": min(self.slowest, TLS_SECONDS)} if self._tls else {}
        if self._tls:
            limits["ssl_shutdown_timeout"] = TLS_SECONDS
        try:
            await self.loop.connect_accepted_socket(
                lambda: Connection(self, address, leave), connected, ssl=self._tls, **limits
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError):  # no TLS, too old, no certificate of ours: nobody came
            self.turned_away += 1
            leave()
            connected.close()


async def _at_once(work: Callable[[], _T]) -> _T:
    return work()


def _turn_away(connected: socket.socket) -> None:
    """Close without a word and without waiting."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


Running = Callable[[Callable[[], Any]], Any]


def _readable(body: bytes) -> tuple[str, ...]:
    """Services say themselves what nobody can read."""
    return ()


class WebListener:
    """An inlet at a path: reads requests by its service, hands over what they carry, and answers when that is on disk."""

    def __init__(
        self,
        name: str,
        options: WebOptions,
        path: str,
        service: Service,
        keep: Keep,
        tap: Tap,
        clock: Callable[[], datetime],
        ports: Ports,
        judge: Judge = _readable,
        below: bool = False,
    ) -> None:
        self.name, self.options, self.path, self.service, self.clock = name, options, path, service, clock
        self._keep, self._tap, self._judge, self._ports, self._below = keep, tap, judge, ports, below
        self._port: Port | None = None
        self._counts: Counter[str] = Counter()
        self._since = ""
        self._problem = ""
        self._last_told = -TOLD_EVERY

    # -- an inlet

    def start(self) -> None:
        self._port = self._ports.open(self)
        self._since = self.clock().isoformat(timespec="seconds")

    def stop(self, patience: float) -> None:
        if self._port is not None:
            self._ports.close(self, self._port, patience)
            self._port = None

    def is_alive(self) -> bool:
        return self._port is not None and self._port.is_alive()

    def probe(self) -> None:
        if self._port is not None:
            return
        tls_of(self.name, self.options)
        if self.options.port:  # another inlet of ours may have it already: `start` says whether they agree
            listening_socket(self.name, self.options).close()

    def told(self) -> dict[str, Any]:
        port = self._port
        return {
            "address": port.url + self.path if port else "",
            "tls": bool(self.options.certificate),
            "client_certificates": bool(self.options.client_ca),
            "connections": port.count if port else 0,
            "messages": self._counts[Fate.KEPT] + self._counts[Fate.UNREADABLE] + self._counts[Fate.CONFLICT],
            "duplicates": self._counts[Fate.DUPLICATE],
            "refusals": sum(self._counts.values()) - self._counts[Fate.KEPT] - self._counts[Fate.DUPLICATE],
            "turned_away": port.turned_away if port else 0,
            "since": self._since,
            "last_problem": self._problem,
        }

    # -- for its port

    def is_at(self, path: str) -> bool:
        return path == self.path or (self._below and path.startswith(self.path.rstrip("/") + "/"))

    def refused(self, sender: str, response: Response) -> None:
        """A request that was answered without anything being kept."""
        self._counts["refused"] += 1
        self._tell(sender, response.status, response.why)

    async def answer(self, request: Request, run: Running) -> Response:
        """The answer to a request. Nothing raises: what nobody expected is a fault of ours, told as `come again`."""
        sender = request.head.sender
        if request.body:
            self._tap(self.name, sender, request.body, "received")
        try:
            found = await run(lambda: self._read(request))
            response = await self._settle(found, sender, run) if isinstance(found, Offered) else found
        except Exception as error:  # noqa: BLE001  the last line: nobody is answered with a 500, and nothing was kept
            response = busy(b"not now\n", "text/plain; charset=utf-8", self._fault(error))
        if response.why:
            self.refused(sender, response)
        self._tap(self.name, sender, response.body, "answered")
        return response

    def _read(self, request: Request) -> Response | Offered:
        found = self.service.read(request)
        if isinstance(found, Offered) and not found.arrived.unreadable:
            reasons = tuple(self._judge(found.arrived.body))
            if reasons:
                return Offered(msgspec.structs.replace(found.arrived, unreadable=reasons), found.answer)
        return found

    async def _settle(self, offered: Offered, sender: str, run: Running) -> Response:
        ending = await self._kept(offered.arrived, run)
        self._counts[ending.fate] += 1
        response = offered.answer(ending)
        if not ending.is_accepted:
            self._tell(sender, response.status, ending.fate)
        return replace(response, why="")

    async def _kept(self, arrived: Arrived, run: Running) -> Ending:
        try:
            (kept,) = await _done(await run(lambda: self._keep([arrived])))  # who keeps hashes it at once
        except InboxFull:
            return Ending(Fate.FULL)
        except Exception as error:  # noqa: BLE001  whatever the keeping failed by: its sender is answered in his protocol
            self._fault(error)
            return Ending(Fate.FAILED)
        if kept in (Kept.KEPT, Kept.DUPLICATE) and arrived.unreadable:
            return Ending(Fate.UNREADABLE, arrived.unreadable)
        return Ending(Fate(kept.value))

    def _fault(self, error: Exception) -> str:
        """Log a fault of ours by type and place only: its text may quote a document (law 9)."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        _log.error("inlet.failed inlet=%s error=%s", self.name, why)
        self._problem = f"{self.clock().isoformat(timespec='seconds')} {why}"
        return why

    def _tell(self, sender: str, status: int, why: str) -> None:
        self._problem = f"{self.clock().isoformat(timespec='seconds')} {sender}: {status} {why}"
        if time.monotonic() - self._last_told >= TOLD_EVERY:  # a hostile sender does not fill the log
            self._last_told = time.monotonic()
            _log.warning("inlet.refused inlet=%s sender=%s status=%d why=%s", self.name, sender, status, why)


async def _done(kept: "Future[list[Kept]]") -> list[Kept]:
    """Wait for a future of another thread. It is never cancelled: who keeps has it still in hand."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def tell(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits any more
            loop.call_soon_threadsafe(told.set)

    kept.add_done_callback(tell)
    await told.wait()
    return kept.result()
