"""An association that we ask for (PS3.8 §7, PS3.7 §9): commands and data sets over a socket, streamed, never held whole.

    with associate(peer, "FRONTEND", contexts, roles) as association:
        association.send(context, command, identifier)
        context, answer = association.receive()
        if answer.has_data_set: data = association.data_set(most)

One thread uses an association; `cut` may be called from any. What the peer sends is bounded by dicom/pdus.py (threat D1), and a silence
by `timeout` (threat D3). Nothing of a data set is logged (threat D9).
"""

import socket
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from types import TracebackType
from typing import NamedTuple, Self

from connectors.trust import CLOSED, is_about_ours, tls_problem
from frontend_agent.dicom.commands import LARGEST_COMMAND, Command, CommandMalformed, read_command, written
from frontend_agent.dicom.elements import InMemory
from frontend_agent.dicom.negotiation import (
    RELEASE_RP,
    RELEASE_RQ,
    Abort,
    AssociateRequest,
    Information,
    ProposedContext,
    Rejection,
    Role,
    accepted,
    read_abort,
    read_answer,
    read_rejection,
    written_abort,
    written_request,
)
from frontend_agent.dicom.pdus import Pdu, PduMalformed, PduReader, PduType, Piece, p_data
from frontend_agent.machine import is_readable

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux
_AT_ONCE = 64  # P-DATA-TFs given to the system in one call
RELEASE_WITHIN = 5.0  # seconds for the peer to agree that we are done


class AssociationError(Exception):
    """What became of an association. The text quotes nothing of a data set."""


class Unreachable(AssociationError):
    """Nobody listens there, or the network does not let us through. Waiting may help."""


class Untrusted(AssociationError):
    """TLS does not hold: a person must act."""


class Rejected(AssociationError):
    """The peer does not want this association (PS3.8 §9.3.4). `is_for_now`: later it may."""

    def __init__(self, rejection: Rejection, calling: str, called: str) -> None:
        super().__init__(f"it rejects the association of {calling} with {called}: {rejection}")
        self.rejection = rejection
        self.is_for_now = rejection.is_for_now


class Lost(AssociationError):
    """It ended before what was asked was answered: the connection was cut, the peer aborted, was silent, or sent what is no DICOM."""


class Cut(Lost):
    """The connection ended without a word of the peer."""


class Aborted(Lost):
    """The peer aborted it (PS3.8 §7.3): what was sent last may be why."""


class Peer(NamedTuple):
    """Who is asked. `context`: TLS; its certificate is held against `host`."""

    title: str
    host: str
    port: int
    context: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


class Association:
    """One that is established. `accepted`: (abstract syntax, transfer syntax) -> its presentation context."""

    def __init__(self, line: socket.socket, request: AssociateRequest, timeout: float) -> None:
        self._line, self._timeout = line, timeout
        self._reader = PduReader(request.information.max_length)
        self._found: Iterator[Pdu | Piece] = iter(())
        self._message_id = 0
        self.is_over = False
        self.max_length = 0  # bytes of a P-DATA-TF that the peer takes; 0: any number
        # As the acceptor answered it, where it is not accepted: pair -> its result (PS3.8 table 9-18).
        self.refused: Mapping[tuple[str, str], int] = {}
        self.accepted: Mapping[tuple[str, str], int] = {}
        self.roles: Mapping[str, Role] = {}
        self.peer_version = ""  # its implementation version name
        self.patience: Callable[[], bool] = lambda: False  # after a silence: whether to wait as long again
        self._establish(request)

    def _establish(self, request: AssociateRequest) -> None:
        self._write(written_request(request))
        found = self._next()
        if isinstance(found, Pdu) and found.type is PduType.A_ASSOCIATE_RJ:
            self.is_over = True
            raise Rejected(read_rejection(found), request.calling, request.called)
        if not isinstance(found, Pdu):
            raise self._odd("data before the association was accepted")
        try:
            answer = read_answer(found)
        except PduMalformed as error:
            raise self._odd(str(error)) from None
        self.accepted = accepted(request, answer)
        results = {one.id: one.result for one in answer.contexts}
        proposals = [
            (one.id, (one.abstract_syntax, syntax)) for one in request.contexts for syntax in one.transfer_syntaxes
        ]
        self.refused = {pair: results.get(id_, 0) for id_, pair in proposals if pair not in self.accepted}
        self.roles = {role.sop_class_uid: role for role in answer.information.roles}
        self.max_length = answer.information.max_length
        self.peer_version = answer.information.implementation_version_name

    def context_of(self, abstract_syntax: str) -> tuple[int, str] | None:
        """The presentation context of a class, and its transfer syntax; None where the peer does not take it."""
        return next(((id_, syntax) for (one, syntax), id_ in self.accepted.items() if one == abstract_syntax), None)

    def syntax_of(self, context: int) -> tuple[str, str]:
        """(abstract syntax, transfer syntax) of a presentation context. Lost: it was not agreed on."""
        for pair, id_ in self.accepted.items():
            if id_ == context:
                return pair
        raise self._odd("a presentation context that was not agreed on")

    def next_message_id(self) -> int:
        self._message_id = self._message_id % 65_535 + 1
        return self._message_id

    # -- sending

    def send(self, context: int, command: Command, data_set: InMemory | None = None) -> None:
        """A command, and its data set."""
        data = p_data(context, data_set, self.max_length) if data_set is not None else ()
        self.send_parts(chain(self.command_parts(context, command), data))

    def command_parts(self, context: int, command: Command) -> Iterator[tuple[bytes, memoryview]]:
        """A command as P-DATA-TFs, to be sent together with what follows."""
        return p_data(context, written(command), self.max_length, is_command=True)

    def send_parts(self, parts: Iterable[tuple[bytes, memoryview]]) -> None:
        """P-DATA-TFs as `p_data` gives them: many in one call of the system, and nothing of them is copied, unless TLS has to."""
        rest = iter(parts)
        while some := list(islice(rest, _AT_ONCE)):
            if isinstance(self._line, ssl.SSLSocket) or not hasattr(self._line, "sendmsg"):  # nor has Windows
                for part in some:
                    self._write(b"".join(part))
            else:
                self._write_gathered([memoryview(piece) for part in some for piece in part])

    def is_readable(self, seconds: float = 0.0) -> bool:
        """Whether something comes within so long: on an association that rests, its end."""
        if isinstance(self._line, ssl.SSLSocket) and self._line.pending():
            return True
        return is_readable(self._line, seconds)

    # -- receiving

    def receive(self) -> tuple[int, Command]:
        """The next command: (presentation context, command). Its data set is to be read before the next."""
        body = bytearray()
        while True:
            piece = self._piece()
            if not piece.is_command:
                raise self._odd("a data set where a command should come")
            body += piece.data
            if len(body) > LARGEST_COMMAND:
                raise self._odd("a command that is too long")
            if piece.is_last:
                break
        try:
            return piece.context, read_command(body)
        except CommandMalformed as error:
            raise self._odd(str(error)) from None

    def pieces(self, context: int) -> Iterator[memoryview]:
        """The data set that follows, as it comes; each piece holds until the next is asked for."""
        while True:
            piece = self._piece()
            if piece.is_command or piece.context != context:
                raise self._odd("a command within a data set")
            if len(piece.data):
                yield piece.data
            if piece.is_last:
                return

    def data_set(self, context: int, most: int) -> bytes:
        """The data set that follows, whole. Lost: it is longer than `most` bytes."""
        body = bytearray()
        for piece in self.pieces(context):
            body += piece
            if len(body) > most:
                raise self._odd(f"a data set of more than {most} bytes")
        return bytes(body)

    # -- ending

    def release(self) -> None:
        """Say that we are done, and close it. What goes wrong with that does not matter any more."""
        if self.is_over:
            self._line.close()
            return
        self.is_over = True
        with suppress(OSError, AssociationError, PduMalformed):
            self._line.settimeout(RELEASE_WITHIN)
            self._line.sendall(RELEASE_RQ)
            while True:
                found = self._next()
                if isinstance(found, Pdu) and found.type is PduType.A_RELEASE_RQ:
                    self._line.sendall(RELEASE_RP)  # both at once (PS3.8 §7.2.2.7)
                elif isinstance(found, Pdu):
                    break
        self._line.close()

    def abort(self) -> None:
        """End it at once (PS3.8 §7.3)."""
        if not self.is_over:
            self.is_over = True
            with suppress(OSError):
                self._line.settimeout(RELEASE_WITHIN)
                self._line.sendall(written_abort(Abort()))
        self._line.close()

    def cut(self) -> None:
        """End it from another thread: who uses it gets Lost."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    # -- the line

    def _piece(self) -> Piece:
        found = self._next()
        if isinstance(found, Piece):
            return found
        if found.type is PduType.A_RELEASE_RQ:
            with suppress(OSError):
                self._line.sendall(RELEASE_RP)
            self.is_over = True
            raise Lost("the peer released the association before it had answered")
        raise self._odd("a control PDU where data should come")

    def _next(self) -> Pdu | Piece:
        while True:
            try:
                found = next(self._found, None)
            except PduMalformed as error:
                raise self._odd(str(error)) from None
            if found is None:
                self._read()
            elif isinstance(found, Pdu) and found.type is PduType.A_ABORT:
                self.is_over = True
                with suppress(PduMalformed):
                    raise Aborted(f"the peer aborted the association, {read_abort(found)}")
                raise Aborted("the peer aborted the association")
            else:
                return found

    def _read(self) -> None:
        try:
            count = self._received()
            if _QUICKACK is not None:
                # A peer that leaves Nagle on waits for this acknowledgement before its next bytes: 42 ms, twice an instance.
                self._line.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        except TimeoutError:
            self.abort()
            raise Lost(f"the peer was silent for {self._timeout:g} s") from None
        except OSError as error:
            self.is_over = True
            raise _ended(error) from None
        if not count:
            self.is_over = True
            raise Cut("the peer closed the connection")
        self._found = self._reader.received(count)

    def _received(self) -> int:
        while True:
            try:
                return self._line.recv_into(self._reader.space())
            except TimeoutError:
                if not self.patience():
                    raise

    def _write(self, data: bytes) -> None:
        with self._writing():
            self._line.sendall(data)

    def _write_gathered(self, pieces: list[memoryview]) -> None:
        with self._writing():
            if sys.platform == "win32":  # no sendmsg there
                self._line.sendall(b"".join(pieces))
                return
            left = sum(map(len, pieces))
            at = 0
            while left:
                sent = self._line.sendmsg(pieces[at:] if at else pieces)
                left -= sent
                while left and sent >= len(pieces[at]):
                    sent -= len(pieces[at])
                    at += 1
                if left:
                    pieces[at] = pieces[at][sent:]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            self.abort()
            raise Lost(f"the peer took nothing for {self._timeout:g} s") from None
        except OSError as error:
            self._said_why()
            self.is_over = True
            raise _ended(error) from None

    def _said_why(self) -> None:
        """Who aborts in the middle of what we send is heard all the same, where its word is still there."""
        try:
            self._line.settimeout(RELEASE_WITHIN)
            while count := self._line.recv_into(self._reader.space()):
                for found in self._reader.received(count):
                    if isinstance(found, Pdu) and found.type is PduType.A_ABORT:
                        self.is_over = True
                        raise Aborted(f"the peer aborted the association, {read_abort(found)}") from None
        except PduMalformed:
            pass
        except OSError as error:
            if is_about_ours(error):
                self.is_over = True
                raise _ended(error) from None

    def _odd(self, what: str) -> Lost:
        """The peer sent what may not come here: the association is of no more use."""
        self.abort()
        return Lost(f"the peer sent what may not come here: {what}")


def _ended(error: OSError) -> AssociationError:
    """Why a connection ended. With TLS 1.3 a peer that does not take our certificate says so only now (RFC 8446 §4.4.2.4)."""
    if isinstance(error, ssl.SSLError) and is_about_ours(error):
        return Untrusted(f"TLS failed: {tls_problem(error)}")
    return Cut(f"the connection was cut ({error.strerror or type(error).__name__})")


def associate(
    peer: Peer,
    calling: str,
    contexts: Sequence[ProposedContext],
    roles: Sequence[Role] = (),
    *,
    timeout: float,
) -> Association:
    """An association with these presentation contexts. Unreachable, Untrusted, Rejected, Lost.

    timeout: seconds without a word from the peer, and until it lets us connect.
    """
    line = connected(peer, timeout)
    request = AssociateRequest(
        called=peer.title, calling=calling, contexts=tuple(contexts), information=Information(roles=tuple(roles))
    )
    try:
        return Association(line, request, timeout)
    except Cut as error:
        line.close()
        if peer.context is None:
            raise
        raise Cut(f"{error} ({CLOSED})") from None
    except BaseException:
        line.close()
        raise


def connected(peer: Peer, timeout: float) -> socket.socket:
    """A socket to the peer, with TLS where it has one. Unreachable, Untrusted."""
    try:
        line = socket.create_connection((peer.host, peer.port), timeout)
    except OSError as error:
        raise Unreachable(f"no connection to {peer.host}:{peer.port} ({error.strerror or 'no answer'})") from None
    try:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if peer.context is not None:
            line = peer.context.wrap_socket(line, server_hostname=peer.host)
        return line
    except ssl.SSLError as error:
        line.close()
        raise Untrusted(f"TLS with {peer.host}:{peer.port} failed: {tls_problem(error)}") from None
    except OSError as error:
        line.close()
        said = f"{peer.host}:{peer.port} closed the connection"
        if peer.context is not None:
            said += " when TLS began: does it speak TLS at this port?"
        raise Unreachable(f"{said} ({error.strerror or 'no answer'})") from None
