"""What tests of web inlets share: an inbox in memory, a service that keeps what it is sent, and raw sockets."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from connectors.arrivals import Arrived, InboxFull, Kept
from connectors.web import Ending, Fate, Head, Offered, Ports, Request, Response, WebListener, WebOptions
from connectors.web.exchange import busy, plain

NOW = datetime(2026, 9, 30, 2, 45, tzinfo=UTC)


class Inbox:
    """Keeps as the spool does, by id and bytes; can be full, broken, or wait until it is told to go on."""

    def __init__(self) -> None:
        self.messages: list[Arrived] = []
        self.conflicts: list[Arrived] = []
        self.is_full = False
        self.fails: Exception | None = None
        self.gate: threading.Event | None = None
        self.tapped: list[tuple[str, str, bytes, str]] = []

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.messages]

    def keep(self, arrived: Sequence[Arrived]) -> "Future[list[Kept]]":
        done: Future[list[Kept]] = Future()
        if self.gate is None:
            self._settle(arrived, done)
        else:
            threading.Thread(target=lambda: (self.gate.wait(30), self._settle(arrived, done)), daemon=True).start()
        return done

    def tap(self, inlet: str, sender: str, content: bytes, what: str) -> None:
        self.tapped.append((inlet, sender, content, what))

    def _settle(self, arrived: Sequence[Arrived], done: "Future[list[Kept]]") -> None:
        if self.is_full:
            done.set_exception(InboxFull())
        elif self.fails is not None:
            done.set_exception(self.fails)
        else:
            done.set_result([self._one(one) for one in arrived])

    def _one(self, one: Arrived) -> Kept:
        known = [other for other in self.messages if other.control_id == one.control_id]
        if not one.control_id:
            known = [other for other in known if other.body == one.body]
        if not known:
            self.messages.append(one)
            return Kept.KEPT
        if known[0].body == one.body:
            return Kept.DUPLICATE
        self.conflicts.append(one)
        return Kept.CONFLICT


class Echo:
    """Keeps any body that is POSTed."""

    def __init__(self, name: str = "echo", largest: int = 1_000_000) -> None:
        self.name, self.largest = name, largest

    def admit(self, head: Head) -> Response | None:
        return None if head.method in ("POST", "GET") else plain(405, "POST only", (("Allow", "GET, POST"),))

    def read(self, request: Request) -> Response | Offered:
        if request.body == b"raise":
            raise ValueError("张三")
        if request.head.method == "GET":
            return Response(200, b"here" * 10_000)
        return Offered(Arrived(self.name, request.body, NOW, sender=request.head.sender), self._answer)

    def _answer(self, ending: Ending) -> Response:
        if ending.is_transient:
            return busy(b"later\n", "text/plain", ending.fate)
        return Response({Fate.CONFLICT: 409, Fate.UNREADABLE: 422}.get(ending.fate, 202), ending.fate.encode())


def nothing_wrong(body: bytes) -> Sequence[str]:
    return ()


@contextmanager
def listening(
    inbox: Inbox,
    service: Any = None,
    path: str = "/in",
    judge: Callable[[bytes], Sequence[str]] = nothing_wrong,
    ports: Ports | None = None,
    below: bool = False,
    **options: Any,
) -> Iterator[WebListener]:
    """A listener on a free port of this machine."""
    service = service or Echo()
    listener = WebListener(
        service.name,
        WebOptions(**options),
        path,
        service,
        inbox.keep,
        inbox.tap,
        lambda: NOW,
        ports or Ports(),
        judge,
        below,
    )
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(5)


def url(listener: WebListener) -> str:
    return str(listener.told()["address"])


def port(listener: WebListener) -> int:
    return int(url(listener).split(":")[2].split("/")[0])


def connected(listener: WebListener, timeout: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port(listener)), timeout=timeout)


def post(body: bytes, path: str = "/in", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def everything(wire: socket.socket) -> bytes:
    """All that comes until the other side closes, or resets."""
    found = b""
    try:
        while piece := wire.recv(65536):
            found += piece
    except ConnectionError:
        pass
    return found


def raw(listener: WebListener, content: bytes, timeout: float = 10) -> bytes:
    """What is answered to bytes as they are."""
    with connected(listener, timeout) as wire:
        wire.sendall(content)
        return everything(wire)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
