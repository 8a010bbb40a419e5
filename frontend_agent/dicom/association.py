"""The socket of an association that others opened: short messages out, PDUs and pieces in. For one thread at a time.

TCP_NODELAY always, and TCP_QUICKACK after each read where there is one: against a peer that forgets the former, an instance takes two
stalls of 40 ms otherwise (measured.md).
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator

from frontend_agent.dicom.commands import Command, written
from frontend_agent.dicom.negotiation import (
    UNEXPECTED,
    Abort,
    written_abort,
)
from frontend_agent.dicom.pdus import OUR_MAX_LENGTH, Pdu, PduReader, Piece, joined, p_data
from frontend_agent.machine import is_readable

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class AssociationEnded(Exception):
    """The association is over before it was released: cut, aborted or silent. Its text says which, in a few fixed words."""


class Silent(AssociationEnded):
    """Nothing came for as long as we wait."""


class Aborted(AssociationEnded):
    """The peer aborted it."""

    def __init__(self, abort: Abort) -> None:
        self.abort = abort
        super().__init__(f"aborted {abort}")


class Association:
    """A connected socket, blocking. `patience`: seconds that one read or write may take."""

    def __init__(self, connection: socket.socket, patience: float, max_length: int = OUR_MAX_LENGTH) -> None:
        self.max_length = 0  # of a P-DATA-TF that the peer takes; 0: any. Known once it is agreed on
        self._socket = connection
        self._reader = PduReader(max_length)
        self._is_tls = isinstance(connection, ssl.SSLSocket)
        connection.settimeout(patience)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def patience(self) -> float:
        return self._socket.gettimeout() or 0.0

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._socket.settimeout(seconds)

    @property
    def is_between(self) -> bool:
        """No PDU of the peer's has begun."""
        return self._reader.is_between

    # -- in

    def receive(self) -> Iterator[Pdu | Piece]:
        """What one read brings, perhaps nothing whole; to be run to its end. AssociationEnded, PduMalformed."""
        try:
            count = self._socket.recv_into(self._reader.space())
            if _QUICKACK is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        except TimeoutError:
            raise Silent("silent for too long") from None
        except OSError:
            raise AssociationEnded("connection lost") from None
        if not count:
            raise AssociationEnded("connection closed without release")
        return self._reader.received(count)

    def is_readable(self) -> bool:
        """Whether `receive` would find something at once."""
        if self._is_tls and self._socket.pending():  # type: ignore[attr-defined]
            return True
        return is_readable(self._socket, 0.0)

    # -- out

    def send(self, content: bytes) -> None:
        """A PDU, or several. AssociationEnded."""
        try:
            self._socket.sendall(content)
        except TimeoutError:
            raise AssociationEnded("what we send is not taken") from None
        except OSError:
            raise AssociationEnded("connection lost") from None

    def send_message(self, context: int, command: Command, data: bytes = b"") -> None:
        """A command set and, where it says that there is one, its data set: in one write."""
        content = joined(p_data(context, written(command), self.max_length, is_command=True))
        if command.has_data_set:
            content += joined(p_data(context, data, self.max_length))
        self.send(content)

    # -- the end

    def abort(self, why: Abort = UNEXPECTED) -> None:
        """A-ABORT, if it can still be said, and the end of the connection."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.settimeout(1.0)
            self._socket.sendall(written_abort(why))
        self.close()

    def hang_up(self) -> None:
        """From another thread: whoever reads finds the connection closed."""
        with contextlib.suppress(OSError):
            # Not SSLSocket's, which would take its TLS away under the reader's feet.
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def leave(self, seconds: float) -> None:
        """Our last word was said: let the peer close first, for so long at most, so that it is read (ARTIM, PS3.8 §9.1.5)."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.settimeout(seconds)
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv_into(self._reader.space()):
                pass
        self.close()

    def close(self) -> None:
        self._socket.close()
