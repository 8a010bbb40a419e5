"""`wsn`: a subscription at the hospital's NotificationProducer, and the NotificationConsumer that it sends to.

OASIS WS-BaseNotification 1.3 (wsn/b-2) over SOAP with WS-Addressing 1.0:

    Subscribe (4.2) ─▶ Renew at half of its term (6.1.1) ─▶ … ─▶ Unsubscribe at the end (6.1.2)
         ▲                 │ refused, or too late
         └─────────────────┘
    Notify (3.2) ─▶ each message by itself ─▶ kept ─▶ 202

What is sent while there is no subscription is not sent again: the standard has no way to ask for it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import random
from typing import Any
from uuid import uuid4

import msgspec
from lxml import etree

from connectors.arrivals import Arrived, Inlet, Keep, Kept
from connectors.fetching.answers import AnswerRefused, alone, unwrapped
from connectors.fetching.calling import Caller, Request, origin, place
from connectors.fetching.credentials import Credentials
from connectors.fetching.soap import SOAP_11, SOAP_12, payload_of
from connectors.fetching.templates import in_xml
from connectors.web.envelope import Fault, NotSoap, faulted, media_type, name_of, opened
from connectors.web.exchange import Ending, Head, Offered, Response
from connectors.web.exchange import Request as Asked
from frontend_agent.errors import ConfigurationError, FrontendAgentError, SourceError, SourceRefused
from frontend_agent.logs import event, failed, log
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import xml_tree

WSNT = "http://docs.oasis-open.org/wsn/b-2"
WSA = "http://www.w3.org/2005/08/addressing"
ACTION = "http://docs.oasis-open.org/wsn/bw-2"
ANONYMOUS = f"{WSA}/anonymous"
LARGEST = 1 << 20  # bytes of an answer to Subscribe or Renew
MOST = 10_000  # messages in one Notify
SHORTEST, LONGEST = 5.0, 300.0  # seconds after a failure, before chance adds up to a half
LEAST_TERM = 10.0  # seconds: a shorter one is renewed all the time


@dataclass(frozen=True, kw_only=True)
class WsnOptions:
    """What is subscribed to, and for how long each time."""

    url: str  # of the producer
    address: str  # where the producer reaches our consumer
    topic: str = ""
    dialect: str = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete"
    namespaces: tuple[tuple[str, str], ...] = ()  # prefixes in the topic
    content: str = ""  # XPath that a message must meet, judged by the producer
    term: timedelta = timedelta(hours=1)
    as_time: bool = False  # the term as a moment; else as a duration
    manager: str = ""  # of subscriptions, when the address that the producer tells cannot be reached
    version: str = "1.1"


class Term(msgspec.Struct, frozen=True):
    """A subscription that the producer has taken."""

    address: str  # of its manager
    parameters: tuple[bytes, ...]  # ReferenceParameters, which every request to the manager repeats
    seconds: float  # until it ends


class Subscriber:
    """Subscribes, renews, unsubscribes. Its listener is there before the first Subscribe, and after Unsubscribe."""

    def __init__(
        self,
        name: str,
        options: WsnOptions,
        listener: Inlet,
        caller: Caller,
        credentials: Credentials,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random,
    ) -> None:
        self.name = name
        self._options, self._listener = options, listener
        self._caller, self._credentials = caller, credentials
        self._clock, self._monotonic, self._chance = clock, monotonic, chance
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._term: Term | None = None
        self._ends = 0.0  # monotonic: when the subscription does
        self._subscriptions = self._renewals = 0
        self._until, self._problem = "", ""

    # -- an inlet

    def start(self) -> None:
        self._listener.start()
        self._stopping = False
        self._wake.clear()
        self._thread = threading.Thread(target=self._run, name=f"inlet-{self.name}", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience)
            if self._thread.is_alive():
                self._caller.cut()
                self._thread.join(5.0)
        self._listener.stop(patience)
        self._caller.close()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and self._listener.is_alive()

    def probe(self) -> None:
        """Whether our port is free and the producer answers at all. Subscribes to nothing."""
        self._listener.probe()
        self._caller.ask(self._credentials.shown(Request("GET", f"{self._options.url}?wsdl")))

    def told(self) -> dict[str, Any]:
        told = self._listener.told()
        mine = {
            "subscribed_until": self._until,
            "subscriptions": self._subscriptions,
            "renewals": self._renewals,
            "producer": place(self._options.url),
        }
        return {**told, **mine, **({"problem": self._problem} if self._problem else {})}

    # -- the thread

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                wait, failures, self._problem = self.keep_on(), 0, ""
            except FrontendAgentError as error:
                failures += 1
                wait = self._failed(failures, str(error))
            except Exception as error:  # noqa: BLE001  a fault of ours must not end the subscription: it is logged and tried again
                failures += 1
                wait = self._failed(failures, failed("inlet.crashed", error))
            self._wake.wait(wait)
        self._unsubscribe()

    def keep_on(self) -> float:
        """Subscribe, or renew. Returns after how many seconds it is time again; raises what went wrong."""
        if self._term is not None and self._monotonic() >= self._ends:
            self._lost("its term is over")
        if self._term is not None:
            try:
                self._term = self._renewed(self._term)
            except (AnswerRefused, SourceRefused) as error:
                self._lost(str(error))
        if self._term is None:
            self._term = self._subscribed()
        self._ends = self._monotonic() + self._term.seconds
        self._until = (self._clock() + timedelta(seconds=self._term.seconds)).isoformat(timespec="seconds")
        return self._term.seconds / 2

    def _failed(self, failures: int, problem: str) -> float:
        wait = min(LONGEST, SHORTEST * 2.0 ** min(failures - 1, 10)) * (1 + self._chance() / 2)
        self._problem = problem
        log.warning(event("inlet.failed", inlet=self.name, failures=failures, wait=wait, problem=problem))
        return wait

    def _lost(self, why: str) -> None:
        log.warning(event("inlet.subscription_lost", inlet=self.name, problem=why))
        self._term, self._until = None, ""

    # -- what is asked

    def _subscribed(self) -> Term:
        answer = self._asked(self._options.url, "NotificationProducer/SubscribeRequest", self._subscribe(), ())
        reference = answer.find(f"{{{WSNT}}}SubscriptionReference")
        address = _text(reference, f"{{{WSA}}}Address") if reference is not None else ""
        if reference is None or not (address or self._options.manager):
            raise SourceError(f"inlet {self.name}: the answer to Subscribe names no subscription")
        parameters = reference.find(f"{{{WSA}}}ReferenceParameters")
        written = tuple(etree.tostring(one, with_tail=False) for one in parameters) if parameters is not None else ()
        self._subscriptions += 1
        return Term(self._manager(address), written, self._seconds(answer))

    def _renewed(self, term: Term) -> Term:
        body = f'<wsnt:Renew xmlns:wsnt="{WSNT}"><wsnt:TerminationTime>{self._asked_term()}</wsnt:TerminationTime></wsnt:Renew>'
        answer = self._asked(term.address, "SubscriptionManager/RenewRequest", body, term.parameters)
        self._renewals += 1
        return msgspec.structs.replace(term, seconds=self._seconds(answer))

    def _unsubscribe(self) -> None:
        term, self._term, self._until = self._term, None, ""
        if term is None:
            return
        body = f'<wsnt:Unsubscribe xmlns:wsnt="{WSNT}"/>'
        try:
            self._asked(term.address, "SubscriptionManager/UnsubscribeRequest", body, term.parameters)
        except (FrontendAgentError, Unreadable) as error:
            # It ends by itself when its term is over.
            log.warning(event("inlet.not_unsubscribed", inlet=self.name, problem=str(error)))

    def _subscribe(self) -> str:
        options = self._options
        prefixes = "".join(f' xmlns:{name}="{in_xml(url)}"' for name, url in options.namespaces)
        topic = f'<wsnt:TopicExpression Dialect="{in_xml(options.dialect)}"{prefixes}>{in_xml(options.topic)}</wsnt:TopicExpression>'
        content = f'<wsnt:MessageContent Dialect="http://www.w3.org/TR/1999/REC-xpath-19991116"{prefixes}>{in_xml(options.content)}</wsnt:MessageContent>'  # fmt: skip
        inner = (topic if options.topic else "") + (content if options.content else "")
        return (
            f'<wsnt:Subscribe xmlns:wsnt="{WSNT}"><wsnt:ConsumerReference><wsa:Address xmlns:wsa="{WSA}">'
            f"{in_xml(options.address)}</wsa:Address></wsnt:ConsumerReference>"
            + (f"<wsnt:Filter>{inner}</wsnt:Filter>" if inner else "")
            + f"<wsnt:InitialTerminationTime>{self._asked_term()}</wsnt:InitialTerminationTime></wsnt:Subscribe>"
        )

    def _asked_term(self) -> str:
        """xsd:duration, or xsd:dateTime where the producer takes nothing else (AbsoluteOrRelativeTimeType)."""
        if self._options.as_time:
            return (self._clock() + self._options.term).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"PT{int(self._options.term.total_seconds())}S"

    def _asked(self, url: str, action: str, body: str, parameters: Sequence[bytes]) -> Any:
        """The payload of the answer to a request."""
        options = self._options
        namespace = SOAP_12 if options.version == "1.2" else SOAP_11
        action = f"{ACTION}/{action}"
        head = (
            f"<wsa:To>{in_xml(url)}</wsa:To><wsa:Action>{action}</wsa:Action><wsa:MessageID>urn:uuid:{uuid4()}</wsa:MessageID>"
            f"<wsa:ReplyTo><wsa:Address>{ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
        )
        # WS-Addressing 1.0 SOAP binding 2.4: reference parameters come back as header blocks.
        head += "".join(_marked(one) for one in parameters)
        envelope = (
            f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{namespace}" xmlns:wsa="{WSA}">'
            f"<soap:Header>{head}</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>"
        ).encode()
        if options.version == "1.2":
            headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        else:
            headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        answer = self._caller.ask(self._credentials.shown(Request("POST", url, headers, envelope)))
        payload = payload_of(answer, self.name, LARGEST)
        try:
            return xml_tree(payload, LARGEST) if payload else etree.Element("nothing")
        except Unreadable as error:
            raise SourceError(f"inlet {self.name}: the answer of the producer is {error}") from None

    def _manager(self, address: str) -> str:
        """Where the subscription is kept: by settings, or as the producer says if that is at its own origin (threat C5)."""
        if self._options.manager:
            return self._options.manager
        try:
            ours = origin(address) == origin(self._options.url)
        except ConfigurationError:
            ours = False
        if not ours:
            raise SourceRefused(
                f"inlet {self.name}: the producer names a manager of subscriptions that is not at {place(self._options.url)}:"
                " if that is right, name it as `manager`"
            )
        return address

    def _seconds(self, answer: Any) -> float:
        """How long the subscription lasts: by the producer's own two times, so that its clock may differ from ours."""
        ends, now = (
            _moment(_text(answer, f"{{{WSNT}}}TerminationTime")),
            _moment(_text(answer, f"{{{WSNT}}}CurrentTime")),
        )
        if ends is None:
            return max(LEAST_TERM, self._options.term.total_seconds())
        return max(LEAST_TERM, (ends - (now or self._clock())).total_seconds())


def _marked(parameter: bytes) -> str:
    element = xml_tree(parameter, LARGEST)
    element.set(f"{{{WSA}}}IsReferenceParameter", "true")
    return str(etree.tostring(element, encoding="unicode"))


def _text(element: Any, path: str) -> str:
    found = element.find(path)
    return (found.text or "").strip() if found is not None else ""


def _moment(text: str) -> datetime | None:
    """An xsd:dateTime; without an offset it is UTC, as both times of an answer are read the same way. None for nothing."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# -- the consumer


class NotifyService:
    """Reads Notify without I/O (`connectors.web.exchange.Service`)."""

    def __init__(self, name: str, largest: int) -> None:
        self.name, self.largest = name, largest

    def admit(self, head: Head) -> Response | None:
        if head.method != "POST":
            return Response(405, b"POST\n", headers=(("Allow", "POST"),), why="not a POST")
        return None

    def read(self, request: Asked) -> Response | Offered:
        """The whole request is offered: `splitting` makes its messages of it."""
        arrived = Arrived(self.name, request.body, request.head.at, sender=request.head.sender, about="Notify")
        version = "1.2" if request.head.media_type == "application/soap+xml" else "1.1"
        try:
            notified(request.body, self.largest)
        except NotSoap as error:
            return faulted(str(error), error.fault, error.version or version)
        except Unreadable as error:
            unreadable = msgspec.structs.replace(arrived, unreadable=(str(error),))
            return Offered(unreadable, lambda ending: faulted("; ".join(ending.told), Fault.SENDER, version))
        return Offered(arrived, lambda ending: _acknowledged(ending, version))


def _acknowledged(ending: Ending, version: str) -> Response:
    """Notify is answered by nothing but 202, or a fault."""
    if ending.is_accepted:
        return Response(202, b"", media_type(version))
    return faulted("; ".join(ending.told), Fault.RECEIVER if ending.is_transient else Fault.SENDER, version)


class Notified(msgspec.Struct, frozen=True):
    """One NotificationMessage: its topic, and what it holds."""

    topic: str
    body: bytes


def notified(content: bytes, largest: int) -> list[Notified]:
    """The messages of a Notify. NotSoap and Unreadable say why there are none."""
    envelope = opened(xml_tree(content, largest), (), ("1.1", "1.2"))
    if name_of(envelope.payload) != (WSNT, "Notify"):
        raise NotSoap("a Notify of wsn/b-2 is taken here, and nothing else", version=envelope.version)
    found = []
    for one in envelope.payload.iterfind(f"{{{WSNT}}}NotificationMessage"):
        message = one.find(f"{{{WSNT}}}Message")
        if message is None:
            raise NotSoap("a NotificationMessage without a Message", version=envelope.version)
        inner = [child for child in message if isinstance(child.tag, str)]
        body = alone(inner[0]) if inner else unwrapped(message.text or "", True)
        found.append(Notified(_text(one, f"{{{WSNT}}}Topic"), body))
    if not found or len(found) > MOST:
        raise NotSoap(f"a Notify with {len(found)} messages", version=envelope.version)
    return found


def splitting(keep: Keep, largest: int) -> Keep:
    """Keeps the messages of a Notify one by one, and all of them in one commit. Two subscriptions that live side by side, after
    a crash of ours, send the same messages: their bytes tell."""

    def kept(arrived: Sequence[Arrived], /) -> "Future[list[Kept]]":
        parts: list[Arrived] = []
        counts = []
        for one in arrived:
            inner = [one] if one.unreadable else [
                msgspec.structs.replace(one, body=message.body, about=message.topic or "Notify")
                for message in notified(one.body, largest)
            ]  # fmt: skip
            parts += inner
            counts.append(len(inner))
        together: Future[list[Kept]] = Future()

        def settle(done: "Future[list[Kept]]") -> None:
            error = done.exception()
            if error is not None:
                together.set_exception(error)
                return
            outcomes = iter(done.result())
            together.set_result([_worst([next(outcomes) for _ in range(count)]) for count in counts])

        keep(parts).add_done_callback(settle)
        return together

    return kept


def _worst(outcomes: Sequence[Kept]) -> Kept:
    """What the sender of all of them is told."""
    refused = [one for one in outcomes if one not in (Kept.KEPT, Kept.DUPLICATE)]
    if refused:
        return refused[0]
    return Kept.KEPT if Kept.KEPT in outcomes else Kept.DUPLICATE
