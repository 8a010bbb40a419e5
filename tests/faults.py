"""A proxy between agent and platform that misbehaves on purpose: the faults a real platform cannot be made to show.

    with FaultProxy(platform_port) as proxy:
        proxy.next(CUT_AFTER_COMMIT, times=3)      # the platform stores the parcel, the agent never hears of it
        ... proxy.url ...

A fault meets only POST /v1/parcels; every other request passes. After the planned faults it is a plain proxy.
"""

import http.client
import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

DOWN = "down"  # the connection is reset before the request is read
CUT_BEFORE = "cut before commit"  # the request is read and dropped; the platform never sees it
CUT_AFTER_COMMIT = "cut after commit"  # the platform answers, the agent never hears it
HALF_ANSWER = "half an answer"  # the platform's answer is cut in the middle
SLOW = "slow"  # the answer comes after `delay` seconds
NONSENSE = "nonsense"  # 200 and something that is not a reply
FOREIGN_REPLY = "foreign reply"  # 200 and the (truly signed) reply to another request
E500, E503, E401, E413 = 500, 503, 401, 413

Fault = str | int


class FaultProxy:
    """An HTTP/1.1 proxy on loopback in front of one upstream port."""

    def __init__(self, upstream_port: int, delay: float = 0.5) -> None:
        self.upstream_port = upstream_port
        self.delay = delay
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.seen: list[tuple[str, Fault | None]] = []
        self.last_reply = b""
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def next(self, fault: Fault, times: int = 1) -> None:
        """Plan a fault for the next `times` parcels."""
        self.faults.extend([fault] * times)

    def fault_for(self, path: str, method: str) -> Fault | None:
        if method != "POST" or not path.startswith("/v1/parcels"):
            return None
        fault = self.faults.popleft() if self.faults else self.always
        self.seen.append((path, fault))
        return fault

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FaultProxy

    def log_message(self, format: str, *args: object) -> None:  # silence: bodies and paths do not belong in test output
        pass

    def do_GET(self) -> None:
        self._carry("GET")

    def do_PUT(self) -> None:
        self._carry("PUT")

    def do_POST(self) -> None:
        self._carry("POST")

    def _carry(self, method: str) -> None:
        fault = self.owner.fault_for(self.path, method)
        if fault == DOWN:
            return self._cut()
        body = self._body()
        if fault == CUT_BEFORE:
            return self._cut()
        if isinstance(fault, int):
            return self._answer(fault, b'{"error": "made by the fault proxy"}', [])
        if fault == NONSENSE:
            return self._answer(200, b"<html>Welcome to the hotel network</html>", [("Content-Type", "text/html")])
        if fault == FOREIGN_REPLY:
            return self._answer(200, self.owner.last_reply, [("Content-Type", "application/json")])
        status, headers, reply = self._upstream(method, body)
        if method == "POST" and self.path.startswith("/v1/parcels") and status == 200:
            self.owner.last_reply = reply
        if fault == CUT_AFTER_COMMIT:
            return self._cut()
        if fault == HALF_ANSWER:
            self.wfile.write(
                f"HTTP/1.1 {status} OK\r\nContent-Length: {len(reply)}\r\n\r\n".encode() + reply[: len(reply) // 2]
            )
            return self._cut()
        if fault == SLOW:
            threading.Event().wait(self.owner.delay)
        self._answer(status, reply, headers)
        return None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _upstream(self, method: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.owner.upstream_port, timeout=60)
        try:
            kept = {
                k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "transfer-encoding")
            }
            connection.request(method, self.path, body=body, headers=kept)
            response = connection.getresponse()
            skipped = ("content-length", "connection", "transfer-encoding")
            return response.status, [h for h in response.getheaders() if h[0].lower() not in skipped], response.read()
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.connection.close()
