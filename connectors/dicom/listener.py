"""Images that a PACS or a modality sends: C-ECHO, C-STORE, and the reports of storage commitment that we had asked for. An inlet.

    accept ─▶ allow (refused before a byte is read) ─▶ [TLS] ─▶ AE titles, certificate ─▶ C-STORE ─▶ desk (durable) ─▶ only then its response

Associations are served by frontend_agent/dicom/serving.py. Against what comes from outside (threats D1–D3, D6, D7, D9): its bounds, and
nothing but counts, UIDs and addresses is told.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from connectors.arrivals import InboxFull, Kept
from connectors.instances import InstanceDesk, InstanceRefused, InstanceWriter, KeptInstance
from connectors.listening import Door, listening_socket, tls_of
from frontend_agent.config_images import DicomInlet, calling_of
from frontend_agent.dicom.commands import Status
from frontend_agent.dicom.negotiation import UNKNOWN_CALLED, UNKNOWN_CALLING, Rejection
from frontend_agent.dicom.serving import Answer, Caller, Committed, Limits, Reception, Tally


class Reports(Protocol):
    """Who hears of storage commitment."""

    def reported(
        self, transaction_uid: str, committed: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]] = (), /
    ) -> bool: ...


class Receiving:
    """What an inlet does with what comes: everything to the desk, every outcome to a status (PS3.4 B.2.3)."""

    offers_commitment = False  # a hospital's PACS does not ask its front-end machine to keep its studies

    def __init__(
        self, name: str, options: DicomInlet, desk: InstanceDesk, reports: Reports, clock: Callable[[], datetime]
    ) -> None:
        self.last: datetime | None = None  # when an instance came
        self._name, self._options, self._desk, self._reports, self._clock = name, options, desk, reports, clock
        self._largest = int(options.largest)
        self._calling = [calling_of(one) for one in options.calling]

    def admit(self, caller: Caller) -> Rejection | None:
        if self._options.called == "ours" and caller.called != self._options.ae_title:
            return UNKNOWN_CALLED
        if self._calling and not any(_is_from(caller, *one) for one in self._calling):
            return UNKNOWN_CALLING
        if self._options.client_names and caller.certificate not in self._options.client_names:
            return NOT_THIS_CERTIFICATE
        return None

    def begin(self, caller: Caller, sop_class: str, sop_instance: str, transfer_syntax: str) -> InstanceWriter:
        self.last = self._clock()
        return self._desk.begin(
            self._name, sop_class, sop_instance, transfer_syntax, sender=caller.sender, largest=self._largest
        )

    def verdict(self, outcome: Any) -> Answer:
        if isinstance(outcome, KeptInstance):
            if outcome.kept is Kept.CONFLICT:
                return CONFLICT
            return STORED
        if isinstance(outcome, InstanceRefused):
            return Answer(Status.CANNOT_UNDERSTAND, "; ".join(outcome.reasons))
        return FULL if isinstance(outcome, InboxFull) else BROKEN

    def commit(self, caller: Caller, transaction_uid: str, instances: Sequence[tuple[str, str]]) -> Committed:
        raise AssertionError("not offered")

    def reported(
        self,
        caller: Caller,
        transaction_uid: str,
        safe: Sequence[tuple[str, str]],
        failed: Sequence[tuple[str, str, int]],
    ) -> bool:
        return self._reports.reported(transaction_uid, safe, failed)


STORED = Answer(Status.SUCCESS)
CONFLICT = Answer(Status.DUPLICATE_SOP_INSTANCE, "this SOP instance is here with other content")
FULL = Answer(Status.OUT_OF_RESOURCES, "no room for more now: come again")
BROKEN = Answer(Status.OUT_OF_RESOURCES, "it could not be kept: come again")
NOT_THIS_CERTIFICATE = Rejection(1, 1, 1, "its certificate is none of client_names")


def _is_from(caller: Caller, title: str, network: str) -> bool:
    if title != caller.calling:
        return False
    if not network:
        return True
    address = ip_address(caller.address.partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address) in ip_network(network)


class DicomListener:
    """One listening address."""

    def __init__(
        self, name: str, options: DicomInlet, desk: InstanceDesk, reports: Reports, clock: Callable[[], datetime]
    ) -> None:
        self.name = name
        self._options, self._clock = options, clock
        self._receiving = Receiving(name, options, desk, reports, clock)
        self._limits = Limits(
            connections=int(options.connections),
            per_address=int(options.per_address),
            idle=options.idle.total_seconds(),
            slowest=options.slowest.total_seconds(),
            largest=int(options.largest),
        )
        self._reception: Reception | None = None
        self._address: tuple[str, int] = (options.host, int(options.port))
        self._since: datetime | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: the port that was free, if 0 was asked for."""
        return self._address

    def start(self) -> None:
        """ConfigurationError for an address, a certificate or a key that cannot be used."""
        self.stop(0)  # what is left of one whose thread ended by an error
        tls = tls_of(self.name, self._options)
        listening = listening_socket(self.name, self._options)
        self._address = listening.getsockname()[:2]
        self._since = self._clock()
        allowed = Door(self._options).is_allowed
        self._reception = Reception(self.name, listening, allowed, self._receiving, self._limits, tls)
        self._reception.start()

    def stop(self, patience: float) -> None:
        reception, self._reception = self._reception, None
        if reception is not None:
            reception.stop(patience)

    def is_alive(self) -> bool:
        return self._reception is not None and self._reception.is_alive()

    def probe(self) -> None:
        """ConfigurationError for what `start` would raise."""
        tls_of(self.name, self._options)
        if self._reception is None:
            listening_socket(self.name, self._options).close()

    def told(self) -> dict[str, Any]:
        """How it stands. Counts are since it began."""
        reception = self._reception
        host, port = self._address
        found: dict[str, Any] = {
            "address": f"{'dicoms' if self._options.certificate else 'dicom'}://{self._options.ae_title}@"
            f"{f'[{host}]' if ':' in host else host}:{port}",
            "is_plain": not self._options.certificate,
            "is_running": reception is not None,
            "since": self._since.isoformat() if self._since else "",
            "last_message_at": self._receiving.last.isoformat() if self._receiving.last else "",
            "connections": reception.associations if reception is not None else 0,
            "waiting": reception.waiting if reception is not None else 0,  # connections without an association
        }
        return found | (reception.tally if reception is not None else Tally()).told()
