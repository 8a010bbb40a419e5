"""A destination by STOW-RS (PS3.18 §10.5): instances streamed from disk, many a request, each settled by its own words of the answer.

What an answer means:

    200 202 409 with sequences          each instance by what they say of it: accepted, refused with its reason, later
    200 without any                     accepted (§10.5.3: all were stored)
    202 409 that is silent on one       uncertain: it goes again
    401 403 404 405 407 415 3xx, TLS    NotAllowed: address, rights; no instance is to blame
    408 425 429 503                     DestinationUnreachable: it asks for time
    502 504, cut, no answer in time     uncertain
    400 413 500, anything else          refused whole: halved, until the one that causes it stands alone (law 7)

Who stands alone is blocked only when, before and after it is refused again, an instance is taken that was stored already: to store
the same instance twice has one effect.
"""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode

from connectors.bandwidth import Bandwidth
from connectors.dicomweb.answers import JSON, AnswerUnreadable, Stored, read_stored, read_uids
from connectors.dicomweb.body import Part, StowBody
from connectors.outlets.http import Answer, HttpEdge, Tls, Unanswered, origin
from connectors.verdicts import Recount, verdict
from frontend_agent.config_images import StowOutlet
from frontend_agent.delivery import State
from frontend_agent.dicom.statuses import Said
from frontend_agent.errors import DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled
from frontend_agent.instance_reading import InstanceFile, path_of, size_of

NOT_ALLOWED = (401, 403, 404, 405, 407, 415)
BUSY = (408, 425, 429, 503)
NOT_KNOWN = (502, 504)
SAID = (200, 202, 409)
REFUSALS_IN_VAIN = 8  # requests refused whole in a row: it is not the instances
PAGE = 500  # instances of one answer to QIDO-RS
MOST_PAGES = 1000

PathOf = Callable[[Instance], InstanceFile]
Settle = Callable[[Sequence[Settled]], None]


class Kept(NamedTuple):
    """An instance that it has taken, to see whether it still takes any."""

    instance: Instance
    file: InstanceFile


class Proof(Protocol):
    """What proves that instances are stored, beside the answer to the request."""

    def headers(self) -> Mapping[str, str]:
        """Of each request that stores."""

    def prepared(self, delivery: ImageDelivery, http: HttpEdge, /) -> bool:
        """Before instances of a study are sent. False: they are not wanted there, its index is enough."""

    def settled(self, instances: Sequence[Instance], stored: Stored, /) -> Mapping[int, Settled]:
        """What of them the answer itself proves, by instance; others are taken by its sequences."""

    def proven(self, delivery: ImageDelivery, http: HttpEdge, /) -> Sequence[Settled]: ...

    def probe(self, http: HttpEdge, /) -> None: ...


class StowEdge:
    """One origin server. Its methods may be called from several threads."""

    def __init__(
        self,
        name: str,
        options: StowOutlet,
        secret: Callable[[str], str],
        proof: Proof,
        studies: str,
        reasons: str = "",
        tls: Callable[[], Tls] | None = None,
    ) -> None:
        """`studies`: the address that instances are stored at. `reasons`: see read_stored. `tls`: as it is now, where that is not what
        the settings say."""
        self.name = name
        self.options, self.proof = options, proof
        self._secret, self._studies, self._reasons = secret, studies, reasons
        self._bandwidth = Bandwidth(options.bandwidth)
        named = Tls(options.certificate, options.key, options.ca)
        self._edges: LifoQueue[HttpEdge] = LifoQueue()
        for _ in range(max(options.connections, 1) + 1):  # and one for proof
            self._edges.put(HttpEdge(name, tls or named, options.timeout))
        self._closed = False
        self._taken: Kept | None = None
        self._counted = threading.Lock()
        self._requests = self._instances = self._bytes = 0
        self._problem = ""

    # --- sending ------------------------------------------------------------------------------------------------------

    def send(self, delivery: ImageDelivery, path: PathOf, settle: Settle) -> None:
        """Settles as answers come. DestinationUnreachable, NotAllowed, RefusedWhole: the rest goes later."""
        try:
            with self.edge() as http:
                if self.proof.prepared(delivery, http):
                    _Sending(self, http, delivery, path, settle).go()
                else:
                    proof = "index"
                    settle([Settled(one.id, State.DELIVERED, proof=proof) for one in delivery.instances])
        except (DestinationUnreachable, NotAllowed, RefusedWhole) as error:
            self._problem = str(error)
            raise

    def post(self, http: HttpEdge, kept: Sequence[Kept]) -> Stored:
        """Store them by one request. Unanswered, RefusedWhole, NotAllowed, DestinationUnreachable."""
        body = StowBody(
            [Part(one.file, size_of(one.file)) for one in kept],
            f"instances-{secrets.token_hex(12)}",
            self._bandwidth,
        )
        headers = {"Content-Type": body.content_type, "Accept": JSON, **self.proof.headers(), **self._authorization()}
        answer = http.ask("POST", self._studies, body, headers)
        with self._counted:
            self._requests += 1
            self._bytes += body.sent
        if answer.status not in SAID:
            raise refusal(self.name, answer)
        try:
            stored = read_stored(answer, self._reasons)
        except AnswerUnreadable as error:
            if answer.status == 409:
                raise RefusedWhole(f"{self.name} answered 409, and {error}") from error
            raise Unanswered(str(error)) from error
        if answer.status == 409 and not stored.is_said:
            raise RefusedWhole(f"{self.name} answered 409, and does not say why")
        return stored if answer.status != 200 or stored.is_said else Stored({}, (), stored.top, is_said=False)

    def count(self, settled: Sequence[Settled]) -> None:
        with self._counted:
            self._instances += sum(one.state in (State.ACCEPTED, State.DELIVERED) for one in settled)

    # --- proving ------------------------------------------------------------------------------------------------------

    def prove(self, delivery: ImageDelivery) -> Sequence[Settled]:
        """Silence says nothing. DestinationUnreachable, NotAllowed: it could not be asked."""
        with self.edge() as http:
            return self.proof.proven(delivery, http)

    def probe(self) -> None:
        """Whether somebody listens there, TLS holds, and secrets are to be found. Sends nothing."""
        self._authorization()
        with self.edge() as http:
            http.probe(self.options.url)
            self.proof.probe(http)

    def told(self) -> dict[str, Any]:
        """How it stands: address, requests, instances, bytes, last problem."""
        return {
            "type": "stow",
            "address": origin(self.options.url),
            "proof": self.options.proof,
            "requests": self._requests,
            "instances": self._instances,
            "bytes": self._bytes,
            **({"problem": self._problem} if self._problem else {}),
        }

    def close(self) -> None:
        """What is under way is not waited for by the bandwidth any more; idle connections are given back."""
        self._closed = True
        self._bandwidth.close()
        with suppress(Empty):
            while True:
                self._edges.get_nowait().close()

    @property
    def taken(self) -> Kept | None:
        """The last instance that it took, if its file is still here."""
        return self._taken if self._taken and path_of(self._taken.file).is_file() else None

    @taken.setter
    def taken(self, kept: Kept) -> None:
        self._taken, self._problem = kept, ""

    @contextmanager
    def edge(self) -> Iterator[HttpEdge]:
        if self._closed:
            raise DestinationUnreachable(f"{self.name}: the agent stops")
        http = self._edges.get()
        try:
            yield http
        finally:
            self._edges.put(http)

    def _authorization(self) -> dict[str, str]:
        return authorization(self.options.authorization, self.options.secret, self._secret)


class _Sending:
    """One delivery, until each of its instances is settled, or nothing goes any more."""

    def __init__(self, edge: StowEdge, http: HttpEdge, delivery: ImageDelivery, path: PathOf, settle: Settle) -> None:
        self._edge, self._http, self._delivery, self._settle_durably = edge, http, delivery, settle
        self._path = path
        self._alone: list[tuple[Kept, str]] = []  # refused whole, by themselves, and what was said
        self._refusals = 0  # in a row
        self._stored = 0

    def go(self) -> None:
        options = self._edge.options
        parts: deque[Sequence[Kept]] = deque(self._requests(int(options.at_once), int(options.request)))
        while parts:
            part = parts.popleft()
            try:
                left: Sequence[Kept] = self._carry(part)
            except RefusedWhole as refusal:
                self._refusals += 1
                left = part
                if len(part) == 1:
                    self._alone.append((part[0], str(refusal)))
                    left = []
                if self._refusals >= REFUSALS_IN_VAIN and not self._still_works():
                    raise
            # To the end of the line: the large parts first, they find out soonest what still works.
            parts.extend(_halves(left))
        if self._alone:
            self._judge()

    def _requests(self, at_once: int, most: int) -> Iterator[list[Kept]]:
        """So many instances, and so many bytes of them, in one; a larger one by itself."""
        part: list[Kept] = []
        size = 0
        for instance in self._delivery.instances:
            kept = Kept(instance, self._path(instance))
            if part and (len(part) >= max(at_once, 1) or size + instance.sent_size > most):
                yield part
                part, size = [], 0
            part.append(kept)
            size += instance.sent_size
        if part:
            yield part

    def _carry(self, part: Sequence[Kept]) -> Sequence[Kept]:
        """Send and settle them. Those of which an answer says that some failed, and not which, are returned: to be sent apart."""
        try:
            stored = self._edge.post(self._http, part)
        except Unanswered as error:
            reason = f"{self._edge.name}: {error}"
            self._settle([Settled(kept.instance.id, State.UNCERTAIN, (reason,)) for kept in part])
            raise DestinationUnreachable(reason) from error
        instances = [kept.instance for kept in part]
        settled = dict(self._edge.proof.settled(instances, stored))
        silent = []
        not_allowed = ""
        for kept in part:
            instance = kept.instance
            told = stored.told.get(instance.header.sop_instance_uid)
            if instance.id in settled:
                continue
            if told is not None:
                attempts, taken = self._delivery.attempts, self._stored > 0
                settled[instance.id] = verdict(instance, told.said, told.reason, attempts=attempts, others_taken=taken)
                not_allowed = told.reason if told.said is Said.NOT_ALLOWED else not_allowed
            elif not stored.is_said:
                settled[instance.id] = verdict(instance, Said.STORED)
            else:
                silent.append(kept)
        if len(silent) == 1 and len(stored.unnamed) == 1:
            one = silent.pop().instance
            settled[one.id] = verdict(one, stored.unnamed[0].said, stored.unnamed[0].reason)
        if silent and not (stored.unnamed and len(part) > 1):
            for kept in silent:
                settled[kept.instance.id] = verdict(kept.instance, Said.UNKNOWN, "the answer does not speak of it")
            silent = []
        self._settle(list(settled.values()))
        for kept in part:
            found = settled.get(kept.instance.id)
            if found and found.state in (State.ACCEPTED, State.DELIVERED):
                self._edge.taken = kept
                self._stored += 1
        if settled:
            self._refusals = 0
        if not_allowed:
            raise NotAllowed(f"{self._edge.name}: {not_allowed}")
        return silent

    def _settle(self, settled: Sequence[Settled]) -> None:
        self._settle_durably(settled)
        self._edge.count(settled)

    def _still_works(self) -> bool:
        """Whether it takes once more what it took before: the same bytes, no second effect."""
        control = self._edge.taken
        if control is None:
            return False
        try:
            stored = self._edge.post(self._http, [control])
        except (RefusedWhole, Unanswered):
            return False
        told = stored.told.get(control.instance.header.sop_instance_uid)
        works = not stored.is_said or (told is not None and told.said is Said.STORED)
        self._refusals = 0 if works else self._refusals
        return works

    def _judge(self) -> None:
        """Those that are refused alone, twice, while before, between and after a good one is taken, are blocked."""
        if not self._still_works():
            # Nothing is there to compare with: they go last from now on, so that there will be.
            reasons = [(kept.instance.id, said) for kept, said in self._alone]
            self._settle([Settled(number, State.WAITING, (reason,)) for number, reason in reasons])
            raise RefusedWhole(reasons[0][1])
        again = []
        for kept, _ in self._alone:
            try:
                self._carry([kept])
            except RefusedWhole as refusal:
                again.append((kept, str(refusal)))
        if again and not self._still_works():
            raise RefusedWhole(again[0][1])
        reasons = [(kept.instance.id, f"refused alone: {said}") for kept, said in again]
        self._settle([Settled(number, State.BLOCKED, (reason,)) for number, reason in reasons])


class NoProof:
    """What was accepted stays so: nothing proves it."""

    def headers(self) -> Mapping[str, str]:
        return {}

    def prepared(self, delivery: ImageDelivery, http: HttpEdge, /) -> bool:
        return True

    def settled(self, instances: Sequence[Instance], stored: Stored, /) -> Mapping[int, Settled]:
        return {}

    def proven(self, delivery: ImageDelivery, http: HttpEdge, /) -> Sequence[Settled]:
        return ()

    def probe(self, http: HttpEdge, /) -> None:
        return


class QidoProof(NoProof):
    """A re-count: the server lists the instances of each series (PS3.18 §10.6)."""

    def __init__(self, name: str, base: str, authorization: Callable[[], dict[str, str]]) -> None:
        self._name, self._base, self._authorization = name, base, authorization
        self._recount = Recount("qido")

    def proven(self, delivery: ImageDelivery, http: HttpEdge, /) -> Sequence[Settled]:
        series: dict[str, list[Instance]] = {}
        for instance in delivery.instances:
            series.setdefault(instance.header.series_instance_uid, []).append(instance)
        settled: list[Settled] = []
        for uid, instances in series.items():
            wanted = {one.header.sop_instance_uid for one in instances}
            listed = self._listed(http, delivery.study.study_instance_uid, uid, wanted)
            settled += self._recount.judged(instances, listed)
        return settled

    def _listed(self, http: HttpEdge, study: str, series: str, wanted: set[str]) -> set[str]:
        """The instances of a series, as far as they are looked for; in pages, also where the server makes them smaller."""
        listed: set[str] = set()
        offset = 0
        for _ in range(MOST_PAGES):
            question = urlencode({"limit": PAGE, "offset": offset})
            path = f"/studies/{quote(study)}/series/{quote(series)}/instances?{question}"
            answer = self._asked(http, path)
            if answer.status == 404 and not offset:
                # Some say so where nothing matches; then they know how to answer for the study.
                if self._asked(http, f"/studies?{urlencode({'StudyInstanceUID': study, 'limit': 1})}").status == 404:
                    raise NotAllowed(
                        f"{self._name}: the list of a series is answered with 404: url is no DICOMweb base"
                    )
                return listed
            page = self._uids(answer)
            offset += len(page)
            if listed >= listed | set(page) or wanted <= (listed := listed | set(page)):
                break
        return listed

    def _asked(self, http: HttpEdge, path: str) -> Answer:
        try:
            answer = http.ask("GET", self._base + path, None, {"Accept": JSON, **self._authorization()})
        except Unanswered as error:
            raise DestinationUnreachable(f"{self._name}: the list of a series: {error}") from error
        if answer.status in (200, 204, 404):
            return answer
        refused = refusal(self._name, answer, "the list of a series")
        raise DestinationUnreachable(str(refused)) if isinstance(refused, Unanswered) else refused

    def _uids(self, answer: Answer) -> list[str]:
        try:
            return read_uids(answer)
        except AnswerUnreadable as error:
            raise DestinationUnreachable(f"{self._name}: the list of a series: {error}") from error


def authorization(template: str, secret: str, secrets_of: Callable[[str], str]) -> dict[str, str]:
    """The header that lets us in; ConfigurationError where its secret is not to be found."""
    if not template:
        return {}
    return {"Authorization": template.replace("{secret}", secrets_of(secret) if secret else "")}


def refusal(name: str, answer: Answer, what: str = "") -> Exception:
    told = f"{name} answered {answer.status}" + (f" to {what}" if what else "")
    if answer.status in NOT_ALLOWED or 300 <= answer.status < 400:
        return NotAllowed(told)
    if answer.status in BUSY:
        return DestinationUnreachable(f"{told}: it asks for time")
    if answer.status in NOT_KNOWN:
        return Unanswered(told)
    return RefusedWhole(told)


def _halves(part: Sequence[Kept]) -> list[Sequence[Kept]]:
    middle = len(part) // 2
    return [half for half in (part[:middle], part[middle:]) if half]


def qido_or_none(name: str, options: StowOutlet, secret: Callable[[str], str]) -> StowEdge:
    """A foreign server, with the proof that its settings name."""
    base = options.url.rstrip("/")
    proof = (
        QidoProof(name, base, lambda: authorization(options.authorization, options.secret, secret))
        if options.proof == "qido"
        else NoProof()
    )
    return StowEdge(name, options, secret, proof, f"{base}/studies")
