"""XDS.b: documents to a repository by ITI-41, and asked for at its registry by ITI-18.

One document per submission. What its answers mean:

    Success                                   accepted
    PartialSuccess, Failure                   refused with every RegistryError; busy: retry
    XDSDuplicateUniqueIdInRegistry            it is there: the same, if the registry says the same hash, or is not asked
    fault of the receiver                     retry
    fault of the sender, nonsense             RefusedWhole: of this one document, or of all

A registry that has a document entry with our unique id, our SHA-1 and our size knows these very bytes: nobody can make
others with the same SHA-1 of bytes that we made (a second preimage), though one who makes both could (a collision). It is
the registry's word about what the repository told it, and not the bytes.
"""

import base64
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from connectors.outlets import Around, DocumentUnreadable, Feedback, OpenedDocument, each
from connectors.outlets.http import Answer, HttpEdge, Tls, Unanswered
from connectors.outlets.mtom import SOAP, envelope_in, packed
from frontend_agent.config_outlets import XdsOutlet
from frontend_agent.delivery import SignedReply
from frontend_agent.dialects.ebxml import (
    ASK,
    PROVIDE,
    SUCCESS,
    Entry,
    Fault,
    Registered,
    Response,
    Unreadable,
    get_documents,
    provide,
    read_answer,
    read_documents,
)
from frontend_agent.errors import DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.model import Document, Outcome, Receipt

DUPLICATE = "XDSDuplicateUniqueIdInRegistry"
ASKED_AT_ONCE = 50


class Describer(Protocol):
    """Makes the metadata of documents."""

    def entry(self, opened: OpenedDocument, now: datetime, /) -> Entry | str:
        """The metadata, or why there are none."""

    def unique_id(self, document_id: str, /) -> str: ...


class XdsEdge:
    """One repository, and its registry where it may be asked. One exchange at a time."""

    at_once = 1

    def __init__(self, name: str, options: XdsOutlet, around: Around, describer: Describer) -> None:
        self.name = name
        self._options = options
        self._around = around
        self._describer = describer
        self._http = HttpEdge(name, Tls(options.certificate, options.key, options.ca), options.timeout)

    # --- sending

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]:
        """A submission for each."""
        return list(each(documents, self._one))

    def take_replies(self) -> Sequence[SignedReply]:
        """It signs nothing."""
        return []

    def _one(self, document: Document) -> Receipt:
        opened = self._around.opened(document)
        entry = self._describer.entry(opened, self._around.clock())
        if isinstance(entry, str):
            return Receipt(document.document_id, Outcome.REFUSED, reasons=(entry,))
        return self.submit(document.document_id, entry, opened.content)

    def submit(self, document_id: str, entry: Entry, content: bytes) -> Receipt:
        """One submission, of whatever the entry says. RefusedWhole, NotAllowed: as `send`."""
        try:
            answer = self._provide(entry, content)
        except Unanswered as error:
            return Receipt(document_id, Outcome.UNANSWERED, reasons=(str(error),))
        return self._receipt(document_id, entry, answer)

    def shows(self, entry: Entry) -> bool:
        """Whether the registry shows it, with our hash and size. DestinationUnreachable, NotAllowed."""
        known = self._registered([entry.unique_id]).get(entry.unique_id)
        return known is not None and bool(known.hash) and _same(known, entry)

    def _provide(self, entry: Entry, content: bytes) -> Answer:
        url = self._options.url
        message_id = f"urn:uuid:{uuid.uuid4()}"
        if self._options.attach == "mtom":
            content_id = f"{entry.entry_uuid.rpartition(':')[2]}@frontend-agent"
            envelope = provide(entry, url, message_id, content_id, by_reference=True)
            beside = packed(envelope, PROVIDE, content_id, content, entry.mime_type)
            return self._http.ask("POST", url, beside.body, {"Content-Type": beside.content_type})
        encoded = base64.b64encode(content).decode()
        envelope = provide(entry, url, message_id, encoded, by_reference=False)
        return self._http.ask("POST", url, envelope, {"Content-Type": _soap(PROVIDE)})

    def _receipt(self, document_id: str, entry: Entry, answer: Answer) -> Receipt:
        if answer.status in (401, 403, 404, 405, 407, 415) or 300 <= answer.status < 400:
            raise NotAllowed(f"{self.name}: {self._options.url} answered {answer.status}: address, certificate or MTOM")
        if answer.status in (408, 429, 502, 503, 504):
            outcome = Outcome.UNANSWERED if answer.status in (502, 504) else Outcome.RETRY
            return Receipt(document_id, outcome, reasons=(f"the repository answered {answer.status}",))
        try:
            said = read_answer(envelope_in(answer.headers.get("content-type", ""), answer.body))
        except (Unreadable, ValueError) as error:
            if answer.status == 200:
                return Receipt(document_id, Outcome.UNANSWERED, reasons=(f"an answer nobody can read: {error}",))
            raise RefusedWhole(f"{self.name}: the repository answered {answer.status}: {error}") from error
        if isinstance(said, Fault):
            if said.code == "Receiver":
                return Receipt(document_id, Outcome.RETRY, reasons=(f"fault: {said.reason}",))
            raise RefusedWhole(f"{self.name}: fault {said.code}: {said.reason}")
        return self._judged(document_id, entry, said)

    def _judged(self, document_id: str, entry: Entry, said: Response) -> Receipt:
        reasons = tuple(str(one) for one in said.errors)
        errors = [one for one in said.errors if not one.warning]
        if said.status == SUCCESS and not errors:  # an error inside a Success is an error
            return Receipt(document_id, Outcome.ACCEPTED, reasons=reasons)  # warnings
        if errors and all(one.code == DUPLICATE for one in errors):
            return self._there_already(document_id, entry, reasons)
        if errors and all(one.code in self._options.retry_codes for one in errors):
            return Receipt(document_id, Outcome.RETRY, reasons=reasons)
        return Receipt(
            document_id,
            Outcome.REFUSED,
            reasons=reasons or (f"{said.status.rpartition(':')[2]} without a reason",),
        )

    def _there_already(self, document_id: str, entry: Entry, reasons: tuple[str, ...]) -> Receipt:
        """Our own submission whose answer was lost, unless the registry says other bytes."""
        if not self._options.registry_url:
            return Receipt(document_id, Outcome.ACCEPTED, reasons=reasons)
        known = self._registered([entry.unique_id]).get(entry.unique_id)
        if known is None or not _same(known, entry):
            other = "another document is registered under this id" if known else "the registry does not show it"
            return Receipt(document_id, Outcome.REFUSED, reasons=(*reasons, other))
        return Receipt(document_id, Outcome.ACCEPTED, reasons=reasons)

    # --- asking

    @property
    def asks_every(self) -> timedelta | None:
        return self._options.ask_every if self._options.registry_url else None

    @property
    def asks_first(self) -> timedelta:
        return self._options.ask_first

    @property
    def asks_until(self) -> timedelta:
        return self._options.ask_until

    def ask(self, documents: Sequence[Document], /) -> Sequence[Feedback]:
        """Whether the registry has them, with our hash and size. Silence about what it does not have (yet)."""
        entries: dict[str, tuple[Document, Entry]] = {}
        for document in documents:
            try:
                entry = self._describer.entry(self._around.opened(document), self._around.clock())
            except DocumentUnreadable:
                continue
            if not isinstance(entry, str):
                entries[entry.unique_id] = (document, entry)
        found: list[Feedback] = []
        ids = list(entries)
        for start in range(0, len(ids), ASKED_AT_ONCE):
            for unique_id, known in self._registered(ids[start : start + ASKED_AT_ONCE]).items():
                if unique_id in entries and known.hash:
                    document, entry = entries[unique_id]
                    same = _same(known, entry)
                    reasons = () if same else ("the registry has another document under this id: other hash or size",)
                    found.append(Feedback(document.document_id, same, reasons, told_by=f"registry, SHA-1 {known.hash}"))
        return found

    def heard(self, told_by: str, /) -> None:
        """Nothing is moved away here."""

    def _registered(self, unique_ids: Sequence[str]) -> dict[str, Registered]:
        url = self._options.registry_url
        envelope = get_documents(unique_ids, url, f"urn:uuid:{uuid.uuid4()}")
        try:
            answer = self._http.ask("POST", url, envelope, {"Content-Type": _soap(ASK)})
            if answer.status in (401, 403, 404, 405) or 300 <= answer.status < 400:
                raise NotAllowed(f"{self.name}: {url} answered {answer.status}")
            known = read_documents(envelope_in(answer.headers.get("content-type", ""), answer.body))
        except (Unanswered, Unreadable, ValueError) as error:
            raise DestinationUnreachable(f"{self.name}: the registry was asked: {error}") from error
        return {one.unique_id: one for one in known}

    def probe(self) -> None:
        """Does somebody listen there, and, where it may be asked, does the registry answer? Sends no document."""
        self._http.probe(self._options.url)
        if self._options.registry_url:
            self._registered([self._describer.unique_id("probe")])


def _same(known: Registered, entry: Entry) -> bool:
    return known.hash == entry.hash and known.size in ("", str(entry.size))


def _soap(action: str) -> str:
    return f'{SOAP}; charset=UTF-8; action="{action}"'
