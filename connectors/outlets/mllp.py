"""HL7 v2 over MLLP to a platform that takes it: one connection that stays, and for each message the answer to it.

What its answers mean (MSA-1), for a document all of whose messages were sent:

    AA CA                ACCEPTED; with `answer = "application"` CA is waited on, and AA decides
    AE CE                REFUSED with its reasons, or RETRY where the settings say so (`error`)
    AR CR                REFUSED with its reasons
    none in `timeout`, cut, nothing that can be read   UNANSWERED: the connection is closed, for a late answer would be taken for another's
    not sent any more    UNREACHABLE

A message has the same control id (MSH-10) and the same bytes however often it is sent, so a receiver that knows it has one effect.
"""

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from connectors.mllp.framing import Framer, Message, framed
from connectors.outlets import Around, DocumentUnreadable, OpenedDocument
from connectors.outlets.http import Tls, tls_context
from connectors.trust import tls_problem
from frontend_agent.config_outlets import MllpOutlet
from frontend_agent.delivery import SignedReply
from frontend_agent.er7 import Answer, Decoded, MessageUnreadable, Said, Stage, decode, read_answer
from frontend_agent.errors import DestinationUnreachable, NotAllowed
from frontend_agent.model import Document, Outcome, Receipt

PORT = 2575  # IANA: hl7
AT_ONCE = 16  # documents per call, so that what is answered is settled soon
LARGEST_ANSWER = 1 << 20


class Made(Protocol):
    """One message of a document."""

    @property
    def name(self) -> str: ...
    @property
    def control_id(self) -> str: ...
    @property
    def content(self) -> bytes: ...


Maker = Callable[[OpenedDocument], Sequence[Made]]  # DocumentUnreadable for a document of which no message can be made


class _Cut(Exception):
    """The connection ended, or its time was over."""


class _Journey:
    """One document: its messages that are not answered yet, and what was said."""

    def __init__(self, document: Document, messages: Sequence[Made]) -> None:
        self.document = document
        self.open = {message.control_id: message for message in messages}
        self.sent: set[str] = set()
        self.outcomes: list[Outcome] = []
        self.reasons: list[str] = []

    def receipt(self) -> Receipt:
        """The worst that was said decides."""
        if self.open:
            self.outcomes.append(Outcome.UNANSWERED if self.sent else Outcome.UNREACHABLE)
            self.reasons.append("no answer to a message that was sent" if self.sent else "not sent any more")
        worst = (Outcome.REFUSED, Outcome.UNANSWERED, Outcome.UNREACHABLE, Outcome.RETRY, Outcome.ACCEPTED)
        outcome = next(one for one in worst if one in self.outcomes)
        return Receipt(self.document.document_id, outcome, reasons=tuple(self.reasons))


class MllpEdge:
    """One receiver. One exchange at a time, by one thread."""

    def __init__(self, name: str, options: MllpOutlet, around: Around, make: Maker) -> None:
        self.name = name
        self._options, self._opened, self._make = options, around.opened, make
        self._seconds = options.timeout.total_seconds()
        self._most = max(int(options.outstanding), 1)
        self.at_once = max(AT_ONCE, self._most)
        parts = urlsplit(options.url)
        self._address = (parts.hostname or "", parts.port or PORT)
        is_tls = parts.scheme == "mllps"
        self._tls = tls_context(name, Tls(options.certificate, options.key, options.ca)) if is_tls else None
        self._socket: socket.socket | None = None
        self._framer = Framer(LARGEST_ANSWER)

    # -- as an outlet

    def send(self, documents: Sequence[Document]) -> Sequence[Receipt]:
        """One receipt per document. DestinationUnreachable: no connection. NotAllowed: TLS."""
        told: dict[str, Receipt] = {}
        journeys = []
        for document in documents:
            try:
                journeys.append(_Journey(document, self._make(self._opened(document))))
            except DocumentUnreadable as error:
                told[document.document_id] = Receipt(document.document_id, Outcome.REFUSED, reasons=(str(error),))
        if journeys:
            self._connect()
            try:
                self._exchange(journeys)
            except _Cut:
                self.close()
        told.update((one.document.document_id, one.receipt()) for one in journeys)
        return [told[document.document_id] for document in documents]

    def take_replies(self) -> Sequence[SignedReply]:
        """Nothing is signed."""
        return ()

    def probe(self) -> None:
        """Connect, shake hands, and go: DestinationUnreachable or NotAllowed."""
        self._connect()
        self.close()

    def close(self) -> None:
        """What came late is not listened to any more."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._framer = None, Framer(LARGEST_ANSWER)

    # -- the connection

    def _connect(self) -> None:
        if self._socket is not None and not self._is_stale(self._socket):
            return
        self.close()
        host, port = self._address
        try:
            raw = socket.create_connection(self._address, self._seconds)
        except OSError as error:
            raise DestinationUnreachable(f"{self.name}: no connection to {host} port {port}") from error
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = self._tls.wrap_socket(raw, server_hostname=host) if self._tls else raw
        except ssl.SSLError as error:
            raw.close()
            raise NotAllowed(f"{self.name}: TLS failed: {tls_problem(error)}") from error
        except OSError as error:
            raw.close()
            raise DestinationUnreachable(f"{self.name}: {host} port {port} ended the connection at once") from error

    def _is_stale(self, connection: socket.socket) -> bool:
        """Whether it was closed while nothing was sent; whatever else came meanwhile answers nothing of now."""
        try:
            while select.select([connection], [], [], 0)[0]:
                if not connection.recv(65_536):
                    return True
        except (OSError, ValueError):
            return True
        return False

    # -- one exchange

    def _exchange(self, journeys: Iterable[_Journey]) -> None:
        """Send, so many at a time; read answers until all are there. _Cut when that goes no further."""
        waiting = deque((journey, message) for journey in journeys for message in tuple(journey.open.values()))
        under_way: dict[str, _Journey] = {}
        deadline = 0.0
        while waiting or under_way:
            while waiting and len(under_way) < self._most:
                journey, message = waiting.popleft()
                journey.sent.add(message.control_id)
                under_way[message.control_id] = journey
                self._write(framed(message.content))
                deadline = time.monotonic() + self._seconds
            for answer in self._answers(deadline):
                if self._settle(answer, under_way):
                    deadline = time.monotonic() + self._seconds

    def _write(self, data: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.settimeout(self._seconds)
            self._socket.sendall(data)
        except OSError as error:
            raise _Cut from error

    def _answers(self, deadline: float) -> list[Answer]:
        """What comes next, if it can be read; silence after a bare FS ends a frame."""
        assert self._socket is not None
        left = deadline - time.monotonic()
        if left <= 0:
            raise _Cut
        try:
            self._socket.settimeout(min(left, 0.5) if self._framer.is_waiting else left)
            data = self._socket.recv(65_536)
        except TimeoutError:
            events = self._framer.settle()
        except OSError as error:
            raise _Cut from error
        else:
            events = self._framer.receive(data) if data else self._framer.close()
            if not data and not events:
                raise _Cut
        return [found for event in events if isinstance(event, Message) and (found := _read(event.content))]

    def _settle(self, answer: Answer, under_way: dict[str, _Journey]) -> bool:
        """Whether it was the answer to something that is under way."""
        control_id = answer.control_id.strip()
        if not control_id and len(under_way) == 1:  # some say only yes or no
            control_id = next(iter(under_way))
        journey = under_way.get(control_id)
        if journey is None:
            return False
        is_kept = answer.stage is Stage.ACCEPT and answer.said is Said.ACCEPTED
        if is_kept and self._options.answer == "application":
            return True  # the answer that counts is still to come
        del under_way[control_id]
        message = journey.open.pop(control_id)
        journey.outcomes.append(self._outcome(answer.said))
        if answer.said is not Said.ACCEPTED:
            code = f"{answer.stage}{answer.said}"
            journey.reasons += [f"{message.name}: {code}: {reason}" for reason in answer.reasons] or [
                f"{message.name}: {code}, without a reason"
            ]
        return True

    def _outcome(self, said: Said) -> Outcome:
        if said is Said.ACCEPTED:
            return Outcome.ACCEPTED
        return Outcome.RETRY if said is Said.FAILED and self._options.error == "retry" else Outcome.REFUSED


def _read(content: bytes) -> Answer | None:
    """None for what is no acknowledgement, or in no known set but for its codes."""
    found = decode(content)
    text = found.text if isinstance(found, Decoded) else content.decode("ascii", "backslashreplace")
    try:
        return read_answer(text)
    except MessageUnreadable:
        return None
