"""One connection: HTTP/1.1 by h11, within limits of size and time.

What hostile senders do, and what is done about it:

- **Nothing, or a byte now and then** (slow-loris): a request that has begun must be whole within `slowest`, from the first byte, or
  from the connection for the first one; 408. Between requests: `idle`.
- **Endless headers, bodies, chunks**: 431, 413, 400 as soon as it is known; a length that is said to be too much is not awaited.
- **Many large bodies at once**: what is held beyond 64 KiB each counts against one number for all; 503.
- **Answers that are not read**: nothing more is read from it until they are; after `slowest` it is cut.
- **Compressed bodies**: 415. Nothing here unpacks anything (threat C6).
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

import h11

from connectors.listening import common_name
from connectors.web.exchange import Head, Request, Response, Service, busy, plain

if TYPE_CHECKING:
    from connectors.web.server import Port, WebListener

MOST_HEAD = 32 * 1024  # bytes of the request line and all headers
PIECE = 16 * 1024  # bytes given to h11 at a time: MOST_HEAD is meant, also of what came in one piece
FREE = 64 * 1024  # bytes of a body that need no room
MOST_CHUNKS = 65_536  # of one body: chunks of a few bytes cost more than they carry
LINGER = 2.0  # seconds in which what still comes is thrown away, so that a refusal is read before the connection ends
_ALWAYS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


class Connection(asyncio.Protocol):
    """Reads requests one after the other; each is answered before the next is read."""

    def __init__(self, port: "Port", address: str, leave: Callable[[], None]) -> None:
        self._port, self._sender, self._leave_place = port, address, leave
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        self._transport: asyncio.Transport
        self._alarm: asyncio.TimerHandle | None = None
        self._head: Head | None = None
        self._inlet: WebListener | None = None
        self._is_head = False
        self._body = bytearray()
        self._room = 0  # bytes that it holds of the room for all
        self._chunks = 0
        self._begun = True  # something of a request is awaited: the first one at once
        self._answering = False  # a request is whole, and its answer is not yet written
        self._stuck = False  # the peer does not read what we wrote
        self._leaving = False  # nothing more is read

    # -- asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._port.connections.add(self)
        secure = transport.get_extra_info("ssl_object")
        self._secure = secure is not None
        if secure is not None and (name := common_name(secure.getpeercert())):
            self._sender = f"{name} {self._sender}"
        self._within(self._port.slowest)

    def connection_lost(self, error: Exception | None) -> None:
        self._quiet()
        self._give_back()
        self._leaving = True
        self._leave_place()
        self._port.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        if not self._begun:
            self._begun = True
            self._within(self._port.slowest)
        for start in range(0, len(data), PIECE):
            if self._leaving:
                return
            self._http.receive_data(data[start : start + PIECE])
            self._advance()

    def eof_received(self) -> bool:
        if not self._leaving:
            self._http.receive_data(b"")
            self._advance()
        # Whoever has sent all may close that half and still wait for the answer. TLS knows no halves.
        return self._answering and not self._secure

    def pause_writing(self) -> None:
        self._stuck = True
        self._within(self._port.slowest)

    def resume_writing(self) -> None:
        self._stuck = False
        self._quiet()
        if not self._answering and not self._leaving:
            self._next()

    # -- time

    def _within(self, seconds: float) -> None:
        self._quiet()
        self._alarm = self._port.loop.call_later(seconds, self._late)

    def _quiet(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _late(self) -> None:
        if self._stuck or self._leaving or self._answering:
            self._abandon()
        elif not self._begun:
            self._leave()
        else:
            self._refuse(plain(408, "the request did not come whole in time"))

    # -- reading

    def _advance(self) -> None:
        while not self._answering and not self._leaving:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                return self._refuse(plain(error.error_status_hint, "not a request of HTTP/1.1 that is taken here"))
            if isinstance(event, h11.Request):
                self._is_head = event.method == b"HEAD"
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._take(event)
            elif isinstance(event, h11.EndOfMessage):
                self._whole()
            elif isinstance(event, h11.ConnectionClosed):
                return self._leave()
            elif event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    self._transport.write(
                        self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
                    )
                return
            else:
                return  # PAUSED

    def _begin(self, event: h11.Request) -> None:
        if event.http_version not in (b"1.0", b"1.1"):
            return self._refuse(plain(505, "HTTP/1.1 is spoken here"))
        headers: dict[str, str] = {}
        for name, value in event.headers:
            one = name.decode("ascii")
            headers[one] = f"{headers[one]}, {value.decode('latin-1')}" if one in headers else value.decode("latin-1")
        path, _, query = event.target.decode("latin-1").partition("?")
        head = Head(
            event.method.decode("ascii"), unquote(path), query, headers, self._sender, self._secure, self._port.now()
        )
        inlet = self._port.at(head.path)
        refusal = self._port.refusal(head) if inlet is None else _refusal(head, inlet.service)
        if refusal is not None:
            if inlet is not None:
                inlet.refused(head.sender, refusal)
            return self._refuse(refusal)
        self._head, self._inlet, self._chunks = head, inlet, 0

    def _take(self, event: h11.Data) -> None:
        assert self._inlet is not None
        self._body += event.data
        self._chunks += bool(event.chunk_end)
        if len(self._body) > self._inlet.service.largest:
            return self._refuse_body(_too_large(self._inlet.service.largest))
        if self._chunks > MOST_CHUNKS:
            return self._refuse_body(plain(400, f"more than {MOST_CHUNKS} chunks"))
        more = len(self._body) - FREE - self._room
        if more > 0:
            if not self._port.room.take(more):
                return self._refuse_body(
                    busy(b"too much is being received now\n", "text/plain", "too much is being received now")
                )
            self._room += more

    def _refuse_body(self, refusal: Response) -> None:
        assert self._inlet is not None
        self._inlet.refused(self._sender, refusal)
        self._refuse(refusal)

    def _whole(self) -> None:
        assert self._head is not None
        assert self._inlet is not None
        self._answering = True
        self._quiet()
        self._transport.pause_reading()  # nothing is read ahead of its turn
        request, self._body = Request(self._head, bytes(self._body)), bytearray()
        self._port.answer(self, self._inlet, request)

    # -- answering

    def answered(self, response: Response) -> None:
        """The port has the answer to the request that came last."""
        self._give_back()
        if self._transport.is_closing() or self._leaving:
            return
        self._answering = False
        self._write(response, last=self._port.stopping)
        if not self._stuck:
            self._next()

    def _next(self) -> None:
        """Go on with what comes behind the answer that was just written."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return self._leave()
        self._http.start_next_cycle()
        self._begun = bool(self._http.trailing_data[0])
        self._within(self._port.slowest if self._begun else self._port.idle)
        self._transport.resume_reading()
        self._advance()

    def _write(self, response: Response, last: bool) -> None:
        body = b"" if self._is_head else response.body
        headers = [*_ALWAYS, *response.headers, ("Content-Length", str(len(body)))]
        if body:
            headers.append(("Content-Type", response.media_type))
        if last:
            headers.append(("Connection", "close"))
        parts = [
            self._http.send(
                h11.Response(status_code=response.status, headers=headers, reason=_phrase(response.status))
            ),
            self._http.send(h11.Data(data=body)) if body else b"",
            self._http.send(h11.EndOfMessage()),
        ]
        self._transport.write(b"".join(part or b"" for part in parts))

    def _refuse(self, response: Response) -> None:
        """Answer before all of the request was read; the connection ends with it."""
        self._give_back()
        self._body = bytearray()
        self._port.refusals += 1
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return self._abandon()
        self._write(response, last=True)
        self._leaving = True
        # Closed with bytes unread, TCP would reset the connection and the refusal be lost on its way.
        if not self._secure and self._transport.can_write_eof():
            self._transport.write_eof()
        self._within(LINGER)

    def _give_back(self) -> None:
        self._port.room.give_back(self._room)
        self._room = 0

    # -- leaving

    def leave_if_idle(self) -> None:
        """The port closes: an answer that is under way is still given."""
        if not self._answering and not self._leaving and not self._begun:
            self._leave()

    def _leave(self) -> None:
        self._leaving = True
        self._within(LINGER)
        self._transport.close()

    def _abandon(self) -> None:
        self._leaving = True
        self._quiet()
        self._transport.abort()

    abandon = _abandon


def _refusal(head: Head, service: Service) -> Response | None:
    """Why this request is not read any further."""
    if head.headers.get("content-encoding", "identity").strip().lower() != "identity":
        return plain(415, "a compressed body is not taken here", (("Accept-Encoding", "identity"),))
    length = head.headers.get("content-length", "")
    if length.isdecimal() and int(length) > service.largest:
        return _too_large(service.largest)
    return service.admit(head)


def _too_large(largest: int) -> Response:
    return plain(413, f"more than the {largest} bytes that are taken here")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
