"""A line between us and a server that can be cut in the ways a hospital's network cuts one.

with Line(server.port) as line:
    ... line.port ...
    line.swallow()     # what is connected now hears nothing any more, and its ends never learn of each other's
    line.refuse()      # nobody gets in, and what was connected is reset
    line.delay = 0.05  # seconds by which what we say arrives later
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class Line:
    """A TCP proxy on loopback."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.delay = 0.0
        self.accepted = 0  # connections that came in, refused ones as well
        self._refusing = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._deaf: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        """A black hole for what is connected now; what connects later goes through."""
        self._deaf.update(end for pair in self._pairs for end in pair)

    def refuse(self, refusing: bool = True) -> None:
        self._refusing = refusing
        if refusing:
            pairs, self._pairs = self._pairs, []
            for end in (end for pair in pairs for end in pair):
                self._reset(end)

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # close alone leaves its thread waiting for ever
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                end.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                ours, _ = self._listener.accept()
                self.accepted += 1
                if self._refusing:
                    self._reset(ours)
                    continue
                theirs = socket.create_connection(("127.0.0.1", self._upstream))
                self._pairs.append((ours, theirs))
                for one, other in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._carry, args=(one, other, one is ours), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, said_by_us: bool) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if said_by_us and self.delay:
                    time.sleep(self.delay)
                if one not in self._deaf:
                    other.sendall(data)
            if one not in self._deaf:
                other.shutdown(socket.SHUT_WR)

    @staticmethod
    def _reset(end: socket.socket) -> None:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.shutdown(socket.SHUT_RDWR)
        end.close()
