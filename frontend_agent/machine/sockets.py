"""The control channel on POSIX: a Unix socket in the file system, which says who may connect; who does is the kernel's word."""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

assert sys.platform != "win32"

from frontend_agent.machine.posix import account_of  # noqa: E402 - where that holds

_PEER = struct.Struct("3i")  # struct ucred: process, user, group
_PIECE = 1 << 18  # bytes


class SocketLine:
    def __init__(self, connection: socket.socket, patience: float) -> None:
        connection.settimeout(patience)
        self._connection = connection

    def receive(self) -> bytes:
        return self._connection.recv(_PIECE)

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def account(self) -> str:
        """As it was when it connected (unix(7), SO_PEERCRED)."""
        _, uid, _ = _PEER.unpack(self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        return account_of(uid)

    def close(self) -> None:
        self._connection.close()


class SocketListener:
    def __init__(self, path: Path, group: bool, patience: float) -> None:
        self._path = path
        self._patience = patience
        with suppress(OSError):  # that its folder is not there is told below
            path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o117 if group else 0o177)
        try:
            with _short(path) as name:
                self._socket.bind(name)
        except OSError:
            self._socket.close()
            raise
        finally:
            os.umask(before)
        self._socket.listen(16)

    def accept(self) -> SocketLine | None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return None
        return SocketLine(connection, self._patience)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)


def listen(path: Path, group: bool, patience: float) -> SocketListener:
    """Listen at a socket of that path; one that was left there is replaced. `group`: its folder's group may connect as well."""
    return SocketListener(path, group, patience)


def connect(path: Path, patience: float) -> SocketLine:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line = SocketLine(connection, patience)
    try:
        with _short(path) as name:
            connection.connect(name)
    except OSError:
        line.close()
        raise
    return line


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """The path under a name short enough for a socket address (108 bytes), however deep its folder lies."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
