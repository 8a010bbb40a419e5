"""The inner half: a whole agent whose platforms are on the other side of a gap.

    due documents ─▶ parcel ─▶ one commit: bundle, parcel noted, deliveries sent and not answered
    answer ─▶ receipts, proven by the platform's own signature ─▶ settled as if it had come over the network

A delivery holds no lease while it is under way: it is *uncertain*, due again when no answer came for `answer_within`. How much
may be under way is bounded (`window`, `documents`). Questions are asked as ever, and wait for their answer (asking.py).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from random import random
from typing import Any
from uuid import uuid4

import msgspec

from connectors.outlets.http import Answer as HttpAnswer
from connectors.platform import (
    DICTIONARIES,
    PARCELS,
    SERIES_HEADS,
    Answered,
    PlatformDestination,
    Problem,
    SignedAnswer,
    heads_questions,
)
from frontend_agent.alarms.model import GapFacts
from frontend_agent.config_gap import GapConfig
from frontend_agent.crossing.asking import AcrossEdge, Asking
from frontend_agent.crossing.facts import far_of, skew_across, told_line
from frontend_agent.crossing.line import Line
from frontend_agent.delivery import Event, back_off
from frontend_agent.errors import DestinationError, DestinationUnreachable, NotAllowed
from frontend_agent.logs import event, failed, log
from frontend_agent.model import Blame, Document, Outcome, Receipt, SeriesHead
from frontend_agent.pulse import Pulse
from frontend_agent.sending import FIRST_PAUSE, LONGEST_PAUSE, NOT_ALLOWED_PAUSE
from frontend_agent.spool import Spool
from frontend_agent.spool.gap import PARCEL, Asked
from frontend_agent.wire.bundles import Half, PublicHalf
from frontend_agent.wire.crossing import ROOM, Answer, Request, in_base64, read_answer, request_item
from frontend_agent.wire.heartbeat import PATH as HEARTBEAT
from frontend_agent.wire.heartbeat import Heard, skew_of
from frontend_agent.wire.parcel import CONTENT_TYPE
from frontend_agent.wire.receipts import ReplyMalformed, ReplyNotProven, receipts_from

BEAT, HEAD, QUESTION = "beat", "head", "question"
MOST_BEATS = 30  # on their way: with so many nobody hears us, and more would only be carried out when somebody does
LOST_AFTER = timedelta(days=2)  # beats and heads that were never answered are forgotten
ITEMS_AT_ONCE = 100
IDLE = 0.2  # seconds between two looks into the folder
JSON = "application/json"

# A program of hundreds of megabytes goes by hand: nothing is offered that could not be fetched.
NO_UPGRADES = {"machine": ""}


@dataclass(frozen=True)
class SentDocument:
    """What of a document on its way is remembered, and its receipt is held against."""

    document_id: str
    sha256: str
    institution: str


class Inner:
    """One agent's half of the line, and what goes over it."""

    def __init__(
        self, config: GapConfig, spool: Spool, half: Half, other: PublicHalf, clock: Callable[[], datetime]
    ) -> None:
        self._config, self._spool, self._clock = config, spool, clock
        self._book = spool.gap
        self.line = Line(config, spool.gap, half, other, clock, self._all_again)
        self.asking = Asking(self._question, self._move, config.wait.total_seconds())
        self._platforms: dict[str, AcrossPlatform] = {}
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._applying = threading.Lock()
        self.settled: Callable[[], None] = lambda: None  # told when answers came: what waited behind them may go

    def platform(self, name: str, make: Callable[[AcrossEdge], "AcrossPlatform"]) -> "AcrossPlatform":
        """The platform of that name, by who makes it of an edge."""
        made = make(AcrossEdge(name, self.asking))
        made.inner = self
        self._platforms[name] = made
        return made

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self, pulse: Pulse | None = None) -> None:
        """Move the bundles from now on by a thread of our own."""
        self._thread = threading.Thread(
            target=self._work, args=(pulse or Pulse(float("inf")),), name="gap", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.asking.end()

    def is_well(self) -> bool:
        return self._thread is None or self._thread.is_alive()

    def _work(self, pulse: Pulse) -> None:
        while not self._stopping.is_set():
            pulse.beat()
            try:
                moved = self.turn()
            except Exception as error:  # noqa: BLE001 - said, and tried again; what is on the way is kept
                failed("gap.failed", error)
                moved = 0
                self._stopping.wait(5.0)
            if not moved:
                self._stopping.wait(IDLE)

    def _move(self) -> None:
        """For who waits where no thread moves the bundles: a command beside the daemon."""
        if self._thread is None:
            self.turn()

    def turn(self) -> int:
        """Read what came and apply it, lay down what goes. How much there was to do."""
        new = self.line.turn()
        return new + self._apply()

    def facts(self) -> GapFacts:
        """What alarms look at."""
        told = told_line(self._config, self._book, ("", ""), self.line.problems, tuple(self._platforms), self._clock())
        stopped = told["stopped"] or (told["stopped_there"] and f"the other half: {told['stopped_there']}")
        return GapFacts(
            awaited_since=datetime.fromisoformat(told["awaited_since"]) if told["awaited_since"] else None,
            silence=self._config.silence,
            waiting=sum(one["documents"] for one in told["destinations"]),
            missing=len(told["missing"]),
            stopped=stopped,
            stopped_since=datetime.fromisoformat(told["stopped_at"]) if told["stopped_at"] else None,
            folder="; ".join(told["problems"].values()),
        )

    # --- parcels ------------------------------------------------------------------------------------------------------

    def carry(self, name: str, limit: int, max_bytes: int) -> int:
        """Make parcels of what is due, as far as the window goes. How many documents are on their way now that were not."""
        now, platform = self._clock(), self._platforms[name]
        pause = self._spool.pause(name)
        if pause.due_at and now < pause.due_at <= now + LONGEST_PAUSE:
            return 0
        under_way = self._book.on_the_way(name)
        room, documents = self._config.window - under_way.size, self._config.documents - under_way.documents
        if room <= 0 or documents <= 0:
            return 0
        try:
            platform.greet()  # before anything is claimed: it may take as long as the ferry
        except DestinationError as error:
            self._fail(name, str(error), Blame.PLATFORM if isinstance(error, NotAllowed) else Blame.NETWORK)
            return 0
        claimed = self._spool.claim(name, min(limit, documents), min(max_bytes, room), now=now)
        if not claimed:
            return 0
        try:
            return self._carry(name, platform, [delivery.document for delivery in claimed])
        except DestinationError as error:
            self._put_back(name, [one.document.document_id for one in claimed])
            self._fail(name, str(error), Blame.PLATFORM if isinstance(error, NotAllowed) else Blame.NETWORK)
            return 0

    def _carry(self, name: str, platform: "AcrossPlatform", claimed: Sequence[Document]) -> int:
        for institution, group in groupby(claimed, key=lambda document: document.institution):
            together = list(group)
            body = platform.parcel(institution, together)
            sent = [(one.document_id, one.sha256, one.institution) for one in together]
            with self._book.writing():
                self._send_new_dictionaries(name, platform, {one.dictionary for one in together if one.dictionary})
                self._send(name, "POST", PARCELS, body, CONTENT_TYPE, PARCEL, sent)
                now = self._clock()
                ids = [one.document_id for one in together]
                self._spool.put_back(name, ids, Outcome.UNANSWERED, now=now, due=now + self._config.answer_within)
        log.info(event("delivery.carried", destination=name, documents=len(claimed)))
        return len(claimed)

    def _send(
        self,
        name: str,
        method: str,
        path: str,
        body: bytes,
        media_type: str,
        kind: str,
        documents: Sequence[tuple[str, str, str]] = (),
        number: str = "",
    ) -> None:
        """A request becomes a bundle, and is noted where its answer has to be known after a restart."""
        key = in_base64(self._platforms[name].public_key) if kind == PARCEL else ""
        number = number or uuid4().hex
        request = Request(id=number, destination=name, method=method, path=path, media_type=media_type, key=key)
        with self._book.writing():
            if kind != QUESTION:
                self._book.ask(request.id, name, kind, len(body), documents, self._clock())
            self.line.send([request_item(request, body).bytes])

    def _question(self, number: str, name: str, method: str, path: str, body: bytes, media_type: str) -> None:
        self._send(name, method, path, body, media_type, QUESTION, number=number)

    def _all_again(self) -> None:
        """The other half has nothing of us any more, or we begin anew: what was on its way goes again."""
        for asked in self._book.all_asked():
            self._put_back(asked.destination, [document_id for document_id, *_ in asked.documents])
        if hasattr(self, "asking"):  # not while the line is being opened
            self.asking.forget()

    def _put_back(self, name: str, documents: Sequence[str], suspect: bool = False) -> None:
        if documents:
            self._spool.put_back(name, documents, Event.NOT_SENT, now=self._clock(), suspect=suspect)

    def _fail(self, name: str, problem: str, blame: Blame) -> None:
        now, least = self._clock(), NOT_ALLOWED_PAUSE if blame is Blame.PLATFORM else timedelta(0)
        failures = self._spool.pause(name).failures + 1
        wait = back_off(failures, random(), FIRST_PAUSE, LONGEST_PAUSE)  # noqa: S311 - spreads retries
        self._spool.failed(name, now + max(wait, least), problem, blame, now=now)

    # --- answers ------------------------------------------------------------------------------------------------------

    def _apply(self) -> int:
        """Everything that came whole, in order. Each answer is applied in the commit that ends it."""
        count = 0
        with self._applying:
            while some := self.line.items(ITEMS_AT_ONCE):
                for item, content in some:
                    answer, body = read_answer(content)
                    with self._book.writing():
                        self._applied(answer, body)
                        self.line.done(item)
                    count += 1
            self._tell_far()
        if count:
            self.settled()
        return count

    def _applied(self, answer: Answer, body: bytes) -> None:
        asked = self._book.asked(answer.id)
        if asked is None:
            # A question of this process, or of one that is gone: then nobody wants to know any more.
            self.asking.answered(answer.id, HttpAnswer(answer.status, {}, body))
            return
        self._book.answered(answer.id)
        platform = self._platforms.get(asked.destination)
        if platform is None:
            return  # it is not configured any more
        if asked.kind == PARCEL:
            self._settle(asked, platform, answer, body)
        elif asked.kind == BEAT and answer.status == 200:
            platform.heard(answer, body, self._book.state())
        elif asked.kind == HEAD and answer.status == 200:
            platform.countersigned(self._spool, body)
        if answer.status == 409:
            platform.must_greet_again(answer, body)

    def _settle(self, asked: Asked, platform: "AcrossPlatform", answer: Answer, body: bytes) -> None:
        sent = [SentDocument(*one) for one in asked.documents]
        ids = [one.document_id for one in sent]
        try:
            settled = self._settled(asked.destination, platform, sent, answer, body)
        except (ReplyMalformed, ReplyNotProven) as error:
            platform.must_greet(sent[0].institution)
            self._put_back(asked.destination, ids)
            self._fail(asked.destination, str(error), Blame.PLATFORM)
            return
        if settled is not None:
            self._spool.recovered(asked.destination)
            log.info(event("delivery.settled", destination=asked.destination, documents=settled))
            return
        self._refused(asked, platform, answer, body)

    def _settled(
        self, name: str, platform: "AcrossPlatform", sent: Sequence[SentDocument], answer: Answer, body: bytes
    ) -> int | None:
        """How many came to their end by the platform's word. None: it said nothing of them."""
        if answer.status == 200:
            return self._kept(name, platform, sent, body)
        if not answer.parts and not answer.alone:
            return None
        start, spoken, settled = 0, set[str](), 0
        for part in answer.parts:
            reply, kept = platform.proven(body[start : start + part.length])
            start += part.length
            named = {leaf.document_id for leaf in reply.leaves}
            spoken |= named
            receipts = receipts_from(reply, [one for one in sent if one.document_id in named])
            settled += self._settle_by(name, receipts, kept)
        by_name = {one.document_id for one in sent}
        alone = [one for one in answer.alone if one in by_name]
        problem = f"refused alone: {answer.problem}"
        settled += self._spool.put_back(name, alone, Event.STOOD_ALONE, now=self._clock(), problem=problem)
        suspects = [one for one in answer.suspects if one in by_name]
        self._put_back(name, suspects, suspect=True)
        self._put_back(name, sorted(by_name - spoken - {*alone, *suspects}))
        return settled

    def _kept(self, name: str, platform: "AcrossPlatform", sent: Sequence[SentDocument], body: bytes) -> int:
        reply, kept = platform.proven(body)
        return self._settle_by(name, receipts_from(reply, sent), kept)

    def _settle_by(self, name: str, receipts: Sequence[Receipt], kept: SignedAnswer) -> int:
        silent = [one.document_id for one in receipts if one.outcome is Outcome.UNANSWERED]
        said = [one for one in receipts if one.outcome is not Outcome.UNANSWERED]
        settled = self._spool.settle(name, said, [kept], now=self._clock())
        self._put_back(name, silent)
        return settled

    def _refused(self, asked: Asked, platform: "AcrossPlatform", answer: Answer, body: bytes) -> None:
        """A parcel that was not taken, for no document's fault as far as anybody knows."""
        ids = [document_id for document_id, *_ in asked.documents]
        problem = problem_of(body)
        if answer.status == 409 and problem.error == "hello-first":
            self._put_back(asked.destination, ids)
        elif answer.status == 424:
            self._send_dictionaries(asked.destination, platform, problem.unknown_dictionaries)
            self._put_back(asked.destination, ids)
        else:
            said = answer.problem or f"the platform answered {answer.status} {problem.error}: {problem.detail}"
            self._put_back(asked.destination, ids, suspect=bool(answer.suspects))
            self._fail(asked.destination, said, Blame.PLATFORM)

    def _send_new_dictionaries(self, name: str, platform: "AcrossPlatform", used: set[str]) -> None:
        """What a parcel needs and never went to that platform goes before it: to be asked for it would take two ways more."""
        known = (self._spool.meta.get(f"gap:dictionaries:{name}") or "").split()
        new = sorted(used - {*known})
        if new:
            self._send_dictionaries(name, platform, new)
            self._spool.meta.put(f"gap:dictionaries:{name}", " ".join([*known, *new]))

    def _send_dictionaries(self, name: str, platform: "AcrossPlatform", wanted: Sequence[str]) -> None:
        """They go before the parcel that needs them: the outer half keeps the order."""
        for one in wanted:
            content = platform.dictionary_of(one)
            if content is not None:
                self._send(name, "PUT", f"{DICTIONARIES}/{one}", content, "application/octet-stream", QUESTION)

    # --- what is told, and not waited for -------------------------------------------------------------------------------

    def tell(self, name: str, kind: str, path: str, body: bytes, media_type: str) -> bool:
        """Send it, unless so many are on their way that nobody hears us. Whether it went."""
        self._book.forget_asked(kind, self._clock() - LOST_AFTER)
        if self._book.on_the_way(name, kind).parcels >= (MOST_BEATS if kind == BEAT else 1):
            return False
        self._send(name, "POST", path, body, media_type, kind)
        return True

    def _tell_far(self) -> None:
        """A platform that the outer half cannot reach is a destination that cannot be reached (law 7: no document's fault)."""
        state = self._book.state()
        for far in far_of(state):
            if far.destination not in self._platforms or not far.problem:
                continue
            pause, now = self._spool.pause(far.destination), self._clock()
            said = f"the outer half: {far.problem}"
            if pause.problem != said:
                self._spool.failed(far.destination, now, said, Blame.NETWORK, now=now)
        well = {
            name for name in self._platforms if name not in {one.destination for one in far_of(state) if one.problem}
        }
        for name in well:
            if self._spool.pause(name).problem.startswith("the outer half: "):
                self._spool.recovered(name)


class AcrossPlatform(PlatformDestination):
    """A platform that is reached by bundles. Questions wait for their answer; a heartbeat and a head do not."""

    inner: Inner
    _heard: timedelta | None = None

    def dictionary_of(self, name: str) -> bytes | None:
        return self._dictionary(name)

    def greet(self) -> None:
        """Say hello, unless it knows us."""
        if self._options.institution not in self._greeted:
            self.hello()

    def heads(self, set_ids: Sequence[str], institution: str = "") -> dict[str, SeriesHead]:
        """As without a gap; all questions go at once, so that a page waits for the ferry once."""
        for question in heads_questions(set_ids, institution or self._options.institution):
            self.inner.asking.begin(self.name, "POST", SERIES_HEADS, question, JSON)
        return super().heads(set_ids, institution)

    def must_greet_again(self, answer: Answer, body: bytes) -> None:
        """It does not know this instance: the next exchange begins with a hello."""
        if answer.status == 409 and problem_of(body).error == "hello-first":
            self.must_greet(self._options.institution)

    def anchor(self) -> SignedAnswer | None:
        """Send the head of the log by itself. Its countersignature comes when it comes (`countersigned`)."""
        institution = self._options.institution
        if institution in self._greeted:
            self.inner.tell(self.name, HEAD, PARCELS, self.parcel(institution, []), CONTENT_TYPE)
        return None

    def countersigned(self, spool: Spool, body: bytes) -> None:
        """The platform's signature over a head of ours, or none: then it knows another log."""
        try:
            _, signed = self.proven(body)
        except (ReplyMalformed, ReplyNotProven) as error:
            log.warning(event("log.not_countersigned", destination=self.name, problem=str(error)))
            return
        if signed.log_seq:
            spool.keep_head(self.name, signed)
        else:
            log.warning(event("log.not_countersigned", destination=self.name, problem="the platform knows another log"))

    def beat(self, told: Mapping[str, Any], clock: Callable[[], datetime], institution: str = "") -> Answered | None:
        """Say how we stand. How far its clock was ahead of ours when it last answered; DestinationUnreachable before that."""
        institution = institution or self._options.institution
        if institution not in self._greeted:
            raise DestinationUnreachable(f"{self.name}: has not answered our hello across the gap yet")
        who = {
            "institution": institution,
            "instance": self._instance,
            "lease": self._memory.get(self._lease_name(institution)) or "",
        }
        self.inner.tell(self.name, BEAT, HEARTBEAT, msgspec.json.encode(who | dict(told) | NO_UPGRADES), JSON)
        if self._heard is None:
            raise DestinationUnreachable(f"{self.name}: no heartbeat was answered across the gap yet")
        return Answered(self._heard)

    def heard(self, answer: Answer, body: bytes, state: Any) -> None:
        """How far its clock is from ours: from the outer half's, which asked it, and as much of that one's as is proven."""
        try:
            heard = msgspec.json.decode(body, type=Heard)
            theirs = skew_of(heard, datetime.fromisoformat(answer.asked), datetime.fromisoformat(answer.answered))
        except (msgspec.DecodeError, ValueError):
            return
        self._heard = skew_across(state, theirs)


def problem_of(body: bytes) -> Problem:
    """What the platform says beside a 2xx."""
    try:
        return msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem()


def room_for_parcels(config: GapConfig) -> int:
    """Bytes of documents that one parcel may have, so that it goes in one file where that is possible."""
    return config.largest - 2 * ROOM
