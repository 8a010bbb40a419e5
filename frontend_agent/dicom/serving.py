"""Associations that others open with us, over sockets that are given: the agent's inlet and the platform's DICOM port share it.

    accept ─▶ [TLS] ─▶ A-ASSOCIATE-RQ whole      Reception: one thread for all, nobody holds one by being silent (threat D3)
           ─▶ admitted, agreed ─▶ messages       Serving: one association in a thread of its own

What is done with what comes is the part's that gives `Services`; who may connect at all is asked before a byte is read. Nothing is
held in memory but one buffer for each association, and short data sets (threats D1, D2).
"""

import contextlib
import selectors
import socket
import ssl
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from hashlib import sha256
from time import monotonic
from typing import Any, NamedTuple, Protocol

from frontend_agent.dicom.association import Aborted, Association, AssociationEnded, Silent
from frontend_agent.dicom.commands import (
    LARGEST_COMMAND,
    Command,
    CommandMalformed,
    Operation,
    Status,
    answered,
    n_event_report,
    read_command,
)
from frontend_agent.dicom.commitment import (
    ALL_SAFE,
    FAILURES_EXIST,
    REQUEST_STORAGE_COMMITMENT,
    Commitment,
    read_commitment,
    written_commitment,
)
from frontend_agent.dicom.commitment import LARGEST as LARGEST_COMMITMENT
from frontend_agent.dicom.elements import DataSetMalformed
from frontend_agent.dicom.negotiation import (
    APPLICATION_CONTEXT,
    CONGESTED,
    INVALID,
    NO_APPLICATION_CONTEXT,
    NO_SUCH_VERSION,
    RELEASE_RP,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    TOO_MANY,
    VERIFICATION,
    Abort,
    AssociateAnswer,
    AssociateRequest,
    Rejection,
    answer,
    read_abort,
    read_request,
    written_abort,
    written_answer,
    written_rejection,
)
from frontend_agent.dicom.pdus import Pdu, PduMalformed, PduReader, PduType, Piece
from frontend_agent.dicom.uids import is_uid

GOING_DOWN = Abort(2, 0)
LAST_WORD = 2.0  # seconds in which the peer may close first


class Caller(NamedTuple):
    """Who opened an association."""

    calling: str  # its AE title
    called: str  # whom it means
    address: str
    certificate: str = ""  # the common name it shows; "" without TLS, or where none is asked for
    fingerprint: str = ""  # SHA-256 of that certificate

    @property
    def sender(self) -> str:
        return f"{self.calling}@{self.address}"


class Answer(NamedTuple):
    """What an instance is answered with: a status (PS3.7 annex C) and ErrorComment, in ASCII and without a value of the instance."""

    status: int
    comment: str = ""


class Writer(Protocol):
    """One instance on its way in: connectors.instances.InstanceWriter, or the platform's. After `keep` or `abort` it is done with."""

    def write(self, chunk: bytes | bytearray | memoryview, /) -> None: ...
    def keep(self) -> "Future[Any]":
        """Done when it is on disk and committed. `Services.verdict` says what its result, or its exception, is answered with."""

    def abort(self) -> None: ...


class Committed(NamedTuple):
    """What is safe here of what storage commitment was asked for (PS3.4 annex J)."""

    safe: Sequence[tuple[str, str]]  # (SOP class, SOP instance)
    failed: Sequence[tuple[str, str, int]]  # and FailureReason: NO_SUCH_OBJECT_INSTANCE …


class Services(Protocol):
    """What is done with what comes. Called from the thread of each association: safe to use from several. Errors of it are answered
    as a failure of ours, and counted; they end nothing."""

    offers_commitment: bool  # N-ACTION is answered by `commit`

    def admit(self, caller: Caller, /) -> Rejection | None:
        """Why its association is rejected; with `why` in our words. None: welcome."""

    def begin(self, caller: Caller, sop_class: str, sop_instance: str, transfer_syntax: str, /) -> Writer:
        """An instance begins. Raises what `verdict` has an answer for."""

    def verdict(self, outcome: Any, /) -> Answer:
        """What is said of a kept instance, or of the exception that `begin`, `write` or `keep` ended with."""

    def commit(self, caller: Caller, transaction_uid: str, instances: Sequence[tuple[str, str]], /) -> Committed:
        """Storage commitment that is asked of us (N-ACTION): which of these (SOP class, SOP instance) are safe here. It is answered by
        N-EVENT-REPORT on the same association: we open none (law 11)."""

    def reported(
        self,
        caller: Caller,
        transaction_uid: str,
        safe: Sequence[tuple[str, str]],
        failed: Sequence[tuple[str, str, int]],
        /,
    ) -> bool:
        """Storage commitment that we had asked for (N-EVENT-REPORT). False: nobody here knows the transaction."""


class Limits(NamedTuple):
    """What is borne with."""

    connections: int = 256  # associations at once
    per_address: int = 100  # connections of one address at once, associated or not
    idle: float = 600.0  # seconds between two messages
    slowest: float = 30.0  # seconds for an A-ASSOCIATE-RQ; and within a message, beyond what LEAST_RATE allows
    largest: int = (
        4 << 30
    )  # bytes of an instance; what comes beyond it is passed over, as far as OVERRUN, then it is cut
    window: int = 16  # operations performed side by side, for who negotiates it


USUAL = Limits()
LEAST_RATE = 4096  # bytes a second of a message on the whole; slower is a slow loris, and no line
OVERRUN = 256 << 20
KEPT_WITHIN = (
    120.0  # seconds: the disk of who keeps is stuck then; the sender comes again, and the same again is no harm
)


class Tally:
    """What happened, in counts. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()  # of C-STORE, by status
        self.turned_away: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        self.associations = 0
        self.bytes = 0
        self.problem = ""

    def told(self) -> dict[str, Any]:
        """All of it, in plain values."""
        with self._lock:
            return {
                "associations": self.associations,
                "messages": self.answers.total(),
                "answers": dict(self.answers),
                "bytes": self.bytes,
                "turned_away": dict(self.turned_away),
                "troubles": dict(self.troubles),
                "problem": self.problem,
            }

    def turned(self, why: str, who: str) -> None:
        with self._lock:
            self.turned_away[why] += 1
            self.problem = f"{who}: {why}"

    def trouble(self, what: str, who: str) -> None:
        with self._lock:
            self.troubles[what] += 1
            self.problem = f"{who}: {what}"

    def associated(self) -> None:
        with self._lock:
            self.associations += 1

    def stored(self, answer: Answer, size: int, who: str) -> None:
        with self._lock:
            self.answers[f"{answer.status:04X}"] += 1
            self.bytes += size
            if answer.status and answer.comment:
                self.problem = f"{who}: {answer.comment}"


class _Storing:
    """A C-STORE whose data set is coming."""

    __slots__ = ("answer", "command", "context", "size", "writer")

    def __init__(self, context: int, command: Command) -> None:
        self.context, self.command = context, command
        self.writer: Writer | None = None
        self.answer: Answer | None = None  # why it is not taken: its bytes are passed over
        self.size = 0

    def drop(self) -> None:
        if self.writer is not None:
            writer, self.writer = self.writer, None
            writer.abort()


class _Collecting:
    """Another request whose data set is coming: small, and held."""

    __slots__ = ("command", "context", "data")

    def __init__(self, context: int, command: Command) -> None:
        self.context, self.command = context, command
        self.data = bytearray()


class Serving:
    """One association, from its acceptance to its end, in one thread."""

    def __init__(
        self,
        association: Association,
        caller: Caller,
        request: AssociateRequest,
        agreed: AssociateAnswer,
        services: Services,
        limits: Limits,
        tally: Tally,
    ) -> None:
        self.caller = caller
        self._association, self._services, self._limits, self._tally = association, services, limits, tally
        abstract = {one.id: one.abstract_syntax for one in request.contexts}
        self._contexts = {one.id: (abstract[one.id], one.transfer_syntax) for one in agreed.contexts if one.is_accepted}
        self._window = max(1, agreed.information.window[0]) if agreed.information.window else 1
        self._command = bytearray()
        self._command_context = 0
        self._current: _Storing | _Collecting | None = None
        self._pending: deque[tuple[_Storing, Future[Any]]] = deque()
        self._reports = 0  # N-EVENT-REPORT-RQ that we sent
        self._ending = threading.Event()

    @property
    def is_idle(self) -> bool:
        """Nothing of it is under way."""
        return self._current is None and not self._pending and not self._command

    def end(self) -> None:
        """From another thread: no further message; what is under way is answered."""
        self._ending.set()
        if self.is_idle:
            self._association.hang_up()

    def cut(self) -> None:
        """From another thread: now."""
        self._ending.set()
        self._association.hang_up()

    def run(self) -> str:
        """Serve it to its end. How that was, in a few fixed words; "" for a release."""
        try:
            self._serve()
        except (PduMalformed, CommandMalformed) as error:
            self._association.abort(INVALID)
            return f"aborted by us: {error}"
        except AssociationEnded as error:
            if self._ending.is_set():
                self._association.abort(GOING_DOWN)
                return ""
            if isinstance(error, Silent):
                self._association.abort(GOING_DOWN)
            self._association.close()
            # Who leaves between two messages has lost nothing.
            return "" if self.is_idle else f"{error}, within a message"
        finally:
            if isinstance(self._current, _Storing):
                self._current.drop()
        return ""

    def _serve(self) -> None:
        idle, slowest = self._limits.idle, self._limits.slowest
        began, size = 0.0, 0
        while not (self._ending.is_set() and self.is_idle):
            while self._pending and (len(self._pending) >= self._window or not self._association.is_readable()):
                self._answer_oldest()
                if self._ending.is_set() and self.is_idle:
                    return self._association.abort(GOING_DOWN)
            is_between = self.is_idle and self._association.is_between
            self._association.patience = idle if is_between else slowest
            now = monotonic()
            if is_between:
                began, size = now, 0
            elif now - began > slowest + size / LEAST_RATE:
                raise Silent("too slow")
            for found in self._association.receive():
                if isinstance(found, Piece):
                    size += len(found.data)
                    self._piece(found)
                elif self._control(found):
                    return None
        return self._association.abort(GOING_DOWN)

    def _control(self, found: Pdu) -> bool:
        """Whether the association is over with it."""
        if found.type is PduType.A_RELEASE_RQ and self._current is None:
            while self._pending:
                self._answer_oldest()
            self._association.send(RELEASE_RP)
            self._association.leave(LAST_WORD)
            return True
        if found.type is PduType.A_ABORT:
            raise Aborted(read_abort(found))
        if found.type is PduType.A_RELEASE_RQ:
            raise PduMalformed("release is asked for within a message")
        raise PduMalformed(f"{found.type.name} within an association")

    # -- messages

    def _piece(self, piece: Piece) -> None:
        current = self._current
        if piece.is_command:
            if current is not None or self._command_context not in (0, piece.context):
                raise PduMalformed("a command set within another message")
            if len(self._command) + len(piece.data) > LARGEST_COMMAND:
                raise CommandMalformed("it is longer than any command set")
            self._command_context = piece.context
            self._command += piece.data
            if piece.is_last:
                command = read_command(self._command)
                self._command.clear()
                self._command_context = 0
                self._begin(piece.context, command)
        elif isinstance(current, _Storing):
            self._store_piece(current, piece)
        elif current is not None:
            if current.context != piece.context:
                raise PduMalformed("pieces of two messages are mixed")
            current.data += piece.data
            if len(current.data) > LARGEST_COMMITMENT:
                raise PduMalformed("a data set that is too long for what it asks")
            if piece.is_last:
                self._current = None
                self._asked(current)
        else:
            raise PduMalformed("a data set without a command set")

    def _begin(self, context: int, command: Command) -> None:
        """A command set is whole: answer it, or see its data set coming."""
        if context not in self._contexts:
            raise PduMalformed("a presentation context that was not accepted")
        while len(self._pending) >= self._window:
            self._answer_oldest()
        if command.operation is Operation.C_STORE and not command.is_response and command.has_data_set:
            self._current = storing = _Storing(context, command)
            self._begin_storing(storing)
        elif command.has_data_set:
            self._current = _Collecting(context, command)
        elif command.operation is Operation.C_ECHO and not command.is_response:
            self._association.send_message(context, answered(command, Status.SUCCESS))
        elif command.is_response or command.command_field == Operation.C_CANCEL:
            pass  # of our N-EVENT-REPORT; and nothing of ours can be cancelled
        else:
            self._not_served(context, command)

    def _not_served(self, context: int, command: Command) -> None:
        status = (
            Status.INVALID_ARGUMENT_VALUE if command.operation is Operation.C_STORE else Status.UNRECOGNIZED_OPERATION
        )
        self._association.send_message(context, answered(command, status, "this is not served here"))

    # -- C-STORE

    def _begin_storing(self, storing: _Storing) -> None:
        command = storing.command
        if not is_uid(command.affected_sop_instance_uid) or not is_uid(command.affected_sop_class_uid):
            storing.answer = Answer(Status.INVALID_ARGUMENT_VALUE, "its SOP class or SOP instance is no UID")
            return
        abstract, syntax = self._contexts[storing.context]
        if abstract in (VERIFICATION, STORAGE_COMMITMENT):
            storing.answer = Answer(Status.SOP_CLASS_NOT_SUPPORTED, "its presentation context is none of storage")
            return
        try:
            storing.writer = self._services.begin(
                self.caller, command.affected_sop_class_uid, command.affected_sop_instance_uid, syntax
            )
        except Exception as error:  # noqa: BLE001  whatever it is, nothing was kept, and the sender is told so
            storing.answer = self._services.verdict(error)

    def _store_piece(self, storing: _Storing, piece: Piece) -> None:
        if storing.context != piece.context:
            raise PduMalformed("pieces of two messages are mixed")
        storing.size += len(piece.data)
        if storing.size > self._limits.largest + OVERRUN:  # also where whoever keeps passes over what it has refused
            raise PduMalformed("a data set that does not end")
        if storing.writer is not None:
            try:
                storing.writer.write(piece.data)
            except Exception as error:  # noqa: BLE001  as above: too large, or the disk is full
                storing.drop()
                storing.answer = self._services.verdict(error)
        if piece.is_last:
            self._current = None
            self._pending.append((storing, self._kept(storing)))

    def _kept(self, storing: _Storing) -> "Future[Any]":
        if storing.writer is not None:
            writer, storing.writer = storing.writer, None
            try:
                return writer.keep()
            except Exception as error:  # noqa: BLE001  as above
                storing.answer = self._services.verdict(error)
        done: Future[Any] = Future()
        done.set_result(None)
        return done

    def _answer_oldest(self) -> None:
        """Wait until the oldest is durable, and say so: never before (law 5)."""
        storing, future = self._pending[0]
        answer = storing.answer
        if answer is None:
            answer = self._services.verdict(_outcome(future))
        self._tally.stored(answer, storing.size, self.caller.sender)
        self._association.send_message(storing.context, answered(storing.command, answer.status, answer.comment))
        self._pending.popleft()

    # -- storage commitment

    def _asked(self, found: _Collecting) -> None:
        command, (abstract, syntax) = found.command, self._contexts[found.context]
        operation = None if command.is_response else command.operation
        if operation is Operation.N_EVENT_REPORT and abstract == STORAGE_COMMITMENT:
            self._report_came(found, syntax)
        elif operation is Operation.N_ACTION and abstract == STORAGE_COMMITMENT and self._services.offers_commitment:
            self._commitment_asked(found, syntax)
        elif not command.is_response:
            self._not_served(found.context, command)

    def _report_came(self, found: _Collecting, syntax: str) -> None:
        status: int = Status.SUCCESS
        comment = ""
        try:
            about = read_commitment(found.data, syntax)
        except DataSetMalformed:
            status, comment = Status.INVALID_ARGUMENT_VALUE, "its data set cannot be read"
        else:
            try:
                if not self._services.reported(self.caller, about.transaction_uid, about.referenced, about.failed):
                    status, comment = Status.INVALID_ARGUMENT_VALUE, "no such transaction is known here"
            except Exception as error:  # noqa: BLE001  as with instances: the PACS is told, and may report again
                status, comment = self._services.verdict(error)
        self._association.send_message(found.context, answered(found.command, status, comment))

    def _commitment_asked(self, found: _Collecting, syntax: str) -> None:
        try:
            about = read_commitment(found.data, syntax)
        except DataSetMalformed:
            about = None
        if (
            about is None
            or not is_uid(about.transaction_uid)
            or found.command.action_type_id != REQUEST_STORAGE_COMMITMENT
        ):
            comment = "it does not say which instances, or in which transaction"
            self._association.send_message(
                found.context, answered(found.command, Status.INVALID_ARGUMENT_VALUE, comment)
            )
            return
        try:
            said = self._services.commit(self.caller, about.transaction_uid, about.referenced)
        except Exception as error:  # noqa: BLE001  as with instances
            verdict = self._services.verdict(error)
            self._association.send_message(found.context, answered(found.command, verdict.status, verdict.comment))
            return
        self._association.send_message(found.context, answered(found.command, Status.SUCCESS))
        self._reports += 1
        event = n_event_report(
            self._reports, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, FAILURES_EXIST if said.failed else ALL_SAFE
        )
        data = written_commitment(Commitment(about.transaction_uid, said.safe, said.failed), syntax)
        self._association.send_message(found.context, event, data)


def _outcome(future: "Future[Any]") -> Any:
    """Its result, or the exception it ended with; TimeoutError where nobody has come back with either."""
    try:
        error = future.exception(KEPT_WITHIN)
    except TimeoutError as silence:
        return silence
    return future.result() if error is None else error


# -- before an association ---------------------------------------------------------------------------------------------

MOST_WAITING = 512  # connections without an association: beyond, the oldest of them goes
MOST_HELD = 16 << 20  # bytes of their A-ASSOCIATE-RQs: beyond, whoever has most goes
NO_FILE_LEFT = 0.5  # seconds until it is tried again to accept, when the system has no file descriptor for it
SWEEP = 0.5  # seconds between looks at who is too slow

# Services that are no storage, though some PACS offer them to everyone: worklists, queries, printing, MPPS … (PS3.6 annex A).
_NO_STORAGE = ("1.2.840.10008.1.", "1.2.840.10008.3.1.2.", "1.2.840.10008.4.2.", "1.2.840.10008.5.1.1.", "1.2.840.10008.5.1.4.1.2.",
               "1.2.840.10008.5.1.4.2", "1.2.840.10008.5.1.4.3", "1.2.840.10008.5.1.4.4", "1.2.840.10008.10.")  # fmt: skip
_YET_STORAGE = frozenset((
    "1.2.840.10008.5.1.1.27", "1.2.840.10008.5.1.1.29", "1.2.840.10008.5.1.1.30",  # stored print, hardcopies: retired
    "1.2.840.10008.5.1.4.34.1", "1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10",  # instructions of radiotherapy
    "1.2.840.10008.5.1.4.38.1", "1.2.840.10008.5.1.4.39.1", "1.2.840.10008.5.1.4.43.1", "1.2.840.10008.5.1.4.44.1",
    "1.2.840.10008.5.1.4.45.1",  # hanging protocols, palettes, implant templates
))  # fmt: skip


def is_served(abstract_syntax: str) -> bool:
    """Verification, storage commitment, and everything that is or may be a storage class: also private ones, and what comes after
    this was written."""
    if abstract_syntax in (VERIFICATION, STORAGE_COMMITMENT) or abstract_syntax in _YET_STORAGE:
        return True
    return is_uid(abstract_syntax) and not abstract_syntax.startswith(_NO_STORAGE)


class _Guest:
    """A connection that has no association yet."""

    __slots__ = ("address", "connection", "is_leaving", "is_shaking_hands", "reader", "until")

    def __init__(self, connection: socket.socket, address: str, until: float) -> None:
        self.connection, self.address, self.until = connection, address, until
        self.reader = PduReader(0, 4096)  # nobody sends P-DATA here
        self.is_shaking_hands = isinstance(connection, ssl.SSLSocket)
        self.is_leaving = False  # our rejection was sent


class Reception:
    """Whoever connects to a listening socket: let in, associated, served. Started and stopped by its owner.

    allowed: whether an address may connect at all. listening: non-blocking; it is closed in the end.
    """

    def __init__(
        self,
        name: str,
        listening: socket.socket,
        allowed: Callable[[str], bool],
        services: Services,
        limits: Limits = USUAL,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tally = Tally()
        self._name, self._listening, self._allowed = name, listening, allowed
        self._services, self._limits, self._tls = services, limits, tls
        self._lock = threading.Lock()
        self._guests: dict[_Guest, None] = {}  # the oldest first
        self._serving: dict[Serving, threading.Thread] = {}
        self._inside: Counter[str] = Counter()  # associations by address
        self._selector = selectors.DefaultSelector()
        self._ending = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"inlet-{name}", daemon=True)

    @property
    def associations(self) -> int:
        return len(self._serving)

    @property
    def waiting(self) -> int:
        """Connections without an association."""
        return len(self._guests)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, patience: float) -> None:
        """Accept no more; answer what is under way for so many seconds at most, then cut it."""
        self._ending.set()
        with contextlib.suppress(OSError):
            self._wake_in.send(b"x")
        self._thread.join(patience + 5)
        until = monotonic() + patience
        with self._lock:
            serving = dict(self._serving)
        for one in serving:
            one.end()
        for one, thread in serving.items():
            thread.join(max(0.0, until - monotonic()))
            if thread.is_alive():
                one.cut()
                thread.join(LAST_WORD + 3)

    # -- the thread that accepts

    def _run(self) -> None:
        try:
            self._selector.register(self._listening, selectors.EVENT_READ)
            self._selector.register(self._wake_out, selectors.EVENT_READ)
            while not self._ending.is_set():
                for key, _ in self._selector.select(SWEEP):
                    if key.fileobj is self._listening:
                        self._accept()
                    elif isinstance(key.data, _Guest) and key.data in self._guests:
                        self._hear(key.data)
                self._sweep()
        finally:  # also where it ended by an error: the port must be free for the next
            for guest in tuple(self._guests):
                self._let_go(guest)
            self._selector.close()
            for one in (self._listening, self._wake_in, self._wake_out):
                one.close()

    def _accept(self) -> None:
        try:
            connection, where = self._listening.accept()
        except BlockingIOError:
            return
        except OSError:
            self.tally.trouble("cannot accept: the system has no file descriptor left", "")
            self._ending.wait(NO_FILE_LEFT)
            return
        address = str(where[0])
        refusal = self._refusal(address)
        if refusal:
            self.tally.turned(refusal, address)
            connection.close()
            return
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            except OSError:
                connection.close()
                return
        guest = _Guest(connection, address, monotonic() + self._limits.slowest)
        self._guests[guest] = None
        self._selector.register(connection, selectors.EVENT_READ, guest)

    def _refusal(self, address: str) -> str:
        """Why who comes from there is turned away. Who only sits there makes room for who comes: the oldest goes first."""
        if not self._allowed(address):
            return "not allowed"
        with self._lock:
            inside = self._inside[address]
        sitting = [guest for guest in self._guests if guest.address == address]
        if inside + len(sitting) >= self._limits.per_address:
            if not sitting:
                return "too many from one address"
            self._send_away(sitting[0], "made room for another")
        elif len(self._guests) >= MOST_WAITING:
            self._send_away(next(iter(self._guests)), "made room for another")
        return ""

    def _sweep(self) -> None:
        now = monotonic()
        for guest in [guest for guest in self._guests if guest.until < now]:
            if guest.is_leaving:
                self._let_go(guest)
            else:
                self._send_away(guest, "no association asked for in time")

    def _send_away(self, guest: _Guest, why: str) -> None:
        self.tally.turned(why, guest.address)
        self._let_go(guest)

    def _let_go(self, guest: _Guest, close: bool = True) -> None:
        del self._guests[guest]
        self._selector.unregister(guest.connection)
        if close:
            guest.connection.close()

    def _hear(self, guest: _Guest) -> None:
        """Something came, or can go, on a connection without an association."""
        try:
            if guest.is_shaking_hands:
                guest.connection.do_handshake()  # type: ignore[attr-defined]
                guest.is_shaking_hands = False
                self._selector.modify(guest.connection, selectors.EVENT_READ, guest)
            while guest in self._guests:
                count = guest.connection.recv_into(guest.reader.space())
                if not count:
                    self._let_go(guest)
                    return
                if not guest.is_leaving:
                    self._asked(guest, list(guest.reader.received(count)))
        except ssl.SSLWantWriteError:
            self._selector.modify(guest.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, guest)
        except ssl.SSLWantReadError:
            self._selector.modify(guest.connection, selectors.EVENT_READ, guest)
        except BlockingIOError:
            pass
        except PduMalformed as error:
            self._abort(guest, str(error))
        except ssl.SSLError as error:
            reason = (error.reason or "").lower().replace("_", " ")
            self._send_away(guest, f"no TLS that is taken ({reason})" if reason else "no TLS that is taken")
        except OSError:
            self._let_go(guest)

    def _asked(self, guest: _Guest, found: list[Pdu | Piece]) -> None:
        if found:
            first = found[0]
            if len(found) > 1 or not isinstance(first, Pdu) or first.type is not PduType.A_ASSOCIATE_RQ:
                raise PduMalformed("something else where A_ASSOCIATE_RQ should come")
            self._welcome(guest, first)
        elif guest.reader.held > MOST_HELD // MOST_WAITING and sum(one.reader.held for one in self._guests) > MOST_HELD:
            self._send_away(max(self._guests, key=lambda one: one.reader.held), "too much before an association")

    def _abort(self, guest: _Guest, why: str) -> None:
        with contextlib.suppress(OSError):
            guest.connection.send(written_abort(Abort(2, 2)))
        self._send_away(guest, why)

    def _welcome(self, guest: _Guest, asked: Pdu) -> None:
        """A whole A-ASSOCIATE-RQ: a thread of its own, if there is room."""
        with self._lock:
            is_full = self._inside.total() >= self._limits.connections
            if not is_full:
                self._inside[guest.address] += 1
        if is_full:
            self.tally.turned("too many associations", guest.address)
            guest.is_leaving, guest.until = True, monotonic() + LAST_WORD
            guest.connection.send(written_rejection(TOO_MANY))
            return
        self._let_go(guest, close=False)
        try:
            threading.Thread(
                target=self._associate, args=(guest, asked), name=f"inlet-{self._name}-association", daemon=True
            ).start()
        except RuntimeError:  # the system gives no further thread
            self._left(guest.address)
            self.tally.trouble("no thread for an association: the system gives none", guest.address)
            with contextlib.suppress(OSError):
                guest.connection.send(written_rejection(CONGESTED))
            guest.connection.close()

    def _left(self, address: str) -> None:
        with self._lock:
            self._inside[address] -= 1
            if not self._inside[address]:
                del self._inside[address]

    # -- the thread of an association

    def _associate(self, guest: _Guest, asked: Pdu) -> None:
        serving: Serving | None = None
        try:
            association = Association(guest.connection, self._limits.slowest)
            serving = self._agreed(association, guest, asked)
            if serving is not None:
                ended = serving.run()
                if ended:
                    self.tally.trouble(ended, serving.caller.sender)
        except (AssociationEnded, OSError) as error:
            self.tally.trouble(str(error) if isinstance(error, AssociationEnded) else "connection lost", guest.address)
        except Exception as error:  # noqa: BLE001  a fault of ours ends this association, is counted, and no other
            self.tally.trouble(f"a fault of ours ({type(error).__name__})", guest.address)
        finally:
            with self._lock:
                if serving is not None:
                    self._serving.pop(serving, None)
            self._left(guest.address)
            guest.connection.close()

    def _agreed(self, association: Association, guest: _Guest, asked: Pdu) -> Serving | None:
        """None: it was rejected, or aborted."""
        try:
            request = read_request(asked)
        except PduMalformed as error:
            self.tally.turned(str(error), guest.address)
            association.abort(INVALID)
            return None
        caller = Caller(request.calling, request.called, guest.address, *_shown(guest.connection))
        rejection = _not_ours(request) or self._services.admit(caller)
        if rejection is not None:
            self.tally.turned(str(rejection), caller.sender)
            association.send(written_rejection(rejection))
            association.leave(LAST_WORD)
            return None
        commits = self._services.offers_commitment
        agreed = answer(
            request, is_served, roles={STORAGE_COMMITMENT: (commits, not commits)}, window=self._limits.window
        )
        association.max_length = request.information.max_length
        serving = Serving(association, caller, request, agreed, self._services, self._limits, self.tally)
        with self._lock:
            self._serving[serving] = threading.current_thread()
        if self._ending.is_set():
            serving.end()
        self.tally.associated()
        association.send(written_answer(agreed))
        return serving


def _not_ours(request: AssociateRequest) -> Rejection | None:
    """What the protocol itself rejects."""
    if not request.is_version_1:
        return NO_SUCH_VERSION
    return None if request.application_context == APPLICATION_CONTEXT else NO_APPLICATION_CONTEXT


def _shown(connection: socket.socket) -> tuple[str, str]:
    """Common name and SHA-256 of the certificate that the peer has shown; empty where it has none."""
    raw = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None
    if not raw:
        return "", ""
    subject: Any = (connection.getpeercert() or {}).get("subject", ())  # type: ignore[attr-defined]
    names = [value for part in subject for key, value in part if key == "commonName"]
    return (names[0] if names else ""), sha256(raw).hexdigest()
