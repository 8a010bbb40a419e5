"""The regional platform over HTTP, as a destination (architecture §8).

What its answers mean is decided here, once:

    200, signed and proven         a receipt per document
    200, but nothing we can prove  unanswered: it may be stored, the same bytes go again (law 6 makes that harmless)
    424                            it lacks a dictionary: sent, and the parcel repeated
    409 hello-first                it does not know this instance (yet, or any more): hello, and the parcel repeated
    408 429 503                    retry: it says that it could not
    502 504, cut, read time-out    unanswered
    no connection                  DestinationUnreachable: nothing arrived
    401 403 404 409 3xx, TLS …     NotAllowed: a person must look, no document is to blame
    400 413 500, anything else     RefusedWhole: halve it
"""

import base64
import ipaddress
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from connectors.outlets.http import Answer, HttpEdge, Tls, Unanswered
from frontend_agent.errors import (
    ConfigurationError,
    DestinationError,
    DestinationUnreachable,
    NotAllowed,
    RefusedWhole,
)
from frontend_agent.model import Document, Outcome, Receipt, SeriesHead
from frontend_agent.wire.greeting import DAYS, HEADS, Hello, read_welcome
from frontend_agent.wire.heartbeat import PATH as HEARTBEAT
from frontend_agent.wire.heartbeat import Heard, skew_of
from frontend_agent.wire.parcel import CONTENT_TYPE, LogHead, pack
from frontend_agent.wire.receipts import (
    ABSENT,
    ALGORITHM,
    Reply,
    ReplyMalformed,
    ReplyNotProven,
    key_id,
    public_key_of,
    read_reply,
    receipts_from,
)
from frontend_agent.wire.reconciliation import MOST_SAID, Count, Counts, KeptSet, SaidDay, Sets, in_parts
from frontend_agent.wire.upgrades import PATH as UPGRADE
from frontend_agent.wire.upgrades import Offer

RECONCILIATION = "/v1/reconciliation"
PARCELS = "/v1/parcels"
SERIES_HEADS = "/v1/heads"
DICTIONARIES = "/v1/dictionaries"
LARGEST_ANSWER = 8 << 20
ASKED_AT_ONCE = 100
_T = TypeVar("_T")
JSON = "application/json"


class Memory(Protocol):
    """What must outlive a restart: this state's instance and machine, leases, the pinned key. The spool's meta."""

    def get(self, name: str) -> str | None: ...

    def put(self, name: str, value: str) -> None: ...


class Member(Protocol):
    """As whom a platform knows us: our certificate, and whom we trust there (spool/membership.py)."""

    def tls(self) -> Tls:
        """As it is now: asked before each request."""

    def speaks(self) -> Mapping[str, str]:
        """Headers of each request."""


class Edge(Protocol):
    """How requests get to the platform and answers back: over HTTP, or across a gap (frontend_agent/crossing)."""

    def ask(self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """As HttpEdge.ask."""


class Stranger:
    """Nobody in particular: a platform on this machine, or one that has its certificate from elsewhere."""

    def __init__(self, tls: Tls | None = None) -> None:
        self._tls = tls or Tls()

    def tls(self) -> Tls:
        return self._tls

    def speaks(self) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True, kw_only=True)
class PlatformOptions:
    """Where the platform is, and for whom we ask when no document says it."""

    name: str
    url: str
    institution: str = ""
    timeout: timedelta = timedelta(seconds=30)


class SignedAnswer(msgspec.Struct, frozen=True):
    """A reply as it came, for keeping: receipts, and the countersigned log head, are proven from it."""

    id: str
    body: bytes
    log_seq: int = 0
    log_hash: str = ""
    evidence: bytes = b""


class Answered(NamedTuple):
    """What a platform says to a heartbeat: how far its clock is ahead of ours, and the upgrade that it offers."""

    skew: timedelta
    offer: Offer | None = None


class Problem(msgspec.Struct, frozen=True):
    """What the platform says beside a 2xx."""

    error: str = ""
    detail: str = ""
    unknown_dictionaries: list[str] = []


class _Heads(msgspec.Struct, frozen=True):
    heads: list[SeriesHead]


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes

    @property
    def problem(self) -> Problem:
        try:
            return msgspec.json.decode(self.body, type=Problem)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Problem()


class PlatformDestination:
    """One platform, one connection, one exchange at a time."""

    def __init__(
        self,
        options: PlatformOptions,
        memory: Memory,
        log_head: Callable[[], tuple[int, str] | None] = lambda: None,
        dictionary: Callable[[str], bytes | None] = lambda _: None,
        packs: Mapping[str, str] | None = None,
        places: Callable[[Document], bool] = lambda document: True,
        member: "Member | None" = None,
        edge: "Edge | None" = None,
    ) -> None:
        """`edge`: how it is reached, where that is not its own address over HTTP.

        `log_head`: the agent's newest log entry (number, hash), to be countersigned. `dictionary`: by its SHA-256.

        `places`: whether this destination may learn a document's day and department beside it. `member`: by which
        certificate it knows us; None: by none."""
        member = member or Stranger()
        self.name = options.name
        self._options = options
        self._url = checked_address(options.url) if edge is None else ""
        self._memory = memory
        self._log_head = log_head
        self._dictionary = dictionary
        self._places = places
        self._packs = dict(packs or {})
        self._their_packs: dict[str, str] = {}
        self._member = member
        self._http: Edge = edge or HttpEdge(self.name, member.tls, options.timeout)
        self._files = HttpEdge(self.name, member.tls, options.timeout)  # beside deliveries, for as long as it takes
        self._greeted: set[str] = set()
        self._answers: list[SignedAnswer] = []
        self._turn = threading.RLock()

    # --- delivering --------------------------------------------------------------------------------------------------

    def send(self, documents: Sequence[Document]) -> Sequence[Receipt]:
        """One parcel per institution. Receipts come in the order of the documents."""
        with self._turn:
            receipts: list[Receipt] = []
            for institution, group in groupby(documents, key=lambda document: document.institution):
                together = list(group)
                try:
                    receipts += self._deliver(institution, together)
                except DestinationError as error:
                    if not receipts:
                        raise
                    # Others were answered already, and that must not be lost. These will be tried first next time.
                    receipts += _all(together, Outcome.UNREACHABLE, str(error))
            return receipts

    def take_replies(self) -> list[SignedAnswer]:
        """The signed replies since the last call, to be kept in the commit that settles their receipts."""
        with self._turn:
            answers, self._answers = self._answers, []
            return answers

    def anchor(self) -> SignedAnswer | None:
        """Have the newest entry of the log countersigned by itself: a parcel without documents. None: it was not signed.

        Raises DestinationError: it was not answered now, or not by our platform."""
        institution = self._options.institution
        with self._turn:
            try:
                answer = self._greeted_parcel(institution, [])
                if answer.status != 200:
                    raise _refusal(answer)
                self._proven(answer.body)
            except (Unanswered, ReplyMalformed, ReplyNotProven) as error:
                self._greeted.discard(institution)
                raise DestinationUnreachable(f"{self.name}: the log was not countersigned: {error}") from error
            signed = self._answers.pop()
            return signed if signed.log_seq else None

    def _greeted_parcel(self, institution: str, documents: list[Document]) -> _Answer:
        answer = self._parcel(institution, documents)
        if answer.status == 409 and answer.problem.error == "hello-first":
            self._greeted.discard(institution)
            answer = self._parcel(institution, documents)
        return answer

    def _deliver(self, institution: str, documents: list[Document]) -> list[Receipt]:
        try:
            answer = self._greeted_parcel(institution, documents)
            if answer.status == 424:
                self._send_dictionaries(answer.problem.unknown_dictionaries)
                answer = self._parcel(institution, documents)
            return self._receipts(institution, documents, answer)
        except Unanswered as error:
            return _all(documents, Outcome.UNANSWERED, str(error))

    def _parcel(self, institution: str, documents: list[Document]) -> _Answer:
        return self._ask("POST", PARCELS, self.parcel(institution, documents), CONTENT_TYPE)

    def parcel(self, institution: str, documents: Sequence[Document]) -> bytes:
        """The body of a parcel as it goes now, after a hello where none was said yet."""
        if institution not in self._greeted:
            self.hello(institution)
        head = self._log_head()
        return pack(
            documents,
            institution,
            self._instance,
            self._memory.get(self._lease_name(institution)) or "",
            LogHead(*head) if head else None,
            self._packs,
            self._places if self.takes_days else lambda document: False,
        )

    def _receipts(self, institution: str, documents: list[Document], answer: _Answer) -> list[Receipt]:
        if answer.status in (408, 429, 503):
            return _all(documents, Outcome.RETRY, _said(answer))
        if answer.status in (502, 504):
            return _all(documents, Outcome.UNANSWERED, _said(answer))
        if answer.status != 200:
            raise _refusal(answer)
        try:
            reply = self._proven(answer.body)
        except (ReplyMalformed, ReplyNotProven) as error:
            # Should the platform's key have changed, the next hello will say so by name.
            self._greeted.discard(institution)
            return _all(documents, Outcome.UNANSWERED, str(error))
        return receipts_from(reply, documents)

    def _proven(self, body: bytes) -> Reply:
        reply, answer = self.proven(body)
        self._answers.append(answer)
        return reply

    def proven(self, body: bytes) -> tuple[Reply, SignedAnswer]:
        """A reply, verified by the pinned key, and as it is kept. ReplyMalformed, ReplyNotProven."""
        key = self._pinned()
        if key is None:
            raise ReplyNotProven("no key is pinned")
        reply = read_reply(body, key)
        self._judges_by(reply.statement.packs)
        head = reply.statement.log_head
        if head and reply.statement.instance == self._instance:
            return reply, SignedAnswer(reply.id, body, head.seq, head.hash, reply.countersignature)
        return reply, SignedAnswer(reply.id, body)

    def _judges_by(self, packs: Mapping[str, str]) -> None:
        """What the platform judges by, as it last said: the agent compares it with its own."""
        if packs and packs != self._their_packs:
            self._their_packs = dict(packs)
            self._memory.put(f"packs:{self.name}", msgspec.json.encode(self._their_packs, order="sorted").decode())

    def _send_dictionaries(self, ids: Iterable[str]) -> None:
        for name in ids:
            content = self._dictionary(name)
            if content is None:
                raise RefusedWhole(f"{self.name} lacks a dictionary that is not known here either: {name[:16]}…")
            answer = self._ask("PUT", f"{DICTIONARIES}/{name}", content, "application/octet-stream")
            if answer.status != 204:
                raise _refusal(answer)

    # --- asking ------------------------------------------------------------------------------------------------------

    def hello(self, institution: str = "") -> None:
        """Say who we are; remember the next lease, and the first time the platform's key. NotAllowed if we are a copy."""
        institution = institution or self._options.institution
        with self._turn:
            hello = Hello(
                institution=institution,
                instance=self._instance,
                lease=self._memory.get(self._lease_name(institution)) or "",
                machine=self._memory.get("machine") or "",
                packs=self._packs,
            )
            answer = self._question("POST", "/v1/hello", msgspec.json.encode(hello), JSON)
            pinned = self._pinned()
            try:
                welcome = read_welcome(answer.body, hello, pinned)
            except ReplyNotProven as error:
                raise NotAllowed(f"{self.name}: {error}") from error
            except ReplyMalformed as error:
                raise NotAllowed(f"{self.name}: {self._url} does not answer like our platform: {error}") from error
            if welcome.algorithm != ALGORITHM:
                raise NotAllowed(f"{self.name}: signs with {welcome.algorithm!r}, which this version cannot verify")
            if pinned is None:
                self._memory.put(f"key:{self.name}", welcome.public_key)
            self._memory.put(self._lease_name(institution), welcome.lease)
            self._judges_by(welcome.packs)
            self._remember(f"takes:{self.name}", " ".join(welcome.takes))
            self._greeted.add(institution)

    @property
    def takes_days(self) -> bool:
        """Whether it knows days and departments, as it last said: what is reconciled."""
        return self._takes(DAYS)

    @property
    def takes_heads(self) -> bool:
        """Whether it countersigns the log by itself, as it last said; an older one does with documents alone."""
        return self._takes(HEADS)

    def _takes(self, what: str) -> bool:
        return what in (self._memory.get(f"takes:{self.name}") or "").split()

    def _remember(self, name: str, value: str) -> None:
        if (self._memory.get(name) or "") != value:
            self._memory.put(name, value)

    def heads(self, set_ids: Sequence[str], institution: str = "") -> dict[str, SeriesHead]:
        """The newest version of each set that the platform has; what it does not have is not in the answer."""
        institution = institution or self._options.institution
        found: dict[str, SeriesHead] = {}
        with self._turn:
            for question in heads_questions(set_ids, institution):
                answer = self._question("POST", SERIES_HEADS, question, JSON)
                try:
                    heads = msgspec.json.decode(answer.body, type=_Heads).heads
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise DestinationUnreachable(f"{self.name}: the answer to heads cannot be read") from error
                found.update((head.set_id, head) for head in heads)
        return found

    def receipts(self, document_ids: Sequence[str], institution: str = "") -> list[Receipt]:
        """Proofs for documents asked for by id. What the platform does not have is not in the answer."""
        institution = institution or self._options.institution
        return [one for reply in self._asked_for(document_ids, institution) for one in _stored(reply, institution)]

    def proofs(self, document_ids: Sequence[str], institution: str = "") -> dict[str, str]:
        """Document id -> SHA-256 that the platform signs to have; "" where it signs that it has no such document."""
        institution = institution or self._options.institution
        found: dict[str, str] = {}
        for reply in self._asked_for(document_ids, institution):
            mine = [leaf for leaf in reply.leaves if leaf.institution == institution]
            found |= {leaf.document_id: leaf.sha256 for leaf in mine if leaf.outcome == Outcome.STORED}
            found |= {leaf.document_id: "" for leaf in mine if leaf.outcome == ABSENT}
        return found

    def _asked_for(self, document_ids: Sequence[str], institution: str) -> list[Reply]:
        """The platform's proven replies about these documents, some at a time."""
        replies = []
        with self._turn:
            for some in _chunks(document_ids):
                query = urlencode([("institution", institution), *(("document_id", one) for one in some)])
                answer = self._question("GET", f"/v1/receipts?{query}")
                try:
                    replies.append(self._proven(answer.body))
                except (ReplyMalformed, ReplyNotProven) as error:
                    raise DestinationUnreachable(f"{self.name}: its receipts cannot be proven: {error}") from error
        return replies

    # --- reconciling -------------------------------------------------------------------------------------------------

    def counted(self, kind: str, first: int, last: int, institution: str = "") -> list[Count] | None:
        """Our newest documents there, per day (yyyymmdd) and department; None from a platform that knows no days."""
        found: list[Count] = []
        for begin, end in in_parts(first, last):
            asked = {"kind": kind, "first": begin, "last": end}
            answer = self._spoken(f"{RECONCILIATION}/counts", asked, institution or self._options.institution)
            if answer is None:
                return None
            found += _read_as(answer, Counts, self.name).counts
        return found

    def kept_sets(self, kind: str, day: int, department: str, institution: str = "") -> Iterator[KeptSet]:
        """Every set of one day and department, in pages."""
        after = ""
        while True:
            asked = {"kind": kind, "day": day, "department": department, "after": after}
            answer = self._spoken(f"{RECONCILIATION}/sets", asked, institution or self._options.institution)
            page = [] if answer is None else _read_as(answer, Sets, self.name).sets
            if not page:
                return
            yield from page
            after = page[-1].set_id

    def say_reconciled(self, at: str, days: Sequence[SaidDay], institution: str = "") -> None:
        """Tell the platform what was found."""
        for start in range(0, len(days), MOST_SAID):
            asked = {"at": at, "days": days[start : start + MOST_SAID]}
            self._spoken(f"{RECONCILIATION}/said", asked, institution or self._options.institution)

    # --- how we stand ------------------------------------------------------------------------------------------------

    def beat(self, told: Mapping[str, Any], clock: Callable[[], datetime], institution: str = "") -> Answered | None:
        """Say how we stand; what it says to that. None from a platform that knows no heartbeat."""
        institution = institution or self._options.institution
        with self._turn:
            if institution not in self._greeted:
                self.hello(institution)
            asked = clock()
            answer = self._spoken(HEARTBEAT, told, institution)
            answered = clock()
        if answer is None:
            return None
        heard = _read_as(answer, Heard, self.name)
        return Answered(skew_of(heard, asked, answered), heard.offer)

    @contextmanager
    def upgrade(self, offer: Offer, begin: int = 0, institution: str = "") -> Iterator[Iterator[bytes]]:
        """The file of an offer from byte `begin` on, piece by piece. DestinationError: not now, or not any more.

        A platform that does not go on where it was asked to is not read: its file would be put together wrongly."""
        query = urlencode({"institution": institution or self._options.institution})
        url = f"{self._url}{UPGRADE.format(sha256=offer.sha256)}?{query}"
        headers = {**self._member.speaks(), **({"Range": f"bytes={begin}-"} if begin else {})}
        try:
            with self._files.opened("GET", url, None, headers) as opened:
                if opened.status != (206 if begin else 200):
                    raise _refused_file(self.name, opened.status)
                if begin and not opened.headers.get("content-range", "").startswith(f"bytes {begin}-"):
                    raise NotAllowed(f"{self.name}: it sends another part of the file than was asked for")
                yield opened.pieces()
        except Unanswered as error:
            raise DestinationUnreachable(f"{self.name}: {error}") from error

    def _spoken(self, path: str, asked: Mapping[str, Any], institution: str) -> _Answer | None:
        """What only the institution's own agent may ask or say. None: it does not know the question."""
        with self._turn:
            answer = self._speak(path, asked, institution)
            if answer.status == 409 and answer.problem.error == "hello-first":
                self._greeted.discard(institution)
                answer = self._speak(path, asked, institution)
            if answer.status in (404, 405):
                return None
            if answer.status in (408, 429, 500, 502, 503, 504):
                raise DestinationUnreachable(f"{self.name}: {_said(answer)}")
            if answer.status not in (200, 204):
                raise _refusal(answer)
            return answer

    def _speak(self, path: str, asked: Mapping[str, Any], institution: str) -> _Answer:
        if institution not in self._greeted:
            self.hello(institution)
        lease = self._memory.get(self._lease_name(institution)) or ""
        who = {"institution": institution, "instance": self._instance, "lease": lease}
        try:
            return self._ask("POST", path, msgspec.json.encode(who | dict(asked)), JSON)
        except Unanswered as error:
            raise DestinationUnreachable(f"{self.name}: {error}") from error

    def probe(self) -> None:
        """Is it there, is it our platform, and does it have the key that we pinned? Changes nothing on either side."""
        with self._turn:
            self._question("GET", "/healthz")
            key, pinned = self._question("GET", "/v1/key").body, self._pinned()
            if pinned is not None and public_key_of(key) != pinned:
                raise NotAllowed(f"{self.name}: the platform's key is not the pinned one, {key_id(pinned)}")

    # --- talking -----------------------------------------------------------------------------------------------------

    def must_greet(self, institution: str) -> None:
        """It does not know us any more: the next exchange begins with a hello."""
        self._greeted.discard(institution)

    @property
    def public_key(self) -> bytes | None:
        """The pinned key, for verifying kept replies offline."""
        return self._pinned()

    @property
    def _instance(self) -> str:
        return self._memory.get("instance") or ""

    def _lease_name(self, institution: str) -> str:
        return f"lease:{self.name}:{institution}"

    def _pinned(self) -> bytes | None:
        text = self._memory.get(f"key:{self.name}")
        return base64.b64decode(text) if text else None

    def _question(self, method: str, path: str, body: bytes = b"", media_type: str = "") -> _Answer:
        """A question may simply be asked again, so everything that is not an answer is the same to it."""
        try:
            answer = self._ask(method, path, body, media_type)
        except Unanswered as error:
            raise DestinationUnreachable(f"{self.name}: {error}") from error
        if answer.status == 200:
            return answer
        if answer.status in (408, 429, 500, 502, 503, 504):
            raise DestinationUnreachable(f"{self.name}: {_said(answer)}")
        raise _refusal(answer)

    def _ask(self, method: str, path: str, body: bytes, media_type: str) -> _Answer:
        """One request, as whom we are there."""
        headers = {**self._member.speaks(), **({"Content-Type": media_type} if media_type else {})}
        try:
            answer = self._http.ask(method, self._url + path, body or None, headers)
        except NotAllowed as error:
            if self._url.startswith("https://") and not self._member.tls().certificate:
                raise NotAllowed(f"{error}. Where this machine has not joined it yet: frontend-agent enroll") from error
            raise
        return _Answer(answer.status, answer.body)


def heads_questions(set_ids: Sequence[str], institution: str) -> list[bytes]:
    """The bodies of the questions for these sets, some at a time."""
    return [msgspec.json.encode({"institution": institution, "set_ids": some}) for some in _chunks(set_ids)]


def checked_address(url: str) -> str:
    """Plain HTTP only to this machine itself: documents never cross a network unprotected."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"not an http or https address: {url!r}")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(f"plain http is for this machine only; use https://{host}")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused_file(name: str, status: int) -> DestinationError:
    if status == 404:
        return NotAllowed(f"{name}: it does not offer this file any more")
    return DestinationUnreachable(f"{name}: it answered {status} instead of the file")


def _refusal(answer: _Answer) -> DestinationError:
    if answer.status in (401, 403, 404, 405, 407, 409, 415, 421, 426) or 300 <= answer.status < 400:
        return NotAllowed(_said(answer))
    return RefusedWhole(_said(answer))


def _said(answer: _Answer) -> str:
    problem = answer.problem
    return (
        f"the platform answered {answer.status} {problem.error}: {problem.detail}"
        if problem.error
        else (f"the platform answered {answer.status}")
    )


def _all(documents: Sequence[Document], outcome: Outcome, reason: str) -> list[Receipt]:
    return [Receipt(document.document_id, outcome, reasons=(reason,)) for document in documents]


def _stored(reply: Reply, institution: str) -> list[Receipt]:
    return [
        Receipt(leaf.document_id, Outcome.STORED, leaf.sha256, reply=reply.id, position=position)
        for position, leaf in enumerate(reply.leaves)
        if leaf.outcome == Outcome.STORED and leaf.institution == institution
    ]


def _read_as(answer: _Answer, kind: type[_T], name: str) -> _T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DestinationUnreachable(f"{name}: its answer cannot be read") from error


def _chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), ASKED_AT_ONCE):
        yield list(ids[start : start + ASKED_AT_ONCE])
