"""Whether an application entity has what it accepted: storage commitment (PS3.4 annex J), or a re-count by C-FIND (PS3.4 annex C).

Commitment: we ask with N-ACTION; the N-EVENT-REPORT comes over the same association, before or after the answer, or over one that
the peer opens with an inlet of ours, hours later or after a restart. So its Transaction UID says by itself which study it speaks of,
and that it is ours: nothing has to be remembered but one key.
"""

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from connectors.dicom.links import Link, Links, Message, Pair
from connectors.dicom.requesting import AssociationError
from connectors.verdicts import RESENT, Recount, Tally
from frontend_agent.delivery import State
from frontend_agent.dicom.commands import Operation, Status, answered, c_query, n_action
from frontend_agent.dicom.commitment import (
    REQUEST_STORAGE_COMMITMENT,
    Commitment,
    read_commitment,
    written_commitment,
)
from frontend_agent.dicom.elements import DataSetMalformed
from frontend_agent.dicom.identifiers import read_identifier, written_identifier
from frontend_agent.dicom.negotiation import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from frontend_agent.dicom.statuses import NO_SUCH_INSTANCE, PENDING, Said, named, said_of_storing
from frontend_agent.dicom.uids import EXPLICIT_LE, IMPLICIT_LE, encoding_of
from frontend_agent.errors import DestinationUnreachable, NotAllowed
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled, Study

AT_ONCE = 2000  # instances of one N-ACTION
A_MOMENT = 2.0  # seconds for a report over the same association, where an inlet waits for it, too
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_COMMITMENT_PAIRS: tuple[Pair, ...] = ((STORAGE_COMMITMENT, EXPLICIT_LE), (STORAGE_COMMITMENT, IMPLICIT_LE))
_FIND_PAIRS: tuple[Pair, ...] = ((STUDY_ROOT_FIND, EXPLICIT_LE), (STUDY_ROOT_FIND, IMPLICIT_LE))


class Unproven:
    """Nothing proves it."""

    def prove(self, delivery: ImageDelivery, /) -> Sequence[Settled]:
        return ()

    def known_as(self, named: Callable[[Instance], Instance], /) -> None:
        """What is asked for comes with the names that it has there."""

    def probe(self) -> None:
        return

    def close(self) -> None:
        return


class Book(Protocol):
    """What of the studies' keeper is asked when a report comes."""

    def study(self, study: int, /) -> Study | None: ...
    def instances(self, study: int, /) -> list[Instance]: ...
    def settle(self, destination: str, settled: Sequence[Settled], now: datetime, /) -> int: ...
    def mark(self, name: str, /) -> str: ...
    def put_mark(self, name: str, value: str, /) -> None: ...


# --- storage commitment -----------------------------------------------------------------------------------------------

_NONCE_BITS, _MAC_BITS = 20, 62  # and 40 for the study: 122, what a UUID leaves free


class Transactions:
    """Transaction UIDs that name a study and cannot be guessed: 2.25.UUID (PS3.5 B.2), of version 8 (RFC 9562)."""

    def __init__(self, destination: str, key: bytes) -> None:
        self._destination, self._key = destination.encode(), key

    def new(self, study: int) -> str:
        head = study << _NONCE_BITS | secrets.randbits(_NONCE_BITS)
        free = head << _MAC_BITS | self._mac(head)
        high, middle, low = free >> 74, free >> 62 & 0xFFF, free & (1 << 62) - 1
        return f"2.25.{high << 80 | 8 << 76 | middle << 64 | 2 << 62 | low}"

    def study(self, uid: str) -> int | None:
        """Of which study; None for a transaction that is not ours."""
        digits = uid.removeprefix("2.25.")
        if digits == uid or not digits.isascii() or not digits.isdigit() or len(digits) > 39:
            return None
        whole = int(digits)
        if whole >> 128 or whole >> 76 & 0xF != 8 or whole >> 62 & 3 != 2:
            return None
        free = (whole >> 80) << 74 | (whole >> 64 & 0xFFF) << 62 | whole & (1 << 62) - 1
        head, mac = free >> _MAC_BITS, free & (1 << _MAC_BITS) - 1
        return head >> _NONCE_BITS if hmac.compare_digest(str(mac), str(self._mac(head))) else None

    def _mac(self, head: int) -> int:
        said = hmac.new(self._key, self._destination + b"\0" + head.to_bytes(8, "big"), sha256).digest()
        return int.from_bytes(said[:8], "big") >> 2


class CommitmentProof(Unproven):
    """Asks for storage commitment, and settles what reports say, whoever received them."""

    def __init__(
        self,
        name: str,
        links: Links,
        book: Book,
        clock: Callable[[], datetime],
        waits: float,
    ) -> None:
        """`waits`: seconds for a report over the association that asked."""
        self._name, self._links, self._book, self._clock = name, links, book, clock
        self._waits = waits
        self._named: Callable[[Instance], Instance] = lambda instance: instance
        self._resent = Tally()
        self._known: Transactions | None = None

    @property
    def transactions(self) -> Transactions:
        """Made with a key of this destination that is kept with the studies."""
        if self._known is None:
            mark = f"commitment/{self._name}/key"
            if not self._book.mark(mark):
                self._book.put_mark(mark, secrets.token_hex(32))
            self._known = Transactions(self._name, bytes.fromhex(self._book.mark(mark)))
        return self._known

    def prove(self, delivery: ImageDelivery, /) -> Sequence[Settled]:
        """Ask; what is reported at once is returned, what is reported later is settled then."""
        found: list[Settled] = []
        for start in range(0, len(delivery.instances), AT_ONCE):
            some = delivery.instances[start : start + AT_ONCE]
            link = self._links.take(_COMMITMENT_PAIRS)
            try:
                reports = self._asked(link, delivery.study.id, some)
            except AssociationError as error:
                self._links.drop(link)
                raise DestinationUnreachable(f"{self._name}: storage commitment: {error}") from error
            except NotAllowed:
                self._links.give_back(link)
                raise
            if link.association.is_over:
                self._links.drop(link)
            else:
                self._links.give_back(link)
            for report in reports:
                found += self._judged(some, report)
        return found

    def known_as(self, named: Callable[[Instance], Instance], /) -> None:
        self._named = named

    def heard(
        self, transaction_uid: str, committed: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]]
    ) -> bool:
        """A report has come to an inlet of ours. Whether we had asked; what it says is on disk when this returns."""
        study = self.transactions.study(transaction_uid)
        if study is None or self._book.study(study) is None:
            return False
        instances = [self._named(one) for one in self._book.instances(study) if not one.is_conflict]
        settled = self._judged(instances, Commitment(transaction_uid, committed, failed))
        if settled:
            self._book.settle(self._name, settled, self._clock())
        return True

    def probe(self) -> None:
        """Whether it offers storage commitment."""
        link = self._links.take(_COMMITMENT_PAIRS, fresh=True)
        found = link.association.context_of(STORAGE_COMMITMENT)
        self._links.give_back(link)
        if not found:
            raise NotAllowed(_no_commitment(self._name))

    def close(self) -> None:
        self._links.close()

    def _asked(self, link: Link, study: int, instances: Sequence[Instance]) -> list[Commitment]:
        """N-ACTION, and the reports that come over the same association in time."""
        association = link.association
        found = association.context_of(STORAGE_COMMITMENT)
        if not found:
            raise NotAllowed(_no_commitment(self._name))
        context, syntax = found
        wanted = [(one.header.sop_class_uid, one.header.sop_instance_uid) for one in instances]
        asked = Commitment(self.transactions.new(study), wanted, ())
        message_id = association.next_message_id()
        command = n_action(message_id, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, REQUEST_STORAGE_COMMITMENT)
        association.send(context, command, written_commitment(asked, syntax))
        reports: list[Commitment] = []
        message = link.answer()
        while not message.command.is_response:  # some report before they answer
            reports += self._taken(link, message, syntax)
            message = link.answer()
        if message.command.status and said_of_storing(message.command.status) is not Said.STORED:
            raise NotAllowed(f"{self._name}: storage commitment is answered with {named(message.command.status)}")
        return reports or self._waited(link, syntax)

    def _waited(self, link: Link, syntax: str) -> list[Commitment]:
        """The report over this association, if it comes in time."""
        ends = time.monotonic() + self._waits
        while (left := ends - time.monotonic()) > 0 and link.association.is_readable(left):
            try:
                if found := self._taken(link, link.answer(), syntax):
                    return found
            except AssociationError:  # it was answered, and reports over another one
                link.association.abort()
                return []
        return []

    def _taken(self, link: Link, message: Message, syntax: str) -> list[Commitment]:
        """A request of the peer's over our association: an N-EVENT-REPORT is read and answered, everything else refused."""
        command, association = message.command, link.association
        if command.is_response:
            return []
        if command.operation is not Operation.N_EVENT_REPORT:
            association.send(message.context, answered(command, Status.UNRECOGNIZED_OPERATION))
            return []
        try:
            report = read_commitment(message.data, syntax)
        except DataSetMalformed as error:
            association.send(message.context, answered(command, Status.PROCESSING_FAILURE, str(error)))
            return []
        ours = self.transactions.study(report.transaction_uid) is not None
        association.send(message.context, answered(command, Status.SUCCESS if ours else Status.NO_SUCH_OBJECT_INSTANCE))
        return [report] if ours else []

    def _judged(self, instances: Sequence[Instance], report: Commitment) -> list[Settled]:
        """What a report settles. A failure that may pass is not spoken of: it is asked for again."""
        by_uid = {one.header.sop_instance_uid: one for one in instances}
        settled = [
            Settled(by_uid[uid].id, State.DELIVERED, proof=f"commitment {report.transaction_uid}")
            for _, uid in report.referenced
            if uid in by_uid
        ]
        for _, uid, reason in report.failed:
            instance = by_uid.get(uid)
            if instance is None:
                continue
            told = f"it is not committed: {named(reason)}"
            if reason == NO_SUCH_INSTANCE and self._resent.again(instance.id) <= RESENT:
                settled.append(Settled(instance.id, State.READY, (told,)))
            elif said_of_storing(reason) is Said.REFUSED:
                settled.append(Settled(instance.id, State.REFUSED, (told,)))
        return settled


def _no_commitment(name: str) -> str:
    return f'{name}: it does not offer storage commitment to us; proof = "find" asks it by C-FIND instead'


# --- re-count ---------------------------------------------------------------------------------------------------------


class FindProof(Unproven):
    """C-FIND at the level of images, series by series: which UIDs it lists."""

    def __init__(self, name: str, links: Links) -> None:
        self._name, self._links = name, links
        self._recount = Recount("find")

    def prove(self, delivery: ImageDelivery, /) -> Sequence[Settled]:
        series: dict[str, list[Instance]] = {}
        for instance in delivery.instances:
            series.setdefault(instance.header.series_instance_uid, []).append(instance)
        settled: list[Settled] = []
        link = self._links.take(_FIND_PAIRS)
        try:
            for uid, instances in series.items():
                wanted = {one.header.sop_instance_uid for one in instances}
                listed = self._listed(link, delivery.study.study_instance_uid, uid, wanted)
                settled += self._recount.judged(instances, listed)
        except (AssociationError, DataSetMalformed) as error:
            self._links.drop(link)
            raise DestinationUnreachable(f"{self._name}: the re-count by C-FIND: {error}") from error
        except (NotAllowed, DestinationUnreachable):
            self._links.give_back(link)
            raise
        self._links.give_back(link)
        return settled

    def probe(self) -> None:
        """Whether it can be asked."""
        link = self._links.take(_FIND_PAIRS, fresh=True)
        found = link.association.context_of(STUDY_ROOT_FIND)
        self._links.give_back(link)
        if not found:
            raise NotAllowed(_no_find(self._name))

    def close(self) -> None:
        self._links.close()

    def _listed(self, link: Link, study: str, series: str, wanted: set[str]) -> set[str]:
        """Those of the instances looked for that it lists (PS3.4 C.4.1)."""
        found = link.association.context_of(STUDY_ROOT_FIND)
        if not found:
            raise NotAllowed(_no_find(self._name))
        context, encoding = found[0], encoding_of(found[1])
        keys = {
            "QueryRetrieveLevel": "IMAGE",
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "SOPInstanceUID": "",
        }
        command = c_query(Operation.C_FIND, link.association.next_message_id(), STUDY_ROOT_FIND)
        link.association.send(context, command, written_identifier(keys, encoding))
        listed: set[str] = set()
        message = link.answer()
        while message.command.status in PENDING:
            uid = read_identifier(message.data, encoding).get("SOPInstanceUID", "").strip(" \0")
            listed |= {uid} & wanted
            message = link.answer()
        if message.command.status:
            told = f"{self._name}: C-FIND is answered with {named(message.command.status)}"
            is_later = said_of_storing(message.command.status) is Said.LATER
            raise DestinationUnreachable(told) if is_later else NotAllowed(told)
        return listed


def _no_find(name: str) -> str:
    return f"{name}: it does not answer C-FIND (Study Root) to us"
