"""A line between a command and the running agent, whatever carries it: a Unix socket, a named pipe."""

from collections.abc import Callable
from typing import Any, Protocol

LARGEST_PIECE = 16 << 20  # bytes of one message: what is longer comes from no end of ours


class Line(Protocol):
    """One end. Raises OSError, TimeoutError where the other end says nothing for too long."""

    def receive(self) -> bytes:
        """Some bytes; none: the other end has hung up."""

    def send(self, data: bytes) -> None: ...

    def account(self) -> str:
        """Whose process is at the other end: the operating system's word. Asked of the listening end, after something was received."""

    def close(self) -> None: ...


class Listener(Protocol):
    def accept(self) -> Line | None:
        """The next that comes; None once the listener is closed."""

    def close(self) -> None: ...


class MessageLine:
    """A line over a connection of multiprocessing, which carries messages: each is some bytes of the line."""

    def __init__(self, connection: Any, patience: float, account: Callable[[], str]) -> None:
        """`connection`: multiprocessing.connection.Connection or PipeConnection; `patience` in seconds."""
        self._connection = connection
        self._patience = patience
        self._account = account

    def receive(self) -> bytes:
        try:
            if not self._connection.poll(self._patience):
                raise TimeoutError("nothing was said for too long")
            return bytes(self._connection.recv_bytes(LARGEST_PIECE))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return b""

    def send(self, data: bytes) -> None:
        for at in range(0, len(data), LARGEST_PIECE):
            self._connection.send_bytes(data[at : at + LARGEST_PIECE])

    def account(self) -> str:
        return self._account()

    def close(self) -> None:
        self._connection.close()
