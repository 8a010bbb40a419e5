"""The platform's DICOM port: PACS and front-end machines of the hospitals store here, and ask whether it is safe.

Who may connect, and for which hospital, is one file (PEERS.toml):

    ae_title = "REGION"              # ours; who calls must name it; "" for any
    host = "10.0.0.5"                # where it listens; this machine alone unless said
    certificate = "region.pem"       # with `key`: DICOM over TLS
    key = "region-key.pem"
    client_ca = "hospitals-ca.pem"   # who connects must show a certificate of these
    joined = true                    # instead of these three: by the certificates of those who joined (`serve --tls`)

    [[peers]]
    ae_title = "PACS1"               # as it calls itself
    institution = "12345678-9"       # whose instances they are
    addresses = ["10.1.0.0/16"]      # from where; this machine alone unless said
    certificate = "pacs.h1.example"  # the common name of its certificate, if that is asked for

Associations are served by frontend_agent/dicom/serving.py, behind its bounds (threats D1–D3, D7).
"""

import ipaddress
import logging
import socket
import ssl
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec

from frontend_agent.dicom.commands import Status
from frontend_agent.dicom.negotiation import UNKNOWN_CALLED, UNKNOWN_CALLING, Rejection
from frontend_agent.dicom.serving import Answer, Caller, Committed, Limits, Reception
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.platform.images.arriving import LARGEST_INSTANCE, Refused
from frontend_agent.platform.images.store import ImageStore, Kept, Writer
from frontend_agent.platform.judging import is_institution
from frontend_agent.platform.metrics import Metrics

BACKLOG = 256
CLASS_INSTANCE_CONFLICT = 0x0119  # it is here with another SOP class
STORED = Answer(Status.SUCCESS)
UNABLE = Answer(Status.OUT_OF_RESOURCES, "it could not be kept: come again")
_LOOPBACK = ("127.0.0.0/8", "::1/128")

_log = logging.getLogger("frontend_agent.platform")

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=16)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Members(Protocol):
    """Who has joined the platform, and may speak for whom by its certificate."""

    def context(self) -> ssl.SSLContext:
        """TLS with our own certificate, in which who connects must show one of our authority."""

    def may_speak(self, sha256: str, institution: str) -> bool:
        """Whether that certificate speaks for the institution now."""

    def not_theirs(self, sha256: str, address: str, what: str, institution: str) -> None:
        """Remember that whoever holds it wanted to speak for an institution that it does not speak for."""


class Peer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One application entity that may store here."""

    ae_title: Title
    institution: str
    addresses: tuple[str, ...] = _LOOPBACK
    certificate: str = ""

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(map(ipaddress.ip_network, self.addresses))


class Peers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of those who may, and how the port is opened."""

    ae_title: Annotated[str, msgspec.Meta(max_length=16)] = ""
    host: str = "127.0.0.1"
    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    joined: bool = False
    connections: Annotated[int, msgspec.Meta(ge=1)] = 256
    per_address: Annotated[int, msgspec.Meta(ge=1)] = 100
    largest: Annotated[int, msgspec.Meta(ge=1)] = LARGEST_INSTANCE
    peers: tuple[Peer, ...]


def read_peers(path: Path) -> Peers:
    """ConfigurationError names the key that is wrong. Paths in it are beside the file."""
    try:
        peers = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Peers)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    problems = list(_problems(peers))
    if problems:
        raise ConfigurationError("\n".join(f"{path}: {one}" for one in problems))
    beside = {
        name: str(path.parent / value)
        for name in ("certificate", "key", "client_ca")
        if (value := getattr(peers, name))
    }
    return msgspec.structs.replace(peers, **beside)


def _problems(peers: Peers) -> list[str]:
    found = []
    if not peers.peers:
        found.append("peers: nobody may connect")
    if bool(peers.certificate) != bool(peers.key):
        found.append("certificate and key go together")
    if peers.joined and (peers.certificate or peers.key or peers.client_ca):
        found.append("joined: then certificate, key and client_ca are the platform's own; leave them out")
    if peers.client_ca and not peers.certificate:
        found.append("client_ca needs TLS: certificate and key")
    for number, one in enumerate(peers.peers):
        where = f"peers[{number}]"
        if not is_institution(one.institution):
            found.append(f"{where}.institution: {one.institution!r} is not a name of 1 to 64 characters")
        if one.certificate and not peers.client_ca:
            found.append(f"{where}.certificate: nobody is asked for a certificate without client_ca")
        for address in one.addresses:
            try:
                ipaddress.ip_network(address)
            except ValueError:
                found.append(f"{where}.addresses: {address!r} is neither an address nor a network")
    return found


class Services:
    """What is done with what comes: it goes to the store, for the hospital whose machine it is."""

    offers_commitment = True

    def __init__(self, images: ImageStore, peers: Peers, metrics: Metrics, members: Members | None = None):
        """`members`: each peer's certificate must speak for its institution, at every message (threat C1)."""
        self._members = members
        self._images = images
        self._peers = peers
        self._metrics = metrics
        self._networks = [(peer, peer.networks) for peer in peers.peers]

    def is_allowed(self, address: str) -> bool:
        """Before a byte is read: whether anybody may come from there."""
        found = _address(address)
        return found is not None and any(found in one for _, networks in self._networks for one in networks)

    def admit(self, caller: Caller) -> Rejection | None:
        if self._peers.ae_title and caller.called != self._peers.ae_title:
            return UNKNOWN_CALLED
        if self._peer(caller) is not None:
            return None
        self._say_not_theirs(caller)
        return UNKNOWN_CALLING

    def _peer(self, caller: Caller) -> Peer | None:
        """The first entry that fits in everything it says, and for whose institution the certificate speaks."""
        for peer in self._fitting(caller):
            if self._members is None or self._members.may_speak(caller.fingerprint, peer.institution):
                return peer
        return None

    def _fitting(self, caller: Caller) -> Iterator[Peer]:
        address = _address(caller.address)
        for peer, networks in self._networks:
            if (
                peer.ae_title == caller.calling
                and address is not None
                and any(address in one for one in networks)
                and peer.certificate in ("", caller.certificate)
            ):
                yield peer

    def _say_not_theirs(self, caller: Caller) -> None:
        """A machine with a certificate calls itself by the title of another institution's (threat C1)."""
        if self._members is None or not caller.fingerprint:
            return
        for peer in self._fitting(caller):
            _log.warning("images.not_theirs certificate=%s named=%s", caller.fingerprint[:16], peer.institution)
            what = f"DICOM association as {peer.ae_title}"
            self._members.not_theirs(caller.fingerprint, caller.address, what, peer.institution)

    def _institution(self, caller: Caller) -> str:
        peer = self._peer(caller)
        if peer is None:
            raise StateError("its association was not admitted")
        return peer.institution

    def begin(self, caller: Caller, sop_class: str, sop_instance: str, transfer_syntax: str) -> Writer:
        return self._images.begin(
            self._institution(caller),
            sop_class,
            sop_instance,
            transfer_syntax,
            sender=caller.sender,
            largest=self._peers.largest,
        )

    def verdict(self, outcome: Any) -> Answer:
        """PS3.4 B.2.3. The comment has no value of the instance."""
        if isinstance(outcome, Kept):
            self._metrics.kept([outcome], "dicom")
            return STORED if outcome.is_stored else Answer(outcome.status, "; ".join(outcome.reasons))
        if isinstance(outcome, Refused):
            return Answer(outcome.status, "; ".join(outcome.reasons))
        _log.error("images.unable error=%s", type(outcome).__name__)
        return UNABLE

    def commit(self, caller: Caller, transaction_uid: str, instances: Sequence[tuple[str, str]]) -> Committed:
        """What is committed in the index lies in a synced file: it is safe (PS3.4 J.3)."""
        known = self._images.instances_by_uid(self._institution(caller), [uid for _, uid in instances])
        safe: list[tuple[str, str]] = []
        failed: list[tuple[str, str, int]] = []
        for sop_class, uid in instances:
            one = known.get(uid)
            if one is None or not one.held:
                failed.append((sop_class, uid, Status.NO_SUCH_OBJECT_INSTANCE))
            elif one.sop_class_uid != sop_class:
                failed.append((sop_class, uid, CLASS_INSTANCE_CONFLICT))
            else:
                safe.append((sop_class, uid))
        _log.info("images.commitment transaction=%s safe=%d failed=%d", transaction_uid, len(safe), len(failed))
        return Committed(safe, failed)

    def reported(
        self,
        caller: Caller,
        transaction_uid: str,
        safe: Sequence[tuple[str, str]],
        failed: Sequence[tuple[str, str, int]],
    ) -> bool:
        """We ask nobody for commitment."""
        return False


class DicomPort:
    """The open port, from `start` to `stop`."""

    def __init__(self, images: ImageStore, peers: Peers, port: int, metrics: Metrics, members: Members | None = None):
        """Port 0 takes a free one. ConfigurationError, StateError: it cannot be opened, and why."""
        if peers.joined and members is None:
            raise ConfigurationError(
                "the peers' file says joined = true: nobody can join without a door for agents (--tls)"
            )
        members = members if peers.joined else None
        services = Services(images, peers, metrics, members)
        limits = Limits(connections=peers.connections, per_address=peers.per_address, largest=peers.largest)
        tls = members.context() if members else _tls(peers)
        listening = _listening(peers.host, port)
        host, number = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        scheme = "dicoms" if tls else "dicom"
        self.address = f"{scheme}://{peers.ae_title or 'ANY'}@{shown}:{number}"
        self._reception = Reception("platform", listening, services.is_allowed, services, limits, tls)

    def start(self) -> None:
        self._reception.start()

    def stop(self, patience: float = 10.0) -> None:
        """What is under way is answered first, for so many seconds."""
        self._reception.stop(patience)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found  # an IPv4 sender at a socket of both kinds


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise StateError(f"cannot listen for DICOM on {host} port {port}: {error}") from error
    found.setblocking(False)
    return found


def _tls(peers: Peers) -> ssl.SSLContext | None:
    if not peers.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(peers.certificate, peers.key, password=lambda: "")
        if peers.client_ca:
            context.load_verify_locations(peers.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"certificate, key or client_ca of the DICOM port cannot be used (PEM, without a password): {error.strerror or error}"
        ) from error
    return context
