"""A destination by C-STORE (PS3.4 annex B): files' bytes as they lie, over associations that stay open while there is something to send.

    accepted syntax       the data set's bytes go as P-DATA, as large as the peer takes them
    not accepted          native explicit VR as implicit VR, if it takes that: the same values, written otherwise
                          else refused with the reason: nothing is decoded here
    0000, Bxxx            ACCEPTED; a warning is noted
    A7xx and the like     WAITING; three in a row with nothing stored: it is left alone for a while
    A9xx, Cxxx            REFUSED with the reason
    empty, unknown, cut   UNCERTAIN: the same goes again, which has one effect
    A-ABORT at one        UNCERTAIN, and the others go on; at its third, if others were taken meanwhile, it is blocked

What it accepted is proven by storage commitment or by a re-count (`proving.py`).
"""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

from pydicom.uid import UID

from connectors.bandwidth import Bandwidth
from connectors.dicom.links import Link, Links, Pair
from connectors.dicom.requesting import Aborted, AssociationError
from connectors.verdicts import Tally, verdict
from frontend_agent.config_images import DicomOutlet
from frontend_agent.delivery import State
from frontend_agent.dicom.commands import RESPONSE, Command, Operation, c_echo, c_store
from frontend_agent.dicom.elements import DataSetMalformed
from frontend_agent.dicom.negotiation import VERIFICATION, Result
from frontend_agent.dicom.part10 import NoInstance, read_meta
from frontend_agent.dicom.pdus import UNBOUNDED, p_data
from frontend_agent.dicom.rewriting import as_implicit, chunks
from frontend_agent.dicom.statuses import Said, named, said_of_storing
from frontend_agent.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from frontend_agent.errors import DestinationUnreachable, NotAllowed
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled
from frontend_agent.instance_reading import Content, InstanceFile, opened

BUFFER = 1 << 20  # bytes of a file in memory
SETTLED_AT_ONCE, SETTLED_EVERY = 32, 0.5  # instances, seconds: each settling is a commit to disk
ABORTS = 3  # at one instance, while others were taken
ABORTS_IN_VAIN = 3  # of one delivery: it is not the instances
LATER_IN_VAIN = 3

PathOf = Callable[[Instance], InstanceFile]
Settle = Callable[[Sequence[Settled]], None]


class Proof(Protocol):
    """What proves that instances are stored there."""

    def prove(self, delivery: ImageDelivery, /) -> Sequence[Settled]: ...
    def known_as(self, named: Callable[[Instance], Instance], /) -> None: ...
    def probe(self) -> None: ...
    def close(self) -> None: ...


class StoreEdge:
    """One application entity. Its methods may be called from several threads, each with instances of its own."""

    def __init__(self, name: str, options: DicomOutlet, links: Links, proof: Proof) -> None:
        self.name = name
        self.options = options
        self.links = links
        self.bandwidth = Bandwidth(options.bandwidth)
        self._aborts = Tally()
        self._stored_before: dict[int, int] = {}  # instance -> how many had been taken at its first abort
        self._proof = proof
        self._counted = threading.Lock()
        self._instances = self._bytes = self._recoded = 0
        self._peer_version = ""
        self._problem = ""

    def send(self, delivery: ImageDelivery, path: PathOf, settle: Settle) -> None:
        """Settles as answers come, a few at a time. DestinationUnreachable, NotAllowed: the rest goes later."""
        sending = _Sending(self, delivery, path, Settling(settle))
        try:
            sending.go()
        except (DestinationUnreachable, NotAllowed) as error:
            self._problem = str(error)
            raise
        finally:
            sending.settling.flush()

    def prove(self, delivery: ImageDelivery) -> Sequence[Settled]:
        return self._proof.prove(delivery)

    def known_as(self, named: Callable[[Instance], Instance]) -> None:
        """It knows instances by other UIDs: reports that come later speak of those."""
        self._proof.known_as(named)

    def probe(self) -> None:
        """C-ECHO, and whether whoever proves can be asked."""
        link = self.links.take([(VERIFICATION, IMPLICIT_LE)], fresh=True)
        try:
            found = link.association.context_of(VERIFICATION)
            if found:
                link.association.send(found[0], c_echo(link.association.next_message_id()))
                status = link.answer().command.status
                if status:
                    raise NotAllowed(f"{self.name}: C-ECHO is answered with {named(status)}")
        except AssociationError as error:
            self.links.drop(link)
            raise DestinationUnreachable(f"{self.name}: {error}") from error
        self.links.give_back(link)
        self._proof.probe()

    def told(self) -> dict[str, Any]:
        """How it stands: address, associations, instances, bytes, last problem."""
        return {
            "type": "dicom",
            "address": str(self.links.peer),
            "proof": self.options.proof,
            "associations": len(self.links),
            "instances": self._instances,
            "bytes": self._bytes,
            **({"in_implicit_vr": self._recoded} if self._recoded else {}),
            **({"implementation": self._peer_version} if self._peer_version else {}),
            **({"problem": self._problem} if self._problem else {}),
        }

    def close(self) -> None:
        """What is under way is cut: it is sent again at the next start."""
        self.bandwidth.close()
        self.links.close()
        self._proof.close()

    def is_guilty(self, instance: Instance) -> bool:
        """The association was aborted at it once more. Whether that is its fault: others have been taken meanwhile."""
        with self._counted:
            before = self._stored_before.setdefault(instance.id, self._instances)
            if self._aborts.again(instance.id) < ABORTS or self._instances == before:
                return False
            del self._stored_before[instance.id]
            self._aborts.forget(instance.id)
            return True

    def recoded(self) -> None:
        """One more went in implicit VR."""
        with self._counted:
            self._recoded += 1

    def stored(self, link: Link, size: int) -> None:
        """One more was taken."""
        link.stored += 1
        with self._counted:
            self._instances += 1
            self._bytes += size
            self._problem, self._peer_version = "", link.association.peer_version


class Settling:
    """Settles a few at a time: what is lost of it by a crash is sent twice, to one effect."""

    def __init__(self, settle: Settle) -> None:
        self._settle = settle
        self._held: list[Settled] = []
        self._since = 0.0

    def add(self, settled: Settled) -> None:
        if not self._held:
            self._since = time.monotonic()
        self._held.append(settled)
        if len(self._held) >= SETTLED_AT_ONCE or time.monotonic() - self._since >= SETTLED_EVERY:
            self.flush()

    def flush(self) -> None:
        if self._held:
            held, self._held = self._held, []
            self._settle(held)


class _Content(NamedTuple):
    """An open file: what it is, and where its data set lies."""

    file: Content
    size: int
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data_set_at: int


class _Sending:
    """One delivery, over one association after the other where one ends."""

    def __init__(self, edge: StoreEdge, delivery: ImageDelivery, path: PathOf, settling: Settling) -> None:
        self.settling = settling
        self._edge, self._delivery, self._path = edge, delivery, path
        self._buffer = memoryview(bytearray(BUFFER))
        self._stored = self._later = self._aborted = 0

    def go(self) -> None:
        links, left = self._edge.links, list(self._delivery.instances)
        pairs = sorted({pair for instance in left for pair in _pairs(instance)})
        fresh = False
        while left:
            link = links.take(pairs, fresh=fresh)
            was_used, before = link.stored > 0, len(left)
            try:
                self._all(link, left)
            except AssociationError as error:
                links.drop(link)
                if was_used and len(left) == before and not isinstance(error, Aborted):
                    fresh = True  # it had ended while it rested: the same over a new one
                    continue
                self._failed_at(left.pop(0), error)
                if not isinstance(error, Aborted) or self._aborted >= ABORTS_IN_VAIN:
                    raise DestinationUnreachable(f"{self._edge.name}: {error}") from error
            except (DestinationUnreachable, NotAllowed):
                links.drop(link)
                raise
            else:
                links.give_back(link)

    def _failed_at(self, instance: Instance, error: AssociationError) -> None:
        """The association ended at this one. An abort may be its fault; that a connection is cut is not."""
        state, reason = State.UNCERTAIN, f"no answer to it: {error}"
        if isinstance(error, Aborted):
            self._aborted += 1
            if self._edge.is_guilty(instance):
                state, reason = State.BLOCKED, f"{ABORTS} times the association was aborted at it: {error}"
        self.settling.add(Settled(instance.id, state, (reason,)))

    def _all(self, link: Link, left: list[Instance]) -> None:
        """One after the other; those that are settled leave `left`."""
        while left:
            instance = left[0]
            try:
                settled = self._one(link, instance)
            except (OSError, NoInstance) as error:
                told = error.strerror if isinstance(error, OSError) else error
                settled = Settled(instance.id, State.REFUSED, (f"its file on our disk cannot be read: {told}",))
            left.pop(0)
            self.settling.add(settled)

    def _one(self, link: Link, instance: Instance) -> Settled:
        """Send one, and take its answer."""
        association = link.association
        with opened(self._path(instance)) as file:
            first = file.readinto(self._buffer) or 0
            told = read_meta(self._buffer[:first])
            content = _Content(
                file,
                file.size,
                told.sop_class_uid,
                told.sop_instance_uid,
                told.transfer_syntax_uid,
                told.data_set_at,
            )
            context = association.accepted.get((content.sop_class, content.transfer_syntax))
            implicit = self._implicit(link, content) if context is None else None
            if context is None and implicit is None:
                return self._not_taken(link, instance, content)
            message_id = association.next_message_id()
            command = c_store(message_id, content.sop_class, content.sop_instance)
            if context is not None:
                self._send(link, context, command, content, first)
            elif implicit is not None:
                try:
                    self._send_otherwise(link, implicit, command, content)
                except DataSetMalformed as error:  # before a byte of it went
                    return Settled(instance.id, State.REFUSED, (f"it cannot be written in implicit VR: {error}",))
        how = "sent in Implicit VR Little Endian: the destination does not take it as it is here" if implicit else ""
        return self._settled(link, instance, content, link.answer().command, message_id, how)

    def _implicit(self, link: Link, content: _Content) -> int | None:
        """The context in which a native instance goes with the same values in implicit VR, which everybody should take (PS3.5 §10.1)."""
        if content.transfer_syntax != EXPLICIT_LE:
            return None
        return link.association.accepted.get((content.sop_class, IMPLICIT_LE))

    def _send_otherwise(self, link: Link, context: int, command: Command, content: _Content) -> None:
        """As `_send`, with the data set written in implicit VR. DataSetMalformed: it cannot be; nothing went."""
        association = link.association
        most = min(association.max_length or UNBOUNDED, UNBOUNDED) - 6 & ~1
        with content.file.mapped() as data:
            pieces = as_implicit(data, content.data_set_at)
            parts = association.command_parts(context, command)
            held = bytearray()
            for chunk in chunks(pieces, lambda start, end: bytes(data[start:end])):
                held += chunk
                whole = (len(held) - 1) // most * most  # the last fragment is marked: something of it stays
                if whole >= min(most, BUFFER):
                    self._edge.bandwidth.take(whole)
                    some = p_data(context, bytes(held[:whole]), association.max_length, is_last=False)
                    association.send_parts(chain(parts, some))
                    parts = iter(())
                    del held[:whole]
        self._edge.bandwidth.take(len(held))
        association.send_parts(chain(parts, p_data(context, bytes(held), association.max_length)))
        self._edge.recoded()

    def _send(self, link: Link, context: int, command: Command, content: _Content, first: int) -> None:
        """The command, and the data set in pieces of whole P-DATA-TFs; the last one is marked."""
        association, buffer = link.association, self._buffer
        most = min(association.max_length or UNBOUNDED, UNBOUNDED) - 6 & ~1  # bytes of a fragment, as p_data cuts them
        parts = association.command_parts(context, command)
        at, start, end = content.data_set_at, content.data_set_at, first  # in the file; in the buffer
        while True:
            is_last = at + (end - start) >= content.size
            if not is_last:
                end = start + ((end - start) // most * most or end - start)
            piece = buffer[start:end]
            self._edge.bandwidth.take(len(piece))
            data = p_data(context, piece, association.max_length, is_last=is_last)
            association.send_parts(chain(parts, data))
            if is_last:
                return
            parts, at, start = iter(()), at + len(piece), 0
            content.file.seek(at)
            end = content.file.readinto(buffer) or 0
            if not end:
                link.association.abort()
                raise OSError(0, "it became shorter while it was sent")

    def _not_taken(self, link: Link, instance: Instance, content: _Content) -> Settled:
        """No context for it: why."""
        association, pair = link.association, (content.sop_class, content.transfer_syntax)
        result = association.refused.get(pair, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED)
        if not association.accepted and result in (Result.USER_REJECTION, Result.NO_REASON):
            raise NotAllowed(f"{self._edge.name}: it takes nothing of what we propose, and does not say why")
        sop_class, syntax = UID(pair[0]).name, UID(pair[1]).name
        taken = sorted(UID(one).name for abstract, one in association.accepted if abstract == pair[0])
        if result == Result.ABSTRACT_SYNTAX_NOT_SUPPORTED:
            reason = f"the destination does not take {sop_class}"
        else:
            reason = f"the destination does not take {sop_class} in {syntax}, and nothing is decoded here"
            reason += f" (it takes {', '.join(taken)})" if taken else ""
        return Settled(instance.id, State.REFUSED, (reason,))

    def _settled(
        self, link: Link, instance: Instance, content: _Content, answer: Command, message_id: int, told: str = ""
    ) -> Settled:
        is_its = answer.command_field == Operation.C_STORE | RESPONSE
        is_its &= answer.message_id_being_responded_to in (None, message_id)
        said = said_of_storing(answer.status) if is_its else Said.UNKNOWN
        reason = f"the answer is {named(answer.status)}" if said is not Said.STORED or answer.status else ""
        reason = "; ".join(filter(None, (reason, told)))
        if said is Said.NOT_ALLOWED:
            raise NotAllowed(f"{self._edge.name}: {reason}")
        if said is Said.STORED:
            self._stored += 1
            self._later = 0
            self._edge.stored(link, content.size)
        elif said is Said.LATER:
            self._later += 1
            if self._later >= LATER_IN_VAIN and not self._stored:
                raise DestinationUnreachable(f"{self._edge.name}: it asks for time: {reason}")
        return verdict(instance, said, reason, attempts=self._delivery.attempts, others_taken=self._stored > 0)


def _pairs(instance: Instance) -> tuple[Pair, ...]:
    """As it is, and how else it could go."""
    sop_class, syntax = instance.header.sop_class_uid, instance.header.transfer_syntax_uid
    return ((sop_class, syntax), (sop_class, IMPLICIT_LE)) if syntax == EXPLICIT_LE else ((sop_class, syntax),)
