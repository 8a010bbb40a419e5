"""A region's `HIPMessageServer` over SOAP (exchange.md §1–4): registrations, business messages, documents.

    200 and AA for our message                   ACCEPTED
    AE AR, in whatever stands inside             REFUSED with all reasons
    200 and nothing that says yes or no          unanswered: it may be there; the same message id goes again
    a SOAP fault that no pattern knows           RefusedWhole: whether it is the document's fault, others will tell
    408 429 503                                  retry
    502 504, cut, time-out                       unanswered
    401 403 404 405 3xx, TLS                     NotAllowed

One document per request. What stands in an envelope, and what an answer means, is made elsewhere: here it is carried.
"""

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from connectors.outlets import LONGEST_ASKING, Around, DocumentUnreadable, Feedback, OpenedDocument, each
from connectors.outlets.http import Answer, HttpEdge, Tls, Unanswered
from frontend_agent.config_outlets import HipOutlet
from frontend_agent.delivery import SignedReply
from frontend_agent.errors import NotAllowed, RefusedWhole
from frontend_agent.model import Document, Outcome, Receipt

NONCE = 16


class Request(Protocol):
    """One request before its envelope."""

    @property
    def action(self) -> str: ...
    @property
    def id(self) -> str: ...


class Answered(NamedTuple):
    """What an answer means; None: nothing in it says so."""

    outcome: Outcome | None
    reasons: tuple[str, ...] = ()


class Maker(Protocol):
    """Makes requests and reads answers; DocumentUnreadable where the dialect has no request for a document."""

    def request(self, opened: OpenedDocument, /) -> Any: ...
    def question(self, opened: OpenedDocument, /) -> Any: ...
    def envelope(self, request: Any, secret: str, now: datetime, nonce: bytes, /) -> bytes: ...
    def answered(self, request: Any, status: int, body: bytes, charset: str, /) -> Any: ...
    def is_fault(self, status: int, body: bytes, charset: str, /) -> str: ...
    def told(self, opened: OpenedDocument, status: int, body: bytes, charset: str, /) -> Any: ...


class HipEdge:
    """One region's service. One exchange at a time."""

    at_once = 1

    def __init__(self, name: str, options: HipOutlet, around: Around, maker: Maker) -> None:
        self.name = name
        self._options = options
        self._around = around
        self._maker = maker
        self._http = HttpEdge(name, Tls(options.certificate, options.key, options.ca), options.timeout)
        self._zone = ZoneInfo(around.timezone)
        self.not_asked: frozenset[str] = frozenset()

    # --- sending

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]:
        """One request per document."""
        return list(each(documents, self._send_one))

    def take_replies(self) -> Sequence[SignedReply]:
        """It signs nothing."""
        return []

    def _send_one(self, document: Document) -> Receipt:
        opened = self._around.opened(document)
        request = self._maker.request(opened)
        try:
            answer = self._ask(request)
        except Unanswered as error:
            return Receipt(document.document_id, Outcome.UNANSWERED, reasons=(str(error),))
        outcome, reasons = self._meaning(request, answer)
        return Receipt(document.document_id, outcome, reasons=reasons)

    def _ask(self, request: Request) -> Answer:
        now = self._around.clock().astimezone(UTC if self._options.username else self._zone)
        secret = self._around.secret(self._options.secret) if self._options.secret else ""
        body = self._maker.envelope(request, secret, now, secrets.token_bytes(NONCE))
        return self._http.ask("POST", self._options.url, body, self._headers())

    def _headers(self) -> dict[str, str]:
        action = self._options.soap_action or _soap_action(self._options.namespace, self._options.operation)
        if self._options.soap == "1.1":
            return {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        return {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}

    def _meaning(self, request: Request, answer: Answer) -> tuple[Outcome, tuple[str, ...]]:
        said = self._maker.answered(request, answer.status, answer.body, answer.charset)
        status = f"the platform answered {answer.status}"
        if said.outcome is not None and (answer.status == 200 or said.outcome is not Outcome.ACCEPTED):
            return said.outcome, tuple(said.reasons)
        if answer.status in (408, 429, 503):
            return Outcome.RETRY, (status,)
        if answer.status in (502, 504):
            return Outcome.UNANSWERED, (status,)
        if answer.status in (401, 403, 404, 405, 407, 415) or 300 <= answer.status < 400:
            raise NotAllowed(f"{self.name}: {status}: look at url, soap and the token")
        if fault := self._maker.is_fault(answer.status, answer.body, answer.charset):
            raise RefusedWhole(f"{self.name}: SOAP fault: {fault[:300]}")
        if answer.status != 200:
            raise RefusedWhole(f"{self.name}: {status}")
        return Outcome.UNANSWERED, tuple(said.reasons)

    # --- asking what became of them

    @property
    def asks_every(self) -> timedelta | None:
        return self._options.ask_every if self._options.confirm else None

    @property
    def asks_first(self) -> timedelta:
        return self._options.ask_first

    @property
    def asks_until(self) -> timedelta:
        return self._options.retention

    def ask(self, documents: Sequence[Document], /) -> Sequence[Feedback]:
        """Each by a question of its own. Registrations are not asked for: what is stored of them has no name there."""
        found: list[Feedback] = []
        self.not_asked = frozenset()
        ends = time.monotonic() + LONGEST_ASKING
        for at, document in enumerate(documents):
            if time.monotonic() > ends:
                self.not_asked = frozenset(one.document_id for one in documents[at:])
                break
            try:
                opened = self._around.opened(document)
                question = self._maker.question(opened)
            except DocumentUnreadable:
                continue
            try:
                answer = self._ask(question)
            except Unanswered:
                continue  # its turn comes again; the others are asked
            told = self._maker.told(opened, answer.status, answer.body, answer.charset)
            if told is not None:
                reasons = (told.reason,) if told.reason else ()
                found.append(
                    Feedback(document.document_id, told.stored, reasons, told.again, f"{question.action}: {told.how}")
                )
        return found

    def heard(self, told_by: str, /) -> None:
        """Nothing is moved away here."""

    def probe(self) -> None:
        """Whether somebody listens there, TLS holds, and the secret is to be had."""
        if self._options.secret:
            self._around.secret(self._options.secret)
        self._http.probe(self._options.url)


def _soap_action(namespace: str, operation: str) -> str:
    """As services made with the usual tools call an operation: namespace, a slash (a colon after a URN), name."""
    return f"{namespace.rstrip('/')}/{operation}" if "//" in namespace else f"{namespace}:{operation}"
