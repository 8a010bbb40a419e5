"""Our own platform as the destination of studies: it signs what it stored, by SHA-256 (laws 5 and 6), and says which pixels it wants.

STOW-RS           the answer carries the signed receipts: what they name is DELIVERED at once
receipts          asked for later: the same, and what is absent there goes again
index             what the hospital has of a study, with its order: sent before its pixels, or instead of them
wanted            studies that were sent by their index, and whose pixels a person there asks for
"""

import base64
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from connectors.dicomweb.answers import Stored, text
from connectors.dicomweb.stow import NoProof, StowEdge, refusal
from connectors.outlets.http import HttpEdge, Unanswered
from connectors.platform import Member, Memory, checked_address
from frontend_agent.config_images import StowOutlet
from frontend_agent.delivery import State
from frontend_agent.errors import DestinationUnreachable, NotAllowed
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled
from frontend_agent.model import Outcome
from frontend_agent.wire import images as wire
from frontend_agent.wire.receipts import (
    ABSENT,
    Leaf,
    Reply,
    ReplyMalformed,
    ReplyNotProven,
    key_id,
    public_key_of,
    read_reply,
)

JSON = "application/json"
REMEMBERED = 1000  # studies whose index was sent
_T = TypeVar("_T")


class PlatformProof(NoProof):
    """Receipts, indexes and wishes of one platform, for one institution. Safe to use from several threads."""

    def __init__(
        self,
        name: str,
        base: str,
        institution: str,
        memory: Memory,
        index: Callable[[ImageDelivery], wire.StudyIndex] | None,
        *,
        index_only: bool,
    ) -> None:
        """`base`: where the platform is. `index`: what is said of a study; None: nothing is."""
        self._name, self._base, self._institution, self._memory = name, base, institution, memory
        self._index, self._index_only = index, index_only
        self._indexed: OrderedDict[tuple[int, int, str], bool] = (
            OrderedDict()
        )  # a study as it was -> its pixels are wanted
        self._lock = threading.Lock()

    # --- as a proof of STOW-RS

    def headers(self) -> Mapping[str, str]:
        return {wire.RECEIPTS_HEADER: "1"}

    def prepared(self, delivery: ImageDelivery, http: HttpEdge, /) -> bool:
        """Its index goes first, once for what the study is now. Whether its pixels are to follow."""
        self._key(http)
        if self._index is None:
            return True
        study = delivery.study
        as_it_is = (study.id, study.instances, study.last_at.isoformat())
        with self._lock:
            wanted = self._indexed.get(as_it_is)
        if wanted is None or (self._index_only and not wanted):  # it may be wanted by now
            said = self._asked(http, wire.INDEX, self._index(delivery))
            wanted = self._read(said, wire.Indexed).wanted
            with self._lock:
                self._indexed[as_it_is] = wanted
                while len(self._indexed) > REMEMBERED:
                    self._indexed.popitem(last=False)
        return wanted or not self._index_only

    def settled(self, instances: Sequence[Instance], stored: Stored, /) -> Mapping[int, Settled]:
        """By the signed receipts in the answer; what they do not prove is taken as the answer says it."""
        reply = text(stored.top, wire.RECEIPT)
        if not reply:
            return {}
        try:
            proven = read_reply(reply.encode(), self._pinned())
        except (ReplyMalformed, ReplyNotProven) as error:
            reason = f"its receipts prove nothing: {error}"
            return {one.id: Settled(one.id, State.UNCERTAIN, (reason,)) for one in instances}
        leaves = {leaf.document_id: leaf for leaf in proven.leaves if leaf.institution == self._institution}
        found = {}
        for instance in instances:
            leaf = leaves.get(instance.header.sop_instance_uid)
            one = self._by_leaf(instance, leaf, proven) if leaf else None
            if one is not None:
                found[instance.id] = one
        return found

    def proven(self, delivery: ImageDelivery, http: HttpEdge, /) -> Sequence[Settled]:
        settled: list[Settled] = []
        for start in range(0, len(delivery.instances), wire.MOST_ASKED):
            some = delivery.instances[start : start + wire.MOST_ASKED]
            asked = wire.ReceiptsAsked(
                institution=self._institution, sop_instance_uids=tuple(one.header.sop_instance_uid for one in some)
            )
            self._key(http)
            body = self._asked(http, wire.RECEIPTS, asked)
            try:
                reply = read_reply(body, self._pinned())
            except (ReplyMalformed, ReplyNotProven) as error:
                raise NotAllowed(f"{self._name}: its receipts prove nothing: {error}") from error
            leaves = {leaf.document_id: leaf for leaf in reply.leaves if leaf.institution == self._institution}
            for instance in some:
                leaf = leaves.get(instance.header.sop_instance_uid)
                one = self._by_leaf(instance, leaf, reply) if leaf else None
                settled += [one] if one else []
        return settled

    def probe(self, http: HttpEdge, /) -> None:
        """Whether it is our platform, with the key that we pinned."""
        key = self._fetched_key(http)
        pinned = self._pinned()
        if pinned and pinned != key:
            raise NotAllowed(f"{self._name}: the platform's key is not the pinned one, {key_id(pinned)}")

    def wanted(self, http: HttpEdge, /) -> Sequence[wire.WantedStudy]:
        """Studies whose pixels are asked for, the oldest wish first."""
        asked = wire.WantedAsked(institution=self._institution)
        return self._read(self._asked(http, wire.WANTED, asked), wire.WantedStudies).wanted

    # --- receipts

    def _by_leaf(self, instance: Instance, leaf: Leaf, reply: Reply) -> Settled | None:
        """What a signed leaf settles; one that names other bytes proves nothing but a conflict (law 6)."""
        if leaf.outcome == Outcome.STORED:
            if leaf.sha256 == instance.sent_sha256:
                return Settled(instance.id, State.DELIVERED, proof=f"receipt {reply.id} sha256:{leaf.sha256}")
            return Settled(instance.id, State.REFUSED, ("the platform has other bytes under its SOP Instance UID",))
        if leaf.outcome == Outcome.REFUSED:
            return Settled(instance.id, State.REFUSED, tuple(leaf.reasons) or ("refused without a reason",))
        if leaf.outcome == ABSENT:
            return Settled(instance.id, State.READY, ("the platform signs that it does not have it",))
        return None

    # --- its key, pinned at first sight

    def _key(self, http: HttpEdge) -> None:
        """Pin its key, if none is: until then nothing that it says proves anything."""
        if not self._pinned():
            self._memory.put(self._key_name, base64.b64encode(self._fetched_key(http)).decode())

    @property
    def _key_name(self) -> str:
        return f"images-key:{self._name}"

    def _pinned(self) -> bytes:
        return base64.b64decode(self._memory.get(self._key_name) or "")

    def _fetched_key(self, http: HttpEdge) -> bytes:
        key = public_key_of(self._answered(http, "GET", "/v1/key", None))
        if not key:
            raise NotAllowed(f"{self._name}: {self._base} does not answer like our platform")
        return key

    # --- asking

    def _asked(self, http: HttpEdge, path: str, what: msgspec.Struct) -> bytes:
        return self._answered(http, "POST", path, msgspec.json.encode(what))

    def _answered(self, http: HttpEdge, method: str, path: str, body: bytes | None) -> bytes:
        """A question may simply be asked again, so everything that is not an answer is the same to it."""
        headers = {"Content-Type": JSON} if body else {}
        try:
            answer = http.ask(method, self._base + path, body, headers)
        except Unanswered as error:
            raise DestinationUnreachable(f"{self._name}: {path}: {error}") from error
        if answer.status == 200:
            return answer.body
        refused = refusal(self._name, answer, path)
        if isinstance(refused, NotAllowed) or answer.status == 409:
            raise NotAllowed(str(refused))
        raise DestinationUnreachable(str(refused))

    def _read(self, body: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DestinationUnreachable(f"{self._name}: its answer cannot be read") from error


class PlatformEdge(StowEdge):
    """Our platform: what it wants can be asked for, too."""

    def __init__(
        self,
        name: str,
        options: StowOutlet,
        secret: Callable[[str], str],
        proof: PlatformProof,
        base: str,
        institution: str,
        member: Member | None,
    ) -> None:
        studies = f"{base}{wire.dicomweb_path(institution)}/studies"
        super().__init__(name, options, secret, proof, studies, wire.REASONS, member.tls if member else None)
        self._platform = proof

    def wanted(self) -> Sequence[wire.WantedStudy]:
        """Studies whose pixels it asks for. DestinationUnreachable, NotAllowed."""
        with self.edge() as http:
            return self._platform.wanted(http)

    def told(self) -> dict[str, Any]:
        return {**super().told(), **({"index_only": True} if self.options.index_only else {})}


def platform_edge(
    name: str,
    options: StowOutlet,
    secret: Callable[[str], str],
    memory: Memory,
    institution: str,
    index: Callable[[ImageDelivery], wire.StudyIndex],
    member: Member | None = None,
) -> PlatformEdge:
    """Made by its settings. `url`: the platform's address; a DICOMweb base below it is the same. `member`: as whom it knows us."""
    base = checked_address(options.url).removesuffix(wire.DICOMWEB)
    # What is de-identified is not said to be of an order.
    said = None if options.deidentified else index
    proof = PlatformProof(name, base, institution, memory, said, index_only=options.index_only)
    return PlatformEdge(name, options, secret, proof, base, institution, member)
